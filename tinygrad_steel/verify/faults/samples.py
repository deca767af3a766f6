"""Mistakes with samples and labels: one sample for all, labels off by one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from .question import Mistake, Step, fitting


def one_sample(step: Step) -> Iterator[Mistake]:
    """A product over the samples that has one of them alone, or their mean."""
    question, graph, x, y = step.question, step.question.graph, step.x, step.y
    if y.op is not ops.matmul or not len(x.shape) == len(y.shape) == 2:
        return
    is_left = y.inputs[0] is x
    other = next((i for i in y.inputs if i is not x), x)
    a, gy = question.value(other), step.given
    a, gy = (a.T, gy.T) if is_left else (a, gy)  # a row for each sample, as for x.T @ G
    if len(a) != len(gy) or len(a) < 2:
        return
    texts = graph.text(other, 5), graph.gradient_text(y)
    for left, right, words in of_samples(a, gy, *texts):
        yield Mistake(step.g, partial(product, left, right, is_left), words, "one-sample")


def of_samples(a: Any, gy: Any, text: str, came: str) -> Iterator[tuple[Any, Any, str]]:
    """What people have in place of all samples on the two sides of a product."""
    total, last = gy.sum(axis=0, keepdims=True), len(a) - 1
    for i in (last, 0):
        yield a[i : i + 1], gy[i : i + 1], f"sample {i} stands for all of them"
    for i in (last, 0):
        words = f"{text} is that of sample {i} alone, with the sum of {came}"
        yield a[i : i + 1], total, words
    mean = a.mean(axis=0, keepdims=True)
    yield mean, total, f"the mean of {text} over the samples, with the sum of {came}"
    yield np.ones_like(a[:1]), total, f"the factor {text} is missing: the sum of {came} alone"


def product(a: Any, gy: Any, is_left: bool) -> Any:
    """The gradient of a weight from samples in rows."""
    found = a.T @ gy
    return found.T if is_left else found


def labels_off_by_one(step: Step) -> Iterator[Mistake]:
    """One-hot labels that have slipped to the next class, or to the one before."""
    question, graph = step.question, step.question.graph
    for y in step.used:
        if y.op is not None or y in graph.wanted or len(y.shape) != 2:
            continue
        numbers = question.value(y)
        moved = np.roll(numbers, 1, axis=1)
        with_moved = fitting(partial(question.replay, {y: moved}, step.inner)) or {}
        if not is_one_hot(numbers) or step.g not in with_moved or step.g.shape != y.shape:
            continue
        # g = weight * (shares - y): two labellings tell the weight, and with it the shares
        g, text = question.value(step.g), graph.text(y)
        weight = np.sum((with_moved[step.g] - g) * numbers, axis=1, keepdims=True)
        for labels, words in other_labels(numbers, text):
            yield Mistake(step.g, g + weight * (numbers - labels), words, "labels")


def other_labels(y: np.ndarray, text: str) -> Iterator[tuple[np.ndarray, str]]:
    """What people have in place of one-hot labels."""
    for by in (1, -1):
        rolled = np.roll(y, by, axis=1)
        cut = np.array(rolled)
        cut[:, 0 if by > 0 else -1] = 0
        words = f"the labels {text} are off by one class"
        yield from ((rolled, words), (cut, words))
    for by in (1, -1):
        yield np.roll(y, by, axis=0), f"the labels {text} are off by one sample"
    ids = np.argmax(y, axis=1)[:, None] * np.ones_like(y)
    yield ids, f"the numbers of the classes in place of the one-hot labels {text}"
    yield y - 0.5, f"computed with {text} - 0.5 in place of {text}"
    yield 2 * y - 1, f"computed with labels of -1 and 1 in place of {text}"


def is_one_hot(y: np.ndarray) -> bool:
    """Whether each row is 1 once and 0 elsewhere."""
    return bool(np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1))
