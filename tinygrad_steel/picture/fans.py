"""Many data that all go into the same folded blocks, gathered on one card instead of a wide fan."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from ..engine.tensor import Tensor
from .arrows import Arrow
from .cards import Card
from .folds import Folds, shown_inputs
from .scene import Scene
from .words import plural

MOST = 4  # cards that may stand side by side above a fold
DATA = ("input", "target", "constant")


def gathered(scene: Scene) -> Scene:
    """The scene in which data of folds, alike but for a number in their name, stand on one card."""
    users: dict[str, set[str]] = {card.id: set() for card in scene.cards}
    for arrow in scene.arrows:
        users[arrow.tail].add(arrow.head)
    stands_for: dict[str, Card] = {}  # id of a card -> the one on which it is gathered
    for cards in many_alike(scene.cards, users):
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


def many_alike(cards: Sequence[Card], users: Mapping[str, Collection[str]]) -> list[list[Card]]:
    """The data of folds, alike but for a number in their name, where there are many of them.

    `users`: the ids of the cards that each goes into.
    """
    folds = {card.id for card in cards if card.kind == "fold"}
    alike: dict[object, list[Card]] = {}
    for card in cards:
        heads = {*users[card.id]}
        if card.kind in DATA and heads and heads <= folds:
            stem = card.name.rstrip("0123456789")
            key = (card.kind, stem, card.shape, card.scope, *sorted(heads))
            alike.setdefault(key, []).append(card)
    return [found for found in alike.values() if len(found) > MOST]


def gathered_in(
    folds: Folds, cards: list[Card]
) -> tuple[Folds, list[Card], dict[str, list[Tensor]]]:
    """The same for cards that are shown before there are arrows: and what stands on each such card."""
    users: dict[str, list[str]] = {card.id: [] for card in cards}
    for head, tails in shown_inputs(folds.graph, folds.shown).items():
        for tail in tails:
            users[tail].append(head)
    tensors = {id: t for t, id in folds.shown.items()}
    gathered: dict[str, list[Tensor]] = {}
    shown: dict[str, Card | None] = {card.id: card for card in cards}
    for found in many_alike(cards, users):
        alike = sorted(found, key=number_in_name)
        id = alike[0].id
        gathered[id] = [tensors[card.id] for card in alike]
        shown |= dict.fromkeys(card.id for card in alike)
        shown[id] = dataclasses.replace(one_card(alike), id=id, facts=[], count=len(alike))
    at = {t: id for id, each in gathered.items() for t in each}
    folds = dataclasses.replace(folds, shown=folds.shown | at)
    return folds, [card for card in shown.values() if card is not None], gathered


def number_in_name(card: Card) -> int:
    """The 12 of `x12`, by which cards that are alike follow each other."""
    digits = card.name[len(card.name.rstrip("0123456789")) :]
    return int(digits or 0)


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
