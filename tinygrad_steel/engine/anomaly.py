"""detect_anomaly: stop at the first NaN or infinity, and say which op, Tensor and line made it."""

from __future__ import annotations

import contextlib
import linecache
from typing import Any

import numpy as np

from ..ops.op import data_of, describe
from .messages import describe_call, users_frame
from .places import spelled_place
from .recording import Watcher, recording


def detect_anomaly() -> contextlib.AbstractContextManager[None]:
    """Stop at the first NaN or infinity, forward or backward, inside `with detect_anomaly():`.

    The message names the op, its inputs and the line of your code that called it. Put the forward
    pass inside as well as `backward()`: the lines are noted as results are made. It slows everything
    down; it is for finding a fault.

    Returns
    -------
    context manager
        For a `with`.

    Raises
    ------
    FloatingPointError
        Inside the block, at the first result or gradient that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, detect_anomaly
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
        line = self.lines[y.age] = users_line()
        found = not_finite(y.data)
        if found:
            call = describe_call(op, inputs, params)
            raise FloatingPointError(f"{call} gave {found}, {line}{blame(inputs)}")

    def sent(self, y: Any, x: Any, g: Any) -> None:
        """FloatingPointError where a gradient is not finite."""
        found = not_finite(data_of(g))
        if found:
            unknown = "at a line not known, since it was computed outside detect_anomaly()"
            call = describe_call(y.op, y.inputs, y.params)
            raise FloatingPointError(
                f"the gradient of {describe(x)} through {call} is {found}; "
                f"forward {self.lines.get(y.age, unknown)}"
            )


def blame(inputs: tuple[Any, ...]) -> str:
    """The first input that was not finite already, as the end of a sentence; empty without one."""
    for x in inputs:
        found = not_finite(data_of(x))
        if found:
            return f"; its input {describe(x)} had {found}"
    return ""


def not_finite(data: Any) -> str:
    """The first NaN or infinity and where it is; empty where there is none."""
    data = np.asarray(data)
    if data.dtype.kind != "f" or np.isfinite(data).all():
        return ""
    if not data.ndim:
        return f"{data}"
    index = tuple(np.argwhere(~np.isfinite(data))[0].tolist())
    return f"{data[index]} at index {index}"


def users_line() -> str:
    """The line of the user's code that is being run, as messages show it."""
    frame = users_frame()
    file, number = frame.f_code.co_filename, frame.f_lineno
    place = f"at {spelled_place(file, number)}, in {frame.f_code.co_name}"
    code = linecache.getline(file, number).strip()
    return f"{place}: {code}" if code else place
