"""Mistakes with parts: what lies side by side in one array, and whose gradient each part is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.values import Apply, Value
from .places import listed
from .question import Gradient, Mistake, Step

MOST = 4  # parts that may be in any order


def other_part(step: Step) -> Iterator[Mistake]:
    """Another part of the gradient of what was put side by side."""
    question, graph = step.question, step.question.graph
    if step.y.op not in (ops.concatenate, ops.stack):
        return
    for value in step.inner:
        if value.op is not ops.getitem or len(value.inputs) > 1:
            continue
        (whole,) = value.inputs
        came, index = graph.gradient_text(step.y), value.params["index"]
        right = f"{came}{written(index)}"
        for other in other_indices(index, whole.shape):
            words = f"{came}{written(other)} in place of {right}"
            becomes = partial(part_of, question.value(whole), other)
            yield Mistake(value, becomes, words, "wrong-places")


def part_of(array: Any, index: Any) -> Any:
    """The part of an array at an index."""
    return array[index]


def other_indices(index: Any, shape: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
    """Parts of the same size at other places: the first, its neighbours, all others; and parts
    whose elements do not lie side by side.
    """
    index = index if isinstance(index, tuple) else (index,)
    for axis, one in enumerate(index):
        if isinstance(one, int):
            others: list[Any] = [i for i in range(shape[axis]) if i != one]
        elif isinstance(one, slice) and one != slice(None):
            others = other_slices(one, shape[axis])
        else:
            continue
        yield from ((*index[:axis], other, *index[axis + 1 :]) for other in others)


def other_slices(right: slice, n: int) -> list[slice]:
    """Other slices of the same length."""
    start, stop, _ = right.indices(n)
    size = max(1, stop - start)
    starts = [0, start - size, start + size, n - size, *range(n - size + 1)]
    starts = [i for i in dict.fromkeys(starts) if 0 <= i <= n - size and i != start]
    apart = [slice(i, None, n // size) for i in range(n // size) if n % size == 0 and n > size > 1]
    return [*(slice(i, i + size) for i in starts), *apart]


def written(index: Any) -> str:
    """An index as it is written, its full slices left out where they lead."""
    index = index if isinstance(index, tuple) else (index,)
    parts = [in_brackets(one) for one in index]
    led = next((i for i, one in enumerate(index) if one != slice(None)), len(index))
    return f"[{', '.join(['...', *parts[led:]] if led > 1 else parts)}]"


def in_brackets(one: Any) -> str:
    """One part of an index."""
    if not isinstance(one, slice):
        return str(one)
    ends = ("" if end is None else str(end) for end in (one.start, one.stop))
    return ":".join([*ends, *([str(one.step)] if one.step not in (None, 1) else [])])


def swapped(gradient: Gradient) -> Iterator[Mistake]:
    """The gradients of parts that were taken from one array, put back in each other's places."""
    question, graph = gradient.question, gradient.question.graph
    taken: dict[tuple[int, ...], list[tuple[Apply, Value]]] = {}
    for y, part in gradient.parts:
        if y.op is ops.getitem and len(y.inputs) == 1:
            taken.setdefault(y.shape, []).append((y, part))
    for ones in taken.values():
        if not 1 < len(ones) <= MOST:
            continue
        ones.sort(key=lambda one: graph.forward[one[0]])
        came = [question.value(graph.gradient_of[y]) for y, _ in ones]
        rest = question.value(gradient.g) - sum(question.value(part) for _, part in ones)
        for order in itertools.permutations(range(len(ones))):
            moved = [i for i, j in enumerate(order) if i != j]
            if moved:
                texts = [graph.text(ones[i][0]) for i in moved]
                how = "swapped" if len(moved) == 2 else "mixed up"
                words = f"what comes through {listed(texts, 'and')} is {how}"
                whole = put_back(rest, ones, [came[j] for j in order])
                yield Mistake(gradient.g, whole, words, "wrong-places")


def put_back(rest: Any, ones: list[tuple[Apply, Value]], came: list[Any]) -> Any:
    """Gradients added at the places from which parts were taken."""
    whole = np.array(rest)
    for (y, _), g in zip(ones, came):
        whole[y.params["index"]] += g
    return whole
