"""Activations: relu, sigmoid, softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from .declare import define
from .fast import Axis, above_zero, largest, ndarray, sigmoid_of, total
from .safe import floats
from .samples import random_sample

ANY = [random_sample((2, 3))]
ROWS = [random_sample((2, 3)), random_sample((2, 3), axis=0), random_sample((3,))]


@define("relu", samples=ANY, elementwise=True, choosing=True)
def relu(x: Any) -> Any:
    """max(x, 0), whose slope at the kink x = 0 is 0; NaN stays NaN, in result and slope.

    Parameters
    ----------
    x : Tensor or array
        Of any shape and dtype of real numbers.

    Returns
    -------
    Tensor or array
        Of the shape and dtype of `x`.

    References
    ----------
    Glorot, Bordes and Bengio, Deep Sparse Rectifier Neural Networks, 2011. The slope at 0 is that
    of PyTorch, JAX and TensorFlow.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import relu
    >>> relu(np.array([-2.0, 3.0]))
    array([0., 3.])
    """
    return above_zero(x)


relu.vjp(lambda g, y, x: g * np.sign(y))  # 1 or 0, and NaN for NaN, which `x > 0` would hide


@define("sigmoid", samples=ANY, elementwise=True)
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), arranged so that neither side overflows.

    Parameters
    ----------
    x : Tensor or array
        Of any shape; integers are taken as float64.

    Returns
    -------
    Tensor or array
        Of the shape and float dtype of `x`, from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import sigmoid
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    x = floats(x)
    if x.__class__ is ndarray and x.shape:  # of a single number NumPy gives no array
        return sigmoid_of(x)
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


sigmoid.vjp(lambda g, y, x: g * y * (1 - y))


@define("softmax", samples=ROWS)
def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis, the last by default.

    It is shifted by the maximum, so that nothing overflows. An element of -inf gets 0. A row of
    -inf alone, or with an inf, has no softmax: all of it is NaN.

    Parameters
    ----------
    x : Tensor or array
        Of any shape, such as logits (N, C); integers are taken as float64.
    axis : int, tuple of int or None
        Along which the results sum to 1; None for all axes.

    Returns
    -------
    Tensor or array
        Of the shape and float dtype of `x`, from 0 to 1.

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
    >>> from tinygrad_steel import softmax
    >>> softmax(np.array([[1000.0, 1001.0], [0.0, 1.0]])).round(5)
    array([[0.26894, 0.73106],
           [0.26894, 0.73106]])
    """
    x = floats(x)
    e = np.exp(x - largest(x, axis, keepdims=True))
    return e / total(e, axis, keepdims=True)


softmax.vjp(lambda g, y, x, axis=-1: y * (g - total(g * y, axis, keepdims=True)))


@define("log_softmax", samples=ROWS)
def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """log(softmax(x)) along an axis, the last by default.

    It is without the rounding and the log(0) of doing it in two. An element of -inf stays -inf. A
    row of -inf alone, or with an inf, has no softmax: all of it is NaN.

    Parameters
    ----------
    x : Tensor or array
        Of any shape, such as logits (N, C); integers are taken as float64.
    axis : int, tuple of int or None
        Along which the softmax sums to 1; None for all axes.

    Returns
    -------
    Tensor or array
        Of the shape and float dtype of `x`, 0 or less.

    Raises
    ------
    AxisError
        For an axis that `x` does not have.

    References
    ----------
    As `softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import log_softmax
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    x = floats(x)
    shifted = x - largest(x, axis, keepdims=True)
    return shifted - np.log(total(np.exp(shifted), axis, keepdims=True))


log_softmax.vjp(lambda g, y, x, axis=-1: g - np.exp(y) * total(g, axis, keepdims=True))
