"""Who runs a sweep's trials: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import concurrent.futures as cf
import importlib
import multiprocessing
import os
import signal
import threading
from typing import Any

from stopping import sigterm_as_interrupt


def start_process() -> None:
    """End when the sweep's own process is gone, and print no traceback of a heartbeat that was missed."""
    threading.excepthook = lambda _: None
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def work_until_terminated(task: Any) -> bool:
    """`sweep_study.work`, which SIGTERM interrupts as Ctrl-C would: it can say that its trial is free."""
    from sweep_study import work

    with sigterm_as_interrupt():
        return work(task)


class Processes:
    """So many processes, each with an executor of its own: none takes others along when it dies."""

    def __init__(self, count: int):
        self.count = count
        self.executors: dict[int, cf.Executor] = {}
        self.futures: dict[int, cf.Future] = {}
        self.others = multiprocessing.active_children()

    def submit(self, worker: int, task: Any) -> cf.Future:
        """Run one trial in this worker's process, in a new one if that has died."""
        ours = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a new process begins with
        try:
            self.futures[worker] = self.executors[worker].submit(work_until_terminated, task)
        except (KeyError, cf.BrokenExecutor):
            context = multiprocessing.get_context("spawn")  # a fork has half of our threads
            executor = cf.ProcessPoolExecutor(1, mp_context=context, initializer=start_process)
            self.executors[worker] = executor
            self.futures[worker] = executor.submit(work_until_terminated, task)
        finally:
            signal.signal(signal.SIGINT, ours)
        return self.futures[worker]

    def stop(self) -> None:
        """End all processes; a trial that one is at is free for the next sweep."""
        children = {*multiprocessing.active_children()}.difference(self.others)
        if not all(future.done() for future in self.futures.values()):
            for child in children:
                child.terminate()
            cf.wait(self.futures.values(), timeout=5)
            for child in children:
                child.kill()
        for executor in self.executors.values():
            executor.shutdown(cancel_futures=True)


class Cluster:
    """The threads of a Dask cluster; OSError or ImportError where it cannot be used."""

    def __init__(self, address: str):
        from dask.distributed import Client  # only for those who have a cluster

        try:
            self.client = Client(address, timeout=20)
        except (OSError, ValueError) as error:
            raise OSError(f"no Dask scheduler answers at {address}: {error}") from error
        self.count = sum(self.client.nthreads().values())
        try:
            self.client.run(lambda: bool(importlib.import_module("sweep_study")))
        except ImportError as error:
            self.stop()
            raise ImportError(f"workers need this folder in their PYTHONPATH: {error}") from error
        self.executor = self.client.get_executor(pure=False)  # each call is one of its own

    def submit(self, worker: int, task: Any) -> cf.Future:
        """Run `sweep_study.work` somewhere; in a lambda, since the scheduler need not find it."""
        return self.executor.submit(lambda t: importlib.import_module("sweep_study").work(t), task)

    def stop(self) -> None:
        """Leave the cluster, which ends the trials that it has begun."""
        self.client.close()


def has_died(error: BaseException | None) -> bool:
    """Whether a worker failed, not its work; Dask's errors are known by where they come from."""
    own = type(error).__module__.partition(".")[0] == "distributed"
    return own or isinstance(error, (cf.BrokenExecutor, cf.CancelledError))
