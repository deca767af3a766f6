"""A program's loops as a module for several cores: a function does one block of one part.

`part` does that for a step, `gather` for the rows of a mini-batch.
"""

from __future__ import annotations

from typing import Any

from .blocks import MOST, Blocks, range_of_block, ranges
from .indices import indented
from .loop_source import END, IMPORTS, array_type, feed_names, gather, head, own_imports
from .loops import Loops
from .lowered import size

# Each index that may be negative costs a test, and loops their vectors
NOT_NEGATIVE = [f"    block = block & {MOST - 1}  # not negative, as the compiler sees"]


def shared_source(loops: Loops, what: str) -> str:
    """A module with the parts of a program, and for an epoch what gathers its batches."""
    memory = {"m": f"{loops.block.dtype}[::1]"}
    lines = part_function(loops.parts, memory)
    if what == "epoch" and loops.program.feeds:
        lines += gather_function(loops, memory)
    return "\n".join([*IMPORTS, *own_imports("\n".join(lines)), "", *lines])


def part_function(parts: list[Any], memory: dict[str, str]) -> list[str]:
    """One function for all parts, as numba takes long for each; it leaves other threads of Python
    free to run.
    """
    lines = head("part", {"number": "int64", "block": "int64", **memory}, nogil=True)
    lines += NOT_NEGATIVE
    for number, part in enumerate(parts):
        body = part.lines if isinstance(part, Blocks) else part
        if isinstance(body, list):
            lines += [f"    if number == {number}:", *indented(body, 2)]
    return [*lines, *END]


def gather_function(loops: Loops, memory: dict[str, str]) -> list[str]:
    """The rows of mini-batch `s` into the memory."""
    feeds = feed_names(loops.program)
    types = {name: array_type(x) for name, x in feeds.items()}
    count, step = gather_blocks(loops)
    rows = next(iter(feeds.values())).shape[0]
    loop, *body = gather(feeds, loops.block)
    if count > 1:
        loop = f"for i in {range_of_block(rows, step)}:"
    arguments = {"block": "int64", "s": "int64", **types, "order": "int64[::1]", **memory}
    return [
        *head("gather", arguments, nogil=True),
        *NOT_NEGATIVE,
        *indented([loop, *body], 1),
        *END,
    ]


def gather_blocks(loops: Loops) -> tuple[int, int]:
    """Into how many blocks the rows of a mini-batch are cut, and how many rows one has."""
    feeds = loops.program.feeds
    return ranges(feeds[0].shape[0], sum(size(x) // x.shape[0] for x in feeds), 1)
