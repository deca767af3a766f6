"""How large the cards of a page and the words on its arrows are, before anybody lays them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LETTER, SMALL = 7.8, 6.7  # the width of a letter of a name, and of all others
CELL, TALL, LOW = 84, 38, 22  # a picture of an array, and a single number
EDGE, GAP, ROW = 10, 8, 13
NUMBERS = ("()", "(1,)", "(1, 1)")  # shapes of what is one number
LONG_NAME, LONG_FACT, LONG_CODE = 28, 44, 60  # letters that are shown


def box(card: Mapping[str, Any]) -> tuple[int, int]:
    """The width and height of a card of a page: its words above its cells, value and gradient."""
    is_number, is_op = card["shape"] in NUMBERS, card["kind"] == "op"
    glyph = card["glyph"] if is_op else ""
    is_said = glyph == card["op"] or (not is_op and card["kind"] != "output")
    head = LETTER * (len(card["name"][:LONG_NAME]) + len(glyph[:LONG_NAME]))
    head += SMALL * (0 if is_said else len(card["op"][:LONG_NAME]))
    head += SMALL * (0 if card["shape"] == "()" else len(card["shape"])) + 2 * EDGE + 3 * GAP
    facts = [len(fact[:LONG_FACT]) for fact in card["facts"]]
    cells = sum(card[kind] is not None for kind in "vg")
    width = max(
        2 * EDGE + cells * (CELL + GAP) - GAP, head, SMALL * max(facts, default=0) + 2 * EDGE
    )
    height = (19 if is_op else 29) + GAP + ROW * len(facts)
    height += (LOW + 12 if is_number else TALL + 27) if cells else 0
    return round(width), height


def label(rows: Sequence[str]) -> tuple[int, int]:
    """The width and height of the words on an arrow."""
    longest = max((min(len(row), LONG_CODE) for row in rows), default=0)
    return (round(21.7 + 7.3 * longest), 6 + 16 * len(rows)) if rows else (0, 0)
