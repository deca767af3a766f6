"""Factors by which people get a gradient wrong: batch sizes, constants, divisors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from ... import ops
from ...program.values import VALUES, Value
from ..traced_loss import Graph

Causes = Iterable[tuple[float, str]]


def causes(graph: Graph) -> Iterator[tuple[float, str]]:
    """The factors by which people get a gradient wrong, and how, the plainest first."""
    counts = {n: text for n, text in counts_of(graph).items() if n > 1}
    divided_by = [*divisors(graph)]
    for d in dict.fromkeys(abs(d) for d in divided_by):
        if d not in (0, 1) and d not in counts:
            yield from wrong_constant(d)
    for n, text in counts.items():
        yield from wrong_count(n, text, is_divisor=any(d % n == 0 for d in divided_by))
    yield 2, "a factor 2 too much"
    yield 1 / 2, "a factor 2 is missing"
    sizes = dict.fromkeys(abs(c) for c in multipliers(graph))
    for c in sizes:
        if c not in (0, 1, 2):
            yield 1 / c, f"the factor {c:g} is missing"
            yield c, f"the factor {c:g} is there twice"
    for d in dict.fromkeys(abs(d) for d in divided_by):
        if d not in (0, 1):
            yield from wrong_divisor(d, counts)


def wrong_count(n: float, text: str, is_divisor: bool) -> Iterator[tuple[float, str]]:
    """A number of rows, classes or elements that stands where it should not."""
    yield n, f"not divided by {text}" if is_divisor else f"multiplied by {text} once too often"
    yield 1 / n, f"divided by {text} once too often"
    if is_divisor:
        yield n * n, f"multiplied by {text} instead of divided by it"
    if is_divisor and n > 2:
        yield n / (n - 1), f"divided by {n} - 1 instead of {text}"


def wrong_divisor(d: float, counts: dict[float, str]) -> Iterator[tuple[float, str]]:
    """A divisor of the graph left out, there twice, or taken for another."""
    right = counts.get(d, f"{d:g}")
    if d not in counts:
        yield d, f"not divided by {right}"
        yield 1 / d, f"divided by {right} once too often"
    for n, text in counts.items():
        if d % n:
            yield d / n, f"divided by {text} instead of {right}"


def wrong_constant(d: float) -> Iterator[tuple[float, str]]:
    """A divisor of the graph that is no count of anything: a scale, or a share that is kept."""
    yield d * d, f"multiplied by {d:g} instead of divided by it"
    if 0 < d < 1:
        yield d / (1 - d), f"divided by 1 - {d:g} instead of {d:g}"


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


def in_words(known_causes: Causes, factor: float | None, plain: bool = False) -> str:
    """A constant factor, where it is one that has a meaning; `plain`: any other one too."""
    if factor is None or not np.isfinite(factor):
        return ""
    if abs(factor) < 1e-9:
        return "zero everywhere: the gradient does not arrive here"
    size, sign = abs(factor), "the sign is wrong" if factor < 0 else ""
    if is_about(size, 1):
        return sign
    known = [(number, text) for number, text in known_causes if is_about(size, number)][:2]
    if not (known or plain):
        return ""
    size = known[0][0] if known else size
    found = f"{size:.6g} times too large everywhere"
    if size <= 1:
        found = f"{1 / size:.6g} times too small everywhere"
    if known:
        found += f": {', or '.join(text for _, text in known)}"
    return f"{sign}, and it is {found}" if sign else found


def is_about(size: float, number: float) -> bool:
    """Whether a factor is this number, for all that can be told."""
    return bool(np.isclose(size, number, rtol=1e-5, atol=0))
