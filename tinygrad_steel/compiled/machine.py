"""What a machine computes instead: rewrites into NumPy's own functions, each in one spelling."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import ops
from ..program.names import numpy_name
from ..program.parts import SIMPLER, Arrays, parts_of
from ..program.rewrite import ALIASES, Known, Row, with_inputs
from ..program.values import Apply, Constant, apply, compute, constant, exact, inputs_of
from .lowered import REDUCTIONS, is_view
from .pieces import assemble, sum_of_parts

# What `**` does instead, for these exponents.
POWERS = {2: ops.square, 0.5: ops.sqrt, -1: ops.reciprocal}
# Ops that stay as they are though NumPy does not have them as functions.
PRIMITIVE = {
    *(ops.astype, ops.asconstant, ops.getitem, ops.scatter, ops.one_hot),
    *(ops.sliding_windows, ops.overlap_add, assemble),
}


def machine_rows(arrays: Arrays) -> tuple[Row, ...]:
    """The table; `arrays`: what values had when they were traced, as an op is taken apart by
    running it.
    """
    constants: dict[Any, Constant] = {}

    def first_of(x: Constant) -> Constant:
        """The first Constant with these digits."""
        return constants.setdefault(exact(x.data), x)

    def shared_constants(y: Apply, known: Known) -> Apply | None:
        """Equal Constants are one."""
        inputs = [first_of(x) if isinstance(x, Constant) else x for x in y.inputs]
        new = with_inputs(y, inputs)
        return None if new is y else new

    def known_number(y: Apply, known: Known) -> Constant | None:
        """A single number that comes from Constants alone."""
        if y.shape or not all(isinstance(x, Constant) for x in y.values()):
            return None
        return first_of(constant(compute(y, inputs_of(y, {}))))

    return (
        *ALIASES,
        Row("equal constants", None, shared_constants),
        Row("a dtype that is there already", frozenset({ops.astype}), same_dtype),
        Row("axis=None, where it goes without saying", None, without_axis),
        Row(
            "the axes of a reduction or a flip, counted from the first",
            frozenset({*REDUCTIONS, ops.flip}),
            counted_axes,
        ),
        Row("a reduction that keeps its axes", frozenset(REDUCTIONS), reduced_and_reshaped),
        Row("a number that is known beforehand", None, known_number),
        Row("a sum of gradients of parts", frozenset({ops.add}), sum_of_parts),
        Row("windows in a row each", frozenset({ops.reshape}), copied_windows),
        Row("x ** 2, x ** 0.5, x ** -1", frozenset({ops.power}), power_by_name),
        Row(
            "what NumPy lacks, or is better off with the parts of",
            None,
            functools.partial(in_parts, arrays),
        ),
    )


def same_dtype(y: Apply, known: Known) -> Any:
    """`x.astype(x.dtype)`"""
    x = y.inputs[0]
    return x if getattr(x, "dtype", None) == y.dtype else None


def without_axis(y: Apply, known: Known) -> Any:
    """`axis=None`, where that is what the op does anyway."""
    if y.params.get("axis", 0) is None and y.op.defaults.get("axis", 0) is None:
        return with_params(y, axis=None)
    return None


def counted_axes(y: Apply, known: Known) -> Any:
    """Axes as a sorted tuple, so that the same is computed once."""
    axis = y.params.get("axis")
    if axis is None:
        return None
    given = axis if isinstance(axis, tuple) else (axis,)
    count = len(y.inputs[0].shape)
    axes = tuple(sorted({int(i) % count for i in given if count}))
    if isinstance(axis, tuple) and exact(axes) == exact(axis):
        return None
    return with_params(y, axis=axes)


def reduced_and_reshaped(y: Apply, known: Known) -> Any:
    """`keepdims=True` as a reshape of what a reduction without it gives."""
    if "keepdims" not in y.params:
        return None
    plain = with_params(y, keepdims=None)
    if not y.params["keepdims"]:
        return plain
    shape = y.inputs[0].shape
    axes = y.params.get("axis", range(len(shape)))
    small = np.empty([n for i, n in enumerate(shape) if i not in axes], y.dtype)
    return apply(ops.reshape, (apply(y.op, y.inputs, plain.params, small),), {"shape": y.shape}, y)


def with_params(y: Apply, **changed: Any) -> Apply:
    """The same op with other parameters; those that are None are left out."""
    params = {**y.params, **changed}
    for name in changed:
        if params[name] is None:
            del params[name]
    return apply(y.op, y.inputs, params, y)


def copied_windows(y: Apply, known: Known) -> Any:
    """Windows, which a reshape has to copy, copied in their own shape: no index is divided."""
    x = y.inputs[0]
    if not is_view(x) or not shows_windows(x):
        return None
    return apply(ops.reshape, (apply(ops.add, (x, False), {}, x),), y.params, y)


def shows_windows(x: Any) -> bool:
    """Whether it is a view of windows."""
    while is_view(x):
        if x.op is ops.sliding_windows:
            return True
        x = x.inputs[0]
    return False


def power_by_name(y: Apply, known: Known) -> Any:
    """NumPy's function for a power, which is faster, and in which `**` itself results."""
    x, exponent = y.inputs
    form = getattr(x, "shape", None), getattr(x, "dtype", None)
    same_form = y.dtype.kind == "f" and form == (y.shape, y.dtype)
    if isinstance(exponent, Constant):
        exponent = exponent.data.item() if not exponent.shape else None
    if not same_form or not isinstance(exponent, int | float) or exponent not in POWERS:
        return None
    return apply(POWERS[exponent], (x,), {}, y)


def in_parts(arrays: Arrays, y: Apply, known: Known) -> Any:
    """The parts of an op that has a simpler form, or that NumPy does not have."""
    if y.op in SIMPLER:
        return parts_of(y, SIMPLER[y.op], arrays)
    if y.op in PRIMITIVE or numpy_name(y.op) is not None:
        return None
    return parts_of(y, y.op.forward, arrays)
