"""Deep networks of sigmoid and relu, and the mistakes that people make in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, sigmoid

from tinygrad_steel import relu
from tinygrad_steel import sigmoid as sigmoid_op

GITHUB = "https://github.com/"
FORUM = "https://community.deeplearning.ai/t/"


# Two layers of sigmoid under half a sum of squares


def two_sigmoids(draw: Draw):
    x, y = draw.data(8, 3), draw.constant(np.random.default_rng(1).integers(0, 2, (8, 2)))
    W1, W2 = draw.leaf(3, 5), draw.leaf(5, 2)
    z1 = x @ W1
    l1 = sigmoid_op(z1)
    z2 = l1 @ W2
    l2 = sigmoid_op(z2)
    error = l2 - y
    loss = 0.5 * np.sum(np.square(error))
    return loss, locals()


SIGMOIDS = Model(
    "two sigmoids under half a sum of squares",
    two_sigmoids,
    {
        "G_l2": lambda n: n.error,
        "G_z2": lambda n: n.G_l2 * n.l2 * (1 - n.l2),
        "G_W2": lambda n: n.l1.T @ n.G_z2,
        "G_l1": lambda n: n.G_z2 @ n.W2.T,
        "G_z1": lambda n: n.G_l1 * n.l1 * (1 - n.l1),
        "G_W1": lambda n: n.x.T @ n.G_z1,
    },
)


def slope(a):
    """The derivative of the sigmoid at `a`."""
    return sigmoid(a) * (1 - sigmoid(a))


SIGMOIDS_MISTAKES = [
    Mistake(
        "sigmoid's derivative of what is a sigmoid already",
        GITHUB + "PacktPublishing/Neural-Network-Projects-with-Python/issues/4",
        SIGMOIDS,
        {"G_z2": lambda n: n.G_l2 * slope(n.l2)},
        "derivative-of-wrong-argument",
        ("sigmoid(l2) in place of l2",),
    ),
    Mistake(
        "the derivative applies sigmoid once more, in each layer",
        GITHUB + "iamtrask/iamtrask.github.io/issues/32",
        SIGMOIDS,
        {"G_z2": lambda n: n.G_l2 * slope(n.l2), "G_z1": lambda n: n.G_l1 * slope(n.l1)},
        "derivative-of-wrong-argument",
        ("sigmoid(l2) in place of l2",),
    ),
    Mistake(
        "nonlin(l1, deriv) with another nonlin in it",
        GITHUB + "iamtrask/iamtrask.github.io/issues/12",
        SIGMOIDS,
        {"G_z1": lambda n: n.G_l1 * slope(n.l1)},
        "derivative-of-wrong-argument",
        ("sigmoid(l1) in place of l1",),
    ),
    Mistake(
        "x * (1 - x) of what has not gone through sigmoid",
        GITHUB + "BoltzmannEntropy/interviews.ai/issues/4",
        SIGMOIDS,
        {"G_z2": lambda n: n.G_l2 * n.z2 * (1 - n.z2)},
        "derivative-of-wrong-argument",
        ("z2 in place of l2",),
    ),
    Mistake(
        "the layer remembers its input, and the backward takes it for the output",
        GITHUB + "BoltzmannEntropy/interviews.ai/issues/15",
        SIGMOIDS,
        {"G_z1": lambda n: n.G_l1 * n.z1 * (1 - n.z1)},
        "derivative-of-wrong-argument",
        ("z1 in place of l1",),
    ),
    Mistake(
        "the derivative of a hidden layer is computed from its sums",
        GITHUB + "kyle8998/Sudo-Productivity/issues/3",
        SIGMOIDS,
        {"G_z1": lambda n: (n.G_z2 @ n.W2.T) * (n.z1 * (1 - n.z1))},
        "derivative-of-wrong-argument",
        ("z1 in place of l1",),
    ),
    Mistake(
        "dSigmoid with sigmoid in it, fed with outputs",
        GITHUB + "shiffman/Neural-Network-p5/issues/22",
        SIGMOIDS,
        {"G_z1": lambda n: n.G_l1 * slope(sigmoid(n.z1))},
        "derivative-of-wrong-argument",
        ("sigmoid(l1) in place of l1",),
    ),
    Mistake(
        "the derivative is taken of the activation, where the weighted sum belongs",
        GITHUB + "benoitfragit/libBrain/issues/78",
        SIGMOIDS,
        {"G_z2": lambda n: n.G_l2 * slope(n.l2)},
        "derivative-of-wrong-argument",
        ("sigmoid(l2) in place of l2",),
    ),
    Mistake(
        "the output error is not multiplied with the derivative of the activation",
        GITHUB + "parasdahal/tinyml/issues/1",
        SIGMOIDS,
        {"G_z2": lambda n: n.G_l2},
        "missing-derivative",
        ("handed on unchanged", "sigmoid'(z2)"),
    ),
    Mistake(
        "the last layer's delta is its error",
        GITHUB + "jiexunsee/Neural-Network-with-Python/issues/1",
        SIGMOIDS,
        {"G_z2": lambda n: n.l2 - n.y},
        "missing-derivative",
        ("handed on unchanged", "sigmoid'(z2)"),
    ),
    Mistake(
        "neither layer's delta has the derivative of the activation",
        GITHUB + "ujjwalkarn/Machine-Learning-Tutorials/pull/16",
        SIGMOIDS,
        {"G_z2": lambda n: n.G_l2, "G_z1": lambda n: n.G_l1},
        "missing-derivative",
        ("handed on unchanged", "sigmoid'(z2)"),
    ),
    Mistake(
        "the hidden layer's delta has no derivative",
        GITHUB + "louisjc/mnist-neural-network/issues/1",
        SIGMOIDS,
        {"G_z1": lambda n: n.G_l1},
        "missing-derivative",
        ("handed on unchanged", "sigmoid'(z1)"),
    ),
    Mistake(
        "the hidden errors come from the output errors, not from the output deltas",
        GITHUB + "makeyourownneuralnetwork/makeyourownneuralnetwork/issues/88",
        SIGMOIDS,
        {"G_l1": lambda n: n.G_l2 @ n.W2.T},
        "other-value",
        ("G_l2 in place of G_z2",),
    ),
    Mistake(
        "2 * (t - o) * o for the derivative of (t - o) ** 2",
        GITHUB + "makeyourownneuralnetwork/makeyourownneuralnetwork/issues/77",
        SIGMOIDS,
        {"G_l2": lambda n: n.error * n.l2},
        "extra-factor",
        ("multiplied by l2",),
        (
            "from a fault at G_z2",
            "the factor l2 is there twice",
        ),
    ),
    Mistake(
        "the weights of the output layer are changed before the hidden errors are known",
        GITHUB + "CodingTrain/Toy-Neural-Network-JS/issues/72",
        SIGMOIDS,
        {"G_l1": lambda n: n.G_z2 @ (n.W2 - 0.3 * n.G_W2).T},
        "already-updated",
        ("W2", "updated", "0.3"),
    ),
    Mistake(
        "the missing derivative of the outer layer, and weights that are updated too early",
        GITHUB + "Bot-Academy/NeuralNetworkFromScratch/pull/3",
        SIGMOIDS,
        {
            "G_z2": lambda n: n.G_l2,
            "G_l1": lambda n: n.G_z2 @ (n.W2 - 0.01 * n.G_W2).T,
        },
        "missing-derivative",
        ("handed on unchanged", "sigmoid'(z2)"),
    ),
    Mistake(
        "the deltas of a weight matrix are transposed",
        GITHUB + "iamtrask/Grokking-Deep-Learning/issues/23",
        SIGMOIDS,
        {"G_W2": lambda n: n.G_z2.T @ n.l1},
        "transposed",
        ("the transpose",),
    ),
    Mistake(
        "sigmoid's derivative for an output that has no sigmoid: the error is squared with it",
        GITHUB + "liashchynskyi/skynet/pull/1",
        SIGMOIDS,
        {"G_z1": lambda n: n.G_l1 * n.l1 * (1 - n.l1) * n.l1 * (1 - n.l1)},
        "extra-factor",
        ("twice",),
    ),
]


# Three layers of relu under a mean of squares, all hidden layers equally wide


def deep(draw: Draw):
    x, y = draw.data(11, 4), draw.data(11, 2)
    W1, b1 = draw.leaf(4, 6), draw.leaf(6)
    W2, b2 = draw.leaf(6, 6), draw.leaf(6)
    W3, b3 = draw.leaf(6, 2), draw.leaf(2)
    z1 = x @ W1 + b1
    h1 = relu(z1)
    z2 = h1 @ W2 + b2
    h2 = relu(z2)
    z3 = h2 @ W3 + b3
    diff = z3 - y
    loss = np.mean(np.square(diff))
    return loss, locals()


DEEP = Model(
    "three layers of relu",
    deep,
    {
        "G_z3": lambda n: 2 * n.diff / n.diff.size,
        "G_W3": lambda n: n.h2.T @ n.G_z3,
        "G_b3": lambda n: n.G_z3.sum(axis=0),
        "G_h2": lambda n: n.G_z3 @ n.W3.T,
        "G_z2": lambda n: n.G_h2 * (n.z2 > 0),
        "G_W2": lambda n: n.h1.T @ n.G_z2,
        "G_b2": lambda n: n.G_z2.sum(axis=0),
        "G_h1": lambda n: n.G_z2 @ n.W2.T,
        "G_z1": lambda n: n.G_h1 * (n.z1 > 0),
        "G_W1": lambda n: n.x.T @ n.G_z1,
        "G_b1": lambda n: n.G_z1.sum(axis=0),
    },
)

DEEP_MISTAKES = [
    Mistake(
        "relu's derivative is assigned to the gradient, and not multiplied with it",
        GITHUB + "haifengl/smile/issues/528",
        DEEP,
        {"G_z2": lambda n: n.z2 > 0},
        "derivative-alone",
        ("not multiplied with G_h2",),
    ),
    Mistake(
        "the mask of relu is the wrong way round",
        GITHUB + "denggaoshan/DeepLearningStudy/issues/1",
        DEEP,
        {"G_z1": lambda n: n.G_h1 * (n.z1 <= 0)},
        "where-swapped",
        ("z1 > 0 is the wrong way round",),
    ),
    Mistake(
        "a slope of 0 on the negative side hands all gradients on",
        GITHUB + "chainer/chainer/pull/5898",
        DEEP,
        {"G_z2": lambda n: n.G_h2},
        "missing-derivative",
        ("handed on unchanged", "relu'(z2)"),
    ),
    Mistake(
        "output >= 0 is true everywhere, behind a relu",
        GITHUB + "iamtrask/Grokking-Deep-Learning/issues/56",
        DEEP,
        {"G_z1": lambda n: n.G_h1 * (n.h1 >= 0)},
        "missing-derivative",
        ("handed on unchanged", "relu'(z1)"),
    ),
    Mistake(
        "relu of the gradient for the gradient of relu",
        GITHUB + "FahdSeddik/DeepLearning.AI-Natural-Language-Processing-Specialization/issues/1",
        DEEP,
        {"G_z1": lambda n: np.maximum(n.G_h1, 0)},
        "wrong-derivative",
        ("computed with G_h1 in place of z1",),
    ),
    Mistake(
        "x for 0 on the negative side of relu's derivative",
        GITHUB + "hiive/mlrose/pull/5",
        DEEP,
        {"G_z2": lambda n: n.G_h2 * np.where(n.z2 > 0, 1, n.z2)},
        "leaky-slope",
        ("z2",),
    ),
    Mistake(
        "the hidden layers go back through sigmoid's derivative",
        GITHUB + "Kulbear/deep-learning-coursera/pull/20",
        DEEP,
        {"G_z2": lambda n: n.G_h2 * slope(n.z2)},
        "wrong-derivative",
        ("sigmoid'(z2)", "relu'(z2)"),
    ),
    Mistake(
        "h * (1 - h) in every layer, whatever its activation is",
        GITHUB + "ttezel/nn/issues/8",
        DEEP,
        {"G_z1": lambda n: n.G_h1 * n.h1 * (1 - n.h1)},
        "wrong-derivative",
        ("multiplied by h1 * (1 - h1)",),
    ),
    Mistake(
        "the gradient of the layer above, under the mask of this one",
        GITHUB + "ImagineAILab/ai-by-hand-excel/issues/9",
        DEEP,
        {"G_z1": lambda n: n.G_h2 * (n.z1 > 0)},
        "other-value",
        ("G_h2 in place of G_h1",),
    ),
    Mistake(
        "the mask of the next layer",
        GITHUB + "dennybritz/nn-from-scratch/pull/3",
        DEEP,
        {"G_z1": lambda n: n.G_h1 * (n.z2 > 0)},
        "derivative-of-wrong-argument",
        ("z2 in place of z1",),
    ),
    Mistake(
        "the gradient of the weights is computed with the gradient before the activation",
        GITHUB + "hanbt/learn_dl/issues/23",
        DEEP,
        {"G_W2": lambda n: n.h1.T @ n.G_h2, "G_b2": lambda n: n.G_h2.sum(axis=0)},
        "other-value",
        ("G_h2 in place of G_z2",),
    ),
    Mistake(
        "the gradient of a broadcast difference keeps the shape of the batch",
        GITHUB + "apache/tvm/pull/2465",
        DEEP,
        {"G_b2": lambda n: n.G_z2},
        "broadcast-not-summed",
        ("not summed over axis 0",),
    ),
    Mistake(
        "the gradient of a row vector has the shape of the sum",
        GITHUB + "deeplearning4j/nd4j/issues/2424",
        DEEP,
        {"G_b3": lambda n: n.G_z3},
        "broadcast-not-summed",
        ("not summed over axis 0",),
    ),
    Mistake(
        "an update with W2 in place of its gradient, as in the video",
        GITHUB + "udacity/sdc-issue-reports/issues/469",
        DEEP,
        {"G_W2": lambda n: n.W2},
        "not-the-gradient",
        ("this is W2 itself",),
    ),
]


# All matrices square, so that no shape gives a mistake away


def square(draw: Draw):
    x, y = draw.data(5, 5), draw.data(5, 5)
    W1, b1 = draw.leaf(5, 5), draw.leaf(5)
    W2 = draw.leaf(5, 5)
    z1 = x @ W1 + b1
    h1 = np.tanh(z1)
    z2 = h1 @ W2
    diff = z2 - y
    loss = np.mean(np.square(diff))
    return loss, locals()


SQUARE = Model(
    "all matrices square",
    square,
    {
        "G_z2": lambda n: 2 * n.diff / 25,
        "G_W2": lambda n: n.h1.T @ n.G_z2,
        "G_h1": lambda n: n.G_z2 @ n.W2.T,
        "G_z1": lambda n: n.G_h1 * (1 - n.h1**2),
        "G_W1": lambda n: n.x.T @ n.G_z1,
        "G_b1": lambda n: n.G_z1.sum(axis=0),
    },
)

SQUARE_MISTAKES = [
    Mistake(
        "the second operand of the product is not transposed",
        GITHUB + "tile-ai/TileOPs/pull/54",
        SQUARE,
        {"G_h1": lambda n: n.G_z2 @ n.W2},
        "transposed",
        ("G_z2 @ W2 instead of G_z2 @ W2.T",),
    ),
    Mistake(
        "the wrong operand is transposed in the gradient of the weights",
        GITHUB + "HomericIntelligence/Odyssey/issues/2136",
        SQUARE,
        {"G_W1": lambda n: n.x @ n.G_z1.T},
        "transposed",
        ("x @ G_z1.T instead of x.T @ G_z1",),
    ),
    Mistake(
        "the outer product of input and delta is transposed",
        GITHUB + "iamtrask/Grokking-Deep-Learning/pull/22",
        SQUARE,
        {"G_W1": lambda n: n.G_z1.T @ n.x},
        "transposed",
        ("the transpose",),
    ),
    Mistake(
        "the errors of each sample are added up, and not those of each unit",
        GITHUB + "snuspl/cruise/issues/800",
        SQUARE,
        {"G_b1": lambda n: n.G_z1.sum(axis=1)},
        "wrong-axis",
        ("summed over axis 1 instead of axis 0",),
    ),
    Mistake(
        "the mean of the bias is taken along the wrong axis",
        GITHUB + "deeplearning4j/deeplearning4j/pull/364",
        SQUARE,
        {"G_b1": lambda n: n.G_z1.mean(axis=1)},
        "wrong-axis",
        ("axis 1 instead of axis 0", "divided by the batch size 5"),
    ),
    Mistake(
        "* for np.dot between the errors and the inputs of the layer",
        FORUM + "building-your-deep-neural-network-step-by-step-error-debugging/674897/8",
        SQUARE,
        {"G_W2": lambda n: n.G_z2 * n.h1.T},
        "elementwise-for-dot",
        ("elementwise",),
    ),
    Mistake(
        "* for np.dot between the weights and the errors",
        FORUM + "week-3-exercise-6-cost-function/723602/2",
        SQUARE,
        {"G_h1": lambda n: n.W2.T * n.G_z2},
        "elementwise-for-dot",
        ("elementwise",),
    ),
    Mistake(
        "the derivative is transposed before it is multiplied",
        FORUM + "wrong-values-for-dw1/85937",
        SQUARE,
        {"G_z1": lambda n: n.G_h1 * (1 - n.h1**2).T},
        "transposed",
        ("h1", "transpose"),
    ),
    Mistake(
        "axes of size 1 are told from others by the wrong index",
        GITHUB + "HomericIntelligence/Odyssey/pull/2080",
        SQUARE,
        {"G_b1": lambda n: n.G_z1.sum(axis=-1)},
        "wrong-axis",
        ("summed over axis 1 instead of axis 0",),
    ),
]

MISTAKES = [*SIGMOIDS_MISTAKES, *DEEP_MISTAKES, *SQUARE_MISTAKES]
