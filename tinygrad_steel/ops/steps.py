"""Functions that jump: steps, of slope zero wherever they have one, and what is left between them.

They keep their history, so that what stands before them gets a gradient of zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .declare import define
from .op import Op
from .samples import random_sample, sample_of

ANY = [random_sample((2, 3))]
PAIRS = [random_sample((2, 3), (3,)), sample_of([[7.5, -7.5]], [[2.0], [-2.0]])]


def zero(g: Any, y: Any, *inputs: Any, **params: Any) -> Any:
    """The gradient of what does not move."""
    return 0 * g


def step(name: str, ufunc: np.ufunc, doc: str) -> Op:
    """An op that is flat between its jumps."""
    new = define(name, ufunc, samples=ANY, jumps=True, doc=doc)
    new.vjp(zero)
    return new


sign = step("sign", np.sign, "-1 below 0, 0 at 0, 1 above. NaN stays NaN.")
floor = step("floor", np.floor, "Rounded down to a whole number.")
ceil = step("ceil", np.ceil, "Rounded up to a whole number.")
rint = step("rint", np.rint, "The nearest whole number; halves go to the even one.")
trunc = step("trunc", np.trunc, "Rounded towards 0 to a whole number.")


@define(
    "round",
    samples=[*ANY, random_sample((2, 3), decimals=1)],
    elementwise=True,
    jumps=True,
)
def round(x: Any, decimals: int = 0) -> Any:
    """`x` to this many decimals; halves go to the even one, as in NumPy."""
    return np.round(x, decimals)


round.vjp(zero)

heaviside = define(
    "heaviside",
    np.heaviside,
    doc="0 for a < 0 and 1 for a > 0. Only at a = 0, where it is b, does b matter.",
    samples=[sample_of([-1, 0, 2], [0.3, 0.5, 1.0]), random_sample((2, 3), (3,))],
)
heaviside.vjp(zero)
heaviside.vjp(lambda g, y, a, b: g * np.equal(a, 0))

floor_divide = define(
    "floor_divide",
    np.floor_divide,
    samples=PAIRS,
    jumps=True,
    sawtooth=True,
    doc="How often b fits into a, rounded down.",
)
floor_divide.vjp(zero)
floor_divide.vjp(zero)

remainder = define(
    "remainder",
    np.remainder,
    samples=PAIRS,
    sawtooth=True,
    doc="What is left of a once as many whole b as fit are taken away, with the sign of b. The slopes "
    "are 1, and minus how many: a / b where b fits exactly, which is a jump.",
)
remainder.vjp(lambda g, y, a, b: g)
remainder.vjp(lambda g, y, a, b: -g * np.floor_divide(a, b))

fmod = define(
    "fmod",
    np.fmod,
    samples=PAIRS,
    sawtooth=True,
    doc="As remainder, but with the sign of a, and so the number of b rounded towards 0.",
)
fmod.vjp(lambda g, y, a, b: g)
fmod.vjp(lambda g, y, a, b: -g * np.rint((a - y) / b))

copysign = define(
    "copysign",
    np.copysign,
    samples=PAIRS,
    doc="abs(a) with the sign of b, in which it is flat. At a = 0, a kink, its slope is 0.",
)
copysign.vjp(lambda g, y, a, b: g * np.sign(a) * np.copysign(1, b))
copysign.vjp(zero)
