"""Mistakes with the local derivative: left out, alone, taken twice, without one of its factors."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterator
from functools import partial

import numpy as np

from ... import ops
from ...program.expressions import INFIX
from ...program.values import Apply, Value, alias
from ..traced_loss import Graph
from .question import Mistake, Step

TURNS = (ops.transpose, ops.swapaxes)
HANDING_ON = (alias, ops.broadcast_to, ops.expand_dims)


def handed_on_unchanged(step: Step) -> Iterator[Mistake]:
    """The gradient of `y` in place of that of `x`."""
    graph, y = step.question.graph, step.y
    becomes = stretched(step.given, step.x.shape)
    missing = derivative(graph, step.g, step.start)
    if becomes is None or missing == "":
        return
    came = graph.gradient_text(y)
    if y.op in TURNS:
        words = f"{came} is handed on as it is, and not transposed back"
        yield Mistake(step.g, becomes, words, "transposed")
        return
    factor = f"{y.op.name}'({graph.text(step.x)})"
    if missing and y.op in INFIX:
        factor = missing
    elif missing and "(...)" not in missing:
        factor += f" = {missing}"
    words = f"{came} is handed on unchanged: the factor {factor} is missing"
    is_function = y.op not in INFIX
    yield Mistake(step.g, becomes, words, "missing-derivative" if is_function else "missing-factor")


def shared_evenly(step: Step) -> Iterator[Mistake]:
    """What comes to the largest element of several, shared by all of them, or whole for each."""
    graph, x, y = step.question.graph, step.x, step.y
    if y.op not in (ops.max, ops.min):
        return
    axis, shape = y.params.get("axis"), y.shape
    if len(shape) < len(x.shape):  # without keepdims
        axes = axis if isinstance(axis, tuple) else (axis,)
        gone = {one % len(x.shape) for one in axes if one is not None}
        shape = tuple(1 if i in gone or not gone else n for i, n in enumerate(x.shape))
    n = math.prod(x.shape) // max(1, math.prod(shape))
    came = np.broadcast_to(step.given.reshape(shape), x.shape)
    largest = "largest" if y.op is ops.max else "smallest"
    what = f"{graph.gradient_text(y)} goes to all elements, and not to the {largest} alone"
    yield Mistake(step.g, came / n, f"{what}: shared evenly, as of a mean", "wrong-derivative")
    yield Mistake(step.g, came, what, "wrong-derivative")


def stretched(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """`g` broadcast to a shape, as a column where it has one number for each row; None where it
    does not fit.
    """
    for spread in (g[..., None], g):
        with contextlib.suppress(ValueError):
            return np.broadcast_to(spread, shape)
    return None


def derivative(graph: Graph, g: Value, start: Collection[Value]) -> str | None:
    """What a step multiplies a gradient with; None where it does more than that."""
    if g in start:
        return ""
    op = g.op
    if op in HANDING_ON:
        return derivative(graph, g.inputs[0], start)
    if op is ops.negative:
        inner = derivative(graph, g.inputs[0], start)
        return None if inner is None else f"-{inner or 1}"
    if op in (ops.multiply, ops.divide):
        return product(graph, g, start)
    return None


def product(graph: Graph, g: Value, start: Collection[Value]) -> str | None:
    """The same for a product, or quotient, one side of which is the gradient."""
    a, b = (derivative(graph, x, start) if x in graph.late else graph.text(x, 3) for x in g.inputs)
    if a is None or b is None:
        return None
    if g.op is ops.divide:
        return f"{a or 1} / {b}"
    return f"{a} * {b}" if a and b else a or b


def alone(step: Step) -> Iterator[Mistake]:
    """The local derivative without the gradient of `y`."""
    came = step.question.graph.gradient_text(step.y)
    becomes = np.ones(step.gy.shape, step.gy.dtype)
    words = f"the local derivative alone: it is not multiplied with {came}"
    yield Mistake(step.gy, becomes, words, "derivative-alone")


def taken_twice(step: Step) -> Iterator[Mistake]:
    """The step applied to its own result."""
    if step.x.shape == step.y.shape:
        through = step.question.graph.text(step.y)
        becomes = step.question.value(step.g)
        words = f"the step through {through} is taken twice"
        yield Mistake(step.gy, becomes, words, "extra-factor")


def sum_left_out(step: Step) -> Iterator[Mistake]:
    """A sum of the gradient that is a factor within the step, left out."""
    question, graph = step.question, step.question.graph
    for value in step.inner:
        if value.op is not ops.multiply:
            continue
        for factor, other in (value.inputs, value.inputs[::-1]):
            if getattr(factor, "op", None) is ops.sum and factor in step.inner:
                without = partial(np.broadcast_to, question.value(other), value.shape)
                words = f"the sum {graph.text(factor)} is missing"
                yield Mistake(value, without, words, "missing-factor")


def factor_left_out(step: Step) -> Iterator[Mistake]:
    """A factor, or a division, left out or there twice."""
    for value in step.inner:
        if value.op is ops.multiply:
            a, b = value.inputs
            yield from without_factor(step, value, a, other=b)
            yield from without_factor(step, value, b, other=a)
        if value.op is ops.divide:
            a, b = value.inputs
            yield from without_factor(step, value, b, other=a)


def without_factor(step: Step, value: Apply, factor: Value, other: Value) -> Iterator[Mistake]:
    """A product, or quotient, without this factor, and with it twice."""
    question, graph = step.question, step.question.graph
    if factor in graph.late:
        return
    what = "the factor" if value.op is ops.multiply else "the division by"
    text = f"{what} {graph.text(factor, 3)}"
    is_told = value in graph.late and (value is step.g or uses(step, factor) < 2)
    where = "" if is_told else f" in {graph.text(value)}"
    without = partial(np.broadcast_to, question.value(other), value.shape)
    yield Mistake(value, without, f"{text} is missing{where}", "missing-factor")
    twice = partial(value.op.forward, question.value(value), question.value(factor))
    yield Mistake(value, twice, f"{text} is there twice{where}", "extra-factor")


def uses(step: Step, factor: Value) -> int:
    """In how many products of the step it is."""
    return sum(v.op is ops.multiply and factor in v.inputs for v in step.inner)
