"""Numbers drawn at random from where those of a sample lie."""

from __future__ import annotations

import numpy as np

from .case import is_float


def drawn(x: np.ndarray, shape: tuple[int, ...], seed: int, signs: bool = False) -> np.ndarray:
    """Random numbers of this shape from where those of `x` lie; `signs` gives them either sign.

    Integers and bools are drawn from those that there are, as they choose something; shares remain
    shares.
    """
    rng = np.random.default_rng(seed)
    if not is_float(x):
        return rng.choice(x.ravel(), shape) if x.size else np.zeros(shape, x.dtype)
    if is_distribution(x) and shape:
        return drawn_shares(x, shape, rng)
    low, high = range_of(x)
    sign = drawn_signs(x, shape, rng, signs)
    return np.asarray(rng.uniform(low, high, shape) * sign, dtype=x.dtype)


def is_distribution(x: np.ndarray) -> bool:
    """Whether the rows are shares of a whole (labels): rules may count on it, no forward looks."""
    if not is_float(x) or x.ndim == 0 or x.shape[-1] <= 1:
        return False
    return bool(np.all(x >= 0) and np.allclose(np.sum(x, axis=-1), 1))


def drawn_shares(x: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random shares of a whole in each row, one-hot where those of `x` are."""
    shares = rng.uniform(0, 1, shape)
    if np.all((x == 0) | (x == 1)):
        shares = shares == np.max(shares, axis=-1, keepdims=True, initial=0)
    total = np.sum(shares, axis=-1, keepdims=True)
    return np.asarray(shares / np.maximum(total, 1e-9), dtype=x.dtype)


def range_of(x: np.ndarray) -> tuple[float, float]:
    """From where to where the sizes of the numbers go, with some room where all are equal."""
    sizes = np.abs(x[np.isfinite(x)])
    if not sizes.size or not sizes.max():
        return 0.3, 1.7
    low, high = sizes.min(), sizes.max()
    if low == high:
        return 0.8 * low, 1.2 * high
    return low, high


def drawn_signs(
    x: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator, signs: bool
) -> np.ndarray | float:
    """The sign that all numbers of `x` have, else either sign at random."""
    negative, positive = np.any(x < 0), np.any(x > 0)
    if signs or (negative and positive):
        return rng.choice([-1.0, 1.0], shape)
    return -1.0 if negative else 1.0
