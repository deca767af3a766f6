"""NumPy's functions on Tensors: products, and sums of products."""

from __future__ import annotations

import functools
import math
import operator
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .. import ops
from ..ops.op import data_of, is_tensor
from .numpy_parts import as_array


def dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return scaled(a, b)
    return ops.matmul(a, b) if np.ndim(b) <= 2 else tensordot(a, b, (-1, -2))


def inner(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return scaled(a, b)
    return ops.matmul(a, b) if np.ndim(a) == np.ndim(b) == 1 else tensordot(a, b, (-1, -1))


def scaled(a: Any, b: Any) -> Any:
    """A product with a number; a plain one leaves float32 alone, of which NumPy makes float64 here."""
    xs = as_array(a), as_array(b)
    return (
        ops.multiply(a, b) if np.result_type(*map(data_of, xs)).kind == "f" else ops.multiply(*xs)
    )


def vdot(a: Any, b: Any) -> Any:
    return ops.matmul(*(x if np.ndim(x) == 1 else np.reshape(x, -1) for x in (a, b)))


def outer(a: Any, b: Any) -> Any:
    return ops.multiply(np.reshape(a, (-1, 1)), np.reshape(b, (1, -1)))


def kron(a: Any, b: Any) -> Any:
    a, b = as_array(a), as_array(b)
    ndim = max(a.ndim, b.ndim)
    big, small = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    blocks = np.reshape(a, [n for pair in zip(big, (1,) * ndim) for n in pair])
    parts = np.reshape(b, [n for pair in zip((1,) * ndim, small) for n in pair])
    return np.reshape(blocks * parts, [m * n for m, n in zip(big, small)])


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(as_array(a), axisa, 0), np.moveaxis(as_array(b), axisb, 0)
    if a.shape[0] != 3 or b.shape[0] != 3:
        raise TypeError(
            f"vectors have 3 elements, not {a.shape[0]} and {b.shape[0]}: "
            f"of two in the plane write a[0] * b[1] - a[1] * b[0]"
        )
    (a0, a1, a2), (b0, b1, b2) = a, b
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=axisc)


def cross_of_three(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return cross(x1, x2, axis=axis)


def outer_of_vectors(x1: Any, x2: Any, /) -> Any:
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError("np.linalg.outer is of vectors: np.outer takes arrays apart")
    return outer(x1, x2)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """One product of matrices: what is summed as the columns of the first, rows of the second."""
    a, b = as_array(a), as_array(b)
    if np.ndim(axes) == 0:
        axes = [range(-operator.index(axes), 0), range(operator.index(axes))]
    gone_a, gone_b = (
        normalize_axis_tuple(i if np.ndim(i) else (i,), x.ndim) for i, x in zip(axes, (a, b))
    )
    lengths = [a.shape[i] for i in gone_a]
    if lengths != [b.shape[i] for i in gone_b]:
        raise ValueError(
            f"np.tensordot: the axes {axes} of shapes {a.shape} and {b.shape} differ in length, or in number"
        )
    left = [i for i in range(a.ndim) if i not in gone_a]
    right = [i for i in range(b.ndim) if i not in gone_b]
    rows, columns = [a.shape[i] for i in left], [b.shape[i] for i in right]
    total = math.prod(lengths)
    first = np.reshape(np.transpose(a, (*left, *gone_a)), (math.prod(rows), total))
    second = np.reshape(np.transpose(b, (*gone_b, *right)), (total, math.prod(columns)))
    return np.reshape(ops.matmul(first, second), (*rows, *columns))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    a, b = np.moveaxis(as_array(x1), axis, -1), np.moveaxis(as_array(x2), axis, -1)
    product = ops.matmul(np.expand_dims(a, -2), np.expand_dims(b, -1))
    return np.squeeze(product, (-2, -1))


def matvec(x1: Any, x2: Any, /) -> Any:
    refuse_few_axes("np.matvec", x1, x2)
    return np.squeeze(ops.matmul(x1, np.expand_dims(x2, -1)), -1)


def vecmat(x1: Any, x2: Any, /) -> Any:
    refuse_few_axes("np.vecmat", x2, x1)
    return np.squeeze(ops.matmul(np.expand_dims(x1, -2), x2), -2)


def refuse_few_axes(name: str, matrix: Any, vector: Any) -> None:
    """ValueError for what is no matrix, or no vector."""
    if np.ndim(matrix) < 2 or np.ndim(vector) < 1:
        raise ValueError(f"{name} takes matrices and vectors, or stacks of them")


# Sums of products by letters


def einsum(*operands: Any, optimize: Any = False) -> Any:
    """As NumPy has it: letters or lists of numbers, "...", diagonals, in the order of a path."""
    subscripts, xs = by_letters(operands)
    if optimize is False and is_plain(subscripts):
        return ops.einsum(*xs, subscripts=subscripts)
    xs = [*map(as_array, xs)]
    terms, result = without_dots(subscripts, [x.ndim for x in xs])
    terms, xs = map(list, zip(*map(without_diagonals, terms, xs)))
    for chosen in path(terms, result, xs, optimize):
        parts = [(terms.pop(i), xs.pop(i)) for i in sorted(chosen, reverse=True)][::-1]
        taken, factors = zip(*parts)
        seen = dict.fromkeys("".join(taken))
        kept = "".join(c for c in seen if c in result + "".join(terms)) if terms else result
        terms.append(kept)
        xs.append(ops.einsum(*factors, subscripts=f"{','.join(taken)}->{kept}"))
    return xs[0]


@functools.lru_cache(maxsize=512)
def is_plain(subscripts: str) -> bool:
    """Whether each array has each of its letters once, and no "..."."""
    terms = subscripts.replace(" ", "").partition("->")[0].split(",")
    return "." not in subscripts and all(len({*term}) == len(term) for term in terms)


def by_letters(operands: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The letters and the arrays; numbers in lists become letters that are sorted like them."""
    if isinstance(operands[0], str):
        return operands[0], operands[1:]
    letters = string.ascii_uppercase + string.ascii_lowercase

    def text(numbers: Any) -> str:
        return "".join("..." if i is Ellipsis else letters[operator.index(i)] for i in numbers)

    xs, lists = operands[: len(operands) // 2 * 2 : 2], operands[1::2]
    result = f"->{text(operands[-1])}" if len(operands) % 2 else ""
    return ",".join(map(text, lists)) + result, xs


def without_dots(subscripts: str, ndims: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each array and of the result, with letters of their own in place of "..."."""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    result = result if arrow else implied(left)
    hidden = hidden_axes(subscripts, terms, ndims)
    most = max(hidden)
    if most and "..." not in result:
        raise ValueError(
            f"np.einsum: the result in {subscripts!r} has no place for the axes of '...'"
        )
    free = "".join([c for c in string.ascii_letters if c not in subscripts][:most])
    terms = [term.replace("...", free[most - n :]) for term, n in zip(terms, hidden)]
    return terms, result.replace("...", free)


def implied(left: str) -> str:
    """The result where none is written: first "...", then the letters that are there once."""
    once = sorted(c for c in {*left} - {*",."} if left.count(c) == 1)
    return "..." * ("..." in left) + "".join(once)


def hidden_axes(subscripts: str, terms: list[str], ndims: Sequence[int]) -> list[int]:
    """How many axes "..." stands for in each array; ValueError where letters do not fit."""
    if len(terms) != len(ndims):
        raise ValueError(f"np.einsum: {subscripts!r} is for {len(terms)} arrays, not {len(ndims)}")
    counts = [n - len(term.replace("...", "")) for term, n in zip(terms, ndims)]
    if any(n < 0 or (n and "..." not in term) for term, n in zip(terms, counts)):
        raise ValueError(f"np.einsum: {subscripts!r} does not fit arrays with {[*ndims]} axes")
    return counts


def without_diagonals(term: str, x: Any) -> tuple[str, Any]:
    """An array with each of its letters once: the diagonals of those that it had more often."""
    for c in dict.fromkeys(term):
        places = [i for i, d in enumerate(term) if d == c]
        if len(places) == 1:
            continue
        lengths = {x.shape[i] for i in places}
        if len(lengths) > 1:
            raise ValueError(f"np.einsum: {c} stands for lengths {sorted(lengths)} of one array")
        x = np.moveaxis(x, places, range(len(places)))
        x = x[(np.arange(*lengths),) * len(places)]
        term = c + term.replace(c, "")
    return term, x


def path(terms: list[str], result: str, xs: list[Any], optimize: Any) -> list[Any]:
    """Which arrays are multiplied together, step by step: NumPy's, or all of them at once."""
    if optimize is False or len(xs) < 3:
        return [range(len(xs))]
    found, _ = np.einsum_path(f"{','.join(terms)}->{result}", *map(shaped, xs), optimize=optimize)
    return found[1:]


def einsum_path(*operands: Any, optimize: Any = "greedy") -> Any:
    shapes = [shaped(x) if is_tensor(x) else x for x in operands]
    return np.einsum_path(*shapes, optimize=optimize)


def shaped(x: Any) -> np.ndarray:
    """An array of the same shape that takes no memory."""
    return np.broadcast_to(np.float64(0), x.shape)


# Running products


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    if mode != "same":
        return ops.convolve(a, v, mode=mode)
    short, long = sorted((len(a), len(v)))
    edge = (short - 1) // 2
    return ops.convolve(a, v)[edge : edge + long]


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    if len(v) <= len(a):
        return convolve(a, np.flip(v), mode)
    return np.flip(convolve(v, np.flip(a), mode))
