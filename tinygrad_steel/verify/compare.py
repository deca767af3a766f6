"""`compare_backprop`: a hand-written chain of gradients against the graph's, and the reason of its first wrong step."""

from __future__ import annotations

import difflib
import html
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..engine.tensor import Tensor
from ..ops.op import OPS, data_of
from ..program.trace import Names, Node, Trace, trace
from ..written.source import behind
from .differences import GradientError
from .faults import EXACT_LOSS, KINKS, NOTHING, RTOL, Search, constant_factor, distance, largest, ratio, tolerance

EPS32 = float(np.finfo(np.float32).eps)
ROUNDED = "right, but for {} rounding"
RIGHT, WRONG, FOLLOWS = "right", "wrong", "follows from a wrong one"
CANCELLED, EPSILON = "right, but for rounding where terms cancel", "right, but for the epsilon in log"
NOT_FINITE, EMPTY = "not finite, not judged", "empty, not judged"
# Ops that hand on one of their inputs as it is, and so round nothing.
CHOOSING = {op for op in OPS.values() if op.choosing}
# Ops that jump: on which side of a jump a value is, is looked at apart from rounding.
JUMPING = {op for op in OPS.values() if op.jumps}
# Rounding is simulated STRONGER than it is, since what moves by less than one unit in the last place does not move.
# An element may be off by SAFETY times what it was seen to move by.
TRIALS, STRONGER, SAFETY = 3, 8, 2
# A number by which ALL elements are multiplied is no rounding, which takes each of them another way. By itemsize: what
# it may be off 1 all the same. SEVERAL elements have to agree.
COMMON, SEVERAL = {2: 8e-3, 4: 3e-5}, 4
AT_MOST = 1e-3  # of the largest element, where nothing but the size of terms that cancel speaks for a gradient


class Step(NamedTuple):
    """What the report says of one gradient.

    `verdict`: "right", perhaps "but for float32 rounding", "but for rounding where terms cancel" or "but for the
    epsilon in log"; "wrong"; "follows from a wrong one": what its own step makes of a wrong gradient before it; or "not
    judged", where the graph's own gradient is not finite or has no element. `absolute`, `relative`: its largest
    difference, and that in relation to the largest element; NaN where shapes differ. `reason`: why it is wrong, or not
    judged. `code`: the step as the graph has it.
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
        """Whether every gradient was judged and is right."""
        return bool(self.steps) and all(step.verdict.startswith(RIGHT) for step in self.steps)

    @property
    def first_wrong(self) -> Step | None:
        """The first wrong step, from the loss backwards; None where all are right."""
        return next((step for step in self.steps if step.verdict == WRONG), None)

    def raise_if_wrong(self) -> None:
        """GradientError, with the report as its message, where a gradient is wrong or could not be judged."""
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
        """What is wrong and what would be right, and what could not be judged."""
        wrong = [step for step in self.steps if step.verdict == WRONG]
        lines = [f"Not judged: {s.name}, {s.reason}." for s in self.steps if s.verdict in (NOT_FINITE, EMPTY)]
        if self.ok:
            lines = [
                f"All {len(self.steps)} gradients are right." if len(self.steps) != 1 else "The gradient is right."
            ]
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

    Tolerances follow the dtype: 1e-9 of the largest element in float64, 1e-4 in float32, as soon as there is a float32
    in the graph or among what is handed over; 5e-7 where an array of float64 shows by its digits that it was made of
    float32. Where terms cancel, an element may be off by as much of the size of these
    terms, up to a thousandth of the largest element and as long as no usual fault explains it; the verdict says so.
    A number by which all elements are multiplied is no rounding: where several elements agree on one that is off 1 by
    more than 1e-9, or 3e-5 in float32, 8e-3 in float16, the gradient is wrong, however small the difference.
    Where the graph's own gradient is NaN or infinite, nothing can be judged, and the report is not `ok`.

    Raises nothing over a wrong gradient; ValueError where nothing is handed over, or one gradient twice, or for a name
    that the graph does not have or through which no gradient flows; TypeError for what is no array of numbers, or a
    masked one, and for a graph on arrays that are not NumPy's; and what `loss.backward()` raises.

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
    arrays = {name: handed(name, value) for name, value in manual.items()}
    variables = {k: v for k, v in (names or {}).items() if isinstance(v, Tensor) or k not in manual}
    traced = trace(loss, variables)
    refuse_other_arrays(traced)
    return Comparison(traced, arrays).report()


class Noise(NamedTuple):
    """How far rounding may take each element of a gradient.

    `each`: as results on the way to it are rounded. `below`, `above`: where rounding decides on which side of a kink
    something is, by as much as the other side has it lower or higher.
    """

    each: np.ndarray
    below: np.ndarray
    above: np.ndarray


class Comparison(Search):
    """One run: what was handed over, and what each step makes of those before it."""

    def __init__(self, traced: Trace, manual: dict[str, np.ndarray]):
        super().__init__(traced)
        found = {self.name(g): g for g in self.gradients.values() if self.name(g)}
        # What a Tensor is called comes before what the written source makes of another one's name.
        self.by_name = {**found, **{f"G_{x.name}": g for x, g in self.gradients.items() if x.name}}
        if not manual:
            raise ValueError(
                f"no gradient was handed over: give each as a keyword, as in compare_backprop(loss, names, "
                f"{[*self.by_name][-1]}=array). This graph has {', '.join(self.by_name)}"
            )
        self.handed: dict[Node, str] = {}
        for name, array in manual.items():
            node = self.find(name)
            if node in self.handed:
                raise ValueError(f"{self.handed[node]} and {name} are the same gradient: hand it over once")
            self.handed[node], self.manual[node] = name, array
        dtypes = [x.dtype for x in (*self.nodes, *self.manual.values()) if x.dtype.kind == "f"]
        self.coarsest = max(dtypes, key=lambda dtype: np.finfo(dtype).eps)
        self.spoiled = False

    def find(self, name: str) -> Node:
        """The gradient of that name; ValueError where there is none, or more than one."""
        twice = [x for x in self.gradients if x.name == name.removeprefix("G_")]
        if len(twice) > 1:
            raise ValueError(f"{name} is ambiguous: {len(twice)} Tensors are called {twice[0].name}; name them apart")
        found = self.by_name
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
                m = self.manual[node]
                verdict, reason, found = self.judge(node, m, expected)
                self.values |= found  # what comes next may follow from it
                self.values[node] = reshaped(m, expected)
                self.spoiled |= not verdict.startswith((RIGHT, EMPTY))
                steps.append(self.step(node, m, verdict, reason))
        return Report(steps)

    def step(self, node: Node, m: np.ndarray, verdict: str, reason: str) -> Step:
        """A line of the report."""
        true, absolute, relative = node.data, np.nan, np.nan
        if m.shape == true.shape:
            absolute, size = float(np.max(distance(m, true), initial=0)), largest(true)
            if size:
                relative = absolute / size
            else:
                relative = np.inf if absolute else 0.0
        return Step(self.handed[node], m.shape, absolute, relative, verdict, reason, self.code(self.name(node)))

    def judge(self, node: Node, m: np.ndarray, expected: np.ndarray) -> tuple[str, str, Mapping[Node, np.ndarray]]:
        """The verdict on `m`, which was handed over where `expected` follows from what was handed over before.

        With it come the reason, and the values of gradients before it that explain it.
        """
        true = node.data
        if m.shape == true.shape and not m.size:
            return EMPTY, f"shape {m.shape} has no element", {}
        verdict = self.verdict(node, m, expected)
        if verdict and not np.all(np.isfinite(true)):
            return NOT_FINITE, self.not_finite(node, m), {}
        if verdict:
            return verdict, "", {}
        found = self.reason(node, m, expected)
        if found.reason.startswith(EXACT_LOSS) and np.all(distance(m, expected) <= 1e-5 * largest(true)):
            return FOLLOWS if self.spoiled else EPSILON, found.reason, found.values
        if not found.reason and self.near(node, m, expected, self.terms):
            return FOLLOWS if self.spoiled else self.rounded(), "", {}
        if not found.reason and self.float32_on_the_way(node, m, expected, 4 * EPS32 * largest(expected)):
            return FOLLOWS if self.spoiled else ROUNDED.format("float32"), "", {}
        reason = found.reason or self.fallback(m, expected)
        if not found.reason and self.float32_on_the_way(node, m, expected):
            reason += "; a float32 on the way would explain as much: hand over float32 arrays where there was one"
        if found.ended is not None:
            reason += f"; the search for a reason was ended after {found.ended} candidates"
        return WRONG, reason, found.values

    def verdict(self, node: Node, m: np.ndarray, expected: np.ndarray) -> str:
        """The verdict on what can be told without a search; empty where that has to decide."""
        exact = RIGHT if tolerance(node) == tolerance(m, node) else self.rounded()
        if self.near(node, m, node.data):
            return exact
        if self.near(node, m, expected):
            return FOLLOWS if self.spoiled else exact
        if self.near(node, m, node.data, self.noise):
            return self.rounded()
        if self.near(node, m, expected, self.noise):
            return FOLLOWS if self.spoiled else self.rounded()
        if self.near(node, m, expected, self.noise_apart) and not self.factor_reason(constant_factor(m, expected)):
            return FOLLOWS if self.spoiled else self.rounded()
        at_first = [values[node] for values in self.from_float32 if np.all(np.isfinite(values[node]))]
        if self.rounded_to_float32(m, node.data) or any(self.near(node, m, to, self.noise) for to in at_first):
            return ROUNDED.format("float32")
        if self.rounded_to_float32(m, expected):
            return FOLLOWS if self.spoiled else ROUNDED.format("float32")
        return ""

    def near(self, node: Node, m: np.ndarray, to: np.ndarray, noises: Mapping[Node, Noise] = NOTHING) -> bool:
        """Whether `m` is `to` but for rounding: each element within its own noise, where there is one.

        Nothing can be said of elements for which the graph has no finite number.
        """
        if m.shape != to.shape:
            return False
        allowed = tolerance(m, node) * largest(to) + 16 * float(np.finfo(m.dtype).smallest_subnormal)
        if noises:
            noise, true = noises[node], largest(node.data)
            # The gradient of something larger has larger errors: everything after a wrong gradient scales with it.
            share = largest(to) / true if self.spoiled and true else 1
            allowed = allowed + share * (noise.each + np.where(m > to, noise.above, noise.below))
        within = np.all((distance(m, to) <= allowed) | ~np.isfinite(node.data))
        return bool(within and not self.has_common_factor(node, m, to))

    def has_common_factor(self, node: Node, m: np.ndarray, to: np.ndarray) -> bool:
        """Whether `m` is `to` times a number that rounding does not explain, in all elements that are not tiny."""
        size, info = np.abs(to), np.finfo(self.coarsest)
        counts = (size > 1e-3 * largest(to)) & (size > 16 * float(info.tiny)) & np.isfinite(m)
        if np.sum(counts) < SEVERAL:
            return False
        ratios = np.asarray(m[counts], float) / to[counts]
        factor = np.median(ratios)
        off = abs(factor - 1)
        limit = COMMON.get(self.coarsest.itemsize, 1e-9)
        if off <= limit:
            return False
        agree = np.abs(ratios - factor) <= 0.1 * off + 2 * float(info.eps)
        if np.sum(agree) < max(SEVERAL, 0.75 * agree.size):
            return False
        digits = np.frexp(size[counts][agree].astype(float))[0].astype(np.float16)
        alike = len(np.unique(digits)) < SEVERAL  # rounding does the same to what has the same digits
        # What was added up naively, one number after the other, is off by up to this much.
        limit = max(limit, longest_sum(node, alike) * float(info.eps) / 64)
        return bool(off > max(limit, self.factor_of_rounding[node]))

    @cached_property
    def factor_of_rounding(self) -> dict[Node, float]:
        """How far from 1 the number may be by which rounding multiplies a gradient: where what divides it cancels."""
        found = dict.fromkeys((x for x in self.nodes if x.gradient), 0.0)
        for values in self.simulated(apart=False):
            for g, before in found.items():
                factor = ratio(finite(values[g]), finite(g.data))
                # A quarter of the strength is several times what rounding does.
                found[g] = max(before, abs(factor - 1) / 4 if factor is not None else 0)
        return found

    def rounded(self) -> str:
        """The verdict on what is right but for rounding."""
        return CANCELLED if np.finfo(self.coarsest).eps < 1e-12 else ROUNDED.format(self.coarsest)

    def rounded_to_float32(self, m: np.ndarray, to: np.ndarray) -> bool:
        """Whether a float64 array is another one, each element rounded to float32."""
        if m.shape != to.shape or not np.array_equal(m, m.astype(np.float32), equal_nan=True):
            return False
        return bool(np.all(distance(m, to) <= EPS32 * np.abs(to)))

    def float32_on_the_way(self, node: Node, m: np.ndarray, expected: np.ndarray, at_most: float = np.inf) -> bool:
        """Whether each element of a float64 array is off by no more than rounding to float32 on the way may take it.

        `at_most`: a few units in the last place of the largest element are called right, since a float32 is quickly
        lost in an array of float64; what is off by a millionth is wrong. Nothing is called right where no array shows
        that there was a float32, and no factor that all elements share.
        """
        if m.shape != node.shape or m.itemsize < 8:
            return False
        if np.isfinite(at_most) and not (self.shows_float32 and not self.shares_more_than_float32(m, expected)):
            return False
        noise = self.noise_apart[node].each * EPS32 / float(np.finfo(self.coarsest).eps)
        allowed = tolerance(m, node) * largest(expected) + np.minimum(noise, at_most)
        return bool(np.all(distance(m, expected) <= allowed))

    @cached_property
    def shows_float32(self) -> bool:
        """Whether an array that was handed over is one of float32, or a sum of such, but for a divisor."""
        divisors = {1.0, *(float(number) for number, _ in self.causes if number > 1)}
        return any(is_short(m * d) for m in self.manual.values() for d in divisors)

    def shares_more_than_float32(self, m: np.ndarray, expected: np.ndarray) -> bool:
        """Whether all elements are off by one factor, and by more than a number they share is rounded to float32."""
        factor = ratio(m, expected)
        if factor is None or m.size < SEVERAL or abs(factor - 1) <= EPS32:
            return False
        rest, off = (np.linalg.norm(m - f * expected) for f in (factor, 1))
        return bool(rest < 0.1 * off)

    @cached_property
    def from_float32(self) -> list[dict[Node, np.ndarray]]:
        """Each value where all leaves were rounded to float32, and where all that has a name in the forward was."""

        def cut(x: np.ndarray) -> np.ndarray:
            return x.astype(np.float32).astype(x.dtype) if is_float(x) else x

        leaves = self.rerun(lambda x, y, _: y if x.op else cut(y))
        named = {x for x in self.traced.forward if x.name or not x.op}
        return [leaves, self.rerun(lambda x, y, _: cut(x.data) if x in named else y)]

    def rerun(self, alter: Callable) -> dict[Node, np.ndarray]:
        """Each value of the graph, where `alter(node, its value, all before it)` says what becomes of it."""
        values: dict[Node, np.ndarray] = {}
        for x in self.nodes:
            values[x] = alter(x, self.compute(x, values) if x.op else x.data, values)
        return values

    @cached_property
    def noise(self) -> dict[Node, Noise]:
        """How far each gradient may be off if all results on the way to it were rounded, each as in its own dtype.

        Or as in the coarsest that was handed over: a chain in float32 has float32 everywhere.
        """
        each = self.moved(apart=False)
        below, above = self.other_sides({f: each[f] for f in self.nodes if f in each and f.op in KINKS})
        return {g: Noise(each[g], below[g], above[g]) for g in self.nodes if g.gradient}

    @cached_property
    def noise_apart(self) -> dict[Node, Noise]:
        """The same, where errors do not cancel that cancel where gradients are added: a chain may add otherwise."""
        each = self.moved(apart=True)
        return {g: noise._replace(each=np.maximum(each[g], noise.each)) for g, noise in self.noise.items()}

    @cached_property
    def terms(self) -> dict[Node, Noise]:
        """How far each gradient may be off where no fault explains it: what RTOL allows of the size of its terms."""
        times = RTOL.get(self.coarsest.itemsize, 1e-9) / (float(np.finfo(self.coarsest).eps) * STRONGER * SAFETY)
        found = {}
        for g, noise in self.noise_apart.items():
            each = np.minimum(times * self.noise[g].each, AT_MOST * largest(g.data))
            found[g] = noise._replace(each=np.maximum(each, noise.each))
        return found

    def moved(self, apart: bool) -> dict[Node, np.ndarray]:
        """How far rounding takes each element of the gradients, and of what decides on the side of a kink."""
        found = {x: np.zeros(x.shape) for x in self.nodes if x.gradient or x.op in KINKS}
        for values in self.simulated(apart):
            for x, moved in found.items():
                off = side(x, values) - side(x) if x.op in KINKS else values[x] - x.data
                found[x] = np.fmax(moved, SAFETY * finite(np.abs(off)))
        return found

    def simulated(self, apart: bool) -> Iterator[dict[Node, np.ndarray]]:
        """Each value of the graph, TRIALS times, with every result rounded; see `perturbed`."""
        handed = max(epsilon(m) for m in self.manual.values())  # a chain in few digits has them everywhere
        sizes = {x: STRONGER * max(handed, epsilon(x)) for x in self.nodes if x.dtype.kind == "f"}
        for seed in range(TRIALS):
            rng = np.random.default_rng(seed)
            yield self.rerun(lambda x, y, values, rng=rng: perturbed(x, y, values, sizes.get(x, 0.0), rng, apart))

    def other_sides(self, sides: dict[Node, np.ndarray]) -> tuple[dict[Node, np.ndarray], dict[Node, np.ndarray]]:
        """How much lower and higher each gradient is where kinks that lie within their noise are taken on other sides.

        `sides`: how far what decides on the side of a kink may be off.
        """
        below = {g: np.zeros(()) for g in self.nodes if g.gradient}
        above = dict(below)
        open_ = {f: np.abs(side(f)) < moved for f, moved in sides.items()}
        open_ = {f: found for f, found in open_.items() if np.any(found)}
        for seed in range(TRIALS + 1) if open_ else ():
            rng = np.random.default_rng(seed)

            def turn(x: Node, y: np.ndarray, _: Any, rng: Any = rng, seed: int = seed) -> np.ndarray:
                if x not in open_:
                    return y
                which = open_[x] & (rng.random(x.shape) < 0.5) if seed else open_[x]  # all of them at first
                return np.where(which, turned(x.data), x.data)

            values = self.rerun(turn)
            for g in below:
                below[g] = np.fmax(below[g], finite(g.data - values[g]))
                above[g] = np.fmax(above[g], finite(values[g] - g.data))
        return below, above

    def not_finite(self, node: Node, m: np.ndarray) -> str:
        """Where NaN or infinity comes from that a gradient of the graph has, and perhaps `m` as well."""
        nodes = [*dict.fromkeys([*self.traced.forward, *behind([node])])]
        bad = [x for x in nodes if is_float(x) and not np.all(np.isfinite(x.data))]
        unknown = {*bad}
        made = (x for x in bad if not any(i in unknown for i in x.nodes()) and (x.op or np.any(np.isnan(x.data))))
        origin = next(made, bad[0])
        called = self.text(origin)
        if origin.gradient and not self.name(origin) and origin.owner:
            called = f"the gradient of {self.text(origin.owner)}"
        what = "NaN" if np.any(np.isnan(node.data)) else "infinite"
        too = "" if np.all(np.isfinite(m)) else " too"
        return f"the graph's own gradient is {what}{too}, from {called} on; see detect_anomaly()"


def handed(name: str, value: Any) -> np.ndarray:
    """A gradient that was handed over, as an array of numbers."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: hand over numbers, as in {name}=array.filled(0)")
    try:
        array = np.asarray(data_of(value))
    except ValueError as error:  # lists of different lengths
        raise TypeError(f"{name} is to be an array of numbers: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} is to be an array of numbers, not {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(float)


def refuse_other_arrays(traced: Trace) -> None:
    """TypeError where the numbers of the graph are not NumPy's: lazy ones would be computed again for each question."""
    for x in traced.forward:
        if not isinstance(x.data, np.ndarray | np.generic):
            called = x.name or (f"a result of {x.op.name}" if x.op else f"a Tensor of shape {x.shape}")
            kind = f"{type(x.data).__module__}.{type(x.data).__qualname__}"
            raise TypeError(f"compare_backprop is for NumPy's arrays, and {called} holds a {kind}")


def reshaped(m: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """What was handed over, in the shape with which one can go on."""
    if m.shape != expected.shape and m.shape == expected.shape[::-1]:
        return m.T
    return m.reshape(expected.shape) if m.size == expected.size else expected


def is_float(x: Any) -> bool:
    """Whether it has a dtype, and that of real numbers."""
    return hasattr(x, "dtype") and x.dtype.kind == "f"


def is_short(x: np.ndarray) -> bool:
    """Whether numbers of float64 end in zeros, as those of float32 and their sums do; plain ones as 0.5 say nothing."""
    size = np.abs(x[np.isfinite(x) & (x != 0)]).astype(float)
    if not size.size or np.all(np.frexp(size)[0] * 2**12 % 1 == 0):
        return False
    if np.all(np.abs(size - size.astype(np.float32)) <= 4 * np.finfo(float).eps * size):
        return True
    places = size / 2.0 ** np.frexp(np.max(size))[1]
    return bool(np.all(np.abs(places * 2**36 - np.rint(places * 2**36)) <= 2.0**-13))


def finite(x: np.ndarray) -> np.ndarray:
    """An array with 0 for what is NaN or infinite."""
    return np.where(np.isfinite(x), x, 0)


def epsilon(x: Any) -> float:
    """The rounding of an array's floats, relative to their size."""
    return float(np.finfo(x.dtype).eps)


def perturbed(
    x: Node, y: np.ndarray, values: dict[Node, np.ndarray], size: float, rng: np.random.Generator, apart: bool
) -> Any:
    """The value `y` of a Node as rounding to a relative `size` may leave it; on which side of a kink it is stays.

    `apart`: gradients alone are rounded, and what cancels in their sums does so no more.
    """
    if not is_float(x) or x.op in JUMPING:
        return x.data
    if x.op not in CHOOSING and (x.gradient or not apart):
        y = y * (1 + size * rng.uniform(-1, 1, x.shape))
    if apart and x.gradient and x.op is ops.add:
        parts = np.max([np.broadcast_to(np.abs(values[i] - i.data), x.shape) for i in x.nodes()], axis=0)
        y = y + np.where(np.abs(y - x.data) < 0.1 * parts, parts, 0) * rng.uniform(-1, 1, x.shape)
    return y


def side(f: Node, values: Mapping[Node, np.ndarray] = NOTHING) -> np.ndarray:
    """What is positive on one side of a kink, and negative on the other."""
    a, *b = (np.asarray(values.get(i, i.data) if isinstance(i, Node) else i, float) for i in f.inputs)
    return a - b[0] if b else a


def longest_sum(node: Node, own: bool) -> float:
    """How many numbers are added up for one on the way to a Node; `own`: in its own op too."""
    nodes = [x for x in behind([node]) if x.op and (own or x is not node)]
    return max((i.data.size / max(1, x.data.size) for x in nodes for i in x.nodes()), default=1)


def turned(side: np.ndarray) -> np.ndarray:
    """The other side of a kink."""
    return ~side if side.dtype == bool else np.where(side == 0, 1, -side)
