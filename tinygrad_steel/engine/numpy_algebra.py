"""NumPy's functions on Tensors: linear algebra; of several results, each is an op of its own."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.linalg._linalg import EighResult, QRResult, SlogdetResult, SVDResult

from .. import ops
from ..ops.algebra import turned
from ..ops.op import data_of
from ..ops.safe import floats
from .numpy_parts import as_array
from .numpy_questions import numbers_read

# Determinants and factors


def slogdet(a: Any) -> SlogdetResult:
    return SlogdetResult(ops.signdet(a), ops.logabsdet(a))


def cholesky(a: Any, *, upper: bool = False) -> Any:
    return turned(ops.cholesky(turned(a))) if upper else ops.cholesky(a)


def eigh(a: Any, UPLO: str = "L") -> EighResult:
    return EighResult(ops.eigvalsh(a, UPLO=UPLO), ops.eigenvectors(a, UPLO=UPLO))


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    refuse_hermitian(hermitian)
    if not compute_uv:
        return ops.svdvals(a)
    if full_matrices and len({*a.shape[-2:]}) == 2:
        raise TypeError(
            f"of matrices {a.shape[-2:]} the vectors beyond the first {min(a.shape[-2:])} are not "
            f"unique, and so have no gradient: write full_matrices=False"
        )
    return SVDResult(ops.svd_u(a), ops.svdvals(a), ops.svd_vh(a))


def refuse_hermitian(hermitian: bool) -> None:
    """TypeError for what would be computed in another way, with the same result."""
    if hermitian:
        raise TypeError("hermitian=True is not followed: leave it out, the result is the same")


def qr(a: Any, mode: str = "reduced") -> Any:
    """Of matrices with more columns than rows, the first are factored, as in NumPy."""
    rows, columns = a.shape[-2:] if a.ndim > 1 else (0, 0)  # which the op refuses
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and rows > columns):
        raise TypeError(
            f"mode={mode!r} has no gradient, for it is not unique: write mode='reduced' or 'r'"
        )
    first = a if rows >= columns else a[..., :rows]
    r = ops.qr_r(first)
    if mode == "r" and rows >= columns:
        return r
    q = ops.qr_q(first)
    if rows < columns:
        r = np.concatenate([r, turned(q) @ a[..., rows:]], axis=-1)
    return r if mode == "r" else QRResult(q, r)


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    refuse_hermitian(hermitian)
    cut = rtol if rcond is None else rcond
    return ops.pinv(a) if cut is None else ops.pinv(a, rcond=cut)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Any, Any, int, Any]:
    """Solutions, sums of squared residuals, rank, singular values; of full rank only."""
    a, b = as_array(a), as_array(b)
    dtype = np.result_type(a.dtype, b.dtype)
    a = a if a.dtype == dtype else a.astype(dtype)
    rows, columns = a.shape
    cut = max(rows, columns) * float(np.finfo(floats(a).dtype).eps) if rcond is None else rcond
    rank = min(rows, columns)
    found = int(np.linalg.matrix_rank(data_of(a), rtol=max(cut, 0)))
    if found < rank:
        raise ValueError(
            f"np.linalg.lstsq: a matrix {a.shape} of rank {found} has no one solution to differentiate: leave out "
            f"rows or columns that depend on others, or write np.linalg.pinv(a) @ b"
        )
    x = ops.pinv(a, rcond=cut) @ b
    residuals = np.sum(np.square(b - a @ x), axis=0, keepdims=b.ndim == 1)
    return x, residuals if rows > columns else residuals[:0], rank, ops.svdvals(a)


# Products of many


def matrix_power(a: Any, n: int) -> Any:
    n = operator.index(n)
    if a.ndim < 2 or a.shape[-2] != a.shape[-1]:
        raise np.linalg.LinAlgError(f"powers are those of square matrices, not of {a.shape}")
    if n == 0:  # as 0 * a would not, it leaves infinities out
        return np.where(False, a, np.eye(a.shape[-1], dtype=a.dtype))
    square, power, left = a if n > 0 else np.linalg.inv(a), None, abs(n)
    while True:
        if left % 2:
            power = square if power is None else power @ square
        left //= 2
        if not left:
            return power
        square = square @ square


def multi_dot(arrays: Sequence[Any], *, out: None = None) -> Any:
    """The product of a chain of matrices, in the order that takes the fewest steps."""
    if out is not None:
        raise TypeError("out= would lose the history: leave it out")
    arrays = [*map(as_array, arrays)]
    if len(arrays) < 2:
        raise ValueError("np.linalg.multi_dot: a chain has two arrays at least")
    sides = [1 if arrays[0].ndim == 1 else arrays[0].shape[0]]
    sides += [x.shape[0] if x.ndim == 1 else x.shape[-1] for x in arrays[:-1]]
    sides += [1 if arrays[-1].ndim == 1 else arrays[-1].shape[1]]

    @functools.cache
    def plan(i: int, j: int) -> tuple[float, int]:
        """The steps that arrays `i` to `j` take, and after which one to part them."""
        if i == j:
            return 0, i
        return min(
            (plan(i, k)[0] + plan(k + 1, j)[0] + sides[i] * sides[k + 1] * sides[j + 1], k)
            for k in range(i, j)
        )

    def product(i: int, j: int) -> Any:
        if i == j:
            return arrays[i]
        cut = plan(i, j)[1]
        return ops.matmul(product(i, cut), product(cut + 1, j))

    return product(0, len(arrays) - 1)


# Lengths and sizes


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if ord is None and axis is None:
        return ops.norm(x, keepdims=keepdims)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 1:
        return vector_norm(x, 2 if ord is None else ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"np.linalg.norm is taken along one axis or two, not along {len(axes)}")
    return matrix_norm(x, "fro" if ord is None else ord, axes, keepdims)


def vector_norm(x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    """The length of each vector, by any of NumPy's words; at a length of 0, its slope is 0."""
    if ord == 2:
        return ops.norm(x, axis, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(
            f"np.linalg.norm: ord={ord!r} is for matrices: a vector has a number, or None for 2"
        )
    sizes = np.abs(floats(x))
    if math.isinf(ord):
        return (np.max if ord > 0 else np.min)(sizes, axis=axis, keepdims=keepdims)
    if ord == 0:  # how many are not 0; NaN is none of these
        counted = np.where(np.isnan(sizes), 1, np.sign(sizes))
        return np.sum(counted, axis=axis, keepdims=keepdims)
    total = np.sum(sizes if ord == 1 else sizes**ord, axis=axis, keepdims=keepdims)
    if ord == 1:
        return total
    nothing = np.equal(total, 0)
    return np.where(nothing, 0, np.where(nothing, 1, total) ** (1 / ord))


MATRIX_NORMS: dict[Any, tuple[Callable[..., Any], int | None]] = {
    # (what is taken of the sums along this one of the two axes, or of the singular values)
    1: (np.max, 0),
    -1: (np.min, 0),
    np.inf: (np.max, 1),
    -np.inf: (np.min, 1),
    2: (np.max, None),
    -2: (np.min, None),
    "nuc": (np.sum, None),
}


def matrix_norm(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    """The size of each matrix, by any of NumPy's words."""
    if ord in ("fro", "f"):
        return ops.norm(x, axes, keepdims=keepdims)
    if ord not in MATRIX_NORMS:
        raise ValueError(f"np.linalg.norm: ord={ord!r} is none of {[*MATRIX_NORMS, 'fro']}")
    choose, place = MATRIX_NORMS[ord]
    matrices = np.moveaxis(floats(x), axes, (-2, -1))
    if place is None:
        size = choose(ops.svdvals(matrices), axis=-1)
    else:
        size = choose(np.sum(np.abs(matrices), axis=place - 2), axis=-1)
    return np.expand_dims(size, tuple(i % x.ndim for i in axes)) if keepdims else size


def norm_of_vectors(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """With several axes, of all of their elements as one vector."""
    if isinstance(axis, int):
        return vector_norm(x, ord, axis, keepdims)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    stay = [i for i in range(x.ndim) if i not in axes]
    rows = np.transpose(x, (*stay, *axes))
    length = vector_norm(np.reshape(rows, (*rows.shape[: len(stay)], -1)), ord, -1, False)
    return np.expand_dims(length, axes) if keepdims else length


def norm_of_matrices(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return matrix_norm(x, ord, (-2, -1), keepdims)


def cond(x: Any, p: Any = None) -> Any:
    """Of a singular matrix it is infinite, without a gradient."""
    if p is None or p in (2, -2):
        s = ops.svdvals(x)
        over, under = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        singular = np.equal(under, 0)
        return np.where(singular, np.inf, over / np.where(singular, 1, under))
    x = floats(x)
    singular = np.equal(ops.signdet(x), 0)
    x = np.where(singular[..., None, None], np.eye(x.shape[-1], dtype=x.dtype), x)
    size = norm(x, p, axis=(-2, -1)) * norm(np.linalg.inv(x), p, axis=(-2, -1))
    return np.where(singular, np.inf, size)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    (numbers,) = numbers_read([A])
    return np.linalg.matrix_rank(numbers, tol, hermitian, rtol=rtol)
