"""Whose code a frame runs: a person's own, or a library's."""

from __future__ import annotations

import functools
import os
import sysconfig
from types import CodeType
from typing import Any

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("stdlib", "platstdlib", "purelib", "platlib")
LIBRARIES = {HERE, *(os.path.realpath(sysconfig.get_path(name)) for name in FOLDERS)}
PACKAGES = ("site-packages", "dist-packages")
# Frames that Python makes for expressions; from 3.12 on it makes none for most of them.
EXPRESSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")


def own_folder(function: Any) -> str:
    """The package in which a person's function lies, if it was installed like a library."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    file = code.co_filename if code else ""
    return os.path.dirname(file) if is_library(file) and not file.startswith(HERE) else ""


def is_own(code: CodeType, own: str) -> bool:
    """Whether a frame runs somebody's own code."""
    file = code.co_filename
    if code.co_name in EXPRESSIONS:
        return False
    return not is_library(file) or bool(own and file.startswith(own))


@functools.lru_cache(maxsize=4096)
def is_library(file: str) -> bool:
    """Whether a file belongs to Python, to a package that was installed, or to this library."""
    if file.startswith(("<frozen", "<__array_function__")):
        return True
    if file.startswith("<"):
        return False  # a cell, a doctest, what was typed in
    parts = os.path.realpath(file).split(os.sep)
    folders = (os.sep.join(parts[:n]) for n in range(2, len(parts)))
    return any(part in PACKAGES for part in parts) or any(f in LIBRARIES for f in folders)
