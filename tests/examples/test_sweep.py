"""Sweeps: equal whatever the executor, continued by a restart, and complete though workers die."""

from __future__ import annotations

import concurrent.futures as cf
import csv
import functools
import importlib
import inspect
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import sweep as script
from sweep import COLUMNS, grid, processes, read, run, summary, sweep

SCRIPT = Path(script.__file__)
GRID = grid(["steel"], range(4), data="synthetic")
of_processes = pytest.mark.slow  # each of them starts, and loads all there is


class Inline(cf.Executor):
    """Runs at once, in the caller's thread."""

    def submit(self, function, *args):
        future = cf.Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class Counted:
    """A run that trains nothing, and remembers the seeds of what it ran."""

    def __init__(self, error=None):
        self.seeds, self.error = [], error

    def __call__(self, settings):
        self.seeds.append(settings["seed"])
        if self.error:
            raise self.error
        return {"status": "done", "test_accuracy": settings["seed"] / 10, "last_loss": 1.0}


def quietly(combinations, file, run=run, open_executor=Inline, at_once=1, **options):
    return sweep(
        combinations,
        open_executor,
        file,
        run=run,
        at_once=at_once,
        say=lambda line: None,
        **options,
    )


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
    return found


def seeds(rows):
    return sorted(int(row["seed"]) for row in rows)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sweep.csv"


@pytest.fixture
def executor_of(request):
    """Opens executors by name; the cluster is only started for those who ask for it."""

    def opener(name):
        if name == "dask":
            address = request.getfixturevalue("dask_cluster").scheduler_address
            return lambda: script.cluster(address)
        return {"threads": lambda: cf.ThreadPoolExecutor(2), "processes": lambda: processes(2)}[
            name
        ]

    return opener


# What a combination gives


VARIED = [
    *grid(
        ["steel"],
        [1, 2],
        [0.001],
        [(), (6, 4)],
        ["softmax", "sigmoid"],
        epochs=1,
        standardize=True,
        data="synthetic",
    ),
    *grid(["abalone"], [1], [0.001, 1e9], epochs=2, data="synthetic"),  # the second fails
    *grid(["pulsar"], [1], optimizer="adam", balance=True, epochs=1, data="synthetic"),
]


@pytest.fixture(scope="module")
def inline_rows(tmp_path_factory):
    return results(quietly(VARIED, tmp_path_factory.mktemp("inline") / "sweep.csv"))


def results(rows):
    """All but the time that it took, which is no result."""
    return sorted(tuple(row[name] for name in COLUMNS if name != "seconds") for row in rows)


@of_processes
@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize("name", ["threads", "processes", "dask"])
def test_results_are_equal_whatever_the_executor(name, executor_of, file, inline_rows, capfd):
    assert (
        results(quietly(VARIED, file, open_executor=executor_of(name), at_once=math.inf))
        == inline_rows
    )
    assert capfd.readouterr().out == ""


def test_a_run_gives_what_the_experiment_gives(capsys):
    (settings,) = grid(
        ["abalone"], [7], [0.01], [(5,)], epochs=2, standardize=True, init="he", data="synthetic"
    )
    found = run(settings)
    assert capsys.readouterr() == ("", "")
    trained = script.abalone_exec(
        2,
        hidden=(5,),
        init="he",
        standardize=True,
        learning_rate=0.01,
        seed=7,
        data="synthetic",
        metrics=True,
    )
    lines = capsys.readouterr().out.splitlines()  # no longer silent
    assert (found["status"], found["metric"]) == ("done", "mean absolute error")
    assert (found["test_accuracy"], found["last_loss"]) == (
        trained.history[-1].test_accuracy,
        trained.history[-1].loss,
    )
    assert f"mean absolute error in rings = {found['value']:5.3f}" in lines


def test_the_mean_recall_counts_rare_classes_as_much_as_frequent_ones():
    y = script.np.eye(3)[[0, 0, 0, 1]]  # the third class is not there
    assert script.mean_recall(script.np.eye(3)[[0, 0, 2, 1]], y) == pytest.approx((2 / 3 + 1) / 2)


def test_a_stand_in_that_nobody_asked_for_is_no_result(monkeypatch):
    monkeypatch.delenv("TINYGRAD_STEEL_DATA", raising=False)
    monkeypatch.setattr(
        "datasets.from_uci", lambda name: (_ for _ in ()).throw(ConnectionError("no network"))
    )
    found = run(grid(["steel"], epochs=1)[0])
    assert found["status"] == "failed" and "no network" in found["error"]


def test_a_training_stopped_by_ctrl_c_is_no_result(monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("experiment.Run.step", stop)
    with pytest.raises(KeyboardInterrupt):
        run(GRID[0])


def test_a_grid_has_losses_only_where_there_is_a_choice():
    found = grid(["steel", "pulsar"], [1, 2], [0.1], [(), (3,)], ["softmax", "sigmoid"])
    assert Counter(settings["experiment"] for settings in found) == {"steel": 8, "pulsar": 4}
    assert {settings["loss"] for settings in found if settings["experiment"] == "pulsar"} == {""}
    assert [settings["seed"] for settings in found] == [1] * 6 + [2] * 6


@pytest.mark.parametrize(
    "given", [{"losses": ["hinge"]}, {"epoch": 3}, {"epochs": 0}, {"batch_size": 0}]
)
def test_a_grid_that_cannot_be_run_is_refused(given):
    with pytest.raises(ValueError, match="no 'hinge'|no 'epoch'|at least 1"):
        grid(["steel"], **given)


# The file


def test_a_restart_runs_what_is_missing(file):
    quietly(GRID[2:], file, Counted())
    rows = quietly(GRID, file, again := Counted())
    assert again.seeds == [0, 1] and seeds(rows) == [0, 1, 2, 3]
    quietly(GRID, file, again := Counted())
    assert again.seeds == []


def test_a_changed_grid_adds_what_is_new_and_keeps_what_is_there(file):
    quietly(GRID, file, Counted())
    changed = grid(["steel"], [3, 4], [0.001, 0.1], [(), (64, 32)], data="synthetic")
    rows = quietly(changed, file, added := Counted())
    assert Counter(added.seeds) == {3: 3, 4: 4} and len(rows) == 4 + 7
    assert {row["hidden"] for row in rows} == {"", "64,32"}


def test_twice_in_the_grid_is_once_in_the_file(file):
    assert seeds(quietly(GRID + GRID, file, Counted())) == [0, 1, 2, 3]


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_half_written_line_is_run_again(file, cut):
    quietly(GRID, file, Counted())
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    quietly(GRID, file, again := Counted())
    assert again.seeds == [3] and file.read_bytes() == whole


def test_a_half_written_head_is_written_again(file):
    file.write_text("experiment,lo", encoding="utf-8")
    assert seeds(quietly(GRID, file, Counted())) == [0, 1, 2, 3]


def test_another_file_is_not_touched(file):
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not a sweep's file"):
        quietly(GRID, file, Counted())
    assert file.read_text(encoding="utf-8") == "a,b\n1,2\n"


def test_a_row_is_in_the_file_as_soon_as_it_is_said(file):
    found = []
    sweep(
        GRID,
        Inline,
        file,
        run=Counted(),
        at_once=1,
        say=lambda line: found.append((line, len(read(file)))),
    )
    assert found[0] == ("4 combinations, 0 of them finished already", 0)
    assert found[3:] == [("3/4 seed=2: 0.200", 3), ("4/4 seed=3: 0.300", 4)]


# What fails


def test_a_loss_that_is_not_finite_is_a_row_with_its_error_and_repeated_only_if_asked_for(file):
    combinations = grid(["abalone"], [1], [1e9, 0.001], epochs=2, data="synthetic")
    failed, done = quietly(combinations, file)
    assert (failed["status"], done["status"]) == ("failed", "done")
    assert (
        failed["error"].startswith("FloatingPointError: the loss is ")
        and failed["test_accuracy"] == ""
    )
    quietly(combinations, file, again := Counted())
    assert again.seeds == []
    rows = quietly(combinations, file, again := Counted(), retry=True)
    assert again.seeds == [1] and [row["status"] for row in rows] == ["done", "done"]


def test_whatever_a_run_raises_is_a_row(file):
    rows = quietly(GRID, file, Counted(RuntimeError("two\nlines")))
    assert [(row["status"], row["error"]) for row in rows] == [
        ("failed", "RuntimeError: two lines")
    ] * 4


def test_an_error_of_the_executor_stops_the_sweep_and_keeps_what_is_finished(file):
    class Full(Inline):
        def submit(self, function, settings):
            if settings["seed"] == 2:
                raise RuntimeError("no room")
            return super().submit(function, settings)

    with pytest.raises(RuntimeError, match="no room"):
        quietly(GRID, file, Counted(), Full)
    assert seeds(read(file)) == [0, 1]


# Workers that die


def dies(folder, times, settings):
    """Kill the process at seed 1, but only so many times."""
    with open(folder / str(settings["seed"]), "a", encoding="utf-8") as f:
        f.write("+")
    if settings["seed"] == 1 and (folder / "1").stat().st_size <= times:
        os.kill(
            os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM)
        )  # on Windows, SIGTERM is no less
    return {"status": "done", "test_accuracy": 0.5}


@pytest.fixture
def importable_dies(tmp_path, monkeypatch):
    """The same, from a module that worker processes can import under its name."""
    (tmp_path / "dying.py").write_text(
        f"import os\nimport signal\n\n\n{inspect.getsource(dies)}", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("dying").dies
    del sys.modules["dying"]


@of_processes
@pytest.mark.parametrize("times, status, ran", [(2, "done", 3), (9, "lost", 3)])
def test_a_run_that_kills_its_process_is_tried_three_times_and_takes_no_other_along(
    importable_dies, tmp_path, file, times, status, ran
):
    rows = quietly(
        GRID,
        file,
        functools.partial(importable_dies, tmp_path, times),
        lambda: processes(2),
        at_once=2,
    )
    assert seeds(rows) == [0, 1, 2, 3]
    assert {int(row["seed"]): row["status"] for row in rows} == {
        0: "done",
        1: status,
        2: "done",
        3: "done",
    }
    assert (tmp_path / "1").stat().st_size == ran
    assert all(
        row["error"].startswith("BrokenProcessPool") for row in rows if row["status"] == "lost"
    )


def test_a_run_that_the_cluster_has_lost_is_tried_again(file):
    seen = set()

    class Forgetful(Inline):
        """Cancels each run once, as Dask does when it loses its scheduler."""

        def submit(self, function, settings):
            if settings["seed"] in seen:
                return super().submit(function, settings)
            seen.add(settings["seed"])
            future = cf.Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    rows = quietly(GRID, file, Counted(), Forgetful)
    assert seeds(rows) == [0, 1, 2, 3] and {row["status"] for row in rows} == {"done"}


@of_processes
@pytest.mark.xdist_group("cluster")
def test_a_dask_worker_killed_midway_loses_nothing_and_repeats_nothing(
    dask_cluster, tmp_path, file
):
    def slow(settings):  # sent by value, as it is no module's
        (tmp_path / f"{settings['seed']} {os.getpid()} begun").touch()
        time.sleep(0.3)
        return {"status": "done", "test_accuracy": settings["seed"] / 10, "last_loss": 1.0}

    def begun():
        return {path.name for path in tmp_path.glob("* begun")}

    killed = []

    def kill_one_at_work(line):
        if line.startswith("3/"):
            before = begun()
            seed, pid, _ = wait_for(lambda: begun() - before).pop().split()
            os.kill(int(pid), getattr(signal, "SIGKILL", signal.SIGTERM))
            killed.append(int(seed))

    open_executor = functools.partial(script.cluster, dask_cluster.scheduler_address)
    rows = sweep(grid(["steel"], range(12)), open_executor, file, run=slow, say=kill_one_at_work)
    assert (
        seeds(rows) == [*range(12)]
        and [row["error"] for row in rows if row["status"] != "done"] == []
    )
    times = Counter(int(name.split()[0]) for name in begun())
    assert (
        len(killed) == 1 and times[killed[0]] == 2
    )  # so the one that was killed was really at work


@of_processes
@pytest.mark.xdist_group("cluster")
def test_a_run_that_kills_its_dask_worker_is_tried_again(dask_cluster, tmp_path, file, monkeypatch):
    monkeypatch.setattr(
        dask_cluster.scheduler, "allowed_failures", 0
    )  # Dask's own tries, before its KilledWorker

    def dies_once(settings):
        if settings["seed"] == 1 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(
                os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM)
            )  # on Windows, SIGTERM is no less
        return {"status": "done", "test_accuracy": 0.5}

    open_executor = functools.partial(script.cluster, dask_cluster.scheduler_address)
    rows = quietly(GRID, file, dies_once, open_executor, at_once=math.inf)
    assert seeds(rows) == [0, 1, 2, 3] and {row["status"] for row in rows} == {"done"}


# The summary


def row(**given):
    defaults = dict.fromkeys(COLUMNS, "") | {
        "experiment": "steel",
        "loss": "softmax",
        "status": "done",
        "seconds": "1",
    }
    return defaults | {"last_loss": "2.0", "value": "0.25"} | given


def test_the_summary_has_means_over_the_seeds_the_best_first():
    rows = [
        row(loss="sigmoid", seed="1", test_accuracy="0.5"),
        row(loss="sigmoid", seed="2", test_accuracy="0.5"),
        row(loss="softmax", seed="1", test_accuracy="0.6", last_loss="1.0"),
        row(loss="softmax", seed="2", test_accuracy="0.8", last_loss="3.0"),
        row(loss="softmax", seed="3", status="failed", error="FloatingPointError: the loss is nan"),
        row(loss="sigmoid-mse", seed="1", status="lost"),
        row(experiment="pulsar", loss="", seed="1", test_accuracy="0.9"),
    ]
    assert summary(rows).splitlines() == [
        "steel",
        "       loss    runs    test accuracy        last loss      mean recall          seconds",
        "    softmax  2 of 3  0.7000 ± 0.1414  2.0000 ± 1.4142  0.2500 ± 0.0000  1.0000 ± 0.0000",
        "    sigmoid       2  0.5000 ± 0.0000  2.0000 ± 0.0000  0.2500 ± 0.0000  1.0000 ± 0.0000",
        "sigmoid-mse  0 of 1                -                -                -                -",
        "",
        "pulsar",
        "runs  test accuracy  last loss      F1  seconds",
        "   1         0.9000     2.0000  0.2500   1.0000",
    ]


# The command line


def command(file, *options):
    fixed = [
        "steel",
        "--seeds",
        "2",
        "--epochs",
        "1",
        "--data",
        "synthetic",
        "--workers",
        "2",
        "--out",
        file,
    ]
    return [sys.executable, SCRIPT, *fixed, *options]


def called(file, *options):
    return subprocess.run(command(file, *options), capture_output=True, text=True, timeout=300)


@of_processes
def test_command_line(file):
    options = [
        "--hidden",
        "",
        "8,4",
        "--losses",
        "softmax,sigmoid",
        "--learning-rates",
        "0.001,0.0005",
    ]
    settings = ["--standardize", "--optimizer", "adam", "--init", "he", "--batch-size", "50"]
    done = called(file, *options, *settings)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == lines[-1] and "synthetic stand-in" in lines[0]
    assert lines[1] == "16 combinations, 0 of them finished already"
    assert lines[18:20] == ["", "steel"] and len(lines) == 21 + 8 + 1
    assert lines[20].split()[:4] == ["loss", "hidden", "learning_rate", "runs"]
    with open(file, newline="", encoding="utf-8") as f:
        rows = [*csv.DictReader(f)]
    assert len({tuple(row[name] for name in script.SETTINGS) for row in rows}) == len(rows) == 16
    assert {row["hidden"] for row in rows} == {"", "8,4"} and {row["seed"] for row in rows} == {
        "1234",
        "1235",
    }
    assert {
        (row["optimizer"], row["init"], row["standardize"], row["batch_size"]) for row in rows
    } == {("adam", "he", "True", "50")}
    again = called(file, *options, *settings)
    assert again.stdout.splitlines()[1] == "16 combinations, 16 of them finished already"
    assert again.stdout.splitlines()[2:] == lines[18:]


@of_processes
@pytest.mark.xdist_group("cluster")
def test_command_line_on_a_cluster(dask_cluster, file):
    done = called(file, "--dask", dask_cluster.scheduler_address)
    assert done.returncode == 0, done.stderr
    assert [row["status"] for row in read(file)] == ["done", "done"]


@of_processes
def test_command_line_says_what_is_wrong_in_one_line(file):
    for options in (["--losses", "hinge"], ["--data", "no/such/folder"], ["--workers", "0"]):
        done = called(file, *options)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


@of_processes
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is no signal there")
def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(file):
    endless = command(file, "--seeds", "1000")
    with subprocess.Popen(
        endless, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        wait_for(lambda: len(read(file)) >= 3)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
        errors = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert (
        errors.strip()
        == f"stopped: what is finished is in {file}, the same command goes on from there"
    )
    kept = len(read(file))
    assert kept >= 3 and file.read_text(encoding="utf-8").endswith("\n")
    done = called(file, "--seeds", str(kept))
    assert done.returncode == 0 and len(read(file)) >= kept
