"""The numba back end on several cores: a step part by part, each of them in blocks."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .blocks import Blocks
from .engines import Engine
from .loops import Loops
from .lower import TrainingStep
from .numba_engine import NumbaEngine
from .shared_source import gather_blocks, shared_source
from .threads import share, uninterrupted


class SharedEngine(NumbaEngine):
    """A compiled module whose large parts several threads share."""

    def __init__(self, program: TrainingStep, loops: Loops, what: str, threads: int):
        self.threads: int = threads
        super().__init__(program, loops, what)
        # What NumPy calls may be a user's own, and stays in the caller's thread
        self.all_compiled = all(isinstance(part, Blocks | list) for part in loops.parts)

    def text(self, what: str) -> str:
        """The module's source."""
        return shared_source(self.loops, what)

    def pieces(self) -> list[Callable[[], Any]]:
        """What a step consists of."""
        part, memory = self.module.part, self.memory
        found: list[Callable[[], Any]] = []
        for i, piece in enumerate(self.loops.parts):
            if isinstance(piece, Blocks):
                call = functools.partial(part_block, part, i, memory)
                found.append(functools.partial(share, call, piece.many, self.threads))
            elif isinstance(piece, list):
                found.append(functools.partial(part, i, 0, memory))
            else:
                found.append(self.piece(piece))
        return found

    def step(self, arrays: Sequence[Any]) -> float:
        """One step, which is done as a whole or not at all if the user interrupts."""
        if not self.all_compiled:
            return Engine.step(self, arrays)
        self.take(arrays)
        self.renew_numbers()
        uninterrupted(self.threads, self.counted)
        loss: float = self.loss.item()
        return loss

    def counted(self) -> None:
        """Everything, and the optimizer knows."""
        self.run()
        if self.optimizer is not None:
            self.optimizer.steps += 1

    def epoch(
        self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        self.check_rows(arrays, order)
        if not (self.all_compiled and hasattr(self.module, "gather")):
            return Engine.epoch(self, arrays, order, count)
        losses = np.empty(count, self.program.loss.dtype)
        outputs = [np.empty((count, *x.shape), x.dtype) for x in self.program.outputs]
        optimizer: Any = self.optimizer
        halt, done, before = threading.Event(), 0, optimizer.steps

        def steps() -> None:
            nonlocal done
            while done < count and not halt.is_set():
                self.batch(done, arrays, order, numbers[done])
                losses[done] = self.loss
                for kept, x in zip(outputs, self.program.outputs):
                    kept[done] = self.view(x)
                done += 1

        try:
            numbers = self.numbers_of(count)
            uninterrupted(self.threads, steps, halt.set)
        finally:  # the steps whose numbers are there, but which may not all have been made
            optimizer.steps = before + done
        return losses, outputs

    def batch(
        self, s: int, arrays: Sequence[np.ndarray], order: np.ndarray, numbers: np.ndarray
    ) -> None:
        """Step `s` of an epoch: its rows and numbers into the memory, then everything."""
        blocks, _ = gather_blocks(self.loops)
        given = (s, *arrays, order, self.memory)
        share(lambda block: self.module.gather(block, *given), blocks, self.threads)
        for x, number in zip(self.program.numbers, numbers):
            self.memory[self.places[x]] = number
        self.run()


def part_block(part: Any, number: int, memory: np.ndarray, block: int) -> None:
    """One block of a part."""
    part(number, block, memory)
