"""The mistakes of convolution, pooling, norms, dropout, recurrence, gates, attention and decoders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import FULL
from verify.mistakes.chapters import MISTAKES, MODELS, NOT_YET
from verify.mistakes.measure import (
    ALL,
    LEAVES,
    answer,
    differs_at_the_leaves,
    finds_the_place,
    verdict,
)

from tinygrad_steel import compare_backprop

DTYPES = (np.float64, np.float32)
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_right_chain_is_right(model):
    for dtype, seed in itertools.product(DTYPES, range(3)):
        loss, names = model.build(dtype, seed)
        report = compare_backprop(loss, names, **model.chain(names))
        assert report.ok, (dtype, seed, report)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.title)
def test_a_mistake_is_found_where_it_is_and_explained(mistake):
    found = answer(mistake)
    assert found.place == mistake.place
    assert all(phrase in found.reason for phrase in mistake.says), found.reason
    if FULL or MISTAKES.index(mistake) % 3 == 0:
        assert answer(mistake, ALL, np.float32).place == mistake.place


@pytest.mark.parametrize("mistake", MISTAKES[:: 1 if FULL else 4], ids=lambda m: m.title)
def test_a_mistake_is_explained_from_the_leaves_alone_or_listed_as_not_yet(mistake):
    found = answer(mistake, LEAVES)
    assert bool(found.place) == differs_at_the_leaves(mistake)
    expected = "unexplained" if mistake.title in NOT_YET else "exact"
    assert verdict(mistake, LEAVES) == expected, found
    assert expected == "unexplained" or finds_the_place(mistake, LEAVES), found


def test_titles_tell_mistakes_apart_and_a_place_is_a_wrong_gradient():
    assert len({mistake.title for mistake in MISTAKES}) == len(MISTAKES) >= 140
    assert {*NOT_YET} <= {mistake.title for mistake in MISTAKES}
    for mistake in MISTAKES:
        _, names = mistake.model.build()
        right, wrong = (mistake.model.chain(names, steps) for steps in ({}, mistake.wrong))
        assert not np.array_equal(right[mistake.place], wrong[mistake.place]), mistake.title
