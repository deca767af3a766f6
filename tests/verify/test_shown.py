"""Conventions that somebody's code shows: right where it does, wrong where it does not, strict or not."""

from __future__ import annotations

import numpy as np
import pytest
from verify.mistakes.collection import MODELS
from verify.test_declared import KEPT, SIZES, SUMS, in_convention

from tinygrad_steel import GradientError, Tensor, assert_backprop, compare_backprop

DTYPES = (np.float64, np.float32)


class Net:
    """Two layers in rows, the arrays of somebody's code, and the graph with the mean over the batch."""

    def __init__(self, dtype=float, turned=False):
        rng = np.random.default_rng(11)
        shapes = {"W1": (4, 6), "b1": (6,), "W2": (6, 3), "b2": (3,)}
        self.w = {k: rng.normal(size=s).astype(dtype) for k, s in shapes.items()}
        self.x = rng.normal(size=(8, 4)).astype(dtype)
        self.y = rng.normal(size=(8, 3)).astype(dtype)
        t = {k: Tensor(w.copy(), requires_grad=True, name=k) for k, w in self.w.items()}
        out = np.tanh(self.x @ t["W1"] + t["b1"]) @ t["W2"] + t["b2"]
        self.loss = np.sum(np.square(out - self.y)) / 8
        if turned:
            self.x, self.y = self.x.T, self.y.T
            self.w = {k: w.T if w.ndim == 2 else w[:, None] for k, w in self.w.items()}


def passed(net):
    """What the code below computes first."""
    h = np.tanh(net.x @ net.w["W1"] + net.w["b1"])
    return h, h @ net.w["W2"] + net.w["b2"]


def descends(net, sign=1, slip=1.0):
    """The error the other way round; the parameters go with what comes of it."""

    def train():
        w = {k: a.copy() for k, a in net.w.items()}
        h, out = passed(net)
        d = 2 * (net.y - out) / 8
        dW2, db2 = h.T @ d, d.sum(axis=0)
        dz = slip * (d @ w["W2"].T) * (1 - h * h)
        dW1, db1 = net.x.T @ dz, dz.sum(axis=0)
        w["W1"] += sign * 0.1 * dW1
        w["b1"] += sign * 0.1 * db1
        w["W2"] += sign * 0.1 * dW2
        w["b2"] += sign * 0.1 * db2
        return dW1, db1, dW2, db2

    return train


def sums(net, shows=True, slip=1.0):
    """The gradients of a loss that is the sum over the batch, which is computed, or not."""

    def backward():
        h, out = passed(net)
        loss = np.sum((out - net.y) ** 2) if shows else np.mean((out - net.y) ** 2)
        d = 2 * (out - net.y)
        dW2, db2 = h.T @ d, d.sum(axis=0)
        dz = slip * (d @ net.w["W2"].T) * (1 - h * h)
        dW1, db1 = net.x.T @ dz, dz.sum(axis=0)
        return loss, {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}

    return backward


def turned(net, slip=1.0):
    """Samples as columns, and all parameters so."""

    def backward():
        h = np.tanh(net.w["W1"] @ net.x + net.w["b1"])
        out = net.w["W2"] @ h + net.w["b2"]
        d = 2 * (out - net.y)
        dW2, db2 = d @ h.T / 8, d.sum(axis=1, keepdims=True) / 8
        dz = slip * (net.w["W2"].T @ d) * (1 - h * h)
        dW1, db1 = dz @ net.x.T / 8, dz.sum(axis=1, keepdims=True) / 8
        return dW1, db1, dW2, db2

    return backward


def sums_and_descends(net):
    def train():
        w = {k: a.copy() for k, a in net.w.items()}
        h, out = passed(net)
        cost = float(np.sum(np.square(out - net.y)))
        d = 2 * (net.y - out)
        dW2, db2 = h.T @ d, d.sum(axis=0)
        dz = d @ w["W2"].T * (1 - h * h)
        dW1, db1 = net.x.T @ dz, dz.sum(axis=0)
        for key, g in zip(("W1", "b1", "W2", "b2"), (dW1, db1, dW2, db2)):
            w[key] = w[key] + 0.01 * g
        return w, cost

    return train


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("code", "names"),
    [(descends, ["descent"]), (sums, ["sum"]), (sums_and_descends, ["sum", "descent"])],
)
def test_a_convention_that_the_code_shows_is_right_and_strictly_not_the_graphs(code, names, dtype):
    net = Net(dtype)
    report = compare_backprop(net.loss, backprop=code(net))
    assert report.ok and len(report.steps) >= 4, report
    assert [c.name for c in report.conventions] == names
    assert str(report).count("By convention") == len(names)
    report.raise_if_wrong(strict=False)
    with pytest.raises(GradientError, match="Strictly"):
        assert_backprop(net.loss, backprop=code(net))
    report = assert_backprop(net.loss, backprop=code(net), convention=tuple(names))
    assert [c.name for c in report.conventions] == names


def test_the_line_that_shows_it_is_named():
    net = Net()
    (shown,) = compare_backprop(net.loss, backprop=descends(net)).conventions
    assert 'w["W1"] += sign * 0.1 * dW1 (test_shown.py:' in shown.text
    (shown,) = compare_backprop(net.loss, backprop=sums(net)).conventions
    assert "every gradient is 8 times the graph's, as your loss is: loss = np.sum(" in shown.text


def test_what_the_code_does_not_show_stays_wrong():
    net = Net()
    uphill = compare_backprop(net.loss, backprop=descends(net, sign=-1))
    assert not uphill.ok and uphill.first_wrong.reason == "the sign is wrong"
    mean = compare_backprop(net.loss, backprop=sums(net, shows=False))
    assert not mean.ok and "8 times too large everywhere" in mean.first_wrong.reason


def test_one_slip_beside_a_loss_that_is_a_sum_is_judged_by_the_mean():
    net = Net()

    def backward():
        h, out = passed(net)
        loss = np.sum((out - net.y) ** 2)
        d = 2 * (out - net.y) / 8
        dW2, db2 = h.T @ d, -d.sum(axis=0)
        dz = d @ net.w["W2"].T * (1 - h * h)
        dW1, db1 = net.x.T @ dz, dz.sum(axis=0)
        return loss, {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}

    report = compare_backprop(net.loss, backprop=backward)
    assert [s.name for s in report.steps if s.verdict == "wrong"] == ["G_b2"], report
    assert not report.conventions


def test_a_part_of_a_step_uphill_shows_no_descent():
    """The bias is 0: what it will be changed by looks like what it would be after a step."""
    x, y = np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([[1.0, 3.0], [0.5, 1.0]])
    b = Tensor(np.zeros(2), requires_grad=True, name="b")

    def train(b):
        db = (y - x).sum(axis=0)
        change = 0.1 * db
        b = b - change
        return db

    report = compare_backprop(np.sum(np.square(x + b - y)) / 2, backprop=lambda: train(b.numpy()))
    assert "the sign is wrong" in report.first_wrong.reason, report


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_are_shown_by_the_parameters_and_strictly_right(dtype):
    net = Net(dtype, turned=True)
    report = assert_backprop(net.loss, backprop=turned(net))
    assert [c.name for c in report.conventions] == ["columns", "late-mean"], report
    text = str(report)
    assert text.count("dW1 and dW2 are the graph's transposed, as the parameters are in your") == 1
    assert text.count("8 times the graph's") == 1


def test_a_transposed_gradient_is_wrong_where_nothing_is_transposed():
    """The only parameter is not read in the backward, and the data lie as the graph's."""
    x, y = np.arange(12.0).reshape(4, 3) - 3, np.arange(8.0).reshape(4, 2)
    W = Tensor(np.ones((3, 2)), requires_grad=True, name="W")
    loss, out = np.mean(np.square(x @ W - y)), x @ W.numpy()

    def backward(x, y, out):
        d = 2 * (out - y) / 8
        dW = d.T @ x
        return dW

    report = compare_backprop(loss, backprop=lambda: backward(x, y, out))
    assert report.first_wrong.reason == "the transpose: shape (2, 3) is not (3, 2)"
    report = assert_backprop(loss, backprop=lambda: backward(x, y, out), convention="columns")
    assert [c.name for c in report.conventions] == ["columns"]
    report = compare_backprop(loss, backprop=lambda: x.T @ (out - y) / 4, convention="columns")
    assert report.first_wrong.reason.startswith("the transpose"), report


@pytest.mark.parametrize("code", [descends, sums])
def test_a_mistake_within_what_the_code_shows_is_found(code):
    net = Net()
    report = compare_backprop(net.loss, backprop=code(net, slip=2.0))
    assert report.first_wrong.where.text.startswith("dz = slip *"), report
    assert "2 times too large everywhere: a factor 2 too much" in report.first_wrong.reason
    assert [c.name for c in report.conventions] == [{descends: "descent", sums: "sum"}[code]]


def test_one_gradient_that_is_not_transposed_is_found_in_columns():
    net = Net(turned=True)

    def backward():
        grads = dict(zip(("dW1", "db1", "dW2", "db2"), turned(net)()))
        grads["dW1"] = grads["dW1"].T
        return grads

    report = compare_backprop(net.loss, backprop=backward)
    assert report.first_wrong.name == "G_W1", report
    assert report.first_wrong.reason.startswith("the transpose"), report


def test_a_mistake_in_columns_is_found():
    net = Net(turned=True)
    report = compare_backprop(net.loss, backprop=turned(net, slip=-1.0))
    assert report.first_wrong.where.text.startswith("dz = slip *"), report
    assert report.first_wrong.reason == "the sign is wrong"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_declared_convention_holds_for_code_too(model, name, dtype):
    if model.name in SUMS and name == "sum":
        pytest.skip("there is no mean")
    loss, tensors = model.build(dtype)
    right = model.chain(tensors)
    chain = in_convention(right, (name,), SIZES.get(model.name, (0,))[0])

    def backward():
        grads = {}
        for step, g in chain.items():
            grads[step] = g + 0
        return grads

    report = assert_backprop(loss, tensors, backprop=backward, convention=name)
    assert len(report.steps) >= 2 and [c.name for c in report.conventions] == [name]
    if any(g.shape != right[k].shape or not np.allclose(g, right[k]) for k, g in chain.items()):
        if name != "columns":  # nothing in this code shows how anything lies
            assert not compare_backprop(loss, tensors, backprop=backward).ok


def test_a_rate_is_no_step_of_a_bias_of_one_number():
    """The sign is wrong and the step subtracts: nothing shows that a gradient is to be added."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(3, 6)), rng.normal(size=(1, 6))
    own = {"W": rng.normal(size=(1, 3)), "b": np.zeros((1, 1))}

    def update(params, grads, lr, sign):
        return {k: params[k] + sign * lr * grads["d" + k] for k in params}

    def code(sign):
        d = y - (own["W"] @ x + own["b"])
        grads = {"dW": d @ x.T / 6, "db": d.sum(1, keepdims=True) / 6}
        return update(own, grads, 0.0075, sign)

    t = {k: Tensor(v, requires_grad=True) for k, v in own.items()}
    loss = np.sum(np.square(t["W"] @ x + t["b"] - y)) / 12
    assert not compare_backprop(loss, t, backprop=lambda: code(-1)).ok
    report = compare_backprop(loss, t, backprop=lambda: code(1))
    assert report.ok and [c.name for c in report.conventions if c.name == "descent"], report
