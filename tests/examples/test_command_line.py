"""What can be wrong on the command line: one clear line and exit code 2, nothing trained, nothing written."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import abalone
import command_line
import experiment
import model
import numpy as np
import pulsar
import pytest
import steel
from datasets import load
from helpers import FULL

EXAMPLES = Path(command_line.__file__).parent
SCRIPTS = {"abalone": abalone, "pulsar": pulsar, "steel": steel}


def run(name, capsys, monkeypatch, *options):
    """Run a script's main in this process; the exit code, what is printed, and the lines of errors."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options])
    choices = {"loss": [*steel.LOSSES]} if name == "steel" else {}
    capsys.readouterr()
    code = 0
    try:
        command_line.main(getattr(SCRIPTS[name], f"{name}_exec"), "", **choices)
    except SystemExit as stop:
        code = stop.code
    done = capsys.readouterr()
    return code, done.out, done.err.split("\n")


# What is wrong: the options, and a part of the line. `{}` is a folder of the test's own.

NO_NUMBER = ["", " ", "one", "1.5", "1e3", "0x10", "\uff11\uff10", "1_0", "nan", "inf", "-inf"]
NO_NUMBER += ["9" * 19, "9" * 5000, "+-3", "1 2", "5\n", "5\x1b[2J", "1,000", "\u00b2", "--", "1;2"]
WHOLE = [
    *(
        ([option, value], "expected one argument" if value in ("--", "-inf") else "a whole number")
        for option in ["--epochs", "--batch-size", "--report", "--seed", "--seeds", "--save-every"]
        for value in NO_NUMBER
    ),
    (["--epochs", "-1"], "epochs and report are at least 0"),
    (["--report", "-1"], "epochs and report are at least 0"),
    (["--batch-size", "0"], "the batch size 1 to 1552 (0.8 of 1941 rows)"),
    (["--batch-size", "-10"], "the batch size 1 to 1552 (0.8 of 1941 rows)"),
    (["--batch-size", "1553"], "the batch size 1 to 1552 (0.8 of 1941 rows)"),
    (["--batch-size", "9" * 18], "the batch size 1 to 1552 (0.8 of 1941 rows)"),
    (["--seed", "-1"], "Seed must be between 0 and 2**32 - 1"),
    (["--seed", str(2**32)], "Seed must be between 0 and 2**32 - 1"),
    (["--seeds", "0"], "seeds are at least 1, not 0"),
    (["--seeds", "-5"], "seeds are at least 1, not -5"),
    (["--seeds", "2", "--save", "{}/a.npz"], "--seeds trains 2 models: without --save"),
    (["--seeds", "2", "--plot", "{}/a.png"], "--seeds trains 2 models: without --plot"),
    (["--seeds", "2", "--onnx", "{}/a.onnx"], "--seeds trains 2 models: without --onnx"),
    (["--seeds", "2", "--load", "{}/a.npz"], "--seeds trains 2 models: without --load"),
    (["--seeds", "2", "--source"], "--seeds trains 2 models: without --source"),
    (["--seeds", "2", "--graph", "{}/a.dot"], "--seeds trains 2 models: without --graph"),
    (["--seeds", "2", "--seed", str(2**32)], "Seed must be between 0 and 2**32 - 1"),
    (["--seeds", "3", "--seed", str(2**32 - 2)], "2**32 - 1, for all 3 from 4294967294 on"),
    (["--save-every", "1"], "save-every is at least 0, and needs save"),
    (["--save-every", "-1", "--save", "{}/a.npz"], "save-every is at least 0"),
]

NO_RATE = [
    "",
    "fast",
    "1_0.0",
    "\uff11",
    ".",
    "1e",
    "1,5",
    "1.2.3",
    "++1",
    "0x1p3",
    "1e-3s",
    "\x00",
]
RATE = [
    *((["--learning-rate", value], "a number, not ") for value in NO_RATE),
    *(
        (["--learning-rate", value], "the learning rate must be above 0 and finite")
        for value in ["nan", "inf", "1e400", "9" * 400, "0", "-0.0", "-1", "1e-400", "NaN"]
    ),
    (["--learning-rate", "-inf"], "expected one argument"),
]

NO_WIDTHS = [
    "4,x",
    "4.5",
    "4,,3",
    ",",
    "4,",
    ",4",
    "1e3",
    "\uff14",
    "nan",
    "4;3",
    "4\u00d73",
    "x" * 999,
]
NO_WIDTHS += ["9" * 30, "4,\x1b[2J", "[4]", "4 3", "1_0"]
HUGE = ["999999999999", "100000000", "1000000,1000000", "3,99999999999,2", "9" * 18]
WIDTHS = [
    *((["--hidden", value], "widths are whole numbers with commas") for value in NO_WIDTHS),
    *((["--hidden", value], "a layer has at least one unit") for value in ["0", "4,0", "0,4"]),
    (["--hidden=-3"], "a layer has at least one unit, got widths [27, -3, 7]"),
    *((["--hidden", value], "GiB of memory") for value in HUGE),
    (["--hidden", ",".join(["1"] * 2000)], "at most 1000 layers"),
]

CHOICES = [
    ([option, value], "invalid choice: ")
    for option in ["--init", "--optimizer", "--loss", "--view"]
    for value in ["", "x", "BOOK", " adam", "softmax ", "\x1b[2J"]
]

# where nothing can be written, and what it is
NO_PLACE = {
    "": "the name of a file, not ''",
    "{}": "it is a folder",
    "{}/": "it is a folder",
    "{}/new/": "the name of a folder",
    "{}/none/a": "there is no folder",
    "{}/table.csv/a": "cannot be written",
    "{}/pipe": "it is a pipe",
    "{}/socket": "it is a socket",
    "{}/loop": "cannot be written",
    "/dev/null": "it is a device",
    "/dev/full": "it is a device",
    "/proc/a": "cannot be written",
    "{}/" + "n" * 300: "cannot be written",
    "{}/a\x00": "the name of a file, not ",
    "{}/table.csv": "--data and --",
}
PLACES = [
    ([option, place, "--data", "{}/table.csv"], what)
    for option in ["--save", "--plot", "--onnx", "--page", "--graph"]
    for place, what in NO_PLACE.items()
]

SAME = "cannot be the same file"
TWICE = [
    (["--save", "{}/a.png", "--plot", "{}/a.png"], f"--save and --plot {SAME}"),
    (["--save", "{}/a", "--onnx", "{}/./a"], f"--save and --onnx {SAME}"),
    (["--plot", "{}/a.png", "--onnx", "{}/../{}/a.png"], f"--onnx and --plot {SAME}"),
    (["--save", "{}/link", "--onnx", "{}/table.csv"], f"--save and --onnx {SAME}"),
    (["--save", "{}/link", "--data", "{}/table.csv"], f"--data and --save {SAME}"),
    (["--load", "{}/a.png", "--plot", "{}/a.png"], f"--load and --plot {SAME}"),
    (["--load", "{}/a.onnx", "--onnx", "{}/a.onnx"], f"--load and --onnx {SAME}"),
    (["--source", "--save", "{}/a.npz"], "nothing to save, to export or to plot"),
    (["--source", "--onnx", "{}/a.onnx"], "nothing to save, to export or to plot"),
    (["--graph", "{}/a.dot", "--plot", "{}/a.png"], "nothing to save, to export or to plot"),
    (["--plot", "{}/a.xyz"], "a file such as curves.png"),
    (["--plot", "{}/a"], "a file such as curves.png"),
    (["--page", "{}/a.png"], "/place/a.png: a page is a file such as page.html"),
    (["--page", "{}/a.html", "--save", "{}/a.html"], f"--save and --page {SAME}"),
    (["--page", "{}/a.html", "--source"], "nothing to save, to export or to plot"),
    (["--page", "{}/a.html", "--seeds", "2"], "--seeds trains 2 models: without --page"),
    (["--open"], "open needs page"),
    (["--graph", "{}/a.xyz"], "/place/a.xyz: the suffix says the format, one of .svg, .png"),
    (["--graph", "{}/a"], "/place/a: the suffix says the format, one of .svg, .png"),
]

NO_MODEL = {
    "": "the name of a file, not ''",
    "{}": "s a directory|ermission denied",
    "{}/none": "No such file",
    "{}/pipe": "it is a pipe",
    "{}/socket": "it is a socket",
    "{}/loop": "ymbolic link",
    "/dev/null": "it is a device",
    "/dev/zero": "it is a device",
    "{}/table.csv": "not a model saved by these examples",
    "{}/empty": "not a model saved by these examples",
    "{}/table.csv/a": "Not a directory",
    "{}/" + "n" * 300: "name too long",
    "{}/huge": "not a model saved by these examples",
    "{}/a\x00": "the name of a file, not ",
}
NO_DATA = {
    "": "the name of a file, not ''",
    " ": "no such file",
    "{}": "no such file, and no folder with faults.csv or Faults.NNA in it",
    "{}/none": "no such file",
    "{}/broken": "no such file",
    "{}/pipe": "it is a pipe",
    "{}/socket": "it is a socket",
    "{}/loop": "no such file",
    "/dev/null": "it is a device",
    "/dev/zero": "it is a device",
    "/dev/full": "it is a device",
    "{}/empty": "is empty",
    "{}/table.csv": "the number of columns is 2 instead of 34",
    "{}/table.csv/a": "no such file",
    "{}/" + "n" * 300: "name too long",
    "{}/huge": "is no table: it has 1099511627776 bytes",
    "{}/a\x00": "the name of a file, not ",
    "Synthetic": "no such file",
    "\x1b[2J": "no such file",
}
FILES = [
    *((["--load", file], what) for file, what in NO_MODEL.items()),
    *((["--data", file], what) for file, what in NO_DATA.items()),
]

UNKNOWN = [
    (["--epoch-count", "3"], "unrecognized arguments: --epoch-count 3"),
    (["--hiden", "3"], "unrecognized arguments: --hiden 3"),
    (["steel"], "unrecognized arguments: steel"),
    (["a\nb\x1b[2J"], "unrecognized arguments: a\\nb\\x1b[2J"),
    (["x" * 100_000], "unrecognized arguments: xxx"),
    (["--save"], "expected one argument"),
    (["--epochs", "--save", "a"], "expected one argument"),
    (["--s", "3"], "ambiguous option: --s could match"),
    (["--balance"], "balance is for data with two classes, 0 and 1"),
    (["--compiled=yes"], "ignored explicit argument 'yes'"),
]

TABLE = [*WHOLE, *RATE, *WIDTHS, *CHOICES, *PLACES, *TWICE, *FILES, *UNKNOWN]


@pytest.fixture
def place(tmp_path):
    """A folder with what is no file to be read or written."""
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "table.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (folder / "empty").touch()
    (folder / "link").symlink_to(folder / "table.csv")
    (folder / "broken").symlink_to(folder / "nowhere")
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    with open(folder / "huge", "wb") as f:
        f.truncate(2**40)  # without a byte on the disk
    with socket.socket(socket.AF_UNIX) as s:
        old = os.getcwd()
        os.chdir(folder)  # as the path of a socket is short
        try:
            s.bind("socket")
        finally:
            os.chdir(old)
    return folder


def state(folder):
    """Everything in a folder, without what reading it changes."""
    return {
        path.name: (s.st_mode, s.st_size, s.st_mtime_ns, s.st_ino)
        for path in folder.iterdir()
        for s in [path.lstat()]
    }


def test_the_table_is_long():
    assert len({tuple(options) for options, _ in TABLE}) == len(TABLE) >= 214


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes and devices in folders")
@pytest.mark.parametrize("number", range(len(TABLE)))
def test_what_is_wrong_is_one_clear_line(number, place, capsys, monkeypatch):
    options, what = TABLE[number]
    given = [option.replace("{}", str(place)) for option in options]
    given = [re.sub(r"(?<=\.\.)/.*/place(?=/a.png)", "/place", option) for option in given]
    before = state(place)
    data = [] if "--data" in options else ["--data", "synthetic"]
    start = time.perf_counter()
    monkeypatch.chdir(place)
    code, out, (line, *rest) = run("steel", capsys, monkeypatch, *given, *data)
    assert code == 2 and rest == [""] and line.startswith("steel.py: "), (line, rest)
    assert re.search(what if "|" in what else re.escape(what), line), line
    assert line.isprintable() and len(line) < 600 and "Errno 22" not in line
    assert "Epoch" not in out and state(place) == before
    assert time.perf_counter() - start < 20


def test_memory_is_counted_for_all_rows(monkeypatch):
    monkeypatch.setattr(model, "memory", lambda: 2**20)
    model.check_size([27, 100, 7])  # 3507 parameters, five numbers each: 0.13 MiB
    with pytest.raises(ValueError, match=r"widths \[27, 100, 7\] need 0 GiB of memory"):
        model.check_size([27, 100, 7], 1941)  # 100 numbers a row, and their gradients: 2.96 MiB


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    "options",
    [
        ["--hidden", ""],
        ["--hidden", " 3, 2 "],
        ["--learning-rate", "1e-3"],
        ["--learning-rate", " .001"],
        ["--report", "9" * 18],
        ["--seed", str(2**32 - 1)],
        ["--epochs", "+1"],
        ["--seeds", "1"],
    ],
)
def test_what_is_unusual_but_right_is_done(name, options, capsys, monkeypatch):
    few = ["--epochs", "1", "--batch-size", "200", "--data", "synthetic"]
    code, out, errors = run(name, capsys, monkeypatch, *few, *options)
    assert (code, errors) == (0, [""]) and "Final Test" in out


def test_save_and_load_may_be_one_file(tmp_path, capsys, monkeypatch):
    few = ["--epochs", "1", "--data", "synthetic", "--save", str(tmp_path / "a.npz")]
    assert run("steel", capsys, monkeypatch, *few)[0] == 0
    code, out, _ = run("steel", capsys, monkeypatch, *few, "--load", str(tmp_path / "a.npz"))
    assert code == 0 and "\nEpoch 2: " in out


# Several seeds


@pytest.mark.parametrize(("encoding", "sign"), [("utf-8", "±"), ("ascii", "+-")])
def test_seeds_say_each_and_then_mean_and_spread(encoding, sign, capsys, monkeypatch):
    monkeypatch.setattr(command_line, "plus_minus", lambda: sign)
    few = ["--epochs", "2", "--batch-size", "100", "--data", "synthetic", "--seed", "7"]
    code, out, errors = run("abalone", capsys, monkeypatch, *few, "--seeds", "3")
    runs = [
        abalone.abalone_exec(2, 100, 0, seed=seed, data="synthetic", say=lambda *_: None)
        for seed in (7, 8, 9)
    ]
    accuracy = [run.history[-1].test_accuracy for run in runs]
    errors_of = [np.abs(run.output - run.dataset.y[run.test]).mean() for run in runs]
    sentence, *each, first, second, last = out.splitlines()
    assert (code, errors) == (0, [""])
    assert sentence == last == load("abalone", "synthetic").synthetic
    for seed, line, a, e in zip((7, 8, 9), each, accuracy, errors_of, strict=True):
        assert line == f"seed {seed}: accuracy = {a:5.3f}, mean absolute error in rings = {e:5.3f}"
    for line, name, values in [
        (first, "accuracy", accuracy),
        (second, "mean absolute error in rings", errors_of),
    ]:
        mean = sum(values) / 3
        spread = (sum((x - mean) ** 2 for x in values) / 3) ** 0.5
        assert line == f"{name} of 3 seeds = {mean:5.3f} {sign} {spread:5.3f}"


def test_ctrl_c_ends_all_seeds(capsys, monkeypatch):
    epoch, calls = experiment.Run.epoch, []

    def interrupted(run, batches):
        calls.append(batches)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return epoch(run, batches)

    monkeypatch.setattr(experiment.Run, "epoch", interrupted)
    few = ["--epochs", "3", "--batch-size", "100", "--data", "synthetic"]
    code, out, errors = run("steel", capsys, monkeypatch, *few, "--seeds", "3")
    assert (code, errors, len(calls)) == (130, [""], 4)
    assert out.splitlines()[-1] == "stopped by Ctrl-C in the training with seed 1235"


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="15 trainings of 20 to 60 epochs")
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_good_figures_are_what_their_commands_print(name, data_folder):
    told = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    row = rf"\| {name} \| `(\S+) ([^`]+)` \| (?:(?:accuracy|F1|off by) )(\S+) ± (\S+)"
    ((file, options, mean, spread),) = re.findall(row, told)
    command = [sys.executable, EXAMPLES.parent / file, *options.split(), "--data", str(data_folder)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=1200)
    figure = {"steel": "accuracy", "abalone": "mean absolute error in rings", "pulsar": "F1"}[name]
    (found,) = re.findall(rf"^{figure} of 5 seeds = (\S+) ± ", done.stdout, re.MULTILINE)
    # other machines add up in other orders, and training spreads the last digit
    assert abs(float(found) - float(mean)) <= float(spread)


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders")
def test_what_is_wrong_is_one_line_of_the_other_scripts_as_well(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("verify_manual.py", "compare_sklearn.py"):
        for data, what in [("", "the name of a file"), (str(tmp_path / "pipe"), "it is a pipe")]:
            command = [sys.executable, EXAMPLES / name, "--data", data]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            assert done.returncode == 2 and done.stderr.count("\n") == 1 and what in done.stderr


# A console, a pipe or a machine that lacks something


def script(*options, stdout=subprocess.PIPE, **environment):
    """Run steel.py in a process of its own, for one epoch."""
    return subprocess.run(
        [sys.executable, EXAMPLES / "steel.py", "--data", "synthetic", "--epochs", "1", *options],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
        timeout=300,
    )


def test_an_ascii_console():
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = script("--seeds", "2", **ascii_only)
    assert (done.returncode, done.stderr) == (0, "") and " +- " in done.stdout
    done = script("--load", "플레이트.npz", **ascii_only)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "No such file" in done.stderr and done.stderr.isascii()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("options", ["--metrics --save {}/a.npz", "--seeds 2", "--epochs x"])
def test_a_console_that_is_not_there(closed, options, tmp_path):
    """`steel.py >&-`, as some schedulers start it."""
    fast = f"--data synthetic --batch-size 500 --epochs 1 {options.format(tmp_path)} {closed}"
    command = f"'{sys.executable}' '{EXAMPLES / 'steel.py'}' {fast}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=300)
    wrong = options == "--epochs x"
    assert done.returncode == (2 if wrong else 0)
    assert bool(done.stdout) == (closed == "2>&-" and not wrong)
    assert bool(done.stderr) == (closed == ">&-" and wrong)
    assert (tmp_path / "a.npz").exists() == ("--save" in options)


def test_what_is_said_on_a_closed_console_is_not_said_on_the_other():
    script_in_numpy = "import sys; sys.modules['numba'] = None; import runpy; runpy.run_path"
    argv = [EXAMPLES / "steel.py", "--data", "synthetic", "--epochs", "0", "--compiled"]
    code = f"import sys; sys.argv = {[*map(str, argv)]}; sys.path[:0] = [{str(EXAMPLES)!r}]; "
    code += f"{script_in_numpy}({str(argv[0])!r}, run_name='__main__')"
    command = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "Final Test" in done.stdout and "compiling" not in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_lines_for_which_there_is_no_room():
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = script(stdout=full)
    assert done.returncode == 2
    assert done.stderr == "steel.py: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise")
def test_lines_that_nobody_reads():
    """`steel.py | head -1`."""
    options = ["--data", "synthetic", "--epochs", "50"]
    command = [sys.executable, EXAMPLES / "steel.py", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=300) == 2
    assert errors == b"steel.py: Broken pipe\n"


MISSING = {  # a package, options that need it, and what is said
    "matplotlib": (["--plot", "a.png"], 'pip install "tinygrad_steel[plot]"'),
    "onnx": (["--onnx", "a.onnx"], "onnx"),
}


@pytest.mark.parametrize("package", [*MISSING])
def test_a_missing_package_is_one_line_before_the_training(package, tmp_path):
    options, what = MISSING[package]
    (tmp_path / f"{package}.py").write_text("raise ImportError('not here')", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(EXAMPLES.parent)])
    options = [o if o.startswith("--") else str(tmp_path / o) for o in options]
    done = script(*options, PYTHONPATH=path)
    assert done.returncode == 2 and "Epoch" not in done.stdout
    assert len(done.stderr.splitlines()) == 1 and what in done.stderr
    assert not [file for file in tmp_path.iterdir() if file.suffix not in (".py", "")]


def test_a_missing_renderer_is_one_line(tmp_path):
    done = script("--graph", str(tmp_path / "a.svg"), TINYGRAD_STEEL_DOT=str(tmp_path / "dot"))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and not done.stdout
    assert "TINYGRAD_STEEL_DOT" in done.stderr and not [*tmp_path.iterdir()]


@pytest.mark.parametrize(("package", "options"), [("tqdm", []), ("numba", ["--compiled"])])
def test_a_missing_package_that_is_not_needed(package, options, tmp_path):
    (tmp_path / f"{package}.py").write_text("raise ImportError('not here')", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(EXAMPLES.parent)])
    done = script(*options, PYTHONPATH=path)
    assert done.returncode == 0 and "Epoch 1: " in done.stdout
    assert len(done.stderr.splitlines()) == len(options)  # "compiling ... (numpy)"
