"""Arrays as text that a page draws: rows of numbers, a sample of large ones, and their statistics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...program.values import Value, alias, exact
from ..gradients import length
from ..words import printable

SHOWN = "biuf"  # kinds of dtypes whose elements are numbers to a page
INFINITE = {"inf": "1e999", "-inf": "-1e999"}  # as JavaScript reads them
LINES = 4  # a vector is sampled to so many times the columns that a matrix is


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much of an array is written: rows and columns at most, and the digits of a number."""

    rows: int = 40
    cols: int = 40
    digits: int = 5


# From the first to the last, until all arrays together are no longer than ROOM.
BUDGETS = (
    Budget(),
    Budget(32, 32, 4),
    Budget(24, 24, 4),
    Budget(20, 20, 3),
    Budget(16, 16, 3),
    Budget(12, 12, 3),
    Budget(10, 10, 3),
    Budget(8, 8, 3),
    Budget(5, 5, 3),
)
ROOM = 800_000  # characters
HEAD = 170  # characters of what stands beside the numbers of one array


def as_text(
    array: Any, most_rows: int = 40, most_cols: int = 40, digits: int = 5
) -> dict[str, Any]:
    """An array as rows of numbers in one text, and what is known of the whole of it.

    What has more than two axes becomes the rows of its last one. `of`, `ri` and `ci` say from how
    many rows and columns a sample was taken, and which ones. Statistics are of all finite numbers;
    `bad` counts the others. What is no number is said in `text` instead.

    >>> found = as_text(np.array([[0.125, -2.0], [np.inf, np.nan]]))
    >>> found["v"], found["bad"], found["min"], found["max"]
    ('.125 -2 1e999 nan', 2, -2.0, 0.125)
    """
    array = np.asarray(array)
    rows, cols = rows_and_columns(array.shape)
    found: dict[str, Any] = {
        "shape": [*array.shape],
        "dtype": printable(str(array.dtype)),
        "rows": rows,
        "cols": cols,
        "v": "",
    }
    if array.dtype.kind not in SHOWN:
        found["text"] = f"an array of {found['dtype']}, which is not shown"
        return found
    if array.dtype.itemsize > 8:
        with np.errstate(all="ignore"):
            array = array.astype(np.float64)  # what is beyond its range becomes inf
    shown = array.reshape(rows, cols)
    ri, ci = sampled(rows, most_rows), sampled(cols, most_cols * (LINES if rows == 1 else 1))
    if len(ri) < rows or len(ci) < cols:
        found |= {"of": [rows, cols], "rows": len(ri), "cols": len(ci), "ri": ri, "ci": ci}
        shown = shown[np.ix_(ri, ci)]
    found["v"] = " ".join(texts(shown, digits))
    return found | statistics(array)


def rows_and_columns(shape: tuple[int, ...]) -> tuple[int, int]:
    """An array as a table: a vector is one row, and of more axes the last one are the columns."""
    return (math.prod(shape[:-1]), shape[-1]) if shape else (1, 1)


def sampled(count: int, most: int) -> list[int]:
    """Places along an axis, evenly taken where it is too long."""
    if count <= most:
        return [*range(count)]
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def texts(array: np.ndarray, digits: int) -> Iterable[str]:
    """Each number as short as it can be said: `.14`, `2e-05`, `nan`."""
    if array.dtype.kind != "f":
        return (str(int(x)) for x in array.flat)
    return (short(f"{x:.{digits}g}") for x in array.ravel().tolist())


def short(text: str) -> str:
    """A number without what it can do without.

    >>> [*map(short, ("-0.5", "0", "-0", "1e+30", "2e-05", "-inf"))]
    ['-.5', '0', '0', '1e30', '2e-5', '-1e999']
    """
    if "e" in text:
        return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    if text in INFINITE:
        return INFINITE[text]
    if text.startswith(("0.", "-0.")):
        return text.replace("0.", ".", 1)
    return "0" if text == "-0" else text


def statistics(array: np.ndarray) -> dict[str, Any]:
    """The ends, the mean and the length of all finite numbers, and how many are not finite."""
    finite = np.isfinite(array)
    count = int(np.count_nonzero(finite))
    found: dict[str, Any] = {"bad": array.size - count} if count < array.size else {}
    if not count:
        return found
    numbers = (array if count == array.size else array[finite]).astype(np.float64)
    ends = float(np.min(numbers)), float(np.max(numbers))
    size = max(map(abs, ends)) or 1.0
    mean = float(np.mean(numbers / size)) * size  # a sum of 1e308s is beyond all floats
    named = zip(("min", "max", "mean", "norm"), (*ends, mean, length(numbers)))
    return found | {name: in_json(x) for name, x in named}


def in_json(x: float) -> float | str:
    """A number as JSON has it; what is not finite is text there.

    >>> in_json(1 / 3), in_json(math.inf), in_json(math.nan)
    (0.3333333, 'inf', 'nan')
    """
    return float(f"{x:.7g}") if math.isfinite(x) else str(float(x))


class Arrays:
    """The arrays of a page: each value once, whatever numbers it happens to have.

    Two values are one here only where one is another name for the other: in another step of
    training their numbers may differ. `values`: value -> index.
    """

    def __init__(self, numbers: Mapping[Value, np.ndarray]):
        self.numbers = numbers
        self.values: dict[Value, int] = {}
        self.every: list[np.ndarray] = []
        self.added: dict[Any, int] = {}
        self.budget = Budget()
        self.written: list[dict[str, Any]] = []

    def of(self, value: Value) -> int:
        """The index of a value's array."""
        first = value
        while first.op is alias:
            (first,) = first.values()
        if first not in self.values:
            self.values[first] = self.put(self.numbers[first])
        return self.values.setdefault(value, self.values[first])

    def add(self, array: Any) -> int:
        """The index of an array from elsewhere; the same numbers, added again, are one."""
        array = np.asarray(array)
        key = exact(array)
        if key not in self.added:
            self.added[key] = self.put(array)
            if self.written:
                self.written.append(self.text(array))
        return self.added[key]

    def put(self, array: np.ndarray) -> int:
        """A place for one more."""
        self.every.append(np.asarray(array))
        return len(self.every) - 1

    def text(self, array: np.ndarray) -> dict[str, Any]:
        """One array within the budget."""
        return as_text(array, self.budget.rows, self.budget.cols, self.budget.digits)

    def write(self) -> list[dict[str, Any]]:
        """All arrays as text, within a budget that leaves room for all of them."""
        self.budget = next((b for b in BUDGETS if self.characters(b) <= ROOM), BUDGETS[-1])
        self.written.extend(map(self.text, self.every))
        return self.written

    def characters(self, budget: Budget) -> int:
        """About how long all arrays are as text."""
        return sum(HEAD + characters(array, budget) for array in self.every)

    @property
    def note(self) -> str:
        """What was left out of arrays, if a smaller budget was needed; empty where none was."""
        if self.budget == BUDGETS[0]:
            return ""
        rows, cols, digits = dataclasses.astuple(self.budget)
        return (
            f"so that this page stays small, of larger arrays a sample of {rows} x {cols} numbers "
            f"is here, each with {digits} digits; statistics are of all numbers"
        )


def characters(array: np.ndarray, budget: Budget) -> int:
    """About how many characters the numbers of an array take."""
    if array.dtype.kind not in SHOWN:
        return 0
    rows, cols = rows_and_columns(array.shape)
    most = budget.cols * (LINES if rows == 1 else 1)
    each = budget.digits + 4 if array.dtype.kind == "f" else 3
    return min(rows, budget.rows) * min(cols, most) * each
