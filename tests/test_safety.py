"""Training as it is done: nothing piles up, threads do not meet, what depends on nothing needs no gradient."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np

from tinygrad_steel import SGD, Tensor, no_grad


def linear_problem(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(8, 3)), rng.normal(size=(3, 1))
    return x, x @ w


def train(seed, steps):
    """Least squares by SGD on the graph."""
    x, y = linear_problem(seed)
    weight = Tensor(np.zeros((3, 1)), requires_grad=True)
    optimizer = SGD([weight], learning_rate=0.05)
    for _ in range(steps):
        loss = ((x @ weight - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weight.data


def train_by_hand(seed, steps):
    x, y = linear_problem(seed)
    weight = np.zeros((3, 1))
    for _ in range(steps):
        weight -= 0.05 * (x.T @ (2 * (x @ weight - y) / len(x)))
    return weight


def test_a_total_of_losses_in_floats_keeps_no_graph():
    weight, total, graphs = Tensor([1.0, 2.0], requires_grad=True), 0.0, []
    gc.disable()
    try:
        for _ in range(1000):
            loss = (weight * weight).sum()
            graphs.append(weakref.ref(loss))
            total += float(loss)
            del loss
        assert total == 5000.0
        assert not any(graph() for graph in graphs)
    finally:
        gc.enable()


def test_two_threads_train_while_a_third_records_nothing():
    results, stop = {}, threading.Event()

    def without_gradients():
        with no_grad():
            x = Tensor([1.0], requires_grad=True)
            while not stop.is_set():
                results["recorded"] = results.get("recorded", False) or (x * 2).requires_grad

    quiet = threading.Thread(target=without_gradients)
    quiet.start()
    trainers = [threading.Thread(target=lambda s=s: results.update({s: train(s, 300)})) for s in (1, 2)]
    for thread in trainers:
        thread.start()
    for thread in trainers:
        thread.join()
    stop.set()
    quiet.join()
    assert results["recorded"] is False
    for seed in (1, 2):
        np.testing.assert_allclose(results[seed], train_by_hand(seed, 300), rtol=1e-10)
