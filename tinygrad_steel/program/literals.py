"""How numbers, arrays, dtypes, indices and parameters are said in source."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from .. import ops
from .texts import Text, joined, separated

WHOLE = 1e6  # floats below it that are whole are written in full
PYTHONS = (np.float64, np.int64, bool)  # the dtypes that NumPy gives to Python's own numbers


def dtype_name(dtype: np.dtype[Any]) -> str:
    """A dtype as source has it."""
    if is_long(dtype):
        return "np.longdouble"
    return "bool" if dtype.kind == "b" else f"np.{dtype.name}"


def is_long(dtype: np.dtype[Any]) -> bool:
    """Whether it has more digits than a Python number."""
    return dtype.kind == "f" and dtype.itemsize > 8


# Parameters


def value_text(v: Any, runs: bool = False) -> str:
    """A parameter's value as source; where it `runs`, floats have the dtype that they have here.

    Raises TypeError where it is to run and the value has no form as source.
    """
    for kind, form in LITERALS.items():
        text = form(v, runs) if isinstance(v, kind) else None
        if text is not None:
            return text
    if runs and v is not None and type(v) not in (bool, int, float, str):
        raise TypeError(f"{v!r:.80} has no form as source")
    return repr(v)


def numpy_number(v: np.generic, runs: bool) -> str:
    """A number of NumPy's."""
    if is_long(v.dtype):
        return f'np.longdouble("{v!s}")'
    text = value_text(v.item())
    return f"{dtype_name(v.dtype)}({text})" if runs and v.dtype.kind == "f" else text


def short_number(x: Any) -> str:
    """A number for a reader, with four digits; whole ones in full.

    >>> short_number(3**0.5), short_number(784.0), short_number(0.001), short_number(123456)
    ('1.732', '784', '0.001', '123456')
    """
    x = x.item() if isinstance(x, np.generic | np.ndarray) else x
    if not isinstance(x, float) or not math.isfinite(x):
        return value_text(x)
    is_whole = x == int(x) and abs(x) < WHOLE
    return str(int(x)) if is_whole else f"{x:.4g}"


def special_float(v: float, runs: bool) -> str | None:
    """What Python has no literal for; None for all other floats."""
    if math.isfinite(v):
        return None
    if math.isnan(v):
        return "np.nan"
    return "np.inf" if v > 0 else "-np.inf"


def items(values: Any, runs: bool) -> str:
    """Values one after the other."""
    return ", ".join(value_text(v, runs) for v in values)


def tuple_text(v: Sequence[Any], runs: bool) -> str:
    """A tuple; with one element, it ends with a comma."""
    return f"({items(v, runs)}{',' * (len(v) == 1)})"


def dict_text(v: dict[Any, Any], runs: bool) -> str:
    """A dict."""
    pairs = (f"{value_text(key, runs)}: {value_text(value, runs)}" for key, value in v.items())
    return f"{{{', '.join(pairs)}}}"


def type_text(v: type, runs: bool) -> str | None:
    """A type that stands for a dtype; None for any other."""
    if issubclass(v, np.generic):
        return dtype_name(np.dtype(v))
    return v.__name__ if v in (bool, int, float) else None


def ufunc_text(v: np.ufunc, runs: bool) -> str | None:
    """One of NumPy's own functions; None for any other."""
    return f"np.{v.__name__}" if getattr(np, v.__name__, None) is v else None


LiteralForm = Callable[[Any, bool], str | None]

LITERALS: dict[Any, LiteralForm] = {  # the first one that fits and gives a text
    np.generic: numpy_number,
    np.ndarray: lambda v, runs: literal(v),
    float: special_float,
    tuple: tuple_text,
    list: lambda v, runs: f"[{items(v, runs)}]",
    dict: dict_text,
    (set, frozenset): lambda v, runs: f"{type(v).__name__}([{items(v, runs)}])",
    slice: lambda v, runs: f"slice({items((v.start, v.stop, v.step), runs)})",
    np.dtype: lambda v, runs: dtype_name(v),
    type: type_text,
    EllipsisType: lambda v, runs: "...",
    np.ufunc: ufunc_text,
}


# Arrays


def literal(x: np.ndarray) -> str:
    """An array as source: the same numbers to the last bit (but NaN is NaN)."""
    if not x.ndim:
        text = value_text(x[()])
        return text if x.dtype in PYTHONS else f"{dtype_name(x.dtype)}({text})"
    if x.size:
        return pattern(x) or listed(x)
    return f"np.zeros({x.shape}, {dtype_name(x.dtype)})"


def pattern(x: np.ndarray) -> str | None:
    """An array that NumPy makes without a list, such as a range or a triangle of ones; or None."""
    kind, length = dtype_name(x.dtype), len(x)
    if x.ndim == 1 and x.dtype == np.int64 and same_bytes(x, np.arange(length)):
        return f"np.arange({length})"
    is_square = x.shape == (length, length) and length > 1
    if is_square and same_bytes(x, np.eye(length, dtype=x.dtype)):
        return f"np.eye({length})" if x.dtype == np.float64 else f"np.eye({length}, dtype={kind})"
    for k, shifted in ((0, ""), (-1, "k=-1, ")):
        if is_square and same_bytes(x, np.tri(length, k=k, dtype=x.dtype)):
            return f"np.tri({length}, {shifted}dtype={kind})"
    if x.size > 1 and same_bytes(x, np.full(x.shape, x.flat[0], x.dtype)):
        return f"np.full({x.shape}, {value_text(x.flat[0])}, {kind})"
    return None


def same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same to the last bit: 0.0 == -0.0, but they are not."""
    return a.tobytes() == b.tobytes()


def listed(x: np.ndarray) -> str:
    """An array from a list of all its elements."""
    numbers = x.tolist()
    text = value_text(numbers)
    if np.array(numbers).dtype == x.dtype:
        return f"np.array({text})"
    return f"np.array({text}, {dtype_name(x.dtype)})"


# Indices


def index_text(index: Any, arrays: Sequence[Text], alone: bool = True) -> Text:
    """An index between its brackets, or (`alone=False`) by itself; `arrays` fill its holes."""
    parts = index if isinstance(index, tuple) else (index,)
    if not alone and any(isinstance(part, slice) for part in parts):
        return joined("np.s_[", index_text(index, arrays), "]")
    fill = iter(arrays)
    texts = [next(fill) if part is ops.HOLE else part_text(part, alone) for part in parts]
    if not isinstance(index, tuple):
        return joined(*texts)
    if alone and index:
        return separated(texts)
    comma = "," * (len(index) == 1)
    return joined("(", separated(texts), comma, ")")


def part_text(part: Any, alone: bool) -> str:
    """One part of an index; a slice between brackets has colons."""
    if not isinstance(part, slice) or not alone:
        return value_text(part)
    start, stop, step = (
        "" if end is None else value_text(end) for end in (part.start, part.stop, part.step)
    )
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
