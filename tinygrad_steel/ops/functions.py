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

square = define("square", np.square, samples=ANY)
square.vjp(lambda g, y, x: 2 * g * x)

sqrt = define("sqrt", np.sqrt, samples=POSITIVE)
sqrt.vjp(lambda g, y, x: g / (2 * y))

cbrt = define("cbrt", np.cbrt, samples=ANY)
cbrt.vjp(lambda g, y, x: g / (3 * y * y))

reciprocal = define("reciprocal", np.reciprocal, samples=ANY)
reciprocal.vjp(lambda g, y, x: -g * y * y)

exp = define("exp", np.exp, samples=ANY)
exp.vjp(lambda g, y, x: g * y)

expm1 = define("expm1", np.expm1, samples=ANY)
expm1.vjp(lambda g, y, x: g * np.exp(x))

exp2 = define("exp2", np.exp2, samples=ANY)
exp2.vjp(lambda g, y, x: g * y * math.log(2))

log = define("log", np.log, samples=POSITIVE)
log.vjp(lambda g, y, x: g / x)

log1p = define("log1p", np.log1p, samples=POSITIVE)
log1p.vjp(lambda g, y, x: g / (1 + x))

log2 = define("log2", np.log2, samples=POSITIVE)
log2.vjp(lambda g, y, x: g / (x * math.log(2)))

log10 = define("log10", np.log10, samples=POSITIVE)
log10.vjp(lambda g, y, x: g / (x * math.log(10)))

# Where both are the same infinity, they share evenly.
logaddexp = define("logaddexp", np.logaddexp, samples=PAIRS)
logaddexp.vjp(lambda g, y, a, b: g * sigmoid(apart(a, b)))
logaddexp.vjp(lambda g, y, a, b: g * sigmoid(apart(b, a)))

logaddexp2 = define("logaddexp2", np.logaddexp2, samples=PAIRS)
logaddexp2.vjp(lambda g, y, a, b: g * sigmoid(apart(a, b) * math.log(2)))
logaddexp2.vjp(lambda g, y, a, b: g * sigmoid(apart(b, a) * math.log(2)))

abs = define("abs", np.abs, samples=ANY, choosing=True)
abs.vjp(lambda g, y, x: g * np.sign(x))  # sign(0) = 0: the kink's slope is 0

fabs = define("fabs", np.fabs, samples=ANY, choosing=True)
fabs.vjp(lambda g, y, x: g * np.sign(x))

positive = define("positive", np.positive, samples=ANY, choosing=True)
positive.vjp(lambda g, y, x: g)
