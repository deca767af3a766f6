"""Classifiers with a softmax, and the mistakes that people make in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, softmax

from tinygrad_steel import log_softmax, softmax_cross_entropy
from tinygrad_steel import sigmoid as sigmoid_op
from tinygrad_steel import softmax as softmax_op

GITHUB = "https://github.com/"
FORUM = "https://community.deeplearning.ai/t/"
STORED = "https://huggingface.co/datasets/nvidia/Nemotron-CC-Math-v1, a stored copy of "


# A hidden layer of tanh under a softmax, a sample in each row


def in_rows(draw: Draw):
    x, y = draw.data(10, 5), draw.one_hot(10, 4)
    W1, b1 = draw.leaf(5, 6), draw.leaf(6)
    W2, b2 = draw.leaf(6, 4), draw.leaf(4)
    z1 = x @ W1 + b1
    h1 = np.tanh(z1)
    z2 = h1 @ W2 + b2
    entropy = softmax_cross_entropy(z2, y)
    loss = np.mean(entropy)
    return loss, locals()


ROWS = Model(
    "tanh and softmax in rows",
    in_rows,
    {
        "G_z2": lambda n: (softmax(n.z2) - n.y) / 10,
        "G_W2": lambda n: n.h1.T @ n.G_z2,
        "G_b2": lambda n: n.G_z2.sum(axis=0),
        "G_h1": lambda n: n.G_z2 @ n.W2.T,
        "G_z1": lambda n: n.G_h1 * (1 - n.h1**2),
        "G_W1": lambda n: n.x.T @ n.G_z1,
        "G_b1": lambda n: n.G_z1.sum(axis=0),
    },
)


def updated(n):
    """The weights of the second layer after a step down their gradient."""
    return n.W2 - 0.1 * n.G_W2


ROWS_MISTAKES = [
    Mistake(
        "the error is multiplied with p * (1 - p), which cancels under the cross entropy",
        GITHUB + "scikit-learn/scikit-learn/issues/7122",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2) - n.y) / 10 * softmax(n.z2) * (1 - softmax(n.z2))},
        "extra-factor",
        ("softmax(z2) * (1 - softmax(z2))",),
    ),
    Mistake(
        "softmax is taken for a kind of sigmoid, and multiplied with a * (1 - a)",
        GITHUB + "rasmusbergpalm/DeepLearnToolbox/issues/113",
        ROWS,
        {"G_z2": lambda n: -(n.y - softmax(n.z2)) / 10 * (softmax(n.z2) * (1 - softmax(n.z2)))},
        "extra-factor",
        ("softmax(z2) * (1 - softmax(z2))",),
    ),
    Mistake(
        "labels that start at 1 are encoded as if they started at 0",
        GITHUB + "hunkim/DeepLearningZeroToAll/issues/20",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2) - np.pad(n.y, ((0, 0), (1, 0)))[:, :-1]) / 10},
        "labels-off-by-one",
        ("labels", "off by one"),
    ),
    Mistake(
        "the label 6 becomes the sixth element, which stands for 5",
        GITHUB + "googlecodelabs/feedback/issues/219",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2) - np.roll(n.y, -1, axis=1)) / 10},
        "labels-off-by-one",
        ("labels", "off by one"),
    ),
    Mistake(
        "the one-hot labels are shifted by a half",
        GITHUB + "Trel725/forward-forward/issues/1",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2) - (n.y - 0.5)) / 10},
        "labels-off-by-one",
        ("y - 0.5 in place of y",),
    ),
    Mistake(
        "softmax along the samples",
        GITHUB + "perone/euclidesdb/issues/2",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2, axis=0) - n.y) / 10},
        "softmax-wrong-axis",
        ("softmax along axis 0 instead of axis -1",),
    ),
    Mistake(
        "softmax over all elements of the batch",
        GITHUB + "deeplearning4j/nd4j/issues/44",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2.ravel()).reshape(10, 4) - n.y) / 10},
        "softmax-wrong-axis",
        ("softmax", "all"),
    ),
    Mistake(
        "the gradient does not know of the mean in the loss",
        GITHUB + "tensorflow/swift-apis/pull/42",
        ROWS,
        {"G_z2": lambda n: softmax(n.z2) - n.y},
        "batch-size",
        ("not divided by the batch size 10",),
    ),
    Mistake(
        "divided by the number of elements, where the loss averages over the samples",
        GITHUB + "victorlempitsky/Mate/issues/2",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2) - n.y) / n.z2.size},
        "batch-size",
        ("divided by the number of elements 40 instead of the batch size 10",),
    ),
    Mistake(
        "the mean of the loss has been taken already",
        GITHUB + "tech-srl/code2seq/pull/9",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2) - n.y) / 10 / 10},
        "batch-size",
        ("divided by the batch size 10 once too often",),
    ),
    Mistake(
        "the gradient of softmax is off by a factor of two",
        GITHUB + "markroxor/fromscratchtoml/issues/65",
        ROWS,
        {"G_z2": lambda n: 2 * (softmax(n.z2) - n.y) / 10},
        "extra-factor",
        ("a factor 2 too much",),
    ),
    Mistake(
        "a plus where tanh's derivative has its minus",
        GITHUB + "gy910210/neural-network-from-scratch/issues/2",
        ROWS,
        {"G_z1": lambda n: n.G_h1 * (1 + n.h1**2)},
        "sign",
        ("the sign of h1 * h1 is wrong",),
    ),
    Mistake(
        "dot with the updated weights: the update comes before the gradient goes through",
        GITHUB + "VikParuchuri/zero_to_gpt/issues/12",
        ROWS,
        {"G_h1": lambda n: n.G_z2 @ updated(n).T},
        "already-updated",
        ("W2", "updated", "0.1"),
    ),
    Mistake(
        "the deltas of the hidden layer are computed with the new weights of the output layer",
        GITHUB + "joelgrus/data-science-from-scratch/issues/31",
        ROWS,
        {"G_h1": lambda n: n.G_z2 @ (n.W2 - 0.5 * n.G_W2).T},
        "already-updated",
        ("W2", "updated", "0.5"),
    ),
    Mistake(
        "one sum over the errors of all classes for each of the biases",
        GITHUB + "rasbt/stat453-deep-learning-ss21/issues/5",
        ROWS,
        {"G_b2": lambda n: np.sum(n.G_z2)},
        "wrong-axis",
        ("summed over axes (0, 1) instead of axis 0",),
    ),
    Mistake(
        "the biases get a gradient for each sample, and grow to its shape",
        GITHUB + "jimfleming/differentiation/issues/1",
        ROWS,
        {"G_b1": lambda n: n.G_z1},
        "broadcast-not-summed",
        ("not summed over axis 0",),
    ),
    Mistake(
        "tanh's derivative is taken at the gradient, and the gradient left out",
        GITHUB + "yizt/numpy_neural_network/issues/6",
        ROWS,
        {"G_z1": lambda n: 1 - np.tanh(n.G_h1) ** 2},
        "derivative-of-wrong-argument",
        ("tanh'(G_h1) alone", "not multiplied with G_h1"),
    ),
    Mistake(
        "1 - z * z, for a z that tanh has not been applied to",
        GITHUB + "lazyprogrammer/facial-expression-recognition/issues/2",
        ROWS,
        {"G_z1": lambda n: n.G_h1 * (1 - n.z1**2)},
        "derivative-of-wrong-argument",
        ("z1 in place of h1",),
    ),
    Mistake(
        "the derivative of the arc tangent for that of tanh",
        GITHUB + "neowsl/rust-ml/issues/3",
        ROWS,
        {"G_z1": lambda n: n.G_h1 / (1 + n.z1**2)},
        "wrong-derivative",
        ("arctan'(z1)", "tanh'(z1)"),
    ),
    Mistake(
        "tanh_d computes tanh",
        GITHUB + "andersbll/nnet/issues/4",
        ROWS,
        {"G_z1": lambda n: n.G_h1 * n.h1},
        "wrong-derivative",
        ("h1 in place of",),
    ),
    Mistake(
        "the table of derivatives has no 1 before the square",
        GITHUB + "scutan90/DeepLearning-500-questions/issues/544",
        ROWS,
        {"G_z1": lambda n: n.G_h1 * -(n.h1**2)},
        "missing-term",
        ("`1 -` is missing in 1 - h1 * h1", "the sign is wrong"),
    ),
    Mistake(
        "exp in place of pow",
        GITHUB + "cazala/synaptic/pull/276",
        ROWS,
        {"G_z1": lambda n: n.G_h1 * (1 - np.exp(n.h1))},
        "wrong-derivative",
        ("(1 - exp(h1)) instead of tanh'(z1)",),
    ),
    Mistake(
        "a gradient that knows the input multiplies with the derivative of what is the output",
        GITHUB + "apache/mxnet/pull/4316",
        ROWS,
        {"G_z1": lambda n: n.G_h1 * (1 - np.tanh(n.h1) ** 2)},
        "derivative-of-wrong-argument",
        ("tanh(h1) in place of h1",),
    ),
    Mistake(
        "missing parentheses: the gradient is multiplied with the 1 alone",
        GITHUB + "apache/tvm/pull/7340",
        ROWS,
        {"G_z1": lambda n: n.G_h1 * 1 - n.h1 * n.h1},
        "missing-factor",
        ("G_h1", "h1 * h1"),
    ),
    Mistake(
        "the derivative of the activation gets lost on the way back",
        GITHUB + "SciML/SciMLBook/issues/164",
        ROWS,
        {"G_z1": lambda n: n.G_h1},
        "missing-derivative",
        ("handed on unchanged", "tanh'(z1)"),
    ),
    Mistake(
        "the gradient of the first weights takes that of the activation, not of the sum",
        GITHUB + "arthurdouillard/deepcourse/issues/6",
        ROWS,
        {"G_W1": lambda n: n.x.T @ n.G_h1},
        "other-value",
        ("G_h1 in place of G_z1",),
    ),
    Mistake(
        "each backward pass forgets what the samples before it have brought",
        GITHUB + "karpathy/convnetjs/issues/17",
        ROWS,
        {"G_W2": lambda n: np.outer(n.h1[-1], n.G_z2[-1]), "G_b2": lambda n: n.G_z2[-1]},
        "one-sample",
        ("sample 9",),
    ),
    Mistake(
        "the inputs of a batch are averaged before the product",
        GITHUB + "FesianXu/AI_Blog/issues/1",
        ROWS,
        {"G_W1": lambda n: np.outer(n.x.mean(axis=0), n.G_z1.sum(axis=0))},
        "one-sample",
        ("mean", "x"),
    ),
    Mistake(
        "the weights stand in the update where their gradient belongs",
        GITHUB + "udacity/sdc-issue-reports/issues/75",
        ROWS,
        {"G_W2": lambda n: n.W2},
        "not-the-gradient",
        ("this is W2 itself",),
    ),
    Mistake(
        "momentum takes the biases in place of their gradients",
        GITHUB + "apache/systemds/pull/2330",
        ROWS,
        {"G_b1": lambda n: n.b1},
        "not-the-gradient",
        ("this is b1 itself",),
    ),
    Mistake(
        "grad_w2.T where w2.T belongs",
        GITHUB + "jcjohnson/pytorch-examples/issues/5",
        ROWS,
        {"G_h1": lambda n: n.G_z2 @ n.G_W2.T},
        "other-value",
        ("G_W2 in place of W2",),
    ),
    Mistake(
        "the operator does not multiply with the gradient that it receives",
        GITHUB + "PaddlePaddle/Paddle/issues/5395",
        ROWS,
        {"G_z2": lambda n: softmax(n.z2) - n.y},
        "batch-size",
        ("not divided by the batch size 10",),
    ),
    Mistake(
        "divided by the number of slices, which is not that of the samples",
        GITHUB + "deeplearning4j/deeplearning4j/pull/1452",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2) - n.y) / 4},
        "batch-size",
        ("divided by the number of classes 4 instead of the batch size 10",),
    ),
    Mistake(
        "an average once more in the gradient of the weights, though the loss is one",
        GITHUB + "apache/mxnet/issues/2427",
        ROWS,
        {"G_W1": lambda n: n.x.T @ n.G_z1 / 10},
        "batch-size",
        ("divided by the batch size 10 once too often",),
    ),
    Mistake(
        "the errors are divided by the size of all data, and not of the batch",
        GITHUB + "lipiji/rnn-theano/pull/3",
        ROWS,
        {"G_z2": lambda n: (softmax(n.z2) - n.y) / 600},
        "batch-size",
        ("divided by 600 instead of the batch size 10",),
    ),
]


# A hidden layer of tanh under a sigmoid, a sample in each column


def in_columns(draw: Draw):
    X, Y = draw.data(3, 9), draw.constant(np.arange(9)[None] % 2)
    W1, b1 = draw.leaf(5, 3), draw.leaf(5, 1)
    W2, b2 = draw.leaf(1, 5), draw.leaf(1, 1)
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid_op(Z2)
    L = -(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    J = np.mean(L)
    return J, locals()


COLUMNS = Model(
    "tanh and sigmoid in columns",
    in_columns,
    {
        "G_Z2": lambda n: (n.A2 - n.Y) / 9,
        "G_W2": lambda n: n.G_Z2 @ n.A1.T,
        "G_b2": lambda n: n.G_Z2.sum(axis=1, keepdims=True),
        "G_A1": lambda n: n.W2.T @ n.G_Z2,
        "G_Z1": lambda n: n.G_A1 * (1 - n.A1**2),
        "G_W1": lambda n: n.G_Z1 @ n.X.T,
        "G_b1": lambda n: n.G_Z1.sum(axis=1, keepdims=True),
    },
)

COLUMNS_MISTAKES = [
    Mistake(
        "1 / m in the hidden layer's errors too",
        FORUM
        + "course-1-week-3-planar-assignment-4-5-exercise-6-backward-propagation-error-for-dw1"
        "-values/63071",
        COLUMNS,
        {"G_Z1": lambda n: n.G_A1 * (1 - n.A1**2) / 9},
        "batch-size",
        ("divided by the batch size 9 once too often",),
    ),
    Mistake(
        "the square of Z1, where tanh's derivative has that of A1",
        FORUM + "c1w3a1-backward-propagation-valueerror-operands-could-not-be-broadcast-together-"
        "with-shapes-7-9-9-7/31965",
        COLUMNS,
        {"G_Z1": lambda n: n.G_A1 * (1 - n.Z1**2)},
        "derivative-of-wrong-argument",
        ("Z1 in place of A1",),
    ),
    Mistake(
        "g'(Z1) is read as g' times Z1",
        FORUM + "wrong-values-for-dw1/85937",
        COLUMNS,
        {"G_Z1": lambda n: n.G_A1 * (1 - n.A1**2) * n.Z1},
        "extra-factor",
        ("multiplied by Z1",),
    ),
    Mistake(
        "dW2 for W2",
        FORUM + "w3-ex-6-assertionerror-wrong-values-for-dw1/402919",
        COLUMNS,
        {"G_A1": lambda n: n.G_W2.T @ n.G_Z2},
        "other-value",
        ("G_W2 in place of W2",),
    ),
    Mistake(
        "np.dot for the product with the derivative, and for the square in it",
        FORUM + "w3-ex-6-assertionerror-wrong-values-for-dw1/402919",
        COLUMNS,
        {"G_Z1": lambda n: n.G_A1 @ (1 - n.A1.T @ n.A1)},
        "dot-for-elementwise",
        ("matrix product",),
    ),
    Mistake(
        "the errors are the sums of the formula, without a mean",
        GITHUB + "SkalskiP/ILearnDeepLearning.py/issues/29",
        COLUMNS,
        {"G_W2": lambda n: (n.A2 - n.Y) @ n.A1.T, "G_b2": lambda n: np.sum(n.A2 - n.Y, 1)[:, None]},
        "batch-size",
        ("not divided by the batch size 9",),
    ),
    Mistake(
        "a factor 2 has been left in the gradient of the weights",
        GITHUB + "bighuang624/Andrew-Ng-Deep-Learning-notes/issues/10",
        COLUMNS,
        {"G_W2": lambda n: n.G_Z2 @ n.A1.T * 2},
        "extra-factor",
        ("a factor 2 too much",),
    ),
    Mistake(
        "4 / m in the gradient of the bias",
        GITHUB + "bighuang624/Andrew-Ng-Deep-Learning-notes/issues/10",
        COLUMNS,
        {"G_b1": lambda n: 4 * n.G_Z1.sum(axis=1, keepdims=True)},
        "extra-factor",
        ("4 times too large everywhere", "a factor 4 too much"),
    ),
    Mistake(
        "the gradient of the bias is the sum of the rows of the weights' gradient",
        GITHUB + "rust0258/Deeplearning.ai-Natural-Language-Processing-Specialization/issues/64",
        COLUMNS,
        {"G_b1": lambda n: (n.G_Z1 @ n.X.T).sum(axis=1, keepdims=True)},
        "other-value",
        ("G_W1 in place of G_Z1",),
    ),
    Mistake(
        "the hidden errors go through relu, where relu's derivative was meant",
        FORUM + "incorrect-backprop-equations-nlp-course-2-week-4/303955",
        COLUMNS,
        {"G_Z1": lambda n: np.maximum(n.G_A1, 0)},
        "wrong-derivative",
        ("relu'(G_A1)",),
    ),
    Mistake(
        "the error goes back through weights that have been updated already",
        GITHUB + "kim-marcel/basic_neural_network/issues/7",
        COLUMNS,
        {"G_A1": lambda n: (n.W2 - 0.2 * n.G_W2).T @ n.G_Z2},
        "already-updated",
        ("W2", "updated", "0.2"),
    ),
    Mistake(
        "the argument of g' is taken for a factor",
        FORUM + "w3-a1-dimensional-analysis-shapes-not-aligned/290850",
        COLUMNS,
        {"G_Z1": lambda n: n.G_A1 * (n.Z1 * (1 - n.A1**2))},
        "extra-factor",
        ("multiplied by Z1",),
    ),
]


# Softmax regression, where the loss is a sum


def summed(draw: Draw):
    x, y = draw.data(10, 5), draw.one_hot(10, 4)
    W, b = draw.leaf(5, 4), draw.leaf(4)
    z = x @ W + b
    entropy = softmax_cross_entropy(z, y)
    loss = np.sum(entropy)
    return loss, locals()


SUMMED = Model(
    "softmax regression with a sum",
    summed,
    {
        "G_z": lambda n: softmax(n.z) - n.y,
        "G_W": lambda n: n.x.T @ n.G_z,
        "G_b": lambda n: n.G_z.sum(axis=0),
    },
)

SUMMED_MISTAKES = [
    Mistake(
        "the loss is a sum, and its gradient is divided by the batch size all the same",
        GITHUB + "paiml/aprender/pull/2182",
        SUMMED,
        {"G_z": lambda n: (softmax(n.z) - n.y) / 10},
        "batch-size",
        ("divided by the batch size 10 once too often",),
    ),
    Mistake(
        "the average of the errors, which are added up in the loss",
        GITHUB + "fetchai/ledger/pull/1580",
        SUMMED,
        {"G_W": lambda n: n.x.T @ n.G_z / 10, "G_b": lambda n: n.G_z.mean(axis=0)},
        "batch-size",
        ("divided by the batch size 10 once too often",),
    ),
]


# A softmax written out, step by step


def staged(draw: Draw):
    x, y = draw.data(9, 5), draw.one_hot(9, 3)
    W = draw.leaf(5, 3)
    z = x @ W
    e = np.exp(z)
    total = np.sum(e, axis=1, keepdims=True)
    p = e / total
    logs = -np.log(p)
    loss = np.sum(logs * y) / 9
    return loss, locals()


STAGED = Model(
    "softmax in stages",
    staged,
    {
        "G_logs": lambda n: n.y / 9,
        "G_p": lambda n: -n.G_logs / n.p,
        "G_total": lambda n: -(n.G_p * n.e / n.total**2).sum(axis=1, keepdims=True),
        "G_e": lambda n: n.G_p / n.total + n.G_total,
        "G_z": lambda n: n.G_e * n.e,
        "G_W": lambda n: n.x.T @ n.G_z,
    },
)

STAGED_MISTAKES = [
    Mistake(
        "the gradient of the denominator is not summed over the classes",
        STORED + "«Softmax Derivative Staged Computation»",
        STAGED,
        {"G_total": lambda n: -n.G_p * n.e / n.total**2},
        "broadcast-not-summed",
        ("not summed over axis 1",),
        (
            "from a fault at G_z",
            "the diagonal of softmax's Jacobian alone",
        ),
    ),
    Mistake(
        "= where += belongs: exp's input gets the gradient of the last use alone",
        GITHUB + "karpathy/nn-zero-to-hero/issues/52",
        STAGED,
        {"G_e": lambda n: n.G_p / n.total},
        "fan-out-overwritten",
        ("the gradient that comes through total is missing",),
    ),
    Mistake(
        "the derivative of exp is taken to be its input",
        GITHUB + "karpathy/nn-zero-to-hero/issues/52",
        STAGED,
        {"G_z": lambda n: n.G_e * n.z},
        "derivative-of-wrong-argument",
        ("z in place of e",),
    ),
    Mistake(
        "the gradient of a log of probabilities has lost its minus",
        GITHUB + "peterroelants/peterroelants.github.io/pull/24",
        STAGED,
        {"G_p": lambda n: n.G_logs / n.p},
        "sign",
        ("the sign is wrong",),
    ),
]


# The mean square of a softmax


def softmax_square(draw: Draw):
    x, y = draw.data(9, 5), draw.one_hot(9, 4)
    W = draw.leaf(5, 4)
    z = x @ W
    p = softmax_op(z)
    diff = p - y
    loss = np.mean(np.square(diff))
    return loss, locals()


SQUARED = Model(
    "mean square of a softmax",
    softmax_square,
    {
        "G_p": lambda n: 2 * n.diff / n.diff.size,
        "G_z": lambda n: n.p * (n.G_p - (n.G_p * n.p).sum(axis=1, keepdims=True)),
        "G_W": lambda n: n.x.T @ n.G_z,
    },
)

SQUARED_MISTAKES = [
    Mistake(
        "the diagonal of softmax's derivative alone",
        GITHUB + "deeplearning4j/libnd4j/issues/440",
        SQUARED,
        {"G_z": lambda n: n.G_p * n.p * (1 - n.p)},
        "softmax-jacobian",
        ("the diagonal of softmax's Jacobian alone",),
    ),
    Mistake(
        "the dot product in softmax's derivative is left out",
        GITHUB + "HomericIntelligence/Odyssey/issues/2134",
        SQUARED,
        {"G_z": lambda n: n.G_p * n.p},
        "softmax-jacobian",
        ("`- sum(G_p * p, axis=-1, keepdims=True)` is missing",),
    ),
    Mistake(
        "the input where the derivative has the result, and p - 1 for 1 - p",
        GITHUB + "eriklindernoren/ML-From-Scratch/issues/71",
        SQUARED,
        {"G_z": lambda n: n.G_p * n.z * (n.p - 1)},
        "softmax-jacobian",
        ("z * (1 - p)",),
    ),
    Mistake(
        "value * (1 - input) on the diagonal",
        "https://readforlearn.com/numpy-calculate-the-derivative-of-the-softmax-function/",
        SQUARED,
        {"G_z": lambda n: n.G_p * n.p * (1 - n.z)},
        "softmax-jacobian",
        ("p * (1 - z)",),
    ),
    Mistake(
        "softmax of the gradient in place of that of the logits",
        "https://offlinew.com/q/q/3383959922",
        SQUARED,
        {"G_z": lambda n: softmax(n.G_p) * (1 - softmax(n.G_p))},
        "softmax-jacobian",
        ("softmax(G_p)",),
    ),
    Mistake(
        "softmax normalizes along the batch, and so does the sum in its derivative",
        GITHUB + "ethanfetaya/NRI/issues/25",
        SQUARED,
        {"G_z": lambda n: n.p * (n.G_p - (n.G_p * n.p).sum(axis=0))},
        "softmax-wrong-axis",
        ("sum along axis 0 instead of axis -1",),
    ),
]


# A log softmax


def log_probabilities(draw: Draw):
    x, y = draw.data(9, 5), draw.one_hot(9, 4)
    W = draw.leaf(5, 4)
    z = x @ W
    logp = log_softmax(z)
    loss = -np.sum(y * logp) / 9
    return loss, locals()


LOGARITHM = Model(
    "log softmax",
    log_probabilities,
    {
        "G_logp": lambda n: -n.y / 9,
        "G_z": lambda n: n.G_logp - softmax(n.z) * n.G_logp.sum(axis=1, keepdims=True),
        "G_W": lambda n: n.x.T @ n.G_z,
    },
)

LOGARITHM_MISTAKES = [
    Mistake(
        "softmax is added to the gradient, without its sum",
        GITHUB + "mlpack/mlpack/issues/2360",
        LOGARITHM,
        {"G_z": lambda n: n.G_logp + softmax(n.z)},
        "missing-factor",
        ("the sum", "is missing"),
    ),
    Mistake(
        "log softmax along the samples",
        GITHUB + "MicrosoftDocs/pytorchfundamentals/pull/21",
        LOGARITHM,
        {"G_z": lambda n: n.G_logp - softmax(n.z, axis=0) * n.G_logp.sum(axis=0)},
        "softmax-wrong-axis",
        ("axis 0 instead of axis -1",),
    ),
]


# Softmax regression with weight decay


def decayed(draw: Draw):
    x, y = draw.data(10, 5), draw.one_hot(10, 3)
    W, b = draw.leaf(5, 3), draw.leaf(3)
    z = x @ W + b
    entropy = softmax_cross_entropy(z, y)
    loss = np.mean(entropy) + 0.05 * np.sum(np.square(W))
    return loss, locals()


DECAY = Model(
    "softmax regression with weight decay",
    decayed,
    {
        "G_z": lambda n: (softmax(n.z) - n.y) / 10,
        "G_W": lambda n: n.x.T @ n.G_z + 0.1 * n.W,
        "G_b": lambda n: n.G_z.sum(axis=0),
    },
)

DECAY_MISTAKES = [
    Mistake(
        "reg * W for the derivative of reg * W * W",
        GITHUB + "jingtinghuang/CS231n-Spring-2017/issues/3",
        DECAY,
        {"G_W": lambda n: n.x.T @ n.G_z + 0.05 * n.W},
        "l2-rate",
        ("square(W)", "a factor 2 is missing"),
    ),
    Mistake(
        "the decay stands in the step of the optimizer, and not in the gradient",
        GITHUB + "airbnb/aerosolve/pull/97",
        DECAY,
        {"G_W": lambda n: n.x.T @ n.G_z},
        "l2-missing",
        ("the gradient that comes through square(W) is missing",),
    ),
    Mistake(
        "the biases are decayed as the weights are",
        GITHUB + "rasmusbergpalm/DeepLearnToolbox/issues/32",
        DECAY,
        {"G_b": lambda n: n.G_z.sum(axis=0) + 0.1 * n.b},
        "l2-on-bias",
        ("0.1 * b", "too much"),
    ),
    Mistake(
        "the decay counts double, since its square brings a 2",
        GITHUB + "titu1994/DenseNet/issues/57",
        DECAY,
        {"G_W": lambda n: n.x.T @ n.G_z + 0.2 * n.W},
        "l2-rate",
        ("square(W)", "a factor 2 too much"),
    ),
    Mistake(
        "minus the weight decay",
        GITHUB + "andersbll/nnet/issues/4",
        DECAY,
        {"G_W": lambda n: n.x.T @ n.G_z - 0.1 * n.W},
        "sign",
        ("square(W)", "the sign is wrong"),
    ),
    Mistake(
        "the sum over the samples is not averaged, the decay is right",
        GITHUB + "stephencwelch/Neural-Networks-Demystified/issues/15",
        DECAY,
        {"G_W": lambda n: n.x.T @ (softmax(n.z) - n.y) + 0.1 * n.W},
        "batch-size",
        ("through x @ W", "not divided by the batch size 10"),
    ),
    Mistake(
        "the penalty itself for its derivative",
        GITHUB + "ddbourgin/numpy-ml/issues/26",
        DECAY,
        {"G_W": lambda n: n.x.T @ n.G_z + 0.05 * np.sum(n.W**2)},
        "wrong-derivative",
        ("square(W)",),
    ),
    Mistake(
        "lambda without the weights",
        GITHUB + "rasbt/python-machine-learning-book-2nd-edition/issues/94",
        DECAY,
        {"G_W": lambda n: n.x.T @ n.G_z + 0.1},
        "missing-factor",
        ("the factor W is missing",),
    ),
]


# Two layers with weight decay on all parameters


def decayed_all(draw: Draw):
    x, y = draw.data(10, 5), draw.one_hot(10, 3)
    W, b = draw.leaf(5, 3), draw.leaf(3)
    z = x @ W + b
    entropy = softmax_cross_entropy(z, y)
    loss = np.mean(entropy) + 0.05 * (np.sum(W * W) + np.sum(b * b))
    return loss, locals()


DECAY_ALL = Model(
    "softmax regression with decay of the bias",
    decayed_all,
    {
        "G_z": lambda n: (softmax(n.z) - n.y) / 10,
        "G_W": lambda n: n.x.T @ n.G_z + 0.1 * n.W,
        "G_b": lambda n: n.G_z.sum(axis=0) + 0.1 * n.b,
    },
)

DECAY_ALL_MISTAKES = [
    Mistake(
        "the loss decays the biases, their gradients do not",
        GITHUB + "Burton2000/CS231n-2017/issues/9",
        DECAY_ALL,
        {"G_b": lambda n: n.G_z.sum(axis=0)},
        "l2-missing",
        ("the gradient that comes through b * b is missing",),
    ),
]

MISTAKES = [
    *ROWS_MISTAKES,
    *COLUMNS_MISTAKES,
    *SUMMED_MISTAKES,
    *STAGED_MISTAKES,
    *SQUARED_MISTAKES,
    *LOGARITHM_MISTAKES,
    *DECAY_MISTAKES,
    *DECAY_ALL_MISTAKES,
]
