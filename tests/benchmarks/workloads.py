"""What is timed: per workload, the same training step as each contender makes it, on data of the real shapes.

A contender is a function without arguments that makes one step (forward, backward, update) and returns the loss and the
gradients. One that makes a whole epoch says in `count` of how many steps, and has in `one` a function that makes a
single one and returns the loss and the parameters. Each keeps its own copy of the parameters, so that all of them
travel the same road.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_steel import SGD, Tensor, compile_backprop, compile_epoch, relu, softmax_cross_entropy

RATE = 0.001


class Workload(NamedTuple):
    """Data, the parameters at the start, the step by hand, and the loss as an expression of Tensors."""

    x: np.ndarray
    y: np.ndarray
    start: Sequence[np.ndarray]
    clean: Callable[..., Callable]
    loss: Callable[..., Tensor]
    book: Callable[..., Callable] | None = None
    square: bool = False  # mean square instead of softmax cross entropy
    kind: str = "mlp"  # by which other libraries know the network
    rows: int = 1550  # of the training set, from which an epoch gathers its batches: as many as the real one has

    def contenders(self) -> dict[str, Callable]:
        """Everyone who takes part, from the same parameters."""
        found = {"clean NumPy": self.clean(self.x, self.y, *map(np.copy, self.start))}
        if self.book:
            found["book"] = self.book(self.x, self.y, *map(np.copy, self.start))
        found["eager"] = self.eager()
        found["replay"] = self.compiled_step("numpy")
        if importlib.util.find_spec("numba"):
            found["compiled step"] = self.compiled_step("auto")
            found["compiled epoch"] = self.compiled_epoch()
        return found

    def graph(self) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
        """Data, parameters and loss as Tensors."""
        x, y = Tensor(self.x, name="x"), Tensor(self.y, name="y")
        parameters = [Tensor(p, requires_grad=True, name=f"p{i}") for i, p in enumerate(self.start)]
        return x, y, parameters, self.loss(x, y, *parameters)

    def eager(self) -> Callable:
        x, y, parameters, _ = self.graph()
        x, y = x.detach(), y.detach()  # without names, as in training
        optimizer, expression = SGD(parameters, RATE), self.loss

        def step():
            loss = expression(x, y, *parameters)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.data, *(p.grad for p in parameters)

        return step

    def compiled_step(self, backend: str) -> Callable:
        _, _, parameters, loss = self.graph()
        compiled = compile_backprop(loss, optimizer=SGD(parameters, RATE), backend=backend)
        x, y, gradients = self.x, self.y, [compiled.gradients[p.name] for p in parameters]

        def step():
            return compiled(x, y), *gradients

        return step

    def compiled_epoch(self) -> Callable:
        x, y, parameters, loss = self.graph()
        epoch = compile_epoch(loss, (x, y), optimizer=SGD(parameters, RATE))
        repeats = max(2, self.rows // len(self.x))
        xs, ys = np.concatenate([self.x] * repeats), np.concatenate([self.y] * repeats)
        order = np.arange(len(xs))

        def steps():
            return epoch(xs, ys, order=order)

        steps.count = repeats
        steps.one = lambda: (epoch(self.x, self.y)[0], *(p.data for p in parameters))
        return steps


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
        steel_book,
    )


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


def abalone() -> Workload:
    """10 features, 1 output, batch 10: one linear layer, mean square loss, SGD."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 10)), rng.integers(1, 30, (10, 1)).astype(float)
    start = rng.normal(0, 0.003, (10, 1)), np.zeros(1)
    return Workload(x, y, start, abalone_clean, abalone_loss, abalone_book, square=True, rows=3340)


def abalone_loss(x, y, weight, bias):
    return (x @ weight + bias - y).square().mean()


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


def mlp(widths: Sequence[int] = (27, 12, 6, 4, 7), batch: int = 10) -> Workload:
    """Hidden layers with relu, then softmax cross entropy, SGD; the widths are inputs, hidden layers, classes."""
    rng = np.random.default_rng(0)
    x, y = (
        rng.normal(size=(batch, widths[0])),
        np.eye(widths[-1])[rng.integers(0, widths[-1], batch)],
    )
    start = []
    for inputs, outputs in itertools.pairwise(widths):
        start += [rng.normal(0, inputs**-0.5, (inputs, outputs)), np.zeros(outputs)]
    return Workload(x, y, start, mlp_clean, mlp_loss)


def mlp_loss(x, y, *parameters):
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2])
    for w, b in hidden:
        x = relu(x @ w + b)
    return softmax_cross_entropy(x @ weight + bias, y).mean()


def mlp_clean(x, y, *parameters):
    def step():
        layers, h = [*zip(parameters[::2], parameters[1::2])], x
        hs = [x]
        for weight, bias in layers[:-1]:
            h = np.maximum(h @ weight + bias, 0)
            hs.append(h)
        weight, bias = layers[-1]
        output = h @ weight + bias
        shifted = output - np.max(output, axis=1, keepdims=True)
        e = np.exp(shifted)
        sums = np.sum(e, axis=1, keepdims=True)
        loss = np.mean(np.log(sums[:, 0]) - np.sum(y * shifted, axis=1))
        G, gradients = (e / sums - y) / len(x), []
        for i in range(len(layers) - 1, -1, -1):
            gradients[:0] = [hs[i].T @ G, np.sum(G, axis=0)]
            if i:
                G = (G @ layers[i][0].T) * (hs[i] > 0)
        for p, g in zip(parameters, gradients):
            p -= RATE * g
        return loss, *gradients

    return step


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "steel": steel,
    "abalone": abalone,
    "mlp": mlp,
    "large": lambda: mlp((784, 512, 512, 10), 512),
}

# How cost grows: one of width, batch and depth at a time.
SWEEPS: dict[str, dict[int, Callable[[], Workload]]] = {
    "width": {n: (lambda n=n: mlp((27, n, n, 7))) for n in (4, 16, 64, 256)},
    "batch": {n: (lambda n=n: mlp((27, 32, 32, 7), n)) for n in (1, 10, 100, 1000)},
    "depth": {n: (lambda n=n: mlp((27, *[16] * n, 7))) for n in (1, 2, 4, 8)},
}
