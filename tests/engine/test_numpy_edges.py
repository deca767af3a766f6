"""NumPy's functions at the edges: infinities, masks, unsigned numbers, plain numbers, empty arrays."""

import warnings

import numpy as np
import pytest
from checked import drawn
from helpers import leaf

from tinygrad_steel import Tensor

A, V = drawn(3, 4), drawn(5)

BESIDE_INFINITIES = [
    [1.0, 2.0, np.inf],
    [1.0, np.inf, -np.inf, 3.0],
    [1.0, -np.inf],
    [np.inf, np.inf],
    [4.0, -np.inf, np.inf, 5.0, 1.0],
]


@pytest.mark.parametrize("q", [0, 1, 0.0, 1.0, 0.3, 0.5, 0.75, [0, 1], [0.0, 0.25, 0.9]])
@pytest.mark.parametrize("x", BESIDE_INFINITIES)
def test_infinities_in_a_quantile(x, q):
    x = np.array(x)
    for f in (np.quantile, np.nanquantile, np.percentile, np.nanpercentile):
        where = np.multiply(q, 100) if "percentile" in f.__name__ else q
        t = leaf(x)
        with np.errstate(invalid="ignore"):
            y = f(t, where)
            np.testing.assert_array_equal(y.data, f(x, where))
            y.backward(np.ones(y.shape))
        assert np.isfinite(t.grad).all()


@pytest.mark.parametrize("x", [*BESIDE_INFINITIES, [np.nan, np.inf, 2.0], [np.nan, np.inf]])
def test_infinities_in_a_median(x):
    with np.errstate(invalid="ignore"):
        for f in (np.median, np.nanmedian):
            np.testing.assert_array_equal(f(leaf(x)).data, f(np.array(x)))


@pytest.mark.parametrize("shape, axis", [((0,), None), ((0, 2), 0), ((2, 0), 1)])
def test_a_median_of_nothing_is_nan(shape, axis):
    with pytest.warns(RuntimeWarning):
        right = np.median(np.zeros(shape), axis=axis)
    with pytest.warns(RuntimeWarning):
        y = np.median(leaf(np.zeros(shape)), axis=axis)
    np.testing.assert_array_equal(y.data, right)


@pytest.mark.parametrize(
    "f, x",
    [
        (lambda x: np.diff(x > 0), A),
        (lambda x: np.diff(x > 0, n=2, axis=0), A),
        (lambda x: np.diff(x > 0, prepend=0), A),
        (lambda x: np.diff(x > 0, append=True), A),
        (lambda x: np.conj(x > 0), A),
        (lambda x: np.dot(x.astype(np.uint8), 300), V**2),
        (lambda x: np.average(x.astype(np.uint8), weights=np.exp(x)), V**2),
        (lambda x: np.average(x, weights=[1, 2, 1, 1, 9], returned=True)[1], V),
        (lambda x: np.average(x.astype(int), weights=[1, 2, 1, 1, 9], returned=True)[1], V),
        (lambda x: np.linalg.lstsq(x, np.arange(3.0), rcond=None)[3], A[:, :2]),
        (lambda x: np.max(np.arange(5.0), where=x > 0, initial=-1), V),
        (lambda x: np.min(np.arange(5.0), where=x > 0, initial=9), V),
        (lambda x: np.max(x[:0], initial=3), V),
        (lambda x: np.min(x[:0], axis=0, initial=3), A),
        (lambda x: np.vander(x[:0]), V),
        (lambda x: np.vander(x, 0), V),
        (lambda x: np.logspace(0, 1, 4, base=x), np.array(2.5)),
        (lambda x: np.logspace(0, 1, 4, base=x), V**2),
        (lambda x: np.logspace([0, 1], x[:2], 3, base=x[:2] ** 2, axis=1), V),
        (lambda x: np.logspace(x, 1, 4, dtype=int), np.array(0.5)),
        (lambda x: np.select([x > 0, x > -2], [x, 0.5]), V),
        (lambda x: np.select([x > 0], [x], 3), V),
        (lambda x: np.select([x > 0], [x], [3, 4, 5, 6, 7]), V),
        (lambda x: np.choose([1, 0, 1, 0, 0], [x, 0.0]), V),
        (lambda x: np.dot(x, np.array(3)), V),
        (lambda x: np.inner(np.array(2.0), x), V),
        (lambda x: np.percentile(x, np.float64(30)), V),
        (lambda x: np.nanmax(x.astype(int)), A),
        (lambda x: np.nanmin(x.astype(int), axis=0, initial=-1, where=x > 0), A),
        (lambda x: np.polyval(x.astype(int), 2), A[0]),
        (lambda x: np.quantile(x.astype(int), 0.3, method="lower"), V),
        (lambda x: np.quantile(x.astype(np.uint8), [0, 1]), V**2),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_dtypes_at_the_edges(f, x, dtype):
    x = x.astype(dtype)
    right, y = f(x), f(Tensor(x))
    np.testing.assert_allclose(y.data, right, rtol=1e-6)
    assert (y.dtype, y.shape) == (right.dtype, right.shape)


UNSIGNED = np.array([10, 5, 1, 3, 200], np.uint8)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.gradient(x, UNSIGNED),
        lambda x: np.gradient(x, Tensor(UNSIGNED) if isinstance(x, Tensor) else UNSIGNED),
        lambda x: np.gradient(x, UNSIGNED, edge_order=2),
        lambda x: np.trapezoid(x, UNSIGNED),
        lambda x: np.average(x, weights=UNSIGNED),
        lambda x: np.interp(UNSIGNED, np.array([1, 5, 7], np.uint8), x[:3]),
        lambda x: np.cov(x, aweights=UNSIGNED, fweights=np.array([1, 2, 3, 0, 1], np.uint8)),
        lambda x: np.diff(x, prepend=np.uint8(3)),
        lambda x: np.ediff1d(x, to_end=UNSIGNED),
    ],
)
def test_unsigned_numbers_do_not_wrap_around(f):
    np.testing.assert_allclose(f(leaf(V)).data, f(V), rtol=1e-12)


def test_weights_that_sum_to_zero():
    for x, weights in ((leaf(V), [1, -1, 0, 0, 0]), (V, leaf([1, -1, 2, -2, 0]))):
        with pytest.raises(ZeroDivisionError, match="sum to zero"):
            np.average(x, weights=weights)
    with pytest.raises(ZeroDivisionError):
        np.average(leaf(A), axis=0, weights=np.vstack([A[0], -A[0], 0 * A[0]]))


@pytest.mark.parametrize("f", [np.var, np.std])
@pytest.mark.parametrize("shape, axis", [((0,), None), ((2, 0), 1), ((0, 2), 1)])
def test_deviations_of_nothing_have_gradients(f, shape, axis):
    x = leaf(np.zeros(shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = f(x, axis=axis)
        np.testing.assert_array_equal(y.data, f(np.zeros(shape), axis=axis))
        y.backward(np.ones(y.shape))
    assert x.grad.shape == shape
