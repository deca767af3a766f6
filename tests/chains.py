"""Small networks, their backprop chained by hand step by step, and faults to plant in a step."""

from __future__ import annotations

from types import SimpleNamespace

import abalone
import manual_backprop
import numpy as np
import pulsar
import steel
from helpers import leaf

from tinygrad_steel import Tensor, relu, softmax, softmax_cross_entropy
from tinygrad_steel.program.definitions import locals_of

# Graphs: each returns its loss and its variables.


def experiment(function, inputs, outputs):
    """One linear layer under the loss of an example, on ten rows."""

    def graph(rng, dtype, scale):
        x = Tensor((rng.normal(size=(10, inputs)) * scale).astype(dtype), name="x")
        y = Tensor(labels(rng, outputs, dtype), name="y")
        weight, bias = (
            leaf(rng.normal(0, 0.3, (inputs, outputs)), dtype),
            leaf(rng.normal(0, 0.3, outputs), dtype),
        )
        output = x @ weight + bias
        with locals_of(function) as names:
            loss = function(output, y)
        return loss, {**names, "x": x, "y": y, "weight": weight, "bias": bias}

    return graph


def labels(rng, outputs, dtype=float):
    """One-hot rows, or one column of 0 and 1."""
    classes = rng.permutation(np.arange(10) % max(2, outputs))
    return (np.eye(outputs)[classes] if outputs > 1 else classes[:, None]).astype(dtype)


def one_hidden(rng, dtype, scale):
    x, y = Tensor((rng.normal(size=(10, 27)) * scale).astype(dtype)), Tensor(labels(rng, 7, dtype))
    W1, b1 = leaf(rng.normal(0, 0.5, (27, 8)), dtype), leaf(rng.normal(0, 0.5, 8), dtype)
    W2, b2 = leaf(rng.normal(0, 0.5, (8, 7)), dtype), leaf(rng.normal(0, 0.5, 7), dtype)
    z = x @ W1 + b1
    h = relu(z)
    output = h @ W2 + b2
    entropy = softmax_cross_entropy(output, y)
    return np.mean(entropy), locals()


def two_hidden(rng, dtype, scale):
    x, y = (
        Tensor((rng.normal(size=(10, 6)) * scale).astype(dtype)),
        Tensor(rng.normal(size=(10, 3)).astype(dtype)),
    )
    W1, b1 = leaf(rng.normal(0, 0.5, (6, 5)), dtype), leaf(rng.normal(0, 0.5, 5), dtype)
    W2, b2 = leaf(rng.normal(0, 0.5, (5, 5)), dtype), leaf(rng.normal(0, 0.5, 5), dtype)
    W3, b3 = leaf(rng.normal(0, 0.5, (5, 3)), dtype), leaf(rng.normal(0, 0.5, 3), dtype)
    z1 = x @ W1 + b1
    h1 = relu(z1)
    z2 = h1 @ W2 + b2
    h2 = relu(z2)
    output = h2 @ W3 + b3
    diff = output - y
    return np.mean(np.square(diff)), locals()


def all_square(rng, dtype, scale):
    """No shape gives away a wrong axis or a forgotten transpose."""
    x, y = (
        Tensor((rng.normal(size=(4, 4)) * scale).astype(dtype)),
        Tensor(rng.normal(size=(4, 4)).astype(dtype)),
    )
    W, b = leaf(rng.normal(0, 0.5, (4, 4)), dtype), leaf(rng.normal(0, 0.5, 4), dtype)
    z = x @ W + b
    h = np.tanh(z)
    diff = h - y
    m = np.mean(np.square(diff), axis=1)
    return np.sum(m), locals()


def shared(rng, dtype, scale):
    """A residual connection, a weight used in two layers, and weight decay."""
    x, y = (
        Tensor((rng.normal(size=(6, 4)) * scale).astype(dtype)),
        Tensor(rng.normal(size=(6, 4)).astype(dtype)),
    )
    W, V = leaf(rng.normal(0, 0.5, (4, 4)), dtype), leaf(rng.normal(0, 0.5, (4, 4)), dtype)
    z = x @ W
    h = relu(z)
    r = h @ V
    s = r + h
    o = s @ V
    diff = o - y
    return np.mean(np.square(diff)) + 0.01 * np.sum(np.square(W)) + 0.01 * np.sum(V * V), locals()


def embedding(rng, dtype, scale):
    table, y = leaf(rng.normal(size=(5, 3)), dtype), Tensor(rng.normal(size=(5, 3)).astype(dtype))
    rows = table[np.array([0, 1, 1, 4, 1])]
    diff = rows - y
    return np.sum(np.square(diff)), locals()


def by_softmax(rng, dtype, scale):
    """Mean square of a softmax: nothing cancels, as it does under the cross entropy."""
    x, y = (
        Tensor((rng.normal(size=(10, 4)) * scale).astype(dtype)),
        Tensor(rng.normal(size=(10, 3)).astype(dtype)),
    )
    W = leaf(rng.normal(0, 0.5, (4, 3)), dtype)
    z = x @ W
    p = softmax(z)
    diff = p - y
    return np.mean(np.square(diff)), locals()


def by_hand(rng, dtype, scale):
    """The same with a softmax written out."""
    x, y = (
        Tensor((rng.normal(size=(10, 4)) * scale).astype(dtype)),
        Tensor(rng.normal(size=(10, 3)).astype(dtype)),
    )
    W = leaf(rng.normal(0, 0.5, (4, 3)), dtype)
    z = x @ W
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    diff = p - y
    return np.mean(np.square(diff)), locals()


# Their backprop chained by hand, from the loss backwards: `n` has all values and the gradients so far.

soft, sig = manual_backprop.stable_softmax, manual_backprop.stable_sigmoid
LINEAR = {"G_weight": lambda n: n.x.T @ n.G_output, "G_bias": lambda n: n.G_output.sum(axis=0)}
SQUARE = {
    "G_square": lambda n: np.full_like(n.square, 1 / n.square.size),
    "G_diff": lambda n: 2 * n.diff * n.G_square,
}
ENTROPY = {"G_entropy": lambda n: np.full_like(n.entropy, 1 / n.entropy.size)}
SOFT = {"G_diff": lambda n: 2 * n.diff / n.diff.size, "G_p": lambda n: n.G_diff}
SOFT |= {
    "G_z": lambda n: n.p * (n.G_p - np.sum(n.G_p * n.p, axis=1, keepdims=True)),
    "G_W": lambda n: n.x.T @ n.G_z,
}
PROBLEMS = {
    "abalone": (
        experiment(abalone.loss, 8, 1),
        {**SQUARE, "G_output": lambda n: n.G_diff, **LINEAR},
    ),
    "pulsar": (
        experiment(pulsar.loss, 8, 1),
        {**ENTROPY, "G_output": lambda n: (sig(n.output) - n.y) * n.G_entropy, **LINEAR},
    ),
    "softmax": (
        experiment(steel.softmax_loss, 27, 7),
        {**ENTROPY, "G_output": lambda n: (soft(n.output) - n.y) * n.G_entropy[:, None], **LINEAR},
    ),
    "sigmoid": (
        experiment(steel.sigmoid_loss, 27, 7),
        {**ENTROPY, "G_output": lambda n: (sig(n.output) - n.y) * n.G_entropy, **LINEAR},
    ),
    "sigmoid-mse": (
        experiment(steel.sigmoid_mse_loss, 27, 7),
        {
            **SQUARE,
            "G_probability": lambda n: n.G_diff,
            "G_output": lambda n: n.G_probability * n.probability * (1 - n.probability),
            **LINEAR,
        },
    ),
    "one hidden": (
        one_hidden,
        {
            "G_output": lambda n: (soft(n.output) - n.y) / len(n.y),
            "G_W2": lambda n: n.h.T @ n.G_output,
            "G_b2": lambda n: n.G_output.sum(axis=0),
            "G_h": lambda n: n.G_output @ n.W2.T,
            "G_z": lambda n: n.G_h * (n.z > 0),
            "G_W1": lambda n: n.x.T @ n.G_z,
            "G_b1": lambda n: n.G_z.sum(axis=0),
        },
    ),
    "two hidden": (
        two_hidden,
        {
            "G_diff": lambda n: 2 * n.diff / n.diff.size,
            "G_output": lambda n: n.G_diff,
            "G_W3": lambda n: n.h2.T @ n.G_output,
            "G_b3": lambda n: n.G_output.sum(axis=0),
            "G_h2": lambda n: n.G_output @ n.W3.T,
            "G_z2": lambda n: n.G_h2 * (n.z2 > 0),
            "G_W2": lambda n: n.h1.T @ n.G_z2,
            "G_b2": lambda n: n.G_z2.sum(axis=0),
            "G_h1": lambda n: n.G_z2 @ n.W2.T,
            "G_z1": lambda n: n.G_h1 * (n.z1 > 0),
            "G_W1": lambda n: n.x.T @ n.G_z1,
            "G_b1": lambda n: n.G_z1.sum(axis=0),
        },
    ),
    "all square": (
        all_square,
        {
            "G_m": lambda n: np.ones_like(n.m),
            "G_diff": lambda n: 2 * n.diff * n.G_m[:, None] / 4,
            "G_h": lambda n: n.G_diff,
            "G_z": lambda n: n.G_h * (1 - n.h**2),
            "G_W": lambda n: n.x.T @ n.G_z,
            "G_b": lambda n: n.G_z.sum(axis=0),
        },
    ),
    "shared": (
        shared,
        {
            "G_diff": lambda n: 2 * n.diff / n.diff.size,
            "G_o": lambda n: n.G_diff,
            "G_s": lambda n: n.G_o @ n.V.T,
            "G_r": lambda n: n.G_s,
            "G_h": lambda n: n.G_s + n.G_r @ n.V.T,
            "G_z": lambda n: n.G_h * (n.z > 0),
            "G_W": lambda n: n.x.T @ n.G_z + 0.02 * n.W,
            "G_V": lambda n: n.s.T @ n.G_o + n.h.T @ n.G_r + 0.02 * n.V,
        },
    ),
    "embedding": (
        embedding,
        {
            "G_diff": lambda n: 2 * n.diff,
            "G_rows": lambda n: n.G_diff,
            "G_table": lambda n: scattered(n.G_rows),
        },
    ),
    "by softmax": (by_softmax, SOFT),
    "by hand": (by_hand, SOFT),
}


def scattered(g):
    z = np.zeros((5, 3), g.dtype)
    np.add.at(z, [0, 1, 1, 4, 1], g)
    return z


def assigned(g):
    z = np.zeros((5, 3), g.dtype)
    z[[0, 1, 1, 4, 1]] = g
    return z


def problem(name, dtype=float, scale=1.0, seed=0):
    """A loss, its named Tensors, and the steps of its chain."""
    graph, steps = PROBLEMS[name]
    loss, names = graph(np.random.default_rng(seed), dtype, scale)
    return loss, {k: v for k, v in names.items() if isinstance(v, Tensor)}, steps


def chain(names, steps, broken={}, cast=np.asarray):  # noqa: B006
    """The gradients by hand, where `broken` replaces steps; what does not fit stops no later step."""
    n = SimpleNamespace(**{name: cast(t.data) for name, t in names.items()})
    found = {}
    with np.errstate(invalid="ignore"):
        for step, right in steps.items():
            found[step] = broken.get(step, right)(n)
            setattr(
                n, step, found[step] if np.shape(found[step]) == np.shape(right(n)) else right(n)
            )
    return found


def leaves(names, gradients):
    return {k: g for k, g in gradients.items() if names[k[2:]].op is None}


def reason(report):
    return report.first_wrong.reason if report.first_wrong else ""


# The faults: problem, step, words of the reason, what is computed instead.

FAULTS = {
    ("abalone", "G_diff"): {
        "2 times too small everywhere: a factor 2 is missing": lambda n: n.diff * n.G_square,
        "G_square is handed on unchanged: the factor square'(diff) = 2 * diff is missing": lambda n: n.G_square,
        "the factor diff is there twice": lambda n: 2 * n.diff**2 * n.G_square,
        "`- y` is missing in diff": lambda n: 2 * n.output * n.G_square,
        "the sign is wrong": lambda n: 2 * (n.y - n.output) * n.G_square,
        "the sign of y is wrong in diff": lambda n: 2 * (n.output + n.y) * n.G_square,
    },
    ("abalone", "G_weight"): {
        "the transpose: shape (1, 8) is not (8, 1)": lambda n: n.G_output.T @ n.x,
        "computed from diff in place of G_output": lambda n: n.x.T @ n.diff,
    },
    ("abalone", "G_bias"): {
        "not summed over axis 0, along which bias (1,) was broadcast": lambda n: n.G_output,
    },
    ("abalone", "G_output"): {
        "these are the numbers of G_square": lambda n: n.G_square,
    },
    ("sigmoid-mse", "G_diff"): {
        "computed with y in place of sigmoid(y)": lambda n: 2 * (n.probability - n.y) * n.G_square,
    },
    ("sigmoid-mse", "G_output"): {
        "G_probability is handed on unchanged: the factor sigmoid'(output) = probability * (1 - probability) is":
            lambda n: n.G_probability,
        "computed with output in place of probability": lambda n: n.G_probability * n.output * (1 - n.output),
        "sigmoid(probability) in place of probability":
            lambda n: n.G_probability * sig(n.probability) * (1 - sig(n.probability)),
        "the factor (1 - probability) is missing": lambda n: n.G_probability * n.probability,
        "the factor probability is missing": lambda n: n.G_probability * (1 - n.probability),
        "`1 -` is missing in 1 - probability": lambda n: n.G_probability * n.probability**2,
        "the sign of probability is wrong": lambda n: n.G_probability * n.probability * (1 + n.probability),
        "the sign is wrong": lambda n: n.G_probability * n.probability * (n.probability - 1),
    },
    ("all square", "G_z"): {
        "G_h is handed on unchanged: the factor tanh'(z) = (1 - h * h) is missing": lambda n: n.G_h,
        "computed with z in place of h": lambda n: n.G_h * (1 - n.z**2),
        "tanh(h) in place of h": lambda n: n.G_h * (1 - np.tanh(n.h) ** 2),
        "the factor h is missing in h * h": lambda n: n.G_h * (1 - n.h),
        "the local derivative alone: it is not multiplied with G_h": lambda n: 1 - n.h**2,
    },
    ("all square", "G_W"): {
        "the transpose of what is right": lambda n: n.G_z.T @ n.x,
        "x @ G_z instead of x.T @ G_z": lambda n: n.x @ n.G_z,
        "G_z @ x instead of x.T @ G_z": lambda n: n.G_z @ n.x,
        "x @ G_z.T instead of x.T @ G_z": lambda n: n.x @ n.G_z.T,
    },
    ("all square", "G_b"): {
        "summed over axis 1 instead of axis 0": lambda n: n.G_z.sum(axis=1),
    },
    ("all square", "G_diff"): {
        "not divided by the batch size 4": lambda n: 2 * n.diff * n.G_m[:, None],
    },
    ("pulsar", "G_output"): {
        "`- y` is missing in sigmoid(output) - y": lambda n: sig(n.output) * n.G_entropy,
        "the sign is wrong": lambda n: (n.y - sig(n.output)) * n.G_entropy,
        "the sign of y is wrong": lambda n: (n.y + sig(n.output)) * n.G_entropy,
        "computed with output in place of sigmoid(output)": lambda n: (n.output - n.y) * n.G_entropy,
        "sigmoid(sigmoid(output)) in place of sigmoid(output)": lambda n: (sig(sig(n.output)) - n.y) * n.G_entropy,
        "multiplied by sigmoid(output) * (1 - sigmoid(output)), which sigmoid_cross_entropy' has in it":
            lambda n: (sig(n.output) - n.y) * n.G_entropy * sig(n.output) * (1 - sig(n.output)),
        "10 times too large everywhere: not divided by the batch size 10": lambda n: sig(n.output) - n.y,
        "divided by the batch size 10 once too often": lambda n: (sig(n.output) - n.y) * n.G_entropy / 10,
    },
    ("softmax", "G_output"): {
        "`- y` is missing in softmax(output) - y": lambda n: soft(n.output) * n.G_entropy[:, None],
        "the sign is wrong": lambda n: (n.y - soft(n.output)) * n.G_entropy[:, None],
        "not divided by the batch size 10": lambda n: soft(n.output) - n.y,
        "divided by the number of classes 7 instead of the batch size 10": lambda n: (soft(n.output) - n.y) / 7,
        "divided by the number of classes 7 once too often": lambda n: (soft(n.output) - n.y) / 70,
        "softmax along axis 0 instead of axis -1": lambda n: (soft(n.output.T).T - n.y) * n.G_entropy[:, None],
        "computed with output in place of softmax(output)": lambda n: (n.output - n.y) * n.G_entropy[:, None],
        "G_entropy is handed on unchanged": lambda n: np.tile(n.G_entropy[:, None], 7),
        "this is output itself": lambda n: n.output,
    },
    ("softmax", "G_weight"): {
        "the transpose: shape (7, 27) is not (27, 7)": lambda n: n.G_output.T @ n.x,
        "these are the numbers of G_bias: shape (7,) is not (27, 7)": lambda n: n.G_output.sum(axis=0),
    },
    ("softmax", "G_bias"): {
        "not summed over axis 0, along which bias (7,) was broadcast to (10, 7): shape (10, 7) is not (7,)":
            lambda n: n.G_output,
        "summed over axis 1 instead of axis 0": lambda n: n.G_output.sum(axis=1),
        "summed over axes (0, 1) instead of axis 0": lambda n: n.G_output.sum(),
        "right numbers in a wrong shape: shape (1, 7) is not (7,)": lambda n: n.G_output.sum(axis=0, keepdims=True),
        "divided by the batch size 10 once too often": lambda n: n.G_output.mean(axis=0),
    },
    ("sigmoid", "G_output"): {
        "`- y` is missing in sigmoid(output) - y": lambda n: sig(n.output) * n.G_entropy,
    },
    ("sigmoid", "G_entropy"): {
        "not divided by the number of classes 7": lambda n: np.full((10, 7), 1 / 10, n.x.dtype),
        "not divided by the batch size 10": lambda n: np.full((10, 7), 1 / 7, n.x.dtype),
        "not divided by the number of elements 70": lambda n: np.ones_like(n.entropy),
    },
    ("by softmax", "G_z"): {
        "the diagonal of softmax's Jacobian alone": lambda n: n.G_p * n.p * (1 - n.p),
        "G_p is handed on unchanged: the factor softmax'(z) is missing": lambda n: n.G_p,
        "sum along axis 0 instead of axis -1": lambda n: n.p * (n.G_p - np.sum(n.G_p * n.p, axis=0)),
        "`- sum(G_p * p, axis=-1, keepdims=True)` is missing": lambda n: n.p * n.G_p,
    },
    ("by hand", "G_z"): {
        "the diagonal of softmax's Jacobian alone": lambda n: n.G_p * n.p * (1 - n.p),
        "`- sum(G_p * p, axis=-1, keepdims=True)` is missing": lambda n: n.p * n.G_p,
    },
    ("one hidden", "G_z"): {
        "G_h is handed on unchanged: the factor relu'(z) = sign(h) is missing": lambda n: n.G_h,
        "z > 0 is the wrong way round": lambda n: n.G_h * (n.z < 0),
        "computed with h in place of sign(h)": lambda n: n.G_h * n.h,
    },
    ("two hidden", "G_z1"): {
        "G_h1 is handed on unchanged: the factor relu'(z1) = sign(h1) is missing": lambda n: n.G_h1,
        "computed with z2 in place of z1": lambda n: n.G_h1 * (n.z2 > 0),
    },
    ("two hidden", "G_z2"): {
        "computed with z1 in place of z2": lambda n: n.G_h2 * (n.z1 > 0),
        "computed with G_h2 in place of z2": lambda n: n.G_h2 * (n.G_h2 > 0),
        "the local derivative alone: it is not multiplied with G_h2": lambda n: 1.0 * (n.z2 > 0).astype(n.x.dtype),
    },
    ("two hidden", "G_W2"): {
        "the transpose of what is right": lambda n: n.G_z2.T @ n.h1,
        "computed with z1 in place of h1": lambda n: n.z1.T @ n.G_z2,
        "computed from G_h2 in place of G_z2": lambda n: n.h1.T @ n.G_h2,
    },
    ("two hidden", "G_h1"): {
        "G_z2 @ W2 instead of G_z2 @ W2.T": lambda n: n.G_z2 @ n.W2,
        "computed from G_h2 in place of G_z2": lambda n: n.G_h2 @ n.W2.T,
        "these are the numbers of G_h2": lambda n: n.G_h2,
    },
    ("two hidden", "G_h2"): {
        "the transpose: shape (5, 10) is not (10, 5)": lambda n: n.W3 @ n.G_output.T,
    },
    ("two hidden", "G_W3"): {
        "computed with h1 in place of h2": lambda n: n.h1.T @ n.G_output,
    },
    ("two hidden", "G_b2"): {
        "computed from G_h2 in place of G_z2": lambda n: n.G_h2.sum(axis=0),
    },
    ("shared", "G_h"): {
        "the gradient that comes through s is missing": lambda n: n.G_r @ n.V.T,
        "the gradient that comes through r is missing": lambda n: n.G_s,
        "in what comes through s: the sign is wrong": lambda n: n.G_r @ n.V.T - n.G_s,
    },
    ("shared", "G_V"): {
        "the gradient that comes through r is missing": lambda n: n.s.T @ n.G_o + 0.02 * n.V,
        "only the gradient that comes through o is there": lambda n: n.s.T @ n.G_o,
        "only the gradient that comes through r is there": lambda n: n.h.T @ n.G_r,
        "the gradient that comes through V * V is missing": lambda n: n.s.T @ n.G_o + n.h.T @ n.G_r,
        "in what comes through V * V: 2 times too small everywhere":
            lambda n: n.s.T @ n.G_o + n.h.T @ n.G_r + 0.01 * n.V,
        "`+ h` is missing in s": lambda n: n.r.T @ n.G_o + n.h.T @ n.G_r + 0.02 * n.V,
    },
    ("shared", "G_W"): {
        "the gradient that comes through square(W) is missing": lambda n: n.x.T @ n.G_z,
        "in what comes through square(W): 2 times too small everywhere: a factor 2 is missing":
            lambda n: n.x.T @ n.G_z + 0.01 * n.W,
        "in what comes through square(W): 100 times too large everywhere: the factor 0.01 is missing":
            lambda n: n.x.T @ n.G_z + 2 * n.W,
    },
    ("embedding", "G_table"): {
        "an element taken twice gets both gradients (np.add.at)": lambda n: assigned(n.G_rows),
    },
}  # fmt: skip
