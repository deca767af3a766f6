"""What products read without a copy and what they go on through, against the same written in NumPy."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest

from tinygrad_steel import Tensor, compile_backprop, relu

EXACT = {"rtol": 1e-10, "atol": 1e-12}


def in_each(request):
    """The loops run by Python, or compiled."""
    if request.param == "loops":
        request.getfixturevalue("uncompiled")
    elif importlib.util.find_spec("numba") is None:
        missing = "the numba back end is not installed"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return "numba"


@pytest.fixture(params=["loops", pytest.param("numba", marks=pytest.mark.slow)])
def backend(request):
    return in_each(request)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_the_slope_of_relu_for_each_of_a_stack(backend):
    """Each matrix of a stack has its own slopes, and all have one bias."""
    a, b, c = random(3, 4, 5), random(3, 5, 6, seed=1), random(3, 6, 2, seed=2)
    weights, bias = random(3, 4, 2, seed=3), random(6, seed=4)
    p = Tensor(b, requires_grad=True, name="p")
    x = Tensor(a, name="x")
    loss = np.sum(relu(x @ p + Tensor(bias, name="bias")) @ Tensor(c) * weights)
    step = compile_backprop(loss, backend=backend)
    assert "affine_relu(" in step.source and "product_relu_vjp(" in step.source
    inner = a @ b + bias
    found = step(x=a, bias=bias)
    np.testing.assert_allclose(found, np.sum(np.maximum(inner, 0) @ c * weights), **EXACT)
    slope = weights @ c.swapaxes(1, 2) * (inner > 0)
    np.testing.assert_allclose(p.grad, a.swapaxes(1, 2) @ slope, **EXACT)


NO_STRIDES = {
    "rows backwards": (lambda x, w: (x[::-1], w), (6, 3), (3, 4)),
    "columns backwards": (lambda x, w: (x[:, ::-1], w), (6, 3), (3, 4)),
    "weights backwards": (lambda x, w: (x, w[::-1]), (6, 3), (3, 4)),
    "converted": (lambda x, w: (x.astype(bool).astype(float), w), (6, 3), (3, 4)),
    "nothing to add up": (lambda x, w: (x, w), (6, 0), (0, 4)),
}


@pytest.mark.parametrize("name", NO_STRIDES)
def test_a_product_that_no_call_computes(name, uncompiled):
    """It has no strides from 0 on in the block: its bias is added, and its slope taken, afterwards."""
    change, *shapes = NO_STRIDES[name]
    xs, ws, bias = random(*shapes[0]), random(*shapes[1], seed=1), random(4, seed=2)
    x, p, b = Tensor(xs, name="x"), Tensor(ws, requires_grad=True), Tensor(bias, requires_grad=True)
    left, right = change(x, p)
    step = compile_backprop(np.sum(np.square(relu(left @ right + b))), backend="numba")
    a, c = change(xs, ws)
    y = np.maximum(a @ c + bias, 0)
    np.testing.assert_allclose(step(x=xs), np.sum(y * y), **EXACT)
    np.testing.assert_allclose(b.grad, 2 * y.sum(axis=0), **EXACT)
    slope = a.T @ (2 * y)
    np.testing.assert_allclose(
        p.grad, slope[::-1] if name == "weights backwards" else slope, **EXACT
    )
