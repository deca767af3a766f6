"""The operators of a Tensor, indexing among them, and those in place."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import ops
from ..ops.op import Op, data_of, describe, is_tensor
from .recording import RECORDING
from .views import refuse_view

if TYPE_CHECKING:
    from .tensor import Tensor


class Operators:
    """What each operator means: straight to `record_op`, as NumPy's dispatch takes microseconds."""

    __slots__ = ()
    record_op: ClassVar[Callable[..., Tensor]]

    def __add__(self, other: Any) -> Tensor:
        return self.record_op(ops.add, (self, other), {})

    def __radd__(self, other: Any) -> Tensor:
        return self.record_op(ops.add, (other, self), {})

    def __sub__(self, other: Any) -> Tensor:
        return self.record_op(ops.subtract, (self, other), {})

    def __rsub__(self, other: Any) -> Tensor:
        return self.record_op(ops.subtract, (other, self), {})

    def __mul__(self, other: Any) -> Tensor:
        return self.record_op(ops.multiply, (self, other), {})

    def __rmul__(self, other: Any) -> Tensor:
        return self.record_op(ops.multiply, (other, self), {})

    def __truediv__(self, other: Any) -> Tensor:
        return self.record_op(ops.divide, (self, other), {})

    def __rtruediv__(self, other: Any) -> Tensor:
        return self.record_op(ops.divide, (other, self), {})

    def __floordiv__(self, other: Any) -> Tensor:
        return self.record_op(ops.floor_divide, (self, other), {})

    def __rfloordiv__(self, other: Any) -> Tensor:
        return self.record_op(ops.floor_divide, (other, self), {})

    def __mod__(self, other: Any) -> Tensor:
        return self.record_op(ops.remainder, (self, other), {})

    def __rmod__(self, other: Any) -> Tensor:
        return self.record_op(ops.remainder, (other, self), {})

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __pow__(self, other: Any) -> Tensor:
        return self.record_op(ops.power, (self, other), {})

    def __rpow__(self, other: Any) -> Tensor:
        return self.record_op(ops.power, (other, self), {})

    def __matmul__(self, other: Any) -> Tensor:
        return self.record_op(ops.matmul, (self, other), {})

    def __rmatmul__(self, other: Any) -> Tensor:
        return self.record_op(ops.matmul, (other, self), {})

    def __neg__(self) -> Tensor:
        return self.record_op(ops.negative, (self,), {})

    def __pos__(self) -> Tensor:
        return self  # type: ignore[return-value]

    def __abs__(self) -> Tensor:
        return self.record_op(ops.abs, (self,), {})

    def __gt__(self, other: Any) -> Tensor:
        return self.record_op(ops.greater, (self, other), {})

    def __ge__(self, other: Any) -> Tensor:
        return self.record_op(ops.greater_equal, (self, other), {})

    def __lt__(self, other: Any) -> Tensor:
        return self.record_op(ops.less, (self, other), {})

    def __le__(self, other: Any) -> Tensor:
        return self.record_op(ops.less_equal, (self, other), {})

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return self.record_op(ops.equal, (self, other), {})

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return self.record_op(ops.not_equal, (self, other), {})

    def __and__(self, other: Any) -> Tensor:
        return self.record_op(ops.logical_and, (masks_only(self), masks_only(other)), {})

    def __or__(self, other: Any) -> Tensor:
        return self.record_op(ops.logical_or, (masks_only(self), masks_only(other)), {})

    def __xor__(self, other: Any) -> Tensor:
        return self.record_op(ops.logical_xor, (masks_only(self), masks_only(other)), {})

    def __invert__(self) -> Tensor:
        return self.record_op(ops.logical_not, (masks_only(self),), {})

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __getitem__(self, index: Any) -> Tensor:
        if is_plain_index(index):
            return self.record_op(ops.getitem, (self,), {"index": index})
        parts = index if isinstance(index, tuple) else (index,)
        parts = tuple(map(index_part, parts))
        arrays = filter(is_array, parts)
        key = tuple(ops.HOLE if is_array(part) else part for part in parts)
        params = {"index": key if isinstance(index, tuple) else key[0]}
        return self.record_op(ops.getitem, (self, *arrays), params)

    # In place: `w -= 0.1 * w.grad`, as books write the update

    def __iadd__(self, other: Any) -> Tensor:
        return augmented(self, "+=", operator.iadd, ops.add, other)

    def __isub__(self, other: Any) -> Tensor:
        return augmented(self, "-=", operator.isub, ops.subtract, other)

    def __imul__(self, other: Any) -> Tensor:
        return augmented(self, "*=", operator.imul, ops.multiply, other)

    def __itruediv__(self, other: Any) -> Tensor:
        return augmented(self, "/=", operator.itruediv, ops.divide, other)

    def __ifloordiv__(self, other: Any) -> Tensor:
        return augmented(self, "//=", operator.ifloordiv, ops.floor_divide, other)

    def __imod__(self, other: Any) -> Tensor:
        return augmented(self, "%=", operator.imod, ops.remainder, other)

    def __ipow__(self, other: Any) -> Tensor:
        return augmented(self, "**=", operator.ipow, ops.power, other)

    def __imatmul__(self, other: Any) -> Tensor:
        return augmented(self, "@=", operator.imatmul, ops.matmul, other)


def augmented(tensor: Any, sign: str, in_place: Callable[..., Any], op: Op, other: Any) -> Tensor:
    """`t -= other` and the like: moves a parameter's data, inside no_grad(); else a new result.

    Outside it would put a result in the parameter's place, and the next step would find nothing to
    train. A new result is the Tensor of this one name: another name of the old one keeps that (see
    views.py), and on a view, which NumPy's operator would change together with another array, it is
    refused.
    """
    t: Tensor = tensor
    if t.op is not None or not t.requires_grad:
        refuse_view(t, sign, other)
        return t.record_op(op, (t, other), {})
    name = t.name or "w"
    if RECORDING.get().on:
        raise TypeError(
            f"`{name} {sign} ...` on the parameter {describe(t)} would put a result in its place: "
            f"to change its data, write {name}.data {sign} ..., or the same line inside "
            f"`with no_grad():`; "
            f"for a new result, {name}2 = {name} {sign[:-1]} ..."
        )
    try:
        t.data = in_place(t.data, data_of(other))
    except (TypeError, ValueError) as error:  # NumPy's own say nothing of names
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{describe(t)} {sign} {describe(other)}: {error}") from error
    return t


def masks_only(x: Any) -> Any:
    """`x`, if it is a mask: on integers & | ^ ~ work bit by bit, which is not followed."""
    if not isinstance(x, bool) and getattr(getattr(x, "dtype", None), "kind", None) != "b":
        raise TypeError(f"& | ^ ~ on Tensors are for masks (bool), not for {describe(x)}")
    return x


NUMBERS = {int, type(None)}
PLAIN_PARTS = {*NUMBERS, type(Ellipsis)}


def is_plain_index(index: Any) -> bool:
    """Whether an index can be recorded as it is: numbers, slices of numbers, None, Ellipsis."""
    for part in index if index.__class__ is tuple else (index,):
        kind = part.__class__
        if kind is slice:
            if not NUMBERS.issuperset(
                (part.start.__class__, part.stop.__class__, part.step.__class__)
            ):
                return False
        elif kind not in PLAIN_PARTS:
            return False
    return True


def index_part(part: Any) -> Any:
    """A part of an index: a list as an array, a slice from plain numbers."""
    if isinstance(part, list):
        return np.array(part, dtype=None if part else int)
    return plain_slice(part) if isinstance(part, slice) else part


def plain_slice(s: slice) -> slice:
    """A slice from plain numbers: Tensors among them are read now, not when a rule is traced."""
    return slice(*(n if n is None else operator.index(n) for n in (s.start, s.stop, s.step)))


def is_array(index: Any) -> bool:
    """Whether a part of an index is an array, of which each element picks one."""
    return isinstance(index, np.ndarray) or is_tensor(index)
