"""Mistakes with products of matrices: elementwise for them, and the reverse."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.texts import ATOM
from ...program.values import Value
from .derivatives import derivative
from .question import Mistake, Step, fitting


class Product(NamedTuple):
    """A gradient that comes through a product of two matrices: the `other` one, the gradient `gy`
    of the product, how both are written, and whether `x` is the `left` one.
    """

    other: np.ndarray
    gy: np.ndarray
    other_text: str
    gy_text: str
    is_left: bool

    @property
    def right(self) -> str:
        """How the right product is written."""
        if self.is_left:
            return f"{self.gy_text} @ {self.other_text}.T"
        return f"{self.other_text}.T @ {self.gy_text}"

    @property
    def others(self) -> list[tuple[np.ndarray, str]]:
        """The other matrix, and its transpose."""
        return [(self.other, self.other_text), (self.other.T, f"{self.other_text}.T")]

    @property
    def gradients(self) -> list[tuple[np.ndarray, str]]:
        """The gradient that came, and its transpose."""
        return [(self.gy, self.gy_text), (self.gy.T, f"{self.gy_text}.T")]


def product_of(step: Step) -> Product | None:
    """The product of two matrices through which a gradient comes; None where it is another op."""
    question, graph, x, y = step.question, step.question.graph, step.x, step.y
    if y.op is not ops.matmul or not len(x.shape) == len(y.shape) == 2:
        return None
    other = next((i for i in y.inputs if i is not x), x)
    texts = graph.text(other, ATOM), graph.text(step.gy, ATOM)
    return Product(question.value(other), step.given, *texts, is_left=y.inputs[0] is x)


def elementwise_for_matrix(step: Step) -> Iterator[Mistake]:
    """`*` in place of `@`, with and without the transposes, and summed perhaps."""
    head = product_of(step)
    if head is None:
        return
    for (b, b_text), (c, c_text) in itertools.product(head.others, head.gradients):
        product = f"{b_text} * {c_text}"
        words = f"the elementwise product {product} instead of the matrix product {head.right}"
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


def matrix_in_derivative(step: Step) -> Iterator[Mistake]:
    """The same for a product within the derivative too, as in g @ (1 - y.T @ y)."""
    question, graph = step.question, step.question.graph
    early = [v for v in step.inner if v not in graph.late]
    square = next((v for v in early if is_square_of_matrix(v)), None)
    if square is None:
        return
    a, text = question.value(square.inputs[0]), graph.text(square.inputs[0], ATOM)
    came = graph.gradient_text(step.y)
    for left, right, written in ((a.T, a, f"{text}.T @ {text}"), (a, a.T, f"{text} @ {text}.T")):
        found = fitting(partial(question.replay, {square: left @ right}, early)) or {}
        slope = [*found.values()][-1:]
        words = (
            f"the matrix product of {came} and the derivative, with {written} in place of "
            f"{graph.text(square)}"
        )
        for b, c in [(step.given, *slope), (*slope, step.given)] if slope else ():
            if b.shape[-1:] == c.shape[:1]:
                yield Mistake(step.g, partial(np.matmul, b, c), words, "dot-for-elementwise")


def is_square_of_matrix(v: Value) -> bool:
    """Whether it is y * y, or the square of y, for a matrix."""
    is_square = v.op is ops.square or (v.op is ops.multiply and v.inputs[0] is v.inputs[1])
    return is_square and len(v.shape) == 2
