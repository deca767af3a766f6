"""Arrays as text: what a page reads is the array, and statistics are of all of it."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from picture import schema

from tinygrad_steel.picture.page import numbers
from tinygrad_steel.picture.page.numbers import Arrays, Budget, as_text
from tinygrad_steel.program.values import Leaf, alias, apply

RNG = np.random.default_rng(5)
ARRAYS = {
    "numbers": RNG.normal(size=(4, 3)),
    "float32": RNG.normal(size=(4, 3)).astype(np.float32),
    "float16": RNG.normal(size=7).astype(np.float16),
    "longdouble": RNG.normal(size=3).astype(np.longdouble),
    "one": np.array(-0.25),
    "zeros": np.array([0.0, -0.0]),
    "whole": np.array([[2**62, -(2**63)]]),
    "unsigned": np.array([2**64 - 1], np.uint64),
    "bools": np.array([True, False]),
    "powers": 10.0 ** np.arange(-12, 12),
    "extreme": np.array([1e300, -1e308, 5e-324]),
    "deep": RNG.normal(size=(2, 3, 2, 2)),
    "columns": np.asfortranarray(RNG.normal(size=(3, 4))),
    "strided": RNG.normal(size=(6, 8))[::-2, ::3],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_numbers_come_back(name):
    array = ARRAYS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = as_text(array)
    schema.check_array(name, json.loads(json.dumps(found, allow_nan=False)))
    read = np.reshape(schema.numbers(found), array.shape)
    np.testing.assert_allclose(read, array.astype(float), rtol=6e-5, atol=0)
    assert found["shape"] == [*array.shape] and found["dtype"] == str(array.dtype)


@pytest.mark.parametrize("name", [name for name in ARRAYS if name != "extreme"])
def test_statistics_are_those_of_numpy(name):
    array = ARRAYS[name].astype(np.float64)
    found = as_text(ARRAYS[name])
    expected = {"min": array.min(), "max": array.max(), "mean": array.mean()}
    expected["norm"] = np.linalg.norm(array)
    for key, x in expected.items():
        np.testing.assert_allclose(found[key], x, rtol=1e-6, atol=1e-12)
    assert "bad" not in found


def test_what_is_not_finite():
    found = as_text(np.array([np.nan, np.inf, -np.inf, 3.0, -4.0]))
    assert found["v"] == "nan 1e999 -1e999 3 -4"
    assert (found["bad"], found["min"], found["max"], found["norm"]) == (3, -4, 3, 5)
    none = as_text(np.array([np.nan]))
    assert none["bad"] == 1 and "min" not in none


def test_sums_beyond_all_floats():
    found = as_text(np.full(4, 1e308))
    assert found["mean"] == 1e308 and found["norm"] == "inf"
    tiny = as_text(np.full(4, 1e-300))
    assert (tiny["mean"], tiny["norm"]) == (1e-300, 2e-300)


def test_beyond_float64():
    if np.finfo(np.longdouble).max <= np.finfo(np.float64).max:
        pytest.skip("a longdouble is a float64 here")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = as_text(np.array([np.longdouble("1e4000"), 1]))
    assert found["v"] == "1e999 1" and found["bad"] == 1


@pytest.mark.parametrize("shape", [(100, 90), (50,), (7, 50, 3), (1000, 2), (2, 1000), (1, 500)])
def test_samples_are_taken_where_they_say(shape):
    array = RNG.normal(size=shape)
    found = as_text(array, 12, 10, 6)
    schema.check_array("sample", found)
    rows, cols = int(np.prod(shape[:-1])), shape[-1]
    table = array.reshape(rows, cols)
    ri, ci = found.get("ri", range(rows)), found.get("ci", range(cols))
    np.testing.assert_allclose(
        schema.numbers(found), table[np.ix_(list(ri), list(ci))].ravel(), rtol=1e-5
    )
    assert found["rows"] <= 12 and found["cols"] <= (10 if rows > 1 else 40)
    np.testing.assert_allclose(found["max"], array.max(), rtol=1e-6)
    np.testing.assert_allclose(found["norm"], np.linalg.norm(array), rtol=1e-6)
    for taken, count in ((ri, rows), (ci, cols)):
        assert (taken[0], taken[-1]) == (0, count - 1)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 4)])
def test_empty(shape):
    found = as_text(np.zeros(shape))
    schema.check_array("empty", found)
    assert found["v"] == "" and "min" not in found and "bad" not in found


@pytest.mark.parametrize(
    "array",
    [np.array([1 + 2j]), np.array(["text"]), np.array([None, 1], dtype=object)],
    ids=["complex", "text", "objects"],
)
def test_what_is_no_number(array):
    found = as_text(array)
    schema.check_array("text", json.loads(json.dumps(found)))
    assert found["v"] == "" and str(array.dtype) in found["text"]


def test_a_value_is_one_under_every_name():
    x = Leaf((2,), np.dtype(float))
    other, again = Leaf((2,), np.dtype(float)), apply(alias, (x,), {}, x)
    array = np.zeros(2)
    arrays = Arrays({x: array, other: array, again: array})
    assert arrays.of(x) == arrays.of(again) == 0 and arrays.of(other) == 1


def test_a_budget_is_kept_and_said(monkeypatch):
    values = [Leaf((60, 60), np.dtype(float)) for _ in range(50)]
    arrays = Arrays({x: RNG.normal(size=(60, 60)) for x in values})
    for x in values:
        arrays.of(x)
    monkeypatch.setattr(numbers, "ROOM", 90_000)
    written = json.dumps(arrays.write())
    assert len(written) < 120_000 and arrays.budget != Budget()
    rows, cols = arrays.budget.rows, arrays.budget.cols
    assert f"a sample of {rows} x {cols} numbers" in arrays.note
    assert all((a["rows"], a["cols"]) == (rows, cols) for a in arrays.written)


def test_no_budget_is_no_note():
    x = Leaf((2,), np.dtype(float))
    arrays = Arrays({x: np.ones(2)})
    arrays.of(x)
    arrays.write()
    assert arrays.note == ""
