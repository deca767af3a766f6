"""NumPy's functions on Tensors: statistics, differences and integrals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .. import ops
from ..ops.op import data_of, is_tensor
from ..ops.safe import floats
from ..ops.shapes import before
from .numpy_parts import as_array, take
from .numpy_questions import numbers_read

MISSING: Any = object()  # stands for an argument that is left out, where None is one

# In order


def ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return ops.max(a, axis, keepdims=keepdims) - ops.min(a, axis, keepdims=keepdims)


def median(
    a: Any, axis: Any = None, overwrite_input: bool = False, *, keepdims: bool = False
) -> Any:
    """Of equal numbers, the one that a stable sort puts in the middle has the gradient."""
    rows = sorted_rows(floats(as_array(a)), axis)
    n = rows.shape[-1]
    if n == 0:
        return ops.mean(a, axis, keepdims=keepdims)  # NaN, with NumPy's warning
    middle = rows[..., n // 2]
    if n % 2 == 0:
        middle = (rows[..., n // 2 - 1] + middle) / 2
    return with_axes(nan_where_last_is(rows, middle), a, axis, keepdims)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    *,
    overwrite_input: bool = False,
    method: Any = "linear",
    keepdims: bool = False,
) -> Any:
    """Where `q` falls, NumPy says: it is a quantile of the numbers of the places themselves.

    Where it falls on whole places only, so is that of integers.
    """
    if is_tensor(q):
        raise TypeError("no gradient is followed to q: give it as a plain number or an array")
    a = as_array(a)
    count = a.size if axis is None else np.prod([a.shape[i] for i in np.ravel(axis)], dtype=int)
    place = np.quantile(np.arange(count), q, method=method)
    dtype = np.quantile(np.zeros(1, a.dtype), q, method=method).dtype
    if place.dtype.kind == "i":
        rows = sorted_rows(a, axis)
        y = rows[..., place]
    else:
        rows = sorted_rows(floats(a), axis)
        low = np.floor(place).astype(int)
        part = (place - low).item() if type(q) in (int, float) else (place - low).astype(dtype)
        y = between(rows[..., low], rows[..., np.minimum(low + 1, count - 1)], part)
    y = y if y.dtype == dtype else y.astype(dtype)
    y = np.moveaxis(y, range(-np.ndim(q), 0), range(np.ndim(q)))
    return with_axes(nan_where_last_is(rows, y), a, axis, keepdims)


def between(low: Any, high: Any, part: Any) -> Any:
    """`part` of the way from one to the other, measured from the nearer as NumPy does."""
    near = part < 0.5
    share = np.where(near, part, part - 1)
    share = share.item() if type(part) is float else share  # which leaves float32 alone
    return np.where(near, low, high) + (high - low) * share


def percentile(a: Any, q: Any, axis: Any = None, **asked: Any) -> Any:
    return quantile(a, hundredths(q), axis, **asked)


def hundredths(q: Any) -> Any:
    """Percentages as shares; a plain number stays one."""
    return q if is_tensor(q) else q / 100 if isinstance(q, int | float) else np.divide(q, 100)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    *,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """The sort puts NaNs last: each row has as many numbers before them as there are."""
    if is_tensor(q) or method != "linear":
        raise TypeError("a plain q and method='linear' are followed where NaNs are left out")
    rows = sorted_rows(floats(as_array(a)), axis)
    last = np.sum(~np.isnan(rows), axis=-1, keepdims=True) - 1
    place = last * np.ravel(q)
    low = np.floor(place).astype(int)
    y = np.take_along_axis(rows, low, -1)
    if np.asarray(q).dtype.kind == "f":
        high = np.take_along_axis(rows, np.minimum(low + 1, np.maximum(last, 0)), -1)
        dtype = np.nanquantile(rows.dtype.type([0]), q).dtype
        y = between(y, high, (place - low).astype(dtype))
    y = np.moveaxis(
        np.reshape(y, (*y.shape[:-1], *np.shape(q))), range(-np.ndim(q), 0), range(np.ndim(q))
    )
    return with_axes(y, a, axis, keepdims)


def nanpercentile(a: Any, q: Any, axis: Any = None, **asked: Any) -> Any:
    return nanquantile(a, hundredths(q), axis, **asked)


def nanmedian(
    a: Any, axis: Any = None, overwrite_input: bool = False, *, keepdims: bool = False
) -> Any:
    rows = sorted_rows(floats(as_array(a)), axis)
    last = np.sum(~np.isnan(rows), axis=-1, keepdims=True) - 1
    low, high = last // 2, (last + 1) // 2
    y = np.take_along_axis(rows, low, -1)
    y = np.where(low == high, y, (y + np.take_along_axis(rows, high, -1)) / 2)
    return with_axes(y[..., 0], a, axis, keepdims)


def sorted_rows(x: Any, axis: Any) -> Any:
    """What is taken together, as sorted rows: the axes that go, as the last one."""
    gone = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    stay = [i for i in range(x.ndim) if i not in gone]
    rows = np.transpose(x, (*stay, *gone))
    length = int(np.prod([x.shape[i] for i in gone]))
    return np.sort(np.reshape(rows, (*(x.shape[i] for i in stay), length)), axis=-1)


def nan_where_last_is(rows: Any, y: Any) -> Any:
    """NaN for rows with a NaN in it, which a sort puts last."""
    last = rows[..., -1]
    return np.where(np.isnan(last), last, y)


def with_axes(y: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """The axes that went as axes of length 1, where they are to be kept."""
    if not keepdims:
        return y
    ndim = np.ndim(a)
    gone = range(ndim) if axis is None else normalize_axis_tuple(axis, ndim)
    return np.expand_dims(y, tuple(i - ndim for i in gone))


# Means


def average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Any:
    """With weights of the shape of `a`, or for one axis of it."""
    a = as_array(a)
    if weights is None:
        y = ops.mean(a, axis, keepdims=keepdims)
        return (y, np.full(y.shape, a.size / max(y.size, 1), y.dtype)) if returned else y
    weights = along_axis(as_array(weights), a, axis)
    # as in NumPy: the products of small integers would wrap around
    least = a.dtype if a.dtype.kind == "f" else np.float64
    dtype = np.result_type(a.dtype, weights.dtype, least)
    a, weights = (x if x.dtype == dtype else x.astype(dtype) for x in (a, weights))
    total = ops.sum(np.broadcast_to(weights, a.shape), axis, keepdims=keepdims)
    if np.any(data_of(total) == 0):
        raise ZeroDivisionError(
            f"np.average: weights {weights.shape} sum to zero: nothing to divide by"
        )
    y = ops.sum(a * weights, axis, keepdims=keepdims) / total
    return (y, total) if returned else y


def along_axis(weights: Any, a: Any, axis: Any) -> Any:
    """Weights in a shape that meets `a`."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError(f"weights {weights.shape} are not those of a {a.shape}: say axis=, too")
    axes = normalize_axis_tuple(axis, a.ndim)
    if weights.shape != tuple(a.shape[i] for i in axes):
        raise ValueError(f"np.average: weights {weights.shape} do not fit axis {axis} of {a.shape}")
    in_order = np.transpose(weights, [*np.argsort(axes)])
    return np.expand_dims(in_order, tuple(i for i in range(a.ndim) if i not in axes))


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """With weights as plain numbers."""
    if is_tensor(fweights) or is_tensor(aweights):
        raise TypeError(
            "no gradient is followed to fweights and aweights: give them as plain numbers, as in "
            "aweights=w.numpy()"
        )
    x = rows_of(m, rowvar) if y is None else np.concatenate([rows_of(z, rowvar) for z in (m, y)])
    x = x.astype(np.float64 if dtype is None else dtype)
    weights = [np.asarray(w, float) for w in (fweights, aweights) if w is not None]
    w = None if not weights else weights[0] if len(weights) == 1 else weights[0] * weights[1]
    x = x - np.expand_dims(average(x, axis=1, weights=w), 1)
    degrees = degrees_of_freedom(
        x.shape[1], w, aweights, (0 if bias else 1) if ddof is None else ddof
    )
    weighted = x if w is None else x * w.astype(x.dtype)
    return np.squeeze(ops.matmul(x, np.transpose(weighted)) * np.divide(1, degrees).item())


def rows_of(m: Any, rowvar: bool) -> Any:
    """Each variable in a row."""
    m = as_array(m)
    if m.ndim > 2:
        raise ValueError(f"np.cov: a table has two axes at most, not {m.ndim}")
    return np.transpose(m) if m.ndim == 2 and not rowvar else np.atleast_2d(m)


def degrees_of_freedom(n: int, w: Any, aweights: Any, ddof: int) -> float:
    """What the sums of products are divided by."""
    if w is None:
        found = float(n - ddof)
    elif ddof == 0 or aweights is None:
        found = float(w.sum()) - ddof
    else:
        found = float(w.sum() - ddof * (w * aweights).sum() / w.sum())
    if found <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=4)
    return max(found, 0.0)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    each = np.arange(len(c))
    lengths = np.sqrt(c[each, each])
    return np.clip(c / lengths[:, None] / lengths[None], -1, 1)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """How often each number comes, or (`weights`) the sum of what comes with it."""
    (numbers,) = numbers_read([x])
    counted = np.bincount(numbers, minlength=minlength)
    if weights is None:
        return counted
    weights = as_array(weights).astype(np.float64)
    return ops.scatter(weights, x, index=ops.HOLE, shape=counted.shape)


# Differences and integrals


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = MISSING, append: Any = MISSING) -> Any:
    if n < 0:
        raise ValueError(f"np.diff: n is at least 0, not {n}")
    a = as_array(a)
    first = before(axis, a.ndim)
    ends = [x if x is MISSING else end_of(x, a, axis) for x in (prepend, append)]
    parts = [x for x in (ends[0], a, ends[1]) if x is not MISSING]
    if n and len(parts) > 1:
        a = np.concatenate(parts, axis=axis)
    apart = np.not_equal if a.dtype == bool else np.subtract
    for _ in range(n):
        a = apart(a[(*first, slice(1, None))], a[(*first, slice(None, -1))])
    return a


def end_of(x: Any, a: Any, axis: int) -> Any:
    """What is put before `a` or after it; a number stands for a layer of them."""
    x = as_array(x)
    if x.ndim:
        return x
    shape = [*a.shape]
    shape[axis] = 1
    return np.broadcast_to(x, tuple(shape))


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    flat = np.ravel(ary)
    parts = [to_begin, flat[1:] - flat[:-1], to_end]
    return np.concatenate(
        [np.ravel(as_array(x)).astype(flat.dtype) for x in parts if x is not None]
    )


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """With steps or coordinates that may be Tensors, too."""
    f = floats(as_array(f))
    axes = range(f.ndim) if axis is None else normalize_axis_tuple(axis, f.ndim)
    steps = varargs or (1.0,)
    if len(steps) == 1:
        steps = steps * len(axes) if not np.ndim(steps[0]) else steps
    if len(steps) != len(axes):
        raise TypeError(f"{len(varargs)} distances are given for {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ValueError("np.gradient: edge_order is 1 or 2")
    found = [slopes(f, h, i, edge_order) for h, i in zip(steps, axes)]
    return found[0] if len(found) == 1 else tuple(found)


def slopes(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    """The slopes along one axis: over both neighbours, and at the ends over those on one side."""
    f = np.moveaxis(f, axis, 0)
    n = f.shape[0]
    if n <= edge_order:
        raise ValueError(f"np.gradient: {n} values are too few for edge_order={edge_order}")
    if np.ndim(h) and np.shape(h) != (n,):
        raise ValueError(f"np.gradient: coordinates {np.shape(h)} do not fit {n} values")
    gaps = diff(floats(as_array(h))) if np.ndim(h) else np.broadcast_to(h, (n - 1,))
    if not is_tensor(gaps) and np.all(gaps == gaps[0]):  # as NumPy: coordinates become a step
        h = gaps[0].item()
    gaps = np.reshape(gaps, (n - 1,) + (1,) * (f.ndim - 1))
    gaps = gaps if is_tensor(gaps) else gaps.astype(f.dtype)
    if np.ndim(h):
        inner = at_the_middle(f[:-2], f[1:-1], f[2:], gaps[:-1], gaps[1:])
    else:
        inner = (f[2:] - f[:-2]) / (2 * h)
    if edge_order == 1:
        first, last = (f[1:2] - f[:1]) / gaps[:1], (f[-1:] - f[-2:-1]) / gaps[-1:]
    else:
        first = at_an_end(f[:1], f[1:2], f[2:3], gaps[:1], gaps[1:2])
        last = -at_an_end(f[-1:], f[-2:-1], f[-3:-2], gaps[-1:], gaps[-2:-1])
    return np.moveaxis(np.concatenate([first, inner, last]), 0, axis)


def at_the_middle(a: Any, b: Any, c: Any, left: Any, right: Any) -> Any:
    """The slope at `b` of the parabola through three values with these gaps."""
    both = left + right
    before, after = right / (left * both), left / (right * both)
    return -before * a + (right - left) / (left * right) * b + after * c


def at_an_end(a: Any, b: Any, c: Any, near: Any, far: Any) -> Any:
    """The slope at `a` of the parabola through three values with these gaps."""
    both = near + far
    return both / (near * far) * b - (near + both) / (near * both) * a - near / (far * both) * c


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_array(y)
    first = before(axis, y.ndim)
    widths = dx
    if x is not None:
        x = as_array(x)
        widths = diff(x, axis=axis if x.ndim > 1 else -1)
        if x.ndim == 1:
            widths = np.reshape(
                widths, (-1,) + (1,) * (y.ndim - 1 - normalize_axis_index(axis, y.ndim))
            )
    heights = y[(*first, slice(1, None))] + y[(*first, slice(None, -1))]
    return ops.sum(widths * heights / 2.0, axis)


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: float | None = None
) -> Any:
    """Gradients for `x` and `fp`; at one of the `xp`, a kink, the slope is that of the piece after."""
    if is_tensor(xp):
        raise TypeError("no gradient is followed to the places xp: give numbers, as in xp.numpy()")
    x, fp = (as_array(z).astype(np.float64) for z in (x, fp))
    xp = np.asarray(xp, float)
    if len(xp) != len(fp) or len(xp) < 2:
        raise ValueError(
            f"np.interp: {len(xp)} places and {len(fp)} values: give two of each, or more"
        )
    if period is not None:
        x, xp, fp = one_period(x, xp, fp, abs(period))
    last = len(xp) - 1
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, last - 1)
    steps = (fp[1:] - fp[:-1]) / np.diff(xp)
    y = take(steps, i) * (x - take(xp, i)) + take(fp, i)  # np.take does not see a Tensor in i
    y = np.where(x < xp[0], fp[0] if left is None or period else left, y)
    return np.where(x > xp[last], fp[last] if right is None or period else right, y)


def one_period(x: Any, xp: Any, fp: Any, period: float) -> tuple[Any, Any, Any]:
    """All within one period, and a place more on either side."""
    order = np.argsort(xp % period)
    xp, fp = (xp % period)[order], fp[order]
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x % period, xp, np.concatenate([fp[-1:], fp, fp[:1]])
