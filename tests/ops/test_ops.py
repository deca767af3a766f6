"""Ops: right values by hand for each, finite differences for all that `OPS` lists, and the registry itself."""

import copy
import functools
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from every_op import LIBRARY, vjps_agree_with_differences
from helpers import close, differences, leaf, random_like

from tinygrad_steel import (
    OPS,
    Tensor,
    arrays,
    compile_backprop,
    grad,
    log_softmax,
    no_grad,
    op,
    random_sample,
    relu,
    sample_of,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    values,
    write_backprop,
)

pytestmark = pytest.mark.filterwarnings("error")


def gradients(f, *data, weights=None):
    """The gradients of f(*data), weighted, along both roads: on arrays (backward) and on Tensors (grad)."""
    xs = [leaf(x) for x in data]
    y = f(*xs)
    weights = np.ones(y.shape) if weights is None else np.array(weights, dtype=float)
    y.backward(weights)
    for x, traced in zip(xs, grad(y, xs, weights), strict=True):
        close(traced.data, x.grad, rtol=1e-12)
    return [x.grad for x in xs]


# Samples and facts


def test_a_copy_of_a_layer_has_the_same_op():
    """As with functions; readers know ops by what they are, and numba by its table of them."""
    layer = {"activation": relu, "list": [OPS["sin"], softmax]}
    for twin in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin["activation"] is relu and twin["list"] == [OPS["sin"], softmax]
    for o in OPS.values():
        assert pickle.loads(pickle.dumps(o)) is copy.copy(o) is copy.deepcopy(o) is o


def test_an_op_that_is_not_in_the_table_is_not_pickled(registry):
    old = op("old", lambda x: x * 1, lambda g, y, x: g, samples=[random_sample((2,))])
    kept = pickle.dumps(old)
    del OPS["old"]
    with pytest.raises(TypeError, match="not the op of this name in OPS"):
        pickle.dumps(old)
    with pytest.raises(KeyError, match="no op 'old' here: import the file that declares it"):
        pickle.loads(kept)


def test_samples_are_drawn_when_they_are_asked_for():
    sample = random_sample((2, 3), (), positive=True, axis=0)
    assert sample.count == 2 and "inputs" not in vars(sample)
    assert sample.inputs is sample.inputs and sample.params == {"axis": 0}
    assert all((x > 0.3).all() and not x.flags.writeable for x in sample.inputs)
    again = pickle.loads(pickle.dumps(random_sample((2, 3), (), positive=True)))
    assert [x.tolist() for x in again.inputs] == [x.tolist() for x in sample.inputs]
    code = "from tinygrad_steel import OPS; made = [s for o in OPS.values() for s in o.samples if 'inputs' in vars(s)]"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}; print(made)"], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_a_sample_is_a_copy_and_a_wrong_shape_is_refused_at_once():
    x = np.ones(2)
    sample = sample_of(x, 3)
    x[0] = 5
    assert [x.tolist() for x in sample.inputs] == [[1, 1], 3]
    assert random_sample(3).inputs[0].shape == (3,) and random_sample([2, 1]).inputs[0].shape == (
        2,
        1,
    )
    for wrong in ("ab", (-1,), (2, 1.5)):
        with pytest.raises((TypeError, ValueError)):
            random_sample(wrong)


def test_the_older_names_of_samples_are_aliases():
    assert arrays is random_sample and values is sample_of


def test_facts_stand_on_the_op(registry):
    facts = {
        "reduction": {"sum", "mean", "max", "min", "prod", "any", "all"},
        "moves": {"reshape", "transpose", "swapaxes", "expand_dims", "squeeze", "flip"},
        "choosing": {"max", "min", "maximum", "minimum", "fmax", "fmin", "clip", "relu", "where"}
        | {"abs", "fabs", "positive", "nan_to_num", "max_pool"},
    }
    for fact, names in facts.items():
        assert {o.name for o in LIBRARY if getattr(o, fact)} == names
        assert not getattr(op("test_fact", lambda x: x, lambda g, y, x: g, samples=[]), fact)


# Powers


@pytest.mark.parametrize(
    "x, exponent, expected",
    [
        (-2, 3, 12),
        (-2, 3.0, 12),
        (0, 0, 0),
        (0, 1, 1),
        (0, 2, 0),
        (0, 3, 0),
        (5, 0, 0),
        (4, 0.5, 0.25),
        (2, -1, -0.25),
    ],
)
@pytest.mark.parametrize(
    "kind", [lambda e: e, np.float64, np.array, Tensor], ids=["plain", "float64", "array", "Tensor"]
)
def test_a_constant_exponent(x, exponent, expected, kind):
    close(gradients(lambda x: x ** kind(exponent), x)[0], expected)


@pytest.mark.parametrize("exponent, expected", [(0, 0), (1, 0), (2, 2), (3, 0)])
def test_second_derivative_of_a_power_at_zero(exponent, expected):
    x = leaf(0)
    first = grad(x**exponent, x)
    assert grad(first, x).item() == expected


@pytest.mark.parametrize("base", [0, 0.0, np.array(0.0), Tensor(0.0)])
def test_zero_to_the_power_of_b(base):
    close(gradients(lambda b: base**b, 1)[0], 0)


def test_power_of_two_tensors():
    ga, gb = gradients(lambda a, b: a**b, [2, 3], [3, 2], weights=[1, 10])
    close(ga, [12, 60])
    close(gb, [8 * np.log(2), 90 * np.log(3)])


@pytest.mark.parametrize(
    "a, b",
    [(a, b) for a in (2, 0.3, 5, -2, -0.7) for b in (0, 1, 2, 3, -1, 0.5) if a > 0 or b != 0.5]
    + [(0, 2), (0, 3)],
)
@np.errstate(invalid="ignore")
def test_all_first_and_second_derivatives_of_a_power(a, b):
    xs = leaf(a), leaf(b)
    first = grad(xs[0] ** xs[1], xs, 3.0)
    log = np.log(a) if a > 0 else np.nan  # there is no slope along b for negative a
    along_a, along_b, mixed = b * a ** (b - 1) if b else 0, a**b * log, a ** (b - 1) * (1 + b * log)
    twice_a, twice_b = b * (b - 1) * a ** (b - 2) if b not in (0, 1) else 0, a**b * log**2
    if a == 0:  # a ** b * log(a) goes to 0 with a
        along_b, mixed, twice_b = 0, 0, 0
    close(first[0].data, 3 * along_a)
    close(first[1].data, 3 * along_b)
    for g, expected in zip(first, [(twice_a, mixed), (mixed, twice_b)], strict=True):
        for second, value in zip(grad(g, xs), expected, strict=True):
            close(second.data, 3 * value)


@pytest.mark.parametrize("a", [np.inf, -np.inf, np.nan, 0, -3])
@pytest.mark.parametrize("kind", [lambda e: e, np.float64, np.array, np.uint8, Tensor, leaf])
@np.errstate(invalid="ignore")  # a leaf as exponent has a slope of its own
def test_to_the_power_of_zero_is_flat_everywhere(a, kind):
    assert gradients(lambda x: x ** kind(0), a, weights=5.0)[0] == 0


def test_a_constant_exponent_takes_no_logarithm():
    x, g = Tensor([2.0, -3.0], requires_grad=True, name="x"), np.array([5.0, 7.0])
    for exponent in (0, 2, 3, -1, 0.5, np.float64(3)):
        with np.errstate(invalid="ignore"):
            assert "log" not in write_backprop(np.sum(x**exponent * g))


# Elementwise


@pytest.mark.parametrize(
    "f, x, y, slope",
    [
        (lambda x: x.exp(), np.log(2), 2, 2),
        (lambda x: x.log(), 4, np.log(4), 0.25),
        (np.log1p, 1, np.log(2), 0.5),
        (lambda x: x.sqrt(), 9, 3, 1 / 6),
        (lambda x: x.square(), -3, 9, -6),
        (lambda x: x.tanh(), np.log(2), 0.6, 0.64),  # (2 - 1/2) / (2 + 1/2)
        (lambda x: x.sigmoid(), np.log(3), 0.75, 0.1875),
        (abs, -2, 2, -1),
        (lambda x: -x, 2, -2, -1),
        (lambda x: 6 / x, 2, 3, -1.5),
        (lambda x: x / 4, 2, 0.5, 0.25),
        (lambda x: x.relu(), 2, 2, 1),
        (lambda x: x.relu(), -2, 0, 0),
        (lambda x: np.sign(x) * x, -2, 2, -1),
    ],
)
def test_by_hand(f, x, y, slope):
    close(f(leaf(x)).data, y)
    close(gradients(f, x, weights=10.0)[0], 10 * slope)


@pytest.mark.parametrize("f", [relu, abs, np.abs])
def test_slope_at_the_kink_is_zero(f):
    close(gradients(f, [0.0, -0.0], weights=[3, 5])[0], [0, 0])


def test_relu_of_odd_numbers():
    y = relu(np.array([np.nan, -np.inf, np.inf, -1.0]))
    np.testing.assert_array_equal(y, [np.nan, 0, np.inf, 0])
    assert np.isnan(relu(Tensor([np.nan])).data).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_sigmoid_has_one_value_on_every_road(dtype):
    """An array takes a shorter road than a Tensor that is traced, or a single number."""
    x = np.concatenate(
        [
            np.random.default_rng(0).normal(size=200) * 20,
            [0.0, -0.0, np.inf, -np.inf, np.nan, -80.0],
        ]
    )
    x = x.astype(dtype).reshape(2, -1)
    with np.errstate(all="ignore"):
        wanted = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    assert sigmoid(x).tobytes() == wanted.tobytes()
    assert sigmoid(x).dtype == dtype
    for number, y in zip(x[0, :3], wanted[0, :3]):
        assert sigmoid(number) == sigmoid(np.array(number)) == y


def test_sigmoid_is_exact_and_silent_far_out():
    assert sigmoid(np.array([1000.0, -1000.0, 0.0])).tolist() == [1, 0, 0.5]
    assert sigmoid(leaf([1000.0, -1000.0])).data.tolist() == [1, 0]
    assert sigmoid(np.array(-40.0)) == pytest.approx(np.exp(-40), rel=1e-12)
    close(gradients(sigmoid, [1000, -1000, 0], weights=[1, 1, 8])[0], [0, 0, 2])


def test_small_numbers_keep_their_digits():
    """exp(x) - 1 has lost those of exp(x) far out."""
    close(gradients(np.expm1, [-50.0], weights=[3.0])[0], [3 * np.exp(-50)], rtol=1e-12, atol=0)


# Integers and float16: NumPy's functions as NumPy has them, our own in float64

INTEGERS = [bool, *(np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64))]
CROWDED = [[0, 1, 100, 127], [127, 100, 0, 5], [3, 3, 3, 3]]  # sums and differences leave int8
CROWDED_SIGNED = [[100, -100, -128, 127], [0, 1, -1, 2], [5, 5, 5, 5]]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(
    "f",
    [
        sigmoid,
        softmax,
        log_softmax,
        OPS["logsumexp"],
        OPS["norm"],
        lambda x: np.linalg.norm(x, axis=1),
        lambda x: softmax_cross_entropy(x, np.array([0, 1, 3])),
        lambda x: softmax_cross_entropy(x, np.eye(4)[[0, 1, 3]]),
        lambda x: sigmoid_cross_entropy(x, np.eye(4)[[0, 1, 3]]),
        lambda x: sigmoid_cross_entropy(x, np.eye(4, dtype=np.int8)[[0, 1, 3]]),
    ],
)
def test_our_own_functions_of_integers_are_those_of_float64(f, dtype):
    x = np.array(CROWDED_SIGNED if np.dtype(dtype).kind == "i" else CROWDED).astype(dtype)
    expected = f(x.astype(float))
    for y in (f(x), f(Tensor(x)).data):
        assert y.dtype == np.float64
        close(y, expected, rtol=1e-12)


def test_integers_that_would_wrap_around():
    assert sigmoid(np.array([0, 128, 255], np.uint8)).tolist() == [0.5, 1, 1]
    assert softmax_cross_entropy(np.array([[100, -100]], np.int8), np.array([0])).tolist() == [0]
    assert (
        np.average(
            Tensor(np.array([200, 100], np.uint8)), weights=np.array([2, 4], np.uint8)
        ).item()
        == 800 / 6
    )
    assert np.mean(Tensor(np.array([2**62, 2**62]))).item() == 2**62
    assert relu(np.array([-128, 5], np.int8)).tolist() == [0, 5] and sigmoid(True) == sigmoid(1.0)


ALONG = [
    np.sum,
    np.mean,
    np.var,
    np.std,
    np.prod,
    np.max,
    np.min,
    np.argmax,
    np.any,
    np.cumsum,
    np.average,
]
NUMPY_CALLS = [
    *(functools.partial(f, **params) for f in ALONG for params in ({}, {"axis": 0}, {"axis": 1})),
    *(
        np.abs,
        np.square,
        np.sqrt,
        np.exp,
        np.log1p,
        np.tanh,
        np.sign,
        np.floor,
        np.isnan,
        np.linalg.norm,
    ),
    *(
        np.transpose,
        np.ravel,
        np.zeros_like,
        np.logical_not,
        lambda x: np.clip(x, 1, 3),
        lambda x: x + x,
        lambda x: x * 3,
    ),
    *(
        lambda x: x / 3,
        lambda x: np.maximum(x, 2),
        lambda x: x @ x.T,
        lambda x: np.where(x > 1, x, 2),
        lambda x: x**2,
    ),
    *(
        lambda x: x > 1,
        lambda x: np.stack([x, x]),
        lambda x: np.logaddexp(x, 1),
        lambda x: np.einsum("ij->j", x),
    ),
]


@pytest.mark.parametrize("f", NUMPY_CALLS)
@np.errstate(all="ignore")
def test_numpy_functions_have_numpys_numbers_and_dtypes(f):
    for x in (np.array(CROWDED).astype(dtype) for dtype in (*INTEGERS, np.float16)):
        try:
            expected = f(x)
        except TypeError:  # np.sign of bools
            with pytest.raises(TypeError):
                f(Tensor(x))
            continue
        y = f(Tensor(x)).data
        assert y.dtype == expected.dtype, x.dtype
        close(y, expected, rtol=1e-12 if y.dtype == float else 0, atol=0)
    assert x.dtype == np.float16  # the last one


def half(data):
    return Tensor(np.array(data, np.float16), requires_grad=True, name="x")


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("value", [0.3, 30])
def test_a_mean_of_float16_adds_up_in_float32(value, axis):
    x = np.full((5000, 2), value, np.float16)
    weights = np.float16(1) if axis is None else np.array([1, 3], np.float16)
    y = np.mean(half(x), axis=axis)
    assert y.dtype == np.float16 and np.all(y.data == np.float16(value))
    loss = np.sum(y * weights)
    expected = np.broadcast_to(
        (weights.astype(float) / (10_000 if axis is None else 5000)), (5000, 2)
    )
    compiled = compile_backprop(loss, backend="numpy")
    source = write_backprop(loss)
    roads = [
        (loss, grad(loss, loss.inputs[0].inputs[0].inputs[0])),
        (compiled(), compiled.gradients["x"]),
    ]
    for number, g in [*roads, source.function()(**source.arguments)]:
        close(np.float64(getattr(number, "data", number)), np.float64(loss.data), rtol=0)
        close(np.float64(getattr(g, "data", g)), expected, rtol=1e-3)


@pytest.mark.parametrize("f, size", [(np.mean, 100_000), (np.var, 10_000), (np.std, 10_000)])
def test_more_elements_than_float16_can_count(f, size):
    data = np.random.default_rng(3).normal(1, 2, size).astype(np.float16)
    x, exact = half(data), leaf(data)
    f(x).backward(np.float16(50))
    f(exact).backward(50.0)
    close(x.grad.astype(float), exact.grad, rtol=2e-3, atol=1e-7)


def test_a_bias_of_float16_gets_the_gradients_of_all_rows():
    bias = half([0, 0])
    (bias + np.zeros((5000, 2), np.float16)).backward(
        np.tile(np.array([1, 3], np.float16), (5000, 1))
    )
    assert bias.grad.tolist() == [5000, 15000]


@pytest.mark.parametrize("f", [softmax, log_softmax, OPS["logsumexp"]])
def test_long_columns_of_float16(f):
    data = np.random.default_rng(4).normal(size=(5000, 2)).astype(np.float16)
    x, exact = half(data), leaf(data)
    y, right = f(x, axis=0), f(exact, axis=0)
    close(y.data.astype(float), right.data, rtol=2e-3, atol=1e-6)
    weights = random_like(right).astype(np.float16)
    y.backward(weights)
    right.backward(weights.astype(float))
    close(x.grad.astype(float), exact.grad, rtol=1e-2, atol=2e-3 * abs(exact.grad).max())


def test_mixed_dtypes_are_numpys():
    """Numbers do not change float32, arrays of float64 do, also 0-d ones."""
    x = np.array([[1, 2], [3, 4]], np.float32)
    calls = [
        lambda x, c: np.einsum("ij,->ij", x, c),
        lambda x, c: np.where(x > 2, x, c),
        lambda x, c: np.stack([x[0, 0], c]),
        lambda x, c: np.concatenate([x[0], np.reshape(c, 1)]),
        lambda x, c: np.hstack([x[0], c]),
        lambda x, c: x * c,
    ]
    for call in calls:
        for constant in (
            2,
            2.5,
            True,
            np.float32(2.5),
            np.float64(2.5),
            np.array(2.5),
            np.array(2),
            np.array(2, np.int8),
        ):
            y = call(Tensor(x), constant)
            assert y.dtype == call(x, constant).dtype
            close(y.data, call(x, constant), rtol=0)


# Choosing


def test_nan_stays_nan_and_stays_where_it_is():
    """NaN in, NaN out, in gradients, too; but not in those of other elements."""
    nan, weights = np.nan, np.array([3.0, 5.0, 7.0])
    for f, slopes in [
        (relu, [nan, 0, 1]),
        (np.abs, [nan, -1, 1]),
        (lambda x: np.clip(x, 0, 1.5), [nan, 0, 0]),
        (lambda x: np.clip(x, None, 1.5), [nan, 1, 0]),
        (lambda x: np.clip(x, -1, None), [nan, 0, 1]),
        (lambda x: np.maximum(x, 0), [nan, 0, 1]),
        (lambda x: np.minimum(0, x), [nan, 1, 0]),
    ]:
        close(gradients(f, [nan, -2, 3], weights=weights)[0], slopes * weights)
        assert np.isnan(f(leaf([nan, -2, 3])).data).tolist() == [True, False, False]
    for f, (left, right) in [
        (np.maximum, ([nan, nan, 1], [nan, nan, 0])),
        (np.minimum, ([nan, nan, 0], [nan, nan, 1])),
    ]:
        ga, gb = gradients(f, [nan, 1, 3], [1, nan, 2], weights=weights)
        close(ga, left * weights)
        close(gb, right * weights)


@pytest.mark.parametrize("backend", ["numpy", "auto"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("f", [relu, lambda x: np.maximum(x, 0), lambda x: np.clip(x, 0, 2)])
def test_nan_stays_where_it_is_in_steps_and_in_source(f, dtype, backend):
    x = leaf([np.nan, -2, 1, -0.0], dtype=dtype, name="x")
    weights = np.array([3, 5, 7, 0], dtype)
    loss = np.sum(f(x) * weights)
    compiled, source = compile_backprop(loss, backend=backend), write_backprop(loss)
    compiled()
    for g in (compiled.gradients["x"], source.function()(**source.arguments)[1]):
        close(g, [np.nan, 0, 7, 0])


@pytest.mark.parametrize("f", [np.max, np.min])
def test_nan_among_others_is_the_extreme(f):
    x = [[1, np.nan, 3], [2, 4, 4], [5, 0, 0]]
    y = f(leaf(x), axis=1)
    assert np.isnan(y.data).tolist() == [True, False, False]
    of_rows = {np.max: [[0, 5, 5], [7, 0, 0]], np.min: [[10, 0, 0], [0, 3.5, 3.5]]}[f]
    close(gradients(lambda x: f(x, axis=1), x, weights=[3, 10, 7])[0], [[0, np.nan, 0], *of_rows])
    close(gradients(f, x, weights=3.0)[0], [[0, np.nan, 0], [0, 0, 0], [0, 0, 0]])


# Choosing


def test_ties_share_evenly():
    for f in (np.maximum, np.minimum):
        ga, gb = gradients(f, [4, 1], [4, 1], weights=[1, 10])
        close(ga, [0.5, 5])
        close(gb, [0.5, 5])
    close(gradients(lambda x: x.max(), [1, 3, 3])[0], [0, 0.5, 0.5])
    close(gradients(lambda x: x.min(), [1, 3, 1])[0], [0.5, 0, 0.5])
    close(gradients(lambda x: x.max(axis=0), [[1, 3], [1, 2]], weights=[4, 6])[0], [[2, 6], [2, 0]])
    close(
        gradients(lambda x: x.max(axis=1, keepdims=True), [[1, 3], [2, 2]], weights=[[4], [6]])[0],
        [[0, 4], [3, 3]],
    )


def test_maximum_and_minimum():
    ga, gb = gradients(np.maximum, [1, 5], 3, weights=[1, 10])
    close(ga, [0, 10])
    close(gb, 1)
    ga, gb = gradients(np.minimum, [1, 5], 3, weights=[1, 10])
    close(ga, [1, 0])
    close(gb, 10)


def test_where():
    ga, gb = gradients(
        lambda a, b: np.where(np.array([True, False, True]), a, b),
        [1, 2, 3],
        9,
        weights=[1, 10, 100],
    )
    close(ga, [1, 0, 100])
    close(gb, 10)


def test_where_with_a_safe_inner_where():
    close(
        gradients(
            lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 0), [0, 4], weights=[3, 5]
        )[0],
        [0, 1.25],
    )
    gx, *_ = gradients(
        lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0), [0, 4, -1], weights=[3, 5, 7]
    )
    close(gx, [0, 1.25, 0])


# Softmax and the losses


def test_softmax():
    expected = [[0.26894142, 0.73105858]] * 2
    close(softmax(np.array([[1000.0, 1001.0], [0.0, 1.0]])), expected)
    close(softmax(leaf([[1000, 1001], [0, 1]])).data, expected)
    close(softmax(np.array([[1000.0, 0.0], [1001.0, 1.0]]), axis=0), np.transpose(expected))
    gx, *_ = gradients(lambda x: softmax(x) @ np.array([1.0, 2.0, 4.0]), [1, 2, 3])
    close(gx, [-0.2017091, -0.3035738, 0.5052829], atol=5e-8)


def test_log_softmax():
    assert log_softmax(np.array([0.0, 1000.0])).tolist() == [-1000, 0]
    close(log_softmax(leaf([[0, np.log(3)]])).data, np.log([[0.25, 0.75]]))
    close(gradients(log_softmax, [0, np.log(3)], weights=[1, 0])[0], [0.75, -0.75])


@pytest.mark.parametrize(
    "x, y, weights",
    [
        ([0, np.log(3)], np.log(4), [0.25, 0.75]),
        ([-np.inf, 2], 2, [0, 1]),
        ([-np.inf, -np.inf], -np.inf, [0.5, 0.5]),
        ([np.inf, 1], np.inf, [1, 0]),
        ([np.inf, -np.inf], np.inf, [1, 0]),
        ([np.inf, np.inf], np.inf, [0.5, 0.5]),
        ([1e17, 1e17], 1e17, [0.5, 0.5]),
        ([-1e308, 1000], 1000, [0, 1]),
        ([np.nan, 1], np.nan, [np.nan, np.nan]),
    ],
)
def test_logsumexp_and_logaddexp_with_infinities(x, y, weights):
    logsumexp = OPS["logsumexp"]
    close(logsumexp(np.array(x, float)), y)
    close(gradients(logsumexp, x, weights=3.0)[0], 3 * np.array(weights))
    close(
        gradients(lambda x: logsumexp(x, keepdims=True, axis=0), x, weights=[3.0])[0],
        3 * np.array(weights),
    )
    if y == y:  # of NaN, NumPy's logaddexp warns
        close(np.logaddexp(*map(leaf, x)).data, y)
        close(np.array(gradients(np.logaddexp, *x, weights=3.0)), 3 * np.array(weights))


def test_second_derivatives_of_logaddexp_where_both_are_equal():
    a, b = leaf(2), leaf(2)
    ga, gb = grad(np.logaddexp(a, b), [a, b])
    close(
        np.array([[x.item() for x in grad(g, [a, b])] for g in (ga, gb)]),
        [[0.25, -0.25], [-0.25, 0.25]],
    )


def test_softmax_with_infinities():
    rows = [[-np.inf, 0, 0], [-np.inf, -np.inf, 5]]
    close(softmax(np.array(rows)), [[0, 0.5, 0.5], [0, 0, 1]])
    close(log_softmax(np.array(rows)), [[-np.inf, -np.log(2), -np.log(2)], [-np.inf, -np.inf, 0]])
    close(gradients(softmax, rows, weights=random_like(rows))[0][1], [0, 0, 0])
    g = random_like(rows)
    close(
        gradients(log_softmax, rows, weights=g)[0],
        g - softmax(np.array(rows)) * g.sum(axis=1, keepdims=True),
    )
    for row in ([-np.inf, -np.inf], [np.inf, 1]):  # no softmax: and it is said
        for f in (softmax, log_softmax, lambda x: softmax_cross_entropy(x[None], np.array([0]))):
            with pytest.warns(RuntimeWarning, match="invalid value"):
                assert np.isnan(f(np.array(row))).all()


@pytest.mark.parametrize("axis", [None, (0, 2), (1,), -2])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_softmax_along_several_axes(name, axis):
    x = np.random.default_rng(2).normal(size=(2, 3, 4))
    sums = np.exp(x).sum(axis=axis, keepdims=True)
    expected = {
        "softmax": np.exp(x) / sums,
        "log_softmax": x - np.log(sums),
        "logsumexp": np.squeeze(np.log(sums), axis),
    }
    f, weights = OPS[name], random_like(expected[name])
    close(f(x, axis=axis), expected[name])
    close(
        gradients(lambda x: f(x, axis=axis), x, weights=weights)[0],
        differences(lambda x: np.vdot(weights, f(x, axis)), x),
    )
    for data in (x, leaf(x)):
        with pytest.raises(IndexError, match="out of bounds"):
            f(data, axis=3)


@pytest.mark.parametrize(
    "labels", [[2, 0], np.array([2, 0], np.uint8), [[0, 0, 1], [1, 0, 0]], [[0.0, 0, 1], [1, 0, 0]]]
)
def test_softmax_cross_entropy(labels):
    def loss(x):
        return softmax_cross_entropy(x, labels).mean()

    logits = [[1, 2, 3], [1, 0, -1]]
    close(loss(leaf(logits)).data, 0.4076060, rtol=1e-7, atol=5e-8)
    row = [0.0450153, 0.1223642, -0.1673795]
    close(gradients(loss, logits)[0], [row, row[::-1]], atol=5e-8)


@pytest.mark.parametrize("label, loss, gradient", [(0, 0, [0, 0, 0]), (1, 1000, [1, -1, 0])])
@pytest.mark.parametrize("one_hot", [False, True])
def test_softmax_cross_entropy_far_out(label, loss, gradient, one_hot):
    labels = np.eye(3)[[label]] if one_hot else [label]
    x = leaf([[1000, 0, -1000]])
    y = softmax_cross_entropy(x, labels)
    y.backward(np.array([1.0]))
    assert y.data.tolist() == [loss] and x.grad.tolist() == [gradient]
    assert grad(softmax_cross_entropy(x, labels).sum(), x).data.tolist() == [gradient]


@pytest.mark.parametrize("labels", [[1], [[0.0, 1.0, 0.0]]])
def test_a_logit_of_minus_infinity_costs_nothing(labels):
    def loss(x):
        return softmax_cross_entropy(x, labels)

    close(loss(leaf([[0, 0, -np.inf]])).data, [np.log(2)])
    close(gradients(loss, [[0, 0, -np.inf]])[0], [[0.5, -0.5, 0]])


def test_labels_need_not_sum_to_one():
    rng = np.random.default_rng(5)
    logits, labels, weights = (
        rng.normal(size=(3, 4)),
        rng.uniform(0.1, 2, (3, 4)),
        rng.normal(size=3),
    )

    def plain(x, t):
        return -(t * np.log(np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))).sum(axis=1)

    close(softmax_cross_entropy(leaf(logits), labels).data, plain(logits, labels))
    glogits, glabels = gradients(softmax_cross_entropy, logits, labels, weights=weights)
    close(glogits, differences(lambda x: plain(x, labels) @ weights, logits))
    close(glabels, differences(lambda t: plain(logits, t) @ weights, labels))


@pytest.mark.parametrize(
    "labels, words",
    [
        ([0, 3], "0 to 2, got 0 to 3"),
        ([-1, 0], "0 to 2, got -1 to 0"),
        ([0.0, 1.0], "integers, got float64"),
        ([[0], [1]], r"\(2, 3\) and labels \(2, 1\)"),
        ([0, 1, 2], r"\(2, 3\) and labels \(3,\)"),
        ([[0.0, 1.0]], r"\(2, 3\) and labels \(1, 2\)"),
        (1, r"\(2, 3\) and labels \(\)"),
    ],
)
def test_unfit_labels(labels, words):
    for logits in (leaf(np.zeros((2, 3))), Tensor(np.zeros((2, 3)))):
        with pytest.raises(ValueError, match=words):
            softmax_cross_entropy(logits, labels)
    with pytest.raises(ValueError, match=words):
        softmax_cross_entropy(np.zeros((2, 3)), np.array(labels))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_logits_are_a_matrix(shape):
    with pytest.raises(ValueError, match="logits are"):
        softmax_cross_entropy(leaf(np.zeros(shape)), np.zeros(shape))


@pytest.mark.parametrize("labels", [[2, 0], [[False, False, True], [True, False, False]]])
def test_float32_logits_give_a_float32_loss(labels):
    """Class ids and masks choose; they have no precision of their own to lend to the loss."""
    x = leaf([[1, 2, 3], [1, 0, -1]], dtype=np.float32)
    y = softmax_cross_entropy(x, labels)
    y.mean().backward()
    assert (y.dtype, x.grad.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, float])
def test_sigmoid_cross_entropy(dtype):
    def loss(x):
        return sigmoid_cross_entropy(x, np.array([1, 0], dtype)).mean()

    logits = [0.3, -0.2]
    close(loss(leaf(logits)).data, 0.5762471, rtol=1e-7, atol=5e-8)
    close(gradients(loss, logits)[0], [(1 / (1 + np.exp(-0.3)) - 1) / 2, 1 / (1 + np.exp(0.2)) / 2])


@pytest.mark.parametrize(
    "x, label, loss, slope",
    [
        (0, 1, np.log(2), -0.5),
        (0, 0, np.log(2), 0.5),
        (1000, 0, 1000, 1),
        (1000, 1, 0, 0),
        (-1000, 1, 1000, -1),
        (-1000, 0, 0, 0),
    ],
)
def test_sigmoid_cross_entropy_is_exact_and_silent(x, label, loss, slope):
    assert sigmoid_cross_entropy(np.array(float(x)), np.array(float(label))) == loss
    glogits, glabels = gradients(sigmoid_cross_entropy, x, label)
    assert glogits == slope and glabels == -x


# Reductions


def test_sum_and_mean():
    x = np.arange(9.0).reshape(3, 3)
    rows = [[1] * 3, [10] * 3, [100] * 3]
    close(gradients(lambda x: x.mean(axis=1), x, weights=[3, 30, 300])[0], rows)
    close(gradients(lambda x: x.mean(axis=-2), x, weights=[3, 30, 300])[0], np.transpose(rows))
    close(gradients(lambda x: x.sum(axis=1, keepdims=True), x, weights=[[1], [10], [100]])[0], rows)
    close(gradients(lambda x: x.mean(), x, weights=18.0)[0], np.full((3, 3), 2))
    close(gradients(lambda x: x.sum(axis=(0, 1)), x, weights=7.0)[0], np.full((3, 3), 7))
    close(leaf(x).mean(axis=1).data, [1, 4, 7])
    close(leaf(x).mean(axis=(0, 1), keepdims=True).data, [[4]])
    close(leaf(x).sum(axis=0).data, [9, 12, 15])


@pytest.mark.parametrize("f", [np.var, np.std])
@np.errstate(divide="ignore", invalid="ignore")
def test_more_degrees_of_freedom_than_elements(f):
    """NumPy divides by 0 then, and so do the gradients."""
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        assert f(np.array([1.0, 2.0]), ddof=3) == f(leaf([1, 2]), ddof=3).data == np.inf
        assert not np.isfinite(gradients(lambda x: f(x, ddof=3), [1, 2])[0]).any()


@pytest.mark.parametrize("axis", [0, -1])
def test_a_single_number_has_no_axis_but_for_sums(axis):
    close(gradients(lambda x: np.sum(x, axis=axis), 3, weights=5.0)[0], 5)
    close(gradients(lambda x: np.prod(x, axis=axis), 3, weights=5.0)[0], 5)
    for f in (np.mean, np.var):
        for x in (np.array(3.0), leaf(3)):
            with pytest.raises(IndexError, match="out of bounds"):
                f(x, axis=axis)


# Products


@pytest.mark.parametrize(
    "left, right, formula",
    [
        ((3,), (3,), "k,k->"),
        ((2, 3), (3,), "ik,k->i"),
        ((3,), (3, 2), "k,kj->j"),
        ((2, 3), (3, 4), "ik,kj->ij"),
        ((2, 3, 4), (4, 5), "nik,kj->nij"),
        ((3, 4), (2, 4, 2), "ik,nkj->nij"),
        ((2, 3, 4), (4,), "nik,k->ni"),
        ((3,), (2, 3, 4), "k,nkj->nj"),
        ((5, 2, 3), (5, 3, 4), "nik,nkj->nij"),
    ],
)
def test_matmul(left, right, formula):
    """Of y = einsum("A,B->Y", a, b), the gradients are einsum("Y,B->A", g, b) and einsum("Y,A->B", g, a)."""
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=left), rng.normal(size=right)
    in_a, in_b, out = formula.replace("->", ",").split(",")
    expected = np.einsum(formula, a, b)
    g = rng.normal(size=expected.shape)
    close((leaf(a) @ leaf(b)).data, expected)
    ga, gb = gradients(lambda a, b: a @ b, a, b, weights=g)
    close(ga, np.einsum(f"{out},{in_b}->{in_a}", g, b))
    close(gb, np.einsum(f"{out},{in_a}->{in_b}", g, a))


def test_matmul_with_a_stack_of_one():
    rng = np.random.default_rng(8)
    a, b, g = rng.normal(size=(1, 2, 3)), rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 2, 2))
    ga, gb = gradients(lambda a, b: a @ b, a, b, weights=g)
    close(ga, np.einsum("nij,nkj->ik", g, b)[None])
    close(gb, np.einsum("nij,ik->nkj", g, a[0]))


# Shapes


def test_transpose_and_reshape():
    x = [[1, 2, 3], [4, 5, 6]]
    close(leaf(x).T.reshape(2, 3).data, [[1, 4, 2], [5, 3, 6]])
    close(
        gradients(lambda x: x.T.reshape(2, 3), x, weights=[[1, 2, 3], [4, 5, 6]])[0],
        [[1, 3, 5], [2, 4, 6]],
    )


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))) + [(-1, 0, 1)])
def test_transpose_with_axes(axes):
    x = np.arange(24.0).reshape(2, 3, 4)
    weights = random_like(x)
    close(
        gradients(lambda x: x.transpose(axes), x, weights=np.transpose(weights, axes))[0], weights
    )


def test_squeeze_expand_broadcast():
    close(gradients(lambda x: x.squeeze(), [[[1], [2]]], weights=[3, 5])[0], [[[3], [5]]])
    close(gradients(lambda x: np.expand_dims(x, (0, 2)), [1, 2], weights=[[[3], [5]]])[0], [3, 5])
    close(
        gradients(lambda x: np.broadcast_to(x, (2, 2)), [1, 2], weights=[[1, 10], [100, 1000]])[0],
        [101, 1010],
    )
    close(gradients(lambda x: x.swapaxes(0, 1), [[1, 2]], weights=[[3], [5]])[0], [[3, 5]])


def test_concatenate():
    gx, gy = gradients(lambda x, y: np.concatenate([x, y, x]), [1, 2], [3], weights=[1, 2, 3, 4, 5])
    close(gx, [5, 7])
    close(gy, [3])
    gx, gy = gradients(
        lambda x, y: np.concatenate((x, y), axis=-1),
        [[1], [2]],
        [[3], [4]],
        weights=[[1, 2], [3, 4]],
    )
    close(gx, [[1], [3]])
    close(gy, [[2], [4]])
    gx, gy = gradients(
        lambda x, y: np.concatenate((x, y), axis=None), [[1], [2]], 3, weights=[1, 2, 3]
    )
    close(gx, [[1], [2]])
    close(gy, 3)


@pytest.mark.parametrize(
    "index, weights, expected",
    [
        ([0, 0, 2], [1, 10, 100], [11, 0, 100]),
        (np.array([0, 0, 2]), [1, 10, 100], [11, 0, 100]),
        (Tensor([0, 0, 2]), [1, 10, 100], [11, 0, 100]),
        (1, 5, [0, 5, 0]),
        (np.int64(-1), 5, [0, 0, 5]),
        (slice(None, None, -1), [1, 10, 100], [100, 10, 1]),
        (slice(0, 0), [], [0, 0, 0]),
        ([True, False, True], [1, 10], [1, 0, 10]),
        (np.array([True, False, True]), [1, 10], [1, 0, 10]),
        (None, [[1, 10, 100]], [1, 10, 100]),
        (Ellipsis, [1, 10, 100], [1, 10, 100]),
        ([[0, 1], [1, 1]], [[1, 10], [100, 1000]], [1, 1110, 0]),
    ],
)
def test_indices(index, weights, expected):
    close(gradients(lambda x: x[index], [1, 2, 3], weights=weights)[0], expected)


@pytest.mark.parametrize(
    "index", [(0, 1), (slice(None), 1), ([0, 1], [1, 1]), (Ellipsis, None, [2, 2]), (1, [0, 0, 1])]
)
def test_indices_of_a_matrix(index):
    x = np.arange(6.0).reshape(2, 3)
    weights = random_like(x[index])
    expected = np.zeros((2, 3))
    np.add.at(expected, index, weights)
    close(gradients(lambda x: x[index], x, weights=weights)[0], expected)


def test_an_index_that_is_computed():
    """A mask made from the Tensor itself: what is taken gets the gradient."""
    close(gradients(lambda x: x[x > 1], [1, 2, 3], weights=[10, 100])[0], [0, 10, 100])


def test_a_row_times_the_whole():
    close(gradients(lambda x: (x[0] * x).sum(), [[1, 2], [3, 4]])[0], [[5, 8], [1, 2]])


def test_astype_sends_the_gradient_back_in_its_own_dtype():
    x = leaf([1.5, 2.5], dtype=np.float32)
    y = x.astype(np.float64)
    y.backward(np.array([3.0, 5.0]))
    assert (y.dtype, x.grad.dtype) == (np.float64, np.float32)
    close(x.grad, [3, 5])


# The registry


def test_an_op_of_ones_own(registry):
    @op("test_hypot", samples=[arrays((2, 3), (3,))], twins=[np.nextafter], elementwise=True)
    def hypot(a, b):
        """The long side of a right-angled triangle."""
        return np.sqrt(a * a + b * b)

    hypot.vjp(lambda g, y, a, b: g * a / y)
    hypot.vjp(lambda g, y, a, b: g * b / y)
    assert (
        OPS["test_hypot"] is hypot
        and hypot.differentiable
        and hypot.__doc__.startswith("The long side")
    )
    assert hypot(3.0, 4.0) == 5 and not isinstance(hypot(np.array(3.0), 4.0), Tensor)
    ga, gb = gradients(hypot, [3, 4], 4, weights=[1, np.sqrt(2)])
    close(ga, [0.6, 1])
    close(gb, 0.8 + 1)
    assert np.nextafter(leaf(3), 4.0).op is hypot
    vjps_agree_with_differences(hypot, hypot.samples[0])


def test_a_name_belongs_to_one_function(registry):
    def first():
        return op("test_double", lambda x: 2 * x, lambda g, y, x: 2 * g, samples=[values([1.0])])

    def other():
        return op("test_double", lambda x: x + x, lambda g, y, x: 2 * g, samples=[values([1.0])])

    old = first()
    new = first()  # a notebook cell that is run again
    assert OPS["test_double"] is new is not old
    with pytest.raises(ValueError, match="'test_double' exists already"):
        other()
    assert OPS["test_double"] is new
    with pytest.raises(ValueError, match="'exp' exists already"):
        op("exp", lambda x: x, lambda g, y, x: g, samples=[values([1.0])])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda t: OPS["sum"](t, dtype=float), r"sum takes \(x, axis, keepdims\): dtype="),
        (lambda t: np.exp(t, dtype=np.float32), "exp takes.*dtype="),
        (lambda t: np.mean(t, 0, axis=1), "mean takes.*axis=|multiple values.*axis"),
        (lambda t: OPS["sum"](), "sum takes.*x is missing"),
        (lambda t: OPS["matmul"](t), "matmul takes.*b is missing"),
        (lambda t: OPS["where"](t > 0, b=t), "where takes"),
        (lambda t: OPS["exp"](t, t), "exp takes.*too many"),
        (lambda t: OPS["sum"](t, 0, True, 3), "sum takes.*too many"),
        (lambda t: OPS["multiply"](t, t, c=t), "multiply takes.*c="),
        (lambda t: OPS["concatenate"](t, t), "concatenate.*list or tuple"),
        (lambda t: OPS["concatenate"](), "concatenate.*list or tuple"),
        (lambda t: OPS["reshape"](t), "reshape.*shape"),
        (lambda t: OPS["reshape"](t, (2, 3), order="F"), "reshape takes.*order="),
    ],
)
def test_calls_that_do_not_fit(call, words):
    with pytest.raises(TypeError, match=words):
        call(leaf([[1, 2]]))


@pytest.mark.parametrize(
    "call, name, expected",
    [
        (lambda t: np.max(t, axis=1), "max", [3, 6]),
        (lambda t: np.amax(t), "max", 6),
        (lambda t: np.min(t, 0), "min", [1, 2, 3]),
        (lambda t: np.sum(t, 0, keepdims=True), "sum", [[5, 7, 9]]),
        (lambda t: np.sum(t, axis=1, out=None), "sum", [6, 15]),
        (lambda t: np.mean(t, axis=(0, 1)), "mean", 3.5),
        (lambda t: np.reshape(t, (3, 2)), "reshape", [[1, 2], [3, 4], [5, 6]]),
        (lambda t: np.reshape(t, shape=(1, -1)), "reshape", [[1, 2, 3, 4, 5, 6]]),
        (lambda t: np.transpose(t), "transpose", [[1, 4], [2, 5], [3, 6]]),
        (lambda t: np.transpose(t, axes=(0, 1)), "transpose", [[1, 2, 3], [4, 5, 6]]),
        (lambda t: np.expand_dims(t[0], 1), "expand_dims", [[1], [2], [3]]),
        (lambda t: OPS["multiply"](a=t, b=t), "multiply", [[1, 4, 9], [16, 25, 36]]),
    ],
)
def test_calls_that_fit(call, name, expected):
    y = call(leaf([[1, 2, 3], [4, 5, 6]]))
    assert y.op.name == name
    close(y.data, expected)


def test_samples_are_read_only_and_away_from_kinks():
    sample = arrays((2, 3), (50,), axis=1)
    assert sample.params == {"axis": 1} and [x.shape for x in sample.inputs] == [(2, 3), (50,)]
    assert all(0.3 <= abs(x).min() and abs(x).max() <= 1.7 for x in sample.inputs)
    assert sample.inputs[1].min() < 0 < arrays((50,), positive=True).inputs[0].min()
    with pytest.raises(ValueError, match="read-only"):
        sample.inputs[0][0, 0] = 1


def test_an_op_with_any_number_of_inputs_keeps_them_all(registry):
    first = op(
        "test_first",
        lambda x, *rest: x + sum(rest),
        lambda g, y, x, *rest: g,
        samples=[arrays((2,), (2,))],
    )
    a, b = leaf([1, 2]), Tensor([10.0, 20.0])
    y = first(a, b)
    np.testing.assert_array_equal(y.data, [11, 22])
    y.backward([3.0, 4.0])
    np.testing.assert_array_equal(a.grad, [3, 4])
    with pytest.raises(RuntimeError, match="test_first has no vjp"):
        first(a, leaf([1, 2])).sum().backward()
    above = op(
        "test_above",
        lambda *xs: np.sum(np.stack(xs), axis=0) > 0,
        samples=[arrays((2,), (2,))],
        sequence=True,
    )
    np.testing.assert_array_equal(above([a, -b]).data, [False, False])


def test_more_vjps_than_inputs_are_refused(registry):
    with pytest.raises(ValueError, match=r"test_two\(x\) has a vjp for each"):
        op(
            "test_two",
            lambda x: x * 1,
            lambda g, y, x: g,
            lambda g, y, x: g,
            samples=[arrays((2,))],
        )


def test_fewer_vjps_than_inputs_are_an_error_where_one_is_needed(registry):
    half = op(
        "test_half", lambda a, b: a * b, lambda g, y, a, b: g * b, samples=[arrays((2,), (2,))]
    )
    with pytest.raises(RuntimeError, match="test_half has no vjp for"):
        half(leaf([1, 2]), leaf([3, 4])).sum().backward()


# A constant is said on purpose, and what contradicts itself is refused


def test_an_op_without_a_rule_is_no_constant_by_itself(registry):
    """The gradient of a forgotten rule would be zero, without a word."""
    cube = op("test_cube", lambda x: x**3, samples=[arrays((2,))])
    with pytest.raises(
        RuntimeError,
        match=r"test_cube\(x\): no vjp was given: give one per input, or say constant=",
    ):
        cube(leaf([1, 2]))
    with no_grad():
        assert cube(leaf([1, 2])).data.tolist() == [1, 8]
    assert cube(Tensor([2.0])).data.tolist() == [8]
    cube.vjp(lambda g, y, x: 3 * g * x * x)
    close(gradients(cube, [1, 2], weights=[1, -10])[0], [3, -120])


def test_a_constant_is_said_on_purpose(registry):
    frozen = op("test_frozen", lambda x: x**3, samples=[arrays((2,))], constant=True)
    x = leaf([2, 3])
    assert not frozen(x).requires_grad
    close(
        gradients(lambda x: frozen(x) * x, [2, 3], weights=[1, -1])[0], [8, -27]
    )  # x ** 3 held fast

    @op("test_peak", samples=[arrays((2, 3))], constant=True)
    def peak(x):
        return np.max(x)

    assert peak.constant and not peak(x).requires_grad
    ours = [o for o in LIBRARY if o.constant]
    assert {"greater", "isnan", "argmax", "one_hot", "zeros_like", "asconstant"} <= {
        o.name for o in ours
    }
    assert not [o.name for o in LIBRARY if not o.constant and not o.differentiable]


def test_a_result_without_slopes_needs_no_word(registry):
    positive = op("test_positive", lambda x: x > 0, samples=[arrays((2,))])
    assert not positive(leaf([1, -2])).requires_grad


X = arrays((2,))


@pytest.mark.parametrize(
    "error, words, args, options",
    [
        (TypeError, "needs a name", (None, lambda x: x), {}),
        (ValueError, "needs a name", ("", lambda x: x), {}),
        (TypeError, "forward is a function", ("test_no", np.ones(2)), {}),
        (TypeError, "2 results", ("test_no", np.divmod), {}),
        (TypeError, r"takes \*\*options: name its parameters", ("test_no", lambda x, **options: x), {}),
        (TypeError, "no input", ("test_no", lambda x=None: x), {}),
        (TypeError, "no input", ("test_no", lambda *, x: x), {}),
        (TypeError, "a vjp is a function", ("test_no", lambda x: x, 2.0), {}),
        (TypeError, r"of x is called with \(g, y, x\): too many", ("test_no", lambda x: x, lambda g, x: g), {}),
        (TypeError, r"\(g, y, a, b\)", ("test_no", lambda a, b: a, None, lambda g, a, b: g), {"samples": []}),
        (ValueError, "a vjp for each", ("test_no", lambda x: x, lambda g, y, x: g, None), {}),
        (ValueError, "leave out each= or the vjps", ("test_no", lambda *xs: xs[0], None), {"each": lambda i, g: g}),
        (ValueError, "give one vjp each", ("test_no", lambda x: x), {"each": lambda i, g, y, x: g}),
        (ValueError, "give one vjp each", ("test_no", lambda x: x), {"joint": lambda g, y, x: [g]}),
        (ValueError, "leave one out", ("test_no", lambda *x: x[0]), {"joint": lambda g: [g], "each": lambda i, g: g}),
        (ValueError, "leave out joint= or", ("test_no", lambda *x: x[0], None), {"joint": lambda g: [g]}),
        (TypeError, "each= is a function", ("test_no", lambda *xs: xs[0]), {"each": 1}),
        (ValueError, "constant=True says", ("test_no", lambda x: x, lambda g, y, x: g), {"constant": True}),
        (ValueError, "constant=True says", ("test_no", lambda *x: x[0]), {"constant": True, "each": lambda i, g: g}),
        (ValueError, "leave one out", ("test_no", lambda x: (x, x)), {"constant": True, "keeps": True}),
        (ValueError, "leave one word out", ("test_no", lambda x: x), {"elementwise": True, "rowwise": True}),
        (ValueError, r"a forward of \(\*arrays\)", ("test_no", lambda a, b: a), {"sequence": True, "samples": []}),
        (ValueError, r"a forward of \(\*arrays\)", ("test_no", lambda a, *b: a), {"sequence": True}),
        (TypeError, "samples are a list", ("test_no", lambda x: x), {"samples": [np.ones(2)]}),
        (TypeError, "samples are a list", ("test_no", lambda x: x), {"samples": X}),
        (TypeError, "samples are a list", ("test_no", lambda x: x), {"samples": np.ones(2)}),
        (ValueError, "sample 0 has 1 inputs, not 2", ("test_no", lambda a, b: a), {}),
        (ValueError, "sample 0 has 2 inputs, not 1", ("test_no", lambda a: a), {"samples": [arrays((2,), (2,))]}),
        (ValueError, "sample 1 has axis=", ("test_no", lambda a: a), {"samples": [X, arrays((2,), axis=0)]}),
        (TypeError, "twins are NumPy's functions", ("test_no", lambda a: a), {"twins": ["hypot"]}),
        (ValueError, r"np.exp on Tensors is <op exp\(x\)> already", ("test_no", np.exp), {}),
        (ValueError, r"np.sum on Tensors is <op sum", ("test_no", lambda a: a), {"twins": [np.sum]}),
        (ValueError, "np.dot on Tensors is put together", ("test_no", lambda a: a), {"twins": [np.dot]}),
    ],
)  # fmt: skip
def test_contradictions_are_refused(registry, error, words, args, options):
    before = dict(OPS)
    with pytest.raises(error, match=words):
        op(*args, **{"samples": [X], **options})
    assert OPS == before and OPS["exp"](leaf(0.0)).op is OPS["exp"] is np.exp(leaf(0.0)).op


def test_a_rule_that_would_be_ignored_is_refused(registry):
    summed = op(
        "test_summed", lambda *xs: sum(xs), samples=[arrays((2,))], each=lambda i, g, y, *xs: g
    )
    with pytest.raises(
        ValueError, match="test_summed has each= or joint=, one rule for all inputs"
    ):
        summed.vjp(lambda g, y, *xs: 2 * g)
    frozen = op("test_frozen", lambda x: x**3, samples=[X], constant=True)
    with pytest.raises(ValueError, match="test_frozen is declared constant=True"):
        frozen.vjp(lambda g, y, x: g)
    close(gradients(summed, [1, 2], [3, 4], weights=[5, 6])[1], [5, 6])


def test_a_forward_that_keeps_returns_a_pair(registry):
    """An array of length 2 is not one, nor do two results make an array."""
    rows = op(
        "test_rows", lambda x: 2 * x, lambda g, y, x, kept=None: 2 * g, samples=[X], keeps=True
    )
    pair = op("test_pair", lambda x: (2 * x, x), lambda g, y, x: 2 * g, samples=[X])
    for x in (leaf([[1, 2], [3, 4]]), np.ones((2, 2))):
        with pytest.raises(
            TypeError, match=r"test_rows has keeps=True.*\(result, kept\), not ndarray \(2, 2\)"
        ):
            rows(x)
    with pytest.raises(TypeError, match="test_pair returned 2 things: say keeps=True"):
        pair(leaf([1, 2]))


def test_positional_only_arguments_are_inputs(registry):
    def forward(x, /, slope=2.0):
        return slope * x

    o = op("test_only", forward, lambda g, y, x, slope=2.0: slope * g, samples=[X])
    close(gradients(o, [1, 2], weights=[3, -5])[0], [6, -10])


def test_a_twin_that_a_new_definition_leaves_out_is_forgotten(registry):
    def define(**options):
        return op(
            "test_hyp",
            lambda a, b: a + b,
            lambda g, y, a, b: g,
            None,
            samples=[arrays((2,), (2,))],
            **options,
        )

    assert np.nextafter(define(twins=[np.nextafter])(leaf(1), 2.0), 2.0).op is OPS["test_hyp"]
    define()
    with pytest.raises(TypeError, match="nextafter has no registered op"):
        np.nextafter(leaf(1), 2.0)


def test_a_cast_to_integers_wants_no_gradient():
    assert not leaf([1.5, 2.5]).astype(int).requires_grad
    assert leaf([1.5, 2.5]).astype(np.float32).requires_grad


def test_two_lambdas_of_one_name_are_two_ops(registry):
    op("test_act", lambda x: x * 2.0, samples=[arrays((2,))])
    with pytest.raises(ValueError, match="exists already"):
        op("test_act", lambda x: x * 3.0, samples=[arrays((2,))])


@pytest.mark.parametrize("value", [0.1, 1.5056617517558029, -1e5 / 3])
@pytest.mark.parametrize("count", [3, 7, 10])
def test_equal_numbers_have_no_slope_of_their_deviation(value, count):
    """Their mean is not quite that number, and the deviations would be rounding divided by rounding."""
    x = leaf(np.full(count, value))
    np.std(x).backward()
    assert x.grad.tolist() == [0] * count
    x.grad = None
    np.var(x).backward()
    assert x.grad.tolist() == [0] * count
