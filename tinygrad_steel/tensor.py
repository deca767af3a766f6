"""Tensor: an array that remembers how it was computed, and so can send gradients back."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from . import ops
from .fast import own
from .graph import RECORDING, describe_call, explained, next_age, pull, refuse_tracing
from .registry import TWINS, Op, describe
from .spelling import SPELLINGS

Number = (int, float, np.number, np.bool_)


class Tensor:
    """An array, whether it wants a gradient, and (for results) the op and inputs it came from.

    `data`: numbers, nested lists or an array; it is copied, so that changing the source later changes nothing here.
    `requires_grad`: whether `backward()` leaves a gradient of the same shape and dtype in `.grad`; floats only.
    `name`: shown in messages. What is computed from a named Tensor is recorded even
    where no gradient flows.

    Operators, methods and NumPy functions applied to a Tensor give Tensors. `==` compares element by element; as dict
    keys and in sets Tensors count by identity.

    Raises TypeError for data that is not real numbers, and for integers that require a gradient.

    >>> x = Tensor([[1.0, 2.0]], name="x")
    >>> weight = Tensor([[3.0], [4.0]], requires_grad=True, name="weight")
    >>> loss = (x @ weight).sum()
    >>> loss.backward()
    >>> weight.grad
    array([[1.],
           [2.]])
    """

    __slots__ = (
        "__weakref__", "_data", "age", "arrays", "grad", "inputs", "name", "op", "params", "requires_grad",
        "shape",
    )  # fmt: skip

    shape: tuple[int, ...]
    grad: Any  # an array of that shape and dtype, or None; on leaves alone, for results there is grad(loss, t)
    name: str | None
    requires_grad: bool
    op: Op | None
    inputs: tuple  # Tensors and plain numbers
    arrays: Sequence[Any]  # the same, as the op's forward got them, and what it keeps for its vjps
    params: dict[str, Any]
    age: int  # creation number of the data: inputs are older than outputs, unless they have changed since

    def __init__(self, data: Any, requires_grad: bool = False, name: str | None = None):
        if not isinstance(requires_grad, (bool, np.bool_)):
            raise TypeError(f"requires_grad is True or False, not {requires_grad!r}: write Tensor(data, name=...)")
        self._data = checked_array(data)
        if requires_grad and self._data.dtype.kind != "f":
            raise TypeError(
                f"Tensor{f' {name}' if name else ''}: {self._data.dtype} data cannot require a gradient; "
                f"give floats, as in Tensor(np.array(data, dtype=float), requires_grad=True)"
            )
        self.shape = self._data.shape
        self.requires_grad, self.name = bool(requires_grad), name
        self.op, self.inputs, self.arrays, self.params, self.grad = None, (), (), {}, None
        self.age = next_age()

    # What it is

    dtype: np.dtype = property(attrgetter("_data.dtype"), doc="The type of the elements.")  # type: ignore
    ndim: int = property(attrgetter("_data.ndim"), doc="The number of axes.")  # type: ignore
    size: int = property(attrgetter("_data.size"), doc="The number of elements.")  # type: ignore

    def _set_data(self, data: Any) -> None:
        if self.op is not None:
            raise RuntimeError(f"{describe(self)} is the result of {self.op.name}: only a leaf can be given new data")
        if isinstance(data, Tensor):
            raise TypeError(f"data of {describe(self)} is an array, not a Tensor: write t.data -= rate * t.grad")
        if data is not self._data:  # `t.data -= step` hands back the array it has just changed
            data = checked_array(data)
            if type(data) is not type(self._data):
                raise TypeError(f"data of {describe(self)} is a {type(self._data).__name__}: make a new Tensor instead")
            if data.shape != self.shape or not np.can_cast(data.dtype, self.dtype, "same_kind"):
                raise ValueError(f"data of {describe(self)} cannot become {describe(data)}: make a new Tensor")
            self._data = data.astype(self.dtype, copy=False)
        self.age = next_age()

    data: Any = property(  # type: ignore
        attrgetter("_data"),
        _set_data,
        doc="The array itself. Assigning (`t.data = a`, `t.data -= step`) is noticed: a backward() through results "
        "computed before raises RuntimeError. Writing into it (`t.data[0] = 1`) is not noticed.",
    )

    def move(self, step: Any) -> None:
        """`data -= step`, for optimizers: without the price of the checks."""
        try:
            self._data -= step
        except NotImplementedError:  # an array that cannot be written into, or a step of another kind: Dask
            self._data = self._data - step
        self.age = next_age()

    def numpy(self) -> np.ndarray:
        """A copy of the data as a NumPy array, without history."""
        return np.array(self._data)

    def item(self) -> float:
        """The only element, as a Python number; ValueError where there are more."""
        if self.size != 1:
            raise ValueError(f"item() takes the only element of a Tensor; {describe(self)} has {self.size}")
        refuse_tracing()
        return np.asarray(self._data).item()

    def detach(self) -> Tensor:
        """A new leaf with a copy of the data, without history, through which no gradient flows."""
        return Tensor(self._data)

    def __repr__(self) -> str:
        is_numpy = isinstance(self._data, (np.ndarray, np.generic))
        facts = [np.array2string(self._data, separator=", ", prefix="Tensor(") if is_numpy else repr(self._data)]
        facts += [f"name={self.name!r}"] if self.name else []
        facts += [f"dtype={self.dtype}"] if self.dtype != float else []
        facts += [f"op={self.op.name}"] if self.op else []
        facts += ["requires_grad=True"] if self.requires_grad else []
        return f"Tensor({', '.join(facts)})"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d Tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"the truth of {describe(self)} is ambiguous: use np.any(t), np.all(t), and & | ~ for and, or, not"
            )
        refuse_assignment()
        return bool(self._data)

    def __float__(self) -> float:
        refuse_assignment()
        return float(self.item())

    def __int__(self) -> int:
        refuse_assignment()
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise TypeError(f"only a single integer can be an index, not {describe(self)}")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce__(self) -> tuple:
        # For copy, deepcopy and pickle: a leaf of its own age. A result would lose its history without a word.
        if self.op is not None and self.requires_grad:
            raise TypeError(f"{describe(self)} is the result of {self.op.name}: copy t.detach(), which has no history")
        return Tensor, (self._data, self.requires_grad, self.name)

    __hash__ = object.__hash__  # by identity, although == compares elements

    # Gradients

    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this Tensor to `.grad` of every leaf that requires one.

        `gradient`: that of the result, of its shape; 1 where the result is a single number, else needed.
        A second call adds the same gradients again: set `.grad = None` (an optimizer's `zero_grad()`) in between.

        Raises RuntimeError where nothing requires a gradient and where data was replaced since the forward pass;
        ValueError for a missing or misshapen `gradient`.
        """
        start = seed(self, gradient)
        if isinstance(start, Tensor):
            start = start._data.copy()  # a leaf may keep it as its gradient
        for t, g in pull(self, start):  # pulled as a whole first: an error on the way leaves no half
            t.grad = own(g if t.grad is None else t.grad + g, t.shape)

    # Recording

    @staticmethod
    def record_op(op: Op, inputs: tuple, params: dict[str, Any]) -> Tensor:
        """Run an op on the data of its inputs; the result remembers the op where something needs it to."""
        arrays = []
        requires_grad = tracked = lifted = False
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x._data)
                if x.requires_grad:
                    requires_grad = True
                elif x.op is not None or x.name is not None:
                    tracked = True
            else:
                arrays.append(x)
                if not isinstance(x, Number):
                    lifted = True
        try:
            if lifted:  # arrays and lists become constants, copied: their owner may change them before backward()
                inputs = tuple(x if isinstance(x, (Tensor, *Number)) else Tensor(x) for x in inputs)
                arrays = [x._data if isinstance(x, Tensor) else x for x in inputs]
            data = op.forward(*arrays, **params) if params else op.forward(*arrays)
        except Exception as error:
            raise explained(error, describe_call(op, inputs, params), op) from error
        if op.keeps:
            data, kept = data if data.__class__ is tuple and len(data) == 2 else op.pair(data)
            arrays.append(kept)
        if data.__class__ is np.ndarray:
            if data.base is not None and any(isinstance(x, Tensor) and x.op is None for x in inputs):
                data = data.copy()  # a view of a leaf would change with it, and nobody would notice
        elif not isinstance(data, np.generic):
            if isinstance(data, tuple):  # or it would become one array of both
                raise TypeError(f"the forward of {op.name} returned {len(data)} things: say keeps=True for a pair")
            data = checked_array(data)
        y = new(Tensor)
        y._data, y.shape = data, data.shape
        mode = recording_mode()
        if ((requires_grad or tracked) and mode.record != "off") or mode.record == "all":
            y.op, y.inputs, y.arrays, y.params = op, inputs, arrays, params
            y.requires_grad = requires_grad and (op.differentiable or op.without_rule(data))
        else:
            y.op, y.inputs, y.arrays, y.params, y.requires_grad = None, (), (), {}, False
        y.name = y.grad = None
        y.age = next_age()
        if mode.watch is not None:
            mode.watch.result(y, op, inputs, params)
        return y

    # NumPy's functions and operators, when they meet a Tensor

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            raise TypeError(f"np.{ufunc.__name__}.{method} keeps no history on Tensors: use np.sum, np.max, np.min, +")
        if kwargs.get("out") is not None:
            raise TypeError(
                f"np.{ufunc.__name__} cannot write a Tensor into an array (out=, or `z += t` on an ndarray z), since "
                f"its history would be lost: write z = z + t"
            )
        return twin(ufunc)(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if function not in SPELLINGS:
            return twin(function)(*args, **kwargs)
        try:
            return SPELLINGS[function](*args, **kwargs)
        except TypeError as error:  # arguments that the spelling does not know
            raise TypeError(f"np.{function.__name__} on Tensors: {error}") from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(
            "a Tensor does not turn into an array by itself, since its history would be lost: use np.stack([t, u]) to "
            "join Tensors, np.where or np.concatenate in place of z[i] = t, and t.numpy() for the numbers alone"
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError("a Tensor's elements cannot be assigned: use np.where or np.concatenate to make a new Tensor")

    # Operators. They and the methods below go straight to `record_op`: NumPy's dispatch costs microseconds more.

    def __add__(self, other: Any) -> Tensor:
        return record_op(ops.add, (self, other), {})

    def __radd__(self, other: Any) -> Tensor:
        return record_op(ops.add, (other, self), {})

    def __sub__(self, other: Any) -> Tensor:
        return record_op(ops.subtract, (self, other), {})

    def __rsub__(self, other: Any) -> Tensor:
        return record_op(ops.subtract, (other, self), {})

    def __mul__(self, other: Any) -> Tensor:
        return record_op(ops.multiply, (self, other), {})

    def __rmul__(self, other: Any) -> Tensor:
        return record_op(ops.multiply, (other, self), {})

    def __truediv__(self, other: Any) -> Tensor:
        return record_op(ops.divide, (self, other), {})

    def __rtruediv__(self, other: Any) -> Tensor:
        return record_op(ops.divide, (other, self), {})

    def __pow__(self, other: Any) -> Tensor:
        return record_op(ops.power, (self, other), {})

    def __rpow__(self, other: Any) -> Tensor:
        return record_op(ops.power, (other, self), {})

    def __matmul__(self, other: Any) -> Tensor:
        return record_op(ops.matmul, (self, other), {})

    def __rmatmul__(self, other: Any) -> Tensor:
        return record_op(ops.matmul, (other, self), {})

    def __neg__(self) -> Tensor:
        return record_op(ops.negative, (self,), {})

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return record_op(ops.abs, (self,), {})

    def __gt__(self, other: Any) -> Tensor:
        return record_op(ops.greater, (self, other), {})

    def __ge__(self, other: Any) -> Tensor:
        return record_op(ops.greater_equal, (self, other), {})

    def __lt__(self, other: Any) -> Tensor:
        return record_op(ops.less, (self, other), {})

    def __le__(self, other: Any) -> Tensor:
        return record_op(ops.less_equal, (self, other), {})

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return record_op(ops.equal, (self, other), {})

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return record_op(ops.not_equal, (self, other), {})

    def __and__(self, other: Any) -> Tensor:
        return record_op(ops.logical_and, (masks_only(self), masks_only(other)), {})

    def __or__(self, other: Any) -> Tensor:
        return record_op(ops.logical_or, (masks_only(self), masks_only(other)), {})

    def __invert__(self) -> Tensor:
        return record_op(ops.logical_not, (masks_only(self),), {})

    __rand__, __ror__ = __and__, __or__

    def __getitem__(self, index: Any) -> Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        parts = tuple(np.array(i, dtype=None if i else int) if isinstance(i, list) else i for i in parts)
        parts = tuple(plain_slice(i) if isinstance(i, slice) else i for i in parts)
        arrays = tuple(i for i in parts if isinstance(i, (Tensor, np.ndarray)))
        key = tuple(ops.HOLE if isinstance(i, (Tensor, np.ndarray)) else i for i in parts)
        return record_op(ops.getitem, (self, *arrays), {"index": key if isinstance(index, tuple) else key[0]})

    # Methods: ndarray's names and arguments, and the activations

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """The sum over all elements or along `axis`."""
        params = {} if axis is None and not keepdims else {"axis": axis, "keepdims": keepdims}
        return record_op(ops.sum, (self,), params)

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """The mean over all elements or along `axis`."""
        params = {} if axis is None and not keepdims else {"axis": axis, "keepdims": keepdims}
        return record_op(ops.mean, (self,), params)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """The largest element, or the largest along `axis`."""
        return ops.max(self, axis, keepdims=keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """The smallest element, or the smallest along `axis`."""
        return ops.min(self, axis, keepdims=keepdims)

    def var(self, axis: Any = None, *, keepdims: bool = False, ddof: float = 0) -> Tensor:
        """The mean square deviation from the mean."""
        return ops.var(self, axis, keepdims=keepdims, ddof=ddof)

    def std(self, axis: Any = None, *, keepdims: bool = False, ddof: float = 0) -> Tensor:
        """The root of the variance."""
        return ops.std(self, axis, keepdims=keepdims, ddof=ddof)

    def prod(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """The product over all elements or along `axis`."""
        return ops.prod(self, axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """The running sum along `axis`, or over all elements in row order."""
        return np.cumsum(self, axis)

    def clip(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Held between two numbers."""
        return ops.clip(self, min, max)

    def argmax(self, axis: int | None = None) -> Tensor:
        """Where the largest element is."""
        return ops.argmax(self, axis)

    def argmin(self, axis: int | None = None) -> Tensor:
        """Where the smallest element is."""
        return ops.argmin(self, axis)

    def any(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """Whether an element is true."""
        return ops.any(self, axis, keepdims=keepdims)

    def all(self, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        """Whether every element is true."""
        return ops.all(self, axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape: `t.reshape(2, 3)` or `t.reshape((2, 3))`."""
        return ops.reshape(self, shape=shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes reversed, or in this order: `t.transpose(1, 0)` or `t.transpose((1, 0))`."""
        axes = axes[0] if len(axes) == 1 else axes or None
        return ops.transpose(self) if axes is None else ops.transpose(self, axes=axes)

    T = property(transpose, doc="The axes reversed.")

    def dot(self, other: Any) -> Tensor:
        """self @ other, or the product with a single number."""
        return np.dot(self, other)

    def ravel(self) -> Tensor:
        """All elements along one axis."""
        return ops.reshape(self, shape=(-1,))

    flatten = ravel

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged."""
        return ops.swapaxes(self, axis1=axis1, axis2=axis2)

    def squeeze(self, axis: Any = None) -> Tensor:
        """Without its axes of length 1, or without `axis`."""
        return ops.squeeze(self, axis)

    def astype(self, dtype: Any) -> Tensor:
        """The same elements in another dtype."""
        dtype = np.dtype(dtype)
        return (ops.astype if dtype.kind == "f" else ops.asconstant)(self, dtype=dtype)

    def square(self) -> Tensor:
        """x * x."""
        return record_op(ops.square, (self,), {})

    def exp(self) -> Tensor:
        """e ** x."""
        return record_op(ops.exp, (self,), {})

    def log(self) -> Tensor:
        """The natural logarithm."""
        return record_op(ops.log, (self,), {})

    def sqrt(self) -> Tensor:
        """The square root."""
        return record_op(ops.sqrt, (self,), {})

    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
        return record_op(ops.tanh, (self,), {})

    def relu(self) -> Tensor:
        """max(x, 0)."""
        return record_op(ops.relu, (self,), {})

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x))."""
        return record_op(ops.sigmoid, (self,), {})

    def softmax(self, axis: int = -1) -> Tensor:
        """exp(x) / sum(exp(x)) along `axis`."""
        return ops.softmax(self, axis)

    def log_softmax(self, axis: int = -1) -> Tensor:
        """log(softmax(x)) along `axis`."""
        return ops.log_softmax(self, axis)


new, recording_mode = object.__new__, RECORDING.get  # looked up once: they are called for every op
record_op = Tensor.record_op


def refuse_assignment() -> None:
    """TypeError where a number is asked for by `z[i] = t`: NumPy then calls float(t), and the history would be lost."""
    refuse_tracing()
    frame = sys._getframe(2)
    if dis.opname[frame.f_code.co_code[frame.f_lasti]] in ("STORE_SUBSCR", "STORE_SLICE"):
        raise TypeError(
            "z[i] = t cannot keep the history of a Tensor t: use np.where, np.stack or np.concatenate, "
            "or z[i] = float(t) where the number alone is meant"
        )


def plain_slice(s: slice) -> slice:
    """A slice from plain numbers: a Tensor among them is read now, and not when a rule is traced."""
    return slice(*(n if n is None else n.__index__() for n in (s.start, s.stop, s.step)))


def masks_only(x: Any) -> Any:
    """`x`, if it is a mask: on integers & | ~ work bit by bit, which is not followed."""
    if not isinstance(x, bool) and getattr(getattr(x, "dtype", None), "kind", None) != "b":
        raise TypeError(f"& | ~ on Tensors are for masks (bool), not for {describe(x)}")
    return x


def twin(function: Any) -> Op:
    """The op that stands for a NumPy function; TypeError where there is none."""
    if function not in TWINS:
        name = f"{function.__module__}.{function.__name__}" if hasattr(function, "__module__") else function.__name__
        raise TypeError(
            f"{name} has no registered op, so its gradient is not known: write it with functions that have one "
            f"(tinygrad_steel.OPS lists them), register it with tinygrad_steel.op(..., twins=[{name}]), or take "
            f"t.numpy() where no gradient is wanted"
        )
    return TWINS[function]


def checked_array(data: Any) -> Any:
    """A copy of `data` as an array of real numbers; arrays of other libraries (Dask, CuPy) stay as they are."""
    if isinstance(data, Tensor):
        raise TypeError("this is a Tensor already: use it as it is, or t.detach() for a copy without history")
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask: fill it first, as in data.filled(0)")
    if not isinstance(data, np.ndarray) and hasattr(type(data), "__array_function__"):
        return data
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"a Tensor needs rows of equal length: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a Tensor holds real numbers, not {array.dtype} ({data!r:.60})")
    return array


def described_result(y: Tensor) -> str:
    """A Tensor as messages show it, and where it has no name, the op that it came from."""
    return describe(y) if y.op is None or y.name else f"{describe(y)}, the result of {y.op.name}"


def seed(y: Tensor, gradient: Any) -> Any:
    """The gradient to start from at `y`: the one given, checked, or 1 for a single number."""
    dtype = y._data.dtype
    if not y.requires_grad or dtype.kind != "f":
        raise RuntimeError(
            f"{described_result(y)}: no gradient flows here, since nothing it comes from has requires_grad=True"
            f"; make the parameters with Tensor(..., requires_grad=True), outside no_grad()"
        )
    if gradient is None:
        if not y.shape:  # a NumPy scalar: as light as a Python float, with the shape and dtype that rules may ask for
            return dtype.type(1)
        if y.size != 1:
            raise ValueError(
                f"{described_result(y)} is not a single number: take its mean() or sum(), or give the gradient of "
                f"each element, backward(gradient)"
            )
        return np.ones(y.shape, dtype)
    if not isinstance(gradient, Tensor):
        gradient = checked_array(gradient)
    if gradient.shape != y.shape:
        raise ValueError(f"the gradient of {describe(y)} has that shape too, not {gradient.shape}")
    return gradient if gradient.dtype == dtype else gradient.astype(dtype)


def grad(y: Tensor, xs: Tensor | Sequence[Tensor], gradient: Any = None) -> Any:
    """The gradient of `y` with respect to each of `xs`, as Tensors that can be differentiated again.

    `xs`: one Tensor (gives one gradient) or a sequence (gives a list); leaves or results. `gradient`: that of `y`,
    needed where `y` is not a single number. A Tensor on which `y` does not depend has gradient zero (also where `y` was
    computed inside no_grad() or from detached Tensors: then it depends on nothing). `.grad` stays as it is. Raises
    ValueError where one of `xs` does not require a gradient, TypeError for anything but Tensors.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> first = grad(x**3, x)
    >>> first.item(), grad(first, x).item()
    (12.0, 12.0)
    """
    wanted = [xs] if isinstance(xs, Tensor) else list(xs)
    for x in (y, *wanted):
        if not isinstance(x, Tensor):
            raise TypeError(f"grad(y, xs) takes a Tensor y and one or more Tensors xs, not {type(x).__name__}")
    for x in wanted:
        if not x.requires_grad:
            raise ValueError(f"{describe(x)} does not require a gradient: make it with requires_grad=True")
    found = {}
    if y.requires_grad:
        g = seed(y, gradient)
        keep = {id(x) for x in wanted}
        pulled = pull(y, g if isinstance(g, Tensor) else Tensor(g), graph=True)
        found = {id(t): g for t, g in pulled if id(t) in keep}
    gradients = [found[id(x)] if id(x) in found else Tensor(np.zeros(x.shape, x.dtype)) for x in wanted]
    return gradients[0] if isinstance(xs, Tensor) else gradients
