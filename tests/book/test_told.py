"""`examples/book/README.md`: its figures are those of the mistakes, it tells of every script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from book.mistakes import MISTAKES, figures

BOOK = Path(__file__).parents[2] / "examples" / "book"
TEXT = (BOOK / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_the_table_has_the_figures_and_the_reason(mistake):
    (row,) = (line for line in TEXT.splitlines() if f"| {figures(mistake)} |" in line)
    assert mistake.says in row


def test_the_table_has_no_other_figures():
    assert len(re.findall(r"\| [+-][\d.e-]+ / [+-][\d.e-]+ \|", TEXT)) == len(MISTAKES)


def test_every_script_is_told_of():
    scripts = {path.name for path in BOOK.glob("chapter*.py")}
    assert scripts <= set(re.findall(r"chapter\d+_\w+\.py", TEXT))
