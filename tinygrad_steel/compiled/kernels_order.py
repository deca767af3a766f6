"""In which order a kernel sums: whether rows of a product alone come out as they do in the whole."""

from __future__ import annotations

import functools
from typing import Any

from .kernels_plan import shape_of

# What kernels_target.target gives: width, held, masks
TARGETS = ((64, 28, True), (32, 15, False), (32, 13, False), (16, 28, False), (16, 12, False))


def is_same_order(some: list[Any], whole: list[Any]) -> bool:
    """Whether two products of other numbers of rows have one order of terms, on any machine and in
    both dtypes.
    """
    return orders(tuple(some)) == orders(tuple(whole))


@functools.lru_cache(1000)
def orders(sizes: tuple[Any, ...]) -> list[Any]:
    """The order of terms on each machine, for each dtype."""
    from llvmlite import ir  # as numba, not there everywhere

    from .kernels_forms import End, Kernel
    from .kernels_target import Target

    shape, _ = shape_of(*sizes)
    found = []
    for number in (ir.DoubleType(), ir.FloatType()):
        for target in TARGETS:
            kernel = Kernel(None, number, shape, Target(*target), None, None, None, End())
            found.append(order(kernel))
    return found


def order(kernel: Any) -> tuple[str, int]:
    """Terms in turn, by so many at a time, or side by side in so many lanes."""
    form = kernel.form()
    if form == "dots":
        return "lanes", kernel.write.lanes
    terms = kernel.shape.inner_count
    if form.startswith("packed") and kernel.depth < terms:
        return "blocks", kernel.depth
    return "in turn", terms
