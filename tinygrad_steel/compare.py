"""`compare_backprop`: a hand-written chain of gradients against the graph's, and the reason of its first wrong step."""

from __future__ import annotations

import difflib
import html
import itertools
import re
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from . import ops
from .check import GradientError
from .faults import EXACT_LOSS, Finding, Search, distance, largest, tolerance
from .registry import data_of
from .tensor import Tensor
from .trace import Names, Node, Trace, trace

ROUNDING = 1e-5, 1e-2  # what float32 may do on the way, relative to the largest element: at least, at most
EPS32 = float(np.finfo(np.float32).eps)
RIGHT, ROUNDED, WRONG, FOLLOWS = "right", "right, but for float32 rounding", "wrong", "follows from a wrong one"
EPSILON = "right, but for the epsilon in log"
# Ops that hand on one of their inputs as it is, and so round nothing.
CHOOSING = {ops.max, ops.min, ops.maximum, ops.minimum, ops.clip, ops.relu, ops.where, ops.abs}


class Step(NamedTuple):
    """What the report says of one gradient.

    `verdict`: "right", perhaps "but for float32 rounding" or "but for the epsilon in log"; "wrong"; or "follows from a
    wrong one": what its own step makes of a wrong gradient before it. `absolute`, `relative`: its largest difference,
    and that in relation to the largest element; NaN where shapes differ. `reason`: why it is wrong. `code`: the step as
    the graph has it.
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
        return all(step.verdict.startswith(RIGHT) for step in self.steps)

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


class Comparison(Search):
    """One run: what was handed over, and what each step makes of those before it."""

    def __init__(self, traced: Trace, manual: dict[str, Any]):
        super().__init__(traced)
        self.manual = {self.find(name): handed(name, value) for name, value in manual.items()}
        self.spoiled = self.rounded = False

    def find(self, name: str) -> Node:
        """The gradient of that name; ValueError where there is none, or more than one."""
        twice = [x for x in self.gradients if x.name == name.removeprefix("G_")]
        if len(twice) > 1:
            raise ValueError(f"{name} is ambiguous: {len(twice)} Tensors are called {twice[0].name}; name them apart")
        found = {self.name(g): g for g in self.gradients.values() if self.name(g)}
        found |= {f"G_{x.name}": g for x, g in self.gradients.items() if x.name and f"G_{x.name}" not in found}
        if name in found:
            return found[name]
        dead = next((x for x in self.traced.forward if x.name and f"G_{x.name}" == name), None)
        if dead:
            way = "no derivative leads to it" if dead.wanted else "make it with requires_grad=True to have it compared"
            raise ValueError(f"{name}: no gradient flows to {dead.name}; {way}")
        close = difflib.get_close_matches(name, found, 1) or difflib.get_close_matches(f"G_{name}", found, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(
            f"{name} is not a gradient of this graph{hint}; it has {', '.join(found)}. "
            f"Give names with name=... or names=locals()"
        )

    def code(self, name: str) -> list[str]:
        """The line of a gradient in the written source, and those of the short names in it."""
        line = self.lines.get(name)
        short = [self.lines[t] for t in re.findall(r"\bt\d+\b", line or "") if t in self.lines]
        return [line, *dict.fromkeys(short)] if line else []

    @np.errstate(all="ignore")
    def report(self) -> Report:
        """Judge one gradient after the other."""
        steps = []
        for node in [self.traced.start, *self.order]:
            expected = self.values[node] = self.compute(node) if node.op else node.data
            if node in self.manual:
                steps.append(self.judge(node, self.manual[node], expected))
                self.values[node] = reshaped(self.manual[node], expected)
        return Report(steps)

    def judge(self, node: Node, m: np.ndarray, expected: np.ndarray) -> Step:
        """The verdict on `m`, which was handed over where `expected` follows from what was handed over before."""
        name, true, found = self.name(node) or f"G_{node.owner.name}", node.data, Finding()
        absolute = relative = np.nan
        if m.shape == true.shape:
            absolute = float(np.max(distance(m, true), initial=0))
            relative = absolute / largest(true) if largest(true) else absolute and np.inf
        rtol, noise = tolerance(m, node), float(np.finfo(m.dtype).tiny)

        def near(to: np.ndarray, noise: float) -> bool:
            return m.shape == to.shape and bool(np.all(distance(m, to) <= rtol * largest(to) + noise))

        if m.shape == true.shape and not (near(true, noise) or near(expected, noise)):
            noise += self.rounding[node] * max(float(np.finfo(a.dtype).eps) for a in (m, node)) / EPS32
        verdict = RIGHT if tolerance(node) == rtol else ROUNDED
        if not near(true, noise) and near(expected, noise):
            verdict = FOLLOWS if self.spoiled else verdict
        elif not near(true, noise):
            tiny, coarse = (share * largest(true) for share in ROUNDING)
            rounded = m.shape == true.shape and near(expected, max(tiny, min(coarse, self.rounding[node])))
            if not (rounded and self.rounded):
                found = self.reason(node, m, expected)
                self.values |= found.values  # what comes next may follow from it
            reason = found.reason
            if (rounded and not reason) or (near(expected, tiny) and reason.startswith(EXACT_LOSS)):
                verdict, self.rounded = FOLLOWS if self.spoiled else EPSILON if reason else ROUNDED, True
            else:
                verdict, reason, self.spoiled = WRONG, reason or self.fallback(m, expected), True
                if found.ended is not None:
                    reason += f"; the search for a reason was ended after {found.ended} candidates"
                found = found._replace(reason=reason)
        return Step(name, m.shape, absolute, relative, verdict, found.reason, self.code(name))

    @cached_property
    def rounding(self) -> dict[Node, float]:
        """How far each gradient may be off if all results on the way to it were rounded as in float32."""
        found: dict[Node, float] = {}
        for rng in map(np.random.default_rng, range(3)):
            values: dict[Node, np.ndarray] = {}
            for x in self.nodes:
                values[x] = self.compute(x, values) if x.op else x.data
                if x.dtype.kind == "f" and x.op not in CHOOSING:
                    values[x] = values[x] * (1 + EPS32 * rng.uniform(-1, 1, x.shape))
                if x.gradient:
                    if x.op is ops.add:  # errors that cancel in this sum need not cancel in another way to compute it
                        parts = [np.broadcast_to(np.abs(values[part] - part.data), x.shape) for part in x.nodes()]
                        parts = np.max(parts, axis=0)
                        cancelled = np.abs(values[x] - x.data) < 0.1 * parts
                        values[x] = values[x] + np.where(cancelled, parts, 0) * rng.uniform(-1, 1, x.shape)
                    found[x] = max(found.get(x, 0), 16 * largest(values[x] - x.data))
        return found


def handed(name: str, value: Any) -> np.ndarray:
    """A gradient that was handed over, as an array of numbers."""
    try:
        array = np.asarray(data_of(value))
    except ValueError as error:  # lists of different lengths
        raise TypeError(f"{name} is to be an array of numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} is to be an array of numbers, not {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(float)


def reshaped(m: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """What was handed over, in the shape with which one can go on."""
    if m.shape != expected.shape and m.shape == expected.shape[::-1]:
        return m.T
    return m.reshape(expected.shape) if m.size == expected.size else expected
