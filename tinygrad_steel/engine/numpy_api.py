"""What NumPy's functions mean on Tensors: MEANING, the table at the end, says it for each.

A function means either an op with the same arguments, or a spelling: one of the functions above the
table, which puts its answer together from ops, or answers without any. A spelling takes NumPy's own
arguments; an argument that it leaves out raises a TypeError that names it. Ufuncs need no row:
`np.exp` means the op whose forward it is.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..ops.op import SPELLINGS, TWINS, Op, data_of, is_tensor
from ..ops.shapes import before
from .messages import asked_by_user
from .reads import BRANCH, remember
from .recording import refuse_tracing

if TYPE_CHECKING:
    from .tensor import Tensor

# Another shape or order


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


# Put together and taken apart


def vstack(arrays: Any) -> Any:
    return ops.concatenate([np.atleast_2d(x) for x in arrays], axis=0)


def hstack(arrays: Any) -> Any:
    arrays = [np.atleast_1d(x) for x in arrays]
    return ops.concatenate(arrays, axis=0 if np.ndim(arrays[0]) == 1 else 1)


def column_stack(arrays: Any) -> Any:
    return ops.concatenate([as_column(x) for x in arrays], axis=1)


def as_column(x: Any) -> Any:
    """A vector or a number as a column; a table as it is."""
    return x if np.ndim(x) > 1 else np.reshape(x, (-1, 1))


def split(a: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    length, cuts = a.shape[axis], indices_or_sections
    if isinstance(cuts, int | np.integer):
        if cuts < 1 or length % cuts:
            raise ValueError(f"an axis of length {length} does not split into {cuts} equal parts")
        cuts = [length // cuts * i for i in range(1, cuts)]
    edges = [0, *map(operator.index, cuts), length]
    first = before(axis, a.ndim)
    return [a[(*first, slice(start, stop))] for start, stop in itertools.pairwise(edges)]


# Some of the elements


def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    if mode != "raise":
        raise TypeError(
            f"mode={mode!r} is not followed: make indices that fit, with % (wrap) or np.clip (clip)"
        )
    a, indices = as_array(a), as_indices(as_array(indices))
    if axis is None:
        return ops.getitem(np.ravel(a), indices, index=ops.HOLE)
    return ops.getitem(a, indices, index=(*before(axis, a.ndim), ops.HOLE))


def as_array(x: Any) -> Any:
    """A Tensor as it is, anything else as an array."""
    return x if is_tensor(x) else np.asarray(x)


def as_indices(x: Any) -> Any:
    """Integers as they are; bools are no mask here: as in NumPy, False is 0 and True is 1."""
    if x.dtype.kind == "b" or not x.size:
        return x.astype(np.intp)
    if x.dtype.kind not in "iu":
        raise TypeError(f"indices are integers, not {x.dtype}")
    return x


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return ops.clip(a, a_min if min is None else min, a_max if max is None else max)


# Products


def dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ops.multiply(a, b)
    if np.ndim(b) > 2:
        raise TypeError(
            "np.dot with more than two axes in the second argument: write np.einsum or @"
        )
    return ops.matmul(a, b)


def inner(a: Any, b: Any) -> Any:
    if np.ndim(a) != 1 or np.ndim(b) != 1:
        raise TypeError(
            "np.vdot and np.inner are followed for vectors: "
            "write np.sum(a * b) or a @ b.T, as meant"
        )
    return ops.matmul(a, b)


def outer(a: Any, b: Any) -> Any:
    return ops.multiply(np.reshape(a, (-1, 1)), np.reshape(b, (1, -1)))


def einsum(subscripts: str, *operands: Any) -> Any:
    if not isinstance(subscripts, str):
        raise TypeError('write the letters first, as in np.einsum("ij,jk->ik", a, b)')
    return ops.einsum(*operands, subscripts=subscripts)


# Sums and differences


def average(a: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return ops.mean(a, axis)
    if np.shape(weights) != np.shape(a):
        raise TypeError("np.average takes weights of the shape of a")
    a = a if hasattr(a, "dtype") else np.asarray(a)
    if a.dtype.kind != "f":  # as in NumPy: the products of small integers would wrap around
        a = a.astype(np.float64)
    return ops.sum(a * weights, axis) / ops.sum(weights, axis)


def trace(a: Any) -> Any:
    if a.ndim != 2:
        raise TypeError(
            "np.trace is followed for matrices: write np.einsum with letters for more axes"
        )
    diagonal = list(range(min(a.shape)))
    return ops.sum(a[diagonal, diagonal])


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


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if isinstance(axis, int | np.integer) or (axis is None and x.ndim == 1):
        followed = ord is None or ord == 2
    else:
        followed = ord is None or (ord == "fro" and x.ndim > 1)
    if not followed:
        raise TypeError(
            "np.linalg.norm with ord on Tensors: "
            "write np.sum(np.abs(x)), np.max(np.abs(x)), ... as meant"
        )
    return ops.norm(x, axis, keepdims=keepdims)


# Questions, answered by plain numbers


def shape(a: Tensor) -> tuple[int, ...]:
    if asked_by_user(2):  # above this function and the Tensor's dispatch
        a.note_count()
    return a.shape


def ndim(a: Tensor) -> int:
    return a.ndim


def size(a: Tensor, axis: int | None = None) -> int:
    if asked_by_user(2):  # above this function and the Tensor's dispatch
        a.note_count()
    return a.size if axis is None else a.shape[axis]


def allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    a, b = numbers_read((a, b))
    return bool(np.allclose(a, b, rtol, atol, equal_nan))  # a lazy array answers lazily


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    a, b = numbers_read((a1, a2))
    if np.shape(a) != np.shape(b):
        return False
    equal = np.equal(a, b)  # by ufuncs, since Dask has no array_equal
    if equal_nan:
        equal = equal | (np.not_equal(a, a) & np.not_equal(b, b))
    return bool(np.all(equal))


def numbers_read(xs: Sequence[Any]) -> list[Any]:
    """The arrays of Tensors, noted as read, since an answer about them leaves the graph."""
    refuse_tracing()
    for x in xs:
        if is_tensor(x):
            remember(x, BRANCH)
    return [data_of(x) for x in xs]


# They write into an array that is there.
FILLING = (np.put, np.copyto, np.place, np.putmask, np.put_along_axis, np.fill_diagonal)


def twin(function: Any) -> Op:
    """The op that stands for a NumPy function; TypeError where there is none."""
    if function in TWINS:
        return TWINS[function]
    name = function.__name__
    if hasattr(function, "__module__"):
        name = f"{function.__module__}.{name}"
    if name.startswith("numpy.fft."):
        raise TypeError(
            f"{name} makes complex numbers, and a Tensor holds real ones: take t.numpy() where no "
            f"gradient is wanted"
        )
    if function in FILLING:
        raise TypeError(
            f"{name} fills an array in place, which keeps no history: make the parts first, then "
            f"np.stack or np.concatenate them, or choose with np.where"
        )
    raise TypeError(
        f"{name} has no registered op, so its gradient is not known: write it with functions that "
        f"have one (tinygrad_steel.OPS lists them), register it with "
        f"tinygrad_steel.op(..., twins=[{name}]), or take t.numpy() where no gradient is wanted"
    )


MEANING: dict[Callable[..., Any], Op | Callable[..., Any]] = {
    # Another shape or order
    np.reshape: ops.reshape,
    np.ravel: ravel,
    np.squeeze: ops.squeeze,
    np.expand_dims: ops.expand_dims,
    np.atleast_1d: atleast_1d,
    np.atleast_2d: atleast_2d,
    np.transpose: transpose,
    np.swapaxes: ops.swapaxes,
    np.moveaxis: moveaxis,
    np.flip: flip,
    np.broadcast_to: ops.broadcast_to,
    np.copy: copy,
    # Put together and taken apart
    np.concatenate: ops.concatenate,
    np.stack: ops.stack,
    np.vstack: vstack,
    np.hstack: hstack,
    np.column_stack: column_stack,
    np.split: split,
    # Some of the elements
    np.take: take,
    np.where: ops.where,
    np.clip: clip,
    # Products
    np.matmul: ops.matmul,
    np.dot: dot,
    np.vdot: inner,
    np.inner: inner,
    np.outer: outer,
    np.einsum: einsum,
    # Powers (the op is no ufunc: a constant exponent has a rule of its own)
    np.power: ops.power,
    # Sums and differences
    np.sum: ops.sum,
    np.mean: ops.mean,
    np.average: average,
    np.var: ops.var,
    np.std: ops.std,
    np.prod: ops.prod,
    np.trace: trace,
    np.cumsum: cumsum,
    np.diff: diff,
    np.linalg.norm: norm,
    # The largest and the smallest
    np.max: ops.max,
    np.amax: ops.max,
    np.min: ops.min,
    np.amin: ops.min,
    # Constants: no gradient flows through them
    np.argmax: ops.argmax,
    np.argmin: ops.argmin,
    np.any: ops.any,
    np.all: ops.all,
    np.zeros_like: ops.zeros_like,
    np.ones_like: ops.ones_like,
    np.full_like: ops.full_like,
    # Questions, answered by plain numbers
    np.shape: shape,
    np.ndim: ndim,
    np.size: size,
    np.allclose: allclose,
    np.array_equal: array_equal,
}

TWINS.update({f: meaning for f, meaning in MEANING.items() if isinstance(meaning, Op)})
SPELLINGS.update({f: meaning for f, meaning in MEANING.items() if not isinstance(meaning, Op)})
