"""How many GFLOP/s one core can do at most, measured: multiply-adds on numbers that never leave the registers."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

ACCUMULATORS = 12  # as many as hide the latency, and few enough for 16 registers
BYTES = (
    64,
    32,
    16,
)  # of a vector; where the processor has no such registers, its rate is the lower one
TURNS = 100_000


def peak(dtype: Any) -> float:
    """GFLOP/s of one core in this dtype; by NumPy's matrix product, a little less, where numba is not installed."""
    dtype = np.dtype(dtype)
    if importlib.util.find_spec("numba") is None:
        return max(rate(*product(n, dtype)) for n in (256, 512))
    return max(rate(*multiply_adds(nbytes // dtype.itemsize, dtype)) for nbytes in BYTES)


def method() -> str:
    """How `peak` is measured here."""
    has_numba = importlib.util.find_spec("numba") is not None
    return "multiply-adds in registers" if has_numba else "NumPy's matrix product"


def rate(run: Callable[[], Any], flops: float) -> float:
    """The highest rate of many runs, in GFLOP/s."""
    run()
    return max(flops / seconds for seconds in times(run, 20)) / 1e9


def times(run: Callable[[], Any], count: int) -> Iterator[float]:
    for _ in range(count):
        start = time.perf_counter()
        run()
        yield time.perf_counter() - start


def product(n: int, dtype: np.dtype) -> tuple[Callable[[], Any], float]:
    """A matrix product, and its operations."""
    a = np.ones((n, n), dtype)
    return lambda: a @ a, 2.0 * n**3


def multiply_adds(lanes: int, dtype: np.dtype) -> tuple[Callable[[], Any], float]:
    """A loop of independent multiply-adds of vectors, and its operations."""
    import numba

    loop = vector_loop(lanes)

    @numba.njit
    def run(turns: int, factor: Any) -> Any:
        return loop(turns, factor)

    factor = dtype.type(0.5)
    return lambda: run(TURNS, factor), 2.0 * ACCUMULATORS * lanes * TURNS


def vector_loop(lanes: int) -> Any:
    """`loop(turns, factor)`: so many turns of `accumulator = accumulator * factor + factor`, on vectors."""
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    @intrinsic
    def loop(context: Any, turns: Any, factor: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            turns, factor = args
            vector = ir.VectorType(factor.type, lanes)
            bits = 64 if factor.type == ir.DoubleType() else 32
            multiply_add = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(vector, [vector] * 3),
                f"llvm.fmuladd.v{lanes}f{bits}",
            )

            def filled(number: Any) -> Any:
                found = ir.Constant(vector, ir.Undefined)
                for lane in range(lanes):
                    found = builder.insert_element(found, number, ir.Constant(ir.IntType(32), lane))
                return found

            factors = filled(factor)
            # Each begins with another number: equal ones would be computed once
            starts = [ir.Constant(factor.type, float(i)) for i in range(ACCUMULATORS)]
            places = [cgutils.alloca_once_value(builder, filled(x)) for x in starts]
            with cgutils.for_range(builder, turns):
                for place in places:
                    sums = builder.call(multiply_add, [builder.load(place), factors, factors])
                    builder.store(sums, place)
            total = builder.load(places[0])
            for place in places[1:]:
                total = builder.fadd(total, builder.load(place))
            return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

        return factor(types.intp, factor), build

    return loop
