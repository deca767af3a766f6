"""What the tests of the book's chapters share: slopes by differences, and what a script has written."""

from __future__ import annotations

import re

import numpy as np


def assert_slopes(value, parameters, gradients, places=3):
    """Some positions of each parameter, by central differences of the number `value()`."""
    rng, h = np.random.default_rng(1), 1e-6
    for name, p in parameters.items():
        before = p.data
        for _ in range(places):
            place = tuple(rng.integers(0, n) for n in p.shape)
            step = np.zeros(p.shape)
            step[place] = h
            values = []
            for sign in (1, -1):
                p.data = before + sign * step
                values.append(value())
            p.data = before
            slope = (values[0] - values[1]) / (2 * h)
            np.testing.assert_allclose(
                gradients[name][place], slope, rtol=1e-5, atol=1e-8, err_msg=name
            )


def sources_of(text):
    """The functions `backprop` of a text, with the names of the gradients that each returns."""
    for part in re.split(r"^import numpy as np$", text, flags=re.MULTILINE)[1:]:
        namespace = {"np": np}
        exec(part, namespace)
        yield namespace["backprop"], re.findall(r"G_(\w+)", part[part.rindex("return") :])


def assert_written(function, names, arguments, loss, leaves):
    loss.backward()
    value, *g = function(**arguments)
    assert {*names} == {*leaves} and len(names) == len(g)
    np.testing.assert_allclose(value, loss.item(), rtol=1e-12)
    for name, part in zip(names, g):
        np.testing.assert_allclose(part, leaves[name].grad, rtol=1e-10, atol=1e-12, err_msg=name)
