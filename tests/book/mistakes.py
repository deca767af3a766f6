"""Mistakes of the book's chains, each in code of our own: a right chain, the same with the mistake, and both figures.

    PYTHONPATH=tests python tests/book/mistakes.py

prints the figures of the table in `examples/book/README.md`. What the book does was seen by running its code; none of
it stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from book import average_pooling, batch_norm, inception, penalties
from book.convolution import relu_conv_backward, relu_conv_by_hand, windows, with_border
from book.dense import (
    dense,
    dense_backward,
    dense_by_hand,
    mean_square,
    one_hot,
)
from book.proof import Arrays, Proof, draws, weighted
from tinygrad_steel import batch_norm as normalised
from tinygrad_steel import conv2d, relu, softmax, softmax_cross_entropy


@dataclass(frozen=True)
class Mistake:
    """A proof, and its chain with one mistake, which shows in the gradient `at` and in what follows from it.

    `says`: of the reason that `compare_backprop` gives, what a reader is told.
    """

    name: str
    proof: Proof
    chain: Callable[..., tuple[float, Arrays]]
    at: str
    says: str

    def mistaken(self) -> tuple[float, Arrays]:
        """The loss and the gradients of the chain with the mistake."""
        loss, wrong = self.chain(**self.proof.leaves, **self.proof.given)
        shapes = {f"G_{name}": array.shape for name, array in self.proof.leaves.items()}
        return loss, {name: np.broadcast_to(G, shapes[name]) for name, G in wrong.items()}


def figures(mistake: Mistake) -> str:
    """With the mistake / right, at the element where they differ most."""
    _, wrong = mistake.mistaken()
    _, right = mistake.proof.by_hand()
    wrong, right = wrong[mistake.at], right[mistake.at]
    place = np.unravel_index(np.argmax(np.abs(wrong - right)), right.shape)
    return f"{wrong[place]:+.4g} / {right[place]:+.4g}"


# Chapters 3 and 4: an epsilon in the logarithm, none in the gradient

EPSILON = 1e-10


def with_epsilon(logits, labels):
    return np.mean(-np.sum(labels * np.log(softmax(logits) + EPSILON), axis=1))


def softmax_and_loss(logits, labels):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, -(labels * np.log(p + EPSILON)).sum(axis=1).mean()


def epsilon_chain(logits, labels):
    """d p[j] / d logits[k] = p[j] ((j = k) - p[k]), and the slope of log(p + epsilon) is 1 / (p + epsilon)."""
    p, loss = softmax_and_loss(logits, labels)
    G_p = -labels / (p + EPSILON) / len(logits)
    return loss, {"G_logits": p * (G_p - (p * G_p).sum(axis=1, keepdims=True))}


def without_epsilon(logits, labels):
    """The gradient of the loss that has no epsilon."""
    p, loss = softmax_and_loss(logits, labels)
    return loss, {"G_logits": (p - labels) / len(logits)}


LOGITS = np.array([[0.5, -1.0, 2.0], [30.0, -2.0, 1.0]])  # the second row is sure, and wrong
SURE = Proof(
    "an epsilon in the logarithm",
    with_epsilon,
    epsilon_chain,
    {"logits": LOGITS},
    {"labels": np.eye(3)[[0, 1]]},
)


# Chapter 8: batch normalisation


def constant_statistics(x, scale, shift, G_y):
    """Mean and variance taken for constants: only the way through the numerator is left."""
    y, kept = batch_norm.norm_by_hand(x, scale, shift)
    _, G_scale, G_shift = batch_norm.norm_backward(G_y, scale, kept)
    _, deviation, *_ = kept
    return (y * G_y).sum(), {"G_x": G_y * scale / deviation, "G_scale": G_scale, "G_shift": G_shift}


def over_all_axes(x, scale, shift, G_y):
    """Scale and shift of sequences (rows, steps, channels), summed over as many axes as images have."""
    loss, gradients = batch_norm.normed_chain(x, scale, shift, G_y)
    _, (_, _, norm, *_) = batch_norm.norm_by_hand(x, scale, shift)
    return loss, {**gradients, "G_scale": (G_y * norm).sum(), "G_shift": G_y.sum()}


# Chapter 8: penalties


def printed(x, weight, bias, labels, l1, l2):
    """The cost with its penalties, whose rates only say whether they are there."""
    cost = np.mean(np.square(dense(x, weight, bias) - labels))
    if l2:
        cost = cost + np.sum(np.square(weight)) / 2
    if l1:
        cost = cost + np.sum(np.abs(weight))
    return cost


def printed_chain(x, weight, bias, labels, l1, l2):
    return penalties.penalized_chain(x, weight, bias, labels, float(l1 > 0), float(l2 > 0))


def as_updated(x, weight, bias, labels, l1, l2):
    """The printed loss, and the gradient of the penalty with its rate."""
    loss, _ = printed_chain(x, weight, bias, labels, l1, l2)
    _, gradients = penalties.penalized_chain(x, weight, bias, labels, l1, l2)
    return loss, gradients


def penalty(name, l1, l2):
    given = {**penalties.PROOFS[0].given, "l1": l1, "l2": l2}
    return Proof(name, printed, printed_chain, penalties.PROOFS[0].leaves, given)


def last_counted(x, weight1, weight2, labels, l2):
    """A printed cost that counts the weights of the outermost layers only; weight1 lies in a nested one."""
    output = relu(x @ weight1) @ weight2
    return np.mean(np.square(output - labels)) + l2 * np.sum(np.square(weight2)) / 2


def last_counted_chain(x, weight1, weight2, labels, l2, nested=0.0):
    hidden = np.maximum(x @ weight1, 0)
    output = hidden @ weight2
    cost, G_output = mean_square(output, labels)
    loss = cost + l2 * (weight2**2).sum() / 2
    G_hidden, G_weight2, _ = dense_backward(G_output, hidden, output, weight2)
    G_x, G_weight1, _ = dense_backward(G_hidden, x, hidden, weight1, "relu")
    return loss, {
        "G_x": G_x,
        "G_weight1": G_weight1 + nested * weight1,
        "G_weight2": G_weight2 + l2 * weight2,
    }


def all_decayed(x, weight1, weight2, labels, l2):
    """The same cost, and every weight decayed."""
    return last_counted_chain(x, weight1, weight2, labels, l2, nested=l2)


NESTED = Proof(
    "a penalty on the outermost weights",
    last_counted,
    last_counted_chain,
    draws(1, x=(5, 4), weight1=(4, 6), weight2=(6, 3)),
    {**draws(2, labels=(5, 3)), "l2": 0.1},
)


# Chapter 9: parallel branches


def first_channels(x, point, reduce, wide, narrow, pooled, bias, G_y):
    """Each branch gets as many channels as it has, but all from the first one on."""
    wrong = G_y.copy()
    wrong[..., 2:5], wrong[..., 5:6], wrong[..., 6:8] = G_y[..., :3], G_y[..., :1], G_y[..., :2]
    _, gradients = inception.inception_chain(x, point, reduce, wide, narrow, pooled, bias, wrong)
    loss, _ = inception.inception_chain(x, point, reduce, wide, narrow, pooled, bias, G_y)
    return loss, gradients


# Chapter 9: average pooling


def tiled(x, G_y, size, stride, padding):
    """What one window has for all of its places, laid out as if it were one place of all windows, time after time."""
    extended, counts, inside = with_border(x, size, stride, padding)
    shared = np.zeros((len(x), x.shape[3], *counts))
    for r, c, _, share in average_pooling.shares(x, size, stride, padding):
        shared[:, :, r, c] = share.max(axis=(1, 2)) * G_y[:, r, c]
    places = size[0] * size[1]
    rows = np.tile(shared.reshape(-1), places)  # np.repeat has a window's places side by side
    spread = rows.reshape(*shared.shape, *size).transpose(0, 2, 3, 4, 5, 1)
    G_extended = np.zeros_like(extended)
    for r, c, at in windows(counts, size, stride):
        G_extended[at] += spread[:, r, c]
    loss, _ = average_pooling.pooling_chain(x, G_y, size, stride, padding)
    return loss, {"G_x": G_extended[inside]}


# Chapter 9: residual sums


def skip(x, kernel, bias, G_y):
    return weighted(relu(conv2d(x, kernel) + bias) + x, G_y)


def skip_chain(x, kernel, bias, G_y, overwritten=False):
    """`overwritten`: the sum lies where the branch's result was, and its sign is taken for the slope of relu."""
    branch = relu_conv_by_hand(x, kernel, bias)
    y = branch + x
    kept = y if overwritten else branch
    G_x, G_kernel, G_bias = relu_conv_backward(np.sign(kept) * G_y, x, np.ones_like(y), kernel)
    return (y * G_y).sum(), {"G_x": G_x + G_y, "G_kernel": G_kernel, "G_bias": G_bias}


def overwritten(x, kernel, bias, G_y):
    return skip_chain(x, kernel, bias, G_y, overwritten=True)


SKIP = Proof(
    "a residual sum",
    skip,
    skip_chain,
    draws(1, x=(2, 4, 4, 2), kernel=(3, 3, 2, 2), bias=(2,)),
    draws(2, G_y=(2, 4, 4, 2)),
)


def relu_then_norm(x, bias, scale, shift, G_y):
    return weighted(normalised(relu(x + bias), scale, shift, batch_norm.EPSILON), G_y)


def relu_then_norm_chain(x, bias, scale, shift, G_y, of_the_norm=False):
    """`of_the_norm`: relu's slope is taken from what batch norm made of relu's result."""
    hidden = np.maximum(x + bias, 0)
    y, kept = batch_norm.norm_by_hand(hidden, scale, shift)
    G_hidden, G_scale, G_shift = batch_norm.norm_backward(G_y, scale, kept)
    G_x = np.sign(y if of_the_norm else hidden) * G_hidden
    return (y * G_y).sum(), {
        "G_x": G_x,
        "G_bias": G_x.sum(axis=0),
        "G_scale": G_scale,
        "G_shift": G_shift,
    }


def slope_of_the_norm(x, bias, scale, shift, G_y):
    return relu_then_norm_chain(x, bias, scale, shift, G_y, of_the_norm=True)


RELU_THEN_NORM = Proof(
    "relu, then batch norm",
    relu_then_norm,
    relu_then_norm_chain,
    draws(1, x=(6, 4), bias=(4,), scale=(4,), shift=(4,)),
    draws(2, G_y=(6, 4)),
)


# Chapter 14: a mean over steps


def steps(x, weight, bias, labels):
    """A softmax for each of all steps of all rows."""
    return np.mean(softmax_cross_entropy(dense(x, weight, bias), labels))


def steps_chain(x, weight, bias, labels, too_often=1):
    output = dense_by_hand(x, weight, bias)
    e = np.exp(output)
    p = e / e.sum(axis=1, keepdims=True)
    loss = -(labels * np.log(p)).sum() / len(x)
    G_output = (p - labels) / len(x) / too_often
    G_x, G_weight, G_bias = dense_backward(G_output, x, output, weight)
    return loss, {"G_x": G_x, "G_weight": G_weight, "G_bias": G_bias}


def divided_by_classes(x, weight, bias, labels):
    """Divided by the size of the output, and not by how many losses there are."""
    return steps_chain(x, weight, bias, labels, too_often=labels.shape[1])


STEPS = Proof(
    "a softmax for each step",
    steps,
    steps_chain,
    draws(1, x=(4 * 3, 4), weight=(4, 5), bias=(5,)),
    {"labels": one_hot(2, 4 * 3, 5)},
)


ROWS, SEQUENCES, IMAGES = batch_norm.PROOFS
BORDERED = average_pooling.PROOFS[2]
L1, L2 = penalty("an L1 penalty", 0.01, 0.0), penalty("an L2 penalty", 0.0, 0.1)

HELD_CONSTANT = "the mean and the variance depend on x too"

MISTAKES = {
    mistake.name: mistake
    for mistake in (
        Mistake(
            "epsilon",
            SURE,
            without_epsilon,
            "G_logits",
            "this gradient belongs to the exact cross entropy",
        ),
        Mistake("batch norm, rows", ROWS, constant_statistics, "G_x", HELD_CONSTANT),
        Mistake("batch norm, images", IMAGES, constant_statistics, "G_x", HELD_CONSTANT),
        Mistake(
            "batch norm, axes",
            SEQUENCES,
            over_all_axes,
            "G_scale",
            "summed over axes (0, 1, 2) instead of axes (0, 1)",
        ),
        Mistake(
            "L1",
            L1,
            as_updated,
            "G_weight",
            "in what comes through abs(weight): 100 times too small everywhere",
        ),
        Mistake(
            "L2",
            L2,
            as_updated,
            "G_weight",
            "`0.1 * weight` in place of `1 * weight` of the weight decay",
        ),
        Mistake(
            "nested weights",
            NESTED,
            all_decayed,
            "G_weight1",
            "`+ 0.1 * weight1` is too much, as of a weight decay",
        ),
        Mistake(
            "parallel branches",
            inception.PROOFS[0],
            first_channels,
            "G_wide",
            "the gradient of concatenate(...)[..., 0:2] in place of the gradient of concatenate(...)[..., 6:8]",
        ),
        Mistake(
            "average pooling",
            BORDERED,
            tiled,
            "G_x",
            "spread over the wrong places: each element goes to its own window, as by tile where repeat is needed",
        ),
        Mistake(
            "residual sum",
            SKIP,
            overwritten,
            "G_kernel",
            "computed from a value that was overwritten, as `+=` does",
        ),
        Mistake(
            "relu, then batch norm",
            RELU_THEN_NORM,
            slope_of_the_norm,
            "G_x",
            "computed with batch_norm(relu(x + bias)",
        ),
        Mistake(
            "loss of steps",
            STEPS,
            divided_by_classes,
            "G_weight",
            "5 times too small everywhere: divided by the number of classes 5 once too often",
        ),
    )
}


if __name__ == "__main__":
    for mistake in MISTAKES.values():
        print(f"{mistake.name:24}{mistake.at:12}{figures(mistake)}")
