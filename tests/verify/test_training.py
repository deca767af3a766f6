"""compare_backprop given a step or a loop of training: what is a gradient there, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_steel import Tensor, compare_backprop, sigmoid

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
START = {
    "random": {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)},
    "zero bias": {"W": rng.normal(size=(3, 2)), "b": np.zeros(2)},
    "zeros": {"W": np.zeros((3, 2)), "b": np.zeros(2)},
}
starts = pytest.mark.parametrize("start", START.values(), ids=START)


def gradients(P, x=X, y=Y, slip=1.0):
    """Those of the mean square over the samples, halved: `dW = x.T @ (x @ W + b - y) / n`."""
    d = (x @ P["W"] + P["b"] - y) / len(x)
    return {"dW": slip * (x.T @ d), "db": d.sum(axis=0)}


def report(code, start):
    t = {k: Tensor(v, requires_grad=True, name=k) for k, v in start.items()}
    loss = np.sum(np.square(X @ t["W"] + t["b"] - Y)) / (2 * len(X))
    return compare_backprop(loss, t, backprop=lambda: code({k: v.copy() for k, v in start.items()}))


# Optimizers, by their textbooks; `slip` makes the gradient of W wrong.


def momentum(P, slip=1.0):
    v = {"dW": np.zeros((3, 2)), "db": np.zeros(2)}
    return update_with_momentum(P, gradients(P, slip=slip), v, 0.9, 0.01)


def update_with_momentum(P, grads, v, beta, rate):
    for k in ("W", "b"):
        v["d" + k] = beta * v["d" + k] + (1 - beta) * grads["d" + k]
        P[k] = P[k] - rate * v["d" + k]
    return P, v


def adam(P, slip=1.0):
    v, s, vc, sc = {}, {}, {}, {}
    for k in P:
        v["d" + k], s["d" + k] = np.zeros_like(P[k]), np.zeros_like(P[k])
    grads = gradients(P, slip=slip)
    for k in P:
        v["d" + k] = 0.9 * v["d" + k] + 0.1 * grads["d" + k]
        vc["d" + k] = v["d" + k] / (1 - 0.9)
        s["d" + k] = 0.999 * s["d" + k] + 0.001 * grads["d" + k] ** 2
        sc["d" + k] = s["d" + k] / (1 - 0.999)
        P[k] = P[k] - 0.01 * vc["d" + k] / (np.sqrt(sc["d" + k]) + 1e-8)
    return P, v, s


def rmsprop(P, slip=1.0):
    grads, cache, new = gradients(P, slip=slip), {k: np.zeros_like(v) for k, v in P.items()}, {}
    for k in P:
        cache[k] = 0.9 * cache[k] + 0.1 * grads["d" + k] ** 2
        new[k] = P[k] - 0.01 * grads["d" + k] / (np.sqrt(cache[k]) + 1e-8)
    return new, cache


def warm(P, slip=1.0):
    """Momentum that was there before."""
    v = {"dW": np.arange(6.0).reshape(3, 2), "db": np.array([1.0, -2.0])}
    return update_with_momentum(P, gradients(P, slip=slip), v, 0.9, 0.01)


def adam_in_place(P, slip=1.0):
    """Only the new parameters are given back, in a list."""
    params = [P["W"], P["b"]]
    m, v = [0 * p for p in params], [0 * p for p in params]
    d = (X @ params[0] + params[1] - Y) / 6
    for i, (p, g) in enumerate(zip(params, (slip * (X.T @ d), d.sum(0)))):
        m[i] = 0.9 * m[i] + 0.1 * g
        v[i] = 0.999 * v[i] + 0.001 * g**2
        p -= 0.01 * (m[i] / 0.1) / (np.sqrt(v[i] / 0.001) + 1e-8)
    return params


OPTIMIZERS = [momentum, adam, rmsprop, warm, adam_in_place]


@starts
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_an_optimizer_keeps_is_no_gradient(optimizer, start):
    found = report(optimizer, start)
    assert found.ok, found


@starts
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_wrong_gradient_that_an_optimizer_takes_is_wrong(optimizer, start):
    found = report(lambda P: optimizer(P, slip=2.0), start)
    assert not found.ok, found
    assert "W" in (
        *found.missing,
        *(s.name.removeprefix("G_") for s in found.steps if s.verdict == "wrong"),
    )


def test_a_factor_after_a_right_gradient_is_no_optimizer():
    def code(P):
        grads = {"dW": np.zeros((3, 2)), "db": np.zeros(2)}
        for k, g in gradients(P).items():
            grads[k] += 2 * g
        return grads

    assert not report(code, START["random"]).ok


@starts
@pytest.mark.parametrize("share", [0.5, 0.1, -1.0])
def test_a_share_of_a_right_gradient_that_is_called_a_gradient_is_wrong(share, start):
    def held(P):
        grads = {"dW": np.zeros((3, 2)), "db": np.zeros(2)}
        for k, g in gradients(P).items():
            grads[k] = grads[k] + share * g
            P[k[1:]] = P[k[1:]] - 0.1 * grads[k]
        return P, grads

    def alone(P):
        right, dW = gradients(P), np.zeros((3, 2))
        dW = dW + share * right["dW"]
        P["W"] = P["W"] - 0.1 * dW
        return P, dW, right["db"]

    assert not report(held, start).ok
    assert not report(alone, start).ok


# Loops


def loop(P, epochs, slip=1.0, sign=1):
    W, b = P["W"], P["b"]
    for _ in range(epochs):
        d = (X @ W + b - Y) / 6
        dW, db = slip * (X.T @ d), d.sum(0)
        W -= sign * 0.1 * dW
        b -= sign * 0.1 * db
    return W, b


def loop_anew(P, epochs, slip=1.0, sign=1):
    W, b, losses = P["W"], P["b"], []
    for _ in range(epochs):
        d = (X @ W + b - Y) / 6
        losses.append(np.sum(d * d))
        dW, db = slip * (X.T @ d), d.sum(0)
        W, b = W - sign * 0.1 * dW, b - sign * 0.1 * db
    return W, b, losses


def loop_of_functions(P, epochs, slip=1.0, sign=1):
    for _ in range(epochs):
        grads = gradients(P, slip=slip)
        P = {k: P[k] - sign * 0.1 * grads["d" + k] for k in P}
    return P


def loop_of_momentum(P, epochs, slip=1.0, sign=1):
    v = {"dW": np.zeros((3, 2)), "db": np.zeros(2)}
    for _ in range(epochs):
        P, v = update_with_momentum(P, gradients(P, slip=slip), v, 0.9, sign * 0.01)
    return P, v


LOOPS = [loop, loop_anew, loop_of_functions, loop_of_momentum]


@starts
@pytest.mark.parametrize("epochs", [1, 2, 5])
@pytest.mark.parametrize("train", LOOPS)
def test_the_first_round_of_a_right_loop_is_right(train, epochs, start):
    found = report(lambda P: train(P, epochs), start)
    assert found.ok, found
    assert found.steps


@starts
@pytest.mark.parametrize("epochs", [1, 2, 5])
@pytest.mark.parametrize("train", LOOPS)
def test_the_first_round_of_a_wrong_loop_is_wrong(train, epochs, start):
    found = report(lambda P: train(P, epochs, slip=1.5), start)
    assert not found.ok, found


def test_a_sample_after_the_other_is_one_round():
    """Sums over samples, twice: the parameters change once for all of them."""

    def code(P, slip=1.0):
        for _ in range(2):
            dW, db = np.zeros((3, 2)), np.zeros(2)
            for x, y in zip(X, Y):
                d = x @ P["W"] + P["b"] - y
                dW += slip * np.outer(x, d) / 6
                db += d / 6
            P["W"] -= 0.1 * dW
            P["b"] -= 0.1 * db
        return P

    assert report(code, START["random"]).ok
    assert not report(lambda P: code(P, 3.0), START["random"]).ok


def test_parameters_that_change_too_early_are_wrong():
    """dh is made of the new W2: the first round does not end there."""
    W1, W2 = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))

    def code(early):
        A, B = W1.copy(), W2.copy()
        for _ in range(3):
            h = np.tanh(X @ A)
            d = (h @ B - Y) / 6
            dB = h.T @ d
            dh = d @ B.T
            B -= 0.1 * dB
            if early:
                dh = d @ B.T
            dA = X.T @ (dh * (1 - h * h))
            A -= 0.1 * dA
        return A, B

    for early in (False, True):
        A, B = (Tensor(w, requires_grad=True) for w in (W1, W2))
        loss = np.sum(np.square(np.tanh(X @ A) @ B - Y)) / 12
        found = compare_backprop(loss, {"A": A, "B": B}, backprop=lambda: code(early))  # noqa: B023
        assert found.ok is not early, found


@starts
@pytest.mark.parametrize("slip", [1.0, 1.5])
def test_what_is_computed_before_the_loop_is_no_round(slip, start):
    def predict(P):
        out = X @ P["W"] + P["b"]
        return out

    def code(P):
        first = np.sum((predict(P) - Y) ** 2)
        W, b = loop(P, 3, slip)
        return W, b, [first, np.sum((predict(P) - Y) ** 2)]

    assert report(code, start).ok is (slip == 1.0)


def test_what_a_loop_gives_back_of_its_last_round_is_not_called_right():
    def code(P):
        loop(P, 2)
        d = (X @ P["W"] + P["b"] - Y) / 6
        return 3 * (X.T @ d), d.sum(0)

    def inside(P, slip):
        for _ in range(3):
            d = (X @ P["W"] + P["b"] - Y) / 6
            dW, db = X.T @ d, d.sum(0)
            P["W"], P["b"] = P["W"] - 0.1 * dW, P["b"] - 0.1 * db
        return slip * dW, db

    assert not report(code, START["random"]).ok
    assert not report(lambda P: inside(P, 3.0), START["random"]).ok


# Batches


@pytest.mark.parametrize("slip", [1.0, 2.0])
def test_other_samples_than_the_graphs_are_not_judged(slip):
    def code(P):
        for i in range(0, 6, 2):
            x, y = X[i : i + 2], Y[i : i + 2]
            d = (x @ P["W"] + P["b"] - y) / 2
            P["W"] -= 0.1 * slip * (x.T @ d)
            P["b"] -= 0.1 * d.sum(0)
        return P

    found = report(code, START["random"])
    assert not found.ok and found.first_wrong is None and not found.steps, found
    assert "the code computes with other samples than the graph's" in found.note


def test_a_sample_for_each_step_is_not_judged():
    def code(P):
        for x, y in zip(X, Y):
            d = x @ P["W"] + P["b"] - y
            P["W"] = P["W"] - 0.1 * np.outer(x, d)
            P["b"] = P["b"] - 0.1 * d
        return P

    found = report(code, START["random"])
    assert not found.ok and found.first_wrong is None, found
    assert "other samples" in found.note


# New weights in lists, as Nielsen's `update_mini_batch` makes them

SLIPS = {
    "right": ("", ""),
    "sign": ("a - y", "y - a"),
    "missing-derivative": (" * a * (1 - a)", ""),
    "one-sample": ("nabla_w = nabla_w + dw", "nabla_w = dw"),
}
UPDATE = """
def backprop(x, y):
    a = 1 / (1 + np.exp(-(W0 @ x + b0)))
    delta = (a - y) * a * (1 - a)
    return delta, delta @ x.T


def update(eta=3.0):
    nabla_b, nabla_w = np.zeros_like(b0), np.zeros_like(W0)
    for x, y in batch:
        db, dw = backprop(x, y)
        nabla_b = nabla_b + db
        nabla_w = nabla_w + dw
    {back}
"""
BACK = {
    "apart": "return W0 - eta / 6 * nabla_w, b0 - eta / 6 * nabla_b",
    "lists": "return [w - (eta / len(batch)) * n for w, n in zip([W0, b0], [nabla_w, nabla_b])]",
}


@pytest.mark.parametrize("back", BACK.values(), ids=BACK)
@pytest.mark.parametrize("fault", SLIPS)
def test_new_weights_are_judged_as_a_step(fault, back, tmp_path):
    W0, b0 = rng.normal(size=(2, 3)), rng.normal(size=(2, 1))
    batch = [(x[:, None], rng.random((2, 1))) for x in X]
    file = tmp_path / "update.py"
    file.write_text(UPDATE.format(back=back).replace(*SLIPS[fault]), encoding="utf-8")
    namespace = {"np": np, "W0": W0, "b0": b0, "batch": batch}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)
    W, b = (Tensor(w, requires_grad=True) for w in (W0, b0))
    a = sigmoid(W @ np.hstack([x for x, _ in batch]) + b)
    loss = np.sum(np.square(a - np.hstack([y for _, y in batch]))) / 12
    found = compare_backprop(loss, {"W": W, "b": b, "a": a}, backprop=namespace["update"])
    assert found.ok is (fault == "right"), found
    if fault != "right":
        assert "as updated" not in str(found), found
        assert found.faults == (fault,), found


class Network:
    """A step of training in which no variable is called after a parameter; what changes them stands
    in a method of its own, and knows its rate.
    """

    def __init__(self, P, share):
        self.layers, self.rate, self.share = {"kernel": P["W"], "offset": P["b"]}, 0.01, share

    def update(self, key, delta):
        self.layers[key] -= self.rate * delta

    def step(self):
        out = X @ self.layers["kernel"] + self.layers["offset"]
        came = self.share * (out - Y)
        self.update("kernel", X.T @ came)
        self.update("offset", came.sum(axis=0))


@pytest.mark.parametrize("share, ok", [(1 / 6, True), (1 / 12, False), (1 / 2, False)])
def test_a_rate_that_the_code_shows_decides_how_large_gradients_are(share, ok):
    """All gradients together as many times too small: not those of another rate."""
    found = report(lambda P: Network(P, share).step(), START["random"])
    assert found.ok is ok, found
    assert ok or "up to one rate, here 0.01" in str(found)


def test_a_local_derivative_of_another_shape_is_not_the_gradient_of_a_leaf():
    """In the book's notation g_W is that of the product by W: X.T."""

    def code(P):
        g_W = X.T
        G_out = (X @ P["W"] + P["b"] - Y) / 12
        for key, delta in (("W", g_W @ G_out), ("b", G_out.sum(axis=0))):
            P[key] -= 0.01 * delta

    found = report(code, START["random"])
    assert not found.ok
    assert [step.name for step in found.steps if "shape" in step.reason] == []
    assert "2 times too small everywhere" in str(found)
