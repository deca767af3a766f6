"""What can be said of a gradient that no usual mistake explains: a factor, or where it differs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from ... import ops
from ..closeness import constant_factor, distance, largest, several, tolerance
from . import factors
from .factors import Named
from .places import between, interval
from .question import Question, handed_on
from .roles import counts_of


def difference(question: Question) -> Named:
    """What can be said where no usual fault explains it."""
    given, expected = question.given, question.expected
    if several(expected):
        number = constant_factor(given, expected)
        factor = factors.named(question.causes, number, plain=True)
        if factor:
            guess = as_if(question, abs(number)) if number else ""
            return Named(f"{factor.words}{guess}", factor.codes)
    given, expected = question.shown(given), question.shown(expected)
    off = distance(given, expected)
    where = tuple(int(i) for i in np.unravel_index(np.argmax(off), given.shape))
    found = f"{given[where]:.6g} instead of {expected[where] + 0:.6g}"
    if given.size == 1:
        return Named(found, ("unexplained",))
    differ = off > tolerance(given, expected) * largest(expected)
    wrong = int(np.sum(differ))
    count = f"all {given.size}" if wrong == given.size else f"{wrong} of {given.size}"
    lines = lines_that_differ(question, differ)
    words = f"{count} elements differ, most at index {where}: {found}{lines}{interval(question)}"
    return Named(words, ("unexplained",))


def as_if(question: Question, factor: float) -> str:
    """What a factor without a known cause may come from: another divisor, or a whole number."""
    if any(factors.is_about(factor, number) for number, *_ in question.causes):
        return ""
    averaged = next(averaged_sum(question, factor), None)
    if averaged:
        return f": {averaged}"
    guesses = [
        *averaged_uses(question, factor),
        *other_count(question, factor),
        *other_constant(question, factor),
    ]
    if is_whole(factor):
        guesses.append(f"with a factor {round(factor)} too much")
    elif is_whole(1 / factor):
        guesses.append(f"without a factor {round(1 / factor)}")
    return f": as if {', or '.join(guesses)}" if guesses else ""


def averaged_sum(question: Question, factor: float) -> Iterator[str]:
    """The mean along some axes in place of the sum, as of the bias of a convolution."""
    *_, value = handed_on(question.asked)
    if value.op is not ops.sum:
        return
    (summed,) = value.inputs
    axes = over(value.params["axis"], len(summed.shape))
    for count in range(len(axes), 0, -1):
        for along in combinations(axes, count):
            n = math.prod(summed.shape[axis] for axis in along)
            if factors.is_about(1 / factor, n):
                what = "axes" if count > 1 else "axis"
                names = ", ".join(map(str, along))
                came = question.graph.name(summed) or "what comes"
                yield f"the mean of {came} over {what} {names} in place of the sum"


def over(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a reduction, counted from the first."""
    axes = range(ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(i % ndim for i in axes)


def averaged_uses(question: Question, factor: float) -> Iterator[str]:
    """The mean over the places where a value is used, in place of the sum."""
    graph = question.graph
    owner = graph.owner_of.get(question.asked)
    uses = len(graph.parts[owner]) if owner is not None else 0
    if uses > 2 and factors.is_about(1 / factor, uses):
        yield f"averaged over the {uses} places where {graph.text(owner)} is used"


def other_count(question: Question, factor: float) -> Iterator[str]:
    """Another whole number in place of the batch size."""
    n, text = next(iter(counts_of(question.graph).items()))
    divisor = n / factor
    if n > 1 and is_whole(divisor) and round(divisor) > 1:
        yield f"divided by {round(divisor)} instead of {text}"


def other_constant(question: Question, factor: float) -> Iterator[str]:
    """Another number in place of one by which this step, or one before it, divides."""
    for g in [question.asked, *between(question)]:
        if g.op is ops.divide and not np.shape(question.value(g.inputs[1])):
            d = float(question.value(g.inputs[1]))
            yield f"divided by {d / factor:.6g} instead of {d:g}"


def is_whole(number: float) -> bool:
    """Whether it is a whole number, for all that can be told."""
    return bool(round(number) and factors.is_about(number, round(number)))


def lines_that_differ(question: Question, differ: np.ndarray) -> str:
    """The rows, or columns, in which alone a matrix differs, if they are few, or all from one to
    another; and by what factor, where it is a known one.
    """
    if differ.ndim != 2 or (np.sum(differ) == 1 and min(differ.shape) > 1):
        return ""
    for axis, name in ((0, "row"), (1, "column")):
        lines = np.flatnonzero(differ.any(axis=1 - axis))
        is_range = 2 < len(lines) == lines[-1] - lines[0] + 1
        if len(lines) < differ.shape[axis] and (is_range or 0 < len(lines) <= 2):
            numbers = f"{lines[0]} to {lines[-1]}" if is_range else " and ".join(map(str, lines))
            differs = f"{name}s {numbers} differ" if len(lines) > 1 else f"{name} {numbers} differs"
            both = question.shown(question.given), question.shown(question.expected)
            given, expected = (array.take(lines, axis) for array in both)
            factor = factors.named(question.causes, constant_factor(given, expected))
            return f"; only {differs}: {factor.words}" if factor else f"; only {differs}"
    return ""
