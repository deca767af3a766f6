"""Compiled steps and epochs do what eager mode does: `backward()` and `optimizer.step()` are the oracle of both ways.

Every numba program that is compiled here costs 0.3 to 3 seconds, once: so many ops and expressions share one, and what
only looks at errors shares a step.
"""

from __future__ import annotations

import copy
import errno
import functools
import gc
import importlib.util
import itertools
import os
import pickle
import random as pyrandom
import re
import shutil
import subprocess
import sys
import threading
import time
import types
import warnings
import weakref

import abalone
import every_op
import numpy as np
import pulsar
import pytest
import steel
from every_op import PAIRS, call, cast, every_smooth_sample
from helpers import FULL, counted
from numpy.random import default_rng
from programs import LIBRARY, Program

import tinygrad_steel.compiled.cache
from tinygrad_steel import (
    OPS,
    SGD,
    Adam,
    Tensor,
    compare_backprop,
    compile_backprop,
    compile_epoch,
    detect_anomaly,
    no_grad,
    op,
    relu,
    softmax_cross_entropy,
    write_backprop,
)
from tinygrad_steel.compiled.memory import NoLoops
from tinygrad_steel.engine.optim import Optimizer
from tinygrad_steel.ops.op import TWINS
from tinygrad_steel.program.draws import is_random
from tinygrad_steel.verify.case import random_weights

HAS_NUMBA = importlib.util.find_spec("numba") is not None
GLOBAL = np.random.default_rng(5)
EXACT = 1e-10  # relative to the largest number of an array
OPTIMIZERS = {
    "SGD": lambda ps: SGD(ps, 0.03),
    "momentum": lambda ps: SGD(ps, 0.03, momentum=0.9),
    "Adam": lambda ps: Adam(ps, 0.03),
}


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.slow)])
def backend(request):
    return needed(request.param)


def needed(backend):
    """The back end, if it is there; CI must have both."""
    if backend == "numba" and not HAS_NUMBA:
        missing = 'the numba back end cannot be tested: pip install "tinygrad_steel[jit]" (it is in the test extra)'
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return backend


@pytest.fixture(params=["numpy", "loops"])
def either(request):
    """NumPy, or the loops run by Python: where it matters what they read and write, not how numba compiles it."""
    if request.param == "loops":
        request.getfixturevalue("uncompiled")
    return {"numpy": "numpy", "loops": "numba"}[request.param]


def same(got, want, tolerance=EXACT):
    """Equal up to a part of the largest number (0.001 where all cancels out); NaN and infinity where they are."""
    want = np.asarray(want)
    assert np.shape(got) == want.shape
    largest = np.max(np.abs(want), initial=1e-3, where=np.isfinite(want))
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * largest)


def random(*shapes, seed=0, positive=False):
    """Arrays of random numbers."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.3, 1.7, s) * (1 if positive else rng.choice([-1, 1], s)) for s in shapes]


def tensors(parameters, feeds):
    """Named Tensors: those that are trained, and data."""
    ps = [Tensor(p, requires_grad=True, name=f"p{i}") for i, p in enumerate(parameters)]
    return ps, [Tensor(x, name=f"x{i}") for i, x in enumerate(feeds)]


def agrees(backend, f, parameters, feeds=(), others=(), tolerance=EXACT):
    """Compiled from these numbers, loss and gradients are eager's, for them and for the `others` as well.

    `f(*parameters, *feeds)` is a loss; `others` are `(parameters, feeds)`.
    """
    with np.errstate(all="ignore"):
        ps, xs = tensors(parameters, feeds)
        step = compile_backprop(f(*ps, *xs), backend=backend)
        assert step.backend == backend
        for new, arrays in [(parameters, feeds), *others, (parameters, feeds)]:
            for p, data in zip(ps, new, strict=True):
                p.data = data
            got = step(
                *(x for x, name in zip(arrays, "x0 x1 x2 x3".split()) if name in step.arguments)
            )
            eager, data = tensors(new, arrays)
            loss = f(*eager, *data)
            loss.backward()
            same(got, loss.item(), tolerance)
            for p, q in zip(ps, eager, strict=True):
                assert p.grad.dtype == q.grad.dtype
                same(p.grad, q.grad, tolerance)
    return step


def weighted(y, seed=0):
    """A sum of the elements in which each counts differently."""
    return np.sum(y * random_weights(y.shape, seed))


# Every op


def sample_loss(o, sample, tensors):
    """The loss of one sample of an op."""
    return weighted(call(o, tensors, sample.params))


def samples_agree(backend, samples):
    """One program with all of these samples."""
    sizes = np.cumsum([0, *(len(s.inputs) for _, s in samples)])
    inputs = [x for _, s in samples for x in s.inputs]
    wanted = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

    def f(*parameters):
        given = dict(zip(wanted, parameters))
        every = [given[i] if i in given else Tensor(x) for i, x in enumerate(inputs)]
        return sum(
            sample_loss(o, s, every[a:b])
            for (o, s), a, b in zip(samples, sizes, sizes[1:], strict=False)
        )

    data = [inputs[i] for i in wanted]
    agrees(backend, f, data, others=[([x * 0.97 for x in data], ())])


@every_smooth_sample
def test_every_sample_in_numpy(o, sample):
    samples_agree("numpy", [(o, sample)])


@every_smooth_sample
def test_every_rule_keeps_float32(o, sample):
    """Where all data is float32, nothing is computed in float64, of which loops hold only one."""
    y = call(o, every_op.tensors(cast(sample, np.float32)), sample.params)
    step = compile_backprop(
        np.sum(y * random_weights(y.shape, 0).astype(np.float32)), backend="numpy"
    )
    wide = [x for x in step.program.nodes if x.dtype == np.float64]
    assert wide == [] or y.dtype == np.float64  # as the result of float32 ** int64 is in NumPy, too


def test_choosing_in_float32(either):
    """Ties, bounds and NaN as in eager mode."""

    def f(p, q):
        chosen = [np.maximum(p, q), np.minimum(p, q), np.clip(p, -1, 1)]
        chosen += [np.max(p, axis=0), np.min(p, axis=1), np.max(q)]
        return sum(np.sum(y * y) for y in chosen)

    p = np.array([[1, 2, 2], [-1, 0.5, 2]], np.float32)
    q = np.array([[1, 3, -2], [0, 0.5, 3]], np.float32)
    holes = np.where(p == 0.5, np.float32(np.nan), p)
    agrees(either, f, [p, q], others=[([holes, q], ()), ([q, p], ())], tolerance=1e-5)


def test_every_sample_in_loops(uncompiled):
    samples_agree("numba", PAIRS)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_op_in_numba(part):
    """The first sample of each; in full also the last, of what is not elementwise."""
    chosen = [
        (o, s)
        for o, s in PAIRS
        if s is o.samples[0] or (FULL and s is o.samples[-1] and not o.elementwise)
    ]
    samples_agree(needed("numba"), chosen[part::4])


@pytest.mark.parametrize("length", range(6))
def test_every_slice(length, either):
    numbers = [None, *range(-7, 8)]
    slices = [
        slice(*s) for s in itertools.product(numbers, numbers, [n for n in numbers if n != 0])
    ]
    some = [slices[i] for i in np.random.default_rng(length).choice(len(slices), 60, replace=False)]

    def f(x):
        return sum(
            weighted(x[:, s] if i % 2 else x[None, ::-1].T[s], seed=i) for i, s in enumerate(some)
        )

    agrees(either, f, random((2, length)))


# Random programs


def programs_agree(backend, seeds):
    """One program of all the random programs with these seeds."""
    programs = [Program(seed) for seed in seeds]
    sizes = np.cumsum([0, *(len(p.leaves) for p in programs)])
    data = [p.data[name] for p in programs for name in p.leaves]

    def f(*leaves):
        return sum(
            p.run(LIBRARY, *leaves[a:b])
            for p, a, b in zip(programs, sizes, sizes[1:], strict=False)
        )

    leaves = [Tensor(x, requires_grad=True) for x in data]
    f(*leaves).backward()
    reached = [i for i, x in enumerate(leaves) if x.grad is not None]

    def of_reached(*some):
        given = dict(zip(reached, some))
        return f(*(given[i] if i in given else Tensor(x) for i, x in enumerate(data)))

    some = [data[i] for i in reached]
    agrees(backend, of_reached, some, others=[([x * 1.001 for x in some], ())])


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 300, 25))
def test_random_programs_in_numpy(start):
    for seed in range(start, start + counted(25, 8)):
        programs_agree("numpy", [seed])


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 300, 25))
def test_random_programs_in_loops(start, uncompiled):
    for seed in range(start, start + counted(25, 8)):
        programs_agree("numba", [seed])


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(242, 66, 76, 87, 42, 2, 289, 234), (28, 267, 39, 213, 83, 12)])
def test_random_programs_in_numba(seeds):
    """Short ones; the first have no op that is left to NumPy."""
    programs_agree(needed("numba"), seeds[: counted(8, 3)])


# Training


def linear(loss):
    """A linear layer under one of the experiments' losses."""
    return lambda x, y, weight, bias: loss(x @ weight + bias, y)


def mlp(x, y, *parameters):
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2])
    for w, b in hidden:
        x = relu(x @ w + b)
    return np.mean(softmax_cross_entropy(x @ weight + bias, y))


def rings(rng, n):
    return rng.integers(1, 30, (n, 1)).astype(float)


def pulsars(rng, n):
    return rng.integers(0, 2, (n, 1)).astype(float)


def faults(rng, n):
    return np.eye(7)[rng.integers(0, 7, n)]


def fault_ids(rng, n):
    return rng.integers(0, 7, n)


MODELS = {  # the loss of (x, y, *parameters), its labels, and the widths of the layers
    "abalone": (linear(abalone.loss), rings, (10, 1)),
    "pulsar": (linear(pulsar.loss), pulsars, (8, 1)),
    "steel": (linear(steel.softmax_loss), faults, (27, 7)),
    "steel sigmoid": (linear(steel.sigmoid_loss), faults, (27, 7)),
    "steel sigmoid mse": (linear(steel.sigmoid_mse_loss), faults, (27, 7)),
    "class ids": (mlp, fault_ids, (27, 7)),
    "mlp": (mlp, faults, (27, 5, 4, 7)),
}


class Training:
    """The same training twice, by eager steps and by a compiled step or epoch, on data of a model's shapes."""

    def __init__(
        self, model, optimizer, backend, rows=47, batch=10, dtype=float, compile="epoch", seed=0
    ):
        self.loss, labels, widths = MODELS[model]
        self.rng, self.batch = np.random.default_rng(seed), batch
        self.x = self.rng.normal(size=(rows, widths[0])).astype(dtype)
        self.y = labels(self.rng, rows)
        self.y = self.y.astype(dtype) if self.y.dtype.kind == "f" else self.y
        start = []
        for n, m in itertools.pairwise(widths):
            start += [self.rng.normal(0, n**-0.5, (n, m)).astype(dtype), np.zeros(m, dtype)]
        self.eager = [Tensor(p, requires_grad=True) for p in start]
        self.parameters = [Tensor(p, requires_grad=True, name=f"p{i}") for i, p in enumerate(start)]
        self.eager_optimizer, self.optimizer = (
            OPTIMIZERS[optimizer](self.eager),
            OPTIMIZERS[optimizer](self.parameters),
        )
        x, y = Tensor(self.x[:batch], name="x"), Tensor(self.y[:batch], name="y")
        self.traced = self.loss(x, y, *self.parameters)
        if compile == "epoch":
            self.epoch = compile_epoch(
                self.traced, (x, y), optimizer=self.optimizer, backend=backend
            )
        else:
            self.step = compile_backprop(self.traced, optimizer=self.optimizer, backend=backend)

    def graph(self, rows, parameters):
        return self.loss(Tensor(self.x[rows]), Tensor(self.y[rows]), *parameters)

    def eager_step(self, rows, ours=False):
        """One eager step, on the oracle's parameters or on `ours`, those of the compiled step; returns the loss."""
        parameters, optimizer = (
            (self.parameters, self.optimizer) if ours else (self.eager, self.eager_optimizer)
        )
        loss = self.graph(rows, parameters)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def eager_epoch(self, order, ours=False):
        return [
            self.eager_step(order[i : i + self.batch], ours)
            for i in range(0, len(order), self.batch)
        ]

    def shuffled(self):
        return self.rng.permutation(len(self.x))

    def agree(self, tolerance=EXACT):
        for p, q in zip(self.parameters, self.eager, strict=True):
            same(p.data, q.data, tolerance)
            assert (p.grad is None) == (q.grad is None)  # before the first step
            if q.grad is not None:
                same(p.grad, q.grad, max(tolerance, 1e-8))  # of the last step, where it is near 0

    def step_agrees(self, rows):
        same(self.step(self.x[rows], self.y[rows]), self.eager_step(rows))
        self.agree()

    def epochs_agree(self, count=3, tolerance=EXACT):
        for _ in range(count):
            order = self.shuffled()
            same(self.epoch(self.x, self.y, order=order), self.eager_epoch(order), tolerance)
            self.agree(tolerance)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_epochs_in_numpy(model, optimizer):
    """Three times through 47 rows, by tens, in another order each time."""
    Training(model, optimizer, "numpy").epochs_agree()


EPOCHS = [*zip(MODELS, itertools.cycle(OPTIMIZERS))]  # the transcripts in machine code have SGD


@pytest.mark.slow
@pytest.mark.parametrize("model, optimizer", EPOCHS if FULL else EPOCHS[2::2])
def test_epochs_in_numba(model, optimizer):
    Training(model, optimizer, needed("numba")).epochs_agree()


def test_float32_stays_float32(backend):
    t = Training("class ids", "Adam", backend, dtype=np.float32)
    t.epochs_agree(tolerance=1e-4)
    assert (
        {p.dtype for p in t.parameters}
        == {p.grad.dtype for p in t.parameters}
        == {np.dtype(np.float32)}
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_learning_rate_may_change_between_epochs(optimizer):
    t = Training("steel", optimizer, "numpy")
    for rate in (0.1, 1.0, 0.02):
        t.optimizer.learning_rate = t.eager_optimizer.learning_rate = rate
        t.epochs_agree(1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_and_eager_steps_share_the_optimizer(optimizer):
    """Velocities and counts go both ways, and so does a new learning rate (1.0 is a rate like any other)."""
    t = Training("abalone", optimizer, "numpy", compile="step")
    steps_agree(t)


@pytest.mark.slow
def test_steps_and_eager_steps_share_the_optimizer_in_numba():
    steps_agree(shared_training("numba"))


def steps_agree(t):
    for i in range(24):
        rows = t.rng.integers(0, len(t.x), t.batch)
        t.optimizer.learning_rate = t.eager_optimizer.learning_rate = (0.01, 1.0, 0.003)[i % 3]
        got = t.eager_step(rows, ours=True) if i % 4 == 2 else t.step(t.x[rows], t.y[rows])
        same(got, t.eager_step(rows))
        t.agree()


@functools.cache
def shared_training(backend):
    """A compiled step of the abalone model, with Adam, for whoever needs one."""
    return Training("abalone", "Adam", needed(backend), compile="step")


@functools.cache
def shared_epoch(backend):
    """A compiled epoch of the model with class ids, with momentum."""
    return Training("class ids", "momentum", needed(backend))


def test_epochs_and_eager_epochs_share_the_optimizer(backend):
    t = shared_epoch(backend)
    for ours in (False, True, False, True):
        order = t.shuffled()
        losses = t.eager_epoch(order, ours=True) if ours else t.epoch(t.x, t.y, order=order)
        same(losses, t.eager_epoch(order))
        t.agree()


def test_two_compiled_steps_share_parameters_and_optimizer(backend):
    t = Training("abalone", "Adam", "numpy", compile="step")
    other = Training("abalone", "Adam", "numpy", compile="step")
    other.step = compile_backprop(t.traced, optimizer=t.optimizer, backend=backend)
    for i in range(9):
        rows = t.rng.integers(0, 47, 10)
        step = (t.step, other.step, other.step)[i % 3]
        same(step(t.x[rows], t.y[rows]), t.eager_step(rows))
        t.agree()


def test_new_data_of_a_parameter_is_noticed(backend):
    t = shared_training(backend)
    for write in (lambda p: setattr(p, "data", p.data * 0.5), lambda p: p.data.fill(0.25)):
        for p in (*t.parameters, *t.eager):
            write(p)
        t.step_agrees(t.shuffled()[:10])


def test_a_graph_from_before_a_step_is_out_of_date(backend):
    t = shared_training(backend)
    loss = t.graph(t.shuffled(), t.parameters)
    t.step_agrees(t.shuffled()[:10])
    with pytest.raises(RuntimeError, match="has changed since (add|matmul) used it"):
        loss.backward()


def test_a_graph_from_before_an_epoch_is_out_of_date(backend):
    t = shared_epoch(backend)
    loss = t.graph(t.shuffled(), t.parameters)
    t.epochs_agree(1)
    with pytest.raises(RuntimeError, match="has changed since (add|matmul) used it"):
        loss.backward()


def test_without_an_optimizer_nothing_changes_but_the_gradients():
    ps, xs = tensors(random((3, 1)), random((4, 3)))
    before = np.mean(xs[0] @ ps[0])
    step = compile_backprop(np.mean(xs[0] @ ps[0]), backend="numpy")
    first, second = step(*random((4, 3))), step(*random((4, 3)))
    assert first == second
    before.backward()  # no RuntimeError


def test_a_last_short_batch_has_its_own_outputs(backend):
    ps, (x, y) = tensors(random((3, 2)), random((4, 3), (4, 2)))
    output = x @ ps[0]
    loss = np.mean(np.square(output - y))
    optimizer = SGD(ps, 0.1)
    epoch = compile_epoch(
        loss, batch=(x, y), optimizer=optimizer, outputs=[output, loss], backend=backend
    )
    xs, ys = random((11, 3), (11, 2), seed=2)
    losses, (outputs, again) = epoch(xs, ys)
    assert losses.shape == (3,) and outputs.shape == (2, 4, 2) and again.shape == (2,)
    same(again, losses[:2])
    weight = Tensor(random((3, 2))[0], requires_grad=True)
    for i, got in zip((0, 4, 8), (*outputs, epoch.last_outputs[0]), strict=True):
        eager = Tensor(xs[i : i + 4]) @ weight
        same(got, eager.data)
        np.mean(np.square(eager - ys[i : i + 4])).backward()
        SGD([weight], 0.1).step()
        weight.grad = None
    epoch(xs[:8], ys[:8])
    assert epoch.last_outputs == []


def test_predictions_and_masks_come_back_in_their_own_dtype(backend):
    ps, (x, y) = tensors(random((3, 2)), [random((4, 3))[0], np.array([0, 1, 1, 0])])
    output = x @ ps[0]
    loss = np.mean(softmax_cross_entropy(output, y))
    hit, flat = np.argmax(output, axis=1) == y, output.T.reshape(-1)
    outputs = [hit, np.argmax(output, axis=1), output > 0, flat, y, output[0, 1]]
    step = compile_backprop(loss, outputs=outputs, backend=backend)
    step(random((4, 3), seed=5)[0], np.array([1, 1, 0, 0]))
    data = random((4, 3), seed=5)[0] @ ps[0].data
    ids = np.argmax(data, axis=1)
    expected = [
        ids == [1, 1, 0, 0],
        ids,
        data > 0,
        data.T.reshape(-1),
        np.array([1, 1, 0, 0]),
        data[0, 1],
    ]
    for got, want in zip(step.outputs, expected, strict=True):
        assert got.dtype == want.dtype
        same(got, want)


def test_parameters_as_outputs_are_those_of_the_forward(backend):
    """Not those after the update, also where the loss or an output is a view of one."""
    (p,), _ = tensors([[[2.0]]], ())
    step = compile_backprop(
        p.reshape(()), optimizer=SGD([p], 0.5), outputs=[p, p.T, p[0, 0]], backend=backend
    )
    for value in (2.0, 1.5, 1.0):
        assert step() == value
        assert [x.item() for x in step.outputs] == [value] * 3
    assert p.data == 0.5


def test_an_epoch_inside_no_grad():
    t = Training("abalone", "SGD", "numpy")
    order = t.shuffled()
    with no_grad():
        losses = t.epoch(t.x, t.y, order=order)
    same(losses, t.eager_epoch(order))


@pytest.mark.parametrize("shape", [(4, 1), (4, 2)])
def test_a_short_batch_against_an_array_of_the_full_length(shape):
    """Eager mode would make this array anew; with one row it would be stretched to four, and nobody would notice."""
    ps, (x,) = tensors(random((3, 1)), random((4, 3)))
    loss = np.sum(x @ ps[0] * np.broadcast_to(ps[0][0], shape))
    epoch = compile_epoch(loss, batch=(x,), optimizer=SGD(ps, 0.1), backend="numpy")
    with pytest.raises(ValueError, match="does not work for a shorter batch"):
        epoch(*random((9, 3)))


@pytest.mark.parametrize(
    "loss, cause",
    [
        (lambda x, p: sum(x[i] @ p for i in range(4)), IndexError),
        (lambda x, p: np.mean((x @ p)[np.arange(4)]), IndexError),
        (lambda x, p: np.mean(np.square((x @ p).reshape(2, 2) @ p[:2])), ValueError),
        (lambda x, p: np.sum(x @ p * np.broadcast_to(p[0], 4)), ValueError),
    ],
)
def test_nothing_is_trained_where_the_short_batch_does_not_work(loss, cause, backend):
    (p,), (x,) = tensors(random(3), random((4, 3)))
    optimizer = Adam([p], 0.1)
    epoch = compile_epoch(loss(x, p), [x], optimizer=optimizer, outputs=[x @ p], backend=backend)
    before, (rows,) = p.data.copy(), random((10, 3), seed=1)
    with pytest.raises(
        ValueError, match="the last batch has 2 rows, .* give an order with a multiple of 4 rows"
    ) as e:
        epoch(rows)
    assert isinstance(e.value.__cause__, cause)
    assert optimizer.steps == 0 and not np.any(optimizer.states[0])
    same(p.data, before)
    assert epoch(rows, order=np.arange(8))[0].shape == (2,)


# Errors


@pytest.mark.parametrize(
    "arrays, error, message",
    [
        (
            [np.ones((9, 10)), np.ones((10, 1))],
            ValueError,
            r"x is \(9, 10\), .* for \(10, 10\): compile again",
        ),
        ([np.ones((10, 10)), np.ones(10)], ValueError, r"y is \(10,\), .* compiled for \(10, 1\)"),
        ([np.ones((1, 10, 10)), np.ones((10, 1))], ValueError, "compile again"),
        ([np.ones((10, 10), complex), np.ones((10, 1))], TypeError, "complex128"),
        ([np.full((10, 10), "a"), np.ones((10, 1))], TypeError, "<U1"),
        ([np.full((10, 10), None), np.ones((10, 1))], TypeError, "object"),
        ([np.ma.ones((10, 10)), np.ones((10, 1))], TypeError, "mask"),
        ([[[1.0] * 10] * 9 + [[1.0]], np.ones((10, 1))], ValueError, "rows of equal length"),
        ([None, np.ones((10, 1))], TypeError, "object"),
    ],
)
def test_wrong_arrays(backend, arrays, error, message):
    t = shared_training(backend)
    with pytest.raises(error, match=message):
        t.step(*arrays)
    t.step_agrees(
        np.arange(10)
    )  # what has failed does not count: Adam's corrections are still eager's


def test_wrong_arguments(backend):
    step = shared_training(backend).step
    x, y = np.ones((10, 10)), np.ones((10, 1))
    for given, named in [
        ((), {}),
        ((x,), {}),
        ((x, y, y), {}),
        ((x, y), {"y": y}),
        ((x,), {"z": y}),
        ((), {"x": x}),
    ]:
        with pytest.raises(TypeError, match=r"the step takes x, y; got"):
            step(*given, **named)


@pytest.mark.parametrize(
    "change", [np.asfortranarray, lambda x: x[::-1][::-1], lambda x: x.astype(">f8"), Tensor]
)
def test_other_layouts_and_kinds_of_arrays(backend, change):
    t = shared_training(backend)
    rows = t.shuffled()[:10]
    same(t.step(change(t.x[rows]), y=change(t.y[rows])), t.eager_step(rows))


def test_lists_integers_and_read_only_arrays(backend):
    t = shared_training(backend)
    x, y = np.round(t.x[:10]), t.y[:10].astype(int)
    frozen = x.copy()
    frozen.flags.writeable = False
    t.x[:10] = x
    for given in (
        x.tolist(),
        x.astype(int),
        frozen,
        x.astype(np.float32),
        np.broadcast_to(x, (1, 10, 10))[0],
    ):
        same(t.step(given, y), t.eager_step(np.arange(10)))


def test_transposed_arrays_and_views(backend):
    t = shared_training(backend)
    rows = t.shuffled()[:20]
    same(t.step(np.ascontiguousarray(t.x[rows].T).T[::2], t.y[rows][::2]), t.eager_step(rows[::2]))


def test_class_ids_out_of_range(backend):
    """In a step (here the last, shorter one) and in an epoch; nothing has changed by then."""
    t = shared_epoch(backend)
    before = [p.data.copy() for p in t.parameters]
    for bad in (7, -1):
        y = t.y.copy()
        y[5] = bad
        for order in (None, [*range(6, 16), 5], [5]):
            with pytest.raises(ValueError, match="class ids go from 0 to 6"):
                t.epoch(t.x, y, order=order)
    for p, data in zip(t.parameters, before, strict=True):
        same(p.data, data)
    y[5] = 99
    t.epoch(t.x, y, order=np.arange(6, 16))  # a row that is not used may say what it likes
    t.eager_epoch(np.arange(6, 16))
    t.agree()


def test_class_ids_out_of_range_in_a_step(backend):
    ps, (x, y) = tensors(random((3, 2)), [random((4, 3))[0], np.array([0, 1, 1, 0], np.int8)])
    loss = np.mean(softmax_cross_entropy(x @ ps[0], y))
    step = compile_backprop(loss, optimizer=Adam(ps, 0.1), backend=backend)
    for bad in (2, -1, 256, 300):
        with pytest.raises(ValueError, match="class ids go from 0 to 1|too large for int8"):
            step(x.data, np.array([0, 1, bad, 0]))
    assert step.program.optimizer.steps == 0
    same(step(x.data, np.array([0, 1, 1, 0], np.uint8)), loss.data)
    with pytest.raises(TypeError, match="float64, the step was compiled for int8"):
        step(x.data, np.zeros(4))


def test_class_ids_that_are_computed_have_their_range_checked(backend):
    ps, (x, y) = tensors(random((3, 2)), [random((4, 3))[0], np.array([1, 2, 2, 1])])
    step = compile_backprop(np.mean(softmax_cross_entropy(x @ ps[0], y - 1)), backend=backend)
    for bad in (0, 3):
        with pytest.raises(ValueError, match="class ids go from 0 to 1"):
            step(x.data, np.array([1, 2, bad, 1]))


@pytest.mark.parametrize(
    "order",
    [[0, 47], [-1], [0.0, 1.0], np.ones(47, bool), [[0, 1]], np.array(["a"]), Tensor([0.5]), 3],
)
def test_wrong_orders(backend, order):
    t = shared_epoch(backend)
    with pytest.raises(ValueError, match=r"order is a list of row numbers from 0 to 46"):
        t.epoch(t.x, t.y, order=order)


@pytest.mark.parametrize(
    "order", [[], [3], [3, 4, 5], np.arange(10), np.arange(46, -1, -1, dtype=np.uint8), [7] * 20]
)
def test_short_orders_and_repeated_rows(backend, order):
    t = shared_epoch(backend)
    same(t.epoch(t.x, t.y, order=order), np.array(t.eager_epoch(np.array(order, int))))
    t.agree()


def test_fewer_rows_than_a_batch(backend):
    t = shared_epoch(backend)
    same(t.epoch(t.x[:3], t.y[:3]), t.eager_epoch(np.arange(3)))
    assert t.epoch(t.x[:0], t.y[:0]).shape == (0,)
    t.agree()


def test_lists_and_other_layouts_in_an_epoch(backend):
    t = shared_epoch(backend)
    order = np.arange(47)
    order.flags.writeable = False
    same(t.epoch(t.x, t.y, order=order), t.eager_epoch(order))
    for x, y in [
        (t.x.tolist(), t.y.tolist()),
        (np.asfortranarray(t.x), Tensor(t.y)),
        (t.x, t.y.astype(">i4")),
    ]:
        same(t.epoch(x, y), t.eager_epoch(np.arange(47)))


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda x, y: (x,), TypeError, "takes 2 arrays"),
        (lambda x, y: (x, y, y), TypeError, "takes 2 arrays"),
        (
            lambda x, y: (x[:, 1:], y),
            ValueError,
            r"x: \(10, 27\) .* compiled: give an array \(rows, 27\), as many",
        ),
        (
            lambda x, y: (x, y[:, None]),
            ValueError,
            r"y: \(10,\) int64 was compiled: give an array \(rows\)",
        ),
        (lambda x, y: (x, y[1:]), ValueError, "as many rows as the others"),
        (
            lambda x, y: (x, y.astype(float)),
            TypeError,
            "y is float64, the step was compiled for int64",
        ),
        (lambda x, y: (x.astype(complex), y), TypeError, "complex128"),
        (lambda x, y: (np.ma.array(x), y), TypeError, "mask"),
        (lambda x, y: (x, 3), ValueError, r"not \(\)"),
    ],
)
def test_wrong_arrays_of_an_epoch(backend, change, error, message):
    t = shared_epoch(backend)
    with pytest.raises(error, match=message):
        t.epoch(*change(t.x, t.y))


def small():
    """A weight, data, and a loss that depends on both."""
    (p,), (x,) = tensors(random((3, 1)), random((4, 3)))
    return p, x, np.mean(np.square(x @ p))


@pytest.mark.parametrize(
    "compiled", [compile_backprop, lambda loss, **k: compile_epoch(loss, [x_of(loss)], **k)]
)
def test_what_cannot_be_compiled(compiled):
    p, x, loss = small()
    unused = Tensor(1.0, requires_grad=True, name="unused")
    with pytest.raises(ValueError, match="backend is one of auto, numba, numpy, jax, not 'cuda'"):
        compiled(loss, optimizer=SGD([p]), backend="cuda")
    with pytest.raises(ValueError, match="does not depend on the optimizer's .*unused"):
        compiled(loss, optimizer=SGD([p, unused]))
    with pytest.raises(ValueError, match="not a single number: take its mean"):
        compiled(x @ p, optimizer=SGD([p]))
    with pytest.raises(RuntimeError, match="no gradient flows here"):
        compiled(np.mean(x), optimizer=SGD([p]))
    p.data = p.data * 2
    with pytest.raises(RuntimeError, match="has changed since"):
        compiled(loss, optimizer=SGD([p]))


def x_of(loss):
    """The named data behind a loss."""
    while loss.name != "x0":
        loss = loss.inputs[0]
    return loss


def test_what_cannot_be_a_batch():
    p, x, loss = small()
    optimizer = SGD([p])
    for wrong in ({"batch": x}, {"batch": [x], "optimizer": None}, {"batch": [x], "outputs": x}):
        with pytest.raises(TypeError, match="lists of Tensors|a list of Tensors"):
            compile_epoch(loss, **{"optimizer": optimizer, **wrong})
    for batch in (
        (),
        (x @ p,),
        (x.data,),
        (Tensor(1.0, name="z"),),
        (p, x),
        (x, x),
        (x, Tensor([1.0], name="z")),
    ):
        with pytest.raises(ValueError, match="batch|rows"):
            compile_epoch(loss, batch=batch, optimizer=optimizer)
    with pytest.raises(ValueError, match="the batch has no rows"):
        empty = Tensor(np.ones((0, 3)), name="x")
        compile_epoch(np.sum(empty @ p), batch=[empty], optimizer=optimizer)
    with pytest.raises(ValueError, match="parameters are to be those of the optimizer"):
        compile_epoch(loss, [x], [Tensor(1.0, requires_grad=True)], optimizer=optimizer)


def test_a_batch_without_a_name():
    """What is computed from it alone is not recorded, and would stay as it was in the first batch."""
    p, x = Tensor([[1.0], [2.0]], requires_grad=True), Tensor([[1.0, 2.0], [3.0, 4.0]])
    compile_epoch(
        np.mean(np.square(x @ p)), [x], optimizer=SGD([p]), backend="numpy"
    )  # used as it is: no harm
    for loss in (np.mean((x * 2) @ p), np.mean(x @ p - np.sum(x, axis=1, keepdims=True))):
        with pytest.raises(ValueError, match=r"make it with Tensor\(..., name=...\)"):
            compile_epoch(loss, [x], optimizer=SGD([p]), backend="numpy")


ROWS = np.array([1.0, 5.0, 2.0, 3.0])  # one for each row of a batch of four


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y, p: np.mean((x @ p)[:, 0] * ROWS),
        lambda x, y, p: np.mean(x @ p * Tensor(ROWS[:, None], name="weights")),
        lambda x, y, p: np.mean(np.exp(Tensor(ROWS[:, None])) * 2 * (x @ p)),
        lambda x, y, p: np.mean(np.where(ROWS[:, None] > 2, x @ p, 0)),
        lambda x, y, p: np.sum(ROWS @ (x @ p)),
        lambda x, y, p: np.einsum("n,nk->", ROWS, x @ p),
        lambda x, y, p: np.mean(np.concatenate([x @ p, ROWS[:, None]], axis=1) ** 2),
        lambda x, y, p: np.mean(np.stack([(x @ p)[:, 0], Tensor(ROWS)]) ** 2),
        lambda x, y, p: np.mean((x @ p)[ROWS > 2]),
        lambda x, y, p: np.mean(softmax_cross_entropy(x @ p, np.array([0, 1, 1, 0]))),
        lambda x, y, p: np.mean((x @ p)[np.arange(4), np.array([0, 1, 1, 0])]),
        lambda x, y, p: np.mean((x @ p).reshape(4, 2) * ROWS[:, None]),
        lambda x, y, p: np.sum(np.square(x @ p) + np.ones((4, 4)) @ (x @ p)),
    ],
)
def test_an_array_outside_of_the_batch_that_has_its_rows(loss):
    """In the second batch it would still be that of the first one."""
    (p,), (x, y) = tensors(random((3, 2)), [*random((4, 3)), np.array([0, 1, 0, 1])])
    with pytest.raises(
        ValueError,
        match=r"\(4,( \d,?)?\) (float64|int64|bool) has as many rows .* Put it into batch=",
    ):
        compile_epoch(
            loss(x, y, p) + 0 * np.sum(y), [x, y], optimizer=SGD([p], 0.1), backend="numpy"
        )


def test_an_array_outside_of_the_batch_that_has_its_rows_meets_what_is_drawn(registry):
    noise = noise_op(Counting(), random=True)
    x = Tensor(np.ones((4, 2)), name="x")
    weight = Tensor(np.ones((4, 2)), name="of_rows")
    scale = Tensor(np.ones(2), requires_grad=True)
    loss = np.mean(noise(x) * weight * scale)
    with pytest.raises(ValueError, match="of_rows"):
        compile_epoch(loss, (x,), optimizer=SGD([scale], 0.1), backend="numpy")
    step = compile_backprop(loss, optimizer=SGD([scale], 0.1), backend="numpy")
    assert step.compile_seconds == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, p, c: np.mean((x * p).reshape(-1) * c.reshape(-1)),
        lambda x, p, c: np.mean((x * p).ravel() * c.ravel()),
        lambda x, p, c: np.mean((x * p).ravel() * c.data.ravel()),
        lambda x, p, c: np.mean((x * p).reshape(2, 2, 2) * c.reshape(2, 2, 2)),
        lambda x, p, c: np.mean((x * p).reshape(2, 2, 2) * c.data.reshape(2, 2, 2)),
        lambda x, p, c: np.mean((x * p).reshape(-1, 8) * c.reshape(-1, 8)),
        lambda x, p, c: (x * p).reshape(-1) @ c.reshape(-1),
        lambda x, p, c: np.mean(np.diff(x @ p) * np.array([1.0, 2.0, 3.0])),
        lambda x, p, c: np.mean((x * p)[1:] * c[1:]),
        lambda x, p, c: sum(x[i] @ p * c[i, 0] for i in range(4)),
        lambda x, p, c: sum((x @ p)[i - 4] * np.sum(c[i]) for i in range(4)),
    ],
)
def test_an_array_outside_of_the_batch_that_has_its_rows_in_another_shape(loss):
    """Flat, in groups, between rows, or row after row."""
    (p,), (x, c) = tensors(random(2), random((4, 2), (4, 2)))
    message = "(fits batches of this length only|taken apart row by row).* Put it into batch="
    with pytest.raises(ValueError, match=message):
        compile_epoch(loss(x, p, c), [x], optimizer=SGD([p], 0.1), backend="numpy")


def test_parameters_and_tables_beside_rows_in_groups():
    """None of them holds rows of the batch: places in it, points for pairs of rows, a table that is read as a whole."""
    (p, places), (x,) = tensors(random((3, 2), (4, 2)), random((4, 3)))
    table, scale, centres = (
        Tensor(random((4, 3))[0], name="table"),
        np.array([1.0, 2.0]),
        Tensor(np.ones((2, 3))),
    )
    loss = np.mean(np.square(x @ p + places) * scale) + np.mean(
        np.square(x.reshape(-1, 2, 3) - centres) @ p
    )
    loss = loss + sum(np.sum(table[i] @ p + x[0] @ p) for i in range(4))
    compile_epoch(loss, [x], optimizer=SGD([p, places], 0.1), backend="numpy")(*random((8, 3)))


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y, p, m: np.mean(x @ m @ p),
        lambda x, y, p, m: np.mean((x @ p)[np.arange(4), y]),
        lambda x, y, p, m: np.mean((x @ p)[y] * (x @ p)),
        lambda x, y, p, m: np.mean(m[y] * (x @ p)[:, :1]) + np.mean(x * m[0] + m[:, 1]),
        lambda x, y, p, m: np.mean(softmax_cross_entropy(x @ p, Tensor(np.eye(2))[y])),
        lambda x, y, p, m: np.mean(np.square(np.expand_dims(x, 1) - m) @ p),
        lambda x, y, p, m: np.mean(np.concatenate([x, m]) @ p) + np.sum(m),
        lambda x, y, p, m: np.mean(np.reshape(x, (4, 2, 2)) @ p[:2]),
    ],
)
def test_arrays_that_happen_to_be_as_long_as_the_batch(loss):
    """A matrix, a table, a bias, points of comparison, numbers of the batch's rows: none of them has its rows."""
    (p,), (x, y) = tensors(random((4, 2)), [*random((4, 4)), np.array([0, 1, 0, 1])])
    (m,) = random((4, 4), seed=1)
    optimizer = SGD([p], 0.1)
    epoch = compile_epoch(loss(x, y, p, Tensor(m)), [x, y], optimizer=optimizer, backend="numpy")
    (xs,), ys, q = (
        random((8, 4), seed=2),
        np.array([1, 1, 0, 0, 0, 1, 1, 1]),
        Tensor(p.data, requires_grad=True),
    )
    losses = epoch(xs, ys)
    assert len(losses) == 2
    for i, got in enumerate(losses):
        eager = loss(Tensor(xs[4 * i : 4 * i + 4]), Tensor(ys[4 * i : 4 * i + 4]), q, Tensor(m))
        same(got, eager.item())
        eager.backward()
        SGD([q], 0.1).step()
        q.grad = None


def test_weights_of_rows_in_the_batch(backend):
    """Where the message sends them."""
    (p,), (x, w) = tensors(random((3, 1)), random((4, 3), (4, 1)))
    epoch = compile_epoch(np.mean(x @ p * w), [x, w], optimizer=SGD([p], 1e-30), backend=backend)
    xs, ws = random((10, 3), (10, 1), seed=2)
    order = np.random.default_rng(0).permutation(10)
    same(
        epoch(xs, ws, order=order),
        [np.mean(xs[i] @ p.data * ws[i]) for i in (order[:4], order[4:8], order[8:])],
    )


def test_names_of_variables_for_data_without_a_name():
    p, x = Tensor([[1.0], [2.0]], requires_grad=True), Tensor([[1.0, 2.0], [3.0, 4.0]])
    step = compile_backprop(np.mean(x @ p), {"x": x, "p": p}, backend="numpy")
    assert step.arguments == ["x"] and step(x=np.ones((2, 2))) == 3
    with pytest.raises(ValueError, match="which has no name"):
        compile_backprop(np.mean(x @ p - np.sum(x)), {"x": x, "p": p}, backend="numpy")


def test_the_input_without_a_name_that_may_be_in_a_constant_is_named():
    """Another one, which is younger than the constant, cannot be."""
    (w,), old = random((3,)), Tensor(np.ones((2, 3)))
    constant = Tensor(np.ones(2))
    young, p = Tensor(np.ones((2, 1))), Tensor(w, requires_grad=True)
    loss = np.sum(old @ p + constant) + np.sum(p[0] * young)
    with pytest.raises(
        ValueError, match=r"may have been computed from \(2, 3\) float64, which has no name"
    ):
        compile_epoch(loss, batch=(young, old), optimizer=SGD([p]), backend="numpy")


def test_numbers_have_no_graph():
    w = Tensor(2.0, requires_grad=True, name="w")
    uses = [write_backprop, compare_backprop, lambda x: compile_backprop(x, backend="numpy")]
    uses.append(lambda x: compile_backprop(w * 2, outputs=[x], backend="numpy"))
    for use in uses:
        for number in ((w * 2).item(), np.ones(2)):
            with pytest.raises(
                TypeError, match=r"\((float|ndarray)\) has no graph: give the Tensor itself, not"
            ):
                use(number)
    for optimizer in (SGD, 0.1, [w]):
        with pytest.raises(
            TypeError, match=r"optimizer= takes an optimizer, as in SGD\(\[weight\], 0.1\), not "
        ):
            compile_backprop(w * 2, optimizer=optimizer, backend="numpy")


def test_two_inputs_of_one_name():
    p, a, b = (
        Tensor(2.0, requires_grad=True),
        Tensor([1.0, 2.0], name="x"),
        Tensor([3.0, 4.0], name="x"),
    )
    step = compile_backprop(np.sum((a - b) * p), backend="numpy")
    assert step([1.0, 1.0], [0.0, 0.0]) == 4
    with pytest.raises(TypeError, match="by position, as two have one name"):
        step(x=[1.0, 1.0])


def test_two_dtypes_have_no_loops():
    needed("numba")
    p, x = Tensor(np.ones(3, np.float32), requires_grad=True), Tensor(np.ones(3), name="x")
    with pytest.raises(
        NoLoops, match="float32 and float64 in one program: convert the data to one dtype"
    ):
        compile_backprop(np.sum(p * x), backend="numba")
    assert compile_backprop(np.sum(p * x)).backend == "numpy"
    p = Tensor(np.ones(3, np.float16), requires_grad=True)
    with pytest.raises(NoLoops, match="no loops for float16"):
        compile_backprop(np.sum(p * p), backend="numba")
    assert compile_backprop(np.sum(p * p))() == 3


def test_two_dtypes_and_integers():
    """float32 and float64 meet as NumPy lets them meet, and every gradient has the dtype of its parameter."""

    def f(p, q, x):
        y = p * 0.1 + q.astype(np.float32) * x
        return (
            weighted(y * q)
            + weighted(np.where(y > 0, p, 2))
            + np.mean(p)
            + np.sum(softmax_cross_entropy(y, x))
        )

    p, q = random((3, 4), (3, 4))
    x = np.array([[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 3, 1]], np.int16)
    agrees(
        "numpy",
        f,
        [p.astype(np.float32), q],
        [x],
        others=[([-p.astype(np.float32), q], [x[::-1]])],
        tolerance=1e-6,
    )


def test_parameters_of_two_dtypes():
    p, q = (
        Tensor(np.ones(3), requires_grad=True),
        Tensor(np.ones(3, np.float32), requires_grad=True),
    )
    with pytest.raises(TypeError, match="different dtypes"):
        compile_backprop(np.sum(p * q), optimizer=SGD([p, q]), backend="numpy")
    compile_backprop(np.sum(p * q), backend="numpy")()
    assert (p.grad.dtype, q.grad.dtype) == (np.float64, np.float32)


def test_constants_and_settings_that_change():
    """Both are part of the compiled step."""
    (p,), (x,) = tensors(random(3), random(3))
    constant = Tensor([1.0, 2.0, 3.0])
    optimizer = Adam([p])
    step = compile_backprop(np.sum(x * p * constant), optimizer=optimizer, backend="numpy")
    step(x.data)
    constant.data = constant.data * 2
    with pytest.raises(
        RuntimeError, match=r"\(3,\) float64 has changed since it was compiled in as a constant"
    ):
        step(x.data)
    step = compile_backprop(np.sum(x * p * constant), optimizer=optimizer, backend="numpy")
    optimizer.beta1 = 0.5
    with pytest.raises(RuntimeError, match="the optimizer's beta1 has changed"):
        step(x.data)


class Scaled(SGD):
    """Steps with settings of all kinds."""

    def __init__(self, parameters):
        super().__init__(parameters, 0.1)
        self.scale, self.mode, self.signs, self.bounds = (
            np.array([1.0, 2.0]),
            "plain",
            [1.0, -1.0],
            {"low": np.zeros(2)},
        )

    def rule(self, g, state, rate, momentum):
        factor = 5.0 if self.mode == "fast" else 1.0
        return rate * factor * self.signs[0] * self.scale * g + self.bounds["low"], []


@pytest.mark.parametrize(
    "change",
    [
        lambda o: setattr(o, "mode", "fast"),
        lambda o: setattr(o, "scale", np.array([1.0, 3.0])),
        lambda o: o.scale.__setitem__(0, -1.0),
        lambda o: o.signs.__setitem__(0, 1),
        lambda o: o.bounds["low"].__setitem__(0, 1e-9),
        lambda o: setattr(o, "momentum", 0.5),
        lambda o: setattr(o, "parameters", o.parameters[::-1]),
        lambda o: setattr(o, "parameters", o.parameters[:1]),
        lambda o: setattr(o.parameters[0], "requires_grad", False),
    ],
)
def test_settings_of_any_kind_that_change(change):
    (p, q), _ = tensors(random(2, 2), ())
    optimizer = Scaled([p, q])
    step = compile_backprop(np.sum(p * q), optimizer=optimizer, backend="numpy")
    step()
    step()
    change(optimizer)
    before = p.data.copy(), q.data.copy()
    with pytest.raises(
        RuntimeError,
        match="(has changed since the step was compiled|no longer requires .*): compile again",
    ):
        step()
    same([p.data, q.data], before)


def feeds_of_all_kinds():
    """Arrays of three numbers: with steps, backwards, of another byte order, in columns, of other kinds."""
    a = np.arange(6.0)
    columns = np.asfortranarray(a.reshape(3, 2))
    yield from (
        a[::2],
        a[::-2],
        a.astype(">f8")[::-2],
        columns[:, 1],
        columns.T[1],
        np.broadcast_to(2.5, 3),
    )
    yield from (
        [1, 2, 3],
        np.array([True, False, True]),
        np.array([1, 2, 3], np.uint8),
        a[3:].astype(np.float32),
    )


def test_feeds_of_all_kinds(backend):
    """Also the memory of the step itself: a parameter, a gradient, an output."""
    (p,), (x,) = tensors(random(3), random(3))
    y = p * x
    step = compile_backprop(np.sum(p * y), outputs=[y], backend=backend)
    for feed in feeds_of_all_kinds():
        same(step(feed), np.sum(p.data**2 * np.asarray(feed)))
    for memory in (lambda: p.data, lambda: p.grad, lambda: step.outputs[0]):
        feed = memory().copy()
        same(step(memory()), np.sum(p.data**2 * feed))
        same(p.grad, 2 * p.data * feed)


def thresholds():
    """A weight, two parameters that get no gradient (they only stand in comparisons), and data."""
    w, low, cut = (
        Tensor(x, requires_grad=True, name=n)
        for x, n in [(2.0, "w"), (1.5, "low"), ([1.0, 3.0, 5.0], "cut")]
    )
    x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], name="x")
    return w, low, cut, x


def threshold_loss(x, w, low, cut):
    return np.sum(np.where(x > low, w * x, 0.0)) + np.sum(w * w * (x * 2 > cut))


def numbers_of_threshold_loss(x, w, low, cut):
    """The loss and its derivative with respect to `w`, by hand."""
    kept, above = np.sum(x[x > low]), np.sum(x * 2 > cut)
    return w * kept + w * w * above, kept + 2 * w * above


@pytest.mark.parametrize(
    "same", [np.ravel, np.transpose, lambda w: w * 1, lambda w: np.take(w, [0, 1, 2])]
)
@pytest.mark.parametrize("scale", [2.0, 0.0])
def test_a_parameter_that_an_output_has_under_another_form_is_still_the_parameter(
    same, scale, either
):
    """What leaves an array as it is is left out of the step; gradients and new numbers are those of the leaf."""
    x = Tensor([1.0, 2.0, 5.0], name="x")
    w, u = (
        Tensor([1.0, 2.0, 3.0], requires_grad=True, name="w"),
        Tensor(3.0, requires_grad=True, name="u"),
    )
    output, loss = same(w) * x, np.sum(x * w) * scale + np.sum(x * u) if scale else np.sum(x * u)
    step = compile_backprop(loss, outputs=[output, same(x) * 2], backend=either)
    w.data = np.array([10.0, 20.0, 30.0])
    step(x=np.array([2.0, 1.0, 1.0]))
    np.testing.assert_array_equal(step.outputs[0], [20.0, 20.0, 30.0])
    np.testing.assert_array_equal(step.outputs[1], [4.0, 2.0, 2.0])
    if scale:
        np.testing.assert_array_equal(w.grad, [4.0, 2.0, 2.0])
    assert u.grad == 4.0


def test_parameters_without_a_gradient_are_followed(either):
    """A threshold or the like: new data, and what is written into it, count from the next call on."""
    w, low, cut, x = thresholds()
    step = compile_backprop(
        threshold_loss(x, w, low, cut), optimizer=SGD([w], 0.01), backend=either
    )
    low.grad = kept = np.array(7.0)
    for i in range(6):
        if i == 2:
            low.data = np.array(2.5)
        if i == 3:
            low.data += 1
        if i == 4:
            cut.data[1] = 100.0
        if i == 5:
            cut.data = np.array([3.0, 3.0, 3.0])
        loss, slope = numbers_of_threshold_loss(x.data, w.data.copy(), low.data, cut.data)
        before = w.data.copy()
        same(step(x.data), loss)
        same(w.grad, slope)
        same(w.data, before - 0.01 * slope)
    assert low.grad is kept and cut.grad is None and step.gradients.keys() == {"w"}


def test_parameters_without_a_gradient_in_an_epoch(either):
    """In the last, shorter batch as well."""
    w, low, cut, x = thresholds()
    epoch = compile_epoch(
        threshold_loss(x, w, low, cut), [x], optimizer=SGD([w], 0.01), backend=either
    )
    (rows,) = random((5, 3), seed=4, positive=True)
    rows *= 4
    for change in (
        lambda: None,
        lambda: setattr(low, "data", np.array(3.0)),
        lambda: low.data.fill(2.0),
    ):
        change()
        value, losses = w.data.copy(), epoch(rows)
        for i, got in zip((0, 2, 4), losses, strict=True):
            loss, slope = numbers_of_threshold_loss(rows[i : i + 2], value, low.data, cut.data)
            same(got, loss)
            value = value - 0.01 * slope
        same(w.data, value)
    assert low.grad is None


def test_what_only_an_output_needs_is_followed(either):
    """Data is an argument, a parameter is followed, as if they were part of the loss."""
    (p, q), (x, y) = tensors(random(3, ()), random(3, 3))
    step = compile_backprop(np.sum(p * x), outputs=[q * y], backend=either)
    assert step.arguments == ["x0", "x1"]
    for new in random(3, 3):
        q.data = q.data + 1
        step(x.data, new)
        same(step.outputs[0], q.data * new)
    assert q.grad is None


def test_without_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    p, x, loss = small()
    assert (
        compile_backprop(loss).backend
        == compile_epoch(loss, [x], optimizer=SGD([p])).backend
        == "numpy"
    )
    with pytest.raises(ImportError, match=r'pip install "tinygrad_steel\[jit\]"'):
        compile_backprop(loss, backend="numba")


# Ops of one's own, and Python between the ops


def steep(x, slope=2.0, *, shift=0.0):
    return np.where(x > shift, slope * (x - shift), 0.1 * x)


def test_own_ops_by_their_numpy_rule(backend, registry):
    """With parameters, with something kept, with a closure, elementwise and not: by the parts of which they consist."""
    steep_op = op("steep", steep, samples=[], elementwise=True)
    steep_op.vjp(lambda g, y, x, slope=2.0, shift=0.0: g * np.where(x > shift, slope, 0.1))
    scale = 0.75
    gauss = op(
        "gauss",
        lambda x: np.exp(-scale * x * x),
        lambda g, y, x: -2 * scale * x * y * g,
        samples=[],
    )

    @op("centred norm", samples=[], keeps=True)
    def centred(x, axis=-1):
        c = x - np.mean(x, axis=axis, keepdims=True)
        n = np.sqrt(np.sum(c * c, axis=axis, keepdims=True))
        return n, c / n

    @centred.vjp
    def _(g, y, x, kept=None, axis=-1):
        if kept is None:
            kept = (x - np.mean(x, axis=axis, keepdims=True)) / y
        return g * kept

    def f(p, x):
        y = steep_op(p * x, slope=3.0, shift=0.25)
        return weighted(gauss(y)) + weighted(centred(p + x)) + weighted(centred(y, axis=0))

    p, x, q, z = random((3, 4), (3, 4), (3, 4), (3, 4))
    step = agrees(backend, f, [p], [x], others=[([p], [-x]), ([q], [z])])
    assert (
        step.source.count("steep")
        == step.source.count("gauss")
        == step.source.count("centred")
        == 0
    )


def test_own_ops_that_do_not_run_on_tensors(backend, registry):
    """They are called: forwards that write into arrays, look at numbers or types, or have names that are no names."""

    @op("running-max 2", samples=[])
    def running(x):
        z = np.empty_like(x)
        z[0] = x[0]
        for i in range(1, len(x)):
            z[i] = np.maximum(z[i - 1], x[i])
        return z

    running.vjp(lambda g, y, x: g * (x == y))

    @op("run", samples=[], elementwise=True)
    def branching(x):
        return x * 2 if np.sum(x) > 0 else x * 3  # the same road for all elements

    branching.vjp(lambda g, y, x: g * y / x)
    typed = op("fill", lambda x: np.tanh(x) if isinstance(x, np.ndarray) else x, samples=[])
    typed.vjp(lambda g, y, x: g * (1 - y * y))
    roll = op("turn", np.roll, lambda g, y, x, n: np.concatenate([g[n:], g[:n]]), samples=[])

    def f(p, x):
        return (
            weighted(running(p * x))
            + weighted(branching(p + x))
            + np.sum(typed(p))
            + weighted(roll(p * x, 2))
        )

    p, x = random(5, 5)
    agrees(
        backend,
        f,
        [p],
        [x],
        others=[([p], [-x]), ([-p], [-np.abs(x) * 5]), ([np.abs(p)], [np.abs(x)])],
    )


def test_parameters_of_an_op_are_compared_to_the_last_bit(backend, registry):
    """Large arrays that NumPy prints alike, inside a tuple; numbers that differ in the tenth digit; 1.0 and True."""
    a, b = np.zeros(2000), np.zeros(2000)
    b[1000] = 1e12
    total = op(
        "total", lambda x, table=(): np.array([v * np.sum(table[0]) for v in x]), samples=[]
    )  # called as it is
    total.vjp(lambda g, y, x, table=(): g)
    (p,), _ = tensors([[1.0, 2.0]], ())
    near, far = (np.array([1.0]),), (np.array([1.0 + 1e-10]),)
    loss = np.sum(total(p, table=(a,)) - total(p, table=(b,)))
    same(compile_backprop(loss, backend=backend)(), -3e12)
    loss = np.sum(total(p, table=near) - total(p, table=far)) * 1e10
    same(compile_backprop(loss, backend=backend)(), -3.0, 1e-5)


def name_error(x):
    return x * 2 if isinstance(x, np.ndarray) else x * undefined  # noqa: F821


def zero_division(x):
    return x * 2 if isinstance(x, np.ndarray) else x * (1 / 0)


def key_error(x):
    return x * 2 if isinstance(x, np.ndarray) else {}[x]


@pytest.mark.parametrize("forward", [name_error, zero_division, key_error])
def test_a_fault_in_a_forward_is_seen(forward, registry):
    """It is no answer to the question whether the forward runs on Tensors."""
    faulty = op("faulty", forward, lambda g, y, x: g * 2, samples=[])
    loss = np.sum(faulty(Tensor([1.0, 2.0], requires_grad=True, name="p")))
    for use in (write_backprop, lambda loss: compile_backprop(loss, backend="numpy")):
        with pytest.raises((NameError, ArithmeticError, KeyError)) as caught:
            use(loss)
        assert "raised by the forward of faulty, which was run on Tensors" in "".join(
            caught.value.__notes__
        )


def no_assignment(x):
    z = np.zeros(2)
    for i in range(2):
        z[i] = 2 * x[i]
    return z


def not_implemented(x):
    if not isinstance(x, np.ndarray):
        raise NotImplementedError
    return x * 2


@pytest.mark.parametrize(
    "forward", [no_assignment, not_implemented, lambda x: x.view(np.ndarray) * 2]
)
def test_a_forward_that_does_not_run_on_tensors_is_called(forward, either, registry):
    called = op("called", forward, lambda g, y, x: g * 2, samples=[])
    agrees(either, lambda p: weighted(called(p)), random(2), others=[(random(2, seed=3), ())])


def test_own_ops_with_the_names_of_numpy_functions(backend, registry):
    """It is their own forward that counts, also in place of an op of the library."""
    del OPS["cbrt"], OPS["fabs"], TWINS[np.radians]
    cbrt = op(
        "cbrt", lambda x: x * x * x, lambda g, y, x: 3 * g * x * x, samples=[], elementwise=True
    )
    fabs = op(
        "fabs", lambda x: np.array([v if v > 0.5 else 0.0 for v in x]), samples=[], elementwise=True
    )
    fabs.vjp(lambda g, y, x: g * (x > 0.5))
    radians = op(
        "radians", np.radians, lambda g, y, x: g * np.pi / 180, samples=[]
    )  # this one is NumPy's
    agrees(
        backend,
        lambda p: np.sum(cbrt(p) * fabs(p) * radians(p)),
        random(4),
        others=[(random(4, seed=3), ())],
    )


def test_a_rule_that_branches_on_numbers_is_refused(backend, registry):
    """The gradient's road is taken when it is traced: it must not stay what it was then."""
    bad = op("bad", lambda x: x * 2, samples=[])
    bad.vjp(lambda g, y, x: g * 2 if np.sum(x) > 0 else g * 3)
    (p,), _ = tensors(random(3), ())
    with pytest.raises(
        TypeError, match="a rule that looks at the numbers of a Tensor .* write it with np.where"
    ):
        compile_backprop(np.sum(bad(p)), backend=backend)


def test_a_rule_that_is_another_on_tensors_is_refused(registry):
    kept = op(
        "kept",
        lambda x: (x * 2, 3),
        lambda g, y, x, kept=None: g * (kept or 2),
        samples=[],
        keeps=True,
    )
    (p,), _ = tensors(random(3), ())
    with pytest.raises(
        TypeError, match=r"the gradient of p0: \(3,\) float64 is another one when .* traced"
    ):
        compile_backprop(np.sum(kept(p)), backend="numpy")


LIMITS = {np.float64: 2**53, np.float32: 2**24}


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_integers_are_exact_or_refused(dtype, kind, either):
    """Machine code holds everything in one float dtype, in which 2**53 + 1, or 2**24 + 1, is another number."""
    limit = LIMITS[dtype]
    p, ids = (
        Tensor(np.ones(3, dtype), requires_grad=True),
        Tensor(np.array([1, 2, 3], kind), name="ids"),
    )
    same_as = Tensor(np.array([limit - 1, limit, limit], kind), name="other")
    hit = np.equal(ids, same_as)
    loss = np.sum(np.where(hit, p, p * 0))
    step = compile_backprop(loss, outputs=[ids], backend=either)
    epoch = compile_epoch(loss, [ids, same_as], optimizer=SGD([p], 1e-30), backend=either)
    exact = np.array([limit - 1, limit, limit - 2], kind)
    assert step(exact, same_as.data) == 2 and epoch(exact, same_as.data) == [2.0]
    assert (step.outputs[0] == exact).all()
    large = np.array([limit - 1, limit, limit + 1], kind)
    for compiled in (step, epoch):
        if either == "numpy":
            assert compiled(large, same_as.data) == 2
        else:
            with pytest.raises(
                ValueError,
                match=rf"ids: \(3,\) .* has integers beyond {limit}, which are not exact",
            ):
                compiled(large, same_as.data)


@pytest.mark.parametrize("dtype", LIMITS)
def test_integers_that_are_computed_or_constant_are_exact_or_refused(dtype, either):
    limit = LIMITS[dtype]
    p, ids = Tensor(np.ones(3, dtype), requires_grad=True), Tensor(np.array([1, 2, 3]), name="ids")
    for constant in (Tensor(np.array([limit + 1] * 3)), limit + 1):
        loss = np.sum(np.where(np.equal(ids, constant), p, p * 0))
        if either == "numpy":
            assert compile_backprop(loss, backend=either)(np.array([limit, limit + 1, 0])) == 1
        else:
            with pytest.raises(NoLoops, match=f"integers that {np.dtype(dtype)} cannot hold"):
                compile_backprop(loss, backend=either)
    total, product = np.sum(ids), ids * 2
    loss = np.sum(p) + 0 * np.sum(np.where(product > total, p, 0))
    step = compile_backprop(loss, outputs=[total], backend=either)
    step(np.array([limit // 2, limit // 4, 1]))
    assert step.outputs == [limit // 2 + limit // 4 + 1]
    if either == "numpy":
        step(np.array([limit, limit, 1]))
        assert step.outputs == [2 * limit + 1]
    else:
        with pytest.raises(ValueError, match="has integers beyond"):
            step(np.array([limit, limit, 1]))


def test_small_numbers_are_compared_as_well(registry):
    """A forward that is another on Tensors is called as it is, a vjp that is another is refused, at any scale."""
    halved = op(
        "halved", lambda x: x if isinstance(x, np.ndarray) else x / 2, lambda g, y, x: g, samples=[]
    )
    agrees("numpy", lambda p: np.sum(halved(p)), [np.array([1e-9, 2e-9])])
    tripled = op("tripled", lambda x: 3 * x, samples=[])
    tripled.vjp(lambda g, y, x: g * (3 if isinstance(g, np.ndarray | np.generic) else 2))
    with pytest.raises(TypeError, match="is another one when"):
        compile_backprop(
            np.sum(tripled(Tensor([1.0, 2.0], requires_grad=True, name="p")) * 1e-9),
            backend="numpy",
        )


@pytest.mark.parametrize("close", [np.allclose, np.array_equal])
def test_an_op_that_compares_arrays_is_called(registry, close):
    """Its answer is not that of the data with which it was traced."""
    double = op(
        "double",
        lambda x: x * 2 if close(x, np.ones(3)) else x * 3,
        lambda g, y, x: g * y / x,
        samples=[],
    )
    agrees("numpy", lambda p: np.sum(double(p)), [np.ones(3)], others=[([2 * np.ones(3)], ())])


def test_an_op_that_draws_random_numbers_draws_them_anew(backend, registry):
    rng = np.random.default_rng(0)
    noisy = op("noisy", lambda x: x + rng.normal(size=x.shape), lambda g, y, x: g, samples=[])
    (p,), _ = tensors(random(3), ())
    step = compile_backprop(np.sum(noisy(p)), backend=backend)
    assert len({step() for _ in range(5)}) == 5
    same(p.grad, np.ones(3))


class Counting:
    """A source of numbers that nobody knows: 1, 2, 3, ... in each array that it is asked for."""

    def __init__(self):
        self.count = 0

    def __call__(self, shape):
        self.count += 1
        return np.full(shape, float(self.count))


def noise_op(draw, **options):
    """x plus a draw; its vjp shows by `y - x` which draw it was."""
    return op(
        "noise", lambda x: x + draw(x.shape), lambda g, y, x: g * (y - x), samples=[], **options
    )


def test_each_call_draws_for_itself(backend, registry):
    """Also two calls on one value, which differ by their draws; in the order in which they were recorded."""
    noise = noise_op(draw := Counting(), random=True)
    (p,), (x,) = tensors([[1.0, 2.0]], random(2))
    first, second = noise(p * x), noise(p * x)
    step = compile_backprop(np.sum(3 * second - first), outputs=[first, second], backend=backend)
    for k in range(2, 5):
        assert draw.count == 2 * k - 2
        for data in random(2, seed=k):
            a, b = 2 * k - 1, 2 * k
            same(step(data), np.sum(3 * (p.data * data + b) - (p.data * data + a)))
            same(step.outputs, [p.data * data + a, p.data * data + b])
            same(p.grad, (3 * b - a) * data)


class Slot:
    """Holds a generator where it has no dictionary."""

    __slots__ = ("rng",)

    def __init__(self, rng):
        self.rng = rng


@pytest.mark.parametrize(
    "make",
    ["closure", "global", "numpy", "python", "method", "object", "slot", "inside", "partial"],
)
def test_draws_are_found_where_nobody_declared_them(make, either, registry):
    """By the generators that a forward can reach, which do not move on while a step is compiled."""
    rng, python = np.random.default_rng(5), pyrandom.Random(5)
    inner = op("inner", lambda x: x + rng.normal(size=x.shape), lambda g, y, x: g, samples=[])
    holder, slot = types.SimpleNamespace(rng=rng), Slot(rng)
    forwards = {
        "closure": lambda x: x + rng.normal(size=x.shape),
        "global": lambda x: x + GLOBAL.normal(size=x.shape),
        "numpy": lambda x: x + np.random.normal(size=x.shape),
        "python": lambda x: x * (1 + python.random()),
        "method": types.MethodType(
            lambda self, x: x + self.rng.normal(size=x.shape), types.SimpleNamespace(rng=rng)
        ),
        "object": lambda x: x + holder.rng.normal(size=x.shape),
        "slot": lambda x: x + slot.rng.normal(size=x.shape),
        "inside": lambda x: inner(x) * 2,
        "partial": functools.partial(lambda rng, x: x + rng.normal(size=x.shape), rng),
    }

    def seeded():
        for generator in (rng, GLOBAL):
            generator.bit_generator.state = np.random.default_rng(5).bit_generator.state
        np.random.seed(5)
        python.seed(5)

    draws = op("draws", forwards[make], lambda g, y, x: g, samples=[])
    (p,), _ = tensors([[1.0, 2.0, 3.0]], ())
    loss = weighted(draws(p)) - 2 * weighted(draws(p))
    seeded()
    step = compile_backprop(loss, backend=either)
    got = [step() for _ in range(3)]
    seeded()
    expected = []
    for _ in range(3):
        first, second = draws(p.data), draws(p.data)
        expected.append(weighted(first) - 2 * weighted(second))
    same(got, expected)
    assert len({*got}) == 3


def from_secrets(shape):
    import secrets as hidden

    return np.reshape([hidden.randbelow(1 << 30) / (1 << 30) for _ in range(np.prod(shape))], shape)


SYSTEM = pyrandom.SystemRandom()


class Maker:
    """Makes a generator in each of the ways in which a class may."""

    __slots__ = ("kept",)

    def __init__(self):
        self.kept = np.random.default_rng(0)

    def method(self, shape):
        return np.random.default_rng(0).random(shape)

    def by_a_helper(self, shape):
        return self.method(shape)

    @staticmethod
    def static(shape):
        return np.random.default_rng(0).random(shape)

    @classmethod
    def of_class(cls, shape):
        return np.random.default_rng(0).random(shape)

    @property
    def fresh(self):
        return np.random.default_rng(0)


class Heir(Maker):
    """Draws by what it has from its base alone."""


HEIR = Heir()
HOLDER = types.SimpleNamespace(inner=HEIR)

# Uniform numbers from generators that are made where they are used
MADE_INSIDE = {
    "default_rng": lambda shape: np.random.default_rng().random(shape),
    "seeded": lambda shape: np.random.default_rng(0).random(shape),
    "by its own name": lambda shape: default_rng().random(shape),
    "bit generator": lambda shape: np.random.Generator(np.random.PCG64()).random(shape),
    "RandomState": lambda shape: np.random.RandomState().random_sample(shape),
    "SeedSequence": lambda shape: (
        np.random.SeedSequence().generate_state(np.prod(shape)).reshape(shape) / 2**32
    ),
    "Random": lambda shape: np.full(shape, pyrandom.Random().random()),
    "SystemRandom": lambda shape: np.full(shape, SYSTEM.random()),
    "urandom": lambda shape: (
        np.frombuffer(os.urandom(np.prod(shape)), np.uint8).reshape(shape) / 256
    ),
    "secrets": from_secrets,
    "a class": lambda shape: Heir().kept.random(shape),
    "a method": lambda shape: HEIR.method(shape),
    "a method of a method": lambda shape: HEIR.by_a_helper(shape),
    "a bound method": HEIR.by_a_helper,
    "a method inside": lambda shape: HOLDER.inner.method(shape),
    "a static method": lambda shape: Heir.static(shape),
    "a class method": lambda shape: HEIR.of_class(shape),
    "a property": lambda shape: HEIR.fresh.random(shape),
}


@pytest.mark.parametrize("uniform", MADE_INSIDE.values(), ids=MADE_INSIDE)
def test_generators_that_a_forward_makes_are_found(uniform, registry):
    """Though two calls mostly agree: one element in ten thousand is dropped. Calls are never shared nor written."""
    drop = op(
        "drop", lambda x: x * (uniform(x.shape) >= 1e-4), lambda g, y, x: g * (y != 0), samples=[]
    )
    p = Tensor(np.ones(10), requires_grad=True, name="p")
    loss = np.sum(drop(p) - drop(p))
    for _ in range(5):
        with pytest.raises(TypeError, match=r"drop\(p: \(10,\) float64\) draws random numbers"):
            write_backprop(loss)
    assert compile_backprop(loss, backend="numpy").source.count("op_drop") == 2
    with pytest.raises(TypeError, match="a vjp of noisy draws random numbers"):
        noisy = op(
            "noisy", lambda x: x * 2, lambda g, y, x: g * (uniform(x.shape) >= 1e-4), samples=[]
        )
        compile_backprop(np.sum(noisy(p)), backend="numpy")


def test_each_of_two_calls_has_a_mask_of_its_own(registry):
    noise = op(
        "noise", lambda x: x * (default_rng().random(x.shape) > 0.02), lambda g, y, x: g, samples=[]
    )
    p = Tensor(np.ones(2000), requires_grad=True)
    step = compile_backprop(np.sum(np.abs(noise(p) - noise(p))), backend="numpy")
    assert len({step() for _ in range(5)}) > 1


def test_what_makes_no_generator_draws_nothing(registry):
    """Also where NumPy's random module, or something with the name of a maker, is named."""

    def forward(x, default_rng=np.tanh):
        return default_rng(x) + np.random.__name__.count("z")

    p = Tensor(np.ones(3), requires_grad=True, name="p")
    plain = op("plain", forward, lambda g, y, x: g * (1 - y * y), samples=[])
    same(write_backprop(np.sum(plain(p))).function()(p.data)[0], 3 * np.tanh(1))


def test_what_is_drawn_once_is_nobody_elses(registry):
    """By a finalizer that happens to run while an op is looked at."""
    calls = []

    def forward(x):
        if not calls:
            pyrandom.random()
        calls.append(x)
        return np.tanh(x)

    plain = op("plain", forward, lambda g, y, x: g * (1 - y * y), samples=[])
    p = Tensor(np.ones(3), requires_grad=True, name="p")
    loss = np.sum(plain(p))
    calls.clear()
    assert not is_random(loss.inputs[0]) and len(calls) == 3


def test_what_another_thread_draws_is_nobody_elses(registry):
    """It draws all the time, also while an op is looked at, from the generators that all share."""
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            pyrandom.random()
            np.random.random()

    def forward(x):
        time.sleep(0.001)  # the other thread has its turn
        return np.tanh(x)

    plain = op("plain", forward, lambda g, y, x: g * (1 - y * y), samples=[])
    noisy = op("noisy", lambda x: x + np.random.normal(), lambda g, y, x: g, samples=[])
    # Two calls of it agree: that it draws shows in the generator alone.
    seldom = op("seldom", lambda x: x * (np.random.random() < 2), lambda g, y, x: g, samples=[])
    p = Tensor(np.ones(3), requires_grad=True, name="p")
    thread = threading.Thread(target=draw)
    thread.start()
    try:
        same(write_backprop(np.sum(plain(p))).function()(p.data)[0], 3 * np.tanh(1))
        with pytest.raises(TypeError, match="noisy.*draws random numbers"):
            write_backprop(np.sum(noisy(p)))
        with pytest.raises(TypeError, match="seldom.*draws random numbers"):
            write_backprop(np.sum(seldom(p)))
    finally:
        stop.set()
        thread.join()


class Layer:
    """Draws when it is made, and not when it is applied."""

    def __init__(self, size):
        self.weight = np.random.default_rng(0).normal(size=size)

    def apply(self, x):
        return x * self.weight


def test_what_an_object_could_draw_by_other_methods_is_no_draw(registry):
    """Nor what a table of pandas could, which may sample its rows."""
    pandas = pytest.importorskip("pandas")
    layer, table = Layer(3), pandas.DataFrame({"scale": [1.0, 2.0, 3.0]})
    plain = op(
        "plain",
        lambda x: layer.apply(x) * table["scale"].to_numpy(),
        lambda g, y, x: g * layer.weight * table["scale"].to_numpy(),
        samples=[],
    )
    p = Tensor(np.ones(3), requires_grad=True, name="p")
    same(
        write_backprop(np.sum(plain(p))).function()(p.data)[1],
        layer.weight * np.array([1.0, 2.0, 3.0]),
    )


def test_what_else_is_loaded_is_not_what_a_function_draws_from(registry, monkeypatch):
    """`warnings.catch_warnings` names sys.modules, in which anything may stand besides modules."""
    odd = types.SimpleNamespace(make=np.random.default_rng)
    monkeypatch.setitem(sys.modules, "odd", odd)

    def quiet(x):
        with warnings.catch_warnings():
            return 2 * x

    plain = op("plain", quiet, lambda g, y, x: 2 * g, samples=[])
    p = Tensor(np.ones(3), requires_grad=True, name="p")
    same(write_backprop(np.sum(plain(p))).function()(p.data)[1], np.full(3, 2.0))


def test_a_draw_in_an_epoch_and_its_short_batch(either, registry):
    noise = noise_op(draw := Counting(), random=True)
    p, x = Tensor([[1.0], [2.0]], requires_grad=True), Tensor(random((2, 2))[0], name="x")
    epoch = compile_epoch(np.mean(noise(x) @ p), [x], optimizer=SGD([p], 1e-3), backend=either)
    (rows,) = random((5, 2), seed=1)
    for k in (2, 5):
        value = p.data.copy()
        for i, loss in enumerate(epoch(rows)):
            batch = rows[2 * i : 2 * i + 2] + k + i
            same(loss, np.mean(batch @ value))
            value = value - 1e-3 * np.mean(batch, axis=0)[:, None]
    assert draw.count == 7


def test_draws_in_rules_are_refused(registry):
    """They would be those of the moment in which the rule was traced, for good."""
    rng = np.random.default_rng(0)
    bad = op("bad", lambda x: x * 2, lambda g, y, x: g * (2 + 1e-9 * rng.normal()), samples=[])
    (p,), _ = tensors(random(3), ())
    with pytest.raises(
        TypeError, match="a vjp of bad draws random numbers, and the compiled step would hold"
    ):
        compile_backprop(np.sum(bad(p)), backend="numpy")

    class Langevin(SGD):
        def rule(self, g, state, rate, momentum):
            return rate * (g + rng.normal(size=g.shape)), []

    with pytest.raises(TypeError, match="the optimizer's rule draws random numbers"):
        compile_backprop(np.sum(p * p), optimizer=Langevin([p]), backend="numpy")


def test_what_has_no_history_is_a_constant():
    """Also where it was computed from data or from a parameter, as of which it then stays what it was."""
    (p,), (x,) = tensors(random(3), random(3))
    with no_grad():
        target = p * x
    step = compile_backprop(np.sum((p * x - target) * (p.detach() + x.data)), backend="numpy")
    old, other = p.data.copy(), x.data * 2
    p.data = p.data * 3
    same(step(other), np.sum((p.data * other - old * x.data) * (old + x.data)))
    with pytest.raises(
        ValueError, match="the output .* is a constant: nothing recorded of how it was computed"
    ):
        compile_backprop(np.sum(p * x), outputs=[target], backend="numpy")


def test_random_numbers_in_the_expression_stay_what_they_were():
    """They are constants of the graph. A mask that differs from step to step is an input: a named Tensor."""
    rng = np.random.default_rng(0)
    (p,), (x,) = tensors(random(50), random(50))
    mask = rng.random(50) < 0.5
    step = compile_backprop(np.sum(p * x * mask), backend="numpy")
    same(step(x.data), np.sum(p.data * x.data * mask))
    assert step(x.data) == step(x.data)
    drop = Tensor(mask, name="drop")
    step = compile_backprop(np.sum(p * x * drop), backend="numpy")
    same(step(x.data, drop=~mask), np.sum(p.data * x.data * ~mask))


def test_masks_follow_the_data(backend):
    """On data that flips every comparison that there is."""

    def f(p, x):
        y = p * x
        masks = """
            y > 0  y >= 0.2  y < x  y <= p  np.equal(x, p)  x != p  ~(y > 0.5)  (y > 0) & (x > 0)  (y > 0) | (p > 1)
            np.isfinite(np.log(np.abs(x)))  (y > 0) * (x < 0)  (y > 0) + (x < 0)  np.logical_and(x, y > 0)
            x.astype(bool)  (y > 0).astype(int) == (x > 0).astype(int)
            np.logical_not(x)  (x > 0) == (p > 0)  np.logical_or(x, y)
        """
        kinks = """
            relu(y)  np.abs(y)  np.maximum(x, y)  np.minimum(p, y)  np.clip(y, -0.5, 0.5)  np.sign(x) * y
            np.where(y > 0, np.where(x > 0, y, p), y * y)  np.where(x, p, y)  np.where(True, p, y)
            np.sum(y > 0, axis=1, keepdims=True) * p  np.mean(x > 0) * p  np.max(y > 1) * p
        """
        names = {"p": p, "x": x, "y": y}
        return sum(
            weighted(y * m, i) for i, m in enumerate(values_of(masks, **names))
        ) + weighted_sum(kinks, **names)

    p, x = random((3, 4), (3, 4))
    zeros = np.where(np.eye(3, 4), 0.0, x)
    agrees(
        backend,
        f,
        [p],
        [x],
        others=[([p], [-x]), ([-p], [x]), ([p], [zeros]), ([p], [p]), ([p * 0], [x])],
    )


def test_a_mask_as_an_index_decides_on_a_shape(backend):
    """As many elements as before are right, another number is refused, and one element is not spread over all."""
    (p,), (x,) = tensors(random(5), [np.array([1.0, 2.0, -1.0, -2.0, -3.0])])
    step = compile_backprop(np.sum((p * x)[x > 0]), backend=backend)
    other = np.array([-1.0, -2.0, 3.0, -1.0, 4.0])
    same(step(other), np.sum((p.data * other)[other > 0]))
    same(p.grad, np.where(other > 0, other, 0))
    for bad in ([1.0, -1.0, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, -1.0, -1.0], [-1.0] * 5):
        with pytest.raises(
            ValueError, match="getitem gives .* a shape that depends on the data cannot be compiled"
        ):
            step(bad)


# Optimizers of one's own


class Shifting(Optimizer):
    """Remembers the gradients of the last two steps, the older one last, and their largest element."""

    def __init__(self, parameters, rate):
        super().__init__(parameters, rate)
        self.states = [
            [np.zeros_like(p.data), np.zeros_like(p.data), np.zeros(())] for p in self.parameters
        ]

    def numbers(self, dtype):
        return (np.array(self.learning_rate, dtype),)

    def rule(self, g, state, rate):
        new, old, peak = state
        return rate * (g + 0.5 * new + 0.25 * np.flip(old)), [g, new, np.maximum(peak, np.max(g))]


def test_an_optimizer_that_moves_its_memory_on():
    """Old values are read before they are overwritten."""
    (p,), (x,) = tensors(random(4), random(4))
    q = Tensor(p.data, requires_grad=True)
    ours, eager = Shifting([p], 0.1), Shifting([q], 0.1)
    loss = np.sum(np.square(p * x))
    step = compile_backprop(loss, optimizer=ours, backend="numpy")
    for data in random(4, 4, 4, 4, 4, seed=1):
        q.grad = None
        np.sum(np.square(q * data)).backward()
        eager.step()
        step(data)
        same(p.data, q.data)
        for a, b in zip(ours.states[0], eager.states[0], strict=True):
            same(a, b)
    if HAS_NUMBA:
        with pytest.raises(NoLoops, match="the optimizer's rule"):
            compile_backprop(loss := np.sum(np.square(p * x)), optimizer=ours, backend="numba")
        assert compile_backprop(loss, optimizer=ours).backend == "numpy"


class Sign(SGD):
    """Steps of one size, whatever the gradient."""

    def rule(self, g, state, rate, momentum):
        return rate * np.sign(g), []


class Halving(SGD):
    """A rate that is halved after every third step."""

    def numbers(self, dtype):
        return np.array(self.learning_rate * 0.5 ** ((self.steps - 1) // 3), dtype), np.array(
            0.0, dtype
        )


class Decaying(SGD):
    """A rate that comes from a property."""

    @property
    def learning_rate(self):
        return self._learning_rate / (1 + self.steps)

    @learning_rate.setter
    def learning_rate(self, value):
        SGD.learning_rate.fset(self, value)


@pytest.mark.parametrize(
    "kind, changes",
    [
        (Sign, lambda g, k: 0.1 * np.sign(g)),
        (Halving, lambda g, k: 0.1 * 0.5 ** (k // 3) * g),
        (Decaying, lambda g, k: 0.1 / (2 + k) * g),
    ],
)
def test_optimizers_of_ones_own_are_the_same_in_every_way(kind, changes, either):
    """On paper, in eager steps, in compiled steps and in epochs: p * x has the gradient x."""
    rows = random((8, 3))[0]
    expected, path = np.zeros(3), []
    for k, row in enumerate(rows):
        expected = expected - changes(row, k)
        path.append(expected)
    ps = [Tensor(np.zeros(3), requires_grad=True) for _ in range(3)]
    eager, stepped, trained = (kind([p], 0.1) for p in ps)
    x = Tensor(rows[:1], name="x")
    step = compile_backprop(np.sum(ps[1] * x), optimizer=stepped, backend=either)
    for row, want in zip(rows, path):
        eager.zero_grad()
        np.sum(ps[0] * row).backward()
        eager.step()
        step(row[None])
        same([ps[0].data, ps[1].data], [want, want])
    compile_epoch(np.sum(ps[2] * x), [x], optimizer=trained, backend=either)(rows)
    same(ps[2].data, expected)


class Clipping(SGD):
    def step(self):
        for p in self.parameters:
            p.grad = np.clip(p.grad, -1, 1)
        super().step()


class Warming(SGD):
    def rule(self, g, state, rate, momentum):
        return (rate if self.steps > 100 else 0.1 * rate) * g, []


class Remembering(SGD):
    last = 0.0

    def rule(self, g, state, rate, momentum):
        before, self.last = self.last, g
        return rate * (g + before), []


class Listing(SGD):
    def __init__(self, parameters, rate):
        super().__init__(parameters, rate)
        self.seen = []

    def rule(self, g, state, rate, momentum):
        self.seen.append(g)
        return rate * sum(self.seen), []


@pytest.mark.parametrize(
    "kind, message",
    [
        (
            Clipping,
            r"not its step\(\), which Clipping has of its own: write what it does in rule\(\) and numbers\(\)",
        ),
        (Warming, r"the rule of Warming reads self.steps, .* into numbers\(\)"),
        (Remembering, "the rule of Remembering changes self.last, .* belongs into the state"),
        (Listing, "the rule of Listing changes self.seen"),
    ],
)
def test_what_a_compiled_step_does_not_know_of_an_optimizer_is_refused(kind, message):
    (p,), (x,) = tensors(random(3), random((1, 3)))
    before = p.data.copy()
    for compiled in (
        lambda loss, optimizer: compile_backprop(loss, optimizer=optimizer, backend="numpy"),
        lambda loss, optimizer: compile_epoch(loss, [x], optimizer=optimizer, backend="numpy"),
    ):
        optimizer = kind([p], 0.1)
        with pytest.raises(TypeError, match=message):
            compiled(np.sum(p * x), optimizer)
        assert (optimizer.steps, optimizer.__class__, getattr(optimizer, "last", 0.0)) == (
            0,
            kind,
            0.0,
        )
    same(p.data, before)


@pytest.mark.parametrize("name", ["step", "rule", "numbers"])
def test_a_method_of_one_optimizer_alone_is_refused(name):
    (p,), _ = tensors(random(3), ())
    optimizer = SGD([p], 0.1)
    setattr(optimizer, name, getattr(optimizer, name))
    with pytest.raises(TypeError, match=rf"this SGD has another {name}\(\) than its class"):
        compile_backprop(np.sum(p * p), optimizer=optimizer, backend="numpy")


# Source and cache


@pytest.mark.slow
def test_sources_are_readable():
    needed("numba")
    source = shared_epoch("numba").epoch.source
    compile(source, "source", "exec")
    assert (
        "def epoch(x0, x1, order, numbers, losses, m):" in source
        and "    for s in range(losses.size):" in source
    )
    assert "def step(x0, x1, m):" in shared_training("numba").step.source
    source = shared_training("numpy").step.source
    assert source.startswith("def run():\n    matmul(v0, ") and source.count("\n") > 10
    assert repr(shared_training("numpy").step) == "<compiled step(x, y), numpy>"
    assert repr(shared_epoch("numpy").epoch) == "<compiled epoch of batches of 10 rows, numpy>"


SCRIPT = """
import sys, numpy as np
from tinygrad_steel import Tensor, compile_backprop
p = Tensor(np.arange(3.0), requires_grad=True, name="p")
step = compile_backprop(np.sum(np.square(p - 1)), backend="numba")
print(step(), sum(step.engine.module.step.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_what_was_compiled_is_kept_on_disk(tmp_path):
    """By two processes at once, for a third."""
    needed("numba")
    environment = {**os.environ, "TINYGRAD_STEEL_CACHE": str(tmp_path / "not" / "yet")}
    command = [sys.executable, "-c", SCRIPT]
    start = functools.partial(
        subprocess.Popen, command, env=environment, stdout=subprocess.PIPE, text=True
    )
    outputs = [process.communicate()[0].split() for process in (start(), start())]
    assert [loss for loss, _ in outputs] == ["2.0", "2.0"]
    (file,) = (tmp_path / "not" / "yet").rglob("*.py")
    written = [f.stat().st_mtime_ns for f in sorted(file.parent.rglob("*.nb?"))]
    assert start().communicate()[0].split() == ["2.0", "1"]
    assert [f.stat().st_mtime_ns for f in sorted(file.parent.rglob("*.nb?"))] == written
    assert [*file.parent.parent.iterdir()] == [file.parent]  # nothing is left lying about
    assert os.name == "nt" or file.parent.parent.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A cache of its own, and a function that compiles as a new process would."""
    needed("numba")
    monkeypatch.setenv("TINYGRAD_STEEL_CACHE", str(tmp_path / "cache"))

    return compiled_as_by_a_new_process


def compiled_as_by_a_new_process():
    """Compile a step and prove it; how often it was taken from disk."""
    tinygrad_steel.compiled.cache.LOADED.clear()
    tinygrad_steel.compiled.cache.RECENT.clear()
    p = Tensor([1.0, 2.0], requires_grad=True)
    step = compile_backprop(np.sum(p * p), backend="numba")
    assert step() == 5.0
    same(p.grad, [2.0, 4.0])
    return sum(step.engine.module.step.stats.cache_hits.values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A cache with one program: compiled once, for all who damage a copy of it."""
    needed("numba")
    cache = tmp_path_factory.mktemp("whole") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_STEEL_CACHE", str(cache))
        assert compiled_as_by_a_new_process() == 0
    return cache


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garbage(file):
    file.write_bytes(bytes(range(256)) * 4)


def flip_a_byte(file):
    """As an editor would that keeps size and time."""
    data, status = bytearray(file.read_bytes()), file.stat()
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def to_folder(file):
    file.unlink()
    file.mkdir()


def to_dead_link(file):
    file.unlink()
    file.symlink_to("nowhere")


def add_a_line(file):
    file.write_bytes(file.read_bytes() + b"\n")


DAMAGE = [
    *(
        (kind, pattern)
        for kind in (truncate, garbage, flip_a_byte, to_folder, os.remove)
        for pattern in ("*.py", "*.nbi", "*.nbc")
    ),
    *((kind, "digest") for kind in (truncate, os.remove)),
    *((kind, "*.py") for kind in (to_dead_link, add_a_line, lambda file: file.write_bytes(b""))),
    (lambda file: file.chmod(0), "*.nbc"),
    (shutil.rmtree, "__pycache__"),
    (shutil.rmtree, "step_*"),
    (lambda folder: [shutil.rmtree(folder), folder.write_text("")], "step_*"),
    (lambda folder: [folder.rename(folder.parent / "other"), folder.symlink_to("other")], "step_*"),
]


@pytest.mark.slow
@pytest.mark.parametrize("damage, pattern", DAMAGE if FULL else DAMAGE[::2])
def test_a_damaged_program_is_compiled_anew(damage, pattern, whole, disk, tmp_path):
    """The step is right at once, and the next process finds it whole again."""
    shutil.copytree(whole, tmp_path / "cache")
    assert disk() == 1
    file = min((tmp_path / "cache").rglob(pattern), key=lambda x: len(x.parts))
    damage(file)
    disk()
    assert disk() == 1


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def no_home(*args):
    raise RuntimeError("Could not determine home directory.")


def file_in_its_place(tmp_path):
    (tmp_path / "cache").write_text("")


def open_to_all(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"steps_{os.getuid()}").mkdir()
    (tmp_path / "cache" / f"steps_{os.getuid()}").chmod(0o777)


def linked(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"steps_{os.getuid()}").symlink_to(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="folders there are not called by user ids")
@pytest.mark.parametrize("spoil", [file_in_its_place, open_to_all, linked])
def test_a_folder_that_cannot_be_used(spoil, disk, tmp_path):
    """Nothing is loaded from it; the step is compiled for this process."""
    spoil(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.warns(RuntimeWarning, match="compiled steps cannot be kept on disk") as caught:
        assert disk() == 0
    assert len(caught) == 1 and sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "target", ["pathlib.Path.mkdir", "tempfile.mkdtemp", "pathlib.Path.write_bytes", "os.rename"]
)
def test_a_full_or_read_only_disk(target, disk, monkeypatch, tmp_path):
    monkeypatch.setattr(target, no_space)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        assert disk() == 0
    assert not [*tmp_path.rglob("*.nbc")]


def test_a_disk_that_is_full_when_numba_writes(disk, monkeypatch, tmp_path):
    import numba

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", no_space)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        assert disk() == 0
    assert not [*tmp_path.rglob("*.py")]


def test_where_the_cache_is(monkeypatch, tmp_path):
    """Nobody asks for a home where a folder was given; without any, nothing is kept."""
    monkeypatch.setattr("pathlib.Path.home", no_home)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "TINYGRAD_STEEL_CACHE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match="home"):
        tinygrad_steel.compiled.cache.cache_folder()
    for name in ("XDG_CACHE_HOME", "TINYGRAD_STEEL_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
        assert (tmp_path / name) in tinygrad_steel.compiled.cache.cache_folder().parents


def test_numba_s_own_cache_folder_is_not_used(disk, monkeypatch, tmp_path):
    """Nobody would look after it."""
    import numba

    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path / "numba"))
    assert disk() == 0 and disk() == 1
    assert not (tmp_path / "numba").exists() and numba.core.config.CACHE_DIR == str(
        tmp_path / "numba"
    )


def test_one_module_for_one_source(disk):
    """And nothing else stays: neither in sys.modules, nor of a step that is gone."""
    before = {*sys.modules}

    def compiled():
        p = Tensor([1.0, 2.0, 3.0], requires_grad=True)
        return compile_backprop(np.sum(p * p), backend="numba")

    first, second = compiled(), compiled()
    assert (
        first.engine.module is second.engine.module
        and first.engine.memory is not second.engine.memory
    )
    gone = [weakref.ref(x) for x in (first, first.program, first.engine, first.engine.loops)]
    del first
    gc.collect()
    assert [x() for x in gone] == [None] * 4
    assert not [name for name in {*sys.modules} - before if name.startswith("step_")]


def test_what_numba_cannot_compile(monkeypatch, tmp_path):
    needed("numba")
    import numba

    def fail(spec):
        raise numba.core.errors.TypingError("no such thing")

    monkeypatch.setenv("TINYGRAD_STEEL_CACHE", str(tmp_path))
    monkeypatch.setattr(numba, "njit", lambda *args, **options: fail)
    monkeypatch.setattr(tinygrad_steel.compiled.cache, "LOADED", {})
    *_, loss = small()
    with pytest.raises(NoLoops, match="cannot compile this step: .*no such thing"):
        compile_backprop(loss, backend="numba")
    assert compile_backprop(loss).backend == "numpy"


# What the parameters are afterwards


def test_parameters_stay_tensors(backend):
    """Copied, pickled, detached and trained eagerly they are as they were; copies go their own way."""
    t = shared_training(backend)
    t.step_agrees(np.arange(10))
    p = t.parameters[0]
    copies = [copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p)), p.detach()]
    state = copy.deepcopy(t.optimizer.states)
    old = p.data.copy()
    t.step_agrees(np.arange(10))
    for c in copies:
        same(c.data, old)
        assert c.shape == p.shape and type(c.data) is np.ndarray
    assert not np.array_equal(state[0][0], t.optimizer.states[0][0])
    assert (
        p.data.flags.writeable and p.grad.flags.writeable and not np.shares_memory(p.data, p.grad)
    )


def test_gradients_do_not_add_up(backend):
    t = shared_training(backend)
    t.step_agrees(np.arange(10))
    t.step_agrees(np.arange(10))
    for p, g in zip(t.parameters, t.step.gradients.values(), strict=True):
        assert p.grad is g or np.shares_memory(p.grad, g)


def test_gradients_can_be_written_into(either):
    """As when they are clipped; those that are equal, constant or views of others are arrays of their own as well."""

    def f(p, q, r, s, t, u):
        return (
            np.sum((p + q) * r) + np.sum(s) + t + np.sum(u.T.reshape(-1) * np.reshape(r.T, -1) * 2)
        )

    parameters = random((2, 3), (2, 3), (2, 3), (4,), (), (3, 2))
    ps, _ = tensors(parameters, ())
    step = compile_backprop(f(*ps), backend=either)
    for _ in range(3):
        step()
        gradients = [p.grad for p in ps]
        expected, _ = tensors([p.data for p in ps], ())
        f(*expected).backward()
        for g, e in zip(gradients, expected, strict=True):
            same(g, e.grad)
            g *= 0.5
            same(g, 0.5 * e.grad)
        for g, e in zip(gradients, expected, strict=True):
            same(g, 0.5 * e.grad)


def test_an_eager_optimizer_after_compiled_gradients(backend):
    p, q = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    step = compile_backprop(np.sum(p**3), backend=backend)
    ours, eager = Adam([p], 0.1), Adam([q], 0.1)
    for _ in range(5):
        q.grad = None
        np.sum(q**3).backward()
        step()
        ours.step()
        eager.step()
        same(p.data, q.data)


def test_arrays_without_elements(either):
    (p, q), (x,) = tensors([np.zeros((0, 3)), np.ones(2)], [np.zeros((2, 0))])
    step = compile_backprop(np.sum(x @ p) + np.sum(q), optimizer=SGD([p, q], 0.5), backend=either)
    assert step(x.data) == 2 and step(x.data) == 1 and p.grad.shape == (0, 3)


def test_compiled_while_anomalies_are_detected():
    """Adam's corrections would divide by 0 before the first step."""
    p = Tensor([1.0, 2.0], requires_grad=True)
    with detect_anomaly():
        step = compile_backprop(np.sum(p * p), optimizer=Adam([p], 0.5), backend="numpy")
    same(step(), 5)
    same(step(), 0.5**2 + 1.5**2, 1e-8)


def test_other_arrays_are_refused_and_taken_as_data():
    da = pytest.importorskip("dask.array")
    p, x = Tensor(da.ones(3), requires_grad=True), Tensor(np.ones(3), name="x")
    with pytest.raises(TypeError, match=r"for NumPy's arrays, and .*\(3,\) float64 holds a dask A"):
        compile_backprop(np.sum(p * x), backend="numpy")
    p = Tensor(np.ones(3), requires_grad=True)
    assert compile_backprop(np.sum(p * x), backend="numpy")(da.ones(3) * 2) == 6


def test_a_step_outlives_its_loss():
    """And needs neither the graph nor the arrays with which it was traced."""
    _, x, loss = small()
    step = compile_backprop(loss, backend="numpy")
    data, want = x.data.copy(), loss.item()
    x.data.fill(np.nan)
    del loss, x
    same(step(data), want)


def test_a_step_in_a_thread(backend):
    t = shared_training(backend)
    got = []
    thread = threading.Thread(target=lambda: got.append(t.step(t.x[:10], t.y[:10])))
    thread.start()
    thread.join()
    same(got[0], t.eager_step(np.arange(10)))
    t.agree()


def in_threads(call, every):
    """What `call` gives for each of these arguments, from as many threads at once, many times."""
    got, interval = [[] for _ in every], sys.getswitchinterval()
    start = threading.Barrier(len(every))

    def work(found, arguments):
        start.wait()
        found += [call(*arguments) for _ in range(200)]

    threads = [threading.Thread(target=work, args=x) for x in zip(got, every, strict=True)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return got


def test_threads_that_share_a_step(backend):
    """They take turns: each gets the loss of its own data."""
    ps, xs = tensors(random((6, 1)), random((8, 6)))
    step = compile_backprop(np.mean(np.tanh(np.tanh(xs[0] @ ps[0]) * 2)), backend=backend)
    data = random((8, 6), (8, 6), (8, 6), (8, 6), seed=3)
    for x, losses in zip(data, in_threads(step, [(x,) for x in data]), strict=True):
        same(losses, np.full(200, np.mean(np.tanh(np.tanh(x @ ps[0].data) * 2))))


def test_threads_that_share_an_epoch(either):
    """Of two whole batches and a short one."""
    p, x = Tensor([[0.5], [0.25]], requires_grad=True), Tensor(random((2, 2))[0], name="x")
    epoch = compile_epoch(np.mean(np.tanh(x @ p)), [x], optimizer=SGD([p], 1e-30), backend=either)
    data = random((5, 2), (5, 2), (5, 2), seed=3)
    for rows, losses in zip(data, in_threads(epoch, [(x,) for x in data]), strict=True):
        batches = rows[:2], rows[2:4], rows[4:]
        same(losses, np.tile([np.mean(np.tanh(x @ p.data)) for x in batches], (200, 1)))


# What the loops read


def weighted_sum(text, **names):
    """The weighted sums of many expressions, with two spaces or a new line between them."""
    return sum(weighted(y, i) for i, y in enumerate(values_of(text, **names)))


def values_of(text, **names):
    """The values of many expressions."""
    return [
        eval(e, {"np": np, "Tensor": Tensor, **LIBRARY, **names})
        for e in re.split(r"\s{2,}", text.strip())
    ]


def test_views_and_indices(either):
    """Of parameters, of data and of what was computed, alone, on top of each other, and with reductions."""

    def f(p, x):
        return weighted_sum(
            """
            x.T * y.T  np.transpose(y, (2, 0, 1))  np.swapaxes(y, 0, -1)  np.flip(y, 1)  y.T.reshape(2, 12)
            y.reshape(4, 3, 2).T  np.flip(p.T, 0).reshape(8, 3)  y[1, -3, 0]  y[::-1]  y[:, 2:0:-1, 1:]
            y[None, 0, :, None]
            y[0, 1:][::-1].T  y[1:, 0:1, ::3]  np.flip(y[:, 1:])[0]  y[-2:-1, :, -1:]  y.reshape(2, 12)[:, 5:8]
            np.broadcast_to(y[:, :1], (5, 2, 3, 4))  np.expand_dims(y, (0, -1))  np.squeeze(y[:, :1])
            np.sum(y.T, axis=1)  np.sum(y, axis=(0, -1))  np.max(np.flip(y, 2), axis=1)  np.sum(p, axis=())
            np.mean(np.swapaxes(y, 1, 2), axis=(1, 2), keepdims=True)  np.sum(y[::-1, 1], axis=0)
            y.T.reshape(-1)[::5].reshape(1, 5) @ y.reshape(-1)[:5]  y[0].T @ y[1]  np.flip(y[1], 0) @ x[0, 0]
            y.reshape(6, 4).T @ x.reshape(4, 6).T  y.reshape(24)[::-1][7]
            """,
            **{"p": p, "x": x, "y": p * x},
        )

    p, x, q, z = random(*[(2, 3, 4)] * 4)
    agrees(either, f, [p], [x], others=[([q], [z]), ([q], [np.ascontiguousarray(z.T).T])])


def test_numbers_and_axes_of_length_one(either):
    """0-d parameters, data and constants; one row, one column, one class; axes that need no loop."""

    def f(a, b, c, d, t, x):
        names = {"a": a, "b": b, "c": c, "d": d, "t": t, "x": x, "y": a * t + b, "z": a * t}
        return weighted_sum(
            """
            z  np.sum(z, axis=0)  np.mean(z)  np.max(z)  z.reshape(1, 1) * b  np.expand_dims(z, 0)  z * z * t  y
            (b @ c).T  np.sum(b, axis=0)  np.max(b, axis=1, keepdims=True)  b[0, 0]  c[0] * x  np.mean(y)  a**2
            np.sum(c, axis=(0, 1))  b.reshape(())  np.squeeze(b)  np.std(c, axis=1)  d * b  d @ d  np.prod(b)  d[::-1]
            softmax(b)  np.var(d, axis=0)  np.reshape(d, ())  c[:, 1:2] + b  Tensor(0.5) * a  np.sum(z, axis=())
            softmax_cross_entropy(b, np.array([0]))
            """,
            **names,
        )

    a, b, c, d, x, y = random((), (1, 1), (1, 3), (1,), (1, 3), (1, 3), positive=True)
    agrees(
        either,
        f,
        [a, b, c, d],
        [np.array(0.7), x],
        others=[([a * 2, b * 3, c, d], [np.array(-2.0), y])],
    )


def test_single_numbers_as_arguments(backend):
    (p,), (x,) = tensors([3.0], [0.5])
    step = compile_backprop(p * x, backend=backend)
    assert {step(2), step(2.0), step(np.float32(2)), step(x0=np.array(2)), step(Tensor(2.0))} == {
        6.0
    }
    with pytest.raises(ValueError, match=r"x0 is \(1,\), the step was compiled for \(\)"):
        step(np.ones(1))


def test_momentum_and_adam_of_a_single_number(backend):
    """What they remember of it is a number too, and no constant."""
    for make in OPTIMIZERS.values() if backend == "numpy" else [OPTIMIZERS["Adam"]]:
        p, q = Tensor(2.0, requires_grad=True), Tensor(2.0, requires_grad=True)
        x = Tensor([1.0, 2.0], name="x")
        ours, eager = make([p]), make([q])
        step = compile_backprop(np.sum(np.square(p - x)), optimizer=ours, backend=backend)
        for i in range(8):
            q.grad = None
            loss = np.sum(np.square(q - np.array([1.0, i])))
            loss.backward()
            eager.step()
            same(step([1.0, i]), loss.item())
            same(p.data, q.data)


def test_nan_and_infinity_pass_as_in_eager_mode(backend):
    def f(p, x):
        found = values_of(
            """
            relu(y)  np.maximum(x, p)  np.minimum(y, 0.5)  np.where(y > 0, y, 0.0)  np.abs(y)  np.clip(y, -1, 1)  y - y
            np.sign(x) * p  np.exp(y)  np.log(np.abs(y))  y / (y + 1)  np.sqrt(np.abs(y))  y**0.5  y**3  np.tanh(y)
            np.max(y, axis=1)  np.min(y, axis=0)  np.sum(y, axis=1)  np.mean(y, axis=0)  np.prod(y, axis=1)  softmax(y)
            np.logaddexp(y, p)  np.isnan(y) * p  np.isinf(x) * p  (y == x) * p  np.logical_not(y) * p
            """,
            **{"p": p, "x": x, "y": p * x},
        )
        some = found if FULL or backend == "numpy" else found[::2]  # which numba takes seconds for
        seen = sum(np.sum(np.where(np.isnan(a), i, np.clip(a, -9, 9))) for i, a in enumerate(some))
        return seen + np.sum(p[0] * x[0])

    p, x = random((3, 4), (3, 4))
    others = []
    for value in (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300):
        z = x.copy()
        z[1, 2] = value
        others += [([p], [z]), ([z], [x])]
    agrees(backend, f, [p], [x], others=others)


def test_rounding_is_not_simplified_away(backend):
    """(x + c) - c rounds, and inf - inf is NaN: what holds for real numbers only is not made use of."""

    def f(p, c):
        return weighted_sum(
            "(p + c) - c  np.sqrt(np.abs(p * p - c * c) * 0 + (p * p - p * p))  np.log1p(p)  (1 + p) - 1",
            p=p,
            c=c,
        )

    p = random(5, positive=True)[0]
    agrees(
        backend,
        f,
        [p],
        [np.full(5, 2.0**52)],
        others=[([p], [np.full(5, c)]) for c in (1e16, np.inf, 0.1)],
    )


def test_bools_and_integers_as_data(backend):
    """Integers keep NumPy's arithmetic: they wrap around, and their reciprocals are whole."""

    def f(p, mask, small, wide):
        return weighted_sum(
            """
            p * mask  p * small  p * (small + small)  p * (small * 2 - 1)  p * np.reciprocal(wide)  p * (wide / 4)  p**2
            p * np.square(small)  p * wide.astype(np.int8)  p * small.astype(bool)  p * np.maximum(small, 3)  p - wide
            p * np.sum(mask)  p * np.mean(small)  p * np.max(wide)  np.where(mask, p, 0)  np.where(small, p, 1.0)
            p * mask.astype(float)  p * np.exp(mask.astype(float))  p * -mask.astype(float)  p * (wide == 300)
            p * np.sqrt(small.astype(float))  p * (mask & (small > 2))  p * (small @ small)  p * (~mask).astype(int)
            """,
            **{"p": p, "mask": mask, "small": small, "wide": wide},
        )

    data = [np.array([True, False, True]), np.array([1, 100, 7], np.uint8), np.array([1, 300, 5])]
    other = [
        np.array([False, False, True]),
        np.array([200, 0, 255], np.uint8),
        np.array([2, 4, 300]),
    ]
    agrees(backend, f, random(3), data, others=[(random(3, seed=4), other)])


def test_constants_of_the_expression(either):
    """Arrays, lists and numbers in it, 1.0 among them, and weight decay."""
    ones = np.ones((2, 3))

    def f(p, q, x):
        y = (p * 1.0 + ones) * [[1.0, 2.0, 3.0]] / 1 - 0.0
        decay = 0.01 * (np.sum(p * p) + np.sum(q**2))
        return np.sum(np.square(y.T @ x)) * 0.5 + decay + np.sum((p + p) * q) + np.sum(ones)

    p, q, x, z = random((2, 3), (2, 3), (2, 4), (2, 4))
    agrees(either, f, [p, q], [x], others=[([q, p], [z]), ([p, p], [x])])


def test_powers(backend):
    def f(p, x):
        return weighted_sum(
            """
            p**0  p**1  p**2  p**3  p**-1  p**-2  p**0.5  p**1.5  p ** np.float64(2)  p**True  2.0**p  p**x
            p ** Tensor(2.0)  np.power(p, x)  p ** np.array([1.0, 2.0, 3.0])  np.abs(-p) ** 0.5
            """,
            **{"p": p, "x": x},
        )

    p, q = random(3, 3, positive=True)
    agrees(backend, f, [p], [q], others=[([q], [-p])])


def test_what_is_left_to_numpy_between_loops(either):
    """Also where it reads what no view of memory can show."""

    def f(p, x, ids):
        y = p * x
        return weighted_sum(
            """
            z @ np.swapaxes(z, 1, 2)  np.cumsum(y, axis=1)  np.concatenate([y, z.T.reshape(2, 3, 4)], axis=1)  y[ids]
            np.stack([y[0], y[1] * 2])  np.einsum("ijk,ij->k", y, p[..., 0])  y[:, ids, 0]  z.reshape(-1)[ids]
            np.sum(np.argmax(y, axis=1) * x[:, 0]) * p[0, 0, 0]  y[0].T[ids] @ x[0]  p * np.any(y > 1, axis=0)
            """,
            **{
                "p": p,
                "x": x,
                "ids": ids,
                "y": y,
                "z": y.T.reshape(4, 3, 2),
            },  # z is a copy in NumPy
        )

    p, x = random((2, 3, 4), (2, 3, 4))
    agrees(
        either,
        f,
        [p],
        [x, np.array([1, 0])],
        others=[([p], [-x, np.array([0, 0])]), ([x], [p, np.array([-1, 1])])],
    )


def test_large_products_are_left_to_blas(backend):
    """Between loops, also of views that are copies: (x.T).reshape, and gradients of them."""

    def f(p, q, x):
        return np.mean(
            np.tanh(x.T.reshape(48, 40) @ p.reshape(40, 60) @ np.flip(q.T, 0))
        ) + np.mean(x @ p[:48])

    p, q, x, r, s, z = random(*[(60, 40), (30, 60), (40, 48)] * 2)
    agrees(backend, f, [p, q], [x], others=[([r, s], [z])])


def test_many_columns(either):
    agrees(either, lambda p, x: np.mean(np.square(x @ p)), random((3, 20)), random((4, 3)))


@pytest.mark.parametrize("axis", [1, -1, 0])
@pytest.mark.parametrize("spread", [np.var, np.std])
def test_the_variance_of_no_rows(spread, axis, either):
    """NumPy gives an empty array for the rows of an array without any."""
    shape = (0, 3) if axis else (3, 0)
    x, w = (
        Tensor(np.zeros(shape), requires_grad=True, name="x"),
        Tensor(2.0, requires_grad=True, name="w"),
    )
    step = compile_backprop(np.sum(spread(x, axis=axis)) + w * 3, backend=either)
    assert step() == 6.0
    assert x.grad.shape == shape and w.grad == 3.0


class ReadsItsRate(SGD):
    def rule(self, g, state, *numbers):
        return self.learning_rate * g, []


class GrowsItsState(SGD):
    def rule(self, g, state, *numbers):
        velocity = 0.9 * state[0] + g if state else g
        return numbers[0] * velocity, [velocity]


@pytest.mark.parametrize(
    "kind, message",
    [
        (ReadsItsRate, "reads self.learning_rate"),
        (GrowsItsState, "a state of 1 arrays for one of 0"),
    ],
)
def test_rules_that_would_be_frozen_are_refused(kind, message):
    w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    with pytest.raises(TypeError, match=message):
        compile_backprop(np.sum(w * w), optimizer=kind([w], 0.1), backend="numpy")


@pytest.mark.parametrize("make", [lambda w: SGD([w], 0.1), lambda w: Adam([w], 0.1)])
def test_the_numbers_of_an_optimizer_have_the_dtype_of_its_parameters(make):
    """Also where the loss has fewer digits: 0.1 in float32 is another rate."""

    def trained(backend):
        x = Tensor([[1.0, 2.0], [3.0, 5.0]], name="x")
        weight = Tensor([[0.3], [0.7]], requires_grad=True, name="weight")
        optimizer = make(weight)

        def loss_of():
            return np.mean(np.square(x @ weight).astype(np.float32))

        if backend:
            step = compile_backprop(loss_of(), optimizer=optimizer, backend="numpy")
        for _ in range(3):
            if backend:
                step(x.data)
            else:
                optimizer.zero_grad()
                loss_of().backward()
                optimizer.step()
        return weight.numpy()

    np.testing.assert_array_equal(trained("numpy"), trained(None))


def test_a_division_of_the_users_own_is_one(either):
    """49 / 49 is 1, 49 * (1 / 49) is not; only an optimizer's numbers are taken by their inverse."""
    x, s = Tensor(np.full(20, 49.0), name="x"), Tensor(49.0, name="s")
    w = Tensor(np.ones(20), requires_grad=True, name="w")
    step = compile_backprop(np.sum(w * (x / s)), optimizer=Adam([w], 0.1), backend=either)
    step(x.data, s.data)
    assert w.grad.tolist() == [1.0] * 20
    np.testing.assert_allclose(w.data, 0.9, rtol=1e-7)  # Adam's first step is the rate
    if either == "numba":
        assert "inverse" in step.source
