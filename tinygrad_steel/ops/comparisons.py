"""Comparisons and logic: constants to every gradient, and ops all the same.

A mask that is made by one stays part of the recorded graph.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .declare import define
from .samples import random_sample, sample_of

ROW = [random_sample((2, 3), (3,))]
SOME_EQUAL = [sample_of([1.0, 2.0], [1.0, 3.0])]
MASKS = [sample_of([True, False], [True, True])]

compare = functools.partial(define, constant=True, jumps=True)

greater = compare("greater", np.greater, samples=ROW, doc="Whether a > b; NaN is not.")
greater_equal = compare(
    "greater_equal", np.greater_equal, samples=SOME_EQUAL, doc="Whether a >= b; NaN is not."
)
less = compare("less", np.less, samples=ROW, doc="Whether a < b; NaN is not.")
less_equal = compare(
    "less_equal", np.less_equal, samples=SOME_EQUAL, doc="Whether a <= b; NaN is not."
)
equal = compare(
    "equal", np.equal, samples=SOME_EQUAL, doc="Whether a and b are equal; NaN is equal to nothing."
)
not_equal = compare(
    "not_equal",
    np.not_equal,
    samples=SOME_EQUAL,
    doc="Whether a and b are not equal; NaN is equal to nothing.",
)

question = functools.partial(define, constant=True)

logical_and = question(
    "logical_and",
    np.logical_and,
    samples=MASKS,
    doc="Whether both are true; a number is, but for 0.",
)
logical_or = question(
    "logical_or", np.logical_or, samples=MASKS, doc="Whether one of the two is true, or both."
)
logical_xor = question(
    "logical_xor", np.logical_xor, samples=MASKS, doc="Whether just one of the two is true."
)
logical_not = question(
    "logical_not", np.logical_not, samples=[sample_of([True, False])], doc="Whether it is false."
)
isnan = question("isnan", np.isnan, samples=[sample_of([1.0, np.nan])], doc="Whether it is NaN.")
isinf = question(
    "isinf",
    np.isinf,
    samples=[sample_of([1.0, -np.inf])],
    doc="Whether it is infinity, or minus infinity.",
)
signbit = compare(
    "signbit",
    np.signbit,
    samples=[sample_of([1.0, -2.0, -0.0])],
    doc="Whether it has a minus sign, as -0.0 has.",
)
isfinite = question(
    "isfinite",
    np.isfinite,
    samples=[sample_of([1.0, np.nan, np.inf])],
    doc="Whether it is neither infinite nor NaN.",
)


@question("isclose", samples=SOME_EQUAL, elementwise=True)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether `a` is within atol + rtol * abs(b) of `b`."""
    return np.isclose(a, b, rtol, atol, equal_nan)
