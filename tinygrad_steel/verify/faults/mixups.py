"""Mistakes of one value for another: what has the same shape and is near."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.values import Value
from ..traced_loss import Graph
from .question import Mistake, Question, Step

NEAREST, MANY = 20, 60


def other_value(step: Step) -> Iterator[Mistake]:
    """Another value in place of one from which the step is computed, or of a term of one."""
    question, graph = step.question, step.question.graph
    for value in step.used:
        terms = value.values() if value.op in (ops.add, ops.subtract) else ()
        for right in [value, *terms]:
            if right in graph.late:
                continue
            for other, text in lookalikes(question, right, near=step.x):
                if right.dtype == bool != other.dtype:  # nobody takes a gradient for a condition
                    continue
                becomes: Any = partial(question.compute, value, {right: other})
                if right is value:
                    becomes = other
                words = f"computed with {text} in place of {graph.text(right)}"
                yield Mistake(value, becomes, words, "other-value")


def other_gradient(step: Step) -> Iterator[Mistake]:
    """Another gradient in place of that of `y`."""
    came = step.question.graph.gradient_text(step.y)
    for other, text in lookalikes(step.question, step.gy, near=step.x):
        words = f"computed from {text} in place of {came}"
        yield Mistake(step.gy, other, words, "other-gradient")


def farther_value(step: Step) -> Iterator[Mistake]:
    """A value, or a gradient, in place of another one that is far away in the forward."""
    question, graph = step.question, step.question.graph
    for value in [*step.used, step.gy]:
        if value is not step.gy and value in graph.late:
            continue
        for other, text in lookalikes(question, value, step.x, MANY)[NEAREST:]:
            if value.dtype == bool != other.dtype:
                continue
            words = f"computed with {text} in place of {graph.text(value)}"
            yield Mistake(value, other, words, "other-value")


def lookalikes(
    question: Question, right: Value, near: Value, most: int = NEAREST
) -> list[tuple[np.ndarray, str]]:
    """Values and gradients for which one may be mistaken: those of its shape, the nearest in the
    forward first.
    """
    graph = question.graph
    if not right.shape:
        return []
    place, op = graph.forward[near], right.op
    circular = (question.asked, graph.gradient_of.get(near))  # no gradient is made of itself
    gradients = ((x, graph.gradient_of.get(x, x)) for x in graph.forward)
    values = ((x, x) for x in graph.forward)
    found = [
        (x.op is not op, abs(graph.forward[x] - place), other)
        for x, other in (*gradients, *values)
        if other.shape == right.shape and other is not right and (other is x or graph.name(other))
        if other not in circular
    ]
    found.sort(key=lambda place: place[:2])
    return [(question.value(other), told_apart(graph, other, right)) for *_, other in found[:most]]


def told_apart(graph: Graph, other: Value, right: Value) -> str:
    """A value in a sentence: by its place in the forward where the right one is called the same."""
    text = graph.text(other)
    if text != graph.text(right):
        return text
    alike = graph.called_alike.get(text, {})
    return (
        f"{text} (number {alike[other]} of {len(alike)})" if other in alike else f"another {text}"
    )
