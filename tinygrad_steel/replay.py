"""The NumPy back end: a program as a list of calls that write into arrays allocated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import ops
from .lower import Program
from .trace import Node

# Ops whose result is a view of their input: made once, when the program is built.
VIEWS = {ops.reshape, ops.transpose, ops.swapaxes, ops.expand_dims, ops.squeeze, ops.broadcast_to, ops.flip}
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
        for tensor, node, _ in program.parameters:
            self.hold(node, tensor.data)
        for place, i, node in program.states:
            self.hold(node, place[i])
        readers: dict[Node, int] = {}
        for i, node in enumerate(program.nodes):
            readers |= dict.fromkeys(node.nodes(), i)
        place_of = {value: leaf for leaf, value in program.updates}
        for i, node in enumerate(program.nodes):
            leaf = place_of.get(node)
            in_place = leaf is not None and node.op.elementwise and readers.get(leaf, i) <= i
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

    def add(self, node: Node, place: Any = None) -> None:
        """The call for one Node, which may write right into the place of what it renews."""
        op, data = node.op, node.data
        arrays = [self.buffers[x] if isinstance(x, Node) else x for x in node.inputs]
        if op in VIEWS or (op is ops.getitem and len(arrays) == 1):
            view = node.compute(*arrays)
            if np.shares_memory(view, arrays[0]):
                self.hold(node, view)
                return
        inputs = [self.text(x) for x in node.inputs]
        out = self.hold(node, np.empty(data.shape, data.dtype) if place is None else place)
        ufunc = getattr(np, op.name, None) if op.elementwise else None
        if isinstance(ufunc, np.ufunc) or op is ops.matmul:
            ufunc = np.matmul if op is ops.matmul else ufunc
            if op is ops.power and not isinstance(node.inputs[1], Node) and node.inputs[1] == 2:
                ufunc, inputs = np.square, inputs[:1]  # as `**` does
            self.lines.append(f"{self.function(ufunc, ufunc.__name__)}({', '.join(inputs)}, {out})")
        elif op in REDUCTIONS:
            name = REDUCTIONS[op]
            axis = node.params.get("axis")
            axis = axis[0] if axis is not None and len(axis) == 1 else axis
            reduce = self.function(getattr(np, name).reduce, f"{name}_reduce")
            self.lines.append(f"{reduce}({inputs[0]}, {axis!r}, None, {out})")
            if op is ops.mean:
                count = arrays[0].size // max(1, data.size)
                self.lines.append(f"{self.function(np.divide, 'divide')}({out}, {count}, {out})")
        elif op is ops.where:
            self.lines.append(f"{self.function(np.copyto, 'copyto')}({out}, {inputs[2]})")
            mask = inputs[0] if arrays[0].dtype == bool else f"{inputs[0]} != 0"
            self.lines.append(f"copyto({out}, {inputs[1]}, where={mask})")
        elif op in (ops.astype, ops.asconstant):
            self.lines.append(f"{self.function(np.copyto, 'copyto')}({out}, {inputs[0]}, 'unsafe')")
        else:
            if op is ops.one_hot:
                self.lines.append(f"{self.function(ops.check_ids, 'check_ids')}({inputs[0]}, {node.params['classes']})")
            self.lines.append(f"{out}[...] = {self.function(node.compute, op.name)}({', '.join(inputs)})")

    def update(self) -> None:
        """New values into the places of the old ones, when all of them are known."""
        for leaf, value in self.program.updates:
            if self.buffers[leaf] is not self.buffers[value]:
                self.lines.append(f"{self.function(np.copyto, 'copyto')}({self.names[leaf]}, {self.names[value]})")
