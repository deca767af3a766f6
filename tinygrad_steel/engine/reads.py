"""Numbers that Python has read from Tensors (`if`, `[i]`, float), so that nobody freezes them."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ..ops.op import describe
from .history import history
from .messages import users_place, warn_user
from .places import spelled_place
from .recording import next_age

# Kinds of reads. An explicit request for a number (item, numpy, a float's format) is none: who makes it
# knows that history ends there.
BRANCH = "as a condition (if, while, and)"
INDEX = "as an integer (an index, range, int, tolist)"
NUMBER = "as a plain number (float, math, tolist)"
TEXT = "as text (a format)"
COUNT = "for its number of elements, on which a mask decides,"

# The last reads of Tensors of which nobody knows what they came from: (age, file, line).
UNTRACKED: deque[tuple[int, str, int]] = deque(maxlen=256)
# The last integers that came of named inputs alone, with these: a loss of w[i] need not have them.
INTEGERS: deque[tuple[Read, list[weakref.ref[Any]]]] = deque(maxlen=256)


class FrozenNumberWarning(UserWarning):
    """A plain number was read from a Tensor, and may be part of a loss that is now traced.

    What is compiled, written out or recorded would keep that number for ever, whatever the
    parameters become. Only the reader knows: `float(loss)` for a report looks the same as
    `/ float(scale)` in a loss. Asking by `item()`, or inside `no_grad()`, says that a number is meant
    as it is.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from tinygrad_steel import FrozenNumberWarning, Tensor, write_backprop
    >>> x = Tensor([1.0, 4.0], requires_grad=True, name="x")
    >>> loss = np.sum(x / float(np.max(x)))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     source = write_backprop(loss)
    >>> caught[0].category.__name__, "loss = np.sum(x / 4.0)" in source
    ('FrozenNumberWarning', True)
    """


class Read:
    """When and where a number was read, of which kind and from what."""

    __slots__ = ("age", "file", "kind", "line", "of", "of_a_leaf", "parameters", "source")

    def __init__(self, t: Any, kind: str):
        self.age = next_age()
        self.kind = kind
        self.file, self.line = users_place()
        self.of_a_leaf = t._op is None
        self.of = describe(t) if self.of_a_leaf or t._name else f"a result of {t._op.name}"
        # References are weak and keep no graph alive: to what was read, and to the parameters
        # behind it, each with the age of its data.
        self.source = weakref.ref(t)
        self.parameters: list[tuple[Any, int]] = []

    def is_current(self) -> bool:
        """Whether no parameter behind it has moved since: what is older was meant to be fixed."""
        return all((p := found()) is not None and p._age == age for found, age in self.parameters)


# Remembering a read


def remember(t: Any, kind: str) -> None:
    """Note on the Tensors behind `t` that a number which depends on them became a plain one.

    On its results: what shares one of them is computed beside that number. On its leaves, unless
    they have new data already: then it is the report of an old loss.
    """
    if is_constant(t):
        UNTRACKED.append((next_age(), *users_place()))
        return
    read = Read(t, kind)
    if t._op is None:
        leaves = [t]
    elif kind == COUNT:  # on the mask's leaves alone: the loss of x[mask] notices another number
        deciding = t._inputs if t._op.counts else t._inputs[1:]
        leaves = [x for x in history(deciding) if x._op is None]
    else:
        leaves = unchanged(note_on_results(read, t))
    if not leaves:
        return
    read.parameters += [(weakref.ref(x), x._age) for x in leaves if x._requires_grad]
    if kind == INDEX and not read.parameters:
        INTEGERS.append((read, [weakref.ref(x) for x in leaves if x._name]))
    note_on_leaves(read, leaves)


def is_constant(x: Any) -> bool:
    """Whether nobody asks for a Tensor again: a leaf that has no name and wants no gradient."""
    return x._op is None and x._name is None and not x._requires_grad


def note_on_results(read: Read, t: Any) -> list[tuple[Any, Any]]:
    """Note a read on `t` and the results behind it; `(leaf, result)` for each use of a leaf there.

    What is behind a result with an earlier read has been seen to: a loop that reads at each turn
    walks it once.
    """
    if not hasattr(t, "_read"):
        t._read = read
    uses, todo = [], [t]
    while todo:
        y = todo.pop()
        for x in y._inputs:
            if not hasattr(x, "_op"):  # a plain number
                continue
            if x._op is None:
                uses.append((x, y))
            elif not hasattr(x, "_read"):
                x._read = read
                todo.append(x)
            elif x._read is not read:
                read.parameters += x._read.parameters
    return uses


def unchanged(uses: list[tuple[Any, Any]]) -> list[Any]:
    """The leaves that were used; none where one of them has had new data since it was."""
    for leaf, y in uses:
        if leaf._age > y._age:
            return []
    return [leaf for leaf, _ in uses]


def note_on_leaves(read: Read, leaves: Collection[Any]) -> None:
    """Note a read on leaves that are no constants, unless an earlier one still counts there.

    One of inputs alone is refused, and counts before one that is warned of.
    """
    of_inputs_alone = not read.parameters
    counts: dict[Read | None, bool] = {}
    for x in leaves:
        earlier = read_of(x)
        if earlier is not None and earlier not in counts:
            warned_of = bool(earlier.parameters)
            counts[earlier] = earlier.is_current() and not (of_inputs_alone and warned_of)
        if not counts.get(earlier) and not is_constant(x):
            x._read = read


def read_of(x: Any) -> Read | None:
    """What was noted on a Tensor; None on a leaf that has had new data since."""
    read: Read | None = getattr(x, "_read", None)
    if read is not None and read.age < x._age and x._op is None:
        return None
    return read


# Refusing what would hold one


def refuse_reads(roots: Collection[Any], changing: Collection[Any], consequence: str) -> None:
    """TypeError where `roots` may hold a number read from what depends on `changing` leaves.

    A FrozenNumberWarning where it is as likely a report: it depends on parameters and shares no
    result with `roots`, or it is a float of a result that they are computed from; or nobody knows
    what it came from.
    """
    made = max((t._age for t in roots if t._op is not None), default=0)  # a leaf holds no number
    past = dict.fromkeys(history(roots))
    leaves = {*changing}
    warned: set[Read] = set()
    for x, read in reads_before(made, (*past, *changing)):
        if read in warned:
            continue
        is_part = read.source() in past
        behind = [leaf for leaf in history([x]) if leaf in leaves]
        if not behind or (read.kind == COUNT and is_part):
            continue
        what = told(read, behind)
        if not may_be_report(read, x, is_part):
            raise frozen_number(what, consequence)
        warned.add(read)
        warn_user(
            f"{what}: if the number is part of this loss, {consequence}. "
            f"Ask for it by item() where it is not",
            FrozenNumberWarning,
        )
    warn_of_untracked(changing, made, consequence)
    warn_of_integers(past, made, consequence)


def reads_before(made: int, tensors: Iterable[Any]) -> Iterator[tuple[Any, Read]]:
    """The Tensors with a read of before this age that still counts.

    On a leaf it does no longer once a parameter behind the number has moved.
    """
    for x in tensors:
        read = read_of(x)
        if read is None or read.age > made:
            continue
        if x._op is not None or read.is_current():
            yield x, read


def told(read: Read, leaves: Iterable[Any]) -> str:
    """A read as messages tell of it: what was read, on which of these leaves it depends, where."""
    named = sorted({x._name for x in leaves if x._name})
    behind = f", which depends on {', '.join(named)}," if named and not read.of_a_leaf else ""
    return f"{read.of}{behind} was read {read.kind} at {spelled_place(read.file, read.line)}"


def may_be_report(read: Read, x: Any, is_part: bool) -> bool:
    """Whether a read noted on `x` is as likely a report; `is_part`: the loss has its source."""
    if read.kind == TEXT or (x._op is None and read.parameters):
        return True
    return is_part and read.kind == NUMBER and not read.of_a_leaf


def frozen_number(what: str, consequence: str) -> TypeError:
    """The error for a number that would be held for good."""
    return TypeError(
        f"{what}: {consequence}, whatever comes later. Write np.where(condition, a, b) for an if, "
        f"x[i] with the Tensor i itself for an index; where this very number is meant, or nothing "
        f"here depends on it, ask for it by item()"
    )


def warn_of_untracked(changing: Iterable[Any], made: int, consequence: str) -> None:
    """Warn of a read of nobody knows what, where that may have been one of these leaves."""
    leaf = next(filter(is_constant, changing), None)
    if leaf is None:
        return
    for age, file, line in UNTRACKED:
        if leaf._age < age < made:
            warn_user(
                f"a number was read at {spelled_place(file, line)}, from a Tensor without history: if it came "
                f"from {describe(leaf)}, {consequence}. "
                f"Make that with Tensor(..., name=...), so that it is known",
                FrozenNumberWarning,
            )
            return


def warn_of_integers(past: Collection[Any], made: int, consequence: str) -> None:
    """Warn of integers that were read from named inputs which have no other part in a loss."""
    for read, found in INTEGERS:
        leaves = [x for ref in found if (x := ref()) is not None]
        if not leaves or read.age > made or any(x in past or x._age > read.age for x in leaves):
            continue
        warn_user(
            f"{told(read, leaves)}: if the integer is part of this loss, {consequence}. "
            f"Ask for it by item() where it is not",
            FrozenNumberWarning,
        )
