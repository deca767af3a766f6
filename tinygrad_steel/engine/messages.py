"""What messages say and where: calls as text, errors told again, warnings at a user's line."""

from __future__ import annotations

import itertools
import linecache
import os
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from ..ops.op import describe


def describe_call(op: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> str:
    """A call as messages show it: `matmul(x: (10, 27) float64, weight: (7, 27) float64)`."""
    given = [*map(describe, inputs), *(f"{name}={value!r}" for name, value in params.items())]
    return f"{op.name}({', '.join(given)})"


def described_result(y: Any) -> str:
    """A Tensor as messages show it, and where it has no name, the op that it came from."""
    return describe(y) if y.op is None or y.name else f"{describe(y)}, the result of {y.op.name}"


INSIDE = (str(Path(__file__).parents[1]) + os.sep, str(Path(np.__file__).parent) + os.sep)


def users_frame() -> FrameType:
    """The innermost frame that is neither in this package nor in NumPy: what a message is about."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame = frame.f_back
    return frame


def users_place() -> tuple[str, int]:
    """The file and the number of the user's line."""
    frame = users_frame()
    return frame.f_code.co_filename, frame.f_lineno


def expression_of(frame: FrameType) -> str:
    """The text of what a frame is computing, where its source can be read, and it is on one line."""
    positions = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    first, last, start, end = positions
    if first is None or first != last:
        return ""
    line = linecache.getline(frame.f_code.co_filename, first, frame.f_globals)
    # columns are counted in bytes
    return line.encode()[start:end].decode()


def warn_user(text: str, category: type[Warning]) -> None:
    """Warn at the user's line; Python shows a text without numbers once for each such line."""
    names = users_frame().f_globals
    seen = names.setdefault("__warningregistry__", {})
    module = names.get("__name__", "<string>")  # of None, Python would say nothing
    warnings.warn_explicit(text, category, *users_place(), module, seen)


def asked_by_user(depth: int) -> bool:
    """Whether the line this many frames above the caller is neither in this package nor NumPy's."""
    return not sys._getframe(depth + 1).f_code.co_filename.startswith(INSIDE)


# What an error is told again as: NumPy's other ones, derived from these, are not made from a message.
KINDS = (
    np.exceptions.AxisError,
    np.linalg.LinAlgError,
    TypeError,
    IndexError,
    ValueError,
    FloatingPointError,
)


def explained(error: Exception, where: str, op: Any) -> Exception:
    """The same kind of error, saying where it happened before what was said of it; `op` may be a spelling.

    A class of somebody else's stays what it is, as who raises it may want to catch it: it gets a
    note instead.
    """
    if getattr(op, "elementwise", False) and "broadcast" in str(error):
        where = f"{where} (on every axis, counted from the right, lengths must be equal or 1)"
    from_numpy = type(error).__module__.partition(".")[0] == "numpy"
    for kind in KINDS:
        if type(error) is kind or (from_numpy and isinstance(error, kind)):
            return kind(f"{where}: {error}")
    error.add_note(f"in {where}")
    return error
