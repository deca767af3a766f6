"""Arrays of somebody's code recognised among the values of a graph, by their numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ..program.values import Value
from .closeness import constant_factor, largest, matches, tolerance

SAME, TRANSPOSED, RESHAPED = "same", "transposed", "reshaped"
SAMPLE = 16


class Match(NamedTuple):
    """A value of the graph that has these numbers, and how the array lies: as the value does, or
    transposed, or with other axes of length 1.
    """

    value: Value
    how: str


class Group(NamedTuple):
    """The values of one shape: a few elements of each, and by how much these may be off."""

    values: list[Value]
    few: np.ndarray
    allowed: np.ndarray

    def near(self, array: np.ndarray) -> list[Value]:
        """Those of which a few elements are near: a quick look before all are compared."""
        off = np.abs(sample(array) - self.few) > self.allowed  # NaN is decided later
        return [self.values[i] for i in np.flatnonzero(~np.any(off, axis=1))]

    def proportional(self, array: np.ndarray) -> list[Value]:
        """Those of which a few elements are about a multiple."""
        own = sample(array)
        scaled = self.few / np.where(self.allowed == 0, 1, self.allowed)  # no square overflows
        squares = np.sum(scaled * scaled, axis=1)
        factors = (scaled @ own) / np.where(squares == 0, 1, squares)
        rtol = max(1e-3, 8 * tolerance(array, self.few))
        off = np.abs(own - factors[:, None] * scaled) > rtol * largest(array)
        return [self.values[i] for i in np.flatnonzero(~np.any(off, axis=1))]


class Table:
    """The numbers of some values, to be looked up."""

    def __init__(self, numbers: Mapping[Value, np.ndarray]):
        self.numbers = {x: as_floats(array) for x, array in numbers.items()}
        self.place = {x: i for i, x in enumerate(self.numbers)}
        shapes: dict[tuple[int, ...], list[Value]] = defaultdict(list)
        for x, array in self.numbers.items():
            if array.size:
                shapes[array.shape].append(x)
        self.groups: dict[int, list[tuple[tuple[int, ...], Group]]] = defaultdict(list)
        for shape, values in shapes.items():
            few = np.array([sample(self.numbers[x]) for x in values])
            allowed = np.array([[1e-3 * largest(self.numbers[x])] for x in values])
            self.groups[int(np.prod(shape))].append((shape, Group(values, few, allowed)))

    def matches(self, array: np.ndarray) -> list[Match]:
        """The values that have these numbers but for rounding."""
        found: dict[Value, Match] = {}
        array = as_floats(array)
        for shape, group in self.groups.get(array.size, ()):
            for how, turned in oriented(array, shape):
                for x in group.near(turned):
                    if x not in found and matches(turned, self.numbers[x], rtol=1e-9):
                        found[x] = Match(x, how)
        return sorted(found.values(), key=lambda match: self.place[match.value])

    def multiples(self, array: np.ndarray) -> Iterator[tuple[Match, float]]:
        """The values of which these numbers are a multiple, and how many times."""
        if array.size < 2:
            return
        array = as_floats(array)
        ways: dict[Value, list[tuple[str, np.ndarray]]] = defaultdict(list)
        for shape, group in self.groups.get(array.size, ()):
            for how, turned in oriented(array, shape):
                for x in group.proportional(turned):
                    ways[x].append((how, turned))
        for x in sorted(ways, key=self.place.__getitem__):
            for how, turned in ways[x]:
                factor = constant_factor(turned, self.numbers[x])
                if factor:
                    yield Match(x, how), factor
                    break


def as_floats(array: np.ndarray) -> np.ndarray:
    """An array of floats; whole numbers and truth values turned into them."""
    return array if array.dtype.kind == "f" else array.astype(float)


def sample(array: np.ndarray) -> np.ndarray:
    """A few elements of an array, spread over it."""
    if array.size <= SAMPLE:
        return array.ravel()
    return array.flat[:: array.size // SAMPLE][:SAMPLE]


def oriented(array: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """The array in a shape, in each way in which somebody may have it otherwise."""
    if array.shape == shape:
        yield SAME, array
    elif array.size == np.prod(shape) and without_ones(array.shape) == without_ones(shape):
        yield RESHAPED, array.reshape(shape)
    if array.ndim == 2 and array.shape[::-1] == shape and min(shape) > 1:
        yield TRANSPOSED, array.T


def turned(array: np.ndarray, shape: tuple[int, ...], how: str) -> np.ndarray:
    """The array in a shape, in one of these ways; where it has another one, as it is turned."""
    otherwise = array.T if how == TRANSPOSED and array.ndim == 2 else array
    return dict(oriented(array, shape)).get(how, otherwise)


def without_ones(shape: Iterable[int]) -> list[int]:
    """A shape without its axes of length 1."""
    return [n for n in shape if n != 1]


# Local derivatives, as people compute them apart: they are no gradients.
LOCAL = (
    lambda v: v > 0,
    lambda v: v >= 0,
    lambda v: v <= 0,
    lambda v: v < 0,
    np.sign,
    lambda v: 1 - v,
    lambda v: v * (1 - v),
    lambda v: 1 - v * v,
    lambda v: 1 - np.tanh(v) ** 2,
    lambda v: v * v,
    lambda v: 2 * v,
    np.exp,
    lambda v: 1 / (1 + np.exp(-v)),
    lambda v: np.exp(-v) / np.square(1 + np.exp(-v)),
    lambda v: 1 / v,
)


class LocalTable:
    """Some values of a forward, and what usual functions make of a few elements of each."""

    def __init__(self, forward: Iterable[np.ndarray]):
        self.by_size: dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = defaultdict(list)
        for own in map(as_floats, forward):
            few = np.array([np.asarray(f(sample(own)), float) for f in LOCAL])
            largest_ones = np.array([[largest(row)] for row in few])
            self.by_size[own.size].append((own, few, 1e-6 * largest_ones))

    def has(self, array: np.ndarray) -> bool:
        """Whether an array is a usual function of one of them, element by element."""
        if array.size < 2 or np.all(array == array.flat[0]):
            return False  # it may be anything
        array = as_floats(array)
        for own, few, allowed in self.by_size.get(array.size, ()):
            for _, given in oriented(array, own.shape):
                # A few elements tell most of what is another function.
                near = np.all(np.abs(sample(given) - few) <= allowed, axis=1)
                for i in np.flatnonzero(near):
                    if matches(given, np.asarray(LOCAL[i](own), float)):
                        return True
        return False
