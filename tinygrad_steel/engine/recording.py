"""Who is told what the engine does."""

from __future__ import annotations

from typing import Any

from .backward import recording as recording


class Watcher:
    """Is told what the engine does; whoever wants to know overrides a method."""

    def result(self, y: Any, op: Any, inputs: tuple, params: dict[str, Any]) -> None:
        """The Tensor `y` is the result of an op."""

    def sent(self, y: Any, x: Any, g: Any) -> None:
        """The gradient of `y` adds `g` to that of its input `x`."""

    def gradient(self, y: Any, g: Any) -> Any:
        """`g` is the whole gradient of `y`; what is returned is used in its place."""
        return g
