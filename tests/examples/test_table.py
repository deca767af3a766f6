"""Tables of one's own: hostile files are read right or refused in one line; what was found is said; models come back.

Values are computed by hand, or by pandas and scikit-learn, which share no code with the examples.
"""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import table
import table_columns
import table_file
import table_numbers
import table_recipe
from checkpoint import load_checkpoint, save_checkpoint
from helpers import FULL, counted
from table_columns import Choices
from table_file import Form

LINES = "1,4,a\n2,5,b\n3,9,a\n4,8,b\n5,7,a\n6,2,b\n7,1,a\n8,3,b\n9,6,a\n10,0,b\n"
HEAD = "x,y,kind\n"
SMALL = HEAD + LINES
QUICK = ["--epochs", "1", "--report", "0", "--hidden", "4", "--eager"]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file into a folder of the test's own, the current one."""
    monkeypatch.chdir(tmp_path)

    def write(content, name="data.csv", encoding="utf-8"):
        raw = content if isinstance(content, bytes) else content.encode(encoding)
        (tmp_path / name).write_bytes(raw)
        return name

    return write


def train(content, write, target="y", form=table_file.FOUND_OUT, epochs=1, **options):
    """Train on a table; the run, and what was said."""
    said = []
    columns = {k: options.pop(k) for k in Choices._fields if k in options}
    settings = {
        "say": lambda *a, **k: said.extend(map(str, a)),
        "standardize": True,
        "hidden": (4,),
    }
    run = table.table_exec(
        epochs,
        None,
        0,
        data=write(content),
        choices=Choices(target, **columns),
        form=form,
        **{**settings, **options},
    )
    return run, "\n".join(said)


def script(*options):
    """Run the script in this process; the exit code."""
    sys.argv = ["table.py", *options]
    try:
        table.main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


@pytest.fixture(autouse=True)
def keep_argv(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)


def in_order(run):
    """Inputs and targets by name, as the file has them (no row is left out)."""
    return dict(zip(run.dataset.x_names, run.dataset.x.T)), run.dataset.y


# Files that are read, each with the numbers that a person would read

NUMBERS = {"x": range(1, 11), "y": [4, 5, 9, 8, 7, 2, 1, 3, 6, 0]}
EURO = "".join(f"{i},5;{i * i},25;{'a' if i % 2 else 'b'}\n" for i in range(1, 11))
READ = {
    "utf-8": (SMALL, "utf-8", "UTF-8, separated by commas"),
    "byte order mark": (SMALL, "utf-8-sig", "UTF-8, separated by commas"),
    "utf-16 with mark": (SMALL, "utf-16", "UTF-16, separated by commas"),
    "utf-16 without mark": (SMALL, "utf-16-le", "UTF-16, separated by commas"),
    "utf-16 the other way": (SMALL, "utf-16-be", "UTF-16, separated by commas"),
    "utf-32": (SMALL, "utf-32", "UTF-32, separated by commas"),
    "windows lines": (SMALL.replace("\n", "\r\n"), "utf-8", "commas"),
    "old mac lines": (SMALL.replace("\n", "\r"), "utf-8", "commas"),
    "no last line end": (SMALL[:-1], "utf-8", "commas"),
    "blank lines": ("\n\n" + SMALL.replace("\n", "\n\n"), "utf-8", "commas"),
    "rows of commas": (SMALL + ",,\n,,\n", "utf-8", "commas"),
    "semicolons": (SMALL.replace(",", ";"), "utf-8", "semicolons"),
    "tabs": (SMALL.replace(",", "\t"), "utf-8", "tabs"),
    "bars": (SMALL.replace(",", "|"), "utf-8", "bars"),
    "separator at the end": (SMALL.replace("\n", ",\n"), "utf-8", "commas"),
    "all quoted": (re.sub(r"([^,\n]+)", r'"\1"', SMALL), "utf-8", "commas"),
    "single quotes": (re.sub(r"([^,\n]+)", r"'\1'", SMALL), "utf-8", "commas"),
    "spaces": (SMALL.replace(",", " , "), "utf-8", "commas"),
    "quoted newlines": (SMALL.replace("kind", '"ki\nnd"').replace("a\n", '"a\na"\n'), "utf-8", ""),
    "quoted commas": (SMALL.replace(",a", ',"a, or so"'), "utf-8", "commas"),
    "signs": (SMALL.replace("\n1,", "\n+1,").replace("5", "5.0e+0"), "utf-8", "commas"),
}


@pytest.mark.parametrize("name", READ)
def test_a_table_is_read_as_it_is_meant(name, write):
    content, encoding, form = READ[name]
    run, said = train(content.encode(encoding), write)
    assert form in said and "10 rows, 3 columns" in said
    columns, y = in_order(run)
    np.testing.assert_array_equal(columns["x"], NUMBERS["x"])
    rows = run.training
    values = np.array(NUMBERS["y"], float)
    np.testing.assert_allclose(y[:, 0], (values - values[rows].mean()) / values[rows].std())
    kinds = [v for k, v in columns.items() if k.startswith("ki")]
    np.testing.assert_array_equal(kinds, [[1, 0] * 5, [0, 1] * 5])


def test_few_letters_tell_an_encoding():
    for text, encoding, name in [
        ("온도(℃),y\n", "cp949", "cp949"), ("면적(㎡),층\n", "cp949", "cp949"), ("가\n", "cp949", "cp949"),
        ("大學校 서울\n", "cp949", "cp949"), ("°C,\u00b5m,Ärger\n", "latin-1", "cp1252"),
        ("Ångström,Çelik\n", "latin-1", "cp1252"), ("ÄÖÜ,ß\n", "latin-1", "cp1252"),
        ("5 £,1 €\n", "cp1252", "cp1252"), ("é\n", "latin-1", "cp1252"), ("É\n", "utf-8", "utf-8"),
    ]:  # fmt: skip
        assert table_file.encoding_of(text.encode(encoding), "a.csv")[0] == name, text


def test_letters_of_many_encodings(write):
    words = {
        "cp949": ("이름,나이,도시\n", "서울", "부산", "CP949"),
        "euc_kr": ("이름,나이,도시\n", "서울", "부산", "CP949"),
        "latin-1": ("Größe,âge,città\n", "Zürich", "Orléans", "latin-1"),
        "cp1252": ("Größe,âge,città\n", "Zürich • West", "Orléans", "latin-1"),
        "utf-8": ("이름,âge,город\n", "Zürich", "부산", "UTF-8"),
    }
    for encoding, (head, one, two, name) in words.items():
        content = head + LINES.replace("a", one).replace("b", two)
        columns = head.strip().split(",")
        run, said = train(content.encode(encoding), write, target=columns[1])
        assert name in said, encoding
        assert run.dataset.x_names[0] == columns[0]
        assert sorted(run.dataset.x_names[1:]) == sorted(f"{columns[2]}={w}" for w in (one, two))


# Numbers as people write them


def test_numbers_of_all_spellings():
    for text, decimal, value in [
        ("1", ".", 1), ("-1.5", ".", -1.5), ("+.5", ".", 0.5), ("5.", ".", 5), ("1e3", ".", 1000),
        ("1,234", ".", 1234), ("1,234,567.5", ".", 1234567.5), ("1 234 567", ".", 1234567),
        ("1'234.5", ".", 1234.5), ("1\u00a0234", ".", 1234), ("-12,345", ".", -12345),
        ("1,5", ",", 1.5), ("1.234,5", ",", 1234.5), ("1.234", ",", 1234), ("-0,25", ",", -0.25),
        ("1 234,5", ",", 1234.5), ("2,5e3", ",", 2500), ("7", ",", 7), (",5", ",", 0.5),
        ("inf", ".", np.inf), ("1e400", ".", np.inf),
    ]:  # fmt: skip
        assert table_numbers.value_of(text, decimal) == value, text
    for text, decimal in [
        ("1,5", "."), ("0,123", "."), ("1,23,456", "."), ("1.5", ","), ("1,234,567", ","),
        ("1_000", "."), ("\uff11", "."), ("0x10", "."), ("", "."), (".", "."), ("e5", "."),
        ("1,234 567", "."), ("12%", "."), ("$5", "."), ("1.2.3", "."), ("--1", "."), ("1 2", "."),
        ("2020-01-01", "."), ("\u00b2", "."), (",", ","), ("1234,567", "."), ("True", "."),
    ]:  # fmt: skip
        assert np.isnan(table_numbers.value_of(text, decimal)), text


def test_what_python_alone_reads_as_numbers_is_text(write):
    content = made(
        20, a=lambda i: f"1_{i % 3}", b=lambda i: "\u0661\u0662\u0663"[i % 3], y=lambda i: i
    )
    run, _ = train(content, write)
    assert run.dataset.x_names == (
        "a=1_0", "a=1_1", "a=1_2", "b=\u0661", "b=\u0662", "b=\u0663",
    )  # fmt: skip


def columns_of(header, *rows):
    return header + "\n" + "\n".join(rows * 4) + "\n"


SPELLINGS = [  # two rows of columns a and b, and what they are
    ("1,5;2", "2,5;3", [1.5, 2.5], [2, 3]),
    ("1,5;1.234", "2,5;2.000", [1.5, 2.5], [1234, 2000]),  # points set thousands apart there
    ("1.5;1,234", "2.5;2,000", [1.5, 2.5], [1234, 2000]),
    ("1,234.5;7", "2,000;8", [1234.5, 2000], [7, 8]),
    ("1.234,5;7", "2;8", [1234.5, 2], [7, 8]),
    ("1,234,567;7", "2,000;8", [1234567, 2000], [7, 8]),
    ("1 234;7", "12;8", [1234, 12], [7, 8]),
    ("1.234;7", "2.345;8", [1.234, 2.345], [7, 8]),  # nothing with a comma: as in any CSV
    ("0,123;7", "0,456;8", [0.123, 0.456], [7, 8]),
]


@pytest.mark.parametrize("case", SPELLINGS, ids=lambda case: case[0])
def test_the_decimal_sign_is_found_by_all_columns(case, write):
    first, second, a, b = case
    content = columns_of("a;b;y", f"{first};0", f"{second};1")
    run, _ = train(content, write, task="classes")
    columns, _ = in_order(run)
    np.testing.assert_array_equal(columns["a"][:2], a)
    np.testing.assert_array_equal(columns["b"][:2], b)


# Random damage: still one line, or numbers that are finite

TOKENS = [
    "",
    ",",
    ";",
    "\t",
    "\n",
    '"',
    "'",
    "NA",
    "nan",
    "inf",
    "1e308",
    "1e400",
    "1,234",
    "1.5",
    "1,5",
]
TOKENS += [
    "\0",
    "é",
    "가",
    "\ufeff",
    "1_0",
    "\u0663",
    "½",
    "0x1",
    "True",
    "?",
    "-",
    "\u2028",
    "\x1c",
    "1e-200",
]
SOUND = [
    HEAD + "".join(f"{i},{i * i % 13},{'abc'[i % 3]}\n" for i in range(25)),
    "이름;나이;도시;y\n"
    + "".join(f"{i},5;{i * 3};{'서울부산'[i % 4]};{i % 4}\n" for i in range(25)),
    "id\tv\tw\ty\n"
    + "".join(f"{i}\t{i}.5\t1e{i}\t{'yes' if i % 3 else 'no'}\n" for i in range(25)),
    '"a","b, c","y"\n' + "".join(f'"{i}","t ""q"" {i % 5}",{i / 7:.3f}\n' for i in range(25)),
]


def test_damaged_tables_are_one_line_or_finite_numbers(write):
    rng, refused = np.random.default_rng(3), 0
    for case in range(counted(3000, 150)):
        content = SOUND[case % 4]
        for _ in range(rng.integers(4)):
            i, k = rng.integers(len(content)), rng.integers(4)
            content = content[:i] + TOKENS[rng.integers(len(TOKENS))] + content[i + k :]
        raw = bytearray(content.encode(["utf-8", "utf-16", "utf-8-sig", "utf-8"][rng.integers(4)]))
        if rng.random() < 0.2:
            raw[rng.integers(len(raw))] = rng.integers(256)
        try:
            missing = ["refuse", "drop", "mean"][rng.integers(3)]
            run, _ = train(bytes(raw), write, missing=missing, init="he")
        except (ValueError, OSError) as error:
            assert str(error).startswith("data.csv") and "\n" not in str(error), error
            refused += 1
        else:
            assert np.isfinite(run.dataset.x).all() and np.isfinite(run.dataset.y).all()
            assert np.isfinite(run.history[-1].loss)
    assert 0.2 * case < refused < 0.95 * case


# What is refused: one line, exit code 2

FEW = HEAD + "1,4,a\n2,5,b\n"
DATES = "day,y\n" + "".join(f"2024-01-{i:02},{i % 7}.5\n" for i in range(1, 32))
REFUSED = {
    "empty": ("", "data.csv is empty"),
    "spaces alone": ("  \n\n ", "data.csv is empty"),
    "header only": (HEAD, "has a header and no rows"),
    "header and blank lines": (HEAD + "\n\n,,\n", "has a header and no rows"),
    "one row": (HEAD + "1,4,a\n", "the target y is 4 in all rows"),
    "two rows": (FEW, "2 rows are too few to learn from some and to test with others"),
    "four rows": (HEAD + LINES[:24], "4 rows are too few to learn from some and to test with others"),
    "one column": ("y\n1\n2\n3\n4\n5\n6\n7\n8\n", "nothing to learn y from: it has no other column"),
    "one class": (re.sub(r",\d+,", ",7,", SMALL), "the target y is 7 in all rows: there is nothing"),
    "constant inputs": ("a,b,y\n" + "".join(f"1,k,{i}\n" for i in range(9)), "a (always 1), b (always k)"),
    "empty target": (re.sub(r",\d+,", ",,", SMALL), "the target y is empty in all rows"),
    "missing": (SMALL.replace("5,7", ",7").replace("6,2", "NaN,2"),
                "values are missing: x 2 (row 6). --missing drop leaves out these 2 of 10 rows"),
    "target missing": (SMALL.replace(",8,", ",?,"), "values are missing: y 1 ('?' in row 5)"),
    "inf": (SMALL.replace("5,7", "inf,7"), "row 6: x is 'inf', no finite number"),
    "minus inf": (SMALL.replace(",7,", ",-Infinity,"), "row 6: y is '-Infinity', no finite number"),
    "too large": (SMALL.replace("5,7", "1e300,7"), "row 6: x is '1e300', too large to be scaled"),
    "far too large": (SMALL.replace("5,7", "1e999,7"), "row 6: x is '1e999', no finite number"),
    "duplicated names": ("x,y,x\n" + LINES, "columns 1 and 3 are both called x"),
    "ragged, short": (SMALL.replace("3,9,a", "3,9"), "row 4: the number of fields is 2, that of the first row 3"),
    "ragged, long": (SMALL.replace("3,9,a", "3,9,a,1"), "row 4: the number of fields is 4, that of the first row 3"),
    "ragged far down": (SMALL + LINES * 500 + "1,2\n", "row 5012: the number of fields is 2"),
    "zero bytes": (SMALL.replace("5,7", "5\0,7"), "line 6 has a zero byte in it"),
    "open quote": (SMALL.replace("5,7", '"5,7'), "row 6: a quote is opened there and never closed"),
    "text after a quote": (SMALL.replace("5,7", '"5"x,7'), "row 6: ',' expected after"),
    "header is data": (LINES, "begins with 1, 4, a: are these names (--header first), or data"),
    "mixed types": (SMALL.replace("5,7", "five,7"), "row 6: x is 'five', and a number in most rows"),
    "mixed target": (SMALL.replace(",7,", ",seven,"), "row 6: y is 'seven', and a number in most rows"),
    "dates alone": (DATES, "nothing to learn y from: day (31 different texts)"),
    "an id alone": ("id,y\n" + "".join(f"{i},{i * i % 7}\n" for i in range(20)), "id (counts the rows)"),
    "either thousands or decimals": (columns_of("a;y", "1,234;4", "2,345;5"),
                                     "1,234 in a may be 1234 or 1.234: say --decimal"),
    "both decimal signs": (columns_of("a;b;y", "1,5;1.5;4", "2,5;2.5;5"),
                           "the decimal sign is a comma in a and a point in b"),
    "two separators": ("x,a;y\n" + "1,2;3\n2,3;4\n" * 5, "may be separated by commas or by semicolons"),
    "no encoding": (b"x,y\n\x81\x8d,1\n\x90\x9d,2\n" * 3, "is neither UTF-8, UTF-16, CP949 nor latin-1"),
    "broken utf-8": ("이름,y\n가,1\n".encode() + b"\xff\xfe,2\n" * 9, "is UTF-8 up to line 3, and not there"),
    "half a utf-16": (SMALL.encode("utf-16")[:-1], "is not utf-16 text"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", "data.csv"),
    "an archive": (b"PK\x03\x04\x14\0\0\0\x08\0abc\0\0\0" * 9, "data.csv"),
    "text classes, too many": (columns_of("x,y", *(f"{i % 3},name {i}" for i in range(60))),
                               "the target y has 60 different texts in 240 rows, such as name 0"),
    "a field beyond measure": (SMALL + f'1,2,"{"a" * 200000}"\n', "row 12: field larger than field limit"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_cannot_be_used_is_one_line(name, write, capsys):
    content, line = REFUSED[name]
    code = script(write(content), "--target", "y", *QUICK)
    done = capsys.readouterr()
    assert code == 2 and done.err.count("\n") == 1, done.err
    assert line in done.err and "Traceback" not in done.err


NAMES = {
    "not there": (["--target", "z"], "has no column z: it has x, y, kind"),
    "nearly there": (["--target", "kinds"], "has no column kinds, did you mean kind?"),
    "none": ([], "--target says what is to be learned: data.csv has x, y, kind"),
    "ignored": (["--target", "y", "--ignore", "y"], "y is named twice"),
    "nothing left": (["--target", "y", "--ignore", "x", "kind"], "nothing to learn y from"),
    "no numbers": (["--target", "y", "--numbers", "kind"], "row 2: kind is 'a', no number"),
    "no regression": (["--target", "kind", "--task", "regression"], "row 2: kind is 'a', no number"),
    "no encoding": (["--target", "y", "--encoding", "klingon"], "is not klingon text: unknown"),
    "no text encoding": (["--target", "y", "--encoding", "base64"], "is not base64 text"),
    "wrong encoding": (["--target", "y", "--encoding", "utf-16"], "is not utf-16 text"),
    "no separator": (["--target", "y", "--separator", ""], "one character, or tab, not ''"),
    "two separators": (["--target", "y", "--separator", "::"], "one character, or tab, not '::'"),
    "no batch": (["--target", "y", "--batch-size", "0"], "the batch size 1 to 8"),
    "batch too large": (["--target", "y", "--batch-size", "9"], "batch"),
    "negative epochs": (["--target", "y", "--epochs", "-1"], "epochs and report are at least 0"),
    "seed": (["--target", "y", "--seed", "-1"], "Seed must be between 0 and 2**32 - 1"),
    "itself": (["--target", "y", "--save", "data.csv"], "cannot be the same file: data.csv"),
    "compare with seeds": (["--target", "y", "--compare", "--seeds", "2"], "without --seeds"),
    "out without predict": (["--target", "y", "--out", "a.csv"], "--out is for --predict"),
    "no model": (["--load", "no.npz"], "no.npz: No such file or directory"),
    "a table as model": (["--load", "data.csv"], "data.csv is not a model saved by these examples"),
    "target and model": (["--target", "y", "--load", "no.npz"], "the model says what the columns"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_options_that_do_not_fit_the_table_are_one_line(name, write, capsys):
    options, line = NAMES[name]
    code = script(write(SMALL), *QUICK, *options)
    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1 and line in err, err


# What columns are taken for


def made(rows, **columns):
    """A CSV of these columns, each a function of the row's number."""
    lines = [
        ",".join(columns),
        *(",".join(str(f(i)) for f in columns.values()) for i in range(rows)),
    ]
    return "\n".join(lines) + "\n"


def test_what_is_found_is_said(write):
    content = made(
        40,
        id=lambda i: i + 100,
        size=lambda i: i * i,
        unit=lambda i: "cm",
        colour=lambda i: ["red", "green", "blue"][i % 3],
        day=lambda i: f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}",
        nothing=lambda i: "",
        open=lambda i: i % 2 == 0,
        y=lambda i: i * 0.5,
    )
    run, said = train(content, write)
    assert said.split("\n")[:6] == [
        "data.csv: 40 rows, 8 columns (UTF-8, separated by commas)",
        "numbers: size",
        "categories: colour (blue, green, red), open (False, True)",
        "left out: id (counts the rows), unit (always cm), day (40 different texts), nothing (empty)",
        "target: y, 40 different numbers, 0 to 19.5: regression (--task classes says otherwise)",
        "training rows: 32, test rows: 8",
    ]
    assert run.dataset.x_names == (
        "size", "colour=blue", "colour=green", "colour=red", "open=False", "open=True",
    )  # fmt: skip
    frame = pd.read_csv(io.StringIO(content))
    wanted = pd.get_dummies(frame[["size", "colour", "open"]], columns=["colour", "open"])
    np.testing.assert_array_equal(run.dataset.x, wanted.to_numpy(float))


def test_a_column_can_be_said_to_be_something_else(write):
    content = made(
        40, id=lambda i: i, code=lambda i: i % 4, day=lambda i: f"d{i}", y=lambda i: i * 0.5
    )
    run, _ = train(content, write, numbers=["id"], categories=["code"], ignore=["day"])
    assert run.dataset.x_names == ("id", "code=0", "code=1", "code=2", "code=3")
    run, _ = train(content, write, categories=["day", "code"])
    assert len(run.dataset.x_names) == 32 + 4  # days of the 32 training rows alone


TARGETS = [
    (lambda i: i % 2, ["0", "1"]),
    (lambda i: i % 2 + 1, ["1", "2"]),
    (lambda i: -1 if i % 2 else 1, ["-1", "1"]),
    (lambda i: [0.5, 1.5][i % 2], ["0.5", "1.5"]),
    (lambda i: i % 3, ["0", "1", "2"]),
    (lambda i: i % 10 + 1, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]),
    (lambda i: i % 2 == 0, ["False", "True"]),
    (lambda i: ["nein", "ja", "세모"][i % 3], ["ja", "nein", "세모"]),
    (lambda i: ["=1+1", "@x", "-"][i % 2], ["=1+1", "@x"]),
    (lambda i: ["1.0", "1", "02", "2"][i % 4], ["1", "2"]),  # the same numbers, written in two ways
    (lambda i: i % 11, None),
    (lambda i: i % 3 + 2, None),  # three grades of something
    (lambda i: i % 3 * 2, None),
    (lambda i: (i % 5) / 2, None),
    (lambda i: i, None),
    (lambda i: f"{10**6 + i * 1000:,}".join('""'), None),
]


@pytest.mark.parametrize("case", range(len(TARGETS)))
def test_the_task_is_found_out_and_said(case, write):
    function, labels = TARGETS[case]
    content = made(60, x=lambda i: i % 7, y=function)
    run, said = train(content, write)
    recipe = run.dataset.recipe["target"]
    assert recipe["task"] == ("regression" if labels is None else "classes")
    assert recipe["labels"] == (labels or [])
    assert "regression" in said or not re.fullmatch(
        r"-?[\d.]+", labels[0]
    )  # said, or how to have it
    y = run.dataset.y
    texts = [str(function(i)) for i in range(60)]
    if labels is None:
        values = np.array([float(text.strip('"').replace(",", "")) for text in texts])
        np.testing.assert_allclose(y[:, 0] * recipe["std"] + recipe["mean"], values, atol=1e-12)
        assert abs(y[run.training].mean()) < 1e-12 and abs(y[run.training].std() - 1) < 1e-12
    else:
        same = {"1.0": "1", "02": "2"} if "1.0" in texts else {}
        found = [labels.index(same.get(text, text)) for text in texts]
        one_hot = np.eye(len(labels))[found]
        np.testing.assert_array_equal(y, one_hot[:, 1:] if len(labels) == 2 else one_hot)
        assert all(f"{label} (" in said for label in labels[:8])


def test_the_task_can_be_said(write):
    content = made(60, x=lambda i: i % 7, y=lambda i: i % 3)
    run, said = train(content, write, task="regression")
    assert run.dataset.y.shape == (60, 1) and "regression\n" in said
    content = made(60, x=lambda i: i % 7, y=lambda i: i % 20 / 4)
    run, said = train(content, write, task="classes")
    assert run.dataset.y.shape == (60, 20) and "20 classes: 0.0 (3), 0.25 (3)" in said


def test_classes_beyond_memory(write, monkeypatch, capsys):
    monkeypatch.setattr(table_columns, "memory", lambda: 10**6)
    content = made(200, x=lambda i: i % 7, y=lambda i: i * 0.5)
    assert script(write(content), "--target", "y", "--task", "classes", *QUICK) == 2
    assert "200 classes of y need too much memory" in capsys.readouterr().err
    monkeypatch.setattr(table_recipe, "memory", lambda: 10**4)
    assert script(write(content), "--target", "y", "--categories", "x", *QUICK) == 2
    assert "data.csv has 200 rows and 7 inputs: more than memory holds" in capsys.readouterr().err
    monkeypatch.setattr(table_file, "memory", lambda: 10**4)
    assert script(write(content), "--target", "y", *QUICK) == 2
    assert "data.csv is no table: it has" in capsys.readouterr().err


def test_a_header_that_looks_like_data(write):
    run, _ = train(LINES, write, target="column 2", form=Form(header="none"))
    assert run.dataset.x_names == ("column 1", "column 3=a", "column 3=b")
    assert len(run.dataset.x) == 10
    run, _ = train("2019,2020\n" + "1,2\n3,5\n" * 9, write, "2020", Form(header="first"))
    assert run.dataset.x_names == ("2019",)


def test_names_of_all_kinds(write, capsys):
    names = ["=cmd|' /C calc'!A0", "이름", "\x1b[2J\u202e", "a" * 300, "{x}", "%s", "x=1", ""]
    head = ",".join(f'"{name}"' for name in [*names, "y"])
    rows = [",".join(str((i * k) % 13 + 0.5) for k in range(1, 10)) for i in range(1, 40)]
    content = head + "\n" + "\n".join(rows) + "\n"
    run, said = train(content, write)
    assert run.dataset.x_names == (*names[:-1], "unnamed 8")
    assert "\x1b" not in said and "\u202e" not in said and "a" * 50 not in said


# Rows: for the test, missing


def test_the_test_rows_are_a_fifth_of_each_class(write):
    content = made(200, x=lambda i: i, y=lambda i: "abc"[(i % 10 > 4) + (i % 10 > 8)])
    run, said = train(content, write)
    assert run.dataset.y[run.test].sum(axis=0).tolist() == [20, 16, 4]
    assert "y, 3 classes: a (100), b (80), c (20)" in said
    assert sorted([*run.test, *run.training]) == [*range(200)]
    other, _ = train(content, write, seed=7)
    assert {*other.test} != {*run.test}


def test_a_class_with_one_row_is_trained_with(write):
    for seed in range(10):
        content = made(35, x=lambda i: i, y=lambda i: "abc"[2 if i == 34 else i % 2])
        run, _ = train(content, write, seed=seed)
        assert 34 in run.training


def test_missing_values_are_dropped_or_means_of_the_training_rows(write):
    content = made(
        50,
        a=lambda i: "" if i % 10 == 3 else i,
        b=lambda i: "NA" if i % 25 == 7 else i * i,
        c=lambda i: "?" if i % 10 == 9 else "xyz"[i % 3],
        y=lambda i: "" if i == 11 else i * 0.5,
    )
    frame = pd.read_csv(io.StringIO(content), na_values="?")
    run, said = train(content, write, missing="drop")
    wanted = pd.get_dummies(frame.dropna(), columns=["c"])
    np.testing.assert_array_equal(run.dataset.x, wanted.drop(columns="y").to_numpy(float))
    assert (
        "missing: y 1 (row 13), a 5 (row 5), b 2 ('NA' in row 9), c 5 ('?' in row 11); rows left out: 13"
        in said
    )
    run, said = train(content, write, missing="mean")
    frame = frame[frame.y.notna()]
    dummies = pd.get_dummies(frame["c"], dtype=float)
    dummies[frame["c"].isna()] = np.nan
    wanted = pd.concat([frame[["a", "b"]], dummies], axis=1).reset_index(drop=True)
    wanted = wanted.fillna(wanted.loc[run.training].mean())
    np.testing.assert_allclose(run.dataset.x, wanted.to_numpy(), rtol=1e-15)
    assert "rows left out: 1, means of the training rows taken" in said
    scaling = run.model.scaling
    np.testing.assert_allclose(scaling.mean, wanted.loc[run.training].mean(), rtol=1e-13)
    np.testing.assert_allclose(scaling.std, wanted.loc[run.training].std(ddof=0), rtol=1e-13)


def test_all_rows_dropped(write, capsys):
    content = made(9, a=lambda i: "" if i % 2 else i, b=lambda i: i if i % 2 else "", y=lambda i: i)
    assert script(write(content), "--target", "y", "--missing", "drop", *QUICK) == 2
    assert "no row is left" in capsys.readouterr().err


def test_marks_of_what_is_missing(write):
    content = made(
        30, a=lambda i: -999 if i == 4 else i, b=lambda i: ["None", "some"][i % 2], y=lambda i: i
    )
    run, said = train(content, write, missing="drop", marks=("-999",))
    assert len(run.dataset.x) == 29 and run.dataset.x_names == ("a", "b=None", "b=some")
    assert "a 1 ('-999' in row 6)" in said


def test_categories_are_those_of_the_training_rows(write):
    content = made(
        20, x=lambda i: i, c=lambda i: f"only {i}" if i > 17 else "ab"[i % 2], y=lambda i: i
    )
    seen = set()
    for seed in range(12):
        run, said = train(content, write, seed=seed)
        test = [i for i in (18, 19) if i in run.test]
        known = {"c=a", "c=b", *(f"c=only {i}" for i in (18, 19) if i not in test)}
        assert {*run.dataset.x_names} == {"x", *known}
        seen.add(len(test))
        for i in test:  # neither: the shares of the training rows
            assert f"only {i}" in said and "in no training row: taken as missing" in said
            np.testing.assert_allclose(
                run.dataset.x[i, 1:], run.dataset.x[run.training, 1:].mean(axis=0)
            )
    assert seen >= {0, 1}


def test_numbers_that_differ_by_next_to_nothing(write, capsys):
    content = made(20, a=lambda i: i * 1e-200, y=lambda i: i)
    assert script(write(content), "--target", "y", *QUICK) == 2
    assert "the numbers in a differ by too little to be scaled" in capsys.readouterr().err


# Learning, beside scikit-learn


def learnable(task, rows=600):
    rng = np.random.default_rng(5)
    x, c = rng.normal(size=(rows, 3)), rng.choice(["in", "out"], rows)
    value = 1e5 * (3 + x[:, 0] - 2 * x[:, 1] * (c == "in") + 0.1 * rng.normal(size=rows))
    y = {"regression": value.round(2), "two": np.where(value > 4e5, "dear", "cheap"),
         "many": np.array(["low", "middle", "high"])[np.digitize(value, [2e5, 4e5])]}[task]  # fmt: skip
    return pd.DataFrame({**dict(zip("abc", x.T)), "place": c, "price": y}).to_csv(index=False)


@pytest.mark.parametrize("task", ["regression", "two", "many"])
def test_it_learns_as_scikit_learn_does(task, write):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run, said = train(
            learnable(task), write, "price", epochs=40, hidden=(16,), init="he",
            optimizer="adam", learning_rate=0.005, compare=True,
        )  # fmt: skip
    lines = {
        k.strip(): v
        for k, v in re.findall(r"^(this network|scikit-learn's|always .*?)  +(.*)$", said, re.M)
    }
    ours, theirs, always = (
        float(re.search(r"(?:accuracy|error) ([\d.e+]+)", line)[1]) for line in lines.values()
    )
    y, test = run.dataset.y, run.test
    if task == "regression":
        from sklearn.metrics import mean_absolute_error, r2_score

        target = run.dataset.recipe["target"]
        true, predicted = (z * target["std"] + target["mean"] for z in (y[test], run.output))
        assert ours == pytest.approx(mean_absolute_error(true, predicted), rel=1e-3)
        assert f"R2 {r2_score(true, predicted):.3f}" in lines["this network"]
        mean = (y[run.training] * target["std"] + target["mean"]).mean()
        assert always == pytest.approx(np.abs(true - mean).mean(), rel=1e-3)
        assert ours < 0.2 * always and theirs < 0.2 * always
    else:
        largest = np.bincount(
            np.argmax(y, axis=1) if task == "many" else y[:, 0].astype(int)
        ).argmax()
        share = np.mean(y[test][:, largest] if task == "many" else y[test] == largest)
        assert always == pytest.approx(share, abs=1e-3)
        assert ours > 0.9 and abs(ours - theirs) < 0.05
    assert "no better" not in said


def test_what_cannot_be_learned_is_said(write):
    rng = np.random.default_rng(0)
    content = made(
        60, **{f"x{k}": lambda i: rng.normal() for k in range(20)}, y=lambda i: rng.normal()
    )
    _, said = train(content, write, epochs=30, optimizer="adam", learning_rate=0.01, init="he")
    assert "no better than always the same" in said


def test_compiled_epochs_are_the_same(write):
    for task in ("regression", "two", "many"):
        runs = [
            train(
                learnable(task, 100), write, "price", epochs=3, hidden=(64, 32), compiled=compiled
            )[0]
            for compiled in (False, True)
        ]
        eager, compiled = (np.array([*map(tuple, run.history)]) for run in runs)
        np.testing.assert_allclose(compiled, eager, rtol=1e-9)


def test_without_numba_that_is_said(write, monkeypatch):
    find = table.importlib.util.find_spec
    monkeypatch.setattr(
        table.importlib.util,
        "find_spec",
        lambda name: None if name in ("numba", "sklearn") else find(name),
    )
    _, said = train(SMALL, write, compiled=True)
    assert "numba is not installed: NumPy calls instead of machine code" in said
    with pytest.raises(ImportError, match="compare needs scikit-learn"):
        train(SMALL, write, compare=True)


# Kept models


def keep(content, write, *options):
    assert script(write(content), *options, "--save", "model.npz", *QUICK) == 0


def predictions(*options):
    """What is written for new.csv, a dictionary for each row; None where that is refused."""
    if script("--predict", "new.csv", "--load", "model.npz", "--out", "out.csv", *options):
        return None
    with open("out.csv", encoding="utf-8", newline="") as f:
        return [*csv.DictReader(f)]


def test_answers_with_korean_names_are_right_in_a_spreadsheet_and_here(write, capsys):
    """A spreadsheet takes a file without a mark for one of its country's old encoding."""
    rows = (f"{i % 7},{'가스' if i % 2 else '중앙'},{3 * i}\n" for i in range(40))
    content = "층,난방,값\n" + "".join(rows)
    keep(content, write, "--target", "값")
    write("난방,층\n가스,3\n", "new.csv")
    assert script("--predict", "new.csv", "--load", "model.npz", "--out", "out.csv") == 0
    raw = Path("out.csv").read_bytes()
    assert raw.startswith("\ufeffrow,predicted 값".encode()) and raw.count(b"\xef\xbb\xbf") == 1
    assert [*pd.read_csv("out.csv").columns] == ["row", "predicted 값"]


@pytest.mark.parametrize("task", ["regression", "two", "many"])
def test_a_kept_model_predicts_what_the_network_said(task, write, capsys):
    content = learnable(task, 100)
    run, _ = train(content, write, "price", save="model.npz")
    frame = pd.read_csv(io.StringIO(content))
    shuffled = frame[["place", "c", "price", "a", "b"]].iloc[run.test]  # in another order
    write(shuffled.assign(more="x").to_csv(index=False, sep=";", decimal=","), "new.csv")
    found = predictions()
    output, target = run.output, run.dataset.recipe["target"]
    assert [row["row"] for row in found] == [str(i + 2) for i in range(len(run.test))]
    said = [row["predicted price"] for row in found]
    if task == "regression":
        wanted = output[:, 0] * target["std"] + target["mean"]
        np.testing.assert_allclose([float(x) for x in said], wanted, rtol=1e-9)
    else:
        if task == "two":
            shares = 1 / (1 + np.exp(-output))
            shares = np.hstack([1 - shares, shares])
        else:
            shares = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
        assert said == [target["labels"][i] for i in shares.argmax(axis=1)]
        for k, label in enumerate(target["labels"]):
            told = [float(row[f"probability {label}"]) for row in found]
            np.testing.assert_allclose(told, shares[:, k], atol=6e-5)
    out = capsys.readouterr().out
    assert "not used: more" in out and f"{len(run.test)} rows have price as well" in out
    assert script("--predict", "new.csv", "--load", "model.npz") == 0
    assert f"2,{said[0]}"[:12] in capsys.readouterr().out


PLACES = made(
    60, x=lambda i: "" if i == 3 else i, place=lambda i: ["Seoul", "Busan"][i % 2], y=lambda i: i
)
NEW = {
    "no column": ("place,z\nSeoul,1\n", "new.csv has not all columns of the model: there is no x"),
    "no columns": ("y,z\n1,1\n", "there is no x, place"),
    "unknown": ("place,x\nSeoul,1\nJeju,2\n", "row 3: place is 'Jeju', which no training row has (Busan, Seoul)"),
    "missing": ("place,x\nSeoul,\n,2\n", "values are missing: x 1 (row 2), place 1 (row 3)"),
    "text": ("place,x\nSeoul,1\nSeoul,one\n", "row 3: x is 'one', no number"),
    "inf": ("place,x\nSeoul,inf\n", "row 2: x is 'inf', no finite number"),
    "large": ("place,x\nSeoul,1e300\n", "row 2: x is '1e300', too large to be scaled"),
    "either": ('place,x\nSeoul,"1,234"\n', "1,234 in x may be 1234 or 1.234"),
    "empty": ("", "new.csv is empty"),
    "header": ("place,x\n", "new.csv has a header and no rows"),
    "twice": ("place,x,x\nSeoul,1,2\n", "columns 2 and 3 are both called x"),
}  # fmt: skip


@pytest.mark.parametrize("name", NEW)
def test_new_rows_that_do_not_fit_are_one_line(name, write, capsys):
    keep(PLACES, write, "--target", "y", "--missing", "drop")
    content, line = NEW[name]
    write(content, "new.csv")
    capsys.readouterr()
    assert predictions("--missing", "refuse") is None
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and line in err, err


def test_rows_that_lack_something_get_no_answer_or_one_by_means(write, capsys):
    keep(PLACES, write, "--target", "y", "--missing", "drop")
    write("place,x\nSeoul,1\nJeju,2\n\n,3\nBusan,4\n", "new.csv")
    found = predictions()  # as in training: drop
    assert [row["row"] for row in found] == ["2", "3", "5", "6"]
    assert [bool(row["predicted y"]) for row in found] == [True, False, False, True]
    said = capsys.readouterr().out
    assert (
        "row 3: place is 'Jeju', which no training row has" in said
        and "rows with missing or unknown values: 2 (no answer)" in said
    )
    filled = predictions("--missing", "mean")
    assert filled[0] == found[0] and filled[3] == found[3]
    arrays, settings = load_checkpoint("model.npz")
    means = np.array(settings["recipe"]["means"])
    x = np.array([[2, *means[1:]], [3, *means[1:]]])
    x = (x - arrays["mean"]) / arrays["std"]
    hidden = np.maximum(x @ arrays["parameter weight_1"] + arrays["parameter bias_1"], 0)
    y = hidden @ arrays["parameter weight"] + arrays["parameter bias"]
    target = settings["recipe"]["target"]
    wanted = y[:, 0] * target["std"] + target["mean"]
    np.testing.assert_allclose([float(r["predicted y"]) for r in filled[1:3]], wanted, rtol=1e-9)


def test_marks_and_the_decimal_sign_are_those_of_the_training(write, capsys):
    content = made(30, x=lambda i: -999 if i == 4 else i, z=lambda i: i % 4, y=lambda i: i)
    keep(content, write, "--target", "y", "--missing", "drop", "--marks", "-999")
    write("x,z\n-999,1\n5,2\n", "new.csv")
    assert [bool(row["predicted y"]) for row in predictions()] == [False, True]
    comma = "x;z;y\n" + "".join(f"{i + 1}.{i:03};{i},5;{i}\n" for i in range(30))
    keep(comma, write, "--target", "y")
    _, settings = load_checkpoint("model.npz")
    assert settings["recipe"]["decimal"] == "," and settings["recipe"]["means"][0] > 1000
    write("x;z\n3.002;7\n", "new.csv")  # thousands there, and here?
    capsys.readouterr()
    assert predictions() is None
    assert "3.002 in x may be 3.002 or 3002: say --decimal" in capsys.readouterr().err
    assert predictions("--decimal", ",") != predictions("--decimal", ".")
    write("x;z\n3.002;7,5\n", "new.csv")
    (row,) = predictions()
    write("x;z\n3002;7.5\n", "new.csv")
    assert predictions() == [row]


def test_two_epochs_and_two_more_are_four(write, capsys):
    name, options = write(learnable("many", 100)), ["--report", "0", "--hidden", "8", "--eager"]
    target = ["--target", "price"]
    assert script(name, *target, *options, "--epochs", "4", "--save", "four.npz") == 0
    assert script(name, *target, *options, "--epochs", "2", "--save", "two.npz") == 0
    assert script(name, "--load", "two.npz", *options, "--epochs", "2", "--save", "more.npz") == 0
    (four, _), (more, _) = load_checkpoint("four.npz"), load_checkpoint("more.npz")
    assert four.keys() == more.keys()
    for key, x in four.items():
        np.testing.assert_array_equal(x, more[key], err_msg=key)
    capsys.readouterr()
    write(learnable("many", 90))
    assert script(name, "--load", "two.npz", *options) == 2
    assert "two.npz was trained with 100 rows" in capsys.readouterr().err


def broken_recipes(recipe):
    yield {}
    yield [recipe]
    for key in recipe:
        yield {k: v for k, v in recipe.items() if k != key}
        for value in (None, [], {}, "", "x", -1, [1], [[]], [None]):
            if value != recipe[key] and (key, value) != ("marks", []):
                yield {**recipe, key: value}
    for key in recipe["target"]:
        for value in (None, {}, "x", [None], ["a", "a"], [1, 2]):
            if value != recipe["target"][key] and not (key == "name" and value == "x"):
                yield {**recipe, "target": {**recipe["target"], key: value}}
    for column in (
        {},
        {"name": "a"},
        {"name": 1, "categories": None},
        {"name": "a", "categories": [1]},
    ):
        yield {**recipe, "inputs": [column, *recipe["inputs"][1:]]}
    yield {**recipe, "target": {**recipe["target"], "std": 0}}
    yield {**recipe, "means": [1e999] * len(recipe["means"])}
    yield {**recipe, "more": 1}


def test_a_model_from_elsewhere_is_one_line(write, capsys):
    keep(PLACES, write, "--target", "y", "--missing", "drop")
    write("place,x\nSeoul,1\n", "new.csv")
    arrays, settings = load_checkpoint("model.npz")
    tried = [{**settings, "recipe": r} for r in broken_recipes(settings["recipe"])]
    tried.append({k: v for k, v in settings.items() if k != "recipe"})
    for widths in (
        None,
        [],
        [3],
        [3, 4, 2],
        [2, 4, 1],
        [3, True, 1],
        [3, -4, 1],
        [3, 10**12, 1],
        [3, 5, 1],
    ):
        tried.append({**settings, "widths": widths})
    for wrong in tried:
        save_checkpoint("model.npz", arrays, wrong)
        capsys.readouterr()
        assert predictions() is None, (wrong["recipe"], wrong["widths"])
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "Traceback" not in err, err
    assert len(tried) > 90
    for key in ("parameter weight_1", "parameter bias", "mean", "std"):
        save_checkpoint("model.npz", {k: v for k, v in arrays.items() if k != key}, settings)
        assert predictions() is None
    save_checkpoint("model.npz", {**arrays, "std": -arrays["std"]}, settings)
    assert predictions() is None


def test_what_predict_does_not_take(write, capsys):
    keep(PLACES, write, "--target", "y", "--missing", "drop")
    write("place,x\nSeoul,1\n", "new.csv")
    capsys.readouterr()
    for options, line in [
        (["--out", "new.csv"], "--out cannot be a file that is read: new.csv"),
        (["--out", "model.npz"], "--out cannot be a file that is read: model.npz"),
        (["--out", "no/out.csv"], "there is no folder"),
        (["--save", "a.npz"], "--predict trains nothing: without --save"),
        (["--compare"], "--predict trains nothing: without --compare"),
        (["data.csv"], "--predict trains nothing: without data"),
    ]:
        assert script("--predict", "new.csv", "--load", "model.npz", *options) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and line in err, err
    assert script("--predict", "new.csv") == 2
    assert "--predict needs a model: --load model.npz" in capsys.readouterr().err


# What else comes out


@pytest.mark.parametrize("task", ["regression", "two", "many"])
def test_an_exported_table_takes_numbers_and_gives_answers_in_units(task, write):
    onnxruntime = pytest.importorskip("onnxruntime")
    run, said = train(learnable(task, 100), write, "price", onnx="model.onnx")
    assert "model.onnx takes x: a, b, c, place=in, place=out" in said
    session = onnxruntime.InferenceSession("model.onnx")
    (found,) = session.run(None, {"x": run.dataset.x[run.test]})
    output, target = run.output, run.dataset.recipe["target"]
    wanted = {
        "regression": output * target["std"] + target["mean"],
        "two": 1 / (1 + np.exp(-output)),
        "many": np.exp(output) / np.exp(output).sum(axis=1, keepdims=True),
    }[task]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_source_graph_plot_and_seeds(write, capsys):
    name = write(learnable("two", 100))
    assert script(name, "--target", "price", "--hidden", "4", "--source") == 0
    out = capsys.readouterr().out
    assert out.startswith("import numpy") and "G_weight_1 = " in out
    compile(out, "backprop", "exec")
    assert script(name, "--target", "price", "--hidden", "4", "--graph", "graph.txt") == 0
    assert script(name, "--target", "price", *QUICK, "--plot", "curves.svg", "--metrics") == 0
    assert "F1 of dear = " in capsys.readouterr().out
    assert script(name, "--target", "price", *QUICK, "--seeds", "2") == 0
    out = capsys.readouterr().out
    assert "accuracy of 2 seeds = " in out
    assert out.count("2 classes: cheap (") == 1  # what was found, said once


# Size: a million rows and 5,000 columns in the full form

PREPARE = """
import resource, sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np, table
from table_columns import Choices
from table_file import read_table
from table_numbers import Numbers
from table_prepare import prepare_table

before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
read = read_table("data.csv")
dataset = prepare_table(read, Numbers(read), Choices("y"), 0).dataset
seconds = time.perf_counter() - start
more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
print(seconds, more, *dataset.x.shape, *dataset.x[:, :-2].sum(axis=0)[[0, -1]].tolist())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is counted in its units")
@pytest.mark.parametrize("size", [(10**6, 6), (1000, 5000)] if FULL else [(5000, 6), (100, 500)])
def test_long_and_wide_tables_take_sensible_time_and_memory(size, write):
    rows, columns = size
    rng = np.random.default_rng(0)
    x = rng.integers(-999, 999, (rows, columns)) / 8  # their sums are exact
    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(columns)])
    write(frame.assign(kind=rng.choice(["one", "two"], rows), y=x[:, 0]).to_csv(index=False))
    command = [sys.executable, "-c", PREPARE, str(Path(table.__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, more, *found = map(float, done.stdout.split())
    assert found == [rows, columns + 2, x[:, 0].sum(), x[:, -1].sum()]
    fields = rows * (columns + 2)  # some 2 microseconds and 90 bytes each, on a machine of its own
    assert seconds < 5 + 20e-6 * fields, f"{seconds:.1f} s for {fields} fields"
    assert more < 2**27 + 150 * fields, f"{more / fields:.0f} bytes a field"
