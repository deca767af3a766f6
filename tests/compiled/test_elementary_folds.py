"""Sums, maxima and minima of neighbours are those of their order, and read nothing beyond them."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from numpy.random import default_rng

numba = pytest.importorskip("numba", reason="these functions are for numba's loops")

from tinygrad_steel.compiled import elementary_folds  # noqa: E402

LANES = elementary_folds.LANES
COUNTS = [0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 40, 100, 257]
each = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


@functools.cache
def compiled(dtype):
    """For each function, and each count, a result behind the data, which begins at `first`."""
    calls = [f"{name}(m, first, {n})" for n in COUNTS for name in ("sum_of", "max_of", "min_of")]
    lines = [
        "def results(m, first, out):",
        *(f"    out[{i}] = {call}" for i, call in enumerate(calls)),
    ]
    names = dict(vars(elementary_folds))
    exec("\n".join([*lines, "    return 0"]), names)
    kind = f"{np.dtype(dtype)}[::1]"
    return numba.njit(f"int64({kind}, int64, {kind})", error_model="numpy")(names["results"])


def results(x, first=0):
    """Three columns, a row for each count: the functions of so many elements from `first` on."""
    out = np.empty(3 * len(COUNTS), x.dtype)
    compiled(x.dtype.type)(x, first, out)
    return out.reshape(-1, 3)


def added(x):
    """The sum in the order that `fold` tells of, in float64."""
    x = x.astype(np.float64)
    full = len(x) - len(x) % LANES
    total = x.dtype.type(0) if len(x) else 0.0
    if full:
        lanes = functools.reduce(np.add, x[:full].reshape(-1, LANES))
        while len(lanes) > 1:
            lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
        (total,) = lanes
    return functools.reduce(lambda a, b: a + b, x[full:], total)


@each
def test_sums_are_exactly_those_of_their_order(dtype):
    x = default_rng(0).normal(size=300).astype(dtype)
    for count, (total, _, _) in zip(COUNTS, results(x)):
        assert total == dtype(added(x[:count]))
        rounding = np.finfo(dtype).eps * abs(total)
        bound = count * np.finfo(np.float64).eps * np.abs(x[:count]).sum() + rounding
        assert abs(total - math.fsum(x[:count].tolist())) <= bound


@each
def test_the_largest_and_the_smallest(dtype):
    x = default_rng(1).normal(size=300).astype(dtype)
    found = results(x)
    assert found[0, 1:].tolist() == [-math.inf, math.inf]
    for count, row in zip(COUNTS[1:], found[1:]):
        assert row[1:].tolist() == [x[:count].max(), x[:count].min()]


@each
def test_nan_stays_wherever_it_is(dtype):
    for place in range(max(COUNTS)):
        x = default_rng(2).normal(size=max(COUNTS)).astype(dtype)
        x[place] = np.nan
        for count, row in zip(COUNTS, results(x)):
            assert np.isnan(row).all() if place < count else not np.isnan(row).any()


@each
@pytest.mark.parametrize("first", [1, 5, 16])
def test_nothing_beyond_is_read(dtype, first):
    for i, count in enumerate(COUNTS):
        x = np.full(first + max(COUNTS), np.nan, dtype)
        x[first : first + count] = default_rng(3).normal(size=count)
        assert not np.isnan(results(x, first)[i]).any()


@each
def test_many_numbers_are_added_up_to_the_last_digits(dtype):
    """A million times 0.1 are 99,910 where float32 is added up in float32."""
    names = dict(vars(elementary_folds))
    exec("def total(m):\n    return sum_of(m, 0, 1000000)", names)
    x = np.full(1000000, 0.1, dtype)
    found = numba.njit(f"float64({np.dtype(dtype)}[::1])")(names["total"])(x)
    assert abs(found / math.fsum(x.tolist()) - 1) < 1e-10


@each
def test_eight_are_added_at_once(dtype):
    (code,) = compiled(dtype).inspect_llvm().values()
    assert f"fadd <{LANES} x double>" in code
