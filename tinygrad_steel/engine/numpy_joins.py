"""NumPy's functions on Tensors: arrays put together and taken apart."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import ops
from ..ops.op import is_tensor, stacked
from ..ops.shapes import before
from .numpy_parts import as_array


def concatenate(
    arrays: Any, axis: int | None = 0, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    if dtype is not None:
        arrays = [as_array(x).astype(dtype, casting=casting) for x in arrays]
    return ops.concatenate(arrays, axis=axis)


def vstack(arrays: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    return concatenate([np.atleast_2d(stacked(x)) for x in arrays], dtype=dtype, casting=casting)


def hstack(arrays: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    arrays = [np.atleast_1d(stacked(x)) for x in arrays]
    axis = 0 if np.ndim(arrays[0]) == 1 else 1
    return concatenate(arrays, axis, dtype=dtype, casting=casting)


def column_stack(arrays: Any) -> Any:
    return ops.concatenate([as_column(stacked(x)) for x in arrays], axis=1)


def as_column(x: Any) -> Any:
    """A vector or a number as a column; a table as it is."""
    return x if np.ndim(x) > 1 else np.reshape(x, (-1, 1))


def dstack(tup: Any) -> Any:
    return ops.concatenate([np.atleast_3d(stacked(x)) for x in tup], axis=2)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        return ops.concatenate([np.ravel(stacked(arr)), np.ravel(stacked(values))])
    return ops.concatenate([arr, values], axis=axis)


def block(arrays: Any) -> Any:
    depth, ndim = depth_and_axes(arrays)
    return joined(arrays, depth, ndim)


def depth_and_axes(arrays: Any) -> tuple[int, int]:
    """How deep lists are nested, and how many axes what they are joined to has."""
    if not isinstance(arrays, list):
        return 0, np.ndim(arrays)
    if not arrays:
        raise ValueError("np.block: lists are not empty")
    depths, axes = zip(*map(depth_and_axes, arrays))
    if len({*depths}) > 1:
        raise ValueError("np.block: lists are nested to one depth")
    return depths[0] + 1, max(depths[0] + 1, *axes)


def joined(arrays: Any, depth: int, ndim: int) -> Any:
    """Nested lists of arrays as one array; the innermost are joined along the last axis."""
    if depth == 0:
        return np.reshape(arrays, (1,) * (ndim - np.ndim(arrays)) + np.shape(arrays))
    return ops.concatenate([joined(x, depth - 1, ndim) for x in arrays], axis=-depth)


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(x, shape) for x in args)


def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError(f"np.meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    axes = [*range(len(xi))]
    if indexing == "xy":
        axes[:2] = axes[:2][::-1]
    along = [
        np.reshape(x, [-1 if i == axis else 1 for i in range(len(xi))]) for x, axis in zip(xi, axes)
    ]
    return tuple(along) if sparse else broadcast_arrays(*along)


# Repeated


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None or not np.ndim(a):
        a, axis = np.ravel(a), axis or 0
    if np.ndim(repeats):
        return np.take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis)
    axis = normalize_axis_index(axis, a.ndim)
    times = operator.index(repeats)
    first, n, rest = a.shape[:axis], a.shape[axis], a.shape[axis + 1 :]
    wide = ops.broadcast_to(ops.expand_dims(a, axis=axis + 1), shape=(*first, n, times, *rest))
    return ops.reshape(wide, shape=(*first, n * times, *rest))


def tile(A: Any, reps: Any) -> Any:
    times = [*map(operator.index, np.atleast_1d(reps))]
    lengths = [1] * (len(times) - A.ndim) + [*A.shape]
    times = [1] * (A.ndim - len(times)) + times
    lines = ops.reshape(A, shape=tuple(k for n in lengths for k in (1, n)))
    wide = ops.broadcast_to(lines, shape=tuple(k for pair in zip(times, lengths) for k in pair))
    return ops.reshape(wide, shape=tuple(k * n for k, n in zip(times, lengths)))


FILLED_FROM_WITHIN = ("edge", "reflect", "symmetric", "wrap")


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    array = as_array(array)
    if not array.ndim:  # it has no sides
        return np.copy(array)
    widths = pairs(pad_width, array.ndim)
    if mode == "constant":
        return pad_constant(array, widths, **kwargs)
    if mode not in FILLED_FROM_WITHIN or kwargs.get("reflect_type", "even") != "even":
        modes = ", ".join(map(repr, ("constant", *FILLED_FROM_WITHIN)))
        raise TypeError(f"of the modes, {modes} are followed, not {mode!r} with {kwargs}")
    for axis, width in enumerate(widths):
        if any(width):
            array = np.take(array, np.pad(np.arange(array.shape[axis]), width, mode), axis)
    return array


def pad_constant(array: Any, widths: Any, constant_values: Any = 0) -> Any:
    if np.ndim(constant_values):
        constant_values = np.broadcast_to(constant_values, (array.ndim, 2)).tolist()
    elif is_tensor(constant_values):
        raise TypeError("constant_values are plain numbers: join Tensors by np.concatenate")
    return ops.pad(array, pad_width=widths, constant_values=constant_values)


def pairs(pad_width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """How much is put before and behind each axis, as np.pad takes it."""
    if isinstance(pad_width, dict):
        of_axis = {operator.index(axis) % ndim: width for axis, width in pad_width.items()}
        pad_width = [np.broadcast_to(of_axis.get(i, 0), 2) for i in range(ndim)]
    rows = np.broadcast_to(pad_width, (ndim, 2)).tolist()
    found = tuple((operator.index(first), operator.index(last)) for first, last in rows)
    if any(n < 0 for row in found for n in row):
        raise ValueError("np.pad: pad_width is not negative")
    return found


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"np.linspace: num is at least 0, not {num}")
    start, stop = (1.0 * (np.asarray(x) if isinstance(x, list) else x) for x in (start, stop))
    delta = stop - start
    gaps = num - 1 if endpoint else num
    step = delta / gaps if gaps > 0 else delta * np.nan
    counts = np.reshape(np.arange(num, dtype=delta.dtype), (num,) + (1,) * delta.ndim)
    y = counts * (step if gaps > 0 else delta) + start
    if endpoint and num > 1:  # the very end, whatever the rounding
        stop = stop if is_tensor(stop) else np.asarray(stop, y.dtype)
        last = np.broadcast_to(stop, delta.shape)
        y = ops.concatenate([y[:-1], np.expand_dims(last, 0)])
    if axis:
        y = np.moveaxis(y, 0, axis)
    if dtype is not None:
        y = (np.floor(y) if np.dtype(dtype).kind in "iu" else y).astype(dtype)
    return (y, step) if retstep else y


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    if np.ndim(base):
        ndim = max(map(np.ndim, (start, stop, base)))
        start, stop, base = (
            np.reshape(x, (1,) * (ndim - np.ndim(x)) + np.shape(x)) for x in (start, stop, base)
        )
        base = np.expand_dims(base, axis)
    steps = linspace if is_tensor(start) or is_tensor(stop) else np.linspace
    y = np.power(base, steps(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else y.astype(dtype)


def resize(a: Any, new_shape: Any) -> Any:
    """The elements over and over again, in row order, as many as fit."""
    flat = np.ravel(a)
    size = int(np.prod(new_shape))
    return np.reshape(flat[np.arange(size) % max(1, len(flat))], new_shape)


# Taken apart


def split(a: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    length, cuts = a.shape[axis], indices_or_sections
    if isinstance(cuts, int | np.integer):
        if cuts < 1 or length % cuts:
            raise ValueError(f"an axis of length {length} does not split into {cuts} equal parts")
        cuts = [length // cuts * i for i in range(1, cuts)]
    edges = [0, *map(operator.index, cuts), length]
    first = before(axis, a.ndim)
    return [a[(*first, slice(start, stop))] for start, stop in itertools.pairwise(edges)]


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    length, cuts = ary.shape[axis], indices_or_sections
    if isinstance(cuts, int | np.integer):
        if cuts < 1:
            raise ValueError("np.array_split: the number of sections is larger than 0")
        least, longer = divmod(length, cuts)
        cuts = np.cumsum([least + 1] * longer + [least] * (cuts - longer))[:-1].tolist()
    return split(ary, cuts, axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(ary, indices_or_sections, axis=0 if ary.ndim == 1 else 1)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split_of(ary, indices_or_sections, axis=0, ndim=2)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return split_of(ary, indices_or_sections, axis=2, ndim=3)


def split_of(ary: Any, cuts: Any, axis: int, ndim: int) -> list[Any]:
    """split along an axis of what has at least `ndim` of them."""
    if ary.ndim < ndim:
        raise ValueError(f"np.{' vd'[ndim - 1]}split works on arrays of {ndim} or more axes")
    return split(ary, cuts, axis)


def unstack(x: Any, *, axis: int = 0) -> tuple[Any, ...]:
    first = before(axis, x.ndim)
    return tuple(x[(*first, i)] for i in range(x.shape[axis]))
