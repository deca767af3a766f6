"""A scene as DOT, the language of graphviz."""

from __future__ import annotations

from typing import Any

import graphviz

from .arrows import Arrow
from .cards import Card
from .labels import (
    BARS,
    Style,
    arrow_label,
    bar_count,
    card_label,
    legend,
    title_label,
)
from .markup import escaped, markup, table, wrapped
from .scene import Scene
from .scope import Path
from .themes import SANS, SHAPES, Theme
from .words import printable


def dot_source(scene: Scene, direction: str, colours: Theme) -> str:
    """The scene as DOT."""
    style = Style(colours)
    sideways, key = direction in ("LR", "RL"), legend(scene, style)
    graph = graphviz.Digraph("steel", comment="tinygrad_steel draw()")
    set_defaults(graph, direction, title_label(scene, style, key if sideways else ""), colours)
    add_scope(graph, (), scene, style)
    for arrow in scene.arrows:
        add_arrow(graph, arrow, scene, style)
    if not sideways:
        graph.node("legend", label=f"<{key}>", shape="plain", style="", tooltip="legend")
        graph.edge(scene.cards[-1].id, "legend", style="invis", minlen="1")
    return str(graph.source)


def set_defaults(graph: Any, direction: str, title: str, colours: Theme) -> None:
    """What holds for the whole picture, for every card and for every arrow."""
    text = {"fontcolor": colours["text"], "fontname": SANS, "fontsize": "11"}
    graph.attr(
        bgcolor=colours["background"],
        rankdir=direction,
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


def add_scope(graph: Any, path: Path, scene: Scene, style: Style) -> None:
    """The cards of a scope, and the scopes in it where their first card stands."""
    depth = len(path) + 1
    siblings = sorted({card.scope[:depth] for card in scene.cards if len(card.scope) >= depth})
    done = set()
    for card in scene.cards:
        inner = card.scope[:depth]
        if card.scope == path:
            add_card(graph, card, style)
        elif inner[:-1] == path and inner not in done:
            done.add(inner)
            with graph.subgraph(name=f"cluster_{depth}_{siblings.index(inner)}") as cluster:
                set_scope(cluster, inner, style)
                add_scope(cluster, inner, scene, style)
    put_biases_beside(graph, path, scene)


def set_scope(cluster: Any, path: Path, style: Style) -> None:
    """The frame of a scope and its name."""
    fill, line = style.colours["scope"]
    muted = style.colours["muted"]
    name = [markup(part, muted, 9, bold=True) for part in wrapped(path[-1], 60)]
    cluster.attr(
        label=table(name, 0),
        style="rounded,filled",
        margin="12",
        color=line,
        fillcolor=fill,
        penwidth="1",
        labeljust="l",
        labelloc="t",
        tooltip=escaped(f"scope: {' / '.join(map(printable, path))}"),
    )


def put_biases_beside(graph: Any, path: Path, scene: Scene) -> None:
    """A bias stands beside the product it is added to.

    Where one of them is in another scope, that would be torn apart.
    """
    cards = {card.id: card for card in scene.cards if card.scope == path}
    before = {arrow.head: arrow.tail for arrow in scene.arrows if arrow.spine}
    for arrow in scene.arrows:
        product = before.get(arrow.head)
        if not {arrow.tail, arrow.head, product} <= cards.keys():
            continue
        is_bias = cards[arrow.tail].kind in ("parameter", "constant")
        if is_bias and product and cards[product].op:
            with graph.subgraph() as same:
                same.attr(rank="same")
                same.edge(product, arrow.tail, style="invis", minlen="1")


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
    tooltip = escaped(card.tooltip or card.op)
    graph.node(card.id, label=card_label(card, style), tooltip=tooltip, **attributes)


# Arrows


def add_arrow(graph: Any, arrow: Arrow, scene: Scene, style: Style) -> None:
    """An arrow: along the data, against it, or both."""
    tail, head = scene.by_id[arrow.tail], scene.by_id[arrow.head]
    attributes = {
        "class": "steel-edge",
        "color": style.colours["op"][1],
        "edgetooltip": arrow_tooltip(arrow, tail, head),
    }
    if arrow.flows:
        attributes |= backward_look(arrow, scene.view, style)
    elif scene.view == "backward":
        attributes |= {"dir": "none", "style": "dotted", "color": style.colours["muted"]}
    label = arrow_label(arrow, style)
    if label:
        attributes["label"] = label
        attributes["labeltooltip"] = escaped(arrow.code or arrow.broadcast)
    if arrow.spine:
        attributes["weight"] = "20"
    if tail.scope[: len(head.scope)] != head.scope:
        attributes["minlen"] = "2"  # into a scope: its first parameters need a rank of their own
    graph.edge(arrow.tail, arrow.head, **attributes)


def backward_look(arrow: Arrow, view: str, style: Style) -> dict[str, str]:
    """How an arrow looks on which a gradient flows: thicker for a larger one."""
    purple = style.colours["gradient"]
    if view == "both":
        color = f"{style.colours['op'][1]}:{purple}"
        return {"dir": "both", "arrowtail": "normal", "penwidth": "1.3", "color": color}
    width = 1.1 + 1.9 * bar_count(arrow.size or 0) / BARS
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
