"""How a table becomes numbers for a network: found out once, kept with the model, and applied to other tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from model import memory
from table_file import listed, shown
from table_numbers import Numbers

LARGEST = 1e100  # beyond, squares overflow


@dataclass(frozen=True)
class Input:
    """A column that is learned from: numbers as they are, or a 0 or 1 for each category."""

    name: str
    categories: list[str] | None = None

    @property
    def outputs(self) -> list[str]:
        """The names of what is made of it."""
        if self.categories is None:
            return [self.name]
        return [f"{self.name}={category}" for category in self.categories]

    def encode(self, numbers: Numbers) -> np.ndarray:
        """What is made of it, a row for each of the table's; NaN where it is missing or not known."""
        if self.categories is None:
            return numbers.values[self.name][:, None]
        texts = numbers.texts[self.name].tolist()
        places = {category: i for i, category in enumerate(self.categories)}
        found = np.fromiter((places.get(text, -1) for text in texts), int, len(texts))
        one_hot = np.eye(len(places))[found]
        one_hot[(found < 0) | numbers.missing[self.name]] = np.nan
        return one_hot

    def unknown(self, numbers: Numbers) -> np.ndarray:
        """Which rows have a value, and none that this column can have."""
        if self.categories is None:
            found = np.isfinite(numbers.values[self.name])
        else:
            found = np.isin(numbers.texts[self.name], np.array(self.categories, "T"))
        return ~found & ~numbers.missing[self.name]


@dataclass(frozen=True)
class Target:
    """What is learned: numbers, scaled by the training rows, or one of some classes."""

    name: str
    task: str  # "regression" or "classes"
    labels: list[str]
    mean: float = 0.0
    std: float = 1.0

    def encode(self, numbers: Numbers) -> np.ndarray:
        """What the network learns, a row for each of the table's; NaN where it is missing or not known."""
        if self.task == "regression":
            return (numbers.values[self.name][:, None] - self.mean) / self.std
        found = self.classes(numbers)
        one_hot = np.eye(len(self.labels))[found]
        one_hot[found < 0] = np.nan
        return one_hot[:, 1:] if len(self.labels) == 2 else one_hot

    def classes(self, numbers: Numbers) -> np.ndarray:
        """The number of each row's class, -1 for none of them."""
        places = {label: i for i, label in enumerate(self.labels)}
        texts = labels_of(numbers, self.name, self.labels)
        return np.array([places.get(text, -1) for text in texts])


def labels_of(numbers: Numbers, name: str, known: Iterable[str] = ()) -> list[str]:
    """A column's texts as labels; where a number is written in several ways, as Python writes it."""
    texts = numbers.texts[name].tolist()
    there = ~numbers.missing[name]
    if not numbers.is_number(name):
        return texts
    values = numbers.values[name]
    different = {text for text, is_there in zip(texts, there) if is_there}
    if {*known} >= different or (not known and len(different) == len(np.unique(values[there]))):
        return texts
    return [f"{value:.17g}" for value in values.tolist()]


@dataclass(frozen=True)
class Recipe:
    """How a table becomes numbers for a network: what is kept with a model, and applied to new tables."""

    inputs: list[Input]
    target: Target
    means: list[float]  # of the training rows, for what is missing
    missing: str  # "refuse", "drop" or "mean"
    marks: list[str]  # what means missing
    decimal: str  # the sign that was found in the table
    rows: int  # of the table that it was made of

    @property
    def names(self) -> list[str]:
        """The names of the network's inputs."""
        return [name for column in self.inputs for name in column.outputs]

    def encode(self, numbers: Numbers) -> np.ndarray:
        """The network's inputs; NaN where something is missing or not known."""
        return encoded(self.inputs, numbers)

    def filled(self, x: np.ndarray) -> np.ndarray:
        """The means of the training rows where something is missing."""
        return np.where(np.isnan(x), self.means, x)

    def is_sound(self) -> bool:
        """Whether all is of the right kind, in a recipe from anywhere."""
        target = self.target
        is_class = target.task == "classes" and len({*text_list(target.labels)}) > 1
        is_number = target.task == "regression" and target.labels == []
        return (
            (is_class or is_number)
            and isinstance(target.name, str)
            and self.missing in ("refuse", "drop", "mean")
            and self.decimal in (".", ",")
            and type(self.rows) is int
            and self.rows > 0
            and 0 < len(self.names) == len(self.means)
            and bool(np.isfinite([*self.means, target.mean, target.std]).all())
            and target.std > 0
        )

    def as_settings(self) -> dict[str, Any]:
        """What a file can keep."""
        return dataclasses.asdict(self)

    @classmethod
    def of_settings(cls, kept: Any) -> Recipe:
        """A recipe out of a file; ValueError where it is none."""
        try:
            inputs = [Input(*input_of(column)) for column in kept["inputs"]]
            recipe = cls(**{**kept, "inputs": inputs, "target": Target(**kept["target"])})
            text_list(recipe.marks)
            if not recipe.is_sound():
                raise ValueError
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError("its table's columns are not described in it") from error
        return recipe


def input_of(kept: Any) -> tuple[str, list[str] | None]:
    """A column's name and categories out of a file; TypeError where they are none."""
    (name,), categories = text_list([kept["name"]]), kept["categories"]
    return name, categories if categories is None else text_list(categories)


def text_list(values: Any) -> list[str]:
    """A list of texts; TypeError for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError
    return values


def encoded(inputs: list[Input], numbers: Numbers) -> np.ndarray:
    """All that is made of these columns, side by side."""
    rows, width = len(numbers.table.rows), sum(len(column.outputs) for column in inputs)
    if 8 * rows * width * 5 > memory():
        raise ValueError(
            f"{numbers.table.file} has {rows} rows and {width} inputs: more than memory holds"
        )
    x, start = np.empty((rows, width)), 0
    for column in inputs:
        part = column.encode(numbers)
        x[:, start : start + part.shape[1]] = part
        start += part.shape[1]
    return x


# What a table must have


def check_inputs(recipe: Recipe, numbers: Numbers) -> None:
    """ValueError for a table without the columns that a model was trained with, or with texts for numbers."""
    table = numbers.table
    gone = [column.name for column in recipe.inputs if column.name not in numbers.texts]
    if gone:
        raise ValueError(
            f"{table.file} has not all columns of the model: there is no {listed(gone)}"
        )
    for column in recipe.inputs:
        if column.categories is None:
            refuse_texts(numbers, column.name)
            refuse_sizes(numbers, column.name)


def refuse_texts(numbers: Numbers, name: str) -> None:
    """ValueError for a column that should have numbers and has something else."""
    wrong = np.isnan(numbers.values[name]) & ~numbers.missing[name]
    if wrong.any():
        row, value = first(numbers, name, wrong)
        raise ValueError(f"{numbers.table.file}, row {row}: {shown(name)} is {value!r}, no number")


def refuse_sizes(numbers: Numbers, name: str) -> None:
    """ValueError for numbers that are not finite, or too large for sums of squares."""
    wrong = np.abs(numbers.values[name]) > LARGEST
    if wrong.any():
        row, value = first(numbers, name, wrong)
        finite = np.isfinite(numbers.values[name][wrong][0])
        raise ValueError(
            f"{numbers.table.file}, row {row}: {shown(name)} is {value!r}, "
            f"{'too large to be scaled' if finite else 'no finite number'}"
        )


def first(numbers: Numbers, name: str, where: np.ndarray) -> tuple[int, str]:
    """The first such row that has a value: its number in the file, and the value."""
    i = int(np.argmax(where & ~numbers.missing[name]))
    return int(numbers.table.rows[i]), shown(numbers.texts[name][i])
