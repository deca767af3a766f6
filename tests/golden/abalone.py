import numpy as np


def backprop(x, y, weight, bias):
    # forward
    output = x @ weight + bias
    diff = output - y
    square = np.square(diff)
    loss = np.mean(square)
    # backward
    G_loss = 1.0
    G_square = np.broadcast_to(G_loss / 10, (10, 1))
    G_diff = 2 * diff * G_square
    G_output = G_diff
    G_weight = x.T @ G_output
    G_bias = np.sum(G_output, axis=0)
    return loss, G_weight, G_bias
