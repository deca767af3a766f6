"""Matrix products inside one block of memory, as generated loops call them: needs numba."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from .kernels import kernel, literal


@intrinsic(prefer_literal=True)
def product(
    typing_context: Any,
    m: Any,
    c: Any,
    a: Any,
    b: Any,
    rows: Any,
    columns: Any,
    inner: Any,
    a_rows: Any,
    a_inner: Any,
    b_inner: Any,
    b_column: Any,
) -> Any:
    """`product(m[c:], m[a:], m[b:], rows, ...)` of kernels.py, by the places alone.

    A slice for each array costs more to compile than the product itself.
    """
    sizes = (rows, columns, inner, a_rows, a_inner, b_inner, b_column)
    numbers = [literal(x) for x in sizes]
    places = (types.int64,) * 3

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        if 0 not in (*numbers[0], numbers[1]):
            block = context.make_array(m)(context, builder, given[0])
            number = context.get_data_type(m.dtype)
            pointers = [
                builder.gep(block.data, [place], source_etype=number) for place in given[1:4]
            ]
            builder.call(kernel(context, builder.module, m.dtype, numbers), pointers)
        return context.get_dummy_value()

    return types.void(m, *places, *sizes), write
