"""Many trainings: a grid over seeds, learning rates, hidden layers and losses, side by side, each a row of a CSV file.

    python examples/sweep.py steel --seeds 5 --hidden "" 32 64,32 --losses softmax,sigmoid --standardize

The same command goes on where an earlier one was stopped. `--dask ADDRESS` trains on a Dask cluster, whose workers must
find this folder (PYTHONPATH) and the data.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures as cf
import contextlib
import csv
import importlib
import io
import itertools
import math
import multiprocessing
import os
import signal
import statistics
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from abalone import abalone_exec, mean_absolute_error
from command_line import add_training_options, widths
from datasets import load
from experiment import Run
from pulsar import pulsar_exec, scores
from steel import LOSSES, steel_exec

Row = Mapping[str, Any]
OpenExecutor = Callable[[], contextlib.AbstractContextManager[cf.Executor]]

DEFAULTS = {"epochs": 10, "batch_size": 10, "optimizer": "sgd", "init": "book"}
DEFAULTS |= {"standardize": False, "balance": False, "compiled": False, "data": None}
SETTINGS = ["experiment", "loss", "hidden", "learning_rate", "seed", *DEFAULTS]
COLUMNS = [*SETTINGS, "status", "test_accuracy", "last_loss", "metric", "value", "seconds", "error"]


class Kind(NamedTuple):
    """What a sweep knows of an experiment: how to run it, the losses to choose from, and its main metric."""

    execute: Callable[..., Run]
    losses: Sequence[str]
    metric: str
    value: Callable[[np.ndarray, np.ndarray], float]


def mean_recall(output: np.ndarray, y: np.ndarray) -> float:
    """The accuracy in each class that there is, averaged: rare classes count as much as frequent ones."""
    right = np.argmax(output, axis=1) == np.argmax(y, axis=1)
    return np.mean([np.mean(right[rows]) for rows in y.T == 1 if rows.any()])


KINDS = {
    "abalone": Kind(abalone_exec, [], "mean absolute error", mean_absolute_error),
    "pulsar": Kind(pulsar_exec, [], "F1", lambda output, y: scores(output, y)[2]),
    "steel": Kind(steel_exec, [*LOSSES], "mean recall", mean_recall),
}


def grid(
    experiments: Sequence[str],
    seeds: Sequence[int] = (1234,),
    learning_rates: Sequence[float] = (0.001,),
    hidden: Sequence[tuple[int, ...]] = ((),),
    losses: Sequence[str] = ("softmax",),
    **fixed: Any,
) -> list[dict[str, Any]]:
    """All combinations, those of the first seed first; `losses` are for experiments that have a choice of them.

    `fixed`: what is the same for all, see `DEFAULTS`. Raises ValueError for an unknown experiment, loss or setting,
    and for numbers below 1.
    """
    for names, known in [(experiments, KINDS), (losses, LOSSES), (fixed, DEFAULTS)]:
        for name in names:
            if name not in known:
                raise ValueError(f"there is {', '.join(known)}, but no {name!r}")
    if fixed.get("epochs", 1) < 1 or fixed.get("batch_size", 1) < 1:
        raise ValueError("epochs and batch size are at least 1")
    return [
        dict(zip(SETTINGS, (name, loss, tuple(layers), float(rate), seed))) | DEFAULTS | fixed
        for seed, name, rate, layers in itertools.product(
            seeds, experiments, learning_rates, hidden
        )
        for loss in (losses if KINDS[name].losses else [""])
    ]


def run(settings: Row) -> dict[str, Any]:
    """Train one combination and return its results, in silence; an error of the training is a result too.

    Raises KeyboardInterrupt where Ctrl-C ended the training before its last epoch.
    """
    kind = KINDS[settings["experiment"]]
    given = {
        name: settings[name]
        for name in SETTINGS
        if name not in ("experiment", "epochs", "batch_size")
    }
    if not kind.losses:
        del given["loss"]
    try:
        trained = kind.execute(settings["epochs"], settings["batch_size"], 0, say=silent, **given)
        if trained.stopped:
            raise KeyboardInterrupt
        if trained.dataset.synthetic and settings["data"] != "synthetic":
            raise FileNotFoundError(f"the real data is not here ({trained.dataset.synthetic})")
        last, value = (
            trained.history[-1],
            kind.value(trained.output, trained.dataset.y[trained.test]),
        )
        results = {
            "status": "done",
            "test_accuracy": float(last.test_accuracy),
            "last_loss": float(last.loss),
        }
        return results | {
            "metric": kind.metric,
            "value": float(value),
            "seconds": round(trained.seconds, 3),
        }
    except Exception as error:
        return failure("failed", error)


def silent(*_: Any, **__: Any) -> None:
    """Say nothing."""


def failure(status: str, error: BaseException) -> dict[str, str]:
    """The results of a run that has none."""
    return {"status": status, "error": " ".join(f"{type(error).__name__}: {error}".split())}


def text(value: Any) -> str:
    """A setting or a result as it stands in the file."""
    return (
        ""
        if value is None
        else ",".join(map(str, value))
        if isinstance(value, tuple)
        else str(value)
    )


def key(settings: Row) -> tuple[str, ...]:
    """By what a combination is known, in the grid as in the file."""
    return tuple(text(settings[name]) for name in SETTINGS)


def varying(rows: Iterable[Row]) -> list[str]:
    """The names of the settings in which the rows differ."""
    return [name for name, *values in zip(SETTINGS, *map(key, rows)) if len(set(values)) > 1]


def as_lines(rows: Iterable[Row]) -> str:
    """Rows as lines of the file."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        [text(row.get(name)) for name in COLUMNS] for row in rows
    )
    return out.getvalue()


def read(file: str | os.PathLike[str]) -> list[dict[str, str]]:
    """The rows in a sweep's file, without a half-written last one; none if there is no file.

    Raises ValueError for a file of another kind.
    """
    content = Path(file).read_bytes() if Path(file).exists() else b""
    head, *rows = csv.reader(
        content[: content.rfind(b"\n") + 1].decode().split("\n")[:-1] or [",".join(COLUMNS)]
    )
    if head != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError(f"{file} is not a sweep's file, or one with other columns")
    return [dict(zip(COLUMNS, row)) for row in rows]


def sweep(
    combinations: Iterable[Row],
    open_executor: OpenExecutor,
    file: str | os.PathLike[str],
    *,
    run: Callable[[Row], Row] = run,
    at_once: float = math.inf,
    retry: bool = False,
    tries: int = 3,
    say: Callable[[str], None] = print,
) -> list[dict[str, str]]:
    """Run the combinations that are not in the file yet, add each as it finishes, and return the file's rows.

    `open_executor` makes an executor, and another when a worker's death has broken the first. At most `at_once` runs
    are under way. A run whose worker dies is tried again, `tries` times in all; then its row says that it is lost.
    `retry`: run again what is in the file as failed or lost. No two sweeps may write one file at a time.

    Raises ValueError for a file of another kind. What was finished is in the file after any other error, too, which is
    one of the executor, or KeyboardInterrupt.
    """
    kept = [row for row in read(file) if not retry or row["status"] == "done"]
    wanted = as_lines([dict(zip(COLUMNS, COLUMNS)), *kept]).encode()
    if not Path(file).exists() or Path(file).read_bytes() != wanted:
        part = Path(f"{file}.part")
        part.write_bytes(wanted)
        part.replace(file)  # in one step, so that no kill loses what is finished
    known, asked = (
        {key(row) for row in kept},
        {key(settings): settings for settings in combinations},
    )
    waiting = collections.deque(settings for k, settings in asked.items() if k not in known)
    say(f"{len(asked)} combinations, {len(asked) - len(waiting)} of them finished already")
    total, shown, count = len(waiting), varying(waiting), itertools.count(1)
    suspects: collections.deque[Row] = collections.deque()
    deaths: collections.Counter[tuple[str, ...]] = collections.Counter()
    with open(file, "a", encoding="utf-8", newline="") as out:

        def finish(settings: Row, results: Row) -> None:
            row = {**settings, **results}
            out.write(as_lines([row]))
            out.flush()
            what = "".join(f" {name}={text(row[name]) or 'none'}" for name in shown)
            done = row["status"] == "done"
            say(
                f"{next(count)}/{total}{what}: "
                + (f"{row['test_accuracy']:.3f}" if done else row["error"])
            )

        while waiting or suspects:
            # One suspect at a time: a run that breaks its executor takes those beside it along.
            lost = run_all(
                waiting or suspects, at_once if waiting else 1, open_executor, run, finish
            )
            for settings, error in lost:
                deaths[key(settings)] += 1
                if deaths[key(settings)] == tries:
                    finish(settings, failure("lost", error))
                else:
                    (suspects if isinstance(error, cf.BrokenExecutor) else waiting).append(settings)
    return read(file)


def run_all(
    queue: collections.deque[Row],
    at_once: float,
    open_executor: OpenExecutor,
    run: Callable[[Row], Row],
    finish: Callable[[Row, Row], None],
) -> list[tuple[Row, BaseException]]:
    """Run what is in the queue until a worker dies; return what has no result then, each with the error."""
    lost: list[tuple[Row, BaseException]] = []
    under_way: dict[cf.Future, Row] = {}
    with open_executor() as executor:
        try:
            while under_way or (queue and not lost):
                while queue and not lost and len(under_way) < at_once:
                    settings = queue.popleft()
                    try:
                        under_way[executor.submit(run, settings)] = settings
                    except Exception as error:
                        if not worker_died(error):
                            raise
                        lost.append((settings, error))
                for future in cf.wait(under_way, return_when=cf.FIRST_COMPLETED).done:
                    settings = under_way.pop(future)
                    error = (
                        future.exception()
                        if not future.cancelled()
                        else cf.CancelledError("the run was cancelled")
                    )
                    if worker_died(error):
                        lost.append((settings, error))
                    elif isinstance(error, Exception):
                        finish(settings, failure("failed", error))
                    else:
                        finish(
                            settings, future.result()
                        )  # or raises KeyboardInterrupt, from a run that was stopped
        except BaseException:
            for future in under_way:
                future.cancel()
            with contextlib.suppress(
                Exception
            ):  # of an executor that is in no state to be shut down
                executor.shutdown(wait=False)
            raise
    return lost


def worker_died(error: BaseException | None) -> bool:
    """Whether it was not the run that failed; Dask's errors are known by where they come from, as it may be missing."""
    names = ("KilledWorker", "ClosedClientError")
    own = (
        type(error).__module__.partition(".")[0] == "distributed"
    )  # a connection lost at any moment, say
    return (
        isinstance(error, (cf.BrokenExecutor, cf.CancelledError))
        or own
        or type(error).__name__ in names
    )


class Processes(cf.ProcessPoolExecutor):
    """Processes that leave Ctrl-C to this one, from their first moment on."""

    def submit(self, *args: Any, **options: Any) -> cf.Future:
        """Submit, with the signal blocked, as processes that start here inherit that."""
        if not hasattr(signal, "pthread_sigmask"):  # on Windows
            return super().submit(*args, **options)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            return super().submit(*args, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def processes(workers: int) -> Iterator[cf.Executor]:
    """An executor of so many processes, which after Ctrl-C or another error are ended, not waited for."""
    others = multiprocessing.active_children()
    context = multiprocessing.get_context(
        "spawn"
    )  # a fork would have this process's threads, half alive
    with Processes(workers, mp_context=context, initializer=start_process) as executor:
        try:
            yield executor
        except BaseException:
            for child in set(multiprocessing.active_children()).difference(others):
                child.terminate()
            raise


def start_process() -> None:
    """Leave Ctrl-C to the sweep's own process, and end when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(
        target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True
    ).start()


@contextlib.contextmanager
def cluster(address: str) -> Iterator[cf.Executor]:
    """An executor on a Dask cluster, for `run_there`.

    Raises OSError where there is no cluster, and ImportError where its workers cannot import what they are to run.
    """
    from dask.distributed import Client  # only for those who have a cluster

    with Client(address) as client:
        try:
            client.run(lambda: bool(importlib.import_module("sweep")))
        except ImportError as error:
            raise ImportError(
                f"the workers need this folder's modules in their PYTHONPATH: {error}"
            ) from error
        with client.get_executor(pure=False) as executor:  # not pure: each try is a run of its own
            yield executor


# A lambda is sent as it is, without this module's name: Dask's scheduler, unlike its workers, need not find the module.
run_there = lambda settings: importlib.import_module("sweep").run(settings)  # noqa: E731


def summary(rows: Iterable[Mapping[str, str]]) -> str:
    """A table for each experiment: means over the seeds and, after ±, standard deviations, the best accuracy first."""
    experiments: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        experiments.setdefault(row["experiment"], []).append(row)
    tables = []
    for name, own in experiments.items():
        shown = [setting for setting in varying(own) if setting != "seed"]
        groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
        for row in own:
            groups.setdefault(tuple(row[setting] or "none" for setting in shown), []).append(row)
        ranked = []
        for settings, group in groups.items():
            done = [row for row in group if row["status"] == "done"]
            runs = f"{len(done)} of {len(group)}" if len(done) < len(group) else f"{len(done)}"
            best, accuracy = mean_and_spread(done, "test_accuracy")
            figures = [
                mean_and_spread(done, column)[1] for column in ("last_loss", "value", "seconds")
            ]
            ranked.append((best, [*settings, runs, accuracy, *figures]))
        ranked.sort(key=lambda line: -line[0])
        lines = [
            [*shown, "runs", "test accuracy", "last loss", KINDS[name].metric, "seconds"],
            *(x for _, x in ranked),
        ]
        sizes = [max(map(len, column)) for column in zip(*lines)]
        tables.append(
            "\n".join([name, *("  ".join(map(str.rjust, line, sizes)) for line in lines)])
        )
    return "\n\n".join(tables)


def mean_and_spread(rows: Sequence[Mapping[str, str]], column: str) -> tuple[float, str]:
    """The mean of a column (minus infinity if there are no rows), and its text, with the deviation of several rows."""
    if not rows:
        return -math.inf, "-"
    values = [float(row[column]) for row in rows]
    mean = statistics.fmean(values)
    return mean, f"{mean:.4f} ± {statistics.stdev(values):.4f}" if len(
        values
    ) > 1 else f"{mean:.4f}"


def rates(text: str) -> list[float]:
    """`0.001,0.0005` as numbers."""
    return [float(part) for part in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a sweep from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("experiments", nargs="+", choices=[*KINDS], metavar="experiment", help=", ".join(KINDS))
    add("--seeds", type=int, default=5, metavar="N", help="how many (default 5)")
    add("--first-seed", type=int, default=1234, help="the others follow it (default 1234)")
    add(
        "--learning-rates",
        type=rates,
        default=[0.001],
        metavar="0.001,0.0005",
        help="default 0.001",
    )
    add(
        "--hidden",
        type=widths,
        nargs="+",
        default=[()],
        metavar="12,6,4",
        help='widths of hidden layers, "": none',
    )
    add(
        "--losses",
        default="softmax",
        metavar="LOSS,LOSS",
        help=f"of steel: {', '.join(LOSSES)} (default softmax)",
    )
    add_training_options(parser)
    add(
        "--out",
        default="sweep.csv",
        metavar="FILE",
        help="what is finished, one row each (default sweep.csv)",
    )
    add("--retry", action="store_true", help="run again what is in the file as failed or lost")
    add(
        "--workers",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="processes (default: one for each core)",
    )
    add(
        "--dask",
        metavar="ADDRESS",
        help="train on this cluster instead, such as tcp://127.0.0.1:8786",
    )
    given = vars(parser.parse_args(arguments))
    names, first, count, file, retry, workers, address = (
        given.pop(name)
        for name in ("experiments", "first_seed", "seeds", "out", "retry", "workers", "dask")
    )
    varied = given.pop("learning_rates"), given.pop("hidden"), given.pop("losses").split(",")
    for name in (
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ):
        os.environ.setdefault(
            name, "1"
        )  # in the processes to come: it is the sweep that shares out the cores
    sys.stdout.reconfigure(errors="replace")  # a console may not have "±"
    sentences, combinations = [], []
    try:
        for name in dict.fromkeys(names):
            sentence = load(
                name, given["data"]
            ).synthetic  # here first: one download, and its error before any run
            sentences += [f"{name}: {sentence}"] if sentence else []
            fixed = {**given, "data": "synthetic"} if sentence else given
            combinations += grid([name], range(first, first + count), *varied, **fixed)
        print(*sentences, sep="\n", end="\n" if sentences else "")
        if address:
            rows = sweep(combinations, lambda: cluster(address), file, retry=retry, run=run_there)
        else:
            rows = sweep(
                combinations, lambda: processes(workers), file, retry=retry, at_once=workers
            )
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(
            130, f"\nstopped: what is finished is in {file}, the same command goes on from there\n"
        )
    print("", summary(rows), *sentences, sep="\n")


if __name__ == "__main__":
    importlib.import_module(
        "sweep"
    ).main()  # workers know `run` as this module's, not as that of a script
