"""What a Tensor may hold, be called and be given: each check returns it, or says what is wrong."""

from __future__ import annotations

import copy
from collections.abc import MutableMapping, MutableSequence, MutableSet
from typing import Any

import numpy as np

from ..ops.op import Op, describe, is_tensor
from .messages import described_result

# Parameters that nobody can change: an index may have a slice, but hardly a list in its ends
PLAIN = {int, float, bool, str, type(None), type(Ellipsis), slice}


def checked_array(data: Any) -> Any:
    """A copy of `data` as an array of real numbers; other libraries' arrays stay as they are."""
    if is_tensor(data):
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


def check_requires_grad(t: Any, wanted: Any) -> None:
    """Refuse what is no answer, results, and data of which there is no gradient."""
    if not isinstance(wanted, (bool, np.bool_)):
        raise TypeError(
            f"requires_grad is True or False, not {wanted!r}: write Tensor(data, name=...)"
        )
    if t.op is not None:
        raise RuntimeError(
            f"{described_result(t)}: whether a gradient flows through a result is "
            f"decided by its inputs"
        )
    if wanted and t.dtype.kind != "f":
        raise TypeError(
            f"Tensor{f' {t.name}' if t.name else ''}: {t.dtype} data cannot require a gradient; "
            f"give floats, as in Tensor(np.array(data, dtype=float), requires_grad=True)"
        )


def checked_data(t: Any, data: Any) -> Any:
    """New data for a leaf: an array of its shape, in its dtype."""
    if is_tensor(data):
        raise TypeError(
            f"data of {describe(t)} is an array, not a Tensor: write t.data -= rate * t.grad"
        )
    data, old = checked_array(data), t.data
    if type(data) is not type(old):
        raise TypeError(
            f"data of {describe(t)} is a {type(old).__name__}: make a new Tensor instead"
        )
    if data.shape != old.shape or not np.can_cast(data.dtype, old.dtype, "same_kind"):
        raise ValueError(f"data of {describe(t)} cannot become {describe(data)}: make a new Tensor")
    return data.astype(old.dtype, copy=False)


def checked_gradient(t: Any, gradient: Any) -> Any:
    """What a leaf is given as its gradient: an array of its shape, in its dtype; or None."""
    if gradient is None:
        return None
    if is_tensor(gradient):
        raise TypeError(f"the gradient of {describe(t)} is an array, not a Tensor: give its data")
    old = t.data
    if type(gradient) is not np.ndarray or gradient.dtype != old.dtype:
        gradient = checked_array(gradient).astype(old.dtype, copy=False)
    # Else it stays the very array, as ever: whoever sets it may change it.
    if gradient.shape != old.shape:
        raise ValueError(f"the gradient of {describe(t)} has that shape too, not {gradient.shape}")
    return gradient


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
            f"the name {name!r} has half a letter in it (a surrogate), "
            f"which cannot be written to a file"
        )
    return name


def frozen_params(op: Op, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters as they are recorded; as they are where nobody can change them."""
    for value in params.values():
        kind = value.__class__
        if kind not in PLAIN and not (kind is tuple and PLAIN.issuperset(map(type, value))):
            return {name: frozen(value, op, name) for name, value in params.items()}
    return params


def frozen(value: Any, op: Op, name: str) -> Any:
    """A parameter as it is recorded: a copy of what its owner may change before backward()."""
    if is_tensor(value):
        if value.dtype.kind in "iu" and not value.ndim:
            return value.__index__()
        raise TypeError(
            f"{name}={describe(value)} is a Tensor: no gradient flows through a parameter of "
            f"{op.name}; make it an input (an argument of the forward without a default), "
            f"or give its item() or numpy()"
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


def checked_result(op: Op, data: Any) -> Any:
    """A result that is no NumPy array as one that a Tensor can hold."""
    if isinstance(data, tuple):  # or it would become one array of both
        raise TypeError(
            f"the forward of {op.name} returned {len(data)} things: say keeps=True for a pair"
        )
    return checked_array(data)
