"""What a search is about: a question, the steps of the graph, and mistakes in them."""

from __future__ import annotations

import dataclasses
import math
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.values import Apply, Value, alias, behind, compute
from ..closeness import distance, largest, matches
from ..codes import Code
from ..traced_loss import NOTHING, Graph, Parts
from .factors import Cause

# What one search may cost, in multiplications of a matrix product; an element of another result,
# and an op, cost more.
WORK, ELEMENT, CALL = 5e9, 10, 5e4
# What NumPy raises over shapes and dtypes that do not go together.
UNFIT = (ValueError, IndexError, TypeError)

Arrays = Mapping[Value, np.ndarray]


class Finding(NamedTuple):
    """The answer to why a gradient is wrong.

    `reason`: empty where nothing usual explains it. `codes`: the same for programs, the fault that
    says most first. `values`: the gradients as they are with this fault, from which later ones may
    follow. `ended`: after how many candidates the search was ended; None where all were tried.
    `searched`: whether there was a search at all.
    """

    reason: str = ""
    codes: tuple[Code, ...] = ()
    values: Arrays = NOTHING
    ended: int | None = None
    searched: bool = True


class Mistake(NamedTuple):
    """A value, what people compute in its place (an array, or a function that makes it), how to
    say so, and the code of that; `besides`: those of a second slip in the same step.

    One at the gradient with which a step begins is one at all that hand it on.
    """

    value: Value
    becomes: Any
    words: str
    code: Code
    besides: tuple[Code, ...] = ()

    @property
    def codes(self) -> tuple[Code, ...]:
        """All that it is, the first slip first."""
        return self.code, *self.besides


class Ended(Exception):
    """The search has cost as much as it may."""


class Mismatch(ValueError):
    """A part of what a candidate comes to shows that it is not what was handed over."""


class Budget:
    """What one search may still cost."""

    def __init__(self) -> None:
        self.left = WORK

    def spend(self, work: float) -> None:
        """Count what is computed, before it is: the same on every machine, unlike seconds."""
        self.left -= work
        if self.left < 0:
            raise Ended

    def share(self, work: float, search: Callable[[], Any]) -> Any:
        """What a search finds that may cost so much alone; None where it has not ended by then."""
        rest = self.left - work
        self.left = min(self.left, work)
        try:
            return search()
        except Ended:
            if rest < 0:
                raise
            self.left = 0
        finally:
            self.left += max(rest, 0)


class Pool:
    """What several searches may still cost together, and one of them, and what they have found.

    It is counted as a Budget is, and the questions come in a fixed order: what is found, and what
    is not searched any more, is the same on every machine.
    """

    def __init__(self, left: float, each: float = WORK) -> None:
        self.left = left
        self.each = each
        self.found: dict[Any, Finding] = {}

    def ask(self, question: Question, search: Callable[[Question], Finding]) -> Finding:
        """What a search finds with what is left; the same question is searched once."""
        key = question.key
        if key is None or key not in self.found:
            budget = question.budget
            budget.left = start = max(0, min(budget.left, self.left, self.each))
            found = search(question)
            self.left -= start - budget.left
            if key is None:
                return found
            self.found[key] = found
        return self.found[key]


@dataclasses.dataclass(frozen=True, eq=False)
class Question:
    """Why the gradient `asked` was `given` so, where `expected` follows from those handed over
    before it.

    `causes`: factors by which people get a gradient of this graph wrong. `handed`: all that was
    handed over. `values`: the gradients as they follow from those handed over so far. `spoiled`:
    whether one of these is wrong. `pool`: what it shares with other questions, if it does.
    """

    graph: Graph
    causes: tuple[Cause, ...]
    handed: Arrays
    values: Arrays
    spoiled: bool
    asked: Value
    given: np.ndarray
    expected: np.ndarray
    budget: Budget = dataclasses.field(default_factory=Budget)
    pool: Pool | None = None

    @property
    def key(self) -> Any:
        """What makes it the same question as another one; None where a wrong gradient before it
        has a part in it.
        """
        if self.spoiled:
            return None
        handed = frozenset((g, array.tobytes()) for g, array in self.handed.items())
        return self.graph.start, self.asked, self.given.shape, self.given.tobytes(), handed

    @property
    def own(self) -> np.ndarray:
        """The gradient as the graph itself has it."""
        return self.graph.numbers[self.asked]

    @property
    def fits(self) -> bool:
        """Whether it was given in the right shape."""
        return self.given.shape == self.expected.shape

    def shown(self, array: np.ndarray) -> np.ndarray:
        """An array as the person has it: where all samples are columns, the graph's transposed."""
        return array.T if array.ndim == 2 and "columns" in self.graph.declared else array

    @cached_property
    def row(self) -> slice:
        """The row of a matrix in which it differs most."""
        if self.given.ndim != 2 or not self.fits or not self.given.size:
            return slice(0, 0)
        off = distance(self.given, self.expected)
        row = int(np.argmax(np.max(off, axis=1)))
        return slice(row, row + 1)

    def value(self, x: Any, changed: Arrays = NOTHING) -> Any:
        """A number, or what a value is, given the gradients handed over so far and what has
        `changed`.
        """
        if x in changed:
            return changed[x]
        if x in self.values:
            return self.values[x]
        return self.graph.now(x)

    def compute(self, x: Value, changed: Arrays = NOTHING) -> np.ndarray:
        """A value from its inputs, as these are now."""
        if x in self.graph.random:
            return self.graph.numbers[x]
        return self.apply(x, [self.value(i, changed) for i in x.inputs])

    def apply(self, x: Any, inputs: list[Any]) -> np.ndarray:
        """The op of a value on other inputs."""
        self.budget.spend(cost(x, inputs))
        return compute(x, inputs)

    def replay(
        self, changed: Arrays, path: Iterable[Value], is_answer: bool = False
    ) -> dict[Value, Any]:
        """What becomes of the values of a path, inputs first, where some have changed.

        `is_answer`: Mismatch where that does not answer the question.
        """
        found = dict(changed)
        known = found.keys()
        for x in path:
            if x not in found and not known.isdisjoint(x.inputs):
                if is_answer and x is self.asked:
                    self.look_at_a_row(x, found)
                found[x] = self.compute(x, found)
        return found

    def look_at_a_row(self, x: Value, changed: Arrays) -> None:
        """Mismatch where one row of a product tells that all of it, which costs much more, is
        not the answer.
        """
        if x.op is not ops.matmul or len(x.shape) != 2 or self.given.shape != x.shape:
            return
        a, b = self.value(x.inputs[0], changed), self.value(x.inputs[1], changed)
        if a.ndim == b.ndim == 2:
            self.budget.spend(CALL + b.size)
            if not matches(a[self.row] @ b, self.given[self.row], size=largest(self.given)):
                raise Mismatch


@dataclasses.dataclass(frozen=True, eq=False)
class Gradient:
    """The gradient `g` of a value `x`, in which the mistake may be; `path`: from it to the one
    that is asked about.
    """

    question: Question
    x: Value
    path: list[Value]

    @property
    def g(self) -> Value:
        """The gradient itself."""
        return self.question.graph.gradient_of[self.x]

    @property
    def parts(self) -> Parts:
        """Of what it is the sum: `(y, g)` for each `y` that was computed from `x`."""
        return self.question.graph.parts[self.x]

    @cached_property
    def without(self) -> list[tuple[Apply, Any]]:
        """For each `y` that was computed from `x`, the gradient as it comes through the others,
        if there are any.
        """
        found = []
        for y in dict.fromkeys(y for y, _ in self.parts):
            others = [self.question.value(g) for other, g in self.parts if other is not y]
            if others:
                found.append((y, sum(others)))
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """The way from the gradient `gy` of `y` to `g`, which it adds to that of its input `x`;
    `inner` lies between. `function`: its derivative in words, where the forward writes it out.
    """

    question: Question
    x: Value
    y: Apply
    gy: Value
    g: Value
    inner: list[Apply]
    function: str = ""

    @cached_property
    def given(self) -> np.ndarray:
        """The gradient of `y` as it is now."""
        given: np.ndarray = self.question.value(self.gy)
        return given

    @cached_property
    def start(self) -> dict[Value, None]:
        """All that hand the gradient of `y` on."""
        return handed_on(self.gy)

    @cached_property
    def used(self) -> list[Value]:
        """What lies between, and from what it is computed besides."""
        before = (x for y in self.inner for x in y.values() if x not in self.start)
        return [*dict.fromkeys([*self.inner, *before])]


def step_of(gradient: Gradient, y: Apply, g: Value) -> Step:
    """The Step from the gradient of `y`."""
    graph = gradient.question.graph
    gy = graph.gradient_of[y]
    return Step(gradient.question, gradient.x, y, gy, g, between(graph, gy, g))


def between(graph: Graph, gy: Value, g: Value) -> list[Apply]:
    """What is computed on the way from one gradient to another, inputs first."""
    known: ChainMap[Value, Any] = ChainMap(handed_on(gy), graph.forward)
    return [x for x in behind([g], known) if isinstance(x, Apply)]


def handed_on(g: Value) -> dict[Value, None]:
    """A gradient, and those that it is but for its name and for being broadcast."""
    found = {g: None}
    while g.op in (alias, ops.broadcast_to):
        (g,) = g.inputs
        found[g] = None
    return found


def cost(x: Any, inputs: Iterable[Any]) -> float:
    """What it costs to compute a value from these inputs; ValueError where they broadcast to
    more than they should.
    """
    op = x.op
    shapes: list[tuple[int, ...]] = [getattr(i, "shape", ()) for i in inputs]
    sizes = [math.prod(x.shape), *map(math.prod, shapes)]
    if op is ops.matmul:
        (a, b), (size_a, size_b) = shapes, sizes[1:]
        columns, rows = b[-1] if len(b) > 1 else 1, a[-2] if len(a) > 1 else 1
        return CALL + float(max(size_a * columns, size_b * rows))
    if op is ops.einsum:
        return CALL + math.prod(extents(x.params["subscripts"], shapes).values())
    if op.elementwise and math.prod(np.broadcast_shapes(*shapes)) > max(sizes):
        raise ValueError(f"{op.name} of {shapes} does not fit {x.shape}")
    return CALL + float(ELEMENT * sum(sizes))


def extents(subscripts: str, shapes: list[tuple[int, ...]]) -> dict[str, int]:
    """How far each letter of einsum's runs."""
    terms, _ = ops.letters(subscripts)
    found: dict[str, int] = {}
    for term, shape in zip(terms, shapes):
        found.update(zip(term, shape))
    return found


def fitting(make: Callable[[], Any]) -> Any:
    """What a candidate comes to; None where its shapes or dtypes do not go together: nobody has
    computed that.
    """
    try:
        return make()
    except UNFIT:
        return None
