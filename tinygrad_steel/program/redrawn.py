"""The generators that a written source draws from, each where it was before the draws of a graph."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..ops.states import put_back, state
from .generators import equal, is_generator
from .trace import Traced
from .values import Apply, Value


@dataclasses.dataclass(frozen=True, eq=False)
class Sequence:
    """Draws that follow one another, from one generator.

    `generator`: the one that drew them. `begin`: its state before the first of them.
    """

    generator: Any
    begin: Any

    def again(self) -> Any:
        """A generator of the same kind, that is to draw the same."""
        found = copy.deepcopy(self.generator)
        put_back(found, self.begin)
        return found


def sequences(traced: Traced) -> dict[Value, Sequence]:
    """From which sequence each draw is, in the order of drawing.

    Where somebody else has drawn from a generator in between, a new one begins.
    """
    begins = {y: t.arrays[-1] for t, y in traced.made.items() if t.op is not None and t.op.draws}
    found: dict[Value, Sequence] = {}
    drawing: dict[int, tuple[Sequence, Any]] = {}  # by the generator: a copy that draws along
    for y in traced.forward:
        if not isinstance(y, Apply) or not y.op.draws:
            continue
        rng = y.params["rng"]
        sequence, along = drawing.get(id(rng), (None, None))
        if sequence is None or not equal(state(along), begins[y]):
            sequence = Sequence(rng, begins[y])
            along = sequence.again()
            drawing[id(rng)] = sequence, along
        y.op.forward(traced.arrays[y], **{**y.params, "rng": along})
        found[y] = sequence
    return found


@contextlib.contextmanager
def before_draws(traced: Traced) -> Iterator[None]:
    """Inside the `with`, generators are where they were before the graph drew; then as they were.

    So code that draws from the same ones draws the same.
    """
    begins: dict[int, Sequence] = {}
    for x in sequences(traced).values():
        begins.setdefault(id(x.generator), x)
    now = [(x.generator, state(x.generator)) for x in begins.values()]
    for x in begins.values():
        put_back(x.generator, x.begin)
    try:
        yield
    finally:
        for generator, old in now:
            put_back(generator, old)


def names_of(
    drawn: Mapping[Value, Sequence], variables: Mapping[str, Any] | None
) -> dict[Sequence, str]:
    """What the sequences are called: as the variable that holds their generator, or `rng`."""
    held = {id(x): name for name, x in (variables or {}).items() if is_generator(x)}
    return {x: held.get(id(x.generator), "rng") for x in drawn.values()}
