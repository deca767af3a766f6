"""Factors by which people get a gradient wrong: batch sizes, constants, divisors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.values import VALUES, Value
from ..codes import Code
from ..traced_loss import Graph
from .roles import behind_products, counts_of

FEW = 4  # samples: their number less one is soon hit by chance


class Cause(NamedTuple):
    """A factor by which people get a gradient wrong, and how; `is_told_alone`: it stands in the
    graph, and sizes that happen to have the same number are not told beside it.
    """

    number: float
    words: str
    code: Code
    is_told_alone: bool = False


class Named(NamedTuple):
    """What is said of a factor that was found, and the codes of that."""

    words: str
    codes: tuple[Code, ...]


def causes(graph: Graph) -> Iterator[Cause]:
    """The factors by which people get a gradient wrong, and how, the plainest first: what stands
    in the graph comes before sizes that happen to have the same number.
    """
    counts = {n: text for n, text in counts_of(graph).items() if n > 1}
    averages, scales = averages_of(graph), scales_of(graph)
    averaged = [n for n in counts if any(d == n or d / n in counts for d in averages)]
    constants = [d for d in averages if d not in counts]
    for d in scales:
        yield from wrong_constant(d)
        yield from wrong_divisor(d)
    for d in constants:
        yield from wrong_constant(d)
    for scale, text in scales_of_masks(graph).items():
        words = scale_missing(text, scale)
        yield Cause(1 / scale, words, "missing-factor", is_told_alone=True)
        words = f"the scale {scale:g} that stands in the mask {text} is there twice"
        yield Cause(scale, words, "extra-factor", is_told_alone=True)
    for n in averaged:
        yield from wrong_average(n, counts[n])
    yield Cause(2, "a factor 2 too much", "extra-factor")
    yield Cause(1 / 2, "a factor 2 is missing", "missing-factor")
    for c in dict.fromkeys(multipliers(graph)):
        if c not in (0, 1, 2):
            yield Cause(1 / c, f"the factor {c:g} is missing", "missing-factor")
            yield Cause(c, f"the factor {c:g} is there twice", "extra-factor")
    for d in constants:
        yield from wrong_divisor(d)
    for n, text in counts.items():
        if n not in averaged:
            yield Cause(n, f"multiplied by {text} once too often", "batch-size")
            yield Cause(1 / n, f"divided by {text} once too often", "batch-size")
    for d in [*averages, *scales]:
        yield from other_count(d, counts)


def wrong_divisor(d: float) -> Iterator[Cause]:
    """A divisor of the graph that is left out, or there twice."""
    yield Cause(d, f"not divided by {d:g}", "missing-factor")
    yield Cause(1 / d, f"divided by {d:g} once too often", "extra-factor")


def wrong_average(n: float, text: str) -> Iterator[Cause]:
    """A number over which is averaged: left out, there twice, multiplied with, or less one."""
    yield Cause(n, f"not divided by {text}", "batch-size")
    yield Cause(1 / n, f"divided by {text} once too often", "batch-size")
    yield Cause(n * n, f"multiplied by {text} instead of divided by it", "batch-size")
    if n > FEW:
        yield Cause(n / (n - 1), f"divided by {n:g} - 1 instead of {text}", "batch-size")


def other_count(d: float, counts: dict[float, str]) -> Iterator[Cause]:
    """A divisor of the graph for which another number is taken."""
    for n, text in counts.items():
        if d != n and d / n not in counts:
            words = f"divided by {text} instead of {counts.get(d, f'{d:g}')}"
            yield Cause(d / n, words, "batch-size")


def wrong_constant(d: float) -> Iterator[Cause]:
    """A divisor of the graph that is no count of anything: a scale, or a share that is kept."""
    yield Cause(d * d, f"multiplied by {d:g} instead of divided by it", "divided-not-multiplied")
    if 0 < d < 1:
        yield Cause(d / (1 - d), f"divided by 1 - {d:g} instead of {d:g}", "other-factor")


def divisors(graph: Graph) -> list[float]:
    """The numbers by which something is divided on the way to the loss."""
    return [*averages_of(graph), *scales_of(graph)]


def averages_of(graph: Graph) -> list[float]:
    """Those of a mean, and those by which the loss, or what it is the sum of, is divided."""
    inside = behind_products(graph)
    found: dict[float, None] = {}
    for y in graph.forward:
        if y.op is ops.mean:
            found[math.prod(y.inputs[0].shape) // max(1, math.prod(y.shape))] = None
        if y.op is ops.divide and y not in inside:
            found.update(dict.fromkeys(plain_numbers(graph, y.inputs[1:])))
    return [d for d in found if d not in (0, 1)]


def scales_of(graph: Graph) -> list[float]:
    """Those by which something is divided that goes into a product, as in an attention."""
    inside = (y for y in behind_products(graph) if y.op is ops.divide)
    found = dict.fromkeys(d for y in inside for d in plain_numbers(graph, y.inputs[1:]))
    return [d for d in found if d not in (0, 1)]


def scales_of_masks(graph: Graph) -> dict[float, str]:
    """The numbers, other than 1, that stand beside 0 in masks, and what these are called."""
    found: dict[float, str] = {}
    for x in graph.forward:
        scale = scale_of_mask(x, graph.numbers[x]) if x not in graph.wanted else None
        if scale is not None:
            found.setdefault(scale, graph.text(x))
    return found


def scale_of_mask(x: Value, numbers: Any) -> float | None:
    """The one number other than 1 that stands beside 0 in a mask that is no result; None where it
    is anything else.
    """
    is_result = x.op is not None and not x.op.draws
    if is_result or len(x.shape) < 2 or x.dtype.kind != "f":
        return None
    scale = float(np.max(numbers, initial=0))
    zero = numbers == 0
    is_mask = np.all(zero | (numbers == scale)) and np.any(zero)
    return scale if is_mask and scale not in (0, 1) and np.isfinite(scale) else None


def scale_missing(text: str, scale: float) -> str:
    """A mask is taken as 0 and 1."""
    return f"the mask {text} is taken as 0 and 1: the scale {scale:g} that stands in it is missing"


def multipliers(graph: Graph) -> Iterator[float]:
    """The numbers by which something is multiplied."""
    for y in graph.forward:
        if y.op is ops.multiply:
            yield from plain_numbers(graph, y.inputs)


def plain_numbers(graph: Graph, inputs: Iterable[Any]) -> Iterator[float]:
    """The sizes of the inputs that are one number and no result."""
    for x in inputs:
        if not isinstance(x, VALUES) or (x.op is None and not x.shape):
            number = abs(float(graph.now(x)))
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
    known = [cause for cause in known if cause.is_told_alone] or known
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
