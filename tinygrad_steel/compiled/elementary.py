"""exp, log, tanh and the like for the loops of generated modules, such that LLVM vectorizes them.

Each is right to 2 units in the last place over the whole range of float64 and of float32, with
infinities, NaN and subnormal numbers where they belong (`tests/compiled/test_elementary.py`). All
is arithmetic on one element, and choices between two numbers that are both computed: no branch,
no call, and no conversion between floats and integers, which AVX2 does not have for vectors.

A multiplication and the addition behind it are one instruction only where `fma` or a polynomial
says so. What a user wrote around these functions is computed as it stands.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import extending, njit, types

# What Python cannot say


def intrinsic(typed: Callable[..., Any]) -> Any:
    """A decorator: `typed` gives the signature for types of inputs, and what emits the code."""
    return extending.intrinsic(typed)


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`, rounded once where the processor has that as one instruction."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return fmuladd(builder, *args)

    return a(a, b, c), emit


def fmuladd(builder: Any, a: Any, b: Any, c: Any) -> Any:
    of_three = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(
        builder.module.declare_intrinsic("llvm.fmuladd", [a.type], of_three), [a, b, c]
    )


def polynomial(*coefficients: float) -> Any:
    """A function of x: c0 + x * (c1 + x * (c2 + ...)), from within outwards."""

    @intrinsic
    def value(typingctx: Any, x: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            (x,) = args
            *others, found = (ir.Constant(x.type, c) for c in rounded)
            for c in reversed(others):
                found = fmuladd(builder, found, x, c)
            return found

        rounded = [float(getattr(np, x.name)(c)) for c in coefficients]
        return x(x), emit

    return value


@intrinsic
def word(typingctx: Any, x: Any) -> Any:
    """The bits of a float as an unsigned integer."""
    return bits_of(x, WORDS[x])


@intrinsic
def number(typingctx: Any, x: Any) -> Any:
    """The float that has these bits."""
    return bits_of(x, {w: x for x, w in WORDS.items()}[x])


WORDS = {types.float64: types.uint64, types.float32: types.uint32}


def bits_of(given: Any, wanted: Any) -> Any:
    """Typing and code of the same bits in another type."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(wanted))

    return wanted(given), emit


# The two dtypes


class Format(NamedTuple):
    """A float format: its types, the `digits` of a mantissa behind the point, the `bias` of an
    exponent, and what is chosen for it.
    """

    float: Any
    word: Any
    digits: int
    bias: int
    ln2: tuple[float, float]  # few enough digits that a product with an exponent is exact; the rest
    exp: tuple[float, float]  # the arguments beyond which there is 0, or infinity
    expm1: tuple[float, float]  # beyond which there is -1, or infinity
    factorials: int  # the degree of the series of exp
    atanh: int  # the number of terms of the series of the inverse hyperbolic tangent
    fractions: int  # the number of fractions in that of tanh


DOUBLE = Format(
    float=np.float64,
    word=np.uint64,
    digits=52,
    bias=1023,
    ln2=(float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")),
    exp=(-746.0, 710.0),
    expm1=(-40.0, 710.0),
    factorials=13,
    atanh=10,
    fractions=8,
)
SINGLE = Format(
    float=np.float32,
    word=np.uint32,
    digits=23,
    bias=127,
    ln2=(float.fromhex("0x1.62e4p-1"), float.fromhex("0x1.7f7d1cp-20")),
    exp=(-104.0, 89.0),
    expm1=(-20.0, 89.0),
    factorials=7,
    atanh=4,
    fractions=5,
)
FORMATS = {types.float64: DOUBLE, types.float32: SINGLE}


def inlined(function: Callable[..., Any]) -> Any:
    """A decorator: compiled where it is called, and as a part of that."""
    return njit(error_model="numpy", forceinline=True)(function)


def in_loops(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: `written(format)` is what numba compiles for a function of one number."""

    def declare(written: Callable[[Format], Any]) -> Callable[[Format], Any]:
        @extending.overload(function, jit_options={"error_model": "numpy", "forceinline": True})
        def of_type(x: Any) -> Any:
            return written(FORMATS[x]) if x in FORMATS else None

        return written

    return declare


# exp and what follows from it


def reduced(f: Format) -> Any:
    """A function with n, p for x: e ** x = 2 ** n * (1 + p), where abs(p) is at most sqrt(2) - 1.

    x = n * ln 2 + r, and p = e ** r - 1 by Taylor's series. Adding `shift` rounds to an integer n,
    which is then in the last bits: n is given as the word of this sum.
    """
    log2e, ln2, ln2_rest = map(f.float, (1 / math.log(2), *f.ln2))
    shift = f.float(rounding(f))
    series = polynomial(*(1 / math.factorial(k) for k in range(2, f.factorials + 1)))

    @inlined
    def reduced(x: Any) -> Any:
        shifted = fma(x, log2e, shift)
        n = shifted - shift
        exact = fma(-n, ln2, x)
        r = fma(-n, ln2_rest, exact)
        lost = fma(-n, ln2_rest, exact - r)
        return word(shifted), r + fma(r * r, series(r), lost)

    return reduced


def rounding(f: Format) -> float:
    """What leaves no digits behind the point when it is added."""
    return 1.5 * 2.0**f.digits


def power(f: Format) -> Any:
    """A function with x * 2 ** n, in two steps: 2 ** n may be beyond all normal numbers."""
    zero = f.word(f.float(rounding(f)).view(f.word) - 2 * f.bias)
    one, digits = f.word(1), f.word(f.digits)

    @inlined
    def power(x: Any, n: Any) -> Any:
        k = f.word(n - zero)
        half = f.word(k >> one)
        return x * number(f.word(half << digits)) * number(f.word(f.word(k - half) << digits))

    return power


def exp(x: Any) -> Any:
    """e ** x."""
    return np.exp(x)


@in_loops(exp)
def exp_written(f: Format) -> Any:
    low, high = map(f.float, f.exp)
    one = f.float(1)
    parts, times_power = reduced(f), power(f)

    def exp(x: Any) -> Any:
        n, p = parts(low if x < low else high if x > high else x)  # NaN is itself
        return times_power(one + p, n)

    return exp


def expm1(x: Any) -> Any:
    """e ** x - 1, exact near 0."""
    return np.expm1(x)


@in_loops(expm1)
def expm1_written(f: Format) -> Any:
    """2 ** n * p + (2 ** n - 1), in halves as 2 ** n may be too large; a tiny x is itself."""
    low, high = map(f.float, f.expm1)
    zero, digits = f.word(f.float(rounding(f)).view(f.word) - (f.bias - 1)), f.word(f.digits)
    half, two, tiny = map(f.float, (0.5, 2.0, 2.0 ** -(f.digits + 2)))
    parts = reduced(f)

    def expm1(x: Any) -> Any:
        n, p = parts(low if x < low else high if x > high else x)
        half_power = number(f.word(f.word(n - zero) << digits))
        y = two * fma(p, half_power, half_power - half)
        return y if abs(x) > tiny else x

    return expm1


def sigmoid(x: Any) -> Any:
    """1 / (1 + e ** -x)."""
    return 1 / (1 + np.exp(-x))


@in_loops(sigmoid)
def sigmoid_written(f: Format) -> Any:
    """a / (1 + y), where y = e ** -abs(x), and a is y or 1.

    `y_rest` and `below_rest` are what the sums before have lost, without which 2.3 ulp are.
    """
    low, one, zero = f.float(f.exp[0]), f.float(1), f.float(0)
    parts, times_power = reduced(f), power(f)

    def sigmoid(x: Any) -> Any:
        a = -abs(x)
        n, p = parts(low if a < low else a)
        total = one + p
        y, y_rest = times_power(total, n), times_power(p - (total - one), n)
        below = one + y
        below_rest = (y - (below - one)) + y_rest
        s = (y if x < zero else one) / below
        # 1 / below is s, or 1 - s
        rest = (one - s) * fma(-s, below_rest, y_rest) if x < zero else -s * s * below_rest
        return s + rest

    return sigmoid


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return np.tanh(x)


def lambert(fractions: int) -> tuple[list[int], list[int]]:
    """Polynomials p, q of z = x * x with tanh(x) = x - x * z * p(z) / q(z).

    They are of Lambert's continued fraction tanh(x) = x / (1 + z / (3 + z / (5 + ...))).
    """
    before, p, q = [0], [0], [1]
    for odd in range(2 * fractions - 1, 0, -2):  # odd + z * p / q
        longer = itertools.zip_longest([odd * c for c in q], [0, *p], fillvalue=0)
        before, p, q = p, q, [a + b for a, b in longer]
    return before, q


@in_loops(tanh)
def tanh_written(f: Format) -> Any:
    """1 - 2 / (e ** 2x + 1); below 1/2 that loses digits, and Lambert's fraction does it."""
    p, q = lambert(f.fractions)
    numerator, denominator = polynomial(*p), polynomial(*q)
    half, one, two = f.float(0.5493), f.float(1), f.float(2)

    def tanh(x: Any) -> Any:
        a = abs(x)
        z = a * a
        small = a < half
        above = -(a * z) * numerator(z) if small else -two
        below = denominator(z) if small else exp(a + a) + one
        return math.copysign((a if small else one) + above / below, x)

    return tanh


# log and log1p


def log(x: Any) -> Any:
    """The natural logarithm."""
    return np.log(x)


def log1p(x: Any) -> Any:
    """log(1 + x), exact near 0."""
    return np.log1p(x)


def log_of_sum(f: Format) -> Any:
    """log(x + rest) of a normal number x and one that is tiny beside it.

    x = 2 ** n * (1 + t), with 1 + t between the square roots of 1/2 and 2, and log(1 + t) by the
    series of the inverse hyperbolic tangent of s = t / (2 + t). This is t - t * t / 2 + s * (...),
    where the first numbers are exact.
    """
    ln2, ln2_rest, half, one, two = map(f.float, (*f.ln2, 0.5, 1.0, 2.0))
    bias, digits = f.word(f.bias << f.digits), f.word(f.digits)
    below = f.word(bias - f.float(math.sqrt(0.5)).view(f.word))
    large = f.float(2.0**f.digits)  # an integer below it is the last bits of their sum
    large_word, offset = large.view(f.word), f.float(large + f.bias)
    series = polynomial(*(2 / (2 * k + 1) for k in range(1, f.atanh + 1)))

    @inlined
    def log_of_sum(x: Any, rest: Any, more: Any) -> Any:
        w = f.word(word(x) + below)
        k = f.word(w >> digits)
        n = number(f.word(k | large_word)) - offset + more
        t = number(f.word(word(x) + bias - f.word(k << digits))) - one
        s = t / (two + t)
        z = s * s
        square = half * t * t
        small = fma(s, fma(z, series(z), square), fma(n, ln2_rest, rest / x))
        return fma(n, ln2, t - (square - small))

    return log_of_sum


@in_loops(log)
def log_written(f: Format) -> Any:
    """A subnormal number is multiplied by a power of 2 before."""
    of_sum = log_of_sum(f)
    zero, infinity, nan = map(f.float, (0.0, np.inf, np.nan))
    normal, up, none = np.finfo(f.float).smallest_normal, f.float(2.0 ** (f.digits + 2)), zero
    down = f.float(-(f.digits + 2))

    def log(x: Any) -> Any:
        subnormal = x < normal
        y = of_sum(x * up if subnormal else x, zero, down if subnormal else none)
        beyond = x if x > zero else -infinity if x == zero else nan
        return y if zero < x < infinity else beyond

    return log


@in_loops(log1p)
def log1p_written(f: Format) -> Any:
    """The log of the rounded sum, and of what rounding took away; a tiny x is itself."""
    of_sum = log_of_sum(f)
    zero, one, infinity, nan = map(f.float, (0.0, 1.0, np.inf, np.nan))
    tiny = f.float(2.0 ** -(f.digits + 2))

    def log1p(x: Any) -> Any:
        total = one + x
        taken = total - one
        y = of_sum(total, (one - (total - taken)) + (x - taken), zero)
        y = x if abs(x) < tiny else y
        beyond = x if total > zero else -infinity if total == zero else nan
        return y if zero < total < infinity else beyond

    return log1p
