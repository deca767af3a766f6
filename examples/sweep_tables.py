"""What a sweep says in the end: a table, a CSV file and a picture of all its runs."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from command_line import plus_minus
from sweep_run import KINDS
from whole_file import whole_file

Row = Mapping[str, Any]  # of `sweep_study.rows`

VARIED = ["loss", "hidden", "learning_rate"]
FIXED = ["epochs", "batch_size", "optimizer", "init", "standardize", "balance", "compiled", "data"]
RESULTS = ["status", "test_accuracy", "last_loss", "metric", "value", "parameters", "seconds"]
COLUMNS = ["experiment", *VARIED, "seed", *FIXED, *RESULTS, "trial", "error"]


def line(row: Row) -> str:
    """What has become of a run, in one line."""
    what = " ".join(f"{name}={text(row[name])}" for name in [*VARIED, "seed"] if name in row)
    return f"{what}: {row['error'] or text(row.get('test_accuracy', row['status']))}"


def text(value: Any) -> str:
    """A setting or a result as it stands in tables."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value in (None, "") else str(value)


def mean_and_spread(values: Sequence[float]) -> str:
    """The mean and, of several, the standard deviation."""
    if not values:
        return "-"
    spread = f" {plus_minus()} {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{spread}"


def ranked(rows: Iterable[Row]) -> list[tuple[list[str], list[Row], list[Row]]]:
    """Configurations, all runs of each and those that are done, the best mean accuracy first."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name) for name in VARIED), []).append(row)
    found = [
        ([*map(text, values)], own, [row for row in own if row["status"] == "done"])
        for values, own in groups.items()
    ]
    return sorted(found, key=lambda group: mean(group[2]), reverse=True)


def mean(done: Sequence[Row]) -> float:
    """Of the test accuracies; minus infinity if there are none."""
    return statistics.fmean(row["test_accuracy"] for row in done) if done else -math.inf


def summary(rows: Sequence[Row]) -> str:
    """A table: means over the seeds and, after ±, standard deviations, the best accuracy first."""
    shown = [i for i, name in enumerate(VARIED) if len({row.get(name) for row in rows}) > 1]
    metric = KINDS[rows[0]["experiment"]].metric
    lines = [[*(VARIED[i] for i in shown), "runs", "test accuracy", "last loss", metric, "seconds"]]
    for names, own, done in ranked(rows):
        runs = f"{len(done)} of {len(own)}" if len(done) < len(own) else f"{len(own)}"
        columns = ("test_accuracy", "last_loss", "value", "seconds")
        figures = [mean_and_spread([row[column] for row in done]) for column in columns]
        lines.append([*(names[i] for i in shown), runs, *figures])
    sizes = [max(map(len, column)) for column in zip(*lines)]
    table = ["  ".join(map(str.rjust, line, sizes)) for line in lines]
    return "\n".join([rows[0]["experiment"], *table])


def export(file: str, rows: Iterable[Row]) -> None:
    """Write all rows as CSV."""
    with whole_file(file) as part, part.open("w", encoding="utf-8", newline="") as f:
        writer = csv.DictWriter(f, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def draw(figure: Any, sweeps: Sequence[Sequence[Row]]) -> None:
    """The twenty best configurations of each sweep: every run a dot, beside their mean and deviation."""
    for axes, rows in zip(figure.subplots(1, len(sweeps), squeeze=False)[0], sweeps):
        groups = [(" ".join(names), done) for names, _, done in ranked(rows) if done][:20]
        for y, (_, done) in enumerate(groups):
            values = [row["test_accuracy"] for row in done]
            spread = statistics.stdev(values) if len(values) > 1 else 0
            axes.plot(values, [y] * len(values), ".", color="#5F6B7A")
            axes.errorbar(statistics.fmean(values), y, xerr=spread, fmt="o", color="#0B6FB3")
        axes.set_yticks(range(len(groups)), [name for name, _ in groups])
        axes.invert_yaxis()
        axes.set(xlabel="test accuracy", title=rows[0]["experiment"])


def notes(rows: Sequence[Row]) -> list[str]:
    """What the tables do not say."""
    found = []
    if count := sum(row["status"] == "under way" for row in rows):
        found.append(
            f"{count} runs are under way elsewhere, or their workers have died: this storage has "
            f"no heartbeats to tell; when nothing runs any more, --retry runs them again"
        )
    if any(row["data"] == "synthetic" for row in rows):
        found.append("on synthetic stand-ins: figures are not the published ones")
    return found
