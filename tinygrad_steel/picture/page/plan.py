"""What a page's layout is to place: boxes of fixed sizes, links between them, frames around scopes."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..scope import Path
from .sizes import CLOSED, scope_width

ROUND = 12  # room around everything

Scope = tuple[str, ...]  # the ids of the scopes around something, the outermost first
Neighbours = dict[str, dict[str, int]]  # box -> another one -> levels from one to the other


@dataclasses.dataclass(frozen=True)
class Box:
    """A card or a closed scope; `scope`: the open ones around it."""

    id: str
    w: float
    h: float
    scope: Scope
    kind: str
    spine: bool


@dataclasses.dataclass(frozen=True)
class Link:
    """An arrow between two boxes; `label`: the width and height of what is written beside it."""

    id: str
    tail: str
    head: str
    label: tuple[float, float] | None
    spine: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a layout needs to know, with no name in it.

    `boxes`: inputs before what is computed from them. `frames`: open scope -> how wide it is at
    least, for its name. `closed`: the scopes that are boxes.
    """

    boxes: list[Box]
    links: list[Link]
    frames: dict[str, float]
    closed: list[str]

    def parts(self, scope: Scope) -> Iterator[Box | Scope]:
        """The boxes of a scope, and the scopes in it, each where its first box stands."""
        done = set()
        for box in self.boxes:
            inner = box.scope[: len(scope) + 1]
            if box.scope == scope:
                yield box
            elif inner[:-1] == scope and inner not in done:
                done.add(inner)
                yield inner


class Cycle(ValueError):
    """Closed scopes that are computed from each other: no order has inputs first."""


def plan_of(data: Mapping[str, Any], closed: Collection[str]) -> Plan:
    """What is to be placed where these scopes are closed; Cycle where that has no order."""
    scopes = {tuple(scope["path"]): scope["id"] for scope in data["scopes"]}
    boxes: dict[str, Box] = {}
    stands_in: dict[str, str] = {}  # card -> its own box, or the closed scope that it is in
    for card in data["cards"]:
        around = scopes_around(card["scope"], scopes)
        box = closed_box(card, around, closed) or card_box(card, around)
        before = boxes.get(box.id, box)
        boxes[box.id] = dataclasses.replace(box, spine=box.spine or before.spine)
        stands_in[card["id"]] = box.id
    links = [link_of(arrow, stands_in) for arrow in data["arrows"]]
    links = [link for link in links if link.tail != link.head]
    open_scopes = {id for box in boxes.values() for id in box.scope}
    by_depth = sorted(scopes, key=len)
    frames = {
        scopes[path]: scope_width(path[-1]) for path in by_depth if scopes[path] in open_scopes
    }
    as_boxes = [scopes[path] for path in by_depth if scopes[path] in boxes]
    return Plan(inputs_first([*boxes.values()], links), links, frames, as_boxes)


def scopes_around(path: Sequence[str], scopes: Mapping[Path, str]) -> list[str]:
    """The ids of the scopes around a card, the outermost first."""
    outer = (tuple(path[:i]) for i in range(1, len(path) + 1))
    return [scopes[each] for each in outer if each in scopes]


def card_box(card: Mapping[str, Any], around: list[str]) -> Box:
    """The box of a card."""
    spine = bool(card.get("spine"))
    return Box(card["id"], card["w"], card["h"], tuple(around), card["kind"], spine)


def closed_box(card: Mapping[str, Any], around: list[str], closed: Collection[str]) -> Box | None:
    """The box of the outermost closed scope around a card, if there is one."""
    for i, id in enumerate(around):
        if id in closed:
            return Box(id, *CLOSED, tuple(around[:i]), "scope", bool(card.get("spine")))
    return None


def link_of(arrow: Mapping[str, Any], stands_in: Mapping[str, str]) -> Link:
    """The link of an arrow, between the boxes that its cards stand in."""
    label = arrow.get("label")
    size = (label["w"], label["h"]) if label and label["w"] and label["h"] else None
    tail, head = stands_in[arrow["tail"]], stands_in[arrow["head"]]
    return Link(arrow["id"], tail, head, size, bool(arrow.get("spine")))


def inputs_first(boxes: list[Box], links: list[Link]) -> list[Box]:
    """The boxes in an order that has inputs first, near to the one given; Cycle if there is none."""
    place = {box.id: i for i, box in enumerate(boxes)}
    waits = dict.fromkeys(place, 0)
    users: dict[str, list[str]] = {id: [] for id in place}
    for link in links:
        waits[link.head] += 1
        users[link.tail].append(link.head)
    ready = [place[id] for id, count in waits.items() if not count]
    heapq.heapify(ready)
    order: list[Box] = []
    while ready:
        order.append(boxes[heapq.heappop(ready)])
        for head in users[order[-1].id]:
            waits[head] -= 1
            if not waits[head]:
                heapq.heappush(ready, place[head])
    if len(order) < len(boxes):
        raise Cycle("scopes are computed from each other")
    return order


def levels_of(plan: Plan) -> dict[str, int]:
    """The level of each box: below its inputs, and right above what it alone goes into."""
    inputs, users = neighbours(plan)
    levels: dict[str, int] = {}
    is_aside: dict[str, bool] = {}  # whether all from which it is computed serves it alone
    for id in inputs:
        levels[id] = max((levels[x] + step for x, step in inputs[id].items()), default=0)
        is_aside[id] = all(is_aside[x] and len(users[x]) == 1 for x in inputs[id])
    for id in reversed(inputs):
        if is_aside[id] and users[id]:
            levels[id] = min(levels[y] - step for y, step in users[id].items())
    used = {level: i for i, level in enumerate(sorted({*levels.values()}))}
    return {id: used[level] for id, level in levels.items()}


def neighbours(plan: Plan) -> tuple[Neighbours, Neighbours]:
    """What each box is computed from, and what uses it; into a scope it is one level more."""
    scopes = {box.id: box.scope for box in plan.boxes}
    inputs: Neighbours = {id: {} for id in scopes}
    users: Neighbours = {id: {} for id in scopes}
    for link in plan.links:
        around = scopes[link.head]
        step = 1 if scopes[link.tail][: len(around)] == around else 2
        inputs[link.head][link.tail] = users[link.tail][link.head] = step
    return inputs, users


def closable(data: Mapping[str, Any]) -> list[str]:
    """The outermost scopes, as far as they can all be closed.

    Where a scope is left and entered again, what is computed in between would have to stand both
    above and below its box: it stays open, and those in it are closed.
    """
    scopes = {tuple(scope["path"]): scope["id"] for scope in data["scopes"]}
    outermost = [id for path, id in scopes.items() if len(path) == 1]
    if has_order(data, outermost):
        return plan_of(data, outermost).closed
    closed: list[str] = []
    for path in sorted(scopes, key=len):
        *outer, id = scopes_around(path, scopes)
        if {*outer}.isdisjoint(closed) and has_order(data, [*closed, id]):
            closed.append(id)
    return plan_of(data, closed).closed


def has_order(data: Mapping[str, Any], closed: Collection[str]) -> bool:
    """Whether these scopes can be closed together."""
    try:
        plan_of(data, closed)
    except Cycle:
        return False
    return True
