"""Chapter 13: an autoencoder, and a classifier on top of its encoder, which may be fixed."""

from __future__ import annotations

import numpy as np

from book.dense import (
    dense,
    dense_backward,
    dense_by_hand,
    mean_square,
    one_hot,
    softmax_entropy,
)
from book.proof import Proof, draws
from tinygrad_steel import Tensor, softmax_cross_entropy


def encode(x, weight1, bias1, weight2, bias2):
    return dense(dense(x, weight1, bias1, "relu"), weight2, bias2, "sigmoid")


def autoencoder(x, weight1, bias1, weight2, bias2, weight3, bias3, weight4, bias4):
    code = encode(x, weight1, bias1, weight2, bias2)
    copy = dense(dense(code, weight3, bias3, "relu"), weight4, bias4, "relu")
    return np.mean(np.square(copy - x))


def supervised(x, weight1, bias1, weight2, bias2, weight_out, bias_out, labels):
    code = encode(x, weight1, bias1, weight2, bias2)
    return np.mean(softmax_cross_entropy(dense(code, weight_out, bias_out), labels))


def fixed(weight_out, bias_out, labels, x, **encoder):
    code = encode(x, **encoder)
    assert not isinstance(code, Tensor)
    return np.mean(softmax_cross_entropy(dense(code, weight_out, bias_out), labels))


# By hand


def encode_by_hand(x, weight1, bias1, weight2, bias2):
    hidden = dense_by_hand(x, weight1, bias1, "relu")
    return hidden, dense_by_hand(hidden, weight2, bias2, "sigmoid")


def encode_backward(G_code, x, hidden, code, weight1, weight2):
    G_hidden, G_weight2, G_bias2 = dense_backward(G_code, hidden, code, weight2, "sigmoid")
    G_x, G_weight1, G_bias1 = dense_backward(G_hidden, x, hidden, weight1, "relu")
    return G_x, {
        "G_weight1": G_weight1,
        "G_bias1": G_bias1,
        "G_weight2": G_weight2,
        "G_bias2": G_bias2,
    }


def autoencoder_chain(x, weight1, bias1, weight2, bias2, weight3, bias3, weight4, bias4):
    hidden, code = encode_by_hand(x, weight1, bias1, weight2, bias2)
    decoded = dense_by_hand(code, weight3, bias3, "relu")
    copy = dense_by_hand(decoded, weight4, bias4, "relu")
    loss, G_copy = mean_square(copy, x)
    G_decoded, G_weight4, G_bias4 = dense_backward(G_copy, decoded, copy, weight4, "relu")
    G_code, G_weight3, G_bias3 = dense_backward(G_decoded, code, decoded, weight3, "relu")
    G_x, G_encoder = encode_backward(G_code, x, hidden, code, weight1, weight2)
    return loss, {
        "G_x": G_x - G_copy,  # x is the label as well
        **G_encoder,
        "G_weight3": G_weight3,
        "G_bias3": G_bias3,
        "G_weight4": G_weight4,
        "G_bias4": G_bias4,
    }


def supervised_chain(x, weight1, bias1, weight2, bias2, weight_out, bias_out, labels):
    hidden, code = encode_by_hand(x, weight1, bias1, weight2, bias2)
    output = dense_by_hand(code, weight_out, bias_out)
    loss, G_output = softmax_entropy(output, labels)
    G_code, G_weight_out, G_bias_out = dense_backward(G_output, code, output, weight_out)
    G_x, G_encoder = encode_backward(G_code, x, hidden, code, weight1, weight2)
    return loss, {"G_x": G_x, **G_encoder, "G_weight_out": G_weight_out, "G_bias_out": G_bias_out}


def fixed_chain(weight_out, bias_out, labels, x, **encoder):
    """As above; nothing is asked of the encoder."""
    loss, gradients = supervised_chain(
        x, **encoder, weight_out=weight_out, bias_out=bias_out, labels=labels
    )
    return loss, {name: gradients[name] for name in ("G_weight_out", "G_bias_out")}


ENCODER = draws(1, weight1=(6, 5), bias1=(5,), weight2=(5, 3), bias2=(3,))
X, OUT = draws(2, x=(4, 6)), draws(3, weight_out=(3, 3), bias_out=(3,))
DECODER = draws(4, weight3=(3, 5), bias3=(5,), weight4=(5, 6), bias4=(6,))
LABELS = {"labels": one_hot(5, 4, 3)}

PROOFS = [
    Proof("autoencoder", autoencoder, autoencoder_chain, {**X, **ENCODER, **DECODER}),
    Proof(
        "autoencoder, then supervised",
        supervised,
        supervised_chain,
        {**X, **ENCODER, **OUT},
        LABELS,
    ),
    Proof("autoencoder, its encoder fixed", fixed, fixed_chain, OUT, {**X, **ENCODER, **LABELS}),
]
