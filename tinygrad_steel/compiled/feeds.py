"""The arrays that a compiled step is given, in the shape and dtype for which it was compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.checks import checked_array
from ..ops.op import data_of
from ..program.values import Leaf


def check_feed(leaf: Leaf, x: np.ndarray, name: str, rows: bool = False) -> None:
    """ValueError or TypeError where an array is not what the step was compiled for; `rows`: with
    any number of them.
    """
    if x.shape[rows:] != leaf.shape[rows:]:
        raise ValueError(
            f"{name} is {x.shape}, the step was compiled for {leaf.shape}: compile again"
        )
    if not np.can_cast(x.dtype, leaf.dtype, "same_kind"):
        raise TypeError(f"{name} is {x.dtype}, the step was compiled for {leaf.dtype}")


def array_of(x: Any) -> np.ndarray:
    """What was given for data as an array; TypeError as from Tensor where it is none of real
    numbers.
    """
    x = data_of(x)
    if isinstance(x, np.ndarray) and not isinstance(x, np.ma.MaskedArray):
        return np.asarray(x)
    return np.asarray(checked_array(x))


def fitting(leaf: Leaf, x: Any, name: str, rows: bool = False) -> np.ndarray:
    """An array in the dtype and layout for which the step was compiled; one element where that is a
    single number.
    """
    x = array_of(x)
    check_feed(leaf, x, name, rows)
    y = np.require(x, leaf.dtype.newbyteorder("="), ["C", "A", "W"])
    if x.dtype.kind in "iu" and not np.can_cast(x.dtype, y.dtype) and not np.array_equal(x, y):
        raise ValueError(
            f"{name} has numbers too large for {y.dtype}, for which the step was compiled"
        )
    return y.reshape(y.shape or (1,))
