"""Regressions of one layer, and the mistakes that people make in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, each, sigmoid

from tinygrad_steel import sigmoid as sigmoid_op

GITHUB = "https://github.com/"
FORUM = "https://community.deeplearning.ai/t/"
STORED = "https://huggingface.co/datasets/nvidia/Nemotron-CC-Math-v1, a stored copy of "


# Least squares


def least_squares(draw: Draw):
    x, y = draw.data(10, 3), draw.data(10, 1)
    w, b = draw.leaf(3, 1), draw.leaf(1)
    output = x @ w + b
    diff = output - y
    loss = np.mean(np.square(diff))
    return loss, locals()


LINEAR = Model(
    "linear regression",
    least_squares,
    {
        "G_diff": lambda n: 2 * n.diff / n.diff.size,
        "G_output": lambda n: n.G_diff,
        "G_w": lambda n: n.x.T @ n.G_output,
        "G_b": lambda n: n.G_output.sum(axis=0),
    },
)

LINEAR_MISTAKES = [
    Mistake(
        "1 / n where the derivative of the mean square has 2 / n",
        GITHUB + "Open-Deep-ML/DML-OpenProblem/issues/54",
        LINEAR,
        {"G_diff": lambda n: n.diff / n.diff.size},
        "missing-factor",
        ("a factor 2 is missing",),
    ),
    Mistake(
        "the update has no 2, which the loss without 1 / 2 asks for",
        GITHUB + "Open-Deep-ML/DML-OpenProblem/issues/97",
        LINEAR,
        {"G_w": lambda n: n.x.T @ n.diff / len(n.x)},
        "missing-factor",
        ("a factor 2 is missing",),
    ),
    Mistake(
        "the gradient of the weights is a sum over the samples, not the mean",
        GITHUB + "eriklindernoren/ML-From-Scratch/issues/74",
        LINEAR,
        {"G_w": lambda n: 2 * n.x.T @ n.diff},
        "batch-size",
        ("not divided by the batch size 10",),
    ),
    Mistake(
        "the error is target minus prediction",
        GITHUB + "joelgrus/data-science-from-scratch/issues/65",
        LINEAR,
        {"G_diff": lambda n: 2 * (n.y - n.output) / n.diff.size},
        "sign",
        ("the sign is wrong",),
    ),
    Mistake(
        "the error is turned round, but not the sign of what follows",
        GITHUB + "dvgodoy/PyTorchStepByStep/issues/21",
        LINEAR,
        {
            "G_w": lambda n: 2 * (n.x * (n.y - n.output)).mean(axis=0)[:, None],
            "G_b": lambda n: 2 * (n.y - n.output).mean(axis=0),
        },
        "sign",
        ("the sign is wrong",),
    ),
    Mistake(
        "a minus of the squared target minus prediction, on prediction minus target",
        GITHUB + "oxford-cs-deepnlp-2017/lectures/issues/10",
        LINEAR,
        {"G_output": lambda n: -2 * n.diff / n.diff.size},
        "sign",
        ("the sign is wrong",),
    ),
    Mistake(
        "half of the gradient: the 1 / 2 of another loss",
        GITHUB + "42-AI/bootcamp_machine-learning/issues/20",
        LINEAR,
        {"G_w": lambda n: n.x.T @ n.diff / len(n.x), "G_b": lambda n: n.diff.mean(axis=0)},
        "missing-factor",
        ("a factor 2 is missing",),
    ),
    Mistake(
        "the example shows the updated weights, not the gradient",
        GITHUB + "42-AI/bootcamp_machine-learning/issues/64",
        LINEAR,
        {
            "G_w": lambda n: n.w - n.x.T @ n.G_output,
            "G_b": lambda n: n.b - n.G_output.sum(axis=0),
        },
        "not-the-gradient",
        ("updated", "w"),
    ),
    Mistake(
        "* where the gradient of the weights is a matrix product",
        GITHUB + "bfortuner/ml-glossary/issues/126",
        LINEAR,
        {"G_w": lambda n: n.x * n.G_output},
        "elementwise-for-dot",
        ("elementwise",),
    ),
    Mistake(
        "the gradient of the bias is the mean over the batch",
        GITHUB + "kvfrans/notes/issues/5",
        LINEAR,
        {"G_b": lambda n: n.G_output.mean(axis=0)},
        "batch-size",
        ("divided by the batch size 10 once too often",),
    ),
    Mistake(
        "the gradient of the bias is the error of each sample, not their sum",
        GITHUB + "mlpack/mlpack/pull/3679",
        LINEAR,
        {"G_b": lambda n: n.G_output},
        "broadcast-not-summed",
        ("not summed over axis 0",),
    ),
    Mistake(
        "x / 2 for the mean of squares, which is true for four elements alone",
        GITHUB + "udacity/deep-learning-v2-pytorch/pull/158",
        LINEAR,
        {"G_diff": lambda n: n.diff / 2},
        "batch-size",
        ("divided by 4 instead of the batch size 10",),
    ),
    Mistake(
        "the mean's derivative counts the elements of the result, not those of the input",
        GITHUB + "pocketpy/cTensor/pull/24",
        LINEAR,
        {"G_diff": lambda n: 2 * n.diff},
        "batch-size",
        ("not divided by the batch size 10",),
    ),
    Mistake(
        "the average is taken over n - 1",
        GITHUB + "tsoding/nn.h/issues/4",
        LINEAR,
        {"G_output": lambda n: n.G_diff * 10 / 9},
        "batch-size",
        ("divided by 10 - 1 instead of the batch size 10",),
    ),
]


# Ridge: a column of ones for the bias, which is not decayed


def ridge(draw: Draw):
    rest = draw.data(12, 4).data
    x = draw.constant(np.column_stack([np.ones(12), rest]))
    y = draw.constant(np.arange(12)[:, None] % 2)
    theta = draw.leaf(5, 1)
    z = x @ theta
    h = sigmoid_op(z)
    entropy = -(y * np.log(h) + (1 - y) * np.log(1 - h))
    weights = theta[1:]
    loss = np.mean(entropy) + 0.5 * 0.3 / 12 * np.sum(np.square(weights))
    return loss, locals()


def decay(n, rate=0.3 / 12, start=1):
    """The gradient of the decay, from a row on."""
    found = rate * n.theta
    found[:start] = 0
    return found


RIDGE = Model(
    "logistic regression with L2",
    ridge,
    {
        "G_z": lambda n: (n.h - n.y) / 12,
        "G_theta": lambda n: n.x.T @ n.G_z + decay(n),
    },
)

RIDGE_MISTAKES = [
    Mistake(
        "the decay takes element 1 out, where it is element 0 that is the bias",
        GITHUB + "dibgerge/ml-coursera-python-assignments/issues/45",
        RIDGE,
        {"G_theta": lambda n: n.x.T @ n.G_z + 0.3 / 12 * n.theta * ([[1], [0], [1], [1], [1]])},
        "l2-on-bias",
        ("only rows 0 and 1 differ",),
    ),
    Mistake(
        "ones stand where the decay of the bias is to be nothing",
        GITHUB + "JWarmenhoven/Coursera-Machine-Learning/issues/3",
        RIDGE,
        {"G_theta": lambda n: n.x.T @ n.G_z + 0.3 / 12 * np.concatenate([[[1]], n.theta[1:]])},
        "one-column-differs",
        ("only row 0 differs",),
    ),
    Mistake(
        "the bias is decayed as the weights are",
        GITHUB + "MuLabPKU/MachineLearningCourse2025/issues/13",
        RIDGE,
        {"G_theta": lambda n: n.x.T @ n.G_z + decay(n, start=0)},
        "l2-on-bias",
        ("only row 0 differs",),
    ),
    Mistake(
        "the decay of the weights but for the bias is broadcast over the bias too",
        GITHUB + "ageron/handson-ml/issues/487",
        RIDGE,
        {"G_theta": lambda n: n.x.T @ n.G_z + 0.3 / 12 * n.theta[1]},
        "l2-on-bias",
        ("theta",),
    ),
    Mistake(
        "the formula has no x: the errors alone are averaged",
        GITHUB + "fengdu78/Coursera-ML-AndrewNg-Notes/issues/82",
        RIDGE,
        {"G_theta": lambda n: n.G_z.sum() + decay(n)},
        "missing-factor",
        ("x is missing",),
    ),
    Mistake(
        "the bias goes down its gradient twice",
        GITHUB + "trekhleb/homemade-machine-learning/pull/63",
        RIDGE,
        {"G_theta": lambda n: n.x.T @ n.G_z * ([[2], [1], [1], [1], [1]]) + decay(n)},
        "one-column-differs",
        ("only row 0 differs", "2 times"),
    ),
    Mistake(
        "the decay is not divided by the number of samples",
        GITHUB + "ageron/handson-ml3/issues/118",
        RIDGE,
        {"G_theta": lambda n: n.x.T @ n.G_z + decay(n, rate=0.3)},
        "l2-rate",
        ("weights", "not divided by the batch size 12"),
    ),
]


# Logistic regression, a sample in each row


def logistic(draw: Draw):
    x, y = draw.data(10, 3), draw.constant(np.arange(10)[:, None] % 2)
    w, b = draw.leaf(3, 1), draw.leaf(1)
    z = x @ w + b
    p = sigmoid_op(z)
    entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    loss = np.mean(entropy)
    return loss, locals()


LOGISTIC = Model(
    "logistic regression",
    logistic,
    {
        "G_entropy": lambda n: each(n.entropy, 1 / 10),
        "G_p": lambda n: (-n.y / n.p + (1 - n.y) / (1 - n.p)) * n.G_entropy,
        "G_z": lambda n: n.G_p * n.p * (1 - n.p),
        "G_w": lambda n: n.x.T @ n.G_z,
        "G_b": lambda n: n.G_z.sum(axis=0),
    },
)

LOGISTIC_MISTAKES = [
    Mistake(
        "the average over the samples is left out",
        GITHUB + "eriklindernoren/ML-From-Scratch/issues/124",
        LOGISTIC,
        {"G_z": lambda n: n.p - n.y},
        "batch-size",
        ("not divided by the batch size 10",),
    ),
    Mistake(
        "sigmoid's derivative once more, where p - y has it in it",
        GITHUB + "hunkim/DeepLearningZeroToAll/issues/20",
        LOGISTIC,
        {"G_z": lambda n: (n.p - n.y) / 10 * n.p * (1 - n.p)},
        "extra-factor",
        ("the step through p is taken twice",),
    ),
    Mistake(
        "the gradient of the weights grows with the number of samples",
        GITHUB + "hunkim/DeepLearningZeroToAll/issues/173",
        LOGISTIC,
        {"G_w": lambda n: n.x.T @ (n.p - n.y)},
        "batch-size",
        ("not divided by the batch size 10",),
    ),
    Mistake(
        "the loop over the samples ends before x is multiplied: it is the last one's",
        STORED + "«GD for logistic regression isn't stable. Why?»",
        LOGISTIC,
        {"G_w": lambda n: n.G_z.sum() * n.x[-1:].T},
        "one-sample",
        ("sample",),
    ),
    Mistake(
        "target minus output, for a loss that goes down",
        GITHUB + "haifengl/smile/pull/151",
        LOGISTIC,
        {"G_z": lambda n: (n.y - n.p) / 10},
        "sign",
        ("the sign is wrong",),
    ),
    Mistake(
        "1 / n is left out in dw and db",
        STORED + "«DeepLearning.AI - Week 2 Exercise 5: Propagate»",
        LOGISTIC,
        {"G_w": lambda n: n.x.T @ (n.p - n.y), "G_b": lambda n: np.sum(n.p - n.y, axis=0)},
        "batch-size",
        ("not divided by the batch size 10",),
    ),
    Mistake(
        "sigmoid's local derivative does not take what came along",
        GITHUB + "DiffSharp/DiffSharp/issues/16",
        LOGISTIC,
        {"G_z": lambda n: n.p * (1 - n.p)},
        "derivative-alone",
        ("not multiplied with G_p",),
    ),
    Mistake(
        "both terms of the loss's derivative with the same sign",
        STORED + "«DeepLearning.AI Course 1 Week 4 Programming Assignment #2 Error»",
        LOGISTIC,
        {"G_p": lambda n: -(n.y / n.p + (1 - n.y) / (1 - n.p)) * n.G_entropy},
        "sign",
        ("the sign", "1 - p"),
    ),
    Mistake(
        "sigmoid of one minus the sigmoid of the gradient",
        GITHUB + "yizt/numpy_neural_network/issues/3",
        LOGISTIC,
        {"G_z": lambda n: sigmoid(1 - sigmoid(n.G_p))},
        "derivative-of-wrong-argument",
        ("G_p", "in place of"),
    ),
    Mistake(
        "the gradients of a batch are added up, where the loss is their mean",
        GITHUB + "davharris/mistnet/issues/33",
        LOGISTIC,
        {"G_entropy": lambda n: each(n.entropy, 1)},
        "batch-size",
        ("not divided by the batch size 10",),
    ),
]


# Logistic regression, a sample in each column


def propagate(draw: Draw):
    X, Y = draw.data(4, 9), draw.constant(np.arange(9)[None] % 2)
    w, b = draw.leaf(4, 1), draw.leaf(1, 1)
    Z = w.T @ X + b
    A = sigmoid_op(Z)
    L = -(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    J = np.mean(L)
    return J, locals()


PROPAGATE = Model(
    "logistic regression in columns",
    propagate,
    {
        "G_A": lambda n: (-n.Y / n.A + (1 - n.Y) / (1 - n.A)) / 9,
        "G_Z": lambda n: n.G_A * n.A * (1 - n.A),
        "G_w": lambda n: n.X @ n.G_Z.T,
        "G_b": lambda n: n.G_Z.sum(axis=1, keepdims=True),
    },
)

PROPAGATE_MISTAKES = [
    Mistake(
        "* between the samples and the errors, where np.dot belongs",
        FORUM + "course-1-week-2-exercise-5-propagate/119220",
        PROPAGATE,
        {"G_w": lambda n: n.X * n.G_Z},
        "elementwise-for-dot",
        ("elementwise",),
    ),
    Mistake(
        "the book's output error is multiplied with sigmoid's derivative",
        GITHUB + "rasbt/python-machine-learning-book-2nd-edition/issues/54",
        PROPAGATE,
        {"G_Z": lambda n: (n.A - n.Y) / 9 * n.A * (1 - n.A)},
        "extra-factor",
        ("the step through A is taken twice",),
    ),
]


# Hinge loss


def hinge(draw: Draw):
    x, y = draw.data(12, 4), draw.one_hot(12, 3)
    W = draw.leaf(4, 3)
    scores = x @ W
    right = np.sum(scores * y, axis=1, keepdims=True)
    margins = np.maximum(scores - right + 1, 0)
    loss = np.sum(margins * (1 - y)) / 12
    return loss, locals()


def active(n):
    """Which margins count."""
    return (n.margins > 0) * (1 - n.y)


HINGE = Model(
    "hinge loss",
    hinge,
    {
        "G_margins": lambda n: (1 - n.y) / 12,
        "G_right": lambda n: -(n.G_margins * (n.margins > 0)).sum(axis=1, keepdims=True),
        "G_scores": lambda n: n.G_margins * (n.margins > 0) + n.G_right * n.y,
        "G_W": lambda n: n.x.T @ n.G_scores,
    },
)

HINGE_MISTAKES = [
    Mistake(
        "the count of the margins is assigned to the right class, and not subtracted there",
        GITHUB + "bruceoutdoors/CS231n/issues/5",
        HINGE,
        {"G_scores": lambda n: (active(n) - n.y * (1 + active(n).sum(axis=1, keepdims=True))) / 12},
        "one-column-differs",
        ("right", "1 / 12"),
    ),
    Mistake(
        "the gradient of one sample is not multiplied with their number",
        GITHUB + "purushottamkar/ml19-20a/issues/5",
        HINGE,
        {"G_W": lambda n: n.x.T @ n.G_scores / 12},
        "batch-size",
        ("divided by the batch size 12 once too often",),
    ),
]


# Huber's loss


def huber(draw: Draw):
    x, y = draw.data(14, 3), draw.data(14, 1)
    w = draw.leaf(3, 1)
    d = x @ w - y
    size = np.abs(d)
    each_loss = np.where(size <= 0.5, 0.5 * np.square(d), 0.5 * size - 0.125)
    loss = np.mean(each_loss)
    return loss, locals()


HUBER = Model(
    "Huber's loss",
    huber,
    {
        "G_each_loss": lambda n: each(n.each_loss, 1 / 14),
        "G_d": lambda n: np.clip(n.d, -0.5, 0.5) * n.G_each_loss,
        "G_w": lambda n: n.x.T @ n.G_d,
    },
)

HUBER_MISTAKES = [
    Mistake(
        "the backward of Huber's loss leaves out the gradient that comes",
        GITHUB + "chainer/chainer/issues/1175",
        HUBER,
        {"G_d": lambda n: np.clip(n.d, -0.5, 0.5)},
        "batch-size",
        ("not divided by the batch size 14",),
    ),
    Mistake(
        "the threshold is on the difference, and not on its size",
        GITHUB + "BobMcDear/attorch/issues/13",
        HUBER,
        {"G_d": lambda n: np.where(n.d <= 0.5, n.d, 0.5) * n.G_each_loss},
        "where-swapped",
        ("d in place of size",),
        ("from a fault at G_size", "d in place of size"),
    ),
    Mistake(
        "far below the threshold neither side is taken",
        GITHUB + "marlbenchmark/on-policy/issues/47",
        HUBER,
        {"G_d": lambda n: np.where(n.size <= 0.5, n.d, np.where(n.d > 0.5, 0.5, 0)) / 14},
        "where-swapped",
        ("relu'(d)",),
    ),
    Mistake(
        "the gradient of a center loss is not divided by the batch size",
        GITHUB + "jxgu1016/MNIST_center_loss_pytorch/issues/9",
        HUBER,
        {"G_each_loss": lambda n: each(n.each_loss, 1)},
        "batch-size",
        ("not divided by the batch size 14",),
    ),
]

MISTAKES = [
    *LINEAR_MISTAKES,
    *RIDGE_MISTAKES,
    *LOGISTIC_MISTAKES,
    *PROPAGATE_MISTAKES,
    *HINGE_MISTAKES,
    *HUBER_MISTAKES,
]
