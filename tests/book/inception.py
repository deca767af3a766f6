"""Chapter 9: parallel branches, side by side on the channel axis. Each gets its own channels' gradient; x gets all."""

from __future__ import annotations

import numpy as np

from book.average_pooling import average_backward, average_by_hand
from book.convolution import relu_conv_backward, relu_conv_by_hand
from book.proof import Proof, draws, weighted
from tinygrad_steel import avg_pool, conv2d, relu


def inception(x, point, reduce, wide, narrow, pooled, bias, G_y):
    """1x1; 1x1 then 3x3; 1x3; pooling then 1x1. The biases of all branches lie in one vector."""
    b = np.split(bias, [2, 4, 7, 8])
    first = relu(conv2d(x, point) + b[0])
    second = relu(conv2d(relu(conv2d(x, reduce) + b[1]), wide) + b[2])
    third = relu(conv2d(x, narrow) + b[3])
    fourth = relu(conv2d(avg_pool(x, 3, 1, "same"), pooled) + b[4])
    return weighted(np.concatenate([first, second, third, fourth], axis=-1), G_y)


def inception_chain(x, point, reduce, wide, narrow, pooled, bias, G_y):
    b0, b1, b2, b3, b4 = bias[:2], bias[2:4], bias[4:7], bias[7:8], bias[8:]
    first = relu_conv_by_hand(x, point, b0)
    reduced = relu_conv_by_hand(x, reduce, b1)
    second = relu_conv_by_hand(reduced, wide, b2)
    third = relu_conv_by_hand(x, narrow, b3)
    average = average_by_hand(x, (3, 3), (1, 1), "same")
    fourth = relu_conv_by_hand(average, pooled, b4)
    y = np.concatenate([first, second, third, fourth], axis=3)

    # channels 0 and 1 are the first branch's, 2 to 4 the second's, 5 the third's, 6 and 7 the fourth's
    G_x1, G_point, G_b0 = relu_conv_backward(G_y[..., 0:2], x, first, point)
    G_reduced, G_wide, G_b2 = relu_conv_backward(G_y[..., 2:5], reduced, second, wide)
    G_x2, G_reduce, G_b1 = relu_conv_backward(G_reduced, x, reduced, reduce)
    G_x3, G_narrow, G_b3 = relu_conv_backward(G_y[..., 5:6], x, third, narrow)
    G_average, G_pooled, G_b4 = relu_conv_backward(G_y[..., 6:8], average, fourth, pooled)
    G_x4 = average_backward(G_average, x, (3, 3), (1, 1), "same")
    return (y * G_y).sum(), {
        "G_x": G_x1 + G_x2 + G_x3 + G_x4,
        "G_point": G_point,
        "G_reduce": G_reduce,
        "G_wide": G_wide,
        "G_narrow": G_narrow,
        "G_pooled": G_pooled,
        "G_bias": np.concatenate([G_b0, G_b1, G_b2, G_b3, G_b4]),
    }


PROOFS = [
    Proof(
        "inception",
        inception,
        inception_chain,
        draws(
            7,
            x=(2, 4, 3, 2),
            point=(1, 1, 2, 2),
            reduce=(1, 1, 2, 2),
            wide=(3, 3, 2, 3),
            narrow=(1, 3, 2, 1),
            pooled=(1, 1, 2, 2),
            bias=(10,),
        ),
        draws(2, G_y=(2, 4, 3, 8)),
    )
]
