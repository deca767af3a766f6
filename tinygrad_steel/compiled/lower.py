"""A traced training step as a program for machines: NumPy's own functions only, each value once, nothing unused."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..engine.backward import pull
from ..engine.optim import SGD, Optimizer, working
from ..engine.reads import refuse_reads
from ..engine.recording import recording
from ..engine.tensor import Tensor, seed
from ..ops.op import Op, describe
from ..program.draws import alike
from ..program.trace import (
    Builder,
    Names,
    Node,
    Watch,
    alias,
    ancestors,
    exact,
    is_random,
    key,
    no_draws,
    no_draws_in_vjps,
    says_no_to_tensors,
)
from ..written.source import behind, numpy_name
from .lowered import REDUCTIONS, is_view

# Ops that stay as they are though NumPy does not have them under that name.
PRIMITIVE = {ops.astype, ops.asconstant, ops.getitem, ops.scatter, ops.one_hot}


def var(x: Any, axis: Any = None, keepdims: bool = False, ddof: float = 0) -> Any:
    """np.var in simpler terms."""
    squares = np.square(x - np.mean(x, axis=axis, keepdims=True))
    count = x.size if axis is None else math.prod(x.shape[i] for i in np.ravel(axis).tolist())
    return np.sum(squares, axis=axis, keepdims=keepdims) / max(count - ddof, 0)


# What NumPy has as one function, but a program is better off with the parts of.
PARTS: dict[Op, Callable] = {
    ops.norm: ops.norm.forward,
    ops.var: var,
    ops.std: lambda x, **params: np.sqrt(var(x, **params)),
}
POWERS = {2: ops.square, 0.5: ops.sqrt, -1: ops.reciprocal}  # what `**` does instead, for these exponents


class Program:
    """One training step.

    `feeds`: leaves whose arrays come with each call. `parameters`: `(Tensor, leaf, gradient)`. `followed`: `(Tensor,
    leaf)` for those that require a gradient but get none, such as a threshold in a comparison: their data may change
    like that of any parameter. `states`: `(i, k, leaf)` for `optimizer.states[i][k]`. `numbers`: 0-d leaves for the
    optimizer's numbers, which differ from step to step. `updates`: `(leaf, Node of its new value)`, to be done when
    everything else is. `nodes`: what is computed, in order. `arrays`: the traced numbers of what is not. `fixed`: the
    Tensors whose data is part of the program.
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
        if not (optimizer is None or isinstance(optimizer, Optimizer)):
            raise TypeError(f"optimizer= takes an optimizer, as in SGD([weight], 0.1), not {optimizer!r:.80}")
        check_optimizer(optimizer)
        if isinstance(outputs, Tensor):
            raise TypeError("outputs is a list of Tensors: write outputs=[output]")
        for t in ancestors([loss, *outputs]):
            if not isinstance(t.data, np.ndarray | np.generic):
                raise TypeError(f"{describe(t)} is a {type(t.data).__name__}: compiled steps are for NumPy's arrays")
        with np.errstate(all="ignore"):  # the loss has warned already, if need be
            self.trace(loss, names, outputs, feeds)

    def trace(self, loss: Tensor, names: Names, outputs: Sequence[Tensor], feeds: Sequence[Tensor] | None) -> None:
        """Forward, backward and update as Nodes."""
        start, watch = Tensor(seed(loss, None)), Watch()
        with recording("all", watch), no_draws_in_vjps(loss, "the compiled step"):
            pulled = pull(loss, start, graph=True)
            moved, states, numbers = self.moves(pulled)
        results = [loss, *outputs, *(new for _, new in moved)]
        builder = Builder(names)
        traced = builder.build(loss, start, pulled, watch, [*results, *(leaf for leaf, _ in moved), *numbers])
        made = builder.made
        leaves = self.named_leaves(builder, traced.leaves, outputs)
        fed = [made[id(t)] for t in feeds if id(t) in made] if feeds is not None else None
        changing = {made[id(t)] for t in (*numbers, *(leaf for *_, leaf in states))}
        lowering = Lowering({made[id(start)]}, {*changing, *(fed or ())})
        gradients = dict(traced.backward)
        check_tracing(loss, {id(t): g.data for t, g in pulled})
        wanted = [x for x in leaves if x.wanted]
        roots = [made[id(t)] for t in results] + [gradients[x] for x in wanted if x in gradients]
        recorded = [made[id(t)] for t in ancestors([loss, *outputs])]  # random numbers are drawn in this order
        lowering.run(behind([*recorded, *roots]))
        new = lowering.made
        # Of leaves alone: a result that leaves its input as it is (np.ravel of a vector) has the input's Node.
        leaf_of = {made[id(t)]: t for t in ancestors([loss, *outputs]) if t.op is None}
        taken: set[Node] = set()

        def result(node: Node) -> Node:
            """A Node as an array of its own, which whoever gets it may keep and write into."""
            node = new[node]
            if node.op is None or is_view(node) or node in taken:
                node = Node(ops.add, (node, False), {}, node.data)
            taken.add(node)
            return node

        self.loss = result(made[id(loss)])
        self.outputs = [result(made[id(t)]) for t in outputs]
        self.numbers = [made[id(t)] for t in numbers]
        self.parameters = [(leaf_of[x], x, result(gradients[x])) for x in wanted if x in gradients]
        self.followed = [(leaf_of[x], x) for x in wanted if x not in gradients]
        self.updates = [(made[id(leaf)], result(made[id(value)])) for leaf, value in moved]
        self.states = [(i, k, made[id(leaf)]) for i, k, leaf in states]
        self.feeds = [x for x in leaves if x.name and not x.wanted] if fed is None else fed
        self.fixed = [t for x, t in leaf_of.items() if not (x.wanted or x in self.feeds)]
        self.check_names([leaf_of[x] for x in self.feeds])
        given_anew = [*(feeds or ()), *(leaf_of[x] for x in (*self.feeds, *wanted))]
        refuse_reads([loss, *outputs], given_anew, "the compiled step would keep that number")
        for t in outputs:
            if any(t is constant for constant in self.fixed):
                raise ValueError(f"the output {describe(t)} is a constant: nothing recorded of how it was computed")
        gradients_of_parameters = [g for _, _, g in self.parameters]
        new_values = [value for _, value in self.updates]
        order = behind([*lowering.random, self.loss, *self.outputs, *gradients_of_parameters, *new_values])
        self.nodes = [x for x in order if x.op is not None]
        kept = [*(x for _, x in self.held), *(x for _, _, x in self.states)]
        known = {*self.feeds, *self.numbers, *kept}
        self.constants = [x for x in order if x.op is None and x not in known]
        self.arrays = {x: x.data for x in [*known, *self.constants]}

    @property
    def held(self) -> list[tuple[Tensor, Node]]:
        """The Tensors whose data a step keeps in its memory, with a gradient or without, and their leaves."""
        return [*((p, x) for p, x, _ in self.parameters), *self.followed]

    @staticmethod
    def named_leaves(builder: Builder, leaves: list[Node], outputs: Sequence[Tensor]) -> list[Node]:
        """The leaves of the loss, then those that only an output needs, which get their names here."""
        found = dict.fromkeys(leaves)
        for t in ancestors(outputs):
            node = builder.made[id(t)]
            if t.op is None and node not in found:
                node.name, node.wanted = builder.name(t), t.requires_grad
                found[node] = None
        return [*found]

    def classes(self, feed: Node) -> list[int]:
        """The numbers of classes of which a feed holds ids."""
        return [node.params["classes"] for node in self.nodes if node.op is ops.one_hot and node.inputs[0] is feed]

    def check_names(self, feeds: list[Tensor]) -> None:
        """ValueError where numbers in the program may come from a Tensor without a name: that would not be recorded."""
        youngest = max((t.age for t in self.fixed), default=0)
        for t in feeds:
            if t.name is None and t.age < youngest:
                raise ValueError(
                    f"there is an array in the loss that may have been computed from {describe(t)}, which has no "
                    f"name: make it with Tensor(..., name=...), so that what is computed from it is recorded"
                )

    def moves(self, pulled: list) -> tuple[list, list, list]:
        """What the optimizer makes of the gradients: new values for parameters and for what it remembers."""
        if self.optimizer is None:
            return [], [], []
        gradients = {id(t): g for t, g in pulled}
        moved, states, numbers = [], [], {}
        for i, (p, state) in enumerate(zip(self.optimizer.parameters, self.optimizer.states)):
            if id(p) not in gradients:
                raise ValueError(f"the loss does not depend on the optimizer's {p!r:.80}: leave it out there")
            if p.dtype not in numbers:
                given = next_numbers(self.optimizer, p.dtype)
                numbers[p.dtype] = [Tensor(x, name="number") for x in given]
            old = [Tensor(x) for x in state]
            g = gradients[id(p)].astype(working(p.dtype))
            with no_draws([self.optimizer.rule], "the optimizer's rule", "the compiled step"):
                change, new = follow_rule(self.optimizer, g, old, numbers[p.dtype])
            moved += [(p, p - change), *zip(old, new)]
            states += [(i, k, leaf) for k, leaf in enumerate(old)]
        if len(numbers) > 1:
            raise TypeError("parameters of different dtypes cannot be compiled into one step")
        return moved, states, [t for given in numbers.values() for t in given]


def check_optimizer(optimizer: Optimizer | None) -> None:
    """TypeError where an optimizer does something in its steps that a program does not know of."""
    if optimizer is None:
        return
    kind = type(optimizer).__name__
    if type(optimizer).step not in (Optimizer.step, SGD.step):
        raise TypeError(
            f"compiled steps know the rule of an optimizer, not its step(), which {kind} has of its own: write what it "
            f"does in rule() and numbers()"
        )
    for name in ("step", "rule", "numbers"):
        if name in vars(optimizer):
            raise TypeError(f"this {kind} has another {name}() than its class: make a class of it, with rule()")


def follow_rule(optimizer: Optimizer, g: Tensor, state: list[Tensor], numbers: list[Tensor]) -> tuple[Any, Any]:
    """What an optimizer's rule gives; TypeError where it asks for what changes, or keeps something outside its state.

    The rule runs on a copy of the optimizer that notes whether somebody asks for `steps` or the learning rate: a rule
    may do so and give the same for many of them.
    """
    read: list[str] = []

    def noted(name: str, value: Any) -> property:
        return property(lambda self: read.append(name) or value)

    kind = type(optimizer)
    watched = copy.copy(optimizer)
    moving = {"steps": optimizer.steps + 1, "learning_rate": optimizer.learning_rate, "rates": optimizer.rates}
    watched.__class__ = type(kind.__name__, (kind,), {name: noted(name, value) for name, value in moving.items()})
    before = kept_by(watched)
    found = watched.rule(g, state, *numbers)
    if read:
        raise TypeError(
            f"the rule of {kind.__name__} reads self.{read[0]}, and the compiled step would hold that of now: put what "
            f"depends on it into numbers()"
        )
    changed = [name for name, value in kept_by(watched).items() if before.get(name) != value]
    if changed:
        raise TypeError(
            f"the rule of {kind.__name__} changes self.{changed[0]}, which a compiled step does not do: what differs "
            f"from step to step belongs into the state that the rule returns, or into numbers()"
        )
    if len(found[1]) != len(state):
        raise TypeError(
            f"the rule of {kind.__name__} returns a state of {len(found[1])} arrays for one of {len(state)}: make all "
            f"of it in __init__, in self.states"
        )
    return found


def kept_by(optimizer: Optimizer) -> dict[str, Any]:
    """What an optimizer holds besides the states, which its rule gets and returns; as keys."""
    return {name: exact(value) for name, value in vars(optimizer).items() if name != "states"}


def check_tracing(loss: Tensor, traced: dict[int, np.ndarray]) -> None:
    """TypeError where an op's rule gives something else on Tensors, where it is traced, than on arrays."""
    pulled = pull(loss, seed(loss, None))
    scale = min(1.0, max((float(np.max(np.abs(g), initial=0, where=np.isfinite(g))) for _, g in pulled), default=0))
    for t, g in pulled:
        error, rounding = np.abs(traced[id(t)] - g), scale * np.sqrt(np.finfo(t.dtype).eps)
        if np.max(error, initial=0, where=np.isfinite(error)) > 1e-3 * np.max(np.abs(g), initial=0) + rounding:
            raise TypeError(
                f"the gradient of {describe(t)} is another one when the rules of its ops are traced: a rule may not "
                f"look at the types of what it gets, and what an op keeps may be missing"
            )


def next_numbers(optimizer: Optimizer, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    """The optimizer's numbers for the step that comes next, which has not been counted yet."""
    optimizer.steps += 1
    try:
        return optimizer.numbers(dtype)
    finally:
        optimizer.steps -= 1


class Lowering:
    """Rewrites Nodes one by one."""

    def __init__(self, constants: set[Node], variables: set[Node]):
        self.constants, self.variables = constants, variables
        self.made: dict[Node, Node] = {}
        self.known: dict[Any, Node] = {}
        self.random: list[Node] = []  # called as they are, each for itself: never shared, folded or taken apart
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
        node = self.known.setdefault(exact(data), Node(None, (), {}, data))
        self.literals.add(node)
        return node

    def apply(self, op: Op, inputs: tuple, params: dict[str, Any], data: Any) -> Node:
        """The Node of an op, which may be there already, or be several Nodes."""
        if op is alias or (op is ops.astype and inputs[0].dtype == data.dtype):
            return inputs[0]
        node = Node(op, inputs, params, data)
        if is_random(node):
            self.random.append(node)
            return node
        params = {k: v for k, v in params.items() if v is not None or k != "axis"}
        if "axis" in params and op in REDUCTIONS:  # one spelling of each, so that the same is computed once
            axes = params["axis"] if isinstance(params["axis"], tuple) else (params["axis"],)
            params["axis"] = tuple(sorted({int(i) % inputs[0].ndim for i in axes if inputs[0].ndim}))
        if op in REDUCTIONS and params.pop("keepdims", False):
            small = np.reshape(
                data, [n for i, n in enumerate(inputs[0].shape) if i not in params.get("axis", range(99))]
            )
            return self.apply(ops.reshape, (self.apply(op, inputs, params, small),), {"shape": data.shape}, data)
        if not data.shape and all(x in self.literals for x in inputs if isinstance(x, Node)):
            return self.literal(data)
        if op is ops.power and isinstance(inputs[0], Node) and inputs[0].dtype == data.dtype and data.dtype.kind == "f":
            exponent = inputs[1].data.item() if inputs[1] in self.literals else inputs[1]
            if inputs[0].shape == data.shape and not isinstance(exponent, Node) and exponent in POWERS:
                op, inputs = POWERS[exponent], inputs[:1]
        parts = PARTS.get(op)
        if parts is None and numpy_name(op) is None and op not in PRIMITIVE:
            parts = op.forward
        if parts is not None:
            found = self.expand(op, parts, inputs, params, data)
            if found is not None:
                return found
        node = Node(op, inputs, params, data)
        return self.known.setdefault(key(node), node)

    def expand(self, op: Op, parts: Callable, inputs: tuple, params: dict[str, Any], data: Any) -> Node | None:
        """The parts of which an op consists, found by running it on Tensors; None where it does not run on them.

        None as well where it gives something else on them than on arrays, as it looks at types or draws numbers.
        """
        stand = [Tensor(x.data) if isinstance(x, Node) else x for x in inputs]
        try:
            with recording("all"):
                y = parts(*stand, **params)
            y = y[0] if op.keeps else y
        except Exception as error:
            if says_no_to_tensors(error, op):
                return None
            raise
        if not isinstance(y, Tensor) or y.shape != data.shape or y.dtype != data.dtype:
            return None
        if op.foreign and not alike(y.data, data):
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
