"""A table as a data set: rows for the test set apart, numbers made by the others, and all that was found is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from checkpoint import load_checkpoint, refuse_rows
from datasets import Dataset
from table_columns import Choices, Found, find_columns, find_target
from table_file import Table, listed, shown
from table_numbers import Numbers
from table_recipe import Input, Recipe, Target, check_inputs, encoded


class Prepared(NamedTuple):
    """A table as a data set, and what is to be said about it."""

    dataset: Dataset
    recipe: Recipe
    says: list[str]


def prepare_table(table: Table, numbers: Numbers, choices: Choices, seed: int) -> Prepared:
    """Find out what is in a table, set rows for the test apart, and make numbers of it by the others."""
    if numbers.missing[choices.target].all():
        raise ValueError(f"{table.file}: the target {shown(choices.target)} is empty in all rows")
    found = find_columns(numbers, choices)
    says = describe(numbers, found)
    names = [*found.numbers, *found.categories]
    kept, missing = rows_to_keep(numbers, names, choices)
    numbers = numbers.take(kept)
    target = find_target(numbers, choices)
    test = rows_for_the_test(target, numbers, seed)
    training = np.setdiff1d(np.arange(len(kept)), test)
    inputs = inputs_of(numbers, found, training)
    if target.task == "regression":
        target = scaled(target, numbers, training)
    x = encoded(inputs, numbers)
    means = [mean_of(column) for column in x[training].T]
    refuse_tiny(inputs, x[training], table.file)
    recipe = Recipe(
        inputs,
        target,
        means,
        missing=choices.missing,
        marks=numbers.marks.tolist(),
        decimal=numbers.decimal,
        rows=len(table.rows),
    )
    says += [*missing, describe_target(target, numbers, choices)]
    says += unknown_in(recipe, numbers.take(test))
    says.append(f"training rows: {len(training)}, test rows: {len(test)}")
    return Prepared(dataset_of(recipe, numbers, x, test), recipe, says)


def scaled(target: Target, numbers: Numbers, training: np.ndarray) -> Target:
    """A target with the mean and the standard deviation of the training rows."""
    values = numbers.values[target.name][training]
    mean, std = float(values.mean()), float(values.std())
    if values.min() == values.max() or std == 0:
        raise ValueError(
            f"{numbers.table.file}: the target {shown(target.name)} is the same, or nearly, "
            f"in all {len(training)} training rows"
        )
    return dataclasses.replace(target, mean=mean, std=std)


def refuse_tiny(inputs: list[Input], x: np.ndarray, file: str) -> None:
    """ValueError for numbers that differ, but by so little that their squares are 0."""
    names = [name for column in inputs for name in column.outputs]
    for name, column in zip(names, x.T):
        there = column[~np.isnan(column)]
        if len(there) and there.min() < there.max() and there.std() == 0:
            raise ValueError(
                f"{file}: the numbers in {shown(name)} differ by too little to be scaled"
            )


def mean_of(column: np.ndarray) -> float:
    """The mean of what is not missing; 0 of nothing."""
    there = column[~np.isnan(column)]
    return float(there.mean()) if len(there) else 0.0


def dataset_of(recipe: Recipe, numbers: Numbers, x: np.ndarray, test: np.ndarray) -> Dataset:
    """All rows that are trained and tested with; `test` says which are the latter."""
    y = recipe.target.encode(numbers)
    labels = recipe.target.labels if y.shape[1] > 1 else [recipe.target.name]
    return Dataset(
        recipe.target.name,
        recipe.filled(x),
        y,
        numbers.table.file,
        tuple(recipe.names),
        tuple(labels),
        test=test,
        recipe=recipe.as_settings(),
    )


def inputs_of(numbers: Numbers, found: Found, training: np.ndarray) -> list[Input]:
    """The columns that are learned from, with the categories of the training rows."""
    inputs = [Input(name) for name in found.numbers]
    for name in found.categories:
        there = training[~numbers.missing[name][training]]
        inputs.append(Input(name, sorted({*numbers.texts[name][there].tolist()})))
    return inputs


def prepare_again(table: Table, file: str) -> Prepared:
    """The table that a kept model was trained with, prepared as it was then."""
    arrays, settings = load_checkpoint(file)
    recipe = recipe_in(file, settings)
    name = recipe.target.name
    used = [name, *(column.name for column in recipe.inputs)]
    if name not in table.names or len(table.rows) != recipe.rows:
        raise ValueError(
            f"{file} was trained with {recipe.rows} rows that have a column {shown(name)}, and goes on with these "
            f"only: {table.file} has {len(table.rows)} rows, {listed(table.names)} (--predict is for other rows)"
        )
    numbers = Numbers(table.only(used), recipe.decimal, recipe.marks)
    check_inputs(recipe, numbers)
    choices = Choices(name, missing=recipe.missing)
    kept, says = rows_to_keep(numbers, used[1:], choices)
    refuse_rows(file, arrays.get("test"), len(kept), "test rows")
    numbers = numbers.take(kept)
    dataset = dataset_of(recipe, numbers, recipe.encode(numbers), arrays["test"])
    if np.isnan(dataset.y).any():
        raise ValueError(f"{table.file} has values of {shown(name)} that {file} does not know")
    return Prepared(dataset, recipe, says)


def recipe_in(file: str, settings: Mapping[str, object]) -> Recipe:
    """What a kept model says of its table; ValueError where it is no model of a table."""
    if "recipe" not in settings:
        raise ValueError(f"{file} is no model of a table")
    try:
        return Recipe.of_settings(settings["recipe"])
    except ValueError as error:
        raise ValueError(f"{file} is not a model saved by table.py: {error}") from error


def rows_to_keep(
    numbers: Numbers, names: list[str], choices: Choices
) -> tuple[np.ndarray, list[str]]:
    """Which rows are used, and what is said about missing values; ValueError where they are not allowed."""
    count = len(numbers.table.rows)
    without_target = numbers.missing[choices.target]
    missing = missing_in(numbers, [choices.target, *names])
    if not missing:
        return np.arange(count), []
    some = np.any([*missing.values()], axis=0)
    listed_counts = [*counts_of(numbers, missing)]
    counts = ", ".join(listed_counts[:8]) + (
        f" and {len(listed_counts) - 8} more columns" if len(listed_counts) > 8 else ""
    )
    if choices.missing == "refuse":
        raise ValueError(
            f"{numbers.table.file}: values are missing: {counts}. --missing drop leaves out these "
            f"{some.sum()} of {count} rows, --missing mean takes the training rows' means"
        )
    gone = some if choices.missing == "drop" else without_target
    if gone.all():
        raise ValueError(f"{numbers.table.file}: values are missing: {counts}: no row is left")
    kept = np.flatnonzero(~gone)
    left = f"rows left out: {gone.sum()}"
    means = ", means of the training rows taken" if choices.missing == "mean" else ""
    return kept, [f"missing: {counts}; {left}{means}"]


def rows_for_the_test(target: Target, numbers: Numbers, seed: int) -> np.ndarray:
    """A fifth of the rows, drawn by the seed; of classes, a fifth of each, and none that has one row only."""
    count = len(numbers.table.rows)
    order = np.random.RandomState(seed).permutation(count)
    if target.task == "classes":
        classes = target.classes(numbers)[order]
        alone = np.bincount(classes)[classes] == 1
        order, classes = order[~alone], classes[~alone]
        order = order[np.argsort(classes, kind="stable")]
    test = order[4::5]
    if not len(test):
        raise ValueError(
            f"{numbers.table.file}: {count} rows are too few to learn from some and to test with others"
        )
    return np.sort(test)


def missing_in(numbers: Numbers, names: Iterable[str]) -> Mapping[str, np.ndarray]:
    """Which rows have no value, for the columns where that happens."""
    return {name: numbers.missing[name] for name in names if numbers.missing[name].any()}


def counts_of(numbers: Numbers, missing: Mapping[str, np.ndarray]) -> Iterator[str]:
    """`Age 177 (row 7)` for each column: how many values are missing, and where first."""
    for name, where in missing.items():
        i = int(np.argmax(where))
        mark = shown(numbers.texts[name][i])
        yield f"{shown(name)} {where.sum()} ({f'{mark!r} in ' if mark else ''}row {numbers.table.rows[i]})"


# What is said


def describe(numbers: Numbers, found: Found) -> list[str]:
    """What was found in a table."""
    table = numbers.table
    lines = [f"{table.file}: {len(table.rows)} rows, {len(table.names)} columns ({table.form})"]
    if found.numbers:
        lines.append(f"numbers: {listed(found.numbers)}")
    if found.categories:
        each = [values_of(numbers, name) for name in found.categories[:8]]
        more = f" and {len(found.categories) - 8} more" if len(found.categories) > 8 else ""
        lines.append(f"categories: {', '.join(each)}{more}")
    if found.left_out:
        whys = [f"{shown(name)} ({why})" for name, why in found.left_out.items()]
        more = f" and {len(whys) - 8} more" if len(whys) > 8 else ""
        lines.append(f"left out: {', '.join(whys[:8])}{more}")
    return lines


def values_of(numbers: Numbers, name: str) -> str:
    """A column's name with its categories, or their number."""
    texts = sorted({*numbers.texts[name][~numbers.missing[name]].tolist()})
    return f"{shown(name)} ({listed(texts) if len(texts) <= 5 else f'{len(texts)} different'})"


def describe_target(target: Target, numbers: Numbers, choices: Choices) -> str:
    """What is learned, and how to have it otherwise."""
    name = shown(target.name)
    values = numbers.values[target.name]
    if target.task == "regression":
        how = f"{len(np.unique(values))} different numbers, {values.min():g} to {values.max():g}"
        other = "" if choices.task else " (--task classes says otherwise)"
        return f"target: {name}, {how}: regression{other}"
    counts = np.bincount(target.classes(numbers))
    each = [f"{shown(label)} ({count})" for label, count in zip(target.labels, counts)]
    more = f" and {len(each) - 8} more" if len(each) > 8 else ""
    can_be_numbers = numbers.is_number(target.name) and not choices.task
    other = "; --task regression for numbers" if can_be_numbers else ""
    return f"target: {name}, {len(each)} classes: {', '.join(each[:8])}{more}{other}"


def unknown_in(recipe: Recipe, test: Numbers) -> list[str]:
    """What is said about categories of test rows that no training row has."""
    lines = []
    for column in recipe.inputs:
        unknown = column.unknown(test)
        if unknown.any():
            texts = sorted({*test.texts[column.name][unknown].tolist()})
            lines.append(
                f"{shown(column.name)}: {listed(texts, 4)} in {unknown.sum()} test rows, in no training row: "
                f"taken as missing"
            )
    return lines
