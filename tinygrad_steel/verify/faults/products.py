"""Mistakes of one product for another: elementwise for the matrix product, and the reverse."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from .derivatives import derivative
from .question import Mistake, Step


def elementwise_for_matrix(step: Step) -> Iterator[Mistake]:
    """`*` in place of `@`, with and without the transposes, and summed perhaps."""
    question, graph, x, y = step.question, step.question.graph, step.x, step.y
    if y.op is not ops.matmul or not len(x.shape) == len(y.shape) == 2:
        return
    other = next((i for i in y.inputs if i is not x), x)
    a, text, came = question.value(other), graph.text(other, 5), graph.text(step.gy, 5)
    right = f"{came} @ {text}.T" if y.inputs[0] is x else f"{text}.T @ {came}"
    gradients = [(step.given, came), (step.given.T, f"{came}.T")]
    for (b, b_text), (c, c_text) in itertools.product([(a, text), (a.T, f"{text}.T")], gradients):
        words = f"the elementwise product {b_text} * {c_text} instead of the matrix product {right}"
        yield Mistake(step.g, partial(np.multiply, b, c), words, "elementwise-for-dot")


def matrix_for_elementwise(step: Step) -> Iterator[Mistake]:
    """`@` in place of `*` between the gradient and the derivative."""
    question, graph, x, y = step.question, step.question.graph, step.x, step.y
    factor = derivative(graph, step.g, step.start)
    if not factor or len(x.shape) != 2 or x.shape != y.shape or not np.all(step.given):
        return
    slope, came = question.value(step.g) / step.given, graph.gradient_text(y)
    pairs: list[tuple[Any, Any]] = [(step.given, slope), (slope, step.given)]
    for a, b in pairs:
        for left, right in ((a, b), (a, b.T), (a.T, b)):
            if left.shape[1] == right.shape[0] and (len(left), right.shape[1]) == x.shape:
                words = f"the matrix product of {came} and {factor} instead of the elementwise one"
                becomes = partial(np.matmul, left, right)
                yield Mistake(step.g, becomes, words, "dot-for-elementwise")
