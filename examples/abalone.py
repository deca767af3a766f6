"""Abalone: how many rings has the shell? A linear regression, or a perceptron, with a mean square loss."""

import numpy as np
from experiment import Experiment, Trained, main, same_shape, train


def model(x, weight, bias):
    return x @ weight + bias


@same_shape
def loss(output, y):
    diff = output - y
    square = np.square(diff)
    return np.mean(square)


@same_shape
def accuracy(output, y):
    return 1 - np.mean(np.abs((output - y) / y))


def mean_absolute_error(output, y):
    """By how many rings the estimate is off."""
    return np.mean(np.abs(output - y))


def metrics(output, y, names):
    return [f"mean absolute error = {mean_absolute_error(output, y):5.3f} {names[0]}"]


def abalone_exec(epoch_count=10, mb_size=10, report=1, **settings) -> Trained:
    """Train and report; further settings as in `experiment.train`."""
    return train(
        Experiment("abalone", model, loss, accuracy, metrics),
        epoch_count,
        mb_size,
        report,
        **settings,
    )


if __name__ == "__main__":
    main(abalone_exec, __doc__)
