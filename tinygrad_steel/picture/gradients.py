"""The gradients in a picture: pulled for it alone, so that neither data nor `.grad` change."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from ..engine.backward import pull_arrays, seed
from ..engine.recording import Watcher, recording
from ..engine.tensor import Tensor
from .graph import Graph


@dataclasses.dataclass(eq=False)
class Gradients(Watcher):
    """Watches gradients pass, and keeps what a picture shows of them.

    `pulled`: whether there are any. `whole`: the gradient of each Tensor. `lengths`: for a result,
    how long the gradients are that it sends to its inputs. `said`: what the subtitle says of them.
    `failed`: why none could be pulled.
    """

    pulled: bool = False
    whole: dict[Tensor, Any] = dataclasses.field(default_factory=dict)
    lengths: dict[Tensor, list[float]] = dataclasses.field(default_factory=dict)
    said: str = ""
    failed: str = ""

    def gradient(self, y: Tensor, g: Any) -> Any:
        """Called for every whole gradient."""
        self.whole[y] = np.broadcast_to(np.asarray(g), y.shape)
        return g

    def sent(self, y: Tensor, x: Tensor, g: Any) -> None:
        """Called for what every op sends to its inputs."""
        full = np.broadcast_to(np.asarray(g), x.shape)
        self.lengths.setdefault(y, []).append(length(full))

    def lengths_to_inputs(self, y: Tensor) -> list[float | None]:
        """For each input of `y`, how long the gradient is that it gets; None where it gets none."""
        sent = iter(self.lengths.get(y, []))
        receives = [isinstance(x, Tensor) and x.requires_grad for x in y.inputs]
        return [next(sent, None) if each else None for each in receives]


def gradients_of(graph: Graph, view: str) -> Gradients:
    """All gradients of a graph; none where nobody has asked for them."""
    if not graph.parameters:
        return Gradients(said="nothing requires a gradient")
    if view != "forward":
        return pull_for_picture(graph, f"gradients of {graph.names[graph.root] or 'the result'}")
    if all(t.grad is None for t in graph.parameters):
        return Gradients(said="no backward() yet")
    call = ".".join(filter(None, (graph.names[graph.root], "backward()")))
    try:
        return pull_for_picture(graph, f"gradients from {call}")
    except Exception as error:
        # Data has changed since, the result has several elements, or a vjp of somebody's own is
        # wrong, which can be any error. A forward picture is right without, and says why.
        said = "gradients of parameters as backward() left them, none of results"
        return Gradients(said=said, failed=f"gradients of results cannot be pulled: {error}")


def pull_for_picture(graph: Graph, said: str) -> Gradients:
    """All gradients of a graph, pulled anew; raises what `backward()` raises."""
    found = Gradients(pulled=True, said=said)
    start = seed(graph.root, None)
    with recording(watcher=found):
        pull_arrays(graph.root, start)
    return found


def length(g: Any) -> float:
    """The Euclidean length, also of numbers whose squares are too large or too small.

    >>> length([-6e-200, 8e-200])
    1e-199
    """
    sizes = np.abs(np.asarray(g, dtype=float))
    largest = float(np.max(sizes, initial=0.0))
    if not 0 < largest < math.inf:
        return largest
    return largest * float(np.sqrt(np.sum(np.square(sizes / largest))))
