"""Mistakes planted at every product, bias, fan-out, choice, normalization, decay, softmax and loop.

Each table has the positions of one kind of step in the models of the collection; each function
yields what people get wrong there. A part of a step is exchanged for a wrong one, so that a gradient
with several parts keeps the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from verify.mistakes.activations import DROPOUT, KINKED
from verify.mistakes.classifiers import COLUMNS, DECAY, DECAY_ALL, ROWS, SQUARED
from verify.mistakes.form import Mistake, Model
from verify.mistakes.layers import DEEP, SIGMOIDS, SQUARE
from verify.mistakes.norms import BATCH, LAYER, RESIDUAL
from verify.mistakes.sequences import ATTENTION, LSTM, RNN

Part = Callable[[Any], Any]


def exchanged(model: Model, step: str, right: Part, wrong: Part) -> dict[str, Part]:
    """A step of which one part is another one."""
    return {step: lambda n: model.steps[step](n) - right(n) + wrong(n)}


def mistake(
    model: Model, title: str, wrong: dict[str, Part], code: str, *says: str, leaves: tuple = ()
) -> Mistake:
    """A planted mistake; `leaves`: what is said from the leaves, if these cannot tell as much."""
    title = f"{title}: {', '.join(wrong)} of {model.name}"
    return Mistake(title, "planted", model, wrong, code, says, leaves)


# Products


class Product(NamedTuple):
    """`y = a @ b`, by name."""

    model: Model
    y: str
    a: str
    b: str


PRODUCTS = (
    Product(ROWS, "z1", "x", "W1"),
    Product(ROWS, "z2", "h1", "W2"),
    Product(COLUMNS, "Z1", "W1", "X"),
    Product(COLUMNS, "Z2", "W2", "A1"),
    Product(SIGMOIDS, "z1", "x", "W1"),
    Product(SIGMOIDS, "z2", "l1", "W2"),
    Product(DEEP, "z1", "x", "W1"),
    Product(DEEP, "z2", "h1", "W2"),
    Product(DEEP, "z3", "h2", "W3"),
    Product(SQUARE, "z1", "x", "W1"),
    Product(SQUARE, "z2", "h1", "W2"),
    Product(RNN, "o3", "h3", "Wy"),
    Product(RNN, "o1", "h1", "Wy"),
    Product(RNN, "z3", "h2", "Wh"),
    Product(RNN, "z2", "h1", "Wh"),
    Product(RNN, "z3", "x3", "Wx"),
    Product(RNN, "z1", "x1", "Wx"),
    Product(ATTENTION, "q", "x", "Wq"),
    Product(ATTENTION, "k", "x", "Wk"),
    Product(ATTENTION, "v", "x", "Wv"),
    Product(ATTENTION, "o", "p", "v"),
    Product(LAYER, "u", "x", "W"),
    Product(BATCH, "raw", "x", "W"),
    Product(RESIDUAL, "u", "x", "W0"),
    Product(RESIDUAL, "f", "a", "W1"),
    Product(RESIDUAL, "out", "v", "W2"),
)


def at_products() -> Iterator[Mistake]:
    """Each mistake of a product, where it fits."""
    for at in PRODUCTS:
        shapes = {k: t.shape for k, t in at.model.build()[1].items()}
        for step, side in ((f"G_{at.a}", at.b), (f"G_{at.b}", at.a)):
            if step not in at.model.steps:
                continue
            is_left = step == f"G_{at.a}"
            yield from not_transposed(at, step, side, is_left, shapes)
            yield subtracted(at, step, is_left)
            if is_left and f"G_{at.b}" in at.model.steps and at.model is not ATTENTION:
                yield from updated(at, step)


def product(at: Product, is_left: bool) -> Part:
    """What a product sends back to one side."""
    if is_left:
        return lambda n: getattr(n, f"G_{at.y}") @ getattr(n, at.b).T
    return lambda n: getattr(n, at.a).T @ getattr(n, f"G_{at.y}")


def not_transposed(
    at: Product, step: str, side: str, is_left: bool, shapes: dict[str, tuple[int, ...]]
) -> Iterator[Mistake]:
    """The other side is not transposed, which a square one allows."""
    rows, columns = shapes[side]
    if rows != columns:
        return

    def wrong(n: Any) -> Any:
        g, other = getattr(n, f"G_{at.y}"), getattr(n, side)
        return g @ other if is_left else other @ g

    g = f"G_{at.y}"
    says = f"{side} @ {g} instead of {side}.T @ {g}"
    if is_left:
        says = f"{g} @ {side} instead of {g} @ {side}.T"
    exchange = exchanged(at.model, step, product(at, is_left), wrong)
    yield mistake(at.model, f"{side} is not transposed", exchange, "transposed", says)


def subtracted(at: Product, step: str, is_left: bool) -> Mistake:
    """What comes back has the wrong sign, where it is one of several parts too."""
    right = product(at, is_left)
    exchange = exchanged(at.model, step, right, lambda n: -right(n))
    title, leaves = f"a minus before what {at.y} sends", ()
    if step == "G_v" and at.model is RESIDUAL:
        leaves = ("in all but what comes through out", "the sign is wrong")
    return mistake(at.model, title, exchange, "sign", "sign is wrong", leaves=leaves)


def updated(at: Product, step: str) -> Iterator[Mistake]:
    """The weight has gone down its gradient before it is used."""

    def wrong(n: Any) -> Any:
        weight = getattr(n, at.b) - 0.1 * getattr(n, f"G_{at.b}")
        return getattr(n, f"G_{at.y}") @ weight.T

    order = [*at.model.steps]
    if order.index(f"G_{at.b}") < order.index(step):
        exchange = exchanged(at.model, step, product(at, True), wrong)
        says = f"{at.b} as updated, {at.b} - 0.1 * G_{at.b}"
        yield mistake(at.model, f"{at.b} is updated before", exchange, "already-updated", says)


# Biases


class Bias(NamedTuple):
    """A bias that is added to each sample; `axis`: along which these are."""

    model: Model
    b: str
    y: str
    axis: int


BIASES = (
    Bias(ROWS, "b1", "z1", 0),
    Bias(ROWS, "b2", "z2", 0),
    Bias(COLUMNS, "b1", "Z1", 1),
    Bias(DEEP, "b1", "z1", 0),
    Bias(DEEP, "b2", "z2", 0),
    Bias(DEEP, "b3", "z3", 0),
    Bias(SQUARE, "b1", "z1", 0),
    Bias(LAYER, "beta", "out", 0),
    Bias(BATCH, "shift", "out", 0),
)


def at_biases() -> Iterator[Mistake]:
    """Each mistake of a bias."""
    for at in BIASES:
        step, other = f"G_{at.b}", 1 - at.axis
        rows = at.model.build()[1][at.y].shape[at.axis]
        keeps = at.model.build()[1][at.b].data.ndim == 2

        def summed(n: Any, at: Bias = at, axis: int = other, keeps: bool = keeps) -> Any:
            return getattr(n, f"G_{at.y}").sum(axis=axis, keepdims=keeps)

        def given(n: Any, at: Bias = at) -> Any:
            return getattr(n, f"G_{at.y}")

        def mean(n: Any, at: Bias = at, keeps: bool = keeps) -> Any:
            return getattr(n, f"G_{at.y}").mean(axis=at.axis, keepdims=keeps)

        says = (f"axis {other} instead of axis {at.axis}",)
        yield mistake(at.model, "summed along the other axis", {step: summed}, "wrong-axis", *says)
        says = (f"not summed over axis {at.axis}",)
        yield mistake(at.model, "not summed", {step: given}, "broadcast-not-summed", *says)
        says = (f"{rows} times too small",)
        yield mistake(at.model, "a mean for the sum", {step: mean}, "batch-size", *says)


# What comes on several ways


class Ways(NamedTuple):
    """The gradient of `x`, and what it is the sum of: each part by what it comes through."""

    model: Model
    x: str
    parts: dict[str, Part]


FAN_OUTS = (
    Ways(RNN, "h1", {"h1 @ Wy": lambda n: n.G_o1 @ n.Wy.T, "h1 @ Wh": lambda n: n.G_z2 @ n.Wh.T}),
    Ways(RNN, "h2", {"h2 @ Wy": lambda n: n.G_o2 @ n.Wy.T, "h2 @ Wh": lambda n: n.G_z3 @ n.Wh.T}),
    Ways(
        RNN,
        "Wy",
        {
            "h3 @ Wy": lambda n: n.h3.T @ n.G_o3,
            "h2 @ Wy": lambda n: n.h2.T @ n.G_o2,
            "h1 @ Wy": lambda n: n.h1.T @ n.G_o1,
        },
    ),
    Ways(
        LSTM,
        "c1",
        {
            "f2 * c1": lambda n: n.G_c2 * n.f2,
            "tanh(c1)": lambda n: n.G_h1 * n.o1 * (1 - np.tanh(n.c1) ** 2),
        },
    ),
    Ways(RESIDUAL, "a", {"r": lambda n: n.G_r, "f": lambda n: n.G_f @ n.W1.T}),
    Ways(
        RESIDUAL, "r", {"out": lambda n: n.G_out, "v": lambda n: RESIDUAL.steps["G_r"](n) - n.G_out}
    ),
    Ways(LAYER, "u", {"c": lambda n: n.G_c, "mu": lambda n: n.G_mu / 5}),
    Ways(
        LAYER,
        "c",
        {"normed": lambda n: n.G_normed / n.s, "square(c)": lambda n: 2 * n.c * n.G_var / 5},
    ),
    Ways(
        BATCH,
        "centered",
        {
            "normed": lambda n: n.G_normed * n.inverse,
            "square(centered)": lambda n: 2 * n.centered * n.G_var / 7,
        },
    ),
    Ways(DECAY, "W", {"x @ W": lambda n: n.x.T @ n.G_z, "square(W)": lambda n: 0.1 * n.W}),
    Ways(DECAY_ALL, "W", {"x @ W": lambda n: n.x.T @ n.G_z, "W * W": lambda n: 0.1 * n.W}),
    Ways(DECAY_ALL, "b", {"z": lambda n: n.G_z.sum(axis=0), "b * b": lambda n: 0.1 * n.b}),
)


def at_fan_outs() -> Iterator[Mistake]:
    """A way that is missing, has the wrong sign, or is doubled."""
    for at in FAN_OUTS:
        step = f"G_{at.x}"
        for through, part in at.parts.items():
            missing = exchanged(at.model, step, part, lambda n, part=part: 0 * part(n))
            says = f"the gradient that comes through {through} is missing"
            if (at.model, through) == (RESIDUAL, "v"):  # which is computed from r in two ways
                says = "only the gradient that comes through out is there"
            yield mistake(at.model, f"{through} is missing", missing, "missing-term", says)
            twice = exchanged(at.model, step, part, lambda n, part=part: 2 * part(n))
            says = "2 times too large"
            yield mistake(at.model, f"{through} twice", twice, "counted-twice", says)
            turned = exchanged(at.model, step, part, lambda n, part=part: -part(n))
            says = f"through {through}: the sign is wrong"
            if (at.model, through) == (RESIDUAL, "v"):
                says = "in all but what comes through out: the sign is wrong"
            yield mistake(at.model, f"{through} subtracted", turned, "sign", says)


# Choices


def at_choices() -> Iterator[Mistake]:
    """The other side of a relu, of a leaky one, of ELU, and of a mask."""
    swapped: tuple[tuple[Model, str, Part, str], ...] = (
        (DEEP, "G_z1", lambda n: n.G_h1 * (n.z1 <= 0), "z1 > 0 is the wrong way round"),
        (DEEP, "G_z2", lambda n: n.G_h2 * (n.z2 <= 0), "z2 > 0 is the wrong way round"),
        (KINKED, "G_z1", lambda n: n.G_h1 * np.where(n.z1 > 0, 0.2, 1), "the wrong way round"),
        (
            KINKED,
            "G_z2",
            lambda n: n.G_h2 * np.where(n.z2 > 0, 1.5 * np.exp(n.z2), 1),
            "the wrong way round",
        ),
        (DROPOUT, "G_a", lambda n: n.G_h * (1 - n.mask) / 0.8, "mask"),
    )
    for model, step, wrong, says in swapped:
        yield mistake(model, "the sides swapped", {step: wrong}, "where-swapped", says)


# Softmax


def at_softmaxes() -> Iterator[Mistake]:
    """What goes wrong in the derivative of a softmax, and with the scale of attention."""
    for model, s, p in ((ATTENTION, "s", "p"), (SQUARED, "z", "p")):

        def both(n: Any, p: str = p) -> tuple[Any, Any]:
            return getattr(n, f"G_{p}"), getattr(n, p)

        def other_axis(n: Any, both: Any = both) -> Any:
            g, shares = both(n)
            return shares * (g - (g * shares).sum(axis=0, keepdims=True))

        def diagonal(n: Any, both: Any = both) -> Any:
            g, shares = both(n)
            return g * shares * (1 - shares)

        def no_sum(n: Any, both: Any = both) -> Any:
            g, shares = both(n)
            return g * shares

        def plus(n: Any, both: Any = both) -> Any:
            g, shares = both(n)
            return shares * (g + (g * shares).sum(axis=1, keepdims=True))

        step, axis = f"G_{s}", "sum along axis 0 instead of axis"
        yield mistake(model, "the sum along axis 0", {step: other_axis}, "softmax-wrong-axis", axis)
        says = "the diagonal of softmax's Jacobian alone"
        yield mistake(model, "the diagonal alone", {step: diagonal}, "softmax-jacobian", says)
        yield mistake(model, "no sum", {step: no_sum}, "softmax-jacobian", "is missing")
        yield mistake(model, "the sum with a plus", {step: plus}, "sign", "the sign of")
    attention: tuple[tuple[str, str, Part, str, str], ...] = (
        ("not scaled", "G_raw", lambda n: n.G_s, "missing-factor", "not divided by 2"),
        (
            "scaled twice",
            "G_raw",
            lambda n: n.G_s / 4,
            "extra-factor",
            "divided by 2 once too often",
        ),
        ("q for k", "G_q", lambda n: n.G_raw @ n.q, "other-value", "q in place of k"),
        (
            "not transposed",
            "G_k",
            lambda n: n.G_raw @ n.q,
            "transposed",
            "q.T @ G_raw.T instead of",
        ),
    )
    for title, step, wrong, code, says in attention:
        leaves = (f"from a fault at the gradient of k.T: {says}",) if step == "G_k" else ()
        yield mistake(ATTENTION, title, {step: wrong}, code, says, leaves=leaves)


# Loops


def at_loops() -> Iterator[Mistake]:
    """The same mistake at every step of a recurrent network."""
    h, z, o = ("h3", "h2", "h1"), ("z3", "z2", "z1"), ("o3", "o2", "o1")

    def each(steps: tuple[str, ...], make: Callable[[int], Part]) -> dict[str, Part]:
        return {f"G_{step}": make(i) for i, step in enumerate(steps)}

    def of(n: Any, names: tuple[str, ...], i: int) -> Any:
        return getattr(n, names[i]), getattr(n, f"G_{names[i]}")

    def slopes(change: Callable[[Any, Any, Any], Any]) -> dict[str, Part]:
        return each(z, lambda i: lambda n: change(of(n, h, i)[1], getattr(n, z[i]), of(n, h, i)[0]))

    every = "at every step"
    for title, change, code, says in (
        ("tanh' left out", lambda g, z, h: g, "missing-derivative", "handed on unchanged"),
        (
            "tanh' of the state",
            lambda g, z, h: g * (1 - np.tanh(h) ** 2),
            "wrong-derivative",
            "tanh",
        ),
        ("1 + h * h", lambda g, z, h: g * (1 + h * h), "sign", "the sign of h3 * h3 is wrong"),
        ("1 - h", lambda g, z, h: g * (1 - h), "missing-factor", "factor h3 is missing"),
        ("sigmoid's slope", lambda g, z, h: g * h * (1 - h), "wrong-derivative", "h3 * (1 - h3)"),
        ("tanh' alone", lambda g, z, h: 1 - h * h, "derivative-alone", "alone"),
        (
            "divided by tanh'",
            lambda g, z, h: g / (1 - h * h),
            "divided-not-multiplied",
            "divided by",
        ),
    ):
        yield mistake(RNN, f"{title} {every}", slopes(change), code, says)

    def state(sends: Callable[[Any, Any], Any]) -> dict[str, Part]:
        """What each step makes of the gradient of the state after it."""
        return {
            "G_h2": lambda n: n.G_o2 @ n.Wy.T + sends(n, n.G_z3),
            "G_h1": lambda n: n.G_o1 @ n.Wy.T + sends(n, n.G_z2),
        }

    for title, sends, code, says in (
        ("nothing sent back", lambda n, g: 0 * g, "missing-term", "through h2 @ Wh is missing"),
        ("Wh not transposed", lambda n, g: g @ n.Wh, "transposed", "G_z3 @ Wh instead of"),
        ("a minus before Wh", lambda n, g: -g @ n.Wh.T, "sign", "sign is wrong"),
    ):
        yield mistake(RNN, f"{title} {every}", state(sends), code, says)

    def weights(left: tuple[str, ...], right: tuple[str, ...]) -> Part:
        return lambda n: sum(getattr(n, a).T @ getattr(n, f"G_{g}") for a, g in zip(left, right))

    x = ("x3", "x2", "x1")
    before = ("h2", "h1", "h0")
    for title, step, part, code, says in (
        ("one step off", "G_Wh", weights(h, z), "other-value", "h3 in place of h2"),
        ("G_h for G_z", "G_Wx", weights(x, h), "other-value", "G_h3 in place of G_z3"),
        ("z for h", "G_Wy", weights(z, o), "other-value", "z3 in place of h3"),
        ("G_h for G_z", "G_Wh", weights(before, h), "other-value", "G_h3 in place of G_z3"),
    ):
        yield mistake(RNN, f"{title} {every}", {step: part}, code, says)
    gates = {
        "G_zf": lambda n: n.G_f2 * n.f2,
        "G_Wf": lambda n: n.x2.T @ n.G_zf + n.x1.T @ (n.G_f1 * n.f1),
        "G_bf": lambda n: (n.G_zf + n.G_f1 * n.f1).sum(axis=0),
    }
    yield mistake(LSTM, f"the gate for its slope {every}", gates, "missing-factor", "(1 - f2)")


# Factors


def factors(model: Model) -> Iterator[Mistake]:
    """A sign, a factor 2, or nothing at all, at each step of a model."""
    for step, right in model.steps.items():
        for title, change, code, says in (
            ("a minus", lambda g: -g, "sign", "the sign is wrong"),
            ("twice", lambda g: 2 * g, "extra-factor", "2 times too large"),
            ("zero", lambda g: 0 * g, "not-the-gradient", "the gradient does not arrive"),
        ):
            wrong = {step: lambda n, right=right, change=change: change(right(n))}
            yield mistake(model, title, wrong, code, says)


POSITIONED = [
    *at_products(),
    *at_biases(),
    *at_fan_outs(),
    *at_choices(),
    *at_softmaxes(),
    *at_loops(),
]
