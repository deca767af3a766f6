"""A float32 on the way in somebody's code: what was computed from one has no more digits than it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from .bindings import Binding
from .closeness import largest
from .recognise import Table
from .traced_loss import Graph
from .watching import Watched

# A float32 that no variable holds shows in the words of the statement alone.
SPOKEN_OF = re.compile(r"\bfloat32\b|\bsingle\b|['\"][<=]?f4['\"]")
SHORT = np.dtype(np.float32)
# Of which size the largest element may be, so that float32 holds it, and what is much smaller.
LEAST, MOST = 1e-25, 1e38


def shorten(seen: Watched, graph: Graph) -> None:
    """Keep what was computed from a float32 as one, so that nobody expects more digits of it; what
    has all digits of a value of the graph stays as it is.
    """
    made = [*dict.fromkeys(b.made for b in (*seen.bindings, *seen.returned.values()))]
    starts = [b for b in made if is_short(b.array) or speaks_of_it(b)]
    if not starts:
        return
    table = Table({x: a for x, a in graph.numbers.items() if a.dtype.kind in "fiub"})
    used_by: dict[Binding, list[Binding]] = defaultdict(list)
    for b in made:
        for a in b.reads:
            used_by[a.made].append(b)
    for b in reached(starts, used_by, table):
        b.array = b.array.astype(SHORT)


def reached(
    starts: Iterable[Binding], used_by: Mapping[Binding, list[Binding]], table: Table
) -> Iterator[Binding]:
    """What was computed from these, and so on, as far as it has lost digits."""
    todo, seen = [*starts], set()
    while todo:
        b = todo.pop()
        if b in seen:
            continue
        seen.add(b)
        if not is_short(b.array):
            if b.origin.given or not can_be_short(b.array) or table.matches(b.array):
                continue
            yield b
        todo += used_by[b]


def is_short(array: np.ndarray) -> bool:
    """Whether it holds floats of fewer digits than those of Python."""
    return array.dtype.kind == "f" and array.itemsize < 8


def can_be_short(array: np.ndarray) -> bool:
    """Whether these are floats that a float32 holds."""
    return array.dtype.kind == "f" and LEAST < largest(array) < MOST


def speaks_of_it(b: Binding) -> bool:
    """Whether the statement that made an array has the name of float32 in it."""
    return bool(SPOKEN_OF.search(b.origin.where.text))
