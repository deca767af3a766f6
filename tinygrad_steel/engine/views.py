"""Views: results that share their memory with another array in NumPy, so `+=` on one changes both.

What is refused is what can be seen: an operator in place on a view of what somebody still has, so not
`h = (x @ w).reshape(2, 3); h += b`. That two names stand for one Tensor
cannot: after `b = z`, `z += 1` gives `z` a new Tensor and leaves `b` as it is, and `v -= v.mean()` in a
function leaves the caller's `v`. Write what is meant to be new as a new name, and return it.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import numpy as np

from ..ops.op import describe, is_tensor
from .broadcast import VIEWS
from .later import refusals
from .messages import described_result
from .recording import RECORDING

# NumPy's functions that give views of an array. What other functions give is nobody's but the
# caller's, even where here it was cut out of something, as the factors of np.linalg.svd are.
VIEWING = {
    np.reshape,
    np.ravel,
    np.transpose,
    np.matrix_transpose,
    np.linalg.matrix_transpose,
    np.moveaxis,
    np.rollaxis,
    np.flip,
    np.fliplr,
    np.flipud,
    np.rot90,
    np.atleast_1d,
    np.atleast_2d,
    np.atleast_3d,
    np.split,
    np.array_split,
    np.hsplit,
    np.vsplit,
    np.dsplit,
    np.unstack,
}


def note_copies(function: Any, found: Any, args: tuple[Any, ...]) -> None:
    """Note on what a NumPy function gave that it is no view, unless the function gives views."""
    if function in VIEWING:
        return
    for y in found if isinstance(found, tuple | list) else (found,):
        if is_tensor(y) and not any(y is x for x in args):
            y._copied = True
            y._viewed = ()


def refuse_view(t: Any, sign: str, other: Any) -> None:
    """TypeError for an operator in place on a view of what somebody can see."""
    if not is_view(t):
        return
    seen = describe(t._inputs[0]) if t._inputs else "what it was taken from"
    raise TypeError(
        f"`{sign}` on {described_result(t)}, which is a view in NumPy: {seen} would change with "
        f"it, and no Tensor changes in place. For this part alone make a new result; for a new "
        f"whole, put new parts together by np.stack, np.concatenate or np.where{refusals.advice(other)}"
    )


def is_view(t: Any) -> bool:
    """Whether NumPy would have given a view here, of an array that the caller still has."""
    while t._op is not None:
        if not shares(t) or RECORDING.get().watchers:  # a watcher may keep all Tensors
            return False
        if sys.getrefcount(t._inputs[0]) > HELD_BY_ONE:
            return True
        t = t._inputs[0]
    return any(ref() is not None for ref in getattr(t, "_viewed", ()))


def shares(t: Any) -> bool:
    """Whether the memory of a recorded result is its input's in NumPy."""
    if t._op not in VIEWS or hasattr(t, "_copied"):
        return False
    again = t._op.forward(*t._arrays, **t._params)  # as this may hold a copy: see tensor.unshared
    return isinstance(again, np.ndarray) and np.may_share_memory(again, t._arrays[0])


def viewed_by(inputs: tuple[Any, ...]) -> tuple[weakref.ref[Any], ...]:
    """What a view that is not recorded shows: this input, and what that is itself a view of."""
    x = inputs[0]
    if len(inputs) > 1 or not is_tensor(x):  # arrays as an index pick copies
        return ()
    behind = tuple(ref for ref in getattr(x, "_viewed", ()) if ref() is not None)
    while x._op is not None and shares(x):
        x = x._inputs[0]
        behind = (weakref.ref(x), *behind)
    return (weakref.ref(inputs[0]), *behind)


class Holder:
    """Holds one thing as a result holds its inputs."""

    _inputs = (object(),)


HELD_BY_ONE = sys.getrefcount(Holder._inputs[0])
