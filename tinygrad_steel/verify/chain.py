"""Somebody's chain beside the graph: what its arrays are, by their numbers and by their names."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..program.values import Value
from .bindings import Binding
from .gathered import IN_LOOP
from .meaning import Meaning, aliases, is_marked, meant, parts_of_name, parts_of_path
from .recognise import SAME, TRANSPOSED, Match, Table, as_floats, oriented, turned
from .statements import Path
from .traced_loss import Graph
from .watching import Watched


class Found(NamedTuple):
    """An array that is, or is meant to be, a gradient of the graph.

    `how`: it lies. `scale`: by which all of the chain is multiplied until the gradients of the
    leaves are made, as where these are divided by the batch size.
    """

    binding: Binding
    how: str = SAME
    scale: float = 1

    def array(self, g: Value) -> np.ndarray:
        """The array as the graph would have it."""
        array = as_floats(turned(self.binding.array, g.shape, self.how))
        return array if self.scale == 1 else array / self.scale


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """Somebody's chain beside the graph: what was bound, and which numbers of it are known.

    `names`: the names that were given, in which a text stands for a variable's meaning.
    """

    graph: Graph
    watched: Watched
    names: Mapping[str, Any]

    # The bindings

    @cached_property
    def made(self) -> list[Binding]:
        """The bindings to arrays that were not there before under another name."""
        own = [b for b in self.watched.bindings if b.made is b]
        unbound = (b for b in self.watched.returned.values() if not b.origin.where.file)
        return [*own, *unbound]

    @cached_property
    def other_names(self) -> dict[Binding, list[Binding]]:
        """All the names of an array: binding -> itself, and what was bound to it later."""
        found: dict[Binding, list[Binding]] = {b: [b] for b in self.made}
        for b in self.watched.bindings:
            if b.made is not b:
                found[b.made].append(b)
        return found

    def names_of(self, b: Binding) -> list[Binding]:
        """All the names of an array."""
        return self.other_names.get(b.made, [b])

    @cached_property
    def changed(self) -> set[Binding]:
        """The bindings that were changed later, in place or under their name."""
        in_place = {b.before for b in self.made if b.before and b.before.key == b.key}
        rebound = {b.before for b in self.watched.bindings if b.before}
        kept = {b.made for b in self.watched.returned.values()}
        kept |= {
            b.made
            for b in self.watched.bindings
            if b.made is not b and not b.origin.is_argument and b not in rebound
        }
        return in_place | (rebound - kept)

    @cached_property
    def last(self) -> dict[tuple[int, Path], Binding]:
        """The variables as they were last; what a loop has made has none for all of it."""
        found = self.watched.bindings
        return {(b.owner, b.path): b for b in found if b.owner != IN_LOOP}

    @cached_property
    def alive(self) -> set[Binding]:
        """The arrays that a variable still held when its function had come to its end."""
        return {b.made for b in self.last.values()} | self.returned

    @cached_property
    def last_names(self) -> list[Binding]:
        """The variables as their functions left them, without what was there before."""
        own = (b for b in self.watched.bindings if b.owner != IN_LOOP)
        last = {(b.owner, b.path): b for b in own if not b.origin.is_argument}
        changed = self.changed
        return [b for b in last.values() if not b.made.origin.given and b.made not in changed]

    @cached_property
    def returned(self) -> set[Binding]:
        """What the function gave back."""
        return {b.made for b in self.watched.returned.values()}

    # What is known by its numbers

    @cached_property
    def gradients(self) -> dict[Value, Value]:
        """The gradients that may be recognised -> whose they are: a leaf's, if that of `x - 1` is the
        very one that is handed on to `x`.
        """
        found: dict[Value, Value] = {}
        for x, g in self.graph.gradient_of.items():
            small = math.prod(g.shape) == 1
            if g is not self.graph.start and not (small and not self.is_known(x)):
                found.setdefault(g, x)
                if x in self.graph.wanted and found[g] not in self.graph.wanted:
                    found[g] = x
        return found

    def is_known(self, x: Value) -> bool:
        """Whether a value has a name, or is a leaf: a single number is taken for nothing else."""
        return x in self.graph.names or x in self.graph.wanted

    def gradients_before(self, g: Value) -> set[Value]:
        """The gradients from which one is computed directly, and those behind that of a part of an
        array.
        """
        found, todo = set(), [*g.values()]
        while todo:
            x = todo.pop()
            is_known = x in self.gradients
            if is_known:
                found.add(x)
            if not is_known or self.gradients[x].op is ops.getitem:  # nobody keeps that of a part
                todo += x.values() if x in self.graph.late else []
        return found

    @cached_property
    def gradient_table(self) -> Table:
        """The gradients by their numbers."""
        return Table({g: self.graph.numbers[g] for g in self.gradients})

    @cached_property
    def forward(self) -> dict[Binding, list[Match]]:
        """The bindings that are values of the forward."""
        numbers = self.graph.numbers
        known = {x: numbers[x] for x in self.graph.forward if x.shape or self.is_known(x)}
        table = Table({x: a for x, a in known.items() if a.dtype.kind in "fiub"})
        found = {b: table.matches(b.array) for b in self.made}
        return {b: match for b, match in found.items() if match}

    @cached_property
    def forward_firsts(self) -> set[Binding]:
        """For each value of the forward the first array that has its numbers."""
        first: dict[Value, Binding] = {}
        for b, match in self.forward.items():
            for m in match:
                first.setdefault(m.value, b)
        return {*first.values()}

    def forward_value(self, b: Binding) -> Value | None:
        """The value of the forward that a binding is; of one and what is made of it without a
        change, as by a bias of zeros, the last. None where it may be several.
        """
        place = self.graph.forward
        match = self.forward[b]
        match = [m for m in match if m.how == SAME] or match
        values = sorted({m.value for m in match}, key=lambda x: place.get(x, -1))
        last = values[-1]
        return last if len(values) == 1 or {*values} <= self.graph.behind(last).keys() else None

    @cached_property
    def leaves(self) -> list[Value]:
        """The leaves to which a gradient flows, in their order."""
        graph = self.graph
        return [x for x in graph.leaves if x in graph.wanted and x in graph.gradient_of]

    @cached_property
    def lies(self) -> dict[Value, set[str]]:
        """How each value of the forward lies in somebody's code."""
        found: dict[Value, set[str]] = defaultdict(set)
        for match in (m for found in self.forward.values() for m in found):
            found[match.value].add(match.how)
        return found

    @cached_property
    def parameter_paths(self) -> set[Path]:
        """The variables that hold a leaf, or have held one."""
        leaves = [
            b for b, match in self.forward.items() if {m.value for m in match} & self.graph.wanted
        ]
        return {name.path for b in leaves for name in self.other_names[b]}

    def is_parameter(self, b: Binding) -> bool:
        """Whether an array has the place of a leaf, as it has after a step of training."""
        own = (name for name in self.other_names[b] if not name.origin.is_argument)
        return any(name.path in self.parameter_paths for name in own)

    @cached_property
    def right(self) -> dict[Binding, list[Match]]:
        """The bindings that are gradients of the graph."""
        found = {}
        for b in self.made:
            if self.is_new(b):
                match = [m for m in self.gradient_table.matches(b.array) if self.lies_well(b, m)]
                if match:
                    found[b] = match
        return found

    def is_new(self, b: Binding) -> bool:
        """Whether an array was made by the code, or was there before and is given back."""
        return not b.origin.given or (b in self.returned and b not in self.forward)

    def lies_well(self, b: Binding, match: Match) -> bool:
        """Whether the gradient of a leaf lies as the leaf itself does, where that can be seen."""
        x = self.gradients[match.value]
        ways = self.ways(x)
        return x not in self.graph.wanted or not ways or match.how in ways or b.array.size == 1

    def ways(self, x: Value) -> set[str]:
        """How the gradient of a value may lie: as that does, or as was declared; where neither is
        known it is transposed only if other matrices are, and empty if it may lie in any way.
        """
        seen = self.lies.get(x, set())
        if not is_matrix(x):
            return seen
        if "columns" in self.graph.declared:
            return seen | {TRANSPOSED}
        return seen or ({SAME} if self.orientations == {SAME} else set())

    @cached_property
    def orientations(self) -> set[str]:
        """How matrices of the forward lie in somebody's code."""
        return {how for x, hows in self.lies.items() if is_matrix(x) for how in hows}

    @property
    def is_in_columns(self) -> bool:
        """Whether all matrices are transposed, or are said to be."""
        return "columns" in self.graph.declared or self.orientations == {TRANSPOSED}

    def is_plausible(self, g: Value) -> bool:
        """Whether it is the gradient of what somebody's code has, or what has a name: no other is
        likely to be meant.
        """
        x = self.gradients[g]
        return x in self.graph.names or x in self.lies

    @cached_property
    def plausible(self) -> set[Binding]:
        """What is right, and not by chance."""
        return {
            b for b, match in self.right.items() if any(self.is_plausible(m.value) for m in match)
        }

    # What is known by its name

    @cached_property
    def known_meanings(self) -> dict[tuple[Path, int], tuple[Value, ...]]:
        """What was asked for before."""
        return {}

    @cached_property
    def meanings(self) -> list[Meaning]:
        """What values of the forward are called: by the graph, and in somebody's code."""
        graph = self.graph
        found = [Meaning(parts_of_name(n), x) for x, n in graph.names.items()]
        for b in self.forward:
            x = self.forward_value(b)
            if x is not None:
                names = self.other_names[b]
                found += [Meaning(parts_of_path(name.path), x, name.owner) for name in names]
        return [meaning for meaning in found if meaning.value in graph.gradient_of]

    @cached_property
    def aliases(self) -> dict[str, Value | None]:
        """What the given names say."""
        own = [m for m in self.meanings if m.owner is None]
        return aliases(self.names, own)

    def meanings_of(self, b: Binding) -> tuple[Value, ...]:
        """Whose gradient a binding is, by all of its names."""
        found = [self.meaning_of_name(name) for name in self.names_of(b)]
        return min(filter(None, found), key=len, default=())

    def meaning_of_name(self, name: Binding) -> tuple[Value, ...]:
        """Whose gradient a variable is, by its name."""
        key = name.path, name.owner
        if key not in self.known_meanings:
            of = self.aliases.get(name.name)
            given = () if of is None else (of,)
            own = meant(*key, self.meanings) if name.name not in self.aliases else given
            self.known_meanings[key] = own
        return self.known_meanings[key]

    def is_marked(self, b: Binding) -> bool:
        """Whether one of its names says that it is a gradient."""
        return any(map(self.is_marked_name, self.names_of(b)))

    def is_marked_name(self, name: Binding) -> bool:
        """Whether this name says that it is a gradient."""
        return is_marked(name.path) or name.name in self.aliases

    def spoken(self, b: Binding) -> str:
        """What to call a binding: by a name that says what it is, in the outermost function."""
        names = [n for n in self.names_of(b) if not n.origin.is_argument] or [b]
        plain = [n for n in names if "()" not in n.name] or names
        marked = [n for n in plain if is_marked(n.path)] or plain
        return min(marked, key=lambda n: n.owner).name


# Walking


def is_matrix(x: Value) -> bool:
    """Whether it is seen of a value how it lies."""
    return len(x.shape) == 2 and min(x.shape) > 1


def before(bindings: Iterable[Binding], known: Any = ()) -> dict[Binding, None]:
    """These bindings and all from which they were computed, but for what is known and before it."""
    found: dict[Binding, None] = {}
    todo = [*bindings]
    while todo:
        b = todo.pop()
        if b.made not in found:
            found[b.made] = None
            todo += [a for a in b.made.reads if a.made not in known]
    return found


def fits(b: Binding, g: Value) -> bool:
    """Whether an array has the shape of a gradient, in some way."""
    return any(True for _ in oriented(b.array, g.shape))
