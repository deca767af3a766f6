"""Where the elements of a view lie in the array behind it: as NumPy itself has them, by strides."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .. import ops
from ..program.values import Apply, Value, compute
from .lowered import behind_views, is_view


class Strided(NamedTuple):
    """Elements of the array of `base`: the first at `offset`, the others by `strides`."""

    base: Value
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def strided(x: Value) -> Strided | None:
    """The elements of a value, where a view shows them by strides of 0 and more; None elsewhere."""
    base = behind_views(x)
    memory = np.empty(base.shape, base.dtype)  # nobody writes into it, so that it costs nothing
    shown = shown_of(x, memory)
    if not shown.size or not np.may_share_memory(shown, memory):
        return None
    strides = in_elements(shown)
    if min(strides, default=0) < 0:
        return None
    offset = shown.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return Strided(base, offset // memory.itemsize, shown.shape, strides)


def shown_of(x: Value, memory: np.ndarray) -> np.ndarray:
    """What a chain of views shows of the array at its end."""
    return compute(x, [shown_of(x.inputs[0], memory)]) if is_view(x) else memory


def in_elements(shown: np.ndarray) -> tuple[int, ...]:
    """The strides of an array, counted in elements; 0 along axes of length 1."""
    steps = zip(shown.shape, shown.strides)
    return tuple(0 if n == 1 else step // shown.itemsize for n, step in steps)


def along_axes(count: int, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Strides along so many axes in all: by those before, an array is broadcast."""
    return (*[0] * (count - len(strides)), *strides)


class Left(NamedTuple):
    """The left matrix of a product: several axes may be its rows, and several the inner ones."""

    base: Value
    offset: int
    rows: tuple[int, ...]
    row_strides: tuple[int, ...]
    inner: tuple[int, ...]
    inner_strides: tuple[int, ...]


def behind_copy(x: Value) -> Left | None:
    """A matrix that shows a copy of a view, as that of windows is one: where its elements come
    from.
    """
    shown = strided(x)
    if shown is None or len(shown.shape) != 2 or shown.offset or not is_copy(shown.base):
        return None
    source = strided(shown.base.values()[0])
    rows, inner = (axes_of(n, step, shown.base.shape) for n, step in zip(*shown[2:]))
    if source is None or rows is None or inner is None:
        return None
    return Left(
        source.base,
        source.offset,
        source.shape[rows] or (1,),
        source.strides[rows] or (0,),
        source.shape[inner] or (1,),
        source.strides[inner] or (0,),
    )


def is_copy(x: Value) -> bool:
    """Whether it is a view whose elements are put into an array of their own."""
    if not isinstance(x, Apply) or x.op is not ops.add or x.inputs[1] is not False:
        return False
    return x.inputs[0].shape == x.shape and is_view(x.inputs[0])


def axes_of(n: int, step: int, shape: tuple[int, ...]) -> slice | None:
    """The axes of a contiguous array along which there are `n` elements, `step` apart."""
    for end in range(len(shape), 0, -1):
        if math.prod(shape[end:]) != step and n > 1:
            continue
        start = end
        while math.prod(shape[start:end]) < n and start:
            start -= 1
        if math.prod(shape[start:end]) == n:
            return slice(start, end)
    return None
