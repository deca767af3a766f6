"""Tensor: an array that remembers how it was computed, and so can send gradients back."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any, Never

import numpy as np

from ..ops.fast import is_numpy
from ..ops.op import Op, data_of, describe
from .answers import Answers
from .backward import own, pull_arrays, seed
from .broadcast import VIEWS, warn_of_square
from .checks import (
    check_requires_grad,
    checked_array,
    checked_data,
    checked_gradient,
    checked_name,
    checked_result,
    frozen_params,
)
from .habits import ATTRIBUTES, OtherWords, refuse
from .keys import refuse_key
from .later import heatmap, refusals
from .messages import asked_by_user, describe_call, described_result, explained
from .methods import Methods
from .operators import Operators
from .protocol import Protocol
from .recording import RECORDING, next_age
from .views import viewed_by

PLAIN_NUMBERS = (int, float, np.number, np.bool_)
BACKWARD = threading.Lock()  # two threads may add to the gradient of one leaf


class Tensor(Methods, Answers, Operators, Protocol, OtherWords):
    """An array that remembers how it was computed, and so can send gradients back.

    It takes NumPy's operators (`+ - * / // % ** @`, comparisons, `& | ^ ~` on masks, indexing),
    NumPy's functions (`np.exp(t)`) and ndarray's methods (`t.sum(axis=0)`); what comes out is a
    Tensor again. A Tensor that you make is a leaf; what is computed from it is a result.

    No element can be assigned. `==` compares element by element; as keys of a dict and in sets
    Tensors count by identity, and a single integer or bool that was computed (`np.argmax(t)`) is
    refused, as NumPy's would count by its value.

    Parameters
    ----------
    data : array_like, of any shape
        Floats, integers or bools: a number, nested lists or an array. Its dtype stays what NumPy
        makes of it. It is copied, so that changing the source later changes nothing here.
    requires_grad : bool
        Whether `backward()` leaves a gradient in `.grad`, of the same shape and dtype; for floats
        alone.
    name : str, optional
        What messages, sources and pictures call it. What is computed from a named Tensor is recorded
        even where no gradient flows.

    Attributes
    ----------
    data : ndarray
        The array itself; a leaf may be given another one of its shape and dtype.
    grad : ndarray or None
        On a leaf, what `backward()` has left.
    name : str or None
        As above; it may be changed.
    requires_grad : bool
        As above; it may be changed on a leaf.
    shape : tuple of int
        The length of each axis, as of an ndarray, which has `ndim` and `size` too.
    dtype : dtype
        The type of the elements.
    op : Op or None
        What made this result; None for a leaf.
    inputs : tuple
        Of what it made it: Tensors and plain numbers.

    Raises
    ------
    TypeError
        For data that is not real numbers, for integers or bools that require a gradient, and for a
        name that is no str.
    ValueError
        For rows of unequal length, and for a name that is empty or cannot be written.

    Examples
    --------
    >>> from tinygrad_steel import Tensor
    >>> x = Tensor([[1.0, 2.0]], name="x")
    >>> weight = Tensor([[3.0], [4.0]], requires_grad=True, name="weight")
    >>> loss = (x @ weight).sum()
    >>> loss.backward()
    >>> weight.grad
    array([[1.],
           [2.]])
    """

    # Not `_data`: np.ma takes that of whatever it meets, and a masked array times a Tensor would
    # lose the history.
    __slots__ = (
        "__weakref__", "_age", "_array", "_arrays", "_copied", "_given_axis", "_grad", "_inputs",
        "_name", "_op", "_origin", "_params", "_read", "_requires_grad", "_shape", "_unrecorded",
        "_viewed",
    )  # fmt: skip

    _array: Any
    _arrays: Sequence[Any]
    _inputs: tuple[Any, ...]
    _op: Op | None
    _params: dict[str, Any]
    _shape: tuple[int, ...]
    _copied: bool  # that NumPy gives no view here (see views.py)
    _given_axis: bool  # whether a view of a leaf, copied, came from a 1-D array (see broadcast.py)
    _origin: Any  # the array that a constant was copied from, as a weak reference
    _read: Any  # that a number was taken from it (see reads.py)
    _unrecorded: bool  # whether its history is missing, because of no_grad()
    _viewed: tuple[weakref.ref[Any], ...]  # what an unrecorded view shows (see views.py)

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        name: str | None = None,
        **unknown: Never,
    ):
        if unknown:
            refuse("Tensor", unknown)
        self._array = checked_array(data)
        self._shape = self._array.shape
        self._op, self._inputs, self._arrays, self._params, self._grad = None, (), (), {}, None
        self._age = next_age()
        self._name = name if name is None else checked_name(name)
        self._requires_grad = False
        if requires_grad is not False:
            self.requires_grad = requires_grad

    # What it is, read-only. A slip of the pen does not change it; `_op = ...` does.

    @property
    def op(self) -> Op | None:
        """The op that made this result; None for a leaf."""
        return self._op

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What the op was given, Tensors and plain numbers; empty for a leaf."""
        return self._inputs

    @property
    def arrays(self) -> Sequence[Any]:
        """The inputs as arrays, as the op's forward got them, and what it keeps for its vjps."""
        return self._arrays

    @property
    def params(self) -> dict[str, Any]:
        """The op's parameters by name, such as `axis` and `keepdims`."""
        return self._params

    @property
    def age(self) -> int:
        """A number that rises with each Tensor made and each change of data.

        Inputs have a smaller one than their results, unless their data has changed since.
        """
        return self._age

    # What may be changed

    @property
    def name(self) -> str | None:
        """What messages, sources and pictures call it."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = checked_name(name)

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows here; on a leaf, whether `backward()` leaves it in `.grad`.

        Setting it on a leaf freezes or frees it: then compute the loss anew. On a result it raises
        RuntimeError, and True raises TypeError where the data are not floats.
        """
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        check_requires_grad(self, wanted)
        if wanted != self._requires_grad:
            self._requires_grad = bool(wanted)
            self._age = next_age()  # what was recorded before knows only the old answer

    @property
    def grad(self) -> Any:
        """The gradient that `backward()` has left on a leaf, an array of its shape and dtype; or None.

        Results keep none, and asking one raises AttributeError: `grad(loss, result)` has it.
        """
        try:
            return self._grad
        except AttributeError:  # not a silent None
            raise AttributeError(
                f"{described_result(self)}: only leaves keep their gradient in .grad; "
                f"that of a result is grad(loss, result)"
            ) from None

    @grad.setter
    def grad(self, gradient: Any) -> None:
        if self._op is not None:
            raise AttributeError(f"{described_result(self)}: only leaves have a gradient to be set")
        self._grad = checked_gradient(self, gradient)

    @property
    def data(self) -> Any:
        """The array itself, not a copy.

        Assigning to it on a leaf (`t.data = a`, `t.data -= step`) is noticed: a backward() through
        results computed before raises RuntimeError. Writing into it (`t.data[0] = 1`) is not noticed.
        """
        return self._array

    @data.setter
    def data(self, data: Any) -> None:
        if self._op is not None:
            raise RuntimeError(
                f"{describe(self)} is the result of {self._op.name}: "
                f"only a leaf can be given new data"
            )
        if data is not self._array:  # `t.data -= step` hands back the array it has just changed
            self._array = checked_data(self, data)
        self._age = next_age()

    def _move(self, step: Any) -> None:
        """`data -= step`, for optimizers: without the price of the checks."""
        try:
            self._array -= step
        except NotImplementedError:  # Dask: it cannot be written into, or is the step of an ndarray
            if isinstance(self._array, np.ndarray):
                self._array -= np.asarray(step)
            else:
                self._array = self._array - step
        self._age = next_age()

    def numpy(self) -> np.ndarray:
        """A copy of the data as a NumPy array of the same shape and dtype, without history."""
        return np.array(self._array)

    def detach(self) -> Tensor:
        """A new leaf with a copy of the data, without history, through which no gradient flows."""
        return Tensor(self._array)

    def __repr__(self) -> str:
        facts = [repr(self._array)]
        if is_numpy(self._array):
            facts = [np.array2string(self._array, separator=", ", prefix="Tensor(")]
        facts += [f"name={self.name!r}"] if self.name else []
        facts += [f"dtype={self.dtype}"] if self.dtype != float else []
        facts += [f"op={self.op.name}"] if self.op else []
        facts += ["requires_grad=True"] if self.requires_grad else []
        return f"Tensor({', '.join(facts)})"

    def _repr_html_(self) -> str:
        page: str = heatmap.tensor_page(self)
        return page

    def __reduce__(self) -> tuple[Any, ...]:
        # For copy, deepcopy and pickle: a leaf of its own age. A result would lose its history
        # without a word.
        if self.op is not None and self.requires_grad:
            raise TypeError(
                f"{describe(self)} is the result of {self.op.name}: "
                f"copy t.detach(), which has no history"
            )
        return Tensor, (self._array, self.requires_grad, self.name)

    def __hash__(self) -> int:  # by identity, although == compares elements
        if not self._shape and asked_by_user(1):
            refuse_key(self)
        return identity_hash(self)

    # Gradients

    def backward(self, gradient: Any = None, **unknown: Never) -> None:
        """Add the gradient of this Tensor to `.grad` of every leaf behind it that requires one.

        A second call adds the same gradients again: set `.grad = None`, or call an optimizer's
        `zero_grad()`, in between.

        Parameters
        ----------
        gradient : array_like or Tensor, optional
            What the walk back begins with, an array of this Tensor's shape. Left out it is 1, which
            is right for a loss of one element; anything larger needs it.

        Raises
        ------
        RuntimeError
            Where nothing requires a gradient, and where data was replaced since the forward pass.
        ValueError
            For a missing or misshapen `gradient`.

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_steel import Tensor
        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> np.sum(w * w).backward()
        >>> w.grad
        array([2., 4.])
        >>> np.sum(w * w).backward()
        >>> w.grad
        array([4., 8.])
        """
        if unknown:
            refuse("backward", unknown)
        start = seed(self, gradient)
        if isinstance(start, Tensor):
            start = start._array.copy()  # a leaf may keep it as its gradient
        pulled = pull_arrays(self, start)
        with BACKWARD:
            for t, g in pulled:
                if t._grad is not None:
                    g = t._grad + g
                usual = g.__class__ is ndarray and g.base is None and g.shape == t._shape
                t._grad = g if usual and t._array.__class__ is ndarray else own(g, t._array)

    # Recording

    @staticmethod
    def record_op(op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Tensor:  # noqa: C901
        """Run an op on the data of its inputs; the result remembers it where something needs it.

        All that computes with Tensors ends here, operators, methods and NumPy's functions.

        Parameters
        ----------
        op : Op
            Its forward is called with the arrays of the inputs and the parameters.
        inputs : tuple of Tensor or array_like
            At least one of them a Tensor. Arrays among them are copied.
        params : dict of str
            The op's parameters by name, such as `{"axis": 0}`.

        Returns
        -------
        Tensor
            The result.
        """
        # Long, as it is called for every op, and calls cost more than branches: what is unusual is
        # a call.
        given = inputs
        arrays: list[Any] = []
        requires_grad = tracked = lifted = False
        for x in inputs:
            if x.__class__ is Tensor or isinstance(x, Tensor):
                arrays.append(x._array)
                if x._requires_grad:
                    requires_grad = True
                elif x._op is not None or x._name is not None:
                    tracked = True
            else:
                arrays.append(x)
                if not isinstance(x, PLAIN_NUMBERS):
                    lifted = True
        try:
            if lifted:
                inputs = tuple(map(lift, inputs))
                arrays = [*map(data_of, inputs)]
            if params:
                params = frozen_params(op, params)
                data = op.forward(*arrays, **params)
            else:
                data = op.forward(*arrays)
        except Exception as error:  # raised again with more words
            raise explained(error, describe_call(op, inputs, params), op) from error
        if op.special:
            data = settle(op, data, arrays)
        y = new(Tensor)
        if data.__class__ is ndarray:
            if data.base is not None:
                data = unshared(data, y, inputs)
        elif not isinstance(data, np.generic):
            data = checked_result(op, data)
        y._array = data
        y._shape = shape = data.shape
        y._name = None
        y._age = next_age()
        mode = recording_mode()
        if mode.all or (mode.on and (requires_grad or tracked or op.draws)):
            y._op = op
            y._inputs = inputs
            y._arrays = arrays
            y._params = params
            y._requires_grad = requires_grad and (op.differentiable or op.without_rule(data))
        else:
            forget(y, op, inputs, requires_grad and not mode.on)
        if op.meets and len(shape) == 2 and shape[0] == shape[1] > 1 and not mode.all:
            warn_of_square(op, given, shape)
        if mode.watchers:
            for watcher in mode.watchers:
                watcher.result(y, op, inputs, params)
        return y

    def __dir__(self) -> list[str]:
        """What can be used, for whoever looks for it by completion; ops alone call record_op."""
        hidden = {*ATTRIBUTES, "record_op"}
        return [name for name in super().__dir__() if name not in hidden]

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor's elements cannot be assigned: "
            f"use np.where or np.concatenate to make a new Tensor{refusals.advice(value)}"
        )


# Looked up once: they are called for every op.
new, ndarray, recording_mode = object.__new__, np.ndarray, RECORDING.get
identity_hash = object.__hash__
record_op = Tensor.record_op


def lift(x: Any) -> Any:
    """An input as it is recorded: a Tensor or a plain number; anything else becomes a Tensor.

    The data is a copy, since its owner may change it before backward(); the array is remembered, to
    be named by it.
    """
    if isinstance(x, (Tensor, *PLAIN_NUMBERS)):
        return x
    t = Tensor(x)
    if isinstance(x, np.ndarray):
        t._origin = weakref.ref(x)
    return t


def unshared(data: Any, y: Tensor, inputs: tuple[Any, ...]) -> Any:
    """A result that is a view; of a leaf, a copy: it would change with the leaf, unnoticed."""
    for x in inputs:
        if isinstance(x, Tensor) and x._op is None:
            break
    else:
        return data
    x = inputs[0]
    y._given_axis = getattr(x, "ndim", 0) == 1 or getattr(x, "_given_axis", False)
    return data.copy()


def settle(op: Op, data: Any, arrays: list[Any]) -> Any:
    """What a forward gave, without what it keeps for vjps, which goes to `arrays`."""
    if op.keeps:
        data, kept = data if data.__class__ is tuple and len(data) == 2 else op.pair(data)
        arrays.append(kept)
    if op.foreign and data.__class__ is ndarray:
        return data.copy()  # it may be an input itself, or a buffer that the rule uses again
    return data


def forget(y: Tensor, op: Op, inputs: tuple[Any, ...], unrecorded: bool) -> None:
    """Make a new result a constant; `unrecorded`: its history is missing (see `seed`)."""
    y._op, y._inputs, y._arrays, y._params, y._requires_grad = None, (), (), {}, False
    y._grad = None
    if op in VIEWS and isinstance(y._array, np.ndarray):
        y._viewed = viewed_by(inputs)
    y._unrecorded = unrecorded or any(getattr(x, "_unrecorded", False) for x in inputs)
