"""Biases: what stands beside the product it is added to."""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol


class Placeable(Protocol):
    """What is read of a card here."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def op(self) -> str: ...


class Linked(Protocol):
    """What is read of an arrow here."""

    @property
    def tail(self) -> str: ...
    @property
    def head(self) -> str: ...
    @property
    def spine(self) -> bool: ...


def biases_beside(
    cards: Iterable[Placeable], chips: Collection[str], arrows: Sequence[Linked]
) -> Iterator[tuple[str, str]]:
    """Pairs of cards, or chips, of one scope that stand beside each other, from left to right.

    A bias stands beside the product it is added to, if nothing else needs it; to the left where it
    is the first input, so that no arrow leads round the product. Where one of them is in another
    scope, that would be torn apart; where two sums share the bias, their products would come to
    stand beside each other, and arrows lead up.
    """
    here = {card.id: card for card in cards}
    biases = {card.id for card in here.values() if card.kind in ("parameter", "constant")}
    biases |= {*chips}
    uses = collections.Counter(arrow.tail for arrow in arrows)
    before = {arrow.head: arrow.tail for arrow in arrows if arrow.spine}
    met = set()  # those whose arrow from the spine was among the arrows already
    for arrow in arrows:
        if arrow.spine:
            met.add(arrow.head)
        product = before.get(arrow.head)
        is_bias = arrow.tail in biases and uses[arrow.tail] == 1 and arrow.head in here
        if is_bias and product in here and here[product].op:
            yield (product, arrow.tail) if arrow.head in met else (arrow.tail, product)
