"""Mistakes in a normalization: its mean, or its variance, taken for a constant."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from ... import ops
from ...program.values import Value
from .question import Gradient, Mistake, fitting

STATISTICS = (ops.mean, ops.sum, ops.max, ops.min, ops.var, ops.std)


def held_constant(gradient: Gradient) -> Iterator[Mistake]:
    """Statistics through which nothing comes back."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    found = statistics(gradient)
    groups = [found, *([y] for y in found)] if len(found) > 1 else [found]
    for held in groups if found else ():
        zeros = {graph.gradient_of[y]: np.zeros(y.shape, y.dtype) for y in held}
        values = fitting(partial(question.replay, zeros, graph.order))
        if values and g in values:
            what = " and ".join(graph.text(y) for y in held)
            words = f"held constant: nothing comes back through {what}"
            yield Mistake(g, values[g], words, "held-constant")


def sums_for_means(gradient: Gradient) -> Iterator[Mistake]:
    """What comes back through means, not divided by their number."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    found = [y for y in statistics(gradient) if number_in(y) > 1]
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


def statistics(gradient: Gradient) -> list[Value]:
    """The means and the like of which a value is a part, one number for each row or column."""
    graph, x = gradient.question.graph, gradient.x
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
