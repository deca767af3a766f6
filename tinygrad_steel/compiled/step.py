"""`compile_backprop` and `compile_epoch`: a training step traced once, then run without Python between its parts."""

from __future__ import annotations

import copy
import functools
import importlib.util
import operator
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .. import ops
from ..engine.messages import describe_call
from ..engine.optim import SGD, Optimizer
from ..engine.recording import next_age, recording
from ..engine.tensor import Tensor, checked_array, record_op
from ..ops.fast import ndarray
from ..ops.op import data_of, describe
from ..program.trace import Names, Node, ancestors, exact, is_random
from .batches import MISFIT, check_rows
from .cache import compiled_module
from .loops import Loops, NoLoops, fits_exactly, holds_all, largest_integer
from .lower import Program, next_numbers
from .numpy_calls import Replay, fill

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
    `step.outputs`. Those arrays, and the gradients, are overwritten by the next call. (Calls from several threads wait
    for one another; outputs and gradients are those of the last one. Steps that share parameters are not to be called
    at the same time.) Parameters keep their numbers in memory that the step has; a new array assigned to `.data` is
    noticed. The same holds for Tensors that require a gradient and get none, such as a threshold in a comparison:
    `.grad` of these stays as it is.

    `backend`: "numba" (loops in machine code, compiled once and kept on disk), "numpy" (calls into arrays allocated
    once), or "auto": numba where it is installed, every op has a loop form and no matrix product is so large that it
    is left to BLAS.

    What has no history is a constant: arrays and random numbers in the expression, and whatever came into it by
    `detach()`, `numpy()`, `item()` or from inside `no_grad()`; so is whatever an op of your own takes from outside of
    its arguments. What differs from step to step is a named Tensor. New data assigned to a constant Tensor is noticed,
    what is written into its array (`t.data[0] = 1`) is not. An op that draws random numbers draws at every step.

    Raises what `loss.backward()` raises; TypeError where Python has read a number that the loss depends on (`if t > 0`,
    `rows[t]`, `range(t)`, `math.exp(t)`), which the step would keep for ever, and for an optimizer that has a `step()`
    of its own, or a `rule()` that counts steps or keeps something elsewhere than in its state; NoLoops (a TypeError)
    where numba is asked for and cannot do it, as for two float dtypes (what only has no loop form is called between
    loops). The step itself raises ValueError for another shape or for class ids out of range, RuntimeError where a
    constant or a setting of the optimizer other than its learning rate has changed, or a parameter no longer requires a
    gradient: compile again. A FrozenNumberWarning says that a number was read which may, or may not, be in the loss.

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
    outputs are then not part of the arrays but in `epoch.last_outputs`. Where the expression does not work for fewer
    rows, as with `x[3]`, nothing is trained (ValueError). An array outside of the batch that is used row
    by row with it (weights of its rows, say) belongs into `batch`, and is refused elsewhere (ValueError).

    `parameters`: those of the optimizer, if given. For the rest, see `compile_backprop`.

    >>> from tinygrad_steel import SGD
    >>> x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    >>> weight = Tensor([[1.0]], requires_grad=True, name="weight")
    >>> loss = np.mean(np.square(x @ weight - y))
    >>> epoch = compile_epoch(loss, batch=(x, y), optimizer=SGD([weight], 0.1), backend="numpy")
    >>> epoch(np.array([[1.0], [2.0], [0.5], [3.0]]), np.array([[2.0], [4.0], [1.0], [6.0]])).round(4)
    array([2.5   , 1.1562])
    """
    if not isinstance(optimizer, Optimizer) or isinstance(batch, Tensor) or isinstance(outputs, Tensor):
        raise TypeError("compile_epoch takes an optimizer, and lists of Tensors: batch=(x, y), outputs=[output]")
    if parameters is not None and {id(p) for p in parameters} != {id(p) for p in optimizer.parameters}:
        raise ValueError("the parameters are to be those of the optimizer: leave them out, or make it with them")
    if not batch or any(not isinstance(t, Tensor) or t.op is not None or not t.shape for t in batch):
        raise ValueError("batch=(x, y) takes the Tensors that hold the mini-batch, rows along their first axis")
    if any(t.requires_grad for t in batch) or len({id(t) for t in batch}) < len(batch):
        raise ValueError("the Tensors of the batch are data: each once, and none with requires_grad=True")
    if len({t.shape[0] for t in batch}) > 1:
        raise ValueError(f"the batch has {' and '.join(str(t.shape[0]) for t in batch)} rows: they are to be equal")
    if not batch[0].shape[0]:
        raise ValueError("the batch has no rows: trace the loss with at least one")
    return Epoch(loss, list(batch), optimizer, list(outputs), names, backend)


class Step:
    """A compiled step; call it with arrays. `backend`, `source` and `arguments` say what it is."""

    def __init__(self, program: Program, engine: NumPyEngine | NumbaEngine):
        self.program, self.engine = program, engine
        self.backend, self.source, self.compile_seconds = engine.backend, engine.source, engine.compile_seconds
        self.arguments = [x.name or f"x{i}" for i, x in enumerate(program.feeds)]
        self.parameters = Parameters(program, engine)
        lock = threading.Lock()  # one memory: a call from another thread waits
        # Looked up once, as the smallest steps take two microseconds; `with` would cost twice as much
        self.acquire, self.release = lock.acquire, lock.release
        self.before, self.run, self.after = self.parameters.before, engine.step, self.parameters.after

    @property
    def outputs(self) -> list[np.ndarray]:
        """The arrays of the outputs, in the order in which they were asked for."""
        return [self.engine.view(x).astype(x.dtype, copy=False) for x in self.program.outputs]

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients by the names of the parameters."""
        return {p.name or f"parameter{i}": self.engine.view(g) for i, (p, _, g) in enumerate(self.program.parameters)}

    def __call__(self, /, *arrays: Any, **named: Any) -> float:
        if named or len(arrays) != len(self.arguments):
            arrays = self.in_order(arrays, named)
        self.acquire()
        try:
            self.before()
            loss = self.run(arrays)
            self.after()
        finally:
            self.release()
        return loss

    def in_order(self, arrays: tuple, named: dict[str, Any]) -> tuple:
        """The arguments by position; TypeError where they are not those of the step."""
        names = [*self.arguments[: len(arrays)], *("one more" for _ in arrays[len(self.arguments) :]), *named]
        if sorted(names) != sorted(self.arguments):
            takes, got = (", ".join(x) or "nothing" for x in (self.arguments, names))
            twice = " (by position, as two have one name)" if len({*self.arguments}) < len(self.arguments) else ""
            raise TypeError(f"the step takes {takes}{twice}; got {got}")
        given = dict(zip(names, (*arrays, *named.values())))
        return tuple(given[name] for name in self.arguments)

    def __repr__(self) -> str:
        return f"<compiled step({', '.join(self.arguments)}), {self.backend}>"


class Parameters:
    """Keeps Tensors and the memory of a compiled step together."""

    def __init__(self, program: Program, engine: NumPyEngine | NumbaEngine):
        self.gradients = [(p, engine.view(g)) for p, _, g in program.parameters]
        self.pairs = [(p, engine.view(x)) for p, x in program.held]
        self.states = [(i, k, engine.view(x)) for i, k, x in program.states]
        moved = {id(p) for p in program.optimizer.parameters} if program.optimizer else set()
        self.moved = [p for p, _ in self.gradients if id(p) in moved]
        self.fixed = [(t, t.age) for t in program.fixed]
        self.optimizer = program.optimizer
        names, self.others = settings(program.optimizer)
        self.names = ("__class__", *names)  # one name alone would give no tuple
        self.read = operator.attrgetter(*self.names, "__class__")  # one call for all of them
        self.settings = self.read(self.optimizer)
        self.trained = getattr(self.optimizer, "parameters", None)
        self.has_more = bool(self.states or self.fixed or self.others)

    def before(self) -> None:
        """Take over data that was assigned meanwhile; RuntimeError where something else has changed."""
        for p, data in self.pairs:
            if p._array is not data or not p._requires_grad:
                self.take_over(p, data)
        optimizer = self.optimizer
        if optimizer is not None:
            if self.read(optimizer) != self.settings:
                now = zip(self.names, self.read(optimizer), self.settings)
                raise self.changed(next(name for name, new, old in now if new != old))
            if optimizer.parameters is not self.trained:
                raise self.changed("list of parameters")
        if self.has_more:
            self.look_further()

    def look_further(self) -> None:
        """The same for what the optimizer remembers, for constants, and for settings that are no plain numbers."""
        for i, k, data in self.states:
            state = self.optimizer.states[i]  # type: ignore[union-attr]
            if state[k] is not data:
                np.copyto(data, state[k])
                state[k] = data
        for t, age in self.fixed:
            if t._age != age:
                raise RuntimeError(f"{describe(t)} has changed since it was compiled in as a constant: compile again")
        for name, value in self.others:
            if exact(getattr(self.optimizer, name)) != value:
                raise self.changed(name)

    def take_over(self, p: Tensor, data: np.ndarray) -> None:
        """New numbers of a parameter into the memory; RuntimeError where it has none to be trained any more."""
        if not p.requires_grad:
            raise RuntimeError(f"{describe(p)} no longer requires a gradient, as when it was compiled: compile again")
        np.copyto(data, p._array)
        p._array = data

    @staticmethod
    def changed(what: str) -> RuntimeError:
        """What to raise where the optimizer is no longer the one that was compiled in."""
        return RuntimeError(f"the optimizer's {what} has changed since the step was compiled: compile again")

    def after(self) -> None:
        """Gradients to where backward() leaves them; and parameters have changed."""
        for p, g in self.gradients:
            p._grad = g
        for p in self.moved:
            p._age = next_age()


def settings(optimizer: Optimizer | None) -> tuple[list[str], list[tuple[str, Any]]]:
    """What an optimizer was made with: the names of numbers and words, and keys of all else (arrays, lists).

    The learning rate may change, and what is kept for each parameter is the step's own matter.
    """
    kept = ("steps", "_learning_rate", "rates", "states", "parameters")
    every = [(k, v) for k, v in vars(optimizer).items() if k not in kept] if optimizer is not None else []
    plain = [k for k, v in every if isinstance(v, int | float | str)]
    return plain, [(k, exact(v)) for k, v in every if not isinstance(v, int | float | str)]


class Epoch:
    """A compiled epoch; call it with the whole arrays and the order of their rows."""

    def __init__(
        self, loss: Tensor, batch: list[Tensor], optimizer: Optimizer, outputs: list[Tensor], names: Names, backend: str
    ):
        self.loss, self.batch, self.outputs = loss, batch, outputs
        self.optimizer, self.names = optimizer, names
        self.program = Program(loss, names, optimizer, outputs, feeds=batch)
        check_rows([loss, *outputs], batch)
        self.engine = engine_for(self.program, backend, "epoch")
        self.backend, self.source, self.compile_seconds = (
            self.engine.backend,
            self.engine.source,
            self.engine.compile_seconds,
        )
        self.parameters = Parameters(self.program, self.engine)
        behind = {id(t) for t in ancestors([loss, *outputs])}
        self.used = [i for i, t in enumerate(batch) if id(t) in behind]  # those on which the loss depends
        for t in batch:
            if id(t) not in behind and t.name is None:
                raise ValueError(
                    f"{describe(t)} of the batch has no part in the loss, or none that was recorded: "
                    f"make it with Tensor(..., name=...)"
                )
        self.lock = threading.Lock()
        self.short: dict[int, Step] = {}
        self.last_outputs: list[np.ndarray] = []

    def __call__(self, *arrays: Any, order: Any = None) -> Any:
        if len(arrays) != len(self.batch):
            raise TypeError(
                f"the epoch takes {len(self.batch)} arrays, one for each Tensor of the batch; got {len(arrays)}"
            )
        arrays = tuple(map(array_of, arrays))
        for t, x in zip(self.batch, arrays):
            if x.shape[1:] != t.shape[1:] or x.ndim != t.ndim or len(x) != len(arrays[0]):
                shape = ", ".join(["rows", *map(str, t.shape[1:])])
                raise ValueError(
                    f"{describe(t)} was compiled: give an array ({shape}), as many rows as the others, not {x.shape}"
                )
        order = self.row_numbers(order, len(arrays[0]))
        rows = self.batch[0].shape[0]
        count, rest = divmod(len(order), rows)
        used = tuple(fitting(x, a, rows=True) for x, a in zip(self.program.feeds, (arrays[i] for i in self.used)))
        for x, a in zip(self.program.feeds, used):
            for classes in self.program.classes(x):
                ops.check_ids(a[order], classes)
        with self.lock:
            return self.train(used, order, count, rest)

    def train(self, used: tuple, order: np.ndarray, count: int, rest: int) -> Any:
        """`count` whole batches of these arrays, and one of the `rest`."""
        rows = self.batch[0].shape[0]
        self.parameters.before()
        short = self.short_step(rest) if rest else None  # now, as nothing is to be trained where it cannot be had
        try:
            losses, outputs = self.engine.epoch(used, order[: count * rows], count)
        finally:
            if count:
                self.parameters.after()
        self.last_outputs = []
        if short is not None:
            losses = np.append(losses, short(*(x[order[count * rows :]] for x in used)))
            self.last_outputs = [np.array(x) for x in short.outputs]
        return (losses, outputs) if self.outputs else losses

    @staticmethod
    def row_numbers(order: Any, rows: int) -> np.ndarray:
        """`order` as an array for the loops; ValueError where it is none of row numbers."""
        numbers = np.arange(rows) if order is None else np.asarray(data_of(order))
        if numbers.ndim != 1 or (
            numbers.size and (numbers.dtype.kind not in "iu" or not 0 <= numbers.min() <= numbers.max() < rows)
        ):
            found = f" with {numbers.min()} to {numbers.max()}" if numbers.dtype.kind in "iu" and numbers.size else ""
            raise ValueError(f"order is a list of row numbers from 0 to {rows - 1}, not {describe(numbers)}{found}")
        return np.array(numbers, dtype=np.int64)

    def short_step(self, rows: int) -> Step:
        """The step for a last batch of so many rows; ValueError where the expression does not work for these."""
        if rows not in self.short:
            try:
                self.short[rows] = self.step_of(rows)
            except MISFIT as error:
                raise ValueError(
                    f"the last batch has {rows} rows, for which the loss does not work ({error}): give an order with a "
                    f"multiple of {self.batch[0].shape[0]} rows"
                ) from error
        return self.short[rows]

    def step_of(self, rows: int) -> Step:
        """The step for a batch of so many rows, from the same expression."""
        fewer = {id(t): Tensor(t.data[:rows], name=t.name) for t in self.batch}
        with recording("all"), np.errstate(all="ignore"):  # also inside no_grad()
            loss, *outputs = rebuilt([self.loss, *self.outputs], fewer)
        feeds = [fewer[id(self.batch[i])] for i in self.used]
        program = Program(loss, self.names, self.optimizer, outputs, feeds=feeds)
        return Step(program, NumPyEngine(program))

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
        y = made[id(t)] = rerecorded(t, inputs)
        y.name = t.name
        stretched = t.op.elementwise and any(
            n == full != 1 and less != y.shape[-k]
            for old, new in zip(t.inputs, inputs)
            for k, (n, full, less) in enumerate(zip(np.shape(old)[::-1], t.shape[::-1], np.shape(new)[::-1]), 1)
        )
        if stretched or len(t.shape) != len(y.shape):
            raise ValueError(f"{describe_call(t.op, inputs, t.params)} does not work for a shorter batch")
    return [made[id(t)] for t in roots]


def rerecorded(t: Tensor, inputs: tuple) -> Tensor:
    """The op of a Tensor on other inputs; one that draws random numbers does not draw now, as its steps are to come."""
    if not is_random(t):
        return record_op(t.op, inputs, t.params)
    rows = next((len(x) for x in inputs if np.ndim(x)), None)
    data = t.data[:rows] if t.shape else t.data
    stand_in = copy.copy(t.op)
    stand_in.forward = lambda *_, **__: (data, None) if t.op.keeps else data
    y = record_op(stand_in, inputs, t.params)
    stand_in.forward = t.op.forward
    return y


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
    except (NoLoops, ImportError):  # numba may be there, but not for this version of NumPy
        if backend == "numba":
            raise
        return NumPyEngine(program)


class Engine:
    """What both have in common."""

    compile_seconds = 0.0
    last_rate: float | None = None

    def __init__(self, program: Program):
        self.program, self.optimizer = program, program.optimizer
        self.changing = type(self.optimizer) is not SGD  # whether numbers() may give others for each step

    def renew_numbers(self) -> None:
        """The optimizer's numbers for the next step into the memory, if they have changed."""
        optimizer = self.optimizer
        if optimizer is not None and (self.changing or self.last_rate != optimizer._learning_rate):
            self.last_rate = optimizer._learning_rate
            for node, x in zip(self.program.numbers, next_numbers(optimizer, self.program.loss.dtype)):
                self.view(node)[...] = x

    def view(self, node: Node) -> np.ndarray:
        """The array in which a Node's numbers are."""
        raise NotImplementedError

    @functools.cached_property
    def feeds(self) -> list[tuple[Node, np.ndarray]]:
        """The leaves whose arrays come with each call, and where they go."""
        return [(node, self.view(node)) for node in self.program.feeds]

    def take(self, arrays: Sequence[Any]) -> None:
        """Arrays of one step into the memory."""
        for (node, memory), x in zip(self.feeds, arrays):
            if x.__class__ is not np.ndarray or x.shape != memory.shape or x.dtype is not memory.dtype:
                x = fitting(node, x)
            memory[...] = x  # class ids are floats there, if need be

    def run(self) -> None:
        """Everything, from what is in the memory."""
        raise NotImplementedError

    def step(self, arrays: Sequence[Any]) -> float:
        """One step on these arrays."""
        self.take(arrays)
        self.renew_numbers()
        self.run()
        if self.optimizer is not None:  # when all has gone well
            self.optimizer.steps += 1
        return self.loss.item()

    @functools.cached_property
    def loss(self) -> np.ndarray:
        """Where the loss is."""
        return self.view(self.program.loss)

    def epoch(self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """`count` steps on rows gathered by `order`."""
        losses = np.empty(count, self.program.loss.dtype)
        outputs = [np.empty((count, *x.shape), x.dtype) for x in self.program.outputs]
        for s, rows in enumerate(order.reshape(count, -1) if count else ()):
            losses[s] = self.step([x[rows] for x in arrays])
            for kept, x in zip(outputs, self.program.outputs):
                kept[s] = self.view(x)
        return losses, outputs


class NumPyEngine(Engine):
    """Calls of NumPy functions that write into arrays allocated once."""

    backend = "numpy"

    def __init__(self, program: Program):
        super().__init__(program)
        self.replay = Replay(program)
        self.source, self.run = self.replay.source, self.replay.run

    def view(self, node: Node) -> np.ndarray:
        return self.replay.buffers[node]


class NumbaEngine(Engine):
    """Loops in machine code; large products are left to BLAS, between them."""

    backend = "numba"

    def __init__(self, program: Program, loops: Loops, what: str):
        super().__init__(program)
        self.loops = loops
        self.source = loops.source(what)
        self.memory = np.zeros(self.loops.size, self.loops.dtype)
        self.views: dict[Node, np.ndarray] = {}
        for node in self.loops.places:
            self.view(node)[...] = node.data
        for p, x in program.held:
            self.view(x)[...] = p.data
        start = time.perf_counter()
        self.module = self.compiled()
        self.function = getattr(self.module, "step", None)  # looked up once
        self.compile_seconds = time.perf_counter() - start
        self.parts = self.pieces() if len(self.loops.segments) > 1 else []
        self.place_of_loss = self.loops.places[program.loss]
        self.ids = [(self.view(x), classes) for x in program.feeds for classes in program.classes(x)]
        self.scalars = not all(x.ndim for x in program.feeds)

    def compiled(self) -> ModuleType:
        """The module with the loops; NoLoops where numba cannot compile it."""
        try:
            return compiled_module(self.source)
        except Exception as error:
            numba = sys.modules.get("numba")
            if numba is None or not isinstance(error, numba.core.errors.NumbaError):
                raise
            raise NoLoops(f"numba {numba.__version__} cannot compile this step: {error}") from error

    def view(self, node: Node) -> np.ndarray:
        if node in self.views:
            return self.views[node]
        if node in self.loops.places:
            first = self.loops.places[node]
            found = self.memory[first : first + node.data.size].reshape(node.shape)
        else:
            found = node.compute(*(self.view(x) if isinstance(x, Node) else x for x in node.inputs))
        if np.may_share_memory(found, self.memory):  # else it is a copy, made anew each time
            self.views[node] = found
        return found

    def pieces(self) -> list[Callable[[], Any]]:
        """What a step with large products consists of."""
        parts: list[Callable[[], Any]] = []
        for i, segment in enumerate(self.loops.segments):
            if isinstance(segment, list):
                parts += [functools.partial(getattr(self.module, f"segment{i}"), self.memory)] if segment else []
            elif segment.op is ops.matmul and segment.dtype.kind == "f" and all(map(self.is_kept, segment.inputs)):
                parts.append(functools.partial(np.matmul, *map(self.view, segment.inputs), self.view(segment)))
            else:
                parts.append(functools.partial(self.call, segment, self.view(segment)))
        return parts

    def is_kept(self, x: Any) -> bool:
        """Whether an input is, once and for all, an array in the memory."""
        return isinstance(x, Node) and x.dtype.kind == "f" and self.view(x) is self.views.get(x)

    def call(self, node: Node, out: np.ndarray) -> None:
        """An op without a loop form; class ids and masks, which are floats in the memory, get their own dtype back."""
        arrays = [self.view(x).astype(x.dtype, copy=False) if isinstance(x, Node) else x for x in node.inputs]
        if node.op is ops.one_hot:
            ops.check_ids(arrays[0], node.params["classes"])
        y = fill(out, node.compute, *arrays)
        self.check_integers(node, y)

    def run(self) -> None:
        for ids, classes in self.ids:
            ops.check_ids(ids, classes)
        for part in self.parts:
            part()

    def step(self, arrays: Sequence[Any]) -> float:
        if self.parts:
            return super().step(arrays)
        fit = not self.scalars  # the compiled function takes numbers as arrays of one element, and would not see a mask
        for x in arrays:
            if x.__class__ is not ndarray:
                fit = False
        optimizer = self.optimizer
        if optimizer is not None and (self.changing or self.last_rate != optimizer._learning_rate):
            self.renew_numbers()
        try:
            if not fit:
                arrays = self.fitted(arrays)
            status = self.function(*arrays, self.memory)
        except TypeError:  # another dtype or layout than was compiled for
            arrays = self.fitted(arrays)
            status = self.function(*arrays, self.memory)
        if status:
            self.refuse(arrays)
        if optimizer is not None:
            optimizer.steps += 1
        return self.memory.item(self.place_of_loss)

    def fitted(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """The arrays as they were compiled for, as far as that is possible."""
        return [fitting(node, x) for node, x in zip(self.program.feeds, arrays)]

    def refuse(self, arrays: Sequence[np.ndarray]) -> None:
        """ValueError for what the compiled function did not take."""
        for node, x in zip(self.program.feeds, arrays):
            check_feed(node, x if node.ndim else x.reshape(()))
            for classes in self.program.classes(node):
                ops.check_ids(x, classes)
            self.check_integers(node, x)
        raise ValueError("the arrays are not those for which the step was compiled")

    def check_integers(self, node: Node, x: np.ndarray) -> None:
        """ValueError for integers that are no longer themselves as floats, which is what they are in the memory."""
        if not fits_exactly(x, self.loops.dtype):
            raise ValueError(
                f"{describe(node)} has integers beyond {largest_integer(self.loops.dtype)}, which "
                f'are not exact in the step\'s {self.loops.dtype}: compile with backend="numpy"'
            )

    def take(self, arrays: Sequence[Any]) -> None:
        for node, x in zip(self.program.feeds, arrays):
            if not holds_all(self.loops.dtype, node.dtype):
                self.check_integers(node, fitting(node, x))
        super().take(arrays)

    def epoch(self, arrays: Sequence[np.ndarray], order: np.ndarray, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        for node, x in zip(self.program.feeds, arrays):
            if not (holds_all(self.loops.dtype, x.dtype) or self.program.classes(node)):  # ids have been checked
                self.check_integers(node, x[order])
        if not hasattr(self.module, "epoch"):
            return super().epoch(arrays, order, count)
        dtype = self.loops.dtype
        losses = np.empty(count, dtype)
        outputs = [np.empty(count * x.data.size, dtype) for x in self.program.outputs]
        optimizer, start = self.program.optimizer, self.program.optimizer.steps
        numbers = np.empty((count, len(self.program.numbers)), dtype)
        for s in range(count if self.changing else min(count, 1)):
            optimizer.steps = start + s + 1
            numbers[s] = optimizer.numbers(dtype)
        if not self.changing:
            numbers[1:] = numbers[:1]
        optimizer.steps = start + count
        self.module.epoch(*arrays, order, numbers, losses, *outputs, self.memory)
        shaped = (kept.reshape(count, *x.shape) for kept, x in zip(outputs, self.program.outputs))
        return losses, [kept.astype(x.dtype, copy=False) for kept, x in zip(shaped, self.program.outputs)]


def check_feed(node: Node, x: np.ndarray, rows: bool = False) -> None:
    """ValueError or TypeError where an array is not what the step was compiled for; `rows`: with any number of them."""
    if x.shape[rows:] != node.shape[rows:]:
        raise ValueError(
            f"{node.name or 'an input'} is {x.shape}, the step was compiled for {node.shape}: compile again"
        )
    if not np.can_cast(x.dtype, node.dtype, "same_kind"):
        raise TypeError(f"{node.name or 'an input'} is {x.dtype}, the step was compiled for {node.dtype}")


def array_of(x: Any) -> np.ndarray:
    """What was given for data as an array; TypeError as from Tensor where it is none of real numbers."""
    x = data_of(x)
    is_array = isinstance(x, np.ndarray) and not isinstance(x, np.ma.MaskedArray)
    return np.asarray(x) if is_array else checked_array(x)


def fitting(node: Node, x: Any, rows: bool = False) -> np.ndarray:
    """An array in the dtype and layout for which the step was compiled; one element where that is a single number."""
    x = array_of(x)
    check_feed(node, x, rows)
    y = np.require(x, node.dtype.newbyteorder("="), "CAW")
    if x.dtype.kind in "iu" and not np.can_cast(x.dtype, y.dtype) and not np.array_equal(x, y):
        raise ValueError(
            f"{node.name or 'an input'} has numbers too large for {y.dtype}, for which the step was compiled"
        )
    return y.reshape(y.shape or (1,))
