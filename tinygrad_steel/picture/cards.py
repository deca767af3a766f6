"""The card of a Tensor: what a picture says of one value."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from .. import ops
from ..engine.tensor import Tensor
from ..ops.fast import is_numpy
from ..ops.op import Op
from ..program.expressions import INFIX
from ..program.literals import index_text, value_text
from ..program.texts import Text
from .gradients import Gradients, length
from .graph import Graph
from .scope import Path, common, scope_of
from .words import number_text, printable

# What stands largest on the card of an op; for all others it is their name.
GLYPHS: dict[Op | None, str] = {
    **{op: sign for op, (sign, _) in INFIX.items()},
    ops.negative: "-",
    ops.softmax_cross_entropy: "CE",
    ops.sigmoid_cross_entropy: "BCE",
    ops.getitem: "[ ]",
}
FEW = 12  # a Tensor with no more elements can have its numbers on its card


@dataclasses.dataclass(frozen=True)
class Card:
    """One value: a leaf, or an op whose result it is; or several equal blocks, folded.

    `kind`: input, parameter, target, constant, op, output or fold. `glyph`: what stands largest on
    the card of an op. `grad`: the Euclidean length of its gradient, None where there is none.
    `note`: what is said in its place, or beside it. `facts`: further lines. `spine`: whether it is
    on the way from the data to the result. `count`: how many blocks are folded.
    """

    id: str
    kind: str
    name: str
    op: str
    shape: tuple[int, ...]
    scope: Path
    glyph: str = ""
    value: str = ""
    grad: float | None = None
    note: str = ""
    facts: list[str] = dataclasses.field(default_factory=list)
    tooltip: str = ""
    spine: bool = False
    count: int = 1


def cards_of(graph: Graph, gradients: Gradients, view: str, values: bool) -> dict[Tensor, Card]:
    """The card of each Tensor, inputs first; with the numbers of small ones where `values` are."""
    spine = {*graph.spine}
    found = {}
    for i, t in enumerate(graph.tensors):
        g = gradient_on_card(t, gradients, view)
        kind = graph.kinds[t]
        name = graph.names[t]
        if kind == "output" and not name:
            name = "output"
        op_name = t.op.name if t.op is not None else ""
        called = printable(name) or op_name or "no name"
        title = f"{called}: {kind} {t.shape} {t.dtype}"
        found[t] = Card(
            id=f"n{i}",
            kind=kind,
            name=name,
            op=op_name,
            shape=t.shape,
            scope=scope_in(graph, t),
            glyph=GLYPHS.get(t.op, op_name),
            value=single_value(t),
            grad=None if g is None else length(g),
            note=missing_gradient(t, gradients) if g is None else "",
            facts=settings(t) + (small_array(t) if values else []),
            tooltip="\n".join([title, *statistics(t, gradients)]),
            spine=t in spine,
        )
    return found


def gradient_on_card(t: Tensor, gradients: Gradients, view: str) -> Any:
    """The gradient that a card shows: forward, a leaf has what `backward()` has left there."""
    if not t.requires_grad:
        return None
    if view == "forward" and t.op is None:
        return t.grad
    return gradients.whole.get(t)


def scope_in(graph: Graph, t: Tensor) -> Path:
    """Where a Tensor was computed; a parameter or constant belongs where it is used."""
    if graph.kinds[t] in ("parameter", "constant"):
        return common(scope_of(y) for y in graph.users[t])
    return scope_of(t)


def missing_gradient(t: Tensor, gradients: Gradients) -> str:
    """What the card of a leaf says where it has no gradient."""
    if t.op is not None:
        return ""
    if not t.requires_grad:
        return "no gradient"
    arrives = not gradients.pulled or t in gradients.whole
    return "no gradient yet" if arrives else "no gradient arrives"


# Numbers


def single_value(t: Tensor) -> str:
    """The number of a Tensor that has one."""
    if t.size != 1 or not is_numpy(t.data):
        return ""
    return f"{t.item():.5g}" if t.dtype.kind == "f" else str(t.item())


def small_array(t: Tensor) -> list[str]:
    """The numbers of a Tensor that has few."""
    if t.size == 1 or t.size > FEW or not is_numpy(t.data):
        return []
    return np.array2string(t.data, precision=3, separator=", ").splitlines()


def statistics(t: Tensor, gradients: Gradients) -> list[str]:
    """The mean and the ends of the numbers of a Tensor and of its gradient."""
    if t.dtype.kind != "f" or not t.size or not is_numpy(t.data):
        return []
    g = gradients.whole.get(t) if gradients.pulled else getattr(t, "grad", None)
    numbers = {"": t.data, "gradient ": g}
    return [
        f"{what}mean {np.mean(x):.3g}, min {np.min(x):.3g}, max {np.max(x):.3g}"
        for what, x in numbers.items()
        if x is not None
    ]


# What an op was called with


def settings(t: Tensor) -> list[str]:
    """Plain numbers among the inputs of a result, and parameters that are not as usual."""
    words = plain_numbers(t)
    for key, value in t.params.items():
        if key == "rng" and t.op is not None and t.op.draws:
            continue  # which one it is, its address alone would tell
        if key == "index":
            words.append(f"[{index_text(value, [Text('...')] * len(t.inputs))}]")
        elif t.op is not None and repr(value) != repr(t.op.defaults[key]):
            words.append(f"{key}={without_addresses(value_text(value))}")
    return [", ".join(words)] if words else []


def plain_numbers(t: Tensor) -> list[str]:
    """The inputs that are no Tensors; beside the sign of an op where they stand, as in `2 - _`."""
    numbers = [x for x in t.inputs if not isinstance(x, Tensor)]
    if numbers and len(t.inputs) == 2 and t.op in GLYPHS:
        sides = ("_" if isinstance(x, Tensor) else number_text(x) for x in t.inputs)
        return [f" {GLYPHS[t.op]} ".join(sides)]
    return [number_text(x) for x in numbers]


def without_addresses(text: str) -> str:
    """Text of an object in which no address says where it happens to lie."""
    return re.sub(" at 0x[0-9a-f]+", "", text)
