"""Mistakes with rows and columns: one for all of them, or those of another gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from .axes import axes_in_words
from .question import Gradient, Mistake, Step, handed_on

MOST = 12  # other gradients that are looked at


def one_row_for_all(gradient: Gradient) -> Iterator[Mistake]:
    """One row, or column, of what comes stands in all rows."""
    question, graph, x = gradient.question, gradient.question.graph, gradient.x
    if len(x.shape) != 2:
        return
    whole = question.value(gradient.g)
    for y, part in gradient.parts:
        value = question.value(part)
        for axis, name in enumerate(("row", "column")):
            for i in dict.fromkeys((0, 1, x.shape[axis] - 1)):
                if x.shape[axis] < 2 or i >= x.shape[axis]:
                    continue
                words = f"{name} {i} of {graph.gradient_text(x)} stands in all {name}s"
                if len(gradient.parts) > 1:
                    words = (
                        f"in what comes through {graph.text(y)}: {name} {i}, which belongs to "
                        f"{graph.text(x)}[{':, ' * axis}{i}], stands in all {name}s"
                    )
                yield Mistake(
                    gradient.g, whole - value + value.take([i], axis), words, "wrong-axis"
                )


def summed_from_another(step: Step) -> Iterator[Mistake]:
    """The sum of another gradient in place of the sum of what comes."""
    question, graph, x = step.question, step.question.graph, step.x
    if x.shape == step.y.shape:
        return
    came = graph.gradient_text(step.y)
    for other in others(step):
        value = question.value(other)
        for axis in range(2):
            words = f"the sum of {graph.name(other)} in place of {came}, over axis {axis}"
            becomes = partial(summed, value, axis, x.shape)
            yield Mistake(step.g, becomes, words, "other-gradient")


def in_shape(make: Callable[[], Any], shape: tuple[int, ...]) -> Any:
    """What is made, in this shape."""
    return make().reshape(shape)


def others(step: Step) -> list[Any]:
    """Other gradients of matrices, the nearest first."""
    graph = step.question.graph
    own = {*step.start, step.question.asked}
    near = graph.forward[step.y]
    found = [
        (abs(graph.forward[x] - near), g)
        for x, g in graph.gradient_of.items()
        if g not in own and len(g.shape) == 2 and graph.name(g)
    ]
    return [g for _, g in sorted(found, key=lambda one: one[0])[:MOST]]


def summed(value: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """A sum along an axis, in this shape."""
    return np.sum(value, axis=axis).reshape(shape)


def lines_of_a_way(gradient: Gradient) -> Iterator[Mistake]:
    """A row or a column that is missing, or is alone, in what comes on one of several ways."""
    question, graph, x = gradient.question, gradient.question.graph, gradient.x
    if len(x.shape) != 2 or len(gradient.parts) < 2:
        return
    whole = question.value(gradient.g)
    for y, part in gradient.parts:
        value = question.value(part)
        for axis, name in enumerate(("row", "column")):
            for i in dict.fromkeys((0, x.shape[axis] - 1)):
                line = np.zeros(x.shape)
                line[(slice(None),) * axis + (i,)] = 1
                through = f"in what comes through {graph.text(y)}: {name} {i}"
                words = f"{through} is missing"
                yield Mistake(gradient.g, whole - value * line, words, "missing-term")
                words = f"{through} alone is there"
                yield Mistake(gradient.g, whole - value * (1 - line), words, "missing-term")


def part_of_a_sum(step: Step) -> Iterator[Mistake]:
    """One row in place of the sum over all, or a sum that leaves one out."""
    question, graph, x, y = step.question, step.question.graph, step.x, step.y
    *_, value = handed_on(step.g)
    if x.shape == y.shape or value.op is not ops.sum:
        return
    full, axis = question.value(value.inputs[0]), value.params["axis"]
    is_handed_on = value.inputs[0] in step.start
    came = graph.gradient_text(y) if is_handed_on else f"what comes through {graph.text(y)}"
    words = f"the sum over all of {came}, the same for each element"
    if isinstance(axis, tuple):
        over, right = axes_in_words(tuple(range(full.ndim))), axes_in_words(axis)
        words = f"summed over {over} instead of {right}, the same for each element"
    yield Mistake(step.g, np.full(x.shape, np.sum(full)), words, "wrong-axis")
    if not isinstance(axis, int):
        return
    n, total = full.shape[axis], question.value(step.g)
    if total.size * n != full.size:
        return
    words = f"the largest along axis {axis} of {came} in place of the sum"
    largest = partial(np.max, full, axis=axis, initial=-np.inf)
    yield Mistake(step.g, partial(in_shape, largest, x.shape), words, "one-sample")
    for i in range(min(n, MOST)) if n > 2 else ():
        for k in dict.fromkeys((i, n - 1 - i)):
            one = full.take(k, axis).reshape(x.shape)
            words = f"{came} at sample {k} alone, not summed over axis {axis}"
            yield Mistake(step.g, one, words, "one-sample")
            words = f"sample {k} is left out of the sum of {came} over axis {axis}"
            yield Mistake(step.g, total - one, words, "one-sample")
