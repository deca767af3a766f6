"""Mistakes planted at every activation: the same in rows, in columns, in time and in gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from verify.mistakes.classifiers import COLUMNS, ROWS
from verify.mistakes.form import Mistake, Model, sigmoid
from verify.mistakes.layers import DEEP, SIGMOIDS, SQUARE
from verify.mistakes.norms import RESIDUAL
from verify.mistakes.sequences import LSTM, RNN


@dataclass(frozen=True)
class Position:
    """An activation: what goes in and what comes out, by name."""

    model: Model
    function: str
    z: str
    y: str


POSITIONS = (
    Position(ROWS, "tanh", "z1", "h1"),
    Position(COLUMNS, "tanh", "Z1", "A1"),
    Position(SIGMOIDS, "sigmoid", "z1", "l1"),
    Position(SIGMOIDS, "sigmoid", "z2", "l2"),
    Position(DEEP, "relu", "z1", "h1"),
    Position(DEEP, "relu", "z2", "h2"),
    Position(SQUARE, "tanh", "z1", "h1"),
    Position(RNN, "tanh", "z1", "h1"),
    Position(RNN, "tanh", "z2", "h2"),
    Position(RNN, "tanh", "z3", "h3"),
    Position(LSTM, "sigmoid", "zf", "f2"),
    Position(LSTM, "sigmoid", "zi", "i2"),
    Position(LSTM, "sigmoid", "zo", "o2"),
    Position(RESIDUAL, "tanh", "u", "a"),
)

SLOPES: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda z: sigmoid(z) * (1 - sigmoid(z)),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0).astype(z.dtype),
    "arctan": lambda z: 1 / (1 + z * z),
}


def planted() -> Iterator[Mistake]:
    """Each mistake at each activation."""
    for at in POSITIONS:
        for name, slope in SLOPES.items():
            if name != at.function and (name != "relu" or has_both_signs(at)):
                yield another_function(at, name, slope)
        if at.function != "relu":  # of whose slope nothing can be told by dividing
            yield divided_by(at)
            yield wrong_place_and_sign(at)
        yield multiplied_besides(at)


def has_both_signs(at: Position) -> bool:
    """Whether relu has both of its slopes there."""
    _, names = at.model.build()
    return bool(np.any(names[at.z].data > 0) and np.any(names[at.z].data < 0))


def mistake(at: Position, title: str, says: str, make: Callable[[Any, Any, Any], Any]) -> Mistake:
    """A mistake that makes the gradient of the input from that of the output, and both values."""

    def step(n: Any) -> Any:
        return make(getattr(n, f"G_{at.y}"), getattr(n, at.z), getattr(n, at.y))

    title = f"{title}: {at.z} of {at.model.name}"
    return Mistake(title, "planted", at.model, {f"G_{at.z}": step}, "wrong-derivative", (says,))


def another_function(at: Position, name: str, slope: Callable[[Any], Any]) -> Mistake:
    """The derivative of another function."""
    says = f"{name}'({at.z}) instead of {at.function}'({at.z})"
    return mistake(at, f"the slope of {name}", says, lambda g, z, y: g * slope(z))


def divided_by(at: Position) -> Mistake:
    """The right derivative, but divided by."""
    slope = SLOPES[at.function]
    says = f"instead of multiplied by {at.function}'({at.z})"
    return mistake(at, "divided by the slope", says, lambda g, z, y: g / slope(z))


def wrong_place_and_sign(at: Position) -> Mistake:
    """The derivative of the result, and a minus: two slips."""
    slope = SLOPES[at.function]
    says = f"{at.function}({at.y}) in place of {at.y}; besides, the sign is wrong"
    return mistake(at, "the slope at the result, with a minus", says, lambda g, z, y: -g * slope(y))


def multiplied_besides(at: Position) -> Mistake:
    """The result as one factor more."""
    slope = SLOPES[at.function]
    return mistake(at, "the result besides", at.y, lambda g, z, y: g * slope(z) * y)


PLANTED = [*planted()]
