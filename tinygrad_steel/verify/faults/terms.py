"""Mistakes in a value of a local derivative: a term, a sign, an op too often, an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.values import Apply, Value, compute
from . import axes, factors, mixups
from .derivatives import TURNS
from .question import Mistake, Step


def altered_value(step: Step) -> Iterator[Mistake]:
    """One value after the other, in each of these ways."""
    for value in step.used:
        for kind in KINDS:
            yield from kind(step, value)


def a_term_missing(step: Step) -> Iterator[Mistake]:
    """A term that is missing, or has the wrong sign, in one value after the other."""
    for value in step.used:
        yield from term_missing(step, value)


def term_missing(step: Step, value: Value) -> Iterator[Mistake]:
    """A sum, or difference, without one of its terms, or with the wrong sign."""
    if value.op not in (ops.add, ops.subtract):
        return
    graph, subtracts = step.question.graph, value.op is ops.subtract
    a, b = (step.question.value(x) for x in value.inputs)
    first, second = (graph.text(x, 1) for x in value.inputs)
    sign, where = "-" if subtracts else "+", graph.text(value)
    words = f"`{sign} {second}` is missing in {where}"
    yield Mistake(value, np.asarray(a), words, "term-of-derivative")
    words = f"`{first} {sign}` is missing in {where}"
    yield Mistake(value, np.asarray(b), words, "term-of-derivative")
    other = partial(np.add if subtracts else np.subtract, a, b)
    words = f"the sign of {second} is wrong in {where}"
    yield Mistake(value, other, words, "term-of-derivative")


def inverted(step: Step, value: Value) -> Iterator[Mistake]:
    """A comparison the wrong way round."""
    text, numbers = step.question.graph.text(value), step.question.value(value)
    if value.op is None and is_mask(value, numbers):
        words = f"{text} is the wrong way round: 1 where it is 0, and 0 where it is 1"
        yield Mistake(value, 1 - numbers, words, "wrong-condition")
    if value.dtype == bool:
        becomes = partial(np.logical_not, step.question.value(value))
        yield Mistake(value, becomes, f"{text} is the wrong way round", "wrong-condition")


def scale_left_out(step: Step, value: Value) -> Iterator[Mistake]:
    """The mask of a dropout as 0 and 1, without the scale that stands in it, or turned round."""
    numbers = step.question.value(value)
    scale = (
        factors.scale_of_mask(value, numbers) if value not in step.question.graph.wanted else None
    )
    if scale is not None:
        text = step.question.graph.text(value)
        words = factors.scale_missing(text, scale)
        yield Mistake(value, numbers / scale, words, "missing-factor")
        turned = np.where(numbers == 0, numbers.dtype.type(scale), 0)
        words = (
            f"{text} is the wrong way round: {scale:g} where it is 0, and 0 where it is {scale:g}"
        )
        yield Mistake(value, turned, words, "wrong-condition")


def is_mask(value: Value, numbers: Any) -> bool:
    """Whether it is a matrix of 0 and 1, both of them."""
    if len(value.shape) < 2 or value.dtype == bool:
        return False
    zero = numbers == 0
    return bool(np.all(zero | (numbers == 1)) and np.any(zero) and not np.all(zero))


def applied_twice(step: Step, value: Value) -> Iterator[Mistake]:
    """A function of one input applied to its own result."""
    graph = step.question.graph
    if not isinstance(value, Apply) or len(value.inputs) != 1:
        return
    if value in graph.late or value in graph.random:
        return
    text = graph.text(value)
    if value.op in TURNS:
        (inner,) = value.inputs
        words = f"{graph.text(inner)} is not transposed"
        yield Mistake(value, step.question.value(inner), words, "transposed")
        return
    becomes = partial(compute, value, [step.question.value(value)])
    words = f"{value.op.name}({text}) in place of {text}"
    yield Mistake(value, becomes, words, "derivative-of-wrong-argument")


def relu_altered(step: Step, value: Value) -> Iterator[Mistake]:
    """The slope of a relu inverted, or taken where another value is positive."""
    z = behind_relu(value)
    if z is None:
        return
    question, text = step.question, step.question.graph.text(z)
    words = f"{text} > 0 is the wrong way round"
    yield Mistake(value, question.value(z) < 0, words, "wrong-condition")
    for other, other_text in mixups.lookalikes(question, z, near=step.x):
        words = f"computed with {other_text} in place of {text}"
        yield Mistake(value, other > 0, words, "wrong-condition")


def behind_relu(f: Value) -> Value | None:
    """The `z` of a slope sign(relu(z)), which people write as z > 0; None for anything else."""
    y = f.inputs[0] if f.op is ops.sign else None
    if not isinstance(y, Apply) or y.op is not ops.relu:
        return None
    z: Value = y.inputs[0]
    return z


def slope_twice(step: Step, value: Value) -> Iterator[Mistake]:
    """A gradient multiplied by the slope of a sigmoid, or of a softmax's diagonal, that it has
    in it.
    """
    if value.op not in (ops.sigmoid, ops.softmax) or step.y.op is value.op:
        return
    question, text = step.question, step.question.graph.text(value)
    becomes = partial(times_slope, question.value(step.g), question.value(value))
    name = step.y.op.name
    words = f"multiplied by {text} * (1 - {text}), which {name}' has in it"
    yield Mistake(step.g, becomes, words, "extra-factor")


def times_slope(g: Any, p: Any) -> Any:
    """A gradient multiplied by the slope of the sigmoid whose value is `p`."""
    return g * p * (1 - p)


KINDS: tuple[Callable[[Step, Value], Iterator[Mistake]], ...] = (
    term_missing,
    inverted,
    scale_left_out,
    applied_twice,
    axes.other_axis,
    relu_altered,
    slope_twice,
)
