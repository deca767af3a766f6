"""Numbers that Python has read from Tensors (`if`, `[i]`, `range`, float): remembered, so that nobody freezes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from .graph import history, next_age, users_frame
from .registry import describe

# Explicit requests for a number (item, numpy, a format) are no reads: who makes them knows that history ends there.
BRANCH = "as a condition (if, while, and)"
INDEX = "as an integer (an index, range, int)"
NUMBER = "as a plain number (float, math)"


class Read(NamedTuple):
    """When and where a number was read, of which kind, and what it was read from."""

    age: int
    kind: str
    of: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.of} was read {self.kind} at {self.file}:{self.line}"


def remember(t: Any, kind: str) -> None:
    """Note on the Tensors behind `t` that a number which depends on them became a plain one.

    On its results always: what shares one of them is computed beside that number. On leaves, where it comes from inputs
    alone or from parameters alone. A number that comes from both, or the float of parameters, marks no leaves: it is a
    loss that decides when to stop, or a line of a report, far more often than a part of the next loss.
    """
    found = [*history([t])]
    results, leaves = [x for x in found if x._op is not None], [x for x in found if x._op is None]
    parameters = [x for x in leaves if x._requires_grad]
    if parameters and (len(parameters) < len(leaves) or kind == NUMBER):
        leaves = []
    stale = {id(x) for y in results for x in y._inputs if getattr(x, "_age", 0) > y._age}  # with new data by now
    leaves = [x for x in leaves if id(x) not in stale]
    if not results and all(x._name is None and not x._requires_grad for x in leaves):
        return  # a constant
    frame = users_frame()
    read = Read(next_age(), kind, called(t, found), frame.f_code.co_filename, frame.f_lineno)
    for x in (*results, *leaves):
        if current_read(x) is None:  # the first one stays: a loss made after it may hold it
            x.read = read


def called(t: Any, found: Collection[Any]) -> str:
    """A Tensor as a message names it; where it has no name, with the leaves in its history, which is `found`."""
    if t._op is None or t._name:
        return describe(t)
    names = dict.fromkeys(x._name for x in found if x._op is None and x._name)
    return f"the result of {t._op.name}, which depends on {', '.join(names)}," if names else f"a result of {t._op.name}"


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
        if read is not None and read.age < made and any(id(leaf) in ids for leaf in history([x])):
            raise TypeError(
                f"{read}: {consequence}, whatever comes later. Write np.where(condition, a, b) for an if, x[i] with "
                f"the Tensor i itself for an index; where this very number is meant, or nothing here depends on it, "
                f"ask for it by item()"
            )
