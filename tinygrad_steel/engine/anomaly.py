"""detect_anomaly: stop at the first NaN or infinity, and say which op, which Tensor and which line made it."""

from __future__ import annotations

import contextlib
import linecache
from typing import Any

import numpy as np

from ..ops.op import data_of, describe
from .messages import describe_call, users_frame
from .recording import Watcher, recording


def detect_anomaly() -> contextlib.AbstractContextManager[None]:
    """Inside `with detect_anomaly():` the first NaN or infinity raises FloatingPointError, forward or backward.

    The message names the op, its inputs and the line of the user's code that called it. Put the forward pass inside as
    well as `backward()`: the lines are noted as results are made. It slows everything down; it is for finding a fault.

    Raises
    ------
    FloatingPointError
        Inside the block, at the first result or gradient that is not finite.

    Examples
    --------
    >>> from tinygrad_steel import Tensor
    >>> x = Tensor([1.0, 0.0], requires_grad=True, name="x")
    >>> with detect_anomaly(), np.errstate(divide="ignore"):
    ...     x.log().sum().backward()
    Traceback (most recent call last):
    FloatingPointError: log(x: (2,) float64) gave -inf at index (1,), at ...
    """
    return recording(watcher=AnomalyWatcher())


class AnomalyWatcher(Watcher):
    """Looks at every result and gradient, and notes the line where each result was made."""

    def __init__(self) -> None:
        self.lines: dict[int, str] = {}  # age of a result -> line

    def result(self, y: Any, op: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> None:
        """FloatingPointError where a result is not finite."""
        self.lines[y.age] = line = users_line()
        found = not_finite(y.data)
        if found:
            given = ((x, not_finite(data_of(x))) for x in inputs)
            blame = next((f"; its input {describe(x)} had {what}" for x, what in given if what), "")
            raise FloatingPointError(
                f"{describe_call(op, inputs, params)} gave {found}, {line}{blame}"
            )

    def sent(self, y: Any, x: Any, g: Any) -> None:
        """FloatingPointError where a gradient is not finite."""
        found = not_finite(data_of(g))
        if found:
            line = self.lines.get(
                y.age, "at a line not known, since it was computed outside detect_anomaly()"
            )
            call = describe_call(y.op, y.inputs, y.params)
            raise FloatingPointError(
                f"the gradient of {describe(x)} through {call} is {found}; forward {line}"
            )


def not_finite(data: Any) -> str:
    """The first NaN or infinity and where it is; empty where there is none."""
    data = np.asarray(data)
    if data.dtype.kind != "f" or np.isfinite(data).all():
        return ""
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(data))[0])
    return f"{data[index]} at index {index}" if index else f"{data}"


def users_line() -> str:
    """The line of the user's code that is being run, as messages show it."""
    frame = users_frame()
    file, number = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(file, number).strip()
    return f"at {file}:{number}, in {frame.f_code.co_name}{': ' + code if code else ''}"
