"""The data sets: read right or refused, downloaded whole or not at all, and never made up without saying so."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import socket
import sys
import threading
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import datasets
import downloads
import numpy as np
import pooch
import pytest

NAMES = ("abalone", "pulsar", "steel")
PUBLISHED = dict(datasets.TABLES)
REAL = os.environ.get("TINYGRAD_STEEL_DATA")
HEADERS = {  # where a test makes a file of its own
    "abalone": "Sex,Length,Diameter,Height,Whole weight,Shucked weight,Viscera weight,Shell weight,Rings",
    "pulsar": ",".join(f" feature {i}" for i in range(8)) + ",target_class",
    "steel": ",".join(f"column_{i}" for i in range(34)),
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reaches the network, the user's cache or, unless it asks for it, the folder with the real data."""
    monkeypatch.delenv("TINYGRAD_STEEL_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    with socket.socket() as closed:  # bound, but nobody listens: a connection is refused at once
        closed.bind(("127.0.0.1", 0))
        for name, table in PUBLISHED.items():
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/{name}.zip"
            monkeypatch.setitem(datasets.TABLES, name, replace(table, url=url))
        yield


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tinygrad_steel"


@pytest.fixture(params=NAMES)
def real(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """A data set's name and its real CSV."""
    return request.param, real_file(request.param)


def real_file(name: str) -> Path:
    path = Path(REAL or "", PUBLISHED[name].files[0])
    if REAL and path.is_file():
        return path
    reason = f"{path.name} is not here: set TINYGRAD_STEEL_DATA to the folder that holds it"
    return (
        pytest.fail(f"under CI the real data must be there; {reason}")
        if os.environ.get("CI")
        else pytest.skip(reason)
    )


def publish(name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make the stand-in's table the published one, and return it as the lines of a CSV without a header."""
    lines, digest = stand_in_as_text(name)
    monkeypatch.setitem(datasets.TABLES, name, replace(datasets.TABLES[name], sha256=digest))
    return lines.copy()


@cache
def stand_in_as_text(name: str) -> tuple[list[str], str]:
    data = datasets.load(name, "synthetic")
    table = np.hstack([data.x, data.y])
    rows = [[repr(value) for value in row] for row in table.tolist()]
    if name == "abalone":
        rows = [["IMF"[row.index("1.0")], *row[3:]] for row in rows]
    return [",".join(row) for row in rows], hashlib.sha256(
        table.astype("<f8").tobytes()
    ).hexdigest()


def save(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode())
    return path


@cache
def zipped(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(member, content)
    return buffer.getvalue()


def assert_same(a: datasets.Dataset, b: datasets.Dataset) -> None:
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.y, b.y)


# The real files.


def test_real_values(real: tuple[str, Path]) -> None:
    name, path = real
    header = [
        field.strip() for field in path.read_text(encoding="utf-8").splitlines()[0].split(",")
    ]
    text = np.genfromtxt(path, delimiter=",", skip_header=1, dtype=str, autostrip=True)
    if name == "abalone":
        one_hot = np.stack([text[:, 0] == letter for letter in "IMF"], axis=1)
        x, y = np.hstack([one_hot, text[:, 1:-1].astype(float)]), text[:, -1:].astype(float)
        header[:1] = ["Sex_I", "Sex_M", "Sex_F"]
    else:
        x, y = np.split(
            text.astype(np.float32).astype(np.float64), [8 if name == "pulsar" else 27], axis=1
        )
    data = datasets.load(name, path)
    assert data.x.dtype == data.y.dtype == np.float64
    np.testing.assert_array_equal(data.x, x)
    np.testing.assert_array_equal(data.y, y)
    assert (*data.x_names, *data.y_names) == tuple(header)
    assert (data.name, data.source, data.synthetic) == (name, str(path), "")


def test_what_the_table_says_of_the_real_data(real: tuple[str, Path]) -> None:
    name, path = real
    table = PUBLISHED[name]
    ranges = np.array([entry[1:3] for entry in table.numbers])
    last = {"abalone": None, "pulsar": -1, "steel": -7}[name]
    numbers = np.loadtxt(
        path,
        delimiter=",",
        skiprows=1,
        usecols=range(name == "abalone", 9 if name != "steel" else 34),
    )
    np.testing.assert_array_equal(numbers[:, :last].min(axis=0), ranges[:, 0])
    np.testing.assert_array_equal(numbers[:, :last].max(axis=0), ranges[:, 1])
    assert [whole for *_, whole in table.numbers] == (numbers[:, :last] % 1 == 0).all(
        axis=0
    ).tolist()
    data = datasets.load(name, path)
    groups = {"abalone": data.x[:, :3], "pulsar": np.hstack([1 - data.y, data.y]), "steel": data.y}[
        name
    ]
    assert list(table.groups.values()) == groups.sum(axis=0).tolist()


def test_ucis_own_form_of_the_real_data(real: tuple[str, Path], tmp_path: Path) -> None:
    name, path = real
    text = path.read_bytes().split(b"\n", 1)[1]
    raw = tmp_path / "uci" / PUBLISHED[name].files[1]
    raw.parent.mkdir()
    raw.write_bytes(text.replace(b",", b"\t") if name == "steel" else text)
    for data in (raw, raw.parent, str(raw.parent)):
        found = datasets.load(name, data)
        assert_same(found, datasets.load(name, path))
        assert found.source == str(raw)


def test_one_changed_digit_is_refused(real: tuple[str, Path], tmp_path: Path) -> None:
    name, path = real
    text = path.read_text(encoding="utf-8")
    at = text.rindex("1", 0, text.rindex("\n", 0, -200))
    changed = tmp_path / path.name
    changed.write_text(text[:at] + "2" + text[at + 1 :], encoding="utf-8")
    with pytest.raises(
        ValueError, match=f"{path.name} is not the published table: its numbers have the SHA-256"
    ):
        datasets.load(name, changed)


def test_a_float64_digit_that_float32_does_not_see_is_refused(tmp_path: Path) -> None:
    text = real_file("pulsar").read_text(encoding="utf-8")
    assert text.count("55.68378214") == 1
    changed = tmp_path / "pulsar_stars.csv"
    changed.write_text(text.replace("55.68378214", "55.68378215"), encoding="utf-8")
    with pytest.raises(ValueError, match="is not the published table"):
        datasets.load("pulsar", changed)


# What is tolerated, and what is not.

LOOKS: dict[str, Callable[[list[str], str], str]] = {
    "header": lambda lines, header: "\n".join([header, *lines, ""]),
    "no header": lambda lines, header: "\n".join([*lines, ""]),
    "BOM": lambda lines, header: "\ufeff" + "\n".join([header, *lines, ""]),
    "BOM, no header": lambda lines, header: "\ufeff" + "\n".join([*lines, ""]),
    "CRLF": lambda lines, header: "\r\n".join([header, *lines, ""]),
    "CR": lambda lines, header: "\r".join([header, *lines, ""]),
    "spaces": lambda lines, header: "\n".join(
        ["  " + line.replace(",", " ,  ") + " " for line in [header, *lines]]
    ),
    "no final newline": lambda lines, header: "\n".join([header, *lines]),
    "blank last lines": lambda lines, header: "\n".join([header, *lines, "", "  ", ""]),
    "tabs": lambda lines, header: "\n".join([header, *lines, ""]).replace(",", "\t"),
    "tabs, no header, CRLF": lambda lines, header: "\r\n".join([*lines, ""]).replace(",", "\t"),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ["abalone", "steel"])
def test_tolerated(name: str, look: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "any name"
    path.write_bytes(LOOKS[look](publish(name, monkeypatch), HEADERS[name]).encode())
    data = datasets.load(name, path)
    assert_same(data, datasets.load(name, "synthetic"))
    assert (data.source, data.synthetic) == (str(path), "")


def put(row: int, column: int, field: str) -> Callable[[list[str]], None]:
    """An edit of a file's lines: another field at this place, both counted from 0."""

    def edit(lines: list[str]) -> None:
        fields = lines[row].split(",")
        fields[column] = field
        lines[row] = ",".join(fields)

    return edit


MISTAKES: list[tuple[Callable[[list[str]], None], str]] = [
    (put(5, 0, "X"), "row 6, column Sex: the field is 'X', not one of I, M, F"),
    (put(5, 0, "m"), "row 6, column Sex: the field is 'm', not one of I, M, F"),
    (put(5, 0, "0.5"), "row 6, column Sex: the field is '0.5', not one of I, M, F"),
    (put(5, 0, ""), "row 6, column Sex: the field is empty"),
    (put(2, 4, ""), "row 3, column Whole weight: the field is empty"),
    (put(2, 4, "  "), "row 3, column Whole weight: the field is empty"),
    (put(1, 1, "?"), "row 2, column Length: the field is '?', not a finite number"),
    (put(1, 1, "M"), "row 2, column Length: the field is 'M', not a finite number"),
    (put(4177, 8, "nine"), "row 4178, column Rings: the field is 'nine', not a finite number"),
    (put(9, 8, "nan"), "row 10, column Rings: the field is 'nan', not a finite number"),
    (put(9, 7, "-inf"), "row 10, column Shell weight: the field is '-inf', not a finite number"),
    (put(9, 7, "1e999"), "row 10, column Shell weight: the field is '1e999', not a finite number"),
    (put(9, 7, "0_1"), "row 10, column Shell weight: the field is '0_1', not a finite number"),
    (
        put(9, 7, "\u0661"),
        "row 10, column Shell weight: the field is '\u0661', not a finite number",
    ),
    (put(9, 7, "0.1\udcff"), "row 10, column Shell weight: the field is not UTF-8 text"),
    (put(9, 7, "0.1\0"), "row 10, column Shell weight: the field is not UTF-8 text"),
    (put(0, 2, "Diam\udce9tre"), "row 1, column Diameter: the field is not UTF-8 text"),
    (put(7, 8, "9,9"), "row 8: the number of columns is 10 instead of 9, Sex to Rings"),
    (put(7, 8, "9,"), "row 8: the number of columns is 10 instead of 9, Sex to Rings"),
    (
        lambda lines: lines.insert(3, "M,0.5"),
        "row 4: the number of columns is 2 instead of 9, Sex to Rings",
    ),
    (
        lambda lines: lines.insert(3, ""),
        "row 4: the number of columns is 1 instead of 9, Sex to Rings",
    ),
    (
        lambda lines: lines.insert(1, lines[0]),
        "row 2, column Sex: the field is 'Sex', not one of I, M, F",
    ),
    (lambda lines: lines.pop(), "is not the published table: 4176 rows instead of 4177"),
    (
        lambda lines: lines.append(lines[-1]),
        "is not the published table: 4178 rows instead of 4177",
    ),
    (
        lambda lines: lines.__delitem__(slice(1, None)),
        "is not the published table: 0 rows instead of 4177",
    ),
    (
        lambda lines: lines.reverse() or lines.insert(0, lines.pop()),
        "is not the published table: its numbers have",
    ),
]


@pytest.mark.parametrize(("edit", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_refused(
    edit: Callable[[list[str]], None], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [HEADERS["abalone"], *publish("abalone", monkeypatch)]
    edit(lines)
    path = tmp_path / "abalone.csv"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(
        ValueError, match=f"^{re.escape(str(path))},? {re.escape(message)}"
    ) as caught:
        datasets.load("abalone", path)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_first_row_is_not_taken_for_a_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = publish("abalone", monkeypatch)
    put(0, 3, "?")(lines)
    with pytest.raises(ValueError, match=r"row 1, column Height: the field is '\?'"):
        datasets.load("abalone", save(tmp_path / "abalone.data", lines))


def test_a_mistake_between_tabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = publish("steel", monkeypatch)
    put(1940, 33, "")(lines)
    path = save(tmp_path / "Faults.NNA", [line.replace(",", "\t") for line in lines])
    with pytest.raises(ValueError, match="row 1941, column Other_Faults: the field is empty"):
        datasets.load("steel", path)


def test_swapped_columns_are_refused_with_their_header_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [HEADERS["abalone"], *publish("abalone", monkeypatch)]
    rows = [line.split(",") for line in lines]
    swapped = [",".join([row[0], row[2], row[1], *row[3:]]) for row in rows]
    with pytest.raises(ValueError, match="is not the published table: its numbers have"):
        datasets.load("abalone", save(tmp_path / "abalone.csv", swapped))


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b" \r\n\r\n"])
def test_an_empty_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "faults.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"faults\.csv is empty$"):
        datasets.load("steel", path)


def test_another_data_sets_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "abalone.data", publish("abalone", monkeypatch))
    with pytest.raises(
        ValueError,
        match="row 1: the number of columns is 9 instead of 34, X_Minimum to Other_Faults",
    ):
        datasets.load("steel", path)


@pytest.mark.parametrize("name", NAMES)
def test_the_stand_in_is_not_the_published_table(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "file", publish(name, monkeypatch))
    monkeypatch.setitem(datasets.TABLES, name, PUBLISHED[name])
    with pytest.raises(ValueError, match="is not the published table: its numbers have"):
        datasets.load(name, path)


@pytest.mark.parametrize("missing", ["nowhere", "nowhere/faults.csv", "."])
def test_a_missing_file_is_named(missing: str, tmp_path: Path) -> None:
    path = tmp_path / missing
    with pytest.raises(
        FileNotFoundError, match=re.escape(f"{path}: ") + r".* faults\.csv or Faults\.NNA"
    ):
        datasets.load("steel", path)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no data set 'iris', only abalone, pulsar, steel"):
        datasets.load("iris")


# The stand-in.


@pytest.mark.parametrize("name", NAMES)
def test_stand_in_has_the_shape_of_the_real_data(name: str) -> None:
    data, table = datasets.load(name, "synthetic"), PUBLISHED[name]
    assert data.synthetic == "synthetic stand-in, as asked for; figures are not the published ones"
    rows, inputs, outputs = {
        "abalone": (4177, 10, 1),
        "pulsar": (17898, 8, 1),
        "steel": (1941, 27, 7),
    }[name]
    assert (data.x.shape, data.y.shape) == ((rows, inputs), (rows, outputs))
    assert (len(data.x_names), len(data.y_names)) == (inputs, outputs)
    assert data.x.dtype == data.y.dtype == np.float64
    numbers = {"abalone": np.hstack([data.x[:, 3:], data.y]), "pulsar": data.x, "steel": data.x}[
        name
    ]
    ranges = np.array([entry[1:3] for entry in table.numbers])
    if name != "abalone":
        ranges = ranges.astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(numbers.min(axis=0), ranges[:, 0])
    np.testing.assert_array_equal(numbers.max(axis=0), ranges[:, 1])
    assert [whole for *_, whole in table.numbers] == (numbers % 1 == 0).all(axis=0).tolist()
    groups = {"abalone": data.x[:, :3], "pulsar": np.hstack([1 - data.y, data.y]), "steel": data.y}[
        name
    ]
    counts = {
        "abalone": [1342, 1528, 1307],
        "pulsar": [16259, 1639],
        "steel": [158, 190, 391, 72, 55, 402, 673],
    }[name]
    assert groups.sum(axis=0).tolist() == counts
    np.testing.assert_array_equal(np.sort(groups, axis=1)[:, -2:], [[0, 1]] * rows)


@pytest.mark.parametrize("name", NAMES)
def test_stand_in_is_always_the_same_and_mixed(name: str) -> None:
    data = datasets.load(name, "synthetic")
    np.random.default_rng().normal(size=3)
    assert_same(data, datasets.load(name, "synthetic"))
    half = len(data.y) // 2
    np.testing.assert_allclose(data.y[:half].mean(axis=0), data.y[half:].mean(axis=0), rtol=0.5)


@pytest.mark.parametrize(("name", "wanted"), [("abalone", 0.6), ("pulsar", 0.95), ("steel", 0.6)])
def test_stand_in_can_be_learned(name: str, wanted: float) -> None:
    data = datasets.load(name, "synthetic")
    x = np.hstack([(data.x - data.x.mean(axis=0)) / data.x.std(axis=0), np.ones((len(data.x), 1))])
    train, test = slice(0, None, 2), slice(1, None, 2)
    guess, y = x[test] @ np.linalg.lstsq(x[train], data.y[train], rcond=None)[0], data.y[test]
    score = {
        "abalone": lambda: 1 - np.square(y - guess).mean() / y.var(),  # the mean scores 0
        "pulsar": lambda: np.mean((guess > 0.5) == y),  # the majority: 0.91
        "steel": lambda: np.mean(guess.argmax(axis=1) == y.argmax(axis=1)),  # the majority: 0.35
    }[name]()
    assert wanted < score < 0.999


# Where it is looked for.


Answer = tuple[int, bytes] | Callable[[], Iterator[bytes]]


class Server:
    """UCI on the loopback: `answers` maps a path to a status and a body; `asked` lists the paths asked for.

    A function in place of an answer writes what it likes, piece by piece, into the socket.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.missing_bytes = 0
        self.delay = 0.0
        self.stopped = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.stopped.wait(server.delay)
                with contextlib.suppress(OSError):  # whoever asked has gone
                    self.answer(server.answers.get(self.path, (404, b"not here")))

            def answer(self, answer: Answer) -> None:
                if callable(answer):
                    for piece in answer():
                        self.wfile.write(piece)
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) + server.missing_bytes))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    for name in NAMES:
        table = replace(datasets.TABLES[name], url=f"{server.address}/{name}.zip")
        monkeypatch.setitem(datasets.TABLES, name, table)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stopped.set()
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def serve(server: Server, name: str, lines: list[str]) -> bytes:
    """Let the server have these lines as UCI has them; returns the file in the archive."""
    content = ("\n".join(lines) + "\n").replace(",", "\t" if name == "steel" else ",").encode()
    server.answers[f"/{name}.zip"] = (200, zipped(PUBLISHED[name].files[1], content))
    return content


def test_the_addresses_are_ucis() -> None:
    root = "https://archive.ics.uci.edu/static/public"
    assert {name: (table.url, table.files[1]) for name, table in PUBLISHED.items()} == {
        "abalone": (f"{root}/1/abalone.zip", "abalone.data"),
        "pulsar": (f"{root}/372/htru2.zip", "HTRU_2.csv"),
        "steel": (f"{root}/198/steel+plates+faults.zip", "Faults.NNA"),
    }


@pytest.mark.parametrize("data", [None, "uci"])
@pytest.mark.parametrize("name", NAMES)
def test_download_once(
    name: str,
    data: str | None,
    server: Server,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(
        pooch.get_logger(), "handlers", [caplog.handler]
    )  # it is outside of logging's tree
    pooch.get_logger().setLevel("NOTSET")  # as it is at first
    content = serve(server, name, publish(name, monkeypatch))
    for _ in range(2):
        got = datasets.load(name, data)
        assert_same(got, datasets.load(name, "synthetic"))
        assert (got.source, got.synthetic) == ("UCI", "")
        assert [path.name for path in kept.iterdir()] == [PUBLISHED[name].files[1]]
    assert (kept / PUBLISHED[name].files[1]).read_bytes() == content
    assert server.asked == [f"/{name}.zip"]
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_download_of_the_real_data(server: Server) -> None:
    path = real_file("steel")
    serve(server, "steel", path.read_text(encoding="utf-8").splitlines()[1:])
    assert_same(datasets.load("steel", "uci"), datasets.load("steel", path))


def test_lookup_order(
    server: Server, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = publish("abalone", monkeypatch)
    serve(server, "abalone", lines)
    given, folder = save(tmp_path / "given", lines), tmp_path / "folder"
    save(kept / "abalone.data", lines)
    named = save(folder / "abalone.data", lines)
    monkeypatch.setenv("TINYGRAD_STEEL_DATA", str(folder))
    assert datasets.load("abalone", given).source == str(given)
    assert datasets.load("abalone").source == datasets.load("abalone", "uci").source == str(named)
    both = save(folder / "abalone.csv", lines)
    assert datasets.load("abalone").source == str(both)
    assert datasets.load("abalone", "synthetic").synthetic

    monkeypatch.setenv("TINYGRAD_STEEL_DATA", str(tmp_path / "empty"))
    assert datasets.load("abalone").source == datasets.load("abalone", "uci").source == "UCI"
    assert server.asked == []
    (kept / "abalone.data").unlink()
    assert datasets.load("abalone").source == "UCI"
    assert server.asked == ["/abalone.zip"]


@pytest.mark.parametrize("data", [None, "uci"])
@pytest.mark.parametrize("place", ["folder", "cache/tinygrad_steel"])
def test_a_broken_file_is_not_passed_over(
    place: str, data: str | None, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = publish("abalone", monkeypatch)
    serve(server, "abalone", lines)
    broken = save(tmp_path / place / "abalone.data", lines[:-1])
    monkeypatch.setenv("TINYGRAD_STEEL_DATA", str(tmp_path / "folder"))
    with pytest.raises(
        ValueError, match=re.escape(f"{broken} is not the published table: 4176 rows")
    ):
        datasets.load("abalone", data)
    assert server.asked == []


def assert_unreachable(name: str, why: str, kept: Path) -> None:
    """Without a word there is the stand-in, which says why; "uci" is an error, which says it too."""
    data = datasets.load(name)
    assert data.synthetic == f"synthetic stand-in: {why}; figures are not the published ones"
    assert_same(data, datasets.load(name, "synthetic"))
    with pytest.raises(
        ConnectionError, match=re.escape(f"{datasets.TABLES[name].url}: {why}")
    ) as caught:
        datasets.load(name, "uci")
    assert "\n" not in str(caught.value)
    assert not kept.exists()


@pytest.mark.parametrize("name", NAMES)
def test_offline(name: str, kept: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert_unreachable(name, "UCI could not be reached", kept)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, "503 Service Unavailable"),
        (500, "500 Internal Server Error"),
        (404, "404 Not Found"),
        (403, "403 Forbidden"),
        (204, "204 No Content"),
        (599, "599"),
    ],
)
def test_an_answer_that_is_no_file_is_told_from_no_network(
    status: int, said: str, server: Server, kept: Path
) -> None:
    server.answers["/steel.zip"] = (status, b"" if status == 204 else b"later")
    assert_unreachable("steel", f"UCI answered {said}", kept)


def test_a_servers_own_words_are_not_printed(server: Server, kept: Path) -> None:
    server.answers["/steel.zip"] = lambda: iter([b"HTTP/1.0 418 \x1b[31mred\x07\r\n\r\n"])
    assert_unreachable("steel", "UCI answered 418 I'm a Teapot", kept)


def trickle(server: Server, *start: bytes) -> Callable[[], Iterator[bytes]]:
    """Bytes at once, then one now and then, for ever: no single pause is long."""

    def answer() -> Iterator[bytes]:
        yield from start
        while not server.stopped.wait(0.02):
            yield b"x"

    return answer


HEAD = b"HTTP/1.0 200 OK\r\n"
SLOW = {
    "in the status": (),
    "in the headers": (HEAD, b"X-Long: "),
    "in the body": (HEAD, b"\r\n"),
    "in a body of known length": (HEAD, b"Content-Length: 1000000\r\n\r\n"),
}


@pytest.mark.parametrize("place", SLOW)
def test_a_server_that_sends_a_byte_now_and_then(
    place: str, server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/steel.zip"] = trickle(server, *SLOW[place])
    monkeypatch.setattr(downloads, "PATIENCE", 0.3)
    start = time.monotonic()
    assert_unreachable("steel", "UCI was too slow, 0.3 seconds were not enough", kept)
    assert 0.6 <= time.monotonic() - start < 5  # twice


def pieces(*start: bytes) -> Callable[[], Iterator[bytes]]:
    """Bytes, then more and more of them."""

    def answer() -> Iterator[bytes]:
        yield from start
        while True:
            yield bytes(65536)

    return answer


def packed_endlessly() -> Iterator[bytes]:
    """A body that says of itself that it is packed, and unpacks to a thousand times its length."""
    packer = zlib.compressobj(wbits=31)
    yield HEAD + b"Content-Encoding: gzip\r\n\r\n"
    while True:
        yield packer.compress(bytes(2**24))


@pytest.mark.parametrize(
    "answer",
    [
        pieces(HEAD, b"\r\n"),
        pieces(HEAD, b"Content-Length: 100000000000\r\n\r\n"),
    ],
    ids=["no end", "a long length"],
)
def test_a_body_without_an_end(
    answer: Callable[[], Iterator[bytes]],
    server: Server,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.answers["/steel.zip"] = answer
    monkeypatch.setattr(downloads, "LARGEST", 1_000_000)
    with pytest.raises(ValueError, match=r"/steel.zip sent more than 1000000 bytes$"):
        datasets.load("steel", "uci")
    assert not kept.exists()


def test_a_packed_body_is_not_unpacked(server: Server, kept: Path) -> None:
    """It would be gigabytes."""
    first = b"".join(part for part, _ in zip(packed_endlessly(), range(8)))
    server.answers["/steel.zip"] = lambda: iter([first])
    most = peak_of(lambda: refused("steel", "did not send a sound zip archive"))
    assert most < 20_000_000 and not kept.exists()


def refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        datasets.load(name, "uci")


def peak_of(function: Callable[[], None]) -> int:
    """The most bytes that a function holds at a time."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bomb(method: int) -> bytes:
    """Some kilobytes of an archive with sixty million in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, archive.open("Faults.NNA", "w") as f:
        for _ in range(60):
            f.write(bytes(1_000_000))
    return buffer.getvalue()


def lying(archive: bytes, size: int) -> bytes:
    """The same archive, saying of its file that it has so many bytes."""
    changed = bytearray(archive)
    at = changed.rindex(b"PK\x01\x02")
    changed[at + 24 : at + 28] = size.to_bytes(4, "little")
    return bytes(changed)


def flagged(archive: bytes) -> bytes:
    """The same archive, saying that it is encrypted."""
    changed = bytearray(archive)
    changed[6] |= 1
    changed[changed.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


ODD: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: bomb(zipfile.ZIP_DEFLATED),
    "a bomb that says it is none": lambda: lying(bomb(zipfile.ZIP_DEFLATED), 100_000),
    "a bomb of bz2": lambda: bomb(zipfile.ZIP_BZIP2),
    "a bomb of bz2 that says it is none": lambda: lying(bomb(zipfile.ZIP_BZIP2), 100_000),
    "a bomb of lzma that says it is none": lambda: lying(bomb(zipfile.ZIP_LZMA), 100_000),
    "one that says it is huge": lambda: lying(zipped("Faults.NNA", b"1"), 2**32 - 2),
    "encrypted": lambda: flagged(zipped("Faults.NNA", b"1\n")),
    "a name outside": lambda: zipped("../Faults.NNA", b"1\n"),
    "a folder of that name": lambda: zipped("Faults.NNA/", b""),
    "gzip": lambda: zlib.compress(b"1\n", wbits=31),
    "an end alone": lambda: b"PK\x05\x06" + bytes(18),
    "an end with a wild offset": lambda: b"PK\x05\x06" + b"\xff" * 16 + bytes(2),
    "a directory cut off": lambda: zipped("Faults.NNA", b"1\n" * 99)[-60:],
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_archive_is_one_line(odd: str, server: Server, kept: Path) -> None:
    archive = ODD[odd]()
    server.answers["/steel.zip"] = (200, archive)
    message = f"{server.address}/steel.zip did not send a sound zip archive with Faults.NNA in it"
    most = peak_of(lambda: refused("steel", f"^{re.escape(message)}$"))
    assert most < 20_000_000 + 3 * len(archive)
    assert not kept.exists()


def test_redirected_for_ever(server: Server, kept: Path) -> None:
    again = f"HTTP/1.0 302 Found\r\nLocation: {server.address}/steel.zip\r\n\r\n".encode()
    server.answers["/steel.zip"] = lambda: iter([again])
    assert_unreachable("steel", "UCI could not be reached", kept)


@pytest.mark.parametrize("noise", [b"", b"\r\n" * 50, b"\x00" * 2000, b"SSH-2.0-OpenSSH\r\n"])
def test_something_else_than_http(noise: bytes, server: Server, kept: Path) -> None:
    server.answers["/steel.zip"] = lambda: iter([noise])
    assert_unreachable("steel", "UCI could not be reached", kept)


def test_a_disk_that_is_full_leaves_no_half_file_in_the_cache(
    server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, "steel", publish("steel", monkeypatch))

    def half(path: Path, content: bytes) -> None:
        with open(path, "wb") as f:
            f.write(content[: len(content) // 2])
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        assert datasets.load("steel").source == "UCI"
    assert [*kept.iterdir()] == []
    assert datasets.load("steel").source == "UCI"
    assert [path.name for path in kept.iterdir()] == ["Faults.NNA"]


def test_connection_lost(server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(server, "abalone", publish("abalone", monkeypatch))
    server.missing_bytes = 1000
    assert_unreachable("abalone", "UCI could not be reached", kept)


def test_no_answer(server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(server, "abalone", publish("abalone", monkeypatch))
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    server.delay = 2
    assert_unreachable("abalone", "UCI could not be reached", kept)


def test_without_pooch(kept: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(server, "abalone", publish("abalone", monkeypatch))
    monkeypatch.setitem(sys.modules, "pooch", None)
    why = 'pooch is not installed (pip install "tinygrad_steel[examples]")'
    assert_unreachable("abalone", why, kept)


def broken_zip(content: bytes) -> bytes:
    archive = bytearray(zipped("Faults.NNA", content))
    archive[len(archive) // 2] ^= 0xFF
    return bytes(archive)


WRONG: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a page": (
        lambda content: b"<html>please log in</html>",
        "a sound zip archive with Faults.NNA in it",
    ),
    "nothing": (lambda content: b"", "a sound zip archive with Faults.NNA in it"),
    "another file": (
        lambda content: zipped("Index", content),
        "a sound zip archive with Faults.NNA in it",
    ),
    "half": (
        lambda content: zipped("Faults.NNA", content)[:50_000],
        "a sound zip archive with Faults.NNA in it",
    ),
    "a flipped byte": (broken_zip, "a sound zip archive with Faults.NNA in it"),
    "an empty file": (lambda content: zipped("Faults.NNA", b""), "is empty"),
    "a row less": (
        lambda content: zipped("Faults.NNA", content[: content.rindex(b"\n", 0, -1)]),
        "is not the published table: 1940 rows instead of 1941",
    ),
    "another number": (
        lambda content: zipped("Faults.NNA", content.replace(b"7", b"8", 1)),
        "is not the published table: its numbers have the SHA-256",
    ),
}


@pytest.mark.parametrize("data", [None, "uci"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_download_is_an_error(
    wrong: str, data: str | None, server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, message = WRONG[wrong]
    content = serve(server, "steel", publish("steel", monkeypatch))
    server.answers["/steel.zip"] = (200, change(content))
    url = re.escape(f"{server.address}/steel.zip")
    with pytest.raises(ValueError, match=f"^{url}.*{re.escape(message)}"):
        datasets.load("steel", data)
    assert not kept.exists()

    serve(
        server, "steel", publish("steel", monkeypatch)
    )  # and nothing is in the way of the next try
    assert datasets.load("steel", data).source == "UCI"


def test_without_a_cache_it_is_downloaded_again(
    server: Server, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, "steel", publish("steel", monkeypatch))
    save(kept.parent, ["a file where the folder should be"])
    assert datasets.load("steel").source == datasets.load("steel").source == "UCI"
    assert server.asked == ["/steel.zip"] * 2
