"""Sweeps from the command line: files, words, tables, processes that are killed, and a Dask cluster."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import sweep as script
from optuna.trial import TrialState
from sweep import sweep
from sweep_kills import campaign
from sweep_tables import COLUMNS, draw, export, summary
from sweeps import RESULTS, Inline, check_alone, quietly, small_task, study_of

SCRIPT = Path(script.__file__)
of_processes = pytest.mark.slow  # each of them starts, and loads all there is


@pytest.fixture
def task(tmp_path):
    return small_task(tmp_path)


# Files


def foreign_database(file):
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE studies (subject TEXT)")
    database.close()


FOREIGN = {
    "text": lambda file: file.write_text("a,b\n1,2\n", encoding="utf-8"),
    "no text": lambda file: file.write_bytes(bytes(range(256)) * 50),
    "one byte": lambda file: file.write_bytes(b"S"),
    "database": foreign_database,
    "json": lambda file: file.write_text('{"op": 1}\n', encoding="utf-8"),
    "folder": lambda file: file.mkdir(),
    "fifo": lambda file: os.mkfifo(file),
}


@pytest.mark.skipif(os.name == "nt", reason="no FIFOs there")
@pytest.mark.parametrize("option", ["--storage", "--storage journal:", "--export"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_somebody_else_is_refused_and_not_touched(option, kind, tmp_path, capsys):
    file = tmp_path / "own"
    FOREIGN[kind](file)
    before = file.stat(), file.is_file() and file.read_bytes()
    name, _, prefix = option.partition(" ")
    place = [] if name == "--storage" else ["--storage", str(tmp_path / "sweep.db")]
    code, errors = called_here(*place, name, f"{prefix}{file}", capsys=capsys)
    assert code == 2 and len(errors.splitlines()) == 1 and str(file) in errors
    after = file.stat(), file.is_file() and file.read_bytes()
    assert [*tmp_path.iterdir()] == [file] and before[1] == after[1]
    assert (before[0].st_mtime_ns, before[0].st_ino) == (after[0].st_mtime_ns, after[0].st_ino)


def test_an_empty_file_may_be_one_that_was_never_written(task, tmp_path):
    (tmp_path / "sweep.db").touch()
    assert len(quietly(task)) == 4


def called_here(*options, capsys):
    """The exit code and the error output of a sweep in this process that should not come to train."""
    with pytest.raises(SystemExit) as caught:
        script.main(["steel", "--data", "synthetic", "--workers", "1", *options])
    return caught.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "options, words",
    [
        (["--storage", "/proc/sweep.db"], "unable to open"),
        (["--storage", "no/such/folder/sweep.db"], "folder is missing"),
        (["--storage", ""], "name of a file"),
        (["--storage", "a{b}.db"], "cannot be a SQLite file"),
        (["--storage", "nosuch://x"], "nosuch"),
        (["--storage", "postgresql+nosuch://u:secret@x/y"], "nosuch"),
        (["--export", "no/such/folder/x.csv"], "no/such/folder"),
        (["--export", "."], "a folder"),
        (["--export", "sweep.db"], "files of their own"),
        (["--export", "a.png", "--plot", "./a.png"], "files of their own"),
        (["--plot", "curves.xyz"], "curves.png"),
        (["--losses", "hinge"], "not 'hinge'"),
        (["--losses", ""], "not ''"),
        (["--data", "no/such/folder"], "no such file"),
        pytest.param(
            ["--dask", "tcp://127.0.0.1:1"],
            "no Dask scheduler answers at tcp://127.0.0.1:1",
            marks=pytest.mark.slow,  # which waits for one
        ),
        (["--dask", ""], "no Dask scheduler"),
        (["--seeds", "0"], "above 0"),
        (["--trials", "-1"], "above 0"),
        (["--workers", "0"], "above 0"),
        (["--heartbeat", "1.5"], "whole number"),
        (["--learning-rates", "0,1"], "above 0"),
        (["--learning-rates", "nan"], "above 0"),
        (["--learning-rates", ""], "a number"),
        (["--first-seed", "-1"], "first-seed"),
        (["--first-seed", "4294967295"], "first-seed"),
        (["--sampler", "cmaes"], "invalid choice"),
        (["--hidden", "a"], "whole numbers"),
        (["--study", ""], "study"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, errors = called_here(*options, capsys=capsys)
    assert code == 2 and words in errors.splitlines()[-1] and "secret" not in errors
    assert "Traceback" not in errors and len(errors.splitlines()) == 1


def test_without_optuna_the_way_to_it_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "sweep_storage")
    code, errors = called_here(capsys=capsys)
    assert code == 2 and 'pip install "tinygrad_steel[sweep]"' in errors and errors.count("\n") == 1


# What is said in the end


def row(**given):
    defaults = {
        "experiment": "steel",
        "loss": "softmax",
        "hidden": "",
        "learning_rate": 0.1,
        "data": "real",
    }
    results = {"status": "done", "error": "", "seconds": 1.0, "last_loss": 2.0, "value": 0.25}
    return defaults | results | given


ROWS = [
    row(loss="sigmoid", seed=1, test_accuracy=0.5),
    row(loss="sigmoid", seed=2, test_accuracy=0.5),
    row(loss="softmax", seed=1, test_accuracy=0.6, last_loss=1.0),
    row(loss="softmax", seed=2, test_accuracy=0.8, last_loss=3.0),
    row(loss="softmax", seed=3, status="failed", error="FloatingPointError: the loss is nan"),
    row(loss="sigmoid-mse", seed=1, status="lost"),
]


def test_the_summary_has_means_over_the_seeds_the_best_first():
    assert summary(ROWS).splitlines() == [
        "steel",
        "       loss    runs    test accuracy        last loss      mean recall          seconds",
        "    softmax  2 of 3  0.7000 ± 0.1414  2.0000 ± 1.4142  0.2500 ± 0.0000  1.0000 ± 0.0000",
        "    sigmoid       2  0.5000 ± 0.0000  2.0000 ± 0.0000  0.2500 ± 0.0000  1.0000 ± 0.0000",
        "sigmoid-mse  0 of 1                -                -                -                -",
    ]
    one = [row(experiment="pulsar", seed=1, test_accuracy=0.9)]
    assert summary(one).splitlines() == [
        "pulsar",
        "runs  test accuracy  last loss      F1  seconds",
        "   1         0.9000     2.0000  0.2500   1.0000",
    ]


def test_rates_that_are_written_alike_are_two_configurations():
    rows = [row(learning_rate=rate, seed=1, test_accuracy=0.5) for rate in (0.10000001, 0.10000002)]
    assert len(summary(rows).splitlines()) == 2 + 2


def test_the_export_has_each_number_to_the_bit(tmp_path, task):
    task = task._replace(storage=f"journal:{tmp_path}/sweep.log")
    rows = quietly(task)
    export(str(tmp_path / "rows.csv"), rows)
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as f:
        found = [*csv.DictReader(f)]
    assert [*found[0]] == COLUMNS and len(found) == 4
    for ours, theirs in zip(rows, found):
        assert all(float(theirs[name]) == ours[name] for name in RESULTS[:3])
        assert theirs["parameters"] == ours["parameters"] and theirs["loss"] == ours["loss"]
    assert [path.name for path in tmp_path.glob("rows*")] == ["rows.csv"]


def test_the_picture_has_each_configuration(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    draw(figure, [ROWS, [row(experiment="pulsar", seed=1, test_accuracy=0.9)]])
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "softmax none 0.1",
        "sigmoid none 0.1",
    ]
    assert left.get_title() == "steel" and right.get_title() == "pulsar"
    assert sorted(left.lines[0].get_xdata()) == [0.6, 0.8]
    figure.savefig(tmp_path / "best.png")


def test_nothing_but_its_own_lines_is_said(tmp_path, task, capfd):
    task = task._replace(storage=f"journal:{tmp_path}/sweep.log")
    sweep(task, Inline())
    lines = capfd.readouterr()
    assert lines.err == "" and len(lines.out.splitlines()) == 1 + 4
    assert lines.out.startswith("4 runs, 0 of them finished already\n1/4 loss=")


# The command line, processes and Dask


def command(folder, *options):
    fixed = ["steel", "--seeds", "2", "--epochs", "1", "--data", "synthetic", "--workers", "2"]
    return [sys.executable, SCRIPT, *fixed, "--storage", folder / "sweep.db", *options]


def called(folder, *options, **given):
    arguments = {"capture_output": True, "text": True, "timeout": 300, **given}
    return subprocess.run(command(folder, *options), **arguments)


@of_processes
def test_command_line(tmp_path):
    options = [
        "--hidden",
        "",
        "8,4",
        "--losses",
        "softmax,sigmoid",
        "--learning-rates",
        "0.001,0.0005",
    ]
    options += ["--standardize", "--optimizer", "adam", "--init", "he", "--batch-size", "50"]
    options += ["--export", tmp_path / "rows.csv", "--plot", tmp_path / "best.svg"]
    done = called(tmp_path, *options)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "synthetic stand-in" in lines[0] and "synthetic stand-in" in lines[-1]
    assert lines[1] == "16 runs, 0 of them finished already" and lines[18] == "steel"
    assert lines[19].split()[:4] == ["loss", "hidden", "learning_rate", "runs"]
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as f:
        rows = [*csv.DictReader(f)]
    places = {(row["loss"], row["hidden"], row["learning_rate"], row["seed"]) for row in rows}
    assert len(places) == len(rows) == 16 and (tmp_path / "best.svg").stat().st_size
    assert {(row["optimizer"], row["standardize"], row["batch_size"]) for row in rows} == {
        ("adam", "True", "50")
    }
    again = called(tmp_path, *options)
    assert again.stdout.splitlines()[1] == "16 runs, 16 of them finished already"
    assert again.stdout.splitlines()[2:] == lines[18:]


@of_processes
def test_a_sweep_in_which_every_run_failed_exits_1(tmp_path):
    huge = [
        sys.executable,
        SCRIPT,
        "abalone",
        "--data",
        "synthetic",
        "--seeds",
        "2",
        "--workers",
        "1",
    ]
    huge += ["--storage", tmp_path / "sweep.db", "--learning-rates"]
    done = subprocess.run([*huge, "1e9"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (1, "") and done.stdout.count(
        "FloatingPointError"
    ) == 2
    some = [*huge, "1e-5,1e9", "--study", "other", "--epochs", "1"]
    done = subprocess.run(some, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.count("FloatingPointError") == 2


@of_processes
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is no signal there")
@pytest.mark.parametrize("storage", ["sweep.db", "journal:sweep.log"])
def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(tmp_path, storage):
    options = ["--seeds", "8", "--epochs", "80", "--storage", storage]
    options += ["--heartbeat", "1000"]  # who waits for one waits for too long
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    with subprocess.Popen(command(tmp_path, *options), start_new_session=True, **pipes) as process:
        for _ in range(4):
            process.stdout.readline()
        time.sleep(0.4)  # into the middle of a run: one that has just been taken may stay taken
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert errors.strip() == "sweep.py: stopped: the same command goes on from what is finished"
    done = called(tmp_path, *options, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "") and 2 <= int(lines[1].split()[2]) < 8
    assert "elsewhere" not in done.stdout and lines[-3].split()[0] == "8"


@of_processes
@pytest.mark.parametrize("count", [2, 3])
def test_sweeps_at_once_on_one_study_share_it(tmp_path, task, count):
    options = ["--losses", "softmax,sigmoid", "--epochs", "5", "--study", "one"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    sweeps = [
        subprocess.Popen(command(tmp_path, *options, "--seeds", "6"), **pipes) for _ in range(count)
    ]
    outputs = [process.communicate(timeout=300) for process in sweeps]
    assert [(process.returncode, errors) for process, (_, errors) in zip(sweeps, outputs)] == [
        (0, "")
    ] * count
    assert len({output.partition("steel\n")[2] for output, _ in outputs}) == 1  # one table
    trials = study_of(task._replace(study="one-steel")).trials
    runs = Counter(t.user_attrs["slot"] for t in trials if t.state == TrialState.COMPLETE)
    assert len(runs) == 12 and {*runs.values()} == {1}


@of_processes
@pytest.mark.skipif(os.name == "nt", reason="no such limits there")
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(tmp_path):
    import resource

    assert called(tmp_path).returncode == 0
    size = (tmp_path / "sweep.db").stat().st_size
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, size + 4096))  # noqa: E731
    full = called(tmp_path, "--seeds", "40", preexec_fn=limit)
    assert full.returncode == 2 and len(full.stderr.splitlines()) == 1
    assert "the storage says: " in full.stderr and "disk" in full.stderr
    done = called(tmp_path, "--seeds", "40")
    assert (done.returncode, done.stderr) == (0, "") and "40/40" in done.stdout


@of_processes
@pytest.mark.parametrize("sampler, mains", [("grid", 2), ("tpe", 1)])
def test_kills_of_workers_and_mains_lose_nothing_and_count_nothing_twice(tmp_path, sampler, mains):
    counts = campaign(tmp_path, sampler, 5, mains)
    assert counts["workers"] + counts["mains"] >= 5 and counts["rows"] == 32 * counts["studies"]


@of_processes
@pytest.mark.xdist_group("cluster")
def test_a_dask_cluster_gives_the_same(dask_cluster, tmp_path, task):
    rows = sweep(task, script.Cluster(dask_cluster.scheduler_address), say=lambda line: None)
    assert Counter(row["status"] for row in rows) == {"done": 4}
    check_alone(rows)
    done = called(tmp_path, "--study", "other", "--dask", dask_cluster.scheduler_address)
    assert (done.returncode, done.stderr) == (0, "") and "2/2" in done.stdout


@of_processes
@pytest.mark.xdist_group("cluster")
def test_a_dask_worker_killed_midway_loses_nothing(dask_cluster, task):
    task = task._replace(heartbeat=1, seeds=[*range(8)], settings={**task.settings, "epochs": 30})
    killed = []

    def kill_one(line):
        if "/16 " in line and not killed:
            pids = dask_cluster.scheduler.address and [w.pid for w in dask_cluster.workers.values()]
            killed.append(pids[0])
            os.kill(pids[0], getattr(signal, "SIGKILL", signal.SIGTERM))

    rows = sweep(task, script.Cluster(dask_cluster.scheduler_address), say=kill_one)
    assert Counter(row["status"] for row in rows) == {"done": 16} and killed
    check_alone(rows)
