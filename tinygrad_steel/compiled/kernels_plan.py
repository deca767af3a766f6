"""How a product is cut into tiles that registers and caches hold: numbers only, no code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# Bytes, by measurement; caches of other machines are of about this size.
NEAR = 32 * 1024  # what stays in the first cache
PANEL = 64 * 1024  # columns of b that are copied together
FAR = 1024 * 1024  # a b that need not be copied: the few columns of a tile stay in the second cache
LARGE = 4 * FAR  # an a whose rows push each other out of the cache
GROUP = 96 * 1024  # rows of a that are copied together: the second cache, and a stack, have room


class Axis(NamedTuple):
    """A loop: its length, and how far one turn moves in `a`."""

    length: int
    stride: int


class Shape(NamedTuple):
    """A product by sizes and strides, with axes folded where one loop does for two."""

    rows: tuple[Axis, ...]
    columns: int
    inner: tuple[Axis, ...]
    b_inner: int
    b_column: int

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return count(self.rows)

    @property
    def inner_count(self) -> int:
        """How many terms a sum has."""
        return count(self.inner)


def count(axes: Sequence[Axis]) -> int:
    """The turns of all loops together."""
    return math.prod(axis.length for axis in axes)


def folded(lengths: Sequence[int], strides: Sequence[int]) -> tuple[Axis, ...]:
    """The fewest loops that run over the same places in the same order; at least one."""
    axes: list[Axis] = []
    for axis in map(Axis, lengths, strides):
        if axis.length == 1:
            continue
        if axes and axes[-1].stride == axis.length * axis.stride:
            axes[-1] = Axis(axes[-1].length * axis.length, axis.stride)
        else:
            axes.append(axis)
    return tuple(axes) or (Axis(1, 0),)


def shape_of(
    rows: Sequence[int],
    columns: int,
    inner: Sequence[int],
    a_rows: Sequence[int],
    a_inner: Sequence[int],
    b_inner: int,
    b_column: int,
) -> tuple[Shape, bool]:
    """The product with folded axes, and whether `a` and `b` have changed places.

    A single column is a single row of the transposed product, where the longer side lies along vectors.
    """
    shape = Shape(folded(rows, a_rows), columns, folded(inner, a_inner), b_inner, b_column)
    if columns == 1 and len(shape.rows) == len(shape.inner) == 1:
        (row,), (term,) = shape.rows, shape.inner
        one = (Axis(1, 0),)
        flipped = Shape(one, row.length, (Axis(term.length, b_inner),), term.stride, row.stride)
        return flipped, True
    return shape, False


def splits(n: int, most: int) -> list[tuple[int, int]]:
    """n as few nearly equal parts of at most `most`, the larger first: [(size, how many), ...]."""
    if n == 0:
        return []
    parts = -(-n // most)
    small, extra = divmod(n, parts)
    return [(size, many) for size, many in ((small + 1, extra), (small, parts - extra)) if many]


def row_sizes(rows: Sequence[Axis], most: int) -> list[tuple[int, int]]:
    """The sizes of the tiles that rows are cut into, and how many there are of each."""
    rest = count(rows[1:])
    if len(rows) == 1 or 2 * rest <= most:
        return [(size * rest, many) for size, many in splits(rows[0].length, max(most // rest, 1))]
    return [(size, many * rows[0].length) for size, many in row_sizes(rows[1:], most)]


def tile(rows: Sequence[Axis], vectors: int, held: int, size: int) -> tuple[int, int]:
    """The rows and vectors of a tile that make the product fastest: its sums, and a row of `b`, stay in registers.

    A turn of the loop over terms takes as long as its multiplications (two at once), its loads (two
    at once), or the sum before it (4 cycles), whichever is longest.
    """
    best = (math.inf, 1, 1)
    for v in range(1, min(vectors, 8) + 1):
        for most in range(1, min(held // v - 1, rows_side_by_side(rows, size)) + 1):
            cycles = 0.0
            for width, across in splits(vectors, v):
                for height, down in row_sizes(rows, most):
                    turn = max(height * width / 2, (height + width) / 2, 4.0)
                    cycles += across * down * (turn + 0.3 + 0.01 * (height + width))
            best = min(best, (cycles, most, v))
    return best[1:]


def rows_side_by_side(rows: Sequence[Axis], size: int) -> int:
    """How many rows of `a` the first cache holds at once, one of its ways being for `b`.

    It has 8 ways of 4 KB; what lies 4 KB apart shares a place in each.
    """
    return 7 * 4096 // math.gcd(rows[-1].stride * size, 4096)
