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
