"""What both back ends ask about a lowered value: its size, and whether it is a mask or a view."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np

from .. import ops
from ..ops.op import OPS
from ..program.values import VALUES, Apply, Value

REDUCTIONS = {op for op in OPS.values() if op.reduction}
VIEWS = {ops.broadcast_to, ops.sliding_windows, *(op for op in OPS.values() if op.moves)}


def size(value: Value) -> int:
    """How many elements it has."""
    return math.prod(value.shape)


def is_mask(x: Any) -> bool:
    """Whether its elements are truth values."""
    return isinstance(x, VALUES) and x.dtype.kind == "b"


def is_view(value: Value) -> TypeGuard[Apply]:
    """Whether its elements are those of its input, elsewhere."""
    if not isinstance(value, Apply):
        return False
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


def behind_views(value: Value) -> Value:
    """The value whose elements a view shows."""
    while is_view(value):
        value = value.inputs[0]
    return value
