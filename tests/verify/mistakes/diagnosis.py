"""Mistakes planted once for each kind that the diagnosis knows and the collection has not."""

from __future__ import annotations

import numpy as np
from verify.mistakes.activations import DROPOUT, KINKED, SMOOTH
from verify.mistakes.classifiers import COLUMNS, DECAY, ROWS
from verify.mistakes.form import Draw, Mistake, Model, sigmoid, softmax
from verify.mistakes.layers import DEEP
from verify.mistakes.norms import BATCH, LAYER
from verify.mistakes.sequences import ATTENTION, LSTM, RNN, TIED

# A decay that leaves a row out


def sliced(draw: Draw):
    x, y = draw.data(10, 5), draw.data(10, 3)
    W, b = draw.leaf(5, 3), draw.leaf(3)
    diff = x @ W + b - y
    loss = np.mean(np.square(diff)) + 0.05 * np.sum(np.square(W[1:]))
    return loss, locals()


SLICED = Model(
    "a decay of all rows but one",
    sliced,
    {
        "G_diff": lambda n: 2 * n.diff / 30,
        "G_W": lambda n: n.x.T @ n.G_diff + 0.1 * n.W * (np.arange(5) > 0)[:, None],
        "G_b": lambda n: n.G_diff.sum(axis=0),
    },
)


# Powers, and a product with a sum


def powers(draw: Draw):
    x, y, W = draw.data(9, 4), draw.data(9, 3), draw.leaf(4, 3)
    z = np.abs(x @ W) + 0.5
    cube = z**3.0
    diff = cube - y
    both = diff * (z + 2) / (z * cube)
    loss = np.mean(np.square(both))
    return loss, locals()


POWERS = Model(
    "powers and quotients",
    powers,
    {
        "G_both": lambda n: 2 * n.both / 27,
        "G_diff": lambda n: n.G_both * (n.z + 2) / (n.z * n.cube),
        "G_cube": lambda n: n.G_diff - n.G_both * n.both / n.cube,
        "G_z": lambda n: (
            n.G_cube * 3 * n.z**2 + n.G_both * n.diff / (n.z * n.cube) - n.G_both * n.both / n.z
        ),
        "G_W": lambda n: n.x.T @ (n.G_z * np.sign(n.x @ n.W)),
    },
)


def classes(n):
    """The class of each sample."""
    return n.y.argmax(axis=1)


def subtracted(n, *where):
    """The shares of a softmax, less 1 at these places."""
    p = softmax(n.z2)
    p[where] -= 1
    return p / 10


def error(n):
    """What a softmax is off the labels."""
    return softmax(n.z2) - n.y


def normalized(n, g, factor=1.0):
    """The gradient of what a layer norm is applied to."""
    mean = g.mean(axis=1, keepdims=True)
    along = n.normed * (g * n.normed).mean(axis=1, keepdims=True)
    return (g - factor * mean - factor * along) / n.s


def tanh_slope(h):
    """The slope of a tanh, by its result."""
    return 1 - h * h


def line(n, axis, i):
    """1 in one row, or column, of W."""
    found = np.zeros_like(n.W)
    found[(slice(None),) * axis + (i,)] = 1
    return found


KINDS = [
    # the derivative at what is broadcast by luck
    (DEEP, "G_z2", lambda n: n.G_h2 * (n.b2 > 0), "computed with b2, broadcast, in place of z2"),
    (
        ROWS,
        "G_z1",
        lambda n: n.G_h1 * tanh_slope(n.h1.mean(axis=0)),
        "the mean of h1 over the rows, broadcast, in place of h1",
    ),
    (ROWS, "G_z1", lambda n: n.G_h1 * tanh_slope(n.h1[0]), "row 0 of h1"),
    (LSTM, "G_f2", lambda n: n.G_c2 * n.c0, "computed with c0 in place of c1"),
    # two slips in one step
    (
        ROWS,
        "G_z1",
        lambda n: -n.G_h1 * (1 - n.h1),
        "the factor h1 is missing in h1 * h1; besides, the sign is wrong",
    ),
    (
        ROWS,
        "G_z1",
        lambda n: n.G_h1 * (1 + n.h1),
        "the factor h1 is missing in h1 * h1; besides, the sign of h1 * h1 is wrong",
    ),
    (
        RNN,
        "G_h2",
        lambda n: 2 * n.G_o2 @ n.Wy.T - n.G_z3 @ n.Wh.T,
        "a factor 2 too much; besides, in what comes through h2 @ Wh: the sign is wrong",
    ),
    (
        DECAY,
        "G_W",
        lambda n: n.x.T @ n.G_z + 0.1 * np.sign(n.W),
        "multiplied by sign(W) instead of square'(W)",
    ),
    # precedence and powers
    (
        POWERS,
        "G_diff",
        lambda n: n.G_both * (n.z + 2) / n.z * n.cube,
        "parentheses are missing: G_both / z * cube instead of G_both / (z * cube)",
    ),
    (POWERS, "G_cube", lambda n: n.G_diff + n.G_both * n.both / n.cube, "the sign is wrong"),
    (
        BATCH,
        "G_var",
        lambda n: -0.5 * n.G_inverse * n.inverse**2,
        "by -0.5 * (var + 1e-05) ** -1, where the slope has (var + 1e-05) ** -1.5",
    ),
    (LAYER, "G_normed", lambda n: n.G_out / n.gamma, "divided by gamma, not multiplied with it"),
    # sides, masks
    (
        KINKED,
        "G_z1",
        lambda n: n.G_h1 * np.where(n.z1 > 0, 1, 0.04),
        "the factor 0.2 is there twice",
    ),
    (
        KINKED,
        "G_z2",
        lambda n: n.G_h2 * np.where(n.z2 > 0, n.z2, 1.5 * np.exp(n.z2)),
        "in what comes through h2: multiplied by z2, which does not belong there",
    ),
    (
        DEEP,
        "G_z2",
        lambda n: n.G_h2 * np.where(n.z2 > 0, 1, 0.3),
        "where z2 > 0 does not hold: multiplied by 0.3 instead of 0",
    ),
    (
        DEEP,
        "G_z2",
        lambda n: n.G_h2 * np.where(n.z2 > 0, 1, n.z2 + 1),
        "where z2 > 0 does not hold: multiplied by z2 + 1 instead of 0",
    ),
    (
        SMOOTH,
        "G_z1",
        lambda n: n.G_t,
        "the factor clip'(z1) = (z1 >= -0.8) * (z1 <= 0.8) is missing",
    ),
    (
        SMOOTH,
        "G_z1",
        lambda n: n.G_t * (np.abs(n.z1) > 0.8),
        "-0.8 <= z1 <= 0.8 is the wrong way round",
    ),
    (DROPOUT, "G_a", lambda n: n.G_h * (1 - n.mask) / 0.8, "mask is the wrong way round"),
    (DROPOUT, "G_a", lambda n: n.G_h * n.mask[::-1] / 0.8, "another mask than in the forward"),
    # samples
    (
        ROWS,
        "G_W1",
        lambda n: np.outer(n.x[3], n.G_z1[3]),
        "of 10 samples, sample 3 is all that is there",
    ),
    (ROWS, "G_W1", lambda n: n.x[:5].T @ n.G_z1[:5], "of 10 samples, samples 5 to 9 are left out"),
    (
        COLUMNS,
        "G_W1",
        lambda n: n.G_Z1[:, :-1] @ n.X[:, :-1].T,
        "of 9 samples, sample 8 is left out",
    ),
    (
        ROWS,
        "G_W1",
        lambda n: np.roll(n.x, 1, axis=0).T @ n.G_z1,
        "x has its samples in another order, shifted by one sample",
    ),
    (
        ROWS,
        "G_W1",
        lambda n: n.x[::-1].T @ n.G_z1,
        "x has its samples in another order, turned round",
    ),
    (ROWS, "G_b1", lambda n: n.G_z1[-1], "G_z1 at sample 9 alone, not summed over axis 0"),
    (ROWS, "G_b1", lambda n: n.G_z1[:-1].sum(axis=0), "sample 9 is left out of the sum of G_z1"),
    (
        ROWS,
        "G_b1",
        lambda n: np.full(6, n.G_z1.sum()),
        "the sum over all of G_z1, the same for each element",
    ),
    (
        ROWS,
        "G_z1",
        lambda n: n.G_h1 * tanh_slope(n.h1) * (np.arange(10) > 2)[:, None],
        "only rows 0 to 2 differ: zero everywhere",
    ),
    # labels
    (ROWS, "G_z2", lambda n: subtracted(n, slice(None), classes(n)), "as by p[:, ids]"),
    (ROWS, "G_z2", lambda n: subtracted(n, np.unique(classes(n))), "as by p[ids]"),
    (
        ROWS,
        "G_z2",
        lambda n: (softmax(n.z2) - n.y * classes(n)[:, None]) / 10,
        "the number of the class in place of the 1 in y",
    ),
    (
        ROWS,
        "G_z2",
        lambda n: (softmax(n.z2) - n.y[::-1]) / 10,
        "the labels y are those of other samples",
    ),
    (ROWS, "G_z2", lambda n: -n.y / softmax(n.z2) / 10, "the derivative of softmax is missing"),
    (
        ROWS,
        "G_z2",
        lambda n: (np.eye(4)[n.z2.argmax(axis=1)] - n.y) / 10,
        "the class that softmax(z2) decides for",
    ),
    (ROWS, "G_z2", lambda n: (sigmoid(n.z2) - n.y) / 10, "sigmoid(z2) in place of softmax(z2)"),
    (ROWS, "G_z2", lambda n: (np.exp(n.z2) - n.y) / 10, "exp(z2) in place of softmax(z2)"),
    (ROWS, "G_z2", lambda n: np.sign(error(n)) / 10, "sign(softmax(z2)"),
    (
        ATTENTION,
        "G_s",
        lambda n: n.p * (n.G_p - (n.G_p * n.p).mean(axis=1, keepdims=True)),
        "a mean in place of the sum sum(G_p * p",
    ),
    # weight decay
    (
        DECAY,
        "G_W",
        lambda n: n.x.T @ n.G_z + 0.1 * n.W * line(n, 1, 0),
        "in all columns but column 0 `0.1 * W` of the weight decay is missing",
    ),
    (
        DECAY,
        "G_W",
        lambda n: n.x.T @ n.G_z + 0.1 * n.W * (1 - line(n, 0, 0)),
        "in row 0 `0.1 * W` of the weight decay is missing",
    ),
    (
        DECAY,
        "G_W",
        lambda n: n.x.T @ n.G_z + 0.03 * n.W,
        "`0.03 * W` in place of `0.1 * W` of the weight decay",
    ),
    (
        SLICED,
        "G_W",
        lambda n: n.x.T @ n.G_diff + 0.1 * n.W,
        "in row 0 `+ 0.1 * W` is too much, as of a weight decay",
    ),
    # in time
    (
        RNN,
        "G_Wh",
        lambda n: n.h1.T @ n.G_z1 + n.h2.T @ n.G_z2 + n.h3.T @ n.G_z3,
        "computed with h3 in place of h2, at every step",
    ),
    (
        RNN,
        "G_Wx",
        lambda n: n.x3.T @ n.G_z1 + n.x2.T @ n.G_z2 + n.x1.T @ n.G_z3,
        "steps are mixed up: x3, x2, x1 in place of x1, x2, x3",
    ),
    (
        RNN,
        "G_Wy",
        lambda n: n.h3.T @ (n.G_o1 + n.G_o2 + n.G_o3),
        "steps are mixed up: h3, h3, h3 in place of h1, h2, h3",
    ),
    (
        RNN,
        "G_h1",
        lambda n: n.G_o1 @ n.Wy.T + n.G_z2 @ n.Wh.T + n.G_z3 @ n.Wh.T,
        "what comes to h2 through h2 @ Wh is added besides",
    ),
    (
        RNN,
        "G_h2",
        lambda n: n.G_o3 @ n.Wy.T + n.G_z3 @ n.Wh.T,
        "computed with G_o3 in place of G_o2",
    ),
    (
        RNN,
        "G_h2",
        lambda n: n.G_o2 @ n.Wy.T + n.G_z3 @ (n.Wh - 0.1 * n.h2.T @ n.G_z3).T,
        "computed with Wh as updated",
    ),
    (
        RNN,
        "G_Wy",
        lambda n: (n.h1.T @ n.G_o1 + n.h2.T @ n.G_o2 + n.h3.T @ n.G_o3) / 3,
        "averaged over the 3 places where Wy is used",
    ),
    (TIED, "G_E", lambda n: -n.G_logits.T @ n.h, "the sign is wrong"),
    # norms
    (
        LAYER,
        "G_u",
        lambda n: normalized(n, n.G_out * n.gamma, 5),
        "sums stand for the means in what comes back through mu and var",
    ),
    (
        LAYER,
        "G_u",
        lambda n: normalized(n, n.G_out * n.gamma) * n.s,
        "multiplied by s, which does not belong there, or not divided by it",
    ),
]

DIAGNOSIS = [
    Mistake(f"{says}: {g} of {model.name}", "planted", model, {g: wrong}, "other-value", (says,))
    for model, g, wrong, says in KINDS
]
