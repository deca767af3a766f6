"""The first round of a loop of training: the one in which the parameters are those of the graph.

A round ends where the statement that was the first to read a parameter reads what a step has made of
one. What later rounds compute is right or wrong for other parameters, of which the graph says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from ..program.values import Value
from .bindings import Binding
from .meaning import parts_of_name, parts_of_path
from .recognise import Table
from .statements import Path
from .traced_loss import Graph
from .watching import Watched


def first_round(seen: Watched, graph: Graph) -> Watched:
    """What was watched, without what later rounds of training have made."""
    steps = Steps(seen, graph)
    end = steps.end()
    if end is None:
        return seen
    bindings = seen.bindings[:end]
    kept = dict.fromkeys(bindings)
    for b in steps.made & kept.keys():
        if b.first is not None:
            b.array, b.first = b.first, None
            b.again.clear()
    returned: dict[Path, Binding] = {}
    for path, b in seen.returned.items():
        returned[path] = b if b in kept else as_it_was_first(b, kept, steps)
    later = (b for b in returned.values() if b.made not in kept and b.origin.where.file)
    bindings += dict.fromkeys(later)
    return seen._replace(bindings=bindings, returned=returned, is_first_round=True)


class Steps:
    """What steps of training have made of parameters: `made`, these; `after`, what came of them."""

    def __init__(self, seen: Watched, graph: Graph):
        self.bindings = seen.bindings
        self.graph = graph
        leaves = [x for x in graph.leaves if x in graph.wanted and x.shape]
        self.table = Table({x: graph.numbers[x] for x in leaves})
        self.leaves: set[Binding] = set()
        self.made: set[Binding] = set()
        self.after: set[Binding] = set()

    def end(self) -> int | None:
        """Where the second round begins; None where there is none."""
        for b in self.bindings:
            self.note_leaf(b)
        firsts = [i for i, b in enumerate(self.bindings) if self.is_first_step(b)]
        started: set[int] = set()  # the statements that compute with parameters as they were
        for i, b in enumerate(self.bindings):
            if b.made is not b or b.origin.given or b.origin.is_argument or b in self.leaves:
                continue
            reads = [a.made for a in b.reads]
            if self.is_step(b):
                self.made.add(b)
                self.after.add(b)
            elif not self.after.isdisjoint(reads):
                if id(b.origin.where) in started and i > firsts[-1]:
                    return i
                self.after.add(b)
            elif self.is_start(b, reads, is_first=not started):
                started.add(id(b.origin.where))
        return None

    def is_start(self, b: Binding, reads: Iterable[Binding], is_first: bool) -> bool:
        """Whether a forward may begin here: with the first array that is made of a parameter, or one
        of another shape, which is no gradient with a weight decay.
        """
        shapes = {a.array.shape for a in reads if a in self.leaves}
        return bool(shapes) and (is_first or b.array.shape not in shapes)

    def is_first_step(self, b: Binding) -> bool:
        """Whether a step changes a parameter that none has changed before."""
        is_new = b.made is b and b not in self.leaves
        return is_new and b.before is not None and b.before.made in self.leaves

    def note_leaf(self, b: Binding) -> None:
        """Remember an array that is a leaf, as it was before any step; zeros may be anything, as the
        first state of a recurrent network, if they are not called so.
        """
        if b.made is b and any(self.is_leaf(b, m.value) for m in self.table.matches(b.array)):
            self.leaves.add(b)

    def is_leaf(self, b: Binding, x: Value) -> bool:
        """Whether an array with the numbers of a leaf surely is that."""
        if np.any(b.array != b.array.flat[0]):
            return True
        called = parts_of_name(self.graph.names.get(x, ""))
        return called[-1:] == parts_of_path(b.path)[-1:]

    def is_step(self, b: Binding) -> bool:
        """Whether a parameter was bound anew, or changed in place."""
        before = b.before.made if b.before is not None else None
        if before is not None and (before in self.leaves or before in self.made):
            return before.array.shape == b.array.shape
        return False


def as_it_was_first(b: Binding, kept: Collection[Binding], steps: Steps) -> Binding:
    """What the first round has made of what was given back: by the same statement, or as the same
    parameter; itself where only later rounds have it.
    """
    same = (a for a in kept if a.made is a and a.path == b.path)
    twin = next((a for a in same if a.origin.where is b.origin.where), None)
    if twin is not None:
        return twin
    return next((a for a in versions_of(b) if a in steps.made and a in kept), b)


def versions_of(b: Binding) -> Iterator[Binding]:
    """An array, and what it was before."""
    found: Binding | None = b
    while found is not None:
        yield found.made
        found = found.made.before
