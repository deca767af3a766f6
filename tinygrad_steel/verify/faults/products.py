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
from ..traced_loss import Graph
from .derivatives import derivative
from .question import Mistake, Step, fitting


class Product(NamedTuple):
    """A gradient that comes through a product of two matrices, or of stacks of them: the `other`
    one, the gradient `gy` of the product, how both are written, and those of the transposed ones,
    and whether `x` is the `left` one.
    """

    other: np.ndarray
    gy: np.ndarray
    other_text: str
    gy_text: str
    other_turned: str
    gy_turned: str
    is_left: bool

    @property
    def right(self) -> str:
        """How the right product is written."""
        if self.is_left:
            return f"{self.gy_text} @ {self.other_turned}"
        return f"{self.other_turned} @ {self.gy_text}"

    @property
    def others(self) -> list[tuple[np.ndarray, str]]:
        """The other matrix, and its transpose."""
        return both_ways(self.other, self.other_text, self.other_turned)

    @property
    def gradients(self) -> list[tuple[np.ndarray, str]]:
        """The gradient that came, and its transpose."""
        return both_ways(self.gy, self.gy_text, self.gy_turned)


def both_ways(a: np.ndarray, text: str, turned: str) -> list[tuple[np.ndarray, str]]:
    """A matrix, or a stack of them, and the transpose."""
    return [(a, text), (np.swapaxes(a, -1, -2), turned)]


def product_of(step: Step) -> Product | None:
    """The product of two matrices through which a gradient comes; None where it is another op."""
    head = product_of_stacks(step)
    return head if head is not None and head.other.ndim == head.gy.ndim == 2 else None


def product_of_stacks(step: Step) -> Product | None:
    """The same for stacks of matrices too, where `x` has as many as the product."""
    question, x, y = step.question, step.x, step.y
    if y.op is not ops.matmul or len(x.shape) < 2 or x.shape[:-2] != y.shape[:-2]:
        return None
    other = next((i for i in y.inputs if i is not x), x)
    if len(other.shape) < 2:
        return None
    texts = (spelled(v, question.graph) for v in (other, step.gy))
    (text, turned), (gy_text, gy_turned) = texts
    is_left = y.inputs[0] is x
    return Product(
        question.value(other), step.given, text, gy_text, turned, gy_turned, is_left=is_left
    )


def spelled(v: Value, graph: Graph) -> tuple[str, str]:
    """How a matrix, or a stack of them, is written, and how its transpose is."""
    text = graph.text(v, ATOM)
    if len(v.shape) == 2:
        return text, f"{text}.T"
    if v.op is ops.swapaxes and v not in graph.names:
        if {axis % len(v.shape) - len(v.shape) for axis in v.params.values()} == {-1, -2}:
            return text, graph.text(v.inputs[0], ATOM)
    return text, f"swapaxes({graph.text(v)}, -1, -2)"


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
