"""NumPy's functions as people call them, a line for each: values are NumPy's, gradients those of differences."""

import numpy as np
import numpy_calls
import pytest
from helpers import close, differences, leaf, random_like
from numpy_calls import names_in, numbers

from tinygrad_steel import Tensor, grad
from tinygrad_steel.ops.op import data_of

# What the lines are about: numbers of either sign away from kinks at whole and half numbers.
DATA = {**numpy_calls.DATA, "m": numbers(3, 3), "t": numbers(2, 3, 4)}
KNOWN = {**numpy_calls.KNOWN, "np": np}

ELEMENTWISE = """
np.tan(a)
np.arcsin(r)
np.arccos(r)
np.arctan(a)
np.arcsinh(a)
np.arccosh(1 + p)
np.arctanh(r)
np.arctan2(a, b)
np.arctan2(a, v)
np.arctan2(1.5, a)
np.hypot(a, b)
np.hypot(3, v)
np.exp2(a)
np.cbrt(p)
np.cbrt(a)
np.sinc(a)
np.sinc(a / 100)
np.fabs(a)
np.positive(a)
+a
np.copysign(a, b)
np.copysign(2.0, a) * a
np.deg2rad(a)
np.radians(a)
np.rad2deg(a)
np.degrees(a)
np.nan_to_num(a)
np.nan_to_num(a, nan=1.0, posinf=2.0, neginf=-2.0)
np.fmax(a, b)
np.fmin(a, v)
np.fmax(a, 0)
np.logaddexp2(a, b)
np.float_power(p, a)
np.float_power(a, 2)
np.float_power(2, a)
np.heaviside(a, 0.5) * a
np.heaviside(a, b) + a
np.round(a) * a
np.round(a, 1) * b + a
np.around(a, decimals=1) * a
np.trunc(a) * a
np.fix(a) * a
np.floor(a) + np.ceil(a) + np.rint(a) + np.sign(a)
np.mod(a, 0.7)
np.mod(a, p)
np.mod(5.3, p)
np.remainder(a, -0.7)
np.fmod(a, 0.7)
np.fmod(a, p)
a % 0.7
5.3 % p
a % p
a // 0.7 * a
7.3 // p * p
np.floor_divide(a, 0.7) * a
divmod(a, 0.7)
divmod(5.3, p)
np.divmod(a, p)
"""

ARRANGED = """
np.repeat(a, 2)
np.repeat(a, 3, axis=1)
np.repeat(a, [2, 0, 1], axis=-1)
np.repeat(a, 2, 0)
np.repeat(s, 3)
np.repeat(s, 3, axis=0)
np.tile(v, 2)
np.tile(a, (2, 1))
np.tile(a, (2, 1, 3))
np.tile(t, 2)
np.tile(s, (2, 2))
np.roll(a, 1)
np.roll(a, -2, axis=1)
np.roll(a, (1, 1), axis=(0, 1))
np.roll(a, 4, axis=(0, 1))
np.roll(v, [5])
np.pad(v, 2)
np.pad(s, 2)
np.pad(v, (1, 2))
np.pad(a, ((1, 0), (0, 2)), constant_values=1.5)
np.pad(a, ((1,), (2,)))
np.pad(a, 1, constant_values=((1, 2), (3, 4)))
np.pad(a, {1: (1, 2)})
np.pad(a, 2, mode="edge")
np.pad(a, ((0, 1), (2, 1)), "reflect")
np.pad(v, 4, "reflect")
np.pad(a, 1, mode="symmetric")
np.pad(a, ((1, 2), (0, 3)), mode="wrap")
np.append(a, b)
np.append(a, b, axis=1)
np.append(v, 2.5)
np.append([1.0, 2.0], v)
np.array_split(v, 2)
np.array_split(a, 2, axis=1)
np.array_split(v, 5)
np.array_split(a, [1, 2], 1)
np.hsplit(a, 3)
np.hsplit(v, [1])
np.vsplit(a, 2)
np.dsplit(t, 2)
np.dsplit(t, [1, 3])
np.unstack(a)
np.unstack(a, axis=1)
np.dstack([a, b])
np.dstack((v, w))
np.block([[a, b], [b, a]])
np.block([v, s, w])
np.block([[a, np.ones((2, 1))], [np.zeros((1, 3)), s]])
np.block(a)
np.diag(v)
np.diag(v, 2)
np.diag(v, k=-1)
np.diag(m)
np.diag(a, 1)
np.diag(a, -1)
np.diagonal(m)
np.diagonal(a, 1)
np.diagonal(t, offset=-1, axis1=2, axis2=0)
np.trace(m)
np.trace(a, offset=1)
np.trace(t, 1, 1, 2)
np.tril(m)
np.tril(a, 1)
np.tril(t, k=-1)
np.tril(v)
np.triu(m)
np.triu(a, -1)
np.fliplr(a)
np.flipud(a)
np.rot90(a)
np.rot90(a, 2)
np.rot90(t, 3, axes=(1, 2))
np.rot90(t, -3, (2, 0))
np.rot90(a, 4)
np.rollaxis(t, 2)
np.rollaxis(t, 0, 3)
np.matrix_transpose(t)
np.atleast_1d(s)
np.atleast_2d(v)
np.atleast_3d(v)
np.atleast_3d(a)
np.atleast_3d(s, t)
np.atleast_1d(s, v)
np.atleast_2d(s, v, a)
np.broadcast_arrays(v, a)
np.broadcast_arrays(s, np.ones((2, 1)), v)
np.meshgrid(v, w)
np.meshgrid(v, w, s)
np.meshgrid(v, [1.0, 2.0], indexing="ij")
np.meshgrid(v, w, sparse=True)
np.linspace(s, 3.0, 5)
np.linspace(0.0, s, 4, endpoint=False)
np.linspace(v, w, 4)
np.linspace([1, 2, 3], v, 4)
np.linspace(v, 2 * w, num=3, axis=-1)
np.linspace(s, 2, num=1)
np.linspace(s, 2.0, 3, retstep=True)
np.take_along_axis(a, np.argsort(a, axis=1), axis=1)
np.take_along_axis(a, np.array([[1], [0]]), 1)
np.take_along_axis(a, np.array([[0, 1, 0]]), axis=0)
np.take_along_axis(a, np.array([3, 0]), axis=None)
np.select([a > 0.5, a < -0.5], [a * a, b])
np.select([a > 0, np.array([[True], [False]])], [v, a], default=2.5)
np.choose(np.array([0, 1, 0]), [v, w])
np.choose(np.array([[0], [1]]), [a, v])
np.sort(a)
np.sort(a, axis=0)
np.sort(a, axis=None)
np.sort(t, axis=1, kind="stable")
np.partition(v, 1)[1]
np.partition(t, 2, axis=1)[:, 2]
np.partition(a, 3, axis=None)[3]
np.lib.stride_tricks.sliding_window_view(v, 2)
np.lib.stride_tricks.sliding_window_view(a, (2, 2))
np.lib.stride_tricks.sliding_window_view(t, 3, axis=1)
np.lib.stride_tricks.sliding_window_view(t, (2, 3), axis=(-1, 1))
np.lib.stride_tricks.sliding_window_view(v, (2, 2), axis=(0, 0))
np.compress([True, False, True], v)
np.compress(v > 0, a, axis=1)
np.compress([False, True], a, axis=0)
np.compress([0, 0, 1, 0, 1], a)
np.extract(a > 0, a)
np.extract(np.array([[True], [False]]) & (a > -9), b)
np.diagflat(v)
np.diagflat(a, 1)
np.logspace(s, 1.0, 4)
np.logspace(0.0, v, 3, base=2.0, axis=1)
np.resize(a, (2, 5))
np.resize(a, 4)
np.resize(v, (0, 2))
np.polyval(v, s)
np.polyval([1.0, -2.0, 0.5], a)
np.polyval(v, 2.0)
np.vander(v)
np.vander(v, 2, increasing=True)
np.vander(v, N=5)
v[np.nonzero(v > 0)]
a[np.nonzero(a > 0)]
a[np.where(a > 0)]
np.take(a, np.flatnonzero(a > 0))
m[np.argwhere(v > 0)[:, 0]]
m[i]
"""

METHODS = """
a.copy()
a.repeat(2, axis=1)
a.repeat([1, 2], 0)
a.round(1) + a
m.diagonal(1)
t.diagonal(0, 1, 2)
m.trace()
a.trace(1)
a.take([0, 4, 0])
a.take([2, 0], axis=1)
a.mT
t.mT
a.flat[2]
sum(x * i for i, x in enumerate(a.flat))
a.real * a
a.conj()
a.conjugate()
a.prod(axis=0)
a.cumsum()
a.std(axis=1, ddof=1)
a.var()
a.dot(v)
a[a.nonzero()]
v.searchsorted(0.5) * v
list(reversed(a))
[x * len(a) for x in a]
np.real(a)
np.conj(a)
np.conjugate(a)
np.real_if_close(a)
"""

QUESTIONS = """
np.isclose(a, a + 1e-9)
np.isclose(a, b, rtol=0.1, atol=0.2)
np.isclose(np.array([np.nan, 1.0]), np.nan + s * np.ones(2), equal_nan=True)
np.logical_xor(a > 0, b > 0)
np.logical_xor(a, b)
(a > 0) ^ (b > 0)
np.array([True, False, True]) ^ (v > 0)
np.argsort(a)
np.argsort(a, axis=0)
np.argsort(a, None, kind="stable")
np.argsort(-v, stable=True)
np.argpartition(v, 1)[1]
np.searchsorted([-0.5, 0.0, 0.5], a)
np.searchsorted(np.sort(v), 0.1, side="right")
np.digitize(a, [-0.5, 0.0, 0.5])
np.digitize(a, np.array([0.5, 0.0, -0.5]), right=True)
np.nonzero(a > 0)
np.nonzero(v)
np.flatnonzero(a > 0)
np.argwhere(a > 0)
np.where(a > 0)
np.count_nonzero(a > 0)
np.count_nonzero(a > 0, axis=1)
np.count_nonzero(a > 0, axis=0, keepdims=True)
a.argsort()
v.argsort(stable=True)
a.nonzero()
np.imag(a)
np.isposinf(a / 0.0)
np.isneginf(a / 0.0)
"""

PLAIN = """
a.tolist()
a.nbytes
a.itemsize
len(a)
list(map(len, a))
a[1, 2] in a
2.5 in a
np.isreal(a).tolist()
np.iscomplex(a).tolist()
np.isrealobj(a)
np.iscomplexobj(a)
np.isscalar(s)
np.iterable(v)
np.result_type(a, np.float32)
np.can_cast(a, np.float32)
np.array_equiv(v, np.stack([v, v]))
np.array_equiv(v, w)
np.shape(t)
np.size(t, 1)
np.ndim(t)
"""


def cases(text):
    """The lines, as parameters of a test."""
    return [line for line in text.splitlines() if line]


def evaluated(line, given):
    """What a line is, as a list: some functions give several."""
    y = eval(line, {**KNOWN, **given})
    return y if isinstance(y, tuple | list) else [y]


def weighted(results):
    """A number in which each element of each result counts differently."""
    return sum(np.sum(y * random_like(y, seed=3 + i)) for i, y in enumerate(results))


def gradient(x):
    """What backward() has left; zeros where `x` was only asked about."""
    return np.zeros(x.shape, x.dtype) if x.grad is None else x.grad


@pytest.mark.parametrize("line", cases(ELEMENTWISE + ARRANGED + METHODS))
def test_value_gradient_and_second_order(line):
    data = {name: DATA[name] for name in names_in(line)}
    given = {name: leaf(x) for name, x in data.items()}
    expected, found = evaluated(line, data), evaluated(line, given)
    assert type(found) is type(expected)
    for y, exact in zip(found, expected, strict=True):
        assert y.shape == np.shape(exact) and y.dtype == exact.dtype
        np.testing.assert_allclose(data_of(y), exact, rtol=1e-12)
    assert any(isinstance(y, Tensor) and y.requires_grad for y in found)
    weighted(found).backward()

    def slopes(xs):
        gradients = grad(weighted(evaluated(line, xs)), [*xs.values()])
        return sum(np.sum(g * random_like(g, seed=20 + i)) for i, g in enumerate(gradients))

    for name, x in given.items():

        def number(z, name=name):
            return weighted(evaluated(line, {**data, name: z}))

        close(gradient(x), differences(number, data[name]))
        fresh = {n: leaf(z) for n, z in data.items()}
        second = grad(slopes(fresh), fresh[name]).data

        def slope(z, name=name):
            return slopes({**{n: leaf(u) for n, u in data.items()}, name: leaf(z)}).item()

        close(second, differences(slope, data[name]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("line", cases(ELEMENTWISE + ARRANGED + METHODS))
def test_float32_as_numpy_has_it(line):
    short = {name: np.float32(DATA[name]) for name in names_in(line)}
    given = {name: leaf(x, np.float32) for name, x in short.items()}
    wide = {name: leaf(x.astype(float)) for name, x in short.items()}
    found = evaluated(line, given)
    for y, expected in zip(found, evaluated(line, short), strict=True):
        assert y.dtype == expected.dtype
        np.testing.assert_allclose(data_of(y), expected, rtol=1e-6)
    weighted(found).backward()
    weighted(evaluated(line, wide)).backward()
    for name, x in given.items():
        assert gradient(x).dtype == np.float32
        close(gradient(x), gradient(wide[name]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("line", cases(QUESTIONS))
@np.errstate(divide="ignore")
def test_questions_answer_with_constants(line):
    data = {name: DATA[name] for name in names_in(line)}
    found = evaluated(line, {name: leaf(x) for name, x in data.items()})
    for y, expected in zip(found, evaluated(line, data), strict=True):
        assert isinstance(y, Tensor) and not y.requires_grad
        assert y.dtype == np.asarray(expected).dtype
        np.testing.assert_array_equal(y.data, expected)


@pytest.mark.parametrize("line", cases(PLAIN))
def test_questions_that_plain_numbers_answer(line):
    data = {name: DATA[name] for name in names_in(line)}
    found = eval(line, {**KNOWN, **{name: leaf(x) for name, x in data.items()}})
    expected = eval(line, {**KNOWN, **data})
    assert found == expected
    assert type(found) in (type(expected), type(bool(expected)))


REFUSED = """
np.diag(t)
np.diagonal(v)
np.rot90(v)
np.rot90(a, 1, (0, 0))
np.array_split(v, 0)
np.split(v, 2)
np.vsplit(v, 1)
np.dsplit(a, 1)
np.roll(v, 1, axis=1)
np.pad(v, -1)
np.pad(v, ((1, 2), (3, 4)))
np.block([v, [v]])
np.block([[]])
np.take_along_axis(a, np.zeros(3, int), 0)
np.take_along_axis(a, np.zeros((2, 3)), 0)
np.take_along_axis(a, np.full((2, 3), 9), 0)
np.select([a > 0], [a, b])
np.select([a], [b])
np.choose(np.array([0, 3]), [v, w])
np.choose(np.array([0, -1, 0]), [v, w])
np.choose(np.array([0, 2, 0]), [v, w])
np.sort(a, axis=2)
np.partition(v, 5)
np.lib.stride_tricks.sliding_window_view(v, 4)
np.lib.stride_tricks.sliding_window_view(v, (2, 2))
np.lib.stride_tricks.sliding_window_view(v, -1)
np.nonzero(s)
np.linspace(s, 1.0, -1)
np.meshgrid(v, v, indexing="ji")
np.broadcast_arrays(v, np.ones(4))
np.append(v, a, axis=0)
np.searchsorted(a, 0.5)
"""


@pytest.mark.parametrize("line", cases(REFUSED))
def test_what_numpy_refuses_is_refused(line):
    data = {name: DATA[name] for name in names_in(line)}
    for given in (data, {name: leaf(x) for name, x in data.items()}):
        with pytest.raises((ValueError, TypeError, IndexError)):
            evaluated(line, given)
