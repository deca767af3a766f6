"""Chapter 8: L1 and L2 penalties, whose rate stands in the loss as well as in the gradient."""

from __future__ import annotations

import numpy as np

from book.dense import dense, dense_backward, dense_by_hand, mean_square
from book.proof import Proof, draws


def penalized(x, weight, bias, labels, l1, l2):
    cost = np.mean(np.square(dense(x, weight, bias) - labels))
    return cost + l2 * np.sum(np.square(weight)) / 2 + l1 * np.sum(np.abs(weight))


def penalized_chain(x, weight, bias, labels, l1, l2):
    output = dense_by_hand(x, weight, bias)
    cost, G_output = mean_square(output, labels)
    loss = cost + l2 * (weight**2).sum() / 2 + l1 * np.abs(weight).sum()
    G_x, G_weight, G_bias = dense_backward(G_output, x, output, weight)
    g_l2_weight = l2 * weight  # of l2 * weight**2 / 2
    g_l1_weight = l1 * np.sign(weight)
    return loss, {"G_x": G_x, "G_weight": G_weight + g_l2_weight + g_l1_weight, "G_bias": G_bias}


PROOFS = [
    Proof(
        f"penalties, l1 = {l1}, l2 = {l2}",
        penalized,
        penalized_chain,
        draws(1, x=(5, 4), weight=(4, 3), bias=(3,)),
        {"labels": draws(2, y=(5, 3))["y"], "l1": l1, "l2": l2},
    )
    for l1, l2 in ((0.01, 0.0), (0.0, 0.1), (0.02, 0.3))
]
