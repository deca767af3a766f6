"""The arrows of a picture: values on their way into ops, and gradients on the way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator

from ..engine.tensor import Tensor
from ..program.called import Called
from ..program.formulas import vjps_in_picture
from .folds import Folds
from .gradients import Gradients

LONGEST = 320  # characters of code on an arrow


@dataclasses.dataclass(frozen=True)
class Arrow:
    """A value on its way into an op, and its gradient on the way back.

    `tail`, `head`: ids of cards. `size`: the length of the gradient that is sent back, None where
    none is shown. `op`: what sends it. `code`: its vjp, from `g`. `failed`: why there is no code
    for it. `spine`: whether it is on the way from the data to the result.
    """

    tail: str
    head: str
    broadcast: str = ""
    size: float | None = None
    op: str = ""
    code: str = ""
    failed: str = ""
    spine: bool = False

    @property
    def words(self) -> str:
        """The code, or what it is of where nobody would read it; a tooltip has all of it."""
        return self.code if len(self.code) <= LONGEST else f"vjp of {self.op}"

    @property
    def flows(self) -> bool:
        """Whether a gradient is shown."""
        return self.size is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Use:
    """A Tensor as the input of an op, at this place among its inputs, and what is sent back."""

    y: Tensor
    x: Tensor
    place: int
    size: float | None


def arrows_of(folds: Folds, gradients: Gradients, view: str, called: Called) -> list[Arrow]:
    """One arrow for each input of each op, in order; between a fold and another card just one."""
    steps = folds.graph.steps
    codes = Codes(called)
    arrows = []
    for uses in uses_by_arrow(folds, gradients, view):
        use = next((use for use in uses if use.size is not None), uses[0])
        y, x = use.y, use.x
        code = failed = broadcast = ""
        if y not in folds.folded:  # what happens inside a fold is said nowhere
            broadcast = broadcasting(y, x)
            if use.size is not None:
                code, failed = codes.of(use)
        arrow = Arrow(
            tail=folds.shown[x],
            head=folds.shown[y],
            broadcast=broadcast,
            size=use.size,
            op=y.op.name if y.op is not None else "",
            code=code,
            failed=failed,
            spine=any((use.x, use.y) in steps for use in uses),
        )
        arrows.append(arrow)
    return arrows


def uses_by_arrow(folds: Folds, gradients: Gradients, view: str) -> Iterator[list[Use]]:
    """The uses that each arrow stands for: of a fold all from, or to, the same card."""
    found: dict[Hashable, list[Use]] = {}
    for use in uses_of(folds, gradients, view):
        tail, head = folds.shown[use.x], folds.shown[use.y]
        if use.x in folds.folded or use.y in folds.folded:
            if tail != head:
                found.setdefault((tail, head), []).append(use)
        else:
            found[use.y, use.place] = [use]
    return iter(found.values())


def uses_of(folds: Folds, gradients: Gradients, view: str) -> Iterator[Use]:
    """Each use of each Tensor, as far as both are drawn."""
    for y in folds.graph.tensors:
        if not folds.graph.inputs[y]:
            continue
        sizes = gradients.lengths_to_inputs(y)
        for place, (x, size) in enumerate(zip(y.inputs, sizes)):
            if isinstance(x, Tensor) and x in folds.shown:
                yield Use(y, x, place, None if view == "forward" else size)


def broadcasting(y: Tensor, x: Tensor) -> str:
    """What NumPy does to an input before an op that works element by element."""
    if y.op is not None and y.op.elementwise and x.ndim and x.shape != y.shape:
        return f"broadcast to {y.shape}"
    return ""


class Codes:
    """The vjps of ops in code, each op traced when it is first asked for."""

    def __init__(self, called: Called):
        self.called = called
        self.known: dict[Tensor, tuple[list[str | None], str]] = {}

    def of(self, use: Use) -> tuple[str, str]:
        """What the op sends to this input; where no code says it, the op's name, and why."""
        if use.y not in self.known:
            self.known[use.y] = self.written(use.y)
        codes, failed = self.known[use.y]
        return codes[use.place] or "", failed

    def written(self, y: Tensor) -> tuple[list[str | None], str]:
        """The vjps of an op; their mere name where they run on arrays alone, and the error."""
        try:
            return vjps_in_picture(y, self.called), ""
        except Exception as error:  # of whatever kind a rule of somebody's own raises on Tensors
            name = y.op.name if y.op is not None else ""
            return [f"vjp of {name}"] * len(y.inputs), f"{type(error).__name__}: {error}"
