"""Compiled steps with windows and pieces: convolution, pooling, joined and indexed arrays, sequences.

Eager mode is the oracle, which other tests prove. Loops are run by Python where it matters what they read and write.
"""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest
from helpers import FULL

from tinygrad_steel import (
    SGD,
    Adam,
    Tensor,
    avg_pool,
    compile_backprop,
    compile_epoch,
    conv2d,
    max_pool,
    relu,
    sigmoid,
    softmax_cross_entropy,
)
from tinygrad_steel.compiled import backends

EXACT = {"rtol": 1e-10, "atol": 1e-13}


def in_each(request):
    """The name of a back end, which is ready to be used."""
    if request.param == "loops":
        request.getfixturevalue("uncompiled")
    elif request.param == "numba" and importlib.util.find_spec("numba") is None:
        missing = "the numba back end is not installed"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return "numpy" if request.param == "numpy" else "numba"


MACHINE_CODE = pytest.param("numba", marks=pytest.mark.slow)


@pytest.fixture(params=["numpy", "loops", MACHINE_CODE])
def backend(request):
    """NumPy's calls, the loops run by Python, and the loops compiled."""
    return in_each(request)


@pytest.fixture(params=[MACHINE_CODE])
def machine_code(request):
    """The loops compiled."""
    return in_each(request)


@pytest.fixture(params=["numpy", "loops", *([MACHINE_CODE] if FULL else [])])
def quick_backend(request):
    """The same where to compile the loops takes many seconds: in the full form alone."""
    return in_each(request)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def check_step(function, *arrays, backend):
    """A compiled step gives what eager mode gives, twice: no memory keeps anything of the step before."""
    x = Tensor(arrays[0], name="x")
    parameters = [
        Tensor(a, requires_grad=True, name=f"p{i}") for i, a in enumerate((arrays[0], *arrays[1:]))
    ]
    y = function(*parameters)
    weights = Tensor(random(*y.shape, seed=9), name="weights")
    step = compile_backprop(
        np.sum(function(x * parameters[0], *parameters[1:]) * weights), backend=backend
    )
    for seed in (1, 2):
        data, given = random(*x.shape, seed=seed), random(*y.shape, seed=seed + 5)
        for p in parameters:
            p.grad = None
        loss = np.sum(function(data * parameters[0], *parameters[1:]) * given)
        loss.backward()
        wanted = [p.grad.copy() for p in parameters]
        np.testing.assert_allclose(step(x=data, weights=given), loss.item(), **EXACT)
        for p, g in zip(parameters, wanted):
            np.testing.assert_allclose(step.gradients[p.name], g, **EXACT)


CONVOLUTIONS = [
    ((2, 4, 5, 2), (3, 3, 2, 3), {}),
    ((2, 5, 4, 1), (2, 3, 1, 2), {"stride": 2}),
    ((1, 5, 6, 2), (3, 2, 2, 2), {"stride": (2, 1), "padding": "valid"}),
    ((3, 2, 2, 2), (1, 1, 2, 2), {}),
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((1, 4, 4, 1), (1, 1, 1, 2), {"stride": 3}),
]


@pytest.mark.parametrize(("images", "kernel", "how"), CONVOLUTIONS)
def test_convolution(images, kernel, how, backend):
    check_step(lambda x, k: conv2d(x, k, **how), random(*images), random(*kernel), backend=backend)


POOLS = [
    {},
    {"size": 3, "stride": 2, "padding": "same"},
    {"size": (2, 1), "stride": (1, 2)},
    {"size": 2, "padding": "same"},
    {"size": 2, "stride": 3},
    {"size": 1},
]


@pytest.mark.parametrize("pool", [max_pool, avg_pool], ids=["max", "mean"])
@pytest.mark.parametrize("how", POOLS)
def test_pooling(pool, how, backend):
    check_step(lambda x: pool(x, **how), random(2, 5, 4, 3), backend=backend)


def test_ties_share_evenly(backend):
    x = Tensor(np.zeros((1, 2, 2, 1)), requires_grad=True, name="x")
    weight = Tensor(1.0, name="weight")
    step = compile_backprop(np.sum(max_pool(x) * weight), backend=backend)
    step(8.0)
    assert x.grad.ravel().tolist() == [2, 2, 2, 2]


def test_nan_and_infinity_stay(backend):
    x = Tensor(random(1, 4, 4, 1), requires_grad=True, name="x")
    x.data[0, 0, 0, 0], x.data[0, 3, 3, 0] = np.nan, -np.inf
    pooled = max_pool(x, size=3, stride=2, padding="same")
    loss = np.sum(np.where(np.isnan(pooled), 0, pooled))
    with np.errstate(all="ignore"):
        loss.backward()
        wanted, x.grad = x.grad, None
        step = compile_backprop(loss, backend=backend)
        step()
    np.testing.assert_allclose(x.grad, wanted, **EXACT)


def parts_apart(x, y):
    z = x * y
    return z[:2] * z[2:4]


def parts_that_overlap(x, y):
    z = x * y
    return z[:3] + z[1:] * 3 + z[::-1][:3] + z[0] * z[0, 1]


def a_part_and_the_whole(x, y):
    z = x * y
    return z[1:] + z[:3] + np.sum(z * z)


JOINED = {
    "concatenate": lambda x, y: np.concatenate([x, y * 2, x[:1]], axis=0),
    "along the last axis": lambda x, y: np.concatenate([x, x.T[:, :1].T * y[:1]], axis=-2),
    "stack": lambda x, y: np.stack([x, y, x * y], axis=1),
    "stack behind": lambda x, y: np.stack([x, y], axis=-1),
    "pad": lambda x, y: np.pad(x * y, ((1, 0), (2, 3))),
    "pad with a number": lambda x, y: np.pad(x, 1, constant_values=2.5) * np.pad(y, 1),
    "parts apart": parts_apart,
    "parts that overlap": parts_that_overlap,
    "a part and the whole": a_part_and_the_whole,
    "rows": lambda x, y: sum(row * (i + 1.0) for i, row in enumerate(x * y)),
    "single elements": lambda x, y: (x * y)[0, 1] * x[2, 2] + x[0, 1] + np.sum(y[1, None, :2]),
    "embedding": lambda x, y: x[[0, 2, 2]] * y[[1, 1, 0]] + x[1],
}


@pytest.mark.parametrize("name", JOINED)
def test_pieces(name, backend):
    check_step(JOINED[name], random(4, 3), random(4, 3, seed=1), backend=backend)


def short(arrays):
    """The same in float32."""
    return [a.astype(np.float32) for a in arrays]


# Networks: a whole epoch of training


def cnn(x, y, kernel, bias, kernel2, weight):
    x = max_pool(relu(conv2d(x, kernel) + bias))
    x = avg_pool(relu(conv2d(x, kernel2, stride=2)), padding="same")
    return softmax_cross_entropy(x.reshape(-1, 3) @ weight, y).mean()


def lstm(x, y, of_x, of_h, bias, weight):
    h = state = np.zeros((1, 3))
    inners = x @ of_x + bias
    for t in range(x.shape[1]):
        inner = inners[:, t] + h @ of_h
        take, keep, show = np.split(sigmoid(inner[:, 3:]), 3, axis=1)
        state = keep * state + take * np.tanh(inner[:, :3])
        h = show * np.tanh(state)
    return softmax_cross_entropy(h @ weight, y).mean()


def attention(x, y, weight, other, out):
    """All states are kept, and looked back at."""
    hs = [np.tanh(x[:, t] @ weight) for t in range(x.shape[1])]
    states = np.stack(hs, axis=1)
    scores = np.sum(states * (hs[-1] @ other)[:, None], axis=-1)
    shares = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    seen = np.concatenate([np.sum(states * shares[:, :, None], axis=1), hs[0]], axis=1)
    return softmax_cross_entropy(seen @ out, y).mean()


def rnn(x, y, of_x, of_h, weight):
    """Many small steps, which loops say once."""
    h = np.zeros((1, 2))
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ of_x + h @ of_h)
    return softmax_cross_entropy(h @ weight, y).mean()


NETWORKS = {
    "rnn": (rnn, (14, 2), [(2, 2), (2, 2), (2, 4)]),
    "cnn": (cnn, (8, 8, 1), [(3, 3, 1, 2), (2,), (3, 3, 2, 3), (3, 4)]),
    "lstm": (lstm, (5, 2), [(2, 12), (3, 12), (12,), (3, 4)]),
    "attention": (attention, (5, 2), [(2, 3), (3, 3), (6, 4)]),
}


def made(name, rows=4):
    """The Tensors of a batch, parameters, and the loss."""
    function, shape, shapes = NETWORKS[name]
    x = Tensor(random(rows, *shape), name="x")
    y = Tensor(np.eye(4)[np.arange(rows) % 4], name="y")
    parameters = [
        Tensor(random(*s, seed=i), requires_grad=True, name=f"p{i}") for i, s in enumerate(shapes)
    ]
    return function, x, y, parameters, function(x, y, *parameters)


@pytest.mark.parametrize("optimizer", [SGD, Adam])
@pytest.mark.parametrize("name", NETWORKS)
def test_an_epoch_trains_as_eager_does(name, optimizer, quick_backend):
    check_epoch(name, optimizer, quick_backend)


@pytest.mark.parametrize("name", ["cnn", "rnn"])
def test_an_epoch_in_machine_code_does(name, machine_code):
    check_epoch(name, SGD, machine_code)


def check_epoch(name, optimizer, backend):
    """10 rows in batches of 4: the last one is shorter."""
    function, x, y, parameters, loss = made(name)
    epoch = compile_epoch(loss, (x, y), optimizer=optimizer(parameters, 0.1), backend=backend)
    others = [Tensor(p.data, requires_grad=True) for p in parameters]
    eager = optimizer(others, 0.1)
    xs, ys = random(10, *x.shape[1:], seed=3), np.eye(4)[np.arange(10) % 4]
    order = np.random.default_rng(4).permutation(10)
    for _ in range(2):
        losses = []
        for rows in (order[:4], order[4:8], order[8:]):
            eager.zero_grad()
            wanted = function(xs[rows], ys[rows], *others)
            wanted.backward()
            eager.step()
            losses.append(wanted.item())
        np.testing.assert_allclose(epoch(xs, ys, order=order), losses, **EXACT)
        for p, other in zip(parameters, others):
            np.testing.assert_allclose(p.data, other.data, **EXACT)


def test_float32_stays_float32(backend):
    images, kernel = short([random(2, 4, 4, 1), random(3, 3, 1, 2)])
    x, k = Tensor(images, name="x"), Tensor(kernel, requires_grad=True, name="k")
    loss = np.sum(max_pool(conv2d(x, k)) ** 2)
    loss.backward()
    wanted, k.grad = k.grad, None
    step = compile_backprop(loss, backend=backend)
    step(images)
    assert k.grad.dtype == np.float32
    np.testing.assert_allclose(k.grad, wanted, rtol=1e-5)


# Sequences of another length


@pytest.mark.parametrize("name", ["lstm", "attention"])
@pytest.mark.parametrize("steps", [1, 3, 6, 10])
def test_a_sequence_of_another_length_is_refused(name, steps, quick_backend):
    """A step holds its number of steps: another one is an error, and nothing is trained."""
    backend = quick_backend
    function, x, y, parameters, loss = made(name)
    optimizer = SGD(parameters, 0.1)
    step = compile_backprop(loss, optimizer=optimizer, backend=backend)
    epoch = compile_epoch(loss, (x, y), optimizer=optimizer, backend=backend)
    before = [p.data.copy() for p in parameters]
    other = random(4, steps, 2)
    with pytest.raises(ValueError, match="compiled for.*compile again"):
        step(other, y.data)
    with pytest.raises(ValueError, match=r"give an array \(rows, "):
        epoch(np.concatenate([other] * 2), np.concatenate([y.data] * 2))
    for p, old in zip(parameters, before):
        np.testing.assert_array_equal(p.data, old)
    again = compile_backprop(function(Tensor(other, name="x"), y, *parameters), backend=backend)
    assert np.isfinite(again(other, y.data))


@pytest.mark.parametrize("name", ["lstm", "attention"])
def test_fewer_rows_of_a_whole_step_are_refused(name, quick_backend):
    """A step has no shorter batch, other than an epoch; nor are steps of time taken for rows."""
    _, x, y, parameters, loss = made(name)
    step = compile_backprop(loss, optimizer=SGD(parameters, 0.1), backend=quick_backend)
    with pytest.raises(ValueError, match="compiled for"):
        step(x.data[:2], y.data[:2])
    with pytest.raises(ValueError, match="compiled for"):
        step(x.data.swapaxes(0, 1), y.data)


def test_a_mask_for_shorter_sequences_is_exact(backend):
    """Padded to one length, with a mask that keeps the old state: what the sequences give alone."""
    weight, of_h = random(2, 3), random(3, 3, seed=1)
    lengths, xs = [2, 5, 3], random(3, 5, 2, seed=2)
    mask = (np.arange(5) < np.array(lengths)[:, None]).astype(float)
    W, H = (Tensor(a, requires_grad=True, name=n) for a, n in ((weight, "W"), (of_h, "H")))
    x, m = Tensor(xs * 0, name="x"), Tensor(mask * 0, name="m")

    def states(x, m, W, H):
        h = np.zeros((len(x), 3))
        for t in range(x.shape[1]):
            new = np.tanh(x[:, t] @ W + h @ H)
            h = m[:, t, None] * new + (1 - m[:, t, None]) * h
        return h

    step = compile_backprop(np.sum(states(x, m, W, H) ** 2), backend=backend)
    got = step(xs, mask)
    wanted = 0
    for row, n in zip(xs, lengths):
        wanted = wanted + np.sum(states(row[None, :n], np.ones((1, n)), W, H) ** 2)
    gradients = [W.grad.copy(), H.grad.copy()]
    W.grad = H.grad = None
    wanted.backward()
    np.testing.assert_allclose(got, wanted.item(), **EXACT)
    np.testing.assert_allclose(gradients[0], W.grad, **EXACT)
    np.testing.assert_allclose(gradients[1], H.grad, **EXACT)


def test_a_first_state_with_rows_is_refused_with_a_word_on_one_row():
    x = Tensor(random(4, 2), name="x")
    weight = Tensor(random(2, 3), requires_grad=True)
    loss = np.sum((x @ weight + np.zeros((4, 3))) ** 2)
    with pytest.raises(ValueError, match=r"as those of a first state, give one alone, \(1, 3\)"):
        compile_epoch(loss, (x,), optimizer=SGD([weight], 0.1))
    loss = np.sum((x @ weight + random(4, 3)) ** 2)
    with pytest.raises(ValueError, match="row by row") as refusal:
        compile_epoch(loss, (x,), optimizer=SGD([weight], 0.1))
    assert "first state" not in str(refusal.value)


def test_the_steps_of_a_sequence_are_said_once(uncompiled):
    """24 steps more are few lines more; numbers are those of eager mode (see the epochs)."""
    sources = []
    for steps in (24, 48):
        function, _, y, parameters, _ = made("rnn")
        x = Tensor(random(4, steps, 2), name="x")
        loss = function(x, y, *parameters)
        sources.append(compile_backprop(loss, backend="numba").source)
    assert "for r in range(" in sources[0]
    few, many = (len(source.splitlines()) for source in sources)
    assert many - few <= 2 * 24  # without loops there were 40 lines for each step


@pytest.mark.slow
def test_what_compiles_for_long_is_left_to_numpy_unless_numba_is_asked_for(monkeypatch):
    """A sequence is compiled as well, up to so many lines."""
    if importlib.util.find_spec("numba") is None:
        pytest.skip("the numba back end is not installed")
    *_, loss = made("rnn")
    assert compile_backprop(loss).backend == "numba"
    monkeypatch.setattr(backends, "LONGEST", 30)
    assert compile_backprop(loss).backend == "numpy"
    assert compile_backprop(loss, backend="numba").backend == "numba"


def test_memory_is_lent_again_and_results_keep_theirs():
    """A chain of many steps needs few arrays; what somebody reads after the step is not lent."""
    x = Tensor(random(50), requires_grad=True, name="x")
    y = x
    for _ in range(30):
        y = np.sin(y) * 1.1
    middle = y * 2
    z = middle
    for _ in range(30):
        z = np.sin(z)
    step = compile_backprop(np.sum(z), outputs=[middle, y], backend="numpy")
    step()
    np.testing.assert_allclose(step.outputs[0], middle.data)
    np.testing.assert_allclose(step.outputs[1], y.data)
    # A sine's slope needs its input, so these 60 stay; with all in between there were over 200
    values = [v for v in step.engine.replay.buffers.values() if v.size == 50]
    owners = {v.__array_interface__["data"][0] for v in values}
    assert len(owners) < 0.7 * len(values)
