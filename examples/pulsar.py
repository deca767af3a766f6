"""Pulsar: is the candidate a pulsar? A logistic regression, or a perceptron, with the cross entropy of a sigmoid."""

import numpy as np
from experiment import Experiment, Trained, main, same_shape, train

from tinygrad_steel import sigmoid, sigmoid_cross_entropy


def model(x, weight, bias):
    return x @ weight + bias


@same_shape
def loss(output, y):
    entropy = sigmoid_cross_entropy(output, y)
    return np.mean(entropy)


@same_shape
def accuracy(output, y):
    return np.mean((output > 0) == (y > 0.5))


def scores(output, y):
    """Precision, recall and F1 of the pulsars; 0 where there is nothing to divide by."""
    found, true = output > 0, y > 0.5
    hits = np.sum(found & true)
    precision = hits / max(1, np.sum(found))
    recall = hits / max(1, np.sum(true))
    return precision, recall, 2 * hits / max(1, np.sum(found) + np.sum(true))


def metrics(output, y, names):
    precision, recall, f1 = scores(output, y)
    return [f"precision = {precision:5.3f}, recall = {recall:5.3f}, F1 = {f1:5.3f}"]


def pulsar_exec(epoch_count=10, mb_size=10, report=1, **settings) -> Trained:
    """Train and report; further settings as in `experiment.train`."""
    pulsar = Experiment("pulsar", model, loss, accuracy, metrics, prediction=sigmoid)
    return train(pulsar, epoch_count, mb_size, report, **settings)


if __name__ == "__main__":
    main(pulsar_exec, __doc__)
