"""What a compiled step shares with the Tensors and the optimizer it was made from."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..engine.optim import Optimizer
from ..engine.recording import next_age
from ..ops.op import describe
from ..program.values import exact
from .engines import Engine
from .lower import TrainingStep

# Of an optimizer's attributes: the learning rate may change, and what is kept for each parameter is
# the step's matter.
NO_SETTINGS = ("steps", "_learning_rate", "rates", "states", "parameters")


class Parameters:
    """Keeps Tensors and the memory of a compiled step together."""

    def __init__(self, program: TrainingStep, engine: Engine):
        self.gradients: list[tuple[Any, np.ndarray]] = [
            (p, engine.view(g)) for p, _, g in program.parameters
        ]
        self.pairs = [(p, engine.view(x)) for p, x in program.held]
        self.states = [(i, k, engine.view(x)) for i, k, x in program.states]
        moved = {*program.optimizer.parameters} if program.optimizer else set()
        self.moved = [p for p, _ in self.gradients if p in moved]
        self.fixed = [(t, t.age) for t in program.fixed]
        self.optimizer = program.optimizer
        names, self.others = settings(program.optimizer)
        self.names = ("__class__", *names)  # one name alone would give no tuple
        self.read = operator.attrgetter(*self.names, "__class__")  # one call for all of them
        self.settings = self.read(self.optimizer)
        self.trained = getattr(self.optimizer, "parameters", None)
        self.has_more = bool(self.states or self.fixed or self.others)

    def before(self) -> None:
        """Take over data that was assigned meanwhile; RuntimeError where something else has
        changed.
        """
        for p, data in self.pairs:
            if p._array is not data or not p._requires_grad:
                self.take_over(p, data)
        optimizer = self.optimizer
        if optimizer is not None:
            if self.read(optimizer) != self.settings:
                now = zip(self.names, self.read(optimizer), self.settings)
                raise changed(next(name for name, new, old in now if new != old))
            if optimizer.parameters is not self.trained:
                raise changed("list of parameters")
        if self.has_more:
            self.look_further()

    def look_further(self) -> None:
        """The same for what the optimizer remembers, for constants, and for settings that are no
        plain numbers.
        """
        for i, k, data in self.states:
            state = self.optimizer.states[i]  # type: ignore[union-attr]
            if state[k] is not data:
                np.copyto(data, state[k])
                state[k] = data
        for t, age in self.fixed:
            if t._age != age:
                raise RuntimeError(
                    f"{describe(t)} has changed since it was compiled in as a constant: compile "
                    "again"
                )
        for name, value in self.others:
            if exact(getattr(self.optimizer, name)) != value:
                raise changed(name)

    def take_over(self, p: Any, data: np.ndarray) -> None:
        """New numbers of a parameter into the memory; RuntimeError where it has none to be trained
        any more.
        """
        if not p.requires_grad:
            raise RuntimeError(
                f"{describe(p)} no longer requires a gradient, as when it was compiled: compile "
                "again"
            )
        np.copyto(data, p._array)
        p._array = data

    def after(self) -> None:
        """Gradients to where backward() leaves them; and parameters have changed."""
        for p, g in self.gradients:
            p._grad = g
        for p in self.moved:
            p._age = next_age()


def changed(what: str) -> RuntimeError:
    """What to raise where the optimizer is no longer the one that was compiled in."""
    return RuntimeError(
        f"the optimizer's {what} has changed since the step was compiled: compile again"
    )


def settings(optimizer: Optimizer | None) -> tuple[list[str], list[tuple[str, Any]]]:
    """What an optimizer was made with: the names of numbers and words, and keys of all else
    (arrays, lists).
    """
    if optimizer is None:
        return [], []
    every = {name: value for name, value in vars(optimizer).items() if name not in NO_SETTINGS}
    plain = [name for name, value in every.items() if isinstance(value, int | float | str)]
    return plain, [(name, exact(value)) for name, value in every.items() if name not in plain]
