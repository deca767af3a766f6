"""What an experiment leaves behind, all around the training: kept models, ONNX, curves, source and graph."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_steel import Tensor, draw, write_backprop
from tinygrad_steel.export.onnx_file import find_onnx
from tinygrad_steel.program.definitions import locals_of

if TYPE_CHECKING:
    from experiment import Epoch, Run
    from settings import Settings


def check(settings: Settings) -> None:
    """ValueError, OSError or ImportError, before the training, for what could not be written after it."""
    places = settings.places
    if settings.instead_of_training and {*places} - {"graph"}:
        raise ValueError(
            "source and graph train nothing: there is nothing to save, to export or to plot"
        )
    taken: dict[str, str] = {}
    for option, file in places.items():
        check_place(option, file)
        other = taken.setdefault(os.path.realpath(file), option)
        if other != option:
            raise ValueError(f"--{other} and --{option} cannot both be written into {file}")
    if "onnx" in places:
        find_onnx()
    if "plot" in places:
        empty_figure(places["plot"])


def check_place(option: str, file: str) -> None:
    """ValueError or OSError where no file can be written."""
    path = Path(file)
    if not file:
        raise ValueError(f"--{option} needs the name of a file")
    if path.exists() and not path.is_file():
        raise OSError(f"{file} cannot be written: it is no file, but a folder or a device")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(f"{file} cannot be written: {path.parent}: {error.strerror}") from error
    if path.exists() and not os.access(path, os.W_OK):
        raise OSError(f"{file} cannot be written: no permission")


def watchers(settings: Settings) -> list[Callable[[Run], None]]:
    """What is told of a run before its first epoch and after each."""
    return [settings.watch] if settings.watch is not None else []


def finish(run: Run) -> None:
    """Say what the training has come to, and write what was asked for."""
    settings, experiment, say = run.settings, run.experiment, run.settings.say
    say(f"\nFinal Test: final accuracy = {run.test_accuracy:5.3f}")
    if settings.metrics:
        say_metrics(run)
    if settings.save is not None:
        keep(run, settings.save)
        say(f"saved: {settings.save}")
    if settings.onnx is not None:
        run.model.export(settings.onnx, experiment.model, experiment.prediction)
        say(f"exported: {settings.onnx}")
    if settings.plot is not None:
        figure = empty_figure(settings.plot)
        draw_curves(figure, run.history)
        figure.savefig(settings.plot, dpi=120)
        say(f"plotted: {settings.plot}")
    if run.dataset.synthetic:
        say(run.dataset.synthetic)


def say_metrics(run: Run) -> None:
    """More figures of the test rows."""
    say, table = run.settings.say, run.experiment.table
    if figures := run.figures():
        say(as_text(figures))
    if table is not None:
        say(*table(run.output, run.dataset.y[run.test], run.dataset.y_names), sep="\n")


def as_text(figures: Mapping[str, float]) -> str:
    """Figures as one line."""
    return ", ".join(f"{name} = {value:5.3f}" for name, value in figures.items())


# Kept models


def keep(run: Run, file: str) -> None:
    """Write the model and what it was trained by into a file."""
    run.model.save(
        file,
        run.test,
        data=run.experiment.data,
        synthetic=bool(run.dataset.synthetic),
        loss=run.experiment.loss.__name__,
        epochs=run.epochs_before + len(run.history),  # in all
        **run.settings.to_keep(),
    )


def go_on(run: Run) -> None:
    """Take over the model in a file, with its scaling and its test rows.

    With other test rows, a model would be tested on what it was trained with.
    """
    file, rows = run.settings.load_from, len(run.dataset.x)
    synthetic, order = bool(run.dataset.synthetic), np.concatenate([run.training, run.test])
    run.test, kept = run.model.load(file, rows, data=run.experiment.data, synthetic=synthetic)
    if run.settings.standardize and not kept["standardize"]:
        raise ValueError(f"{file} was trained without --standardize, and can only go on without it")
    run.training = order[~np.isin(order, run.test)]
    run.epochs_before = kept["epochs"]
    earlier = {name: kept[name] for name in ("init", "standardize")}
    run.settings = dataclasses.replace(run.settings, **earlier)
    if not run.settings.instead_of_training:
        inputs = "standardised" if kept["standardize"] else "raw"
        run.settings.say(f"loaded: {file} (epochs: {kept['epochs']}, inputs: {inputs})")


# Instead of training


def show(run: Run) -> None:
    """Print the first batch's backprop, and draw its loss."""
    settings = run.settings
    run.rng.shuffle(run.training)
    batch = run.training[: settings.mb_size]
    x, y = Tensor(run.x[batch], name="x"), Tensor(run.dataset.y[batch], name="y")
    output = run.model(x, run.experiment.model, explained=True)
    with locals_of(run.experiment.loss) as names:
        loss = run.experiment.loss(output, y)
    names = {**names, "loss": loss}
    if settings.source:
        settings.say(write_backprop(loss, names), end="")
    if settings.graph is not None:
        loss.backward()
        settings.say(f"drawn: {draw(loss, settings.view, names).save(settings.graph)}")


# Curves


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
    epochs = [epoch.epoch for epoch in history]
    marker = "." if len(history) < 20 else ""  # without one, a single epoch could not be seen
    for axes, name, color, style, label in [
        (left, "loss", "#0B6FB3", "-", "training"),
        (right, "accuracy", "#0B6FB3", "-", "training"),
        (right, "test_accuracy", "#9A5200", "--", "test"),
    ]:
        values = [getattr(epoch, name) for epoch in history]
        axes.plot(epochs, values, marker=marker, color=color, ls=style, label=label)
    left.set(title="loss")
    right.set(title="accuracy")
    right.legend()
    for axes in (left, right):
        axes.set(xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
