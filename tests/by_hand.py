"""A small loss whose gradients are known by hand, and somebody's code that is run as if from a file."""

from __future__ import annotations

import linecache
import textwrap

import numpy as np

from tinygrad_steel import Tensor, compare_backprop

rng = np.random.default_rng(11)
X, Y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
W0, B0 = rng.normal(size=(3, 2)), rng.normal(size=2)
DZ = 2 * (X @ W0 + B0 - Y) / 12  # of a mean of squares over 6 rows and 2 columns
RIGHT = {"z": DZ, "W": X.T @ DZ, "b": DZ.sum(axis=0)}


def problem():
    """A loss whose gradients are RIGHT, and its Tensors by name."""
    W = Tensor(W0, requires_grad=True, name="W")
    b = Tensor(B0, requires_grad=True, name="b")
    z = X @ W + b
    return np.mean(np.square(z - Y)), {"W": W, "b": b, "z": z}


def reported(text, run="backward()", with_source=True, file="/somewhere/mine.py"):
    """A text with code as it stands from the first line of a file on, the report on it, and the loss
    with its names.
    """
    text = textwrap.dedent(text).strip("\n") + "\n"
    if with_source:
        linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    loss, names = problem()
    space = {"np": np, "X": X, "Y": Y, "W0": W0, "b0": B0, "__name__": "mine"}
    space |= {"compare_backprop": compare_backprop, "loss": loss, "names": names}
    exec(compile(text, file if with_source else "<string>", "exec"), space)
    report = compare_backprop(loss, names, backprop=lambda: eval(run, space))
    return text, report, loss, names
