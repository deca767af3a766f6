"""Random generators: what is one, whether one has moved, and what makes them."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..ops.states import put_back, state

Generator = np.random.Generator | np.random.RandomState | np.random.BitGenerator | random.Random
# What gives numbers from nowhere, or a generator, besides the classes of generators
MAKERS = (
    np.random.default_rng,
    np.random.SeedSequence,
    os.urandom,
    getattr(os, "getrandom", os.urandom),
    *(getattr(secrets, name) for name in secrets.__all__),
)


def is_maker(x: Any) -> bool:
    """Whether this makes generators or random numbers that no generator within reach tells of."""
    if isinstance(x, type) and issubclass(x, Generator):
        return True
    return isinstance(x, random.SystemRandom) or any(x is maker for maker in MAKERS)


def is_generator(x: Any) -> bool:
    """Whether it gives random numbers from a state that can be looked at."""
    return isinstance(x, Generator) and not isinstance(x, random.SystemRandom)


@contextlib.contextmanager
def moved(things: Iterable[Any]) -> Iterator[Callable[[], bool]]:
    """Inside the `with`, says whether one of these generators has moved; afterwards none has.

    So may those behind np.random.* and random.*, though none of these things is one of them. Where
    other threads run, they are left alone then: it may be one of these that draws from them.
    """
    methods: tuple[Any, ...] = (np.random.random_sample, random.random)
    shared = [m.__self__ for m in methods if threading.active_count() == 1]
    generators = [x for x in (*shared, *things) if is_generator(x)]
    before = [state(x) for x in generators]
    try:
        yield lambda: any(not equal(old, state(x)) for old, x in zip(before, generators))
    finally:
        for x, old in zip(generators, before):
            put_back(x, old)


def equal(a: Any, b: Any) -> bool:
    """Whether two states are the same: numbers, arrays, and dicts of them."""
    if isinstance(a, dict):
        return all(equal(v, b[k]) for k, v in a.items())
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
