"""The steps of a page: forward and backward in an order that goes down the source."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .sources import Place

T = TypeVar("T")
START = Place(0, 0, 0)


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
    yield {"k": "given", "line": START.line}
    for move, place in down_the_source(moves, START):
        yield {"k": "forward", "n": move.card, **where(move, place)}


def backward_steps(
    moves: Sequence[Move], root: str, seed: Place | None
) -> Iterator[dict[str, Any]]:
    """The gradient of the result, then one step for each arrow along which a gradient goes back.

    Without a place in the source where it begins, none of them has one.
    """
    yield {"k": "seed", "n": root, **({"line": None} if seed is None else at(seed))}
    parts, seen = Counter(move.card for move in moves), Counter[str]()
    for move, place in down_the_source(moves, seed or START):
        seen[move.card] += 1
        step: dict[str, Any] = {"k": "backward", "n": move.card, "a": move.id}
        step |= {"line": None} if seed is None else where(move, place)
        if parts[move.card] > 1:
            step["part"] = [seen[move.card], parts[move.card]]
        if move.same:
            step["same"] = True
        yield step


def at(place: Place) -> dict[str, Any]:
    """A line, and some of its characters."""
    return {"line": place.line, "span": [place.start, place.end]}


def where(move: Move, reached: Place) -> dict[str, Any]:
    """The line of a move, all lines of a fold, and the characters, if they stand in that line."""
    if move.is_folded:
        lines = sorted({place.line for place in (*move.places, *move.inside)})
        return {"line": reached.line, "lines": lines}
    own = [place for place in move.places if place.line == reached.line]
    return at(own[0]) if own else {"line": reached.line}
