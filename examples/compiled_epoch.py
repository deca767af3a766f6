"""Whole epochs in machine code: what `Run.epoch` does, some ten times faster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from stopping import uninterrupted

from tinygrad_steel import Tensor, compile_epoch

if TYPE_CHECKING:
    from experiment import Run


def compiled_epoch(run: Run) -> Callable[[np.ndarray], tuple[float, float]]:
    """A function that trains on batches and returns the means of their losses and accuracies."""
    first, targets = slice(run.settings.mb_size), run.dataset.y
    x, y = Tensor(run.x[first], name="x"), Tensor(targets[first], name="y")
    output = run.model(x, run.experiment.model)
    loss = run.experiment.loss(output, y)
    say = run.settings.say
    with uninterrupted():  # what a signal raises in a callback of the compiler is lost there
        say("compiling ...", end=" ", file=sys.stderr, flush=True)
        epoch = compile_epoch(loss, batch=(x, y), optimizer=run.optimizer, outputs=[output])
        say(f"{epoch.compile_seconds:.1f} s ({epoch.backend})", file=sys.stderr)

    def train(batches: np.ndarray) -> tuple[float, float]:
        rows = batches.ravel()
        losses, (outputs,) = epoch(run.x, targets, order=rows)
        # of equally many rows each, so that the mean over all rows is the mean over the batches
        accuracy = run.experiment.accuracy(outputs.reshape(len(rows), -1), targets[rows])
        return np.mean(losses), accuracy

    return train
