"""Work and memory grow with the graph and no faster, counted in calls, bytes and elements, alike on all machines."""

from __future__ import annotations

import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from helpers import close, leaf

from tinygrad_steel import no_grad, relu

ROWS = np.random.default_rng(1).normal(size=(3000, 2))


def numbers(n):
    return leaf(1 + np.sin(np.arange(n)) / n)


def added_up(n):
    x = leaf(1)
    y = x
    for _ in range(n):
        y = y + x
    return y


def reads(read, times=lambda n: range(n)):
    """A loss that reads `n` numbers one after the other."""

    def loss(n):
        x, total = numbers(n), 0.0
        for i in times(n):
            total = total + read(x, i)
        return total

    return loss


def recurrent(n):
    x, weight, h = leaf(np.resize(ROWS, (n, 2))), leaf([[0.5, 0.1], [-0.2, 0.3]]), np.zeros(2)
    states = []
    for t in range(n):
        h = np.tanh(x[t] + h @ weight)
        states.append(h)
    return np.stack(states).sum()


# What makes a graph of some n Tensors.
GRAPHS = {
    "a chain": added_up,
    "sum of a list": lambda n: sum(leaf(i) for i in range(n)),
    "sum of a vector": lambda n: sum(numbers(n)),
    "stack of leaves": lambda n: np.stack([leaf(i) for i in range(n)]).sum(),
    "stack of results": lambda n: np.stack([2 * x for x in [3 * leaf(i) for i in range(n)]]).sum(),
    "stack of one leaf": lambda n: np.stack([leaf(2)] * n).sum(),
    "concatenate": lambda n: np.concatenate([leaf(ROWS[0]) for _ in range(n)]).sum(),
    "vstack": lambda n: np.vstack([leaf(ROWS[0]) for _ in range(n)]).sum(),
    "unstack": lambda n: np.stack(np.unstack(numbers(n))).sum(),
    "split": lambda n: np.concatenate(np.split(numbers(n), n)).sum(),
    "x[i]": reads(lambda x, i: x[i]),
    "x[i] backwards": reads(lambda x, i: x[i], lambda n: range(n - 1, -1, -1)),
    "x[i:i+1]": reads(lambda x, i: x[i : i + 1].sum()),
    "x[[i]]": reads(lambda x, i: x[[i]].sum()),
    "take": reads(np.take),
    "x[i] of a result": lambda n: (lambda x: np.stack([x[i] for i in range(n)]))(numbers(n) * 2).sum(),
    "x[i] beside others": lambda n: (lambda x: sum(x[i] for i in range(n)) + (x * x).sum())(numbers(n)),
    "rows": lambda n: (lambda x: sum(x[i].sum() for i in range(n)))(leaf(np.resize(ROWS, (n, 2)))),
    "x[i][j]": lambda n: (lambda x: sum(x[i][1] for i in range(n)))(leaf(np.resize(ROWS, (n, 2)))),
    "recurrent": recurrent,
}  # fmt: skip


def work(f):
    """How many functions `f` calls, of Python and of C, and how many elements the zeros have that it makes."""
    counted, elements = 0, 0
    zeros = np.zeros

    def count(frame, event, argument):
        nonlocal counted
        counted += event in ("call", "c_call")

    def zeros_counted(*args, **kwargs):
        nonlocal elements
        made = zeros(*args, **kwargs)
        elements += made.size
        return made

    np.zeros = zeros_counted
    sys.setprofile(count)
    try:
        f()
    finally:
        sys.setprofile(None)
        np.zeros = zeros
    return np.array([counted, elements])


def peak(f):
    """How many bytes `f` holds at most, beside what there was before."""
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("graph", GRAPHS)
def test_ten_times_as_many_tensors_are_ten_times_the_work(graph):
    step = GRAPHS[graph]
    step(20).backward()  # what is loaded and kept when first called
    small, large = (work(lambda n=n: step(n).backward()) for n in (200, 2000))
    assert (large <= 13 * small + 100).all(), (small, large)
    small, large = (peak(lambda n=n: step(n).backward()) for n in (200, 2000))
    assert large <= 13 * small + 20_000, (small, large)


# What works along one long axis: as many calls for any length.
AXES = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "var": np.var,
    "cumsum": lambda x: np.cumsum(x).sum(),
    "prod": np.prod,
    "prod with a zero": lambda x: np.prod(x * (np.arange(x.size) != 5)),
    "prod with zeros": lambda x: np.prod(x * (np.arange(x.size) % 7 != 5)),
    "relu": lambda x: relu(x - 1).sum(),
    "scatter": lambda x: x[np.arange(x.size) // 2].sum(),
    "where": lambda x: np.where(x.data > 1, x, 0).sum(),
    "diff": lambda x: np.diff(x).sum(),
    "sort": lambda x: np.sort(x)[::2].sum(),
}


@pytest.mark.parametrize("function", AXES)
def test_a_long_axis_is_no_loop(function):
    step = AXES[function]
    step(numbers(20)).backward()
    small, large = (work(lambda n=n: step(numbers(n)).backward()) for n in (1000, 20_000))
    assert large[0] <= small[0] + 20, (small, large)
    small, large = (peak(lambda n=n: step(numbers(n)).backward()) for n in (1000, 100_000))
    assert large <= 110 * small, (small, large)


def test_factors_of_a_long_product():
    """prod's gradient along 100,000 elements, against the product of the others by logarithms."""
    x = numbers(100_000)
    np.prod(x ** (1 / x.size)).backward()
    close(x.grad, np.exp(np.log(x.data).mean()) / x.size / x.data, rtol=1e-8)
    y = numbers(9)
    np.prod(y * (np.arange(9) != 3)).backward()
    others = np.delete(y.data, 3).prod()
    close(np.flatnonzero(y.grad), [])
    z = leaf([*y.data[:3], 0, *y.data[4:]])
    np.prod(z).backward()
    close(z.grad[3], others)


def test_many_results_that_wait_side_by_side():
    """In a sorted list each would move all that wait: five times the time for each of 100,000."""

    def seconds_for_each(n):
        x = leaf(2)
        firsts = [x * 2 for _ in range(n)]
        loss = np.stack([y * 3 for y in firsts]).sum()
        start = time.process_time()
        loss.backward()
        taken = time.process_time() - start
        assert x.grad == 6 * n
        return taken / n

    few = min(seconds_for_each(2000) for _ in range(5))
    assert seconds_for_each(100_000) < 3.5 * few


def test_a_small_stack_is_enough():
    """A chain of 100,000 is computed, gone back through and freed in a thread with 256 KiB."""
    found = []

    def run():
        y = x = leaf([1, 2])
        for i in range(100_000):
            y = (y + 1) if i % 2 else y.reshape(2)
        y.sum().backward()
        del y
        found.append(x.grad)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    close(found[0], [1, 1])


def test_a_view_of_a_view_of_a_view():
    """Whether `+=` meets a view is found without recursion; what is gone is forgotten."""
    y = leaf([1, 2]) * 1
    for _ in range(5000):
        y = y.reshape(2)
    y += 1
    close(y.data, [2, 3])
    with no_grad():
        z = leaf([1, 2])
        for _ in range(100):
            z = z.reshape(2)
        assert len(z._viewed) < 4
