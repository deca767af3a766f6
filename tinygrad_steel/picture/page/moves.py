"""What moves there are in a graph that is told: cards that are computed, arrows that flow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...program.values import Value
from ..graph import LEAVES
from .known import Known
from .sources import Place
from .steps import Move, backward_steps, forward_steps


def steps_of(known: Known) -> list[dict[str, Any]]:
    """All steps of a page."""
    steps = [*forward_steps(forward_moves(known))]
    start = known.traced.gradient_of.get(known.traced.loss)
    if start is not None:
        root = known.folds.shown[known.graph.root]
        seed = known.places.get(start)
        steps += backward_steps(backward_moves(known), root, seed, inner_places(known))
    return steps


def forward_moves(known: Known) -> list[Move]:
    """Each card that is computed."""
    shown = known.folds.shown
    computed = {shown[t] for t in known.graph.tensors if t.op is not None}
    needs: dict[str, list[str]] = {id: [] for id in computed}
    for id in known.uses:
        tail, head = known.ends(id)
        if tail in computed:
            needs[head].append(tail)
    values: dict[str, list[Value]] = {id: [] for id in computed}
    for t in known.graph.tensors:
        if t.op is not None:
            values[shown[t]].append(known.traced.made[t])
    return [
        Move(
            id=card.id,
            card=card.id,
            needs=needs[card.id],
            places=places_at(known, values[card.id]),
            is_folded=card.kind == "fold",
        )
        for card in known.shown
        if card.id in computed and card.kind not in LEAVES
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
