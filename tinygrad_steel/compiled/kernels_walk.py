"""The loops of a product: over tiles of rows and of columns, over blocks of terms, over terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .kernels_plan import Axis, Shape, count, splits, tile
from .kernels_target import Target
from .kernels_vectors import Index, Vectors

# Over terms: a loop's length, how far one turn moves in a, and how many terms lie inside one.
Loops = Sequence[tuple[Index, int, int]]


class Walk:
    """A product's shape, cut into tiles for a target, and the loops over them."""

    def __init__(self, builder: Any, number: Any, shape: Shape, target: Target) -> None:
        widest = target.width // Vectors(builder, number, 1).size
        self.write = Vectors(builder, number, min(widest, 1 << (shape.columns - 1).bit_length()))
        self.shape, self.target = shape, target
        self.vectors = -(-shape.columns // self.write.lanes)
        self.tile_rows, self.tile_vectors = tile(
            shape.rows, self.vectors, target.held, self.write.size
        )

    def each_rows(
        self,
        body: Callable[[Index, Index, list[int]], None],
        most: int = 0,
        rows: tuple[Axis, ...] = (),
        a_at: Index = 0,
        row: Index = 0,
    ) -> None:
        """body(place in a, row, places of the rows behind it) for all tiles of at most so many rows.

        Where the innermost axes are short, a tile takes several rounds of them.
        """
        write = self.write
        most, rows = most or self.tile_rows, rows or self.shape.rows
        (length, stride), rest = rows[0], rows[1:]
        inside = count(rest)
        if rest and 2 * inside > most:

            def outer(i: Index, _: Any) -> None:
                at, first = write.times(i, stride), write.times(i, inside)
                self.each_rows(body, most, rest, write.add(a_at, at), write.add(row, first))

            write.loop(0, length, 1, outer)
            return
        start = 0
        for size, many in splits(length, max(most // inside, 1)):
            places = places_of((Axis(size, stride), *rest))

            def one(i: Index, _: Any, places: list[int] = places) -> None:
                at, first = write.times(i, stride), write.times(i, inside)
                body(write.add(a_at, at), write.add(row, first), places)

            write.loop(start, start + size * many, size, one)
            start += size * many

    def each_group(self, most: int, body: Callable[[Index, int, Index], None]) -> None:
        """body(first row, rows of a tile, tiles) for groups of at most so many tiles of rows, on one axis."""
        write, start = self.write, 0
        for size, many in splits(self.shape.row_count, self.tile_rows):

            def group(
                t: Index, _: Any, start: int = start, size: int = size, many: int = many
            ) -> None:
                tiles = write.smaller(write.add(write.times(t, -1), many), most)
                body(write.add(write.times(t, size), start), size, tiles)

            write.loop(0, many, most, group)
            start += size * many

    def each_columns(self, body: Callable[[Index, int, int], None], most: int = 0) -> None:
        """body(column, vectors, columns in the last vector) for all tiles of at most so many vectors."""
        write, lanes = self.write, self.write.lanes
        ragged = self.shape.columns % lanes
        start = 0
        for v, many in splits(self.vectors, most or self.tile_vectors):
            step, stop = v * lanes, start + v * many * lanes
            cut = bool(ragged) and stop == self.vectors * lanes

            def whole(j: Index, _: Any, v: int = v) -> None:
                body(j, v, lanes)

            if many > cut:
                write.loop(start, stop - cut * step, step, whole)
            if cut:
                body(stop - step, v, ragged)
            start = stop

    def each_block(
        self,
        most: int,
        axes: tuple[Axis, ...],
        body: Callable[[Index, Index, Loops, Index], None],
        a_at: Index = 0,
        k: Index = 0,
    ) -> None:
        """body(place in a, first term, loops, how many) for blocks of at most so many terms."""
        write = self.write
        (length, stride), rest = axes[0], axes[1:]
        inside = count(rest)
        if rest and inside > most:

            def outer(i: Index, _: Any) -> None:
                at, first = write.times(i, stride), write.times(i, inside)
                self.each_block(most, rest, body, write.add(a_at, at), write.add(k, first))

            write.loop(0, length, 1, outer)
            return
        blocks = -(-length // (most // inside))
        step = -(-length // blocks)

        def block(i: Index, _: Any) -> None:
            at, first = write.times(i, stride), write.times(i, inside)
            turns = write.smaller(write.add(write.times(i, -1), length), step)
            loops = [(turns, stride, inside), *loops_over(rest)]
            body(write.add(a_at, at), write.add(k, first), loops, write.times(turns, inside))

        write.loop(0, length, step, block)

    def terms(
        self,
        loops: Loops,
        body: Callable[[Index, Index, list[Any]], list[Any]],
        sums: list[Any],
        a_at: Index = 0,
        k: Index = 0,
    ) -> list[Any]:
        """sums = body(place in a, term, sums) for all terms, in order."""
        if not loops:
            return body(a_at, k, sums)
        write, (length, stride, inside) = self.write, loops[0]

        def turn(i: Index, sums: list[Any]) -> list[Any]:
            at, first = write.times(i, stride), write.times(i, inside)
            return self.terms(loops[1:], body, sums, write.add(a_at, at), write.add(k, first))

        return write.loop(0, length, 1, turn, sums)


def loops_over(axes: Sequence[Axis]) -> Loops:
    """The loops over all of these axes."""
    return [(axis.length, axis.stride, count(axes[n + 1 :])) for n, axis in enumerate(axes)]


def places_of(axes: Sequence[Axis]) -> list[int]:
    """Where loops over these axes come by, in order."""
    places = [0]
    for length, stride in axes:
        places = [place + i * stride for place in places for i in range(length)]
    return places
