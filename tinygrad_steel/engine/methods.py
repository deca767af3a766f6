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
        """The sum over all elements, or along `axis`.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        **more : dtype, where or initial
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of the dtype of `t`; of small integers and bools as NumPy widens them.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not.

        Examples
        --------
        >>> from tinygrad_steel import Tensor
        >>> Tensor([[1.0, 2.0], [3.0, 4.0]]).sum(axis=0)
        Tensor([4., 6.])
        """
        if more:
            return asked(np.sum, more, self, axis=axis, keepdims=keepdims)
        if axis is None and not keepdims:  # the shortest way: a loss ends in it
            return self.record_op(ops.sum, (self,), {})
        return self.record_op(ops.sum, (self,), {"axis": axis, "keepdims": keepdims})

    def mean(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The mean over all elements, or along `axis`.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        **more : dtype or where
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of the dtype of `t`; of integers and bools float64.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not.
        """
        if more:
            return asked(np.mean, more, self, axis=axis, keepdims=keepdims)
        if axis is None and not keepdims:  # the shortest way: a loss ends in it
            return self.record_op(ops.mean, (self,), {})
        return self.record_op(ops.mean, (self,), {"axis": axis, "keepdims": keepdims})

    def max(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The largest element, or the largest along `axis`.

        Elements that tie share the gradient evenly. Where one is NaN, so is the result.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        **more : where or initial
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of the dtype of `t`.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not, for no elements, and for `where` without `initial`.

        Examples
        --------
        >>> from tinygrad_steel import Tensor
        >>> t = Tensor([3.0, 1.0, 3.0], requires_grad=True)
        >>> t.max().backward()
        >>> t.grad
        array([0.5, 0. , 0.5])
        """
        if more:
            return asked(np.max, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.max, (self,), {"axis": axis, "keepdims": keepdims})

    def min(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The smallest element, or the smallest along `axis`.

        Elements that tie share the gradient evenly. Where one is NaN, so is the result.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        **more : where or initial
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of the dtype of `t`.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not, for no elements, and for `where` without `initial`.
        """
        if more:
            return asked(np.min, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.min, (self,), {"axis": axis, "keepdims": keepdims})

    def var(
        self, axis: Any = None, *, keepdims: bool = False, ddof: float = 0, **more: Any
    ) -> Tensor:
        """The mean square deviation from the mean, divided by n - `ddof` in place of n.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        ddof : float
            How many to take off the number of elements that it is divided by.
        **more : dtype or where
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of the dtype of `t`; of integers and bools float64.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not.
        """
        if more:
            return asked(np.var, more, self, axis=axis, keepdims=keepdims, ddof=ddof)
        return self.record_op(ops.var, (self,), {"axis": axis, "keepdims": keepdims, "ddof": ddof})

    def std(
        self, axis: Any = None, *, keepdims: bool = False, ddof: float = 0, **more: Any
    ) -> Tensor:
        """The square root of the variance.

        Where all elements are equal, a kink, its slope is 0.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        ddof : float
            How many to take off the number of elements that it is divided by.
        **more : dtype or where
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of the dtype of `t`; of integers and bools float64.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not.
        """
        if more:
            return asked(np.std, more, self, axis=axis, keepdims=keepdims, ddof=ddof)
        return self.record_op(ops.std, (self,), {"axis": axis, "keepdims": keepdims, "ddof": ddof})

    def prod(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """The product over all elements, or along `axis`.

        Its gradient is exact where factors are 0: nothing is divided by them.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        **more : dtype, where or initial
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of the dtype of `t`; of small integers and bools as NumPy widens them.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not.
        """
        if more:
            return asked(np.prod, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.prod, (self,), {"axis": axis, "keepdims": keepdims})

    def cumsum(self, axis: int | None = None, dtype: Any = None) -> Tensor:
        """The running sum along `axis`, or over all elements in row order.

        Parameters
        ----------
        axis : int, optional
            Along which axis; left out, over all elements in row order.
        dtype : dtype, optional
            In which to add up.

        Returns
        -------
        Tensor
            Of the shape of `t`; without an axis, of one axis.

        Raises
        ------
        ValueError
            For an axis that there is not.
        """
        return np.cumsum(self, axis, dtype)  # type: ignore

    def cumprod(self, axis: int | None = None, dtype: Any = None) -> Tensor:
        """The running product along `axis`, or over all elements in row order.

        Parameters
        ----------
        axis : int, optional
            Along which axis; left out, over all elements in row order.
        dtype : dtype, optional
            In which to multiply.

        Returns
        -------
        Tensor
            Of the shape of `t`; without an axis, of one axis.

        Raises
        ------
        ValueError
            For an axis that there is not.
        """
        return np.cumprod(self, axis, dtype)  # type: ignore

    def round(self, decimals: int = 0) -> Tensor:
        """Each element rounded to so many decimals; the slope is 0.

        Parameters
        ----------
        decimals : int
            How many places after the point; below 0, before it.

        Returns
        -------
        Tensor
            Of the shape and dtype of `t`.
        """
        return self.record_op(ops.round, (self,), {"decimals": decimals})

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element held between two bounds; on a bound the slope is 1.

        Parameters
        ----------
        min, max : array_like or Tensor, optional
            The bounds: numbers, or what broadcasts with `t`.

        Returns
        -------
        Tensor
            Of the shape of `t` and the bounds together.

        Examples
        --------
        >>> from tinygrad_steel import Tensor
        >>> Tensor([-2.0, 0.5, 3.0]).clip(0.0, 1.0)
        Tensor([0. , 0.5, 1. ])
        """
        return np.clip(self, min, max)  # type: ignore

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """Where the largest element is, the first of those that tie.

        Parameters
        ----------
        axis : int, optional
            Along which axis; left out, the place among all elements in row order.
        keepdims : bool
            Whether this axis stays, with length 1.

        Returns
        -------
        Tensor
            Of integers, through which no gradient flows.

        Raises
        ------
        ValueError
            For an axis that there is not.
        """
        return self.record_op(ops.argmax, (self,), {"axis": axis, "keepdims": keepdims})

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
        """Where the smallest element is, the first of those that tie.

        Parameters
        ----------
        axis : int, optional
            Along which axis; left out, the place among all elements in row order.
        keepdims : bool
            Whether this axis stays, with length 1.

        Returns
        -------
        Tensor
            Of integers, through which no gradient flows.

        Raises
        ------
        ValueError
            For an axis that there is not.
        """
        return self.record_op(ops.argmin, (self,), {"axis": axis, "keepdims": keepdims})

    def argsort(self, axis: int | None = -1, kind: Any = None, *, stable: Any = None) -> Tensor:
        """The places of the elements in the order of their size.

        Parameters
        ----------
        axis : int, optional
            Along which axis, the last by default; None for all elements in row order.
        kind : str, optional
            As `np.argsort` takes it.
        stable : bool, optional
            Whether equal elements keep their order.

        Returns
        -------
        Tensor
            Of integers, through which no gradient flows.

        Raises
        ------
        ValueError
            For an axis that there is not.

        Examples
        --------
        >>> from tinygrad_steel import Tensor
        >>> Tensor([3.0, 1.0, 2.0]).argsort()
        Tensor([1, 2, 0], dtype=int64)
        """
        return np.argsort(self, axis, kind, stable=stable)  # type: ignore

    def nonzero(self) -> tuple[Tensor, ...]:
        """The places of the elements that are not 0, one Tensor of integers for each axis."""
        return np.nonzero(self)  # type: ignore

    def searchsorted(self, v: Any, side: str = "left") -> Tensor:
        """Where numbers belong among these, which are sorted.

        Parameters
        ----------
        v : array_like or Tensor
            The numbers, of any shape.
        side : {"left", "right"}
            Whether before or after those that are equal.

        Returns
        -------
        Tensor
            Of integers and of the shape of `v`; no gradient flows through it.

        Raises
        ------
        ValueError
            Where `t` has more than one axis.
        """
        return self.record_op(ops.searchsorted, (self, v), {"side": side})

    def any(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """Whether an element is true.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        **more : where
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of bools, through which no gradient flows.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not.
        """
        if more:
            return asked(np.any, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.any, (self,), {"axis": axis, "keepdims": keepdims})

    def all(self, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Tensor:
        """Whether every element is true.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; left out, over all elements.
        keepdims : bool
            Whether these axes stay, with length 1.
        **more : where
            As ndarray's method takes them.

        Returns
        -------
        Tensor
            Of bools, through which no gradient flows.

        Raises
        ------
        TypeError
            For a keyword that NumPy does not know.
        ValueError
            For an axis that there is not.
        """
        if more:
            return asked(np.all, more, self, axis=axis, keepdims=keepdims)
        return self.record_op(ops.all, (self,), {"axis": axis, "keepdims": keepdims})

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Tensor:
        """The same elements in another shape: `t.reshape(2, 3)` or `t.reshape((2, 3))`.

        Parameters
        ----------
        *shape : int, or one tuple of int
            The length of each axis; one may be -1, for as many as are left.
        order : {"C", "F"}
            Row after row, or column after column.
        copy : bool, optional
            NumPy's word, without a meaning here.

        Returns
        -------
        Tensor
            Of this shape and of the dtype of `t`.

        Raises
        ------
        ValueError
            Where the lengths do not make as many elements.

        Examples
        --------
        >>> from tinygrad_steel import Tensor
        >>> Tensor([1.0, 2.0, 3.0, 4.0]).reshape(2, -1)
        Tensor([[1., 2.],
                [3., 4.]])
        """
        lengths = shape[0] if len(shape) == 1 else shape
        if order != "C":
            return np.reshape(self, lengths, order)  # type: ignore
        return self.record_op(ops.reshape, (self,), {"shape": lengths})

    def transpose(self, *axes: Any) -> Tensor:
        """The axes reversed, or in this order: `t.transpose(1, 0)` or `t.transpose((1, 0))`.

        Parameters
        ----------
        *axes : int, or one tuple of int
            The axes of `t` in their new order; left out, from the last to the first.

        Returns
        -------
        Tensor
            Of the dtype of `t`.

        Raises
        ------
        ValueError
            Where these are not all axes, each once.
        """
        order = axes[0] if len(axes) == 1 else axes
        if order is None or axes == ():
            return self.record_op(ops.transpose, (self,), {})
        return np.transpose(self, order)  # type: ignore

    @property
    def T(self) -> Tensor:
        """All axes in reverse order; of a matrix, its transpose."""
        return self.record_op(ops.transpose, (self,), {})

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged: each matrix of a stack transposed."""
        return self.record_op(ops.swapaxes, (self,), {"axis1": -2, "axis2": -1})

    def dot(self, other: Any) -> Tensor:
        """The matrix product `self @ other`, or the product with a single number.

        Parameters
        ----------
        other : array_like or Tensor
            Of as many rows as `t` has columns, or a number.

        Returns
        -------
        Tensor
            As `np.dot` has it.

        Raises
        ------
        ValueError
            Where the lengths do not fit.
        """
        return np.dot(self, other)  # type: ignore

    def ravel(self, order: str = "C") -> Tensor:
        """All elements along one axis, row after row.

        Parameters
        ----------
        order : {"C", "F"}
            "F" takes them column after column.

        Returns
        -------
        Tensor
            Of shape (t.size,).
        """
        if order != "C":
            return np.ravel(self, order)  # type: ignore
        return self.record_op(ops.reshape, (self,), {"shape": (-1,)})

    def flatten(self, order: str = "C") -> Tensor:
        """All elements along one axis, in NumPy a copy in any case.

        Parameters
        ----------
        order : {"C", "F"}
            "F" takes them column after column.

        Returns
        -------
        Tensor
            Of shape (t.size,).
        """
        found = self.ravel(order)
        found._copied, found._viewed = True, ()
        return found

    @property
    def flat(self) -> Tensor:
        """All elements along one axis, to go over or to pick from."""
        return self.ravel()

    def copy(self, order: str = "C") -> Tensor:
        """The same elements, with their history; `detach()` is without.

        Parameters
        ----------
        order : str
            NumPy's word for a layout of memory, without a meaning here.

        Returns
        -------
        Tensor
            Through which the gradient flows on to `t`.

        Examples
        --------
        >>> from tinygrad_steel import Tensor
        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> w.copy().requires_grad, w.detach().requires_grad
        (True, False)
        """
        return np.copy(self)  # type: ignore

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        """Each element, or each part along `axis`, as often as `repeats` says.

        Parameters
        ----------
        repeats : int or sequence of int
            How often: one number for all, or one for each.
        axis : int, optional
            Along which axis; left out, of all elements in row order.

        Returns
        -------
        Tensor
            Whose parts all send their gradient to the one they are of.

        Raises
        ------
        ValueError
            For other counts than there are parts.
        """
        return np.repeat(self, repeats, axis)  # type: ignore

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        """The elements, or the parts along `axis`, at these places.

        Parameters
        ----------
        indices : array_like of int
            The places, of any shape; one may come more than once.
        axis : int, optional
            Along which axis; left out, among all elements in row order.

        Returns
        -------
        Tensor
            Of the shape of `indices`, in place of the axis.

        Raises
        ------
        IndexError
            For a place that there is not.
        """
        return np.take(self, indices, axis)  # type: ignore

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """What is on a diagonal of two axes.

        Parameters
        ----------
        offset : int
            Which one: above 0 to the right of the main diagonal, below 0 to the left.
        axis1, axis2 : int
            The two axes.

        Returns
        -------
        Tensor
            With one axis, the last, in place of the two.
        """
        return np.diagonal(self, offset, axis1, axis2)  # type: ignore

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Tensor:
        """The sum of what is on a diagonal of two axes.

        Parameters
        ----------
        offset : int
            Which one: above 0 to the right of the main diagonal, below 0 to the left.
        axis1, axis2 : int
            The two axes.
        dtype : dtype, optional
            In which to add up.

        Returns
        -------
        Tensor
            Without the two axes.
        """
        return np.trace(self, offset, axis1, axis2, dtype)  # type: ignore

    @property
    def real(self) -> Tensor:
        """The Tensor itself, as its numbers are real."""
        return self  # type: ignore[return-value]

    def conj(self) -> Tensor:
        """The Tensor itself, as its numbers are real."""
        return self  # type: ignore[return-value]

    conjugate = conj

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged.

        Parameters
        ----------
        axis1, axis2 : int
            Which two.

        Returns
        -------
        Tensor
            Of the dtype of `t`.

        Raises
        ------
        ValueError
            For an axis that there is not.
        """
        return self.record_op(ops.swapaxes, (self,), {"axis1": axis1, "axis2": axis2})

    def squeeze(self, axis: Any = None) -> Tensor:
        """The same elements without the axes of length 1, or without `axis` alone.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Which ones; left out, all of length 1.

        Returns
        -------
        Tensor
            Of the dtype of `t`.

        Raises
        ------
        ValueError
            For an axis of another length.
        """
        return self.record_op(ops.squeeze, (self,), {"axis": axis})

    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: Any = "unsafe",
        subok: bool = True,
        copy: bool = True,
    ) -> Tensor:
        """The same elements in another dtype, always as a new Tensor.

        Parameters
        ----------
        dtype : dtype
            Of floats, integers or bools.
        order : str
            NumPy's word for a layout of memory, without a meaning here.
        casting : {"unsafe", "same_kind", "safe", "equiv", "no"}
            Which casts to allow.
        subok, copy : bool
            NumPy's words as well, without a meaning here.

        Returns
        -------
        Tensor
            A gradient flows through it, back in the old dtype, from floats to floats alone.

        Raises
        ------
        TypeError
            For a dtype of other things than real numbers, and for what `casting` does not allow.

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_steel import Tensor
        >>> t = Tensor([1.5, 2.5], requires_grad=True)
        >>> t.astype(np.float32).requires_grad, t.astype(int).requires_grad
        (True, False)
        """
        dtype = np.dtype(dtype)
        if dtype.kind not in "fiub":
            raise TypeError(f"a Tensor holds real numbers, not {dtype}")
        if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"{self.dtype} does not become {dtype} by casting={casting!r}")
        convert = ops.astype if dtype.kind == "f" else ops.asconstant
        return self.record_op(convert, (self,), {"dtype": dtype})

    def square(self) -> Tensor:
        """Each element times itself."""
        return self.record_op(ops.square, (self,), {})

    def exp(self) -> Tensor:
        """The exponential e**x of each element."""
        return self.record_op(ops.exp, (self,), {})

    def log(self) -> Tensor:
        """The natural logarithm of each element."""
        return self.record_op(ops.log, (self,), {})

    def sqrt(self) -> Tensor:
        """The square root of each element; at 0 its slope is infinite."""
        return self.record_op(ops.sqrt, (self,), {})

    def tanh(self) -> Tensor:
        """The hyperbolic tangent of each element."""
        return self.record_op(ops.tanh, (self,), {})

    def relu(self) -> Tensor:
        """Each element or 0, whichever is larger; at the kink 0 the slope is 0."""
        return self.record_op(ops.relu, (self,), {})

    def sigmoid(self) -> Tensor:
        """The logistic function 1 / (1 + exp(-x)) of each element, which never overflows."""
        return self.record_op(ops.sigmoid, (self,), {})

    def softmax(self, axis: Any = -1) -> Tensor:
        """The shares exp(x) / sum(exp(x)) along `axis`, which never overflow.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes the shares add up to 1, the last by default; None for all.

        Returns
        -------
        Tensor
            Of the shape of `t`.

        Raises
        ------
        ValueError
            For an axis that there is not.
        """
        return self.record_op(ops.softmax, (self,), {"axis": axis})

    def log_softmax(self, axis: Any = -1) -> Tensor:
        """The logarithm of softmax along `axis`, without the rounding of doing it in two.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes, the last by default; None for all.

        Returns
        -------
        Tensor
            Of the shape of `t`.

        Raises
        ------
        ValueError
            For an axis that there is not.
        """
        return self.record_op(ops.log_softmax, (self,), {"axis": axis})


def asked(function: Callable[..., Any], more: dict[str, Any], t: Any, **known: Any) -> Tensor:
    """NumPy's function on `t`, with what only it takes; TypeError for what NumPy does not know."""
    taken = MORE - {"correction"}  # a word of functions, not of methods
    refuse(function.__name__, {k: v for k, v in more.items() if k not in taken})
    found: Tensor = function(t, **known, **more)
    return found
