"""compare_backprop given the code: five ways in which people write a backprop, right and with a line made wrong.

Which line is wrong is known from where the mistake was planted, never from the report.
"""

from __future__ import annotations

import importlib.util
import linecache
import pathlib

import pytest

from tinygrad_steel import Tensor, compare_backprop

STYLES = pathlib.Path(__file__).parent / "styles"
NAMES = ("caches", "layers", "postproc", "lists", "cells")


def source_of(style):
    return (STYLES / f"{style}.py").read_text(encoding="utf-8")


def run(style, source, folder, flat=False):
    """What the style's own `main` reports, and the file in which it stands."""
    file = folder / f"{style}.py"
    file.write_text(source, encoding="utf-8")
    linecache.checkcache(str(file))
    spec = importlib.util.spec_from_file_location(f"style_{style}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if flat:
        module.backward = module.backward_flat
    return module.main(compare_backprop, Tensor), file


@pytest.mark.parametrize("style", NAMES)
def test_a_right_chain_is_right(style, tmp_path):
    report, _ = run(style, source_of(style), tmp_path)
    assert report.ok, report
    assert len(report.steps) > 5
    assert all(step.where.line > 0 and step.where.text for step in report.steps)
    assert "All" in str(report)


def test_a_right_chain_without_helpers_is_right(tmp_path):
    report, _ = run("caches", source_of("caches"), tmp_path, flat=True)
    assert report.ok, report
    assert [s.variable for s in report.steps if s.name == "G_W2"] == ["dW2"]


# A line made wrong: style -> (what stands there once, what is written in its place). The line is
# that of the text.
PLANTED = {
    "caches": [
        ('dZ3 = cache["A3"] - Y', 'dZ3 = Y - cache["A3"]'),
        ('dZ3 = cache["A3"] - Y', 'dZ3 = 2 * (cache["A3"] - Y)'),
        ('dZ3 = cache["A3"] - Y', 'dZ3 = cache["A3"] + Y'),
        ('dZ3 = cache["A3"] - Y', 'dZ3 = (cache["A3"] - Y) * cache["A3"] * (1 - cache["A3"])'),
        ('dZ2 = dA2 * (1 - cache["A2"] ** 2)', "dZ2 = dA2"),
        ('dZ2 = dA2 * (1 - cache["A2"] ** 2)', 'dZ2 = dA2 * (1 - cache["A2"])'),
        ('dZ2 = dA2 * (1 - cache["A2"] ** 2)', 'dZ2 = dA2 * (1 - cache["Z2"] ** 2)'),
        ('dZ2 = dA2 * (1 - cache["A2"] ** 2)', 'dZ2 = -dA2 * (1 - cache["A2"] ** 2)'),
        ('dZ1 = relu_backward(dA1, cache["Z1"])', "dZ1 = dA1 * 2"),
        ("dZ[Z <= 0] = 0", "dZ[Z > 0] = 0"),
        ("dZ[Z <= 0] = 0", "dZ[Z <= 0] = 1"),
        ("dW = np.dot(dZ, A_prev.T) / m", "dW = np.dot(dZ, A_prev.T)"),
        ("dW = np.dot(dZ, A_prev.T) / m", "dW = -np.dot(dZ, A_prev.T) / m"),
        ("dW = np.dot(dZ, A_prev.T) / m", "dW = np.dot(dZ, A_prev.T) / m**2"),
        ("dW = np.dot(dZ, A_prev.T) / m", "dW = np.dot(dZ, A_prev.T) / m + 0.1 * W"),
        ("db = np.sum(dZ, axis=1, keepdims=True) / m", "db = np.sum(dZ, axis=1, keepdims=True)"),
        (
            "db = np.sum(dZ, axis=1, keepdims=True) / m",
            "db = np.mean(dZ, axis=1, keepdims=True) / m",
        ),
        ("dA_prev = np.dot(W.T, dZ)", "dA_prev = np.dot(W.T, dZ) / m"),
        ("dA_prev = np.dot(W.T, dZ)", "dA_prev = np.dot(W.T, dZ * 2)"),
    ],
    "flat": [
        ("dZ3 = A3 - Y", "dZ3 = Y - A3"),
        ("dZ3 = A3 - Y", "dZ3 = A3 - 0.9 * Y"),
        ("dZ3 = A3 - Y", "dZ3 = A2[:3] - Y"),
        ("dW3 = (1 / m) * dZ3 @ A2.T", "dW3 = dZ3 @ A2.T"),
        ("dW3 = (1 / m) * dZ3 @ A2.T", "dW3 = (1 / m) * dZ3 @ cache['Z2'].T"),
        (
            "db3 = (1 / m) * np.sum(dZ3, axis=1, keepdims=True)",
            "db3 = (1 / m) * np.sum(dZ3) * np.ones((3, 1))",
        ),
        ('dA2 = params["W3"].T @ dZ3', 'dA2 = 3 * params["W3"].T @ dZ3'),
        ('dA2 = params["W3"].T @ dZ3', 'dA2 = params["W3"].T @ A3'),
        ("dZ2 = dA2 * (1 - np.power(A2, 2))", "dZ2 = dA2 * A2 * (1 - A2)"),
        ("dZ2 = dA2 * (1 - np.power(A2, 2))", "dZ2 = dA2 * (1 + np.power(A2, 2))"),
        ("dZ2 = dA2 * (1 - np.power(A2, 2))", "dZ2 = dA2 * (A2 > 0)"),
        ("dW2 = (1 / m) * dZ2 @ A1.T", "dW2 = (1 / m) * dA2 @ A1.T"),
        ("dW2 = (1 / m) * dZ2 @ A1.T", "dW2 = (1 / len(A1)) * dZ2 @ A1.T"),
        (
            "db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)",
            "db2 = (1 / m) * dZ2[:, :1]",
        ),
        ('dA1 = params["W2"].T @ dZ2', 'dA1 = params["W2"].T @ dA2'),
        ("dZ1 = dA1 * (A1 > 0)", "dZ1 = dA1"),
        ("dZ1 = dA1 * (A1 > 0)", "dZ1 = dA1 * A1"),
        ("dZ1 = dA1 * (A1 > 0)", "dZ1 = dA1 * (1 - A1**2)"),
        ("dW1 = (1 / m) * dZ1 @ X.T", "dW1 = -(1 / m) * dZ1 @ X.T"),
        ("dW1 = (1 / m) * dZ1 @ X.T", "dW1 = dZ1 @ X.T"),
        (
            "db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)",
            "db1 = np.mean(dZ1) * np.ones_like(params['b1'])",
        ),
        ('grads = {"dW1": dW1, "db1": db1,', 'grads = {"dW1": dW1 * 2, "db1": db1,'),
    ],
    "layers": [
        ("self.dW = self.x.T @ grad_output", "self.dW = 2 * self.x.T @ grad_output"),
        ("self.dW = self.x.T @ grad_output", "self.dW = self.x.T @ grad_output / len(self.x)"),
        ("self.db = grad_output.sum(axis=0)", "self.db = grad_output.mean(axis=0)"),
        ("self.db = grad_output.sum(axis=0)", "self.db = -grad_output.sum(axis=0)"),
        ("return grad_output @ self.W.T", "return grad_output @ self.W.T * 2"),
        ("return grad_output @ self.W.T", "return grad_output @ self.dW.T"),
        ("grad_input *= 1 - self.out", "grad_input *= 1 - self.out**2"),
        ("grad_input *= 1 - self.out", "grad_input *= self.out"),
        ("grad_input *= 1 - self.out", "grad_input *= -(1 - self.out)"),
        ("grad_input[self.x < 0] = 0", "grad_input[self.x > 0] = 0"),
        ("grad_input[self.x < 0] = 0", "grad_input[grad_output < 0] = 0"),
        ("grad = 2 * self.diff / self.diff.size", "grad = 2 * self.diff / len(self.diff)"),
        ("grad = 2 * self.diff / self.diff.size", "grad = self.diff / self.diff.size"),
        ("grad = 2 * self.diff / self.diff.size", "grad = -2 * self.diff / self.diff.size"),
        ("grad = 2 * self.diff / self.diff.size", "grad = 2 * self.diff**2 / self.diff.size"),
    ],
    "postproc": [
        ("g_square_diff = 2 * diff", "g_square_diff = -2 * diff"),
        ("G_diff = g_square_diff * G_square", "G_diff = g_square_diff"),
        ("G_diff = g_square_diff * G_square", "G_diff = g_square_diff * G_square * diff"),
        ("G_y = np.where(y > 0, G_y, 0)", "G_y = np.where(y < 0, G_y, 0)"),
        ("G_y = np.where(y > 0, G_y, 0)", "G_y = y * G_y"),
        (
            "G_weight = np.matmul(x.transpose(), G_y)",
            "G_weight = np.matmul(x.transpose(), G_y) * 3",
        ),
        ("G_bias = np.sum(G_y, axis=0)", "G_bias = np.mean(G_y, axis=0)"),
        ("G_bias = np.sum(G_y, axis=0)", "G_bias = np.max(G_y, axis=0)"),
        (
            'G_input = np.matmul(G_y, pm["w"].transpose())',
            'G_input = np.matmul(G_y, pm["w"].transpose()) / 2',
        ),
        (
            'G_input = np.matmul(G_y, pm["w"].transpose())',
            'G_input = np.matmul(G_y, np.abs(pm["w"]).transpose())',
        ),
    ],
    "lists": [
        ("nabla_b[-1] = delta", "nabla_b[-1] = delta * 2"),
        (
            "delta = self.cost_derivative(activations[-1], y) * sigmoid_prime(zs[-1])",
            "delta = self.cost_derivative(activations[-1], y)",
        ),
        (
            "delta = self.cost_derivative(activations[-1], y) * sigmoid_prime(zs[-1])",
            "delta = self.cost_derivative(activations[-1], y) * sigmoid_prime(activations[-1])",
        ),
        ("return output_activations - y", "return y - output_activations"),
        ("return output_activations - y", "return output_activations + y"),
        ("return output_activations - y", "return 2 * (output_activations - y)"),
        (
            "nabla_w[-1] = np.dot(delta, activations[-2].transpose())",
            "nabla_w[-1] = np.dot(delta, zs[-2].transpose())",
        ),
        ("transpose(), delta) * sp", "transpose(), delta)"),
        ("transpose(), delta) * sp", "transpose(), delta) + sp"),
        ("transpose(), delta) * sp", "transpose(), delta) * sp * sp"),
        ("nabla_b[-k] = delta", "nabla_b[-k] = -delta"),
        ("nabla_b[-k] = delta", "nabla_b[-k] = sp"),
        (
            "nabla_w[-k] = np.dot(delta, activations[-k - 1].transpose())",
            "nabla_w[-k] = np.dot(delta, zs[-k - 1].transpose()) if k < 3 else 0 * self.weights[0]",
        ),
        (
            "nabla_w[-k] = np.dot(delta, activations[-k - 1].transpose())",
            "nabla_w[-k] = np.dot(delta, activations[-k - 1].transpose()) / 2",
        ),
    ],
    "cells": [
        ("d_out = (p - y) / n", "d_out = p - y"),
        ("d_out = (p - y) / n", "d_out = (y - p) / n"),
        ("d_out = (p - y) / n", "d_out = (p - y) * p * (1 - p) / n"),
        ("dW2 = h.T @ d_out", "dW2 = h.T @ d_out / n"),
        ("dW2 = h.T @ d_out", "dW2 = h.T @ y"),
        ("db2 = d_out.sum(axis=0)", "db2 = d_out.mean(axis=0)"),
        ("d_h = d_out @ W2.T", "d_h = (p - y) @ W2.T"),
        ("d_h = d_out @ W2.T", "d_h = y @ W2.T"),
        ("d_z1 = d_h * (1 - h**2)", "d_z1 = d_h * (1 - h)"),
        ("d_z1 = d_h * (1 - h**2)", "d_z1 = d_h * h * (1 - h)"),
        ("d_z1 = d_h * (1 - h**2)", "d_z1 = d_h"),
        ("dW1 = x.T @ d_z1", "dW1 = x.T @ d_h"),
        ("dW1 = x.T @ d_z1", "dW1 = -x.T @ d_z1"),
        ("db1 = np.sum(d_z1,", "db1 = np.sum(d_h,"),
        ("db1 = np.sum(d_z1,", "db1 = 2 * np.sum(d_z1,"),
    ],
}
# A local derivative made wrong, which the graph does not have: the line is that of the gradient that is
# made of it, and the planted one is named as a part of it.
PARTS = [
    ("layers", "grad_input = grad_output * self.out", " * 2", "grad_input *= 1 - self.out"),
    ("postproc", "g_square_diff = 2 * diff", " / 2", "G_diff = g_square_diff * G_square"),
    ("postproc", "/ np.prod(shape)", " * np.prod(shape)", "G_diff = g_square_diff * G_square"),
    ("postproc", "/ np.prod(shape)", " * 2", "G_diff = g_square_diff * G_square"),
    ("lists", "sp = sigmoid_prime(z)", " / sigmoid(-z)", "transpose(), delta) * sp"),
    ("lists", "sp = sigmoid_prime(z)", " * 0 + activations[-k]", "transpose(), delta) * sp"),
    ("lists", "sp = sigmoid_prime(z)", " + 1", "transpose(), delta) * sp"),
]
CASES = [(style, *change) for style, changes in PLANTED.items() for change in changes]


@pytest.mark.slow
@pytest.mark.parametrize(("style", "right", "wrong"), CASES)
def test_the_planted_line_is_found(style, right, wrong, tmp_path):
    name = "caches" if style == "flat" else style
    source = source_of(name)
    assert source.count(right) == 1, "the mistake is to be planted in one place"
    source = source.replace(right, wrong)
    report, file = run(name, source, tmp_path, flat=style == "flat")
    expected = 1 + source[: source.index(wrong)].count("\n")
    if style == "cells":
        module_line = source[: source.index("# the backward")].count("\n")
        expected -= module_line
    assert not report.ok
    first = report.first_wrong
    assert first is not None, report
    assert (first.where.line, first.where.text) == (expected, first.where.text), report
    assert wrong.split("  ")[0].strip() in first.where.text, report
    if style != "cells":
        assert first.where.file == str(file)
    assert first.reason
    assert f"{first.where}" in str(report)


@pytest.mark.slow
@pytest.mark.parametrize(("style", "right", "more", "gradient"), PARTS)
def test_a_part_that_the_graph_does_not_have_is_named(style, right, more, gradient, tmp_path):
    source = source_of(style)
    assert source.count(right) == 1
    source = source.replace(right, right + more)
    report, _ = run(style, source, tmp_path)
    first = report.first_wrong
    assert gradient in first.where.text, report
    planted = 1 + source[: source.index(right + more)].count("\n")
    assert planted in [place.line for place in first.helpers], report
    assert right + more in str(report)


def test_a_number_that_is_wrong_shows_in_the_gradient_made_of_it(tmp_path):
    source = source_of("postproc").replace("g_diff_output = 1", "g_diff_output = -1")
    report, _ = run("postproc", source, tmp_path)
    assert report.first_wrong.where.text == "G_output = g_diff_output * G_diff"
    assert report.first_wrong.reason == "the sign is wrong"
