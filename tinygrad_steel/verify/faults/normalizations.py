"""Mistakes in a normalization: its mean, or its variance, taken for a constant."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.values import Value
from .at_once import Fault
from .question import Gradient, Mistake, Question, fitting

STATISTICS = (ops.mean, ops.sum, ops.max, ops.min, ops.var, ops.std)


def held_constant(question: Question) -> Iterator[Fault]:
    """Statistics through which nothing comes back."""
    graph = question.graph
    found = statistics(question, graph.owner_of[question.asked])
    groups = [found, *([y] for y in found)] if len(found) > 1 else [found]
    for held in groups if found else ():
        zeros = {graph.gradient_of[y]: partial(nothing, y) for y in held}
        words = f"held constant: nothing comes back through {' and '.join(map(graph.text, held))}"
        first = [*dict.fromkeys(named_input(question, y) for y in held)]
        yield Fault(zeros, first[::-1], words, ("held-constant",))
        # Those on the way may be right, where this one is computed without them.
        here = {question.asked: partial(made_without, zeros)}
        yield Fault(here, [question.graph.owner_of[question.asked]], words, ("held-constant",))


def made_without(zeros: Mapping[Value, Any], now: Question) -> Any:
    """The gradient that is asked about, all on the way to it made anew."""
    made = {g: zero(now) for g, zero in zeros.items()}
    return now.replay(made, now.graph.order).get(now.asked, now.expected)


def named_input(question: Question, y: Value) -> Value:
    """The value with a name of which a statistic is computed."""
    graph, x = question.graph, y.values()[0]
    while x not in graph.names and len(x.values()) == 1:
        (x,) = x.values()
    return x if x in graph.gradient_of else y.values()[0]


def nothing(y: Value, now: Question) -> np.ndarray:
    """The gradient of a value through which nothing comes back."""
    return np.zeros(y.shape, y.dtype)


def sums_for_means(gradient: Gradient) -> Iterator[Mistake]:
    """What comes back through means, not divided by their number."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    found = [y for y in statistics(question, gradient.x) if number_in(y) > 1]
    groups = [found, *([y] for y in found)] if len(found) > 1 else [found]
    for means in groups if found else ():
        larger = {
            graph.gradient_of[y]: question.value(graph.gradient_of[y]) * number_in(y) for y in means
        }
        values = fitting(partial(question.replay, larger, graph.order))
        if values and g in values:
            what = " and ".join(graph.text(y) for y in means)
            words = f"sums stand for the means in what comes back through {what}"
            yield Mistake(g, values[g], words, "batch-size")


def number_in(y: Value) -> int:
    """Of how many elements each one of a mean is."""
    return math.prod(y.inputs[0].shape) // max(1, math.prod(y.shape)) if y.op is ops.mean else 0


def statistics(question: Question, x: Value) -> list[Value]:
    """The means and the like of which a value is a part, one number for each row or column."""
    graph = question.graph
    return [
        y
        for y in graph.forward
        if y.op in STATISTICS
        and y in graph.gradient_of
        and len(y.shape) == len(y.inputs[0].shape) > 1
        and x in graph.behind(y)
    ]


def added_before(gradient: Gradient) -> Iterator[Mistake]:
    """A gradient that goes around some steps, but is added before them, and not behind."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    for y, part in gradient.parts if len(gradient.parts) > 1 else ():
        around = question.value(part)
        for other in graph.gradient_of.values():
            if other is part or other is g or other.shape != part.shape:
                continue
            through = {other: question.value(other) + around}
            values = fitting(partial(question.replay, through, graph.order))
            if values and g in values and graph.name(other):
                words = (
                    f"what comes through {graph.text(y)} is added to {graph.name(other)}, and goes "
                    f"back through the steps before it too"
                )
                yield Mistake(g, values[g] - around, words, "wrong-order")
