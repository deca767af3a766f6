"""A traced training step as a program for machines: NumPy's own functions only, each value once, nothing unused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from . import ops
from .graph import pull, recording
from .optim import Optimizer
from .registry import Op
from .source import behind, numpy_name
from .tensor import Tensor, seed
from .trace import Builder, Names, Node, Watch, alias, ancestors, key

# Ops that stay as they are though NumPy does not have them under that name.
PRIMITIVE = {ops.astype, ops.asconstant, ops.getitem, ops.scatter, ops.one_hot}


def var(x: Any, axis: Any = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """np.var in simpler terms."""
    squares = np.square(x - np.mean(x, axis=axis, keepdims=True))
    total = np.sum(squares, axis=axis, keepdims=keepdims)
    return total / (x.size // total.size - ddof)


# What NumPy has as one function, but a program is better off with the parts of.
PARTS: dict[Op, Callable] = {
    ops.norm: ops.norm.forward,
    ops.var: var,
    ops.std: lambda x, **params: np.sqrt(var(x, **params)),
}


REDUCTIONS = {ops.sum, ops.mean, ops.max, ops.min, ops.prod, ops.any, ops.all}


class Program:
    """One training step.

    `feeds`: leaves whose arrays come with each call. `parameters`: `(Tensor, leaf, gradient)`. `states`: `(optimizer's
    list, its index, leaf)`. `numbers`: 0-d leaves for the optimizer's numbers, which differ from step to step.
    `updates`: `(leaf, Node of its new value)`, to be done when everything else is. `nodes`: what is computed, in order.
    """

    def __init__(
        self,
        loss: Tensor,
        names: Names = None,
        optimizer: Optimizer | None = None,
        outputs: Sequence[Tensor] = (),
        feeds: Sequence[Tensor] | None = None,
    ):
        self.optimizer = optimizer
        start, watch = Tensor(seed(loss, None)), Watch()
        # numbers mean nothing yet: Adam's corrections are 0 before the first step
        with recording("all", watch), np.errstate(all="ignore"):
            pulled = pull(loss, start, graph=True)
            moved, self.states, numbers = self.moves(pulled)
        results = [loss, *outputs, *(new for _, new in moved)]
        self.builder = Builder(names)
        traced = self.builder.build(loss, start, pulled, watch, [*results, *(leaf for leaf, _ in moved), *numbers])
        made = self.builder.made
        fed = [made[id(t)] for t in feeds if id(t) in made] if feeds is not None else None
        lowering = Lowering({made[id(start)]}, {*(made[id(t)] for t in numbers), *(fed or ())})
        gradients = dict(traced.backward)
        wanted = [x for x in traced.leaves if x.wanted]
        roots = [made[id(t)] for t in results] + [gradients[x] for x in wanted if x in gradients]
        lowering.run(behind(roots))
        new = lowering.made
        tensors = {made[id(t)]: t for t in ancestors([loss, *outputs])}

        self.loss = new[made[id(loss)]]
        self.outputs = [new[made[id(t)]] for t in outputs]
        self.numbers = [made[id(t)] for t in numbers]
        self.parameters = [(tensors[x], x, new[gradients[x]]) for x in wanted if x in gradients]
        self.updates = [(made[id(leaf)], new[made[id(value)]]) for leaf, value in moved]
        self.states = [(place, i, made[id(leaf)]) for place, i, leaf in self.states]
        self.feeds = [x for x in traced.leaves if x.name and not x.wanted] if fed is None else fed
        results = [self.loss, *self.outputs, *(g for _, _, g in self.parameters), *(value for _, value in self.updates)]
        order = behind(results)
        self.nodes = [x for x in order if x.op is not None]
        known = {*self.feeds, *self.numbers, *(x for _, x, _ in self.parameters), *(x for _, _, x in self.states)}
        self.constants = [x for x in order if x.op is None and x not in known]

    def moves(self, pulled: list) -> tuple[list, list, list]:
        """What the optimizer makes of the gradients: new values for parameters and for what it remembers."""
        if self.optimizer is None:
            return [], [], []
        gradients = {id(t): g for t, g in pulled}
        moved, states, numbers = [], [], {}
        for p, state in zip(self.optimizer.parameters, self.optimizer.states):
            if id(p) not in gradients:
                raise ValueError(f"the loss does not depend on the optimizer's {p!r:.80}: leave it out there")
            if p.dtype not in numbers:
                given = self.optimizer.numbers(p.dtype)
                numbers[p.dtype] = [Tensor(x, name=f"number{i}") for i, x in enumerate(given)]
            old = [Tensor(x) for x in state]
            change, new = self.optimizer.rule(gradients[id(p)], old, *numbers[p.dtype])
            moved += [(p, p - change), *zip(old, new)]
            states += [(state, i, leaf) for i, leaf in enumerate(old)]
        if len(numbers) > 1:
            raise TypeError("parameters of different dtypes cannot be compiled into one step")
        return moved, states, [t for given in numbers.values() for t in given]


class Lowering:
    """Rewrites Nodes one by one."""

    def __init__(self, constants: set[Node], variables: set[Node]):
        self.constants, self.variables = constants, variables
        self.made: dict[Node, Node] = {}
        self.known: dict[Any, Node] = {}
        self.literals: set[Node] = set()

    def run(self, order: Iterable[Node]) -> None:
        """Rewrite these Nodes, inputs first."""
        for node in order:
            if node.op is None:
                self.made[node] = self.literal(node.data) if self.is_constant(node) else node
            else:
                inputs = tuple(self.made[x] if isinstance(x, Node) else x for x in node.inputs)
                self.made[node] = self.apply(node.op, inputs, node.params, node.data)

    def is_constant(self, node: Node) -> bool:
        """Whether it is a number that never changes."""
        return node in self.constants or not (node.shape or node.name or node.wanted or node in self.variables)

    def literal(self, data: Any) -> Node:
        """A constant number, the same Node for the same number."""
        data = np.asarray(data)
        node = self.known.setdefault((data.dtype, data.shape, data.tobytes()), Node(None, (), {}, data))
        self.literals.add(node)
        return node

    def apply(self, op: Op, inputs: tuple, params: dict[str, Any], data: Any) -> Node:
        """The Node of an op, which may be there already, or be several Nodes."""
        if op is alias or (op is ops.astype and inputs[0].dtype == data.dtype):
            return inputs[0]
        params = {k: v for k, v in params.items() if v is not None or k != "axis"}
        if "axis" in params and op in REDUCTIONS:  # one spelling of each, so that the same is computed once
            axes = params["axis"] if isinstance(params["axis"], tuple) else (params["axis"],)
            params["axis"] = tuple(sorted(i % inputs[0].ndim for i in axes))
        if op in REDUCTIONS and params.pop("keepdims", False):
            small = np.reshape(
                data, [n for i, n in enumerate(inputs[0].shape) if i not in params.get("axis", range(99))]
            )
            return self.apply(ops.reshape, (self.apply(op, inputs, params, small),), {"shape": data.shape}, data)
        if not data.shape and all(x in self.literals for x in inputs if isinstance(x, Node)):
            return self.literal(data)
        parts = PARTS.get(op)
        if parts is None and numpy_name(op) is None and op not in PRIMITIVE:
            parts = op.forward
        if parts is not None:
            found = self.expand(op, parts, inputs, params)
            if found is not None:
                return found
        node = Node(op, inputs, params, data)
        return self.known.setdefault(key(node), node)

    def expand(self, op: Op, parts: Callable, inputs: tuple, params: dict[str, Any]) -> Node | None:
        """The parts of which an op consists, found by running it on Tensors; None where it does not run on them."""
        stand = [Tensor(x.data) if isinstance(x, Node) else x for x in inputs]
        try:
            with recording("all"), np.errstate(all="ignore"):
                y = parts(*stand, **params)
            y = y[0] if op.keeps else y
        except Exception:  # whatever it was: the op is then called as it is
            return None
        if not isinstance(y, Tensor):
            return None
        made = {id(t): x for t, x in zip(stand, inputs) if isinstance(t, Tensor)}
        for t in ancestors([y]):
            if id(t) in made:
                continue
            if t.op is None:
                made[id(t)] = self.literal(t.data)
                continue
            if t.op is op:  # in terms of itself
                return None
            new = tuple(made[id(x)] if isinstance(x, Tensor) else x for x in t.inputs)
            made[id(t)] = self.apply(t.op, new, t.params, t.data)
        return made[id(y)]
