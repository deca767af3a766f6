"""The same expression for a batch of fewer rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.messages import describe_call
from ..engine.tensor import Tensor, record_op
from ..program.ancestors import ancestors
from ..program.draws import is_random


def rebuilt(roots: list[Tensor], replaced: Mapping[Tensor, Tensor]) -> list[Tensor]:
    """The same expressions with other leaves."""
    made: dict[Tensor, Tensor] = dict(replaced)
    for t in ancestors(roots):
        if t in made:
            continue
        if t.op is None:
            made[t] = t
            continue
        inputs = tuple(made[x] if isinstance(x, Tensor) else x for x in t.inputs)
        y: Any = rerecorded(t, inputs)
        y.name = t.name
        made[t] = y
        if len(t.shape) != len(y.shape) or (t.op.elementwise and is_stretched(t, y, inputs)):
            raise ValueError(
                f"{describe_call(t.op, inputs, t.params)} does not work for a shorter batch"
            )
    return [made[t] for t in roots]


def is_stretched(t: Tensor, y: Tensor, inputs: tuple[Any, ...]) -> bool:
    """Whether an input that had the full length along an axis of `t` is broadcast along that of
    `y`.
    """
    return any(
        n == full != 1 and less != now
        for old, new in zip(t.inputs, inputs)
        for n, full, less, now in zip(
            np.shape(old)[::-1], t.shape[::-1], np.shape(new)[::-1], y.shape[::-1]
        )
    )


def first_rows(t: Tensor, inputs: tuple[Any, ...]) -> np.ndarray:
    """What was drawn, for as many rows as the first input has."""
    rows = next((len(x) for x in inputs if np.ndim(x)), None)
    data: np.ndarray = t.data[:rows] if t.shape else t.data
    return data


def rerecorded(t: Tensor, inputs: tuple[Any, ...]) -> Tensor:
    """The op of a Tensor on other inputs; one that draws random numbers does not draw now, as its
    steps are to come.
    """
    op: Any = t.op
    if not is_random(t):
        return record_op(op, inputs, t.params)
    data = np.resize(t.data, np.shape(inputs[0])) if op.draws else first_rows(t, inputs)
    stand_in = op.another()
    stand_in.forward = lambda *_, **__: (data, None) if op.keeps else data
    y = record_op(stand_in, inputs, t.params)
    stand_in.forward = op.forward
    return y
