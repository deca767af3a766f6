"""A function laid out on a page: lines are broken where they are too long."""

from __future__ import annotations

import itertools
import tokenize

from ..program.expressions import WIDTH
from ..program.lines import Function

OPENING, CLOSING = {*"([{"}, {*")]}"}


def function_text(function: Function) -> str:
    """The source of a function."""
    head = f"def {function.name}({', '.join(function.arguments)}):"
    returned = ", ".join(function.returned)
    tail = f"return {returned}"
    if len(tail) > WIDTH:
        tail = f"return ({returned})"
    return "\n    ".join([wrapped(head), *function.lines, wrapped(tail)])


def wrapped(line: str) -> str:
    """A line, broken where it is too long and Python allows it."""
    if len(line) <= WIDTH:
        return line
    lines = [""]
    for start, end in itertools.pairwise([0, *gaps(line), len(line)]):
        part = line[start:end]  # each but the first begins with the space
        if start and len(lines[-1] + part) > WIDTH:
            lines.append(" " * 7)
        lines[-1] += part
    return "\n".join(lines)


def gaps(line: str) -> list[int]:
    """Where the spaces between two tokens inside of brackets are."""
    found, depth, end = [], 0, 0
    for token in tokenize.generate_tokens(iter([line]).__next__):
        if token.start[0] > 1:
            break
        if depth and token.start[1] > end:
            found.append(end)
        if token.type == tokenize.OP:
            depth += (token.string in OPENING) - (token.string in CLOSING)
        end = token.end[1]
    return found
