"""What an experiment leaves behind, all around the training: kept models, ONNX, curves, source and graph."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whole_file import place_of, whole_file

from tinygrad_steel import Tensor, draw, write_backprop
from tinygrad_steel.export.onnx_file import find_onnx
from tinygrad_steel.program.definitions import locals_of

if TYPE_CHECKING:
    from checkpoint import Saver
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
    """OSError where no file can be written."""
    target, _ = place_of(file)
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:  # of a folder that only looks as if one could
        raise OSError(f"{file} cannot be written: {error.strerror}") from error


def watchers(settings: Settings) -> list[Callable[[Run], None]]:
    """What is told of a run before its first epoch and after each."""
    return [settings.watch] if settings.watch is not None else []


def finish(run: Run, saver: Saver) -> None:
    """Say what the training has come to, and write what was asked for."""
    settings, experiment, say = run.settings, run.experiment, run.settings.say
    if not run.stopped:  # else it is written
        saver.write()
    say(f"\nFinal Test: final accuracy = {run.test_accuracy:5.3f}")
    if settings.metrics:
        say_metrics(run)
    if settings.save is not None:
        say(f"saved: {settings.save}" if saver.saved else "not saved: no epoch was finished")
    if settings.onnx is not None:
        with whole_file(settings.onnx) as part:
            run.model.export(part, experiment.model, experiment.prediction)
        say(f"exported: {settings.onnx}")
    if settings.plot is not None:
        figure = empty_figure(settings.plot)
        draw_curves(figure, run.history)
        with whole_file(settings.plot) as part:
            figure.savefig(part, dpi=120)
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
