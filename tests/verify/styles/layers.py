"""Style 2: a class for a layer, which keeps its input and its gradients as attributes."""

import numpy as np


class Linear:
    def __init__(self, rng, inputs, outputs):
        self.W = rng.normal(size=(inputs, outputs)) * 0.5
        self.b = rng.normal(size=outputs) * 0.1

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad_output):
        self.dW = self.x.T @ grad_output
        self.db = grad_output.sum(axis=0)
        return grad_output @ self.W.T


class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, grad_output):
        grad_input = grad_output * self.out
        grad_input *= 1 - self.out
        return grad_input


class ReLU:
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, grad_output):
        grad_input = grad_output.copy()
        grad_input[self.x < 0] = 0
        return grad_input


class Net:
    def __init__(self, seed=5):
        rng = np.random.default_rng(seed)
        self.layers = [Linear(rng, 4, 6), Sigmoid(), Linear(rng, 6, 5), ReLU(), Linear(rng, 5, 2)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss(self, x, y):
        self.diff = self.forward(x) - y
        return np.mean(self.diff**2)

    def backward(self):
        grad = 2 * self.diff / self.diff.size
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad


def data(n=7, seed=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.normal(size=(n, 2))


def main(compare_backprop, Tensor):
    net, twin = Net(), Net()
    x, y = data()
    net.loss(x, y)
    for layer in twin.layers[::2]:
        layer.W, layer.b = Tensor(layer.W, requires_grad=True), Tensor(layer.b, requires_grad=True)
    return compare_backprop(twin.loss(x, y), {"net": twin}, backprop=net.backward)
