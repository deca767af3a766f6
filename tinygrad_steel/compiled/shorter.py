"""The same expression for a batch of fewer rows."""

from __future__ import annotations

import copy

import numpy as np

from ..engine.messages import describe_call
from ..engine.tensor import Tensor, record_op
from ..program.trace import ancestors, is_random


def rebuilt(roots: list[Tensor], replaced: dict[int, Tensor]) -> list[Tensor]:
    """The same expressions with other leaves."""
    made: dict[int, Tensor] = dict(replaced)
    for t in ancestors(roots):
        if id(t) in made:
            continue
        if t.op is None:
            made[id(t)] = t
            continue
        inputs = tuple(made[id(x)] if isinstance(x, Tensor) else x for x in t.inputs)
        y = made[id(t)] = rerecorded(t, inputs)
        y.name = t.name
        stretched = t.op.elementwise and any(
            n == full != 1 and less != y.shape[-k]
            for old, new in zip(t.inputs, inputs)
            for k, (n, full, less) in enumerate(zip(np.shape(old)[::-1], t.shape[::-1], np.shape(new)[::-1]), 1)
        )
        if stretched or len(t.shape) != len(y.shape):
            raise ValueError(f"{describe_call(t.op, inputs, t.params)} does not work for a shorter batch")
    return [made[id(t)] for t in roots]


def rerecorded(t: Tensor, inputs: tuple) -> Tensor:
    """The op of a Tensor on other inputs; one that draws random numbers does not draw now, as its steps are to come."""
    if not is_random(t):
        return record_op(t.op, inputs, t.params)
    rows = next((len(x) for x in inputs if np.ndim(x)), None)
    data = t.data[:rows] if t.shape else t.data
    stand_in = copy.copy(t.op)
    stand_in.forward = lambda *_, **__: (data, None) if t.op.keeps else data
    y = record_op(stand_in, inputs, t.params)
    stand_in.forward = t.op.forward
    return y
