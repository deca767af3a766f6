"""Gradients of float64 that were float32 on the way, and show it by their digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from .closeness import distance, ratio

EPS32 = float(np.finfo(np.float32).eps)
SEVERAL = 4  # so many elements that agree on a factor do not do so by rounding


def cut(x: Any) -> Any:
    """Floats with no more digits than a float32 has."""
    return x.astype(np.float32).astype(x.dtype) if x.dtype.kind == "f" else x


def is_rounded_to_float32(given: np.ndarray, to: np.ndarray) -> bool:
    """Whether a float64 array is another one, each element rounded to float32."""
    if given.shape != to.shape:
        return False
    if not np.array_equal(given, given.astype(np.float32), equal_nan=True):
        return False
    return bool(np.all(distance(given, to) <= EPS32 * np.abs(to)))


def shares_more_than_float32(given: np.ndarray, expected: np.ndarray) -> bool:
    """Whether all elements are off by one factor, and by more than a number they share is
    rounded to float32.
    """
    factor = ratio(given, expected)
    if factor is None or given.size < SEVERAL or abs(factor - 1) <= EPS32:
        return False
    rest = np.linalg.norm(given - factor * expected)
    return bool(rest < 0.1 * np.linalg.norm(given - expected))


def is_short(x: np.ndarray) -> bool:
    """Whether numbers of float64 end in zeros, as those of float32 and their sums do; plain ones
    as 0.5 say nothing.
    """
    size = np.abs(x[np.isfinite(x) & (x != 0)]).astype(float)
    if not size.size or np.all(np.frexp(size)[0] * 2**12 % 1 == 0):
        return False
    if np.all(np.abs(size - size.astype(np.float32)) <= 4 * np.finfo(float).eps * size):
        return True
    places = size / 2.0 ** np.frexp(np.max(size))[1]
    rest = places * 2**36 - np.rint(places * 2**36)
    return bool(np.all(np.abs(rest) <= 2.0**-13))
