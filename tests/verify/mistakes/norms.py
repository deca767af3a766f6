"""Normalizations and residual connections, and the mistakes that people make in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model

GITHUB = "https://github.com/"


# Layer norm: each row has a mean and a variance


def layer_norm(draw: Draw):
    x, y, W = draw.data(7, 4), draw.data(7, 5), draw.leaf(4, 5)
    gamma, beta = draw.leaf(5), draw.leaf(5)
    u = x @ W
    mu = np.mean(u, axis=1, keepdims=True)
    c = u - mu
    var = np.mean(np.square(c), axis=1, keepdims=True)
    s = np.sqrt(var + 1e-5)
    normed = c / s
    out = gamma * normed + beta
    diff = out - y
    loss = np.mean(np.square(diff))
    return loss, locals()


LAYER = Model(
    "layer norm",
    layer_norm,
    {
        "G_out": lambda n: 2 * n.diff / 35,
        "G_gamma": lambda n: (n.G_out * n.normed).sum(axis=0),
        "G_beta": lambda n: n.G_out.sum(axis=0),
        "G_normed": lambda n: n.G_out * n.gamma,
        "G_s": lambda n: -(n.G_normed * n.c / n.s**2).sum(axis=1, keepdims=True),
        "G_var": lambda n: n.G_s / (2 * n.s),
        "G_c": lambda n: n.G_normed / n.s + 2 * n.c * n.G_var / 5,
        "G_mu": lambda n: -n.G_c.sum(axis=1, keepdims=True),
        "G_u": lambda n: n.G_c + n.G_mu / 5,
        "G_W": lambda n: n.x.T @ n.G_u,
    },
)

LAYER_MISTAKES = [
    Mistake(
        "the normalization's mean and variance send nothing back",
        GITHUB + "deeplearning4j/deeplearning4j/pull/8379",
        LAYER,
        {"G_c": lambda n: n.G_normed / n.s, "G_u": lambda n: n.G_c},
        "norm-mean-constant",
        ("the gradient that comes through square(c) is missing",),
        (
            "held constant",
            "through mu and var",
        ),
    ),
    Mistake(
        "the gradient of the normalized values, divided by the deviation, is all",
        GITHUB + "KonduitAI/deeplearning4j/pull/41",
        LAYER,
        {"G_u": lambda n: n.G_normed / n.s},
        "norm-mean-constant",
        ("held constant", "through mu and var"),
    ),
    Mistake(
        "the variance is detached from the graph",
        GITHUB + "abhiskk/ladder/issues/2",
        LAYER,
        {"G_c": lambda n: n.G_normed / n.s},
        "norm-mean-constant",
        ("the gradient that comes through square(c) is missing",),
    ),
    Mistake(
        "the mean's gradient is added to each element without its 1 / n",
        GITHUB + "mlpack/mlpack/pull/1327",
        LAYER,
        {"G_u": lambda n: n.G_c + n.G_mu},
        "batch-size",
        ("through mu", "not divided by"),
    ),
    Mistake(
        "the backward of the deviation gets the values, and not the centered ones",
        GITHUB + "xunhuang1995/AdaIN-style/issues/24",
        LAYER,
        {"G_c": lambda n: n.G_normed / n.s + 2 * n.u * n.G_var / 5},
        "other-value",
        ("`- mu` is missing in c",),
    ),
    Mistake(
        "the weights of the normalization are forgotten in the backward pass",
        GITHUB + "karpathy/llm.c/pull/763",
        LAYER,
        {"G_normed": lambda n: n.G_out},
        "missing-factor",
        ("the factor gamma is missing",),
    ),
    Mistake(
        "the gradient of gamma is computed when that of the output is overwritten already",
        GITHUB + "unslothai/unsloth/pull/4550",
        LAYER,
        {"G_gamma": lambda n: (right_u(n) * n.normed).sum(axis=0)},
        "other-value",
        ("G_u in place of G_out",),
    ),
    Mistake(
        "the gradient of gamma is declared, and never written",
        GITHUB + "paiml/trueno/pull/178",
        LAYER,
        {"G_gamma": lambda n: 0 * n.gamma},
        "not-the-gradient",
        ("the gradient does not arrive",),
    ),
    Mistake(
        "what is broadcast in a product is not summed in its backward",
        GITHUB + "tenstorrent/tt-metal/issues/40008",
        LAYER,
        {"G_gamma": lambda n: n.G_out * n.normed},
        "broadcast-not-summed",
        ("not summed over axis 0",),
    ),
    Mistake(
        "the weight is multiplied into the variance's way twice",
        GITHUB + "NVIDIA/Megatron-LM/pull/6859",
        LAYER,
        {"G_c": lambda n: n.G_normed / n.s + 2 * n.c * n.G_var / 5 * n.gamma},
        "extra-factor",
        ("through square(c): multiplied by gamma",),
    ),
]


def right_u(n):
    """The gradient of what is normalized, from that of the output."""
    g = n.G_out * n.gamma
    mean = g.mean(axis=1, keepdims=True)
    slope = (g * n.normed).mean(axis=1, keepdims=True)
    return (g - mean - n.normed * slope) / n.s


# Batch norm with Bessel's correction: each column has a mean and a variance


def batch_norm(draw: Draw):
    x, y, W = draw.data(8, 4), draw.data(8, 3), draw.leaf(4, 3)
    gain, shift = draw.leaf(1, 3), draw.leaf(1, 3)
    raw = x @ W
    mean = np.sum(raw, axis=0, keepdims=True) / 8
    centered = raw - mean
    var = np.sum(np.square(centered), axis=0, keepdims=True) / 7
    inverse = (var + 1e-5) ** -0.5
    normed = centered * inverse
    out = gain * normed + shift
    diff = out - y
    loss = np.mean(np.square(diff))
    return loss, locals()


BATCH = Model(
    "batch norm with n - 1",
    batch_norm,
    {
        "G_out": lambda n: 2 * n.diff / 24,
        "G_gain": lambda n: (n.G_out * n.normed).sum(axis=0, keepdims=True),
        "G_shift": lambda n: n.G_out.sum(axis=0, keepdims=True),
        "G_normed": lambda n: n.G_out * n.gain,
        "G_inverse": lambda n: (n.G_normed * n.centered).sum(axis=0, keepdims=True),
        "G_var": lambda n: -0.5 * n.G_inverse * n.inverse**3,
        "G_centered": lambda n: n.G_normed * n.inverse + 2 * n.centered * n.G_var / 7,
        "G_mean": lambda n: -n.G_centered.sum(axis=0, keepdims=True),
        "G_raw": lambda n: n.G_centered + n.G_mean / 8,
        "G_W": lambda n: n.x.T @ n.G_raw,
    },
)

BATCH_MISTAKES = [
    Mistake(
        "the variance's gradient is divided by n, and the variance by n - 1",
        GITHUB + "NervanaSystems/ngraph-tf/pull/357",
        BATCH,
        {"G_centered": lambda n: n.G_normed * n.inverse + 2 * n.centered * n.G_var / 8},
        "ddof",
        ("square(centered)", "8 instead of 7"),
    ),
    Mistake(
        "the equation of the variance has no mean in its gradient",
        GITHUB + "sony/nnabla/pull/379",
        BATCH,
        {"G_centered": lambda n: n.G_normed * n.inverse + 2 * n.centered * n.G_var},
        "batch-size",
        ("square(centered)", "7"),
    ),
]


# A residual block, with the root mean square after the sum


def residual(draw: Draw):
    x, y = draw.data(7, 5), draw.data(7, 5)
    W0, W1, W2 = draw.leaf(5, 5), draw.leaf(5, 5), draw.leaf(5, 5)
    u = x @ W0
    a = np.tanh(u)
    f = a @ W1
    r = a + f
    rms = np.sqrt(np.mean(np.square(r), axis=1, keepdims=True) + 1e-5)
    v = r / rms
    out = r + v @ W2
    diff = out - y
    loss = np.mean(np.square(diff))
    return loss, locals()


def through_norm(n, g):
    """The gradient of what is normalized by its root mean square."""
    return (g - n.v * (g * n.v).mean(axis=1, keepdims=True)) / n.rms


RESIDUAL = Model(
    "a residual block",
    residual,
    {
        "G_out": lambda n: 2 * n.diff / 35,
        "G_v": lambda n: n.G_out @ n.W2.T,
        "G_W2": lambda n: n.v.T @ n.G_out,
        "G_r": lambda n: n.G_out + through_norm(n, n.G_v),
        "G_f": lambda n: n.G_r,
        "G_W1": lambda n: n.a.T @ n.G_f,
        "G_a": lambda n: n.G_r + n.G_f @ n.W1.T,
        "G_u": lambda n: n.G_a * (1 - n.a**2),
        "G_W0": lambda n: n.x.T @ n.G_u,
    },
)

RESIDUAL_MISTAKES = [
    Mistake(
        "the gradients are added before they go back through the normalization",
        GITHUB + "Dao-AILab/quack/pull/53",
        RESIDUAL,
        {"G_r": lambda n: through_norm(n, n.G_out + n.G_v)},
        "counted-twice",
        ("what comes through out is added to G_v",),
    ),
    Mistake(
        "the second skip connection has no gradient",
        GITHUB + "paiml/entrenar/issues/313",
        RESIDUAL,
        {"G_r": lambda n: through_norm(n, n.G_v)},
        "missing-term",
        ("the gradient that comes through out is missing",),
    ),
    Mistake(
        "the skip connection is not part of the backward pass",
        GITHUB + "jakeret/tf_unet/pull/9",
        RESIDUAL,
        {"G_a": lambda n: n.G_f @ n.W1.T},
        "missing-term",
        ("the gradient that comes through r is missing",),
    ),
    Mistake(
        "a node sends what it has collected so far each time that something comes",
        GITHUB + "SethHWeidman/DLFS_code/pull/13",
        RESIDUAL,
        {"G_u": lambda n: (n.G_r + n.G_a) * (1 - n.a**2)},
        "counted-twice",
        ("through r", "2 times too large everywhere"),
        (
            "from a fault at G_a",
            "through r: 2 times too large everywhere",
        ),
    ),
    Mistake(
        "a value that is used twice sends its gradient on for each of the ways",
        GITHUB + "sebgao/cTensor/issues/5",
        RESIDUAL,
        {"G_u": lambda n: (n.G_f @ n.W1.T + n.G_a) * (1 - n.a**2)},
        "counted-twice",
        ("through f", "2 times too large everywhere"),
        (
            "from a fault at G_a",
            "through f: 2 times too large everywhere",
        ),
    ),
    Mistake(
        "the gradient of the branch replaces that of the skip connection",
        GITHUB + "NVIDIA/warp/issues/168",
        RESIDUAL,
        {"G_a": lambda n: n.G_r},
        "fan-out-overwritten",
        ("the gradient that comes through f is missing",),
    ),
    Mistake(
        "a value that is used again gets its gradients once for each use, added up",
        GITHUB + "karpathy/micrograd/issues/2",
        RESIDUAL,
        {"G_a": lambda n: n.G_r + 2 * n.G_f @ n.W1.T},
        "counted-twice",
        ("through f", "2 times too large everywhere"),
    ),
]

MISTAKES = [*LAYER_MISTAKES, *BATCH_MISTAKES, *RESIDUAL_MISTAKES]
