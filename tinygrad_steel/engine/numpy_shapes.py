"""NumPy's functions on Tensors: the same elements in another shape or order."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import ops


def ravel(a: Any, order: str = "C") -> Any:
    if order != "C":
        words = "write np.ravel(np.transpose(a)) for columns"
        raise TypeError(f'only order="C", row after row, is followed; {words}')
    return ops.reshape(a, shape=(-1,))


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


def atleast_1d(a: Any) -> Any:
    return a if np.ndim(a) else ops.reshape(a, shape=(1,))


def atleast_2d(a: Any) -> Any:
    return a if np.ndim(a) >= 2 else ops.reshape(a, shape=(1, -1))


def copy(a: Any) -> Any:
    return a.astype(a.dtype)
