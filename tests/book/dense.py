"""Chapter 5: dense layers with their activations, and the three losses, chained by hand."""

from __future__ import annotations

import numpy as np

from book.proof import Proof, draws, weighted
from tinygrad_steel import relu, sigmoid, sigmoid_cross_entropy, softmax_cross_entropy

# Models, as expressions on Tensors

ACTIVATIONS = {"relu": relu, "sigmoid": sigmoid, "tanh": np.tanh, "none": lambda z: z}


def dense(x, weight, bias, function="none"):
    return ACTIVATIONS[function](x @ weight + bias)


def perceptron(x, weight1, bias1, weight2, bias2, labels, function, loss):
    hidden = dense(x, weight1, bias1, function)
    output = dense(hidden, weight2, bias2)
    return LOSSES[loss](output, labels)


LOSSES = {
    "regression": lambda output, y: np.mean(np.square(output - y)),
    "binary": lambda output, y: np.mean(sigmoid_cross_entropy(output, y)),
    "select": lambda output, y: np.mean(softmax_cross_entropy(output, y)),
}


# By hand

FORWARD = {
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "none": lambda z: z,
}

SLOPES = {  # each from the activation's result
    "relu": lambda y: np.where(y > 0, 1.0, 0.0),
    "sigmoid": lambda y: y * (1 - y),  # (1 + e^-z)^-1 has the slope e^-z (1 + e^-z)^-2
    "tanh": lambda y: 1 - y**2,
    "none": np.ones_like,
}


def dense_by_hand(x, weight, bias, function="none"):
    return FORWARD[function](x @ weight + bias)


def dense_backward(G_y, x, y, weight, function="none"):
    """y[n, j] = f(z[n, j]), and z[n, j] = sum over i of x[n, i] weight[i, j], plus bias[j]."""
    g_y_z = SLOPES[function](y)
    g_z_weight = x.T
    g_z_x = weight.T
    G_z = g_y_z * G_y
    G_weight = g_z_weight @ G_z
    G_bias = G_z.sum(axis=0)  # bias[j] is in each row's z
    G_x = G_z @ g_z_x
    return G_x, G_weight, G_bias


def mean_square(output, y):
    diff = output - y
    loss = (diff**2).mean()
    g_loss_square = 1 / diff.size
    g_square_diff = 2 * diff
    return loss, g_square_diff * g_loss_square


def sigmoid_entropy(output, y):
    """-y log p - (1 - y) log(1 - p), whose slope is (p - y) / (p (1 - p)) times p (1 - p)."""
    p = 1 / (1 + np.exp(-output))
    loss = (-y * np.log(p) - (1 - y) * np.log(1 - p)).mean()
    g_loss_entropy = 1 / output.size
    g_entropy_output = p - y
    return loss, g_entropy_output * g_loss_entropy


def softmax_entropy(output, y):
    """-sum y log p. d log p[j] / d output[k] = (j = k) - p[k], and the y of a row add up to 1."""
    e = np.exp(output - output.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    entropy = -(y * np.log(p)).sum(axis=1)
    g_loss_entropy = 1 / len(entropy)  # a mean over rows, not over rows and classes
    g_entropy_output = p - y
    return entropy.mean(), g_entropy_output * g_loss_entropy


LOSSES_BY_HAND = {
    "regression": mean_square,
    "binary": sigmoid_entropy,
    "select": softmax_entropy,
}


def perceptron_chain(x, weight1, bias1, weight2, bias2, labels, function, loss):
    hidden = dense_by_hand(x, weight1, bias1, function)
    output = dense_by_hand(hidden, weight2, bias2)
    loss, G_output = LOSSES_BY_HAND[loss](output, labels)
    G_hidden, G_weight2, G_bias2 = dense_backward(G_output, hidden, output, weight2)
    G_x, G_weight1, G_bias1 = dense_backward(G_hidden, x, hidden, weight1, function)
    return loss, {
        "G_x": G_x,
        "G_weight1": G_weight1,
        "G_bias1": G_bias1,
        "G_weight2": G_weight2,
        "G_bias2": G_bias2,
    }


def layer(x, weight, bias, G_y, function):
    return weighted(dense(x, weight, bias, function), G_y)


def layer_chain(x, weight, bias, G_y, function):
    y = dense_by_hand(x, weight, bias, function)
    G_x, G_weight, G_bias = dense_backward(G_y, x, y, weight, function)
    return (y * G_y).sum(), {"G_x": G_x, "G_weight": G_weight, "G_bias": G_bias}


def one_hot(seed, rows, classes):
    return np.eye(classes)[np.random.default_rng(seed).integers(0, classes, rows)]


ONE_LAYER = [
    Proof(
        f"dense, {function}",
        layer,
        layer_chain,
        draws(1, x=(5, 4), weight=(4, 3), bias=(3,)),
        {**draws(2, G_y=(5, 3)), "function": function},
    )
    for function in ACTIVATIONS
]

PERCEPTRONS = [
    Proof(
        f"perceptron, {loss}",
        perceptron,
        perceptron_chain,
        draws(3, x=(5, 4), weight1=(4, 6), bias1=(6,), weight2=(6, 3), bias2=(3,)),
        {"labels": labels, "function": "relu", "loss": loss},
    )
    for loss, labels in {
        "regression": draws(4, y=(5, 3))["y"],
        "binary": np.random.default_rng(5).integers(0, 2, (5, 3)) * 1.0,
        "select": one_hot(6, 5, 3),
    }.items()
]

PROOFS = [*ONE_LAYER, *PERCEPTRONS]
