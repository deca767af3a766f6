"""Where a wrong array was made, and of what: the lines that a report shows."""

from __future__ import annotations

import itertools
from collections.abc import Collection

import numpy as np

from ..program.values import Value
from .bindings import Binding, Left
from .blame import Search
from .chain import before
from .closeness import constant_factor, matches, rounded
from .gathered import IN_LOOP
from .recognise import oriented
from .rows import ROW
from .updates import STEP

APART = (STEP, ROW)  # what holds a gradient that is no variable


def culprit(search: Search, b: Binding, g: Value) -> Binding:
    """Where a wrong array was made, or was taken for this gradient."""
    is_other = search.is_other(b, g)
    if is_other or search.is_helper(b):
        return where_taken(search, b, g, is_other)
    for a in before([b], search.sure):
        is_step = search.chain.is_marked(a) or a.path == b.path or b.owner in APART
        if a is b or a in search.known | search.confirmed or not is_step:
            continue
        if is_multiple(search, b, a):
            m = search.multiple(a)
            if m is None or m[1] not in search.natural or is_same(b, a):
                return culprit(search, a, g)  # it was wrong already
    return wrong_part(search, b, g) or wrong_piece(search, b, g) or b


def wrong_part(search: Search, b: Binding, g: Value) -> Binding | None:
    """What was added to a sum of gradients and is wrong, where the rest of it is right."""
    graph = search.chain.graph
    addends = [graph.numbers[part] for _, part in graph.parts[search.chain.gradients[g]]]
    parts = [a.made for a in b.reads if a.made not in search.known]
    for a in dict.fromkeys(parts) if len(addends) > 1 else ():
        for _, array in oriented(b.array, g.shape):
            for _, part in oriented(a.array, g.shape):
                if any(matches(array - part + own, graph.numbers[g]) for own in addends):
                    return a
    return None


def wrong_piece(search: Search, b: Binding, g: Value) -> Binding | None:
    """Of what was put together side by side, the first piece that is wrong, and right nowhere else."""
    own = search.chain.graph.numbers[g]
    if own.shape != b.array.shape:
        return None
    for axis in range(own.ndim):
        pieces = side_by_side(b, axis)
        rights = [own.take(range(start, start + a.array.shape[axis]), axis) for a, start in pieces]
        wrong = [a for (a, _), right in zip(pieces, rights) if not matches(a.array, right)]
        if wrong and not any(matches(a.array, right) for a in wrong for right in rights):
            return wrong[0]
    return None


def side_by_side(b: Binding, axis: int) -> list[tuple[Binding, int]]:
    """The arrays of which one was put together along an axis, and where each begins; none where it
    was not.
    """
    pieces, start = [], 0
    for a in dict.fromkeys(a.made for a in b.reads):
        if a.array.ndim != b.array.ndim:
            return []
        end = start + a.array.shape[axis]
        if not np.array_equal(
            b.array.take(range(start, min(end, b.array.shape[axis])), axis), a.array
        ):
            return []
        pieces.append((a, start))
        start = end
    return pieces if len(pieces) > 1 and start == b.array.shape[axis] else []


def where_taken(search: Search, b: Binding, g: Value, is_other: bool) -> Binding:
    """The name under which what is something else, or a local derivative, is taken for a gradient:
    one that says so, else the slot of a leaf, or the one that is read.
    """
    names = search.names_of(b)
    others = [n for n in names if n is not b]
    x = search.chain.gradients[g]
    called = [n for n in names if search.chain.meaning_of_name(n) == (x,)]
    if called:
        return called[0]
    back = search.slots.back
    places = [n for n in back.returned if n.made is b]
    for place in places if g in search.slots.wrong else ():
        if back.says(place) is x or place is back.twice(g):
            return place
    if g in search.slots.wrong:
        kept = [n for n in others if len(n.path) > 1]
        return [b, *others, *kept][-1]
    if is_other:
        left = [n for n in search.read if isinstance(n, Left) and n.made is b]
        called_so = [n for n in names if n in search.read]
        return [b, *called_so, *left[:1], *copies(search, b)][-1]
    return b


def copies(search: Search, b: Binding) -> list[Binding]:
    """What was made of an array and is the same gradient: the step that is missing is there."""
    right = search.chain.right
    values = {m.value for m in right.get(b, ())}
    same = (a for a in search.suspects if values & {m.value for m in right.get(a, ())})
    return [a for a in same if a is not b and b in before([a])] or [b] * is_copy(search, b, values)


def is_copy(search: Search, b: Binding, values: Collection[Value]) -> bool:
    """Whether an array was made of one that is the same gradient."""
    read = (m.value for a in b.reads for m in search.chain.right.get(a.made, ()))
    return any(value in values for value in read)


def is_same(b: Binding, a: Binding) -> bool:
    """Whether a step of training, a row or a copy was made with this very array."""
    ways = [array for _, array in oriented(a.array, b.array.shape)]
    if b.owner in APART:
        return any(matches(array, b.array) for array in ways)
    return any(np.array_equal(array, b.array) for array in ways)


def is_multiple(search: Search, b: Binding, a: Binding) -> bool:
    """Whether one array is another one times a number; of single numbers of one variable whether it
    is a usual one.
    """
    if not np.any(b.array):
        return False
    if a.array.size == b.array.size == 1:
        factor = float(a.array.item() / b.array.item())
        usual = search.usual - {1.0} if a.path == b.path else {1.0}
        return rounded(factor, a.array, b.array) in usual
    ways = oriented(a.array, b.array.shape)
    return any(constant_factor(b.array, array) is not None for _, array in ways)


def helpers(search: Search, b: Binding) -> list[Binding]:
    """What a wrong array was made of that is no gradient of the graph: what the graph does not have,
    what is called a gradient, and what was bound since the last right one.
    """
    chain = search.chain
    order = {a: i for i, a in enumerate(chain.watched.bindings)}
    order |= {b: max(order[part] for part in b.parts)} if b not in order and b.parts else {}
    gradients = {found.binding for found in search.handed.values()} - {b}
    gradients |= chain.plausible | search.confirmed
    earlier = [order[a] for a in gradients if order.get(a, np.inf) < order.get(b, 0)]
    since = max(earlier, default=0)
    parts = before([b], search.known | gradients)

    def is_odd(name: Binding) -> bool:
        """Whether it is called a gradient, or was bound since, and no such thing is known."""
        is_new = name.owner == b.owner and order[name] > since
        is_odd = is_new and name.made not in chain.forward_firsts
        return name.made not in gradients and (is_odd or chain.is_marked_name(name))

    read = [name for a in parts for name in a.origin.reads if not isinstance(name, Left)]
    found = dict.fromkeys([*(a for a in parts if a is not b), *filter(is_odd, read)])
    mine = (a for a in found if not a.origin.given and not a.origin.is_argument and a in order)
    return sorted(mine, key=order.__getitem__)


# Reasons of which a sum has too little: one of its terms, or nothing.
TOO_LITTLE = ("zero everywhere", "only the gradient that comes through")


def assigned_anew(search: Search, b: Binding, g: Value, reason: str) -> Binding | None:
    """What a loop assigns in place of adding it: what it held before was read by nobody."""
    graph, chain = search.chain.graph, search.chain
    if not reason.startswith(TOO_LITTLE) or len(graph.parts[chain.gradients[g]]) < 2:
        return None
    seen = [a for a in chain.watched.bindings if a.owner != IN_LOOP and not a.origin.given]
    read = {a.made for one in seen for a in one.origin.reads}
    way = before([b], search.known)
    for a, last in itertools.product(seen, way):
        same = a.path == last.path and a.owner == last.owner and a.origin.where is last.origin.where
        if same and a is not last and a.made not in read and last.before is not a:
            return last
    return None
