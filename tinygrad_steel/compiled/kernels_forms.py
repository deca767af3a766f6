"""The forms of a product as loops of vector code: tiles on b as it lies, tiles on a packed b, dot products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .kernels_plan import FAR, GROUP, LARGE, NEAR, PANEL, Shape
from .kernels_target import Target
from .kernels_vectors import I64, POINTER, Index
from .kernels_walk import Loops, Walk, loops_over


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


class Part(NamedTuple):
    """Which terms a tile sums: all, or some."""

    later: Any = None  # whether others came before, known when the kernel runs
    last: Any = None  # whether none come behind


class End(NamedTuple):
    """What becomes of the sums: stored as they are, or with a row added to each, and so on."""

    start: Any = None  # the address of a row that sums start from
    one: bool = False  # whether it is one number, for all columns
    relu: bool = False
    slope: Any = None  # the address of results of relu, by whose slopes the sums are multiplied
    scale: Any = None  # a number that the sums are multiplied by, and then added to what c holds


class Kernel(Walk):
    """A product in the making: c = a @ b, by its sizes and strides, on one target."""

    def __init__(
        self,
        builder: Any,
        number: Any,
        shape: Shape,
        target: Target,
        c: Any,
        a: Any,
        b: Any,
        end: End,
    ) -> None:
        super().__init__(builder, number, shape, target)
        self.c, self.a, self.b, self.end = c, a, b, end

    @property
    def b_bytes(self) -> int:
        """The bytes of all of b."""
        return self.shape.inner_count * self.vectors * self.write.lanes * self.write.size

    def emit(self) -> None:
        """Write the form that is fastest for this shape."""
        getattr(self, self.form())()

    def form(self) -> str:
        """Which form that is."""
        shape = self.shape
        if not shape.inner_count:
            return "zeros"
        if self.suits_dots():
            return "dots"
        if shape.b_column == 1 and (self.b_bytes <= FAR or shape.row_count <= 2 * self.tile_rows):
            return "direct"
        return "packed_twice" if self.is_large() else "packed"

    def is_large(self) -> bool:
        """Whether copying rows of a pays as well: each is met by many columns, and they do not stay near.

        Terms that do not lie side by side push each other out sooner.
        """
        shape = self.shape
        return (
            len(shape.rows) == len(shape.inner) == 1
            and self.vectors >= 8 * self.tile_vectors
            and shape.row_count * shape.inner_count * self.write.size
            > (LARGE if shape.inner[0].stride == 1 else FAR)
        )

    def zeros(self) -> None:
        """c = 0, where sums have no terms; or what they start from."""

        def at(row: Index, places: Sequence[int], j: Index, v: int, last: int) -> None:
            sums = [self.write.zero] * (len(places) * v)
            self.finish(row, j, v, last, sums, Part())

        self.each_rows(lambda _, *rows: self.each_columns(lambda *columns: at(*rows, *columns)))

    # Tiles.

    def direct(self) -> None:
        """Tiles on b as it lies: rows outside where all of b stays near, else columns outside."""
        write, shape = self.write, self.shape
        loops = loops_over(shape.inner)

        def at(a_at: Index, row: Index, places: Sequence[int], j: Index, v: int, last: int) -> None:
            left = Left(write.at(self.a, a_at), places, loops)
            right = Right(write.at(self.b, j), shape.b_inner, v, last)
            self.tile(row, j, left, right, Part())

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
            part = self.part(k, terms)

            def columns(j: Index, v: int, last: int) -> None:
                right = self.packed_columns(memory, k, terms, j, v, last)

                def rows(row_at: Index, row: Index, places: Sequence[int]) -> None:
                    left = Left(write.at(self.a, write.add(a_at, row_at)), places, loops)
                    self.tile(row, j, left, right, part)

                self.each_rows(rows)

            self.each_columns(columns)

        self.each_block(most, self.shape.inner, block)

    def packed_twice(self) -> None:
        """As `packed`, with all columns of b copied once, and rows of a copied together too.

        That takes more memory than a stack has; where there is none, the smaller form does.
        """
        write = self.write
        memory = write.allocated(self.vectors * write.lanes * self.depth)
        nothing = write.builder.icmp_signed("==", memory, POINTER(None))
        with write.builder.if_else(nothing, likely=False) as (none, some):
            with none:
                self.packed()
            with some:
                self.packed_into(write.on_line(memory))
                write.free(memory)

    def packed_into(self, of_b: Any) -> None:
        """`packed_twice`, with memory for the columns of b."""
        write, shape = self.write, self.shape
        (row,), (term,) = shape.rows, shape.inner
        group = max(GROUP // (self.depth * write.size) // self.tile_rows, 1)
        area = self.depth * self.tile_rows
        of_a = write.scratch(area * group + write.lanes * (self.tile_rows + 1))

        def columns_at(j: Index) -> Any:
            return write.at(of_b, write.times(j, self.depth))

        def block(a_at: Index, k: Index, loops: Loops, terms: Index) -> None:
            part = self.part(k, terms)

            def copied_columns(j: Index, v: int, last: int) -> None:
                self.packed_columns(columns_at(j), k, terms, j, v, last)

            self.each_columns(copied_columns)

            def rows(top: Index, size: int, tiles: Index) -> None:
                def tile_at(u: Index) -> tuple[Index, Any]:
                    return write.add(top, write.times(u, size)), write.at(
                        of_a, write.times(u, area)
                    )

                def copied_rows(u: Index, _: Any) -> None:
                    first, there = tile_at(u)
                    at = write.add(a_at, write.times(first, row.stride))
                    source = write.at(self.a, at)
                    self.pack(there, size, source, terms, term.stride, row.stride, size)

                def columns(j: Index, v: int, last: int) -> None:
                    right = Right(columns_at(j), v * write.lanes, v, last)

                    def one(u: Index, _: Any) -> None:
                        first, there = tile_at(u)
                        left = Left(there, range(size), [(terms, size, 1)])
                        self.tile(first, j, left, right, part)

                    write.loop(0, tiles, 1, one)

                write.loop(0, tiles, 1, copied_rows)
                self.each_columns(columns)

            self.each_group(group, rows)

        self.each_block(self.depth, shape.inner, block)

    @property
    def width(self) -> int:
        """The columns of a tile."""
        return self.tile_vectors * self.write.lanes

    @property
    def depth(self) -> int:
        """How many terms of a tile's columns stay near, beside rows of a."""
        most = PANEL // (self.width * self.write.size)
        return most - most % self.write.lanes

    def c_at(self, row: Index, j: Index) -> Any:
        """The address of c[row, j]."""
        return self.write.at(self.c, self.c_index(row, j))

    def c_index(self, row: Index, j: Index) -> Index:
        """Where c[row, j] lies in c."""
        return self.write.add(self.write.times(row, self.shape.columns), j)

    def part(self, k: Index, terms: Index) -> Part:
        """Which terms these are: so many from k on."""
        if terms == self.shape.inner_count:
            return Part()
        builder = self.write.builder
        end = self.write.add(k, terms)
        return Part(
            builder.icmp_signed(">", k, I64(0)),
            builder.icmp_signed("==", end, I64(self.shape.inner_count)),
        )

    def tile(self, row: Index, j: Index, left: Left, right: Right, part: Part) -> None:
        """These terms of a tile of the product, summed in registers, then stored."""
        write, v = self.write, right.vectors
        heads = [write.at(left.address, place) for place in left.places]
        if part.later is not None or self.end.scale is not None:
            # c is far away: it is asked for now, and here when the terms are summed.
            for spot, _ in self.spots(len(heads), v, right.last):
                write.prefetch(self.c_at(row, j), spot)

        def term(a_at: Index, k: Index, sums: list[Any]) -> list[Any]:
            b_at = write.times(k, right.step)
            ys = [write.load(right.address, write.add(b_at, q * write.lanes)) for q in range(v)]
            new = []
            for p, head in enumerate(heads):
                x = write.splat(write.load_number(head, a_at))
                new += [write.multiply_add(x, y, sums[p * v + q]) for q, y in enumerate(ys)]
            return new

        sums = self.terms(left.loops, term, [write.zero] * (len(heads) * v))
        self.finish(row, j, v, right.last, sums, part)

    def spots(self, rows: int, v: int, last: int) -> list[tuple[int, int]]:
        """Where the vectors of a tile lie in c, from its first, and how many of their lanes are columns."""
        lanes = self.write.lanes
        return [
            (p * self.shape.columns + q * lanes, last if q == v - 1 else lanes)
            for p in range(rows)
            for q in range(v)
        ]

    def finish(self, row: Index, j: Index, v: int, last: int, sums: list[Any], part: Part) -> None:
        """Store a tile's sums, with what they start from, and what was summed before."""
        write, end, c = self.write, self.end, self.c_at(row, j)
        spots = self.spots(len(sums) // v, v, last)

        def onto_c() -> list[Any]:
            there = [write.load(c, spot) for spot, _ in spots]
            return [write.builder.fadd(x, y) for x, y in zip(there, sums, strict=True)]

        def scaled_onto_c() -> list[Any]:
            scale = write.splat(end.scale)
            there = [write.load(c, spot) for spot, _ in spots]
            return [write.multiply_add(scale, y, x) for x, y in zip(there, sums, strict=True)]

        def from_start() -> list[Any]:
            if end.start is None:
                return sums
            if end.one:
                rows = [write.splat(write.load_number(end.start))] * v
            else:
                rows = [write.load(end.start, write.add(j, q * write.lanes)) for q in range(v)]
            return [write.builder.fadd(value, rows[n % v]) for n, value in enumerate(sums)]

        if end.scale is not None:
            values = scaled_onto_c()
        elif part.later is None:
            values = from_start()
        else:
            values = write.either(part.later, onto_c, from_start)
        if end.relu:
            values = [self.rectified(value, part.last) for value in values]
        if end.slope is not None:
            ys = write.at(end.slope, self.c_index(row, j))
            values = [
                self.sloped(value, write.load(ys, spot), part.last)
                for value, (spot, _) in zip(values, spots, strict=True)
            ]
        for (spot, lanes), value in zip(spots, values, strict=True):
            write.store_first(lanes, value, c, spot, self.target.masks)

    def rectified(self, value: Any, last: Any) -> Any:
        """max(value, 0), where NaN stays; only once all terms are summed."""
        builder = self.write.builder
        low = builder.fcmp_ordered("<=", value, self.write.zero)
        return self.once(last, builder.select(low, self.write.zero, value), value)

    def sloped(self, value: Any, y: Any, last: Any) -> Any:
        """value * sign(y) for a y that is positive, 0 or NaN; only once all terms are summed."""
        builder = self.write.builder
        positive = builder.fcmp_ordered(">", y, self.write.zero)
        sign = builder.select(positive, self.write.one, y)
        return self.once(last, builder.fmul(value, sign), value)

    def once(self, last: Any, changed: Any, value: Any) -> Any:
        """What a sum is changed into where no terms come behind."""
        return changed if last is None else self.write.builder.select(last, changed, value)

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
                rows_of_sums = [
                    sums[p * many : (p + 1) * many] + [write.zero] * (lanes - many)
                    for p in range(len(places))
                ]
                self.finish(row, j, 1, many, [write.sums(x) for x in rows_of_sums], Part())

            self.each_rows(rows, 2)

        self.each_columns(lambda j, v, last: block(j, last), 1)
