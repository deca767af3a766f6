"""Mistakes in time: one step off, and what belongs to another step added besides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ...program.values import Value
from ..closeness import matches
from .products import product_of
from .question import Gradient, Mistake, fitting, step_of

MOST, NEAR = 8, 12  # uses of a parameter, and other gradients that may have been added


def one_step_off(gradient: Gradient) -> Iterator[Mistake]:
    """A sum over time in which the states, or the gradients, are those of another step."""
    graph = gradient.question.graph
    if not 1 < len(gradient.parts) <= MOST:
        return
    steps = [step_of(gradient, y, part) for y, part in gradient.parts]
    heads = [product_of(step) for step in steps]
    if any(head is None for head in heads):
        return
    found = sorted(zip(steps, heads), key=lambda one: graph.forward[one[0].y])
    products = [head for _, head in found if head is not None]
    others = [next(i for i in step.y.inputs if i is not step.x) for step, _ in found]
    rest = [(h.other, h.other_text) for h in products]
    after = next_state(gradient, others)
    for moved in moves(rest, after):
        pairs = [(a, h.gy, h.is_left) for (a, _), h in zip(moved, products)]
        yield from mistaken(gradient, pairs, moved, rest)
    came = [(h.gy, graph.gradient_text(step.y)) for step, h in found if h is not None]
    for moved in moves(came, None):
        pairs = [(h.other, g, h.is_left) for (g, _), h in zip(moved, products)]
        yield from mistaken(gradient, pairs, moved, came)


def mistaken(gradient: Gradient, pairs: Any, moved: Any, right: Any) -> Iterator[Mistake]:
    """The sum of these products in place of the right ones."""
    total = fitting(partial(sum_of, pairs))
    if total is not None and not matches(total, gradient.question.value(gradient.g)):
        texts = [", ".join(text for _, text in some) for some in (moved, right)]
        words = f"steps are mixed up: {texts[0]} in place of {texts[1]}"
        yield Mistake(gradient.g, total, words, "other-value")


def sum_of(pairs: Any) -> Any:
    """The gradient of a weight from several products."""
    return sum(gy @ a.T if is_left else a.T @ gy for a, gy, is_left in pairs)


def moves(right: list[Any], after: Any) -> Iterator[list[Any]]:
    """The same by one step later or earlier, in a circle, backwards, and one for all."""
    if after is not None:
        yield [*right[1:], after]
    yield [*right[1:], right[0]]
    yield [right[-1], *right[:-1]]
    if len(right) > 2:
        yield right[::-1]
    if after is not None:
        yield [after] * len(right)
    yield [right[-1]] * len(right)
    yield [right[0]] * len(right)


def next_state(gradient: Gradient, states: list[Value]) -> Any:
    """The state that follows the last of these: the next value that the same op has made."""
    question, graph = gradient.question, gradient.question.graph
    last = states[-1]
    for v in graph.forward:
        if graph.forward[v] > graph.forward.get(last, 0) and v.op is last.op and v.op is not None:
            if v.shape == last.shape and v in graph.names:
                return question.value(v), graph.text(v)
    return None


def added_besides(gradient: Gradient) -> Iterator[Mistake]:
    """Another gradient, or what comes to another value on one way, added to this one."""
    question, graph, x, g = gradient.question, gradient.question.graph, gradient.x, gradient.g
    value, place = question.value(g), graph.forward[x]
    own = {g, *(part for _, part in gradient.parts), question.asked}
    near = sorted(graph.gradient_of, key=lambda v: abs(graph.forward[v] - place))
    found = 0
    for v in near:
        if v is x or v.shape != x.shape or found > NEAR:
            continue
        found += 1
        whole = graph.gradient_of[v]
        if whole not in own and g not in graph.behind(whole) and graph.name(whole):
            words = f"{graph.name(whole)}, which belongs to {graph.text(v)}, is added besides"
            yield Mistake(g, value + question.value(whole), words, "counted-twice")
        for y, part in graph.parts[v] if len(graph.parts[v]) > 1 else ():
            if part not in own:
                words = f"what comes to {graph.text(v)} through {graph.text(y)} is added besides"
                yield Mistake(g, value + question.value(part), words, "counted-twice")
