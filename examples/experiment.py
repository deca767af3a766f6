"""The training loop that the experiments share: the book's protocol, its report, and the command line."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, load
from model import Model, Scaling

from tinygrad_steel import SGD, Adam, RendererNotFound, Tensor, compile_epoch, draw, no_grad, write_backprop
from tinygrad_steel.optim import Optimizer
from tinygrad_steel.trace import call_with_locals

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": functools.partial(SGD, momentum=0.9),
    "adam": Adam,
}


class Epoch(NamedTuple):
    """One line of the report: means over the epoch's batches, then the accuracy on the test rows."""

    epoch: int
    loss: float
    accuracy: float
    test_accuracy: float


class Trained(NamedTuple):
    """What a run leaves behind: the trained Tensors by name, the history of its epochs, the model and its data."""

    parameters: dict[str, Tensor]
    history: list[Epoch]
    model: Model
    dataset: Dataset
    training: np.ndarray  # row numbers
    test: np.ndarray
    output: np.ndarray  # for the test rows


class Experiment(NamedTuple):
    """All that an experiment says for itself.

    `data`: the name of its data set. `model(x, weight, bias)`: Tensors to the output, after the hidden layers if there
    are any. `loss(output, y)`: Tensors to one number. `accuracy(output, y)`: arrays to a float. `metrics(output, y,
    names)`: lines with more figures, `names` being those of the columns of `y`.
    """

    data: str
    model: Callable[..., Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    accuracy: Callable[[np.ndarray, np.ndarray], float]
    metrics: Callable[[np.ndarray, np.ndarray, Sequence[str]], list[str]]


def same_shape(function: Callable) -> Callable:
    """Decorator for `f(output, y)`: (N, 1) against (N,) would broadcast to N x N and give a wrong number silently."""

    @functools.wraps(function)
    def checked(output: Any, y: Any) -> Any:
        if output.shape != y.shape:
            raise ValueError(f"{function.__name__}: output {output.shape} and y {y.shape} must have one shape")
        return function(output, y)

    return checked


def train(
    experiment: Experiment,
    epoch_count: int = 10,
    mb_size: int = 10,
    report: int = 1,
    *,
    hidden: Sequence[int] = (),
    init: str = "book",
    standardize: bool = False,
    balance: bool = False,
    optimizer: str = "sgd",
    learning_rate: float = 0.001,
    seed: int | np.random.RandomState = 1234,
    data: str | None = None,
    compiled: bool = False,
    metrics: bool = False,
    quiet: bool = True,
    check_loss: bool = True,
    plot: str | None = None,
    save: str | None = None,
    load_from: str | None = None,
    source: bool = False,
    graph: str | None = None,
    view: str = "forward",
) -> Trained:
    """Train as the book does, print a line every `report` epochs (0: none) and the final accuracy.

    The model: `hidden` widths, `init` (see `Model`), `standardize` (by the training rows). The training: `optimizer`
    ("sgd", "momentum" or "adam") and its `learning_rate`; `balance` repeats the training rows of the rarer class until
    both are equally many; `compiled` runs whole epochs in machine code. `seed`: a number, or a generator that goes on
    from where an earlier run left it. `data`: a file, a folder, "uci" or "synthetic"; see `datasets.load`.

    What comes out: `metrics` prints more figures of the test rows, `quiet` shows no bar, `plot` is a file for curves of
    loss and accuracy, `save` and `load_from` are .npz files. Ctrl-C ends the training, but nothing else. `check_loss`:
    FloatingPointError, with advice, for a loss that is not finite. Instead of training, `source` prints the first
    batch's backprop as NumPy source, and `graph` is a file into which its loss is drawn, in one of `draw`'s views.

    Raises ValueError for settings with which no step can be made.
    """
    dataset = load(experiment.data, data)
    rows = len(dataset.x)
    if epoch_count < 0 or report < 0 or mb_size < 1 or int(rows * 0.8) < mb_size:
        raise ValueError(
            f"epochs and report are at least 0, the batch size 1 to {int(rows * 0.8)} (0.8 of {rows} rows); "
            f"got epochs {epoch_count}, report {report}, batch size {mb_size}"
        )
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer is one of {', '.join(OPTIMIZERS)}, not {optimizer!r}")
    if dataset.synthetic and not (source or graph):
        print(dataset.synthetic)
    rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
    model = Model(dataset.x.shape[1], hidden, dataset.y.shape[1], rng, init)
    order = np.arange(rows)
    rng.shuffle(order)
    step_count = int(rows * 0.8) // mb_size
    training, test = order[: step_count * mb_size], order[step_count * mb_size :]
    if standardize:
        model.scaling = Scaling.of(dataset.x[training])
    if load_from:
        model.load(load_from, data=experiment.data)
    x = model.scaling(dataset.x) if standardize or load_from else dataset.x
    if balance:
        training = balanced(dataset.y, training)
        step_count = len(training) // mb_size
    run = Run(experiment, model, OPTIMIZERS[optimizer](model.parameters.values(), learning_rate), x, dataset.y, mb_size)
    if source or graph:
        rng.shuffle(training)
        loss, names = explained_graph(experiment, model, x[training[:mb_size]], dataset.y[training[:mb_size]])
        if source:
            print(write_backprop(loss, names), end="")
        if graph:
            loss.backward()
            print(f"drawn: {draw(loss, view, names).save(graph)}")
        return Trained(model.parameters, [], model, dataset, training, test, run.output(test))
    run_epoch = run.compiled() if compiled else run.eager
    history: list[Epoch] = []
    bar = Bar(epoch_count, quiet)
    try:
        for epoch in range(1, epoch_count + 1):
            rng.shuffle(training)
            loss, accuracy = run_epoch(training[: step_count * mb_size].reshape(step_count, mb_size))
            if check_loss and not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} in epoch {epoch}: try a smaller --learning-rate than {learning_rate:g}"
                    f"{'' if standardize else ', or --standardize'} (--keep-going trains on)"
                )
            history.append(Epoch(epoch, loss, accuracy, run.test_accuracy(test)))
            line = f"loss={loss:5.3f}, accuracy={accuracy:5.3f}/{history[-1].test_accuracy:5.3f}"
            bar.advance(line)
            if report and epoch % report == 0:
                bar.print(f"Epoch {epoch}: {line}")
    except KeyboardInterrupt:
        bar.print(f"stopped by Ctrl-C in epoch {len(history) + 1} of {epoch_count}")
    finally:
        bar.close()
    print(f"\nFinal Test: final accuracy = {run.test_accuracy(test):5.3f}")
    if metrics:
        print(*experiment.metrics(run.output(test), dataset.y[test], dataset.y_names), sep="\n")
    if save:
        model.save(save, data=experiment.data)
        print(f"saved: {save}")
    if plot:
        curves(history, plot)
        print(f"plotted: {plot}")
    if dataset.synthetic:
        print(dataset.synthetic)
    return Trained(model.parameters, history, model, dataset, training, test, run.output(test))


class Run:
    """One training: who learns what from which rows."""

    def __init__(
        self, experiment: Experiment, model: Model, optimizer: Optimizer, x: np.ndarray, y: np.ndarray, mb_size: int
    ):
        self.experiment, self.model, self.optimizer = experiment, model, optimizer
        self.x, self.y, self.mb_size = x, y, mb_size

    def step(self, batch: np.ndarray) -> tuple[float, float]:
        """Train on one batch; return its loss and accuracy."""
        output, loss = batch_graph(self.experiment, self.model, self.x[batch], self.y[batch])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item(), self.experiment.accuracy(output.numpy(), self.y[batch])

    def eager(self, batches: np.ndarray) -> tuple[float, float]:
        """Train on these batches; return the means of their losses and accuracies."""
        return tuple(np.mean([self.step(batch) for batch in batches], axis=0))

    def compiled(self) -> Callable[[np.ndarray], tuple[float, float]]:
        """The same in machine code."""
        x, y = Tensor(self.x[: self.mb_size], name="x"), Tensor(self.y[: self.mb_size], name="y")
        output = self.model(x, self.experiment.model)
        loss = self.experiment.loss(output, y)
        epoch = compile_epoch(loss, batch=(x, y), optimizer=self.optimizer, outputs=[output])
        print(f"compiled in {epoch.compile_seconds:.1f} s ({epoch.backend})", file=sys.stderr)

        def run(batches: np.ndarray) -> tuple[float, float]:
            rows = batches.ravel()
            losses, (outputs,) = epoch(self.x, self.y, order=rows)
            # of equally many rows each, so that the mean over all rows is the mean over the batches
            return np.mean(losses), self.experiment.accuracy(outputs.reshape(len(rows), -1), self.y[rows])

        return run

    def output(self, rows: np.ndarray) -> np.ndarray:
        """What the model says of these rows."""
        with no_grad():
            return self.model(Tensor(self.x[rows]), self.experiment.model).numpy()

    def test_accuracy(self, rows: np.ndarray) -> float:
        """The accuracy on these rows."""
        return self.experiment.accuracy(self.output(rows), self.y[rows])


class Bar:
    """A progress bar where somebody looks at one, and the lines printed beside it."""

    def __init__(self, epochs: int, quiet: bool):
        self.bar, self.print = None, print
        if not quiet and sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
            from tqdm import tqdm  # only for those who train at a terminal

            self.bar, self.print = tqdm(total=epochs, unit="epoch", leave=False), tqdm.write

    def advance(self, text: str) -> None:
        """One epoch more."""
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.close()


def balanced(y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """These rows, those of the rarer class repeated in turn until both classes are equally many.

    Only training rows: a repeated row among the test rows would be tested on what it was trained with.
    """
    if y.shape[1] != 1 or not np.all((y == 0) | (y == 1)):
        raise ValueError("balance is for data with two classes, 0 and 1")
    ones, zeros = rows[y[rows, 0] == 1], rows[y[rows, 0] == 0]
    few, many = sorted([ones, zeros], key=len)
    if not len(few):
        raise ValueError("balance needs rows of both classes")
    return np.concatenate([rows, np.resize(few, len(many) - len(few))])


def batch_graph(experiment: Experiment, model: Model, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """Output and loss of one batch, as a graph of named Tensors."""
    output = model(Tensor(x, name="x"), experiment.model)
    output.name = "output"
    loss = experiment.loss(output, Tensor(y, name="y"))
    loss.name = "loss"
    return output, loss


def explained_graph(
    experiment: Experiment, model: Model, x: np.ndarray, y: np.ndarray
) -> tuple[Tensor, dict[str, Any]]:
    """The loss of one batch in scopes, and the names that its function gives to what it computes on the way."""
    output = model(Tensor(x, name="x"), experiment.model, explained=True)
    loss, names = call_with_locals(experiment.loss, output, Tensor(y, name="y"))
    return loss, {**names, "loss": loss}


def curves(history: list[Epoch], file: str) -> None:
    """Draw loss and accuracy over the epochs."""
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [epoch.epoch for epoch in history]
    left.plot(epochs, [epoch.loss for epoch in history], color="#0B6FB3")
    left.set(xlabel="epoch", title="loss")
    right.plot(epochs, [epoch.accuracy for epoch in history], color="#0B6FB3", label="training")
    right.plot(epochs, [epoch.test_accuracy for epoch in history], color="#9A5200", ls="--", label="test")
    right.set(xlabel="epoch", title="accuracy")
    right.legend()
    figure.savefig(file, dpi=120)


def widths(text: str) -> tuple[int, ...]:
    """`12,6,4` as numbers."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(f"widths are whole numbers with commas, as in 12,6,4, not {text!r}") from None


def main(execute: Callable[..., Trained], description: str | None, **choices: list[str]) -> None:
    """Run an experiment from the command line; `choices` are options of its own, the first being the default."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--epochs", type=int, default=10, help="times through the training rows (default 10)")
    add("--batch-size", type=int, default=10, help="rows a step (default 10)")
    add("--report", type=int, default=1, help="epochs between two lines, 0 for none (default 1)")
    add("--hidden", type=widths, default=(), metavar="12,6,4", help="widths of hidden layers (default none)")
    add("--init", choices=["book", "he"], default="book", help="of the weights: normal(0, 0.003), or by the inputs")
    add("--standardize", action="store_true", help="inputs to mean 0 and deviation 1, by the training rows")
    add("--balance", action="store_true", help="repeat training rows of the rarer class (pulsar)")
    add("--optimizer", choices=[*OPTIMIZERS], default="sgd", help="default sgd")
    add("--learning-rate", type=float, default=0.001, help="default 0.001")
    add("--seed", type=int, default=1234, help="of weights and shuffling (default 1234)")
    add("--data", help="a file, a folder, 'uci' or 'synthetic' (default: looked for, then downloaded)")
    add("--compiled", action="store_true", help="run whole epochs in machine code")
    add("--metrics", action="store_true", help="more figures of the test rows at the end")
    add("--plot", metavar="FILE", help="draw curves of loss and accuracy (needs matplotlib)")
    add("--save", metavar="FILE", help="keep the trained model (.npz)")
    add("--load", metavar="FILE", dest="load_from", help="go on from a model kept with --save")
    add("--quiet", action="store_true", help="no progress bar")
    add("--keep-going", action="store_false", dest="check_loss", help="train on when the loss is not finite")
    add("--source", action="store_true", help="print the backprop as NumPy source instead of training")
    add("--graph", metavar="FILE", help="draw the loss (.svg, .png, .pdf, .dot, .txt) instead of training")
    add("--view", choices=["forward", "backward", "both"], default="forward", help="of --graph")
    for name, options in choices.items():
        add(f"--{name}", choices=options, default=options[0], help=f"default {options[0]}")
    given = vars(parser.parse_args())
    counts = [given.pop(name) for name in ("epochs", "batch_size", "report")]
    try:
        execute(*counts, **given)
    except (ValueError, OSError, RendererNotFound, FloatingPointError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
