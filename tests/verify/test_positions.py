"""Mistakes planted wherever they can be made: found, explained, and said once."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import FULL
from verify.mistakes.collection import MODELS
from verify.mistakes.measure import (
    ALL,
    LEAVES,
    answer,
    differs_at_the_leaves,
    finds_the_place,
    is_leaf,
)
from verify.mistakes.positions import POSITIONED, factors

pytestmark = pytest.mark.slow
FACTORS = [mistake for model in MODELS for mistake in factors(model)]
# The errors of a softmax are 0 in the sum over the classes: nothing is left to be told.
NOT_FROM_LEAVES = {"summed along the other axis: G_b2 of tanh and softmax in rows": "shape (10,)"}
# What is said of a factor on one of several ways: it may be at any step of that way.
ON_A_WAY = ("in what comes through", "in all but what comes", "that comes through")


@pytest.mark.parametrize("mistake", POSITIONED[:: 1 if FULL else 4], ids=lambda m: m.title)
def test_a_mistake_is_explained_at_each_of_its_positions(mistake):
    for dtype in (np.float64, np.float32):
        found = answer(mistake, ALL, dtype)
        assert found.place == mistake.place
        assert all(phrase in found.reason for phrase in mistake.says), found


@pytest.mark.parametrize("mistake", POSITIONED[:: 1 if FULL else 3], ids=lambda m: m.title)
def test_a_mistake_is_explained_from_the_leaves_wherever_it_is_made(mistake):
    found = answer(mistake, LEAVES)
    if not differs_at_the_leaves(mistake):
        assert not found.place
        return
    assert found.wrong == 1  # one mistake, said once
    if mistake.title in NOT_FROM_LEAVES:
        assert found.reason.startswith(NOT_FROM_LEAVES[mistake.title])
        return
    assert finds_the_place(mistake, LEAVES), found
    assert all(phrase in found.reason for phrase in mistake.from_leaves or mistake.says), found


@pytest.mark.parametrize("mistake", FACTORS[:: 1 if FULL else 6], ids=lambda m: m.title)
def test_a_factor_is_traced_to_its_step(mistake):
    found = answer(mistake, ALL)
    assert found.place == mistake.place
    assert mistake.says[0] in found.reason
    found = answer(mistake, LEAVES)
    if not differs_at_the_leaves(mistake):
        assert not found.place
        return
    assert found.wrong == 1
    on_a_way = any(words in found.reason for words in ON_A_WAY)
    assert on_a_way or mistake.says[0] in found.reason
    if not is_leaf(mistake):
        before = "or one before them" in found.reason
        assert on_a_way or before or finds_the_place(mistake, LEAVES), found


def test_positions_have_different_titles():
    titles = [mistake.title for mistake in (*POSITIONED, *FACTORS)]
    assert len({*titles}) == len(titles)
