"""A graph traced for a page: forward and backward, or as much of both as can be had."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...engine.backward import pull_arrays, seed
from ...engine.recording import Watcher, recording
from ...engine.tensor import Tensor
from ...ops.op import describe
from ...program.given_names import Names
from ...program.trace import Traced, for_reader, trace, trace_forward
from ...program.values import Leaf, Value
from ..gradients import Gradients, length
from ..graph import Graph


@dataclasses.dataclass(frozen=True, eq=False)
class Followed:
    """What is known of a graph.

    `numbers`: the array of each value. `sent`: what a Tensor sends to its input at a place. `note`:
    why something is missing.
    """

    traced: Traced
    numbers: dict[Value, np.ndarray]
    sent: Mapping[tuple[Tensor, int], Value]
    note: str = ""

    def gradient(self, t: Tensor) -> Value | None:
        """The gradient of a Tensor, if one arrives there."""
        return self.traced.gradient_of.get(self.traced.made[t])


def traced_for_page(tensor: Tensor, names: Names) -> Traced:
    """The Program of a loss as a page shows it; raises what `backward()` raises."""
    return for_reader(trace(tensor, names))


def follow(graph: Graph, names: Names, traced: Traced | None) -> Followed:
    """All that can be had: forward and backward, else the forward with gradients as they come."""
    if traced is None:
        try:
            traced = traced_for_page(graph.root, names)
        except Exception as error:
            # Several elements, data that has changed, a rule of somebody's own that does not run on
            # Tensors, which raises what it likes: the page says which, and shows the rest.
            return follow_forward(graph, names, error)
        numbers = traced.numbers()
        return Followed(traced, numbers, sent_by(graph, traced), written_since(traced, numbers))
    return Followed(traced, traced.numbers(), sent_by(graph, traced))


def written_since(traced: Traced, numbers: Mapping[Value, np.ndarray]) -> str:
    """What is said where numbers were written into the data of a leaf, which nobody notices then:
    what was computed from it is not what the page computes.
    """
    for y, value in traced.made.items():
        leaves = [x for x in y.inputs if isinstance(x, Tensor) and x.op is None]
        if leaves and is_other(numbers[value], np.asarray(y.data)):
            called = ", ".join(describe(x) for x in dict.fromkeys(leaves))
            return (
                f"the numbers of this page are not those of the loss that was computed: some have "
                f"been written into {called} since, or an op draws at random and does not say so; "
                f"compute the loss anew"
            )
    return ""


def is_other(now: np.ndarray, before: np.ndarray) -> bool:
    """Whether two results of one op differ by more than rounding."""
    is_float = before.dtype.kind == "f"
    if np.array_equal(now, before, equal_nan=is_float):
        return False
    finite = np.isfinite(before) & np.isfinite(now)
    if not is_float or not np.array_equal(now[~finite], before[~finite], equal_nan=True):
        return True
    largest = max(float(np.max(np.abs(x[finite]), initial=0)) for x in (now, before))
    far = np.abs(now[finite].astype(float) - before[finite].astype(float))
    return bool(np.any(far > 100 * float(np.finfo(before.dtype).eps) * largest))


def follow_forward(graph: Graph, names: Names, error: Exception) -> Followed:
    """The forward as it was computed; gradients where the rules run on arrays at least."""
    traced = trace_forward(graph.root, names)
    known = {x: np.asarray(t.data) for t, x in traced.made.items()}
    for y in traced.made:  # a leaf as it was when it was used: its data may have changed since
        for x, array in zip(y.inputs, y.arrays):
            if isinstance(x, Tensor):
                known[traced.made[x]] = np.asarray(array)
    traced = dataclasses.replace(traced, arrays={**traced.arrays, **known})
    note = f"there is no backward here: {error}"
    if not graph.root.requires_grad:
        return Followed(traced, traced.numbers(), {}, note)
    pulled = Pulled(traced)
    try:
        with recording(watcher=pulled):
            pull_arrays(graph.root, seed(graph.root, None))
    except Exception:  # the first error says why: it is of the same kind, or what led to this one
        return Followed(traced, traced.numbers(), {}, note)
    traced = pulled.traced
    note = f"gradients are without the code that computes them: {error}"
    return Followed(traced, traced.numbers(), sent_by(graph, traced), note)


class Pulled(Watcher):
    """Gradients as rules on arrays give them: values that nobody has computed."""

    def __init__(self, forward: Traced):
        self.forward = forward
        self.arrays: dict[Value, np.ndarray] = dict(forward.arrays)
        self.gradient_of: dict[Value, Value] = {}
        self.edges: list[tuple[Value, Value, Value]] = []

    def gradient(self, y: Tensor, g: Any) -> Any:
        """Called for every whole gradient."""
        self.gradient_of[self.forward.made[y]] = self.leaf(g, y)
        return g

    def sent(self, y: Tensor, x: Tensor, g: Any) -> None:
        """Called for what every op sends to its inputs."""
        made = self.forward.made
        self.edges.append((made[y], made[x], self.leaf(g, x)))

    def leaf(self, g: Any, t: Tensor) -> Value:
        """A gradient as a value, in the shape of its Tensor."""
        array = np.array(np.broadcast_to(np.asarray(g), t.shape))
        value = Leaf(array.shape, array.dtype)
        self.arrays[value] = array
        return value

    @property
    def traced(self) -> Traced:
        """The forward, and these gradients beside it."""
        return dataclasses.replace(
            self.forward,
            gradient_of=self.gradient_of,
            edges=tuple(self.edges),
            arrays=self.arrays,
        )


def sent_by(graph: Graph, traced: Traced) -> dict[tuple[Tensor, int], Value]:
    """What each Tensor sends to its input at each place; an op sends in the order of its inputs."""
    edges: dict[Value, list[Value]] = {}
    for from_y, _, g in traced.edges:
        edges.setdefault(from_y, []).append(g)
    found: dict[tuple[Tensor, int], Value] = {}
    for y in graph.tensors:
        each = iter(edges.get(traced.made[y], ()))
        for place, x in enumerate(y.inputs):
            sent = next(each, None) if isinstance(x, Tensor) and x.requires_grad else None
            if sent is not None:
                found[y, place] = sent
    return found


def gradients_on_cards(graph: Graph, followed: Followed) -> Gradients:
    """All gradients as a picture knows them."""
    if not graph.parameters:
        return Gradients(said="nothing requires a gradient")
    if not followed.traced.gradient_of:
        return Gradients(said="no gradients")
    found = Gradients(pulled=True, said=f"gradients of {graph.names[graph.root] or 'the result'}")
    for t in graph.every:
        g = followed.gradient(t)
        if g is not None:
            found.whole[t] = followed.numbers[g]
    for (y, _), sent in followed.sent.items():
        found.lengths.setdefault(y, []).append(length(followed.numbers[sent]))
    return found
