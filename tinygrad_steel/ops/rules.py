"""Every rule: each op once, its forward and its vjps side by side, in NumPy terms.

In a rule, `g` is the gradient of the result, `y` the result itself, then come the op's own arguments. A vjp may return
an array that broadcasts to its input (the engine stretches it where that matters) or from it (the engine sums), and in
any float dtype: shape and dtype are mended once, in `graph.pull`. The conventions at ties and kinks, where a derivative
does not exist, stand in the docstring of the op they belong to.
"""

from __future__ import annotations

import builtins
import itertools
import math
import operator
from typing import Any

import numpy as np

from .fast import Axis, column, largest, numpy_sum, total
from .op import OPS, arrays, op, values

# Arithmetic: broadcasting is undone by the engine, so that `add` can hand `g` to both sides as it is.

add = op(
    "add",
    np.add,
    lambda g, y, a, b: g,
    lambda g, y, a, b: g,
    samples=[arrays((2, 3), (2, 3)), arrays((2, 3), (3,)), arrays((2, 1), (1, 3)), arrays((), (2,))],
)
subtract = op(
    "subtract",
    np.subtract,
    lambda g, y, a, b: g,
    lambda g, y, a, b: -g,
    samples=[arrays((2, 3), (2, 3)), arrays((3,), (2, 1))],
)
multiply = op(
    "multiply",
    np.multiply,
    lambda g, y, a, b: g * b,
    lambda g, y, a, b: g * a,
    samples=[arrays((2, 3), (2, 3)), arrays((2, 3), (3,)), arrays((), (2, 2))],
)
divide = op(
    "divide",
    np.divide,
    lambda g, y, a, b: g / b,
    lambda g, y, a, b: -g * y / b,
    samples=[arrays((2, 3), (2, 3)), arrays((2, 1), (3,))],
)
negative = op("negative", np.negative, lambda g, y, x: -g, samples=[arrays((2, 3))])


@op(
    "power",
    samples=[arrays((2, 3), (2, 3), positive=True), values([[-1.5, 0.7, 2.0]], 3), values([0.0, -2.0, 1.5], 2)],
    twins=[np.power],
    elementwise=True,
)
def power(a: Any, b: Any) -> Any:
    """a ** b. A constant exponent never takes a logarithm, so that (-2) ** 3 has its gradient 12; at a = 0 the
    derivatives of a ** 0, a ** 1 and a ** 2 are 0, 1 and 0, and that of 0 ** b with respect to b is 0 for b >= 0. The
    slope of a ** 0 is 0 everywhere, also where a is infinite or NaN, since NumPy gives 1 there, too. No derivative
    exists with respect to b where a < 0: it is NaN. Nor does one of second order, in a and b, at a = 0 where b <= 1:
    what comes out there means nothing."""
    return operator.pow(a, b)  # not np.power: `**` squares where the exponent is 2, many times faster


@power.vjp
def _(g, y, a, b):
    if isinstance(b, (int, float)):
        return g * b * a ** (b - 1) if b else np.zeros_like(g)
    # Where b is 0, so is the product, if its last factor is finite; yet it depends on b, with a slope of 1 / a.
    flat = np.logical_and(np.equal(b, 0), np.logical_not(np.abs(a) > 0))
    return g * b * np.where(flat, np.inf, a) ** (b - 1.0)


power.vjp(lambda g, y, a, b: g * y * np.log(np.where(np.equal(a, 0), 1, a)))


square = op("square", np.square, lambda g, y, x: 2 * g * x, samples=[arrays((2, 3))])
sqrt = op("sqrt", np.sqrt, lambda g, y, x: g / (2 * y), samples=[arrays((2, 3), positive=True)])
exp = op("exp", np.exp, lambda g, y, x: g * y, samples=[arrays((2, 3))])
log = op("log", np.log, lambda g, y, x: g / x, samples=[arrays((2, 3), positive=True)])
expm1 = op("expm1", np.expm1, lambda g, y, x: g * np.exp(x), samples=[arrays((2, 3))])
log1p = op("log1p", np.log1p, lambda g, y, x: g / (1 + x), samples=[arrays((2, 3), positive=True)])
log2 = op("log2", np.log2, lambda g, y, x: g / (x * math.log(2)), samples=[arrays((2, 3), positive=True)])
log10 = op("log10", np.log10, lambda g, y, x: g / (x * math.log(10)), samples=[arrays((2, 3), positive=True)])
reciprocal = op("reciprocal", np.reciprocal, lambda g, y, x: -g * y * y, samples=[arrays((2, 3))])
sin = op("sin", np.sin, lambda g, y, x: g * np.cos(x), samples=[arrays((2, 3))])
cos = op("cos", np.cos, lambda g, y, x: -g * np.sin(x), samples=[arrays((2, 3))])
sinh = op("sinh", np.sinh, lambda g, y, x: g * np.cosh(x), samples=[arrays((2, 3))])
cosh = op("cosh", np.cosh, lambda g, y, x: g * np.sinh(x), samples=[arrays((2, 3))])
arctan = op("arctan", np.arctan, lambda g, y, x: g / (1 + x * x), samples=[arrays((2, 3))])
tanh = op("tanh", np.tanh, lambda g, y, x: g * (1 - y * y), samples=[arrays((2, 3))])
logaddexp = op(  # where both are the same infinity, they share evenly
    "logaddexp",
    np.logaddexp,
    lambda g, y, a, b: g * sigmoid(_apart(a, b)),
    lambda g, y, a, b: g * sigmoid(_apart(b, a)),
    samples=[arrays((2, 3), (3,))],
)


def _apart(a: Any, b: Any) -> Any:
    """a - b, but 0 where both are the same infinity."""
    same = np.logical_and(np.isinf(a), np.equal(a, b))
    return np.where(same, 0, a) - np.where(same, 0, b)


abs = op("abs", np.abs, lambda g, y, x: g * np.sign(x), samples=[arrays((2, 3))])  # sign(0) = 0: the kink's slope is 0

# Slope zero wherever they have one: they keep their history, so that what stands before them gets a gradient of zeros.

sign = op("sign", np.sign, lambda g, y, x: 0 * g, samples=[arrays((2, 3))])
floor = op("floor", np.floor, lambda g, y, x: 0 * g, samples=[arrays((2, 3))])
ceil = op("ceil", np.ceil, lambda g, y, x: 0 * g, samples=[arrays((2, 3))])
rint = op("rint", np.rint, lambda g, y, x: 0 * g, samples=[arrays((2, 3))])

# Constants to every gradient: ops all the same, so that a mask made by one stays part of the recorded graph.

greater = op("greater", np.greater, constant=True, samples=[arrays((2, 3), (3,))])
greater_equal = op("greater_equal", np.greater_equal, constant=True, samples=[values([1.0, 2.0], [1.0, 3.0])])
less = op("less", np.less, constant=True, samples=[arrays((2, 3), (3,))])
less_equal = op("less_equal", np.less_equal, constant=True, samples=[values([1.0, 2.0], [1.0, 3.0])])
equal = op("equal", np.equal, constant=True, samples=[values([1.0, 2.0], [1.0, 3.0])])
not_equal = op("not_equal", np.not_equal, constant=True, samples=[values([1.0, 2.0], [1.0, 3.0])])
logical_and = op("logical_and", np.logical_and, constant=True, samples=[values([True, False], [True, True])])
logical_or = op("logical_or", np.logical_or, constant=True, samples=[values([True, False], [True, True])])
logical_not = op("logical_not", np.logical_not, constant=True, samples=[values([True, False])])
isnan = op("isnan", np.isnan, constant=True, samples=[values([1.0, np.nan])])
isinf = op("isinf", np.isinf, constant=True, samples=[values([1.0, -np.inf])])
isfinite = op("isfinite", np.isfinite, constant=True, samples=[values([1.0, np.nan, np.inf])])


@op("asconstant", constant=True, samples=[arrays((2, 3), dtype=np.int64)])
def asconstant(x: Any, *, dtype: Any) -> Any:
    """`x` in a dtype that cannot have a gradient: integers, bools."""
    return x.astype(dtype)


@op("astype", samples=[arrays((2, 3), dtype=np.float64)])
def astype(x: Any, *, dtype: Any) -> Any:
    """`x` in another float dtype; its gradient comes back in the dtype of `x`."""
    return x.astype(dtype)


astype.vjp(lambda g, y, x, dtype: g)


# Choosing: NaN in, NaN out, and a gradient of NaN, for that element alone.


def _nan_stays(x: Any, share: Any) -> Any:
    """What part of a gradient is handed on, and NaN where `x` is."""
    return np.where(np.isnan(x), _beside(x, np.nan), share)


def _beside(x: Any, number: float) -> Any:
    """A number that makes bools to floats of the dtype of `x`, and not to float64 whatever that is."""
    return number if x.dtype == np.float64 else x.dtype.type(number)


maximum = op(  # ties share evenly: half of the gradient for each side
    "maximum",
    np.maximum,
    lambda g, y, a, b: g * _nan_stays(y, (a > b) + _beside(y, 0.5) * (a == b)),
    lambda g, y, a, b: g * _nan_stays(y, (b > a) + _beside(y, 0.5) * (a == b)),
    samples=[arrays((2, 3), (2, 3)), arrays((2, 3), ())],
)
minimum = op(  # ties share evenly
    "minimum",
    np.minimum,
    lambda g, y, a, b: g * _nan_stays(y, (a < b) + _beside(y, 0.5) * (a == b)),
    lambda g, y, a, b: g * _nan_stays(y, (b < a) + _beside(y, 0.5) * (a == b)),
    samples=[arrays((2, 3), (2, 3)), arrays((2, 3), ())],
)


@op(
    "clip",
    samples=[arrays((2, 3), a_min=-1.0, a_max=1.0), arrays((2, 3), a_min=0.5), arrays((2, 3), a_max=0.5)],
    elementwise=True,
)
def clip(x: Any, a_min: float | None = None, a_max: float | None = None) -> Any:
    """`x` held between two numbers (for Tensors as bounds, use np.maximum and np.minimum); on a bound the slope is 1.

    >>> clip(np.array([-2.0, 0.5, 3.0]), 0, 1)
    array([0. , 0.5, 1. ])
    """
    if builtins.any(np.ndim(bound) or hasattr(bound, "record_op") for bound in (a_min, a_max)):
        raise TypeError("bounds are plain numbers: for arrays, write np.minimum(np.maximum(x, a_min), a_max)")
    return np.clip(x, a_min, a_max)


@clip.vjp
def _(g, y, x, a_min=None, a_max=None):
    g = g if a_min is None else g * _nan_stays(x, x >= a_min)
    return g if a_max is None else g * _nan_stays(x, x <= a_max)


@op(
    "where",
    samples=[values([[True, False, True]], [[1.0, 2.0, 3.0]], [[4.0], [5.0]])],
    twins=[np.where],
    elementwise=True,
)
def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`.

    Both sides are computed everywhere: `where(x > 0, log(x), 0)` still takes log(0), and 0 * inf makes its gradient
    NaN. Make the unused side safe with an inner where: `where(x > 0, log(where(x > 0, x, 1)), 0)`.
    """
    return np.where(condition, a, b)


where.vjp(None)
where.vjp(lambda g, y, condition, a, b: np.where(condition, g, 0))
where.vjp(lambda g, y, condition, a, b: np.where(condition, 0, g))

# Activations


def _floats(x: Any) -> Any:
    """Integers and bools as float64, in which our own functions compute; floats as they are."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return float(x)
    return x if dtype.kind == "f" else x.astype(np.float64)


@op("relu", samples=[arrays((2, 3))], elementwise=True)
def relu(x: Any) -> Any:
    """max(x, 0); the slope at the kink x = 0 is 0, and NaN stays NaN, in the result and in the slope.

    >>> relu(np.array([-2.0, 3.0]))
    array([0., 3.])
    """
    return np.maximum(x, 0)


relu.vjp(lambda g, y, x: g * np.sign(y))  # 1 or 0, and NaN for NaN, which `x > 0` would hide


@op("sigmoid", samples=[arrays((2, 3))], elementwise=True)
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), arranged so that neither side overflows; of integers, it is that of float64.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    x = _floats(x)
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


sigmoid.vjp(lambda g, y, x: g * y * (1 - y))


@op("softmax", samples=[arrays((2, 3)), arrays((2, 3), axis=0), arrays((3,))])
def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis, the last by default, several or (None) all; nothing overflows.

    An element of -inf gets 0. A row of -inf alone, or with an inf, has no softmax: all of it is NaN.

    >>> softmax(np.array([[1000.0, 1001.0], [0.0, 1.0]])).round(5)
    array([[0.26894, 0.73106],
           [0.26894, 0.73106]])
    """
    x = _floats(x)
    e = np.exp(x - largest(x, axis, keepdims=True))
    return e / total(e, axis, keepdims=True)


softmax.vjp(lambda g, y, x, axis=-1: y * (g - total(g * y, axis, keepdims=True)))


@op("log_softmax", samples=[arrays((2, 3)), arrays((2, 3), axis=0), arrays((3,))])
def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """log(softmax(x)) along an axis, the last by default, without the rounding and the log(0) of doing it in two.

    An element of -inf stays -inf. A row of -inf alone, or with an inf, has no softmax: all of it is NaN.

    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    x = _floats(x)
    shifted = x - largest(x, axis, keepdims=True)
    return shifted - np.log(total(np.exp(shifted), axis, keepdims=True))


log_softmax.vjp(lambda g, y, x, axis=-1: g - np.exp(y) * total(g, axis, keepdims=True))


@op("logsumexp", samples=[arrays((2, 3)), arrays((2, 3), axis=0), arrays((2, 3), axis=1, keepdims=True)])
def logsumexp(x: Any, axis: Axis = -1, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) along an axis, the last by default; shifted by the maximum, so that nothing overflows.

    Its slopes are softmax(x). Of a row of -inf alone it is -inf, of one with inf it is inf; the elements that are that
    infinity share the gradient evenly there, as equal numbers do however large.

    >>> print(f"{logsumexp(np.array([1000.0, 1000.0])):.6f}")
    1000.693147
    """
    x = _floats(x)
    peak = largest(x, axis, keepdims=True)
    y = peak + np.log(total(np.exp(_apart(x, peak)), axis, keepdims=True))
    return y if keepdims else np.squeeze(y, axis)


@logsumexp.vjp
def _(g, y, x, axis=-1, keepdims=False):
    e = np.exp(_apart(x, spread(y, axis, keepdims)))
    return spread(g, axis, keepdims) * e / total(e, axis, keepdims=True)


# Losses


@op("one_hot", constant=True, samples=[values([2, 0, 1], classes=3)])
def one_hot(ids: Any, *, classes: int) -> Any:
    """Class ids (N,) as rows of an (N, classes) mask."""
    return np.equal(column(ids), np.arange(classes))


def _label_rows(logits: Any, labels: Any) -> Any:
    """`labels` as (N, C), whichever of its two forms it has; ValueError where it has neither."""
    shape = getattr(labels, "shape", ())
    if shape == logits.shape and logits.ndim == 2:
        if labels.dtype.kind == "f":
            return labels
        if shape[1] == 1:
            raise ValueError(f"one class leaves nothing to choose: ids for logits {shape} are (N,), not {shape}")
        return labels.astype(logits.dtype)
    if logits.ndim != 2 or shape != logits.shape[:1]:
        raise ValueError(
            f"logits are (N, C), labels (N, C) (one-hot or soft) or class ids (N,); "
            f"got logits {logits.shape} and labels {shape}"
        )
    classes = logits.shape[1]
    if labels.dtype.kind not in "iu":
        raise ValueError(f"class ids of shape (N,) must be integers, got {labels.dtype}")
    if not hasattr(labels, "record_op"):  # a trace looks at no numbers, and follows a forward that did
        check_ids(labels, classes)
    return one_hot(labels, classes=classes).astype(logits.dtype)


def check_ids(ids: Any, classes: int) -> None:
    """ValueError where a class id is out of range."""
    if ids.shape[0] and not (np.min(ids) >= 0 and np.max(ids) < classes):
        raise ValueError(f"class ids go from 0 to {classes - 1}, got {np.min(ids)} to {np.max(ids)}")


@op(
    "softmax_cross_entropy",
    samples=[
        values([[1.0, 2.0, 3.0], [1.0, 0.0, -1.0]], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
        values([[0.5, -1.0, 2.0], [0.1, 0.2, -0.4]], [[0.2, 0.3, 0.9], [0.5, 0.1, 0.1]]),
        values([[1.0, 2.0, 3.0], [1.0, 0.0, -1.0]], [2, 0]),
    ],
    rowwise=True,
    keeps=True,
)
def softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """The loss of each row (N,) of `logits` (N, C): -sum(labels * log_softmax(logits)), exact and without overflow.

    `labels`: one-hot or soft (N, C), which need not sum to 1, or integer class ids (N,). ValueError for other shapes
    and for ids out of range. A logit of -inf with label 0 costs nothing (0 * log 0 = 0); a row of -inf alone, or with
    an inf, has no softmax, and its loss is NaN. Integer logits are taken as float64.

    Keeps softmax(logits) * sum(labels) - labels, its gradient but for `g`.

    >>> softmax_cross_entropy(np.array([[1000.0, 0.0], [0.0, 0.0]]), np.array([1, 0]))
    array([1.00000000e+03, 6.93147181e-01])
    """
    logits = _floats(logits)
    rows = _label_rows(logits, labels)
    shifted = logits - largest(logits, 1, keepdims=True)
    e = np.exp(shifted)
    sums, weights = total(e, 1), total(rows, 1)
    loss = weights * np.log(sums) - total(rows * np.where(rows, shifted, 0.0), 1)
    return loss, e * column(weights / sums) - rows


@softmax_cross_entropy.vjp
def _(g, y, logits, labels, kept=None):
    if kept is None:
        rows, p = _label_rows(logits, labels), softmax(logits)
        kept = (p * total(rows, 1, keepdims=True) if labels.ndim == 2 else p) - rows  # the rows of class ids sum to 1
    return column(g) * kept


softmax_cross_entropy.vjp(lambda g, y, logits, labels, kept=None: -column(g) * log_softmax(logits))


@op("sigmoid_cross_entropy", samples=[values([[0.3, -0.2, 2.0]], [[1.0, 0.0, 0.3]])], elementwise=True)
def sigmoid_cross_entropy(logits: Any, labels: Any) -> Any:
    """Elementwise -labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits)), for all finite logits.

    `labels`: 0 to 1, of the shape of `logits` or a single number (ValueError else: (N, 1) with (N,) would give N x N).
    Written as max(x, 0) - x * labels + log(1 + exp(-|x|)), the same formula with its two overflows taken out.

    >>> sigmoid_cross_entropy(np.array([0.0, 1000.0, -1000.0]), np.array([1.0, 0.0, 0.0]))
    array([6.93147181e-01, 1.00000000e+03, 0.00000000e+00])
    """
    if getattr(labels, "ndim", 0) and logits.ndim and labels.shape != logits.shape:
        raise ValueError(f"logits {logits.shape} and labels {labels.shape} must have one shape: reshape one of them")
    logits = _floats(logits)
    return np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))


sigmoid_cross_entropy.vjp(lambda g, y, logits, labels: g * (sigmoid(logits) - labels))
sigmoid_cross_entropy.vjp(lambda g, y, logits, labels: -g * logits)

# Reductions: a gradient with its reduced axes put back broadcasts to the input, and the engine does the rest.


def spread(g: Any, axis: Axis, keepdims: bool) -> Any:
    """Put the axes that a reduction took away back as axes of length 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def _count(x: Any, axis: Axis) -> int:
    """How many elements of `x` a reduction along `axis` takes together."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    if axes and not x.shape:  # NumPy's sums let a single number have an axis, its means do not
        raise np.exceptions.AxisError(axes[0], 0)
    return math.prod(x.shape[i] for i in axes)


_reductions = [
    arrays((2, 3)),
    arrays((2, 3), axis=0),
    arrays((2, 3), axis=-1, keepdims=True),
    arrays((2, 3, 2), axis=(0, 2)),
]


@op("sum", samples=_reductions, twins=[np.sum])
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over all elements, or along `axis` (one, or a tuple of them)."""
    return numpy_sum(x, axis, keepdims)


sum.vjp(lambda g, y, x, axis=None, keepdims=False: spread(g, axis, keepdims))


@op("mean", samples=_reductions, twins=[np.mean])
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over all elements, or along `axis` (one, or a tuple of them)."""
    if x.dtype.char not in "fd":  # np.mean adds up integers in float64 and float16 in float32
        return np.mean(x, axis=axis, keepdims=keepdims)
    if axis is None:
        return numpy_sum(x, None, keepdims) / x.size
    return numpy_sum(x, axis, keepdims) / _count(x, axis)


@mean.vjp
def _(g, y, x, axis=None, keepdims=False):
    return _part(g, x.size) if axis is None else spread(_part(g, _count(x, axis)), axis, keepdims)


def _part(g: Any, n: int) -> Any:
    """g / n; float16 counts up to 2,048 exactly, and not at all beyond 65,504."""
    return _wide(g) / n if n > 2048 else g / n


def _wide(x: Any) -> Any:
    """float16 as float32: squares and quotients leave the range of float16 soon."""
    return x.astype(np.float32) if x.dtype.char == "e" else x


def _share_of_extreme(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The elements that are the extreme share its gradient evenly; where some are NaN, these alone get NaN."""
    hit = np.logical_or(np.equal(x, spread(y, axis, keepdims)), np.isnan(x))
    count = total(hit, axis, keepdims=True)
    if x.dtype != np.float64:  # which counts divided by counts are in
        count = count.astype(x.dtype)
    return spread(g, axis, keepdims) * _nan_stays(x, hit / count)


@op("max", samples=_reductions, twins=[np.max, np.amax])
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest element, or the largest along `axis`; ties share the gradient evenly."""
    return largest(x, axis, keepdims)


@op("min", samples=_reductions, twins=[np.min, np.amin])
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest element, or the smallest along `axis`; ties share the gradient evenly."""
    return np.min(x, axis=axis, keepdims=keepdims)


max.vjp(_share_of_extreme)
min.vjp(_share_of_extreme)


@op("var", samples=[*_reductions, arrays((2, 3), ddof=1)], twins=[np.var])
def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """The mean square deviation from the mean, with n - ddof in place of n."""
    return np.var(x, axis=axis, keepdims=keepdims, ddof=ddof)


@op("std", samples=[*_reductions, arrays((2, 3), ddof=1)], twins=[np.std])
def std(x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """The root of the variance; where all elements are equal, a kink, its slope is 0."""
    return np.std(x, axis=axis, keepdims=keepdims, ddof=ddof)


def _deviation(x: Any, axis: Axis, ddof: float) -> Any:
    """(x - mean) / (n - ddof); where ddof is larger, NumPy divides by 0.

    Measured from the largest: the mean of equal numbers may be off by rounding, and std would divide that by itself.
    """
    n, x = x.size if axis is None else _count(x, axis), _wide(x)
    x = x - largest(x, axis, keepdims=True)
    return (x - mean(x, axis, keepdims=True)) / builtins.max(n - ddof, 0)


@var.vjp
def _(g, y, x, axis=None, keepdims=False, ddof=0):
    return 2 * _wide(spread(g, axis, keepdims)) * _deviation(x, axis, ddof)


@std.vjp
def _(g, y, x, axis=None, keepdims=False, ddof=0):
    return spread(_wide(g) / np.where(np.equal(y, 0), 1, y), axis, keepdims) * _deviation(x, axis, ddof)


@op("norm", samples=_reductions)
def norm(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The Euclidean length sqrt(sum(x * x)), over all elements or along `axis`; at 0, a kink, its slope is 0."""
    return np.sqrt(numpy_sum(np.square(_floats(x)), axis, keepdims))


@norm.vjp
def _(g, y, x, axis=None, keepdims=False):
    return spread(_wide(g) / np.where(np.equal(y, 0), 1, y), axis, keepdims) * x


@op(
    "prod",
    samples=[*_reductions, values([[0.0, 2.0, 3.0], [0.0, 0.0, 4.0]], axis=1), values([0.0, 2.0, 3.0])],
    twins=[np.prod],
)
def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The product over all elements or along `axis`, with exact derivatives of any order where factors are 0.

    The gradient multiplies the other factors of each element anew, instead of dividing the product by the element:
    that is exact at 0, and takes n * n numbers for n factors.
    """
    return np.prod(x, axis=axis, keepdims=keepdims)


@prod.vjp
def _(g, y, x, axis=None, keepdims=False):
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if x.ndim == 0 or not axes:
        return g  # nothing was multiplied
    gone = [i % x.ndim for i in axes]
    order = [i for i in range(x.ndim) if i not in gone] + gone  # the reduced axes last, there taken as one
    n = _count(x, axes)
    rows = np.expand_dims(np.reshape(np.transpose(x, order), (*(x.shape[i] for i in order[: -len(gone)]), n)), -2)
    others = prod(np.where(np.eye(n, dtype=bool), 1.0, rows), axis=-1)
    others = np.transpose(np.reshape(others, tuple(x.shape[i] for i in order)), _inverse(order))
    return spread(g, axis, keepdims) * others


@op("cumsum", samples=[arrays((2, 3), axis=1), arrays((2, 3), axis=0), arrays((4,), axis=0)])
def cumsum(x: Any, *, axis: int) -> Any:
    """The running sum along an axis."""
    if axis is None:
        raise ValueError("axis=None is not supported: np.cumsum(x.reshape(-1), axis=0) does the same")
    return np.cumsum(x, axis=axis)


cumsum.vjp(lambda g, y, x, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis))

# Questions that a reduction answers without a gradient


@op("argmax", constant=True, samples=[arrays((2, 3)), arrays((2, 3), axis=1)], twins=[np.argmax])
def argmax(x: Any, axis: int | None = None) -> Any:
    """Where the largest element is."""
    return np.argmax(x, axis=axis)


@op("argmin", constant=True, samples=[arrays((2, 3)), arrays((2, 3), axis=1)], twins=[np.argmin])
def argmin(x: Any, axis: int | None = None) -> Any:
    """Where the smallest element is."""
    return np.argmin(x, axis=axis)


@op("any", constant=True, samples=[values([[True, False]]), values([[True, False]], axis=0)], twins=[np.any])
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether an element is true."""
    return np.any(x, axis=axis, keepdims=keepdims)


@op("all", constant=True, samples=[values([[True, False]]), values([[True, False]], axis=0)], twins=[np.all])
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether every element is true."""
    return np.all(x, axis=axis, keepdims=keepdims)


# Products


def _mismatch(a: Any, b: Any) -> str:
    """What to tell somebody whose matrices do not fit."""
    if not (np.ndim(a) and np.ndim(b)):
        return "matmul needs vectors or matrices; for a single number use *"
    inner, outer = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if inner == outer:
        return "the leading axes, which count the matrices, must be equal or 1"
    if b.shape[-1] == inner and b.ndim > 1:
        remedy = "; the second, transposed (.T), would fit"
    elif a.ndim > 1 and a.shape[-2] == outer:
        remedy = "; the first, transposed (.T), would fit"
    else:
        remedy = ""
    return (
        f"the last axis of the first has length {inner}, the second has {outer} "
        f"{'rows' if b.ndim > 1 else 'elements'}: they must be equal{remedy}"
    )


@op(
    "matmul",
    samples=[
        arrays((2, 3), (3, 4)),
        arrays((3,), (3,)),
        arrays((2, 3), (3,)),
        arrays((3,), (3, 2)),
        arrays((2, 3, 4), (4, 5)),
        arrays((3, 4), (2, 4, 2)),
        arrays((2, 3, 4), (4,)),
        arrays((3,), (2, 3, 4)),
    ],
    twins=[np.matmul],
)
def matmul(a: Any, b: Any) -> Any:
    """a @ b, with vectors and stacks of matrices as in NumPy."""
    try:
        return a @ b
    except ValueError as error:
        raise ValueError(_mismatch(a, b)) from error


@matmul.vjp
def _(g, y, a, b):
    if a.ndim == b.ndim == 2:
        return g @ b.T
    if b.ndim == 1:  # y[..., i] = sum over k of a[..., i, k] * b[k]
        return g * b if a.ndim == 1 else np.expand_dims(g, -1) * b
    if a.ndim == 1:
        if b.ndim == 2:
            return b @ g
        return np.squeeze(np.expand_dims(g, -2) @ np.swapaxes(b, -1, -2), -2)
    return g @ np.swapaxes(b, -1, -2)


@matmul.vjp
def _(g, y, a, b):
    if a.ndim == b.ndim == 2:
        return a.T @ g
    if a.ndim == 1:  # y[..., j] = sum over k of a[k] * b[..., k, j]
        return g * a if b.ndim == 1 else np.expand_dims(a, -1) * np.expand_dims(g, -2)
    if b.ndim == 1:
        if a.ndim == 2:
            return a.T @ g
        return np.squeeze(np.swapaxes(a, -1, -2) @ np.expand_dims(g, -1), -1)
    return np.swapaxes(a, -1, -2) @ g


# Shapes


@op("reshape", samples=[arrays((2, 3), shape=(3, 2)), arrays((2, 3), shape=-1)], twins=[np.reshape])
def reshape(x: Any, *, shape: Any) -> Any:
    """The same elements, in row order, in another shape; one length may be -1."""
    return np.reshape(x, (shape,) if isinstance(shape, int) else shape)  # Dask insists on a tuple


reshape.vjp(lambda g, y, x, shape: np.reshape(g, x.shape))


@op("transpose", samples=[arrays((2, 3)), arrays((2, 3, 4), axes=(2, 0, 1))], twins=[np.transpose])
def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Any:
    """The axes reversed, or in the order of `axes`."""
    return np.transpose(x, axes)


@transpose.vjp
def _(g, y, x, axes=None):
    if axes is None:
        return g.T
    return np.transpose(g, _inverse([i % x.ndim for i in np.ravel(axes).tolist()]))


def _inverse(order: list[int]) -> tuple[int, ...]:
    """The order of axes that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


@op("swapaxes", samples=[arrays((2, 3, 4), axis1=0, axis2=-1)], twins=[np.swapaxes])
def swapaxes(x: Any, *, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    return np.swapaxes(x, axis1, axis2)


swapaxes.vjp(lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2))


@op("expand_dims", samples=[arrays((2, 3), axis=1), arrays((2, 3), axis=(0, -1))], twins=[np.expand_dims])
def expand_dims(x: Any, *, axis: Axis) -> Any:
    """New axes of length 1."""
    return np.expand_dims(x, axis)


expand_dims.vjp(lambda g, y, x, axis: np.reshape(g, x.shape))


@op("squeeze", samples=[arrays((2, 1, 3, 1)), arrays((2, 1, 3, 1), axis=1)], twins=[np.squeeze])
def squeeze(x: Any, axis: Axis = None) -> Any:
    """Without its axes of length 1, or without `axis`."""
    y = np.squeeze(x, axis)
    return y[...] if y is x else y  # a view also where there was nothing to squeeze: views of leaves are copied


squeeze.vjp(lambda g, y, x, axis=None: np.reshape(g, x.shape))


@op("broadcast_to", samples=[arrays((3,), shape=(2, 3)), arrays((2, 1), shape=(4, 2, 3))], twins=[np.broadcast_to])
def broadcast_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """`x` repeated along new axes and along axes of length 1; its adjoint is the engine's un-broadcasting."""
    return np.broadcast_to(x, shape)


broadcast_to.vjp(lambda g, y, x, shape: g)


@op("flip", samples=[arrays((2, 3)), arrays((2, 3), axis=1)], twins=[np.flip])
def flip(x: Any, axis: Axis = None) -> Any:
    """The order of the elements reversed, along all axes or along `axis`."""
    return np.flip(x, axis)


flip.vjp(lambda g, y, x, axis=None: np.flip(g, axis))


# Indexing: `index` is the key as written, with HOLE where an array stands; the arrays follow `x` as inputs of their
# own, so that labels used as an index are part of the graph and not a constant baked into it.


class Hole:
    """Stands in an index for the array that is passed as an input."""

    def __repr__(self) -> str:
        return "array"


HOLE = Hole()


def filled_index(index: Any, arrays: tuple) -> Any:
    fill = iter(arrays)
    if isinstance(index, tuple):
        return tuple(next(fill) if i is HOLE else i for i in index)
    return next(fill) if index is HOLE else index


@op(
    "getitem",
    samples=[
        arrays((3, 2), index=1),
        arrays((3, 4), index=(slice(None), slice(1, 3))),
        arrays((3, 2), index=(Ellipsis, None, 0)),
        values([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 0, 2], index=HOLE),
        values([[1.0, 2.0], [3.0, 4.0]], [1, 0, 1], index=(HOLE, 1)),
    ],
    each=lambda i, g, y, x, *arrays, index: scatter(g, *arrays, index=index, shape=x.shape),
)
def getitem(x: Any, *arrays: Any, index: Any) -> Any:
    """x[index], for every index NumPy knows; an element taken twice gets both gradients."""
    return x[filled_index(index, arrays)]


@op(
    "scatter",
    samples=[
        arrays((2,), index=1, shape=(3, 2)),
        values([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 0, 2], index=HOLE, shape=(3, 2)),
    ],
    each=lambda i, g, y, x, *arrays, index, shape: getitem(g, *arrays, index=index),
)
def scatter(g: Any, *arrays: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """The adjoint of getitem: zeros of `shape`, with `g` added at `index`."""
    if not arrays and _only_new_axes(index):
        return np.reshape(g, shape)
    if not isinstance(g, (np.ndarray, np.generic)):
        raise TypeError(
            f"the gradient of indexing is followed on NumPy's arrays, not on a {type(g).__module__} "
            f"{type(g).__name__}: index the array before it goes into a Tensor"
        )
    z = np.zeros(shape, g.dtype)
    if arrays:
        np.add.at(z, filled_index(index, arrays), g)
    else:  # numbers and slices take no element twice
        z[index] = g
    return z


def _only_new_axes(index: Any) -> bool:
    """Whether an index takes every element, once and in order."""
    parts = index if isinstance(index, tuple) else (index,)
    return builtins.all(i is None or i is Ellipsis or i == slice(None) for i in parts)


def _pieces(g: Any, y: Any, *arrays: Any, axis: int = 0) -> list[Any]:
    """The parts of `g` that the arrays of a concatenation take up along `axis`."""
    before, ends = (slice(None),) * (axis % y.ndim), itertools.accumulate(x.shape[axis] for x in arrays)
    return [g[(*before, slice(end - x.shape[axis], end))] for x, end in zip(arrays, ends)]


def _layers(g: Any, y: Any, *arrays: Any, axis: int = 0) -> list[Any]:
    """The part of `g` that belongs to each array of a stack."""
    before = (slice(None),) * (axis % y.ndim)
    return [g[(*before, i)] for i in range(len(arrays))]


@op(
    "concatenate",
    samples=[arrays((2, 3), (1, 3)), arrays((2, 1), (2, 2), (2, 3), axis=-1)],
    twins=[np.concatenate],
    sequence=True,
    joint=_pieces,
)
def concatenate(*arrays: Any, axis: int = 0) -> Any:
    """Arrays joined along an axis they have already."""
    if axis is None:
        raise ValueError("axis=None is not supported: concatenate([a.reshape(-1), b.reshape(-1)]) does the same")
    return np.concatenate(arrays, axis=axis)


@op(
    "stack",
    samples=[arrays((2, 3), (2, 3)), arrays((2,), (2,), axis=-1)],
    twins=[np.stack],
    sequence=True,
    joint=_layers,
)
def stack(*arrays: Any, axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis."""
    return np.stack(arrays, axis=axis)


# Sums of products by letters


def _einsum_vjp(i: int, g: Any, y: Any, *operands: Any, subscripts: str) -> Any:
    """Swap the result's letters with the operand's; a letter that only the operand had was summed, and is stretched."""
    terms, result = letters(subscripts)
    mine = terms[i]
    others = [terms[k] for k in range(len(operands)) if k != i]
    seen = [c for c in mine if c in result + "".join(others)]
    found = np.einsum(
        ",".join([result, *others]) + "->" + "".join(seen), g, *(x for k, x in enumerate(operands) if k != i)
    )
    lengths = dict(zip(seen, found.shape))
    return np.reshape(found, tuple(lengths.get(c, 1) for c in mine))


def letters(subscripts: str) -> tuple[list[str], str]:
    """The letters of each operand and of the result; TypeError for what is not followed here."""
    terms, arrow, result = subscripts.replace(" ", "").partition("->")
    if not arrow:
        result = "".join(sorted(c for c in {*terms} - {","} if terms.count(c) == 1))
    if "." in subscripts or builtins.any(len({*term}) < len(term) for term in terms.split(",")):
        raise TypeError("einsum on Tensors takes plain letters, each once in an operand: no '...', no diagonals")
    return terms.split(","), result


@op(
    "einsum",
    samples=[
        arrays((2, 3), (3, 4), subscripts="ij,jk->ik"),
        arrays((2, 3), subscripts="ij->j"),
        arrays((2, 3), (3,), (2,), subscripts="ij,j,i"),
        arrays((2, 3, 4), (2, 4), subscripts="bij,bj->bi"),
    ],
    each=_einsum_vjp,
)
def einsum(*operands: Any, subscripts: str) -> Any:
    """np.einsum with its letters as a parameter: `einsum(a, b, subscripts="ij,jk->ik")`."""
    terms, result = letters(subscripts)
    return np.einsum(",".join(terms) + "->" + result, *operands)


# Arrays of the same shape: constants, whatever the input's values


@op("zeros_like", constant=True, samples=[arrays((2, 3))], twins=[np.zeros_like])
def zeros_like(x: Any) -> Any:
    """Zeros of the shape and dtype of `x`."""
    return np.zeros_like(x)


@op("ones_like", constant=True, samples=[arrays((2, 3))], twins=[np.ones_like])
def ones_like(x: Any) -> Any:
    """Ones of the shape and dtype of `x`."""
    return np.ones_like(x)


@op("full_like", constant=True, samples=[arrays((2, 3), fill_value=0.5)], twins=[np.full_like])
def full_like(x: Any, *, fill_value: float) -> Any:
    """An array of the shape and dtype of `x`, filled with one number."""
    return np.full_like(x, fill_value)


for _known in OPS.values():
    _known.trust()
