"""Reductions and statistics: each of NumPy's functions, with the arguments that people give them."""

import warnings

import numpy as np
import pytest
from checked import checked, drawn, everywhere
from helpers import close, leaf

from tinygrad_steel import Tensor, grad

A, V = drawn(3, 4), drawn(5)
CUBE = drawn(2, 3, 4)
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
HOLES = np.where(MASK, A, np.nan)
COLUMN = np.array([[True], [False], [True]])


def filled(f):
    """`f` of what has NaN where MASK is false: so that differences need not step over a NaN."""
    return lambda x: f(np.where(MASK, x, np.nan))


ASKED = {
    "sum, where": (lambda x: np.sum(x, where=MASK), A),
    "sum, where, axis, keepdims": (lambda x: np.sum(x, axis=1, keepdims=True, where=MASK), A),
    "sum, a smaller where": (lambda x: np.sum(x, axis=0, where=COLUMN), A),
    "sum, initial": (lambda x: np.sum(x, axis=0, initial=2.5), A),
    "sum, dtype": (lambda x: np.sum(x, axis=0, dtype=np.float64), A),
    "prod, where": (lambda x: np.prod(x, axis=1, where=MASK), A),
    "prod, initial": (lambda x: np.prod(x, axis=1, initial=2.5), A),
    "max, initial": (lambda x: np.max(x, axis=0, initial=0.5), A),
    "max, where": (lambda x: np.max(x, axis=1, where=MASK, initial=-9.0), A),
    "amin, where": (lambda x: np.amin(x, axis=1, where=MASK, initial=9.0), A),
    "mean, where": (lambda x: np.mean(x, axis=1, where=MASK), A),
    "mean, a smaller where": (lambda x: np.mean(x, where=COLUMN, keepdims=True), A),
    "mean, dtype": (lambda x: np.mean(x, dtype=np.float64), A),
    "var, where": (lambda x: np.var(x, axis=0, where=MASK), A),
    "var, where, ddof": (lambda x: np.var(x, axis=1, where=MASK, ddof=1), A),
    "var, correction": (lambda x: np.var(x, axis=1, correction=1), A),
    "std, where": (lambda x: np.std(x, axis=1, where=MASK, ddof=1), A),
    "std, correction": (lambda x: np.std(x, correction=1), A),
    "add.reduce": (np.add.reduce, A),
    "add.reduce, axis, keepdims": (lambda x: np.add.reduce(x, axis=(0, 2), keepdims=True), CUBE),
    "add.reduce, where": (lambda x: np.add.reduce(x, axis=None, where=MASK), A),
    "multiply.reduce": (lambda x: np.multiply.reduce(x, axis=1), A),
    "maximum.reduce": (np.maximum.reduce, A),
    "minimum.reduce, initial": (lambda x: np.minimum.reduce(x, axis=1, initial=0.3), A),
    "logaddexp.reduce": (np.logaddexp.reduce, A),
    "add.accumulate": (np.add.accumulate, A),
    "multiply.accumulate": (lambda x: np.multiply.accumulate(x, axis=1), A),
    "cumsum, dtype": (lambda x: np.cumsum(x, axis=1, dtype=np.float64), A),
    "cumprod": (np.cumprod, V),
    "cumprod, axis": (lambda x: np.cumprod(x, axis=0), A),
    "cumprod, all": (lambda x: np.cumprod(x), A),
    "cumprod, of zeros": (lambda x: np.cumprod(x, axis=-1), np.array([[2.0, 0, 3, 0, 5]])),
    "nansum": (filled(np.nansum), A),
    "nansum, axis": (filled(lambda x: np.nansum(x, axis=1, keepdims=True)), A),
    "nanprod": (filled(lambda x: np.nanprod(x, axis=0)), A),
    "nanmean": (filled(lambda x: np.nanmean(x, axis=1)), A),
    "nanvar": (filled(lambda x: np.nanvar(x, axis=1)), A),
    "nanvar, ddof": (filled(lambda x: np.nanvar(x, ddof=1, keepdims=True)), A),
    "nanstd": (filled(lambda x: np.nanstd(x, axis=1, ddof=1)), A),
    "nanmax": (filled(lambda x: np.nanmax(x, axis=1)), A),
    "cumulative_sum": (np.cumulative_sum, V),
    "cumulative_sum, initial": (
        lambda x: np.cumulative_sum(x, axis=1, include_initial=True),
        A,
    ),
    "cumulative_prod": (
        lambda x: np.cumulative_prod(x, axis=0, include_initial=True, dtype=np.float64),
        A,
    ),
    "nancumsum": (filled(lambda x: np.nancumsum(x, axis=1)), A),
    "nancumprod": (filled(np.nancumprod), A),
    "nanmedian": (filled(lambda x: np.nanmedian(x, axis=0)), A),
    "nanmedian, all": (filled(np.nanmedian), A),
    "nanquantile": (filled(lambda x: np.nanquantile(x, 0.3, axis=1, keepdims=True)), A),
    "nanquantiles": (filled(lambda x: np.nanquantile(x, [[0.1, 0.5], [0, 1]], axis=1)), A),
    "nanpercentile": (filled(lambda x: np.nanpercentile(x, 60, axis=0)), A),
    "nanmin": (filled(lambda x: np.nanmin(x, axis=0, keepdims=True)), A),
}
STATISTICS = {
    "ptp": (np.ptp, A),
    "ptp, axis": (lambda x: np.ptp(x, axis=1, keepdims=True), A),
    "median, odd": (np.median, V),
    "median, even": (lambda x: np.median(x, axis=1), A),
    "median, axes": (lambda x: np.median(x, axis=(0, -1), keepdims=True), CUBE),
    "quantile": (lambda x: np.quantile(x, 0.3), V),
    "quantile, axis": (lambda x: np.quantile(x, 0.8, axis=0), A),
    "quantiles": (lambda x: np.quantile(x, [0.1, 0.5, 1], axis=1), A),
    "quantiles in a table": (
        lambda x: np.quantile(x, [[0.1, 0.5], [0.0, 0.7]], axis=(0, 2), keepdims=True),
        CUBE,
    ),
    "percentile": (lambda x: np.percentile(x, 30), A),
    "percentiles": (lambda x: np.percentile(x, [10, 25.0], axis=-1), A),
    **{
        f"quantile, {method}": (
            lambda x, method=method: np.quantile(x, 0.37, axis=1, method=method),
            A,
        )
        for method in (
            "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf "
            "hazen weibull linear median_unbiased normal_unbiased lower higher midpoint nearest"
        ).split()
    },
    "average": (np.average, A),
    "average, axis": (lambda x: np.average(x, axis=1), A),
    "average, weights of one axis": (
        lambda x, w: np.average(x, axis=1, weights=w),
        A,
        drawn(4) ** 2,
    ),
    "average, keepdims": (
        lambda x, w: np.average(x, axis=0, weights=w, keepdims=True),
        A,
        drawn(3, 4, seed=2) ** 2,
    ),
    "average, returned": (
        lambda x, w: np.average(x, axis=-1, weights=w, returned=True),
        A,
        drawn(4) ** 2,
    ),
    "average, returned without weights": (lambda x: np.average(x, returned=True), A),
    "cov": (np.cov, A),
    "cov, one variable": (np.cov, V),
    "cov, two": (np.cov, V, drawn(5, seed=2)),
    "cov, columns": (lambda x: np.cov(x, rowvar=False), A),
    "cov, columns of two": (lambda x, y: np.cov(x, y, rowvar=False), A, drawn(3, 2, seed=2)),
    "cov, bias": (lambda x: np.cov(x, bias=True), A),
    "cov, ddof": (lambda x: np.cov(x, ddof=2), A),
    "cov, weights": (
        lambda x: np.cov(x, fweights=[1, 2, 1, 3], aweights=[0.5, 1, 2, 0.1], ddof=1),
        A,
    ),
    "cov, aweights": (lambda x: np.cov(x, aweights=[0.5, 1, 2, 0.1]), A),
    "cov, fweights, bias": (lambda x: np.cov(x, fweights=[1, 2, 1, 3], bias=True), A),
    "corrcoef": (np.corrcoef, A),
    "corrcoef, two": (lambda x, y: np.corrcoef(x, y)[0, 1], V, drawn(5, seed=2)),
    "corrcoef, columns": (lambda x: np.corrcoef(x, rowvar=False), A),
    "diff": (np.diff, A),
    "diff, prepend": (lambda x: np.diff(x, prepend=0.5), A),
    "diff, append": (lambda x, y: np.diff(x, axis=0, append=y), A, drawn(1, 4, seed=2)),
    "diff, both, twice": (lambda x, y: np.diff(x, n=2, prepend=1, append=y), V, drawn(2, seed=2)),
    "ediff1d": (np.ediff1d, A),
    "ediff1d, ends": (lambda x, y: np.ediff1d(x, to_begin=[1.0, 2.0], to_end=y), V, np.array(1.5)),
    "gradient": (np.gradient, V),
    "gradient, axes": (np.gradient, A),
    "gradient, axis": (lambda x: np.gradient(x, axis=1), A),
    "gradient, a step": (lambda x: np.gradient(x, 0.5, axis=(0, 2)), CUBE),
    "gradient, a step that is a Tensor": (lambda x, h: np.gradient(x, h), V, np.array(0.5)),
    "gradient, steps": (lambda x: np.gradient(x, 0.5, 2.0), A),
    "gradient, coordinates": (lambda x: np.gradient(x, [0, 1, 1.5, 3, 7]), V),
    "gradient, evenly spaced": (lambda x: np.gradient(x, [0, 2, 4, 6, 8]), V),
    "gradient, coordinates that are a Tensor": (
        lambda x, h: np.gradient(x, h),
        V,
        np.array([0, 1, 1.5, 3, 7]),
    ),
    "gradient, edges": (lambda x: np.gradient(x, 0.5, edge_order=2), V),
    "gradient, edges, coordinates": (
        lambda x: np.gradient(x, [0, 1, 1.5], [0, 2, 2.5, 4], edge_order=2),
        A,
    ),
    "polyval": (np.polyval, drawn(3), A),
    "polyval, of numbers": (lambda x: np.polyval([1, 2, 3.0], x), V),
    "polyval at numbers": (lambda p: np.polyval(p, [0.5, 2.0]), drawn(3)),
    "trapezoid": (np.trapezoid, A),
    "trapezoid, dx, axis": (lambda y: np.trapezoid(y, dx=0.5, axis=0), A),
    "trapezoid, x": (np.trapezoid, V, drawn(5, seed=2)),
    "trapezoid, x along an axis": (
        lambda y, x: np.trapezoid(y, x, axis=1),
        CUBE,
        drawn(3, seed=2),
    ),
    "trapezoid, x for each": (
        lambda y, x: np.trapezoid(y, x, axis=0),
        A,
        drawn(3, 4, seed=2),
    ),
}
PLACES = [-1.0, 0.0, 0.5, 2.0]
STATISTICS |= {
    "interp": (lambda x, f: np.interp(x, PLACES, f), np.array([-0.5, 0.3, 1.9]), drawn(4)),
    "interp, outside": (
        lambda x, f: np.interp(x, PLACES, f),
        np.array([[-3.0, 0.3], [2.5, 9]]),
        drawn(4),
    ),
    "interp, one": (lambda x: np.interp(x, PLACES, [1, 2, 4, 3]), np.array(0.3)),
    "interp, values alone": (lambda f: np.interp([0.1, 5, 0.1], PLACES, f), drawn(4)),
    "interp, left, right": (
        lambda x, f: np.interp(x, PLACES, f, left=-1, right=7),
        np.array([-3.0, 0.3, 2.5]),
        drawn(4),
    ),
    "interp, period": (
        lambda x, f: np.interp(x, [3.0, 0.5, 1.0], f, period=4),
        np.array([-3.1, 0.3, 2.5, 9.1]),
        drawn(3),
    ),
}
METHODS = {
    "t.sum(where)": (lambda x: x.sum(axis=1, where=MASK), A),
    "t.sum(dtype)": (lambda x: x.sum(dtype=np.float64), A),
    "t.mean(where)": (lambda x: x.mean(where=MASK, keepdims=True), A),
    "t.var(where)": (lambda x: x.var(0, where=MASK, ddof=1), A),
    "t.max(initial)": (lambda x: x.max(axis=0, initial=0.3), A),
    "t.min(initial)": (lambda x: x.min(axis=0, initial=0.3), A),
    "t.prod(where)": (lambda x: x.prod(axis=0, where=MASK), A),
}
ARGUMENTS = {
    "clip, an array between Tensors": (lambda a, b: np.clip(A, a, b), -np.ones(4), np.ones((3, 1))),
    "clip, arrays": (lambda x: np.clip(x, [-1, 0, -2, 0.1], 1), A),
    "clip, Tensors": (lambda x, a, b: np.clip(x, a, b), A, -np.ones(4), drawn(3, 1) ** 2),
    "clip, one Tensor": (lambda x, b: np.clip(x, None, b), A, np.array(0.4)),
    "clip, a method": (lambda x, a: x.clip(a), A, np.zeros((3, 1))),
    "clip, by name": (lambda x, a: np.clip(x, max=a), A, np.zeros((3, 1))),
    "ravel, F": (lambda x: np.ravel(x, order="F"), CUBE),
    "reshape, F": (lambda x: np.reshape(x, (4, -1), order="F"), CUBE),
    "reshape to one axis, F": (lambda x: np.reshape(x, -1, order="F"), CUBE),
    "concatenate, axis=None": (lambda x, y: np.concatenate([x, y, [1.0]], axis=None), A, V),
    "concatenate, dtype": (lambda x, y: np.concatenate([x, y], dtype=np.float64), A, A[:1] + 1),
    "full_like": (lambda x, y: np.full_like(x, y) * x, A, np.array(1.5)),
    "full_like, rows": (lambda x, y: np.full_like(x, y) + x, A, drawn(4)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", {**ASKED, **STATISTICS, **ARGUMENTS, **METHODS})
def test_functions_with_arguments(name):
    f, *arrays = {**ASKED, **STATISTICS, **ARGUMENTS, **METHODS}[name]
    checked(f, *arrays)


@pytest.mark.parametrize("name", {**ASKED, **STATISTICS, **ARGUMENTS, **METHODS})
def test_all_of_it_is_written_out_and_compiled(name):
    f, *arrays = {**ASKED, **STATISTICS, **ARGUMENTS, **METHODS}[name]
    everywhere(f, *arrays)


@pytest.mark.parametrize("name", ASKED)
def test_integers_and_bools_as_in_numpy(name):
    f, x = ASKED[name]
    if name.startswith("nan"):
        pytest.skip("integers have no NaN")
    whole = np.round(x * 5).astype(int)
    y, right = f(Tensor(whole)), f(whole)
    np.testing.assert_allclose(y.data, right, rtol=1e-12)
    assert y.dtype.kind == np.asarray(right).dtype.kind


@pytest.mark.parametrize("f", [np.any, np.all])
def test_truths_with_where(f):
    for data in (MASK, A > 0):
        y = f(Tensor(data), axis=1, where=~MASK, keepdims=True)
        assert (
            y.dtype == bool
            and y.data.tolist() == f(data, axis=1, where=~MASK, keepdims=True).tolist()
        )
    assert np.logical_and.reduce(Tensor(MASK)).data.tolist() == MASK.all(0).tolist()
    assert np.logical_or.reduce(Tensor(MASK), axis=None).data.tolist() is True


@pytest.mark.parametrize("f", [np.argmax, np.argmin])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_places_with_their_axes(f, axis):
    y = f(leaf(CUBE), axis=axis, keepdims=True)
    np.testing.assert_array_equal(y.data, f(CUBE, axis=axis, keepdims=True))
    assert not y.requires_grad


def test_a_mask_may_be_a_tensor():
    x = leaf(A)
    np.sum(x, where=x > 0).backward()
    np.testing.assert_array_equal(x.grad, (A > 0) * 1.0)


# Long axes


def test_gradients_of_long_products_take_no_square_of_memory():
    data = 1 + drawn(300_000) / 1000
    x = leaf(data)
    y = np.prod(x)
    y.backward()
    close(x.grad, y.data / data, rtol=1e-9)
    weights = drawn(300_000, seed=2)
    x = leaf(data)
    (np.cumprod(x) * weights).sum().backward()
    after = np.cumsum((weights * np.cumprod(data))[::-1])[::-1]
    close(x.grad, after / data, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("zeros", [[], [2], [0, 5], [1, 3, 6]])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9])
def test_products_with_zeros(n, zeros):
    data = drawn(2, n) + 2
    data[0, [i for i in zeros if i < n]] = 0
    checked(lambda x: np.prod(x, axis=1), data)
    checked(lambda x: np.cumprod(x, axis=1), data)


def test_a_product_whose_factors_leave_the_range():
    x = leaf([1e-200, 1e-200, 1, 1e200, 1e200])
    with np.errstate(all="ignore"):
        np.prod(x).backward()
    assert x.grad[2:].tolist() == [0, 0, 0]  # as np.prod, which is at 0 before it comes there


# Ties and NaN


@pytest.mark.parametrize(
    "f, x, expected",
    [
        (np.median, [2, 1, 2, 3], [0.5, 0, 0.5, 0]),
        (np.median, [2, 2, 2], [0, 1, 0]),
        (lambda x: np.quantile(x, 0.25), [1, 1, 1, 1, 5], [0, 1, 0, 0, 0]),
        (np.ptp, [1, 3, 1, 3], [-0.5, 0.5, -0.5, 0.5]),
        (lambda x: np.max(x, initial=3.0), [1, 3], [0, 0.5]),
        (lambda x: np.clip(x, [0.0, 0], [1.0, 1]), [0, 1], [1, 1]),
        (lambda x: np.interp(x, [0, 1, 2, 3], [0, 1, 3, 6]), [0, 1, 2, 3, -1], [1, 2, 3, 3, 0]),
        (lambda x: np.std(x, where=[True, True, False]), [2, 2, 7], [0, 0, 0]),
        (np.cumprod, [0, 2, 0], [3, 0, 0]),
    ],
)
def test_conventions_at_ties(f, x, expected):
    t = leaf(x)
    y = f(t)
    y.backward(np.ones(y.shape))
    close(t.grad, expected)


def test_bounds_of_clip_have_the_gradient_beyond_them():
    x, low, high = leaf([-1, 0, 0.5, 1, 2]), leaf(0.0), leaf(np.ones(5))
    np.clip(x, low, high).backward([2, 3, 5, 7, 11])
    assert (x.grad.tolist(), low.grad.item(), high.grad.tolist()) == (
        [0, 3, 5, 7, 0],
        2,
        [0, 0, 0, 0, 11],
    )


@pytest.mark.parametrize("bounds", [(np.nan, 1.0), (0.0, np.nan), ([np.nan, 0, 0], [1, 1, 1])])
def test_clip_with_nan(bounds):
    x = np.array([0.5, np.nan, 3.0])
    np.testing.assert_array_equal(
        np.clip(leaf(x), *map(np.array, bounds)).data, np.clip(x, *bounds)
    )


@pytest.mark.parametrize("f", [np.median, lambda x, **asked: np.quantile(x, [0.1, 0.9], **asked)])
def test_nan_in_nan_out(f):
    x = leaf(HOLES)
    y = f(x, axis=1)
    np.testing.assert_array_equal(y.data, f(HOLES, axis=1))
    assert np.isnan(y.data).all()


def test_nothing_but_nan():
    nothing = np.full((2, 2), np.nan)
    nothing[1] = [1.0, 2.0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for f in (
            np.nansum,
            np.nanprod,
            np.nanmean,
            np.nanvar,
            np.nanstd,
            np.nanmax,
            np.nanmin,
            np.nanmedian,
        ):
            x = leaf(nothing)
            y = f(x, axis=1)
            np.testing.assert_array_equal(y.data, f(nothing, axis=1))
            assert np.isfinite(grad(y[1], x).data[1]).all()


# Refusals


@pytest.mark.parametrize(
    "f, words",
    [
        (lambda t: np.interp(0.3, t, [1, 2, 3]), r"np\.interp.*xp\.numpy\(\)"),
        (lambda t: np.quantile(V, t), "np.quantile.*no gradient is followed to q"),
        (lambda t: np.percentile(V, t), "np.percentile.*no gradient is followed to q"),
        (lambda t: np.quantile(t, 0.5, weights=V), "weights"),
        (lambda t: np.average(t, weights=[1, 2]), "say axis="),
        (lambda t: np.gradient(t, 1, 2), "2 distances are given for 1 axes"),
        (lambda t: np.sum(t, where=[True, True, False], out=V), "out"),
        (lambda t: np.maximum.accumulate(t), r"np\.maximum\.accumulate.*use"),
    ],
)
def test_refusals(f, words):
    with pytest.raises(TypeError, match=words):
        f(leaf([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.max(x, where=x > 0),
        lambda x: np.sum(x, where=np.ones((2, 5), bool)),
        lambda x: np.gradient(x, [1.0, 2.0]),
        lambda x: np.gradient(x[:1]),
        lambda x: np.gradient(x[:2], edge_order=2),
        lambda x: np.gradient(x, edge_order=3),
        lambda x: np.average(x, axis=0, weights=[1.0, 2.0]),
        lambda x: np.diff(x, -1),
        lambda x: np.quantile(x, 1.5),
        lambda x: np.cov(np.reshape(x, (1, 1, 5))),
        lambda x: np.interp(0.5, [1.0, 2.0], x),
        lambda x: np.concatenate([x, np.reshape(x, (1, 5))]),
    ],
)
def test_where_numpy_raises_so_do_tensors(f):
    with pytest.raises(ValueError):
        f(V)
    with pytest.raises(ValueError):
        f(leaf(V))


def test_a_cast_that_numpy_refuses():
    for x in (V, leaf(V)):
        with pytest.raises(TypeError, match="float64.*int64"):
            np.concatenate([x, x], dtype=np.int64)
