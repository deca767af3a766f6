"""What both back ends ask about a lowered value: its inputs, its size, its numbers, and whether it is a mere view."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..program.trace import MOVES, Node

REDUCTIONS = {ops.sum, ops.mean, ops.max, ops.min, ops.prod, ops.any, ops.all}
VIEWS = {*MOVES, ops.broadcast_to}


def values_in(value: Node) -> list[Node]:
    """The inputs that are values; the others are plain numbers."""
    return [x for x in value.inputs if isinstance(x, Node)]


def size(value: Node) -> int:
    """How many elements it has."""
    return math.prod(value.shape)


def is_mask(x: Any) -> bool:
    """Whether its elements are truth values."""
    return isinstance(x, Node) and x.dtype.kind == "b"


def compute(value: Node, *inputs: Any) -> Any:
    """The op of a value on these arrays."""
    y = value.op.forward(*inputs, **value.params)  # type: ignore[union-attr]
    return np.asarray(y[0] if value.op.keeps else y)  # type: ignore[union-attr]


def is_view(value: Node) -> bool:
    """Whether its elements are those of its input, elsewhere."""
    if value.op is ops.getitem:
        return len(value.inputs) == 1 and is_plain_index(value.params["index"])
    if value.op is ops.asconstant:
        old = value.inputs[0].dtype
        return old.kind != "f" and np.can_cast(old, value.dtype)
    return value.op in VIEWS or value.op is ops.astype


def is_plain_index(index: Any) -> bool:
    """Whether an index consists of numbers, slices, None and Ellipsis."""
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(i, bool) for i in parts) and all(
        i is None or i is Ellipsis or isinstance(i, int | np.integer | slice) for i in parts
    )


def behind_views(value: Node) -> Node:
    """The value whose elements a view shows."""
    while is_view(value):
        value = value.inputs[0]
    return value
