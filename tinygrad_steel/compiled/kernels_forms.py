"""The forms of a product as loops of vector code: tiles on b as it lies, tiles on a packed b, dot products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .kernels_plan import FAR, NEAR, Axis, Shape, count, splits, tile
from .kernels_target import Target
from .kernels_vectors import I64, Index, Vectors

# Over terms: a loop's length, how far one turn moves in a, and how many terms lie inside one.
Loops = Sequence[tuple[Index, int, int]]


class Left(NamedTuple):
    """Rows of a for a tile."""

    address: Any
    places: Sequence[int]  # of the rows, from there
    loops: Loops


class Right(NamedTuple):
    """Columns of b for a tile."""

    address: Any
    step: int  # from one term to the next
    vectors: int
    last: int  # how many lanes of the last vector are columns


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
        elif self.is_large():
            self.packed_twice()
        else:
            self.packed()

    def is_large(self) -> bool:
        """Whether copying rows of a pays as well: each is met by many columns, and they do not stay near."""
        shape = self.shape
        return (
            len(shape.rows) == len(shape.inner) == 1
            and self.vectors >= 8 * self.tile_vectors
            and shape.row_count * shape.inner_count * self.write.size > FAR // 2
        )

    def zeros(self) -> None:
        """c = 0, where sums have no terms."""
        zero = self.write.number(0.0)
        numbers = self.shape.row_count * self.shape.columns
        self.write.loop(0, numbers, 1, lambda i, _: self.write.store_number(zero, self.c, i))

    # Tiles.

    def direct(self) -> None:
        """Tiles on b as it lies: rows outside where all of b stays near, else columns outside."""
        write, shape = self.write, self.shape
        loops = loops_over(shape.inner)

        def at(a_at: Index, row: Index, places: Sequence[int], j: Index, v: int, last: int) -> None:
            left = Left(write.at(self.a, a_at), places, loops)
            right = Right(write.at(self.b, j), shape.b_inner, v, last)
            self.tile(self.c_at(row, j), left, right, 0)

        if self.b_bytes <= NEAR:
            self.each_rows(lambda *rows: self.each_columns(lambda *columns: at(*rows, *columns)))
        else:
            self.each_columns(lambda *columns: self.each_rows(lambda *rows: at(*rows, *columns)))

    def packed(self) -> None:
        """Tiles on columns of b that are copied together first, as many terms at a time as stay near."""
        write = self.write
        most = self.depth
        memory = write.scratch((min(most, self.shape.inner_count) + write.lanes) * self.width)

        def block(a_at: Index, k: Index, loops: Loops, terms: Index) -> None:
            def columns(j: Index, v: int, last: int) -> None:
                right = self.packed_columns(memory, k, terms, j, v, last)

                def rows(row_at: Index, row: Index, places: Sequence[int]) -> None:
                    left = Left(write.at(self.a, write.add(a_at, row_at)), places, loops)
                    self.tile(self.c_at(row, j), left, right, k)

                self.each_rows(rows)

            self.each_columns(columns)

        self.each_block(most, self.shape.inner, block)

    def packed_twice(self) -> None:
        """As `packed`, with rows of a copied together too: as many as stay in the second cache."""
        write, shape = self.write, self.shape
        (row,), (term,) = shape.rows, shape.inner
        group = max(FAR // (self.depth * write.size) // self.tile_rows, 1)
        area = self.depth * self.tile_rows
        of_b = write.scratch((self.depth + write.lanes) * self.width)
        of_a = write.scratch(area * group + write.lanes * (self.tile_rows + 1))

        def block(a_at: Index, k: Index, loops: Loops, terms: Index) -> None:
            def rows_of(first: int, size: int, many: int) -> None:
                def some(t: Index, _: Any) -> None:
                    tiles = write.smaller(write.add(write.times(t, -1), many), group)
                    top = write.add(write.times(t, size), first)

                    def copied(u: Index, _: Any) -> None:
                        at = write.times(write.add(top, write.times(u, size)), row.stride)
                        source = write.at(self.a, write.add(a_at, at))
                        there = write.at(of_a, write.times(u, area))
                        self.pack(there, size, source, terms, term.stride, row.stride, size)

                    write.loop(0, tiles, 1, copied)

                    def columns(j: Index, v: int, last: int) -> None:
                        right = self.packed_columns(of_b, k, terms, j, v, last)

                        def one(u: Index, _: Any) -> None:
                            there = write.at(of_a, write.times(u, area))
                            left = Left(there, range(size), [(terms, size, 1)])
                            at = write.add(top, write.times(u, size))
                            self.tile(self.c_at(at, j), left, right, k)

                        write.loop(0, tiles, 1, one)

                    self.each_columns(columns)

                write.loop(0, many, group, some)

            first = 0
            for size, many in splits(row.length, self.tile_rows):
                rows_of(first, size, many)
                first += size * many

        self.each_block(self.depth, shape.inner, block)

    @property
    def width(self) -> int:
        """The columns of a tile."""
        return self.tile_vectors * self.write.lanes

    @property
    def depth(self) -> int:
        """How many terms of a tile's columns stay near, beside rows of a."""
        most = (FAR // 8 if self.is_large() else NEAR * 3 // 4) // (self.width * self.write.size)
        return most - most % self.write.lanes

    def c_at(self, row: Index, j: Index) -> Any:
        """The address of c[row, j]."""
        return self.write.at(self.c, self.write.add(self.write.times(row, self.shape.columns), j))

    def tile(self, c: Any, left: Left, right: Right, before: Index) -> None:
        """All terms of a tile of the product, summed in registers, then stored.

        Where other terms came before, c has their sum.
        """
        write, v = self.write, right.vectors
        heads = [write.at(left.address, place) for place in left.places]
        spots = [
            (p * self.shape.columns + q * write.lanes, right.last if q == v - 1 else write.lanes)
            for p in range(len(heads))
            for q in range(v)
        ]
        later = not isinstance(before, int) and write.builder.icmp_signed(">", before, I64(0))
        if (
            later is not False
        ):  # c is far away: it is asked for now, and here when the terms are summed
            for spot, _ in spots:
                write.prefetch(c, spot)

        def term(a_at: Index, k: Index, sums: list[Any]) -> list[Any]:
            b_at = write.times(k, right.step)
            ys = [write.load(right.address, write.add(b_at, q * write.lanes)) for q in range(v)]
            new = []
            for p, head in enumerate(heads):
                x = write.splat(write.load_number(head, a_at))
                new += [write.multiply_add(x, y, sums[p * v + q]) for q, y in enumerate(ys)]
            return new

        sums = self.terms(left.loops, term, [write.zero] * len(spots))
        if later is not False:
            alone = sums
            sums = write.either(
                later,
                lambda: [
                    write.builder.fadd(write.load(c, spot), value)
                    for (spot, _), value in zip(spots, alone, strict=True)
                ],
                lambda: alone,
            )
        for (spot, lanes), value in zip(spots, sums, strict=True):
            write.store_first(lanes, value, c, spot, self.target.masks)

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

    def packed_columns(
        self, memory: Any, k: Index, terms: Index, j: Index, v: int, last: int
    ) -> Right:
        """Columns of b from j on, copied into memory, for so many terms from k on."""
        write, shape = self.write, self.shape
        width, columns = v * write.lanes, (v - 1) * write.lanes + last
        at = write.add(write.times(k, shape.b_inner), write.times(j, shape.b_column))
        source = write.at(self.b, at)
        self.pack(memory, width, source, terms, shape.b_inner, shape.b_column, columns)
        return Right(memory, width, v, last)

    def pack(
        self,
        memory: Any,
        width: int,
        source: Any,
        terms: Index,
        inner: int,
        column: int,
        columns: int,
    ) -> None:
        """memory[k, j] = source[k * inner + j * column] for so many terms and columns; a row of memory is `width` long.

        What is written beyond a row's end is the next row's, which is written later.
        """
        write, lanes = self.write, self.write.lanes
        vectors = range(0, columns, lanes)

        def copied(k: Index, _: Any) -> None:
            for q in vectors:
                value = write.load(source, write.add(write.times(k, inner), q))
                write.store(value, memory, write.add(write.times(k, width), q))

        def turned(k: Index, _: Any) -> None:
            squares = []
            for q in vectors:
                # Beyond the last column there is nothing that may be read: it stands in.
                js = [min(q + p, columns - 1) for p in range(lanes)]
                square = [write.load(source, write.add(k, j * column)) for j in js]
                squares.append(write.transposed(square))
            for p in range(lanes):
                at = write.times(write.add(k, p), width)
                for q, square in zip(vectors, squares, strict=True):
                    write.store(square[p], memory, write.add(at, q))

        def gathered(k: Index, _: Any) -> None:
            def one(j: Index, _: Any) -> None:
                at = write.add(write.times(k, inner), write.times(j, column))
                value = write.load_number(source, at)
                write.store_number(value, memory, write.add(write.times(k, width), j))

            write.loop(0, columns, 1, one)

        if column == 1:
            write.loop(0, terms, 1, copied)
        elif inner == 1:
            write.loop(0, terms, lanes, turned)
        else:
            write.loop(0, terms, 1, gathered)

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


def loops_over(axes: Sequence[Axis]) -> Loops:
    """The loops over all of these axes."""
    return [(axis.length, axis.stride, count(axes[n + 1 :])) for n, axis in enumerate(axes)]


def places_of(axes: Sequence[Axis]) -> list[int]:
    """Where loops over these axes come by, in order."""
    places = [0]
    for length, stride in axes:
        places = [place + i * stride for place in places for i in range(length)]
    return places
