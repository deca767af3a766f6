"""What is known of a graph before its page is told: what is shown, traced, written and called how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ...engine.tensor import Tensor
from ...program.called import Called, SourceNames
from ...program.formulas import bare
from ...program.given_names import Names
from ...program.trace import Traced
from ...program.values import Value
from ..arrows import Use, uses_by_arrow
from ..cards import Card, cards_of
from ..fans import gathered_in
from ..folds import Folds, no_folds, shown_cards
from ..gradients import Gradients
from ..graph import Graph, graph_of
from ..repetitions import find_folds
from ..scene import AUTO_FOLD
from .equations import Equations
from .numbers import Arrays
from .sources import Place, Source, is_named, places_of, source_of
from .tracing import Followed, follow, gradients_on_cards

MOST_CARDS = 500


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """A graph and all tables beside it.

    `shown`: the cards, inputs first. `tensors`: the Tensor of each, of a fold its result.
    `gathered`: all of those on a card of many. `uses`: those for which each arrow stands. `spine`:
    the steps from the data to the result. `refs`: value -> the card that shows it, gradients as
    `g:n4`.
    """

    graph: Graph
    followed: Followed
    gradients: Gradients
    folds: Folds
    shown: list[Card]
    tensors: Mapping[str, Tensor]
    gathered: Mapping[str, list[Tensor]]
    uses: Mapping[str, list[Use]]
    spine: frozenset[tuple[Tensor, Tensor]]
    source: Source
    places: Mapping[Value, Place]
    called: Called
    equations: Equations
    arrays: Arrays
    refs: Mapping[Value, str]

    @property
    def traced(self) -> Traced:
        """The graph as a Program."""
        return self.followed.traced

    def ends(self, id: str) -> tuple[str, str]:
        """From which card to which an arrow leads."""
        use = self.uses[id][0]
        return self.folds.shown[use.x], self.folds.shown[use.y]

    def is_folded(self, id: str) -> bool:
        """Whether an arrow leads from or to a fold."""
        return any(t in self.folds.folded for t in (self.uses[id][0].x, self.uses[id][0].y))

    def sent(self, id: str) -> dict[Use, Value]:
        """What goes back along an arrow, use by use."""
        found = {use: self.followed.sent.get((use.y, use.place)) for use in self.uses[id]}
        return {use: g for use, g in found.items() if g is not None}


def know(
    tensor: Tensor, names: Names, fold: bool | str, depth: int | None, traced: Traced | None
) -> Known:
    """Everything about a Tensor."""
    graph = graph_of(tensor, names, depth)
    followed = follow(graph, names, traced)
    gradients = gradients_on_cards(graph, followed)
    cards = cards_of(graph, gradients, "both", False)
    folding = len(cards) > AUTO_FOLD if fold == "auto" else bool(fold)
    folds = (find_folds if folding else no_folds)(graph, cards)
    folds, shown, gathered = gathered_in(folds, shown_cards(folds))
    check_size(shown, depth)
    tensors = {card.id: t for t, card in cards.items()}
    tensors |= {found.id: found.blocks[-1][-1] for found in folds.found}
    source = source_of(followed.traced, names)
    uses = uses_by_arrow(folds, gradients, "both")
    return Known(
        graph,
        followed,
        gradients,
        folds,
        shown,
        tensors,
        gathered,
        uses={f"a{i}": each for i, each in enumerate(uses)},
        spine=frozenset(graph.steps),
        source=source,
        places=places_of(source, followed.traced),
        called=Called(tensor, names, source_names(source, followed.traced)),
        equations=Equations(followed.traced, followed.numbers, source.texts),
        arrays=Arrays(followed.numbers),
        refs=references({card.id: tensors[card.id] for card in shown}, followed, source)
        | {followed.traced.made[t]: id for id, each in gathered.items() for t in each},
    )


def check_size(shown: list[Card], depth: int | None) -> None:
    """ValueError for what no page can show."""
    if len(shown) > MOST_CARDS and depth is None:
        raise ValueError(
            f"a page with {len(shown):,} cards cannot be read: explore(..., depth=20) shows the "
            f"last 20 steps, and what is computed under `with scope('block[0]'):`, "
            f"`with scope('block[1]'):`, ... is folded"
        )


def source_names(source: Source, traced: Traced) -> SourceNames:
    """What the source calls Tensors."""
    found = {x: text.text for x, text in source.texts.items() if is_named(text)}
    tensors = {t: found[x] for t, x in traced.made.items() if x in found}
    return SourceNames(tensors, {*found.values()})


def references(
    tensors: Mapping[str, Tensor], followed: Followed, source: Source
) -> dict[Value, str]:
    """Value -> the card that shows it; of a gradient the card of which it is one.

    Where several cards have the same gradient, it is that of the one by which the source calls it.
    """
    found: dict[Value, str] = {}
    for id, t in tensors.items():
        found.setdefault(followed.traced.made[t], id)
    order = sorted(tensors, key=lambda id: not names_gradient(tensors[id], followed, source))
    gradients = {id: g for id in order if (g := followed.gradient(tensors[id])) is not None}
    for id, g in gradients.items():
        found.setdefault(g, f"g:{id}")
    for id, g in gradients.items():  # the source says it without what NumPy does by itself
        found.setdefault(bare(g), f"g:{id}")
    return found


def names_gradient(t: Tensor, followed: Followed, source: Source) -> bool:
    """Whether the source calls the gradient of a Tensor by its name, as `G_z`."""
    own, g = source.texts.get(followed.traced.made[t]), followed.gradient(t)
    said = None if g is None else source.texts.get(g)
    return own is not None and said is not None and said.text == f"G_{own.text}"
