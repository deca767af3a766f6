"""Where the boxes of a page lie: placed by a renderer, from ids and sizes alone."""

from __future__ import annotations

import collections
import json
from collections.abc import Mapping
from typing import Any

import graphviz

from ..dot import MANY
from ..programs import RendererNotFound, render
from .fan_rows import spread, with_fans
from .plain_layout import plain_layout
from .plan import ROUND, Box, Link, Plan, Scope, closable, levels_of, plan_of

Layout = dict[str, Any]

INCH = 72  # a point of the renderer is a pixel of the page
# Levels that arrows cross, all together: with labels, each takes the renderer twice as many steps,
# and those of a recurrence of 39 steps more than a minute instead of two seconds.
MOST_CROSSED = 2000
WITHOUT = (
    "placed without graphviz, which makes arrows shorter: pip install 'tinygrad_steel[draw]', or "
    "install graphviz"
)


def layouts(data: Mapping[str, Any]) -> list[Layout]:
    """The layouts of a page: all open, and, where scopes can be closed, the outermost closed.

    Each says the `size` of the whole, where `cards` and `scopes` lie, `[x, y, w, h]` from the left
    and the top, and the way of each arrow: `pts`, a cubic Bézier curve, and the left upper corner
    of its `label`. Where no renderer has made it, `note` says why.
    """
    plans = [plan_of(data, ())]
    closed = closable(data)
    if closed:
        plans.append(plan_of(data, closed))
    return [layout_of(plan) for plan in plans]


def layout_of(plan: Plan) -> Layout:
    """A layout of a plan, with its fans in rows."""
    gathered, fans = with_fans(plan)
    layout = layout_by_renderer(gathered)
    spread(layout, fans)
    for way in layout["arrows"].values():
        way.setdefault("label", middle(way["pts"]))
    return layout


def middle(points: list[float]) -> list[float]:
    """A point about halfway, where a label would be if there were one."""
    half = len(points) // 4 * 2
    return points[half : half + 2]


def layout_by_renderer(plan: Plan) -> Layout:
    """A layout by the renderer; one of our own where there is none, or where it fails."""
    try:
        return read(plan, json.loads(render(dot_of(plan), "json0")))
    except RendererNotFound:
        return plain_layout(plan) | {"note": WITHOUT}
    except (RuntimeError, ValueError, KeyError) as error:
        # Whatever a program at this place has made of it: a page is there, and says so.
        return plain_layout(plan) | {"note": f"placed without graphviz, which failed: {error}"}


# The plan as DOT


def dot_of(plan: Plan) -> str:
    """The plan as DOT, with the looks of `dot_source`."""
    graph = graphviz.Digraph("page")
    with_labels = is_short(plan)
    below = 0.0 if with_labels else highest_label(plan) / INCH
    graph.attr(
        rankdir="TB",
        ordering="in",
        nodesep="0.32",
        ranksep=f"{0.36 + below:.2f}",
        splines="spline",
        newrank="true",
        fontname="Arial",
        fontsize="11",
    )
    graph.attr("node", shape="box", fixedsize="true", label="")
    graph.attr("edge", arrowhead="none", fontname="Arial", fontsize="9")
    if len(plan.boxes) > MANY:
        graph.attr(nslimit="2", nslimit1="2")
    add_scope(graph, (), plan)
    scopes = {box.id: box.scope for box in plan.boxes}
    uses = collections.Counter(link.tail for link in plan.links)
    for link in plan.links:
        add_link(graph, link, scopes, with_labels, uses[link.tail] > 1)
    return str(graph.source)


def is_short(plan: Plan) -> bool:
    """Whether the renderer can place labels in time."""
    levels = levels_of(plan)
    crossed = sum(levels[link.head] - levels[link.tail] for link in plan.links)
    return crossed <= MOST_CROSSED


def highest_label(plan: Plan) -> float:
    """The height of the highest label."""
    return max((link.label[1] for link in plan.links if link.label is not None), default=0)


def add_scope(graph: Any, scope: Scope, plan: Plan) -> None:
    """All that is in a scope."""
    for part in plan.parts(scope):
        if isinstance(part, Box):
            add_box(graph, part)
        else:
            with graph.subgraph(name=f"cluster_{part[-1]}") as cluster:
                name = blank(plan.frames[part[-1]], 18)
                cluster.attr(label=name, labeljust="l", labelloc="t", margin="12")
                add_scope(cluster, part, plan)


def add_box(graph: Any, box: Box) -> None:
    """A box as a node."""
    group = {"group": "spine"} if box.spine else {}
    graph.node(box.id, width=f"{box.w / INCH:.4f}", height=f"{box.h / INCH:.4f}", **group)


def add_link(
    graph: Any,
    link: Link,
    scopes: Mapping[str, Scope],
    with_label: bool,
    is_shared: bool,
) -> None:
    """A link as an edge, with a blank label where something is written beside it.

    What only one box uses stands near it, rather than near what it shares with others: in a
    recurrence `x @ u` is at its step, not at `u`.
    """
    around = scopes[link.head]
    attributes = {"id": link.id}
    if link.label is not None and with_label:
        attributes["label"] = blank(*link.label)
    attributes["weight"] = "20" if link.spine else "1" if is_shared else "3"
    if scopes[link.tail][: len(around)] != around:
        attributes["minlen"] = "2"  # into a scope: its first parameters need a rank of their own
    graph.edge(link.tail, link.head, **attributes)


def blank(width: float, height: float) -> str:
    """A label of this size with nothing in it."""
    size = f'FIXEDSIZE="TRUE" WIDTH="{width:.0f}" HEIGHT="{height:.0f}"'
    return f"<<TABLE BORDER='0' CELLBORDER='0' CELLPADDING='0' {size}><TR><TD></TD></TR></TABLE>>"


# What the renderer says


def read(plan: Plan, said: Mapping[str, Any]) -> Layout:
    """The layout that a renderer has made; ValueError or KeyError where it is none."""
    left, low, right, high = map(float, said["bb"].split(","))

    def at(x: float, y: float) -> tuple[float, float]:
        """A point of the page, which has its origin at the top; the renderer's is at the bottom."""
        return round(x - left + ROUND, 1), round(high - y + ROUND, 1)

    things = {thing["name"]: thing for thing in said["objects"]}
    edges = {edge["id"]: edge for edge in said.get("edges", []) if "id" in edge}
    cards: dict[str, list[float]] = {}
    scopes: dict[str, list[float]] = {}
    for box in plan.boxes:
        x, y = numbers(things[box.id]["pos"])
        corner = at(x - box.w / 2, y + box.h / 2)
        (scopes if box.id in plan.closed else cards)[box.id] = [*corner, box.w, box.h]
    for id in plan.frames:
        x0, y0, x1, y1 = numbers(things[f"cluster_{id}"]["bb"])
        scopes[id] = [*at(x0, y1), round(x1 - x0, 1), round(y1 - y0, 1)]
    ways = {link.id: way_of(link, edges[link.id], at) for link in plan.links}
    width, height = at(right + ROUND, low - ROUND)
    width = max(width, put_above_heads(plan, ways) + ROUND)
    return {
        "closed": plan.closed,
        "size": [round(width, 1), height],
        "cards": cards,
        "arrows": ways,
        "scopes": scopes,
    }


def way_of(link: Link, edge: Mapping[str, Any], at: Any) -> dict[str, Any]:
    """The way of an arrow, and where its label lies."""
    ends = numbers(edge["pos"].replace(" ", ","))
    way: dict[str, Any] = {"pts": [c for pair in zip(ends[::2], ends[1::2]) for c in at(*pair)]}
    if len(way["pts"]) % 6 != 2:
        raise ValueError(f"{link.id} has no Bézier curve")
    if link.label is not None and "lp" in edge:
        x, y = numbers(edge["lp"])
        way["label"] = [*at(x - link.label[0] / 2, y + link.label[1] / 2)]
    return way


def put_above_heads(plan: Plan, ways: dict[str, dict[str, Any]]) -> float:
    """Labels that the renderer has not placed, each above the end of its arrow; how far they reach.

    Those of one box stand beside each other.
    """
    free: dict[str, float] = {}
    for link in sorted(plan.links, key=lambda link: float(ways[link.id]["pts"][-2])):
        way = ways[link.id]
        if link.label is None or "label" in way:
            continue
        x, y = way["pts"][-2:]
        left = max(x + 4, free.get(link.head, x))
        way["label"] = [round(left, 1), round(y - link.label[1] - 2, 1)]
        free[link.head] = left + link.label[0] + 4
    return max(free.values(), default=0.0)


def numbers(text: str) -> list[float]:
    """Numbers between commas."""
    return [float(number) for number in text.split(",")]
