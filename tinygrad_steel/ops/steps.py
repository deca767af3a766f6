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


def step(name: str, ufunc: np.ufunc) -> Op:
    """An op that is flat between its jumps."""
    new = define(name, ufunc, samples=ANY, jumps=True)
    new.vjp(zero)
    return new


sign = step("sign", np.sign)
floor = step("floor", np.floor)
ceil = step("ceil", np.ceil)
rint = step("rint", np.rint)
trunc = step("trunc", np.trunc)


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

# heaviside(a, b) is 0 for a < 0 and 1 for a > 0; only at a = 0, where it is b, does b matter.
heaviside = define(
    "heaviside",
    np.heaviside,
    samples=[sample_of([-1, 0, 2], [0.3, 0.5, 1.0]), random_sample((2, 3), (3,))],
)
heaviside.vjp(zero)
heaviside.vjp(lambda g, y, a, b: g * np.equal(a, 0))

# How often `b` fits into `a`.
floor_divide = define("floor_divide", np.floor_divide, samples=PAIRS, jumps=True, sawtooth=True)
floor_divide.vjp(zero)
floor_divide.vjp(zero)

# What is left of `a` once as many whole `b` as fit are taken away: the slopes are 1, and minus how
# many; where `b` fits exactly, a jump, they are those to its right (remainder).

remainder = define("remainder", np.remainder, samples=PAIRS, sawtooth=True)
remainder.vjp(lambda g, y, a, b: g)
remainder.vjp(lambda g, y, a, b: -g * np.floor_divide(a, b))

fmod = define("fmod", np.fmod, samples=PAIRS, sawtooth=True)
fmod.vjp(lambda g, y, a, b: g)
fmod.vjp(lambda g, y, a, b: -g * np.rint((a - y) / b))

# abs(a) with the sign of b, in which it is flat; at a = 0, a kink, the slope is 0, as that of abs.
copysign = define("copysign", np.copysign, samples=PAIRS)
copysign.vjp(lambda g, y, a, b: g * np.sign(a) * np.copysign(1, b))
copysign.vjp(zero)
