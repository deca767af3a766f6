"""The mistakes of the collection: each is found where it is, and explained or listed as not yet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import FULL
from verify.mistakes.collection import MISTAKES, MODELS
from verify.mistakes.diagnosis import DIAGNOSIS, POWERS, SLICED
from verify.mistakes.form import CODES
from verify.mistakes.measure import (
    ALL,
    LEAVES,
    answer,
    differs_at_the_leaves,
    finds_the_place,
    verdict,
)
from verify.mistakes.not_yet import NOT_YET
from verify.mistakes.planted import PLANTED
from verify.mistakes.sequences import LSTM, RNN
from verify.mistakes.written_out import BY_HAND, WRITTEN_OUT

from tinygrad_steel import compare_backprop

DTYPES = (np.float64, np.float32)
pytestmark = pytest.mark.slow
handed_over = pytest.mark.parametrize("handed", [ALL, LEAVES])
each_mistake = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.title)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_right_chain_is_right(model):
    for dtype, seed in itertools.product(DTYPES, range(4)):
        loss, names = model.build(dtype, seed)
        report = compare_backprop(loss, names, **model.chain(names))
        assert report.ok, (dtype, seed, report)


@each_mistake
def test_a_mistake_is_found_and_its_reason_exact_or_listed_as_not_yet(mistake):
    whole = FULL or MISTAKES.index(mistake) % 3 == 0  # in short form: from leaves, and in float32
    for dtype in DTYPES if whole else [float]:
        assert answer(mistake, ALL, dtype).place == mistake.place
    if whole:
        assert bool(answer(mistake, LEAVES).place) == differs_at_the_leaves(mistake)
    for handed in (ALL, LEAVES) if whole else [ALL]:
        kind, _ = NOT_YET[handed].get(mistake.title, ("exact", ""))
        found = verdict(mistake, handed)
        assert found == kind, f"move it in not_yet.py: {answer(mistake, handed)}"


@handed_over
def test_no_reason_is_misleading(handed):
    assert not [title for title, (kind, _) in NOT_YET[handed].items() if kind == "misleading"]


@handed_over
def test_the_list_of_those_not_yet_exact_has_no_other_titles(handed):
    assert {*NOT_YET[handed]} <= {mistake.title for mistake in MISTAKES}


@pytest.mark.parametrize("mistake", PLANTED[:: 1 if FULL else 2], ids=lambda m: m.title)
def test_a_mistake_is_explained_wherever_it_is(mistake):
    for dtype in DTYPES:
        found = answer(mistake, ALL, dtype)
        assert found.place == mistake.place
        assert mistake.says[0] in found.reason


@pytest.mark.parametrize("mistake", [*DIAGNOSIS, *WRITTEN_OUT], ids=lambda m: m.title)
def test_each_kind_of_mistake_is_known(mistake):
    for dtype in DTYPES if FULL else DTYPES[:1]:
        found = answer(mistake, ALL, dtype)
        assert found.place == mistake.place
        assert mistake.says[0] in found.reason


@pytest.mark.parametrize("model", [POWERS, SLICED, BY_HAND], ids=lambda m: m.name)
def test_a_right_chain_of_the_diagnosis_is_right(model):
    loss, names = model.build()
    assert compare_backprop(loss, names, **model.chain(names)).ok


@pytest.mark.parametrize(
    "mistake",
    # in time, so many steps lie before the first leaf that the search ends before it has tried all
    [m for m in PLANTED if m.model not in (RNN, LSTM)][:: 1 if FULL else 3],
    ids=lambda m: m.title,
)
def test_a_mistake_is_explained_from_the_leaves_alone(mistake):
    found = answer(mistake, LEAVES)
    assert found.wrong == 1
    assert f"from a fault at {mistake.place}" in found.reason
    assert mistake.says[0] in found.reason


def test_the_collection_is_large_and_every_mistake_was_made_somewhere():
    assert len(MISTAKES) >= 150
    assert len({mistake.title for mistake in MISTAKES}) == len(MISTAKES)
    for mistake in MISTAKES:
        assert mistake.where.startswith("https://")
        assert mistake.code in CODES
        assert mistake.says and {*mistake.wrong} <= {*mistake.model.steps}
    assert {mistake.code for mistake in MISTAKES} == {*CODES}


def test_a_place_is_a_wrong_gradient():
    for mistake in MISTAKES:
        _, names = mistake.model.build()
        right, wrong = (mistake.model.chain(names, steps) for steps in ({}, mistake.wrong))
        assert not np.array_equal(right[mistake.place], wrong[mistake.place]), mistake.title
        assert finds_the_place(mistake, ALL), mistake.title
