"""Chapter 10: one layer, run over time; rows may end before others do."""

from __future__ import annotations

import numpy as np

from book.dense import (
    ACTIVATIONS,
    FORWARD,
    SLOPES,
    dense,
    dense_backward,
    dense_by_hand,
    one_hot,
    softmax_entropy,
)
from book.proof import Proof, draws, weighted
from tinygrad_steel import softmax_cross_entropy


def rnn(x, weight, bias, function="tanh"):
    """The state after each step, (time, rows, units), from x (rows, time, features)."""
    h = np.zeros((x.shape[0], weight.shape[1]))
    states = []
    for t in range(x.shape[1]):
        h = ACTIVATIONS[function](np.hstack([x[:, t], h]) @ weight + bias)
        states.append(h)
    return np.stack(states)


def last_of(states, lengths):
    """Each row's state after its own last step."""
    return states[np.array(lengths) - 1, np.arange(len(lengths))]


def classifier(x, weight, bias, weight_out, bias_out, labels, lengths, function):
    last = last_of(rnn(x, weight, bias, function), lengths)
    return np.mean(softmax_cross_entropy(dense(last, weight_out, bias_out), labels))


def all_states(x, weight, bias, G_states, function):
    return weighted(rnn(x, weight, bias, function), G_states)


# By hand


def rnn_by_hand(x, weight, bias, function):
    """The states, and what went into the product of each step."""
    rows, steps, _ = x.shape
    states, inputs = np.zeros((steps, rows, weight.shape[1])), []
    for t in range(steps):
        before = states[t - 1] if t else np.zeros_like(states[0])
        inputs.append(np.concatenate([x[:, t], before], axis=1))
        states[t] = FORWARD[function](inputs[t] @ weight + bias)
    return states, inputs


def rnn_backward(G_states, states, inputs, weight, features, function):
    """From the last step to the first: a state has its own gradient and that of the step after it."""
    steps, rows, units = states.shape
    G_x = np.zeros((rows, steps, features))
    G_weight, G_bias = np.zeros_like(weight), np.zeros(units)
    G_h = np.zeros((rows, units))
    for t in reversed(range(steps)):
        G_h = G_h + G_states[t]
        g_h_z = SLOPES[function](states[t])
        G_z = g_h_z * G_h
        G_weight = G_weight + inputs[t].T @ G_z  # each step uses the same weight
        G_bias = G_bias + G_z.sum(axis=0)
        G_input = G_z @ weight.T
        G_x[:, t] = G_input[:, :features]
        G_h = G_input[:, features:]
    return G_x, G_weight, G_bias


def at_the_end(G_last, lengths, steps):
    """The gradient of all states, from that of each row's last one."""
    G_states = np.zeros((steps, *G_last.shape))
    for row, length in enumerate(lengths):
        G_states[length - 1, row] = G_last[row]
    return G_states


def classifier_chain(x, weight, bias, weight_out, bias_out, labels, lengths, function):
    states, inputs = rnn_by_hand(x, weight, bias, function)
    last = np.array([states[length - 1, row] for row, length in enumerate(lengths)])
    output = dense_by_hand(last, weight_out, bias_out)
    loss, G_output = softmax_entropy(output, labels)
    G_last, G_weight_out, G_bias_out = dense_backward(G_output, last, output, weight_out)
    G_states = at_the_end(G_last, lengths, len(states))
    G_x, G_weight, G_bias = rnn_backward(G_states, states, inputs, weight, x.shape[2], function)
    return loss, {
        "G_x": G_x,
        "G_weight": G_weight,
        "G_bias": G_bias,
        "G_weight_out": G_weight_out,
        "G_bias_out": G_bias_out,
    }


def all_states_chain(x, weight, bias, G_states, function):
    states, inputs = rnn_by_hand(x, weight, bias, function)
    G_x, G_weight, G_bias = rnn_backward(G_states, states, inputs, weight, x.shape[2], function)
    loss = (states * G_states).sum()
    return loss, {"G_x": G_x, "G_weight": G_weight, "G_bias": G_bias}


LEAVES = draws(1, x=(4, 5, 3), weight=(3 + 4, 4), bias=(4,))

CLASSIFIERS = [
    Proof(
        f"RNN over time, {name}",
        classifier,
        classifier_chain,
        {**LEAVES, **draws(2, weight_out=(4, 3), bias_out=(3,))},
        {"labels": one_hot(3, 4, 3), "lengths": lengths, "function": function},
    )
    for name, lengths, function in (
        ("tanh", [5, 5, 5, 5], "tanh"),
        ("relu", [5, 5, 5, 5], "relu"),
        ("rows that end earlier", [5, 1, 3, 4], "tanh"),
    )
]

PROOFS = [
    *CLASSIFIERS,
    Proof(
        "RNN over time, all states",
        all_states,
        all_states_chain,
        LEAVES,
        {**draws(4, G_states=(5, 4, 4)), "function": "tanh"},
    ),
]
