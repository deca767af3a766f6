"""NumPy-only short cuts, each beside the road that Tensors, Dask and other arrays take."""

from __future__ import annotations

from typing import Any

import numpy as np

ndarray, add_up, maximum = np.ndarray, np.add.reduce, np.maximum.reduce  # looked up once
HALF, FLOAT = np.dtype(np.float16), np.dtype(np.float64)
ZERO = np.array(0.0)
Axis = int | tuple[int, ...] | None


def total(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """A sum in our own rules: np.sum, but float16 adds up in float32, as in np.mean.

    It is rounded once; np.sum itself rounds float16 at every step along a first axis: 5,000 ones
    are 2,048 there.
    """
    # This is numpy_sum as it stands: it is called for every loss.
    if x.__class__ is ndarray and x.dtype is not HALF:
        return add_up(x, axis, keepdims=True) if keepdims else add_up(x, axis)
    if x.dtype == HALF:
        return numpy_sum(x.astype(np.float32), axis, keepdims).astype(x.dtype)
    return numpy_sum(x, axis, keepdims)


def numpy_sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.sum; on an ndarray without its Python layer, which costs more than a small batch."""
    if x.__class__ is ndarray:
        return add_up(x, axis, keepdims=True) if keepdims else add_up(x, axis)
    return np.sum(x, axis=axis, keepdims=keepdims)


def largest(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.max, in the same way."""
    if x.__class__ is ndarray:
        return maximum(x, axis, keepdims=keepdims)  # type: ignore[call-overload]
    return np.max(x, axis=axis, keepdims=keepdims)


def by_dot(a: Any, b: Any, axis: int) -> Any:
    """Whether np.dot multiplies these matrices, or one of them turned, as `@` does to the last digit.

    It takes half the time that `@` takes for a small batch. They differ on views, and where along
    `axis` of `a`, along which products are summed, there is only one.
    """
    if a.__class__ is ndarray is b.__class__ and a.base is None is b.base:
        return a.ndim == 2 == b.ndim and a.shape[axis] > 1
    return False


def above_zero(x: Any) -> Any:
    """np.maximum(x, 0); for a Python number NumPy takes twice the time."""
    return np.maximum(x, ZERO if x.__class__ is ndarray and x.dtype is FLOAT else 0)


def cross_entropy_of(shifted: Any, rows: Any) -> Any:
    """The loss of each row of ndarrays in one dtype, and its gradient, as softmax_cross_entropy has them.

    Where all is finite: then 0 * logit is 0 without np.where, and to find the smallest takes a fifth
    of its time.
    """
    e = np.exp(shifted)
    sums, weights = add_up(e, 1), add_up(rows, 1)
    loss = weights * np.log(sums) - add_up(rows * shifted, 1)
    e *= (weights / sums)[:, None]
    e -= rows
    return loss, e


def is_finite_and_alike(shifted: Any, rows: Any) -> Any:
    """Whether both are ndarrays of one dtype that adds up in itself, and the first is finite."""
    if shifted.__class__ is ndarray is rows.__class__ and shifted.dtype is rows.dtype is not HALF:
        return shifted.size and shifted.item(shifted.argmin()) > -np.inf
    return False


def sigmoid_of(x: Any) -> Any:
    """exp(min(x, 0)) / (1 + exp(-abs(x))) of an ndarray, in two arrays instead of seven."""
    y, below = np.minimum(x, 0), np.abs(x)
    np.exp(y, y)
    np.negative(below, below)
    np.exp(below, below)
    below += 1
    y /= below
    return y


def column(x: Any) -> Any:
    """(N,) to (N, 1): np.expand_dims(x, 1); a single number, which stands for all N, stays."""
    if not x.shape:
        return x
    return x[:, None] if x.__class__ is ndarray else np.expand_dims(x, 1)


def is_numpy(x: Any) -> bool:
    """Whether it is an array or a number of NumPy's, and not of another library."""
    return isinstance(x, (ndarray, np.generic))


def stretch(g: Any, shape: tuple[int, ...]) -> Any:
    """np.broadcast_to; of small NumPy data a filled buffer, several times cheaper than the view."""
    if isinstance(g, (ndarray, np.generic)):  # is_numpy, without the price of a call
        full = np.empty(shape, g.dtype)
        full[...] = g
        return full
    return np.broadcast_to(g, shape)
