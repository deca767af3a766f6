"""What somebody's code shows of its conventions: how parameters lie, its own loss, its steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..program.values import Value
from .bindings import Binding
from .chain import Chain, Found, before
from .closeness import matches
from .conventions import batch_sizes, in_conventions, times
from .handed_back import is_descent
from .kept import Applied, Name, listed
from .recognise import TRANSPOSED
from .slots import Slots, slots_of
from .traced_loss import Graph
from .watching import Watched


class Reading(NamedTuple):
    """Somebody's code, read in the conventions that it keeps.

    `factor`: by what all gradients are more than the graph's. `said`: what is to be said of that.
    """

    slots: Slots
    declared: tuple[Name, ...] = ()
    factor: float = 1.0
    said: tuple[Applied, ...] = ()

    def of(self, graph: Graph) -> Graph:
        """A graph in these conventions."""
        return times(graph, self.factor, self.declared)


class Sign(NamedTuple):
    """What shows a convention: by what all gradients are multiplied then, and what to say of it."""

    factor: float
    applied: tuple[Applied, ...] = ()


NO_SIGN = Sign(1.0)


def read(
    graph: Graph, watched: Watched, names: Mapping[str, Any], declared: tuple[Name, ...]
) -> Reading:
    """Somebody's code in the conventions that are declared; without these in those that it shows,
    if fewer gradients are wrong then.
    """

    def slots_in(other: Graph) -> Slots:
        """What is to be the gradients of the leaves, right or wrong by this graph."""
        return slots_of(Chain(other, watched, names))

    if declared:
        found, factor, said = in_conventions(graph, declared, lambda g: len(slots_in(g).right))
        return Reading(slots_in(found), declared, factor, said)
    best = plain = Reading(slots_in(graph))
    for sign in itertools.product(*signs(plain.slots)) if plain.slots.wrong else ():
        factor = float(np.prod([one.factor for one in sign]))
        slots = slots_in(times(graph, factor))
        if len(slots.wrong) < len(best.slots.wrong):
            said = tuple(applied for one in sign for applied in one.applied)
            best = Reading(slots, (), factor, said)
    return best


def signs(slots: Slots) -> list[list[Sign]]:
    """What shows a sum over the batch, and a minus sign, each after its absence."""
    return [[NO_SIGN, *itertools.islice(kind(slots), 2)] for kind in (own_sums, own_ascents)]


def own_sums(slots: Slots) -> Iterator[Sign]:
    """The loss that the code itself has computed, where it is the sum over the batch."""
    chain = slots.back.chain
    graph = chain.graph
    loss = graph.numbers[graph.owner_of[graph.start]]
    scalars = [b for b in chain.made if b.array.size == 1 and b.origin.where.file]
    for n in batch_sizes(graph):
        for b in scalars:
            if np.any(loss) and matches(b.array.reshape(loss.shape), n * loss):
                text = f"every gradient is {n:g} times the graph's, as your loss is: {line(b)}"
                yield Sign(n, (Applied("sum", text, is_strict=False),))
                break


def own_ascents(slots: Slots) -> Iterator[Sign]:
    """A step downhill that is made of a gradient which is wrong as it is: of a parameter of several
    numbers, unless there is none; not where another step subtracts what it is made of.
    """
    leaf_of = slots.back.chain.gradients
    wrong = {g: slot for g, slot in slots.wrong.items() if g in leaf_of}
    large = {g: slot for g, slot in wrong.items() if slot.binding.array.size > 1}
    shown: Binding | None = None
    for g, slot in (large or wrong).items():
        for b in steps_with(slots, leaf_of[g], slot.binding):
            if is_descent(slots.back.chain.graph.numbers[leaf_of[g]], b.array, slot.array(g)):
                return
            if shown is None and slots.back.is_step_of(b, leaf_of[g]):
                shown = b
    if shown is not None:
        text = f"every gradient has a minus sign, and is added to its parameter: {line(shown)}"
        yield Sign(-1.0, (Applied("descent", text, is_strict=False),))


def steps_with(slots: Slots, x: Value, gradient: Binding) -> Iterator[Binding]:
    """What was made of a leaf and of what is to be its gradient."""
    chain = slots.back.chain
    own = {b for b, match in chain.forward.items() if any(m.value is x for m in match)}
    for b in chain.made:
        is_update = b is not gradient and any(a.made in own for a in b.reads)
        if is_update and not b.origin.is_argument and gradient in before([b]):
            yield b


def line(b: Binding) -> str:
    """The statement that has made an array, and where it stands."""
    return f"{b.origin.where.text} ({b.origin.where})"


def turned_parameters(
    chain: Chain, handed: Mapping[Value, Found], spoken: Callable[[Binding], str]
) -> list[Applied]:
    """That gradients of leaves lie as these do, where both are the graph's transposed."""
    turned = {
        chain.gradients[g]: found.binding
        for g, found in handed.items()
        if found.how == TRANSPOSED and chain.gradients[g] in chain.graph.wanted
    }
    if not turned or "columns" in chain.graph.declared:
        return []
    names = listed(map(spoken, turned.values()))
    verb = "are" if len(turned) > 1 else "is"
    is_shown = {*turned} <= chain.lies.keys()
    likewise = "the parameters are" if is_shown else "other matrices are"
    text = f"{names} {verb} the graph's transposed, as {likewise} in your code"
    return [Applied("columns", text, is_strict=is_shown)]
