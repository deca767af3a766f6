"""The training loop that the experiments share: the book's protocol, its report, and the command line."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, load

from tinygrad_steel import SGD, RendererNotFound, Tensor, compile_epoch, draw, no_grad, write_backprop
from tinygrad_steel.trace import call_with_locals


class Epoch(NamedTuple):
    """One line of the report: means over the epoch's batches, then the accuracy on the test rows."""

    epoch: int
    loss: float
    accuracy: float
    test_accuracy: float


class Trained(NamedTuple):
    """What a run leaves behind: the trained Tensors by name, and the history of its epochs."""

    parameters: dict[str, Tensor]
    history: list[Epoch]


class Experiment(NamedTuple):
    """All that an experiment says for itself.

    `data`: the name of its data set. `model(x, **parameters)`: Tensors to the output. `loss(output, y)`: Tensors to one
    number. `accuracy(output, y)`: arrays to a float.
    """

    data: str
    model: Callable[..., Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    accuracy: Callable[[np.ndarray, np.ndarray], float]


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
    learning_rate: float = 0.001,
    seed: int | np.random.RandomState = 1234,
    data: str | None = None,
    compiled: bool = False,
    source: bool = False,
    graph: str | None = None,
    view: str = "forward",
) -> Trained:
    """Train as the book does, print a line every `report` epochs (0: none) and the final accuracy.

    `seed`: a number, or a generator that goes on from where an earlier run left it. `data`: a file, a folder, "uci" or
    "synthetic"; see `datasets.load`. `compiled`: run whole epochs in machine code, with the same results. Instead of
    training, `source` prints the first batch's backprop as NumPy source,
    and `graph` is a file (.svg, .png, ...) into which the loss of the first batch is drawn, in one of `draw`'s views.
    Raises ValueError for settings with which no step can be made.
    """
    dataset = load(experiment.data, data)
    rows = len(dataset.x)
    if epoch_count < 0 or report < 0 or mb_size < 1 or int(rows * 0.8) < mb_size:
        raise ValueError(
            f"epochs and report are at least 0, the batch size 1 to {int(rows * 0.8)} (0.8 of {rows} rows); "
            f"got epochs {epoch_count}, report {report}, batch size {mb_size}"
        )
    if dataset.synthetic and not (source or graph):
        print(dataset.synthetic)
    rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
    parameters = initial_parameters(dataset, rng)
    order = np.arange(rows)
    rng.shuffle(order)
    step_count = int(rows * 0.8) // mb_size
    training, test = order[: step_count * mb_size], order[step_count * mb_size :]
    if source or graph:
        rng.shuffle(training)
        loss, names = explained_graph(experiment, parameters, dataset, training[:mb_size])
        if source:
            print(write_backprop(loss, names), end="")
        if graph:
            loss.backward()
            print(f"drawn: {draw(loss, view, names).save(graph)}")
        return Trained(parameters, [])
    optimizer = SGD(parameters.values(), learning_rate)
    history = []
    run_epoch = eager_epoch
    if compiled:
        run_epoch = compiled_epoch(experiment, parameters, optimizer, dataset, mb_size)
    for epoch in range(1, epoch_count + 1):
        rng.shuffle(training)
        loss, accuracy = run_epoch(experiment, parameters, optimizer, dataset, training.reshape(step_count, mb_size))
        history.append(Epoch(epoch, loss, accuracy, evaluate(experiment, parameters, dataset, test)))
        if report and epoch % report == 0:
            print(f"Epoch {epoch}: loss={loss:5.3f}, accuracy={accuracy:5.3f}/{history[-1].test_accuracy:5.3f}")
    final = history[-1].test_accuracy if history else evaluate(experiment, parameters, dataset, test)
    print(f"\nFinal Test: final accuracy = {final:5.3f}")
    if dataset.synthetic:
        print(dataset.synthetic)
    return Trained(parameters, history)


def initial_parameters(dataset: Dataset, rng: np.random.RandomState) -> dict[str, Tensor]:
    """One linear layer: small normal weights (inputs, outputs), zero biases."""
    weight = rng.normal(0, 0.0030, (dataset.x.shape[1], dataset.y.shape[1]))
    return {
        "weight": Tensor(weight, requires_grad=True, name="weight"),
        "bias": Tensor(np.zeros(dataset.y.shape[1]), requires_grad=True, name="bias"),
    }


def batch_graph(
    experiment: Experiment, parameters: dict[str, Tensor], x: np.ndarray, y: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Output and loss of one batch, as a graph of named Tensors."""
    output = experiment.model(Tensor(x, name="x"), **parameters)
    output.name = "output"
    loss = experiment.loss(output, Tensor(y, name="y"))
    loss.name = "loss"
    return output, loss


def eager_epoch(
    experiment: Experiment, parameters: dict[str, Tensor], optimizer: SGD, dataset: Dataset, batches: np.ndarray
) -> tuple[float, float]:
    """Train on these batches; return the means of their losses and accuracies."""
    return np.mean([step(experiment, parameters, optimizer, dataset, batch) for batch in batches], axis=0)


def compiled_epoch(
    experiment: Experiment, parameters: dict[str, Tensor], optimizer: SGD, dataset: Dataset, mb_size: int
) -> Callable[..., tuple[float, float]]:
    """The same in machine code, for batches of that size."""
    x, y = Tensor(dataset.x[:mb_size], name="x"), Tensor(dataset.y[:mb_size], name="y")
    output = experiment.model(x, **parameters)
    epoch = compile_epoch(experiment.loss(output, y), batch=(x, y), optimizer=optimizer, outputs=[output])
    print(f"compiled in {epoch.compile_seconds:.1f} s ({epoch.backend})", file=sys.stderr)

    def run(experiment: Experiment, _: Any, __: Any, dataset: Dataset, batches: np.ndarray) -> tuple[float, float]:
        losses, (outputs,) = epoch(dataset.x, dataset.y, order=batches.ravel())
        # of equally many rows each, so that the mean over all rows is the mean over the batches
        accuracy = experiment.accuracy(outputs.reshape(-1, outputs.shape[-1]), dataset.y[batches.ravel()])
        return np.mean(losses), accuracy

    return run


def explained_graph(
    experiment: Experiment, parameters: dict[str, Tensor], dataset: Dataset, batch: np.ndarray
) -> tuple[Tensor, dict[str, Any]]:
    """The loss of one batch, and the names that its function gives to what it computes on the way."""
    output, y = experiment.model(Tensor(dataset.x[batch], name="x"), **parameters), Tensor(dataset.y[batch], name="y")
    loss, names = call_with_locals(experiment.loss, output, y)
    return loss, {**names, "loss": loss}


def step(
    experiment: Experiment, parameters: dict[str, Tensor], optimizer: SGD, dataset: Dataset, batch: np.ndarray
) -> tuple[float, float]:
    """Train on one batch; return its loss and accuracy."""
    output, loss = batch_graph(experiment, parameters, dataset.x[batch], dataset.y[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), experiment.accuracy(output.numpy(), dataset.y[batch])


def evaluate(experiment: Experiment, parameters: dict[str, Tensor], dataset: Dataset, rows: np.ndarray) -> float:
    """The accuracy on these rows."""
    with no_grad():
        output = experiment.model(Tensor(dataset.x[rows]), **parameters)
    return experiment.accuracy(output.numpy(), dataset.y[rows])


def main(execute: Callable[..., Trained], description: str | None, **choices: list[str]) -> None:
    """Run an experiment from the command line; `choices` are options of its own, the first being the default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=10, help="times through the training rows (default 10)")
    parser.add_argument("--batch-size", type=int, default=10, help="rows a step (default 10)")
    parser.add_argument("--report", type=int, default=1, help="epochs between two lines, 0 for none (default 1)")
    parser.add_argument("--learning-rate", type=float, default=0.001, help="default 0.001")
    parser.add_argument("--seed", type=int, default=1234, help="of weights and shuffling (default 1234)")
    parser.add_argument("--data", help="a file, a folder, 'uci' or 'synthetic' (default: looked for, then downloaded)")
    parser.add_argument("--compiled", action="store_true", help="run whole epochs in machine code")
    parser.add_argument("--source", action="store_true", help="print the backprop as NumPy source instead of training")
    parser.add_argument(
        "--graph", metavar="FILE", help="draw the loss (.svg, .png, .pdf, .dot, .txt) instead of training"
    )
    parser.add_argument("--view", choices=["forward", "backward", "both"], default="forward", help="of --graph")
    for name, options in choices.items():
        parser.add_argument(f"--{name}", choices=options, default=options[0], help=f"default {options[0]}")
    given = vars(parser.parse_args())
    counts = [given.pop(name) for name in ("epochs", "batch_size", "report")]
    try:
        execute(*counts, **given)
    except (ValueError, OSError, RendererNotFound) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
