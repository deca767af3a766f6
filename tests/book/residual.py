"""Chapter 9: residual sums: of equal shapes, with a bottleneck, and with a 1x1 projection where shapes differ."""

from __future__ import annotations

import numpy as np

from book.convolution import (
    conv_backward,
    conv_by_hand,
    relu_conv_backward,
    relu_conv_by_hand,
)
from book.proof import Proof, draws, weighted
from tinygrad_steel import conv2d, relu


def residual(x, kernel1, bias1, kernel2, bias2, G_y):
    """The branch ends with its own relu, and another one comes after the sum."""
    branch = relu(conv2d(relu(conv2d(x, kernel1) + bias1), kernel2) + bias2)
    return weighted(relu(branch + x), G_y)


def bottleneck(x, narrow, bias1, kernel, bias2, wide, bias3, G_y):
    """1x1 to fewer channels, 3x3, 1x1 back, and x besides."""
    hidden = relu(conv2d(relu(conv2d(x, narrow) + bias1), kernel) + bias2)
    return weighted(relu(conv2d(hidden, wide) + bias3 + x), G_y)


def projection(x, kernel1, bias1, kernel2, bias2, project, G_y):
    """Half the size and more channels: x takes a 1x1 convolution with the same stride."""
    hidden = relu(conv2d(x, kernel1, 2) + bias1)
    return weighted(relu(conv2d(hidden, kernel2) + bias2 + conv2d(x, project, 2)), G_y)


# By hand. A sum hands its gradient to both of its terms, whose masks are of their own values.


def residual_chain(x, kernel1, bias1, kernel2, bias2, G_y):
    hidden = relu_conv_by_hand(x, kernel1, bias1)
    branch = relu_conv_by_hand(hidden, kernel2, bias2)
    y = np.maximum(branch + x, 0)
    G_sum = np.where(y > 0, G_y, 0)
    G_hidden, G_kernel2, G_bias2 = relu_conv_backward(G_sum, hidden, branch, kernel2)
    G_x, G_kernel1, G_bias1 = relu_conv_backward(G_hidden, x, hidden, kernel1)
    return (y * G_y).sum(), {
        "G_x": G_x + G_sum,
        "G_kernel1": G_kernel1,
        "G_bias1": G_bias1,
        "G_kernel2": G_kernel2,
        "G_bias2": G_bias2,
    }


def bottleneck_chain(x, narrow, bias1, kernel, bias2, wide, bias3, G_y):
    first = relu_conv_by_hand(x, narrow, bias1)
    second = relu_conv_by_hand(first, kernel, bias2)
    y = np.maximum(conv_by_hand(second, wide, (1, 1), "same") + bias3 + x, 0)
    G_sum = np.where(y > 0, G_y, 0)
    G_second, G_wide = conv_backward(G_sum, second, wide)
    G_first, G_kernel, G_bias2 = relu_conv_backward(G_second, first, second, kernel)
    G_x, G_narrow, G_bias1 = relu_conv_backward(G_first, x, first, narrow)
    return (y * G_y).sum(), {
        "G_x": G_x + G_sum,
        "G_narrow": G_narrow,
        "G_bias1": G_bias1,
        "G_kernel": G_kernel,
        "G_bias2": G_bias2,
        "G_wide": G_wide,
        "G_bias3": G_sum.sum(axis=(0, 1, 2)),
    }


def projection_chain(x, kernel1, bias1, kernel2, bias2, project, G_y):
    half = (2, 2)
    hidden = relu_conv_by_hand(x, kernel1, bias1, half)
    branch = conv_by_hand(hidden, kernel2, (1, 1), "same") + bias2
    y = np.maximum(branch + conv_by_hand(x, project, half, "same"), 0)
    G_sum = np.where(y > 0, G_y, 0)
    G_hidden, G_kernel2 = conv_backward(G_sum, hidden, kernel2)
    G_x, G_kernel1, G_bias1 = relu_conv_backward(G_hidden, x, hidden, kernel1, half)
    G_x_beside, G_project = conv_backward(G_sum, x, project, half)
    return (y * G_y).sum(), {
        "G_x": G_x + G_x_beside,
        "G_kernel1": G_kernel1,
        "G_bias1": G_bias1,
        "G_kernel2": G_kernel2,
        "G_bias2": G_sum.sum(axis=(0, 1, 2)),
        "G_project": G_project,
    }


PROOFS = [
    Proof(
        "residual sum",
        residual,
        residual_chain,
        draws(
            1, x=(2, 4, 4, 2), kernel1=(3, 3, 2, 3), bias1=(3,), kernel2=(3, 3, 3, 2), bias2=(2,)
        ),
        draws(2, G_y=(2, 4, 4, 2)),
    ),
    Proof(
        "residual sum, bottleneck",
        bottleneck,
        bottleneck_chain,
        draws(
            3,
            x=(2, 3, 3, 4),
            narrow=(1, 1, 4, 2),
            bias1=(2,),
            kernel=(3, 3, 2, 2),
            bias2=(2,),
            wide=(1, 1, 2, 4),
            bias3=(4,),
        ),
        draws(4, G_y=(2, 3, 3, 4)),
    ),
    Proof(
        "residual sum, projection",
        projection,
        projection_chain,
        draws(
            5,
            x=(2, 4, 5, 2),
            kernel1=(3, 3, 2, 3),
            bias1=(3,),
            kernel2=(3, 3, 3, 3),
            bias2=(3,),
            project=(1, 1, 2, 3),
        ),
        draws(6, G_y=(2, 2, 3, 3)),
    ),
]
