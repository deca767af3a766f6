"""Reductions: what a result gets, its reduced axes put back, goes to each element that it was made of."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from .declare import define
from .fast import Axis, largest, numpy_sum, total
from .safe import apart, floats, nan_stays, wide
from .samples import random_sample, sample_of
from .shapes import undone

ALONG = [
    random_sample((2, 3)),
    random_sample((2, 3), axis=0),
    random_sample((2, 3), axis=-1, keepdims=True),
    random_sample((2, 3, 2), axis=(0, 2)),
]
FREE = [*ALONG, random_sample((2, 3), ddof=1)]
RUNNING = [
    random_sample((2, 3), axis=1),
    random_sample((2, 3), axis=0),
    random_sample((4,), axis=0),
]
MASKS = [sample_of([[True, False]]), sample_of([[True, False]], axis=0)]
PLACES = [
    random_sample((2, 3)),
    random_sample((2, 3), axis=1),
    random_sample((2, 3), axis=0, keepdims=True),
    random_sample((2, 3), keepdims=True),
]


def spread(g: Any, axis: Axis, keepdims: bool) -> Any:
    """Put the axes that a reduction took away back as axes of length 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def count(x: Any, axis: Axis) -> int:
    """How many elements of `x` a reduction along `axis` takes together."""
    if axis is None:
        return int(x.size)
    axes = axis if isinstance(axis, tuple) else (axis,)
    if axes and not x.shape:  # NumPy's sums let a single number have an axis, its means do not
        raise np.exceptions.AxisError(axes[0], 0)
    return math.prod(x.shape[i] for i in axes)


# Sums and means


@define("sum", samples=ALONG, reduction=True)
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over all elements, or along `axis` (one, or a tuple of them)."""
    return numpy_sum(x, axis, keepdims)


sum.vjp(lambda g, y, x, axis=None, keepdims=False: spread(g, axis, keepdims))


@define("cumsum", samples=RUNNING)
def cumsum(x: Any, *, axis: int) -> Any:
    """The running sum along an axis."""
    if axis is None:
        words = "np.cumsum(x.reshape(-1), axis=0) does the same"
        raise ValueError(f"axis=None is not supported: {words}")
    return np.cumsum(x, axis=axis)


cumsum.vjp(lambda g, y, x, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis))


@define("mean", samples=ALONG, reduction=True)
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over all elements, or along `axis` (one, or a tuple of them).

    As in NumPy, float16 adds up in float32; integers are taken as float64.
    """
    if x.dtype.char not in "fd":  # np.mean adds up integers in float64 and float16 in float32
        return np.mean(x, axis=axis, keepdims=keepdims)
    if axis is None:  # the mean of nearly every loss: without the call below
        return numpy_sum(x, None, keepdims) / x.size
    return numpy_sum(x, axis, keepdims) / count(x, axis)


@mean.vjp
def _(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return part(g, x.size) if axis is None else spread(part(g, count(x, axis)), axis, keepdims)


def part(g: Any, n: int) -> Any:
    """g / n; float16 counts up to 2,048 exactly, and not at all beyond 65,504."""
    return wide(g) / n if n > 2048 else g / n


@define(
    "logsumexp",
    samples=[
        random_sample((2, 3)),
        random_sample((2, 3), axis=0),
        random_sample((2, 3), axis=1, keepdims=True),
    ],
)
def logsumexp(x: Any, axis: Axis = -1, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) along an axis, the last by default.

    It is shifted by the maximum, so that nothing overflows. Its slopes are softmax(x). Of a row of
    -inf alone it is -inf, of one with inf it is inf; the elements that are that infinity share the
    gradient evenly there, as equal numbers do however large.

    Parameters
    ----------
    x : Tensor or array
        Of any shape, such as logits (N, C); integers are taken as float64.
    axis : int, tuple of int or None
        Along which the exponentials are added up; None for all axes.
    keepdims : bool
        Whether these axes stay, with length 1.

    Returns
    -------
    Tensor or array
        In the float dtype of `x`, without these axes.

    Raises
    ------
    AxisError
        For an axis that `x` does not have.

    References
    ----------
    Blanchard, Higham and Higham, Accurately computing the log-sum-exp and softmax functions, 2021,
    IMA Journal of Numerical Analysis 41(4).

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import logsumexp
    >>> print(f"{logsumexp(np.array([1000.0, 1000.0])):.6f}")
    1000.693147
    """
    x = floats(x)
    peak = largest(x, axis, keepdims=True)
    y = peak + np.log(total(np.exp(apart(x, peak)), axis, keepdims=True))
    return y if keepdims else np.squeeze(y, axis)


@logsumexp.vjp
def _(g: Any, y: Any, x: Any, axis: Axis = -1, keepdims: bool = False) -> Any:
    e = np.exp(apart(x, spread(y, axis, keepdims)))
    return spread(g, axis, keepdims) * e / total(e, axis, keepdims=True)


# Extremes


@define("max", samples=ALONG, reduction=True, choosing=True)
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest element, or the largest along `axis`.

    Ties share the gradient evenly. NaN, where there is any, is the largest, and its gradient NaN.
    """
    return largest(x, axis, keepdims)


@define("min", samples=ALONG, reduction=True, choosing=True)
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest element, or the smallest along `axis`.

    Ties share the gradient evenly. NaN, where there is any, is the smallest, and its gradient NaN.
    """
    return np.min(x, axis=axis, keepdims=keepdims)


@max.vjp
@min.vjp
def _(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The elements that are the extreme share its gradient; NaNs, where there are any, get NaN."""
    hit = np.logical_or(np.equal(x, spread(y, axis, keepdims)), np.isnan(x))
    hits = total(hit, axis, keepdims=True)
    if x.dtype != np.float64:  # which counts divided by counts are in
        hits = hits.astype(x.dtype)
    return spread(g, axis, keepdims) * nan_stays(x, hit / hits)


# Deviations and lengths


@define("var", samples=FREE)
def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """The mean square deviation from the mean.

    It is divided by n - ddof: by the number of elements, unless `ddof=1` says otherwise.
    """
    return np.var(x, axis=axis, keepdims=keepdims, ddof=ddof)


@var.vjp
def _(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    return 2 * wide(spread(g, axis, keepdims)) * deviation(x, axis, ddof)


@define("std", samples=FREE)
def std(x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """The root of the variance; where all elements are equal, a kink, its slope is 0."""
    return np.std(x, axis=axis, keepdims=keepdims, ddof=ddof)


@std.vjp
def _(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    return per_length(g, y, axis, keepdims) * deviation(x, axis, ddof)


def deviation(x: Any, axis: Axis, ddof: float) -> Any:
    """(x - mean) / (n - ddof); where ddof is larger, NumPy divides by 0.

    Measured from the largest: the mean of equal numbers may be off by rounding, and std would
    divide that by itself.
    """
    n, x = count(x, axis), wide(x)
    if n == 0:
        return x  # there is nothing to measure
    x = x - largest(x, axis, keepdims=True)
    return (x - mean(x, axis, keepdims=True)) / builtins.max(n - ddof, 0)


@define("norm", samples=ALONG)
def norm(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The Euclidean length sqrt(sum(x * x)), over all elements or along `axis`.

    At 0, a kink, its slope is 0.
    """
    return np.sqrt(numpy_sum(np.square(floats(x)), axis, keepdims))


@norm.vjp
def _(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return per_length(g, y, axis, keepdims) * x


def per_length(g: Any, y: Any, axis: Axis, keepdims: bool) -> Any:
    """g / y with the reduced axes put back; where `y`, a length, is 0, `g` (its slope is 0)."""
    return spread(wide(g) / np.where(np.equal(y, 0), 1, y), axis, keepdims)


# The product


@define(
    "prod",
    samples=[
        *ALONG,
        sample_of([[0.0, 2.0, 3.0], [0.0, 0.0, 4.0]], axis=1),
        sample_of([0.0, 2.0, 3.0]),
    ],
    reduction=True,
)
def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The product over all elements or along `axis`.

    Its derivatives of any order are exact where factors are 0: the gradient multiplies the factors
    before each element with those after it, instead of dividing the product by the element.
    """
    return np.prod(x, axis=axis, keepdims=keepdims)


@prod.vjp
def _(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if x.ndim == 0 or not axes:
        return g  # nothing was multiplied
    return spread(g, axis, keepdims) * other_factors(spread(y, axis, keepdims), x, axes)


def other_factors(y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """For each element, the product of all others along `axes`."""
    gone = [i % x.ndim for i in axes]
    stay = [i for i in range(x.ndim) if i not in gone]
    order, n = stay + gone, count(x, axes)  # the reduced axes last, there taken as one
    moved = np.transpose(x, order)
    rows = np.reshape(moved, (*moved.shape[: len(stay)], n))
    before = products_before(rows)
    others = before * np.flip(products_before(np.flip(rows, -1)), -1)
    others = np.transpose(np.reshape(others, moved.shape), undone(order))
    before = np.transpose(np.reshape(before, moved.shape), undone(order))
    # 0 * inf where the one ran out of range before, the other after: as NumPy, which goes on from before
    spoilt = np.logical_and(np.isnan(others), np.logical_not(np.isnan(y)))
    return np.where(spoilt, before, others)


def products_before(x: Any) -> Any:
    """For each element of a row, the product of those before it."""
    return cumprod(np.concatenate([np.ones_like(x[..., :1]), x[..., :-1]], axis=-1), axis=-1)


@define("cumprod", samples=[*RUNNING, sample_of([2.0, 0.0, 3.0, 0.0], axis=0)])
def cumprod(x: Any, *, axis: int) -> Any:
    """The running product along an axis.

    Its derivatives of any order are exact where factors are 0: the gradient never divides by them.
    """
    return np.cumprod(x, axis=axis)


@cumprod.vjp
def _(g: Any, y: Any, x: Any, axis: int) -> Any:
    """Factor k is in all products from k on, beside the factors before and those after it."""
    g, x = np.moveaxis(g, axis, -1), np.moveaxis(x, axis, -1)
    return np.moveaxis(products_before(x) * sums_of_products_after(g, x), -1, axis)


def sums_of_products_after(g: Any, x: Any) -> Any:
    """At k of each row g[k] + g[k+1] * x[k+1] + g[k+2] * x[k+1] * x[k+2] and so on.

    Each round doubles how many terms are in a sum: log2(n) rounds without a division.
    """
    sums, factors, reach = g, x[..., 1:], 1  # factors: the product of the next `reach` elements
    while reach < x.shape[-1]:
        longer = sums[..., :-reach] + factors * sums[..., reach:]
        sums = np.concatenate([longer, sums[..., -reach:]], axis=-1)
        factors, reach = factors[..., :-reach] * factors[..., reach:], 2 * reach
    return sums


# Questions that a reduction answers without a gradient


@define("argmax", constant=True, samples=PLACES)
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the largest element is, or the first of equal ones; the first NaN, where there is any."""
    return np.argmax(x, axis=axis, keepdims=keepdims)


@define("argmin", constant=True, samples=PLACES)
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the smallest element is, or the first of equal ones; the first NaN, where there is any."""
    return np.argmin(x, axis=axis, keepdims=keepdims)


@define("any", constant=True, samples=MASKS, reduction=True)
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether an element is true."""
    return np.any(x, axis=axis, keepdims=keepdims)


@define("all", constant=True, samples=MASKS, reduction=True)
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether every element is true."""
    return np.all(x, axis=axis, keepdims=keepdims)
