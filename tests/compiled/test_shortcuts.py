"""What products read without a copy and what they go on through, against the same written in NumPy."""

from __future__ import annotations

import importlib.util
import os
import re

import numpy as np
import pytest

from tinygrad_steel import Tensor, compile_backprop, conv2d, relu, softmax_cross_entropy

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


def test_a_convolution_reads_windows_where_they_are(uncompiled):
    """Three axes of rows and three of terms, and no copy of the windows between."""
    images = Tensor(np.ones((2, 5, 6, 3)), name="images")
    kernel = Tensor(np.ones((3, 3, 3, 4)), requires_grad=True, name="kernel")
    source = compile_backprop(np.sum(conv2d(images, kernel)), backend="numba").source
    assert re.search(r"product\(.*, \(2, 5, 6\), 4, \(3, 3, 3\), ", source)  # forward
    assert re.search(r"product\(.*, \(3, 3, 3\), 4, \(2, 5, 6\), ", source)  # the kernel's gradient
    assert "i4" not in source  # no loop over places and windows


def test_exponentials_have_a_loop_of_their_own(uncompiled):
    """One over all elements: in rows of seven that are added up they would be computed one by one."""
    x = Tensor(np.ones((10, 7)), requires_grad=True, name="x")
    loss = np.mean(softmax_cross_entropy(x, np.eye(7)[np.arange(10) % 7]))
    lines = compile_backprop(loss, backend="numba").source.splitlines()
    (at,) = (i for i, line in enumerate(lines) if " exp(" in line)
    assert lines[at - 1].strip() == "for k in range(72):"


@pytest.mark.parametrize(("row", "calls"), [(15, 0), (16, 3)])
def test_long_rows_are_taken_in_by_lanes(row, calls, uncompiled):
    x = Tensor(np.ones((4, row)), requires_grad=True, name="x")
    loss = np.prod(np.max(x, axis=1) + np.min(x, axis=1) + np.mean(x, axis=1))
    source = compile_backprop(loss, backend="numba").source
    assert len(re.findall(r"\b(?:sum|max|min)_of\(m, ", source)) == calls
