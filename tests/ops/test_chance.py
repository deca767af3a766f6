"""dropout and noise: the same draws along every road, held fixed where something is compared."""

import copy
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from helpers import close, counted, leaf, random_like

from tinygrad_steel import (
    SGD,
    Tensor,
    batch_norm,
    check_gradients,
    compare_backprop,
    compile_backprop,
    compile_epoch,
    draw,
    dropout,
    export_onnx,
    formula,
    grad,
    hessian,
    hvp,
    jacobian,
    layer_norm,
    no_grad,
    noise,
    scope,
    value_and_grad,
    write_backprop,
)

pytestmark = pytest.mark.filterwarnings("error")
EITHER = pytest.mark.parametrize("backend", ["numpy", "numba"])
KINDS = pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
FLOATS = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def state(rng):
    """Where a generator is: what it would give next."""
    return copy.deepcopy(rng).random(4).tolist()


def numbers(*shape, seed=0, dtype=float):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


class Net:
    """Two dropouts and noise from one generator, one of them from another; `rngs` in one state for each seed."""

    def __init__(self, seed=3, kind=np.random.default_rng, dtype=float, rows=4):
        self.rng, self.other = kind(seed), kind(seed + 1)
        self.w, self.v = (
            leaf(numbers(*s, seed=i), dtype, n)
            for i, (s, n) in enumerate([((3, 5), "w"), ((5, 2), "v")])
        )
        self.x = Tensor(numbers(rows, 3, seed=5, dtype=dtype), name="x")
        self.y = Tensor(numbers(rows, 2, seed=6, dtype=dtype), name="y")

    @property
    def parameters(self):
        return [self.w, self.v]

    def loss(self, x=None, y=None):
        x, y = self.x if x is None else x, self.y if y is None else y
        with scope("first"):
            h = np.tanh(dropout(x, 0.25, self.rng) @ self.w)
            with scope("inner"):
                h = dropout(h, 0.5, self.rng)
        out = noise(h @ self.v, 0.3, self.other)
        return np.mean(np.square(dropout(out, 0.1, self.rng) - y))

    def gradients(self):
        """The loss and the gradients of one call, in eager mode."""
        for p in self.parameters:
            p.grad = None
        loss = self.loss()
        loss.backward()
        return loss.item(), [p.grad for p in self.parameters]


def by_hand(net, rng, other):
    """The loss and the gradients from the mathematics, drawn from these generators, forward first."""
    x, y, w, v = (t.numpy() for t in (net.x, net.y, net.w, net.v))
    m1 = (rng.random(x.shape) >= 0.25) / 0.75
    h = np.tanh((x * m1) @ w)
    m2 = (rng.random(h.shape) >= 0.5) / 0.5
    out = (h * m2) @ v
    out = out + other.normal(0, 0.3, out.shape)
    m3 = (rng.random(out.shape) >= 0.1) / 0.9
    e = out * m3 - y
    G_out = 2 * e / e.size * m3
    G_h = G_out @ v.T * m2 * (1 - h * h)
    return np.mean(e * e), [(x * m1).T @ G_h, (h * m2).T @ G_out]


# What is drawn


def test_a_mask_keeps_its_share_and_the_mean():
    """Of 200,000 elements a share of 0.3 is dropped, with a standard deviation of 0.001."""
    x = np.full((400, 500), 2.0)
    y = dropout(x, 0.3, np.random.default_rng(1))
    assert {*np.unique(y)} == {0.0, 2.0 / 0.7}
    assert abs(np.mean(y == 0) - 0.3) < 0.005
    assert abs(y.mean() - 2.0) < 0.02
    # and neither rows nor columns are dropped together: 1 / sqrt(500) is 0.045 each
    assert np.mean(y == 0, axis=0).std() < 0.04 and np.mean(y == 0, axis=1).std() < 0.04


def test_every_element_is_drawn_anew_at_each_call():
    rng, x = np.random.default_rng(1), np.ones(6)
    kept = np.mean([dropout(x, 0.3, rng) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(kept, 1.0, atol=0.06)  # 1 / sqrt(4000) * sqrt(0.3 / 0.7) is 0.01


def test_noise_has_its_spread_and_no_mean():
    y = noise(np.full((400, 500), 2.0), 0.5, np.random.default_rng(1))
    assert abs(y.mean() - 2.0) < 0.01 and abs(y.std() - 0.5) < 0.01


def test_a_rate_of_0_keeps_all_and_draws_all_the_same():
    rng, twin, x = np.random.default_rng(1), np.random.default_rng(1), numbers(3, 2)
    np.testing.assert_array_equal(dropout(x, 0.0, rng), x)
    np.testing.assert_array_equal(noise(x, 0.0, rng), x)
    twin.random((3, 2)), twin.normal(size=(3, 2))
    assert state(rng) == state(twin)


@KINDS
@FLOATS
def test_the_dtype_is_that_of_the_data_and_the_mask_that_of_all(kind, dtype):
    x = numbers(4, 3, dtype=dtype)
    y, z = dropout(x, 0.5, kind(2)), noise(x, 0.5, kind(2))
    assert y.dtype == z.dtype == dtype
    wide = dropout(x.astype(float), 0.5, kind(2))
    np.testing.assert_array_equal(y == 0, wide == 0)
    assert dropout(np.ones(3, int), 0.5, kind(2)).dtype == np.float64
    assert dropout(leaf(x, dtype), 0.5, kind(2)).dtype == dtype
    assert dropout(leaf(2.0), 0.5, kind(2)).shape == ()
    assert dropout([1.0, 2.0], 0.5, kind(2)).shape == (2,)


# The same along every road


@KINDS
def test_eager_is_the_hand_chain(kind):
    net = Net(kind=kind)
    rng, other = kind(3), kind(4)
    for _ in range(3):  # three calls, each with draws of its own
        value, gradients = net.gradients()
        right, expected = by_hand(net, rng, other)
        close(np.float64(value), right, rtol=1e-12)
        for g, e in zip(gradients, expected):
            close(g, e, rtol=1e-10)
    assert state(net.rng) == state(rng) and state(net.other) == state(other)


@KINDS
@FLOATS
def test_the_source_draws_what_the_graph_drew_as_often_as_it_is_run(kind, dtype):
    net = Net(kind=kind, dtype=dtype)
    net.gradients()  # the graph is not the first to draw
    for p in net.parameters:
        p.grad = None
    loss = net.loss()
    loss.backward()
    after = state(net.rng), state(net.other)
    source = write_backprop(loss)
    backprop = source.function()
    for _ in range(2):
        value, *gradients = backprop(**source.arguments)
        assert value == loss.item()
        for g, p in zip(gradients, net.parameters):
            assert g.dtype == dtype
            close(
                g,
                p.grad,
                rtol=1e3 * np.finfo(dtype).eps,
                atol=10 * np.finfo(dtype).eps,
            )
    assert (state(net.rng), state(net.other)) == after  # nobody has drawn from theirs


def test_the_source_reads_as_one_writes_it():
    net = Net()
    source = write_backprop(net.loss())
    assert "def backprop(x, y, w, v, rng, rng_2):" in source
    lines = [line.strip() for line in source.splitlines() if "rng" in line][1:]
    assert lines == [
        "mask = (rng.random(x.shape) >= 0.25) / (1 - 0.25)",
        "mask_2 = (rng.random(t2.shape) >= 0.5) / (1 - 0.5)",
        "noise = rng_2.normal(0, 0.3, t4.shape)",
        "mask_3 = (rng.random(t5.shape) >= 0.1) / (1 - 0.1)",
    ]
    assert "#" not in source.replace("# forward", "").replace("# backward", "")
    assert "def backprop(x, y, w, v, mine, rng):" in write_backprop(
        net.loss(), {"mine": net.rng, "theirs": np.random.default_rng(3)}
    )


def test_the_source_draws_from_another_generator_of_ones_own():
    net, rng, other = Net(), np.random.default_rng(8), np.random.default_rng(9)
    source = write_backprop(net.loss())
    arrays = {n: a for n, a in source.arguments.items() if not n.startswith("rng")}
    value, *gradients = source.function()(**arrays, rng=rng, rng_2=other)
    right, expected = by_hand(net, np.random.default_rng(8), np.random.default_rng(9))
    close(value, right, rtol=1e-12)
    for g, e in zip(gradients, expected):
        close(g, e, rtol=1e-10)


def test_the_source_where_somebody_draws_in_between():
    """The second mask begins in a state of its own, so that it has a generator of its own."""
    rng, x = np.random.default_rng(1), leaf(numbers(3, 4), name="x")
    first = dropout(x, 0.5, rng)
    rng.normal(size=7)
    unused = dropout(x, 0.5, rng)  # not in the loss: nothing of it is written
    second = dropout(first, 0.5, rng)
    loss = np.sum(second * numbers(3, 4, seed=2))
    loss.backward()
    source = write_backprop(loss)
    assert "def backprop(c1, x, rng, rng_2):" in source and unused.shape == (3, 4)
    close(source.function()(**source.arguments)[1], x.grad, rtol=1e-12)


def test_the_order_is_that_of_the_calls_not_of_the_use():
    """The backward comes to the last mask first, and the loss names the second one first."""
    rng, x = np.random.default_rng(1), leaf(numbers(3, 4), name="x")
    a, b = dropout(x, 0.5, rng), dropout(np.sin(x), 0.25, rng)
    loss = np.sum(b * numbers(3, 4, seed=2)) + np.sum(np.square(a))
    loss.backward()
    twin = np.random.default_rng(1)
    m, n = (twin.random((3, 4)) >= 0.5) / 0.5, (twin.random((3, 4)) >= 0.25) / 0.75
    right = numbers(3, 4, seed=2) * n * np.cos(x.data) + 2 * x.data * m * m
    close(x.grad, right)
    source = write_backprop(loss)
    close(source.function()(**source.arguments)[1], right)
    for backend in ("numpy", "numba"):
        rng.bit_generator.state = np.random.default_rng(1).bit_generator.state
        x.grad = None
        compile_backprop(loss, backend=backend)()
        close(x.grad, right)


@EITHER
@KINDS
@FLOATS
def test_steps_draw_as_eager_does(backend, kind, dtype):
    """To compile draws nothing, and each of three steps draws anew."""
    net, rtol = Net(kind=kind, dtype=dtype), 1e3 * np.finfo(dtype).eps
    recorded = net.loss()
    before = state(net.rng), state(net.other)
    step = compile_backprop(recorded, backend=backend)
    assert (state(net.rng), state(net.other)) == before
    eager = Net(kind=kind, dtype=dtype)
    eager.loss()
    for _ in range(3):
        value = step(net.x.data, net.y.data)
        right, expected = eager.gradients()
        close(np.float64(value), right, rtol=rtol)
        for p, g in zip(net.parameters, expected):
            close(p.grad, g, rtol=rtol, atol=rtol)
    assert state(net.rng) == state(eager.rng) and state(net.other) == state(eager.other)


@EITHER
@KINDS
def test_epochs_draw_as_eager_does(backend, kind):
    """11 rows in batches of 4: the masks of the last batch are those of 3 rows."""
    xs, ys = numbers(11, 3), numbers(11, 2, seed=1)
    net, eager = Net(kind=kind), Net(kind=kind)
    loss, _ = net.loss(), eager.loss()
    before = state(net.rng), state(net.other)
    optimizer = SGD(net.parameters, 0.05)
    epoch = compile_epoch(loss, (net.x, net.y), optimizer=optimizer, backend=backend)
    assert (state(net.rng), state(net.other)) == before
    optimizer = SGD(eager.parameters, 0.05)
    for _ in range(2):
        losses, expected = epoch(xs, ys), []
        for i in (0, 4, 8):
            number = eager.loss(Tensor(xs[i : i + 4]), Tensor(ys[i : i + 4]))
            optimizer.zero_grad()
            number.backward()
            optimizer.step()
            expected.append(number.item())
        close(losses, expected, rtol=1e-10)
        for p, q in zip(net.parameters, eager.parameters):
            close(p.data, q.data, rtol=1e-10)
    assert state(net.rng) == state(eager.rng) and state(net.other) == state(eager.other)


@EITHER
def test_an_epoch_with_samples_in_columns(backend):
    """The mask has the batch along its second axis, in the last batch, too."""
    xs, w, v = numbers(11, 3), leaf(numbers(2, 3)), leaf(numbers(2, 3))
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)

    def loss(x, weight, rng):
        return np.mean(np.square(dropout(np.tanh(weight @ x.T), 0.5, rng) - 1))

    x = Tensor(xs[:4], name="x")
    epoch = compile_epoch(loss(x, w, rng), [x], optimizer=SGD([w], 0.1), backend=backend)
    twin.random((2, 4))
    epoch(xs)
    optimizer = SGD([v], 0.1)
    for i in (0, 4, 8):
        v.grad = None
        loss(Tensor(xs[i : i + 4]), v, twin).backward()
        optimizer.step()
    close(w.data, v.data, rtol=1e-10)


@EITHER
def test_two_masks_of_the_same_are_two(backend):
    """Same input, rate and generator: nothing may make one of them."""
    rng, x = np.random.default_rng(1), leaf(numbers(5, 4), name="x")
    loss = np.sum(dropout(x, 0.5, rng) * dropout(x, 0.5, rng))
    twin = np.random.default_rng(1)
    twin.random((5, 4)), twin.random((5, 4))  # the recorded ones
    compile_backprop(loss, backend=backend)()
    masks = [(twin.random((5, 4)) >= 0.5) / 0.5 for _ in range(2)]
    close(x.grad, 2 * x.data * masks[0] * masks[1])


def test_what_has_no_history_is_drawn_anew_all_the_same():
    """The input is a constant, its mask is not."""
    rng, w = np.random.default_rng(1), leaf(numbers(3), name="w")
    x = Tensor(np.ones(3))
    step = compile_backprop(np.sum(dropout(x, 0.5, rng) * w), backend="numpy")
    found = []
    for _ in range(20):
        step()
        found.append(w.grad.tolist())
    assert len({*map(tuple, found)}) > 3


class Drawn:
    """A random program of nine steps, each of which goes into the loss, with draws anywhere."""

    def __init__(self, seed):
        dice = np.random.default_rng(seed)
        self.rngs = [np.random.default_rng(seed + 1), np.random.RandomState(seed + 2)]
        self.x = Tensor(dice.normal(size=(4, 5)), name="x")
        self.w, self.s, self.b = (
            leaf(dice.normal(size=n), name=name) for n, name in [((5, 5), "w"), (5, "s"), (5, "b")]
        )
        self.steps = [
            (dice.integers(9), dice.integers(3, size=2), dice.uniform(0, 0.9), dice.integers(2))
            for _ in range(9)
        ]

    def loss(self):
        values = [self.x]
        for kind, places, rate, which in self.steps:
            a, b = (values[-1 - i % len(values)] for i in places)
            values.append(self.step(kind, a, b, rate, self.rngs[which]))
        return sum(np.mean(np.sin(v) + self.b * v) for v in values[1:])

    def step(self, kind, a, b, rate, rng):
        made = [
            lambda: dropout(a, rate, rng),
            lambda: noise(a, rate, rng),
            lambda: dropout(a, rate, rng) - dropout(b, rate, rng),
            lambda: dropout(a.T, rate, rng).T,
            lambda: a + dropout(self.w, rate, rng)[0],
            lambda: np.tanh(a @ self.w),
            lambda: a * b + self.b,
            lambda: batch_norm(a, self.s, self.b, 0.1),
            lambda: layer_norm(a, self.s, self.b, 0.1),
        ]
        return made[kind]()

    def gradients(self):
        """The loss and the gradients, from the walk back."""
        for p in (self.w, self.s, self.b):
            p.grad = None
        loss = self.loss()
        loss.backward()
        return loss, {p.name: p.grad for p in (self.w, self.s, self.b) if p.grad is not None}


@pytest.mark.parametrize("first", range(0, counted(200, 20), 10))
def test_random_programs(first):
    for seed in range(first, first + 10):
        program, eager = Drawn(seed), Drawn(seed)
        loss, expected = program.gradients()
        after = [*map(state, program.rngs)]
        source = write_backprop(loss)
        for _ in range(2):
            value, *gradients = source.function()(**source.arguments)
            close(value, loss.data, rtol=1e-10)
            names = [name for name in source.arguments if name in expected]
            for name, g in zip(names, gradients):
                close(g, expected[name], rtol=1e-7, atol=1e-9)
        step = compile_backprop(loss, backend="numpy")
        assert [*map(state, program.rngs)] == after
        eager.loss()
        for _ in range(2):
            value = step(*[program.x.data] * len(step.arguments))
            right, expected = eager.gradients()
            close(np.float64(value), right.item(), rtol=1e-10)
            for name, g in expected.items():
                close(step.gradients[name], g, rtol=1e-7, atol=1e-9)


# Gradients


def test_the_mask_is_a_constant_to_gradients():
    x, G = leaf(numbers(4, 3)), random_like(np.empty((4, 3)))
    y = dropout(x, 0.5, np.random.default_rng(1))
    y.backward(G)
    mask = (np.random.default_rng(1).random((4, 3)) >= 0.5) / 0.5
    np.testing.assert_array_equal(x.grad, G * mask)
    np.testing.assert_array_equal(y.inputs[1].data, mask)
    assert y.inputs[1].name == "mask" and not y.inputs[1].requires_grad
    x.grad = None
    noise(x, 0.5, np.random.default_rng(1), name="shake").backward(G)
    np.testing.assert_array_equal(x.grad, G)


def test_second_order():
    """The Hessian of sum((x * m) ** 3) is 6 * x * m ** 3 on the diagonal."""
    x = leaf(numbers(5))
    (g,) = grad(np.sum(dropout(x, 0.5, np.random.default_rng(1)) ** 3), [x])
    np.sum(g * numbers(5, seed=1)).backward()
    mask = (np.random.default_rng(1).random(5) >= 0.5) / 0.5
    close(x.grad, 6 * x.data * mask**3 * numbers(5, seed=1))


def test_finite_differences_hold_the_draws_fixed():
    """Afterwards the generators are where one call leaves them; in between the function draws for itself, too."""
    net, twin = Net(), Net()
    drawn = []

    def loss(w, v):
        drawn.append(net.rng.random())  # before the masks: they are what they were
        net.w, net.v = w, v
        return net.loss()

    check_gradients(loss, net.w.numpy(), net.v.numpy())
    assert len(drawn) > 30
    twin.rng.random()
    twin.loss()
    assert state(net.rng) == state(twin.rng) and state(net.other) == state(twin.other)
    with pytest.raises(AssertionError, match="wrong"):  # a gradient that is wrong is still found
        check_gradients(lambda x: dropout(x, 0.5, net.rng) * x.detach(), numbers(5))


@pytest.mark.parametrize("derivative", [value_and_grad, jacobian, hessian, hvp])
def test_derivatives_evaluate_once(derivative):
    rng, twin, x = np.random.default_rng(1), np.random.default_rng(1), numbers(5)
    vector = [numbers(5, seed=3)] if derivative is hvp else []
    found = derivative(lambda x: np.sum(dropout(x, 0.5, rng) ** 2))(x, *vector)
    m = (twin.random(5) >= 0.5) / 0.5
    right = {
        value_and_grad: 2 * x * m * m,
        jacobian: 2 * x * m * m,
        hessian: np.diag(2 * m * m),
        hvp: 2 * m * m * numbers(5, seed=3),
    }
    close(found[1] if derivative is value_and_grad else found, right[derivative])
    assert state(rng) == state(twin)


def test_no_grad_draws_and_remembers_nothing():
    rng, twin, x = np.random.default_rng(1), np.random.default_rng(1), leaf(numbers(5))
    with no_grad():
        y = dropout(x, 0.5, rng)
    assert y.op is None and not y.requires_grad
    np.testing.assert_array_equal(y.data, x.data * ((twin.random(5) >= 0.5) / 0.5))


# Somebody's own chain


def graph_and_arrays():
    net = Net()
    return net, net.loss(), [t.numpy() for t in (net.x, net.y, net.w, net.v)]


def own_chain(x, y, w, v, rng, other, forgets=False):
    """A backprop as people write it, with its own draws."""
    m1 = (rng.random(x.shape) >= 0.25) / 0.75
    xd = x * m1
    h = np.tanh(xd @ w)
    m2 = (rng.random(h.shape) >= 0.5) / 0.5
    hd = h * m2
    out = hd @ v
    out = out + other.normal(0, 0.3, out.shape)
    m3 = (rng.random(out.shape) >= 0.1) / 0.9
    e = out * m3 - y
    G_e = 2 * e / e.size
    G_out = G_e * m3
    G_v = hd.T @ G_out
    G_hd = G_out @ v.T
    G_h = G_hd if forgets else G_hd * m2
    G_z = G_h * (1 - h * h)
    G_w = xd.T @ G_z
    return G_w, G_v


def test_a_chain_that_draws_from_the_same_generators_is_right():
    net, loss, arrays = graph_and_arrays()
    after = state(net.rng), state(net.other)
    for rngs in [(net.rng, net.other), (np.random.default_rng(3), np.random.default_rng(4))]:
        report = compare_backprop(
            loss, {"w": net.w, "v": net.v}, backprop=partial(own_chain, *arrays, *rngs)
        )
        assert report.ok, report
    assert (state(net.rng), state(net.other)) == after


def test_a_chain_that_forgets_a_mask_in_the_backward_is_told():
    net, loss, arrays = graph_and_arrays()
    report = compare_backprop(
        loss,
        {"w": net.w, "v": net.v},
        backprop=lambda: own_chain(*arrays, net.rng, net.other, forgets=True),
    )
    assert not report.ok
    assert "the factor mask_2 is missing" in report.first_wrong.reason


def test_a_chain_with_another_state_is_told_to_have_another_forward():
    net, loss, arrays = graph_and_arrays()
    after = state(net.rng), state(net.other)
    rngs = np.random.default_rng(30), np.random.default_rng(40)
    report = compare_backprop(
        loss, {"w": net.w, "v": net.v}, backprop=lambda: own_chain(*arrays, *rngs)
    )
    assert not report.ok and report.first_wrong.name == "mask"
    assert "your m1 has other draws than the graph's mask" in report.first_wrong.reason
    with pytest.raises(ZeroDivisionError):  # an error puts them back, too
        compare_backprop(loss, {"w": net.w, "v": net.v}, backprop=lambda: 1 / 0)
    assert (state(net.rng), state(net.other)) == after


def test_gradients_by_hand_with_the_masks_of_the_graph():
    rng, w = np.random.default_rng(1), leaf(numbers(3, 2), name="w")
    x = Tensor(numbers(4, 3, seed=1), name="x")
    h = dropout(x @ w, 0.5, rng)
    loss = np.mean(np.square(h - 1))
    mask = h.inputs[1].numpy()
    G_h = 2 * (h.numpy() - 1) / 8
    right, wrong = x.numpy().T @ (G_h * mask), x.numpy().T @ G_h
    assert compare_backprop(loss, locals(), G_h=G_h, G_w=right).ok
    report = compare_backprop(loss, locals(), G_h=G_h, G_w=wrong)
    assert not report.ok and "mask" in report.first_wrong.reason


# Pictures, formulas, files


def test_a_picture_shows_each_draw_as_a_card_with_its_rate():
    net = Net()
    text = str(draw(net.loss()))
    assert text.count("mask  dropout_mask  (4, 3)  rate=0.25") == 1
    assert "noise  normal_noise  (4, 2)  spread=0.3" in text
    assert "Generator" not in text and "0x" not in text
    assert text.count("x  (4, 3)") == 1  # the mask takes its shape alone


def test_a_formula_says_what_is_drawn():
    x = Tensor(np.ones(3), name="x")
    rng = np.random.default_rng(1)
    assert formula(np.sum(dropout(x, 0.5, rng))) == "sum(x * dropout_mask(0.5))"
    assert formula(noise(x, 0.5, rng)) == "x + normal_noise(0.5)"


def test_a_file_refuses(tmp_path):
    pytest.importorskip("onnx")
    net = Net()
    with pytest.raises(
        TypeError, match=r"mask \(dropout_mask\) is drawn anew .* if training else h"
    ):
        export_onnx(net.loss(), tmp_path / "net.onnx", [net.x, net.y])
    noisy = noise(net.x, 0.1, np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"h = noise\(h, spread, rng\) if training else h"):
        export_onnx(noisy, tmp_path / "net.onnx", [net.x])


def test_to_import_the_library_loads_no_generators():
    """np.random takes half as long to load as all ops together."""
    code = (
        "import sys, numpy; before = {*sys.modules}; import tinygrad_steel;"
        "assert 'numpy.random' not in {*sys.modules} - before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Refusals


X = np.ones(3)
GENERATOR = np.random.default_rng(1)


@pytest.mark.parametrize("function", [dropout, noise])
@pytest.mark.parametrize("rng", [None, 3, np.random, "rng", np.random.default_rng])
def test_what_is_no_generator_is_refused(function, rng):
    seed = 3 if rng == 3 else "seed"
    words = rf"{function.__name__} draws from a generator.*rng = np\.random\.default_rng\({seed}\)"
    with pytest.raises(TypeError, match=words):
        function(X, 0.5, rng)
    with pytest.raises(TypeError, match=r"write rng = np\.random\.default_rng"):
        function(X, 0.5)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, np.nan, np.inf, True])
def test_a_rate_outside_of_0_to_below_1_is_refused(rate):
    with pytest.raises(ValueError, match=r"0 <= rate < 1 \(0.5 drops half\), not"):
        dropout(X, rate, GENERATOR)


@pytest.mark.parametrize("spread", [-0.1, np.nan, np.inf])
def test_a_spread_that_is_none_is_refused(spread):
    with pytest.raises(ValueError, match="a standard deviation, 0 or more, not"):
        noise(X, spread, GENERATOR)


@pytest.mark.parametrize("wrong", ["0.5", None, Tensor(0.5), np.array([0.5, 0.1])])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(TypeError, match="rate is a number, through which no gradient flows"):
        dropout(X, wrong, GENERATOR)
    with pytest.raises(TypeError, match="spread is a number"):
        noise(X, wrong, GENERATOR)
