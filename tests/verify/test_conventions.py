"""Conventions: what may differ from the graph's gradients and is right, and what stays wrong.

What is right at a kink is known from its two sides, and in a convention from the right chain.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import GradientError, Tensor, compare_backprop, relu

DTYPES = (np.float64, np.float32)
RNG = np.random.default_rng(5)


# Kinks: any slope between both sides

Z = np.array([[0.0, 1.5, -1.0], [2.0, 0.0, 0.0]])
WEIGHT = RNG.normal(size=Z.shape)
# A function with a kink at z == 0, its slope on the left and on the right.
AT_ZERO = {
    "maximum(0, z)": (lambda z: np.maximum(0, z), 0, 1),
    "maximum(z, 0)": (lambda z: np.maximum(z, 0), 0, 1),
    "minimum(z, 0)": (lambda z: np.minimum(z, 0), 1, 0),
    "relu": (relu, 0, 1),
    "abs": (np.abs, -1, 1),
    "clip": (lambda z: np.clip(z, 0, 3), 0, 1),
    "where": (lambda z: np.where(z > 0, z, 0.1 * z), 0.1, 1),
    "where, turned": (lambda z: np.where(0 >= z, 0.1 * z, z), 0.1, 1),
    "a mask": (lambda z: z * (z > 0), 0, 1),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", AT_ZERO)
def test_both_sides_of_a_kink_are_right_and_no_other_slope_is(name, dtype):
    function, left, right = AT_ZERO[name]
    z = Tensor(Z.astype(dtype), requires_grad=True, name="z")
    loss = np.sum(function(z) * WEIGHT.astype(dtype))
    (g,) = gradients(loss, z)
    for slope in (left, right, left - 0.5, right + 0.5, 7):
        by_hand = np.where(Z == 0, slope * WEIGHT, g).astype(dtype)
        report = compare_backprop(loss, G_z=by_hand)
        assert report.ok is (min(left, right) <= slope <= max(left, right)), (slope, report)
        report.raise_if_wrong() if report.ok else None
    for slope in (left, right):
        wrong = -np.where(Z == 0, slope * WEIGHT, g).astype(dtype)
        assert not compare_backprop(loss, G_z=wrong).ok


def gradients(loss, *leaves):
    loss.backward()
    return [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("name", ["maximum(0, z)", "relu", "abs", "clip", "a mask"])
def test_half_is_between_the_sides(name):
    function, left, right = AT_ZERO[name]
    z = leaf(Z, name="z")
    loss = np.sum(function(z) * WEIGHT)
    (g,) = gradients(loss, z)
    assert compare_backprop(loss, G_z=np.where(Z == 0, (left + right) / 2 * WEIGHT, g)).ok


TIED = np.array([[3.0, 1.0, 3.0, 3.0], [0.0, 2.0, 2.0, -1.0], [4.0, 1.0, 2.0, 0.0]])
EXTREMES = {
    "max": (lambda z: np.max(z, axis=1), np.argmax, TIED),
    "max in columns": (lambda z: np.max(z.T, axis=0, keepdims=True), np.argmax, TIED),
    "min": (lambda z: np.min(z, axis=-1), np.argmin, -TIED),
    "at argmax": (lambda z: z[np.arange(3), np.argmax(z, axis=1)], np.argmax, TIED),
    "at argmin": (lambda z: z[np.arange(3), np.argmin(z, axis=1)], np.argmin, -TIED),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_one_of_equal_extremes_has_all_of_the_gradient(name):
    function, place, data = EXTREMES[name]
    z, weight = leaf(data, name="z"), np.array([0.7, -1.3, 2.1])
    loss = np.sum(function(z) * weight)
    first, last = place(data, axis=1), 3 - place(data[:, ::-1], axis=1)
    assert (first != last).any()
    for where in (first, last):
        by_hand = np.zeros(data.shape)
        by_hand[np.arange(3), where] = weight
        report = compare_backprop(loss, G_z=by_hand)
        assert report.ok, report
        for wrong in (-by_hand, 2 * by_hand, by_hand[::-1]):
            assert not compare_backprop(loss, G_z=wrong).ok
    each = (data == np.take_along_axis(data, first[:, None], 1)) * weight[:, None]
    assert not compare_backprop(loss, G_z=each).ok  # that adds up to more than there is


def dead_net(dtype=float):
    """Two relu layers, of which the first is dead: its weights are zeros."""
    x, y = RNG.normal(size=(6, 3)).astype(dtype), RNG.normal(size=(6, 2)).astype(dtype)
    W1, b1 = Tensor(np.zeros((3, 4), dtype), True), Tensor(np.zeros((1, 4), dtype), True)
    W2 = Tensor(RNG.normal(size=(4, 5)).astype(dtype), True)
    W3 = Tensor(RNG.normal(size=(5, 2)).astype(dtype), True)
    z1 = x @ W1 + b1
    h1 = np.maximum(0, z1)
    z2 = h1 @ W2
    h2 = np.maximum(0, z2)
    diff = h2 @ W3 - y
    loss = np.mean(np.square(diff))
    return loss, {k: t for k, t in locals().items() if isinstance(t, Tensor) and k != "loss"}, x


def dead_chain(n, x, slope, sign=1):
    n = {k: t.numpy() for k, t in n.items()}
    G_diff = 2 * n["diff"] / n["diff"].size
    G_W3 = n["h2"].T @ G_diff
    G_h2 = sign * G_diff @ n["W3"].T
    G_z2 = G_h2 * np.where(n["z2"] > 0, 1, slope * (n["z2"] == 0)).astype(x.dtype)
    G_W2 = n["h1"].T @ G_z2
    G_h1 = G_z2 @ n["W2"].T
    G_z1 = G_h1 * np.where(n["z1"] > 0, 1, slope * (n["z1"] == 0)).astype(x.dtype)
    G_W1 = x.T @ G_z1
    G_b1 = G_z1.sum(axis=0, keepdims=True)
    return {k: g for k, g in locals().items() if k.startswith("G_")}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("slope", [0, 0.5, 1])
def test_a_dead_layer_is_right_by_whatever_slope_it_is_taken(slope, dtype):
    loss, names, x = dead_net(dtype)
    chain = dead_chain(names, x, slope)
    leaves = {k: chain[k] for k in ("G_W3", "G_W2", "G_W1", "G_b1")}
    for handed in (chain, leaves, {"G_W1": chain["G_W1"]}):
        report = compare_backprop(loss, names, **handed)
        assert report.ok, report
        assert [c.name for c in report.conventions] == ["kink"] * (slope != 0.5)
        report.raise_if_wrong()
    broken = {**chain, "G_W1": chain["G_W1"] + 0.1, "G_h2": -chain["G_h2"]}
    report = compare_backprop(loss, names, **broken)
    assert report.first_wrong.reason == "the sign is wrong"
    assert [s.name for s in report.steps if s.verdict == "wrong"] == ["G_h2", "G_W1"], report
    followed = dead_chain(names, x, slope, sign=-1)
    report = compare_backprop(loss, names, **followed)
    assert report.first_wrong.name == "G_h2" and not report.conventions, report


def test_the_other_side_of_a_jump_or_of_a_mask_of_places_is_wrong():
    z, places = leaf(Z, name="z"), np.arange(3)
    jump = np.sum(np.where(z > 0, 2 * z, 3 * z + 1) * WEIGHT)
    assert not compare_backprop(jump, G_z=np.where(Z >= 0, 2, 3) * WEIGHT).ok
    weight, position = RNG.normal(size=(3, 3)), Tensor(places)
    for data in (
        RNG.normal(size=(3, 3)),
        1 - np.eye(3),
    ):  # on the diagonal nothing may tell the two
        s = leaf(data, name="s")
        causal = np.sum(np.where(position > position[:, None], 0, s) * weight)
        right = np.where(places > places[:, None], 0, weight)
        assert compare_backprop(causal, G_s=right).ok
        assert not compare_backprop(causal, G_s=np.where(places >= places[:, None], 0, weight)).ok


# The gradient of a bias without its axis


def test_the_gradient_of_a_row_of_biases_may_lack_its_axis():
    x, y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))
    W, b = leaf(RNG.normal(size=(3, 2)), name="W"), leaf(RNG.normal(size=(1, 2)), name="b")
    diff = x @ W + b - y
    loss = np.mean(np.square(diff))
    d = 2 * diff.numpy() / 10
    right = {"G_W": x.T @ d, "G_b": d.sum(axis=0)}
    report = compare_backprop(loss, **right)
    assert report.ok
    assert str(report).count("right numbers in G_b of shape (2,) for (1, 2)") == 1
    assert report.to_dict()["conventions"][0]["name"] == "bias-shape"
    report.raise_if_wrong(strict=False)
    with pytest.raises(GradientError, match='convention="bias-shape"'):
        report.raise_if_wrong()
    wrong = compare_backprop(loss, **{**right, "G_b": -d.sum(axis=0)})
    assert wrong.first_wrong.reason == "the sign is wrong"
    for other in (d.sum(axis=0)[:, None], d.sum(axis=0)[None, None]):
        reason = compare_backprop(loss, **{**right, "G_b": other}).first_wrong.reason
        assert "shape" in reason or reason.startswith("the transpose")


def test_a_weight_without_its_axis_is_wrong():
    x = RNG.normal(size=(5, 1))
    w = leaf(RNG.normal(size=(1, 4)), name="w")
    loss = np.sum(np.square(x @ w))
    g = (2 * x.T @ (x @ w.numpy()))[0]
    reason = compare_backprop(loss, G_w=g).first_wrong.reason
    assert reason == "right numbers in a wrong shape: shape (4,) is not (1, 4)"


# A divisor that comes with the gradients of the leaves


def columns_net(dtype=float, last=None):
    """Two layers in columns, as in the course that divides in dW; `last`: what changes the loss."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(4, 8)).astype(dtype)
    Y = np.eye(3)[:, np.arange(8) % 3].astype(dtype)
    W1, b1 = leaf(rng.normal(size=(5, 4)), dtype), leaf(rng.normal(size=(5, 1)), dtype)
    W2, b2 = leaf(rng.normal(size=(3, 5)), dtype), leaf(rng.normal(size=(3, 1)), dtype)
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    e = np.exp(Z2)
    A2 = e / np.sum(e, axis=0, keepdims=True)
    loss = -np.sum(Y * np.log(A2)) / 8
    names = {k: t for k, t in locals().items() if isinstance(t, Tensor) and k not in ("loss", "e")}
    return loss, names, X, Y


def chain_in_columns(names, X, Y, broken=None):
    """The chain of that course: dZ without 1 / m, which the gradients of the leaves have."""
    n, m = {k: t.numpy() for k, t in names.items()}, 8
    f = {k: (lambda g: g) for k in ("Z2", "W2", "A1", "Z1", "W1")} | (broken or {})
    G_Z2 = f["Z2"](n["A2"] - Y)
    G_W2 = f["W2"](G_Z2 @ n["A1"].T / m)
    G_b2 = G_Z2.sum(axis=1, keepdims=True) / m
    G_A1 = f["A1"](n["W2"].T @ G_Z2)
    G_Z1 = f["Z1"](G_A1 * (1 - n["A1"] ** 2))
    G_W1 = f["W1"](G_Z1 @ X.T / m)
    G_b1 = G_Z1.sum(axis=1, keepdims=True) / m
    return {k: g for k, g in locals().items() if k.startswith("G_")}


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_that_are_divided_later_are_right_where_those_of_the_leaves_are(dtype):
    loss, names, X, Y = columns_net(dtype)
    chain = chain_in_columns(names, X, Y)
    report = compare_backprop(loss, names, **chain)
    assert report.ok, report
    report.raise_if_wrong()
    later = [s.name for s in report.steps if s.verdict == "right, by convention"]
    assert later == ["G_Z2", "G_A1", "G_Z1"]
    assert str(report).count("G_Z2, G_A1 and G_Z1 are 8 times the graph's") == 1
    assert [c["name"] for c in report.to_dict()["conventions"]] == ["late-mean"]
    part = compare_backprop(loss, names, **{k: chain[k] for k in ("G_Z1", "G_W1")})
    assert part.ok and "G_Z1 is 8 times" in str(part)


def test_gradients_that_are_never_divided_are_wrong():
    loss, names, X, Y = columns_net()
    chain = chain_in_columns(names, X, Y)
    alone = compare_backprop(loss, names, G_Z2=chain["G_Z2"])
    assert "8 times too large everywhere: not divided by" in alone.first_wrong.reason
    undivided = {k: 8 * g if k[2] in "Wb" else g for k, g in chain.items()}
    assert compare_backprop(loss, names, **undivided).first_wrong.name == "G_Z2"
    none_behind = {k: chain[k] for k in ("G_Z1", "G_W2", "G_b2")}  # no leaf comes from G_Z1
    assert compare_backprop(loss, names, **none_behind).first_wrong.name == "G_Z1"


@pytest.mark.parametrize(
    ("place", "fault", "words"),
    [
        ("W1", lambda g: -g, "the sign is wrong"),
        ("W1", lambda g: 8 * g, "not divided by the batch size 8"),
        ("W1", lambda g: g / 8, "divided by the batch size 8 once too often"),
        ("Z1", lambda g: -g, "the sign is wrong"),
        ("A1", lambda g: 3 * g, "3 times too large everywhere"),
        ("W2", lambda g: g.T, "the transpose"),
    ],
)
def test_a_mistake_beside_them_is_found(place, fault, words):
    loss, names, X, Y = columns_net()
    report = compare_backprop(loss, names, **chain_in_columns(names, X, Y, {place: fault}))
    assert report.first_wrong.name == f"G_{place}", report
    assert words in report.first_wrong.reason
    assert [s.verdict for s in report.steps].count("wrong") == 1
