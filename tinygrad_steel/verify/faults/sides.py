"""Mistakes on one side of a choice: relu, leaky relu, ELU with another slope there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.values import VALUES, Apply, Value, behind
from ..closeness import matches, ratio, several
from .question import Gradient, Mistake, between, fitting
from .solved import MORE_THAN_ROUNDING

CHOICES = (ops.where, ops.relu, ops.maximum, ops.minimum, ops.clip)
MOST = 20  # values of which a function is made that people write in one line


class Side(NamedTuple):
    """One side of a choice that `y` makes over `x`: where it is, and how to say so.

    `condition`: what decides. `came`: the gradient of `y`. `part`: what comes through the choice.
    `rest`: what comes on other ways.
    """

    y: Apply
    where: np.ndarray
    text: str
    condition: str
    came: Any
    part: Any
    rest: Any

    def with_slope(self, slope: Any) -> Any:
        """The gradient, with this slope on this side."""
        return self.rest + np.where(self.where, self.came * slope, self.part)

    def has(self, slope: Any) -> bool:
        """Whether this is the slope there."""
        found = np.where(self.where, self.came * slope, self.part)
        return bool(np.any(self.came[self.where])) and matches(found, np.asarray(self.part))


def other_side(gradient: Gradient) -> Iterator[Mistake]:
    """A slope that people take for the right one on one side of a choice."""
    for side in sides(gradient):
        known = [*slopes(gradient, side.y)]
        right = right_slope(side, known)
        if not right:
            continue
        for slope, text in known:
            if side.has(slope):
                continue  # the right one, or the same in other words
            words = f"{side.text}: multiplied by {text} instead of {right}"
            yield Mistake(gradient.g, side.with_slope(slope), words, "wrong-derivative")


def sides_swapped(gradient: Gradient) -> Iterator[Mistake]:
    """The gradient passed where a clip holds it back, and held back where it is passed."""
    for side in sides(gradient):
        if side.y.op is ops.clip:
            turned = side.rest + side.came - side.part
            words = f"{side.condition} is the wrong way round"
            yield Mistake(gradient.g, turned, words, "wrong-condition")
            return


def other_number(gradient: Gradient) -> Iterator[Mistake]:
    """A slope that is another number there, as it has to be for the answer."""
    question, g = gradient.question, gradient.g
    for side in sides(gradient) if question.fits else ():
        right = ratio(np.where(side.where, side.part, 0), np.where(side.where, side.came, 0))
        if right is None or not side.has(right):
            continue
        one_more = {g: side.with_slope(right + 1)}
        found = fitting(partial(question.replay, one_more, gradient.path))
        if not found:
            continue
        by_one = found[question.asked] - question.expected
        change = ratio(question.given - question.expected, by_one) if several(by_one) else None
        if change is not None and MORE_THAN_ROUNDING < abs(change) < np.inf:
            slope = right + change
            words = f"{side.text}: multiplied by {slope:.6g} instead of {right:.6g}"
            yield Mistake(g, side.with_slope(slope), words, "other-factor")


def right_slope(side: Side, known: list[tuple[Any, str]]) -> str:
    """How the right slope there is written; empty where it is none of those known."""
    right = [(slope, text) for slope, text in known if side.has(slope)]
    most = 1 if right and not np.ndim(right[0][0]) else 2
    return " = ".join(text for _, text in right[:most])


def sides(gradient: Gradient) -> Iterator[Side]:
    """Both sides of each choice over a value, where there is one."""
    question, graph, x, g = gradient.question, gradient.question.graph, gradient.x, gradient.g
    for y in choices_over(gradient):
        condition, text = condition_of(gradient, y)
        gy = graph.gradient_of[y]
        zero = {gy: np.zeros(gy.shape, gy.dtype)}
        rest = question.replay(zero, between(graph, gy, g)).get(g)
        if condition is None or rest is None or condition.shape != x.shape:
            continue
        came, part = question.value(gy), question.value(g) - rest
        for where, says in ((~condition, "does not hold"), (condition, "holds")):
            if np.any(where):
                yield Side(y, where, f"where {text} {says}", text, came, part, rest)


def choices_over(gradient: Gradient) -> Iterator[Apply]:
    """The choices that are made over a value alone, of its shape."""
    graph, x = gradient.question.graph, gradient.x
    for y in graph.forward:
        if not isinstance(y, Apply) or y.op not in CHOICES or y not in graph.gradient_of:
            continue
        if y.shape == x.shape and is_of(x, y):
            yield y


def is_of(x: Value, y: Value) -> bool:
    """Whether `y` is a function of `x` alone, element by element, and of plain numbers."""
    todo: dict[Value, None] = {y: None}
    for v in (found := [y]):
        if v is x:
            continue
        if v.op is None or not v.op.elementwise:
            if v.shape:
                return False
            continue
        new = [i for i in v.values() if i not in todo]
        todo.update(dict.fromkeys(new))
        found += new
        if len(found) > MOST:
            return False
    return x in todo


def condition_of(gradient: Gradient, y: Apply) -> tuple[Any, str]:
    """What decides in a choice, and how it is written."""
    question, graph = gradient.question, gradient.question.graph
    if y.op is ops.where:
        return question.value(y.inputs[0]), graph.text(y.inputs[0])
    if y.op is ops.clip:
        low, high = y.params.get("a_min"), y.params.get("a_max")
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        z = question.value(y.inputs[0])
        return (z >= low) & (z <= high), f"{low:g} <= {graph.text(y.inputs[0], 1)} <= {high:g}"
    if y.op is ops.relu:
        return question.value(y.inputs[0]) > 0, f"{graph.text(y.inputs[0], 1)} > 0"
    a, b = y.inputs
    sign = ">" if y.op is ops.maximum else "<"
    a_value, b_value = question.value(a), question.value(b)
    condition = a_value > b_value if y.op is ops.maximum else a_value < b_value
    return condition, f"{graph.text(a, 1)} {sign} {graph.text(b, 1)}"


def slopes(gradient: Gradient, y: Apply) -> Iterator[tuple[Any, str]]:
    """The slopes that people take on one side of a choice, the plainest first."""
    question, graph, x = gradient.question, gradient.question.graph, gradient.x
    own = [(question.value(v), graph.text(v, 1), graph.text(v)) for v in (x, y)]
    yield from ((float(number), f"{number}") for number in (0, 1, -1))
    for c in numbers_between(gradient, y):
        yield c, f"{c:g}"
        yield c * np.exp(question.value(x)), f"{c:g} * exp({graph.text(x)})"
        for v, text, _ in own:
            yield v + c, f"{text} + {c:g}"
            yield v * c, f"{text} * {c:g}"
    yield np.exp(question.value(x)), f"exp({graph.text(x)})"
    for v, text, alone in own:
        yield v, alone
        yield v + 1, f"{text} + 1"
        yield 1 - v, f"(1 - {text})"


def numbers_between(gradient: Gradient, y: Apply) -> list[float]:
    """The plain numbers in a function of a value alone."""
    graph = gradient.question.graph
    found: dict[float, None] = {}
    for v in behind([y], {gradient.x: None}):
        for i in v.inputs:
            if not isinstance(i, VALUES):
                found[float(i)] = None
            elif i.op is None and not i.shape:
                found[float(graph.now(i))] = None
    return [c for c in found if c not in (0, 1) and np.isfinite(c)]
