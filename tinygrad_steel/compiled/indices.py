"""Where the elements of arrays are, as source: behind views, and in a flat block of memory."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from .. import ops
from ..ops.op import Op
from ..ops.sliding import steps_of
from ..program.values import Apply, Value
from .lowered import REDUCTIONS, is_view

# For each axis a text: a loop variable, a number, or an expression of these.
Index = tuple[str, ...]
Shape = tuple[int, ...]
SHIFTED = re.compile(r"\((\d+) \+ (\w+)\)")  # a loop variable from a number on


def loop_shape(value: Apply) -> Shape:
    """The shape over which a value is computed."""
    return value.inputs[0].shape if value.op in REDUCTIONS else value.shape


def folded_axes(value: Apply) -> tuple[int, ...]:
    """The axes of its input that a reduction takes in, counted from the first (see machine.py)."""
    return value.params.get("axis", tuple(range(len(value.inputs[0].shape))))  # type: ignore[no-any-return]


def loop_variables(shape: Shape) -> Index:
    """A loop variable for each axis."""
    return tuple("0" if n == 1 else f"i{axis}" for axis, n in enumerate(shape))


def input_index(value: Apply, x: Value, at: Index) -> Index:
    """Where a value reads its input `x` for the element `at` of its loops."""
    if value.op in REDUCTIONS:
        return at
    if value.op is ops.one_hot:
        return at[:1]
    return broadcast(x.shape, at)


def elements_read(value: Apply) -> list[tuple[Value, bool]]:
    """The arrays that a value reads at each turn of its loops, and whether at the very place of
    that turn.
    """
    shape = loop_shape(value)
    at = loop_variables(shape)
    read = [behind(x, input_index(value, x, at)) for x in value.values()]
    return [(base, is_same_place(base, of, where, at)) for base, of, where in read]


def is_same_place(base: Value, shape: Shape, where: Index, at: Index) -> bool:
    """Whether an element of a base, found in this shape, is the one at the turn `at` of the loops."""
    return where == at and shape == base.shape


def behind(x: Value, at: Index) -> tuple[Value, Shape, Index]:
    """The value behind views, and where in it the element `at` of `x` is.

    That is an index into the shape of that value, or into another one with the same elements in
    the same order, where such an index needs no division.
    """
    while is_view(x):
        if x.op is ops.reshape and not is_view(x.inputs[0]) and not has_same_axes(x):
            return x.inputs[0], x.shape, at
        if x.op in BEHIND:
            at = BEHIND[x.op](x, at)
        (x,) = x.inputs
    return x, x.shape, at


# One function for each op that gives a view: where in its input the element `at` is


def broadcast(shape: Shape, at: Index) -> Index:
    """The index into an array of this shape, broadcast to what has the index `at`."""
    own = at[len(at) - len(shape) :]
    return tuple("0" if n == 1 else i for n, i in zip(shape, own))


def behind_broadcast(view: Apply, at: Index) -> Index:
    return broadcast(view.inputs[0].shape, at)


def behind_transpose(view: Apply, at: Index) -> Index:
    count = len(view.shape)
    axes = view.params.get("axes") or tuple(range(count))[::-1]
    moved_to = [i % count for i in axes]
    return tuple(at[moved_to.index(k)] for k in range(count))


def behind_swap(view: Apply, at: Index) -> Index:
    order = list(at)
    i, j = view.params["axis1"], view.params["axis2"]
    order[i], order[j] = order[j], order[i]
    return tuple(order)


def behind_flip(view: Apply, at: Index) -> Index:
    # Counted from the first, see machine.py
    flipped = view.params.get("axis", range(len(view.shape)))
    places = enumerate(zip(view.shape, at))
    return tuple(along(n - 1, -1, i) if k in flipped else i for k, (n, i) in places)


def behind_reshape(view: Apply, at: Index) -> Index:
    """The same index but for axes of length 1; else what a division of the flat index leaves."""
    old = view.inputs[0].shape
    if has_same_axes(view):
        long = [i for n, i in zip(view.shape, at) if n != 1]
        left = iter(long)
        return tuple("0" if n == 1 else next(left) for n in old)
    position = flat(0, view.shape, at)
    found, step = [], 1
    for n in reversed(old):
        found.append("0" if n < 2 else digit(position, step, n))
        step *= n
    return tuple(reversed(found))


def has_same_axes(view: Apply) -> bool:
    """Whether a view has the axes of its input, but for those of length 1."""
    old = view.inputs[0].shape
    return [n for n in view.shape if n != 1] == [n for n in old if n != 1]


def digit(position: str, step: int, n: int) -> str:
    """The index along an axis of length `n` whose neighbours are `step` apart."""
    if position.isdigit():
        return str(int(position) // step % n)
    return f"(({position}) // {step} % {n})"


def behind_slices(view: Apply, at: Index) -> Index:
    """The index before `x[index]`, for numbers, slices, None and Ellipsis."""
    return sliced(view.inputs[0].shape, view.params["index"], at)


def sliced(shape: Shape, index: Any, at: Index) -> Index:
    """Where in an array of this shape the element `at` of `x[index]` is."""
    found: list[str] = []
    left = iter(at)
    for part in ops.full_index(index, len(shape)):
        if part is None:
            next(left)
            continue
        n = shape[len(found)]
        if isinstance(part, slice):
            start, _, step = part.indices(n)
            found.append(along(start, step, next(left)))
        else:
            found.append(str(int(part) % n))
    return tuple(found)


def behind_windows(view: Apply, at: Index) -> Index:
    """The place of the window, and the place in it."""
    ndim, axes = len(view.inputs[0].shape), view.params["axes"]
    steps = steps_of(axes, view.params.get("stride", 1), ndim)
    found = [along(0, step, i) for step, i in zip(steps, at)]
    for axis, i in zip(axes, at[ndim:]):
        if i != "0":
            found[axis] = f"({found[axis]} + {i})"
    return tuple(found)


BEHIND: dict[Op | None, Callable[[Apply, Index], Index]] = {
    ops.broadcast_to: behind_broadcast,
    ops.transpose: behind_transpose,
    ops.swapaxes: behind_swap,
    ops.flip: behind_flip,
    ops.reshape: behind_reshape,
    ops.expand_dims: behind_reshape,
    ops.squeeze: behind_reshape,
    ops.getitem: behind_slices,
    ops.sliding_windows: behind_windows,
}


def along(start: int, step: int, i: str) -> str:
    """start + step * i"""
    if i.isdigit():
        return str(start + step * int(i))
    if step == 1:
        return f"({start} + {i})" if start else i
    return f"({start} + {step} * {i})"


def flat(first: int, shape: Shape, at: Index, mark: str = "") -> str:
    """Where in the block an element is, of an array of this shape that begins at `first`.

    `mark`: what stands before the number that is a place in the block (see rolled.py).
    """
    terms: list[str] = []
    step, offset = 1, first
    for n, i in zip(reversed(shape), reversed(at)):
        if i.isdigit():
            offset += int(i) * step
        else:
            terms.append(i if step == 1 else f"{i} * {step}")
        step *= n
    if offset or mark or not terms:
        terms.append(f"{mark}{offset}")
    return " + ".join(reversed(terms))


def unshifted(shape: Shape, at: Index) -> tuple[int, Index]:
    """An index `(1 + i0), i1` as a distance in the array and `i0, i1`."""
    found = [SHIFTED.fullmatch(i) for i in at]
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    distance = sum(int(shift[1]) * step for shift, step in zip(found, steps) if shift)
    return distance, tuple(shift[2] if shift else i for shift, i in zip(found, at))


def indented(lines: list[str], depth: int) -> list[str]:
    """Lines inside so many loops."""
    return ["    " * depth + line for line in lines]
