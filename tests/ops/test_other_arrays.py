"""Arrays that are not NumPy's, inside Tensors: a duck that knows only NumPy's dispatch, and Dask."""

import os
from operator import attrgetter

import numpy as np
import pytest
from every_op import call, every_sample

from tinygrad_steel import (
    OPS,
    SGD,
    Adam,
    Tensor,
    avg_pool,
    compare_backprop,
    conv2d,
    grad,
    max_pool,
    relu,
    softmax_cross_entropy,
)


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
            raise LeftDispatch(
                f"np.{ufunc.__name__}, {method}, {kwargs}: other arrays know plain calls alone"
            )
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
        raise LeftDispatch(
            "a conversion to an array or a number: it copies from the GPU, or computes what was lazy"
        )

    __array__ = __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = refuse


def swim(function, *args, **kwargs):
    Duck.calls.append(function.__name__)
    result = function(*plain(args), **plain(kwargs))
    if isinstance(result, tuple):  # the named ones of np.linalg
        return type(result)(*map(Duck, result))
    return Duck(result) if isinstance(result, np.ndarray | np.generic) else result


def plain(x):
    if isinstance(x, list | tuple):
        return type(x)(map(plain, x))
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    return x.values if isinstance(x, Duck) else x


NUMPY_ONLY = {  # an op, or one of its samples, and why other arrays cannot go there
    "getitem": "an element taken twice gets both gradients: np.add.at, which works in place, on NumPy's arrays alone",
    "scatter": "np.add.at, as in getitem",
    "softmax_cross_entropy-2": "class ids out of range are refused, for which their extremes must be known numbers",
}


def run(o, sample, kind):
    """The result of an op and all its gradients, of both roads, with `kind` arrays inside the Tensors."""
    xs = [Tensor(kind(x), requires_grad=x.dtype.kind == "f") for x in sample.inputs]
    y = call(o, xs, sample.params)
    if not y.requires_grad:
        return [y.data]
    leaves = [x for x in xs if x.requires_grad]
    weights = kind(np.random.default_rng(7).normal(size=y.shape))
    y.backward(weights)
    return [y.data, *(x.grad for x in leaves), *(g.data for g in grad(y, leaves, weights))]


@every_sample
def test_rules_stay_within_numpys_dispatch(o, sample):
    i = next(i for i, each in enumerate(o.samples) if each is sample)
    if o.name in NUMPY_ONLY or f"{o.name}-{i}" in NUMPY_ONLY:
        refusal = pytest.raises((LeftDispatch, TypeError), match="NumPy's arrays|a conversion")
        with refusal:  # else strike it from the list
            run(o, sample, Duck)
        return
    Duck.calls.clear()
    found = run(o, sample, Duck)
    assert Duck.calls
    for duck, array in zip(found, run(o, sample, np.array), strict=True):
        assert isinstance(duck, Duck)
        close(duck.values, array)


def test_numpy_only_names_ops():
    assert {key.split("-")[0] for key in NUMPY_ONLY} <= OPS.keys()


def test_which_calls_a_rule_makes():
    Duck.calls.clear()
    x = Tensor(Duck([[0.3, -0.4]]), requires_grad=True)
    y = np.tanh(x)
    y.backward(Duck([[2.0, 3.0]]))
    assert Duck.calls == ["tanh", "multiply", "subtract", "multiply"]  # y, then g * (1 - y * y)
    close(x.grad.values, np.array([[2.0, 3.0]]) / np.cosh([[0.3, -0.4]]) ** 2)


# Dask

WHERE = "dask is not installed: pip install 'dask[array,distributed]'"
RNG = np.random.default_rng(3)
X, IDS = RNG.normal(size=(12, 4)), RNG.integers(0, 3, 12)
ONE_HOT, TARGET = np.eye(3)[IDS], RNG.normal(size=(12, 2))
STEEL = [RNG.normal(size=shape) for shape in [(4, 3), (3,)]]
KERNEL = RNG.normal(size=(1, 3, 1, 2))
MLP = [RNG.normal(size=shape) for shape in [(4, 5), (5,), (5, 2), (2,)]]


@pytest.fixture(scope="module")
def dask():
    try:
        import dask.array
        import distributed  # noqa: F401
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail(f"CI runs on Dask too: {WHERE}")
        pytest.skip(WHERE)
    return dask


@pytest.fixture
def chunked(dask):
    """How to make a Dask array of three chunks of rows."""
    return lambda x: dask.array.from_array(x, chunks=(5, *x.shape[1:]))


def compute_nothing(graph, keys, **options):
    raise AssertionError("a lazy array was computed")


def steel_loss(x, labels, weight, bias):
    return softmax_cross_entropy(x @ weight + bias, labels).mean()


def steel_gradients():
    e = np.exp(X @ STEEL[0] + STEEL[1])
    g = (e / e.sum(axis=1, keepdims=True) - ONE_HOT) / 12
    return [X.T @ g, g.sum(axis=0)]


def mlp_loss(x, target, w1, b1, w2, b2):
    return ((relu(x @ w1 + b1) @ w2 + b2 - target) ** 2).mean()


def mlp_gradients():
    w1, b1, w2, b2 = MLP
    hidden = np.maximum(X @ w1 + b1, 0)
    g = (hidden @ w2 + b2 - TARGET) / 12
    g_hidden = g @ w2.T * (hidden > 0)
    return [X.T @ g_hidden, g_hidden.sum(axis=0), hidden.T @ g, g.sum(axis=0)]


LOSSES = [
    pytest.param(steel_loss, ONE_HOT, STEEL, steel_gradients(), id="steel"),
    pytest.param(steel_loss, IDS, STEEL, steel_gradients(), id="steel-ids"),
    pytest.param(mlp_loss, TARGET, MLP, mlp_gradients(), id="mlp"),
]


@pytest.mark.parametrize("weights_are", ["NumPy", "Dask"])
@pytest.mark.parametrize("labels_are", ["NumPy", "Dask"])
@pytest.mark.parametrize("loss_of, labels, weights, expected", LOSSES)
def test_dask_gradients_are_lazy(
    dask, chunked, loss_of, labels, weights, expected, labels_are, weights_are
):
    labels = chunked(labels) if labels_are == "Dask" else labels
    looked_at = labels_are == "Dask" and labels.ndim == 1  # class ids must be in range
    with dask.config.set({} if looked_at else {"scheduler": compute_nothing}):
        leaf = dask.array.from_array if weights_are == "Dask" else np.array
        parameters = [Tensor(leaf(p), requires_grad=True) for p in weights]
        loss = loss_of(Tensor(chunked(X)), Tensor(labels), *parameters)
        loss.backward()
        traced = grad(loss, parameters)
    for p, g, correct in zip(parameters, traced, expected, strict=True):
        for lazy in (p.grad, g.data):
            assert isinstance(lazy, dask.array.Array)
            close(lazy.compute(), correct)


@pytest.mark.parametrize("weights_are", ["NumPy", "Dask"])
@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_training_on_dask(dask, chunked, optimizer, weights_are):
    leaf = dask.array.from_array if weights_are == "Dask" else np.array
    lazy, eager = (
        [Tensor(kind(p), requires_grad=True) for p in STEEL] for kind in (leaf, np.array)
    )
    for x, parameters in [(chunked(X), lazy), (X, eager)]:
        o = optimizer(parameters, learning_rate=0.1)
        for _ in range(3):
            o.zero_grad()
            steel_loss(Tensor(x), ONE_HOT, *parameters).backward()
            o.step()
    for a, b in zip(lazy, eager, strict=True):
        close(a.numpy(), b.data)


def test_a_lazy_loss_is_computed_where_a_number_is_asked_for(chunked):
    loss = steel_loss(Tensor(chunked(X)), ONE_HOT, *map(Tensor, STEEL))
    e = np.exp(X @ STEEL[0] + STEEL[1])
    expected = -np.log((e / e.sum(axis=1, keepdims=True))[np.arange(12), IDS]).mean()
    for number in (loss.numpy(), loss.item(), float(loss), float(f"{loss:.17g}")):
        assert number == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, w: x @ w,
        lambda x, w: (w.T @ x.T).T,
        lambda x, w: np.concatenate([x[:4] @ w, w]),
        lambda x, w: np.where(x > 0, x, 0) @ np.maximum(w, 0.1),
        lambda x, w: np.einsum("ij,jk->k", x, w),
        lambda x, w: np.std(x @ w, axis=0),
        lambda x, w: np.reshape(x @ w, -1),
    ],
)
def test_lazy_arrays_among_numpy_code(dask, chunked, f):
    w = Tensor(STEEL[0], requires_grad=True)
    y = f(chunked(X), w)
    assert isinstance(y, Tensor) and y.requires_grad and isinstance(y.data, dask.array.Array)
    np.testing.assert_allclose(y.numpy(), f(X, STEEL[0]), rtol=1e-12)


def test_the_lower_triangle_is_numpys(dask):
    """Dask's own cholesky gives the upper one."""
    x = X[:4] @ X[:4].T + 4 * np.eye(4)
    weights = np.random.default_rng(7).normal(size=x.shape)
    found = []
    for data in (x, dask.array.from_array(x, chunks=4)):
        t = Tensor(data, requires_grad=True)
        y = np.linalg.cholesky(t)
        np.testing.assert_allclose(y.numpy(), np.linalg.cholesky(x), rtol=1e-10, atol=1e-12)
        y.backward(weights)
        found.append(np.asarray(t.grad))
    np.testing.assert_allclose(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
def test_a_cluster(dask, chunked, dask_cluster):
    from distributed import Client

    with Client(dask_cluster):
        for loss_of, labels, weights, expected in (case.values for case in LOSSES):
            parameters = [Tensor(p, requires_grad=True) for p in weights]
            loss_of(Tensor(chunked(X)), Tensor(chunked(labels)), *parameters).backward()
            for g, correct in zip(
                dask.compute(*(p.grad for p in parameters)), expected, strict=True
            ):
                close(g, correct)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + np.ones(4),
        lambda x: x.T,
        lambda x: np.cumsum(x, axis=0),
        lambda x: x[:, None],
        lambda x: x[None, ..., None],
        lambda x: np.expand_dims(x, 1),
        lambda x: np.broadcast_to(x, (2, 12, 4)),
        lambda x: np.concatenate([x, x]),
        lambda x: np.stack([x, 2 * x]),
        lambda x: np.mean(x, axis=0),
        lambda x: x,
        lambda x: conv2d(x[:, None, :, None], KERNEL, (1, 2)),
        lambda x: avg_pool(max_pool(x[:, None, :, None], (1, 3), 1, "same"), (1, 3), 1),
    ],
)
@pytest.mark.parametrize("given", ["a sum", "NumPy", "Dask"])
def test_every_gradient_of_a_lazy_array_is_lazy(dask, chunked, f, given):
    y = f(Tensor(X, requires_grad=True))
    weights = (
        np.ones(y.shape) if given == "a sum" else np.random.default_rng(0).normal(size=y.shape)
    )
    expected = Tensor(X, requires_grad=True)
    f(expected).backward(weights)
    x = Tensor(chunked(X), requires_grad=True)
    with dask.config.set({"scheduler": compute_nothing}):
        y = f(x).sum() if given == "a sum" else f(x)
        start = None if given == "a sum" else weights if given == "NumPy" else chunked(weights)
        y.backward(start)
        found = [x.grad, grad(y, x, start).data]
    for g in found:
        assert isinstance(g, dask.array.Array)
        close(g.compute(), expected.grad)


@pytest.mark.parametrize("index", [0, slice(1, 5), (slice(None), 1), np.array([0, 0, 2])])
def test_the_gradient_of_indexing_says_where_it_ends(chunked, index):
    x = Tensor(chunked(X), requires_grad=True, name="x")
    y = x[index]
    close(y.numpy(), X[index])
    y.sum().backward()  # whose gradient is a plain number, and no lazy array
    expected = np.zeros_like(X)
    np.add.at(expected, index, 1)
    close(x.grad.compute(), expected)
    with pytest.raises(
        TypeError, match=r"x: \(12, 4\) float64: the gradient of indexing .* not on a dask.*: index"
    ):
        y.backward(chunked(np.ones((12, *y.shape)))[0])


@pytest.mark.parametrize(
    "make", [lambda p: SGD(p, 0.1), lambda p: SGD(p, 0.1, 0.9), lambda p: Adam(p, 0.1)]
)
def test_parameters_and_what_is_remembered_of_them_stay_numpys(chunked, make):
    lazy, eager = ([Tensor(p, requires_grad=True) for p in STEEL] for _ in range(2))
    for x, parameters in [(chunked(X), lazy), (X, eager)]:
        optimizer = make(parameters)
        arrays = [p.data for p in parameters]
        for _ in range(3):
            optimizer.zero_grad()
            steel_loss(Tensor(x), ONE_HOT, *parameters).backward()
            optimizer.step()
        assert all(p.data is array for p, array in zip(parameters, arrays))
        assert all(isinstance(s, np.ndarray) for state in optimizer.states for s in state)
    for a, b in zip(lazy, eager, strict=True):
        close(a.data, b.data)


@pytest.mark.parametrize("same", [np.allclose, np.array_equal])
def test_whether_lazy_arrays_are_the_same_is_a_bool(chunked, same):
    x = Tensor(chunked(X))
    for other, expected in [
        (x, True),
        (Tensor(X), True),
        (X, True),
        (Tensor(chunked(X + 1)), False),
        (X + 1, False),
    ]:
        assert same(x, other) is expected
        assert same(other, x) is expected


def test_nan_among_lazy_arrays(chunked):
    x = Tensor(chunked(np.where(X > 0, np.nan, X)))
    for same in (np.allclose, np.array_equal):
        assert same(x, x) is False
        assert same(x, x, equal_nan=True) is True
    assert np.array_equal(x, x[:3]) is False


@pytest.mark.parametrize("which", ["x", "weight"])
def test_gradients_of_lazy_arrays_are_not_compared(chunked, which):
    given = {"x": X, "weight": STEEL[0]}
    given[which] = chunked(given[which])
    x, weight = (
        Tensor(given["x"], name="x"),
        Tensor(given["weight"], requires_grad=True, name="weight"),
    )
    with pytest.raises(
        TypeError,
        match=rf"^compare_backprop is for NumPy's arrays, and {which} holds a dask.*Array$",
    ):
        compare_backprop(np.sum(x @ weight), G_weight=np.ones(weight.shape))
