"""Vectors, loops and addresses in LLVM's language: the few phrases that kernels are written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
POINTER = ir.PointerType()
Index = Any  # a Python int, or an i64 that is known when the kernel runs


class Vectors:
    """Writes code on vectors of `lanes` numbers into a function.

    An index is counted in numbers. Where it is a Python int it is worked out here, and costs nothing.
    """

    def __init__(self, builder: Any, number: Any, lanes: int) -> None:
        self.builder, self.number, self.lanes = builder, number, lanes
        self.size = 4 if number == ir.FloatType() else 8
        self.vector = ir.VectorType(number, lanes)
        self.zero = ir.Constant(self.vector, [0.0] * lanes)
        self.one = ir.Constant(self.vector, [1.0] * lanes)

    # Indices and addresses.

    def add(self, x: Index, y: Index) -> Index:
        """x + y."""
        if isinstance(x, int) and isinstance(y, int):
            return x + y
        if isinstance(x, int):
            x, y = y, x
        if isinstance(y, int):
            return x if y == 0 else self.builder.add(x, I64(y))
        return self.builder.add(x, y)

    def times(self, x: Index, n: int) -> Index:
        """x * n."""
        if isinstance(x, int):
            return x * n
        return x if n == 1 else self.builder.mul(x, I64(n))

    def smaller(self, x: Index, y: Index) -> Index:
        """The smaller of x and y."""
        if isinstance(x, int) and isinstance(y, int):
            return min(x, y)
        x, y = (I64(z) if isinstance(z, int) else z for z in (x, y))
        return self.builder.select(self.builder.icmp_signed("<", x, y), x, y)

    def at(self, base: Any, index: Index) -> Any:
        """The address of base[index]."""
        if isinstance(index, int):
            index = I64(index)
        return self.builder.gep(base, [index], source_etype=self.number)

    # Numbers and vectors.

    def load(self, base: Any, index: Index = 0) -> Any:
        """The vector base[index : index + lanes]."""
        address = self.at(base, index)
        return self.builder.load(address, align=self.size, typ=self.vector)

    def load_number(self, base: Any, index: Index = 0) -> Any:
        """base[index]."""
        return self.builder.load(self.at(base, index), align=self.size, typ=self.number)

    def store_number(self, value: Any, base: Any, index: Index = 0) -> None:
        """base[index] = value."""
        self.builder.store(value, self.at(base, index), align=self.size)

    def store(self, value: Any, base: Any, index: Index = 0) -> None:
        """base[index : index + lanes] = value."""
        self.builder.store(value, self.at(base, index), align=self.size)

    def store_first(self, count: int, value: Any, base: Any, index: Index, masks: bool) -> None:
        """base[index : index + count] = value[:count], and nothing beyond."""
        if count == self.lanes:
            self.store(value, base, index)
        elif masks:
            address = self.at(base, index)
            align = ir.Constant(I32, self.size)
            mask = ir.Constant(
                ir.VectorType(I1, self.lanes), [q < count for q in range(self.lanes)]
            )
            self.builder.call(self.masked_store(address.type), [value, address, align, mask])
        else:
            done = 0
            while done < count:
                piece = 1 << ((count - done).bit_length() - 1)
                lanes = range(done, done + piece)
                self.store(self.shuffle(value, value, lanes), base, self.add(index, done))
                done += piece

    def prefetch(self, base: Any, index: Index) -> None:
        """Ask for base[index], which is changed soon."""
        ask = self.declared("llvm.prefetch.p0", ir.VoidType(), [POINTER, I32, I32, I32])
        self.builder.call(ask, [self.at(base, index), I32(1), I32(3), I32(1)])

    def masked_store(self, address: Any) -> Any:
        """LLVM's function that stores some lanes of a vector."""
        name = f"llvm.masked.store.{self.kind}.p0"
        mask = ir.VectorType(I1, self.lanes)
        return self.declared(name, ir.VoidType(), [self.vector, address, I32, mask])

    def splat(self, number: Any) -> Any:
        """The vector with this number in all lanes."""
        none = ir.Constant(self.vector, ir.Undefined)
        return self.shuffle(
            self.builder.insert_element(none, number, I32(0)), none, [0] * self.lanes
        )

    def shuffle(self, x: Any, y: Any, lanes: Sequence[int]) -> Any:
        """The vector of these lanes of x and, counted on, y."""
        mask = ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))
        return self.builder.shuffle_vector(x, y, mask)

    def swapped(self, x: Any, y: Any, step: int) -> tuple[Any, Any]:
        """x and y as two rows of a matrix, whose off-diagonal blocks of `step` lanes change places."""
        n = self.lanes
        first = [q if not (q // step) % 2 else q - step + n for q in range(n)]
        second = [q + step if not (q // step) % 2 else q + n for q in range(n)]
        return self.shuffle(x, y, first), self.shuffle(x, y, second)

    def transposed(self, rows: Sequence[Any]) -> list[Any]:
        """`lanes` vectors, as rows of a matrix, turned into its columns."""
        rows = list(rows)
        step = 1
        while step < self.lanes:
            for p in range(self.lanes):
                if not (p // step) % 2:
                    rows[p], rows[p + step] = self.swapped(rows[p], rows[p + step], step)
            step *= 2
        return rows

    def sums(self, vectors: Sequence[Any]) -> Any:
        """One vector: the sums of `lanes` vectors."""
        step = 1
        while len(vectors) > 1:
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self.builder.fadd(*self.swapped(x, y, step)) for x, y in pairs]
            step *= 2
        return vectors[0]

    def first_lanes(self, count: Index, value: Any) -> Any:
        """The vector with zeros behind the first `count` lanes."""
        lanes = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        one = ir.Constant(ir.VectorType(I64, self.lanes), ir.Undefined)
        count = I64(count) if isinstance(count, int) else count
        counts = self.shuffle(
            self.builder.insert_element(one, count, I32(0)), one, [0] * self.lanes
        )
        return self.builder.select(self.builder.icmp_signed("<", lanes, counts), value, self.zero)

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """x * y + z, rounded once where the machine does so at no cost (llvm.fma is slow elsewhere)."""
        name = f"llvm.fmuladd.{self.kind}"
        return self.builder.call(self.declared(name, self.vector, [self.vector] * 3), [x, y, z])

    @property
    def kind(self) -> str:
        """This vector in the names of LLVM's functions."""
        return f"v{self.lanes}f{8 * self.size}"

    def declared(self, name: str, result: Any, arguments: list[Any]) -> Any:
        """A function of LLVM's, declared once in a module."""
        module = self.builder.module
        known = module.globals.get(name)
        return known or ir.Function(module, ir.FunctionType(result, arguments), name)

    # Memory of the kernel's own, and loops.

    def scratch(self, numbers: int) -> Any:
        """Memory for this many numbers on the stack, on a cache line's edge."""
        with self.builder.goto_entry_block():
            memory = self.builder.alloca(ir.ArrayType(self.number, numbers))
        memory.align = 64
        memory.type = POINTER  # else llvmlite takes it for one of an array, not of numbers
        return memory

    def allocated(self, numbers: int) -> Any:
        """Memory for this many numbers and a cache line, of numba's; NULL where there is none."""
        allocate = self.declared("NRT_Allocate", POINTER, [I64])
        return self.builder.call(allocate, [I64(numbers * self.size + 64)])

    def on_line(self, memory: Any) -> Any:
        """The first edge of a cache line in this memory."""
        place = self.builder.add(self.builder.ptrtoint(memory, I64), I64(63))
        return self.builder.inttoptr(self.builder.and_(place, I64(-64)), POINTER)

    def free(self, memory: Any) -> None:
        """Give back what was allocated."""
        free = self.declared("NRT_Free", ir.VoidType(), [POINTER])
        self.builder.call(free, [memory])

    def loop(
        self,
        start: int,
        stop: Index,
        step: int,
        body: Callable[[Index, list[Any]], Sequence[Any] | None],
        carried: Sequence[Any] = (),
    ) -> list[Any]:
        """for i in range(start, stop, step): carried = body(i, carried); at least one turn.

        A loop of a single turn is none.
        """
        if isinstance(stop, int) and stop - start <= step:
            return list(body(start, list(carried)) or ())
        builder = self.builder
        before, inside = builder.block, builder.append_basic_block("loop")
        builder.branch(inside)
        builder.position_at_end(inside)
        i = builder.phi(I64)
        i.add_incoming(I64(start), before)
        values = []
        for value in carried:
            values.append(builder.phi(value.type))
            values[-1].add_incoming(value, before)
        new = list(body(i, list(values)) or ())
        following = builder.add(i, I64(step))
        for phi, value in zip([i, *values], [following, *new], strict=True):
            phi.add_incoming(value, builder.block)
        after = builder.append_basic_block("after")
        stop = I64(stop) if isinstance(stop, int) else stop
        builder.cbranch(builder.icmp_signed("<", following, stop), inside, after)
        builder.position_at_end(after)
        return new

    def either(
        self, flag: Any, one: Callable[[], list[Any]], other: Callable[[], list[Any]]
    ) -> Any:
        """The values of one() where the flag is set, else those of other(): equally many vectors."""
        builder = self.builder
        found = []
        with builder.if_else(flag) as (then, otherwise):
            for branch, values in ((then, one), (otherwise, other)):
                with branch:
                    found.append((values(), builder.block))
        (first, at_first), (second, at_second) = found
        merged = []
        for x, y in zip(first, second, strict=True):
            phi = builder.phi(self.vector)
            phi.add_incoming(x, at_first)
            phi.add_incoming(y, at_second)
            merged.append(phi)
        return merged
