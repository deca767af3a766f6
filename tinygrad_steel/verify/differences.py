"""Proof by differences: `check_gradients` for any function, `check_op` for an op with its second order and dtypes."""

from __future__ import annotations

import functools
import inspect
import itertools
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.backward import history, pull
from ..engine.tensor import Tensor, grad
from ..ops.op import NO_VJP, Each, Op, describe
from ..ops.samples import Sample
from .variants import Trial, variants

RTOL, ATOL = 1e-6, 1e-9


class GradientError(AssertionError):
    """A gradient is not the derivative of its function; the message says where and by how much."""


@np.errstate(all="ignore")  # differences may step out of the domain: judged by its numbers, not by warnings
def check_gradients(fn: Callable, *inputs: Any, seed: int = 0, rtol: float = RTOL, atol: float | None = None) -> None:
    """Compare the gradients of `fn(*inputs)`, from `backward()` and from `grad`, with differences, element by element.

    `fn` takes Tensors and returns one, of any shape: `seed` draws the weights with which it is summed up to a number.
    `inputs`: arrays, lists, numbers or Tensors of any shape; they are copied. All numbers become float64 (integers and
    float32 too) and are differentiated, bools stay constant; class ids reach `fn` by closure, as in
    `check_gradients(lambda z: softmax_cross_entropy(z, ids), logits)`. At a kink, where the slopes on the left and on
    the right differ, every value from one to the other is right (relu at 0: 0 to 1). `atol`: 1e-9, or less where all
    slopes are smaller.

    Raises GradientError for the worst element, for values that are not finite, where `fn` depends on no input, writes
    into one, or gives different results for the same, and where rounding hides its slopes; TypeError where `fn`
    returns no Tensor; ValueError where there is nothing to check, and for tolerances with which nothing can fail.

    >>> check_gradients(lambda x, weight: np.tanh(x @ weight), [[1.0, 2.0]], [[0.1], [0.2]])
    """
    arrays = [x.numpy() if isinstance(x, Tensor) else Tensor(x).numpy() for x in inputs]
    data = [x if x.dtype == bool else x.astype(float) for x in arrays]
    wanted = [i for i, x in enumerate(data) if x.dtype != bool]
    what = getattr(fn, "__name__", None) or type(fn).__name__
    if not 0 <= rtol < 1 or not (atol is None or 0 <= atol < np.inf):
        raise ValueError(f"with rtol={rtol}, atol={atol} nothing can fail: rtol is from 0 to below 1, atol a number")
    if not wanted:
        raise ValueError(f"{what} has no input to differentiate: give check_gradients at least one array of numbers")
    if not any(data[i].size for i in wanted):
        raise ValueError(f"nothing was checked of {what}: its inputs have size 0, {', '.join(map(describe, arrays))}")
    names = [getattr(x, "name", None) or name for x, name in zip(inputs, argument_names(fn, len(inputs)))]
    names = [name if name is None else str(name) for name in names]  # pandas may call a column by a number
    case = Case(what, fn, data, names, arrays)
    try:
        first = case.repeated(wanted)
        if not first.size:
            raise ValueError(f"nothing was checked of {what}: its result has size 0, {describe(first)}")
        try:
            compare(case, wanted, seed, rtol, atol)
        finally:  # whatever was found says nothing then
            case.same_again(wanted, first)
    except (IndexError, TypeError, ValueError) as error:
        if any(x.dtype.kind in "iu" for x in arrays):
            error.add_note("integers became floats, to be differentiated: class ids reach fn by closure")
        raise


@np.errstate(all="ignore")
def check_op(op: Op, samples: Sequence[Sample] | None = None) -> None:
    """Prove a registered op on its samples and on inputs made from them, or on the samples given and no others.

    On each: a Tensor gives what an array gives; every vjp agrees with differences; so does the gradient of each
    gradient, with respect to the inputs and to `g`; the vjps are linear in `g`; nothing is changed in place, and no
    array is used again for the next result; float32 inputs have the same gradients, in float32; `elementwise` and
    `rowwise` are true. Integer and bool inputs (class ids, conditions), and those with a vjp of None, are constants.

    Made from the samples (see `variants.py`): other signs, sizes, offsets, zeros, ties, shapes, axes, parameters. What
    the forward refuses, or turns into numbers that are not finite, is left out: an op that is not made for some
    inputs says so by an error. At a tie the gradients must also be right together, as its elements move at once: those
    of max add up to 1, however they are shared. At kinks, jumps and the borders of its domain, only what differences
    are sure of counts.

    Raises GradientError, which names the sample and the input, for a failure; ValueError where there are no samples,
    where one of them has no floats to differentiate, where nothing was said of a gradient, and where the op's own
    samples leave a vjp unproven; TypeError for what is no op.

    >>> from tinygrad_steel import OPS, sample_of
    >>> check_op(OPS["softmax"])
    >>> check_op(OPS["relu"], samples=[sample_of([-1.0, 0.0, 2.0])])
    """
    if not isinstance(op, Op):
        raise TypeError(f'check_op takes a registered op, as in check_op(OPS["exp"]), not {op!r:.80}')
    given = list(op.samples if samples is None else samples)
    if not given:
        raise ValueError(f"{op.name} has no samples to be checked on: register it with samples=[arrays(...)]")
    refuse_missing_rules(op, given[0])
    proven: set[int] = set()
    for n, sample in enumerate(given):
        what = f"{op.name}, sample {n}"
        wanted = to_differentiate(op, sample.inputs)
        if has_rules(op) and not wanted:
            raise ValueError(f"{what}: no input that has a vjp holds floats, write 1.0 instead of 1; got {sample!r}")
        proven.update(prove(op, Trial(f"sample {n}", sample.inputs, sample.params), wanted))
    if has_rules(op) and not proven:
        raise ValueError(f"nothing was checked of {op.name}: all of its samples have size 0")
    if samples is not None or not has_rules(op):
        return
    for i, vjp in enumerate([] if isinstance(op.vjps, Each) else op.vjps[:]):
        if vjp is not None and i not in proven:
            raise ValueError(f"no sample of {op.name} has floats for input {i}, so that its vjp is unproven")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of means of nothing and the like, among inputs that are left out
        for trial in own_trials(op, given):
            wanted = to_differentiate(op, trial.inputs, trial.plain)
            if wanted and accepts(op, trial):
                prove(op, trial, wanted)


def has_rules(op: Op) -> bool:
    """Whether the op has a vjp that is not None."""
    return isinstance(op.vjps, Each) or any(vjp is not None for vjp in op.vjps[:])


def to_differentiate(op: Op, inputs: Sequence[np.ndarray], plain: Collection[int] = ()) -> list[int]:
    """The inputs that hold floats and have a vjp."""
    pairs = enumerate(zip(inputs, op.vjps))
    return [i for i, (x, vjp) in pairs if vjp is not None and x.dtype.kind == "f" and i not in plain]


def refuse_missing_rules(op: Op, sample: Sample) -> None:
    """ValueError where an input has neither a vjp nor None, and the op is not declared constant either."""
    if op.constant or isinstance(op.vjps, Each):
        return
    what = f"{op.name}{op.signature()}"
    if not op.differentiable:
        y = np.asarray(call(op, sample.inputs, sample.params))
        if y.dtype.kind == "f" and any(x.dtype.kind == "f" for x in sample.inputs):
            raise ValueError(f"{what}: {NO_VJP}")
    elif op.given < len(op.input_names):
        missing = ", ".join(op.input_names[op.given :])
        raise ValueError(f"{what} has no vjp for {missing}: give a rule, or None for no gradient")
    elif op.variadic and op.given < len(sample.inputs):
        raise ValueError(f"{what} has no vjp for input {op.given} and what follows: give each=, or None for each")


def own_trials(op: Op, given: Sequence[Sample]) -> Iterator[Trial]:
    """What is made from the samples; other shapes and axes once for inputs of the same kind."""
    kinds: list[tuple] = []
    required = [name for name in op.param_names if op.defaults[name] is inspect.Parameter.empty]
    for n, sample in enumerate(given):
        kind = tuple(x.dtype.kind for x in sample.inputs)
        shapes = bool(required) or kind not in kinds
        kinds.append(kind)
        yield from variants(op, sample, f"sample {n}", shapes)


def call(op: Op, xs: Sequence[Any], params: dict[str, Any], plain: Collection[int] = ()) -> Any:
    """The op on these inputs, as its callers hand them over."""
    xs = [x.item() if i in plain else x for i, x in enumerate(xs)]
    return op(xs, **params) if op.sequence else op(*xs, **params)


def accepts(op: Op, trial: Trial) -> bool:
    """Whether the forward is made for these inputs: whether it gives finite floats.

    Any error means that it is not, whatever its class: it is the forward's way to refuse.
    """
    try:
        y = np.asarray(call(op, [x.copy() for x in trial.inputs], trial.params, trial.plain))
    except Exception:
        return False
    return y.dtype.kind == "f" and bool(np.all(np.isfinite(y)))


class Case(NamedTuple):
    """What is under test, and what messages say of it."""

    what: str
    fn: Callable
    data: list[np.ndarray]
    names: Sequence[str | None]
    shown: Sequence[np.ndarray]  # the inputs before they became float64
    own: bool = False  # made by the check itself: only what differences are sure of counts

    def tensors(self, wanted: Collection[int], dtype: type = np.float64) -> list[Tensor]:
        """The inputs as fresh leaves, floats of them in `dtype`."""
        floats = [x.astype(dtype) if x.dtype.kind == "f" else x for x in self.data]
        return [Tensor(x, i in wanted, name) for i, (x, name) in enumerate(zip(floats, self.names))]

    def result(self, wanted: Collection[int], i: int, index: tuple[int, ...], value: float) -> np.ndarray:
        """The numbers that come out with `value` as one element of input `i`."""
        changed = self.data[i].copy()
        changed[index] = value
        return self.fn(*self._replace(data=[*self.data[:i], changed, *self.data[i + 1 :]]).tensors(wanted)).data

    def moved(self, wanted: Collection[int], direction: dict[int, np.ndarray], t: float) -> np.ndarray:
        """The numbers that come out `t` along a direction."""
        return self.fn(*self.shifted(direction, t).tensors(wanted)).data

    def shifted(self, direction: dict[int, np.ndarray], t: float) -> Case:
        """The case with inputs that are `t` along a direction."""
        return self._replace(data=[x + t * direction[i] if i in direction else x for i, x in enumerate(self.data)])

    def repeated(self, wanted: Collection[int]) -> np.ndarray:
        """The result, computed twice; raises where it differs, and where an input was written into."""
        xs = self.tensors(wanted)
        y = self.fn(*xs)
        if not isinstance(y, Tensor):
            raise TypeError(f"{self.what} must return one Tensor, not {type(y).__name__}")
        for i, (x, before) in enumerate(zip(xs, self.data)):
            if not same(x.data, before):
                raise self.error(f"it writes into {self.input(i)}: compute a new array instead")
        first = np.array(y.data)
        self.same_again(wanted, first)
        return first

    def same_again(self, wanted: Collection[int], first: np.ndarray) -> None:
        """Raise where the same inputs give another result than `first`."""
        again = self.fn(*self.tensors(wanted)).data
        if not same(first, again):
            raise self.error(f"{NOT_REPEATED}; {first!r:.100}, then {again!r:.100}")

    def input(self, i: int) -> str:
        """Input `i` as messages name it: `input 1 (weight)`."""
        return f"input {i} ({self.names[i]})" if self.names[i] else f"input {i}"

    def error(self, message: str) -> GradientError:
        """What to raise: the message between the name of the case and its inputs."""
        inputs = "; ".join(f"{self.input(i)} {shown(x)}" for i, x in enumerate(self.shown))
        return GradientError(f"{self.what}: {message}\n  inputs: {inputs}{NOT_MADE_FOR if self.own else ''}")


NOT_MADE_FOR = (
    "\n  the check made these from the op's samples: if it is not for such inputs, let its forward raise an error"
)
NOT_REPEATED = (
    "it gives different results for the same input: fix the random numbers outside (draw the mask once and pass it "
    "in), and keep nothing from one call to the next"
)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are the same, NaN included."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def shown(x: np.ndarray) -> str:
    """An input as messages show it, with its numbers where they are few."""
    return f"{describe(x)} {x.tolist()}" if x.size <= 6 else describe(x)


def argument_names(fn: Callable, count: int) -> list[str | None]:
    """The names of the first `count` positional arguments of `fn`, None where it gives none."""
    try:
        names = [p.name for p in inspect.signature(fn).parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):  # NumPy's own functions may have no signature
        names = []
    names = fn.input_names if isinstance(fn, Op) else names
    return [*names[:count], *[None] * (count - len(names))]


@functools.lru_cache(maxsize=1024)
def random_weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """0.5 to 1.5 on either side of zero: ones would hide rules that add up the gradient, tiny ones would hide all."""
    rng = np.random.default_rng(seed)
    weights = np.array(rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape))
    weights.flags.writeable = False
    return weights


class Slope(NamedTuple):
    """What differences say about one element."""

    value: float
    error: float  # how sure that is
    noise: float  # the part of it that comes from rounding
    low: float  # from here ...
    high: float  # ... to here goes the slope at a kink
    drift: float  # how much the slopes on either side change as the step shrinks
    sides: float  # the size of these
    kink: bool
    blind: bool  # the step changes nothing at all: it may be lost in rounding

    def off(self, graph: float, rtol: float, atol: float) -> float:
        """By how many tolerances the graph's value is off."""
        tolerance = atol + rtol * max(abs(graph), abs(self.value)) + self.noise
        return float(np.abs(graph - self.value) / max(tolerance, np.finfo(float).tiny))

    def hears(self, graph: float) -> bool:
        """Whether the slope is loud enough beside the rounding to tell the graph's value from none."""
        return not self.blind and self.noise <= 1e-3 * max(abs(graph), abs(self.value))

    def allows(self, graph: float) -> bool:
        """Whether the graph's value is a subgradient at a kink."""
        margin = 1e-3 * (self.high - self.low)
        return self.kink and self.low - margin <= graph <= self.high + margin

    def denies(self, graph: float, times: float = 10) -> bool:
        """Whether neither rounding nor a jump explains the graph's value, off by so many `times` what is unsure."""
        if np.isfinite(graph):
            apart = abs(graph - self.value)
            settled = self.drift < max(apart, 0.2 * self.sides)
        else:
            apart = max(abs(self.value), self.sides)
            settled = self.drift < max(0.01, 0.2 * self.sides)
        return bool(times * self.error < apart and (self.kink or settled))

    def supports(self, graph: float) -> bool:
        """Whether the graph's value is as good a guess as the slope itself, which is not far off."""
        return abs(graph - self.value) <= 3 * self.error and self.error <= 0.1 * max(abs(graph), abs(self.value))

    def against(self, graph: float, road: str) -> str:
        """Both values, and by how much they are apart."""
        ratio, apart = graph / self.value if self.value else np.inf, abs(graph - self.value)
        message = (
            f"{road} gives {graph:.10g}, differences give {self.value:.10g}, ratio {ratio:.6g}, off by {apart:.3g}"
        )
        if self.kink:
            return f"{message}\n  a kink: every slope from {self.low:.6g} to {self.high:.6g} would do"
        if self.error > 0.1 * apart:
            return f"{message}\n  differences are sure to {self.error:.1g} only: the function may jump here"
        return f"{message} (for the sum of the results, randomly weighted)"


def measure(f: Callable[[float], np.ndarray], x: float, weights: np.ndarray, eps: float) -> Iterator[Slope]:
    """The slope of `sum(weights * f(x))` by differences, with one step after another.

    Each is taken twice, whole and half, and extrapolated to 0. A relative step suits log(1e-6) and 1e9 ** 2, an
    absolute one sin(1e5), a smaller one what is steep, a larger one what is computed in short floats.
    """
    y = f(x)
    sizes = (1e-3, 1e-5) if eps < 1e-10 else (eps**0.2, eps ** (1 / 3))
    for h in (size * scale for size in sizes for scale in (max(1.0, abs(x)), min(1.0, abs(x)) or 1.0)):
        central, left, right, blind = [], [], [], True
        for step in (h, h / 2):
            up, down = x + step, x - step
            above, below = f(up), f(down)
            central.append(np.sum(weights * (above - below)) / (up - down))
            left.append(weights * (y - below) / (x - down))
            right.append(weights * (above - y) / (up - x))
            blind = blind and np.array_equal(above, y) and np.array_equal(below, y)
        noise = 16 * eps * np.sum(np.abs(weights * y)) / h
        value, error = (4 * central[1] - central[0]) / 3, abs(central[1] - central[0]) + noise
        # Per element of the result, as two kinks may cancel in the sum. Where the function is smooth, both ends meet;
        # where it jumps, they run away as the step shrinks.
        ends = [2 * half - full for full, half in (left, right)]
        low, high = np.sum(np.minimum(*ends)), np.sum(np.maximum(*ends))
        drift = sum(np.sum(np.abs(half - full)) for full, half in (left, right))
        sides = sum(np.sum(np.abs(half)) for _, half in (left, right))
        kink = high - low > 4 * (drift + noise)
        yield Slope(value, error if np.isfinite(error) else np.inf, noise, low, high, drift, sides, kink, blind)


def coarseness(y: Tensor) -> float:
    """The eps of the shortest floats in which something on the way to `y` was computed."""
    computed = [t for t in history([y]) if t is y or t.op is not None]
    return max((float(np.finfo(t.dtype).eps) for t in computed if t.dtype.kind == "f"), default=0.0)


class Found(NamedTuple):
    """What the graph says: the gradients of the inputs along both roads, and how the result was summed up."""

    weights: np.ndarray
    eps: float
    roads: dict[str, dict[int, np.ndarray]]
    reached: bool  # whether a gradient reached any of the inputs

    def at(self, i: int, index: tuple[int, ...]) -> dict[str, float]:
        """The gradient of one element, along each road."""
        return {road: float(gradients[i][index]) for road, gradients in self.roads.items()}


def graph_gradients(case: Case, wanted: Sequence[int], seed: int, scale: float) -> Found:
    """The gradients of the inputs `wanted` along both roads, the result summed up with random weights times `scale`."""
    xs = case.tensors(wanted)
    y = case.fn(*xs)
    if not np.all(np.isfinite(y.data)):
        raise case.error(f"the result is not finite, {y.numpy()!r:.200}: choose inputs where it is")
    weights = random_weights(y.shape, seed) * scale
    found: dict[int, Any] = {}
    if y.requires_grad and y.dtype.kind == "f":
        for x, g in pull(y, weights.astype(y.dtype)):  # as backward() does, but `.grad` of fn's closure stays as it is
            found[id(x)] = found.get(id(x), 0) + g
    reached = any(id(xs[i]) in found for i in wanted)
    arrays = {i: np.broadcast_to(found.get(id(xs[i]), 0.0), xs[i].shape) for i in wanted}
    tensors = {i: g.data for i, g in zip(wanted, grad(y, [xs[i] for i in wanted], weights))}
    return Found(weights, coarseness(y), {"backward()": arrays, "grad()": tensors}, reached)


NOT_REACHED = (
    "no gradient reaches its inputs: the result does not depend on them, or something on the way (detach(), data, a "
    "comparison) has cut the graph"
)


class Verdict(NamedTuple):
    """What is to be said of one element."""

    right: bool
    kink: bool  # or, on inputs of the check's own, a place where differences are not sure
    off: float  # by how many tolerances
    road: str
    graph: float
    slope: Slope  # the surest
    quiet: bool  # no step told anything from nothing


def judge(graph: dict[str, float], slopes: Iterator[Slope], rtol: float, atol: float, lenient: bool) -> Verdict:
    """The gradients of one element against its slopes: right as soon as one of these agrees.

    A slope that is lost in rounding agrees with everything, with a gradient of zero above all, and does not count.
    `lenient`: wrong only where that is sure.
    """
    seen: list[Slope] = []
    for slope in slopes:
        seen.append(slope)
        off, road, g = max((slope.off(g, rtol, atol), road, g) for road, g in graph.items())
        if off <= 1 and slope.hears(g):
            return Verdict(True, slope.kink, off, road, g, slope, quiet=False)
    best = min(seen, key=lambda slope: slope.error)
    off, road, g = max((best.off(g, rtol, atol), road, g) for road, g in graph.items())
    if np.isclose(*graph.values(), rtol, atol):
        road = "the graph"
    heard = [slope for slope in seen if any(map(slope.hears, graph.values()))]
    contradicted = any(slope.denies(g) and not slope.allows(g) for slope in heard for g in graph.values())
    if off <= 1 and not contradicted:
        return Verdict(True, best.kink, off, road, g, best, quiet=not heard)
    denied = any(surely_wrong(g, seen) for g in graph.values())
    if any(all(map(slope.allows, graph.values())) for slope in [best, *(seen[-1:] if lenient else [])]):
        return Verdict(True, True, off, road, g, best, quiet=False)
    unsure = lenient and not denied
    return Verdict(unsure, unsure or best.kink, off if np.isfinite(off) else np.inf, road, g, best, quiet=False)


def surely_wrong(graph: float, slopes: Sequence[Slope]) -> bool:
    """Whether slopes deny a gradient and none supports it: one beyond all doubt, or two that agree."""
    if any(slope.supports(graph) for slope in slopes):
        return False
    if any(slope.denies(graph, times=1000) for slope in slopes):
        return True
    values = sorted(slope.value for slope in slopes if slope.denies(graph))
    return any(high - low <= 0.1 * abs(low) for low, high in itertools.pairwise(values))


def compare(
    case: Case,
    wanted: Sequence[int],
    seed: int = 0,
    rtol: float = RTOL,
    atol: float | None = None,
    skip: Collection = (),
    constant: bool = False,
    scale: float = 1.0,
) -> set[tuple[int, tuple[int, ...]]]:
    """Raise for the worst element of the inputs `wanted`, leaving out those in `skip`; return those with a kink.

    `constant`: a result which no gradient leaves is right if it is constant, as the gradient of a linear function is.
    `scale`: by what the result is multiplied, where its slopes are below `atol` and anything would be right.
    """
    magnified = scale != 1
    sure_only = case.own or magnified
    found = graph_gradients(case, wanted, seed, scale)
    if not found.reached and not constant:
        raise case.error(NOT_REACHED)
    below = ATOL if atol is None else atol
    elements = [(i, at) for i in wanted for at in np.ndindex(case.data[i].shape) if (i, at) not in skip]
    verdicts: dict[tuple, Verdict] = {}
    for i, at in elements:
        graph, x = found.at(i, at), float(case.data[i][at])
        where = f"the gradient of {case.input(i)} at index {at}"
        if not sure_only and not np.all(np.isfinite([*graph.values()])):
            raise case.error(f"{where} is not finite: {graph}")
        slopes = measure(functools.partial(case.result, wanted, i, at), x, found.weights, found.eps)
        verdict = verdicts[i, at] = judge(graph, slopes, rtol, below, sure_only)
        if not sure_only and not verdict.right and not np.isfinite(verdict.slope.error):
            raise case.error(f"{where} cannot be checked: close to its {x} results are not finite")
    wrong = [(v.off, place) for place, v in verdicts.items() if not v.right]
    if wrong:
        _, (i, at) = max(wrong)
        worst = verdicts[i, at]
        counted = f"{len(wrong)} of {len(elements)} elements are wrong, this one most"
        cut = "" if found.reached else f"\n  {NOT_REACHED}"
        said = f"{worst.slope.against(worst.graph, worst.road)}{cut}"
        said += f"\n  all of it for the result times {scale:.3g}, as its slopes are so small" if magnified else ""
        raise case.error(f"the gradient of {case.input(i)} at index {at} is wrong ({counted}):\n  {said}")
    if not sure_only:
        refuse_quiet(case, verdicts)
        look_below(case, wanted, verdicts, below, atol is not None, seed=seed, rtol=rtol, constant=constant)
    return {place for place, v in verdicts.items() if v.kink}


def refuse_quiet(case: Case, verdicts: dict[tuple, Verdict]) -> None:
    """Raise where rounding hides slopes that would matter beside the largest gradient."""
    largest = max((abs(v.graph) for v in verdicts.values()), default=0.0)
    for (i, at), verdict in verdicts.items():
        if verdict.quiet and verdict.slope.noise > 0.01 * (largest or 1.0):
            raise case.error(
                f"the gradient of {case.input(i)} at index {at} cannot be checked: rounding hides slopes below "
                f"{verdict.slope.noise:.1g}; compute in float64, and leave out what is added and never changes"
            )


def look_below(case: Case, wanted: Sequence[int], verdicts: dict, atol: float, asked: bool, **options: Any) -> None:
    """Where every slope is below `atol`, look again through a magnifying glass; raise where that `atol` was asked for.

    Only at slopes that are more than rounding: differences of cos(x) ** 2 + sin(x) ** 2 are not even sure of a digit.
    """
    clear = {at: abs(v.slope.value) for at, v in verdicts.items() if v.slope.error < 1e-3 * abs(v.slope.value)}
    largest = max(clear.values(), default=0.0)
    if not 0 < largest <= atol:
        return
    if asked:
        raise ValueError(f"with atol={atol} nothing can fail: the largest slope is {largest:.3g}")
    skip = verdicts.keys() - clear.keys()
    compare(case, wanted, skip=skip, scale=1 / largest, **options)


def confirm(case: Case, wanted: Sequence[int]) -> set[tuple[int, tuple[int, ...]]]:
    """As `compare`; on inputs of the check's own, one slope along all elements at once may do, which is quick."""
    if case.own and agrees_along(case, wanted):
        return set()
    return compare(case, wanted)


def check_ties(case: Case, wanted: Sequence[int], kinks: Collection[tuple[int, tuple[int, ...]]]) -> None:
    """Raise where elements at a kink have slopes that are right each for itself, and wrong together.

    At a tie max has a kink in each element and none where all of them move together: there its gradients add up to 1.
    Elements of the same size are moved together, and what counts are directions that are smooth all around, so that
    every convention for the kink has the same slope there.
    """
    groups: dict[float, list[tuple[int, tuple[int, ...]]]] = {}
    for i, at in sorted(kinks):
        groups.setdefault(abs(float(case.data[i][at])), []).append((i, at))
    tied = [group for group in groups.values() if len(group) > 1][:4]
    for group in tied:
        direction = {i: np.zeros(case.data[i].shape) for i in wanted}
        for i, at in group:
            direction[i][at] = -1.0 if case.data[i][at] < 0 else 1.0
        if not smooth_around(case, wanted, direction):
            continue
        found, graph = graph_along(case, wanted, direction)
        # Beside the tie's own rounding, which std divides by itself where all is equal: it changes with each step.
        steps = [graph_along(case.shifted(direction, 1e-5 * k**0.5), wanted, direction)[1] for k in range(1, 9)]
        if not all(np.allclose([*step.values()], [*graph.values()], 0.01, ATOL) for step in steps):
            continue
        slopes = measure(functools.partial(case.moved, wanted, direction), 0.0, found.weights, found.eps)
        verdict = judge(graph, slopes, RTOL, ATOL, lenient=True)
        if not verdict.right:
            where = ", ".join(f"{case.input(i)} at index {at}" for i, at in group[:4])
            raise case.error(
                f"the gradients of {where}{', ...' if len(group) > 4 else ''} are wrong together, as all of these "
                f"elements move at once:\n  {verdict.slope.against(verdict.graph, verdict.road)}"
            )


def graph_along(case: Case, wanted: Sequence[int], direction: dict[int, np.ndarray]) -> tuple[Found, dict[str, float]]:
    """What the graph says, and the slope along a direction that its gradients come to on each road."""
    found = graph_gradients(case, wanted, seed=0, scale=1.0)
    return found, {
        road: sum(float(np.sum(gradients[i] * direction[i])) for i in wanted) for road, gradients in found.roads.items()
    }


def smooth_around(case: Case, wanted: Sequence[int], direction: dict[int, np.ndarray]) -> bool:
    """Whether the slopes along a direction are the same on both sides, and at points on all sides."""
    f = functools.partial(case.moved, wanted, direction)
    h = 1e-6
    y = f(0.0)
    sides = [(f(h) - y) / h, (y - f(-h)) / h]
    for seed in range(8):
        shift = {i: 1e-4 * random_weights(d.shape, 31 + 10 * seed + i) * (d != 0) for i, d in direction.items()}
        beside = case.shifted(shift, 1.0)
        sides.append((beside.moved(wanted, direction, h) - beside.moved(wanted, direction, -h)) / (2 * h))
    apart = np.max(np.abs(np.array(sides) - sides[0]), axis=0, initial=0)
    size = np.max(np.abs(sides), initial=0)
    return bool(np.all(apart <= 0.01 * size + ATOL))  # which NaN is not


def agrees_along(case: Case, wanted: Sequence[int]) -> bool:
    """Whether the gradients agree with the slope along a random direction through all elements.

    A no means nothing yet: kinks, cancellation and numbers of very different size are for `compare`.
    """
    found = graph_gradients(case, wanted, seed=0, scale=1.0)
    for size, h in ((np.maximum, 1e-3), (np.maximum, 1e-5), (np.minimum, 1e-3)):
        sizes = {i: np.abs(case.data[i]) for i in wanted}
        directions = {i: random_weights(x.shape, 11 + i) * size(1.0, np.where(x, x, 1.0)) for i, x in sizes.items()}
        along = []
        loudest = 0.0
        for gradients in found.roads.values():
            parts = [gradients[i] * directions[i] for i in wanted]
            along.append(sum(float(part.sum()) for part in parts))
            loudest = max(loudest, *(float(np.abs(part).max(initial=0.0)) for part in parts))
        if not np.all(np.isfinite(along)):
            return False
        ends = [case.moved(wanted, directions, t) for t in (h, -h, h / 2, -h / 2)]
        if loudest == 0 and all(np.array_equal(ends[0], end) for end in ends):
            return True
        whole, half = (
            float(np.sum(found.weights * (ends[k] - ends[k + 1]))) / step for k, step in ((0, 2 * h), (2, h))
        )
        slope, noise = (4 * half - whole) / 3, 16 * found.eps * float(np.sum(np.abs(found.weights * ends[0]))) / h
        tolerance = ATOL + RTOL * abs(slope) + noise
        if noise <= 1e-3 * loudest and all(abs(g - slope) <= tolerance for g in along):
            return True
    return False


# What check_op proves on one set of inputs


def prove(op: Op, trial: Trial, wanted: list[int]) -> list[int]:
    """Prove an op on these inputs; `wanted` are those to differentiate, of which those that had elements come back."""
    what = f"{op.name}, {trial.label}"
    data = [x.astype(float) if x.dtype.kind == "f" else x for x in trial.inputs]
    for x in data:
        x.flags.writeable = False
    names = [*op.input_names, *[None] * len(data)][: len(data)]
    case = Case(what, lambda *xs: call(op, xs, trial.params, trial.plain), data, names, trial.inputs, trial.own)
    try:
        return prove_case(case, op, trial, wanted)
    except GradientError:
        raise
    except Exception as error:
        if trial.loud:
            return []
        sample = ", ".join([*map(describe, trial.inputs), *(f"{k}={v!r}" for k, v in trial.params.items())])
        raise GradientError(f"{what}, ({sample}): {type(error).__name__}: {error}") from error


def prove_case(case: Case, op: Op, trial: Trial, wanted: list[int]) -> list[int]:
    """All that `check_op` proves; see there."""
    y = check_forward(case, op, trial)
    if not has_rules(op):
        return []
    for dtype in (np.float64,) if trial.numbers else (np.float64, np.float32):
        check_rules(case, op, trial, wanted, dtype)
    proven = [i for i in wanted if case.data[i].size and y.size]
    if not proven:
        return []
    try:
        check_numbers(case, op, trial, wanted, y)
    finally:  # whatever was found says nothing then
        case.same_again(wanted, y)
    return proven


def check_numbers(case: Case, op: Op, trial: Trial, wanted: Sequence[int], y: np.ndarray) -> None:
    """What differences say of the gradients, of the words in the declaration and of the second order."""
    kinks = confirm(case, wanted)
    check_ties(case, wanted, kinks)
    check_linear(case, op, wanted)
    if not trial.numbers:
        check_layouts(case, op, wanted)
        check_short_floats(case, wanted, kinks)
    if op.elementwise or op.rowwise:
        check_words(case, op, trial, y)
        # such an op may be handed one number as the gradient of all its elements
        confirm(case._replace(what=f"{case.what}, under a sum", fn=lambda *xs: np.sum(case.fn(*xs))), wanted)
    second_order(case, wanted, kinks, y.shape)


def second_order(case: Case, wanted: Sequence[int], kinks: Collection, shape: tuple[int, ...]) -> None:
    """Prove the gradients of each gradient, with respect to the inputs and to `g`."""
    second = case._replace(data=[*case.data, random_weights(shape, 1)], names=[*case.names, "g"])
    everything = [*wanted, len(case.data)]

    def weighted(*xs: Tensor) -> Tensor:
        gradients = grad(case.fn(*xs[:-1]), [xs[i] for i in wanted], xs[-1])
        return sum(np.sum(g * random_weights(g.shape, 21 + k)) for k, g in enumerate(gradients))

    total = second._replace(fn=weighted)
    if case.own and (not np.isfinite(weighted(*second.tensors(wanted)).data) or agrees_along(total, everything)):
        return  # at the border of the domain, or all at once
    for i in wanted:
        first_order = functools.partial(lambda i, *xs: grad(case.fn(*xs[:-1]), xs[i], xs[-1]), i)
        what = f"{case.what}, second order, on the gradient of {case.input(i)}"
        compare(second._replace(what=what, fn=first_order), everything, skip=kinks, constant=True)


def check_forward(case: Case, op: Op, trial: Trial) -> np.ndarray:
    """The result; raises where the forward writes into its inputs or gives another result, on Tensors or later."""
    copies = [x.copy() for x in case.data]
    given = case.fn(*copies)
    result = np.array(given)
    for i, (x, before) in enumerate(zip(copies, case.data)):
        if not same(x, before):
            raise case.error(f"the forward writes into {case.input(i)}: compute a new array instead")
    again = np.array(case.fn(*[x.copy() for x in case.data]))
    if not same(result, again):
        raise case.error(f"{NOT_REPEATED}; {result!r:.100}, then {again!r:.100}")
    next_call(op, trial)
    if not same(given, result):
        raise case.error("the forward returns an array that its next call overwrites: return a new one")
    y = case.fn(*case.tensors(()))
    if not same(result, y.data):
        raise case.error(f"on Tensors it gives {y!r:.200}, on arrays {result!r:.200}")
    return result


def next_call(op: Op, trial: Trial) -> None:
    """Call the forward with the same numbers in another order, which would show in an array that it uses again."""
    accepts(op, trial._replace(inputs=[x.ravel()[::-1].reshape(x.shape) for x in trial.inputs]))


def check_rules(case: Case, op: Op, trial: Trial, wanted: list[int], dtype: type) -> None:
    """What differences do not see: dtypes, and vjps that write into what they are given."""
    xs = case.tensors(wanted, dtype)
    y = case.fn(*xs)
    if y.dtype.itemsize > np.result_type(*(x.dtype for x in xs)).itemsize and "dtype" not in op.param_names:
        raise case.error(f"the result is {y.dtype} for {np.dtype(dtype)} inputs")
    weights = random_weights(y.shape, 0).astype(y.dtype)
    given = [weights, y.data, *(x for x in y.arrays if isinstance(x, np.ndarray))]
    before = [np.array(x) for x in given]
    next_call(op, trial)
    if not all(map(same, before, given)):
        raise case.error("the forward keeps an array that its next call overwrites: keep a new one")
    for i, (x, vjp) in enumerate(zip(xs, op.vjps)):
        if i not in wanted:
            continue
        g = vjp(weights, y.data, *y.arrays, **y.params)
        if isinstance(g, Tensor):
            raise case.error(f"the vjp of {case.input(i)} returns a Tensor where it was given arrays")
        found = getattr(g, "dtype", type(g).__name__)
        if not isinstance(found, np.dtype) or found.kind != "f" or found.itemsize < x.dtype.itemsize:
            raise case.error(f"the vjp of {case.input(i)} returns {found} where the input is {x.dtype}")
        if not all(map(same, before, given)):
            raise case.error(f"the vjp of {case.input(i)} writes into its arguments")
    y.backward(weights)
    gradients = grad(y, [xs[i] for i in wanted], weights)
    if not all(map(same, before, given)):
        raise case.error("a vjp writes into the data of its arguments")
    for i, g in zip(wanted, gradients):
        for road in (xs[i].grad, g):
            if road.shape != xs[i].shape or road.dtype != xs[i].dtype:
                raise case.error(f"the gradient of {case.input(i)} has {describe(road)}, the input {describe(xs[i])}")


def rules_of(case: Case, op: Op, wanted: Sequence[int]) -> tuple[Tensor, dict[int, Callable]]:
    """The result on Tensors, and for each input `wanted` its vjp on the arrays of these, as a function of `g` alone."""

    def bound(vjp: Callable) -> Callable:
        return lambda g: vjp(g, y.data, *y.arrays, **y.params)

    y = case.fn(*case.tensors(wanted))
    return y, {i: bound(vjp) for i, (_, vjp) in enumerate(zip(case.data, op.vjps)) if i in wanted}


def close(a: Any, b: Any, size: Any, y: Tensor) -> bool:
    """Whether two gradients are the same beside the largest of `size`, wherever all of that is finite.

    What rounding leaves of numbers as large as the inputs and the result of `y` counts as nothing.
    """
    a, b, size = np.broadcast_arrays(a, b, size)
    finite = np.isfinite(size)
    numbers = max(float(np.max(np.abs(x), initial=1.0)) for x in (y.data, *y.arrays[: len(y.inputs)]))
    return bool(np.all(np.abs(a - b)[finite] <= 1e-9 * np.max(size[finite], initial=0.0) + 1e-12 * numbers))


def check_linear(case: Case, op: Op, wanted: Sequence[int]) -> None:
    """Raise where a vjp is not linear in `g`, gives another result later, or uses an array again for the next one."""
    y, rules = rules_of(case, op, wanted)
    one, other = random_weights(y.shape, 0), random_weights(y.shape, 2)
    other = other * np.resize([0.0, 1e3, 1e-3, 1.0], other.shape)
    for i, rule in rules.items():
        result = rule(one)
        first, second = np.array(result), np.array(rule(other))
        if not same(result, first):
            raise case.error(f"the vjp of {case.input(i)} returns an array that its next call overwrites")
        if not same(rule(one), first):
            raise case.error(f"the vjp of {case.input(i)} gives different results for the same input and gradient")
        for factor in (-1.0, 0.0, 1e4):
            if not close(rule(factor * one), factor * first, (1 + abs(factor)) * np.abs(first), y):
                raise case.error(f"the vjp of {case.input(i)} is not linear in g: {factor:g} * g gives something else")
        if not close(rule(one + other), first + second, np.abs(first) + np.abs(second), y):
            raise case.error(f"the vjp of {case.input(i)} is not linear in g: what it gives for a sum is not the sum")


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "in Fortran order": np.asfortranarray,
    "with gaps between elements": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards in memory": lambda x: np.ascontiguousarray(x[::-1])[::-1],
}


def check_layouts(case: Case, op: Op, wanted: Sequence[int]) -> None:
    """Raise where the forward or a vjp gives something else for the same numbers in another order in memory."""
    y, rules = rules_of(case, op, wanted)
    weights = random_weights(y.shape, 0)
    for layout, turned in LAYOUTS.items():
        arrays = [turned(x) if isinstance(x, np.ndarray) and x.ndim else x for x in y.arrays]
        result, g = (turned(x) if x.ndim else x for x in (y.data, weights))
        again = np.asarray(case.fn(*map(np.asarray, arrays[: len(case.data)])))
        if again.shape != y.shape or not close(again, y.data, np.abs(y.data), y):
            raise case.error(f"the forward gives something else on arrays {layout}")
        for i, (_, vjp) in enumerate(zip(case.data, op.vjps)):
            if i not in wanted:
                continue
            found, expected = vjp(g, result, *arrays, **y.params), rules[i](weights)
            if np.shape(found) != np.shape(expected) or not close(found, expected, np.abs(expected), y):
                raise case.error(f"the vjp of {case.input(i)} gives something else on arrays {layout}")


def check_short_floats(case: Case, wanted: Sequence[int], kinks: Collection) -> None:
    """Raise where the gradients in float32 are not those in float64, of numbers that float32 holds exactly."""
    short = case._replace(data=[x.astype(np.float32).astype(float) if x.dtype.kind == "f" else x for x in case.data])
    nudged = short._replace(data=[x * (1 + 1e-6) if x.dtype.kind == "f" else x for x in short.data])

    def gradients(case: Case, dtype: type) -> tuple[np.ndarray, list[np.ndarray]]:
        xs = case.tensors(wanted, dtype)
        y = case.fn(*xs)
        y.backward(random_weights(y.shape, 0).astype(y.dtype))
        return y.data, [xs[i].grad for i in wanted]

    (y, exact), (near, close_by), (rounded, found) = (
        gradients(short, np.float64),
        gradients(nudged, np.float64),
        gradients(short, np.float32),
    )
    if not np.allclose(rounded, y, 1e-4, 1e-4 * np.max(np.abs(y), initial=0)) or not np.all(np.isfinite(near)):
        return  # the function itself needs more than float32 here
    for i, g, nearby, g32 in zip(wanted, exact, close_by, found, strict=True):
        steep = np.max(np.abs(nearby - g), initial=0)  # how much of it is a matter of the last digits
        apart = np.abs(g32 - g)
        for at in np.ndindex(g.shape):
            smooth = (i, at) not in kinks and np.isfinite(g[at]) and np.isfinite(steep)
            if smooth and not apart[at] <= 1e-3 * np.max(np.abs(g)) + 100 * steep + 1e-6:
                raise case.error(
                    f"the gradient of {case.input(i)} at index {at} is {g32[at]:.6g} in float32, {g[at]:.6g} in float64"
                )


def check_words(case: Case, op: Op, trial: Trial, y: np.ndarray) -> None:
    """Raise where an element of the result depends on others than `elementwise` or `rowwise` says."""
    word = "elementwise" if op.elementwise else "rowwise"
    shapes = [x.shape for x in case.data]
    rows = [shape[0] for shape in shapes if shape]
    if op.rowwise and trial.own and any(len(shape) != 2 for shape in shapes[:1]):
        return
    fits = y.shape == np.broadcast_shapes(*shapes) if op.elementwise else bool(rows) and y.shape == (rows[0],)
    if not fits:
        raise case.error(f"it is not {word}: its result has shape {y.shape}")
    for i, x in enumerate(case.data):
        if x.dtype.kind != "f":
            continue
        for at in [*np.ndindex(x.shape)][:: max(1, x.size - 1)]:
            changed, touched = x.copy(), np.zeros(x.shape, dtype=bool)
            changed[at] = 1.01 * x[at] + 0.001
            touched[at if op.elementwise else at[0]] = True
            inputs = [changed if k == i else other for k, other in enumerate(case.data)]
            other = np.asarray(case.fn(*inputs))
            mine = np.broadcast_to(touched, y.shape) if op.elementwise else touched.reshape(len(touched), -1).any(1)
            if not np.array_equal(other[~mine], y[~mine], equal_nan=True):
                raise case.error(f"it is not {word}: {case.input(i)} at index {at} changes other elements too")
