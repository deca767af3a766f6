"""What is computed for the sake of NaN alone, which nobody writes by hand."""

from __future__ import annotations

import numpy as np

from .. import ops
from .values import VALUES, Apply, Constant, Value


def guarded(x: Value) -> Value | None:
    """The value that is handed on but for NaN, which nobody writes by hand: `where(isnan(z), nan,
    value)`, or `logical_or(value, isnan(z))`; None for anything else.
    """
    if x.op is ops.logical_or and is_isnan(x.inputs[1]) and isinstance(x.inputs[0], Apply):
        return x.inputs[0]
    if x.op is not ops.where or not is_isnan(x.inputs[0]) or not isinstance(x.inputs[2], Apply):
        return None
    nan = x.inputs[1].data if isinstance(x.inputs[1], Constant) else x.inputs[1]
    is_nan = not isinstance(nan, VALUES) and not np.ndim(nan) and bool(np.isnan(nan))
    return x.inputs[2] if is_nan else None


def is_isnan(x: object) -> bool:
    """Whether it says where something is NaN."""
    return isinstance(x, Apply) and x.op is ops.isnan
