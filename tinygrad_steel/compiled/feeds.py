"""The arrays that a compiled step is given, in the shape and dtype for which it was compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.tensor import checked_array
from ..ops.op import data_of
from ..program.trace import Node


def check_feed(node: Node, x: np.ndarray, rows: bool = False) -> None:
    """ValueError or TypeError where an array is not what the step was compiled for; `rows`: with any number of them."""
    if x.shape[rows:] != node.shape[rows:]:
        raise ValueError(
            f"{node.name or 'an input'} is {x.shape}, the step was compiled for {node.shape}: compile again"
        )
    if not np.can_cast(x.dtype, node.dtype, "same_kind"):
        raise TypeError(f"{node.name or 'an input'} is {x.dtype}, the step was compiled for {node.dtype}")


def array_of(x: Any) -> np.ndarray:
    """What was given for data as an array; TypeError as from Tensor where it is none of real numbers."""
    x = data_of(x)
    is_array = isinstance(x, np.ndarray) and not isinstance(x, np.ma.MaskedArray)
    return np.asarray(x) if is_array else checked_array(x)


def fitting(node: Node, x: Any, rows: bool = False) -> np.ndarray:
    """An array in the dtype and layout for which the step was compiled; one element where that is a single number."""
    x = array_of(x)
    check_feed(node, x, rows)
    y = np.require(x, node.dtype.newbyteorder("="), "CAW")
    if x.dtype.kind in "iu" and not np.can_cast(x.dtype, y.dtype) and not np.array_equal(x, y):
        raise ValueError(
            f"{node.name or 'an input'} has numbers too large for {y.dtype}, for which the step was compiled"
        )
    return y.reshape(y.shape or (1,))
