"""Many data that all go into the same folded blocks, gathered on one card instead of a wide fan."""

from __future__ import annotations

import dataclasses

from .arrows import Arrow
from .cards import Card
from .scene import Scene
from .words import plural

MOST = 4  # cards that may stand side by side above a fold
DATA = ("input", "target", "constant")


def gathered(scene: Scene) -> Scene:
    """The scene in which data of folds, alike but for a number in their name, stand on one card."""
    users: dict[str, set[str]] = {card.id: set() for card in scene.cards}
    for arrow in scene.arrows:
        users[arrow.tail].add(arrow.head)
    alike: dict[object, list[Card]] = {}
    for card in scene.cards:
        heads = users[card.id]
        if card.kind in DATA and heads and all(scene.by_id[y].kind == "fold" for y in heads):
            stem = card.name.rstrip("0123456789")
            key = (card.kind, stem, card.shape, card.scope, *sorted(heads))
            alike.setdefault(key, []).append(card)
    stands_for: dict[str, Card] = {}  # id of a card -> the one on which it is gathered
    for cards in alike.values():
        if len(cards) > MOST:
            stands_for |= dict.fromkeys((card.id for card in cards), one_card(cards))
    cards = [stands_for.get(card.id, card) for card in scene.cards]
    arrows: dict[object, Arrow] = {}  # one for all that lead from a gathered card to a fold
    for i, arrow in enumerate(scene.arrows):
        one = stands_for.get(arrow.tail)
        if one is None:
            arrows[i] = arrow
        else:
            arrows.setdefault((one.id, arrow.head), dataclasses.replace(arrow, tail=one.id))
    shown = {card.id: card for card in cards}
    return dataclasses.replace(scene, cards=[*shown.values()], arrows=[*arrows.values()])


def one_card(cards: list[Card]) -> Card:
    """A card for several, with the first names and the last."""
    names = [card.name or card.value or str(card.shape) for card in cards]
    return dataclasses.replace(
        cards[0],
        id=f"{cards[0].id}_all",
        name=f"{names[0]}, {names[1]}, ..., {names[-1]}",
        value="",
        facts=[plural(len(cards), cards[0].kind)],
        tooltip="\n".join(names),
        spine=any(card.spine for card in cards),
    )
