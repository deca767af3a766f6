"""Matrix products as vector code, for modules that numba compiles: needs numba."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from .kernels_forms import End, Kernel
from .kernels_plain import SLACK
from .kernels_plan import shape_of
from .kernels_target import Target, target
from .kernels_vectors import POINTER

__all__ = ["SLACK", "add_product", "affine", "affine_relu", "product", "product_relu_vjp"]


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

    For use in functions that numba compiles; `kernels_plain.product` is the same in NumPy.

    Parameters
    ----------
    c, a, b : array, or tuple of array and int
        One axis, contiguous, all float64 or all float32; c overlaps neither a nor b. Behind the
        end of each there is memory that may be read: SLACK numbers. Nothing is written there.
        `(m, 120)` stands for `m[120:]`, and takes numba a third of the time to compile.
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
    sizes = (rows, columns, inner, a_rows, a_inner, b_inner, b_column)
    return signature_of("product", [c, a, b], sizes)


@intrinsic(prefer_literal=True)
def affine(
    typing_context: Any,
    c: Any,
    start: Any,
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
    """c = a @ b + start, a row that is added to each; else as `product`."""
    sizes = (rows, columns, inner, a_rows, a_inner, b_inner, b_column)
    return signature_of("affine", [c, start, a, b], sizes)


@intrinsic(prefer_literal=True)
def affine_relu(
    typing_context: Any,
    c: Any,
    start: Any,
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
    """c = max(a @ b + start, 0), where NaN stays NaN; else as `affine`."""
    sizes = (rows, columns, inner, a_rows, a_inner, b_inner, b_column)
    return signature_of("affine_relu", [c, start, a, b], sizes)


@intrinsic(prefer_literal=True)
def add_product(
    typing_context: Any,
    c: Any,
    scale: Any,
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
    """c += scale * (a @ b), as gradient descent does; else as `product`."""
    sizes = (rows, columns, inner, a_rows, a_inner, b_inner, b_column)
    return signature_of("add_product", [c, a, b], sizes, scale)


@intrinsic(prefer_literal=True)
def product_relu_vjp(
    typing_context: Any,
    c: Any,
    y: Any,
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
    """c = (a @ b) * sign(y), where y is a result of relu and lies as c does; else as `product`."""
    sizes = (rows, columns, inner, a_rows, a_inner, b_inner, b_column)
    return signature_of("product_relu_vjp", [c, y, a, b], sizes)


def signature_of(name: str, places: list[Any], sizes: tuple[Any, ...], scale: Any = None) -> Any:
    """The types of a call, and what writes it."""
    arrays = [array_of(x) for x in places]
    if not all(isinstance(x, types.Array) and x.ndim == 1 and x.layout == "C" for x in arrays):
        given = ", ".join(map(str, places))
        raise TypingError(f"{name} takes contiguous arrays of one axis, not {given}")
    kinds = {x.dtype for x in arrays}
    if len(kinds) > 1 or not kinds <= {types.float32, types.float64}:
        given = ", ".join(str(x.dtype) for x in arrays)
        raise TypingError(f"{name} takes arrays that are all float64 or all float32, not {given}")
    numbers = [literal(name, x) for x in sizes]
    if scale is not None:
        if not isinstance(scale, (types.Float, types.Integer)):
            raise TypingError(f"{name} takes a real number as scale, not {scale}")
        places = [places[0], arrays[0].dtype, *places[1:]]  # numba turns the scale into this type
    return types.void(*places, *sizes), lambda *given: write_call(
        name, len(places), numbers, *given
    )


def array_of(place: Any) -> Any:
    """The type of the array in `(array, first)`, else what is given."""
    if isinstance(place, types.Tuple) and len(place) == 2 and isinstance(place[1], types.Integer):
        return place[0]
    return place


def literal(name: str, given: Any) -> Any:
    """The number, or the tuple of numbers, that stands in the source."""
    if isinstance(given, types.IntegerLiteral):
        return given.literal_value
    if isinstance(given, (types.UniTuple, types.Tuple)):
        return tuple(literal(name, x) for x in given.types)
    raise TypingError(f"{name}: sizes and steps are numbers written out, not {given}")


def write_call(
    name: str,
    places: int,
    numbers: list[Any],
    context: Any,
    builder: Any,
    signature: Any,
    given: Any,
) -> Any:
    """Call the kernel of these sizes, which is written into the module where it is not there yet."""
    if 0 not in (*numbers[0], numbers[1]):
        kinds = signature.args[:places]
        number = ir.FloatType() if array_of(kinds[0]).dtype == types.float32 else ir.DoubleType()
        vectors = target(*context.codegen().magic_tuple())
        function = kernel(builder.module, name, number, numbers, vectors)
        pairs = zip(kinds, given[:places], strict=True)
        builder.call(function, [address(context, builder, *pair) for pair in pairs])
    return context.get_dummy_value()


def address(context: Any, builder: Any, place: Any, value: Any) -> Any:
    """Where an array's numbers are; from the first on in `(array, first)`. A number is itself."""
    if isinstance(place, types.Float):
        return value
    array, first = array_of(place), None
    if array is not place:
        value, first = (builder.extract_value(value, n) for n in (0, 1))
        first = context.cast(builder, first, place[1], types.intp)
    data = context.make_array(array)(context, builder, value).data
    return data if first is None else builder.gep(data, [first])


def kernel(module: Any, name: str, number: Any, numbers: list[Any], vectors: Target) -> Any:
    """The function of these sizes in this module: one for all its calls."""
    sizes = "_".join(str(x).replace("-", "m") for x in numbers)
    known = "".join(x if x.isalnum() else "_" for x in f"{name}_{number}_{sizes}")
    if known in module.globals:
        return module.globals[known]
    beside = [] if name == "product" else [number if name == "add_product" else POINTER]
    kinds = [POINTER, *beside, POINTER, POINTER]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), known)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("optsize")  # not to unroll: a tile is all the code that pays
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    shape, swapped = shape_of(*numbers)
    c, *beside, a, b = function.args
    if swapped:
        a, b = b, a
    end = End(
        start=beside[0] if name.startswith("affine") else None,
        one=swapped,
        relu=name == "affine_relu",
        slope=beside[0] if name == "product_relu_vjp" else None,
        scale=beside[0] if name == "add_product" else None,
    )
    Kernel(builder, number, shape, vectors, c, a, b, end).emit()
    builder.ret_void()
    return function
