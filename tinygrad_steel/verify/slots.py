"""The arrays of somebody's chain that are to be the gradients of the leaves: they decide whether it is wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from functools import cached_property, partial

import numpy as np

from ..program.values import Value
from .bindings import Binding
from .chain import Chain, Found, before, fits
from .closeness import constant_factor, matches
from .gathered import IN_LOOP
from .handed_back import HandedBack, is_inside
from .lasting import is_opaque, lasting, lasts
from .optimizers import is_scaled, was_leaf
from .recognise import RESHAPED, SAME, TRANSPOSED, oriented
from .rows import ROW, parts_of_row
from .updates import STEP, Updates


@dataclasses.dataclass(frozen=True, eq=False)
class Slots:
    """The arrays that are to be the gradients of the leaves.

    `right`, `wrong`: by gradient. `missing`: the leaves for which there is none. `back`: what is
    given back. `rate`: by what gradients are multiplied that were seen in a step of training alone.
    """

    right: Mapping[Value, Found]
    wrong: Mapping[Value, Found]
    missing: tuple[Value, ...]
    back: HandedBack
    rate: float | None = None

    @cached_property
    def local(self) -> list[Value]:
        """The leaves with a right gradient that what is given back or kept does not judge."""
        leaf_of = self.back.chain.gradients
        right = ((leaf_of[g], slot.binding) for g, slot in self.right.items() if g in leaf_of)
        return [x for x, binding in right if not self.back.is_judged_by_it(binding, x)]

    @cached_property
    def lost(self) -> list[Value]:
        """Those of these leaves whose gradients nothing holds or has used when the code has ended."""
        if not self.local_at_most or is_opaque(self.back.chain.watched.result):
            return []
        chain, ids = self.back.chain, lasting(self.back.chain.watched)
        return [x for x in self.local_at_most if not is_left(chain, x, ids)]

    @cached_property
    def local_at_most(self) -> list[Value]:
        """The leaves with a right gradient that is not given back: what keeps it may have ended."""
        leaf_of = self.back.chain.gradients
        right = ((leaf_of[g], slot.binding) for g, slot in self.right.items() if g in leaf_of)
        return [x for x, b in right if b.owner >= 0 and not self.back.is_in_returned(b, x)]

    @property
    def misshapen(self) -> list[Value]:
        """The gradients of leaves in another shape than the leaf itself has."""
        found = {**self.right, **self.wrong}
        return [g for g, slot in found.items() if not has_shape(self.back.chain, slot, g)]


def slots_of(chain: Chain) -> Slots:
    """The arrays that are to be the gradients of the leaves."""
    gradient_of = chain.graph.gradient_of
    back = HandedBack(chain)
    leaves = [x for x in chain.leaves if math.prod(x.shape)]  # of no element nothing can be said
    found: dict[Value, Found | None] = {x: leaf_slot(chain, x, back) for x in leaves}
    parts = parts_of_row(chain, leaves)
    is_right_row = all(is_right(chain, part, gradient_of[x]) for x, part in parts.items())
    found |= {x: part for x, part in parts.items() if found[x] is None or not is_right_row}
    found |= {x: returned_multiple(chain, x, back) for x, slot in found.items() if slot is None}
    updates = Updates(chain)
    found |= {x: updates.slot(x) for x, slot in found.items() if slot is None}
    found |= {
        x: step for x, slot in found.items() if (step := step_in_place(updates, x, slot, back))
    }
    lacking = [x for x in leaves if is_lacking(x, found[x], back)]
    found |= by_elimination(chain, found)
    found |= dict.fromkeys(lacking)
    slots = {
        gradient_of[x]: as_it_lies(chain, slot, gradient_of[x]) for x, slot in found.items() if slot
    }
    right = {g: slot for g, slot in slots.items() if is_right(chain, slot, g)}
    wrong = {g: slot for g, slot in slots.items() if g not in right}
    missing = tuple(x for x, slot in found.items() if slot is None)
    is_solved = any(slot.binding.owner == STEP for slot in slots.values())
    return Slots(right, wrong, missing, back, updates.rate if is_solved else None)


def returned_multiple(chain: Chain, x: Value, back: HandedBack) -> Found | None:
    """What is given back and is the gradient of a leaf but for a number, where no right one was seen:
    it decides, and not the step of training that was made with it.
    """
    g = chain.graph.gradient_of[x]
    own = chain.graph.numbers[g]
    places = (name.made for name in back.returned if name.made not in back.states)
    for b in places if own.size > 1 and not back.is_training else ():
        for how, array in oriented(b.array, own.shape):
            if b.array.dtype.kind == "f" and constant_factor(array, own):
                return Found(b, how)
    return None


def step_in_place(updates: Updates, x: Value, slot: Found | None, back: HandedBack) -> Found | None:
    """The step of a leaf in place of a variable that is called its gradient, is wrong and held
    nowhere, as that of one sample alone is, or another thing of another shape.
    """
    chain, g = updates.chain, updates.chain.graph.gradient_of[x]
    if slot is None or is_right(chain, slot, g) or back.holds(slot.binding, x):
        return None
    b, step = slot.binding, updates.slot(x)
    if step is None or b.owner == STEP or is_share(step.binding, b):
        return None
    times = sum(a.path == b.path and a.origin.where is b.origin.where for a in chain.made)
    is_another = not any(True for _ in oriented(b.array, g.shape))
    return step if times > 1 or is_another or is_right(chain, step, g) else None


def is_share(step: Binding, b: Binding) -> bool:
    """Whether an array was subtracted in a step, but for a rate."""
    ways = oriented(b.array, step.array.shape)
    return any(constant_factor(step.array, array) for _, array in ways)


def is_left(chain: Chain, x: Value, ids: set[int]) -> bool:
    """Whether something holds a right gradient of a leaf in the end, or the leaf was changed by it;
    `ids`: of the arrays that are there then.
    """
    right = {found.binding for found in right_for(chain, chain.graph.gradient_of[x])}
    if any(lasts(b, ids) for b in right):
        return True
    own = {b for b, match in chain.forward.items() if any(m.value is x for m in match)}
    updates = (b for b in chain.made if b not in chain.right and not b.origin.given)
    return any(
        not right.isdisjoint(before([b]))
        for b in updates
        if chain.is_parameter(b) or not own.isdisjoint(a.made for a in b.reads)
    )


def is_lacking(x: Value, found: Found | None, back: HandedBack) -> bool:
    """Whether what is given back lacks the gradient of a leaf, which is held nowhere else."""
    if found is None or not back.lacks(x):
        return False
    return not back.holds(found.binding, x)


def as_it_lies(chain: Chain, found: Found, g: Value) -> Found:
    """An array that is to be a gradient, turned as it lies."""
    return (
        found
        if is_known(chain, found, g)
        else found._replace(how=how_it_lies(chain, found.binding, g))
    )


def is_known(chain: Chain, found: Found, g: Value) -> bool:
    """Whether an array is known to be a gradient."""
    return any(m.value is g for m in chain.right.get(found.binding, ()))


def is_right(chain: Chain, found: Found, g: Value) -> bool:
    """Whether an array has the numbers of a gradient, perhaps with other axes of length 1."""
    other = found.how == RESHAPED or found.binding.owner in (STEP, ROW)
    if other and matches(found.array(g), chain.graph.numbers[g], rtol=1e-9):
        return True
    return is_known(chain, found, g)


def has_shape(chain: Chain, found: Found, g: Value) -> bool:
    """Whether an array has the axes of length 1 that the leaf itself has, where that was seen; a
    list of numbers has no axes.
    """
    if found.how != RESHAPED or RESHAPED in chain.ways(chain.gradients[g]):
        return True
    return is_known(chain, found, g) or bool(found.binding.parts)


def right_ones(chain: Chain, slots: Slots) -> dict[Value, Found]:
    """For each gradient an array that is right: the one that is called so, else the first that no
    other gradient has.
    """
    options: dict[Value, list[Found]] = {}
    for b, match in chain.right.items():
        for m in match:
            options.setdefault(m.value, []).append(Found(b, m.how))
    handed = dict(slots.right)
    used = {found.binding for found in (*handed.values(), *slots.wrong.values())}
    for g, founds in options.items():
        if g in handed or g in slots.wrong:
            continue
        named = [f for f in founds if chain.gradients[g] in chain.meanings_of(f.binding)]
        free = [f for f in founds if f.binding not in used]
        if named or free:
            handed[g] = (named or free)[0]
            used.add(handed[g].binding)
    return handed


def how_it_lies(chain: Chain, b: Binding, g: Value) -> str:
    """In which way an array has the shape of a gradient: as what is known of its forward does."""
    ways = [how for how, _ in oriented(b.array, g.shape)]
    seen = chain.ways(chain.gradients[g])
    if not seen:
        return [*ways, SAME][0]
    other = RESHAPED if RESHAPED in ways else SAME
    if seen == {TRANSPOSED} and chain.is_in_columns:
        other = TRANSPOSED
    return next((how for how in ways if how in seen), other)


def leaf_slot(chain: Chain, x: Value, back: HandedBack) -> Found | None:
    """The array that is to be the gradient of a leaf, right or not."""
    g = chain.graph.gradient_of[x]
    right = right_for(chain, g)
    returned = [found for found in right if back.gives_back(found.binding, x)]
    if returned and (back.is_in_order or x in back.claims):
        return returned[0]
    claims = back.claims.get(x, [])
    if len(claims) == 1:
        return Found(claims[0].made)
    again = back.twice(g) if right else None
    if again is not None and not any(back.holds(found.binding, x) for found in right):
        return Found(again.made)
    return slot_by_name(chain, x, right, back)


def slot_by_name(chain: Chain, x: Value, right: list[Found], back: HandedBack) -> Found | None:
    """The array whose name says that it is the gradient of a leaf, or that is right."""
    called = (name for name in chain.last_names if name.made not in back.states)
    names = [name for name in called if chain.meaning_of_name(name) == (x,)]
    is_held = any(back.holds(found.binding, x) for found in right)
    group = group_of(names, x, is_held, back)
    if group:
        return next((found for found in right[::-1] if found.binding in group), Found(group[-1]))
    named = Found(names[-1].made) if names else None
    if not right or (named and not is_held and is_crossed(chain, x, named.binding)):
        return named
    return replacement(chain, x, right, back) or right[0]


def replacement(chain: Chain, x: Value, right: list[Found], back: HandedBack) -> Found | None:
    """What is given back in place of a right gradient, unless that is a parameter."""
    if back.is_training:
        return None
    return replaced(chain, chain.graph.gradient_of[x], {found.binding for found in right})


def group_of(names: list[Binding], x: Value, is_held: bool, back: HandedBack) -> list[Binding]:
    """What is given back under one of these names, else what is kept so; `is_held`: a right array
    is, and what else is kept under such a name may be a part of it.
    """
    group = [name.made for name in names if back.gives_back(name.made, x)]
    if group or is_held:
        return group
    return [name.made for name in names if is_kept_now(name, x, back)]


def is_crossed(chain: Chain, x: Value, named: Binding) -> bool:
    """Whether what has the name of a leaf is the gradient of another one, whose name it lacks."""
    values = {chain.gradients[m.value] for m in chain.right.get(named, ())}
    others = values & chain.graph.wanted
    return bool(others) and x not in values and not others & {*chain.meanings_of(named)}


def is_kept_now(name: Binding, x: Value, back: HandedBack) -> bool:
    """Whether a dict, a list or an object holds in the end what has this name."""
    return name in back.kept if is_inside(name.path) else back.holds(name.made, x)


def right_for(chain: Chain, g: Value) -> list[Found]:
    """The arrays that are this gradient, and were not changed later."""
    kept = ((b, match) for b, match in chain.right.items() if b not in chain.changed)
    found = [Found(b, m.how) for b, match in kept for m in match if m.value is g]
    return sorted(found, key=lambda one: one.how != SAME)


def is_kept(chain: Chain, b: Binding) -> bool:
    """Whether a dict, a list or an object holds it."""
    return any(is_inside(name.path) for name in chain.other_names[b])


def replaced(chain: Chain, g: Value, right: set[Binding]) -> Found | None:
    """What the function gives back in place of a right gradient, which it has made of that; of
    several the one that is most like it.
    """
    if right & chain.returned:
        return None
    places = dict.fromkeys(b.made for b in chain.watched.returned.values())
    new = [b for b in places if b not in chain.right and b not in chain.forward and fits(b, g)]
    made_of_it = [
        b for b in new if right & {a.made for a in b.reads} and not is_update(chain, b, g)
    ]
    own = chain.graph.numbers[g]
    return max(
        map(Found, made_of_it), key=lambda found: likeness(found.binding.array, own), default=None
    )


def likeness(array: np.ndarray, own: np.ndarray) -> float:
    """How much one array has the direction of another one: between 0 and 1."""
    turned = [a for _, a in oriented(array, own.shape)]
    sizes = (np.linalg.norm(own) * np.linalg.norm(a) for a in turned)
    found = (abs(np.vdot(a, own)) / size for a, size in zip(turned, sizes) if size)
    return max((float(like) for like in found if np.isfinite(like)), default=0.0)


def is_update(chain: Chain, b: Binding, g: Value) -> bool:
    """Whether an array may be a parameter after a step: it is made of one, or of what was there
    before, and is no multiple of the gradient.
    """
    there = (a.made for a in b.reads if fits(a, g))
    is_made_of_it = any(a.origin.given or was_leaf(chain, a) for a in there)
    return is_made_of_it and not is_scaled(chain, b, chain.gradients[g])


def by_elimination(chain: Chain, slots: dict[Value, Found | None]) -> dict[Value, Found]:
    """The arrays that are to be the gradients of leaves which nothing else names: what is left in
    what the function gives back and keeps, in the order of the leaves; then what has the name of a
    gradient, in the order of the backward.
    """
    taken = {found.binding for found in slots.values() if found}
    known = {part.made for b in (*taken, *chain.right) for part in b.parts}
    unknown = taken | chain.plausible | {*chain.forward} | chain.changed | known
    left = [b for b in chain.made if b not in unknown and chain.is_new(b) and b.owner != IN_LOOP]
    kept = [b for b in left if b in chain.alive and (b in chain.returned or is_kept(chain, b))]
    kept.sort(key=partial(place_in_container, chain))
    named = [b for b in left if chain.is_marked(b) and np.any(b.array)]
    leaves = [x for x in chain.graph.leaves if x in slots and slots[x] is None]
    found = taken_in_order(chain, leaves, kept)
    used = {slot.binding for slot in found.values()}
    rest = [x for x in leaves if x not in found]
    return found | taken_in_order(chain, rest[::-1], [b for b in named if b not in used])


def taken_in_order(
    chain: Chain, leaves: Iterable[Value], arrays: Iterable[Binding]
) -> dict[Value, Found]:
    """For each leaf the first array that may be its gradient and is no other one's."""
    left, found = [*arrays], {}
    for x in leaves:
        g = chain.graph.gradient_of[x]
        fitting = (b for b in left if fits(b, g) and not chain.is_parameter(b))
        b = next(fitting, None)
        if b is not None:
            found[x] = Found(b)
            left.remove(b)
    return found


def place_in_container(chain: Chain, b: Binding) -> tuple[bool, tuple[int, ...]]:
    """Where something stands in what is given back, or in a list: what is given back first."""
    paths = [path for path, held in chain.watched.returned.items() if held.made is b]
    paths += [name.path for name in chain.other_names[b] if len(name.path) > 1]
    numbers = tuple(key for key in paths[0] if isinstance(key, int)) if paths else ()
    return b not in chain.returned, numbers
