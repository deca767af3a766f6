"""How far rounding may take each gradient: it is simulated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..program.values import Value
from .case import is_float
from .closeness import RTOL, finite, largest, ratio
from .float32 import cut, is_short
from .kinks import KINKS, Kink, kinks_of
from .traced_loss import NOTHING, Graph

# Rounding is simulated STRONGER than it is, since what moves by less than one unit in the last
# place does not move. An element may be off by SAFETY times what it was seen to move by.
TRIALS, STRONGER, SAFETY = 3, 8, 2
# Of the largest element, where nothing but the size of terms that cancel speaks for a gradient.
AT_MOST = 1e-3

Arrays = dict[Value, np.ndarray]
# What becomes of a value, which comes out as an array, where those before it have these arrays.
Alter = Callable[[Value, np.ndarray, Mapping[Value, np.ndarray]], Any]


class Noise(NamedTuple):
    """How far rounding may take each element of a gradient.

    `each`: as results on the way to it are rounded. `below`, `above`: where rounding decides on
    which side of a kink something is, by as much as the other side has it lower or higher.
    """

    each: np.ndarray
    below: np.ndarray
    above: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Rounding:
    """How a graph rounds, and a chain in the dtypes of the gradients that were handed over; each
    table when asked.

    `divisors`: numbers by which a chain divides at its end.
    """

    graph: Graph
    handed: Mapping[Value, np.ndarray]
    divisors: tuple[float, ...]

    @cached_property
    def coarsest(self) -> np.dtype[Any]:
        """The float dtype with the fewest digits, in the graph and among what was handed over."""
        numbers = [*self.graph.values, *self.handed.values()]
        dtypes = [x.dtype for x in numbers if is_float(x)]
        return max(dtypes, key=lambda dtype: np.finfo(dtype).eps)

    @property
    def epsilon(self) -> float:
        """Its rounding, relative to the size of a number."""
        return float(np.finfo(self.coarsest).eps)

    @cached_property
    def noise(self) -> dict[Value, Noise]:
        """How far each gradient may be off if all results on the way to it were rounded, each as
        in its own dtype.

        Or as in the coarsest that was handed over: a chain in float32 has float32 everywhere.
        """
        each = self.moved(apart=False)
        sides: Arrays = {x: moved for x, moved in each.items() if x.op in KINKS}
        below, above = self.other_sides(sides)
        return {g: Noise(each[g], below[g], above[g]) for g in self.late()}

    @cached_property
    def noise_apart(self) -> dict[Value, Noise]:
        """The same, where errors do not cancel that cancel where gradients are added: a chain
        may add otherwise.
        """
        each = self.moved(apart=True)
        return {
            g: noise._replace(each=np.maximum(each[g], noise.each))
            for g, noise in self.noise.items()
        }

    @cached_property
    def terms(self) -> dict[Value, Noise]:
        """How far each gradient may be off where no fault explains it: what RTOL allows of the
        size of its terms.
        """
        times = RTOL.get(self.coarsest.itemsize, 1e-9) / (self.epsilon * STRONGER * SAFETY)
        found = {}
        for g, noise in self.noise_apart.items():
            limit = AT_MOST * largest(self.graph.numbers[g])
            each = np.minimum(times * self.noise[g].each, limit)
            found[g] = noise._replace(each=np.maximum(each, noise.each))
        return found

    @cached_property
    def factor(self) -> dict[Value, float]:
        """How far from 1 the number may be by which rounding multiplies a gradient: where what
        divides it cancels.
        """
        found = dict.fromkeys(self.late(), 0.0)
        for values in self.simulated(apart=False):
            for g, before in found.items():
                factor = ratio(finite(values[g]), finite(self.graph.numbers[g]))
                if factor is not None:
                    # A quarter of the strength is several times what rounding does.
                    found[g] = max(before, abs(factor - 1) / 4)
        return found

    @cached_property
    def from_float32(self) -> list[Arrays]:
        """Each value where all leaves were rounded to float32, and where all that has a name in
        the forward was.
        """
        graph = self.graph
        named = {x for x in graph.forward if x in graph.names or x.op is None}
        return [
            rerun(graph, lambda x, y, _: cut(y) if x.op is None else y),
            rerun(graph, lambda x, y, _: cut(graph.numbers[x]) if x in named else y),
        ]

    @cached_property
    def shows_float32(self) -> bool:
        """Whether an array that was handed over is one of float32, or a sum of such, but for a
        divisor.
        """
        divisors = {1.0, *self.divisors}
        return any(is_short(array * d) for array in self.handed.values() for d in divisors)

    @cached_property
    def kinks(self) -> tuple[Kink, ...]:
        """Where something lies exactly at a kink, on no side of it."""
        return kinks_of(self.graph)

    def late(self) -> list[Value]:
        """All gradients, and what is computed of them."""
        return [x for x in self.graph.values if x in self.graph.late]

    def moved(self, apart: bool) -> Arrays:
        """How far rounding takes each element of the gradients, and of what decides on the side
        of a kink.
        """
        numbers, late = self.graph.numbers, self.graph.late
        found = {x: np.zeros(x.shape) for x in self.graph.values if x in late or x.op in KINKS}
        for values in self.simulated(apart):
            for x, moved in found.items():
                if x.op in KINKS:
                    off = side(self.graph, x, values) - side(self.graph, x)
                else:
                    off = values[x] - numbers[x]
                found[x] = np.fmax(moved, SAFETY * finite(np.abs(off)))
        return found

    def simulated(self, apart: bool) -> Iterator[Arrays]:
        """Each value of the graph, TRIALS times, with every result rounded; see `perturbed`."""
        # A chain in few digits has them everywhere.
        handed = max(float(np.finfo(m.dtype).eps) for m in self.handed.values())
        sizes = {
            x: STRONGER * max(handed, float(np.finfo(x.dtype).eps))
            for x in self.graph.values
            if is_float(x)
        }
        for seed in range(TRIALS):
            rng = np.random.default_rng(seed)
            yield rerun(self.graph, perturbed(self.graph, sizes, rng, apart))

    def other_sides(self, moved: Mapping[Value, np.ndarray]) -> tuple[Arrays, Arrays]:
        """How much lower and higher each gradient is where kinks that lie within their noise are
        taken on other sides.

        `moved`: how far what decides on the side of a kink may be off.
        """
        numbers = self.graph.numbers
        below = {g: np.zeros(()) for g in self.late()}
        above = dict(below)
        near = {x: np.abs(side(self.graph, x)) < off for x, off in moved.items()}
        near = {x: where for x, where in near.items() if np.any(where)}
        for seed in range(TRIALS + 1) if near else ():
            values = rerun(self.graph, turning(numbers, near, seed))
            for g in below:
                below[g] = np.fmax(below[g], finite(numbers[g] - values[g]))
                above[g] = np.fmax(above[g], finite(values[g] - numbers[g]))
        return below, above


def rerun(graph: Graph, alter: Alter) -> Arrays:
    """Each value of the graph, where `alter` says what becomes of it."""
    values: Arrays = {}
    for x in graph.values:
        values[x] = alter(x, graph.computed(x, values), values)
    return values


def perturbed(
    graph: Graph, sizes: Mapping[Value, float], rng: np.random.Generator, apart: bool
) -> Alter:
    """Values as rounding to these relative sizes may leave them; on which side of a kink one is
    stays.

    `apart`: gradients alone are rounded, and what cancels in their sums does so no more.
    """

    def alter(x: Value, y: np.ndarray, values: Mapping[Value, np.ndarray]) -> Any:
        old, op, late = graph.numbers[x], x.op, x in graph.late
        if not is_float(x) or (op is not None and op.jumps):
            return old  # on which side of a jump it is, is looked at apart
        chooses = op is not None and op.choosing
        if not chooses and (late or not apart):
            y = y * (1 + sizes[x] * rng.uniform(-1, 1, x.shape))
        if apart and late and op is ops.add:
            moved = [np.abs(values[i] - graph.numbers[i]) for i in x.values()]
            parts = np.max([np.broadcast_to(part, x.shape) for part in moved], axis=0)
            cancels = np.abs(y - old) < 0.1 * parts
            y = y + np.where(cancels, parts, 0) * rng.uniform(-1, 1, x.shape)
        return y

    return alter


def turning(numbers: Mapping[Value, np.ndarray], near: Arrays, seed: int) -> Alter:
    """Kinks that are near taken on the other side: all of them for seed 0, else half of them."""
    rng = np.random.default_rng(seed)

    def alter(x: Value, y: np.ndarray, values: Mapping[Value, np.ndarray]) -> Any:
        if x not in near:
            return y
        which = near[x]
        if seed:
            which = which & (rng.random(x.shape) < 0.5)
        return np.where(which, turned(numbers[x]), numbers[x])

    return alter


def side(graph: Graph, f: Value, values: Mapping[Value, np.ndarray] = NOTHING) -> np.ndarray:
    """What is positive on one side of a kink, and negative on the other."""
    a, *b = (np.asarray(graph.now(x, values), float) for x in f.inputs)
    return a - b[0] if b else a


def turned(sides: np.ndarray) -> np.ndarray:
    """The other side of a kink."""
    return ~sides if sides.dtype == bool else np.where(sides == 0, 1, -sides)
