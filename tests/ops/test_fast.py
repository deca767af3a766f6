"""What NumPy does faster another way gives the digits that it gives the usual way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tinygrad_steel import Tensor, ops, relu, softmax_cross_entropy
from tinygrad_steel.ops.fast import by_dot

LENGTHS = (1, 2, 3, 5, 8, 17, 33)


def layouts(shape, dtype):
    """A matrix in each way in which it may lie in memory, the last one with odd numbers in it."""
    rng = np.random.default_rng(sum(shape))
    a = (9 * rng.normal(size=shape)).astype(dtype)
    yield from (a, np.asfortranarray(a), a[::-1], np.broadcast_to(a[:1], shape))
    yield np.repeat(a, 2, axis=1)[:, ::2]
    if a.dtype.kind != "f":
        return
    odd = a.copy()
    odd[rng.random(shape) < 0.3] = -0.0
    odd[rng.random(shape) < 0.1] = np.inf
    odd[rng.random(shape) < 0.1] = np.nan
    yield odd


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, int, bool])
def test_products_have_the_digits_of_matmul(dtype):
    by_way_of_dot = 0
    with np.errstate(all="ignore"):
        for m, k, n in itertools.product(LENGTHS, repeat=3):
            for a, b in itertools.product(layouts((m, k), dtype), layouts((k, n), dtype)):
                g = next(layouts((m, n), dtype))
                by_way_of_dot += by_dot(a, b, 1)
                left, right = (vjp(g, None, a, b) for vjp in ops.matmul.vjps)
                pairs = ((ops.matmul.forward(a, b), a @ b), (left, g @ b.T), (right, a.T @ g))
                for found, wanted in pairs:
                    assert found.dtype == wanted.dtype
                    assert found.tobytes() == wanted.tobytes(), (a, b)
    assert by_way_of_dot


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64])
def test_relu_has_the_digits_of_maximum(dtype):
    x = np.array([-2, -0.0, 0, 3, 1e-7] * 3)
    x[7:9] = (np.nan, -np.inf) if dtype != np.int64 else (5, -5)
    x = x.astype(dtype)
    for data in (x, x[::2], x[3]):
        found, wanted = relu(Tensor(data)).data, np.maximum(data, 0)
        assert found.dtype == wanted.dtype
        assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("odd", [None, -np.inf, np.inf, np.nan])
def test_cross_entropy_of_finite_logits_and_of_others(dtype, odd):
    """A label of 0 asks nothing of its logit, whatever the logits of other rows are."""
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(6, 4)).astype(dtype), rng.random((6, 4)).astype(dtype)
    labels[:, 2] = 0
    usual = softmax_cross_entropy(logits, labels)
    if odd is not None:
        logits[4, 2] = odd
    with np.errstate(invalid="ignore"):
        found = softmax_cross_entropy(logits, labels)
    others = np.arange(6) != 4
    assert found.dtype == dtype
    assert found[others].tobytes() == usual[others].tobytes()
    assert np.isfinite(found[4]) == (odd in (None, -np.inf))
    if odd == -np.inf:
        rest = np.delete(np.stack([logits, labels]).astype(float), 2, axis=-1)
        wanted = softmax_cross_entropy(*rest)[4]
        np.testing.assert_allclose(found[4], wanted, rtol=4 * np.finfo(dtype).eps)
