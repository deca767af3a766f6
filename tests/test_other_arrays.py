"""Arrays that are not NumPy's, inside Tensors: a duck that knows only NumPy's dispatch, and Dask."""

import os
from operator import attrgetter

import numpy as np
import pytest

from tinygrad_steel import OPS, Tensor, grad, relu, softmax_cross_entropy


def close(actual, expected):
    assert actual.shape == np.shape(expected) and actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


# A duck


class LeftDispatch(Exception):
    """A rule asked for something that arrays of another library need not have."""


class Duck(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that can be reached through NumPy's dispatch alone, and records what it was asked for."""

    calls: list[str] = []  # noqa: RUF012

    def __init__(self, values):
        self.values = np.array(values)

    shape, dtype = property(attrgetter("values.shape")), property(attrgetter("values.dtype"))
    ndim, size = property(attrgetter("values.ndim")), property(attrgetter("values.size"))

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or kwargs.get("out") is not None:
            raise LeftDispatch(f"np.{ufunc.__name__}, {method}, {kwargs}: other arrays know plain calls alone")
        return swim(ufunc, *inputs, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        assert not any(issubclass(t, Tensor) for t in types)
        return swim(function, *args, **kwargs)

    def __getitem__(self, key):
        return swim(np.ndarray.__getitem__, self, key)

    def astype(self, dtype):
        return swim(np.ndarray.astype, self, dtype)

    def copy(self):
        return swim(np.ndarray.copy, self)

    T = property(lambda self: swim(np.transpose, self))

    def refuse(self, *args, **kwargs):
        raise LeftDispatch("a conversion to an array or a number: it copies from the GPU, or computes what was lazy")

    __array__ = __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = refuse


def swim(function, *args, **kwargs):
    Duck.calls.append(function.__name__)
    result = function(*plain(args), **plain(kwargs))
    return Duck(result) if isinstance(result, np.ndarray | np.generic) else result


def plain(x):
    if isinstance(x, list | tuple):
        return type(x)(map(plain, x))
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    return x.values if isinstance(x, Duck) else x


OURS = [o for o in OPS.values() if o.__module__.split(".")[0] in ("tinygrad_steel", "numpy")]
SAMPLES = [pytest.param(o, s, id=f"{o.name}-{i}") for o in OURS for i, s in enumerate(o.samples)]
NUMPY_ONLY = {}


def run(o, sample, kind):
    """The result of an op and all its gradients, of both roads, with `kind` arrays inside the Tensors."""
    xs = [Tensor(kind(x), requires_grad=x.dtype.kind == "f") for x in sample.inputs]
    y = o(xs, **sample.params) if o.sequence else o(*xs, **sample.params)
    if not y.requires_grad:
        return [y.data]
    leaves = [x for x in xs if x.requires_grad]
    weights = kind(np.random.default_rng(7).normal(size=y.shape))
    y.backward(weights)
    traced = grad(y, leaves, weights)
    second = grad(y, leaves, Tensor(weights, requires_grad=True))
    return [y.data, *(x.grad for x in leaves), *(g.data for g in traced + second)]


@pytest.mark.parametrize("o, sample", SAMPLES)
def test_rules_stay_within_numpys_dispatch(o, sample):
    Duck.calls.clear()
    found = run(o, sample, Duck)
    assert Duck.calls
    for duck, array in zip(found, run(o, sample, np.array), strict=True):
        assert isinstance(duck, Duck)
        close(duck.values, array)
