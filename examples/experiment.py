"""What an experiment is, and its training: the book's protocol, the same for all experiments.

`train` is the loop. What can be set is in `settings.py`, what is said meanwhile in `progress.py`, what is written and
drawn in `outputs.py`, a run in a file in `resuming.py` and `checkpoint.py`, machine code in `compiled_epoch.py`, and
the options of the command line in `command_line.py`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import outputs
import resuming
from compiled_epoch import compiled_epoch
from datasets import Dataset, load
from model import Model, Scaling, check_size
from progress import Progress, check_finite
from settings import OPTIMIZERS, Settings
from stopping import Terminated

from tinygrad_steel import Record, Tensor, no_grad
from tinygrad_steel.engine.optim import Optimizer

Array = np.ndarray


class Experiment(NamedTuple):
    """All that an experiment says for itself."""

    data: str  # the name of its data set
    model: Callable[..., Tensor]  # (x, weight, bias) -> output, after the hidden layers, if any
    loss: Callable[[Tensor, Tensor], Tensor]  # (output, y) -> one number
    accuracy: Callable[[Array, Array], float]  # (output, y); its docstring says what it is
    prediction: Callable[[Tensor], Tensor] | None = None  # what makes probabilities of the output
    metrics: Callable[[Array, Array], Mapping[str, float]] | None = None  # more figures, by name
    table: Callable[[Array, Array, Sequence[str]], Iterable[str]] | None = None  # or as lines


class Epoch(NamedTuple):
    """One line of the report: means over the epoch's batches, then the accuracy on the test rows."""

    epoch: int
    loss: float
    accuracy: float
    test_accuracy: float


@dataclass
class Run:
    """One training: who learns what from which rows, and how far it has come."""

    experiment: Experiment
    settings: Settings
    dataset: Dataset
    model: Model
    optimizer: Optimizer
    training: Array  # row numbers, in the order of the last epoch
    test: Array
    rng: np.random.RandomState
    epochs_before: int = 0  # of the model that was loaded
    history: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0  # of the epochs, without compiling
    stopped: str = ""  # by "Ctrl-C" or "SIGTERM"
    record: Record | None = None  # what its page shows

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The Tensors that are trained, by name."""
        return self.model.parameters

    @property
    def epochs(self) -> int:
        """How many are finished, those of earlier runs included."""
        return self.epochs_before + len(self.history)

    @functools.cached_property
    def x(self) -> Array:
        """All inputs, as the model takes them."""
        return self.model.scaling(self.dataset.x)

    @property
    def output(self) -> Array:
        """What the model says of the test rows."""
        with no_grad():
            return self.model(Tensor(self.x[self.test]), self.experiment.model).numpy()

    @property
    def test_accuracy(self) -> float:
        """The accuracy on the test rows."""
        return self.experiment.accuracy(self.output, self.dataset.y[self.test])

    def figures(self) -> Mapping[str, float]:
        """More figures of the test rows, by name."""
        metrics = self.experiment.metrics
        return metrics(self.output, self.dataset.y[self.test]) if metrics else {}

    def step(self, batch: Array) -> tuple[float, float]:
        """Train on the rows of one batch; return its loss and accuracy."""
        x, y = Tensor(self.x[batch], name="x"), Tensor(self.dataset.y[batch], name="y")
        output = self.model(x, self.experiment.model)
        loss = self.experiment.loss(output, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item(), self.experiment.accuracy(output.numpy(), y.numpy())

    def epoch(self, batches: Array) -> tuple[float, float]:
        """Train on these batches; return the means of their losses and accuracies."""
        return tuple(np.mean([self.step(batch) for batch in batches], axis=0))


@np.errstate(all="ignore")  # a loss that is not finite says more than NumPy's warnings
def train(
    experiment: Experiment,
    epoch_count: int = 10,
    mb_size: int = 10,
    report: int = 1,
    **options: Any,
) -> Run:
    """Train as the book does, print a line every `report` epochs (0: none) and the final accuracy.

    The options are those of `Settings`. Ctrl-C ends the training, but nothing else: the run is that
    of its last finished epoch then. Raises ValueError, OSError and ImportError, before any step, for
    what cannot be trained or kept.
    """
    settings = Settings(epoch_count, mb_size, report, **options)
    outputs.check(settings)
    run = prepare(experiment, settings)
    if settings.instead_of_training:
        outputs.show(run)
        return run
    run_epoch = compiled_epoch(run) if settings.compiled else run.epoch
    step_count = len(run.training) // mb_size
    progress, saver, watch = Progress(run), resuming.saver(run), outputs.watcher(run)
    start = time.perf_counter()
    try:
        watch(run)
        for _ in range(epoch_count):
            run.rng.shuffle(run.training)
            batches = run.training[: step_count * mb_size].reshape(step_count, mb_size)
            loss, accuracy = run_epoch(batches)
            run.history.append(Epoch(run.epochs + 1, loss, accuracy, run.test_accuracy))
            check_finite(run)
            saver.epoch_done(run.epochs)
            progress.epoch_done()
            watch(run)
        saver.write()
    except KeyboardInterrupt as stop:
        run.stopped = "SIGTERM" if isinstance(stop, Terminated) else "Ctrl-C"
        saver.stop()
    finally:
        progress.close()
    run.seconds = time.perf_counter() - start
    outputs.finish(run, saver)
    return run


def prepare(experiment: Experiment, settings: Settings) -> Run:
    """Everything before the first epoch: data, first weights, and which rows are for the test."""
    given = settings.data
    dataset = given if isinstance(given, Dataset) else load(experiment.data, given)
    settings.check_rows(len(dataset.x), None if dataset.test is None else len(dataset.test))
    if dataset.synthetic and not settings.instead_of_training:
        settings.say(dataset.synthetic)
    rng = settings.generator()
    columns, classes = dataset.x.shape[1], dataset.y.shape[1]
    check_size([columns, *map(int, settings.hidden), classes], len(dataset.x))
    model = Model(columns, settings.hidden, classes, rng, settings.init)
    optimizer = OPTIMIZERS[settings.optimizer](model.parameters.values(), settings.learning_rate)
    training, test = split(dataset, rng, settings.mb_size)
    run = Run(experiment, settings, dataset, model, optimizer, training, test, rng)
    if settings.load_from is not None:
        resuming.go_on(run, settings.load_from)
    else:
        model.scaling = Scaling.of(dataset.x[training]) if settings.standardize else model.scaling
        run.training = balanced(dataset.y, training) if settings.balance else training
    if len(run.training) < settings.mb_size:
        raise ValueError(
            f"a batch of {settings.mb_size} is more than the {len(run.training)} training rows"
        )
    return run


def split(dataset: Dataset, rng: np.random.RandomState, mb_size: int) -> tuple[Array, Array]:
    """The rows for training and those for the test: whole batches of 80 percent, where the data does not say."""
    order = np.arange(len(dataset.x))
    rng.shuffle(order)
    if dataset.test is not None:
        return order[~np.isin(order, dataset.test)], dataset.test
    whole_batches = int(len(order) * 0.8) // mb_size * mb_size
    training, test = np.split(order, [whole_batches])
    return training, test


def balanced(y: Array, rows: Array) -> Array:
    """These rows, those of the rarer class repeated in turn until both classes are equally many.

    Only training rows: a repeated row among the test rows would be tested on what it was trained
    with.
    """
    if y.shape[1] != 1 or not np.all((y == 0) | (y == 1)):
        raise ValueError("balance is for data with two classes, 0 and 1")
    ones, zeros = rows[y[rows, 0] == 1], rows[y[rows, 0] == 0]
    few, many = sorted([ones, zeros], key=len)
    if not len(few):
        raise ValueError("balance needs rows of both classes")
    return np.concatenate([rows, np.resize(few, len(many) - len(few))])


def same_shape(function: Callable) -> Callable:
    """Decorator for `f(output, y)`: (N, 1) against (N,) would be N x N, a wrong number in silence."""

    @functools.wraps(function)
    def checked(output: Any, y: Any) -> Any:
        if output.shape != y.shape:
            raise ValueError(
                f"{function.__name__}: output {output.shape} and y {y.shape} must have one shape"
            )
        return function(output, y)

    return checked
