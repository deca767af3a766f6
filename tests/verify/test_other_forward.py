"""Code whose forward is another one than the graph's: it is said first, with its line, whatever it is called."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_steel import Tensor, compare_backprop
from tinygrad_steel.program.trace import for_reader, trace
from tinygrad_steel.verify.chain import Chain
from tinygrad_steel.verify.other_forward import made_of_gradients
from tinygrad_steel.verify.traced_loss import graph_of
from tinygrad_steel.verify.watching import watched

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(7, 4)), rng.normal(size=(7, 2))
PARAMETERS = {
    "W1": rng.normal(size=(4, 5)),
    "b1": rng.normal(size=5),
    "W2": rng.normal(size=(5, 2)),
}


def loss_of(W1, b1, W2):
    """The graph, in which nothing but the parameters has a name."""
    return np.mean(np.square(np.tanh(X @ W1 + b1) @ W2 - Y))


RIGHT = """\
def backward(W1, b1, W2):
    pre = X @ W1 + b1
    act = np.tanh(pre)
    out = act @ W2
    delta = 2 * (out - Y) / Y.size
    dW2 = act.T @ delta
    back = delta @ W2.T * (1 - act * act)
    dW1 = X.T @ back
    db1 = back.sum(axis=0)
    return dW1, db1, dW2
"""

# What stands there, what is written instead; the line that is wrong is that of the text.
WRONG = [
    ("pre = X @ W1 + b1", "pre = X @ W1 - b1"),
    ("pre = X @ W1 + b1", "pre = X @ (2 * W1) + b1"),
    ("act = np.tanh(pre)", "act = np.tanh(2 * pre)"),
    ("act = np.tanh(pre)", "act = np.sin(pre)"),
    ("out = act @ W2", "out = act @ np.abs(W2)"),
    ("out = act @ W2", "out = act @ W2 + 0.5"),
]


def compared(source):
    names = {"X": X, "Y": Y, "np": np}
    exec(compile(source, "backward.py", "exec"), names)
    tensors = {name: Tensor(p, requires_grad=True) for name, p in PARAMETERS.items()}
    loss = loss_of(**tensors)
    return compare_backprop(loss, tensors, backprop=lambda: names["backward"](**PARAMETERS))


def test_the_code_is_right_as_it_stands():
    assert compared(RIGHT).ok


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_the_first_value_that_differs_is_named(right, wrong):
    assert RIGHT.count(right) == 1
    source = RIGHT.replace(right, wrong)
    report = compared(source)
    first = report.first_wrong
    line = 1 + source[: source.index(wrong)].count("\n")
    assert first.where.line == line, report
    assert report.faults == ("other-forward",)
    name = wrong.split()[0]
    assert first.reason.startswith(f"your {name} differs from what the graph computes")
    assert f"from line {line} on" in first.reason
    assert all(
        step.verdict.startswith("follows") for step in report.steps[1:] if step.name != "G_W2"
    )


def test_a_slip_in_the_backward_is_not_taken_for_another_forward():
    for right, wrong in (
        ("(1 - act * act)", "(1 - act)"),
        ("(1 - act * act)", "(1 - np.tanh(act) ** 2)"),
        ("delta = 2 * (out - Y)", "delta = 2 * (out - 0.9 * Y)"),
        ("dW1 = X.T @ back", "dW1 = np.abs(X).T @ back"),
        ("act.T @ delta", "pre.T @ delta"),
    ):
        report = compared(RIGHT.replace(right, wrong))
        assert not report.ok and report.faults != ("other-forward",), (wrong, report)


def test_parts_that_the_graph_does_not_have_are_lines_too():
    source = RIGHT.replace("pre = X @ W1 + b1", "moved = b1 + 1\n    pre = X @ W1 + moved")
    first = compared(source).first_wrong
    assert first.where.line == 3
    assert [place.line for place in first.helpers] == [2]


def test_what_is_made_of_a_gradient_however_far_is_no_value_of_a_forward():
    W = PARAMETERS["W2"]
    t = {"W": Tensor(W, requires_grad=True)}
    a = rng.normal(size=(7, 5))
    loss = np.mean(np.square(a @ t["W"] - Y))

    def backward():
        out = a @ W
        back = a.T @ (2 * (out - Y) / Y.size)
        near = back + 1
        far = near * near
        return far

    chain = Chain(graph_of(for_reader(trace(loss, t))), watched(backward), t)
    assert {b.name for b in made_of_gradients(chain)} >= {"back", "near", "far"}
    assert "out" not in {b.name for b in made_of_gradients(chain)}


BY_CHANCE = [
    ("X.T @ delta", "delta.mean(axis=0)", "G_b"),
    ("X.T @ delta", "delta.sum(axis=0) / 7", "G_b"),
    ("X.T @ (delta + delta)", "(delta + delta).mean(axis=0)", "G_W"),
    ("X.T @ delta / 7", "delta.mean(axis=0)", "G_W"),
]


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(("dW", "db", "wrong"), BY_CHANCE)
def test_a_gradient_that_is_handed_in_is_no_value_of_another_forward(dW, db, wrong, scale):
    """A seventh of a bias' gradient is what would follow, by chance, if `delta` were a difference."""
    W, b = PARAMETERS["W1"][:, :2], np.zeros(2)
    t = {"W": Tensor(W, requires_grad=True), "b": Tensor(b, requires_grad=True)}
    loss = np.mean(np.square(X @ t["W"] + t["b"] - Y))
    names = {"X": X}
    body = f"return {{'W': ({dW}) / {scale}, 'b': ({db}) / {scale}}}"
    exec(f"def backward(delta):\n    {body}\n", names)
    delta = scale * 2 * (X @ W + b - Y) / Y.size
    report = compare_backprop(loss, t, backprop=lambda: names["backward"](delta))
    assert report.first_wrong.name == wrong, report
    assert "other-forward" not in report.faults, report
