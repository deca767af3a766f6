"""`scope`: groups what is computed inside a `with`, and remembers where each result was made."""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from ..engine.recording import Watcher, recording
from ..engine.tensor import Tensor

Path = tuple[str, ...]  # names of scopes, the outermost first
CURRENT: ContextVar[Path] = ContextVar("scope", default=())
# The age of a result -> a reference that removes the entry when the result goes, and its scope.
SCOPES: dict[int, tuple[weakref.ref[Tensor], Path]] = {}


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Group what is computed inside `with scope("hidden[0]"):` in pictures and pages.

    Scopes may contain scopes. Parameters belong to the scope in which they are used. Scopes that
    have the same name but for a number at the end (`hidden[0]`, `hidden[1]`), and the same
    structure, can be folded into one card. A scope costs time on every op inside.

    Parameters
    ----------
    name : str
        What stands above the group; anything else is turned into text.

    Returns
    -------
    context manager
        For a `with`; it also goes before a function, as `@scope("layer")`.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, draw, scope
    >>> h = Tensor([1.0, 2.0], name="x")
    >>> for i in range(3):
    ...     with scope(f"hidden[{i}]"):
    ...         h = np.tanh(h * 2)
    >>> print(draw(h.sum(), fold=True))
    sum(tanh(tanh(tanh(x * 2) * 2) * 2))
    8 nodes | float64 | nothing requires a gradient
    3 repeated blocks folded; draw(..., fold=False) shows all
    <BLANKLINE>
    output  sum  = 1.9...
    ^ 3 x hidden  tanh(h * 2)  (2,) -> (2,)
    ^ x  (2,)  input  no gradient
    """
    path = (*CURRENT.get(), str(name))
    token = CURRENT.set(path)
    try:
        with recording(watcher=Notes(path)):
            yield
    finally:
        CURRENT.reset(token)


class Notes(Watcher):
    """Writes down the scope of each result."""

    def __init__(self, path: Path):
        self.path = path

    def result(self, y: Tensor, *_: Any) -> None:
        """Called for every result; the innermost scope comes last and stays."""
        age = y.age
        SCOPES[age] = weakref.ref(y, lambda _: SCOPES.pop(age, None)), self.path


def scope_of(t: Tensor) -> Path:
    """The scope in which a Tensor was computed; empty where there was none."""
    reference, path = SCOPES.get(t.age, (None, ()))
    is_still_it = reference is not None and reference() is t
    return path if is_still_it else ()


def common(paths: Iterable[Path]) -> Path:
    """The innermost scope that holds all of these."""
    levels = itertools.takewhile(lambda names: len({*names}) == 1, zip(*paths))
    return tuple(names[0] for names in levels)
