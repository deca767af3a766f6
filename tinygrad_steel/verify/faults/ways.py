"""Mistakes in a gradient that comes on several ways: one missing, alone, or too large."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ... import ops
from ...program.values import Value
from ..closeness import ratio, several, tolerance
from ..codes import Code
from . import factors
from .factors import Named
from .question import Gradient, Mistake, Step


def known_factor(gradient: Gradient) -> Iterator[Mistake]:
    """A factor that has a meaning, on one of the ways."""
    return one_factor(gradient, plain=False)


def any_factor(gradient: Gradient) -> Iterator[Mistake]:
    """Any factor, on one of the ways."""
    return one_factor(gradient, plain=True)


def one_factor(gradient: Gradient, plain: bool) -> Iterator[Mistake]:
    """A factor on one of the ways, or on all but one, as it has to be for the answer."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    if not question.fits:
        return
    for y, others in gradient.without:
        decay: tuple[Code, ...] = ("weight-decay",) if y in graph.penalties else ()
        factor, named = factor_besides(gradient, others, plain)
        if factor == 0:
            words = f"the gradient that comes through {graph.text(y)} is missing"
            yield Mistake(g, others, words, decay[0] if decay else "missing-term")
        elif named and factor is not None:
            words = named.words + (other_constant(gradient, y, factor) if plain else "")
            becomes = others + factor * (question.value(g) - others)
            first, *besides = (*decay, *named.codes)
            words = f"in what comes through {graph.text(y)}: {words}"
            yield Mistake(g, becomes, words, first, tuple(besides))
    for y, others in gradient.without if len(gradient.without) > 2 else ():
        this = question.value(g) - others
        factor, named = factor_besides(gradient, this, plain)
        if named and factor:
            words = f"in all but what comes through {graph.text(y)}: {named.words}"
            first, *besides = named.codes
            yield Mistake(g, this + factor * others, words, first, tuple(besides))


def factor_besides(
    gradient: Gradient, rest: np.ndarray, plain: bool
) -> tuple[float | None, Named | None]:
    """The factor on what comes besides the rest of a gradient, 0 where it is missing; and what is
    said of it.
    """
    question = gradient.question
    given, expected = question.given, question.expected
    without = question.replay({gradient.g: rest}, gradient.path)[question.asked]
    factor = ratio(given - without, expected - without)
    if factor is None:
        return None, None
    if abs(factor) < tolerance(given, gradient.g):
        return 0, None
    return factor, factors.named(question.causes, factor, plain and several(expected - without))


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
        yield Mistake(g, question.value(g) - others, words, "missing-term")


def value_itself(gradient: Gradient) -> Iterator[Mistake]:
    """A number of the forward, such as a penalty, in place of its derivative."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    for y, part in gradient.parts:
        others = question.value(g) - question.value(part)
        for v in graph.forward:
            if not v.shape and v in graph.gradient_of and y in graph.behind(v):
                words = f"{graph.text(v)} itself instead of its derivative"
                if len(gradient.parts) > 1:
                    words = f"in what comes through {graph.text(y)}: {words}"
                yield Mistake(g, others + question.value(v), words, "wrong-derivative")


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
        yield Mistake(step.gy, both, words, "counted-twice")
        alone = step.given - step.question.value(part)
        words = f"what comes through {through} is not sent on"
        yield Mistake(step.gy, alone, words, "missing-term")
