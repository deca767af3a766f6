"""What a kept model says of the rows of another table: its target, for each row."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator

import numpy as np
from checkpoint import load_checkpoint, refuse_scaling
from model import Model, Scaling, check_size, parameter_shapes
from outputs import check_place
from table_file import FOUND_OUT, Form, Table, listed, read_table, shown
from table_numbers import Numbers
from table_prepare import counts_of, missing_in, recipe_in
from table_recipe import Recipe, check_inputs, first
from table_tasks import experiment_of, figure
from whole_file import whole_file

from tinygrad_steel import Tensor, no_grad

ADVICE = "--missing drop gives such rows no answer, --missing mean takes the training rows' means"
SHOWN = 20  # rows, where they are not written into a file


def predict(
    file: str,
    kept_in: str,
    out: str | None = None,
    missing: str | None = None,
    *,
    form: Form = FOUND_OUT,
    decimal: str | None = None,
    marks: tuple[str, ...] | None = None,
    say: Callable[..., None] = print,
) -> None:
    """Say, or write into `out`, what the model in `kept_in` takes the target for, row by row.

    `missing`: what to do with rows that lack a value, `marks`: what means that; by default as in training. The columns
    are found by their names. Raises ValueError and OSError, in one line, where that cannot be done.
    """
    recipe, model = load_model(kept_in)
    if out is not None:
        refuse_same_place(out, [file, kept_in])
    table = read_table(file, form)
    used = [column.name for column in recipe.inputs]
    further = [name for name in table.names if name not in used and name != recipe.target.name]
    columns = table.only([*used, recipe.target.name])
    numbers = Numbers(columns, decimal, marks or recipe.marks, recipe.decimal)
    check_inputs(recipe, numbers)
    say(f"{file}: {len(table.rows)} rows ({table.form}), by {kept_in}")
    if further:
        say(f"not used: {listed(further)}")
    known = rows_that_can(recipe, numbers, missing or recipe.missing, say)
    x = recipe.filled(recipe.encode(numbers))
    experiment = experiment_of(recipe.target)
    output = model.predict(x, experiment.model)
    with no_grad():
        answers = experiment.prediction(Tensor(output)).numpy()
    lines = [*lines_of(recipe, table, answers, known)]
    if out is None:
        for line in lines[: SHOWN + 1]:
            say(",".join(shown(field) for field in line))
        if len(lines) > SHOWN + 1:
            say(f"... {len(lines) - SHOWN - 1} more (--out FILE writes them all)")
    else:
        # a spreadsheet takes UTF-8 for what it is only with a mark before it
        ascii_only = all(str(field).isascii() for line in lines for field in line)
        encoding = "utf-8" if ascii_only else "utf-8-sig"
        with whole_file(out) as part, open(part, "w", encoding=encoding, newline="") as f:
            csv.writer(f).writerows(lines)
        say(f"written: {out}")
    say_accuracy(recipe, numbers, output, known, say)


def load_model(file: str) -> tuple[Recipe, Model]:
    """A kept model and what it knows of its table; ValueError where it is none."""
    arrays, settings = load_checkpoint(file)
    recipe = recipe_in(file, settings)
    widths, count = settings.get("widths"), len(recipe.target.labels)
    sound = isinstance(widths, list) and all(type(width) is int for width in widths)
    ends = [len(recipe.names), 1 if count in (0, 2) else count]
    if not sound or len(widths) < 2 or [widths[0], widths[-1]] != ends:
        raise ValueError(
            f"{file} is not a model saved by table.py: its widths {widths!r:.40} are not {ends[0]} to {ends[1]}"
        )
    check_size(widths)
    shapes = {f"parameter {name}": shape for name, shape in parameter_shapes(widths).items()}
    for name, shape in {**shapes, "mean": (ends[0],), "std": (ends[0],)}.items():
        if name not in arrays or (arrays[name].shape, arrays[name].dtype) != (shape, np.float64):
            raise ValueError(
                f"{file} is not a model saved by table.py: {name} is not of the shape {shape}"
            )
    refuse_scaling(file, arrays["std"])
    model = Model(widths[0], widths[1:-1], widths[-1], np.random.RandomState(0))
    for name, parameter in model.parameters.items():
        parameter.data = arrays[f"parameter {name}"]
    model.scaling = Scaling(arrays["mean"], arrays["std"])
    return recipe, model


def refuse_same_place(out: str, files: list[str]) -> None:
    """OSError where a file cannot be written, ValueError where it is one of those that are read."""
    check_place(out)
    if os.path.realpath(out) in map(os.path.realpath, files):
        raise ValueError(f"--out cannot be a file that is read: {out}")


def rows_that_can(
    recipe: Recipe, numbers: Numbers, missing: str, say: Callable[..., None]
) -> np.ndarray:
    """Which rows have an answer; ValueError where all must have one and some lack a value, or have one never seen."""
    used = [column.name for column in recipe.inputs]
    without = missing_in(numbers, used)
    unknown = {
        column.name: where for column in recipe.inputs if (where := column.unknown(numbers)).any()
    }
    if missing == "refuse" and without:
        counts = ", ".join([*counts_of(numbers, without)][:8])
        raise ValueError(f"{numbers.table.file}: values are missing: {counts}. {ADVICE}")
    for column in recipe.inputs:
        if column.name in unknown:
            where = unknown[column.name]
            row, value = first(numbers, column.name, where)
            what = f"{shown(column.name)} is {value!r}, which no training row has ({listed(column.categories)})"
            if missing == "refuse":
                raise ValueError(f"{numbers.table.file}, row {row}: {what}. {ADVICE}")
            say(f"row {row}: {what}")
    lacking = np.any([*without.values(), *unknown.values()], axis=0)
    if without or unknown:
        done = "means of the training rows taken" if missing == "mean" else "no answer"
        say(f"rows with missing or unknown values: {lacking.sum()} ({done})")
    known = np.ones(len(numbers.table.rows), bool)
    return known & ~lacking if missing == "drop" else known


def say_accuracy(
    recipe: Recipe,
    numbers: Numbers,
    output: np.ndarray,
    known: np.ndarray,
    say: Callable[..., None],
) -> None:
    """How good the answers are, where the table has the true ones as well."""
    target = recipe.target
    if target.name not in numbers.texts:
        return
    y = target.encode(numbers)
    told = known & np.isfinite(y).all(axis=1)
    if told.any():
        what = figure(experiment_of(target), target, output[told], y[told])
        say(f"{told.sum()} rows have {shown(target.name)} as well: {what}")


def lines_of(
    recipe: Recipe, table: Table, answers: np.ndarray, known: np.ndarray
) -> Iterator[list[str]]:
    """The CSV file's lines: the row's number, the answer, and how likely each class is; nothing where none is known."""
    target = recipe.target
    if target.task == "regression":
        yield ["row", f"predicted {target.name}"]
        for row, (answer,), is_known in zip(table.rows, answers, known):
            yield [str(row), f"{answer:.10g}" if is_known else ""]
        return
    if len(target.labels) == 2:
        answers = np.hstack([1 - answers, answers])
    yield ["row", f"predicted {target.name}", *(f"probability {label}" for label in target.labels)]
    for row, shares, is_known in zip(table.rows, answers, known):
        label = target.labels[int(np.argmax(shares))]
        fields = [label, *(f"{share:.4f}" for share in shares)]
        yield [str(row), *(fields if is_known else [""] * len(fields))]
