"""What code gives back decides, and not a right variable on the way there.

The right gradients come from a formula, and what is off is planted in what is made of them last.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_steel import Tensor, compare_backprop

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
