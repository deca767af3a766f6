"""The code of a notebook's cell, run as text: its lines are found by tracebacks and reports."""

from __future__ import annotations

import ast
import itertools
import linecache
import warnings
from collections import deque
from typing import Any

from ..engine.line import tree_of
from ..engine.places import cell_of

# The cells whose lines are kept for tracebacks, as many as this, and the numbers in their names.
CELLS: deque[str] = deque()
MOST_CELLS = 16
NUMBERS = itertools.count(1)
FOR_THE_SHELL = ("%", "!", "?")  # with which a line begins that is for the notebook, and no Python
AROUND_PYTHON = ("capture", "prun", "time", "timeit")  # %%time: it runs the lines below it


def refuse_path(text: str) -> None:
    """ValueError for the name of a file in place of its code."""
    if len(text.split()) == 1 and text.strip().endswith((".py", ".ipynb")):
        raise ValueError(
            f"backprop={text!r} is the name of a file, and not code: import a function from it and "
            f"hand that over, or the text, as in backprop=open({text!r}).read()"
        )


def run_cell(source: str, namespace: dict[str, Any]) -> None:
    """Run the code of a cell; a traceback, and a report, find its lines."""
    body = below_magic(source)
    if body:
        file, text = file_of_body(source, without_shell(body))
    else:
        file, text = file_of_cell(without_shell(source))
    namespace.setdefault("__name__", "__main__")
    exec(compile(text, file, "exec"), namespace)


def below_magic(source: str) -> str:
    """The lines below `%%time`, with an empty one in its place; empty for any other cell.

    A notebook keeps such a cell, in `In`, as one call that has these lines as a text.
    """
    tree = tree_of(source)
    match tree and tree.body:
        case [ast.Expr(ast.Call(ast.Attribute(attr="run_cell_magic"), [magic, _, lines]))]:
            if getattr(magic, "value", None) in AROUND_PYTHON:
                return f"\n{ast.literal_eval(lines)}"
    return ""


def without_shell(source: str) -> str:
    """A cell without the lines that are for the notebook, such as `%matplotlib inline` and
    `!pip install`: empty ones stand in their place. Only where Python stops at a line is it one.
    """
    lines = source.splitlines(keepends=True)
    for _ in lines:
        try:
            with warnings.catch_warnings(action="ignore"):
                compile("".join(lines), "<cell>", "exec")
        except SyntaxError as error:
            n = (error.lineno or 0) - 1
            if not (0 <= n < len(lines) and lines[n].lstrip().startswith(FOR_THE_SHELL)):
                break
            indent = lines[n][: len(lines[n]) - len(lines[n].lstrip())]
            lines[n] = f"{indent}pass\n" if indent else "\n"
        else:
            break
    return "".join(lines)


def file_of_cell(source: str) -> tuple[str, str]:
    """The name under which Python knows the lines of a cell, and its text there; a new name where
    it does not.
    """
    text = source.strip()
    for file, entry in [*linecache.cache.items()]:
        known = "".join(entry[2]) if len(entry) == 4 else ""
        if text and known.strip() == text:
            return file, known
    file = f"<cell {next(NUMBERS)}>"
    keep_lines(file, source)
    return file, source


def file_of_body(source: str, body: str) -> tuple[str, str]:
    """The same for what stands below a magic: a name of its own, with the number of the cell."""
    file, _ = file_of_cell(source)
    file = f"<{cell_of(file) or file.strip('<>')}>"
    keep_lines(file, body)
    return file, body


def keep_lines(file: str, source: str) -> None:
    """Let tracebacks and reports find these lines, until some cells later."""
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    CELLS.append(file)
    if len(CELLS) > MOST_CELLS:
        linecache.cache.pop(CELLS.popleft(), None)
