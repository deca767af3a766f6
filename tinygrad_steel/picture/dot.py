"""A scene as DOT, the language of graphviz."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import graphviz

from .arrows import Arrow
from .cards import Card
from .chips import Chip, Placed, placed
from .fans import gathered
from .labels import (
    BARS,
    Style,
    arrow_label,
    bar_count,
    card_label,
    chip_label,
    legend,
    title_label,
)
from .markup import escaped, markup, table, wrapped
from .scene import Scene
from .scope import Path
from .themes import SANS, SHAPES, Theme
from .words import printable

MANY = 150  # cards from which on the renderer may stop before a layout is as narrow as can be


@dataclasses.dataclass(frozen=True)
class Look:
    """What a picture looks like, whatever it shows; the fields are arguments of `draw`."""

    direction: str = "TB"
    legend: bool = True
    title: bool | str = True
    size: tuple[float, float] | None = None


def dot_source(scene: Scene, look: Look, colours: Theme) -> str:
    """The scene as DOT."""
    scene = gathered(scene)
    style = Style(colours)
    sideways = look.direction in ("LR", "RL")
    shown = placed(scene, in_rows=sideways)
    key = legend(scene, style, sideways, bool(shown.chips)) if look.legend else ""
    graph = graphviz.Digraph("steel", comment="tinygrad_steel draw()")
    title = title_label(scene, style, look.title, key if sideways else "")
    set_defaults(graph, look, title, colours)
    if len(scene.cards) > MANY:
        graph.attr(nslimit="2", nslimit1="2")
    add_rows(graph, shown, style)
    for arrow, moved in zip(scene.arrows, shown.arrows):
        add_arrow(graph, arrow, shown.starts[moved.tail], scene, style)
    if key and not sideways:
        graph.node("legend", label=f"<{key}>", shape="plain", style="", tooltip="legend")
        graph.edge(scene.cards[-1].id, "legend", style="invis", minlen="1", weight="0")
    return str(graph.source)


def set_defaults(graph: Any, look: Look, title: str, colours: Theme) -> None:
    """What holds for the whole picture, for every card and for every arrow."""
    text = {"fontcolor": colours["text"], "fontname": SANS, "fontsize": "11"}
    graph.attr(
        bgcolor=colours["background"],
        rankdir=look.direction,
        ordering="in",
        nodesep="0.32",
        ranksep="0.36",
        pad="0.25",
        splines="spline",
        outputorder="edgesfirst",
        newrank="true",
        labelloc="t",
        labeljust="l",
        label=title,
        tooltip=" ",
        **text,
    )
    if look.size:
        graph.attr(size=",".join(f"{inches:g}" for inches in look.size))
    graph.attr(
        "node",
        height="0.3",
        width="0.5",
        margin="0.10,0.06",
        penwidth="1.2",
        shape="box",
        style="filled",
        **text,
    )
    graph.attr(
        "edge",
        arrowhead="normal",
        arrowsize="0.65",
        color=colours["op"][1],
        fontcolor=colours["muted"],
        fontname=SANS,
        fontsize="9",
        penwidth="1.1",
    )


# Scopes and cards


def add_rows(graph: Any, shown: Placed, style: Style) -> None:
    """All cards and chips; where there are several rows, each in a band of its own."""
    count = 1 + max(shown.rows.values())
    if count == 1:
        add_scope(graph, (), shown, style)
        return
    for row in reversed(range(count)):  # sideways, the renderer puts the first one lowest
        with graph.subgraph(name=f"cluster_row_{row}") as band:
            band.attr(label="", peripheries="0", margin="6", tooltip=" ")
            add_scope(band, (), shown.row(row), style, f"{row}_")


def add_scope(graph: Any, path: Path, shown: Placed, style: Style, mark: str = "") -> None:
    """The cards and chips of a scope, and the scopes in it where their first card stands.

    `mark`: what tells the names of its clusters from those in other rows.
    """
    depth = len(path) + 1
    siblings = sorted({card.scope[:depth] for card in shown.cards if len(card.scope) >= depth})
    done = set()
    for card in shown.cards:
        inner = card.scope[:depth]
        if card.scope == path:
            add_card(graph, card, style)
        elif inner[:-1] == path and inner not in done:
            done.add(inner)
            with graph.subgraph(name=f"cluster_{mark}{depth}_{siblings.index(inner)}") as cluster:
                set_scope(cluster, inner, style)
                add_scope(cluster, inner, shown, style, mark)
    for chip in shown.chips:
        if chip.scope == path:
            add_chip(graph, chip, style)
    if not mark:  # in bands, the renderer cannot take edges within a rank
        put_biases_beside(graph, path, shown)


def set_scope(cluster: Any, path: Path, style: Style) -> None:
    """The frame of a scope and its name."""
    fill, line = style.colours["scope"]
    muted = style.colours["muted"]
    name = [markup(part, muted, 9, bold=True) for part in wrapped(path[-1], 60)]
    cluster.attr(
        label=table(name, 0),
        style="rounded,filled",
        peripheries="1",
        margin="12",
        color=line,
        fillcolor=fill,
        penwidth="1",
        labeljust="l",
        labelloc="t",
        tooltip=escaped(f"scope: {' / '.join(map(printable, path))}"),
    )


def put_biases_beside(graph: Any, path: Path, shown: Placed) -> None:
    """A bias stands beside the product it is added to, if nothing else needs it.

    It stands to the left where it is the first input, so that no arrow leads round the product.
    Where one of them is in another scope, that would be torn apart; where two sums share the bias,
    their products would come to stand beside each other, and arrows lead up.
    """
    cards = {card.id: card for card in shown.cards if card.scope == path}
    biases = [card.id for card in cards.values() if card.kind in ("parameter", "constant")]
    biases += [chip.id for chip in shown.chips if chip.scope == path]
    uses = collections.Counter(arrow.tail for arrow in shown.arrows)
    before = {arrow.head: arrow.tail for arrow in shown.arrows if arrow.spine}
    met = set()  # those whose arrow from the spine was among the arrows already
    for arrow in shown.arrows:
        if arrow.spine:
            met.add(arrow.head)
        product = before.get(arrow.head)
        is_bias = arrow.tail in biases and uses[arrow.tail] == 1 and arrow.head in cards
        if is_bias and product in cards and cards[product].op:
            with graph.subgraph() as same:
                same.attr(rank="same")
                beside = (product, arrow.tail) if arrow.head in met else (arrow.tail, product)
                same.edge(*beside, style="invis", minlen="1")


def add_card(graph: Any, card: Card, style: Style) -> None:
    """A card as a node."""
    fill, line = style.colours[card.kind]
    attributes = {
        "color": line,
        "fillcolor": fill,
        "class": f"steel-{card.kind}",
        "id": card.id,
        **SHAPES[card.kind],
    }
    if card.spine:
        attributes["group"] = "spine"
    if card.mark is not None and card.mark.status == "wrong":
        attributes["color"] = style.colours["wrong"]
        attributes["penwidth"] = "4" if card.mark.is_first else "2.2"
    tooltip = card_tooltip(card)
    graph.node(card.id, label=card_label(card, style), tooltip=escaped(tooltip), **attributes)


def card_tooltip(card: Card) -> str:
    """What is known of a card, and all that a report says of its gradient."""
    lines = [card.tooltip or card.op]
    if card.mark is not None:
        lines += [f"{card.mark.of} {card.mark.text}".strip(), card.mark.reason]
    return "\n".join(filter(None, lines))


def add_chip(graph: Any, chip: Chip, style: Style) -> None:
    """A chip as a small node in the colours of its card."""
    fill, line = style.colours[chip.card.kind]
    drawn = SHAPES[chip.card.kind]["style"]
    called = printable(chip.card.name or chip.card.op or chip.card.kind)
    graph.node(
        chip.id,
        label=chip_label(chip.card, style),
        tooltip=escaped(f"{called}, used here once more"),
        color=line,
        fillcolor=fill,
        id=chip.id,
        style=drawn,
        margin="0.06,0.02",
        height="0.2",
        width="0.2",
        penwidth="1",
        **{"class": f"steel-{chip.card.kind} steel-chip"},
    )


# Arrows


def add_arrow(graph: Any, arrow: Arrow, start: Card | Chip, scene: Scene, style: Style) -> None:
    """An arrow along the data, one of the gradient, or both; from its card or from a chip of it."""
    head = scene.by_id[arrow.head]
    attributes = {
        "class": "steel-edge",
        "color": style.colours["op"][1],
        "edgetooltip": arrow_tooltip(arrow, scene.by_id[arrow.tail], head),
    }
    if start.scope[: len(head.scope)] != head.scope:
        attributes["minlen"] = "2"  # into a scope: its first parameters need a rank of their own
    gradient = gradient_look(arrow, style) if arrow.flows else {}
    label = label_of(arrow, style)
    weight = {"weight": "20"} if arrow.spine else {}
    if gradient and scene.view == "both":
        # The data's arrow is straight, the gradient's is bent beside it.
        weight = {"weight": "60"} if arrow.spine else {}
        graph.edge(start.id, arrow.head, **attributes, **weight)
        weight = {"weight": "0"}
    elif scene.view == "backward" and not gradient:
        gradient = {"dir": "none", "style": "dotted", "color": style.colours["muted"]}
    graph.edge(start.id, arrow.head, **{**attributes, **gradient, **label, **weight})


def label_of(arrow: Arrow, style: Style) -> dict[str, str]:
    """What an arrow says, if anything."""
    label = arrow_label(arrow, style)
    tooltip = escaped(arrow.code or arrow.broadcast)
    return {"label": label, "labeltooltip": tooltip} if label else {}


def gradient_look(arrow: Arrow, style: Style) -> dict[str, str]:
    """How the arrow of a gradient looks: thicker for a larger one."""
    width = 1.1 + 1.9 * bar_count(arrow.size or 0) / BARS
    purple = style.colours["gradient"]
    return {"dir": "back", "arrowtail": "normal", "penwidth": f"{width:.1f}", "color": purple}


def arrow_tooltip(arrow: Arrow, tail: Card, head: Card) -> str:
    """From where to where an arrow leads, the code of its gradient, and why there is none."""
    names = [printable(card.name or card.op or card.kind) for card in (tail, head)]
    text = " -> ".join(names)
    if arrow.code:
        text = f"{text}; backward: {arrow.code}"
    if arrow.failed:
        text = f"{text}\n{arrow.failed}"
    return escaped(text)
