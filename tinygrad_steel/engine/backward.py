"""The walk back through the graph: its order, the gradients pulled along it, un-broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, NoReturn

import numpy as np

from ..ops.fast import Axis, is_numpy, ndarray, stretch, total
from ..ops.op import Op, describe, is_tensor
from .checks import checked_array
from .history import history
from .messages import describe_call, described_result, explained
from .recording import RECORDING, Watcher

Pulled = list[tuple[Any, Any]]  # Tensors, youngest first, each with its whole gradient


def pull_arrays(root: Any, g: Any) -> Pulled:
    """Pull the gradient `g` of `root` back by vjps on arrays: the gradients of the leaves.

    A gradient may be smaller than its Tensor and then stands for its broadcast: the mean hands a
    single number on, not a full array of it.
    """
    return walk(root, g, vjp_on_arrays, RECORDING.get().watchers)


def pull_tensors(root: Any, g: Any) -> Pulled:
    """Pull a Tensor `g` back by the same vjps on Tensors: all gradients, with a history."""
    collector = Collector()
    walk(root, g, vjp_on_tensors, (*RECORDING.get().watchers, collector))
    return collector.pulled


class Collector(Watcher):
    """Keeps every whole gradient."""

    def __init__(self) -> None:
        self.pulled: Pulled = []

    def gradient(self, y: Any, g: Any) -> Any:
        """Keep it as the watchers before have left it."""
        self.pulled.append((y, g))
        return g


def seed(y: Any, gradient: Any) -> Any:
    """The gradient to start from at `y`: the one given, checked, or 1 for a single number."""
    dtype = y._array.dtype
    if not y._requires_grad or dtype.kind != "f":
        refuse_unrecorded(y)
        refuse_constant(y)
        raise RuntimeError(
            f"{described_result(y)}: no gradient flows here, since nothing it comes from has "
            f"requires_grad=True; make the parameters with Tensor(..., requires_grad=True), "
            f"outside no_grad()"
        )
    if gradient is None:
        return one(y)
    if not is_tensor(gradient):
        gradient = checked_array(gradient)
    if gradient.shape != y.shape:
        raise ValueError(f"the gradient of {describe(y)} has that shape too, not {gradient.shape}")
    return gradient if gradient.dtype == dtype else gradient.astype(dtype)


def one(y: Any) -> Any:
    """The gradient of a single number with respect to itself, in its shape and dtype."""
    dtype = y._array.dtype
    if not y._shape:
        # A NumPy scalar: as light as a Python float, with the shape and dtype that rules ask for.
        return dtype.type(1)
    if y.size != 1:
        raise ValueError(
            f"{described_result(y)} is not a single number: take its mean() or sum(), or give the "
            f"gradient of each element, as in backward(gradient) or grad(y, xs, gradient)"
        )
    return np.ones(y.shape, dtype)


def refuse_unrecorded(y: Any) -> None:
    """RuntimeError where a result has no history because it was computed inside no_grad()."""
    if getattr(y, "_unrecorded", False):
        raise RuntimeError(
            f"{describe(y)}: no gradient flows here, since it was computed inside no_grad(), "
            f"where nothing is recorded; compute it outside"
        )


def refuse_constant(y: Any) -> None:
    """RuntimeError where a parameter is behind a result, and a constant of it in between."""
    for t in sorted(history([y]), key=lambda t: t._age, reverse=True):
        wanted = [x for x in t._inputs if is_tensor(x) and x._requires_grad]
        if wanted and not t._requires_grad:
            raise RuntimeError(
                f"{described_result(y)}: no gradient flows here, since what {t._op.name} makes of "
                f"{described_result(wanted[0])}, requires_grad=True, is a constant to every gradient"
            )


def walk(  # noqa: C901
    root: Any, g: Any, run: Callable[..., Any], watchers: tuple[Watcher, ...]
) -> Pulled:
    """Go back through the graph; `run(vjp, g, y, x)` is what `y` sends to `x`.

    Gives the gradients of the leaves. The youngest Tensor comes first, always. Inputs exist before
    their outputs, so whoever adds to a Tensor's gradient is younger than it and has had its turn:
    age *is* a topological order. Going back recursively is wrong: with a = 1; b = a + a; c = b + b
    it leaves b for a as soon as half of b's gradient has arrived. (It also runs out of stack on
    long chains.)
    """
    # Long, as is record_op: it goes along every edge, and calls cost more than branches.
    leaves, kind = [], root.__class__
    pending = {root._age: (root, g)}
    ages = [-root._age]  # a heap, so that the youngest is the first
    sums: set[int] = set()  # of what the gradient is an array that nobody else has
    quick = run is vjp_on_arrays and not watchers
    while ages:
        born = -heappop(ages)
        y, g = pending.pop(born)
        if watchers:
            g = announced(watchers, y, g)
        op = y._op
        if op is None:
            leaves.append((y, g))
            continue
        if g.shape != y._shape and not op.takes_small:
            g = stretched(g, y)
        usual = quick and op.usual and not y._params
        for x, vjp in zip(y._inputs, op.vjps if op.joint is None else joint_vjps(run, g, y)):
            if x.__class__ is not kind and not is_tensor(x):  # a plain number
                continue
            age = x._age
            if age > born:
                raise changed_since(x, op)
            if not x._requires_grad:
                continue
            if not usual and quick and op.add_to is not None and is_sum(sums, pending, x):
                op.add_to(pending[age][1], g, *y._arrays[1:], **y._params)
                continue
            try:
                if usual:  # vjp_on_arrays, without the price of the call
                    gx = vjp(g, y._array, *y._arrays)
                    if gx.shape != x._shape or gx.dtype is not x._array.dtype:
                        gx = fitted(gx, x)
                else:
                    gx = run(vjp, g, y, x)
                    if op.add_to is not None and is_own(gx):
                        sums.add(age)  # its rule has just made it
            except Exception as error:  # raised again with more words
                raise_explained(error, y, x, vjp)
            if watchers:
                announce_sent(watchers, y, x, gx)
            if age in pending:
                gx = pending[age][1] + gx
            elif not quick or x._op is not None:
                heappush(ages, -age)
            elif gx is g:  # a leaf, which keeps it, and another may be handed the same
                gx = g.copy()
            pending[age] = x, gx
    leaves.extend(pending.values())  # where quick goes no further
    return leaves


def is_own(g: Any) -> bool:
    """Whether it is an array with memory of its own, which stays one: sums of single numbers do not."""
    return g.__class__ is ndarray and g.base is None and g.ndim > 0


def is_sum(sums: set[int], pending: dict[int, tuple[Any, Any]], x: Any) -> bool:
    """Whether parts can be added in place to the gradient of `x`; an array of others is copied."""
    if x._age in sums:
        return True
    if x._age not in pending:
        return False
    g = pending[x._age][1]
    if g.__class__ is not ndarray or g.shape != x._shape or not g.ndim:
        return False
    pending[x._age] = x, g.copy()
    sums.add(x._age)
    return True


def announced(watchers: tuple[Watcher, ...], y: Any, g: Any) -> Any:
    """The whole gradient of `y`, as those who are told of it leave it."""
    for watcher in watchers:
        g = watcher.gradient(y, g)
    return g


def announce_sent(watchers: tuple[Watcher, ...], y: Any, x: Any, g: Any) -> None:
    """Tell what `y` sends to `x`."""
    for watcher in watchers:
        watcher.sent(y, x, g)


def vjp_on_arrays(vjp: Callable[..., Any], g: Any, y: Any, x: Any) -> Any:
    """What a vjp of `y` gives for its input `x`, on arrays; if smaller, for its broadcast."""
    op, params = y._op, y._params
    if op.joint is not None:
        gx = vjp()
    elif params:
        gx = vjp(g, y._array, *y._arrays, **params)
    else:
        gx = vjp(g, y._array, *y._arrays)
    if op.foreign:
        gx = own_copy(gx)
    elif gx is g and x._op is None:
        gx = g.copy()  # a leaf keeps it, and another may be handed the same
    return fitted(gx, x)


def fitted(gx: Any, x: Any) -> Any:
    """What a vjp gave, as the gradient of its input `x`: in its dtype, and no larger than it."""
    shape = gx.shape
    if shape != x._shape and shape:
        gx = fit(gx, x._shape)
    return gx if gx.dtype is x._array.dtype else cast(gx, x)


def vjp_on_tensors(vjp: Callable[..., Any], g: Any, y: Any, x: Any) -> Any:
    """The same on Tensors, in full shape."""
    gx = vjp(g, y, *y._inputs, **y._params) if y._op.joint is None else vjp()
    if gx.shape != x._shape:
        gx = fit(gx, x._shape)
    if gx.shape != x._shape:
        gx = stretch(gx, x._shape)
    return cast(gx, x)


def joint_vjps(run: Callable[..., Any], g: Any, y: Any) -> list[Callable[..., Any]]:
    """What the one rule for all inputs gives, each part as a vjp that hands it out.

    These take no arguments: to hand all inputs to each of many would take the square of their
    number.
    """
    op = y._op
    result, inputs = (y, y._inputs) if run is vjp_on_tensors else (y._array, y._arrays)
    try:
        found = op.joint(g, result, *inputs, **y._params)
        if len(found) != len(inputs) - op.keeps:
            raise ValueError(f"it returned {len(found)} gradients for {len(inputs)} inputs")
    except Exception as error:
        where = f"the vjp of {describe_call(op, y._inputs, y._params)}"
        raise explained(error, where, op) from error
    return [lambda part=part: part for part in found]


def changed_since(x: Any, op: Op) -> RuntimeError:
    """The error for an input with new data, which makes a leaf young again."""
    return RuntimeError(
        f"{describe(x)} has changed since {op.name} used it, so that its gradient would be wrong: "
        f"compute the loss again after changing data, or change data after backward()"
    )


def raise_explained(error: Exception, y: Any, x: Any, vjp: Any) -> NoReturn:
    """Say which vjp it was that failed, or that there is none."""
    op = y._op
    if vjp is None:
        raise RuntimeError(
            f"{op.name} has no vjp for {describe(x)}: give one, or detach() what wants no gradient"
        ) from None
    where = f"the vjp of {describe_call(op, y._inputs, y._params)} for {describe(x)}"
    raise explained(error, where, op) from error


def own_copy(g: Any) -> Any:
    """A copy of what a foreign rule returned, as it may be its argument, or a buffer used again."""
    if is_tensor(g):
        raise TypeError(
            "it returned a Tensor where it was given arrays: a rule computes with what it is given"
        )
    return g.copy() if hasattr(g, "copy") else g


def own(g: Any, array: Any) -> Any:
    """`g` as the gradient of a leaf with this array: in its shape, and no view of another array."""
    if g.shape != array.shape:
        g = stretch(g, array.shape)
    if g.__class__ is ndarray is array.__class__:
        return g if g.base is None else g.copy()
    if is_numpy(g) and not is_numpy(array):
        return np.zeros_like(array) + g  # lazy, or on a device, as the array is
    return np.array(g) if is_numpy(g) else g


def cast(g: Any, x: Any) -> Any:
    """`g` in the dtype of the input it belongs to."""
    if g.dtype == x.dtype:
        return g
    if x.dtype.kind != "f":
        raise TypeError(f"{x.dtype} data cannot have a gradient: requires_grad is for floats")
    return g.astype(x.dtype)


def stretched(g: Any, y: Any) -> Any:
    """A small gradient in the shape of `y`; as it is where the vjps of `y` sum over nothing."""
    if not y._op.elementwise:
        return stretch(g, y._shape)
    for x in y._arrays:
        if getattr(x, "shape", ()) != y._shape:
            return stretch(g, y._shape)
    return g


def fit(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum what a vjp returned over the copies that NumPy's broadcasting had made of its input.

    Where `g` is the smaller of the two, it stays and stands for its broadcast.
    """
    lead, ones = summed_axes(g.shape, shape)
    if lead is not None:
        g = total(g, lead)
    if ones is not None:
        g = total(g, ones, keepdims=True)
    return g


@lru_cache(maxsize=4096)
def summed_axes(big: tuple[int, ...], small: tuple[int, ...]) -> tuple[Axis, Axis]:
    """The axes of `big` that `small` lacks, and of the rest those of length 1 in `small` only."""
    if len(big) < len(small):
        stretches = all(m in (1, n) for m, n in zip(big[::-1], small[::-1]))
        if stretches:
            return None, None
        raise ValueError(f"it returned shape {big}, the input has {small}")
    lead = tuple(range(len(big) - len(small)))
    rest = big[len(lead) :]
    if any(m not in (n, 1) and n != 1 for m, n in zip(rest, small)):
        raise ValueError(f"it returned shape {big}, the input has {small}")
    ones = tuple(i for i, (m, n) in enumerate(zip(rest, small)) if n == 1 != m)
    return axis_of(lead), axis_of(ones)


def axis_of(axes: tuple[int, ...]) -> Axis:
    """These axes as NumPy's reductions take them: a single one as a number, None for none."""
    return axes[0] if len(axes) == 1 else axes or None
