"""The steps of a page: what is computed and what is sent back, in an order that goes down the source."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ...program.values import Value
from ..graph import LEAVES
from .known import Known
from .sources import Place

T = TypeVar("T")
START = Place(0, 0, 0)


def steps_of(known: Known) -> list[dict[str, Any]]:
    """All steps of a page."""
    steps = [*forward_steps(forward_moves(known))]
    start = known.traced.gradient_of.get(known.traced.loss)
    if start is not None:
        root = known.folds.shown[known.graph.root]
        seed = known.places.get(start)
        steps += backward_steps(backward_moves(known), root, seed, inner_places(known))
    return steps


@dataclasses.dataclass(frozen=True, eq=False)
class Move:
    """One card computed, or one arrow sending a gradient back.

    `id`: of the card or arrow. `card`: what is computed, or gets a part of its gradient. `head`:
    the card from which that part comes. `needs`: the ids of the moves before it. `places`: where it
    stands in the source. `same`: whether the gradient is handed on as it is. `is_folded`: whether
    the card, or the head, is a fold. `is_part`: whether it is one of the parts of one gradient, as
    those that come into a fold are not.
    """

    id: str
    card: str
    needs: Sequence[str]
    places: Sequence[Place]
    head: str = ""
    same: bool = False
    is_folded: bool = False
    is_part: bool = True


# What moves there are


def forward_moves(known: Known) -> list[Move]:
    """Each card that is computed."""
    values: dict[str, list[Value]] = {}  # card -> all that is computed in it
    for t in known.graph.tensors:
        if t.op is not None:
            values.setdefault(known.folds.shown[t], []).append(known.traced.made[t])
    needs: dict[str, list[str]] = {id: [] for id in values}
    for id in known.uses:
        tail, head = known.ends(id)
        if tail in values:
            needs[head].append(tail)
    return [
        Move(
            id=card.id,
            card=card.id,
            needs=needs[card.id],
            places=places_at(known, values[card.id]),
            is_folded=card.kind == "fold",
        )
        for card in known.shown
        if card.id in values and card.kind not in LEAVES
    ]


def backward_moves(known: Known) -> list[Move]:
    """Each arrow along which a gradient goes back, in the order of the walk."""
    sent = {id: [*known.sent(id).values()] for id in known.uses}
    flowing = [id for id in known.uses if sent[id]]
    into: dict[str, list[str]] = {}
    for id in flowing:
        into.setdefault(known.ends(id)[0], []).append(id)
    rank = {(y, x): i for i, (y, x, _) in enumerate(known.traced.edges)}
    made = known.traced.made

    def walked(id: str) -> int:
        """When the last of it is sent."""
        return max(rank[made[use.y], made[use.x]] for use in known.sent(id))

    moves = []
    for id in sorted(flowing, key=walked):
        tail, head = known.ends(id)
        moves.append(
            Move(
                id=id,
                card=tail,
                needs=into.get(head, []),
                places=places_at(known, own_of(known, id, len(into[tail])))
                or places_at(known, sent[id]),
                head=head,
                is_folded=known.is_folded(id),
                is_part=known.uses[id][0].x not in known.folds.folded,
                same=not known.is_folded(id) and is_handed_on(known, id),
            )
        )
    return moves


def places_at(known: Known, values: Iterable[Value]) -> list[Place]:
    """Where these stand in the source, as far as they do."""
    return [known.places[x] for x in values if x in known.places]


def own_of(known: Known, id: str, arrows: int) -> list[Value]:
    """The gradient that what goes back along an arrow is, where no other arrow brings a part of it.

    What is handed on as it is has a line of its own where its Tensor has a name: `G_c = G_d`.
    """
    sent = known.sent(id)
    if arrows > 1 or len(sent) > 1:
        return []
    g = known.followed.gradient(next(iter(sent)).x)
    return [] if g is None else [g]


def is_handed_on(known: Known, id: str) -> bool:
    """Whether what goes back along an arrow is the gradient of its head, under whatever name."""
    ((use, g),) = known.sent(id).items()
    whole = known.followed.gradient(use.y)
    return whole is not None and known.arrays.of(whole) == known.arrays.of(g)


def inner_places(known: Known) -> dict[str, list[Place]]:
    """Where the gradients inside of each fold stand in the source."""
    shown = known.folds.shown
    found: dict[str, list[Place]] = {}
    for (y, place), g in known.followed.sent.items():
        x = y.inputs[place]
        if shown.get(x) == shown[y]:
            found.setdefault(shown[y], []).extend(places_at(known, [g]))
    return found


# Their order


def down_the_source(moves: Sequence[Move], first: Place) -> list[tuple[Move, Place]]:
    """All moves in order, each after those that it needs and none further up than those before.

    With each: how far down the source has been computed by then, from `first` on.
    """
    by_id = {move.id: move for move in moves}
    reached: dict[str, Place] = {}
    order = needs_first({move.id: move.needs for move in moves})
    for id in order:
        move = by_id[id]
        floor = max([first, *(reached[x] for x in move.needs)], key=down)
        further = [place for place in move.places if down(place) >= down(floor)]
        reached[id] = min(further, default=floor)
    rank = {id: i for i, id in enumerate(order)}
    last = sorted(order, key=lambda id: (*down(reached[id]), rank[id]))
    return [(by_id[id], reached[id]) for id in last]


def down(place: Place) -> tuple[int, int]:
    """How far down the source a place is."""
    return place.line, place.end


def needs_first(needs: Mapping[T, Sequence[T]]) -> list[T]:
    """All keys in their order, but what one needs before it."""
    order: dict[T, None] = {}
    for key in needs:
        todo = [key]
        while todo:
            waiting = [x for x in needs[todo[-1]] if x not in order]
            if waiting:
                todo.extend(reversed(waiting))
            else:
                order.setdefault(todo.pop())
    return [*order]


# As data


def forward_steps(moves: Sequence[Move]) -> Iterator[dict[str, Any]]:
    """What is given, then one step for each card that is computed."""
    yield {"k": "given", "line": START.line}
    for move, place in down_the_source(moves, START):
        yield {"k": "forward", "n": move.card, **where(move, place)}


def backward_steps(
    moves: Sequence[Move], root: str, seed: Place | None, inside: Mapping[str, Sequence[Place]]
) -> Iterator[dict[str, Any]]:
    """The gradient of the result, then one step for each arrow along which a gradient goes back.

    Without a place in the source where it begins, none of them has one. `inside`: where the
    gradients inside of each fold stand, which are computed before the first leaves it.
    """
    yield {"k": "seed", "n": root, **({"line": None} if seed is None else at(seed))}
    parts, seen = Counter(move.card for move in moves), Counter[str]()
    order = down_the_source(moves, seed or START)
    meanwhile = inner_work([move for move, _ in order], inside)
    for move, place in order:
        seen[move.card] += 1
        step: dict[str, Any] = {"k": "backward", "n": move.card, "a": move.id}
        inner = meanwhile.get(move.id, ())
        step |= {"line": None} if seed is None else where(move, place, inner)
        if parts[move.card] > 1 and move.is_part:
            step["part"] = [seen[move.card], parts[move.card]]
        if move.same:
            step["same"] = True
        yield step


def inner_work(
    order: Sequence[Move], inside: Mapping[str, Sequence[Place]]
) -> dict[str, Sequence[Place]]:
    """With which move the work inside of each fold is done: the first that leaves it.

    Where none does, as all that it needs is inside, it is the last that comes in.
    """
    last_in = {move.card: move.id for move in order}
    first_out = {move.head: move.id for move in reversed(order)}
    by_fold = last_in | first_out
    found: dict[str, Sequence[Place]] = {}
    for fold, places in inside.items():
        if fold in by_fold:
            found[by_fold[fold]] = [*found.get(by_fold[fold], ()), *places]
    return found


def at(place: Place) -> dict[str, Any]:
    """A line, and some of its characters."""
    return {"line": place.line, "span": [place.start, place.end]}


def where(move: Move, reached: Place, inner: Sequence[Place] = ()) -> dict[str, Any]:
    """The line of a move, all lines of a fold, and the characters, if they stand in that line."""
    if move.is_folded:
        lines = sorted({place.line for place in (*move.places, *inner)})
        return {"line": reached.line, "lines": lines}
    own = [place for place in move.places if place.line == reached.line]
    return at(own[0]) if own else {"line": reached.line}
