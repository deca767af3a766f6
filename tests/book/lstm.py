"""Chapter 11: the LSTM over time, with its state or its output as what the next layer sees."""

from __future__ import annotations

import numpy as np

from book.dense import (
    FORWARD,
    dense,
    dense_backward,
    dense_by_hand,
    one_hot,
    softmax_entropy,
)
from book.proof import Proof, draws, weighted
from book.rnn import at_the_end, last_of
from tinygrad_steel import sigmoid, softmax_cross_entropy


def lstm(x, weight, bias, seen="output"):
    """Output or state after each step, (time, rows, units), from x (rows, time, features)."""
    units = weight.shape[1] // 4
    output = state = np.zeros((x.shape[0], units))
    outputs = []
    for t in range(x.shape[1]):
        z = np.hstack([x[:, t], output]) @ weight + bias
        forget_z, input_z, output_z, block_z = np.hsplit(z, 4)
        state = sigmoid(forget_z) * state + sigmoid(input_z) * np.tanh(block_z)
        output = sigmoid(output_z) * np.tanh(state)
        outputs.append(output if seen == "output" else state)
    return np.stack(outputs)


def classifier(x, weight, bias, weight_out, bias_out, labels, lengths, seen):
    last = last_of(lstm(x, weight, bias, seen), lengths)
    return np.mean(softmax_cross_entropy(dense(last, weight_out, bias_out), labels))


def all_outputs(x, weight, bias, G_outputs, seen):
    return weighted(lstm(x, weight, bias, seen), G_outputs)


# By hand


def lstm_by_hand(x, weight, bias, seen="output"):
    """What is seen after each step, and of each step all that its backward needs."""
    rows, steps, _ = x.shape
    units = weight.shape[1] // 4
    h, c = np.zeros((rows, units)), np.zeros((rows, units))
    outputs, kept = np.zeros((steps, rows, units)), []
    for t in range(steps):
        inputs, before = np.concatenate([x[:, t], h], axis=1), c
        z = inputs @ weight + bias
        f, i, o = (FORWARD["sigmoid"](z[:, k * units : (k + 1) * units]) for k in range(3))
        b = np.tanh(z[:, 3 * units :])
        c = f * before + i * b
        squashed = np.tanh(c)
        h = o * squashed
        outputs[t] = h if seen == "output" else c
        kept.append((inputs, before, f, i, o, b, squashed))
    return outputs, kept


def lstm_backward(G_outputs, kept, weight, features, seen="output"):
    """From the last step to the first; output and state each carry a gradient back in time."""
    steps, rows, units = G_outputs.shape
    G_x = np.zeros((rows, steps, features))
    G_weight, G_bias = np.zeros_like(weight), np.zeros(4 * units)
    G_h, G_c = np.zeros((rows, units)), np.zeros((rows, units))
    for t in reversed(range(steps)):
        inputs, before, f, i, o, b, squashed = kept[t]
        if seen == "output":
            G_h = G_h + G_outputs[t]
        else:
            G_c = G_c + G_outputs[t]
        G_o = G_h * squashed  # h = o * tanh(c)
        G_c = G_c + G_h * o * (1 - squashed**2)
        G_f, G_i, G_b = G_c * before, G_c * b, G_c * i  # c = f * before + i * b
        G_z = np.concatenate(
            [G_f * f * (1 - f), G_i * i * (1 - i), G_o * o * (1 - o), G_b * (1 - b**2)], axis=1
        )
        G_weight = G_weight + inputs.T @ G_z
        G_bias = G_bias + G_z.sum(axis=0)
        G_inputs = G_z @ weight.T
        G_x[:, t] = G_inputs[:, :features]
        G_h = G_inputs[:, features:]
        G_c = G_c * f
    return G_x, G_weight, G_bias


def classifier_chain(x, weight, bias, weight_out, bias_out, labels, lengths, seen):
    outputs, kept = lstm_by_hand(x, weight, bias, seen)
    last = np.array([outputs[length - 1, row] for row, length in enumerate(lengths)])
    output = dense_by_hand(last, weight_out, bias_out)
    loss, G_output = softmax_entropy(output, labels)
    G_last, G_weight_out, G_bias_out = dense_backward(G_output, last, output, weight_out)
    G_outputs = at_the_end(G_last, lengths, len(outputs))
    G_x, G_weight, G_bias = lstm_backward(G_outputs, kept, weight, x.shape[2], seen)
    return loss, {
        "G_x": G_x,
        "G_weight": G_weight,
        "G_bias": G_bias,
        "G_weight_out": G_weight_out,
        "G_bias_out": G_bias_out,
    }


def all_outputs_chain(x, weight, bias, G_outputs, seen):
    outputs, kept = lstm_by_hand(x, weight, bias, seen)
    G_x, G_weight, G_bias = lstm_backward(G_outputs, kept, weight, x.shape[2], seen)
    loss = (outputs * G_outputs).sum()
    return loss, {"G_x": G_x, "G_weight": G_weight, "G_bias": G_bias}


LEAVES = draws(1, x=(4, 5, 2), weight=(2 + 3, 4 * 3), bias=(4 * 3,))

PROOFS = [
    proof
    for seen in ("output", "state")
    for proof in (
        Proof(
            f"LSTM over time, each {seen}",
            all_outputs,
            all_outputs_chain,
            LEAVES,
            {**draws(2, G_outputs=(5, 4, 3)), "seen": seen},
        ),
        Proof(
            f"LSTM over time, the last {seen}",
            classifier,
            classifier_chain,
            {**LEAVES, **draws(3, weight_out=(3, 2), bias_out=(2,))},
            {"labels": one_hot(4, 4, 2), "lengths": [5, 1, 3, 4], "seen": seen},
        ),
    )
]
