"""Loops and products in machine code; what has no form there is called between them."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .. import ops
from ..ops.fast import ndarray
from ..ops.op import describe
from ..program.messages import NamedInput
from ..program.values import VALUES, Apply, Value, compute
from .cache import compiled_module
from .engines import Engine
from .feeds import check_feed, fitting
from .loop_source import source
from .loops import Loops
from .lower import TrainingStep
from .lowered import size
from .memory import NoLoops, fits_exactly, holds_all, largest_integer
from .numpy_calls import fill
from .updates import next_numbers


class NumbaEngine(Engine):
    """A compiled module, and the block of memory on which its functions work."""

    backend = "numba"
    threads: int = 1

    def __init__(self, program: TrainingStep, loops: Loops, what: str):
        super().__init__(program)
        self.loops = loops
        self.dtype, self.places = loops.block.dtype, loops.block.places
        self.source = self.text(what)
        self.memory = loops.block.memory()
        self.views: dict[Value, np.ndarray] = {}
        self.fill_memory()
        start = time.perf_counter()
        self.module = compiled(self.source)
        self.function: Any = getattr(self.module, "step", None)  # looked up once
        self.compile_seconds = time.perf_counter() - start
        self.parts = self.pieces()
        self.place_of_loss = self.places[program.loss]
        self.ids = [
            (self.view(x), classes) for x in program.feeds for classes in program.classes(x)
        ]
        self.scalars = not all(x.shape for x in program.feeds)
        # Feeds whose integers may not be exact in the memory; class ids are checked as such
        self.rounded = {
            x for x in program.feeds if not (holds_all(self.dtype, x.dtype) or program.classes(x))
        }

    def text(self, what: str) -> str:
        """The module's source."""
        return source(self.loops, what)

    def fill_memory(self) -> None:
        """The numbers of leaves into the block; parameters may have changed since the trace."""
        for leaf, array in self.program.arrays.items():
            if leaf in self.places:
                self.view(leaf)[...] = array
        for p, leaf in self.program.held:
            self.view(leaf)[...] = p.data

    def view(self, value: Any) -> np.ndarray:
        if value in self.views:
            return self.views[value]
        if value in self.places:
            first = self.places[value]
            found = self.memory[first : first + size(value)].reshape(value.shape)
        else:
            inputs = [self.view(x) if isinstance(x, VALUES) else x for x in value.inputs]
            found = compute(value, inputs)
        if np.may_share_memory(found, self.memory):  # else it is a copy, made anew each time
            self.views[value] = found
        return found

    # A step of which something is left to NumPy, part by part

    def pieces(self) -> list[Callable[[], Any]]:
        """What it consists of; nothing where it is one function."""
        if len(self.loops.segments) == 1:
            return []
        parts: list[Callable[[], Any]] = []
        for i, segment in enumerate(self.loops.segments):
            if not isinstance(segment, list):
                parts.append(self.piece(segment))
            elif segment:
                parts.append(functools.partial(getattr(self.module, f"segment{i}"), self.memory))
        return parts

    def piece(self, value: Apply) -> Callable[[], Any]:
        """The call of a value that is left to NumPy."""
        out = self.view(value)
        if (
            value.op is ops.matmul
            and value.dtype.kind == "f"
            and all(map(self.is_kept, value.inputs))
        ):
            return functools.partial(np.matmul, *map(self.view, value.inputs), out)
        return functools.partial(self.call, value, out)

    def is_kept(self, x: Any) -> bool:
        """Whether an input is, once and for all, an array in the memory."""
        return isinstance(x, VALUES) and x.dtype.kind == "f" and self.view(x) is self.views.get(x)

    def call(self, value: Apply, out: np.ndarray) -> None:
        """An op without a loop form; class ids and masks, which are floats in the memory, get their
        own dtype back.
        """
        arrays = [
            self.view(x).astype(x.dtype, copy=False) if isinstance(x, VALUES) else x
            for x in value.inputs
        ]
        if value.op is ops.one_hot:
            ops.check_ids(arrays[0], value.params["classes"])
        y = fill(out, value, *arrays)
        self.check_integers(value, y)

    def run(self) -> None:
        for ids, classes in self.ids:
            ops.check_ids(ids, classes)
        for part in self.parts:
            part()

    def take(self, arrays: Sequence[Any]) -> None:
        for leaf, x in zip(self.program.feeds, arrays):
            if leaf in self.rounded:
                self.check_integers(leaf, fitting(leaf, x, self.program.called(leaf)))
        super().take(arrays)

    # A step that is one function

    def step(self, arrays: Sequence[Any]) -> float:
        if self.parts:
            return super().step(arrays)
        # The compiled function takes numbers as arrays of one element, and would not see a mask
        fit = not self.scalars
        for x in arrays:
            if x.__class__ is not ndarray:
                fit = False
        optimizer = self.optimizer
        if optimizer is not None and (self.changing or self.last_rate != optimizer._learning_rate):
            self.renew_numbers()
        try:
            if not fit:
                arrays = self.fitted(arrays)
            status = self.function(*arrays, self.memory)
        except TypeError:  # another dtype or layout than was compiled for
            arrays = self.fitted(arrays)
            status = self.function(*arrays, self.memory)
        if status:
            self.refuse(arrays)
        if optimizer is not None:
            optimizer.steps += 1
        loss: float = self.memory.item(self.place_of_loss)
        return loss

    def fitted(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """The arrays as they were compiled for, as far as that is possible."""
        return [
            fitting(leaf, x, self.program.called(leaf))
            for leaf, x in zip(self.program.feeds, arrays)
        ]

    def refuse(self, arrays: Sequence[np.ndarray]) -> None:
        """ValueError for what the compiled function did not take."""
        for leaf, x in zip(self.program.feeds, arrays):
            check_feed(leaf, x if leaf.shape else x.reshape(()), self.program.called(leaf))
            for classes in self.program.classes(leaf):
                ops.check_ids(x, classes)
            self.check_integers(leaf, x)
        raise ValueError("the arrays are not those for which the step was compiled")

    def check_integers(self, value: Value, x: np.ndarray) -> None:
        """ValueError for integers that are no longer themselves as floats, which is what they are
        in the memory.
        """
        if not fits_exactly(x, self.dtype):
            what = describe(NamedInput(value, self.program.names))
            raise ValueError(
                f"{what} has integers beyond {largest_integer(self.dtype)}, which "
                f'are not exact in the step\'s {self.dtype}: compile with backend="numpy"'
            )

    # All steps of an epoch

    def epoch(
        self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        self.check_rows(arrays, order)
        if not hasattr(self.module, "epoch"):
            return super().epoch(arrays, order, count)
        losses = np.empty(count, self.dtype)
        outputs = [np.empty(count * size(x), self.dtype) for x in self.program.outputs]
        self.module.epoch(*arrays, order, self.numbers_of(count), losses, *outputs, self.memory)
        shaped = (kept.reshape(count, *x.shape) for kept, x in zip(outputs, self.program.outputs))
        return losses, [
            kept.astype(x.dtype, copy=False) for kept, x in zip(shaped, self.program.outputs)
        ]

    def check_rows(self, arrays: Sequence[np.ndarray], order: np.ndarray) -> None:
        """ValueError where the integers of these rows may not be exact in the memory."""
        for leaf, x in zip(self.program.feeds, arrays):
            if leaf in self.rounded:
                self.check_integers(leaf, x[order])

    def numbers_of(self, count: int) -> np.ndarray:
        """The optimizer's numbers for so many steps, which are then counted."""
        optimizer: Any = self.optimizer
        found = np.empty((count, len(self.program.numbers)), self.dtype)
        if count and not self.changing:
            found[:] = next_numbers(optimizer)
            optimizer.steps += count
            return found
        for row in found:
            row[:] = next_numbers(optimizer)
            optimizer.steps += 1
        return found


def compiled(text: str) -> ModuleType:
    """The module with the loops; NoLoops where numba cannot compile it."""
    try:
        return compiled_module(text)
    # Numba's own errors are known where numba is there; others go on as they are
    except Exception as error:
        numba = sys.modules.get("numba")
        if numba is None or not isinstance(error, numba.core.errors.NumbaError):
            raise
        raise NoLoops(f"numba {numba.__version__} cannot compile this step: {error}") from error
