"""How large the cards of a page and the words on its arrows are, before anybody lays them out."""

from __future__ import annotations

from collections.abc import Sequence

LETTER, SMALL = 7.8, 6.7  # the width of a letter of a name, and of all others
CELL, TALL, LOW = 84, 38, 22  # a picture of an array, and a single number
EDGE, GAP, ROW = 10, 8, 13
LONG_NAME, LONG_FACT, LONG_CODE = 28, 44, 60  # letters that are shown


def box(
    kind: str, glyph: str, words: str, name: str, shape: str, facts: Sequence[str], cells: int
) -> tuple[int, int]:
    """The width and height of a card with so many cells: its value, and its gradient."""
    is_number = shape in ("()", "(1,)", "(1, 1)")
    is_op = kind == "op"
    head = LETTER * (len(name[:LONG_NAME]) + (len(glyph[:LONG_NAME]) if is_op else 0))
    head += SMALL * len(words[:LONG_NAME]) + SMALL * (0 if shape == "()" else len(shape))
    head += EDGE * 2 + GAP * 3
    below = SMALL * max((len(fact[:LONG_FACT]) for fact in facts), default=0) + 2 * EDGE
    width = max(2 * EDGE + cells * CELL + (cells - 1) * GAP, head, below)
    top = (19 if is_op else 29) + GAP
    return round(width), top + ROW * len(facts) + (LOW + 12 if is_number else TALL + 27)


def label(rows: Sequence[str]) -> tuple[int, int]:
    """The width and height of the words on an arrow."""
    longest = max((min(len(row), LONG_CODE) for row in rows), default=0)
    return (round(21.7 + 7.3 * longest), 6 + 16 * len(rows)) if rows else (0, 0)
