"""Mistakes with a number in them that nobody knows: a rate, a shift; it is solved for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.texts import PRODUCT
from ...program.values import Value
from ..closeness import constant_factor, largest, ratio, several
from ..codes import Code
from .question import Gradient, Mistake, fitting, step_of

MORE_THAN_ROUNDING = 1e-3  # of the largest element: rounding is held for right up to there
MOST_USES = 8  # of a weight that is updated after each


class Direction(NamedTuple):
    """What is added to a gradient, any number of times; `words`: how to say so of a number.

    `least`: how much of the largest element it has to make, where it is no rounding that happens
    to look so.
    """

    change: Any
    words: Callable[[float], str]
    code: Code
    least: float = 0


def times_unknown(gradient: Gradient) -> Iterator[Mistake]:
    """Something that is in the gradient besides, as many times as it has to be for the answer."""
    return solved_for(gradient, directions(gradient))


def solved_for(gradient: Gradient, directions: Iterator[Direction]) -> Iterator[Mistake]:
    """Each of these things, as many times as it has to be for the answer."""
    question, g = gradient.question, gradient.g
    if not question.fits:
        return
    before = question.value(g)
    for direction in directions:
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
        if rate is None or not np.isfinite(rate) or abs(rate) <= 1e-9:
            continue
        if abs(rate) * largest(change) >= direction.least * largest(question.expected):
            after = before + rate * direction.change
            yield Mistake(g, after, direction.words(rate), direction.code)


def updated_itself(gradient: Gradient) -> Iterator[Mistake]:
    """The weight after its update in place of its gradient."""
    question, graph, x = gradient.question, gradient.question.graph, gradient.x
    if x not in graph.wanted or gradient.g is not question.asked or not question.fits:
        return
    before, weight = question.value(gradient.g), question.value(x)
    rate = ratio(question.given - weight, -before)
    if rate is not None and 1e-6 < abs(rate) < np.inf and several(before):
        if rate < 0 and not np.any(weight):
            return  # of a bias that begins at 0, it is the gradient with a factor, and no more
        text, sign = graph.text(x), "-" if rate > 0 else "+"
        words = (
            f"this is {text} as updated, {text} {sign} {abs(rate):.6g} * {graph.name(gradient.g)}"
        )
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
        g_weight = graph.gradient_of[weight]
        step = question.value(g_weight)
        gy = question.value(graph.gradient_of[y])
        change = -(gy @ step.T) if y.inputs[0] is x else -(step.T @ gy)
        text, step_text = graph.text(weight), graph.name(g_weight) or "its gradient"

        def words(rate: float, text: str = text, step_text: str = step_text) -> str:
            sign = "-" if rate > 0 else "+"
            return (
                f"computed with {text} as updated, {text} {sign} {abs(rate):.6g} * {step_text}, "
                f"in place of {text} as it was"
            )

        yield Direction(change, words, "already-updated")
        parts = graph.parts[weight]
        for user, part in parts if 1 < len(parts) <= MOST_USES else ():
            step = question.value(part)
            change = -(gy @ step.T) if y.inputs[0] is x else -(step.T @ gy)
            what = f"what comes to {text} through {graph.text(user)}"
            yield Direction(change, partial(words, step_text=what), "already-updated")


def decay(gradient: Gradient) -> Iterator[Direction]:
    """A parameter's own value, as a weight decay adds it: on all of it, or on some lines alone."""
    question, graph, x = gradient.question, gradient.question.graph, gradient.x
    if x not in graph.wanted or not x.shape:
        return
    weight, text = np.asarray(question.value(x)), graph.text(x, PRODUCT)
    parts = [question.value(part) for y, part in gradient.parts if y in graph.penalties]
    own = constant_factor(np.asarray(sum(parts)), weight) if parts else None
    yield Direction(weight, partial(rate_in_words, text, own or 0), "weight-decay")
    if not parts:
        signs = np.sign(weight)
        yield Direction(signs, partial(rate_in_words, f"sign({text})", 0), "weight-decay")
    for some, where in lines_of(weight) if gradient.g is question.asked else ():
        words = partial(rate_there, f"in {where}", text, bool(parts))
        yield Direction(weight * some, words, "weight-decay", MORE_THAN_ROUNDING)


def rate_in_words(text: str, own: float, rate: float) -> str:
    """A weight decay that is too much, or has another rate than its `own`."""
    if own:
        return f"`{own + rate:.6g} * {text}` in place of `{own:.6g} * {text}` of the weight decay"
    sign = "+" if rate > 0 else "-"
    return f"`{sign} {abs(rate):.6g} * {text}` is too much, as of a weight decay"


def rate_there(where: str, text: str, is_decayed: bool, rate: float) -> str:
    """A weight decay that is too much, or missing, in some rows or columns."""
    if rate < 0 and is_decayed:
        return f"{where} `{-rate:.6g} * {text}` of the weight decay is missing"
    return f"{where} {rate_in_words(text, 0, rate)}"


def lines_of(weight: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    """The first and the last row and column of a matrix, and all but these."""
    for axis, name in enumerate(("row", "column")) if weight.ndim == 2 else ():
        for i in (0, weight.shape[axis] - 1) if weight.shape[axis] > 1 else ():
            one = np.zeros(weight.shape)
            one[(slice(None),) * axis + (i,)] = 1
            yield one, f"{name} {i}"
            yield 1 - one, f"all {name}s but {name} {i}"


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
