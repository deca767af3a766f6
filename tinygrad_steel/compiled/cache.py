"""Machine code kept on disk: loaded only where nothing of it has changed, else compiled anew."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import shutil
import sys
import tempfile
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

# By source, while it is in use; and a little longer, as the same step is often compiled again.
LOADED: weakref.WeakValueDictionary[str, ModuleType] = weakref.WeakValueDictionary()
RECENT: deque[ModuleType] = deque(maxlen=32)
LOCK = threading.RLock()
OWN_CODE = ("elementary*.py", "kernels*.py", "pipeline.py")  # what makes the code of programs
DIGEST = "digest"  # the file that says what all the others are


def compiled_module(source: str) -> ModuleType:
    """The module with this source: that of this process, from disk, or compiled now.

    A program is kept in a folder of its own, which appears there as a whole and never changes. The
    text that runs is `source` itself; machine code from disk is taken only where it is, byte by
    byte, what was written, and lies in a folder that no other user can write into. Where nothing
    can be kept, a RuntimeWarning says why, once.
    """
    try:
        import numba  # where it is not installed, the NumPy back end does all
    except ImportError as error:
        raise ImportError(
            f'backend="numba" needs numba: pip install "tinygrad_steel[jit]" ({error})'
        ) from error
    versions = f"{source}\n{numba.__version__} {np.__version__} {sys.version} {own_code()}"
    with LOCK:
        module = LOADED.get(versions)
        if module is None:
            name = "step_" + hashlib.sha256(versions.encode()).hexdigest()[:20]
            module = LOADED[versions] = kept_module(source, name, numba)
        RECENT.append(module)
    return module


@functools.cache
def own_code() -> str:
    """A number for the files whose functions are compiled into a program: with another version of
    these it is another one.
    """
    found = hashlib.sha256()
    here = Path(__file__).parent
    for file in sorted(file for pattern in OWN_CODE for file in here.glob(pattern)):
        found.update(file.read_bytes())
    return found.hexdigest()


def kept_module(source: str, name: str, numba: Any) -> ModuleType:
    """The module from disk, or compiled and put there, as far as the disk allows."""
    try:
        folder = cache_folder()
        if is_whole(folder / name, source):
            return run(source, name, folder / name, numba)
        return build(source, name, folder, numba)
    # RuntimeError: numba found no place.
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        warnings.warn(
            f"compiled steps cannot be kept on disk, and are compiled anew in each process "
            f"({error!r}): set "
            f"TINYGRAD_STEEL_CACHE to a folder of your own",
            RuntimeWarning,
            stacklevel=2,
        )
    return run(source.replace("cache=True", "cache=False"), name, None, numba)


def build(source: str, name: str, folder: Path, numba: Any) -> ModuleType:
    """Compile in a new folder, and move it to its place; what is there, and is damaged, goes."""
    place, new = folder / name, Path(tempfile.mkdtemp(prefix=".new_", dir=folder))
    try:
        (new / f"{name}.py").write_bytes(source.encode())
        module = run(source, name, new, numba)
        (new / DIGEST).write_bytes(digest(new))
        if os.path.lexists(place) and not is_whole(place, source):
            remove(place)
        try:
            os.rename(new, place)
        except OSError:
            if not is_whole(place, source):  # else another process was faster
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return module


def remove(place: Path) -> None:
    """Take away whatever is in this place: a folder, even one whose files cannot be removed, a
    file, a link.
    """
    aside = Path(tempfile.mkdtemp(prefix=".old_", dir=place.parent))
    os.rename(place, aside / "old")
    shutil.rmtree(aside, ignore_errors=True)


def run(source: str, name: str, folder: Path | None, numba: Any) -> ModuleType:
    """The module of a source, whose machine code is loaded from, or kept in, this folder."""
    module = ModuleType(name)
    module.__file__ = str(folder / f"{name}.py") if folder else f"<{name}>"
    sys.modules[name] = module  # numba looks for it there when it loads what it has kept
    try:
        with in_this_folder(numba):
            exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)
    finally:
        del sys.modules[name]
    return module


@contextlib.contextmanager
def in_this_folder(numba: Any) -> Iterator[None]:
    """Whatever NUMBA_CACHE_DIR says: numba keeps machine code beside the source, where it is looked
    after.
    """
    config: Any = getattr(numba.core, "config", None)
    old = getattr(config, "CACHE_DIR", "")
    if old:
        config.CACHE_DIR = ""
    try:
        yield
    finally:
        if old:
            config.CACHE_DIR = old


def is_whole(place: Path, source: str) -> bool:
    """Whether the folder of a program holds just what was written there."""
    try:
        text = (place / f"{place.name}.py").read_bytes()
        return text == source.encode() and (place / DIGEST).read_bytes() == digest(place)
    except OSError:  # missing, a folder, or not to be read: it is compiled anew
        return False


def digest(folder: Path) -> bytes:
    """A number for all files of a folder but the digest itself, with their names."""
    found = hashlib.sha256()
    for file in sorted(x for x in folder.rglob("*") if x.name != DIGEST and not x.is_dir()):
        data = file.read_bytes()
        found.update(f"{file.relative_to(folder)} {len(data)}\n".encode() + data)
    return found.hexdigest().encode()


def cache_folder() -> Path:
    """A folder of this user alone inside $TINYGRAD_STEEL_CACHE or the user's cache; OSError where
    there can be none.
    """
    given = os.environ.get("TINYGRAD_STEEL_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    base = (
        Path(given)
        if given
        else Path(home or Path.home() / ".cache") / "tinygrad_steel" / "compiled"
    )
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = base / ("steps" if user is None else f"steps_{user}")
    base.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if user is not None and (
        status.st_uid != user or status.st_mode & 0o022 or folder.is_symlink()
    ):
        raise PermissionError(f"{folder} is not a folder of this user alone")
    return folder
