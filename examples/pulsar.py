"""Pulsar: is the candidate a pulsar? A logistic regression, or a perceptron, with the cross entropy of a sigmoid."""

import numpy as np
from command_line import main
from experiment import Experiment, Run, same_shape, train

from tinygrad_steel import sigmoid, sigmoid_cross_entropy


def model(x, weight, bias):
    return x @ weight + bias


@same_shape
def loss(output, y):
    entropy = sigmoid_cross_entropy(output, y)
    return np.mean(entropy)


@same_shape
def accuracy(output, y):
    """The share of right answers."""
    return np.mean((output > 0) == (y > 0.5))


def scores(output, y):
    """Precision, recall and F1 of the pulsars; 0 where there is nothing to divide by."""
    found, true = output > 0, y > 0.5
    hits = np.sum(found & true)
    precision = hits / max(1, np.sum(found))
    recall = hits / max(1, np.sum(true))
    return precision, recall, 2 * hits / max(1, np.sum(found) + np.sum(true))


def metrics(output, y):
    return dict(zip(["precision", "recall", "F1"], scores(output, y)))


def pulsar_exec(epoch_count=10, mb_size=10, report=1, **options) -> Run:
    """Train and report; further options as in `Settings`."""
    pulsar = Experiment("pulsar", model, loss, accuracy, sigmoid, metrics)
    return train(pulsar, epoch_count, mb_size, report, **options)


if __name__ == "__main__":
    main(pulsar_exec, __doc__)
