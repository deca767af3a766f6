"""What an optimizer makes of the gradients in one step, recorded from its own rule."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine.optim import SGD, Optimizer, working
from ..engine.tensor import Tensor
from ..program.draws import no_draws
from ..program.values import exact


@dataclass
class Updates:
    """New values, as Tensors.

    `moved`: `(leaf, new value)` for parameters and for what the optimizer remembers. `states`: `(i,
    k, leaf)` for `optimizer.states[i][k]`. `numbers`: leaves for the optimizer's numbers, which
    differ from step to step.
    """

    optimizer: Optimizer | None
    moved: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    states: list[tuple[int, int, Tensor]] = field(default_factory=list)
    numbers: list[Tensor] = field(default_factory=list)

    def follow(
        self, gradients: Mapping[Tensor, Tensor]
    ) -> tuple[Iterable[Tensor], Iterable[Tensor]]:
        """Run the optimizer's rule on gradients; the new values, and the leaves that it needs."""
        optimizer = self.optimizer
        if optimizer is None:
            return (), ()
        for p in optimizer.parameters:
            if p not in gradients:
                raise ValueError(
                    f"the loss does not depend on the optimizer's {p!r:.80}: leave it out there"
                )
            if p.dtype != optimizer.parameters[0].dtype:
                raise TypeError("parameters of different dtypes cannot be compiled into one step")
        dtype = optimizer.parameters[0].dtype
        self.numbers = [Tensor(x, name="number") for x in next_numbers(optimizer)]
        with no_draws([optimizer.rule], "the optimizer's rule", "the compiled step"):
            for i, p in enumerate(optimizer.parameters):
                self.follow_one(optimizer, i, p, gradients[p].astype(working(dtype)))
        states = [leaf for *_, leaf in self.states]
        return [new for _, new in self.moved], [*states, *self.numbers]

    def follow_one(self, optimizer: Optimizer, i: int, p: Tensor, g: Tensor) -> None:
        """The same for one parameter and its gradient."""
        old = [Tensor(x) for x in optimizer.states[i]]
        change, new = follow_rule(optimizer, g, old, self.numbers)
        self.moved += [(p, p - change), *zip(old, new)]
        self.states += [(i, k, leaf) for k, leaf in enumerate(old)]


def check_optimizer(optimizer: Optimizer | None) -> None:
    """TypeError where it is none, or does in its steps what a program does not know of."""
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer= takes an optimizer, as in SGD([weight], 0.1), not {optimizer!r:.80}"
        )
    kind = type(optimizer).__name__
    if type(optimizer).step not in (Optimizer.step, SGD.step):
        raise TypeError(
            f"compiled steps know the rule of an optimizer, not its step(), which {kind} has of "
            "its own: write what it "
            f"does in rule() and numbers()"
        )
    for name in ("step", "rule", "numbers"):
        if name in vars(optimizer):
            raise TypeError(
                f"this {kind} has another {name}() than its class: make a class of it, with rule()"
            )


def follow_rule(
    optimizer: Optimizer, g: Tensor, state: list[Tensor], numbers: list[Tensor]
) -> tuple[Any, Any]:
    """What an optimizer's rule gives; TypeError where it reads or keeps what steps cannot follow.

    The rule runs on a copy of the optimizer that notes whether somebody asks for `steps` or the
    learning rate: a rule may do so and give the same for many of them.
    """
    kind = type(optimizer).__name__
    read: list[str] = []
    watched = noting_copy(optimizer, read)
    before = kept_by(watched)
    found = watched.rule(g, state, *numbers)
    if read:
        raise TypeError(
            f"the rule of {kind} reads self.{read[0]}, and the compiled step would hold that of "
            "now: put what "
            f"depends on it into numbers()"
        )
    changed = [name for name, value in kept_by(watched).items() if before.get(name) != value]
    if changed:
        raise TypeError(
            f"the rule of {kind} changes self.{changed[0]}, which a compiled step does not do: "
            "what differs "
            f"from step to step belongs into the state that the rule returns, or into numbers()"
        )
    if len(found[1]) != len(state):
        raise TypeError(
            f"the rule of {kind} returns a state of {len(found[1])} arrays for one of "
            f"{len(state)}: make all "
            f"of it in __init__, in self.states"
        )
    return found


def noting_copy(optimizer: Optimizer, read: list[str]) -> Optimizer:
    """A copy of an optimizer that appends to `read` what is asked for of the things that differ
    from step to step.
    """

    def noted(name: str, value: Any) -> property:
        def get(self: Any) -> Any:
            read.append(name)
            return value

        return property(get)

    kind = type(optimizer)
    watched = copy.copy(optimizer)
    moving = {
        "steps": optimizer.steps + 1,
        "learning_rate": optimizer.learning_rate,
        "rates": optimizer.rates,
    }
    watched.__class__ = type(
        kind.__name__, (kind,), {name: noted(name, value) for name, value in moving.items()}
    )
    return watched


def kept_by(optimizer: Optimizer) -> dict[str, Any]:
    """What an optimizer holds besides the states, which its rule gets and returns; as keys."""
    return {name: exact(value) for name, value in vars(optimizer).items() if name != "states"}


def next_numbers(optimizer: Optimizer) -> tuple[np.ndarray, ...]:
    """The optimizer's numbers for the step that comes next, which has not been counted yet."""
    optimizer.steps += 1
    try:
        return optimizer.numbers(optimizer.parameters[0].dtype)
    finally:
        optimizer.steps -= 1
