"""The order of steps: after what they need, and down the source, however its lines lie."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tinygrad_steel.picture.page.sources import Place
from tinygrad_steel.picture.page.steps import Move, backward_steps, down_the_source, forward_steps

START = Place(1, 0, 0)


def move(id, line, needs=(), end=9, card="", head="", **more):
    places = [] if line is None else [Place(line, 0, end)]
    return Move(id, card or id, needs, places, head or f"head of {id}", **more)


def ids(moves):
    return [move.id for move, _ in down_the_source(moves, START)]


def test_what_is_needed_comes_first():
    """Though it stands further down: then the line is that down to which all is computed."""
    moves = [move("a", 2, needs=["b"]), move("b", 7), move("c", 4, needs=["a"]), move("d", 5)]
    assert ids(moves) == ["d", "b", "a", "c"]
    lines = [place.line for _, place in down_the_source(moves, START)]
    assert lines == [5, 7, 7, 7]


def test_in_one_line_from_the_left():
    moves = [move("right", 3, end=30), move("left", 3, end=10), move("whole", 3, ["left"], end=40)]
    assert ids(moves) == ["left", "right", "whole"]


def test_a_part_comes_before_the_whole_of_the_same_end():
    moves = [move("whole", 3, ["part"], end=20), move("part", 3, end=20)]
    assert ids(moves) == ["part", "whole"]


def test_what_stands_nowhere_follows_what_it_needs():
    moves = [move("nowhere", None, ["a"]), move("b", 9), move("a", 5)]
    assert ids(moves) == ["a", "nowhere", "b"]
    assert ids([move("nowhere", None), move("a", 5)]) == ["nowhere", "a"]


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_lines(seed):
    rng = np.random.default_rng(seed)
    moves = [
        move(str(i), int(rng.integers(1, 8)), [str(j) for j in range(i) if rng.random() < 0.3])
        for i in range(12)
    ]
    order = down_the_source([moves[i] for i in rng.permutation(12)], START)
    done = set()
    for one, _ in order:
        assert {*one.needs} <= done
        done.add(one.id)
    lines = [place.line for _, place in order]
    assert lines == sorted(lines) and len(done) == 12


def test_a_span_is_one_of_its_own_line():
    """What was raised to a later line has no characters there."""
    first, second = [*forward_steps([move("a", 6), move("b", 3, ["a"])])][1:]
    assert (first["line"], first["span"]) == (6, [0, 9])
    assert second == {"k": "forward", "n": "b", "line": 6}


def test_parts_are_counted_as_they_come():
    moves = [move("a1", 4, card="x"), move("a2", 2, card="x"), move("a3", 3, card="y", same=True)]
    steps = [*backward_steps(moves, "root", START, {})]
    assert steps[0] == {"k": "seed", "n": "root", "line": 1, "span": [0, 0]}
    told = [(step["a"], step.get("part"), step.get("same")) for step in steps[1:]]
    assert told == [("a2", [1, 2], None), ("a3", None, True), ("a1", [2, 2], None)]


def test_a_fold_does_its_inner_work_with_the_first_that_leaves_it():
    moves = [
        move("into", 2, card="f0", head="n9", is_folded=True),
        move("out1", 8, ["into"], card="w", head="f0", is_folded=True),
        move("out2", 9, ["into"], card="b", head="f0", is_folded=True),
    ]
    inside = {"f0": [Place(5, 0, 1), Place(4, 0, 1)]}
    lines = {s.get("a"): s.get("lines") for s in backward_steps(moves, "root", START, inside)}
    assert lines == {None: None, "into": [2], "out1": [4, 5, 8], "out2": [9]}
    lines = {s.get("a"): s.get("lines") for s in backward_steps(moves[:1], "root", START, inside)}
    assert lines["into"] == [2, 4, 5]  # nothing leaves: all parameters are inside


def test_without_a_source_there_are_no_lines():
    steps = [*backward_steps([move("a1", None), move("a2", None, ["a1"])], "root", None, {})]
    assert Counter(step["line"] for step in steps) == {None: 3}
    assert [step.get("a") for step in steps] == [None, "a1", "a2"]
