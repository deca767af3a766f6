"""Mistakes of one value for another: what has the same shape and is near."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.values import Apply, Value
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
                words = f"computed with {text} in place of {graph.text(turned_back(right))}"
                yield Mistake(value, becomes, words, "other-value")


def own_values(step: Step) -> Iterator[Mistake]:
    """What goes into a step in place of what comes out of it, or the other way round."""
    question, graph = step.question, step.question.graph
    pairs = [(step.y, step.x), (step.x, step.y)] if step.x.shape == step.y.shape else []
    for right, other in pairs:
        if right in step.used:
            words = f"computed with {graph.text(other)} in place of {graph.text(right)}"
            yield Mistake(right, question.value(other), words, "derivative-of-wrong-argument")


def turned_back(value: Value) -> Value:
    """The value itself where it is turned twice."""
    if not isinstance(value, Apply) or value.op is not ops.swapaxes:
        return value
    (inner,) = value.inputs
    is_turned = isinstance(inner, Apply) and inner.op is ops.swapaxes
    return inner.inputs[0] if is_turned and axes_swapped(inner) == axes_swapped(value) else value


def axes_swapped(value: Apply) -> set[int]:
    """The axes that are swapped, counted from the first."""
    return {value.params[axis] % len(value.shape) for axis in ("axis1", "axis2")}


def overwritten(step: Step) -> Iterator[Mistake]:
    """The sum into which a result was added up in place, where the result itself is needed."""
    question, graph = step.question, step.question.graph
    y = step.y
    sums = [w for w, _ in graph.parts.get(y, ()) if w.op is ops.add and w.shape == y.shape]
    for value in step.used if sums and len(y.inputs) == 1 else ():
        if value in graph.late or value.op is None:
            continue
        for w in sums:
            for right, becomes in in_place_of(question, value, y, w):
                words = (
                    f"computed with {graph.text(w)} in place of {graph.text(right)}: computed from "
                    f"a value that was overwritten, as `+=` does"
                )
                yield Mistake(value, becomes, words, "other-value")


def in_place_of(
    question: Question, value: Value, y: Apply, w: Value
) -> Iterator[tuple[Value, Any]]:
    """What becomes of a value where `y`, or that of which it is made, has become `w`."""
    (z,) = y.inputs
    numbers = question.value(w)
    if value is y:
        yield y, numbers
    elif value.op is ops.sign and y.op is ops.relu and y in value.values():  # written as z > 0
        yield z, np.asarray(numbers > 0, value.dtype)
    else:
        for right in (one for one in (z, y) if one in value.values()):
            yield right, partial(question.compute, value, {right: numbers})


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
