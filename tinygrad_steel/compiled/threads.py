"""Threads that share work in machine code: one pool for the process, made when it is first needed."""

from __future__ import annotations

import operator
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

LIMITS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def threads_of(given: Any) -> int:
    """How many threads are asked for; None: as many as the process may use.

    >>> threads_of(2)
    2
    """
    if given is None:
        return usable()
    try:
        number = 0 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(
            "threads is a whole number from 1 on, or None for as many as this process may use, not "
            f"{given!r}"
        )
    return number


def usable() -> int:
    """The cores that this process may use, and no more than OMP_NUM_THREADS or NUMBA_NUM_THREADS
    say, where they are set to a number.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    set_to = [os.environ.get(name, "") for name in LIMITS]
    return min([cores, *(int(x) for x in set_to if x.isdecimal() and int(x))])


class Pool:
    """Helpers for one process."""

    def __init__(self) -> None:
        self.executor: ThreadPoolExecutor | None = None
        self.size = 0
        self.lock = threading.Lock()

    def ask(self, most: int, task: Callable[..., Any], *given: Any) -> Future[Any] | None:
        """A helper for this task, of so many; None where there are none any more, as Python ends."""
        try:
            return self.of(most).submit(task, *given)
        except RuntimeError:
            return None

    def of(self, most: int) -> ThreadPoolExecutor:
        """The pool, with room for so many helpers at once."""
        with self.lock:
            if self.executor is None or self.size < most:
                if self.executor is not None:
                    self.executor.shutdown(wait=False)  # what it has begun it brings to an end
                self.executor, self.size = ThreadPoolExecutor(most, "tinygrad_steel"), most
            return self.executor


POOL = Pool()
if hasattr(os, "register_at_fork"):  # threads do not come along into a child
    os.register_at_fork(after_in_child=POOL.__init__)  # type: ignore[misc]


def share(call: Callable[[int], Any], count: int, threads: int) -> None:
    """call(0), call(1), ... call(count - 1), by so many threads at once, of which this is one."""
    left = deque(range(count))
    asked = [POOL.ask(threads, work, call, left) for _ in range(min(threads, count) - 1)]
    try:
        work(call, left)
    finally:
        left.clear()
        for helper in asked:
            if helper is not None and not helper.cancel():  # one that has not begun is not needed
                finished(helper)


def work(call: Callable[[int], Any], left: deque[int]) -> None:
    """Do what is left, one after another."""
    while left:
        try:
            block = left.popleft()
        except IndexError:  # another thread was faster
            return
        call(block)


def finished(task: Future[Any], interrupted: Callable[[], None] | None = None) -> Any:
    """The result of a task, which is waited for even if the user interrupts: nobody is to write
    into memory behind the caller's back. `interrupted`: what to do then at once.
    """
    interrupt = None
    while True:
        try:
            # An interrupt that comes just before a wait without end is not seen before its end
            if wait([task], timeout=0.2).done:
                break
        except KeyboardInterrupt as error:
            interrupt = error
            if interrupted is not None:
                interrupted()
    if interrupt is not None:
        raise interrupt
    return task.result()


def uninterrupted(
    threads: int, function: Callable[[], Any], interrupted: Callable[[], None] | None = None
) -> Any:
    """What a function returns; KeyboardInterrupt, which comes in the main thread alone, does not
    stop it half way.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    task = POOL.ask(threads, function)
    return function() if task is None else finished(task, interrupted)
