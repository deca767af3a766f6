"""Chips: a card that is used far below where it stands shows its name there, instead of a long arrow."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator

from .arrows import Arrow
from .cards import Card
from .graph import LEAVES
from .rows import rows_of
from .scene import Scene
from .scope import Path, common
from .words import plural

NEAR = 2  # levels over which an arrow to a second use is easily followed
SKIP = 12  # levels over which one is drawn that shows how data or a result skips others


@dataclasses.dataclass(frozen=True)
class Chip:
    """A card's name, where the card is used once more. `scope`: that of those that use it here."""

    id: str
    card: Card
    scope: Path


@dataclasses.dataclass(frozen=True)
class Placed:
    """What the renderer places: cards, chips, and arrows that come from the nearest of both.

    `rows`: the row of each card and chip, from the top.
    """

    cards: list[Card]
    chips: list[Chip]
    arrows: list[Arrow]
    rows: dict[str, int]

    @functools.cached_property
    def starts(self) -> dict[str, Card | Chip]:
        """id -> card or chip."""
        cards: dict[str, Card | Chip] = {card.id: card for card in self.cards}
        return cards | {chip.id: chip for chip in self.chips}

    def row(self, row: int) -> Placed:
        """What stands in one row."""
        cards = [card for card in self.cards if self.rows[card.id] == row]
        chips = [chip for chip in self.chips if self.rows[chip.id] == row]
        arrows = [arrow for arrow in self.arrows if self.rows[arrow.head] == row]
        return Placed(cards, chips, arrows, self.rows)


def placed(scene: Scene, in_rows: bool) -> Placed:
    """A scene with chips where arrows would be long, and the number of uses on their cards."""
    chips: list[Chip] = []
    starts: dict[tuple[str, str], str] = {}  # (tail, head) of an arrow -> the chip it comes from
    uses: dict[str, list[str]] = {card.id: [] for card in scene.cards}
    for arrow in scene.arrows:
        uses[arrow.tail].append(arrow.head)
    levels = levels_of(scene)
    rows = rows_of(scene, levels) if in_rows else dict.fromkeys(levels, 0)
    cards = []
    for card in scene.cards:
        far = [*far_uses(card, uses[card.id], levels, rows)]
        for i, group in enumerate(far, 1):
            scope = common(scene.by_id[head].scope for head in group)
            chips.append(Chip(f"{card.id}_{i}", card, scope))
            starts |= {(card.id, head): chips[-1].id for head in group}
            rows[chips[-1].id] = rows[group[0]]
        cards.append(with_uses(card, len(uses[card.id])) if far else card)
    arrows = [
        dataclasses.replace(arrow, tail=starts.get((arrow.tail, arrow.head), arrow.tail))
        for arrow in scene.arrows
    ]
    return Placed(cards, chips, arrows, rows)


def with_uses(card: Card, count: int) -> Card:
    """A card that says how often it is used, if more than once."""
    if count == 1:
        return card
    return dataclasses.replace(card, facts=[*card.facts, plural(count, "use")])


def far_uses(
    card: Card, heads: Iterable[str], levels: dict[str, int], rows: dict[str, int]
) -> Iterator[list[str]]:
    """Those that use a card far below its first use or in another row, near ones together."""
    ordered = sorted({*heads}, key=levels.__getitem__)
    yield from far_in_a_row(card, [y for y in ordered if rows[y] == rows[card.id]], levels)
    for row in sorted({rows[y] for y in ordered} - {rows[card.id]}):
        yield from near_each_other([y for y in ordered if rows[y] == row], levels)


def far_in_a_row(card: Card, heads: list[str], levels: dict[str, int]) -> list[list[str]]:
    """Those in the row of a card that are far below its first use."""
    groups = [*near_each_other(heads, levels)]
    if card.kind in ("parameter", "constant"):
        return groups[1:]
    if card.kind not in LEAVES and not card.name:
        return []  # nothing could be said on a chip
    is_skip = card.kind not in LEAVES or len(groups) == 2
    reach = SKIP if is_skip else NEAR
    return [group for group in groups[1:] if levels[group[0]] - levels[groups[0][0]] > reach]


def near_each_other(heads: list[str], levels: dict[str, int]) -> Iterator[list[str]]:
    """Cards, the higher ones first, in groups of few levels."""
    group: list[str] = []
    for head in heads:
        if group and levels[head] - levels[group[0]] > NEAR:
            yield group
            group = []
        group.append(head)
    if group:
        yield group


def levels_of(scene: Scene) -> dict[str, int]:
    """How far down each result stands: below its inputs, and right above what it alone goes into.

    The second is what the renderer does with `x @ U` in a recurrence, whose inputs are all leaves.
    """
    inputs: dict[str, list[str]] = {card.id: [] for card in scene.cards}
    users: dict[str, list[str]] = {card.id: [] for card in scene.cards}
    for arrow in scene.arrows:
        users[arrow.tail].append(arrow.head)
        if scene.by_id[arrow.tail].kind not in LEAVES:
            inputs[arrow.head].append(arrow.tail)
    levels: dict[str, int] = {}
    is_aside: dict[str, bool] = {}  # whether all from which it is computed serves it alone
    for card in scene.cards:
        levels[card.id] = 1 + max((levels[x] for x in inputs[card.id]), default=0)
        is_aside[card.id] = all(is_aside[x] and len({*users[x]}) == 1 for x in inputs[card.id])
    for card in reversed(scene.cards):
        if is_aside[card.id] and users[card.id]:
            levels[card.id] = min(levels[y] for y in users[card.id]) - 1
    return levels
