"""Arithmetic: sums, products, powers. The engine undoes broadcasting, so that `add` hands on `g` as it is."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .declare import define
from .samples import random_sample, sample_of

SAME = random_sample((2, 3), (2, 3))
ROW = random_sample((2, 3), (3,))
POSITIVE = random_sample((2, 3), (2, 3), positive=True)

add = define(
    "add",
    np.add,
    samples=[SAME, ROW, random_sample((2, 1), (1, 3)), random_sample((), (2,))],
    doc="The sum. A gradient is that of the result on both sides; where one was broadcast, it is summed.",
)
add.vjp(lambda g, y, a, b: g)
add.vjp(lambda g, y, a, b: g)

subtract = define(
    "subtract", np.subtract, samples=[SAME, random_sample((3,), (2, 1))], doc="The difference."
)
subtract.vjp(lambda g, y, a, b: g)
subtract.vjp(lambda g, y, a, b: -g)

multiply = define(
    "multiply",
    np.multiply,
    samples=[SAME, ROW, random_sample((), (2, 2))],
    doc="The product, element by element.",
)
multiply.vjp(lambda g, y, a, b: g * b)
multiply.vjp(lambda g, y, a, b: g * a)

divide = define(
    "divide",
    np.divide,
    samples=[SAME, random_sample((2, 1), (3,))],
    doc="The quotient. A division by 0 is NumPy's: infinity or NaN, in result and gradients.",
)
divide.vjp(lambda g, y, a, b: g / b)
divide.vjp(lambda g, y, a, b: -g * y / b)

negative = define("negative", np.negative, samples=[random_sample((2, 3))], doc="The negative.")
negative.vjp(lambda g, y, x: -g)


@define(
    "power",
    samples=[POSITIVE, sample_of([[-1.5, 0.7, 2.0]], 3), sample_of([0.0, -2.0, 1.5], 2)],
    elementwise=True,
)
def power(a: Any, b: Any) -> Any:
    """a ** b.

    A constant exponent never takes a logarithm, so that (-2) ** 3 has its gradient 12; at a = 0 the
    derivatives of a ** 0, a ** 1 and a ** 2 are 0, 1 and 0, and that of 0 ** b with respect to b is
    0 for b >= 0. The slope of a ** 0 is 0 everywhere, also where a is infinite or NaN, since NumPy
    gives 1 there, too. No derivative exists with respect to b where a < 0: it is NaN. Nor does one
    of second order, in a and b, at a = 0 where b <= 1: what comes out there means nothing.
    """
    return operator.pow(a, b)  # np.power does not square where the exponent is 2: many times slower


@power.vjp
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    if isinstance(b, (int, float)):
        return g * b * a ** (b - 1) if b else np.zeros_like(g)
    # Where b is 0, so is the product, if its last factor is finite; yet it depends on b, with a
    # slope of 1 / a.
    flat = np.logical_and(np.equal(b, 0), np.logical_not(np.abs(a) > 0))
    return g * b * np.where(flat, np.inf, a) ** (b - 1.0)


power.vjp(lambda g, y, a, b: g * y * np.log(np.where(np.equal(a, 0), 1, a)))
