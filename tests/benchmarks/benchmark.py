"""How long a training step takes, as a multiple of the same step written by hand in clean NumPy.

    python tests/benchmarks/benchmark.py [--quick] [--peers] [--sweeps] [--only NAME ...] [--json FILE] [--plot FILE]

Every contender's loss and gradients are verified against the clean step first. Then all of them run in turn, round
after round, in one process and one thread, and the medians of the rounds' ratios are printed: absolute times vary from
machine to machine and from minute to minute, ratios within a round much less.
"""

from __future__ import annotations

# ruff: noqa: E402 (the threads are set before NumPy is imported, or it is too late)
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

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

import peers
from networks import NETWORKS
from workloads import RATE, SWEEPS, WORKLOADS, Workload


def contenders(workload: Workload, with_peers: bool) -> dict[str, Callable]:
    """Everyone who takes part."""
    return workload.contenders() | (peers.contenders(workload) if with_peers else {})


def verify(workload: Workload, found: dict[str, Callable]) -> None:
    """Run every contender once, from the same parameters; AssertionError where one computes something else."""
    loss, *gradients = found["clean NumPy"]()
    moved = [p - RATE * g for p, g in zip(workload.start, gradients)]
    for name, step in found.items():
        if name == "clean NumPy":
            continue
        several = hasattr(step, "one")  # then the parameters are compared, which have made the step
        values = step.one() if several else step()
        for value, right in zip(values, [loss, *(moved if several else gradients)], strict=True):
            # the book's epsilon shows in the tenth digit; peers are to compute in float64, too
            np.testing.assert_allclose(
                np.asarray(value), right, rtol=1e-8, atol=1e-12, err_msg=name
            )


def measure(found: dict[str, Callable], rounds: int, seconds: float) -> dict[str, float]:
    """The median over `rounds` of each contender's time per step, as a ratio to clean NumPy in the same round."""
    repeats, budget = {}, seconds / rounds / len(found)
    for name, step in found.items():
        step()
        start = time.perf_counter()
        step()
        repeats[name] = max(1, int(budget / (time.perf_counter() - start)))
    ratios: dict[str, list[float]] = {name: [] for name in found}
    gc.collect()
    gc.disable()  # a collection would fall on whichever contender happens to run
    for _ in range(rounds):
        times = {}
        for name, step in found.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                step()
            times[name] = (time.perf_counter() - start) / repeats[name] / getattr(step, "count", 1)
        for name, t in times.items():
            ratios[name].append(t / times["clean NumPy"])
    gc.enable()
    return {name: statistics.median(r) for name, r in ratios.items()}


def run(
    title: str,
    make: Callable[[], Workload],
    options: argparse.Namespace,
    rounds: int,
    seconds: float,
) -> dict:
    """Verify, measure and print one workload."""
    verify(make(), contenders(make(), options.peers))
    found = measure(contenders(make(), options.peers), rounds, seconds)
    print(f"\n{title}: time of a step, clean NumPy = 1")
    for contender, ratio in sorted(found.items(), key=lambda item: item[1]):
        print(f"  {contender:18}{ratio:8.3f}")
    return found


def plot(sweeps: dict[str, dict[int, dict[str, float]]], file: str) -> None:
    """How cost grows, one panel for each sweep."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        1, len(sweeps), figsize=(5 * len(sweeps), 4), sharey=True, squeeze=False
    )
    for panel, (name, values) in zip(panels[0], sweeps.items()):
        for contender in next(iter(values.values())):
            panel.loglog(
                [*values],
                [found[contender] for found in values.values()],
                marker="o",
                label=contender,
            )
        panel.set_xlabel(name)
    panels[0][0].set_ylabel("time of a step, clean NumPy = 1")
    panels[0][-1].legend(fontsize=7)
    figure.savefig(file, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a rough answer in less than 40 seconds"
    )
    parser.add_argument(
        "--peers", action="store_true", help="with other libraries, where installed"
    )
    parser.add_argument(
        "--sweeps", action="store_true", help="how cost grows with width, batch and depth"
    )
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", choices=[*WORKLOADS, *NETWORKS], help="these workloads"
    )
    parser.add_argument("--json", metavar="FILE", help="write {workload: {contender: ratio}} here")
    parser.add_argument("--plot", metavar="FILE", help="draw the sweeps (needs matplotlib)")
    options = parser.parse_args()
    rounds, seconds = (9, 1.5) if options.quick else (41, 12.0)
    chosen = {**WORKLOADS, **NETWORKS}
    if options.only:
        chosen = {name: chosen[name] for name in options.only}
    results = {name: run(name, make, options, rounds, seconds) for name, make in chosen.items()}
    if options.sweeps or options.plot:
        sweeps = {
            name: {
                n: run(f"mlp of {name} {n}", make, options, 9, 2.0) for n, make in values.items()
            }
            for name, values in SWEEPS.items()
        }
        results |= {
            f"{name} {n}": found for name, values in sweeps.items() for n, found in values.items()
        }
        if options.plot:
            plot(sweeps, options.plot)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
