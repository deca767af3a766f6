"""Ops in jax.numpy: those that are called otherwise there, or that NumPy lacks, and what to check."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import ops
from ..ops.indexing import HOLE, filled_index, full_index
from ..ops.op import Op
from ..ops.sliding import Lengths, counts_of, starts, steps_of
from ..program.values import Apply
from .lowered import is_plain_index
from .pieces import assemble


def astype(x: Any, dtype: Any) -> Any:
    """A mask is chosen from: `mask.astype(float) * x` is where(mask, x, 0) to XLA, also for NaN."""
    x = jnp.asarray(x)
    if x.dtype.kind == "b":
        return jnp.where(x, np.ones((), dtype), np.zeros((), dtype))
    return x.astype(dtype)


def reciprocal(x: Any) -> Any:
    return jnp.reciprocal(x) if x.dtype.kind == "f" else jax.lax.div(jnp.ones_like(x), x)


def one_hot(ids: Any, *, classes: int) -> Any:
    return ids[:, None] == jnp.arange(classes)


def clip(x: Any, *, a_min: Any = None, a_max: Any = None) -> Any:
    return jnp.clip(x, a_min, a_max)


def einsum(*operands: Any, subscripts: str) -> Any:
    return jnp.einsum(subscripts, *operands)


# Indices and windows


def getitem(x: Any, *arrays: Any, index: Any) -> Any:
    return jnp.asarray(x)[filled_index(index, arrays)]


def scatter(g: Any, *arrays: Any, index: Any, shape: Lengths) -> Any:
    if not arrays and is_plain_index(index):
        return placed(g, index, shape)
    return jnp.zeros(shape, g.dtype).at[filled_index(index, arrays)].add(g)


def assembled(*parts: Any, indices: tuple[Any, ...], shape: Lengths) -> Any:
    return functools.reduce(operator.add, map(placed, parts, indices, [shape] * len(parts)))


def placed(part: Any, index: Any, shape: Lengths) -> Any:
    """Zeros of a shape with a part at an index of numbers and slices; XLA fuses these, but no
    scatter.
    """
    axes = [i for i in full_index(index, len(shape)) if i is not None]
    taken = [
        range(n)[i if isinstance(i, slice) else slice(i, i + 1 or None)]
        for i, n in zip(axes, shape)
    ]
    part = part.reshape([len(r) for r in taken])
    if not part.size:
        return jnp.zeros(shape, part.dtype)
    part = jnp.flip(part, [axis for axis, r in enumerate(taken) if r.step < 0])
    ends = [(min(r), n - 1 - max(r), abs(r.step) - 1) for r, n in zip(taken, shape)]
    return jax.lax.pad(part, jnp.zeros((), part.dtype), ends)


def sliding_windows(x: Any, *, size: Lengths, axes: Lengths, stride: Any = 1) -> Any:
    """For each place in a window, what all windows have there."""
    counts, steps = counts_of(x.shape, size, axes, stride), steps_of(axes, stride, x.ndim)
    parts = []
    for place in np.ndindex(*size):
        rows = zip(starts(place, axes, x.ndim), counts, steps)
        parts.append(x[tuple(slice(i, i + (n - 1) * step + 1, step) for i, n, step in rows)])
    return jnp.stack(parts, axis=-1).reshape(*counts, *size)


def overlap_add(g: Any, *, axes: Lengths, shape: Lengths, stride: Any = 1) -> Any:
    """For each place in a window, what all windows have there, with zeros between and around."""
    ndim = len(shape)
    steps = steps_of(axes, stride, ndim)
    zero, total = jnp.zeros((), g.dtype), jnp.zeros(shape, g.dtype)
    for place in np.ndindex(*g.shape[ndim:]):
        part = g[(..., *place)]
        rows = zip(starts(place, axes, ndim), part.shape, steps, shape)
        around = [(i, full - i - (n - 1) * step - 1, step - 1) for i, n, step, full in rows]
        total = total + jax.lax.pad(part, zero, around)
    return total


# Places. NumPy leaves open in which order equal elements come, and those on one side of the kth.


def argsort(x: Any, *, axis: int = -1, kind: Any = None) -> Any:
    return jnp.argsort(x, axis=axis)


def argpartition(x: Any, *, kth: Any, axis: int = -1, kind: Any = None) -> Any:
    return jnp.argsort(x, axis=axis)


def searchsorted(a: Any, v: Any, *, side: str = "left") -> Any:
    return jnp.searchsorted(a, v, side=side).astype(np.intp)


def digitize(x: Any, bins: Any, *, right: bool = False) -> Any:
    return jnp.digitize(x, bins, right=right).astype(np.intp)


# Linear algebra


def pinv(x: Any, *, rcond: float | None = None) -> Any:
    return jnp.linalg.pinv(x, rtol=1e-15 if rcond is None else rcond)


def cholesky(x: Any) -> Any:
    return jnp.linalg.cholesky(x, symmetrize_input=False)


def logabsdet(x: Any) -> Any:
    return jnp.linalg.slogdet(x)[1]


def signdet(x: Any) -> Any:
    return jnp.linalg.slogdet(x)[0]


def eigh(x: Any, part: int, UPLO: str) -> Any:
    return jnp.linalg.eigh(x, UPLO, symmetrize_input=False)[part]


def eigvalsh(x: Any, *, UPLO: str = "L") -> Any:
    return eigh(x, 0, UPLO)


def eigenvectors(x: Any, *, UPLO: str = "L") -> Any:
    return eigh(x, 1, UPLO)


def svd_u(x: Any) -> Any:
    return jnp.linalg.svd(x, full_matrices=False)[0]


def svd_vh(x: Any) -> Any:
    return jnp.linalg.svd(x, full_matrices=False)[2]


def qr_q(x: Any) -> Any:
    return jnp.linalg.qr(x)[0]


def qr_r(x: Any) -> Any:
    return jnp.linalg.qr(x)[1]


def cofactors(x: Any) -> Any:
    """det(x) * inv(x).T by singular values, as the op's own forward has it."""
    u, s, vh = jnp.linalg.svd(x)
    n = x.shape[-1]
    others = jnp.where(jnp.eye(n, dtype=bool), 1, s[..., None, :])
    sign = jnp.sign(jnp.linalg.det(u) * jnp.linalg.det(vh))[..., None, None]
    return sign * (u * jnp.prod(others, axis=-1)[..., None, :]) @ vh


FUNCTIONS: dict[Op | None, Callable[..., Any]] = {
    **{ops.astype: astype, ops.asconstant: astype, ops.one_hot: one_hot},
    **{ops.reciprocal: reciprocal, ops.clip: clip, ops.einsum: einsum},
    **{ops.getitem: getitem, ops.scatter: scatter, assemble: assembled},
    **{ops.sliding_windows: sliding_windows, ops.overlap_add: overlap_add},
    **{ops.argsort: argsort, ops.argpartition: argpartition},
    **{ops.searchsorted: searchsorted, ops.digitize: digitize},
    **{ops.pinv: pinv, ops.cholesky: cholesky, ops.cofactors: cofactors},
    **{ops.logabsdet: logabsdet, ops.signdet: signdet},
    **{ops.eigvalsh: eigvalsh, ops.eigenvectors: eigenvectors},
    **{ops.svd_u: svd_u, ops.svd_vh: svd_vh, ops.qr_q: qr_q, ops.qr_r: qr_r},
}


# Where NumPy raises an error, or gives another number, than jax.numpy does: whether all is well


def ids_in_range(value: Apply, y: Any, ids: Any) -> Any:
    return jnp.all((ids >= 0) & (ids < value.params["classes"]))


def indices_in_range(value: Apply, y: Any, x: Any, *arrays: Any) -> Any:
    """An array of indices that stands in the program has been looked at when it was traced."""
    shape = value.params.get("shape", np.shape(x))
    found = [
        jnp.all((ids >= -n) & (ids < n))
        for ids, n in indexed_axes(value.params["index"], arrays, shape)
        if isinstance(ids, jax.Array)
    ]
    return functools.reduce(operator.and_, found) if found else None


def indexed_axes(index: Any, arrays: tuple[Any, ...], shape: Lengths) -> list[tuple[Any, int]]:
    """The arrays of an index, each with the length of the axis in which it takes elements; a mask
    for each of its axes.
    """
    parts, fill, taking = [], iter(arrays), []
    for part in index if isinstance(index, tuple) else (index,):
        ids = [next(fill)] if part is HOLE else []
        times = ids[0].ndim if ids and ids[0].dtype.kind == "b" else 1
        parts += [part] * times
        taking += ids * times
    every = [part for part in full_index(tuple(parts), len(shape)) if part is not None]
    return [*zip(taking, (n for part, n in zip(every, shape) if part is HOLE))]


def is_finite(value: Apply, y: Any, *inputs: Any) -> Any:
    return jnp.all(jnp.isfinite(y))


def no_integer_by_zero(value: Apply, y: Any, *inputs: Any) -> Any:
    return None if value.dtype.kind == "f" else jnp.all(jnp.asarray(inputs[-1]) != 0)


def no_negative_exponent(value: Apply, y: Any, a: Any, b: Any) -> Any:
    return None if value.dtype.kind == "f" else jnp.all(jnp.asarray(b) >= 0)


DECOMPOSED = (
    *(ops.inv, ops.solve, ops.pinv, ops.cholesky, ops.cofactors, ops.eigvalsh, ops.eigenvectors),
    *(ops.svdvals, ops.svd_u, ops.svd_vh),
)
DIVISIONS = (ops.floor_divide, ops.remainder, ops.fmod, ops.reciprocal)
CHECKS: dict[Op | None, Callable[..., Any]] = {
    ops.one_hot: ids_in_range,
    **dict.fromkeys((ops.getitem, ops.scatter), indices_in_range),
    **dict.fromkeys(DECOMPOSED, is_finite),
    **dict.fromkeys(DIVISIONS, no_integer_by_zero),
    ops.power: no_negative_exponent,
}
