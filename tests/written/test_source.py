"""The source that write_backprop writes: run, it gives what backward() gives; read, it is what one writes by hand.

The files in tests/golden/ are the texts that are expected. After a change that is wanted, write them anew and read what
has become of them: `GOLDEN=write python -m pytest tests/written/test_source.py -k golden; git diff tests/golden`.
"""

from __future__ import annotations

import ast
import builtins
import copy
import cProfile
import difflib
import functools
import gc
import inspect
import itertools
import linecache
import os
import random
import re
import sys
from pathlib import Path

import abalone
import numpy as np
import pulsar
import pytest
import steel
from every_op import call, every_smooth_sample
from helpers import calls, close, counted, differences, leaf
from programs import LIBRARY, Program

from tinygrad_steel import (
    OPS,
    SGD,
    Tensor,
    formula,
    grad,
    log_softmax,
    no_grad,
    op,
    ops,
    relu,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    vjp_formulas,
    write_backprop,
)
from tinygrad_steel.program.definitions import locals_of
from tinygrad_steel.program.literals import literal, value_text
from tinygrad_steel.program.trace import trace
from tinygrad_steel.program.values import exact
from tinygrad_steel.written.layout import wrapped

GOLDEN = Path(__file__).parents[1] / "golden"


pytestmark = pytest.mark.usefixtures("registry")


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def positive(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(0.5, 1.5, shape)


def behind(y):
    """The Tensors from which a result was computed, and itself."""
    found, todo = {}, [y]
    while todo:
        t = todo.pop()
        if isinstance(t, Tensor) and id(t) not in found:
            found[id(t)] = t
            todo += t.inputs
    return [*found.values()]


def wanted(loss):
    return [t for t in behind(loss) if t.op is None and t.requires_grad]


def only_numpy(name, *_):
    if name != "numpy":
        raise ImportError(f"the source imports {name}")
    return np


def run(source):
    """What the text returns for the arrays with which it was traced, where there is NumPy and nothing else."""
    namespace = {"__builtins__": {**vars(builtins), "__import__": only_numpy}}
    exec(compile(str(source), "<source>", "exec"), namespace)
    assert [*inspect.signature(namespace["backprop"]).parameters] == [*source.arguments]
    return namespace["backprop"](**source.arguments)


def equal(found, expected, tolerance=1e-12):
    """Equal shape, dtype and, relative to the largest element, value: where terms cancel, digits mean nothing."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    size = np.max(np.abs(expected[np.isfinite(expected)]), initial=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=max(tolerance * size, 1e-15))


def agrees(loss, names=None, tolerance=1e-12):
    """The source of a loss, after it has been run and compared with backward(): loss and every gradient."""
    source = write_backprop(loss, names)
    value, *gradients = run(source)
    equal(value, loss.data, tolerance)
    missing = wanted(loss)
    for t in missing:
        t.grad = None
    loss.backward()
    for data, g in zip(
        [*source.arguments.values()][len(source.arguments) - len(missing) :], gradients, strict=True
    ):
        i = next(
            i
            for i, t in enumerate(missing)
            if t.dtype == data.dtype and np.array_equal(t.data, data)
        )
        t = missing.pop(i)
        equal(g, np.zeros(t.shape, t.dtype) if t.grad is None else t.grad, tolerance)
    return source


def body(source):
    """The lines of backprop, the first of which is its head."""
    lines = source[source.index("def backprop") :].splitlines()
    return [line.strip() for line in lines]


def parameters(source):
    return [*source.arguments]


# The losses of the experiments and of a hidden layer: run, compared, read

TARGETS = {  # for ten rows
    "abalone": lambda rng: rng.integers(1, 29, (10, 1)).astype(float),
    "pulsar": lambda rng: rng.integers(0, 2, (10, 1)).astype(float),
    "steel": lambda rng: np.eye(7)[rng.integers(0, 7, 10)],
    "mlp": lambda rng: rng.dirichlet([1.0, 1.0, 1.0], 10),
    "mlp_class_ids": lambda rng: rng.integers(0, 3, 10),
}
SIZES = {
    "abalone": (10, 1),
    "pulsar": (8, 1),
    "steel": (27, 7),
    "mlp": (4, 5, 3),
    "mlp_class_ids": (4, 5, 3),
}


def hidden_layer(x, weight1, bias1, weight2, bias2):
    return relu(x @ weight1 + bias1) @ weight2 + bias2


def named_hidden_layer(x, weight1, bias1, weight2, bias2):
    hidden = relu(x @ weight1 + bias1)
    hidden.name = "hidden"
    return hidden @ weight2 + bias2


def cross_entropy(output, y):
    entropy = softmax_cross_entropy(output, y)
    return np.mean(entropy)


EXPERIMENTS = {  # data, model, loss
    "abalone": ("abalone", abalone.model, abalone.loss),
    "pulsar": ("pulsar", pulsar.model, pulsar.loss),
    "steel_softmax": ("steel", steel.model, steel.softmax_loss),
    "steel_sigmoid": ("steel", steel.model, steel.sigmoid_loss),
    "steel_sigmoid_mse": ("steel", steel.model, steel.sigmoid_mse_loss),
    "mlp": ("mlp", hidden_layer, cross_entropy),
    "mlp_class_ids": ("mlp_class_ids", named_hidden_layer, cross_entropy),
}


def experiment_graph(key):
    """The loss of ten random rows, and the names for it, as the examples print it."""
    (data, model, loss_of), rng = EXPERIMENTS[key], np.random.default_rng(0)
    sizes = SIZES[data]
    x, y = Tensor(rng.normal(size=(10, sizes[0])), name="x"), Tensor(TARGETS[data](rng), name="y")
    layers = {}
    for i, shape in enumerate(itertools.pairwise(sizes), 1):
        for part, numbers in (
            ("weight", rng.normal(size=shape)),
            ("bias", rng.normal(size=shape[1:])),
        ):
            name = f"{part}{i}" if len(sizes) > 2 else part
            layers[name] = leaf(numbers, name=name)
    output = model(x, **layers)
    with locals_of(loss_of) as names:
        loss = loss_of(output, y)
    return loss, {**names, "loss": loss}


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_the_source_of_an_experiment_is_its_backward(key):
    agrees(*experiment_graph(key))


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_the_source_of_an_experiment_without_names_is_its_backward(key):
    loss, _ = experiment_graph(key)
    for t in behind(loss):
        t.name = None
    agrees(loss)


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_golden(key):
    source, file = write_backprop(*experiment_graph(key)), GOLDEN / f"{key}.py"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(source, encoding="utf-8")
    lines = difflib.unified_diff(
        file.read_text(encoding="utf-8").splitlines(),
        source.splitlines(),
        str(file),
        "written",
        lineterm="",
    )
    difference = "\n".join(lines)
    assert not difference, f"\n{difference}"


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_golden_files_are_the_whole_program(key):
    """The file itself, not the text in memory, is run."""
    loss, names = experiment_graph(key)
    source = write_backprop(loss, names)
    namespace = {}
    exec(compile((GOLDEN / f"{key}.py").read_text(encoding="utf-8"), key, "exec"), namespace)
    value, *gradients = namespace["backprop"](**source.arguments)
    loss.backward()
    equal(value, loss.data)
    named = {t.name: t for t in wanted(loss)}
    for name, g in zip(parameters(source)[2:], gradients, strict=True):
        equal(g, named[name].grad)


def test_golden_has_a_file_for_each_and_no_other():
    assert {file.stem for file in GOLDEN.glob("*.py")} == set(EXPERIMENTS)


PAGE = """\
def backprop(x, y, weight, bias):
    # forward
    output = x @ weight + bias
    diff = output - y
    square = np.square(diff)
    loss = np.mean(square)
    # backward
    G_loss = 1.0
    G_square = np.broadcast_to(G_loss / 10, (10, 1))
    G_diff = 2 * diff * G_square
    G_output = G_diff
    G_weight = x.T @ G_output
    G_bias = np.sum(G_output, axis=0)
    return loss, G_weight, G_bias
"""


def test_the_abalone_source_is_the_page_of_the_book():
    source = write_backprop(*experiment_graph("abalone"))
    assert source == "import numpy as np\n\n\n" + PAGE


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_the_source_is_the_same_every_time(key):
    assert write_backprop(*experiment_graph(key)) == write_backprop(*experiment_graph(key))


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_nothing_but_numpy_is_imported(key):
    nodes = [*ast.walk(ast.parse(write_backprop(*experiment_graph(key))))]
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]


def unused(source):
    """Names that backprop assigns and never reads."""
    nodes = [*ast.walk(ast.parse(source[source.index("def backprop") :]))]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    return {node.id for node in names if isinstance(node.ctx, ast.Store)} - read


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_every_line_of_an_experiment_is_used(key):
    assert unused(write_backprop(*experiment_graph(key))) == set()


def attention():
    x = Tensor(normal(5, 8), name="x")
    query, key, value, mix = (
        leaf(normal(8, 8, seed=i), name=n) for i, n in enumerate(["query", "key", "value", "mix"])
    )
    weights = softmax((x @ query) @ (x @ key).T / np.sqrt(8))
    output = weights @ (x @ value) @ mix
    return np.mean(np.square(output - x)), locals()


def layer_norm():
    x, y = Tensor(normal(5, 8), name="x"), Tensor(normal(5, 8, seed=1), name="y")
    weight, gain, shift = leaf(normal(8, 8)), leaf(normal(8)), leaf(normal(8, seed=1))
    h = x @ weight
    centered = h - np.mean(h, axis=1, keepdims=True)
    normed = centered / np.sqrt(np.mean(centered**2, axis=1, keepdims=True) + 1e-5)
    return np.mean((normed * gain + shift - y) ** 2), locals()


def recurrent():
    xs = [Tensor(normal(4, 3, seed=i), name=f"x{i}") for i in range(3)]
    w, u, b = leaf(normal(3, 5), name="w"), leaf(normal(5, 5), name="u"), leaf(normal(5), name="b")
    h = np.zeros((4, 5))
    for x in xs:
        h = np.tanh(x @ w + h @ u + b)
    return np.sum(h**2), {}


def deep():
    layers = [
        {"weight": leaf(normal(4, 4, seed=i)), "bias": leaf(normal(4, seed=i))} for i in range(8)
    ]
    h = Tensor(normal(6, 4), name="x")
    for layer in layers:
        h = h + np.tanh(h @ layer["weight"] + layer["bias"])
    return np.mean(softmax_cross_entropy(h, Tensor([0, 1, 2, 3, 0, 1], name="y"))), {
        "layers": layers
    }


def ridge():
    x, y = Tensor(normal(9, 3), name="x"), Tensor(normal(9), name="y")
    w, b = leaf(normal(3), name="w"), leaf(0.5, name="b")
    return np.sum((x @ w + b - y) ** 2) / len(y) + 0.01 * np.sum(w**2), {}


MODELS = [attention, layer_norm, recurrent, deep, ridge]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_the_source_of_a_model_is_its_backward_in_short_lines(model, named):
    loss, names = model()
    source = agrees(loss, names if named else None)
    assert max(map(len, source.splitlines())) <= 120


@pytest.mark.parametrize("model", MODELS)
def test_every_line_of_a_model_is_used(model):
    assert unused(write_backprop(*model())) == set()


def test_a_vector_of_weights_has_the_gradient_that_one_writes_by_hand():
    x, w, y = Tensor(normal(9, 3), name="x"), leaf(normal(3), name="w"), Tensor(normal(9), name="y")
    output = x @ w
    output.name = "output"
    assert "G_w = x.T @ G_output" in body(agrees(np.mean((output - y) ** 2)))


# Every op, and random programs


def named_inputs(o, sample, dtype=float):
    names = [
        {"g": "given"}.get(n, n)
        for n in (*o.input_names, *(f"x{i}" for i in range(len(sample.inputs))))
    ]
    floats = [x.dtype.kind == "f" for x in sample.inputs]
    return [
        Tensor(x.astype(dtype) if f else x, f, n) for x, f, n in zip(sample.inputs, floats, names)
    ]


@every_smooth_sample
def test_the_source_of_an_op_is_its_backward(o, sample):
    y = call(o, named_inputs(o, sample), sample.params)
    agrees(np.sum(y * normal(*y.shape)))


@every_smooth_sample
def test_the_source_of_an_op_keeps_float32(o, sample):
    params = {k: np.dtype(np.float32) if k == "dtype" else v for k, v in sample.params.items()}
    y = call(o, named_inputs(o, sample, np.float32), params)
    source = agrees(np.sum(y * normal(*y.shape).astype(np.float32)), tolerance=1e-5)
    assert {np.asarray(g).dtype for g in run(source)[1:]} == {np.dtype(np.float32)}


def program_graph(program):
    """The loss of a program, and all its values by their names."""
    namespace = {**program.data, **{x: leaf(program.data[x]) for x in program.leaves}}
    exec(program.code, {**LIBRARY}, namespace)
    return namespace["loss"], namespace


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(20))
def test_the_source_of_random_programs_is_their_backward(chunk):
    """In full 2,000 programs, every second one with the names of its values."""
    for seed in range(100 * chunk, 100 * chunk + counted(100, 8)):
        program = Program(seed)
        loss, names = program_graph(program)
        try:
            agrees(loss, names if seed % 2 else None)
        except Exception as error:
            error.add_note(str(program))
            raise


CLASHING = "a w:1 softmax sigmoid one_hot scatter backprop np loss x0 c1 t1 G_t1 G_x0".split()


@pytest.mark.parametrize("chunk", range(5))
def test_the_source_of_random_programs_with_clashing_names_is_their_backward(chunk):
    for seed in range(2000 + 20 * chunk, 2000 + 20 * chunk + counted(20, 10)):
        program, dice = Program(seed), random.Random(seed)
        loss, _ = program_graph(program)
        for t in behind(loss):
            t.name = dice.choice(CLASHING) if dice.random() < 0.4 else None
        try:
            agrees(loss)
        except Exception as error:
            error.add_note(str(program))
            raise


# Names


KEPT = [*"무게 G_weight G_x t1 c1 forward match _ _private coef_ loss hidden_2".split(), "w" * 300]
CHANGED = [
    *"w:0 a->b sum np class None print __debug__ backprop softmax relu x 1 back\\slash # ''' e\u0301 ½ x৴ ௰".split(),
    *("{a: 1}", 'it\'s "it"', "line\nbreak", "tab\tx", "\u2028", "\x00", "w" * 300 + "!"),
]


def weighted(name=None, hidden=None):
    """A loss with a weight and a hidden value of these names, in which softmax and relu are used."""
    weight = leaf(normal(3, 2), name=name)
    h = Tensor(normal(4, 3), name="x") @ weight
    h.name = hidden
    return np.mean(np.square(softmax(relu(h))) * normal(4, 2))


@pytest.mark.parametrize("name", KEPT)
def test_a_good_name_is_kept(name):
    source = agrees(weighted(name))
    assert parameters(source)[-1] == name


@pytest.mark.parametrize("name", CHANGED)
def test_a_name_that_cannot_stand_is_changed_and_a_comment_says_so(name):
    source = agrees(weighted(name))
    found = parameters(source)[-1]
    assert found.isidentifier() and found != name
    comments = [line for line in body(source) if line.startswith("#")]
    assert any(repr(name)[:40] in line and found in line for line in comments)


@pytest.mark.parametrize("name", [*KEPT, *CHANGED])
def test_a_hidden_value_may_have_any_name(name):
    source = agrees(weighted("weight", hidden=name))
    (line,) = [line for line in body(source) if line.endswith("= x @ weight")]
    found = line.split()[0]
    comments = [line for line in body(source) if line.startswith("#")]
    assert found == name or any(repr(name)[:40] in line and found in line for line in comments)


@pytest.mark.parametrize("name", [*KEPT, *CHANGED])
def test_a_variable_in_names_may_have_any_name(name):
    loss = weighted()
    (weight,) = wanted(loss)
    agrees(loss, {name: weight})


def test_variables_are_names():
    x, weight, target = Tensor(normal(4, 3)), leaf(normal(3, 2)), normal(4, 2)
    output = x @ weight
    loss = np.mean(np.square(output - target))
    source = agrees(loss, locals())
    assert body(source)[0] == "def backprop(x, target, weight):"
    assert "output = x @ weight" in body(source)


def test_the_name_of_a_tensor_goes_before_that_of_a_variable():
    variable = leaf(normal(3), name="own")
    assert parameters(agrees(np.sum(variable * variable), locals())) == ["own"]


def test_variables_in_lists_tuples_and_dicts_are_names():
    model = {
        "layers": [{"weight": leaf(normal(2, 2))}, leaf(normal(2, 3))],
        "pair": (leaf(normal(3)),),
    }
    h = model["layers"][0]["weight"] @ model["layers"][1] + model["pair"][0]
    source = agrees(np.sum(h * normal(2, 3)), {"model": model})
    assert parameters(source)[1:] == ["model_layers_0_weight", "model_layers_1", "model_pair_0"]
    assert any(
        "model['layers'][0]['weight']" in line for line in body(source) if line.startswith("#")
    )


def test_a_key_with_brackets_in_it_counts_once():
    x = leaf(normal(3))
    source = agrees(np.sum(x * x), {"model": {"parameters": {"block[0].w[1]": x}}})
    assert "model['parameters']['block[0].w[1]']" in str(source)


def test_containers_that_hold_themselves_are_no_trouble():
    held, x = [], leaf(normal(3))
    held += [held, {"held": held}, x]
    assert parameters(agrees(np.sum(x * x), {"held": held})) == ["held_2"]


def test_the_first_of_two_variables_gives_the_name():
    first = second = leaf(normal(3))
    assert parameters(agrees(np.sum(first * second), locals())) == ["first"]


@pytest.mark.parametrize("name", ["_", "__", "_1", "_private", "In", "Out"])
@pytest.mark.parametrize(
    "hold", [lambda x: x, lambda x: [x], lambda x: {3: x}], ids=["itself", "list", "dict"]
)
def test_what_ipython_keeps_is_no_name(name, hold):
    x = leaf(normal(3))
    assert parameters(agrees(np.sum(x * x), {name: hold(x)})) == ["c1"]


@pytest.mark.parametrize("name", ["_", "__", "_1"])
def test_an_array_that_ipython_keeps_is_no_name(name):
    x, target = leaf(normal(3), name="x"), normal(3, seed=1)
    assert parameters(agrees(np.sum(x * target), {name: target})) == ["c1", "x"]


def test_two_tensors_of_one_name_are_told_apart():
    a, b, c = (leaf(normal(3, seed=i), name="w") for i in range(3))
    source = agrees(np.sum(a * b * c))
    assert parameters(source) == ["w", "w_2", "w_3"]
    assert sum("'w' is called w_" in line for line in body(source)) == 2


@pytest.mark.parametrize("name", ["softmax", "softmax_2", "softmax_3", "one_hot", "one_hot_2"])
@pytest.mark.parametrize("where", ["parameter", "result"])
def test_a_name_does_not_hide_a_function_with_a_number(name, where):
    ids = Tensor([0, 1, 1], name="ids")
    a, b = (
        leaf(normal(3, 2), name=name if where == "parameter" else "a"),
        leaf(normal(3, 4), name="b"),
    )
    h = softmax(a, axis=0)
    h.name = name if where == "result" else None
    losses = (
        softmax_cross_entropy(a, ids) + softmax_cross_entropy(b, ids) + softmax(a)[:, 0] * h[:, 0]
    )
    agrees(np.mean(losses))


def test_results_called_like_the_gradients():
    a = leaf(normal(3), name="a")
    b = a * 2
    b.name = "G_a"
    c = b * b
    c.name = "G_loss"
    agrees(np.sum(c * normal(3)))


def test_a_tensor_called_loss_that_is_none():
    x = leaf(normal(3), name="x")
    loss = np.square(x)
    total = np.sum(loss * normal(3))
    source = agrees(total, {"loss": loss, "x": x})
    assert "loss = np.square(x)" in body(source) and body(source)[-1] != "return loss, G_x"


def test_the_loss_keeps_its_own_name():
    x = leaf(normal(3), name="x")
    error = np.sum(x * x)
    assert body(agrees(error, locals()))[-1] == "return error, G_x"


def test_names_in_definitions_do_not_hide_functions():
    def forward(softmax_2):
        softmax_3 = softmax(softmax_2)
        sigmoid_2 = softmax(softmax_3, axis=0)
        return sigmoid(sigmoid_2) * softmax_3

    own = op("softmax_2", forward, lambda g, y, x: g * x, samples=[])
    agrees(np.sum(own(leaf(normal(2, 3), name="x"))))


# Expressions

A, B, C, D = (leaf(positive(2, 2, seed=i), name=n) for i, n in enumerate("abcd"))


def listed(text):
    """What stands between semicolons and line ends."""
    return re.split(r"\s*[;\n]\s*", text.strip())


EXPRESSIONS = listed("""
    a - (b - c); a - b - c; a - (b + c); a + (b - c); a + b - c; 2 - (a - 1); a - -2.5 * b; a / (b * c); a / b / c
    a / (b / c); a * b / c; a * (b / c); a * (b * c); 1 / (1 + a); 2 / a / 3; (a ** b) ** c; a ** b ** c; a ** -b
    -a ** 2; (-a) ** 2; 2 ** -a; a ** -0.5; (a + b) ** (c - d); -a * b; -(a * b); -(a + b); a * -b; a / -b; (a * b) ** 2
    -(-a); -(a @ b); -a @ b; (-a).T; (a @ b) * c @ d; a @ (b @ c); a @ b @ c; (a * b) @ c; a * (b @ c); a / (b @ c)
    (a / b) @ c; a @ b + c @ d; a @ (b + c); a @ -b; (a @ b) ** 2; a @ b.T; (a @ b) / c; (a @ b) * c; (a > b) * c
    ((a > b) == (c > d)) * a; ((a > b) + 0.5 * (a == b)) * c; (a + b > c - d) * a; (a > (b > c)) * d; ((a > b) > c) * d
    a * (b <= c); (a != b) * -c; (a < b) * (b >= c) * a; np.where(a > b, a - b, c) * d; np.where(a + b > c, a, b) - c
    np.where((a > b) & (c > d), a, -b) ** 2; (a + b)[0]; (a * b)[:, 0]; (-a)[0]; (a ** 2)[0]; (a @ b)[0] * c
    a[0] ** b[1]; -a[0]; (a > b)[0] * c; (a + b).T; (a - b).T @ c; (a ** 2).T; a.T.T; np.sum(a, axis=0).T; (a @ b).T * c
    a[0][1] * b; np.sum(a - b) ** 2 * c; np.abs(a - b); np.exp(-a ** 2); relu(a - b) * -1; np.mean(a * b, axis=0) @ c
    np.concatenate([a - b, -c]); np.stack([a * b, c.T]); np.einsum('ij,jk->ik', a + b, -c); np.clip(a - b, 0, 1)
    np.reshape(a + b, (4, 1)) * c[0]; (a + b)[:, None]; np.maximum(a - b, 0) - np.minimum(c, d); softmax(a @ b)
    a - np.float64(-2); a * np.float64(-2) - np.float64(-1); a ** np.float64(-2); a + -1; a - (-b); a + (-b); a - -b * c
    a + -b * c; a - (-b / c); a - -(b + c); a + -(b - c); a - (-b) @ c; a - -b ** 2; - -a - -b; ~(a > b) * c
    ((a > b) | (c > d)) * a; abs(a - b) ** b; a * 1; a / 1; a ** 1; a ** 0; a + 0
""")
EXACT = listed("""
    a - (b - c); a - b - c; a - (b + c); a + (b - c); a / (b * c); a / b / c; a / (b / c); a * b / c; (a ** b) ** c
    a ** b ** c; a ** -b; -a ** 2; (-a) ** 2; 2 ** -a; (a @ b) * c @ d; a @ (b @ c); a @ b @ c; (a * b) @ c; a * (b @ c)
    a / (b @ c); -(a + b); a * -b; 1 / (1 + a); 2 - (a - 1); (a > b) * c; ((a > b) == (c > d)) * a; (a + b > c - d) * a
    (a + b)[0]; (a ** 2)[0]; (a + b).T; -a[0]; where(a + b > c, a - b, c) * d; relu(a - b); a[:, None]; a[0, ::-1]
    mean(a * b, axis=0) @ c; a - 2 * b; (a / b) * (c @ d)
""")


def evaluate(text):
    """An expression in terms of the Tensors a to d."""
    names = {
        "a": A,
        "b": B,
        "c": C,
        "d": D,
        "relu": relu,
        "softmax": softmax,
        "where": np.where,
        "mean": np.mean,
    }
    return eval(text, {**names, "np": np})


def scatter(g, index, shape):
    z = np.zeros(shape)
    np.add.at(z, index, g)
    return z


def value(text, **values):
    """What a formula gives on arrays: its functions are the ops."""
    functions = {
        **OPS,
        "np": np,
        "einsum": np.einsum,
        "scatter": scatter,
        "one_hot": lambda ids: np.eye(3)[ids],
    }
    return eval(text, {**functions, **values})


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_source_of_an_expression_is_its_backward(text):
    y = evaluate(text)
    agrees(np.sum(y * normal(*y.shape)))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_formula_of_an_expression_has_its_value(text):
    y = evaluate(text)
    np.testing.assert_allclose(
        value(formula(y), a=A.data, b=B.data, c=C.data, d=D.data), y.data, rtol=1e-14
    )


@pytest.mark.parametrize("text", EXACT)
def test_the_formula_has_no_parenthesis_too_many(text):
    assert formula(evaluate(text)) == text


def test_values_used_once_stand_inside_others():
    x, y, weight = (
        Tensor(normal(4, 3), name="x"),
        Tensor(normal(4, 2), name="y"),
        leaf(normal(3, 2), name="weight"),
    )
    source = agrees(np.mean(np.abs(x @ weight - y)))
    assert body(source)[2:4] == ["t1 = x @ weight - y", "loss = np.mean(np.abs(t1))"]


def test_values_used_twice_have_one_line():
    a, b = leaf(normal(3), name="a"), leaf(normal(3, seed=1), name="b")
    h = a * b
    source = agrees(np.sum(h * h * h))
    assert body(source).count("t1 = a * b") == 1
    assert source.count("a * b") == 1


def test_a_chain_deeper_than_the_stack_is_written_run_and_right():
    x = leaf(normal(3), name="x")

    def chain(length):
        return np.sum(functools.reduce(lambda t, _: relu(t), range(length), x) * normal(3))

    source = agrees(chain(2 * sys.getrecursionlimit()))
    assert calls(write_backprop, chain(400)) < 2.5 * calls(write_backprop, chain(200))
    assert max(map(len, source.splitlines())) <= 120


def test_a_chain_with_names_deeper_than_the_stack_is_written_run_and_right():
    x = leaf(normal(3), name="x")
    y = functools.reduce(lambda t, _: t * 0.999 + x, range(sys.getrecursionlimit()), x)
    for i, t in enumerate(behind(y)[::-1]):
        t.name = t.name or f"h{i}"
    agrees(np.sum(y))


def test_many_parameters_break_the_head_and_the_return():
    weights = [leaf(normal(2, seed=i), name=f"weight_number_{i}") for i in range(100)]
    source = agrees(np.sum(np.stack(weights) * normal(100, 2)))
    lines = body(source)
    assert max(map(len, [*lines[:20], *lines[-20:]])) <= 120


@pytest.mark.parametrize("length", [60, 85, 86, 87, 88, 91, 99, 100, 101, 200])
def test_long_names_leave_the_source_whole(length):
    x, weight = Tensor(normal(4, 3), name="x" * length), leaf(normal(3), name="무" * length)
    agrees(np.mean(np.square(x @ weight)))
    agrees(
        own("o" * length, lambda x: np.tanh(x) * softmax(x), lambda g, y, x: g)(
            leaf(normal(3), name="x")
        ).sum()
    )


STRINGS = [
    'it\'s "a b" (',
    "a, b " * 40,
    "((( ",
    "' ' ' \" \" [",
    "\\",
    "무게 무게 " * 30,
    "a \n b " * 20,
    "#  ",
    "",
]


def test_a_line_is_broken_where_python_allows_it():
    rng = random.Random(0)
    for _ in range(500):
        words = [*STRINGS, *"f(a, b) -x a.b x[1, :] y @ z {1:2} (((a + 1)))".split()]
        parts = [
            repr(w) if w in STRINGS else "name" * rng.randrange(1, 30)
            for w in rng.choices(words, k=20)
        ]
        text = f"return ({', '.join(parts)})"
        lines = wrapped(text).splitlines()
        assert ast.dump(ast.parse(text)) == ast.dump(ast.parse("\n".join(lines)))
        assert all(
            len(line) <= 100 or line.count(", ") == 0 or "'" in line or '"' in line
            for line in lines
        )


@pytest.mark.parametrize("number", [2.5, -2.5, 0.0, 1e300, 1e-300, np.inf, -np.inf, 3, -3, True])
def test_an_unnamed_number_is_a_literal(number):
    x = leaf(positive(3), name="x")
    with np.errstate(invalid="ignore", over="ignore"):
        loss = np.sum(np.where(x > Tensor(number), x * 2, x) * np.where(x < number, 3, x))
        source = agrees(loss)
    assert parameters(source) == ["x"]
    literal = str(number).replace("inf", "np.inf")
    assert f"x > {literal}" in source and f"x < {literal}" in source


def test_nan_is_a_literal():
    x = leaf(positive(3), name="x")
    source = agrees(np.sum(np.where(x > 1, x, Tensor(np.nan)) * x))
    assert ", x, np.nan)" in source


def test_a_named_number_is_a_parameter():
    x, rate = leaf(normal(3), name="x"), Tensor(0.5, name="rate")
    assert parameters(agrees(np.sum(x * rate))) == ["rate", "x"]


def test_an_unnamed_array_is_a_parameter():
    x, array = leaf(normal(3), name="x"), normal(3, seed=1)
    source = agrees(np.sum(x * array))
    assert parameters(source) == ["c1", "x"]
    np.testing.assert_array_equal(source.arguments["c1"], array)


def test_an_array_has_the_name_of_the_variable_that_holds_it():
    x, array, other = leaf(normal(3), name="x"), normal(3, seed=1), normal(3, seed=2)
    assert parameters(agrees(np.sum(x * array), {"other": other, "array": array})) == ["array", "x"]


def test_an_array_has_not_the_name_of_an_equal_one():
    x, mean, shift = leaf(normal(3), name="x"), np.zeros(3), np.zeros(3)
    assert parameters(agrees(np.sum((x - shift) * 2), {"mean": mean, "shift": shift})) == [
        "shift",
        "x",
    ]
    assert formula(x - shift, {"mean": mean}) == "x - array(3,)"
    assert formula(x - np.zeros(3), {"mean": mean, "shift": shift}) == "x - array(3,)"
    assert formula(x - Tensor(np.zeros(3)), {"mean": mean, "shift": shift}) == "x - array(3,)"


def test_an_array_that_has_changed_since_gives_no_name():
    x, scale = leaf(normal(3), name="x"), np.array([1.0, np.nan, 0.0])
    y = x * scale
    assert formula(y, {"scale": scale}) == "x * scale"
    scale[2] = -0.0
    assert formula(y, {"scale": scale}) == "x * array(3,)"


def test_an_array_that_is_gone_gives_no_name():
    x = leaf(normal(3), name="x")
    y = x * np.ones(3)
    assert formula(y, {f"like_{i}": np.ones(3) for i in range(10)}) == "x * array(3,)"


def test_data_goes_before_what_requires_a_gradient():
    weight, x, bias, y = (
        leaf(normal(3, 2), name="weight"),
        normal(4, 3),
        leaf(normal(2), name="bias"),
        normal(4, 2),
    )
    loss = np.mean(np.square(Tensor(x, name="x") @ weight + bias - Tensor(y, name="y")))
    source = agrees(loss)
    assert parameters(source) == ["x", "y", "weight", "bias"]
    assert body(source)[-1] == "return loss, G_weight, G_bias"


def test_parameters_come_in_the_order_in_which_the_forward_uses_them():
    source = write_backprop(*recurrent())
    assert [name for name in parameters(source) if name.startswith("x")] == ["x0", "x1", "x2"]


def test_the_function_runs_on_other_data():
    """A source is a program, not a record: with other numbers it gives what backward() gives for those."""
    backprop = write_backprop(*experiment_graph("mlp")).function()
    x, y = normal(10, 4, seed=3), np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1, 2, 0]]
    weights = [leaf(normal(*shape, seed=4)) for shape in [(4, 5), (5,), (5, 3), (3,)]]
    loss = cross_entropy(hidden_layer(Tensor(x), *weights), Tensor(y))
    found, *gradients = backprop(x, y, *(t.data for t in weights))
    loss.backward()
    equal(found, loss.data)
    for t, g in zip(weights, gradients, strict=True):
        equal(g, t.grad)


def test_the_lines_of_the_function_show_in_tracebacks():
    backprop = write_backprop(*experiment_graph("abalone")).function()
    with pytest.raises(ValueError, match="matmul") as raised:
        backprop(*np.ones((4, 3, 5)))
    assert str(raised.traceback[-1].statement).strip() == "output = x @ weight + bias"


def test_the_arguments_stay_those_of_the_trace():
    weight = leaf(normal(3), name="weight")
    loss = np.sum(weight * weight)
    source = write_backprop(loss)
    loss.backward()
    before = loss.item()
    SGD([weight], 0.1).step()
    equal(run(source)[0], before)


# Aliases


def test_a_gradient_that_is_handed_on_is_shown_and_used_under_its_later_name():
    a, b = leaf(normal(3), name="a"), leaf(normal(3, seed=1), name="b")
    c = a + b
    loss = np.sum(c * c)
    assert body(agrees(loss, locals())) == [
        "def backprop(a, b):",
        "# forward",
        "c = a + b",
        "loss = np.sum(c * c)",
        "# backward",
        "G_loss = 1.0",
        "G_c = G_loss * c + G_loss * c",
        "G_a = G_c",
        "G_b = G_c",
        "return loss, G_a, G_b",
    ]


def test_a_chain_of_aliases():
    a, b = leaf(normal(3), name="a"), leaf(normal(3, seed=1), name="b")
    c = a * b
    d = c + 1
    e = d - 2
    f = 3 + e
    loss = np.sum(f * f)
    lines = body(agrees(loss, locals()))
    assert lines[-6:-1] == ["G_e = G_f", "G_d = G_e", "G_c = G_d", "G_a = G_c * b", "G_b = G_c * a"]


def test_an_alias_in_a_sum_of_gradients_has_its_later_name():
    a = leaf(2.0, name="a")
    b = a + 1
    c = b - 3
    loss = c + a
    source = agrees(loss, locals())
    assert unused(source) == set() and "G_a = G_loss + G_b" in body(source)


def test_a_sum_of_gradients_has_the_names_of_its_own_way():
    """Not that of `d`, whose gradient is the same and has its turn after the sum."""
    p, a = leaf(1.0, name="p"), leaf(2.0, name="a")
    d = p + 1
    b = a + 1
    s = b + a
    loss = s + d
    lines = body(agrees(loss, locals()))
    assert "G_a = G_s + G_b" in lines and "G_p = G_d" in lines


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: np.sum((a - a) * b),
        lambda a, b: np.sum(a + a) * np.sum(b),
        lambda a, b: np.sum(a * b - b * a),
        lambda a, b: np.sum((a + b) + (a + b)),
        lambda a, b: np.sum(a + b - a),
        lambda a, b: np.sum(np.sin(a) * a + b) + np.sum(a),
        lambda a, b: np.mean(a) + np.mean(b) - np.mean(a + b),
    ],
)
def test_gradients_of_shared_tensors_are_summed(f):
    agrees(f(leaf(normal(3), name="a"), leaf(normal(3, seed=1), name="b")))


def test_a_weight_used_twice_has_the_sum_of_both_gradients():
    x, w = Tensor(normal(2, 3), name="x"), leaf(normal(3, 3), name="w")
    h = x @ w
    output = h @ w
    loss = np.sum(output)
    assert body(agrees(loss, locals()))[-3:-1] == [
        "G_h = G_output @ w.T",
        "G_w = h.T @ G_output + x.T @ G_h",
    ]


def test_steps_that_are_the_loss_and_the_same_again():
    a = leaf(2.0, name="a")
    b = a + 1
    loss = b - 3
    lines = body(agrees(loss, locals()))
    assert lines[-5:] == [
        "# backward",
        "G_loss = 1.0",
        "G_b = G_loss",
        "G_a = G_b",
        "return loss, G_a",
    ]


@pytest.mark.parametrize("data", [3.0, [3.0], [[3.0]]])
@pytest.mark.parametrize("name", ["x", None])
def test_a_leaf_may_be_the_loss(data, name):
    agrees(leaf(data, name=name))


def test_a_leaf_without_influence_has_zeros():
    x, w = leaf(normal(2, 3), name="x"), leaf(normal(3), name="w")
    source = agrees(np.sum(np.where(x > 0, 1.0, 2.0) * w))
    assert parameters(source) == ["x", "w"]
    np.testing.assert_array_equal(run(source)[1], np.zeros((2, 3)))


def test_gradients_that_are_numbers_of_the_forward():
    a, b = leaf(2.0, name="a"), leaf(3.0, name="b")
    agrees(a * b)
    agrees(a * b * 1.0)


# Kinds of input


class Draw:
    """Makes leaves of a dtype, each with numbers of its own."""

    def __init__(self, dtype):
        self.dtype, self.count = dtype, 0

    def __call__(self, *shape):
        self.count += 1
        return leaf(
            positive(*shape, seed=self.count),
            self.dtype,
            f"{'x' if self.dtype is float else 'f'}{self.count}",
        )


# Of float64 leaves and float32 leaves, made where they stand.
IDS = Tensor([0, 2, 1, 1], name="ids")
MASK = np.array([True, False, True, True])
KINDS = {
    "float32": lambda x, f: np.mean(np.tanh(f(4, 3) @ f(3, 2)) ** 2 / 3 + 0.1),
    "float32 and numbers": lambda x, f: np.mean(
        f(4) * np.float32(0.1) - 0.3 + Tensor(np.float32(0.7))
    ),
    "float32 and 0-d": lambda x, f: np.exp(f()) * 0.1 + f() ** 3 / 7,
    "class ids": lambda x, f: np.mean(softmax_cross_entropy(x(4, 3), IDS)),
    "class ids in float32": lambda x, f: np.mean(softmax_cross_entropy(f(4, 3), IDS)),
    "class ids twice": lambda x, f: np.mean(
        softmax_cross_entropy(x(4, 3), IDS) * softmax_cross_entropy(x(4, 5), IDS)
    ),
    "one-hot integers": lambda x, f: np.mean(
        softmax_cross_entropy(x(3, 3), Tensor(np.eye(3, dtype=int), name="y"))
    ),
    "one-hot bools": lambda x, f: np.mean(softmax_cross_entropy(x(3, 3), np.eye(3, dtype=bool))),
    "labels that require a gradient": lambda x, f: np.mean(softmax_cross_entropy(x(3, 3), x(3, 3))),
    "a number as label": lambda x, f: np.mean(
        sigmoid_cross_entropy(x(3, 3), 1) + sigmoid_cross_entropy(x(), x())
    ),
    "broadcasting left": lambda x, f: np.mean(x(3) * x(2, 3) - x(4, 1, 1)),
    "broadcasting right": lambda x, f: np.mean(np.square(x(4, 1, 3) / x(2, 1)) * normal(4, 2, 3)),
    "broadcasting both": lambda x, f: np.sum((x(3, 1) + x(1, 4)) * normal(3, 4)),
    "broadcasting 0-d": lambda x, f: np.sum(x() * normal(3, 4) + x()),
    "broadcasting powers": lambda x, f: np.sum(x(3, 1) ** x(1, 4) * normal(3, 4)),
    "broadcasting matrices": lambda x, f: np.sum(x(5, 1, 2, 3) @ x(4, 3, 2) * normal(5, 4, 2, 2)),
    "reductions": lambda x, f: np.sum(np.max(x(2, 3, 4), axis=(0, -1)) * np.mean(x(3, 4), axis=1)),
    "reductions with keepdims": lambda x, f: np.sum(
        x(2, 3) / np.sum(x(2, 3), axis=1, keepdims=True) * normal(2, 3)
    ),
    "reductions of all with keepdims": lambda x, f: np.sum(
        x(2, 3) - np.mean(x(2, 3), keepdims=True)
    ),
    "reductions along no axis": lambda x, f: np.sum(np.sum(x(2, 3), axis=()) * normal(2, 3)),
    "norms": lambda x, f: sum(np.sum(np.linalg.norm(x(2, 3, 4), axis=a)) for a in (None, 0, -1)),
    "norms along two axes": lambda x, f: np.sum(ops.norm(x(2, 3, 4), axis=(0, 2)) * normal(3)),
    "norms with keepdims": lambda x, f: np.sum(x(2, 3) / np.linalg.norm(x(2, 3), keepdims=True)),
    "products": lambda x, f: (
        np.prod(x(3)) + np.sum(np.prod(x(2, 3), axis=1) * normal(2)) + np.prod(x())
    ),
    "deviations": lambda x, f: (
        np.std(x(5)) * np.var(x(5), ddof=1) + np.sum(np.std(x(2, 3), axis=0))
    ),
    "concatenate": lambda x, f: np.sum(
        np.concatenate([x(2, 3), normal(1, 3), -x(2, 3)], axis=0) * normal(5, 3)
    ),
    "concatenate the same": lambda x, f: np.sum(
        np.concatenate([(w := x(2, 3)), w, w], axis=-1) * normal(2, 9)
    ),
    "stack": lambda x, f: np.sum(np.stack([x(2, 3), 2 * x(2, 3)], axis=1) * normal(2, 2, 3)),
    "einsum": lambda x, f: np.sum(np.einsum("bi,ij,bj->b", x(2, 3), x(3, 4), x(2, 4)) * normal(2)),
    "einsum without arrow": lambda x, f: np.einsum("i,i", x(3), x(3)),
    "einsum with spaces": lambda x, f: np.sum(
        np.einsum("i j, j k -> i k", x(3, 2), x(2, 3)) * normal(3, 3)
    ),
    "a sum by letters": lambda x, f: np.einsum("ij->", x(3, 2)),
    "clip below": lambda x, f: np.sum(np.clip(x(5), 1, None) * normal(5)),
    "clip above": lambda x, f: np.sum(x(5).clip(max=1) * normal(5)),
    "infinity": lambda x, f: np.sum(
        np.where(x(5) < np.inf, x(5), -np.inf) * np.where(x(5) > -np.inf, 2, np.nan)
    ),
    "infinite array": lambda x, f: np.sum(np.maximum(x(3), np.array([-np.inf, 1.0, -np.inf]))),
    "integer leaves": lambda x, f: np.sum(x(4) * IDS + IDS * 2 - IDS),
    "integers divided": lambda x, f: np.sum(x(4) * (IDS / 3)),
    "int32 leaves": lambda x, f: np.sum(
        f(3) * Tensor(np.arange(3, dtype=np.int32), name="i") * np.int32(2)
    ),
    "int64 numbers": lambda x, f: np.sum(f(3) * np.int64(2) + f(3) * Tensor(3)),
    "unsigned leaves": lambda x, f: np.sum(
        x(3) - (-Tensor(np.array([1, 2, 3], np.uint8), name="u"))
    ),
    "bool leaves": lambda x, f: np.sum(x(4) * Tensor(MASK, name="mask") + np.where(MASK, x(4), 0)),
    "0-d everything": lambda x, f: np.log(x()) * np.maximum(x(), x()) / x() - np.exp(-x()),
    "0-d reductions": lambda x, f: (
        np.sum(x()) + np.mean(x()) * np.max(x()) + np.linalg.norm(x()) * np.var(x())
    ),
    "0-d shapes": lambda x, f: (
        np.squeeze(x()[None, None]) * x().T * x().reshape(1, 1).T.reshape(())
    ),
    "0-d indexed": lambda x, f: x()[()] * x()[...] * x()[None][0],
    "a loss that is an element": lambda x, f: x(3)[1],
    "a loss that is an element of an element": lambda x, f: (x(2, 3)[1] * 2)[0],
    "a loss (1, 1)": lambda x, f: np.sum(x(2, 3) * normal(2, 3), keepdims=True),
    "a loss (1,)": lambda x, f: x(2, 3)[0, :1] * x(1),
    "a loss (1, 1) that is an element": lambda x, f: x(2, 3)[1:, 1:2],
    "a float32 loss (1, 1)": lambda x, f: np.mean(f(2, 3), axis=(0, 1), keepdims=True),
    "float32 times float64": lambda x, f: np.mean(f(2, 3) * x(2, 3)),
    "float32 times a float64 number": lambda x, f: np.mean(f(2, 3) * x()),
    "float32 times a NumPy number": lambda x, f: np.mean(f(2, 3) * np.float64(2.5) * 3.1),
    "float32 times a constant": lambda x, f: np.mean(f(2, 3) * Tensor(2.5) + f(2, 3) * normal(3)),
    "float64 in the middle": lambda x, f: np.mean(np.exp(f(3).astype(np.float64)) * x(3)),
    "float32 in the middle": lambda x, f: np.mean(np.exp(x(3).astype(np.float32)) * x(3)),
    "0-d to float32": lambda x, f: x().astype(np.float32) * f() * 0.1,
    "float16": lambda x, f: np.sum(leaf([1.0, 2.0, 4.0], np.float16, "x") * np.float16(0.5)),
    "to integers": lambda x, f: np.sum(x(3).astype(int) * x(3)),
    "no elements": lambda x, f: np.sum(x(0, 3) * 2) + np.sum(x(3)),
    "powers": lambda x, f: np.sum(x(3) ** 0.5 + x(3) ** 3 - x(3) ** -1 + 2 ** -x(3) + x(3) ** x(3)),
    "powers of numbers": lambda x, f: np.sum(
        x(3) ** Tensor(3.0) + x(3) ** Tensor(0.0) + Tensor(2.0) ** x(3)
    ),
    "powers of negative numbers": lambda x, f: np.sum(
        leaf([-1.0, 0.0, 2.0], name="x") ** 3 + leaf([-2.0, 0.0, 1.0]) ** 2
    ),
    "a detached part": lambda x, f: np.sum((w := x(3)) * (w * 2).detach()),
    "arguments of arguments": lambda x, f: (
        np.argmax(x(4)) * x() + np.sum(np.argmin(x(4, 3), axis=1) * x(4))
    ),
    "a gradient as part of the loss": lambda x, f: np.sum(
        np.square(grad(np.sum((w := x(3)) ** 3), w))
    ),
    "masks": lambda x, f: np.sum(np.where((x(4) > 1) | ~(x(4) < 0.7) & MASK, x(4), 0) * normal(4)),
    "ties": lambda x, f: (
        np.max(leaf([1.0, 2.0, 2.0], name="x"))
        + np.sum(np.maximum(leaf([1.0, 2.0]), leaf([1.0, 3.0])))
    ),
    "float parameters": lambda x, f: np.sum(np.var(x(4, 3), axis=0, ddof=0.5) * normal(3)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_source_of_a_kind_of_input_is_its_backward(kind):
    loss = KINDS[kind](Draw(float), Draw(np.float32))
    exact = all(t.dtype == float for t in behind(loss) if t.dtype.kind == "f")
    agrees(loss, tolerance=1e-12 if exact else 1e-6)


WITH_A_NUMBER = {
    "sums": lambda x, c: x - c + c * c,
    "quotients": lambda x, c: c / x + x / c,
    "powers": lambda x, c: np.abs(x) ** c + np.abs(c) ** x,
    "comparisons": lambda x, c: (x > c) * x + np.equal(c, x),
    "ties": lambda x, c: np.maximum(x, c) * np.minimum(c, x),
    "where": lambda x, c: np.where(x > 0, x, c) + np.where(c > 0, x, 2),
    "where of numbers alone": lambda x, c: np.where(x > 0, c, 2.5) * x,
    "einsum": lambda x, c: np.einsum(",i->i", c, x),
    "einsum of three": lambda x, c: np.einsum("i,,i", x, c, x),
    "stack": lambda x, c: np.stack([x[0], c, np.sum(x)]),
    "stack of many": lambda x, c: np.stack([c, x[1], 1.5, c]),
    "concatenate": lambda x, c: np.concatenate([x, np.reshape(c, (1,))]),
    "hstack": lambda x, c: np.hstack([c, x]),
    "matmul": lambda x, c: np.reshape(c, (1,)) @ np.reshape(x, (1, 3)),
    "shapes": lambda x, c: np.broadcast_to(c, (3,)) * x + np.expand_dims(c, 0) + c[None],
    "alike": lambda x, c: np.ones_like(c) * x + np.full_like(c, 2),
    "a definition": lambda x, c: sigmoid_cross_entropy(x, c) + sigmoid(c),
    "an op of one's own": lambda x, c: own(
        "letters",
        lambda x, c: np.einsum("i,->i", x, c),
        lambda g, y, x, c: np.stack([g[0] * c, c, c]),
    )(x, c),
}


SINGLE_NUMBERS = [np.float32(1.3), np.float16(-0.7), np.float64(0.1), np.int64(2), np.int8(-3)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", WITH_A_NUMBER)
def test_a_number_has_its_dtype_in_the_source(kind, dtype):
    compared = 0
    for number in SINGLE_NUMBERS:
        y = WITH_A_NUMBER[kind](leaf([0.5, -1.5, 1.0], dtype, "x"), Tensor(number))
        agrees(np.sum(y * normal(*y.shape).astype(y.dtype)), tolerance=10 * np.finfo(dtype).eps)
        compared += 1
    assert compared == 5


def test_a_number_in_an_op_of_ones_own_has_its_dtype():
    x, factor = leaf([0.5, -1.5], np.float32, "x"), np.float32(0.1)
    scaled = own(
        "scaled",
        lambda x: np.einsum("i,->i", x, factor),
        lambda g, y, x: np.stack([g[0], factor]) * factor,
    )
    agrees(np.sum(scaled(x)), tolerance=1e-6)


@pytest.mark.parametrize(
    "kind",
    [
        "float32 times float64",
        "float32 times a float64 number",
        "float64 in the middle",
        "int64 numbers",
    ],
)
def test_what_is_float64_beside_float32_is_exact(kind):
    """Where NumPy computes in float64, so does the source, to the last digits."""
    loss = KINDS[kind](Draw(float), Draw(np.float32))
    source, (value, *gradients) = write_backprop(loss), run(write_backprop(loss))
    equal(value, loss.data)
    loss.backward()
    leaves = {t.name: t for t in wanted(loss)}
    for name, g in zip(parameters(source)[-len(leaves) :], gradients, strict=True):
        if leaves[name].dtype == float:
            equal(g, leaves[name].grad)


INDICES = [
    *(
        0,
        -1,
        slice(None),
        slice(1, None),
        slice(None, None, -1),
        slice(-1, 0, -2),
        None,
        ...,
        (),
        True,
        (None, True),
    ),
    *(
        (..., 0),
        (0, ..., None),
        (slice(None), 1),
        (1, 2),
        (1, 2, 1),
        (..., slice(1, 2)),
        (None, slice(None), None),
    ),
    *(
        [0, 0, 2],
        [],
        (slice(None), [0, 2, 2]),
        ([0, 1], [1, 1]),
        ([[0], [1]], slice(None), [1, 0]),
        (0, [0, 1]),
    ),
    *(
        np.array([2, 1], np.uint8),
        np.int64(1),
        np.array(2),
        np.array(True),
        slice(np.int64(0), np.int64(2)),
    ),
    *(
        np.array([True, False, True]),
        (slice(None), MASK),
        normal(3, 4, 2) > 0,
        normal(3, 4) > 0,
        [True, False, True],
    ),
    *(
        Tensor([0, 1]),
        Tensor(1),
        Tensor(MASK[:3]),
        (Tensor(1), slice(None), Tensor([0, 0])),
        (Tensor(True),),
    ),
    *(
        Tensor([1, 1], name="ids"),
        Tensor(1, name="i"),
        (..., Tensor([1, 1, 0], name="ids")),
        slice(Tensor(0), Tensor(2)),
    ),
]


@pytest.mark.parametrize("index", INDICES, ids=[f"{i}-{x!r:.20}" for i, x in enumerate(INDICES)])
def test_the_source_of_an_index_is_its_backward(index):
    y = leaf(normal(3, 4, 2), name="x")[index]
    agrees(np.sum(y * normal(*y.shape)))


@pytest.mark.parametrize("length", range(6))
def test_the_source_of_every_slice_is_its_backward(length):
    numbers = [None, *range(-7, 8)]
    slices = [
        slice(*s) for s in itertools.product(numbers, numbers, [n for n in numbers if n != 0])
    ]
    x, loss = leaf(normal(2, length), name="x"), 0
    for i, s in enumerate(random.Random(length).sample(slices, 100)):
        loss += np.sum(x[:, s] ** 2 if i % 2 else x.T[s] * i)
    agrees(loss)


@pytest.mark.parametrize(
    "letters", ["bI,Ij", "Ij,jK", "b I , I j", "bz,zA->Ab", "ZA,Aa->", "ba,ac->b", "Bb,bA"]
)
def test_the_source_of_capital_letters_is_its_backward(letters):
    y = np.einsum(letters, leaf(normal(4, 3), name="x"), leaf(normal(3, 2), name="y"))
    np.testing.assert_array_equal(y.data, np.einsum(letters, normal(4, 3), normal(3, 2)))
    agrees(np.sum(y * normal(*y.shape)))


def test_an_index_in_the_gradient_reads_as_it_does_in_the_forward():
    source = agrees(np.sum(leaf(normal(3, 4), name="x")[:, 1:3] * normal(3, 2)))
    assert "x[:, 1:3]" in source and "slice(None, None, None)" not in source


def test_two_axes_are_two_functions():
    x = leaf(normal(2, 3), name="x")
    source = agrees(np.sum(softmax(x) * softmax(x, axis=0) * log_softmax(x) * normal(2, 3)))
    definitions = [line for line in source.splitlines() if line.startswith("def")]
    assert definitions[:2] == [
        "def softmax(x):",
        "def softmax_2(x):",
    ] and "t2 = softmax_2(x)" in body(source)


def test_one_function_serves_all_shapes():
    a, b = leaf(normal(2, 3), name="a"), leaf(normal(4, 5), name="b")
    assert agrees(np.sum(softmax(a) ** 2) + np.sum(softmax(b) ** 2)).count("def softmax") == 1


# Ops of one's own


def own(name, forward, *vjps, **options):
    return op(name, forward, *vjps, samples=[], **options)


def lines_of(source, name):
    """The body of a definition."""
    return [
        line.strip() for line in source.split(f"def {name}(")[1].split("\n\n")[0].splitlines()[1:]
    ]


def test_an_op_of_ones_own_is_written_out():
    def forward(x):
        shifted = x - 1
        return shifted * np.exp(-shifted)

    humped = own("humped", forward, lambda g, y, x: g * (2 - x) * np.exp(1 - x))
    source = agrees(np.sum(humped(leaf(normal(3), name="x")) * normal(3)))
    assert lines_of(source, "humped") == ["shifted = x - 1", "return shifted * np.exp(-shifted)"]


def test_keyword_parameters_make_functions_of_their_own():
    leaky = own(
        "leaky",
        lambda x, slope=0.1: np.where(x > 0, x, slope * x),
        lambda g, y, x, slope=0.1: g * np.where(x > 0, 1.0, slope),
    )
    x = leaf(normal(4), name="x")
    source = agrees(np.sum(leaky(x) * leaky(x, slope=0.2) * leaky(x, slope=0.1) * normal(4)))
    assert "0.1 * x" in lines_of(source, "leaky")[0] and "0.2 * x" in lines_of(source, "leaky_2")[0]
    assert source.count("def leaky") == 2


@pytest.mark.parametrize("size", [2, 2000])
def test_arrays_as_parameters_are_told_apart_to_the_last_digit(size):
    moved = own("moved", lambda x, *, by: x + by, lambda g, y, x, by: g)
    x, by = leaf(normal(size), name="x"), normal(size, seed=1)
    other = by.copy()
    other[size // 2] += 1e-10 if size == 2 else 1.0
    agrees(np.sum(moved(x, by=by) * moved(x, by=other) * normal(size, seed=2)))


def test_an_op_that_keeps_something():
    def forward(x):
        e = np.exp(x)
        return e * x, e

    kept = own(
        "kept",
        forward,
        lambda g, y, x, e=None: g * (np.exp(x) if e is None else e) * (1 + x),
        keeps=True,
    )
    source = agrees(np.sum(kept(leaf(normal(3), name="x")) * normal(3)))
    assert lines_of(source, "kept") == ["e = np.exp(x)", "return e * x"]


def test_an_op_of_a_ufunc_is_that_ufunc():
    own("cbrt", np.cbrt, lambda g, y, x: g / (3 * y * y))
    assert "np.cbrt(x)" in agrees(np.sum(np.cbrt(leaf(positive(3), name="x"))))


def test_an_op_with_a_twin_is_that_function():
    own(
        "trapezoid",
        lambda y: np.trapezoid(y),
        lambda g, r, y: g * np.array([0.5, 1.0, 0.5]),
        twins=[np.trapezoid],
    )
    assert "loss = np.trapezoid(x)" in body(agrees(np.trapezoid(leaf(normal(3), name="x"))))


def test_an_op_with_a_twin_in_a_module_of_numpy_is_that_function():
    own("inv", lambda x: np.linalg.inv(x), lambda g, y, x: -y.T @ g @ y.T, twins=[np.linalg.inv])
    own(
        "det",
        lambda x: np.linalg.det(x),
        lambda g, y, x: g * y * np.linalg.inv(x).T,
        twins=[np.linalg.det],
    )
    assert "loss = np.linalg.det(x)" in body(agrees(np.linalg.det(leaf(normal(2, 2), name="x"))))


def test_an_op_with_a_twin_may_call_its_parameters_otherwise():
    own(
        "rolled", lambda x, n=1: np.roll(x, n), lambda g, y, x, n=1: np.roll(g, -n), twins=[np.roll]
    )
    agrees(np.sum(np.roll(leaf(normal(4), name="x"), 2) * normal(4)))


def test_a_lambda_over_a_number():
    factor = 3.5
    scaled = own("scaled", lambda x: x * factor, lambda g, y, x: g * factor)
    assert lines_of(agrees(np.sum(scaled(leaf(normal(4), name="x")))), "scaled") == [
        "return x * 3.5"
    ]


CLOSED = {
    "floats": normal(3),
    "float32": normal(3).astype(np.float32),
    "integers": np.array([3, 1, 2]),
    "small integers": np.array([3, 1, 2], np.int8),
    "bools": np.array([True, False, True]),
    "a range": np.arange(3),
    "all equal": np.full(3, 0.1),
    "all equal bools": np.full(3, True),
    "an identity": np.eye(3),
    "an identity of bools": np.eye(3, dtype=bool),
    "not finite": np.array([np.inf, 1.0, -np.inf]),
    "all infinite": np.full(3, -np.inf),
    "a matrix": normal(2, 3),
    "a row": normal(1, 3),
    "one element": np.array([0.1]),
    "a small number": np.array(0.1),
    "a float32 number": np.float32(0.1),
    "zeros of both signs": np.array([0.0, -0.0, 1.0]),
}


@pytest.mark.parametrize("kind", CLOSED)
def test_a_lambda_over_an_array(kind):
    array = CLOSED[kind]
    scaled = own("scaled", lambda x: np.maximum(x * 2, array), lambda g, y, x: g * (x > array))
    y = scaled(leaf(normal(3), name="x"))
    agrees(np.sum(np.where(np.isfinite(y), y, 1.0) * normal(*y.shape)))


SHAPES = [(), (1,), (2,), (3,), (1, 1), (2, 2), (3, 3), (2, 3), (0,), (0, 2), (2, 2, 2)]
NUMBERS = {
    np.float64: [
        0.0,
        -0.0,
        1.0,
        1 / 3,
        np.nan,
        np.inf,
        -np.inf,
        5e-324,
        1.7976931348623157e308,
        2.0**53 + 2,
    ],
    np.float32: [0.0, -0.0, 1.0, 0.1, np.nan, np.inf, -np.inf, 1e-45, 3.4028235e38],
    np.float16: [0.0, -0.0, 1.0, 0.1, np.nan, np.inf, 6e-8, 65504],
    np.longdouble: [0.0, -0.0, 1.0, np.longdouble(1) / 3, np.nan, -np.inf],
    np.uint64: [0, 1, 2**63, 2**63 + 1, 2**64 - 1],
    np.int64: [0, 1, 2, -1, -(2**63), 2**63 - 1],
    np.int8: [0, 1, 2, -128, 127],
    bool: [False, True],
}


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda dtype: dtype.__name__)
def test_a_literal_is_that_array_to_the_last_bit(dtype):
    rng, numbers = np.random.default_rng(0), np.array(NUMBERS[dtype], dtype)
    arrays = [
        rng.choice(numbers[:n], s)
        for s in SHAPES
        for n in range(1, len(numbers) + 1)
        for _ in range(9)
    ]
    arrays += [
        np.arange(3).astype(dtype),
        np.eye(3, dtype=dtype),
        np.eye(3, dtype=dtype) * numbers[1],
    ]
    for x in arrays:
        x = np.asarray(x, dtype)
        found = np.asarray(eval(literal(x), {"np": np}))
        assert (found.shape, found.dtype) == (x.shape, x.dtype)
        np.testing.assert_array_equal(found, x)
        if x.dtype.kind == "f":
            real = ~np.isnan(x)
            np.testing.assert_array_equal(np.signbit(found)[real], np.signbit(x)[real])


PARAMETERS = {
    "float32 bounds": lambda x: np.clip(x, np.float32(0.1), np.float32(0.9)),
    "float64 bounds": lambda x: np.clip(x, np.float64(0.1), None),
    "0-d bounds": lambda x: np.clip(x, None, np.array(0.7)),
    "integer bounds": lambda x: np.clip(x, np.int64(0), np.int8(1)),
    "infinite bounds": lambda x: np.clip(x, -np.inf, np.float32(np.inf)),
    "degrees of freedom": lambda x: (
        np.var(x, ddof=np.float32(0.1)) * np.std(x, ddof=np.float64(0.1))
    ),
    "integers of NumPy's": lambda x: (
        np.sum(x, axis=np.int64(0)) * np.mean(x[None], axis=(np.int8(0), np.int64(-1)))
    ),
    "a bool of NumPy's": lambda x: np.sum(x, keepdims=np.True_),
    "a filling": lambda x: np.full_like(x, np.float32(0.1)) * x,
    "slices of NumPy's": lambda x: ops.getitem(
        x, index=(slice(np.int64(0), np.int64(3), np.int8(2)),)
    ),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", PARAMETERS)
def test_a_parameter_has_its_dtype_in_the_source(kind, dtype):
    y = PARAMETERS[kind](leaf([0.5, -1.5, 1.0], dtype, "x"))
    agrees(np.sum(y * normal(*y.shape).astype(dtype)), tolerance=4 * np.finfo(dtype).eps)


VALUES = [
    0.1,
    np.float32(0.1),
    np.longdouble(1) / 3,
    2**70,
    -0.0,
    'it\'s "a"\n',
    {"a": np.inf, 1: [(2,)]},
    {1, 2},
]
VALUES += [
    frozenset([0.5]),
    slice(1, None, -1),
    (1,),
    (),
    [],
    None,
    ...,
    True,
    float,
    np.float32,
    np.square,
]
VALUES += [np.dtype("f4"), (np.float16(0.1), [np.nan, -np.inf])]


@pytest.mark.parametrize("v", VALUES, ids=repr)
def test_a_value_is_the_same_as_source(v):
    found = eval(value_text(v, runs=True), {"np": np})
    assert repr(found) == repr(np.float32 if v == np.dtype("f4") else v)


def test_a_parameter_that_has_no_form_as_source_is_named():
    rolled = own(
        "rolled", lambda x, *, shift: np.roll(x, shift), lambda g, y, x, shift: g, twins=[np.roll]
    )
    x = leaf(normal(3), name="x")
    agrees(np.sum(rolled(x, shift=np.int64(3))))
    with pytest.raises(
        TypeError,
        match=r"rolled\(x: \(3,\) float64, shift=.* cannot be written out: .* no form as source",
    ):
        write_backprop(np.sum(rolled(x, shift=Three())))


class Three:
    """The number 3, as an object that has no form as source."""

    def __index__(self):
        return 3

    def __eq__(self, other):
        return np.array([True, False])  # as arrays do

    __hash__ = object.__hash__


def test_what_wraps_around_when_negated_is_not_added_in_place_of_subtracted():
    x, i = leaf([1.0, 2.0], name="x"), Tensor(np.array([-128, 5], np.int8), name="i")
    np.testing.assert_array_equal((x - -i).data, [129.0, 7.0])  # -(-128) is -128 in eight bits
    agrees(np.sum(x * (x - -i)))
    agrees(np.sum(x * (x + -i)))


def test_a_lambda_over_an_array_without_elements():
    nothing = np.zeros((0, 3))
    longer = own("longer", lambda x: np.concatenate([x, nothing]), lambda g, y, x: g)
    agrees(np.sum(longer(leaf(normal(2, 3), name="x")) * 2))


def test_a_lambda_over_nan():
    hole = np.array([np.nan, 1.0, 2.0])
    filled = own(
        "filled",
        lambda x: np.where(np.isnan(hole), x, hole),
        lambda g, y, x: np.where(np.isnan(hole), g, 0),
    )
    agrees(np.sum(filled(leaf(normal(3), name="x"))))


@pytest.mark.parametrize(
    "name",
    [*"backprop np my.op class print scatter! x t1 G_x 무게 n৴".split(), "softmax 2", "a\nb"],
)
def test_an_op_may_have_any_name(name):
    x = leaf(normal(3), name="x")
    odd = own(name, lambda x: softmax(x) * 2, lambda g, y, x: g * x)
    agrees(np.sum(odd(x) * softmax(x, axis=0) * x[np.array([0, 1, 1])]))


@pytest.mark.parametrize("name", [*OPS, *"alias None sum t1 backprop np scatter".split()])
def test_an_op_that_takes_the_name_of_another_is_not_taken_for_it(name):
    old = OPS.pop(name, None)
    triple = own(name, lambda x: x * 3, lambda g, y, x: g * 3)
    mixed = own(
        f"mixed {name}", lambda a, b: a - 2 * b, lambda g, y, a, b: g, lambda g, y, a, b: g * -2
    )
    mixed.name = name  # the same with two inputs, as the signs between two operands have
    x, a = leaf(positive(3), name="x"), leaf(normal(3, seed=1), name="a")
    beside = (
        old(x) if old and isinstance(old.forward, np.ufunc) and old.input_names == ("x",) else 1
    )
    agrees(np.sum(triple(x) * softmax(x) + mixed(x, a) * beside))
    assert formula(triple(x)) == f"{name}(x)" and formula(mixed(x, a)) == f"{name}(x, a)"
    assert vjp_formulas(triple(x)) == ["g * 3"] and vjp_formulas(mixed(x, a)) == ["g", "g * -2"]


def test_ops_whose_names_become_the_same():
    twice = own("my op", lambda x: x * 2, lambda g, y, x: g * 2)
    thrice = own("my_op", lambda x: x * 3, lambda g, y, x: g * 3)
    agrees(np.sum(twice(thrice(twice(leaf(normal(3), name="x"))))))


def test_ops_within_ops():
    inner = own("inner", lambda x, k=2: x * k, lambda g, y, x, k=2: g * k)
    outer = own("outer", lambda x: inner(x) * inner(x, k=3), lambda g, y, x: g * 12 * x)
    agrees(np.sum(outer(leaf(normal(3), name="x")) * normal(3)))


def test_an_op_with_any_number_of_inputs():
    mixed = own(
        "mixed",
        lambda *xs: xs[0] + xs[1] * xs[2],
        each=lambda i, g, y, *xs: g if i == 0 else g * xs[3 - i],
    )
    source = agrees(
        np.sum(
            mixed(leaf(normal(3), name="a"), leaf(normal(3, seed=1), name="b"), normal(3, seed=2))
        )
    )
    assert lines_of(source, "mixed") == ["return x0 + x1 * x2"]


def test_an_op_on_a_list():
    added = own(
        "added",
        lambda *xs, k=1: (xs[0] + xs[1]) * k,
        sequence=True,
        each=lambda i, g, y, *xs, k=1: g * k,
    )
    agrees(np.sum(added([leaf(normal(3), name="a"), leaf(normal(3, seed=1), name="b")], k=2)))


def test_an_op_with_numbers_for_inputs():
    line = own(
        "line",
        lambda a, x, b: a * x + b,
        None,
        lambda g, y, a, x, b: g * a,
        lambda g, y, a, x, b: g,
    )
    agrees(np.sum(line(2.0, leaf(normal(3), name="x"), 1)))
    agrees(
        np.sum(line(2, leaf(normal(3), np.float32, "x"), leaf(0.5, np.float32, "b"))),
        tolerance=1e-6,
    )


def test_an_op_that_gives_its_input_back():
    same = own("same", lambda x: x, lambda g, y, x: g)
    agrees(np.sum(same(same(leaf(normal(3), name="x"))) * normal(3)))


def test_an_op_that_leaves_an_input_unused():
    first = own("first", lambda a, b: a * 2, lambda g, y, a, b: g * 2, lambda g, y, a, b: 0 * g)
    agrees(np.sum(first(leaf(normal(3), name="a"), leaf(normal(3, seed=1), name="b"))))


def test_an_op_whose_rule_is_not_the_derivative_is_written_with_its_rule():
    rounded = own(
        "rounded", lambda x: np.rint(x), lambda g, y, x: g
    )  # the "straight-through" estimator
    agrees(np.sum(rounded(leaf(normal(5), name="x")) * normal(5)))


def test_an_op_that_reassigns_its_argument():
    def forward(x):
        x = x + 1
        x = x * x
        return x * x

    agrees(
        np.sum(
            own("again", forward, lambda g, y, x: g * 4 * (x + 1) ** 3)(leaf(normal(3), name="x"))
        )
    )


def test_an_op_whose_variable_is_called_like_its_argument():
    def forward(x, b):
        y, x = x * 2, np.array([3.0, 4.0, 5.0])
        return y + x * b

    twofold = own(
        "twofold",
        forward,
        lambda g, y, x, b: g * 2,
        lambda g, y, x, b: g * np.array([3.0, 4.0, 5.0]),
    )
    source = agrees(np.sum(twofold(leaf(normal(3), name="x"), leaf(normal(3, seed=1), name="b"))))
    namespace = source.function().__globals__
    np.testing.assert_array_equal(namespace["twofold"](np.ones(3), np.zeros(3)), [2, 2, 2])


def test_an_op_that_calls_itself():
    def forward(x, n=3):
        h = x * 2
        return h if n == 0 else forward(h, n - 1) * h

    agrees(
        np.sum(own("nested", forward, lambda g, y, x: 5 * g * y / x)(leaf(positive(3), name="x")))
    )


def test_an_op_with_two_branches_is_written_right_or_not_at_all():
    def forward(x):
        return x * 2 if np.min(x) > 0 else x * 3

    forked = own("forked", forward, lambda g, y, x: g * (2 if np.min(x) > 0 else 3))
    loss = np.sum(forked(leaf([1.0, 2.0], name="a")) * forked(leaf([-1.0, 2.0], name="b")))
    try:
        agrees(loss)
    except TypeError as error:
        assert "forked" in str(error)


@pytest.mark.parametrize("number", [float, lambda x: x.item()], ids=["float", "item"])
def test_an_op_that_takes_numbers_out_of_its_data_is_refused(number):
    """They would stand in the source as they were, and be wrong for all other data."""
    shared = own("shared", lambda x: x / number(np.max(x)), lambda g, y, x: g)
    with pytest.raises(TypeError, match="shared"):
        write_backprop(np.sum(shared(leaf([1.0, 2.0], name="x"))))


def test_an_op_with_strings_and_functions_for_parameters():
    mapped = own(
        "mapped", lambda x, *, f, how='it\'s "x"': f(x), lambda g, y, x, f, how=0: 2 * g * x
    )
    x = leaf(normal(2), name="x")
    agrees(np.sum(mapped(x, f=np.square) + mapped(x, f=lambda x: x * x, how="a\n")))


def test_a_string_is_not_broken_where_a_line_is():
    def forward(a, b):
        return np.tanh(a * 1.2345678901) * np.tanh(b - 2.345678901) + np.einsum(
            "i j, j k, k l, l m -> i m", a, b, a, b
        )

    agrees(np.sum(own("long", forward, lambda g, y, a, b: g, lambda g, y, a, b: g)(A, B)))


def test_values_in_definitions_are_named_as_their_forward_names_them():
    def forward(x):
        parts = {"left": x * 2, "right": [x + 1]}
        return parts["left"] * parts["right"][0] * parts["left"]

    source = agrees(
        np.sum(own("parted", forward, lambda g, y, x: g * x)(leaf(normal(3), name="x")))
    )
    assert lines_of(source, "parted")[0] == "parts_left = x * 2"


def in_place(x):
    z = np.zeros(x.shape)
    z[...] = x
    return z


@pytest.mark.parametrize(
    "forward, why",
    [
        (in_place, "cannot keep the history"),
        (lambda x: np.ones(3), "returns ndarray"),
        (lambda x: np.median(x) + x, "median has no registered op"),
        (lambda x: np.sort(x), "sort has no registered op"),
        (lambda x: x * x.flat[0], "has no attribute 'flat'"),
    ],
    ids=["in place", "constant", "median", "sort", "attribute"],
)
def test_an_op_that_cannot_be_written_out_is_named(forward, why):
    odd = own("odd", forward, lambda g, y, x: g)
    loss = np.sum(odd(leaf(normal(3), name="x")))
    with pytest.raises(TypeError, match=rf"odd\(x: \(3,\) float64\) .*{why}"):
        write_backprop(loss)


def test_a_rule_that_needs_what_was_kept_is_named():
    kept = own("kept", lambda x: (x * 2, x), lambda g, y, x, kept: g * 2, keeps=True)
    with pytest.raises(TypeError, match="vjp of kept"):
        write_backprop(np.sum(kept(leaf(normal(3), name="x"))))


# What is refused, and what is left as it was


def test_stale_data_is_refused():
    w = leaf(normal(3), name="w")
    loss = np.sum(w * w)
    w.data -= 1
    with pytest.raises(RuntimeError, match="w.*has changed"):
        write_backprop(loss)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tensor(1.0),
        lambda: np.sum(Tensor([1.0], name="x") * 2),
        lambda: np.sum(leaf([1.0]) > 0),
        lambda: leaf([1.0]).detach(),
    ],
)
def test_a_loss_without_gradient_is_refused(make):
    with pytest.raises(RuntimeError, match="no gradient flows"):
        write_backprop(make())


@pytest.mark.parametrize("shape", [(2,), (1, 2), (0,)])
def test_a_loss_of_several_elements_is_refused(shape):
    with pytest.raises(ValueError, match="not a single number"):
        write_backprop(leaf(np.ones(shape)) * 2)


def test_a_loss_computed_without_recording_is_refused():
    with no_grad():
        loss = np.sum(leaf([1.0]))
    with pytest.raises(RuntimeError, match="no gradient flows"):
        write_backprop(loss)


def test_writing_works_where_nothing_is_recorded():
    loss, names = experiment_graph("mlp")
    expected = write_backprop(loss, names)
    with no_grad():
        assert write_backprop(loss, names) == expected
        assert formula(loss, names) == formula(loss, names)


def state(t):
    """All that must stay: the very same arrays, and the same numbers in them."""
    g = getattr(t, "grad", None)
    return (
        t.name,
        t.requires_grad,
        t.age,
        t.op,
        t.inputs,
        id(t.data),
        t.data.tobytes(),
        id(g),
        repr(g),
    )


@pytest.mark.parametrize("write", [write_backprop, formula, vjp_formulas])
@pytest.mark.parametrize("key", EXPERIMENTS)
def test_writing_leaves_every_tensor_as_it_was(write, key):
    loss, names = experiment_graph(key)
    loss.backward()
    before, variables = [state(t) for t in behind(loss)], dict(names)
    write(loss, names)
    assert [state(t) for t in behind(loss)] == before
    assert [(k, id(v)) for k, v in names.items()] == [(k, id(v)) for k, v in variables.items()]


def test_running_the_source_changes_none_of_its_arguments():
    source = write_backprop(*experiment_graph("mlp"))
    before = {name: x.copy() for name, x in source.arguments.items()}
    run(source)
    assert len(before) == 6
    for name, x in before.items():
        np.testing.assert_array_equal(source.arguments[name], x)


def unwritable():
    own("odd", in_place, lambda g, y, x: g)
    return np.sum(OPS["odd"](leaf(normal(3), name="x")))


@pytest.mark.parametrize(
    "make",
    [lambda: experiment_graph("steel_softmax")[0], unwritable],
    ids=["well", "with an error"],
)
@pytest.mark.parametrize("profile", [None, lambda *_: None], ids=["none", "one"])
def test_the_profile_function_is_as_it_was(make, profile):
    loss, before = make(), sys.getprofile()
    sys.setprofile(profile)
    try:
        try:
            write_backprop(loss)
        except TypeError:
            pass
        after = sys.getprofile()
    finally:
        sys.setprofile(before)
    assert after is profile


def test_a_source_can_be_written_under_a_profiler():
    loss, names = experiment_graph("mlp")
    expected, profiler = write_backprop(loss, names), cProfile.Profile()
    try:
        found = profiler.runcall(write_backprop, loss, names)
    finally:
        sys.setprofile(None)
    assert found == expected


def test_the_locals_of_a_function_are_those_at_its_end():
    def f(x):
        y = x + 1
        y = y * 2
        return y

    with locals_of(f) as found:
        assert f(3) == 8
    assert found == {"x": 3, "y": 8}


def test_the_locals_of_a_function_that_raises():
    def f():
        return 1 / 0

    with pytest.raises(ZeroDivisionError), locals_of(f):
        f()
    assert sys.getprofile() is None


def test_writing_warns_of_nothing_that_the_loss_was_allowed():
    """log(0) on the unused side of a where, asked for by the user, who hears nothing of it a second time."""
    entropy = own(
        "entropy",
        lambda p: np.where(p > 0, p * np.log(p), 0),
        lambda g, y, p: np.where(p > 0, g, 0),
    )
    p = leaf([0.0, 1.0], name="p")
    with np.errstate(all="ignore"):
        loss = np.sum(entropy(p))
    loss.backward()
    assert "np.log(p)" in write_backprop(loss)


# Formulas

X, W, V = (
    Tensor(normal(10, 3), name="x"),
    leaf(positive(3, 2), name="w"),
    leaf(positive(2), name="b"),
)
U = leaf(positive(3, 2))
ROWS = Tensor([0, 1, 1], name="ids")
FORMULAS = [  # a result, its formula, those of its vjps
    (X @ W, "x @ w", [None, "x.T @ g"]),
    (X @ W + V, "x @ w + b", ["g", "g.sum(axis=0)"]),
    (W.T @ W, "w.T @ w", ["g @ w.T", "a.T @ g"]),
    (np.mean(X[:, 0] @ X[:, :1] * V[:1]), "mean((x[:, 0] @ x[:, :1]) * b[:1])", ["g"]),
    (np.mean(np.ones((5, 1)) * V), "mean(array(5, 1) * b)", ["g / 10"]),
    (np.sum(W), "w.sum()", ["g"]),
    (np.sum(W, axis=0), "w.sum(axis=0)", ["g[None]"]),
    (np.mean(W, axis=1, keepdims=True), "mean(w, axis=1, keepdims=True)", ["g / 2"]),
    (relu(W), "relu(w)", ["g * sign(y)"]),
    (relu(U), "relu(array(3, 2))", ["g * sign(y)"]),
    (sigmoid(W), "sigmoid(w)", ["g * y * (1 - y)"]),
    (sigmoid(X @ W), "sigmoid(x @ w)", ["g * y * (1 - y)"]),
    (np.square(W), "square(w)", ["2 * w * g"]),
    (np.square(U), "square(array(3, 2))", ["2 * x * g"]),
    (np.tanh(W), "tanh(w)", ["g * (1 - y * y)"]),
    (W * W, "w * w", ["g * w", "g * w"]),
    (W * 2, "w * 2", ["g * 2", None]),
    (2 - W, "2 - w", [None, "-g"]),
    (W / V, "w / b", ["g / b", "sum(-g * y / b, axis=0)"]),
    (W**2, "w ** 2", ["2 * w * g", None]),
    (W * Tensor(2.5), "w * 2.5", ["g * 2.5", None]),
    (Tensor(-1.0) - W, "-1.0 - w", [None, "-g"]),
    (U * U.detach(), "array(3, 2) * array(3, 2)", ["g * b", None]),
    (softmax(W), "softmax(w)", ["y * (g - sum(g * y, axis=-1, keepdims=True))"]),
    (
        softmax_cross_entropy(W, ROWS),
        "softmax_cross_entropy(w, ids)",
        ["g[:, None] * (softmax(w) - one_hot(ids))", None],
    ),
    (
        softmax_cross_entropy(U, Tensor([0, 1, 1])),
        "softmax_cross_entropy(array(3, 2), array(3,))",
        ["g[:, None] * (softmax(logits) - one_hot(labels))", None],
    ),
    (
        sigmoid_cross_entropy(W, 0.5),
        "sigmoid_cross_entropy(w, 0.5)",
        ["g * (sigmoid(w) - 0.5)", None],
    ),
    (np.concatenate([W, U]), "concatenate([w, array(3, 2)])", ["g[0:3]", "g[3:6]"]),
    (np.where(W > 1, W, 0), "where(w > 1, w, 0)", [None, "where(condition, g, 0)", None]),
    (W > 1, "w > 1", [None, None]),
    (X * 2, "x * 2", [None, None]),
    (W, "w", []),
    (X, "x", []),
    (Tensor(3.0), "3.0", []),
    (U, "array(3, 2)", []),
]


@pytest.mark.parametrize("y, expected, _", FORMULAS, ids=[text for _, text, _ in FORMULAS])
def test_formula(y, expected, _):
    assert formula(y) == expected


@pytest.mark.parametrize("y, _, expected", FORMULAS, ids=[text for _, text, _ in FORMULAS])
def test_vjp_formulas(y, _, expected):
    assert vjp_formulas(y) == expected


def pulled(y, g):
    """The gradients of the inputs of a result for `g` that of the result; None where none flows."""
    inputs = [x for x in y.inputs if isinstance(x, Tensor) and x.requires_grad]
    found = dict(zip(map(id, inputs), grad(y, inputs, g)))
    return [found[id(x)].data if id(x) in found else None for x in y.inputs]


@every_smooth_sample
def test_the_vjp_formulas_of_an_op_give_its_gradients(o, sample):
    inputs = named_inputs(o, sample)
    y = call(o, inputs, sample.params)
    g = normal(*y.shape)
    values = {**{x.name: x.data for x in inputs}, "y": y.data, "g": g}
    for x, text, expected in zip(inputs, vjp_formulas(y), pulled(y, g), strict=True):
        assert (text is None) == (expected is None)
        if text:
            close(np.broadcast_to(value(text, **values), x.shape), expected, rtol=1e-12, atol=1e-14)


@every_smooth_sample
def test_the_vjp_formulas_of_an_op_are_finite_differences(o, sample):
    inputs = named_inputs(o, sample)
    y = call(o, inputs, sample.params)
    g = normal(*y.shape)
    values = {**{x.name: x.data for x in inputs}, "y": y.data, "g": g}
    for i, (x, text) in enumerate(zip(inputs, vjp_formulas(y), strict=True)):

        def weighted(data, i=i):
            swapped = [data if k == i else t.data for k, t in enumerate(inputs)]
            return np.vdot(g, call(o, swapped, sample.params))

        if text:
            close(np.broadcast_to(value(text, **values), x.shape), differences(weighted, x.data))


@every_smooth_sample
def test_the_formula_of_an_op_has_its_value(o, sample):
    inputs = named_inputs(o, sample)
    y = call(o, inputs, sample.params)
    close(value(formula(y), **{x.name: x.data for x in inputs}), y.data, rtol=1e-14)


def test_formulas_of_random_programs_have_their_values():
    """Where a formula grows long, named parts stand for themselves: all names are there."""
    seen = 0
    for seed in range(60):
        _, names = program_graph(Program(seed))
        data = {name: x.data if isinstance(x, Tensor) else x for name, x in names.items()}
        for name, y in names.items():
            text = (
                formula(y, {k: v for k, v in names.items() if k != name})
                if isinstance(y, Tensor)
                else "..."
            )
            if "array(" not in text and "(..." not in text and text != "...":
                seen += 1
                close(np.asarray(value(text, **data)), y.data, rtol=1e-12, atol=1e-14)
    assert seen > 100


def test_a_result_has_its_name_in_the_formulas_of_its_vjps():
    output = np.exp(leaf(normal(3), name="x"))
    assert vjp_formulas(output, locals()) == ["g * output"]
    output.name = "own"
    assert vjp_formulas(output, locals()) == ["g * own"]


def test_variables_are_names_in_formulas():
    u, v, mask = leaf(normal(3)), leaf(normal(3)), np.array([1.0, 0.0, 1.0])
    h = u * v
    y = np.exp(h) * mask
    assert formula(y, locals()) == "exp(u * v) * mask"
    assert vjp_formulas(h, locals()) == ["g * v", "g * u"]


@pytest.mark.parametrize(
    "name, f", [("y", np.exp), ("y", np.tanh), ("y", sigmoid), ("g", np.square), ("g", np.sin)]
)
def test_an_input_called_like_the_result_or_its_gradient_is_told_apart(name, f):
    x = leaf(positive(3), name=name)
    (text,) = vjp_formulas(f(x))
    with pytest.raises(NameError):  # the other of the two must have another name
        eval(text, {name: x.data, **OPS})


def test_two_inputs_are_not_called_the_same():
    y = leaf(positive(3)) * leaf(positive(3, seed=1), name="a")
    of_first, of_second = vjp_formulas(y)
    assert of_first == "g * a" and of_second != of_first


def names_in(text):
    return [node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)]


def test_two_tensors_of_one_name_are_told_apart_in_formulas():
    x, other = leaf(normal(3), name="x"), leaf(normal(3, seed=1), name="x")
    assert formula(x - other * x) == "x - x_2 * x"
    assert vjp_formulas(x * other) == ["g * x_2", "g * x"]
    y = np.exp(x)
    y.name = "x"
    assert vjp_formulas(y) == ["g * x_2"]
    assert vjp_formulas(leaf(normal(3), name="w[0]") * leaf(normal(3), name="w[0]")) == [
        "g * w_0_2",
        "g * w[0]",
    ]


def test_names_are_told_apart_from_those_that_a_formula_gives():
    x, a = leaf(normal(3), name="x"), leaf(normal(3))
    assert vjp_formulas(x * a, taken=["b", "h", "z", "u", "b_"]) == ["g * b__2", "g * x"]
    y = np.tanh(leaf(normal(3), name="y") * np.tanh(leaf(normal(3), name="result")))
    assert vjp_formulas(y, taken=["y", "result"]) == ["g * (1 - result_2 * result_2)"]
    g = functools.reduce(np.multiply, [leaf(normal(3), name=n) for n in ("g", "G")])
    assert vjp_formulas(g) == ["gradient * G", "gradient * g"]
    three = own("three", lambda a, b, c: a * b * c, *[lambda g, y, a, b, c: g * a * b * c] * 3)
    y = three(*(leaf(normal(3), name=n) for n in ("g", "G", "gradient")))
    assert vjp_formulas(y)[0] == "gradient_2 * g * G * gradient"


@pytest.mark.parametrize(
    "name", ["None", "True", "lambda", "np", "1", "-1", "2.5", " ", "g - 1", "f(x)", "a, b", "[3]"]
)
def test_a_name_that_would_be_read_as_something_else_is_changed_in_formulas(name):
    x, y = leaf(positive(2, 3), name=name), leaf(positive(3, seed=1), name="y")
    text, (of_x, of_y) = formula(x * y + np.sum(x)), vjp_formulas(x * y)
    (called, *_) = {*names_in(text)} - {"y", "sum"}
    close(value(text, **{called: x.data, "y": y.data}), (x * y + np.sum(x)).data)
    assert {*names_in(of_x)} == {"g", "y"} and {*names_in(of_y)} == {"g", called, "sum"}
    assert vjp_formulas(np.sum(x, axis=0)) == ["g[None]"]


@pytest.mark.parametrize(
    "name", ["w[0]", "layer.weight", "params['w']", "무게", "a->b", "my weight", "<b>"]
)
def test_other_names_stand_in_formulas_as_they_are(name):
    assert formula(leaf(normal(3), name=name) * 2) == f"{name} * 2"


def test_an_array_used_twice_is_one_value():
    x, y = leaf(normal(3), name="x"), normal(3, seed=1)
    loss = np.sum((x - y) * y)
    assert parameters(agrees(loss, locals())) == ["y", "x"]
    assert formula(loss, {"y": y}) == "sum((x - y) * y)"
    before, y[0] = x - y, 5
    loss = np.sum(before * y)
    assert parameters(agrees(loss, locals())) == ["c1", "y", "x"]


def deep_tanh(depth=3000):
    return functools.reduce(lambda t, _: np.tanh(t * 2), range(depth), leaf(normal(3), name="u"))


def test_one_function_for_each_parameter_to_the_last_digit():
    """Arrays inside a tuple, of which NumPy prints eight digits."""
    shift = op("shift", lambda x, by=(): x - by[0], lambda g, y, x, by=(): g, samples=[])
    near, far = (np.array([1.0]),), (np.array([1.0 + 1e-10]),)
    x = leaf(normal(3), name="x")
    loss = np.sum(shift(x, by=near) - shift(x, by=far)) * 1e10
    source = write_backprop(loss)
    assert abs(source.function()(**source.arguments)[0] - 3.0) < 1e-4


@pytest.mark.parametrize("declared", [True, False])
def test_random_draws_are_not_written_down(declared):
    """Neither those of a forward, declared or not, nor those of a vjp; asking draws nothing from the generator."""
    rng = np.random.default_rng(0)
    drop = own(
        "drop",
        lambda x: x * (rng.random(x.shape) > 0.5),
        lambda g, y, x: g * (y != 0),
        random=declared,
    )
    loss, before = np.sum(drop(leaf(normal(3), name="x")) * 2), rng.bit_generator.state
    with pytest.raises(
        TypeError,
        match=r"drop\(x: \(3,\) float64\) draws random numbers, and the source would .* draw outside",
    ):
        write_backprop(loss)
    assert rng.bit_generator.state == before
    noisy = own("noisy", lambda x: x * 2, lambda g, y, x: g * rng.random(x.shape))
    with pytest.raises(
        TypeError, match="a vjp of noisy draws random numbers, and the source would hold"
    ):
        write_backprop(np.sum(noisy(leaf(normal(3), name="x"))))


def test_draws_of_another_thread_meanwhile_are_no_matter(monkeypatch):
    """Where all vjps are the library's own, nobody looks at generators, nor puts them back."""

    def meanwhile(*args):
        drawn.append(np.random.random())
        return trace(*args)

    drawn = []
    monkeypatch.setattr("tinygrad_steel.written.source.trace", meanwhile)
    write_backprop(np.sum(leaf(normal(3), name="x") * 2))
    assert np.random.random() != drawn.pop()


def test_lines_for_tracebacks_go_with_the_function():
    before = {*linecache.cache}
    source = write_backprop(np.sum(leaf(normal(3), name="x") * 2))
    functions = [source.function(), source.function()]
    files = [f.__code__.co_filename for f in functions]
    assert [linecache.getline(file, 1) for file in files] == ["import numpy as np\n"] * 2
    functions.clear()
    gc.collect()
    assert not [name for name in {*linecache.cache} - before if name.startswith("<backprop")]


def test_keys_are_exact():
    """What is equal in Python, or printed alike, but another value, has another key; copies have the same."""
    large = np.zeros(2000)
    other = large.copy()
    other[1000] = 1.0
    different = [
        0,
        0.0,
        -0.0,
        False,
        None,
        "0",
        (),
        [],
        {},
        np.float64(0),
        np.float32(0),
        np.zeros(()),
        np.zeros(1),
    ]
    different += [
        large,
        other,
        (large,),
        (other,),
        [large],
        {"a": large},
        {"a": other},
        large.astype(int),
        1,
        True,
        1.0,
    ]
    different += [
        slice(0, 1),
        slice(0.0, 1),
        np.dtype(int),
        int,
        len,
        max,
        np.zeros((1, 1)),
        float("nan"),
        0j,
        -0j,
    ]
    for i, a in enumerate(different):
        for j, b in enumerate(different):
            assert (exact(a) == exact(b)) == (i == j), (a, b)
    alike = [
        (1, [2.0, {"b": large, "a": None}]),
        np.float64("nan"),
        float("nan"),
        slice(None, 3),
        {"c": (0.0, -0.0)},
    ]
    for v in alike:
        assert exact(v) == exact(copy.deepcopy(v)) and hash(exact(v)) == hash(
            exact(copy.deepcopy(v))
        )


def deep_sums(depth=1000):
    u = leaf(positive(3), name="u")
    return functools.reduce(lambda t, _: (t + u * t) * 0.5, range(depth), u)


def deep_wheres(depth=500):
    u = leaf(positive(3), name="u")
    return functools.reduce(
        lambda t, _: np.where(t + u > 0, np.tanh(t * 2.123), t * u), range(depth), u
    )


@pytest.mark.parametrize("make", [deep_tanh, deep_sums, deep_wheres])
def test_the_formula_of_a_deep_graph_is_short_and_soon_there(make):
    assert len(formula(make())) <= 250
    assert calls(formula, make(200)) < 2.5 * calls(formula, make(100))


def test_a_named_part_stands_for_itself_where_a_formula_grows_long():
    hidden = sum(leaf(normal(3), name=f"a_rather_long_name_{i}") for i in range(8))
    hidden.name = "hidden"
    assert formula(np.exp(hidden) - 1) == "exp(hidden) - 1"


def test_a_large_array_in_a_rule_does_not_flood_its_formula():
    table = normal(50, 3)
    looked_up = own("looked_up", lambda x: table @ x, lambda g, y, x: table.T @ g)
    (text,) = vjp_formulas(looked_up(leaf(normal(3), name="x")))
    assert len(text) <= 200


@pytest.mark.parametrize(
    "loss_of", [lambda x, m: np.mean(x[m] ** 2), lambda x, m: np.sum(np.square(x[m, None]))]
)
def test_a_mask_that_takes_another_number_of_elements_is_noticed(loss_of):
    """The numbers of elements in what is written (`/ 2`) are those of the traced mask."""
    x, m = (
        Tensor([1.0, 2.0, 3.0], requires_grad=True, name="x"),
        Tensor([True, False, True], name="m"),
    )
    source = write_backprop(loss_of(x, m))
    backprop = source.function()
    share = 0.5 if "mean" in source else 1
    loss, g = backprop(x=np.array([1.0, 2.0, 4.0]), m=np.array([False, True, True]))
    assert loss == 20 * share
    np.testing.assert_array_equal(g, [0.0, 4.0 * share, 8.0 * share])
    with pytest.raises(ValueError, match=r"t1 is \(1,.*, and was \(2,"):
        backprop(x=np.array([1.0, 2.0, 4.0]), m=np.array([False, False, True]))


def test_a_product_keeps_its_order_where_another_one_would_round_to_fewer_digits():
    """NumPy's functions of int8 are in float16: 1000 * exp(5) is not, and 0.76 * tanh(1) is rounded there."""
    x, w = (
        Tensor(np.array([5, 1], np.int8), name="x"),
        Tensor([1.0, 2.0], requires_grad=True, name="w"),
    )
    short = np.exp(x.data)
    assert short.dtype == np.float16
    source = write_backprop(np.sum(1000 * (np.exp(x) * w)))
    np.testing.assert_allclose(
        source.function()(**source.arguments)[1], 1000.0 * short.astype(float), rtol=1e-14
    )


def test_a_product_stays_in_the_range_of_float16():
    x = Tensor(np.full(10, 200, np.float16), requires_grad=True, name="x")
    source = write_backprop((np.mean(np.square(x)) - 40000) * 200)
    _, g = source.function()(**source.arguments)
    np.testing.assert_allclose(g, np.full(10, 2 * 200 * 200 / 10), rtol=2e-3)
