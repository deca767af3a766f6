"""Gradients judged one after the other, from the loss backwards, each by those before it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ..program.values import Value
from .codes import Code
from .faults.factors import causes
from .faults.places import suspects
from .faults.question import Budget, Pool, Question
from .report import EMPTY, RIGHT, WRONG
from .rounding import Rounding
from .traced_loss import Graph
from .verdicts import Judgement, judge

Arrays = Mapping[Value, np.ndarray]
UNEXPLAINED: frozenset[Code] = frozenset({"unexplained", "unexplained-limit", "not-searched"})


def judged(
    graph: Graph, handed: Arrays, first: Pool | None = None, later: Pool | None = None
) -> dict[Value, Judgement]:
    """The verdict on each gradient that was handed over, in the order of the backward.

    `first`: what the search for the reason of the first wrong one may cost, as much as any search
    if nothing is said; `later`: those for the others together, as much as two.
    """
    later = later or shared_by_later()
    known_causes = tuple(causes(graph))
    divisors = tuple(float(number) for number, *_ in known_causes if number > 1)
    rounding = Rounding(graph, handed, divisors)
    values: dict[Value, np.ndarray] = {}  # gradients, as they follow from those handed over so far
    ahead: dict[Value, np.ndarray] = {}  # those that have a fault of which one before them told
    doubted: dict[Value, Value] = {}  # where a fault may be that nothing explains, and in what
    spoiled = False
    pool = first
    found: dict[Value, Judgement] = {}
    for g in (graph.start, *graph.order):
        values[g] = ahead[g] if g in ahead else graph.computed(g, values)
        if g not in handed:
            continue
        now = MappingProxyType(values)
        question = Question(
            graph, known_causes, handed, now, spoiled, g, handed[g], values[g], pool=pool
        )
        found[g] = judge(question, rounding)
        if UNEXPLAINED & {*found[g].codes}:
            found[g] = with_doubt(question, found[g], doubted)
        pool = later if found[g].verdict == WRONG else pool
        expected = values[g]
        values |= found[g].values  # what comes next may follow from it
        ahead |= found[g].ahead
        values[g] = reshaped(handed[g], expected)
        spoiled = spoiled or not found[g].verdict.startswith((RIGHT, EMPTY))
    return found


def with_doubt(question: Question, found: Judgement, doubted: dict[Value, Value]) -> Judgement:
    """What nothing explains, and which one before it may be wrong for the same fault."""
    way = suspects(question)
    same = next((doubted[g] for g in way[::-1] if g in doubted), None)
    for g in way:
        doubted.setdefault(g, question.asked)
    if same is None or not question.graph.name(same):
        return found
    words = f"{found.reason}; perhaps of the same fault as {question.graph.name(same)}"
    return found._replace(reason=words)


def shared_by_later() -> Pool:
    """What the searches for the later ones may cost together, where the first one had its own."""
    whole = Budget().left
    return Pool(2 * whole, each=whole / 2)


def question(graph: Graph, pool: Pool, asked: Value, given: np.ndarray, handed: Arrays) -> Question:
    """Why this array is wrong as a gradient, where these others were handed over."""
    values = up_to(graph, asked, handed)
    expected = values[asked]
    now = MappingProxyType(values)
    known_causes = tuple(causes(graph))
    return Question(graph, known_causes, handed, now, False, asked, given, expected, pool=pool)


def up_to(graph: Graph, last: Value, handed: Arrays) -> dict[Value, np.ndarray]:
    """The gradients, up to this one, as they follow from what was handed over."""
    values: dict[Value, np.ndarray] = {}
    for g in (graph.start, *graph.order):
        values[g] = graph.computed(g, values)
        if g in handed and g is not last:
            values[g] = reshaped(handed[g], values[g])
        if g is last:
            break
    return values


def reshaped(given: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """What was handed over, in the shape with which one can go on."""
    if given.shape != expected.shape and given.shape == expected.shape[::-1]:
        return given.T
    return given.reshape(expected.shape) if given.size == expected.size else expected
