"""The texts that users see are what they were: see frozen.py."""

from __future__ import annotations

import frozen
import pytest


@pytest.mark.parametrize("file", frozen.KINDS)
def test_texts_are_what_they_were(file):
    expected = (frozen.FOLDER / file).read_text(encoding="utf-8").split("=== ")
    found = frozen.text(file).split("=== ")
    assert len(found) == len(expected) > 15
    for old, new in zip(expected, found):
        assert new == old
