"""Casts: the same shape in another dtype, or filled with one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from .declare import define
from .samples import random_sample

ANY = [random_sample((2, 3))]


@define("astype", samples=[random_sample((2, 3), dtype=np.float64)])
def astype(x: Any, *, dtype: Any) -> Any:
    """`x` in another float dtype; its gradient comes back in the dtype of `x`."""
    return x.astype(dtype)


astype.vjp(lambda g, y, x, dtype: g)


@define("asconstant", constant=True, samples=[random_sample((2, 3), dtype=np.int64)])
def asconstant(x: Any, *, dtype: Any) -> Any:
    """`x` in a dtype that cannot have a gradient: integers, bools."""
    return x.astype(dtype)


@define("zeros_like", constant=True, samples=ANY)
def zeros_like(x: Any) -> Any:
    """Zeros of the shape and dtype of `x`."""
    return np.zeros_like(x)


@define("ones_like", constant=True, samples=ANY)
def ones_like(x: Any) -> Any:
    """Ones of the shape and dtype of `x`."""
    return np.ones_like(x)


@define(
    "full_like",
    constant=True,
    samples=[random_sample((2, 3), fill_value=0.5)],
)
def full_like(x: Any, *, fill_value: float) -> Any:
    """An array of the shape and dtype of `x`, filled with one number."""
    return np.full_like(x, fill_value)
