"""Ufuncs of scipy.special: their ops, loaded when one of them first meets a Tensor.

All others of its ufuncs are refused. They stand in no table of names, since anybody's op may be
called erf; a ufunc for which somebody has registered an op of their own keeps that one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sp

from . import cbrt, exp2, expm1, log1p
from .declare import unlisted
from .op import TWINS, Op, Vjp
from .samples import Sample, random_sample, sample_of

ANY = [random_sample((2, 3))]
POSITIVE = [random_sample((2, 3), positive=True)]
SHARES = [sample_of([[0.1, 0.3, 0.45], [0.6, 0.8, 0.95]])]
PAIRS = [random_sample((2, 3), (3,), positive=True)]
ORDERS = [sample_of(np.array([2, 3, 4]), [1.5, 0.7, 3.1])]

SPECIAL: list[Op] = []


def special(
    ufunc: np.ufunc, doc: str, *vjps: Vjp | None, samples: list[Sample], name: str = ""
) -> None:
    """Make the op of a ufunc; its twin it becomes where nobody else's is."""
    new = unlisted(name or ufunc.__name__, ufunc, *vjps, samples=samples)
    new.__doc__ = doc
    SPECIAL.append(new)
    TWINS.setdefault(ufunc, new)


special(
    sp.expit,
    "The logistic sigmoid, 1 / (1 + exp(-x)).",
    lambda g, y, x: g * y * (1 - y),
    samples=ANY,
)
special(
    sp.logit,
    "log(x / (1 - x)), of which expit is the inverse. At 0 and 1 it is infinite, as its slope.",
    lambda g, y, x: g / (x * (1 - x)),
    samples=SHARES,
)
special(
    sp.erf,
    "The error function.",
    lambda g, y, x: g * (2 / math.sqrt(math.pi)) * np.exp(-x * x),
    samples=ANY,
)
special(
    sp.erfc,
    "1 - erf(x), without its rounding for large x.",
    lambda g, y, x: -g * (2 / math.sqrt(math.pi)) * np.exp(-x * x),
    samples=ANY,
)
special(
    sp.ndtr,
    "The share of a standard normal distribution below x.",
    lambda g, y, x: g / math.sqrt(2 * math.pi) * np.exp(-x * x / 2),
    samples=ANY,
)

special(
    sp.erfinv,
    "What has this error function.",
    lambda g, y, x: g * (math.sqrt(math.pi) / 2) * np.exp(y * y),
    samples=SHARES,
)
special(
    sp.ndtri,
    "Below what this share of a standard normal distribution is.",
    lambda g, y, x: g * math.sqrt(2 * math.pi) * np.exp(y * y / 2),
    samples=SHARES,
)

special(
    sp.gamma,
    "The gamma function, (x - 1)! for whole numbers.",
    lambda g, y, x: g * y * sp.digamma(x),
    samples=POSITIVE,
)
special(
    sp.gammaln, "The logarithm of abs(gamma(x)).", lambda g, y, x: g * sp.digamma(x), samples=ANY
)
special(
    sp.digamma,
    "The slope of gammaln: scipy.special.psi.",
    lambda g, y, x: g * zeta(2, x),
    samples=POSITIVE,
    name="digamma",
)


def forward(s: Any, q: Any) -> Any:
    """The sum of (q + k) ** -s over all k from 0. In `s`, the order, it has no derivative here."""
    return sp.zeta(s, q)


zeta: Op = unlisted(
    "zeta", forward, None, lambda g, y, s, q: -g * s * zeta(s + 1, q), samples=ORDERS
)
SPECIAL.append(zeta)


class Asked:
    """What says, in the place of an array, by which ufunc it was met: `sp.zeta` is a function around one."""

    def __array_ufunc__(self, ufunc: np.ufunc, *rest: Any, **kwargs: Any) -> np.ufunc:
        return ufunc


TWINS.setdefault(sp.zeta(2.0, Asked()), zeta)

# Entropies, with 0 log 0 = 0: at 0 the slope in the share itself is infinite, all others are 0.
special(
    sp.xlogy,
    "a * log(b), 0 where a is 0. There its slope in a is infinite where b is 0, too.",
    lambda g, y, a, b: g * np.log(b),
    lambda g, y, a, b: g * a / np.where(np.logical_and(np.equal(a, 0), np.equal(b, 0)), 1, b),
    samples=PAIRS,
)
special(
    sp.xlog1py,
    "a * log(1 + b), 0 where a is 0.",
    lambda g, y, a, b: g * np.log1p(b),
    lambda g, y, a, b: g * a / np.where(np.logical_and(np.equal(a, 0), np.equal(b, -1)), 1, 1 + b),
    samples=PAIRS,
)
special(
    sp.entr,
    "-x * log(x), 0 at 0, where its slope is infinite.",
    lambda g, y, x: -g * (1 + np.log(x)),
    samples=POSITIVE,
)
special(
    sp.rel_entr,
    "a * log(a / b), 0 where a is 0. There its slope in a is infinite, and NaN where b is 0, too.",
    lambda g, y, a, b: g * (1 + np.log(a / b)),
    lambda g, y, a, b: -g * a / b,
    samples=PAIRS,
)

# SciPy's own of what NumPy has, too: one op for both.
OF_NUMPY = {sp.expm1: expm1, sp.log1p: log1p, sp.exp2: exp2, sp.cbrt: cbrt}
for ufunc, twin in OF_NUMPY.items():
    TWINS.setdefault(ufunc, twin)
