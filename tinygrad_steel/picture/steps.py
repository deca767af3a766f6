"""The steps of a page: forward and backward in an order that goes down the source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .sources import Place

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, eq=False)
class Move:
    """One card computed, or one arrow sending a gradient back.

    `id`: of the card or arrow. `card`: of what it computes, or of what gets a part of its gradient.
    `needs`: the ids of the moves before it. `places`: where it stands in the source. `inside`: the
    places of what happens inside of a fold meanwhile. `same`: whether the gradient is handed on as
    it is.
    """

    id: str
    card: str
    needs: Sequence[str]
    places: Sequence[Place]
    inside: Sequence[Place] = ()
    same: bool = False
    is_folded: bool = False


def down_the_source(moves: Sequence[Move], first: Place) -> list[tuple[Move, Place]]:
    """All moves in order, each after those that it needs and none further up than those before.

    With each the place down to which the source is computed then; the first is `first`.
    """
    by_id = {move.id: move for move in moves}
    reached: dict[str, Place] = {}
    order = needs_first({move.id: move.needs for move in moves})
    for id in order:
        move = by_id[id]
        own = [min(move.places)] if move.places else []
        before = [reached[x] for x in move.needs]
        reached[id] = max([first, *own, *before], key=lambda place: (place.line, place.end))
    rank = {id: i for i, id in enumerate(order)}
    last = sorted(order, key=lambda id: (reached[id].line, reached[id].end, rank[id]))
    return [(by_id[id], reached[id]) for id in last]


def needs_first(needs: Mapping[T, Sequence[T]]) -> list[T]:
    """All keys in their order, but what one needs before it."""
    order: dict[T, None] = {}
    for key in needs:
        todo = [key]
        while todo:
            waiting = [x for x in needs[todo[-1]] if x not in order]
            todo.extend(reversed(waiting)) if waiting else order.setdefault(todo.pop())
    return [*order]


def forward_steps(moves: Sequence[Move]) -> Iterator[dict[str, Any]]:
    """What is given, then one step for each card that is computed."""
    start = Place(0, 0, 0)
    yield {"k": "given", "line": 0}
    for move, place in down_the_source(moves, start):
        yield {"k": "forward", "n": move.card, **where(move, place)}


def backward_steps(moves: Sequence[Move], root: str, seed: Place) -> Iterator[dict[str, Any]]:
    """The gradient of the result, then one step for each arrow along which a gradient goes back."""
    yield {"k": "seed", "n": root, "line": seed.line, "span": [seed.start, seed.end]}
    parts: dict[str, int] = {}
    for move in moves:
        parts[move.card] = parts.get(move.card, 0) + 1
    seen: dict[str, int] = {}
    for move, place in down_the_source(moves, seed):
        step = {"k": "backward", "n": move.card, "a": move.id, **where(move, place)}
        seen[move.card] = seen.get(move.card, 0) + 1
        if parts[move.card] > 1:
            step["part"] = [seen[move.card], parts[move.card]]
        if move.same:
            step["same"] = True
        yield step


def where(move: Move, reached: Place) -> dict[str, Any]:
    """The line of a move, all lines of a fold, and the characters, if they stand in that line."""
    found: dict[str, Any] = {"line": reached.line}
    if move.is_folded:
        found["lines"] = sorted({place.line for place in (*move.places, *move.inside)})
    elif move.places and move.places[0].line == reached.line:
        found["span"] = [move.places[0].start, move.places[0].end]
    return found
