"""What several test files need: leaves, closeness with equal shapes, gradients by differences, lines of code."""

from __future__ import annotations

import ast
import cProfile
import os
import sys

import numpy as np

from tinygrad_steel import Tensor

FULL = os.environ.get("TINYGRAD_STEEL_TESTS") == "full"


def counted(full: int, short: int) -> int:
    """How many random cases a long proof takes: all with TINYGRAD_STEEL_TESTS=full, else a few."""
    return full if FULL else short


def leaf(data, dtype=float, name=None):
    return Tensor(np.array(data, dtype=dtype), requires_grad=True, name=name)


def close(actual, expected, **tolerance):
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual, expected, **{"rtol": 1e-6, "atol": 1e-8, **tolerance})


def differences(f, x, h=1e-5):
    """The gradient of the number `f(x)` by central differences: two evaluations per element, no calculus."""
    g = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        g[i] = (f(x + step) - f(x - step)) / (2 * h)
    return g


def random_like(x, seed=7):
    return np.random.default_rng(seed).normal(size=np.shape(x))


def calls(f, *args, **kwargs):
    """How many calls of functions `f(*args, **kwargs)` takes: its work, the same on any machine."""
    profiler = cProfile.Profile()
    try:
        profiler.runcall(f, *args, **kwargs)
    finally:
        sys.setprofile(None)
    return sum(entry.callcount for entry in profiler.getstats())


def code_lines(text):
    """How many lines of code a program has: without comments, docstrings and blanks."""
    texts = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr))
    texts = (node for node in texts if isinstance(node.value, ast.Constant))
    silent = {number for node in texts for number in range(node.lineno, node.end_lineno + 1)}
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return sum(number not in silent and line[:1] not in ("", "#") for number, line in lines)
