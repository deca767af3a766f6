"""Autoencoders, encoder and decoder, attention in batches, GANs, and mistakes in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, sigmoid, softmax

from tinygrad_steel import relu, sigmoid_cross_entropy, softmax_cross_entropy
from tinygrad_steel import softmax as softmax_op

BOOK = "https://github.com/KONANtechnology/Academy.ALZZA"
PLANTED = "planted"


# Attention of a batch of sequences


def attention(draw: Draw):
    x, y = draw.data(2, 5, 6), draw.data(2, 5, 4)
    Wq, Wk, Wv = draw.leaf(6, 4), draw.leaf(6, 4), draw.leaf(6, 4)
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    scores = q @ np.swapaxes(k, 1, 2) / np.sqrt(4.0)
    p = softmax_op(scores)
    o = p @ v
    diff = o - y
    loss = np.mean(np.square(diff))
    return loss, locals()


def turned(a):
    """Each matrix of a batch transposed."""
    return np.swapaxes(a, 1, 2)


def in_batch(x, g):
    """The gradient of a weight, summed over the batch."""
    return np.tensordot(x, g, ((0, 1), (0, 1)))


def back_through_softmax(p, g, axis=-1):
    """The gradient of the scores."""
    return p * (g - (g * p).sum(axis=axis, keepdims=True))


ATTENTION = Model(
    "attention in a batch",
    attention,
    {
        "G_o": lambda n: 2 * n.diff / 40,
        "G_p": lambda n: n.G_o @ turned(n.v),
        "G_v": lambda n: turned(n.p) @ n.G_o,
        "G_scores": lambda n: back_through_softmax(n.p, n.G_p),
        "G_k": lambda n: turned(n.G_scores) @ n.q / 2,
        "G_q": lambda n: n.G_scores @ n.k / 2,
        "G_Wq": lambda n: in_batch(n.x, n.G_q),
        "G_Wk": lambda n: in_batch(n.x, n.G_k),
        "G_Wv": lambda n: in_batch(n.x, n.G_v),
    },
)

ATTENTION_MISTAKES = [
    Mistake(
        "attention: softmax's backward lacks the sum",
        PLANTED,
        ATTENTION,
        {"G_scores": lambda n: n.p * n.G_p},
        "softmax-jacobian",
        ("sum",),
    ),
    Mistake(
        "attention: softmax's backward is p * (1 - p)",
        PLANTED,
        ATTENTION,
        {"G_scores": lambda n: n.G_p * n.p * (1 - n.p)},
        "softmax-jacobian",
        ("the diagonal of softmax's Jacobian alone",),
    ),
    Mistake(
        "attention: softmax's backward sums over the wrong axis",
        PLANTED,
        ATTENTION,
        {"G_scores": lambda n: back_through_softmax(n.p, n.G_p, axis=1)},
        "softmax-wrong-axis",
        ("axis 1",),
    ),
    Mistake(
        "attention: softmax's backward sums over all",
        PLANTED,
        ATTENTION,
        {"G_scores": lambda n: n.p * (n.G_p - (n.G_p * n.p).sum())},
        "softmax-wrong-axis",
        ("over all",),
    ),
    Mistake(
        "attention: the gradient is handed on through softmax",
        PLANTED,
        ATTENTION,
        {"G_scores": lambda n: n.G_p},
        "missing-derivative",
        ("handed on unchanged",),
    ),
    Mistake(
        "attention: the scale is forgotten",
        PLANTED,
        ATTENTION,
        {"G_k": lambda n: turned(n.G_scores) @ n.q, "G_q": lambda n: n.G_scores @ n.k},
        "missing-factor",
        ("not divided by 2",),
        ("from a fault at G_scores or G_p: 2 times too large everywhere: not divided by 2",),
    ),
    Mistake(
        "attention: divided by d, and not by its root",
        PLANTED,
        ATTENTION,
        {"G_q": lambda n: n.G_scores @ n.k / 4, "G_k": lambda n: turned(n.G_scores) @ n.q / 4},
        "other-factor",
        ("2 times too small everywhere",),
        ("from a fault at G_scores or G_p: 2 times too small everywhere",),
    ),
    Mistake(
        "attention: values for keys",
        PLANTED,
        ATTENTION,
        {"G_q": lambda n: n.G_scores @ n.v / 2},
        "other-value",
        ("v in place of k",),
    ),
    Mistake(
        "attention: keys for values",
        PLANTED,
        ATTENTION,
        {"G_p": lambda n: n.G_o @ turned(n.k)},
        "other-value",
        ("computed with swapaxes(k, 1, 2) in place of swapaxes(v, -1, -2)",),
    ),
    Mistake(
        "attention: the gradients of keys and values are swapped",
        PLANTED,
        ATTENTION,
        {
            "G_v": lambda n: turned(right_scores(n)) @ n.q / 2,
            "G_k": lambda n: turned(n.p) @ n.G_o,
        },
        "other-value",
        ("these are the numbers of G_k",),
        ("computed from G_k in place of G_v",),
    ),
    Mistake(
        "attention: the weights are not transposed for the values",
        PLANTED,
        ATTENTION,
        {"G_v": lambda n: n.p @ n.G_o},
        "transposed",
        ("p @ G_o instead of swapaxes(p, -1, -2) @ G_o",),
    ),
    Mistake(
        "attention: the scores are not transposed for the keys",
        PLANTED,
        ATTENTION,
        {"G_k": lambda n: n.G_scores @ n.q / 2},
        "transposed",
        ("instead of swapaxes(q, -1, -2) @ (G_scores / 2.0)",),
        ("instead of swapaxes(q, -1, -2) @ (G_scores / 2.0)",),
    ),
    Mistake(
        "attention: the gradient of a weight is a mean over the batch",
        PLANTED,
        ATTENTION,
        {"G_Wq": lambda n: in_batch(n.x, n.G_q) / 2},
        "batch-size",
        ("2 times too small everywhere",),
    ),
]


def right_scores(n):
    """The gradient of the scores."""
    return back_through_softmax(n.p, n.G_o @ turned(n.v))


# An autoencoder with tied weights


def tied(draw: Draw):
    x = draw.data(8, 5)
    W, b, c = draw.leaf(5, 3), draw.leaf(3), draw.leaf(5)
    z = x @ W + b
    code = np.tanh(z)
    y = code @ np.transpose(W) + c
    diff = y - x
    loss = np.mean(np.square(diff))
    return loss, locals()


TIED = Model(
    "an autoencoder with tied weights",
    tied,
    {
        "G_y": lambda n: 2 * n.diff / 40,
        "G_c": lambda n: n.G_y.sum(axis=0),
        "G_code": lambda n: n.G_y @ n.W,
        "G_z": lambda n: n.G_code * (1 - n.code**2),
        "G_W": lambda n: n.x.T @ n.G_z + n.G_y.T @ n.code,
        "G_b": lambda n: n.G_z.sum(axis=0),
    },
)

TIED_MISTAKES = [
    Mistake(
        "tied weights: the use in the decoder is forgotten",
        PLANTED,
        TIED,
        {"G_W": lambda n: n.x.T @ n.G_z},
        "tied-use-missing",
        ("the gradient that comes through W.T is missing",),
    ),
    Mistake(
        "tied weights: the use in the encoder is forgotten",
        PLANTED,
        TIED,
        {"G_W": lambda n: n.G_y.T @ n.code},
        "tied-use-missing",
        ("the gradient that comes through x @ W is missing",),
    ),
    Mistake(
        "tied weights: the mean of both uses",
        PLANTED,
        TIED,
        {"G_W": lambda n: (n.x.T @ n.G_z + n.G_y.T @ n.code) / 2},
        "other-factor",
        ("2 times too small everywhere",),
    ),
    Mistake(
        "tied weights: the difference of both uses",
        PLANTED,
        TIED,
        {"G_W": lambda n: n.x.T @ n.G_z - n.G_y.T @ n.code},
        "sign",
        ("in what comes through W.T: the sign is wrong",),
    ),
    Mistake(
        "autoencoder: the output's error has the wrong sign",
        PLANTED,
        TIED,
        {"G_y": lambda n: -2 * n.diff / 40},
        "sign",
        ("the sign is wrong",),
    ),
]


# Encoder and decoder: the state of a sequence, from which another one is told step by step


def translate(draw: Draw):
    x1, x2 = draw.data(5, 3), draw.data(5, 3)
    given1, given2 = draw.data(5, 4), draw.data(5, 4)  # what a teacher gives the decoder
    target = draw.constant(np.eye(4)[np.random.default_rng(4).integers(0, 4, (5, 2))])
    Ex, Eh = draw.leaf(3, 6), draw.leaf(6, 6)
    Dx, Dh, W = draw.leaf(4, 6), draw.leaf(6, 6), draw.leaf(6, 4)
    e1 = np.tanh(x1 @ Ex)
    e2 = np.tanh(x2 @ Ex + e1 @ Eh)
    s1 = given1 @ Dx + e2 @ Dh
    d1 = np.tanh(s1)
    o1 = d1 @ W
    fed = softmax_op(o1) + given2
    s2 = fed @ Dx + d1 @ Dh
    d2 = np.tanh(s2)
    o2 = d2 @ W
    logits = np.stack([o1, o2], axis=1)
    loss = np.mean(softmax_cross_entropy(np.reshape(logits, (10, 4)), np.reshape(target, (10, 4))))
    return loss, locals()


def slope(h):
    """The slope of a tanh, by its result."""
    return 1 - h * h


def through_softmax(n):
    """What comes to the first output because it is fed to the next step."""
    return back_through_softmax(softmax(n.o1), n.G_fed)


ENCODER = Model(
    "encoder and decoder",
    translate,
    {
        "G_logits": lambda n: (softmax(n.logits) - n.target) / 10,
        "G_o2": lambda n: n.G_logits[:, 1],
        "G_d2": lambda n: n.G_o2 @ n.W.T,
        "G_s2": lambda n: n.G_d2 * slope(n.d2),
        "G_fed": lambda n: n.G_s2 @ n.Dx.T,
        "G_o1": lambda n: n.G_logits[:, 0] + through_softmax(n),
        "G_d1": lambda n: n.G_o1 @ n.W.T + n.G_s2 @ n.Dh.T,
        "G_s1": lambda n: n.G_d1 * slope(n.d1),
        "G_W": lambda n: n.d1.T @ n.G_o1 + n.d2.T @ n.G_o2,
        "G_e2": lambda n: n.G_s1 @ n.Dh.T,
        "G_Dx": lambda n: n.given1.T @ (n.G_d1 * slope(n.d1)) + n.fed.T @ (n.G_d2 * slope(n.d2)),
        "G_Dh": lambda n: n.e2.T @ (n.G_d1 * slope(n.d1)) + n.d1.T @ (n.G_d2 * slope(n.d2)),
        "G_e1": lambda n: (n.G_e2 * slope(n.e2)) @ n.Eh.T,
        "G_Eh": lambda n: n.e1.T @ (n.G_e2 * slope(n.e2)),
        "G_Ex": lambda n: n.x1.T @ (n.G_e1 * slope(n.e1)) + n.x2.T @ (n.G_e2 * slope(n.e2)),
    },
)

ENCODER_MISTAKES = [
    Mistake(
        "encoder and decoder: the loss is divided by the number of classes besides",
        BOOK,
        ENCODER,
        {"G_logits": lambda n: (softmax(n.logits) - n.target) / 40},
        "batch-size",
        ("4 times too small everywhere",),
    ),
    Mistake(
        "encoder and decoder: divided by the batch, and not by the steps",
        PLANTED,
        ENCODER,
        {"G_logits": lambda n: (softmax(n.logits) - n.target) / 5},
        "batch-size",
        ("2 times too large everywhere",),
    ),
    Mistake(
        "encoder and decoder: what is fed back sends nothing to the output before",
        PLANTED,
        ENCODER,
        {"G_o1": lambda n: n.G_logits[:, 0]},
        "missing-term",
        ("is missing",),
    ),
    Mistake(
        "encoder and decoder: what is fed back goes through softmax unchanged",
        PLANTED,
        ENCODER,
        {"G_o1": lambda n: n.G_logits[:, 0] + n.G_fed},
        "missing-derivative",
        ("softmax",),
    ),
    Mistake(
        "encoder and decoder: the encoder gets nothing",
        PLANTED,
        ENCODER,
        {"G_e2": lambda n: 0 * n.e2},
        "missing-term",
        ("does not arrive",),
        ("from a fault at G_e2",),
    ),
    Mistake(
        "encoder and decoder: the encoder gets the gradient of the last state, not of the first",
        PLANTED,
        ENCODER,
        {"G_e2": lambda n: n.G_s2 @ n.Dh.T},
        "other-gradient",
        ("G_s2 in place of G_s1",),
    ),
    Mistake(
        "encoder and decoder: the decoder's states are cut from each other",
        PLANTED,
        ENCODER,
        {"G_d1": lambda n: n.G_o1 @ n.W.T},
        "missing-term",
        ("the gradient that comes through d1 @ Dh is missing",),
    ),
    Mistake(
        "encoder and decoder: the outputs are taken in the wrong order",
        PLANTED,
        ENCODER,
        {
            "G_o2": lambda n: n.G_logits[:, 0],
            "G_o1": lambda n: n.G_logits[:, 1] + through_softmax(n),
        },
        "wrong-places",
        ("G_logits[:, 0] in place of G_logits[:, 1]",),
    ),
    Mistake(
        "encoder and decoder: the target in place of what was fed",
        PLANTED,
        ENCODER,
        {
            "G_Dx": lambda n: (
                n.given1.T @ (n.G_d1 * slope(n.d1)) + n.given2.T @ (n.G_d2 * slope(n.d2))
            )
        },
        "other-value",
        ("`softmax(o1) +` is missing in fed",),
    ),
]


# A GAN: the discriminator's loss on real and forged samples, and the generator's


def gan(draw: Draw, forger: bool = False):
    real, noise = draw.data(6, 4), draw.data(6, 3)
    A, a, B = draw.leaf(3, 5), draw.leaf(5), draw.leaf(5, 4)
    C, c, D = draw.leaf(4, 5), draw.leaf(5), draw.leaf(5, 1)
    hidden = relu(noise @ A + a)
    forged = np.tanh(hidden @ B)
    ones, zeros = np.ones((6, 1), draw.dtype), np.zeros((6, 1), draw.dtype)
    if forger:
        for_forged = np.tanh(forged @ C + c)
        z_forged = for_forged @ D
        loss = np.mean(sigmoid_cross_entropy(z_forged, ones))
        return loss, locals()
    fixed = forged.detach()
    for_real = np.tanh(real @ C + c)
    z_real = for_real @ D
    for_forged = np.tanh(fixed @ C + c)
    z_forged = for_forged @ D
    right, wrong = sigmoid_cross_entropy(z_real, ones), sigmoid_cross_entropy(z_forged, zeros)
    loss = np.mean(right) + np.mean(wrong)
    return loss, {k: v for k, v in locals().items() if k not in ("A", "a", "B")}


CRITIC = Model(
    "a GAN's discriminator",
    gan,
    {
        "G_z_forged": lambda n: sigmoid(n.z_forged) / 6,
        "G_z_real": lambda n: (sigmoid(n.z_real) - 1) / 6,
        "G_for_real": lambda n: n.G_z_real @ n.D.T,
        "G_for_forged": lambda n: n.G_z_forged @ n.D.T,
        "G_D": lambda n: n.for_real.T @ n.G_z_real + n.for_forged.T @ n.G_z_forged,
        "G_C": lambda n: (
            n.real.T @ (n.G_for_real * slope(n.for_real))
            + n.fixed.T @ (n.G_for_forged * slope(n.for_forged))
        ),
        "G_c": lambda n: (
            n.G_for_real * slope(n.for_real) + n.G_for_forged * slope(n.for_forged)
        ).sum(axis=0),
    },
)

FORGER = Model(
    "a GAN's generator",
    lambda draw: gan(draw, forger=True),
    {
        "G_z_forged": lambda n: (sigmoid(n.z_forged) - 1) / 6,
        "G_for_forged": lambda n: n.G_z_forged @ n.D.T,
        "G_forged": lambda n: (n.G_for_forged * slope(n.for_forged)) @ n.C.T,
        "G_B": lambda n: n.hidden.T @ (n.G_forged * slope(n.forged)),
        "G_hidden": lambda n: (n.G_forged * slope(n.forged)) @ n.B.T,
        "G_A": lambda n: n.noise.T @ (n.G_hidden * (n.hidden > 0)),
        "G_a": lambda n: (n.G_hidden * (n.hidden > 0)).sum(axis=0),
    },
)

GAN_MISTAKES = [
    Mistake(
        "GAN: the labels of real and forged are swapped",
        PLANTED,
        CRITIC,
        {
            "G_z_real": lambda n: sigmoid(n.z_real) / 6,
            "G_z_forged": lambda n: (sigmoid(n.z_forged) - 1) / 6,
        },
        "labels",
        ("labels",),
    ),
    Mistake(
        "GAN: forged samples are taken for real ones",
        PLANTED,
        CRITIC,
        {"G_z_forged": lambda n: (sigmoid(n.z_forged) - 1) / 6},
        "labels",
        ("labels",),
    ),
    Mistake(
        "GAN: the discriminator learns from real samples alone",
        PLANTED,
        CRITIC,
        {
            "G_D": lambda n: n.for_real.T @ n.G_z_real,
            "G_C": lambda n: n.real.T @ (n.G_for_real * slope(n.for_real)),
        },
        "missing-term",
        ("the gradient that comes through z_forged is missing",),
    ),
    Mistake(
        "GAN: the mean is taken over real and forged together",
        PLANTED,
        CRITIC,
        {
            "G_z_real": lambda n: (sigmoid(n.z_real) - 1) / 12,
            "G_z_forged": lambda n: sigmoid(n.z_forged) / 12,
        },
        "batch-size",
        ("2 times too small everywhere",),
        ("from a fault at G_wrong: 2 times too small everywhere",),
    ),
    Mistake(
        "GAN: the generator's loss has the wrong sign",
        PLANTED,
        FORGER,
        {"G_z_forged": lambda n: (1 - sigmoid(n.z_forged)) / 6},
        "sign",
        ("the sign is wrong",),
    ),
    Mistake(
        "GAN: the generator is taught with the discriminator's label",
        PLANTED,
        FORGER,
        {"G_z_forged": lambda n: sigmoid(n.z_forged) / 6},
        "labels",
        ("labels",),
    ),
    Mistake(
        "GAN: the generator maximises the discriminator's loss, which saturates",
        PLANTED,
        FORGER,
        {"G_z_forged": lambda n: -sigmoid(n.z_forged) / 6},
        "labels",
        ("labels",),
    ),
    Mistake(
        "GAN: the discriminator's slopes are forgotten on the way to the forged samples",
        PLANTED,
        FORGER,
        {"G_forged": lambda n: n.G_for_forged @ n.C.T},
        "missing-derivative",
        ("G_for_forged is handed on unchanged: the factor tanh'(forged @ C + c)",),
        ("G_for_forged is handed on unchanged: the factor tanh'(forged @ C + c)",),
    ),
    Mistake(
        "GAN: the generator's last function is forgotten",
        PLANTED,
        FORGER,
        {"G_B": lambda n: n.hidden.T @ n.G_forged, "G_hidden": lambda n: n.G_forged @ n.B.T},
        "missing-derivative",
        ("tanh",),
    ),
    Mistake(
        "GAN: the generator's gradient is divided by the batch once more",
        PLANTED,
        FORGER,
        {"G_forged": lambda n: (n.G_for_forged * slope(n.for_forged)) @ n.C.T / 6},
        "batch-size",
        ("divided by the batch size 6 once too often",),
    ),
]

MISTAKES = [*ATTENTION_MISTAKES, *TIED_MISTAKES, *ENCODER_MISTAKES, *GAN_MISTAKES]
