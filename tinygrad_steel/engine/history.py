"""The history of Tensors: all from which they were computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..ops.op import is_tensor


def history(roots: Iterable[Any]) -> Iterator[Any]:
    """These Tensors and all from which they were computed, each once, in no order."""
    found = set(roots)
    todo = [*found]
    while todo:
        t = todo.pop()
        yield t
        for x in t._inputs:
            if is_tensor(x) and x not in found:
                found.add(x)
                todo.append(x)
