"""Kill workers and mains of sweeps, at random, and look at what they leave: the right rows, each once, to the bit.

    python tests/sweep_kills.py --kills 64 --sampler grid

The suite does a few of these kills; this script does as many as wanted, and prints the counts.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

SETTINGS = ["--data", "synthetic", "--standardize", "--epochs", "10", "--seeds", "4"]
SETTINGS += ["--hidden", "", "8", "--losses", "softmax,sigmoid", "--learning-rates", "0.001,0.01"]


def command(folder: Path, sampler: str, name: str, *options: str) -> list[str]:
    """A sweep over 32 trainings (of TPE: 8 trials), in one study for all who have the same name."""
    fixed = ["steel", "--sampler", sampler, "--trials", "8", "--heartbeat", "1", "--study", name]
    storage = ["--storage", str(folder / "sweep.db"), "--workers", "2"]
    return [sys.executable, str(EXAMPLES / "sweep.py"), *fixed, *storage, *SETTINGS, *options]


def workers_of(mains: list[subprocess.Popen]) -> list[psutil.Process]:
    """The processes that train."""
    found = []
    for main in mains:
        try:
            children = psutil.Process(main.pid).children(recursive=True)
            found += [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        except psutil.Error:
            continue
    return found


def study(
    folder: Path, sampler: str, number: int, mains: int, kills: int, chance: random.Random
) -> Counter:
    """Sweep one study, with as many mains at once and at most so many kills, then to its end; what was killed."""
    name = f"study{number}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    start = lambda: subprocess.Popen(command(folder, sampler, name), **quiet)  # noqa: E731
    running, killed = [start() for _ in range(mains)], Counter()
    time.sleep(3)  # until they train
    while sum(killed.values()) < kills and any(main.poll() is None for main in running):
        time.sleep(chance.uniform(0, 1.5))
        if chance.random() < 0.85:
            workers = workers_of(running)
            with contextlib.suppress(psutil.Error, IndexError):  # one that has ended meanwhile
                chance.choice(workers).kill()
                killed["workers"] += 1
        else:
            i = chance.randrange(mains)
            if running[i].poll() is None:
                running[i].kill()
                running[i].communicate()
                running[i] = start()
                killed["mains"] += 1
    for main in running:
        errors = main.communicate(timeout=300)[1]
        assert main.returncode == 0 and not errors, (main.returncode, errors)
    return killed


def check(folder: Path, sampler: str, number: int) -> int:
    """Assert that a finished study has each training once, equal to an undisturbed one; return how many."""
    from sweep_run import run

    file = folder / "rows.csv"
    arguments = command(folder, sampler, f"study{number}", "--export", str(file))
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    with file.open(newline="", encoding="utf-8") as f:
        rows = [*csv.DictReader(f)]
    assert len(rows) == 32 and {row["status"] for row in rows} == {"done"}, Counter(
        row["status"] for row in rows
    )
    places = Counter(
        (row["loss"], row["hidden"], row["learning_rate"], row["seed"]) for row in rows
    )
    if sampler == "grid":
        assert len(places) == 32, places
    for row in rows:
        settings = {
            "experiment": "steel",
            "loss": row["loss"],
            "hidden": row["hidden"],
            "epochs": 10,
            "batch_size": 10,
            "learning_rate": float(row["learning_rate"]),
            "standardize": True,
            "data": "synthetic",
        }
        alone = run(settings, int(row["seed"]))
        for name in ("test_accuracy", "last_loss", "value", "parameters"):
            assert row[name] == str(alone[name]), (name, row, alone)
    return len(rows)


def campaign(folder: Path, sampler: str, kills: int, mains: int = 2, seed: int = 0) -> Counter:
    """Studies one after the other until so many processes were killed; counts of kills, studies and rows."""
    chance, counts = random.Random(seed), Counter()
    while counts["workers"] + counts["mains"] < kills:
        left = kills - counts["workers"] - counts["mains"]
        counts += study(folder, sampler, counts["studies"], mains, left, chance)
        counts["rows"] += check(folder, sampler, counts["studies"])
        counts["studies"] += 1
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=64)
    parser.add_argument("--mains", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sampler", choices=["grid", "random", "tpe"], default="grid")
    given = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        found = campaign(Path(place), given.sampler, given.kills, given.mains, given.seed)
        print(dict(found), f"{time.perf_counter() - start:.0f} s")
