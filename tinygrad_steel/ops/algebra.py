"""Linear algebra: of square matrices, and factors of matrices, in stacks as in NumPy.

Of several results of one function of NumPy's, each is an op of its own. Rules without another
source: M. B. Giles, "An extended collection of matrix derivative results" (2008). Where a factor is
not unique (equal eigenvalues, columns that depend on one another) it has no derivative, and its
gradient is NaN, also where rounding alone tells the two apart.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .declare import define
from .fast import is_numpy
from .reductions import prod
from .samples import random_sample, sample_of

Triangle = Literal["L", "U", "l", "u"]  # which one is read: the lower or the upper
GENERAL = sample_of([[2.0, -1.0, 0.5], [0.3, 1.5, -0.7], [-0.4, 0.6, 1.2]])
STACK = sample_of([[[2.0, -1.0], [0.3, 1.5]], [[-1.0, 0.4], [0.7, 2.0]]])
SINGULAR = sample_of([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]])
SYMMETRIC = [
    sample_of([[2.0, 0.5, -0.3], [0.5, 1.4, 0.4], [-0.3, 0.4, 0.9]]),
    sample_of([[[2.0, 0.5], [0.5, 1.5]], [[1.0, -0.4], [-0.4, 3.0]]]),
]
UPPER = sample_of([[2.0, 0.5, -0.3], [0.5, 1.4, 0.4], [-0.3, 0.4, 0.9]], UPLO="U")
SQUARE = [GENERAL, STACK]
TALL = [*SQUARE, random_sample((4, 2)), random_sample((2, 3, 2))]
ANY_SHAPE = [*TALL, random_sample((2, 4))]


def turned(x: Any) -> Any:
    """The transpose of each matrix."""
    return np.swapaxes(x, -1, -2)


def columns(x: Any) -> Any:
    """A number for each column, in the place of a row."""
    return np.expand_dims(x, -2)


def whole(x: Any) -> Any:
    """A number for each matrix, in its place."""
    return np.expand_dims(x, (-1, -2))


def lower(x: Any) -> Any:
    """What is below the diagonal, and half of the diagonal itself."""
    n = x.shape[-1]
    below = np.where(np.tri(n, k=-1, dtype=bool), x, 0)
    return below + np.where(np.eye(n, dtype=bool), x / 2, 0)


def gaps(values: Any) -> Any:
    """How far value j is above value i; NaN where only rounding tells them apart, 1 for i = j."""
    found = columns(values) - np.expand_dims(values, -1)
    noise = values.shape[-1] * np.finfo(values.dtype).eps * np.max(np.abs(values), axis=-1)
    known = np.where(np.abs(found) <= whole(noise), np.nan, found)
    return np.where(np.eye(values.shape[-1], dtype=bool), 1, known)


def off_diagonal(x: Any) -> Any:
    """Each matrix with zeros on its diagonal."""
    return np.where(np.eye(x.shape[-1], dtype=bool), 0, x)


# Square matrices


@define("inv", samples=SQUARE)
def inv(x: Any) -> Any:
    """The inverse of each matrix; LinAlgError for one that has none."""
    return np.linalg.inv(x)


inv.vjp(lambda g, y, x: -turned(y) @ g @ turned(y))


@define(
    "solve",
    samples=[
        sample_of([[2.0, -1.0], [0.3, 1.5]], [1.0, -2.0]),
        sample_of([[2.0, -1.0], [0.3, 1.5]], [[1.0, -2.0, 0.5], [0.7, 0.4, -1.0]]),
        sample_of([[[2.0, -1.0], [0.3, 1.5]], [[-1.0, 0.4], [0.7, 2.0]]], [1.0, -2.0]),
        sample_of([[2.0, -1.0], [0.3, 1.5]], [[[1.0], [-2.0]], [[0.6], [0.4]]]),
    ],
)
def solve(a: Any, b: Any) -> Any:
    """The `y` with `a @ y` equal to `b`, which counts as a vector only where it has one axis.

    LinAlgError where `a` has no inverse.
    """
    return np.linalg.solve(a, b)


@solve.vjp
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim > 1:
        return -np.linalg.solve(turned(a), g) @ turned(y)
    found = np.linalg.solve(turned(a), np.expand_dims(g, -1))
    return -found @ columns(y)


@solve.vjp
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim > 1:
        return np.linalg.solve(turned(a), g)
    return np.squeeze(np.linalg.solve(turned(a), np.expand_dims(g, -1)), -1)


@define("det", samples=[*SQUARE, SINGULAR])
def det(x: Any) -> Any:
    """The determinant of each matrix; its derivatives are exact where it is 0, too."""
    return np.linalg.det(x)


@define("cofactors", samples=[*SQUARE, SINGULAR], undefined=True)
def cofactors(x: Any) -> Any:
    """The slopes of the determinant: det(x) * inv(x).T, but also where there is no inverse.

    From `x = u @ diag(s) @ vh`: those of a diagonal matrix are the products of all other numbers.
    Where singular values are equal, the second derivatives (third ones of the determinant) are NaN.
    """
    u, s, vh = np.linalg.svd(x)
    return sign_of(u, vh) * (u * columns(prod(all_but_one(s), axis=-1))) @ vh


@cofactors.vjp
def _(g: Any, y: Any, x: Any) -> Any:
    """Of a diagonal matrix, where only pairs (i, i), (j, j) and (i, j), (j, i) meet in products."""
    u, s, vh = np.linalg.svd(x)
    inner = turned(u) @ g @ turned(vh)
    others = off_diagonal(prod(all_but_one(all_but_one(s)), axis=-1))
    diagonal = np.eye(x.shape[-1], dtype=bool)
    found = np.sum(np.where(diagonal, inner, 0), axis=-1, keepdims=True)
    along = np.where(diagonal, others @ found, -others * turned(inner))
    return sign_of(u, vh) * u @ along @ vh


det.vjp(lambda g, y, x: whole(g) * cofactors(x))


def sign_of(u: Any, vh: Any) -> Any:
    """1 or -1: the determinant of the product of two rotations or reflections."""
    return whole(np.sign(np.linalg.det(u @ vh)))


def all_but_one(s: Any) -> Any:
    """The numbers, once for each of them, which is 1 there."""
    return np.where(np.eye(s.shape[-1], dtype=bool), 1, columns(s))


@define("logabsdet", samples=SQUARE)
def logabsdet(x: Any) -> Any:
    """The logarithm of the size of the determinant of each matrix: one result of slogdet."""
    return np.linalg.slogdet(x)[1]


logabsdet.vjp(lambda g, y, x: whole(g) * turned(np.linalg.inv(x)))


@define("signdet", samples=SQUARE, jumps=True)
def signdet(x: Any) -> Any:
    """The sign of the determinant of each matrix, of slope zero: the other result of slogdet."""
    return np.linalg.slogdet(x)[0]


signdet.vjp(lambda g, y, x: 0 * whole(g) * x)


@define("pinv", samples=ANY_SHAPE)
def pinv(x: Any, rcond: float | None = None) -> Any:
    """The pseudo-inverse of each matrix.

    G. H. Golub and V. Pereyra (1973). Its rank is taken to stay as it is: where columns depend on
    one another, the pseudo-inverse itself jumps.
    """
    return np.linalg.pinv(x) if rcond is None else np.linalg.pinv(x, rcond)


@pinv.vjp
def _(g: Any, y: Any, x: Any, rcond: float | None = None) -> Any:
    left, right = beyond(x @ y), beyond(y @ x)
    along = -turned(y) @ g @ turned(y)
    return along + left @ turned(g) @ (y @ turned(y)) + (turned(y) @ y) @ turned(g) @ right


def beyond(projection: Any) -> Any:
    """What a projection leaves out, squared: the same, and what is 0 but for rounding vanishes."""
    rest = np.eye(projection.shape[-1], dtype=projection.dtype) - projection
    return rest @ rest


# Symmetric matrices, of which NumPy reads the lower triangle alone: there the gradient lies, and
# what is symmetric itself (`a @ a.T`) has the same as from a symmetric one.


@define("cholesky", samples=SYMMETRIC)
def cholesky(x: Any) -> Any:
    """The lower triangular `y` with `y @ y.T` equal to the symmetric, positive definite `x`.

    I. Murray, "Differentiation of the Cholesky decomposition" (2016).
    """
    y = np.linalg.cholesky(x)
    if is_numpy(x):
        return y
    return np.tril(y) + turned(np.triu(y, 1))  # Dask gives the upper triangle


@cholesky.vjp
def _(g: Any, y: Any, x: Any) -> Any:
    inner = np.linalg.solve(turned(y), lower(turned(y) @ g))
    both = np.linalg.solve(turned(y), turned(inner))
    return lower(both + turned(both))


@define("eigvalsh", samples=[*SYMMETRIC, UPPER], undefined=True)
def eigvalsh(x: Any, UPLO: Triangle = "L") -> Any:
    """The eigenvalues of each symmetric matrix, in ascending order.

    Where some are equal, a kink, the gradient is right for what treats these alike (a sum, a
    determinant), and second derivatives are NaN.
    """
    return np.linalg.eigvalsh(x, UPLO)


@eigvalsh.vjp
def _(g: Any, y: Any, x: Any, UPLO: Triangle = "L") -> Any:
    vectors = eigenvectors(x, UPLO=UPLO)
    return triangle(2 * (vectors * columns(g)) @ turned(vectors), UPLO)


@define("eigenvectors", samples=[*SYMMETRIC, UPPER], undefined=True)
def eigenvectors(x: Any, UPLO: Triangle = "L") -> Any:
    """The eigenvectors of each symmetric matrix, as columns: the other result of eigh.

    Where two eigenvalues are equal, their vectors are not unique, and the gradient is NaN.
    """
    return np.linalg.eigh(x, UPLO)[1]


@eigenvectors.vjp
def _(g: Any, y: Any, x: Any, UPLO: Triangle = "L") -> Any:
    inner = off_diagonal(turned(y) @ g / gaps(np.linalg.eigvalsh(x, UPLO)))
    both = y @ inner @ turned(y)
    return triangle(both + turned(both), UPLO)


def triangle(x: Any, UPLO: Triangle) -> Any:
    """What is below the diagonal or above it, and half of the diagonal itself."""
    return lower(x) if UPLO.upper() == "L" else turned(lower(turned(x)))


# Factors: x = u @ diag(s) @ vh, x = q @ r


@define("svdvals", samples=ANY_SHAPE, undefined=True)
def svdvals(x: Any) -> Any:
    """The singular values of each matrix, in descending order.

    Where some are equal, a kink, the gradient is right for what treats these alike, and second
    derivatives are NaN; at 0, another kink, the slope is 0.
    """
    return np.linalg.svdvals(x)


@svdvals.vjp
def _(g: Any, y: Any, x: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return (u * columns(np.where(s > 0, g, 0))) @ vh


@define("svd_u", samples=ANY_SHAPE, undefined=True)
def svd_u(x: Any) -> Any:
    """The singular vectors of each matrix on the left, as columns, no more than singular values.

    J. Townsend, "Differentiating the singular value decomposition" (2016). Where two singular
    values are equal, the gradient is NaN; also where one is 0, unless the matrix is square.
    """
    return np.linalg.svd(x, full_matrices=False)[0]


@svd_u.vjp
def _(g: Any, y: Any, x: Any) -> Any:
    _, s, vh = np.linalg.svd(x, full_matrices=False)
    return through_left(g, y, s, vh)


@define("svd_vh", samples=ANY_SHAPE, undefined=True)
def svd_vh(x: Any) -> Any:
    """The singular vectors of each matrix on the right, as rows; all else as with `svd_u`."""
    return np.linalg.svd(x, full_matrices=False)[2]


@svd_vh.vjp
def _(g: Any, y: Any, x: Any) -> Any:
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return turned(through_left(turned(g), turned(y), s, turned(u)))


def through_left(g: Any, u: Any, s: Any, vh: Any) -> Any:
    """What `g`, the gradient of `u`, gives to `u @ diag(s) @ vh`."""
    one = np.eye(s.shape[-1], dtype=bool)
    sums = np.where(one, 1, columns(s) + np.expand_dims(s, -1))
    inner = off_diagonal(turned(u) @ g / (gaps(s) * sums))
    along = (u @ ((inner + turned(inner)) * columns(s))) @ vh
    if u.shape[-2] == u.shape[-1]:
        return along
    outside = g - u @ (turned(u) @ g)  # into directions that no column of `u` has
    return along + (outside / columns(nan_at_zero(s))) @ vh


def nan_at_zero(s: Any) -> Any:
    """Numbers; NaN where only rounding tells them from 0."""
    noise = s.shape[-1] * np.finfo(s.dtype).eps * np.max(np.abs(s), axis=-1, keepdims=True)
    return np.where(np.abs(s) <= noise, np.nan, s)


@define("qr_q", samples=TALL, undefined=True)
def qr_q(x: Any) -> Any:
    """The columns of each matrix, no more than rows, made perpendicular and of length 1.

    D. A. O. Roberts and L. R. Roberts, "QR and LQ decomposition matrix backpropagation algorithms"
    (2020). Where columns depend on one another, the gradient is NaN.
    """
    return np.linalg.qr(checked_tall(x))[0]


@qr_q.vjp
def _(g: Any, y: Any, x: Any) -> Any:
    r = np.linalg.qr(x)[1]
    return divided_by_r(g - y @ mirrored(turned(g) @ y), r)


@define("qr_r", samples=TALL, undefined=True)
def qr_r(x: Any) -> Any:
    """The upper triangular matrix that `qr_q` is multiplied with to give each matrix."""
    return np.linalg.qr(checked_tall(x))[1]


@qr_r.vjp
def _(g: Any, y: Any, x: Any) -> Any:
    q = np.linalg.qr(x)[0]
    return divided_by_r(q @ mirrored(y @ turned(g)), y)


def checked_tall(x: Any) -> Any:
    """Matrices with no more columns than rows, to which the rules of QR apply."""
    if x.ndim > 1 and x.shape[-2] < x.shape[-1]:
        raise ValueError("more columns than rows: factor the first, as many as there are rows")
    return x


def mirrored(x: Any) -> Any:
    """The lower triangle of each matrix, and its mirror image above."""
    half = lower(x)
    return half + turned(half)


def divided_by_r(x: Any, r: Any) -> Any:
    """x @ inv(r.T); NaN where a column of `r` depends on those before, with 0 on the diagonal.

    Rounding puts there, in place of 0, some units in the last place of the column's largest number.
    """
    one = np.eye(r.shape[-1], dtype=bool)
    rest = np.sum(np.where(one, r, 0), axis=-1)
    noise = x.shape[-2] * np.finfo(r.dtype).eps * np.max(np.abs(r), axis=-2)
    lengths = np.where(np.abs(rest) <= noise, np.nan, rest)
    return turned(np.linalg.solve(np.where(one, columns(lengths), r), turned(x)))
