"""Recurrent networks, attention, tied weights, and the mistakes that people make in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, softmax

from tinygrad_steel import sigmoid, softmax_cross_entropy
from tinygrad_steel import softmax as softmax_op

GITHUB = "https://github.com/"
FORUM = "https://community.deeplearning.ai/t/"


# A recurrent network of three steps, with an output in each


def recurrent(draw: Draw):
    x1, x2, x3 = draw.data(6, 3), draw.data(6, 3), draw.data(6, 3)
    y1, y2, y3 = draw.data(6, 4), draw.data(6, 4), draw.data(6, 4)
    h0 = draw.data(6, 4)
    Wx, Wh, Wy = draw.leaf(3, 4), draw.leaf(4, 4), draw.leaf(4, 4)
    b, c = draw.leaf(4), draw.leaf(4)
    z1 = x1 @ Wx + h0 @ Wh + b
    h1 = np.tanh(z1)
    z2 = x2 @ Wx + h1 @ Wh + b
    h2 = np.tanh(z2)
    z3 = x3 @ Wx + h2 @ Wh + b
    h3 = np.tanh(z3)
    o1 = h1 @ Wy + c
    o2 = h2 @ Wy + c
    o3 = h3 @ Wy + c
    errors = np.square(o1 - y1) + np.square(o2 - y2) + np.square(o3 - y3)
    loss = np.mean(errors)
    return loss, locals()


RNN = Model(
    "a recurrent network of three steps",
    recurrent,
    {
        "G_o3": lambda n: 2 * (n.o3 - n.y3) / 24,
        "G_o2": lambda n: 2 * (n.o2 - n.y2) / 24,
        "G_o1": lambda n: 2 * (n.o1 - n.y1) / 24,
        "G_h3": lambda n: n.G_o3 @ n.Wy.T,
        "G_z3": lambda n: n.G_h3 * (1 - n.h3**2),
        "G_h2": lambda n: n.G_o2 @ n.Wy.T + n.G_z3 @ n.Wh.T,
        "G_z2": lambda n: n.G_h2 * (1 - n.h2**2),
        "G_h1": lambda n: n.G_o1 @ n.Wy.T + n.G_z2 @ n.Wh.T,
        "G_z1": lambda n: n.G_h1 * (1 - n.h1**2),
        "G_Wy": lambda n: n.h1.T @ n.G_o1 + n.h2.T @ n.G_o2 + n.h3.T @ n.G_o3,
        "G_c": lambda n: (n.G_o1 + n.G_o2 + n.G_o3).sum(axis=0),
        "G_Wx": lambda n: n.x1.T @ n.G_z1 + n.x2.T @ n.G_z2 + n.x3.T @ n.G_z3,
        "G_Wh": lambda n: n.h0.T @ n.G_z1 + n.h1.T @ n.G_z2 + n.h2.T @ n.G_z3,
        "G_b": lambda n: (n.G_z1 + n.G_z2 + n.G_z3).sum(axis=0),
    },
)

RNN_MISTAKES = [
    Mistake(
        "1 / (1 - h * h): divided by tanh's derivative, without what came",
        GITHUB + "oreilly-japan/deep-learning-from-scratch-2/issues/26",
        RNN,
        {"G_z3": lambda n: 1 / (1 - n.h3**2)},
        "divided-not-multiplied",
        ("divided by it", "tanh'(z3)", "not multiplied with G_h3"),
    ),
    Mistake(
        "1 + values ** 2 for tanh's derivative",
        GITHUB + "nicodjimenez/lstm/issues/41",
        RNN,
        {"G_z2": lambda n: n.G_h2 * (1 + n.h2**2)},
        "sign",
        ("the sign of h2 * h2 is wrong",),
    ),
    Mistake(
        "the gradient of the next step's state is not sent back to this step's",
        GITHUB + "qixianbiao/RNN/issues/2",
        RNN,
        {"G_h2": lambda n: n.G_o2 @ n.Wy.T, "G_h1": lambda n: n.G_o1 @ n.Wy.T},
        "missing-term",
        ("the gradient that comes through h2 @ Wh is missing",),
    ),
    Mistake(
        "da of each step is taken to be all that comes to it",
        FORUM + "building-a-recurrent-neural-network-step-by-step/534149",
        RNN,
        {"G_h1": lambda n: n.G_o1 @ n.Wy.T},
        "missing-term",
        ("the gradient that comes through h1 @ Wh is missing",),
    ),
    Mistake(
        "the cell gets the gradient of the next step, and not that of its own output",
        FORUM + "question-on-backpropagation-week-1-prog-assignment-1/555129",
        RNN,
        {
            "G_h3": lambda n: 0 * n.h3,
            "G_h2": lambda n: n.G_z3 @ n.Wh.T,
            "G_h1": lambda n: n.G_z2 @ n.Wh.T,
        },
        "missing-term",
        ("the gradient does not arrive",),
        ("from a fault at G_h3", "through h3 @ Wy is missing"),
    ),
    Mistake(
        "the state's derivative by the weights is the last state alone",
        GITHUB + "d2l-ai/d2l-en/issues/2616",
        RNN,
        {"G_Wx": lambda n: n.x3.T @ n.G_z3, "G_Wh": lambda n: n.h2.T @ n.G_z3},
        "tied-use-missing",
        ("only the gradient that comes through x3 @ Wx is there",),
    ),
    Mistake(
        "w_hh in a formula that is about the output's weights",
        GITHUB + "weixsong/min-char-rnn/issues/1",
        RNN,
        {"G_h3": lambda n: n.G_o3 @ n.Wh.T},
        "other-value",
        ("Wh in place of Wy",),
    ),
    Mistake(
        "dc += dc: the errors never reach the bias of the output",
        GITHUB + "javaidnabi31/RNN-from-scratch/issues/2",
        RNN,
        {"G_c": lambda n: 0 * n.c},
        "not-the-gradient",
        ("the gradient does not arrive",),
    ),
    Mistake(
        "each step's gradient replaces that of the step after it",
        GITHUB + "sony/nnabla/pull/532",
        RNN,
        {"G_Wh": lambda n: n.h0.T @ n.G_z1},
        "fan-out-overwritten",
        ("only the gradient that comes through h0 @ Wh is there",),
    ),
    Mistake(
        "the derivative of tanh is tanh",
        GITHUB + "CaptainE/RNN-LSTM-in-numpy/pull/2",
        RNN,
        {"G_z1": lambda n: n.G_h1 * n.h1},
        "wrong-derivative",
        ("h1 in place of",),
    ),
    Mistake(
        "the state before the step, for tanh's derivative at the state after it",
        GITHUB + "yizt/numpy_neural_network/issues/6",
        RNN,
        {"G_z3": lambda n: n.G_h3 * (1 - np.tanh(n.G_h3) ** 2)},
        "derivative-of-wrong-argument",
        ("tanh'(G_h3) instead of tanh'(z3)",),
    ),
]


# An LSTM of two steps


def long_short(draw: Draw):
    x1, x2, y = draw.data(6, 3), draw.data(6, 3), draw.data(6, 4)
    c0 = draw.data(6, 4)
    Wf, Wi, Wg, Wo = draw.leaf(3, 4), draw.leaf(3, 4), draw.leaf(3, 4), draw.leaf(3, 4)
    bf, bi, bo = draw.leaf(4), draw.leaf(4), draw.leaf(4)
    f1, i1, g1 = sigmoid(x1 @ Wf + bf), sigmoid(x1 @ Wi + bi), np.tanh(x1 @ Wg)
    c1 = f1 * c0 + i1 * g1
    o1 = sigmoid(x1 @ Wo + bo)
    h1 = o1 * np.tanh(c1)
    zf = x2 @ Wf + h1 + bf
    zi = x2 @ Wi + h1 + bi
    f2, i2, g2 = sigmoid(zf), sigmoid(zi), np.tanh(x2 @ Wg)
    c2 = f2 * c1 + i2 * g2
    zo = x2 @ Wo + bo
    o2 = sigmoid(zo)
    t2 = np.tanh(c2)
    h2 = o2 * t2
    diff = h2 - y
    loss = np.mean(np.square(diff))
    return loss, locals()


LSTM = Model(
    "an LSTM of two steps",
    long_short,
    {
        "G_h2": lambda n: 2 * n.diff / 24,
        "G_o2": lambda n: n.G_h2 * n.t2,
        "G_zo": lambda n: n.G_o2 * n.o2 * (1 - n.o2),
        "G_t2": lambda n: n.G_h2 * n.o2,
        "G_c2": lambda n: n.G_t2 * (1 - n.t2**2),
        "G_f2": lambda n: n.G_c2 * n.c1,
        "G_zf": lambda n: n.G_f2 * n.f2 * (1 - n.f2),
        "G_i2": lambda n: n.G_c2 * n.g2,
        "G_zi": lambda n: n.G_i2 * n.i2 * (1 - n.i2),
        "G_g2": lambda n: n.G_c2 * n.i2,
        "G_h1": lambda n: n.G_zf + n.G_zi,
        "G_o1": lambda n: n.G_h1 * np.tanh(n.c1),
        "G_c1": lambda n: n.G_c2 * n.f2 + n.G_h1 * n.o1 * (1 - np.tanh(n.c1) ** 2),
        "G_f1": lambda n: n.G_c1 * n.c0,
        "G_i1": lambda n: n.G_c1 * n.g1,
        "G_g1": lambda n: n.G_c1 * n.i1,
        "G_Wf": lambda n: n.x2.T @ n.G_zf + n.x1.T @ (n.G_f1 * n.f1 * (1 - n.f1)),
        "G_Wi": lambda n: n.x2.T @ n.G_zi + n.x1.T @ (n.G_i1 * n.i1 * (1 - n.i1)),
        "G_Wg": lambda n: n.x2.T @ (n.G_g2 * (1 - n.g2**2)) + n.x1.T @ (n.G_g1 * (1 - n.g1**2)),
        "G_Wo": lambda n: n.x2.T @ n.G_zo + n.x1.T @ (n.G_o1 * n.o1 * (1 - n.o1)),
        "G_bf": lambda n: (n.G_zf + n.G_f1 * n.f1 * (1 - n.f1)).sum(axis=0),
        "G_bi": lambda n: (n.G_zi + n.G_i1 * n.i1 * (1 - n.i1)).sum(axis=0),
        "G_bo": lambda n: (n.G_zo + n.G_o1 * n.o1 * (1 - n.o1)).sum(axis=0),
    },
)

LSTM_MISTAKES = [
    Mistake(
        "sigmoid of the gate for its derivative",
        GITHUB + "CaptainE/RNN-LSTM-in-numpy/issues/1",
        LSTM,
        {"G_zf": lambda n: n.G_f2 * n.f2},
        "missing-factor",
        ("the factor (1 - f2) is missing",),
    ),
    Mistake(
        "the gradient of the cell is assigned, and not added to what the next step has sent",
        GITHUB + "apache/mxnet/issues/4057",
        LSTM,
        {"G_c1": lambda n: n.G_h1 * n.o1 * (1 - np.tanh(n.c1) ** 2)},
        "fan-out-overwritten",
        ("the gradient that comes through f2 * c1 is missing",),
    ),
    Mistake(
        "the state of the next step sends nothing back",
        GITHUB + "CaptainE/RNN-LSTM-in-numpy/issues/1",
        LSTM,
        {"G_h1": lambda n: 0 * n.h1, "G_c1": lambda n: 0 * n.c1},
        "missing-term",
        ("the gradient does not arrive",),
        ("from a fault at G_h1 and G_c1", "f2 * c1 is missing"),
    ),
    Mistake(
        "tanh(tanh(c)) in the derivative of tanh(c)",
        GITHUB + "nicklashansen/rnn_lstm_from_scratch/issues/1",
        LSTM,
        {"G_c2": lambda n: n.G_t2 * (1 - np.tanh(n.t2) ** 2)},
        "derivative-of-wrong-argument",
        ("tanh(t2) in place of t2",),
    ),
    Mistake(
        "the input gate's bias gets the errors of the forget gate",
        GITHUB + "hanbt/learn_dl/issues/53",
        LSTM,
        {"G_bi": lambda n: (n.G_zf + n.G_f1 * n.f1 * (1 - n.f1)).sum(axis=0)},
        "other-value",
        ("these are the numbers of G_bf",),
    ),
    Mistake(
        "the output gate's bias gets the errors of the forget gate",
        GITHUB + "hanbt/learn_dl/pull/63",
        LSTM,
        {"G_bo": lambda n: (n.G_zf + n.G_f1 * n.f1 * (1 - n.f1)).sum(axis=0)},
        "other-value",
        ("these are the numbers of G_bf",),
    ),
]


# A GRU's update gate


def gated(draw: Draw):
    x, y, h0 = draw.data(7, 3), draw.data(7, 4), draw.leaf(7, 4)
    Wz, Wn = draw.leaf(3, 4), draw.leaf(3, 4)
    z = sigmoid(x @ Wz)
    m = np.tanh(x @ Wn)
    h = (1 - z) * h0 + z * m
    diff = h - y
    loss = np.mean(np.square(diff))
    return loss, locals()


GRU = Model(
    "an update gate",
    gated,
    {
        "G_h": lambda n: 2 * n.diff / 28,
        "G_h0": lambda n: n.G_h * (1 - n.z),
        "G_z": lambda n: n.G_h * (n.m - n.h0),
        "G_m": lambda n: n.G_h * n.z,
        "G_Wz": lambda n: n.x.T @ (n.G_z * n.z * (1 - n.z)),
        "G_Wn": lambda n: n.x.T @ (n.G_m * (1 - n.m**2)),
    },
)

GRU_MISTAKES = [
    Mistake(
        "z for 1 - z on the direct way to the state before",
        GITHUB + "ooples/AiDotNet/pull/722",
        GRU,
        {"G_h0": lambda n: n.G_h * n.z},
        "other-value",
        ("`1 -` is missing in 1 - z",),
    ),
    Mistake(
        "the gate's sides are swapped",
        GITHUB + "fatchord/WaveRNN/issues/7",
        GRU,
        {"G_h0": lambda n: n.G_h * n.z, "G_m": lambda n: n.G_h * (1 - n.z)},
        "other-value",
        ("`1 -` is missing in 1 - z",),
    ),
]


# An attention head


def attention(draw: Draw):
    x, y = draw.data(6, 5), draw.data(6, 4)
    Wq, Wk, Wv = draw.leaf(5, 4), draw.leaf(5, 4), draw.leaf(5, 4)
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    raw = q @ k.T
    s = raw / np.sqrt(4.0)
    p = softmax_op(s)
    o = p @ v
    diff = o - y
    loss = np.mean(np.square(diff))
    return loss, locals()


ATTENTION = Model(
    "an attention head",
    attention,
    {
        "G_o": lambda n: 2 * n.diff / 24,
        "G_p": lambda n: n.G_o @ n.v.T,
        "G_v": lambda n: n.p.T @ n.G_o,
        "G_s": lambda n: n.p * (n.G_p - (n.G_p * n.p).sum(axis=1, keepdims=True)),
        "G_raw": lambda n: n.G_s / 2,
        "G_k": lambda n: n.G_raw.T @ n.q,
        "G_q": lambda n: n.G_raw @ n.k,
        "G_Wq": lambda n: n.x.T @ n.G_q,
        "G_Wk": lambda n: n.x.T @ n.G_k,
        "G_Wv": lambda n: n.x.T @ n.G_v,
    },
)

ATTENTION_MISTAKES = [
    Mistake(
        "the gradient is not scaled as the scores are",
        GITHUB + "delzac/cntkx/issues/10",
        ATTENTION,
        {"G_raw": lambda n: n.G_s / 4},
        "extra-factor",
        ("2", "once too often"),
    ),
    Mistake(
        "the scores are scaled down twice",
        GITHUB + "AI-Hypercomputer/maxtext/pull/1349",
        ATTENTION,
        {"G_q": lambda n: n.G_raw @ n.k / 2, "G_k": lambda n: n.G_raw.T @ n.q / 2},
        "extra-factor",
        ("divided by 2 once too often",),
        ("from a fault at G_raw", "divided by 2 once too often"),
    ),
    Mistake(
        "multiplied with the scale that it has to be divided by",
        GITHUB + "esceptico/perceiver-io/issues/9",
        ATTENTION,
        {"G_raw": lambda n: n.G_s * 2},
        "divided-not-multiplied",
        ("multiplied by 2 instead of divided by it",),
    ),
    Mistake(
        "the root of the embedding's size, and not of the head's",
        GITHUB + "FareedKhan-dev/train-llm-from-scratch/pull/3",
        ATTENTION,
        {"G_raw": lambda n: n.G_s / np.sqrt(5)},
        "other-value",
        ("divided by 2.23607 instead of 2",),
    ),
    Mistake(
        "the product of query and key's transpose gives the key no gradient",
        GITHUB + "NervanaSystems/neon/issues/169",
        ATTENTION,
        {"G_k": lambda n: 0 * n.k},
        "missing-term",
        ("the gradient does not arrive",),
    ),
    Mistake(
        "the softmax of the scores goes along the batch",
        GITHUB + "ssw-nlp-study-group/nlp_study/pull/2",
        ATTENTION,
        {"G_s": lambda n: n.p * (n.G_p - (n.G_p * n.p).sum(axis=0))},
        "softmax-wrong-axis",
        ("sum along axis 0 instead of axis -1",),
    ),
    Mistake(
        "a missing sum in softmax's backward",
        GITHUB + "arunmallya/arunmallya.github.io/issues/1",
        ATTENTION,
        {"G_s": lambda n: n.p * n.G_p},
        "softmax-jacobian",
        ("`- sum(G_p * p, axis=-1, keepdims=True)` is missing",),
    ),
    Mistake(
        "softmax's full derivative, and its diagonal once more",
        GITHUB + "pocketpy/cTensor/pull/31",
        ATTENTION,
        {"G_s": lambda n: n.p * (n.G_p - (n.G_p * n.p).sum(axis=1, keepdims=True)) * n.G_p},
        "extra-factor",
        ("multiplied by G_p",),
        (
            "from a fault at G_raw",
            "multiplied by G_p",
        ),
    ),
]


# An embedding whose table is the output's weights too


def tied(draw: Draw):
    E, W = draw.leaf(6, 4), draw.leaf(4, 4)
    y = draw.one_hot(8, 6)
    rows = E[IDS]
    h = np.tanh(rows @ W)
    logits = h @ E.T
    entropy = softmax_cross_entropy(logits, y)
    loss = np.mean(entropy)
    return loss, locals()


IDS = np.array([0, 2, 2, 5, 1, 2, 4, 0])


def scattered(n, g):
    """The gradient of the table from that of its rows."""
    found = np.zeros_like(n.E)
    np.add.at(found, IDS, g)
    return found


def assigned(n, g):
    """The same where the last of equal rows wins."""
    found = np.zeros_like(n.E)
    found[IDS] = g
    return found


TIED = Model(
    "an embedding tied to the output",
    tied,
    {
        "G_logits": lambda n: (softmax(n.logits) - n.y) / 8,
        "G_h": lambda n: n.G_logits @ n.E,
        "G_W": lambda n: n.rows.T @ (n.G_h * (1 - n.h**2)),
        "G_rows": lambda n: n.G_h * (1 - n.h**2) @ n.W.T,
        "G_E": lambda n: scattered(n, n.G_rows) + n.G_logits.T @ n.h,
    },
)

TIED_MISTAKES = [
    Mistake(
        "the later of two gradients replaces the earlier one in a shared table",
        GITHUB + "NVIDIA/TransformerEngine/pull/3552",
        TIED,
        {"G_E": lambda n: scattered(n, n.G_rows)},
        "tied-use-missing",
        ("the gradient that comes through E.T is missing",),
    ),
    Mistake(
        "the tied weights get no gradient from the place where they are looked up",
        GITHUB + "NVIDIA/TransformerEngine/issues/3437",
        TIED,
        {"G_E": lambda n: n.G_logits.T @ n.h},
        "tied-use-missing",
        ("the gradient that comes through rows is missing",),
    ),
    Mistake(
        "A[idx] += for np.add.at",
        GITHUB + "HIPS/autograd/issues/263",
        TIED,
        {"G_E": lambda n: assigned(n, n.G_rows) + n.G_logits.T @ n.h},
        "index-assigned",
        ("np.add.at",),
    ),
    Mistake(
        "assigned where equal samples have to be added",
        GITHUB + "pytorch/pytorch/pull/2814",
        TIED,
        {"G_E": lambda n: assigned(n, n.G_rows)},
        "index-assigned",
        ("np.add.at", "E.T is missing"),
    ),
]

MISTAKES = [
    *RNN_MISTAKES,
    *LSTM_MISTAKES,
    *GRU_MISTAKES,
    *ATTENTION_MISTAKES,
    *TIED_MISTAKES,
]
