"""What a function gives back and keeps, as it was last: a place there may say whose gradient it holds."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ..program.values import Value
from .bindings import Binding, Origin
from .chain import Chain, before, fits
from .closeness import constant_factor, matches
from .contents import arrays_in, items
from .layered import by_layer
from .meaning import is_marked, meant, parts_of_path
from .optimizers import is_scaled, states, was_leaf
from .recognise import oriented
from .rows import is_of_parameters
from .statements import Path

GRADIENTS = "gradients"  # what is given back holds these, unless it holds parameters


@dataclasses.dataclass(frozen=True, eq=False)
class HandedBack:
    """What is given back, and what containers hold in the end."""

    chain: Chain

    # The places

    @cached_property
    def returned(self) -> list[Binding]:
        """The places in what was given back, each as a name of what it holds."""
        watched = self.chain.watched
        origin = Origin(watched.returned_at)
        found = watched.returned.items()
        return [Binding(path, -1, b.made.array, origin, None, b.made) for path, b in found]

    @cached_property
    def kept(self) -> list[Binding]:
        """The places in containers and objects, as each was bound last. One that is reached by
        another variable is the same if it means the same leaf there.
        """
        last: dict[object, Binding] = {}
        for b in self.chain.watched.bindings:
            if is_inside(b.path) and not b.origin.is_argument:
                x = self.leaf_of(b)
                last[(b.owner, b.path) if x is None else (x, b.path[1:])] = b
        return [*last.values()]

    @cached_property
    def claims(self) -> dict[Value, list[Binding]]:
        """The places in what was given back whose key or attribute says that they hold the gradient
        of a leaf.
        """
        found: dict[Value, list[Binding]] = defaultdict(list)
        for keyed in self.keyed:
            for x, name in () if self.are_parameters(keyed) else keyed:
                if name.made not in self.states:
                    found[x].append(name)
        for x, names in found.items():
            found[x] = [name for name in names if is_marked(name.path[1:])] or names
        return found

    @cached_property
    def keyed(self) -> list[list[tuple[Value, Binding]]]:
        """For each container that was given back, the leaves that its keys mean, with the places;
        where some keys say that they are of gradients, only these.
        """
        found = []
        for names in self.containers.values():
            keyed = [(x, name) for name in names if (x := self.leaf_of(name)) is not None]
            marked = [(x, name) for x, name in keyed if is_marked(name.path[1:])]
            found.append(marked or keyed)
        return found

    @cached_property
    def is_training(self) -> bool:
        """Whether new parameters are given back: what is beside them may be an optimizer's."""
        return any(map(self.are_parameters, self.keyed))

    @cached_property
    def states(self) -> set[Binding]:
        """What an optimizer keeps, and is no gradient."""
        return states(self.chain)

    def are_parameters(self, keyed: Collection[tuple[Value, Binding]]) -> bool:
        """Whether most of these places hold the leaves themselves, or what they are after a step."""
        return 2 * sum(self.is_parameter(name.made, x) for x, name in keyed) > len(keyed)

    @cached_property
    def containers(self) -> dict[Path, list[Binding]]:
        """The places in what was given back, by the container in which they are."""
        found: dict[Path, list[Binding]] = defaultdict(list)
        for name in self.returned:
            found[name.path[:-1]].append(name)
        return found

    def leaf_of(self, name: Binding) -> Value | None:
        """The leaf whose gradient a place holds by its key or attribute; None where it says nothing."""
        given_back = self.meanings_of_returned.get(name.path) if name.owner < 0 else None
        of = self.chain.meaning_of_name(name) if given_back is None else given_back
        return of[0] if len(of) == 1 and of[0] in self.chain.graph.wanted else None

    @cached_property
    def meanings_of_returned(self) -> dict[Path, tuple[Value, ...]]:
        """Whose gradients the places in what was given back hold, by their keys."""
        meanings = self.chain.meanings
        anywhere = (m if m.owner is None else m._replace(owner=0) for m in meanings)
        table = [*dict.fromkeys(anywhere)]  # no frame is nearer to it than another one
        found: dict[Path, tuple[Value, ...]] = {}
        for path in self.chain.watched.returned:
            says = any(isinstance(part, str) for part in parts_of_path(path[1:]))
            found[path] = meant((GRADIENTS, *path[1:]), -1, table) if says else ()
        return by_layer(self.chain, found)

    def is_parameter(self, b: Binding, x: Value) -> bool:
        """Whether an array is a leaf, or that after a step."""
        forward = self.chain.forward
        own = x in {m.value for m in forward.get(b, ())}
        made_of = (m.value for a in b.reads for m in forward.get(a.made, ()))
        if own or self.chain.is_parameter(b):
            return True
        return x in made_of and not is_scaled(self.chain, b, x)

    # What is held there

    def holds(self, b: Binding, x: Value) -> bool:
        """Whether an array is given back or kept, and not as the gradient of another leaf."""
        places = (name for name in (*self.returned, *self.kept) if name.made is b)
        return any(self.says(name) in (None, x) for name in places)

    def gives_back(self, b: Binding, x: Value) -> bool:
        """Whether an array is given back, and not as the gradient of another leaf."""
        places = (name for name in self.returned if name.made is b)
        return any(self.says(name) in (None, x) for name in places)

    def says(self, name: Binding) -> Value | None:
        """Whose gradient a place holds, if it holds one."""
        x = self.leaf_of(name)
        return x if name.owner >= 0 or name in self.claims.get(x, ()) else None  # type: ignore[arg-type]

    @cached_property
    def right_leaves(self) -> list[Value]:
        """The leaves whose gradients are given back, in that order, each as often as it is there."""
        chain, found = self.chain, []
        for name in self.returned:
            values = [chain.gradients[m.value] for m in chain.right.get(name.made, ())]
            leaves = [x for x in values if x in chain.graph.wanted]
            found += [leaves[0]] if len(leaves) == 1 else []
        return found

    @cached_property
    def is_in_order(self) -> bool:
        """Whether the right gradients of all leaves are given back, in the order of the leaves."""
        return not self.claims and self.right_leaves == self.chain.leaves

    def lacks(self, x: Value) -> bool:
        """Whether containers are given back in which the gradients of other leaves have a key."""
        return bool(self.claims) and x not in self.claims

    def twice(self, g: Value) -> Binding | None:
        """The second place of an array that is given back for two leaves."""
        x = self.chain.gradients[g]
        if x in self.right_leaves:
            return None
        for names in self.containers.values():
            seen: set[Binding] = set()
            for name in names:
                b = name.made
                if (
                    b in seen
                    and self.leaf_of(name) is None
                    and b in self.chain.right
                    and fits(b, g)
                ):
                    return name
                seen.add(b)
        return None

    # What nothing can be said of

    def unjudged(self, slots: Iterable[Binding]) -> list[Binding]:
        """The places whose arrays were computed from right gradients, or nobody knows how, and are
        neither known, nor slots of leaves, nor parameters after a step, nor right ones in a row.
        """
        chain, slots = self.chain, [*slots]
        known = {*slots, *chain.right, *chain.forward, *self.states}
        steps = {part for b in slots for part in b.parts}
        found = []
        for name in self.returned:
            b = name.made
            if b in known or b.array.size < 2 or b.array.dtype.kind != "f":
                continue
            is_derived = not b.origin.where.file or any(a in chain.right for a in before([b]))
            is_trained = any(a in steps or is_of_parameters(chain, a) for a in versions(b))
            is_trained = is_trained or self.is_trained(b)
            if is_derived and not is_trained and not self.is_step(b) and not self.joined(b):
                found.append(name)
        return found

    def is_trained(self, b: Binding) -> bool:
        """Whether an array is a parameter that an optimizer has changed in its place, in another way
        than by a multiple of its gradient.
        """
        graph = self.chain.graph
        for former in (a for a in versions(b) if was_leaf(self.chain, a) and a is not b):
            changed = former.array.astype(float) - b.array
            gradients = (graph.numbers[g] for g in map(graph.gradient_of.get, graph.wanted) if g)
            same = (a for g in gradients for _, a in oriented(g, changed.shape))
            return not any(constant_factor(changed, a) for a in same)
        return False

    def is_step(self, b: Binding) -> bool:
        """Whether an array is a leaf after a step against its gradient."""
        graph = self.chain.graph
        return any(self.is_step_of(b, x) for x in graph.wanted & graph.gradient_of.keys())

    def is_step_of(self, b: Binding, x: Value) -> bool:
        """Whether an array is this leaf after a step against its gradient."""
        graph = self.chain.graph
        own, g = graph.numbers[x], graph.numbers[graph.gradient_of[x]]
        g = g * np.sign(graph.numbers[graph.start])  # in a convention it may have a minus sign
        return is_descent(own, b.array, g)

    def is_judged_by_it(self, b: Binding, x: Value) -> bool:
        """Whether the gradient of a leaf is given back or kept, or what it is used for."""
        return self.holds(b, x) or self.is_in_returned(b, x)

    def is_in_returned(self, b: Binding, x: Value) -> bool:
        """Whether the gradient of a leaf is given back, or what it is used for."""
        steps = (self.is_step_of(name.made, x) for name in self.returned)
        joined = (x in self.joined(name.made) for name in self.returned)
        return self.gives_back(b, x) or any(steps) or any(joined)

    def has_empty_places(self) -> bool:
        """Whether a key or an attribute of what was given back means a leaf, and holds no numbers."""
        keys = [key for key, inner in items(self.chain.watched.result) if is_empty(inner)]
        own = [m for m in self.chain.meanings if m.owner is None]
        meanings = (meant((GRADIENTS, str(key)), -1, own) for key in keys)
        return any(x in self.chain.graph.wanted for found in meanings for x in found)

    def joined(self, b: Binding) -> set[Value]:
        """The leaves whose right gradients an array is, one after the other: in a row, or as the
        rows or columns of a matrix.
        """
        graph = self.chain.graph
        numbers = {x: graph.numbers[graph.gradient_of[x]] for x in self.chain.leaves}
        if b.array.ndim == 1:
            return peeled(b.array, {x: [a.ravel(), a.T.ravel()] for x, a in numbers.items()})
        if b.array.ndim != 2:
            return set()
        rows = {x: [np.atleast_2d(a), np.atleast_2d(a.T)] for x, a in numbers.items()}
        return peeled(b.array, rows) or peeled(b.array.T, rows)


def versions(b: Binding) -> Iterator[Binding]:
    """An array, and what it was before, in place or under its name."""
    found: Binding | None = b
    while found is not None:
        yield found.made
        found = found.made.before


def peeled(array: np.ndarray, parts: Mapping[Value, Iterable[np.ndarray]]) -> set[Value]:
    """The values of which an array is made, each at most once; none where something is left."""
    found: set[Value] = set()
    while len(array):
        for x, ways in parts.items():
            own = next((a for a in ways if len(a) and matches(array[: len(a)], a)), None)
            if own is not None and x not in found:
                found.add(x)
                array = array[len(own) :]
                break
        else:
            return set()
    return found


def is_empty(value: Any) -> bool:
    """Whether something that was given back is no number, and holds none."""
    return not any(True for _ in arrays_in(value, ("",)))


def is_inside(path: Path) -> bool:
    """Whether a variable is a place in a container or an object."""
    return len(path) > 1 and "()" not in str(path[0])


def is_descent(own: np.ndarray, after: np.ndarray, g: np.ndarray) -> bool:
    """Whether an array has become another one by a rate times a gradient, subtracted."""
    factors = (constant_factor(own - a, g) for _, a in oriented(after, own.shape))
    return any(factor is not None and factor > 0 for factor in factors)
