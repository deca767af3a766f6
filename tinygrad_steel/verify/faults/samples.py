"""Mistakes with samples and labels: one sample for all, labels off by one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.values import VALUES, Value
from ..closeness import combination
from ..traced_loss import Graph
from .products import Product, product_of
from .question import Mistake, Step, fitting

MOST_SAMPLES = 64  # of which each may be there or not


def by_samples(step: Step) -> tuple[Product, Any, Any] | None:
    """A product over several samples, and its two sides with a row for each of them, as in
    `x.T @ G`; None where it is none.
    """
    head = product_of(step)
    if head is None:
        return None
    a, gy = (head.other.T, head.gy.T) if head.is_left else (head.other, head.gy)
    return (head, a, gy) if len(a) == len(gy) > 1 else None


def one_sample(step: Step) -> Iterator[Mistake]:
    """A product over the samples that has one of them alone, or their mean."""
    found = by_samples(step)
    if found is None:
        return
    head, a, gy = found
    came = step.question.graph.gradient_text(step.y)
    for left, right, words in of_samples(a, gy, head.other_text, came):
        yield Mistake(step.g, partial(product, left, right, head.is_left), words, "one-sample")


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


def other_order(step: Step) -> Iterator[Mistake]:
    """A product over the samples in which one side has them in another order."""
    found = by_samples(step)
    if found is None:
        return
    head, a, gy = found
    for by, how in (
        (1, "shifted by one sample"),
        (-1, "shifted by one sample"),
        (0, "turned round"),
    ):
        moved = np.roll(a, by, axis=0) if by else a[::-1]
        words = f"{head.other_text} has its samples in another order, {how}"
        yield Mistake(step.g, partial(product, moved, gy, head.is_left), words, "one-sample")


def some_samples(step: Step) -> Iterator[Mistake]:
    """A product over the samples in which some are missing, found by solving for their weights."""
    found, question = by_samples(step), step.question
    if found is None or step.g is not question.asked or not question.fits:
        return
    head, a, gy = found
    n, size = len(a), a.shape[1] * gy.shape[1]
    if not 2 < n <= MOST_SAMPLES or size < n:
        return
    question.budget.spend(size * n * n)
    each = np.einsum("ij,ik->ijk", a, gy)
    weights = combination([*each], question.given.T if head.is_left else question.given)
    if weights is None:
        return
    there = np.abs(weights - 1) < 1e-4
    if not np.all(there | (np.abs(weights) < 1e-4)) or np.all(there) or not np.any(there):
        return
    becomes = partial(product, a[there], gy[there], head.is_left)
    yield Mistake(step.g, becomes, missing_samples(there), "one-sample")


def missing_samples(there: np.ndarray) -> str:
    """Which samples are missing, or are there alone."""
    missing, found = np.flatnonzero(~there), np.flatnonzero(there)
    few, how = (missing, "left out") if len(missing) <= len(found) else (found, "all that is there")
    numbers = ", ".join(map(str, few))
    if few[-1] - few[0] + 1 == len(few) > 2:
        numbers = f"{few[0]} to {few[-1]}"
    what = f"samples {numbers} are" if len(few) > 1 else f"sample {numbers} is"
    return f"of {len(there)} samples, {what} {how}"


def labels_off_by_one(step: Step) -> Iterator[Mistake]:
    """Labels that have slipped to the next class, or to the one before."""
    question, graph = step.question, step.question.graph
    for y in step.used:
        text = text_of_labels(graph, y)
        if text is None or step.g.shape != y.shape:
            continue
        numbers = question.value(y)
        moved = np.roll(numbers, 1, axis=1)
        with_moved = fitting(partial(question.replay, {y: moved}, step.inner)) or {}
        if not is_one_hot(numbers) or step.g not in with_moved:
            continue
        # g = weight * (shares - y): two labellings tell the weight, and with it the shares
        g, right = question.value(step.g), numbers.astype(step.g.dtype)
        weight = np.sum((with_moved[step.g] - g) * right, axis=1, keepdims=True)
        for labels, words in other_labels(right, text):
            yield Mistake(step.g, g + weight * (right - labels), words, "labels")


def text_of_labels(graph: Graph, y: Value) -> str | None:
    """What labels are called of which each row is for a sample: one-hot ones, or those that are
    made of the ids of the classes; None for anything else.
    """
    if y.op is ops.one_hot:
        return graph.text(y.inputs[0])
    is_leaf = y.op is None and y not in graph.wanted and len(y.shape) == 2
    return graph.text(y) if is_leaf else None


def other_labels(y: np.ndarray, text: str) -> Iterator[tuple[np.ndarray, str]]:
    """What people have in place of one-hot labels; `text`: what these are called, or their ids."""
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
    words = f"the labels {text} are those of other samples: their order is turned round"
    yield y[::-1], words
    yield y * np.argmax(y, axis=1)[:, None], f"the number of the class in place of the 1 in {text}"
    classes = np.broadcast_to(np.any(y, axis=0), y.shape)
    words = "1 is subtracted in all rows of a class, as by p[:, ids], and not at p[rows, ids] alone"
    yield classes * 1.0, words
    rows = np.isin(np.arange(len(y)), np.argmax(y, axis=1))
    words = "1 is subtracted in whole rows, as by p[ids], and not at p[rows, ids] alone"
    yield rows[:, None] * np.ones_like(y), words
    yield y - 0.5, f"computed with {text} - 0.5 in place of {text}"
    yield 2 * y - 1, f"computed with labels of -1 and 1 in place of {text}"


def is_one_hot(y: np.ndarray) -> bool:
    """Whether each row is 1 once and 0 elsewhere."""
    return bool(np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1))


def labels_turned(step: Step) -> Iterator[Mistake]:
    """Labels of a yes or no that are the wrong way round: what is real taken for forged."""
    if step.y.op is not ops.sigmoid_cross_entropy or not isinstance(step.y.inputs[1], VALUES):
        return
    labels = step.y.inputs[1]
    name = step.question.graph.names.get(labels)
    called = f"the labels {name} are" if name else "the labels are"
    words = f"{called} the wrong way round: 0 for 1, and 1 for 0"
    yield Mistake(labels, 1 - step.question.value(labels), words, "labels")
