"""Chapter 5, a perceptron as an object, for data sets of three kinds.

    python examples/book/chapter05_mlp.py

A number (the rings of abalone shells), yes or no (pulsars), a choice (handwritten digits): the perceptron is the same,
and each kind has its own loss and its own accuracy. Accuracies (means of three seeds): abalone 0.84 +- 0.01 (1 minus
the mean relative error), pulsar 0.980 +- 0.001, digits 0.968 +- 0.008.
"""

import sys
from pathlib import Path

import numpy as np
from digits import digits
from layers import dense, flat, he
from training import Data, each, main, train

from tinygrad_steel import Adam, relu, sigmoid_cross_entropy, softmax_cross_entropy

sys.path.append(str(Path(__file__).parents[1]))
import datasets  # of the chapters before


class Mlp:
    """Hidden layers of these widths with relu, then a linear output."""

    def __init__(self, rng, inputs, hidden, outputs):
        self.names = [*(f"hidden{i + 1}" for i in range(len(hidden))), "out"]
        widths = [inputs, *hidden, outputs]
        shapes = {}
        for name, rows, columns in zip(self.names, widths, widths[1:]):
            shapes |= {f"{name}_weight": (rows, columns), f"{name}_bias": (columns,)}
        self.parameters = he(rng, shapes)

    def __call__(self, x):
        *hidden, out = self.names
        h = flat(x)
        for name in hidden:
            h = dense(self.parameters, name, h, relu)
        return dense(self.parameters, out, h)


def number_loss(output, y):
    return np.mean(np.square(output - y))


def number_accuracy(output, y):
    return 1 - np.mean(np.abs((output - y) / y))


def binary_loss(output, y):
    return np.mean(sigmoid_cross_entropy(output, y))


def binary_accuracy(output, y):
    return np.mean((output > 0) == (y > 0.5))


def choice_loss(output, y):
    return np.mean(softmax_cross_entropy(output, y))


def choice_accuracy(output, y):
    return np.mean(np.argmax(output, axis=1) == np.argmax(y, axis=1))


def table(name, folder, rng):
    """A table of chapter 1 or 2, its columns scaled to mean 0 and deviation 1 by the training rows."""
    found = datasets.load(name, folder)
    if found.synthetic:
        print(found.synthetic)
    order = rng.permutation(len(found.x))
    test, training = np.split(order, [len(order) // 5])
    mean, std = found.x[training].mean(axis=0), found.x[training].std(axis=0)
    x = (found.x - mean) / std
    return Data(x[training], found.y[training], x[test], found.y[test])


KINDS = {
    "abalone": (number_loss, number_accuracy),
    "pulsar": (binary_loss, binary_accuracy),
    "digits": (choice_loss, choice_accuracy),
}


def learn(name, settings):
    """Train the perceptron on one of the data sets."""
    rng = np.random.default_rng(settings.seed)
    data = digits(rng) if name == "digits" else table(name, settings.data, rng)
    inputs, outputs = data.x[0].size, data.y[0].size
    mlp = Mlp(rng, inputs, [64, 32], outputs)
    optimizer = Adam(mlp.parameters.values(), 0.001)
    return train(settings, rng, data, mlp, *KINDS[name], optimizer)


def run(settings):
    return each(settings, KINDS, learn)


if __name__ == "__main__":
    main(
        run,
        __doc__,
        epochs=20,
        only=KINDS,
        data="folder with abalone.csv and pulsar_stars.csv, or 'synthetic' (default: as chapters 1 and 2)",
    )
