"""Mistakes of one function for another in a value: sigmoid for softmax, a mean for a sum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.texts import SIGN
from ...program.values import VALUES, Value
from .question import Mistake, Step
from .terms import behind_relu

FUNCTIONS = (ops.sigmoid, ops.softmax, ops.log_softmax, ops.tanh, ops.relu, ops.exp)
SHARES = (ops.softmax, ops.sigmoid)
MOST = 8  # values that are broadcast in place of another one


def other_function(step: Step) -> Iterator[Mistake]:
    """Another function of the same input, or the sign or size of a value."""
    graph = step.question.graph
    for value in early(step):
        text = graph.text(value)
        for becomes, name in (*functions_of_input(step, value), *of_the_value(step, value)):
            yield Mistake(value, becomes, f"{name} in place of {text}", "other-value")


def functions_of_input(step: Step, value: Value) -> Iterator[tuple[Any, str]]:
    """Other functions that people know, of what a known one is applied to."""
    if value.op not in FUNCTIONS:
        return
    z, text = step.question.value(value.inputs[0]), step.question.graph.text(value.inputs[0])
    for function in FUNCTIONS:
        if function is not value.op:
            yield partial(function, z), f"{function.name}({text})"


def of_the_value(step: Step, value: Value) -> Iterator[tuple[Any, str]]:
    """The sign or size of a difference; the largest of some shares, as 1."""
    numbers, text = step.question.value(value), step.question.graph.text(value)
    if value.op is ops.subtract and np.any(numbers < 0):
        yield partial(np.sign, numbers), f"sign({text})"
        yield partial(np.abs, numbers), f"abs({text})"
    if value.op in SHARES:
        yield partial(decided, numbers), f"the class that {text} decides for, as 0 and 1,"


def decided(p: np.ndarray) -> np.ndarray:
    """0 and 1, by the largest of some shares, or by which side of a half one is on."""
    if p.ndim < 2 or p.shape[-1] < 2:
        return np.asarray(p > 0.5, p.dtype)
    return np.asarray(p == p.max(axis=-1, keepdims=True), p.dtype)


def mean_for_sum(step: Step) -> Iterator[Mistake]:
    """A mean where the derivative has a sum, or the other way round."""
    question, graph = step.question, step.question.graph
    for value in step.used:
        if value.op not in (ops.sum, ops.mean) or value is step.g:
            continue
        n = math.prod(value.inputs[0].shape) / max(1, math.prod(value.shape))
        names = ("mean", "sum") if value.op is ops.sum else ("sum", "mean")
        factor = 1 / n if value.op is ops.sum else n
        if n > 1:
            becomes = partial(np.multiply, question.value(value), factor)
            words = f"a {names[0]} in place of the {names[1]} {graph.text(value)}"
            yield Mistake(value, becomes, words, "batch-size")


def divided_for_multiplied(step: Step) -> Iterator[Mistake]:
    """A factor by which is divided, or a divisor with which is multiplied."""
    question, graph = step.question, step.question.graph
    for value in step.inner:
        if value.op not in (ops.multiply, ops.divide):
            continue
        pairs = [value.inputs] if value.op is ops.divide else [value.inputs, value.inputs[::-1]]
        for other, factor in pairs:
            if factor in graph.late or factor is other:
                continue
            a, b, text = question.value(other), question.value(factor), graph.text(factor, SIGN)
            if value.op is ops.multiply:
                made, words = partial(np.divide, a, b), f"divided by {text}, not multiplied with it"
            else:
                made, words = (
                    partial(np.multiply, a, b),
                    f"multiplied with {text}, not divided by it",
                )
            yield Mistake(value, made, words, "divided-not-multiplied")


def broadcast_value(step: Step) -> Iterator[Mistake]:
    """A row, a column, or a mean that is broadcast in place of a whole value."""
    graph = step.question.graph
    for value in early(step):
        z = behind_relu(value)
        right = value if z is None else z
        if right not in graph.names:
            continue
        for other, text in broadcasts(step, right):
            becomes = other if z is None else np.asarray(other > 0, value.dtype)
            whole = np.broadcast_to(becomes, value.shape)
            words = f"computed with {text}, broadcast, in place of {graph.text(right)}"
            yield Mistake(value, whole, words, "other-value")


def broadcasts(step: Step, right: Value) -> Iterator[tuple[Any, str]]:
    """What may have been broadcast by luck: one row of a matrix, its mean, a row of the graph."""
    question, graph = step.question, step.question.graph
    numbers, text = question.value(right), graph.text(right)
    if len(right.shape) != 2 or min(right.shape) < 2 or right.dtype == bool:
        return
    for i in (0, len(numbers) - 1):
        yield numbers[i], f"row {i} of {text}"
        yield numbers[:, [i]] if i < numbers.shape[1] else numbers[:, [0]], f"column {i} of {text}"
    yield numbers.mean(axis=0), f"the mean of {text} over the rows"
    yield numbers.mean(axis=1, keepdims=True), f"the mean of {text} over the columns"
    n, k = right.shape
    place = graph.forward[step.x]
    rows = [v for v in graph.forward if v in graph.names and v.shape in ((k,), (1, k), (n, 1))]
    rows.sort(key=lambda v: abs(graph.forward[v] - place))
    for v in rows[:MOST]:
        yield question.value(v), graph.text(v)


def early(step: Step) -> list[Value]:
    """What a step uses of the forward."""
    graph = step.question.graph
    return [v for v in step.used if v not in graph.late and isinstance(v, VALUES)]
