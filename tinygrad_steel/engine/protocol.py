"""What NumPy asks of a Tensor: its functions and ufuncs come here, and no array is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..ops.op import SPELLINGS, TWINS, Op
from .answers import refuse_assignment
from .later import arguments, refusals
from .messages import asked_by_user, explained
from .numpy_api import BEYOND, twin, with_method
from .views import note_copies


class Protocol:
    """The methods by which NumPy, and pandas, leave their functions and operators to the Tensor."""

    __slots__ = ()
    record_op: ClassVar[Callable[..., Any]]
    __pandas_priority__ = 10_000

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise TypeError(
                f"np.{ufunc.__name__} cannot write a Tensor into an array (out=, or `z += t` on an "
                f"ndarray z), since its history would be lost: write z = z + t{refusals.advice(inputs[-1])}"
            )
        if method != "__call__":
            return with_method(ufunc, method)(*inputs, **{"axis": 0, **kwargs})
        if not kwargs and ufunc in TWINS:  # the short way, for most calls there are
            return self.record_op(TWINS[ufunc], inputs, kwargs)
        if ufunc in SPELLINGS:
            return SPELLINGS[ufunc].function(*inputs, **kwargs)
        return twin(ufunc)(*inputs, **kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        known = SPELLINGS.get(function)
        if kwargs and function in BEYOND and not BEYOND[function][0].isdisjoint(kwargs):
            known = BEYOND[function][1]
        meaning = twin(function) if known is None else known.function
        try:
            found = meaning(*args, **kwargs)
        except TypeError as error:
            again = in_our_words(function, meaning, args, kwargs, error)
        except (IndexError, ValueError) as error:
            if isinstance(meaning, Op) or not asked_by_user(1):
                raise
            raise explained(error, f"{name_of(function)} on Tensors", known) from error
        else:
            again = None
        if again is not None:
            meaning, args, kwargs = again
            found = meaning(*args, **kwargs)
        if known is not None:
            note_copies(function, found, args)
        return found

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> np.ndarray[Any, np.dtype[np.object_]]:
        # For type checkers, NumPy's functions on a Tensor are those on an array of this dtype, of
        # which they promise least.
        refuse_assignment(self)
        raise TypeError(
            "a Tensor does not turn into an array by itself, since its history would be lost: "
            "use np.stack([t, u]) to join Tensors, np.where or np.concatenate in place of "
            "z[i] = t, t.numpy() for the numbers alone, and in place of a masked array or a "
            "pandas table plain numbers: masked.filled(0) * t, table.to_numpy() @ t"
            + refusals.advice(self)
        )


def name_of(function: Any) -> str:
    """A function of NumPy's as people write it."""
    return f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)


def in_our_words(function: Any, meaning: Any, args: Any, kwargs: Any, error: TypeError) -> Any:
    """A call that did not fit, by NumPy's own signature; the error anew where that was not why."""
    name = name_of(function)
    try:
        again = None
        if not arguments.fit(meaning, args, kwargs):
            again = arguments.as_ours(function, args, kwargs)
    except TypeError as misfit:
        raise TypeError(f"{name} on Tensors: {misfit}") from None
    if again is not None:
        return again
    if isinstance(meaning, Op):
        raise error
    raise TypeError(f"{name} on Tensors: {error}") from error
