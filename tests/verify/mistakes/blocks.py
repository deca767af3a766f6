"""Batch norm of pictures, dropout, decay, inception and residual blocks, and mistakes in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, each

from tinygrad_steel import relu

BOOK = "https://github.com/KONANtechnology/Academy.ALZZA"
PLANTED = "planted"


# Batch norm as people write it: over all axes but the last, by np.mean and np.var


def batch_norm(draw: Draw):
    x, y = draw.data(3, 4, 5, 2), draw.data(3, 4, 5, 3)
    W = draw.leaf(2, 3)
    scale, shift = draw.leaf(3), draw.leaf(3)
    u = x @ W
    mean = np.mean(u, axis=(0, 1, 2))
    var = np.var(u, axis=(0, 1, 2))
    std = np.sqrt(var + 1e-5)
    x_hat = (u - mean) / std
    out = scale * x_hat + shift
    diff = out - y
    loss = np.mean(np.square(diff))
    return loss, locals()


ALL_BUT_LAST = (0, 1, 2)


def through_batch(n, g, axes=ALL_BUT_LAST, by_mean=1.0, by_variance=1.0):
    """The gradient of what a batch norm is applied to."""
    centered = by_mean * g.mean(axis=axes)
    along = by_variance * n.x_hat * (g * n.x_hat).mean(axis=axes)
    return (g - centered - along) / n.std


BATCH = Model(
    "batch norm over all axes but the last",
    batch_norm,
    {
        "G_out": lambda n: 2 * n.diff / 180,
        "G_scale": lambda n: (n.G_out * n.x_hat).sum(axis=ALL_BUT_LAST),
        "G_shift": lambda n: n.G_out.sum(axis=ALL_BUT_LAST),
        "G_x_hat": lambda n: n.G_out * n.scale,
        "G_u": lambda n: through_batch(n, n.G_x_hat),
        "G_W": lambda n: np.tensordot(n.x, n.G_u, (ALL_BUT_LAST, ALL_BUT_LAST)),
    },
)

CONSTANT = "depend on u too"

BATCH_MISTAKES = [
    Mistake(
        "batch norm: mean and variance are taken for constants",
        BOOK,
        BATCH,
        {"G_u": lambda n: n.G_out * n.scale / n.std},
        "norm-mean-constant",
        ("held constant", "the mean and the variance depend on u too"),
    ),
    Mistake(
        "batch norm: the mean is taken for a constant",
        PLANTED,
        BATCH,
        {"G_u": lambda n: through_batch(n, n.G_x_hat, by_mean=0)},
        "norm-mean-constant",
        ("held constant", "the mean depends on u too"),
    ),
    Mistake(
        "batch norm: the variance is taken for a constant",
        PLANTED,
        BATCH,
        {"G_u": lambda n: through_batch(n, n.G_x_hat, by_variance=0)},
        "norm-mean-constant",
        ("held constant", "the variance depends on u too"),
    ),
    Mistake(
        "batch norm: scale and shift are summed over the first axis alone",
        BOOK,
        BATCH,
        {
            "G_scale": lambda n: (n.G_out * n.x_hat).sum(axis=0),
            "G_shift": lambda n: n.G_out.sum(axis=0),
        },
        "wrong-axis",
        ("summed over axis 0 instead of",),
    ),
    Mistake(
        "batch norm: scale and shift are summed over everything",
        PLANTED,
        BATCH,
        {
            "G_scale": lambda n: each(n.scale, (n.G_out * n.x_hat).sum()),
            "G_shift": lambda n: each(n.shift, n.G_out.sum()),
        },
        "wrong-axis",
        ("the same for each element",),
    ),
    Mistake(
        "batch norm: scale and shift are means",
        PLANTED,
        BATCH,
        {
            "G_scale": lambda n: (n.G_out * n.x_hat).mean(axis=ALL_BUT_LAST),
            "G_shift": lambda n: n.G_out.mean(axis=ALL_BUT_LAST),
        },
        "batch-size",
        ("60 times too small everywhere",),
    ),
    Mistake(
        "batch norm: the scale's gradient lacks what is normalized",
        PLANTED,
        BATCH,
        {"G_scale": lambda n: n.G_out.sum(axis=ALL_BUT_LAST)},
        "missing-factor",
        ("the factor x_hat is missing",),
    ),
    Mistake(
        "batch norm: the scale's gradient has the input in place of what is normalized",
        PLANTED,
        BATCH,
        {"G_scale": lambda n: (n.G_out * n.u).sum(axis=ALL_BUT_LAST)},
        "other-value",
        ("u in place of x_hat",),
    ),
    Mistake(
        "batch norm: the scale is forgotten on the way back",
        PLANTED,
        BATCH,
        {"G_x_hat": lambda n: n.G_out},
        "missing-factor",
        ("the factor scale is missing",),
    ),
    Mistake(
        "batch norm: divided by the variance, and not by the deviation",
        PLANTED,
        BATCH,
        {"G_u": lambda n: through_batch(n, n.G_x_hat) / n.std},
        "other-value",
        ("divided by the variance, and not by its root",),
        ("divided by std, which does not belong there",),
    ),
    Mistake(
        "batch norm: constants, and divided by the variance",
        PLANTED,
        BATCH,
        {"G_u": lambda n: n.G_x_hat / (n.var + 1e-5)},
        "norm-mean-constant",
        ("held constant",),
    ),
    Mistake(
        "batch norm: constants, and multiplied with the deviation",
        PLANTED,
        BATCH,
        {"G_u": lambda n: n.G_x_hat * n.std},
        "norm-mean-constant",
        ("held constant",),
    ),
    Mistake(
        "batch norm: the division by the deviation is forgotten",
        PLANTED,
        BATCH,
        {"G_u": lambda n: through_batch(n, n.G_x_hat) * n.std},
        "missing-factor",
        ("not divided by the deviation",),
        ("multiplied by std, which does not belong there, or not divided by it",),
    ),
    Mistake(
        "batch norm: the means in the backward are over the batch alone",
        PLANTED,
        BATCH,
        {"G_u": lambda n: through_batch(n, n.G_x_hat, axes=0)},
        "wrong-axis",
        ("over axis 0",),
    ),
    Mistake(
        "batch norm: the variance divides by n - 1 in the backward",
        PLANTED,
        BATCH,
        {"G_u": lambda n: through_batch(n, n.G_x_hat, by_variance=60 / 59)},
        "ddof",
        ("60 - 1",),
    ),
    Mistake(
        "batch norm: sums for the means",
        PLANTED,
        BATCH,
        {"G_u": lambda n: through_batch(n, n.G_x_hat, by_variance=60, by_mean=60)},
        "batch-size",
        ("60 times too large everywhere: not divided by 60",),
    ),
    Mistake(
        "batch norm: the sign of the way through the variance",
        PLANTED,
        BATCH,
        {"G_u": lambda n: through_batch(n, n.G_x_hat, by_variance=-1)},
        "sign",
        ("sign",),
    ),
]


# Inception: three ways of one input, put side by side; then a residual sum under relu


def inception(draw: Draw):
    x, y = draw.data(3, 4, 4, 2), draw.data(3, 4, 4, 6)
    W0 = draw.leaf(2, 6)
    A, B, C = draw.leaf(6, 2), draw.leaf(6, 2), draw.leaf(6, 2)
    D, W = draw.leaf(6, 6), draw.leaf(6, 6)
    u = x @ W0
    a, b, c = u @ A, np.tanh(u @ B), u @ C
    both = np.concatenate([a, b, c], axis=-1)
    branch = np.tanh(both @ D)
    total = both + branch
    out = relu(total)
    diff = out @ W - y
    loss = np.mean(np.square(diff))
    return loss, locals()


def flat(x, y):
    """The gradient of a matrix that is multiplied with a picture from the right."""
    return np.tensordot(x, y, (ALL_BUT_LAST, ALL_BUT_LAST))


INCEPTION = Model(
    "three ways side by side, and a residual sum",
    inception,
    {
        "G_diff": lambda n: 2 * n.diff / 288,
        "G_W": lambda n: flat(n.out, n.G_diff),
        "G_out": lambda n: n.G_diff @ n.W.T,
        "G_total": lambda n: n.G_out * (n.total > 0),
        "G_branch": lambda n: n.G_total,
        "G_D": lambda n: flat(n.both, n.G_branch * (1 - n.branch**2)),
        "G_both": lambda n: n.G_total + (n.G_branch * (1 - n.branch**2)) @ n.D.T,
        "G_c": lambda n: n.G_both[..., 4:],
        "G_b": lambda n: n.G_both[..., 2:4],
        "G_a": lambda n: n.G_both[..., :2],
        "G_A": lambda n: flat(n.u, n.G_a),
        "G_B": lambda n: flat(n.u, n.G_b * (1 - n.b**2)),
        "G_C": lambda n: flat(n.u, n.G_c),
        "G_u": lambda n: n.G_a @ n.A.T + (n.G_b * (1 - n.b**2)) @ n.B.T + n.G_c @ n.C.T,
        "G_W0": lambda n: flat(n.x, n.G_u),
    },
)

INCEPTION_MISTAKES = [
    Mistake(
        "inception: all ways get the first channels",
        BOOK,
        INCEPTION,
        {"G_b": lambda n: n.G_both[..., :2], "G_c": lambda n: n.G_both[..., :2]},
        "wrong-places",
        ("G_both[..., 0:2] in place of G_both[..., 4:6]",),
    ),
    Mistake(
        "inception: the order of the ways is turned round",
        PLANTED,
        INCEPTION,
        {
            "G_a": lambda n: n.G_both[..., 4:],
            "G_b": lambda n: n.G_both[..., 2:4],
            "G_c": lambda n: n.G_both[..., :2],
        },
        "wrong-places",
        ("G_both[..., 0:2] in place of G_both[..., 4:6]",),
    ),
    Mistake(
        "inception: two ways are swapped",
        PLANTED,
        INCEPTION,
        {"G_a": lambda n: n.G_both[..., 2:4], "G_b": lambda n: n.G_both[..., :2]},
        "wrong-places",
        ("G_both[..., 0:2] in place of G_both[..., 2:4]",),
    ),
    Mistake(
        "inception: every third channel, and not those side by side",
        PLANTED,
        INCEPTION,
        {
            "G_a": lambda n: n.G_both[..., ::3],
            "G_b": lambda n: n.G_both[..., 1::3],
            "G_c": lambda n: n.G_both[..., 2::3],
        },
        "wrong-places",
        ("G_both[..., 2::3] in place of G_both[..., 4:6]",),
    ),
    Mistake(
        "inception: what comes to the input is that of the last way alone",
        PLANTED,
        INCEPTION,
        {"G_u": lambda n: n.G_c @ n.C.T},
        "fan-out-overwritten",
        ("only the gradient that comes through c is there",),
    ),
    Mistake(
        "residual: the skip is forgotten",
        PLANTED,
        INCEPTION,
        {"G_both": lambda n: (n.G_branch * (1 - n.branch**2)) @ n.D.T},
        "missing-term",
        ("the gradient that comes through total is missing",),
    ),
    Mistake(
        "residual: the skip alone",
        PLANTED,
        INCEPTION,
        {"G_both": lambda n: n.G_total},
        "missing-term",
        ("the gradient that comes through both @ D is missing",),
    ),
    Mistake(
        "residual: relu's mask is that of the branch, before the sum",
        PLANTED,
        INCEPTION,
        {"G_total": lambda n: n.G_out * (n.branch > 0)},
        "derivative-of-wrong-argument",
        ("branch in place of total",),
    ),
    Mistake(
        "residual: relu's mask is that of the input",
        PLANTED,
        INCEPTION,
        {"G_total": lambda n: n.G_out * (n.both > 0)},
        "derivative-of-wrong-argument",
        ("both in place of total",),
    ),
]

# A residual block where the sum comes behind relu, as in the book: y = relu(x @ W); y += x


def book_block(draw: Draw):
    x, y = draw.data(9, 3), draw.data(9, 4)
    W0, W1, W2 = draw.leaf(3, 4), draw.leaf(4, 4), draw.leaf(4, 4)
    h0 = np.tanh(x @ W0)
    z = h0 @ W1
    r = relu(z)
    h1 = r + h0
    z2 = h1 @ W2
    r2 = relu(z2)
    h2 = r2 + h1
    diff = h2 - y
    loss = np.mean(np.square(diff))
    return loss, locals()


BLOCK = Model(
    "residual sums behind relu",
    book_block,
    {
        "G_h2": lambda n: 2 * n.diff / 36,
        "G_r2": lambda n: n.G_h2,
        "G_z2": lambda n: n.G_r2 * (n.r2 > 0),
        "G_W2": lambda n: n.h1.T @ n.G_z2,
        "G_h1": lambda n: n.G_h2 + n.G_z2 @ n.W2.T,
        "G_z": lambda n: n.G_h1 * (n.r > 0),
        "G_W1": lambda n: n.h0.T @ n.G_z,
        "G_h0": lambda n: n.G_h1 + n.G_z @ n.W1.T,
        "G_W0": lambda n: n.x.T @ (n.G_h0 * (1 - n.h0**2)),
    },
)

BLOCK_MISTAKES = [
    Mistake(
        "residual: y += x before the mask is taken of y",
        BOOK,
        BLOCK,
        {"G_z2": lambda n: n.G_r2 * (n.h2 > 0)},
        "derivative-of-wrong-argument",
        ("h2 in place of", "computed from a value that was overwritten"),
    ),
    Mistake(
        "residual: y += x before the mask is taken of y, in both blocks",
        BOOK,
        BLOCK,
        {"G_z2": lambda n: n.G_r2 * (n.h2 > 0), "G_z": lambda n: n.G_h1 * (n.h1 > 0)},
        "derivative-of-wrong-argument",
        ("h2 in place of", "computed from a value that was overwritten"),
    ),
    Mistake(
        "residual: the skip is counted twice",
        PLANTED,
        BLOCK,
        {"G_h1": lambda n: 2 * n.G_h2 + n.G_z2 @ n.W2.T},
        "counted-twice",
        ("through h2: 2 times too large everywhere",),
    ),
    Mistake(
        "residual: the skip is forgotten in both blocks",
        PLANTED,
        BLOCK,
        {"G_h1": lambda n: n.G_z2 @ n.W2.T, "G_h0": lambda n: n.G_z @ n.W1.T},
        "missing-term",
        ("the gradient that comes through h2 is missing",),
    ),
]

# Dropout in the book's way: a mask of 0 and 1, divided by the share that is kept; L1 and L2


def dropout(draw: Draw):
    x, y = draw.data(8, 4), draw.data(8, 3)
    W1, b1 = draw.leaf(4, 6), draw.leaf(6)
    W2, b2 = draw.leaf(6, 3), draw.leaf(3)
    kept = draw.constant(np.random.default_rng(2).random((8, 6)) < 0.7)
    other = draw.constant(np.random.default_rng(3).random((8, 6)) < 0.7)
    noise = draw.data(8, 6)
    h = np.tanh(x @ W1 + b1)
    noisy = h + noise
    dropped = noisy * kept / 0.7
    diff = dropped @ W2 + b2 - y
    L1 = np.sum(np.abs(W1)) + np.sum(np.abs(W2))
    L2 = np.sum(np.square(W1)) + np.sum(np.square(W2))
    loss = np.mean(np.square(diff)) + 0.01 * L1 + 0.05 * L2 / 2
    return loss, {**locals()}


def decay(W, l1=0.01, l2=0.05):
    """What both penalties add."""
    return l1 * np.sign(W) + l2 * W


DROPOUT = Model(
    "dropout, noise, and both penalties",
    dropout,
    {
        "G_diff": lambda n: 2 * n.diff / 24,
        "G_W2": lambda n: n.dropped.T @ n.G_diff + decay(n.W2),
        "G_b2": lambda n: n.G_diff.sum(axis=0),
        "G_dropped": lambda n: n.G_diff @ n.W2.T,
        "G_noisy": lambda n: n.G_dropped * n.kept / 0.7,
        "G_h": lambda n: n.G_noisy,
        "G_W1": lambda n: n.x.T @ (n.G_h * (1 - n.h**2)) + decay(n.W1),
        "G_b1": lambda n: (n.G_h * (1 - n.h**2)).sum(axis=0),
    },
)

DROPOUT_MISTAKES = [
    Mistake(
        "dropout: the mask is forgotten",
        PLANTED,
        DROPOUT,
        {"G_noisy": lambda n: n.G_dropped / 0.7},
        "dropout-mask",
        ("the factor kept is missing",),
    ),
    Mistake(
        "dropout: not divided by the share that is kept",
        PLANTED,
        DROPOUT,
        {"G_noisy": lambda n: n.G_dropped * n.kept},
        "dropout-mask",
        ("not divided by 0.7",),
    ),
    Mistake(
        "dropout: multiplied by the share that is kept",
        PLANTED,
        DROPOUT,
        {"G_noisy": lambda n: n.G_dropped * n.kept * 0.7},
        "dropout-mask",
        ("multiplied by 0.7 instead of divided by it",),
    ),
    Mistake(
        "dropout: divided by the share that is dropped",
        PLANTED,
        DROPOUT,
        {"G_noisy": lambda n: n.G_dropped * n.kept / (1 - 0.7)},
        "dropout-mask",
        ("divided by 1 - 0.7 instead of 0.7",),
    ),
    Mistake(
        "dropout: the gradient is handed on",
        PLANTED,
        DROPOUT,
        {"G_noisy": lambda n: n.G_dropped},
        "dropout-mask",
        ("handed on unchanged",),
        ("computed from G_dropped in place of G_h",),
    ),
    Mistake(
        "dropout: the mask is drawn again",
        PLANTED,
        DROPOUT,
        {"G_noisy": lambda n: n.G_dropped * n.other / 0.7},
        "dropout-mask",
        ("another mask than in the forward",),
    ),
    Mistake(
        "dropout: what is dropped is kept",
        PLANTED,
        DROPOUT,
        {"G_noisy": lambda n: n.G_dropped * (1 - n.kept) / 0.7},
        "dropout-mask",
        ("the wrong way round",),
    ),
    Mistake(
        "noise: the gradient is multiplied with the noise",
        PLANTED,
        DROPOUT,
        {"G_h": lambda n: n.G_noisy * n.noise},
        "extra-factor",
        ("multiplied by noise",),
        ("multiplied by noise",),
    ),
    Mistake(
        "L1: the sign is forgotten",
        PLANTED,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff + 0.01 + 0.05 * n.W2},
        "missing-derivative",
        ("abs'(W2)",),
    ),
    Mistake(
        "L1: the weight in place of its sign",
        PLANTED,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff + 0.01 * n.W2 + 0.05 * n.W2},
        "wrong-derivative",
        ("W2", "sign(W2)"),
    ),
    Mistake(
        "L1: the size of the weight in place of its sign",
        PLANTED,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff + 0.01 * np.abs(n.W2) + 0.05 * n.W2},
        "wrong-derivative",
        ("abs(W2)",),
    ),
    Mistake(
        "L1: its rate is missing",
        BOOK,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff + decay(n.W2, l1=1)},
        "l2-rate",
        ("through abs(W2)", "100 times too large everywhere"),
    ),
    Mistake(
        "L2: its rate is missing",
        BOOK,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff + decay(n.W2, l2=1)},
        "l2-rate",
        ("through square(W2)", "20 times too large everywhere"),
    ),
    Mistake(
        "L2: a factor 2 too much",
        PLANTED,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff + decay(n.W2, l2=0.1)},
        "l2-rate",
        ("through square(W2)", "2 times too large everywhere"),
    ),
    Mistake(
        "L2 is forgotten",
        PLANTED,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff + decay(n.W2, l2=0)},
        "l2-missing",
        ("through square(W2) is missing",),
    ),
    Mistake(
        "L1 is forgotten",
        PLANTED,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff + decay(n.W2, l1=0)},
        "l2-missing",
        ("through abs(W2) is missing",),
    ),
    Mistake(
        "both penalties are forgotten",
        PLANTED,
        DROPOUT,
        {"G_W2": lambda n: n.dropped.T @ n.G_diff},
        "l2-missing",
        ("only the gradient that comes through",),
    ),
    Mistake(
        "L2 of the bias, which the loss does not have",
        PLANTED,
        DROPOUT,
        {"G_b2": lambda n: n.G_diff.sum(axis=0) + 0.05 * n.b2},
        "l2-on-bias",
        ("0.05 * b2",),
    ),
    Mistake(
        "L1 of the bias, which the loss does not have",
        PLANTED,
        DROPOUT,
        {"G_b2": lambda n: n.G_diff.sum(axis=0) + 0.01 * np.sign(n.b2)},
        "l2-on-bias",
        ("0.01 * sign(b2)",),
    ),
]

MISTAKES = [*BATCH_MISTAKES, *INCEPTION_MISTAKES, *BLOCK_MISTAKES, *DROPOUT_MISTAKES]
