"""The search for a reason: each usual mistake is made, and compared with what was given."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.values import Value, behind
from ..closeness import constant_factor, explains, matches, several
from . import at_once, choices, every_step, factors, normalizations, places, probabilities
from .candidates import candidates
from .factors import Named
from .places import Hit
from .question import Ended, Finding, Gradient, Mistake, Question, fitting
from .rounds import LAST, MANY, MORE, RARE, ROUNDS, TWO

NOTHING_SEEN = Named("", ())
NO_HITS: Iterator[Hit] = iter(())
# Steps that are looked at for a fault between two gradients handed over, and faults in all.
NEAREST, TRIES = 40, 10000
# What these may cost, in the units of a Budget.
WORK_FOR_MORE, WORK_FOR_MANY, WORK_TWICE = 1.2e9, 1e9, 5e8
SOME = 4  # numbers that are the same in another order by no chance
TWICE = 1000  # faults that are tried once more, together with a factor
# Gradients for which more is tried, and those mistakes of which there are many.
NEAREST_FOR_MORE, FEW = 16, 4


def reason(question: Question) -> Finding:
    """Why a gradient is wrong, in words that follow its name; it changes nothing."""
    return question.pool.ask(question, answer) if question.pool else answer(question)


def answer(question: Question) -> Finding:
    """The same, found with what the question's own budget allows."""
    given, expected = question.given, question.expected
    at_sight = seen_at_once(question)
    if at_sight and question.fits:
        found = origin(question, at_sight)
    elif at_sight:
        found = Finding(*at_sight)
    else:
        is_over = question.pool is not None and question.budget.left <= 0
        found = Finding(searched=False) if is_over else search(question)
    text, codes = found.reason, found.codes
    if not text:
        text, codes = taken_for(question) or NOTHING_SEEN
    if not question.fits:
        shape, right_shape = question.shown(given).shape, question.shown(expected).shape
        text = f"{text}{': ' if text else ''}shape {shape} is not {right_shape}"
        codes = codes or ("wrong-shape",)
    elif given.ndim > 1 and matches(given.T, expected) and not matches(given, expected):
        text = f"the transpose of what is right{': ' if text else ''}{text}"
        codes = ("transposed", *(code for code in codes if code != "transposed"))
    return found._replace(reason=text, codes=codes)


def origin(question: Question, named: Named) -> Finding:
    """A factor, and where it may have come in, if there is enough left to look for that."""
    try:
        found = places.origin(question, named)
        if named.codes == ("zero",) and not found.values:
            faults = every_step.nothing_at_all(question)
            return at_once.first_of_all(question, faults) or found
        return found
    except Ended:
        return Finding(*named)


def seen_at_once(question: Question) -> Named | None:
    """A factor, a transpose, a wrong shape."""
    given, expected = question.given, question.expected
    if question.fits:
        return factors.named(question.causes, constant_factor(given, expected))
    if matches(given.T, expected):
        return Named("the transpose", ("transposed",))
    if given.size == expected.size and matches(given.reshape(expected.shape), expected):
        return Named("right numbers in a wrong shape", ("wrong-shape",))
    return None


def taken_for(question: Question) -> Named | None:
    """Whether it is another gradient, or no gradient at all."""
    graph, given = question.graph, question.given
    if given.size < 2 or not np.any(given):
        return None
    for g in [*graph.gradient_of.values()][::-1]:
        if g is not question.asked and graph.name(g):
            if matches(given, graph.numbers[g]) or matches(given, question.value(g)):
                return Named(f"these are the numbers of {graph.name(g)}", ("other-gradient",))
    for x in graph.forward:
        if x in graph.names and matches(given, graph.numbers[x]):
            return Named(f"this is {graph.names[x]} itself", ("not-the-gradient",))
    return None


def in_another_order(question: Question) -> Named | None:
    """Whether these are the right numbers, but not where they belong."""
    given, expected = question.given.ravel(), question.expected.ravel()
    if not question.fits or np.unique(expected[expected != 0]).size < SOME:
        return None
    if not matches(np.sort(given), np.sort(expected)):
        return None
    return Named("the right numbers in the wrong places: in another order", ("wrong-places",))


def search(question: Question) -> Finding:
    """The usual fault that gives just what was handed over, among as many as WORK allows."""
    tried = itertools.count()
    if not np.any(np.isfinite(question.given)):  # many candidates are infinite, or NaN, as well
        return Finding()
    try:
        # Nobody has asked for candidates, and so nobody wants their warnings.
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            owners, path = region(question)
            return exact_loss(question, owners, path) or in_rounds(question, owners, path, tried)
    except Ended:
        return Finding(ended=next(tried))


def region(question: Question) -> tuple[list[Value], list[Value]]:
    """Whose gradients may be at fault, that which is asked about first, and the gradients on the
    way to it.
    """
    graph = question.graph
    owners: dict[Value, list[Value]] = {}
    for x, g in graph.gradient_of.items():
        owners.setdefault(g, []).append(x)
    found: list[Value] = []
    todo, seen = [question.asked], {question.asked}
    while todo and len(found) < NEAREST:
        g = todo.pop(0)
        found += owners.get(g, [])
        late = (x for x in g.values() if x in graph.late)
        new = [x for x in late if x not in seen and x not in question.handed]
        seen.update(new)
        todo += new
    return found, [g for g in graph.order if g in seen]


def exact_loss(question: Question, owners: list[Value], path: list[Value]) -> Finding | None:
    """Whether it belongs to the loss without the epsilon that the graph has in its logarithm."""
    for mistake in probabilities.without_epsilon(question, owners) if question.fits else ():
        found = question.replay({mistake.value: mistake.becomes}, path)
        if explains(found[question.asked], question.given, question.expected):
            return Finding(mistake.words, mistake.codes, found)
    return None


def in_rounds(
    question: Question, owners: list[Value], path: list[Value], tried: Iterator[int]
) -> Finding:
    """The usual faults; another gradient altogether; those of which there are many."""
    gradients = [Gradient(question, x, path) for x in owners]
    nearest = [one for one in gradients[:NEAREST_FOR_MORE] if 0 not in one.x.shape]
    if question.given.size < 2:  # one number is soon hit by chance
        nearest = []
    few = nearest[:FEW] + every_step.in_a_loop(nearest[FEW:])
    one_by_one = (found for gradient in few for found in candidates([gradient], MANY))
    share = question.budget.share
    cuts = every_step.nothing_sent_back(question)
    in_many = itertools.chain(
        choices.other_condition(question),
        normalizations.held_constant(question),
        every_step.at_every_step(question),
    )
    everywhere = every_step.at_every_step(question, others=True)
    loops = at_once.explaining(question, everywhere)
    usual = partial(usual_fault, question, tried=tried, besides=loops)
    return (
        at_once.first_of_all(question, cuts)
        or usual(candidates(gradients, ROUNDS), others=places.scaled(question))
        or as_finding(taken_for(question))
        or share(WORK_FOR_MORE, partial(at_once.first_that_explains, question, in_many))
        or share(WORK_FOR_MORE, partial(usual, candidates(nearest, MORE)))
        or share(WORK_FOR_MANY, partial(usual, one_by_one))
        or share(WORK_FOR_MANY, partial(usual, candidates(nearest, RARE)))
        or as_finding(in_another_order(question))
        or usual(candidates(gradients, LAST))
        or share(WORK_TWICE, partial(with_a_factor, question, candidates(nearest, ROUNDS)))
        or share(WORK_TWICE, partial(with_a_factor, question, candidates(nearest[:FEW], MORE[1:])))
        or share(WORK_TWICE, partial(usual_fault, question, candidates(nearest, TWO), tried))
        or Finding(ended=ended(tried))
    )


def as_finding(named: Named | None) -> Finding | None:
    """A reason that changes no gradient before."""
    return Finding(*named) if named else None


def ended(tried: Iterator[int]) -> int | None:
    """After how many candidates the search was ended; None where all were tried."""
    return TRIES if next(tried) > TRIES else None


def usual_fault(
    question: Question,
    found: Iterator[tuple[Gradient, Mistake]],
    tried: Iterator[int],
    others: Iterator[Hit] = NO_HITS,
    besides: Iterator[Hit] = NO_HITS,
) -> Finding | None:
    """The first of these mistakes that gives just what was handed over, or one of `others`; or a
    later one, or one of those `besides`, if it gives more of the other wrong gradients.
    """
    hits = explaining(question, found, tried)
    first = next(hits, None) or next(others, None)
    if first is None or not first.unexplained:
        return first and first.finding
    better, rest = [first], itertools.chain(others, besides, hits)
    question.budget.share(WORK_FOR_MORE, partial(add_better, better, rest))
    return better[-1].finding


def add_better(better: list[Hit], hits: Iterator[Hit]) -> None:
    """Add those of which each gives more than the one before it."""
    for hit in hits:
        if hit.unexplained < better[-1].unexplained:
            better.append(hit)
        if not better[-1].unexplained:
            return


def explaining(
    question: Question, found: Iterator[tuple[Gradient, Mistake]], tried: Iterator[int]
) -> Iterator[Hit]:
    """Those of these mistakes that give just what was handed over, and nothing that is denied by
    what is right.
    """
    for gradient, mistake in found:
        if next(tried) >= TRIES:
            return
        values = made_of(question, gradient, mistake)
        if not values or not explains(values[question.asked], question.given, question.expected):
            continue
        go_on = partial(question.replay, {gradient.g: mistake.becomes}, question.graph.order)
        after = fitting(go_on) or values  # with another shape nobody goes on
        if not places.contradicts(question, after):
            values = followed(question, gradient.g, mistake.becomes)
            finding = Finding(place(gradient) + mistake.words, mistake.codes, values)
            yield Hit(finding, places.unexplained_by(question, after))


def followed(question: Question, g: Value, becomes: Any) -> dict[Value, Any]:
    """What becomes of all gradients that nobody has handed over, with this one."""
    order = [x for x in question.graph.order if x not in question.handed]
    return fitting(partial(question.replay, {g: becomes}, order)) or {}


def with_a_factor(question: Question, found: Iterator[tuple[Gradient, Mistake]]) -> Finding | None:
    """The first of these mistakes that gives it but for a factor that people get wrong."""
    given = question.given
    if not question.fits or np.count_nonzero(given) < 3 or not several(given):
        return None
    if constant_factor(given, question.expected) is not None:
        return None
    others: dict[Value, Any] = {}  # what comes on ways that do not lead through a gradient
    for gradient, mistake in itertools.islice(found, TWICE):
        g = gradient.g
        if g not in others:
            nothing = {g: np.zeros(g.shape, g.dtype)}
            others[g] = question.replay(nothing, gradient.path)[question.asked]
        values = made_of(question, gradient, mistake, is_answer=False)
        if not values or values[question.asked].shape != given.shape:
            continue
        factor = constant_factor(given - others[g], values[question.asked] - others[g])
        named = factors.named(question.causes, factor)
        if named and factor and several(given - others[g]):
            hit = with_factor(question, gradient, mistake, named, factor)
            if hit:
                return hit
    return None


def with_factor(
    question: Question, gradient: Gradient, mistake: Mistake, named: Named, factor: float
) -> Finding | None:
    """A mistake with a factor besides, unless what is right denies it."""
    becomes = factor * mistake.becomes
    if places.contradicts(question, question.replay({gradient.g: becomes}, question.graph.order)):
        return None
    words = f"{place(gradient)}{mistake.words}; besides, {named.words}"
    values = followed(question, gradient.g, becomes)
    return Finding(words, (*mistake.codes, *named.codes), values)


def made_of(
    question: Question, gradient: Gradient, mistake: Mistake, is_answer: bool = True
) -> dict[Value, Any] | None:
    """What becomes of the gradients with a mistake; None where it does not fit, or is seen not to
    answer the question.
    """
    g, path = gradient.g, gradient.path
    if np.shape(mistake.becomes) != g.shape and not may_have_another_shape(question, g):
        return None
    becomes = partial(question.replay, {g: mistake.becomes}, path, is_answer=is_answer)
    return fitting(becomes)  # type: ignore[no-any-return]


def place(gradient: Gradient) -> str:
    """Where a fault is, if not in the gradient that is asked about."""
    question = gradient.question
    if gradient.g is question.asked:
        return ""
    return f"from a fault at {question.graph.gradient_text(gradient.x)}: "


def may_have_another_shape(question: Question, g: Value) -> bool:
    """Whether a gradient may be wrong in its shape too: the one that is asked about, or its
    transpose.
    """
    asked = question.asked
    return g is asked or (asked.op is ops.transpose and g in behind(asked.inputs))
