"""What a call of a kernel means, in NumPy: for readers, and where loops are run by Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SLACK = 16  # a vector may begin at the last number of an array: so many numbers behind it are read


def product(
    c: Any,
    a: Any,
    b: Any,
    rows: Sequence[int],
    columns: int,
    inner: Sequence[int],
    a_rows: Sequence[int],
    a_inner: Sequence[int],
    b_inner: int,
    b_column: int,
) -> None:
    """c = a @ b, as flat arrays.

    Rows may be several axes, and so may the terms of a sum: `a_rows` and `a_inner` say how far a
    step along each moves in a. The next term lies `b_inner` further in b, the next column `b_column`.

    >>> c, x, w = np.empty(4), np.arange(6.0), np.ones(6)
    >>> product(c, x, w, (2,), 2, (3,), (3,), (1,), 2, 1)  # 2 rows of 3 by 3 rows of 2
    >>> c.reshape(2, 2)
    array([[ 3.,  3.],
           [12., 12.]])
    """
    i, k = places(rows, a_rows), places(inner, a_inner)
    left = a[i[:, None] + k]
    right = b[b_inner * np.arange(len(k))[:, None] + b_column * np.arange(columns)]
    c[: len(i) * columns] = (left @ right).ravel()


def affine(c: Any, start: Any, a: Any, b: Any, rows: Any, columns: int, *sizes: Any) -> None:
    """c = a @ b + start, a row that is added to each.

    >>> c, x, w, bias = np.empty(2), np.array([1.0, 2.0]), np.ones(2), np.array([-2.0])
    >>> affine(c, bias, x, w, (2,), 1, (1,), (1,), (1,), 1, 1)
    >>> c
    array([-1.,  0.])
    """
    product(c, a, b, rows, columns, *sizes)
    c[: int(np.prod(rows)) * columns].reshape(-1, columns)[...] += start[:columns]


def affine_relu(c: Any, start: Any, a: Any, b: Any, rows: Any, columns: int, *sizes: Any) -> None:
    """c = max(a @ b + start, 0), where NaN stays NaN.

    >>> c, x, w, bias = np.empty(2), np.array([1.0, 4.0]), np.ones(2), np.array([-2.0])
    >>> affine_relu(c, bias, x, w, (2,), 1, (1,), (1,), (1,), 1, 1)
    >>> c
    array([0., 2.])
    """
    affine(c, start, a, b, rows, columns, *sizes)
    there = c[: int(np.prod(rows)) * columns]
    np.maximum(there, 0, out=there)


def product_relu_vjp(c: Any, y: Any, a: Any, b: Any, rows: Any, columns: int, *sizes: Any) -> None:
    """c = (a @ b) * sign(y), where y is a result of relu and lies as c does.

    >>> c, y, g, w = np.empty(2), np.array([0.0, 5.0]), np.array([3.0]), np.ones(2)
    >>> product_relu_vjp(c, y, g, w, (1,), 2, (1,), (1,), (1,), 1, 1)
    >>> c
    array([0., 3.])
    """
    product(c, a, b, rows, columns, *sizes)
    numbers = int(np.prod(rows)) * columns
    c[:numbers] *= np.sign(y[:numbers])


def add_product(c: Any, scale: Any, a: Any, b: Any, rows: Any, columns: int, *sizes: Any) -> None:
    """c += scale * (a @ b), as gradient descent does.

    >>> c, x, w = np.array([10.0]), np.array([1.0, 2.0]), np.ones(2)
    >>> add_product(c, -0.5, x, w, (1,), 1, (2,), (2,), (1,), 1, 1)
    >>> c
    array([8.5])
    """
    more = np.empty_like(c)
    product(more, a, b, rows, columns, *sizes)
    numbers = int(np.prod(rows)) * columns
    c[:numbers] += c.dtype.type(scale) * more[:numbers]


def places(lengths: Sequence[int], steps: Sequence[int]) -> Any:
    """Where loops over these axes come by, in order.

    >>> places((2, 3), (10, 1))
    array([ 0,  1,  2, 10, 11, 12])
    """
    found = np.zeros(1, np.intp)
    for length, step in zip(lengths, steps, strict=True):
        found = (found[:, None] + step * np.arange(length)).ravel()
    return found
