"""No result and no gradient shares its memory with data, whatever a rule of one's own returns; threads do not meet."""

from __future__ import annotations

import contextlib
import sys
import threading

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import Tensor, grad, no_grad, op, sample_of

SAMPLES = [sample_of([[1.0, 2.0], [3.0, 4.0]])]
BUFFER = np.empty((2, 2))


def into_the_buffer(x):
    np.multiply(x, 2, out=BUFFER)
    return BUFFER


FORWARDS = {
    "its input": lambda x: x,
    "a view of its input": lambda x: x[:],
    "a part of its input": lambda x: x[:1],
    "its input turned": lambda x: x.T,
    "a buffer used again": into_the_buffer,
}
RULES = {
    "x": lambda g, y, x: x,
    "y": lambda g, y, x: y,
    "g": lambda g, y, x: g,
    "a view of x": lambda g, y, x: x[:],
    "a view of g": lambda g, y, x: g[:],
}


@pytest.mark.parametrize("forward", FORWARDS)
@pytest.mark.parametrize("recorded", [True, False])
def test_a_result_is_no_view_of_data(registry, forward, recorded):
    own = op("own", FORWARDS[forward], lambda g, y, x: g, samples=SAMPLES)
    w = leaf([[1.0, 2.0], [3.0, 4.0]])
    with contextlib.nullcontext() if recorded else no_grad():
        kept = own(w)
        again = own(kept) if kept.shape == (2, 2) else kept
    before = [kept.data.copy(), again.data.copy()]
    own(leaf(np.full((2, 2), 9.0)))
    w.data -= 5
    for t, numbers in zip((kept, again), before):
        np.testing.assert_array_equal(t.data, numbers)
    assert again is kept or not np.shares_memory(again.data, kept.data)


@pytest.mark.parametrize("rule", RULES)
def test_a_gradient_is_no_view_of_data_or_of_another(registry, rule):
    own = op("own", lambda x: x * 1, RULES[rule], samples=SAMPLES)
    w, given = leaf([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    for y in (own(w), own(w * 1), own(own(w))):
        w.grad = None
        y.backward(given)
        assert not any(np.shares_memory(w.grad, x) for x in (w.data, y.data, given))
        (g,) = grad(y, [w], Tensor(given))
        assert g is not w and not any(np.shares_memory(g.data, x) for x in (w.data, y.data, given))


def test_a_rule_that_uses_its_buffer_again(registry):
    buffer = np.empty(2)
    doubled = op(
        "doubled", lambda x: x * 2, lambda g, y, x: np.multiply(g, 2, out=buffer), samples=SAMPLES
    )
    w, g = leaf([1.0, 2.0]), np.array([1.0, -3.0])
    # Both rules run before either result goes on, so that the second would overwrite the first
    (doubled(w * 10) * [1.0, 1.0] + doubled(w * 100) * [2.0, 2.0]).backward(g)
    np.testing.assert_array_equal(w.grad, g * (20 + 400))


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: a + b,
        lambda a, b: a + b.T,
        lambda a, b: a.T + b,
        lambda a, b: a.sum() + b.sum() + 0 * a[0, 0],
    ],
)
def test_gradients_are_apart_from_each_other(f):
    a, b = leaf(np.eye(2)), leaf(np.ones((2, 2)))
    y = f(a, b)
    given = Tensor(np.random.default_rng(0).normal(size=y.shape)) if y.shape else None
    y.backward(given)
    for first, second in ([a.grad, b.grad], [g.data for g in grad(y, [a, b], given)]):
        before = second.copy()
        first += 1
        np.testing.assert_array_equal(second, before)


def test_the_gradient_of_a_tensor_to_itself_is_its_own():
    w = leaf([1.0, 2.0])
    given = Tensor([3.0, 4.0])
    g = grad(w, w, given)
    g.data[:] = 0
    assert given.data.tolist() == [3, 4]


@pytest.fixture
def restless():
    """Threads take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_add_to_one_gradient(restless):
    # Each thread adds its own number in each round; lost updates would make the sum too small
    w, threads, rounds = leaf(np.zeros(50)), 4, 500

    def work(n):
        for _ in range(rounds):
            (w * n).sum().backward()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(1, threads + 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    np.testing.assert_array_equal(w.grad, np.full(50, rounds * (1 + 2 + 3 + 4)))


def test_taking_many_apart_costs_as_many_steps(registry):
    # A count of slices taken, not a time: a rule for each input would take the lengths of all before it
    class Counting(np.ndarray):
        taken = 0

        def __getitem__(self, key):
            Counting.taken += 1
            return super().__getitem__(key)

    for join, n in [(np.stack, 300), (np.concatenate, 300)]:
        Counting.taken = 0
        leaves = [leaf([float(i), 1.0]) for i in range(n)]
        y = join(leaves)
        g = np.random.default_rng(0).normal(size=y.shape)
        (pieces,) = [y.op.joint(g.view(Counting), y.data, *y.arrays)]
        assert Counting.taken == n == len(pieces)
        y.backward(g)
        for i, x in enumerate(leaves):
            np.testing.assert_array_equal(x.grad, g.reshape(n, 2)[i])


@pytest.mark.parametrize("pull", [lambda y: y.backward(), lambda y: grad(y, y.inputs[0])])
def test_no_part_is_handed_all_inputs(pull):
    # A count of the times that the inputs are unpacked: for each part anew would take the square of their number
    class Counting(tuple):
        taken = 0

        def __iter__(self):
            Counting.taken += 1
            return super().__iter__()

    y = np.sum(np.concatenate([leaf([float(i)]) for i in range(100)]))
    joined = y.inputs[0]
    joined._inputs, joined._arrays = Counting(joined._inputs), Counting(joined._arrays)
    pull(y)
    assert 0 < Counting.taken < 10


def test_a_hundred_thousand_joined():
    leaves = [leaf([float(i)]) for i in range(100_000)]
    np.concatenate(leaves).backward(np.arange(1e5))
    assert [leaves[i].grad.item() for i in (0, 1, 99_999)] == [0, 1, 99_999]


@pytest.mark.parametrize(
    "index", [1, slice(1, 3), (slice(None), -1), (Ellipsis, None, slice(None, None, -2)), (), None]
)
def test_slices_and_numbers(index):
    x = np.arange(12.0).reshape(3, 4)
    t = leaf(x)
    y = t[index]
    g = np.random.default_rng(0).normal(size=y.shape)
    y.backward(g)
    expected = np.zeros_like(x)
    np.add.at(expected, index, g)
    np.testing.assert_array_equal(t.grad, expected)


@pytest.mark.parametrize(
    "view", [np.squeeze, lambda t: t.squeeze(), lambda t: t[...], lambda t: t.reshape(3), np.ravel]
)
def test_a_view_of_everything_is_no_view(view):
    x, w = Tensor([1.0, 2.0, 3.0], name="x"), leaf(np.ones(3))
    y = np.sum(w * view(x))
    assert not np.shares_memory(view(x).data, x.data)
    x.data -= 1
    y.backward()
    assert w.grad.tolist() == [1, 2, 3]
