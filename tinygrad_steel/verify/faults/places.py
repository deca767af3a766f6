"""Where a fault is that shows in several gradients, and where it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from ... import ops
from ...program.values import Value
from ..closeness import constant_factor, matches, several
from . import factors
from .factors import Named
from .question import Arrays, Finding, Question, handed_on

MOST = 4  # places that are named
NEAREST = 60  # gradients that are looked at for a factor


class Hit(NamedTuple):
    """A fault that gives what was handed over, and how many other wrong gradients it does not."""

    finding: Finding
    unexplained: int


class Place(NamedTuple):
    """A gradient that has a factor, what all are then, and how many wrong ones that leaves."""

    g: Value
    factor: float
    named: Named
    after: Arrays
    unexplained: int


def origin(question: Question, named: Named) -> Finding:
    """A factor, and where it may have come in: where most wrong gradients get it from."""
    factor = constant_factor(question.given, question.expected) if question.fits else None
    hit = traced(question, partial(only, factor, named)) if factor is not None else None
    return hit.finding if hit else Finding(*named)


def only(factor: float, named: Named, found: float) -> Named | None:
    """What is said of this factor; nothing of others."""
    return named if np.isclose(found, factor, rtol=1e-5, atol=1e-9) else None


def scaled(question: Question) -> Iterator[Hit]:
    """A known factor on one of the gradients on the way, which all behind that get from it."""
    hit = traced(question, partial(factors.named, question.causes)) if question.fits else None
    if hit:
        yield hit


def traced(question: Question, name: Callable[[float], Named | None]) -> Hit | None:
    """Where a factor may have come in, of all that `name` has words for."""
    asked, graph = question.asked, question.graph
    if others_behind(question, asked):
        return None  # it is a step between others, of which those before it are right
    wrong = unexplained_by(question, {})
    found = [place for g in between(question)[:NEAREST] if (place := scaled_at(question, g, name))]
    left = min((place.unexplained for place in found), default=wrong)
    alone = left == wrong
    if not found or (alone and not several(question.expected)):
        return None
    best = next(place for place in found if place.unexplained == left)
    alike = [p for p in found if p.unexplained == left and p.named == best.named]
    names = [graph.name(p.g) for p in alike if graph.name(p.g)]
    is_of_all = matches(question.given, best.factor * question.expected, 1e-6)
    if names and alone and is_of_all:  # it may be the last step as well
        names = [graph.name(asked), *names]
    where = f"from a fault at {listed(names, 'or')}: " if names else ""
    values = {} if alone else {x: v for x, v in best.after.items() if x not in question.handed}
    return Hit(Finding(f"{where}{best.named.words}", best.named.codes, values), left)


def scaled_at(question: Question, g: Value, name: Callable[[float], Named | None]) -> Place | None:
    """A gradient as the place of a factor that gives what was handed over, and nothing that is
    denied by what is right.
    """
    asked, order, value = question.asked, question.graph.order, question.value(g)
    others = question.replay({g: 0 * value}, order).get(asked)
    if others is None:
        return None
    factor = constant_factor(question.given - others, question.expected - others)
    if matches(question.given, others):  # but for rounding, which no factor explains
        factor = 0
    named = None if factor is None else name(factor)
    if factor is None or named is None:
        return None
    after = question.replay({g: factor * value}, order)
    if contradicts(question, after):
        return None
    return Place(g, factor, named, after, unexplained_by(question, after))


def listed(names: list[str], word: str) -> str:
    """Some names, the last one after a word; not all if there are many."""
    *first, last = names
    if len(names) > MOST:
        more = {"or": "one before them", "and": f"{len(names) - MOST} more"}
        first, last = names[:MOST], more[word]
    return f"{', '.join(first)} {word} {last}" if first else last


def way_to(question: Question) -> list[Value]:
    """The gradients on the way to the one that is asked about which nobody has handed over, and it
    itself, inputs first.
    """
    graph = question.graph
    found, todo = {question.asked}, [question.asked]
    for g in todo:
        new = [x for x in g.values() if x in graph.late and x not in question.handed]
        todo += [x for x in dict.fromkeys(new) if x not in found]
        found.update(new)
    return [g for g in graph.order if g in found]


def between(question: Question) -> list[Value]:
    """Those of values, but for the one that is asked about, the nearest first."""
    owned = {*question.graph.gradient_of.values()}
    return [g for g in way_to(question)[::-1] if g in owned and g is not question.asked]


def others_behind(question: Question, g: Value) -> list[Value]:
    """What was handed over and depends on a gradient, but for the one that is asked about."""
    found = {g}
    for x in question.graph.order:
        if not found.isdisjoint(x.inputs):
            found.add(x)
    return [h for h in question.handed if h in found and h is not question.asked]


def interval(question: Question) -> str:
    """Between which gradients a fault is that nothing explains: the nearest one before it that a
    right product proves right, and the one that is asked about.
    """
    graph = question.graph
    proofs = proofs_of(question)
    for g in between(question):
        if g in proofs and graph.name(g):
            return (
                f"; the fault is between {graph.name(g)}, which is right since "
                f"{graph.name(proofs[g])} is, and {graph.name(question.asked)}"
            )
    return ""


def suspects(question: Question) -> list[Value]:
    """The gradients between those where a fault may be, the nearest first: what is proved to be
    right, and all before it, is above suspicion.
    """
    proofs, right = proofs_of(question), set[Value]()
    way = [g for g in way_to(question)[::-1] if g is not question.asked]
    for g in way:
        if g in proofs and g not in right:
            right.update(question.graph.behind(g))
    return [g for g in way if g not in right]


def proofs_of(question: Question) -> dict[Value, Value]:
    """By gradient, the one that was handed over and could not be right if it were wrong: the product
    of it and a matrix, and right.
    """
    found: dict[Value, Value] = {}
    for h in question.handed:
        if h is not question.asked and h.op is ops.matmul and is_right(question, h):
            for x in h.values():
                for g in handed_on(x):
                    found.setdefault(g, h)
    return found


def contradicts(question: Question, found: Arrays) -> bool:
    """Whether a gradient that was handed over, and is right, is not so with a fault: `found` are
    the gradients as they are then.
    """
    rights = (h for h in found if h in question.handed and h is not question.asked)
    return any(is_right(question, h) and not is_given(question, found, h) for h in rights)


def unexplained_by(question: Question, found: Arrays) -> int:
    """How many of the other wrong gradients that were handed over a fault does not give."""
    others = (h for h in question.handed if h is not question.asked)
    wrong = (h for h in others if not is_right(question, h))
    return sum(h not in found or not is_given(question, found, h) for h in wrong)


def is_given(question: Question, found: Arrays, h: Value) -> bool:
    """Whether a gradient was handed over as it is with a fault."""
    return matches(found[h], question.handed[h], 1e-6)


def is_right(question: Question, h: Value) -> bool:
    """Whether what was handed over is the graph's own gradient."""
    given, own = question.handed[h], question.graph.numbers[h]
    return given.shape == own.shape and bool(np.any(own)) and matches(given, own, 1e-6)
