"""NumPy's functions on Tensors: some of the elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops.op import is_tensor
from ..ops.shapes import before


def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    if mode != "raise":
        raise TypeError(
            f"mode={mode!r} is not followed: make indices that fit, with % (wrap) or np.clip (clip)"
        )
    a, indices = as_array(a), as_indices(as_array(indices))
    if axis is None:
        return ops.getitem(np.ravel(a), indices, index=ops.HOLE)
    return ops.getitem(a, indices, index=(*before(axis, a.ndim), ops.HOLE))


def as_array(x: Any) -> Any:
    """A Tensor or an array of any library as it is, anything else as an array."""
    return x if is_tensor(x) or hasattr(type(x), "__array_function__") else np.asarray(x)


def as_indices(x: Any) -> Any:
    """Integers as they are; bools are no mask here: as in NumPy, False is 0 and True is 1."""
    if x.dtype.kind == "b" or not x.size:
        return x.astype(np.intp)
    if x.dtype.kind not in "iu":
        raise TypeError(f"indices are integers, not {x.dtype}")
    return x


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return ops.clip(a, a_min if min is None else min, a_max if max is None else max)
