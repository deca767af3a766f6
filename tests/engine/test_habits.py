"""Who comes from PyTorch or JAX, or fills arrays, is told the word for it here; the word itself works."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest

import tinygrad_steel
from tinygrad_steel import SGD, Adam, Tensor, no_grad
from tinygrad_steel.engine.habits import ARGUMENTS, ATTRIBUTES, NAMES


def tensor():
    return Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="t")


# Attributes, names and arguments of others

SAID = {
    "view": "write t.reshape(shape)",
    "unsqueeze": "write np.expand_dims(t, axis), or t[:, None]",
    "is_leaf": "write t.op is None",
    "add_": "write t = t + u: nothing is changed in place",
}


@pytest.mark.parametrize("name", SAID)
def test_an_attribute_of_others(name):
    with pytest.raises(AttributeError) as caught:
        getattr(tensor(), name)
    assert str(caught.value) == f"'Tensor' object has no attribute {name!r}: {SAID[name]}"
    assert caught.value.name == name


def test_an_attribute_that_nobody_has():
    with pytest.raises(AttributeError, match="^'Tensor' object has no attribute 'quux'"):
        tensor().quux  # noqa: B018
    assert not hasattr(tensor(), "quux")
    assert not hasattr(tensor(), "__array_interface__")


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_no_word_of_others_is_one_of_ours(name):
    assert not hasattr(tensor(), name) and not hasattr(Tensor, name)
    assert name not in dir(tensor())


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_others_is_one_of_ours(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}': (write|leave it out)"):
        getattr(tinygrad_steel, name)


def test_numpys_functions_are_not_in_the_package():
    with pytest.raises(AttributeError, match=r"write np\.zeros\(\.\.\.\)"):
        tinygrad_steel.zeros  # noqa: B018


CALLS = {
    "sum() has no argument dim=: write axis=": lambda t: t.sum(dim=0),
    "mean() has no argument keepdim=: write keepdims=": lambda t: t.mean(0, keepdim=True),
    "max() has no argument dim=": lambda t: t.max(dim=0),
    "min() has no argument dim=": lambda t: t.min(dim=0),
    "prod() has no argument dim=": lambda t: t.prod(dim=0),
    "var() has no argument unbiased=: write ddof=1": lambda t: t.var(unbiased=True),
    "std() has no argument correction=: write ddof=": lambda t: t.std(correction=1),
    "Tensor() has no argument dtype=: write Tensor(np.array(": lambda t: Tensor([1], dtype=float),
    "backward() has no argument retain_graph=: leave it out": lambda t: t.sum().backward(
        retain_graph=True
    ),
    "SGD() has no argument lr=: write learning_rate=": lambda t: SGD([t], lr=0.1),
    "Adam() has no argument betas=: write beta1= and beta2=": lambda t: Adam([t], betas=(0.9, 1)),
    "Adam() has no argument quux=": lambda t: Adam([t], quux=1),
}


@pytest.mark.parametrize("said", CALLS)
def test_an_argument_of_others(said):
    with pytest.raises(TypeError) as caught:
        CALLS[said](tensor())
    assert str(caught.value).startswith(said)


def test_the_words_that_are_said_work():
    """What stands behind `write`, up to a comma or a colon, where it is an expression."""
    t, u = tensor(), Tensor(np.eye(2) + 1)
    names = {"np": np, "t": t, "u": u, "axis": 0, "shape": (4,), "axes": (1, 0), "n": 2}
    names |= {"mask": t.numpy() > 2, "new": 1.0, "value": 0.0, "min": 1.5, "max": 3.0}
    names |= {"indices": [1, 0], "places": np.array([[1, 0]]), "dtype": np.float32}
    ran = []
    for name, text in ATTRIBUTES.items():
        words = re.match(r"write (.+?)(, or .*|, wh.*|, with .*|: .*)?$", text)
        if words is None or name in (
            "zero_grad",
            "requires_grad_",
            "register_hook",
            "scatter",
            "retain_grad",
        ):
            continue
        source = words[1].replace("shape)", "np.shape(t))") if name == "expand" else words[1]
        source = source.removeprefix("t = ")
        found = eval(source, names)
        ran.append(name)
        assert found is t.op or np.shape(found) is not None
    assert len(ran) > 25
    assert {"dim", "lr", "keepdim"} <= {*ARGUMENTS}


# no_grad without parentheses


def test_no_grad_without_parentheses():
    t = tensor()
    with no_grad:
        inside = t * 2
        with no_grad:
            nested = t * 2
        after = t * 2
    assert not (inside.requires_grad or nested.requires_grad or after.requires_grad)
    assert (t * 2).requires_grad


def test_no_grad_without_parentheses_ends_with_an_error():
    t = tensor()
    with pytest.raises(KeyError), no_grad:
        raise KeyError
    assert (t * 2).requires_grad


def test_no_grad_as_a_decorator_with_and_without_parentheses():
    t = tensor()

    @no_grad
    def plain():
        """Says what it does."""
        return t * 2

    @no_grad()
    def called():
        return t * 2

    assert not (plain().requires_grad or called().requires_grad or plain().requires_grad)
    assert plain.__doc__ == "Says what it does."
    assert (t * 2).requires_grad


def test_no_grad_is_of_one_thread():
    t, found = tensor(), []
    entered, looked = threading.Event(), threading.Event()

    def other():
        with no_grad:
            entered.set()
            looked.wait(10)
            found.append((t * 2).requires_grad)

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait(10)
    with no_grad:
        pass
    found.append((t * 2).requires_grad)
    looked.set()
    thread.join()
    assert found == [True, False]


# Arrays that are filled


def test_an_assignment_says_what_to_do_instead():
    t, z = tensor(), np.zeros((3, 2, 2))
    with pytest.raises(TypeError, match=r"`z\[0\] = \.\.\.` cannot keep the history of t of shape"):
        z[0] = t
    with pytest.raises(TypeError, match=r"np\.where, np\.stack or np\.concatenate"):
        z[:, 1] = t
    assert not z.any()


def test_a_number_that_is_assigned_is_refused():
    s, z = Tensor(2.0, requires_grad=True, name="s"), np.zeros(3)
    # NumPy puts a sentence of its own last, and nothing can be said behind it.
    with pytest.raises(ValueError) as caught:
        z[0] = s
    assert "`z[0] = ...` cannot keep the history of s" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "fill",
    [
        lambda z, t: np.copyto(z, t),
        lambda z, t: np.put(z, [0], t),
        lambda z, t: np.putmask(z, z == 0, t),
    ],
    ids=["copyto", "put", "putmask"],
)
def test_what_fills_in_place_is_refused(fill):
    z = np.zeros((2, 2))
    with pytest.raises(TypeError, match="fills an array in place.*np.where"):
        fill(z, tensor())
    assert not z.any()


@pytest.mark.parametrize(
    "make",
    [lambda t: np.fft.fft(t), lambda t: t.astype(complex), lambda t: t * 1j],
    ids=["fft", "astype", "product"],
)
def test_complex_numbers_are_one_plain_sentence(make):
    with pytest.raises(TypeError, match="a Tensor holds real"):
        make(tensor())


def test_completion_shows_what_can_be_used():
    """No word of others, and nothing that the engine alone has; all of it can be asked for."""
    t = Tensor([[1.0, 2.0]], requires_grad=True, name="t")
    shown = {name for name in dir(t) if not name.startswith("_")}
    assert not shown & {*ATTRIBUTES, "record_op"}
    assert {"backward", "grad", "sum", "T", "shape", "numpy", "op", "inputs"} <= shown
    for name in shown:
        assert getattr(type(t), name).__doc__, f"{name} says nothing of itself"
        getattr(t, name)
