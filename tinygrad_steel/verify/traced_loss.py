"""A traced loss as verdicts and search look at it: values, and tables beside them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np

from ..program.called import written
from ..program.lines import owners_of
from ..program.texts import Text
from ..program.trace import Traced
from ..program.values import VALUES, Apply, Value, alias, behind, compute
from .words import gradient_names, spelled

NOTHING: Mapping[Any, Any] = MappingProxyType({})

# Of what a gradient is the sum: `(y, g)` for each `y` that adds `g`.
Parts = tuple[tuple[Apply, Value], ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A loss with its gradients.

    `values`: all, inputs first. `numbers`: what each was when traced. `order`: the gradients that
    are computed, from the loss backwards. `forward`: where each value of the forward stands in it.
    `gradient_of`: value -> its gradient. `parts`: value x -> `(y, g)` for each `y` that adds `g` to
    the gradient of `x`. `owner_of`: gradient -> the value whose it is. `late`: what depends on
    `start`, the gradient of the loss. `random`: theirs are the numbers of the one draw that was
    recorded. `names`: those that were given. `called`: what the written source calls the gradients
    of named values, each of which has one of its `lines`. `texts`: how each value is called in a
    sentence. `ages`: of the Tensors of the loss, by the values that stand for them. `declared`: the
    conventions that somebody's chain is said to keep. `factor`: by what all gradients are more than
    those of the loss.
    """

    start: Value
    values: tuple[Value, ...]
    numbers: Mapping[Value, np.ndarray]
    order: tuple[Value, ...]
    leaves: tuple[Value, ...]
    forward: dict[Value, int]
    gradient_of: Mapping[Value, Value]
    parts: Mapping[Value, Parts]
    owner_of: Mapping[Value, Value]
    late: frozenset[Value]
    random: frozenset[Value]
    wanted: frozenset[Value]
    names: Mapping[Value, str]
    called: Mapping[Value, str]
    lines: Mapping[str, str]
    texts: Mapping[Value, Text]
    ages: Mapping[Value, int]
    declared: tuple[str, ...] = ()
    factor: float = 1.0

    def name(self, g: Value) -> str:
        """What the written source calls the gradient of a named Tensor; empty for others, whose
        names nobody knows.
        """
        return self.called.get(g, "")

    def age_of_owner(self, g: Value) -> int | None:
        """The age of the Tensor whose gradient this is; None where it is nobody's."""
        owner = self.owner_of.get(g)
        return None if owner is None else self.ages.get(owner)

    def text(self, x: Any, level: int = 0) -> str:
        """A value in a sentence, for a place where it must hold together so tightly."""
        return self.texts[x].at(level).text if isinstance(x, VALUES) else f"{x:g}"

    def gradient_text(self, y: Value) -> str:
        """The gradient of `y` in a sentence."""
        return self.name(self.gradient_of[y]) or f"the gradient of {self.text(y)}"

    def now(self, x: Any, *tables: Mapping[Value, np.ndarray]) -> Any:
        """A number, or what a value is by the first of these tables that has it, else as it was
        traced.
        """
        if not isinstance(x, VALUES):
            return x
        for table in tables:
            if x in table:
                return table[x]
        return self.numbers[x]

    def behind(self, g: Value) -> Mapping[Value, None]:
        """A value and all from which it is computed, looked for once."""
        if g not in self.known_behind:
            self.known_behind[g] = behind([g])
        return self.known_behind[g]

    @cached_property
    def known_behind(self) -> dict[Value, Mapping[Value, None]]:
        """What was looked for before."""
        return {}

    @cached_property
    def seen(self) -> dict[str, Any]:
        """What a search has recognised in it, by what it has looked for."""
        return {}

    @cached_property
    def called_alike(self) -> dict[str, dict[Value, int]]:
        """The values of the forward that are called the same, with their numbers."""
        found: dict[str, dict[Value, int]] = {}
        for x in self.forward:
            ones = found.setdefault(self.text(x), {})
            ones[x] = len(ones) + 1
        return found

    @cached_property
    def penalties(self) -> set[Value]:
        """What is computed from one parameter, and goes into the loss without meeting another
        array, as a weight decay does.
        """
        arrays: dict[Value, set[Value]] = {}  # of which each value is computed; two of them tell
        for x in self.forward:
            own = {x} if x.op is None and x.shape else set()
            arrays[x] = {*islice(own.union(*(arrays[i] for i in x.values())), 2)}
        found: set[Value] = set()
        for x in [*self.forward][::-1]:
            users = (y for y, _ in self.parts.get(x, ()))
            if len(arrays[x]) == 1 and (math.prod(x.shape) == 1 or found.issuperset(users)):
                found.add(x)
        return found

    def computed(self, x: Value, *tables: Mapping[Value, np.ndarray]) -> np.ndarray:
        """A value from its inputs, as they are by these tables."""
        if x in self.random or not isinstance(x, Apply):
            return self.numbers[x]
        return compute(x, [self.now(i, *tables) for i in x.inputs])


def graph_of(traced: Traced) -> Graph:
    """The Graph of a traced loss."""
    assert traced.start is not None
    texts, lines = written(traced)
    values = [*behind([*traced.forward, *texts, *traced.gradient_of.values()])]
    on_the_way = behind([*values, *(g for _, _, g in traced.edges)])
    called = gradient_names(traced, texts)
    numbers = traced.numbers()
    return Graph(
        start=traced.start,
        values=tuple(values),
        numbers=numbers,
        order=tuple(x for x in values if x in traced.late and x is not traced.start),
        leaves=tuple(traced.leaves),
        forward={x: i for i, x in enumerate(traced.forward)},
        gradient_of=traced.gradient_of,
        parts=addends_of(traced),
        owner_of=owners_of(traced),
        late=traced.late,
        random=traced.random,
        wanted=frozenset(traced.wanted),
        names=traced.names,
        called=called,
        lines=lines,
        texts=spelled(on_the_way, traced, called, numbers),
        ages={x: t.age for t, x in [*traced.made.items()][::-1]},
    )


def addends_of(traced: Traced) -> dict[Value, Parts]:
    """Of what each gradient is the sum; one that is handed on as it is counts as the very one."""
    parts: dict[Value, Parts] = dict.fromkeys(traced.gradient_of, ())
    for y, x, g in traced.edges:
        assert isinstance(y, Apply)
        gy = traced.gradient_of[y]
        handed_on = without_alias(g) is without_alias(gy)
        parts[x] += ((y, gy if handed_on else g),)
    return parts


def without_alias(g: Value) -> Value:
    """The gradient that is handed on under this name."""
    while g.op is alias:
        (g,) = g.inputs
    return g
