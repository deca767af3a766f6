"""A training's state in a file: what comes back, what is refused, when it is written, and when signals are heard."""

import io
import json
import os
import signal
import socket
import stat
import struct
import threading
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import checkpoint
import numpy as np
import pytest
import stopping
from checkpoint import (
    Kind,
    Saver,
    load_checkpoint,
    refuse_differences,
    refuse_rows,
    refuse_scaling,
    refuse_size,
    restore_training,
    save_checkpoint,
    training_state,
)
from helpers import counted
from stopping import Terminated, sigterm_as_interrupt, uninterrupted

from tinygrad_steel import SGD, Adam, Tensor

POSIX = pytest.mark.skipif(os.name == "nt", reason="of POSIX")
rng = np.random.default_rng(3)
ARRAYS = {
    "parameter weight": rng.normal(size=(5, 3)),
    "parameter of 두 rows": np.asfortranarray(rng.normal(size=(2, 4, 3))),
    "half": rng.normal(size=7).astype(np.float16),
    "single": rng.normal(size=(1, 1)).astype(np.float32),
    "rows": rng.permutation(9),
    "keys": rng.integers(0, 2**32, 624, dtype=np.uint32),
    "flags": np.array([True, False]),
    "bytes": np.arange(5, dtype=np.uint8),
    "number": np.array(0.1),
    "none": np.zeros((0, 3)),
    "smallest": np.array([5e-324, -0.0]),
    "not in one piece": rng.normal(size=(6, 6))[::2, ::3],
    "file": np.ones(2),  # what np.savez calls its own arguments
    "allow_pickle": np.ones(2),
}
SETTINGS = {"epochs": 3, "rate": 0.1 + 0.2, "widths": [27, 5], "name": "한\x1b[31m", "no": None}


# Out and in


def test_what_is_saved_comes_back_to_the_last_bit(tmp_path):
    file = tmp_path / "a"  # a suffix is not added
    save_checkpoint(file, ARRAYS, SETTINGS)
    arrays, settings = load_checkpoint(file)
    assert settings == SETTINGS and [*arrays] == [*ARRAYS]
    for name, x in ARRAYS.items():
        found = arrays[name]
        assert (found.shape, found.dtype) == (x.shape, x.dtype)
        assert found.tobytes() == x.tobytes() and found.flags.writeable and found.flags.owndata
    # products of matrices depend on it in their last bits
    assert arrays["parameter of 두 rows"].flags.f_contiguous
    with np.load(file, allow_pickle=False) as found:
        assert json.loads(str(found["settings"])) == SETTINGS
        np.testing.assert_array_equal(found["rows"], ARRAYS["rows"])


def test_equal_states_are_equal_files(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "a", ARRAYS, SETTINGS)
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_checkpoint(tmp_path / "b", {k: x.copy("K") for k, x in ARRAYS.items()}, {**SETTINGS})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_of_numpys_own_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.eye(3), settings=np.array('{"epochs": 1}'))
    arrays, settings = load_checkpoint(tmp_path / "a.npz")
    np.testing.assert_array_equal(arrays["x"], np.eye(3))
    assert settings == {"epochs": 1}


def test_numbers_of_another_byte_order_become_this_machines(tmp_path):
    save_checkpoint(tmp_path / "a", {"x": np.array([1.5, 2], ">f8")}, {})
    x = load_checkpoint(tmp_path / "a")[0]["x"]
    assert x.dtype.isnative and x.tolist() == [1.5, 2]


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"x": np.array([None])}, "x is no array of numbers: object"),
        ({"x": np.array(["a"])}, "x is no array of numbers: <U1"),
        ({"x": np.array([1j])}, "complex128"),
        ({"x": np.zeros(2, "f8,i4")}, "no array of numbers"),
        ({"x": np.array(["2020"], "M8[Y]")}, "no array of numbers"),
        ({"settings": np.ones(1)}, "cannot be called 'settings'"),
        ({"": np.ones(1)}, "cannot be called ''"),
        ({"a\0b": np.ones(1)}, "cannot be called"),
    ],
)
def test_what_has_no_place_in_a_file(arrays, what, tmp_path):
    (tmp_path / "a").write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match=what):
        save_checkpoint(tmp_path / "a", arrays, {})
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"
    assert len([*tmp_path.iterdir()]) == 1


def test_check_is_asked_before_an_array_is_read(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "a", ARRAYS, SETTINGS)
    read = checkpoint.read
    names = []

    def noted(archive, info, kind):
        names.append(info.filename)
        return read(archive, info, kind)

    def check(settings, kinds):
        assert settings == SETTINGS and [*kinds] == [*ARRAYS]
        assert kinds["half"] == Kind((7,), np.dtype(np.float16))
        raise ZeroDivisionError

    monkeypatch.setattr(checkpoint, "read", noted)
    with pytest.raises(ZeroDivisionError):
        load_checkpoint(tmp_path / "a", check)
    assert names == ["settings.npy"]


# Files from elsewhere


def npy(x, **header):
    """An array as NumPy writes it, with another header."""
    f = io.BytesIO()
    np.lib.format.write_array(f, np.asarray(x), (1, 0))
    head, body = f.getvalue()[:128], f.getvalue()[128:]
    for name, value in header.items():
        if name == "descr":
            head = head.replace(b"'<f8'", value)
        if name == "shape":
            head = head.replace(b"(3,)", value)
        if name == "start":
            head = value + head[len(value) :]
    text = head[10:]
    return head[:8] + struct.pack("<H", len(text)) + text + body


def archive(parts, method=zipfile.ZIP_STORED):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", method) as opened:
        for name, content in parts:
            opened.writestr(zipfile.ZipInfo(name), content, method)
    return f.getvalue()


SAID = ("settings.npy", npy(np.array('{"epochs": 1}')))
X = ("x.npy", npy(np.ones(3)))


def settings_of(text):
    return archive([X, ("settings.npy", npy(np.array(text)))])


def directory(content, at, value, which=-1):
    """Other bytes in an entry of the central directory."""
    changed, place = bytearray(content), -1
    for _ in range(which % content.count(b"PK\x01\x02") + 1):
        place = content.index(b"PK\x01\x02", place + 1)
    changed[place + at : place + at + len(value)] = value
    return bytes(changed)


def twice(content):
    """Both entries of the directory point to the first part."""
    return directory(content, 42, bytes(4))


def nested(depth):
    """Parts that lie in one another: each is an array of bytes, in which the next one stands."""
    content, entries = b"", []
    for i in range(depth):
        content = npy(np.frombuffer(content, np.uint8))
        name = f"{i}.npy".encode()
        fields = (20, 0, 0, 0, 0x21, zlib.crc32(content), len(content), len(content), len(name))
        local = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", *fields, 0) + name
        entries.append((fields, name, len(local) + len(content)))
        content = local + content
    start = archive([SAID])
    end, count = start.index(b"PK\x01\x02"), start.index(b"PK\x05\x06")
    size = end + len(content)
    directory = start[end:count]
    for fields, name, length in entries:
        rest = struct.pack("<HHHHII", 0, 0, 0, 0, 0, size - length)
        directory += b"PK\x01\x02" + struct.pack("<HHHHHHIIIH", 20, *fields) + rest + name
    last = struct.pack("<HHHHIIH", 0, 0, depth + 1, depth + 1, len(directory), size, 0)
    return start[:end] + content + directory + b"PK\x05\x06" + last


def pickled():
    f = io.BytesIO()
    np.lib.format.write_array(f, np.array([{}], dtype=object))
    return f.getvalue()


GOOD = archive([X, SAID])
BIG = struct.pack("<I", 2**32 - 2)
HOSTILE = {
    # not even an archive
    "nothing": lambda: b"",
    "text": lambda: b"Rings\n7\n",
    "one array": lambda: npy(np.ones(3)),
    "a pickle": lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "half": lambda: GOOD[: len(GOOD) // 2],
    "without its start": lambda: GOOD[100:],
    "an end alone": lambda: b"PK\x05\x06" + bytes(18),
    "an end with a wild offset": lambda: b"PK\x05\x06" + b"\xff" * 16 + bytes(2),
    # bombs
    "packed": lambda: archive([X, SAID], zipfile.ZIP_DEFLATED),
    "a bomb": lambda: archive([("x.npy", npy(np.zeros(2_000_000))), SAID], zipfile.ZIP_DEFLATED),
    "a bomb of bz2": lambda: archive(
        [("x.npy", npy(np.zeros(2_000_000))), SAID], zipfile.ZIP_BZIP2
    ),
    "a packed part that says it is not": lambda: directory(
        archive([X, SAID], zipfile.ZIP_DEFLATED), 10, b"\0\0", 0
    ),
    "an unknown way of packing": lambda: directory(GOOD, 10, b"\x63\0", 0),
    "a part that claims gigabytes": lambda: directory(directory(GOOD, 20, BIG, 0), 24, BIG, 0),
    "parts that lie in one another": lambda: twice(GOOD),
    "parts in parts": lambda: nested(60),
    "many parts": lambda: archive([*[(f"{i}.npy", X[1]) for i in range(1100)], SAID]),
    "a part twice": lambda: archive([X, SAID, ("y.npy", X[1])]).replace(b"y.npy", b"x.npy"),
    "encrypted": lambda: directory(GOOD, 8, b"\x01\0", 0),
    "a version of zip to come": lambda: directory(GOOD, 6, b"\xff\0", 0),
    "a part that is no array": lambda: archive([("x.txt", b"x"), SAID]),
    "a part of a name that a terminal obeys": lambda: archive([("\x1b[2Jx.npy", X[1]), SAID]),
    "a very long name": lambda: archive([("x" * 60_000 + ".txt", X[1]), SAID]),
    # headers
    "an array that claims gigabytes": lambda: archive(
        [("x.npy", npy(np.ones(3), shape=b"(9999999999,)")), SAID]
    ),
    "an array that claims more than any machine has": lambda: archive(
        [("x.npy", npy(np.ones(3), shape=b"(999999999999999999, 999999999999999999)")), SAID]
    ),
    "a negative length": lambda: archive([("x.npy", npy(np.ones(3), shape=b"(-3,)")), SAID]),
    "a length that is code": lambda: archive(
        [("x.npy", npy(np.ones(3), shape=b"(__import__('os').getpid(),)")), SAID]
    ),
    "a shape of a thousand axes": lambda: archive(
        [("x.npy", npy(np.ones(3), shape=b"(" + b"1, " * 1000 + b"3)")), SAID]
    ),
    "no lengths, and one huge": lambda: archive(
        [("x.npy", npy(np.ones(0)).replace(b"(0,)", b"(0, 999999999999999999)")), SAID]
    ),
    "a smaller shape": lambda: archive([("x.npy", npy(np.ones(3), shape=b"(2,)")), SAID]),
    "objects": lambda: archive([("x.npy", npy(np.ones(3), descr=b"'|O'")), SAID]),
    "pickled objects": lambda: archive([("x.npy", pickled()), SAID]),
    "text as an array": lambda: archive([("x.npy", npy(np.array(["abc"]))), SAID]),
    "a structure": lambda: archive([("x.npy", npy(np.zeros(2, "f8,f8"))), SAID]),
    "a dtype that is code": lambda: archive([("x.npy", npy(np.ones(3), descr=b"1and 2")), SAID]),
    "dates": lambda: archive([("x.npy", npy(np.zeros(3, "M8[s]"))), SAID]),
    "complex numbers": lambda: archive([("x.npy", npy(np.zeros(3, complex))), SAID]),
    "another version of the format": lambda: archive(
        [("x.npy", npy(np.ones(3), start=b"\x93NUMPY\x02\x00")), SAID]
    ),
    "no header": lambda: archive([("x.npy", b"\x93NUMPY\x01\x00"), SAID]),
    "half a header": lambda: archive([("x.npy", X[1][:40]), SAID]),
    "a header alone": lambda: archive([("x.npy", X[1][:128]), SAID]),
    "more than the header says": lambda: archive([("x.npy", X[1] + b"x"), SAID]),
    # numbers
    "a bit flipped": lambda: GOOD.replace(np.float64(1).tobytes(), np.float64(1.5).tobytes(), 1),
    "not a number": lambda: archive([("x.npy", npy([1, np.nan, 1])), SAID]),
    "infinite": lambda: archive([("x.npy", npy([1, 1, -np.inf])), SAID]),
    # settings
    "no settings": lambda: archive([X]),
    "settings of another kind": lambda: settings_of("[1]"),
    "settings that are no JSON": lambda: settings_of("epochs = 1"),
    "settings that end early": lambda: settings_of('{"epochs": '),
    "settings in settings in settings": lambda: settings_of("[" * 100_000),
    "settings as numbers": lambda: archive([X, ("settings.npy", npy(np.ones(3)))]),
    "several settings": lambda: archive([X, ("settings.npy", npy(np.array(["{}", "{}"])))]),
    "settings of no characters": lambda: archive(
        [X, ("settings.npy", npy(np.array("{}")).replace(b"{\0\0\0", b"\xff\xff\xff\xff"))]
    ),
    "settings without end": lambda: settings_of('{"a": "' + "x" * 2_000_000 + '"}'),
    "a number of a million digits": lambda: settings_of('{"epochs": ' + "9" * 900_000 + "}"),
}


REASONS = {
    "packed": "its part 'x' is compressed",
    "many parts": "it has 1101 parts",
    "parts in parts": "its parts claim ",
    "a part twice": "its part 'x.npy' is no array, or there twice",
    "an array that claims gigabytes": "its part 'x' claims 8000000",
    "a smaller shape": "its part 'x' claims ",
    "text as an array": "its part 'x' is <U3",
    "not a number": "'x' has numbers that are not finite",
    "no settings": "it has no settings",
    "settings without end": "its settings are too long",
    "settings in settings in settings": "its settings cannot be read",
    "a bit flipped": "its archive is broken",
}


def test_parts_in_parts_are_an_archive(tmp_path):
    """By their checksums; Pythons of later dates see that they overlap."""
    with zipfile.ZipFile(io.BytesIO(nested(3))) as opened:
        assert len(opened.infolist()) == 4
        try:
            assert opened.testzip() is None
        except zipfile.BadZipFile as error:
            assert "Overlapped" in str(error)


def test_the_good_one_is_good(tmp_path):
    (tmp_path / "a").write_bytes(GOOD)
    arrays, settings = load_checkpoint(tmp_path / "a")
    assert settings == {"epochs": 1} and arrays["x"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_one_line_and_little_memory(kind, tmp_path):
    file, content = tmp_path / "model.npz", HOSTILE[kind]()
    assert content != GOOD
    file.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as caught:
            load_checkpoint(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.startswith(
        f"{file} is not a model saved by these examples, or not a whole one: "
    )
    assert REASONS.get(kind, "") in message
    assert message.isprintable() and len(message) < len(str(file)) + 250
    assert peak < 2_000_000 + 12 * len(content)


def test_a_file_with_other_bytes_is_the_same_or_refused(tmp_path):
    """A byte changed anywhere, and pieces left out: never other numbers, never another error."""
    file, random = tmp_path / "a", np.random.default_rng(8)
    save_checkpoint(file, {"x": np.arange(6.0), "y": np.array(3)}, {"epochs": 2})
    content = file.read_bytes()
    refused = 0
    for _ in range(counted(20_000, 300)):
        changed = bytearray(content)
        if random.random() < 0.8:
            changed[random.integers(len(content))] = random.integers(256)
        else:
            start = random.integers(len(content))
            del changed[start : start + random.integers(1, 60)]
        file.write_bytes(changed)
        try:
            arrays, settings = load_checkpoint(file)
        except ValueError as error:
            assert str(error).isprintable() and len(str(error)) < 400
            refused += 1
            continue
        # names and times stand in the directory without a checksum
        assert sorted(x.tolist() for x in arrays.values() if x.ndim) == [[0, 1, 2, 3, 4, 5]]
        assert settings == {"epochs": 2}
    assert refused > counted(20_000, 300) // 4


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path.name)


@POSIX
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (getattr(os, "mkfifo", None), "a pipe"),
        (a_socket, "a socket"),
        (lambda p: p.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_what_is_no_file_is_not_waited_for(make, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(Path("a"))
    with pytest.raises(OSError, match=f"^a is no file: it is {kind}$"):
        load_checkpoint("a")


def test_a_missing_file_and_a_folder(tmp_path):
    for name, error in [("none", FileNotFoundError), (".", (IsADirectoryError, PermissionError))]:
        with pytest.raises(error):
            load_checkpoint(tmp_path / name)


@POSIX
def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    """Eight gigabytes of zeros, which take no room on the disk, with sizes that all agree."""
    file, size = tmp_path / "a", 2**33
    head = npy(np.ones(3), shape=b"(%d,)" % (size // 8))[:-24]
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(*SAID)
        at = opened.fp.tell()
    with open(file, "r+b") as f:
        f.truncate(at)
        f.seek(at)
        name, total = b"x.npy", len(head) + size
        extra = struct.pack("<HHQQ", 1, 16, total, total)
        fields = (45, 0, 0, 0, 0x21, 0, 2**32 - 1, 2**32 - 1, len(name))
        f.write(
            b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", *fields, len(extra)) + name + extra + head
        )
        f.seek(size, 1)
        start = f.tell()
        (first,) = zipfile.ZipFile(io.BytesIO(archive([SAID]))).infolist()
        for entry, crc, length, offset in [
            (b"settings.npy", first.CRC, first.file_size, 0),
            (name, 0, None, at),
        ]:
            more = b"" if length is not None else extra
            length = 2**32 - 1 if length is None else length
            f.write(b"PK\x01\x02" + struct.pack("<H", 45))
            f.write(
                struct.pack(
                    "<HHHHHIIIHH", 45, 0, 0, 0, 0x21, crc, length, length, len(entry), len(more)
                )
            )
            f.write(struct.pack("<HHHII", 0, 0, 0, 0, offset) + entry + more)
        end = f.tell()
        f.write(
            b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2, 2, end - start, start)
        )
        f.write(b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1))
        f.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 2, 2, 2**32 - 1, 2**32 - 1, 0))
    own = {"x": np.zeros(1000)}
    with pytest.raises(ValueError, match=f"it has {size} bytes of numbers"):
        load_checkpoint(file, lambda settings, kinds: refuse_size(file, kinds, own))


# What differs


def test_what_differs_is_said_and_nothing_that_a_terminal_obeys():
    kinds = {"w": Kind((2, 3), np.dtype("f4")), "more": Kind((1,), np.dtype("f8"))}
    settings = {"loss": "\x1b[2J\u202e" + "x" * 500, "data": "steel", "more": 1}
    own = {"w": np.zeros((2, 3), "f4")}
    refuse_differences("a.npz", settings, kinds, {"data": "steel"}, own)  # a file may have more
    for own_settings, own_arrays, message in [
        ({"data": "pulsar"}, own, r"^a.npz has data 'steel', this run has 'pulsar'$"),
        ({"epochs": 3}, own, r"^a.npz has epochs None, this run has 3$"),
        (
            {},
            {"w": np.zeros((3, 2), "f4")},
            r"^a.npz has w: \(2, 3\) float32, this model \(3, 2\) f",
        ),
        (
            {},
            {"w": np.zeros((2, 3))},
            r"^a.npz has w: \(2, 3\) float32, this model \(2, 3\) float64$",
        ),
        ({}, {"b": np.zeros(3)}, r"^a.npz has b: none, this model \(3,\) float64$"),
    ]:
        with pytest.raises(ValueError, match=message):
            refuse_differences("a.npz", settings, kinds, own_settings, own_arrays)
    with pytest.raises(ValueError) as caught:
        refuse_differences("a.npz", settings, kinds, {"loss": "loss"}, {})
    assert str(caught.value).isprintable() and len(str(caught.value)) < 150


@pytest.mark.parametrize(
    "rows",
    [[], [-1, 2], [0, 5], [0.0, 1.0], [[0, 1]], 3, [True], None],
    ids=repr,
)
def test_rows_that_are_none(rows):
    with pytest.raises(ValueError, match="^a.npz .*: its test rows are no rows of 0 to 4$"):
        refuse_rows("a.npz", None if rows is None else np.array(rows), 5, "test rows")
    refuse_rows("a.npz", np.array([4, 0]), 5, "test rows")


def test_a_scaling_that_never_was():
    refuse_scaling("a.npz", np.array([0.0, 2.0]))
    with pytest.raises(ValueError, match="its std is below 0"):
        refuse_scaling("a.npz", np.array([0.0, -2.0]))


# The state of a training


def a_training(seed=0, make=Adam):
    """Parameters, their optimizer, a generator in the middle of its numbers, and rows."""
    generator = np.random.RandomState(seed)
    parameters = {
        "weight": Tensor(generator.normal(size=(3, 2)), requires_grad=True),
        "bias": Tensor(generator.normal(size=2), requires_grad=True),
    }
    return parameters, make([*parameters.values()]), generator, generator.permutation(20)


def train(parameters, optimizer, generator, rows, epochs):
    for _ in range(epochs):
        generator.shuffle(rows)
        for _ in range(3):
            x = generator.normal(size=(4, 3)) + rows[:3]  # an odd number of normals: one is kept
            optimizer.zero_grad()
            loss = np.square(np.tanh(x @ parameters["weight"]) + parameters["bias"])
            np.mean(loss * generator.normal()).backward()
            optimizer.step()


@pytest.mark.parametrize("make", [SGD, lambda ps: SGD(ps, 0.1, momentum=0.5), Adam])
def test_a_training_goes_on_to_the_last_bit_from_a_file(make, tmp_path):
    whole, start = a_training(make=make), a_training(make=make)
    train(*whole, epochs=5)
    train(*start, epochs=3)
    save_checkpoint(tmp_path / "a", training_state(*start), {})
    other = a_training(seed=9, make=make)
    train(*other, epochs=1)
    restore_training(load_checkpoint(tmp_path / "a")[0], *other)
    train(*other, epochs=2)
    right, found = training_state(*whole), training_state(*other)
    assert [*right] == [*found]
    for name, x in right.items():
        assert x.tobytes() == found[name].tobytes(), name


def test_a_state_is_a_copy():
    training = a_training()
    state = training_state(*training)
    before = {name: x.copy() for name, x in state.items()}
    train(*training, epochs=1)
    restore_training(state, *training)
    train(*training, epochs=1)
    for name, x in state.items():
        np.testing.assert_array_equal(x, before[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameter bias": None}, "^its file has parameter bias: none, this model"),
        ({"optimizer mean 1": np.zeros(3)}, "optimizer mean 1: .3,. float64, this model .2,."),
        ({"optimizer steps": np.array(-1)}, "^its file has no sound generator, or steps below 0"),
        ({"generator place": np.array([625, 0])}, "no sound generator"),
        ({"generator place": np.array([-1, 0])}, "no sound generator"),
        ({"generator place": np.array([2**62, 0])}, "no sound generator"),
        ({"generator place": np.array([3, 2])}, "no sound generator"),
        ({"generator keys": np.zeros(624, np.uint64)}, "generator keys: .624,. uint64"),
        ({"generator keys": np.zeros(4, np.uint32)}, "generator keys: .4,. uint32"),
        ({"training": np.arange(19)}, "training: .19,. int64, this model .20,."),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    training = a_training()
    train(*training, epochs=1)
    before, state = training_state(*training), training_state(*a_training(seed=4))
    state = {name: x for name, x in {**state, **change}.items() if x is not None}
    with pytest.raises(ValueError, match=message):
        restore_training(state, *training, "its file")
    for name, x in training_state(*training).items():
        np.testing.assert_array_equal(x, before[name])


def test_a_generator_of_another_kind_is_refused():
    parameters, optimizer, _, rows = a_training()
    other = np.random.RandomState(np.random.PCG64(3))
    with pytest.raises(ValueError, match="generator of the kind PCG64"):
        training_state(parameters, optimizer, other, rows)


# When it is written


class Counter:
    """A training that counts its epochs, and a saver of it."""

    def __init__(self, file, every=0):
        self.epochs = 0
        self.saver = Saver(file, every, self.take, self.put_back)

    def take(self):
        return {"x": np.array(self.epochs)}, {"epochs": self.epochs}

    def put_back(self, arrays):
        self.epochs = int(arrays["x"])

    def epoch(self):
        self.epochs += 1
        self.saver.epoch_done(self.epochs)


def epochs_in(file):
    return load_checkpoint(file)[1]["epochs"] if file.exists() else None


@pytest.mark.parametrize(
    ("every", "found"), [(0, [None] * 5), (1, [1, 2, 3, 4, 5]), (2, [None, 2, 2, 4, 4])]
)
def test_every_so_many_epochs_and_at_the_end(every, found, tmp_path):
    training = Counter(tmp_path / "a", every)
    for right in found:
        training.epoch()
        assert epochs_in(tmp_path / "a") == right
    training.saver.write()
    assert epochs_in(tmp_path / "a") == 5 and training.saver.saved


def test_without_a_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    training = Counter(None, 1)
    training.epoch()
    training.epochs += 5
    training.saver.stop()
    assert training.epochs == 1 and not training.saver.saved and not [*tmp_path.iterdir()]


def test_what_is_there_is_not_written_again(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(checkpoint, "save_checkpoint", lambda *given: written.append(given))
    training = Counter(tmp_path / "a", 1)
    training.epoch()
    for _ in range(3):
        training.saver.write()
        training.saver.stop()
    assert len(written) == 1


def test_a_stop_goes_back_to_the_last_finished_epoch_and_writes_it(tmp_path):
    training = Counter(tmp_path / "a")
    training.epoch()
    training.epochs += 0.5
    training.saver.stop()
    assert training.epochs == 1 and epochs_in(tmp_path / "a") == 1


def test_a_stop_in_the_first_epoch_leaves_an_old_file(tmp_path):
    (tmp_path / "a").write_text("old", encoding="utf-8")
    training = Counter(tmp_path / "a", 1)
    training.epochs += 0.5
    training.saver.stop()
    assert training.epochs == 0 and not training.saver.saved
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_waits_for_the_file(again, tmp_path, monkeypatch):
    """It comes while the file is renamed, and ends the program after that, once."""
    replace, heard = Path.replace, []

    def interrupted(part, target):
        for _ in range(3):
            signal.raise_signal(again)
        heard.append(epochs_in(tmp_path / "a"))
        return replace(part, target)

    training = Counter(tmp_path / "a")
    training.epoch()
    with monkeypatch.context() as patch, sigterm_as_interrupt(), pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", interrupted)
        training.saver.stop()
    assert heard == [None] and epochs_in(tmp_path / "a") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# Signals


def test_sigterm_stops_as_ctrl_c_does():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), sigterm_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before and issubclass(Terminated, KeyboardInterrupt)


def test_a_signal_right_after_the_first_is_the_same_wish(monkeypatch):
    """And one of a second later is another one: whoever waits for what hangs is heard."""
    times = iter([10.0, 10.0, 10.5, 10.9, 11.1, 11.1, 12.0])
    monkeypatch.setattr(stopping.time, "monotonic", lambda: next(times))
    with sigterm_as_interrupt():
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.raise_signal(signal.SIGINT)
        assert caught.type is KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)


def test_who_ignores_ctrl_c_goes_on_doing_so(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with sigterm_as_interrupt():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_signals_wait_until_it_is_done(number, error):
    done = []
    with sigterm_as_interrupt(), pytest.raises(error) as caught, uninterrupted():
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"] and caught.type is error


def test_an_error_is_not_lost_to_a_signal():
    with pytest.raises(KeyboardInterrupt) as caught, uninterrupted():
        signal.raise_signal(signal.SIGINT)
        raise OSError("full")
    assert "full" in str(caught.value.__context__)


def test_in_another_thread_signals_are_left_alone():
    done, before = [], signal.getsignal(signal.SIGTERM)

    def work():
        with sigterm_as_interrupt(), uninterrupted():
            done.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]


@POSIX
def test_a_saved_file_may_be_read_by_whom_any_file_may(tmp_path):
    save_checkpoint(tmp_path / "a", {}, {})
    (tmp_path / "b").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"}
    assert len(modes) == 1
