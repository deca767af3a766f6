"""A long picture from left to right in rows, as lines of text are: where it is cut."""

from __future__ import annotations

import collections
import math

from .graph import LEAVES
from .scene import Scene

WIDE = 16 / 9
SHORT = 700  # points; what is no wider needs no second row
PITCH = {"forward": 170, "backward": 270, "both": 270}  # points from a level to the next, as a rule
HEIGHT = 65  # points that a card takes, as a rule


def rows_of(scene: Scene, levels: dict[str, int]) -> dict[str, int]:
    """The row of each card; all in the first where that is not too wide."""
    count = row_count(scene, levels)
    cuts = cuts_between(scene, levels, count)
    rows = {id: sum(level > cut for cut in cuts) for id, level in levels.items()}
    for card in reversed(scene.cards):  # what only goes into later rows stands there
        users = [rows[arrow.head] for arrow in scene.arrows if arrow.tail == card.id]
        is_leaf = not any(arrow.head == card.id for arrow in scene.arrows)
        if is_leaf and users:
            rows[card.id] = min(users)
    return rows


def row_count(scene: Scene, levels: dict[str, int]) -> int:
    """How many rows make the picture no wider than a slide."""
    width = max(levels.values()) * PITCH[scene.view]
    height = max(collections.Counter(levels.values()).values()) * HEIGHT
    if width <= max(SHORT, WIDE * height):
        return 1
    return math.ceil(math.sqrt(width / (WIDE * height)))


def cuts_between(scene: Scene, levels: dict[str, int], count: int) -> list[int]:
    """The last level of each row but the last: near to even, where few arrows and scopes are cut."""
    long = max(levels.values()) / count
    cuts = []
    for row in range(1, count):
        even = round(row * long)
        choice = range(max(1, even - round(long / 4)), even + round(long / 4) + 1)
        cuts.append(min(choice, key=lambda cut: (crossing(scene, levels, cut), abs(cut - even))))
    return cuts


def crossing(scene: Scene, levels: dict[str, int], cut: int) -> int:
    """How many results go past a level, those without a name twice, and how many scopes."""
    results = [card for card in scene.cards if card.kind not in LEAVES]
    before = [card for card in results if levels[card.id] <= cut]
    lasting = {arrow.tail for arrow in scene.arrows if levels[arrow.head] > cut}
    values = sum(1 if card.name else 2 for card in before if card.id in lasting)
    scopes = {card.scope for card in before} & {c.scope for c in results if levels[c.id] > cut}
    return values + len(scopes - {()})
