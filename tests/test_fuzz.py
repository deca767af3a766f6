"""A few hundred programs by all roads of `fuzz.py`; and the roads find faults that are planted."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import os
import re
import time
from collections import Counter

import numpy as np
import pytest
from fuzz import EPOCHS, ROADS, SPECIALS, run
from fuzz_programs import DRAWING_ROWS, FAMILIES, ROW_LOSSES, ROWS, SMOOTH, Program
from helpers import counted

from tinygrad_steel import export, ops
from tinygrad_steel.compiled import epoch
from tinygrad_steel.compiled.parameters import Parameters
from tinygrad_steel.engine import tensor
from tinygrad_steel.program import definitions, trace

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fuzz")]
EVERY = [*FAMILIES, "rows", "specials"]
CHUNKS, SIZE = 9, counted(30, 9)
NEEDS = {
    "onnx": ("onnx", "onnxruntime"),
    "step_numba": ("numba",),
    "epoch_numba": ("numba",),
    "elements_numba": ("numba",),
}
KNOWN = {  # what a road may refuse, as its docstring says
    "forward": "np.trace on Tensors",
    "source": "draws random numbers|when written",
    "onnx": "draws random numbers|has no ONNX mapping",
    "step_numpy": "a shape that depends on the data",
    "step_numba": "a shape that depends on the data|in one program: convert the data to one dtype",
    "epoch_numpy": "a shape that depends on the data",
    "epoch_numba": "a shape that depends on the data",
    "threads": "a shape that depends on the data",
}


def roads() -> dict:
    """All roads but those for which something is not installed; CI must have everything."""
    every = {**ROADS, **EPOCHS, **SPECIALS}
    for road in [*every]:
        missing = [
            name for name in NEEDS.get(road.__name__, ()) if importlib.util.find_spec(name) is None
        ]
        if missing:
            assert not os.environ.get("CI"), (
                f"CI takes the road {road.__name__}: {missing[0]} is missing"
            )
            del every[road]
    return every


@functools.cache
def report(chunk):
    return run(range(chunk * SIZE, (chunk + 1) * SIZE), roads())


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_programs_agree_by_all_roads(chunk):
    found = report(chunk)
    assert not found.wrong, "\n\n".join(map(str, found.wrong))
    for road, message in found.refused:
        assert re.search(KNOWN.get(road, "nothing"), message), f"{road}: {message}"


def test_all_roads_are_taken():
    compared = sum((report(chunk).compared for chunk in range(CHUNKS)), Counter())
    assert {
        road.__name__: compared[road.__name__] for road in roads() if compared[road.__name__] < 2
    } == {}


def test_every_kind_of_line_is_used():
    uses = Counter(
        t
        for seed in range(counted(2700, 1800))
        if seed % 9 < 8
        for t in Program(seed, EVERY[seed % 9]).templates
    )
    tables = [*FAMILIES.values(), SMOOTH, ROWS, DRAWING_ROWS, ROW_LOSSES]
    assert {t for table in tables for t in table.strip().split("  ") if uses[t] < 3} == set()


def test_the_same_seed_makes_the_same_program():
    assert str(Program(7)) == str(Program(7)) != str(Program(16))


# Faults


def scaled_tanh(monkeypatch):
    """A slope that is 0.1 % too large."""
    (rule,) = ops.tanh.vjps
    monkeypatch.setattr(ops.tanh, "vjps", (lambda g, y, x: 1.001 * rule(g, y, x),))


def tanh_without_its_slope_in_g(monkeypatch):
    """The first derivative is right, the second is not: the rule leaves the graph."""

    def rule(g, y, x):
        return g * (1 - np.square(np.tanh(getattr(x, "data", x))))

    monkeypatch.setattr(ops.tanh, "vjps", (rule,))


def power_of_the_size(monkeypatch):
    """Negative bases are taken as positive ones."""
    monkeypatch.setattr(
        ops.power, "vjps", (lambda g, y, a, b: g * b * np.abs(a) ** (b - 1), ops.power.vjps[1])
    )


def repeated_rows_count_once(monkeypatch):
    """The gradient of x[[0, 0]] is assigned, not added."""

    def scatter(g, *arrays, index, shape):
        z = np.zeros(shape, g.dtype)
        z[ops.filled_index(index, arrays)] = g
        return z

    monkeypatch.setattr(ops.scatter, "forward", scatter)


def written_rows_count_once(monkeypatch):
    """The same, in the written source alone."""
    lines = tuple(
        line.replace("np.add.at(z, index, g)", "z[index] = g") for line in definitions.SCATTER.lines
    )
    assert lines != definitions.SCATTER.lines
    monkeypatch.setattr(
        definitions, "SCATTER", dataclasses.replace(definitions.SCATTER, lines=lines)
    )


def frozen_threshold(monkeypatch):
    """A compiled step that keeps the thresholds which it was compiled with."""
    start = Parameters.__init__

    def init(self, program, engine):
        start(self, program, engine)
        frozen = {id(p) for p, _ in program.followed}
        self.pairs = [(p, data) for p, data in self.pairs if id(p) not in frozen]

    monkeypatch.setattr(Parameters, "__init__", init)


def merged_draws(monkeypatch):
    """A compiled step that draws once where the same expression stands twice."""
    monkeypatch.setattr(trace, "is_random", lambda t: False)


def hidden_nan(monkeypatch):
    """The slope of relu at NaN is 0."""
    monkeypatch.setattr(ops.relu, "vjps", (lambda g, y, x: g * (x > 0),))


def first_of_equals(monkeypatch):
    """All of a gradient goes to the left one of equal numbers."""
    monkeypatch.setattr(
        ops.maximum, "vjps", (lambda g, y, a, b: g * (a >= b), lambda g, y, a, b: g * (b > a))
    )


def whole_shares(monkeypatch):
    """Each of equal extremes gets all of the gradient."""

    def rule(g, y, x, axis=None, keepdims=False):
        return ops.spread(g, axis, keepdims) * np.equal(x, ops.spread(y, axis, keepdims))

    monkeypatch.setattr(ops.max, "vjps", (rule,))


def narrow_sums(monkeypatch):
    """Sums of small integers stay small integers."""
    monkeypatch.setattr(
        ops.sum,
        "forward",
        lambda x, axis=None, keepdims=False: np.sum(x, axis, x.dtype, keepdims=keepdims),
    )


def wide_gradients(monkeypatch):
    """Gradients of float16 and float32 come in float64."""
    monkeypatch.setattr(tensor, "own", lambda g, x: np.array(g, float))


def order_is_ignored(monkeypatch):
    """An epoch takes its rows as they lie."""
    monkeypatch.setattr(epoch, "row_numbers", lambda order, rows: np.arange(rows))


def exported_sine(monkeypatch):
    """A tanh is exported as a sine."""
    monkeypatch.setitem(export.MAPPING, ops.tanh, export.MAPPING[ops.sin])


def no_lock(monkeypatch):
    """Threads add to a gradient at the same time."""
    real = tensor.own

    def slow(g, x):
        time.sleep(0.001)
        return real(g, x)

    monkeypatch.setattr(tensor, "BACKWARD", contextlib.nullcontext())
    monkeypatch.setattr(tensor, "own", slow)


def lenient_verdicts(monkeypatch):
    """compare_backprop lets 10 % pass."""
    monkeypatch.setattr("tinygrad_steel.verify.verdicts.tolerance", lambda *arrays: 0.1)


FAULTS = [  # the fault, the road that must find it, a family of programs
    (scaled_tanh, "differences", "thresholds"),
    (tanh_without_its_slope_in_g, "second_order", "shapes"),
    (power_of_the_size, "differences", "powers"),
    (repeated_rows_count_once, "differences", "indices"),
    (written_rows_count_once, "source", "indices"),
    (frozen_threshold, "step_numpy", "thresholds"),
    (merged_draws, "step_numpy", "draws"),
    (hidden_nan, "elements", "specials"),
    (first_of_equals, "elements", "specials"),
    (whole_shares, "extremes", "specials"),
    (narrow_sums, "forward", "integers"),
    (wide_gradients, "float64", "floats"),
    (order_is_ignored, "epoch_numpy", "rows"),
    (exported_sine, "onnx", "integers"),
    (no_lock, "threads", "shapes"),
    (lenient_verdicts, "by_hand", "shapes"),
    (scaled_tanh, "checked", "shapes"),
]


@pytest.mark.parametrize("plant, road, family", FAULTS, ids=lambda x: getattr(x, "__name__", None))
def test_a_fault_is_found(plant, road, family, monkeypatch):
    found = {x.__name__: x for x in roads()}
    if road not in found:
        pytest.skip(f"nothing to take the road {road} with")
    every, size = 9 * (120 if road == "threads" else 40), 9 * counted(40, 10)
    taken = {found[road]: 10 if road == "threads" else 1}
    plant(monkeypatch)
    for start in range(0, every, size):
        seeds = range(start, start + size)
        wrong = run(seeds, taken, [family]).wrong
        if wrong:
            break
    assert wrong and {x.road for x in wrong} == {road}
    assert all(f"--seed {x.program.seed}" in str(x) for x in wrong)
    monkeypatch.undo()
    assert run(seeds, taken, [family]).wrong == []
