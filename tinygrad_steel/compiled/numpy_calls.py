"""The NumPy back end: a program as a list of calls that write into arrays allocated once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import Op
from ..program.values import VALUES, Apply, Value, compute
from .lower import TrainingStep
from .lowered import VIEWS, behind_views, size
from .pieces import PIECES, arrays_of, pieces_of


@dataclass
class Calls:
    """What has been written so far.

    `buffers`: the array of each value, which stays the same array. `names`: how the source calls
    it. `scope`: all that the source names. `lines`: the calls. `rooms`: those that are lent to
    values for as long as somebody reads them, `free`: those of them that are not lent.
    """

    buffers: dict[Value, np.ndarray] = field(default_factory=dict)
    names: dict[Value, str] = field(default_factory=dict)
    scope: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    rooms: dict[Value, np.ndarray] = field(default_factory=dict)
    free: dict[tuple[int, np.dtype], list[np.ndarray]] = field(default_factory=dict)

    def room(self, value: Value) -> np.ndarray:
        """An array for a value, where there is one that nobody needs any more: memory just used
        is in the processor's cache.
        """
        found = self.free.setdefault((size(value), value.dtype), [])
        self.rooms[value] = room = found.pop() if found else np.empty(size(value), value.dtype)
        return room.reshape(value.shape)

    def give_back(self, value: Value) -> None:
        """What a value had can be another's."""
        if value in self.rooms:
            room = self.rooms.pop(value)
            self.free[len(room), room.dtype].append(room)

    def hold(self, value: Value, array: np.ndarray) -> str:
        """Keep the array of a value under a name."""
        self.buffers[value] = array
        self.names[value] = name = f"v{len(self.names)}"
        self.scope[name] = array
        return name

    def constant(self, x: Any) -> str:
        """Anything else under a name."""
        name = f"c{len(self.scope)}"
        self.scope[name] = x
        return name

    def named(self, thing: Any, name: str) -> str:
        """A function, or the value whose op is to run, under a name; the same name for the same
        thing.
        """
        name = name if name.isidentifier() else "function"
        while self.scope.setdefault(name, thing) != thing:
            name += "_"
        return name

    def call(self, function: Callable[..., Any], name: str, *arguments: str) -> None:
        """A line that calls a function."""
        self.lines.append(f"{self.named(function, name)}({', '.join(arguments)})")

    def inputs(self, value: Apply) -> list[str]:
        """The inputs of a value as arguments."""
        return [self.names[x] if isinstance(x, VALUES) else self.constant(x) for x in value.inputs]

    def source(self) -> str:
        """A function `run` that makes all the calls."""
        return "\n    ".join(["def run():", *(self.lines or ["pass"])]) + "\n"


class Replay:
    """A program made ready: `run()` computes everything in `buffers`, which stay the same arrays.

    `source`: what `run` executes, as Python.
    """

    def __init__(self, program: TrainingStep):
        calls = numpy_calls(program)
        self.buffers, self.source = calls.buffers, calls.source()
        exec(self.source, calls.scope)
        self.run: Callable[[], None] = calls.scope["run"]


def numpy_calls(program: TrainingStep) -> Calls:
    """A program as calls."""
    calls = Calls()
    hold_leaves(calls, program)
    places = {new: calls.buffers[leaf] for leaf, new in renewed_in_place(program)}
    for value, done in zip(program.nodes, last_reads(program)):
        add(calls, value, places.get(value))
        for other in done:
            calls.give_back(other)
    # New values into the places of the old ones, when all of them are known
    for leaf, value in program.updates:
        if calls.buffers[leaf] is not calls.buffers[value]:
            calls.call(np.copyto, "copyto", calls.names[leaf], calls.names[value])
    return calls


def last_reads(program: TrainingStep) -> list[list[Value]]:
    """For each value that is computed, those that nobody reads after it, be it through a view."""
    last: dict[Value, int] = {}
    for i, value in enumerate(program.nodes):
        last[value] = i
        for x in value.values():
            for seen in through_views(x):
                last[seen] = i
    wanted = [program.loss, *program.outputs, *(g for *_, g in program.parameters)]
    wanted += [new for _, new in program.updates]
    kept = {seen for x in wanted for seen in through_views(x)}
    done: list[list[Value]] = [[] for _ in program.nodes]
    for seen, i in last.items():
        if seen not in kept:
            done[i].append(seen)
    return done


def through_views(x: Value) -> list[Value]:
    """A value, and those whose elements it may show."""
    found = [x]
    while isinstance(x, Apply) and x.op in MAY_BE_VIEWS:
        x = x.inputs[0]
        found.append(x)
    return found


def renewed_in_place(program: TrainingStep) -> list[tuple[Value, Apply]]:
    """The updates whose new value may be written over the old one: nobody reads it afterwards."""
    number = {value: i for i, value in enumerate(program.nodes)}
    last_reader = {behind_views(x): y for y in program.nodes for x in y.values()}
    return [
        (leaf, new)
        for leaf, new in program.updates
        if ufunc_of(new) is not None and number[last_reader.get(leaf, new)] <= number[new]
    ]


def hold_leaves(calls: Calls, program: TrainingStep) -> None:
    """The arrays of what is not computed: parameters' own, copies of others."""
    for leaf in [*program.feeds, *program.numbers, *program.constants]:
        calls.hold(leaf, np.array(program.arrays[leaf]))
    for tensor, leaf in program.held:
        calls.hold(leaf, tensor.data)
    optimizer: Any = program.optimizer
    for i, k, leaf in program.states:
        calls.hold(leaf, np.array(optimizer.states[i][k]))


def add(calls: Calls, value: Apply, place: np.ndarray | None) -> None:
    """The call for one value, which may write right into the place of what it renews."""
    if value.op in MAY_BE_VIEWS and len(value.inputs) == 1:
        array = calls.buffers[value.inputs[0]]
        view = compute(value, [array])
        if np.shares_memory(view, array):  # made once
            calls.hold(value, view)
            return
    form = form_of(value)
    inputs = ufunc_inputs(calls, value) if form is call_ufunc else calls.inputs(value)
    if place is None and form is not call_pieces:  # around its pieces, numbers stay for good
        place = calls.room(value)
    out = calls.hold(value, np.empty(value.shape, value.dtype) if place is None else place)
    form(calls, value, inputs, out)


MAY_BE_VIEWS = {*VIEWS, ops.getitem}


# How an op is called: each form gets the names of the inputs, and of the array for the result

Form = Callable[[Calls, Apply, list[str], str], None]


def call_ufunc(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    ufunc: Any = ufunc_of(value)
    by_name = ufunc in (np.maximum, np.minimum)  # NumPy wants it so for these two
    calls.call(ufunc, ufunc.__name__, *inputs, f"out={out}" if by_name else out)


def call_reduction(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    ufunc = REDUCERS[value.op]
    axis = value.params.get("axis")
    if axis is not None and takes_few(value, axis):
        call_by_slices(calls, value, axis, out)
        return
    if ufunc is np.add and axis is not None and sums_rows(calls, value, axis):
        call_as_product(calls, value, out)
        return
    axis = axis[0] if axis is not None and len(axis) == 1 else axis
    calls.call(ufunc.reduce, f"{ufunc.__name__}_reduce", *inputs, repr(axis), "None", out)


def sums_rows(calls: Calls, value: Apply, axes: tuple[int, ...]) -> bool:
    """Whether it is a sum of all rows of a matrix of floats, as that of a bias's gradient."""
    (x,) = value.inputs
    if not isinstance(x, VALUES) or x.dtype != value.dtype or x.dtype.char not in "fd":
        return False
    leading = axes == tuple(range(len(axes))) and len(axes) < len(x.shape)
    return leading and size(x) > 0 and calls.buffers[x].flags.c_contiguous


def call_as_product(calls: Calls, value: Apply, out: str) -> None:
    """A sum of rows as a product with ones, which is several times as fast."""
    matrix = calls.buffers[value.inputs[0]].reshape(-1, size(value))
    total = calls.buffers[value].reshape(-1)
    ones = np.ones(len(matrix), value.dtype)
    calls.call(np.matmul, "matmul", *map(calls.constant, (ones, matrix, total)))


FEW = 9  # elements that are taken up one after another, as those of a pooling's window


def takes_few(value: Apply, axes: tuple[int, ...]) -> bool:
    """Whether few elements make up each of many, and lie apart, for which NumPy's loops are slow."""
    (x,) = value.inputs
    taken = [x.shape[i] for i in axes]
    return 1 < math.prod(taken) <= FEW and len(x.shape) - 1 not in axes


def call_by_slices(calls: Calls, value: Apply, axes: tuple[int, ...], out: str) -> None:
    """Slice after slice of the input taken up, each as a whole."""
    (x,), ufunc = value.inputs, REDUCERS[value.op]
    slices = []
    for at in np.ndindex(*(x.shape[i] for i in axes)):
        places = dict(zip(axes, at))
        index = tuple(places.get(i, slice(None)) for i in range(len(x.shape)))
        slices.append(calls.constant(calls.buffers[x][index]))
    taken, *others = slices
    dtype = calls.constant(value.dtype)  # a sum of masks counts
    for other in others:
        calls.call(ufunc, ufunc.__name__, taken, other, f"out={out}", f"dtype={dtype}")
        taken = out


def call_mean(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    if value.dtype == np.float16:  # which adds up in float32
        call_forward(calls, value, inputs, out)
        return
    call_reduction(calls, value, inputs, out)
    count = size(value.inputs[0]) // max(1, size(value))
    divisor = calls.constant(np.array(count, value.dtype))
    calls.call(np.divide, "divide", out, divisor, out)


def call_where(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    mask, a, b = inputs
    condition = value.inputs[0]
    dtype = condition.dtype if isinstance(condition, Value) else np.asarray(condition).dtype
    calls.call(np.copyto, "copyto", out, b)
    if dtype.kind != "b":
        mask = f"{mask} != 0"
    calls.call(np.copyto, "copyto", out, a, f"where={mask}")


def call_astype(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    calls.call(np.copyto, "copyto", out, *inputs, "'unsafe'")


def call_one_hot(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    calls.call(ops.check_ids, "check_ids", *inputs, str(value.params["classes"]))
    call_forward(calls, value, inputs, out)


def call_pieces(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    """Each piece to its place; what stands around them is written once."""
    made = pieces_of(value)
    if made is None:
        call_forward(calls, value, inputs, out)
        return
    calls.buffers[value].fill(made.fill)
    if made.overlap:
        calls.call(np.copyto, "copyto", out, calls.constant(value.dtype.type(made.fill)))
    for place, source in arrays_of(made, calls.buffers[value], calls.buffers):
        put, taken = calls.constant(place), calls.constant(source)
        if made.overlap:
            calls.call(np.add, "add", put, taken, put)
        else:
            calls.call(np.copyto, "copyto", put, taken)


def call_reshape(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    """What is no view of its input: the elements in their order, without a copy in between."""
    (x,) = value.inputs
    calls.call(np.copyto, "copyto", calls.constant(calls.buffers[value].reshape(x.shape)), *inputs)


def call_forward(calls: Calls, value: Apply, inputs: list[str], out: str) -> None:
    """The op's own forward, whose result is copied."""
    calls.call(fill, "fill", out, calls.named(value, f"op_{value.op.name}"), *inputs)


REDUCERS: dict[Op | None, np.ufunc] = {
    ops.sum: np.add,
    ops.mean: np.add,
    ops.max: np.maximum,
    ops.min: np.minimum,
    ops.prod: np.multiply,
}
CALLS: dict[Op | None, Form] = {
    **dict.fromkeys(REDUCERS, call_reduction),
    ops.mean: call_mean,
    ops.where: call_where,
    ops.astype: call_astype,
    ops.asconstant: call_astype,
    ops.one_hot: call_one_hot,
    ops.reshape: call_reshape,
    **dict.fromkeys(PIECES, call_pieces),
}


def form_of(value: Apply) -> Form:
    """How the op of a value is called."""
    return CALLS.get(value.op, call_forward if ufunc_of(value) is None else call_ufunc)


def ufunc_of(value: Apply) -> np.ufunc | None:
    """NumPy's function that writes a value into an array; None where there is none."""
    if value.op in UFUNCS:
        return UFUNCS[value.op]
    return value.op.forward if isinstance(value.op.forward, np.ufunc) else None


UFUNCS = {ops.power: np.power, ops.matmul: np.matmul}


def ufunc_inputs(calls: Calls, value: Apply) -> list[str]:
    """The inputs of a ufunc; a plain number is the array that NumPy makes of it at every call."""
    dtypes = {x.dtype for x in value.values()}
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    if dtype is None or dtype.kind != "f":
        return calls.inputs(value)
    names = []
    for x in value.inputs:
        plain = isinstance(x, int | float) and not isinstance(x, bool)
        number = np.array(x, dtype) if plain else x
        names.append(calls.names[x] if isinstance(x, VALUES) else calls.constant(number))
    return names


def fill(out: np.ndarray, value: Apply, *inputs: Any) -> np.ndarray:
    """A result into its array; ValueError where the numbers, not only the shapes, decide on its
    shape.
    """
    y = compute(value, inputs)
    if y.shape != out.shape:
        raise ValueError(
            f"{value.op.name} gives {y.shape}, the step was compiled for {out.shape}: a shape that "
            "depends on the data "
            f"cannot be compiled; write where(mask, x, 0) in place of x[mask]"
        )
    out[...] = y
    return y
