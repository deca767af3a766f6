"""A layout of our own, in levels, for a page where there is no renderer."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from .fan_rows import bend
from .plan import ROUND, Box, Link, Plan, Scope, levels_of

BESIDE = 28  # between boxes of a level
BELOW = 34  # between levels, at least
MARGIN, NAME = 14, 26  # inside of a frame: at its sides and below, and above for its name
LANE = 14  # between arrows that lead past boxes

Spans = dict[int, float]  # level -> how far to the right it is taken


@dataclasses.dataclass
class Block:
    """A box, or a scope with all that is in it, as one thing that is moved to its place.

    `low`, `high`: its first and last level. `left`, `right`: how far it reaches from its anchor,
    which lies on the spine if it `is_spine`. `boxes`: their centers, `frames`: their sides, both
    from the anchor.
    """

    low: int
    high: int
    left: float
    right: float
    is_spine: bool
    boxes: dict[str, float]
    frames: dict[str, tuple[float, float]]

    @property
    def levels(self) -> range:
        """The levels over which it reaches."""
        return range(self.low, self.high + 1)

    def moved(self, x: float) -> Block:
        """The same with its anchor at `x`."""
        return dataclasses.replace(
            self,
            left=self.left + x,
            right=self.right + x,
            boxes={id: center + x for id, center in self.boxes.items()},
            frames={id: (left + x, right + x) for id, (left, right) in self.frames.items()},
        )


def plain_layout(plan: Plan) -> dict[str, Any]:
    """A layout in levels: inputs above what is computed from them, each scope in a band of its own.

    No boxes overlap, no arrow leads up, and a frame holds its own boxes alone; long arrows lead
    past boxes where there is room.
    """
    levels = levels_of(plan)
    whole = block_of((), plan, levels)
    rows = Rows(plan, levels)
    ways, labels = ways_of(plan, whole, levels, rows)
    boxes = {box.id: box for box in plan.boxes}
    left = min([whole.left, *(x for way in ways.values() for x in way[::2])]) - ROUND
    right = max([whole.right, *(x for way in ways.values() for x in way[::2])])
    right = max([right, *(labels[link.id][0] + w for link, w, _ in labelled(plan))]) + ROUND
    placed = {id: box_at(boxes[id], x - left, rows, levels) for id, x in whole.boxes.items()}
    frames = frames_of(plan, whole, placed, left)
    return {
        "closed": plan.closed,
        "size": [round(right - left, 1), round(rows.end, 1)],
        "cards": {id: place for id, place in placed.items() if id not in plan.closed},
        "arrows": {
            link.id: said_of(ways[link.id], labels.get(link.id), left) for link in plan.links
        },
        "scopes": {id: placed[id] for id in plan.closed} | frames,
    }


def labelled(plan: Plan) -> Iterator[tuple[Link, float, float]]:
    """The links with something written beside them, its width and its height."""
    return ((link, *link.label) for link in plan.links if link.label is not None)


def said_of(way: list[float], label: tuple[float, float] | None, left: float) -> dict[str, Any]:
    """The way of an arrow as a page has it."""
    found: dict[str, Any] = {"pts": [round(c if i % 2 else c - left, 1) for i, c in enumerate(way)]}
    if label is not None:
        found["label"] = [round(label[0] - left, 1), round(label[1], 1)]
    return found


# From left to right


def block_of(scope: Scope, plan: Plan, levels: dict[str, int]) -> Block:
    """A scope with all that is in it."""
    parts = [
        box_block(part, levels) if isinstance(part, Box) else block_of(part, plan, levels)
        for part in plan.parts(scope)
    ]
    block = joined(side_by_side(parts))
    if not scope:
        return block
    left, right = block.left - MARGIN, block.right + MARGIN
    right = max(right, left + plan.frames[scope[-1]])
    frames = block.frames | {scope[-1]: (left, right)}
    return dataclasses.replace(block, left=left, right=right, frames=frames)


def side_by_side(parts: list[Block]) -> list[Block]:
    """Blocks moved to where they have room: those on the spine on one line, the rest to its right."""
    levels = {level for part in parts for level in part.levels}
    # Where there is a spine, its arrow or one of its boxes is at the anchor of every level.
    has_spine = any(part.is_spine for part in parts)
    span = range(min(levels), max(levels) + 1)
    taken: Spans = dict.fromkeys(span, 0.0) if has_spine else {}
    moved = []
    for part in sorted(parts, key=lambda part: (not part.is_spine, part.low)):
        met = [taken[level] for level in part.levels if level in taken]
        fits = part.is_spine and max(met) <= 0
        x = 0.0 if fits or not met else max(met) + BESIDE - part.left
        moved.append(part.moved(x))
        taken |= dict.fromkeys(part.levels, moved[-1].right)
    return moved


def joined(parts: list[Block]) -> Block:
    """Blocks at their places as one block."""
    return Block(
        low=min(part.low for part in parts),
        high=max(part.high for part in parts),
        left=min(part.left for part in parts),
        right=max(part.right for part in parts),
        is_spine=any(part.is_spine for part in parts),
        boxes={id: x for part in parts for id, x in part.boxes.items()},
        frames={id: sides for part in parts for id, sides in part.frames.items()},
    )


def box_block(box: Box, levels: dict[str, int]) -> Block:
    """A single box, with its anchor in its middle."""
    level, half = levels[box.id], box.w / 2
    return Block(level, level, -half, half, box.spine, {box.id: 0.0}, {})


# From the top down


class Rows:
    """How high each level lies, with room between levels for frames, their names and labels.

    `tops`, `bottoms`: of the boxes of a level. `notes`: where labels above a level begin.
    """

    def __init__(self, plan: Plan, levels: dict[str, int]):
        count = 1 + max(levels.values())
        height, opens, closes, notes = ([0.0] * count for _ in range(4))
        ends = scope_ends(plan, levels)
        for box in plan.boxes:
            level = levels[box.id]
            height[level] = max(height[level], box.h)
            opens[level] = max(opens[level], NAME * sum(ends[id][0] == level for id in box.scope))
            closes[level] = max(
                closes[level], MARGIN * sum(ends[id][1] == level for id in box.scope)
            )
        for link, _, high in labelled(plan):
            notes[levels[link.head]] = max(notes[levels[link.head]], high)
        self.tops, self.bottoms, self.notes = [], [], []
        y: float = ROUND
        for level in range(count):
            self.notes.append(y + BELOW / 4)
            y += opens[level] + notes[level] + (BELOW if level else 0)
            self.tops.append(y)
            y += height[level]
            self.bottoms.append(y)
            y += closes[level]
        self.end = y + ROUND


def scope_ends(plan: Plan, levels: dict[str, int]) -> dict[str, tuple[int, int]]:
    """The first and the last level of each open scope."""
    found: dict[str, list[int]] = {id: [] for id in plan.frames}
    for box in plan.boxes:
        for id in box.scope:
            found[id].append(levels[box.id])
    return {id: (min(each), max(each)) for id, each in found.items()}


def box_at(box: Box, x: float, rows: Rows, levels: dict[str, int]) -> list[float]:
    """A box in the middle of its level."""
    level = levels[box.id]
    middle = (rows.tops[level] + rows.bottoms[level]) / 2
    return [round(x - box.w / 2, 1), round(middle - box.h / 2, 1), box.w, box.h]


def frames_of(
    plan: Plan, whole: Block, placed: dict[str, list[float]], left: float
) -> dict[str, list[float]]:
    """The frames of the open scopes, each around its boxes and the frames in it."""
    inside: dict[str, list[list[float]]] = {id: [] for id in plan.frames}
    within: dict[str, str] = {}  # scope -> the one around it
    for box in plan.boxes:
        for id in box.scope[-1:]:
            inside[id].append(placed[box.id])
        within |= {inner: outer for outer, inner in itertools.pairwise(box.scope)}
    frames: dict[str, list[float]] = {}
    for id in reversed(plan.frames):  # inner ones first
        top = min(y for _, y, _, _ in inside[id]) - NAME
        bottom = max(y + h for _, y, _, h in inside[id]) + MARGIN
        x0, x1 = whole.frames[id]
        frames[id] = [round(x0 - left, 1), round(top, 1), round(x1 - x0, 1), round(bottom - top, 1)]
        if id in within:
            inside[within[id]].append(frames[id])
    return {id: frames[id] for id in plan.frames}


# Arrows


def ways_of(
    plan: Plan, whole: Block, levels: dict[str, int], rows: Rows
) -> tuple[dict[str, list[float]], dict[str, tuple[float, float]]]:
    """The way of each arrow, and where its label lies."""
    boxes = {box.id: box for box in plan.boxes}
    ports = ports_of(plan, whole)
    lanes = Lanes(plan, whole, levels)
    ways = {}
    labels: dict[str, tuple[float, float]] = {}
    reached: dict[int, float] = {}  # level -> how far to the right labels above it reach
    for link in sorted(plan.links, key=lambda link: ports[link.id]):
        start, end, port = whole.boxes[link.tail], levels[link.head], ports[link.id]
        stops = [(start, levels[link.tail]), (port, end)]
        low, high = levels[link.tail] + 1, end - 1
        if low <= high:
            lane = lanes.free(start, port, low, high)
            stops[1:1] = [(lane, level) for level in sorted({low, high})]
        tail, head = (box_at(boxes[id], 0, rows, levels) for id in (link.tail, link.head))
        ways[link.id] = way(stops, rows, tail[1] + tail[3], head[1])
        if link.label is not None:
            x = max(port + 4, reached.get(end, port))
            labels[link.id] = (x, rows.notes[end])
            reached[end] = x + link.label[0] + 4
    return ways, labels


def ports_of(plan: Plan, whole: Block) -> dict[str, float]:
    """Where arrows end at the top of their box: that of the spine in its middle, others beside."""
    widths = {box.id: box.w for box in plan.boxes}
    into: dict[str, list[Link]] = {id: [] for id in widths}
    for link in plan.links:
        into[link.head].append(link)
    ports: dict[str, float] = {}
    for head, links in into.items():
        middle = whole.boxes[head]
        step = min(22.0, widths[head] / 2 / (len(links) + 1))
        near = sorted(links, key=lambda link: abs(whole.boxes[link.tail] - middle))
        in_middle = sorted(near, key=lambda link: not link.spine)[:1]
        others = [link for link in near if link not in in_middle]
        from_left = [link for link in others if whole.boxes[link.tail] < middle]
        from_right = [link for link in others if whole.boxes[link.tail] >= middle]
        ports |= {link.id: middle for link in in_middle}
        ports |= {link.id: middle - step * i for i, link in enumerate(from_left, 1)}
        ports |= {link.id: middle + step * i for i, link in enumerate(from_right, 1)}
    return ports


class Lanes:
    """Where arrows can lead straight down past boxes; each lane beyond all boxes is taken once."""

    def __init__(self, plan: Plan, whole: Block, levels: dict[str, int]):
        self.sides: dict[int, list[tuple[float, float]]] = {}
        for box in plan.boxes:
            x = whole.boxes[box.id]
            self.sides.setdefault(levels[box.id], []).append((x - box.w / 2, x + box.w / 2))
        self.next = whole.right + LANE

    def free(self, start: float, end: float, low: int, high: int) -> float:
        """Where one leads from `start` to `end` through these levels."""
        met = [side for level in range(low, high + 1) for side in self.sides.get(level, [])]
        for x in (end, start, *self.beside(met, start, end)):
            if not any(left - 6 < x < right + 6 for left, right in met):
                return x
        self.next += LANE
        return self.next - LANE

    def beside(self, met: Iterable[tuple[float, float]], start: float, end: float) -> list[float]:
        """Right beside boxes, the ones nearest to both ends first."""
        places = {x for left, right in met for x in (left - LANE, right + LANE)}
        return sorted(places, key=lambda x: (abs(x - start) + abs(x - end), x))


def way(stops: list[tuple[float, int]], rows: Rows, top: float, bottom: float) -> list[float]:
    """A curve through these places of levels, straight beside boxes, that bends between levels."""
    here = (stops[0][0], top)
    points = [*here]
    for (x, level), (next_x, next_level) in itertools.pairwise(stops):
        for there in ((x, rows.bottoms[level]), (next_x, rows.tops[next_level])):
            points += bend(here, there)
            here = there
    return points + bend(here, (here[0], bottom))
