"""What the chapters share: the training loop, its report, and the command line."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from images import figure_for

from tinygrad_steel import (
    Optimizer,
    RendererNotFound,
    Tensor,
    compile_epoch,
    draw,
    no_grad,
    write_backprop,
)
from tinygrad_steel.program.definitions import locals_of


class Settings(NamedTuple):
    """The options of the command line; `main` says what each means."""

    epochs: int = 1
    seed: int = 1234
    eager: bool = False
    quick: bool = False
    source: bool = False
    graph: str | None = None
    view: str = "forward"
    only: str | None = None
    data: str | None = None
    samples: str | None = None


class Data(NamedTuple):
    """Rows to learn from, and rows to be tested with."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


class Trained(NamedTuple):
    """What a training leaves behind: loss, accuracy and test accuracy of each epoch; the output for the test rows."""

    history: list[tuple[float, float, float]]
    output: np.ndarray | None


def train(
    settings: Settings,
    rng: np.random.Generator,
    data: Data,
    model: Callable[[Tensor], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    accuracy: Callable[[np.ndarray, np.ndarray], float],
    optimizer: Optimizer,
    batch_size: int = 32,
    predict: Callable[[Tensor], Tensor] | None = None,
    running: Any = None,
    backend: str = "auto",
    quick_batches: int = 10,
) -> Trained:
    """Train on mini-batches in random order, and print a line for each epoch.

    `model(x)` makes the output of a batch, `loss(output, y)` one number of it: expressions, both. `accuracy(output, y)`
    is a figure for people, of arrays. `predict` takes the model's place for the test rows, where it differs there. What
    is random in a model draws from this `rng`, too. `running.update(arrays)` is told what the Tensors in `running.seen`
    were in each step, as chapter 8 needs it. `backend` is that of `compile_epoch`; "numpy" for long recurrences, which
    take ten seconds and more to become machine code. A first look (`--quick`) takes `quick_batches` of each epoch.
    """
    if settings.source or settings.graph:
        explain(settings, model, loss, data.x[:batch_size], data.y[:batch_size])
        return Trained([], None)
    if len(data.x) < batch_size:
        raise ValueError(
            f"a batch of {batch_size} rows is more than the {len(data.x)} to learn from"
        )
    epochs = min(settings.epochs, 2) if settings.quick else settings.epochs
    batches = min(len(data.x) // batch_size, quick_batches if settings.quick else len(data.x))
    compiled = functools.partial(compiled_epoch, backend)
    make_epoch = eager_epoch if settings.eager else compiled
    run_epoch = make_epoch(rng, data, model, loss, optimizer, batch_size, running)
    history = []
    for epoch in range(1, epochs + 1):
        rows = rng.permutation(len(data.x))[: batches * batch_size]
        losses, outputs = run_epoch(rows)
        with no_grad():
            output = (predict or model)(Tensor(data.test_x)).numpy()
        mean = np.mean(losses)
        train_accuracy = accuracy(outputs, data.y[rows])
        test_accuracy = accuracy(output, data.test_y)
        history.append((mean, train_accuracy, test_accuracy))
        print(
            f"Epoch {epoch}: loss={mean:5.3f}, accuracy={train_accuracy:5.3f}/{test_accuracy:5.3f}"
        )
    print(f"\nFinal Test: final accuracy = {test_accuracy:5.3f}")
    return Trained(history, output)


def eager_epoch(rng, data, model, loss, optimizer, batch_size, running):
    """A function that trains on these rows, step by step: it returns the losses and the outputs."""

    def run(rows):
        losses, outputs = [], []
        for batch in rows.reshape(-1, batch_size):
            output = model(Tensor(data.x[batch]))
            value = loss(output, Tensor(data.y[batch]))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.item())
            outputs.append(output.numpy())
            if running:
                running.update([t.numpy() for t in running.seen.values()])
        return losses, np.concatenate(outputs)

    return run


def compiled_epoch(backend, rng, data, model, loss, optimizer, batch_size, running):
    """The same, compiled: the loss of one batch is traced, and its steps run without Python."""
    before = rng.bit_generator.state
    x = Tensor(data.x[:batch_size], name="x")
    y = Tensor(data.y[:batch_size], name="y")
    output = model(x)
    value = loss(output, y)
    rng.bit_generator.state = before  # what was drawn to trace the loss is drawn again
    seen = [*running.seen.values()] if running else []
    print("compiling ...", end=" ", file=sys.stderr, flush=True)
    outputs = [output, *seen]
    epoch = compile_epoch(
        value, batch=(x, y), optimizer=optimizer, outputs=outputs, backend=backend
    )
    print(f"{epoch.compile_seconds:.1f} s ({epoch.backend})", file=sys.stderr)

    def run(rows):
        losses, (outputs, *seen) = epoch(data.x, data.y, order=rows)
        for arrays in zip(*seen):
            running.update(arrays)
        return losses, np.concatenate(outputs)

    return run


def each(settings, names, learn):
    """What `learn(name, settings)` gives for each of a chapter's variants, or for the one that was asked for.

    Instead of all, the last one is drawn, and written.
    """
    names = [*names]
    if settings.only or settings.source or settings.graph:
        names = [settings.only or names[-1]]
    found = {}
    for name in names:
        if len(names) > 1:
            print(f"\n{name}")
        found[name] = learn(name, settings)
    return found


def explain(settings, model, loss, x, y):
    """Instead of training: the backprop of a batch's loss as source, or its graph as a picture."""
    output = model(Tensor(x, name="x"))
    with locals_of(getattr(loss, "func", loss)) as names:  # or of what a partial calls
        value = loss(output, Tensor(y, name="y"))
    names |= {"output": output, "loss": value}
    if settings.source:
        print(write_backprop(value, names), end="")
    if settings.graph:
        value.backward()
        picture = draw(value, settings.view, names, fold=True)
        print(f"drawn: {picture.save(settings.graph)}")


def main(
    run: Callable[[Settings], Any],
    description: str | None,
    epochs: int,
    only: Iterable[str] = (),
    data: str | None = None,
    samples: str | None = None,
) -> None:
    """Run a chapter from the command line.

    `only` are the names of its variants, `data` and `samples` the help of options that not every chapter has.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--epochs", type=int, default=epochs, metavar="N", help=f"default {epochs}")
    add("--seed", type=int, default=1234, metavar="N", help="of all that is random (default 1234)")
    add("--eager", action="store_true", help="step by step, not compiled")
    add("--quick", action="store_true", help="a first look: two epochs of ten steps at most")
    add("--source", action="store_true", help="print the backprop instead of training")
    add("--graph", metavar="FILE", help="draw the loss (.svg, .png, .txt) instead of training")
    add("--view", choices=["forward", "backward", "both"], default="forward", help="of --graph")
    if only:
        add("--only", choices=[*only], help="one of the variants, instead of all in turn")
    if data:
        add("--data", metavar="FOLDER", help=data)
    if samples:
        add("--samples", metavar="FILE", help=samples)
    settings = Settings(**vars(parser.parse_args()))
    if settings.epochs < 1:
        parser.error("--epochs is at least 1")
    if settings.seed < 0:
        parser.error("--seed is at least 0")
    if settings.view != "forward" and not settings.graph:
        parser.error("--view is one of the picture: --graph FILE says where it is drawn")
    sys.stdout.reconfigure(line_buffering=True)  # each epoch's line at once, through a pipe as well
    try:
        if settings.samples is not None:
            figure_for(settings.samples)  # what is wrong with it is said before the training
        run(settings)
    except (ValueError, OSError, ImportError, RendererNotFound) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: stopped by Ctrl-C\n")
