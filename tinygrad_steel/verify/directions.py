"""Many elements moved at once: ties, where gradients are right only together, and a quick proof."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection

import numpy as np

from .case import Case, Direction, Place, random_weights
from .graph import Found, graph_gradients
from .slopes import ATOL, RTOL, judge, measure


def check_ties(case: Case, kinks: Collection[Place]) -> None:
    """Raise where elements at a kink have slopes that are right alone, and wrong together.

    At a tie max has a kink in each element and none where all of them move together: there its
    gradients add up to 1. Elements of the same size are moved together, and what counts are
    directions that are smooth all around, so that every convention for the kink has the same slope
    there.
    """
    groups: dict[float, list[Place]] = {}
    for i, at in sorted(kinks):
        groups.setdefault(abs(float(case.data[i][at])), []).append((i, at))
    tied = [group for group in groups.values() if len(group) > 1]
    for group in tied[:4]:
        check_tie(case, group)


def check_tie(case: Case, group: list[Place]) -> None:
    """Raise where the gradients of these elements are wrong together."""
    direction = outwards(case, group)
    if not smooth_around(case, direction):
        return
    found = graph_gradients(case)
    graph = found.along(direction)
    if not steady(case, direction, graph):
        return
    f = functools.partial(case.moved, direction)
    slopes = measure(f, 0.0, found.result, found.weights, found.eps)
    verdict = judge(graph, slopes, RTOL, ATOL, lenient=True)
    if verdict.right:
        return
    where = ", ".join(case.element(i, at) for i, at in group[:4])
    more = ", ..." if len(group) > 4 else ""
    raise case.error(
        f"the gradients of {where}{more} are wrong together, as all of these elements "
        f"move at once:\n  {verdict.slope.against(verdict.graph, verdict.road)}"
    )


def outwards(case: Case, group: list[Place]) -> Direction:
    """The direction in which these elements move away from 0 together."""
    direction = {i: np.zeros(case.data[i].shape) for i in case.wanted}
    for i, at in group:
        direction[i][at] = -1.0 if case.data[i][at] < 0 else 1.0
    return direction


def steady(case: Case, direction: Direction, graph: dict[str, float]) -> bool:
    """Whether the graph says the same a little further on.

    A tie's own rounding, by which std divides where all is equal, changes with each step.
    """
    expected = [*graph.values()]
    for k in range(1, 9):
        beside = case.shifted(direction, 1e-5 * k**0.5)
        slopes = graph_gradients(beside).along(direction)
        if not np.allclose([*slopes.values()], expected, 0.01, ATOL):
            return False
    return True


def smooth_around(case: Case, direction: Direction) -> bool:
    """Whether the slopes along a direction are the same on both sides, and at points around."""
    h = 1e-6
    y = case.moved(direction, 0.0)
    sides = [(case.moved(direction, h) - y) / h, (y - case.moved(direction, -h)) / h]
    for seed in range(8):
        shift = {}
        for i, d in direction.items():
            shift[i] = 1e-4 * random_weights(d.shape, 31 + 10 * seed + i) * (d != 0)
        beside = case.shifted(shift, 1.0)
        rise = beside.moved(direction, h) - beside.moved(direction, -h)
        sides.append(rise / (2 * h))
    sides = [*np.broadcast_arrays(*sides)]  # a single NaN is for all
    apart = np.max(np.abs(np.array(sides) - sides[0]), axis=0, initial=0)
    size = np.max(np.abs(sides), initial=0)
    return bool(np.all(apart <= 0.01 * size + ATOL))  # which NaN is not


Bound = Callable[[float, np.ndarray], np.ndarray]
# How far elements move (by at least 1 or at most 1 times their size), and the step.
MOVES: tuple[tuple[Bound, float], ...] = (
    (np.maximum, 1e-3),
    (np.maximum, 1e-5),
    (np.minimum, 1e-3),
)


def agrees_along(case: Case) -> bool:
    """Whether the gradients agree with the slope along a random direction through all elements.

    A no means nothing yet: kinks, cancellation and numbers of very different size are for
    `compare`.
    """
    found = graph_gradients(case)
    for bound, h in MOVES:
        direction = random_direction(case, bound)
        graph = found.along(direction)
        if not np.all(np.isfinite([*graph.values()])):
            return False
        if slope_agrees(case, found, direction, graph, h):
            return True
    return False


def random_direction(case: Case, bound: Bound) -> Direction:
    """A direction that moves each element in proportion to its size, bounded by 1."""
    direction = {}
    for i in case.wanted:
        size = np.abs(case.data[i])
        reach = bound(1.0, np.where(size, size, 1.0))
        direction[i] = random_weights(size.shape, 11 + i) * reach
    return direction


def slope_agrees(
    case: Case, found: Found, direction: Direction, graph: dict[str, float], h: float
) -> bool:
    """Whether differences along a direction are sure, and say what the graph says."""
    ends = [case.moved(direction, t) for t in (h, -h, h / 2, -h / 2)]
    largest = loudest(found, direction)
    if largest == 0 and all(np.array_equal(ends[0], end) for end in ends):
        return True
    whole = float(np.sum(found.weights * (ends[0] - ends[1]))) / (2 * h)
    half = float(np.sum(found.weights * (ends[2] - ends[3]))) / h
    slope = (4 * half - whole) / 3
    noise = 16 * found.eps * float(np.sum(np.abs(found.weights * ends[0]))) / h
    tolerance = ATOL + RTOL * abs(slope) + noise
    sure = noise <= 1e-3 * largest
    return sure and all(abs(g - slope) <= tolerance for g in graph.values())


def loudest(found: Found, direction: Direction) -> float:
    """The largest part that one element has in the slope along a direction."""
    largest = 0.0
    for gradients in found.roads.values():
        for i, d in direction.items():
            part = np.abs(gradients[i] * d)
            largest = max(largest, float(part.max(initial=0.0)))
    return largest
