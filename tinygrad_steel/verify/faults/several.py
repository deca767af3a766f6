"""Two slips at once: in one step, or on two of the ways that a gradient comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ...program.values import Value
from ..closeness import combination, constant_factor, largest, several, tolerance
from ..codes import Code
from . import derivatives, factors, functions, indices, terms
from .factors import Named
from .question import Gradient, Mistake, Question, Step, fitting, step_of

MOST_WAYS = 6  # on which a gradient comes

SLIPS: tuple[Callable[[Step], Iterator[Mistake]], ...] = (
    derivatives.factor_left_out,
    derivatives.sum_left_out,
    terms.a_term_missing,
)
ON_A_WAY: tuple[Callable[[Step], Iterator[Mistake]], ...] = (
    *SLIPS,
    indices.assigned_and_not_added,
    derivatives.handed_on_unchanged,
    derivatives.alone,
)
ON_A_WAY_TIMES = (*ON_A_WAY, functions.other_derivative)


def two_slips(step: Step) -> Iterator[Mistake]:
    """Two of the plainest slips in one step."""
    graph = step.question.graph
    for first in slips(step, SLIPS):
        after = fitting(partial(replayed, step, first))
        if not after:
            continue
        changed = dataclasses.replace(step.question, values={**step.question.values, **after})
        again = dataclasses.replace(step, question=changed)
        for second in slips(again, SLIPS):
            if first.value is second.value or first.value not in graph.behind(second.value):
                continue  # the other way round, the second slip would undo the first
            found = fitting(partial(replayed, again, second))
            if found and step.g in found:
                words = f"{first.words}; besides, {second.words}"
                codes = (*first.besides, *second.codes)
                yield Mistake(step.g, found[step.g], words, first.code, codes)


def slips(step: Step, kinds: Any) -> Iterator[Mistake]:
    """All slips of these kinds in a step."""
    for kind in kinds:
        yield from kind(step)


def replayed(step: Step, mistake: Mistake) -> dict[Any, Any]:
    """What becomes of a step with a mistake."""
    becomes = mistake.becomes() if callable(mistake.becomes) else mistake.becomes
    at = step.start if mistake.value is step.gy else [mistake.value]
    return step.question.replay(dict.fromkeys(at, becomes), step.inner)


def one_slip_and_a_factor(gradient: Gradient) -> Iterator[Mistake]:
    """A slip on one of the ways, and a factor on all the others, or nothing of these."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    if g is not question.asked or not question.fits or not 1 < len(gradient.parts) <= MOST_WAYS:
        return
    for y, part in gradient.parts:
        step = step_of(gradient, y, part)
        rest = question.value(g) - question.value(part)
        if part is step.gy:
            continue
        for mistake in slips(step, ON_A_WAY):
            made = fitting(partial(replayed, step, mistake))
            if not made or part not in made or np.shape(made[part]) != g.shape:
                continue
            others = factor_of_rest(question, question.given - made[part], rest)
            if others is not None:
                factor, besides = others
                words = f"in what comes through {graph.text(y)}: {mistake.words}"
                words = f"{words}; besides, {through_others(gradient, y)}{besides.words}"
                codes = (*mistake.besides, *besides.codes)
                yield Mistake(g, made[part] + factor * rest, words, mistake.code, codes)


def slip_and_factor_on_a_way(gradient: Gradient) -> Iterator[Mistake]:
    """A slip on one of the ways that has a known factor besides."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    if g is not question.asked or not question.fits or not 1 < len(gradient.parts) <= MOST_WAYS:
        return
    for y, part in gradient.parts:
        step = step_of(gradient, y, part)
        rest = question.value(g) - question.value(part)
        for mistake in slips(step, ON_A_WAY_TIMES) if part is not step.gy else ():
            made = fitting(partial(replayed, step, mistake))
            if not made or part not in made or np.shape(made[part]) != g.shape:
                continue
            factor = constant_factor(question.given - rest, made[part])
            besides = factors.named(question.causes, factor) if several(made[part]) else None
            if besides and factor:
                words = f"in what comes through {graph.text(y)}: {mistake.words}"
                words = f"{words}; besides, {besides.words}"
                codes = (*mistake.besides, *besides.codes)
                yield Mistake(g, factor * made[part] + rest, words, mistake.code, codes)


def factor_of_rest(question: Question, left: Any, rest: Any) -> tuple[float, Named] | None:
    """The factor that what comes on the other ways has, if it is a known one, and no 1."""
    if not several(rest):
        return None
    if largest(left) <= tolerance(question.given) * largest(question.given):
        return 0, Named("is missing", ("missing-term",))
    factor = constant_factor(left, rest)
    found = factors.named(question.causes, factor)
    return (
        (factor, Named(f"is wrong too: {found.words}", found.codes)) if found and factor else None
    )


def through_others(gradient: Gradient, y: Value) -> str:
    """What comes on all ways but one, in words."""
    texts = (gradient.question.graph.text(other) for other, _ in gradient.parts if other is not y)
    return f"the gradient that comes through {' and '.join(dict.fromkeys(texts))} "


def factor_on_each_way(gradient: Gradient) -> Iterator[Mistake]:
    """Known factors on several of the ways, each as it has to be for the answer."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    if g is not question.asked or not question.fits or not 1 < len(gradient.parts) <= MOST_WAYS:
        return
    values = [question.value(part) for _, part in gradient.parts]
    question.budget.spend(question.given.size * len(values) ** 2)
    found = combination(values, question.given)
    if found is None or question.given.size <= 2 * len(values):
        return
    said: list[str] = []
    codes: list[Code] = []
    for (y, _), factor in zip(gradient.parts, found):
        named = way_in_words(question, graph.text(y), float(factor))
        if named is None:
            return
        said += [named.words] if named.words else []
        codes += named.codes
    if len(said) > 1:
        becomes = sum(factor * value for factor, value in zip(found, values))
        yield Mistake(g, becomes, "; besides, ".join(said), codes[0], tuple(codes[1:]))


def way_in_words(question: Question, text: str, factor: float) -> Named | None:
    """A factor on one way: empty where it is 1, None where it is none that is known."""
    if factors.is_about(factor, 1):
        return Named("", ())
    if abs(factor) < 1e-6:
        return Named(f"the gradient that comes through {text} is missing", ("missing-term",))
    found = factors.named(question.causes, factor)
    return Named(f"in what comes through {text}: {found.words}", found.codes) if found else None
