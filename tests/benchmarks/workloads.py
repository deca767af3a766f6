"""What is timed: per workload, the same training step as each contender writes it, on data of the real shapes.

A contender is a function without arguments that makes one step (forward, backward, update) and returns the loss and the
gradients. Each keeps its own copy of the parameters, so that all of them travel the same road.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_steel import SGD, Tensor, softmax_cross_entropy

RATE = 0.001


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def steel() -> dict[str, Callable]:
    """27 features, 7 classes, batch 10: one linear layer, softmax cross entropy, SGD."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 27)), np.eye(7)[rng.integers(0, 7, 10)]
    start = rng.normal(0, 0.003, (27, 7)), np.zeros(7)
    return {
        "clean NumPy": steel_clean(x, y, *map(np.copy, start)),
        "book": steel_book(x, y, *map(np.copy, start)),
        "eager": steel_eager(x, y, *start),
    }


def steel_clean(x, y, weight, bias):
    def step():
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


def steel_book(x, y, weight, bias):
    """As books print it: every local derivative an array of its own, functions where one would do."""

    def softmax(x):
        peak = np.max(x, axis=1)
        e = np.exp((x.transpose() - peak).transpose())
        return (e.transpose() / np.sum(e, axis=1)).transpose()

    def step():
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


def steel_eager(x, y, weight, bias):
    x, y = Tensor(x), Tensor(y)
    weight, bias = Tensor(weight, requires_grad=True), Tensor(bias, requires_grad=True)
    optimizer = SGD([weight, bias], RATE)

    def step():
        loss = softmax_cross_entropy(x @ weight + bias, y).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.data, weight.grad, bias.grad

    return step


def abalone() -> dict[str, Callable]:
    """10 features, 1 output, batch 10: one linear layer, mean square loss, SGD."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 10)), rng.integers(1, 30, (10, 1)).astype(float)
    start = rng.normal(0, 0.003, (10, 1)), np.zeros(1)
    return {
        "clean NumPy": abalone_clean(x, y, *map(np.copy, start)),
        "book": abalone_book(x, y, *map(np.copy, start)),
        "eager": abalone_eager(x, y, *start),
    }


def abalone_clean(x, y, weight, bias):
    def step():
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


def abalone_book(x, y, weight, bias):
    def step():
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


def abalone_eager(x, y, weight, bias):
    x, y = Tensor(x), Tensor(y)
    weight, bias = Tensor(weight, requires_grad=True), Tensor(bias, requires_grad=True)
    optimizer = SGD([weight, bias], RATE)

    def step():
        loss = (x @ weight + bias - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.data, weight.grad, bias.grad

    return step


WORKLOADS: dict[str, Callable[[], dict[str, Callable]]] = {"steel": steel, "abalone": abalone}
