"""Other activations and dropout, and the mistakes that people make in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, sigmoid

GITHUB = "https://github.com/"
STORED = "https://huggingface.co/datasets/nvidia/Nemotron-CC-Math-v1, a stored copy of "


# Leaky relu, then ELU


def kinked(draw: Draw):
    x, y = draw.data(9, 4), draw.data(9, 2)
    W1, W2, W3 = draw.leaf(4, 5), draw.leaf(5, 5), draw.leaf(5, 2)
    z1 = x @ W1
    h1 = np.where(z1 > 0, z1, 0.2 * z1)
    z2 = h1 @ W2
    h2 = np.where(z2 > 0, z2, 1.5 * (np.exp(z2) - 1))
    diff = h2 @ W3 - y
    loss = np.mean(np.square(diff))
    return loss, locals()


KINKED = Model(
    "leaky relu and ELU",
    kinked,
    {
        "G_diff": lambda n: 2 * n.diff / n.diff.size,
        "G_h2": lambda n: n.G_diff @ n.W3.T,
        "G_z2": lambda n: n.G_h2 * np.where(n.z2 > 0, 1, 1.5 * np.exp(n.z2)),
        "G_h1": lambda n: n.G_z2 @ n.W2.T,
        "G_z1": lambda n: n.G_h1 * np.where(n.z1 > 0, 1, 0.2),
        "G_W1": lambda n: n.x.T @ n.G_z1,
        "G_W2": lambda n: n.h1.T @ n.G_z2,
        "G_W3": lambda n: n.h2.T @ n.G_diff,
    },
)

KINKED_MISTAKES = [
    Mistake(
        "the slope of the leaky side is not multiplied with the gradient",
        GITHUB + "SilasMarvin/dnns-from-scratch-in-zig/issues/5",
        KINKED,
        {"G_z1": lambda n: np.where(n.z1 > 0, n.G_h1, 0.2)},
        "derivative-alone",
        ("G_h1", "0.2"),
        (
            "from a fault at the gradient of 0.2 * z1",
            "not multiplied with G_h1",
        ),
    ),
    Mistake(
        "leaky relu goes back as relu does",
        GITHUB + "scientific-computing/FKB/issues/15",
        KINKED,
        {"G_z1": lambda n: n.G_h1 * (n.z1 > 0)},
        "leaky-slope",
        ("the gradient that comes through 0.2 * z1 is missing",),
    ),
    Mistake(
        "the backward does not know the slope, and takes the usual one",
        GITHUB + "deeplearning4j/deeplearning4j/issues/8178",
        KINKED,
        {"G_z1": lambda n: n.G_h1 * np.where(n.z1 > 0, 1, 0.01)},
        "leaky-slope",
        ("through 0.2 * z1", "0.01 instead of 0.2"),
    ),
    Mistake(
        "ELU's derivative adds its factor to the input, and not to the output",
        GITHUB + "mlpack/mlpack/pull/1540",
        KINKED,
        {"G_z2": lambda n: n.G_h2 * np.where(n.z2 > 0, 1, n.z2 + 1.5)},
        "derivative-of-wrong-argument",
        ("z2",),
    ),
    Mistake(
        "1 + y, which is ELU's derivative for a factor of 1 alone",
        GITHUB + "tiny-dnn/tiny-dnn/pull/896",
        KINKED,
        {"G_z2": lambda n: n.G_h2 * np.where(n.z2 > 0, 1, n.h2 + 1)},
        "leaky-slope",
        ("1.5",),
    ),
    Mistake(
        "exp of what ELU has been applied to",
        GITHUB + "hughperkins/DeepCL/issues/46",
        KINKED,
        {"G_z2": lambda n: n.G_h2 * np.where(n.z2 > 0, 1, 1.5 * np.exp(n.h2))},
        "derivative-of-wrong-argument",
        ("in place of z2 in exp(z2)",),
    ),
    Mistake(
        "ELU's gradient is computed of its output",
        GITHUB + "apache/mxnet/pull/1265",
        KINKED,
        {"G_z2": lambda n: n.G_h2 * np.where(n.h2 > 0, 1, 1.5 * np.exp(n.h2))},
        "derivative-of-wrong-argument",
        ("in place of z2 in exp(z2)",),
    ),
]


# Smooth functions: softplus, swish, a sigmoid with a factor


def smooth(draw: Draw):
    x, y = draw.data(9, 4), draw.data(9, 5)
    W1, W2 = draw.leaf(4, 5), draw.leaf(5, 5)
    z1 = x @ W1
    t = np.clip(z1, -0.8, 0.8)
    a = np.log(1 + np.exp(t))
    z2 = a @ W2
    s = 1 / (1 + np.exp(-1.5 * z2))
    c = np.clip(s * z2, -0.1, 0.3)
    diff = c - y
    loss = np.mean(np.square(diff))
    return loss, locals()


SMOOTH = Model(
    "softplus, swish and a clip",
    smooth,
    {
        "G_c": lambda n: 2 * n.diff / n.diff.size,
        "G_s": lambda n: passed(n) * n.G_c * n.z2,
        "G_z2": lambda n: passed(n) * n.G_c * n.s + n.G_s * 1.5 * n.s * (1 - n.s),
        "G_W2": lambda n: n.a.T @ n.G_z2,
        "G_a": lambda n: n.G_z2 @ n.W2.T,
        "G_t": lambda n: n.G_a * sigmoid(n.t),
        "G_z1": lambda n: n.G_t * (np.abs(n.z1) <= 0.8),
        "G_W1": lambda n: n.x.T @ n.G_z1,
    },
)


def passed(n):
    """Where the clip lets a gradient pass."""
    return (n.s * n.z2 >= -0.1) & (n.s * n.z2 <= 0.3)


SMOOTH_MISTAKES = [
    Mistake(
        "the derivative of sigmoid(a * x) has no a",
        GITHUB + "yzhao062/MetaOD/issues/6",
        SMOOTH,
        {"G_z2": lambda n: passed(n) * n.G_c * n.s + n.G_s * n.s * (1 - n.s)},
        "missing-factor",
        ("1.5",),
    ),
    Mistake(
        "the gradient of a clip is the square of what came",
        GITHUB + "elixir-nx/nx/pull/1779",
        SMOOTH,
        {"G_s": lambda n: passed(n) * n.G_c**2 * n.z2},
        "extra-factor",
        ("multiplied by G_c",),
        (
            "from a fault at the gradient of -1.5 * z2",
            "multiplied by G_c",
        ),
    ),
    Mistake(
        "a softplus with a limit looks at its output for it, as relu may",
        GITHUB + "PaddlePaddle/Paddle/pull/18678",
        SMOOTH,
        {"G_z1": lambda n: n.G_t * (np.abs(n.a) <= 0.8)},
        "derivative-of-wrong-argument",
        ("a in place of z1",),
    ),
]


# Arithmetic: a square root, a reciprocal, a power of a number


def arithmetic(draw: Draw):
    x, y = draw.data(9, 4), draw.data(9, 3)
    W = draw.leaf(4, 3)
    z = x @ W
    q = np.square(z) + 1.2
    root = np.sqrt(q)
    u = np.reciprocal(root)
    e = np.power(3.0, z)
    diff = u * e - y
    loss = np.mean(np.square(diff))
    return loss, locals()


ARITHMETIC = Model(
    "a root, a reciprocal and a power",
    arithmetic,
    {
        "G_diff": lambda n: 2 * n.diff / n.diff.size,
        "G_e": lambda n: n.G_diff * n.u,
        "G_u": lambda n: n.G_diff * n.e,
        "G_root": lambda n: -n.G_u * n.u**2,
        "G_q": lambda n: n.G_root / (2 * n.root),
        "G_z": lambda n: n.G_e * n.e * np.log(3.0) + n.G_q * 2 * n.z,
        "G_W": lambda n: n.x.T @ n.G_z,
    },
)

ARITHMETIC_MISTAKES = [
    Mistake(
        "x ** 3 is differentiated for 3 ** x",
        GITHUB + "tenstorrent/tt-metal/pull/52144",
        ARITHMETIC,
        {"G_z": lambda n: n.G_e * 3 * n.z**2 + n.G_q * 2 * n.z},
        "wrong-derivative",
        ("z ** 3",),
    ),
    Mistake(
        "the reciprocal goes back as a square root does",
        GITHUB + "pytorch/pytorch/pull/9908",
        ARITHMETIC,
        {"G_root": lambda n: 0.5 * n.G_u / n.u},
        "wrong-derivative",
        ("0.5 / u (the slope of a root)", "reciprocal'(root)"),
    ),
    Mistake(
        "the root's derivative is taken of the root",
        GITHUB + "apache/mxnet/pull/4316",
        ARITHMETIC,
        {"G_q": lambda n: n.G_root * 0.5 / np.sqrt(n.root)},
        "derivative-of-wrong-argument",
        ("sqrt(root) in place of root",),
    ),
    Mistake(
        "0.5 divided by the input, and not by its root",
        GITHUB + "apache/mxnet/issues/2261",
        ARITHMETIC,
        {"G_q": lambda n: n.G_root * 0.5 / n.q},
        "derivative-of-wrong-argument",
        ("the factor root is there twice",),
    ),
    Mistake(
        "the gradient that came stands in the product twice",
        GITHUB + "apache/mxnet/pull/15120",
        ARITHMETIC,
        {"G_root": lambda n: -(n.G_u**2) * n.u**2},
        "extra-factor",
        ("multiplied by G_u",),
        (
            "from a fault at G_q",
            "multiplied by G_u",
        ),
    ),
    Mistake(
        "the backward ignores the gradient of what it belongs to",
        GITHUB + "k2-fsa/k2/issues/341",
        ARITHMETIC,
        {"G_root": lambda n: -(n.u**2)},
        "derivative-alone",
        ("not multiplied with G_u",),
    ),
]


# Dropout


def dropout(draw: Draw):
    x, y = draw.data(9, 4), draw.data(9, 2)
    W1, W2 = draw.leaf(4, 6), draw.leaf(6, 2)
    mask = draw.constant(draw.rng.random((9, 6)) < 0.8)
    W1.data[:, 0] = 0  # a unit that has not begun to learn: its values are 0, dropped or not
    a = np.tanh(x @ W1)
    h = a * mask / 0.8
    diff = h @ W2 - y
    loss = np.mean(np.square(diff))
    return loss, locals()


DROPOUT = Model(
    "dropout",
    dropout,
    {
        "G_diff": lambda n: 2 * n.diff / n.diff.size,
        "G_h": lambda n: n.G_diff @ n.W2.T,
        "G_a": lambda n: n.G_h * n.mask / 0.8,
        "G_W1": lambda n: n.x.T @ (n.G_a * (1 - n.a**2)),
        "G_W2": lambda n: n.h.T @ n.G_diff,
    },
)

DROPOUT_MISTAKES = [
    Mistake(
        "the gradient is divided by the share that is kept, and the mask forgotten",
        GITHUB + "ddbourgin/numpy-ml/issues/94",
        DROPOUT,
        {"G_a": lambda n: n.G_h / 0.8},
        "dropout-mask",
        ("the factor mask is missing",),
    ),
    Mistake(
        "mask and scale are thought to be in what comes already",
        STORED + "«C2W1: Programming Assignment on Regularization»",
        DROPOUT,
        {"G_a": lambda n: n.G_h},
        "dropout-mask",
        ("the numbers of G_h, handed on unchanged", "0.8 * mask"),
        (
            "from a fault at the gradient of x @ W1",
            "G_h in place of G_a",
        ),
    ),
    Mistake(
        "the mask is read off the values: what was 0 before counts as kept",
        GITHUB + "kaldi-asr/kaldi/issues/3890",
        DROPOUT,
        {"G_a": lambda n: np.where(n.a == 0, n.G_h, n.G_h * n.h / np.where(n.a == 0, 1, n.a))},
        "dropout-mask",
        ("only column 0 differs",),
    ),
    Mistake(
        "the scale is the share that is dropped, and not the one that is kept",
        GITHUB + "ayrna/dlordinal/pull/138",
        DROPOUT,
        {"G_a": lambda n: n.G_h * n.mask / 0.2},
        "dropout-mask",
        ("divided by 1 - 0.8 instead of 0.8",),
    ),
]

MISTAKES = [
    *KINKED_MISTAKES,
    *SMOOTH_MISTAKES,
    *ARITHMETIC_MISTAKES,
    *DROPOUT_MISTAKES,
]
