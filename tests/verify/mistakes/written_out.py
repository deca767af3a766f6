"""Mistakes planted where the forward writes sigmoid, tanh and softmax out."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, sigmoid

# Three activations, none of which is an op


def by_hand(draw: Draw):
    x, y = draw.data(9, 4), draw.data(9, 3)
    W1, W2, W3 = draw.leaf(4, 3), draw.leaf(3, 3), draw.leaf(3, 3)
    z1 = x @ W1
    s = 1 / (1 + np.exp(-z1))
    z2 = s @ W2
    t = (np.exp(z2) - np.exp(-z2)) / (np.exp(z2) + np.exp(-z2))
    z3 = t @ W3
    e = np.exp(z3)
    p = e / np.sum(e, axis=1, keepdims=True)
    diff = p - y
    loss = np.mean(np.square(diff))
    return loss, locals()


def along(n, axis=1):
    """The sum in softmax's derivative."""
    return (n.G_p * n.p).sum(axis=axis, keepdims=True)


BY_HAND = Model(
    "activations written out",
    by_hand,
    {
        "G_p": lambda n: 2 * n.diff / 27,
        "G_z3": lambda n: n.p * (n.G_p - along(n)),
        "G_W3": lambda n: n.t.T @ n.G_z3,
        "G_t": lambda n: n.G_z3 @ n.W3.T,
        "G_z2": lambda n: n.G_t * (1 - n.t * n.t),
        "G_W2": lambda n: n.s.T @ n.G_z2,
        "G_s": lambda n: n.G_z2 @ n.W2.T,
        "G_z1": lambda n: n.G_s * n.s * (1 - n.s),
        "G_W1": lambda n: n.x.T @ n.G_z1,
    },
)

OF_SIGMOID = "instead of sigmoid'(z1) = s * (1 - s)"
OF_TANH = "instead of tanh'(z2) = (1 - t * t)"
KINDS = [
    ("G_z1", lambda n: n.G_s * n.z1 * (1 - n.z1), f"by z1 * (1 - z1) {OF_SIGMOID}"),
    ("G_z1", lambda n: n.G_s * n.s * (1 - n.z1), f"by s * (1 - z1) {OF_SIGMOID}"),
    ("G_z1", lambda n: n.G_s * sigmoid(n.s) * (1 - sigmoid(n.s)), f"by sigmoid'(s) {OF_SIGMOID}"),
    ("G_z1", lambda n: n.G_s * n.s, f"multiplied by s {OF_SIGMOID}"),
    ("G_z1", lambda n: n.G_s * (1 - n.s), f"multiplied by (1 - s) {OF_SIGMOID}"),
    ("G_z1", lambda n: n.G_s * (1 - n.s * n.s), f"by (1 - s * s) {OF_SIGMOID}"),
    ("G_z1", lambda n: n.G_s / (n.s * (1 - n.s)), "divided by sigmoid'(z1)"),
    ("G_z1", lambda n: n.G_s, "the factor sigmoid'(z1) = s * (1 - s) is missing"),
    ("G_z1", lambda n: n.s * (1 - n.s), "it is not multiplied with G_s"),
    ("G_z1", lambda n: n.G_s * n.s * 1 - n.s, "parentheses are missing: G_s * s * 1 - s"),
    ("G_z2", lambda n: n.G_t * (1 - n.t), f"multiplied by (1 - t) {OF_TANH}"),
    ("G_z2", lambda n: n.G_t * (1 - n.z2 * n.z2), f"by (1 - z2 * z2) {OF_TANH}"),
    ("G_z2", lambda n: n.G_t * (1 + n.t * n.t), f"by (1 + t * t) {OF_TANH}"),
    ("G_z2", lambda n: n.G_t * n.t * (1 - n.t), f"by t * (1 - t) {OF_TANH}"),
    ("G_z2", lambda n: n.G_t * 1 - n.t * n.t, "parentheses are missing: G_t * 1 - t * t"),
    ("G_z2", lambda n: n.G_t, "the factor tanh'(z2) = (1 - t * t) is missing"),
    ("G_z3", lambda n: n.G_p, "the derivative of softmax is missing"),
    ("G_z3", lambda n: n.G_p * n.p, "`- sum(G_p * p, axis=-1, keepdims=True)` is missing"),
    ("G_z3", lambda n: n.G_p * n.p * (1 - n.p), "the diagonal of softmax's Jacobian alone"),
    ("G_z3", lambda n: n.p * (n.G_p + along(n)), "the sign of sum(G_p * p"),
    ("G_z3", lambda n: n.G_p - along(n), "the factor p is missing before G_p - sum"),
    ("G_z3", lambda n: n.p * (n.G_p - along(n, 0)), "sum along axis 0 instead of axis -1"),
    ("G_z3", lambda n: n.G_p * n.z3 * (1 - n.z3), "by z3 * (1 - z3) instead of softmax'(z3)"),
]

WRITTEN_OUT = [
    Mistake(f"{says}: {g}", "planted", BY_HAND, {g: wrong}, "wrong-derivative", (says,))
    for g, wrong, says in KINDS
]
