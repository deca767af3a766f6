"""What can be wrong with a tutorial: each function finds faults of one kind, a line or a few of words for each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import notebooks
from documents import MARKDOWN
from nbformat import NotebookNode

VARIES = "varies"  # the tag of a cell whose output is never the same twice, a time say
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
# What only one machine has, or what went wrong; places like "/5" or "a/b" are none.
UNFIT = {
    "a path of a machine": re.compile(
        r"(?<![\w.:/<])/(?:tmp|root|home|Users|usr|var|work|opt|mnt)/\S*|\b[A-Z]:\\\S*"
    ),
    "a warning": re.compile(r"\w*Warning: .*"),
    "a traceback": re.compile(r"Traceback \(most recent call last\).*"),
    "made-up data": re.compile(r"synthetic stand-in.*"),
    "an address of an object": re.compile(r"\bat 0x[0-9a-f]{6,}.*"),
}


def title(number: int, cell: NotebookNode) -> str:
    """By what a reader finds a cell: its number among those of code, and its first line."""
    return f"cell [{number}] {cell.source.partition(chr(10))[0]!r}"


# Outputs


def printed(cell: NotebookNode) -> Iterator[tuple[list[str], str]]:
    """Of each output what forms it has, and its text."""
    for output in cell.outputs:
        data = output.get("data", {})
        yield [output.output_type, *sorted(data)], output.get("text", data.get("text/plain", ""))


def changed(kept: NotebookNode, done: NotebookNode) -> Iterator[str]:
    """Where a run prints something else than what stands under the cells."""
    for number, (cell, new) in enumerate(zip(*map(notebooks.code, (kept, done)), strict=True), 1):
        if VARIES in cell.metadata.get("tags", []):
            continue
        for before, after in zip_longest(printed(cell), printed(new), fillvalue=(["nothing"], "")):
            if what := difference(before, after):
                yield f"{title(number, cell)} {what}"


def difference(before: tuple[list[str], str], after: tuple[list[str], str]) -> str:
    """In what two outputs differ: in form, or in which line."""
    if before[0] != after[0]:
        return f"now gives {', '.join(after[0])} instead of {', '.join(before[0])}"
    both = zip_longest(before[1].splitlines(), after[1].splitlines())
    for number, (line, other) in enumerate(both, 1):
        if line is None or other is None or not same_text(line, other):
            return f"now prints, in line {number}\n    {other}\ninstead of\n    {line}"
    return ""


def same_text(text: str, other: str) -> bool:
    """The same words, and the same numbers but for their last digits, which are those of a machine.

    So are blanks, which align a column of such numbers.
    """
    text, other = " ".join(text.split()), " ".join(other.split())
    if NUMBER.sub("#", text) != NUMBER.sub("#", other):
        return False
    return all(map(same_number, NUMBER.findall(text), NUMBER.findall(other)))


def same_number(text: str, other: str) -> bool:
    """Within two of the last digit that is printed, or a thousandth; both nearly nothing (1e-12) is the same."""
    decimals = len(text.partition("e")[0].partition(".")[2])
    allowed = 2 * 10**-decimals if decimals and "e" not in text else 0
    apart = abs(float(text) - float(other))
    return apart <= max(allowed, 1e-3 * abs(float(other)), 1e-12)


def unfit(notebook: NotebookNode) -> Iterator[str]:
    """Cells that have not run or have failed, and outputs that nobody else would see, or should."""
    for number, cell in enumerate(notebooks.code(notebook), 1):
        if not cell.execution_count:
            yield f"{title(number, cell)} has not run: python tests/notebooks.py writes its output"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{title(number, cell)} fails; what is to fail is caught, and printed"
            if output.get("name") == "stderr":
                yield f"{title(number, cell)} prints on stderr: {output.text.strip()[:100]}"
            for text in texts(output):
                yield from (f"{title(number, cell)} shows {what}" for what in unfit_words(text))


def texts(output: NotebookNode) -> list[str]:
    """All texts that an output holds: what is printed, its forms (pages and SVGs too), an error's traceback."""
    forms = output.get("data", {}).items()
    found: list[Any] = [output.get("text"), *(form for name, form in forms if name != "image/png")]
    return [text for text in [*found, *output.get("traceback", [])] if isinstance(text, str)]


def unfit_words(text: str) -> Iterator[str]:
    """What stands in a text that does not belong into a tutorial."""
    for what, pattern in UNFIT.items():
        if found := pattern.search(text):
            yield f"{what}: {found[0][:100]}"
    for place in {str(notebooks.PROJECT), str(Path.home()), os.getcwd()} - {"/"}:
        if place in text:
            yield f"a path of this machine: {place}"


# Prose


def apart(english: NotebookNode, other: NotebookNode) -> Iterator[str]:
    """Where a tutorial in another language is not the same tutorial."""
    for number, (cell, twin) in enumerate(zip_longest(english.cells, other.cells)):
        if cell is None or twin is None or cell.cell_type != twin.cell_type:
            yield f"cell {number} of all is {kind(cell)} here, and {kind(twin)} there"
            return
        if cell.cell_type == "markdown" and headings(cell) != headings(twin):
            yield f"cell {number} of all has headings {headings(cell)} here, {headings(twin)} there"
    for number, (cell, twin) in enumerate(zip(*map(notebooks.code, (english, other))), 1):
        if cell.source != twin.source:
            yield f"{title(number, cell)} has other code there: {first_other_line(cell, twin)!r}"
        elif cell.outputs != twin.outputs:
            yield f"{title(number, cell)} has another output: python tests/notebooks.py writes both"


def kind(cell: NotebookNode | None) -> str:
    """What sort of cell this is, if there is one."""
    return "missing" if cell is None else cell.cell_type


def headings(cell: NotebookNode) -> list[str]:
    """The levels of the headings in a cell of prose."""
    return [token.tag for token in MARKDOWN.parse(cell.source) if token.type == "heading_open"]


def first_other_line(cell: NotebookNode, twin: NotebookNode) -> str:
    """The first line of the twin that is not that of the cell."""
    lines = zip_longest(cell.source.splitlines(), twin.source.splitlines(), fillvalue="")
    return next(other for line, other in lines if line != other)


def words(notebook: NotebookNode) -> int:
    """How many words there are to read, code and printed lines included; not those that stand for a picture."""
    read = [cell.source for cell in notebook.cells]
    for cell in notebooks.code(notebook):
        read += [text for forms, text in printed(cell) if "image/svg+xml" not in forms]
    return sum(len(text.split()) for text in read)
