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

greater = compare("greater", np.greater, samples=ROW)
greater_equal = compare("greater_equal", np.greater_equal, samples=SOME_EQUAL)
less = compare("less", np.less, samples=ROW)
less_equal = compare("less_equal", np.less_equal, samples=SOME_EQUAL)
equal = compare("equal", np.equal, samples=SOME_EQUAL)
not_equal = compare("not_equal", np.not_equal, samples=SOME_EQUAL)

question = functools.partial(define, constant=True)

logical_and = question("logical_and", np.logical_and, samples=MASKS)
logical_or = question("logical_or", np.logical_or, samples=MASKS)
logical_xor = question("logical_xor", np.logical_xor, samples=MASKS)
logical_not = question("logical_not", np.logical_not, samples=[sample_of([True, False])])
isnan = question("isnan", np.isnan, samples=[sample_of([1.0, np.nan])])
isinf = question("isinf", np.isinf, samples=[sample_of([1.0, -np.inf])])
signbit = compare("signbit", np.signbit, samples=[sample_of([1.0, -2.0, -0.0])])
isfinite = question("isfinite", np.isfinite, samples=[sample_of([1.0, np.nan, np.inf])])


@question("isclose", samples=SOME_EQUAL, elementwise=True)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether `a` is within atol + rtol * abs(b) of `b`."""
    return np.isclose(a, b, rtol, atol, equal_nan)
