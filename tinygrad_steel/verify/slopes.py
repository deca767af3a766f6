"""One slope by differences: how it is measured, how sure it is, and the verdict on gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

RTOL, ATOL = 1e-6, 1e-9


@dataclass(frozen=True)
class Slope:
    """What differences say about one element."""

    value: float
    error: float  # how sure that is
    noise: float  # the part of it that comes from rounding
    low: float  # from here ...
    high: float  # ... to here goes the slope at a kink
    drift: float  # how much the slopes on either side change as the step shrinks
    sides: float  # the size of these
    kink: bool
    blind: bool  # the step changes nothing at all: it may be lost in rounding

    def off(self, graph: float, rtol: float, atol: float) -> float:
        """By how many tolerances the graph's value is off."""
        tolerance = atol + rtol * max(abs(graph), abs(self.value)) + self.noise
        return float(np.abs(graph - self.value) / max(tolerance, np.finfo(float).tiny))

    def hears(self, graph: float) -> bool:
        """Whether it is loud enough beside the rounding to tell the graph's value from none."""
        return not self.blind and self.noise <= 1e-3 * max(abs(graph), abs(self.value))

    def allows(self, graph: float) -> bool:
        """Whether the graph's value is a subgradient at a kink."""
        margin = 1e-3 * (self.high - self.low)
        return self.kink and self.low - margin <= graph <= self.high + margin

    def denies(self, graph: float, times: float = 10) -> bool:
        """Whether neither rounding nor a jump explains the graph's value.

        It is off by more than so many `times` what is unsure.
        """
        if np.isfinite(graph):
            apart = smallest = abs(graph - self.value)
        else:
            apart, smallest = max(abs(self.value), self.sides), 0.01
        settled = self.drift < max(smallest, 0.2 * self.sides)
        return bool(times * self.error < apart and (self.kink or settled))

    def supports(self, graph: float) -> bool:
        """Whether the graph's value is as good a guess as the slope itself, not far off."""
        sure = self.error <= 0.1 * max(abs(graph), abs(self.value))
        return sure and abs(graph - self.value) <= 3 * self.error

    def against(self, graph: float, road: str) -> str:
        """Both values, and by how much they are apart."""
        ratio = graph / self.value if self.value else np.inf
        apart = abs(graph - self.value)
        message = (
            f"{road} gives {graph:.10g}, differences give {self.value:.10g}, "
            f"ratio {ratio:.6g}, off by {apart:.3g}"
        )
        if self.kink:
            slopes = f"every slope from {self.low:.6g} to {self.high:.6g} would do"
            return f"{message}\n  a kink: {slopes}"
        if self.error > 0.1 * apart:
            sure = f"differences are sure to {self.error:.1g} only"
            return f"{message}\n  {sure}: the function may jump here"
        return f"{message} (for the sum of the results, randomly weighted)"


@dataclass(frozen=True)
class Difference:
    """What one step to either side says."""

    central: float
    left: np.ndarray  # per element of the result, as two kinks may cancel in the sum
    right: np.ndarray
    blind: bool


def measure(
    f: Callable[[float], np.ndarray], x: float, y: np.ndarray, weights: np.ndarray, eps: float
) -> Iterator[Slope]:
    """The slope of `sum(weights * f(x))` by differences, with one step after another.

    Each is taken twice, whole and half, and extrapolated to 0.
    """
    size = np.sum(np.abs(weights * y))
    for h in steps(x, eps):
        whole = difference(f, x, h, y, weights)
        half = difference(f, x, h / 2, y, weights)
        yield extrapolated(whole, half, noise=16 * eps * size / h)


def steps(x: float, eps: float) -> Iterator[float]:
    """The steps to try at `x`.

    A relative one suits log(1e-6) and 1e9 ** 2, an absolute one sin(1e5), a smaller one what is
    steep, a larger one what is computed in short floats.
    """
    sizes = (1e-3, 1e-5) if eps < 1e-10 else (eps**0.2, eps ** (1 / 3))
    for size in sizes:
        yield size * max(1.0, abs(x))
        yield size * (min(1.0, abs(x)) or 1.0)


def difference(
    f: Callable[[float], np.ndarray], x: float, step: float, y: np.ndarray, weights: np.ndarray
) -> Difference:
    """The slopes across `x`, left and right of it, with this step."""
    up, down = x + step, x - step
    above, below = f(up), f(down)
    return Difference(
        central=np.sum(weights * (above - below)) / (up - down),
        left=weights * (y - below) / (x - down),
        right=weights * (above - y) / (up - x),
        blind=np.array_equal(above, y) and np.array_equal(below, y),
    )


def extrapolated(whole: Difference, half: Difference, noise: float) -> Slope:
    """The slope that a whole and a half step lead to.

    Where the function is smooth, the slopes left and right of it meet as the step shrinks; where
    it jumps, they run away.
    """
    left_end = 2 * half.left - whole.left
    right_end = 2 * half.right - whole.right
    low = np.sum(np.minimum(left_end, right_end))
    high = np.sum(np.maximum(left_end, right_end))
    drift = np.sum(np.abs(half.left - whole.left)) + np.sum(np.abs(half.right - whole.right))
    error = abs(half.central - whole.central) + noise
    return Slope(
        value=(4 * half.central - whole.central) / 3,
        error=error if np.isfinite(error) else np.inf,
        noise=noise,
        low=low,
        high=high,
        drift=drift,
        sides=np.sum(np.abs(half.left)) + np.sum(np.abs(half.right)),
        kink=high - low > 4 * (drift + noise),
        blind=whole.blind and half.blind,
    )


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one element."""

    right: bool
    kink: bool  # or, on inputs of the check's own, a place where differences are not sure
    off: float  # by how many tolerances
    road: str
    graph: float
    slope: Slope  # the surest
    quiet: bool = False  # no step told anything from nothing


def judge(
    graph: dict[str, float], slopes: Iterator[Slope], rtol: float, atol: float, lenient: bool
) -> Verdict:
    """The gradients of one element against its slopes: right as soon as one of these agrees.

    A slope that is lost in rounding agrees with everything, with a gradient of zero above all,
    and does not count. `lenient`: wrong only where that is sure.
    """
    seen: list[Slope] = []
    for slope in slopes:
        seen.append(slope)
        verdict = furthest(graph, slope, rtol, atol)
        if verdict.off <= 1 and slope.hears(verdict.graph):
            return verdict
    surest = min(seen, key=lambda slope: slope.error)
    verdict = furthest(graph, surest, rtol, atol)
    backward, grad = graph.values()
    if np.isclose(backward, grad, rtol, atol):
        verdict = replace(verdict, road="the graph")
    return judge_all(graph, seen, verdict, lenient)


def furthest(graph: dict[str, float], slope: Slope, rtol: float, atol: float) -> Verdict:
    """The road whose gradient is furthest from a slope, as if it were right."""
    off, road, g = max((slope.off(g, rtol, atol), road, g) for road, g in graph.items())
    return Verdict(True, slope.kink, off, road, g, slope)


def judge_all(
    graph: dict[str, float], seen: Sequence[Slope], verdict: Verdict, lenient: bool
) -> Verdict:
    """What all slopes together say, where none of them agrees and is heard."""
    values = [*graph.values()]
    heard = [slope for slope in seen if any(map(slope.hears, values))]
    if verdict.off <= 1 and not any(contradicts(slope, values) for slope in heard):
        return replace(verdict, quiet=not heard)
    at_a_kink = [verdict.slope, seen[-1]] if lenient else [verdict.slope]
    if any(all(map(slope.allows, values)) for slope in at_a_kink):
        return replace(verdict, kink=True)
    unsure = lenient and not any(surely_wrong(g, seen) for g in values)
    off = verdict.off if np.isfinite(verdict.off) else np.inf
    return replace(verdict, right=unsure, kink=unsure or verdict.kink, off=off)


def contradicts(slope: Slope, values: Sequence[float]) -> bool:
    """Whether a slope denies one of the gradients, and no kink excuses it."""
    return any(slope.denies(g) and not slope.allows(g) for g in values)


def surely_wrong(graph: float, slopes: Sequence[Slope]) -> bool:
    """Whether slopes deny a gradient, and none supports it.

    One that denies it beyond all doubt, or two that agree.
    """
    if any(slope.supports(graph) for slope in slopes):
        return False
    if any(slope.denies(graph, times=1000) for slope in slopes):
        return True
    values = sorted(slope.value for slope in slopes if slope.denies(graph))
    return any(high - low <= 0.1 * abs(low) for low, high in itertools.pairwise(values))
