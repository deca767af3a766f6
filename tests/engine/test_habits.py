"""PyTorch's words: each is answered with NumPy's, and what is said works."""

import re

import numpy as np
import pytest
from helpers import leaf

import tinygrad_steel
from tinygrad_steel import SGD, Adam, Tensor, grad, no_grad, softmax
from tinygrad_steel.engine.habits import ATTRIBUTES


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_that_is_not_there_says_numpys_word(name):
    t = leaf([1.0, 2.0])
    with pytest.raises(AttributeError, match=rf"a Tensor has no {name}: write "):
        getattr(t, name)
    assert not hasattr(t, name) and name not in dir(t)


def names_for(name):
    """What NumPy's words are about; anew each time, as some of them change a Tensor."""
    t, u = leaf([[1.0, 2.0]]), leaf([[3.0, 4.0]])
    names = {"np": np, "t": t, "u": u, "grad": grad, "loss": np.sum(t * u), "Tensor": Tensor}
    names |= {"shape": (2, 1), "axis": 1, "axes": (1, 0), "dtype": np.float32, "number": 0.5}
    names |= {
        "mask": np.array([[True, False]]),
        "indices": np.array([[1]]),
        "array": np.ones((1, 2)),
    }
    return names | ({"shape": (3, 1, 2)} if name == "expand" else {})


def test_numpys_words_work():
    lines = 0
    for name, words in ATTRIBUTES.items():
        for part in re.split(r",? (?:or|which|for|and for a parameter)\b,? ?|, (?=t\.data)", words):
            if part.startswith(("t", "np.")) or part == "grad(loss, t)":
                exec(part, names_for(name))
                lines += 1
    assert lines >= len(ATTRIBUTES)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda t: SGD([t], lr=0.1), "SGD has no lr=: write learning_rate="),
        (lambda t: Adam([t], lr=0.1), "Adam has no lr=: write learning_rate="),
        (
            lambda t: Adam([t], 0.1, betas=(0.9, 0.99)),
            "Adam has no betas=: write beta1= and beta2=",
        ),
        (lambda t: Adam([t], 0.1, eps=1e-6), "Adam has no eps=: write epsilon="),
        (lambda t: SGD([t], weight_decay=0.1), "SGD has no weight_decay="),
        (lambda t: Tensor([1.0], dtype=np.float32), r"Tensor\(np.array\(data, dtype\)\)"),
        (lambda t: t.sum().backward(retain_graph=True), "the graph stays"),
        (lambda t: t.sum().backward(create_graph=True), r"grad\(loss, parameters\)"),
        (lambda t: softmax(t, dim=0), r"dim= is not supported \(NumPy says axis=\)"),
        (lambda t: tinygrad_steel.ops.sum(t, axis=0, keepdim=True), r"NumPy says keepdims="),
    ],
)
def test_a_keyword_that_is_not_there_says_numpys_word(call, words):
    t = leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=words):
        call(t)
    assert t.grad is None


def test_tensor_with_a_small_letter():
    with pytest.raises(AttributeError, match=r"no attribute 'tensor': write Tensor\(data\)"):
        tinygrad_steel.tensor  # noqa: B018


def test_no_grad_without_parentheses():
    t = leaf([1.0, 2.0])
    with no_grad:
        with no_grad:
            t *= 2
        assert not (t * 2).requires_grad
        with no_grad():
            assert not (t * 2).requires_grad
        assert not (t * 2).requires_grad
    assert (t * 2).requires_grad and t.data.tolist() == [2, 4]
    with pytest.raises(ZeroDivisionError), no_grad:
        1 / 0  # noqa: B018
    assert (t * 2).requires_grad


def test_generators_that_take_turns_inside_no_grad():
    t = leaf([1.0])

    def inside():
        with no_grad:
            yield (t * 2).requires_grad
            yield (t * 2).requires_grad

    first, second = inside(), inside()
    assert [next(first), next(second), next(first)] == [False] * 3
    assert list(first) == [] and next(second) is False and list(second) == []
    assert (t * 2).requires_grad
