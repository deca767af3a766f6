"""Loops that cut out a window at each place, `regs[r, c] = x[:, r:r + kh, c:c + kw].flatten()`, as one call."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..ops.op import is_tensor
from .line import is_integer, made_in, meaning_of

if TYPE_CHECKING:
    from .filling import Filling

READY = " (tinygrad_steel.conv2d, max_pool and avg_pool need no loops)"
FLAT = {"flatten()", "ravel()", "reshape(-1)", "reshape([-1])"}


@dataclass
class Cut:
    """What an index says about one axis of the source: `r:r + kh`, or `r * s:r * s + kh`, or `r`, or `:`."""

    axis: int
    loop: str  # the name that runs; nothing for `:`
    size: str = ""  # of the window, as it is written
    length: int = 0  # of the window
    step: str = ""  # as it is written; nothing for 1
    stride: int = 1


def instead_of_windows(filling: Filling, frame: FrameType) -> str:
    """One call in place of the loops; nothing where they do anything else."""
    source, flat = source_of(filling.value)
    if source is None or filling.sign or not filling.loops:
        return ""
    x: Any = meaning_of(source.value, frame)
    if not is_tensor(x):
        return ""
    ranges = ranges_of(filling)
    cuts = cuts_of(source, x.ndim, ranges, frame)
    order = running(filling, ranges, frame)
    if cuts is None or order is None or sorted(order) != sorted(c.loop for c in cuts if c.loop):
        return ""
    for cut in cuts:
        count = filling.places[order.index(cut.loop)].length if cut.loop else 0
        if (
            cut.loop
            and len(range(0, x.shape[cut.axis] - max(cut.length, 1) + 1, cut.stride)) != count
        ):
            return ""
    name = ast.unparse(source.value)
    if not any(c.size for c in cuts) or made_in(filling.loops[0], name):
        return ""
    text = windows(name, cuts) + in_order(cuts, order)
    head = filling.loops[0]
    text = f"{filling.name} = {text}" + (f".reshape({filling.name}.shape)" if flat else "")
    return f"in place of the loop `for {ast.unparse(head.target)} in {ast.unparse(head.iter)}`: {text}{READY}"  # type: ignore[union-attr]


def source_of(value: ast.expr) -> tuple[ast.Subscript | None, bool]:
    """What windows are cut out of, and whether each is made flat."""
    if isinstance(value, ast.Subscript):
        return value, False
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        inner = value.func.value
        call = ast.unparse(value).removeprefix(f"{ast.unparse(inner)}.")
        if isinstance(inner, ast.Subscript) and call in FLAT:
            return inner, True
    return None, False


def ranges_of(filling: Filling) -> dict[str, ast.expr]:
    """The names that run over `range(n)`, and n; none where the loops do more than fill."""
    found = {}
    for i, loop in enumerate(filling.loops):
        inside = [*filling.loops, filling.statement][i + 1]
        if not isinstance(loop, ast.For) or loop.body != [inside] or loop.orelse:
            return {}
        call = loop.iter
        if (
            not isinstance(call, ast.Call)
            or ast.unparse(call.func) != "range"
            or len(call.args) != 1
        ):
            return {}
        found[ast.unparse(loop.target)] = call.args[0]
    return found


def running(filling: Filling, ranges: dict[str, ast.expr], frame: FrameType) -> list[str] | None:
    """The names in the order of the axes that they fill from end to end; None for all else."""
    order = [p.before for p in filling.places if p.single]
    first = filling.places[: len(order)]
    if set(order) != {*ranges} or not all(p.single for p in first):
        return None
    if any(p.proper for p in filling.places[len(order) :]):
        return None
    whole = [meaning_of(ranges[p.before], frame) == p.length for p in first]
    return order if all(whole) else None


def cuts_of(
    source: ast.Subscript, ndim: int, ranges: dict[str, ast.expr], frame: FrameType
) -> list[Cut] | None:
    """What the index says about each axis; None where that is something else."""
    parts = source.slice.elts if isinstance(source.slice, ast.Tuple) else [source.slice]
    if len(parts) > ndim or any(ast.unparse(p) == "..." for p in parts):
        return None
    parts = [*parts, *[ast.Slice()] * (ndim - len(parts))]
    cuts = [cut_of(part, axis, ranges, frame) for axis, part in enumerate(parts)]
    return None if None in cuts else cuts  # type: ignore[return-value]


def cut_of(part: ast.expr, axis: int, ranges: dict[str, ast.expr], frame: FrameType) -> Cut | None:
    """What one part of the index says about its axis."""
    if isinstance(part, ast.Name) and part.id in ranges:
        return Cut(axis, part.id)
    if not isinstance(part, ast.Slice) or part.step is not None:
        return None
    low, high = part.lower, part.upper
    if low is None and high is None:
        return Cut(axis, "")
    if low is None or not (isinstance(high, ast.BinOp) and isinstance(high.op, ast.Add)):
        return None
    length = meaning_of(high.right, frame)
    if ast.unparse(high.left) != ast.unparse(low) or not is_integer(length):
        return None
    found = Cut(axis, "", ast.unparse(high.right), length)
    if isinstance(low, ast.BinOp) and isinstance(low.op, ast.Mult):
        names = [low.left, low.right]
        names = names if ast.unparse(low.left) in ranges else names[::-1]
        stride = meaning_of(names[1], frame)
        if not is_integer(stride) or stride < 1:
            return None
        low, found.step, found.stride = names[0], ast.unparse(names[1]), stride
    found.loop = ast.unparse(low)
    return found if found.loop in ranges else None


def windows(name: str, cuts: list[Cut]) -> str:
    """All windows, whose axes come last."""
    cut = [c for c in cuts if c.size]
    sizes, axes = ", ".join(c.size for c in cut), ", ".join(str(c.axis) for c in cut)
    if len(cut) > 1:
        sizes, axes = f"({sizes})", f"({axes})"
    steps = [f"::{c.step}" if c.step else ":" for c in cuts]
    while steps and steps[-1] == ":":
        steps.pop()
    index = f"[{', '.join(steps)}]" if steps else ""
    return f"np.lib.stride_tricks.sliding_window_view({name}, {sizes}, axis={axes}){index}"


def in_order(cuts: list[Cut], order: list[str]) -> str:
    """The axes as the loops have them: first what they run over, then what each window has."""
    of_loop: dict[str, Any] = {c.loop: c.axis for c in cuts if c.loop}
    behind = iter(range(len(cuts), 2 * len(cuts)))
    inside = [next(behind) if c.size else c.axis for c in cuts if c.size or not c.loop]
    axes = [of_loop[name] for name in order] + inside
    return "" if axes == sorted(axes) else f".transpose({', '.join(map(str, axes))})"
