"""What keeps rules right at the edges: narrow dtypes, NaN and infinity."""

from __future__ import annotations

from typing import Any

import numpy as np


def floats(x: Any) -> Any:
    """Integers and bools as float64, in which our own functions compute; floats as they are."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return float(x)
    return x if dtype.kind == "f" else x.astype(np.float64)


def wide(x: Any) -> Any:
    """float16 as float32: squares and quotients leave the range of float16 soon."""
    return x.astype(np.float32) if x.dtype.char == "e" else x


def beside(x: Any, number: float) -> Any:
    """A number that makes bools floats of the dtype of `x`, and not float64 whatever that is."""
    return number if x.dtype == np.float64 else x.dtype.type(number)


def nan_stays(x: Any, share: Any) -> Any:
    """What part of a gradient is handed on, and NaN where `x` is."""
    return np.where(np.isnan(x), beside(x, np.nan), share)


def apart(a: Any, b: Any) -> Any:
    """a - b, but 0 where both are the same infinity."""
    same = np.logical_and(np.isinf(a), np.equal(a, b))
    return np.where(same, 0, a) - np.where(same, 0, b)
