"""What can be wrong with a tutorial: each function finds faults of one kind, a line or a few of words for each."""

from __future__ import annotations

import html
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
WORDS_OF_SVG = re.compile(r"<text[^>]*>([^<]*)</text>")
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


def drawn(cell: NotebookNode) -> str:
    """All words in a cell's pictures, one a line, in an order that says nothing of where they lie."""
    svgs = (output.get("data", {}).get("image/svg+xml", "") for output in cell.outputs)
    texts = (text for svg in svgs for text in WORDS_OF_SVG.findall(svg))
    return "\n".join(sorted(word for text in texts for word in html.unescape(text).split()))


def changed(kept: NotebookNode, done: NotebookNode) -> Iterator[str]:
    """Where a run prints something else than what stands under the cells."""
    for number, (cell, new) in enumerate(zip(*map(notebooks.code, (kept, done)), strict=True), 1):
        if VARIES in cell.metadata.get("tags", []):
            continue
        for before, after in zip_longest(printed(cell), printed(new), fillvalue=(["nothing"], "")):
            if what := difference(before, after):
                yield f"{title(number, cell)} {what}"
        pictures = [(["picture"], drawn(cell)), (["picture"], drawn(new))]
        if what := difference(*pictures):
            yield f"{title(number, cell)} in its picture {what}"


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
    """Within a thousandth, or one of the last digit of three and more, or two where these are half a percent at most.

    Counts, which have no point, and numbers of one or two digits are the same or they are not. Both
    nearly nothing (1e-12) is the same.
    """
    if text.isdecimal() and other.isdecimal():
        return text == other
    digits, size = text.partition("e")[0], abs(float(other))
    last = 10.0 ** -len(digits.partition(".")[2]) * ("." in digits and "e" not in text)
    one = last * (len(re.sub(r"\D", "", digits).lstrip("0")) >= 3)
    apart = abs(float(text) - float(other))
    return apart <= 1.001 * max(one, min(2 * last, 5e-3 * size), 1e-3 * size, 1e-12)


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


IN_PROSE = re.compile(r"(?<![\d.,/])(?:\d+\.\d+|\d{1,3}(?:,\d{3})+)(?!\d|\.\d)")


def shown_by(notebook: NotebookNode) -> list[str]:
    """The texts of all cells of code and of what is below them."""
    cells = notebooks.code(notebook)
    found = [text for cell in cells for output in cell.outputs for text in texts(output)]
    return [*(cell.source for cell in cells), *found]


def unquoted(notebook: NotebookNode) -> Iterator[str]:
    """What a block of text in prose quotes, in columns below a head, and neither code nor output has."""
    shown = "\n".join(shown_by(notebook))
    for cell in notebook.cells:
        blocks = re.findall(r"```text\n[^\n]*\n(.*?)```", cell.source, re.DOTALL)
        for line in "".join(blocks).splitlines() if cell.cell_type == "markdown" else ():
            yield from (f"nothing says {x!r}" for x in re.split(r"\s{2,}", line) if x not in shown)


def unshown(notebook: NotebookNode, *others: str) -> Iterator[str]:
    """Figures in prose that stand in no cell and no output, exactly or with more digits, and in no other text."""
    shown = [*others, *shown_by(notebook)]
    known = [float(number) for text in shown for number in re.findall(r"\d+\.?\d*", text)]
    for cell in notebook.cells:
        prose = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
        for figure in IN_PROSE.findall(prose) if cell.cell_type == "markdown" else ():
            decimals, wanted = len(figure.partition(".")[2]), float(figure.replace(",", ""))
            if not any(round(number, decimals) == wanted for number in known):
                yield f"{figure} stands in prose, and nowhere else: {cell.source[:60]!r}"


def words(notebook: NotebookNode) -> int:
    """How many words there are to read, code and printed lines included; not those that stand for a picture."""
    read = [cell.source for cell in notebook.cells]
    for cell in notebooks.code(notebook):
        read += [text for forms, text in printed(cell) if "image/svg+xml" not in forms]
    return sum(len(text.split()) for text in read)
