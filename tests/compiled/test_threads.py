"""Several cores: the same bits for any number of threads, whole steps whatever happens meanwhile."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tinygrad_steel import SGD, Adam, Tensor, compile_backprop, compile_epoch, relu
from tinygrad_steel import softmax_cross_entropy as cross_entropy
from tinygrad_steel.compiled import blocks, threads
from tinygrad_steel.compiled.blocks import Blocks, cut_product

with_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")
with_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
with_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
ROWS, WIDTHS = 96, (20, 44, 36, 5)


@pytest.fixture
def early(monkeypatch):
    """Small products and loops are cut as well, so that tests are short."""
    small = {"LARGE_PRODUCT": 20_000, "PRODUCT": 5_000, "ROWS": 12, "LARGE_LOOP": 1500, "LOOP": 400}
    for name, value in small.items():
        monkeypatch.setattr(blocks, name, value)


class Network:
    """Layers with tanh (a loop nest with a bias) and relu (part of its product), for a batch of 96 rows."""

    def __init__(self, optimizer=SGD):
        rng = np.random.default_rng(0)
        self.x = Tensor(rng.normal(size=(ROWS, WIDTHS[0])), name="x")
        self.ids = Tensor(rng.integers(0, WIDTHS[-1], ROWS), name="ids")
        self.parameters, t = [], self.x
        for rows, columns, activation in zip(WIDTHS, WIDTHS[1:], (np.tanh, relu, lambda t: t)):
            weight = Tensor(rng.normal(0, rows**-0.5, (rows, columns)), requires_grad=True)
            bias = Tensor(rng.normal(0, 0.1, columns), requires_grad=True)
            self.parameters += [weight, bias]
            t = activation(t @ weight + bias)
        self.output, self.loss = t, cross_entropy(t, self.ids).mean()
        self.optimizer = optimizer(self.parameters, 0.01)

    def epoch(self, **how):
        batch, outputs = (self.x, self.ids), [self.output]
        return compile_epoch(self.loss, batch, optimizer=self.optimizer, outputs=outputs, **how)

    def step(self, **how):
        return compile_backprop(self.loss, optimizer=self.optimizer, **how)

    def numbers(self):
        return [np.array(p.data) for p in self.parameters]


def data(rows):
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, WIDTHS[0])), rng.integers(0, WIDTHS[-1], rows)


def same_bits(first, second):
    assert len(first) == len(second)
    for x, y in zip(first, second):
        assert x.shape == y.shape
        assert x.tobytes() == y.tobytes()


# Numbers


@with_numba
@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_epochs_are_the_same_for_any_number_of_threads(early, optimizer):
    x, ids = data(4 * ROWS + 31)  # with a shorter last batch
    order = np.random.default_rng(2).permutation(len(x))
    found = {}
    for many in (1, 2, 3, 7):
        network = Network(optimizer)
        epoch = network.epoch(backend="numba", threads=many)
        assert epoch.threads == many
        assert ("def part(" in epoch.source) == (many > 1)
        losses, outputs = [], []
        for _ in range(2):
            loss, output = epoch(x, ids, order=order)
            losses.append(loss)
            outputs += [*output, *epoch.last_outputs]
        found[many] = [*losses, *outputs, *network.numbers()]
        assert network.optimizer.steps == 10
    for many in (2, 3, 7):
        same_bits(found[many], found[1])
    eager = Network(optimizer)
    expected = eager.epoch(backend="numpy")
    expected(x, ids, order=order)
    losses, _ = expected(x, ids, order=order)
    np.testing.assert_allclose(losses, found[7][1], rtol=1e-10)
    for ours, theirs in zip(found[7][-6:], eager.numbers()):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@with_numba
def test_steps_are_those_of_eager_tensors(early):
    network, eager = Network(Adam), Network(Adam)
    step = network.step(backend="numba", threads=3)
    assert step.threads == 3
    for _ in range(3):
        x, ids = data(ROWS)
        eager.x.data, eager.ids.data = x, ids
        output = eager.x
        for i, activation in enumerate((np.tanh, relu, lambda t: t)):
            output = activation(output @ eager.parameters[2 * i] + eager.parameters[2 * i + 1])
        loss = cross_entropy(output, eager.ids).mean()
        eager.optimizer.zero_grad()
        loss.backward()
        eager.optimizer.step()
        np.testing.assert_allclose(step(x, ids), loss.item(), rtol=1e-12)
    for ours, theirs in zip(network.parameters, eager.parameters):
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)
    assert network.optimizer.steps == 3
    with pytest.raises(ValueError, match="class"):
        step(x, ids + 5)
    assert network.optimizer.steps == 3


@with_numba
def test_what_is_large_is_cut_as_it_comes():
    x = Tensor(np.random.default_rng(0).normal(size=(520, 128)), name="x")
    found = []
    for many in (1, 2):
        w = Tensor(np.random.default_rng(1).normal(size=(128, 128)), requires_grad=True)
        step = compile_backprop(np.sum(np.square(x @ w)), backend="numba", threads=many)
        assert step.threads == many
        loss = step(x.data)
        np.testing.assert_allclose(loss, np.sum((x.data @ w.data) ** 2), rtol=1e-12)
        np.testing.assert_allclose(w.grad, 2 * x.data.T @ (x.data @ w.data), rtol=1e-10)
        found.append([np.array(loss), np.array(w.grad)])
    same_bits(*found)


@with_numba
def test_single_numbers_stay_where_they_are(early):
    """Loops whose arrays begin with each block read some that do not."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(ROWS, 24)), name="x")
    found = []
    for many in (1, 3):
        scale = Tensor([[1.5]], requires_grad=True)
        w = Tensor(np.random.default_rng(1).normal(size=(ROWS, 24)), requires_grad=True)
        y = (x * scale + w) * w
        step = compile_backprop(np.sum(y), outputs=[y], backend="numba", threads=many)
        assert step.threads == many
        step(x.data)
        np.testing.assert_allclose(step.outputs[0], (x.data * 1.5 + w.data) * w.data, rtol=1e-12)
        np.testing.assert_allclose(w.grad, 1.5 * x.data + 2 * w.data, rtol=1e-12)
        np.testing.assert_allclose(scale.grad, [[np.sum(x.data * w.data)]], rtol=1e-10)
        found.append([*step.outputs, w.grad, scale.grad])
    same_bits(*found)


@with_numba
def test_numpy_does_its_part_between_blocks(early):
    """`sort` has no loop form."""
    x = np.random.default_rng(0).normal(size=(2 * ROWS, 24))
    found = []
    for backend, many in (("numpy", None), ("numba", 1), ("numba", 3)):
        w = Tensor(np.random.default_rng(1).normal(size=(24, 24)), requires_grad=True)
        batch, optimizer = Tensor(x[:ROWS], name="x"), SGD([w], 0.01)
        loss = np.mean(np.square(np.sort(batch @ w, axis=1) @ w))
        epoch = compile_epoch(loss, [batch], optimizer=optimizer, backend=backend, threads=many)
        assert epoch.threads == many
        found.append([epoch(x), np.array(w.data)])
        assert optimizer.steps == 2
    same_bits(found[1], found[2])
    for ours, theirs in zip(found[0], found[1]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("many", [1, 2])
def test_what_is_small_stays_one_function(uncompiled, many):
    network = Network()
    step = network.step(backend="numba", threads=many)
    epoch = Network().epoch(backend="numba", threads=many)
    assert step.threads == epoch.threads == 1
    for source in (step.source, epoch.source):
        assert "block" not in source and "nogil" not in source and source.count("\ndef ") == 1


# Blocks of products


def sizes_of(rows, columns, inner, *strides):
    return ", ".join(map(str, [rows, columns, inner, *strides]))


PRODUCTS = {  # rows, columns, and all sizes
    "x @ w": (96, 40, sizes_of((96,), 40, (24,), (24,), (1,), 40, 1)),
    "x.T @ g": (72, 40, sizes_of((72,), 40, (96,), (1,), (72,), 40, 1)),
    "g @ w.T": (96, 24, sizes_of((96,), 24, (40,), (40,), (1,), 1, 40)),
    "ragged": (97, 24, sizes_of((97,), 24, (40,), (40,), (1,), 1, 40)),
    "windows": (72, 20, sizes_of((8, 3, 3), 20, (2, 2, 4), (64, 16, 4), (16, 4, 1), 20, 1)),
    "one column": (96, 1, sizes_of((96,), 1, (240,), (240,), (1,), 1, 1)),
}


@pytest.mark.parametrize("kernel", ["product", "affine", "affine_relu", "product_relu_vjp"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_blocks_of_a_product_are_the_product(early, kernel, name):
    """By what the kernels mean in NumPy: each block writes its own rows, all of them once."""
    pytest.importorskip("llvmlite")
    from tinygrad_steel.compiled import kernels_plain

    rows, columns, sizes = PRODUCTS[name]
    beside = "" if kernel == "product" else "(m, @20000), "
    whole = [f"{kernel}((m, @1000), {beside}(m, @40000), (m, @60000), {sizes})"]
    cut = cut_product(whole)
    assert isinstance(cut, Blocks)
    functions = {kernel: getattr(kernels_plain, kernel)}
    start = np.random.default_rng(0).normal(size=90_000)
    found = []
    for lines, many in ((whole, 1), (cut.lines, cut.many)):
        m = start.copy()
        for block in [*range(many)][::-1]:  # whichever comes first
            text = re.sub(r"\(m, @([^)]*)\)", r"m[\1 :]", "\n".join(lines))
            exec(text, functions, {"m": m, "block": block})
        found.append(m)
    np.testing.assert_allclose(*found, rtol=1e-11, atol=1e-11)
    assert not np.allclose(
        found[0][1000 : 1000 + rows * columns], start[1000 : 1000 + rows * columns]
    )


@with_numba
def test_the_order_of_sums_is_known():
    """Rows alone come out with the bits that they have in the whole, where `is_same_order` says so."""
    from numba import njit
    from numba.core.registry import cpu_target

    from tinygrad_steel.compiled.kernels import SLACK, product  # in the source below
    from tinygrad_steel.compiled.kernels_order import TARGETS, is_same_order
    from tinygrad_steel.compiled.kernels_target import target

    assert tuple(target(*cpu_target.target_context.codegen().magic_tuple())) in TARGETS
    cases = [  # rows, fewer, columns, terms
        (100, 50, 24, 200, False),
        (100, 12, 24, 200, True),  # few rows by rows are dot products
        (100, 50, 400, 400, False),  # b is copied for the hundred, by as many terms as have room
        (60, 30, 600, 300, True),
    ]
    calls, places = [], []
    first = 0
    for rows, some, columns, terms, turned in cases:
        c, d, a, b = (first + k * 250_000 for k in range(4))
        steps = f"1, {terms}" if turned else f"{columns}, 1"
        for place, many in ((c, rows), (d, some)):
            sizes = f"({many},), {columns}, ({terms},), ({terms},), (1,), {steps}"
            calls.append(f"    product((m, {place}), (m, {a}), (m, {b}), {sizes})")
        strides = (1, terms) if turned else (columns, 1)
        sizes = [(rows,), columns, (terms,), (terms,), (1,), *strides]
        places.append((c, d, some * columns, is_same_order([(some,), *sizes[1:]], sizes)))
        first += 1_000_000
    functions = {"product": product}
    exec("\n".join(["def run(m):", *calls]), functions)
    m = np.random.default_rng(0).normal(size=first + SLACK)
    njit(functions["run"])(m)
    for c, d, count, is_same in places:
        np.testing.assert_allclose(m[c : c + count], m[d : d + count], rtol=1e-9, atol=1e-9)
        if is_same:
            assert m[c : c + count].tobytes() == m[d : d + count].tobytes()
    assert [is_same for *_, is_same in places] == [True, False, False, True]


# How many


@pytest.mark.parametrize("given", [0, -1, True, 1.5, "2"])
def test_other_numbers_of_threads_are_refused(given):
    with pytest.raises(ValueError, match="threads is a whole number from 1 on"):
        Network().step(threads=given)
    with pytest.raises(ValueError, match="threads is a whole number from 1 on"):
        Network().epoch(threads=given)


def test_threads_of_others_are_their_own():
    assert Network().step(backend="numpy").threads is None
    for make in (Network().step, Network().epoch):
        with pytest.raises(ValueError, match="BLAS has threads of its own"):
            make(backend="numpy", threads=1)


def test_none_is_as_many_as_the_process_may_use(monkeypatch):
    for name in threads.LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 5}, raising=False)
    assert threads.threads_of(None) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads.threads_of(None) == 3
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert threads.threads_of(None) == 2
    assert threads.threads_of(np.int64(9)) == 9  # asked for
    monkeypatch.setenv("NUMBA_NUM_THREADS", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads.threads_of(None) == 4
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads.threads_of(None) == 1


# The pool


@pytest.mark.parametrize("many", [1, 2, 5])
def test_each_block_is_done_once(many):
    for count in (0, 1, 3, 40):
        done = []
        threads.share(done.append, count, many)
        assert sorted(done) == [*range(count)]


def test_threads_work_at_once():
    both = threading.Barrier(2, timeout=10)
    threads.share(lambda _: both.wait(), 2, 2)  # a single thread would wait for ever


def test_an_error_is_raised_when_all_have_stopped():
    running, both = set(), threading.Barrier(2, timeout=10)

    def call(block):
        running.add(block)
        if block < 2:
            both.wait()
        if block == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        running.discard(block)

    with pytest.raises(ZeroDivisionError):
        threads.share(call, 50, 2)
    assert len(running) == 1  # the one that failed


@with_numba
def test_steps_in_several_threads_at_once(early):
    x, ids = data(3 * ROWS)
    networks = [Network(Adam) for _ in range(4)]
    epochs = [network.epoch(backend="numba", threads=2) for network in networks]
    workers = [threading.Thread(target=epoch, args=(x, ids)) for epoch in epochs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    alone = Network(Adam)
    alone.epoch(backend="numba", threads=1)(x, ids)
    for network in networks:
        same_bits(network.numbers(), alone.numbers())


@with_numba
@with_fork
def test_a_forked_process_has_threads_of_its_own(early):
    network = Network()
    step, given = network.step(backend="numba", threads=2), data(ROWS)
    step(*given)
    start = network.numbers()
    child = os.fork()
    if not child:  # pragma: no cover  # another process
        step(*given)
        both = threading.Barrier(2, timeout=10)
        threads.share(lambda _: both.wait(), 2, 2)
        os._exit(7 if not np.array_equal(network.parameters[0].data, start[0]) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    same_bits(network.numbers(), start)


def test_work_is_done_alone_when_python_ends():
    code = """
import atexit, threading
from tinygrad_steel.compiled import threads
threads.share(lambda block: None, 4, 3)
def last():
    done = []
    threads.share(done.append, 4, 3)
    threads.uninterrupted(3, lambda: done.append("more"))
    print(done)
atexit.register(last)
def forever():
    while True:
        threads.share(lambda block: None, 4, 3)
threading.Thread(target=forever, daemon=True).start()
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "[0, 1, 2, 3, 'more']\n"


# Interrupts


def interrupt_soon():
    """Ctrl-C in the main thread, a little later."""
    main = threading.main_thread().ident
    threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()


@with_signals
def test_an_interrupt_waits_for_what_is_under_way():
    done, seen = [], []

    def slow():
        time.sleep(0.4)
        done.append("all")

    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        threads.uninterrupted(2, slow, lambda: seen.append(len(done)))
    assert done == ["all"]
    assert seen == [0]


@with_numba
@with_signals
def test_an_interrupted_epoch_is_so_many_whole_steps(early):
    x, ids = data(ROWS)
    network = Network(Adam)
    epoch = network.epoch(backend="numba", threads=2)
    batch = epoch.engine.batch

    def interrupting(s, *given):
        if s == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        batch(s, *given)

    epoch.engine.batch = interrupting
    with pytest.raises(KeyboardInterrupt):
        epoch(x, ids, order=np.tile(np.arange(ROWS), 30_000))
    done = network.optimizer.steps
    assert 3 <= done < 30_000
    alone = Network(Adam)
    alone.epoch(backend="numba", threads=1)(x, ids, order=np.tile(np.arange(ROWS), done))
    same_bits(network.numbers(), alone.numbers())
    epoch.engine.batch = batch
    epoch(x, ids)  # and it goes on
    assert network.optimizer.steps == done + 1
