"""What runs a program: NumPy's calls, or loops in machine code."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.optim import SGD
from ..program.trace import Node
from .feeds import fitting
from .lower import Program, next_numbers
from .numpy_calls import Replay


class Engine:
    """What both have in common."""

    compile_seconds = 0.0
    last_rate: float | None = None

    def __init__(self, program: Program):
        self.program, self.optimizer = program, program.optimizer
        self.changing = type(self.optimizer) is not SGD  # whether numbers() may give others for each step

    def renew_numbers(self) -> None:
        """The optimizer's numbers for the next step into the memory, if they have changed."""
        optimizer = self.optimizer
        if optimizer is not None and (self.changing or self.last_rate != optimizer._learning_rate):
            self.last_rate = optimizer._learning_rate
            for node, x in zip(self.program.numbers, next_numbers(optimizer, self.program.loss.dtype)):
                self.view(node)[...] = x

    def view(self, node: Node) -> np.ndarray:
        """The array in which a Node's numbers are."""
        raise NotImplementedError

    @functools.cached_property
    def feeds(self) -> list[tuple[Node, np.ndarray]]:
        """The leaves whose arrays come with each call, and where they go."""
        return [(node, self.view(node)) for node in self.program.feeds]

    def take(self, arrays: Sequence[Any]) -> None:
        """Arrays of one step into the memory."""
        for (node, memory), x in zip(self.feeds, arrays):
            if x.__class__ is not np.ndarray or x.shape != memory.shape or x.dtype is not memory.dtype:
                x = fitting(node, x)
            memory[...] = x  # class ids are floats there, if need be

    def run(self) -> None:
        """Everything, from what is in the memory."""
        raise NotImplementedError

    def step(self, arrays: Sequence[Any]) -> float:
        """One step on these arrays."""
        self.take(arrays)
        self.renew_numbers()
        self.run()
        if self.optimizer is not None:  # when all has gone well
            self.optimizer.steps += 1
        return self.loss.item()

    @functools.cached_property
    def loss(self) -> np.ndarray:
        """Where the loss is."""
        return self.view(self.program.loss)

    def epoch(self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
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

    def __init__(self, program: Program):
        super().__init__(program)
        self.replay = Replay(program)
        self.source, self.run = self.replay.source, self.replay.run

    def view(self, node: Node) -> np.ndarray:
        return self.replay.buffers[node]
