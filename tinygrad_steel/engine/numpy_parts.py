"""NumPy's functions on Tensors: some of the elements."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import ops
from ..ops.op import data_of, describe, holds_tensors, is_tensor
from ..ops.shapes import before
from .tensor import Tensor


def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    if mode != "raise":
        raise TypeError(
            f"mode={mode!r} is not followed: make indices that fit, with % (wrap) or np.clip (clip)"
        )
    a, indices = as_array(a), as_indices(as_array(indices))
    if axis is None:
        flat = a if a.ndim == 1 else np.ravel(a)  # of a leaf that is a copy
        return ops.getitem(flat, indices, index=ops.HOLE)
    return ops.getitem(a, indices, index=(*before(axis, a.ndim), ops.HOLE))


def as_array(x: Any) -> Any:
    """A Tensor or an array of any library as it is, anything else as an array.

    Of a list with Tensors in it that is a Tensor.
    """
    if is_tensor(x) or hasattr(type(x), "__array_function__"):
        return x
    return ops.stack(x) if holds_tensors(x) else np.asarray(x)


def as_indices(x: Any) -> Any:
    """Integers as they are; bools are no mask here: as in NumPy, False is 0 and True is 1."""
    if x.dtype.kind == "b" or not x.size:
        return x.astype(np.intp)
    if x.dtype.kind not in "iu":
        raise TypeError(f"indices are integers, not {x.dtype}")
    return x


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """On a bound `a` has all of the gradient, the bound none."""
    low, high = a_min if min is None else min, a_max if max is None else max
    if not (is_bound(low) or is_bound(high)):
        return ops.clip(a, low, high)
    if low is not None:
        a = ops.where(np.logical_or(np.less(a, low), np.isnan(low)), low, a)
    if high is not None:
        a = ops.where(np.logical_or(np.greater(a, high), np.isnan(high)), high, a)
    return a


def is_bound(x: Any) -> bool:
    """Whether it has elements, or a history, and is no plain number."""
    return not isinstance(x, int | float | None) and (is_tensor(x) or np.ndim(x) > 0)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
) -> Any:
    if is_tensor(a) and shape is None and not is_bound(fill_value):
        return ops.full_like(a if dtype is None else a.astype(dtype), fill_value=fill_value)
    filled = as_array(fill_value).astype(a.dtype if dtype is None else dtype)
    y = np.broadcast_to(filled, np.shape(a) if shape is None else shape)
    return y if is_tensor(y) else Tensor(y)


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    return full_like(a, 0, dtype, order, subok, shape)


def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Any:
    return full_like(a, 1, dtype, order, subok, shape)


def where(condition: Any, *choices: Any) -> Any:
    return ops.where(condition, *choices) if choices else nonzero(condition)


def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    (places,) = np.nonzero(condition)
    return take(a, places, axis)


def extract(condition: Any, arr: Any) -> Any:
    return as_array(np.ravel(arr))[np.ravel(condition)]


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError("np.select: there is one choice for each condition, and at least one")
    chosen, *choices = in_one_dtype([default, *choicelist])
    for condition, choice in zip(reversed(condlist), reversed(choices)):
        if as_array(condition).dtype.kind != "b":
            raise TypeError("conditions are masks: arrays of bool")
        chosen = ops.where(condition, choice, chosen)
    return chosen


def in_one_dtype(choices: Any) -> list[Any]:
    """Choices as NumPy sees them: plain numbers follow the dtype of the arrays."""
    plain = [type(x) in (int, float) for x in choices]
    xs = [x if alone else as_array(x) for x, alone in zip(choices, plain)]
    dtype = np.result_type(*map(data_of, xs))
    return [dtype.type(x) if alone else x for x, alone in zip(xs, plain)]


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    a = as_indices(as_array(a))
    if out is not None or mode != "raise":
        raise TypeError(f"out= and mode={mode!r} are not followed")
    if np.any(data_of(a) < 0):
        raise ValueError("np.choose: an index is negative")
    a, *choices = np.broadcast_arrays(a, *in_one_dtype(choices))
    return np.squeeze(np.take_along_axis(np.stack(choices), a[None], 0), 0)


# On a diagonal, in a window


def diag(v: Any, k: int = 0) -> Any:
    if v.ndim > 2:
        raise ValueError(f"np.diag is of vectors and matrices, not of {describe(v)}")
    return ops.diag(v, k=k) if v.ndim == 1 else diagonal(v, k)


def diagflat(v: Any, k: int = 0) -> Any:
    return ops.diag(np.ravel(v), k=k)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    if a.ndim < 2:
        raise ValueError(f"a diagonal is of matrices, not of {describe(a)}")
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    first, second = max(-offset, 0), max(offset, 0)
    along = np.arange(max(0, min(a.shape[-2] - first, a.shape[-1] - second)))
    return a[..., along + first, along + second]


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    if a.ndim < 2:
        raise TypeError(f"a trace is of matrices, not of {describe(a)}")
    along = diagonal(a, offset, axis1, axis2)
    return ops.sum(along if dtype is None else along.astype(dtype), axis=-1)


def diagonal_of_matrices(x: Any, /, *, offset: int = 0) -> Any:
    return diagonal(x, offset, -2, -1)


def trace_of_matrices(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return trace(x, offset, -2, -1, dtype)


def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    if writeable:
        raise TypeError("writeable=True would change a Tensor in place: leave it out")
    widths = [*map(operator.index, np.atleast_1d(window_shape))]
    axes = [*range(x.ndim)] if axis is None else [*map(operator.index, np.atleast_1d(axis))]
    if len(widths) != len(axes):
        raise ValueError(f"{len(widths)} lengths of windows for {len(axes)} axes")
    axes = [normalize_axis_index(i, x.ndim) for i in axes]
    lengths = [*x.shape]
    for width, i in zip(widths, axes):
        if not 0 <= width <= lengths[i]:
            raise ValueError(
                f"a window of {width} does not fit into an axis of length {lengths[i]}"
            )
        lengths[i] += 1 - width
    return ops.sliding_windows(x, size=tuple(widths), axes=tuple(axes))


# In order


def sort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: bool | None = None) -> Any:
    """Of equal elements the earlier stays the earlier, and each keeps its own gradient."""
    if axis is None:
        a, axis = np.ravel(a), -1
    return take_along_axis(a, ops.argsort(a, axis=axis, kind="stable"), axis)


def argsort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: bool | None = None) -> Any:
    return ops.argsort(a, axis=axis, kind="stable" if stable else kind)


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect") -> Any:
    """Before and behind place `kth` elements are in the order of np.argpartition."""
    if axis is None:
        a, axis = np.ravel(a), -1
    return take_along_axis(a, argpartition(a, kth, axis, kind), axis)


def argpartition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect") -> Any:
    return ops.argpartition(a, kth=kth, axis=axis, kind=kind)


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    arr, indices = as_array(arr), as_indices(as_array(indices))
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    if arr.ndim != indices.ndim:
        raise ValueError("np.take_along_axis: indices have as many axes as the array")
    grid: list[Any] = [*np.ogrid[tuple(slice(n) for n in arr.shape)]]
    grid[axis] = indices
    return ops.getitem(arr, *grid, index=(ops.HOLE,) * arr.ndim)


# Places of elements that are not 0


def nonzero(a: Any) -> tuple[Any, ...]:
    if not np.ndim(a):
        raise ValueError("np.nonzero: a single number has no places")
    return tuple(ops.nonzero(a, axis=i) for i in range(a.ndim))


def flatnonzero(a: Any) -> Any:
    return ops.nonzero(np.ravel(a), axis=0)
