"""Frames of a training run: their numbers are those of a fresh run, whatever loop trains, and they stay small."""

import itertools
import json
import sys
import tracemalloc

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import (
    SGD,
    Adam,
    FrozenNumberWarning,
    Record,
    Tensor,
    compile_backprop,
    compile_epoch,
    dropout,
    no_grad,
    noise,
    op,
    relu,
    sigmoid,
    softmax_cross_entropy,
)
from tinygrad_steel.picture.page.record import SIDES, cells, text_of, with_last

STEPS = 12
PARAMETERS = ("w1", "b1", "w2", "b2")


class Network:
    """A loss of one hidden layer, over a batch of its own and over any other."""

    def __init__(self, rows=6, inputs=4, units=5, classes=3, activation=relu, size=1.0):
        rng = np.random.default_rng(4)
        self.xs = rng.normal(size=(rows, inputs))
        self.ys = rng.integers(0, classes, rows)
        shapes = {"w1": (inputs, units), "b1": (units,), "w2": (units, classes), "b2": (classes,)}
        self.parameters = {
            name: leaf(size * rng.normal(size=s), name=name) for name, s in shapes.items()
        }
        self.activation = activation
        self.loss = self.of(self.xs, self.ys)
        self.batch = self.x, self.y

    def of(self, xs, ys):
        """The loss of a batch, with x, y, h and z in `self`."""
        p = self.parameters
        self.x, self.y = Tensor(xs, name="x"), Tensor(ys, name="y")
        self.h = self.activation(self.x @ p["w1"] + p["b1"])
        self.z = self.h @ p["w2"] + p["b2"]
        return softmax_cross_entropy(self.z, self.y).mean()

    def fresh(self, arrays):
        """Loss, values and gradients of a new graph with these parameters."""
        other = object.__new__(Network)
        other.activation = self.activation
        other.parameters = {name: leaf(a, a.dtype, name) for name, a in arrays.items()}
        loss = other.of(self.xs, self.ys)
        loss.backward()
        return loss, other

    def arrays(self):
        return {name: t.numpy() for name, t in self.parameters.items()}


def read(run, frame, value):
    """What a frame holds of a value of the graph, as numbers; as it was traced where that did not change."""
    text = frame.arrays.get(value)
    return json.loads(text) if text else text_of(value, run.traced.numbers()[value], run.side)


def numbers(entry):
    return np.array([float(v) for v in entry["v"].split(" ")])


def shows(entry, array):
    """Whether an entry has the numbers of an array that is not sampled, to three digits, and its statistics."""
    np.testing.assert_allclose(numbers(entry), array.ravel(), rtol=5.1e-3, atol=0)
    found = [entry["min"], entry["max"], entry["norm"]]
    np.testing.assert_allclose(
        found, [array.min(), array.max(), np.linalg.norm(array)], rtol=1e-3, atol=1e-12
    )
    np.testing.assert_allclose(entry["mean"], array.mean(), rtol=1e-3, atol=1e-12)


# Loops: each yields before its first step and after each one


def eager(network, make):
    optimizer = make([*network.parameters.values()])
    yield
    for _ in range(STEPS):
        optimizer.zero_grad()
        network.of(network.xs, network.ys).backward()
        optimizer.step()
        yield


def step_by_step(network, make):
    optimizer = make([*network.parameters.values()])
    step = compile_backprop(network.loss, optimizer=optimizer, backend="numpy")
    yield
    for _ in range(STEPS):
        step(x=network.xs, y=network.ys)
        yield


def epochs(network, make, backend="numpy"):
    optimizer = make([*network.parameters.values()])
    epoch = compile_epoch(network.loss, batch=network.batch, optimizer=optimizer, backend=backend)
    yield
    for _ in range(STEPS):
        epoch(network.xs, network.ys)
        yield


def in_machine_code(network, make):
    pytest.importorskip("numba")
    yield from epochs(network, make, "numba")


def by_hand(network, make):
    """New arrays are assigned each time, as a loop without an optimizer does."""
    yield
    for _ in range(STEPS):
        _, other = network.fresh(network.arrays())
        for name, t in network.parameters.items():
            t.data = t.data - 0.5 * other.parameters[name].grad
        yield


LOOPS = [eager, step_by_step, epochs, in_machine_code, by_hand]


def sgd(parameters):
    return SGD(parameters, 0.5)


def kept(loop, make=sgd, **options):
    """A network trained by a loop, its Record, and the parameters at each step."""
    network = Network()
    run = Record(network.loss, **options)
    past = []
    for step, _ in enumerate(loop(network, make)):
        past.append(network.arrays())
        run.keep(step)
    return network, run, past


@pytest.mark.parametrize("loop", LOOPS)
def test_a_frame_is_what_a_fresh_run_gives(loop):
    network, run, past = kept(loop, every=3)
    assert run.steps == [0, 3, 6, 9, 12]
    traced = run.traced
    for frame in run.frames:
        loss, other = network.fresh(past[frame.step])
        assert frame.loss == pytest.approx(loss.item(), rel=1e-12)
        for name, t in network.parameters.items():
            value = traced.made[t]
            shows(read(run, frame, value), past[frame.step][name])
            shows(read(run, frame, traced.gradient_of[value]), other.parameters[name].grad)
        h, z = (next(y for y in traced.forward if is_result(y, t)) for t in ("relu", "z"))
        shows(read(run, frame, h), other.h.numpy())
        shows(read(run, frame, z), other.z.numpy())
    assert run.frames[-1].loss < 0.5 * run.frames[0].loss  # it was trained at all


def is_result(y, what):
    """Whether a value of the forward is the relu, or the logits."""
    if what == "relu":
        return y.op is not None and y.op.name == "relu"
    return y.op is not None and y.op.name == "add" and y.shape == (6, 3)


@pytest.mark.parametrize("make", [sgd, lambda p: Adam(p, 0.05)])
def test_all_loops_give_the_same_frames(make):
    losses = [kept(loop, make)[1].losses for loop in LOOPS[:4]]
    for other in losses[1:]:
        np.testing.assert_allclose(other, losses[0], rtol=1e-9)


def test_a_batch_of_its_own():
    """What the frames show is one batch, whichever ones the network is trained on."""
    network = Network()
    run = Record(network.loss)
    rng = np.random.default_rng(0)
    for step in range(4):
        assert run.keep(step)
        expected = network.fresh(network.arrays())[0].item()
        assert run.losses[-1] == pytest.approx(expected, rel=1e-12)
        optimizer = SGD([*network.parameters.values()], 0.1)
        network.of(rng.normal(size=(9, 4)), rng.integers(0, 3, 9)).backward()
        optimizer.step()


def test_what_is_assigned_to_data_is_followed():
    """Of a Tensor without a name, too; and one that wants no gradient."""
    x, scale = Tensor([[1.0, 2.0]]), Tensor(3.0, name="scale")
    w = leaf([[1.0], [1.0]], name="w")
    run = Record(((x @ w) * scale).sum())
    run.keep(0)
    x.data = np.array([[4.0, 8.0]])
    run.keep(1)
    scale.data = np.array(-1.0)
    run.keep(2)
    assert run.losses == [9.0, 36.0, -12.0]
    last = run.frames[-1]
    assert numbers(read(run, last, run.traced.made[x])).tolist() == [4.0, 8.0]


def test_a_frame_holds_what_has_changed_and_nothing_else():
    network, run, _ = kept(eager)
    first, last = run.frames[0], run.frames[-1]
    assert not first.arrays
    assert {run.traced.made[t] for t in network.parameters.values()} <= {*last.arrays}
    assert run.traced.made[network.batch[0]] not in last.arrays


def test_nothing_is_touched():
    rng = np.random.default_rng(3)
    x, w = Tensor(np.ones((5, 4)), name="x"), leaf(np.full((4, 4), 0.5), name="w")
    loss = dropout(x @ w, 0.5, rng).sum()
    loss.backward()
    data, gradient, age, state = w.data, w.grad, w.age, rng.bit_generator.state
    before = data.tobytes(), gradient.tobytes()
    with no_grad():
        run = Record(loss)
        assert run.keep(0)
        assert run.keep(1)
    assert w.data is data and w.grad is gradient and w.age == age
    assert (data.tobytes(), gradient.tobytes()) == before
    assert rng.bit_generator.state == state
    assert run.losses == [loss.item()] * 2


def test_the_masks_of_dropout_stay():
    rng = np.random.default_rng(3)
    x, w = Tensor(np.ones((5, 4)), name="x"), leaf(np.ones((4, 4)), name="w")
    y = dropout(x @ w, 0.5, rng)
    run = Record(y.sum())
    mask = y.inputs[1].numpy()
    for step in range(4):
        w.data = np.full((4, 4), step + 1.0)
        run.keep(step)
    assert run.losses == [4.0 * (step + 1) * mask.sum() for step in range(4)]
    assert run.traced.made[y.inputs[1]] not in run.frames[-1].arrays


def test_it_works_while_a_generator_goes_on():
    """A frame draws nothing: the training after it is the same as without it."""
    ends = []
    for with_record in (False, True):
        rng, network = np.random.default_rng(1), Network()
        p = network.parameters
        optimizer = SGD([*p.values()], 0.1)
        run = None
        for step in range(5):
            h = noise(relu(Tensor(network.xs) @ p["w1"] + p["b1"]), 0.1, rng)
            loss = softmax_cross_entropy(h @ p["w2"] + p["b2"], network.y).mean()
            if with_record:
                run = run or Record(loss)
                run.keep(step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ends.append(p["w1"].numpy())
    np.testing.assert_array_equal(*ends)


# How many frames, and how large


@pytest.mark.parametrize("most", [2, 5, 40])
@pytest.mark.parametrize("calls", [1, 2, 7, 100, 1001])
def test_beyond_most_every_other_frame_goes(most, calls):
    w = leaf([1.0], name="w")
    run = Record(w.sum(), most=most)
    answers = []
    for step in range(calls):
        w.data = np.array([float(step)])
        answers.append(run.keep(step))
        assert len(run) <= most
        assert answers[-1] == (run.steps[-1] == step)
    gaps = {*np.diff(run.steps).tolist()}
    assert len(gaps) <= 1 and gaps <= {run.every}
    assert run.steps[0] == 0 and run.losses == [float(step) for step in run.steps]
    assert run.every & (run.every - 1) == 0  # it has doubled
    assert calls < 2 * most or len(run) > most // 2 - 1


def test_frames_stay_evenly_far_apart_where_steps_are_told_seldom():
    w = leaf([1.0], name="w")
    run = Record(w.sum(), most=10)
    for step in range(0, 1000, 10):
        run.keep(step)
    assert {*np.diff(run.steps).tolist()} == {run.every} == {160}


def test_the_step_told_last_is_shown_as_well():
    w = leaf([1.0], name="w")
    run = Record(w.sum(), every=10)
    for step in range(15):
        w.data = np.array([float(step)])
        run.keep(step)
    assert run.steps == [0, 10]
    assert [(f.step, f.loss) for f in with_last(run)] == [(0, 0.0), (10, 10.0), (14, 14.0)]
    assert run.steps == [0, 10]  # looking changes nothing
    w.data = np.array([99.0])  # trained on, and nobody has said to which step
    assert [f.step for f in with_last(run)] == [0, 10]


SHAPES = [(), (7,), (300,), (10, 64), (64, 32), (3, 28, 28, 8), (0, 4), (1, 1, 500)]


@pytest.mark.parametrize("shape", SHAPES)
def test_as_much_of_an_array_as_there_is_room_for(shape):
    w = leaf(np.random.default_rng(0).normal(size=shape), name="w")
    run = Record((w * 2.0).sum())
    for side in SIDES:
        run.side = side
        entry = text_of(run.traced.made[w], w.data, run.side)
        assert entry["rows"] * entry["cols"] == cells(shape, side) <= max(side * side, 4 * side)
        rows = w.numpy().reshape(-1, shape[-1] if shape else 1)
        if "ri" in entry:
            rows = rows[np.ix_(entry["ri"], entry["ci"])]
        if w.size:
            np.testing.assert_allclose(numbers(entry), rows.ravel(), rtol=5.1e-3)


def deep(layers=3, width=8, activation=sigmoid, size=1.0):
    """A loss of many layers of one width."""
    rng = np.random.default_rng(2)
    h = Tensor(rng.normal(size=(16, width)), name="x")
    ws = [leaf(size * rng.normal(size=(width, width)), name=f"w{i}") for i in range(layers)]
    for w in ws:
        h = activation(h @ w)
    return ((h - 0.3) ** 2).mean(), ws


@pytest.mark.parametrize("layers", [1, 3, 30, 60])
def test_frames_do_not_grow_with_the_network(layers):
    loss, ws = deep(layers, width=64)
    run = Record(loss)
    for w in ws:
        w.data = w.data * 0.9
    run.keep(0)
    found = sum(len(text) for text in {*run.frames[0].arrays.values()})
    assert found * run.most < 600_000
    assert run.most >= {1: 40, 3: 40, 30: 5, 60: 3}[layers]


def steel_like():
    """The shapes of the steel plates, a perceptron of 64 and 32 units."""
    rng = np.random.default_rng(1)
    x, y = Tensor(rng.normal(size=(10, 27)), name="x"), Tensor(rng.integers(0, 7, 10), name="y")
    sizes = [27, 64, 32, 7]
    ws = [
        leaf(rng.normal(size=pair) * np.sqrt(2 / pair[0]), name=f"w{i}")
        for i, pair in enumerate(itertools.pairwise(sizes), 1)
    ]
    bs = [leaf(np.zeros(n), name=f"b{i}") for i, n in enumerate(sizes[1:], 1)]
    h = x
    for w, b in zip(ws[:-1], bs):
        h = relu(h @ w + b)
    return softmax_cross_entropy(h @ ws[-1] + bs[-1], y).mean(), [*ws, *bs]


def test_a_run_of_200_epochs_takes_a_few_hundred_kilobytes():
    loss, parameters = steel_like()
    run = Record(loss)
    rng = np.random.default_rng(0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for epoch in range(200):
            for p in parameters:
                p.data -= 0.01 * rng.normal(size=p.shape)
            run.keep(epoch)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    text = sum(len(t) for frame in run.frames for t in frame.arrays.values())
    print(f"{len(run)} frames: {taken / 1024:.0f} KB of memory, {text / 1024:.0f} KB of text")
    assert 20 < len(run) <= 40
    assert max(taken, text) < 600 * 1024


def test_vectors_do_not_count_as_matrices():
    small = Record(Network().loss)
    assert small.side == 40  # there is room for all of it
    run = Record(steel_like()[0])
    assert 6 <= run.side < 40


# What is refused


def test_what_has_no_gradient():
    with pytest.raises(RuntimeError, match="no gradient"):
        Record(Tensor([1.0, 2.0], name="x").sum())
    with pytest.raises(ValueError, match="element"):
        Record(leaf([1.0, 2.0]) * 2)
    with pytest.raises(TypeError, match="no graph"):
        Record(3.0)


def test_numbers_that_were_read():
    w, t = leaf([1.0, -2.0], name="w"), Tensor(2.0, name="t")
    with pytest.raises(TypeError, match="the frames would keep that number"):
        Record((w * t).sum() if t > 0 else w.sum() + t)
    total = (w * w).sum()
    with pytest.warns(FrozenNumberWarning, match="the frames would keep that number"):
        Record(total / float(total))


@op("jitter", samples=[], random=True)
def jitter(x):
    return x + np.random.default_rng(0).normal(size=x.shape)


jitter.vjp(lambda g, y, x: g)


def test_draws_of_an_op_of_ones_own():
    with pytest.raises(TypeError, match="jitter.*draws random numbers, and the record would"):
        Record(jitter(leaf([1.0, 2.0], name="w")).sum())


def test_steps_that_do_not_rise():
    w = leaf([1.0], name="w")
    run = Record(w.sum(), every=5)
    run.keep(0)
    run.keep(3)
    for step in (3, 2, 0, -1):
        with pytest.raises(ValueError, match=f"step {step} does not come after step 3"):
            run.keep(step)
    with pytest.raises(TypeError, match="a step is a whole number, not 0.5"):
        run.keep(0.5)
    assert run.steps == [0] and not run.keep(np.int64(4)) and run.keep(5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"every": 0}, "every is at least 1"), ({"most": 1}, "most is at least 2")],
)
def test_counts_that_are_too_small(options, message):
    with pytest.raises(ValueError, match=message):
        Record(leaf([1.0]).sum(), **options)


@pytest.mark.parametrize("options", [{"every": "2"}, {"most": 2.5}])
def test_counts_that_are_no_whole_numbers(options):
    ((name, value),) = options.items()
    with pytest.raises(TypeError, match=f"^{name} is a whole number, not {value!r}$"):
        Record(leaf([1.0]).sum(), **options)


def test_data_of_another_shape():
    w = leaf([[1.0, 2.0]], name="w")
    run = Record(w.sum())
    w._array = np.zeros((2, 2))  # as no assignment does it
    with pytest.raises(ValueError, match=r"w is \(2, 2\) float64 now, and was \(1, 2\) float64"):
        run.keep(0)


def test_a_number_without_a_name_that_changes():
    w, scale = leaf([1.0, 2.0], name="w"), Tensor(2.0)
    run = Record((w * scale).sum())
    run.keep(0)
    scale.data = np.array(5.0)
    with pytest.raises(RuntimeError, match="has changed since the loss was recorded"):
        run.keep(1)


def test_a_mask_that_takes_other_elements():
    w = leaf([1.0, -2.0, 3.0], name="w")
    run = Record((w[w > 0] * 2.0).sum())
    run.keep(0)
    w.data = np.array([-1.0, 2.0, 3.0])
    run.keep(1)
    assert run.losses == [8.0, 10.0]
    w.data = np.array([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"is \(3,\) now, and was \(2,\)"):
        run.keep(2)


def test_no_frames_at_all():
    run = Record(leaf([1.0]).sum())
    assert repr(run) == "<Record without frames>" and len(run) == 0
    with pytest.raises(ValueError, match="call keep"):
        with_last(run)
    run.keep(4)
    assert repr(run) == "<Record of 1 frame, step 4, loss 1>"


def test_it_loads_when_it_is_asked_for():
    assert "tinygrad_steel.picture.page.record" in sys.modules


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_are_none(number):
    """A run that has diverged is kept like any other, in JSON that every reader takes."""
    w = leaf([[1.0, 2.0], [3.0, 4.0]], name="w")
    run = Record(np.square(w).sum())
    run.keep(0)
    w.data = np.array([[number, 2.0], [3.0, 4.0]])
    run.keep(1)
    entry = read(run, run.frames[1], run.traced.made[w])
    found = numbers(entry)
    np.testing.assert_array_equal(found[1:], [2.0, 3.0, 4.0])
    expected = number if np.isnan(number) or abs(number) < 1e299 else np.sign(number) * np.inf
    assert entry.get("bad", 0) == (0 if number == 1e300 else 1)
    assert np.isnan(found[0]) if np.isnan(number) else found[0] in (expected, 1e300)
    assert not np.isfinite(run.losses[1])
