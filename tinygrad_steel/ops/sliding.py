"""Sliding windows: what is seen through them, and the adjoint, which adds windows up where they overlap."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .declare import define
from .fast import is_numpy
from .samples import random_sample

Lengths = tuple[int, ...]


def windows_added(g: Any, y: Any, x: Any, *, size: Lengths, axes: Lengths, stride: Any = 1) -> Any:
    """What was seen through windows goes back to its places."""
    return overlap_add(g, axes=axes, stride=stride, shape=x.shape)


@define(
    "sliding_windows",
    samples=[
        random_sample((5,), size=(2,), axes=(0,)),
        random_sample((2, 4, 5), size=(2, 3), axes=(-1, 1)),
        random_sample((2, 4, 5, 2), size=(3, 2), axes=(1, 2), stride=(1, 2)),
        random_sample((5,), size=(2, 3), axes=(0, 0)),
    ],
)
def sliding_windows(x: Any, *, size: Lengths, axes: Lengths, stride: Any = 1) -> Any:
    """np.lib.stride_tricks.sliding_window_view(x, size, axes), of which every `stride`-th is taken.

    `stride`: 1, or a number for each of the axes.
    """
    found = np.lib.stride_tricks.sliding_window_view(x, size, tuple(axes))  # None is refused
    return found if stride == 1 else found[every(stride, axes, x.ndim)]


sliding_windows.vjp(windows_added)


def every(stride: Any, axes: Lengths, ndim: int) -> tuple[slice, ...]:
    """The index that takes every `stride`-th place along the axes."""
    return tuple(slice(None, None, n) for n in steps_of(axes, stride, ndim))


@define(
    "overlap_add",
    samples=[
        random_sample((4, 2), axes=(0,), shape=(5,)),
        random_sample((2, 2, 2, 2, 3, 2), axes=(1, 2), stride=(1, 2), shape=(2, 4, 4, 2)),
        random_sample((2, 2, 3), axes=(0, 0), shape=(5,)),
    ],
)
def overlap_add(g: Any, *, axes: Lengths, shape: Lengths, stride: Any = 1) -> Any:
    """The adjoint of sliding_windows: zeros of `shape`, with the windows of `g` added at their places.

    A loop over the places in a window, each of which takes all windows at once.
    """
    size = g.shape[len(shape) :]
    expected = counts_of(shape, size, axes, stride)
    if g.shape != (*expected, *size):
        raise ValueError(
            f"windows of {size} in {shape} are {(*expected, *size)}, these are {g.shape}"
        )
    if not is_numpy(g):
        steps = steps_of(axes, stride, len(shape))
        parts = (
            put(g[(..., *place)], starts(place, axes, len(shape)), steps, shape)
            for place in np.ndindex(size)
        )
        return functools.reduce(np.add, parts)
    z = np.zeros(shape, g.dtype)
    seen = np.lib.stride_tricks.sliding_window_view(z, size, axes, writeable=True)
    seen = seen[every(stride, axes, z.ndim)]
    for place in np.ndindex(size):
        seen[(..., *place)] += g[(..., *place)]
    return z


@overlap_add.vjp
def _(g: Any, y: Any, x: Any, *, axes: Lengths, shape: Lengths, stride: Any = 1) -> Any:
    return sliding_windows(g, size=x.shape[len(shape) :], axes=axes, stride=stride)


def starts(offset: Sequence[int], axes: Lengths, ndim: int) -> list[int]:
    """Where the element at one place of the first window lies along each axis."""
    found = [0] * ndim
    for axis, n in zip(axes, offset, strict=True):
        found[axis] += n
    return found


def steps_of(axes: Lengths, stride: Any, ndim: int) -> list[int]:
    """How far it is from one window to the next along each axis."""
    found = [1] * ndim
    for axis, n in zip(axes, (1,) * len(axes) if stride == 1 else stride, strict=True):
        found[axis] = n
    return found


def counts_of(shape: Lengths, size: Lengths, axes: Lengths, stride: Any) -> Lengths:
    """How many windows there are along each axis of an array of this shape."""
    lasts = starts([n - 1 for n in size], axes, len(shape))  # of the elements of the first window
    steps = steps_of(axes, stride, len(shape))
    return tuple((n - 1 - last) // step + 1 for n, last, step in zip(shape, lasts, steps))


def put(x: Any, firsts: list[int], steps: list[int], shape: Lengths) -> Any:
    """Zeros of `shape` with `x` at every `step`-th place from the first on, nothing in place."""
    for axis, (first, step, n) in enumerate(zip(firsts, steps, shape)):
        before, behind = x.shape[:axis], x.shape[axis + 1 :]
        if step > 1:
            x = around(np.expand_dims(x, axis + 1), axis + 1, 0, step - 1)
            x = np.reshape(x, (*before, x.shape[axis] * step, *behind))
        x = x[(*(slice(None),) * axis, slice(n - first))]
        x = around(x, axis, first, n - first - x.shape[axis])
    return x


def around(x: Any, axis: int, before: int, behind: int) -> Any:
    """`x` with zeros around it along one axis."""
    return np.pad(x, [(before, behind) if i == axis else (0, 0) for i in range(x.ndim)])
