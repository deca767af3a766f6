"""Steel plates: which of seven faults is it? A linear layer, or a perceptron, under one of three losses."""

import numpy as np
from command_line import main
from experiment import Experiment, Run, same_shape, train

from tinygrad_steel import op, sample_of, sigmoid, sigmoid_cross_entropy, softmax


# The book prints this loss, but the gradient it trains with, softmax - labels, is that of the cross entropy without the
# 1e-10. The two part where the softmax saturates, as it does on raw steel data: there this loss is flat (its derivative
# is near 0), and the book's gradient still says where to go. An op of our own keeps the book's pair together, so that
# its figures come out; for work of your own take tinygrad_steel.softmax_cross_entropy, where loss and gradient agree.
# `samples` are inputs on which an op can be tried; each vjp is the gradient for one of its inputs, in their order.
@op(
    "book_cross_entropy",
    samples=[sample_of([[0.5, -1.0, 2.0], [0.1, 0.2, -0.4]], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])],
)
def book_cross_entropy(logits, labels):
    """-sum(labels * log(softmax(logits) + 1e-10)) of each row, with the gradient softmax(logits) - labels."""
    return -np.sum(labels * np.log(softmax(logits) + 1e-10), axis=1)


book_cross_entropy.vjp(
    lambda g, y, logits, labels: np.expand_dims(g, 1) * (softmax(logits) - labels)
)
book_cross_entropy.vjp(None)  # none for the labels


def model(x, weight, bias):
    return x @ weight + bias


@same_shape
def softmax_loss(output, y):
    entropy = book_cross_entropy(output, y)
    return np.mean(entropy)


@same_shape
def sigmoid_loss(output, y):
    entropy = sigmoid_cross_entropy(output, y)
    return np.mean(entropy)


# As the book has it: the labels go through the sigmoid as well, so that 0 and 1 become 0.5 and 0.73. This loss is here
# for its figures, not as an example to follow.
@same_shape
def sigmoid_mse_loss(output, y):
    probability = sigmoid(output)
    diff = probability - sigmoid(y)
    square = np.square(diff)
    return np.mean(square)


@same_shape
def accuracy(output, y):
    """The share of right answers."""
    return np.mean(np.argmax(output, axis=1) == np.argmax(y, axis=1))


def confusion(output, y, names):
    """A row for each fault, a column for what it was taken for."""
    title = "is / taken for"
    width = max(map(len, [title, *names]))
    counts = y.T.astype(int) @ np.eye(len(names), dtype=int)[np.argmax(output, axis=1)]
    yield f"{title:{width}} {' '.join(f'{name[:6]:>6}' for name in names)}"
    for name, row in zip(names, counts):
        yield f"{name:{width}} {' '.join(f'{n:6}' for n in row)}"


LOSSES = {"softmax": softmax_loss, "sigmoid": sigmoid_loss, "sigmoid-mse": sigmoid_mse_loss}


def steel_exec(epoch_count=10, mb_size=10, report=1, loss="softmax", **options) -> Run:
    """Train and report; `loss` is one of `LOSSES`, further options as in `Settings`."""
    if loss not in LOSSES:
        raise ValueError(f"loss is one of {', '.join(LOSSES)}, not {loss!r}")
    prediction = softmax if loss == "softmax" else sigmoid
    steel = Experiment("steel", model, LOSSES[loss], accuracy, prediction, table=confusion)
    return train(steel, epoch_count, mb_size, report, **options)


if __name__ == "__main__":
    main(steel_exec, __doc__, loss=[*LOSSES])
