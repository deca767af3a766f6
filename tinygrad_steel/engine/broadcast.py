"""BroadcastWarning: a column and a row of one length that silently become a square, the commonest slip in a loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops.op import OPS, Op
from .backward import history
from .messages import warn_user

VIEWS = {ops.getitem, *(op for op in OPS.values() if op.moves)}


class BroadcastWarning(UserWarning):
    """An elementwise op has met (N, 1) and (N,), and NumPy's broadcasting has made (N, N) of them.

    In a loss such as `np.mean(np.square(output - y))` that compares each row with each other row. It comes once for
    each place in the code, and not where one does so on purpose: where the (N, 1) operand is a 1-D array that was given
    an axis (`x[:, None] - x`), or both come from the very same data (squared lengths as a column and as a row). To
    silence it: `warnings.simplefilter("ignore", BroadcastWarning)`.
    """


def warn_of_square(op: Op, inputs: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    """Warn where an elementwise op has made a square of a column and a row, unless the column was made on purpose."""
    n = shape[0]
    row = next((x for x in inputs if np.shape(x) == (n,)), None)
    column = next((x for x in inputs if np.shape(x) == (n, 1) and not was_given_axis(x)), None)
    if row is None or column is None or of_the_same(row, column):
        return
    names = [called(x) for x in (column, row)]
    text = (
        f"{op.name} of {names[0]} (N, 1) and {names[1]} (N,) gives (N, N): each element of one meets all of the other. "
        f"Where one number for each row is meant, give the second the shape of the first by .reshape(-1, 1); "
        f"where all pairs are meant, write the first as a row that is given an axis, .reshape(-1)[:, None]"
    )
    warn_user(text, BroadcastWarning)


def was_given_axis(x: Any) -> bool:
    """Whether a column is a 1-D array that was given an axis, as `x[:, None]` does."""
    if isinstance(
        x, np.ndarray
    ):  # a new axis has stride 0, that of a reshape has a 1-D array behind it
        return x.strides[-1] == 0 or (x.base is not None and np.ndim(x.base) == 1)
    while getattr(x, "_op", None) in VIEWS:
        x = x._inputs[0]
        if x.ndim == 1:
            return True
    return getattr(x, "given_axis", False)


def of_the_same(row: Any, column: Any) -> bool:
    """Whether two operands were computed from the very same leaves, but for constants, as pairwise distances are."""
    if not (hasattr(row, "_op") and hasattr(column, "_op")):
        return False
    first, second = (
        {id(x) for x in history([t]) if x._op is None and (x._requires_grad or x._name is not None)}
        for t in (row, column)
    )
    return first == second != set()


def called(x: Any) -> str:
    """An operand as a reader knows it."""
    if getattr(x, "_name", None):
        return x._name
    return f"the result of {x._op.name}" if getattr(x, "_op", None) else "an array"
