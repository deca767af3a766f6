"""What messages say of a traced program: a call with the names of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..engine.messages import describe_call
from .values import VALUES, Apply, Value


def call_of(y: Apply, names: Mapping[Value, str]) -> str:
    """An Apply as messages show it, with the names of its inputs."""
    return describe_call(y.op, tuple(NamedInput(x, names) for x in y.inputs), dict(y.params))


class NamedInput:
    """An input as messages show it."""

    def __init__(self, x: Any, names: Mapping[Value, str]):
        self.x = x
        if isinstance(x, VALUES):
            self.shape, self.dtype, self.name = x.shape, x.dtype, names.get(x)

    def __repr__(self) -> str:
        return repr(self.x)
