"""Mistakes with a number in them that nobody knows: a rate, a shift; it is solved for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.values import Value
from ..closeness import largest, ratio, several
from ..codes import Code
from .question import Gradient, Mistake, fitting, step_of


class Direction(NamedTuple):
    """What is added to a gradient, any number of times; `words`: how to say so of a number."""

    change: Any
    words: Callable[[float], str]
    code: Code


def times_unknown(gradient: Gradient) -> Iterator[Mistake]:
    """Something that is in the gradient besides, as many times as it has to be for the answer."""
    question, g = gradient.question, gradient.g
    if not question.fits:
        return
    before = question.value(g)
    for direction in directions(gradient):
        if np.shape(direction.change) != np.shape(before):
            continue
        after = before + direction.change
        found = fitting(partial(question.replay, {g: after}, gradient.path))
        if not found:
            continue
        change = found[question.asked] - question.expected
        if not several(change) or not largest(change):
            continue
        rate = ratio(question.given - question.expected, change)
        if rate is not None and np.isfinite(rate) and abs(rate) > 1e-9:
            after = before + rate * direction.change
            yield Mistake(g, after, direction.words(rate), direction.code)


def updated_itself(gradient: Gradient) -> Iterator[Mistake]:
    """The weight after its update in place of its gradient."""
    question, graph, x = gradient.question, gradient.question.graph, gradient.x
    if x not in graph.wanted or gradient.g is not question.asked or not question.fits:
        return
    before, weight = question.value(gradient.g), question.value(x)
    rate = ratio(question.given - weight, -before)
    if rate is not None and abs(rate) > 1e-6 and several(before):
        text = graph.text(x)
        words = f"this is {text} as updated, {text} - {rate:.6g} * {graph.name(gradient.g)}"
        yield Mistake(gradient.g, weight - rate * before, words, "not-the-gradient")


def directions(gradient: Gradient) -> Iterator[Direction]:
    """What people have in a gradient besides."""
    yield from updates(gradient)
    yield from decay(gradient)
    yield from shifted(gradient)


def updates(gradient: Gradient) -> Iterator[Direction]:
    """A weight that has gone down its gradient already."""
    question, graph, x = gradient.question, gradient.question.graph, gradient.x
    for y, _ in gradient.parts:
        weight = next((i for i in y.inputs if i is not x and i in graph.wanted), None)
        if y.op is not ops.matmul or weight is None or len(y.shape) != 2:
            continue
        step, g_weight = question.value(graph.gradient_of[weight]), graph.gradient_of[weight]
        gy = question.value(graph.gradient_of[y])
        change = -(gy @ step.T) if y.inputs[0] is x else -(step.T @ gy)
        text, step_text = graph.text(weight), graph.name(g_weight) or "its gradient"

        def words(rate: float, text: str = text, step_text: str = step_text) -> str:
            return (
                f"computed with {text} as updated, {text} - {rate:.6g} * {step_text}, "
                f"in place of {text} as it was"
            )

        yield Direction(change, words, "already-updated")


def decay(gradient: Gradient) -> Iterator[Direction]:
    """A parameter's own value, as a weight decay adds it."""
    graph, x = gradient.question.graph, gradient.x
    if x in graph.wanted and x.shape:
        text = graph.text(x, 3)

        def words(rate: float) -> str:
            sign = "+" if rate > 0 else "-"
            return f"`{sign} {abs(rate):.6g} * {text}` is too much, as of a weight decay"

        yield Direction(np.asarray(gradient.question.value(x)), words, "weight-decay")


def shifted(gradient: Gradient) -> Iterator[Direction]:
    """A target, or an input, to which a number has been added."""
    question, graph = gradient.question, gradient.question.graph
    for y, part in gradient.parts:
        step = step_of(gradient, y, part)
        for value in step.used:
            if value.op is not None or value in graph.wanted or len(value.shape) < 2:
                continue
            if value.dtype.kind != "f":
                continue
            one_more: dict[Value, Any] = {value: question.value(value) + 1}
            moved = fitting(partial(question.replay, one_more, step.inner))
            if not moved or step.g not in moved:
                continue
            change, text = moved[step.g] - question.value(step.g), graph.text(value)

            def words(rate: float, text: str = text) -> str:
                sign = "+" if rate > 0 else "-"
                return f"computed with {text} {sign} {abs(rate):.6g} in place of {text}"

            yield Direction(change, words, "other-value")
