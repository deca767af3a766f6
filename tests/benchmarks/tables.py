"""The figures in print: lines of a terminal, tables of the README, and beside older ones."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator
from pathlib import Path

from columns import BY_NAME, CLEAN, COLUMNS
from figures import COLUMN_OF_BACKEND, Figures, Row
from rows import README

LIMIT, AUTO = "limit", "auto"
BEGIN, END = "<!-- benchmark: {} -->", "<!-- benchmark: end -->"
WIDTH = 10


def number(ratio: float | None) -> str:
    """Two or three digits that say something."""
    if ratio is None:
        return ""
    digits = next((d for bound, d in ((0.01, 4), (0.1, 3), (10, 2)) if ratio < bound), 0)
    return f"{ratio:.{digits}f}"


# In a terminal, line by line as they are measured


def header(names: Collection[str], fresh: Collection[str]) -> str:
    """The columns' names in two lines, as some are of two words."""
    titles = [BY_NAME[n].name for n in names] + [AUTO, LIMIT, "GFLOP/s"]
    for name in fresh:
        titles += [f"{name} cold", "warm", "MiB"]
    words = [title.rpartition(" ") if " " in title else title.rpartition("-") for title in titles]
    first = "".join(f"{before:>{WIDTH}}" for before, _, _ in words)
    second = "".join(f"{last:>{WIDTH}}" for _, _, last in words)
    return f"{'':20}{'clean us':>{WIDTH}}{first}\n{'':20}{'':{WIDTH}}{second}"


def line(figures: Figures, name: str, names: Collection[str], fresh: Collection[str]) -> str:
    """A row of the terminal's table."""
    row, ratios = figures.rows[name], figures.ratios(name)
    auto = COLUMN_OF_BACKEND.get(row.auto, row.auto)
    cells = [f"{row.seconds[CLEAN] * 1e6:.1f}", *(number(ratios.get(n)) for n in names)]
    cells += [auto, number(ratios[LIMIT]), f"{rate(row):.1f}"]
    for column in fresh:
        cells += fresh_cells(row, column)
    return f"{name:20}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)


def rate(row: Row) -> float:
    """GFLOP/s that the fastest of our ways reaches in its products."""
    best = min(s for name, s in row.seconds.items() if not BY_NAME[name].peer)
    return row.flops / best / 1e9


def fresh_cells(row: Row, column: str) -> list[str]:
    """Seconds cold and warm, and MiB."""
    found = row.fresh.get(column)
    if found is None:
        return ["", "", ""]
    memory = "" if found.memory is None else f"{found.memory:.0f}"
    return [f"{found.cold:.2f}", f"{found.warm:.2f}", memory]


# Beside older figures


def beside(new: Figures, old: Figures) -> Iterator[str]:
    """How the ratios to clean NumPy have changed: below 1 it has become faster."""
    measured = {name for row in new.rows.values() for name in row.seconds}
    names = [c.name for c in COLUMNS if c.name in measured - {CLEAN}]
    yield "new ratio by old ratio: below 1 it has become faster"
    yield f"{'':20}" + "".join(f"{name:>{WIDTH + 4}}" for name in names)
    for row in new.rows:
        if row in old.rows:
            now, then = new.ratios(row), old.ratios(row)
            both = [f"{now[n] / then[n]:.2f}" if n in now and n in then else "" for n in names]
            yield f"{row:20}" + "".join(f"{cell:>{WIDTH + 4}}" for cell in both)


# In the README


def markdown(figures: Figures) -> str:
    """The README's rows and columns; the best of each row is bold, the limit is no contender."""
    measured = {name for row in figures.rows.values() for name in row.seconds}
    columns = [c for c in COLUMNS if c.readme and c.name in measured]
    fresh = any(row.fresh.get("epoch") for row in figures.rows.values())
    titles = [
        "clean NumPy = 1",
        "\N{MICRO SIGN}s",
        *(c.title for c in columns if c.name != CLEAN),
        "the limit",
    ]
    titles += ["cold, s", "warm, s"] if fresh else []
    lines = ["| " + " | ".join(titles) + " |", "| " + " | ".join(["---"] * len(titles)) + " |"]
    for name, title in README.items():
        if name in figures.rows:
            row, ratios = figures.rows[name], figures.ratios(name)
            of_columns = {c.name: ratios.get(c.name) for c in columns if c.name != CLEAN}
            best = min((r for r in of_columns.values() if r is not None), default=None)
            cells = [title, f"{row.seconds[CLEAN] * 1e6:,.0f}"]
            cells += [f"**{number(r)}**" if r == best else number(r) for r in of_columns.values()]
            cells += [number(ratios[LIMIT]), *(fresh_cells(row, "epoch")[:2] if fresh else [])]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine(figures: Figures) -> str:
    """The machine in a sentence, in lines as long as the README's."""
    return textwrap.fill("; ".join(figures.machine) + ".", 124, break_long_words=False)


def replaced(text: str, mark: str, new: str) -> str:
    """A text with this between its two markers; ValueError where it has none."""
    begin = BEGIN.format(mark)
    head, found, rest = text.partition(begin + "\n")
    _, end, tail = rest.partition(END)
    if not (found and end):
        raise ValueError(f"the file is to have a line {begin!r}, and behind it a line {END!r}")
    return f"{head}{begin}\n{new}\n{END}{tail}"


def write_into(file: Path, one: Figures, every: Figures | None) -> None:
    """The tables into a file with markers, "one core" and "all cores"."""
    text = file.read_text(encoding="utf-8")
    for mark, figures in (("one core", one), ("all cores", every)):
        if figures is not None:
            text = replaced(text, mark, f"{markdown(figures)}\n\n{machine(figures)}")
    file.write_text(text, encoding="utf-8")
