"""Gradients of what is read part by part: right numbers, and no array of zeros for each part."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_steel import Tensor, grad, ops

RNG = np.random.default_rng(0)


def expected(x, parts):
    """The sum of all parts at their places; `parts`: (index, gradient)."""
    found = np.zeros_like(x)
    for index, g in parts:
        np.add.at(found, index, g)
    return found


INDICES = [
    (0, slice(None)),
    (slice(1, 3), slice(None, None, 2)),
    (Ellipsis, -1),
    slice(None, None, -1),
    (slice(None), None, 2),
    (None, 1),
    ([0, 0, 2],),
    (slice(None), [1, 1, 0]),
]


@pytest.mark.parametrize("result", [False, True], ids=["leaf", "result"])
@pytest.mark.parametrize("seed", range(12))
def test_parts_of_any_kind_add_up(seed, result):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 4))
    t = Tensor(x, requires_grad=True)
    y = t * 1.0 if result else t
    loss, parts = 0, []
    for i in rng.integers(0, len(INDICES), 6):
        taken = x[INDICES[i]]
        weights = rng.normal(size=taken.shape)
        loss = loss + np.sum(y[INDICES[i]] * weights)
        parts.append((INDICES[i], weights))
    whole = rng.normal(size=x.shape)
    loss = loss + np.sum(y * whole)
    loss.backward()
    np.testing.assert_allclose(t.grad, expected(x, parts) + whole, rtol=1e-12)


@pytest.mark.parametrize("swapped", [False, True])
def test_no_gradient_of_another_changes(swapped):
    """A sum sends one array to both of its inputs, and what comes first may be that array."""
    x, other = (Tensor(RNG.normal(size=(4,)), requires_grad=True) for _ in range(2))
    y, z = x * 1.0, other * 1.0
    parts = (y[:2] * 3).sum() + (y[1:] * 5).sum()
    whole = (z + y if swapped else y + z) * np.arange(4.0)
    (parts + whole.sum()).backward()
    assert other.grad.tolist() == [0, 1, 2, 3]
    assert x.grad.tolist() == [3, 9, 7, 8]


def test_a_seed_is_not_written_into():
    x, seed = Tensor(np.zeros(3), requires_grad=True), np.ones(3)
    y = x * 1.0
    z = np.concatenate([y[:2], y[1:]])
    z.backward(np.array([1.0, 2.0, 3.0, 4.0]))
    assert x.grad.tolist() == [1, 5, 4]
    y.backward(seed)
    assert seed.tolist() == [1, 1, 1]


def test_short_floats_stay_short():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    (x[0] * 2 + x[1:].sum() + x[:2].sum()).backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3, 2, 1]


def test_gradients_of_gradients():
    x = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    y = x[0] ** 2 * x[1] + x[1:].sum() * x[2]
    g = grad(y, x)
    np.sum(g * np.array([1.0, 10.0, 100.0])).backward()
    # g = (2 a b, a**2 + c, b + 2 c); of their weighted sum:
    np.testing.assert_allclose(x.grad, [2 * 2 + 10 * 2, 2 * 1 + 100, 10 + 200])


def test_many_parts_take_no_array_each(monkeypatch):
    """Each of n parts once cost an array as long as all of them: the square of n."""
    made, forward = [], ops.scatter.forward

    def counted(*args, **params):
        made.append(args)
        return forward(*args, **params)

    monkeypatch.setattr(ops.scatter, "forward", counted)
    x = Tensor(RNG.normal(size=(50, 3)), requires_grad=True)
    y = x * 1.0
    sum((row * row).sum() for row in y).backward()
    np.testing.assert_allclose(x.grad, 2 * x.data)
    assert len(made) == 1
