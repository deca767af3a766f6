import numpy as np


def sigmoid_cross_entropy(logits, labels):
    return np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))


def sigmoid(x):
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def backprop(x, y, weight, bias):
    # forward
    output = x @ weight + bias
    entropy = sigmoid_cross_entropy(output, y)
    loss = np.mean(entropy)
    # backward
    G_loss = 1.0
    G_entropy = np.broadcast_to(G_loss / 70, (10, 7))
    G_output = G_entropy * (sigmoid(output) - y)
    G_weight = x.T @ G_output
    G_bias = np.sum(G_output, axis=0)
    return loss, G_weight, G_bias
