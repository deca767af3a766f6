"""What a Tensor is cannot be assigned, its name can be shown, and a parameter is changed in place or not at all."""

from __future__ import annotations

import re
from collections import deque

import numpy as np
import pandas as pd
import pytest
from helpers import leaf

from tinygrad_steel import SGD, Tensor, no_grad, op, sample_of


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        (
            np.zeros(7),
            ValueError,
            r"gradient of w: \(2, 1\) float64 has that shape too, not \(7,\)",
        ),
        (Tensor(np.zeros((2, 1))), TypeError, "is an array, not a Tensor"),
        ("text", TypeError, "real numbers"),
    ],
)
def test_a_gradient_that_does_not_fit_is_refused_where_it_is_set(wrong, error, message):
    w = Tensor([[1.0], [2.0]], requires_grad=True, name="w")
    with pytest.raises(error, match=message):
        w.grad = wrong
    assert w.grad is None


def test_a_gradient_that_is_set_has_the_dtype_of_its_tensor_and_is_added_to():
    w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    w.grad = np.array([10, 20])
    assert w.grad.dtype == float
    np.sum(w * w).backward()
    assert w.grad.tolist() == [12, 24]
    w.grad = None
    assert w.grad is None


@pytest.mark.parametrize(
    "fact", ["shape", "dtype", "ndim", "size", "op", "inputs", "arrays", "params", "age"]
)
def test_facts_cannot_be_assigned(fact):
    for t in (leaf([[1.0, 2.0]]), leaf([1.0]) * 2):
        with pytest.raises(AttributeError):
            setattr(t, fact, getattr(t, fact))


def test_a_parameter_can_be_frozen_and_a_result_cannot():
    w, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    v.requires_grad = False
    (w * v).sum().backward()
    assert v.grad is None and w.grad.tolist() == [3, 4]
    with pytest.raises(RuntimeError, match="the result of multiply: whether a gradient flows"):
        (w * v).requires_grad = False
    with pytest.raises(TypeError, match="True or False, not 'yes'"):
        w.requires_grad = "yes"


def test_what_was_recorded_before_a_parameter_was_thawed_is_out_of_date():
    # x * 2 was recorded as a constant: backward() through what came after alone would give w and not w + 2
    w, x = leaf([5.0], name="w"), Tensor([1.0], name="x")
    loss = ((x * 2) + x * w).sum()
    x.requires_grad = True
    with pytest.raises(RuntimeError, match="x: .* has changed"):
        loss.backward()


@pytest.mark.parametrize("name", [5, 1.0, b"x", ("x",), True])
def test_a_name_is_text(name):
    with pytest.raises(TypeError, match="the name of a Tensor is a str"):
        Tensor([1.0], name=name)
    with pytest.raises(TypeError, match="the name of a Tensor is a str"):
        leaf([1.0]).name = name


@pytest.mark.parametrize(
    "name, message", [("", "not empty"), ("a\ud800", "surrogate"), ("\udfff", "surrogate")]
)
def test_a_name_can_be_written(name, message):
    with pytest.raises(ValueError, match=message):
        Tensor([1.0], name=name)


# In place

UPDATES = {
    "-=": lambda w, by: w.__isub__(by),
    "+=": lambda w, by: w.__iadd__(by),
    "*=": lambda w, by: w.__imul__(by),
    "/=": lambda w, by: w.__itruediv__(by),
    "**=": lambda w, by: w.__ipow__(by),
    "@=": lambda w, by: w.__imatmul__(by),
}
EXPECTED = {
    "-=": [[-1.0, 2.0], [2.0, 2.0]],
    "+=": [[3.0, 2.0], [4.0, 6.0]],
    "*=": [[2.0, 0.0], [3.0, 8.0]],
    "/=": [[0.5, np.inf], [3.0, 2.0]],
    "**=": [[1.0, 1.0], [3.0, 16.0]],
    "@=": [[4.0, 4.0], [10.0, 8.0]],
}
BY = np.array([[2.0, 0.0], [1.0, 2.0]])


@pytest.mark.parametrize("kind", [np.array, Tensor])
@pytest.mark.parametrize("sign", UPDATES)
def test_a_parameter_is_changed_in_place_inside_no_grad_alone(sign, kind):
    w = leaf([[1.0, 2.0], [3.0, 4.0]], name="w")
    array, loss = w.data, w.sum()
    with pytest.raises(TypeError, match=rf"w: \(2, 2\) float64 .* write w\.data {re.escape(sign)}"):
        UPDATES[sign](w, kind(BY))
    with no_grad(), np.errstate(divide="ignore"):
        assert UPDATES[sign](w, kind(BY)) is w
    assert (
        w.data is array and w.data.tolist() == EXPECTED[sign] and w.op is None and w.requires_grad
    )
    with pytest.raises(RuntimeError, match="has changed"):
        loss.backward()


def test_the_books_update_trains():
    w, x, y = leaf(np.zeros(2), name="w"), np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([1.0, 2.0])
    by_hand = np.zeros(2)
    for _ in range(5):
        w.grad = None
        np.mean(np.square(x @ w - y)).backward()
        with no_grad():
            w -= 0.1 * w.grad
        by_hand -= 0.1 * x.T @ (x @ by_hand - y)
    np.testing.assert_allclose(w.data, by_hand, rtol=1e-12)


def test_on_results_and_data_these_signs_make_new_results():
    w, x = leaf([1.0, 2.0]), Tensor([1.0, 3.0], name="x")
    loss, centred = w.sum(), x
    loss += 0.5 * w[0]
    centred -= np.mean(x)
    assert loss.requires_grad and centred is not x and centred.data.tolist() == [-1, 1]
    loss.backward()
    assert w.grad.tolist() == [1.5, 1.0] and x.data.tolist() == [1, 3]


def test_an_update_that_does_not_fit_says_so():
    w = leaf([1.0, 2.0], name="w")
    with (
        no_grad(),
        pytest.raises(ValueError, match=r"w: \(2,\) float64 -= \(2, 2\) float64: .*broadcast"),
    ):
        w -= np.ones((2, 2))
    assert w.data.tolist() == [1, 2]


@pytest.mark.parametrize("nonsense", [None, "a", 1j, {}])
def test_an_update_by_what_is_no_number_says_so(nonsense):
    w = leaf([1.0, 2.0], name="w")
    with no_grad(), pytest.raises(TypeError, match=r"w: \(2,\) float64 -= "):
        w -= nonsense


# What stands to the left


@pytest.mark.parametrize(
    "mix",
    [
        lambda a, t: a * t,
        lambda a, t: t * a,
        lambda a, t: a - t,
        lambda a, t: a @ t,
        np.ma.multiply,
        np.ma.dot,
    ],
)
def test_masked_arrays_are_refused_on_either_side(mix):
    masked = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    with pytest.raises(TypeError, match=r"masked array.*\.filled\(0\)"):
        mix(masked, leaf([1.0, 2.0]))


@pytest.mark.parametrize("kind", [pd.Series, lambda x: pd.DataFrame([x])])
@pytest.mark.parametrize(
    "mix", [lambda a, t: a * t, lambda a, t: a - t, lambda a, t: a / t, lambda a, t: a**t]
)
def test_pandas_on_the_left_keeps_the_history(kind, mix):
    t, numbers = leaf([2.0, 3.0]), [5.0, 7.0]
    y = mix(kind(numbers), t)
    assert isinstance(y, Tensor) and y.requires_grad
    weights = np.random.default_rng(0).normal(size=y.shape)
    y.backward(weights)
    expected = leaf([2.0, 3.0])
    mix(np.array(kind(numbers)), expected).backward(weights)
    np.testing.assert_array_equal(t.grad, expected.grad)
    comparison = kind(numbers) > leaf([6.0, 6.0])
    assert isinstance(comparison, Tensor) and comparison.data.ravel().tolist() == [False, True]


@pytest.mark.parametrize("name", [5, 2024.5, ("a", "b")])
def test_a_column_of_pandas_may_be_called_by_a_number(name):
    column = pd.Series(["a", "b"], name=name)
    with pytest.raises(
        TypeError, match=re.escape(f"multiply((2,) float64, {name}: (2,) ")
    ) as found:
        leaf([1.0, 2.0]) * column
    assert "a Tensor holds real numbers" in str(found.value)


# Data and parameters of ops


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i4", ">f2"])
def test_big_endian_data_becomes_native(dtype):
    x = Tensor(np.array([1, 2], dtype))
    assert (
        x.dtype == np.dtype(dtype).newbyteorder("=")
        and x.dtype.isnative
        and x.data.tolist() == [1, 2]
    )
    if x.dtype.kind == "f":
        w = Tensor(np.array([1, 2], dtype), requires_grad=True)
        (w * np.array([3, 4], dtype)).backward(np.array([1, 2], dtype))
        assert w.grad.dtype == x.dtype and w.grad.dtype.isnative and w.grad.tolist() == [3, 8]
        w.data = np.array([5, 6], dtype)
        assert w.data.dtype.isnative and w.data.tolist() == [5, 6]


def test_a_list_parameter_may_change_afterwards():
    x, axes = leaf(np.arange(6.0).reshape(2, 3)), [1, 0]
    y = np.transpose(x, axes)
    axes[:] = [0, 1]
    g = np.random.default_rng(1).normal(size=(3, 2))
    y.backward(g)
    np.testing.assert_array_equal(x.grad, g.T)


def test_an_array_parameter_may_change_afterwards(registry):
    scaled = op(
        "scaled", lambda x, *, by: x * by["all"][0], lambda g, y, x, by: g * by["all"][0],
        samples=[sample_of([1.0], by={"all": [2.0]})],
    )  # fmt: skip
    w, table = leaf([1.0, 2.0]), {"all": [np.array([3.0, 4.0])]}
    y = scaled(w, by=table)
    table["all"][0][:] = 0
    table["all"] = None
    y.backward(np.array([1.0, -1.0]))
    assert w.grad.tolist() == [3, -4]


@pytest.mark.parametrize("kind", [deque, bytearray, lambda x: np.array(x, dtype=object)])
def test_any_parameter_that_can_change_is_copied(registry, kind):
    scaled = op(
        "scaled",
        lambda x, *, by: x * by[0],
        lambda g, y, x, by: g * by[0],
        samples=[sample_of([1.0], by=[2])],
    )
    w, by = leaf([1.0, 2.0]), kind([3, 4])
    y = scaled(w, by=by)
    by[0] = 9
    y.backward(np.array([1.0, -1.0]))
    assert w.grad.tolist() == [3, -3]


def test_a_tensor_as_a_parameter_of_an_op_is_refused(registry):
    scaled = op(
        "scaled",
        lambda x, by=1.0: x * by,
        lambda g, y, x, by=1.0: g * by,
        samples=[sample_of([1.0])],
    )
    with pytest.raises(
        TypeError, match=r"by=t: \(\) float64 is a Tensor: no gradient .* parameter of scaled"
    ):
        scaled(leaf([1.0]), by=leaf(2.0, name="t"))
    assert np.sum(leaf([[1.0, 2.0]]), axis=Tensor(1)).data.tolist() == [3]


class MyError(ValueError):
    """Somebody's own."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def test_an_error_of_ones_own_stays_what_it_is(registry):
    def refuse(x):
        raise MyError(7, "no")

    picky = op("picky", refuse, lambda g, y, x: g, samples=[sample_of([1.0])])
    with pytest.raises(MyError, match="no") as found:
        picky(leaf([1.0], name="w"))
    assert found.value.code == 7 and found.value.__notes__ == ["in picky(w: (1,) float64)"]
    rule = op("rule", lambda x: x * 1, lambda g, y, x: refuse(x), samples=[sample_of([1.0])])
    with pytest.raises(MyError) as found:
        rule(leaf([1.0], name="w")).sum().backward()
    assert "the vjp of rule(w: (1,) float64)" in found.value.__notes__[0]


def test_numpys_own_errors_say_where_they_come_from():
    with pytest.raises(
        np.exceptions.AxisError,
        match=r"sum\(w: \(1,\) float64, axis=3.*\): axis 3 is out of bounds",
    ):
        np.sum(leaf([1.0], name="w"), axis=3)


def test_an_error_that_numpy_has_derived_is_told_again_as_its_kind(registry):
    inverse = op("inverse", np.linalg.inv, lambda g, y, x: -y.T @ g @ y.T, samples=[])
    with pytest.raises(np.linalg.LinAlgError, match=r"^inverse\(w: .*\): Singular matrix") as found:
        inverse(leaf([[0.0]], name="w"))
    assert type(found.value) is np.linalg.LinAlgError and not hasattr(found.value, "__notes__")


def test_plain_sgd_counts_its_steps():
    w = leaf([1.0])
    optimizer = SGD([w], 0.1)
    for n in range(1, 4):
        w.grad = np.array([1.0])
        optimizer.step()
        assert optimizer.steps == n
