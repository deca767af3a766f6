"""Training as it is done: nothing piles up, threads do not meet, what depends on nothing needs no gradient."""

from __future__ import annotations

import array
import ctypes
import decimal
import fractions
import gc
import math
import statistics
import struct
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from tinygrad_steel import SGD, Tensor, grad, no_grad, sigmoid_cross_entropy, softmax_cross_entropy


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
    trainers = [
        threading.Thread(target=lambda s=s: results.update({s: train(s, 300)})) for s in (1, 2)
    ]
    for thread in trainers:
        thread.start()
    for thread in trainers:
        thread.join()
    stop.set()
    quiet.join()
    assert results["recorded"] is False
    for seed in (1, 2):
        np.testing.assert_allclose(results[seed], train_by_hand(seed, 300), rtol=1e-10)


VIEWS = [
    lambda t: t[0],
    lambda t: t.T,
    lambda t: t.reshape(4),
    lambda t: t[:],
    lambda t: np.broadcast_to(t, (3, 2, 2)),
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_a_named_constant_does_not_change_with_it(view):
    x, weight = Tensor([[1.0, 2.0], [3.0, 4.0]], name="x"), Tensor(2.0, requires_grad=True)
    loss = (view(x) * weight).sum()
    expected = view(x.numpy()).sum()
    x.data -= 10
    loss.backward()
    assert weight.grad == expected


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_a_parameter_keeps_its_values_through_a_step(view):
    weight = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    old, before = view(weight), view(weight.numpy()).copy()
    weight.square().sum().backward()
    SGD([weight], 0.1).step()
    np.testing.assert_array_equal(old.data, before)


def test_a_positional_dtype_is_not_taken_for_keepdims():
    t = Tensor(np.ones((2, 3)))
    for y, value in ((np.sum(t, 0, np.float32), 2), (np.var(t, 0, np.float32), 0)):
        assert y.shape == (3,) and y.dtype == np.float32
        np.testing.assert_array_equal(y.data, [value] * 3)
    with pytest.raises(TypeError, match="positional"):
        t.sum(0, float)


def test_masks_combine_and_integers_do_not():
    t, mask = Tensor([1.0, -1.0, 2.0]), np.array([True, True, False])
    np.testing.assert_array_equal(((t > 0) & mask).data, [True, False, False])
    np.testing.assert_array_equal((True & (t > 0)).data, [True, False, True])
    np.testing.assert_array_equal((~(t > 0) | (t > 1)).data, [False, True, True])
    for call in (lambda: ~Tensor([0, 1]), lambda: Tensor([6]) & 3, lambda: (t > 0) | 2):
        with pytest.raises(TypeError, match="for masks"):
            call()


def test_losses_refuse_what_would_broadcast_or_leave_nothing_to_choose():
    with pytest.raises(ValueError, match=r"\(3, 1\) and labels \(3,\)"):
        sigmoid_cross_entropy(Tensor(np.ones((3, 1))), np.ones(3))
    assert sigmoid_cross_entropy(Tensor(np.zeros((3, 1))), 1.0).shape == (3, 1)
    with pytest.raises(ValueError, match="nothing to choose"):
        softmax_cross_entropy(Tensor(np.ones((3, 1))), np.array([[0], [0], [0]]))


def test_wrong_kinds_of_arguments_say_what_is_meant():
    w, integers = Tensor([1.0], requires_grad=True, name="w"), Tensor([1, 2])
    with pytest.raises(TypeError, match="True or False, not 'w'"):
        Tensor([1.0], "w")
    with pytest.raises(TypeError, match=r"w\.data|t\.data -= rate"):
        w.data = w - 0.1
    for parameters in (w, {"w": w}):
        with pytest.raises(TypeError, match=r"a list of Tensors: \[weight, bias\]"):
            SGD(parameters)
    for arguments in ((np.ones(1), w), ([w], w), (w, np.ones(1))):
        with pytest.raises(TypeError, match="takes a Tensor y"):
            grad(*arguments)
    with pytest.raises(TypeError, match="int64 data cannot require a gradient"):
        integers.requires_grad = True
    with pytest.raises(RuntimeError, match="no gradient flows"):
        (integers * integers).sum().backward()


def test_a_gradient_given_as_a_tensor_stays_its_own():
    x, given = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0])
    x.backward(given)
    x.grad += 1
    np.testing.assert_array_equal(given.data, [3, 4])


def test_messages_name_the_op_of_a_result_without_a_name():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="the result of square is not a single number"):
        x.square().backward()
    with pytest.raises(RuntimeError, match="the result of mean: no gradient flows"):
        Tensor([1.0], name="x").mean().backward()


# Roads on which a Tensor becomes a plain number

PAGE = Path(__file__).parents[2] / "examples" / "tutorials" / "your_numpy_code.md"

Z = np.zeros(2)
AS_FLOAT = {  # PAGE lists them, as text; these cannot be told apart from float(t)
    "float(t)": float,
    "int(t)": int,
    "complex(t)": complex,
    "bool(t)": bool,
    "t.item()": lambda t: t.item(),
    "math.exp(t)": math.exp,
    '"%f" % t': lambda t: "%f" % t,  # noqa: UP031
    "z.fill(t)": lambda t: Z.fill(t),
    "z.__setitem__(0, t)": lambda t: Z.__setitem__(0, t),
    "np.fromiter(t, float)": lambda t: np.fromiter(t.reshape(1), float),
    "np.float64(t)": np.float64,
    'array.array("d", [t])': lambda t: array.array("d", [t]),
    'struct.pack("d", t)': lambda t: struct.pack("d", t),
    "np.sum(z, initial=t)": lambda t: [
        f(Z, initial=t) for f in (np.sum, np.max, np.min, np.prod, np.add.reduce)
    ],
    "ctypes.c_double(t)": ctypes.c_double,
    "statistics.fmean([t])": lambda t: statistics.fmean([t]),
}
AS_INDEX = {
    "range(t)": range,
    "np.ones(t)": np.ones,
    "a Tensor as an index": lambda t: [1, 2, 3][t],
}
REFUSED = {
    "z[0] = t": lambda t: exec("z[0] = t", {"z": np.zeros(2), "t": t}),
    "z[:] = t": lambda t: exec("z[:] = t", {"z": np.zeros(2), "t": t}),
    "z[[0]] = t": lambda t: exec("z[[0]] = t", {"z": np.zeros(2), "t": t}),
    "z += t": lambda t: exec("z += t", {"z": np.zeros(2), "t": t}),
    "np.asarray": np.asarray,
    "np.array of a list": lambda t: np.array([t, t]),
    "np.float32": np.float32,
    "np.float16": np.float16,
    "np.longdouble": np.longdouble,
    "np.int64": np.int64,
    "np.bool_": np.bool_,
    "np.complex128": np.complex128,
    "np.full": lambda t: np.full(2, t),
    "np.put": lambda t: np.put(np.zeros(2), 0, t),
    "z.put": lambda t: np.zeros(2).put(0, t),
    "np.place": lambda t: np.place(np.zeros(2), [True, False], t),
    "np.putmask": lambda t: np.putmask(np.zeros(2), [True, False], t),
    "np.copyto": lambda t: np.copyto(np.zeros(2), t),
    "np.fill_diagonal": lambda t: np.fill_diagonal(np.zeros((2, 2)), t),
    "np.add.at": lambda t: np.add.at(np.zeros(2), [0], t),
    "out=": lambda t: np.add(t, 1, out=np.zeros(())),
    "np.vectorize": lambda t: np.vectorize(lambda a: a)(t),
    "np.frompyfunc": lambda t: np.frompyfunc(lambda a: a, 1, 1)(t),
    "np.arange": np.arange,
    "z.dot": lambda t: np.zeros(1).dot(t.reshape(1)),
    "z.searchsorted": lambda t: np.zeros(2).searchsorted(t),
    "a random number's mean": lambda t: np.random.default_rng(0).normal(t, 1, 3),
    "np.ma.masked_array": np.ma.masked_array,
    "a buffer": memoryview,
    "fractions": fractions.Fraction,
    "decimal": decimal.Decimal,
    "round": round,
}


@pytest.mark.parametrize("road", AS_FLOAT | AS_INDEX)
def test_these_roads_give_a_plain_number_and_are_documented(road):
    t = Tensor(2.0, requires_grad=True) if road in AS_FLOAT else Tensor(2)
    (AS_FLOAT | AS_INDEX)[road](t)
    assert road in " ".join(PAGE.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("road", REFUSED)
def test_all_other_roads_are_refused(road):
    with pytest.raises((TypeError, ValueError)) as found:
        REFUSED[road](Tensor(2.0, requires_grad=True))
    error = (
        found.value.__cause__ if road == "z[0] = t" else found.value
    )  # NumPy has words of its own there
    assert isinstance(error, TypeError)
