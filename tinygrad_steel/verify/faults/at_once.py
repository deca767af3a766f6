"""Faults in several gradients at once, as one line of code makes them."""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...program.values import Value
from ..closeness import explains, matches
from ..codes import Code
from ..traced_loss import NOTHING
from .places import Hit, contradicts, listed, unexplained_by, way_to
from .question import Finding, Question, fitting


class Fault(NamedTuple):
    """What becomes of several gradients, each by those before it: `becomes` makes it of the
    question with what they are now. `first`: whose gradients have the fault, the nearest to the loss
    first, where that is known. `is_in_loop`: whether it is the same at every step of a loop.
    `changed`: values of the forward that are others in all of the backward.
    """

    becomes: Mapping[Value, Callable[[Question], Any]]
    first: list[Value]
    words: str
    codes: tuple[Code, ...]
    is_in_loop: bool = False
    changed: Mapping[Value, Any] = NOTHING


def replay(question: Question, fault: Fault, order: Sequence[Value]) -> dict[Value, Any]:
    """What becomes of the gradients with a fault."""
    found: dict[Value, Any] = {**fault.changed}
    if fault.changed:  # what the backward alone makes of these changes as well
        graph, late = question.graph, {*order}
        order = [
            x for x in graph.values if x in late or not (x in graph.late or x in graph.forward)
        ]
    now = dataclasses.replace(question, values=ChainMap(found, question.known))
    for g in order:
        if g in fault.becomes:
            found[g] = fault.becomes[g](now)
        elif g not in found and not found.keys().isdisjoint(g.inputs):
            found[g] = now.compute(g, found)
    return found


def in_words(question: Question, fault: Fault, found: Mapping[Value, Any]) -> str:
    """Where it is, and what; `found`: the gradients as they are with it."""
    graph = question.graph
    places = [graph.gradient_of[x] for x in fault.first or first_changed(question, fault, found)]
    every = ", at every step" if fault.is_in_loop else ""
    if question.asked in places:
        return f"{fault.words}{every}"
    places = [g for g in places if g not in question.handed]
    names = [graph.name(g) for g in places if graph.name(g)]
    names = names or [graph.gradient_text(graph.owner_of[g]) for g in places[:1]]
    return f"from a fault at {listed(names, 'and')}{every}: {fault.words}" if names else fault.words


def first_changed(question: Question, fault: Fault, found: Mapping[Value, Any]) -> list[Value]:
    """Whose gradient, of those with a name, is the first to change with a fault, but for what that
    has taken out.
    """
    graph = question.graph
    for g in graph.order:
        if g in found and g not in fault.becomes and graph.name(g):
            if not matches(found[g], question.value(g)):
                return [graph.owner_of[g]]
    return []


def explaining(question: Question, faults: Iterable[Fault]) -> Iterator[Hit]:
    """Those of the faults in several gradients that give just what was handed over."""
    if question.given.size < 2:  # one number is soon hit by chance
        return
    path = way_to(question)
    late = [g for g in question.graph.order if g not in question.handed]
    for fault in faults:
        found = fitting(partial(replay, question, fault, path)) or {}
        values = found.get(question.asked)
        if values is None or not explains(values, question.given, question.expected):
            continue
        after = replay(question, fault, question.graph.order)
        if not contradicts(question, after):
            found = replay(question, fault, late)
            ahead = {g: found[g] for g in fault.becomes if g in found}
            words = in_words(question, fault, found)
            finding = Finding(words, fault.codes, found, ahead=ahead)
            yield Hit(finding, unexplained_by(question, after))


def first_of_all(question: Question, faults: Iterable[Fault]) -> Finding | None:
    """The first of the faults that gives all wrong gradients, where there are others."""
    if not unexplained_by(question, {}):
        return None
    hits = explaining(question, faults)
    return next((hit.finding for hit in hits if not hit.unexplained), None)


def first_that_explains(question: Question, faults: Iterable[Fault]) -> Finding | None:
    """The first of the faults that gives the gradient that is asked about."""
    return next((hit.finding for hit in explaining(question, faults)), None)
