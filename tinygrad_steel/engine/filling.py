"""What to write in place of `z[i] = t`, which fills a buffer: a list, np.concatenate, np.pad or windows.

Each text is right when pasted: it is only given where the shapes of the moment and what stands
around the line say so.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np

from ..ops.op import data_of, is_tensor
from .holders import is_out_of_sight, is_seen_elsewhere
from .line import LOOPS, is_integer, made_in, meaning_of, scope_of, written_out
from .loops_as_windows import READY, instead_of_windows

# What makes an array of one value.
ONE_VALUE = {
    "zeros",
    "ones",
    "empty",
    "full",
    "zeros_like",
    "ones_like",
    "empty_like",
    "full_like",
    "ndarray",
}
# What may be subtracted and added again: with -1e9, say, nothing would be left of a small number.
LARGEST = 1000
OPERATORS = {"+": ast.Add(), "-": ast.Sub()}


@dataclass
class Place:
    """What an index says about one axis: a whole number, or from where to where."""

    axis: int
    count: int  # of what it takes
    length: int  # of the axis
    single: bool
    before: str  # where it begins, as it is written; nothing for the start
    behind: str  # the first one behind, as it is written; nothing for the end
    from_end: bool = False  # whether a name counts from the end: its number is below 0

    @property
    def proper(self) -> bool:
        """Whether what is written may be less than the whole axis, although it is not at the moment."""
        return self.single or bool(self.before or self.behind)


@dataclass
class Filling:
    """`z[...] = value`, or `z[...] += value`, and what is known about it."""

    owner: ast.expr
    array: Any
    places: list[Place]
    value: ast.expr
    sign: str  # of `+=` and `-=`
    statement: ast.stmt
    target: ast.Subscript
    around: list[ast.AST]

    @property
    def name(self) -> str:
        """The array as it is written."""
        return ast.unparse(self.owner)

    @property
    def text(self) -> str:
        """The value as it is written."""
        return ast.unparse(self.value)

    @property
    def loops(self) -> list[ast.For | ast.While]:
        """The loops in which it is filled, outermost first: not those that make the buffer anew."""
        found = [x for x in scope_of(self.around) if isinstance(x, LOOPS)]
        return [x for x in found if not made_in(x, self.name)]


def instead_of_filling(
    statement: ast.Assign | ast.AugAssign, around: list[ast.AST], frame: FrameType, t: Any
) -> str:
    """What to write for an assignment to some elements of an array; nothing where that is not known."""
    if not (hasattr(t, "shape") or isinstance(t, int | float)):
        return ""
    filling = read(statement, around, frame, t)
    if filling is None:
        return by_mask(statement, around, frame, t)
    if is_out_of_sight(filling.name, around, frame):
        return ""
    if is_seen_elsewhere(filling.array, filling.owner, statement, around, frame):
        return ""
    text = instead_of_windows(filling, frame) or in_a_loop(filling) or at_once(filling)
    return text + with_return(filling) if text else ""


def with_return(filling: Filling) -> str:
    """What to do besides, where a function fills what it was given."""
    function = scope_of(filling.around)[0]
    if not isinstance(function, ast.FunctionDef):
        return ""
    given = [x.arg for x in ast.walk(function.args) if isinstance(x, ast.arg)]
    answers = [x for x in ast.walk(function) if isinstance(x, ast.Return) and x.value is not None]
    names = {y.id for x in answers for y in ast.walk(x) if isinstance(y, ast.Name)}
    if filling.name not in given or filling.name in names:
        return ""
    return f"; then return {filling.name}, as the array that {function.name} was given stays what it is"


def at_once(filling: Filling) -> str:
    """One line in place of this one."""
    proper = [p for p in filling.places if p.proper]
    if not filling.sign and len(proper) == 1 and proper[0].single and not proper[0].axis:
        return one_row(filling, proper[0])
    if any(p.from_end for p in proper):
        return ""
    if filling.sign:
        return f"{filling.name} = {filling.name} {filling.sign} {padded(filling, filling.text)}"
    if not proper:
        return f"{filling.name} = {filling.text}"
    return joined(filling, proper[0]) if len(proper) == 1 else framed(filling)


def by_mask(
    statement: ast.Assign | ast.AugAssign, around: list[ast.AST], frame: FrameType, t: Any
) -> str:
    """One number where a mask says so."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if not isinstance(target, ast.Subscript) or np.ndim(t):
        return ""
    array, index = ast.unparse(target.value), ast.unparse(target.slice)
    axes, known = axes_of_mask(target.slice, frame), meaning_of(target.value, frame)
    if axes is None or not is_fillable(known) or axes > known.ndim:
        return ""
    if is_seen_elsewhere(known, target.value, statement, around, frame):
        return ""
    if axes < known.ndim:
        index = f"np.expand_dims({index}, {(*range(axes, known.ndim),)})"
    return f"{array} = np.where({index}, {ast.unparse(statement.value)}, {array})"


def axes_of_mask(node: ast.expr, frame: FrameType) -> int | None:
    """How many axes a mask has; None for what is no mask."""
    if isinstance(node, ast.Compare):
        sides = [meaning_of(x, frame) for x in (node.left, *node.comparators)]
        return None if any(x is None for x in sides) else max(map(np.ndim, sides))
    mask = meaning_of(node, frame)
    return np.ndim(mask) if getattr(mask, "dtype", np.dtype(float)).kind == "b" else None


def one_row(filling: Filling, at: Place) -> str:
    """Of one element of a list of numbers, or of one row."""
    name, text = filling.name, filling.text
    collect = f"append each {text} to a list, of which np.stack makes one Tensor"
    if len(filling.places) > 1:
        return framed(filling) if filling.loops and not at.from_end else collect
    i = at.before or "0"
    if at.from_end or i[:1] == "-":
        i = f"({i}) % len({name})" if " " in i else f"{i} % len({name})"
    return f"{name} = np.where(np.arange(len({name})) == {i}, {text}, {name}); or {collect}"


def read(
    statement: ast.Assign | ast.AugAssign, around: list[ast.AST], frame: FrameType, t: Any
) -> Filling | None:
    """All that is known about it; None where that is too little."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    if not isinstance(target, ast.Subscript):
        return None
    owner, indices = taken_apart(target, frame)
    z = meaning_of(owner, frame)
    if not is_fillable(z):
        return None
    places = places_in(indices, z.shape, frame)
    if places is None:
        return None
    value = stretched(statement.value, target, getattr(t, "shape", ()), places)
    if value is None:
        return None
    sign = ""
    if isinstance(statement, ast.AugAssign):
        sign = {ast.Add: "+", ast.Sub: "-"}.get(type(statement.op), "")
        value = value if sign else ast.BinOp(copied(target), statement.op, statement.value)
    return Filling(owner, z, places, value, sign, statement, target, around)


def is_fillable(z: Any) -> bool:
    """Whether a new result in its place is what is meant: not in that of a leaf that is trained.

    Nor in that of whole numbers: NumPy would cut the value off.
    """
    if not (isinstance(z, np.ndarray) or is_tensor(z)) or z.dtype.kind != "f":
        return False
    return not (is_tensor(z) and z.requires_grad and z.op is None)


def stretched(
    value: ast.expr, target: ast.Subscript, shape: tuple[int, ...], places: list[Place]
) -> ast.expr | None:
    """The value in the shape of what it fills; None where it does not fit."""
    part = tuple(p.count for p in places if not p.single)
    if shape == part:
        return value
    try:
        fits = np.broadcast_shapes(shape, part) == part
    except ValueError:
        fits = False
    if not fits:
        return None
    text = f"np.broadcast_to({ast.unparse(value)}, np.shape({ast.unparse(target)}))"
    return ast.parse(text, mode="eval").body


def taken_apart(target: ast.Subscript, frame: FrameType) -> tuple[ast.expr, list[ast.expr]]:
    """The array and its index, which may be written one by one: `z[i][j]`."""
    indices = [*target.slice.elts] if isinstance(target.slice, ast.Tuple) else [target.slice]
    owner = target.value
    if isinstance(owner, ast.Subscript) and not isinstance(meaning_of(owner.value, frame), dict):
        inner, first = taken_apart(owner, frame)
        known = meaning_of(inner, frame)
        if isinstance(known, np.ndarray) and not any(isinstance(x, ast.Slice) for x in first):
            return inner, first + indices
    return owner, indices


def places_in(
    indices: list[ast.expr], shape: tuple[int, ...], frame: FrameType
) -> list[Place] | None:
    """What an index says about each axis; None for all but whole numbers and slices without a step."""
    full = [i for i, x in enumerate(indices) if isinstance(x, ast.Constant) and x.value is ...]
    rest = [ast.Slice()] * (len(shape) - len(indices) + len(full))
    indices = [*indices[: full[0]], *rest, *indices[full[0] + 1 :]] if full else [*indices, *rest]
    if len(indices) != len(shape):
        return None
    places = [place(x, axis, shape[axis], frame) for axis, x in enumerate(indices)]
    return None if None in places else places  # type: ignore[return-value]


def place(index: ast.expr, axis: int, length: int, frame: FrameType) -> Place | None:
    """What one part of an index says about its axis."""
    if not isinstance(index, ast.Slice):
        i = meaning_of(index, frame)
        if not is_integer(i):
            return None
        text = ast.unparse(index)
        behind = str(i + 1) if written_out(index) else f"{text} + 1"
        from_end = i < 0 and not written_out(index)
        behind = "" if i == -1 and not from_end else behind
        return Place(axis, 1, length, True, "" if text == "0" else text, behind, from_end)
    ends: list[Any] = [x and meaning_of(x, frame) for x in (index.lower, index.upper)]
    if index.step is not None:
        return None
    for end, known in zip((index.lower, index.upper), ends):
        if end is None:
            continue
        negated = isinstance(end, ast.UnaryOp)  # -n, which stays what it is in `z[:-n]`
        if not is_integer(known) or abs(known) > length or (known < 0 and not negated):
            return None
    first, last, _ = slice(*ends).indices(length)
    before, behind = (ast.unparse(x) if x else "" for x in (index.lower, index.upper))
    before = "" if before == "0" else before
    return Place(axis, max(0, last - first), length, False, before, behind)


# In loops: a list, of which np.stack makes one Tensor


def in_a_loop(filling: Filling) -> str:
    """Lines before the loop, in it and behind it."""
    if not filling.loops:
        return ""
    proper = [p for p in filling.places if p.proper]
    singles = [p for p in filling.places if p.single]
    if len(singles) == len(filling.places) > 1:
        return number_by_number(filling)
    if len(proper) != 1 or not proper[0].single or used_otherwise(filling, proper[0].axis):
        return ""
    axis, name = proper[0].axis, filling.name
    rows = f"np.moveaxis({name}, {axis}, 0)" if axis else name
    value = OneIndex(name, axis).visit(copied(filling.value))
    at = copied(ast.parse(f"{name}[{proper[0].before or 0}]", mode="eval").body)
    if filling.sign:
        value = ast.BinOp(at, OPERATORS[filling.sign], value)
    here = f"{ast.unparse(at)} = {ast.unparse(value)}"
    stays = here == ast.unparse(filling.statement)
    ending = f", axis={axis}" if axis else ""
    return (
        f"before {loop_text(filling)}: {name} = list({rows}); "
        + ("" if stays else f"in place of this line: {here}; ")
        + f"after the loop: {name} = np.stack({name}{ending})"
    )


def number_by_number(filling: Filling) -> str:
    """An array of objects takes Tensors as they are."""
    name, z = filling.name, filling.array
    if is_tensor(z) and z.requires_grad:
        return ""
    plain = f"{name}.numpy()" if is_tensor(z) else name
    ready = READY if z.ndim == 4 else ""
    return (
        f"before {loop_text(filling)}: {name} = {plain}.astype(object); after the loop: "
        f"{name} = np.stack(list({name}.flat)).reshape({name}.shape){ready}"
    )


def loop_text(filling: Filling) -> str:
    """The head of the outermost loop in which it is filled."""
    loop = filling.loops[0]
    if isinstance(loop, ast.For):
        return f"`for {ast.unparse(loop.target)} in {ast.unparse(loop.iter)}`"
    return f"`while {ast.unparse(loop.test)}`"


class OneIndex(ast.NodeTransformer):
    """`z[:, i]` as `z[i]`, for a list of what is along an axis."""

    def __init__(self, name: str, axis: int):
        self.name, self.axis = name, axis

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Of this array alone."""
        self.generic_visit(node)
        index = index_along(node, self.axis)
        if ast.unparse(node.value) != self.name or index is None:
            return node
        return ast.Subscript(node.value, index, node.ctx)


def index_along(node: ast.Subscript, axis: int) -> ast.expr | None:
    """The only part of an index that is no `:`, where it stands at an axis; else None."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if axis >= len(parts):
        return None
    others = [x for i, x in enumerate(parts) if i != axis]
    whole = all(isinstance(x, ast.Slice) and ast.unparse(x) == ":" for x in others)
    return parts[axis] if whole and not isinstance(parts[axis], ast.Slice | ast.Starred) else None


def used_otherwise(filling: Filling, axis: int) -> bool:
    """Whether the loop uses the buffer in a way that a list would not take, or in other lines."""
    inside = [x for x in ast.walk(filling.loops[0]) if isinstance(x, ast.expr)]
    uses = sum(ast.unparse(x) == filling.name for x in inside)
    taken = [
        x
        for x in inside
        if isinstance(x, ast.Subscript)
        and ast.unparse(x.value) == filling.name
        and index_along(x, axis) is not None
    ]
    lengths = sum(ast.unparse(x) == f"len({filling.name})" for x in inside)
    if len(taken) + (0 if axis else lengths) < uses:
        return True
    own = [x for x in ast.walk(filling.statement) if x in taken]
    return len(own) < len(taken) and any(
        isinstance(x.slice, ast.Tuple) for x in taken if x not in own
    )


# At once


def joined(filling: Filling, at: Place) -> str:
    """What is before and behind on the only axis that is not filled as a whole, and the value between."""
    name, along = filling.name, ":, " * at.axis
    before = [f"{name}[{along}:{at.before}]"] if at.before else []
    behind = [f"{name}[{along}{at.behind}:]"] if at.behind else []
    ending = f", axis={at.axis}" if at.axis else ""
    parts = ", ".join([*before, expanded(filling, filling.text), *behind])
    return f"{name} = np.concatenate([{parts}]{ending})"


def framed(filling: Filling) -> str:
    """The value with what is around it: one value, or what is there."""
    name, z = filling.name, filling.array
    made = made_in(scope_of(filling.around)[0], name)
    if (
        len(made) == 1
        and is_first(filling)
        and np.all(np.equal(numbers_of(z), numbers_of(z).flat[0]))
    ):
        kind = maker(made[0])
        if kind in ("zeros", "zeros_like") and not numbers_of(z).any():
            return f"{name} = {padded(filling, filling.text)}"
        if kind and not is_tensor(z):
            return f"{name} = {padded(filling, filling.text, f'{name}.flat[0]')}"
    if not np.all(np.abs(numbers_of(z)) <= LARGEST):
        return ""
    there = ast.unparse(ast.BinOp(filling.value, ast.Sub(), copied(filling.target)))
    return f"{name} = {name} + {padded(filling, there)}"


def is_first(filling: Filling) -> bool:
    """Whether nothing was filled in before."""
    inside = ast.walk(scope_of(filling.around)[0])
    places = [x for x in inside if isinstance(x, ast.Subscript) and isinstance(x.ctx, ast.Store)]
    earlier = [
        x
        for x in places
        if x.lineno < filling.statement.lineno and ast.unparse(x).startswith(f"{filling.name}[")
    ]
    return not earlier and not filling.loops


def numbers_of(z: Any) -> np.ndarray:
    """The numbers of an array or a Tensor."""
    return np.asarray(data_of(z))


def maker(node: ast.expr) -> str:
    """The function that made an array of one value, as `np.zeros(...) + fill`; else nothing."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return maker(node.left) and "filled"
    name = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    return name if name in ONE_VALUE else ""


def padded(filling: Filling, value: str, constant: str = "") -> str:
    """The value in the place that it fills, with zeros, or another constant, around it."""
    widths = ", ".join(width(p, filling.name) for p in filling.places)
    comma = "," if len(filling.places) == 1 else ""
    constant = f", constant_values={constant}" if constant else ""
    return f"np.pad({expanded(filling, value)}, ({widths}{comma}){constant})"


def width(p: Place, name: str) -> str:
    """How many there are before and behind, in the user's words."""
    length = f"{name}.shape[{p.axis}]"
    before, behind = p.before or "0", p.behind
    if before.startswith("-"):
        before = f"{length} - {before[1:]}"
    if behind.startswith("-"):
        return f"({before}, {behind[1:]})"
    behind = behind if behind.replace("_", "").isalnum() else f"({behind})"
    return f"({before}, {f'{length} - {behind}' if p.behind else '0'})"


def expanded(filling: Filling, text: str) -> str:
    """A value with an axis of length 1 for each single place."""
    singles = [p.axis for p in filling.places if p.single]
    if not singles:
        return text
    return f"np.expand_dims({text}, {singles[0] if len(singles) == 1 else tuple(singles)})"


def copied(node: ast.expr) -> ast.expr:
    """The same tree once more."""
    return ast.parse(ast.unparse(node), mode="eval").body
