"""What several test files need: leaves, closeness with equal shapes, and gradients by differences."""

from __future__ import annotations

import numpy as np

from tinygrad_steel import Tensor


def leaf(data, dtype=float, name=None):
    return Tensor(np.array(data, dtype=dtype), requires_grad=True, name=name)


def close(actual, expected, **tolerance):
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual, expected, **{"rtol": 1e-6, "atol": 1e-8, **tolerance})


def differences(f, x, h=1e-5):
    """The gradient of the number `f(x)` by central differences: two evaluations per element, no calculus."""
    g = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        g[i] = (f(x + step) - f(x - step)) / (2 * h)
    return g


def random_like(x, seed=7):
    return np.random.default_rng(seed).normal(size=np.shape(x))
