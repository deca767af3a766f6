"""Recurrence in loops, an LSTM with one stacked matrix, and the mistakes that people make there."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, softmax

from tinygrad_steel import sigmoid as sigmoid_op
from tinygrad_steel import softmax_cross_entropy

BOOK = "https://github.com/KONANtechnology/Academy.ALZZA"
PLANTED = "planted"
H = 4


# A recurrent network in a loop over time, that gives an answer at its end, as in the book


def recurrent(draw: Draw):
    x, y = draw.data(5, 4, 3), draw.one_hot(5, 3)  # samples, steps, features
    Wx, Wh, b = draw.leaf(3, H), draw.leaf(H, H), draw.leaf(H)
    W, c = draw.leaf(H, 3), draw.leaf(3)
    h, states, sums = np.zeros((5, H), draw.dtype), [], []
    for t in range(4):
        sums.append(x[:, t] @ Wx + h @ Wh + b)
        h = np.tanh(sums[-1])
        states.append(h)
    logits = h @ W + c
    loss = np.mean(softmax_cross_entropy(logits, y))
    z1, z2, z3, z4 = sums
    h1, h2, h3, h4 = states
    return loss, {k: v for k, v in locals().items() if k != "h"}


def slope(h):
    """The slope of a tanh, by its result."""
    return 1 - h * h


RNN = Model(
    "a recurrent network with an answer at its end",
    recurrent,
    {
        "G_logits": lambda n: (softmax(n.logits) - n.y) / 5,
        "G_W": lambda n: n.h4.T @ n.G_logits,
        "G_c": lambda n: n.G_logits.sum(axis=0),
        "G_h4": lambda n: n.G_logits @ n.W.T,
        "G_z4": lambda n: n.G_h4 * slope(n.h4),
        "G_h3": lambda n: n.G_z4 @ n.Wh.T,
        "G_z3": lambda n: n.G_h3 * slope(n.h3),
        "G_h2": lambda n: n.G_z3 @ n.Wh.T,
        "G_z2": lambda n: n.G_h2 * slope(n.h2),
        "G_h1": lambda n: n.G_z2 @ n.Wh.T,
        "G_z1": lambda n: n.G_h1 * slope(n.h1),
        "G_Wx": lambda n: over_time(n, n.x),
        "G_Wh": lambda n: n.h1.T @ n.G_z2 + n.h2.T @ n.G_z3 + n.h3.T @ n.G_z4,
        "G_b": lambda n: (n.G_z1 + n.G_z2 + n.G_z3 + n.G_z4).sum(axis=0),
    },
)


def over_time(n, x):
    """The sum over time of inputs and gradients."""
    gradients = (n.G_z1, n.G_z2, n.G_z3, n.G_z4)
    return sum(x[:, t].T @ g for t, g in enumerate(gradients))


def after(n):
    """The sum over time of states and gradients, with the states that follow."""
    gradients = (n.G_z1, n.G_z2, n.G_z3, n.G_z4)
    return sum(h.T @ g for h, g in zip((n.h1, n.h2, n.h3, n.h4), gradients))


RNN_MISTAKES = [
    Mistake(
        "the gradient through time is cut after one step",
        PLANTED,
        RNN,
        {
            "G_h3": lambda n: 0 * n.h3,
            "G_h2": lambda n: 0 * n.h2,
            "G_h1": lambda n: 0 * n.h1,
        },
        "missing-term",
        ("does not arrive",),
        ("from a fault at G_h3", "through h3 @ Wh is missing"),
    ),
    Mistake(
        "the gradient through time is cut at one step",
        PLANTED,
        RNN,
        {"G_h2": lambda n: 0 * n.h2},
        "missing-term",
        ("does not arrive",),
        ("from a fault at G_h2", "through h2 @ Wh is missing"),
    ),
    Mistake(
        "the gradients of the weights are assigned at each step: the first remains",
        PLANTED,
        RNN,
        {
            "G_Wx": lambda n: n.x[:, 0].T @ n.G_z1,
            "G_Wh": lambda n: n.h1.T @ n.G_z2,
            "G_b": lambda n: n.G_z1.sum(axis=0),
        },
        "fan-out-overwritten",
        ("only the gradient that comes through", "@ Wx is there"),
    ),
    Mistake(
        "the gradients of the weights are those of the last step alone",
        PLANTED,
        RNN,
        {
            "G_Wx": lambda n: n.x[:, 3].T @ n.G_z4,
            "G_Wh": lambda n: n.h3.T @ n.G_z4,
            "G_b": lambda n: n.G_z4.sum(axis=0),
        },
        "fan-out-overwritten",
        ("only the gradient that comes through", "@ Wx is there"),
        ("from a fault at G_h3, G_h2 and G_h1, at every step", "through h3 @ Wh is missing"),
    ),
    Mistake(
        "the inputs are taken in the wrong order",
        PLANTED,
        RNN,
        {"G_Wx": lambda n: over_time(n, n.x[:, ::-1])},
        "other-value",
        ("steps are mixed up",),
    ),
    Mistake(
        "the states are those after the step, and not before it",
        PLANTED,
        RNN,
        {"G_Wh": lambda n: after(n)},
        "other-value",
        ("h4 in place of h3, at every step",),
    ),
    Mistake(
        "the matrix of the states is not transposed",
        PLANTED,
        RNN,
        {
            "G_h3": lambda n: n.G_z4 @ n.Wh,
            "G_h2": lambda n: n.G_z3 @ n.Wh,
            "G_h1": lambda n: n.G_z2 @ n.Wh,
        },
        "transposed",
        ("G_z4 @ Wh instead of G_z4 @ Wh.T",),
    ),
    Mistake(
        "tanh is forgotten in time",
        PLANTED,
        RNN,
        {
            "G_z4": lambda n: n.G_h4,
            "G_z3": lambda n: n.G_h3,
            "G_z2": lambda n: n.G_h2,
            "G_z1": lambda n: n.G_h1,
        },
        "missing-derivative",
        ("handed on unchanged", "tanh'(z4)"),
    ),
    Mistake(
        "tanh's derivative is taken of the sums",
        PLANTED,
        RNN,
        {
            "G_z4": lambda n: n.G_h4 * slope(n.z4),
            "G_z3": lambda n: n.G_h3 * slope(n.z3),
            "G_z2": lambda n: n.G_h2 * slope(n.z2),
            "G_z1": lambda n: n.G_h1 * slope(n.z1),
        },
        "derivative-of-wrong-argument",
        ("z4 in place of h4",),
    ),
    Mistake(
        "the state's gradient is added twice",
        PLANTED,
        RNN,
        {
            "G_h3": lambda n: 2 * n.G_z4 @ n.Wh.T,
            "G_h2": lambda n: 2 * n.G_z3 @ n.Wh.T,
            "G_h1": lambda n: 2 * n.G_z2 @ n.Wh.T,
        },
        "counted-twice",
        ("2 times too large everywhere",),
    ),
    Mistake(
        "the weights' gradients are divided by the number of steps",
        PLANTED,
        RNN,
        {"G_Wx": lambda n: over_time(n, n.x) / 4},
        "batch-size",
        ("4 times too small everywhere",),
    ),
]


# An LSTM whose gates come from one matrix, by slices, as in the book: f, i, o, g


def stacked(draw: Draw):
    x, y = draw.data(6, 3, 3), draw.data(6, 2)
    Wx, Wh, b = draw.leaf(3, 4 * H), draw.leaf(H, 4 * H), draw.leaf(4 * H)
    W = draw.leaf(H, 2)
    h = c = np.zeros((6, H), draw.dtype)
    kept = {}
    for t in range(1, 4):
        a = x[:, t - 1] @ Wx + h @ Wh + b
        f, i, o = sigmoid_op(a[:, :H]), sigmoid_op(a[:, H : 2 * H]), sigmoid_op(a[:, 2 * H : 3 * H])
        g = np.tanh(a[:, 3 * H :])
        c = f * c + i * g
        s = np.tanh(c)
        h = o * s
        kept.update({f"{k}{t}": v for k, v in zip("afiogcsh", (a, f, i, o, g, c, s, h))})
    diff = h @ W - y
    loss = np.mean(np.square(diff))
    return loss, {"x": x, "y": y, "Wx": Wx, "Wh": Wh, "b": b, "W": W, "diff": diff, **kept}


def gate_slopes(n, t):
    """Each gate's part of the sums, from the gradients of the gates."""
    v = vars(n)
    parts = [v[f"G_{k}{t}"] * v[f"{k}{t}"] * (1 - v[f"{k}{t}"]) for k in "fio"]
    return np.concatenate([*parts, v[f"G_g{t}"] * (1 - v[f"g{t}"] ** 2)], axis=1)


def lstm_steps():
    """The right chain, from the last step to the first."""
    steps = {
        "G_diff": lambda n: 2 * n.diff / 12,
        "G_W": lambda n: n.h3.T @ n.G_diff,
        "G_h3": lambda n: n.G_diff @ n.W.T,
    }
    for t in (3, 2, 1):
        if t < 3:
            steps[f"G_h{t}"] = lambda n, t=t: vars(n)[f"G_a{t + 1}"] @ n.Wh.T
        steps[f"G_o{t}"] = lambda n, t=t: vars(n)[f"G_h{t}"] * vars(n)[f"s{t}"]
        steps[f"G_s{t}"] = lambda n, t=t: vars(n)[f"G_h{t}"] * vars(n)[f"o{t}"]
        steps[f"G_c{t}"] = lambda n, t=t: cell(n, t)
        if t > 1:
            steps[f"G_f{t}"] = lambda n, t=t: vars(n)[f"G_c{t}"] * vars(n)[f"c{t - 1}"]
        else:
            steps["G_f1"] = lambda n: 0 * n.f1
        steps[f"G_i{t}"] = lambda n, t=t: vars(n)[f"G_c{t}"] * vars(n)[f"g{t}"]
        steps[f"G_g{t}"] = lambda n, t=t: vars(n)[f"G_c{t}"] * vars(n)[f"i{t}"]
        steps[f"G_a{t}"] = lambda n, t=t: gate_slopes(n, t)
    steps["G_Wx"] = lambda n: sum(n.x[:, t - 1].T @ vars(n)[f"G_a{t}"] for t in (1, 2, 3))
    steps["G_Wh"] = lambda n: n.h1.T @ n.G_a2 + n.h2.T @ n.G_a3
    steps["G_b"] = lambda n: (n.G_a1 + n.G_a2 + n.G_a3).sum(axis=0)
    return steps


def cell(n, t, state=True, later=True, slope=True):
    """What comes to a cell: from its state, and from the next cell."""
    v = vars(n)
    through_state = v[f"G_s{t}"] * (1 - v[f"s{t}"] ** 2 if slope else 1)
    through_later = v[f"G_c{t + 1}"] * v[f"f{t + 1}"] if t < 3 else 0
    return state * through_state + later * through_later


def at_each(name, make):
    """The same mistake at each of the three steps."""
    return {f"G_{name}{t}": lambda n, t=t: make(vars(n), t) for t in (3, 2, 1)}


LSTM = Model("an LSTM whose gates come from one matrix", stacked, lstm_steps())

LSTM_MISTAKES = [
    Mistake(
        "tanh' of the cell is forgotten",
        PLANTED,
        LSTM,
        {f"G_c{t}": lambda n, t=t: cell(n, t, slope=False) for t in (3, 2, 1)},
        "missing-derivative",
        ("handed on unchanged", "tanh'(c3)"),
        ("G_s3 is handed on unchanged: the factor tanh'(c3)",),
    ),
    Mistake(
        "the way through the state is forgotten at the cell",
        PLANTED,
        LSTM,
        {f"G_c{t}": lambda n, t=t: cell(n, t, state=False) for t in (3, 2, 1)},
        "missing-term",
        ("does not arrive",),
        ("from a fault at G_c3",),
    ),
    Mistake(
        "f * G_c is forgotten: the cell does not reach back",
        PLANTED,
        LSTM,
        {f"G_c{t}": lambda n, t=t: cell(n, t, later=False) for t in (2, 1)},
        "missing-term",
        ("the gradient that comes through f3 * c2 is missing",),
        ("the gradient that comes through f3 * c2 is missing",),
    ),
    Mistake(
        "the cell is handed on without the forget gate",
        PLANTED,
        LSTM,
        {"G_c2": lambda n: cell(n, 2, later=False) + n.G_c3},
        "missing-factor",
        ("f3",),
    ),
    Mistake(
        "the input gate for the forget gate on the way of the cell",
        PLANTED,
        LSTM,
        {"G_c2": lambda n: cell(n, 2, later=False) + n.G_c3 * n.i3},
        "other-value",
        ("i3 in place of f3",),
    ),
    Mistake(
        "the cell after the step in the forget gate's gradient",
        PLANTED,
        LSTM,
        at_each("f", lambda v, t: v[f"G_c{t}"] * v[f"c{t}"]),
        "other-value",
        ("c3 in place of c2",),
    ),
    Mistake(
        "gates are swapped: f for i",
        PLANTED,
        LSTM,
        {f"G_a{t}": lambda n, t=t: swapped(n, t) for t in (3, 2, 1)},
        "wrong-places",
        ("a3[:, :4] and a3[:, 4:8] is swapped",),
    ),
    Mistake(
        "sigmoid' of the sums, by s * (1 - s)",
        PLANTED,
        LSTM,
        {f"G_a{t}": lambda n, t=t: of_sums(n, t) for t in (3, 2, 1)},
        "derivative-of-wrong-argument",
        ("computed with a3[:, :4] in place of f3; the same in 3 parts",),
        ("computed with a3[:, :4] in place of f3; the same in 3 parts",),
    ),
    Mistake(
        "sigmoid' is forgotten in the gates",
        PLANTED,
        LSTM,
        {f"G_a{t}": lambda n, t=t: without_slopes(n, t) for t in (3, 2, 1)},
        "missing-derivative",
        ("handed on unchanged: the factor sigmoid'(a3[:, :4])", "the same in 3 parts"),
        ("handed on unchanged: the factor sigmoid'(a3[:, :4])", "the same in 3 parts"),
    ),
    Mistake(
        "tanh' of the candidate is forgotten",
        PLANTED,
        LSTM,
        {f"G_a{t}": lambda n, t=t: candidate_unchanged(n, t) for t in (3, 2, 1)},
        "missing-derivative",
        ("G_g3 is handed on unchanged: the factor tanh'(a3[:, 12:])",),
        ("G_g3 is handed on unchanged: the factor tanh'(a3[:, 12:])",),
    ),
    Mistake(
        "the candidate's gradient has no input gate",
        PLANTED,
        LSTM,
        at_each("g", lambda v, t: v[f"G_c{t}"]),
        "missing-factor",
        ("the factor i3 is missing",),
    ),
    Mistake(
        "the output gate gets the cell, and not its tanh",
        PLANTED,
        LSTM,
        at_each("o", lambda v, t: v[f"G_h{t}"] * v[f"c{t}"]),
        "other-value",
        ("c3 in place of s3",),
    ),
    Mistake(
        "the state's gradient is added twice in time",
        PLANTED,
        LSTM,
        {f"G_h{t}": lambda n, t=t: 2 * vars(n)[f"G_a{t + 1}"] @ n.Wh.T for t in (2, 1)},
        "counted-twice",
        ("2 times too large everywhere",),
    ),
    Mistake(
        "the weights' gradients are assigned, and not added: the first step remains",
        PLANTED,
        LSTM,
        {
            "G_Wx": lambda n: n.x[:, 0].T @ n.G_a1,
            "G_Wh": lambda n: n.h1.T @ n.G_a2,
            "G_b": lambda n: n.G_a1.sum(axis=0),
        },
        "fan-out-overwritten",
        ("only the gradient that comes through", "@ Wx is there"),
    ),
    Mistake(
        "the way through the states is cut",
        PLANTED,
        LSTM,
        {"G_h2": lambda n: 0 * n.h2, "G_h1": lambda n: 0 * n.h1},
        "missing-term",
        ("does not arrive",),
        ("h2 @ Wh is missing",),
    ),
]


def swapped(n, t):
    """The sums' gradient with the first two gates in each other's place."""
    f, i, o, g = np.split(gate_slopes(n, t), 4, axis=1)
    return np.concatenate([i, f, o, g], axis=1)


def of_sums(n, t):
    """s * (1 - s) where s is what goes into the sigmoid."""
    v = vars(n)
    parts = np.split(v[f"a{t}"], 4, axis=1)
    ones = [v[f"G_{k}{t}"] * s * (1 - s) for k, s in zip("fio", parts)]
    return np.concatenate([*ones, v[f"G_g{t}"] * (1 - v[f"g{t}"] ** 2)], axis=1)


def without_slopes(n, t):
    """The gates' gradients as they are."""
    v = vars(n)
    parts = [v[f"G_{k}{t}"] for k in "fio"]
    return np.concatenate([*parts, v[f"G_g{t}"] * (1 - v[f"g{t}"] ** 2)], axis=1)


def candidate_unchanged(n, t):
    """The candidate's gradient as it is."""
    return np.concatenate([gate_slopes(n, t)[:, : 3 * H], vars(n)[f"G_g{t}"]], axis=1)


MISTAKES = [*RNN_MISTAKES, *LSTM_MISTAKES]
