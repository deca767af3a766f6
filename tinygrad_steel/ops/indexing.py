"""Indexing: `index` is the key as written, with HOLE where an array stands.

The arrays follow `x` as inputs of their own, so that labels used as an index are part of the graph
and not a constant baked into it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .declare import define
from .fast import is_numpy, ndarray
from .samples import random_sample, sample_of


class Hole:
    """Stands in an index for the array that is passed as an input."""

    def __repr__(self) -> str:
        return "array"


HOLE = Hole()


def getitem_vjp(i: int, g: Any, y: Any, x: Any, *arrays: Any, index: Any) -> Any:
    """What was taken goes back to its places."""
    adjoint = scatter.forward if g.__class__ is ndarray else scatter
    return adjoint(g, *arrays, index=index, shape=x.shape)


@define(
    "getitem",
    samples=[
        random_sample((3, 2), index=1),
        random_sample((3, 4), index=(slice(None), slice(1, 3))),
        random_sample((3, 2), index=(Ellipsis, None, 0)),
        sample_of([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 0, 2], index=HOLE),
        sample_of([[1.0, 2.0], [3.0, 4.0]], [1, 0, 1], index=(HOLE, 1)),
    ],
    each=getitem_vjp,
)
def getitem(x: Any, *arrays: Any, index: Any) -> Any:
    """x[index], for every index NumPy knows; an element taken twice gets both gradients."""
    return x[filled_index(index, arrays)]


def add_at(z: Any, g: Any, *arrays: Any, index: Any) -> None:
    """Add what belongs at an index to an array in place."""
    if arrays:
        np.add.at(z, filled_index(index, arrays), g)
        return
    part = z[index]
    if part.__class__ is ndarray and part.base is z:
        part += g  # a view; z[index] += g would write it back as well
    else:  # a number, or a copy, as z[True] is
        z[index] += g


getitem.add_to = add_at


@define(
    "scatter",
    samples=[
        random_sample((2,), index=1, shape=(3, 2)),
        sample_of([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 0, 2], index=HOLE, shape=(3, 2)),
    ],
    each=lambda i, g, y, x, *arrays, index, shape: getitem(g, *arrays, index=index),
)
def scatter(g: Any, *arrays: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """The adjoint of getitem: zeros of `shape`, with `g` added at `index`."""
    if not arrays and has_only_new_axes(index):
        return np.reshape(g, shape)
    if not is_numpy(g):
        raise TypeError(
            f"the gradient of indexing is followed on NumPy's arrays, not on a "
            f"{type(g).__module__} {type(g).__name__}: index the array before it goes into a Tensor"
        )
    z = np.zeros(shape, g.dtype)
    if arrays:
        np.add.at(z, filled_index(index, arrays), g)
    else:  # numbers and slices take no element twice
        z[index] = g
    return z


def filled_index(index: Any, arrays: tuple[Any, ...]) -> Any:
    """The index with the arrays in its holes."""
    if not arrays:
        return index
    fill = iter(arrays)
    if isinstance(index, tuple):
        return tuple(next(fill) if i is HOLE else i for i in index)
    return next(fill) if index is HOLE else index


def has_only_new_axes(index: Any) -> bool:
    """Whether an index takes every element, once and in order."""
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        if part is not None and part is not Ellipsis and part != EVERYTHING:
            return False
    return True


EVERYTHING = slice(None)


def full_index(index: Any, ndim: int) -> list[Any]:
    """An index as a list with a part for each of the axes, and None for each new one."""
    index = [*index] if isinstance(index, tuple) else [index]
    rest = ndim - sum(i is not None and i is not Ellipsis for i in index)
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    return [*index[:at], *[slice(None)] * rest, *index[at + 1 :]]
