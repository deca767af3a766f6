"""A forward of somebody's own that is another one than the graph's: the first value that differs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..program.names import identifier
from ..program.values import Apply, Value
from .chain import Chain, before, fits
from .closeness import distance, largest, matches
from .faults.question import UNFIT, cost
from .meaning import likeness, parts_of_path
from .recognise import as_floats, oriented
from .report import WRONG, Step
from .slots import Slots
from .watching import Binding

# What may be computed to see whether a forward that differs explains the gradients, in the units of
# a Budget.
WORK = 1e9


class Differing(NamedTuple):
    """The first array of a forward that is not what the graph has for this value."""

    binding: Binding
    value: Value


def other_forward(chain: Chain, slots: Slots) -> Differing | None:
    """The first value of the forward that somebody's code has otherwise than the graph: by its name,
    or since all wrong gradients of leaves follow from it.
    """
    arrays = unknown_arrays(chain, slots)
    return called_so(chain, arrays) or explaining(chain, slots, arrays)


def unknown_arrays(chain: Chain, slots: Slots) -> list[Binding]:
    """The arrays that may be values of a forward, of which wrong gradients of leaves are made."""
    leaves = [found.binding for found in slots.wrong.values()]
    used = before(leaves, chain.right)
    other = {*leaves, *chain.forward, *chain.changed}
    return [b for b in chain.made if b in used and b not in other and not chain.is_marked(b)]


# By its name


def called_so(chain: Chain, arrays: list[Binding]) -> Differing | None:
    """The first that has the name of a value that the graph has otherwise."""
    own = [m for m in chain.meanings if m.owner is None and m.value not in known_values(chain)]
    for b in arrays:
        for meaning in own:
            if fits(b, meaning.value) and is_called(chain, b, meaning.parts):
                return Differing(b, meaning.value)
    return None


def known_values(chain: Chain) -> set[Value]:
    """The values of the forward that somebody's code has as the graph has them."""
    return {m.value for match in chain.forward.values() for m in match}


def is_called(chain: Chain, b: Binding, parts: tuple[str | int, ...]) -> bool:
    """Whether a binding has this name, with or without the container in which it is."""
    names = (parts_of_path(name.path) for name in chain.other_names[b])
    return any(likeness(name, parts) >= 4 * min(len(name), len(parts)) for name in names)


# By what follows from it


def explaining(chain: Chain, slots: Slots, arrays: list[Binding]) -> Differing | None:
    """The first from which all wrong gradients of leaves follow, if it stands for a value of the
    graph that is not there, and the rest of the forward and all of the backward are the graph's.
    """
    if not all(np.all(np.isfinite(found.binding.array)) for found in slots.wrong.values()):
        return None  # much becomes NaN
    known = known_values(chain)
    lacking = [x for x in chain.graph.forward if isinstance(x, Apply) and x not in known]
    work = 0.0
    for b in (b for b in arrays if is_forward(chain, b)):
        for x in (x for x in lacking if fits(b, x)):
            for _, array in oriented(as_floats(b.array), x.shape):
                found: dict[Value, np.ndarray] = {x: np.asarray(array, x.dtype)}
                work += follow(chain, found)
                if all(g in found and is_so(slots, g, found[g]) for g in slots.wrong):
                    return Differing(b, x)
                if work > WORK:
                    return None
    return None


def is_forward(chain: Chain, b: Binding) -> bool:
    """Whether an array may be a value of the forward: no gradient has a part in it."""
    return b.array.dtype.kind == "f" and not any(a in chain.right for a in before([b]))


def follow(chain: Chain, found: dict[Value, np.ndarray]) -> float:
    """Add all that becomes of the graph with what is `found` already; what that costs."""
    graph, work = chain.graph, 0.0
    for x in graph.values:
        if x not in found and any(i in found for i in x.values()):
            try:
                work += cost(x, [graph.now(i, found) for i in x.inputs])
                found[x] = graph.computed(x, found)
            except UNFIT:
                return work
    return work


def is_so(slots: Slots, g: Value, array: np.ndarray) -> bool:
    """Whether somebody has this array as the gradient."""
    own = slots.wrong[g]
    return fits(own.binding, g) and matches(own.array(g), array, 1e-7)


# What to say of it


def forward_step(chain: Chain, b: Binding, x: Value) -> Step:
    """What to say of a value of the forward that differs."""
    name, where = chain.spoken(b), b.origin.where
    since = "before the code runs" if b.origin.given else f"from line {where.line} on"
    own = chain.graph.numbers[x]
    called = chain.graph.names.get(x, "")
    reason = f"your {name} differs from the graph's {since}"
    if not called:
        reason = f"your {name} differs from what the graph computes {since}: your gradients follow"
    array = next(array for _, array in oriented(b.array, own.shape))
    off, size = float(np.max(distance(array, own), initial=0)), largest(own)
    relative = off / size if size else np.inf
    line = chain.graph.lines.get(identifier(called)) if called else None
    code = [line] if line else []
    step = Step(called or name, b.array.shape, off, relative, WRONG, reason, code, name, where)
    parts = (a for a in before([b], {*chain.forward}) if a is not b and not a.origin.given)
    places = dict.fromkeys(a.origin.where for a in parts if a.origin.where != where)
    return step._replace(faults=("other-forward",), helpers=tuple(places))
