"""A list of dicts with the same keys, one for each layer: whose gradient a place holds, its position says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..program.values import Value
from .chain import Chain, fits
from .statements import Path

Meanings = Mapping[Path, tuple[Value, ...]]
Layers = dict[int, dict[str, Path]]


def by_layer(chain: Chain, meanings: Meanings) -> dict[Path, tuple[Value, ...]]:
    """What places in returned lists of dicts mean, where each dict has the same keys for the same
    leaves: the leaves of its layer, in the order in which more of the numbers are right.
    """
    found = dict(meanings)
    for layers in layers_in(meanings).values():
        offsets = offsets_of(chain.leaves, layers, meanings)
        if not offsets:
            continue
        orders = [in_order(chain.leaves, layers, offsets, step) for step in (1, -1)]
        fitting = [order for order in orders if all(is_fit(chain, *one) for one in order.items())]
        if fitting:
            best = max(fitting, key=lambda order: sum(is_right(chain, *o) for o in order.items()))
            found |= {path: (x,) for path, x in best.items()}
    return found


def layers_in(meanings: Meanings) -> dict[Path, Layers]:
    """For each list the places in its dicts or objects, by number and key."""
    found: dict[Path, Layers] = defaultdict(lambda: defaultdict(dict))
    for path in meanings:
        if len(path) > 2 and isinstance(path[-2], int) and not isinstance(path[-1], int):
            found[path[:-2]][path[-2]][str(path[-1])] = path
    return found


def offsets_of(leaves: Sequence[Value], layers: Layers, meanings: Meanings) -> dict[str, int]:
    """Where in its layer the leaf of each key stands; empty where the keys tell layers apart, or do
    not go with the leaves.
    """
    first, *others = layers.values()
    same = all(other.keys() == first.keys() for other in others)
    if not (others and same and len(leaves) == len(first) * len(layers)):
        return {}
    found: dict[str, int] = {}
    for key in first:
        of = {meanings[layer[key]] for layer in layers.values()}
        (x, *rest) = next(iter(of)) or (None,)
        if len(of) > 1 or rest or x not in leaves:
            return {}
        found[key] = leaves.index(x)
    numbers = {place // len(first) for place in found.values()}
    is_whole = len({*found.values()}) == len(first) and len(numbers) == 1
    return {key: place % len(first) for key, place in found.items()} if is_whole else {}


def in_order(
    leaves: Sequence[Value], layers: Layers, offsets: Mapping[str, int], step: int
) -> dict[Path, Value]:
    """The leaf of each place, where the layers are listed in the order of the leaves, or backwards."""
    found = {}
    for i, number in enumerate(sorted(layers)[::step]):
        for key, path in layers[number].items():
            found[path] = leaves[i * len(offsets) + offsets[key]]
    return found


def is_fit(chain: Chain, path: Path, x: Value) -> bool:
    """Whether what is in a place may be the gradient of a leaf."""
    return fits(chain.watched.returned[path], chain.graph.gradient_of[x])


def is_right(chain: Chain, path: Path, x: Value) -> bool:
    """Whether what is in a place is the gradient of a leaf."""
    match = chain.right.get(chain.watched.returned[path].made, ())
    return any(m.value is chain.graph.gradient_of[x] for m in match)
