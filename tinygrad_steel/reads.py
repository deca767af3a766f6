"""Numbers that Python has read from Tensors (`if`, `[i]`, `range`, float): remembered, so that nobody freezes them."""

from __future__ import annotations

import weakref
from collections.abc import Collection
from typing import Any

from .graph import history, next_age, users_frame
from .registry import describe

# Explicit requests for a number (item, numpy, a format) are no reads: who makes them knows that history ends there.
BRANCH = "as a condition (if, while, and)"
INDEX = "as an integer (an index, range, int)"
NUMBER = "as a plain number (float, math)"
COUNT = "for its number of elements, on which a mask decides,"


class Read:
    """When and where a number was read, of which kind and from what.

    `parameters`: those behind it, and the ages of their data, as weak references, which keep no graph alive. `report`:
    whether it came from a loss that backward() starts from: then it is a line of a report, or decides when to stop.
    `counted`: what was asked for its number of elements; where that is part of a loss itself, its shape is looked at.
    """

    __slots__ = ("age", "counted", "file", "kind", "line", "of", "of_a_leaf", "parameters", "report")

    def __init__(self, t: Any, kind: str):
        frame = users_frame()
        self.age, self.kind, self.of_a_leaf = next_age(), kind, t._op is None
        self.file, self.line = frame.f_code.co_filename, frame.f_lineno
        self.of = describe(t) if t._op is None or t._name else f"a result of {t._op.name}"
        self.report, self.parameters, self.counted = False, [], weakref.ref(t) if kind == COUNT else None

    def is_current(self) -> bool:
        """Whether no parameter behind it has moved since: what a loss holds of older ones was meant to be fixed."""
        return not self.report and all((p := found()) is not None and p._age == age for found, age in self.parameters)


def remember(t: Any, kind: str) -> None:
    """Note on the Tensors behind `t` that a number which depends on them became a plain one.

    On its results: what shares one of them is computed beside that number. On its leaves, unless they have new data
    already (it is the report of an old loss), or it comes from a loss that backward() starts from.
    """
    if t._op is None and t._name is None and not t._requires_grad:
        return  # a constant
    read, leaves, stale = Read(t, kind), [], False
    todo = [t]
    if t._op is None:
        leaves.append(t)
    elif kind == COUNT:  # only where another loss holds it: that of x[mask] itself notices another number
        todo, leaves = [], [x for x in history(t._inputs[1:]) if x._op is None]
    elif not hasattr(t, "read"):
        t.read = read
    while todo:
        y = todo.pop()
        read.report = read.report or hasattr(y, "pulled")
        for x in y._inputs:
            if not hasattr(x, "_op"):  # a plain number
                continue
            if x._op is None:
                leaves.append(x)
                stale = stale or x._age > y._age
                continue
            known = getattr(x, "read", None)
            if known is None:
                x.read = read
                todo.append(x)
            elif known is not read:  # what is behind it has been seen to: a loop that reads at each turn walks it once
                read.report = read.report or known.report or hasattr(x, "pulled")
                read.parameters += known.parameters
    if stale or read.report:
        return
    read.parameters += [(weakref.ref(x), x._age) for x in leaves if x._requires_grad]
    current: dict[Read, bool] = {}
    for x in leaves:
        known = getattr(x, "read", None)
        if known is not None and known.age > x._age:
            if known not in current:
                current[known] = known.is_current()
            if current[known]:
                continue  # the first one stays: a loss made after it may hold it
        if x._requires_grad or x._name is not None:
            x.read = read


def started_from(loss: Any) -> None:
    """Note that backward() starts from this Tensor: a number that was read of it was for a report."""
    loss.pulled = True
    if (read := getattr(loss, "read", None)) is not None:
        read.report = True


def current_read(x: Any) -> Read | None:
    """What was noted on a Tensor, unless a leaf has had new data since, or a parameter behind the number has."""
    read = getattr(x, "read", None)
    if read is None or (x._op is None and (read.age < x._age or not read.is_current())):
        return None
    return read


def refuse_reads(roots: Collection[Any], changing: Collection[Any], consequence: str) -> None:
    """TypeError where a number was read, before the last of `roots` was made, from what depends on `changing`."""
    made = max((t._age for t in roots if t._op is not None), default=0)  # a leaf holds no number that was read
    ids = {id(x) for x in changing}
    past = {id(x): x for x in history(roots)}
    for x in (*past.values(), *changing):
        read = current_read(x)
        if read is None or read.age > made or (read.counted and id(read.counted()) in past):
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
