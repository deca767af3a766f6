"""The methods of a Tensor: ndarray's names and arguments, and the activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import ops
from .habits import refuse
from .numpy_api import MORE

if TYPE_CHECKING:
    from .tensor import Tensor


class Methods:
    """What each method means: an op on the Tensor itself, with these parameters."""

    __slots__ = ()
    record_op: ClassVar[Callable[..., Tensor]]
    dtype: np.dtype[Any]

    def sum(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The sum over all elements or along `axis`."""
        if more:
            return asked(np.sum, more, self, axis=axis, keepdims=keepdims)
        if axis is None and not keepdims:  # the shortest way: a loss ends in it
            return self.record_op(ops.sum, (self,), {})
        return self.record_op(ops.sum, (self,), {"axis": axis, "keepdims": keepdims})

    def mean(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The mean over all elements or along `axis`."""
        if more:
            return asked(np.mean, more, self, axis=axis, keepdims=keepdims)
        if axis is None and not keepdims:  # the shortest way: a loss ends in it
            return self.record_op(ops.mean, (self,), {})
        return self.record_op(ops.mean, (self,), {"axis": axis, "keepdims": keepdims})

    def max(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The largest element, or the largest along `axis`."""
        if more:
            return asked(np.max, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.max, (self,), {"axis": axis, "keepdims": keepdims})

    def min(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The smallest element, or the smallest along `axis`."""
        if more:
            return asked(np.min, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.min, (self,), {"axis": axis, "keepdims": keepdims})

    def var(
        self, axis: Any = None, *, keepdims: bool = False, ddof: float = 0, **more: Any
    ) -> Tensor:
        """The mean square deviation from the mean."""
        if more:
            return asked(np.var, more, self, axis=axis, keepdims=keepdims, ddof=ddof)
        return self.record_op(ops.var, (self,), {"axis": axis, "keepdims": keepdims, "ddof": ddof})

    def std(
        self, axis: Any = None, *, keepdims: bool = False, ddof: float = 0, **more: Any
    ) -> Tensor:
        """The root of the variance."""
        if more:
            return asked(np.std, more, self, axis=axis, keepdims=keepdims, ddof=ddof)
        return self.record_op(ops.std, (self,), {"axis": axis, "keepdims": keepdims, "ddof": ddof})

    def prod(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The product over all elements or along `axis`."""
        if more:
            return asked(np.prod, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.prod, (self,), {"axis": axis, "keepdims": keepdims})

    def cumsum(self, axis: int | None = None, dtype: Any = None) -> Tensor:
        """The running sum along `axis`, or over all elements in row order."""
        return np.cumsum(self, axis, dtype)  # type: ignore

    def cumprod(self, axis: int | None = None, dtype: Any = None) -> Tensor:
        """The running product along `axis`, or over all elements in row order."""
        return np.cumprod(self, axis, dtype)  # type: ignore

    def round(self, decimals: int = 0) -> Tensor:
        """To this many decimals; its slope is 0."""
        return self.record_op(ops.round, (self,), {"decimals": decimals})

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Held between two bounds: numbers, arrays or Tensors."""
        return np.clip(self, min, max)  # type: ignore

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """Where the largest element is."""
        return self.record_op(ops.argmax, (self,), {"axis": axis, "keepdims": keepdims})

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """Where the smallest element is."""
        return self.record_op(ops.argmin, (self,), {"axis": axis, "keepdims": keepdims})

    def argsort(self, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Tensor:
        """The places of the elements in the order of their size."""
        return np.argsort(self, axis, kind, stable=stable)  # type: ignore

    def nonzero(self) -> tuple[Tensor, ...]:
        """The places of the elements that are not 0, one array for each axis."""
        return np.nonzero(self)  # type: ignore

    def searchsorted(self, v: Any, side: str = "left") -> Tensor:
        """Where numbers belong among these, which are sorted."""
        return self.record_op(ops.searchsorted, (self, v), {"side": side})

    def any(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """Whether an element is true."""
        if more:
            return asked(np.any, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.any, (self,), {"axis": axis, "keepdims": keepdims})

    def all(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """Whether every element is true."""
        if more:
            return asked(np.all, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.all, (self,), {"axis": axis, "keepdims": keepdims})

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Tensor:
        """The same elements in another shape: `t.reshape(2, 3)` or `t.reshape((2, 3))`."""
        lengths = shape[0] if len(shape) == 1 else shape
        if order != "C":
            return np.reshape(self, lengths, order)  # type: ignore
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

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return self.record_op(ops.swapaxes, (self,), {"axis1": -2, "axis2": -1})

    def dot(self, other: Any) -> Tensor:
        """self @ other, or the product with a single number."""
        return np.dot(self, other)  # type: ignore

    def ravel(self, order: str = "C") -> Tensor:
        """All elements along one axis, row after row, or with "F" column after column."""
        if order != "C":
            return np.ravel(self, order)  # type: ignore
        return self.record_op(ops.reshape, (self,), {"shape": (-1,)})

    def flatten(self, order: str = "C") -> Tensor:
        """All elements along one axis, in NumPy a copy in any case."""
        found = self.ravel(order)
        found.copied, found.viewed = True, ()
        return found

    @property
    def flat(self) -> Tensor:
        """All elements along one axis, to go over or to pick from."""
        return self.ravel()

    def copy(self, order: str = "C") -> Tensor:
        """The same elements, with their history; `detach()` is without."""
        return np.copy(self)  # type: ignore

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        """Each element, or each part along `axis`, as often as `repeats` says."""
        return np.repeat(self, repeats, axis)  # type: ignore

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        """The elements, or the parts along `axis`, at these places."""
        return np.take(self, indices, axis)  # type: ignore

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """What is on a diagonal of two axes."""
        return np.diagonal(self, offset, axis1, axis2)  # type: ignore

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Tensor:
        """The sum of what is on a diagonal of two axes."""
        return np.trace(self, offset, axis1, axis2, dtype)  # type: ignore

    @property
    def real(self) -> Tensor:
        """The Tensor itself: its numbers are real."""
        return self  # type: ignore[return-value]

    def conj(self) -> Tensor:
        """The Tensor itself: its numbers are real."""
        return self  # type: ignore[return-value]

    conjugate = conj

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged."""
        return self.record_op(ops.swapaxes, (self,), {"axis1": axis1, "axis2": axis2})

    def squeeze(self, axis: Any = None) -> Tensor:
        """Without its axes of length 1, or without `axis`."""
        return self.record_op(ops.squeeze, (self,), {"axis": axis})

    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: Any = "unsafe",
        subok: bool = True,
        copy: bool = True,
    ) -> Tensor:
        """The same elements in another dtype, always as a new Tensor."""
        dtype = np.dtype(dtype)
        if dtype.kind not in "fiub":
            raise TypeError(f"a Tensor holds real numbers, not {dtype}")
        if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"{self.dtype} does not become {dtype} by casting={casting!r}")
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


def asked(function: Callable[..., Any], more: dict[str, Any], t: Any, **known: Any) -> Tensor:
    """NumPy's function on `t`, with what only it takes; TypeError for what NumPy does not know."""
    taken = MORE - {"correction"}  # a word of functions, not of methods
    refuse(function.__name__, {k: v for k, v in more.items() if k not in taken})
    found: Tensor = function(t, **known, **more)
    return found
