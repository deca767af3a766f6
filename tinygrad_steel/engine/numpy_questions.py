"""NumPy's functions on Tensors: questions, answered by plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..ops.op import data_of, is_tensor
from .messages import asked_by_user
from .reads import BRANCH, remember
from .recording import refuse_tracing

if TYPE_CHECKING:
    from .tensor import Tensor


def shape(a: Tensor) -> tuple[int, ...]:
    if asked_by_user(2):  # above this function and the Tensor's dispatch
        a._note_count()
    return a.shape


def ndim(a: Tensor) -> int:
    return a.ndim


def size(a: Tensor, axis: int | None = None) -> int:
    if asked_by_user(2):  # above this function and the Tensor's dispatch
        a._note_count()
    return a.size if axis is None else a.shape[axis]


def allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    a, b = numbers_read((a, b))
    return bool(np.allclose(a, b, rtol, atol, equal_nan))  # a lazy array answers lazily


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    a, b = numbers_read((a1, a2))
    if np.shape(a) != np.shape(b):
        return False
    equal = np.equal(a, b)  # by ufuncs, since Dask has no array_equal
    if equal_nan:
        equal = equal | (np.not_equal(a, a) & np.not_equal(b, b))
    return bool(np.all(equal))


def array_equiv(a1: Any, a2: Any) -> bool:
    a, b = numbers_read((a1, a2))
    return bool(np.array_equiv(a, b))


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    found: np.dtype[Any] = np.result_type(*map(data_of, arrays_and_dtypes))
    return found


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(from_.dtype if is_tensor(from_) else from_, to, casting)


def min_scalar_type(a: Any) -> np.dtype[Any]:
    (numbers,) = numbers_read([a]) if not a.ndim else [data_of(a)]  # of arrays, their dtype
    return np.min_scalar_type(numbers)


def shares_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    return np.shares_memory(data_of(a), data_of(b), max_work)


def may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    return np.may_share_memory(data_of(a), data_of(b), max_work)


def iscomplexobj(x: Any) -> bool:
    return False


def isrealobj(x: Any) -> bool:
    return True


def isreal(x: Any) -> np.ndarray:
    return np.ones(x.shape, bool)


def iscomplex(x: Any) -> np.ndarray:
    return np.zeros(x.shape, bool)


def isposinf(x: Any) -> Any:
    return ops.equal(x, np.inf)


def isneginf(x: Any) -> Any:
    return ops.equal(x, -np.inf)


def numbers_read(xs: Sequence[Any]) -> list[Any]:
    """The arrays of Tensors, noted as read, since an answer about them leaves the graph."""
    refuse_tracing()
    for x in xs:
        if is_tensor(x):
            remember(x, BRANCH)
    return [data_of(x) for x in xs]
