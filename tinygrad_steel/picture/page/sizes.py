"""How large things on a page are before anybody lays them out: guessed from the number of letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LETTER, SMALL = 7.8, 6.7  # the width of a letter of a card's name, and of all others on it
CELL, TALL, LOW = 84, 38, 22  # a picture of an array, and a single number
EDGE, GAP, ROW = 10, 8, 13
NUMBERS = ("()", "(1,)", "(1, 1)")  # shapes of what is one number
LONG_NAME, LONG_FACT, LONG_CODE, LONG_SCOPE = 28, 44, 60, 40  # letters that are shown
CLOSED = (400, 60)  # width and height of a closed scope


def card_size(card: Mapping[str, Any]) -> tuple[int, int]:
    """The width and height of a card: its words above its cells, value and gradient."""
    is_number = card["shape"] in NUMBERS
    cells = sum(card[kind] is not None for kind in "vg")
    facts = [len(fact[:LONG_FACT]) for fact in card["facts"]]
    inner = max(
        cells * (CELL + GAP) - GAP, heading_width(card) + 3 * GAP, SMALL * max(facts, default=0)
    )
    height = (19 if card["kind"] == "op" else 29) + GAP + ROW * len(facts)
    if cells:
        height += LOW + 12 if is_number else TALL + 27
    return round(inner + 2 * EDGE), height


def heading_width(card: Mapping[str, Any]) -> float:
    """The width of a card's name, glyph, op and shape."""
    is_op = card["kind"] == "op"
    glyph = card["glyph"] if is_op else ""
    has_words = glyph != card["op"] if is_op else card["kind"] == "output"
    large = card["name"][:LONG_NAME] + glyph[:LONG_NAME]
    small = card["op"][:LONG_NAME] if has_words else ""
    small += "" if card["shape"] == "()" else card["shape"]
    return LETTER * len(large) + SMALL * len(small)


def label_size(rows: Sequence[str]) -> tuple[int, int]:
    """The width and height of the words on an arrow."""
    longest = max((min(len(row), LONG_CODE) for row in rows), default=0)
    return (round(21.7 + 7.3 * longest), 6 + 16 * len(rows)) if rows else (0, 0)


def scope_width(name: str) -> float:
    """How wide the frame of a scope is, at least, with its name above it."""
    return 34 + 6.6 * min(len(name), LONG_SCOPE)
