"""Trainings that are stopped and go on: to the last bit of one that was not, whatever stops them and whenever."""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import abalone
import command_line
import compiled_epoch
import experiment
import numpy as np
import pulsar
import pytest
import steel
from checkpoint import load_checkpoint, save_checkpoint
from helpers import FULL, counted
from stopping import Terminated

POSIX = pytest.mark.skipif(os.name == "nt", reason="of POSIX")
EXAMPLES = Path(experiment.__file__).parent
OPTIMIZERS = ["sgd", "momentum", "adam"]
RUNS = {
    "abalone": abalone.abalone_exec,
    "pulsar": pulsar.pulsar_exec,
    "steel": steel.steel_exec,
}
# Few steps an epoch; 1941 rows are not a multiple of 130, and the test rows not one of a batch
SETTINGS = {"mb_size": 130, "hidden": (6, 4), "init": "he", "standardize": True}
OPTIONS = "--batch-size 130 --hidden 6,4 --init he --standardize --data synthetic".split()


def execute(epochs, name="steel", **settings):
    settings = {**SETTINGS, "say": lambda *_, **__: None, "data": "synthetic", **settings}
    return RUNS[name](epochs, settings.pop("mb_size"), 1, **settings)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The file of a run of so many epochs, as bytes."""
    file = tmp_path_factory.mktemp("undisturbed") / "a"

    @functools.cache
    def run(epochs, optimizer="sgd"):
        execute(epochs, optimizer=optimizer, save=file)
        return file.read_bytes()

    return run


@pytest.fixture(scope="module")
def two(undisturbed):
    """The file of two epochs, made before a test changes anything."""
    return undisturbed(2)


@pytest.fixture
def command(monkeypatch, capsys):
    """The script's main in this process: the exit code, the lines printed and those of errors."""

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["steel.py", *OPTIONS, *map(str, options)])
        capsys.readouterr()
        code = 0
        try:
            command_line.main(steel.steel_exec, steel.__doc__, loss=[*steel.LOSSES])
        except SystemExit as stop:
            code = stop.code
        done = capsys.readouterr()
        return code, done.out.splitlines(), done.err.splitlines()

    return run


def on(backend, monkeypatch):
    """Settings for a run that is eager or compiled."""
    make = compiled_epoch.compile_epoch
    monkeypatch.setattr(
        compiled_epoch, "compile_epoch", lambda *a, **k: make(*a, **k, backend=backend)
    )
    return {"compiled": backend != "eager"}


# To the last bit


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "backend", ["eager", "numpy", pytest.param("numba", marks=pytest.mark.slow)]
)
def test_a_stopped_training_leaves_the_file_of_one_that_was_not(
    backend, optimizer, tmp_path, monkeypatch
):
    """Two epochs and two, one and three, each epoch alone: the same bytes as of four at once."""
    settings = {"optimizer": optimizer, "learning_rate": 0.01, **on(backend, monkeypatch)}
    file, right = tmp_path / "a", tmp_path / "right"
    lines = execute(4, **settings, save=right).history
    every = [[2, 2], [1, 3], [1, 1, 1, 1], [4, 0]]
    for parts in every if FULL or backend != "numba" else every[:1]:  # it compiles each time
        file.unlink(missing_ok=True)
        said = []
        for epochs in parts:
            load = file if file.exists() else None
            said += execute(epochs, **settings, save=file, load_from=load).history
        assert file.read_bytes() == right.read_bytes(), parts
        assert said == lines, parts


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("backend", ["eager", "numpy"])
def test_from_each_file_of_save_every_the_end_is_the_same(
    backend, optimizer, tmp_path, monkeypatch
):
    settings = {"optimizer": optimizer, "learning_rate": 0.01, **on(backend, monkeypatch)}
    file, kept = tmp_path / "a", {}

    def watch(run):
        kept[run.epochs] = file.read_bytes() if file.exists() else None

    execute(4, **settings, save=file, save_every=1, watch=watch)
    assert [*kept] == [0, 1, 2, 3, 4] and kept[0] is None and kept[4] == file.read_bytes()
    for epoch in (1, 2, 3):
        (tmp_path / "old").write_bytes(kept[epoch])
        execute(4 - epoch, **settings, load_from=tmp_path / "old", save=tmp_path / "new")
        assert (tmp_path / "new").read_bytes() == kept[4]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("abalone", {"mb_size": 500, "optimizer": "adam"}),
        ("pulsar", {"mb_size": 3000, "balance": True, "optimizer": "momentum"}),
        ("steel", {"hidden": (), "standardize": False, "init": "book", "mb_size": 100}),
    ],
)
def test_every_experiment_goes_on(name, settings, tmp_path):
    execute(3, name, **settings, save=tmp_path / "right")
    execute(1, name, **settings, save=tmp_path / "a")
    execute(2, name, **settings, save=tmp_path / "a", load_from=tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "right").read_bytes()


def test_lines_and_epochs_go_on_where_they_were(tmp_path, command):
    file = tmp_path / "a.npz"
    _, right, _ = command("--epochs", 3)
    _, first, _ = command("--epochs", 1, "--save", file)
    code, second, errors = command("--epochs", 2, "--load", file)
    assert (code, errors) == (0, [])
    found = [line for line in first + second if line.startswith("Epoch")]
    assert found == [line for line in right if line.startswith("Epoch")] and len(found) == 3
    assert second[1] == f"loaded: {file} (epochs: 1, inputs: standardised)"


def test_what_is_not_as_in_the_file_is_said(tmp_path, command):
    execute(1, save=tmp_path / "a")
    _, lines, _ = command(
        "--load",
        tmp_path / "a",
        "--learning-rate",
        "0.5",
        "--optimizer",
        "adam",
        "--batch-size",
        99,
        "--seed",
        7,
    )
    assert lines[1].endswith(
        "(epochs: 1, inputs: standardised, adam begins anew after sgd, "
        "learning rate 0.5 after 0.001, batch size 99 after 130, seed 1234 as before)"
    )


# Stopped in the middle


def stopping(monkeypatch, at, stop):
    """Have a run stopped before a step, its number counted from 0 over all epochs."""
    step, count = experiment.Run.step, iter(range(10**9))

    def maybe(run, batch):
        if next(count) == at:
            stop()
        return step(run, batch)

    monkeypatch.setattr(experiment.Run, "step", maybe)


STEPS = 1941 * 4 // 5 // 130  # of an epoch


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [0, 1, STEPS // 2, STEPS - 1])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_signal_saves_the_last_finished_epoch(
    optimizer, step, number, tmp_path, command, monkeypatch, undisturbed
):
    """In the third epoch, at any step: the file of two epochs, and four when it has gone on."""
    options = ["--optimizer", optimizer, "--save", tmp_path / "a"]
    with monkeypatch.context() as patch:
        stopping(patch, 2 * STEPS + step, lambda: signal.raise_signal(number))
        code, lines, errors = command(*options, "--epochs", 4)
    name = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[number]
    assert (code, errors) == (128 + number, [])
    assert f"stopped by {name} in epoch 3 of 4" in lines
    assert lines.count(f"saved: {tmp_path / 'a'}") == 1
    assert (tmp_path / "a").read_bytes() == undisturbed(2, optimizer)
    command(*options, "--epochs", 2, "--load", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == undisturbed(4, optimizer)


def test_the_figures_after_a_stop_are_those_of_the_saved_model(tmp_path, command, monkeypatch):
    right = execute(2).test_accuracy
    stopping(monkeypatch, 2 * STEPS + 5, lambda: signal.raise_signal(signal.SIGINT))
    _, lines, _ = command("--epochs", 4, "--save", tmp_path / "a")
    assert f"Final Test: final accuracy = {right:5.3f}" in lines


def test_a_stop_in_the_first_epoch_keeps_an_old_model(tmp_path, command, monkeypatch):
    execute(1, save=tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    stopping(monkeypatch, 3, lambda: signal.raise_signal(signal.SIGINT))
    code, lines, _ = command("--seed", 7, "--save", tmp_path / "a")
    assert code == 130 and "not saved: no epoch was finished" in lines
    assert (tmp_path / "a").read_bytes() == before and len([*tmp_path.iterdir()]) == 1


def test_a_stop_in_the_first_epoch_keeps_all_old_files(tmp_path, command, monkeypatch):
    files = ["a.npz", "a.onnx", "a.svg", "a.html"]
    for file in files:
        (tmp_path / file).write_text("old", encoding="utf-8")
    options = [
        o for f, n in zip(files, "save onnx plot page".split()) for o in (f"--{n}", tmp_path / f)
    ]
    stopping(monkeypatch, 3, lambda: signal.raise_signal(signal.SIGINT))
    code, lines, _ = command(*options)
    assert code == 130 and "not saved: no epoch was finished" in lines
    assert {file: (tmp_path / file).read_text("utf-8") for file in files} == dict.fromkeys(
        files, "old"
    )


class Callback:
    """Dies with a signal; what that raises is lost there, as in the callbacks of a compiler."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_machine_code_is_made_is_heard(number, command, monkeypatch):
    def compile_epoch(*_, **__):
        Callback(number)
        return types.SimpleNamespace(compile_seconds=0.0, backend="none")

    monkeypatch.setattr(compiled_epoch, "compile_epoch", compile_epoch)
    code, lines, errors = command("--compiled")
    stop = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert code == 128 + number and not any(line.startswith("Epoch") for line in lines)
    assert errors == ["compiling ... 0.0 s (none)", f"steel.py: stopped by {stop}"]


def test_an_epoch_whose_state_is_not_kept_yet_does_not_count(tmp_path, command, monkeypatch, two):
    check = experiment.check_finite

    def interrupted(run):
        check(run)
        if len(run.history) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(experiment, "check_finite", interrupted)
    _, lines, _ = command("--epochs", 4, "--save", tmp_path / "a")
    assert "stopped by Ctrl-C in epoch 3 of 4" in lines
    assert (tmp_path / "a").read_bytes() == two


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_loses_nothing(number, tmp_path, command, monkeypatch, two):
    """One in a step, the next while the model is put back."""
    restore = experiment.resuming.put_back

    def again(run, kept):
        signal.raise_signal(number)
        restore(run, kept)

    monkeypatch.setattr(experiment.resuming, "put_back", again)
    stopping(monkeypatch, 2 * STEPS + 3, lambda: signal.raise_signal(signal.SIGINT))
    code, lines, errors = command("--epochs", 4, "--save", tmp_path / "a")
    assert (code, errors) == (130, []) and lines.count(f"saved: {tmp_path / 'a'}") == 1
    assert (tmp_path / "a").read_bytes() == two


@POSIX
@pytest.mark.parametrize("grace", [1, 0], ids=["at once", "long after"])
def test_two_signals_that_have_waited_for_machine_code(grace, tmp_path, command, monkeypatch, two):
    """The second one comes right after the first, before anything of what that one begins."""

    def both():
        signals = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            for number in signals:
                signal.pthread_kill(threading.get_ident(), number)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    stopping(monkeypatch, 2 * STEPS + 3, both)
    monkeypatch.setattr("stopping.GRACE", grace)
    code, lines, _ = command("--epochs", 4, "--save", tmp_path / "a")
    if grace:  # without it, the second one ends the program at once
        assert code in (130, 143) and lines.count(f"saved: {tmp_path / 'a'}") == 1
        assert (tmp_path / "a").read_bytes() == two
    assert code in (130, 143)


@pytest.mark.parametrize("place", ["Progress.close", "outputs.say_metrics", "outputs.finish"])
def test_a_signal_after_the_last_epoch_loses_nothing(place, tmp_path, command, monkeypatch, two):
    def interrupted(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(f"experiment.{place}", interrupted)
    code, _, (line,) = command("--epochs", 2, "--metrics", "--save", tmp_path / "a")
    assert (code, line) == (143, "steel.py: stopped by SIGTERM")
    assert (tmp_path / "a").read_bytes() == two


def test_a_signal_while_the_end_is_saved(tmp_path, command, monkeypatch, two):
    replace = Path.replace

    def interrupted(part, target):
        signal.raise_signal(signal.SIGINT)
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    code, lines, errors = command("--epochs", 2, "--save", tmp_path / "a")
    assert (code, errors) == (130, []) and "stopped by Ctrl-C after epoch 2" in lines
    assert lines.count(f"saved: {tmp_path / 'a'}") == 1
    assert (tmp_path / "a").read_bytes() == two


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Terminated])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_compiled_training_is_stopped_after_an_epoch(optimizer, stop, tmp_path, monkeypatch):
    """Machine code hears nothing; the interrupt comes when it is done, before the epoch is counted."""
    settings = {"optimizer": optimizer, **on("numpy", monkeypatch)}
    execute(2, **settings, save=tmp_path / "two")
    execute(3, **settings, save=tmp_path / "three")
    train, count = compiled_epoch.compile_epoch, iter(range(9))

    def compile_epoch(*given, **options):
        epoch = train(*given, **options)

        def run(*arrays, **order):
            found = epoch(*arrays, **order)
            if next(count) == 2:
                raise stop
            return found

        run.compile_seconds, run.backend = 0, "numpy"
        return run

    with monkeypatch.context() as patch:
        patch.setattr(compiled_epoch, "compile_epoch", compile_epoch)
        run = execute(4, **settings, save=tmp_path / "a")
    assert run.stopped and (tmp_path / "a").read_bytes() == (tmp_path / "two").read_bytes()
    execute(1, **settings, save=tmp_path / "a", load_from=tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "three").read_bytes()


@POSIX
def test_a_disk_that_fills_up_leaves_the_old_model(tmp_path, command):
    import resource

    execute(1, save=tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    try:
        code, _, (line,) = command("--epochs", 2, "--save", tmp_path / "a", "--save-every", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    message = f"steel.py: {tmp_path / 'a'} could not be written, and is as it was: File too large"
    assert (code, line) == (2, message)
    assert (tmp_path / "a").read_bytes() == before and len([*tmp_path.iterdir()]) == 1


@contextlib.contextmanager
def running(*options):
    script = [sys.executable, EXAMPLES / "steel.py", *OPTIONS, *map(str, options)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()  # which does nothing to one that has ended


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_real_signal(number, tmp_path):
    """What is saved is what a run of so many epochs leaves that nobody stopped."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        pytest.skip("run where Ctrl-C is ignored")
    with running("--epochs", 100_000, "--optimizer", "adam", "--save", tmp_path / "a") as script:
        while not script.stdout.readline().startswith(b"Epoch 2:"):
            pass
        script.send_signal(number)
        out, errors = script.communicate(timeout=60)
    assert (script.returncode, errors) == (128 + number, b"")
    assert out.count(b"\nsaved: ") == 1
    epochs = load_checkpoint(tmp_path / "a")[1]["epochs"]
    assert 2 <= epochs < 5000
    execute(epochs, optimizer="adam", save=tmp_path / "right")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "right").read_bytes()


KILLED = """
import os, random, signal, sys, time
sys.path.insert(0, {examples!r})
from steel import steel_exec

file, kills = sys.argv[1], int(sys.argv[2])
settings = dict({settings!r}, data="synthetic", optimizer="adam", save=file, save_every=1)
random.seed(1)
for kill in range(kills):
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        load = file if os.path.exists(file) else None
        watched = lambda run: os.write(tell, b"x")
        quiet = lambda *_, **__: None
        steel_exec(10**6, settings.pop("mb_size"), 0, load_from=load, watch=watched, say=quiet, **settings)
    os.read(told, 1)
    time.sleep(random.uniform(0, 0.15))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(told), os.close(tell)
print("done")
"""


@POSIX
@pytest.mark.slow
def test_a_training_that_is_killed_again_and_again_is_one_that_was_not(tmp_path):
    """By SIGKILL, at random moments; each goes on from what the one before has saved."""
    file, kills = tmp_path / "a", counted(60, 12)
    code = KILLED.format(examples=str(EXAMPLES), settings=SETTINGS)
    script = [sys.executable, "-c", code, str(file), str(kills)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "done\n" and done.stderr == ""
    epochs = load_checkpoint(file)[1]["epochs"]
    assert epochs > kills // 4
    execute(epochs, optimizer="adam", save=tmp_path / "right")
    assert file.read_bytes() == (tmp_path / "right").read_bytes()


# Files that are none of such a run


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    file = tmp_path_factory.mktemp("saved") / "model.npz"
    execute(1, save=file)
    return load_checkpoint(file)


def row(arrays, name, at, value):
    x = arrays[name].copy()
    x[at] = value
    return x


UNSOUND = "not a model saved by these examples"
# arrays, settings (None: left out), and what the one line says
CHANGES = {
    "another data set": ({}, {"data": "pulsar"}, "has data 'pulsar', this run has 'steel'"),
    "real data": ({}, {"synthetic": False}, "has synthetic False, this run has True"),
    "another loss": ({}, {"loss": "sigmoid_loss"}, "has loss 'sigmoid_loss', this run has 'soft"),
    "other widths": ({}, {"widths": [27, 5, 7]}, r"has widths \[27, 5, 7\], this run has \[27, 6"),
    "widths of another kind": ({}, {"widths": "27"}, "has widths '27', this run has"),
    "other labels": ({}, {"labels": ["a"]}, r"has labels \['a'\], this run has"),
    "labels that a terminal obeys": ({}, {"labels": ["\x1b[2J\r\u202e"]}, r"has labels \['\\x1b\["),
    "a loss that a terminal obeys": ({}, {"loss": "\x07\n\x1b]0;"}, r"has loss '\\x07\\n\\x1b"),
    "no data set": ({}, {"data": None}, "has data None, this run has 'steel'"),
    "unknown first weights": ({}, {"init": "\x1b"}, UNSOUND),
    "an unknown optimizer": ({}, {"optimizer": "adamax"}, UNSOUND),
    "an optimizer of another kind": ({}, {"optimizer": ["sgd"]}, UNSOUND),
    "standardised, in a word": ({}, {"standardize": "no"}, UNSOUND),
    "no epochs": ({}, {"epochs": None}, UNSOUND),
    "epochs below 0": ({}, {"epochs": -1}, UNSOUND),
    "half an epoch": ({}, {"epochs": 0.5}, UNSOUND),
    "epochs as text": ({}, {"epochs": "1"}, UNSOUND),
    "true epochs": ({}, {"epochs": True}, UNSOUND),
    "more epochs than there is time": ({}, {"epochs": 10**30}, UNSOUND),
    "balanced": ({}, {"balance": 2}, UNSOUND),
    "no mean": ({"mean": None}, {}, "has mean: none, this model"),
    "a deviation below 0": (lambda a: {"std": row(a, "std", 3, -1)}, {}, "its std is below 0"),
    "a mean of no number": (lambda a: {"mean": row(a, "mean", 3, np.nan)}, {}, "not finite"),
    "an infinite deviation": (lambda a: {"std": row(a, "std", 3, np.inf)}, {}, "not finite"),
    "a weight of no number": (
        lambda a: {"parameter bias": row(a, "parameter bias", 0, np.nan)},
        {},
        "'parameter bias' has numbers that are not finite",
    ),
    "a weight of another shape": (
        {"parameter bias": np.zeros(6)},
        {},
        r"has parameter bias: \(6,\) float64, this model \(7,\) float64",
    ),
    "a weight of another dtype": (
        {"parameter bias": np.zeros(7, "f4")},
        {},
        r"\(7,\) float32, this",
    ),
    "a weight less": ({"parameter weight_1": None}, {}, "has parameter weight_1: none, this model"),
    "a weight more": ({"parameter gain": np.ones(2)}, {}, "gain: .* float64, this model none"),
    "no test rows": ({"test": None}, {}, UNSOUND),
    "test rows of no number": ({"test": np.zeros((0,), int)}, {}, "its test rows are no rows"),
    "test rows beyond": (
        lambda a: {"test": row(a, "test", 0, 1941)},
        {},
        "its test rows are no rows",
    ),
    "test rows below": (lambda a: {"test": row(a, "test", 0, -1)}, {}, "its test rows are no rows"),
    "test rows in halves": ({"test": np.array([0.5])}, {}, "its test rows are no rows"),
    "rows trained and tested": (
        lambda a: {"training": row(a, "training", 0, a["test"][0])},
        {},
        "it was trained with test rows",
    ),
    "training rows beyond": (
        lambda a: {"training": row(a, "training", 0, 10**12)},
        {},
        "its training rows are no rows",
    ),
    "no training rows": ({"training": np.zeros(0, int)}, {}, "its training rows are no rows"),
    "fewer training rows than a batch": (
        lambda a: {"training": a["training"][:129]},
        {},
        "a batch of 130 is more than the 129 training rows",
    ),
    "a generator beyond its numbers": (
        {"generator place": np.array([10**9, 0])},
        {},
        "has no sound generator",
    ),
    "a generator of other numbers": (
        {"generator keys": np.zeros(3, np.uint32)},
        {},
        r"has generator keys: \(3,\) uint32, this model \(624,\) uint32",
    ),
    "no generator": ({"generator keys": None}, {}, "has generator keys: none"),
    "steps below 0": ({"optimizer steps": np.array(-1)}, {}, "steps below 0"),
    "no steps": ({"optimizer steps": None}, {}, "has optimizer steps: none"),
    "far more numbers": ({"more": np.zeros(10**6)}, {}, "bytes of numbers$"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_file_of_another_run_is_one_line(kind, saved, tmp_path, command):
    file, (arrays, settings) = tmp_path / "model.npz", saved
    changes, changed, message = CHANGES[kind]
    changes = changes(arrays) if callable(changes) else changes
    save_checkpoint(
        file,
        {k: x for k, x in {**arrays, **changes}.items() if x is not None},
        {k: x for k, x in {**settings, **changed}.items() if x is not None},
    )
    code, lines, errors = command("--load", file)
    assert code == 2 and len(errors) == 1 and not any("Epoch" in line for line in lines)
    assert errors[0].startswith("steel.py: ") and errors[0].isprintable() and len(errors[0]) < 500
    assert re.search(message, errors[0]), errors


def test_settings_beside_ours_are_not_printed(saved, tmp_path, command):
    arrays, settings = saved
    noise = {"\x1b[2J": "\x1b[2J", "batch_size": "\x1b[31m", "seed": "\x07", "learning_rate": "\r"}
    save_checkpoint(tmp_path / "a", arrays, {**settings, **noise})
    code, lines, errors = command("--load", tmp_path / "a", "--epochs", 0)
    assert (code, errors) == (0, []) and all(line.isprintable() for line in lines)


def test_the_file_is_plain(saved, tmp_path):
    """What others read without us: NumPy alone, and JSON."""
    execute(1, save=tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert {*found.files} == {*saved[0], "settings"}
        assert json.loads(str(found["settings"])) == saved[1]
