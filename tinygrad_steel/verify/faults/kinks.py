"""Other conventions at kinks: between its two sides, any slope is as right as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ... import ops
from ...ops.op import Op
from ...program.values import Apply, Value
from .question import Mistake, Question

# What other conventions have where the inputs are equal, or 0.
KINKS: dict[Op, Callable[..., list[Any]]] = {
    ops.greater: lambda a, b: [a >= b],
    ops.greater_equal: lambda a, b: [a > b],
    ops.less: lambda a, b: [a <= b],
    ops.less_equal: lambda a, b: [a < b],
    ops.equal: lambda a, b: [(a == b) * 0.0, (a == b) * 2.0],  # half for each side, or all for one
    ops.sign: lambda x: [np.where(x >= 0, 1.0, -1.0), np.where(x > 0, 1.0, -1.0)],
}


def other_conventions(question: Question, f: Value) -> Iterator[Mistake]:
    """What others have for a value at a kink."""
    inputs, conventions = at_a_kink(f)
    if conventions is None:
        return
    for becomes in conventions(*map(question.value, inputs)):
        at = " == ".join([*map(question.graph.text, inputs), "0"][:2])
        words = (
            f"right except at the kink {at}: the slope there is a convention, and another one here"
        )
        yield Mistake(f, becomes, words, "kink")


def at_a_kink(f: Value) -> tuple[tuple[Any, ...], Callable[..., list[Any]] | None]:
    """What decides on a value at a kink, and what other conventions make of it; None where there
    is no kink.
    """
    z = behind_relu(f)
    if z is not None:
        return (z,), lambda z: [z >= 0]
    op = f.op
    return f.inputs, KINKS.get(op) if op else None


def behind_relu(f: Value) -> Value | None:
    """The `z` of a slope sign(relu(z)), which people write as z > 0; None for anything else."""
    y = f.inputs[0] if f.op is ops.sign else None
    if not isinstance(y, Apply) or y.op is not ops.relu:
        return None
    z: Value = y.inputs[0]
    return z
