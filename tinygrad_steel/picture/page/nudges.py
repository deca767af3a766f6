"""What a gradient promises, put to the test: an element raised a little, and the program run again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...program.trace import Traced
from ...program.values import Apply, Program, Value, evaluate, only

# Of the size of the element, at least of 1, from the first that is good.
STEPS = (1e-3, 1e-4, 1e-5, 1e-2)
CLOSE = 0.005  # how close the slopes on both sides must be: at a kink they are not
WORK = 20_000_000  # numbers that may be computed again for all of a page


def nudges_of(traced: Traced, numbers: Mapping[Value, np.ndarray]) -> dict[Value, dict[str, str]]:
    """For each value with a gradient what happens to the result; leaves come first."""
    if traced.loss.dtype.kind != "f" or math.prod(traced.loss.shape) != 1:
        return {}
    program = only(traced.program, [traced.loss])
    work = 2 * len(STEPS) * sum(math.prod(y.shape) for y in program.applies) or 1
    most = WORK // work
    every = [x for x in traced.gradient_of if x is not traced.loss]
    every.sort(key=lambda x: isinstance(x, Apply))
    found = {}
    for x in every[:most]:
        try:
            nudge = nudged(x, traced, program, numbers)
        except Exception:
            # An op that refuses the changed numbers, as a Cholesky factor does, or a mask that takes
            # another number of them: nothing can be said of this value.
            continue
        if nudge is not None:
            found[x] = nudge
    return found


def nudged(
    x: Value, traced: Traced, program: Program, numbers: Mapping[Value, np.ndarray]
) -> dict[str, str] | None:
    """The element with the largest gradient, raised; None where it says nothing.

    That is at a kink, where the slopes on both sides differ, and where nothing changes.
    """
    g = numbers[traced.gradient_of[x]]
    if x.dtype.kind != "f" or not g.size or not np.all(np.isfinite(g)):
        return None
    at = np.unravel_index(int(np.argmax(np.abs(g))), g.shape)
    before = float(numbers[traced.loss].item())
    if g[at] == 0 or not math.isfinite(before):
        return None
    fixed = held(x, traced, program, numbers)
    if fixed is None:
        return None
    for by, up, down in raised(x, at, traced, program, numbers[x], fixed):
        slopes = (up - before) / by, (before - down) / by
        largest = max(map(abs, slopes))
        if 0 < largest < math.inf and abs(slopes[0] - slopes[1]) <= CLOSE * largest:
            return {
                "at": str([*map(int, at)]) if at else "",
                "by": f"{by:.10g}",
                **both(before, up),
                "slope": f"{slopes[0]:.4g}",
                "grad": f"{float(g[at]):.4g}",
            }
    return None


def held(
    x: Value, traced: Traced, program: Program, numbers: Mapping[Value, np.ndarray]
) -> dict[Value, Any] | None:
    """What stays as it is: all that does not depend on `x`, and what no gradient flows through.

    None where random numbers would be drawn anew.
    """
    found: dict[Value, Any] = {leaf: numbers[leaf] for leaf in program.leaves if leaf in numbers}
    moved: set[Value] = {x}
    for y in program.applies:
        if y is x:
            continue
        if y not in traced.gradient_of or moved.isdisjoint(y.values()):
            found[y] = numbers[y]
        elif y in traced.random:
            return None
        else:
            moved.add(y)
    return found


def raised(
    x: Value,
    at: tuple[Any, ...],
    traced: Traced,
    program: Program,
    array: np.ndarray,
    fixed: Mapping[Value, Any],
) -> Iterator[tuple[float, float, float]]:
    """By how much an element was raised, and the results with so much more and less of it."""
    size = 10.0 ** math.floor(math.log10(max(abs(float(array[at])), 1.0)))
    for step in STEPS:
        results = []
        for sign in (1, -1):
            changed = np.array(array)
            changed[at] += sign * step * size
            found = evaluate(program, {**fixed, x: changed})
            results.append(float(found[traced.loss].item()))
        yield step * size, results[0], results[1]


def both(before: float, after: float) -> dict[str, str]:
    """Two results with as many digits as show how they differ."""
    ratio = abs(before) / abs(after - before) if after != before else 1.0
    digits = min(12, max(7, 3 + math.ceil(math.log10(max(ratio, 1.0)))))
    return {"from": f"{before:.{digits}g}", "to": f"{after:.{digits}g}"}
