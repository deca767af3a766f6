"""Folds: blocks of equal structure that are shown as one card."""

from __future__ import annotations

import dataclasses
import graphlib
import itertools
import math
from collections.abc import Mapping

import numpy as np

from ..engine.tensor import Tensor
from ..program.blocks import block_formulas, names_of_states
from .cards import Card
from .graph import Graph, inputs_first, inputs_of
from .scope import common
from .verdicts import together
from .words import BETWEEN, plural

Block = list[Tensor]


@dataclasses.dataclass(frozen=True)
class Fold:
    """Blocks of equal structure that are shown as one card."""

    id: str
    name: str
    blocks: list[Block]


@dataclasses.dataclass(eq=False)
class Folds:
    """The folds of a graph. `shown`: for each Tensor the id of the card that stands for it."""

    graph: Graph
    cards: Mapping[Tensor, Card]
    shown: dict[Tensor, str]
    found: list[Fold] = dataclasses.field(default_factory=list)
    folded: set[Tensor] = dataclasses.field(default_factory=set)

    def add(self, name: str, blocks: list[Block]) -> None:
        """Show blocks as one card, unless arrows would then lead round in a circle."""
        fold = Fold(f"f{len(self.found)}", name, blocks)
        members = dict.fromkeys(itertools.chain(*blocks), fold.id)
        shown = self.shown | members
        try:
            graphlib.TopologicalSorter(shown_inputs(self.graph, shown)).prepare()
        except graphlib.CycleError:
            return
        self.shown = shown
        self.found.append(fold)
        self.folded |= members.keys()


def no_folds(graph: Graph, cards: Mapping[Tensor, Card]) -> Folds:
    """Every Tensor shown by its own card."""
    return Folds(graph, cards, {t: card.id for t, card in cards.items()})


def shown_inputs(graph: Graph, shown: Mapping[Tensor, str]) -> dict[str, list[str]]:
    """The ids of all that is shown, and from where arrows lead to each."""
    found: dict[str, list[str]] = {id: [] for id in shown.values()}
    for y in graph.tensors:
        found[shown[y]] += [shown[x] for x in graph.inputs[y] if shown[x] != shown[y]]
    return found


def shown_cards(folds: Folds) -> list[Card]:
    """The cards to show, inputs first."""
    by_id = {card.id: card for card in folds.cards.values()}
    names = {**folds.graph.names}
    for fold in folds.found:  # what one fold makes has the same name in another
        names |= names_of_states(fold.blocks, names)
    by_id |= {fold.id: fold_card(fold, folds, names) for fold in folds.found}
    inputs = shown_inputs(folds.graph, folds.shown)
    return [by_id[id] for id in inputs_first(folds.shown[folds.graph.root], inputs)]


# The card of a fold


def fold_card(fold: Fold, folds: Folds, names: Mapping[Tensor, str]) -> Card:
    """One card for equal blocks; `names`: what formulas call their values."""
    cards = folds.cards
    members = [cards[t] for block in fold.blocks for t in block]
    first = members[: len(fold.blocks[0])]
    parameters = [card for card in members if card.kind == "parameter"]
    facts = block_formulas(fold.blocks, names, folds.graph.users)
    facts.append(" -> ".join(shapes(fold)))
    if parameters:
        facts.append(describe_parameters(parameters))
    grad, note = gradient_of_fold(parameters or members)
    parts = ", ".join(card.op or card.name or card.kind for card in first)
    return Card(
        id=fold.id,
        kind="fold",
        name=fold.name,
        op="",
        shape=fold.blocks[-1][-1].shape,
        scope=common(card.scope for card in members),
        grad=grad,
        note=note,
        facts=facts,
        tooltip=f"{len(fold.blocks)} blocks, each: {parts}",
        spine=any(card.spine for card in first),
        count=len(fold.blocks),
        mark=together(card.mark for card in members),
    )


def gradient_of_fold(cards: list[Card]) -> tuple[float | None, str]:
    """The length of the largest gradient and where all lie between, or why there is none."""
    grads = [card.grad for card in cards if card.grad is not None]
    if not grads:
        return None, cards[0].note if cards[0].kind == "parameter" else ""
    low, high = f"{np.min(grads):.3g}", f"{np.max(grads):.3g}"
    return float(np.max(grads)), low if low == high else f"{low} to {high}"


def describe_parameters(parameters: list[Card]) -> str:
    """The names of parameters, or the first and last of many, and how many numbers they have."""
    names = [card.name for card in parameters if card.name]
    if len(names) > 4:
        names = [*names[:2], "...", *names[-2:]]
    size = plural(sum(math.prod(card.shape) for card in parameters), "number")
    return BETWEEN.join([", ".join(names), size]) if names else size


def shapes(fold: Fold) -> list[str]:
    """The shape that comes in, and those that the blocks make of it.

    Where they all make the same and stand side by side, so that none uses what the first has made,
    or get the same as well, it is said once.
    """
    before, result = main_input(fold.blocks), fold.blocks[0][-1]
    came = [] if before is None else [str(before.shape)]
    results = [str(block[-1].shape) for block in fold.blocks]
    in_a_row = not {*fold.blocks[0]}.isdisjoint(from_outside(fold.blocks[1]))
    if len({*results}) == 1 and (not in_a_row or came == [str(result.shape)]):
        results = results[:1]
    found = came + results
    return found if len(found) <= 5 else [*found[:2], "...", found[-1]]


def main_input(blocks: list[Block]) -> Tensor | None:
    """What the first block gets in place of the result of the one before, or first of all."""
    before, result = blocks[1], blocks[0][-1]
    for t, first in zip(before, blocks[0]):
        for x, came in zip(t.inputs, first.inputs):
            if x is result and isinstance(came, Tensor):
                return came
    return next(iter(from_outside(blocks[0])), None)


def from_outside(block: Block) -> list[Tensor]:
    """What a block gets from elsewhere, in order."""
    inside = {*block}
    return [x for t in block for x in inputs_of(t) if x not in inside]
