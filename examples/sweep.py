"""Many trainings in one study of Optuna's: a grid, or random or TPE's choices, of rates, hidden layers and losses.

    python examples/sweep.py steel --seeds 5 --hidden "" 32 64,32 --losses softmax,sigmoid --standardize

The same command goes on where an earlier one was stopped, and any number of them work on one study at once: on one
machine in a SQLite file, on many in a database or a journal (`--storage`). `--dask ADDRESS` trains on a Dask cluster,
whose workers must find this folder (PYTHONPATH), the storage and the data. A run whose worker dies is run again: it is
missed by its heartbeats, which journals do not have (`--retry` there).
"""

from __future__ import annotations

import argparse
import concurrent.futures as cf
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import command_line as cl
from datasets import load
from outputs import check_place, empty_figure
from stopping import CTRL_C, TERMINATED, Terminated, sigterm_as_interrupt
from sweep_run import KINDS, LOSSES
from sweep_tables import COLUMNS, FIXED, Row, draw, export, line, notes, summary
from sweep_workers import Cluster, Processes, has_died
from whole_file import whole_file

THREADS = ["OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"]
DEATHS = 100  # of workers, one after the other


def sweep(
    task: Any, workers: Processes | Cluster, retry: bool = False, say: Callable = print
) -> list[dict[str, Any]]:
    """Have the workers run what a study plans, say what is finished, by whomever, and return all its rows.

    Raises ValueError for a study with other settings, OSError where one worker after the other
    dies, and the errors of the storage.
    """
    import sweep_study  # needs Optuna, which `--help` does not

    study = sweep_study.begin(task, retry)
    rows = sweep_study.rows(study)
    known, deaths = finished(rows), 0
    say(f"{len(rows)} runs, {len(known)} of them finished already")
    count = min(workers.count, len(rows) - len(known))
    under_way: dict[cf.Future, int] = {}
    try:
        under_way |= {workers.submit(worker, task): worker for worker in range(count)}
        while under_way:
            for future in cf.wait(under_way, 1, cf.FIRST_COMPLETED).done:
                worker = under_way.pop(future)
                error = cf.CancelledError() if future.cancelled() else future.exception()
                deaths = deaths + 1 if error else 0
                if error and (deaths > DEATHS or not has_died(error)):
                    raise error
                if error or future.result():
                    under_way[workers.submit(worker, task)] = worker
            rows = sweep_study.rows(study)
            for key in sorted(finished(rows) - known):
                known.add(key)
                say(f"{len(known)}/{len(rows)} {line(rows[key])}")
    finally:
        for future in under_way:
            future.cancel()
        workers.stop()
    return [*rows.values()]


def finished(rows: Mapping[Any, Row]) -> set[Any]:
    """The keys of those rows that stay as they are."""
    return {key for key, row in rows.items() if row["status"] in ("done", "pruned", "failed")}


def address_of(storage: str) -> str:
    """What is meant by `--storage`, the same wherever a worker runs."""
    kind, _, rest = storage.partition(":")
    if kind == "journal":
        return f"journal:{Path(rest).resolve()}"
    if "://" in storage:
        return storage
    if not storage or set(storage) & set("?{}%"):
        raise ValueError(
            f"{storage!r} cannot be a SQLite file here: no ?, %, {{ and }} in its name"
        )
    return f"sqlite:///{Path(storage).resolve()}"


def rates(text: str) -> list[float]:
    """`0.001,0.0005` as numbers."""
    found = sorted({cl.rate(part) for part in text.split(",")})
    if not all(0 < rate < math.inf for rate in found):
        raise argparse.ArgumentTypeError(f"numbers above 0 and finite, not {text[:40]!r}")
    return found


def count(text: str) -> int:
    """A whole number above 0."""
    if cl.whole(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0, not {text!r}")
    return cl.whole(text)


OPTIONS = [  # type, default, metavar, help
    ("--trials", count, 20, "N", "configurations of random and tpe (default 20)"),
    ("--seeds", count, 5, "N", "how many (default 5)"),
    ("--first-seed", cl.whole, 1234, "N", "the others follow it (default 1234)"),
    ("--learning-rates", rates, [0.001], "0.001,0.0005", "default 0.001"),
    ("--losses", str, "softmax", "LOSS,LOSS", f"of steel: {', '.join(LOSSES)} (default softmax)"),
    ("--study", str, "sweep", "NAME", "one for each sweep in a storage (default sweep)"),
    ("--storage", cl.file, "sweep.db", "PLACE", "a SQLite file, URL, journal:FILE or redis://..."),
    ("--heartbeat", count, 10, "SECONDS", "who misses three is taken for dead (default 10)"),
    ("--workers", count, os.cpu_count(), "N", "processes (default: one for each core)"),
    ("--dask", str, None, "ADDRESS", "a cluster instead, such as tcp://127.0.0.1:8786"),
    ("--export", cl.file, None, "FILE", "write all runs as CSV in the end"),
    (
        "--plot",
        cl.file,
        None,
        "FILE",
        "draw the best in the end (.png, .svg, .pdf; needs matplotlib)",
    ),
]
SAMPLER = (
    "all combinations (default), or rates from the least to the greatest, and one of each other"
)


def parse(arguments: Sequence[str] | None) -> tuple[cl.Parser, dict[str, Any]]:
    """The command line."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = cl.Parser(description=__doc__, formatter_class=shape)
    add = parser.add_argument
    add("experiments", nargs="+", choices=[*KINDS], metavar="experiment", help=", ".join(KINDS))
    for option, kind, default, metavar, words in OPTIONS:
        add(option, type=kind, default=default, metavar=metavar, help=words)
    add("--sampler", choices=["grid", "random", "tpe"], default="grid", help=SAMPLER)
    layers = {"nargs": "+", "default": [()], "metavar": "12,6,4"}
    add("--hidden", type=cl.widths, help='widths of hidden layers, "": none', **layers)
    add("--prune", action="store_true", help="stop runs that are worse than the median, midway")
    add("--retry", action="store_true", help="run again what has failed or was lost")
    cl.add_training_options(parser)
    return parser, vars(parser.parse_args(arguments))


def tasks(given: dict[str, Any]) -> Iterable[Any]:
    """What is to be known of each experiment's sweep; their data is here then."""
    from sweep_study import Task

    losses = sorted({*given["losses"].split(",")})
    if unknown := {*losses}.difference(LOSSES):
        raise ValueError(f"losses are {', '.join(LOSSES)}, not {', '.join(map(repr, unknown))}")
    hidden = sorted({",".join(map(str, layers)) for layers in given["hidden"]})
    first = given["first_seed"]
    if first < 0 or first + given["seeds"] > 1 << 32:
        raise ValueError("seeds are whole numbers from 0 to 2**32 - 1: mind --first-seed")
    if not given["study"]:
        raise ValueError("--study is a name, and not an empty one")
    for name in dict.fromkeys(given["experiments"]):
        if made_up := load(name, given["data"]).synthetic:
            print(f"{name}: {made_up}")
        space = {"learning_rate": given["learning_rates"], "hidden": hidden}
        yield Task(
            storage=address_of(given["storage"]),
            study=f"{given['study']}-{name}",
            seeds=[*range(first, first + given["seeds"])],
            space=space | ({"loss": losses} if KINDS[name].losses else {}),
            settings={"experiment": name}
            | {k: given[k] for k in FIXED}
            | {"data": "synthetic" if made_up else "real"},
            **{k: given[k] for k in ("heartbeat", "prune", "sampler", "trials", "data")},
        )


def check_outputs(given: dict[str, Any]) -> None:
    """OSError, ValueError or ImportError where the results could not be written."""
    from sweep_storage import check_file

    files = [given["storage"], *filter(None, (given["export"], given["plot"]))]
    if len({os.path.realpath(file) for file in files}) < len(files):
        raise ValueError(f"storage, export and plot are files of their own, not {', '.join(files)}")
    for file in files[1:]:
        check_place(file)
    if given["export"]:
        check_file(given["export"], ",".join(COLUMNS).encode())
    if given["plot"]:
        empty_figure(given["plot"])


def run_all(given: dict[str, Any]) -> bool:
    """Sweep all experiments, and say and write what they come to; whether any run has succeeded."""
    check_outputs(given)
    sweeps = []
    for task in [*tasks(given)]:  # all data first: one download, and its error before any run
        address = given["dask"]
        workers = Processes(given["workers"]) if address is None else Cluster(address)
        sweeps.append(sweep(task, workers, given["retry"]))
    rows = [row for own in sweeps for row in own]
    print(*map(summary, sweeps), *notes(rows), sep="\n\n")
    if given["export"]:
        export(given["export"], rows)
    if given["plot"]:
        figure = empty_figure(given["plot"])
        draw(figure, sweeps)
        with whole_file(given["plot"]) as part:
            figure.savefig(part, dpi=120)
    return any(row["status"] in ("done", "pruned") for row in rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run sweeps from the command line."""
    parser, given = parse(arguments)
    cl.prepare_console()
    os.environ |= {name: "1" for name in THREADS if name not in os.environ}  # of the workers
    try:
        import sweep_storage
    except ImportError:
        parser.fail('sweeps need Optuna: pip install "tinygrad_steel[sweep]"')
    try:
        with sigterm_as_interrupt():
            succeeded = run_all(given)
    except (ValueError, OSError, ImportError, *sweep_storage.ERRORS) as error:
        parser.fail(sweep_storage.in_words(error))
    except KeyboardInterrupt as stop:
        code = TERMINATED if isinstance(stop, Terminated) else CTRL_C
        parser.fail("stopped: the same command goes on from what is finished", code)
    sys.exit(0 if succeeded else 1)


if __name__ == "__main__":
    main()
