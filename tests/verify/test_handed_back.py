"""What code gives back decides, and not a right variable on the way there.

The right gradients come from a formula, and what is off is planted in what is made of them last.
"""

from __future__ import annotations

import collections
import functools

import numpy as np
import pytest

from tinygrad_steel import GradientError, Tensor, compare_backprop, grade_backprop

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
W, B = RNG.normal(size=(3, 2)), RNG.normal(size=2)


def report_on(code):
    """The report on code for the gradients of an affine layer under half a mean square."""
    w, b = Tensor(W, requires_grad=True), Tensor(B, requires_grad=True)
    return compare_backprop(np.sum(np.square(X @ w + b - Y)) / 12, {"W": w, "b": b}, backprop=code)


def both():
    """The right gradients, under their names."""
    d = (X @ W + B - Y) / 6
    dW, db = X.T @ d, d.sum(0)
    return dW, db


def unnamed():
    """The right gradients, without a name."""
    d = (X @ W + B - Y) / 6
    return X.T @ d, d.sum(0)


def wrong_gradients(report):
    """Which gradients are wrong."""
    return {step.name for step in report.steps if step.verdict == "wrong"}


# What the last statement makes of right gradients, by which it is off.
OFF = {
    "a factor": lambda g: 6 * g,
    "a small factor": lambda g: 1.01 * g,
    "the sign": lambda g: -g,
    "zeros": lambda g: 0 * g,
    "clipped": lambda g: np.clip(g, -0.1, 0.1),
    "squares": np.square,
    "rounded": lambda g: np.round(g, 1),
    "of length 1": lambda g: g / np.linalg.norm(g),
}


@pytest.mark.parametrize("gradients", [both, unnamed])
@pytest.mark.parametrize("off", OFF.values(), ids=OFF)
def test_what_is_made_of_right_gradients_while_they_are_given_back_is_judged(off, gradients):
    def one_by_one():
        return off(gradients()[0]), off(gradients()[1])

    def in_a_list():
        return [off(g) for g in gradients()]

    def of_a_variable():
        found = gradients()
        return [off(g) for g in found]

    def mapped():
        return tuple(map(off, gradients()))

    codes = (one_by_one, in_a_list, of_a_variable, mapped)
    for code in (*codes, lambda: [off(g) for g in gradients()]):
        report = report_on(code)
        assert wrong_gradients(report) == {"G_W", "G_b"}, report
        assert report.first_wrong.where.function in (*(c.__name__ for c in codes), "<lambda>")


def test_one_of_two_that_is_off_is_the_one():
    assert wrong_gradients(report_on(lambda: (both()[0] + 1e-3, both()[1]))) == {"G_W"}
    assert wrong_gradients(report_on(lambda: (both()[0], both()[1] + 1e-3))) == {"G_b"}
    assert wrong_gradients(report_on(lambda: (both()[1], np.ones((3, 2))))) == {"G_W"}


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_shapes_each_is_beside_what_is_made_of_it(order):
    first, second = RNG.normal(size=(2, 3, 3))
    u, v = Tensor(first, requires_grad=True), Tensor(second, requires_grad=True)

    def gradients():
        d = X @ first @ second / 3
        return X.T @ (d @ second.T), (X @ first).T @ d

    def code():
        return [k * g for k, g in zip((5, 7), gradients()[::order])]

    report = compare_backprop(np.sum(np.square(X @ u @ v)) / 6, {"u": u, "v": v}, backprop=code)
    found = {step.name: step.reason.split()[0] for step in report.steps if step.reason}
    assert found == dict(zip(("G_u", "G_v")[::order], "57")), report


# What is given back and is no gradient, or nothing at all


def affine(x=X, y=Y, w=W, b=B):
    """The right gradients for any parameters."""
    d = (x @ w + b - y) / 6
    return x.T @ d, d.sum(0)


@pytest.mark.parametrize(
    "unusable",
    [np.mean, lambda db: None, lambda db: db[:1], lambda db: [], lambda db: float("nan")],
    ids=["its mean", "None", "a part", "an empty list", "NaN"],
)
def test_what_cannot_be_the_gradient_of_a_leaf_is_not_replaced_by_a_variable(unusable):
    def code():
        dW, db = affine()
        return dW, unusable(db)

    report = report_on(code)
    assert not report.ok
    lacks = "what was returned lacks the gradient of b: that of a variable was judged"
    assert report.note == lacks


@pytest.mark.parametrize("empty", [{"W": None}, {"dW": "see above"}, {"grads": 1.0, "W": []}])
def test_a_place_for_a_gradient_that_holds_none_is_lacking(empty):
    def code():
        dW, db = affine()  # noqa: RUF059
        return empty

    report = report_on(code)
    assert not report.ok
    assert "lacks the gradient of W" in report.note


STORE, LIST, QUEUE = {}, [], collections.deque()


class Model:
    grads = None

    def __init__(self):
        self.w, self.b = W.copy(), B.copy()

    def backward(self):
        self.dw, self.db = affine()

    def of_the_class(self):
        dw, db = affine()
        Model.grads = {"w": dw, "b": db}

    def step(self):
        dw, db = affine(w=self.w, b=self.b)
        self.w -= 0.1 * dw
        self.b -= 0.1 * db

    def momentum(self):
        dw, db = affine(w=self.w, b=self.b)
        v = {"w": 0.9 * 0 + 0.1 * dw / (np.abs(dw) + 1e-8), "b": 0.1 * db}
        self.w = self.w - 0.1 * v["w"]
        self.b = self.b - 0.1 * v["b"]


def in_a_dict():
    STORE["dW"], STORE["db"] = affine()


def in_a_list():
    dW, db = affine()
    LIST.extend([dW, db])


def in_a_queue():
    dW, db = affine()
    QUEUE.extend([dW, db])


def in_globals():
    global dW, db
    dW, db = affine()


def in_an_argument(grads):
    grads["dW"], grads["db"] = affine()


def in_an_outer_variable():
    dW = db = None

    def inner():
        nonlocal dW, db
        dW, db = affine()

    inner()
    return dW, db


def after_a_step():
    dW, db = affine()
    return W - 0.1 * dW, B - 0.1 * db


def an_array_of_objects():
    dW, db = affine()
    found = np.empty(2, object)
    found[:] = dW, db
    return found


def a_generator():
    dW, db = affine()
    return (g for g in (dW, db))


CELL = "d = (x @ w + b - y) / 6\ndW = x.T @ d\ndb = d.sum(0)\n"


@pytest.mark.parametrize(
    "code",
    [
        in_a_dict,
        in_a_list,
        in_a_queue,
        in_globals,
        lambda: in_an_argument(STORE),
        functools.partial(in_an_argument, {}),
        in_an_outer_variable,
        Model().backward,
        Model().of_the_class,
        Model().step,
        Model().momentum,
        after_a_step,
        an_array_of_objects,
        a_generator,
    ],
)
def test_what_is_kept_or_used_is_right_strictly(code):
    report = report_on(code)
    assert report.is_kept, report
    report.raise_if_wrong()


def test_the_variables_of_a_cell_last():
    w, b = Tensor(W, requires_grad=True), Tensor(B, requires_grad=True)
    loss = np.sum(np.square(X @ w + b - Y)) / 12
    names = {"tW": w, "tb": b, "x": X, "y": Y, "w": W, "b": B}
    compare_backprop(loss, names, backprop=CELL).raise_if_wrong()


def forgotten():
    dW, db = affine()  # noqa: RUF059


def only_the_loss():
    dW, db = affine()  # noqa: RUF059
    return float(np.sum(np.square(X @ W + B - Y)) / 12)


def in_a_dict_of_its_own():
    grads = {}
    grads["dW"], grads["db"] = affine()


@pytest.mark.parametrize(
    "code", [forgotten, only_the_loss, in_a_dict_of_its_own, lambda: in_an_argument({})]
)
def test_what_is_lost_with_its_function_is_right_and_strictly_not(code):
    report = report_on(code)
    assert report.ok
    assert report.note == (
        "nothing gives back or keeps the gradient of W, b: that of a variable was judged, "
        "of a function that has ended"
    )
    report.raise_if_wrong(strict=False)
    with pytest.raises(GradientError, match="is to be returned or kept"):
        report.raise_if_wrong()
    w, b = Tensor(W, requires_grad=True), Tensor(B, requires_grad=True)

    def question():
        return np.sum(np.square(X @ w + b - Y)) / 12, {"W": w, "b": b}, ()

    grades = grade_backprop(question, {"lost": code, "right": affine})
    assert [grade.ok for grade in grades] == [False, True]
    assert grades["lost"].faults == ("missing-gradient",)
    assert "nothing gives back or keeps" in str(grades)


def test_what_is_given_back_decides_and_not_the_step_made_with_it():
    """Twice the gradients, and a step that is right for another rate: the gradients are wrong."""
    X, Y = np.linspace(-1, 1, 18).reshape(6, 3), np.linspace(2, -1, 12).reshape(6, 2)
    Ws = [np.linspace(-0.5, 0.7, 12).reshape(3, 4), np.linspace(0.9, -0.4, 8).reshape(4, 2)]

    def run():
        h = np.tanh(X @ Ws[0])
        g = 2 * (h @ Ws[1] - Y) / len(Y)  # the mean is over all elements
        gs = {1: h.T @ g, 0: X.T @ (g @ Ws[1].T * (1 - h * h))}
        theta = [W - 0.1 * gs[n] for n, W in enumerate(Ws)]
        assert len(theta) == 2
        return gs

    tensors = [Tensor(W, requires_grad=True) for W in Ws]
    loss = np.mean(np.square(np.tanh(X @ tensors[0]) @ tensors[1] - Y))
    report = compare_backprop(loss, {"W": tensors}, backprop=run)
    assert not report.ok
    assert "2 times too large" in report.first_wrong.reason


# Under the leaf's own name, by a function that reads the leaf: neither a step of training nor right


def gradients_of(w, b):
    """The right gradients, under the names of the leaves."""
    d = (X @ w + b - Y) / 6
    return {"W": X.T @ d, "b": d.sum(0)}


@pytest.mark.parametrize("factor", [-1, 2, 0.5])
def test_a_multiple_of_a_gradient_is_no_parameter_after_a_step(factor):
    def code():
        return {"W": factor * gradients_of(W, B)["W"], "b": gradients_of(W, B)["b"]}

    report = report_on(code)
    assert wrong_gradients(report) == {"G_W"} and not report.ok


@pytest.mark.parametrize("rate", [0.1, 3.0])
def test_a_parameter_after_a_step_is_no_wrong_gradient(rate):
    def code():
        return {"W": W - rate * gradients_of(W, B)["W"], "b": B - rate * gradients_of(W, B)["b"]}

    report = report_on(code)
    assert not wrong_gradients(report) and {"G_W", "G_b"} <= {step.name for step in report.steps}


SQUARED = Tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")  # its gradient is 2 * x


@pytest.mark.parametrize("wrong", [lambda x: -2 * x, lambda x: 0.5 * x, lambda x: -x])
def test_a_multiple_of_a_leaf_is_no_step_of_a_rate_that_nobody_has_written(wrong):
    report = compare_backprop(
        np.sum(np.square(SQUARED)), backprop=lambda: {"x": wrong(SQUARED.numpy())}
    )
    assert wrong_gradients(report) == {"G_x"} and not report.ok


def test_a_step_of_a_written_rate_is_one_though_it_is_a_multiple_of_the_leaf():
    x = SQUARED.numpy()
    report = compare_backprop(np.sum(np.square(SQUARED)), backprop=lambda: {"x": x - 0.1 * 2 * x})
    assert report.ok and not wrong_gradients(report)


@pytest.mark.parametrize("key", ["dx", "x", "G_x"])
def test_a_gradient_that_is_handed_on_to_a_leaf_as_it_is_is_that_of_the_leaf(key):
    x = Tensor([3.0, -1.0, 3.5], requires_grad=True, name="x")
    loss = np.sum(np.square(x - np.array([1.0, 2.0, 4.0])))

    def code():
        z = x.numpy() - np.array([1.0, 2.0, 4.0])
        d = 2 * z
        return {key: d}

    report = compare_backprop(loss, backprop=code)
    assert report.ok and not report.note
    report.raise_if_wrong()  # not even strictly: what is given back is the gradient
