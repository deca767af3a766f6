"""Random programs for `fuzz.py`: families of lines in NumPy terms, and the leaves that these lines ask for."""

from __future__ import annotations

import math
import random
import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_steel import OPS, Tensor, op, ops

# Ops that draw. All draw from one generator, which every road sets to the same place before it begins.

GENERATOR = np.random.default_rng(0)

noise = op(
    "fuzz_noise",
    lambda x: x + GENERATOR.normal(size=x.shape).astype(x.dtype),
    lambda g, y, x: g,
    samples=[],
    random=True,
)
secret = op(  # as `noise`, but it says nothing of its draws
    "fuzz_secret", lambda x: x + GENERATOR.uniform(0.5, 2, x.shape), lambda g, y, x: g, samples=[]
)


@op("fuzz_dropout", samples=[], keeps=True, random=True)
def dropout(x: Any) -> Any:
    """A random half of the elements; keeps which."""
    kept = np.where(GENERATOR.random(x.shape) < 0.5, 2.0, 0.0)
    return x * kept, kept


dropout.vjp(
    lambda g, y, x, kept=None: g * (np.where(np.equal(y, 0), 0.0, 2.0) if kept is None else kept)
)
DRAWING = {"noise": noise, "secret": secret, "dropout": dropout}
for _drawing in DRAWING.values():
    del OPS[_drawing.name]  # they are known here alone


def plain() -> dict[str, Any]:
    """What the programs call, in NumPy's own terms."""
    exp, log, total = np.exp, np.log, np.sum

    def log_softmax(x: Any, axis: int = -1) -> Any:
        shifted = x - np.max(x, axis=axis, keepdims=True)
        return shifted - log(total(exp(shifted), axis=axis, keepdims=True))

    def floats(x: Any) -> Any:
        return x if x.dtype.kind == "f" else x.astype(float)

    def softmax_cross_entropy(x: Any, labels: Any) -> Any:
        rows = np.eye(x.shape[1], dtype=x.dtype)[labels] if labels.ndim == 1 else labels
        return -total(rows * log_softmax(x), axis=1)

    return {
        **{
            "np": np,
            "relu": lambda x: np.maximum(x, 0),
            "sigmoid": lambda x: 1 / (1 + exp(-floats(x))),
        },
        **{"log_softmax": log_softmax, "softmax": lambda x, axis=-1: exp(log_softmax(x, axis))},
        **{"softmax_cross_entropy": softmax_cross_entropy},
        **{name: lambda x, f=f: f(np.asarray(x)) for name, f in DRAWING.items()},
    }


PLAIN = plain()
LIBRARY = {name: DRAWING.get(name) or getattr(ops, name, np) for name in PLAIN}

# Templates of a line, two spaces apart. {a}, {v}, {matrix}: the value that the line is about, of any shape, with an
# axis, with two; the other words in braces are those of WORDS.
AXES = {"a": 0, "v": 1, "matrix": 2}
SMOOTH = (
    "np.tanh({a})  np.sin({a}) * {b}  {a} + {b}  {a} * {b}  {a} / (np.square({b}) + 1)  np.exp(-np.abs({a}))"
    "  np.log(np.square({a}) + 0.5)  np.sqrt(np.square({a}) + 0.3)  {num} * {a} - {b}  relu({a})  sigmoid({a})"
    "  np.maximum({a}, {b})  np.mean({a}, {axes}) + {num}  {a} - np.max({a}, {axes})"
)
FAMILIES = {
    "thresholds": "np.where({a} > {still}, {a}, {b})  {a} * ({a} > {still})  {a} * (np.abs({a}) >= {still})"
    "  np.where(np.logical_and({a} > {still}, {a} <= {still} + 1), {a}, 0.0)"
    "  np.where({still} > 0, {a}, {b})  ({a} > {still}).astype({a}.dtype) * {b}"
    "  relu({a}) * ({a} <= np.mean({still}))  {a} * np.sign({a} - {still})"
    "  {v}[np.argmax({still_vector})]  {a} * (np.argmin({still_vector}) + 1)  {a} * ~({a} > {still})"
    "  {a} * np.rint({still})  {b} * np.floor({a} * {still})  {a} * ({still} != 0) * {b}"
    "  {a} * np.any({still} > 0)  np.where({still} < {a}, {still} * 2, {a})",
    "draws": "noise({a})  dropout({a})  secret({a})  noise({a}) - noise({a})  dropout({a}) * dropout({a})"
    "  secret({a}) / secret({a})  noise({b}) * {a}  dropout(noise({a}))  {a} * (noise({a}) > {still})"
    "  noise({num} * {a})",
    "indices": "{v}[{rows}]  {v}[{one}]  {v}[..., {columns}]  {matrix}[{one}, :]  {matrix}[:, {column}]"
    "  {matrix}[{pair}, {pair_too}]  np.take({v}, {rows}, axis=0)  np.take({v}, {columns}, axis=-1)"
    "  np.take({a}, {flat})  {v}[{bits} > 0]  {v}[{some}]  {v}[{rows}] * {v}[{rows}]"
    "  {v}[np.argmax({still_vector})]  ({ids}[:, None] == np.arange({n})) * log_softmax({table})"
    "  softmax_cross_entropy({table}, {ids})"
    "  np.sum(({ids}[:, None] == np.arange({n})) * {table}, axis=1)  {table}[np.arange({count}), {ids}]"
    "  {v}[{rows}, None]  {matrix}[{one}, ::-1]  {matrix}[{rows}, ..., {last}]"
    "  np.where({mask}, {a}, {b})  {v}[[0, -1, 0]]  {matrix}[{one}]  {v}[-{rows} - 1]"
    "  {matrix}[{rows}, 0] + {num}  {v}[{one}] * {b}  {matrix}[{pair_column}, {pair_too}]"
    "  np.ravel({v})[np.argmin({v})]  {matrix}[{rows}, :, None]  {v}[:, None][{rows}]",
    "powers": "{a} ** 2  {a} ** 3  {a} ** 1  {a} ** 0  np.power({a}, 2)  np.power({a}, 3)  {a} ** np.float64(2)"
    "  {a} ** np.int64(3)  {a} ** np.array(2)  {a} ** np.array([2.0])  {a} ** {exponents}  {a} ** {whole}"
    "  np.power({a}, {exponents})  (np.abs({a}) + 0.4) ** {b}  (np.square({a}) + 0.4) ** {still}"
    "  {num} ** {a}  (np.square({a}) + 0.3) ** -1  (np.square({a}) + 0.3) ** -0.5"
    "  (np.abs({a}) + 0.3) ** 0.5  {a} ** 2 ** 1  ({a} ** 2) ** {exponents}  2 ** {a}"
    "  np.square({a}) ** 1.5  {a} ** 4 / {num}  -{a} ** 2  {a} ** 1.0 * {b}  np.abs({a}) ** 3"
    "  {a} ** (2 * {exponents})",
    "integers": "{a} * {k}  {k} + {a}  np.sum({k}, {k_axes}) * {a}  {a} / ({k} * {k} + 1)  {k} ** 2 * {a}"
    "  ({k} > 1) * {a}  {k}.astype(np.float32) * {a}  np.mean({k}, {k_axes}) + {a}  {bits} * {a}"
    "  {k} * {k_too} + {a}  -{k} * {a}  np.maximum({k}, {k_too}) * {a}  {a} - {k} / 3"
    "  np.square({k}) * {a}  np.abs({k}) + {a}  np.exp({k}) * {a}  np.where({mask}, {k}, {a})"
    "  np.sqrt(np.abs({k})) * {a}  relu({k}) * {a}  sigmoid({k}) * {a}  ~({k} > 0) * {a}"
    "  np.stack([{k}, {k_too}]) * {a}  np.max({k}, {k_axes}) * {a}  np.prod({k}, {k_axes}) * {a}"
    "  np.var({k}, {k_axes}) * {a}  np.clip({k}, -1, 2) * {a}  {k} @ {k_right} + {num} * {a}"
    "  {mask} * {mask} * {a}  np.minimum({k}, 1.5) * {a}  ({k} - {k_too}) * {a}"
    "  {a} * np.cumsum({k})[-1]  np.sum({mask}, {k_axes}) * {a}  ({mask} & ({k} > 0)) * {a}"
    "  np.mean({mask}) * {a}  {k} * 2.5 - {a}  {k} * 3 + {a}  np.tanh({k}) * {a}  {a} ** {k_small}"
    "  np.sign({k}) * {a}  np.negative({k}) + {a}  np.linalg.norm({k}) * {a}  ({k} == {k_too}) * {a}"
    "  np.logaddexp({k}, {a})  np.add({k}, {k_too}) / 7 * {a}  {k} / {a_far}"
    "  np.reciprocal({a_far}) * {k}",
    "floats": "{a} * np.float32({num})  {a} * np.float64({num})  {a} * {num}  {a}.astype(np.float32)"
    "  {a}.astype(np.float16)  {a}.astype(float) * {b}  np.sum({a}, {axes})  np.mean({a}, {axes})"
    "  np.var({a}, {axes})  np.std({a}, {axes})  {a} + np.array({num})  np.linalg.norm({a})"
    "  np.prod({a}, {axes})  softmax({v}, axis={axis})  {v} @ {right}  np.cumsum({v}, axis={axis})"
    "  np.max({a}, {axes})  np.einsum('i,i->', np.ravel({a}), np.ravel({same}))  {a} ** {num}"
    "  np.where({mask}, {a}, {num})  np.concatenate([{v}, {other_dtype}], axis={axis})"
    "  {a} + {other_dtype}  {a} / {num}  np.maximum({a}, {other_dtype})  np.clip({a}, -{num}, {num})"
    "  np.logaddexp({a}, {b})  {a} * 3  {a} ** 2  2 ** {a}",
    "shapes": "{v}[{slices}]  {v}[..., ::-1]  {matrix}[::-1, ::-2]  {v}[-1:0:-1]  {v}[:0]  {v}[1:1]"
    "  {v}[{slices}] * {num}  np.stack([{a}, {same}, {a}])  np.stack([{a}, {same}], axis=-1)"
    "  np.concatenate([{v}, {same}, {v}], axis={axis})  np.broadcast_to({a}, {wide})  np.sum({a}, {axes})"
    "  {a}.sum({axes})  np.mean({a}, {axes})  np.max({a}, {axes})  np.min({a}, {axes})"
    "  np.prod({a}, {axes})  np.var({a}, {axes})  np.std({a}, {axes})  np.linalg.norm({v}, axis={axis})"
    "  np.expand_dims({a}, 0)  np.squeeze({a})  np.flip({v}, {axis})  np.flip({a})"
    "  np.split({v}, [1], axis={axis})[1]  np.transpose({a})  np.moveaxis({v}, {axis}, 0)"
    "  np.reshape({a}, {shape})  np.diff({v}, axis={axis})  np.ravel({a})  np.hstack([{v}, {same}])"
    "  np.vstack([{v}, {same}])  np.column_stack([{v}, {same}])  np.atleast_1d({a})"
    "  np.atleast_2d({a}) @ {tall}  np.trace({matrix})  np.outer({a}, {flat_b})"
    "  np.average({a}, weights={positive})  {v} @ {right}  np.swapaxes({v}, {axis}, -1)"
    "  np.cumsum({v}, axis={axis})  np.cumsum({a})  {a}[None]  {a}[..., None]  {a}[()]  {v}.T[::-1]"
    "  softmax({v}, axis={axis})  np.concatenate([{v}[:1], {v}[::-1]])  np.stack([{v}, {v}[::-1]])"
    "  {v}[None, ::-1][..., 0]  np.concatenate([{v}[::2], {v}[1::2]]) + {b}  {a} + np.zeros({wide})"
    "  {a} - np.mean({a}, {axes})  {v}[-2::-1]  {v}[None, ..., None]",
}
EVERY = "  ".join(table for family, table in FAMILIES.items() if family not in ("floats", "draws"))
ROWS = (  # lines that work for any number of rows: {r} is (rows, 3)
    "{r} + {bias}  {r} * {bias}  {r} @ {square}  np.tanh({r})  relu({r})  {r} * {weights}  {r} * ({r} > {edge})"
    "  np.where({r} > {edge}, {r}, {bias})  softmax({r})  {r} - np.max({r}, axis=1, keepdims=True)  {r}[:, ::-1]"
    "  {r} * np.take({bias}, {places})[:, None]  np.take({square}, {places}, axis=0) + {r}  {r} ** 2"
    "  {r} * {counts}[:, None]  np.concatenate([{r}[:, 1:], {r}[:, :1]], axis=1)"
    "  {r} * np.mean({r}, axis=-1, keepdims=True)  {square}[{places}] * {r}"
    "  np.stack([{r}[:, 0], {r}[:, 2], {r}[:, 1]], axis=1)  np.maximum({r}, {bias})  {r} * {flags}[:, None]"
    "  np.sin({r}) / 2  np.where({flags}[:, None], {r}, {num})  np.cumsum({r}, axis=1)"
    "  {r} * {flags}[:, None] * {counts}[:, None] / 5"
)
DRAWING_ROWS = "  noise({r})  dropout({r})  secret({r}) * {bias}  noise({r}) * noise({r})"
ROW_LOSSES = (
    "np.mean(softmax_cross_entropy({r}, {places}))  np.mean(np.square({r} - {weights}))"
    "  np.mean(np.sum({r} * {out}, axis=1))  np.sum({r} * {out}) / 10  np.mean({r}[:, 0] * {counts})"
    "  np.sum(np.tanh({r}) * {out})  np.mean(np.max({r}, axis=1))  np.mean({r} ** 2 * {out})"
    "  np.mean(({r} @ {out})[{flags} > 0])"
)
DTYPES = {"floats": "fefd", "integers": "ddfe"}  # of the floats in a family; else d
INTEGERS = "bBhHiIlL"


class Leaf(NamedTuple):
    """A leaf of a program: how its data is drawn, and whether it requires a gradient."""

    draw: Callable[[np.random.Generator], np.ndarray]
    wanted: bool
    kind: str  # "value": lines may use it; "side": it stands in the one line that asked for it


class Unsuited(Exception):
    """A line cannot be about this value."""


def drawn(shape: tuple[int, ...], dtype: str = "d", zeros: float = 0) -> Callable:
    """Floats from -2 to 2, a share of them exactly 0, another dtype than float64 rounded to what all dtypes hold."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        x = rng.uniform(-2, 2, shape)
        x = np.where(rng.random(shape) < zeros, 0.0, x)
        return np.asarray(x if dtype == "d" else np.round(x * 64) / 64).astype(dtype)

    return draw


def whole(shape: Any, low: int, high: int, dtype: Any = "l") -> Callable:
    """Integers from `low` to below `high`."""
    return lambda rng: np.asarray(rng.integers(low, high, shape)).astype(dtype)


def shuffled(x: np.ndarray) -> Callable:
    """These elements in any order: where a mask takes elements, the shape of the result stays."""
    return lambda rng: rng.permutation(x.reshape(-1)).reshape(x.shape)


def places(length: int, shapes: tuple, p: Program) -> str:
    """An input of indices into an axis, negative ones among them."""
    if not length:
        raise Unsuited
    shape = p.random.choice(shapes)
    return p.leaf(whole(shape, -length, length, p.random.choice("lllbi")))


def still(p: Program, shape: tuple[int, ...]) -> str:
    """A parameter that gets no gradient."""
    return p.leaf(drawn(shape, p.dtype), wanted=True)


def integers(p: Program, shape: tuple[int, ...], low: int = -5, high: int = 6) -> str:
    """An input of small integers, or of bools."""
    dtype = p.random.choice(INTEGERS)
    return p.leaf(whole(shape, 0 if dtype.isupper() else low, high, dtype))


def axes(p: Program, r: random.Random, x: np.ndarray) -> str:
    """The arguments of a reduction: all kinds of axes."""
    order = r.sample(range(x.ndim), x.ndim)
    some = tuple(i - x.ndim * r.randint(0, 1) for i in order)
    return f"axis={r.choice((None, *some[:1], some[:2] or None, some or None))}, keepdims={r.random() < 0.5}"


WORDS: dict[
    str, Callable
] = {  # from the program `p`, its random numbers `r` and the array `x` that a line is about
    "b": lambda p, r, x: p.shaped(r.choice((x.shape, x.shape[1:], (1,) * x.ndim, (), x.shape))),
    "same": lambda p, r, x: p.shaped(x.shape),
    "other_dtype": lambda p, r, x: p.leaf(drawn(x.shape, r.choice("efd")), wanted=True),
    "right": lambda p, r, x: p.shaped(r.choice(((x.shape[-1],), (x.shape[-1], 2)))),
    "tall": lambda p, r, x: p.shaped((np.atleast_2d(x).shape[-1], 2)),
    "flat_b": lambda p, r, x: p.shaped((3,)),
    "positive": lambda p, r, x: p.leaf(lambda rng, shape=x.shape: rng.uniform(0.2, 1, shape)),
    "a_far": lambda p, r, x: f"({p['a']} + 4)",
    "num": lambda p, r, x: f"{r.uniform(0.3, 1.7):.2f}",
    "still": lambda p, r, x: still(p, r.choice((x.shape, (), x.shape[1:], (1,)))),
    "still_vector": lambda p, r, x: still(p, (max(1, min(len(x), 4)) if x.ndim else 3,)),
    "rows": lambda p, r, x: places(len(x), ((1,), (3,), (4,), (2, 2), (0,)), p),
    "one": lambda p, r, x: places(len(x), ((),), p),
    "columns": lambda p, r, x: places(x.shape[-1], ((1,), (3,), (2, 2)), p),
    "column": lambda p, r, x: places(x.shape[1], ((),), p),
    "last": lambda p, r, x: places(x.shape[-1], ((),), p),
    "pair": lambda p, r, x: places(len(x), ((3,),), p),
    "pair_too": lambda p, r, x: places(x.shape[1], ((3,),), p),
    "pair_column": lambda p, r, x: places(len(x), ((3, 1), (1, 1)), p),
    "flat": lambda p, r, x: places(x.size, ((), (1,), (4,), (2, 2)), p),
    "bits": lambda p, r, x: p.array(2, x.shape),
    "mask": lambda p, r, x: p.leaf(whole(x.shape, 0, 2, "?")),
    "some": lambda p, r, x: p.leaf(shuffled(p.numbers.integers(0, 2, x.shape).astype(bool))),
    "table": lambda p, r, x: f"np.reshape({p['a']}, (-1, {p['n']}))",
    "n": lambda p, r, x: (1, *x.shape)[-1],
    "count": lambda p, r, x: x.size // p["n"],
    "ids": lambda p, r, x: p.leaf(whole(p["count"], 0, p["n"], r.choice("lbi"))),
    "k": lambda p, r, x: integers(p, r.choice((x.shape, x.shape, x.shape[1:], ()))),
    "k_too": lambda p, r, x: integers(p, p.data[p["k"]].shape),
    "k_small": lambda p, r, x: integers(p, (), 0, 3),
    "k_right": lambda p, r, x: integers(p, p.data[p["k"]].shape[-1:] or Unsuited),
    "k_axes": lambda p, r, x: axes(p, r, p.data[p["k"]] if "k" in p.words else x),
    "exponents": lambda p, r, x: p.leaf(
        whole(r.choice((x.shape, (), x.shape[1:])), 0, 4, r.choice("ldb"))
    ),
    "whole": lambda p, r, x: repr(p.numbers.integers(0, 4, x.shape).tolist()) if x.size else 2,
    "axis": lambda p, r, x: r.randrange(-x.ndim, x.ndim),
    "axes": axes,
    "slices": lambda p, r, x: ", ".join(
        r.choice(
            (
                ":",
                "::-1",
                f"{n // 2}:",
                "-1",
                "None, ::2",
                "::-2",
                "-2:",
                "-1:-3:-1",
                "...",
                ":1",
                "5:1:-1",
            )
        )
        for n in x.shape[: r.randint(1, x.ndim)]
    ),
    "shape": lambda p, r, x: r.choice((-1, (x.size, 1), (1, -1), (math.gcd(x.size, 6) or 1, -1))),
    "wide": lambda p, r, x: (
        *r.choice(((), (2,))),
        *(n if n != 1 else r.randint(0, 3) for n in x.shape),
    ),
    # of programs on rows
    "bias": lambda p, r, x: p.shaped((3,)),
    "square": lambda p, r, x: p.shaped((3, 3)),
    "edge": lambda p, r, x: still(p, r.choice(((), (3,)))),
    "out": lambda p, r, x: f"np.array({p.numbers.uniform(-2, 2, 3).tolist()})",
    "weights": lambda p, r, x: p.leaf(drawn((p.ROWS, 3), p.dtype)),
    "places": lambda p, r, x: p.leaf(whole(p.ROWS, 0, 3, r.choice("lib"))),
    "counts": lambda p, r, x: p.leaf(whole(p.ROWS, -3, 4, r.choice("blhi"))),
    "flags": lambda p, r, x: p.leaf(whole(p.ROWS, 0, 2, "?")),
}
SHAPES = ((), (1,), (3,), (4,), (2, 3), (3, 1), (1, 3), (3, 3), (2, 1, 2), (4, 2))
EMPTY = ((0,), (0, 3), (2, 0))
POLES = re.compile(r"\*\* -?\d\.")  # of second derivatives, at 0
KINKED = re.compile(
    r"abs\(|relu|max|sign|norm|std|\*\* -?\d\.|logaddexp|{b}\)? \*\*|> {|floor|rint"
)  # at 0, or near it
REJECTED = (
    ValueError,
    IndexError,
    TypeError,
    FloatingPointError,
    RuntimeWarning,
    ZeroDivisionError,
    AttributeError,
)
REJECTED += (OverflowError, DeprecationWarning, Unsuited, SyntaxError, MemoryError)


def shown(x: np.ndarray) -> str:
    """An array as Python writes it."""
    return f"np.array({x.tolist()}, {x.dtype.str!r}).reshape({x.shape})"


class Program:
    """A random program: leaves that lines have asked for, and lines, the last of which makes `loss`.

    One seed, one program. `data`: an array for each leaf. `outputs`: values that lines have made and no line has used;
    each is weighted with random numbers in the loss, so that random gradients come out of them.
    """

    ROWS, WHOLE = 4, 11  # of a mini-batch and of a data set, in programs on rows

    def __init__(self, seed: int, family: str | None = None):
        every = [*FAMILIES, "rows"]
        self.seed, self.family = seed, family or every[seed % len(every)]
        self.random, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.dtype = self.random.choice(DTYPES.get(self.family, "d"))
        self.rows = self.family == "rows"
        self.leaves: dict[str, Leaf] = {}
        self.data: dict[str, np.ndarray] = {}
        self.values: dict[str, np.ndarray] = {}  # floats that lines may be about
        self.lines: list[str] = []
        self.templates: list[str] = []  # what the lines were made from
        self.weights: dict[str, np.ndarray] = {}
        for _ in range(self.random.randint(1, 3)):
            shape = (
                (self.ROWS, 3)
                if self.rows
                else self.random.choice(SHAPES if self.random.random() < 0.95 else EMPTY)
            )
            zeros = 0.25 if self.family == "powers" else 0
            wanted = not self.rows and self.random.random() < 0.8
            self.leaf(
                drawn(shape, self.dtype, zeros), wanted or not (self.leaves or self.rows), "value"
            )
        self.unused = list(self.values)
        self.fill()
        self.code = compile("\n".join(self.lines), f"<fuzz {seed}>", "exec")

    def fill(self) -> None:
        """Lines, and the loss of what they leave over."""
        steps, tries = self.random.randint(2, 7), 0
        draws = DRAWING_ROWS * (self.random.random() < 0.2)
        table = ROWS + draws if self.rows else FAMILIES[self.family]
        while len(self.lines) < steps and tries < 200:
            tries += 1
            tables = (
                (table,)
                if self.rows or self.dtype == "e"
                else (table, table, table, SMOOTH, SMOOTH, EVERY)
            )
            if line := self.line(self.random.choice(tables), self.unused):
                self.add(f"v{len(self.lines)}", line)
        losses = []
        self.outputs = [
            name for name in self.unused if name not in self.leaves or self.leaves[name].wanted
        ]
        for name in self.outputs if self.rows else ():
            line = ""
            while not line:
                line = self.line(ROW_LOSSES, [name], only=True)
            losses.append(line)
        for name in () if self.rows else self.outputs:
            y = self.values[name]
            self.weights[f"g{name}"] = self.numbers.uniform(-2, 2, y.shape).astype(y.dtype)
            losses.append(f"np.sum({name} * g{name})")
        self.unused = [
            name
            for name in self.leaves
            if not any(re.search(rf"\b{name}\b", x) for x in self.lines + losses)
        ]
        for name in self.unused:
            del self.leaves[name], self.data[name], self.values[name]
        self.lines.append("loss = " + " + ".join(losses))

    def add(self, name: str, line: str) -> None:
        """A line, the value of which has this name."""
        self.lines.append(f"{name} = {line}")
        self.values[name] = self.value(line)
        self.unused = [x for x in self.unused if not re.search(rf"\b{x}\b", line)] + [name]

    def __str__(self) -> str:
        data = [
            f"{name} = {shown(x)}  # {'wanted' * self.leaves[name].wanted}"
            for name, x in self.data.items()
        ]
        data += [f"{name} = {shown(x)}" for name, x in self.weights.items()]
        return "\n".join(
            [
                f"# python tests/fuzz.py --programs 1 --seed {self.seed}: {self.family}",
                *data,
                *self.lines,
            ]
        )

    def leaf(self, draw: Callable, wanted: bool = False, kind: str = "side") -> str:
        """A new leaf."""
        name = f"{'w' if wanted else 'x'}{len(self.leaves)}"
        self.leaves[name], self.data[name] = Leaf(draw, wanted, kind), draw(self.numbers)
        if kind == "value":
            self.values[name] = self.data[name]
        return name

    def redrawn(self, seed: int, rows: int | None = None) -> dict[str, np.ndarray]:
        """Other data of the same shapes; `rows` of what belongs to a batch."""
        rng = np.random.default_rng((self.seed, seed))
        made = {name: leaf.draw(rng) for name, leaf in self.leaves.items()}
        for name in self.batch() if rows else ():
            parts = [made[name], *(self.leaves[name].draw(rng) for _ in range(rows // self.ROWS))]
            made[name] = np.concatenate(parts)[:rows]
        return made

    def batch(self) -> list[str]:
        """The leaves that have a row for each of a mini-batch's, in programs on rows."""
        return [name for name, leaf in self.leaves.items() if not leaf.wanted and self.rows]

    def reset(self) -> None:
        """Set the generator to where every road begins."""
        GENERATOR.bit_generator.state = np.random.default_rng(self.seed).bit_generator.state

    def run(
        self, functions: dict[str, Any], leaves: dict[str, Any], reset: bool = True
    ) -> dict[str, Any]:
        """All that the program computes from these leaves, with these functions; `loss` is one of it."""
        namespace = {**functions, **self.weights, **leaves}
        if reset:
            self.reset()
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            exec(self.code, namespace)
        return namespace

    def tensors(self, data: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """The leaves as Tensors with this data."""
        return {
            name: Tensor(x, requires_grad=self.leaves[name].wanted, name=name)
            for name, x in data.items()
        }

    def line(self, table: str, fresh: list[str], only: bool = False) -> str:
        """The right side of a line from a random template; "" where it does not suit.

        It is rather about one of the fresh values than about another; `only`: not about another.
        """
        template = self.random.choice(table.split("  "))
        word = next((word for word in AXES if f"{{{word}}}" in template), "a")
        word = "r" if self.rows else word
        names = [name for name in self.values if self.values[name].ndim >= AXES.get(word, 0)]
        names = [
            name for name in names if not self.rows or self.values[name].shape == (self.ROWS, 3)
        ]
        new = [name for name in names if name in fresh]
        if not names:
            return ""
        name = self.random.choice(new if new and (only or self.random.random() < 0.7) else names)
        self.words, self.x = {word: name, "a": name}, self.values[name]
        tied = not np.all(self.x) or len(np.unique(self.x)) < self.x.size
        if tied and (KINKED if self.family == "powers" else POLES).search(template):
            return ""  # no derivative exists there
        before = (
            dict(self.leaves),
            dict(self.data),
            dict(self.values),
            self.numbers.bit_generator.state,
        )
        try:
            line = template.format_map(self)
            if self.value(line) is not None:
                self.templates.append(template)
                return line
        except REJECTED:
            pass
        self.leaves, self.data, self.values, self.numbers.bit_generator.state = before
        return ""

    def value(self, line: str) -> np.ndarray | None:
        """What a line gives on arrays; None where that is large, not finite or no array of floats."""
        self.reset()
        with np.errstate(all="raise", under="ignore"), warnings.catch_warnings(action="error"):
            y = np.asarray(eval(line, {**PLAIN, **self.data, **self.values}))
        fine = y.dtype.kind == "f" and y.size <= 64 and y.ndim <= 4 and np.isfinite(y).all()
        return (
            y
            if fine and np.max(np.abs(y), initial=0) < (30 if self.dtype == "e" else 1e3)
            else None
        )

    def __getitem__(self, word: str) -> Any:  # what a template's words become
        if word not in self.words:
            self.words[word] = WORDS[word](self, self.random, self.x)
        return self.words[word]

    def array(self, end: int, shape: tuple[int, ...]) -> str:
        """A constant array of random integers from 0 to `end`, that excluded."""
        return f"np.array({self.numbers.integers(0, end, shape).tolist()}, dtype=int)"

    def shaped(self, shape: tuple[int, ...]) -> str:
        """A value of this shape, or a new leaf."""
        names = [name for name, x in self.values.items() if x.shape == shape]
        if names and self.random.random() < 0.6:
            return self.random.choice(names)
        return self.leaf(drawn(shape, self.dtype), self.rows or self.random.random() < 0.8, "value")
