"""Equality first, then time: all contenders in turn, round after round."""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from columns import Column
from contender import Contender, Trained
from workloads import Workload

from tinygrad_steel.compiled.memory import NoLoops

STEPS = 4  # of the epoch in which all are to agree
# By dtype: of the numbers, and beside the largest of an array. Sums run in any order, the book adds 1e-10 in a log.
# In float32 a bias of the large network, in which 512 numbers of both signs cancel, has three digits.
TOLERANCES = {"float64": (1e-8, 1e-10), "float32": (2e-3, 2e-3)}


class Effort(NamedTuple):
    """How many rounds, and how many seconds a contender has for all of them; `rest`: seconds before
    each, in which the threads of the one before come to rest (BLAS's go round for a while).
    """

    rounds: int
    seconds: float
    rest: float = 0.0


def agreeing(workload: Workload, columns: Sequence[Column]) -> dict[str, Contender]:
    """Those of the columns, the clean step first, that can do the workload, all of which are proven to do the same.

    A reason is printed for those that cannot; AssertionError for one that trains to something else.
    """
    found: dict[str, Contender] = {}
    right = None
    for column in columns:
        try:
            contender = column.make(workload)
            trained = contender.train(*workload.training_set(STEPS), len(workload.x))
        except NoLoops as error:
            left_out(column, error)
            continue
        except Exception as error:  # whatever a library that is half installed may raise
            if not column.peer:
                raise
            left_out(column, error)
            continue
        right = right or trained
        compare(workload, column.title, trained, right)
        found[column.name] = contender
    return found


def left_out(column: Column, error: Exception) -> None:
    first = [*str(error).splitlines(), type(error).__name__][0]
    print(f"{column.title} is left out: {first:.120}", file=sys.stderr)


def compare(workload: Workload, name: str, found: Trained, right: Trained) -> None:
    """AssertionError where a training came to something else than the clean step's, on rows in a new order."""
    same(workload, f"{name}: losses", found.losses, right.losses)
    for kind in ("gradients", "parameters"):
        arrays, expected = getattr(found, kind), getattr(right, kind)
        if arrays is not None:
            for i, (array, y) in enumerate(zip(arrays, expected, strict=True)):
                same(workload, f"{name}: {kind}[{i}]", array, y)


def same(workload: Workload, what: str, found: Any, right: Any) -> None:
    """AssertionError where these are not the same numbers in the workload's dtype."""
    relative, of_largest = TOLERANCES[workload.dtype.name]
    if isinstance(found, np.ndarray) and found.dtype != workload.dtype:
        raise AssertionError(f"{what}: {found.dtype}, not {workload.dtype}")
    np.testing.assert_allclose(
        found, right, relative, of_largest * np.max(np.abs(right)), err_msg=what
    )


def measure(workload: Workload, found: Mapping[str, Contender], effort: Effort) -> dict[str, float]:
    """The median of each contender's seconds for a step, over interleaved rounds."""
    runs = {name: contender.timed(workload) for name, contender in found.items()}
    most = workload.steps_at_most / effort.rounds
    repeats = {name: repeats_of(run, effort, most / steps) for name, (run, steps) in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    gc.collect()
    gc.disable()  # a collection would fall on whoever happens to run
    for _ in range(effort.rounds):
        for name, (run, steps) in runs.items():
            time.sleep(effort.rest)
            seconds[name].append(timed(run, repeats[name]) / steps)
    gc.enable()
    return {name: statistics.median(found) for name, found in seconds.items()}


def repeats_of(run: Callable[[], Any], effort: Effort, most: float) -> int:
    """How often in a round, after a few runs to warm up."""
    run()
    once = min(timed(run, 1) for _ in range(3))
    return max(1, int(min(effort.seconds / effort.rounds / once, most)))


def timed(run: Callable[[], Any], repeats: int) -> float:
    """Seconds of a run, the mean of several in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats
