"""The numba back end: a program as loops over one block of memory, all shapes constants, compiled and kept on disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import ops
from ..ops.op import Op
from ..program.expressions import INFIX
from ..program.trace import Node
from .lower import REDUCTIONS, Program, behind_views, is_view

UNROLLED = 16  # the most columns of a product that are summed side by side
LARGE = 50_000  # multiply-adds from which on a product is left to BLAS
SIGNS = {op: sign for op, (sign, _) in INFIX.items() if op not in (ops.matmul, ops.power)}
START = {ops.sum: "0.0", ops.mean: "0.0", ops.prod: "1.0", ops.max: "-np.inf", ops.min: "np.inf"}
TAKE = {ops.sum: "{} + {}", ops.mean: "{} + {}", ops.prod: "{} * {}", ops.max: "np.maximum({}, {})"}
TAKE[ops.min] = "np.minimum({}, {})"
# Elementwise ops that are no ufunc, or are written otherwise.
LOGIC = {ops.logical_and: "({}) and ({})", ops.logical_or: "({}) or ({})", ops.logical_not: "not ({})"}
WRITTEN = {*SIGNS, *LOGIC, ops.where, ops.power, ops.square, ops.negative, ops.clip}
# NumPy's functions that numba knows as well, by NumPy's own name for them.
UFUNCS = {
    op: op.forward.__name__ for op in vars(ops).values() if isinstance(op, Op) and isinstance(op.forward, np.ufunc)
}
# What makes masks in loops.
MASKS = {*SIGNS, *LOGIC, ops.where, ops.isnan, ops.isinf, ops.isfinite}

SHAPE, RANGE, LARGE_NUMBER = 1, 2, 3  # what a compiled function returns where it could not run

Index = tuple[str, ...]


class NoLoops(TypeError):
    """The program has no form as loops; the message says why."""


class Loops:
    """A program as source.

    `places`: where the array of a Node begins in the block `m`. `segments`: what is to be run in turn: the lines of a
    function, then a Node that is left to NumPy (a large product, for BLAS; an op that has no loop form), and so on.
    """

    def __init__(self, program: Program):
        self.program = program
        self.dtype = self.one_dtype()
        self.places: dict[Node, int] = {}
        self.size = 0
        self.values = {value: leaf for leaf, value in program.updates}
        constants = [x for x in program.constants if x.shape]  # numbers stand in the code itself
        leaves = [*program.feeds, *program.numbers, *constants, *(x for _, x in program.held)]
        for node in [*leaves, *(x for _, _, x in program.states)]:
            self.place(node)
        work = [x for x in program.nodes if not is_view(x)]
        late = self.only_for_updates(work)
        self.kernels = [
            *self.grouped([x for x in work if x not in late]),
            *self.grouped([x for x in work if x in late]),
        ]
        self.check_updates(late)
        self.store_what_travels()
        self.segments: list[Any] = [[]]
        for kernel in self.kernels:
            if self.is_call(kernel[0]):
                self.segments += [kernel[0], []]
            else:
                self.segments[-1] += self.kernel(kernel)

    def source(self, what: str) -> str:
        """A module with a function `step` or `epoch`, or with the segments between what is left to NumPy."""
        lines = ['"""Written by tinygrad_steel."""', "", "import numba", "import numpy as np", ""]
        if len(self.segments) > 1:
            for i, body in enumerate(self.segments):
                if isinstance(body, list) and body:
                    lines += [*self.head(f"segment{i}", [], ["m"]), *indented(body, 1), "    return 0", ""]
            return "\n".join(lines)
        (body,) = self.segments
        feeds = [f"x{i}" for i in range(len(self.program.feeds))]
        if what == "epoch" and feeds:
            return "\n".join(lines + self.epoch(feeds, body))
        lines += [*self.head("step", feeds, [*feeds, "m"]), *indented(self.take_step(feeds), 1), *indented(body, 1)]
        return "\n".join([*lines, "    return 0", ""])

    def head(self, name: str, feeds: list[str], arguments: list[str]) -> list[str]:
        """The first lines of a function."""
        types = []
        for argument in arguments:
            if argument in feeds:
                x = self.program.feeds[feeds.index(argument)]
                types.append(f"{kind(x.dtype)}[{':,' * (x.ndim - 1)}::1]" if x.ndim else f"{kind(x.dtype)}[::1]")
            else:
                known = {"order": "int64[::1]", "numbers": f"{self.dtype}[:,::1]"}
                types.append(known.get(argument, f"{self.dtype}[::1]"))
        options = 'cache=True, error_model="numpy"'  # no fastmath: (x + c) - c is not x, and it saves no time
        return [f'@numba.njit("int64({", ".join(types)})", {options})', f"def {name}({', '.join(arguments)}):"]

    def take_step(self, feeds: list[str]) -> list[str]:
        """The arrays of one call into the block."""
        lines = []
        for name, x in zip(feeds, self.program.feeds):
            wrong = " or ".join(f"{name}.shape[{i}] != {n}" for i, n in enumerate(x.shape)) or f"{name}.shape[0] != 1"
            lines += [f"if {wrong}:", f"    return {SHAPE}", f"y = {name}.ravel()", f"for j in range({x.data.size}):"]
            limit = largest_integer(self.dtype)
            if classes := self.program.classes(x):
                lines += [f"    if y[j] < 0 or y[j] >= {min(classes)}:", f"        return {RANGE}"]
            elif not holds_all(self.dtype, x.dtype):
                test = f"y[j] > {limit} or y[j] < -{limit}" if x.dtype.kind == "i" else f"y[j] > np.uint64({limit})"
                lines += [f"    if {test}:", f"        return {LARGE_NUMBER}"]
            lines += [f"    m[{self.places[x]} + j] = y[j]"]
        return lines

    def epoch(self, feeds: list[str], body: list[str]) -> list[str]:
        """All steps of an epoch: rows gathered by `order`, which are checked before, and results of each step kept."""
        program, rows = self.program, self.program.feeds[0].shape[0]
        outputs = [f"out{i}" for i in range(len(program.outputs))]
        lines = self.head("epoch", feeds, [*feeds, "order", "numbers", "losses", *outputs, "m"])
        inner = [f"for i in range({rows}):", f"    row = order[s * {rows} + i]"]
        for name, x in zip(feeds, program.feeds):
            width = x.data.size // rows
            taken = f"m[{self.places[x]} + i * {width} + j] = {name}_[row * {width} + j]"
            inner += [f"    for j in range({width}):", f"        {taken}"]
        inner += [f"m[{self.places[x]}] = numbers[s, {i}]" for i, x in enumerate(program.numbers)]
        inner += body
        inner += [f"losses[s] = m[{self.places[program.loss]}]"]
        for name, x in zip(outputs, program.outputs):
            size = x.data.size
            inner += [f"for j in range({size}):", f"    {name}[s * {size} + j] = m[{self.places[x]} + j]"]
        flattened = [f"    {name}_ = {name}.ravel()" for name in feeds]
        return [*lines, *flattened, "    for s in range(losses.shape[0]):", *indented(inner, 2), "    return 0", ""]

    # What goes where

    def one_dtype(self) -> np.dtype:
        """The float dtype of everything; NoLoops where there are two."""
        nodes = [*self.program.nodes, *self.program.feeds]
        nodes += [x for _, x in self.program.held] + [x for _, _, x in self.program.states]
        if any(x.dtype.kind != "f" for _, _, x in self.program.states):
            raise NoLoops("what the optimizer remembers is to be floats")
        dtypes = {x.dtype for x in nodes if x.dtype.kind == "f"}
        if len(dtypes) != 1:
            raise NoLoops(f"{' and '.join(sorted(map(str, dtypes)))} in one program: convert the data to one dtype")
        if not dtypes <= {np.dtype(np.float32), np.dtype(np.float64)}:
            raise NoLoops(f"there are no loops for {dtypes.pop()}: use float64 or float32")
        (dtype,) = dtypes
        plain = [np.array(i) for x in self.program.nodes for i in x.inputs if type(i) is int and -(2**63) <= i < 2**63]
        for x in (*(i.data for i in self.program.constants), *(i.data for i in self.program.feeds), *plain):
            if not fits_exactly(x, dtype):
                raise NoLoops(f"there are integers that {dtype} cannot hold: the NumPy back end can")
        return dtype

    def place(self, node: Node) -> None:
        """Room for the array of a Node."""
        if node not in self.places:
            self.places[node] = self.size
            self.size += node.data.size

    def only_for_updates(self, work: list[Node]) -> set[Node]:
        """What nothing but an update needs: it comes last, when nobody reads the old values any more."""
        needed = {self.program.loss, *self.program.outputs, *(g for _, _, g in self.program.parameters)}
        for node in reversed(self.program.nodes):
            if node in needed:
                needed.update(node.nodes())
        return {x for x in work if x not in needed}

    def check_updates(self, late: set[Node]) -> None:
        """NoLoops where an optimizer's rule is not elementwise: its old values might be gone before they are read."""
        written: dict[Node, list[Node]] = {}
        for kernel in self.kernels:
            for node in kernel:
                if node in self.values and node in late and self.is_loop(node) and node.op not in REDUCTIONS:
                    written[self.values[node]] = kernel
            for node in kernel:
                at = index_names(space(node))
                for x, index in zip(node.inputs, self.indices(node, at)):
                    leaf = behind_views(x) if isinstance(x, Node) else None
                    if leaf in written and (written[leaf] is not kernel or self.base(x, index)[1] != at):
                        raise NoLoops("the optimizer's rule reads old values after it has renewed them")
        if len(written) < len(self.program.updates):
            raise NoLoops("the optimizer's rule renews something otherwise than element by element")

    def grouped(self, work: list[Node]) -> Iterator[list[Node]]:
        """Nodes that run in one loop nest: of one shape, and none reads another's elements but its own."""
        left = dict.fromkeys(work)
        while left:
            first = next(iter(left))
            group = [first]
            if self.is_loop(first):
                for node in [*left][1:]:
                    if self.is_loop(node) and space(node) == space(first) and self.fits(node, group, left):
                        group.append(node)
            for node in group:
                del left[node]
            yield group

    def fits(self, node: Node, group: list[Node], left: dict[Node, None]) -> bool:
        """Whether all it reads is there already, or is the same element of one in the group."""
        at = index_names(space(node))
        for x, index in zip(node.inputs, self.indices(node, at)):
            if isinstance(x, Node):
                base, where = self.base(x, index)
                if base in left and not (base in group and where == at and base.op not in REDUCTIONS):
                    return False
        return True

    def store_what_travels(self) -> None:
        """Room for what is read outside of its own loop nest, and for results."""
        for node in [self.program.loss, *self.program.outputs, *(g for _, _, g in self.program.parameters)]:
            self.place(node)
        for kernel in self.kernels:
            for node in kernel:
                if node.op in REDUCTIONS or not self.is_loop(node):
                    self.place(node)
                if not self.is_loop(node):
                    for x in node.nodes():
                        self.place(behind_views(x))
                    continue
                at = index_names(space(node))
                for x, index in zip(node.inputs, self.indices(node, at)):
                    if isinstance(x, Node):
                        base, where = self.base(x, index)
                        if base.op is not None and (base not in kernel or where != at):
                            self.place(base)

    def is_call(self, node: Node) -> bool:
        """Whether it is left to NumPy."""
        if node.op is ops.matmul:
            small = node.data.size * node.inputs[0].shape[-1] < LARGE and node.dtype.kind == "f"
            return not (small and all(isinstance(x, Node) and 1 <= x.ndim <= 2 for x in node.inputs))
        if node.op is ops.one_hot:
            return node.inputs[0] not in self.program.feeds
        if node.op in REDUCTIONS:
            return node.op not in START or not self.adds_up_exactly(node)
        if node.dtype.kind == "f":
            return node.op not in WRITTEN and node.op not in UFUNCS
        if node.dtype.kind == "b":
            return node.op not in MASKS
        return True  # integers wrap around, and divide in their own way

    def adds_up_exactly(self, node: Node) -> bool:
        """Whether a sum or product of integers stays one in floats: a count does, others may grow beyond them."""
        if node.op not in (ops.sum, ops.prod) or node.dtype.kind not in "iu":
            return True
        return is_mask(node.inputs[0]) and node.inputs[0].data.size <= largest_integer(self.dtype)

    def is_loop(self, node: Node) -> bool:
        """Whether it can share a loop nest with others."""
        return node.op is not ops.matmul and not self.is_call(node)

    # Reading

    def indices(self, node: Node, at: Index) -> list[Index]:
        """Where a Node reads its inputs, for the element `at` of its loop nest."""
        if node.op in REDUCTIONS or node.op is ops.one_hot:
            return [at] * len(node.inputs)
        return [
            tuple("0" if n == 1 else i for n, i in zip(x.shape, at[len(at) - x.ndim :])) if isinstance(x, Node) else ()
            for x in node.inputs
        ]

    def base(self, x: Node, at: Index) -> tuple[Node, Index]:
        """The Node behind views, and where its element is."""
        while is_view(x):
            at = index_behind(x, at)
            x = x.inputs[0]
        return x, at

    def read(self, x: Any, at: Index, inside: dict[Node, str], here: Index) -> str:
        """An element as an expression."""
        if not isinstance(x, Node):
            return self.number(x)
        base, where = self.base(x, at)
        if base in inside and where == here:
            return as_number(inside[base]) if is_mask(base) and not is_mask(x) else inside[base]
        if base not in self.places:
            return self.number(base.data)
        text = f"m[{flat(self.places[base], base.shape, where)}]"
        return f"({text} != 0.0)" if is_mask(x) else text

    def number(self, x: Any) -> str:
        """A constant."""
        value = float(x)
        sign = "-" if value < 0 else ""
        text = repr(value) if math.isfinite(value) else "np.nan" if value != value else f"{sign}np.inf"
        return text if self.dtype == np.float64 else f"np.{self.dtype}({text})"

    # Writing

    def kernel(self, nodes: list[Node]) -> list[str]:
        """The lines of one loop nest."""
        first = nodes[0]
        if first.op is ops.matmul:
            return self.product(first)
        shape = space(first)
        at = index_names(shape)
        before: list[list[str]] = [[] for _ in range(len(shape) + 1)]  # by depth
        after: list[list[str]] = [[] for _ in range(len(shape) + 1)]
        body, inside = before[-1], {}
        start: list[str] = []
        end: list[str] = []
        for node in nodes:
            if node.op in REDUCTIONS:
                self.reduction(node, at, inside, start, before, after, end)
                continue
            inside[node] = name = f"t{len(inside)}"
            body.append(f"{name} = {self.element(node, at, inside)}")
            if node in self.places:
                value = as_number(name) if is_mask(node) else name
                body.append(f"m[{flat(self.places[node], shape, at)}] = {value}")
        for node in nodes:  # new values, when all old ones have been read
            if node in self.values and node in inside:
                body.append(f"m[{flat(self.places[self.values[node]], shape, at)}] = {inside[node]}")
        place = flat(0, shape, at)
        if " + " in place:  # of most arrays, the same element
            body[:] = [f"k = {place}", *(line.replace(f"{place}]", "k]") for line in body)]
        lines, depth = list(start), 0
        for axis, n in enumerate(shape):
            lines += indented(before[axis], depth)
            if n != 1:
                lines.append("    " * depth + f"for {at[axis]} in range({n}):")
                depth += 1
        lines += indented(before[-1], depth)
        for axis in range(len(shape), -1, -1):
            if axis < len(shape) and shape[axis] != 1:
                depth -= 1
            lines += indented(after[axis], depth)
        return lines + end

    def reduction(
        self,
        node: Node,
        at: Index,
        inside: dict,
        start: list,
        before: list[list[str]],
        after: list[list[str]],
        end: list,
    ) -> None:
        """Sum, mean, max and the like: in a variable where the last axes go, else in the result itself."""
        (x,), shape, op = node.inputs, node.inputs[0].shape, node.op
        axes = node.params.get("axis", tuple(range(len(shape))))
        kept = [i for i in range(len(shape)) if i not in axes]
        where = flat(self.places[node], node.shape, tuple(at[i] for i in kept))
        value = self.read(x, at, inside, at)
        value = as_number(value) if is_mask(x) else value
        count = math.prod(shape[i] for i in axes)
        if kept == [*range(len(kept))]:
            name, depth = f"r{self.places[node]}", len(kept)
            before[depth].append(f"{name} = {START[op]}")
            before[-1].append(f"{name} = {TAKE[op].format(name, value)}")
            result = f"{name} / {count}" if op is ops.mean else name
            (after[depth] if depth < len(shape) else before[-1]).append(f"m[{where}] = {result}")
        else:
            first = self.places[node]
            start += [f"for j in range({first}, {first + node.data.size}):", f"    m[j] = {START[op]}"]
            before[-1].append(f"m[{where}] = {TAKE[op].format(f'm[{where}]', value)}")
            if op is ops.mean:
                end += [f"for j in range({first}, {first + node.data.size}):", f"    m[j] /= {count}"]

    def element(self, node: Node, at: Index, inside: dict[Node, str]) -> str:
        """One element of an elementwise op."""
        op, inputs = node.op, node.inputs
        texts = [self.read(x, index, inside, at) for x, index in zip(inputs, self.indices(node, at))]
        if op is ops.one_hot:
            return f"m[{flat(self.places[inputs[0]], inputs[0].shape, at[:1])}] == {at[1]}"
        if op is ops.clip:
            low, high = node.params.get("a_min"), node.params.get("a_max")
            text = texts[0] if low is None else f"np.maximum({texts[0]}, {self.number(low)})"
            return text if high is None else f"np.minimum({text}, {self.number(high)})"
        if op is ops.where:
            return f"({texts[1]}) if ({texts[0] if is_mask(inputs[0]) else texts[0] + ' != 0.0'}) else ({texts[2]})"
        if op in (ops.add, ops.multiply) and is_mask(node):
            op = ops.logical_or if op is ops.add else ops.logical_and
        if op in LOGIC:
            return LOGIC[op].format(*(t if is_mask(x) else f"{t} != 0.0" for t, x in zip(texts, inputs)))
        if op in SIGNS:
            return f"({texts[0]}) {SIGNS[op]} ({texts[1]})"
        texts = [as_number(text) if is_mask(x) else text for text, x in zip(texts, inputs)]
        if op is ops.power:
            return f"({texts[0]}) ** ({texts[1]})"
        if op is ops.square:
            return f"({texts[0]}) * ({texts[0]})"
        if op is ops.negative:
            return f"-({texts[0]})"
        if op is ops.sign:  # faster than numba's own; 0 and NaN are theirs
            (x,) = texts
            return f"{self.number(1)} if {x} > 0.0 else {self.number(-1)} if {x} < 0.0 else {x}"
        return f"np.{UFUNCS[op]}({', '.join(texts)})"

    def product(self, node: Node) -> list[str]:
        """A matrix product; where they are few, its elements or its columns are summed side by side."""
        a, b = node.inputs
        inner = a.shape[-1]
        rows, columns = (a.shape[0] if a.ndim == 2 else 1), (b.shape[1] if b.ndim == 2 else 1)
        first = self.places[node]

        def left(k: str, i: str = "i") -> str:
            return self.read(a, (i, k) if a.ndim == 2 else (k,), {}, ())

        def right(k: str, j: str) -> str:
            return self.read(b, (k, j) if b.ndim == 2 else (k,), {}, ())

        if 0 < rows * columns <= UNROLLED:
            places = [(str(i), str(j)) for i in range(rows) for j in range(columns)]
            return [
                *(f"s{i}_{j} = 0.0" for i, j in places),
                f"for k in range({inner}):",
                *(f"    s{i}_{j} += {left('k', i)} * {right('k', j)}" for i, j in places),
                *(f"m[{flat(first, (rows, columns), (i, j))}] = s{i}_{j}" for i, j in places),
            ]
        if columns <= UNROLLED:
            sums = [f"s{j}" for j in range(columns)]
            return [
                f"for i in range({rows}):",
                *(f"    {s} = 0.0" for s in sums),
                f"    for k in range({inner}):",
                f"        a = {left('k')}",
                *(f"        {s} += a * {right('k', str(j))}" for j, s in enumerate(sums)),
                *(f"    m[{flat(first + j, (rows, columns), ('i', '0'))}] = {s}" for j, s in enumerate(sums)),
            ]
        return [
            f"for i in range({rows}):",
            f"    for j in range({columns}):",
            f"        m[{first} + i * {columns} + j] = 0.0",
            f"    for k in range({inner}):",
            f"        a = {left('k')}",
            f"        for j in range({columns}):",
            f"            m[{first} + i * {columns} + j] += a * {right('k', 'j')}",
        ]


def kind(dtype: np.dtype) -> str:
    """A dtype as numba calls it."""
    return "boolean" if dtype.kind == "b" else dtype.name


def largest_integer(dtype: np.dtype) -> int:
    """Up to which number a float dtype holds every integer, as the block of memory does: 2**53 for float64."""
    return 2 ** (np.finfo(dtype).nmant + 1)


def holds_all(dtype: np.dtype, integers: np.dtype) -> bool:
    """Whether a float dtype holds all numbers of another one."""
    return integers.kind not in "iu" or np.iinfo(integers).max <= largest_integer(dtype)


def fits_exactly(x: np.ndarray, dtype: np.dtype) -> bool:
    """Whether a float dtype holds these numbers as they are, if they are integers."""
    if not x.size or holds_all(dtype, x.dtype):
        return True
    limit = largest_integer(dtype)
    return -limit <= int(x.min()) and int(x.max()) <= limit


def is_mask(x: Any) -> bool:
    """Whether its elements are truth values."""
    return isinstance(x, Node) and x.dtype.kind == "b"


def as_number(mask: str) -> str:
    """An element of a mask as a number."""
    return f"(1.0 if {mask} else 0.0)"


def space(node: Node) -> tuple[int, ...]:
    """The shape over which a Node loops."""
    return node.inputs[0].shape if node.op in REDUCTIONS else node.shape


def index_names(shape: tuple[int, ...]) -> Index:
    """A loop variable for each axis."""
    return tuple("0" if n == 1 else f"i{axis}" for axis, n in enumerate(shape))


def index_behind(view: Node, at: Index) -> Index:
    """Where in the input of a view the element `at` is."""
    (x, *_), op, params = view.inputs, view.op, view.params
    if op is ops.transpose:
        axes = params.get("axes") or tuple(range(x.ndim))[::-1]
        return tuple(at[list(i % x.ndim for i in axes).index(k)] for k in range(x.ndim))
    if op is ops.swapaxes:
        order = list(at)
        i, j = params["axis1"], params["axis2"]
        order[i], order[j] = order[j], order[i]
        return tuple(order)
    if op is ops.broadcast_to:
        return tuple("0" if n == 1 else i for n, i in zip(x.shape, at[len(at) - x.ndim :]))
    if op is ops.flip:
        axes = params.get("axis")
        axes = range(x.ndim) if axes is None else axes if isinstance(axes, tuple) else (axes,)
        flipped = {i % x.ndim for i in axes}
        return tuple(along(n - 1, -1, i) if k in flipped else i for k, (n, i) in enumerate(zip(x.shape, at)))
    if op in (ops.reshape, ops.expand_dims, ops.squeeze):
        return reshaped(x.shape, view.shape, at)
    if op is ops.getitem:
        return sliced(x.shape, params["index"], at)
    return at


def reshaped(old: tuple[int, ...], new: tuple[int, ...], at: Index) -> Index:
    """The index before a reshape: the same, but for axes of length 1, or else by division."""
    long = [i for n, i in zip(new, at) if n != 1]
    if [n for n in new if n != 1] == [n for n in old if n != 1]:
        left = iter(long)
        return tuple("0" if n == 1 else next(left) for n in old)
    position, found, step = flat(0, new, at), [], 1
    for n in reversed(old):
        known = position.isdigit() and str(int(position) // step % max(n, 1))
        found.append("0" if n < 2 else known or f"(({position}) // {step} % {n})")
        step *= n
    return tuple(reversed(found))


def along(start: int, step: int, i: str) -> str:
    """start + step * i"""
    if i.isdigit():
        return str(start + step * int(i))
    return i if (start, step) == (0, 1) else f"({start} + {step} * {i})"


def sliced(shape: tuple[int, ...], index: Any, at: Index) -> Index:
    """The index before `x[index]`, for numbers, slices, None and Ellipsis."""
    parts = list(index) if isinstance(index, tuple) else [index]
    taken = sum(1 for part in parts if part is not None and part is not Ellipsis)
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    spot = next(i for i, part in enumerate(parts) if part is Ellipsis)
    parts[spot : spot + 1] = [slice(None)] * (len(shape) - taken)
    found, left, axis = [], iter(at), 0
    for part in parts:
        if part is None:
            next(left)
        elif isinstance(part, slice):
            start, _, step = part.indices(shape[axis])
            found.append(along(start, step, next(left)))
            axis += 1
        else:
            found.append(str(int(part) % shape[axis]))
            axis += 1
    return tuple(found)


def flat(first: int, shape: tuple[int, ...], at: Index) -> str:
    """Where in the block an element is."""
    terms, step, offset = [], 1, first
    for n, i in zip(reversed(shape), reversed(at)):
        if i.isdigit():
            offset += int(i) * step
        else:
            terms.append(i if step == 1 else f"{i} * {step}")
        step *= n
    return " + ".join([*([str(offset)] if offset or not terms else []), *reversed(terms)])


def indented(lines: list[str], depth: int) -> list[str]:
    """Lines inside so many loops."""
    return ["    " * depth + line for line in lines]
