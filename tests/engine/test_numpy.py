"""NumPy code that knows nothing of Tensors: it runs on them unchanged, or is refused at once."""

import functools
import subprocess
import sys

import numpy as np
import pytest
from helpers import close, counted, differences, leaf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_steel import (
    SGD,
    Tensor,
    check_gradients,
    compile_backprop,
    grad,
    ops,
    softmax_cross_entropy,
    write_backprop,
)
from tinygrad_steel.engine.later import Named
from tinygrad_steel.engine.numpy_api import BEYOND, MEANING, METHODS
from tinygrad_steel.ops.op import SPELLINGS, TWINS, Op


def random(*shape, seed=1):
    """Random numbers of either sign, no two of them equal or near a kink at 0: a step of a difference crosses none."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    data = (rng.permutation(size) + rng.uniform(0.2, 0.8, size)) * 2 / (size or 1)
    return (data * rng.choice([-1, 1], size)).reshape(shape)


def gradients(f, data, weights, dtype=float):
    """The gradients of f(*data), weighted, by `backward`, once those of `grad` have been found the same."""
    xs = [leaf(x, dtype) for x in data]
    y = f(*xs)
    assert isinstance(y, Tensor) and y.requires_grad
    y.backward(weights)
    for x, g in zip(xs, grad(y, xs, weights), strict=True):
        assert type(x.grad) is type(g.data) is np.ndarray or x.shape == ()
        assert x.grad.dtype == g.dtype == dtype
        close(g.data, x.grad, rtol=1e-5 if dtype == np.float32 else 1e-12)
    return [x.grad for x in xs]


def check(f, *data):
    """On arrays and Tensors `f` gives the same; its gradients are the differences of what it gives on arrays."""
    expected = f(*data)
    y = f(*map(leaf, data))
    assert y.dtype == expected.dtype
    close(y.data, expected, rtol=1e-12)
    weights = random(*np.shape(expected), seed=2)
    for i, g in enumerate(gradients(f, data, weights)):

        def number(x, i=i):
            return np.vdot(weights, f(*data[:i], x, *data[i + 1 :]))

        close(g, differences(number, data[i]))


def test_the_table_names_each_function_of_ours():
    ours = {op for op in vars(ops).values() if isinstance(op, Op)}
    special = sys.modules.get("tinygrad_steel.ops.special")  # SciPy's ufuncs have a table there
    elsewhere = special.OF_NUMPY if special else {}
    twins = {f: op for f, op in TWINS.items() if op in ours and f is not op.forward}
    twins = {f: op for f, op in twins.items() if f not in elsewhere}
    assert {**twins, **SPELLINGS} == MEANING


SPELLED = [
    x
    for x in (*MEANING.values(), *METHODS.values(), *(row for _, row in BEYOND.values()))
    if isinstance(x, Named)
]


@pytest.mark.parametrize("row", SPELLED, ids=lambda row: f"{row.file}.{row.name}")
def test_each_spelling_is_in_its_file(row):
    assert row.function.__name__ == row.name
    assert row.function.__module__ == f"tinygrad_steel.engine.{row.file}"


def test_spellings_load_when_they_are_called():
    files = {f"tinygrad_steel.engine.{row.file}" for row in SPELLED}
    code = (
        "import sys, numpy as np, tinygrad_steel\n"
        f"files = {sorted(files)}\n"
        "assert not {*files} & {*sys.modules}\n"
        "np.vstack([tinygrad_steel.Tensor([1.0])])\n"
        "print(*{*files} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "tinygrad_steel.engine.numpy_joins" in run.stdout.split(), run.stderr
    assert len(run.stdout.split()) < len(files)


# What people write


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return np.exp(-relu(-x)) / (1.0 + np.exp(-np.abs(x)))


def softmax(x):
    diff = (x.transpose() - np.max(x, axis=1)).transpose()
    exp = np.exp(diff)
    return (exp.transpose() / np.sum(exp, axis=1)).transpose()


def softmax_loss(logits):
    labels = np.eye(3, dtype=logits.dtype)[[0, 2, 1, 0]]
    return -np.sum(labels * np.log(softmax(logits) + 1e-10), axis=1)


def sigmoid_loss(logits):
    labels = (np.arange(12) % 2 > 0).reshape(4, 3)
    return relu(logits) - logits * labels + np.log(1 + np.exp(-np.abs(logits)))


def log_softmax(x):
    shifted = x - np.max(x, axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def mlp_loss(x, w1, b1, w2, b2):
    log_probs = log_softmax(np.tanh(x @ w1 + b1) @ w2 + b2)
    return -np.mean(log_probs[np.arange(4), [0, 1, 1, 0]])


def standardise(x):
    return (x - np.mean(x, axis=0)) / np.std(x, axis=0)


def distances(a, b):
    return np.sqrt(np.sum((a[:, None] - b[None, :]) ** 2, axis=-1))


def polynomial(x):
    total = 0
    for power, coefficient in enumerate([0.5, -1, 2]):
        total += coefficient * x**power
    return total


def newton(x):
    y = 1 + np.abs(x)
    for _ in range(3):
        y = (y + (x * x + 1) / y) / 2
    return y


M, V = (4, 3), (3,)
BOOK = [
    pytest.param(f, shapes, id=f.__name__)
    for f, *shapes in [
        (relu, M),
        (sigmoid, M),
        (softmax, M),
        (softmax_loss, M),
        (sigmoid_loss, M),
        (log_softmax, M),
        (mlp_loss, (4, 3), (3, 5), (5,), (5, 2), (2,)),
        (standardise, M),
        (distances, (4, 3), (2, 3)),
        (polynomial, M),
        (newton, M),
    ]
]
FUNCTIONS = [
    pytest.param(f, shapes, id=name)
    for name, f, *shapes in [
        ("concatenate", lambda a, b: np.concatenate([a, b, a], axis=1), (2, 3), (2, 1)),
        ("stack", lambda a, b: np.stack((a, b), axis=-1), M, M),
        ("stack-0d", lambda a, b: np.stack([a, b]), (), ()),
        ("hstack-1d", lambda a, b: np.hstack([a, b]), V, (2,)),
        ("hstack-2d", lambda a, b: np.hstack([a, b]), (2, 3), (2, 1)),
        ("hstack-0d", lambda a, b: np.hstack([a, b]), (), ()),
        ("vstack-1d", lambda a, b: np.vstack([a, b]), V, V),
        ("vstack-2d", lambda a, b: np.vstack([a, b]), M, V),
        ("column_stack-1d", lambda a, b: np.column_stack([a, b]), V, V),
        ("column_stack-2d", lambda a, b: np.column_stack([a, b]), (3, 2), V),
        ("where", lambda a, b: np.where(a > b, a * b, b), M, V),
        ("clip", lambda x: np.clip(x, -0.5, 0.5), M),
        ("clip-below", lambda x: np.clip(x, 0.3, None), M),
        ("clip-method", lambda x: x.clip(-0.5, 0.5), M),
        ("dot-1d", lambda a, b: np.dot(a, b), V, V),
        ("dot-2d", lambda a, b: np.dot(a, b), M, (3, 2)),
        ("dot-matrix-vector", lambda a, b: np.dot(a, b), M, V),
        ("dot-vector-matrix", lambda a, b: np.dot(a, b), (4,), M),
        ("dot-scalar", lambda a, b: np.dot(a, b), M, ()),
        ("dot-number", lambda a: np.dot(2.5, a), M),
        ("dot-method", lambda a, b: a.dot(b), M, V),
        ("outer", lambda a, b: np.outer(a, b), V, (2,)),
        ("outer-of-matrices", lambda a, b: np.outer(a, b), (2, 2), (3, 1)),
        ("norm", lambda x: np.linalg.norm(x), M),
        ("norm-axis", lambda x: np.linalg.norm(x, axis=1), M),
        ("norm-keepdims", lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True), M),
        ("norm-2", lambda x: np.linalg.norm(x, 2, axis=0), M),
        ("norm-fro", lambda x: np.linalg.norm(x, "fro"), M),
        ("einsum-matmul", lambda a, b: np.einsum("ij,jk->ik", a, b), M, (3, 2)),
        ("einsum-implicit", lambda a, b: np.einsum("ij,jk", a, b), M, (3, 2)),
        ("einsum-implicit-order", lambda a: np.einsum("ji", a), M),
        ("einsum-one-is-summed", lambda a, b: np.einsum("ij,k->k", a, b), M, V),
        ("einsum-all-summed", lambda a, b: np.einsum("ij,kj->", a, b), M, (2, 3)),
        ("einsum-batch", lambda a, b: np.einsum("bij,bj->bi", a, b), (2, 3, 4), (2, 4)),
        ("einsum-three", lambda a, b, c: np.einsum("i,ij,j", a, b, c), (4,), M, V),
        ("einsum-spaces", lambda a, b: np.einsum("i j, j -> i", a, b), M, V),
        ("split", lambda x: np.split(x, 2)[1] * np.split(x, 2)[0], M),
        ("split-at", lambda x: np.split(x, [1, 2], axis=1)[1], M),
        ("ravel", lambda x: np.ravel(x), M),
        ("moveaxis", lambda x: np.moveaxis(x, 0, -1), (2, 3, 4)),
        ("moveaxis-back", lambda x: np.moveaxis(x, -1, 1), (2, 3, 4)),
        ("swapaxes", lambda x: np.swapaxes(x, 0, -1), (2, 3, 4)),
        ("squeeze", lambda x: np.squeeze(x), (1, 3, 1)),
        ("squeeze-axis", lambda x: np.squeeze(x, axis=-1), (1, 3, 1)),
        ("expand_dims", lambda x: np.expand_dims(x, (0, -1)), V),
        ("cumsum", lambda x: np.cumsum(x, axis=1), M),
        ("cumsum-1d", lambda x: np.cumsum(x), V),
        ("prod", lambda x: np.prod(x), V),
        ("prod-axis", lambda x: np.prod(x, axis=0), M),
        ("var", lambda x: np.var(x, ddof=1), M),
        ("mean-method", lambda x: x.mean(keepdims=True), M),
        ("var-axis", lambda x: np.var(x, axis=0, ddof=1, keepdims=True), M),
        ("std", lambda x: np.std(x, axis=1, ddof=1), M),
        ("mean", lambda x: np.mean(x, axis=(0, -1)), (2, 3, 4)),
        ("max", lambda x: np.max(x, axis=0, keepdims=True) - np.amin(x), M),
        ("flip", lambda x: np.flip(x), M),
        ("flip-axis", lambda x: np.flip(x, axis=1), M),
        ("logaddexp", lambda a, b: np.logaddexp(a, b), M, V),
        ("broadcast_to", lambda x: np.broadcast_to(x, (4, 2, 3)), (2, 1)),
        ("power-of-2", lambda x: np.power(2.0, x), M),
        ("2-to-the-x", lambda x: 2**x, M),
        ("square", lambda x: x**2, M),
        ("power-2", lambda x: np.power(x, 2), M),
        ("minus-3", lambda x: x**-3, M),
        ("x-to-the-y", lambda x, y: np.abs(x) ** y, M, V),
        ("python-scalars", lambda x: 2 - x + 1.5 * x - x / 4 + 3 / x + (1 + -x), M),
        (
            "unary",
            lambda x: (
                np.sin(x) * np.cos(x) + np.arctan(x) - np.log1p(x * x) * np.sinh(x) + np.expm1(x)
            ),
            M,
        ),
        (
            "logarithms",
            lambda x: np.log2(x * x) + np.log10(abs(x)) + np.sqrt(abs(x)) + np.reciprocal(x),
            M,
        ),
        (
            "transposes",
            lambda x: np.transpose(x, (2, 0, 1)) + x.transpose(2, 0, 1) + x.transpose((2, 0, 1)),
            (2, 3, 4),
        ),
        ("reshape", lambda x: np.reshape(x, (2, -1)) + x.reshape(2, 6), M),
        ("rows", lambda x: sum(row * i for i, row in enumerate(x)), M),
        ("unpacking", lambda x: (lambda first, *rest: first * rest[-1])(*x), M),
        ("mask", lambda x: x[x > 0], M),
        ("fancy", lambda x: x[[0, 0, 2], 1:][::-1, None], M),
        ("full_like", lambda x: x * np.full_like(x, 0.5) + np.ones_like(x) - np.zeros_like(x), M),
        ("sign", lambda x: np.sign(x) * x + np.floor(x) - np.where(np.isnan(x), 0, x), M),
        ("argmax", lambda x: x[np.arange(4), np.argmax(x, axis=1)], M),
    ]
]


@pytest.mark.parametrize("f, shapes", BOOK + FUNCTIONS)
def test_numpy_code_runs_unchanged(f, shapes):
    check(f, *(random(*shape, seed=3 + i) for i, shape in enumerate(shapes)))


@pytest.mark.parametrize("f, shapes", BOOK + FUNCTIONS)
def test_float32_stays_float32(f, shapes):
    data = [random(*shape, seed=3 + i) for i, shape in enumerate(shapes)]
    y = f(*(leaf(x, np.float32) for x in data))
    assert y.dtype == np.float32
    weights = random(*y.shape, seed=2)
    for g, exact in zip(
        gradients(f, data, weights, np.float32), gradients(f, data, weights), strict=True
    ):
        close(g, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "other",
    [
        random(4, 1),
        random(3),
        random(4, 3),
        np.array(1.5),
        np.float64(1.5),
        np.float32(1.5),
        np.int64(2),
        2,
        1.5,
        True,
    ],
    ids=lambda x: f"{type(x).__name__}{np.shape(x)}",
)
@pytest.mark.parametrize(
    "f",
    [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.logaddexp]
    + [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: np.abs(a) ** b,
    ],
)
def test_both_orders(f, other):
    check(lambda x: f(x, other), random(4, 3, seed=5))
    check(lambda x: f(other, x), random(4, 3, seed=5))


def test_matmul_in_both_orders():
    check(lambda x: random(2, 4) @ x, random(4, 3, seed=5))
    check(lambda x: x @ random(3, 2), random(4, 3, seed=5))
    check(lambda x: np.matmul(random(4), x), random(4, 3, seed=5))


@pytest.mark.parametrize(
    "number", [2, 1.5, np.float32(2), np.float16(2), np.int8(2), True], ids=repr
)
def test_a_scalar_leaves_float32_alone(number):
    """Also where the Tensor has no axes, as NumPy 2 promotes."""
    for shape in [(), (3,)]:
        data = [random(*shape)]
        for f in (
            lambda x: number * x,
            lambda x: x / number,
            lambda x: np.abs(x) ** number,
            lambda x: np.maximum(x, number),
        ):
            assert f(*data).dtype == np.float64
            assert (
                f(leaf(*data, np.float32)).dtype
                == f(np.array(*data, np.float32)).dtype
                == np.float32
            )
            gradients(f, data, random(*shape, seed=2), np.float32)


def test_float64_lifts_float32_and_its_gradient_comes_back_as_float32():
    for other in (np.float64(2), np.array([2.0, 3.0])):
        assert (leaf([1, 2], np.float32) * other).dtype == np.float64
        (g,) = gradients(lambda x, other=other: x * other, [[1, 2]], [5, 7], np.float32)
        assert g.tolist() == [10, 7 * np.broadcast_to(other, 2)[1]]


# Odd shapes

ANY_SHAPE = [
    ("add", lambda x: x + x * 2),
    ("exp", np.exp),
    ("power", lambda x: x**2),
    ("maximum", lambda x: np.maximum(x, 0.1)),
    ("where", lambda x: np.where(x > 0, x, 2 * x)),
    ("sum", np.sum),
    ("sum-axis", lambda x: np.sum(x, axis=-1)),
    ("max-axis", lambda x: np.max(x, axis=-1)),
    ("prod-axis", lambda x: np.prod(x, axis=-1)),
    ("sum-keepdims", lambda x: np.sum(x, keepdims=True)),
    ("sum-method", lambda x: x.sum(keepdims=True)),
    ("prod", np.prod),
    ("norm", np.linalg.norm),
    ("ravel", np.ravel),
    ("reshape", lambda x: np.reshape(x, (1, *x.shape))),
    ("transpose", np.transpose),
    ("expand_dims", lambda x: np.expand_dims(x, -1)),
    ("squeeze", np.squeeze),
    ("broadcast_to", lambda x: np.broadcast_to(x, (2, *x.shape))),
    ("flip", np.flip),
    ("stack", lambda x: np.stack([x, x * x])),
    ("vstack", lambda x: np.vstack([x, x * x])),
    ("outer", lambda x: np.outer(x, x)),
    ("ellipsis", lambda x: x[..., None] * x[()][..., None]),
]
SOME_AXES = [
    ("mean-axis", lambda x: np.mean(x, axis=-1)),
    ("std-axis", lambda x: np.std(x, axis=-1, keepdims=True)),
    ("norm-axis", lambda x: np.linalg.norm(x, axis=-1)),
    ("cumsum", lambda x: np.cumsum(x, axis=0)),
    ("flip-axis", lambda x: np.flip(x, axis=0)),
    ("concatenate", lambda x: np.concatenate([x, x * x])),
    ("split", lambda x: np.split(x, 1)[0]),
    ("matmul", lambda x: np.reshape(x, (-1, 1)) @ np.reshape(x, (1, -1))),
    ("slice", lambda x: x[:0] + x[:0]),
    ("take", lambda x: x[[-1, 0, -1] if len(x) else []]),
    ("mask", lambda x: x[x > 0]),
]
SHAPES = [(1,), (3,), (1, 1), (0, 3), (2, 1, 3)]
ODD = [(f, ()) for f in ANY_SHAPE] + [(f, shape) for f in ANY_SHAPE + SOME_AXES for shape in SHAPES]


@pytest.mark.parametrize(
    "f, shape", [pytest.param(f, shape, id=f"{name}-{shape}") for (name, f), shape in ODD]
)
def test_odd_shapes(f, shape):
    check(f, random(*shape))


@pytest.mark.parametrize("f", [pytest.param(f, id=name) for name, f in ANY_SHAPE + SOME_AXES])
@pytest.mark.parametrize("view", [lambda x: x[::2].T, lambda x: x[:, ::-1], lambda x: x.T[1:, :1]])
def test_views_that_are_not_contiguous(f, view):
    check(lambda x: f(view(x)), random(4, 3))


# Conventions


@pytest.mark.parametrize(
    "f, x, weights, expected",
    [
        (np.std, [2, 2, 2], 7, [0, 0, 0]),
        (lambda x: np.std(x, axis=1), [[2, 2], [1, 3]], [7, 10], [[0, 0], [-5, 5]]),
        (np.linalg.norm, [0, 0], 7, [0, 0]),
        (lambda x: np.linalg.norm(x, axis=1), [[0, 0], [3, 4]], [7, 10], [[0, 0], [6, 8]]),
        (np.prod, [0, 2, 3], 7, [42, 0, 0]),
        (np.prod, [0, 0, 3], 7, [0, 0, 0]),
        (lambda x: np.clip(x, 0, 1), [0, 1, 0.5, -1, 2], [2, 3, 5, 7, 11], [2, 3, 5, 0, 0]),
        (lambda x: np.cumsum(x, axis=0), [3, 1, 2], [1, 10, 100], [111, 110, 100]),
        (
            lambda x: np.cumsum(x, axis=1),
            [[3, 1], [2, 5]],
            [[1, 10], [100, 1000]],
            [[11, 10], [1100, 1000]],
        ),
        (
            lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 2 * x),
            [0, 4],
            [3, 5],
            [6, 1.25],
        ),
        (np.max, [1, 5, 5], 6, [0, 3, 3]),
        (lambda x: np.maximum(x, 0), [0, -1, 2], [6, 7, 8], [3, 0, 8]),
        (np.abs, [0, -2], [3, 5], [0, -5]),
    ],
)
def test_conventions_at_kinks(f, x, weights, expected):
    assert gradients(f, [x], weights)[0].tolist() == expected


def test_second_derivatives_of_a_product_with_zeros():
    x = leaf([0, 2, 3])
    first = grad(np.prod(x), x)
    assert [grad(first[i], x).data.tolist() for i in range(3)] == [[0, 3, 2], [3, 0, 0], [2, 0, 0]]


# What cannot be followed


def store(z, index, value):
    z[index] = value


def increase(z, value):
    z += value


OP = r"has no registered op.*tinygrad_steel\.op.*t\.numpy\(\)"
STORE = r"= \.\.\.` cannot keep.*np\.where, np\.stack or np\.concatenate.*t\.numpy\(\)"
FILL = r"fills an array in place.*np\.where"
JOIN = r"np\.stack.*np\.where or np\.concatenate.*t\.numpy\(\)"


@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=str)
@pytest.mark.parametrize(
    "lose, words",
    [
        (lambda t, z: np.asarray(t), JOIN),
        (lambda t, z: np.array([t, t]), JOIN),
        (lambda t, z: np.array([t, t], dtype=float), JOIN),
        (lambda t, z: np.array([t, t], dtype=object), JOIN),
        (lambda t, z: np.mean([t, t]), JOIN),
        (lambda t, z: np.exp([t, t]), JOIN),
        (lambda t, z: z + [t, t], JOIN),
        (lambda t, z: z.dot(t), JOIN),
        (lambda t, z: np.full(3, t), JOIN),
        (lambda t, z: store(z, slice(None), t), STORE),
        (lambda t, z: store(z, slice(0, 1), t), STORE),
        (lambda t, z: store(z, [0], t), STORE),
        (lambda t, z: store(z, ..., t), STORE),
        (lambda t, z: increase(z, t), r"z = z \+ t"),
        (lambda t, z: np.multiply(t, 2, out=z), r"z = z \+ t"),
        (lambda t, z: np.sum(t, out=z[0]), "out= is not supported.*Leave it out"),
        (lambda t, z: np.dot(t, z, out=z), "out"),
        (lambda t, z: np.concatenate([t, t], out=z), "out= is not supported.*Leave it out"),
        (lambda t, z: np.maximum.accumulate(t), r"np\.maximum\.accumulate.*use"),
        (lambda t, z: np.add.at(z, [0], t), r"np\.add\.at.*use"),
        (lambda t, z: np.multiply.reduceat(t, [0]), r"np\.multiply\.reduceat.*use"),
        (lambda t, z: np.fft.fft(t), "holds real ones"),
        (lambda t, z: np.linalg.eig(t), OP),
        (lambda t, z: np.unwrap(t), OP),
        (lambda t, z: np.copyto(z, t), FILL),
        (lambda t, z: np.exp(t, dtype=np.float32), "dtype= is not supported.*Leave it out"),
        (lambda t, z: np.stack([t, t], dtype=float), "dtype= is not supported.*Leave it out"),
        (lambda t, z: np.ravel(t, order="K"), "ravel.*order"),
    ],
)
def test_what_cannot_be_followed_is_refused(lose, words, shape):
    z = np.zeros(3)
    with pytest.raises(TypeError, match=words):
        lose(leaf(random(*shape)), z)
    np.testing.assert_array_equal(z, 0)


def remedy(error):
    """What an error says, and what it says of its cause: NumPy puts an error of its own in front of some."""
    return f"{error} {remedy(error.__cause__)}" if error else ""


@pytest.mark.parametrize("dtype", [np.float64, np.float32, int, bool])
@pytest.mark.parametrize("shape, index", [((3,), 0), ((2, 3), (0, 1)), ((), ())], ids=str)
def test_a_number_is_not_assigned(dtype, shape, index):
    """NumPy asks a single number for float(t) here, which must fail although float(t) works."""
    z = np.zeros(shape, dtype)
    with pytest.raises((TypeError, ValueError)) as caught:
        z[index] = leaf(2.5)
    assert "np.where, np.stack or np.concatenate" in remedy(caught.value)
    np.testing.assert_array_equal(z, 0)


def test_numbers_are_taken_by_name():
    t, d, items, z = leaf(2.5), {}, [0, 0], np.zeros(3)
    d["loss"] = float(t)
    items[0] = float(t)
    items[int(t) - 1] = t.item()
    z[0] = float(t)
    z[1:] = [float(t), int(t)]
    d[float(t)] = f"{t:.1f}"
    assert d == {"loss": 2.5, 2.5: "2.5"} and items == [2.5, 2.5] and z.tolist() == [2.5, 2.5, 2]
    items[0] = t  # a list keeps the Tensor itself
    assert items[0] is t and (sum(items) - 1).requires_grad


def test_numbers_taken_lazily_within_an_assignment_are_refused_too():
    """float(t) cannot see who asks while z[i] = ... is under way: refused rather than lost; list() first works."""
    items = [0, 0]
    with pytest.raises(TypeError, match="where the numbers alone are meant"):
        items[:] = map(float, [leaf(1.5), leaf(2.5)])
    items[:] = list(map(float, [leaf(1.5), leaf(2.5)]))
    assert items == [1.5, 2.5]


MATRIX, VECTOR = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]]), np.array([0.4, -1.2, 2.5])


@pytest.mark.parametrize(
    "function, inputs",
    [
        (np.copy, [MATRIX]),
        (lambda x: np.take(x, [0, 2, 0]), [MATRIX]),
        (lambda x: np.take(x, [0, 2, 0], axis=1), [MATRIX]),
        (np.diff, [MATRIX]),
        (lambda x: np.diff(x, n=2, axis=-1), [MATRIX]),
        (np.vdot, [VECTOR, VECTOR + 1]),
        (np.inner, [VECTOR, VECTOR + 1]),
        (np.trace, [MATRIX]),
        (np.average, [MATRIX]),
        (lambda x, w: np.average(x, axis=1, weights=w), [MATRIX, MATRIX**2]),
        (np.atleast_1d, [np.array(2.0)]),
        (lambda x: np.moveaxis(np.reshape(x, (1, 2, 3)), [0, 1], [2, 0]), [MATRIX]),
        (lambda x: np.linalg.norm(x, 2, axis=1), [MATRIX]),
        (lambda x: np.take(x, (0, 4)), [MATRIX]),
        (lambda x: np.einsum("ij,ij->i", x[:, :1], x), [MATRIX]),
        (lambda x: np.einsum("ij,ij->j", x, x[:1]), [MATRIX]),
        (lambda x: np.clip(x, min=-0.6, max=1.0), [MATRIX]),
        (lambda x: np.clip(x, -0.6, None), [MATRIX]),
        (lambda x: np.linalg.norm(x, "fro"), [MATRIX]),
    ],
)
def test_spellings_agree_with_numpy_and_with_differences(function, inputs):
    np.testing.assert_allclose(function(*map(leaf, inputs)).data, function(*inputs), rtol=1e-14)
    check_gradients(function, *inputs)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ij->i", leaf([1.0])),
        ("i,i->i", leaf([1.0])),
        ("ii->i", leaf(np.ones((2, 3)))),
        ("...i->i", leaf(np.ones((2, 3)))),
        ("ij->ik", leaf(np.ones((2, 3)))),
    ],
)
def test_einsum_refuses_what_numpy_refuses(arguments):
    plain = [x.data if isinstance(x, Tensor) else x for x in arguments]
    with pytest.raises(ValueError):
        np.einsum(*plain)
    with pytest.raises(ValueError):
        np.einsum(*arguments)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.linalg.norm(
            x, 2, axis=(0, 1)
        ),  # the largest singular value, not the Frobenius norm
        lambda x: np.linalg.norm(x, 2),
        lambda x: np.linalg.norm(x, "fro", axis=1),
        lambda x: np.moveaxis(x, 5, 0),
        lambda x: np.split(x, 3)[0],
    ],
)
def test_never_another_number_than_numpy_has(f):
    """Where NumPy raises, so do Tensors; where they cannot do as NumPy does, they raise TypeError."""
    x = random(4, 3)
    try:
        expected = f(x)
    except ValueError:
        with pytest.raises((ValueError, TypeError)):
            f(leaf(x))
        return
    try:
        y = f(leaf(x))
    except TypeError:
        return
    close(y.data, expected)


# Shapes, axes and indices by the dozen

drawn = settings(deadline=None, derandomize=True, max_examples=counted(60, 20), database=None)
sides = functools.partial(hnp.array_shapes, min_dims=0, max_dims=3, min_side=0, max_side=3)
some = functools.partial(hnp.array_shapes, min_dims=1, max_dims=3, min_side=1, max_side=3)


def check_moves(f, *data):
    """`f` moves elements about: run on their numbers, it says where each gradient goes, which np.add.at carries out."""
    edges = np.cumsum([0, *(x.size for x in data)])
    came_from = f(*(np.arange(x.size).reshape(x.shape) + start for x, start in zip(data, edges)))
    everything = np.concatenate([x.ravel() for x in data])
    np.testing.assert_array_equal(f(*map(leaf, data)).data, everything[came_from])
    weights = random(*np.shape(came_from), seed=2)
    expected = np.zeros(edges[-1])
    np.add.at(expected, came_from, weights)
    for g, x, start in zip(gradients(f, data, weights), data, edges, strict=False):
        close(g, expected[start : start + x.size].reshape(x.shape), rtol=1e-12)


@pytest.mark.parametrize(
    "f", [np.sum, np.mean, np.max, np.min, np.var, np.prod], ids=lambda f: f.__name__
)
@drawn
@given(st.data())
def test_reductions_along_any_axes(f, data):
    shape = data.draw(some())
    some_axes = hnp.valid_tuple_axes(len(shape), min_size=1)
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1) | some_axes)
    keepdims = data.draw(st.booleans())
    check(lambda x: f(x, axis=axis, keepdims=keepdims), random(*shape))


@pytest.mark.parametrize(
    "f", [np.sum, np.mean, np.max, np.min, np.var, np.std, np.prod], ids=lambda f: f.__name__
)
def test_reductions_along_no_axis_at_all(f):
    check(lambda x: f(x, axis=()), random(2, 3))


@pytest.mark.parametrize("f", [np.add, np.multiply, np.maximum], ids=lambda f: f.__name__)
@drawn
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3))
def test_broadcasting(f, shapes):
    a, b = (random(*shape, seed=3 + i) for i, shape in enumerate(shapes.input_shapes))
    check(f, a, b)


@drawn
@given(st.data())
def test_moves_and_back(data):
    shape = data.draw(sides())
    n, x = len(shape), random(*shape)
    order = data.draw(st.permutations(range(n)))
    signed = tuple(i - n * data.draw(st.booleans()) for i in order)
    new = data.draw(hnp.valid_tuple_axes(n + 2, min_size=2, max_size=2))
    moves = [
        (lambda x: np.reshape(x, -1), lambda y: np.reshape(y, shape)),
        (lambda x: np.transpose(x, signed), lambda y: np.transpose(y, np.argsort(order))),
        (lambda x: np.expand_dims(x, new), lambda y: np.squeeze(y, new)),
    ]
    if n:
        i, j = (data.draw(st.integers(-n, n - 1)) for _ in range(2))
        moves += [
            (lambda x: np.swapaxes(x, i, j),) * 2,
            (lambda x: np.moveaxis(x, i, j), lambda y: np.moveaxis(y, j, i)),
        ]
    for there, back in moves:
        check_moves(there, x)
        check_moves(back, there(x))
        np.testing.assert_array_equal(back(there(leaf(x))).data, x)


@drawn
@given(st.data())
def test_indices(data):
    shape = data.draw(some())
    integers = data.draw(hnp.integer_array_indices(shape))
    mixed = tuple(
        data.draw(st.sampled_from([whole, slice(None), slice(None, None, -1), whole.tolist()]))
        for whole in integers
    )
    index = data.draw(
        st.sampled_from([integers, mixed]) | hnp.basic_indices(shape, allow_newaxis=True)
    )
    check_moves(lambda x: x[index], random(*shape))


@drawn
@given(st.data())
def test_joining_and_splitting(data):
    shape = data.draw(some())
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    parts = [
        random(*np.insert(np.delete(shape, axis), axis % len(shape), n), seed=n) for n in lengths
    ]
    check_moves(lambda *xs: np.concatenate(xs, axis=axis), *parts)
    check_moves(
        lambda *xs: np.stack(xs, axis=axis), *[random(*shape, seed=i) for i in range(len(lengths))]
    )
    cuts = data.draw(st.lists(st.integers(-3, 4), max_size=3) | st.just(shape[axis]))
    for i in range(cuts if isinstance(cuts, int) else len(cuts) + 1):
        check_moves(lambda x, i=i: np.split(x, cuts, axis=axis)[i], random(*shape))


# Higher orders


def test_third_derivative():
    x, weights = random(5), [random(5, seed=i) for i in (2, 3, 4)]
    t = leaf(x)
    y = np.exp(t) * t**3
    for w in weights:
        y = grad(y, t, w)
    close(y.data, np.prod(weights, axis=0) * np.exp(x) * (x**3 + 9 * x**2 + 18 * x + 6), rtol=1e-12)


X, IDS, TARGET = random(6, 4), np.array([0, 2, 1, 1, 0, 2]), random(6, 2, seed=2)


def steel_loss(w, b):
    return softmax_cross_entropy(X @ w + b, IDS).mean()


def steel_gradients(w, b):
    g = (softmax(X @ w + b) - np.eye(3)[IDS]) / 6
    return X.T @ g, g.sum(axis=0)


def tanh_loss(w1, b1, w2):
    return np.mean((np.tanh(X @ w1 + b1) @ w2 - TARGET) ** 2)


def tanh_gradients(w1, b1, w2):
    hidden = np.tanh(X @ w1 + b1)
    g = (hidden @ w2 - TARGET) / 6
    g_sum = g @ w2.T * (1 - hidden**2)
    return X.T @ g_sum, g_sum.sum(axis=0), hidden.T @ g


@pytest.mark.parametrize(
    "loss, by_hand, shapes",
    [
        (steel_loss, steel_gradients, [(4, 3), (3,)]),
        (tanh_loss, tanh_gradients, [(4, 5), (5,), (5, 2)]),
    ],
)
def test_hessian_vector_products(loss, by_hand, shapes):
    """The gradient along a direction, differentiated: central differences of gradients that are chained by hand."""
    data, along = (
        [random(*shape, seed=seed + i) for i, shape in enumerate(shapes)] for seed in (3, 10)
    )
    parameters = [leaf(x) for x in data]
    first = grad(loss(*parameters), parameters)
    for g, expected in zip(first, by_hand(*data), strict=True):
        close(g.data, expected, rtol=1e-12)
    products = grad(sum((g * v).sum() for g, v in zip(first, along)), parameters)
    h = 1e-5
    ahead, behind = (by_hand(*(x + step * v for x, v in zip(data, along))) for step in (h, -h))
    for product, a, b in zip(products, ahead, behind, strict=True):
        close(product.data, (a - b) / (2 * h))


def test_a_gradient_penalty_trains():
    data = [random(4, 5), random(5, seed=3) / 2, random(5, 2, seed=4)]
    parameters = [leaf(p) for p in data]

    def loss():
        x, (w1, b1, w2) = leaf(X), parameters
        output = np.tanh(x @ w1 + b1) @ w2
        return np.mean((output - TARGET) ** 2) + np.mean(grad(output.sum(), x) ** 2)

    def plain(w1, b1, w2):
        hidden = np.tanh(X @ w1 + b1)
        slopes = ((1 - hidden**2) * w2.sum(axis=1)) @ w1.T
        return np.mean((hidden @ w2 - TARGET) ** 2) + np.mean(slopes**2)

    first = loss()
    close(first.data, plain(*data), rtol=1e-12)
    first.backward()
    for i, p in enumerate(parameters):
        close(p.grad, differences(lambda x, i=i: plain(*data[:i], x, *data[i + 1 :]), data[i]))
    optimizer = SGD(parameters, learning_rate=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < first.item() / 2
    close(loss().data, plain(*(p.data for p in parameters)), rtol=1e-12)


def test_spellings_refuse_what_they_do_not_follow():
    with pytest.raises(TypeError, match="matrices"):
        np.trace(leaf([1.0, 2.0]))
    with pytest.raises(ValueError, match="at least 0"):
        np.diff(leaf([1.0, 2.0]), -1)
    assert np.trace(leaf([[1.0, np.inf], [5.0, 2.0]])).item() == 3.0
    assert np.copy(Tensor([True])).dtype == bool


@pytest.mark.parametrize(
    "indices, axis",
    [
        *(([True, False, True], axis) for axis in (None, 0, 1, -1)),
        (np.array([[True], [False]]), 0),
        (True, None),
        ([], 0),
        ([0, -1], 1),
        (np.uint8(1), 0),
    ],
)
def test_take_is_numpys(indices, axis):
    x = np.arange(6.0).reshape(2, 3)
    expected = np.take(x, indices, axis=axis)
    weights = np.random.default_rng(1).normal(size=expected.shape)
    right = np.zeros(x.shape)
    np.add.at(right.reshape(-1), np.take(np.arange(6).reshape(2, 3), indices, axis=axis), weights)
    for these in (indices, Tensor(np.array(indices, dtype=None if np.size(indices) else int))):
        t = leaf(x)
        y = np.take(t, these, axis=axis)
        close(y.data, expected)
        y.backward(weights)
        close(t.grad, right)


def test_take_refuses_what_it_does_not_follow():
    t = leaf([1, 2, 3])
    with pytest.raises(TypeError, match="np.take.*integers, not float64"):
        np.take(t, np.array([0.0]))
    with pytest.raises(TypeError, match="mode='wrap' is not followed"):
        np.take(t, [4], mode="wrap")
    for call in (
        lambda: np.take(t, [3]),
        lambda: np.take(t, [0], axis=1),
        lambda: np.diff(t, axis=1),
    ):
        with pytest.raises(IndexError, match="out of bounds"):
            call()


@pytest.mark.parametrize(
    "axis",
    [0, -1, np.int64(1), np.array(0), (0, 1), (np.int64(0),), [1, 0], np.array([1, 0]), (), 2],
)
@pytest.mark.parametrize(
    "f", [np.sum, np.mean, np.max, np.prod, np.var, np.flip, np.expand_dims, np.transpose]
)
def test_axes_are_numpys(f, axis):
    """The same result or the same kind of error; and where there is a result, a gradient, also written and compiled."""
    x = np.arange(1.0, 7).reshape(2, 3)
    try:
        expected = f(x, axis)
    except (TypeError, ValueError) as error:
        with pytest.raises((TypeError, ValueError, IndexError)) as caught:
            f(leaf(x), axis)
        assert isinstance(error, caught.type)
        return
    t = leaf(x, name="t")
    y = f(t, axis)
    close(y.data, expected)
    weights = np.random.default_rng(1).normal(size=y.shape)
    loss = np.sum(y * weights)
    loss.backward()
    close(t.grad, differences(lambda x: np.vdot(weights, f(x, axis)), x))
    source, compiled = write_backprop(loss), compile_backprop(loss, backend="numpy")
    compiled()
    for g in (
        source.function()(**source.arguments)[1],
        compiled.gradients["t"],
        grad(np.sum(f(t, axis) * weights), t).data,
    ):
        close(g, t.grad)


@pytest.mark.parametrize("axes", [0, -1, [0], (0,), np.int64(0), np.array([0])])
def test_transpose_of_a_vector(axes):
    for call in (lambda t: np.transpose(t, axes), lambda t: t.transpose(axes)):
        t = leaf([1, 2])
        call(t).backward([3.0, 5.0])
        close(t.grad, [3, 5])
