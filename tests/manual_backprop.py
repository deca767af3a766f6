"""The experiments' steps with their backprop chained by hand, from the mathematics: the reference for the graph.

G_name is the gradient of the loss with respect to `name`; every function returns (loss, G_output, G_weight, G_bias).
"""

from __future__ import annotations

import numpy as np


def linear(x, weight, bias):
    return x @ weight + bias


def linear_backprop(x, G_output):
    G_weight = x.T @ G_output  # output[n, c] = sum over i of x[n, i] * weight[i, c] + bias[c]
    G_bias = G_output.sum(axis=0)
    return G_output, G_weight, G_bias


def abalone(x, y, weight, bias):
    """Mean square: d mean(s) / d s = 1 / size, d diff**2 / d diff = 2 diff."""
    diff = linear(x, weight, bias) - y
    loss = np.mean(diff**2)
    g_loss_square = np.ones(diff.shape) / diff.size
    G_square = g_loss_square
    G_diff = 2 * diff * G_square
    return loss, *linear_backprop(x, G_diff)


def stable_sigmoid(x):
    positive = x >= 0
    e = np.exp(np.where(positive, -x, x))
    return np.where(positive, 1 / (1 + e), e / (1 + e))


def pulsar(x, y, weight, bias):
    """Sigmoid cross entropy -y log p - (1 - y) log(1 - p), whose derivative by the logit is p - y."""
    output = linear(x, weight, bias)
    entropy = np.logaddexp(0, output) - y * output
    loss = np.mean(entropy)
    G_entropy = np.ones(entropy.shape) / entropy.size
    G_output = (stable_sigmoid(output) - y) * G_entropy
    return loss, *linear_backprop(x, G_output)


steel_sigmoid = pulsar  # the same loss, on seven outputs


def stable_softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def steel_softmax(x, y, weight, bias):
    """The book's pair: the loss with 1e-10 in its logarithm, the gradient of the one without."""
    output = linear(x, weight, bias)
    probabilities = stable_softmax(output)
    entropy = -np.sum(y * np.log(probabilities + 1e-10), axis=1)
    loss = np.mean(entropy)
    G_entropy = np.ones(len(entropy)) / len(entropy)
    G_output = (probabilities - y) * G_entropy[:, None]
    return loss, *linear_backprop(x, G_output)


def steel_sigmoid_mse(x, y, weight, bias):
    """Mean square of sigmoid(output) - sigmoid(y); sigmoid' = p (1 - p)."""
    probabilities = stable_sigmoid(linear(x, weight, bias))
    diff = probabilities - stable_sigmoid(y)
    loss = np.mean(diff**2)
    G_diff = 2 * diff / diff.size
    G_output = probabilities * (1 - probabilities) * G_diff
    return loss, *linear_backprop(x, G_output)
