"""What is timed, continued: networks of the book's later chapters, a CNN, an LSTM and an autoencoder.

Each is written once for us and once in clean NumPy, with the backward chained by hand; `other_networks.py` has them in
the words of other libraries.
"""

from __future__ import annotations

import numpy as np
from workloads import Workload, layers

from tinygrad_steel import conv2d, max_pool, relu, sigmoid, softmax_cross_entropy


def softmax_of(output: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean softmax cross entropy, and its gradient."""
    shifted = output - np.max(output, axis=1, keepdims=True)
    e = np.exp(shifted)
    sums = np.sum(e, axis=1, keepdims=True)
    loss = np.mean(np.log(sums[:, 0]) - np.sum(y * shifted, axis=1))
    return loss, (e / sums - y) / len(y)


# Autoencoder: 8x8 digits, 64-32-10-32-64, batch 32, relu between the layers, mean square loss


def autoencoder() -> Workload:
    """Digits of 64 pixels through a code of 10 numbers and back, mean square loss, batch 32."""
    rng = np.random.default_rng(0)
    x, start = rng.uniform(size=(32, 64)), []
    for inputs, outputs in ((64, 32), (32, 10), (10, 32), (32, 64)):
        start += [rng.normal(0, inputs**-0.5, (inputs, outputs)), np.zeros(outputs)]
    products = layers(32, (64, 32, 10, 32, 64))
    return Workload(x, x, start, autoencoder_clean, autoencoder_loss, products, kind="autoencoder")


def autoencoder_loss(x, y, *parameters):
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2])
    for w, b in hidden:
        x = relu(x @ w + b)
    return np.mean(np.square(x @ weight + bias - y))


def autoencoder_clean(update, *parameters):
    weights, biases = parameters[::2], parameters[1::2]

    def step(x, y):
        hs = [x]
        for weight, bias in zip(weights[:-1], biases[:-1]):
            hs.append(np.maximum(hs[-1] @ weight + bias, 0))
        diff = hs[-1] @ weights[-1] + biases[-1] - y
        loss = np.mean(np.square(diff))
        G, gradients = 2 * diff / diff.size, []
        for i in (3, 2, 1, 0):
            gradients[:0] = [hs[i].T @ G, np.sum(G, axis=0)]
            if i:
                G = (G @ weights[i].T) * (hs[i] > 0)
        update(gradients)
        return loss, *gradients

    return step


# LSTM: 39 steps of 20 features, 32 units, the last state through a dense layer to 10 classes, batch 10

STEPS, FEATURES, UNITS = 39, 20, 32


def lstm() -> Workload:
    """39 steps of 20 features, 32 units, 10 classes from the last state, softmax cross entropy, batch 10."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, STEPS, FEATURES)), np.eye(10)[rng.integers(0, 10, 10)]
    start = [
        rng.normal(0, 0.2, (FEATURES, 4 * UNITS)),
        rng.normal(0, 0.2, (UNITS, 4 * UNITS)),
        np.zeros(4 * UNITS),
        rng.normal(0, 0.2, (UNITS, 10)),
        np.zeros(10),
    ]
    inputs = 10 * STEPS, FEATURES, 4 * UNITS
    products = [inputs, (10 * STEPS, UNITS, 4 * UNITS), (10, UNITS, 10)]
    return Workload(x, y, start, lstm_clean, lstm_loss, products, kind="lstm", rows=200)


def lstm_loss(x, y, of_x, of_h, bias, weight, shift):
    h = state = np.zeros((1, UNITS))
    inners = x @ of_x + bias
    for t in range(STEPS):
        inner = inners[:, t] + h @ of_h
        gates = sigmoid(inner[:, UNITS:])
        take, keep, show = gates[:, :UNITS], gates[:, UNITS : 2 * UNITS], gates[:, 2 * UNITS :]
        state = keep * state + take * np.tanh(inner[:, :UNITS])
        h = show * np.tanh(state)
    return softmax_cross_entropy(h @ weight + shift, y).mean()


def lstm_clean(update, of_x, of_h, bias, weight, shift):
    """What does not recur, the products with x, is done for all steps at once."""

    def step(x, y):
        by_step = np.ascontiguousarray(x.swapaxes(0, 1))
        batch = len(x)
        inners = by_step.reshape(-1, FEATURES) @ of_x + bias
        inners = inners.reshape(STEPS, batch, 4 * UNITS)
        hs, states = np.zeros((2, STEPS + 1, batch, UNITS))
        news, squashed = np.empty((2, STEPS, batch, UNITS))
        gates = np.empty((STEPS, batch, 3 * UNITS))
        for t in range(STEPS):
            inner = inners[t] + hs[t] @ of_h
            gates[t] = 1 / (1 + np.exp(-inner[:, UNITS:]))
            news[t] = np.tanh(inner[:, :UNITS])
            take, keep, show = np.split(gates[t], 3, axis=1)
            states[t + 1] = keep * states[t] + take * news[t]
            squashed[t] = np.tanh(states[t + 1])
            hs[t + 1] = show * squashed[t]
        loss, G_output = softmax_of(hs[-1] @ weight + shift, y)
        G_weight, G_shift = hs[-1].T @ G_output, np.sum(G_output, axis=0)
        G_h, G_state = G_output @ weight.T, 0.0
        G_inners = np.empty_like(inners)
        slopes = gates * (1 - gates)
        new_slopes, squashed_slopes = 1 - news * news, 1 - squashed * squashed
        for t in reversed(range(STEPS)):
            take, keep, show = np.split(gates[t], 3, axis=1)
            G_state = G_state + G_h * show * squashed_slopes[t]
            G = G_inners[t]
            G[:, :UNITS] = G_state * take * new_slopes[t]
            G[:, UNITS : 2 * UNITS] = G_state * news[t]
            G[:, 2 * UNITS : 3 * UNITS] = G_state * states[t]
            G[:, 3 * UNITS :] = G_h * squashed[t]
            G[:, UNITS:] *= slopes[t]
            G_h = G @ of_h.T
            G_state = G_state * keep
        G_inners = G_inners.reshape(-1, 4 * UNITS)
        gradients = (
            by_step.reshape(-1, FEATURES).T @ G_inners,
            hs[:-1].reshape(-1, UNITS).T @ G_inners,
            np.sum(G_inners, axis=0),
            G_weight,
            G_shift,
        )
        update(gradients)
        return loss, *gradients

    return step


# CNN: 8x8 digits, conv 3x3x16, max pool, conv 3x3x32, max pool, dense 10, batch 32


def cnn() -> Workload:
    """8x8 digits, conv 3x3x16, relu, max pool 2, conv 3x3x32, relu, max pool 2, dense 10, batch 32."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(32, 8, 8, 1)), np.eye(10)[rng.integers(0, 10, 32)]
    start = [
        rng.normal(0, 1 / 3, (3, 3, 1, 16)),
        np.zeros(16),
        rng.normal(0, 1 / 12, (3, 3, 16, 32)),
        np.zeros(32),
        rng.normal(0, 0.1, (128, 10)),
        np.zeros(10),
    ]
    products = [(32 * 64, 9, 16), (32 * 16, 144, 32), (32, 128, 10)]
    return Workload(x, y, start, cnn_clean, cnn_loss, products, kind="cnn")


def cnn_loss(x, y, kernel, bias, kernel2, bias2, weight, shift):
    x = max_pool(relu(conv2d(x, kernel) + bias))
    x = max_pool(relu(conv2d(x, kernel2) + bias2))
    return softmax_cross_entropy(x.reshape(-1, 128) @ weight + shift, y).mean()


def columns_of(x: np.ndarray) -> np.ndarray:
    """The 3x3 windows of images with a border of zeros around them, a row for each place."""
    n, h, w, c = x.shape
    padded = np.zeros((n, h + 2, w + 2, c))
    padded[:, 1:-1, 1:-1] = x
    columns = np.empty((n, h, w, 3, 3, c))
    for i in range(3):
        for j in range(3):
            columns[:, :, :, i, j] = padded[:, i : i + h, j : j + w]
    return columns.reshape(n * h * w, 9 * c)


def images_of(columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The windows' numbers, added up at their places in the images."""
    n, h, w, c = shape
    columns = columns.reshape(n, h, w, 3, 3, c)
    padded = np.zeros((n, h + 2, w + 2, c))
    for i in range(3):
        for j in range(3):
            padded[:, i : i + h, j : j + w] += columns[:, :, :, i, j]
    return padded[:, 1:-1, 1:-1]


def pooled(x: np.ndarray) -> np.ndarray:
    """The largest of each 2x2."""
    rows = np.maximum(x[:, ::2], x[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def unpooled(G: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The gradient to where the largest came from; zeros of relu share, where the slope is 0 anyway."""
    wide = np.repeat(np.repeat(y, 2, axis=1), 2, axis=2)
    return np.repeat(np.repeat(G, 2, axis=1), 2, axis=2) * (x == wide)


def cnn_clean(update, *parameters):
    kernel, bias, kernel2, bias2, weight, shift = parameters

    def step(x, y):
        columns = columns_of(x)
        h = np.maximum(columns @ kernel.reshape(9, 16) + bias, 0).reshape(len(x), 8, 8, 16)
        p = pooled(h)
        columns2 = columns_of(p)
        h2 = np.maximum(columns2 @ kernel2.reshape(144, 32) + bias2, 0).reshape(len(x), 4, 4, 32)
        p2 = pooled(h2)
        flat = p2.reshape(len(x), 128)
        loss, G_output = softmax_of(flat @ weight + shift, y)
        G_p2 = (G_output @ weight.T).reshape(p2.shape)
        G_h2 = (unpooled(G_p2, p2, h2) * (h2 > 0)).reshape(-1, 32)
        G_p = images_of(G_h2 @ kernel2.reshape(144, 32).T, p.shape)
        G_h = (unpooled(G_p, p, h) * (h > 0)).reshape(-1, 16)
        gradients = (
            (columns.T @ G_h).reshape(kernel.shape),
            np.sum(G_h, axis=0),
            (columns2.T @ G_h2).reshape(kernel2.shape),
            np.sum(G_h2, axis=0),
            flat.T @ G_output,
            np.sum(G_output, axis=0),
        )
        update(gradients)
        return loss, *gradients

    return step
