"""From what Tensors were computed: leaves first, then results, each oldest first; and as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.history import history
from ..engine.tensor import Tensor
from .values import Value, apply, constant


def ancestors(roots: Iterable[Tensor]) -> list[Tensor]:
    """These Tensors and all from which they were computed; TypeError for others.

    Leaves come first, as new data makes one young, then results; each oldest first.
    """
    roots = [*roots]
    refuse_numbers(roots)
    return sorted(history(roots), key=lambda t: (t.op is not None, t.age))


def refuse_numbers(roots: Iterable[Any]) -> None:
    """TypeError for what has no graph, as it is no Tensor."""
    for x in roots:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{x!r:.80} ({type(x).__name__}) has no graph: give the Tensor itself, "
                f"not its item()"
            )


def translated(t: Tensor, made: Mapping[Tensor, Value]) -> Value:
    """A Tensor as a value, when those of its inputs are made; what has no history is a Constant."""
    if t.op is None:
        return constant(t.data)
    inputs = [made[x] if isinstance(x, Tensor) else x for x in t.inputs]
    return apply(t.op, inputs, t.params, t)
