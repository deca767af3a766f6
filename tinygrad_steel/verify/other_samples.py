"""A loop of training by batches of which the first has other samples than the graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .bindings import Binding
from .chain import Chain, before
from .slots import Slots

NOTHING_JUDGED = (
    "the code computes with other samples than the graph's in its first step of training: nothing "
    "could be judged; make the graph of one batch, and hand over one step with that"
)


def other_samples(chain: Chain, slots: Slots) -> str:
    """What to say where the first step of several was made of some of the graph's samples."""
    if not chain.watched.is_first_round or slots.right:
        return ""
    graph = chain.graph
    inputs = [graph.numbers[x] for x in graph.leaves if x not in graph.wanted and x.shape]
    used = [*before(found.binding for found in slots.wrong.values())]
    for own in inputs:
        for axis in {0, own.ndim - 1}:
            samples = np.moveaxis(own, axis, 0)
            seen = {i for b in used for i in some_of(samples, b, axis)}
            if 0 < len(seen) < len(samples):
                return NOTHING_JUDGED
    return ""


def some_of(samples: np.ndarray, b: Binding, axis: int) -> Iterator[int]:
    """Which samples an array consists of, if these are not all."""
    array = b.array
    if array.ndim == samples.ndim:
        array = np.moveaxis(array, axis, 0)
    elif array.shape == samples.shape[1:] and array.ndim:
        array = array[None]
    if array.shape[1:] != samples.shape[1:] or not 0 < len(array) < len(samples):
        return
    places = [np.flatnonzero([np.array_equal(row, own) for own in samples]) for row in array]
    if all(len(found) == 1 for found in places):
        yield from (int(found[0]) for found in places)
