"""NumPy's functions on Tensors: element by element, in other words than an op's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops.op import is_tensor
from .numpy_parts import as_array
from .operators import masks_only


def float_power(a: Any, b: Any) -> Any:
    return ops.power(as_float64(a), as_float64(b))


def as_float64(x: Any) -> Any:
    """Floats in at least as many digits as float64 has."""
    if not is_tensor(x):
        return np.asarray(x, np.result_type(x, np.float64)) if np.ndim(x) else float(x)
    dtype = np.result_type(x.dtype, np.float64)
    return x if x.dtype == dtype else x.astype(dtype)


def outer(ufunc: np.ufunc, a: Any, b: Any, *, axis: int = 0) -> Any:
    """Each element of `a` with each of `b`; `axis` says nothing here, as there is none."""
    a = as_array(a)
    return ufunc(np.reshape(a, (*a.shape, *[1] * np.ndim(b))), b)


def divmod(a: Any, b: Any) -> tuple[Any, Any]:
    return ops.floor_divide(a, b), ops.remainder(a, b)


def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if not copy:
        raise TypeError("copy=False would change a Tensor in place: leave it out")
    return ops.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def polyval(p: Any, x: Any) -> Any:
    """By Horner's rule, the coefficient of the highest power first."""
    x = as_array(x)
    y: Any = np.zeros_like(x)
    for coefficient in p if is_tensor(p) else np.asarray(p):
        y = y * x + coefficient
    return y


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of a vector as columns, the highest first."""
    x = x.astype(np.result_type(x.dtype, int))
    powers = [x**n for n in range(x.shape[0] if N is None else N)]
    if not powers:
        return x[:, None][:, :0]
    return np.stack(powers if increasing else powers[::-1], axis=1)


# Of numbers that are real


def real(val: Any) -> Any:
    return val


def imag(val: Any) -> Any:
    return ops.zeros_like(val)


def conjugate(x: Any) -> Any:
    return x.astype(np.int8) if x.dtype == bool else ops.positive(x)  # as NumPy, which counts


def real_if_close(a: Any, tol: float = 100) -> Any:
    return a


def angle(z: Any, deg: bool = False) -> Any:
    """Half a turn below 0, else 0."""
    return ops.arctan2(0.0, z) if not deg else ops.rad2deg(ops.arctan2(0.0, z))


# On masks NumPy's & | ^ ~ are logic; on integers they work bit by bit, which is refused.


def bitwise_and(a: Any, b: Any) -> Any:
    return ops.logical_and(masks_only(a), masks_only(b))


def bitwise_or(a: Any, b: Any) -> Any:
    return ops.logical_or(masks_only(a), masks_only(b))


def bitwise_xor(a: Any, b: Any) -> Any:
    return ops.logical_xor(masks_only(a), masks_only(b))


def invert(x: Any) -> Any:
    return ops.logical_not(masks_only(x))
