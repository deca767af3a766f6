"""Numbers that Python has read from Tensors (`if`, `[i]`, `range`, float): remembered, so that nobody freezes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .graph import history, next_age, users_frame
from .registry import describe

# Explicit requests for a number (item, numpy, a format) are no reads: who makes them knows that history ends there.
BRANCH = "as a condition (if, while, and)"
INDEX = "as an integer (an index, range, int)"
NUMBER = "as a plain number (float, math)"


class Read:
    """When and where a number was read, of which kind, from what, and whether parameters and data were behind it."""

    __slots__ = ("age", "data", "file", "kind", "line", "of", "of_a_leaf", "parameters")

    def __init__(self, t: Any, kind: str):
        frame = users_frame()
        self.age, self.kind = next_age(), kind
        self.file, self.line = frame.f_code.co_filename, frame.f_lineno
        self.of = describe(t) if t._op is None or t._name else f"a result of {t._op.name}"
        self.of_a_leaf, self.parameters, self.data = t._op is None, False, False


def remember(t: Any, kind: str) -> None:
    """Note on the Tensors behind `t` that a number which depends on them became a plain one.

    On its results always: what shares one of them is computed beside that number. On leaves, where it comes from inputs
    alone or from parameters alone. A number that comes from both, or the float of parameters, marks no leaves: it is a
    loss that decides when to stop, or a line of a report, far more often than a part of the next loss.
    """
    if t._op is None and t._name is None and not t._requires_grad:
        return  # a constant
    read, leaves, stale = Read(t, kind), [], set()
    if t._op is None:
        leaves.append(t)
    elif not hasattr(t, "read"):
        t.read = read
    todo = [t]
    while todo:
        y = todo.pop()
        for x in y._inputs:
            if not hasattr(x, "_op"):  # a plain number
                continue
            if x._op is None:
                leaves.append(x)
                if x._age > y._age:  # it has other data by now
                    stale.add(id(x))
                continue
            known = getattr(x, "read", None)
            if known is None:
                x.read = read
                todo.append(x)
            else:  # what is behind it has been seen to: a loop that reads at each turn walks each result once
                read.parameters, read.data = read.parameters or known.parameters, read.data or known.data
    for x in leaves:
        if x._requires_grad:
            read.parameters = True
        else:
            read.data = True
    if read.parameters and (read.data or kind == NUMBER):
        return
    for x in leaves:
        if id(x) not in stale and (x._requires_grad or x._name is not None) and current_read(x) is None:
            x.read = read  # the first one stays: a loss made after it may hold it


def current_read(x: Any) -> Read | None:
    """What was noted on a Tensor, unless a leaf has had new data since."""
    read = getattr(x, "read", None)
    return None if read is None or (x._op is None and read.age < x._age) else read


def refuse_reads(roots: Collection[Any], changing: Collection[Any], consequence: str) -> None:
    """TypeError where a number was read, before the last of `roots` was made, from what depends on `changing`."""
    made = max((t._age for t in roots if t._op is not None), default=0)  # a leaf holds no number that was read
    ids = {id(x) for x in changing}
    for x in (*history(roots), *changing):
        read = current_read(x)
        if read is None or read.age > made:
            continue
        names = [leaf._name for leaf in history([x]) if id(leaf) in ids]
        if names:
            named = sorted({name for name in names if name})
            behind = f", which depends on {', '.join(named)}," if named and not read.of_a_leaf else ""
            raise TypeError(
                f"{read.of}{behind} was read {read.kind} at {read.file}:{read.line}: {consequence}, whatever comes "
                f"later. Write np.where(condition, a, b) for an if, x[i] with the Tensor i itself for an index; where "
                f"this very number is meant, or nothing here depends on it, ask for it by item()"
            )
