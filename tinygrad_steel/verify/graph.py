"""What the graph says of a case: its gradients along both roads, `backward()` and `grad`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.backward import pull_arrays
from ..engine.gradients import grad
from ..engine.history import history
from ..engine.tensor import Tensor
from .case import Case, Direction, Index, is_float, random_weights


@dataclass(frozen=True)
class Found:
    """The gradients of the inputs along both roads, and how the result was summed up."""

    result: np.ndarray
    weights: np.ndarray
    eps: float
    roads: dict[str, dict[int, np.ndarray]]
    reached: bool  # whether a gradient reached any of the inputs

    def at(self, i: int, at: Index) -> dict[str, float]:
        """The gradient of one element, along each road."""
        return {road: float(gradients[i][at]) for road, gradients in self.roads.items()}

    def along(self, direction: Direction) -> dict[str, float]:
        """The slope along a direction that the gradients come to, on each road."""
        slopes = {}
        for road, gradients in self.roads.items():
            slopes[road] = sum(float(np.sum(gradients[i] * d)) for i, d in direction.items())
        return slopes


def graph_gradients(case: Case, seed: int = 0, scale: float = 1.0) -> Found:
    """The gradients along both roads, the result summed up with random weights times `scale`."""
    xs = case.tensors()
    y = case.fn(*xs)
    if not np.all(np.isfinite(y.data)):
        raise case.error(f"the result is not finite, {y.numpy()!r:.200}: choose inputs where it is")
    weights = random_weights(y.shape, seed) * scale
    wanted = [xs[i] for i in case.wanted]
    pulled = dict(pulled_back(y, weights))
    arrays = {i: np.broadcast_to(pulled.get(x, 0.0), x.shape) for i, x in zip(case.wanted, wanted)}
    tensors = {i: g.data for i, g in zip(case.wanted, grad(y, wanted, weights))}
    reached = any(x in pulled for x in wanted)
    return Found(y.data, weights, coarseness(y), {"backward()": arrays, "grad()": tensors}, reached)


def pulled_back(y: Tensor, weights: np.ndarray) -> list[tuple[Any, Any]]:
    """The leaves with their gradients as `backward()` computes them.

    It writes no `.grad`, so that the leaves in the closure of a function stay as they are.
    """
    if not y.requires_grad or y.dtype.kind != "f":
        return []
    return pull_arrays(y, weights.astype(y.dtype))


def coarseness(y: Tensor) -> float:
    """The eps of the shortest floats in which something on the way to `y` was computed."""
    computed = [t for t in history([y]) if t is y or t.op is not None]
    return max((float(np.finfo(t.dtype).eps) for t in computed if is_float(t)), default=0.0)
