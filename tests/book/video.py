"""Chapter 12: a convolution for each frame of a film, and an LSTM over the frames; the first has no answer."""

from __future__ import annotations

import numpy as np

from book.convolution import relu_conv_backward, relu_conv_by_hand
from book.dense import dense, dense_backward, dense_by_hand, sigmoid_entropy
from book.lstm import lstm, lstm_backward, lstm_by_hand
from book.max_pooling import max_backward, max_by_hand
from book.proof import Proof, draws
from tinygrad_steel import conv2d, max_pool, relu, sigmoid_cross_entropy

ROWS, STEPS = 2, 3


def film(x, kernel, bias1, weight2, bias2, weight, bias, weight_out, bias_out, labels):
    frames = np.reshape(x, (-1, *x.shape[2:]))
    pooled = max_pool(relu(conv2d(frames, kernel) + bias1))
    seen = dense(np.reshape(pooled, (len(frames), -1)), weight2, bias2, "tanh")
    outputs = lstm(np.reshape(seen, (*x.shape[:2], -1)), weight, bias)
    cuts = dense(outputs[1:], weight_out, bias_out)
    return np.mean(sigmoid_cross_entropy(cuts, labels))


def film_chain(x, kernel, bias1, weight2, bias2, weight, bias, weight_out, bias_out, labels):
    frames = x.reshape(-1, *x.shape[2:])
    maps = relu_conv_by_hand(frames, kernel, bias1)
    pooled = max_by_hand(maps, (2, 2), (2, 2))
    flat = pooled.reshape(len(frames), -1)
    seen = dense_by_hand(flat, weight2, bias2, "tanh")
    outputs, kept = lstm_by_hand(seen.reshape(ROWS, STEPS, -1), weight, bias)
    units = outputs.shape[2]
    answered = outputs[1:].reshape(-1, units)
    cuts = dense_by_hand(answered, weight_out, bias_out)
    loss, G_cuts = sigmoid_entropy(cuts, labels.reshape(cuts.shape))

    G_answered, G_weight_out, G_bias_out = dense_backward(G_cuts, answered, cuts, weight_out)
    G_outputs = np.zeros_like(outputs)  # the first step's stays 0
    G_outputs[1:] = G_answered.reshape(STEPS - 1, ROWS, units)
    G_steps, G_weight, G_bias = lstm_backward(G_outputs, kept, weight, seen.shape[1])
    G_seen = G_steps.reshape(seen.shape)
    G_flat, G_weight2, G_bias2 = dense_backward(G_seen, flat, seen, weight2, "tanh")
    G_maps = max_backward(G_flat.reshape(pooled.shape), maps, (2, 2), (2, 2))
    G_frames, G_kernel, G_bias1 = relu_conv_backward(G_maps, frames, maps, kernel)
    return loss, {
        "G_x": G_frames.reshape(x.shape),
        "G_kernel": G_kernel,
        "G_bias1": G_bias1,
        "G_weight2": G_weight2,
        "G_bias2": G_bias2,
        "G_weight": G_weight,
        "G_bias": G_bias,
        "G_weight_out": G_weight_out,
        "G_bias_out": G_bias_out,
    }


PROOFS = [
    Proof(
        "film: a convolution per frame, then an LSTM",
        film,
        film_chain,
        {
            **draws(1, x=(ROWS, STEPS, 4, 4, 2), kernel=(3, 3, 2, 2), bias1=(2,)),
            **draws(2, weight2=(8, 3), bias2=(3,), weight=(3 + 2, 8), bias=(8,)),
            **draws(3, weight_out=(2, 1), bias_out=(1,)),
        },
        {"labels": np.random.default_rng(4).integers(0, 2, (STEPS - 1, ROWS, 1)) * 1.0},
    )
]
