"""Functions of one number: powers, exponentials and logarithms, trigonometry, and steps."""

from __future__ import annotations

import math

import numpy as np

from .activations import sigmoid
from .declare import define
from .safe import apart
from .samples import random_sample

ANY = [random_sample((2, 3))]
POSITIVE = [random_sample((2, 3), positive=True)]

square = define("square", np.square, samples=ANY)
square.vjp(lambda g, y, x: 2 * g * x)

sqrt = define("sqrt", np.sqrt, samples=POSITIVE)
sqrt.vjp(lambda g, y, x: g / (2 * y))

reciprocal = define("reciprocal", np.reciprocal, samples=ANY)
reciprocal.vjp(lambda g, y, x: -g * y * y)

exp = define("exp", np.exp, samples=ANY)
exp.vjp(lambda g, y, x: g * y)

expm1 = define("expm1", np.expm1, samples=ANY)
expm1.vjp(lambda g, y, x: g * np.exp(x))

log = define("log", np.log, samples=POSITIVE)
log.vjp(lambda g, y, x: g / x)

log1p = define("log1p", np.log1p, samples=POSITIVE)
log1p.vjp(lambda g, y, x: g / (1 + x))

log2 = define("log2", np.log2, samples=POSITIVE)
log2.vjp(lambda g, y, x: g / (x * math.log(2)))

log10 = define("log10", np.log10, samples=POSITIVE)
log10.vjp(lambda g, y, x: g / (x * math.log(10)))

# Where both are the same infinity, they share evenly.
logaddexp = define("logaddexp", np.logaddexp, samples=[random_sample((2, 3), (3,))])
logaddexp.vjp(lambda g, y, a, b: g * sigmoid(apart(a, b)))
logaddexp.vjp(lambda g, y, a, b: g * sigmoid(apart(b, a)))

sin = define("sin", np.sin, samples=ANY)
sin.vjp(lambda g, y, x: g * np.cos(x))

cos = define("cos", np.cos, samples=ANY)
cos.vjp(lambda g, y, x: -g * np.sin(x))

arctan = define("arctan", np.arctan, samples=ANY)
arctan.vjp(lambda g, y, x: g / (1 + x * x))

sinh = define("sinh", np.sinh, samples=ANY)
sinh.vjp(lambda g, y, x: g * np.cosh(x))

cosh = define("cosh", np.cosh, samples=ANY)
cosh.vjp(lambda g, y, x: g * np.sinh(x))

tanh = define("tanh", np.tanh, samples=ANY)
tanh.vjp(lambda g, y, x: g * (1 - y * y))

abs = define("abs", np.abs, samples=ANY, choosing=True)
abs.vjp(lambda g, y, x: g * np.sign(x))  # sign(0) = 0: the kink's slope is 0

# Slope zero wherever they have one: they keep their history, so that what stands before them gets a
# gradient of zeros.

sign = define("sign", np.sign, samples=ANY, jumps=True)
sign.vjp(lambda g, y, x: 0 * g)

floor = define("floor", np.floor, samples=ANY, jumps=True)
floor.vjp(lambda g, y, x: 0 * g)

ceil = define("ceil", np.ceil, samples=ANY, jumps=True)
ceil.vjp(lambda g, y, x: 0 * g)

rint = define("rint", np.rint, samples=ANY, jumps=True)
rint.vjp(lambda g, y, x: 0 * g)
