"""The methods of a Tensor: ndarray's names and arguments, and the activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Never

import numpy as np

from .. import ops
from .habits import refuse

if TYPE_CHECKING:
    from .tensor import Tensor


class Methods:
    """What each method means: an op on the Tensor itself, with these parameters."""

    __slots__ = ()
    record_op: ClassVar[Callable[..., Tensor]]

    def sum(self, axis: Any = None, *, keepdims: bool = False, **unknown: Never) -> Tensor:
        """The sum over all elements or along `axis`."""
        if unknown:
            refuse("sum", unknown)
        if axis is None and not keepdims:  # the shortest way: a loss ends in it
            return self.record_op(ops.sum, (self,), {})
        return self.record_op(ops.sum, (self,), {"axis": axis, "keepdims": keepdims})

    def mean(self, axis: Any = None, *, keepdims: bool = False, **unknown: Never) -> Tensor:
        """The mean over all elements or along `axis`."""
        if unknown:
            refuse("mean", unknown)
        if axis is None and not keepdims:  # the shortest way: a loss ends in it
            return self.record_op(ops.mean, (self,), {})
        return self.record_op(ops.mean, (self,), {"axis": axis, "keepdims": keepdims})

    def max(self, axis: Any = None, *, keepdims: bool = False, **unknown: Never) -> Tensor:
        """The largest element, or the largest along `axis`."""
        if unknown:
            refuse("max", unknown)
        return self.record_op(ops.max, (self,), {"axis": axis, "keepdims": keepdims})

    def min(self, axis: Any = None, *, keepdims: bool = False, **unknown: Never) -> Tensor:
        """The smallest element, or the smallest along `axis`."""
        if unknown:
            refuse("min", unknown)
        return self.record_op(ops.min, (self,), {"axis": axis, "keepdims": keepdims})

    def var(
        self, axis: Any = None, *, keepdims: bool = False, ddof: float = 0, **unknown: Never
    ) -> Tensor:
        """The mean square deviation from the mean."""
        if unknown:
            refuse("var", unknown)
        return self.record_op(ops.var, (self,), {"axis": axis, "keepdims": keepdims, "ddof": ddof})

    def std(
        self, axis: Any = None, *, keepdims: bool = False, ddof: float = 0, **unknown: Never
    ) -> Tensor:
        """The root of the variance."""
        if unknown:
            refuse("std", unknown)
        return self.record_op(ops.std, (self,), {"axis": axis, "keepdims": keepdims, "ddof": ddof})

    def prod(self, axis: Any = None, *, keepdims: bool = False, **unknown: Never) -> Tensor:
        """The product over all elements or along `axis`."""
        if unknown:
            refuse("prod", unknown)
        return self.record_op(ops.prod, (self,), {"axis": axis, "keepdims": keepdims})

    def cumsum(self, axis: int | None = None) -> Tensor:
        """The running sum along `axis`, or over all elements in row order."""
        return np.cumsum(self, axis)  # type: ignore

    def clip(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Held between two numbers."""
        return self.record_op(ops.clip, (self,), {"a_min": min, "a_max": max})

    def argmax(self, axis: int | None = None) -> Tensor:
        """Where the largest element is."""
        return self.record_op(ops.argmax, (self,), {"axis": axis})

    def argmin(self, axis: int | None = None) -> Tensor:
        """Where the smallest element is."""
        return self.record_op(ops.argmin, (self,), {"axis": axis})

    def any(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """Whether an element is true."""
        return self.record_op(ops.any, (self,), {"axis": axis, "keepdims": keepdims})

    def all(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """Whether every element is true."""
        return self.record_op(ops.all, (self,), {"axis": axis, "keepdims": keepdims})

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape: `t.reshape(2, 3)` or `t.reshape((2, 3))`."""
        lengths = shape[0] if len(shape) == 1 else shape
        return self.record_op(ops.reshape, (self,), {"shape": lengths})

    def transpose(self, *axes: Any) -> Tensor:
        """The axes reversed, or in this order: `t.transpose(1, 0)` or `t.transpose((1, 0))`."""
        order = axes[0] if len(axes) == 1 else axes
        if order is None or axes == ():
            return self.record_op(ops.transpose, (self,), {})
        return np.transpose(self, order)  # type: ignore

    @property
    def T(self) -> Tensor:
        """The axes reversed."""
        return self.record_op(ops.transpose, (self,), {})

    def dot(self, other: Any) -> Tensor:
        """self @ other, or the product with a single number."""
        return np.dot(self, other)  # type: ignore

    def ravel(self) -> Tensor:
        """All elements along one axis."""
        return self.record_op(ops.reshape, (self,), {"shape": (-1,)})

    flatten = ravel

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged."""
        return self.record_op(ops.swapaxes, (self,), {"axis1": axis1, "axis2": axis2})

    def squeeze(self, axis: Any = None) -> Tensor:
        """Without its axes of length 1, or without `axis`."""
        return self.record_op(ops.squeeze, (self,), {"axis": axis})

    def astype(self, dtype: Any) -> Tensor:
        """The same elements in another dtype."""
        dtype = np.dtype(dtype)
        if dtype.kind not in "fiub":
            raise TypeError(f"a Tensor holds real numbers, not {dtype}")
        convert = ops.astype if dtype.kind == "f" else ops.asconstant
        return self.record_op(convert, (self,), {"dtype": dtype})

    def square(self) -> Tensor:
        """x * x."""
        return self.record_op(ops.square, (self,), {})

    def exp(self) -> Tensor:
        """e ** x."""
        return self.record_op(ops.exp, (self,), {})

    def log(self) -> Tensor:
        """The natural logarithm."""
        return self.record_op(ops.log, (self,), {})

    def sqrt(self) -> Tensor:
        """The square root."""
        return self.record_op(ops.sqrt, (self,), {})

    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
        return self.record_op(ops.tanh, (self,), {})

    def relu(self) -> Tensor:
        """max(x, 0)."""
        return self.record_op(ops.relu, (self,), {})

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x))."""
        return self.record_op(ops.sigmoid, (self,), {})

    def softmax(self, axis: int = -1) -> Tensor:
        """exp(x) / sum(exp(x)) along `axis`."""
        return self.record_op(ops.softmax, (self,), {"axis": axis})

    def log_softmax(self, axis: int = -1) -> Tensor:
        """log(softmax(x)) along `axis`."""
        return self.record_op(ops.log_softmax, (self,), {"axis": axis})
