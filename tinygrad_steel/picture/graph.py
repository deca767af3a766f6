"""What of a graph is drawn, and as what: Tensors inputs first, their names, kinds, the spine."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from typing import TypeVar

from ..engine.tensor import Tensor
from ..program.given_names import GivenNames, Names

# A leaf with such a name is what the result is compared with.
TARGETS = re.compile(r"(y|t|y_true|.*(target|label).*)$", re.IGNORECASE)

LEAVES = ("input", "parameter", "target", "constant")  # kinds of what is not computed

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A graph as far as it is drawn; the keys are its Tensors, each equal to itself alone.

    `every`: all Tensors behind the root, drawn or not. `tensors`: those drawn, inputs first.
    `inputs`, `users`: from what a Tensor was computed, and what was computed from it, among those
    drawn. `names`: empty where there is none. `kinds`: input, parameter, target, constant, op or
    output. `spine`: the way from the root back to the data.
    """

    root: Tensor
    every: list[Tensor]
    tensors: list[Tensor]
    inputs: Mapping[Tensor, list[Tensor]]
    users: Mapping[Tensor, list[Tensor]]
    names: Mapping[Tensor, str]
    kinds: Mapping[Tensor, str]
    spine: list[Tensor]

    @property
    def parameters(self) -> list[Tensor]:
        """The leaves that require a gradient, drawn or not."""
        return [t for t in self.every if t.op is None and t.requires_grad]

    @property
    def steps(self) -> set[tuple[Tensor, Tensor]]:
        """The steps of the spine, each as an input and its result."""
        return {(x, y) for y, x in itertools.pairwise(self.spine)}


def graph_of(root: Tensor, names: Names, depth: int | None) -> Graph:
    """The graph behind a Tensor, drawn at most `depth` steps back."""
    every = reached(root)
    drawn = every if depth is None else reached(root, depth)
    inputs = {t: [x for x in inputs_of(t) if x in drawn] for t in drawn}
    tensors = inputs_first(root, inputs)
    users: dict[Tensor, list[Tensor]] = {t: [] for t in tensors}
    for y in tensors:
        for x in inputs[y]:
            users[x].append(y)
    given = GivenNames(names)
    called = {t: str(given.of(t) or "") for t in tensors}
    kinds = {t: kind_of(t, users[t], called[t]) for t in tensors}
    if root.op is not None:
        kinds[root] = "output"
    spine = find_spine(root, tensors, inputs, kinds)
    return Graph(root, [*every], tensors, inputs, users, called, kinds, spine)


def inputs_of(t: Tensor) -> list[Tensor]:
    """The inputs that are Tensors, in order; a mask takes no more than the shape of its own."""
    if t.op is not None and t.op.draws:
        return []
    return [x for x in t.inputs if isinstance(x, Tensor)]


def reached(root: Tensor, depth: int | None = None) -> dict[Tensor, None]:
    """All behind `root` and itself, or those at most `depth` steps back."""
    found = {root: None}
    front = found
    while front and depth != 0:
        before = dict.fromkeys(x for t in front for x in inputs_of(t))
        front = {x: None for x in before if x not in found}
        found |= front
        depth = None if depth is None else depth - 1
    return found


def inputs_first(root: T, inputs: Mapping[T, list[T]]) -> list[T]:
    """All from which `root` is computed and itself, from left to right as the formula has it."""
    order: dict[T, None] = {}
    todo = [root]
    while todo:
        waiting = [x for x in inputs[todo[-1]] if x not in order]
        if waiting:
            todo += reversed(waiting)
        else:
            order.setdefault(todo.pop())
    return [*order]


def kind_of(t: Tensor, users: list[Tensor], name: str) -> str:
    """What a Tensor is in the picture, by what is known of it and of the ops that use it."""
    if t.op is not None:
        return "op"
    if t.requires_grad:
        return "parameter"
    if TARGETS.match(name) or any("labels" in roles(t, y) for y in users):
        return "target"
    return "input" if name else "constant"


def roles(x: Tensor, y: Tensor) -> list[str]:
    """What the op of `y` calls its input `x`."""
    names = y.op.input_names if y.op is not None else ()
    return [name for one, name in zip(y.inputs, names) if one is x]


def find_spine(
    root: Tensor,
    tensors: list[Tensor],
    inputs: Mapping[Tensor, list[Tensor]],
    kinds: Mapping[Tensor, str],
) -> list[Tensor]:
    """The longest way from the root back to the data, or to any leaf where there is no data."""
    has_data = "input" in kinds.values()
    steps: dict[Tensor, int] = {}  # how many lie between it and the data, if it depends on data
    for t in tensors:
        ways = [steps[x] for x in inputs[t] if x in steps]
        is_end = kinds[t] == "input" if has_data else not inputs[t]
        if ways or is_end:
            steps[t] = 1 + max(ways, default=0)
    spine = [root]
    while inputs[spine[-1]]:
        longest = max(inputs[spine[-1]], key=lambda x: (steps.get(x, 0), x.op is not None))
        spine.append(longest)
    return spine
