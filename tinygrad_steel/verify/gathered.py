"""What was made one after the other, in a list or in a loop, as the array that it is together.

A list of plain numbers is a vector, and a list of these a matrix. What a loop over samples computes
for each of them is a row of what the graph has for all of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np

from .bindings import Binding, Origin
from .recognise import Table, without_ones
from .statements import Path
from .watching import Watched

IN_LOOP = (
    -2
)  # the number of no frame: what a loop has made has the variable's name, and not its place
MOST = 100_000  # so many elements a list may have

Shape = tuple[int, ...]


def gather(seen: Watched, table: Table) -> Watched:
    """What was watched, with the arrays that lists and loops have made, as far as there are
    gradients of such shapes; `table`: these.
    """
    wanted = {canonical(array.shape) for array in table.numbers.values()} - {()}
    lists = Lists(wanted, table)
    for b in seen.bindings:
        lists.note(b)
    lists.end()
    returned = dict(seen.returned)
    for path, found in lists_given_back(seen, lists).items():
        returned[path] = lists.same_as(found)
    after: dict[Binding, list[Binding]] = defaultdict(list)
    for b in (*lists.found, *loops(seen, wanted)):
        last = b.parts[-1]
        after[last].append(b)
        for part in b.parts:
            part.made.again.append(b)
    bindings = [b for a in seen.bindings for b in (a, *after[a])]
    return seen._replace(bindings=bindings, returned=returned)


def canonical(shape: Shape) -> Shape:
    """A shape without axes of length 1, rows and columns not told apart."""
    return tuple(sorted(without_ones(shape)))


# Lists


class Lists:
    """The arrays that lists of numbers are, each time that a statement has changed some of them."""

    def __init__(self, wanted: Collection[Shape], table: Table):
        self.wanted, self.table = wanted, table
        self.held: dict[tuple[int, Path], dict[Shape, Binding]] = defaultdict(dict)
        self.open: dict[tuple[int, Path], Binding] = {}  # whose last element this is
        self.last: dict[tuple[int, Path], Binding] = {}
        self.found: list[Binding] = []

    def note(self, b: Binding) -> None:
        """An element of a list was bound, if it is one."""
        for prefix, index in places_in_lists(b):
            key = b.owner, prefix
            before = self.open.get(key)
            if before is not None and before.origin.where is not b.origin.where:
                self.close(key)
            self.held[key][index] = b
            self.open[key] = b

    def end(self) -> None:
        """All was seen."""
        for key in [*self.open]:
            self.close(key)

    def close(self, key: tuple[int, Path]) -> None:
        """A statement has changed a list, and another one follows."""
        last = self.open.pop(key)
        array = self.joined({i: b.array for i, b in self.held[key].items()})
        if array is None:
            return
        parts = [*self.held[key].values()]
        parts.remove(last)
        b = together(key[1], key[0], array, (*parts, last), last.origin)
        known = self.last.get(key)
        if known is not None:
            b.before, b.key = known, known.key
        else:
            b.key = -1 - len(self.found)
        self.last[key] = b
        self.found.append(b)

    def same_as(self, b: Binding) -> Binding:
        """The list that a variable holds and that was given back; this one where none does."""
        mades = {part.made for part in b.parts}
        same = (a for a in self.last.values() if {part.made for part in a.parts} == mades)
        return next((a for a in same if np.array_equal(a.array, b.array)), b)

    def joined(self, elements: dict[Shape, np.ndarray]) -> np.ndarray | None:
        """The array of these elements; None where some are missing, or no such array is wanted. What
        may be gradients one by one is one together only if it is known.
        """
        shapes = {array.shape for array in elements.values()}
        depth = {len(index) for index in elements}
        if len(shapes) > 1 or len(depth) > 1 or len(elements) > MOST:
            return None
        (inner,) = shapes
        outer = tuple(1 + max(index[axis] for index in elements) for axis in range(*depth))
        is_whole = math.prod(outer) == len(elements) > 1
        if not is_whole or canonical((*outer, *inner)) not in self.wanted:
            return None
        array = np.stack([elements[index] for index in np.ndindex(outer)]).reshape(*outer, *inner)
        if canonical(inner) in self.wanted and not self.table.matches(array):
            return None
        return array


def places_in_lists(b: Binding) -> Iterator[tuple[Path, Shape]]:
    """Each list in which an element is, from the innermost, and its index there."""
    path = b.path
    index: Shape = ()
    while len(path) > 1 and type(path[-1]) is int and path[-1] >= 0:
        path, index = path[:-1], (path[-1], *index)
        yield path, index


def lists_given_back(seen: Watched, lists: Lists) -> dict[Path, Binding]:
    """The lists of numbers in what was given back."""
    places: dict[Path, dict[Shape, Binding]] = defaultdict(dict)
    for path, made in seen.returned.items():
        for prefix, index in places_in_lists(Binding(path, -1, made.array, made.origin)):
            places[prefix][index] = made
    found = {}
    for path, held in places.items():
        array = lists.joined({i: b.array for i, b in held.items()})
        if array is not None:
            origin = [*held.values()][-1].origin
            found[path] = together(path, -1, array, [*held.values()], origin)
    return found


# Loops


def loops(seen: Watched, wanted: Collection[Shape]) -> Iterator[Binding]:
    """What a statement has made again and again, for one sample after the other."""
    rows: dict[tuple[Path, Any], list[Binding]] = defaultdict(list)
    grown = {
        b.before for b in seen.bindings if b.before and b.before.origin.where is b.origin.where
    }
    for b in seen.bindings:
        if b.made is b and not b.origin.given and b not in grown:
            rows[b.path, id(b.origin.where)].append(b)
    for found in rows.values():
        first = found[0].array
        same = all(b.array.shape == first.shape for b in found)
        if len(found) < 2 or not same or first.dtype.kind != "f":
            continue
        for shape in shapes_of_loop(len(found), first.shape, wanted):
            array = np.stack([b.array for b in found]).reshape(shape)
            yield together(found[-1].path, IN_LOOP, array, found, found[-1].origin)


def shapes_of_loop(times: int, shape: Shape, wanted: Collection[Shape]) -> list[Shape]:
    """The shapes that arrays may have together: one after the other, and single numbers also as
    two loops have made them.
    """
    inner = tuple(without_ones(shape))
    flat = (times, *inner)
    ways = [flat] if canonical(flat) in wanted else []
    if not inner:
        ways += [other for one in wanted if math.prod(one) == times for other in (one, one[::-1])]
    return [*dict.fromkeys(ways)]


def together(
    path: Path, owner: int, array: np.ndarray, parts: Iterable[Binding], origin: Origin
) -> Binding:
    """The array that these are together: it was made of that of which they were made."""
    parts = tuple(parts)
    mine = {part.made for part in parts}
    reads = dict.fromkeys(a for part in parts for a in part.made.reads if a.made not in mine)
    found = Binding(path, owner, array, Origin(origin.where, tuple(reads)))
    found.parts = parts
    return found
