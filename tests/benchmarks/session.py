"""A run of the benchmark: which rows and columns, how much effort, and where the figures go."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

import fresh
import machine
import ours
import plot
import tables
from columns import BY_NAME, CLEAN, COLUMNS, taking_part
from figures import Figures, Fresh, Row, load
from measure import Effort, agreeing, measure
from peak import method, peak
from rows import ALL_CORES, QUICK, ROWS, TABLE

PICTURE = Path("examples", "pictures", "speed.png")  # from the project's folder
EFFORTS = {"quick": Effort(5, 0.05), "usual": Effort(15, 0.75), "full": Effort(25, 1.2)}


def run(options: argparse.Namespace, done: list[str]) -> Figures:
    """Verify and measure what was asked for, printing each row as it is ready."""
    full = options.full or options.readme
    effort = EFFORTS["full" if full else "quick" if options.quick else "usual"]
    effort = effort._replace(rest=0.1 if options.cores == "all" else 0.0)
    rows = known(options.only, ROWS, "row") or default_rows(options)
    names = known(options.columns, BY_NAME, "column") or default_columns(options)
    figures = begun(options.cores, done)
    found = {c.name for row in rows for c in taking_part(ROWS[row](), names)} - {CLEAN}
    columns = [name for name in BY_NAME if name in found]
    in_fresh = [c for c in fresh.COLUMNS if c in columns and (options.fresh or full)]
    print(f"\ntime of a step, clean NumPy = 1\n{tables.header(columns, in_fresh)}")
    for row in rows:
        figures.rows[row] = measured(row, columns, effort)
        for column in in_fresh if row in TABLE else ():
            figures.rows[row].fresh[column] = Fresh(**fresh.of(row, column))
        print(tables.line(figures, row, columns, in_fresh), flush=True)
        if options.json:  # at once: a later row may fail
            figures.save(options.json)
    return figures


def begun(cores: str, done: list[str]) -> Figures:
    """The machine described, its peak measured."""
    peaks = {dtype: peak(dtype) for dtype in ("float64", "float32")}
    said = ", ".join(f"{rate:.1f} GFLOP/s in {dtype}" for dtype, rate in peaks.items())
    lines = [*machine.described(), f"peak of a core, by {method()}: {said}", *done]
    print(*lines, sep="\n")
    return Figures(lines, peaks, 1 if cores == "one" else machine.usable_cores())


def default_rows(options: argparse.Namespace) -> list[str]:
    if options.cores == "all":
        return [*ALL_CORES]
    if options.full or options.readme:
        return [*ROWS]
    return [*(QUICK if options.quick else TABLE)]


def default_columns(options: argparse.Namespace) -> list[str]:
    """Everyone; where it is to be quick, without other libraries, which compile long."""
    return [c.name for c in COLUMNS if c.name != CLEAN and not (options.quick and c.peer)]


def known(given: Collection[str] | None, table: Collection[str], what: str) -> list[str]:
    """The names given; SystemExit with all there are for one that is not known."""
    unknown = {*(given or ())} - {*table}
    if unknown:
        raise SystemExit(f"no {what} {', '.join(sorted(unknown))}: there are {', '.join(table)}")
    return [*(given or ())]


def measured(name: str, columns: Collection[str], effort: Effort) -> Row:
    """One row."""
    workload = ROWS[name]()
    contenders = agreeing(workload, taking_part(workload, columns))
    seconds = measure(workload, contenders, effort)
    return Row(seconds, workload.flops, workload.dtype.name, ours.chosen(workload))


def hand_over(options: argparse.Namespace, figures: Figures, every: Path | None) -> None:
    """The figures into files, and beside older ones; `every`: the file of those on all cores."""
    if options.compare:
        print("", *tables.beside(figures, load(options.compare)), sep="\n")
    if options.plot:
        plot.draw(figures, options.plot)
    if options.readme:
        project = Path(options.readme)
        tables.write_all(project, figures, load(every) if every else None)
        plot.draw(figures, project / PICTURE)
