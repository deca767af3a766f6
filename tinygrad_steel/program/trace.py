"""A loss traced: its forward and its backward as one Program, and tables of what is known."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..engine.backward import pull_tensors, seed
from ..engine.recording import Watcher, recording
from ..engine.tensor import Tensor, record_op
from .ancestors import ancestors, refuse_numbers, translated
from .draws import is_random
from .given_names import GivenNames, Names
from .names import first_free
from .rewrite import READER, Rule, rebuild, rewriting
from .values import Apply, Leaf, Program, Same, Value, alias, behind, evaluate


@dataclasses.dataclass(frozen=True)
class Traced:
    """The Program of a loss, its gradients and what else was asked for, and tables beside it.

    `loss`; `forward`, with all that it is computed from, inputs first; and `start`, the gradient of
    the loss with which the backward begins. `leaves`: those of the loss, in the order of their
    first use. `names`: those that were given. `gradient_of`: value -> its gradient, from the loss
    backwards. `edges`: `(y, x, g)` where the gradient of `y` adds `g` to that of its input `x`.
    `tensors`: the Tensor that a leaf, or a Constant of the forward, stands for. `made`: the values
    of the Tensors of the loss, of its gradients and of what else was asked for. `arrays`: those of
    the leaves when traced, and what was drawn at random; `evaluate` gives all others. `random`:
    what draws random numbers.
    """

    program: Program
    loss: Value
    forward: Mapping[Value, None]
    start: Leaf | None
    leaves: tuple[Value, ...]
    names: Mapping[Value, str]
    gradient_of: Mapping[Value, Value]
    edges: tuple[tuple[Value, Value, Value], ...]
    tensors: Mapping[Value, Tensor]
    made: Mapping[Tensor, Value]
    arrays: Mapping[Value, np.ndarray]
    random: frozenset[Value]

    @functools.cached_property
    def late(self) -> frozenset[Value]:
        """What depends on the gradient with which the backward begins."""
        found: set[Any] = {self.start}
        for y in self.program.applies:
            if not found.isdisjoint(y.inputs):
                found.add(y)
        return frozenset(found)

    @property
    def wanted(self) -> list[Value]:
        """The leaves that require a gradient."""
        return [x for x in self.leaves if self.tensors[x].requires_grad]

    def numbers(self) -> dict[Value, np.ndarray]:
        """The array of every value, as it was when the loss was traced."""
        with np.errstate(all="ignore"):  # the loss has warned already, if need be
            return evaluate(self.program, self.arrays)

    def rebuilt(self, rule: Rule) -> Traced:
        """The same after a pass, which keeps the forward and the gradients of named values."""
        named = {g for x, g in self.gradient_of.items() if x in self.names}
        program, moved = rebuild(self.program, rule, named, self.random, self.forward)
        return self.followed(program, moved)

    def followed(self, program: Program, moved: Mapping[Value, Value]) -> Traced:
        """The tables beside another Program, in which the values have moved."""

        def at(x: Any) -> Any:
            return moved.get(x, x)

        return Traced(
            program=program,
            loss=at(self.loss),
            forward=dict.fromkeys(map(at, self.forward)),
            start=self.start,
            leaves=tuple(map(at, self.leaves)),
            names={at(x): name for x, name in self.names.items()},
            gradient_of={at(x): at(g) for x, g in self.gradient_of.items()},
            edges=tuple((at(y), at(x), at(g)) for y, x, g in self.edges),
            tensors=self.tensors,
            made={t: at(x) for t, x in self.made.items()},
            arrays={at(x): array for x, array in self.arrays.items()},
            random=frozenset(map(at, self.random)),
        )


def for_reader(traced: Traced) -> Traced:
    """The backward as one would write it; the forward stays as the user wrote it."""
    return traced.rebuilt(rewriting(READER, traced.start))


# What is computed from the gradients, as by an optimizer's step. It is handed Tensor -> gradient,
# and gives its results and the leaves that it needs besides.
Update = Callable[[Mapping[Tensor, Tensor]], tuple[Iterable[Tensor], Iterable[Tensor]]]


def trace(
    loss: Tensor,
    names: Names = None,
    start: Tensor | None = None,
    outputs: Iterable[Tensor] = (),
    update: Update | None = None,
) -> Traced:
    """Trace a loss of one element, forward and backward, by the very rules that `backward()` runs.

    `names`: variable names for Tensors without a name, such as `locals()`. `start`: the gradient of
    the loss, which may then have several elements. `outputs`: further results of the forward.
    `update`: what is made of the gradients. Raises what `backward()` raises: RuntimeError where no
    gradient flows or where data has changed since, ValueError for a loss of several elements; and
    TypeError for what is no Tensor.
    """
    refuse_numbers([loss])
    start = Tensor(seed(loss, None)) if start is None else start
    notes = BackwardNotes(GivenNames(names))
    with recording("all", notes):
        pull_tensors(loss, start)
    if update is None:
        return traced_from(loss, start, notes, outputs)
    with recording("all"):
        results, leaves = update(notes.gradients)
    return traced_from(loss, start, notes, outputs, results, leaves)


def trace_forward(y: Tensor, names: Names = None, outputs: Iterable[Tensor] = ()) -> Traced:
    """Trace how a Tensor was computed, without any gradient."""
    return traced_from(y, None, BackwardNotes(GivenNames(names)), outputs)


class BackwardNotes(Watcher):
    """Writes down the whole backward; the gradient of a named Tensor becomes a value of its own."""

    def __init__(self, names: GivenNames):
        self.names = names
        self.gradients: dict[Tensor, Tensor] = {}
        self.edges: list[tuple[Tensor, Tensor, Tensor]] = []

    def sent(self, y: Tensor, x: Tensor, g: Tensor) -> None:
        """The gradient of `y` adds `g` to that of `x`."""
        self.edges.append((y, x, g))

    def gradient(self, y: Tensor, g: Tensor) -> Tensor:
        """The whole gradient of `y`, as the rules are to see it."""
        self.gradients[y] = record_op(alias, (g,), {}) if self.names.of(y) else g
        return self.gradients[y]


def traced_from(
    loss: Tensor,
    start: Tensor | None,
    notes: BackwardNotes,
    outputs: Iterable[Tensor] = (),
    updated: Iterable[Tensor] = (),
    outside: Iterable[Tensor] = (),
) -> Traced:
    """The Traced of a loss, of what was noted of its backward, and of what else is computed."""
    outputs, outside = [*outputs], [*outside]
    more = [*outputs, *updated, *outside]
    gradients = [*notes.gradients.values(), *(g for _, _, g in notes.edges)]
    past, others = ancestors([loss]), ancestors(outputs)
    translation = Translation(notes.names)
    translation.add_forward([*past, *others])
    first = None if start is None else translation.leaf(start)
    for t in outside:
        translation.leaf(t)
    translation.add_made(ancestors([*gradients, *more]))
    at = translation.values
    return Traced(
        program=translation.program([loss, *gradients, *more]),
        loss=at[loss],
        forward=behind([*(at[t] for t in past if t.op is not None), at[loss]]),
        start=first,
        leaves=translation.leaves_of(past),
        names=translation.names,
        gradient_of={at[t]: at[g] for t, g in notes.gradients.items()},
        edges=tuple((at[y], at[x], at[g]) for y, x, g in notes.edges),
        tensors=translation.tensors,
        made={t: at[t] for t in (*past, *others, *notes.gradients.values(), *more)},
        arrays=translation.arrays,
        random=frozenset(translation.random),
    )


class Translation:
    """Tensors turned into values, inputs first."""

    def __init__(self, given: GivenNames):
        self.given = given
        self.values: dict[Tensor, Value] = {}
        self.names: dict[Value, str] = {}
        self.tensors: dict[Value, Tensor] = {}
        self.arrays: dict[Value, np.ndarray] = {}
        self.random: set[Value] = set()
        # A named array in an expression is copied at each place where it stands.
        self.of_array: dict[Same, Leaf] = {}

    def add_forward(self, tensors: Iterable[Tensor]) -> None:
        """Tensors that a user has made: leaves, results, and nameless numbers as Constants."""
        for t in tensors:
            if t in self.values:
                continue
            name = self.given.of(t)
            if name and t.op is not None and t.op.draws:  # by default all of them are called mask
                name = first_free([name], self.names.values())
            if t.op is None and (t.shape or t.requires_grad or name):
                self.leaf(t)
            else:
                self.add(t)
            if t.op is None:
                self.tensors.setdefault(self.values[t], t)
            if name:
                self.names.setdefault(self.values[t], name)

    def add_made(self, tensors: Iterable[Tensor]) -> None:
        """Results, and what rules have made: what is without a history is a Constant."""
        for t in tensors:
            if t not in self.values:
                self.add(t)

    def add(self, t: Tensor) -> None:
        """A Tensor as what its op gives, or as a Constant."""
        y = self.values[t] = translated(t, self.values)
        if is_random(t):
            self.random.add(y)
            self.arrays[y] = np.array(t.data)

    def leaf(self, t: Tensor) -> Leaf:
        """A Tensor as a Leaf; the copies of one named array are one."""
        found = Leaf(t.shape, t.dtype)
        array = self.given.array_of(t)
        if array is not None:
            found = self.of_array.setdefault(Same(array), found)
        self.values[t] = found
        self.arrays.setdefault(found, np.array(t.data))
        return found

    def leaves_of(self, forward: list[Tensor]) -> tuple[Value, ...]:
        """What a forward begins with, in the order of first use; a leaf by itself is its own."""
        inputs = (x for t in forward for x in t.inputs)
        used = [x for x in inputs if isinstance(x, Tensor) and x.op is None]
        return tuple(dict.fromkeys(self.values[t] for t in used or forward))

    def program(self, results: Iterable[Tensor]) -> Program:
        """All that is there, in order, of which these are the results."""
        values = dict.fromkeys(self.values.values())
        leaves = tuple(x for x in values if isinstance(x, Leaf))
        applies = tuple(x for x in values if isinstance(x, Apply))
        return Program(leaves, applies, tuple(dict.fromkeys(self.values[t] for t in results)))
