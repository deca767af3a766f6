"""Numbers as people write them: decimal points or commas, thousands apart; never a guess where both may be meant."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterable

import numpy as np
from datasets import number
from table_file import TEXT, Table, shown

# What stands for a missing value besides an empty field; capitals do not count.
MISSING = ("na", "n/a", "#n/a", "nan", "null", "none", "?", "-")

# Thousands are set apart by the other sign, by a space of any width, or by an apostrophe
SPACES = "'\u2019 \u00a0\u2009\u202f"
WRITTEN = {
    decimal: re.compile(
        rf"[+-]?(?:\d+|[1-9]\d{{0,2}}(?:([{other}{SPACES}])\d{{3}})(?:\1\d{{3}})*)?"
        rf"(?:\{decimal}\d*)?(?:[eE][+-]?\d+)?",
        re.ASCII,
    )
    for decimal, other in [(".", ","), (",", ".")]
}
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+", re.ASCII)


class Numbers:
    """The columns of a table as numbers: `values`, NaN for what is none, and `missing`, where nothing stands.

    `decimal`: "." or ",", or None to find it out; `usual` is that of the table to which this one should be alike.
    Raises ValueError where the table does not say which of both it has.
    """

    def __init__(
        self,
        table: Table,
        decimal: str | None = None,
        marks: Iterable[str] = MISSING,
        usual: str = ".",
    ):
        self.table = table
        self.marks = np.array(["", *(mark.strip().lower() for mark in marks)], TEXT)
        self.texts = dict(zip(table.names, table.columns))
        self.missing = {
            name: np.isin(np.strings.lower(column), self.marks)
            for name, column in self.texts.items()
        }
        self.decimal = decimal or self.find_decimal(usual)
        self.values = {name: self.read(name, self.decimal) for name in self.texts}

    def take(self, rows: np.ndarray) -> Numbers:
        """Some of the rows."""
        some = copy.copy(self)
        some.table = self.table.take(rows)
        some.texts = dict(zip(some.table.names, some.table.columns))
        some.missing = {name: where[rows] for name, where in self.missing.items()}
        some.values = {name: x[rows] for name, x in self.values.items()}
        return some

    def is_number(self, name: str) -> bool:
        """Whether all that is not missing are numbers, and something is."""
        return self.share(name) == 1

    def share(self, name: str) -> float:
        """How many of the values that are not missing are numbers: 0 to 1."""
        there = ~self.missing[name]
        return float(np.mean(~np.isnan(self.values[name][there]))) if there.any() else 0.0

    def read(self, name: str, decimal: str) -> np.ndarray:
        """A column's numbers if the decimal sign is this one."""
        texts = self.texts[name].tolist()
        written = "".join(texts)
        if decimal == "." and written.isascii() and "_" not in written:
            with contextlib.suppress(ValueError):  # some text is none that Python reads
                found = np.fromiter(map(float, texts), float, len(texts))
                return np.where(self.missing[name], np.nan, found)
        known = {text: value_of(text, decimal) for text in {*texts}}
        found = np.fromiter((known[text] for text in texts), float, len(texts))
        return np.where(self.missing[name], np.nan, found)

    def find_decimal(self, usual: str) -> str:
        """The sign by which all columns of numbers can be read."""
        with_commas = [name for name in self.texts if self.may_be_numbers_with_commas(name)]
        if not with_commas and usual == ".":
            return "."
        fits = {
            decimal: [name for name in with_commas if self.fits(name, decimal)]
            for decimal in WRITTEN
        }
        only = {
            ".": [name for name in fits["."] if name not in fits[","]],
            ",": [name for name in fits[","] if name not in fits["."]],
        }
        points = {name: kind for name in self.texts if (kind := self.points_in(name))}
        only["."] += [name for name, kind in points.items() if kind == "decimal"]
        if only["."] and only[","]:
            raise ValueError(
                f"{self.table.file}: the decimal sign is a comma in {shown(only[','][0])} and a point in "
                f"{shown(only['.'][0])}: say --decimal , or --decimal . (what cannot be read so are texts)"
            )
        either = with_commas or [name for name in points if usual == ","]
        if either and not only["."] and not only[","]:
            raise self.may_be_both(either[0])
        return "," if only[","] else "."

    def may_be_both(self, name: str) -> ValueError:
        """The error for a column that can be read in two ways."""
        text = next(text for text in self.texts[name].tolist() if "," in text or "." in text)
        return ValueError(
            f"{self.table.file}: {shown(text)} in {shown(name)} may be {value_of(text, '.'):.10g} or "
            f"{value_of(text, ','):.10g}: say --decimal . or --decimal ,"
        )

    def may_be_numbers_with_commas(self, name: str) -> bool:
        """Whether a column has commas, and can be read as numbers in one way or both."""
        has_commas = np.any(np.strings.find(self.texts[name], ",") >= 0)
        return bool(has_commas) and any(self.fits(name, decimal) for decimal in WRITTEN)

    def fits(self, name: str, decimal: str) -> bool:
        """Whether all that is not missing are numbers with this sign."""
        return not np.isnan(self.read(name, decimal)[~self.missing[name]]).any()

    def points_in(self, name: str) -> str:
        """What points are in a column of numbers: "decimal", or "either" where they may set thousands apart."""
        points = [text for text in self.texts[name].tolist() if "." in text]
        if not points or not self.fits(name, "."):
            return ""
        return "either" if all(GROUPED.fullmatch(text) for text in points) else "decimal"


def value_of(text: str, decimal: str) -> float:
    """A number in this spelling, or NaN."""
    plain = number(text) if decimal == "." or "." not in text else np.nan
    if not np.isnan(plain):
        return plain
    if not any(c.isdigit() for c in text) or not WRITTEN[decimal].fullmatch(text):
        return np.nan
    bare = re.sub(f"[{',' if decimal == '.' else '.'}{SPACES}]", "", text)
    return number(bare.replace(decimal, "."))
