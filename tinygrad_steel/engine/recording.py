"""What is recorded and who is told: modes, `no_grad`, and the watchers of the engine."""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar, overload

Function = TypeVar("Function", bound=Callable[..., Any])


class Watcher:
    """Is told what the engine does inside `with recording(watcher=...)`; this one passes it all."""

    def result(self, y: Any, op: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> None:
        """`op` has made `y`, recorded or not, from these inputs."""

    def sent(self, y: Any, x: Any, g: Any) -> None:
        """The op of `y` sends `g` to its input `x`, as a part of the gradient of `x`."""

    def gradient(self, y: Any, g: Any) -> Any:
        """`g` is the whole gradient of `y`, a result or a leaf; what this returns replaces it."""
        return g


class Mode:
    """What is recorded: "leaves", "all" or "off".

    "leaves" is what comes from a leaf that has a name or wants a gradient. `watchers` are told of
    every result and every gradient. `requests` are the `with recording(...)` blocks that are open,
    in the order in which they were entered; the last one decides.
    """

    __slots__ = ("__weakref__", "all", "on", "requests", "watchers")

    def __init__(self, requests: tuple[Request, ...] = ()):
        self.requests = requests
        for request in requests:
            request.modes.add(self)
        self.renew()

    def renew(self) -> None:
        """What follows from the requests that are still open."""
        requests = self.requests = tuple(r for r in self.requests if not r.closed)
        record = next((r.record for r in reversed(requests) if r.record), "leaves")
        self.on = record != "off"
        self.all = record == "all"
        self.watchers = tuple(r.watcher for r in requests if r.watcher is not None)


class Request:
    """One `with recording(...)`, and the modes that it has a part in, in whichever threads."""

    __slots__ = ("closed", "modes", "record", "watcher")

    def __init__(self, record: str | None, watcher: Watcher | None):
        self.record = record
        self.watcher = watcher
        self.closed = False
        self.modes: weakref.WeakSet[Mode] = weakref.WeakSet()

    def close(self) -> None:
        """Withdraw it, wherever it counts: another thread may finish a generator than began it."""
        self.closed = True
        for mode in [*self.modes]:
            mode.renew()


# A ContextVar, so that one thread's no_grad is not another's.
# B039 is for defaults that somebody may change; nobody changes this one.
RECORDING: ContextVar[Mode] = ContextVar("recording", default=Mode())  # noqa: B039

# A plain counter object: a counter kept as a class attribute costs 7-10% of a small training step.
next_age = itertools.count().__next__


@contextlib.contextmanager
def recording(record: str | None = None, watcher: Watcher | None = None) -> Iterator[None]:
    """Change the mode inside a `with`, whatever way it is left; what is not given stays as it is.

    Its end withdraws its own request and no other: two generators that hold a `with` open while
    they take turns leave in another order than they came, and going back to what was there before
    would leave recording off for good.
    """
    request = Request(record, watcher)
    RECORDING.set(Mode((*RECORDING.get().requests, request)))
    try:
        yield
    finally:
        request.close()


def refuse_tracing() -> None:
    """TypeError where a rule that is traced takes a number out of a Tensor: it would be frozen."""
    if RECORDING.get().all:
        raise TypeError(
            "a rule that looks at the numbers of a Tensor (if, float, item) cannot be traced: "
            "write it with np.where"
        )


class NoGrad:
    """Record no history inside `with no_grad():`, so that results are constants.

    It holds for the current thread alone. `with no_grad:` does the same, and `@no_grad` before a
    function. A parameter can be changed in place there: `weight -= rate * weight.grad`.

    Raises
    ------
    RuntimeError
        Later, where the gradient of a result is wanted that was computed there from parameters.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, no_grad
    >>> weight = Tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     (weight * 2).requires_grad
    False
    >>> @no_grad
    ... def doubled():
    ...     return weight * 2
    >>> doubled().requires_grad
    False
    """

    def __init__(self) -> None:
        self.open = threading.local()

    @overload
    def __call__(self) -> contextlib._GeneratorContextManager[None]: ...
    @overload
    def __call__(self, function: Function) -> Function: ...
    def __call__(self, function: Any = None) -> Any:
        return recording("off") if function is None else recording("off")(function)

    def __enter__(self) -> None:
        entered = self.open.__dict__.setdefault("blocks", [])
        entered.append(recording("off"))
        entered[-1].__enter__()

    def __exit__(self, *error: Any) -> None:
        self.open.blocks.pop().__exit__(*error)


no_grad = NoGrad()
