"""NumPy's functions on Tensors: products, and lengths by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops


def dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ops.multiply(a, b)
    if np.ndim(b) > 2:
        raise TypeError(
            "np.dot with more than two axes in the second argument: write np.einsum or @"
        )
    return ops.matmul(a, b)


def inner(a: Any, b: Any) -> Any:
    if np.ndim(a) != 1 or np.ndim(b) != 1:
        raise TypeError(
            "np.vdot and np.inner are followed for vectors: "
            "write np.sum(a * b) or a @ b.T, as meant"
        )
    return ops.matmul(a, b)


def outer(a: Any, b: Any) -> Any:
    return ops.multiply(np.reshape(a, (-1, 1)), np.reshape(b, (1, -1)))


def einsum(subscripts: str, *operands: Any) -> Any:
    if not isinstance(subscripts, str):
        raise TypeError('write the letters first, as in np.einsum("ij,jk->ik", a, b)')
    return ops.einsum(*operands, subscripts=subscripts)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if isinstance(axis, int | np.integer) or (axis is None and x.ndim == 1):
        followed = ord is None or ord == 2
    else:
        followed = ord is None or (ord == "fro" and x.ndim > 1)
    if not followed:
        raise TypeError(
            "np.linalg.norm with ord on Tensors: "
            "write np.sum(np.abs(x)), np.max(np.abs(x)), ... as meant"
        )
    return ops.norm(x, axis, keepdims=keepdims)
