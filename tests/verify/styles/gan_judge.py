"""The two steps of a GAN as people write them: that of the discriminator, and that of the generator."""

import numpy as np

rng = np.random.default_rng(26)
N, Z, D, H = 5, 2, 3, 6
real, noise = rng.normal(size=(N, D)), rng.normal(size=(N, Z))
A, a = rng.normal(size=(Z, H)), rng.normal(size=H) * 0.1
B, b = rng.normal(size=(H, D)) * 0.6, np.zeros(D)
C, c = rng.normal(size=(D, H)) * 0.6, rng.normal(size=H) * 0.1
W, w = rng.normal(size=(H, 1)) * 0.6, np.zeros(1)
LEAVES = ("C", "c", "W", "w")


def drawn(A, a, B, b):
    return np.tanh(noise @ A + a) @ B + b


def judged(x, C, c, W, w):
    h = x @ C + c
    return np.maximum(0.2 * h, h) @ W + w


def loss(C, c, W, w):
    """log(1 + exp(-logit)) for what is real, log(1 + exp(logit)) for what is drawn."""
    for_real = np.log(1 + np.exp(-judged(real, C, c, W, w)))
    return np.mean(for_real) + np.mean(np.log(1 + np.exp(judged(drawn(A, a, B, b), C, c, W, w))))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def judge_backward(x, G_logit):
    """The gradients of the discriminator, and of what it was given."""
    h = x @ C + c
    out = np.where(h > 0, h, 0.2 * h)
    G_W, G_w = out.T @ G_logit, G_logit.sum(axis=0)
    G_h = G_logit @ W.T * np.where(h > 0, 1, 0.2)
    return {"C": x.T @ G_h, "c": G_h.sum(axis=0), "W": G_W, "w": G_w}, G_h @ C.T


def artist_backward(G_x):
    """The gradients of the generator."""
    h = np.tanh(noise @ A + a)
    G_h = G_x @ B.T * (1 - h * h)
    return {"A": noise.T @ G_h, "a": G_h.sum(axis=0), "B": h.T @ G_x, "b": G_x.sum(axis=0)}


def one_half_after_the_other():
    p_real = sigmoid(judged(real, C, c, W, w))
    by_real, _ = judge_backward(real, (p_real - 1) / N)
    fake = drawn(A, a, B, b)
    by_fake, _ = judge_backward(fake, sigmoid(judged(fake, C, c, W, w)) / N)
    return {k: by_real[k] + by_fake[k] for k in by_real}


def both_halves_stacked():
    x = np.vstack([real, drawn(A, a, B, b)])
    y = np.vstack([np.ones((N, 1)), np.zeros((N, 1))])
    h = x @ C + c
    slope = np.where(h > 0, 1.0, 0.2)
    dlogit = (sigmoid(h * slope @ W + w) - y) / N
    dW, dw = (h * slope).T @ dlogit, dlogit.sum(0)
    dh = dlogit @ W.T
    dh *= slope
    dC, dc = x.T @ dh, dh.sum(0)
    return dC, dc, dW, dw
