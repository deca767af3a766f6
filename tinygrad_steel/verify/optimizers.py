"""What an optimizer keeps beside the parameters: running means of gradients, and of their squares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..program.values import Value
from .bindings import Binding
from .chain import Chain, before
from .closeness import constant_factor, matches
from .meaning import HOLDS_GRADIENTS, is_marked
from .recognise import oriented


def states(chain: Chain) -> set[Binding]:
    """What was made of a right gradient of a leaf and of its own former value, as momentum is, goes
    into a step of training, and is no gradient; with what is made of that alone.
    """
    kept = {b for b in chain.made if b not in chain.right and is_state(chain, b)}
    if not kept:
        return set()
    steps = [b for b in chain.made if is_step(chain, b)]
    used = {a for b in steps for a in before(b.reads) if a is not b}
    found = kept & used
    for b in chain.made:
        is_new = b not in chain.right and b not in chain.forward and b not in steps
        if is_new and any(a.made in found for a in b.reads if a.array.shape == b.array.shape):
            found.add(b)
    return found


def is_step(chain: Chain, b: Binding) -> bool:
    """Whether an array was made of a parameter and has its shape, as that after a step has."""
    is_new = b not in chain.right and b not in chain.forward and not b.origin.given
    return is_new and any(
        was_leaf(chain, a.made) for a in b.reads if a.array.shape == b.array.shape
    )


def was_leaf(chain: Chain, b: Binding) -> bool:
    """Whether an array is a parameter as it was before a step."""
    return any(m.value in chain.graph.wanted for m in chain.forward.get(b, ()))


def is_scaled(chain: Chain, b: Binding, x: Value) -> bool:
    """Whether an array is the gradient of a leaf but for a number, and no parameter after a step for
    that: the leaf itself would have that direction, too.
    """
    graph = chain.graph
    own = graph.numbers[graph.gradient_of[x]]
    return own.size > 1 and has_direction(b.array, own) and not has_direction(graph.numbers[x], own)


def has_direction(array: np.ndarray, own: np.ndarray) -> bool:
    """Whether an array is another one but for a number, perhaps 0, however it lies."""
    return any(constant_factor(a, own) is not None for _, a in oriented(array, own.shape))


def is_state(chain: Chain, b: Binding) -> bool:
    """Whether an array is a running mean of a right gradient, or of its square."""
    if b.before is None or b.origin.given or b.array.dtype.kind != "f":
        return False
    if any(map(holds_gradients, chain.names_of(b))):
        return False
    former = b.before.made
    if former.array.shape != b.array.shape or former in chain.right:
        return False
    if np.any(former.array) and was_leaf(chain, former):  # zeros are the leaf only by chance
        return False
    return any(is_mean(b.array, former.array, g) for g in gradients_in(chain, b))


def holds_gradients(name: Binding) -> bool:
    """Whether a variable says that it is a gradient, or the container in which it is that it holds
    some: nobody calls a running mean so.
    """
    if len(name.path) == 1:
        return is_marked(name.path)
    return any(HOLDS_GRADIENTS.match(str(part)) for part in name.path[:-1])


def gradients_in(chain: Chain, b: Binding) -> Iterator[np.ndarray]:
    """The right gradients of leaves of which an array was made, and their squares."""
    for a in before([b]):
        values = (chain.gradients[m.value] for m in chain.right.get(a, ()))
        if a.array.shape == b.array.shape and any(x in chain.graph.wanted for x in values):
            yield a.array
            yield a.array * a.array


def is_mean(array: np.ndarray, former: np.ndarray, g: np.ndarray) -> bool:
    """Whether an array is `k * former + c * g`, with `k` from 0 to 1 and no larger `c`."""
    if not np.any(former):
        factor = constant_factor(array, g)
        return factor is not None and 0 < abs(factor) <= 1
    sides = np.stack([former.ravel(), g.ravel()], axis=1).astype(float)
    (k, c), *_ = np.linalg.lstsq(sides, array.ravel().astype(float), rcond=None)
    return 0 <= k <= 1 and 0 < abs(c) <= 1 and matches(array, (k * former + c * g), rtol=1e-9)
