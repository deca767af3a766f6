"""detect_anomaly: the first NaN or infinity is named, with its op, its Tensor and its line."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path

import numpy as np
import pytest

import tinygrad_steel
from tinygrad_steel import Tensor, detect_anomaly, grad


def line_of(function, text):
    """The number of the line of `function` that holds `text`."""
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, line in enumerate(lines) if text in line)


def test_forward_names_op_tensor_index_and_line():
    x = Tensor([[1.0, 2.0], [3.0, -1.0]], requires_grad=True, name="x")

    def model(x):
        y = x * 2
        return np.log(y).sum()  # here

    with (
        detect_anomaly(),
        np.errstate(invalid="ignore"),
        pytest.raises(FloatingPointError) as caught,
    ):
        model(x)
    message = str(caught.value)
    assert "log((2, 2) float64) gave nan at index (1, 1)" in message
    assert (
        f"{__file__}:{line_of(model, '# here')}, in model: return np.log(y).sum()  # here"
        in message
    )


def test_an_input_that_was_not_finite_is_blamed():
    x = Tensor([1.0, np.inf], requires_grad=True, name="x")
    with (
        detect_anomaly(),
        pytest.raises(
            FloatingPointError, match=r"its input x: \(2,\) float64 had inf at index \(1,\)"
        ),
    ):
        x * 2


def test_backward_names_op_tensor_and_the_line_of_the_forward():
    x = Tensor([4.0, 0.0], requires_grad=True, name="x")

    def model(x):
        return np.sqrt(x).sum()  # finite, but its slope at 0 is not

    with (
        detect_anomaly(),
        np.errstate(divide="ignore"),
        pytest.raises(FloatingPointError) as caught,
    ):
        model(x).backward()
    message = str(caught.value)
    assert (
        "the gradient of x: (2,) float64 through sqrt(x: (2,) float64) is inf at index (1,)"
        in message
    )
    assert f":{line_of(model, '# finite')}, in model" in message
    assert x.grad is None


def test_grad_names_op_and_tensor():
    x = Tensor([4.0, 0.0], requires_grad=True, name="x")
    with (
        detect_anomaly(),
        np.errstate(divide="ignore"),
        pytest.raises(FloatingPointError) as caught,
    ):
        grad(np.sqrt(x).sum(), x)
    assert "the vjp of sqrt(x: (2,) float64) for x: (2,) float64: divide(" in str(caught.value)
    assert "gave inf at index (1,)" in str(caught.value)


def test_a_forward_outside_is_said_to_be_unknown():
    x = Tensor(0.0, requires_grad=True, name="x")
    y = np.sqrt(x)
    with (
        detect_anomaly(),
        np.errstate(divide="ignore"),
        pytest.raises(FloatingPointError, match="is inf; .*outside"),
    ):
        y.backward()


def test_finite_runs_are_left_alone_and_the_mode_ends():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with detect_anomaly():
        (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    with np.errstate(divide="ignore"):
        assert np.log(x - 1).data[0] == -np.inf  # outside nobody looks


def test_other_threads_are_not_watched():
    results = []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: results.append((Tensor(np.inf) * 1).item()))
        thread.start()
        thread.join()
    assert results == [np.inf]


def test_a_folder_whose_name_begins_alike_is_the_users():
    """Code in tinygrad_steel_homework/ is not inside tinygrad_steel/."""
    package = Path(tinygrad_steel.__file__).parent
    code = compile("def f(x):\n    return np.log(x)\n", f"{package}_homework/hw.py", "exec")
    scope = {"np": np}
    exec(code, scope)
    with (
        detect_anomaly(),
        np.errstate(divide="ignore"),
        pytest.raises(FloatingPointError, match=r"hw\.py:2, in f"),
    ):
        scope["f"](Tensor([0.0]))
