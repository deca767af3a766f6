"""The search for the reason of a wrong gradient: what a chain would have computed with each of the usual mistakes."""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..program.trace import Node, Trace, alias, data_of_node, is_random
from ..written.source import INFIX, WIDTH, Code, Definitions, Writer, behind

# Relative to the largest element: by itemsize.
RTOL = {2: 1e-2, 4: 1e-4, 8: 1e-9, 16: 1e-9}
NEAREST, TRIES = 40, 5000  # steps that are looked at for a fault between two gradients handed over, and faults in all
# What one search may cost, in multiplications of a matrix product; an element of another result, and an op, cost more.
WORK, ELEMENT, CALL = 5e9, 10, 5e4
MISFIT = (ValueError, IndexError, TypeError)  # what NumPy raises over shapes and dtypes that do not go together
EXACT_LOSS = "this gradient belongs to the exact cross entropy and not to the one with epsilon in the graph"
NOTHING: Mapping = MappingProxyType({})


class Finding(NamedTuple):
    """The answer to why a gradient is wrong.

    `reason`: empty where nothing usual explains it. `values`: the gradients as they are with this fault, from which
    later ones may follow. `ended`: after how many candidates the search was ended; None where all were tried.
    """

    reason: str = ""
    values: Mapping[Node, np.ndarray] = NOTHING
    ended: int | None = None


class Change(NamedTuple):
    """What people compute in place of some Nodes: an array, or a function that makes it; and the reason to give."""

    nodes: Iterable[Node]
    value: np.ndarray | Callable[[], Any]
    reason: str


class Ended(Exception):
    """The search has cost as much as it may."""


class Mismatch(ValueError):
    """A part of what a candidate comes to shows that it is not what was handed over."""


class Question:
    """What a search is after, as long as it is under way: a fault by which `node` becomes `m`.

    `row`: where the two differ most. `work`: what it may still cost.
    """

    def __init__(self, node: Node, m: np.ndarray, expected: np.ndarray):
        self.node, self.m, self.work, self.row = node, m, WORK, slice(0, 0)
        if m.ndim == 2 and m.shape == expected.shape and m.size:
            row = int(np.argmax(np.max(distance(m, expected), axis=1)))
            self.row = slice(row, row + 1)


class Search:
    """A graph with its gradients, as they follow from those handed over so far, and what may have gone wrong in it."""

    def __init__(self, traced: Trace):
        self.traced = traced
        self.gradients = dict(traced.backward)
        self.writer, self.lines = written(traced)
        self.nodes = behind([*traced.forward, *self.writer.codes, *self.gradients.values()])
        self.spoken = self.spell(self.nodes)
        self.order = [g for g in self.nodes if g.gradient and g.op]
        self.forward = {x: i for i, x in enumerate(traced.forward)}
        self.edges: dict[Node, list[tuple[Node, Node]]] = {x: [] for x in self.gradients}  # x: y, what it adds for x
        for y, x, g in traced.edges:
            gy = self.gradients[y]
            self.edges[x].append((y, gy if without_alias(g) is without_alias(gy) else g))
        self.softmaxes = [p for p in self.gradients if p.op in (ops.softmax, ops.divide)]  # as one op, and by hand
        self.causes = [*causes(traced)]
        self.drawn = {x for x in self.nodes if is_random(x)}  # theirs are the numbers of the one draw that was recorded
        self.manual: dict[Node, np.ndarray] = {}  # what was handed over
        self.values: dict[Node, np.ndarray] = {}  # gradients, as they follow from those handed over so far
        self.question: Question | None = None

    # What is what

    def name(self, g: Node) -> str:
        """What the written source calls the gradient of a named Tensor; empty for others, whose names nobody knows."""
        known = g in self.writer.codes and (g is self.traced.start or (g.owner and g.owner.name))
        return self.writer.codes[g].text if known else ""

    def called(self, y: Node) -> str:
        """The gradient of `y` in a sentence."""
        return self.name(self.gradients[y]) or f"the gradient of {self.text(y)}"

    def text(self, x: Any, level: int = 0) -> str:
        """A value in a sentence, for a place where it must hold together so tightly."""
        if not isinstance(x, Node):
            return f"{x:g}"
        if x not in self.spoken:  # on the way of a part of a gradient, which the sum of its parts is written without
            self.spoken = {**self.spell(behind([x])), **self.spoken}
        return self.spoken[x].at(level)

    def spell(self, nodes: Iterable[Node]) -> dict[Node, Code]:
        """How to call these Nodes, which come inputs first: by their names, or by what they are computed from."""
        speaker = Writer(None)
        for x in nodes:
            if x.name or self.name(x):
                code = Code(x.name or self.name(x))
            elif x.op is None:
                code = Code(f"array{x.shape}" if x.shape else f"{x.data:g}")
            else:
                code = speaker.expression(x)
            speaker.codes[x] = code if len(code.text) <= WIDTH else Code(f"{x.op.name}(...)")
        return speaker.codes

    # Values

    def value(self, x: Any, changed: Mapping[Node, np.ndarray] = NOTHING) -> Any:
        """A number, or what a Node is, given the gradients handed over so far and what has `changed`."""
        return changed.get(x, self.values.get(x, x.data)) if isinstance(x, Node) else x

    def compute(self, node: Node, changed: Mapping[Node, np.ndarray] = NOTHING) -> np.ndarray:
        """A Node from its inputs, as these are now."""
        if node in self.drawn:
            return node.data
        inputs = [self.value(x, changed) for x in node.inputs]
        if self.question:
            self.spend(cost(node, inputs))
        return node.compute(*inputs)

    def spend(self, work: float) -> None:
        """Count what a search computes, before it does: the same on every machine, unlike seconds."""
        self.question.work -= work
        if self.question.work < 0:
            raise Ended

    def replay(self, changed: dict[Node, np.ndarray], path: Iterable[Node], is_answer: bool = False) -> dict[Node, Any]:
        """What becomes of the Nodes of a path, inputs first, where some have changed.

        `is_answer`: Mismatch where that does not answer the question.
        """
        values = dict(changed)
        for node in path:
            if node not in values and any(x in values for x in node.inputs):
                if is_answer:
                    self.look_at_a_row(node, values)
                values[node] = self.compute(node, values)
        return values

    def look_at_a_row(self, node: Node, values: dict[Node, np.ndarray]) -> None:
        """Mismatch where one row of a product tells that all of it, which costs much more, is not the answer."""
        asked = self.question
        if node is not asked.node or node.op is not ops.matmul or node.ndim != 2 or asked.m.shape != node.shape:
            return
        a, b = (self.value(x, values) for x in node.inputs)
        if a.ndim == b.ndim == 2:
            self.spend(CALL + b.size)
            if not same(a[asked.row] @ b, asked.m[asked.row], size=largest(asked.m)):
                raise Mismatch

    # Reasons

    def reason(self, node: Node, m: np.ndarray, expected: np.ndarray) -> Finding:
        """Why `m` is wrong, in words that follow the name of the gradient. It changes nothing: apply `values`."""
        found = Finding()
        if m.shape == expected.shape:
            found = Finding(self.factor_reason(constant_factor(m, expected)))
        elif same(m.T, expected):
            found = Finding("the transpose")
        elif m.size == expected.size and same(m.reshape(expected.shape), expected):
            found = Finding("right numbers in a wrong shape")
        if not found.reason:
            found = self.search(node, m, expected)
        text = found.reason or self.taken_for(node, m)
        if m.shape != expected.shape:
            text = f"{text}{': ' if text else ''}shape {m.shape} is not {expected.shape}"
        elif m.ndim > 1 and same(m.T, expected) and not same(m, expected):
            text = f"the transpose of what is right{': ' if text else ''}{text}"
        return found._replace(reason=text)

    def search(self, node: Node, m: np.ndarray, expected: np.ndarray) -> Finding:
        """The usual fault that gives just `m`, among as many as WORK allows."""
        tried = itertools.count()
        self.question = Question(node, m, expected)
        try:
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # nobody has asked for candidates
                found = self.epsilon_reason(node, m, expected) if m.shape == expected.shape else Finding()
                return found if found.reason else self.fault(node, m, expected, tried)
        except Ended:
            return Finding(ended=next(tried))
        finally:
            self.question = None

    def factor_reason(self, factor: float | None, plain: bool = False) -> str:
        """A constant factor, where it is one that has a meaning; `plain`: any other one too."""
        if factor is None or not np.isfinite(factor):
            return ""
        if abs(factor) < 1e-9:
            return "zero everywhere: the gradient does not arrive here"
        size, sign = abs(factor), "the sign is wrong" if factor < 0 else ""
        if np.isclose(size, 1, rtol=1e-5, atol=0):
            return sign
        known = [(number, text) for number, text in self.causes if np.isclose(size, number, rtol=1e-5, atol=0)][:2]
        if not (known or plain):
            return ""
        size = known[0][0] if known else size
        found = f"{size:.6g} times too large everywhere" if size > 1 else f"{1 / size:.6g} times too small everywhere"
        reason = ", or ".join(text for _, text in known)
        return f"{sign}{', and it is ' if sign else ''}{found}{': ' if known else ''}{reason}"

    def fault(self, node: Node, m: np.ndarray, expected: np.ndarray, tried: Iterator[int]) -> Finding:
        """The usual fault that gives just `m`: in this step, or in one between it and those handed over before."""
        owners, path = self.region(node)
        if (found := self.kink(node, m, expected, path)).reason:
            return found
        search = [(x, self.parts(x, node, m, expected, path, False)) for x in owners]
        search += [(x, self.faults(x)) for x in owners]
        search += [(x, self.through(x, self.mixed_up)) for x in owners]
        search += [(x, self.parts(x, node, m, expected, path, True)) for x in owners]
        suspects = ((x, value, reason) for x, found in search for value, reason in found)
        for x, value, reason in suspects:
            if (count := next(tried)) == TRIES:
                return Finding(ended=count)
            g = self.gradients[x]
            if g is node or value.shape == g.shape:
                found = attempt(partial(self.replay, {g: value}, path, is_answer=True))
                if found and explains(found[node], m, expected):
                    return Finding(reason if g is node else f"from a fault at {self.called(x)}: {reason}", found)
        return Finding()

    def kink(self, node: Node, m: np.ndarray, expected: np.ndarray, path: list[Node]) -> Finding:
        """Whether `m` follows another convention at a kink."""
        known = {*path}
        path = [x for x in self.nodes if x in known or not (x.gradient or x in self.forward)]
        for f in self.nodes:
            inputs, conventions = at_a_kink(f)
            for value in conventions(*map(self.value, inputs)) if conventions else ():
                found = attempt(partial(self.replay, {f: value}, path)) or {}
                if node in found and explains(found[node], m, expected):
                    at = " == ".join([*map(self.text, inputs), "0"][:2])
                    why = f"right except at the kink {at}: the slope there is a convention, and another one here"
                    return Finding(why, {x: value for x, value in found.items() if x.gradient})
        return Finding()

    def region(self, node: Node) -> tuple[list[Node], list[Node]]:
        """Whose gradients may be at fault for `node`, itself first, and the gradients on the way to it."""
        owners: dict[Node, list[Node]] = {}
        for x, g in self.gradients.items():
            owners.setdefault(g, []).append(x)
        found, todo, seen = [], [node], {node}
        while todo and len(found) < NEAREST:
            g = todo.pop(0)
            found += owners.get(g, [])
            new = [x for x in g.nodes() if x.gradient and x not in seen and x not in self.manual]
            seen.update(new)
            todo += new
        return found, [g for g in self.order if g in seen]

    def without(self, x: Node) -> Iterator[tuple[Node, np.ndarray]]:
        """For each `y` that was computed from `x`, the gradient of `x` as it comes through the others."""
        edges = self.edges[x]
        for y in dict.fromkeys(y for y, _ in edges):
            if others := [self.value(g) for other, g in edges if other is not y]:
                yield y, sum(others)

    def parts(
        self, x: Node, node: Node, m: np.ndarray, expected: np.ndarray, path: list[Node], plain: bool
    ) -> Iterator[tuple[np.ndarray, str]]:
        """A factor on one of several ways to the gradient of `x`, as it has to be for `node` to become `m`."""
        g = self.gradients[x]
        for y, others in self.without(x) if m.shape == expected.shape else ():
            rest = self.replay({g: others}, path)[node]
            factor = ratio(m - rest, expected - rest)
            if factor is not None and abs(factor) < tolerance(m, g):
                yield others, f"the gradient that comes through {self.text(y)} is missing"
            elif reason := self.factor_reason(factor, plain and several(expected - rest)):
                yield others + factor * (self.value(g) - others), f"in what comes through {self.text(y)}: {reason}"

    def faults(self, x: Node) -> Iterator[tuple[np.ndarray, str]]:
        """Wrong gradients of `x` as people compute them, each with its reason."""
        for y, others in self.without(x):
            only = self.value(self.gradients[x]) - others
            yield only, f"only the gradient that comes through {self.text(y)} is there"
        for p in self.softmaxes:
            if p is not x and probability(x, p) == "softmax":
                g, whole = self.value(self.gradients[p]) * p.data, "each element depends on its whole row"
                yield g * (1 - p.data), f"the diagonal of softmax's Jacobian alone: {whole}"
                text = f"{self.called(p)} * {self.text(p, 3)}"
                yield g, f"`- sum({text}, axis=-1, keepdims=True)` is missing: {whole}"
        yield from self.through(x, self.changes)

    def through(self, x: Node, rule: Callable) -> Iterator[tuple[np.ndarray, str]]:
        """Wrong gradients of `x` by a rule that changes something on the way from the gradient of a `y`."""
        edges = self.edges[x]
        for k, (y, g) in enumerate(edges):
            rest = sum(self.value(other) for i, (_, other) in enumerate(edges) if i != k)
            inner = self.between(self.gradients[y], g)
            for change in rule(x, y, g, inner) if g is not self.gradients[y] else ():
                changed = attempt(partial(self.changed, change, inner, g, rest))
                if changed is not None:
                    yield changed, change.reason

    def changed(self, change: Change, inner: list[Node], g: Node, rest: Any) -> np.ndarray:
        """A gradient that comes through several ways, where one of them, which ends in `g`, has a change in it."""
        value = change.value() if callable(change.value) else change.value
        self.spend(CALL + ELEMENT * np.size(value))
        found = self.replay(dict.fromkeys(change.nodes, value), inner, is_answer=True)
        return found.get(g, self.value(g)) + rest

    def between(self, gy: Node, g: Node) -> list[Node]:
        """What is computed on the way from one gradient to another, inputs first."""
        start, order, todo = same_value(gy), {}, [g]
        while todo:
            new = [x for x in todo[-1].nodes() if x.op and not (x in order or x in start or x in self.forward)]
            todo.extend(new) if new else order.setdefault(todo.pop())
        return [*order]

    def changes(self, x: Node, y: Node, g: Node, inner: list[Node]) -> Iterator[Change]:
        """What people do in place of a step from the gradient of `y` to `g`, that of its input `x`, and the reasons."""
        gy = self.gradients[y]
        start = same_value(gy)
        given, came = self.value(gy), self.called(y)
        handed_on, missing = stretched(given, x.shape), self.derivative(g, start)
        if handed_on is not None and missing != "":
            factor = missing if missing and y.op in INFIX else f"{y.op.name}'({self.text(x)})"
            factor += f" = {missing}" if missing and factor != missing else ""
            yield Change([g], handed_on, f"{came} is handed on unchanged: the factor {factor} is missing")
        alone = np.ones(gy.shape, gy.dtype)
        yield Change(start, alone, f"the local derivative alone: it is not multiplied with {came}")
        for node in inner:
            yield from self.left_out(node)
        yield from self.unbroadcast(x, y, g)
        if y.op is ops.matmul and x.ndim == y.ndim == 2:
            yield from self.products(x, y, g)
        if y.op is ops.getitem:
            text = "assigned where it has to be added: an element taken twice gets both gradients (np.add.at)"
            yield Change([g], partial(assigned, x, y, given), text)
        if x.shape == y.shape:
            yield Change(start, self.value(g), f"the step through {self.text(y)} is taken twice")
        used = dict.fromkeys([*inner, *(i for node in inner for i in node.nodes() if i not in start)])
        for node in used:
            yield from self.altered(node)
            if (z := behind_relu(node)) is not None:
                yield Change([node], self.value(z) < 0, f"{self.text(z)} > 0 is the wrong way round")
                for value, text in self.lookalikes(z, x):
                    yield Change([node], value > 0, f"computed with {text} in place of {self.text(z)}")
            if node.op in (ops.sigmoid, ops.softmax) and y.op is not node.op:
                p, text = self.value(node), self.text(node)
                reason = f"multiplied by {text} * (1 - {text}), which {y.op.name}' has in it"
                yield Change([g], partial(times_slope, self.value(g), p), reason)
        for node in used:
            for i in [node, *(node.nodes() if node.op in (ops.add, ops.subtract) else ())]:
                for value, text in self.lookalikes(i, x) if not i.gradient else ():
                    instead = value if i is node else partial(self.compute, node, {i: value})
                    yield Change([node], instead, f"computed with {text} in place of {self.text(i)}")

    def mixed_up(self, x: Node, y: Node, g: Node, inner: list[Node]) -> Iterator[Change]:
        """Another gradient in place of that of `y`."""
        gy = self.gradients[y]
        for value, text in self.lookalikes(gy, x):
            yield Change(same_value(gy), value, f"computed from {text} in place of {self.called(y)}")

    def derivative(self, node: Node, start: set[Node]) -> str | None:
        """What a step multiplies a gradient with; None where it does more than that."""
        if node in start:
            return ""
        if node.op in (alias, ops.broadcast_to, ops.expand_dims, ops.negative):
            inner = self.derivative(node.inputs[0], start)
            return f"-{inner or 1}" if node.op is ops.negative and inner is not None else inner
        if node.op not in (ops.multiply, ops.divide):
            return None
        a, b = (
            self.derivative(i, start) if isinstance(i, Node) and i.gradient else self.text(i, 3) for i in node.inputs
        )
        if a is None or b is None:
            return None
        return f"{a or 1} / {b}" if node.op is ops.divide else f"{a} * {b}" if a and b else a or b

    def left_out(self, node: Node) -> Iterator[Change]:
        """A factor left out, or there twice."""
        if node.op not in (ops.multiply, ops.divide):
            return
        a, b = node.inputs
        where = "" if node.gradient else f" in {self.text(node)}"
        for f, other in [(b, a)] if node.op is ops.divide else [(a, b), (b, a)]:
            if isinstance(f, Node) and f.gradient:
                continue
            text = f"the factor {self.text(f, 3)}" if node.op is ops.multiply else f"the division by {self.text(f, 3)}"
            without = partial(np.broadcast_to, self.value(other), node.shape)
            yield Change([node], without, f"{text} is missing{where}")
            twice = partial(node.op.forward, self.value(node), self.value(f))
            yield Change([node], twice, f"{text} is there twice{where}")

    def altered(self, f: Node) -> Iterator[Change]:
        """A value of the local derivative without a term, with a wrong sign, inverted, along another axis."""
        inputs = [self.value(i) for i in f.inputs]
        texts = [self.text(i, 1) for i in f.inputs]
        if f.op in (ops.subtract, ops.add):
            (a, b), sign, where = inputs, "+-"[f.op is ops.subtract], self.text(f)
            other = np.add if sign == "-" else np.subtract
            yield Change([f], np.asarray(a), f"`{sign} {texts[1]}` is missing in {where}")
            yield Change([f], np.asarray(b), f"`{texts[0]} {sign}` is missing in {where}")
            yield Change([f], partial(other, a, b), f"the sign of {texts[1]} is wrong in {where}")
        if f.dtype == bool:
            yield Change([f], partial(np.logical_not, self.value(f)), f"{self.text(f)} is the wrong way round")
        if f in self.drawn:
            return
        if len(inputs) == 1 and not f.gradient:
            again = partial(f.compute, self.value(f))
            yield Change([f], again, f"{f.op.name}({self.text(f)}) in place of {self.text(f)}")
        axis = f.params.get("axis", f.op.defaults.get("axis")) if f.op else None
        for other in range(np.ndim(inputs[0]) + (f.op is ops.expand_dims)) if isinstance(axis, int) else ():
            reason = f"{f.op.name} along axis {other} instead of axis {axis}"
            reason = f"{texts[0]} is spread along the wrong axis" if f.op is ops.expand_dims else reason
            moved = Node(f.op, f.inputs, {**f.params, "axis": other}, f.data)
            yield Change([f], partial(moved.compute, *inputs), reason)

    def lookalikes(self, f: Node, x: Node) -> list[tuple[np.ndarray, str]]:
        """Values and gradients for which `f` may be mistaken: those of its shape that are near `x`."""
        if not f.shape:
            return []
        found = [(i, self.gradients.get(i, i)) for i in self.forward] + [(i, i) for i in self.forward]
        found = [(i, v) for i, v in found if v.shape == f.shape and v is not f and (i is v or self.name(v))]
        found.sort(key=lambda pair: (pair[0].op is not f.op, abs(self.forward[pair[0]] - self.forward[x])))
        return [(self.value(v), self.text(v)) for _, v in found[: NEAREST // 2]]

    def unbroadcast(self, x: Node, y: Node, g: Node) -> Iterator[Change]:
        """A sum over the axes along which `x` was broadcast, left out or taken along others."""
        node = g
        while node.op in (alias, ops.broadcast_to):
            node = node.inputs[0]
        if y.shape == x.shape or node.op is not ops.sum:
            return
        axis = node.params.get("axis")
        while node.op is ops.sum:
            node = node.inputs[0]
        full, was = self.value(node), f"axis {axis}, along which {self.text(x)} {x.shape} was broadcast to {y.shape}"
        yield Change([g], full, f"not summed over {was}")
        for count in range(1, full.ndim + 1):
            for axes in itertools.combinations(range(full.ndim), count):
                over = f"axis {axes[0]}" if count == 1 else f"axes {axes}"
                yield Change([g], partial(np.sum, full, axis=axes), f"summed over {over} instead of {was}")

    def products(self, x: Node, y: Node, g: Node) -> Iterator[Change]:
        """A product with the wrong transposes, or in the wrong order."""
        other = next((i for i in y.inputs if i is not x), x)
        a, text = other.data, self.text(other, 5)
        gy, came = self.value(self.gradients[y]), self.text(self.gradients[y], 5)
        right = f"{came} @ {text}.T" if y.inputs[0] is x else f"{text}.T @ {came}"
        for left, second in itertools.product([(a, text), (a.T, f"{text}.T")], [(gy, came), (gy.T, f"{came}.T")]):
            for (b, b_text), (c, c_text) in ((left, second), (second, left)):
                if b.shape[-1:] == c.shape[:1] and f"{b_text} @ {c_text}" != right:
                    product = partial(self.compute, Node(ops.matmul, (b, c), {}, g.data))
                    yield Change([g], product, f"{b_text} @ {c_text} instead of {right}")

    def fallback(self, m: np.ndarray, expected: np.ndarray) -> str:
        """What can be said where no usual fault explains it."""
        if several(expected) and (found := self.factor_reason(constant_factor(m, expected), plain=True)):
            return found
        off = distance(m, expected)
        where = tuple(int(i) for i in np.unravel_index(np.argmax(off), m.shape))
        found = f"{m[where]:.6g} instead of {expected[where] + 0:.6g}"
        if m.size == 1:
            return found
        wrong = int(np.sum(off > tolerance(m, expected) * largest(expected)))
        count = f"all {m.size}" if wrong == m.size else f"{wrong} of {m.size}"
        return f"{count} elements differ, most at index {where}: {found}"

    def taken_for(self, node: Node, m: np.ndarray) -> str:
        """Whether `m` is another gradient, or no gradient at all."""
        if m.size < 2 or not np.any(m):
            return ""
        for g in reversed(self.gradients.values()):
            if g is not node and self.name(g) and (same(m, g.data) or same(m, self.value(g))):
                return f"these are the numbers of {self.name(g)}"
        return next((f"this is {x.name} itself" for x in self.forward if x.name and same(m, x.data)), "")

    def epsilon_reason(self, node: Node, m: np.ndarray, expected: np.ndarray) -> Finding:
        """Whether `m` belongs to the loss without the epsilon that the graph has in its logarithm."""
        logs = [x for x in self.traced.forward if x.op is ops.log and has_epsilon(x.inputs[0]) and x in self.gradients]
        owners, path = self.region(node) if logs else ([], [])
        for z in owners:
            value, kind = np.zeros(()), ""
            for log in logs:
                g = self.value(self.gradients[log])
                for p in log.inputs[0].nodes():
                    if p.op is ops.getitem:  # the probability of the right class alone
                        g = next(iter(p.op.vjps))(g, p.data, *(i.data for i in p.inputs), **p.params)
                        p = p.inputs[0]
                    if found := probability(z, p):
                        kind, value = found, value + PROBABILITIES[found][1](g, p.data)
            if value.shape == z.shape and kind:
                found = self.replay({self.gradients[z]: value}, path)
                if explains(found[node], m, expected):
                    why = (
                        f"{EXACT_LOSS}: where {kind.split()[-1]}({self.text(z)}) saturates, {self.text(log)} is flat "
                        f"and its derivative almost 0; take softmax_cross_entropy or sigmoid_cross_entropy, which are "
                        f"exact, or differentiate the epsilon too"
                    )
                    return Finding(why, found)
        return Finding()


# Probabilities, and what their exact logarithm makes of its gradient `g`.
PROBABILITIES = {
    "softmax": (ops.softmax, lambda g, p: g - p * np.sum(g, axis=-1, keepdims=True)),
    "sigmoid": (ops.sigmoid, lambda g, p: g * (1 - p)),
    "1 - sigmoid": (lambda z: 1 - ops.sigmoid(z), lambda g, p: -g * (1 - p)),
}
# What other conventions have at a kink.
KINKS = {
    ops.greater: lambda a, b: [a >= b],
    ops.greater_equal: lambda a, b: [a > b],
    ops.less: lambda a, b: [a <= b],
    ops.less_equal: lambda a, b: [a < b],
    ops.equal: lambda a, b: [(a == b) * 0.0, (a == b) * 2.0],  # half for each side, or all for one
    ops.sign: lambda x: [np.where(x >= 0, 1.0, -1.0), np.where(x > 0, 1.0, -1.0)],
}


def at_a_kink(f: Node) -> tuple[tuple, Callable | None]:
    """What decides on a Node at a kink, and what other conventions make of it; None where there is no kink."""
    z = behind_relu(f)
    if z is not None:
        return (z,), lambda z: [z >= 0]
    return f.inputs, KINKS.get(f.op)


def behind_relu(f: Node) -> Node | None:
    """The `z` of a slope sign(relu(z)), which people write as z > 0; None for anything else."""
    y = f.inputs[0] if f.op is ops.sign else None
    return y.inputs[0] if isinstance(y, Node) and y.op is ops.relu else None


def probability(z: Node, p: Node) -> str:
    """Which function makes `p` of `z`, however it is written; empty where it is another one."""
    if not z.ndim or z.shape != p.shape or p.op is None:
        return ""
    if not z.data.size:  # of no elements there is no largest one
        return ""
    return next((kind for kind, (function, _) in PROBABILITIES.items() if same(function(z.data), p.data, 1e-7)), "")


def has_epsilon(x: Node) -> bool:
    """Whether it is `p + epsilon`, or a `p` that is held above it."""
    values = [data_of_node(i) for i in x.inputs] if x.op in (ops.add, ops.maximum) else []
    values += [x.params.get("a_min") or 0] if x.op is ops.clip else []
    return any(np.ndim(value) == 0 and 0 < value <= 1e-3 for value in values)


def causes(traced: Trace) -> Iterator[tuple[float, str]]:
    """The factors by which people get a gradient wrong, and how, the plainest first."""
    rows = next((x.shape[0] for x in traced.leaves if x.shape and not x.wanted), 0)
    counts, divisors, factors = {rows: f"the batch size {rows}"}, [], []
    for y in traced.forward:
        x = y.inputs[0] if y.op else y
        one_a_row = isinstance(x, Node) and y.shape == x.shape[:-1] and y.op is not ops.matmul
        if y.op in (ops.mean, ops.sum) or one_a_row:
            if x.ndim > 1:
                counts.setdefault(x.shape[-1], f"the number of classes {x.shape[-1]}")
            counts.setdefault(x.data.size, f"the number of elements {x.data.size}")
            divisors += [x.data.size // max(1, y.data.size)] * (y.op is ops.mean)
        numbers = [float(data_of_node(i)) for i in y.inputs if not isinstance(i, Node) or not (i.op or i.shape)]
        numbers = [number for number in numbers if np.isfinite(number)]
        factors += numbers if y.op is ops.multiply else []
        divisors += numbers if y.op is ops.divide and len(numbers) else []
    counts = {n: text for n, text in counts.items() if n > 1}
    for n, text in counts.items():
        part = any(d % n == 0 for d in divisors)
        yield n, f"not divided by {text}" if part else f"multiplied by {text} once too often"
        yield 1 / n, f"divided by {text} once too often"
        if part:
            yield n * n, f"multiplied by {text} instead of divided by it"
        if part and n > 2:
            yield n / (n - 1), f"divided by {n} - 1 instead of {text}"
    yield 2, "a factor 2 too much"
    yield 1 / 2, "a factor 2 is missing"
    for c in dict.fromkeys(abs(c) for c in factors if abs(c) not in (0, 1, 2)):
        yield 1 / c, f"the factor {c:g} is missing"
        yield c, f"the factor {c:g} is there twice"
    for d in dict.fromkeys(abs(d) for d in divisors if abs(d) not in (0, 1)):
        right = counts.get(d, f"{d:g}")
        if d not in counts:
            yield d, f"not divided by {right}"
            yield 1 / d, f"divided by {right} once too often"
        yield from ((d / n, f"divided by {text} instead of {right}") for n, text in counts.items() if d % n)


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


def stretched(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """`g` broadcast to a shape, as a column where it has one number for each row; None where it does not fit."""
    for spread in (g[..., None], g):
        with contextlib.suppress(ValueError):
            return np.broadcast_to(spread, shape)
    return None


def without_alias(g: Node) -> Node:
    """The gradient that is handed on under this name."""
    while g.op is alias:
        (g,) = g.inputs
    return g


def same_value(g: Node) -> dict[Node, None]:
    """A gradient, and those that it is but for its name and for being broadcast."""
    found = {g: None}
    while g.op in (alias, ops.broadcast_to):
        (g,) = g.inputs
        found[g] = None
    return found


def assigned(x: Node, y: Node, given: np.ndarray) -> np.ndarray:
    """The gradient of what was indexed, as an assignment makes it."""
    z = np.zeros(x.shape, x.dtype)
    z[ops.filled_index(y.params["index"], tuple(i.data for i in y.inputs[1:]))] = given
    return z


def times_slope(g: np.ndarray, p: np.ndarray) -> np.ndarray:
    """A gradient multiplied by the slope of the sigmoid whose value is `p`."""
    return g * p * (1 - p)


def attempt(make: Callable[[], Any]) -> Any:
    """What a candidate comes to; None where its shapes or dtypes do not go together: nobody has computed that."""
    try:
        return make()
    except MISFIT:
        return None


def cost(node: Node, inputs: Iterable[Any]) -> float:
    """What it costs to compute a Node from these inputs; ValueError where they broadcast to more than they should."""
    shapes = [np.shape(x) for x in inputs]
    sizes = [node.data.size, *map(math.prod, shapes)]
    if node.op is ops.matmul:
        (a, b), (size_a, size_b) = shapes, sizes[1:]
        return CALL + max(size_a * (b[-1] if len(b) > 1 else 1), size_b * (a[-2] if len(a) > 1 else 1))
    if node.op is ops.einsum:
        letters, _ = ops.letters(node.params["subscripts"])
        extents = {letter: n for term, shape in zip(letters, shapes) for letter, n in zip(term, shape)}
        return CALL + math.prod(extents.values())
    if node.op.elementwise and math.prod(np.broadcast_shapes(*shapes)) > max(sizes):
        raise ValueError(f"{node.op.name} of {shapes} does not fit {node.shape}")
    return CALL + ELEMENT * sum(sizes)


def tolerance(*arrays: Any) -> float:
    """Relative to the largest element: that of the least precise dtype."""
    return max(RTOL.get(a.dtype.itemsize, 1e-9) if a.dtype.kind == "f" else 1e-9 for a in arrays)


def largest(x: np.ndarray) -> float:
    """The largest absolute value but for inf and NaN."""
    return float(np.max(np.abs(x), initial=0, where=np.isfinite(x)))


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b|; 0 where both are the same inf or NaN, inf where one of them is NaN."""
    off = np.abs(a - b)
    if np.all(np.isfinite(off)):
        return off
    return np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.where(np.isnan(off), np.inf, off))


def same(a: np.ndarray, b: np.ndarray, rtol: float = 1e-8, size: float | None = None) -> bool:
    """Whether two gradients are the same, but for rounding; `size`: of the largest element, where it is elsewhere."""
    if a.shape != b.shape:
        return False
    rtol = max(rtol, tolerance(a, b) if a.itemsize < 8 or b.itemsize < 8 else 0)
    return bool(np.all(distance(a, b) <= rtol * (largest(b) if size is None else size)))


def explains(found: np.ndarray, m: np.ndarray, expected: np.ndarray) -> bool:
    """Whether `m` is what was found, and that something else than what was expected."""
    if not same(found, m):
        return False
    return m.shape != expected.shape or bool(np.max(distance(found, m)) < 0.01 * np.max(distance(m, expected)))


def several(x: np.ndarray) -> bool:
    """Whether more than one element counts, so that a common factor says something."""
    return int(np.sum(np.abs(x) > 1e-6 * largest(x))) > 1


def constant_factor(m: np.ndarray, expected: np.ndarray) -> float | None:
    """The number by which all of `expected` was multiplied; None where it is not one number."""
    factor = ratio(m, expected)
    return factor if factor is not None and (same(factor * expected, m) or not np.any(m)) else None


def ratio(a: np.ndarray, b: np.ndarray) -> float | None:
    """The number with which `b` comes nearest to `a`."""
    size = largest(b)
    if not size:
        return None
    scaled = np.asarray(b, float) / size  # so that no square is too large or too small
    return float(np.sum(a * scaled)) / (float(np.sum(scaled * scaled)) * size)
