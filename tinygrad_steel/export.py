"""ONNX: the forward of a graph as a file that runs without Python; which op becomes what stands in `MAPPING`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import ops
from .engine.reads import refuse_reads
from .engine.tensor import Tensor
from .ops.op import Op, describe
from .program.parts import Numbers, described_call, parts_of
from .program.rewrite import SIMPLER, rebuild
from .program.trace import Names, alias, ancestors, refuse_draws
from .program.traced import Traced, trace_forward
from .program.values import VALUES, Apply, Constant, Program, Value, apply, behind, compute, only

OPSET, IR = 18, 8  # of December 2022, known to onnxruntime since 1.14; later ones bring nothing that is used here
BOOL, INT, END = np.dtype(bool), np.dtype(np.int64), 2**63 - 1


def export_onnx(
    output: Tensor | Sequence[Tensor],
    file: str | Path,
    inputs: Tensor | Sequence[Tensor],
    names: Names = None,
    batch: str | None = "batch",
) -> None:
    """Write how `output` is computed from `inputs` into an ONNX file (opset 18), which onnx has checked before.

    `output`: a Tensor, or several. `inputs`: the leaf, or leaves, that the file's user supplies, with names; all other
    leaves (parameters, constants, what was detached or computed in no_grad()) go into the file with the numbers that
    they have now. `names`: variable names for Tensors without a name, such as `locals()`; an output without any is
    called `output`, and a name that is taken becomes `name_2`. An op without a mapping, such as one of your own, is
    written as the parts of its forward. Shapes and dtypes stay what they are: float64 is a double there, too (integers
    and masks are reckoned in int64). On NaNs, max, min and argmax are up to the runtime. (onnxruntime before 1.32
    optimises some float64 graphs wrongly, x * sigmoid(x) for one: load them there with ORT_ENABLE_BASIC.)

    `batch`: the name of the first axis of those inputs that are as long as the first of them: the file takes any number
    of rows. A graph that takes rows together (a mean over the batch) or needs as many as were traced is refused, as a
    number of rows written into it could be wrong; `reshape(x, (len(x), ...))` is understood. A plain number that Python
    made of the rows' number, as in `x / len(x)`, cannot be told from others: it stays as it is. None: the file takes
    exactly as many rows as were traced, and every graph is fine.

    Raises ImportError without onnx; TypeError for an op without a mapping, named with its inputs, for one that draws
    random numbers, for longdouble, and where Python has read a number that comes from an input (`if t > 0`, `rows[t]`);
    ValueError for an input that has no name, is no leaf or leads to no output, and for a graph that needs its number of
    rows.
    """
    onnx = find_onnx()
    outputs = [output] if isinstance(output, Tensor) else list(output)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    with np.errstate(all="ignore"):
        traced = traced_outputs(outputs, inputs, names)
        fed = [traced.made[x] for x in inputs]
        program, called = in_mapped_ops(traced, outputs)
        axes = batch_axes(program, fed, traced.arrays, called) if batch else {}
    graph = Graph(onnx, fed, program.results, axes, called, traced.arrays, batch)
    for y in program.applies:
        graph.write(y)
    model = graph.model()
    onnx.checker.check_model(model, full_check=True)
    Path(file).write_bytes(model.SerializeToString())


def find_onnx() -> Any:
    """The module onnx; an ImportError that says how to install it where it is missing."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError('ONNX files need onnx: pip install "tinygrad_steel[onnx]"') from error
    return onnx


def traced_outputs(outputs: Sequence[Tensor], inputs: Sequence[Tensor], names: Names) -> Traced:
    """How the outputs are computed; TypeError and ValueError for what cannot be exported."""
    for t in (*outputs, *inputs):
        if not isinstance(t, Tensor):
            raise TypeError(f"outputs and inputs are Tensors, not {type(t).__name__}")
    past = ancestors(outputs)
    for t in past:
        if t.dtype.kind == "f" and t.dtype.itemsize > 8:
            raise TypeError(f"{describe(t)}: ONNX has no such dtype, take float64 or float32")
        refuse_draws(t, "the file")
    if any(t.op is not None for t in outputs):
        refuse_reads(outputs, inputs, "the file would keep that number")
    for x in inputs:
        if x.op is not None or not x.name:  # without one, what is computed from it may be recorded as a constant
            raise ValueError(f'an input is a leaf with a name, as in Tensor(data, name="x"), not {x!r:.80}')
        if x not in {*past}:
            raise ValueError(f"no output depends on {describe(x)}: compute it from this very Tensor, outside no_grad()")
    return trace_forward(outputs[0], names, outputs[1:])


def batch_axes(
    program: Program, fed: Sequence[Value], arrays: Mapping[Value, Any], names: Mapping[Value, str]
) -> dict[Value, int | None]:
    """Which axis of each value counts the rows of a batch, found by computing everything for another number of rows.

    Raises ValueError, with the op, where that fails, or where the rows are not one axis of the result.
    """
    rows = next((x.shape[0] for x in fed if x.shape), 0)
    more = 2 * rows + 3
    axes: dict[Value, int | None] = {}
    numbers = Numbers({})
    for x in program.leaves:
        is_batch = x in fed and x.shape[:1] == (rows,)
        axes[x] = 0 if is_batch else None
        numbers.known[x] = np.resize(arrays[x], (more, *x.shape[1:])) if is_batch else arrays[x]
    for y in program.applies:
        known = {axes.get(x) for x in y.values()}
        cause: Exception | None = None
        try:
            found = numbers.known[y] = compute(for_any_rows(y, known, rows), map(numbers.of, y.inputs))
            axes[y] = batch_axis(y, found.shape, known, rows, more)
        except Exception as error:  # it does not work for another number of rows, for a reason that is shown below
            cause = error
        if y not in axes:
            raise ValueError(
                f"{described_call(y, names)} takes the rows of a batch together, or needs as many as were traced, and "
                f"may be wrong for other batches: keep the rows apart (-1 is their number in a reshape), or export for "
                f"batches of {rows} alone, with batch=None"
            ) from (cause if not isinstance(cause, RowsTogether) else None)
    return axes


class RowsTogether(Exception):
    """The rows of a batch are not one axis of a result."""


def for_any_rows(y: Apply, known: set[int | None], rows: int) -> Apply:
    """A reshape that leaves each row its elements takes any number of rows; everything else is as it is."""
    if y.op is ops.reshape and known == {0} and y.shape[:1] == (rows,) != (1,):
        return dataclasses.replace(y, params={"shape": (-1, *y.shape[1:])})
    return y


def batch_axis(y: Apply, shape: tuple[int, ...], known: set[int | None], rows: int, more: int) -> int | None:
    """The axis that has grown with the number of rows; None where none has, RowsTogether where it is not one axis."""
    changed = [(i, n) for i, (m, n) in enumerate(zip(y.shape, shape, strict=True)) if m != n]
    if not changed:
        if known <= {None}:
            return None
        raise RowsTogether
    axis, length = changed[0]
    # Elsewhere in a reshape, one number may be that of the rows or another.
    elsewhere = y.op is ops.reshape and not (known == {0} and axis == 0)
    if len(changed) > 1 or length != more or y.shape[axis] != rows or elsewhere:
        raise RowsTogether
    return axis


def in_mapped_ops(traced: Traced, outputs: Sequence[Tensor]) -> tuple[Program, dict[Value, str]]:
    """The program in ops that have a mapping, each output the result of an op of its own, and what values are called.

    TypeError for an op that has no mapping, and neither have its parts.
    """
    numbers = Numbers(traced.arrays)

    def rule(y: Apply, kept: Any, within: tuple[Op, ...] = ()) -> Value:
        if has_mapping(y):
            return y
        found = parts_of(y, PARTS.get(y.op) or SIMPLER.get(y.op, y.op.forward), numbers)
        if found is None:
            raise unmapped(y, traced.names, within)
        inside = tuple(x for x in behind([found]) if isinstance(x, Apply) and x not in behind(y.values()))
        whole = Program((), inside, (found,))
        return rebuild(whole, lambda part, kept: rule(part, kept, (*within, y.op)))[0].results[0]

    program = only(traced.program, [traced.made[t] for t in outputs])
    program, moved = rebuild(program, rule)
    names: dict[Value, str] = {}
    for x, name in traced.names.items():
        names.setdefault(moved.get(x, x), name)
    results: list[Value] = []
    for t in outputs:
        old = traced.made[t]
        y = moved.get(old, old)
        if not isinstance(y, Apply) or y in results:  # ONNX wants each output to be the result of a node of its own
            y = apply(alias, (y,), {}, y)
            names[y] = names.get(old) or traced.names.get(old, "output")
        results.append(y)
    applies = [y for y in behind(results) if isinstance(y, Apply)]
    return Program(program.leaves, tuple(applies), tuple(results)), names


def has_mapping(y: Apply) -> bool:
    """Whether ONNX has the op for the dtypes of its inputs."""
    integers = all(x.dtype.kind != "f" for x in y.values())
    return y.op in MAPPING and not (integers and MAPPING[y.op] in FLOATS)


def unmapped(y: Apply, names: Mapping[Value, str], within: Sequence[Op] = ()) -> TypeError:
    """What to tell somebody whose op has no mapping."""
    whole = f", a part of {within[0].name}," if within else ""
    return TypeError(
        f"{described_call(y, names)}{whole} has no ONNX mapping: write it with ops that have one "
        f"(tinygrad_steel.export.MAPPING lists them; an op of your own needs a forward that runs on Tensors), or "
        f"export what it is computed from"
    )


class Graph:
    """An ONNX graph in the making: its nodes and constants, and the name of each value.

    `fed`, `results`: its inputs and outputs. `axes`: the batch axes of values; `batch`: how they are called. `names`:
    what values are called, `arrays`: those of the leaves.
    """

    def __init__(
        self,
        onnx: Any,
        fed: Sequence[Value],
        results: Sequence[Value],
        axes: Mapping[Value, int | None],
        names: Mapping[Value, str],
        arrays: Mapping[Value, Any],
        batch: str | None,
    ):
        self.onnx, self.fed, self.results, self.axes, self.batch = onnx, fed, results, axes, batch
        self.names, self.arrays = names, arrays
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.taken: set[str] = set()
        self.dtypes: dict[str, np.dtype] = {}  # of values, by name
        self.values: dict[Any, str] = {(x, x.dtype): self.unique(names.get(x, "")) for x in fed}
        self.called = {y: self.unique(names.get(y, "output")) for y in results}

    def write(self, node: Apply) -> None:
        """Append what computes a value."""
        self.name = self.called.get(node) or self.unique(self.names.get(node, node.op.name))
        rule = MAPPING[node.op]
        result = self.add(rule, node, *node.inputs) if isinstance(rule, str) else rule(self, node)
        if self.dtypes[result] != node.dtype:
            self.emit("Cast", [result], node.dtype, to=self.type(node.dtype))
        self.nodes[-1].name = self.nodes[-1].output[0] = self.values[node, node.dtype] = self.name

    def add(self, kind: str, node: Apply, *inputs: Any, **attributes: Any) -> str:
        """Append an ONNX op with these inputs: values and numbers, brought to the dtype that it needs, and names."""
        take = give = node.dtype if kind in MOVES else BOOL if kind in LOGIC else reckoned(node.dtype)
        if kind in COMPARISONS:
            take = np.result_type(*(reckoned(x.dtype) if isinstance(x, VALUES) else x for x in node.inputs))
        return self.emit(kind, [x if isinstance(x, str) else self.value(x, take) for x in inputs], give, **attributes)

    def emit(self, kind: str, inputs: list[str], dtype: np.dtype, **attributes: Any) -> str:
        """Append an ONNX op and return the name of its result."""
        name = self.unique(f"{self.name}_{kind}")
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name, **attributes))
        self.dtypes[name] = BOOL if kind in COMPARISONS else dtype
        return name

    def value(self, x: Any, dtype: np.dtype) -> str:
        """The name of a value or a plain number in a dtype."""
        if not isinstance(x, VALUES):
            return self.constant(np.asarray(x, dtype))
        if (x, dtype) not in self.values:
            if not isinstance(x, Apply) and x not in self.fed:
                data = x.data if isinstance(x, Constant) else self.arrays[x]
                self.values[x, dtype] = self.constant(np.asarray(data, dtype), self.names.get(x))
            else:
                self.values[x, dtype] = self.emit("Cast", [self.value(x, x.dtype)], dtype, to=self.type(dtype))
        return self.values[x, dtype]

    def constant(self, data: np.ndarray, name: str | None = None) -> str:
        """The name of an array that is part of the file; the same for equal ones without a name."""
        key = (data.dtype, data.shape, data.tobytes())
        if not name and key in self.values:
            return self.values[key]
        found = self.unique(name or "constant")
        self.constants.append(self.onnx.numpy_helper.from_array(data, found))
        if not name:
            self.values[key] = found
        return found

    def numbers(self, values: Any) -> str:
        """Axes, lengths and the like, which are inputs in ONNX."""
        return self.constant(np.array(values, INT))

    def lengths(self, node: Apply, rows: Any) -> list[Any]:
        """The shape of a value, with `rows` for the batch axis."""
        return [rows if self.axes.get(node) == i else n for i, n in enumerate(node.shape)]

    def unique(self, name: str) -> str:
        """This name, or the next one that is not taken."""
        names = (name if i == 1 else f"{name}_{i}" for i in range(1, len(self.taken) + 2))
        found = next(x for x in names if x not in self.taken)
        self.taken.add(found)
        return found

    def type(self, dtype: np.dtype) -> int:
        """ONNX's number for a dtype."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(dtype.newbyteorder("="))

    def model(self) -> Any:
        """The whole as onnx's ModelProto."""
        helper = self.onnx.helper
        inputs, outputs = (
            [
                helper.make_tensor_value_info(self.values[x, x.dtype], self.type(x.dtype), self.lengths(x, self.batch))
                for x in nodes
            ]
            for nodes in (self.fed, self.results)
        )
        graph = helper.make_graph(self.nodes, "graph", inputs, outputs, self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR, producer_name="tinygrad_steel")


def reckoned(dtype: np.dtype) -> np.dtype:
    """In what a runtime computes: floats as they are, all else in int64, for which every op has a kernel."""
    return dtype.newbyteorder("=") if dtype.kind == "f" else INT


# Rules: `(graph, node)` to the name of the result, for ops whose parameters ONNX writes in another way.


def along(kind: str, axis: int) -> Callable:
    """The rule of an op along one axis."""
    return lambda graph, node: graph.add(kind, node, *node.inputs, axis=node.params.get("axis", axis))


def reduction(kind: str) -> Callable:
    """The rule of an op with `axis` and `keepdims`."""

    def rule(graph: Graph, node: Apply) -> str:
        x, axis = node.inputs[0], node.params.get("axis")
        axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        if not axes:  # for ONNX, none means all of them
            return graph.add("Identity", node, x)
        return graph.add(kind, node, x, graph.numbers(axes), keepdims=int(bool(node.params.get("keepdims"))))

    return rule


def position(kind: str) -> Callable:
    """The rule of argmax and argmin."""

    def rule(graph: Graph, node: Apply) -> str:
        x, axis = node.inputs[0], node.params.get("axis")
        name = graph.value(x, reckoned(x.dtype))
        if axis is None:
            name = graph.emit("Reshape", [name, graph.numbers([-1])], reckoned(x.dtype))
        return graph.emit(kind, [name], INT, axis=axis or 0, keepdims=0)

    return rule


def cast(graph: Graph, node: Apply) -> str:
    x = node.inputs[0]
    return graph.emit("Cast", [graph.value(x, x.dtype)], node.dtype, to=graph.type(node.dtype))


def where(graph: Graph, node: Apply) -> str:
    condition, a, b = node.inputs
    return graph.add("Where", node, graph.value(condition, BOOL), a, b)


def einsum(graph: Graph, node: Apply) -> str:
    terms, result = ops.letters(node.params["subscripts"])  # with an arrow: without one, orders may differ
    return graph.add("Einsum", node, *node.inputs, equation=f"{','.join(terms)}->{result}")


def reshape(graph: Graph, node: Apply) -> str:
    lengths = graph.lengths(node, -1)
    return graph.add("Reshape", node, node.inputs[0], graph.numbers(lengths), allowzero=int(0 in lengths))


def stretched(graph: Graph, node: Apply) -> str:
    if 0 in node.shape and 0 not in node.inputs[0].shape:  # runtimes leave such a length as it is
        call = described_call(node, graph.names)
        raise TypeError(f"{call} broadcasts to a length of 0, which ONNX runtimes do not do: leave it out")
    return graph.add("Expand", node, *node.inputs, graph.numbers(node.shape))


def squeeze(graph: Graph, node: Apply) -> str:
    x, axis = node.inputs[0], node.params.get("axis")
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else [*np.atleast_1d(axis)]
    return graph.add("Squeeze", node, x, graph.numbers(axes)) if axes else graph.add("Identity", node, x)


def transpose(graph: Graph, node: Apply) -> str:
    axes = node.params.get("axes")
    order = {} if axes is None else {"perm": [i % len(node.shape) for i in axes]}
    return graph.add("Transpose", node, *node.inputs, **order)


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
    (x, *arrays), index = node.inputs, node.params["index"]
    index = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, bool | np.bool_) for i in index):
        raise unmapped(node, graph.names)
    ndim = len(x.shape)
    rest = (slice(None),) * (ndim - sum(i is not None and i is not Ellipsis for i in index))
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    index = (*index[:at], *rest, *index[at + 1 :])
    if arrays:
        at, others = index.index(ops.HOLE), [i for i in index if i is not ops.HOLE]
        if arrays[0].dtype.kind not in "iu" or others != [slice(None)] * (ndim - 1):
            raise unmapped(node, graph.names)
        return graph.add("Gather", node, x, graph.value(arrays[0], INT), axis=at)
    new = [i for i, part in enumerate(i for i in index if i is None or isinstance(i, slice)) if part is None]
    index = [i for i in index if i is not None]
    gone = [i for i, part in enumerate(index) if not isinstance(part, slice)]
    rows = graph.axes.get(x)
    limits = [bounds(part, None if axis == rows else n) for axis, (part, n) in enumerate(zip(index, x.shape))]
    starts, ends, steps = ([limit[i] for limit in limits] for i in range(3))
    numbers = map(graph.numbers, (starts, ends, range(ndim), steps))
    name = graph.add("Slice", node, x, *numbers) if ndim else graph.add("Identity", node, x)
    for kind, axes in (("Squeeze", gone), ("Unsqueeze", new)):
        name = graph.add(kind, node, name, graph.numbers(axes)) if axes else name
    return name


# An op -> the name of ONNX's op with the same inputs, or a rule.
MAPPING: dict[Op, str | Callable] = {
    # arithmetic
    **{ops.add: "Add", ops.subtract: "Sub", ops.multiply: "Mul", ops.divide: "Div", ops.negative: "Neg"},
    **{ops.power: "Pow", ops.exp: "Exp", ops.log: "Log", ops.sqrt: "Sqrt", ops.reciprocal: "Reciprocal"},
    **{ops.abs: "Abs", ops.sign: "Sign"},
    **{ops.sin: "Sin", ops.floor: "Floor", ops.ceil: "Ceil", ops.rint: "Round", ops.asconstant: cast, ops.astype: cast},
    # products
    **{ops.matmul: "MatMul", ops.einsum: einsum},
    # activations
    **{ops.relu: "Relu", ops.sigmoid: "Sigmoid", ops.tanh: "Tanh"},
    **{ops.softmax: along("Softmax", -1), ops.log_softmax: along("LogSoftmax", -1)},
    # choosing
    **{ops.greater: "Greater", ops.greater_equal: "GreaterOrEqual", ops.less: "Less", ops.less_equal: "LessOrEqual"},
    **{ops.equal: "Equal", ops.isnan: "IsNaN", ops.isinf: "IsInf"},
    **{ops.logical_and: "And", ops.logical_or: "Or", ops.logical_not: "Not"},
    **{ops.maximum: "Max", ops.minimum: "Min", ops.where: where},
    # reductions
    **{ops.sum: reduction("ReduceSum"), ops.mean: reduction("ReduceMean"), ops.prod: reduction("ReduceProd")},
    **{ops.max: reduction("ReduceMax"), ops.min: reduction("ReduceMin")},
    **{ops.argmax: position("ArgMax"), ops.argmin: position("ArgMin")},
    ops.cumsum: lambda g, n: g.add("CumSum", n, *n.inputs, g.numbers(n.params["axis"])),
    # shapes
    **{alias: "Identity", ops.reshape: reshape, ops.transpose: transpose, ops.squeeze: squeeze, ops.getitem: getitem},
    ops.expand_dims: lambda g, n: g.add("Unsqueeze", n, *n.inputs, g.numbers(np.atleast_1d(n.params["axis"]))),
    ops.broadcast_to: stretched,
    **{ops.concatenate: along("Concat", 0), ops.full_like: full_like},
}
# The kinds by dtype; all others take and give that in which the result is reckoned.
COMPARISONS = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "IsNaN", "IsInf"}  # give masks
LOGIC = {"And", "Or", "Not"}  # masks to masks
MOVES = {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Slice", "Gather", "Concat"}  # any dtype
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


# What ONNX lacks, or onnxruntime in float64 (where it has no kernel, or a faulty optimisation), in simpler terms.
PARTS: dict[Op, Callable] = {
    **{ops.square: lambda x: x * x, ops.log1p: lambda x: np.log(1 + x), ops.expm1: lambda x: np.exp(x) - 1},
    **{ops.log2: lambda x: np.log(x) / math.log(2), ops.log10: lambda x: np.log(x) / math.log(10)},
    ops.cos: lambda x: np.sin(x + math.pi / 2),
    ops.logaddexp: lambda a, b: np.maximum(a, b) + np.log(1 + np.exp(-np.abs(a - b))),
    ops.not_equal: lambda a, b: ~np.equal(a, b),
    ops.isfinite: lambda x: ~(np.isnan(x) | np.isinf(x)),
    ops.any: lambda x, **params: np.max(x.astype(bool), **params),
    ops.all: lambda x, **params: np.min(x.astype(bool), **params),
    ops.clip: clip,
    ops.flip: flip,
    ops.swapaxes: lambda x, axis1, axis2: np.transpose(x, np.swapaxes(np.empty(range(x.ndim)), axis1, axis2).shape),
    ops.stack: lambda *arrays, axis=0: np.concatenate([np.expand_dims(x, axis) for x in arrays], axis=axis),
    ops.zeros_like: lambda x: np.full_like(x, fill_value=0),
    ops.ones_like: lambda x: np.full_like(x, fill_value=1),
}
