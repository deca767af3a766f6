"""A CSV file as columns of text: its encoding, separator and quotes are found out, and said."""

from __future__ import annotations

import codecs
import collections
import contextlib
import csv
import io
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import number, read_file
from model import memory

TEXT = np.dtypes.StringDType()  # short texts take 16 bytes there, Python's own 50 and more

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SAMPLE = 200  # rows by which a separator is found
CHUNK = 4096  # rows at a time
LONGEST = 40  # characters of a name or a value in a message


class Table(NamedTuple):
    """The rows of a file below its header, column by column, as they are written."""

    file: str
    names: list[str]
    columns: list[np.ndarray]  # of TEXT, without spaces at both ends
    rows: np.ndarray  # the number of each row in the file, its first row being 1
    form: str  # how it is written, for people

    def only(self, names: Iterable[str]) -> Table:
        """The columns with these names, as far as there are any."""
        wanted = {*names}
        kept = [i for i, name in enumerate(self.names) if name in wanted]
        return self._replace(
            names=[self.names[i] for i in kept], columns=[self.columns[i] for i in kept]
        )

    def take(self, rows: np.ndarray) -> Table:
        """Some of the rows."""
        return self._replace(
            columns=[column[rows] for column in self.columns], rows=self.rows[rows]
        )


class Form(NamedTuple):
    """How a file is written: what is None is found out."""

    encoding: str | None = None
    separator: str | None = None
    header: str | None = None  # "first" for names in the first row, "none" for no names


FOUND_OUT = Form()


def read_table(file: str | os.PathLike[str], form: Form = FOUND_OUT) -> Table:
    """The table in a file; OSError where it cannot be read, ValueError, in one line, for what is no table."""
    raw = read_file(Path(file), longest=memory() // 12)
    if not raw.strip():
        raise ValueError(f"{file} is empty")
    encoding, guessed = (form.encoding, "") if form.encoding else encoding_of(raw, file)
    refuse_what_is_no_text(raw, encoding, file)
    separator, quote = form.separator, '"'
    if separator is None:
        separator, quote = separator_of(raw, encoding, file)
    names, first = [], 1
    parts: list[list[np.ndarray]] = []
    numbers: list[np.ndarray] = []
    for chunk in chunks(rows_of(raw, encoding, separator, quote, file)):
        if not parts and not names:
            names = names_of(chunk[0][1], form.header, file)
            first = 0 if form.header == "none" else 1
            chunk = chunk[first:]
        refuse_ragged(chunk, len(names), file)
        if chunk:
            parts.append([np.array(x, TEXT) for x in zip(*(fields for _, fields in chunk))])
            numbers.append(np.array([n for n, _ in chunk]))
    if not parts:
        raise ValueError(f"{file} has a header and no rows")
    columns = [np.strings.strip(np.concatenate(column)) for column in zip(*parts)]
    names, columns = named(names, columns, file)
    said = f"{SHOWN.get(encoding, encoding)}{guessed}, separated by {SEPARATORS.get(separator, separator)}"
    return Table(os.fspath(file), names, columns, np.concatenate(numbers), said)


def shown(text: str) -> str:
    """A name or value as it can be printed: short, and nothing in it that a terminal would obey."""
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)


def listed(names: list[str], most: int = 8) -> str:
    """Names with commas, the first ones of many."""
    more = len(names) - most
    first = ", ".join(shown(name) for name in names[:most])
    return f"{first} and {more} more" if more > 0 else first


# Bytes to characters

SHOWN = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp949": "CP949",
    "cp1252": "latin-1",
}


def encoding_of(raw: bytes, file: str | os.PathLike[str]) -> tuple[str, str]:
    """The encoding of a file's bytes, and, where it is a guess, the words that say so."""
    for mark, name in MARKS.items():
        if raw.startswith(mark):
            return name, ""
    even, odd = raw[:2000:2].count(0), raw[1:2000:2].count(0)
    if max(even, odd) > 0.4 * min(1000, len(raw) / 2) and min(even, odd) == 0:
        return ("utf-16-le" if odd else "utf-16-be"), ""
    try:
        raw.decode("utf-8")
        return "utf-8", ""
    except UnicodeDecodeError as error:
        if not raw[: error.start].isascii():
            row = raw[: error.start].count(b"\n") + 1
            raise ValueError(
                f"{file} is UTF-8 up to line {row}, and not there: --encoding says what it is"
            ) from error
    for name in ("cp949", "cp1252"):
        if is_likely(raw, name):
            return name, ", by its letters (--encoding says another)"
    raise ValueError(
        f"{file} is neither UTF-8, UTF-16, CP949 nor latin-1: --encoding says what it is, such as shift_jis"
    )


def is_likely(raw: bytes, encoding: str) -> bool:
    """Whether bytes are text in an encoding, by the letters that they would be."""
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    if encoding != "cp949":
        return True
    # Two letters of Western Europe are a Korean one, too, but hardly ever one that EUC-KR has, as common ones are.
    others = collections.Counter(c for c in text if not c.isascii())
    common = {c: n for c, n in others.items() if len(c.encode("euc_kr", "ignore")) == 2}
    syllables = sum(n for c, n in common.items() if "\uac00" <= c <= "\ud7a3")
    return sum(common.values()) > 0.9 * others.total() and syllables > 0.3 * others.total()


def refuse_what_is_no_text(raw: bytes, encoding: str, file: str | os.PathLike[str]) -> None:
    """ValueError for bytes that are not in this encoding, and for zero characters."""
    try:
        text = characters(raw, encoding).read()
    except (UnicodeError, LookupError) as error:
        why = f": {error}" if isinstance(error, LookupError) else ""
        raise ValueError(f"{file} is not {encoding} text{why}") from error
    if (zero := text.find("\0")) >= 0:
        line = text.count("\n", 0, zero) + 1
        raise ValueError(f"{file} is no text: line {line} has a zero byte in it")


# Characters to fields


def characters(raw: bytes, encoding: str) -> io.TextIOWrapper:
    """A stream of the characters, each line's end as it is."""
    return io.TextIOWrapper(io.BytesIO(raw), encoding, newline="")


Row = tuple[int, list[str]]


def rows_of(
    raw: bytes, encoding: str, separator: str, quote: str, file: str | os.PathLike[str]
) -> Iterator[Row]:
    """The rows that are not blank, with their numbers; ValueError for wrong quotes."""
    reader = csv.reader(
        characters(raw, encoding), delimiter=separator, quotechar=quote, strict=True
    )
    for row in itertools.count(1):
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = str(error)
            if "unexpected end" in why:
                why = "a quote is opened there and never closed"
            raise ValueError(f"{file}, row {row}: {why}") from error
        if any(field.strip() for field in fields):
            yield row, fields


def chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Some rows at a time."""
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


def separator_of(raw: bytes, encoding: str, file: str | os.PathLike[str]) -> tuple[str, str]:
    """The separator by which all rows have as many fields as the first one, and the quote character."""
    start = characters(raw, encoding).read(2000)
    quote = "'" if start.startswith("'") and '"' not in start else '"'
    wholly: dict[str, int] = {}
    partly: dict[str, float] = {}
    for separator in SEPARATORS:
        counts = []
        with contextlib.suppress(ValueError):  # the quotes are wrong with this one
            for _, fields in itertools.islice(
                rows_of(raw, encoding, separator, quote, file), SAMPLE
            ):
                counts.append(len(fields))
        if not counts or counts[0] < 2:
            continue
        partly[separator] = counts.count(counts[0]) / len(counts)
        if len({*counts}) == 1:
            wholly[separator] = counts[0]
    if not partly:
        return ",", quote
    if not wholly:  # some row is ragged, and will be named
        return max(partly, key=partly.__getitem__), quote
    most = [s for s, count in wholly.items() if count == max(wholly.values())]
    if len(most) > 1:
        raise ValueError(
            f"{file} may be separated by {' or by '.join(SEPARATORS[s] for s in most)}: say --separator {most[0]!r}"
        )
    return most[0], quote


def refuse_ragged(rows: list[Row], count: int, file: str | os.PathLike[str]) -> None:
    """ValueError for a row with more or fewer fields than there are names."""
    for row, fields in rows:
        if len(fields) != count:
            raise ValueError(
                f"{file}, row {row}: the number of fields is {len(fields)}, that of the first row {count}"
            )


def names_of(first: list[str], header: str | None, file: str | os.PathLike[str]) -> list[str]:
    """The names of the columns; ValueError where the first row may be data."""
    if header == "none":
        return [f"column {i}" for i in range(1, len(first) + 1)]
    numbers = [field for field in first if not np.isnan(number(field.strip()))]
    if numbers and header is None:
        raise ValueError(
            f"{file} begins with {listed(first, 4)}: are these names (--header first), or data (--header none)?"
        )
    return [name.strip() for name in first]


def named(
    names: list[str], columns: list[np.ndarray], file: str | os.PathLike[str]
) -> tuple[list[str], list[np.ndarray]]:
    """Every column with a name of its own; empty ones without a name, as of a separator at the end, are left out."""
    kept = [i for i, name in enumerate(names) if name or np.any(columns[i] != "")]
    names = [names[i] or f"unnamed {i + 1}" for i in kept]
    seen: dict[str, int] = {}
    for i, name in zip(kept, names):
        if name in seen:
            raise ValueError(
                f"{file}: columns {seen[name] + 1} and {i + 1} are both called {shown(name)}"
            )
        seen[name] = i
    return names, [columns[i] for i in kept]
