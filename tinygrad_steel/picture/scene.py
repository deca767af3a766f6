"""A graph as what a picture shows: cards, arrows and a title, as plain data without a renderer."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from contextvars import Context

import numpy as np

from ..engine.tensor import Tensor
from ..program.called import Called, is_number
from ..program.formulas import formula_in_picture
from ..program.given_names import Names
from .arrows import Arrow, arrows_of
from .cards import Card, cards_of
from .folds import Folds, no_folds, shown_cards
from .gradients import Gradients, gradients_of
from .graph import Graph, graph_of
from .repetitions import find_folds
from .verdicts import Mark, Report, marks_of, said_of
from .words import BETWEEN, plural

AUTO_FOLD, MOST_CARDS = 60, 1000


@dataclasses.dataclass
class Scene:
    """A whole picture.

    `cards`: with inputs before what is computed from them, the last one being the result. `view`:
    forward, backward or both. `g`: what the incoming gradient is called on arrows; empty where
    there is none.
    """

    title: str
    subtitle: list[str]
    cards: list[Card]
    arrows: list[Arrow]
    view: str
    g: str = ""

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
    report: Report | None = None,
) -> Scene:
    """What a picture of `tensor` shows; the arguments are those of `draw`."""
    check_arguments(tensor, view, fold, depth)

    @np.errstate(all="ignore")
    def drawn() -> Scene:
        graph = graph_of(tensor, names, depth)
        return scene_of(graph, view, names, values, fold, depth, report)

    # Outside of every `with`: no detect_anomaly() stops a picture of what it has found.
    return Context().run(drawn)


def check_arguments(tensor: Tensor, view: str, fold: bool | str, depth: int | None) -> None:
    """TypeError or ValueError for what cannot be drawn."""
    if not isinstance(tensor, Tensor):
        kind = type(tensor).__name__
        raise TypeError(f"draw takes a Tensor, the result to be drawn, not {kind}")
    if view not in ("forward", "backward", "both"):
        raise ValueError(f'view is "forward", "backward" or "both", not {view!r}')
    if depth is not None and not (isinstance(depth, int | np.integer) and depth >= 1):
        raise ValueError(
            f"depth is how many steps back from the result are drawn, at least 1, not {depth!r}"
        )
    if fold not in (True, False, "auto"):
        raise ValueError(f'fold is True, False or "auto", not {fold!r}')


def scene_of(
    graph: Graph,
    view: str,
    names: Names,
    values: bool,
    fold: bool | str,
    depth: int | None,
    report: Report | None,
) -> Scene:
    """Everything together, folded where it is asked for, or too long otherwise."""
    gradients = gradients_of(graph, view)
    cards = cards_of(graph, gradients, view, values)
    if report is not None:
        cards = marked(cards, marks_of(graph, report))
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
    called = Called(graph.root, names)
    arrows = arrows_of(folds, gradients, view, called)
    title = title_of(folds, called)
    subtitle = counts(graph, gradients, depth) + fold_lines(folds) + advice(graph)
    subtitle += [] if report is None else said_of(report)
    g = called.g if view != "forward" else ""
    return Scene(title, subtitle, with_names(shown, folds, called), arrows, view, g)


def marked(cards: dict[Tensor, Card], marks: Mapping[Tensor, Mark]) -> dict[Tensor, Card]:
    """The cards with the marks of those that have one."""
    return {t: dataclasses.replace(card, mark=marks.get(t)) for t, card in cards.items()}


def title_of(folds: Folds, called: Called) -> str:
    """The formula of the whole; in place of what is too long the name on its card, if it has one."""
    root = folds.graph.root
    if root.op is None:
        return folds.graph.names[root] or "a leaf"
    text = formula_in_picture(root, called, lambda t: t in folds.shown and t not in folds.folded)
    name = called.own_name(root) or called.said.get(root)
    return f"{name} = {text}" if name else text


def with_names(shown: list[Card], folds: Folds, called: Called) -> list[Card]:
    """The cards with what formulas call them, and a fold with what they call its results."""
    names: dict[str, list[str]] = {}
    renamed: dict[str, str] = {}
    for t, name in {**called.own, **called.said}.items():
        id = folds.shown.get(t, "")
        if t not in folds.folded and nobody_has_named(t, folds.graph):
            renamed[id] = name
        elif id and needs_telling(t, name, folds, called):
            names.setdefault(id, []).append(name)
    return [
        dataclasses.replace(
            card, name=renamed.get(card.id, card.name), called=", ".join(names.get(card.id, []))
        )
        for card in shown
    ]


def nobody_has_named(t: Tensor, graph: Graph) -> bool:
    """Whether its name comes from us: `output`, or `mask` for what dropout draws."""
    if t.op is not None and t.op.draws:
        return True
    return t is graph.root and t.op is not None and not graph.names[t]


def needs_telling(t: Tensor, name: str, folds: Folds, called: Called) -> bool:
    """Whether a card is to say what formulas call its Tensor: numbers are called by their value."""
    if t in folds.folded:
        return t in called.said
    if is_number(t) and t not in called.own:
        return False
    return name != folds.graph.names[t]


def counts(graph: Graph, gradients: Gradients, depth: int | None) -> list[str]:
    """How much there is, what is known of its gradients, and what is not shown."""
    facts = [plural(len(graph.every), "node")]
    if graph.parameters:
        size = sum(t.size for t in graph.parameters)
        facts.append(f"{plural(len(graph.parameters), 'parameter')}, {plural(size, 'number')}")
    facts += sorted({str(t.dtype) for t in graph.tensors if t.dtype.kind == "f"})
    lines = [BETWEEN.join([*facts, gradients.said])]
    if gradients.failed:
        lines.append(gradients.failed)
    left_out = len(graph.every) - len(graph.tensors)
    if left_out:
        back = plural(depth or 0, "step")
        lines.append(f"{plural(left_out, 'node')} further back than {back} left out")
    return lines


def advice(graph: Graph, call: str = "draw") -> list[str]:
    """What to write so that the picture says more; `call`: the function that makes it."""
    lines = []
    if graph.root.op is None and not graph.root.requires_grad:
        lines.append("a result is recorded where an input has requires_grad=True")
    if not any(graph.names.values()):
        lines.append(f'for names: Tensor(..., name="x"), or {call}(..., names=locals())')
    return lines


def fold_lines(folds: Folds, call: str = "draw") -> list[str]:
    """How many blocks are folded; `call`: the function that makes the picture."""
    many = sum(len(fold.blocks) for fold in folds.found)
    if not many:
        return []
    return [f"{plural(many, 'repeated block')} folded; {call}(..., fold=False) shows all"]
