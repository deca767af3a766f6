"""Sums, maxima and minima of elements side by side, in an order in which eight are taken at once.

A loop that adds up one element after the other waits for each addition, and LLVM may not change
its order. Here the order is another one, and the same on every machine, with vectors or without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils as untyped

LANES = 8
cgutils: Any = untyped
INTEGER = ir.IntType(64)
Join = Callable[[Any, Any, Any], Any]  # builder, what is there, what is new


def fold(name: str, join: Join, start: float, wide: bool = False) -> Any:
    """A function `name(m, first, count)` of `m[first : first + count]` for code that numba compiles;
    `count` stands there as a number.

    With q = LANES, for each j < q: m[first + j], m[first + q + j], m[first + 2 * q + j] ... one after
    the other; then the upper half of these results into the lower half, until there is one; at
    last the elements behind the last full q. `start` is the result of none. `wide`: in float64, as
    are sums that loops add up: a float32 that has grown leaves out the digits of what is added.
    """

    def typed(context: Any, m: Any, first: Any, count: Any) -> Any:
        if not isinstance(count, types.IntegerLiteral):
            return None

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(m)(context, builder, args[0]).data
            begin = builder.gep(data, [args[1]])
            return folded(builder, join, begin, count.literal_value, start, wide)

        return (types.float64 if wide else m.dtype)(m, types.intp, count), emit

    typed.__name__ = name
    return extending.intrinsic(prefer_literal=True)(typed)


def folded(builder: Any, join: Join, begin: Any, count: int, start: float, wide: bool) -> Any:
    """The result for `count` elements from the address `begin` on."""
    kind = ir.DoubleType() if wide else begin.type.pointee
    full = count - count % LANES
    found = in_lanes(builder, join, begin, full, kind) if full else None
    for k in range(full, count):
        x = widened(builder, builder.load(builder.gep(begin, [INTEGER(k)])), kind)
        found = x if found is None else join(builder, found, x)
    return kind(start) if found is None else found


def widened(builder: Any, x: Any, kind: Any) -> Any:
    """Elements as they are, or as float64."""
    return x if x.type == kind else builder.fpext(x, kind)


def in_lanes(builder: Any, join: Join, begin: Any, count: int, kind: Any) -> Any:
    """The result for a multiple of LANES elements, computed as numbers of this kind."""
    stored = begin.type.pointee
    vector = ir.VectorType(stored, LANES)

    def load(k: Any) -> Any:
        place = builder.bitcast(builder.gep(begin, [k]), vector.as_pointer())
        x = builder.load(place, align={"double": 8, "float": 4}[str(stored)])
        return widened(builder, x, ir.VectorType(kind, LANES))

    kept = cgutils.alloca_once_value(builder, load(INTEGER(0)))
    if count > LANES:
        steps = (INTEGER(LANES), INTEGER(count), INTEGER(LANES))
        with cgutils.for_range_slice(builder, *steps) as (k, _):
            builder.store(join(builder, builder.load(kept), load(k)), kept)
    found, lanes = builder.load(kept), LANES
    while lanes > 1:
        lanes //= 2
        found = join(builder, taken(builder, found, 0, lanes), taken(builder, found, lanes, lanes))
    return builder.extract_element(found, INTEGER(0))


def taken(builder: Any, vector: Any, first: int, count: int) -> Any:
    """Some lanes of a vector."""
    which = ir.VectorType(ir.IntType(32), count)(list(range(first, first + count)))
    return builder.shuffle_vector(vector, vector, which)


def larger(sign: str) -> Join:
    """The new number where it is `>` (or `<`) than what is there, or NaN; NaN stays."""

    def join(builder: Any, kept: Any, new: Any) -> Any:
        beyond = builder.fcmp_ordered(sign, new, kept)
        is_nan = builder.fcmp_unordered("uno", new, new)
        return builder.select(builder.or_(beyond, is_nan), new, kept)

    return join


sum_of = fold("sum_of", lambda builder, kept, new: builder.fadd(kept, new), 0.0, wide=True)
max_of = fold("max_of", larger(">"), float("-inf"))
min_of = fold("min_of", larger("<"), float("inf"))
