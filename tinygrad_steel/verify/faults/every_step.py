"""Mistakes in a loop: the same one at every step, or nothing sent back from round to round."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.values import Apply, Value
from ..traced_loss import Graph
from . import axes, derivatives, factors, functions, loops, mixups, terms
from .at_once import Fault
from .places import listed, way_to
from .question import Gradient, Mistake, Question, Step, step_of

Kind = Callable[[Step], Iterator[Mistake]]


class Edge(NamedTuple):
    """One of the ways to the gradient of `x`: the one that is `number` in its sum."""

    x: Value
    number: int


Ways = list[list[Edge]]  # that are alike

# Nothing comes back


def nothing_sent_back(question: Question) -> Iterator[Fault]:
    """The state of each round, or of one, gets nothing from the round after it."""
    graph = question.graph
    ones = loops.alike(graph)
    made_in = loops.rounds(graph, ones)
    ways: dict[int, list[Edge]] = {}
    for x, y in loops.handed_on(graph, ones):
        ways.setdefault(made_in[x], []).extend(edges_through(graph, x, y))
    one_by_one = [edges for edges in ways.values() if edges][::-1]
    every = [edge for edges in one_by_one for edge in edges]
    for edges in [every, *one_by_one] if len(one_by_one) > 1 else one_by_one:
        is_in_loop = edges is every
        named = one_by_one[0] if is_in_loop else edges
        through = dict.fromkeys(graph.text(graph.parts[x][k][0]) for x, k in named)
        words = f"the gradient that comes through {listed([*through], 'and')} is missing"
        first = first_of(edges)
        yield Fault(without(graph, edges), first, words, ("missing-term",), is_in_loop)


def missing_ways(question: Question, every: Ways) -> Iterator[Fault]:
    """The same way is missing at every step."""
    graph = question.graph
    for edges in every:
        first = first_of(edges)
        through = graph.text(graph.parts[edges[0].x][edges[0].number][0])
        words = f"the gradient that comes through {through} is missing"
        yield Fault(without(graph, edges), first, words, ("missing-term",), is_in_loop=True)


def scaled_ways(question: Question, every: Ways, numbers: Iterable[float]) -> Iterator[Fault]:
    """The same way has a factor at every step: a sign, or one that people get wrong."""
    graph = question.graph
    for edges in every:
        through = graph.text(graph.parts[edges[0].x][edges[0].number][0])
        for factor in dict.fromkeys(numbers):
            named = factors.named(question.causes, factor)
            if named is not None:
                becomes = {
                    graph.gradient_of[x]: partial(times, x, {*edges}, factor) for x, _ in edges
                }
                words = f"in what comes through {through}: {named.words}"
                yield Fault(becomes, first_of(edges), words, named.codes, is_in_loop=True)


def times(x: Value, scaled: set[Edge], factor: float, now: Question) -> Any:
    """A gradient, to which some ways come with a factor."""
    total: Any = 0
    for k, (_, g) in enumerate(now.graph.parts[x]):
        total = total + (factor if Edge(x, k) in scaled else 1) * now.value(g)
    return total


def nothing_at_all(question: Question) -> Iterator[Fault]:
    """The same way is missing at every step, so that nothing comes to what lies behind: the places
    nearest to the loss come first.
    """
    graph = question.graph
    every = alike_edges(question, loops.alike(graph))
    return missing_ways(question, every[::-1])


def without(graph: Graph, edges: list[Edge]) -> dict[Value, Callable[[Question], Any]]:
    """Gradients without some of their ways."""
    left_out = {(x, k) for x, k in edges}
    return {graph.gradient_of[x]: partial(rest, x, left_out) for x, _ in edges}


def rest(x: Value, left_out: set[tuple[Value, int]], now: Question) -> Any:
    """A gradient as it comes on the other ways."""
    total: Any = np.zeros(x.shape, x.dtype)
    for k, (_, g) in enumerate(now.graph.parts[x]):
        if (x, k) not in left_out:
            total = total + now.value(g)
    return total


# The same mistake


def at_every_step(question: Question, others: bool = False) -> Iterator[Fault]:
    """The same mistake in all steps that are alike, each with what comes to it then; `others`: in
    those as well that do not lead to what is asked about.
    """
    graph = question.graph
    ones = loops.alike(graph)
    every = alike_edges(question, ones, others)
    several = [edges for edges in every if len(first_of(edges)) > 1]
    gates = siblings(question, alike_edges(question, ones, others, least=1))
    yield from missing_ways(question, several)
    yield from scaled_ways(question, several, [-1.0, 2.0])
    yield from in_steps(question, every, FIRST)
    for edges in gates:
        yield from (in_gates(fault, edges) for fault in in_steps(question, [edges], GATES))
    yield from other_values(question, ones, every)
    yield from scaled_ways(question, several, [cause.number for cause in question.causes])
    yield from in_steps(question, every, LAST)


def in_steps(question: Question, every: Ways, kinds: Iterable[Kind]) -> Iterator[Fault]:
    """Each mistake of these kinds, made in all steps that are alike."""
    for kind in kinds:
        for edges in every:
            step = step_at(question, edges[0])
            for j, mistake in enumerate(kind(step) if step.g is not step.gy else ()):
                yield same(question, edges, [(kind, j)] * len(edges), mistake)


def same(
    question: Question, edges: list[Edge], ways: list[tuple[Kind, int]], mistake: Mistake
) -> Fault:
    """A mistake in each of these steps: of which kind, and which of that kind."""
    graph = question.graph
    steps = [step_at(question, edge) for edge in edges]
    makers = {e: partial(nth, step, *way) for e, step, way in zip(edges, steps, ways)}
    becomes = {graph.gradient_of[x]: partial(whole, x, makers) for x, _ in edges}
    return Fault(becomes, first_of(edges), mistake.words, mistake.codes, is_in_loop=True)


def nth(step: Step, kind: Kind, j: int, now: Question) -> Any:
    """A way to a gradient with this mistake; ValueError where the step has no such mistake."""
    step = dataclasses.replace(step, question=now)
    mistake = next(itertools.islice(kind(step), j, None), None)
    if mistake is None:
        raise ValueError("no such mistake")
    return step.with_mistake(mistake, 0)


def whole(x: Value, makers: Mapping[Edge, Callable[[Question], Any]], now: Question) -> Any:
    """A gradient, some ways to which have a mistake."""
    total: Any = 0
    for k, (_, g) in enumerate(now.graph.parts[x]):
        make = makers.get(Edge(x, k))
        total = total + (make(now) if make else now.value(g))
    return total


def other_values(question: Question, ones: list[loops.Alike], every: Ways) -> Iterator[Fault]:
    """Another value of the same round in place of one that is used, or another gradient."""
    graph = question.graph
    for edges in every:
        step = step_at(question, edges[0])
        for one in ones if step.g is not step.gy else ():
            others = one.members[::-1]
            if len(others) != len(edges):
                continue
            kinds: list[list[Kind]] = []
            for i, right in enumerate(step.used):
                if right not in graph.late and right.shape == others[0].shape:
                    kinds.append([partial(used_for, i, other) for other in others])
            if others[0].shape == step.gy.shape and all(y in graph.gradient_of for y in others):
                kinds.append([partial(gradient_for, other) for other in others])
            for each in kinds:
                for mistake in each[0](step):
                    yield same(question, edges, [(kind, 0) for kind in each], mistake)


def used_for(i: int, other: Value, step: Step) -> Iterator[Mistake]:
    """Another value for one from which a step is computed."""
    graph, right = step.question.graph, step.used[i]
    if other is not right:
        words = f"computed with {graph.text(other)} in place of {graph.text(right)}"
        yield Mistake(right, step.question.value(other), words, "other-value")


def gradient_for(other: Value, step: Step) -> Iterator[Mistake]:
    """Another gradient for the one that comes to a step."""
    graph, g = step.question.graph, step.question.graph.gradient_of[other]
    if g is not step.gy:
        came = graph.gradient_text(step.y)
        words = f"computed from {graph.gradient_text(other)} in place of {came}"
        yield Mistake(step.gy, step.question.value(g), words, "other-gradient")


def altered(step: Step) -> Iterator[Mistake]:
    """A term, a sign, an op too often, an axis in a value of the derivative."""
    for value in (x for x in step.used if x.op is not ops.transpose):
        for kind in (terms.term_missing, terms.inverted, terms.applied_twice, axes.other_axis):
            yield from kind(step, value)


# What is likely comes first: where a loop is long, not all can be tried.
FIRST: tuple[Kind, ...] = (
    derivatives.handed_on_unchanged,
    derivatives.factor_left_out,
    altered,
    derivatives.alone,
    axes.other_product,
)
LAST: tuple[Kind, ...] = (
    functions.other_derivative,
    functions.other_derivative_alone,
    derivatives.taken_twice,
    axes.sum_over_others,
)


GATES: tuple[Kind, ...] = (
    derivatives.handed_on_unchanged,
    derivatives.factor_left_out,
    altered,
    mixups.own_values,
    derivatives.alone,
    functions.other_derivative,
)


# The steps of a loop


def in_a_loop(gradients: list[Gradient]) -> list[Gradient]:
    """Those of values that a loop makes, where many steps lie between two parameters."""
    graph = gradients[0].question.graph if gradients else None
    made_in = loops.rounds(graph, loops.alike(graph)) if graph else {}
    return [gradient for gradient in gradients if gradient.x in made_in]


def alike_edges(
    question: Question, ones: list[loops.Alike], others: bool = False, least: int = 2
) -> Ways:
    """The ways to gradients that are alike, the nearest to the loss first, where there are two or
    more (`least`) on the way to the one that is asked about; `others`: and elsewhere, but to none that was
    handed over.
    """
    graph, on_the_way = question.graph, {*way_to(question)}
    allowed = on_the_way
    if others:
        allowed = ({*graph.order} - {*question.handed}) | on_the_way
    found = []
    for one in ones:
        for i in range(len(one.members[0].inputs)):
            edges = []
            for y in reversed(one.members):
                x = y.inputs[i]
                if graph.gradient_of.get(x) in allowed:
                    before = sum(other is x for other in y.inputs[:i])
                    edges += edges_through(graph, x, y)[before : before + 1]
            if len(edges) >= least and any(graph.gradient_of[x] in on_the_way for x, _ in edges):
                found.append(edges)
    return found


def in_gates(fault: Fault, edges: list[Edge]) -> Fault:
    """A mistake in several parts of one value, of one round or of all."""
    wholes = dict.fromkeys(x.inputs[0] for x, _ in edges)
    words = f"{fault.words}; the same in {len(edges) // len(wholes)} parts side by side"
    return fault._replace(words=words, is_in_loop=len(wholes) > 1)


def siblings(question: Question, every: Ways) -> Ways:
    """Ways through the same function of several parts of one value, as of the gates of an LSTM."""
    groups: dict[Any, Ways] = {}
    for edges in every:
        x, k = edges[0]
        y, _ = question.graph.parts[x][k]
        if x.op is ops.getitem:
            groups.setdefault((x.inputs[0], x.shape, y.op), []).append(edges)
    return [[edge for edges in ones for edge in edges] for ones in groups.values() if len(ones) > 1]


def edges_through(graph: Graph, x: Value, y: Apply) -> list[Edge]:
    """The ways to the gradient of a value that come through this result; none where both have the
    same gradient.
    """
    if graph.gradient_of.get(x) is graph.gradient_of.get(y):
        return []
    return [Edge(x, k) for k, (other, _) in enumerate(graph.parts.get(x, ())) if other is y]


def step_at(question: Question, edge: Edge) -> Step:
    """The step on one of the ways."""
    y, g = question.graph.parts[edge.x][edge.number]
    return step_of(Gradient(question, edge.x, []), y, g)


def first_of(edges: list[Edge]) -> list[Value]:
    """Whose gradients have the fault."""
    return [*dict.fromkeys(x for x, _ in edges)]
