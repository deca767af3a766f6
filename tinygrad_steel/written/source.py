"""NumPy source from a traced graph: `write_backprop`, and `formula` and `vjp_formulas` for a single result."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import itertools
import keyword
import linecache
import math
import re
import tokenize
import unicodedata
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..engine.messages import describe_call
from ..engine.reads import refuse_reads
from ..engine.recording import recording
from ..engine.tensor import Tensor, record_op
from ..ops.op import TWINS, Op
from ..program.trace import (
    Builder,
    Names,
    Node,
    Trace,
    alias,
    ancestors,
    call_with_locals,
    data_of_node,
    exact,
    names_of_tensors,
    no_draws_in_vjps,
    refuse_draws,
    says_no_to_tensors,
    trace,
    trace_forward,
)

FILES = itertools.count(1)  # the numbers of what is run
WIDTH, INLINE = 100, 60  # characters of a line; of an expression that may stand inside another

OPENING, CLOSING = {*"([{"}, {*")]}"}

# How tightly the parts of an expression hold together, as in Python's grammar.
COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)
# All tables are keyed by the ops themselves: an op of one's own may be called `add` as well.
INFIX: dict[Op | None, tuple[str, int]] = {
    **{ops.add: ("+", SUM), ops.subtract: ("-", SUM), ops.multiply: ("*", PRODUCT), ops.divide: ("/", PRODUCT)},
    **{ops.matmul: ("@", PRODUCT), ops.power: ("**", POWER)},
    **{ops.greater: (">", COMPARISON), ops.greater_equal: (">=", COMPARISON)},
    **{ops.less: ("<", COMPARISON), ops.less_equal: ("<=", COMPARISON)},
    **{ops.equal: ("==", COMPARISON), ops.not_equal: ("!=", COMPARISON)},
}
NUMPY = {  # not among TWINS
    **{ops.clip: "np.clip", ops.norm: "np.linalg.norm", ops.cumsum: "np.cumsum", ops.einsum: "np.einsum"},
}
POSITIONAL = {
    *(ops.reshape, ops.transpose, ops.swapaxes, ops.expand_dims, ops.broadcast_to, ops.squeeze, ops.flip, ops.scatter),
}

METHODS = {ops.getitem, ops.astype, ops.asconstant}  # written as what an array does

# The one rule that writes in place: it cannot be traced, and is written as it stands in ops.py.
SCATTER = """def scatter(g, index, shape):
    z = np.zeros(shape, np.result_type(g))
    np.add.at(z, index, g)
    return z"""


def write_backprop(loss: Tensor, names: Names = None) -> Source:
    """The backprop of a loss, chained by hand as it were: source of a function `backprop` that needs NumPy alone.

    Its parameters are the leaves of the graph (data first, then those that require a gradient); it computes forward and
    backward for arrays of the traced shapes and returns the loss and the gradient of each leaf that requires one.
    `names`: variable names for Tensors without a name, such as `locals()`. Named Tensors keep their names, `G_name` is
    the gradient of the loss with respect to `name`; a name that cannot stand in the source is changed, and a comment
    says so. The source comes from running the ops' own rules on Tensors: no formula is written twice.

    Raises RuntimeError and ValueError as `loss.backward()` does, TypeError for an op of one's own that cannot be
    written in NumPy terms, or that draws random numbers, and where Python has read a number that the loss depends on
    (`if t > 0`, `rows[t]`): the source would keep it whatever its arguments are. A FrozenNumberWarning says that a
    number was read which may, or may not, be in the loss. The function raises ValueError where a mask, as in `x[mask]`,
    takes another number of elements than it did.

    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], name="x")
    >>> weight = Tensor([[1.0], [-1.0]], requires_grad=True, name="weight")
    >>> source = write_backprop(np.mean(np.square(x @ weight)))
    >>> print(source)
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def backprop(x, weight):
        # forward
        t1 = x @ weight
        loss = np.mean(np.square(t1))
        # backward
        G_loss = 1.0
        G_weight = x.T @ (2 * t1 * G_loss / 2)
        return loss, G_weight
    <BLANKLINE>
    >>> backprop = source.function()
    >>> backprop(**source.arguments)[1]
    array([[-4.],
           [-6.]])
    """
    refuse_reads([loss], arguments_of(loss, names), "the written source would keep that number")
    with no_draws_in_vjps(loss, "the source"):
        traced = trace(loss, names)
    definitions = Definitions()
    writer = Writer(definitions, reserved={"backprop", *definitions.names_for(traced)})
    body, arguments, returned = writer.backprop(traced)
    blocks = [
        "import numpy as np",
        *definitions.texts.values(),
        function("backprop", arguments.values(), body, returned),
    ]
    source = Source("\n\n\n".join(blocks) + "\n")
    source.arguments = {name: node.data.copy() for node, name in arguments.items()}
    return source


def arguments_of(loss: Tensor, names: Names) -> list[Tensor]:
    """The leaves that become arguments under a name."""
    held = names_of_tensors(names)
    return [t for t in ancestors([loss]) if t.op is None and (t.name or t.requires_grad or id(t) in held)]


class Source(str):
    """Python source, and `arguments`: the arrays with which the graph was traced, by the names of its parameters."""

    arguments: dict[str, Any]

    def function(self) -> Callable:
        """The function `backprop` itself; its lines show up in tracebacks."""
        file = f"<backprop {next(FILES)}>"
        linecache.cache[file] = (len(self), None, self.splitlines(keepends=True), file)
        namespace: dict[str, Any] = {}
        exec(compile(self, file, "exec"), namespace)
        weakref.finalize(namespace["backprop"], linecache.cache.pop, file, None)  # the lines go with the function
        return namespace["backprop"]


def formula(t: Tensor, names: Names = None) -> str:
    """How a Tensor was computed, in one expression; where it grows too long, a named part stands for itself.

    >>> from tinygrad_steel import softmax_cross_entropy
    >>> x, y = Tensor([[1.0, 2.0]], name="x"), Tensor([1], name="y")
    >>> weight, bias = (Tensor(np.ones(s), requires_grad=True, name=n) for s, n in [((2, 2), "weight"), (2, "bias")])
    >>> formula(np.mean(softmax_cross_entropy(x @ weight + bias, y)))
    'mean(softmax_cross_entropy(x @ weight + bias, y))'
    """
    return Writer(None).formula(trace_forward(t, names))


def vjp_formulas(t: Tensor, names: Names = None, taken: Iterable[str] = ()) -> list[str | None]:
    """For each input of a result, how its gradient comes from `g`, that of the result; None where none flows.

    `y` is the result itself where it has no name; inputs without a name are called as the op calls its arguments.
    `taken`: names that mean something else to the reader, and are not used so.

    >>> x = Tensor([[1.0, 2.0]], name="x")
    >>> weight, bias = Tensor(np.ones((2, 1)), True, "weight"), Tensor([0.0], True, "bias")
    >>> vjp_formulas(x @ weight), vjp_formulas(np.ones((3, 1)) + bias)
    ([None, 'x.T @ g'], [None, 'g.sum(axis=0)'])
    """
    if t.op is None or not t.requires_grad:
        return [None] * len(t.inputs)
    builder = Builder(names)
    called: dict[int, str] = {}  # what the inputs are called, each by its own name
    for x in t.inputs:
        if isinstance(x, Tensor) and builder.name(x) and builder.identity(x) not in called:
            called[builder.identity(x)] = readable(builder.name(x), called.values())
    start = first_free(("g", "G", "gradient"), called.values())
    used = {start, *taken, *called.values()}
    inputs = []
    for x, argument in zip(t.inputs, argument_names(t.op, len(t.inputs))):
        if isinstance(x, Tensor):
            name = called.get(builder.identity(x)) or first_free((argument, "h", "z", "u", f"{argument}_"), used)
            used.add(name)
            x = Tensor(x.data, x.requires_grad, name if x.op or x.name or x.requires_grad or x.shape else None)
        inputs.append(x)
    with recording("all"):
        y = record_op(t.op, tuple(inputs), t.params)
    own = builder.name(t)
    y.name = readable(own, {start, *called.values()}) if own else first_free(("y", "result"), used)
    traced = trace(y, start=Tensor(np.ones(t.shape, t.dtype), name=start))
    gradients, nodes = dict(traced.backward[1:]), traced.loss.inputs
    return [Writer(None).gradient_formula(traced, gradients[x], start) if x in gradients else None for x in nodes]


def block_formula(block: list[Tensor], name: Callable[[Tensor], str]) -> str:
    """The last Tensor of a block in terms of its leaves (`w` for w0) and of `h`, which comes from outside."""
    writer, made = Writer(None), {}
    taken, outside = {"h"}, ["h"]
    for t in block:
        for x in t.inputs:
            if isinstance(x, Tensor) and id(x) not in made:
                found = outside.pop() if outside else first_free((), taken, "h")
                taken.add(found)
                made[id(x)] = node = Node(None, (), {}, x.data, found)
                writer.codes[node] = Code(found)
        inputs = tuple(made.get(id(x), x) for x in t.inputs)
        node = made[id(t)] = Node(t.op, inputs, t.params, t.data)
        if t.op is None:
            numberless = re.sub(r"\W*\d+\W*$", "", name(t))
            node.name = readable(numberless, taken) if numberless else None
            taken.add(node.name)
        writer.codes[node] = writer.expression(node) if t.op else Code(node.name or "array")
    return writer.codes[node].text


class Code(NamedTuple):
    """An expression and how tightly it holds together."""

    text: str
    level: int = ATOM

    def at(self, level: int) -> str:
        """The expression where it must hold together at least so tightly."""
        return self.text if self.level >= level else f"({self.text})"


class Definitions:
    """The functions that stand before `backprop`: ops that NumPy does not have, traced in their turn."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.found: dict[Any, str] = {}

    def names_for(self, traced: Trace) -> set[str]:
        """The names that the ops of a graph may need, so that no variable takes them."""
        nodes = behind([*traced.forward, *(x for edge in traced.edges for x in edge)])
        return {function_name(x.op) for x in nodes if x.op and numpy_name(x.op) is None and x.op not in INFIX}

    def name(self, node: Node) -> str:
        """The function that computes this Node from its inputs, written when it is first asked for."""
        op = node.op
        if op is ops.scatter:
            self.texts["scatter"] = SCATTER
            return "scatter"
        shapes = [(x.shape, x.dtype) if isinstance(x, Node) else exact(x) for x in node.inputs]
        known = (op, *shapes, exact(node.params))
        if known not in self.found:
            name = function_name(op)
            text = self.define(name, node)
            for n in range(2, len(self.texts) + 3):  # the same op with other parameters is another function
                if self.texts.setdefault(name, text) == text:
                    break
                name = f"{function_name(op)}_{n}"
                text = self.define(name, node)
            self.found[known] = name
        return self.found[known]

    def define(self, name: str, node: Node) -> str:
        """The op's forward as a function in NumPy terms, found by running it on Tensors."""
        op = node.op
        refuse_draws(node, "the source")
        names = argument_names(op, len(node.inputs))
        inputs = [Tensor(data_of_node(x), name=n) for x, n in zip(node.inputs, names)]
        try:
            with recording("all"), np.errstate(all="ignore"):
                y, variables = call_with_locals(op.forward, *inputs, **node.params)
            y = y[0] if op.keeps else y
            if not isinstance(y, Tensor):
                raise TypeError(f"on Tensors it returns {type(y).__name__}")
        except Exception as error:
            if not says_no_to_tensors(error, op):
                raise
            raise TypeError(
                f"{describe_call(op, tuple(inputs), node.params)} cannot be written out: its forward does not run on "
                f"Tensors ({error}); write it with np.* functions that tinygrad_steel.OPS knows, and operators"
            ) from error
        traced = trace_forward(y, variables)
        return Writer(self, reserved={name, *self.names_for(traced)}).definition(name, traced, inputs, names)


class Writer:
    """Writes one function: which values get a line and a name of their own, and which stand inside others."""

    def __init__(self, definitions: Definitions | None, reserved: Iterable[str] = ()):
        self.definitions = definitions  # None: formulas, in which functions stand without `np.`
        self.functions = {*reserved}
        self.taken = {*reserved} if definitions is None else {*RESERVED, *reserved}
        self.names: dict[Node, str] = {}  # in formulas
        self.plain = True  # whether all floats are float64, so that a plain 1.0 is one of them
        self.short = 0
        self.codes: dict[Node, Code] = {}
        self.lines: list[str] = []
        self.renamed: list[str] = []
        self.own_line: set[Node] = set()

    # Three things to write

    def backprop(self, traced: Trace) -> tuple[list[str], dict[Node, str], list[str]]:
        """The lines of a backprop, its arguments and what it returns."""
        loss, start = traced.loss, traced.start
        leaves = [x for x in traced.leaves if not is_literal(x)]
        leaves = [x for x in leaves if not x.wanted] + [x for x in leaves if x.wanted]
        arguments = {x: self.claim(x, x.name or f"c{i}") for i, x in enumerate(leaves, 1)}
        gradients = dict(traced.backward)
        needed = behind(g for x, g in traced.backward if x.name or x.op is None)
        steps = [g for x, g in traced.backward if g in needed and (x.op is not None or x is loss)]
        order = schedule([*traced.forward, start], steps, [gradients[x] for x in leaves if x in gradients])

        uses = Counter(x for node in order for x in {*node.nodes()})
        sought = {g for x, g in traced.backward if x.name or x is loss or x.op is None}
        shared = {x for x in order if uses[x] > 1 and not is_trivial(x)}
        self.own_line = {loss, *sought, *shared} | {x for x in traced.forward if x.name}
        self.own_line |= {x.owner for x in shared if x.owner}  # for the sake of a name: G_t1 is the gradient of t1
        self.own_line |= {*filter(picks_by_mask, order)}
        for x in traced.forward:
            if x.name and x.op is not None:
                self.claim(x, x.name)
        if loss not in self.codes:
            self.claim(loss, "loss")

        self.plain = all(x.dtype == np.float64 for x in order if x.dtype.kind == "f")
        self.lines.append("# forward")
        for node in order:
            if node is start:
                self.lines.append("# backward")
            self.write(node)
        for x in leaves:
            if x.wanted and x not in gradients:
                name = self.free("G_" + arguments[x])
                self.lines.append(f"{name} = np.zeros_like({arguments[x]})  # no gradient flows to it")
                self.codes[gradients.setdefault(x, Node(None, (), {}, x.data))] = Code(name)
        returned = [self.codes[loss].text, *(self.codes[gradients[x]].text for x in leaves if x.wanted)]
        return self.renamed + self.lines, arguments, returned

    def definition(self, name: str, traced: Trace, inputs: list[Tensor], names: list[str]) -> str:
        """The function of an op: its inputs are those Tensors, everything else comes from its forward."""
        leaves = {id(x.data): x for x in traced.leaves}  # by the arrays themselves: a variable may be called the same
        arguments = [self.free(n) if id(x.data) not in leaves else self.claim(leaves[id(x.data)], n)
                     for n, x in zip(names, inputs)]  # fmt: skip
        uses = Counter(x for node in traced.forward for x in {*node.nodes()})
        shared = {x for x in traced.forward if uses[x] > 1 and not is_trivial(x)}
        self.own_line = (shared | {x for x in traced.forward if x.name}) - {traced.loss}
        self.own_line |= {*filter(picks_by_mask, traced.forward)}
        for node in traced.forward:
            if node is not traced.loss or node in self.own_line:
                self.write(node)
        result = self.codes.get(traced.loss) or self.expression(traced.loss)
        return function(name, arguments, self.lines, [result.text])

    def formula(self, traced: Trace) -> str:
        """A result in one expression."""
        for named in (False, True):  # where it grows long, named parts stand for themselves
            self.codes, long = {}, False
            for node in traced.forward:
                name = self.called(node)
                if node.op is None:
                    text = name or (value_text(node.data.item()) if is_literal(node) else f"array{node.shape}")
                    self.codes[node] = Code(text, SIGN if text.startswith("-") else ATOM)
                elif named and name and node is not traced.loss:
                    self.codes[node] = Code(name)
                else:
                    code = self.expression(node)
                    long = long or len(code.text) > WIDTH
                    short = Code(name or f"{node.op.name}(...)")
                    self.codes[node] = code if len(code.text) <= WIDTH or node is traced.loss else short
            if not long:
                break
        return self.codes[traced.loss].text

    def called(self, node: Node) -> str | None:
        """What a Node is called in a formula; None where it has no name."""
        if node.name and node not in self.names:
            self.names[node] = readable(node.name, self.taken)
            self.taken.add(self.names[node])
        return self.names.get(node)

    def gradient_formula(self, traced: Trace, gradient: Node, start: str = "g") -> str:
        """A gradient in terms of `g`, the result and the inputs."""
        if gradient.op is ops.broadcast_to:  # as NumPy does by itself
            (gradient,) = gradient.inputs
        for node in schedule([], [gradient], []):
            if node.op is None or node in traced.forward:
                text = node.name or literal(node.data)  # the names are such as `vjp_formulas` has made
                text = text if node.name or len(text) <= INLINE else f"array{node.shape}"
                self.codes[node] = Code(text if node is not traced.start else start)
            else:
                self.codes[node] = self.expression(node)
        return self.codes[gradient].text

    # Lines and names

    def write(self, node: Node) -> None:
        """Write a Node down: as a line, or for use inside other expressions."""
        if node in self.codes and node.op is None:
            return
        if node.op is None and not node.gradient:
            self.codes[node] = Code(literal(node.data))
            return
        code = self.first_gradient(node) if node.op is None else self.expression(node)
        if node in self.own_line or len(code.text) > INLINE:
            name = self.codes[node].text if node in self.codes else self.name(node)
            self.lines.append(f"{name} = {code.text}")
            if picks_by_mask(node):  # numbers such as `/ 3` are in what follows
                message = f'f"{name} is {{{name}.shape}}, and was {node.shape} when written"'
                self.lines += [f"if {name}.shape != {node.shape}:", f"    raise ValueError({message})"]
            code = Code(name)
        self.codes[node] = code

    def first_gradient(self, node: Node) -> Code:
        """The gradient of the loss itself."""
        if node.shape:
            return Code(f"np.ones({node.shape}, {dtype_name(node.dtype)})")
        return Code("1.0" if node.dtype == np.float64 and self.plain else f"{dtype_name(node.dtype)}(1.0)")

    def name(self, node: Node) -> str:
        """A name for a value that gets a line of its own."""
        owner = node.owner
        if node.name:
            return self.free(node.name)
        if owner is not None and owner in self.codes and self.codes[owner].text.isidentifier():
            return self.free("G_" + self.codes[owner].text)
        while f"t{self.short}" in self.taken or not self.short:
            self.short += 1
        return self.free(f"t{self.short}")

    def claim(self, node: Node, wanted: str) -> str:
        """Give a Node its name, changed where it has to be; a comment says so."""
        name = self.free(wanted)
        if name != wanted:
            self.renamed.append(f"# {wanted!r:.80} is called {name} here")
        self.codes[node] = Code(name)
        return name

    def free(self, wanted: str) -> str:
        """An identifier that is not taken yet, as close to what is wanted as possible."""
        name = identifier(wanted)
        name += "_" * (name in RESERVED or re.sub(r"_\d+$", "", name) in self.functions)
        found = next(f"{name}_{n}" if n > 1 else name for n in range(1, len(self.taken) + 2)
                     if (f"{name}_{n}" if n > 1 else name) not in self.taken)  # fmt: skip
        self.taken.add(found)
        return found

    # Expressions

    def operand(self, x: Any, user: Node) -> Code:
        """An input of `user`: a name, a number or an expression."""
        if isinstance(x, Node) and not is_literal(x):
            return self.codes[x]
        return number(data_of_node(x), user, self.definitions is not None)

    def expression(self, node: Node) -> Code:
        """The op of a Node, applied to its inputs."""
        op, params = node.op, node.params
        codes = [self.operand(x, node) for x in node.inputs]
        x = codes[0]
        if op is alias:
            return x
        if op in INFIX and len(codes) == 2:
            b = node.inputs[1]
            if isinstance(b, Node) and b.dtype.kind in "iu" and not is_literal(b):  # -x may wrap around
                codes[1] = Code(codes[1].at(ATOM))
            return self.product_with_gradient(node) or infix(op, *codes)
        if op is ops.negative:
            return Code(f"-{x.at(SIGN)}", SIGN)
        if op is ops.transpose and not params.get("axes"):
            return Code(f"{x.at(ATOM)}.T")
        if op is ops.expand_dims and node.ndim == 2 and params["axis"] in (0, 1, -1, -2):
            return Code(f"{x.at(ATOM)}[{'None' if params['axis'] in (0, -2) else ':, None'}]")
        if op in (ops.astype, ops.asconstant) and self.definitions is None:
            return x
        if op in (ops.astype, ops.asconstant):
            kind = dtype_name(np.dtype(params["dtype"]))
            return Code(f"{x.at(ATOM)}.astype({kind})" if node.shape else f"{kind}({x.text})")
        if op is ops.getitem:
            array = x.at(ATOM) if node.inputs[0].shape else f"np.asarray({x.text})"
            return Code(f"{array}[{index_text(params['index'], codes[1:])}]")
        return Code(self.call(node, [code.text for code in codes]))

    def call(self, node: Node, codes: list[str]) -> str:
        """A function call: NumPy's, or that of a definition, which has its parameters built in."""
        op, name, runs = node.op, numpy_name(node.op), self.definitions is not None
        if not runs:
            name = op.name
        elif name is None or (op is ops.norm and isinstance(node.params.get("axis"), tuple)):
            name = self.definitions.name(node)
            if op is not ops.scatter:
                return f"{name}({', '.join(codes)})"
        params = {k: v for k, v in node.params.items() if v is not op.defaults[k] and op is not ops.one_hot}
        if op is ops.clip:
            bounds = [number(node.params.get(k), node, runs).text for k in ("a_min", "a_max")]
            return f"{name}({', '.join([*codes, *bounds])})"
        if op is ops.einsum:
            return f"{name}({', '.join([repr(params['subscripts']).replace(chr(39), chr(34)), *codes])})"
        if op is ops.scatter:
            index = index_text(params["index"], [Code(c) for c in codes[1:]], alone=False)
            return f"{name}({codes[0]}, {index}, {params['shape']})"
        if not runs and op is ops.sum and codes[0].isidentifier():
            name, codes = f"{codes[0]}.sum", []
        codes = [f"[{', '.join(codes)}]"] if op.sequence else codes
        known = words(name) if name.startswith("np.") else None
        style = "{1}" if op in POSITIONAL or (known and not {*params} <= known) else "{0}={1}"
        try:
            texts = [style.format(k, value_text(v, runs)) for k, v in params.items()]
        except TypeError as error:
            raise TypeError(f"{describe_call(op, node.inputs, node.params)} cannot be written out: {error}") from error
        return f"{name}({', '.join([*codes, *texts])})"

    def product_with_gradient(self, node: Node) -> Code | None:
        """2 * G * x as 2 * x * G, and a mean's division at the very end, as one writes them by hand."""
        inner = node.inputs[0]
        if node.op is not ops.multiply or not isinstance(inner, Node) or inner.op is not ops.multiply:
            return None
        if inner in self.own_line or self.codes[inner].text.isidentifier() or not inner.gradient:
            return None
        factor, g = inner.inputs if not isinstance(inner.inputs[0], Node) else inner.inputs[::-1]
        x = node.inputs[1]
        if isinstance(factor, Node) or not isinstance(x, Node) or x.gradient:
            return None
        if not x.dtype == g.dtype == node.dtype or node.dtype.itemsize < 4:
            return None  # in another order it would be rounded to fewer digits, or leave the range of float16
        product = infix(ops.multiply, number(factor, node), self.codes[x])
        if g.op is ops.divide and not isinstance(g.inputs[1], Node) and not self.codes[g].text.isidentifier():
            product = infix(ops.multiply, product, self.operand(g.inputs[0], g))
            return infix(ops.divide, product, number(g.inputs[1], g))
        return infix(ops.multiply, product, self.operand(g, inner))


def behind(nodes: Iterable[Node]) -> dict[Node, None]:
    """These Nodes and all from which they are computed, inputs first."""
    order: dict[Node, None] = {}
    for node in nodes:
        todo = [node]
        while todo:
            waiting = [x for x in todo[-1].nodes() if x not in order]
            todo.extend(waiting) if waiting else order.setdefault(todo.pop())
    return order


def schedule(past: list[Node], steps: list[Node], leaf_gradients: list[Node]) -> list[Node]:
    """The forward, then the gradients from the loss backwards, a leaf's as soon as those that it needs are there."""
    reached = {g: k for k, g in enumerate(steps)}
    depth: dict[Node, int] = {}  # the step from which on it can be computed
    for x in behind([*steps, *leaf_gradients]):
        depth[x] = reached.get(x, max((depth[i] for i in x.nodes()), default=0))
    return [
        *behind([*past, *(x for k, g in enumerate(steps) for x in [g, *(y for y in leaf_gradients if depth[y] == k)])])
    ]


def infix(op: Op, a: Code, b: Code) -> Code:
    """Two operands with a sign between them, in parentheses where the grammar or a reader needs them."""
    sign, level = INFIX[op]
    if sign in "+-" and b.text.startswith("-") and b.level >= PRODUCT:
        sign, b = "-+"[sign == "-"], Code(b.text[1:], b.level)
    if "@" in (sign, *re.findall(r" ([@*/]) ", b.text + a.text)) and level == PRODUCT:
        a, b = (c if c.level > level or (c is a and f" {sign} " in c.text) else Code(c.at(ATOM)) for c in (a, b))
    left, right = (ATOM, SIGN) if sign == "**" else (level, level + 1)
    return Code(f"{a.at(left + (level == COMPARISON))} {sign} {b.at(right)}", level)


def function(name: str, arguments: Iterable[str], body: list[str], returned: list[str]) -> str:
    """The source of a function."""
    head, tail = f"def {name}({', '.join(arguments)}):", f"return {', '.join(returned)}"
    if len(tail) > WIDTH:
        tail = f"return ({', '.join(returned)})"
    head, tail = wrapped(head), wrapped(tail)
    return "\n    ".join([head, *body, tail])


def wrapped(line: str) -> str:
    """A line, broken where it is too long and Python allows it."""
    if len(line) <= WIDTH:
        return line
    lines = [""]
    for start, end in itertools.pairwise([0, *gaps(line), len(line)]):
        part = line[start:end]  # each but the first begins with the space
        if start and len(lines[-1] + part) > WIDTH:
            lines.append(" " * 7)
        lines[-1] += part
    return "\n".join(lines)


def gaps(line: str) -> list[int]:
    """Where the spaces between two tokens inside of brackets are."""
    found, depth, end = [], 0, 0
    for token in tokenize.generate_tokens(iter([line]).__next__):
        if token.start[0] > 1:
            break
        if depth and token.start[1] > end:
            found.append(end)
        if token.type == tokenize.OP:
            depth += (token.string in OPENING) - (token.string in CLOSING)
        end = token.end[1]
    return found


# Names and values


RESERVED = {"np", "numpy", *keyword.kwlist, *dir(builtins)}


def identifier(name: str) -> str:
    """The nearest Python identifier."""
    name = unicodedata.normalize("NFKC", name)
    if not name.isidentifier():
        name = re.sub(r"_+", "_", "".join(c if f"a{c}".isidentifier() else "_" for c in name)).rstrip("_") or "_"
    return name if name.isidentifier() else f"_{name}"


def readable(name: str, taken: Collection[str]) -> str:
    """A name as it stands in a formula: as it is, unless it would be read as something else there, or is taken."""
    if reads_otherwise(name):
        name = identifier(name)
        name += "_" * (name == "np" or keyword.iskeyword(name))
    return name if name not in taken else first_free((), taken, identifier(name))


def reads_otherwise(name: str) -> bool:
    """Whether a reader takes it for nothing, a word of Python's, a number or an expression (`w[0]` is a name)."""
    if not name.strip() or name == "np" or keyword.iskeyword(name):
        return True
    try:
        found = ast.parse(name, mode="eval").body
    except (SyntaxError, ValueError):  # ValueError: a null character
        return False
    is_text = isinstance(found, ast.Constant) and isinstance(found.value, str)
    return not (is_text or isinstance(found, ast.Name | ast.Attribute | ast.Subscript))


def first_free(names: Iterable[str], taken: Collection[str], base: str = "") -> str:
    """The first of these names that is not taken; else the last (or `base`) with the next number that is free."""
    names = [*names]
    base = base or names[-1]
    numbered = (f"{base}_{n}" for n in itertools.count(2))
    return next(name for name in itertools.chain(names, numbered) if name not in taken)


def function_name(op: Op) -> str:
    """How the function of an op is called."""
    name = identifier(op.name)
    return name + "_" * (name in {*RESERVED, "backprop"} or (name == "scatter" and op is not ops.scatter))


@functools.cache
def words(name: str) -> frozenset[str] | None:
    """What a NumPy function calls its arguments, where that is known."""
    try:
        return frozenset(inspect.signature(functools.reduce(getattr, name.split(".")[1:], np)).parameters)
    except ValueError:
        return None


def picks_by_mask(node: Node) -> bool:
    """Whether it is x[mask], the shape of which depends on the numbers in the mask."""
    return node.op is ops.getitem and any(x.dtype.kind == "b" for x in [*node.nodes()][1:])


def numpy_name(op: Op) -> str | None:
    """The NumPy function that the op is, as source calls it; None where there is none."""
    if op in NUMPY:
        return NUMPY[op]
    functions = [f for f, other in TWINS.items() if other is op]
    if isinstance(op.forward, np.ufunc):
        functions.insert(0, op.forward)
    for f in functions:
        for name in (op.name, f.__name__):
            for where, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
                if getattr(module, name, None) is f:
                    return f"{where}.{name}"
    return None


def argument_names(op: Op, count: int) -> list[str]:
    """What the op calls its first `count` inputs; x0, x1, ... where it takes any number of them."""
    return [*op.input_names, *(f"x{i}" for i in range(count))][:count]


def is_literal(node: Node) -> bool:
    """Whether a leaf is a plain number to a reader."""
    return node.op is None and not (node.shape or node.name or node.wanted or node.gradient)


def is_trivial(node: Node) -> bool:
    """Whether it is no trouble to write it, and compute it, twice."""
    return node.op is None or (node.op in (ops.transpose, ops.expand_dims) and node.inputs[0].name is not None)


def number(x: Any, user: Node, runs: bool = True) -> Code:
    """A number among the inputs of `user`: typed where it `runs` and a plain one would be taken for another dtype."""
    typed = isinstance(x, np.ndarray | np.generic) and runs and not plain_is_same(x, user)
    text = value_text(x[()] if isinstance(x, np.ndarray) else x)
    if typed and not text.startswith("np.longdouble"):
        return Code(f"{dtype_name(x.dtype)}({text})")
    return Code(text, SIGN if text.startswith("-") else ATOM)


def plain_is_same(x: Any, user: Node) -> bool:
    """Whether an op makes the same of a plain number as of this array without axes."""
    if numpy_name(user.op) is None and user.op not in {*INFIX, *METHODS}:  # a definition may ask for its dtype
        return False
    if not user.op.elementwise:  # NumPy makes an array of it, which has the dtype that such a number has
        return x.dtype in (np.float64, np.int64, bool)
    others = [i for i in user.inputs if isinstance(i, Node) and not is_literal(i)]  # NumPy gives it their dtype
    return any(i.dtype in (x.dtype, np.float64) for i in others)


def dtype_name(dtype: np.dtype) -> str:
    """A dtype as source has it."""
    if dtype.kind == "f" and dtype.itemsize > 8:
        return "np.longdouble"
    return "bool" if dtype.kind == "b" else f"np.{dtype.name}"


def value_text(v: Any, runs: bool = False) -> str:
    """A parameter's value as source; where it `runs`, floats have the dtype that they have here.

    Raises TypeError where it is to run and the value has no form as source.
    """
    if isinstance(v, np.generic) and v.dtype.kind == "f" and v.dtype.itemsize > 8:
        return f'np.longdouble("{v!s}")'
    if isinstance(v, np.generic):
        text = value_text(v.item())
        return f"{dtype_name(v.dtype)}({text})" if runs and v.dtype.kind == "f" else text
    if isinstance(v, np.ndarray):
        return literal(v)
    if isinstance(v, float) and not math.isfinite(v):
        return "np.nan" if v != v else "np.inf" if v > 0 else "-np.inf"
    if isinstance(v, tuple):
        return f"({', '.join(value_text(i, runs) for i in v)}{',' * (len(v) == 1)})"
    if isinstance(v, list):
        return f"[{', '.join(value_text(i, runs) for i in v)}]"
    if isinstance(v, dict):
        return f"{{{', '.join(f'{value_text(k, runs)}: {value_text(i, runs)}' for k, i in v.items())}}}"
    if isinstance(v, set | frozenset):
        return f"{type(v).__name__}([{', '.join(value_text(i, runs) for i in v)}])"
    if isinstance(v, slice):
        return f"slice({', '.join(value_text(i, runs) for i in (v.start, v.stop, v.step))})"
    if isinstance(v, np.dtype) or (isinstance(v, type) and issubclass(v, np.generic)):
        return dtype_name(np.dtype(v))
    if v is Ellipsis:
        return "..."
    if isinstance(v, type) and v in (bool, int, float):
        return v.__name__
    if isinstance(v, np.ufunc) and getattr(np, v.__name__, None) is v:
        return f"np.{v.__name__}"
    if runs and v is not None and type(v) not in (bool, int, float, str):
        raise TypeError(f"{v!r:.80} has no form as source")
    return repr(v)


def index_text(index: Any, arrays: list[Code], alone: bool = True) -> str:
    """An index between its brackets, or (`alone=False`) as a value of its own."""
    fill = iter(arrays)

    def part(i: Any) -> str:
        if i is ops.HOLE:
            return next(fill).text
        if isinstance(i, slice) and alone:
            ends = ["" if end is None else value_text(end) for end in (i.start, i.stop, i.step)]
            return ":".join(ends if ends[2] else ends[:2])
        return value_text(i)

    if not alone and any(isinstance(i, slice) for i in (index if isinstance(index, tuple) else (index,))):
        return f"np.s_[{index_text(index, arrays)}]"
    if not isinstance(index, tuple):
        return part(index)
    parts = ", ".join(map(part, index)) + "," * (len(index) == 1 and not alone)
    return parts if alone and index else f"({parts})"


def literal(x: np.ndarray) -> str:
    """An array as source: the same numbers to the last bit (but NaN is NaN)."""
    kind = dtype_name(x.dtype)
    if not x.ndim:
        text = value_text(x[()])
        return text if x.dtype in (np.float64, np.int64, bool) else f"{kind}({text})"
    if not x.size:
        return f"np.zeros({x.shape}, {kind})"
    numbers = x.tobytes()  # compared as bytes: 0.0 == -0.0
    if x.ndim == 1 and x.dtype == np.int64 and numbers == np.arange(len(x)).tobytes():
        return f"np.arange({len(x)})"
    if x.ndim == 2 and x.shape[0] == x.shape[1] > 1 and numbers == np.eye(len(x), dtype=x.dtype).tobytes():
        return f"np.eye({len(x)})" if x.dtype == np.float64 else f"np.eye({len(x)}, dtype={kind})"
    if x.size > 1 and numbers == np.full(x.shape, x.flat[0], x.dtype).tobytes():
        return f"np.full({x.shape}, {value_text(x.flat[0])}, {kind})"
    text = value_text(x.tolist())
    return f"np.array({text})" if np.array(x.tolist()).dtype == x.dtype else f"np.array({text}, {kind})"
