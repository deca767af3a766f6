"""Normalisation: of each channel over a batch, of each row by itself, and by running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .declare import define
from .fast import Axis
from .op import Op, data_of
from .reductions import mean
from .safe import floats, wide
from .samples import random_sample

BATCHES = [
    random_sample((4, 3), (3,), (3,)),
    random_sample((2, 3, 2, 2), (2,), (2,), epsilon=0.1),
    random_sample((5, 2), (), (1, 2)),
]
ROWS = [
    random_sample((2, 4), (4,), (4,)),
    random_sample((2, 2, 3), (3,), (), epsilon=0.1),
    random_sample((5,), (5,), (5,)),
]


def check(x: Any, layout: str, least: int, epsilon: float, **others: Any) -> None:
    """ValueError where `x` has fewer axes than its layout, or another one does not fit into it.

    And for an epsilon below 0, with which a small variance has no root.
    """
    shape = shape_of(x)
    if len(shape) < least:
        raise ValueError(f"x is {layout}, not {shape}")
    if not epsilon >= 0:
        raise ValueError(f"epsilon is a small number, 0 or more, not {epsilon}")
    for name, given in others.items():
        other = shape_of(given)
        pairs = zip(other[::-1], shape[::-1])
        if len(other) > len(shape) or any(n not in (1, full) for n, full in pairs):
            words = f"one number for each place along the last axis of x, ({shape[-1]},)"
            raise ValueError(f"{name} is {words}, not {other}: x is {shape}")


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of a Tensor, of an array of any library, or of a plain number."""
    shape: tuple[int, ...] = x.shape if hasattr(x, "shape") else np.shape(x)
    return shape


def over_batch(x: Any) -> Axis:
    """All axes but the last, as reductions take them."""
    return 0 if x.ndim == 2 else tuple(range(x.ndim - 1))


def centre(x: Any, axis: Axis) -> Any:
    """`x` with mean 0 along axes."""
    x = wide(floats(x))
    return x - mean(x, axis, keepdims=True)


def spread_of(centred: Any, axis: Axis, epsilon: float) -> Any:
    """The root of the variance and epsilon, of what has mean 0 along these axes."""
    return np.sqrt(mean(np.square(centred), axis, keepdims=True) + epsilon)


def standard(x: Any, axis: Axis, epsilon: float) -> tuple[Any, Any]:
    """`x` with mean 0 and variance 1 along axes, and the deviation that it was divided by."""
    centred = centre(x, axis)
    deviation = spread_of(centred, axis, epsilon)
    return centred / deviation, deviation


def slope(g: Any, normal: Any, deviation: Any, axis: Axis) -> Any:
    """What `g`, the gradient of `normal`, is for what was standardised.

    The mean and the deviation move with every element of `x`, which is the second and third term.
    """
    aligned = normal * mean(g * normal, axis, keepdims=True)
    return (g - mean(g, axis, keepdims=True) - aligned) / deviation


@define("batch_norm", samples=BATCHES, keeps=True)
def batch_norm(x: Any, scale: Any, shift: Any, epsilon: float = 1e-5) -> Any:
    """Each channel of a batch with mean 0 and variance 1, times `scale`, plus `shift`.

    The statistics are those of `x` itself, over all axes but the last, and depend on it: they are
    no constants to a gradient. The variance is that of n elements, not of n - 1.

    To evaluate, and for a file of ONNX that takes any number of rows, use `normalize` with running
    statistics (see `update_running`).

    Parameters
    ----------
    x : Tensor or array
        (batch, ..., channels), floats; integers are taken as float64.
    scale, shift : Tensor or array
        (channels,), or single numbers.
    epsilon : float
        Added to the variance, under the root.

    Returns
    -------
    Tensor or array
        Of the shape and float dtype of `x`.

    Raises
    ------
    ValueError
        For a vector, which has no batch, where scale and shift do not fit, and for an epsilon below 0.

    References
    ----------
    Ioffe and Szegedy, Batch Normalization, 2015, arXiv:1502.03167.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import batch_norm
    >>> batch_norm(np.array([[1.0, 10.0], [3.0, 30.0]]), np.ones(2), np.zeros(2)).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    """
    check(x, "(batch, ..., channels)", 2, epsilon, scale=scale, shift=shift)
    axis = over_batch(x)
    centred = centre(x, axis)
    deviation = spread_of(centred, axis, epsilon)
    normal = centred / deviation
    return scaled(normal, scale, shift, x), (normal, deviation)


@define("layer_norm", samples=ROWS, keeps=True)
def layer_norm(x: Any, scale: Any, shift: Any, epsilon: float = 1e-5) -> Any:
    """Each row, along the last axis, with mean 0 and variance 1, times `scale`, plus `shift`.

    Rows do not meet, so that it does the same in training and evaluation, for batches of any size.

    Parameters
    ----------
    x : Tensor or array
        (..., features), floats; integers are taken as float64.
    scale, shift : Tensor or array
        (features,), or single numbers.
    epsilon : float
        Added to the variance, under the root.

    Returns
    -------
    Tensor or array
        Of the shape and float dtype of `x`.

    Raises
    ------
    ValueError
        For a single number, where scale and shift do not fit, and for an epsilon below 0.

    References
    ----------
    Ba, Kiros and Hinton, Layer Normalization, 2016, arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import layer_norm
    >>> layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), 1.0, 0.0).round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    check(x, "(..., features)", 1, epsilon, scale=scale, shift=shift)
    centred = centre(x, -1)
    deviation = spread_of(centred, -1, epsilon)
    normal = centred / deviation
    return scaled(normal, scale, shift, x), (normal, deviation)


def give_rules(norm: Op, axis_of: Callable[[Any], Axis]) -> None:
    """The vjps of a norm whose statistics are over the axes `axis_of(x)`."""

    @norm.vjp
    def _(
        g: Any, y: Any, x: Any, scale: Any, shift: Any, kept: Any = None, epsilon: float = 1e-5
    ) -> Any:
        normal, deviation = kept or standard(x, axis_of(x), epsilon)
        return slope(g * scale, normal, deviation, axis_of(x))

    @norm.vjp
    def _(
        g: Any, y: Any, x: Any, scale: Any, shift: Any, kept: Any = None, epsilon: float = 1e-5
    ) -> Any:
        normal, _ = kept or standard(x, axis_of(x), epsilon)
        return g * normal

    norm.vjp(lambda g, y, x, scale, shift, kept=None, epsilon=1e-5: g)


give_rules(batch_norm, over_batch)
give_rules(layer_norm, lambda x: -1)


def scaled(normal: Any, scale: Any, shift: Any, x: Any) -> Any:
    """normal * scale + shift; what was computed in float32 for float16 is float16 again."""
    y = normal * scale + shift
    return y.astype(x.dtype) if x.dtype == np.float16 and y.dtype == np.float32 else y


# Running statistics, to evaluate with: arrays that the caller keeps


def update_running(
    mean: Any, variance: Any, x: Any, momentum: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """The running mean and variance after one more batch; nothing is changed in place.

    Each is moved towards that of the batch by the share `momentum`. They begin at 0 and 1. No
    gradient flows through them, and no loss depends on them: they are for `normalize`. Of a compiled
    step, `x` is one of its outputs.

    The variance is that of n elements, as `batch_norm` takes it and as the book (chapter 8) keeps
    it, with a momentum of 0.001 there. PyTorch keeps that of n - 1, with 0.1. Keras calls 1 -
    momentum its momentum.

    Parameters
    ----------
    mean, variance : array
        (channels,), those before the batch.
    x : Tensor or array
        What `batch_norm` is given, (batch, ..., channels).
    momentum : float
        The share of the new batch, 0 to 1.

    Returns
    -------
    mean, variance : array
        (channels,), those after the batch.

    Raises
    ------
    ValueError
        For an `x` without a batch, a mean or variance of other channels, and for other momenta.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import update_running
    >>> mean, variance = np.zeros(2), np.ones(2)
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> mean, variance = update_running(mean, variance, x, momentum=0.5)
    >>> mean, variance
    (array([ 1., 10.]), array([ 1. , 50.5]))
    """
    x, mean, variance = map(np.asarray, map(data_of, (x, mean, variance)))
    if x.ndim < 2 or not x.size:
        raise ValueError(f"x is (batch, ..., channels) with something in it, not {x.shape}")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum is the share of the new batch, 0 to 1, not {momentum}")
    for name, given in (("mean", mean), ("variance", variance)):
        if given.shape not in ((), x.shape[-1:]):
            raise ValueError(
                f"{name} is one number for each channel of x, {x.shape[-1:]}, not {given.shape}: "
                f"x is {x.shape}"
            )
    axis = over_batch(x)
    new_mean = mean + momentum * (np.mean(x, axis=axis) - mean)
    new_variance = variance + momentum * (np.var(x, axis=axis) - variance)
    return new_mean, new_variance


def normalize(
    x: Any, mean: Any, variance: Any, scale: Any, shift: Any, epsilon: float = 1e-5
) -> Any:
    """`x` by a mean and a variance that are given, times `scale`, plus `shift`.

    It is what `batch_norm` does, with statistics of your own: to evaluate, those of
    `update_running`. A gradient takes them for what they are given as: arrays are constants.

    Parameters
    ----------
    x : Tensor or array
        (..., channels).
    mean, variance : Tensor or array
        (channels,).
    scale, shift : Tensor or array
        (channels,), or single numbers.
    epsilon : float
        Added to the variance, under the root.

    Returns
    -------
    Tensor or array
        Of the shape of `x`, in the dtype that NumPy makes of all five.

    Raises
    ------
    ValueError
        Where one of the others does not fit into `x`, and for an epsilon below 0.

    References
    ----------
    Ioffe and Szegedy, Batch Normalization, 2015, arXiv:1502.03167, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import normalize
    >>> normalize(np.array([[3.0, 20.0]]), np.array([1.0, 10.0]), np.array([4.0, 25.0]), 1.0, 0.0).round(3)
    array([[1., 2.]])
    """
    given = {"mean": mean, "variance": variance, "scale": scale, "shift": shift}
    check(x, "(..., channels)", 1, epsilon, **given)
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift
