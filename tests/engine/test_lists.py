"""What autograd and MyGrad follow of NumPy is followed here, on one call of each function; exceptions have a reason."""

import warnings

import numpy as np
import pytest
from checked import checked, everywhere
from numpy_calls import (
    CALLS,
    DATA,
    DIFFERENTIABLE,
    EXCEPTIONS,
    KNOWN,
    QUESTIONS,
    lines,
    listed,
    names_in,
)

from tinygrad_steel import Tensor

LISTS = ("autograd", "autograd_questions", "mygrad")


@pytest.fixture(autouse=True)
def silent():
    """Without NumPy's word that row_stack and fix have other names now."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield


@pytest.mark.parametrize("name", LISTS)
def test_each_function_of_a_list_has_a_call(name):
    names = listed(name)
    assert len(names) == len({*names}) > 40
    here = {n for n in names if in_numpy(n)}
    assert here <= CALLS.keys()


def in_numpy(name):
    """Whether this version of NumPy has it."""
    found = np
    for part in name.split(".")[1:]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = getattr(found, part, None)
    return found is not None


def test_few_are_left_out():
    """autograd's less complex numbers, and what asks no argument; its questions and MyGrad's less dates and writing."""
    followed = {name: [n for n in listed(name) if n not in EXCEPTIONS] for name in LISTS}
    assert {name: len(listed(name)) - len(found) for name, found in followed.items()} == {
        "autograd": 15,
        "autograd_questions": 0,
        "mygrad": 2,
    }
    assert {*EXCEPTIONS} <= {n for name in LISTS for n in listed(name)}


def call_of(line):
    """A call as a function of the names in it."""
    names = names_in(line)
    return names, lambda *xs: eval(line, {"np": np, **KNOWN, **dict(zip(names, xs))})


@pytest.mark.parametrize("name", [n for n in lines(DIFFERENTIABLE) if n not in EXCEPTIONS])
def test_functions(name):
    if not in_numpy(name):
        pytest.skip(f"this NumPy has no {name}")
    names, f = call_of(CALLS[name])
    checked(f, *(DATA[n] for n in names), coarse=1e-2)


@pytest.mark.parametrize("name", [n for n in lines(DIFFERENTIABLE) if n not in EXCEPTIONS])
def test_functions_are_written_out_and_compiled(name):
    if not in_numpy(name):
        pytest.skip(f"this NumPy has no {name}")
    names, f = call_of(CALLS[name])
    everywhere(f, *(DATA[n] for n in names))


@pytest.mark.parametrize("name", [n for n in lines(QUESTIONS) if n not in EXCEPTIONS])
def test_questions(name):
    if not in_numpy(name):
        pytest.skip(f"this NumPy has no {name}")
    names, f = call_of(CALLS[name])
    if name == "np.bincount":
        names, f = ["i"], lambda i: np.bincount(i, minlength=4)
    data = [{**DATA, **KNOWN}[n] for n in names]
    expected = f(*data)
    found = f(*(Tensor(x, requires_grad=x.dtype.kind == "f") for x in data))
    several = isinstance(found, tuple) and not isinstance(expected, np.ndarray)
    for y, right in zip(found, expected) if several else [(found, expected)]:
        plain = y.data if isinstance(y, Tensor) else y
        assert np.asarray(plain).dtype == np.asarray(right).dtype
        np.testing.assert_array_equal(plain, right)
        if isinstance(y, Tensor) and y.requires_grad:  # a step: its slope is zero, and it has one
            assert y.dtype == float


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_say_so(name):
    names, f = call_of(CALLS[name])
    with pytest.raises(TypeError) as error:
        f(*(Tensor(DATA[n], requires_grad=True) for n in names))
    words = ("t.numpy()", "has no registered op", "choose with np.where")
    assert any(x in str(error.value) for x in words)
