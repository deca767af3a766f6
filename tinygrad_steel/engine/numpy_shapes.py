"""NumPy's functions on Tensors: the same elements in another shape or order."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import ops


def ravel(a: Any, order: str = "C") -> Any:
    return ops.reshape(in_order(a, order), shape=(-1,))


def reshape(a: Any, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    if order == "C":
        return ops.reshape(a, shape=shape)
    lengths = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    return ops.transpose(ops.reshape(in_order(a, order), shape=lengths[::-1]))


def in_order(a: Any, order: str) -> Any:
    """What has the elements row by row in this order: for columns, the transpose."""
    if order not in ("C", "F"):
        raise TypeError(f'order="C", row after row, and "F", columns, are followed, not {order!r}')
    return a if order == "C" else ops.transpose(a)


def transpose(a: Any, axes: Any = None) -> Any:
    if axes is None:
        return ops.transpose(a)
    return ops.transpose(a, axes=plain_axes(axes))


def flip(m: Any, axis: Any = None) -> Any:
    if axis is None:
        return ops.flip(m)
    return ops.flip(m, axis=plain_axes(axis))


def plain_axes(axes: Any) -> tuple[int, ...]:
    """Axes as Python integers: NumPy takes one, lists, arrays and its own integers, too."""
    several = axes if np.ndim(axes) else [axes]
    return tuple(map(operator.index, several))


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    # NumPy says where each axis goes: on an array whose lengths are the numbers of its axes.
    numbers = np.moveaxis(np.broadcast_to(0, range(a.ndim)), source, destination).shape
    return ops.transpose(a, numbers)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    numbers = np.rollaxis(np.broadcast_to(0, range(a.ndim)), axis, start).shape  # as in moveaxis
    return ops.transpose(a, numbers)


def matrix_transpose(x: Any) -> Any:
    return ops.swapaxes(x, axis1=-2, axis2=-1)


def fliplr(m: Any) -> Any:
    return flip(m, 1)


def flipud(m: Any) -> Any:
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    first, second = plain_axes(axes)
    if m.ndim < 2 or first % m.ndim == second % m.ndim:
        raise ValueError("np.rot90 turns a plane of two different axes")
    k %= 4
    if k == 0:
        return copy(m)
    if k == 2:
        return flip(m, axes)
    if k == 1:
        return ops.swapaxes(flip(m, second), axis1=first, axis2=second)
    return flip(ops.swapaxes(m, axis1=first, axis2=second), second)


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    shift = plain_axes(shift) if np.ndim(shift) else operator.index(shift)
    if np.ndim(axis):
        axis = plain_axes(axis)
    return ops.roll(a, shift=shift, axis=axis)


def each(function: Any, arrays: tuple[Any, ...]) -> Any:
    """What a function makes of one array, or of each of several."""
    made = tuple(map(function, arrays))
    return made[0] if len(made) == 1 else made


def atleast_1d(*arys: Any) -> Any:
    return each(one_axis, arys)


def atleast_2d(*arys: Any) -> Any:
    return each(two_axes, arys)


def atleast_3d(*arys: Any) -> Any:
    return each(three_axes, arys)


def one_axis(a: Any) -> Any:
    return a if np.ndim(a) else np.reshape(a, (1,))


def two_axes(a: Any) -> Any:
    return a if np.ndim(a) >= 2 else np.reshape(a, (1, -1))


def three_axes(a: Any) -> Any:
    """A vector lies along the second axis, a matrix along the first two."""
    return a if np.ndim(a) >= 3 else np.reshape(a, (*two_axes(a).shape, 1))


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return a.astype(a.dtype)


def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Any:
    return x.astype(dtype)


def fftshift(x: Any, axes: Any = None) -> Any:
    chosen = tuple(range(x.ndim)) if axes is None else plain_axes(axes)
    return np.roll(x, tuple(x.shape[i] // 2 for i in chosen), chosen)


def ifftshift(x: Any, axes: Any = None) -> Any:
    chosen = tuple(range(x.ndim)) if axes is None else plain_axes(axes)
    return np.roll(x, tuple(-(x.shape[i] // 2) for i in chosen), chosen)
