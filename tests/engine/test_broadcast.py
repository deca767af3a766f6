"""BroadcastWarning: a column and a row that become a square are pointed out, pairs that are meant are not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tinygrad_steel import BroadcastWarning, Tensor, grad, no_grad, sigmoid, write_backprop

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 3)), RNG.normal(size=6)


def parameter(*shape, name="w"):
    return Tensor(RNG.normal(size=shape), requires_grad=True, name=name)


def lengths(w, keepdims):
    return np.sum(np.square(w.reshape(6, 1) * np.ones(3)), axis=1, keepdims=keepdims)


TRAPS = {
    "output - y": lambda: X @ parameter(3, 1) - Y,
    "y - output": lambda: Y - X @ parameter(3, 1),
    "a column of the table": lambda: np.sum(X * parameter(3), axis=1) - X[:, -1:],
    "named data": lambda: X @ parameter(3) - Tensor(Y.reshape(-1, 1), name="y"),
    "a list": lambda: X @ parameter(3, 1) - [*Y],
    "keepdims": lambda: np.sum(X * parameter(3), axis=1, keepdims=True) * Y,
    "a mask": lambda: np.where(X @ parameter(3, 1) > 0, Y, 0.0),
    "without a gradient": lambda: Tensor(X[:, :1]) - Tensor(Y),
    "one input, and a line": lambda: Y[:, None] * parameter() + parameter() - Tensor(Y, name="y"),
    "a comparison": lambda: sigmoid(X @ parameter(3, 1)) == Y,
}
MEANT = {
    "pairs by None": lambda w: w[:, None] - w,
    "pairs by expand_dims": lambda w: np.expand_dims(w, 1) * w,
    "pairs by reshape": lambda w: np.reshape(w, (-1, 1)) + w,
    "pairs by a method": lambda w: w.reshape(-1, 1) + w,
    "a transposed row": lambda w: np.atleast_2d(w).T - w,
    "squared lengths": lambda w: np.sum(X * X, axis=1)[:, None] + np.square(w),
    "lengths as a column and as a row": lambda w: lengths(w, True) + lengths(w, False),
    "a kernel": lambda w: np.exp(-((w[:, None] / 2 - w / 2) ** 2)),
    "powers": lambda w: w[:, None] ** 2 + w**2,
    "stacked": lambda w: np.stack([w], axis=1) - w,
    "an array by None": lambda w: w - Y[:, None],
    "an array's column by None": lambda w: w - X[:, 0][:, None],
    "an array by reshape": lambda w: w - Y.reshape(-1, 1),
    "a column and a row of two axes": lambda w: w[:, None] - w[None],
    "a square and a row": lambda w: np.eye(6) * w,
    "outer": lambda w: np.outer(w, w),
    "another length": lambda w: X[:, :1] * w[:3],
    "one number": lambda w: np.ones((1, 1)) * w[:1],
    "a bias": lambda w: X.T @ np.ones((6, 1)) + w[:1],
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_column_and_a_row(trap):
    with pytest.warns(
        BroadcastWarning, match=r"\(N, 1\) and .* \(N,\) gives \(N, N\).*\.reshape\(-1, 1\)"
    ) as found:
        assert TRAPS[trap]().shape == (6, 6)
    assert found[0].filename == __file__


WITH_HISTORY = ("lengths as a column and as a row", "a kernel", "powers", "stacked")


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("pairs", MEANT)
def test_pairs_that_are_meant(pairs, tracked):
    MEANT[pairs](
        Tensor(Y, requires_grad=tracked or pairs in WITH_HISTORY)
    )  # a warning would be an error here


def test_both_are_named():
    output, y = X @ parameter(3, 1), Tensor(Y, name="y")
    output.name = "output"
    with pytest.warns(BroadcastWarning, match=r"subtract of output \(N, 1\) and y \(N,\)"):
        output - y
    with no_grad(), pytest.warns(BroadcastWarning):
        X @ parameter(3, 1) - y


def test_it_comes_once_for_a_place_in_the_code_and_can_be_silenced():
    for action, count in (("default", 1), ("always", 6), ("ignore", 0)):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter(action, BroadcastWarning)
            for rows in (6, 6, 5, 4, 3, 2):
                X[:rows] @ parameter(3, 1) - Y[:rows]
        assert len(found) == count


def test_gradients_and_sources_do_not_warn_again():
    w = parameter(3, 1)
    with pytest.warns(BroadcastWarning):
        loss = np.mean(np.square(X @ w - Y))
    loss.backward()
    grad(loss, w)
    write_backprop(loss)
    expected = 2 * X.T @ (6 * (X @ w.data) - Y.sum()) / 36
    np.testing.assert_allclose(w.grad, expected, rtol=1e-12)
