"""ONNX files: onnxruntime's outputs are ours, for other batches too; and what cannot be exported is named."""

import importlib.util
import itertools
import os
import random
import re
import sys

import numpy as np
import pytest
from every_op import call, cast, every_sample
from helpers import leaf
from model import Model, Scaling

from tinygrad_steel import (
    OPS,
    SGD,
    Tensor,
    arrays,
    avg_pool,
    conv2d,
    export,
    log_softmax,
    max_pool,
    no_grad,
    op,
    relu,
    sigmoid,
    softmax,
    softmax_cross_entropy,
)
from tinygrad_steel.export import export_onnx
from tinygrad_steel.program.values import alias

MISSING = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
if MISSING and not os.environ.get("CI"):  # in CI the imports below fail
    pytest.skip(f"{' and '.join(MISSING)} is not installed", allow_module_level=True)

import onnx  # noqa: E402
import onnxruntime  # noqa: E402

# Of each op, which samples have no mapping.
UNMAPPED = {
    **{"sinh": [0], "cosh": [0], "arctan": [0], "arcsin": [0], "arccos": [0], "arctan2": [0, 1]},
    **{"scatter": [0, 1], "getitem": [4]},
    **{"argsort": [0, 1], "argpartition": [0], "searchsorted": [0, 1], "digitize": [0]},
}
# Linear algebra and running products, which ONNX or onnxruntime in float64 lacks
UNMAPPED |= {
    name: range(len(OPS[name].samples))
    for name in "inv solve det cofactors logabsdet signdet pinv cholesky eigvalsh eigenvectors "
    "svdvals svd_u svd_vh qr_q qr_r convolve cumprod signbit".split()
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.onnx"


@pytest.fixture
def own_op():
    """Registers ops for one test."""
    before = dict(OPS)
    yield op
    for name in OPS.keys() - before.keys():
        del OPS[name]


def run(file, *data):
    """What onnxruntime computes from these arrays: a list of arrays."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(
        None, {x.name: value for x, value in zip(session.get_inputs(), data, strict=True)}
    )


def same(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    tolerance = 1e-5 if expected.dtype == np.float32 else 1e-6
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def table(rows, columns=5, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(dtype)


def check(file, function, *data, batches=(1, 7, 100), **options):
    """Export `function` of these arrays and compare with onnxruntime, for batches of other sizes too."""
    inputs = [Tensor(x, name=f"x{i}") for i, x in enumerate(data)]
    outputs = function(*inputs)
    export_onnx(outputs, file, inputs, **options)
    for rows in (len(data[0]), *batches):
        fed = [np.resize(x, (rows, *x.shape[1:])) for x in data]
        expected = function(*(Tensor(x, name=f"x{i}") for i, x in enumerate(fed)))
        expected = [expected] if isinstance(expected, Tensor) else expected
        for found, y in zip(run(file, *fed), expected, strict=True):
            same(found, y.data)


def parameters(*shapes, dtype=np.float64):
    rng = np.random.default_rng(3)
    return [leaf(rng.normal(size=shape), dtype, f"p{i}") for i, shape in enumerate(shapes)]


def mlp(dtype=np.float64):
    weight_1, bias_1, weight_2, bias_2, weight, bias = parameters(
        (5, 8), 8, (8, 6), 6, (6, 3), 3, dtype=dtype
    )
    return lambda x: sigmoid(
        np.tanh(relu(x @ weight_1 + bias_1) @ weight_2 + bias_2) @ weight + bias
    )


# Networks


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rows", [1, 4])
def test_a_linear_classifier_with_softmax(dtype, rows, file):
    weight, bias = parameters((5, 3), 3, dtype=dtype)
    check(file, lambda x: softmax(x @ weight + bias), table(rows, dtype=dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_hidden_layers(dtype, file):
    check(file, mlp(dtype), table(4, dtype=dtype))


def test_standardised_inputs_with_a_constant_column(file):
    x = table(20) * [1e3, 1, 1e-3, 0, 1] + [5e5, 0, 0, 3, -1]
    scaling, network = Scaling.of(x), mlp()
    assert scaling.std[3] == 0
    check(file, lambda x: network(scaling(x)), x)


def test_the_model_of_the_examples(file):
    model = Model(5, [7], 3, np.random.RandomState(1), init="he")
    x = table(30) * 100
    model.scaling = Scaling.of(x)
    named = Tensor(x, name="x")
    output = model(model.scaling(named), lambda x, weight, bias: softmax(x @ weight + bias))
    export_onnx(output, file, [named])
    same(
        run(file, x[:9])[0],
        softmax(model.predict(x[:9], lambda x, weight, bias: x @ weight + bias)),
    )


def test_class_and_probability_as_two_outputs(file):
    weight, bias = parameters((5, 3), 3)

    def classify(x):
        probability = softmax(x @ weight + bias)
        return [np.argmax(probability, axis=1), probability, np.max(probability, axis=1)]

    check(file, classify, table(6))


def test_a_loss_of_several_inputs_row_by_row(file):
    weight, bias = parameters((5, 3), 3)
    check(
        file,
        lambda x, y: softmax_cross_entropy(x @ weight + bias, y),
        table(6),
        np.array([0, 1, 2, 2, 1, 0]),
    )


def test_parameters_as_they_are_now(file):
    x, weight = Tensor(table(4), name="x"), leaf(table(5, 2), name="weight")
    output = x @ np.square(weight)
    np.sum(output).backward()
    SGD([weight], 0.1).step()
    export_onnx(output, file, [x])
    same(run(file, x.data)[0], x.data @ weight.data**2)


# Ops


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_sample
def test_every_op_on_its_samples(o, sample, dtype, file):
    data = cast(sample, dtype)
    inputs = [Tensor(x, name=f"x{i}") for i, x in enumerate(data)]
    y = call(o, inputs, sample.params)
    if any(o.samples[i] is sample for i in UNMAPPED.get(o.name, ())):
        call_of = re.escape(f"{o.name}(x0: {inputs[0].shape} ")
        with pytest.raises(TypeError, match=f"{call_of}|a part of {o.name}, has no ONNX mapping"):
            export_onnx(y, file, inputs, batch=None)
    else:
        export_onnx(y, file, inputs, batch=None)
        same(run(file, *data)[0], y.data)


def test_every_mapping_is_that_of_an_op():
    assert {*export.MAPPING, *export.PARTS} <= {*OPS.values(), alias}
    assert not export.MAPPING.keys() & export.PARTS.keys()


@pytest.mark.parametrize("name", [*OPS, "alias", "None", "Identity"])
def test_an_op_of_ones_own_may_have_any_name(name, registry, file):
    OPS.pop(name, None)  # an op of the library that somebody replaces by one of their own
    triple = op(name, lambda x: x * 3, lambda g, y, x: g * 3, samples=[arrays((2,))])
    check(file, triple, table(4))


EXPRESSIONS = {
    "masks": lambda x: [
        x * (x > 0),
        (x > 0) | (x < -1),
        ~(x > 0) & (x != x[:, :1]),
        np.isfinite(x),
    ],
    "sums of masks": lambda x: [
        np.sum(x > 0, axis=1),
        np.mean(x > 0, axis=1),
        np.any(x > 1, axis=1),
        np.max(x > 0, 1),
    ],
    "where of masks": lambda x: np.where(x > 0, x > 1, x > -1),
    "numbers": lambda x: [
        2 - x,
        1 / (3 + np.exp(x)),
        x**2,
        2**x,
        np.maximum(x, 0.1),
        np.clip(x, None, 1),
    ],
    "plain choices": lambda x: np.where(x > 0, 1, 0),
    "dtypes": lambda x: [
        x.astype(np.float32),
        x.astype(np.int64),
        x.astype(bool),
        x.astype(np.uint8) + 1,
    ],
    "a mean of each row": lambda x: (
        (x - np.mean(x, axis=1, keepdims=True)) / np.std(x, axis=1, keepdims=True)
    ),
    "softmax of the transposed": lambda x: (
        (np.exp(x.T - np.max(x, axis=1)) / np.sum(np.exp(x.T - np.max(x, 1)), 0)).T
    ),
    "columns": lambda x: [
        x[:, 1:3],
        x[:, -1],
        x[..., None, 0],
        x[:, ::-2],
        x[:, [0, 0, 3]],
        np.flip(x, 1),
    ],
    "rows turned": lambda x: x[::-1],
    "a number": lambda x: [x * Tensor(2.0, name="two")[...], x + Tensor(0.5, name="half").T],
    "joined": lambda x: [
        np.concatenate([x, x > 0, np.square(x)], axis=1),
        np.stack([x, -x], axis=1),
    ],
    "shapes": lambda x: [
        x.reshape(-1, 5, 1),
        x.reshape(len(x), -1),
        np.expand_dims(x, (0, -1)),
        x[:, :1].squeeze(1),
    ],
    "like": lambda x: [np.zeros_like(x), np.ones_like(x) / 2, np.full_like(x > 0, 1)],
    "no axes": lambda x: [np.sum(x, axis=()), np.max(x > 0, axis=())],
    "extremes": lambda x: [
        sigmoid(x * 1e4),
        softmax(x * 1e4),
        log_softmax(x * 1e4),
        np.log(np.abs(np.floor(x))),
    ],
}

# What onnxruntime replaces by kernels of its own; before 1.32 not all of them were right in float64.
FUSED = {
    "swish": lambda x, w, b: x * sigmoid(x),
    "gelu": lambda x, w, b: 0.5 * x * (1 + np.tanh(0.8 * (x + 0.045 * x**3))),
    "relu held": lambda x, w, b: np.clip(relu(x), 0, 1),
    "transposed": lambda x, w, b: x @ w.T + np.swapaxes(x.T, 0, 1) @ w,
    "scaled": lambda x, w, b: relu((x / 2) @ w * 0.5 + b),
    "layer norm": lambda x, w, b: (
        (x - np.mean(x, 1, keepdims=True)) / np.sqrt(np.var(x, 1, keepdims=True) + 1e-5) * b
    ),
    "root mean square": lambda x, w, b: (
        x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6) * b
    ),
}


@pytest.mark.parametrize("key", FUSED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_a_runtime_fuses(key, dtype, file):
    w, b = parameters((5, 5), 5, dtype=dtype)
    check(file, lambda x: FUSED[key](x, w, b), table(6, dtype=dtype))


@pytest.mark.parametrize("key", EXPRESSIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_expressions(key, dtype, file):
    with np.errstate(divide="ignore"):
        check(file, EXPRESSIONS[key], table(6, dtype=dtype) * 2)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8, bool])
def test_integers_and_masks(dtype, file):
    weight = np.arange(-7, 8).reshape(5, 3).astype(dtype)
    check(
        file,
        lambda x, y: (
            [
                x + y,
                x * y,
                x / (y + 2.5),
                x @ weight,
                relu(x),
                np.maximum(x, y),
                x > y,
                x == y,
                x > 0.5,
            ]
            + [
                np.where(y, x, 0.5),
                np.where(x > y, x, y),
                np.sum(x, axis=1),
                np.min(x, axis=1),
                np.argmax(x, axis=1),
            ]
            + [
                np.abs(x),
                x.astype(np.float32),
                x[:, ::-1],
                x.T,
                np.exp(-1.0 * x),
                np.isnan(1.0 * y),
            ]
        ),
        (table(6) * 4).astype(dtype),
        (table(6, seed=1) * 4).astype(dtype),
    )


SLICES = [
    slice(*s)
    for s in itertools.product(
        [None, *range(-7, 8)], [None, *range(-7, 8)], [None, -7, -2, -1, 1, 2, 3]
    )
]


@pytest.mark.parametrize("length", range(6))
def test_every_slice_takes_what_numpy_takes(length, file):
    x = Tensor(table(2, length), name="x")
    some = random.Random(length).sample(SLICES, 300)
    export_onnx([x[:, s] for s in some], file, x)
    for s, found in zip(some, run(file, x.data), strict=True):
        same(found, x.data[:, s])


@pytest.mark.parametrize("rows", range(1, 6))
def test_every_slice_of_the_rows_is_refused_or_takes_what_numpy_takes(rows, file):
    x, exported = Tensor(table(rows, 2), name="x"), []
    for s in [
        slice(None),
        *random.Random(rows).sample(SLICES, 150),
        slice(-(10**30), 10**30),
        slice(10**30, None, -1),
    ]:
        try:
            export_onnx(x[s], file, x)
        except ValueError as error:
            assert "takes the rows of a batch together" in str(error)
            continue
        exported.append(s)
        for other in (1, rows, 20):
            data = table(other, 2)
            same(run(file, data)[0], data[s])
    assert exported[0] == slice(None)


@pytest.mark.parametrize(
    "index", [0, 1, 4, -1, -5, np.int64(-2), (0, -1), (-5, slice(None, None, -3)), (..., -1)]
)
def test_an_element_is_that_of_numpy(index, file):
    x = Tensor(table(5, 3), name="x")
    export_onnx(x[index], file, x, batch=None)
    same(run(file, x.data)[0], x.data[index])


@pytest.mark.parametrize(
    "letters",
    [
        "bI,Ij",
        "Ij,jK",
        "bI , I j",
        "bz,zA->Ab",
        "bz,zA->bA",
        "ZA,Aa->",
        "ab,bc",
        "ba,ac->b",
        "Bb,bA",
    ],
)
def test_einsum_orders_its_letters_as_numpy_does(letters, file):
    a, b = table(4, 3), table(3, 2, seed=1)
    x = Tensor(a, name="x")
    export_onnx(np.einsum(letters, x, b), file, x, batch=None)
    same(run(file, a)[0], np.einsum(letters, a, b))


def test_rows_of_a_table_by_their_ids(file):
    (embedding,) = parameters((4, 3))
    check(
        file,
        lambda ids: [embedding[ids], np.take(embedding, ids, axis=1).T],
        np.array([2, 0, -1, 2]),
        batches=(1, 9),
    )


# Images

STRIDES = [1, 2, (1, 3), (3, 2)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (2, 5), (4, 1)])
def test_convolution_and_pooling(size, padding, dtype, file):
    rng = np.random.default_rng(5)
    kernel = leaf(rng.normal(size=(*size, 3, 4)), dtype, "kernel")
    x = rng.normal(size=(2, 7, 6, 3)).astype(dtype)
    check(
        file,
        lambda x: [
            y
            for stride in STRIDES
            for y in (
                conv2d(x, kernel, stride, padding),
                max_pool(x - 9, size, stride, padding),
                avg_pool(x + 9, size, stride, padding),
            )
        ],
        x,
        batches=(1, 5),
    )


def test_a_small_network_of_images(file):
    rng = np.random.default_rng(5)
    kernels = [leaf(rng.normal(size=s), np.float32) for s in [(3, 3, 1, 4), (3, 3, 4, 6)]]
    weight = leaf(rng.normal(size=(24, 10)), np.float32)

    def network(x):
        for kernel in kernels:
            x = max_pool(relu(conv2d(x, kernel)))
        return softmax(x.reshape(len(x), -1) @ weight)

    check(file, network, rng.normal(size=(4, 8, 8, 1)).astype(np.float32))
    kinds = [node.op_type for node in onnx.load(file).graph.node]
    assert kinds.count("Conv") == kinds.count("MaxPool") == 2


def test_images_of_integers(file):
    x = np.random.default_rng(5).integers(0, 256, (2, 5, 5, 3)).astype(np.uint8)
    kernel = np.arange(36).reshape(2, 2, 3, 3)
    check(file, lambda x: [conv2d(x, kernel), max_pool(x, 3, 1, "same"), avg_pool(x)], x)


# Names


def test_names_of_inputs_outputs_nodes_and_parameters(file):
    x, weight, bias = (
        Tensor(table(4), name="x"),
        leaf(table(5, 3), name="weight"),
        leaf(np.ones(3), name="x"),
    )
    mean = x.data.mean(axis=0)
    t = (x - mean) @ weight
    probability = sigmoid(t + bias)
    export_onnx([probability, sigmoid(t)], file, [x], names=locals())
    graph = onnx.load(file).graph
    assert [(i.name, i.type.tensor_type.shape.dim[0].dim_param) for i in graph.input] == [
        ("x", "batch")
    ]
    assert [o.name for o in graph.output] == ["probability", "output"]
    assert [o.type.tensor_type.shape.dim[1].dim_value for o in graph.output] == [3, 3]
    assert [i.name for i in graph.initializer] == ["mean", "weight", "x_2"]
    assert [(n.op_type, *n.input, *n.output) for n in graph.node] == [
        ("Sub", "x", "mean", "subtract"),
        ("MatMul", "subtract", "weight", "t"),
        ("Add", "t", "x_2", "add"),
        ("Sigmoid", "add", "probability"),
        ("Sigmoid", "t", "output"),
    ]
    assert [n.name for n in graph.node] == [n.output[0] for n in graph.node]


@pytest.mark.parametrize(
    "name", ["w:0", "a->b", "layers[0]['w']", "two\nlines", "가중치", " ", "x" * 300]
)
def test_any_name_is_a_name(name, file):
    x, weight = Tensor(table(4), name=name), leaf(table(5, 3), name=name)
    export_onnx(x @ weight, file, [x])
    same(run(file, x.data)[0], x.data @ weight.data)


def test_inputs_and_parameters_as_outputs_and_one_twice(file):
    x, weight = Tensor(table(4), name="x"), leaf(table(5, 3), name="weight")
    y = x @ weight
    export_onnx([y, x, weight, y], file, [x])
    for found, expected in zip(run(file, x.data), (y, x, weight, y), strict=True):
        same(found, expected.data)


def test_the_same_graph_gives_the_same_bytes(file):
    x = Tensor(table(4), name="x")
    files = []
    for _ in range(2):
        export_onnx(mlp()(x), file, [x])
        files.append(file.read_bytes())
    assert files[0] == files[1]


# The batch

BAKED = {
    "reshape": lambda x: np.reshape(x, (2, -1)),
    "all rows in one": lambda x: x.ravel(),
    "broadcast_to": lambda x: x + np.broadcast_to(x[:, :1], x.shape),
    "an array of as many rows": lambda x: x + np.ones((len(x), 1)),
    "a sum over the batch": lambda x: np.sum(x) / len(x),
    "a mean over the batch": lambda x: x - np.mean(x, axis=0),
    "one row": lambda x: x[0],
    "the first rows": lambda x: x[:2],
    "without the first row": lambda x: x[1:],
    "row against row": lambda x: x @ x.T,
    "a mixing of rows": lambda x: np.eye(len(x)) @ x,
    "one more row": lambda x: np.concatenate([x, [[1.0, 2.0, 3.0, 4.0, 5.0]]]),
}


@pytest.mark.parametrize("key", BAKED)
def test_a_graph_that_needs_its_batch_is_refused_or_for_that_batch_alone(key, file):
    x = Tensor(table(6), name="x")
    y = BAKED[key](x)
    with pytest.raises(
        ValueError, match=r"\(6, \d\) float64.* together.* batches of 6 alone, with batch=None"
    ):
        export_onnx(y, file, [x])
    assert not file.exists()
    export_onnx(y, file, [x], batch=None)
    same(run(file, x.data)[0], y.data)
    with pytest.raises(Exception, match="Expected: 6"):
        run(file, table(7))


@pytest.mark.parametrize(
    "function", [np.squeeze, lambda x: x.reshape(1, -1), lambda x: np.sum(x, axis=0)]
)
def test_one_row_does_not_hide_what_needs_it(function, file):
    x = Tensor(table(1), name="x")
    with pytest.raises(ValueError, match="the rows of a batch together"):
        export_onnx(function(x), file, [x])


STEPS = {
    "weights": lambda x, a, c, axis, w: a @ w,
    "from the left": lambda x, a, c, axis, w: w @ a,
    "bias": lambda x, a, c, axis, w: a + w[0],
    "product": lambda x, a, c, axis, w: a * c,
    "transpose": lambda x, a, c, axis, w: a.T,
    "reversed": lambda x, a, c, axis, w: a[::-1],
    "some": lambda x, a, c, axis, w: a[:2],
    "column": lambda x, a, c, axis, w: a[:, 0],
    "rows": lambda x, a, c, axis, w: a.reshape(len(x), -1),
    "flat": lambda x, a, c, axis, w: a.reshape(-1),
    "columns": lambda x, a, c, axis, w: a.reshape(-1, len(w)),
    "softmax": lambda x, a, c, axis, w: softmax(a, axis),
    "sum": lambda x, a, c, axis, w: np.sum(a, axis),
    "maximum": lambda x, a, c, axis, w: a - np.max(a, -1, keepdims=True),
    "running": lambda x, a, c, axis, w: np.cumsum(a, axis),
    "joined": lambda x, a, c, axis, w: np.concatenate([a, c], axis),
    "stacked": lambda x, a, c, axis, w: np.stack([a, c], axis),
    "one more axis": lambda x, a, c, axis, w: np.expand_dims(a, axis),
    "one axis less": lambda x, a, c, axis, w: np.squeeze(a, axis),
}


def chain(rng):
    """A function of a table that takes a few steps at random, and how many columns the table has."""
    columns = rng.integers(1, 4)
    w = rng.normal(size=(columns, columns))
    steps = [
        (*rng.integers(0, 2, 2), rng.integers(-1, 1), rng.choice([*STEPS]))
        for _ in range(rng.integers(1, 6))
    ]

    def function(x):
        made = [x]
        for i, j, axis, step in steps:
            made.append(
                STEPS[step](x, made[-1 - i % len(made)], made[j * (len(made) - 1)], int(axis), w)
            )
        return made[-1]

    return function, columns


@pytest.mark.filterwarnings("ignore::tinygrad_steel.BroadcastWarning")
def test_chains_at_random_are_right_for_every_batch_or_refused(file):
    exported = refused = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        function, columns = chain(rng)
        x = Tensor(rng.normal(size=(rng.integers(1, 4), columns)), name="x")
        try:
            y = function(x)
        except (ValueError, IndexError):  # the shapes do not fit
            continue
        try:
            export_onnx(y, file, x)
        except ValueError:
            refused += 1
            continue
        exported += 1
        for rows in (1, 2, 3, 8):
            data = rng.normal(size=(rows, columns))
            try:
                expected = function(Tensor(data, name="x"))
            except (ValueError, IndexError):  # a step of which the result is not needed
                continue
            same(run(file, data)[0], expected.data)
    assert exported > 50 and refused > 50


def test_squeeze_keeps_the_axis_of_the_rows_even_if_there_is_one(file):
    x = Tensor(table(6), name="x")
    export_onnx([np.squeeze(x), np.squeeze(x[:, :1])], file, x)
    assert [y.shape for y in run(file, table(1))] == [(1, 5), (1,)]


def test_inputs_of_other_lengths_keep_them(file):
    x, centres = Tensor(table(6), name="x"), Tensor(table(3, seed=1), name="centres")
    distance = np.sum(np.square(np.expand_dims(x, 1) - centres), axis=2)
    export_onnx(distance, file, [x, centres])
    same(
        run(file, table(9), centres.data)[0],
        np.sum((table(9)[:, None] - centres.data) ** 2, axis=2),
    )


def test_the_batch_has_a_name(file):
    x = Tensor(table(6), name="x")
    export_onnx(-x, file, [x], batch="plates")
    graph = onnx.load(file).graph
    assert {v.type.tensor_type.shape.dim[0].dim_param for v in (*graph.input, *graph.output)} == {
        "plates"
    }


# Ops of one's own, and those without a mapping


def test_an_op_of_ones_own_is_exported_by_its_parts(own_op, file):
    swish = own_op("swish", lambda x: x * sigmoid(x), samples=[arrays((2, 3))])
    twice = own_op(
        "twice_swish",
        lambda x, times=2: swish(np.log1p(np.exp(x))) * times,
        samples=[arrays((2, 3))],
    )
    check(file, lambda x: [swish(x), twice(x), twice(x, times=5)], table(4))


def test_an_op_without_a_mapping_is_named(own_op, file):
    x = Tensor(table(4), name="x")
    with pytest.raises(
        TypeError,
        match=r"arctan\(x: \(4, 5\) float64\) has no ONNX mapping: write it with ops that",
    ):
        export_onnx(np.arctan(x), file, [x])
    mine = own_op("mine", lambda x: 2 * np.arctan(x * 2), samples=[arrays((2, 3))])
    with pytest.raises(
        TypeError, match=r"arctan\(\(4, 5\) float64\), a part of mine, has no ONNX mapping"
    ):
        export_onnx(mine(x), file, [x])
    unwrap = own_op("unwrap", lambda x, axis=1: np.unwrap(x, axis=axis), samples=[arrays((2, 3))])
    with pytest.raises(
        TypeError, match=r"unwrap\(x: \(4, 5\) float64, axis=0\) has no ONNX mapping"
    ):
        export_onnx(unwrap(x, axis=0), file, [x])
    assert not file.exists()


@pytest.mark.parametrize(
    "index", [np.array([True, False, True, False]), (np.array([0, 1]), 1), True]
)
def test_an_index_without_a_mapping_is_named(index, file):
    x = Tensor(table(4), name="x")
    with pytest.raises(TypeError, match=r"getitem\(x: \(4, 5\) float64, .*index="):
        export_onnx(x[index], file, [x], batch=None)


# What else is refused


def test_an_input_that_the_outputs_do_not_see(file):
    x, weight = Tensor(table(4), name="x"), leaf(table(5, 3), name="weight")
    with no_grad():
        unrecorded = x @ weight
    for output in (unrecorded, Tensor(table(4), name="other") @ weight):
        with pytest.raises(
            ValueError, match=r"no output depends on x: \(4, 5\) float64: .*outside no_grad"
        ):
            export_onnx(output, file, [x])


def test_an_input_without_a_name_since_not_all_that_comes_from_it_is_recorded(file):
    x, weight = Tensor(table(1)), leaf(table(5, 3), name="weight")
    output = (x - 1) @ weight + x @ weight
    with pytest.raises(ValueError, match=r'a leaf with a name, as in Tensor\(data, name="x"\)'):
        export_onnx(output, file, [x], names={"x": x})


def test_a_result_as_an_input(file):
    x = Tensor(table(4), name="x")
    z = x * 2
    z.name = "z"
    with pytest.raises(ValueError, match="an input is a leaf"):
        export_onnx(np.exp(z), file, [z])


def test_what_is_no_tensor_and_what_onnx_lacks(file):
    x = Tensor(table(4), name="x")
    with pytest.raises(TypeError, match="Tensors, not ndarray"):
        export_onnx(x * 2, file, [x.data])
    if np.dtype(np.longdouble).itemsize > 8:
        with pytest.raises(TypeError, match="ONNX has no such dtype"):
            export_onnx(x.astype(np.longdouble), file, [x])


def test_without_onnx_the_advice(monkeypatch, file):
    x = Tensor(table(4), name="x")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad_steel\[onnx\]"'):
        export_onnx(x * 2, file, [x])


def test_random_draws_are_not_exported(file, own_op):
    rng = np.random.default_rng(0)
    drop = own_op(
        "drop", lambda x: x * (rng.random(x.shape) > 0.5), lambda g, y, x: g * (y != 0), samples=[]
    )
    x = Tensor(table(4), name="x")
    y = drop(x) * 2
    with pytest.raises(
        TypeError,
        match=r"drop\(x: \(4, 5\) float64\) draws random numbers, and the file would hold",
    ):
        export_onnx(y, file, x)
    assert not file.exists()


@pytest.mark.parametrize("bounds", [(-1, 2), (None, 300), (-1000, 2**40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64])
def test_bounds_that_a_dtype_does_not_reach(tmp_path, dtype, bounds):
    """To np.clip they are none; ONNX has no number of the dtype for them."""
    x = Tensor(np.array([0, 1, 3], dtype), name="x")
    export_onnx(np.clip(x, *bounds), tmp_path / "held.onnx", x)
    (found,) = run(tmp_path / "held.onnx", x.data)
    same(found, np.clip(x.data, *bounds))


def test_broadcasting_to_nothing_is_refused(file):
    x = Tensor(np.ones((4, 1, 2)), name="x")
    with pytest.raises(TypeError, match=r"broadcast_to\(x: \(4, 1, 2\) .* a length of 0"):
        export_onnx(np.broadcast_to(x, (4, 0, 2)), file, inputs=x, batch=None)
