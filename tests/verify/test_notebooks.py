"""compare_backprop given the code: backprops in many styles are right, and a planted mistake is found in its line.

Which line is wrong is known from where the mistake was planted, never from the report.
"""

from __future__ import annotations

import copy
import linecache
import re

import numpy as np
import pytest
from verify.styles.notebooks import CHAINS

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
