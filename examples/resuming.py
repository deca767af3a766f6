"""A run in a file: what is kept of it, and how a later run goes on from there, as if never stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from checkpoint import (
    NOT_WHOLE,
    Arrays,
    Saver,
    load_checkpoint,
    not_ours,
    refuse_differences,
    refuse_rows,
    refuse_scaling,
    refuse_size,
    restore_training,
    training_state,
)
from model import Scaling
from settings import OPTIMIZERS

if TYPE_CHECKING:
    from checkpoint import Kind
    from experiment import Run

MOST_EPOCHS = 10**15  # more are nobody's
FIXED = ("init", "standardize", "balance")  # settings that stay what they are in the file
SOUND: dict[str, Callable[[Any], bool]] = {  # settings without which no run goes on
    "init": lambda x: x in ("book", "he"),
    "optimizer": lambda x: x in [*OPTIMIZERS],
    "standardize": lambda x: isinstance(x, bool),
    "balance": lambda x: isinstance(x, bool),
    "epochs": lambda x: type(x) is int and 0 <= x < MOST_EPOCHS,
}


def saver(run: Run) -> Saver:
    """What keeps this run's state after each epoch, and writes it where that is wanted."""
    settings = run.settings
    return Saver(
        settings.save, settings.save_every, lambda: state_of(run), lambda kept: put_back(run, kept)
    )


def state_of(run: Run) -> tuple[Arrays, dict[str, Any]]:
    """All on which the coming epochs depend, in copies, and the settings of the run."""
    state = training_state(run.parameters, run.optimizer, run.rng, run.training)
    scaling = {"mean": run.model.scaling.mean, "std": run.model.scaling.std}
    arrays = {**state, **scaling, "test": run.test, "epochs": np.array(run.epochs)}
    settings = run.settings
    kept = {
        **must_agree(run),
        **{name: getattr(settings, name) for name in FIXED},
        "optimizer": settings.optimizer,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.mb_size,
        "seed": None if isinstance(settings.seed, np.random.RandomState) else settings.seed,
        "epochs": run.epochs,
    }
    return arrays, kept


def must_agree(run: Run) -> dict[str, Any]:
    """The settings that a run and a file from which it goes on have in common."""
    return {
        "data": run.experiment.data,
        "synthetic": bool(run.dataset.synthetic),
        "labels": [*run.dataset.y_names],
        "loss": run.experiment.loss.__name__,
        "widths": run.model.widths,
        **({"recipe": run.dataset.recipe} if run.dataset.recipe else {}),
    }


def put_back(run: Run, arrays: Arrays) -> None:
    """Go back to the end of the last epoch whose state was taken."""
    restore_training(arrays, run.parameters, run.optimizer, run.rng, run.training)
    del run.history[int(arrays["epochs"]) - run.epochs_before :]


def go_on(run: Run, file: str) -> None:
    """Take over what a file has: parameters, scaling, rows, the states of optimizer and generator.

    Its test rows stay what they are, as others have been trained with. Another optimizer than that
    of the file begins anew.
    """
    settings = run.settings
    arrays, kept = load_checkpoint(file, lambda kept, kinds: check(run, file, kept, kinds))
    for name in ("test", "training"):
        refuse_rows(file, arrays[name], len(run.dataset.x), f"{name} rows")
    if np.isin(arrays["training"], arrays["test"]).any():
        raise not_ours(file, "it was trained with test rows")
    refuse_scaling(file, arrays["std"])
    run.model.scaling = Scaling(arrays["mean"], arrays["std"])
    run.test, run.training = arrays["test"], arrays["training"].copy()
    run.epochs_before = kept["epochs"]
    run.settings = dataclasses.replace(settings, **{name: kept[name] for name in FIXED})
    same = kept["optimizer"] == settings.optimizer
    if not same:
        arrays = {name: x for name, x in arrays.items() if not name.startswith("optimizer ")}
        arrays |= {f"optimizer {name}": x for name, x in run.optimizer.state().items()}
    restore_training(arrays, run.parameters, run.optimizer, run.rng, run.training, file)
    if not settings.instead_of_training:
        inputs = "standardised" if kept["standardize"] else "raw"
        anew = "" if same else f", {settings.optimizer} begins anew after {kept['optimizer']}"
        other = "".join(differences(run, kept))
        settings.say(f"loaded: {file} (epochs: {kept['epochs']}, inputs: {inputs}{anew}{other})")


def differences(run: Run, kept: dict[str, Any]) -> Iterator[str]:
    """What is not as in the file, where that is allowed: a run that was never stopped would be another one."""
    for name, own in [
        ("learning_rate", run.settings.learning_rate),
        ("batch_size", run.settings.mb_size),
    ]:
        if kept.get(name) != own:
            yield f", {name.replace('_', ' ')} {own} after {kept.get(name)!r:.40}"


def check(run: Run, file: str, kept: dict[str, Any], kinds: dict[str, Kind]) -> None:
    """ValueError where a file is not of such a run; before its arrays are read."""
    for name in ("test", "training"):
        if name not in kinds:
            raise not_ours(file, f"it has no {name} rows", NOT_WHOLE)
    if not all(is_sound(kept.get(name)) for name, is_sound in SOUND.items()):
        raise not_ours(file, "its settings are none of theirs", NOT_WHOLE)
    own, _ = state_of(run)
    wanted = {name: own[name] for name in own if name.startswith(("parameter ", "mean", "std"))}
    refuse_differences(file, kept, kinds, must_agree(run), wanted)
    for name, kind in kinds.items():
        if name.startswith("parameter ") and name not in wanted:
            raise ValueError(f"{file} has {name}: {kind}, this model none")
    refuse_size(file, kinds, own)
    for name in ("standardize", "balance"):
        if getattr(run.settings, name) and not kept[name]:
            raise ValueError(f"{file} was trained without --{name}, and can only go on without it")
