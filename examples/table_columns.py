"""What a table's columns are: which are numbers, categories or neither, and what kind of target is to be learned."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from model import memory
from table_file import Table, listed, shown
from table_numbers import Numbers, value_of
from table_recipe import Target, first, labels_of, refuse_sizes, refuse_texts

MOST_CATEGORIES = 50  # of one column; more are names, dates or texts
MOST_LABELS = 10  # whole numbers as classes, where nobody says so
COUNTERS = ("id", "index", "idx", "no", "no.", "nr", "nr.", "number", "row", "#", "번호")


# Which column is what


class Choices(NamedTuple):
    """What a person says about the columns; the rest is found out."""

    target: str
    task: str | None = None
    missing: str = "refuse"
    ignore: Sequence[str] = ()
    numbers: Sequence[str] = ()
    categories: Sequence[str] = ()

    def check(self, table: Table) -> None:
        """ValueError for a name that no column has, and for one that is named twice."""
        if not self.target:
            raise ValueError(
                f"--target says what is to be learned: {table.file} has {listed(table.names)}"
            )
        named = [self.target, *self.ignore, *self.numbers, *self.categories]
        for name in named:
            if name not in table.names:
                near = difflib.get_close_matches(name, table.names, 1, 0.5)
                meant = f", did you mean {shown(near[0])}?" if near else ""
                raise ValueError(
                    f"{table.file} has no column {shown(name)}{meant or f': it has {listed(table.names)}'}"
                )
            if named.count(name) > 1:
                raise ValueError(f"{shown(name)} is named twice: as target, to ignore or as a kind")


class Found(NamedTuple):
    """The columns of a table, each with what it is taken for."""

    numbers: list[str]
    categories: list[str]
    left_out: dict[str, str]  # and why


def find_columns(numbers: Numbers, choices: Choices) -> Found:
    """What each column is, but for the target; ValueError where that cannot be said."""
    found = Found([], [], {})
    for name in numbers.table.names:
        if name == choices.target:
            continue
        forced = name in choices.numbers or name in choices.categories
        if not forced and (why := why_left_out(numbers, name)):
            found.left_out[name] = why
        elif name in choices.categories or (
            not numbers.is_number(name) and name not in choices.numbers
        ):
            found.categories.append(name)
        else:
            refuse_texts(numbers, name)
            refuse_sizes(numbers, name)
            found.numbers.append(name)
    if not found.numbers and not found.categories:
        left = ", ".join(f"{shown(name)} ({why})" for name, why in [*found.left_out.items()][:5])
        raise ValueError(
            f"{numbers.table.file} has nothing to learn {shown(choices.target)} from"
            f"{f': {left}' if left else ': it has no other column'}"
        )
    return found


def why_left_out(numbers: Numbers, name: str) -> str:
    """Why nothing can be learned from a column, or nothing."""
    there = ~numbers.missing[name]
    different = {*numbers.texts[name][there].tolist()}
    if not different:
        return "empty"
    if numbers.is_number(name):
        values = numbers.values[name]
        low, high = values[there].min(), values[there].max()
        if low == high and there.all() and len(values) > 1:
            return f"always {shown(min(different))}"
        return "counts the rows" if is_counter(name, values) else ""
    refuse_mixture(numbers, name)
    if len(different) == 1 and there.all() and len(there) > 1:
        return f"always {shown(min(different))}"
    most = min(MOST_CATEGORIES, max(2, int(there.sum()) // 2))
    return f"{len(different)} different texts" if len(different) > most else ""


def is_counter(name: str, values: np.ndarray) -> bool:
    """Whether a column counts the rows, and is called so."""
    plain = name.lower().replace("_", " ").strip()
    called = plain in COUNTERS or plain.endswith(" id") or name.endswith(("Id", "ID"))
    called = called or plain.startswith("unnamed")  # as pandas writes its index
    return called and len(values) > 2 and bool(np.all(np.diff(values) == 1))


def refuse_mixture(numbers: Numbers, name: str) -> None:
    """ValueError for a column that has numbers for the most part, and some texts."""
    if 0.5 <= numbers.share(name) < 1:
        row, value = first(numbers, name, np.isnan(numbers.values[name]))
        raise ValueError(
            f"{numbers.table.file}, row {row}: {shown(name)} is {value!r}, and a number in most rows: "
            f"put it right, or say --marks {value!r} (missing), --categories {name!r} or --ignore {name!r}"
        )


# The target


def find_target(numbers: Numbers, choices: Choices) -> Target:
    """What is to be learned, where it is missing in no row; ValueError where nothing can be learned."""
    name, table = choices.target, numbers.table
    if choices.task != "classes":
        refuse_mixture(numbers, name)
    values = numbers.values[name]
    is_number = numbers.is_number(name)
    if choices.task == "regression" and not is_number:
        refuse_texts(numbers, name)
    if choices.task == "regression" or (choices.task is None and is_number and not few(values)):
        refuse_sizes(numbers, name)
        if values.min() == values.max():
            raise one_value(table, name, numbers.texts[name][0])
        return Target(name, "regression", [])
    labels = labels_of(numbers, name)
    different = sorted({*labels})
    if is_number:
        different.sort(key=lambda label: value_of(label, numbers.decimal))
    if len(different) == 1:
        raise one_value(table, name, different[0])
    most = min(MOST_CATEGORIES, max(2, len(labels) // 2))
    if choices.task is None and len(different) > most:
        raise ValueError(
            f"{table.file}: the target {shown(name)} has {len(different)} different texts in {len(labels)} rows, "
            f"such as {shown(different[0])}: too many for classes (--task classes says they are)"
        )
    if 8 * 5 * len(labels) * len(different) > memory():
        raise ValueError(
            f"{table.file}: {len(different)} classes of {shown(name)} need too much memory"
        )
    return Target(name, "classes", different)


def few(values: np.ndarray) -> bool:
    """Whether numbers are rather names of classes: two, or whole numbers in a row from 0 or 1."""
    different = np.unique(values)
    if len(different) <= 2:
        return True
    counted = np.arange(len(different)) + different[0]
    return bool(
        len(different) <= MOST_LABELS
        and different[0] in (0, 1)
        and np.array_equal(different, counted)
        and len(values) >= 2 * len(different)
    )


def one_value(table: Table, name: str, value: str) -> ValueError:
    """The error for a target from which nothing can be learned."""
    return ValueError(
        f"{table.file}: the target {shown(name)} is {shown(value)} in all rows: there is nothing to learn"
    )
