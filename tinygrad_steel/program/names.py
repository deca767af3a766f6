"""Identifiers: what may be one, which one is free, and what ops and their arguments are called."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import itertools
import keyword
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import TWINS, Op

NUMBERED = re.compile(r"_\d+$")
RESERVED = {"np", "numpy", "scipy", *keyword.kwlist, *dir(builtins)}
# NumPy's functions that are not among TWINS: on Tensors they do more than the op alone.
NUMPY = {
    ops.transpose: "np.transpose",
    ops.flip: "np.flip",
    ops.clip: "np.clip",
    ops.nan_to_num: "np.nan_to_num",
    ops.where: "np.where",
    ops.roll: "np.roll",
    ops.pad: "np.pad",
    ops.diag: "np.diag",
    ops.argsort: "np.argsort",
    ops.argpartition: "np.argpartition",
    ops.norm: "np.linalg.norm",
    ops.cumsum: "np.cumsum",
    ops.cumprod: "np.cumprod",
    ops.full_like: "np.full_like",
    ops.einsum: "np.einsum",
    ops.convolve: "np.convolve",
    ops.cholesky: "np.linalg.cholesky",
    ops.pinv: "np.linalg.pinv",
}
MODULES = (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft))


class Identifiers:
    """The names of one function, each given once; `reserved`: its own, and of those it calls."""

    def __init__(self, reserved: Iterable[str]):
        self.functions = {*reserved}
        self.taken = {*RESERVED, *self.functions}
        self.numbered = (f"t{i}" for i in itertools.count(1))

    def free(self, wanted: str) -> str:
        """An identifier that is not taken yet, as close to what is wanted as possible."""
        name = identifier(wanted)
        name += "_" * (name in RESERVED or NUMBERED.sub("", name) in self.functions)
        found = name if name not in self.taken else first_free((), self.taken, name)
        self.taken.add(found)
        return found

    def short(self) -> str:
        """The next one for a value without a name: t1, t2, ..."""
        return self.free(next(name for name in self.numbered if name not in self.taken))


def first_free(names: Iterable[str], taken: Collection[str], base: str = "") -> str:
    """The first of these names that is free; else the last (or `base`) with a number that is."""
    names = [*names]
    base = base or names[-1]
    numbered = (f"{base}_{n}" for n in itertools.count(2))
    return next(name for name in itertools.chain(names, numbered) if name not in taken)


def identifier(name: str) -> str:
    """The nearest Python identifier."""
    name = unicodedata.normalize("NFKC", name)
    if not name.isidentifier():
        name = "".join(c if f"a{c}".isidentifier() else "_" for c in name)
        name = re.sub(r"_+", "_", name).rstrip("_") or "_"
    return name if name.isidentifier() else f"_{name}"


def readable(name: str, taken: Collection[str]) -> str:
    """A name as it stands in a formula: changed where it is taken, or reads as something else."""
    if reads_otherwise(name):
        name = identifier(name)
        name += "_" * (name == "np" or keyword.iskeyword(name))
    return name if name not in taken else first_free((), taken, identifier(name))


def reads_otherwise(name: str) -> bool:
    """Whether a reader takes it for something else than a name (`w[0]` is one)."""
    if not name.strip() or name == "np" or keyword.iskeyword(name):
        return True
    try:
        found = ast.parse(name, mode="eval").body
    except (SyntaxError, ValueError):  # ValueError: a null character
        return False
    is_text = isinstance(found, ast.Constant) and isinstance(found.value, str)
    return not (is_text or isinstance(found, ast.Name | ast.Attribute | ast.Subscript))


# Ops


@functools.lru_cache(maxsize=512)
def numpy_name(op: Op) -> str | None:
    """The NumPy function that the op is, as source calls it; None where there is none."""
    if op in NUMPY:
        return NUMPY[op]
    functions = [f for f, other in TWINS.items() if other is op]
    if isinstance(op.forward, np.ufunc):
        functions.insert(0, op.forward)
    found = (place_in_numpy(f, name) for f in functions for name in (op.name, f.__name__))
    return next(filter(None, found), None) or place_in_scipy(op)


def place_in_scipy(op: Op) -> str | None:
    """Where SciPy has the function of an op in ops/special.py; None for all others."""
    special = sys.modules.get("tinygrad_steel.ops.special")
    return f"scipy.special.{op.name}" if special and op in special.SPECIAL else None


def place_in_numpy(function: Any, name: str) -> str | None:
    """Where NumPy has this function under this name; None where it has not."""
    for where, module in MODULES:
        if getattr(module, name, None) is function:
            return f"{where}.{name}"
    return None


def function_name(op: Op) -> str:
    """How the function of an op is called that NumPy does not have."""
    name = identifier(op.name)
    is_taken = name in {*RESERVED, "backprop"} or (name == "scatter" and op is not ops.scatter)
    return name + "_" * is_taken


def argument_names(op: Op, count: int) -> list[str]:
    """What the op calls its first `count` inputs; x0, x1, ... where it takes any number of them."""
    return [*op.input_names, *(f"x{i}" for i in range(count))][:count]


@functools.cache
def words(name: str) -> frozenset[str] | None:
    """What a NumPy function calls its arguments, where that is known."""
    try:
        function: Any = functools.reduce(getattr, name.split(".")[1:], np)
        return frozenset(inspect.signature(function).parameters)
    except ValueError:
        return None
