"""Mistakes in a gradient that comes on several ways: one missing, alone, or too large."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ... import ops
from ...program.values import Value
from ..closeness import ratio, several, tolerance
from . import factors
from .question import Gradient, Mistake, Step


def known_factor(gradient: Gradient) -> Iterator[Mistake]:
    """A factor that has a meaning, on one of the ways."""
    return one_factor(gradient, plain=False)


def any_factor(gradient: Gradient) -> Iterator[Mistake]:
    """Any factor, on one of the ways."""
    return one_factor(gradient, plain=True)


def one_factor(gradient: Gradient, plain: bool) -> Iterator[Mistake]:
    """A factor on one of the ways, as it has to be for the answer."""
    question, g = gradient.question, gradient.g
    given, expected = question.given, question.expected
    for y, others in gradient.without if question.fits else ():
        rest = question.replay({g: others}, gradient.path)[question.asked]
        factor = ratio(given - rest, expected - rest)
        through = question.graph.text(y)
        if factor is not None and abs(factor) < tolerance(given, g):
            yield Mistake(g, others, f"the gradient that comes through {through} is missing")
            continue
        words = factors.in_words(question.causes, factor, plain and several(expected - rest))
        if words:
            words += other_constant(gradient, y, factor) if plain else ""
            becomes = others + factor * (question.value(g) - others)
            yield Mistake(g, becomes, f"in what comes through {through}: {words}")


def other_constant(gradient: Gradient, y: Value, factor: float | None) -> str:
    """Another number in place of the one with which `y` multiplies."""
    for c in y.inputs:
        if y.op is ops.multiply and not np.shape(gradient.question.value(c)) and factor:
            number = float(gradient.question.value(c))
            return f", as if by {factor * number:.6g} instead of {number:g}"
    return ""


def only_one(gradient: Gradient) -> Iterator[Mistake]:
    """One of the ways alone."""
    question, g = gradient.question, gradient.g
    for y, others in gradient.without:
        through = question.graph.text(y)
        words = f"only the gradient that comes through {through} is there"
        yield Mistake(g, question.value(g) - others, words)


def counted_twice(step: Step) -> Iterator[Mistake]:
    """A step that is taken once for what has come so far, and once more for all of it."""
    graph = step.question.graph
    parts = graph.parts[step.y]
    for y, part in parts if len(parts) > 1 else ():
        through = graph.text(y)
        both = step.given + step.question.value(part)
        words = (
            f"in what comes through {through}: 2 times too large everywhere, as if it were sent on "
            f"when it came, and with the sum once more"
        )
        yield Mistake(step.gy, both, words)
        alone = step.given - step.question.value(part)
        yield Mistake(step.gy, alone, f"what comes through {through} is not sent on")
