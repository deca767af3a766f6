"""Proof by differences: `check_gradients` for any function, `check_op` for an op with its second order and dtypes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .graph import pull
from .registry import Each, Op, Sample, describe
from .tensor import Tensor, grad

RTOL, ATOL = 1e-6, 1e-9


class GradientError(AssertionError):
    """A gradient is not the derivative of its function; the message says where and by how much."""


@np.errstate(all="ignore")  # differences may step out of the domain: judged by its numbers, not by warnings
def check_gradients(fn: Callable, *inputs: Any, seed: int = 0, rtol: float = RTOL, atol: float = ATOL) -> None:
    """Compare the gradients of `fn(*inputs)`, from `backward()` and from `grad`, with differences, element by element.

    `fn` takes Tensors and returns one, of any shape: `seed` draws the weights with which it is summed up to a number.
    `inputs`: arrays, lists, numbers or Tensors of any shape; they are copied. All numbers become float64 (integers and
    float32 too) and are differentiated, bools stay constant; class ids reach `fn` by closure, as in
    `check_gradients(lambda z: softmax_cross_entropy(z, ids), logits)`. At a kink, where the slopes on the left and on
    the right differ, every value from one to the other is right (relu at 0: 0 to 1).

    Raises GradientError for the worst element, for values that are not finite, and where `fn` depends on no input;
    TypeError where `fn` returns no Tensor; ValueError where no input holds numbers.

    >>> check_gradients(lambda x, weight: np.tanh(x @ weight), [[1.0, 2.0]], [[0.1], [0.2]])
    """
    arrays = [x.numpy() if isinstance(x, Tensor) else Tensor(x).numpy() for x in inputs]
    data = [x if x.dtype == bool else x.astype(float) for x in arrays]
    wanted = [i for i, x in enumerate(data) if x.dtype != bool]
    what = getattr(fn, "__name__", None) or type(fn).__name__
    if not wanted:
        raise ValueError(f"{what} has no input to differentiate: give check_gradients at least one array of numbers")
    names = [getattr(x, "name", None) or name for x, name in zip(inputs, argument_names(fn, len(inputs)))]
    compare(Case(what, fn, data, names, arrays), wanted, seed, rtol, atol)


@np.errstate(all="ignore")
def check_op(op: Op, samples: Sequence[Sample] | None = None) -> None:
    """Prove a registered op on its samples, or on those given: result, vjps, second order, shapes, dtypes.

    On each sample: a Tensor gives what an array gives; every vjp agrees with differences; so does the gradient of each
    gradient, with respect to the inputs and to `g`; the vjps change nothing in place; float32 inputs have float32
    gradients. Integer and bool inputs (class ids, conditions), and those with a vjp of None, are held constant.

    Raises GradientError, which names the sample and the input, for a failure; ValueError where there are no samples,
    where one of them has no floats to differentiate, and where the op's own samples leave a vjp unproven.

    >>> from tinygrad_steel import OPS, values
    >>> check_op(OPS["softmax"])
    >>> check_op(OPS["relu"], samples=[values([-1.0, 0.0, 2.0])])
    """
    if op.differentiable and not isinstance(op.vjps, Each) and op.given < len(op.input_names):
        missing = ", ".join(op.input_names[op.given :])
        raise ValueError(f"{op.name}{op.signature()} has no vjp for {missing}: give a rule, or None for no gradient")
    given = list(op.samples if samples is None else samples)
    if not given:
        raise ValueError(f"{op.name} has no samples to be checked on: register it with samples=[arrays(...)]")
    proven: set[int] = set()
    for n, sample in enumerate(given):
        what = f"{op.name}, sample {n}"
        pairs = zip(sample.inputs, op.vjps)
        wanted = [i for i, (x, vjp) in enumerate(pairs) if vjp is not None and x.dtype.kind == "f"]
        if op.differentiable and not wanted:
            raise ValueError(f"{what}: no input that has a vjp holds floats, write 1.0 instead of 1; got {sample!r}")
        try:
            check_sample(op, what, sample, wanted)
        except Exception as error:
            if isinstance(error, GradientError):
                raise
            raise GradientError(f"{what}, {sample!r}: {type(error).__name__}: {error}") from error
        proven.update(wanted)
    if samples is None and not isinstance(op.vjps, Each):
        for i, vjp in enumerate(op.vjps[:]):
            if vjp is not None and i not in proven:
                raise ValueError(f"no sample of {op.name} has floats for input {i}, so that its vjp is unproven")


class Case(NamedTuple):
    """What is under test, and what messages say of it."""

    what: str
    fn: Callable
    data: list[np.ndarray]
    names: Sequence[str | None]
    shown: Sequence[np.ndarray]  # the inputs before they became float64

    def tensors(self, wanted: Collection[int], dtype: type = np.float64) -> list[Tensor]:
        """The inputs as fresh leaves, floats of them in `dtype`."""
        floats = [x.astype(dtype) if x.dtype.kind == "f" else x for x in self.data]
        return [Tensor(x, i in wanted, name) for i, (x, name) in enumerate(zip(floats, self.names))]

    def result(self, wanted: Collection[int], i: int, index: tuple[int, ...], value: float) -> np.ndarray:
        """The numbers that come out with `value` as one element of input `i`."""
        changed = self.data[i].copy()
        changed[index] = value
        return self.fn(*self._replace(data=[*self.data[:i], changed, *self.data[i + 1 :]]).tensors(wanted)).data

    def input(self, i: int) -> str:
        """Input `i` as messages name it: `input 1 (weight)`."""
        return f"input {i} ({self.names[i]})" if self.names[i] else f"input {i}"

    def error(self, message: str) -> GradientError:
        """What to raise: the message between the name of the case and its inputs."""
        inputs = "; ".join(f"{self.input(i)} {describe(x)}" for i, x in enumerate(self.shown))
        return GradientError(f"{self.what}: {message}\n  inputs: {inputs}")


def argument_names(fn: Callable, count: int) -> list[str | None]:
    """The names of the first `count` positional arguments of `fn`, None where it gives none."""
    try:
        names = [p.name for p in inspect.signature(fn).parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):  # NumPy's own functions may have no signature
        names = []
    names = fn.input_names if isinstance(fn, Op) else names
    return [*names[:count], *[None] * (count - len(names))]


def random_weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """0.5 to 1.5 on either side of zero: ones would hide rules that add up the gradient, tiny ones would hide all."""
    rng = np.random.default_rng(seed)
    return np.array(rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape))


class Slope(NamedTuple):
    """What differences say about one element."""

    value: float
    error: float  # how sure that is
    noise: float  # the part of it that comes from rounding
    low: float  # from here ...
    high: float  # ... to here goes the slope at a kink
    kink: bool

    def off(self, graph: float, rtol: float, atol: float) -> float:
        """By how many tolerances the graph's value is off."""
        tolerance = atol + rtol * max(abs(graph), abs(self.value)) + self.noise
        return float(np.abs(graph - self.value) / max(tolerance, np.finfo(float).tiny))

    def allows(self, graph: float) -> bool:
        """Whether the graph's value is a subgradient at a kink."""
        margin = 1e-3 * (self.high - self.low)
        return self.kink and self.low - margin <= graph <= self.high + margin

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
    absolute one sin(1e5), a smaller one what is steep.
    """
    y = f(x)
    for h in (size * scale for size in (1e-3, 1e-5) for scale in (max(1.0, abs(x)), min(1.0, abs(x)) or 1.0)):
        central, left, right = [], [], []
        for step in (h, h / 2):
            up, down = x + step, x - step
            above, below = f(up), f(down)
            central.append(np.sum(weights * (above - below)) / (up - down))
            left.append(weights * (y - below) / (x - down))
            right.append(weights * (above - y) / (up - x))
        noise = 16 * eps * np.sum(np.abs(weights * y)) / h
        value, error = (4 * central[1] - central[0]) / 3, abs(central[1] - central[0]) + noise
        # Per element of the result, as two kinks may cancel in the sum. Where the function is smooth, both ends meet;
        # where it jumps, they run away as the step shrinks.
        ends = [2 * half - full for full, half in (left, right)]
        low, high = np.sum(np.minimum(*ends)), np.sum(np.maximum(*ends))
        drift = sum(np.sum(np.abs(half - full)) for full, half in (left, right))
        yield Slope(value, error if np.isfinite(error) else np.inf, noise, low, high, high - low > 4 * (drift + noise))


def graph_gradients(case: Case, wanted: Sequence[int], seed: int) -> tuple[Tensor, np.ndarray, dict[str, dict]]:
    """The result, the weights which sum it up, and the gradients of the inputs `wanted` along both roads."""
    xs = case.tensors(wanted)
    y = case.fn(*xs)
    if not isinstance(y, Tensor):
        raise TypeError(f"{case.what} must return one Tensor, not {type(y).__name__}")
    if not np.all(np.isfinite(y.data)):
        raise case.error(f"the result is not finite, {y.numpy()!r:.200}: choose inputs where it is")
    weights = random_weights(y.shape, seed)
    found: dict[int, Any] = {}
    if y.requires_grad and y.dtype.kind == "f":
        for x, g in pull(y, weights.astype(y.dtype)):  # as backward() does, but `.grad` of fn's closure stays as it is
            found[id(x)] = found.get(id(x), 0) + g
    if not any(id(xs[i]) in found for i in wanted):
        raise case.error(
            "no gradient reaches its inputs: the result does not depend on them, or something on the way (detach(), "
            "data, a comparison) has cut the graph"
        )
    arrays = {i: np.broadcast_to(found.get(id(xs[i]), 0.0), xs[i].shape) for i in wanted}
    tensors = {i: g.data for i, g in zip(wanted, grad(y, [xs[i] for i in wanted], weights))}
    return y, weights, {"backward()": arrays, "grad()": tensors}


def compare(
    case: Case, wanted: Sequence[int], seed: int = 0, rtol: float = RTOL, atol: float = ATOL, skip: Collection = ()
) -> set[tuple[int, tuple[int, ...]]]:
    """Raise for the worst element of the inputs `wanted`, leaving out those in `skip`; return those with a kink."""
    y, weights, roads = graph_gradients(case, wanted, seed)
    eps = float(np.finfo(y.dtype).eps)
    elements = [(i, at) for i in wanted for at in np.ndindex(case.data[i].shape) if (i, at) not in skip]
    kinks, wrong = set(), []
    for i, at in elements:
        graph = {road: float(gradients[i][at]) for road, gradients in roads.items()}
        where = f"the gradient of {case.input(i)} at index {at}"
        if not np.all(np.isfinite([*graph.values()])):
            raise case.error(f"{where} is not finite: {graph}")
        best = None
        for slope in measure(functools.partial(case.result, wanted, i, at), float(case.data[i][at]), weights, eps):
            best = slope if best is None or slope.error < best.error else best
            off, road, g = max((best.off(g, rtol, atol), road, g) for road, g in graph.items())
            if off <= 1:
                break
        else:  # no step agrees
            if not np.isfinite(best.error):
                raise case.error(f"{where} cannot be checked: close to its {case.data[i][at]} results are not finite")
            if not all(map(best.allows, graph.values())):
                road = "the graph" if np.isclose(*graph.values(), rtol, atol) else road
                wrong.append((off, where, road, g, best))
        if best.kink:
            kinks.add((i, at))
    if wrong:
        _, where, road, g, slope = max(wrong)
        counted = f"{len(wrong)} of {len(elements)} elements are wrong, this one most"
        raise case.error(f"{where} is wrong ({counted}):\n  {slope.against(g, road)}")
    return kinks


def check_sample(op: Op, what: str, sample: Sample, wanted: list[int]) -> None:
    """All that `check_op` proves on one sample; `wanted` are the inputs to differentiate."""
    data = [x.astype(float) if x.dtype.kind == "f" else x for x in sample.inputs]
    for x in data:
        x.flags.writeable = False

    def run(*xs: Any) -> Any:
        return op(list(xs), **sample.params) if op.sequence else op(*xs, **sample.params)

    case = Case(what, run, data, [*op.input_names, *[None] * len(data)][: len(data)], sample.inputs)
    plain, y = np.asarray(run(*data)), run(*case.tensors(()))
    if plain.dtype != y.dtype or not np.array_equal(plain, y.data, equal_nan=plain.dtype.kind == "f"):
        raise case.error(f"on Tensors it gives {y!r:.200}, on arrays {plain!r:.200}")
    if not op.differentiable:
        return
    check_rules(case, op, wanted, np.float64)
    check_rules(case, op, wanted, np.float32)
    kinks = compare(case, wanted)
    if op.elementwise or op.rowwise:  # such an op may be handed one number as the gradient of all its elements
        compare(case._replace(what=f"{what}, under a sum", fn=lambda *xs: np.sum(run(*xs))), wanted)
    second = case._replace(data=[*data, random_weights(y.shape, 1)], names=[*case.names, "g"])
    for i in wanted:
        first_order = functools.partial(lambda i, *xs: grad(run(*xs[:-1]), xs[i], xs[-1]), i)
        what_second = f"{what}, second order, on the gradient of {case.input(i)}"
        compare(second._replace(what=what_second, fn=first_order), [*wanted, len(data)], skip=kinks)


def check_rules(case: Case, op: Op, wanted: list[int], dtype: type) -> None:
    """What differences do not see: dtypes, and vjps that write into what they are given."""
    xs = case.tensors(wanted, dtype)
    y = case.fn(*xs)
    if y.dtype.itemsize > np.result_type(*(x.dtype for x in xs)).itemsize and "dtype" not in op.param_names:
        raise case.error(f"the result is {y.dtype} for {np.dtype(dtype)} inputs")
    weights = random_weights(y.shape, 0).astype(y.dtype)
    given = [weights, y.data, *y.arrays[: len(xs)]]
    before = [np.array(x) for x in given]
    for i, (x, vjp) in enumerate(zip(xs, op.vjps)):
        if i not in wanted:
            continue
        g = vjp(weights, y.data, *y.arrays, **y.params)
        found = getattr(g, "dtype", type(g).__name__)
        if not isinstance(found, np.dtype) or found.kind != "f" or found.itemsize < x.dtype.itemsize:
            raise case.error(f"the vjp of {case.input(i)} returns {found} where the input is {x.dtype}")
        if not all(np.array_equal(old, new, equal_nan=True) for old, new in zip(before, given)):
            raise case.error(f"the vjp of {case.input(i)} writes into its arguments")
    y.backward(weights)
    for i, g in zip(wanted, grad(y, [xs[i] for i in wanted], weights)):
        for road in (xs[i].grad, g):
            if road.shape != xs[i].shape or road.dtype != xs[i].dtype:
                raise case.error(f"the gradient of {case.input(i)} has {describe(road)}, the input {describe(xs[i])}")
