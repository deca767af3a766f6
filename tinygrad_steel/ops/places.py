"""Places and counts: where elements are, in what order and how many; constants to every gradient."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .declare import define
from .fast import Axis
from .samples import random_sample, sample_of

ROWS = [random_sample((2, 3)), random_sample((2, 3), axis=0)]
HOLES = [[0.0, 2.0, -1.0], [3.0, 0.0, 0.0]]
STEPS = [-1.0, 0.0, 1.5]

place = functools.partial(define, constant=True)


@place("argsort", samples=ROWS)
def argsort(x: Any, axis: int | None = -1, kind: Any = None) -> Any:
    """The places of the elements in the order of their size."""
    return np.argsort(x, axis, kind)


@place("argpartition", samples=[random_sample((2, 5), kth=2)])
def argpartition(x: Any, *, kth: Any, axis: int | None = -1, kind: Any = "introselect") -> Any:
    """The places of the elements, those before and behind place `kth` in any order."""
    return np.argpartition(x, kth, axis, kind)


@place(
    "searchsorted", samples=[sample_of(STEPS, [[0.3, 2.0]]), sample_of(STEPS, 0.0, side="right")]
)
def searchsorted(a: Any, v: Any, side: Any = "left") -> Any:
    """Where numbers `v` belong among the sorted `a`."""
    return np.searchsorted(a, v, side)


@place("digitize", samples=[sample_of([[0.3, 2.0]], STEPS)])
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Between which two of the bins each number is."""
    return np.digitize(x, bins, right)


@place("nonzero", samples=[sample_of(HOLES, axis=0), sample_of(HOLES, axis=1)], counts=True)
def nonzero(x: Any, *, axis: int) -> Any:
    """Where along `axis` those elements are that are not 0."""
    return np.argwhere(x)[:, axis]


@place("argwhere", samples=[sample_of(HOLES)], counts=True)
def argwhere(x: Any) -> Any:
    """Where those elements are that are not 0: a row of indices for each."""
    return np.argwhere(x)


@place("count_nonzero", samples=[sample_of(HOLES), sample_of(HOLES, axis=1, keepdims=True)])
def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """How many elements are not 0, of all or along `axis`."""
    return np.sum(np.not_equal(x, 0), axis=axis, keepdims=keepdims)
