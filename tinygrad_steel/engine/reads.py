"""Numbers that Python has read from Tensors (`if`, `[i]`, `range`, float): remembered, so that nobody freezes them."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Collection
from typing import Any

from ..ops.op import describe
from .backward import history
from .messages import users_frame, warn_user
from .recording import next_age

# Explicit requests for a number (item, numpy, a format) are no reads: who makes them knows that history ends there.
BRANCH = "as a condition (if, while, and)"
INDEX = "as an integer (an index, range, int)"
NUMBER = "as a plain number (float, math)"
COUNT = "for its number of elements, on which a mask decides,"


# Reads of Tensors without history, of which nobody knows what they came from: (age, file, line) of the last ones.
UNTRACKED: deque[tuple[int, str, int]] = deque(maxlen=256)


class FrozenNumberWarning(UserWarning):
    """A number was read that depends on parameters of a loss: if the loss holds it, it is kept for ever.

    `float(loss)` in a report looks the same as `/ float(scale)` in a loss. Ask for a number by `item()`, or inside
    `no_grad()`, to say that it is meant as it is.
    """


class Read:
    """When and where a number was read, of which kind and from what.

    `parameters`: those behind it, and the ages of their data, as weak references, which keep no graph alive.
    `source`: what was read.
    """

    __slots__ = ("age", "file", "kind", "line", "of", "of_a_leaf", "parameters", "source")

    def __init__(self, t: Any, kind: str):
        frame = users_frame()
        self.age, self.kind, self.of_a_leaf, self.source = (
            next_age(),
            kind,
            t._op is None,
            weakref.ref(t),
        )
        self.file, self.line = frame.f_code.co_filename, frame.f_lineno
        self.of = describe(t) if t._op is None or t._name else f"a result of {t._op.name}"
        self.parameters: list[tuple[Any, int]] = []

    def is_current(self) -> bool:
        """Whether no parameter behind it has moved since: what a loss holds of older ones was meant to be fixed."""
        return all((p := found()) is not None and p._age == age for found, age in self.parameters)


def remember(t: Any, kind: str) -> None:
    """Note on the Tensors behind `t` that a number which depends on them became a plain one.

    On its results: what shares one of them is computed beside that number. On its leaves, unless they have new data
    already: then it is the report of an old loss.
    """
    if t._op is None and t._name is None and not t._requires_grad:
        frame = users_frame()
        UNTRACKED.append((next_age(), frame.f_code.co_filename, frame.f_lineno))
        return
    read, leaves, stale = Read(t, kind), [], False
    todo = [t]
    if t._op is None:
        leaves.append(t)
    elif (
        kind == COUNT
    ):  # only where another loss holds it: that of x[mask] itself notices another number
        todo, leaves = [], [x for x in history(t._inputs[1:]) if x._op is None]
    elif not hasattr(t, "read"):
        t.read = read
    while todo:
        y = todo.pop()
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
            elif (
                known is not read
            ):  # what is behind it has been seen to: a loop that reads at each turn walks it once
                read.parameters += known.parameters
    if stale:
        return
    read.parameters += [(weakref.ref(x), x._age) for x in leaves if x._requires_grad]
    note_on_leaves(read, leaves)


def note_on_leaves(read: Read, leaves: Collection[Any]) -> None:
    """Note a read on leaves that want a gradient or have a name, unless an earlier one still counts there."""
    current: dict[Read, bool] = {}
    for x in leaves:
        known = getattr(x, "read", None)
        if known is not None and known.age > x._age:
            if (
                known not in current
            ):  # one of inputs alone is refused, and counts before one that is warned of
                current[known] = known.is_current() and bool(
                    read.parameters or not known.parameters
                )
            if current[known]:
                continue  # the first one stays: a loss made after it may hold it
        if x._requires_grad or x._name is not None:
            x.read = read


def current_read(x: Any) -> Read | None:
    """What was noted on a Tensor, unless a leaf has had new data since, or a parameter behind the number has."""
    read = getattr(x, "read", None)
    if read is None or (x._op is None and (read.age < x._age or not read.is_current())):
        return None
    return read


def refuse_reads(roots: Collection[Any], changing: Collection[Any], consequence: str) -> None:
    """TypeError where a number was read, before the last of `roots` was made, from what depends on `changing` leaves.

    A FrozenNumberWarning where it is as likely a report: it depends on parameters and shares no result with `roots`, or
    it is a float of a result that they are computed from; or nobody knows what it came from.
    """
    made = max(
        (t._age for t in roots if t._op is not None), default=0
    )  # a leaf holds no number that was read
    ids = {id(x) for x in changing}
    past = {id(x): x for x in history(roots)}
    warned: set[Read] = set()
    for x in (*past.values(), *changing):
        read = current_read(x)
        if read is None or read.age > made or read in warned:
            continue
        is_part = id(read.source()) in past
        if read.kind == COUNT and is_part:
            continue
        names = [leaf._name for leaf in history([x]) if id(leaf) in ids]
        if not names:
            continue
        what = told(read, names)
        if not may_be_report(read, x, is_part):
            raise TypeError(
                f"{what}: {consequence}, whatever comes later. Write np.where(condition, a, b) for an if, "
                f"x[i] with the Tensor i itself for an index; where this very number is meant, or nothing here "
                f"depends on it, ask for it by item()"
            )
        warned.add(read)
        text = f"{what}: if the number is part of this loss, {consequence}. Ask for it by item() where it is not"
        warn_user(text, FrozenNumberWarning)
    warn_of_untracked(changing, made, consequence)


def told(read: Read, names: Collection[str | None]) -> str:
    """A read as messages tell of it: what was read, on which of these leaves it depends, how and where."""
    named = sorted({name for name in names if name})
    behind = f", which depends on {', '.join(named)}," if named and not read.of_a_leaf else ""
    return f"{read.of}{behind} was read {read.kind} at {read.file}:{read.line}"


def may_be_report(read: Read, x: Any, is_part: bool) -> bool:
    """Whether a read that was noted on `x` is as likely a report as a part of the loss; `is_part`: so is its source."""
    if x._op is None and read.parameters:
        return True
    return is_part and read.kind == NUMBER and not read.of_a_leaf


def warn_of_untracked(changing: Collection[Any], made: int, consequence: str) -> None:
    """Warn where a number was read of which nobody knows what it came from, and it may be one of these leaves."""
    unnamed = [x for x in changing if x._name is None and not x._requires_grad]
    if not unnamed:
        return
    leaf = unnamed[0]
    for age, file, line in UNTRACKED:
        if leaf._age < age < made:
            warn_user(
                f"a number was read at {file}:{line}, from a Tensor without history: if it came from "
                f"{describe(leaf)}, {consequence}. Make that with Tensor(..., name=...), so that it is known",
                FrozenNumberWarning,
            )
            return
