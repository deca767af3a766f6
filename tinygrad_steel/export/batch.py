"""Which axis of a value counts the rows of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..program.messages import call_of
from ..program.values import Apply, Program, Value, compute, inputs_of


def batch_axes(
    program: Program,
    fed: Sequence[Value],
    arrays: Mapping[Value, Any],
    names: Mapping[Value, str],
    is_normed: bool = False,
) -> dict[Value, int | None]:
    """Which axis of each value counts the rows of a batch, found by computing everything for another number of rows.

    Raises ValueError, with the op, where that fails, or where the rows are not one axis of the result. `is_normed`: the
    means may be those of a `batch_norm`, which nobody wrote as a mean.
    """
    rows = next((x.shape[0] for x in fed if x.shape), 0)
    more = 2 * rows + 3
    axes: dict[Value, int | None] = {}
    longer: dict[Value, Any] = {}  # the arrays for that number
    for x in program.leaves:
        is_batch = x in fed and x.shape[:1] == (rows,)
        axes[x] = 0 if is_batch else None
        longer[x] = np.resize(arrays[x], (more, *x.shape[1:])) if is_batch else arrays[x]
    for y in program.applies:
        known = {axes.get(x) for x in y.values()}
        cause: Exception | None = None
        try:
            found = longer[y] = compute(for_any_rows(y, known, rows), inputs_of(y, longer))
            axes[y] = batch_axis(y, found.shape, known, rows, more)
        except Exception as error:  # it does not work for other rows: the reason is shown below
            cause = error
        if y not in axes:
            way = "keep the rows apart (-1 is their number in a reshape)"
            if is_normed and y.op is ops.mean:
                way = "of batch_norm, write normalize with the statistics that update_running has kept"
            raise ValueError(
                f"{call_of(y, names)} takes the rows of a batch together, or needs as many as were traced, and "
                f"may be wrong for other batches: {way}, or export for batches of {rows} alone, with batch=None"
            ) from (cause if not isinstance(cause, RowsTogether) else None)
    return axes


class RowsTogether(Exception):
    """The rows of a batch are not one axis of a result."""


def for_any_rows(y: Apply, known: set[int | None], rows: int) -> Apply:
    """A reshape that leaves each row its elements takes any number of rows; everything else is as it is."""
    if y.op is ops.reshape and known == {0} and y.shape[:1] == (rows,) != (1,):
        return dataclasses.replace(y, params={"shape": (-1, *y.shape[1:])})
    return y


def batch_axis(
    y: Apply, shape: tuple[int, ...], known: set[int | None], rows: int, more: int
) -> int | None:
    """The axis that has grown with the number of rows; None where none has, RowsTogether where it is not one axis."""
    changed = [(i, n) for i, (m, n) in enumerate(zip(y.shape, shape, strict=True)) if m != n]
    if not changed:
        if known <= {None}:
            return None
        raise RowsTogether
    axis, length = changed[0]
    # Elsewhere in a reshape, one number may be that of the rows or another.
    elsewhere = y.op is ops.reshape and not (known == {0} and axis == 0)
    if len(changed) > 1 or length != more or y.shape[axis] != rows or elsewhere:
        raise RowsTogether
    return axis
