"""What runs a program: `step(arrays)`, `epoch(arrays, order, count)`, and `view(value)`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.optim import SGD
from ..program.values import Leaf, Value
from .feeds import fitting
from .lower import TrainingStep
from .numpy_calls import Replay
from .updates import next_numbers


class Engine:
    """What all engines have in common."""

    backend: str
    source: str
    threads: int | None = None  # how many share the work; None where BLAS or XLA decides
    compile_seconds = 0.0
    last_rate: float | None = None

    def __init__(self, program: TrainingStep):
        self.program, self.optimizer = program, program.optimizer
        # Whether numbers() may give others for each step
        self.changing = type(self.optimizer) is not SGD

    def view(self, value: Value) -> np.ndarray:
        """The array in which the numbers of a value are."""
        raise NotImplementedError

    def run(self) -> None:
        """Everything, from what is in the memory."""
        raise NotImplementedError

    @functools.cached_property
    def feeds(self) -> list[tuple[Leaf, np.ndarray]]:
        """The leaves whose arrays come with each call, and where they go."""
        return [(leaf, self.view(leaf)) for leaf in self.program.feeds]

    @functools.cached_property
    def loss(self) -> np.ndarray:
        """Where the loss is."""
        return self.view(self.program.loss)

    def step(self, arrays: Sequence[Any]) -> float:
        """One step on these arrays."""
        self.take(arrays)
        self.renew_numbers()
        self.run()
        if self.optimizer is not None:  # when all has gone well
            self.optimizer.steps += 1
        loss: float = self.loss.item()
        return loss

    def take(self, arrays: Sequence[Any]) -> None:
        """Arrays of one step into the memory."""
        for (leaf, memory), x in zip(self.feeds, arrays):
            if (
                x.__class__ is not np.ndarray
                or x.shape != memory.shape
                or x.dtype is not memory.dtype
            ):
                x = fitting(leaf, x, self.program.called(leaf))
            memory[...] = x  # class ids are floats there, if need be

    def renew_numbers(self) -> None:
        """The optimizer's numbers for the next step into the memory, if they have changed."""
        optimizer = self.optimizer
        if optimizer is not None and (self.changing or self.last_rate != optimizer._learning_rate):
            self.last_rate = optimizer._learning_rate
            for leaf, x in zip(self.program.numbers, next_numbers(optimizer)):
                self.view(leaf)[...] = x

    def epoch(
        self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """`count` steps on rows gathered by `order`."""
        losses = np.empty(count, self.program.loss.dtype)
        outputs = [np.empty((count, *x.shape), x.dtype) for x in self.program.outputs]
        for s, rows in enumerate(order.reshape(count, -1) if count else ()):
            losses[s] = self.step([x[rows] for x in arrays])
            for kept, x in zip(outputs, self.program.outputs):
                kept[s] = self.view(x)
        return losses, outputs


class NumPyEngine(Engine):
    """Calls of NumPy functions that write into arrays allocated once."""

    backend = "numpy"

    def __init__(self, program: TrainingStep):
        super().__init__(program)
        self.replay = Replay(program)
        self.source = self.replay.source
        self.run = self.replay.run  # type: ignore[method-assign]  # looked up once

    def view(self, value: Value) -> np.ndarray:
        return self.replay.buffers[value]
