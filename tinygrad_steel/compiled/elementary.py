"""exp, log, tanh and the like for the loops of generated modules, such that LLVM vectorizes them.

Each of one number is right to 2 units in the last place over the whole range of float64 and of
float32, with infinities, NaN and subnormal numbers where they belong
(`tests/compiled/test_elementary.py`). All is arithmetic on one element, and choices between two
numbers that are both computed: no branch, no call, and no conversion between floats and integers,
which AVX2 does not have for vectors.

They are written as functions of a `Number`, whose operators emit the machine's instructions into
the loop: so numba has nothing to compile but the call. A multiplication and the addition behind it
are one instruction only where `fma` or `polynomial` says so; what a user wrote around them is
computed as it stands.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import extending, types

# Numbers of code that is being written


class Format(NamedTuple):
    """A float format, and what is chosen for it."""

    dtype: Any
    bits: int
    digits: int  # of a mantissa, behind the point
    bias: int  # of an exponent
    ln2: float  # so few digits that its product with an exponent is exact
    ln2_rest: float
    exp: tuple[float, float]  # the arguments beyond which it is 0, or infinity
    expm1: tuple[float, float]  # beyond which it is -1, or infinity
    tanh: float  # beyond it, there is 1
    fractions: int  # how many of Lambert's make up the other form of tanh
    factorials: int  # the degree of the series of exp
    atanh: int  # the number of terms in the series of the inverse hyperbolic tangent

    @property
    def rounding(self) -> float:
        """What leaves no digits behind the point when it is added, but an integer as last bits."""
        return 1.5 * 2.0**self.digits

    @property
    def tiny(self) -> float:
        """Below it, 1 + x is 1."""
        return 2.0 ** -(self.digits + 2)

    def word(self, x: float) -> int:
        """The bits of a number."""
        return int(self.dtype(x).view(f"u{self.bits // 8}"))


DOUBLE = Format(
    dtype=np.float64,
    bits=64,
    digits=52,
    bias=1023,
    ln2=float.fromhex("0x1.62e42feep-1"),
    ln2_rest=float.fromhex("0x1.a39ef35793c76p-33"),
    exp=(-746.0, 710.0),
    expm1=(-40.0, 710.0),
    tanh=20.0,
    fractions=8,
    factorials=13,
    atanh=10,
)
SINGLE = Format(
    dtype=np.float32,
    bits=32,
    digits=23,
    bias=127,
    ln2=float.fromhex("0x1.62e4p-1"),
    ln2_rest=float.fromhex("0x1.7f7d1cp-20"),
    exp=(-104.0, 89.0),
    expm1=(-20.0, 89.0),
    tanh=10.0,
    fractions=5,
    factorials=7,
    atanh=4,
)
FORMATS = {types.float64: DOUBLE, types.float32: SINGLE}


@dataclass(frozen=True, eq=False)
class Term:
    """A value of the code that `builder` writes; operators on it write one instruction each.

    Plain numbers beside it are constants of its format.
    """

    builder: Any
    format: Format
    value: Any

    def emit(self, instruction: str, *others: Any) -> Any:
        """The value of an instruction on this and others of its kind."""
        return getattr(self.builder, instruction)(self.value, *map(self.like, others))

    def like(self, x: Any) -> Any:
        """The value of a Term, or of a constant of this one's kind."""
        return x.value if isinstance(x, Term) else ir.Constant(self.value.type, self.exactly(x))

    def exactly(self, x: Any) -> Any:
        """A plain number as the type has it."""
        raise NotImplementedError


class Number(Term):
    """A float."""

    def exactly(self, x: float) -> float:
        return float(self.format.dtype(x))

    def new(self, value: Any) -> Number:
        return Number(self.builder, self.format, value)

    def __add__(self, other: Number | float) -> Number:
        return self.new(self.emit("fadd", other))

    def __sub__(self, other: Number | float) -> Number:
        return self.new(self.emit("fsub", other))

    def __mul__(self, other: Number | float) -> Number:
        return self.new(self.emit("fmul", other))

    def __truediv__(self, other: Number | float) -> Number:
        return self.new(self.emit("fdiv", other))

    def __neg__(self) -> Number:
        return self.new(self.emit("fneg"))

    def __abs__(self) -> Number:
        return self.intrinsic("llvm.fabs")

    def __lt__(self, other: Number | float) -> Truth:
        return self.compared("<", other)

    def __gt__(self, other: Number | float) -> Truth:
        return self.compared(">", other)

    def equals(self, other: Number | float) -> Truth:
        return self.compared("==", other)

    def compared(self, sign: str, other: Number | float) -> Truth:
        """A comparison, which is not true of NaN."""
        found = self.builder.fcmp_ordered(sign, self.value, self.like(other))
        return Truth(self.builder, self.format, found, self)

    def intrinsic(self, name: str, *others: Number | float) -> Number:
        """A function that LLVM has for any number of floats."""
        kind = self.value.type
        function_type = ir.FunctionType(kind, [kind] * (1 + len(others)))
        function = self.builder.module.declare_intrinsic(name, [kind], function_type)
        return self.new(self.builder.call(function, [self.value, *map(self.like, others)]))

    def word(self) -> Word:
        """Its bits."""
        value = self.builder.bitcast(self.value, ir.IntType(self.format.bits))
        return Word(self.builder, self.format, value, self)


@dataclass(frozen=True, eq=False)
class Truth(Term):
    """What a comparison of `number` with another one says."""

    number: Number

    def choose(self, yes: Number | float, no: Number | float) -> Number:
        """One of two numbers; both are computed."""
        like = self.number.like
        return self.number.new(self.builder.select(self.value, like(yes), like(no)))


@dataclass(frozen=True, eq=False)
class Word(Term):
    """The bits of a number, as an unsigned integer; what does not fit is dropped."""

    of: Number

    def exactly(self, x: int) -> int:
        found: int = x % 2**self.format.bits
        return found

    def new(self, value: Any) -> Word:
        return Word(self.builder, self.format, value, self.of)

    def __add__(self, other: Word | int) -> Word:
        return self.new(self.emit("add", other))

    def __sub__(self, other: Word | int) -> Word:
        return self.new(self.emit("sub", other))

    def __or__(self, other: Word | int) -> Word:
        return self.new(self.emit("or_", other))

    def __lshift__(self, other: int) -> Word:
        return self.new(self.emit("shl", other))

    def __rshift__(self, other: int) -> Word:
        return self.new(self.emit("lshr", other))

    def number(self) -> Number:
        """The number with these bits."""
        return self.of.new(self.builder.bitcast(self.value, self.of.value.type))


def fma(a: Number, b: Number | float, c: Number | float) -> Number:
    """a * b + c, rounded once where the processor has that as one instruction."""
    return a.intrinsic("llvm.fmuladd", b, c)


def polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """c0 + x * (c1 + x * (c2 + ...)), from within outwards."""
    *others, before, last = coefficients
    value = fma(x, last, before)
    for c in reversed(others):
        value = fma(value, x, c)
    return value


def in_loops(body: Callable[[Number], Number]) -> Any:
    """A decorator for a function of a Number: one for code that numba compiles, where it is called."""

    def typed(context: Any, x: Any) -> Any:
        return signature_and_code(body, x)

    typed.__name__, typed.__doc__ = body.__name__, body.__doc__
    return extending.intrinsic(typed)


def in_loops_of_two(body: Callable[[Number, Number], Number]) -> Any:
    """The same for a function of two Numbers, since numba counts the parameters."""

    def typed(context: Any, a: Any, b: Any) -> Any:
        return signature_and_code(body, a, b)

    typed.__name__, typed.__doc__ = body.__name__, body.__doc__
    return extending.intrinsic(typed)


def signature_and_code(body: Callable[..., Number], kind: Any, *others: Any) -> Any:
    """What numba asks of an intrinsic for inputs of these types; None where it is not for them."""
    if kind not in FORMATS or any(x != kind for x in others):
        return None

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return body(*(Number(builder, FORMATS[kind], x) for x in args)).value

    return kind(kind, *others), emit


# exp and what follows from it


def reduced(x: Number) -> tuple[Word, Number]:
    """n, p with e ** x = 2 ** n * (1 + p), where abs(p) is at most sqrt(2) - 1.

    x = n * ln 2 + r, and p = e ** r - 1 by Taylor's series.
    """
    f = x.format
    rounded = fma(x, 1 / math.log(2), f.rounding)
    n = rounded - f.rounding
    exact = fma(-n, f.ln2, x)
    r = fma(-n, f.ln2_rest, exact)
    lost = fma(-n, f.ln2_rest, exact - r)
    series = polynomial(r, [1 / math.factorial(k) for k in range(2, f.factorials + 1)])
    return rounded.word() - f.word(f.rounding), r + fma(r * r, series, lost)


def power(n: Word) -> Number:
    """2 ** n, if that is a normal number."""
    return ((n + n.format.bias) << n.format.digits).number()


def times_power(n: Word) -> Callable[[Number], Number]:
    """A function for x * 2 ** n, in two steps, as 2 ** n may be beyond all normal numbers."""
    even = 2 * n.format.bias  # the shift is of a positive number
    half = ((n + even) >> 1) - n.format.bias
    first, second = power(half), power(n - half)
    return lambda x: x * first * second


def between(limits: tuple[float, float], x: Number) -> Number:
    """The nearest number within two limits; NaN is itself."""
    low, high = limits
    x = (x > high).choose(high, x)
    return (x < low).choose(low, x)


@in_loops
def exp(x: Number) -> Number:
    """e ** x."""
    return exponential(x)


def exponential(x: Number) -> Number:
    n, p = reduced(between(x.format.exp, x))
    return times_power(n)(p + 1)


@in_loops
def expm1(x: Number) -> Number:
    """e ** x - 1 = 2 ** n * p + (2 ** n - 1), in halves, as 2 ** n may be too large."""
    n, p = reduced(between(x.format.expm1, x))
    half = power(n - 1)
    return (abs(x) > x.format.tiny).choose(fma(p, half, half - 0.5) * 2, x)


@in_loops
def sigmoid(x: Number) -> Number:
    """1 / (1 + e ** -x) = a / (1 + y), where y = e ** -abs(x), and a is y or 1.

    `y_rest` and `below_rest` are what the sums have lost: left out, they cost 2.3 units.
    """
    below_zero = x < 0
    n, p = reduced(between(x.format.exp, -abs(x)))
    times = times_power(n)
    y, y_rest = times(p + 1), times(p - ((p + 1) - 1))
    below = y + 1
    below_rest = (y - (below - 1)) + y_rest
    s = below_zero.choose(y, 1) / below
    # 1 / below is 1 - s, or s.
    rest = below_zero.choose(fma(-s, below_rest, y_rest) * (-s + 1), -s * s * below_rest)
    return s + rest


@in_loops
def tanh(x: Number) -> Number:
    """1 - 2 / (e ** 2a + 1) with a = abs(x); where that loses digits, Lambert's fraction does it."""
    a = abs(x)
    z = a * a
    c, d = lambert(x.format.fractions)
    limit = x.format.tanh
    n, p = reduced((a > limit).choose(limit, a) * 2)
    small = a < math.atanh(0.5)
    above = small.choose(-a * z * polynomial(z, c), -2)
    below = small.choose(polynomial(z, d), (p + 1) * power(n) + 1)
    return (small.choose(a, 1) + above / below).intrinsic("llvm.copysign", x)


def lambert(fractions: int) -> tuple[list[int], list[int]]:
    """Polynomials c, d of z = x * x with tanh(x) = x - x * z * c(z) / d(z).

    They are of Lambert's continued fraction tanh(x) = x / (1 + z / (3 + z / (5 + ...))).
    """
    before, c, d = [0], [0], [1]
    for odd in range(2 * fractions - 1, 0, -2):  # odd + z * c / d
        longer = itertools.zip_longest([odd * i for i in d], [0, *c], fillvalue=0)
        before, c, d = c, d, [a + b for a, b in longer]
    return before, d


# log and log1p


@in_loops
def log(x: Number) -> Number:
    """The natural logarithm; a subnormal number is doubled before until it is not."""
    f = x.format
    small, doublings = x < 2.0 ** (1 - f.bias), f.digits + 2
    normal = small.choose(x * 2.0**doublings, x)
    return with_ends(x, log_of(normal, 0.0, small.choose(-doublings, 0)))


@in_loops
def log1p(x: Number) -> Number:
    """log(1 + x); a tiny x is itself."""
    return (abs(x) < x.format.tiny).choose(x, with_ends(x + 1, log_of_one_and(x)))


def log_of_one_and(x: Number) -> Number:
    """log(1 + x) of an x that is not tiny: of the rounded sum, and of what rounding took away."""
    total = x + 1
    taken = total - 1
    rest = (x - taken) - ((total - taken) - 1)
    return log_of(total, rest / total, 0.0)


@in_loops_of_two
def logaddexp(a: Number, b: Number) -> Number:
    """log(e ** a + e ** b) = max(a, b) + log(1 + y), where y = e ** -abs(a - b), as NumPy has it.

    Each term is within 2 units, but for what the rounding of a - b does to y.
    """
    apart = a.equals(b).choose(0, abs(a - b))  # of equal infinities, there is no difference
    y = exponential(-apart)
    return (a > b).choose(a, b) + (y < y.format.tiny).choose(y, log_of_one_and(y))


def log_of(x: Number, rest: Number | float, exponent: Number | float) -> Number:
    """log(x) + rest + exponent * log(2) of a normal number x and a rest that is tiny beside it.

    x = 2 ** n * (1 + t), with 1 + t between the square roots of 1/2 and 2, and log(1 + t) by the
    series of the inverse hyperbolic tangent of s = t / (2 + t). It is t - t * t / 2 + s * (...),
    where the first two are larger than the third, and exact but for one rounding.
    """
    f = x.format
    large = 2.0**f.digits  # a smaller integer is the last bits of their sum
    k = (x.word() + (f.word(1.0) - f.word(math.sqrt(0.5)))) >> f.digits  # n + bias
    n = (k | f.word(large)).number() - (large + f.bias) + exponent
    t = (x.word() + f.word(1.0) - (k << f.digits)).number() - 1
    s = t / (t + 2)
    z = s * s
    square = t * 0.5 * t
    series = z * polynomial(z, [2 / (2 * i + 1) for i in range(1, f.atanh + 1)])
    small = fma(s, series + square, fma(n, f.ln2_rest, rest))
    return fma(n, f.ln2, t - (square - small))


def with_ends(x: Number, log: Number) -> Number:
    """The logarithm of any x, given what it is where x is positive and finite."""
    of_positive = (x < math.inf).choose(log, math.inf)
    return (x > 0).choose(of_positive, x.equals(0).choose(-math.inf, math.nan))
