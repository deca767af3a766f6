"""Folds: their formulas, run block by block, give what the graph gave; what follows folds as well."""

import contextlib

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import Tensor, conv2d, draw, relu, scope, sigmoid
from tinygrad_steel.picture.cards import cards_of
from tinygrad_steel.picture.gradients import gradients_of
from tinygrad_steel.picture.graph import graph_of
from tinygrad_steel.picture.repetitions import find_folds
from tinygrad_steel.program import blocks

RNG = np.random.default_rng(7)
FUNCTIONS = {
    "tanh": np.tanh,
    "sum": np.sum,
    "square": np.square,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def parameter(*shape, name):
    return leaf(RNG.normal(0, 0.5, shape), name=name)


def given(name, *shape):
    return Tensor(RNG.normal(size=shape), name=name)


def folds(loss, **options):
    return [c for c in draw(loss, fold=True, **options).scene.cards if c.kind == "fold"]


def computed(lines, **names):
    """What the lines of a fold compute from these arrays."""
    known = FUNCTIONS | names
    *before, last = (line.split(", t = ")[0] for line in lines)
    for line in before:
        exec(line, {}, known)
    return eval(last.split(" = ")[-1], {}, known)


def rnn(steps, named=True, scoped=True, together=False):
    """Its loss, its states and what it is made of: one array per step, or `x[:, t]` of one."""
    W, U, b = parameter(3, 3, name="W"), parameter(2, 3, name="U"), parameter(3, name="b")
    states, losses = [given("h0", 4, 3)], []
    every = given("x", 4, steps, 2)
    inputs = [every[:, t] if together else given(f"x{t}", 4, 2) for t in range(steps)]
    for t, x in enumerate(inputs):
        with scope(f"step[{t}]") if scoped else contextlib.nullcontext():
            h = np.tanh(states[-1] @ W + x @ U + b)
        if named:
            h.name = f"h{t + 1}"
        states.append(h)
        losses.append(np.sum(np.square(h)))
    return sum(losses), states, inputs, {"W": W.data, "U": U.data, "b": b.data}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("scoped", [True, False])
def test_an_rnn_says_what_goes_from_step_to_step_and_what_comes_in(named, scoped):
    loss, states, inputs, weights = rnn(5, named, scoped)
    step = folds(loss)[0]
    assert (step.count, step.facts[0]) == (5, "tanh(h @ W + x @ U + b)")
    assert step.facts[1] == "(4, 3) -> (4, 3)"
    for h, x, result in zip(states, inputs, states[1:]):
        found = computed(step.facts[:1], h=h.data, x=x.data, **weights)
        np.testing.assert_allclose(found, result.data, rtol=1e-12)


@pytest.mark.parametrize("scoped", [True, False])
def test_steps_of_one_array_fold_with_their_index(scoped):
    loss, states, inputs, weights = rnn(6, scoped=scoped, together=True)
    step = folds(loss)[0]
    assert step.count == 6
    assert step.facts[0] == "tanh(h @ W + x[:, t] @ U + b), t = 0, ..., 5"
    assert not [c for c in draw(loss, fold=True).scene.cards if c.op == "getitem"]
    x = inputs[0].inputs[0].data
    found = computed(step.facts[:1], h=states[3].data, x=x, t=3, **weights)
    np.testing.assert_allclose(found, states[4].data, rtol=1e-12)


@pytest.mark.parametrize("named", [True, False])
def test_the_losses_of_all_steps_fold_and_so_does_their_sum(named):
    loss, states, *_ = rnn(9, named)
    _, losses, total = folds(loss)
    assert (losses.name, losses.count, losses.facts[0]) == ("square -> sum", 9, "sum(square(h))")
    assert (total.count, total.facts[0]) == (
        7,
        "previous + sum(...)",
    )  # 0 + the first, and the result
    assert len(draw(loss, fold=True).scene.cards) < 20
    assert computed(losses.facts[:1], h=states[2].data) == np.sum(states[2].data ** 2)


def test_both_directions_of_a_recurrence_fold():
    W, U = parameter(2, 3, name="W"), parameter(3, 3, name="U")
    V, R = parameter(2, 3, name="V"), parameter(3, 3, name="R")
    inputs = [given(f"x{t}", 4, 2) for t in range(6)]
    ahead, back = [given("f0", 4, 3)], [given("b0", 4, 3)]
    for x in inputs:
        ahead.append(np.tanh(x @ W + ahead[-1] @ U))
    for x in reversed(inputs):
        back.append(np.tanh(x @ V + back[-1] @ R))
    pairs = zip(ahead[1:], back[:0:-1])
    loss = sum(np.sum(np.square(np.concatenate(pair, axis=1))) for pair in pairs)
    found = {fold.facts[0]: fold.count for fold in folds(loss)}
    assert found.pop("previous + sum(...)") == 4
    assert found == {
        "tanh(x @ W + h @ U)": 6,
        "tanh(x @ V + h @ R)": 6,
        "sum(square(concatenate([h, h_2], axis=1)))": 6,
    }


def lstm(steps, named):
    """The results of an LSTM: all gates in one product."""
    W, U, b = parameter(2, 12, name="W"), parameter(3, 12, name="U"), parameter(12, name="b")
    h, c = given("h0", 4, 3), given("c0", 4, 3)
    states, inputs = [(h, c)], [given(f"x{t}", 4, 2) for t in range(steps)]
    for t, x in enumerate(inputs):
        with scope(f"cell[{t}]"):
            z = x @ W + h @ U + b
            i, f, o = (sigmoid(z[:, k : k + 3]) for k in (0, 3, 6))
            c = f * c + i * np.tanh(z[:, 9:])
            h = o * np.tanh(c)
        if named:
            h.name, c.name = f"h{t + 1}", f"c{t + 1}"
        states.append((h, c))
    return np.sum(np.square(h)), states, inputs, {"W": W.data, "U": U.data, "b": b.data}


@pytest.mark.parametrize("named", [True, False])
def test_the_cell_of_an_lstm_has_a_line_for_each_state(named):
    loss, states, inputs, weights = lstm(4, named)
    (cell,) = folds(loss)
    assert cell.facts[:3] == [
        "z = x @ W + h @ U + b",
        "c = sigmoid(z[:, 3:6]) * c + sigmoid(z[:, 0:3]) * tanh(z[:, 9:])",
        "h = sigmoid(z[:, 6:9]) * tanh(c)",
    ]
    for (h, c), x, (result, _) in zip(states, inputs, states[1:]):
        found = computed(cell.facts[:3], h=h.data, c=c.data, x=x.data, **weights)
        np.testing.assert_allclose(found, result.data, rtol=1e-12)


def test_gates_with_names_have_lines():
    h, w, u = given("h0", 4, 3), parameter(3, 3, name="w"), parameter(3, 3, name="u")
    for t in range(3):
        with scope(f"cell[{t}]"):
            gate = sigmoid(h @ u)
            gate.name = f"gate{t}"
            h = gate * h + (1 - gate) * np.tanh(h @ w)
    (cell,) = folds(h.sum())
    assert cell.facts[:2] == [
        "gate = sigmoid(h @ u)",
        "h = gate * h + (1 - gate) * tanh(h @ w)",
    ]


def test_a_state_that_is_used_after_the_next_one_is_made_is_told_apart():
    """The new c and the one before stand in one formula."""
    h, c, w = given("h0", 3), given("c0", 3), parameter(3, name="w")
    befores = [(h, c)]
    for t in range(3):
        with scope(f"cell[{t}]"):
            new = np.tanh(c * w)
            h, c = h + new * c, new
        befores.append((h, c))
    (cell,) = folds((h + c).sum())
    assert cell.facts[:2] == ["c = tanh(previous_c * w)", "h = h + c * previous_c"]
    (h0, c0), (h1, _) = befores[:2]
    found = computed(cell.facts[:2], h=h0.data, previous_c=c0.data, w=w.data)
    np.testing.assert_allclose(found, h1.data, rtol=1e-12)


def test_a_block_of_a_convolution():
    h = given("x", 2, 8, 8, 3)
    for i in range(3):
        kernel, b = parameter(3, 3, 3, 3, name=f"k{i}"), parameter(3, name=f"b{i}")
        with scope(f"conv[{i}]"):
            h = relu(conv2d(h, kernel, padding="same") + b)
    (block,) = folds(h.sum())
    assert block.facts[0] in ("relu(conv2d(h, k) + b)", 'relu(conv2d(h, k, padding="same") + b)')
    assert block.facts[1] == "(2, 8, 8, 3) -> (2, 8, 8, 3)"


def test_leaves_with_names_of_their_own_are_said_by_block():
    h = given("x", 4, 3)
    for i, name in enumerate(["query", "key", "value"]):
        with scope(f"layer[{i}]"):
            h = np.tanh(h @ parameter(3, 3, name=name))
    assert folds(h.sum())[0].facts[0] == "tanh(h @ query), ..., tanh(h @ value)"


@pytest.mark.parametrize("shared", [True, False])
def test_side_by_side_what_is_shared_has_its_own_name(shared):
    x = given("x", 4, 3)
    inputs = [x] * 3 if shared else [given(f"view{i}", 4, 3) for i in range(3)]
    heads = []
    for i, one in enumerate(inputs):
        with scope(f"head[{i}]"):
            heads.append(np.tanh(one @ parameter(3, 2, name=f"w{i}")))
    text = folds(np.concatenate(heads, axis=1).sum())[0].facts[0]
    assert text == ("tanh(x @ w)" if shared else "tanh(view @ w)")


def test_a_number_beside_a_tensor_is_in_its_place():
    """2 - h and h - 2 are not alike."""
    h = given("x", 3)
    for i in range(4):
        with scope(f"step[{i}]"):
            h = 2 - h if i % 2 else h - 2
    assert not folds(h.sum())


# Random cells


STEPS = {
    "add": lambda a, b, n: a + b,
    "subtract": lambda a, b, n: a - b,
    "multiply": lambda a, b, n: a * b,
    "matmul": lambda a, b, n: a @ b,
    "tanh": lambda a, b, n: np.tanh(a),
    "sigmoid": lambda a, b, n: sigmoid(a),
    "square": lambda a, b, n: np.square(a),
    "times": lambda a, b, n: a * n,
}


def random_cells(seed):
    """The result of equal steps, of one or two states, of whatever else they may use."""
    r = np.random.default_rng(seed)
    count, size = r.integers(2, 7), r.integers(1, 3)

    def leaf_of_its_own(name, requires_grad):
        return Tensor(r.normal(0, 0.5, (3, 3)), bool(requires_grad), name=name)

    states = [leaf_of_its_own(f"s{k}", r.random() < 0.3) for k in range(size)]
    shared = [leaf_of_its_own(name, True) for name in "WU"[: r.integers(0, 3)]]
    every = Tensor(r.normal(size=(3, count, 3)), name="x")
    with_x, with_slice, with_weight, named, named_parts, scoped = (r.random(6) < 0.5).tolist()
    recipe = [(r.choice([*STEPS]), *r.integers(0, 100, 2)) for _ in range(r.integers(2, 7))]
    numbers = np.arange(2.0, 2 + count) if r.random() < 0.5 else np.full(count, 1.5)
    losses = []
    for i in range(count):
        made = [*states, *shared]
        made += [leaf_of_its_own(f"x{i}", False)] * with_x + [every[:, i]] * with_slice
        made += [leaf_of_its_own(f"w{i}", True)] * with_weight
        with scope(f"cell[{i}]") if scoped else contextlib.nullcontext():
            for k, (step, a, b) in enumerate(recipe):
                first = made[-1] if a < 50 else made[a % len(made)]
                made.append(STEPS[step](first, made[b % len(made)], float(numbers[i])))
                if named_parts and a % 3 == 0:
                    made[-1].name = f"part{k}_{i}"
        states = made[-size:]
        for state, name in zip(states, "hc"):
            if named and state.op is not None and not state.name:
                state.name = f"{name}{i + 1}"
        losses.append(np.sum(np.square(states[-1])))
    return sum(losses) + sum(np.sum(state * state) for state in states)


@pytest.mark.parametrize("seed", range(120))
def test_the_lines_of_random_cells_compute_every_block(seed):
    """Names stand for arrays, block by block; what the lines make of them is what the graph has."""
    with np.errstate(all="ignore"):
        graph = graph_of(random_cells(seed), None, None)
        cards = cards_of(graph, gradients_of(graph, "forward"), "forward", False)
    for fold in find_folds(graph, cards).found:
        columns = blocks.columns_of(fold.blocks, graph.names)
        called = blocks.call_columns(columns)
        kept = blocks.places_used_outside(columns, graph.users)
        parts = blocks.call_parts(columns, called, kept)
        called = blocks.tell_apart(columns, called, parts)
        if any("..." in name for names in called.values() for name in names):
            continue  # no name, and so nothing to compute with
        for k, block in enumerate(fold.blocks):
            known = FUNCTIONS | {names[k]: x.tensors[k].data for x, names in called.items()}
            for place, (line, _) in blocks.said(k, columns, called, parts).items():
                name, _, expression = line.rpartition(" = ")
                with np.errstate(all="ignore"):
                    known[name] = eval(expression, {}, known)
                np.testing.assert_allclose(known[name], block[place].data, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "lines, text",
    [
        (["h * 2"] * 3, "h * 2"),
        (["h * 1", "h * 2"], "h * 1, then h * 2"),
        (["h * 1", "h * 2", "h * 1"], "h * 1, h * 2, ..."),
        (["x[3]", "x[2]", "x[1]", "x[0]"], "x[t], t = 3, ..., 0"),
        (["x[0]", "x[2]", "x[4]"], "x[t], t = 0, 2, ..., 4"),
        (["x[0]", "x[1]"], "x[t], t = 0, 1"),
        (["x[0]", "x[1]", "x[3]"], "x[0], ..., x[3]"),
        (["x[0] * y[5]", "x[1] * y[4]", "x[2] * y[3]"], "x[0] * y[5], ..., x[2] * y[3]"),
        (["x[0, 5]", "x[1, 5]", "x[2, 5]"], "x[t, 5], t = 0, ..., 2"),
        (["t * x[0]", "t * x[1]", "t * x[2]"], "t * x[0], ..., t * x[2]"),
        (["x[0] ** 2", "x[1] ** 3", "x[2] ** 4"], "x[0] ** 2, ..., x[2] ** 4"),
    ],
)
def test_lines_as_one(lines, text):
    assert blocks.as_one(lines) == text
