"""Reductions of long rows: calls of the vector code that takes in several elements at once."""

from __future__ import annotations

import math

from .. import ops
from ..ops.op import Op
from ..program.values import Apply
from .indices import elements_read, folded_axes, indented
from .lowered import REDUCTIONS
from .memory import Block

LONG = 16  # elements of a row, from which on it pays
CALLS: dict[Op | None, str] = {
    ops.sum: "sum_of",
    ops.mean: "sum_of",
    ops.max: "max_of",
    ops.min: "min_of",
}


def is_long_fold(value: Apply) -> bool:
    """Whether it is a reduction of long rows that lie one behind the other in the block."""
    if value.op not in REDUCTIONS or value.op not in CALLS:
        return False
    (x,) = value.inputs
    ((_, own_place),) = elements_read(value)
    kept, row = rows_of(value)
    return (
        own_place and x.dtype == value.dtype and x.dtype.kind == "f" and row >= LONG and kept >= 0
    )


def rows_of(value: Apply) -> tuple[int, int]:
    """How many rows there are and how long they are; -1 and 0 where other axes than the last ones
    are taken in.
    """
    shape = value.inputs[0].shape
    axes = folded_axes(value)
    first = len(shape) - len(axes)
    if axes != tuple(range(first, len(shape))):
        return -1, 0
    return math.prod(shape[:first]), math.prod(shape[first:])


def long_fold_lines(value: Apply, block: Block) -> list[str]:
    """A call for each row."""
    rows, row = rows_of(value)
    ((base, _),) = elements_read(value)
    step, place = (f" + i0 * {row}", " + i0") if rows != 1 else ("", "")
    end = f" / {row}" if value.op is ops.mean else ""
    call = f"{CALLS[value.op]}(m, @{block.places[base]}{step}, {row}){end}"
    line = f"m[@{block.places[value]}{place}] = {call}"
    return [f"for i0 in range({rows}):", *indented([line], 1)] if rows != 1 else [line]
