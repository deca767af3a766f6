"""Chapter 8: dropout and noise. What was drawn is a constant to the gradient."""

from __future__ import annotations

import numpy as np

from book.dense import dense, dense_backward, dense_by_hand, one_hot, softmax_entropy
from book.proof import Proof, draws
from tinygrad_steel import dropout, noise, softmax_cross_entropy

ROWS, UNITS = 5, 6


def drawn_by(op, seed):
    """What is drawn for the hidden layer: of dropout the factors, of noise the terms."""
    start = np.ones if op is dropout else np.zeros
    return op(start((ROWS, UNITS)), 0.4, np.random.default_rng(seed))


def network(x, weight1, bias1, weight2, bias2, labels, op, seed):
    hidden = dense(x, weight1, bias1, "tanh")
    seen = op(hidden, 0.4, np.random.default_rng(seed))
    return np.mean(softmax_cross_entropy(dense(seen, weight2, bias2), labels))


def network_chain(x, weight1, bias1, weight2, bias2, labels, op, seed):
    drawn = drawn_by(op, seed)
    hidden = dense_by_hand(x, weight1, bias1, "tanh")
    seen = hidden * drawn if op is dropout else hidden + drawn
    output = dense_by_hand(seen, weight2, bias2)
    loss, G_output = softmax_entropy(output, labels)
    G_seen, G_weight2, G_bias2 = dense_backward(G_output, seen, output, weight2)
    g_seen_hidden = drawn if op is dropout else 1
    G_hidden = g_seen_hidden * G_seen
    G_x, G_weight1, G_bias1 = dense_backward(G_hidden, x, hidden, weight1, "tanh")
    return loss, {
        "G_x": G_x,
        "G_weight1": G_weight1,
        "G_bias1": G_bias1,
        "G_weight2": G_weight2,
        "G_bias2": G_bias2,
    }


PROOFS = [
    Proof(
        name,
        network,
        network_chain,
        draws(1, x=(ROWS, 4), weight1=(4, UNITS), bias1=(UNITS,), weight2=(UNITS, 3), bias2=(3,)),
        {"labels": one_hot(2, ROWS, 3), "op": op, "seed": 3},
    )
    for name, op in (("dropout", dropout), ("noise", noise))
]
