"""Tensor: what it holds and refuses, the safety of its data, its place among NumPy's functions, and its messages."""

import re

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import Tensor, relu, sigmoid, softmax

pytestmark = pytest.mark.filterwarnings("error")


def test_defaults():
    t = Tensor([[1.0, 2.0, 3.0]])
    assert (t.shape, t.ndim, t.size, t.dtype) == ((1, 3), 2, 3, np.float64)
    assert (t.requires_grad, t.grad, t.name, t.op, t.inputs) == (False, None, None, None, ())


@pytest.mark.parametrize(
    "data, error, words",
    [
        ("abc", TypeError, "real numbers"),
        (["a", "b"], TypeError, "real numbers"),
        (None, TypeError, "real numbers"),
        ([1.0, None], TypeError, "real numbers"),
        ([1j], TypeError, "complex128"),
        (np.array(["2020-01-01"], dtype="M8[D]"), TypeError, "datetime64"),
        ([[1.0, 2.0], [3.0]], ValueError, "rows of equal length"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), TypeError, "filled"),
        (Tensor(1.0), TypeError, "detach"),
        ([Tensor(1.0), Tensor(2.0)], TypeError, "concatenate"),
    ],
)
def test_refused_data(data, error, words):
    with pytest.raises(error, match=words):
        Tensor(data)


@pytest.mark.parametrize("data", [1, [1, 2], [True], np.array([1], dtype=np.uint8)])
def test_integers_cannot_require_a_gradient(data):
    Tensor(data)  # as plain data they are welcome
    with pytest.raises(TypeError, match="count.*cannot require a gradient.*dtype=float"):
        Tensor(data, requires_grad=True, name="count")


# Copies


def test_the_source_can_change():
    source = np.array([1.0, 2.0])
    w = Tensor(source, requires_grad=True)
    y = w * w
    source[:] = 100
    y.backward(np.array([3.0, 5.0]))
    np.testing.assert_array_equal(w.data, [1, 2])
    np.testing.assert_array_equal(w.grad, [6, 20])


@pytest.mark.parametrize("constant", [np.array([3.0, 4.0]), [3.0, 4.0]], ids=["ndarray", "list"])
@pytest.mark.parametrize("flip", [False, True])
def test_a_raw_operand_can_change_between_forward_and_backward(constant, flip):
    constant = constant.copy()
    w = leaf([1, 2])
    y = constant * w if flip else w * constant
    constant[0] = 100.0
    y.backward(np.array([10.0, 1.0]))
    np.testing.assert_array_equal(w.grad, [30, 4])


def test_a_raw_index_can_change_between_forward_and_backward():
    ids = np.array([0, 2])
    w = leaf([1, 2, 3])
    y = w[ids]
    ids[:] = 1
    y.backward(np.array([5.0, 7.0]))
    np.testing.assert_array_equal(w.grad, [5, 0, 7])


def test_the_given_gradient_is_copied():
    gradient = np.array([1.0, 2.0])
    x = leaf([3, 4])
    (x + 0).backward(gradient)
    x.grad += 1
    np.testing.assert_array_equal(gradient, [1, 2])
    gradient[:] = 0
    np.testing.assert_array_equal(x.grad, [2, 3])


def test_numpy_and_detach_copy():
    x = leaf([1, 2], name="x")
    for y in (x, x * 1):
        y.numpy()[0] = 9
        y.detach().data[0] = 9
        np.testing.assert_array_equal(y.data, [1, 2])
    d = (x * 1).detach()
    assert (d.requires_grad, d.op, d.inputs) == (False, None, ())
    y = x * x.detach()
    y.backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad, [1, 20])


# Data that changes


def assign(t):
    t.data = t.data * 2


def subtract(t):
    t.data -= 1


@pytest.mark.parametrize("change", [assign, subtract])
@pytest.mark.parametrize("data", [[1.0, 2.0], 3.0])
def test_a_change_between_forward_and_backward_is_noticed(change, data):
    w, x = leaf(data, name="weight"), leaf(data)
    loss = (w * x).sum()
    change(w)
    with pytest.raises(RuntimeError, match=r"weight.*changed.*multiply"):
        loss.backward()
    w.grad = x.grad = None
    (w * x).sum().backward()  # computed again, all is well
    np.testing.assert_array_equal(w.grad, data)
    np.testing.assert_array_equal(x.grad, w.data)


@pytest.mark.parametrize("in_place", [True, False])
def test_data_that_needs_no_gradient_changes(in_place):
    """`x.data -= 1` reaches the array that the graph holds, so that the gradient of `w` would be wrong."""
    x, w = Tensor([3.0, 4.0], name="x"), leaf([1, 2])
    loss = (x * w).sum()
    if in_place:
        x.data -= 1
    else:
        x.data = [100.0, 100.0]
    with pytest.raises(RuntimeError, match=r"x.*changed.*multiply"):
        loss.backward()


def test_data_of_a_result_cannot_be_set():
    y = leaf([1, 2]) * 2
    with pytest.raises(RuntimeError, match="result of multiply.*only a leaf"):
        y.data = [0.0, 0.0]
    with pytest.raises(RuntimeError, match="result of multiply.*only a leaf"):
        y.data -= 1


@pytest.mark.parametrize(
    "dtype, data, error, words",
    [
        (float, [1.0, 2.0], ValueError, r"weight: \(3,\) float64.*\(2,\)"),
        (float, [[1.0, 2.0, 3.0]], ValueError, r"\(1, 3\)"),
        (float, 1.0, ValueError, r"\(\)"),
        (int, [1.0, 2.0, 3.0], ValueError, r"int64.*float64"),
        (float, [1j, 2, 3], TypeError, "complex128"),
        (float, "abc", TypeError, "real numbers"),
        (float, [[1.0], [2.0, 3.0]], ValueError, "equal length"),
    ],
)
def test_unfit_new_data(dtype, data, error, words):
    w = Tensor(np.array([1, 2, 3], dtype=dtype), name="weight")
    with pytest.raises(error, match=words):
        w.data = data
    np.testing.assert_array_equal(w.data, [1, 2, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_new_data_is_copied_and_keeps_the_dtype(dtype):
    w, source = leaf([1, 2], dtype=dtype), np.array([3.0, 4.0])
    w.data = source
    source[:] = 0
    assert w.dtype == dtype
    np.testing.assert_array_equal(w.data, [3, 4])


# Values and Python's protocols


@pytest.mark.parametrize("data", [2.5, [2.5], [[2.5]]])
def test_one_element(data):
    t = Tensor(data)
    assert (t.item(), float(t), int(t), bool(t), f"{t:.2f}") == (2.5, 2.5, 2, True, "2.50")
    assert type(t.item()) is float
    assert not bool(Tensor(0.0))


@pytest.mark.parametrize("take", [Tensor.item, float, int, bool, lambda t: f"{t:.2f}"])
def test_many_elements_are_no_number(take):
    with pytest.raises(ValueError, match=r"x: \(2,\) float64"):
        take(Tensor([1.0, 2.0], name="x"))


def test_length_and_iteration():
    t = leaf([[1, 2], [3, 4], [5, 6]])
    assert len(t) == 3
    rows = list(t)
    assert [row.shape for row in rows] == [(2,)] * 3
    (rows[0] * 10 + rows[2]).backward(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(t.grad, [[10, 20], [0, 0], [1, 2]])
    for ask in (len, iter, list):
        with pytest.raises(TypeError):
            ask(Tensor(1.0))


def test_index():
    assert [10, 20, 30][Tensor(2)] == 30
    with pytest.raises(TypeError, match="integer"):
        [10, 20, 30][Tensor(2.0)]


def test_equality_by_element_and_hash_by_identity():
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 3.0])
    np.testing.assert_array_equal((a == b).data, [True, False])
    np.testing.assert_array_equal((a != b).data, [False, True])
    np.testing.assert_array_equal((a == 2).data, [False, True])
    assert len({a, b, a}) == 2
    assert {a: "a", b: "b"}[b] == "b"


@pytest.mark.parametrize(
    "compare, expected",
    [
        (lambda a, b: a > b, [False, False, True]),
        (lambda a, b: a >= b, [False, True, True]),
        (lambda a, b: a < b, [True, False, False]),
        (lambda a, b: a <= b, [True, True, False]),
    ],
)
def test_comparisons(compare, expected):
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    for x, y in [(leaf(a), leaf(b)), (leaf(a), b), (a, leaf(b)), (leaf(a), 2)]:
        result = compare(x, y)
        assert isinstance(result, Tensor) and not result.requires_grad
        np.testing.assert_array_equal(result.data, expected)


def test_repr():
    assert repr(Tensor([1.0, 2.0], name="x")) == "Tensor([1., 2.], name='x')"
    assert repr(leaf(1.0)) == "Tensor(1., requires_grad=True)"
    y = leaf([1], dtype=np.float32) * 2
    assert "op=multiply" in repr(y) and "float32" in repr(y)
    assert len(repr(Tensor(np.zeros(10_000)))) < 200


# What is recorded


def test_named_inputs_are_recorded():
    y = sigmoid(Tensor([1.0], name="y"))
    assert y.op.name == "sigmoid" and y.inputs[0].name == "y" and not y.requires_grad
    assert (y * 2).op.name == "multiply"  # and so is what follows
    plain = sigmoid(Tensor([1.0]))
    assert plain.op is None and plain.inputs == ()


def test_what_requires_a_gradient():
    x, c = leaf([1, 2]), Tensor([3.0, 4.0])
    assert (x * c).requires_grad and (c * x).requires_grad
    assert not (c * c).requires_grad and not (x > c).requires_grad
    assert (x.exp() * 2).op.name == "multiply"


# dtypes


@pytest.mark.parametrize(
    "f",
    [
        lambda t: t * 2.5 + 1,
        lambda t: 1 - 2.0 / t,
        lambda t: t**2 + 2.0**t + t**0.5,
        lambda t: t.mean(),
        lambda t: t.sum(axis=0),
        lambda t: t.max() - t.min(),
        lambda t: np.maximum(t, 0.5),
        lambda t: np.where(t > 1, t, 0.0),
        lambda t: relu(t) + t.sigmoid() + t.tanh() + abs(t),
        lambda t: softmax(t) + t.log_softmax(),
        lambda t: t @ np.ones((2, 3), np.float32),
        lambda t: np.concatenate([t, t])[[0, 0, 1]],
    ],
)
def test_float32_stays_float32(f):
    t = leaf([[0.5, 1.5], [2.5, 3.5]], dtype=np.float32)
    y = f(t)
    assert y.dtype == np.float32
    y.backward(np.full(y.shape, 0.5))
    assert t.grad.dtype == np.float32 and t.grad.shape == t.shape


def test_gradients_have_the_dtype_of_their_tensor():
    x, w = leaf([[1, 2]], dtype=np.float64), leaf([[3], [4]], dtype=np.float32)
    y = x @ w
    y.backward(np.array([[2]]))
    assert (y.dtype, x.grad.dtype, w.grad.dtype) == (np.float64, np.float64, np.float32)
    np.testing.assert_array_equal(w.grad, [[2], [4]])
    data = leaf([1, 2], dtype=np.float32)
    (data.astype(np.float64) * np.array([3.0, 4.0])).sum().backward()
    assert data.grad.dtype == np.float32


# NumPy's functions


@pytest.mark.parametrize(
    "f",
    [
        lambda t: np.array([[2.0, 3.0]]) @ t,
        lambda t: np.array([[2.0], [3.0]]) + t,
        lambda t: np.array([[2.0], [3.0]]) - t,
        lambda t: np.array([[2.0], [3.0]]) * t,
        lambda t: np.array([[2.0], [3.0]]) / t,
        lambda t: np.array([[2.0], [3.0]]) ** t,
        lambda t: np.float64(2) * t,
        lambda t: np.float64(2) ** t,
        lambda t: 2 - t,
        lambda t: 2 / t,
        lambda t: 2**t,
        lambda t: -t,
        lambda t: +t,
        lambda t: abs(t),
        lambda t: [1.0, 2.0] + t,
        lambda t: np.exp(t),
        lambda t: np.mean(t, axis=0),
        lambda t: np.max(t, axis=1),
        lambda t: np.min(t),
        lambda t: np.sum(t, 0, keepdims=True),
        lambda t: np.reshape(t, (4,)),
        lambda t: np.transpose(t),
        lambda t: np.concatenate([t, t], axis=1),
        lambda t: np.where(np.array([True, False]), t, 0.0),
        lambda t: np.expand_dims(t, 0),
        lambda t: np.squeeze(t[:1]),
        lambda t: np.swapaxes(t, 0, 1),
        lambda t: np.broadcast_to(t, (3, 2, 2)),
        lambda t: t[np.array([1, 0]), 1:],
        lambda t: t.T,
        lambda t: t.transpose(1, 0),
        lambda t: t.transpose((1, 0)),
        lambda t: t.reshape(4),
        lambda t: t.reshape(1, -1),
        lambda t: t.swapaxes(0, 1),
        lambda t: t[None].squeeze(0),
    ],
)
def test_numpy_code_runs_on_tensors(f):
    """The same expression on an array and on a Tensor: the same numbers, with a history."""
    data = np.array([[1.0, 2.0], [3.0, 4.0]])
    t = leaf(data)
    y = f(t)
    assert isinstance(y, Tensor) and y.requires_grad
    expected = f(data)
    assert y.shape == np.shape(expected)
    np.testing.assert_array_equal(y.data, expected)


def test_facts_are_plain():
    t = leaf([[1, 2, 3]])
    assert (np.shape(t), np.ndim(t), np.size(t), np.size(t, 1)) == ((1, 3), 2, 3, 3)


def put(z, value):
    z[0] = value


def increase(z, value):
    z += value


@pytest.mark.parametrize(
    "lose",
    [
        lambda t, z: np.asarray(t),
        lambda t, z: np.array(t),
        lambda t, z: np.array([t, t]),
        lambda t, z: np.mean([t, t]),
        lambda t, z: put(z, t),
        lambda t, z: put(z, t[0]),
        lambda t, z: increase(z, t),
        lambda t, z: np.add(t, 1, out=z),
        lambda t, z: np.add(z, z, out=t),
        lambda t, z: np.sum(t, out=z[0]),
        lambda t, z: np.subtract.reduce(t),
        lambda t, z: np.add.at(z, [0], t),
        lambda t, z: np.multiply.reduceat(t, [0]),
        lambda t, z: np.linalg.eig(t),
        lambda t, z: np.exp(t, where=z > 0),
        lambda t, z: put(t, 1),
    ],
)
def test_what_would_lose_the_history_is_refused(lose):
    z = np.zeros((3, 2))
    with pytest.raises(TypeError):
        lose(leaf([1, 2]), z)
    np.testing.assert_array_equal(z, 0)


@pytest.mark.parametrize(
    "lose, words",
    [
        (np.asarray, r"t\.numpy\(\)"),
        (
            np.linalg.eig,
            r"numpy\.linalg\.eig has no registered op.*tinygrad_steel\.op.*t\.numpy\(\)",
        ),
        (np.subtract.reduce, r"np\.subtract\.reduce.*np\.sum"),
        (lambda t: np.add(t, 1, out=np.zeros(2)), r"np\.add.*z = z \+ t"),
        (lambda t: put(t, 1), r"np\.where or np\.concatenate"),
        (lambda t: Tensor(t), r"detach\(\)"),
    ],
)
def test_refusals_say_what_to_write(lose, words):
    with pytest.raises(TypeError, match=words):
        lose(leaf([1, 2]))


def test_functions_named_in_messages_exist():
    """A remedy that fails in turn is worse than none: every np.xyz([t, u]) the messages recommend must run."""
    t = leaf([1, 2])
    with pytest.raises(TypeError) as caught:
        np.asarray(t)
    joiners = re.findall(r"np\.(\w+)\(\[t, u\]\)", str(caught.value))
    for name in joiners:
        assert getattr(np, name)([t, t]).requires_grad


# Messages of ops


def test_matmul_message():
    x, w = (
        Tensor(np.zeros((10, 27)), name="x"),
        Tensor(np.zeros((7, 27), np.float32), name="weight"),
    )
    with pytest.raises(ValueError) as caught:
        x @ w
    for words in (
        "matmul",
        "x: (10, 27) float64",
        "weight: (7, 27) float32",
        "27",
        "7",
        ".T",
        "second",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "a, b, words",
    [
        ((27, 10), (27, 7), r"first, transposed \(\.T\)"),
        ((2, 3), (4,), "length 3.*second has 4 elements"),
        ((2, 3), (4, 5), "length 3.*second has 4 rows"),
        ((), (2, 2), r"use \*"),
        ((2, 3, 4), (5, 4, 2), "leading axes"),
    ],
)
def test_matmul_remedies(a, b, words):
    with pytest.raises(ValueError, match=words):
        Tensor(np.zeros(a)) @ Tensor(np.zeros(b))


def test_add_message():
    with pytest.raises(
        ValueError, match=r"add\(output: \(10, 7\) float64, bias: \(6,\) float64\).*equal or 1"
    ):
        Tensor(np.zeros((10, 7)), name="output") + Tensor(np.zeros(6), name="bias")


@pytest.mark.parametrize("wrong", [None, "abc", 1j, object()])
def test_wrong_operands(wrong):
    with pytest.raises(TypeError, match="add"):
        leaf([1, 2]) + wrong


def test_an_index_out_of_range():
    with pytest.raises(IndexError, match=r"getitem\(x: \(2,\) float64"):
        Tensor([1.0, 2.0], name="x")[2]
