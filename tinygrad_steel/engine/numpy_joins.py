"""NumPy's functions on Tensors: arrays put together and taken apart."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from .. import ops
from ..ops.shapes import before


def vstack(arrays: Any) -> Any:
    return ops.concatenate([np.atleast_2d(x) for x in arrays], axis=0)


def hstack(arrays: Any) -> Any:
    arrays = [np.atleast_1d(x) for x in arrays]
    return ops.concatenate(arrays, axis=0 if np.ndim(arrays[0]) == 1 else 1)


def column_stack(arrays: Any) -> Any:
    return ops.concatenate([as_column(x) for x in arrays], axis=1)


def as_column(x: Any) -> Any:
    """A vector or a number as a column; a table as it is."""
    return x if np.ndim(x) > 1 else np.reshape(x, (-1, 1))


def split(a: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    length, cuts = a.shape[axis], indices_or_sections
    if isinstance(cuts, int | np.integer):
        if cuts < 1 or length % cuts:
            raise ValueError(f"an axis of length {length} does not split into {cuts} equal parts")
        cuts = [length // cuts * i for i in range(1, cuts)]
    edges = [0, *map(operator.index, cuts), length]
    first = before(axis, a.ndim)
    return [a[(*first, slice(start, stop))] for start, stop in itertools.pairwise(edges)]
