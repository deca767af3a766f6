"""Passes over a Program: `rebuild`, and the rows that say what a reader leaves out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import Op
from .values import VALUES, Apply, Constant, Leaf, Program, Value, alias, apply, constant, key, only

Rule = Callable[[Apply, Collection[Value]], Any]


def rebuild(
    program: Program,
    rule: Rule,
    keep: Collection[Value] = (),
    alone: Collection[Value] = (),
    fixed: Collection[Value] = (),
) -> tuple[Program, dict[Value, Value]]:
    """A new Program in which each Apply is what `rule` makes of it, and where each old value went.

    `rule` gets an Apply whose inputs are new, and the new values that stand for one in `keep`; it
    gives the Apply back, or something of the same shape and dtype in its place, for which it is
    asked in its turn. Equal values become one; of those in `keep`, the second becomes an alias of
    the first. Those in `alone` (random draws) keep their op, and never become one with another.
    Those in `fixed`, and so what they are computed from, stay what they are.
    """
    work = Rebuilding(rule)
    work.kept.update(fixed, [x for x in program.leaves if x in keep])
    for old in program.applies:
        if old in fixed:
            work.finished[old] = old
            work.by_key.setdefault(key(old), old)
            continue
        again = work.on_new_inputs(old)
        if old in alone:
            work.finished[again] = again
        new = again if old in alone else work.settle(again)
        if old in keep:
            new = work.keep(again, new)
        work.finished[old] = new
    finished = dict.fromkeys(work.finished.values())
    applies = tuple(y for y in finished if isinstance(y, Apply))
    results = tuple(map(work.finish, program.results))
    return only(Program(program.leaves, applies, ()), results), work.finished


class Rebuilding:
    """What is known while a Program is rebuilt.

    `finished`: what old values, and those that the rule has made, are in the new Program. `kept`:
    new values that stand for one that is to be kept. `by_key`: key -> the first new Apply with it.
    """

    def __init__(self, rule: Rule):
        self.rule = rule
        self.finished: dict[Any, Any] = {}
        self.kept: set[Value] = set()
        self.by_key: dict[Any, Apply] = {}

    def finish(self, x: Any) -> Any:
        """What becomes of an input, old or new."""
        if x not in self.finished and isinstance(x, Apply):
            self.finished[x] = self.settle(self.on_new_inputs(x))
        return self.finished.get(x, x)

    def on_new_inputs(self, y: Apply) -> Apply:
        """The same op on what becomes of its inputs."""
        return with_inputs(y, map(self.finish, y.inputs))

    def settle(self, y: Apply) -> Any:
        """What becomes of an Apply on new inputs."""
        new = self.rule(y, self.kept)
        if new is not y:
            if (new.shape, new.dtype) != (y.shape, y.dtype):
                raise ValueError(f"{new!r} cannot stand in the place of {y!r}")
            return self.finish(new)
        self.finished[y] = self.by_key.setdefault(key(y), y)
        return self.finished[y]

    def keep(self, again: Apply, new: Value) -> Value:
        """A value of its own for one that is kept: an alias, where `new` is another's already."""
        if new in self.kept or isinstance(new, Constant):
            is_alias = again.op is alias and again.inputs == (new,)
            new = again if is_alias else apply(alias, (new,), {}, new)
            self.finished[new] = new
        self.kept.add(new)
        return new


def with_inputs(y: Apply, inputs: Iterable[Any]) -> Apply:
    """The same op on what its inputs have become."""
    inputs = tuple(inputs)
    return y if inputs == y.inputs else Apply(y.op, inputs, y.params, y.shape, y.dtype)


# Rows


@dataclasses.dataclass
class Known:
    """What rows ask about values, as far as a Program has been rebuilt.

    `late`: those that depend on the gradient of the loss. `kept`: those that stand for a named one.
    `stretched`: gradients that were broadcast to full shape though NumPy would do so by itself.
    """

    late: set[Any]
    kept: Collection[Value] = ()
    stretched: set[Any] = dataclasses.field(default_factory=set)

    def is_stretched(self, x: Any) -> bool:
        """Whether it is a broadcast for the engine's sake."""
        if not isinstance(x, Apply) or x.op is not ops.broadcast_to or x in self.kept:
            return False
        return x in self.late or x in self.stretched

    def stretch(self, small: Any, shape: tuple[int, ...]) -> Any:
        """A small value broadcast to a shape."""
        if small.shape == shape:
            return small
        params = MappingProxyType({"shape": shape})
        y = Apply(ops.broadcast_to, (small,), params, shape, small.dtype)
        self.stretched.add(y)
        return y


@dataclasses.dataclass(frozen=True)
class Row:
    """Values of these ops (None: of any) become what `instead` gives for them, if anything.

    `what`: in words, for whoever reads the table.
    """

    what: str
    ops: frozenset[Op] | None
    instead: Callable[[Apply, Known], Any]


def rewriting(rows: Iterable[Row], start: Value | None = None) -> Rule:
    """A rule for `rebuild`: the first row that changes it; `start`: the gradient of the loss."""
    rows = [*rows]
    known = Known(late={start})

    @functools.cache
    def instead(op: Op) -> list[Callable[[Apply, Known], Any]]:
        """The rows for an op."""
        return [row.instead for row in rows if row.ops is None or op in row.ops]

    def rule(y: Apply, kept: Collection[Value]) -> Any:
        known.kept = kept
        if not known.late.isdisjoint(y.inputs):
            known.late.add(y)
        for change in instead(y.op):
            new = change(y, known)
            if new is not None:
                return new
        return y

    return rule


def without_alias(y: Apply, known: Known) -> Any:
    """What an alias stands for; `rebuild` makes it anew where two kept values are one."""
    return y.inputs[0]


def same_layout(y: Apply, known: Known) -> Any:
    """A vector transposed, an array reshaped to the shape that it has."""
    if len(y.shape) < 2 if y.op is ops.transpose else y.inputs[0].shape == y.shape:
        return y.inputs[0]
    return None


def times_one(y: Apply, known: Known) -> Any:
    """`x * 1`, `x / 1`, `x ** 1`."""
    x, number = y.inputs
    if not equals(number, 1) or not isinstance(x, Leaf | Apply):
        return None
    return x if (x.shape, x.dtype) == (y.shape, y.dtype) else None


def power_zero(y: Apply, known: Known) -> Any:
    """`x ** 0` is one everywhere."""
    exponent = y.inputs[1]
    if isinstance(exponent, int | float) and exponent == 0:
        return known.stretch(constant(y.dtype.type(1)), y.shape)
    return None


def moved_number(y: Apply, known: Known) -> Any:
    """One number everywhere, moved about, is the same number everywhere."""
    x = y.inputs[0]
    if y.op.moves and known.is_stretched(x) and not x.inputs[0].shape:
        return known.stretch(x.inputs[0], y.shape)
    return None


def unstretched(y: Apply, known: Known) -> Any:
    """An elementwise op before the broadcast of its inputs, which comes last, if it is needed."""
    if not y.op.elementwise or not any(map(known.is_stretched, y.inputs)):
        return None
    inputs = tuple(x.inputs[0] if known.is_stretched(x) else x for x in y.inputs)
    shape = np.broadcast_shapes(*(x.shape for x in inputs if isinstance(x, VALUES)))
    return known.stretch(Apply(y.op, inputs, y.params, shape, y.dtype), y.shape)


def equals(x: Any, number: float) -> bool:
    """Whether it is this number, plain or a Constant."""
    if isinstance(x, Constant):
        return not x.shape and bool(x.data == number)
    return isinstance(x, int | float) and x == number


ALIASES = (Row("an alias", frozenset({alias}), without_alias),)
READER = (
    *ALIASES,
    Row("a layout that is there already", frozenset({ops.transpose, ops.reshape}), same_layout),
    Row("x * 1, x / 1, x ** 1", frozenset({ops.multiply, ops.divide, ops.power}), times_one),
    Row("x ** 0", frozenset({ops.power}), power_zero),
    Row("one number everywhere, moved about", None, moved_number),
    Row("a broadcast that NumPy does by itself", None, unstretched),
)
