"""A forward of somebody's own that is another one than the graph's: the first value that differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from .. import ops
from ..ops.op import Op
from ..program.names import identifier
from ..program.values import Apply, Value
from .bindings import Binding, Place
from .chain import Chain, Found, before, fits
from .closeness import distance, largest, matches
from .faults.question import UNFIT, cost
from .meaning import likeness, parts_of_path
from .recognise import as_floats, oriented
from .report import WRONG, Step
from .slots import Slots

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
    return (
        called_so(chain, arrays)
        or drawn_otherwise(chain, arrays)
        or explaining(chain, slots, arrays)
    )


def unknown_arrays(chain: Chain, slots: Slots) -> list[Binding]:
    """The arrays that may be values of a forward, of which wrong gradients of leaves are made."""
    leaves = [found.binding for found in slots.wrong.values()]
    used = before(leaves, chain.right)
    other = {*leaves, *chain.forward, *chain.changed}
    return [b for b in chain.made if b in used and b not in other and not chain.is_marked(b)]


# By its name


def called_so(chain: Chain, arrays: list[Binding]) -> Differing | None:
    """The first that has the name of a value that the graph has otherwise."""
    known = known_values(chain)
    own = [m for m in chain.meanings if m.owner is None and m.value not in known]
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


# By what is drawn


def drawn_otherwise(chain: Chain, arrays: list[Binding]) -> Differing | None:
    """The first that is a mask as the graph has one, with other elements that are dropped."""
    known = known_values(chain)
    masks = [x for x in chain.graph.forward if x.op is ops.dropout_mask and x not in known]
    for b in arrays:
        for x in masks:
            if fits(b, x) and is_mask_like(b.array, chain.graph.numbers[x]):
                return Differing(b, x)
    return None


def is_mask_like(array: np.ndarray, mask: np.ndarray) -> bool:
    """Whether an array has the two numbers of a mask and no others."""
    kept = np.max(mask, initial=0)
    return bool(np.any(array) and np.all(np.isclose(array, 0) | np.isclose(array, kept)))


# By what follows from it


def explaining(chain: Chain, slots: Slots, arrays: list[Binding]) -> Differing | None:
    """The first from which all wrong gradients of leaves follow, if it stands for a value of the
    graph that is not there, and the rest of the forward and all of the backward are the graph's.

    What one statement makes in a loop stands for as many values of the graph.
    """
    if not all(np.all(np.isfinite(found.binding.array)) for found in slots.wrong.values()):
        return None  # much becomes NaN
    known = known_values(chain)
    lacking = [x for x in chain.graph.forward if isinstance(x, Apply) and x not in known]
    made_at: dict[Place, list[Binding]] = defaultdict(list)
    candidates = {*arrays, *renamed_values(chain, slots)}
    late = made_of_gradients(chain)
    for b in (b for b in chain.watched.bindings if b in candidates):
        if b.array.dtype.kind == "f" and b.made not in late:
            made_at[b.origin.where].append(b)
    work = 0.0
    for group in made_at.values():
        for stand_in in stand_ins(group, lacking):
            if all(matches(-a, chain.graph.numbers[x]) for x, a in stand_in.items()):
                continue  # a sign in the backward, where no forward has another loss
            work += follow(chain, stand_in)
            x = next(iter(stand_in))
            wrong = telling(chain, slots, x)
            follows = all(is_so(slots.wrong[g], g, stand_in) for g in wrong)
            if follows and not is_refuted(group, slots, stand_in):
                return Differing(group[0], x)
            if work > WORK:
                return None
    return None


def renamed_values(chain: Chain, slots: Slots) -> Iterator[Binding]:
    """The second names of right values, of which wrong gradients of leaves are made: such a name may
    be that of another value.
    """
    used = before(found.binding for found in slots.wrong.values())
    for b in (b for b in chain.forward if b in used):
        names = (n for n in chain.other_names[b] if n is not b and not n.origin.is_argument)
        yield from (n for n in names if not chain.is_marked_name(n))


def made_of_gradients(chain: Chain) -> set[Binding]:
    """The gradients, handed in or not, and what was made of them: no values of a forward."""
    found: set[Binding] = set()
    for b in chain.made:  # what it reads comes before it
        is_gradient = b in chain.right or (b.origin.given and chain.gradient_table.matches(b.array))
        if is_gradient or any(a.made in found for a in b.reads):
            found.add(b)
    return found


def stand_ins(group: list[Binding], lacking: list[Apply]) -> Iterator[dict[Value, np.ndarray]]:
    """What arrays of one statement may be in the graph: one of them any value that is not there,
    several of them the values of an op, as often as a loop comes to it.
    """
    of_op: dict[Op | None, list[Apply]] = defaultdict(list)
    for x in lacking:
        if any(fits(b, x) for b in group):
            of_op[x.op if len(group) > 1 else None].append(x)
    for values in of_op.values():
        each, rest = divmod(len(values), len(group))
        for first in range(0 if rest else each):
            yield from paired(group, values[first::each])


def paired(group: list[Binding], values: list[Apply]) -> Iterator[dict[Value, np.ndarray]]:
    """The arrays as these values, one after the other, as they may lie."""
    if all(fits(b, x) for b, x in zip(group, values)):
        ways = (oriented(as_floats(b.array), x.shape) for b, x in zip(group, values))
        for arrays in zip(*ways):
            yield {x: np.asarray(a, x.dtype) for x, (_, a) in zip(values, arrays)}


def telling(chain: Chain, slots: Slots, x: Value) -> list[Value]:
    """The wrong gradients that tell whether `x` was another value: those of leaves that come in
    after it, if there are any. In those before it the derivative of `x` has a part, which some
    write with its result and some with its inputs.
    """
    needed = chain.graph.behind(x)
    after = [g for g in slots.wrong if chain.gradients[g] not in needed]
    return after or [*slots.wrong]


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


def is_refuted(group: list[Binding], slots: Slots, arrays: Mapping[Value, np.ndarray]) -> bool:
    """Whether a right gradient of a leaf was computed from one of these arrays, and would be another
    one if they stood for a value of the forward.
    """
    made = {b.made for b in group}
    changed = [(g, found) for g, found in slots.right.items() if g in arrays]
    refuting = (found for g, found in changed if not is_so(found, g, arrays))
    return any(made & {*before([found.binding])} for found in refuting)


def is_so(own: Found, g: Value, arrays: Mapping[Value, np.ndarray]) -> bool:
    """Whether somebody has as the gradient what is among these arrays."""
    return g in arrays and fits(own.binding, g) and matches(own.array(g), arrays[g], 1e-7)


# What to say of it


def forward_step(chain: Chain, b: Binding, x: Value) -> Step:
    """What to say of a value of the forward that differs."""
    name, where = chain.spoken(b), b.origin.where
    since = "before the code runs" if b.origin.given else f"from line {where.line} on"
    own = chain.graph.numbers[x]
    called = chain.graph.names.get(x, "")
    reason = f"your {name} differs from the graph's {since}"
    if x in chain.graph.random:
        reason = (
            f"your {name} has other draws than the graph's {called} {since}: draw from a generator "
            f"in the same state, or take the array of the graph"
        )
    elif not called:
        reason = f"your {name} differs from what the graph computes {since}: your gradients follow"
    array = next(array for _, array in oriented(b.array, own.shape))
    off, size = float(np.max(distance(array, own), initial=0)), largest(own)
    relative = off / size if size else np.inf
    line = chain.graph.lines.get(identifier(called)) if called else None
    code = [line] if line else []
    step = Step(called or name, b.array.shape, off, relative, WRONG, reason, code, name, where)
    parts = (a for a in before([b], {*chain.forward}) if a is not b and not a.origin.given)
    places = dict.fromkeys(a.origin.where for a in parts if a.origin.where != where)
    return step._replace(
        faults=("other-forward",), helpers=tuple(places), age=chain.graph.ages.get(x), array=array
    )
