"""The jax back end does what eager mode does, in the program's own numbers, wherever jax runs.

XLA takes a tenth of a second and more for each program, so many ops and networks share one.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref

import abalone
import numpy as np
import pulsar
import pytest
import steel
from book.proof import assert_same
from book.test_proofs import PROOFS
from every_op import FLAT_OPS, PAIRS, call
from helpers import FULL

from tinygrad_steel import (
    SGD,
    Adam,
    Tensor,
    avg_pool,
    compile_backprop,
    compile_epoch,
    conv2d,
    dropout,
    max_pool,
    noise,
    op,
    relu,
    sigmoid,
    softmax_cross_entropy,
)
from tinygrad_steel.verify.case import random_weights

EXACT = 1e-10  # relative to the largest number of an array
OPTIMIZERS = {
    "SGD": lambda ps: SGD(ps, 0.05),
    "momentum": lambda ps: SGD(ps, 0.05, momentum=0.9),
    "Adam": lambda ps: Adam(ps, 0.05),
}


@pytest.fixture(autouse=True, scope="module")
def jax():
    """jax, whose settings nobody has touched in the end."""
    try:
        import jax
    except ImportError:
        missing = 'the jax back end cannot be tested: pip install "tinygrad_steel[jax]" (it is in the test extra)'
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    yield jax
    assert not jax.config.jax_enable_x64
    assert jax.numpy.ones(2).dtype == np.float32


def same(got, want, tolerance=EXACT):
    """Equal up to a part of the largest number; NaN and infinity where they are."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    largest = np.max(np.abs(want), initial=1e-3, where=np.isfinite(want))
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * largest)


def leaves(*arrays, requires_grad=True):
    return [
        Tensor(x, requires_grad=requires_grad, name=f"{'px'[not requires_grad]}{i}")
        for i, x in enumerate(arrays)
    ]


def agrees(f, parameters, feeds=(), others=(), tolerance=EXACT):
    """Loss and gradients of a compiled `f(*parameters, *feeds)` are eager's, for `others` too."""
    ps, xs = leaves(*parameters), leaves(*feeds, requires_grad=False)
    with np.errstate(all="ignore"):
        step = compile_backprop(f(*ps, *xs), backend="jax")
        assert step.backend == "jax"
        for new, arrays in [(parameters, feeds), *others]:
            for p, data in zip(ps, new, strict=True):
                p.data = data
            got = step(**{x.name: a for x, a in zip(xs, arrays, strict=True)})
            eager = leaves(*new)
            loss = f(*eager, *leaves(*arrays, requires_grad=False))
            loss.backward()
            same(got, loss.item(), tolerance)
            for p, q in zip(ps, eager, strict=True):
                assert p.grad.dtype == q.grad.dtype
                same(p.grad, q.grad, tolerance)
    return step


def weighted(y, seed=0):
    return np.sum(y * random_weights(y.shape, seed))


# Every op


def samples_agree(samples):
    """One program with all of these samples, on their numbers and on others."""
    inputs = [x for _, s in samples for x in s.inputs]
    wanted = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

    def f(*parameters):
        given = dict(zip(wanted, parameters))
        every = iter(given.get(i, Tensor(x)) for i, x in enumerate(inputs))
        return sum(weighted(call(o, [next(every) for _ in s.inputs], s.params)) for o, s in samples)

    data = [inputs[i] for i in wanted]
    agrees(f, data, others=[([x * 0.97 for x in data], ())])


def test_every_op():
    samples_agree([(o, s) for o, s in PAIRS if s is o.samples[0]])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8 if FULL else 1))
def test_every_other_sample(part):
    samples_agree([(o, s) for o, s in PAIRS if s is not o.samples[0]][part::8])


def test_every_op_without_a_gradient():
    pairs = [(o, s) for o in FLAT_OPS if not o.counts for s in o.samples]
    feeds = [x for _, s in pairs for x in s.inputs]
    tensors = iter(leaves(*feeds, requires_grad=False))
    results = [call(o, [next(tensors) for _ in s.inputs], s.params) for o, s in pairs]
    p = Tensor(1.0, requires_grad=True, name="p")
    loss = p * sum(weighted(y) for y in results)
    step = compile_backprop(loss, outputs=results, backend="jax")
    arrays = {f"x{i}": x for i, x in enumerate(feeds)}
    same(step(**{name: arrays[name] for name in step.arguments}), loss.item())
    for (o, s), found, y in zip(pairs, step.outputs, results, strict=True):
        assert (found.dtype, found.shape) == (y.dtype, y.shape), o
        assert (found == y.data).all(), (o, s)


def test_functions_of_scipy():
    pytest.importorskip("scipy", reason="SciPy's functions cannot be tested without SciPy")
    from tinygrad_steel.ops.special import SPECIAL

    samples_agree([(o, s) for o in SPECIAL for s in o.samples if o.differentiable])


def test_conversions_are_those_of_numpy():
    """float32 with int64 is float64, integers wrap around, and a mask times NaN is NaN."""

    def f(p, q, mask, small, wide):
        found = [q * wide, q * np.sqrt(small), q + 0.5, p * (small + small), p * (wide / 4)]
        found += [np.concatenate([q, p]), np.where(mask, q, p), np.stack([q, q * 2.5]), p * mask]
        found += [p * np.reciprocal(wide), p * (wide // 2), p * np.mean(small), q @ p, q**2, 2**q]
        found += [p * np.exp(mask.astype(float)), (mask == (wide == 300)) * p, p * np.sum(mask)]
        return sum(weighted(y, i) for i, y in enumerate(found))

    p, q = np.array([0.5, -1.5, 2.0]), np.array([1.5, 0.25, -1.0], np.float32)
    feeds = [np.array([True, False, True]), np.array([1, 200, 7], np.uint8), np.array([1, 300, 5])]
    agrees(f, [p, q], feeds, tolerance=1e-6)
    for hole in (np.nan, np.inf):
        z = np.where(p == -1.5, hole, p)
        agrees(lambda p, mask: np.sum(p * mask), [z], feeds[:1])


@pytest.mark.parametrize("length", [0, 1, 5] if FULL else [5])
def test_slices(length):
    rng = np.random.default_rng(length)
    ends = [None, *range(-7, 8)]
    every = [slice(*rng.choice(ends, 2), rng.choice([-3, -2, -1, 1, 2, 3])) for _ in range(16)]

    def f(x):
        found = [x[:, s] if i % 2 else x[None, ::-1].T[s] for i, s in enumerate(every)]
        found += [x[1], x[..., None, 0, :], x[-1:, None], x[[2, 0, 2]], x[np.array([1, -3]), ::-2]]
        return sum(weighted(y, i) for i, y in enumerate(found))

    agrees(f, [rng.normal(size=(3, length))])


def test_every_layer_of_the_book():
    """The gradients chained by hand, of all in one program."""
    proofs = [proof for proof in PROOFS.values() if "op" not in proof.given]
    proofs = proofs if FULL else proofs[1::6]
    traced = [proof.traced() for proof in proofs]
    compile_backprop(sum(loss for loss, _ in traced), backend="jax")()
    for proof, (_, tensors) in zip(proofs, traced, strict=True):
        found = {f"G_{name}": tensor.grad for name, tensor in tensors.items()}
        assert_same(found, proof.by_hand()[1], EXACT)


# Training


def dense(x, y, w, b, w2, b2):
    return np.mean(softmax_cross_entropy(relu(x @ w + b) @ w2 + b2, y))


def images(x, y, kernel, bias, weight):
    h = max_pool(relu(conv2d(x, kernel, padding="same") + bias), 2)
    h = avg_pool(np.concatenate([h, h * h], axis=-1), 2, stride=1)
    return np.mean(softmax_cross_entropy(h.reshape(-1, 24) @ weight, y))


def sequences(x, y, of_x, of_h, bias, weight):
    h = c = np.zeros((1, 4))
    for t in range(3):
        z = x[:, t] @ of_x + h @ of_h + bias
        i, f, o = (sigmoid(z[:, 4 * k : 4 * k + 4]) for k in range(3))
        c = f * c + i * np.tanh(z[:, 12:])
        h = o * np.tanh(c)
    return np.mean(np.square(h @ weight - y))


def embedded(x, y, table, weight):
    return np.mean(np.square(table[x] @ weight - y))


def linear(loss):
    """A linear layer under the loss of one of the experiments."""
    return lambda x, y, weight, bias: loss(x @ weight + bias, y)


NETWORKS = {  # the loss, the shape of a row and of its label, whether they are ids, the parameters
    "dense": (dense, (6,), 3, [(6, 5), (5,), (5, 3), (3,)]),
    "images": (images, (6, 6, 2), 3, [(3, 3, 2, 3), (3,), (24, 3)]),
    "sequences": (sequences, (3, 5), (2,), [(5, 16), (4, 16), (16,), (4, 2)]),
    "embedded": (embedded, 7, (2,), [(7, 3), (3, 2)]),
    "abalone": (linear(abalone.loss), (10,), (1,), [(10, 1), (1,)]),
    "pulsar": (linear(pulsar.loss), (8,), (1,), [(8, 1), (1,)]),
    "steel": (linear(steel.softmax_loss), (27,), (7,), [(27, 7), (7,)]),
}


class Training:
    """The same training twice, on the same numbers: compiled, and by eager steps."""

    def __init__(self, network, optimizer, rows=23, batch=5, dtype=float, **options):
        self.loss, row, label, shapes = NETWORKS[network]
        self.rng, self.batch = np.random.default_rng(3), batch
        self.x, self.y = (self.numbers(rows, shape, dtype) for shape in (row, label))
        start = [self.rng.normal(0, 0.5, shape).astype(dtype) for shape in shapes]
        self.ours, self.eager = leaves(*start), leaves(*start)
        self.optimizers = [OPTIMIZERS[optimizer](ps) for ps in (self.ours, self.eager)]
        x, y = Tensor(self.x[:batch], name="x"), Tensor(self.y[:batch], name="y")
        traced = self.loss(x, y, *self.ours)
        self.epoch = compile_epoch(
            traced, (x, y), optimizer=self.optimizers[0], backend="jax", **options
        )
        self.step = compile_backprop(traced, optimizer=self.optimizers[0], backend="jax")

    def numbers(self, rows, shape, dtype):
        if isinstance(shape, int):
            return self.rng.integers(0, shape, rows)
        return self.rng.normal(size=(rows, *shape)).astype(dtype)

    def eager_step(self, rows):
        loss = self.loss(Tensor(self.x[rows]), Tensor(self.y[rows]), *self.eager)
        self.optimizers[1].zero_grad()
        loss.backward()
        self.optimizers[1].step()
        return loss.item()

    def epochs_agree(self, tolerance=EXACT):
        order = self.rng.permutation(len(self.x))
        want = [
            self.eager_step(order[i : i + self.batch]) for i in range(0, len(order), self.batch)
        ]
        same(self.epoch(self.x, self.y, order=order), want, tolerance)
        self.agree(tolerance)

    def step_agrees(self, rows, tolerance=EXACT):
        same(self.step(self.x[rows], self.y[rows]), self.eager_step(rows), tolerance)
        self.agree(tolerance)

    def agree(self, tolerance):
        for p, q in zip(self.ours, self.eager, strict=True):
            assert p.data.dtype == q.data.dtype == p.grad.dtype
            same(p.data, q.data, tolerance)
            same(p.grad, q.grad, max(tolerance, 1e-8))  # of the last step, where it is near 0
        for ours, eager in zip(*(o.states for o in self.optimizers), strict=True):
            for a, b in zip(ours, eager, strict=True):
                same(a, b, max(tolerance, 1e-8))
        assert self.optimizers[0].steps == self.optimizers[1].steps


@pytest.mark.parametrize("optimizer, network", [*zip(["SGD", "momentum", "Adam"] * 3, NETWORKS)])
def test_training(optimizer, network):
    """Epochs and steps by turns, with other learning rates, and parameters given anew."""
    training = Training(network, optimizer)
    for rate in (0.05, 0.02):
        for o in training.optimizers:
            o.learning_rate = rate
        training.epochs_agree()
        training.step_agrees(slice(3, 8))
    for p, q in zip(training.ours, training.eager, strict=True):
        p.data = p.data * 0.5  # another array
        q.data = q.data * 0.5
        p.data[...] += 0.125  # written into
        q.data[...] += 0.125
    training.step_agrees(slice(0, 5))
    training.epochs_agree()


@pytest.mark.parametrize("network", ["dense", "images"])
def test_float32_stays_float32(network):
    Training(network, "Adam", dtype=np.float32).epochs_agree(tolerance=2e-5)


def test_outputs_and_gradients():
    rng = np.random.default_rng(0)
    p, q = leaves(rng.normal(size=(3, 2)), rng.normal(size=2))
    (x,) = leaves(rng.normal(size=(4, 3)), requires_grad=False)
    y = x @ p + q
    outputs = [y, np.argmax(y, axis=1), y > 0]
    loss = np.mean(np.square(y))
    step = compile_backprop(loss, outputs=outputs, backend="jax")
    assert step.arguments == ["x0"] and step.compile_seconds > 0
    data = rng.normal(size=(8, 3))
    for rows in (data[:4], data[4:]):
        z = rows @ p.data + q.data
        same(step(rows), np.mean(z**2))
        want = [z, np.argmax(z, axis=1), z > 0]
        for found, right in zip(step.outputs, want, strict=True):
            assert found.dtype == right.dtype
            same(found, right)
        assert p.grad is step.gradients["p0"]
        same(step.gradients["p0"], rows.T @ z / 4)
        step.gradients["p0"] *= 2  # they may be written into
    epoch = compile_epoch(loss, [x], optimizer=SGD([p, q], 1e-30), outputs=outputs, backend="jax")
    assert epoch.compile_seconds == 0
    losses, found = epoch(data)
    assert epoch.compile_seconds > 0
    z = data @ p.data + q.data
    same(losses, np.mean(z.reshape(2, -1) ** 2, axis=1))
    for a, right in zip(found, [z, np.argmax(z, axis=1), z > 0], strict=True):
        same(a, right.reshape(2, 4, *right.shape[1:]))


def test_what_is_drawn_is_what_eager_mode_draws():
    """By the same generator, in the same order, in steps and epochs."""
    start, data = np.random.default_rng(1).normal(size=(3, 2)), np.arange(36.0).reshape(12, 3)

    def loss_of(x, p, rng):
        h = noise(dropout(x, 0.5, rng) @ p, 0.1, rng)
        return np.mean(np.square(dropout(h, 0.25, rng)))

    ours, eager = Tensor(start, requires_grad=True), Tensor(start, requires_grad=True)
    rngs = [np.random.default_rng(7) for _ in range(2)]
    x = Tensor(data[:4], name="x")
    traced = loss_of(x, ours, rngs[0])
    loss_of(x, eager, rngs[1])
    epoch = compile_epoch(traced, [x], optimizer=SGD([ours], 1e-4), backend="jax")
    step = compile_backprop(traced, optimizer=SGD([ours], 1e-4), backend="jax")
    optimizer = SGD([eager], 1e-4)

    def eager_step(rows):
        loss = loss_of(Tensor(rows), eager, rngs[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    same(epoch(data), [eager_step(data[i : i + 4]) for i in (0, 4, 8)])
    same(step(data[2:6]), eager_step(data[2:6]))
    same(ours.data, eager.data)
    assert rngs[0].random() == rngs[1].random()


# What jax would not say


def test_indices_out_of_range():
    """jax would take others in silence: as in NumPy it is an error, after the steps before it."""
    training = Training("embedded", "Adam")
    training.step_agrees(slice(0, 5))
    for wrong in (7, -8):
        x = training.x.copy()
        x[17] = wrong
        before = [p.data.copy() for p in training.ours]
        with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 0"):
            training.step(x[15:20], training.y[15:20])
        assert all((p.data == old).all() for p, old in zip(training.ours, before, strict=True))
        with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 0"):
            training.epoch(x, training.y)
        for i in (0, 5, 10):
            training.eager_step(slice(i, i + 5))
        training.agree(EXACT)
    training.x[3] = -7  # which is the first
    training.epochs_agree()


def test_class_ids_out_of_range():
    training = Training("dense", "SGD")
    y = training.y.copy()
    y[12] = 3
    before = [p.data.copy() for p in training.ours]
    for function, rows in [(training.step, slice(10, 15)), (training.epoch, slice(None))]:
        with pytest.raises(ValueError, match="class ids go from 0 to 2, got 0 to 3"):
            function(training.x[rows], y[rows])
    assert all((p.data == old).all() for p, old in zip(training.ours, before, strict=True))
    assert training.optimizers[0].steps == 0
    training.epochs_agree()


def test_class_ids_that_are_computed():
    p, ids = Tensor(np.ones((3, 4)), requires_grad=True), Tensor([0, 1, 2], name="ids")
    step = compile_backprop(np.mean(softmax_cross_entropy(p, ids + 1)), backend="jax")
    same(step([0, 1, 2]), np.log(4))
    with pytest.raises(ValueError, match="class ids go from 0 to 3, got 1 to 4"):
        step([0, 1, 3])


def test_where_linear_algebra_fails():
    x = Tensor(np.array([[2.0, 1.0], [1.0, 3.0]]), name="x")
    p = Tensor(np.ones(2), requires_grad=True, name="p")
    step = compile_backprop(np.sum(np.linalg.solve(x, p) ** 2), backend="jax")
    same(step(x.data), np.sum(np.linalg.solve(x.data, p.data) ** 2))
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        step(np.ones((2, 2)))
    with np.errstate(all="ignore"):
        assert np.isinf(step(np.diag([1e-320, 1.0])))  # no error in NumPy either


def test_a_division_of_integers_by_zero():
    p, n = Tensor(np.ones(3), requires_grad=True), Tensor([1, 2, 3], name="n")
    step = compile_backprop(np.sum(p * (7 // n)), backend="jax")
    assert step([1, 2, 3]) == 7 + 3 + 2
    with np.errstate(all="ignore"):
        assert step([1, 0, 3]) == 7 + 0 + 2  # as in NumPy; 6 more or less in jax


# What cannot be had


@pytest.mark.parametrize(
    "arrays, error, message",
    [
        ([np.ones((4, 3))], ValueError, r"x0 is \(4, 3\), the step was compiled for \(4, 2\)"),
        ([np.ones((4, 2), complex)], TypeError, "complex"),
        ([np.ones((4, 2)), 1], TypeError, "the step takes x0"),
    ],
)
def test_wrong_arrays(arrays, error, message):
    p, x = Tensor(np.ones((2, 1)), requires_grad=True), Tensor(np.ones((4, 2)), name="x0")
    step = compile_backprop(np.mean(x @ p), backend="jax")
    with pytest.raises(error, match=message):
        step(*arrays)
    assert step(np.asfortranarray(np.ones((4, 2), int))) == 2
    assert step(np.ones((2, 4), ">f4").T) == 2


def test_what_jax_cannot_trace_is_refused(registry):
    python = op("python", lambda x: np.array([float(v) for v in x]), lambda g, y, x: g, samples=[])
    p = Tensor(np.ones(3), requires_grad=True, name="p")
    x = Tensor(np.ones(3), name="x")
    rng = np.random.default_rng(0)
    draws = op("draws", lambda x: x * rng.random(3), samples=[], random=True, constant=True)
    for loss, message in [
        (
            np.sum(python(p)),
            r"python\(\(3,\) float64\) has no form in jax.numpy.*backend=\"numpy\"",
        ),
        (np.sum(p[x > 0]), r"a shape that depends on the data.*where\(mask, x, 0\)"),
        (np.sum(p * draws(x)), "draws random numbers.*use dropout or noise"),
        (np.sum(p * np.argwhere(x)[0, 0]), "argwhere.*has no form"),
    ]:
        with pytest.raises(TypeError, match=message):
            compile_backprop(loss, backend="jax")
    with pytest.raises(TypeError, match="has no form in jax.numpy"):
        compile_epoch(np.sum(python(p) * x), [x], optimizer=SGD([p]), backend="jax")


def test_a_mask_that_is_part_of_the_program():
    mask = np.array([[True, False], [False, True], [True, True]])

    def f(p, ids):
        return weighted(p[mask]) + weighted(p[np.array([2, 0])]) + weighted(p[ids, :][None, ..., 0])

    agrees(f, [np.arange(6.0).reshape(3, 2)], [np.array([2, 2, -1])])


def test_constants_that_change():
    """Noticed where they are given anew; their arrays are copied, as in other back ends."""
    p, x = Tensor(np.ones(3), requires_grad=True), Tensor(np.ones(3), name="x")
    array = np.arange(3.0)
    constant = Tensor(array)
    step = compile_backprop(np.sum(p * x * constant), optimizer=SGD([p], 0.5), backend="jax")
    array[0] = 100
    assert step(np.ones(3)) == 3
    constant.data = np.ones(3)
    with pytest.raises(RuntimeError, match="has changed since it was compiled in as a constant"):
        step(np.ones(3))


def test_auto_is_never_jax():
    p, x = Tensor(np.ones((2, 1)), requires_grad=True), Tensor(np.ones((4, 2)), name="x")
    assert compile_backprop(np.mean(x @ p)).backend != "jax"


def missing(monkeypatch, jax):
    monkeypatch.setitem(sys.modules, "jax", None)


def too_old(monkeypatch, jax):
    monkeypatch.delattr(jax, "enable_x64")


@pytest.mark.parametrize("spoil", [missing, too_old])
def test_without_jax(spoil, monkeypatch, jax):
    spoil(monkeypatch, jax)
    loss = np.mean(Tensor(np.ones(2), requires_grad=True))
    with pytest.raises(ImportError, match=r'needs jax 0.8 or later: pip install "tinygrad_steel\['):
        compile_backprop(loss, backend="jax")


# Beside other users of jax


def test_other_code_sees_jax_as_it_was(jax):
    """In float32, before, meanwhile in another thread, and after."""
    training, seen, done = Training("dense", "Adam"), set(), threading.Event()

    def watch():
        while not done.is_set():
            seen.add((str(jax.numpy.ones(2).dtype), jax.config.jax_enable_x64))

    thread = threading.Thread(target=watch)
    thread.start()
    for _ in range(3):
        training.epochs_agree()
        training.step_agrees(slice(0, 5))
    done.set()
    thread.join()
    assert seen == {("float32", False)}
    with jax.enable_x64(True):
        training.epochs_agree()


def test_steps_in_threads():
    """Two steps at once, each called by two threads."""
    trainings = [Training("dense", "SGD"), Training("embedded", "Adam")]

    def train(training):
        for _ in range(20):
            training.step(training.x[:5], training.y[:5])

    threads = [threading.Thread(target=train, args=[t]) for t in trainings * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for training in trainings:
        for _ in range(40):
            training.eager_step(slice(0, 5))
        training.agree(1e-9)


def test_what_nobody_uses_any_more_is_freed():
    """jax keeps what it has compiled for functions that are still there."""
    training = Training("dense", "SGD")
    training.step_agrees(slice(0, 5))
    training.epochs_agree()
    engines = [weakref.ref(x.engine) for x in (training.step, training.epoch)]
    del training
    gc.collect()
    assert [engine() for engine in engines] == [None, None]


SHARDED = """
import sys
import jax, numpy as np
from test_jax import Training, same, EXACT

assert len(jax.devices()) == 4
for batch, split in (8, True), (6, False):
    training = Training("dense", "Adam", rows=5 * batch + 1, batch=batch)
    training.epochs_agree()
    training.step_agrees(slice(0, batch))
    engines = training.epoch.engine, training.step.engine
    functions = [*engines[0].epochs.values(), engines[1].compiled_step]
    for function, shape in zip(functions, [(5, batch, 6), (batch, 6)], strict=True):
        kept, (x, y), *_ = function.input_shardings[0]
        assert x.shard_shape(shape) == tuple(n // 4 if n == 8 else n for n in shape)
        assert len(x.device_set) == len(y.device_set) == (4 if split else 1)
        assert all(x.is_fully_replicated for x in jax.tree.leaves(kept))
        assert ("all-reduce" in function.as_text()) == split
print("ok")
"""


def test_rows_are_shared_by_several_devices():
    """Four, as the CPU can be told to be: each has its rows, and the numbers stay what they were."""
    flags = "--xla_force_host_platform_device_count=4"
    paths = [os.path.dirname(__file__), *sys.path]
    run = subprocess.run(
        [sys.executable, "-c", SHARDED],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "XLA_FLAGS": flags,
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join(paths),
        },
    )
    assert run.stdout == "ok\n", run.stderr


@pytest.mark.parametrize("network", ["dense", "images"])
def test_on_a_gpu(network, jax):
    if jax.default_backend() != "gpu":
        pytest.skip("there is no GPU here that jax knows of")
    training = Training(network, "Adam")
    training.epochs_agree()
    training.step_agrees(slice(0, 5))
    assert {
        d.platform for d in training.step.engine.compiled_step.input_shardings[0][1][0].device_set
    } == {"gpu"}


def test_the_source_can_be_followed():
    p, x = (
        Tensor(np.ones((2, 1)), requires_grad=True, name="weight"),
        Tensor(np.ones((4, 2)), name="x"),
    )
    step = compile_backprop(np.mean(np.square(x @ p)), optimizer=SGD([p], 0.5), backend="jax")
    assert step.source.startswith(
        "def step(x, weight, number, number_2):\n    t1 = jnp.matmul(x, weight)\n"
    )
    assert "weight = " in step.source.splitlines()[-2]
