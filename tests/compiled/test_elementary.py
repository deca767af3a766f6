"""The functions that loops call are right to 2 units in the last place, wherever a float can be, and are vectorized.

What they are held against is decimal arithmetic of 60 digits on a few arguments, and NumPy in a wider format on many.
"""

from __future__ import annotations

import decimal
import functools
import math
import os
import re
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from helpers import FULL, counted
from numpy.random import default_rng

numba = pytest.importorskip("numba", reason="these functions are for numba's loops")

from tinygrad_steel.compiled import elementary  # noqa: E402

NAMES = ["exp", "expm1", "log", "log1p", "tanh", "sigmoid"]
DTYPES = [np.float64, np.float32]
# Units in the last place, a little more than what every float32 has shown; 2 are promised.
LIMITS = {"exp": 1.0, "expm1": 1.7, "log": 1.0, "log1p": 1.0, "tanh": 1.5, "sigmoid": 1.4}
each = pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
each_name = pytest.mark.parametrize("name", NAMES)
INF, NAN = math.inf, math.nan


@functools.cache
def compiled(expression, dtype, fastmath=False):
    """A loop as generated modules have it: element j of the first half of a block to that of the second."""
    names = {**vars(elementary), "np": np}
    lines = ["def loop(m):", "    n = m.size // 2", "    for j in range(n):"]
    exec("\n".join([*lines, f"        m[n + j] = {expression}", "    return 0"]), names)
    return jitted(names["loop"], dtype)


def jitted(loop, dtype):
    return numba.njit(f"int64({np.dtype(dtype)}[::1])", error_model="numpy")(loop)


def run(expression, x):
    loop = expression if callable(expression) else compiled(expression, x.dtype.type)
    m = np.concatenate([x, np.zeros_like(x)])
    loop(m)
    return m[len(x) :]


def of(name, x):
    return run(f"{name}(m[j])", x)


# Where they are tried


def every_exponent(dtype, count, seed=0):
    """Random bits: all exponents, both signs, subnormal numbers, infinities, NaN."""
    word = {8: np.uint64, 4: np.uint32}[np.dtype(dtype).itemsize]
    return default_rng(seed).integers(0, np.iinfo(word).max, count, word, endpoint=True).view(dtype)


# Where a function goes over into 0, infinity, a subnormal number or 1, or a choice is made in it.
TURNS = {
    np.float64: [709.782712893384, -745.1332191019411, -708.3964185322641, -36.7, -37.43, 19.06],
    np.float32: [88.72284, -103.97208, -87.33655, -16.6, -17.33, 9.01],
}
EDGES = [
    0.5493,
    -0.5493,
    0.35,
    0.36,
    0.37,
    0.34657,
    -0.34657,
    math.sqrt(0.5),
    math.sqrt(2),
    1.0,
    -1.0,
    2.0,
]


def arguments(dtype, count, seed=0):
    """Numbers of all sizes, `count` of each kind: many near 0, near 1, and where something changes."""
    rng = default_rng(seed)
    spread = [rng.uniform(-s, s, count) for s in (1e-5, 0.1, 0.7, 3, 20, 110, 800)]
    close = [c * (1 + rng.uniform(-1, 1, count) * 1e-3) for c in (*TURNS[dtype], *EDGES)]
    closer = [
        c * (1 + rng.integers(-9, 9, 18) * float(np.finfo(dtype).eps))
        for c in (*TURNS[dtype], *EDGES)
    ]
    tiny = 2.0 ** rng.uniform(-60, -10, count) * rng.choice([-1, 1], count)
    parts = [every_exponent(dtype, 4 * count, seed), *spread, *close, *closer, tiny]
    with np.errstate(over="ignore"):
        return np.concatenate([np.asarray(part).astype(dtype) for part in parts])


# What is right


def units(y, right):
    """How many units in the last place of `right`, of a wider format, the numbers `y` are away from it.

    Infinity stands for the number that would come behind the largest one.
    """
    info = np.finfo(y.dtype)
    with np.errstate(all="ignore"):
        behind = np.exp2(right.dtype.type(info.maxexp))
        y, right = (np.clip(x.astype(right.dtype), -behind, behind) for x in (y, right))
        exponent = np.clip(np.floor(np.log2(np.abs(right))), info.minexp, info.maxexp - 1)
        away = np.abs(y - right) / np.exp2(exponent - info.nmant)
    away[np.isnan(y) & np.isnan(right)] = 0
    return np.where(np.isnan(away), INF, away)


def wide_sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


WIDE = {name: getattr(np, name, wide_sigmoid) for name in [*NAMES, "logaddexp"]}
IS_WIDE = np.finfo(np.longdouble).nmant >= 63


def wide(name, *inputs):
    """The function by NumPy, in a format that has at least 11 more bits."""
    with np.errstate(all="ignore"):
        return WIDE[name](
            *(x.astype(np.longdouble if x.dtype == np.float64 else np.float64) for x in inputs)
        )


def exact_expm1(x):
    return x.exp() - 1 if abs(x) > 1e-9 else x + x * x / 2 + x * x * x / 6


def exact_log1p(x):
    return (1 + x).ln() if abs(x) > 1e-9 else x - x * x / 2 + x * x * x / 3


EXACT = {
    "exp": Decimal.exp,
    "expm1": exact_expm1,
    "log": Decimal.ln,
    "log1p": exact_log1p,
    "tanh": lambda x: exact_expm1(2 * x) / (exact_expm1(2 * x) + 2),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
}


def exact_units(name, x, y):
    """The same as `units`, of one number and by decimal arithmetic."""
    info = np.finfo(y.dtype)
    behind = Decimal(2) ** int(info.maxexp)
    right = min(EXACT[name](Decimal(float(x))), behind)
    exponent = math.frexp(min(abs(right), Decimal(float(info.max))))[1] - 1
    unit = Decimal(2) ** (max(exponent, int(info.minexp)) - info.nmant)
    return float(abs(min(Decimal(float(y)), behind) - right) / unit)


@each
@each_name
def test_within_two_units_of_decimal_arithmetic(name, dtype):
    x = arguments(dtype, counted(400, 30), seed=1)
    x = x[np.isfinite(x)]
    x = x[x > {"log": 0, "log1p": -1}.get(name, -INF)]
    x = x[np.abs(x) < {"tanh": 1e3, "sigmoid": 1e3, "exp": 1e3, "expm1": 1e3}.get(name, INF)]
    with decimal.localcontext(prec=60, Emax=10**9, Emin=-(10**9)):
        away = [exact_units(name, *pair) for pair in zip(x, of(name, x))]
    worst = int(np.argmax(away))
    assert away[worst] <= LIMITS[name], (x[worst], away[worst])


@each
@each_name
def test_within_two_units_of_a_wider_format(name, dtype):
    if dtype is np.float64 and not IS_WIDE:
        pytest.skip("np.longdouble has no more digits than float64 here")
    x = arguments(dtype, counted(200_000, 4_000), seed=2)
    away = units(of(name, x), wide(name, x))
    worst = np.argmax(away)
    assert away[worst] <= LIMITS[name], (x[worst], away[worst])


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.uname().machine != "x86_64", reason="x86-64 on Linux"
)
@pytest.mark.parametrize("cpu", ["x86-64", *["haswell"] * FULL])
def test_the_same_on_another_processor(cpu):
    """The first has no fused multiplication and addition, and vectors of two numbers."""
    asked = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        __file__,
        "-p",
        "no:cacheprovider",
        "-k",
        "two_units and wider",
    ]
    others = {
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": "",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run(
        asked, env={**os.environ, **others}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "12 passed" in done.stdout, done.stdout


@pytest.mark.slow
@each_name
def test_every_number_of_float32(name):
    """All 2 ** 32 with TINYGRAD_STEEL_TESTS=full, else one in 5003, against the C library in float64."""
    assert worst_of_words(name)(counted(1, 5_003)) <= LIMITS[name]


def worst_of_words(name):
    """How many units in the last place a function is away at most, of every `step`-th word taken as a float32."""
    ours = getattr(elementary, name)
    right_of = getattr(
        np,
        name,
        numba.njit(lambda x: np.exp(x) / (1 + np.exp(x)) if x < 0 else 1 / (1 + np.exp(-x))),
    )
    behind = 2.0**128
    unit_of = 2.0 ** (
        np.clip(np.arange(2048) - 1023, -126, 127) - 23
    )  # by the exponent, as float64 has it

    @numba.njit(error_model="numpy")
    def worst(step):
        found = 0.0
        for word in range(0, 2**32, step):
            x = np.uint32(word).view(np.float32)
            y, right = np.float64(ours(x)), right_of(np.float64(x))
            if np.isnan(y) and np.isnan(right):
                continue
            y, right = min(max(y, -behind), behind), min(max(right, -behind), behind)
            away = abs(y - right) / unit_of[np.float64(right).view(np.int64) >> 52 & 2047]
            if not away <= found:
                found = away
        return found

    return worst


def test_a_series_that_ends_too_early_is_seen(monkeypatch):
    monkeypatch.setitem(
        elementary.FORMATS, numba.float64, elementary.DOUBLE._replace(factorials=10)
    )
    x = default_rng(0).uniform(-700, 700, 1_000)
    away = units(run(compiled.__wrapped__("exp(m[j])", np.float64), x), wide("exp", x))
    assert 10 < away.max() < 1e6


# Ends and special values, by their definitions

SPECIAL = {
    "exp": [
        (NAN, NAN),
        (INF, INF),
        (-INF, 0.0),
        (0.0, 1.0),
        (-0.0, 1.0),
        (-1e30, 0.0),
        (1e30, INF),
    ],
    "expm1": [
        (NAN, NAN),
        (INF, INF),
        (-INF, -1.0),
        (0.0, 0.0),
        (-0.0, -0.0),
        (-50.0, -1.0),
        (1e30, INF),
    ],
    "log": [
        (NAN, NAN),
        (INF, INF),
        (-INF, NAN),
        (0.0, -INF),
        (-0.0, -INF),
        (1.0, 0.0),
        (-1.0, NAN),
    ],
    "log1p": [
        (NAN, NAN),
        (INF, INF),
        (-INF, NAN),
        (0.0, 0.0),
        (-0.0, -0.0),
        (-1.0, -INF),
        (-1.5, NAN),
    ],
    "tanh": [
        (NAN, NAN),
        (INF, 1.0),
        (-INF, -1.0),
        (0.0, 0.0),
        (-0.0, -0.0),
        (23.0, 1.0),
        (-23.0, -1.0),
    ],
    "sigmoid": [
        (NAN, NAN),
        (INF, 1.0),
        (-INF, 0.0),
        (0.0, 0.5),
        (-0.0, 0.5),
        (40.0, 1.0),
        (-1e30, 0.0),
    ],
}
THEMSELVES = ["expm1", "log1p", "tanh"]  # where x is tiny
ENDS = [
    *(("exp", np.float64, x, y) for x, y in [(710.0, INF), (-745.1, 5e-324), (-745.2, 0.0)]),
    *(("exp", np.float32, x, y) for x, y in [(88.73, INF), (-103.9, 1e-45), (-104.0, 0.0)]),
    *(("expm1", np.float64, x, y) for x, y in [(709.79, INF), (-37.5, -1.0)]),
    *(("sigmoid", np.float64, x, y) for x, y in [(-745.1, 5e-324), (-745.2, 0.0), (800.0, 1.0)]),
    *(("sigmoid", np.float32, x, y) for x, y in [(-103.9, 1e-45), (-104.0, 0.0), (100.0, 1.0)]),
]


def same(y, right):
    """Equal to the last bit, with the sign of zeros; NaN is NaN."""
    y, right = np.asarray(y), np.asarray(right).astype(y.dtype)
    np.testing.assert_array_equal(y, right)
    a_number = ~np.isnan(y)
    np.testing.assert_array_equal(np.signbit(y)[a_number], np.signbit(right)[a_number])


@each
@each_name
def test_special_values(name, dtype):
    x, right = (np.array(column, dtype) for column in zip(*SPECIAL[name]))
    same(of(name, x), right)


def test_ends():
    for name, dtype, x, right in ENDS:
        same(of(name, np.array([x], dtype)), [right])


@each
@pytest.mark.parametrize("name", THEMSELVES)
def test_a_tiny_number_is_itself(name, dtype):
    info = np.finfo(dtype)
    x = np.array([info.smallest_subnormal, info.smallest_normal, info.eps / 8], dtype)
    same(of(name, np.concatenate([x, -x])), np.concatenate([x, -x]))


@each
def test_logaddexp(dtype):
    """Within two units of the larger of its two terms, but for what the rounding of a - b does to the second."""
    ends = np.array([0.0, -0.0, 1.0, -700.0, INF, -INF, NAN], dtype)
    a = np.concatenate([np.repeat(ends, len(ends)), arguments(dtype, 100, seed=3)])
    b = np.concatenate([np.tile(ends, len(ends)), arguments(dtype, 100, seed=4)])
    with np.errstate(all="ignore"):
        b[50::3] = a[50::3] * (1 + b[50::3] * dtype(1e-3))  # close to each other
        y = run("logaddexp(m[j], m[n - 1 - j])", np.concatenate([a, b[::-1]]))[: len(a)]
        right = wide("logaddexp", a, b)
        parts = np.maximum(np.abs(np.maximum(a, b)), np.logaddexp(0, -np.abs(a - b)))
        rounding = np.nan_to_num(np.exp(-np.abs(a - b)) * np.spacing(np.abs(a - b)) / 2)
        away = (np.abs(y - right) - rounding) / np.spacing(parts)
    finite = np.isfinite(parts) & np.isfinite(y)
    same(y[~finite], right[~finite])
    assert away[finite].max() <= 2


# How they are compiled


@each
@each_name
def test_a_loop_is_vectorized(name, dtype):
    assert is_vectorized(compiled(f"{name}(m[j])", dtype), dtype)
    assert not is_vectorized(
        compiled(f"np.{name}(m[j])" if name != "sigmoid" else "np.exp(-m[j])", dtype), dtype
    )


def is_vectorized(loop, dtype):
    """Whether several numbers are multiplied and added at once in what LLVM has made of it."""
    (code,) = loop.inspect_llvm().values()
    bits = np.dtype(dtype).itemsize * 8
    return re.search(rf"@llvm\.fmuladd\.v\d+f{bits}\(", code) is not None


@each
@each_name
def test_a_number_has_one_result_wherever_it_stands(name, dtype):
    """What is behind the last full vector is computed one by one."""
    x = arguments(dtype, 20)
    same(np.concatenate([of(name, one) for one in np.split(x, len(x))]), of(name, x))


@each
def test_what_is_around_them_is_computed_as_it_stands(dtype):
    """A multiplication and an addition in one instruction would leave a rest of what rounding takes away."""
    names = dict(vars(elementary))
    exec(
        "def loop(m):\n"
        "    n = m.size // 4\n"
        "    for j in range(n):\n"
        "        m[3 * n + j] = tanh(m[j]) * m[n + j] + m[2 * n + j]\n"
        "    return 0",
        names,
    )
    a, b = default_rng(0).normal(size=(2, 999)).astype(dtype)
    m = np.concatenate([a, b, -(of("tanh", a) * b), 1 + a])
    jitted(names["loop"], dtype)(m)
    assert not m[-999:].any()


MODULE = """
import sys
import numba
import numpy as np
from tinygrad_steel.compiled.elementary import exp, tanh

@numba.njit("int64(float64[::1])", cache=True, error_model="numpy")
def loop(m):
    for j in range(m.size):
        m[j] = exp(tanh(m[j]))
    return 0
"""
ASK = "import numpy as np, kept; m = np.zeros(9); kept.loop(m); print(m[0], sum(kept.loop.stats.cache_hits.values()))"


def test_a_second_process_loads_machine_code_from_disk(tmp_path):
    (tmp_path / "kept.py").write_text(MODULE, encoding="utf-8")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    said = [
        subprocess.run(
            [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert [text.split() for text in said] == [["1.0", "0"], ["1.0", "1"]]
