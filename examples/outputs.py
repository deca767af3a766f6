"""What an experiment leaves behind, all around the training: kept models, ONNX, curves, page, source and graph."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from whole_file import place_of, whole_file

from tinygrad_steel import Record, Tensor, draw, explore, write_backprop
from tinygrad_steel.export.onnx_file import find_onnx
from tinygrad_steel.program.definitions import locals_of

if TYPE_CHECKING:
    from checkpoint import Saver
    from experiment import Epoch, Run
    from settings import Settings

PICTURES = (".svg", ".png", ".pdf", ".dot", ".txt")


def check(settings: Settings) -> None:
    """ValueError, OSError or ImportError, before the training, for what could not be written after it."""
    places = settings.places
    if settings.instead_of_training and {*places} - {"graph"}:
        raise ValueError(
            "source and graph train nothing: there is nothing to save, to export or to plot"
        )
    taken = {os.path.realpath(file): option for option, file in settings.sources.items()}
    for option, file in places.items():
        check_place(file)
        other = taken.setdefault(os.path.realpath(file), option)
        if other != option and (other, option) != ("load", "save"):
            raise ValueError(f"--{other} and --{option} cannot be the same file: {file}")
    if "graph" in places and Path(places["graph"]).suffix.lower() not in PICTURES:
        raise ValueError(
            f"{places['graph']}: the suffix says the format, one of {', '.join(PICTURES)}"
        )
    if "page" in places and Path(places["page"]).suffix.lower() != ".html":
        raise ValueError(f"{places['page']}: a page is a file such as page.html")
    if "onnx" in places:
        find_onnx()
    if "plot" in places:
        empty_figure(places["plot"])


def check_place(file: str) -> None:
    """OSError where no file can be written."""
    target, _ = place_of(file)
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:  # of a folder that only looks as if one could
        raise OSError(f"{file} cannot be written: {error.strerror}") from error


def watcher(run: Run) -> Callable[[Run], None]:
    """What is told of a run before its first epoch and after each: the place for what looks at a training."""
    settings = run.settings
    watching = [settings.watch] if settings.watch is not None else []
    if settings.page is not None:
        run.record = Record(*explained_loss(run, run.training[: settings.mb_size]))
        watching.append(keep_frame)

    def watch(run: Run) -> None:
        for look in watching:
            look(run)

    return watch


def keep_frame(run: Run) -> None:
    """A frame of the run's page."""
    assert run.record is not None
    run.record.keep(run.epochs)


def write_page(run: Run, record: Record) -> None:
    """The page of the first batch, as the run has seen it, and perhaps a browser that shows it."""
    file = run.settings.page
    page = explore(record.loss, record=record)
    with whole_file(file) as part:
        page.save(part)
    run.settings.say(f"page: {file}")
    if run.settings.open_page and not webbrowser.open(Path(file).absolute().as_uri()):
        run.settings.say(f"no browser was found: open {file} in one")


def finish(run: Run, saver: Saver) -> None:
    """Say what the training has come to, and write what was asked for."""
    settings, experiment, say = run.settings, run.experiment, run.settings.say
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
    if run.record is not None:
        write_page(run, run.record)
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
    loss, names = explained_loss(run, run.training[: settings.mb_size])
    if settings.source:
        settings.say(write_backprop(loss, names), end="")
    if settings.graph is not None:
        loss.backward()
        picture = draw(loss, settings.view, names)
        with whole_file(settings.graph) as part:
            picture.save(part)
        settings.say(f"drawn: {settings.graph}")


def explained_loss(run: Run, batch: np.ndarray) -> tuple[Tensor, dict[str, Any]]:
    """The loss of these rows in scopes, and the names that its function gives to what it computes on the way."""
    x, y = Tensor(run.x[batch], name="x"), Tensor(run.dataset.y[batch], name="y")
    output = run.model(x, run.experiment.model, explained=True)
    with locals_of(run.experiment.loss) as names:
        loss = run.experiment.loss(output, y)
    return loss, {**names, "loss": loss}


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
