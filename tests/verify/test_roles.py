"""Sizes in reasons are called by their role: samples, classes, columns; constants come first."""

from __future__ import annotations

import numpy as np
import pytest
from verify.mistakes.classifiers import COLUMNS, ROWS
from verify.mistakes.norms import LAYER

from tinygrad_steel import Tensor, compare_backprop, softmax

RNG = np.random.default_rng(0)


def data(*shape, name=None):
    return Tensor(RNG.normal(size=shape), name=name)


def leaf(*shape, name=None):
    return Tensor(RNG.normal(size=shape), requires_grad=True, name=name)


def why(loss, names, g, factor):
    """The reason for a gradient that is wrong by this factor."""
    loss.backward()
    right = names[g[2:]].grad
    return compare_backprop(loss, names, **{g: factor * right}).first_wrong.reason


def regression():
    x, y, W = data(6, 4), data(6, 3), leaf(4, 3)
    return np.mean(np.square(x @ W - y)), locals()


def columns_of_samples():
    X, Y, W = data(4, 6), data(3, 6), leaf(3, 4)
    return np.mean(np.square(W @ X - Y)), locals()


def sequence():
    """The first of the data is a state of one row."""
    h0, x, y, W, V = data(1, 4), data(6, 2), data(6, 3), leaf(2, 4), leaf(4, 3)
    return np.mean(np.square(np.tanh(h0 + x @ W) @ V - y)), locals()


def by_hand():
    """A softmax written out."""
    x, y, W = data(6, 4), Tensor(np.eye(3)[[0, 1, 2, 0, 1, 2]]), leaf(4, 3)
    e = np.exp(x @ W)
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.sum(y * np.log(p)) / 6, locals()


def attention(scale=6.0):
    """A scale that is as large as the number of samples; its softmax makes no classes."""
    x, y, Q, V = data(6, 4), data(6, 3), leaf(4, 4), leaf(4, 3)
    scores = x @ Q @ x.T / scale
    return np.mean(np.square(softmax(scores) @ (x @ V) - y)), locals()


@pytest.mark.parametrize(("make", "g", "factor", "first"), [
    (regression, "G_W", 6, "not divided by the batch size 6"),
    (regression, "G_W", 3, "not divided by the number of columns 3"),
    (regression, "G_W", 18, "not divided by the number of elements 18"),
    (columns_of_samples, "G_W", 6, "not divided by the batch size 6"),
    (columns_of_samples, "G_W", 3, "not divided by the number of rows 3"),
    (sequence, "G_W", 6, "not divided by the batch size 6"),
    (by_hand, "G_W", 6, "not divided by the batch size 6"),
    (by_hand, "G_W", 3, "multiplied by the number of classes 3 once too often"),
    (attention, "G_Q", 6, "not divided by 6, or not divided by the batch size 6"),
    (attention, "G_Q", 36, "multiplied by 6 instead of divided by it"),
    (attention, "G_V", 3, "not divided by the number of columns 3"),
])  # fmt: skip
def test_a_size_is_called_by_its_role(make, g, factor, first):
    loss, names = make()
    names = {k: v for k, v in names.items() if isinstance(v, Tensor)}
    assert f"everywhere: {first}" in why(loss, names, g, factor)


@pytest.mark.parametrize("model", [ROWS, COLUMNS, LAYER], ids=lambda m: m.name)
def test_the_samples_of_a_model_are_called_the_batch(model):
    loss, names = model.build()
    x = names.get("x", names.get("X"))
    samples = x.shape[1 if model is COLUMNS else 0]
    last = [*model.steps][-1]
    assert f"not divided by the batch size {samples}" in why(loss, names, last, samples)


def test_a_hidden_width_is_no_number_of_classes():
    loss, names = LAYER.build()
    G_u = names["u"]
    loss.backward()
    assert "classes" not in why(loss, names, "G_W", G_u.shape[1])
