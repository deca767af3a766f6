"""The engine in one page has the library's gradients, is as short as it says, and a fault in it shows."""

import ast
import re
import subprocess
import sys
import types
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
from helpers import code_lines

import tinygrad_steel
from tinygrad_steel import BroadcastWarning

PAGE = Path(__file__).parents[2] / "examples" / "tutorials" / "engine_in_one_page.py"
TEXT = PAGE.read_text(encoding="utf-8")
SHAPES = [(), (3,), (2, 3), (1, 3), (2, 1), (3, 2), (2, 2, 3), (1,), (0, 3)]
STEPS = """{a} + {b}  {a} - {b}  {a} * {b}  {a} * {a}  {a} / ({b} * {b} + 1)  -{a}  0.5 - {a}  2 * {a}  {a} - HALVES
    np.exp(np.tanh({a}))  np.log({a} * {a} + 0.5)  np.tanh({a})  np.maximum({a}, {b})  np.maximum({a}, 0.5)
    np.maximum({a}, {a})  np.maximum({a}, {a} * 1)  np.sum({a})  np.sum({a}, axis=0)  np.sum({a}, -1, keepdims=True)
    np.sum({a}, axis=(0, 1))  np.max({a})  np.max({a}, axis=0)  np.max({a}, axis=-1, keepdims=True)
    np.expand_dims({a}, 0)  np.expand_dims({a}, -1)  np.swapaxes({a}, 0, -1)  np.reshape({a}, (-1,))
    np.broadcast_to({a}, (2, 2, 3))  {a} @ np.swapaxes({b}, -1, -2)  {a} @ {b}
    np.reshape({a}, (-1, 1)) @ np.reshape({b}, (1, -1))"""
STEPS = [step for line in STEPS.splitlines() for step in line.strip().split("  ")]


def page(before="", after=""):
    """The page as a module; with an edit, a broken copy of it."""
    assert not before or TEXT.count(before) == 1, before
    module = types.ModuleType("page")
    exec(compile(TEXT.replace(before, after) if before else TEXT, str(PAGE), "exec"), vars(module))
    return module


class Program:
    """A random program in NumPy's terms: leaves, lines, and gradients of its result."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        # Halves, of which many are equal: ties.
        self.leaves = {
            f"x{i}": rng.integers(-3, 4, SHAPES[rng.integers(len(SHAPES))]) / 2 for i in range(3)
        }
        self.halves = rng.integers(-3, 4, 3) / 2
        self.lines = []
        values = {**self.leaves}
        while len(self.lines) < 8:
            a, b = rng.choice([*values], 2)
            line = rng.choice(STEPS).format(a=a, b=b)
            if "@" in line and "reshape" not in line and min(values[a].ndim, values[b].ndim) < 2:
                continue  # of vectors the page knows no products
            try:
                value = eval(line, {"np": np, "HALVES": self.halves, **values})
            except ValueError:  # shapes that do not fit; np.max of nothing
                continue
            if np.ndim(value) < 4 and np.size(value) < 40 and np.all(np.abs(value) < 1e3):
                values[f"t{len(self.lines)}"] = value
                self.lines.append(line)
        self.gradient = rng.normal(size=np.shape(value))
        self.weights = [rng.normal(size=leaf.shape) for leaf in self.leaves.values()]

    def run(self, engine):
        """The result, the gradients that `backward` leaves, those of `grad`, and theirs in turn."""
        leaves = {k: engine.Tensor(x, requires_grad=True) for k, x in self.leaves.items()}
        values = {"np": np, "HALVES": self.halves, **leaves}
        for i, line in enumerate(self.lines):
            values[f"t{i}"] = y = eval(line, values)
        found = [y.data]
        y.backward(self.gradient)
        found += [x.grad for x in leaves.values()]
        first = engine.grad(y, [*leaves.values()], self.gradient)
        found += [g.data for g in first]
        total = sum(np.sum(g * weight) for g, weight in zip(first, self.weights))
        return found + [g.data for g in engine.grad(total, [*leaves.values()])]

    def __str__(self):
        return "\n".join([*map(str, self.leaves.items()), *self.lines])


def agree(found, wanted):
    """Whether two engines have found the same."""
    for x, y in zip(found, wanted, strict=True):
        if (x is None) != (y is None) or np.shape(x) != np.shape(y):
            return False
        if x is not None and not np.allclose(x, y, rtol=1e-9, atol=1e-9):
            return False
    return True


def results(programs, engine):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BroadcastWarning)
        return [program.run(engine) for program in programs]


@pytest.fixture(scope="module")
def programs():
    return [Program(seed) for seed in range(400)]


@pytest.fixture(scope="module")
def wanted(programs):
    return results(programs, tinygrad_steel)


def test_the_page_has_the_gradients_of_the_library(programs, wanted):
    for program, found, right in zip(programs, results(programs, page()), wanted):
        assert agree(found, right), program


def test_the_programs_use_all_of_the_page(programs, wanted):
    lines = "\n".join(line for program in programs for line in program.lines)
    for function in page().VJPS:
        sign = {"negative": "-", "matmul": "@", "equal": "maximum", "greater": "maximum"}
        sign |= {"add": "+", "subtract": " - ", "multiply": "*", "divide": "/"}
        assert sign.get(function.__name__, f"np.{function.__name__}(") in lines
    second = [g for right in wanted for g in right[-3:]]
    assert sum(bool(np.any(g)) for g in second) > 100


BROKEN = {
    "no un-broadcasting": ("gx = unbroadcast(send(vjp, g, y), x.shape)", "gx = send(vjp, g, y)"),
    "copies are not summed": (
        "np.sum(g, axis=copied)",
        "g[tuple(slice(1) if i in copied else slice(None) for i in range(g.ndim))]",
    ),
    "the oldest first": ("pending.pop(max(pending))", "pending.pop(min(pending))"),
    "first come, first served": ("pop(max(pending))", "pop(next(iter(pending)))"),
    "parts are not added": ("gx = pending[x.age][1] + gx", "pass"),
    "a leaf keeps the last call's": ("g if t.grad is None else t.grad + g", "None"),
    "all of a tie for both": ("(a > b) + 0.5 * (a == b)", "(a > b) + (a == b)"),
    "all of a tie for the first": ("(b > a) + 0.5 * (a == b)", "(b > a)"),
    "all that are the largest get all": (
        "(hit / np.sum(hit, axis=axis, keepdims=True))",
        "hit",
    ),
    "rules run on arrays only": (
        "return vjp(g, y, *y.inputs, **y.params)",
        "return vjp(g, y.data, *map(data_of, y.inputs), **y.params)",
    ),
    "a product's inputs mixed up": ("g * b, lambda g, y, a, b: g * a", "g * a, lambda g, y, a, b: g * b"),
    "a minus forgotten": ("-g * y / b", "g * y / b"),
    "axes that were taken away stay away": ("g if keepdims or axis is None else np.expand_dims(g, axis)", "g"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_page_is_noticed(fault, programs, wanted):
    engine = page(*BROKEN[fault])
    for program, right in zip(programs, wanted):
        try:
            (found,) = results([program], engine)
        except Exception:  # a broken page may break in any way
            return
        if not agree(found, right):
            return
    pytest.fail("all programs agree")


def test_it_is_as_short_as_it_says():
    """Lines of code, without comments, docstrings and blank lines."""
    engine, _, rest = TEXT.partition("# 6. The rules")
    rules, _, _ = rest.partition("# 7. ")
    assert 50 <= code_lines(engine) <= 62
    assert code_lines(rules) <= 32


def test_each_tensor_has_its_turn_once_with_its_whole_gradient():
    engine = page()
    y = a = engine.Tensor(1.0, requires_grad=True)
    for _ in range(20):
        y = y + y
    turns = [*engine.walk(y, np.ones(()))]
    assert [t.age for t, _ in turns] == sorted((t.age for t, _ in turns), reverse=True)
    assert [float(g) for _, g in turns] == [2.0**k for k in range(21)]
    assert turns[-1][0] is a


def test_gradients_are_gone_after_their_turn():
    engine = page()
    y = engine.Tensor(np.ones(5), requires_grad=True)
    for _ in range(50):
        y = np.tanh(y)
    seen, most = [], 0
    for _, g in engine.walk(y, np.ones(5)):
        seen.append(weakref.ref(g))
        del g
        most = max(most, sum(ref() is not None for ref in seen))
    assert len(seen) == 51 and most <= 2


def test_it_runs_and_prints_what_it_says():
    command = [sys.executable, "-W", "error", str(PAGE)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    slope = 1 / np.cosh(0.5) ** 2
    assert f"slope {slope:.6f}, curvature {-2 * np.tanh(0.5) * slope:.6f}" in printed
    assert "answers: [0. 1. 1. 0.]" in printed


def test_the_backprop_that_it_writes_runs():
    """Of the program that it prints, the last line is the gradient of the weights, by analysis."""
    engine = page()
    x = engine.Tensor([[1.0, 2.0], [3.0, 4.0]], name="x")
    weight = engine.Tensor([[0.5], [-0.5]], requires_grad=True, name="weight")
    loss = np.sum(np.tanh(x @ weight))
    lines = engine.source(loss, *engine.grad(loss, [weight]))
    values = {"np": np, "x": x.data, "weight": weight.data}
    exec("\n".join(lines), values)
    right = x.data.T @ (1 / np.cosh(x.data @ weight.data) ** 2)
    assert np.allclose(values[lines[-1].split(" = ")[0]], right, rtol=1e-14)


def without_docstrings(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            del node.body[0]
    return ast.dump(tree)


def test_the_korean_page_is_the_same_program():
    korean = PAGE.with_suffix(".ko.py").read_text(encoding="utf-8")
    assert without_docstrings(korean) == without_docstrings(TEXT)
    sections = [re.findall(r"^# (\d)\. \S", text, re.MULTILINE) for text in (TEXT, korean)]
    assert sections[0] == sections[1] == [*"1234567"]
    assert TEXT.count('"""') == korean.count('"""')
