"""Abalone: how many rings has the shell? A linear regression, or a perceptron, with a mean square loss."""

import numpy as np
from command_line import main
from experiment import Experiment, Run, same_shape, train


def model(x, weight, bias):
    return x @ weight + bias


@same_shape
def loss(output, y):
    diff = output - y
    square = np.square(diff)
    return np.mean(square)


@same_shape
def accuracy(output, y):
    """1 minus the mean relative error."""
    return 1 - np.mean(np.abs((output - y) / y))


def mean_absolute_error(output, y):
    return np.mean(np.abs(output - y))


def metrics(output, y):
    return {"mean absolute error in rings": mean_absolute_error(output, y)}


def abalone_exec(epoch_count=10, mb_size=10, report=1, **options) -> Run:
    """Train and report; further options as in `Settings`."""
    abalone = Experiment("abalone", model, loss, accuracy, metrics=metrics)
    return train(abalone, epoch_count, mb_size, report, **options)


if __name__ == "__main__":
    main(abalone_exec, __doc__)
