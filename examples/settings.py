"""What can be set for a training, by keywords or on the command line; checked before anything is loaded."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset

from tinygrad_steel import SGD, Adam
from tinygrad_steel.engine.optim import Optimizer

if TYPE_CHECKING:
    from experiment import Run

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": functools.partial(SGD, momentum=0.9),
    "adam": Adam,
}


@dataclass(frozen=True)
class Settings:
    """How an experiment is trained, and what comes out of it besides the lines of the report."""

    epoch_count: int = 10
    mb_size: int = 10  # rows a step
    report: int = 1  # epochs from one line to the next, 0: none

    # the model
    hidden: Sequence[int] = ()  # widths of hidden layers, with relu
    init: str = "book"  # first weights, see Model
    standardize: bool = False  # inputs to mean 0 and deviation 1, by the training rows

    # the training
    optimizer: str = "sgd"
    learning_rate: float = 0.001
    balance: bool = False  # repeat training rows of the rarer class until both are equally many
    seed: int | np.random.RandomState = 1234  # a generator goes on from where it is
    data: str | Dataset | None = None  # a table, or what datasets.load takes
    compiled: bool = False  # whole epochs in machine code
    check_loss: bool = True  # FloatingPointError, with advice, for a loss that is not finite
    load_from: str | None = None  # a model kept by `save`: its weights, scaling and test rows

    # what comes out
    say: Callable[..., None] = print
    watch: Callable[[Run], None] | None = None  # called before the first epoch and after each
    quiet: bool = True  # no progress bar
    explain: bool = False  # say first what the report's accuracies are
    metrics: bool = False  # more figures of the test rows
    save_every: int = 0  # epochs, 0: at the end alone
    save: str | None = None  # files: the trained model (.npz),
    onnx: str | None = None  # the same for other programs, its outputs being probabilities,
    plot: str | None = None  # curves of loss and accuracy
    page: str | None = None  # an HTML page of the first batch, seen before and after each epoch
    open_page: bool = False  # in a browser, when it is written
    # instead of training
    source: bool = False  # say the first batch's backprop as NumPy source
    graph: str | None = None  # a file into which its loss is drawn
    view: str = "forward"  # of the graph: "forward", "backward" or "both"

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"the learning rate must be above 0 and finite, not {self.learning_rate}"
            )
        if self.save_every < 0 or (self.save_every and self.save is None):
            raise ValueError("save-every is at least 0, and needs save, a file to write")
        if self.open_page and self.page is None:
            raise ValueError("open needs page, a file to write and to show")

    @property
    def instead_of_training(self) -> bool:
        """Whether the first batch is shown, and nothing trained."""
        return self.source or self.graph is not None

    @property
    def places(self) -> dict[str, str]:
        """The files that are to be written, by the names of their options."""
        named = {name: getattr(self, name) for name in ("save", "onnx", "plot", "page", "graph")}
        return {name: os.fspath(file) for name, file in named.items() if file is not None}

    @property
    def sources(self) -> dict[str, str]:
        """The files that are read, in the same way."""
        named = {"data": self.data, "load": self.load_from}
        return {k: os.fspath(v) for k, v in named.items() if isinstance(v, str | os.PathLike)}

    def check_rows(self, rows: int, test: int | None = None) -> None:
        """ValueError where so many rows, `test` of them kept for the test, cannot be trained in such batches."""
        most = int(rows * 0.8) if test is None else rows - test
        share = "0.8" if test is None else "those for training"
        if self.epoch_count < 0 or self.report < 0 or not 1 <= self.mb_size <= most:
            raise ValueError(
                f"epochs and report are at least 0, the batch size 1 to {most} ({share} of {rows} rows); "
                f"got epochs {self.epoch_count}, report {self.report}, batch size {self.mb_size}"
            )

    def generator(self) -> np.random.RandomState:
        """The one that draws weights and shuffles rows."""
        given = self.seed
        return given if isinstance(given, np.random.RandomState) else np.random.RandomState(given)
