"""The three data sets of the experiments: found on disk, downloaded from UCI, or made up where there is no network.

No number is trusted unless it is the published one: a real table is compared with the SHA-256 of the table that the
repository's figures were made with, and a made-up one says so in `Dataset.synthetic`. Nothing is ever repaired in
silence: a field that cannot be read is an error with its file, row and column.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from downloads import unpacked
from whole_file import kind_of, whole_file


@dataclass(frozen=True)
class Dataset:
    """Inputs `x` and targets `y`, one row per example, with the names of their columns."""

    name: str
    x: np.ndarray  # float64 (rows, inputs)
    y: np.ndarray  # float64 (rows, outputs): rings, 0 or 1, or one-hot classes
    source: str  # the file as given, "UCI" or "made up, seed 348"
    x_names: tuple[str, ...]
    y_names: tuple[str, ...]
    synthetic: str = ""  # for made-up data, the sentence that says so
    test: np.ndarray | None = None  # the rows for the test, where the data says which
    recipe: Mapping[str, Any] | None = None  # how the numbers were made, to be kept with a model


@dataclass(frozen=True)
class Table:
    """What is known of a published table, whether or not it can be had."""

    url: str  # UCI's archive
    files: tuple[str, str]  # the usual CSV with a header, and UCI's own file, which has none
    sha256: str  # of the numbers as float64, row by row, little-endian
    groups: dict[str, int]  # each class (abalone: each sex) and its number of rows
    ranges: str  # "name lowest highest" of the other columns; they hold whole numbers if `highest` has no point

    @property
    def rows(self) -> int:
        return sum(self.groups.values())

    @property
    def numbers(self) -> list[tuple[str, float, float, bool]]:
        """Name, lowest value, highest value and "whole numbers only" of each column in `ranges`."""
        entries = (entry.rsplit(maxsplit=2) for entry in self.ranges.split(","))
        return [
            (name.strip(), float(low), float(high), "." not in high) for name, low, high in entries
        ]


LONGEST = 2**24  # bytes of a table; the longest has 1.6 million

# All three are from the UCI Machine Learning Repository, under CC BY 4.0.
TABLES = {
    # doi.org/10.24432/C55C7W
    "abalone": Table(
        "https://archive.ics.uci.edu/static/public/1/abalone.zip",
        ("abalone.csv", "abalone.data"),
        "24e91a1e6d338d1049608e966d76c2e81408dbd41a484b80c6127a2ea8c29a76",
        {"I": 1342, "M": 1528, "F": 1307},
        """Length 0.075 0.815, Diameter 0.055 0.65, Height 0 1.13, Whole weight 0.002 2.8255,
        Shucked weight 0.001 1.488, Viscera weight 0.0005 0.76, Shell weight 0.0015 1.005, Rings 1 29""",
    ),
    # HTRU2, doi.org/10.24432/C5DK6R
    "pulsar": Table(
        "https://archive.ics.uci.edu/static/public/372/htru2.zip",
        ("pulsar_stars.csv", "HTRU_2.csv"),
        "bff7e0d962f5762938f833075d6bbfd3ce229cdcfb30091b4ecaa7dca4a81a74",
        {"noise": 16259, "pulsar": 1639},
        """Mean of the integrated profile 5.8125 192.6171875,
        Standard deviation of the integrated profile 24.77204176 98.77891067,
        Excess kurtosis of the integrated profile -1.876011181 8.069522046,
        Skewness of the integrated profile -1.791885981 68.10162173,
        Mean of the DM-SNR curve 0.213210702 223.3921405,
        Standard deviation of the DM-SNR curve 7.370432165 110.6422106,
        Excess kurtosis of the DM-SNR curve -3.139269611 34.53984419,
        Skewness of the DM-SNR curve -1.976975603 1191.000837""",
    ),
    # Steel Plates Faults (Semeion, Rome), doi.org/10.24432/C5J88N
    "steel": Table(
        "https://archive.ics.uci.edu/static/public/198/steel+plates+faults.zip",
        ("faults.csv", "Faults.NNA"),
        "b3a6e93428496d3acb1638240f0070bbebceb9b60c71d883f580fcb16dcb0666",
        {
            "Pastry": 158,
            "Z_Scratch": 190,
            "K_Scatch": 391,
            "Stains": 72,
            "Dirtiness": 55,
            "Bumps": 402,
            "Other_Faults": 673,
        },
        """X_Minimum 0 1705, X_Maximum 4 1713, Y_Minimum 6712 12987661, Y_Maximum 6724 12987692, Pixels_Areas 2 152655,
        X_Perimeter 2 10449, Y_Perimeter 1 18152, Sum_of_Luminosity 250 11591414, Minimum_of_Luminosity 0 203,
        Maximum_of_Luminosity 37 253, Length_of_Conveyer 1227 1794, TypeOfSteel_A300 0 1, TypeOfSteel_A400 0 1,
        Steel_Plate_Thickness 40 300, Edges_Index 0 0.9952, Empty_Index 0 0.9439, Square_Index 0.0083 1.0,
        Outside_X_Index 0.0015 0.8759, Edges_X_Index 0.0144 1.0, Edges_Y_Index 0.0484 1.0, Outside_Global_Index 0 1.0,
        LogOfAreas 0.301 5.1837, Log_X_Index 0.301 3.0741, Log_Y_Index 0 4.2587, Orientation_Index -0.991 0.9917,
        Luminosity_Index -0.9989 0.6421, SigmoidOfAreas 0.119 1.0""",
    ),
}


def load(name: str, data: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set "abalone", "pulsar" or "steel".

    `data` is a file, a folder to look in, "uci" (the real data or an error) or "synthetic" (the stand-in). Without it,
    the folder named by the environment variable TINYGRAD_STEEL_DATA is looked in, then the user's cache; then UCI is
    asked, and where it cannot be reached, there is the stand-in. A file that is there but wrong is always an error.
    """
    if name not in TABLES:
        raise ValueError(f"there is no data set {name!r}, only {', '.join(TABLES)}")
    table = TABLES[name]
    if data == "synthetic":
        return stand_in(name, ", as asked for")
    if data is not None and data != "uci":
        path = Path(data)
        found = find(name, path) if path.is_dir() else path
        if found is None or not found.exists():
            raise FileNotFoundError(
                f"{path}: no such file, and no folder with {' or '.join(table.files)} in it"
            )
        return real(name, read_file(found), str(found), str(found))
    folder = os.environ.get("TINYGRAD_STEEL_DATA")
    if folder and (found := find(name, Path(folder))):
        return real(name, read_file(found), str(found), str(found))
    try:
        return from_uci(name)
    except ConnectionError as error:
        if data == "uci":
            raise ConnectionError(
                f"cannot download {table.url}: {error}; name a file or folder instead"
            ) from error
        return stand_in(name, f": {error}")


def find(name: str, folder: Path) -> Path | None:
    """The data set's file in a folder, if it has one."""
    return next((folder / file for file in TABLES[name].files if (folder / file).is_file()), None)


def read_file(path: Path, longest: int = LONGEST) -> bytes:
    """A file's bytes; OSError for a pipe or a device, and for what is too long to be a table."""
    status = path.stat()
    if kind := kind_of(status):
        raise OSError(f"{path} is no file: it is {kind}")
    if status.st_size > longest:
        raise OSError(f"{path} is no table: it has {status.st_size} bytes, more than {longest}")
    return path.read_bytes()


def from_uci(name: str) -> Dataset:
    """The data set from the user's cache, or else from UCI; ConnectionError, with the reason, if neither has it."""
    table = TABLES[name]
    try:
        import pooch
    except ImportError as error:
        raise ConnectionError("pooch is not installed") from error
    cache = Path(pooch.os_cache("tinygrad_steel"))
    if found := find(name, cache):
        return real(name, found.read_bytes(), str(found), "UCI")
    member = table.files[1]
    # No hash: UCI may pack its archive anew. What counts are the numbers, and they are checked.
    content = unpacked(table.url, member)
    dataset = real(name, content, f"{table.url} ({member})", "UCI")
    # Only now, and whole, so that the cache never holds a wrong or half a file. No cache is no reason to stop.
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        with whole_file(cache / member) as part:
            part.write_bytes(content)
    return dataset


def real(name: str, content: bytes, where: str, source: str) -> Dataset:
    """The data set in a file's bytes, if they hold the published table; `where` they are from is for the error."""
    rows = parse(name, content, where)
    table = TABLES[name]
    digest = hashlib.sha256(np.array(rows, "<f8").tobytes()).hexdigest()
    if digest != table.sha256:
        wrong = f"{len(rows)} rows instead of {table.rows}"
        if len(rows) == table.rows:
            wrong = f"its numbers have the SHA-256 {digest[:12]}..., not {table.sha256[:12]}..."
        raise ValueError(
            f"{where} is not the published table: {wrong}. Use UCI's {table.files[1]}, the same as {table.files[0]}, "
            f"or data='synthetic'"
        )
    return as_dataset(name, np.array(rows), source)


def parse(name: str, content: bytes, where: str) -> list[list[float]]:
    """The rows of a table, comma- or tab-separated, with or without a header line; a sex becomes three numbers."""
    lines = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff").splitlines()
    while lines and not lines[-1].strip(" "):
        lines.pop()
    if not lines:
        raise ValueError(f"{where} is empty")
    columns = file_columns(name)
    separator = "\t" if "\t" in lines[0] else ","
    rows = []
    for row, line in enumerate(lines, 1):
        fields = [field.strip() for field in line.split(separator)]
        if len(fields) != len(columns):
            wanted = f"{len(columns)}, {columns[0]} to {columns[-1]}"
            raise ValueError(
                f"{where}, row {row}: the number of columns is {len(fields)} instead of {wanted}"
            )
        numbers = [number(field) for field in fields]
        header = row == 1 and all(map(math.isnan, numbers))
        for column, field, x in zip(columns, fields, numbers, strict=True):
            if math.isfinite(x) and column != "Sex":
                continue
            if what := complaint(column, field, header):
                raise ValueError(f"{where}, row {row}, column {column}: the field {what}")
        if not header:
            rows.append(numbers)
            if name == "abalone":
                rows[-1][:1] = [float(fields[0] == sex) for sex in TABLES[name].groups]
    return rows


def complaint(column: str, field: str, header: bool) -> str:
    """What is wrong with a field, or nothing."""
    if not field.isprintable():  # such as what "surrogateescape" makes of bytes that are not UTF-8
        return "is not UTF-8 text"
    sexes = TABLES["abalone"].groups
    if header or (field in sexes if column == "Sex" else math.isfinite(number(field))):
        return ""
    if not field:
        return "is empty"
    return f"is {field[:40]!r}, not {'one of ' + ', '.join(sexes) if column == 'Sex' else 'a finite number'}"


def number(field: str) -> float:
    """The field's number, or NaN; unlike float(), it does not read 1_000 or the digits of other scripts."""
    try:
        return float(field) if field.isascii() and "_" not in field else math.nan
    except ValueError:
        return math.nan


def file_columns(name: str) -> list[str]:
    """The names of the columns as they stand in the file."""
    table = TABLES[name]
    names = [column for column, *_ in table.numbers]
    return {
        "abalone": ["Sex", *names],
        "pulsar": [*names, "target_class"],
        "steel": [*names, *table.groups],
    }[name]


def as_dataset(name: str, table: np.ndarray, source: str, synthetic: str = "") -> Dataset:
    """The table split into inputs and targets, the columns named."""
    names = file_columns(name)
    if name == "abalone":
        names[:1] = [f"Sex_{sex}" for sex in TABLES[name].groups]
    else:
        table = table.astype(np.float32).astype(
            np.float64
        )  # the reference figures rest on float32 values of these two
    inputs = len(names) - (len(TABLES[name].groups) if name == "steel" else 1)
    x, y = (np.ascontiguousarray(part) for part in np.split(table, [inputs], axis=1))
    return Dataset(name, x, y, source, tuple(names[:inputs]), tuple(names[inputs:]), synthetic)


STAND_IN_SEED = 348  # one with which raw steel data, too, is learned at the book's settings


def stand_in(name: str, why: str) -> Dataset:
    """A made-up data set, always the same, with the real one's columns, ranges, and numbers of rows and of each class.

    It can be learned from: every group of rows has a centre of its own, by which the classes can be told apart, and
    every row a size of its own that shows in all its numbers, so that an abalone's measures tell about its rings.
    Columns that span more than two powers of ten do so as areas and weights do, most of them being small. Where inputs
    are raw, these alone are heard, so they tell the classes apart more clearly than the others.
    """
    rng = np.random.default_rng(STAND_IN_SEED)
    columns, counts = TABLES[name].numbers, list(TABLES[name].groups.values())
    wide = np.array([0 < 100 * low < high for _, low, high, _ in columns])
    clear = np.where(wide, 3, 1)
    group = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    centres = clear * rng.normal(size=(len(counts), len(columns))) * 2.5 / math.sqrt(len(columns))
    sizes = rng.normal(size=(len(group), 1))
    numbers = centres[group] + sizes + rng.normal(size=(len(group), len(columns))) / clear
    for values, (_, low, high, whole), log in zip(numbers.T, columns, wide, strict=True):
        ends = np.log([low, high]) if log else [low, high]
        values[:] = np.interp(values, (values.min(), values.max()), ends)
        if log:
            values[:] = np.exp(values).clip(low, high)
            values[[values.argmin(), values.argmax()]] = low, high  # an exponential may miss them
        if whole:
            values[:] = np.rint(values)
    one_hot = np.eye(len(counts))[group]
    parts = {
        "abalone": (one_hot, numbers),
        "pulsar": (numbers, group[:, None]),
        "steel": (numbers, one_hot),
    }[name]
    sentence = f"synthetic stand-in{why}; figures are not the published ones"
    return as_dataset(name, np.hstack(parts), f"made up, seed {STAND_IN_SEED}", sentence)
