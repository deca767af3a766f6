"""The lines of matrix products: calls of the vector code in kernels.py, plain loops elsewhere."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..program.values import VALUES, Apply, Value
from .indices import behind, flat, indented
from .loop_nests import stored
from .lowered import is_mask
from .memory import Block
from .strides import Left, Strided, along_axes, behind_copy, strided


class Fused(NamedTuple):
    """What computes a value at once: a `kernel` for a product and an array `beside` it, a bias or a
    result of relu. `passed`: the values on the way, which nobody else needs.
    """

    kernel: str
    product: Apply
    beside: Value
    passed: tuple[Apply, ...]

    @property
    def is_row(self) -> bool:
        """Whether the array beside the product is one row; else it is as large as the product."""
        return self.kernel in ("affine", "affine_relu")


def is_product(value: Apply) -> bool:
    """Whether it is a matrix product that has a form here: of floats, or of masks that are floats."""
    if value.op is not ops.matmul or value.dtype.kind != "f":
        return False
    if not all(isinstance(x, VALUES) for x in value.inputs):
        return False
    plain = all(1 <= len(x.shape) <= 2 for x in value.inputs)
    return plain or all(strided(x) is not None for x in value.inputs)


def product_lines(value: Apply, block: Block) -> list[str]:
    """A matrix product, or as many as there are matrices in a stack."""
    left, right = operands(value, block)
    if left is None or right is None:
        return plain_loops(value, block)
    return calls("product", value, left, right, block)


def fused_lines(value: Apply, made: Fused, block: Block) -> list[str]:
    """A product that goes on at once: see shortcuts.py."""
    left, right = operands(made.product, block)
    beside = strided(made.beside)
    assert left and right and beside, "only products of arrays in the block are fused"
    place = block.places[beside.base] + beside.offset
    return calls(made.kernel, value, left, right, block, (place, made.is_row))


def operands(value: Apply, block: Block) -> tuple[Left | None, Strided | None]:
    """Both sides of a product; the left is read where it comes from, if it has no copy."""
    a, b = (strided(x) for x in value.inputs)
    if a is None or b is None:
        return None, None
    source = source_of_left(value)
    if source is not None and a.base not in block.places:
        return source, b
    a, b = row_matrix(a), column_matrix(b)
    return Left(a.base, a.offset, a.shape[:-1], a.strides[:-1], a.shape[-1:], a.strides[-1:]), b


def source_of_left(value: Apply) -> Left | None:
    """What the left matrix is a copy of, where the product does as well without that copy."""
    a, b = value.inputs
    return behind_copy(a) if len(b.shape) == 2 and strided(b) is not None else None


def row_matrix(x: Strided) -> Strided:
    """A vector on the left as a matrix of one row."""
    return x if len(x.shape) > 1 else x._replace(shape=(1, *x.shape), strides=(0, *x.strides))


def column_matrix(x: Strided) -> Strided:
    """A vector on the right as a matrix of one column."""
    return x if len(x.shape) > 1 else x._replace(shape=(*x.shape, 1), strides=(*x.strides, 0))


def calls(
    kernel: str,
    value: Apply,
    a: Left,
    b: Strided,
    block: Block,
    beside: tuple[int, bool] | None = None,
) -> list[str]:
    """One call for all rows where there is one matrix on the right, else one for each of a stack.

    `beside`: where an array beside the product begins, and whether it is one row.
    """
    columns, *b_steps = b.shape[-1], *b.strides[-2:]
    stack = np.broadcast_shapes(a.rows[:-1], b.shape[:-2])
    a_stack = along_axes(len(stack), a.row_strides[:-1])
    b_stack = along_axes(len(stack), b.strides[:-2])
    depth = len(stack) if any(b_stack) else 0  # of the loops around
    rows = (*stack, a.rows[-1])[depth:]
    steps = (*a_stack, a.row_strides[-1])[depth:]
    width = a.rows[-1] * columns
    moved = strides_of(stack[:depth], width)
    own = [] if beside is None else [further(beside[0], [] if beside[1] else moved)]
    places = [
        further(block.places[value], moved),
        *own,
        further(block.places[a.base] + a.offset, a_stack[:depth]),
        further(block.places[b.base] + b.offset, b_stack[:depth]),
    ]
    sizes = [rows, columns, a.inner, steps, a.inner_strides, *b_steps]
    lines = [f"{kernel}({', '.join([*places, *map(str, sizes)])})"]
    for axis, n in reversed([*enumerate(stack[:depth])]):
        lines = [f"for i{axis} in range({n}):", *indented(lines, 1)]
    return lines


def strides_of(shape: tuple[int, ...], width: int) -> list[int]:
    """The strides of an array of this shape whose elements are `width` long."""
    return [math.prod(shape[axis + 1 :]) * width for axis in range(len(shape))]


def further(place: int, strides: Any) -> str:
    """A place in the block, further on by the strides of the loops around."""
    steps = [f" + i{axis} * {step}" for axis, step in enumerate(strides) if step]
    return f"(m, @{place}{''.join(steps)})"


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
