"""All gradients in one row, as optimizers take them: what each part of it is."""

from __future__ import annotations

import math

import numpy as np

from ..program.values import Value
from .bindings import Binding, Origin
from .chain import Chain, Found, before
from .closeness import constant_factor, matches
from .statements import Part

ROW = -4  # the number of no frame: a part of a row is no variable


def parts_of_row(chain: Chain, leaves: list[Value]) -> dict[Value, Found]:
    """The gradients of all leaves as parts of a row that is given back; none where there is no row,
    or where it may be that of the parameters after a step.
    """
    shape = (sum(math.prod(x.shape) for x in leaves),)
    rows = [b for b in chain.returned if b.array.shape == shape and b.array.dtype.kind == "f"]
    if len(rows) != 1 or len(leaves) < 2 or any(is_of_parameters(chain, b) for b in rows):
        return {}
    orders = [in_order(chain, rows[0], order) for order in (leaves, leaves[::-1])]
    known = [sum(is_like(chain, x, part) for x, part in found.items()) for found in orders]
    return orders[known.index(max(known))] if max(known) else {}


def is_of_parameters(chain: Chain, row: Binding) -> bool:
    """Whether a row begins with a parameter as it is, or was made of one that does."""
    read = [a.array for a in row.reads if a.array.shape == row.array.shape]
    numbers = [chain.graph.numbers[x].ravel() for x in chain.leaves]
    starts = [(a, own) for a in (row.array, *read) for own in numbers if own.size > 1]
    return any(np.array_equal(a[: own.size], own) for a, own in starts)


def in_order(chain: Chain, row: Binding, leaves: list[Value]) -> dict[Value, Found]:
    """A row cut into parts: where a gradient begins it stands, then a multiple of one, else the next
    in this order.
    """
    found: dict[Value, Found] = {}
    left, at = [*leaves], 0
    while left:
        parts = {x: part_of(chain, row, x, at) for x in left}
        x = max(left, key=lambda x: is_like(chain, x, parts[x]))
        found[x] = parts[x]
        at += math.prod(x.shape)
        left.remove(x)
    return found


def part_of(chain: Chain, row: Binding, x: Value, at: int) -> Found:
    """The elements of a row from here on that may be a gradient, with the statement that has made
    them so.
    """
    end = at + math.prod(x.shape)
    numbers = row.array[at:end]
    made = row
    while made.before is not None and has_part(made.before, numbers, at):
        made = made.before.made
    path = (*row.path, Part(at, end))
    reads = tuple(b for b in made.reads if b.made is not made)
    by_rows, by_columns = numbers.reshape(x.shape), numbers.reshape(x.shape[::-1]).T
    own = chain.graph.numbers[chain.graph.gradient_of[x]]
    like = [own, *(a.array for a in before([row]) if a.array.shape == own.shape)]
    array = by_columns if any(matches(by_columns, a) for a in like) else by_rows
    found = Binding(path, ROW, array, Origin(made.origin.where, reads))
    found.parts = (made,)
    return Found(found)


def has_part(before: Binding, numbers: np.ndarray, at: int) -> bool:
    """Whether a row had these numbers in this place already."""
    return np.array_equal(before.array.ravel()[at : at + len(numbers)], numbers)


def is_like(chain: Chain, x: Value, found: Found) -> float:
    """Whether a part of a row is the gradient of a leaf, or, half as much, a multiple of it."""
    array, own = found.binding.array, chain.graph.numbers[chain.graph.gradient_of[x]]
    if matches(array, own):
        return 1
    return 0.5 if array.size > 1 and constant_factor(array, own) else 0
