"""What each op sends back by itself, as values of the whole program."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...engine.recording import recording
from ...engine.tensor import Tensor, record_op
from ...program.generators import moved
from ...program.reachable import reachable
from ...program.rewrite import with_inputs
from ...program.trace import Traced, for_reader, trace
from ...program.values import (
    Apply,
    Constant,
    Program,
    Value,
    compute,
    inputs_of,
    key,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Vjps:
    """What an op sends to each of its inputs; None where it sends nothing.

    `late`: what of it depends on the gradient of the result.
    """

    sent: tuple[Value | None, ...]
    late: frozenset[Value]


class SingleOps:
    """The ops of a traced loss one by one.

    In its program what several rules do may be one expression, as `2 * x * G / n`. A step of a page
    shows what one op does with the whole gradient of its result. So the op is traced alone, and
    what its rules compute is added to the program: `numbers` has the arrays of that as well.
    """

    def __init__(self, traced: Traced, numbers: dict[Value, np.ndarray]):
        self.traced, self.numbers = traced, numbers
        self.added: list[Apply] = []
        self.found: dict[Tensor, Vjps | None] = {}
        self.by_key: dict[Any, Apply] = {}
        for y in traced.program.applies:
            self.by_key.setdefault(key(y), y)

    def vjps(self, t: Tensor) -> Vjps | None:
        """What the op of a Tensor sends back; None where its rules do not run on Tensors."""
        if self.traced.start is None:
            return None
        if t not in self.found:
            try:
                self.found[t] = self.followed(t)
            except Exception:
                # Of whatever kind a rule of somebody's own raises where it stands alone: the page
                # says which one, on the arrow of that rule.
                self.found[t] = None
        return self.found[t]

    def followed(self, t: Tensor) -> Vjps:
        """The rules of one op, run on Tensors."""
        assert t.op is not None
        made = self.traced.made
        g = self.traced.gradient_of[made[t]]
        inputs = [self.alone(x) for x in t.inputs]
        drawn = reachable(t.op.forward) if made[t] in self.traced.random else ()
        with recording("all"), moved(drawn):  # nobody's generator is further on afterwards
            result = record_op(t.op, tuple(inputs), t.params)
        result.name = "y"
        alone = for_reader(trace(result, start=Tensor(self.numbers[g], name="g")))
        at: dict[Any, Value] = {alone.start: g, alone.loss: made[t]}
        for x, inner in zip(t.inputs, inputs):
            if isinstance(x, Tensor) and inner.name:
                at[alone.made[inner]] = made[x]
        return self.taken_in(alone, at)

    def taken_in(self, alone: Traced, at: dict[Any, Value]) -> Vjps:
        """What an op sends back that was traced alone; `at`: which of its values are known here."""
        for y in alone.program.applies:
            if y not in at:
                at[y] = self.add(with_inputs(y, (at.get(x, x) for x in y.inputs)))
        assert isinstance(alone.loss, Apply)
        sent = (alone.gradient_of.get(x) for x in alone.loss.inputs)
        late = frozenset(at[x] for x in alone.late)
        return Vjps(tuple(None if x is None else at.get(x, x) for x in sent), late)

    def alone(self, x: Any) -> Any:
        """An input as a leaf with a name, so that it is kept; what is a constant stays one."""
        if not isinstance(x, Tensor):
            return x
        value = self.traced.made[x]
        if isinstance(value, Constant):
            return Tensor(value.data)
        return Tensor(self.numbers[value], x.requires_grad, "x")

    def add(self, y: Apply) -> Apply:
        """A value, which the program may have already."""
        found = self.by_key.setdefault(key(y), y)
        if found not in self.numbers:
            self.numbers[found] = compute(found, inputs_of(found, self.numbers))
            self.added.append(found)
        return found

    def extended(self) -> Traced:
        """The traced loss, with all that was added to its program, as results of it."""
        before, more = self.traced.program, tuple(self.added)
        applies, results = before.applies + more, before.results + more
        return dataclasses.replace(
            self.traced, program=Program(before.leaves, applies, tuple(dict.fromkeys(results)))
        )
