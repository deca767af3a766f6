"""Mistakes with rows and columns: one for all of them, or those of another gradient."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from .question import Gradient, Mistake, Step

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
