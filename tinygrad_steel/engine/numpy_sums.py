"""NumPy's functions on Tensors: sums, means and differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops.shapes import before


def average(a: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return ops.mean(a, axis)
    if np.shape(weights) != np.shape(a):
        raise TypeError("np.average takes weights of the shape of a")
    a = a if hasattr(a, "dtype") else np.asarray(a)
    if a.dtype.kind != "f":  # as in NumPy: the products of small integers would wrap around
        a = a.astype(np.float64)
    return ops.sum(a * weights, axis) / ops.sum(weights, axis)


def cumsum(a: Any, axis: int | None = None) -> Any:
    if axis is None:
        return ops.cumsum(np.ravel(a), axis=0)
    return ops.cumsum(a, axis=axis)


def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    if n < 0:
        raise ValueError(f"np.diff: n is at least 0, not {n}")
    first = before(axis, a.ndim)
    for _ in range(n):
        a = a[(*first, slice(1, None))] - a[(*first, slice(None, -1))]
    return a
