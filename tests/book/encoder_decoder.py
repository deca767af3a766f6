"""Chapter 14: an encoder gives a code, an LSTM sees it at each step, and each step is a choice of its own."""

from __future__ import annotations

import numpy as np

from book.dense import dense, dense_backward, dense_by_hand, one_hot, softmax_entropy
from book.lstm import lstm, lstm_backward, lstm_by_hand
from book.proof import Proof, draws
from tinygrad_steel import softmax_cross_entropy


def encoder_decoder(x, weight_in, bias_in, weight, bias, weight_out, bias_out, labels, steps):
    code = dense(x, weight_in, bias_in, "relu")
    outputs = lstm(np.stack([code] * steps, axis=1), weight, bias)
    flat = np.reshape(outputs, (-1, outputs.shape[2]))
    return np.mean(softmax_cross_entropy(dense(flat, weight_out, bias_out), labels))


def encoder_decoder_chain(x, weight_in, bias_in, weight, bias, weight_out, bias_out, labels, steps):
    code = dense_by_hand(x, weight_in, bias_in, "relu")
    seen = np.repeat(code[:, None], steps, axis=1)
    outputs, kept = lstm_by_hand(seen, weight, bias)
    flat = outputs.reshape(-1, outputs.shape[2])
    output = dense_by_hand(flat, weight_out, bias_out)
    loss, G_output = softmax_entropy(output, labels)  # the mean is over steps times rows
    G_flat, G_weight_out, G_bias_out = dense_backward(G_output, flat, output, weight_out)
    G_outputs = G_flat.reshape(outputs.shape)
    G_seen, G_weight, G_bias = lstm_backward(G_outputs, kept, weight, code.shape[1])
    G_code = G_seen.sum(axis=1)  # the code goes into each step
    G_x, G_weight_in, G_bias_in = dense_backward(G_code, x, code, weight_in, "relu")
    return loss, {
        "G_x": G_x,
        "G_weight_in": G_weight_in,
        "G_bias_in": G_bias_in,
        "G_weight": G_weight,
        "G_bias": G_bias,
        "G_weight_out": G_weight_out,
        "G_bias_out": G_bias_out,
    }


PROOFS = [
    Proof(
        "encoder-decoder",
        encoder_decoder,
        encoder_decoder_chain,
        {
            **draws(1, x=(3, 6), weight_in=(6, 4), bias_in=(4,)),
            **draws(2, weight=(4 + 3, 12), bias=(12,), weight_out=(3, 5), bias_out=(5,)),
        },
        {"labels": one_hot(3, 4 * 3, 5), "steps": 4},
    )
]
