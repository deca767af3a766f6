"""Steps of a graph that are alike, as one line in a loop makes them."""

from __future__ import annotations

from typing import Any

from ...program.values import VALUES, Apply, Value
from ..traced_loss import Graph


class Alike:
    """Results of one op that have the same place in each round of a loop, the first round first.

    `made_of`: for each input the parameter that all have there, or those results that are alike and
    that all have there; None for data.
    """

    def __init__(self, made_of: list[Any]) -> None:
        self.made_of = made_of
        self.members: list[Apply] = []
        self.used: set[tuple[int, Any]] = set()

    def takes(self, y: Apply, made_of: list[Any]) -> bool:
        """Whether a result with these inputs is one more of them: a parameter tells it, and else
        no input may be another one; a state before the first round may be data. What is made twice
        of one value is made in one round.
        """
        if any(
            isinstance(a, Alike) and (i, y.inputs[i]) in self.used for i, a in enumerate(made_of)
        ):
            return False
        pairs = [(a, b) for a, b in zip(self.made_of, made_of) if a is not None and b is not None]
        same = [a for a, b in pairs if a is b]
        return len(same) == len(pairs) or any(isinstance(a, VALUES) for a in same)

    def add(self, y: Apply, made_of: list[Any]) -> None:
        """One more of them."""
        self.members.append(y)
        self.used.update(enumerate(y.inputs))
        self.made_of = [a if b is None else b for a, b in zip(self.made_of, made_of)]


def alike(graph: Graph) -> list[Alike]:
    """The results that are alike, since a parameter is used for each of them: two or more."""
    of: dict[Value, Any] = {x: x for x in graph.leaves if x in graph.wanted}
    by_input: dict[Any, list[Alike]] = {}
    found: dict[Alike, None] = {}
    for y in graph.forward:
        if not isinstance(y, Apply):
            continue
        made_of = [of.get(x) if isinstance(x, VALUES) else None for x in y.inputs]
        keys = [(y.op, y.shape, i, x) for i, x in enumerate(made_of) if x is not None]
        known = (one for key in keys for one in by_input.get(key, ()))
        if not keys:
            continue
        one = next((one for one in known if one.takes(y, made_of)), None) or Alike(made_of)
        one.add(y, made_of)
        of[y] = one
        found[one] = None
        for key in keys:
            if one not in (ones := by_input.setdefault(key, [])):
                ones.append(one)
    return [one for one in found if len(one.members) > 1]


def rounds(graph: Graph, ones: list[Alike]) -> dict[Value, int]:
    """In which round of the loop each value is made. What the first round has not is counted from
    the last; what is not alike is made in the last round of which it has something.
    """
    longest = max((len(one.members) for one in ones), default=0)
    found: dict[Value, int] = {}
    for one in ones:
        late = longest - len(one.members)
        found.update((y, late + k) for k, y in enumerate(one.members))
    for y in graph.forward:
        made_in = [found[x] for x in y.values() if x in found]
        if y not in found and made_in:
            found[y] = max(made_in)
    return found


def handed_on(graph: Graph, ones: list[Alike]) -> list[tuple[Value, Apply]]:
    """What a round takes from one before it, and what it makes of that: the state, and not what
    only the loss takes from all of them.
    """
    made_in = rounds(graph, ones)
    needed: set[Value] = {
        y for one in ones for y in one.members
    }  # for what is alike in the same round
    for y in reversed(graph.forward):
        if y in needed:
            needed.update(x for x in y.values() if made_in.get(x) == made_in[y])
    return [
        (x, y)
        for y in graph.forward
        if isinstance(y, Apply) and y in needed
        for x in dict.fromkeys(y.values())
        if made_in.get(x, made_in[y]) < made_in[y]
    ]
