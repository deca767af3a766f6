"""Reasons that people are given for the mistakes that they make most, by what these are."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_steel import (
    Tensor,
    compare_backprop,
    conv2d,
    grad,
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


def dropout(keep):
    """A dropout whose mask holds its scale, and what belongs to it."""
    x, W = RNG.normal(size=(4, 3)), Tensor(RNG.normal(size=(3, 5)), requires_grad=True)
    kept = np.arange(20).reshape(4, 5) % 3 != 0
    drop = Tensor(kept / keep)
    h = x @ W
    d = h * drop
    names = {"W": W, "h": h, "d": d, "drop": drop}
    return np.sum(np.square(d)) / 4, names, 2 * d.data / 4, kept


@pytest.mark.parametrize("keep", [0.8, 0.5, 0.9])
def test_a_mask_that_is_taken_as_0_and_1_has_no_other_reason(keep):
    loss, names, G_d, kept = dropout(keep)
    report = compare_backprop(loss, names, G_d=G_d, G_h=G_d * kept)
    says = f"everywhere: the mask drop is taken as 0 and 1: the scale {1 / keep:g} that stands in"
    assert says in report.first_wrong.reason
    assert "columns" not in report.first_wrong.reason
    report = compare_backprop(loss, names, G_d=G_d, G_h=G_d * kept / keep**2)
    assert f"the scale {1 / keep:g} that stands in the mask drop is" in report.first_wrong.reason


@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_a_mask_that_dropout_has_drawn_is_taken_as_0_and_1(rate):
    x, W = RNG.normal(size=(8, 3)), Tensor(RNG.normal(size=(3, 5)), requires_grad=True)
    h = np.tanh(x @ W)
    d = ops.dropout(h, rate, np.random.default_rng(0), name="drop")
    loss = np.sum(np.square(d)) / 8
    G_d = 2 * d.data / 8
    report = compare_backprop(loss, locals(), G_d=G_d, G_h=G_d * (d.data != 0))
    says = f"the mask drop is taken as 0 and 1: the scale {1 / (1 - rate):g} that stands in"
    assert says in report.first_wrong.reason


def test_a_mask_on_one_of_two_ways_is_taken_as_0_and_1():
    x, W = RNG.normal(size=(4, 3)), Tensor(RNG.normal(size=(3, 5)), requires_grad=True)
    kept = np.arange(20).reshape(4, 5) % 3 != 0
    drop = Tensor(kept / 0.7)
    h = x @ W
    d = h * drop + np.sin(h)
    names = {"W": W, "h": h, "d": d, "drop": drop}
    G_d, slope = 2 * d.data, np.cos(h.data)
    loss = np.sum(np.square(d))
    for wrong, says in (
        (kept, "the mask drop is taken as 0 and 1: the scale 1.42857"),
        (~kept / 0.7, "drop is the wrong way round: 1.42857 where it is 0, and 0 where"),
    ):
        report = compare_backprop(loss, names, G_d=G_d, G_h=G_d * (wrong + slope))
        assert says in report.first_wrong.reason


@pytest.mark.parametrize("n", [3, 4, 6, 10])
def test_what_is_left_out_of_a_mean_of_squares_is_no_other_count(n):
    x, y = RNG.normal(size=(n, 2)), RNG.normal(size=(n, 1))
    W = Tensor(RNG.normal(size=(2, 1)), requires_grad=True)
    d = x @ W - y
    report = compare_backprop(np.mean(np.square(d)), {"W": W, "d": d}, G_W=x.T @ d.data)
    assert "- 1" not in report.first_wrong.reason
    assert n == 4 or report.first_wrong.reason == "computed from d in place of G_d"


def attention():
    """Scores of stacks of vectors, and the gradients by hand."""
    q0, k0, v0 = (RNG.normal(size=(2, 4, 3)) for _ in range(3))
    q, k, v = (Tensor(one, requires_grad=True) for one in (q0, k0, v0))
    s = q @ np.swapaxes(k, -1, -2)
    o = s @ v
    return np.sum(np.square(o)), {"q": q, "k": k, "v": v, "s": s, "o": o}


def turned(a):
    return np.swapaxes(a, -1, -2)


STACKS = {
    "G_v": (
        lambda n, G_o, G_s: n["s"] @ G_o,
        "s @ G_o instead of swapaxes(s, -1, -2) @ G_o",
    ),
    "G_k": (
        lambda n, G_o, G_s: G_s @ n["q"],
        "swapaxes(q, -1, -2) @ swapaxes(G_s, -1, -2) instead of swapaxes(q, -1, -2) @ G_s",
    ),
    "G_q": (lambda n, G_o, G_s: turned(G_s) @ n["k"], "swapaxes(G_s, -1, -2) @ k instead of"),
}


@pytest.mark.parametrize("name", STACKS)
def test_a_transpose_forgotten_in_a_stack_of_matrices(name):
    loss, names = attention()
    n = {k: t.data for k, t in names.items()}
    G_o = 2 * n["o"]
    G_s = G_o @ turned(n["v"])
    make, says = STACKS[name]
    report = compare_backprop(loss, names, G_o=G_o, G_s=G_s, **{name: make(n, G_o, G_s)})
    assert report.faults == ("transposed",)
    assert says in report.first_wrong.reason


def test_a_matrix_that_is_not_transposed_outside_a_product():
    A = Tensor(RNG.normal(size=(2, 4, 4)), requires_grad=True, name="A")
    loss = np.sum(np.square(np.exp(np.swapaxes(A, -1, -2)) * RNG.normal(size=(2, 4, 4))))
    loss.backward()
    report = compare_backprop(loss, G_A=np.swapaxes(A.grad, -1, -2))
    assert "transposed" in report.faults
    assert "swapaxes(swapaxes" not in report.first_wrong.reason


def test_arrays_without_a_name_are_told_apart():
    steps, h0 = 4, np.zeros((3, 5))
    x, y = RNG.normal(size=(3, steps, 2)), RNG.normal(size=(3, 5))
    Wx = Tensor(RNG.normal(size=(2, 5)), requires_grad=True)
    Wh = Tensor(RNG.normal(size=(5, 5)) * 0.5, requires_grad=True)
    h, zs = h0, []
    for t in range(steps):
        zs.append(x[:, t] @ Wx + h @ Wh)
        h = np.tanh(zs[-1])
    loss = np.mean(np.square(h - y))
    Gz = grad(loss, zs)
    wrong = sum(x[:, t - 1].T @ g.data for t, g in enumerate(Gz))
    reason = compare_backprop(loss, {"Wx": Wx, "Wh": Wh}, G_Wx=wrong).first_wrong.reason
    mixed, right = reason.removeprefix("steps are mixed up: ").split(" in place of ")
    assert right == ", ".join(f"array #{t} (3, 2)" for t in (1, 2, 3, 4))
    assert mixed == ", ".join(f"array #{t} (3, 2)" for t in (4, 1, 2, 3))


@pytest.mark.parametrize("sign", [1, -1])
def test_an_infinite_gradient_is_no_updated_weight(sign):
    x = np.array([[1.0, 2], [3, 4], [0, 1]])
    W = Tensor([[1.0], [2.0]], requires_grad=True, name="W")
    report = compare_backprop(np.mean(np.square(x @ W)), G_W=np.full((2, 1), sign * np.inf))
    assert "inf *" not in report.first_wrong.reason
    assert report.faults == ("unexplained",)


@pytest.mark.parametrize("keepdims", [True, False])
def test_a_max_pool_that_shares_what_comes(keepdims):
    x, y = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
    W = Tensor(RNG.normal(size=(3, 4)), requires_grad=True)
    r = x @ W
    p = np.reshape(np.max(np.reshape(r, (6, 2, 2)), axis=2, keepdims=keepdims), (6, 2))
    G_p = 2 * (p.data - y) / 6
    names = {"W": W, "r": r, "p": p}
    loss = np.sum(np.square(p - y)) / 6
    report = compare_backprop(loss, names, G_p=G_p, G_r=np.repeat(G_p, 2, axis=1) / 2)
    assert (
        "to all elements, and not to the largest alone: shared evenly" in report.first_wrong.reason
    )
    assert "besides" not in report.first_wrong.reason
    unshared = compare_backprop(loss, names, G_p=G_p, G_r=np.repeat(G_p, 2, axis=1))
    assert "is handed on unchanged" in unshared.first_wrong.reason
    assert "(...)" not in unshared.first_wrong.reason


@pytest.mark.parametrize("n", [1, 2])
def test_a_wrong_sign_is_no_other_forward(n):
    x, y, W0 = RNG.normal(size=(n, 3)), RNG.normal(size=(n, 1)), RNG.normal(size=(3, 1))

    def run():
        e = (y - x @ W0) / n
        dW = x.T @ e
        return dW

    W = Tensor(W0, requires_grad=True)
    loss = np.sum(np.square(x @ W - y)) / (2 * n)
    report = compare_backprop(loss, {"W": W}, backprop=run)
    assert report.faults == ("sign",)


def test_values_that_are_called_the_same_are_told_apart():
    x = [RNG.normal(size=(5, 4)) for _ in range(3)]
    W = Tensor(RNG.normal(size=(4, 4)) * 0.2, requires_grad=True)
    hs = [np.tanh(np.sin(0.35 * (one @ W) + 1.5) * 2 + 0.25 * (one @ W) + 1) for one in x]
    loss = sum(np.sum(np.sin(h)) for h in hs)
    G_W = grad(loss, [W])[0].data
    a, h, other = x[0] @ W.data, hs[0].data, hs[1].data
    slope = (1 - h * h) * (2 * 0.35 * np.cos(0.35 * a + 1.5) + 0.25)
    wrong = G_W + x[0].T @ ((np.cos(other) - np.cos(h)) * slope)
    reason = compare_backprop(loss, {"W": W}, G_W=wrong).first_wrong.reason
    text = (
        "tanh(sin(0.35 * (array #{0} (5, 4) @ W) + 1.5) * 2 + 0.25 * (array #{0} (5, 4) @ W) + 1)"
    )
    assert reason.endswith(f"computed with {text.format(2)} in place of {text.format(1)}")


def test_values_whose_text_is_too_long_are_told_apart_by_their_number():
    x = [RNG.normal(size=(5, 4)) for _ in range(3)]
    W = Tensor(RNG.normal(size=(4, 4)) * 0.2, requires_grad=True)
    hs = []
    for one in x:
        z = one @ W
        hs.append(np.tanh(np.sin(0.35 * z + 1.5) * 2 + 0.25 * np.cos(z + 0.125) + 0.5 * z + 1.25))
    loss = sum(np.sum(np.sin(h)) for h in hs)
    G_W = grad(loss, [W])[0].data
    a, h, other = x[0] @ W.data, hs[0].data, hs[1].data
    slope = (1 - h * h) * (2 * 0.35 * np.cos(0.35 * a + 1.5) - 0.25 * np.sin(a + 0.125) + 0.5)
    wrong = G_W + x[0].T @ ((np.cos(other) - np.cos(h)) * slope)
    reason = compare_backprop(loss, {"W": W}, G_W=wrong).first_wrong.reason
    assert reason.endswith(
        "with tanh(add(...) + 1.25) (number 2 of 3) in place of tanh(add(...) + 1.25)"
    )


@pytest.mark.parametrize("begins_at", [0.0, 0.3])
@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ((0, 1, 2), "40 times too small everywhere: the mean of G_h over axes 0, 1, 2"),
        ((1, 2), "20 times too small everywhere: the mean of G_h over axes 1, 2"),
        ((1,), "4 times too small everywhere: the mean of G_h over axis 1"),
        ((2,), "5 times too small everywhere: the mean of G_h over axis 2"),
        ((0,), "2 times too small everywhere: divided by the batch size 2"),
    ],
)
def test_a_bias_of_a_convolution_that_takes_a_mean(axes, said, begins_at):
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(2, 4, 5, 1)), name="x")
    kernel = Tensor(rng.normal(size=(3, 3, 1, 3)), requires_grad=True)
    bias = Tensor(np.full(3, begins_at), requires_grad=True)
    h = conv2d(x, kernel) + bias
    loss = np.mean(np.sum(np.tanh(h), axis=(1, 2, 3)))
    G_h = (1 - np.tanh(h.numpy()) ** 2) / 2
    G_bias = np.sum(G_h, axis=(0, 1, 2)) / np.prod([G_h.shape[axis] for axis in axes])
    found = compare_backprop(loss, locals(), G_h=G_h, G_bias=G_bias)
    assert found.first_wrong.name == "G_bias"
    assert said in found.first_wrong.reason, found


@pytest.mark.parametrize(("rate", "says"), [(0.1, "b - 0.1 * G_b"), (-0.1, "b + 0.1 * G_b")])
def test_an_updated_weight_is_said_with_its_sign(rate, says):
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(7, 2)), name="x")
    b = Tensor(rng.normal(size=2), requires_grad=True)
    loss = np.mean(np.square(x + b))
    right = np.sum(2 * (x + b).numpy() / 14, axis=0)
    found = compare_backprop(loss, locals(), G_b=b.numpy() - rate * right)
    assert says in found.first_wrong.reason, found
