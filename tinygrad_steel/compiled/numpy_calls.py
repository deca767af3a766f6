"""The NumPy back end: a program as a list of calls that write into arrays allocated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..program.trace import Node
from .lower import VIEWS, Program, behind_views

REDUCTIONS = {ops.sum: "add", ops.mean: "add", ops.max: "maximum", ops.min: "minimum", ops.prod: "multiply"}


class Replay:
    """A program made ready: `run()` computes everything from the arrays in `buffers`, which stay the same arrays.

    `source`: what `run` executes, as Python.
    """

    def __init__(self, program: Program):
        self.program = program
        self.buffers: dict[Node, np.ndarray] = {}
        self.names: dict[Node, str] = {}
        self.scope: dict[str, Any] = {}
        self.lines: list[str] = []
        for node in [*program.feeds, *program.numbers, *program.constants]:
            self.hold(node, np.array(node.data))
        for tensor, node in program.held:
            self.hold(node, tensor.data)
        for i, k, node in program.states:
            self.hold(node, np.array(program.optimizer.states[i][k]))
        readers: dict[Node, int] = {}
        for i, node in enumerate(program.nodes):
            readers |= dict.fromkeys(map(behind_views, node.nodes()), i)
        place_of = {value: leaf for leaf, value in program.updates}
        for i, node in enumerate(program.nodes):
            leaf = place_of.get(node)
            in_place = leaf is not None and ufunc_of(node) is not None and readers.get(leaf, i) <= i
            self.add(node, self.buffers[leaf] if in_place else None)
        self.update()
        self.source = "\n    ".join(["def run():", *(self.lines or ["pass"])]) + "\n"
        exec(self.source, self.scope)
        self.run: Callable[[], None] = self.scope["run"]

    def hold(self, node: Node, array: Any) -> str:
        """Keep the array of a Node under a name."""
        self.buffers[node] = array
        self.names[node] = name = f"v{len(self.names)}"
        self.scope[name] = array
        return name

    def function(self, function: Callable, name: str) -> str:
        """A function under a name; the same name for the same function."""
        name = name if name.isidentifier() else "function"
        while self.scope.setdefault(name, function) != function:
            name += "_"
        return name

    def text(self, x: Any) -> str:
        """An input of a call."""
        if isinstance(x, Node):
            return self.names[x]
        name = f"c{len(self.scope)}"
        self.scope[name] = x
        return name

    def number(self, x: Any, node: Node) -> Any:
        """A plain number among the inputs of a Node, as the array that NumPy would make of it at every call."""
        dtypes = {i.dtype for i in node.nodes()}
        plain = isinstance(x, int | float) and not isinstance(x, bool) and len(dtypes) == 1
        return np.array(x, dtypes.pop()) if plain and next(iter(dtypes)).kind == "f" else x

    def add(self, node: Node, place: Any = None) -> None:
        """The call for one Node, which may write right into the place of what it renews."""
        op, data = node.op, node.data
        arrays = [self.buffers[x] if isinstance(x, Node) else x for x in node.inputs]
        if op in VIEWS or (op is ops.getitem and len(arrays) == 1):  # a view is made once
            view = node.compute(*arrays)
            if np.shares_memory(view, arrays[0]):
                self.hold(node, view)
                return
        ufunc = ufunc_of(node)
        inputs = [self.text(x if ufunc is None else self.number(x, node)) for x in node.inputs]
        out = self.hold(node, np.empty(data.shape, data.dtype) if place is None else place)
        if ufunc is not None:
            by_name = "out=" if ufunc in (np.maximum, np.minimum) else ""  # NumPy wants it so for these two
            self.lines.append(f"{self.function(ufunc, ufunc.__name__)}({', '.join(inputs)}, {by_name}{out})")
        elif op in REDUCTIONS and not (op is ops.mean and data.dtype == np.float16):  # it adds up in float32
            name = REDUCTIONS[op]
            axis = node.params.get("axis")
            axis = axis[0] if axis is not None and len(axis) == 1 else axis
            reduce = self.function(getattr(np, name).reduce, f"{name}_reduce")
            self.lines.append(f"{reduce}({inputs[0]}, {axis!r}, None, {out})")
            if op is ops.mean:
                count = arrays[0].size // max(1, data.size)
                divisor = self.text(np.array(count, data.dtype))
                self.lines.append(f"{self.function(np.divide, 'divide')}({out}, {divisor}, {out})")
        elif op is ops.where:
            self.lines.append(f"{self.function(np.copyto, 'copyto')}({out}, {inputs[2]})")
            mask = inputs[0] if np.asarray(arrays[0]).dtype == bool else f"{inputs[0]} != 0"
            self.lines.append(f"copyto({out}, {inputs[1]}, where={mask})")
        elif op in (ops.astype, ops.asconstant):
            self.lines.append(f"{self.function(np.copyto, 'copyto')}({out}, {inputs[0]}, 'unsafe')")
        else:
            if op is ops.one_hot:
                self.lines.append(f"{self.function(ops.check_ids, 'check_ids')}({inputs[0]}, {node.params['classes']})")
            compute = self.function(node.compute, f"op_{op.name}")
            self.lines.append(f"{self.function(fill, 'fill')}({', '.join([out, compute, *inputs])})")

    def update(self) -> None:
        """New values into the places of the old ones, when all of them are known."""
        for leaf, value in self.program.updates:
            if self.buffers[leaf] is not self.buffers[value]:
                self.lines.append(f"{self.function(np.copyto, 'copyto')}({self.names[leaf]}, {self.names[value]})")


def ufunc_of(node: Node) -> np.ufunc | None:
    """NumPy's function that writes the result of a Node into an array; None where there is none."""
    known = {ops.power: np.power, ops.matmul: np.matmul}
    return known.get(node.op, node.op.forward if isinstance(node.op.forward, np.ufunc) else None)


def fill(out: np.ndarray, compute: Callable, *inputs: Any) -> np.ndarray:
    """The result of a Node into its array; ValueError where the numbers, not only the shapes, decide on its shape."""
    y = compute(*inputs)
    if y.shape != out.shape:
        node = compute.__self__
        raise ValueError(
            f"{node.op.name} gives {y.shape}, the step was compiled for {out.shape}: a shape that depends on the data "
            f"cannot be compiled; write where(mask, x, 0) in place of x[mask]"
        )
    out[...] = y
    return y
