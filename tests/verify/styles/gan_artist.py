"""The step of a GAN's generator: what the discriminator sends back goes on to what has drawn."""

import numpy as np
from verify.styles import gan_judge
from verify.styles.gan_judge import A, B, C, N, W, a, b, c, noise, w

LEAVES = ("A", "a", "B", "b")


def loss(A, a, B, b):
    """What is drawn is to be taken for real."""
    logit = gan_judge.judged(gan_judge.drawn(A, a, B, b), C, c, W, w)
    return np.mean(np.log(1 + np.exp(-logit)))


def through_the_judge():
    fake = gan_judge.drawn(A, a, B, b)
    p = gan_judge.sigmoid(gan_judge.judged(fake, C, c, W, w))
    _, G_fake = gan_judge.judge_backward(fake, -(1 - p) / N)
    return gan_judge.artist_backward(G_fake)


def line_by_line():
    z1 = noise @ A + a
    h1 = np.tanh(z1)
    fake = h1 @ B + b
    z2 = fake @ C + c
    h2 = np.where(z2 > 0, z2, 0.2 * z2)
    logit = h2 @ W + w
    dlogit = -1 / (1 + np.exp(logit)) / len(noise)
    dz2 = dlogit @ W.T
    dz2[z2 < 0] *= 0.2
    dfake = dz2 @ C.T
    dB, db = h1.T @ dfake, np.sum(dfake, axis=0)
    dz1 = (dfake @ B.T) * (1 - np.tanh(z1) ** 2)
    dA, da = noise.T @ dz1, np.sum(dz1, axis=0)
    return {"A": dA, "a": da, "B": dB, "b": db}
