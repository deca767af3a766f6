"""compare_backprop given code of which there is no source: the verdicts are those of the same code in a file."""

from __future__ import annotations

import linecache

import numpy as np
import pytest

from tinygrad_steel import Tensor, compare_backprop

rng = np.random.default_rng(6)
X, Y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
W0, B0 = rng.normal(size=(3, 2)), rng.normal(size=2)

RETURNED = """
def f():
    dz = (X @ W0 + b0 - Y) / 6
    dW = X.T @ dz
    db = dz.sum(axis=0)
    return dW, db
"""
SLIPS = [
    ("", ""),
    ("X.T @ dz", "dz.T @ X"),
    ("axis=0)", "axis=0)[:, None]"),
    ("axis=0)", "axis=0)[None]"),
    ("X.T @ dz", "(X.T @ dz).T.copy()"),
    ("/ 6", "/ 3"),
    ("dz.sum(axis=0)", "dz.mean(axis=0)"),
    ("X.T @ dz", "X.T @ dz * 1.5"),
    ("X.T", "np.abs(X).T"),
    ("return dW, db", "return 3 * dW, db"),
    ("return dW, db", 'return {"W": 2 * dW,\n            "b": db}'),
    ("return dW, db", "return [dW,\n            dz.sum(axis=0) * 2]"),
    ("return dW, db", "return db, dW"),
    ("return dW, db", "return dW"),
    ("    return dW, db", "    W1 = W0 - 0.1 * dW\n    return W1, b0 - 0.1 * db"),
    ("    return dW, db", "    W1 = W0 - 0.1 * dW\n    return W1, b0 - 0.1 * db * 2"),
]
RIGHT = {
    "globals": """
def f():
    global dW, db
    dz = (X @ W0 + b0 - Y) / 6
    dW = X.T @ dz
    db = dz.sum(axis=0)
""",
    "new weights": """
def f():
    nw, nb = np.zeros_like(W0), np.zeros_like(b0)
    for x, y in zip(X, Y):
        d = x @ W0 + b0 - y
        nw = nw + np.outer(x, d)
        nb = nb + d
    return [w - 3. / 6 * n for w, n in zip([W0, b0], [nw, nb])]
""",
    "over several lines": """
def f():
    dz = (X @ W0 + b0
          - Y) / 6
    return {
        "W": X.T
        @ dz,
        "b": dz.sum(axis=0),
    }
""",
    "attributes": """
class Net:
    def __init__(self):
        self.p = {"W": W0.copy(), "b": b0.copy()}
        self.grads = {}

    def backward(self):
        dz = (X @ self.p["W"] + self.p["b"] - Y) / 6
        self.grads["W"] = X.T @ dz
        self.grads["b"] = dz.sum(axis=0)
        for k in self.p:
            self.p[k] -= 0.1 * self.grads[k]
        return self

def f():
    return Net().backward()
""",
    "epochs": """
def f():
    W, b = W0.copy(), b0.copy()
    for _ in range(3):
        dz = (X @ W + b - Y) / 6
        dW, db = X.T @ dz, dz.sum(axis=0)
        W -= 0.1 * dW
        b -= 0.1 * db
    return W, b
""",
}


def report(source, file):
    linecache.cache.pop("<submission>", None)
    if file == "<submission>":
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    namespace = {"np": np, "X": X, "Y": Y, "W0": W0, "b0": B0}
    exec(compile(source, file, "exec"), namespace)
    W, b = Tensor(W0, requires_grad=True), Tensor(B0, requires_grad=True)
    loss = np.sum(np.square(X @ W + b - Y)) / 12
    return compare_backprop(loss, {"W": W, "b": b}, backprop=namespace["f"])


def is_strict(found):
    try:
        found.raise_if_wrong()
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("slip", SLIPS)
def test_the_verdict_is_that_with_the_source(slip):
    source = RETURNED.replace(*slip) if slip[0] else RETURNED
    one, other = report(source, "<submission>"), report(source, "<string>")
    assert one.ok == other.ok, other
    assert one.faults == other.faults, other
    assert is_strict(one) == is_strict(other), other


@pytest.mark.parametrize("source", RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_right_without_a_source(source):
    for file in ("<submission>", "<string>"):
        assert report(source, file).ok, report(source, file)


@pytest.mark.parametrize("name", [n for n in RIGHT if n != "new weights"])
@pytest.mark.parametrize(
    "slip", [("X.T", "2 * X.T"), ("Y) / 6", "Y) / 2"), ("axis=0)", "axis=0) + 1")]
)
def test_what_is_wrong_is_wrong_without_a_source(name, slip):
    source = RIGHT[name].replace(*slip)
    found = {file: report(source, file) for file in ("<submission>", "<string>")}
    assert not any(one.ok for one in found.values()), found
    one, other = found.values()
    assert one.faults == other.faults, other


def test_two_codes_of_the_same_name_are_told_apart():
    """Both are `<string>`, and their lines are not the same statements."""
    for source in (RETURNED, "\n\n" + RETURNED):
        assert report(source, "<string>").ok
