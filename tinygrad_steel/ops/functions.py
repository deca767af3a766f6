"""Functions of one number: powers and roots, exponentials and logarithms, magnitudes."""

from __future__ import annotations

import math

import numpy as np

from .activations import sigmoid
from .declare import define
from .safe import apart
from .samples import random_sample

ANY = [random_sample((2, 3))]
POSITIVE = [random_sample((2, 3), positive=True)]
PAIRS = [random_sample((2, 3), (3,))]

square = define("square", np.square, samples=ANY, doc="x * x.")
square.vjp(lambda g, y, x: 2 * g * x)

sqrt = define(
    "sqrt",
    np.sqrt,
    samples=POSITIVE,
    doc="The square root. At 0 its slope is infinite, below it function and slope are NaN.",
)
sqrt.vjp(lambda g, y, x: g / (2 * y))

cbrt = define(
    "cbrt",
    np.cbrt,
    samples=ANY,
    doc="The cube root, of negative numbers as well. At 0 its slope is infinite.",
)
cbrt.vjp(lambda g, y, x: g / (3 * y * y))

reciprocal = define(
    "reciprocal", np.reciprocal, samples=ANY, doc="1 / x. At 0 it is infinite, as its slope."
)
reciprocal.vjp(lambda g, y, x: -g * y * y)

exp = define(
    "exp", np.exp, samples=ANY, doc="The exponential; beyond 709.78 (float64) it is infinite."
)
exp.vjp(lambda g, y, x: g * y)

expm1 = define("expm1", np.expm1, samples=ANY, doc="exp(x) - 1, without its rounding for small x.")
expm1.vjp(lambda g, y, x: g * np.exp(x))

exp2 = define("exp2", np.exp2, samples=ANY, doc="2 to the power of x.")
exp2.vjp(lambda g, y, x: g * y * math.log(2))

log = define(
    "log",
    np.log,
    samples=POSITIVE,
    doc="The natural logarithm: -inf at 0, where its slope is infinite, and NaN below.",
)
log.vjp(lambda g, y, x: g / x)

log1p = define(
    "log1p", np.log1p, samples=POSITIVE, doc="log(1 + x), without its rounding for small x."
)
log1p.vjp(lambda g, y, x: g / (1 + x))

log2 = define(
    "log2", np.log2, samples=POSITIVE, doc="The logarithm to base 2; at 0 and below as log."
)
log2.vjp(lambda g, y, x: g / (x * math.log(2)))

log10 = define(
    "log10", np.log10, samples=POSITIVE, doc="The logarithm to base 10; at 0 and below as log."
)
log10.vjp(lambda g, y, x: g / (x * math.log(10)))

logaddexp = define(
    "logaddexp",
    np.logaddexp,
    samples=PAIRS,
    doc="log(exp(a) + exp(b)) without overflow. Where both are the same infinity, they share evenly.",
)
logaddexp.vjp(lambda g, y, a, b: g * sigmoid(apart(a, b)))
logaddexp.vjp(lambda g, y, a, b: g * sigmoid(apart(b, a)))

logaddexp2 = define(
    "logaddexp2",
    np.logaddexp2,
    samples=PAIRS,
    doc="log2(2**a + 2**b) without overflow. Where both are the same infinity, they share evenly.",
)
logaddexp2.vjp(lambda g, y, a, b: g * sigmoid(apart(a, b) * math.log(2)))
logaddexp2.vjp(lambda g, y, a, b: g * sigmoid(apart(b, a) * math.log(2)))

abs = define(
    "abs", np.abs, samples=ANY, choosing=True, doc="The magnitude. At 0, a kink, its slope is 0."
)
abs.vjp(lambda g, y, x: g * np.sign(x))

fabs = define(
    "fabs",
    np.fabs,
    samples=ANY,
    choosing=True,
    doc="The magnitude, as a float. At 0, a kink, its slope is 0.",
)
fabs.vjp(lambda g, y, x: g * np.sign(x))

positive = define("positive", np.positive, samples=ANY, choosing=True, doc="x itself, as a copy.")
positive.vjp(lambda g, y, x: g)
