"""Lists of dicts, one for each layer, with the same keys: each place is judged as the gradient of its layer."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_steel import Tensor, compare_backprop

rng = np.random.default_rng(3)
SIZES = {"unlike": (3, 4, 2), "square": (3, 3, 3)}
MARKS = {"plain": "{}", "marked": "d{}"}


def report(sizes, mark, order, slip=(1, 1, 1, 1)):
    a, b, c = sizes
    X, Y = rng.normal(size=(6, a)), rng.normal(size=(6, c))
    W0, b0, V0, c0 = (rng.normal(size=s) for s in ((a, b), b, (b, c), c))

    def run():
        h = np.tanh(X @ W0 + b0)
        d = (h @ V0 + c0 - Y) / 6
        dz = d @ V0.T * (1 - h * h)
        first = {mark.format("W"): slip[0] * (X.T @ dz), mark.format("b"): slip[1] * dz.sum(0)}
        last = {mark.format("W"): slip[2] * (h.T @ d), mark.format("b"): slip[3] * d.sum(0)}
        return [first, last][::order]

    t = [Tensor(v, requires_grad=True) for v in (W0, b0, V0, c0)]
    loss = np.sum(np.square(np.tanh(X @ t[0] + t[1]) @ t[2] + t[3] - Y)) / 12
    return compare_backprop(loss, dict(zip(("W", "b", "V", "c"), t)), backprop=run)


sizes = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
marks = pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
orders = pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])


@sizes
@marks
@orders
def test_right_layers_are_right(sizes, mark, order):
    found = report(sizes, mark, order)
    assert found.ok, found
    assert {s.name for s in found.steps} >= {"G_W", "G_b", "G_V", "G_c"}


@sizes
@marks
@orders
@pytest.mark.parametrize("place", range(4))
def test_a_wrong_one_is_wrong_in_its_layer(sizes, mark, order, place):
    slip = [1.0] * 4
    slip[place] = 1.5
    found = report(sizes, mark, order, slip)
    assert not found.ok
    assert [s.name for s in found.steps if s.verdict == "wrong"] == ["G_" + "WbVc"[place]], found
