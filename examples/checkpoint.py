"""A training's state in a file: saved whole, checked before it is believed, and gone on from to the last bit."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from stopping import uninterrupted
from whole_file import kind_of, whole_file

from tinygrad_steel import Optimizer, Tensor

Arrays = dict[str, np.ndarray]
Settings = dict[str, Any]

SETTINGS = "settings"  # the array that holds them, as JSON
MOST_PARTS = 1000
LONGEST_SETTINGS = 2**22  # bytes

# What NumPy writes before an array: no other spelling, so that nothing of a file is ever evaluated.
HEADER = re.compile(
    rb"\{'descr': '(\|[biu]1|[<>][iu][248]|[<>]f(?:2|4|8|16)|[<>]U\d{1,7})', "
    rb"'fortran_order': (True|False), 'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n"
)
# What `zipfile` raises for something that only looks like an archive
BROKEN = (
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    ValueError,
    OverflowError,
    TypeError,
    struct.error,
)


class Kind(NamedTuple):
    """What an array in a file is said to be."""

    shape: tuple[int, ...]
    dtype: np.dtype
    order: str = "C"

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"


class Unsound(ValueError):
    """What is wrong with a file, for the end of a sentence."""


def not_ours(file: str | os.PathLike[str], why: object, perhaps: str = "") -> ValueError:
    """The error for a file that these examples have not written, or `perhaps` not so."""
    return ValueError(f"{file} is not a model saved by these examples{perhaps}: {why}")


NOT_WHOLE = ", or not a whole one"


# Out and in


def save_checkpoint(
    file: str | os.PathLike[str], arrays: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """Write arrays and settings as an .npz file, whole or not at all; equal ones give equal bytes.

    Numbers and truth values only: nothing is pickled. Settings are what JSON holds; floats come back as they were.
    Raises OSError where the file cannot be written (see `whole_file`), ValueError for what has no place in one.
    """
    text = json.dumps(settings, default=lambda x: x.tolist())  # numbers of NumPy's
    for name, x in arrays.items():
        if not name.isprintable() or name in ("", SETTINGS):
            raise ValueError(f"an array in a file cannot be called {name!r}")
        if np.asarray(x).dtype.kind not in "biuf":
            raise ValueError(f"{name} is no array of numbers: {np.asarray(x).dtype}")
    with whole_file(file) as part, zipfile.ZipFile(part, "w") as archive:
        for name, x in {**arrays, SETTINGS: np.array(text)}.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # without the time of day
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(x), (1, 0), allow_pickle=False)


def load_checkpoint(
    file: str | os.PathLike[str],
    check: Callable[[Settings, dict[str, Kind]], None] = lambda settings, kinds: None,
) -> tuple[Arrays, Settings]:
    """The arrays and settings in a file of `save_checkpoint`.

    A file may come from anywhere. Nothing in it is unpickled or evaluated. Its parts are uncompressed, so that they
    cannot claim more than the file has, and what they say of themselves is compared with it before anything is read.
    `check(settings, kinds)` is called before the arrays are read and may raise what it likes, such as
    `refuse_differences`.

    Raises OSError where the file cannot be read, ValueError where it is none of ours, or not whole, or holds numbers
    that are not finite; in one line, with nothing of the file in it that a terminal would obey.
    """
    with opened(file) as f:
        with saying_whose(file):
            archive = zipfile.ZipFile(f)
            members = members_of(archive, os.fstat(f.fileno()).st_size)
            kinds = {name: kind_of_array(archive, name, info) for name, info in members.items()}
            settings = settings_of(archive, members, kinds)
        del kinds[SETTINGS]
        check(settings, kinds)
        with saying_whose(file):
            arrays = {name: read(archive, members[name], kind) for name, kind in kinds.items()}
            for name, x in arrays.items():
                if not np.isfinite(x).all():
                    raise Unsound(f"{name!r:.80} has numbers that are not finite")
    return arrays, settings


@contextlib.contextmanager
def opened(file: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to read; OSError for a pipe, at which one would wait for ever, and for devices."""
    kind = kind_of(os.stat(file))
    if kind and kind != "a folder":  # of which the system itself says what it is
        raise OSError(f"{file} is no file: it is {kind}")
    with open(file, "rb") as f:
        yield f


@contextlib.contextmanager
def saying_whose(file: str | os.PathLike[str]) -> Iterator[None]:
    """ValueError, with the name of the file, for all that a broken one may raise."""
    try:
        yield
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that is a seek to nowhere
            raise
        why = error if isinstance(error, Unsound) else "its archive is broken"
        raise not_ours(file, why, NOT_WHOLE) from error


def members_of(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The parts of an archive by the names of their arrays, if all are what we write."""
    infos = archive.infolist()
    if len(infos) > MOST_PARTS:
        raise Unsound(f"it has {len(infos)} parts")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        if info.compress_type != zipfile.ZIP_STORED:
            raise Unsound(f"its part {name!r:.80} is compressed")
        if name in members or name == info.filename or not name.isprintable():
            raise Unsound(f"its part {info.filename!r:.80} is no array, or there twice")
        members[name] = info
    claimed = sum(info.file_size for info in infos)
    if claimed > size:
        raise Unsound(f"its parts claim {claimed} bytes, and it has {size}")
    if SETTINGS not in members:
        raise Unsound("it has no settings")
    return members


def kind_of_array(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Kind:
    """What an array's header says, if it says so in our words and its size agrees."""
    with archive.open(info) as member:
        header = header_of(member)
    if header is None or (found := HEADER.fullmatch(header)) is None:
        raise Unsound(f"its part {name!r:.80} is no array of numbers")
    descr, fortran_order, lengths = (text.decode("ascii") for text in found.groups())
    shape = tuple(int(n) for n in lengths.replace(" ", "").split(",") if n)
    kind = Kind(shape, np.dtype(descr), "F" if fortran_order == "True" else "C")
    size = 10 + len(header) + math.prod(shape) * kind.dtype.itemsize
    if size != info.file_size:
        raise Unsound(f"its part {name!r:.80} claims {size} bytes, and has {info.file_size}")
    if (kind.dtype.kind == "U") != (name == SETTINGS):
        raise Unsound(f"its part {name!r:.80} is {kind.dtype}")
    return kind


def header_of(member: Any) -> bytes | None:
    """An array's header as text, if it has one."""
    start = member.read(10)
    if len(start) < 10 or not start.startswith(b"\x93NUMPY\x01\x00"):
        return None
    (length,) = struct.unpack("<H", start[8:])
    return member.read(length)


def read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, kind: Kind) -> np.ndarray:
    """An array, whose header has been looked at, as this machine has its numbers."""
    with archive.open(info) as member:
        header_of(member)
        # up to the end, where the checksum is compared
        content = member.read(math.prod(kind.shape) * kind.dtype.itemsize)
    x: np.ndarray = np.ndarray(kind.shape, kind.dtype, content, order=kind.order)
    return x.astype(kind.dtype.newbyteorder("="), order="K")


def settings_of(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], kinds: dict[str, Kind]
) -> Settings:
    """The settings in a file."""
    info, kind = members[SETTINGS], kinds[SETTINGS]
    if info.file_size > LONGEST_SETTINGS or kind.shape != ():
        raise Unsound("its settings are too long")
    try:
        settings = json.loads(str(read(archive, info, kind)))
    except (ValueError, RecursionError) as error:
        raise Unsound("its settings cannot be read") from error
    if not isinstance(settings, dict):
        raise Unsound("its settings are none")
    return settings


# What is in it, beside what a run has


def refuse_differences(
    file: str | os.PathLike[str],
    settings: Mapping[str, Any],
    kinds: Mapping[str, Kind],
    own_settings: Mapping[str, Any],
    own_arrays: Mapping[str, np.ndarray],
) -> None:
    """ValueError, saying what differs, where a file has other settings or arrays than this run needs.

    Only what this run names is compared: a file may have more.
    """
    for name, value in own_settings.items():
        if settings.get(name) != value:
            raise ValueError(
                f"{file} has {name} {settings.get(name)!r:.80}, this run has {value!r}"
            )
    for name, x in own_arrays.items():
        given, wanted = kinds.get(name), Kind(x.shape, x.dtype)
        if given is None or (given.shape, given.dtype.newbyteorder("=")) != wanted[:2]:
            raise ValueError(f"{file} has {name}: {given or 'none'}, this model {wanted}")


def refuse_size(
    file: str | os.PathLike[str], kinds: Mapping[str, Kind], own_arrays: Mapping[str, np.ndarray]
) -> None:
    """ValueError where a file has far more numbers than any run like this one: before they are read."""
    claimed = sum(math.prod(kind.shape) * kind.dtype.itemsize for kind in kinds.values())
    if claimed > 8 * sum(x.nbytes for x in own_arrays.values()):
        raise not_ours(file, f"it has {claimed} bytes of numbers", ", or not of such a run")


def refuse_rows(file: str | os.PathLike[str], rows: Any, count: int, what: str) -> None:
    """ValueError where an array does not hold numbers of some of `count` rows."""
    sound = isinstance(rows, np.ndarray) and rows.dtype.kind in "iu" and rows.ndim == 1
    if not (sound and len(rows) and 0 <= rows.min() <= rows.max() < count):
        raise not_ours(file, f"its {what} are no rows of 0 to {count - 1}")


def refuse_scaling(file: str | os.PathLike[str], std: np.ndarray) -> None:
    """ValueError for a standard deviation below 0, by which no data was ever scaled (0: a constant column)."""
    if np.any(std < 0):
        raise not_ours(file, "its std is below 0")


# The state of a training


def training_state(
    parameters: Mapping[str, Tensor],
    optimizer: Optimizer,
    rng: np.random.RandomState,
    training: np.ndarray,
) -> Arrays:
    """All on which the coming epochs depend, as copies: one that goes on from here goes on to the last bit.

    `training`: the numbers of the training rows in their present order, as each epoch shuffles them further.
    """
    generator = rng.get_state(legacy=False)
    if generator["bit_generator"] != "MT19937":
        raise ValueError(
            f"the state of a generator of the kind {generator['bit_generator']} has no place in a file"
        )
    return {
        **{f"parameter {name}": np.array(p.data) for name, p in parameters.items()},
        **{f"optimizer {name}": x for name, x in optimizer.state().items()},
        "generator keys": np.array(generator["state"]["key"]),
        "generator place": np.array([generator["state"]["pos"], generator["has_gauss"]], np.int64),
        "generator normal": np.array(generator["gauss"]),
        "training": np.array(training),
    }


def restore_training(
    arrays: Mapping[str, np.ndarray],
    parameters: Mapping[str, Tensor],
    optimizer: Optimizer,
    rng: np.random.RandomState,
    training: np.ndarray,
    whose: str | os.PathLike[str] = "the state",
) -> None:
    """Go back, or on, to a state of `training_state`; ValueError, and nothing has changed, where it does not fit.

    `whose`: what the message begins with, such as the file that it is from.
    """
    own = training_state(parameters, optimizer, rng, training)
    kinds = {name: Kind(x.shape, x.dtype) for name, x in arrays.items()}
    refuse_differences(whose, {}, kinds, {}, own)
    place, has_normal = arrays["generator place"].tolist()
    if not (0 <= place <= 624 and has_normal in (0, 1) and arrays["optimizer steps"] >= 0):
        raise ValueError(f"{whose} has no sound generator, or steps below 0")
    optimizer.load_state(
        {
            name.removeprefix("optimizer "): x
            for name, x in arrays.items()
            if name.startswith("optimizer ")
        }
    )
    rng.set_state(
        ("MT19937", arrays["generator keys"], place, has_normal, float(arrays["generator normal"]))
    )
    for name, p in parameters.items():
        p.data = np.array(arrays[f"parameter {name}"])
    training[:] = arrays["training"]


class Saver:
    """What a training could go on from: kept in memory after each epoch, in a file every some epochs and at the end.

    `take()` gives the arrays and settings as they are now, in copies; `put_back(arrays)` makes them so again. Without
    a `file` nothing is written; `every` 0 writes at the end alone.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | None,
        every: int,
        take: Callable[[], tuple[Arrays, Settings]],
        put_back: Callable[[Arrays], None],
    ):
        self.file, self.every, self.take, self.put_back = file, every, take, put_back
        self.latest = self.first = take()
        self.written: tuple[Arrays, Settings] | None = None

    @property
    def saved(self) -> bool:
        """Whether the file has what was kept last."""
        return self.written is self.latest

    def epoch_done(self, epoch: int) -> None:
        """To be called after each epoch, with its number."""
        self.latest = self.take()
        if self.every and epoch % self.every == 0:
            self.write()

    def stop(self) -> None:
        """Go back to the end of the last finished epoch, out of the middle of one, and write that.

        Where none is finished, nothing is written: an old file is worth more than an untrained model.
        """
        with uninterrupted():  # whoever presses Ctrl-C twice wants no less than once
            self.put_back(self.latest[0])
            if self.latest is not self.first:
                self.write()

    def write(self) -> None:
        """What was kept last, into the file, unless it is there; Ctrl-C and SIGTERM wait for it."""
        if self.file and not self.saved:
            with uninterrupted():
                save_checkpoint(self.file, *self.latest)
                self.written = self.latest
