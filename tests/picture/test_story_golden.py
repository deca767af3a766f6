"""The story of the steel loss: as it was, and its numbers against formulas written by hand."""

from __future__ import annotations

import json

import gallery
import numpy as np
import pytest
from picture import golden_story, schema

LOOSE = {"rtol": 1e-4, "atol": 1e-9}  # the digits of a page


@pytest.fixture(scope="module")
def golden():
    return json.loads(golden_story.FILE.read_text(encoding="utf-8"))


def test_it_is_what_it_was(golden):
    """To the letter, but for the last digits of arrays, which differ by machine."""
    now = json.loads(json.dumps(golden_story.steel()))
    arrays, before = now.pop("arrays"), golden.copy()
    before = before.pop("arrays"), before
    assert now == {k: v for k, v in golden.items() if k != "arrays"}
    assert len(arrays) == len(before[0])
    for new, old in zip(arrays, before[0]):
        assert {*new} == {*old}
        np.testing.assert_allclose(schema.numbers(new), schema.numbers(old), **LOOSE)
        for name in ("min", "max", "mean", "norm"):
            np.testing.assert_allclose(new[name], old[name], rtol=1e-6, atol=1e-12)


def test_it_keeps_to_the_contract(golden):
    schema.check(golden)


def by_hand():
    """Forward and backward in NumPy, by the names of the source."""
    graph = gallery.steel()
    found = {}

    def look(t):
        for x in t.inputs:
            look(x)
            if x.name:
                found[x.name] = x.data

    look(graph)
    x, w, b, y = (found[name] for name in "xwby")
    z = x @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(10)
    losses = -np.log(p[rows, y])
    G_z = p.copy()
    G_z[rows, y] -= 1
    G_z /= 10
    values = {
        **{"x": x, "w": w, "b": b, "y": y, "x @ w": x @ w, "z": z, "loss": losses.mean()},
        "softmax_cross_entropy(z, y)": losses,
    }
    gradients = {
        **{"x @ w": G_z, "z": G_z, "w": x.T @ G_z, "b": G_z.sum(axis=0), "loss": 1.0},
        "softmax_cross_entropy(z, y)": np.full(10, 0.1),
    }
    return values, gradients, {"x.T": x.T, "softmax(z)": p, "one_hot(y)": np.eye(7)[y]}


def test_its_numbers_are_right(golden):
    values, gradients, symbols = by_hand()

    def close(i, expected):
        found = schema.numbers(golden["arrays"][i])
        np.testing.assert_allclose(np.reshape(found, np.shape(expected)), expected, **LOOSE)

    for card in golden["cards"]:
        close(card["v"], values[card["code"]])
        if card["g"] is not None:
            close(card["g"], gradients[card["code"]])
    assert {card["code"] for card in golden["cards"]} == {*values}
    assert {card["code"] for card in golden["cards"] if card["g"] is not None} == {*gradients}
    found = {}
    for arrow in golden["arrows"]:
        found |= {t["t"]: t["a"] for t in arrow["eq"] or [] if not isinstance(t, str)}
    for text, expected in symbols.items():
        close(found[text], expected)


def test_its_steps_are_those_of_a_lecture(golden):
    """Each with the characters of the source that it computes."""
    lines, names = golden["lines"], {card["id"]: card["code"] for card in golden["cards"]}
    told = [
        (step["k"], names[step["n"]], lines[step["line"]]["t"][slice(*step["span"])])
        for step in golden["steps"][1:]
    ]
    whole = "G_loss / 10 * (softmax(z) - one_hot(y).astype(np.float64))"
    cross = "softmax_cross_entropy(z, y)"
    assert told == [
        ("forward", "x @ w", "x @ w"),
        ("forward", "z", "x @ w + b"),
        ("forward", cross, cross),
        ("forward", "loss", f"np.mean({cross})"),
        ("seed", "loss", "1.0"),
        ("backward", cross, "G_loss / 10"),
        ("backward", "z", whole),
        ("backward", "x @ w", whole),
        ("backward", "w", "x.T @ G_z"),
        ("backward", "b", "np.sum(G_z, axis=0)"),
    ]
