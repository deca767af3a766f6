"""`grad`: gradients as Tensors, which can be differentiated again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..ops.fast import is_numpy
from ..ops.op import describe
from .backward import pull_tensors, refuse_unrecorded, seed
from .recording import next_age
from .tensor import Tensor


def grad(y: Tensor, xs: Tensor | Sequence[Tensor], gradient: Any = None) -> Any:
    """Give the gradient of `y` with respect to each of `xs`, as Tensors.

    They can be differentiated again.

    A Tensor on which `y` does not depend has gradient zero, and so has one behind a function of
    slope zero (sign, floor) or behind detach(). `.grad` stays as it is; no gradient shares its
    memory with anything else.

    Parameters
    ----------
    y : Tensor
        What is differentiated.
    xs : Tensor or sequence of Tensors
        With respect to what: leaves or results.
    gradient : array_like or Tensor, optional
        What the walk back begins with, an array of the shape of `y`. Left out it is 1, which is right
        for a `y` of one element; anything larger needs it.

    Returns
    -------
    Tensor or list of Tensors
        Each of the shape and dtype of its `x`; a list for a sequence.

    Raises
    ------
    ValueError
        Where one of `xs` does not require a gradient, and for a missing or misshapen `gradient`.
    RuntimeError
        Where `y` was computed inside no_grad() from what does, and where data was replaced since.
    TypeError
        For anything but Tensors.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, grad
    >>> x = Tensor(2.0, requires_grad=True)
    >>> first = grad(x**3, x)
    >>> first.item(), grad(first, x).item()
    (12.0, 12.0)
    """
    wanted = listed(xs)
    refuse_unfit(y, wanted)
    before = next_age()
    found = dict(pull_tensors(y, as_tensor(seed(y, gradient)))) if y.requires_grad else {}
    gradients: list[Tensor] = []
    for x in wanted:
        g = found[x] if x in found else Tensor(np.zeros(x.shape, x.dtype))
        g = of_its_own(g, x, shared=g.age < before or any(g is h for h in gradients))
        g._copied, g._viewed = True, ()
        gradients.append(g)
    return gradients[0] if isinstance(xs, Tensor) else gradients


def listed(given: Any) -> list[Any]:
    """One Tensor or several, as a list; what is no Tensor in it is refused later on."""
    is_several = isinstance(given, Iterable) and not isinstance(given, Tensor)
    return list(given) if is_several else [given]


def refuse_unfit(y: Any, xs: list[Any]) -> None:
    """TypeError for anything but Tensors, ValueError for what wants no gradient."""
    for x in (y, *xs):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"grad(y, xs) takes a Tensor y and one or more Tensors xs, not {type(x).__name__}"
            )
    for x in xs:
        if not x.requires_grad:
            raise ValueError(
                f"{describe(x)} does not require a gradient: make it with requires_grad=True"
            )
    refuse_unrecorded(y)


def as_tensor(g: Any) -> Tensor:
    """A gradient to start from as a Tensor."""
    return g if isinstance(g, Tensor) else Tensor(g)


def of_its_own(g: Tensor, x: Tensor, shared: bool) -> Any:
    """`g` as the gradient of `x` alone, in its kind of array: a copy where `shared` or a view."""
    if isinstance(g.data, np.ndarray) and not is_numpy(x.data):
        return np.zeros_like(x) + g  # lazy, or on a device, as `x` is
    if shared or (isinstance(g.data, np.ndarray) and g.data.base is not None):
        return ops.astype(g, dtype=g.dtype)
    return g
