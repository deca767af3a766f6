"""The lines of matrix products: calls of the vector code in kernels.py, plain loops elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..program.values import Apply, Value
from .indices import behind, flat, indented
from .loop_nests import stored
from .lowered import is_mask
from .memory import Block
from .strides import Left, Strided, behind_copy, broadcast_strides, strided


def product_lines(value: Apply, block: Block) -> list[str]:
    """A matrix product, or as many as there are matrices in a stack."""
    a, b = (strided(x) for x in value.inputs)
    if a is None or b is None:
        return plain_loops(value, block)
    left = source_of_left(value)
    if left is not None and a.base not in block.places:
        return [of_source(block.places[value], left, column_matrix(b), block)]
    return calls(block.places[value], row_matrix(a), column_matrix(b), block)


def source_of_left(value: Apply) -> Left | None:
    """What the left matrix is a copy of, where the product does as well without that copy."""
    a, b = value.inputs
    return behind_copy(a) if len(b.shape) == 2 and strided(b) is not None else None


def of_source(place: int, a: Left, b: Strided, block: Block) -> str:
    """The call for a left matrix of several axes."""
    first, right = block.places[a.base] + a.offset, block.places[b.base] + b.offset
    sizes = [a.rows, b.shape[1], a.inner, a.row_strides, a.inner_strides, *b.strides]
    return f"product(m, @{place}, @{first}, @{right}, {', '.join(map(str, sizes))})"


def row_matrix(x: Strided) -> Strided:
    """A vector on the left as a matrix of one row."""
    return x if len(x.shape) > 1 else x._replace(shape=(1, *x.shape), strides=(0, *x.strides))


def column_matrix(x: Strided) -> Strided:
    """A vector on the right as a matrix of one column."""
    return x if len(x.shape) > 1 else x._replace(shape=(*x.shape, 1), strides=(*x.strides, 0))


def calls(place: int, a: Strided, b: Strided, block: Block) -> list[str]:
    """One call for all rows where there is one matrix on the right, else one for each of a stack."""
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    *a_stack, a_row, a_inner = broadcast_strides(a, len(stack) + 2)
    *b_stack, b_inner, b_column = broadcast_strides(b, len(stack) + 2)
    depth = len(stack) if any(b_stack) else 0  # of the loops around
    loops, own_rows, a_rows = stack[:depth], (*stack, rows)[depth:], (*a_stack, a_row)[depth:]
    places = [
        further(place, strides_of(loops, rows * columns)),
        further(block.places[a.base] + a.offset, a_stack[:depth]),
        further(block.places[b.base] + b.offset, b_stack[:depth]),
    ]
    sizes = [own_rows, columns, (inner,), a_rows, (a_inner,), b_inner, b_column]
    lines = [f"product(m, {', '.join(places)}, {', '.join(map(str, sizes))})"]
    for axis, n in reversed([*enumerate(loops)]):
        lines = [f"for i{axis} in range({n}):", *indented(lines, 1)]
    return lines


def strides_of(shape: tuple[int, ...], width: int) -> list[int]:
    """The strides of an array of this shape whose elements are `width` long."""
    return [math.prod(shape[axis + 1 :]) * width for axis in range(len(shape))]


def further(place: int, strides: Any) -> str:
    """A place in the block, further on by the strides of the loops around."""
    steps = [f" + i{axis} * {step}" for axis, step in enumerate(strides) if step]
    return f"@{place}{''.join(steps)}"


def plain_loops(value: Apply, block: Block) -> list[str]:
    """A product of vectors or matrices, one of which is no array in the block: added up there."""
    a, b = value.inputs
    rows = a.shape[0] if len(a.shape) == 2 else 1
    columns = b.shape[1] if len(b.shape) == 2 else 1
    left = element(a, ("i", "k")[-len(a.shape) :], block)
    right = element(b, ("k", "j")[: len(b.shape)], block)
    place = f"m[{flat(block.places[value], (rows, columns), ('i', 'j'), '@')}]"
    return [
        f"for i in range({rows}):",
        f"    for j in range({columns}):",
        f"        {place} = 0.0",
        f"    for k in range({a.shape[-1]}):",
        f"        a = {left}",
        f"        for j in range({columns}):",
        f"            {place} += a * {right}",
    ]


def element(x: Value, at: tuple[str, ...], block: Block) -> str:
    """An element of an input as source."""
    base, shape, where = behind(x, at)
    return stored(base, shape, where, is_mask(x), block)
