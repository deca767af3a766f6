"""What is timed: networks with data of the real shapes, their loss in Tensors, and their step by hand in clean NumPy.

`clean(update, *parameters)` is a function of a batch that makes a step (forward, backward, update) and returns the loss
and the gradients; `update(gradients)` is one of the two below.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_steel import Tensor, relu, softmax_cross_entropy

RATE = 0.001
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam, in every library


class Workload(NamedTuple):
    """Data, the parameters at the start, the step by hand, and the loss as an expression of Tensors."""

    x: np.ndarray
    y: np.ndarray
    start: Sequence[np.ndarray]
    clean: Callable[..., Callable]
    loss: Callable[..., Tensor]
    products: Sequence[tuple[int, int, int]]  # rows, inner, columns, first the one with the data
    book: Callable[..., Callable] | None = None
    square: bool = False  # mean square instead of softmax cross entropy
    kind: str = "mlp"  # by which other libraries know the network
    rows: int = 1550  # of the training set, from which an epoch gathers its batches: as many as the real one has
    adam: bool = False  # instead of SGD

    @property
    def dtype(self) -> np.dtype:
        return self.x.dtype

    @property
    def steps(self) -> int:
        """Of an epoch, or of a part of it that is done within some tenths of a second."""
        return max(2, min(self.rows // len(self.x), int(1e9 / self.flops)))

    @property
    def steps_at_most(self) -> float:
        """How many may be timed: the means of Adam shrink, behind dead units, to denormal numbers, which are slow."""
        smallest = np.log(np.finfo(self.dtype).tiny)
        return 0.8 * smallest / np.log(BETA1) if self.adam else np.inf

    @property
    def flops(self) -> int:
        """Of the matrix products of a step: forward, the weight's gradient, and the input's but for the data."""
        found = [2 * rows * inner * columns for rows, inner, columns in self.products]
        return 3 * sum(found) - found[0]

    def in_float32(self) -> Workload:
        """The same in the other dtype."""
        x, y, *start = (a.astype(np.float32) for a in (self.x, self.y, *self.start))
        return self._replace(x=x, y=y, start=start)

    def training_set(self, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows for so many steps, no two alike, and an order to take them in."""
        rng = np.random.default_rng(5)
        rows = steps * len(self.x)
        taken = rng.integers(0, len(self.x), rows)
        scales = rng.uniform(0.5, 1.5, (rows, *[1] * (self.x.ndim - 1))).astype(self.dtype)
        return self.x[taken] * scales, self.y[taken], rng.permutation(rows)


# What makes a step of gradients


def sgd(parameters: Sequence[np.ndarray]) -> Callable:
    def update(gradients):
        for p, g in zip(parameters, gradients):
            p -= RATE * g

    return update


def adam(parameters: Sequence[np.ndarray]) -> Callable:
    """As Kingma and Ba, 2015, algorithm 1."""
    means, squares = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    steps = 0

    def update(gradients):
        nonlocal steps
        steps += 1
        of_mean, of_square = 1 - BETA1**steps, 1 - BETA2**steps
        for p, g, mean, square in zip(parameters, gradients, means, squares):
            mean *= BETA1
            mean += (1 - BETA1) * g
            square *= BETA2
            square += (1 - BETA2) * g * g
            p -= RATE * (mean / of_mean) / (np.sqrt(square / of_square) + EPSILON)

    return update


def layers(batch: int, widths: Sequence[int]) -> list[tuple[int, int, int]]:
    """The products of fully connected layers."""
    return [(batch, inputs, outputs) for inputs, outputs in itertools.pairwise(widths)]


def steel() -> Workload:
    """27 features, 7 classes, batch 10: one linear layer, softmax cross entropy, SGD."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 27)), np.eye(7)[rng.integers(0, 7, 10)]
    start = rng.normal(0, 0.003, (27, 7)), np.zeros(7)
    return Workload(
        x,
        y,
        start,
        steel_clean,
        lambda x, y, w, b: softmax_cross_entropy(x @ w + b, y).mean(),
        layers(10, (27, 7)),
        steel_book,
    )


def steel_clean(update, weight, bias):
    def step(x, y):
        nonlocal weight, bias
        output = x @ weight + bias
        shifted = output - np.max(output, axis=1, keepdims=True)
        e = np.exp(shifted)
        sums = np.sum(e, axis=1, keepdims=True)
        loss = np.mean(np.log(sums[:, 0]) - np.sum(y * shifted, axis=1))
        G_output = (e / sums - y) / len(x)
        G_weight = x.T @ G_output
        G_bias = np.sum(G_output, axis=0)
        weight -= RATE * G_weight
        bias -= RATE * G_bias
        return loss, G_weight, G_bias

    return step


def steel_book(update, weight, bias):
    """As books print it: every local derivative an array of its own, functions where one would do."""

    def softmax(x):
        peak = np.max(x, axis=1)
        e = np.exp((x.transpose() - peak).transpose())
        return (e.transpose() / np.sum(e, axis=1)).transpose()

    def step(x, y):
        nonlocal weight, bias
        output = np.matmul(x, weight) + bias
        probabilities = softmax(output)
        entropy = -np.sum(y * np.log(probabilities + 1e-10), axis=1)
        loss = np.mean(entropy)
        g_loss_entropy = np.ones(entropy.shape) / np.prod(entropy.shape)
        g_entropy_output = softmax(output) - y
        G_output = np.einsum("ij,i->ij", g_entropy_output, g_loss_entropy)
        g_output_weight = x.transpose()
        G_weight = np.matmul(g_output_weight, G_output)
        G_bias = np.sum(G_output, axis=0)
        weight -= RATE * G_weight
        bias -= RATE * G_bias
        return loss, G_weight, G_bias

    return step


def abalone() -> Workload:
    """10 features, 1 output, batch 10: one linear layer, mean square loss, SGD."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 10)), rng.integers(1, 30, (10, 1)).astype(float)
    start = rng.normal(0, 0.003, (10, 1)), np.zeros(1)
    return Workload(
        *(x, y, start, abalone_clean, abalone_loss, layers(10, (10, 1)), abalone_book),
        square=True,
        rows=3340,
    )


def abalone_loss(x, y, weight, bias):
    return (x @ weight + bias - y).square().mean()


def abalone_clean(update, weight, bias):
    def step(x, y):
        nonlocal weight, bias
        output = x @ weight + bias
        diff = output - y
        loss = np.mean(np.square(diff))
        G_output = 2 * diff / diff.size
        G_weight = x.T @ G_output
        G_bias = np.sum(G_output, axis=0)
        weight -= RATE * G_weight
        bias -= RATE * G_bias
        return loss, G_weight, G_bias

    return step


def abalone_book(update, weight, bias):
    def step(x, y):
        nonlocal weight, bias
        output = np.matmul(x, weight) + bias
        diff = output - y
        square = np.square(diff)
        loss = np.mean(square)
        g_loss_square = np.ones(square.shape) / np.prod(square.shape)
        g_square_diff = 2 * diff
        G_square = g_loss_square * 1.0
        G_diff = g_square_diff * G_square
        G_output = 1 * G_diff
        g_output_weight = x.transpose()
        G_weight = np.matmul(g_output_weight, G_output)
        G_bias = np.sum(G_output, axis=0)
        weight -= RATE * G_weight
        bias -= RATE * G_bias
        return loss, G_weight, G_bias

    return step


def mlp(widths: Sequence[int], batch: int = 10, **other: Any) -> Workload:
    """Hidden layers with relu, then softmax cross entropy; the widths are inputs, hidden layers, classes."""
    rng = np.random.default_rng(0)
    x, y = (
        rng.normal(size=(batch, widths[0])),
        np.eye(widths[-1])[rng.integers(0, widths[-1], batch)],
    )
    start = []
    for inputs, outputs in itertools.pairwise(widths):
        start += [rng.normal(0, inputs**-0.5, (inputs, outputs)), np.zeros(outputs)]
    return Workload(x, y, start, mlp_clean, mlp_loss, layers(batch, widths), **other)


def mlp_loss(x, y, *parameters):
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2])
    for w, b in hidden:
        x = relu(x @ w + b)
    return softmax_cross_entropy(x @ weight + bias, y).mean()


def mlp_clean(update, *parameters):
    def step(x, y):
        pairs, h = [*zip(parameters[::2], parameters[1::2])], x
        hs = [x]
        for weight, bias in pairs[:-1]:
            h = np.maximum(h @ weight + bias, 0)
            hs.append(h)
        weight, bias = pairs[-1]
        output = h @ weight + bias
        shifted = output - np.max(output, axis=1, keepdims=True)
        e = np.exp(shifted)
        sums = np.sum(e, axis=1, keepdims=True)
        loss = np.mean(np.log(sums[:, 0]) - np.sum(y * shifted, axis=1))
        G, gradients = (e / sums - y) / len(x), []
        for i in range(len(pairs) - 1, -1, -1):
            gradients[:0] = [hs[i].T @ G, np.sum(G, axis=0)]
            if i:
                G = (G @ pairs[i][0].T) * (hs[i] > 0)
        update(gradients)
        return loss, *gradients

    return step
