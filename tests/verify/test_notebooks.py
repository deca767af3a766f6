"""compare_backprop given the code: backprops in many styles are right, and a planted mistake is found in its line.

Which line is wrong is known from where the mistake was planted, never from the report.
"""

from __future__ import annotations

import copy
import linecache
import re

import numpy as np
import pytest
from verify.styles.notebooks import CHAINS, classes

from tinygrad_steel import compare_backprop

PLACE = re.compile("«(.*?)¦(.*?)»", re.DOTALL)


def planted(code, n):
    """The code with its n-th place made wrong, all others right, and the line of that place."""
    found, line, end = "", 0, 0
    for i, place in enumerate(PLACE.finditer(code)):
        found += code[end : place.start()]
        line = 1 + found.count("\n") if i == n else line
        found += place[2 if i == n else 1]
        end = place.end()
    return found + code[end:], line


def run(name, n=None):
    """What is reported of a chain, and the line that was made wrong."""
    problem, code = CHAINS[name]
    text, line = planted(code.lstrip("\n"), n)
    file = f"<{name} {n}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    loss, names, data = problem()
    space = {"np": np, "__name__": "notebook", **copy.deepcopy(data)}
    exec(compile(text, file, "exec"), space)
    return compare_backprop(loss, names, backprop=space["go"]), line


PLANTED = [(name, n) for name, row in CHAINS.items() for n in range(len(PLACE.findall(row[1])))]


@pytest.mark.parametrize("name", CHAINS)
def test_a_right_chain_is_right(name):
    report, _ = run(name)
    assert report.ok, report


@pytest.mark.parametrize(("name", "n"), PLANTED)
def test_the_planted_line_is_named(name, n):
    report, line = run(name, n)
    first = report.first_wrong
    assert first is not None, report
    assert first.where.line == line, report


# What stands in a formula for which there is no name, too long to be read.
UNREADABLE = re.compile(r"\w\(\.\.\.\)|array\(")


@pytest.mark.parametrize(("name", "n"), PLANTED)
def test_a_report_speaks_of_what_the_person_has_named(name, n):
    report, _ = run(name, n)
    for step in report.steps:
        assert not UNREADABLE.search(step.reason), step.reason


DIVIDED = """
def go():
    z1 = x.dot(W1) + b1
    hidden = np.maximum(0, z1)
    e = np.exp(hidden.dot(W2) + b2)
    ds = e / np.sum(e, axis=1, keepdims=True)
    ds[np.arange(7), labels] -= 1
    {divide}
    dW2 = hidden.T.dot(ds)
    db2 = np.sum(ds, axis=0)
    dh = ds.dot(W2.T)
    {step}
    dW1 = x.T.dot(dh)
    return dW1, np.sum(dh, axis=0), dW2, db2
"""


@pytest.mark.parametrize("divide", ["ds /= 7", "ds = ds / 7", "ds *= 1 / len(x)"])
@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("dh[hidden > 0] = 0", "wrong way round"),
        ("dh = dh * hidden", "hidden in place of"),
        ("dh[hidden <= 0] = 0; dh *= 2", "2 times too large"),
    ],
)
def test_what_was_divided_once_is_divided(divide, step, words, monkeypatch):
    monkeypatch.setitem(CHAINS, "divided", (classes, DIVIDED.format(divide=divide, step=step)))
    first = run("divided")[0].first_wrong
    assert first.variable == "dh", first
    assert first.where.text == step, first
    assert words in first.reason and "besides" not in first.reason, first
