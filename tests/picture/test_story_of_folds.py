"""What a page tells of folds: the gradients that come into one, what one sends, and data of many steps on one card."""

from __future__ import annotations

import numpy as np
import pytest
from picture import stories

from tinygrad_steel import Tensor, scope

STEPS = 6


def leaf(data, name, wanted=True):
    return Tensor(np.asarray(data, dtype=float), requires_grad=wanted, name=name)


def recurrence(steps=STEPS, wanted=False):
    """w is used in all steps, and once more beside them."""
    rng = np.random.default_rng(3)
    w, h = leaf(rng.normal(size=(3, 3)), "w"), leaf(rng.normal(size=3), "h")
    for t in range(steps):
        x = leaf(rng.normal(size=3), f"x{t}", wanted)
        with scope(f"step[{t}]"):
            h = np.tanh(h @ w + x)
    return np.sum(h * h) + np.sum(np.square(w))


def cards(story):
    return {card["name"]: card for card in story.data["cards"]}


def arrows(story, tail, head=None):
    return [a for a in story.data["arrows"] if a["tail"] == tail and head in (None, a["head"])]


def fold_of(story):
    (fold,) = (card for card in story.data["cards"] if card["kind"] == "fold")
    return fold


def test_data_of_many_steps_stand_on_one_card():
    story = stories.check(recurrence(), fold=True)
    first, *others = (f"x{t}" for t in range(STEPS))
    card = cards(story)[f"{others[0]}, {others[1]}, ..., {others[-1]}"]
    assert (card["kind"], card["count"], card["v"], card["g"]) == ("input", 5, None, None)
    assert not {*others} & {*cards(story)} and first in cards(story)
    named = {t.name: id for t, id in story.cards.items() if t.name}
    assert {named[name] for name in others} == {card["id"]}
    said = {
        line["t"][start:end]: ref
        for line in story.data["lines"]
        for start, end, ref, _ in line["spans"]
    }
    assert {said[name] for name in others} == {card["id"]}
    assert len(arrows(story, card["id"])) == 1
    few = stories.check(recurrence(4), fold=True)
    assert {f"x{t}" for t in range(4)} <= {*cards(few)}  # no fan that needs it


def test_parameters_of_many_steps_keep_their_cards():
    story = stories.check(recurrence(wanted=True), fold=True)
    shown = {*cards(story)} & {f"x{t}" for t in range(STEPS)}
    assert all(card["v"] is not None for card in story.data["cards"]) and "x0" in shown


def test_what_a_fold_sends_beside_others_is_a_part_without_an_array():
    story = stories.check(recurrence(), fold=True)
    w = cards(story)["w"]["id"]
    (sent,) = arrows(story, w, fold_of(story)["id"])
    assert (sent["a"], sent["gcode"], sent["gets"], sent["count"]) == (None, "G_w", True, 5)
    assert all(arrow["gets"] for arrow in arrows(story, w))


def test_all_of_a_gradient_that_one_op_sends_is_said_as_a_sum():
    """h * h, by the last h of a fold: g * h twice, one array."""
    story = stories.check(recurrence(), fold=True)
    fold = fold_of(story)
    (sent,) = arrows(story, fold["id"])
    h = fold["code"]
    assert (sent["code"], sent["gcode"]) == (f"g * {h} + g * {h}", f"G_{h}")
    assert not sent["gets"]
    value = stories.array(story, fold["v"])
    np.testing.assert_allclose(stories.array(story, sent["a"]), 2 * value)


def test_what_comes_into_a_fold_is_called_by_the_value_that_it_is_of():
    """A loss of each step: each arrow is of another h, and none says the gradient of the last."""
    rng = np.random.default_rng(4)
    h, w, total = leaf(rng.normal(size=2), "h"), leaf(rng.normal(size=(2, 2)), "w"), 0
    for t, score in enumerate((np.sum, np.mean, np.max, np.prod)):
        with scope(f"step[{t}]"):
            h = np.tanh(h @ w)
        total = total + score(h)
    story = stories.check(total, fold=True)
    fold = fold_of(story)
    told = [(arrow["gcode"], arrow["gets"]) for arrow in arrows(story, fold["id"])]
    assert len({name for name, _ in told}) == len(told) > 1
    assert (fold["gcode"], False) in told and sum(gets for _, gets in told) == len(told) - 1


def test_a_number_on_an_arrow_is_the_one_that_passes():
    """Not that of the last block, which the card of the fold shows."""
    s, total, expected, number = leaf(0.5, "s"), 0, [], 0.5
    for t, twist in enumerate((np.sin, np.cos, np.exp, np.square)):
        with scope(f"step[{t}]"):
            s = np.tanh(s * 1.5 + 0.25)
        number = np.tanh(number * 1.5 + 0.25)
        expected.append(number)
        total = total + twist(s)
    story = stories.check(total, fold=True)
    fold = fold_of(story)["id"]
    passed = [stories.array(story, a["passed"]) for a in arrows(story, fold)]
    assert sorted(map(float, passed)) == pytest.approx(sorted(expected[-len(passed) :]))


def test_a_step_of_a_fold_stands_at_a_line_of_its_own():
    """Though what it needs is done further down than where the first of its lines stands."""
    rng = np.random.default_rng(2)
    w, h, loss = leaf(rng.normal(size=(3, 3)), "w"), leaf(np.ones(3), "h"), 0
    for t, prepare in enumerate((np.sin, np.cos, np.exp, np.square)):
        x = prepare(leaf(rng.normal(size=3), f"r{t}"))
        x.name = f"x{t}"
        with scope(f"step[{t}]"):
            h = np.tanh(h @ w + x)
        loss = loss + np.sum(h) ** (t + 1)
    story = stories.check(loss, fold=True)
    folded = [step for step in story.data["steps"] if step.get("lines")]
    assert folded and all(step["line"] in step["lines"] for step in folded)
