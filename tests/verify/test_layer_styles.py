"""compare_backprop given the code of convolution, pooling, norms, gates and attention: right in many
styles, and with a line made wrong.

Which line is wrong is known from where the mistake was planted, never from the report.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from verify.styles.planted_layers import ELSEWHERE, PLANTED
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


@pytest.mark.slow
@pytest.mark.parametrize("library", [False, True], ids=["numpy", "ops"])
@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: f"{called(p[0])} {p[1]}: {p[3][:40]}")
def test_the_planted_line_is_found_and_explained(planted, library, tmp_path):
    module, name, right, wrong, says = planted
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(right) == 1, "the mistake is to be planted in one place"
    source = source.replace(right, wrong)
    params = leaves(module)
    learner = loaded(module, source, tmp_path)
    report = compare_backprop(
        TWINS[module][library](**params), params, backprop=getattr(learner, name)
    )
    assert not report.ok
    assert says in report.first_wrong.reason, report
    where = report.first_wrong.where
    if wrong in ELSEWHERE:
        assert where.text.strip().startswith(ELSEWHERE[wrong]), report
    else:
        last = 1 + source[: source.index(wrong)].count("\n") + wrong.count("\n")
        assert where.line in range(last - wrong.count("\n"), last + 1), report
