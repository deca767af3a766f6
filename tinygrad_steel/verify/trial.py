"""One set of inputs on which an op is proven, and the op called on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ops.op import Op
from .case import is_float


@dataclass(frozen=True)
class Trial:
    """One set of inputs on which an op is proven."""

    label: str  # what messages call it: "sample 0, x negated"
    inputs: Sequence[np.ndarray]
    params: Mapping[str, Any]
    own: bool = False  # the check made it, perhaps beyond what the op is for: excuses kinks, jumps
    numbers: bool = False  # only the numbers are new: float32 and places in memory have been seen
    plain: tuple[int, ...] = ()  # the inputs handed over as plain Python numbers
    loud: bool = False  # perhaps not what the rules are for: where they raise, nothing is silent

    def saying(self, words: str, **changes: Any) -> Trial:
        """A trial with some things changed, and what messages say of that."""
        return replace(self, label=f"{self.label}, {words}", **changes)

    def with_input(self, i: int, x: np.ndarray) -> list[np.ndarray]:
        """The inputs with another input `i`."""
        return [*self.inputs[:i], x, *self.inputs[i + 1 :]]


def call(op: Op, xs: Sequence[Any], trial: Trial) -> Any:
    """The op on these inputs, as its callers hand them over."""
    given = [x.item() if i in trial.plain else x for i, x in enumerate(xs)]
    return op(given, **trial.params) if op.sequence else op(*given, **trial.params)


def accepts(op: Op, trial: Trial) -> bool:
    """Whether the forward is made for these inputs: whether it gives finite floats.

    Any error means that it is not, whatever its class: it is the forward's way to refuse.
    """
    try:
        y = np.asarray(call(op, [x.copy() for x in trial.inputs], trial))
    except Exception:  # whatever its class, it is how the forward refuses
        return False
    return is_float(y) and bool(np.all(np.isfinite(y)))


def next_call(op: Op, trial: Trial) -> None:
    """Call the forward with the same numbers in another order.

    An array that it uses again shows the difference.
    """
    turned = [x.ravel()[::-1].reshape(x.shape) for x in trial.inputs]
    accepts(op, replace(trial, inputs=turned))


def to_differentiate(
    op: Op, inputs: Sequence[np.ndarray], plain: Collection[int] = ()
) -> list[int]:
    """The inputs that hold floats and have a vjp."""
    wanted = []
    for i, (x, vjp) in enumerate(zip(inputs, op.vjps)):
        if vjp is not None and is_float(x) and i not in plain:
            wanted.append(i)
    return wanted


def floats_of(trial: Trial) -> list[int]:
    """The inputs that hold floats."""
    return [i for i, x in enumerate(trial.inputs) if is_float(x)]
