"""Many leaves of one box, such as the data of all steps of a folded loop: placed as one, in rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .plan import Box, Link, Plan

MOST_BESIDE = 6  # so many leaves of one box stand side by side
GAP = 20  # between them, where arrows lead down
TRUNK = 26  # below them, where all arrows meet


@dataclasses.dataclass(frozen=True)
class Fan:
    """Leaves that only one box uses. `links`: theirs. `cell`: the room for each."""

    id: str
    leaves: list[Box]
    links: list[Link]
    cell: tuple[float, float]

    @property
    def box(self) -> Box:
        """All of them as one box."""
        wide, high = self.cell
        w = wide * min(len(self.leaves), MOST_BESIDE)
        h = high * -(-len(self.leaves) // MOST_BESIDE) + TRUNK
        return Box(self.id, w, h, self.leaves[0].scope, "fan", False)


def with_fans(plan: Plan) -> tuple[Plan, list[Fan]]:
    """A plan in which each fan is a box with one link, and the fans."""
    fans = fans_of(plan)
    owner = {leaf.id: fan for fan in fans for leaf in fan.leaves}
    boxes: dict[str, Box] = {}
    for box in plan.boxes:
        box = owner[box.id].box if box.id in owner else box
        boxes[box.id] = box
    links: dict[str, Link] = {}
    for link in plan.links:
        if link.tail in owner:
            id = owner[link.tail].id
            link = Link(id, id, link.head, None, False)
        links[link.id] = link
    return dataclasses.replace(plan, boxes=[*boxes.values()], links=[*links.values()]), fans


def fans_of(plan: Plan) -> list[Fan]:
    """All leaves of one kind and box, but for that of the spine, where there are many in a scope."""
    uses: dict[str, list[Link]] = {box.id: [] for box in plan.boxes}
    for link in plan.links:
        uses[link.tail].append(link)
    no_leaves = {link.head for link in plan.links} | {*plan.closed}
    alike: dict[tuple[str, ...], list[Box]] = {}
    for box in plan.boxes:
        heads = {link.head for link in uses[box.id]}
        if box.id not in no_leaves and len(heads) == 1 and not box.spine:
            alike.setdefault((box.kind, *heads, *box.scope), []).append(box)
    many = [leaves for leaves in alike.values() if len(leaves) > MOST_BESIDE]
    return [fan_of(f"fan{i}", leaves, uses) for i, leaves in enumerate(many)]


def fan_of(id: str, leaves: list[Box], uses: Mapping[str, list[Link]]) -> Fan:
    """These leaves, each in a cell that holds the largest of them with its label."""
    links = [link for leaf in leaves for link in uses[leaf.id]]
    labels = [link.label or (0, 0) for link in links]
    wide = max([*(leaf.w for leaf in leaves), *(w for w, _ in labels)]) + GAP
    high = max(leaf.h for leaf in leaves) + GAP + max(h for _, h in labels)
    return Fan(id, leaves, links, (wide, high))


def spread(layout: dict[str, Any], fans: list[Fan]) -> None:
    """Put the leaves of each fan in the place of its box."""
    for fan in fans:
        x, y, _, h = layout["cards"].pop(fan.id)
        trunk = layout["arrows"].pop(fan.id)["pts"]
        wide, high = fan.cell
        for i, leaf in enumerate(fan.leaves):
            left, top = x + wide * (i % MOST_BESIDE) + GAP / 2, y + high * (i // MOST_BESIDE)
            layout["cards"][leaf.id] = [round(left, 1), round(top, 1), leaf.w, leaf.h]
            start = (left + leaf.w / 2, top + leaf.h)
            lane = (left + wide - GAP / 2, top + high)
            down = (lane[0], y + h - TRUNK)
            meet = (trunk[0], trunk[1])
            way = [*start, *bend(start, lane), *bend(lane, down), *bend(down, meet), *trunk[2:]]
            for link in fan.links:
                if link.tail == leaf.id:
                    layout["arrows"][link.id] = {"pts": [round(c, 1) for c in way]}
                    if link.label is not None:
                        label = [round(left, 1), round(top + leaf.h + 2, 1)]
                        layout["arrows"][link.id]["label"] = label


def bend(start: tuple[float, float], end: tuple[float, float]) -> list[float]:
    """A curve that leaves and arrives straight down."""
    middle = (start[1] + end[1]) / 2
    return [start[0], middle, end[0], middle, *end]
