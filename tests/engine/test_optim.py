"""Optimizers: their steps against numbers by hand and scalar formulas, and what they refuse."""

import io
import math

import numpy as np
import pytest

from tinygrad_steel import SGD, Adam, Optimizer, Tensor, compile_backprop, compile_epoch

pytestmark = pytest.mark.filterwarnings("error")
OPTIMIZERS = [
    pytest.param(SGD, id="SGD"),
    pytest.param(lambda ps, lr: SGD(ps, lr, momentum=0.9), id="momentum"),
    pytest.param(Adam, id="Adam"),
]


def parameter(data, dtype=float, name=None):
    return Tensor(np.array(data, dtype=dtype), requires_grad=True, name=name)


def walk(make, gradients, start):
    """The values of a parameter as these gradients come in, one step after the other."""
    p = parameter(start)
    optimizer, path = make([p]), []
    for g in gradients:
        p.grad = np.array(g, dtype=float)
        optimizer.step()
        path.append(p.numpy())
    return path


def test_sgd():
    path = walk(lambda ps: SGD(ps, learning_rate=0.5), [[1, -2], [4, 0]], start=[10, 20])
    np.testing.assert_array_equal(path, [[9.5, 21], [7.5, 21]])


def test_momentum():
    """v = 1, 2.5, 0.25: each half of the one before plus the gradient; the steps are 0.1 v."""
    path = walk(lambda ps: SGD(ps, learning_rate=0.1, momentum=0.5), [1, 2, -1], start=1)
    np.testing.assert_allclose(path, [0.9, 0.65, 0.625], rtol=1e-14)


def scalar_adam(gradients, w, rate, beta1, beta2, epsilon):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w -= rate * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + epsilon)
        yield w


@pytest.mark.parametrize("settings", [(0.1, 0.9, 0.999, 1e-8), (0.5, 0.5, 0.75, 0.1)])
def test_adam(settings):
    gradients = np.array([[1, -3], [0.5, 0], [-2, 10]])
    path = walk(lambda ps: Adam(ps, *settings), gradients, start=[1, 2])
    expected = [[*scalar_adam(gradients[:, i], w, *settings)] for i, w in enumerate([1.0, 2.0])]
    np.testing.assert_allclose(path, np.transpose(expected), rtol=1e-13)


def test_adam_on_a_constant_slope():
    """Both means are then exact from the first step on, thanks to their correction: every step is the learning rate."""
    path = walk(lambda ps: Adam(ps, learning_rate=0.25), [[7, -0.01]] * 3, start=[1, 1])
    np.testing.assert_allclose(path, [[0.75, 1.25], [0.5, 1.5], [0.25, 1.75]], rtol=1e-5)


def test_defaults():
    np.testing.assert_allclose(walk(SGD, [2, 2], start=1), [0.998, 0.996])
    np.testing.assert_allclose(
        walk(Adam, [2, 3], start=1), [*scalar_adam([2, 3], 1, 0.001, 0.9, 0.999, 1e-8)]
    )


def test_training():
    """On (w - 3)^2 with rate 1/4 the distance to 3 halves at every step."""
    w = parameter(0)
    optimizer = SGD([w], learning_rate=0.25)
    for step in range(1, 11):
        optimizer.zero_grad()
        assert w.grad is None
        (w - 3).square().backward()
        optimizer.step()
        assert w.item() == 3 - 3 * 0.5**step


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_every_parameter_moves_by_its_own_gradient(make):
    a, b = parameter([1, 1]), parameter([[1]])
    optimizer = make(iter([a, b]), 0.1)  # an iterator serves as well as a list
    for _ in range(2):
        optimizer.zero_grad()
        (a * np.array([1.0, -1.0])).sum().backward()
        (b * 0).sum().backward()
        optimizer.step()
    assert a.data[0] < 0.9 and a.data[1] > 1.1 and b.data == 1


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_the_learning_rate_can_be_changed(make):
    p = parameter(1)
    optimizer = make([p], 0.1)
    optimizer.learning_rate = 1e-6
    p.grad = np.array(1.0)
    optimizer.step()
    assert p.item() == pytest.approx(1 - 1e-6, abs=1e-12)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_float32_stays_float32(make):
    p = parameter([1, 2], dtype=np.float32)
    optimizer = make([p], 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        p.square().sum().backward()
        optimizer.step()
    assert p.dtype == p.grad.dtype == np.float32
    assert all(p.data < [1, 2])


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_step_leaves_gradients_alone(make):
    p = parameter([1, 2])
    optimizer = make([p], 0.1)
    p.grad = given = np.array([3.0, 4.0])
    optimizer.step()
    optimizer.step()
    assert p.grad is given and given.tolist() == [3, 4]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_loss_from_before_the_step_is_out_of_date(make):
    p = parameter([1, 2], name="weight")
    optimizer, loss = make([p], 0.1), (p * p).sum()
    loss.backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="weight.*changed.*multiply"):
        loss.backward()


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_step_without_a_gradient(make):
    p, q = parameter([1], name="weight"), parameter([1], name="bias")
    optimizer = make([p, q], 0.1)
    p.grad = np.array([1.0])
    with pytest.raises(RuntimeError, match=r"bias.*no gradient.*backward\(\)"):
        optimizer.step()
    assert p.data == 1  # all or nothing: the step can be tried again
    q.grad = np.array([1.0])
    optimizer.step()
    assert p.data == q.data != 1


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_refused_parameters(make):
    p = parameter([1])
    for parameters, words in [
        ([], "at least one"),
        ([p, parameter([1]), p], "only once"),
        ([p, Tensor([1.0], name="data")], "data.*requires_grad=True"),
        ([p * 2], "cannot be trained"),
        ([np.ones(2)], "cannot be trained"),
        ([1.0], "cannot be trained"),
    ]:
        with pytest.raises(ValueError, match=words):
            make(parameters, 0.1)


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("rate", [0, -0.1, math.nan])
def test_refused_learning_rates(make, rate):
    with pytest.raises(ValueError, match=f"learning rate.*{rate}"):
        make([parameter([1])], rate)


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, math.nan])
def test_refused_settings(value):
    for make, words in [
        (lambda ps: SGD(ps, momentum=value), "momentum"),
        (lambda ps: Adam(ps, beta1=value), "beta1"),
        (lambda ps: Adam(ps, beta2=value), "beta2"),
        (lambda ps: Adam(ps, epsilon=-abs(value)), "epsilon"),
    ]:
        with pytest.raises(ValueError, match=words):
            make([parameter([1])])


# float16: a step is computed in float32, and rounded once


def test_adam_in_float16_takes_the_steps_of_float32():
    start, gradients = (
        [1.0, -2.0, 3.0],
        [[1e-4, -3e-4, 0.5], [2e-5, 1e-4, -0.25], [0.0, 6e-8, 100.0]],
    )
    small = Tensor(np.array(start, np.float16), requires_grad=True)
    optimizer = Adam([small], learning_rate=0.01)
    mean, square, p = np.zeros(3), np.zeros(3), np.array(start, np.float16)
    for n, g in enumerate(gradients, 1):
        small.grad = np.array(g, np.float16)
        optimizer.step()
        g = np.array(g, np.float16).astype(
            float
        )  # Kingma and Ba's algorithm 1 in float64, from the rounded gradient
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        p = (p - 0.01 * (mean / (1 - 0.9**n)) / (np.sqrt(square / (1 - 0.999**n)) + 1e-8)).astype(
            np.float16
        )
        np.testing.assert_array_equal(small.data, p)
        assert small.data.dtype == np.float16 and all(
            x.dtype == np.float32 for x in optimizer.states[0]
        )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_in_float16_rounds_once(momentum):
    p = Tensor(np.array([1.0, 1.0], np.float16), requires_grad=True)
    p.grad = np.array([0.0006, 900.0], np.float16)
    SGD([p], learning_rate=1.0, momentum=momentum).step()
    expected = (1.0 - np.array([0.0006, 900.0], np.float16).astype(float)).astype(np.float16)
    np.testing.assert_array_equal(p.data, expected)
    p.grad, before = np.array([60000.0, 1.0], np.float16), p.data.astype(float)
    SGD(
        [p], learning_rate=1e-8, momentum=momentum
    ).step()  # 1e-8 is 0 in float16: the step would be lost
    np.testing.assert_array_equal(
        p.data, (before - 1e-8 * np.array([60000.0, 1.0])).astype(np.float16)
    )


@pytest.mark.parametrize(
    "make", [lambda p: Adam(p, 0.01), lambda p: SGD(p, 0.01, 0.9), lambda p: SGD(p, 0.01)]
)
def test_compiled_float16_is_eager_float16(make):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype(np.float16), rng.normal(size=8).astype(np.float16)
    eager, compiled = (
        Tensor(np.full(3, 0.5, np.float16), requires_grad=True, name="w") for _ in range(2)
    )
    optimizer, other = make([eager]), make([compiled])
    step = compile_backprop(
        np.mean(np.square(Tensor(x, name="x") @ compiled - Tensor(y, name="y"))),
        optimizer=other,
        backend="numpy",
    )
    for _ in range(5):
        optimizer.zero_grad()
        np.mean(np.square(Tensor(x) @ eager - y)).backward()
        optimizer.step()
        step(x, y)
        np.testing.assert_allclose(compiled.data.astype(float), eager.data.astype(float), rtol=2e-3)
    assert optimizer.steps == other.steps == 5


def test_a_learning_rate_as_text_says_what_to_write():
    p = Tensor([1.0], requires_grad=True)
    with pytest.raises(
        TypeError, match=r"the learning rate is a number, not '0\.1': write float\('0\.1'\)"
    ):
        SGD([p], "0.1")


@pytest.mark.parametrize(
    "methods, missing",
    [
        ({}, r"Mine has no numbers\(dtype\)"),
        ({"numbers": lambda self, dtype: ()}, r"Mine has no rule\(g, state, \*numbers\)"),
    ],
)
def test_an_optimizer_of_ones_own_that_lacks_a_method(methods, missing):
    mine, p = type("Mine", (Optimizer,), methods), parameter([1])
    p.grad = np.ones(1)
    with pytest.raises(NotImplementedError, match=missing):
        mine([p], learning_rate=0.1).step()


# The state, out and in


class Growing(Optimizer):
    """Keeps two things for each parameter, and names but one of them."""

    remembered = ("sum",)

    def __init__(self, parameters, learning_rate=0.1):
        super().__init__(parameters, learning_rate)
        self.states = [[np.zeros(p.shape, p.dtype), np.ones((), p.dtype)] for p in self.parameters]

    def numbers(self, dtype):
        return (np.array(self.learning_rate / (1 + self.steps), dtype),)

    def rule(self, g, state, rate):
        total, factor = state
        return rate * factor * (g + total), [total + g, factor * 0.75]


STATEFUL = [*OPTIMIZERS, pytest.param(Growing, id="own")]


def a_model(dtype=float):
    """Two parameters, their names equal, and a loss of a batch."""
    rng = np.random.default_rng(5)
    weight = Tensor(rng.normal(size=(3, 2)).astype(dtype), requires_grad=True, name="w")
    bias = Tensor(rng.normal(size=2).astype(dtype), requires_grad=True, name="w")
    x, y = (
        Tensor(rng.normal(size=(4, n)).astype(dtype), name=name) for n, name in [(3, "x"), (2, "y")]
    )
    return [weight, bias], (x, y), np.mean(np.square(np.tanh(x @ weight + bias) - y))


def batches(dtype=float):
    rng = np.random.default_rng(6)
    return [tuple(rng.normal(size=(8, n)).astype(dtype) for n in (3, 2)) for _ in range(6)]


def eager_runner(make, dtype=float):
    """Parameters, their optimizer, and what trains them on 8 rows in two steps."""
    parameters, _, _ = a_model(dtype)
    optimizer = make(parameters)
    weight, bias = parameters

    def run(xs, ys):
        for rows in (slice(0, 4), slice(4, 8)):
            optimizer.zero_grad()
            out = np.tanh(Tensor(xs[rows]) @ weight + bias)
            np.mean(np.square(out - ys[rows])).backward()
            optimizer.step()

    return parameters, optimizer, run


def step_runner(backend):
    def runner(make, dtype=float):
        parameters, _, loss = a_model(dtype)
        optimizer = make(parameters)
        step = compile_backprop(loss, optimizer=optimizer, backend=backend)

        def run(xs, ys):
            for rows in (slice(0, 4), slice(4, 8)):
                step(xs[rows], ys[rows])

        return parameters, optimizer, run

    return runner


def epoch_runner(backend):
    def runner(make, dtype=float):
        parameters, batch, loss = a_model(dtype)
        optimizer = make(parameters)
        return (
            parameters,
            optimizer,
            compile_epoch(loss, batch, optimizer=optimizer, backend=backend),
        )

    return runner


RUNNERS = {
    "eager": eager_runner,
    "a step of NumPy": step_runner("numpy"),
    "an epoch of NumPy": epoch_runner("numpy"),
    "a step of numba": step_runner("numba"),
    "an epoch of numba": epoch_runner("numba"),
}


def rate_as_argument(make):
    return lambda parameters: make(parameters, 0.1)


@pytest.mark.parametrize("fresh", [True, False], ids=["in a new optimizer", "in a used one"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("make", STATEFUL)
def test_training_goes_on_to_the_last_bit(make, runner, dtype, fresh):
    """Three and three calls are six, with the state through a file in between."""
    build, data = RUNNERS[runner], batches(dtype)
    parameters, optimizer, run = build(rate_as_argument(make), dtype)
    for batch in data[:3]:
        run(*batch)
    file = io.BytesIO()
    np.savez(file, **optimizer.state())
    middle = [p.numpy() for p in parameters]
    for batch in data[3:]:
        run(*batch)
    right, at_the_end = [p.numpy() for p in parameters], optimizer.state()

    if fresh:
        parameters, optimizer, run = build(rate_as_argument(make), dtype)
    for p, x in zip(parameters, middle):
        p.data = x.copy()
    file.seek(0)
    with np.load(file) as arrays:
        optimizer.load_state(arrays)
    for batch in data[3:]:
        run(*batch)
    for p, x in zip(parameters, right):
        assert p.data.tobytes() == x.tobytes()
    for (name, x), (other, y) in zip(optimizer.state().items(), at_the_end.items()):
        assert name == other and x.dtype == y.dtype and x.tobytes() == y.tobytes()
    assert optimizer.steps == 12


def used(make, steps=2):
    """An optimizer that has done some steps on a parameter of two numbers, and one of three."""
    parameters = [parameter([1, 2]), parameter([3, 4, 5])]
    optimizer = make(parameters)
    for _ in range(steps):
        for p in parameters:
            p.grad = np.arange(1.0, p.size + 1)
        optimizer.step()
    return optimizer


def test_what_a_state_says():
    """v = g, then 0.5 g + g; Adam's mean after two equal gradients is 0.75 g with beta1 = 0.5."""
    g = np.arange(1.0, 4)
    assert {name: x.tolist() for name, x in used(SGD).state().items()} == {"steps": 2}
    state = used(lambda ps: SGD(ps, 0.1, momentum=0.5)).state()
    assert [*state] == ["steps", "velocity 0", "velocity 1"]
    np.testing.assert_array_equal(state["velocity 1"], 1.5 * g)
    state = used(lambda ps: Adam(ps, 0.1, beta1=0.5, beta2=0.75)).state()
    assert [*state] == ["steps", "mean 0", "square 0", "mean 1", "square 1"]
    np.testing.assert_array_equal(state["mean 0"], 0.75 * g[:2])
    np.testing.assert_array_equal(state["square 1"], 0.4375 * g**2)
    assert state["steps"] == 2 and state["steps"].dtype == np.int64
    assert [*used(Growing).state()] == ["steps", "sum 0", "state1 0", "sum 1", "state1 1"]


@pytest.mark.parametrize("make", STATEFUL)
def test_a_state_is_a_copy_on_both_sides(make):
    make = rate_as_argument(make)
    first, second = used(make), used(make, 1)
    state, right = first.state(), first.state()
    second.load_state(state)
    for x in state.values():
        x[...] = 77
    for optimizer in (first, second):
        for name, x in optimizer.state().items():
            np.testing.assert_array_equal(x, right[name])


def test_a_state_is_not_the_memory_of_a_compiled_step():
    _, optimizer, run = step_runner("numpy")(Adam)
    first, second = batches()[:2]
    run(*first)
    state, right = optimizer.state(), optimizer.state()
    run(*second)
    for name, x in state.items():
        np.testing.assert_array_equal(x, right[name])
    assert np.any(optimizer.state()["mean 0"] != right["mean 0"])


WRONG_STATES = {
    "nothing": (
        lambda s: {},
        "lacks 'steps', and Adam .* remembers steps, mean 0, square 0, mean 1",
    ),
    "one missing": (lambda s: drop(s, "mean 1"), "lacks 'mean 1'"),
    "one too many": (lambda s: {**s, "mean 2": s["mean 1"]}, "has 'mean 2'"),
    "of another kind": (
        lambda s: used(lambda ps: SGD(ps, 0.1, momentum=0.5)).state(),
        "lacks 'mean 0'",
    ),
    "a shape": (
        lambda s: {**s, "mean 1": s["mean 0"]},
        r"'mean 1' as \(2,\) float64, and Adam needs \(3,\) float64",
    ),
    "one that would broadcast": (lambda s: {**s, "mean 1": np.zeros(1)}, r"as \(1,\) float64"),
    "a dtype": (lambda s: {**s, "square 0": s["square 0"].astype("f4")}, r"as \(2,\) float32"),
    "objects": (lambda s: {**s, "square 0": np.array([None, None])}, r"as \(2,\) object"),
    "half a step": (lambda s: {**s, "steps": np.array(0.5)}, r"'steps' as \(\) float64"),
    "many steps": (lambda s: {**s, "steps": np.array([2])}, r"'steps' as \(1,\) int64"),
    "steps below 0": (lambda s: {**s, "steps": np.array(-1)}, "has -1 steps"),
}


def drop(state, name):
    return {key: x for key, x in state.items() if key != name}


@pytest.mark.parametrize("wrong", WRONG_STATES)
def test_a_wrong_state_changes_nothing(wrong):
    change, message = WRONG_STATES[wrong]
    optimizer, other = used(Adam, 1), used(Adam, 3)
    before = optimizer.state()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state(change(other.state()))
    after = optimizer.state()
    assert [*after] == [*before]
    for name, x in before.items():
        np.testing.assert_array_equal(after[name], x)


def test_a_loaded_count_is_that_of_the_bias_correction():
    """By hand: with equal gradients, and epsilon 0, each of Adam's steps is the learning rate."""
    state = used(lambda ps: Adam(ps, 1.0, epsilon=0.0)).state()
    fresh = used(lambda ps: Adam(ps, 1.0, epsilon=0.0), steps=0)
    p, q = fresh.parameters
    before = p.numpy()
    p.grad, q.grad = np.arange(1.0, 3), np.arange(1.0, 4)
    fresh.load_state(state)
    fresh.step()
    np.testing.assert_allclose(before - p.data, 1, rtol=1e-12)
