"""Matrix products as vector code, for modules that numba compiles: needs numba."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from .kernels_forms import Kernel
from .kernels_plan import shape_of
from .kernels_target import target
from .kernels_vectors import POINTER

# A vector that begins at the last number of an array ends so many numbers, or fewer, behind it.
SLACK = 16


@intrinsic(prefer_literal=True)
def product(
    typing_context: Any,
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
    """A matrix product, c = a @ b, as vector code for just these sizes.

    For use in functions that numba compiles. With NumPy it is ::

        i = sum(np.meshgrid(*[n * np.arange(m) for m, n in zip(rows, a_rows)], indexing="ij")).ravel()
        k = sum(np.meshgrid(*[n * np.arange(m) for m, n in zip(inner, a_inner)], indexing="ij")).ravel()
        j = b_column * np.arange(columns)
        at = b_inner * np.arange(len(k))
        c[...] = (a[i[:, None] + k] @ b[at[:, None] + j]).ravel()

    so that `rows` and `inner` may each be several axes of an array, as in a convolution.

    Parameters
    ----------
    c, a, b : array
        One axis, contiguous, all float64 or all float32; c overlaps neither a nor b. Behind the
        end of each there is memory that may be read: SLACK numbers. Nothing is written there.
    rows, inner : tuple of int
        The axes that make up the rows of the product, and those that are summed over.
    columns : int
        How many columns the product has.
    a_rows, a_inner : tuple of int
        How far one step along each of these axes moves in a, in numbers.
    b_inner, b_column : int
        How far the next term, and the next column, lie in b. All sizes and steps stand in the
        source as numbers.

    Raises
    ------
    numba.core.errors.TypingError
        For arrays of other kinds, or sizes that are not written out.

    Notes
    -----
    Sums run over the terms in order, or in as many interleaved parts as a vector has lanes; each
    multiplication is rounded together with its addition where the processor does so. NaN and inf
    come out as NumPy's matmul has them.

    Examples
    --------
    >>> import numba, numpy as np
    >>> @numba.njit
    ... def layer(c, x, w):  # c = x @ w: 2 rows of 3 by 3 rows of 2
    ...     product(c, x, w, (2,), 2, (3,), (3,), (1,), 2, 1)
    >>> c, x, w = np.empty(4), np.arange(6.0 + SLACK), np.ones(6 + SLACK)
    >>> layer(c, x, w)
    >>> c.reshape(2, 2)
    array([[ 3.,  3.],
           [12., 12.]])
    """
    if not all(isinstance(x, types.Array) and x.ndim == 1 and x.layout == "C" for x in (c, a, b)):
        raise TypingError(f"product: c, a, b are contiguous arrays of one axis, not {c}, {a}, {b}")
    if not c.dtype == a.dtype == b.dtype or c.dtype not in (types.float32, types.float64):
        raise TypingError(f"product: one of float32, float64; not {c.dtype}, {a.dtype}, {b.dtype}")
    sizes = (rows, columns, inner, a_rows, a_inner, b_inner, b_column)
    numbers = [literal(x) for x in sizes]
    return types.void(c, a, b, *sizes), lambda *given: write_call(numbers, *given)


def literal(given: Any) -> Any:
    """The number, or the tuple of numbers, that stands in the source."""
    if isinstance(given, types.IntegerLiteral):
        return given.literal_value
    if isinstance(given, (types.UniTuple, types.Tuple)):
        return tuple(literal(x) for x in given.types)
    raise TypingError(f"product: sizes and strides are numbers written out, not {given}")


def write_call(numbers: list[Any], context: Any, builder: Any, signature: Any, given: Any) -> Any:
    """Call the kernel of these sizes, which is written into the module where it is not there yet."""
    if 0 not in (*numbers[0], numbers[1]):
        kinds = signature.args[:3]
        arrays = [context.make_array(x)(context, builder, y) for x, y in zip(kinds, given[:3])]
        pointers = [array.data for array in arrays]
        function = kernel(context, builder.module, kinds[0].dtype, numbers)
        builder.call(function, pointers)
    return context.get_dummy_value()


def kernel(context: Any, module: Any, kind: Any, numbers: list[Any]) -> Any:
    """The function of these sizes in this module: one for all its calls."""
    name = f"product_{kind}_" + "_".join(str(x).replace("-", "m") for x in numbers)
    name = "".join(x if x.isalnum() else "_" for x in name)
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 3), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    shape, swapped = shape_of(*numbers)
    c, a, b = function.args
    if swapped:
        a, b = b, a
    number = ir.FloatType() if kind == types.float32 else ir.DoubleType()
    vectors = target(*context.codegen().magic_tuple())
    Kernel(builder, number, shape, vectors, c, a, b).emit()
    builder.ret_void()
    return function
