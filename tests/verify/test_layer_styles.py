"""compare_backprop given the code of convolution, pooling, norms, gates and attention: right in many
styles, and with a line made wrong.

Which line is wrong is known from where the mistake was planted, never from the report.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from verify.styles.twins import STYLES, TWINS, leaves, loaded

from tinygrad_steel import compare_backprop

RIGHT = [(m, name, twin) for m, names in STYLES.items() for name in names for twin in TWINS[m]]


def called(case):
    """A case in the output of pytest."""
    return getattr(case, "__name__", str(case)).split(".")[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name", "twin"), RIGHT, ids=called)
def test_a_right_chain_is_right_without_a_word(module, name, twin):
    params = leaves(module)
    report = compare_backprop(twin(**params), params, backprop=getattr(module, name))
    assert report.ok, report
    assert report.first_wrong is None
