"""How long a training step takes, as a multiple of the same step written by hand in clean NumPy.

    python tests/benchmarks/benchmark.py [--quick] [--json FILE]

Every contender's loss and gradients are verified against the clean step first. Then all of them run in turn, round
after round, in one process and one thread, and the medians of the rounds' ratios are printed: absolute times vary from
machine to machine and from minute to minute, ratios within a round much less.
"""

from __future__ import annotations

# ruff: noqa: E402 (the threads are set before NumPy is imported, or it is too late)
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from workloads import WORKLOADS


def verify(contenders: dict[str, Callable]) -> None:
    """Run every contender once, from the same parameters; ValueError where one computes something else."""
    first = {name: step() for name, step in contenders.items()}
    for name, found in first.items():
        for value, right in zip(found, first["clean NumPy"], strict=True):
            # the book's epsilon shows in the tenth digit
            np.testing.assert_allclose(value, right, rtol=1e-8, atol=1e-12, err_msg=name)


def measure(contenders: dict[str, Callable], rounds: int, seconds: float) -> dict[str, float]:
    """The median over `rounds` of each contender's time per step, as a ratio to clean NumPy in the same round."""
    start = time.perf_counter()
    contenders["clean NumPy"]()
    repeats = max(1, int(seconds / rounds / (time.perf_counter() - start) / len(contenders)))
    ratios: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.disable()  # a collection would fall on whichever contender happens to run
    for _ in range(rounds):
        times = {}
        for name, step in contenders.items():
            start = time.perf_counter()
            for _ in range(repeats):
                step()
            times[name] = time.perf_counter() - start
        for name, t in times.items():
            ratios[name].append(t / times["clean NumPy"])
    gc.enable()
    return {name: statistics.median(r) for name, r in ratios.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a rough answer in a few seconds")
    parser.add_argument("--json", metavar="FILE", help="write {workload: {contender: ratio}} here")
    options = parser.parse_args()
    rounds, seconds = (15, 2.0) if options.quick else (41, 12.0)
    results = {}
    for name, make in WORKLOADS.items():
        verify(make())
        results[name] = measure(make(), rounds, seconds)
        print(f"\n{name}: time of a step, clean NumPy = 1")
        for contender, ratio in sorted(results[name].items(), key=lambda item: item[1]):
            print(f"  {contender:16}{ratio:6.2f}")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
