"""Elementwise programs on NaN, infinities, ties and kinks, and an oracle of dual numbers for them."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_steel import Tensor, compile_backprop, grad, ops, write_backprop

# Lines on leaves `a` and `b`, which require gradients, `m`, a mask, and earlier values; {x} and {y} are any of them.
LINES = (
    "np.maximum({x}, {y})  np.minimum({x}, {y})  relu({x})  np.clip({x}, -1, 1)  np.clip({x}, 0.5, None)  -{x}"
    "  np.clip({x}, None, 0.5)  np.where(m, {x}, {y})  np.where({x} > {y}, {x}, {y})  np.where({x} <= 0, {x}, {y})"
    "  np.maximum({x}, 0)  np.minimum(0.5, {x})  np.where(np.isnan({x}), {y}, {x})  np.where({x} == {y}, {x}, 1.0)"
    "  np.where(np.isinf({x}), 0.0, {x})  np.where(np.isfinite({x}), {x}, {y})  np.abs({x})  np.maximum({x}, np.nan)"
    "  np.where({x} >= 1, {x}, 2.0)  np.where(np.logical_or(m, {x} < {y}), {x}, {y})  np.where(~m, {x}, {y})"
)
NUMBERS = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -0.25, 0.5, 1e300)


class Dual(NamedTuple):
    """A number and its slope along one leaf; None where no path leads there, through which even NaN could come."""

    value: float
    slope: float | None = None

    def __gt__(self, other: Any) -> bool:
        return self.value > dual(other).value

    def __ge__(self, other: Any) -> bool:
        return self.value >= dual(other).value

    def __lt__(self, other: Any) -> bool:
        return self.value < dual(other).value

    def __le__(self, other: Any) -> bool:
        return self.value <= dual(other).value

    def __eq__(self, other: Any) -> bool:
        return self.value == dual(other).value

    def __neg__(self) -> Dual:
        return mixed(-self.value, (self, -1))


def dual(x: Any) -> Dual:
    """A plain number, on which no leaf has an influence."""
    return x if isinstance(x, Dual) else Dual(float(x))


def mixed(value: float, *parts: tuple[Dual, float]) -> Dual:
    """A number whose slope is the sum of its parts' slopes, each times a factor (0 times NaN is NaN)."""
    slopes = [part.slope * factor for part, factor in parts if part.slope is not None]
    return Dual(value, sum(slopes) if slopes else None)


# The conventions at ties and kinks, a rule each.


def larger(a: Any, b: Any, sign: int = 1) -> Dual:
    """Equal ones share evenly. NaN in, NaN out: the slopes along both sides are NaN there."""
    a, b = dual(a), dual(b)
    if math.isnan(a.value) or math.isnan(b.value):
        return mixed(math.nan, (a, math.nan), (b, math.nan))
    share = 0.5 if a.value == b.value else float(sign * a.value > sign * b.value)
    return mixed(a.value if share else b.value, (a, share), (b, 1 - share))


def clipped(x: Any, low: float | None, high: float | None) -> Dual:
    """Bounds pass the gradient on; NaN in, NaN out."""
    x = dual(x)
    if math.isnan(x.value):
        return mixed(math.nan, (x, math.nan))
    if low is not None and x.value < low:
        return mixed(low, (x, 0))
    return mixed(high, (x, 0)) if high is not None and x.value > high else x


def where(condition: Any, a: Any, b: Any) -> Dual:
    """The other side gets 0, which its own rules may make NaN."""
    taken, other = (dual(a), dual(b)) if condition else (dual(b), dual(a))
    if other.slope is not None and math.isnan(other.slope):
        return Dual(taken.value, math.nan)
    return taken


def absolute(x: Any) -> Dual:
    """Slope 0 at 0."""
    x = dual(x)
    return mixed(
        abs(x.value), (x, math.nan if math.isnan(x.value) else (x.value > 0) - (x.value < 0))
    )


def relu(x: Any) -> Dual:
    """Slope 0 at 0; NaN in, NaN out."""
    x = dual(x)
    if math.isnan(x.value):
        return mixed(math.nan, (x, math.nan))
    return x if x.value > 0 else mixed(0.0, (x, 0))


class DualNumPy:
    """What the lines call, for one element."""

    nan = math.nan
    maximum, clip, where, abs = map(staticmethod, (larger, clipped, where, absolute))
    minimum = staticmethod(lambda a, b: larger(a, b, -1))
    isnan = staticmethod(lambda x: math.isnan(dual(x).value))
    isinf = staticmethod(lambda x: math.isinf(dual(x).value))
    isfinite = staticmethod(lambda x: math.isfinite(dual(x).value))
    logical_or = staticmethod(lambda a, b: a or b)


class Mask(int):
    """A bool for which ~ means not."""

    def __invert__(self) -> Mask:
        return Mask(not self)


class Elements:
    """A random elementwise program: arrays `a`, `b`, a mask `m`, and lines, the last of which makes `y`."""

    SIZE = 12

    def __init__(self, seed: int):
        r, self.seed = random.Random(seed), seed
        self.data = {name: np.array(r.choices(NUMBERS, k=self.SIZE)) for name in "ab"}
        self.data["m"] = np.array(r.choices((True, False), k=self.SIZE))
        self.weights = np.random.default_rng(seed).uniform(0.5, 2, self.SIZE)
        names, self.lines = ["a", "b"], []
        for i in range(r.randint(1, 4)):
            words = {
                "x": names[-1] if i and r.random() < 0.8 else r.choice(names),
                "y": r.choice(names),
            }
            names.append(f"v{i}")
            self.lines.append(f"v{i} = {r.choice(LINES.split('  ')).format(**words)}")
        self.lines.append(f"y = {names[-1]}")
        self.code = compile("\n".join(self.lines), f"<elements {seed}>", "exec")

    def __str__(self) -> str:
        data = [
            f"{name} = {x.tolist()}" for name, x in {**self.data, "weights": self.weights}.items()
        ]
        return "\n".join(
            [
                f"# python tests/fuzz.py --programs 1 --seed {self.seed}: specials",
                *data,
                *self.lines,
            ]
        )

    def run(self, functions: dict[str, Any], leaves: dict[str, Any]) -> Any:
        """`y` for these leaves."""
        namespace = {**functions, **leaves}
        with np.errstate(all="ignore"):
            exec(self.code, namespace)
        return namespace["y"]

    def graph(
        self, part: Any = slice(None), other: int = 0
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Leaves, `y` and its loss on a part of the elements; `other`: with each at another place."""
        data = {name: np.roll(x, other)[part] for name, x in self.data.items()}
        leaves = {name: Tensor(x, requires_grad=name != "m", name=name) for name, x in data.items()}
        y = self.run({"np": np, "relu": ops.relu}, leaves)
        with np.errstate(all="ignore"):
            return leaves, y, np.sum(y * np.roll(self.weights, other)[part])

    def eager(self) -> Iterator[tuple[str, np.ndarray, dict[str, np.ndarray]]]:
        """Values and gradients by backward(), by grad(), and by backward() of each element alone."""
        leaves, y, loss = self.graph()
        with np.errstate(all="ignore"):
            loss.backward()
            yield "backward()", y.data, {name: zeros(leaves[name].grad, self.SIZE) for name in "ab"}
            gradients = grad(loss, [leaves["a"], leaves["b"]])
            yield "grad()", y.data, {name: g.data for name, g in zip("ab", gradients)}
            alone = [self.graph(slice(i, i + 1)) for i in range(self.SIZE)]
            for *_, one in alone:
                one.backward()
        together = {
            name: np.concatenate([zeros(x[name].grad, 1) for x, *_ in alone]) for name in "ab"
        }
        yield "each alone", np.concatenate([y.data for _, y, _ in alone]), together

    def compiled(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Gradients by the written source, and by a compiled step traced with other numbers."""
        _, _, loss = self.graph()
        written = write_backprop(loss)
        with np.errstate(all="ignore"):
            _, *gradients = written.function()(**written.arguments)
        names = re.findall(r"\bG_(\w+)", written.rsplit("return", 1)[1])
        full = [np.broadcast_to(np.asarray(g, float), self.SIZE) for g in gradients]
        yield (
            "the source",
            {"a": np.zeros(self.SIZE), "b": np.zeros(self.SIZE), **dict(zip(names, full))},
        )
        yield "the step", self.step("numpy")

    def step(self, backend: str) -> dict[str, np.ndarray]:
        """Gradients by a compiled step, given its numbers after it was traced with the same ones, rolled."""
        leaves, _, loss = self.graph(other=5)
        step = compile_backprop(np.sum(loss), backend=backend)
        for name in "ab":
            leaves[name].data = np.roll(self.data[name], 5)
        with np.errstate(all="ignore"):
            step(**{name: np.roll(self.data[name], 5) for name in step.arguments})
        return {name: np.roll(zeros(leaves[name].grad, self.SIZE), -5) for name in "ab"}


def zeros(gradient: Any, size: int) -> np.ndarray:
    """A gradient, which may be none."""
    return np.zeros(size) if gradient is None else gradient


def dual_gradients(program: Elements) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The values of a program and its gradients, element by element in plain Python."""
    values, gradients = np.empty(program.SIZE), {name: np.empty(program.SIZE) for name in "ab"}
    functions = {"np": DualNumPy, "relu": relu}
    for i, weight in enumerate(program.weights):
        for name, g in gradients.items():
            leaves = {
                leaf: Dual(float(program.data[leaf][i]), 1.0 if leaf == name else None)
                for leaf in "ab"
            }
            y = program.run(functions, {**leaves, "m": Mask(program.data["m"][i])})
            values[i], g[i] = y.value, 0.0 if y.slope is None else y.slope * weight
    return values, gradients


class Rows:
    """max or min along an axis of an array `x` with NaN, infinities and ties in it."""

    def __init__(self, seed: int):
        r, self.seed = random.Random(seed), seed
        self.x = np.array(r.choices(NUMBERS, k=12)).reshape(3, 4)
        self.name, self.axis, self.keepdims = (
            r.choice(("max", "min")),
            r.choice((None, 0, 1, -1, (0, 1))),
            r.random() < 0.5,
        )
        self.g = np.random.default_rng(seed).uniform(0.5, 2, self.run(self.x).shape)

    def __str__(self) -> str:
        call = f"np.sum(np.{self.name}(x, axis={self.axis}, keepdims={self.keepdims}) * {self.g.tolist()})"
        return f"# python tests/fuzz.py --programs 1 --seed {self.seed}: specials\nx = {self.x.tolist()}\n{call}"

    def run(self, x: Any) -> Any:
        """The extremes of `x`."""
        return getattr(np, self.name)(x, axis=self.axis, keepdims=self.keepdims)

    def by_hand(self) -> tuple[np.ndarray, np.ndarray]:
        """The extremes and the gradient: the elements that are NaN get NaN, else those that are the extreme share."""
        axes = {None: (0, 1), -1: (1,)}.get(
            self.axis, np.ravel(self.axis).tolist() if self.axis is not None else ()
        )
        values, gradient = np.empty(self.g.shape), np.zeros(self.x.shape)
        weights, flat = (
            self.g.reshape([1 if i in axes else n for i, n in enumerate(self.x.shape)]),
            [],
        )
        for at in np.ndindex(weights.shape):
            places = [
                p
                for p in np.ndindex(self.x.shape)
                if all(i in axes or p[i] == at[i] for i in range(2))
            ]
            numbers = [float(self.x[p]) for p in places]
            some_nan = any(map(math.isnan, numbers))
            best = math.nan if some_nan else {"max": max, "min": min}[self.name](numbers)
            hits = [p for p, number in zip(places, numbers) if number == best]
            for p, number in zip(places, numbers):
                if math.isnan(number):
                    gradient[p] = math.nan
                elif p in hits:
                    gradient[p] = weights[at] / len(hits)
            flat.append(best)
        values[...] = np.reshape(flat, self.g.shape)
        return values, gradient

    def roads(self) -> Iterator[tuple[str, np.ndarray | None, np.ndarray]]:
        """Values and gradients by backward(), grad(), the written source and a compiled step."""
        x = Tensor(self.x, requires_grad=True, name="x")
        with np.errstate(all="ignore"):
            y = self.run(x)
            loss = np.sum(y * self.g)
            loss.backward()
            yield "backward()", np.asarray(y.data), x.grad
            yield "grad()", None, grad(loss, x).data
            written = write_backprop(loss)
            yield "the source", None, written.function()(**written.arguments)[1]
            other = Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True, name="x")
            y = self.run(other)
            step = compile_backprop(np.sum(y * self.g), outputs=[y], backend="numpy")
            other.data = self.x
            step()
            yield "the step", step.outputs[0], other.grad
