"""`compile_backprop` and `compile_epoch`: a training step traced once, then run without Python between its parts."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import ops
from .graph import describe_call, next_age
from .loops import RANGE, ROW, Loops, NoLoops
from .lower import Program
from .optim import Optimizer
from .registry import data_of, describe
from .replay import Replay
from .tensor import Tensor, record_op
from .trace import Names, Node, ancestors

BACKENDS = ("auto", "numba", "numpy")


def compile_backprop(
    loss: Tensor,
    names: Names = None,
    *,
    optimizer: Optimizer | None = None,
    outputs: Sequence[Tensor] = (),
    backend: str = "auto",
) -> Step:
    """A function that does what computing this loss and `loss.backward()` do, for other data of the same shapes.

    It takes the arrays of the graph's named leaves that require no gradient, in the order of their first use or by
    name, and returns the loss, a float. Gradients are then in `.grad` of the parameters (not added to what was there);
    with `optimizer`, its step is done as well. `outputs`: Tensors behind the loss whose arrays are wanted, in
    `step.outputs`. Those arrays, and the gradients, are overwritten by the next call. Parameters keep their numbers in
    memory that the step has; a new array assigned to `.data` is noticed.

    `backend`: "numba" (loops in machine code, compiled once and kept on disk), "numpy" (calls into arrays allocated
    once), or "auto": numba where it is installed, every op has a loop form and no matrix product is so large that it
    is left to BLAS.

    Raises what `loss.backward()` raises; NoLoops (a TypeError) where numba is asked for and an op has no loop form;
    the step itself raises ValueError for another shape or for class ids out of range: compile again for other shapes.

    >>> x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    >>> weight = Tensor([[1.0]], requires_grad=True, name="weight")
    >>> step = compile_backprop(np.mean(np.square(x @ weight - y)), backend="numpy")
    >>> step(np.array([[1.0], [2.0]]), y=np.array([[1.0], [3.0]]))
    0.5
    >>> weight.grad
    array([[-2.]])
    """
    program = Program(loss, names, optimizer, outputs)
    return Step(program, engine_for(program, backend, "step"))


def compile_epoch(
    loss: Tensor,
    batch: Sequence[Tensor],
    parameters: Sequence[Tensor] | None = None,
    *,
    optimizer: Optimizer,
    outputs: Sequence[Tensor] = (),
    names: Names = None,
    backend: str = "auto",
) -> Epoch:
    """A function that trains on all rows of a data set: gathering, forward, backward and update of every mini-batch.

    `batch`: the leaves that hold a mini-batch, with its rows along the first axis. The function takes the whole arrays
    in their place and `order`, the rows in the order in which they are to be used (default: as they are), and returns
    the loss of each step, and with `outputs` their arrays, the first axis counting steps. A last, shorter batch is
    computed from the same expression with fewer rows (numbers that stand in it, such as `/ 10`, stay as they are); its
    outputs are then not part of the arrays but in `epoch.last_outputs`.

    `parameters`: those of the optimizer, if given. For the rest, see `compile_backprop`.

    >>> from tinygrad_steel import SGD
    >>> x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    >>> weight = Tensor([[1.0]], requires_grad=True, name="weight")
    >>> loss = np.mean(np.square(x @ weight - y))
    >>> epoch = compile_epoch(loss, batch=(x, y), optimizer=SGD([weight], 0.1), backend="numpy")
    >>> epoch(np.array([[1.0], [2.0], [0.5], [3.0]]), np.array([[2.0], [4.0], [1.0], [6.0]])).round(4)
    array([2.5   , 1.1562])
    """
    if parameters is not None and {id(p) for p in parameters} != {id(p) for p in optimizer.parameters}:
        raise ValueError("the parameters are to be those of the optimizer: leave them out, or make it with them")
    if not batch or any(not isinstance(t, Tensor) or t.op is not None or not t.shape for t in batch):
        raise ValueError("batch=(x, y) takes the Tensors that hold the mini-batch, rows along their first axis")
    if len({t.shape[0] for t in batch}) > 1:
        raise ValueError(f"the batch has {' and '.join(str(t.shape[0]) for t in batch)} rows: they are to be equal")
    return Epoch(loss, list(batch), optimizer, list(outputs), names, backend)


class Step:
    """A compiled step; call it with arrays. `backend`, `source` and `arguments` say what it is."""

    def __init__(self, program: Program, engine: NumPyEngine | NumbaEngine):
        self.program, self.engine = program, engine
        self.backend, self.source, self.compile_seconds = engine.backend, engine.source, engine.compile_seconds
        self.arguments = [x.name or f"x{i}" for i, x in enumerate(program.feeds)]
        self.outputs = [engine.view(x) for x in program.outputs]
        self.gradients = {p.name or f"parameter{i}": engine.view(g) for i, (p, _, g) in enumerate(program.parameters)}
        self.parameters = Parameters(program, engine, keep_grad=program.optimizer is None)

    def __call__(self, *arrays: Any, **named: Any) -> float:
        if named or len(arrays) != len(self.arguments):
            arrays = self.in_order(arrays, named)
        self.parameters.before()
        loss = self.engine.step(arrays)
        self.parameters.after()
        return loss

    def in_order(self, arrays: tuple, named: dict[str, Any]) -> tuple:
        """The arguments by position; TypeError where they are not those of the step."""
        given = dict(zip(self.arguments, arrays)) | named
        if len(arrays) + len(named) != len(given) or {*given} != {*self.arguments}:
            raise TypeError(
                f"the step takes {', '.join(self.arguments) or 'nothing'}; got {', '.join(given) or 'nothing'}"
            )
        return tuple(given[name] for name in self.arguments)

    def __repr__(self) -> str:
        return f"<compiled step({', '.join(self.arguments)}), {self.backend}>"


class Parameters:
    """Keeps Tensors and the memory of a compiled step together."""

    def __init__(self, program: Program, engine: Any, keep_grad: bool):
        self.program, self.keep_grad = program, keep_grad
        self.pairs = [(p, engine.view(x), engine.view(g)) for p, x, g in program.parameters]
        self.states = [(place, i, engine.view(x)) for place, i, x in program.states]
        moved = {id(p) for p in program.optimizer.parameters} if program.optimizer else set()
        self.moved = [p for p, _, _ in self.pairs if id(p) in moved]

    def before(self) -> None:
        """Take over data that was assigned meanwhile."""
        for p, data, _ in self.pairs:
            if p._data is not data:
                np.copyto(data, p._data)
                p._data = data
        for place, i, data in self.states:
            if place[i] is not data:
                np.copyto(data, place[i])
                place[i] = data

    def after(self) -> None:
        """Gradients to where backward() leaves them; and parameters have changed."""
        if self.keep_grad:
            for p, _, g in self.pairs:
                p.grad = g
        for p in self.moved:
            p.age = next_age()


class Epoch:
    """A compiled epoch; call it with the whole arrays and the order of their rows."""

    def __init__(
        self, loss: Tensor, batch: list[Tensor], optimizer: Optimizer, outputs: list[Tensor], names: Names, backend: str
    ):
        self.loss, self.batch, self.outputs = loss, batch, outputs
        self.optimizer, self.names, self.wanted_backend = optimizer, names, backend
        self.program = Program(loss, names, optimizer, outputs, feeds=batch)
        self.engine = engine_for(self.program, backend, "epoch")
        self.backend, self.source, self.compile_seconds = (
            self.engine.backend,
            self.engine.source,
            self.engine.compile_seconds,
        )
        self.parameters = Parameters(self.program, self.engine, keep_grad=False)
        self.used = [i for i, t in enumerate(batch) if t.data is not None and self.is_used(t)]
        self.short: dict[int, Step] = {}
        self.last_outputs: list[np.ndarray] = []

    def is_used(self, t: Tensor) -> bool:
        """Whether the loss depends on it."""
        return any(x is t for x in ancestors([self.loss, *self.outputs]))

    def __call__(self, *arrays: Any, order: Any = None) -> Any:
        if len(arrays) != len(self.batch):
            raise TypeError(
                f"the epoch takes {len(self.batch)} arrays, one for each Tensor of the batch; got {len(arrays)}"
            )
        arrays = tuple(np.asarray(data_of(x)) for x in arrays)
        for t, x in zip(self.batch, arrays):
            if x.shape[1:] != t.shape[1:] or x.ndim != t.ndim or len(x) != len(arrays[0]):
                raise ValueError(
                    f"{describe(t)} was compiled: give an array (rows, {str(t.shape[1:])[1:]} with as many rows as the "
                    f"others, not {x.shape}"
                )
        order = np.arange(len(arrays[0])) if order is None else np.ascontiguousarray(order, dtype=np.int64)
        if order.ndim != 1 or (order.size and not 0 <= order.min() <= order.max() < len(arrays[0])):
            raise ValueError(f"order is a list of row numbers from 0 to {len(arrays[0]) - 1}")
        rows = self.batch[0].shape[0]
        count, rest = divmod(len(order), rows)
        self.parameters.before()
        used = tuple(arrays[i] for i in self.used)
        losses, outputs = self.engine.epoch(used, order[: count * rows], count)
        self.parameters.after()
        if rest:
            short = self.short_step(rest)
            losses = np.append(losses, short(*(x[order[count * rows :]] for x in used)))
            self.last_outputs = [np.array(x) for x in short.outputs]
        return (losses, outputs) if self.outputs else losses

    def short_step(self, rows: int) -> Step:
        """The step for a last batch of so many rows, from the same expression."""
        if rows not in self.short:
            fewer = {id(t): Tensor(t.data[:rows], name=t.name) for t in self.batch}
            loss, *outputs = rebuilt([self.loss, *self.outputs], fewer)
            feeds = [fewer[id(self.batch[i])] for i in self.used]
            program = Program(loss, self.names, self.optimizer, outputs, feeds=feeds)
            self.short[rows] = Step(program, NumPyEngine(program))
        return self.short[rows]

    def __repr__(self) -> str:
        return f"<compiled epoch of batches of {self.batch[0].shape[0]} rows, {self.backend}>"


def rebuilt(roots: list[Tensor], replaced: dict[int, Tensor]) -> list[Tensor]:
    """The same expressions with other leaves."""
    made: dict[int, Tensor] = dict(replaced)
    for t in ancestors(roots):
        if id(t) in made:
            continue
        if t.op is None:
            made[id(t)] = t
            continue
        inputs = tuple(made[id(x)] if isinstance(x, Tensor) else x for x in t.inputs)
        made[id(t)] = record_op(t.op, inputs, t.params)
        made[id(t)].name = t.name
        if len(t.shape) != len(made[id(t)].shape):
            raise ValueError(f"{describe_call(t.op, inputs, t.params)} does not work for a shorter batch")
    return [made[id(t)] for t in roots]


# Engines: `step(arrays)`, `epoch(arrays, order, count)` and `view(node)`, the memory of a Node


def engine_for(program: Program, backend: str, what: str) -> NumPyEngine | NumbaEngine:
    """The engine asked for, or the best there is; `what`: "step" or "epoch"."""
    if backend not in BACKENDS:
        raise ValueError(f"backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    if backend == "numpy" or (backend == "auto" and importlib.util.find_spec("numba") is None):
        return NumPyEngine(program)
    try:
        loops = Loops(program)
        if backend == "auto" and len(loops.segments) > 1:  # NumPy is as good where it does the greater part anyway
            return NumPyEngine(program)
        return NumbaEngine(program, loops, what)
    except NoLoops:
        if backend == "numba":
            raise
        return NumPyEngine(program)


class Engine:
    """What both have in common."""

    program: Program
    compile_seconds = 0.0
    last_rate: float | None = None

    def renew_numbers(self) -> None:
        """The optimizer's numbers for the next step, which it counts, into the memory if they have changed."""
        optimizer = self.program.optimizer
        if optimizer is None:
            return
        optimizer.steps += 1
        if optimizer.changing or self.last_rate != optimizer.learning_rate:
            self.last_rate = optimizer.learning_rate
            for node, x in zip(self.program.numbers, optimizer.numbers(self.program.loss.dtype)):
                self.view(node)[...] = x

    def view(self, node: Node) -> np.ndarray:
        """The array in which a Node's numbers are."""
        raise NotImplementedError

    def take(self, arrays: Sequence[Any]) -> None:
        """Arrays of one step into the memory."""
        for node, x in zip(self.program.feeds, arrays):
            memory = self.view(node)
            if x.__class__ is not np.ndarray or x.shape != memory.shape or x.dtype != memory.dtype:
                x = fitting(node, x)
            np.copyto(memory, x, "unsafe")  # class ids are floats there, if need be

    def run(self) -> None:
        """Everything, from what is in the memory."""
        raise NotImplementedError

    def step(self, arrays: Sequence[Any]) -> float:
        """One step on these arrays."""
        self.take(arrays)
        self.renew_numbers()
        self.run()
        return self.view(self.program.loss).item()

    def epoch(self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """`count` steps on rows gathered by `order`."""
        losses = np.empty(count, self.program.loss.dtype)
        outputs = [np.empty((count, *x.shape), x.dtype) for x in self.program.outputs]
        for s, rows in enumerate(order.reshape(count, -1)):
            losses[s] = self.step([x[rows] for x in arrays])
            for kept, x in zip(outputs, self.program.outputs):
                kept[s] = self.view(x)
        return losses, outputs


class NumPyEngine(Engine):
    """Calls of NumPy functions that write into arrays allocated once."""

    backend = "numpy"

    def __init__(self, program: Program):
        self.program = program
        self.replay = Replay(program)
        self.source, self.run = self.replay.source, self.replay.run

    def view(self, node: Node) -> np.ndarray:
        return self.replay.buffers[node]


class NumbaEngine(Engine):
    """Loops in machine code; large products are left to BLAS, between them."""

    backend = "numba"

    def __init__(self, program: Program, loops: Loops, what: str):
        self.program, self.loops = program, loops
        self.source = loops.source(what)
        self.memory = np.zeros(self.loops.size, self.loops.dtype)
        self.views: dict[Node, np.ndarray] = {}
        for node in self.loops.places:
            self.view(node)[...] = node.data
        for p, x, _ in program.parameters:
            self.view(x)[...] = p.data
        start = time.perf_counter()
        self.module = compiled_module(self.source)
        self.compile_seconds = time.perf_counter() - start
        self.parts = self.pieces() if len(self.loops.segments) > 1 else []
        self.place_of_loss = self.loops.place_of_number(program.loss)

    def view(self, node: Node) -> np.ndarray:
        if node not in self.views:
            if node in self.loops.places:
                first = self.loops.places[node]
                self.views[node] = self.memory[first : first + node.data.size].reshape(node.shape)
            else:
                self.views[node] = node.compute(*(self.view(x) if isinstance(x, Node) else x for x in node.inputs))
        return self.views[node]

    def pieces(self) -> list[Callable[[], Any]]:
        """What a step with large products consists of."""
        parts: list[Callable[[], Any]] = []
        for i, segment in enumerate(self.loops.segments):
            if isinstance(segment, list):
                function = getattr(self.module, f"segment{i // 2}")
                parts.append(lambda function=function: function(self.memory))
            elif segment.op is ops.matmul:
                a, b = map(self.view, segment.inputs)
                parts.append(functools.partial(np.matmul, a, b, self.view(segment)))
            else:
                parts.append(functools.partial(self.call, segment, self.view(segment)))
        return parts

    def call(self, node: Node, out: np.ndarray) -> None:
        """An op without a loop form; class ids and masks, which are floats in the memory, get their own dtype back."""
        arrays = (self.view(x).astype(x.dtype, copy=False) if isinstance(x, Node) else x for x in node.inputs)
        out[...] = node.compute(*arrays)

    def run(self) -> None:
        for node in self.program.nodes:
            if node.op is ops.one_hot:
                ops.check_ids(self.view(node.inputs[0]), node.params["classes"])
        for part in self.parts:
            part()

    def step(self, arrays: Sequence[Any]) -> float:
        if self.parts:
            return super().step(arrays)
        self.renew_numbers()
        try:
            status = self.module.step(*arrays, self.memory)
        except TypeError:  # another dtype or layout than was compiled for, or no array at all
            arrays = [fitting(node, x) for node, x in zip(self.program.feeds, arrays)]
            status = self.module.step(*arrays, self.memory)
        if status:
            self.refuse(status, arrays)
        return self.memory.item(self.place_of_loss)

    def refuse(self, status: int, arrays: Sequence[Any]) -> None:
        """ValueError for what the compiled function could not take."""
        for node, x in zip(self.program.feeds, arrays):
            check_feed(node, np.asarray(x))
        if status == RANGE:
            for node in self.program.nodes:
                if node.op is ops.one_hot:
                    ops.check_ids(arrays[self.program.feeds.index(node.inputs[0])], node.params["classes"])
        raise ValueError("a row number is out of range" if status == ROW else "the arrays do not fit")

    def epoch(self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        if not hasattr(self.module, "epoch"):
            return super().epoch(arrays, order, count)
        dtype = self.loops.dtype
        losses = np.empty(count, dtype)
        outputs = [np.empty(count * x.data.size, dtype) for x in self.program.outputs]
        optimizer, start = self.program.optimizer, self.program.optimizer.steps
        numbers = np.empty((count, len(self.program.numbers)), dtype)
        for s in range(count if optimizer.changing else min(count, 1)):
            optimizer.steps = start + s + 1
            numbers[s] = optimizer.numbers(dtype)
        if not optimizer.changing:
            numbers[1:] = numbers[:1]
        optimizer.steps = start + count
        arrays = [fitting(node, x, rows=True) for node, x in zip(self.program.feeds, arrays)]
        status = self.module.epoch(*arrays, order, numbers, losses, *outputs, self.memory)
        if status:
            self.refuse(status, [x[order] for x in arrays])
        return losses, [kept.reshape(count, *x.shape) for kept, x in zip(outputs, self.program.outputs)]


def check_feed(node: Node, x: np.ndarray) -> None:
    """ValueError or TypeError where an array is not what the step was compiled for."""
    if x.shape != node.shape:
        raise ValueError(
            f"{node.name or 'an input'} is {x.shape}, the step was compiled for {node.shape}: compile again"
        )
    if not np.can_cast(x.dtype, node.dtype, "same_kind"):
        raise TypeError(f"{node.name or 'an input'} is {x.dtype}, the step was compiled for {node.dtype}")


def fitting(node: Node, x: Any, rows: bool = False) -> np.ndarray:
    """An array in the dtype and layout for which the step was compiled."""
    x = np.asarray(data_of(x))
    check_feed(node, x[: node.shape[0]] if rows else x)
    return np.ascontiguousarray(x, dtype=node.dtype).reshape(x.shape if node.ndim else (1,))


def compiled_module(source: str) -> ModuleType:
    """The module with this source, from the folder in which numba keeps what it has compiled."""
    import numba  # where it is not installed, the NumPy back end does all

    versions = f"{source}\n{numba.__version__} {np.__version__} {sys.version}"
    name = "step_" + hashlib.sha256(versions.encode()).hexdigest()[:20]
    file = cache_folder() / f"{name}.py"
    if not file.exists():
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_text(source)
        part.replace(file)  # at once, as several processes may be at it
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module  # numba looks for it there when it loads what it has kept
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def cache_folder() -> Path:
    """$TINYGRAD_STEEL_CACHE, the user's cache, or where neither can be written, a temporary folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    folder = Path(os.environ.get("TINYGRAD_STEEL_CACHE") or Path(home) / "tinygrad_steel" / "compiled")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="tinygrad_steel_"))
