"""One who takes part: a network with parameters of its own, which trains by steps or by epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from workloads import Workload


class Trained(NamedTuple):
    """What came of a training; an epoch keeps no gradients."""

    losses: list[float]
    gradients: list[np.ndarray] | None
    parameters: list[np.ndarray]


@dataclass
class Contender:
    """How it trains: `step(x, y)` makes one step, or `epoch(xs, ys, order)` makes many.

    They return the loss or the losses. `parameters()` are those of now, `gradients()` those of the last step; a step
    without it returns them behind the loss. `given` makes of an array what the library takes, `targets` of what is to
    be learnt, where that is something else.
    """

    parameters: Callable[[], list[Any]]
    step: Callable[[Any, Any], Any] | None = None
    epoch: Callable[[Any, Any, Any], Any] | None = None
    gradients: Callable[[], list[Any]] | None = None
    given: Callable[[np.ndarray], Any] = np.asarray
    targets: Callable[[np.ndarray], Any] | None = None
    backend: str = ""

    def batch(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        """Data as the library takes them."""
        return self.given(x), (self.targets or self.given)(y)

    def timed(self, workload: Workload) -> tuple[Callable[[], Any], int]:
        """What is timed, a function without arguments, and how many steps it makes."""
        if self.epoch is not None:
            xs, ys, order = workload.training_set(workload.steps)
            return partial(self.epoch, *self.batch(xs, ys), self.given(order)), workload.steps
        return partial(self.step, *self.batch(workload.x, workload.y)), 1

    def train(self, xs: np.ndarray, ys: np.ndarray, order: np.ndarray, size: int) -> Trained:
        """Train on these rows in this order, in batches of this size."""
        if self.epoch is not None:
            losses = self.epoch(*self.batch(xs, ys), self.given(order))
            return self.trained([float(loss) for loss in losses], None)
        losses, gradients = [], []
        for rows in order.reshape(-1, size):
            found = self.step(*self.batch(xs[rows], ys[rows]))
            loss, *gradients = found if self.gradients is None else (found, *self.gradients())
            losses.append(float(loss))
        return self.trained(losses, [np.array(g) for g in gradients])

    def trained(self, losses: list[float], gradients: list[np.ndarray] | None) -> Trained:
        return Trained(losses, gradients, [np.array(p) for p in self.parameters()])
