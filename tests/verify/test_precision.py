"""compare_backprop given the code: a float32 on the way in a chain beside a graph of float64."""

from __future__ import annotations

import linecache

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import compare_backprop

RNG = np.random.default_rng(3)
SHAPES = {"x": (9, 4), "y": (9, 3), "W1": (4, 5), "b1": (5,), "W2": (5, 3), "b2": (3,)}
DATA = {name: RNG.normal(size=shape) for name, shape in SHAPES.items()}


def network():
    """The loss of two layers, and its parameters."""
    p = {name: leaf(DATA[name], name=name) for name in ("W1", "b1", "W2", "b2")}
    a = np.tanh(DATA["x"] @ p["W1"] + p["b1"])
    return np.mean(np.square(a @ p["W2"] + p["b2"] - DATA["y"])), p


def code(text):
    """A function that runs these lines, which a traceback finds."""
    source = "def backward():\n" + "".join(f"    {line}\n" for line in text.strip().splitlines())
    file = f"<float32 {abs(hash(source))}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    space = {"np": np, **DATA}
    exec(compile(source, file, "exec"), space)
    return space["backward"]


CHAIN = """
a = np.tanh(x @ W1 + b1)
d = 2 * (a @ W2 + b2 - y) / y.size
dW2 = a.T @ d
db2 = d.sum(axis=0)
dz = d @ W2.T * (1 - a * a)
dW1 = x.T @ dz
db1 = dz.sum(axis=0)
return dW1, db1, dW2, db2
"""
# What stands there once -> what is written in its place: each brings a float32 in.
SHORT = {
    "all data": ("a = np", "f = np.float32; X, V, U = (p.astype(f) for p in (x, W1, W2))\na = np"),
    "one result": ("a = np.tanh(x @ W1 + b1)", "a = np.tanh(x @ W1 + b1).astype(np.float32)"),
    "the inputs": ("x @ W1 + b1", "x.astype('f4') @ W1 + b1"),
    "a gradient": ("/ y.size\n", "/ y.size\nd = d.astype(np.float32)\n"),
    "a constant": ("d = 2 *", "d = np.float64(np.float32(0.1)) * 20 *"),
    "a buffer": ("dW2 = a.T @ d", "dW2 = np.zeros_like(W2, dtype='float32'); dW2 += a.T @ d"),
    "within": ("(1 - a * a)", "np.float64((1 - a * a).astype(np.float32))"),
    "the end": ("dW1 = x.T @ dz", "dW1 = (x.T @ dz).astype('float32').astype(float)"),
}
USED = {"all data": [("x @ W1", "X @ V"), ("a @ W2", "a @ U"), ("x.T", "X.T"), ("W2.T", "U.T")]}
# Steps made wrong, and what the reason has in it.
WRONG = [
    ("d = 2 *", "d = 2.02 *", ""),
    ("d.sum(axis=0)\ndz", "d.mean(axis=0)\ndz", "batch size"),
    ("x.T @ dz", "1.001 * x.T @ dz", "1.001"),
    ("dz = d", "dz = -d", "sign"),
]


def with_float32(kind):
    text = CHAIN
    for before, after in [SHORT[kind], *USED.get(kind, ())]:
        assert before in text
        text = text.replace(before, after, 1)
    return text


@pytest.mark.parametrize("kind", SHORT)
def test_a_right_chain_with_a_float32_on_the_way_is_right(kind):
    loss, names = network()
    report = compare_backprop(loss, names, backprop=code(with_float32(kind)))
    assert report.ok, report
    assert any("float32" in step.verdict for step in report.steps), report


@pytest.mark.parametrize(("right", "wrong", "words"), WRONG)
@pytest.mark.parametrize("kind", SHORT)
def test_a_fault_beside_a_float32_is_found_in_its_line(kind, right, wrong, words):
    text = with_float32(kind)
    if right not in text:
        right, wrong = right.replace("x.T", "X.T"), wrong.replace("x.T", "X.T")
    if right not in text:
        pytest.skip("the float32 stands in this place")
    text = text.replace(right, wrong, 1)
    line = next(part for part in text.splitlines() if wrong.splitlines()[0] in part)
    loss, names = network()
    first = compare_backprop(loss, names, backprop=code(text)).first_wrong
    assert first is not None
    assert first.where.text == line, first
    assert words in first.reason, first


@pytest.mark.parametrize("scale", [1, 1e-12, 1e12])
def test_a_chain_divided_at_its_end_keeps_its_factor_in_float32(scale):
    x = scale * DATA["x"]
    W = leaf(DATA["W1"], name="W")
    loss = np.mean(np.sum(np.square(np.tanh(x @ W)), axis=1))

    def backward():
        X = x.astype(np.float32)
        h = np.tanh(X @ DATA["W1"].astype(np.float32))
        dz = 2 * h * (1 - h * h)
        dW = X.T @ dz / len(X)
        return dW

    report = compare_backprop(loss, {"W": W}, backprop=backward)
    assert report.ok, report


def test_what_is_exact_stays_so_beside_a_float32_that_is_exact():
    x = DATA["x"].astype(np.float32)
    W = leaf(DATA["W1"], name="W")
    loss = np.mean(np.square(x.astype(float) @ W))

    def backward(off):
        d = 2 * (x @ DATA["W1"]) / (9 * 5)
        dW = x.T @ d * off
        return dW

    report = compare_backprop(loss, {"W": W}, backprop=lambda: backward(1))
    assert [step.verdict for step in report.steps] == ["right"] * len(report.steps)
