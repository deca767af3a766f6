"""Arguments that NumPy's functions and methods have beside those that everybody uses."""

import math
import warnings

import numpy as np
import pytest
from helpers import close, differences, leaf, random_like

from tinygrad_steel import Tensor

N = np.array([[1.5, np.nan, 3.0], [4.0, -5.0, np.nan]])
F = np.array([[1.5, 0.25, 3.0], [4.0, -5.0, 0.5]])


@pytest.mark.parametrize(
    "line",
    [
        "np.nanmax(t, initial=0.0)",
        "np.nanmax(t, initial=10.0)",
        "np.nanmax(t, axis=1, initial=2.5, where=[True, False, True])",
        "np.nanmax(t, 0, initial=-1.0, where=False)",
        "np.nanmin(t, 0, initial=2.0)",
        "np.nanmax(np.where(t > 9, t, np.nan), initial=2.0)",
        "np.nanmean(t, 1, where=[True, True, False])",
        "np.nanvar(t, where=[True, True, False])",
        "np.nanstd(t, 1, ddof=1, where=[True, True, False])",
        "t.ravel('F')",
        "t.flatten('F')",
        "t.ravel(order='C')",
        "t.reshape(3, 2, order='F')",
        "t.reshape((6,), order='F', copy=True)",
        "np.reshape(t, (3, 2), copy=True)",
        "t.copy(order='C')",
        "np.copy(a=t, order='F')",
        "t.astype(np.float32, copy=False)",
        "t.astype(np.float32, casting='same_kind')",
        "t.cumsum(0, dtype=np.float32)",
        "t.cumprod(1, np.float32)",
        "t.trace(1, dtype=np.float32)",
        "np.trace(t, dtype=np.float32)",
        "np.zeros_like(t, shape=(2,))",
        "np.ones_like(t, shape=2, dtype=np.float32)",
        "np.zeros_like(t, order='C')",
        "np.zeros_like(t, dtype=int)",
        "np.full_like(t, 2.5, shape=3)",
        "np.full_like(t, 2.5, dtype=int)",
        "round(t[0, 0] * 1.23, 1)",
    ],
)
def test_what_numpy_says_and_the_slopes_of_it(line):
    def value(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rows in which nothing is left
            return eval(line, {"np": np, "t": x})

    # NaNs are no place for differences: they are put in, where the function is about them
    data = N if "nan" in line else F
    t = leaf(data)
    y, expected = value(t), value(data)
    assert isinstance(y, Tensor) and y.dtype == expected.dtype
    close(y.data, expected)
    if y.requires_grad and y.dtype == float and np.all(np.isfinite(y.data)):
        c = random_like(y)
        (y * c).sum().backward()
        slopes = differences(lambda x: np.sum(value(x) * c), data)
        close(t.grad, slopes, atol=1e-6)


def test_numbers_that_python_asks_for():
    t, s = leaf(F), leaf(2.75)
    assert (t.item(1), t.item(1, 1), t.item((0, 2))) == (0.25, -5.0, 3.0)
    assert (math.floor(s), math.ceil(s)) == (2, 3)
    with pytest.raises(TypeError, match=r"write np.round\(t\), or round\(t.item\(\)\)"):
        round(s)
    with pytest.raises(TypeError, match=r"write np.trunc\(t\), or int\(t.item\(\)\)"):
        math.trunc(s)
    with pytest.raises(TypeError, match="float64 does not become int64 by casting='same_kind'"):
        t.astype(int, casting="same_kind")
