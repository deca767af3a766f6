"""Numbers as they stand on a card: one alone, or few in rows, all in one notation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

FEW = 12  # a Tensor with no more elements can have its numbers on its card
DECIMALS, DIGITS = 5, 6  # with more after, or before, the point, all are scientific
LINE = 60  # characters

Format = Callable[[Any], str]


def single(x: Any) -> str:
    """One number.

    >>> single(np.array([[-2.295123]])), single(np.array(1234567)), single(np.array(True))
    ('-2.2951', '1234567', 'True')
    """
    number = np.asarray(x).item()
    return f"{number + 0.0:.5g}" if isinstance(number, float) else str(number)  # there is no -0


def in_rows(*arrays: np.ndarray) -> list[list[str]]:
    """The lines of each array, the numbers of all in one notation and of one width.

    >>> for lines in in_rows(np.array([0.5, -12.0]), np.array([0.00316, 0.0])):
    ...     print(*lines)
    [  0.50000, -12.00000]
    [  0.00316,         0]
    """
    text = notation(arrays)
    width = max((len(text(x)) for array in arrays for x in array.flat), default=0)
    formatter: Any = {"all": lambda x: text(x).rjust(width)}
    made = (
        np.array2string(x, separator=", ", max_line_width=LINE, formatter=formatter) for x in arrays
    )
    return [lines.splitlines() for lines in made]


def notation(arrays: Iterable[np.ndarray]) -> Format:
    """How to write numbers: three digits of the largest in each array, up to five for small ones.

    Only 0 itself is written as 0, without decimals.
    """
    arrays = [*arrays]
    if any(x.dtype.kind != "f" for x in arrays):
        return str
    sizes = [np.abs(x[np.isfinite(x) & (x != 0)]) for x in arrays]
    sizes = [x for x in sizes if x.size]
    first = [math.floor(math.log10(x.max())) for x in sizes] or [0]  # as a power of 10
    smallest = min((math.floor(math.log10(x.min())) for x in sizes), default=0)
    decimals = max(0, 2 - min(first), min(1 - smallest, 4 - max(first)))
    if decimals > DECIMALS or max(first) >= DIGITS:
        return scientific
    every = [x for array in sizes for x in array]
    while decimals and all(f"{x:.{decimals}f}".endswith("0") for x in every):
        decimals -= 1
    return lambda x: f"{x:.{decimals}f}" if x else "0"


def scientific(x: Any) -> str:
    """A number with its power of 10."""
    return f"{x:.2e}" if x else "0"
