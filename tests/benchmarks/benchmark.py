"""How long a training step takes, as a multiple of the same step written by hand in clean NumPy.

    python tests/benchmarks/benchmark.py                                  the rows of the tables, in some minutes
    python tests/benchmarks/benchmark.py --quick                          equality of all, and a rough answer
    python tests/benchmarks/benchmark.py --readme                         all rows; the documents' tables and plot
    python tests/benchmarks/benchmark.py --only width64 --columns epoch   a part

The process pins itself to one core and cleans its environment. Every contender's losses, gradients and parameters are
verified against the clean step first, over some steps; then all run in turn, round after round, and the ratios of their
medians are printed: absolute times vary from machine to machine and from minute to minute, ratios much less.
`rows.py` says what is timed, `columns.py` who takes part.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import machine

PROJECT = Path(__file__).parents[2]


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = found.add_argument
    how_much = found.add_mutually_exclusive_group()
    how_much.add_argument("--quick", action="store_true", help="a rough answer, in 40 seconds")
    how_much.add_argument("--full", action="store_true", help="all rows, longer; fresh processes")
    add("--only", metavar="ROW", nargs="+", help="these rows")
    add("--columns", metavar="COLUMN", nargs="+", help="these columns, beside clean NumPy")
    add("--fresh", action="store_true", help="seconds to compile, and memory, in fresh processes")
    add("--cores", choices=["one", "all"], default="one", help="how many may be used")
    add("--cpu", metavar="NAME", help="numba compiles for this processor, such as haswell")
    add("--json", metavar="FILE", help="write all figures here")
    add("--plot", metavar="FILE", help="draw how cost grows (needs matplotlib, and rows of sweeps)")
    add("--compare", metavar="FILE", help="beside the figures of an earlier --json")
    add(
        "--readme",
        nargs="?",
        metavar="FOLDER",
        const=str(PROJECT),
        help="--full on one core, a part on all; tables and plot into the project's documents",
    )
    add("--choose", action="store_true", help='CSV of the figures behind "auto"')
    return found


def on_all_cores(options: argparse.Namespace, file: Path) -> Path:
    """The figures of the rows that several cores may share, from a process of its own."""
    command = [sys.executable, __file__, "--cores", "all", "--json", str(file)]
    for name in ("only", "columns"):
        given = getattr(options, name)
        command += [f"--{name}", *given] if given else []
    subprocess.run(command, check=True)
    return file


def main() -> None:
    options = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # First, as this process will stay on one core, and so would those that it starts
        every = on_all_cores(options, Path(folder) / "all.json") if options.readme else None
        run(options, every)


def run(options: argparse.Namespace, every: Path | None) -> None:
    # A look at equality is no time for another kernel of BLAS than the system's owner has chosen
    keep = machine.KERNEL_OF_BLAS if options.quick else ()
    done = machine.prepare(options.cores, options.cpu, keep)

    import session  # NumPy loads here

    if options.choose:
        import choose

        choose.main(options.only)
        return
    figures = session.run(options, done)
    session.hand_over(options, figures, every)


if __name__ == "__main__":
    main()
