"""Reasons that people are given for the mistakes that they make most, by what these are."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_steel import (
    Tensor,
    compare_backprop,
    ops,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)

RNG = np.random.default_rng(0)
ROWS, CLASSES = 9, 4
EYE = np.eye(CLASSES)
IDS = np.array([2, 0, 1, 1, 3, 0, 2, 1, 2])


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def less_one(p, *where):
    """Shares, less 1 at these places."""
    p = p.copy()
    p[where] -= 1
    return p


LABELS = {
    "labels that count from 1": (
        lambda p: less_one(p, range(ROWS), IDS - 1),
        "the labels y are off by one class",
    ),
    "all rows of a class": (
        lambda p: less_one(p, slice(None), IDS),
        "1 is subtracted in all rows of a class, as by p[:, ids]",
    ),
    "ids for labels": (
        lambda p: p - IDS[:, None],
        "the numbers of the classes in place of the one-hot labels y",
    ),
    "turned round": (
        lambda p: p - EYE[IDS[::-1]],
        "the labels y are those of other samples: their order is turned round",
    ),
    "softmax forgotten": (
        lambda p: -EYE[IDS] / p,
        "this is the gradient of softmax(s): the derivative of softmax is missing",
    ),
    "a number too much there": (
        lambda p: p - EYE[IDS] + 0.7 * ROWS * EYE[IDS],
        "it differs only at the right classes",
    ),
}


@pytest.mark.parametrize("are", ["one-hot", "ids"])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_explained_in_both_of_their_forms(kind, are):
    wrong, says = LABELS[kind]
    x, W = RNG.normal(size=(ROWS, 3)), Tensor(RNG.normal(size=(3, CLASSES)), requires_grad=True)
    s = x @ W
    labels = Tensor(EYE[IDS] if are == "one-hot" else IDS, name="y")
    loss = np.mean(softmax_cross_entropy(s, labels))
    report = compare_backprop(loss, {"W": W, "s": s}, G_s=wrong(softmax(s.data)) / ROWS)
    assert says in report.first_wrong.reason


def test_a_loop_in_which_nothing_is_handed_on_ends_no_search():
    Why, states = RNG.normal(size=(5, 6)), RNG.normal(size=(4, 6, 1))
    inputs, targets = [1, 3, 0, 2], [3, 0, 2, 4]

    def run():
        ps, dWhy = {}, np.zeros_like(Why)
        for t in range(4):
            y = Why @ states[t]
            ps[t] = np.exp(y) / np.sum(np.exp(y))
        for t in range(4):
            dy = np.copy(ps[t])
            dy[inputs[t]] -= 1
            dWhy += dy @ states[t].T
        return dWhy

    W = Tensor(Why, requires_grad=True, name="Why")
    rows = (np.transpose(W @ h) for h in states)
    losses = (np.sum(softmax_cross_entropy(row, np.array([k]))) for row, k in zip(rows, targets))
    report = compare_backprop(sum(losses), {}, backprop=run)
    assert not report.ok


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


SECOND = {  # in place of the second step of a cross entropy of logits: by z, and by p
    "z * (1 - z)": lambda z, p: z * (1 - z),
    "sigmoid'(sigmoid(z))": lambda z, p: sigmoid(p) * (1 - sigmoid(p)),
    "sigmoid(z) instead of": lambda z, p: p,
    "sigmoid(z) * (1 + sigmoid(z))": lambda z, p: p * (1 + p),
    "tanh'(z)": lambda z, p: 1 - np.tanh(z) ** 2,
    "the derivative of sigmoid is missing": lambda z, p: 1,
}


@pytest.mark.parametrize("says", SECOND)
def test_a_slope_is_explained_that_sigmoid_cross_entropy_has_in_it(says):
    x, t = RNG.normal(size=(8, 3)), (RNG.random((8, 1)) > 0.5) * 1.0
    W = Tensor(RNG.normal(size=(3, 1)), requires_grad=True)
    z = x @ W
    p = sigmoid(z.data)
    g = (p - t) / (p * (1 - p)) / 8 * SECOND[says](z.data, p)
    report = compare_backprop(np.mean(sigmoid_cross_entropy(z, t)), {"W": W, "z": z}, G_z=g)
    assert says in report.first_wrong.reason
    assert "sigmoid(z)" in report.first_wrong.reason


def along(a, axis=-1):
    return np.sum(a, axis=axis, keepdims=True)


# The derivative of p = softmax(s) by hand, from the gradient g of p.
JACOBIANS = {
    "the factor p is missing": lambda g, p: g - along(g * p),
    "is wrong in": lambda g, p: p * (g + along(g * p)),
    "axis 0": lambda g, p: p * (g - along(g * p, 0)),
    "a mean in place of": lambda g, p: p * (g - along(g * p) / CLASSES),
    "the factor p is missing in sum": lambda g, p: p * (g - along(g)),
    "the factor G_p is missing in sum": lambda g, p: p * (g - along(p)),
    "parentheses are missing": lambda g, p: p * g - along(g * p),
    "summed over all elements": lambda g, p: p * (g - np.sum(g * p)),
    "is missing: each element depends on its whole row": lambda g, p: p * g,
    "the diagonal of softmax's Jacobian alone": lambda g, p: p * (1 - p) * g,
}


@pytest.mark.parametrize("made", ["op", "written out", "cross entropy"])
@pytest.mark.parametrize("kind", JACOBIANS)
def test_slips_in_the_derivative_of_softmax_are_explained(kind, made):
    x, W = RNG.normal(size=(ROWS, 3)), Tensor(RNG.normal(size=(3, CLASSES)), requires_grad=True)
    s = x @ W
    names, given, says = {"W": W, "s": s}, {}, kind
    if made == "cross entropy":
        p = softmax(s.data)
        loss, G_p = np.mean(softmax_cross_entropy(s, IDS)), -EYE[IDS] / p / ROWS
        says = kind.replace("G_p", "the gradient of softmax(s)").replace("p is", "softmax(s) is", 1)
    else:
        e = np.exp(s)
        shares = ops.softmax(s) if made == "op" else e / np.sum(e, axis=1, keepdims=True)
        wanted = RNG.normal(size=(ROWS, CLASSES))
        loss, p = np.mean(np.square(shares - wanted)), shares.data
        G_p = 2 * (p - wanted) / p.size
        names["p"], given["G_p"] = shares, G_p
    report = compare_backprop(loss, names, **given, G_s=JACOBIANS[kind](G_p, p))
    assert says in report.first_wrong.reason.replace("in G_p * p", "in sum(G_p * p)")


@pytest.mark.parametrize("made", ["op", "written out"])
def test_the_sign_in_the_slope_of_a_sigmoid(made):
    x, W = RNG.normal(size=(ROWS, 3)), Tensor(RNG.normal(size=(3, CLASSES)), requires_grad=True)
    z = x @ W
    s = ops.sigmoid(z) if made == "op" else 1 / (1 + np.exp(-z))
    loss = np.mean(np.square(s - EYE[IDS]))
    G_s = 2 * (s.data - EYE[IDS]) / s.data.size
    names, wrong = {"W": W, "z": z, "s": s}, G_s * s.data * (1 + s.data)
    report = compare_backprop(loss, names, G_s=G_s, G_z=wrong)
    reason = report.first_wrong.reason
    assert "s * (1 + s) instead of" in reason or "the sign of s is wrong in 1 - s" in reason
