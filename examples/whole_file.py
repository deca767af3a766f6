"""Files that are whole or as they were: what is written takes a file's place in one step, on the disk as well."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

MARK = re.compile(r"-([0-9a-f]{16})-part")
STALE = 3600  # seconds after the last byte, when nobody goes on writing

KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
}


@contextlib.contextmanager
def whole_file(file: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to; when all has gone well, what was written there becomes `file`, in one step.

    Where it has not, `file` is as it was, and nothing is left beside it: neither an error nor Ctrl-C nor a full disk
    loses an old file, nor does a kill. The path has the suffix of `file`, lies in the same folder, and holds an empty
    file. The mode of an old file is kept, and its owner where that is allowed; of a symbolic link the target is
    replaced. Raises OSError, in one line, where nothing can be written.
    """
    target, old = place_of(file)
    part = part_of(target, secrets.token_hex(8))  # another one each time, as two may write at once
    try:
        # What was private is private while it is written, too
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if old else 0o666))
    except OSError as error:
        raise cannot(file, error.strerror or str(error)) from error
    remove_leftovers(target, part)
    try:
        yield part
        if old is not None:
            keep_owner(part, old)
            part.chmod(stat.S_IMODE(old.st_mode))
        sync(part)  # else a power cut could leave the new name with nothing behind it
        part.replace(target)
    except OSError as error:
        remove(part)
        reason = error.strerror or error
        raise OSError(f"{file} could not be written, and is as it was: {reason}") from error
    except BaseException:  # Ctrl-C as well: raised again
        remove(part)
        raise
    with contextlib.suppress(OSError):  # the file is in place; not every folder can be opened
        sync(target.parent)


def place_of(file: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Where a file lies, behind symbolic links, and what is there now; OSError where it cannot be written."""
    if not os.fspath(file):
        raise OSError("a file to write needs a name, not an empty one")
    try:
        target = Path(os.path.realpath(file))
        old = status_of(Path(file))  # of /dev/stdout, no path leads to what it is
    except (OSError, ValueError) as error:  # a loop of links, a name too long, a zero byte in it
        raise cannot(file, getattr(error, "strerror", None) or str(error)) from error
    if old is not None and (kind := kind_of(old)):
        raise cannot(file, f"it is {kind}")
    if old is not None and is_output(old):
        raise cannot(file, "what is printed goes there")
    if old is not None and not os.access(target, os.W_OK):
        raise cannot(file, "it is read-only")
    if os.fspath(file).endswith(os.sep):
        raise cannot(file, "that is the name of a folder")
    if not target.parent.is_dir():
        raise cannot(file, f"there is no folder {target.parent}")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise cannot(file, f"you may not write in the folder {target.parent}")
    return target, old


def status_of(path: Path) -> os.stat_result | None:
    """What is there, or None."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def is_output(status: os.stat_result) -> bool:
    """Whether it is where the lines of this program go, which would go nowhere once another file is in its place."""
    for number in (1, 2):
        with contextlib.suppress(OSError):  # closed
            if os.path.samestat(status, os.fstat(number)):
                return True
    return False


def part_of(target: Path, mark: str) -> Path:
    """Where to write what becomes `target`, with the same suffix; short, as names have a limit."""
    return target.with_name(f".{target.stem.lstrip('.')[:40]}-{mark}-part{target.suffix[:20]}")


def remove_leftovers(target: Path, new: Path) -> None:
    """Take away what killed writers left beside a file; no one else's, and nothing that may still be written.

    How old they are is seen beside a new file, by the one clock of their disk.
    """
    with contextlib.suppress(OSError):  # they harm nobody
        now = new.stat().st_mtime
        for path in target.parent.iterdir():
            mark = MARK.search(path.name)
            if mark is None or path != part_of(target, mark[1]):
                continue
            if now - path.stat().st_mtime > STALE:
                path.unlink()


def cannot(file: str | os.PathLike[str], why: str) -> OSError:
    """The error for a place where nothing can be written."""
    return OSError(f"{file} cannot be written: {why}")


def kind_of(status: os.stat_result) -> str:
    """What something is that is no file, or nothing."""
    return next((kind for is_one, kind in KINDS.items() if is_one(status.st_mode)), "")


def keep_owner(part: Path, old: os.stat_result) -> None:
    """Give a file the owner and group of another one, as far as that is allowed."""
    mine = part.stat()
    if (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid):
        with contextlib.suppress(OSError):
            os.chown(part, old.st_uid, old.st_gid)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(part: Path) -> None:
    """Take away what was written; the error that led here is the one to hear of."""
    with contextlib.suppress(OSError):
        part.unlink()
