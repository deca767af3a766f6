"""`compare_backprop`: a hand-written chain of gradients against the graph's, and the reason of its first wrong step."""

from __future__ import annotations

import difflib
import html
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from . import ops
from .check import GradientError
from .registry import data_of
from .source import Code, Definitions, Writer, behind
from .tensor import Tensor
from .trace import Names, Node, Trace, alias, trace

# Relative to the largest element; a gradient that is off by less than ROUNDING may have passed through float32.
RTOL, RTOL32, ROUNDING = 1e-9, 1e-4, 1e-5
RIGHT, ROUNDED, WRONG, FOLLOWS = "right", "right, but for float32 rounding", "wrong", "follows from a wrong one"
NEAREST = 40  # steps that are looked at for a fault between two gradients handed over


class Step(NamedTuple):
    """What the report says of one gradient.

    `verdict`: "right", "right, but for float32 rounding", "wrong", or "follows from a wrong one": what its own step
    makes of a wrong gradient handed over earlier. `absolute`, `relative`: its largest difference, and that in relation
    to the largest element; NaN where shapes differ. `reason`: of a wrong step. `code`: the step as the graph has it.
    """

    name: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    verdict: str
    reason: str
    code: list[str]


class Report:
    """What `compare_backprop` found: print it, or ask `ok`, `steps`, `first_wrong`."""

    def __init__(self, steps: list[Step]):
        self.steps = steps

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return all(step.verdict in (RIGHT, ROUNDED) for step in self.steps)

    @property
    def first_wrong(self) -> Step | None:
        """The first wrong step, from the loss backwards; None where all are right."""
        return next((step for step in self.steps if step.verdict == WRONG), None)

    def raise_if_wrong(self) -> None:
        """GradientError, with the report as its message, where a gradient is wrong."""
        if not self.ok:
            raise GradientError(str(self))

    def rows(self) -> list[tuple[str, ...]]:
        """The table."""
        table = [("gradient", "shape", "largest difference", "relative", "verdict")]
        for s in self.steps:
            numbers = ("-", "-") if np.isnan(s.absolute) else (f"{s.absolute:.2g}", f"{s.relative:.2g}")
            table.append((s.name, str(s.shape), *numbers, s.verdict))
        return table

    def summary(self) -> list[str]:
        """What is wrong, and what would be right."""
        wrong = [step for step in self.steps if step.verdict == WRONG]
        if not wrong:
            return [f"All {len(self.steps)} gradients are right." if len(self.steps) != 1 else "The gradient is right."]
        lines = []
        for which, step in zip(itertools.chain(["First wrong step"], itertools.repeat("Wrong as well")), wrong):
            lines.append(f"{which}: {step.name}, {step.reason}.")
            lines += [f"  {'the graph has' if i == 0 else ''.rjust(13)}  {line}" for i, line in enumerate(step.code)]
        return lines

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([*table, *self.summary()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.rows()]
        head = head.replace("td>", "th>")
        text = "<br>".join(map(html.escape, self.summary()))
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table><p>{text}</p>"


def compare_backprop(loss: Tensor, names: Names = None, **manual: Any) -> Report:
    """Compare gradients which a chain of one's own has computed with the graph's; find the first wrong step and why.

    `manual`: `G_name=array` for any of the named Tensors behind the loss, leaves or not; `names`: variable names for
    Tensors without a name, such as `locals()`. From the loss backwards each gradient is judged as a step of its own:
    it is wrong if it does not come out of the gradients handed over before it. The reason of a wrong step is found by
    trying what goes wrong usually: a factor, a sign, a transpose, an axis, a local derivative left out.

    Tolerances follow the dtype: 1e-9 of the largest element in float64, 1e-4 in float32. Raises nothing over a wrong
    gradient; ValueError for a name that the graph does not have or through which no gradient flows, and what
    `loss.backward()` raises.

    >>> x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    >>> weight = Tensor([[1.0]], requires_grad=True, name="weight")
    >>> diff = x @ weight - y
    >>> loss = np.mean(np.square(diff))
    >>> G_diff = 2 * diff.numpy()                   # where is the mean's division by 2?
    >>> G_weight = x.numpy().T @ G_diff
    >>> print(compare_backprop(loss, locals(), G_diff=G_diff, G_weight=G_weight))
    gradient  shape   largest difference  relative  verdict
    G_diff    (2, 1)  3                   1         wrong
    G_weight  (1, 1)  8                   1         follows from a wrong one
    First wrong step: G_diff, 2 times too large everywhere: not divided by the batch size 2, or a factor 2 too much.
      the graph has  G_diff = 2 * diff * G_loss / 2
    """
    return Comparison(trace(loss, names), manual).report()


class Comparison:
    """One run: the graph, the gradients handed over, and what each step makes of those before it."""

    def __init__(self, traced: Trace, manual: dict[str, Any]):
        self.traced = traced
        self.gradients = dict(traced.backward)
        self.writer, self.lines = written(traced)
        order = behind([*self.writer.codes, *self.gradients.values()])
        self.order = [node for node in order if node.gradient and node is not traced.start]
        self.manual = {self.find(name): handed(name, value) for name, value in manual.items()}
        self.values: dict[Node, np.ndarray] = {}  # gradients, given those handed over
        self.expected: dict[Node, np.ndarray] = {}

    def find(self, name: str) -> Node:
        """The gradient of that name; ValueError where there is none."""
        found = {self.name(g): g for g in self.gradients.values() if self.name(g)}
        found |= {f"G_{x.name}": g for x, g in self.gradients.items() if x.name and f"G_{x.name}" not in found}
        if name in found:
            return found[name]
        known = ", ".join(found)
        if name.startswith("G_") and any(x.name == name[2:] for x in self.traced.forward):
            raise ValueError(
                f"{name}: no gradient flows to {name[2:]}; make it with requires_grad=True to have it compared"
            )
        close = difflib.get_close_matches(name, found, 1) or difflib.get_close_matches(f"G_{name}", found, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(
            f"{name} is not a gradient of this graph{hint}; it has {known}. Give names with name=... or names=locals()"
        )

    def name(self, g: Node) -> str:
        """What the written source calls a gradient; empty where it does not."""
        text = self.writer.codes[g].text if g in self.writer.codes else ""
        return text if text.startswith("G_") and text.isidentifier() else ""

    def replay(self, changed: dict[Node, np.ndarray], base: dict[Node, np.ndarray]) -> dict[Node, np.ndarray]:
        """The values of all gradients if these had others."""
        values = dict(changed)
        for node in self.order:
            if node not in values and any(x in values for x in node.nodes()):
                values[node] = self.compute(node, base | values)
        return base | values

    @staticmethod
    def compute(node: Node, values: dict[Node, np.ndarray]) -> np.ndarray:
        """A Node from its inputs, as these are now."""
        return node.compute(*(values.get(x, x.data) if isinstance(x, Node) else x for x in node.inputs))

    def code(self, name: str) -> list[str]:
        """The line of a gradient in the written source, and those of the short names in it."""
        line = self.lines.get(name)
        short = [self.lines[t] for t in re.findall(r"\bt\d+\b", line or "") if t in self.lines]
        return [line, *dict.fromkeys(short)] if line else []

    @np.errstate(all="ignore")
    def report(self) -> Report:
        """Judge one gradient after the other."""
        steps, spoiled = [], False
        start = self.traced.start
        for node in [start, *self.order]:
            if node is None:
                continue
            expected = node.data if node is start else self.compute(node, self.values)
            self.values[node] = self.expected[node] = expected
            if node in self.manual:
                step = self.judge(node, self.manual[node], expected, spoiled)
                steps.append(step)
                spoiled = spoiled or step.verdict == WRONG
                self.values[node] = reshaped(self.manual[node], expected)
        return Report(steps)

    def judge(self, node: Node, m: np.ndarray, expected: np.ndarray, spoiled: bool) -> Step:
        """The verdict on `m`, which was handed over where `expected` follows from what was handed over before."""
        name, true = self.name(node) or f"G_{node.owner.name}", node.data
        if m.shape != true.shape:
            return Step(name, m.shape, np.nan, np.nan, WRONG, self.reason(node, m, expected), self.code(name))
        absolute = float(np.max(np.abs(m - true), initial=0))
        relative = absolute / float(np.max(np.abs(true), initial=0)) if np.any(true) else absolute and np.inf
        rtol = RTOL32 if np.float32 in (m.dtype, node.dtype) else RTOL
        noise = self.noise(node)

        def near(rtol: float, to: np.ndarray) -> bool:
            return bool(np.all(np.abs(m - to) <= rtol * np.max(np.abs(to), initial=0) + noise))

        verdict, reason = WRONG, ""
        if near(rtol, expected) or near(rtol, true):
            verdict = RIGHT if near(rtol, true) else FOLLOWS if spoiled else RIGHT
            if verdict == RIGHT and rtol == RTOL32 != RTOL and node.dtype == np.float64:
                verdict = ROUNDED
        elif near(ROUNDING, expected) and not self.epsilon_reason(node, m):
            verdict = FOLLOWS if spoiled else ROUNDED
        else:
            reason = self.reason(node, m, expected)
        return Step(name, m.shape, absolute, relative, verdict, reason, self.code(name))

    def noise(self, node: Node) -> float:
        """What rounding alone may do to a gradient that comes out small by cancellation."""
        eps, level = float(np.finfo(node.dtype).eps), 0.0
        for y, x, _ in self.traced.edges:
            if x is node.owner and self.gradients[y] in self.values:
                g = np.abs(self.values[self.gradients[y]])
                size = float(np.max(g, initial=0))
                if y.op is ops.matmul:
                    other = y.inputs[1 if y.inputs[0] is x else 0]
                    size *= float(np.max(np.abs(other.data), initial=0)) * max(1, y.data.size // max(1, x.shape[-1]))
                elif y.shape != x.shape:
                    size *= y.data.size
                level += size
        return 32 * eps * level

    # Reasons

    def reason(self, node: Node, m: np.ndarray, expected: np.ndarray) -> str:
        """Why `m` is wrong, in words that follow the name of the gradient."""
        if not np.all(np.isfinite(m)) and np.all(np.isfinite(expected)):
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(m))[0])
            return f"{m[at]} at index {at}, where {expected[at] if m.shape == expected.shape else 'a number'} is right"
        if m.shape != expected.shape:
            return self.shape_reason(node, m, expected)
        factor = constant_factor(m, expected)
        known = factor is not None and self.factor_reason(factor)
        return (
            known
            or self.epsilon_reason(node, m)
            or self.fault(node, m)
            or (factor is not None and f"{factor:.6g} times the right gradient everywhere")
            or elements(m, expected)
        )

    def shape_reason(self, node: Node, m: np.ndarray, expected: np.ndarray) -> str:
        """What is wrong where the shape is."""
        shape = f"shape {m.shape} is not {expected.shape}"
        if m.size == expected.size:
            if m.shape == expected.shape[::-1] and same(m.T, expected) and m.ndim > 1:
                return f"the transpose: {shape}"
            if same(m.reshape(expected.shape), expected):
                return f"right numbers in a wrong shape: {shape}"
        found = self.fault(node, m)
        return f"{found}: {shape}" if found else shape

    def factor_reason(self, factor: float) -> str:
        """A constant factor, where it is one that has a meaning."""
        if np.isclose(factor, 0, atol=1e-12):
            return "zero everywhere: the gradient does not arrive here"
        size, sign = abs(factor), "the sign is wrong" if factor < 0 else ""
        if np.isclose(size, 1, rtol=1e-6):
            return sign
        counts = self.counts()
        up = [text for n, text in counts if np.isclose(size, n, rtol=1e-6)]
        down = [text for n, text in counts if np.isclose(1 / size, n, rtol=1e-6)]
        twice = [text for n, text in counts if np.isclose(size, n * n, rtol=1e-6)]
        if up or np.isclose(size, 2, rtol=1e-6):
            causes = [f"not divided by {text}" for text in up] + ["a factor 2 too much"] * bool(np.isclose(size, 2))
            found = f"{size:.6g} times too large everywhere: {', or '.join(causes)}"
        elif down or np.isclose(size, 0.5, rtol=1e-6):
            causes = [f"divided by {text} once too often" for text in down]
            causes = ["a factor 2 is missing"] * bool(np.isclose(size, 0.5)) + causes
            found = f"{1 / size:.6g} times too small everywhere: {', or '.join(causes)}"
        elif twice:
            found = f"{size:.6g} times too large everywhere: multiplied by {twice[0]} instead of divided by it"
        else:
            return ""
        return f"{sign}, and it is {found}" if sign else found

    def counts(self) -> list[tuple[int, str]]:
        """The numbers of elements that a user may forget to divide by, or divide by wrongly."""
        found: dict[tuple[int, str], None] = {}
        rows = next((x.shape[0] for x in self.traced.leaves if x.shape and not x.wanted), 0)
        found[rows, f"the batch size {rows}"] = None
        for y in self.traced.forward:
            if y.op in (ops.mean, ops.sum) and y.inputs[0].ndim:
                x = y.inputs[0]
                if x.ndim > 1:
                    found[x.shape[-1], f"the number of classes {x.shape[-1]}"] = None
                found[x.data.size, f"the number of elements {x.data.size}"] = None
            elif y.op is not None and y.op.rowwise:
                found[y.inputs[0].shape[-1], f"the number of classes {y.inputs[0].shape[-1]}"] = None
        numbers = {}
        for n, text in found:
            if n > 1:
                numbers.setdefault(n, text)
        return [*numbers.items()]

    def fault(self, node: Node, m: np.ndarray) -> str:
        """The usual fault that gives just `m`: in this step, or in one between it and those handed over before."""
        region = self.region(node)
        for owner in region:
            g = self.gradients[owner]
            for value, reason in self.faults(owner):
                if g is node or g.owner is node.owner:
                    found = value
                elif value.shape != self.expected[g].shape:
                    continue
                else:
                    found = self.replay({g: value}, self.expected_given())[node]
                if same(found, m) and not same(found, self.expected[node]):
                    return reason if owner is node.owner else f"from a fault at G_{self.text(owner)}: {reason}"
        return self.partial(node, m, region)

    def region(self, node: Node) -> list[Node]:
        """Whose gradients may be at fault for `node`: its owner's, and those behind it that were not handed over."""
        found, todo = [], [node]
        seen = {node}
        while todo and len(found) < NEAREST:
            g = todo.pop(0)
            owners = [x for x, gradient in self.gradients.items() if gradient is g]
            found += owners
            for x in g.nodes():
                if x.gradient and x not in seen and x not in self.manual:
                    seen.add(x)
                    todo.append(x)
        return found

    def expected_given(self) -> dict[Node, np.ndarray]:
        """All gradients as they follow from those handed over so far."""
        return dict(self.values)

    def faults(self, x: Node) -> Iterator[tuple[np.ndarray, str]]:
        """Wrong gradients of `x` as people compute them, each with its reason."""
        edges = [(y, g) for y, owner, g in self.traced.edges if owner is x]
        parts = [self.values.get(g, g.data) for _, g in edges]
        for k, (y, g) in enumerate(edges):
            rest = sum((p for i, p in enumerate(parts) if i != k), np.zeros(()))
            if len(edges) > 1:
                yield np.broadcast_to(rest, x.shape), f"the gradient that comes through {self.text(y)} is missing"
                yield (
                    np.broadcast_to(parts[k], x.shape),
                    f"only the gradient that comes through {self.text(y)} is there",
                )
            for value, reason in self.edge_faults(x, y, g):
                try:
                    yield (value + rest if len(edges) > 1 else value), reason
                except ValueError:  # shapes that do not fit
                    continue

    def edge_faults(self, x: Node, y: Node, g: Node) -> Iterator[tuple[np.ndarray, str]]:
        """The same for what `y` adds to the gradient of its input `x`."""
        gy = self.values.get(self.gradients[y], self.gradients[y].data)
        came, local = f"G_{self.text(y)}", self.local_derivative(x, y, g)
        if gy.shape != x.shape and gy.size == 1:
            gy = np.broadcast_to(gy, x.shape)
        for handed_on in (
            gy,
            np.broadcast_to(gy[:, None], x.shape) if gy.ndim == 1 < x.ndim and gy.shape == x.shape[:1] else gy,
        ):
            if handed_on.shape == x.shape and (g not in (self.gradients[y],)):
                yield handed_on, f"{came} is handed on unchanged: {local}"
        yield from self.factor_faults(g, local)
        yield from self.axis_faults(x, y, g)
        if y.op is ops.matmul and x.ndim == y.ndim == 2:
            yield from self.matmul_faults(x, y, gy, came)
        if y.op is ops.getitem:
            z = np.zeros(x.shape, x.dtype)
            z[ops._key(y.params["index"], tuple(i.data for i in y.inputs[1:]))] = gy
            yield z, "assigned where it has to be added: an element taken twice gets both gradients (np.add.at)"
        yield from self.wrong_place(x, y, gy)

    def local_derivative(self, x: Node, y: Node, g: Node) -> str:
        """The words for the local derivative that is missing."""
        factors = [text for _, _, text in self.factors(g)[1] if text]
        return f"the factor {y.op.name}'({self.text(x)}) = {' * '.join(factors)} is missing" if factors else "it is not"

    def factors(self, g: Node) -> tuple[list[Node], list[tuple[Any, int, str]]]:
        """A product as those factors that are gradients, and `(factor, 1 or -1, text)` for the others."""
        gradients, others, todo = [], [], [(g, 1)]
        while todo:
            node, power = todo.pop(0)
            if isinstance(node, Node) and node.gradient and node.op in (ops.multiply, ops.divide):
                a, b = node.inputs
                todo[:0] = [(a, power), (b, power if node.op is ops.multiply else -power)]
            elif isinstance(node, Node) and node.gradient and node.op in (ops.negative, ops.broadcast_to, alias):
                todo.insert(0, (node.inputs[0], power))
                others += [(-1, 1, "-1")] if node.op is ops.negative else []
            elif isinstance(node, Node) and node.gradient:
                gradients.append(node)
            else:
                code = self.writer.operand(node, g) if self.known(node) else Code("")
                others.append((node, power, code.at(3) if power == 1 else f"1 / {code.at(5)}"))
        return gradients, others

    def known(self, x: Any) -> bool:
        """Whether the written source has an expression for it."""
        return not isinstance(x, Node) or x.op is None or x in self.writer.codes

    def factor_faults(self, g: Node, local: str) -> Iterator[tuple[np.ndarray, str]]:
        """A factor left out, applied twice, or itself computed wrongly."""
        gradients, others = self.factors(g)
        shape, one = g.shape, np.ones((), g.dtype)

        def product(without: int, *instead: Any) -> np.ndarray:
            value = one
            for x in gradients:
                value = value * self.values.get(x, x.data)
            for i, (x, power, _) in enumerate(others):
                for f in instead if i == without else (data_of_node(x),):
                    value = value * f if power == 1 else value / f
            return np.broadcast_to(value, shape) if value.size <= g.data.size else value

        for i, (x, _, text) in enumerate(others):
            yield product(i), local if len(others) == 1 else f"the factor {text} is missing"
            if not isinstance(x, Node):
                continue
            yield product(i, x.data, x.data), f"the factor {text} is there twice"
            if x.op in (ops.subtract, ops.add) and x.shape == shape:
                a, b = (data_of_node(operand) for operand in x.inputs)
                texts = [self.writer.operand(operand, x).text if self.known(operand) else "" for operand in x.inputs]
                sign = "-" if x.op is ops.subtract else "+"
                yield product(i, a), f"`{sign} {texts[1]}` is missing in the factor {text}"
                yield (
                    product(i, a + b if sign == "-" else a - b),
                    f"the sign of {texts[1]} in the factor {text} is wrong",
                )
            if x.op in SWAPPED:
                a, b = (data_of_node(operand) for operand in x.inputs)
                reason = f"right except where {text.strip('()')} meets its kink, {self.text(x.inputs[0])} == 0"
                yield product(i, SWAPPED[x.op](a, b)), f"{reason}: the slope there is a convention, and 0 in this graph"

    def axis_faults(self, x: Node, y: Node, g: Node) -> Iterator[tuple[np.ndarray, str]]:
        """A sum over the axes along which `x` was broadcast, left out or taken along others."""
        node = g
        while node.op in (alias, ops.broadcast_to):
            node = node.inputs[0]
        if y.shape == x.shape or node.op is not ops.sum:
            return
        axis = node.params.get("axis")
        while node.op is ops.sum:
            full, node = self.values.get(node.inputs[0], node.inputs[0].data), node.inputs[0]
        was = f"axis {axis}, along which {self.text(x)} {x.shape} was broadcast to {y.shape}"
        yield full, f"not summed over {was}"
        for count in range(1, full.ndim + 1):
            for axes in itertools.combinations(range(full.ndim), count):
                for keepdims in (False, True):
                    shown = axes[0] if count == 1 else axes
                    yield full.sum(axis=axes, keepdims=keepdims), f"summed over axis {shown} instead of {was}"
                    yield (
                        full.mean(axis=axes, keepdims=keepdims),
                        f"a mean over axis {shown} instead of a sum over {was}",
                    )

    def matmul_faults(self, x: Node, y: Node, gy: np.ndarray, came: str) -> Iterator[tuple[np.ndarray, str]]:
        """A product with the wrong transposes, or in the wrong order."""
        other = next((i for i in y.inputs if i is not x), x)
        a, text = other.data, Code(self.text(other)).text
        text = text if text.isidentifier() else f"({text})"
        right = f"{came} @ {text}.T" if y.inputs[0] is x else f"{text}.T @ {came}"
        for (b, b_text), (g, g_text) in itertools.product(
            [(a, text), (a.T, f"{text}.T")], [(gy, came), (gy.T, f"{came}.T")]
        ):
            for left, second, shown in ((b, g, f"{b_text} @ {g_text}"), (g, b, f"{g_text} @ {b_text}")):
                if left.shape[1] == second.shape[0] and shown != right:
                    value = left @ second
                    transposed = "the transpose, " if value.shape == x.shape[::-1] and value.shape != x.shape else ""
                    yield value, f"{transposed}{shown} instead of {right}"

    def wrong_place(self, x: Node, y: Node, gy: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
        """The derivative taken at the input instead of the result, or without the coupling of a row's elements."""
        i = next(i for i, operand in enumerate(y.inputs) if operand is x)
        vjp = [*itertools.islice(iter(y.op.vjps), i + 1)][i]
        inputs = [data_of_node(operand) for operand in y.inputs]
        if x.shape == y.shape and gy.shape == y.shape and not y.op.keeps:
            text = self.text(x)
            yield vjp(gy, x.data, *inputs, **y.params), f"{y.op.name}' is computed from {text} in place of its result"
            inputs[i] = y.data
            yield vjp(gy, y.data, *inputs, **y.params), f"{y.op.name}' is computed from its result in place of {text}"
            inputs[i] = x.data
            if not y.op.elementwise and x.ndim and x.shape[-1] <= 100:
                diagonal = np.zeros(x.shape)
                for k in range(x.shape[-1]):
                    unit = np.zeros(y.shape)
                    unit[..., k] = 1
                    diagonal[..., k] = vjp(unit, y.data, *inputs, **y.params)[..., k]
                yield (
                    diagonal * gy,
                    f"the diagonal of the Jacobian of {y.op.name} alone: its elements depend on each other",
                )

    def partial(self, node: Node, m: np.ndarray, region: list[Node]) -> str:
        """A constant factor on one of several ways to this gradient."""
        expected = self.expected[node]
        for owner in region:
            for y, x, g in self.traced.edges:
                if x is not owner or m.shape != expected.shape or g not in self.order:
                    continue
                without = self.replay({g: np.zeros(g.shape)}, self.expected_given())[node]
                part = expected - without
                if part.shape != m.shape or not np.any(part) or same(part, expected):
                    continue
                factor = constant_factor(m - without, part)
                if factor is not None and not np.isclose(factor, 1):
                    known = self.factor_reason(factor) or f"{factor:.6g} times what it should be"
                    return f"what comes through {self.text(y)} is wrong: {known}"
        return ""

    def epsilon_reason(self, node: Node, m: np.ndarray) -> str:
        """Whether `m` belongs to the loss without the epsilon that the graph has in its logarithm."""
        logs = [x for x in self.traced.forward if x.op is ops.log and small_constant(x.inputs[0]) is not None]
        if not logs or m.shape != node.shape:
            return ""
        for z in self.region(node):
            value, kinds = np.zeros(()), []
            for log in logs:
                p = next((i for i in log.inputs[0].nodes() if i.shape == z.shape and i.op), None)
                g = self.values.get(self.gradients.get(log))
                if p is None or g is None:
                    continue
                for kind, function, vjp in EXACT:
                    if z.ndim and same(function(z.data), p.data, 1e-7):
                        value = value + vjp(g, p.data)
                        kinds.append((kind, log))
                        break
            gz = self.gradients[z]
            if not kinds or value.shape != z.shape:
                continue
            found = value if gz is node else self.replay({gz: value}, self.expected_given())[node]
            if same(found, m, 1e-7) and not same(found, self.expected[node], 1e-7):
                kind, epsilon = kinds[0][0], small_constant(kinds[0][1].inputs[0])
                return (
                    f"this gradient belongs to the exact cross entropy and not to the one with epsilon in the graph: "
                    f"where {kind}({self.text(z)}) saturates, the loss with log(... + {epsilon:g}) is flat and its "
                    f"derivative almost 0; take softmax_cross_entropy or sigmoid_cross_entropy, which are exact, "
                    f"or differentiate the epsilon too"
                )
        return ""

    def text(self, x: Node) -> str:
        """A value as the written source has it."""
        return x.name or (self.writer.codes[x].text if x in self.writer.codes else x.op.name if x.op else "a constant")


# Comparisons at a kink, and what the other convention has there.
SWAPPED = {
    ops.greater: np.greater_equal,
    ops.greater_equal: np.greater,
    ops.less: np.less_equal,
    ops.less_equal: np.less,
}
# Probabilities, and what their exact logarithm makes of its gradient `g`.
EXACT = [
    ("softmax", ops.softmax, lambda g, p: g - p * np.sum(g, axis=-1, keepdims=True)),
    ("sigmoid", ops.sigmoid, lambda g, p: g * (1 - p)),
    ("sigmoid", lambda z: 1 - ops.sigmoid(z), lambda g, p: -g * (1 - p)),
]


def small_constant(x: Node) -> float | None:
    """The epsilon of `p + epsilon`, and of a `p` that is held above it."""
    values = [data_of_node(i) for i in x.inputs] if x.op in (ops.add, ops.maximum) else []
    values += [x.params.get("a_min") or 0] if x.op is ops.clip else []
    return next((float(value) for value in values if np.ndim(value) == 0 and 0 < value <= 1e-3), None)


def written(traced: Trace) -> tuple[Writer, dict[str, str]]:
    """The writer of the source, which knows what everything is called, and the line of each gradient."""
    definitions = Definitions()
    for kind in (definitions, None):
        writer = Writer(kind, reserved={"backprop", *definitions.names_for(traced)})
        try:
            lines, _, _ = writer.backprop(traced)
        except TypeError:  # an op that cannot be written out still has a name
            continue
        return writer, {line.partition(" = ")[0]: line for line in lines}
    return writer, {}


def handed(name: str, value: Any) -> np.ndarray:
    """A gradient that was handed over, as an array of numbers."""
    array = np.asarray(data_of(value))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} is to be an array of numbers, not {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(float)


def reshaped(m: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """What was handed over, in the shape with which one can go on."""
    if m.shape == expected.shape:
        return m
    if m.shape == expected.shape[::-1]:
        return m.T
    return m.reshape(expected.shape) if m.size == expected.size else expected


def data_of_node(x: Any) -> Any:
    return x.data if isinstance(x, Node) else x


def same(a: np.ndarray, b: np.ndarray, rtol: float = 1e-8) -> bool:
    """Whether two gradients are the same, but for rounding."""
    if a.shape != b.shape:
        return False
    rtol = max(rtol, RTOL32 if np.float32 in (a.dtype, b.dtype) else 0)
    return bool(np.all(np.abs(a - b) <= rtol * np.max(np.abs(b), initial=0)))


def constant_factor(m: np.ndarray, expected: np.ndarray) -> float | None:
    """The number by which all of `expected` was multiplied; None where it is not one number."""
    square = float(np.sum(expected * expected))
    if not square:
        return None
    factor = float(np.sum(m * expected)) / square
    return factor if same(factor * expected, m) or not np.any(m) else None


def elements(m: np.ndarray, expected: np.ndarray) -> str:
    """What can be said where no usual fault explains it."""
    wrong = np.abs(m - expected) > RTOL * np.max(np.abs(expected), initial=0)
    at = np.unravel_index(np.argmax(np.abs(m - expected)), m.shape)
    where = tuple(int(i) for i in at)
    return (
        f"{int(np.sum(wrong))} of {m.size} elements differ, most at index {where}: {m[where]:.6g} instead of "
        f"{expected[where]:.6g}"
    )
