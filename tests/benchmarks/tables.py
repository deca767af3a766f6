"""The figures in print: lines of a terminal, tables of the documents, and beside older ones."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from columns import BY_NAME, CLEAN, COLUMNS
from figures import COLUMN_OF_BACKEND, Figures, Row
from rows import SHORT, SHORT_COLUMNS, TABLE

LIMIT, AUTO = "limit", "auto"
ROW, MICROSECONDS = "clean NumPy = 1", "\N{MICRO SIGN}s"  # titles of the first columns
FULL_PAGE, FIRST_PAGES = Path("tests", "benchmarks", "README.md"), ("README.md", "README.ko.md")
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


# In the documents


def table(figures: Figures) -> list[dict[str, str]]:
    """Rows of cells, by the titles of their columns; the best of each row is bold, the limit is no contender."""
    measured = {name for row in figures.rows.values() for name in row.seconds}
    columns = [c for c in COLUMNS if c.in_table and c.name in measured and c.name != CLEAN]
    fresh = any(row.fresh.get("epoch") for row in figures.rows.values())
    lines = []
    for name, title in TABLE.items():
        if name in figures.rows:
            row, ratios = figures.rows[name], figures.ratios(name)
            best = min((ratios[c.name] for c in columns if c.name in ratios), default=None)
            cells = {ROW: title, MICROSECONDS: f"{row.seconds[CLEAN] * 1e6:,.0f}"}
            for column in columns:
                ratio = ratios.get(column.name)
                cells[column.title] = f"**{number(ratio)}**" if ratio == best else number(ratio)
            cells["the limit"] = number(ratios[LIMIT])
            if fresh:
                cells["cold, s"], cells["warm, s"] = fresh_cells(row, "epoch")[:2]
            lines.append(cells)
    return lines


def short(lines: list[dict[str, str]]) -> list[dict[str, str]]:
    """Of the table, the rows and columns that the first page shows."""
    rows = {TABLE[name] for name in SHORT}
    columns = {ROW, MICROSECONDS, *(BY_NAME[name].title for name in SHORT_COLUMNS)}
    chosen = [line for line in lines if line[ROW] in rows]
    return [{title: cell for title, cell in line.items() if title in columns} for line in chosen]


def markdown(lines: list[dict[str, str]]) -> str:
    """A table in Markdown."""
    titles = [*lines[0]] if lines else [ROW]
    rows: list[Sequence[str]] = [titles, ["---"] * len(titles), *([*x.values()] for x in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def machine(figures: Figures) -> str:
    """The machine in a sentence, in lines as long as those of the documents."""
    return textwrap.fill("; ".join(figures.machine) + ".", 124, break_long_words=False)


def replaced(text: str, mark: str, new: str) -> str:
    """A text with this between its two markers; ValueError where it has none."""
    begin = BEGIN.format(mark)
    head, found, rest = text.partition(begin + "\n")
    _, end, tail = rest.partition(END)
    if not (found and end):
        raise ValueError(f"the file is to have a line {begin!r}, and behind it a line {END!r}")
    return f"{head}{begin}\n{new}\n{END}{tail}"


def write_into(file: Path, tables: dict[str, str]) -> None:
    """What belongs between the markers of a file, by their names."""
    text = file.read_text(encoding="utf-8")
    for mark, new in tables.items():
        text = replaced(text, mark, new)
    file.write_text(text, encoding="utf-8")


def write_all(project: Path, one: Figures, every: Figures | None) -> None:
    """The full tables into the benchmark's own page, the short one into the first page in each language."""
    measured = {"one core": one} | ({"all cores": every} if every is not None else {})
    full = {mark: f"{markdown(table(f))}\n\n{machine(f)}" for mark, f in measured.items()}
    write_into(project / FULL_PAGE, full)
    for page in FIRST_PAGES:
        write_into(project / page, {"short": markdown(short(table(one)))})
