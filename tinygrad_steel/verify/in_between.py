"""What lies between two gradients of a chain: a part of a sum, and a name given a step too early."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..program.values import Value
from .bindings import Binding
from .chain import Chain, Found, fits
from .recognise import Table
from .slots import how_it_lies

ENOUGH = 2  # arrays that tell what another one is used as

if TYPE_CHECKING:
    from .blame import Search


def following_a_right_one(search: Search) -> dict[Value, Found]:
    """The first gradient that follows from a right one in the graph, and the last array that was
    made of that one and can be it, as where a loop makes the same mistake at each step.
    """
    found: dict[Value, Found] = {}
    open_ones = [g for g in search.on_the_way if g not in search.right_there]
    by_name = named_after_the_next(search.chain, search.suspects, open_ones)
    for b in search.suspects:
        if search.is_settled(b):
            continue
        right = {m.value for a in b.reads for m in search.chain.right.get(a.made, ())}
        options = (g for g in search.options(b) if g not in search.right_there)
        following = [g for g in options if right & search.chain.gradients_before(g)]
        if len(following) == 1:
            (g,) = following
            found[g] = Found(b, how_it_lies(search.chain, b, g), search.scale or 1)
    for g, b in (used_as_the_next(search, open_ones) | by_name).items():
        found[g] = Found(b, how_it_lies(search.chain, b, g), search.scale or 1)
    return {g: found[g] for g in [g for g in search.on_the_way if g in found][:1]}


def used_as_the_next(search: Search, open_ones: Iterable[Value]) -> dict[Value, Binding]:
    """Right arrays that are used as the gradient after the one that they are by their numbers: what
    is made of them is what it would be then.
    """
    chain, found = search.chain, dict[Value, Binding]()
    for g in open_ones:
        for b in (b for b in search.behind_leaves if b in chain.right and fits(b, g)):
            right = {m.value for m in chain.right[b]}
            if right & chain.gradients_before(g) and g not in found and is_used_as(search, b, g):
                found[g] = b
    return found


def is_used_as(search: Search, b: Binding, g: Value) -> bool:
    """Whether two or more wrong arrays that were made of an array follow from it as this gradient."""
    graph = search.chain.graph
    made = [a for a in search.suspects if b in {read.made for read in a.reads}]
    made = [a for a in made if not search.is_settled(a)]
    if len(made) < ENOUGH:
        return False
    after = {g: Found(b, how_it_lies(search.chain, b, g), search.scale or 1).array(g)}
    for x in graph.order:
        if x not in after and any(i in after for i in x.values()):
            after[x] = graph.computed(x, after)
    search.computed += len(after)
    table = Table({x: array for x, array in after.items() if x is not g})
    return sum(bool(table.matches(a.array / (search.scale or 1))) for a in made) >= ENOUGH


def is_addend(chain: Chain, b: Binding) -> bool:
    """Whether an array is one of the parts of which a gradient is the sum, and right."""
    seen = chain.graph.seen
    if "addends" not in seen:
        seen["addends"] = addends(chain)
    return bool(seen["addends"].matches(b.array))


def addends(chain: Chain) -> Table:
    """The parts of gradients that are sums, by their numbers."""
    graph = chain.graph
    several = (parts for parts in graph.parts.values() if len(parts) > 1)
    parts = {g for parts in several for _, g in parts}
    arrays = {g: graph.numbers[g] for g in graph.order if g in parts}
    return Table({g: array for g, array in arrays.items() if np.any(array)})


def named_after_the_next(
    chain: Chain, made: list[Binding], open_ones: list[Value]
) -> dict[Value, Binding]:
    """Arrays that have the name of the gradient that follows from what they are by their numbers: a
    step was left out. The first of each.
    """
    found: dict[Value, Binding] = {}
    for b in made:
        following = next_by_name(chain, b, open_ones)
        if len(following) == 1:
            found.setdefault(following[0], b)
    return found


def next_by_name(chain: Chain, b: Binding, open_ones: Iterable[Value]) -> list[Value]:
    """The gradients of which an array has the name, and that follow from the one it is."""
    right = {m.value for m in chain.right.get(b, ())}
    of = {chain.graph.gradient_of.get(x) for x in chain.meanings_of(b)}
    if not right or right & of:
        return []
    named = (g for g in open_ones if g in of and fits(b, g))
    return [g for g in named if right & chain.gradients_before(g)]
