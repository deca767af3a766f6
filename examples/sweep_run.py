"""One run of a sweep: settings to results, the same wherever and however often it is run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from abalone import abalone_exec, mean_absolute_error
from command_line import silent, widths
from experiment import Run
from pulsar import pulsar_exec, scores
from steel import LOSSES, steel_exec


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


def run(
    settings: Mapping[str, Any],
    seed: int,
    data: str | None = None,
    watch: Callable[[Run], None] | None = None,
) -> dict[str, Any]:
    """Train in silence and return the results, which depend on the settings and the seed alone.

    `settings["data"]` says "real" or "synthetic", `data` where this machine has the real one.
    `watch` sees the training before its first epoch and after each. Whatever the training raises is raised.
    """
    given = {**settings, "seed": seed, "hidden": widths(settings["hidden"]), "watch": watch}
    kind = KINDS[given.pop("experiment")]
    counts = given.pop("epochs"), given.pop("batch_size")
    if settings["data"] == "real":
        given["data"] = data
    trained = kind.execute(*counts, 0, say=silent, **given)
    if trained.stopped:
        raise KeyboardInterrupt
    if trained.dataset.synthetic and settings["data"] == "real":
        raise FileNotFoundError(f"the real data is not here ({trained.dataset.synthetic})")
    last, y = trained.history[-1], trained.dataset.y[trained.test]
    parameters = b"".join(p.data.tobytes() for p in trained.parameters.values())
    return {
        "seed": seed,
        "test_accuracy": float(last.test_accuracy),
        "last_loss": float(last.loss),
        "metric": kind.metric,
        "value": float(kind.value(trained.output, y)),
        "parameters": hashlib.sha256(parameters).hexdigest()[:16],  # equal: the same to the bit
        "seconds": round(trained.seconds, 3),
    }
