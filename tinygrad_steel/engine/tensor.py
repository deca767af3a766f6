"""Tensor: an array that remembers how it was computed, and so can send gradients back."""

from __future__ import annotations

import copy
import dis
import operator
import sys
import threading
import weakref
from collections.abc import (
    Callable,
    Iterator,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from operator import attrgetter
from typing import Any

import numpy as np

from .. import ops
from ..ops.fast import is_numpy, own
from ..ops.op import TWINS, Op, data_of, describe
from .backward import pull_arrays, pull_tensors
from .broadcast import warn_of_square
from .messages import asked_by_user, describe_call, explained
from .methods import Methods
from .numpy_api import SPELLINGS
from .reads import BRANCH, COUNT, INDEX, NUMBER, remember
from .recording import RECORDING, next_age, refuse_tracing

Number = (int, float, np.number, np.bool_)
PLAIN = {int, float, bool, str, type(None)}  # parameters that nobody can change
BACKWARD = threading.Lock()  # two threads may add to the gradient of one leaf


class Tensor(Methods):
    """An array, whether it wants a gradient, and (for results) the op and inputs it came from.

    Operators, methods and NumPy functions applied to a Tensor give Tensors. `==` compares element by element; as dict
    keys and in sets Tensors count by identity.

    Parameters
    ----------
    data : array_like
        Numbers, nested lists or an array. It is copied, so that changing the source later changes nothing here.
    requires_grad : bool
        Whether `backward()` leaves a gradient of the same shape and dtype in `.grad`; for floats only.
    name : str, optional
        Shown in messages. What is computed from a named Tensor is recorded even where no gradient flows.

    Raises
    ------
    TypeError
        For data that is not real numbers, and for integers that require a gradient.

    Examples
    --------
    >>> x = Tensor([[1.0, 2.0]], name="x")
    >>> weight = Tensor([[3.0], [4.0]], requires_grad=True, name="weight")
    >>> loss = (x @ weight).sum()
    >>> loss.backward()
    >>> weight.grad
    array([[1.],
           [2.]])
    """

    # Not `_data`: np.ma takes that of whatever it meets, and a masked array times a Tensor would lose the history.
    __slots__ = (
        "__weakref__", "_age", "_array", "_arrays", "_grad", "_inputs", "_name", "_op", "_params", "_requires_grad",
        "_shape", "given_axis", "origin", "read", "unrecorded",
    )  # fmt: skip

    _array: Any
    _arrays: Sequence[Any]
    _inputs: tuple[Any, ...]
    _op: Op | None
    _params: dict[str, Any]
    _shape: tuple[int, ...]
    given_axis: bool  # whether a view of a leaf, copied, came from a 1-D array (see broadcast.py)
    origin: Any  # the array that a constant was copied from, as a weak reference
    read: Any  # that a number was taken from it (see reads.py)
    unrecorded: bool  # whether its history is missing, because of no_grad()

    def __init__(self, data: Any, requires_grad: bool = False, name: str | None = None):
        self._array = checked_array(data)
        self._shape = self._array.shape
        self._op, self._inputs, self._arrays, self._params, self._grad = None, (), (), {}, None
        self._age = next_age()
        self._name = name if name is None else checked_name(name)
        self._requires_grad = False
        if requires_grad is not False:
            self.requires_grad = requires_grad

    # What it is: facts, read-only. `_shape = ...` of another module goes past this, a slip of the pen does not.

    def _get_shape(self) -> tuple[int, ...]:
        if self._op is ops.getitem and asked_by_user(1):
            self.note_count()
        return self._shape

    def _get_size(self) -> int:
        if self._op is ops.getitem and asked_by_user(1):
            self.note_count()
        return self._array.size

    def note_count(self) -> None:
        """Remember that a number of elements was asked for, where a mask has decided on it."""
        if self._op is ops.getitem and any(x.dtype.kind == "b" for x in self._arrays[1:]):
            remember(self, COUNT)

    shape: tuple[int, ...] = property(_get_shape, doc="The length of each axis.")  # type: ignore
    dtype: np.dtype = property(attrgetter("_array.dtype"), doc="The type of the elements.")  # type: ignore
    ndim: int = property(attrgetter("_array.ndim"), doc="The number of axes.")  # type: ignore
    size: int = property(_get_size, doc="The number of elements.")  # type: ignore
    op: Op | None = property(
        attrgetter("_op"), doc="The op that this is the result of; None for a leaf."
    )  # type: ignore
    inputs: tuple = property(
        attrgetter("_inputs"), doc="What the op was given: Tensors and plain numbers."
    )  # type: ignore
    arrays: Sequence[Any] = property(  # type: ignore
        attrgetter("_arrays"),
        doc="The inputs as the op's forward got them, and what it keeps for its vjps.",
    )
    params: dict[str, Any] = property(
        attrgetter("_params"), doc="The op's parameters: axis, keepdims, ..."
    )  # type: ignore
    age: int = property(  # type: ignore
        attrgetter("_age"),
        doc="The creation number of the data: inputs are older than results, unless they have changed since.",
    )

    def _set_name(self, name: str | None) -> None:
        self._name = checked_name(name)

    name: str | None = property(
        attrgetter("_name"), _set_name, doc="What messages, sources and pictures call it."
    )  # type: ignore

    def _set_requires_grad(self, wanted: bool) -> None:
        if not isinstance(wanted, (bool, np.bool_)):
            raise TypeError(
                f"requires_grad is True or False, not {wanted!r}: write Tensor(data, name=...)"
            )
        if self._op is not None:
            raise RuntimeError(
                f"{described_result(self)}: whether a gradient flows through a result is decided by its inputs"
            )
        if wanted and self._array.dtype.kind != "f":
            raise TypeError(
                f"Tensor{f' {self._name}' if self._name else ''}: {self.dtype} data cannot require a gradient; "
                f"give floats, as in Tensor(np.array(data, dtype=float), requires_grad=True)"
            )
        if wanted != self._requires_grad:
            self._requires_grad = bool(wanted)
            self._age = next_age()  # what was recorded before knows only the old answer

    requires_grad: bool = property(  # type: ignore
        attrgetter("_requires_grad"),
        _set_requires_grad,
        doc="Whether backward() leaves a gradient here. May be changed on a leaf, to freeze it; then compute anew.",
    )

    def _get_grad(self) -> Any:
        try:
            return self._grad
        except AttributeError:  # not a silent None
            raise AttributeError(
                f"{described_result(self)}: only leaves keep their gradient in .grad; "
                f"that of a result is grad(loss, result)"
            ) from None

    def _set_grad(self, gradient: Any) -> None:
        if self._op is not None:
            raise AttributeError(f"{described_result(self)}: only leaves have a gradient to be set")
        self._grad = gradient

    grad: Any = property(
        _get_grad,
        _set_grad,
        doc="On a leaf, what backward() has left, an array of its shape; or None.",
    )

    def _set_data(self, data: Any) -> None:
        if self.op is not None:
            raise RuntimeError(
                f"{describe(self)} is the result of {self.op.name}: only a leaf can be given new data"
            )
        if isinstance(data, Tensor):
            raise TypeError(
                f"data of {describe(self)} is an array, not a Tensor: write t.data -= rate * t.grad"
            )
        if data is not self._array:  # `t.data -= step` hands back the array it has just changed
            data = checked_array(data)
            if type(data) is not type(self._array):
                raise TypeError(
                    f"data of {describe(self)} is a {type(self._array).__name__}: make a new Tensor instead"
                )
            if data.shape != self.shape or not np.can_cast(data.dtype, self.dtype, "same_kind"):
                raise ValueError(
                    f"data of {describe(self)} cannot become {describe(data)}: make a new Tensor"
                )
            self._array = data.astype(self.dtype, copy=False)
        self._age = next_age()

    data: Any = property(  # type: ignore
        attrgetter("_array"),
        _set_data,
        doc="The array itself. Assigning (`t.data = a`, `t.data -= step`) is noticed: a backward() through results "
        "computed before raises RuntimeError. Writing into it (`t.data[0] = 1`) is not noticed.",
    )

    def move(self, step: Any) -> None:
        """`data -= step`, for optimizers: without the price of the checks."""
        try:
            self._array -= step
        except (
            NotImplementedError
        ):  # Dask: an array that cannot be written into, or the step of a NumPy array
            if isinstance(self._array, np.ndarray):
                self._array -= np.asarray(step)
            else:
                self._array = self._array - step
        self._age = next_age()

    def numpy(self) -> np.ndarray:
        """A copy of the data as a NumPy array, without history."""
        return np.array(self._array)

    def item(self) -> float:
        """The only element, as a Python number; ValueError where there are more."""
        if self.size != 1:
            raise ValueError(
                f"item() takes the only element of a Tensor; {describe(self)} has {self.size}"
            )
        refuse_tracing()
        return np.asarray(self._array).item()

    def detach(self) -> Tensor:
        """A new leaf with a copy of the data, without history, through which no gradient flows."""
        return Tensor(self._array)

    def __repr__(self) -> str:
        facts = [
            np.array2string(self._array, separator=", ", prefix="Tensor(")
            if is_numpy(self._array)
            else repr(self._array)
        ]
        facts += [f"name={self.name!r}"] if self.name else []
        facts += [f"dtype={self.dtype}"] if self.dtype != float else []
        facts += [f"op={self.op.name}"] if self.op else []
        facts += ["requires_grad=True"] if self.requires_grad else []
        return f"Tensor({', '.join(facts)})"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d Tensor has no length")
        self.note_count()
        return self._shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        self.note_count()
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"the truth of {describe(self)} is ambiguous: use np.any(t), np.all(t), and & | ~ for and, or, not"
            )
        refuse_assignment()
        remember(self, BRANCH)
        return bool(self._array)

    def __float__(self) -> float:
        refuse_assignment()
        number = float(self.item())
        remember(self, NUMBER)
        return number

    def __int__(self) -> int:
        refuse_assignment()
        number = int(self.item())
        remember(self, INDEX)
        return number

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise TypeError(f"only a single integer can be an index, not {describe(self)}")
        number = int(self.item())
        remember(self, INDEX)
        return number

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # For copy, deepcopy and pickle: a leaf of its own age. A result would lose its history without a word.
        if self.op is not None and self.requires_grad:
            raise TypeError(
                f"{describe(self)} is the result of {self.op.name}: copy t.detach(), which has no history"
            )
        return Tensor, (self._array, self.requires_grad, self.name)

    __hash__ = object.__hash__  # by identity, although == compares elements

    # Gradients

    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this Tensor to `.grad` of every leaf that requires one.

        A second call adds the same gradients again: set `.grad = None` (an optimizer's `zero_grad()`) in between.

        Parameters
        ----------
        gradient : array_like or Tensor, optional
            That of the result, of its shape; 1 where the result is a single number, else needed.

        Raises
        ------
        RuntimeError
            Where nothing requires a gradient, and where data was replaced since the forward pass.
        ValueError
            For a missing or misshapen `gradient`.
        """
        start = seed(self, gradient)
        if isinstance(start, Tensor):
            start = start._array.copy()  # a leaf may keep it as its gradient
        pulled = pull_arrays(self, start)  # as a whole first: an error on the way leaves no half
        with BACKWARD:
            for t, g in pulled:
                t._grad = own(g if t._grad is None else t._grad + g, t._array)

    # Recording

    @staticmethod
    def record_op(op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Tensor:  # noqa: C901 (calls cost more than branches here)
        """Run an op on the data of its inputs; the result remembers the op where something needs it to."""
        given = inputs
        arrays = []
        requires_grad = tracked = lifted = False
        for x in inputs:
            if x.__class__ is Tensor or isinstance(
                x, Tensor
            ):  # in this order: it is asked for every input
                arrays.append(x._array)
                if x._requires_grad:
                    requires_grad = True
                elif x._op is not None or x._name is not None:
                    tracked = True
            else:
                arrays.append(x)
                if not isinstance(x, Number):
                    lifted = True
        try:
            if lifted:
                inputs = tuple(
                    x if isinstance(x, (Tensor, *Number)) else constant(x) for x in inputs
                )
                arrays = [x._array if isinstance(x, Tensor) else x for x in inputs]
            if params:
                params = frozen_params(op, params)
                data = op.forward(*arrays, **params)
            else:
                data = op.forward(*arrays)
        except Exception as error:
            raise explained(error, describe_call(op, inputs, params), op) from error
        if op.special:
            data = settle(op, data, arrays)
        y = new(Tensor)
        if data.__class__ is ndarray:
            if data.base is not None and any(
                isinstance(x, Tensor) and x._op is None for x in inputs
            ):
                y.given_axis = gives_axis(inputs[0])
                data = data.copy()  # a view of a leaf would change with it, and nobody would notice
        elif not isinstance(data, np.generic):
            data = checked_result(op, data)
        y._array = data
        y._shape = shape = data.shape
        y._name = None
        y._age = next_age()
        mode = recording_mode()
        if ((requires_grad or tracked) and mode.on) or mode.all:
            y._op, y._inputs, y._arrays, y._params = op, inputs, arrays, params
            y._requires_grad = requires_grad and (op.differentiable or op.without_rule(data))
        else:
            forget(y, inputs, requires_grad and not mode.on)
        if op.meets and len(shape) == 2 and shape[0] == shape[1] > 1 and not mode.all:
            warn_of_square(op, given, shape)
        for watcher in mode.watchers:
            watcher.result(y, op, inputs, params)
        return y

    # NumPy's functions and operators, when they meet a Tensor; pandas, on the left, leaves its operators to the Tensor

    __pandas_priority__ = 10_000

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            raise TypeError(
                f"np.{ufunc.__name__}.{method} keeps no history on Tensors: use np.sum, np.max, np.min, +"
            )
        if kwargs.get("out") is not None:
            raise TypeError(
                f"np.{ufunc.__name__} cannot write a Tensor into an array (out=, or `z += t` on an ndarray z), since "
                f"its history would be lost: write z = z + t"
            )
        return twin(ufunc)(*inputs, **kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if function not in SPELLINGS:
            return twin(function)(*args, **kwargs)
        try:
            return SPELLINGS[function](*args, **kwargs)
        except TypeError as error:  # arguments that the spelling does not know
            raise TypeError(f"np.{function.__name__} on Tensors: {error}") from error

    # For type checkers, NumPy's functions on a Tensor are those on an array of this dtype, of which
    # they promise least.
    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> np.ndarray[Any, np.dtype[np.object_]]:
        raise TypeError(
            "a Tensor does not turn into an array by itself, since its history would be lost: use np.stack([t, u]) to "
            "join Tensors, np.where or np.concatenate in place of z[i] = t, t.numpy() for the numbers alone, and in "
            "place of a masked array or a pandas table plain numbers: masked.filled(0) * t, table.to_numpy() @ t"
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor's elements cannot be assigned: use np.where or np.concatenate to make a new Tensor"
        )

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
        parts = tuple(
            np.array(i, dtype=None if i else int) if isinstance(i, list) else i for i in parts
        )
        parts = tuple(plain_slice(i) if isinstance(i, slice) else i for i in parts)
        arrays = tuple(i for i in parts if isinstance(i, (Tensor, np.ndarray)))
        key = tuple(ops.HOLE if isinstance(i, (Tensor, np.ndarray)) else i for i in parts)
        return record_op(
            ops.getitem, (self, *arrays), {"index": key if isinstance(index, tuple) else key[0]}
        )

    # In place: `w -= 0.1 * w.grad`, as books write the update

    def __iadd__(self, other: Any) -> Tensor:
        return self.changed("+=", operator.iadd, ops.add, other)

    def __isub__(self, other: Any) -> Tensor:
        return self.changed("-=", operator.isub, ops.subtract, other)

    def __imul__(self, other: Any) -> Tensor:
        return self.changed("*=", operator.imul, ops.multiply, other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self.changed("/=", operator.itruediv, ops.divide, other)

    def __ipow__(self, other: Any) -> Tensor:
        return self.changed("**=", operator.ipow, ops.power, other)

    def __imatmul__(self, other: Any) -> Tensor:
        return self.changed("@=", operator.imatmul, ops.matmul, other)

    def changed(self, sign: str, in_place: Callable[..., Any], op: Op, other: Any) -> Tensor:
        """`t -= other` and the like: a parameter's data is moved, inside no_grad() only; else a new result.

        Outside it would put a result in the parameter's place, and the next step would find nothing to train.
        """
        if self._op is not None or not self._requires_grad:
            return record_op(op, (self, other), {})
        name = self._name or "w"
        if recording_mode().on:
            raise TypeError(
                f"`{name} {sign} ...` on the parameter {describe(self)} would put a result in its place: to change its "
                f"data, write {name}.data {sign} ..., or the same line inside `with no_grad():`; "
                f"for a new result, {name}2 = {name} {sign[:-1]} ..."
            )
        try:
            self.data = in_place(self._array, data_of(other))
        except (TypeError, ValueError) as error:  # NumPy's own say nothing of names
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{describe(self)} {sign} {describe(other)}: {error}") from error
        return self


# Looked up once: they are called for every op.
new, ndarray, recording_mode = object.__new__, np.ndarray, RECORDING.get
record_op = Tensor.record_op


def frozen_params(op: Op, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters as they are recorded; as they are where nobody can change them."""
    for value in params.values():
        if value.__class__ not in PLAIN:
            return {name: frozen(value, op, name) for name, value in params.items()}
    return params


def settle(op: Op, data: Any, arrays: list[Any]) -> Any:
    """What an op's forward gave, without what it keeps for its vjps, which goes to `arrays`; of a foreign op a copy."""
    if op.keeps:
        data, kept = data if data.__class__ is tuple and len(data) == 2 else op.pair(data)
        arrays.append(kept)
    if op.foreign and data.__class__ is ndarray:
        return data.copy()  # it may be an input itself, or a buffer that the rule uses again
    return data


def checked_result(op: Op, data: Any) -> Any:
    """A result that is no NumPy array as one that a Tensor can hold."""
    if isinstance(data, tuple):  # or it would become one array of both
        raise TypeError(
            f"the forward of {op.name} returned {len(data)} things: say keeps=True for a pair"
        )
    return checked_array(data)


def forget(y: Tensor, inputs: tuple[Any, ...], unrecorded: bool) -> None:
    """Make a new result a constant; `unrecorded`: a history that should be there is missing (see `seed`)."""
    y._op, y._inputs, y._arrays, y._params, y._requires_grad = None, (), (), {}, False
    y._grad = None
    y.unrecorded = unrecorded or any(getattr(x, "unrecorded", False) for x in inputs)


def constant(x: Any) -> Tensor:
    """An array or list among the inputs of an op as a Tensor, which remembers the array, so that it can be named.

    The data is a copy: its owner may change it before backward().
    """
    t = Tensor(x)
    if isinstance(x, np.ndarray):
        t.origin = weakref.ref(x)
    return t


def refuse_assignment() -> None:
    """TypeError where a number is asked for by `z[i] = t`: NumPy then calls float(t), and the history would be lost."""
    refuse_tracing()
    frame = sys._getframe(2)
    if dis.opname[frame.f_code.co_code[frame.f_lasti]] in ("STORE_SUBSCR", "STORE_SLICE"):
        raise TypeError(
            "z[i] = t cannot keep the history of a Tensor t: use np.where, np.stack or np.concatenate, "
            "or z[i] = float(t) where the number alone is meant"
        )


def checked_name(name: Any) -> str | None:
    """A name that can be shown, written and drawn."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise TypeError(f"the name of a Tensor is a str, not {name!r:.60} ({type(name).__name__})")
    if not name:
        raise ValueError(
            f"the name of a Tensor is not empty: leave it out, or give None; got {name!r}"
        )
    if not name.isascii() and any("\ud800" <= c <= "\udfff" for c in name):
        raise ValueError(
            f"the name {name!r} has half a letter in it (a surrogate), which cannot be written to a file"
        )
    return name


def frozen(value: Any, op: Op, name: str) -> Any:
    """A parameter as it is recorded: a copy of what its owner may change before backward()."""
    if isinstance(value, Tensor):
        if value.dtype.kind in "iu" and not value.ndim:
            return value.__index__()
        raise TypeError(
            f"{name}={describe(value)} is a Tensor: no gradient flows through a parameter of {op.name}; "
            f"make it an input (an argument of the forward without a default), or give its item() or numpy()"
        )
    if isinstance(value, np.ndarray):
        value = copy.deepcopy(value) if value.dtype == object else np.array(value)
        value.flags.writeable = False
    elif value.__class__ in (list, tuple):
        return value.__class__(frozen(v, op, name) for v in value)
    elif value.__class__ is dict:
        return {k: frozen(v, op, name) for k, v in value.items()}
    elif isinstance(value, MutableSequence | MutableMapping | MutableSet):
        return copy.deepcopy(value)
    return value


def gives_axis(x: Any) -> bool:
    """Whether a view of `x` may be a 1-D array that was given an axis."""
    return getattr(x, "ndim", 0) == 1 or getattr(x, "given_axis", False)


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
        name = (
            f"{function.__module__}.{function.__name__}"
            if hasattr(function, "__module__")
            else function.__name__
        )
        raise TypeError(
            f"{name} has no registered op, so its gradient is not known: write it with functions that have one "
            f"(tinygrad_steel.OPS lists them), register it with tinygrad_steel.op(..., twins=[{name}]), or take "
            f"t.numpy() where no gradient is wanted"
        )
    return TWINS[function]


def checked_array(data: Any) -> Any:
    """A copy of `data` as an array of real numbers; arrays of other libraries (Dask, CuPy) stay as they are."""
    if isinstance(data, Tensor):
        raise TypeError(
            "this is a Tensor already: use it as it is, or t.detach() for a copy without history"
        )
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
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def described_result(y: Tensor) -> str:
    """A Tensor as messages show it, and where it has no name, the op that it came from."""
    return describe(y) if y.op is None or y.name else f"{describe(y)}, the result of {y.op.name}"


def seed(y: Tensor, gradient: Any) -> Any:
    """The gradient to start from at `y`: the one given, checked, or 1 for a single number."""
    dtype = y._array.dtype
    if not y._requires_grad or dtype.kind != "f":
        refuse_unrecorded(y)
        raise RuntimeError(
            f"{described_result(y)}: no gradient flows here, since nothing it comes from has requires_grad=True"
            f"; make the parameters with Tensor(..., requires_grad=True), outside no_grad()"
        )
    if gradient is None:
        if not y._shape:  # a NumPy scalar: as light as a Python float, with the shape and dtype that rules may ask for
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

    A Tensor on which `y` does not depend has gradient zero, and so has one behind a function of slope zero (sign,
    floor) or behind detach(). `.grad` stays as it is; no gradient shares its memory with anything else.

    Parameters
    ----------
    y : Tensor
        What is differentiated.
    xs : Tensor or sequence of Tensors
        With respect to what: leaves or results.
    gradient : array_like or Tensor, optional
        That of `y`, needed where `y` is not a single number.

    Returns
    -------
    Tensor or list of Tensors
        One gradient for one Tensor, a list for a sequence.

    Raises
    ------
    ValueError
        Where one of `xs` does not require a gradient.
    RuntimeError
        Where `y` was computed inside no_grad() from what does.
    TypeError
        For anything but Tensors.

    Examples
    --------
    >>> x = Tensor(2.0, requires_grad=True)
    >>> first = grad(x**3, x)
    >>> first.item(), grad(first, x).item()
    (12.0, 12.0)
    """
    wanted = [xs] if isinstance(xs, Tensor) else list(xs)
    for x in (y, *wanted):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"grad(y, xs) takes a Tensor y and one or more Tensors xs, not {type(x).__name__}"
            )
    for x in wanted:
        if not x.requires_grad:
            raise ValueError(
                f"{describe(x)} does not require a gradient: make it with requires_grad=True"
            )
    refuse_unrecorded(y)
    before, found = next_age(), {}
    if y.requires_grad:
        g = seed(y, gradient)
        keep = {id(x) for x in wanted}
        pulled = pull_tensors(y, g if isinstance(g, Tensor) else Tensor(g))
        found = {id(t): g for t, g in pulled if id(t) in keep}
    gradients = [
        found[id(x)] if id(x) in found else Tensor(np.zeros(x.shape, x.dtype)) for x in wanted
    ]
    taken: set[int] = set()
    for i, (x, g) in enumerate(zip(wanted, gradients)):
        data = g._array
        if isinstance(data, np.ndarray) and not is_numpy(x._array):
            gradients[i] = np.zeros_like(x) + g  # lazy, or on a device, as `x` is
        elif (
            g._age < before
            or id(g) in taken
            or (isinstance(data, np.ndarray) and data.base is not None)
        ):
            gradients[i] = ops.astype(g, dtype=g.dtype)  # a rule handed on what others hold as well
        taken.add(id(g))
    return gradients[0] if isinstance(xs, Tensor) else gradients


def refuse_unrecorded(y: Tensor) -> None:
    """RuntimeError where the history of a result is missing because it was computed inside no_grad()."""
    if getattr(y, "unrecorded", False):
        raise RuntimeError(
            f"{describe(y)}: no gradient flows here, since it was computed inside no_grad(), where nothing is "
            f"recorded; compute it outside"
        )
