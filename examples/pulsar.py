"""Pulsar: is the candidate a pulsar? A logistic regression with the cross entropy of a sigmoid."""

import numpy as np
from experiment import Experiment, Trained, main, same_shape, train

from tinygrad_steel import sigmoid_cross_entropy


def model(x, weight, bias):
    return x @ weight + bias


@same_shape
def loss(output, y):
    entropy = sigmoid_cross_entropy(output, y)
    return np.mean(entropy)


@same_shape
def accuracy(output, y):
    return np.mean((output > 0) == (y > 0.5))


def pulsar_exec(epoch_count=10, mb_size=10, report=1, **settings) -> Trained:
    """Train and report; further settings as in `experiment.train`."""
    return train(Experiment("pulsar", model, loss, accuracy), epoch_count, mb_size, report, **settings)


if __name__ == "__main__":
    main(pulsar_exec, __doc__)
