"""The names that Tensors are given: their own, or those of the variables that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from .ancestors import ancestors
from .values import Same

Names = dict[str, Any] | None
DEEP = 4  # how many containers, one in the other, are looked into: a list may hold itself


class GivenNames:
    """What Tensors are called: by name, or as the variables that hold them or their arrays."""

    def __init__(self, names: Names):
        self.tensors: dict[Tensor, str] = {}
        self.arrays: dict[Same, str] = {}
        given = variables(names)
        for name, value in given.items():
            if isinstance(value, np.ndarray) and value.ndim:
                self.arrays.setdefault(Same(value), name)
        found = [*given.items()]
        for _ in range(DEEP):
            found = [inner for name, value in found for inner in self.take(name, value)]

    def take(self, name: str, value: Any) -> list[tuple[str, Any]]:
        """Note a Tensor under its first name; gives what a list, tuple or dict holds, named."""
        if isinstance(value, Tensor):
            self.tensors.setdefault(value, name)
        elif isinstance(value, dict):
            return [(f"{name}[{key!r}]", v) for key, v in value.items()]
        elif isinstance(value, list | tuple):
            return [(f"{name}[{i}]", v) for i, v in enumerate(value)]
        return []

    def of(self, t: Tensor) -> str | None:
        """The name of a Tensor; None where it has none."""
        if t.name or t in self.tensors:
            return t.name or self.tensors[t]
        array = self.array_of(t)
        return None if array is None else self.arrays[Same(array)]

    def key(self, t: Tensor) -> Tensor | Same:
        """What stands for a Tensor: itself, or the named array of which it is a copy."""
        array = self.array_of(t)
        return t if array is None else Same(array)

    def array_of(self, t: Tensor) -> np.ndarray | None:
        """The named array that was copied into a Tensor, if it has not changed since."""
        origin = getattr(t, "_origin", None)
        array = None if origin is None else origin()
        if array is None or t.name or Same(array) not in self.arrays:
            return None
        before, now = ((x.dtype, x.shape, x.tobytes()) for x in (t.data, array))
        return array if before == now else None


def named_leaves(loss: Tensor, names: Names) -> list[Tensor]:
    """The leaves that readers know by a name, and those that require a gradient."""
    given = GivenNames(names)
    return [
        t
        for t in ancestors([loss])
        if t.op is None and (t.name or t.requires_grad or t in given.tensors)
    ]


def variables(names: Names) -> dict[str, Any]:
    """The variables that give names: not the results that IPython keeps in _, Out and the like."""
    given = {} if names is None else names
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise TypeError(f"names is a dict of variables, such as locals(), not {kind}")
    for key in given:
        if not isinstance(key, str):
            raise TypeError(f"names is a dict of variables by name, and {key!r:.60} is no name")
    own = [k for k in given if not k.startswith("_") and k not in ("In", "Out")]
    return {k: given[k] for k in own}
