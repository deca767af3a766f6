"""Which op becomes what in ONNX, and the parts of those that ONNX lacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import Op
from ..program.messages import call_of
from ..program.values import Apply, alias
from .graph import BOOL, END, INT, Graph, reckoned, unmapped
from .images import convolved, pooled, sliding_windows


def along(kind: str, axis: int) -> Callable[..., Any]:
    """The rule of an op along one axis."""
    return lambda graph, node: graph.add(
        kind, node, *node.inputs, axis=node.params.get("axis", axis)
    )


def reduction(kind: str) -> Callable[..., Any]:
    """The rule of an op with `axis` and `keepdims`."""

    def rule(graph: Graph, node: Apply) -> str:
        x, axis = node.inputs[0], node.params.get("axis")
        axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        if not axes:  # for ONNX, none means all of them
            return graph.add("Identity", node, x)
        return graph.add(
            kind, node, x, graph.numbers(axes), keepdims=int(bool(node.params.get("keepdims")))
        )

    return rule


def concat(graph: Graph, node: Apply) -> str:
    axis = node.params.get("axis", 0)
    inputs = node.inputs
    if axis is None:
        flat = graph.numbers([-1])
        inputs = tuple(graph.add("Reshape", node, x, flat) for x in inputs)
    return graph.add("Concat", node, *inputs, axis=axis or 0)


def position(kind: str) -> Callable[..., Any]:
    """The rule of argmax and argmin."""

    def rule(graph: Graph, node: Apply) -> str:
        x, axis = node.inputs[0], node.params.get("axis")
        name = graph.value(x, reckoned(x.dtype))
        if axis is None:
            name = graph.emit("Reshape", [name, graph.numbers([-1])], reckoned(x.dtype))
        kept = bool(node.params.get("keepdims"))
        name = graph.emit(kind, [name], INT, axis=axis or 0, keepdims=int(kept))
        if axis is None and kept:
            name = graph.emit("Reshape", [name, graph.numbers(node.shape)], INT)
        return name

    return rule


def cast(graph: Graph, node: Apply) -> str:
    x = node.inputs[0]
    return graph.emit("Cast", [graph.value(x, x.dtype)], node.dtype, to=graph.type(node.dtype))


def where(graph: Graph, node: Apply) -> str:
    condition, a, b = node.inputs
    return graph.add("Where", node, graph.value(condition, BOOL), a, b)


def einsum(graph: Graph, node: Apply) -> str:
    # With an arrow: without one, orders may differ.
    terms, result = ops.letters(node.params["subscripts"])
    return graph.add("Einsum", node, *node.inputs, equation=f"{','.join(terms)}->{result}")


def reshape(graph: Graph, node: Apply) -> str:
    lengths = graph.lengths(node, -1)
    return graph.add(
        "Reshape", node, node.inputs[0], graph.numbers(lengths), allowzero=int(0 in lengths)
    )


def layer_norm(graph: Graph, node: Apply) -> str:
    x, scale, shift = node.inputs
    row = node.shape[-1:]
    epsilon = float(node.params.get("epsilon", ops.layer_norm.defaults["epsilon"]))
    if np.shape(scale) == np.shape(shift) == row:
        return graph.add("LayerNormalization", node, x, scale, shift, axis=-1, epsilon=epsilon)
    ones = graph.constant(np.ones(row, node.dtype))
    y = graph.add("LayerNormalization", node, x, ones, axis=-1, epsilon=epsilon)
    return graph.add("Add", node, graph.add("Mul", node, y, scale), shift)


def stretched(graph: Graph, node: Apply) -> str:
    if 0 in node.shape and 0 not in node.inputs[0].shape:  # runtimes leave such a length as it is
        call = call_of(node, graph.names)
        raise TypeError(
            f"{call} broadcasts to a length of 0, which ONNX runtimes do not do: leave it out"
        )
    return graph.add("Expand", node, *node.inputs, graph.numbers(node.shape))


def squeeze(graph: Graph, node: Apply) -> str:
    x, axis = node.inputs[0], node.params.get("axis")
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else [*np.atleast_1d(axis)]
    return (
        graph.add("Squeeze", node, x, graph.numbers(axes))
        if axes
        else graph.add("Identity", node, x)
    )


def transpose(graph: Graph, node: Apply) -> str:
    axes = node.params.get("axes")
    order = {} if axes is None else {"perm": [i % len(node.shape) for i in axes]}
    return graph.add("Transpose", node, *node.inputs, **order)


def nonzero(graph: Graph, node: Apply) -> str:
    return graph.emit("Gather", [places(graph, node), graph.numbers(node.params["axis"])], INT)


def argwhere(graph: Graph, node: Apply) -> str:
    return graph.emit("Transpose", [places(graph, node)], INT)


def places(graph: Graph, node: Apply) -> str:
    """A row of indices for each axis."""
    return graph.emit("NonZero", [graph.value(node.inputs[0], BOOL)], INT)


def pad(graph: Graph, node: Apply) -> str:
    """Side after side where each has a number of its own, in NumPy's order, as the last one has the corners."""
    number, sides = node.params.get("constant_values", 0), (len(node.shape), 2)
    widths = np.broadcast_to(node.params["pad_width"], sides)
    if np.ndim(number) == 0:
        return graph.add("Pad", node, *node.inputs, graph.numbers(widths.T.ravel()), number)
    padded: Any = node.inputs[0]
    for side, own in np.ndenumerate(np.broadcast_to(number, sides)):
        width = np.zeros(sides, int)
        width[side] = widths[side]
        padded = graph.add("Pad", node, padded, graph.numbers(width.T.ravel()), own.item())
    return str(padded)


def triangle(upper: int) -> Callable[..., Any]:
    """The rule of tril and triu."""

    def rule(graph: Graph, node: Apply) -> str:
        (x,) = node.inputs
        if len(x.shape) < 2:
            raise unmapped(node, graph.names)
        return graph.add("Trilu", node, x, graph.numbers(node.params.get("k", 0)), upper=upper)

    return rule


def full_like(graph: Graph, node: Apply) -> str:
    x = node.inputs[0]
    shape = graph.emit("Shape", [graph.value(x, x.dtype)], INT)
    return graph.add("Expand", node, node.params["fill_value"], shape)


def bounds(part: slice | int, length: int | None) -> tuple[int, int, int]:
    """What an index takes of an axis, as ONNX counts: start, end and step. `length`: None for any number of rows.

    ONNX moves a start before the first element to the first one also where it goes backwards, where NumPy takes none.
    """
    part = part if isinstance(part, slice) else slice(part, part + 1 or None)
    if length is None:  # all rows, whether few or many (see `batch_axes`)
        step = part.step or 1
        start = (0 if step > 0 else END) if part.start is None else part.start
        end = (END if step > 0 else -END) if part.stop is None else part.stop
        return max(-END, min(start, END)), max(-END, min(end, END)), step
    taken = range(length)[part]
    if not taken:
        return 0, 0, 1
    return taken.start, taken.stop if taken.stop >= 0 else -END, taken.step


def getitem(graph: Graph, node: Apply) -> str:
    """Integers, slices, None and ..., or one array of integers among full slices."""
    x, *arrays = node.inputs
    index = ops.full_index(node.params["index"], len(x.shape))
    if any(isinstance(i, bool | np.bool_) for i in index):
        raise unmapped(node, graph.names)
    return gathered(graph, node, index) if arrays else sliced(graph, node, index)


def gathered(graph: Graph, node: Apply, index: list[Any]) -> str:
    """What one array of integers takes of an axis."""
    x, array = node.inputs[:2]
    others = [i for i in index if i is not ops.HOLE]
    if array.dtype.kind not in "iu" or others != [slice(None)] * (len(x.shape) - 1):
        raise unmapped(node, graph.names)
    return graph.add("Gather", node, x, graph.value(array, INT), axis=index.index(ops.HOLE))


def sliced(graph: Graph, node: Apply, index: list[Any]) -> str:
    """What integers and slices take; then the axes of integers go, and new ones come."""
    x, parts = node.inputs[0], [i for i in index if i is not None]
    gone = [i for i, part in enumerate(parts) if not isinstance(part, slice)]
    stay = [i for i in index if i is None or isinstance(i, slice)]
    new = [i for i, part in enumerate(stay) if part is None]
    name = taken(graph, node, parts) if x.shape else graph.add("Identity", node, x)
    for kind, axes in (("Squeeze", gone), ("Unsqueeze", new)):
        if axes:
            name = graph.add(kind, node, name, graph.numbers(axes))
    return name


def taken(graph: Graph, node: Apply, parts: list[Any]) -> str:
    """A slice of each axis."""
    x = node.inputs[0]
    lengths: list[int | None] = [*x.shape]
    rows = graph.axes.get(x)
    if rows is not None:
        lengths[rows] = None
    starts, ends, steps = zip(*map(bounds, parts, lengths), strict=True)
    numbers = map(graph.numbers, (starts, ends, range(len(lengths)), steps))
    return graph.add("Slice", node, x, *numbers)


# An op -> the name of ONNX's op with the same inputs, or a rule.
MAPPING: dict[Op, str | Callable[..., Any]] = {
    # arithmetic
    **{
        ops.add: "Add",
        ops.subtract: "Sub",
        ops.multiply: "Mul",
        ops.divide: "Div",
        ops.negative: "Neg",
    },
    **{
        ops.power: "Pow",
        ops.exp: "Exp",
        ops.log: "Log",
        ops.sqrt: "Sqrt",
        ops.reciprocal: "Reciprocal",
    },
    **{ops.abs: "Abs", ops.sign: "Sign", ops.positive: "Identity"},
    ops.fmod: lambda g, n: g.add("Mod", n, *n.inputs, fmod=1),
    **{
        ops.sin: "Sin",
        ops.floor: "Floor",
        ops.ceil: "Ceil",
        ops.rint: "Round",
        ops.asconstant: cast,
        ops.astype: cast,
    },
    # products
    **{ops.matmul: "MatMul", ops.einsum: einsum},
    # images
    ops.conv2d: convolved,
    ops.max_pool: pooled("MaxPool"),
    ops.avg_pool: pooled("AveragePool", count_include_pad=0),
    # activations
    **{ops.relu: "Relu", ops.sigmoid: "Sigmoid", ops.tanh: "Tanh"},
    **{ops.softmax: along("Softmax", -1), ops.log_softmax: along("LogSoftmax", -1)},
    ops.layer_norm: layer_norm,
    # choosing
    **{
        ops.greater: "Greater",
        ops.greater_equal: "GreaterOrEqual",
        ops.less: "Less",
        ops.less_equal: "LessOrEqual",
    },
    **{ops.equal: "Equal", ops.isnan: "IsNaN", ops.isinf: "IsInf"},
    **{ops.logical_and: "And", ops.logical_or: "Or", ops.logical_not: "Not"},
    **{ops.maximum: "Max", ops.minimum: "Min", ops.where: where},
    # reductions
    **{
        ops.sum: reduction("ReduceSum"),
        ops.mean: reduction("ReduceMean"),
        ops.prod: reduction("ReduceProd"),
    },
    **{ops.max: reduction("ReduceMax"), ops.min: reduction("ReduceMin")},
    **{ops.argmax: position("ArgMax"), ops.argmin: position("ArgMin")},
    **{ops.nonzero: nonzero, ops.argwhere: argwhere},
    ops.cumsum: lambda g, n: g.add("CumSum", n, *n.inputs, g.numbers(n.params["axis"])),
    # shapes
    **{
        alias: "Identity",
        ops.reshape: reshape,
        ops.transpose: transpose,
        ops.squeeze: squeeze,
        ops.getitem: getitem,
    },
    ops.expand_dims: lambda g, n: g.add(
        "Unsqueeze", n, *n.inputs, g.numbers(np.atleast_1d(n.params["axis"]))
    ),
    ops.broadcast_to: stretched,
    **{ops.pad: pad, ops.tril: triangle(0), ops.triu: triangle(1)},
    **{ops.concatenate: concat, ops.full_like: full_like},
}


FLOATS = {"Relu", "Floor", "Ceil", "Round", "IsNaN", "IsInf"}  # no integers


def flip(x: Any, axis: Any = None) -> Any:
    axes = range(x.ndim) if axis is None else [i % x.ndim for i in np.atleast_1d(axis)]
    return x[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim))]


def clip(x: Any, a_min: Any = None, a_max: Any = None) -> Any:
    if x.dtype.kind in "iu":  # as in NumPy, an integer that the dtype does not reach is no bound
        limits = np.iinfo(x.dtype)
        a_min = None if isinstance(a_min, int) and a_min <= limits.min else a_min
        a_max = None if isinstance(a_max, int) and a_max >= limits.max else a_max
    if a_min is None and a_max is None:
        return x.astype(x.dtype)
    x = x if a_min is None else np.maximum(x, a_min)
    return x if a_max is None else np.minimum(x, a_max)


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return np.reshape(roll(np.reshape(x, (-1,)), shift, 0), x.shape)
    for n, i in np.broadcast(shift, axis):
        first = (slice(None),) * (int(i) % x.ndim)
        cut = -int(n) % x.shape[i] if x.shape[i] else 0
        x = np.concatenate([x[(*first, slice(cut, None))], x[(*first, slice(cut))]], axis=int(i))
    return x


def diag(v: Any, k: int = 0) -> Any:
    v = np.pad(v, (0, abs(k)))
    spread = v[:, None] if k > 0 else v
    return np.where(np.eye(v.shape[0], k=k, dtype=bool), spread, 0)


def negative_zero(x: Any) -> Any:
    """What has the sign of `x` where that is 0: an infinity."""
    return np.where(np.equal(x, 0), np.reciprocal(x), x)


def nan_to_num(x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    limits = np.finfo(x.dtype)
    low = limits.min if neginf is None else neginf
    high = limits.max if posinf is None else posinf
    x = np.where(np.equal(x, np.inf), high, np.where(np.equal(x, -np.inf), low, x))
    return np.where(np.isnan(x), nan, x)


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    near = np.isfinite(b) & (np.abs(a - b) <= atol + rtol * np.abs(b))
    found = near | np.equal(a, b)
    return found | (np.isnan(a) & np.isnan(b)) if equal_nan else found


def remainder(a: Any, b: Any) -> Any:
    y = np.fmod(a, b)
    return np.where(np.not_equal(y, 0) & np.not_equal(y < 0, b < 0), y + b, y)


# What ONNX lacks, or onnxruntime in float64 (where it has no kernel, or a faulty optimisation), in simpler terms.
PARTS: dict[Op, Callable[..., Any]] = {
    **{
        ops.square: lambda x: x * x,
        ops.log1p: lambda x: np.log(1 + x),
        ops.expm1: lambda x: np.exp(x) - 1,
    },
    **{ops.log2: lambda x: np.log(x) / math.log(2), ops.log10: lambda x: np.log(x) / math.log(10)},
    **{ops.exp2: lambda x: 2.0**x, ops.cbrt: lambda x: np.sign(x) * np.abs(x) ** (1 / 3)},
    ops.cos: lambda x: np.sin(x + math.pi / 2),
    ops.tan: lambda x: np.sin(x) / np.cos(x),
    ops.sinc: lambda x: np.where(
        np.equal(x, 0), 1.0, np.sin(math.pi * x) / np.where(np.equal(x, 0), 1.0, math.pi * x)
    ),
    **{ops.deg2rad: lambda x: x * (math.pi / 180), ops.rad2deg: lambda x: x * (180 / math.pi)},
    ops.hypot: lambda a, b: np.sqrt(a * a + b * b),
    ops.arcsinh: lambda x: np.sign(x) * np.log(np.abs(x) + np.sqrt(x * x + 1)),
    ops.arccosh: lambda x: np.log(x + np.sqrt(x * x - 1)),
    ops.arctanh: lambda x: np.log((1 + x) / (1 - x)) / 2,
    ops.fabs: lambda x: np.abs(x),
    ops.trunc: lambda x: np.sign(x) * np.floor(np.abs(x)),
    ops.round: lambda x, decimals=0: np.rint(x * 10.0**decimals) / 10.0**decimals,
    ops.heaviside: lambda a, b: np.where(np.equal(a, 0), b, (np.sign(a) + 1) / 2),
    ops.remainder: remainder,
    ops.floor_divide: lambda a, b: np.rint((a - np.remainder(a, b)) / b),
    ops.copysign: lambda a, b: np.where(negative_zero(b) < 0, -np.abs(a), np.abs(a)),
    ops.fmax: lambda a, b: np.where(np.isnan(a), b, np.where(np.isnan(b), a, np.maximum(a, b))),
    ops.fmin: lambda a, b: np.where(np.isnan(a), b, np.where(np.isnan(b), a, np.minimum(a, b))),
    ops.nan_to_num: nan_to_num,
    ops.isclose: isclose,
    ops.logical_xor: lambda a, b: np.not_equal(np.not_equal(a, 0), np.not_equal(b, 0)),
    ops.logaddexp: lambda a, b: np.maximum(a, b) + np.log(1 + np.exp(-np.abs(a - b))),
    ops.logaddexp2: lambda a, b: np.maximum(a, b) + np.log2(1 + 2.0 ** -np.abs(a - b)),
    ops.not_equal: lambda a, b: ~np.equal(a, b),
    ops.isfinite: lambda x: ~(np.isnan(x) | np.isinf(x)),
    ops.any: lambda x, **params: np.max(x.astype(bool), **params),
    ops.all: lambda x, **params: np.min(x.astype(bool), **params),
    ops.clip: clip,
    **{ops.flip: flip, ops.roll: roll, ops.diag: diag, ops.sliding_windows: sliding_windows},
    ops.swapaxes: lambda x, axis1, axis2: np.transpose(
        x, np.swapaxes(np.empty(range(x.ndim)), axis1, axis2).shape
    ),
    ops.stack: lambda *arrays, axis=0: np.concatenate(
        [np.expand_dims(x, axis) for x in arrays], axis=axis
    ),
    ops.zeros_like: lambda x: np.full_like(x, fill_value=0),
    ops.ones_like: lambda x: np.full_like(x, fill_value=1),
}
