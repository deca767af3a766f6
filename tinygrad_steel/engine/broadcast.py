"""BroadcastWarning: a column and a row silently become a square, the commonest slip in a loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops.op import OPS, Op
from .history import history
from .messages import warn_user
from .reads import is_constant

VIEWS = {ops.getitem, *(op for op in OPS.values() if op.moves)}


class BroadcastWarning(UserWarning):
    """An elementwise op has met (N, 1) and (N,), and broadcasting has made (N, N) of them.

    In a loss such as `np.mean(np.square(output - y))` that compares each row with each other row.
    It comes once for each place in the code, and not where it is meant: where the (N, 1) operand is
    a 1-D array that was given an axis (`x[:, None] - x`), or both come from the very same data.
    `warnings.simplefilter("ignore", BroadcastWarning)` silences it.

    Examples
    --------
    >>> import warnings
    >>> from tinygrad_steel import BroadcastWarning, Tensor
    >>> output, y = Tensor([[1.0], [2.0]]), Tensor([1.0, 2.0])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     difference = output - y
    >>> difference.shape, caught[0].category.__name__
    ((2, 2), 'BroadcastWarning')
    >>> (output - y.reshape(-1, 1)).shape  # what was meant
    (2, 1)
    """


def warn_of_square(op: Op, inputs: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    """Warn of a square of a column and a row, unless the column was made on purpose."""
    n = shape[0]
    rows = [x for x in inputs if np.shape(x) == (n,)]
    columns = [x for x in inputs if np.shape(x) == (n, 1) and not was_given_axis(x)]
    if not rows or not columns or of_the_same(rows[0], columns[0]):
        return
    column, row = called(columns[0]), called(rows[0])
    text = (
        f"{op.name} of {column} (N, 1) and {row} (N,) gives (N, N): each element of one meets all "
        f"of the other. Where one number for each row is meant, give the second the shape of the "
        f"first by .reshape(-1, 1); where all pairs are meant, write the first as a row that is "
        f"given an axis, .reshape(-1)[:, None]"
    )
    warn_user(text, BroadcastWarning)


def was_given_axis(x: Any) -> bool:
    """Whether a column is a 1-D array that was given an axis, as `x[:, None]` does."""
    if isinstance(x, np.ndarray):
        # A new axis has stride 0; behind that of a reshape there is a 1-D array.
        return x.strides[-1] == 0 or (x.base is not None and np.ndim(x.base) == 1)
    while getattr(x, "_op", None) in VIEWS:
        x = x._inputs[0]
        if x.ndim == 1:
            return True
    return getattr(x, "_given_axis", False)


def of_the_same(a: Any, b: Any) -> bool:
    """Whether two operands were computed from the very same leaves, as pairwise distances are."""
    if not (hasattr(a, "_op") and hasattr(b, "_op")):
        return False
    leaves = sources(a)
    return bool(leaves) and leaves == sources(b)


def sources(t: Any) -> set[Any]:
    """The leaves that a Tensor was computed from, but for constants."""
    return {x for x in history([t]) if x._op is None and not is_constant(x)}


def called(x: Any) -> str:
    """An operand as a reader knows it."""
    if getattr(x, "_name", None):
        return str(x._name)
    if getattr(x, "_op", None):
        return f"the result of {x._op.name}"
    return "an array"
