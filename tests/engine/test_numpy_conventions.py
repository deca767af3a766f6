"""NumPy's functions at ties, kinks, jumps, NaN and infinity: slopes by analysis."""

import math

import numpy as np
import pytest
from helpers import close, leaf

from tinygrad_steel import grad

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    "f, x, expected",
    [
        (np.fabs, [0.0, -2.0], [0, -1]),
        (np.sinc, [0.0, 1.0, -0.5], [0, -1, 4 / np.pi]),
        (lambda x: np.hypot(x, 0 * x), [0.0, -3.0], [0, -1]),
        (lambda x: np.arctan2(x, 0.0), [0.0, 2.0], [0, 0]),
        (lambda x: np.arctan2(0.0, x), [0.0, 2.0], [0, 0]),
        (lambda x: np.fmax(x, 1.0), [1.0, 2.0, 0.0, NAN], [0.5, 1, 0, 0]),
        (lambda x: np.fmax(x, NAN), [1.0, NAN], [1, NAN]),
        (lambda x: np.fmin(NAN, x), [1.0, NAN], [1, NAN]),
        (lambda x: np.fmin(x, 1.0), [1.0, 2.0, 0.0], [0.5, 0, 1]),
        (np.nan_to_num, [NAN, INF, -INF, 2.0], [0, 0, 0, 1]),
        (lambda x: np.copysign(x, -1.0), [0.0, 2.0, -2.0], [0, -1, 1]),
        (lambda x: np.copysign(3.0, x), [2.0, -2.0, 0.0], [0, 0, 0]),
        (lambda x: np.heaviside(x, 0.5), [-1.0, 0.0, 1.0], [0, 0, 0]),
        (lambda x: np.heaviside([-1.0, 0.0, 1.0], x), [2.0, 2.0, 2.0], [0, 1, 0]),
        (lambda x: 7.0 % x, [2.0, 3.0, -2.0, INF], [-3, -2, 4, 0]),
        (lambda x: np.fmod(7.0, x), [2.0, 3.0, -2.0], [-3, -2, 3]),
        (
            lambda x: np.fmod([91.3, 36.5], x),
            [2.9, 0.1],
            [-31, -364],
        ),  # not what rounding makes of it
        (lambda x: np.logaddexp2(x, -INF), [1.0, -INF], [1, 0.5]),
        (lambda x: np.logaddexp2(x, 1.0), [1.0, 2.0], [0.5, 2 / 3]),
        (np.cbrt, [8.0, -27.0], [1 / 12, 1 / 27]),
        (np.round, [0.5, 1.5, 2.4], [0, 0, 0]),
        (lambda x: np.sort(x) * [1, 10, 100], [2.0, 1.0, 2.0], [10, 1, 100]),
        (lambda x: np.sort(x) * [1, 10, 100], [NAN, 1.0, 0.0], [100, 10, 1]),
        (lambda x: np.take_along_axis(x, np.array([0, 0, 2]), 0), [1.0, 2.0, 3.0], [2, 0, 1]),
        (lambda x: np.pad(x, 1, mode="edge"), [1.0, 2.0, 3.0], [2, 1, 2]),
        (lambda x: np.triu(np.full((2, 2), INF)) * 0 + np.diag(x), [1.0, 2.0], [1, 1]),
    ],
)
@np.errstate(all="ignore")
def test_conventions(f, x, expected):
    t = leaf(x)
    y = f(t)
    assert y.requires_grad
    y.backward(np.full(y.shape, 3.7))
    np.testing.assert_allclose(t.grad, 3.7 * np.array(expected), rtol=1e-12)


def test_higher_slopes_of_sinc_at_0():
    """sinc(x) = 1 - (pi x)**2 / 6 + (pi x)**4 / 120 - ..."""
    x = leaf(0.0)
    slopes = [np.sinc(x)]
    for _ in range(4):
        slopes.append(grad(slopes[-1], x))
    expected = [1, 0, -(np.pi**2) / 3, 0, np.pi**4 / 5]
    close(np.array([y.item() for y in slopes]), np.array(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1e-8, 1e-5, 1e-3, 0.05, 0.0999, 0.1001, 0.3])
def test_the_slope_of_sinc_near_0_is_right_to_the_last_digits(size):
    """Against its series, taken further."""
    exact = sum(
        (-1) ** k * 2 * k * np.pi ** (2 * k) * size ** (2 * k - 1) / math.factorial(2 * k + 1)
        for k in range(1, 15)
    )
    x = leaf(size)
    np.sinc(x).backward()
    close(x.grad, exact, rtol=1e-11)


@pytest.mark.parametrize(
    "f, words",
    [
        (
            lambda t: np.sum(np.argsort(t) * 1.0),
            "what argsort makes of t: .*, requires_grad=True, is a constant",
        ),
        (lambda t: np.sum(t > 0), "what greater makes of t: .*, requires_grad=True, is a constant"),
        (
            lambda t: np.count_nonzero(2 * t),
            r"what count_nonzero makes of .*, the result of multiply",
        ),
        (lambda t: np.sum((t // 2).astype(int)) * 1.0, "what asconstant makes of"),
        (lambda t: np.isclose(t, 1.0).astype(float).sum(), "what isclose makes of t"),
    ],
)
def test_a_constant_in_between_is_named(f, words):
    t = leaf([1.5, -2.5], name="t")
    with pytest.raises(RuntimeError, match=f"no gradient flows here, since {words}"):
        f(t).backward()
