"""Ctrl-C and SIGTERM: both stop a training by KeyboardInterrupt, once, and do not break into the saving of a file."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

# As shells have it: 128 and the number of the signal
CTRL_C, TERMINATED = 130, 143
GRACE = 1.0  # seconds


class Terminated(KeyboardInterrupt):
    """SIGTERM: what `kill`, `timeout` and schedulers send before they kill for good."""


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """What runs inside is stopped by SIGTERM as by Ctrl-C: with KeyboardInterrupt, here `Terminated`.

    A second signal right after the first is the same wish: it does not break into what that one has begun.
    """
    last = -GRACE

    def stop(number: int, frame: object) -> None:
        nonlocal last
        if time.monotonic() - last >= GRACE:
            last = time.monotonic()
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as for a job in the background
    both = {signal.SIGTERM: stop, signal.SIGINT: signal.SIG_IGN if ignored else stop}
    with handled(both):
        yield


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """What runs inside is done first; Ctrl-C or SIGTERM, if one came meanwhile, is heard once after it."""
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        noted.append(number)

    try:
        with handled({signal.SIGINT: note, signal.SIGTERM: note}):
            yield
    finally:
        if noted:
            signal.raise_signal(noted[0])


@contextlib.contextmanager
def handled(handlers: dict[int, object]) -> Iterator[None]:
    """These handlers of signals, and the old ones afterwards; in another thread than the main one, none are set."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in old.items():
            # None: it was set outside of Python, and cannot be had back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
