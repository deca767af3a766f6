"""Clean NumPy, and this library in its ways: eager, and compiled by each back end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from contender import Contender
from workloads import RATE, Workload, adam, sgd

from tinygrad_steel import SGD, Adam, Tensor, compile_backprop, compile_epoch
from tinygrad_steel.engine.optim import Optimizer


def by_hand(workload: Workload, made: Callable[..., Callable]) -> Contender:
    """A step in NumPy, with its gradients chained by hand."""
    parameters = [*map(np.copy, workload.start)]
    update = (adam if workload.adam else sgd)(parameters)
    return Contender(lambda: parameters, made(update, *parameters))


def clean(workload: Workload) -> Contender:
    return by_hand(workload, workload.clean)


def book(workload: Workload) -> Contender:
    """As books print it."""
    assert workload.book is not None
    return by_hand(workload, workload.book)


def graph(workload: Workload) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Data, parameters and loss as Tensors."""
    x, y = Tensor(workload.x, name="x"), Tensor(workload.y, name="y")
    starts = enumerate(workload.start)
    parameters = [Tensor(p, requires_grad=True, name=f"p{i}") for i, p in starts]
    return x, y, parameters, workload.loss(x, y, *parameters)


def optimizer_for(workload: Workload, parameters: list[Tensor]) -> Optimizer:
    return (Adam if workload.adam else SGD)(parameters, RATE)


def eager(workload: Workload) -> Contender:
    _, _, parameters, _ = graph(workload)
    optimizer, expression = optimizer_for(workload, parameters), workload.loss

    def step(x: Tensor, y: Tensor) -> np.ndarray:
        loss = expression(x, y, *parameters)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.data

    return Contender(
        lambda: [p.data for p in parameters],
        step,
        gradients=lambda: [p.grad for p in parameters],
        given=Tensor,
    )


def step(workload: Workload, backend: str) -> Contender:
    _, _, parameters, loss = graph(workload)
    compiled = compile_backprop(
        loss, optimizer=optimizer_for(workload, parameters), backend=backend
    )
    return Contender(
        lambda: [p.data for p in parameters],
        compiled,
        gradients=lambda: [p.grad for p in parameters],
        backend=compiled.backend,
    )


def epoch(workload: Workload, backend: str) -> Contender:
    x, y, parameters, loss = graph(workload)
    optimizer = optimizer_for(workload, parameters)
    compiled = compile_epoch(loss, (x, y), optimizer=optimizer, backend=backend)
    return Contender(
        lambda: [p.data for p in parameters],
        epoch=lambda xs, ys, order: compiled(xs, ys, order=order),
        backend=compiled.backend,
    )


def chosen(workload: Workload, way: Callable[[Workload, str], Contender] = epoch) -> str:
    """Which back end "auto" takes."""
    return way(workload, "auto").backend
