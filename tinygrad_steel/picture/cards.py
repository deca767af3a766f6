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
from ..program.literals import index_text, short_number, value_text
from ..program.texts import Text
from .figures import FEW, in_rows, single
from .gradients import Gradients, length
from .graph import Graph, inputs_of
from .scope import Path, common, scope_of
from .verdicts import Mark
from .words import plural, printable

# What stands largest on the card of an op; for all others it is their name.
GLYPHS: dict[Op | None, str] = {
    **{op: sign for op, (sign, _) in INFIX.items()},
    ops.negative: "-",
    ops.softmax_cross_entropy: "CE",
    ops.sigmoid_cross_entropy: "BCE",
    ops.getitem: "[ ]",
}


@dataclasses.dataclass(frozen=True)
class Card:
    """One value: a leaf, or an op whose result it is; or several equal blocks, folded.

    `kind`: input, parameter, target, constant, op, output or fold. `called`: what formulas call it,
    where that is not its name. `glyph`: what stands largest on the card of an op. `value`: the
    number of a value that has one. `grad`: the Euclidean length of its gradient, None where there
    is none. `signed`: its number where it has one. `grad_rows`: its numbers where they are few and
    asked for. `note`: what is said in its place, or beside it. `facts`: further lines. `spine`:
    whether it is on the way from the data to the result. `count`: how many blocks are folded.
    `mark`: what a report says of its gradient.
    """

    id: str
    kind: str
    name: str
    op: str
    shape: tuple[int, ...]
    scope: Path
    called: str = ""
    glyph: str = ""
    value: str = ""
    grad: float | None = None
    signed: str = ""
    grad_rows: list[str] = dataclasses.field(default_factory=list)
    note: str = ""
    facts: list[str] = dataclasses.field(default_factory=list)
    tooltip: str = ""
    spine: bool = False
    count: int = 1
    mark: Mark | None = None

    @property
    def label(self) -> str:
        """Its name; a number from outside without one has its value instead."""
        is_number = not self.op and not self.shape
        return self.name or self.called or (self.value if is_number else "")

    @property
    def remark(self) -> str:
        """What formulas call it, or the result of a fold, where the label does not say it."""
        if self.kind == "fold":
            return f"result: {self.called}" if self.called else ""
        return f"{self.called} in formulas" if self.name and self.called else ""


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
        rows, grad_rows = small_arrays(t, g) if values else ([], [])
        found[t] = Card(
            id=f"n{i}",
            kind=kind,
            name=name,
            op=op_name,
            shape=t.shape,
            scope=scope_in(graph, t),
            glyph=GLYPHS.get(t.op, op_name),
            value=single_number(t.data),
            grad=None if g is None else length(g),
            signed=single_number(g),
            grad_rows=grad_rows,
            note=missing_gradient(t, gradients) if g is None else "",
            facts=settings(t) + left_out(t, graph) + rows,
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


def left_out(t: Tensor, graph: Graph) -> list[str]:
    """How many inputs are further back than is drawn; else those that are drawn seem to be all."""
    count = sum(x not in graph.inputs for x in dict.fromkeys(inputs_of(t)))
    return [f"{plural(count, 'input')} left out"] if count else []


# Numbers


def single_number(x: Any) -> str:
    """The number of an array that has one; empty for any other, and where there is none."""
    return single(x) if x is not None and is_numpy(x) and x.size == 1 else ""


def small_arrays(t: Tensor, g: Any) -> tuple[list[str], list[str]]:
    """The numbers of a Tensor that has few, and those of its gradient, as lines."""
    if not 1 < t.size <= FEW or not is_numpy(t.data):
        return [], []
    if g is None or not is_numpy(g):
        return in_rows(t.data)[0], []
    rows, grad_rows = in_rows(t.data, g)
    return rows, grad_rows


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
            words.append(f"[{index_text(value, [Text('_')] * len(t.inputs))}]")
        elif t.op is not None and repr(value) != repr(t.op.defaults[key]):
            words.append(f"{key}={without_addresses(value_text(value))}")
    return [", ".join(words)] if words else []


def plain_numbers(t: Tensor) -> list[str]:
    """The inputs that are no Tensors; beside the sign of an op where they stand, as in `2 - _`."""
    numbers = [x for x in t.inputs if not isinstance(x, Tensor)]
    if numbers and t.op in INFIX:
        sides = ("_" if isinstance(x, Tensor) else short_number(x) for x in t.inputs)
        return [f" {INFIX[t.op][0]} ".join(sides)]
    words = ["_" if isinstance(x, Tensor) else short_number(x) for x in t.inputs]
    return [", ".join(words)] if numbers else []


def without_addresses(text: str) -> str:
    """Text of an object in which no address says where it happens to lie."""
    return re.sub(" at 0x[0-9a-f]+", "", text)
