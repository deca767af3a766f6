"""Choosing between elements: of two, within bounds, by a condition.

NaN in, NaN out, and a gradient of NaN, for that element alone. Made for NaN are `fmax`, `fmin` and
`nan_to_num`; `where` has the one that it does not take without a trace.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .declare import define
from .op import is_tensor
from .safe import beside, nan_stays
from .samples import random_sample, sample_of

Bound = float | None
PAIRS = [random_sample((2, 3), (2, 3)), random_sample((2, 3), ())]

maximum = define(
    "maximum",
    np.maximum,
    samples=PAIRS,
    choosing=True,
    doc="The larger of two; ties share evenly, half of the gradient for each side.",
)
maximum.vjp(lambda g, y, a, b: g * nan_stays(y, (a > b) + beside(y, 0.5) * (a == b)))
maximum.vjp(lambda g, y, a, b: g * nan_stays(y, (b > a) + beside(y, 0.5) * (a == b)))

minimum = define(
    "minimum",
    np.minimum,
    samples=PAIRS,
    choosing=True,
    doc="The smaller of two; ties share evenly, half of the gradient for each side.",
)
minimum.vjp(lambda g, y, a, b: g * nan_stays(y, (a < b) + beside(y, 0.5) * (a == b)))
minimum.vjp(lambda g, y, a, b: g * nan_stays(y, (b < a) + beside(y, 0.5) * (a == b)))

fmax = define(
    "fmax",
    np.fmax,
    samples=PAIRS,
    choosing=True,
    doc="The larger of two, ties share evenly. Of a number and NaN it is the number, with all of the gradient.",
)
fmax.vjp(lambda g, y, a, b: g * nan_stays(y, (a > b) + beside(y, 0.5) * (a == b) + np.isnan(b)))
fmax.vjp(lambda g, y, a, b: g * nan_stays(y, (b > a) + beside(y, 0.5) * (a == b) + np.isnan(a)))

fmin = define(
    "fmin",
    np.fmin,
    samples=PAIRS,
    choosing=True,
    doc="The smaller of two, ties share evenly. Of a number and NaN it is the number, with all of the gradient.",
)
fmin.vjp(lambda g, y, a, b: g * nan_stays(y, (a < b) + beside(y, 0.5) * (a == b) + np.isnan(b)))
fmin.vjp(lambda g, y, a, b: g * nan_stays(y, (b < a) + beside(y, 0.5) * (a == b) + np.isnan(a)))


@define(
    "clip",
    samples=[
        random_sample((2, 3), a_min=-1.0, a_max=1.0),
        random_sample((2, 3), a_min=0.5),
        random_sample((2, 3), a_max=0.5),
    ],
    elementwise=True,
    choosing=True,
)
def clip(x: Any, a_min: Bound = None, a_max: Bound = None) -> Any:
    """`x` held between two numbers; on a bound the slope is 1.

    For Tensors as bounds, use np.maximum and np.minimum.

    >>> clip(np.array([-2.0, 0.5, 3.0]), 0, 1)
    array([0. , 0.5, 1. ])
    """
    bounds: tuple[Any, ...] = (a_min, a_max)
    if any(np.ndim(bound) or is_tensor(bound) for bound in bounds):
        words = "for arrays, write np.minimum(np.maximum(x, a_min), a_max)"
        raise TypeError(f"bounds are plain numbers: {words}")
    return np.clip(x, a_min, a_max)


@clip.vjp
def _(g: Any, y: Any, x: Any, a_min: Bound = None, a_max: Bound = None) -> Any:
    g = g if a_min is None else g * nan_stays(x, x >= a_min)
    return g if a_max is None else g * nan_stays(x, x <= a_max)


@define(
    "where",
    samples=[sample_of([[True, False, True]], [[1.0, 2.0, 3.0]], [[4.0], [5.0]])],
    elementwise=True,
    choosing=True,
)
def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`.

    Both sides are computed everywhere: `where(x > 0, log(x), 0)` still takes log(0), and 0 * inf
    makes its gradient NaN. Make the unused side safe with an inner where:
    `where(x > 0, log(where(x > 0, x, 1)), 0)`.
    """
    return np.where(condition, a, b)


where.vjp(None)
where.vjp(lambda g, y, condition, a, b: np.where(condition, g, 0))
where.vjp(lambda g, y, condition, a, b: np.where(condition, 0, g))


@define(
    "nan_to_num",
    samples=[
        random_sample((2, 3)),
        random_sample((2, 3), nan=2.0, posinf=9.0, neginf=-9.0),
    ],
    elementwise=True,
    choosing=True,
)
def nan_to_num(x: Any, nan: float = 0.0, posinf: Bound = None, neginf: Bound = None) -> Any:
    """`x` with numbers in place of NaN and infinities, by default the largest; their slope is 0."""
    if nan == 0 and posinf is None and neginf is None:
        return np.nan_to_num(x)  # Dask's knows no other numbers
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


nan_to_num.vjp(lambda g, y, x, nan=0.0, posinf=None, neginf=None: np.where(np.isfinite(x), g, 0))
