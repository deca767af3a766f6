"""What a Tensor answers about its array: lengths, dtype, plain numbers.

What a loss may depend on without being seen is noted (see reads.py).
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..ops.op import OPS, Op, describe
from .later import refusals
from .messages import asked_by_user, expression_of
from .reads import BRANCH, COUNT, INDEX, NUMBER, TEXT, remember
from .recording import refuse_tracing

if TYPE_CHECKING:
    from .tensor import Tensor

# Ops whose results are as long as the numbers in their inputs decide.
COUNTED = {ops.getitem, *(op for op in OPS.values() if op.counts)}


class Answers:
    """The facts of a Tensor, and its numbers as Python's own, by ndarray's names."""

    __slots__ = ()
    _array: Any
    _inputs: tuple[Any, ...]
    _name: str | None
    _op: Op | None
    _shape: tuple[int, ...]

    # Facts, read-only: a slip of the pen does not change them; `_shape = ...` does.

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis, a tuple of int; () of a single number."""
        if self._op in COUNTED and asked_by_user(1):
            self._note_count()
        return self._shape

    @property
    def size(self) -> int:
        """The number of elements."""
        if self._op in COUNTED and asked_by_user(1):
            self._note_count()
        size: int = self._array.size
        return size

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements, a NumPy dtype."""
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    @property
    def itemsize(self) -> int:
        """The number of bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The number of bytes of all elements."""
        if self._op in COUNTED and asked_by_user(1):
            self._note_count()
        nbytes: int = self._array.nbytes
        return nbytes

    def _note_count(self) -> None:
        """Remember that a number of elements was asked for, where other numbers decide on it."""
        if self._op is ops.getitem and not any(map(decides, self._inputs[1:])):
            return
        if self._op in COUNTED:
            remember(self, COUNT)

    # Numbers

    def item(self, *place: Any) -> float:
        """The only element, or the one at a place, as a Python number without history.

        Parameters
        ----------
        *place : int
            Nothing for the only element; else its index, one number for each axis or one in row order.

        Returns
        -------
        float
            Or int, or bool, as the dtype says.

        Raises
        ------
        ValueError
            Where there are more elements, and no place is given, or one with too many numbers.
        IndexError
            For a place that there is not.
        TypeError
            In a rule that is traced, which would keep the number for ever.

        Examples
        --------
        >>> from tinygrad_steel import Tensor
        >>> t = Tensor([[1.0, 2.0]])
        >>> t.item(0, 1), t.sum().item()
        (2.0, 3.0)
        """
        if place:
            refuse_tracing()
            chosen: float = np.asarray(self._array).item(*place)
            return chosen
        if self.size != 1:
            raise ValueError(
                f"item() takes the only element of a Tensor; {describe(self)} has {self.size}"
            )
        refuse_tracing()
        number: float = np.asarray(self._array).item()
        return number

    def tolist(self) -> Any:
        """The elements as Python numbers, in lists of lists, without history."""
        refuse_tracing()
        remember(self, NUMBER if self.dtype.kind == "f" else INDEX)
        return np.asarray(self._array).tolist()

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d Tensor has no length")
        self._note_count()
        return self._shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))  # type: ignore[index]

    def __contains__(self, x: Any) -> bool:
        return bool(np.any(self == x))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"the truth of {describe(self)} is ambiguous: use np.any(t), np.all(t), "
                f"and & | ~ for and, or, not"
            )
        refuse_tracing()
        refuse_assignment(self)
        remember(self, BRANCH)
        return bool(self._array)

    def __float__(self) -> float:
        refuse_tracing()
        refuse_assignment(self)
        number = float(self.item())
        remember(self, NUMBER)
        return number

    def __int__(self) -> int:
        refuse_tracing()
        refuse_assignment(self)
        number = int(self.item())
        remember(self, INDEX)
        return number

    def __round__(self, digits: int | None = None) -> Any:
        """To `digits` a Tensor, whose slope is 0."""
        if digits is None:
            raise TypeError(
                f"round(t) makes an int of {describe(self)}, which would stay what it is: write "
                f"np.round(t), or round(t.item()) where the number alone is meant"
            )
        return np.round(self, digits)  # type: ignore

    def __trunc__(self) -> Any:
        raise TypeError(
            f"math.trunc(t) makes an int of {describe(self)}, which would stay what it is: write "
            f"np.trunc(t), or int(t.item()) where the number alone is meant"
        )

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise TypeError(f"only a single integer can be an index, not {describe(self)}")
        number = int(self.item())
        remember(self, INDEX)
        return number

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        number = self.item()
        if self.dtype.kind != "f":  # part of a name or of a key; floats are for people to read
            remember(self, TEXT)
        return format(number, spec)


def decides(index: Tensor) -> bool:
    """Whether numbers decide how many elements an index picks."""
    return index.dtype.kind == "b" or index._op in COUNTED - {ops.getitem}


def refuse_assignment(t: Any) -> None:
    """TypeError where NumPy asks for the numbers of `t` for `z[i] = t`: the history would be lost."""
    frame = sys._getframe(2)
    if frame.f_globals.get("__name__") == "numpy._core._methods":
        refuse_mean(frame)
    if dis.opname[frame.f_code.co_code[frame.f_lasti]] in ("STORE_SUBSCR", "STORE_SLICE"):
        called = t._name or "the Tensor"
        raise TypeError(
            f"`{expression_of(frame) or 'z[i]'} = ...` cannot keep the history of {called} of shape "
            f"{t.shape}: use np.where, np.stack or np.concatenate, or t.numpy() where the numbers "
            f"alone are meant{refusals.advice(t)}"
        )


def refuse_mean(frame: FrameType) -> None:
    """TypeError where NumPy makes a plain number of the mean of an array of objects."""
    if isinstance(frame.f_locals.get("arr"), np.ndarray):  # else it is yet to be made of Tensors
        raise TypeError(
            f"np.{frame.f_code.co_name.strip('_')} of an array of objects makes plain numbers of the "
            f"Tensors in it: write z = np.stack(list(z.flat)).reshape(z.shape) before"
        )
