"""Chapter 15: what a discriminator's step sees of a GAN, and what a generator's step does."""

from __future__ import annotations

import numpy as np

from book.dense import dense, dense_backward, dense_by_hand, sigmoid_entropy
from book.proof import Proof, draws
from tinygrad_steel import sigmoid_cross_entropy


def generate(seed, weight1, bias1, weight2, bias2):
    return dense(dense(seed, weight1, bias1, "relu"), weight2, bias2, "tanh")


def judge(x, weight3, bias3, weight4, bias4):
    return dense(dense(x, weight3, bias3, "relu"), weight4, bias4)


def discriminator_loss(weight3, bias3, weight4, bias4, seed, real, generator):
    """Real rows are to be called 1, made ones 0."""
    fake = generate(seed, **generator)
    output = judge(np.vstack([real, fake]), weight3, bias3, weight4, bias4)
    labels = np.repeat([[1.0], [0.0]], [len(real), len(fake)], axis=0)
    return np.mean(sigmoid_cross_entropy(output, labels))


def generator_loss(weight1, bias1, weight2, bias2, seed, discriminator):
    """Made rows are to be called 1."""
    fake = generate(seed, weight1, bias1, weight2, bias2)
    output = judge(fake, **discriminator)
    return np.mean(sigmoid_cross_entropy(output, np.ones((len(seed), 1))))


# By hand


def generate_by_hand(seed, weight1, bias1, weight2, bias2):
    hidden = dense_by_hand(seed, weight1, bias1, "relu")
    return hidden, dense_by_hand(hidden, weight2, bias2, "tanh")


def judge_backward(x, labels, weight3, bias3, weight4, bias4):
    hidden = dense_by_hand(x, weight3, bias3, "relu")
    output = dense_by_hand(hidden, weight4, bias4)
    loss, G_output = sigmoid_entropy(output, labels)
    G_hidden, G_weight4, G_bias4 = dense_backward(G_output, hidden, output, weight4)
    G_x, G_weight3, G_bias3 = dense_backward(G_hidden, x, hidden, weight3, "relu")
    gradients = {
        "G_weight3": G_weight3,
        "G_bias3": G_bias3,
        "G_weight4": G_weight4,
        "G_bias4": G_bias4,
    }
    return loss, G_x, gradients


def discriminator_chain(weight3, bias3, weight4, bias4, seed, real, generator):
    _, fake = generate_by_hand(seed, **generator)
    x = np.concatenate([real, fake])
    labels = np.concatenate([np.ones((len(real), 1)), np.zeros((len(fake), 1))])
    loss, _, gradients = judge_backward(x, labels, weight3, bias3, weight4, bias4)
    return loss, gradients


def generator_chain(weight1, bias1, weight2, bias2, seed, discriminator):
    """Through the discriminator, whose parameters are constants here."""
    hidden, fake = generate_by_hand(seed, weight1, bias1, weight2, bias2)
    loss, G_fake, _ = judge_backward(fake, np.ones((len(seed), 1)), **discriminator)
    G_hidden, G_weight2, G_bias2 = dense_backward(G_fake, hidden, fake, weight2, "tanh")
    _, G_weight1, G_bias1 = dense_backward(G_hidden, seed, hidden, weight1, "relu")
    return loss, {
        "G_weight1": G_weight1,
        "G_bias1": G_bias1,
        "G_weight2": G_weight2,
        "G_bias2": G_bias2,
    }


GENERATOR = draws(1, weight1=(3, 5), bias1=(5,), weight2=(5, 6), bias2=(6,))
DISCRIMINATOR = draws(2, weight3=(6, 4), bias3=(4,), weight4=(4, 1), bias4=(1,))
DATA = {"seed": np.random.default_rng(3).uniform(-1, 1, (4, 3)), "real": draws(4, x=(4, 6))["x"]}

PROOFS = [
    Proof(
        "GAN, the discriminator's loss",
        discriminator_loss,
        discriminator_chain,
        DISCRIMINATOR,
        {**DATA, "generator": GENERATOR},
    ),
    Proof(
        "GAN, the generator's loss",
        generator_loss,
        generator_chain,
        GENERATOR,
        {"seed": DATA["seed"], "discriminator": DISCRIMINATOR},
    ),
]
