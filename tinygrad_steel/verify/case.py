"""A function and its inputs under test: fresh leaves, moved inputs, errors that name it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..program.values import Value
from .errors import NOT_MADE_FOR, GradientError, not_repeated, shown

Index = tuple[int, ...]
Place = tuple[int, Index]  # which input, and which of its elements
Direction = dict[int, np.ndarray]  # how far each input moves


@dataclass(frozen=True)
class Case:
    """What is under test, and what messages say of it."""

    what: str
    fn: Callable[..., Any]
    data: Sequence[np.ndarray]
    wanted: Sequence[int]  # the inputs to differentiate
    names: Sequence[str | None]
    shown: Sequence[np.ndarray]  # the inputs before they became float64
    own: bool = False  # made by the check itself: only what differences are sure of counts

    def tensors(self, dtype: type = np.float64) -> list[Tensor]:
        """The inputs as fresh leaves, floats of them in `dtype`."""
        leaves = []
        for i, (x, name) in enumerate(zip(self.data, self.names)):
            numbers = x.astype(dtype) if is_float(x) else x
            leaves.append(Tensor(numbers, i in self.wanted, name))
        return leaves

    def numbers(self) -> np.ndarray:
        """The numbers that come out."""
        y: np.ndarray = self.fn(*self.tensors()).data
        return y

    def places(self) -> Iterator[Place]:
        """Each element of the inputs to differentiate."""
        for i in self.wanted:
            for at in np.ndindex(self.data[i].shape):
                yield i, at

    def result(self, i: int, at: Index, value: float) -> np.ndarray:
        """The numbers that come out with `value` as one element of input `i`."""
        changed = self.data[i].copy()
        changed[at] = value
        return self.with_input(i, changed).numbers_or_nan()

    def moved(self, direction: Direction, t: float) -> np.ndarray:
        """The numbers that come out `t` along a direction."""
        return self.shifted(direction, t).numbers_or_nan()

    def numbers_or_nan(self) -> np.ndarray:
        """The numbers that come out; NaN for matrices that have no inverse, no factors, ..."""
        try:
            return self.numbers()
        except np.linalg.LinAlgError:
            return np.array(np.nan)

    def with_input(self, i: int, x: np.ndarray) -> Case:
        """The case with another input `i`."""
        data = [*self.data]
        data[i] = x
        return replace(self, data=data)

    def shifted(self, direction: Direction, t: float) -> Case:
        """The case with inputs that are `t` along a direction."""
        data = [*self.data]
        for i, step in direction.items():
            data[i] = data[i] + t * step
        return replace(self, data=data)

    def repeated(self) -> np.ndarray:
        """The result, computed twice; raises where it differs, or an input was written into."""
        xs = self.tensors()
        y = self.fn(*xs)
        if not isinstance(y, Tensor):
            raise TypeError(f"{self.what} must return one Tensor, not {type(y).__name__}")
        for i, (x, before) in enumerate(zip(xs, self.data)):
            if not same(x.data, before):
                raise self.error(f"it writes into {self.input(i)}: compute a new array instead")
        first = np.array(y.data)
        self.same_again(first)
        return first

    def same_again(self, first: np.ndarray) -> None:
        """Raise where the same inputs give another result than `first`."""
        again = self.numbers()
        if not same(first, again):
            raise self.error(not_repeated(first, again))

    def input(self, i: int) -> str:
        """Input `i` as messages name it: `input 1 (weight)`."""
        return f"input {i} ({self.names[i]})" if self.names[i] else f"input {i}"

    def element(self, i: int, at: Index) -> str:
        """One element of an input as messages name it: `input 1 (weight) at index (0, 2)`."""
        return f"{self.input(i)} at index {at}"

    def error(self, message: str) -> GradientError:
        """What to raise: the message between the name of the case and its inputs."""
        inputs = "; ".join(f"{self.input(i)} {shown(x)}" for i, x in enumerate(self.shown))
        excuse = NOT_MADE_FOR if self.own else ""
        return GradientError(f"{self.what}: {message}\n  inputs: {inputs}{excuse}")


def is_float(x: np.ndarray | Value) -> bool:
    """Whether an array, or a value, holds floats: numbers that can be differentiated."""
    return x.dtype.kind == "f"


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are the same, NaN included."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=is_float(a))


@functools.lru_cache(maxsize=1024)
def random_weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """0.5 to 1.5 on either side of zero.

    Ones would hide rules that add up the gradient, tiny ones would hide all.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(0.5, 1.5, shape)
    weights = np.array(sizes * rng.choice([-1, 1], shape))
    weights.flags.writeable = False
    return weights
