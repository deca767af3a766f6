"""The figures behind `backend="auto"`: a step by numba's loops beside the same by NumPy's calls, as CSV.

    python tests/benchmarks/benchmark.py --choose [--only ROW ...] > choose.csv

Single products first, `mean(square(x @ w))` with the gradient of w, over a grid of sizes and both dtypes; then whole
steps, the rows of the benchmark. Where `ratio` is above 1, "auto" had better take NumPy's calls.
"""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import ours
from columns import Column
from measure import Effort, agreeing, measure
from rows import ROWS, TABLE
from workloads import Workload

SIZES = ((10, 100, 1000), (16, 64, 256, 1024), (16, 64, 256, 1024))  # rows, inner, columns
EFFORT = Effort(9, 0.2)
FIELDS = ("workload", "rows", "inner", "columns", "dtype", "numba_us", "numpy_us", "ratio", "auto")
TWO = tuple(
    Column(backend, backend, partial(ours.step, backend=backend)) for backend in ("numpy", "numba")
)


def product(rows: int, inner: int, columns: int) -> Workload:
    """One product, and what it takes to be a step."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, inner)), np.zeros((rows, 1))
    start = [rng.normal(0, inner**-0.5, (inner, columns))]
    return Workload(
        *(x, y, start, product_clean, lambda x, y, w: (x @ w - y).square().mean()),
        [(rows, inner, columns)],
    )


def product_clean(update: Any, weight: np.ndarray) -> Any:
    def step(x, y):
        diff = x @ weight - y
        G_weight = x.T @ (2 * diff / diff.size)
        update([G_weight])
        return np.mean(np.square(diff)), G_weight

    return step


def cases(rows: Sequence[str] | None) -> Iterator[tuple[str, Workload]]:
    """Products in both dtypes and then the rows of the tables; or these rows alone."""
    if not rows:
        for sizes in itertools.product(*SIZES):
            yield "product", product(*sizes)
            yield "product", product(*sizes).in_float32()
    for row in rows or TABLE:
        yield row, ROWS[row]()


def main(rows: Sequence[str] | None) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(FIELDS)
    for name, workload in cases(rows):
        writer.writerow(measured(name, workload))
        sys.stdout.flush()


def measured(name: str, workload: Workload) -> list[Any]:
    """A line: the largest product of the workload stands for it."""
    largest = max(workload.products, key=np.prod)
    clean = Column("clean", "clean NumPy", ours.clean)
    seconds = measure(workload, agreeing(workload, (clean, *TWO)), EFFORT)
    us = {backend: seconds.get(backend, np.nan) * 1e6 for backend in ("numba", "numpy")}
    ratio = us["numba"] / us["numpy"]
    figures = (f"{x:.4g}" for x in (us["numba"], us["numpy"], ratio))
    return [name, *largest, workload.dtype.name, *figures, ours.chosen(workload, ours.step)]
