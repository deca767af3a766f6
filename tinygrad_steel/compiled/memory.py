"""The memory of compiled loops: one block of one float dtype, with a place for each value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..program.values import Value
from .indices import Index, Shape, flat
from .kernels_plain import SLACK
from .lower import TrainingStep
from .lowered import size

LINE = 64  # bytes that a processor loads at once


class NoLoops(TypeError):
    """The program has no form as loops; the message says why."""


@dataclass
class Block:
    """The block `m`: where the array of each value begins in it.

    `arrays`: those of the leaves, as a constant number without a place stands in the code itself.
    `numbers`: those of the optimizer, which differ from step to step.
    """

    dtype: np.dtype
    arrays: Mapping[Value, Any]
    numbers: Sequence[Value] = ()
    places: dict[Value, int] = field(default_factory=dict)
    size: int = 0

    def place(self, value: Value) -> None:
        """Room for the array of a value, which begins where vectors are loaded fastest."""
        if value in self.places:
            return
        count = size(value)
        if count != 1:  # single numbers lie side by side
            self.size = self.whole_vectors(self.size)
            count = self.whole_vectors(count)
        self.places[value] = self.size
        self.size += count

    def whole_vectors(self, count: int) -> int:
        """So many elements, or a few more, up to the end of a line.

        These belong to nobody else, and a loop over them as well has no rest that is computed one
        by one.
        """
        in_line = LINE // self.dtype.itemsize
        return -(-count // in_line) * in_line

    def memory(self) -> np.ndarray:
        """The block itself, in zeros, with what vectors may read behind the last value."""
        length = (self.size + SLACK) * self.dtype.itemsize
        room = np.zeros(length + LINE, np.uint8)
        first = -room.ctypes.data % LINE
        return room[first : first + length].view(self.dtype)

    def element(self, value: Value, at: Index, shape: Shape | None = None) -> str:
        """An element of a value as source; `at`: in its own shape, or in another one."""
        shape = value.shape if shape is None else shape
        return f"m[{flat(self.places[value], shape, at, '@')}]"

    def number(self, x: Any) -> str:
        """A constant as source."""
        text = float_text(float(x))
        return text if self.dtype == np.float64 else f"np.{self.dtype}({text})"


def float_text(value: float) -> str:
    """A float as source, which has no literals for NaN and infinity."""
    if math.isfinite(value):
        return repr(value)
    if math.isnan(value):
        return "np.nan"
    return "np.inf" if value > 0 else "-np.inf"


# Of which dtype the block is


def one_dtype(program: TrainingStep) -> np.dtype:
    """The float dtype of everything; NoLoops where there are two, or one in which integers would
    change.
    """
    states = [x for _, _, x in program.states]
    if any(x.dtype.kind != "f" for x in states):
        raise NoLoops("what the optimizer remembers is to be floats")
    held = [x for _, x in program.held]
    values: list[Value] = [*program.nodes, *program.feeds, *held, *states]
    dtypes = {x.dtype for x in values if x.dtype.kind == "f"}
    if len(dtypes) != 1:
        found = " and ".join(sorted(map(str, dtypes)))
        raise NoLoops(f"{found} in one program: convert the data to one dtype")
    (dtype,) = dtypes
    if dtype not in (np.float32, np.float64):
        raise NoLoops(f"there are no loops for {dtype}: use float64 or float32")
    for x in given_numbers(program):
        if not fits_exactly(x, dtype):
            raise NoLoops(f"there are integers that {dtype} cannot hold: the NumPy back end can")
    return dtype


def given_numbers(program: TrainingStep) -> list[Any]:
    """What comes from outside of the program, or stands in it."""
    plain = [i for x in program.nodes for i in x.inputs if type(i) is int and -(2**63) <= i < 2**63]
    return [
        *(program.arrays[x] for x in [*program.constants, *program.feeds]),
        *map(np.array, plain),
    ]


def largest_integer(dtype: np.dtype) -> int:
    """Up to which number a float dtype holds every integer: 2**53 for float64."""
    return int(2 ** (np.finfo(dtype).nmant + 1))


def holds_all(dtype: np.dtype, integers: np.dtype) -> bool:
    """Whether a float dtype holds all numbers of another one."""
    return integers.kind not in "iu" or np.iinfo(integers).max <= largest_integer(dtype)


def fits_exactly(x: np.ndarray, dtype: np.dtype) -> bool:
    """Whether a float dtype holds these numbers as they are, if they are integers."""
    if not x.size or holds_all(dtype, x.dtype):
        return True
    limit = largest_integer(dtype)
    return -limit <= int(x.min()) and int(x.max()) <= limit
