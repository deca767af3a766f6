"""The candidates of a search: each usual mistake of some rounds, in some gradients."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

from .question import Gradient, Mistake, fitting, step_of
from .rounds import Round


def candidates(
    gradients: list[Gradient], rounds: tuple[Round, ...]
) -> Iterator[tuple[Gradient, Mistake]]:
    """Each usual mistake in one of these gradients, and what it makes of that gradient."""
    for kinds in rounds:
        for gradient in gradients:
            for kind in kinds.sums:
                yield from ((gradient, mistake) for mistake in kind(gradient))
            if kinds.steps:
                yield from ((gradient, mistake) for mistake in in_a_part(gradient, kinds))


def in_a_part(gradient: Gradient, kinds: Round) -> Iterator[Mistake]:
    """Mistakes on the way to one part of a gradient, and what they make of all of it."""
    values = [gradient.question.value(g) for _, g in gradient.parts]
    for (y, g), rest in zip(gradient.parts, sums_of_others(values)):
        step = step_of(gradient, y, g)
        if g is step.gy:
            continue
        for kind in kinds.steps:
            for mistake in kind(step):
                whole = fitting(partial(step.with_mistake, mistake, rest))
                if whole is not None:
                    yield mistake._replace(value=gradient.g, becomes=whole)


def sums_of_others(values: list[Any]) -> Iterator[Any]:
    """For each of these the sum of all others, without adding all up for each."""
    behind = [*itertools.accumulate(values[:0:-1], initial=0)]
    before: Any = 0
    for value in values:
        yield before + behind.pop()
        before = before + value
