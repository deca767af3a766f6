"""Factors by which people get a gradient wrong: batch sizes, constants, divisors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ... import ops
from ...program.values import VALUES, Value
from ..codes import Code
from ..traced_loss import Graph


class Cause(NamedTuple):
    """A factor by which people get a gradient wrong, and how."""

    number: float
    words: str
    code: Code


class Named(NamedTuple):
    """What is said of a factor that was found, and the codes of that."""

    words: str
    codes: tuple[Code, ...]


def causes(graph: Graph) -> Iterator[Cause]:
    """The factors by which people get a gradient wrong, and how, the plainest first."""
    counts = {n: text for n, text in counts_of(graph).items() if n > 1}
    divided_by = [*divisors(graph)]
    for d in dict.fromkeys(abs(d) for d in divided_by):
        if d not in (0, 1) and d not in counts:
            yield from wrong_constant(d)
    for n, text in counts.items():
        yield from wrong_count(n, text, is_divisor=any(d % n == 0 for d in divided_by))
    yield Cause(2, "a factor 2 too much", "extra-factor")
    yield Cause(1 / 2, "a factor 2 is missing", "missing-factor")
    sizes = dict.fromkeys(abs(c) for c in multipliers(graph))
    for c in sizes:
        if c not in (0, 1, 2):
            yield Cause(1 / c, f"the factor {c:g} is missing", "missing-factor")
            yield Cause(c, f"the factor {c:g} is there twice", "extra-factor")
    for d in dict.fromkeys(abs(d) for d in divided_by):
        if d not in (0, 1):
            yield from wrong_divisor(d, counts)


def wrong_count(n: float, text: str, is_divisor: bool) -> Iterator[Cause]:
    """A number of rows, classes or elements that stands where it should not."""
    more = f"not divided by {text}" if is_divisor else f"multiplied by {text} once too often"
    yield Cause(n, more, "batch-size")
    yield Cause(1 / n, f"divided by {text} once too often", "batch-size")
    if is_divisor:
        yield Cause(n * n, f"multiplied by {text} instead of divided by it", "batch-size")
    if is_divisor and n > 2:
        yield Cause(n / (n - 1), f"divided by {n} - 1 instead of {text}", "batch-size")


def wrong_divisor(d: float, counts: dict[float, str]) -> Iterator[Cause]:
    """A divisor of the graph left out, there twice, or taken for another."""
    right = counts.get(d, f"{d:g}")
    if d not in counts:
        yield Cause(d, f"not divided by {right}", "missing-factor")
        yield Cause(1 / d, f"divided by {right} once too often", "extra-factor")
    for n, text in counts.items():
        if d % n:
            yield Cause(d / n, f"divided by {text} instead of {right}", "batch-size")


def wrong_constant(d: float) -> Iterator[Cause]:
    """A divisor of the graph that is no count of anything: a scale, or a share that is kept."""
    yield Cause(d * d, f"multiplied by {d:g} instead of divided by it", "divided-not-multiplied")
    if 0 < d < 1:
        yield Cause(d / (1 - d), f"divided by 1 - {d:g} instead of {d:g}", "other-factor")


def counts_of(graph: Graph) -> dict[float, str]:
    """What people divide by: numbers of rows, classes, elements."""
    axis = batch_axis(graph)
    rows = next((x.shape[axis] for x in graph.leaves if x.shape and x not in graph.wanted), 0)
    counts: dict[float, str] = {rows: f"the batch size {rows}"}
    for y in graph.forward:
        if is_reduction(y):
            x = y.inputs[0]
            if len(x.shape) > 1:
                classes = x.shape[-1] if axis == 0 else x.shape[-2]
                counts.setdefault(classes, f"the number of classes {classes}")
            size = math.prod(x.shape)
            counts.setdefault(size, f"the number of elements {size}")
    return counts


def batch_axis(graph: Graph) -> int:
    """Along which axis the samples are: the first, unless the data agree on the last one alone."""
    shapes = [x.shape for x in graph.leaves if len(x.shape) > 1 and x not in graph.wanted]
    firsts, lasts = {shape[0] for shape in shapes}, {shape[-1] for shape in shapes}
    return -1 if len(firsts) > 1 and len(lasts) == 1 else 0


def is_reduction(y: Value) -> bool:
    """Whether it is a mean, a sum, or one number for each row."""
    op = y.op
    if op is None or op is ops.matmul:
        return False
    if op in (ops.mean, ops.sum):
        return True
    x = y.inputs[0]
    return isinstance(x, VALUES) and y.shape == x.shape[:-1]


def divisors(graph: Graph) -> Iterator[float]:
    """The numbers by which the loss is divided somewhere."""
    for y in graph.forward:
        if y.op is ops.mean:
            yield math.prod(y.inputs[0].shape) // max(1, math.prod(y.shape))
        if y.op is ops.divide:
            yield from plain_numbers(graph, y)


def multipliers(graph: Graph) -> Iterator[float]:
    """The numbers by which something is multiplied."""
    for y in graph.forward:
        if y.op is ops.multiply:
            yield from plain_numbers(graph, y)


def plain_numbers(graph: Graph, y: Value) -> Iterator[float]:
    """The inputs that are one number and no result."""
    for x in y.inputs:
        if not isinstance(x, VALUES) or (x.op is None and not x.shape):
            number = float(graph.now(x))
            if np.isfinite(number):
                yield number


def named(causes: Iterable[Cause], factor: float | None, plain: bool = False) -> Named | None:
    """A constant factor, where it is one that has a meaning; `plain`: any other one too."""
    if factor is None or not np.isfinite(factor):
        return None
    if abs(factor) < 1e-9:
        return Named("zero everywhere: the gradient does not arrive here", ("zero",))
    size, is_turned = abs(factor), factor < 0
    if is_about(size, 1):
        return Named("the sign is wrong", ("sign",)) if is_turned else None
    known = [cause for cause in causes if is_about(size, cause.number)][:2]
    if not (known or plain):
        return None
    code = known[0].code if known else "other-factor"
    size = known[0].number if known else size
    found = f"{size:.6g} times too large everywhere"
    if size <= 1:
        found = f"{1 / size:.6g} times too small everywhere"
    if known:
        found += f": {', or '.join(cause.words for cause in known)}"
    if is_turned:
        return Named(f"the sign is wrong, and it is {found}", ("sign", code))
    return Named(found, (code,))


def is_about(size: float, number: float) -> bool:
    """Whether a factor is this number, for all that can be told."""
    return bool(np.isclose(size, number, rtol=1e-5, atol=0))
