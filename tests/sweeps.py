"""What tests of sweeps share: a small one, a worker in the caller's thread, and runs trained alone beside it."""

from __future__ import annotations

import concurrent.futures as cf
import time
from collections import Counter
from pathlib import Path

import sweep_run
from sweep import sweep
from sweep_storage import open_study
from sweep_study import Task, work

RESULTS = ("test_accuracy", "last_loss", "value", "parameters")


def small_task(folder: Path) -> Task:
    """A grid of two losses and two seeds."""
    return Task(
        storage=f"sqlite:///{folder}/sweep.db",
        study="sweep-steel",
        heartbeat=10,
        prune=False,
        sampler="grid",
        trials=4,
        seeds=[1, 2],
        space={"learning_rate": [0.01], "hidden": [""], "loss": ["sigmoid", "softmax"]},
        settings={
            "experiment": "steel",
            "epochs": 2,
            "batch_size": 50,
            "optimizer": "sgd",
            "init": "book",
            "standardize": True,
            "balance": False,
            "compiled": False,
            "data": "synthetic",
        },
        data=None,
    )


class Inline:
    """A worker in the caller's own thread."""

    count = 1

    def submit(self, worker, task):
        future = cf.Future()
        try:
            future.set_result(work(task))
        except BaseException as error:
            future.set_exception(error)
        return future

    def stop(self):
        pass


def quietly(task, retry=False):
    return sweep(task, Inline(), retry, say=lambda line: None)


def states(task):
    return Counter(t.state.name for t in study_of(task).get_trials(deepcopy=False))


def study_of(task):
    return open_study(task.storage, task.study, task.heartbeat, task.prune)


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return found


def check_alone(rows):
    """Each row has, to the bit, what its settings and its seed give when they are trained alone."""
    for row in rows:
        names = (
            "experiment",
            "epochs",
            "batch_size",
            "optimizer",
            "init",
            "standardize",
            "balance",
        )
        given = {name: row[name] for name in (*names, "learning_rate", "hidden", "data")}
        given |= {"loss": row["loss"]} if "loss" in row else {}
        alone = sweep_run.run(given, row["seed"])
        assert {name: row[name] for name in RESULTS} == {name: alone[name] for name in RESULTS}
