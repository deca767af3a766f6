"""A graph as what a picture shows: cards, arrows and a title, as plain data without a renderer."""

from __future__ import annotations

import dataclasses
import functools
from contextvars import Context

import numpy as np

from ..engine.tensor import Tensor
from ..program.formulas import formula
from ..program.given_names import Names
from .arrows import Arrow, arrows_of
from .cards import Card, cards_of
from .folds import Folds, no_folds, shown_cards
from .gradients import Gradients, gradients_of
from .graph import Graph, graph_of
from .repetitions import find_folds
from .words import BETWEEN, plural

AUTO_FOLD, MOST_CARDS = 60, 1000
KEY_TO_ARROWS = (
    "purple arrow = gradient sent to that operand; g = gradient of the node it leaves; "
    "thicker = larger; dotted = none"
)


@dataclasses.dataclass
class Scene:
    """A whole picture.

    `cards`: with inputs before what is computed from them, the last one being the result. `view`:
    forward, backward or both.
    """

    title: str
    subtitle: list[str]
    cards: list[Card]
    arrows: list[Arrow]
    view: str

    @functools.cached_property
    def by_id(self) -> dict[str, Card]:
        """id -> card."""
        return {card.id: card for card in self.cards}


def scene(
    tensor: Tensor,
    view: str,
    names: Names,
    values: bool,
    fold: bool | str,
    depth: int | None,
) -> Scene:
    """What a picture of `tensor` shows; the arguments are those of `draw`."""
    check_arguments(tensor, view, fold, depth)

    @np.errstate(all="ignore")
    def drawn() -> Scene:
        return scene_of(graph_of(tensor, names, depth), view, names, values, fold, depth)

    # Outside of every `with`: no detect_anomaly() stops a picture of what it has found.
    return Context().run(drawn)


def check_arguments(tensor: Tensor, view: str, fold: bool | str, depth: int | None) -> None:
    """TypeError or ValueError for what cannot be drawn."""
    if not isinstance(tensor, Tensor):
        kind = type(tensor).__name__
        raise TypeError(f"draw takes a Tensor, the result to be drawn, not {kind}")
    if view not in ("forward", "backward", "both"):
        raise ValueError(f'view is "forward", "backward" or "both", not {view!r}')
    if depth is not None and depth < 1:
        raise ValueError(
            f"depth is how many steps back from the result are drawn, at least 1, not {depth}"
        )
    if fold not in (True, False, "auto"):
        raise ValueError(f'fold is True, False or "auto", not {fold!r}')


def scene_of(
    graph: Graph, view: str, names: Names, values: bool, fold: bool | str, depth: int | None
) -> Scene:
    """Everything together, folded where it is asked for, or too long otherwise."""
    gradients = gradients_of(graph, view)
    cards = cards_of(graph, gradients, view, values)
    is_long = len(cards) > AUTO_FOLD
    folding = is_long if fold == "auto" else bool(fold)
    folds = find_folds(graph, cards) if folding else no_folds(graph, cards)
    shown = shown_cards(folds)
    if len(shown) > MOST_CARDS and depth is None:
        raise ValueError(
            f"a picture with {len(shown):,} cards cannot be read: draw(..., depth=20) draws the "
            f"last 20 steps, and what is computed under `with scope('block[0]'):`, "
            f"`with scope('block[1]'):`, ... is folded"
        )
    subtitle = counts(graph, gradients, depth) + fold_lines(folds)
    if view != "forward":
        subtitle.append(KEY_TO_ARROWS)
    arrows = arrows_of(folds, gradients, view, names)
    return Scene(title_of(graph, names), subtitle, shown, arrows, view)


def title_of(graph: Graph, names: Names) -> str:
    """The formula of the whole."""
    name = graph.names[graph.root]
    if graph.root.op is None:
        return name or "a leaf"
    text = formula(graph.root, names)
    return f"{name} = {text}" if name else text


def counts(graph: Graph, gradients: Gradients, depth: int | None) -> list[str]:
    """How much there is, what is known of its gradients, and what is not shown."""
    facts = [plural(len(graph.every), "node")]
    if graph.parameters:
        size = sum(t.size for t in graph.parameters)
        facts.append(f"{plural(len(graph.parameters), 'parameter')}, {plural(size, 'value')}")
    facts += sorted({str(t.dtype) for t in graph.tensors if t.dtype.kind == "f"})
    lines = [BETWEEN.join([*facts, gradients.said])]
    if gradients.failed:
        lines.append(gradients.failed)
    left_out = len(graph.every) - len(graph.tensors)
    if left_out:
        back = plural(depth or 0, "step")
        lines.append(f"{plural(left_out, 'node')} further back than {back} left out")
    return lines


def fold_lines(folds: Folds) -> list[str]:
    """How many blocks are folded."""
    many = sum(len(fold.blocks) for fold in folds.found)
    if not many:
        return []
    return [f"{plural(many, 'repeated block')} folded; draw(..., fold=False) shows all"]
