"""A traced graph: the forward and the backward of a loss as nodes, for whoever prints, compares or compiles them."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..engine.backward import history, pull_tensors
from ..engine.messages import describe_call
from ..engine.recording import Watcher, recording
from ..engine.tensor import Tensor, seed
from ..ops.declare import define
from ..ops.op import OPS, Each, Op
from .draws import draws, is_maker, moved, reachable

Names = dict[str, Any] | None


@define("alias", samples=[])
def alias(x: Any) -> Any:
    """Another name for the same value: a gradient that is handed on as it is."""
    return x


alias.vjp(lambda g, y, x: g)
del OPS["alias"]  # it stands in traced graphs alone


# What only moves elements about, and so leaves an array of equal ones as it is.
MOVES = {op for op in OPS.values() if op.moves}


class Node:
    """One value of a traced graph: a leaf (`op` is None) or the result of an op, and the numbers it had when traced.

    `inputs`: Nodes and plain numbers. `name`: that of the Tensor, or of the variable that holds it. `wanted`: whether
    it is a leaf that requires a gradient. `owner`: for a gradient, the Node whose gradient it is. `gradient`: whether
    it depends on the gradient with which the backward starts.
    """

    __slots__ = ("data", "gradient", "inputs", "name", "op", "owner", "params", "wanted")

    def __init__(self, op: Op | None, inputs: tuple, params: dict[str, Any], data: Any, name: str | None = None):
        self.op, self.inputs, self.params, self.data, self.name = op, inputs, params, data, name
        self.owner: Node | None = None
        self.wanted = False
        self.gradient = any(x.gradient for x in self.nodes())

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)

    def nodes(self) -> Iterator[Node]:
        """The inputs that are Nodes, in order."""
        return (x for x in self.inputs if isinstance(x, Node))

    def compute(self, *inputs: Any) -> Any:
        """The op on these arrays in place of its inputs."""
        y = self.op.forward(*inputs, **self.params)  # type: ignore[union-attr]
        return np.asarray(y[0] if self.op.keeps else y)  # type: ignore[union-attr]

    def __repr__(self) -> str:
        return f"<{self.name or (self.op.name if self.op else 'leaf')} {self.shape} {self.dtype}>"


class Trace(NamedTuple):
    """A loss as Nodes.

    `start`: the gradient of the loss, with which the backward begins. `leaves`: in the order of their first use.
    `forward`: all Nodes behind the loss, inputs first. `backward`: those through which a gradient flows, each with its
    gradient, from the loss backwards. `edges`: `(y, x, g)` where the gradient of `y` adds `g` to that of its input `x`.
    `stretched`: gradients that have been broadcast to full shape though NumPy would do so by itself.
    """

    loss: Node
    start: Node | None
    leaves: list[Node]
    forward: list[Node]
    backward: list[tuple[Node, Node]]
    edges: list[tuple[Node, Node, Node]]
    stretched: set[Node]


def trace(loss: Tensor, names: Names = None, start: Tensor | None = None) -> Trace:
    """Trace a loss of one element, forward and backward, by the very rules that `backward()` runs.

    `names`: variable names for Tensors without a name, such as `locals()`. `start`: the gradient of the loss, which may
    then have several elements. Raises what `backward()` raises: RuntimeError where no gradient flows or where data has
    changed since, ValueError for a loss of several elements; and TypeError for what is no Tensor.
    """
    refuse_numbers([loss])
    start = Tensor(seed(loss, None)) if start is None else start
    watch = Watch()
    with recording("all", watch):
        pulled = pull_tensors(loss, start)
    return Builder(names).build(loss, start, pulled, watch)


def trace_forward(y: Tensor, names: Names = None) -> Trace:
    """Trace how a Tensor was computed, without any gradient."""
    return Builder(names).build(y, None, [], Watch())


def call_with_locals(function: Callable, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """What a Python function returns, and its local variables as they were then: names for what it has computed."""
    code, variables = getattr(inspect.unwrap(function), "__code__", None), {}

    def look(frame: Any, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            variables.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        result = function(*args, **kwargs)
    finally:
        if hasattr(before, "enable"):  # that of cProfile
            sys.setprofile(None)
            before.enable()
        else:
            sys.setprofile(before)
    return result, variables


class Watch(Watcher):
    """Notes what each vjp of the backward has made, and whose vjp it was."""

    def __init__(self) -> None:
        self.edges: list[tuple[Tensor, Tensor, Tensor]] = []
        self.steps: list[tuple[Tensor, Tensor]] = []  # a result, and the Tensor whose vjp made it
        self.new: list[Tensor] = []

    def result(self, y: Tensor, op: Op, inputs: tuple, params: dict[str, Any]) -> None:
        """Called for every result."""
        added_up = self.edges and op is ops.add and inputs[-1] is self.edges[-1][2]  # two gradients of one Tensor
        if not added_up:
            self.new.append(y)

    def sent(self, y: Tensor, x: Tensor, g: Tensor) -> None:
        """Called when the gradient of `y` has given that of `x`."""
        self.edges.append((y, x, g))
        self.steps += [(t, y) for t in self.new]
        self.new = []


def ancestors(roots: Iterable[Tensor]) -> list[Tensor]:
    """The Tensors from which these were computed and they themselves, oldest first; TypeError for anything else."""
    roots = [*roots]
    refuse_numbers(roots)
    return sorted(history(roots), key=lambda t: (t.op is not None, t.age))  # new data makes a leaf young


def refuse_numbers(roots: Iterable[Any]) -> None:
    """TypeError for what has no graph, as it is no Tensor."""
    for x in roots:
        if not isinstance(x, Tensor):
            raise TypeError(f"{x!r:.80} ({type(x).__name__}) has no graph: give the Tensor itself, not its item()")


def is_random(y: Node | Tensor) -> bool:
    """Whether the op that has made it draws random numbers: it says so, or it is seen to (see `draws`)."""
    op = y.op
    if op is None or not op.foreign:
        return False
    inputs = tuple(x.data if isinstance(x, Node | Tensor) else x for x in y.inputs)
    return op.random or draws(op.forward, inputs, y.params)


def refuse_draws(node: Node | Tensor, what: str) -> None:
    """TypeError where a Node draws random numbers; `what` would hold those that were drawn once."""
    if is_random(node):
        raise draw_error(describe_call(node.op, node.inputs, node.params), what)


def draw_error(call: str, what: str) -> TypeError:
    """The error where a call draws random numbers, and `what` would hold them."""
    return TypeError(
        f"{call} draws random numbers, and {what} would hold those of one draw: draw outside, and hand them in as "
        f'data, as in x * Tensor(mask, name="mask")'
    )


@contextlib.contextmanager
def no_draws(rules: Iterable[Any], whose: str, what: str) -> Iterator[None]:
    """TypeError where a random generator that these rules can reach moves on inside the `with`, or they make one."""
    found = [x for rule in rules for x in reachable(rule)]
    with moved(found) as has_moved:
        yield
        if has_moved() or any(map(is_maker, found)):
            raise TypeError(
                f"{whose} draws random numbers, and {what} would hold those of one draw: draw in the forward of an op "
                f'with random=True, or outside, and hand them in as data, as in x * Tensor(mask, name="mask")'
            )


def no_draws_in_vjps(loss: Tensor, what: str) -> contextlib.AbstractContextManager[None]:
    """The same for the vjps of the ops behind a loss that are somebody's own."""
    own = dict.fromkeys(t.op for t in ancestors([loss]) if t.op is not None and t.op.foreign)
    if not own:
        return contextlib.nullcontext()
    rules = [o.vjps if isinstance(o.vjps, Each) else o.vjps[:] for o in own]
    return no_draws(rules, f"a vjp of {' or '.join(o.name for o in own)}", what)


def says_no_to_tensors(error: Exception, op: Op) -> bool:
    """Whether an error says that the forward of an op, which has run on arrays, does not run on Tensors.

    It does where something that Tensors lack, or refuse, was asked of them. Anything else is a fault in the forward
    that only Tensors bring to light, and is to be seen: it gets a note.
    """
    if isinstance(error, TypeError | AttributeError | NotImplementedError) or isinstance(error.__cause__, TypeError):
        return True
    error.add_note(
        f"raised by the forward of {op.name}, which was run on Tensors to see of what it consists; on arrays it runs"
    )
    return False


def behind(nodes: Iterable[Node]) -> dict[Node, None]:
    """These Nodes and all from which they are computed, inputs first."""
    order: dict[Node, None] = {}
    for node in nodes:
        todo = [node]
        while todo:
            waiting = [x for x in todo[-1].nodes() if x not in order]
            todo.extend(waiting) if waiting else order.setdefault(todo.pop())
    return order


def first_use(nodes: list[Node]) -> list[Node]:
    """The leaves among Nodes, in the order in which they are used."""
    used = dict.fromkeys(x for node in nodes for x in node.nodes() if x.op is None)
    return [*used] or nodes


def variables(names: Names) -> Names:
    """The variables that give names: not the results that IPython keeps in _, Out and the like."""
    return {k: v for k, v in (names or {}).items() if not k.startswith("_") and k not in ("In", "Out")}


def names_of_tensors(names: Names) -> dict[int, str]:
    """id of a Tensor -> the (first) variable that holds it, also in a list, tuple or dict."""
    found: dict[int, str] = {}
    todo = [*variables(names).items()]
    while todo:
        holders = []
        for name, value in todo:
            if isinstance(value, Tensor):
                found.setdefault(id(value), name)
            elif isinstance(value, dict):
                holders += [(f"{name}[{key!r}]", v) for key, v in value.items()]
            elif isinstance(value, list | tuple):
                holders += [(f"{name}[{i}]", v) for i, v in enumerate(value)]
        todo = [(name, v) for name, v in holders if name.count("[") < 4]
    return found


class Builder:
    """Turns Tensors into Nodes, and leaves out what a reader would leave out."""

    def __init__(self, names: Names):
        self.names = names_of_tensors(names)
        self.arrays: dict[int, str] = {}  # id of an array -> the (first) variable that holds it
        for name, value in variables(names).items():
            if isinstance(value, np.ndarray) and value.ndim:
                self.arrays.setdefault(id(value), name)
        self.made: dict[int, Node] = {}  # id of a Tensor -> its Node
        self.known: dict[Any, Node] = {}  # what an op was applied to -> its Node
        self.stretched: set[Node] = set()  # gradients broadcast to full shape for the engine's sake only
        self.past: set[Node] = set()  # the forward

    def build(
        self, loss: Tensor, start: Tensor | None, pulled: list, watch: Watch, more: Iterable[Tensor] = ()
    ) -> Trace:
        """The Trace of a loss, of what the walk gave for it, and of what was watched; `more` gets Nodes, too."""
        past = ancestors([loss])
        forward = {id(t) for t in past}
        sought = {id(g) for t, g in pulled if self.name(t)}
        for t in ancestors([loss, *(g for _, g in pulled), *(g for *_, g in watch.edges), *more]):
            inputs = tuple(self.made[id(x)] if isinstance(x, Tensor) else x for x in t.inputs)
            node = Node(t.op, inputs, t.params, t.data)
            if t is start:
                node.gradient = True
            elif id(t) in forward:
                node = self.made.setdefault(self.identity(t), node)
                node.name, node.wanted = self.name(t), t.requires_grad and t.op is None
                self.known.setdefault(key(node), node)
                self.past.add(node)
            elif t.op is not None:
                node = node if is_random(node) else self.known.setdefault(key(node), self.simple(node))
                if node.op is ops.broadcast_to and id(t) not in sought and node.gradient:
                    self.stretched.add(node)
            self.made[id(t)] = node
        gradients = self.gradients(pulled, watch)
        root, nodes = self.made[id(loss)], [self.made[id(t)] for t in past]
        edges = [(self.made[id(y)], self.made[id(x)], self.made[id(g)]) for y, x, g in watch.edges]
        backward = [(self.made[id(t)], gradients[id(t)]) for t, _ in pulled]
        return Trace(root, self.made.get(id(start)), first_use(nodes), nodes, backward, edges, self.stretched)

    def name(self, t: Tensor) -> str | None:
        """The name of a Tensor: its own, or that of the variable which holds it."""
        if t.name or id(t) in self.names:
            return t.name or self.names[id(t)]
        return self.arrays.get(self.identity(t))

    def identity(self, t: Tensor) -> int:
        """The id of a Tensor; of a named array in an expression, which was copied into a Tensor, that of the array."""
        origin = getattr(t, "origin", None)
        array = None if origin is None else origin()
        if array is None or t.name or id(array) not in self.arrays:
            return id(t)
        before, now = ((x.dtype, x.shape, x.tobytes()) for x in (t.data, array))
        return id(array) if before == now else id(t)  # it may have changed since

    def simple(self, node: Node) -> Node:
        """The same value as a reader would write it."""
        op, inputs, (x, *_) = node.op, node.inputs, node.inputs
        if (op is ops.transpose and node.ndim < 2) or (op is ops.reshape and x.shape == node.shape):
            return x
        if op in (ops.multiply, ops.divide, ops.power) and isinstance(x, Node):
            if is_one(inputs[1]) and x.shape == node.shape and x.dtype == node.dtype:
                return x  # x * 1, x / 1, x ** 1
        if op is ops.power and not isinstance(inputs[1], Node) and inputs[1] == 0:
            return self.stretch(Node(None, (), {}, node.dtype.type(1)), node)
        if op in MOVES and x in self.stretched and not x.inputs[0].shape:
            return self.stretch(x.inputs[0], node)  # one number everywhere
        if op.elementwise and any(i in self.stretched for i in inputs):  # NumPy broadcasts anyway
            inputs = tuple(i.inputs[0] if i in self.stretched else i for i in inputs)
            shape = np.broadcast_shapes(*(i.shape for i in inputs if isinstance(i, Node)))
            if shape == node.shape:
                return self.simple(Node(op, inputs, node.params, node.data))
            small = Node(op, inputs, node.params, node.data)
            small.data = small.compute(*map(data_of_node, inputs))
            if small.dtype == node.dtype:
                return self.stretch(self.simple(small), node)
        return node

    def stretch(self, small: Node, node: Node) -> Node:
        """A small value broadcast to the shape of a Node."""
        if small.shape == node.shape:
            return small
        found = Node(ops.broadcast_to, (small,), {"shape": node.shape}, node.data)
        self.stretched.add(found)
        return found

    def gradients(self, pulled: list, watch: Watch) -> dict[int, Node]:
        """id of a Tensor -> its gradient; one that is handed on has a Node of its own for each named Tensor."""
        raw, given, found = {id(t): g for t, g in pulled}, {}, {}
        for y, x, g in watch.edges:
            if g is raw.get(id(y)):
                given[id(x)] = y
        for t, g in pulled:
            owner, base = self.made[id(t)], self.made[id(g)]
            giver = given.get(id(t))
            node = found[id(giver)] if giver is not None and raw[id(giver)] is g else base
            if owner.name and (node is not base or (node.owner and node.owner.name) or node in self.past):
                node = Node(alias, (node,), {}, node.data)
            if node.owner is None or (owner.name and not node.owner.name):
                node.owner = owner
            found[id(t)] = node
        for t, y in watch.steps:  # the vjps of `y` use the gradient under the name that it has there
            if id(t) in self.made and id(y) in found:
                base, node = self.made[id(raw[id(y)])], self.made[id(t)]
                node.inputs = tuple(found[id(y)] if i is base else i for i in node.inputs)
        edges: dict[int, list[tuple[Tensor, Tensor]]] = {}
        for y, x, g in watch.edges:
            edges.setdefault(id(x), []).append((y, g))
        for t, total in pulled:  # and so do the sums of gradients
            (y0, g0), *more = edges.get(id(t), [(t, total)])
            for y, g in more[::-1]:
                node, first = self.made[id(total)], total.inputs[0]
                parts = [(first, y0) if first is g0 else (first, None), (g, y)]
                if node.op is ops.add and len(node.inputs) == 2:
                    handed = [y is not None and part is raw[id(y)] for part, y in parts]
                    node.inputs = tuple(
                        found[id(y)] if ok and i is self.made[id(part)] else i
                        for ok, i, (part, y) in zip(handed, node.inputs, parts)
                    )
                total = first
        return found


def data_of_node(x: Any) -> Any:
    """The array of a Node; a number as it is."""
    return x.data if isinstance(x, Node) else x


def key(node: Node) -> Any:
    """What makes two Nodes the same value; a leaf is the same as itself alone."""
    if node.op is None:
        return node
    return node.op, *(i if isinstance(i, Node) else exact(i) for i in node.inputs), exact(node.params)


class Same:
    """An object as a key: equal to itself alone. It holds the object, so that no other one can take its place."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def exact(v: Any) -> Any:
    """A key that equals another only where the values are the same: arrays to the last bit, numbers with their type.

    1, 1.0 and True are told apart, and so are 0.0 and -0.0, which are equal in Python; a NaN is the same as itself.
    What is inside tuples, lists and dicts counts as well. An object of any other kind is the same as itself alone.

    >>> exact(0.0) == exact(-0.0), exact((1, [np.ones(2)])) == exact((1, [np.ones(2)]))
    (False, True)
    """
    kind = type(v)
    if (kind is np.ndarray and not v.dtype.hasobject) or isinstance(v, np.generic):
        return kind, v.shape, v.dtype, v.tobytes()
    if kind is float:
        return kind, v.hex()
    if kind is complex:
        return kind, v.real.hex(), v.imag.hex()
    if kind in (tuple, list):
        return kind, *map(exact, v)
    if kind is dict:
        return kind, frozenset((exact(k), exact(x)) for k, x in v.items())
    if kind is slice:
        return kind, exact(v.start), exact(v.stop), exact(v.step)
    if kind in (bool, int, str, bytes, type(None)) or isinstance(v, np.dtype):
        return kind, v
    return Same(v)


def is_one(x: Any) -> bool:
    """Whether it is the number 1, as itself or as a constant made by a rule."""
    value = x.data if isinstance(x, Node) and x.op is None and not (x.name or x.wanted or x.gradient) else x
    return isinstance(value, int | float | np.number) and value == 1
