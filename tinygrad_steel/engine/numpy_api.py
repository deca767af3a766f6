"""NumPy functions that are other spellings of registered ops, or ask about an array and need no gradient."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import SPELLINGS, data_of
from ..ops.shapes import before
from .messages import asked_by_user
from .reads import BRANCH, remember
from .recording import refuse_tracing


def spelling(*functions: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: this is what these NumPy functions do with Tensors.

    Each takes NumPy's own arguments; what it leaves out raises a TypeError that names it.
    """

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        SPELLINGS.update(dict.fromkeys(functions, rule))
        return rule

    return register


@spelling(np.dot)
def dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ops.multiply(a, b)
    if np.ndim(b) > 2:
        raise TypeError(
            "np.dot with more than two axes in the second argument: write np.einsum or @"
        )
    return ops.matmul(a, b)


@spelling(np.outer)
def outer(a: Any, b: Any) -> Any:
    return ops.multiply(np.reshape(a, (-1, 1)), np.reshape(b, (1, -1)))


@spelling(np.einsum)
def einsum(subscripts: str, *operands: Any) -> Any:
    if not isinstance(subscripts, str):
        raise TypeError('write the letters first, as in np.einsum("ij,jk->ik", a, b)')
    return ops.einsum(*operands, subscripts=subscripts)


@spelling(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    if order != "C":
        raise TypeError(
            'only order="C", row after row, is followed; write np.ravel(np.transpose(a)) for columns'
        )
    return ops.reshape(a, shape=(-1,))


@spelling(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    if axes is None:
        return ops.transpose(a)
    return ops.transpose(a, axes=plain_axes(axes))


@spelling(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    return ops.flip(m) if axis is None else ops.flip(m, axis=plain_axes(axis))


def plain_axes(axes: Any) -> tuple[int, ...]:
    """Axes as Python integers: NumPy takes one of them, lists, arrays and its own integers, too."""
    return tuple(map(operator.index, axes if np.ndim(axes) else [axes]))


@spelling(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    # NumPy itself says where each axis goes: on an array whose lengths are the numbers of its axes
    numbers = np.moveaxis(np.broadcast_to(0, range(a.ndim)), source, destination).shape
    return ops.transpose(a, numbers)


@spelling(np.atleast_2d)
def atleast_2d(a: Any) -> Any:
    return a if np.ndim(a) >= 2 else ops.reshape(a, shape=(1, -1))


@spelling(np.atleast_1d)
def atleast_1d(a: Any) -> Any:
    return a if np.ndim(a) else ops.reshape(a, shape=(1,))


@spelling(np.vstack)
def vstack(arrays: Any) -> Any:
    return ops.concatenate([np.atleast_2d(x) for x in arrays], axis=0)


@spelling(np.hstack)
def hstack(arrays: Any) -> Any:
    arrays = [np.atleast_1d(x) for x in arrays]
    return ops.concatenate(arrays, axis=0 if np.ndim(arrays[0]) == 1 else 1)


@spelling(np.column_stack)
def column_stack(arrays: Any) -> Any:
    return ops.concatenate(
        [np.reshape(x, (-1, 1)) if np.ndim(x) <= 1 else x for x in arrays], axis=1
    )


@spelling(np.cumsum)
def cumsum(a: Any, axis: int | None = None) -> Any:
    return ops.cumsum(np.ravel(a), axis=0) if axis is None else ops.cumsum(a, axis=axis)


@spelling(np.copy)
def copy(a: Any) -> Any:
    return a.astype(a.dtype)


@spelling(np.take)
def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    if mode != "raise":
        raise TypeError(
            f"mode={mode!r} is not followed: make indices that fit, with % (wrap) or np.clip (clip)"
        )
    a, indices = (x if hasattr(x, "record_op") else np.asarray(x) for x in (a, indices))
    if (
        indices.dtype.kind == "b" or not indices.size
    ):  # no mask: as in NumPy, False is 0 and True is 1
        indices = indices.astype(np.intp)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices are integers, not {indices.dtype}")
    if axis is None:
        return ops.getitem(np.ravel(a), indices, index=ops.HOLE)
    first = before(axis, a.ndim)
    return ops.getitem(a, indices, index=(*first, ops.HOLE))


@spelling(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    if n < 0:
        raise ValueError(f"np.diff: n is at least 0, not {n}")
    first = before(axis, a.ndim)
    for _ in range(n):
        a = a[(*first, slice(1, None))] - a[(*first, slice(None, -1))]
    return a


@spelling(np.vdot, np.inner)
def inner(a: Any, b: Any) -> Any:
    if np.ndim(a) != 1 or np.ndim(b) != 1:
        raise TypeError(
            "np.vdot and np.inner are followed for vectors: write np.sum(a * b) or a @ b.T, as meant"
        )
    return ops.matmul(a, b)


@spelling(np.trace)
def trace(a: Any) -> Any:
    if a.ndim != 2:
        raise TypeError(
            "np.trace is followed for matrices: write np.einsum with letters for more axes"
        )
    diagonal = list(range(min(a.shape)))
    return ops.sum(a[diagonal, diagonal])


@spelling(np.average)
def average(a: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return ops.mean(a, axis)
    if np.shape(weights) != np.shape(a):
        raise TypeError("np.average takes weights of the shape of a")
    a = a if hasattr(a, "dtype") else np.asarray(a)
    if a.dtype.kind != "f":  # as in NumPy: the products of small integers would wrap around
        a = a.astype(np.float64)
    return ops.sum(a * weights, axis) / ops.sum(weights, axis)


@spelling(np.split)
def split(a: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    length, cuts = a.shape[axis], indices_or_sections
    if isinstance(cuts, (int, np.integer)):
        if cuts < 1 or length % cuts:
            raise ValueError(f"an axis of length {length} does not split into {cuts} equal parts")
        cuts = [length // cuts * i for i in range(1, cuts)]
    edges = [0, *map(operator.index, cuts), length]
    first = before(axis, a.ndim)
    return [a[(*first, slice(start, stop))] for start, stop in itertools.pairwise(edges)]


@spelling(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return ops.clip(a, a_min if min is None else min, a_max if max is None else max)


@spelling(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    one_axis = isinstance(axis, int | np.integer) or (axis is None and x.ndim == 1)
    if not (
        ord is None or (ord == "fro" and not one_axis and x.ndim > 1) or (ord == 2 and one_axis)
    ):
        raise TypeError(
            "np.linalg.norm with ord on Tensors: write np.sum(np.abs(x)), np.max(np.abs(x)), ... as meant"
        )
    return ops.norm(x, axis, keepdims=keepdims)


@spelling(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    if asked_by_user(2):  # above this function and the Tensor's dispatch
        a.note_count()
    return a.shape


@spelling(np.ndim)
def ndim(a: Any) -> int:
    return a.ndim


@spelling(np.size)
def size(a: Any, axis: int | None = None) -> int:
    if asked_by_user(2):  # above this function and the Tensor's dispatch
        a.note_count()
    return a.size if axis is None else a.shape[axis]


def read(*arrays: Any) -> None:
    """Note that an answer about these arrays leaves the graph."""
    refuse_tracing()
    for t in arrays:
        if hasattr(t, "record_op"):
            remember(t, BRANCH)


@spelling(np.allclose)
def allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    read(a, b)
    return bool(
        np.allclose(data_of(a), data_of(b), rtol, atol, equal_nan)
    )  # a lazy array answers lazily


@spelling(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    read(a1, a2)
    a, b = data_of(a1), data_of(a2)
    if np.shape(a) != np.shape(b):
        return False
    equal = np.equal(a, b)  # by ufuncs, since Dask has no array_equal
    if equal_nan:
        equal = equal | (np.not_equal(a, a) & np.not_equal(b, b))
    return bool(np.all(equal))
