"""The forms of a product as loops of vector code: tiles on b as it lies, tiles on a packed b, dot products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .kernels_plan import NEAR, Axis, Shape, count, splits, tile
from .kernels_target import Target
from .kernels_vectors import Index, Vectors

Loops = Sequence[
    tuple[Index, int, int]
]  # over terms: the length, and one turn's step in a and in b


class Kernel:
    """A product in the making: c = a @ b, by its sizes and strides, on one target."""

    def __init__(
        self, builder: Any, number: Any, shape: Shape, target: Target, c: Any, a: Any, b: Any
    ) -> None:
        size = Vectors(builder, number, 1).size
        widest = target.width // size
        self.write = Vectors(builder, number, min(widest, 1 << (shape.columns - 1).bit_length()))
        self.shape, self.target = shape, target
        self.c, self.a, self.b = c, a, b
        self.vectors = -(-shape.columns // self.write.lanes)
        self.tile_rows, self.tile_vectors = tile(shape.rows, self.vectors, target.held)

    @property
    def b_bytes(self) -> int:
        """The bytes of all of b."""
        return self.shape.inner_count * self.vectors * self.write.lanes * self.write.size

    def emit(self) -> None:
        """Write the form that is fastest for this shape."""
        shape = self.shape
        if not shape.inner_count:
            self.zeros()
        elif self.suits_dots():
            self.dots()
        elif shape.b_column == 1 and (
            self.b_bytes <= NEAR or shape.row_count <= 2 * self.tile_rows
        ):
            self.direct()
        else:
            self.packed()

    def zeros(self) -> None:
        """c = 0, where sums have no terms."""
        zero = self.write.number(0.0)
        numbers = self.shape.row_count * self.shape.columns
        self.write.loop(0, numbers, 1, lambda i, _: self.write.store_number(zero, self.c, i))

    # Tiles.

    def direct(self) -> None:
        """Tiles on b as it lies: rows outside where all of b stays near, else columns outside."""
        write, shape = self.write, self.shape
        loops = [
            (axis.length, axis.stride, count(shape.inner[n + 1 :]) * shape.b_inner)
            for n, axis in enumerate(shape.inner)
        ]

        def at(a_at: Index, row: Index, places: Sequence[int], j: Index, v: int, last: int) -> None:
            a, b = write.at(self.a, a_at), write.at(self.b, j)
            self.tile(self.c_at(row, j), a, places, b, v, last, loops, None)

        if self.b_bytes <= NEAR:
            self.each_rows(lambda *rows: self.each_columns(lambda *columns: at(*rows, *columns)))
        else:
            self.each_columns(lambda *columns: self.each_rows(lambda *rows: at(*rows, *columns)))

    def packed(self) -> None:
        """Tiles on columns of b that are copied together first, as many terms at a time as stay near."""
        write, shape = self.write, self.shape
        width = self.tile_vectors * write.lanes
        most = NEAR * 3 // 4 // (width * write.size)
        most -= most % write.lanes
        memory = write.scratch((min(most, shape.inner_count) + write.lanes) * width)

        def block(a_at: Index, k: Index, axes: Sequence[tuple[Index, int]]) -> None:
            def columns(j: Index, v: int, last: int) -> None:
                at = write.add(write.times(k, shape.b_inner), write.times(j, shape.b_column))
                depth = write.times(
                    axes[0][0], count(shape.inner[-len(axes) + 1 :]) if axes[1:] else 1
                )
                self.pack(memory, write.at(self.b, at), depth, v, last)
                steps = [count(shape.inner[len(shape.inner) - n :]) for n in range(len(axes))][::-1]
                loops = [
                    (length, stride, step * v * write.lanes)
                    for (length, stride), step in zip(axes, steps, strict=True)
                ]

                def rows(row_at: Index, row: Index, places: Sequence[int]) -> None:
                    a = write.at(self.a, write.add(a_at, row_at))
                    self.tile(self.c_at(row, j), a, places, memory, v, last, loops, k)

                self.each_rows(rows)

            self.each_columns(columns)

        self.each_block(most, shape.inner, block)

    def c_at(self, row: Index, j: Index) -> Any:
        """The address of c[row, j]."""
        return self.write.at(self.c, self.write.add(self.write.times(row, self.shape.columns), j))

    def tile(
        self,
        c: Any,
        a: Any,
        places: Sequence[int],
        b: Any,
        v: int,
        last: int,
        loops: Loops,
        before: Index | None,
    ) -> None:
        """Rows at `places` in a, by v vectors of b: all terms, summed in registers, then stored.

        Of the last vector `last` lanes are columns. Where other terms came before, c has their sum.
        """
        write = self.write
        heads = [write.at(a, place) for place in places]
        spots = [
            (p * self.shape.columns + q * write.lanes, last if q == v - 1 else write.lanes)
            for p in range(len(places))
            for q in range(v)
        ]
        sums = [write.zero] * len(spots)
        if before is not None and not isinstance(before, int):
            later = write.builder.icmp_signed(">", before, before.type(0))
            zeros = sums
            sums = write.either(
                later, lambda: [write.load(c, spot) for spot, _ in spots], lambda: zeros
            )

        def term(a_at: Index, b_at: Index, sums: list[Any]) -> list[Any]:
            ys = [write.load(b, write.add(b_at, q * write.lanes)) for q in range(v)]
            new = []
            for p, head in enumerate(heads):
                x = write.splat(write.load_number(head, a_at))
                new += [write.multiply_add(x, y, sums[p * v + q]) for q, y in enumerate(ys)]
            return new

        sums = self.terms(loops, term, sums)
        for (spot, lanes), value in zip(spots, sums, strict=True):
            write.store_first(lanes, value, c, spot, self.target.masks)

    def terms(
        self,
        loops: Loops,
        body: Callable[[Index, Index, list[Any]], list[Any]],
        sums: list[Any],
        a_at: Index = 0,
        b_at: Index = 0,
    ) -> list[Any]:
        """sums = body(place in a, place in b, sums) for all terms, in order."""
        if not loops:
            return body(a_at, b_at, sums)
        write, (length, a_step, b_step) = self.write, loops[0]

        def turn(k: Index, sums: list[Any]) -> list[Any]:
            a_next, b_next = write.times(k, a_step), write.times(k, b_step)
            return self.terms(
                loops[1:], body, sums, write.add(a_at, a_next), write.add(b_at, b_next)
            )

        return write.loop(0, length, 1, turn, sums)

    def pack(self, memory: Any, b: Any, depth: Index, v: int, last: int) -> None:
        """memory[k, j] = b[k, j] for k < depth and the columns of v vectors."""
        write, shape, lanes = self.write, self.shape, self.write.lanes
        width, columns = v * lanes, (v - 1) * lanes + last

        def copied(k: Index, _: Any) -> None:
            for q in range(v):
                value = write.load(b, write.add(write.times(k, shape.b_inner), q * lanes))
                write.store(value, memory, write.add(write.times(k, width), q * lanes))

        def turned(k: Index, _: Any) -> None:
            for q in range(v):
                # Beyond the last column there is nothing that may be read: it stands in.
                js = [min(q * lanes + p, columns - 1) for p in range(lanes)]
                square = [write.load(b, write.add(k, j * shape.b_column)) for j in js]
                for p, value in enumerate(write.transposed(square)):
                    at = write.times(write.add(k, p), width)
                    write.store(value, memory, write.add(at, q * lanes))

        def gathered(k: Index, _: Any) -> None:
            def one(j: Index, _: Any) -> None:
                at = write.add(write.times(k, shape.b_inner), write.times(j, shape.b_column))
                value = write.load_number(b, at)
                write.store_number(value, memory, write.add(write.times(k, width), j))

            write.loop(0, columns, 1, one)

        if shape.b_column == 1:
            write.loop(0, depth, 1, copied)
        elif shape.b_inner == 1:
            write.loop(0, depth, lanes, turned)
        else:
            write.loop(0, depth, 1, gathered)

    # Dot products.

    def suits_dots(self) -> bool:
        """Whether rows of a meet rows of b, too few of them for turning b to pay."""
        shape, lanes = self.shape, self.write.lanes
        return (
            shape.b_inner == 1
            and len(shape.inner) == 1
            and shape.inner[0].stride == 1
            and shape.row_count < 24
            and shape.inner_count >= 4 * lanes
        )

    def dots(self) -> None:
        """Two rows of a by as many rows of b as a vector has lanes: vectors along the terms, summed at the end."""
        write, shape, lanes = self.write, self.shape, self.write.lanes
        terms = shape.inner_count
        whole = terms - terms % lanes

        def block(j: Index, many: int) -> None:
            ys = [
                write.at(self.b, write.times(write.add(j, q), shape.b_column)) for q in range(many)
            ]

            def rows(a_at: Index, row: Index, places: Sequence[int]) -> None:
                heads = [write.at(self.a, write.add(a_at, place)) for place in places]

                def turn(k: Index, sums: list[Any], kept: int = lanes) -> list[Any]:
                    def part(base: Any) -> Any:
                        value = write.load(base, k)
                        return value if kept == lanes else write.first_lanes(kept, value)

                    xs = [part(head) for head in heads]
                    new = list(sums)
                    for q, y in enumerate(map(part, ys)):
                        for p, x in enumerate(xs):
                            at = p * many + q
                            new[at] = write.multiply_add(x, y, new[at])
                    return new

                sums = write.loop(0, whole, lanes, turn, [write.zero] * (len(places) * many))
                if whole < terms:
                    sums = turn(whole, sums, terms - whole)
                for p in range(len(places)):
                    of_row = sums[p * many : (p + 1) * many] + [write.zero] * (lanes - many)
                    c = self.c_at(write.add(row, p), j)
                    write.store_first(many, write.sums(of_row), c, 0, self.target.masks)

            self.each_rows(rows, 2)

        self.each_columns(lambda j, v, last: block(j, last), 1)

    # What is walked over.

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
        body: Callable[[Index, Index, Sequence[tuple[Index, int]]], None],
        a_at: Index = 0,
        k: Index = 0,
    ) -> None:
        """body(place in a, term, axes) for blocks of at most so many terms."""
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
            body(write.add(a_at, at), write.add(k, first), [(turns, stride), *rest])

        write.loop(0, length, step, block)


def places_of(axes: Sequence[Axis]) -> list[int]:
    """Where loops over these axes come by, in order."""
    places = [0]
    for length, stride in axes:
        places = [place + i * stride for place in places for i in range(length)]
    return places
