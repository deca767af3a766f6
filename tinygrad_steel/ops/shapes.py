"""Shapes: the same elements, moved about, repeated or joined."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .declare import define
from .fast import Axis
from .samples import random_sample


@define(
    "reshape",
    samples=[random_sample((2, 3), shape=(3, 2)), random_sample((2, 3), shape=-1)],
    moves=True,
)
def reshape(x: Any, *, shape: Any) -> Any:
    """The same elements, in row order, in another shape; one length may be -1."""
    return np.reshape(x, (shape,) if isinstance(shape, int) else shape)  # Dask insists on a tuple


reshape.vjp(lambda g, y, x, shape: np.reshape(g, x.shape))


@define(
    "transpose",
    samples=[random_sample((2, 3)), random_sample((2, 3, 4), axes=(2, 0, 1))],
    moves=True,
)
def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Any:
    """The axes reversed, or in the order of `axes`."""
    return np.transpose(x, axes)


@transpose.vjp
def _(g: Any, y: Any, x: Any, axes: tuple[int, ...] | None = None) -> Any:
    if axes is None:
        return g.T
    return np.transpose(g, undone([i % x.ndim for i in np.ravel(axes).tolist()]))


def undone(order: list[int]) -> tuple[int, ...]:
    """The order of axes that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


@define(
    "swapaxes",
    samples=[random_sample((2, 3, 4), axis1=0, axis2=-1)],
    moves=True,
)
def swapaxes(x: Any, *, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    return np.swapaxes(x, axis1, axis2)


swapaxes.vjp(lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2))


@define(
    "expand_dims",
    samples=[random_sample((2, 3), axis=1), random_sample((2, 3), axis=(0, -1))],
    moves=True,
)
def expand_dims(x: Any, *, axis: Axis) -> Any:
    """New axes of length 1."""
    return np.expand_dims(x, axis)  # type: ignore[arg-type]


expand_dims.vjp(lambda g, y, x, axis: np.reshape(g, x.shape))


@define(
    "squeeze",
    samples=[random_sample((2, 1, 3, 1)), random_sample((2, 1, 3, 1), axis=1)],
    moves=True,
)
def squeeze(x: Any, axis: Axis = None) -> Any:
    """Without its axes of length 1, or without `axis`."""
    y = np.squeeze(x, axis)
    return y[...] if y is x else y  # a view in any case: views of leaves are copied


squeeze.vjp(lambda g, y, x, axis=None: np.reshape(g, x.shape))


@define(
    "flip",
    samples=[random_sample((2, 3)), random_sample((2, 3), axis=1)],
    moves=True,
)
def flip(x: Any, axis: Axis = None) -> Any:
    """The order of the elements reversed, along all axes or along `axis`."""
    return np.flip(x, axis)


flip.vjp(lambda g, y, x, axis=None: np.flip(g, axis))


Shift = int | tuple[int, ...]


@define(
    "roll",
    samples=[random_sample((2, 3), shift=1), random_sample((2, 3), shift=(1, -2), axis=(0, 1))],
)
def roll(x: Any, *, shift: Shift, axis: Axis = None) -> Any:
    """The elements moved on by `shift`; what falls off the end comes in at the beginning."""
    return np.roll(x, shift, axis)


@roll.vjp
def _(g: Any, y: Any, x: Any, *, shift: Shift, axis: Axis = None) -> Any:
    back = tuple(-n for n in shift) if isinstance(shift, tuple) else -shift
    return np.roll(g, back, axis)


@define(
    "broadcast_to",
    samples=[random_sample((3,), shape=(2, 3)), random_sample((2, 1), shape=(4, 2, 3))],
)
def broadcast_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """`x` repeated along new axes and along axes of length 1; the engine sums what comes back."""
    return np.broadcast_to(x, shape)


broadcast_to.vjp(lambda g, y, x, shape: g)


def before(axis: int, ndim: int) -> tuple[slice, ...]:
    """What takes all of the axes before this one in an index."""
    return (slice(None),) * normalize_axis_index(axis, ndim)


def pieces(g: Any, y: Any, *arrays: Any, axis: int | None = 0) -> list[Any]:
    """The parts of `g` that the arrays of a concatenation take up along `axis`."""
    sizes = [x.size if axis is None else x.shape[axis] for x in arrays]
    first = () if axis is None else before(axis, y.ndim)
    ends = itertools.accumulate(sizes)
    parts = [g[(*first, slice(end - size, end))] for size, end in zip(sizes, ends)]
    return parts if axis is not None else [np.reshape(p, x.shape) for p, x in zip(parts, arrays)]


@define(
    "concatenate",
    samples=[
        random_sample((2, 3), (1, 3)),
        random_sample((2, 1), (2, 2), (2, 3), axis=-1),
        random_sample((2, 1), (3,), axis=None),
    ],
    sequence=True,
    joint=pieces,
)
def concatenate(*arrays: Any, axis: int | None = 0) -> Any:
    """Arrays joined along an axis they have already; all of their elements in a row for None."""
    return np.concatenate(arrays, axis=axis)


def layers(g: Any, y: Any, *arrays: Any, axis: int = 0) -> list[Any]:
    """The part of `g` that belongs to each array of a stack."""
    first = before(axis, y.ndim)
    return [g[(*first, i)] for i in range(len(arrays))]


@define(
    "stack",
    samples=[random_sample((2, 3), (2, 3)), random_sample((2,), (2,), axis=-1)],
    sequence=True,
    joint=layers,
)
def stack(*arrays: Any, axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis."""
    return np.stack(arrays, axis=axis)


# With zeros, or other constants, around


Widths = tuple[tuple[int, int], ...]  # before and behind, for each axis


@define(
    "pad",
    samples=[
        random_sample((2, 3), pad_width=((1, 2), (0, 3))),
        random_sample((3,), pad_width=((2, 1),), constant_values=0.5),
        random_sample((3, 2), pad_width=((1, 1), (0, 2)), constant_values=[[1, 2], [3, 4]]),
    ],
)
def pad(x: Any, *, pad_width: Widths, constant_values: Any = 0) -> Any:
    """`x` with constants around it: one number, or one for each side of each axis."""
    return np.pad(x, pad_width, constant_values=constant_values)


@pad.vjp
def _(g: Any, y: Any, x: Any, *, pad_width: Widths, constant_values: Any = 0) -> Any:
    firsts = np.broadcast_to(pad_width, (x.ndim, 2))[:, 0].tolist()  # one pair stands for all axes
    return g[tuple(slice(first, first + n) for first, n in zip(firsts, x.shape))]


@define("diag", samples=[random_sample((3,)), random_sample((2,), k=-1)])
def diag(v: Any, k: int = 0) -> Any:
    """A matrix of zeros with a vector on its diagonal, or `k` above it."""
    return np.diag(v, k)


diag.vjp(lambda g, y, v, k=0: np.diagonal(g, k))

PLANES = [random_sample((3, 3)), random_sample((2, 3, 4), k=1), random_sample((4, 2), k=-1)]


@define("tril", samples=PLANES)
def tril(m: Any, k: int = 0) -> Any:
    """0 in place of what is above the diagonal, or `k` above it."""
    return np.tril(m, k)


tril.vjp(lambda g, y, m, k=0: np.tril(g, k))


@define("triu", samples=PLANES)
def triu(m: Any, k: int = 0) -> Any:
    """0 in place of what is below the diagonal, or `k` above it."""
    return np.triu(m, k)


triu.vjp(lambda g, y, m, k=0: np.triu(g, k))
