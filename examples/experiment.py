"""The training loop that the experiments share: the book's protocol, its report, and the command line."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, load
from model import Model, Scaling

from tinygrad_steel import (
    SGD,
    Adam,
    RendererNotFound,
    Tensor,
    compile_epoch,
    draw,
    no_grad,
    write_backprop,
)
from tinygrad_steel.engine.optim import Optimizer
from tinygrad_steel.export.onnx_file import find_onnx
from tinygrad_steel.program.definitions import locals_of

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
    seconds: float = 0.0  # of the epochs, without compiling
    stopped: bool = False  # by Ctrl-C


class Experiment(NamedTuple):
    """All that an experiment says for itself.

    `data`: the name of its data set. `model(x, weight, bias)`: Tensors to the output, after the hidden layers if there
    are any. `loss(output, y)`: Tensors to one number. `accuracy(output, y)`: arrays to a float. `metrics(output, y,
    names)`: lines with more figures, `names` being those of the columns of `y`. `prediction`: what makes probabilities
    of the output, if it is not the prediction itself; for exported models.
    """

    data: str
    model: Callable[..., Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    accuracy: Callable[[np.ndarray, np.ndarray], float]
    metrics: Callable[[np.ndarray, np.ndarray, Sequence[str]], list[str]]
    prediction: Callable[[Tensor], Tensor] | None = None


def same_shape(function: Callable) -> Callable:
    """Decorator for `f(output, y)`: (N, 1) against (N,) would broadcast to N x N and give a wrong number silently."""

    @functools.wraps(function)
    def checked(output: Any, y: Any) -> Any:
        if output.shape != y.shape:
            raise ValueError(
                f"{function.__name__}: output {output.shape} and y {y.shape} must have one shape"
            )
        return function(output, y)

    return checked


@np.errstate(all="ignore")  # a loss that is not finite says more than NumPy's warnings
def train(  # noqa: C901 (to be split with the command line)
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
    say: Callable[..., None] = print,
    check_loss: bool = True,
    plot: str | None = None,
    save: str | None = None,
    onnx: str | None = None,
    load_from: str | None = None,
    source: bool = False,
    graph: str | None = None,
    view: str = "forward",
    watch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train as the book does, print a line every `report` epochs (0: none) and the final accuracy.

    The model: `hidden` widths, `init` (see `Model`), `standardize` (by the training rows). The training: `optimizer`
    ("sgd", "momentum" or "adam") and its `learning_rate`; `balance` repeats the training rows of the rarer class until
    both are equally many; `compiled` runs whole epochs in machine code. `seed`: a number, or a generator that goes on
    from where an earlier run left it. `data`: a file, a folder, "uci" or "synthetic"; see `datasets.load`.

    What comes out: `metrics` prints more figures of the test rows, `quiet` shows no bar, `say` is called in place of
    print, `plot` is a file for curves of loss and accuracy, `onnx` one for the trained model with its scaling, whose
    output are probabilities. Ctrl-C ends the training, but nothing else. `check_loss`: FloatingPointError, with advice,
    for a loss that is not finite. Instead of training, `source` prints the first batch's backprop as NumPy source, and
    `graph` is a file into which its loss is drawn, in one of `draw`'s views.

    `save` and `load_from` are .npz files. Whoever goes on from one uses its parameters, its scaling and its test rows
    (with others, a model would be tested on what it was trained with); the optimizer begins anew.

    Raises ValueError for settings with which no step can be made, and for files that are not what they should be.
    """
    if (source or graph) and (save or plot or onnx):
        raise ValueError(
            "source and graph train nothing: there is nothing to save, to export or to plot"
        )
    if onnx:
        find_onnx()  # before the training, not after it
    for file in (save, plot, onnx):
        if file and (Path(file).is_dir() or not os.access(Path(file).parent, os.W_OK)):
            raise OSError(
                f"{file} cannot be written: it is a folder, or not in one in which you may write"
            )
    figure = empty_figure(plot) if plot else None
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
        say(dataset.synthetic)
    rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
    model = Model(dataset.x.shape[1], hidden, dataset.y.shape[1], rng, init)
    order = np.arange(rows)
    rng.shuffle(order)
    training, test = np.split(order, [int(rows * 0.8) // mb_size * mb_size])
    earlier: dict[str, Any] = {"epochs": 0, "init": init, "standardize": standardize}
    if load_from:
        test, earlier = model.load(
            load_from, rows, data=experiment.data, synthetic=bool(dataset.synthetic)
        )
        training = order[~np.isin(order, test)]
        if standardize and not earlier["standardize"]:
            raise ValueError(
                f"{load_from} was trained without --standardize, and can only go on without it"
            )
        if not (source or graph):
            inputs = "standardised" if earlier["standardize"] else "raw"
            say(f"loaded: {load_from} (epochs: {earlier['epochs']}, inputs: {inputs})")
    elif standardize:
        model.scaling = Scaling.of(dataset.x[training])
    x = model.scaling(dataset.x) if earlier["standardize"] else dataset.x
    if balance:
        training = balanced(dataset.y, training)
    step_count = len(training) // mb_size
    if not step_count:
        raise ValueError(f"a batch of {mb_size} is more than the {len(training)} training rows")
    run = Run(
        experiment,
        model,
        OPTIMIZERS[optimizer](model.parameters.values(), learning_rate),
        x,
        dataset.y,
        mb_size,
    )
    if source or graph:
        rng.shuffle(training)
        loss, names = explained_graph(
            experiment, model, x[training[:mb_size]], dataset.y[training[:mb_size]]
        )
        if source:
            say(write_backprop(loss, names), end="")
        if graph:
            loss.backward()
            say(f"drawn: {draw(loss, view, names).save(graph)}")
        return Trained(model.parameters, [], model, dataset, training, test, run.output(test))
    run_epoch = run.compiled(say) if compiled else run.eager
    history: list[Epoch] = []
    stopped = False
    start = time.perf_counter()
    bar = Bar(epoch_count, quiet, say)
    try:
        for epoch in range(1, epoch_count + 1):
            rng.shuffle(training)
            loss, accuracy = run_epoch(
                training[: step_count * mb_size].reshape(step_count, mb_size)
            )
            if check_loss and not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} in epoch {epoch}: try a smaller --learning-rate than {learning_rate:g}"
                    f"{'' if earlier['standardize'] else ', or --standardize'} (--keep-going trains on)"
                )
            history.append(Epoch(epoch, loss, accuracy, run.test_accuracy(test)))
            line = f"loss={loss:5.3f}, accuracy={accuracy:5.3f}/{history[-1].test_accuracy:5.3f}"
            bar.advance(line)
            if watch is not None:
                watch(history[-1])
            if report and epoch % report == 0:
                bar.print(f"Epoch {epoch}: {line}")
    except KeyboardInterrupt:
        stopped = True
        bar.print(f"stopped by Ctrl-C in epoch {len(history) + 1} of {epoch_count}")
    finally:
        bar.close()
    seconds = time.perf_counter() - start
    say(f"\nFinal Test: final accuracy = {run.test_accuracy(test):5.3f}")
    if metrics:
        say(*experiment.metrics(run.output(test), dataset.y[test], dataset.y_names), sep="\n")
    if save:
        model.save(
            save,
            test,
            data=experiment.data,
            synthetic=bool(dataset.synthetic),
            loss=experiment.loss.__name__,
            init=earlier["init"],
            standardize=earlier["standardize"],
            balance=balance,
            optimizer=optimizer,
            learning_rate=learning_rate,
            batch_size=mb_size,
            epochs=earlier["epochs"] + len(history),  # in all
            seed=None if isinstance(seed, np.random.RandomState) else seed,
        )
        say(f"saved: {save}")
    if onnx:
        model.export(onnx, experiment.model, experiment.prediction)
        say(f"exported: {onnx}")
    if figure is not None:
        draw_curves(figure, history)
        figure.savefig(plot, dpi=120)
        say(f"plotted: {plot}")
    if dataset.synthetic:
        say(dataset.synthetic)
    return Trained(
        model.parameters,
        history,
        model,
        dataset,
        training,
        test,
        run.output(test),
        seconds,
        stopped,
    )


class Run:
    """One training: who learns what from which rows."""

    def __init__(
        self,
        experiment: Experiment,
        model: Model,
        optimizer: Optimizer,
        x: np.ndarray,
        y: np.ndarray,
        mb_size: int,
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

    def compiled(self, say: Callable[..., None]) -> Callable[[np.ndarray], tuple[float, float]]:
        """The same in machine code."""
        x, y = Tensor(self.x[: self.mb_size], name="x"), Tensor(self.y[: self.mb_size], name="y")
        output = self.model(x, self.experiment.model)
        loss = self.experiment.loss(output, y)
        say("compiling ...", end=" ", file=sys.stderr, flush=True)
        epoch = compile_epoch(loss, batch=(x, y), optimizer=self.optimizer, outputs=[output])
        say(f"{epoch.compile_seconds:.1f} s ({epoch.backend})", file=sys.stderr)

        def run(batches: np.ndarray) -> tuple[float, float]:
            rows = batches.ravel()
            losses, (outputs,) = epoch(self.x, self.y, order=rows)
            # of equally many rows each, so that the mean over all rows is the mean over the batches
            return np.mean(losses), self.experiment.accuracy(
                outputs.reshape(len(rows), -1), self.y[rows]
            )

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

    def __init__(self, epochs: int, quiet: bool, say: Callable[..., None]):
        self.bar, self.print = None, say
        if not quiet and sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
            from tqdm import tqdm  # only for those who train at a terminal

            self.bar, self.print = (
                tqdm(total=epochs, unit=" epochs", leave=False, dynamic_ncols=True),
                tqdm.write,
            )

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


def batch_graph(
    experiment: Experiment, model: Model, x: np.ndarray, y: np.ndarray
) -> tuple[Tensor, Tensor]:
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
    with locals_of(experiment.loss) as names:
        loss = experiment.loss(output, Tensor(y, name="y"))
    return loss, {**names, "loss": loss}


def empty_figure(file: str) -> Any:
    """A figure for this file; an ImportError without matplotlib, a ValueError for a suffix that it does not know."""
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no global state
    except ImportError as error:
        raise ImportError('curves need matplotlib: pip install "tinygrad_steel[plot]"') from error
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    if Path(file).suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise ValueError(
            f"{file}: curves are drawn into a file such as curves.png, curves.svg or curves.pdf"
        )
    return figure


def draw_curves(figure: Any, history: list[Epoch]) -> None:
    """Loss and accuracy over the epochs."""
    left, right = figure.subplots(1, 2)
    marker = "." if len(history) < 20 else ""  # without one, a single epoch could not be seen
    for axes, name, color, style, label in [
        (left, "loss", "#0B6FB3", "-", "training"),
        (right, "accuracy", "#0B6FB3", "-", "training"),
        (right, "test_accuracy", "#9A5200", "--", "test"),
    ]:
        values = [getattr(epoch, name) for epoch in history]
        axes.plot(
            [epoch.epoch for epoch in history],
            values,
            marker=marker,
            color=color,
            ls=style,
            label=label,
        )
    left.set(title="loss")
    right.set(title="accuracy")
    right.legend()
    for axes in (left, right):
        axes.set(xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)


def widths(text: str) -> tuple[int, ...]:
    """`12,6,4` as numbers."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"widths are whole numbers with commas, as in 12,6,4, not {text!r}"
        ) from None


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Options that mean the same for one training and for many."""
    add = parser.add_argument
    add(
        "--epochs",
        type=int,
        default=10,
        metavar="N",
        help="times through the training rows (default 10)",
    )
    add("--batch-size", type=int, default=10, metavar="N", help="rows a step (default 10)")
    add(
        "--init",
        choices=["book", "he"],
        default="book",
        help="first weights: normal(0, 0.003) or (0, sqrt(2/inputs))",
    )
    add(
        "--standardize",
        action="store_true",
        help="inputs to mean 0 and deviation 1, by the training rows",
    )
    add(
        "--balance",
        action="store_true",
        help="repeat training rows of the rarer class until both are equal (pulsar)",
    )
    add("--optimizer", choices=[*OPTIMIZERS], default="sgd", help="default sgd; momentum is 0.9")
    add(
        "--data",
        help="a file, a folder, 'uci' or 'synthetic' (default: looked for, then downloaded)",
    )
    add("--compiled", action="store_true", help="run whole epochs in machine code")


def main(execute: Callable[..., Trained], description: str | None, **choices: list[str]) -> None:
    """Run an experiment from the command line; `choices` are options of its own, the first being the default."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add_training_options(parser)
    add(
        "--report",
        type=int,
        default=1,
        metavar="N",
        help="epochs from one line to the next, 0 for none (default 1)",
    )
    add(
        "--hidden",
        type=widths,
        default=(),
        metavar="12,6,4",
        help="widths of hidden layers, with relu (default none)",
    )
    add("--learning-rate", type=float, default=0.001, metavar="RATE", help="default 0.001")
    add(
        "--seed",
        type=int,
        default=1234,
        metavar="N",
        help="of weights and shuffling (default 1234)",
    )
    add(
        "--metrics",
        action="store_true",
        help="more figures of the test rows: F1 and the like, or a confusion matrix",
    )
    add(
        "--plot",
        metavar="FILE",
        help="draw curves of loss and accuracy (.png, .svg, .pdf; needs matplotlib)",
    )
    add("--save", metavar="FILE", help="keep the trained model (.npz)")
    add("--onnx", metavar="FILE", help="export the trained model (needs onnx)")
    add(
        "--load",
        metavar="FILE",
        dest="load_from",
        help="go on from a kept model: its weights, scaling and test rows",
    )
    add(
        "--quiet",
        action="store_true",
        help="no progress bar (without a terminal, there is none anyway)",
    )
    add(
        "--keep-going",
        action="store_false",
        dest="check_loss",
        help="train on when the loss is not finite",
    )
    add(
        "--source",
        action="store_true",
        help="print the backprop as NumPy source instead of training",
    )
    add(
        "--graph",
        metavar="FILE",
        help="draw the loss (.svg, .png, .pdf, .dot, .txt) instead of training",
    )
    add(
        "--view",
        choices=["forward", "backward", "both"],
        default="forward",
        help="of --graph (default forward)",
    )
    for name, options in choices.items():
        add(f"--{name}", choices=options, default=options[0], help=f"default {options[0]}")
    given = vars(parser.parse_args())
    counts = [given.pop(name) for name in ("epochs", "batch_size", "report")]
    # each epoch's line at once, through a pipe as well; "?" for what a console cannot show
    sys.stdout.reconfigure(line_buffering=True, errors="replace")
    try:
        trained = execute(*counts, **given)
    except (ValueError, OSError, ImportError, RendererNotFound, FloatingPointError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: stopped by Ctrl-C\n")
    if trained.stopped:
        sys.exit(130)  # as a shell has it, so that what depends on a whole training does not begin
