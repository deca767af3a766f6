"""Gradients that exist only within a step of training: `W -= rate * (x.T @ d)` changes `W` by one.

A parameter after the step is `W - rate * gradient`; the rate is the one that most of them share.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ..program.values import Value
from .bindings import Binding, Origin
from .chain import Chain, Found
from .closeness import constant_factor, largest, ratio

STEP = -3  # the number of no frame: what a step has changed a parameter by is no variable
NUMBER = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# By how much a difference may be off, relative to its largest element, and as what it is kept then.
LOST = ((1e-11, np.float64), (1e-5, np.float32), (1e-3, np.float16))
AGREE = {8: 1e-6, 4: 1e-3, 2: 3e-2}  # by itemsize, how near rates are that are the same


@dataclasses.dataclass(frozen=True, eq=False)
class Updates:
    """By what somebody's code has changed parameters, as gradients."""

    chain: Chain

    def slot(self, x: Value) -> Found | None:
        """The gradient by which a leaf was changed; None where it was not."""
        g = self.chain.graph.gradient_of[x]
        if g not in self.changes or self.rate is None:
            return None
        how, change = self.changes[g].how, self.changes[g].binding
        array = (change.array.astype(float) / self.rate).astype(change.array.dtype)
        return Found(same_with(change, array), how)

    @cached_property
    def changes(self) -> dict[Value, Found]:
        """By what each leaf was changed in the first step, by its gradient."""
        found: dict[Value, Found] = {}
        for b in self.chain.made:
            for g, how, before in self.parameters_before(b):
                change = change_of(b, before) if g not in found else None
                if change is not None:
                    found[g] = Found(change, how)
        for b in self.chain.made:
            for g, how, before in self.parameters_in(b):
                change = change_of(b, before) if g not in found else None
                step = None if change is None else Found(change, how)
                if step and self.factor(step, g) > 0 and not self.is_multiple(before, step, g):
                    found[g] = step
        for b in (b for b in self.chain.made if b in self.chain.returned):
            for g, how, before in self.parameters_in(b):
                change = change_of(b, before) if g not in found else None
                if change is not None and is_difference(b, before):
                    found[g] = Found(change, how)
        return found

    def parameters_before(self, b: Binding) -> Iterator[tuple[Value, str, Binding]]:
        """The leaf that a variable has held until now, by its gradient, and how it lies."""
        if b.before is not None:
            yield from (found for found in self.parameters_in(b) if found[-1] is b.before.made)

    def parameters_in(self, b: Binding) -> Iterator[tuple[Value, str, Binding]]:
        """The leaves of which an array was made, and has the shape."""
        chain, graph = self.chain, self.chain.graph
        if b.origin.given or b in chain.right or b in chain.forward:
            return
        for a in dict.fromkeys(a.made for a in b.reads):
            for m in chain.forward.get(a, ()) if a.array.shape == b.array.shape else ():
                if m.value in graph.wanted and m.value in graph.gradient_of:
                    yield graph.gradient_of[m.value], m.how, a

    def is_multiple(self, before: Binding, step: Found, g: Value) -> bool:
        """Whether a gradient has the direction of its own parameter, as that of x * x has, and an
        array was made of that parameter alone: any multiple is a step then, and so a wrong gradient
        would be, unless the code shows the rate.
        """
        change, own = step.binding, self.chain.graph.numbers[g]
        if own.size < 2 or not self.factor(Found(before, step.how), g):
            return False
        if any(a.array.shape == change.array.shape for a in change.reads):
            return False
        return not any(np.isclose(self.factor(step, g), number) for number in numbers_in(change))

    def factor(self, found: Found, g: Value) -> float:
        """How many times its gradient a leaf was changed by; 0 where it was by something else."""
        return constant_factor(found.array(g), self.chain.graph.numbers[g]) or 0.0

    @cached_property
    def rate(self) -> float | None:
        """The number by which gradients are multiplied in a step: one that the code shows, else that
        which explains most of them, then one that stands in the statements, then the first.
        """
        shown = [number for x in self.changes.values() if (number := shown_rate(x.binding))]
        if shown:
            return max(shown, key=shown.count)
        numbers = self.chain.graph.numbers
        factors = [self.factor(found, g) for g, found in self.changes.items()]
        sizes = [ratio(found.array(g), numbers[g]) or 0.0 for g, found in self.changes.items()]
        bindings = [found.binding for found in self.changes.values()]
        stated = [number for b in bindings for number in numbers_in(b)]
        near = max((AGREE[b.array.itemsize] for b in bindings), default=0.0)

        def agree(rate: float, found: list[float]) -> int:
            """How many of these are this rate."""
            return sum(abs(number - rate) <= near * rate for number in found)

        known = [abs(number) for number in (*factors, *stated) if number]
        options = known or [abs(size) for size in sizes if size]
        return max(options, key=lambda n: (agree(n, factors), agree(n, stated)), default=None)


def change_of(b: Binding, before: Binding) -> Binding | None:
    """By what a step has changed a parameter; None where nothing is left of it but rounding."""
    after = b.array if b.first is None else b.first
    change = before.array.astype(float) - after
    size = largest(change)
    eps = max(float(np.finfo(a.dtype).eps) for a in (before.array, after) if a.dtype.kind == "f")
    lost = 4 * eps * largest(before.array) / size if size else np.inf
    kept = next((dtype for limit, dtype in LOST if lost <= limit), None)
    if kept is None:
        return None
    reads = tuple(a for a in (*b.origin.reads, *b.again) if a.made is not before)
    origin = Origin(b.origin.where, reads)
    found = Binding((f"the step of {b.name}",), STEP, change.astype(kept), origin)
    found.parts = (b,)
    return found


def is_difference(b: Binding, before: Binding) -> bool:
    """Whether an array is a parameter less a multiple of one that was read beside it, whatever that
    is: a gradient with a weight decay has other shares of both.
    """
    change = before.array.astype(float) - b.array
    others = (a.made for a in b.reads if a.made is not before and a.array.shape == b.array.shape)
    return any(constant_factor(change, a.array) for a in others if np.any(a.array))


def shown_rate(change: Binding) -> float | None:
    """The number in a statement by which it multiplies an array, where that is the whole change."""
    arrays = [a.made.array for a in change.reads if a.array.shape == change.array.shape]
    factors = [constant_factor(change.array, array) for array in arrays if np.any(array)]
    near = AGREE[change.array.itemsize]
    stated = numbers_in(change)
    for factor in filter(None, factors):
        if any(abs(number - abs(factor)) <= near * number for number in stated):
            return abs(factor)
    return None


def same_with(b: Binding, array: np.ndarray) -> Binding:
    """The same with other numbers."""
    found = Binding(b.path, b.owner, array, b.origin)
    found.parts = b.parts
    return found


def numbers_in(b: Binding) -> list[float]:
    """The numbers that a statement's variables hold, as a rate often is, and those that stand in it."""
    written = map(float, NUMBER.findall(b.origin.where.text))
    held = (a.array.item() for a in b.origin.reads if a.array.size == 1)
    return [*dict.fromkeys(abs(float(number)) for number in (*held, *written))]
