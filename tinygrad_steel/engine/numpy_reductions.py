"""NumPy's reductions on Tensors with where=, initial= and dtype=, and those that leave NaNs out.

What is left out is replaced by what changes nothing, so that no NaN there spoils a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import is_tensor
from ..ops.safe import floats, wide

Axis = Any


def only(a: Any, where: Any, otherwise: Any) -> Any:
    """`a` where it counts; NumPy lets `where` be smaller, but not larger than `a`."""
    return a if where is True else np.where(np.broadcast_to(where, a.shape), a, otherwise)


def in_dtype(a: Any, dtype: Any) -> Any:
    """The elements as they are to be added up."""
    return a if dtype is None else a.astype(dtype)


def in_its_dtype(initial: Any, y: Any) -> Any:
    """What a reduction starts with, in the dtype of what it comes to."""
    return initial.astype(y.dtype) if is_tensor(initial) else y.dtype.type(initial)


def sum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    y = ops.sum(only(in_dtype(a, dtype), where, 0), axis, keepdims=keepdims)
    return y if initial is None else y + in_its_dtype(initial, y)


def prod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    y = ops.prod(only(in_dtype(a, dtype), where, 1), axis, keepdims=keepdims)
    return y if initial is None else y * in_its_dtype(initial, y)


def max(
    a: Any, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    return extreme(ops.max, ops.maximum, a, axis, keepdims, initial, where)


def min(
    a: Any, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    return extreme(ops.min, ops.minimum, a, axis, keepdims, initial, where)


def extreme(
    op: Any, of_two: Any, a: Any, axis: Axis, keepdims: bool, initial: Any, where: Any
) -> Any:
    """An extreme, which `initial` takes part in."""
    if initial is None:
        if where is not True:
            raise ValueError(f"{op.name} with where= needs initial=, for where nothing is left")
        return op(a, axis, keepdims=keepdims)
    initial = in_its_dtype(initial, a)
    return of_two(op(only(a, where, initial), axis, keepdims=keepdims), initial)


def any(a: Any, axis: Axis = None, *, keepdims: bool = False, where: Any = True) -> Any:
    return ops.any(only(a, where, False), axis, keepdims=keepdims)


def all(a: Any, axis: Axis = None, *, keepdims: bool = False, where: Any = True) -> Any:
    return ops.all(only(a, where, True), axis, keepdims=keepdims)


def mean(
    a: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True
) -> Any:
    a = in_dtype(a, dtype)
    if where is True:
        return ops.mean(a, axis, keepdims=keepdims)
    x = wide(a)
    y = sum(x, axis, keepdims=keepdims, where=where) / count(x, axis, keepdims, where)
    return y.astype(a.dtype) if a.dtype.char == "e" else y


def count(x: Any, axis: Axis, keepdims: bool, where: Any) -> Any:
    """How many elements count, in the dtype of `x` where that has floats."""
    counted = np.sum(np.broadcast_to(where, x.shape), axis=axis, keepdims=keepdims)
    return counted.astype(x.dtype) if x.dtype.kind == "f" else counted


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = True,
    correction: float | None = None,
) -> Any:
    a, ddof = in_dtype(a, dtype), ddof if correction is None else correction
    if where is True:
        return ops.var(a, axis, keepdims=keepdims, ddof=ddof)
    x, n = deviations(a, axis, keepdims, where)
    return np.sum(np.square(x), axis=axis, keepdims=keepdims) / np.maximum(n - ddof, 0)


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = True,
    correction: float | None = None,
) -> Any:
    """By the length of the deviations, the slope of which is 0 where all of them are."""
    a, ddof = in_dtype(a, dtype), ddof if correction is None else correction
    if where is True:
        return ops.std(a, axis, keepdims=keepdims, ddof=ddof)
    x, n = deviations(a, axis, keepdims, where)
    return ops.norm(x, axis, keepdims=keepdims) / np.sqrt(np.maximum(n - ddof, 0))


def deviations(a: Any, axis: Axis, keepdims: bool, where: Any) -> tuple[Any, Any]:
    """How far the elements that count are from their mean, and how many they are."""
    x = only(a, where, 0)
    x = only(x - mean(x, axis, keepdims=True, where=where), where, 0)
    return x, count(x, axis, keepdims, where)


def cumsum(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    return running(ops.cumsum, a, axis, dtype)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    return running(ops.cumprod, a, axis, dtype)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    return cumulative(cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    return cumulative(cumprod, 1, x, axis, dtype, include_initial)


def cumulative(
    run: Callable[..., Any], start: int, x: Any, axis: int | None, dtype: Any, initial: bool
) -> Any:
    """A running sum or product, perhaps with what it starts from."""
    if axis is None and x.ndim > 1:
        raise ValueError(
            "np.cumulative_sum and np.cumulative_prod: say axis=, for there are several"
        )
    y = run(x, 0 if axis is None else axis, dtype)
    if not initial:
        return y
    first = np.full_like(np.take(y, [0], 0 if axis is None else axis), start)
    return np.concatenate([first, y], axis=0 if axis is None else axis)


def running(op: Any, a: Any, axis: int | None, dtype: Any) -> Any:
    """A running sum or product, without an axis over all elements in row order."""
    a = in_dtype(a, dtype)
    return op(np.ravel(a), axis=0) if axis is None else op(a, axis=axis)


# NaN left out


def nansum(a: Any, axis: Axis = None, dtype: Any = None, **asked: Any) -> Any:
    return sum(np.where(np.isnan(a), 0, a), axis, dtype, **asked)


def nanprod(a: Any, axis: Axis = None, dtype: Any = None, **asked: Any) -> Any:
    return prod(np.where(np.isnan(a), 1, a), axis, dtype, **asked)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    return cumsum(np.where(np.isnan(a), 0, a), axis, dtype)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
    return cumprod(np.where(np.isnan(a), 1, a), axis, dtype)


def nanmax(
    a: Any, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    return of_numbers(max, -np.inf, a, axis, keepdims, initial, where)


def nanmin(
    a: Any, axis: Axis = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    return of_numbers(min, np.inf, a, axis, keepdims, initial, where)


def of_numbers(
    extreme: Any, least: float, a: Any, axis: Axis, keepdims: bool, initial: Any, where: Any
) -> Any:
    """An extreme of what is no NaN; NaN where nothing else is there."""
    missing = np.isnan(a)
    rest = np.where(missing, least, a)
    y = extreme(rest, axis, keepdims=keepdims, initial=initial, where=where)
    nothing = all(missing, axis, keepdims=keepdims, where=where)
    return np.where(nothing, np.nan if initial is None else initial, y)


def nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True
) -> Any:
    there = ~np.isnan(a)
    there = there if where is True else np.logical_and(there, where)
    return mean(a, axis, dtype, keepdims=keepdims, where=there)


def nanvar(a: Any, axis: Axis = None, dtype: Any = None, **asked: Any) -> Any:
    return of_enough(var, a, axis, dtype, **asked)


def nanstd(a: Any, axis: Axis = None, dtype: Any = None, **asked: Any) -> Any:
    return of_enough(std, a, axis, dtype, **asked)


def of_enough(
    deviation: Callable[..., Any],
    a: Any,
    axis: Axis,
    dtype: Any,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = True,
) -> Any:
    """A deviation of what is no NaN; NaN where no more than `ddof` numbers are left."""
    a, there = floats(a), ~np.isnan(a)
    there = there if where is True else np.logical_and(there, where)
    enough = np.sum(there, axis=axis, keepdims=keepdims) > ddof
    safe = np.where(enough, ddof, -1).astype(a.dtype)  # never a division by 0
    y = deviation(a, axis, dtype, ddof=safe, keepdims=keepdims, where=there)
    return np.where(enough, y, np.nan)
