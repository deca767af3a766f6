"""Trigonometry: functions of angles and their hyperbolic cousins, and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .declare import define
from .safe import floats
from .samples import random_sample, sample_of

ANY = [random_sample((2, 3))]
PAIRS = [random_sample((2, 3), (3,)), random_sample((2, 1), (1, 3))]
WITHIN_ONE = [sample_of([[-0.9, -0.3, 0.2], [0.4, 0.6, 0.8]])]
ABOVE_ONE = [sample_of([[1.1, 1.5, 2.0], [3.0, 4.5, 6.0]])]

# Angles

deg2rad = define("deg2rad", np.deg2rad, samples=ANY, twins=[np.radians], doc="Degrees as radians.")
deg2rad.vjp(lambda g, y, x: g * (math.pi / 180))

rad2deg = define("rad2deg", np.rad2deg, samples=ANY, twins=[np.degrees], doc="Radians as degrees.")
rad2deg.vjp(lambda g, y, x: g * (180 / math.pi))

sin = define("sin", np.sin, samples=ANY, doc="The sine of an angle in radians.")
sin.vjp(lambda g, y, x: g * np.cos(x))

cos = define("cos", np.cos, samples=ANY, doc="The cosine of an angle in radians.")
cos.vjp(lambda g, y, x: -g * np.sin(x))

tan = define("tan", np.tan, samples=ANY, doc="The tangent of an angle in radians.")
tan.vjp(lambda g, y, x: g * (1 + y * y))

arcsin = define(
    "arcsin",
    np.arcsin,
    samples=WITHIN_ONE,
    doc="The angle with this sine. At -1 and 1 its slope is infinite, beyond them NaN.",
)
arcsin.vjp(lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)))

arccos = define(
    "arccos",
    np.arccos,
    samples=WITHIN_ONE,
    doc="The angle with this cosine. At -1 and 1 its slope is infinite, beyond them NaN.",
)
arccos.vjp(lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)))

arctan = define("arctan", np.arctan, samples=ANY, doc="The angle with this tangent.")
arctan.vjp(lambda g, y, x: g / (1 + x * x))

# Two sides of a triangle

arctan2 = define(
    "arctan2",
    np.arctan2,
    samples=PAIRS,
    doc="The angle of the point (b, a). At (0, 0), where it jumps, its slopes are 0.",
)
arctan2.vjp(lambda g, y, a, b: g * (b / length(a, b)) / length(a, b))
arctan2.vjp(lambda g, y, a, b: -g * (a / length(a, b)) / length(a, b))

hypot = define(
    "hypot",
    np.hypot,
    samples=PAIRS,
    doc="The length of (a, b). At (0, 0), a kink, its slopes are 0.",
)
hypot.vjp(lambda g, y, a, b: g * (a / not_zero(y)))
hypot.vjp(lambda g, y, a, b: g * (b / not_zero(y)))


def length(a: Any, b: Any) -> Any:
    """The length of (a, b), 1 where it is 0."""
    return not_zero(np.hypot(a, b))


def not_zero(length: Any) -> Any:
    """A length to divide by: 1 where it is 0."""
    return np.where(np.equal(length, 0), 1, length)


# Hyperbolic

sinh = define("sinh", np.sinh, samples=ANY, doc="The hyperbolic sine.")
sinh.vjp(lambda g, y, x: g * np.cosh(x))

cosh = define("cosh", np.cosh, samples=ANY, doc="The hyperbolic cosine.")
cosh.vjp(lambda g, y, x: g * np.sinh(x))

tanh = define("tanh", np.tanh, samples=ANY, doc="The hyperbolic tangent.")
tanh.vjp(lambda g, y, x: g * (1 - y * y))

arcsinh = define("arcsinh", np.arcsinh, samples=ANY, doc="What has this hyperbolic sine.")
arcsinh.vjp(lambda g, y, x: g / np.hypot(1, x))

arccosh = define(
    "arccosh",
    np.arccosh,
    samples=ABOVE_ONE,
    doc="What has this hyperbolic cosine. At 1 its slope is infinite, below it NaN.",
)
arccosh.vjp(lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))

arctanh = define(
    "arctanh",
    np.arctanh,
    samples=WITHIN_ONE,
    doc="What has this hyperbolic tangent. At -1 and 1 it is infinite, as its slope; beyond them it is NaN.",
)
arctanh.vjp(lambda g, y, x: g / ((1 - x) * (1 + x)))

# The slope of sinc near 0, by powers of (pi x)**2: pi**2 x (-1/3 + t/30 - t**2/840 + ...)
SERIES = [(-1) ** k * 2 * k / math.factorial(2 * k + 1) for k in range(1, 6)]


@define("sinc", samples=[*ANY, sample_of([0.0, 0.03, -0.2])], elementwise=True)
def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), 1 at x = 0, where its slope is 0."""
    return np.sinc(x)


@sinc.vjp
def _(g: Any, y: Any, x: Any) -> Any:
    """(cos(pi x) - sinc(x)) / x; below 0.1, where that cancels, a series, right to 14 digits."""
    x = floats(x)
    near = np.abs(x) < 0.1
    t = np.square(math.pi * np.where(near, x, 0))
    series: Any = SERIES[-1]
    for factor in SERIES[-2::-1]:
        series = factor + t * series
    z = np.where(near, 1, x)
    return g * np.where(near, math.pi**2 * x * series, (np.cos(math.pi * z) - np.sinc(z)) / z)
