"""The walk back through the graph: its order, the gradients pulled along it, un-broadcasting."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from ..ops.fast import Axis, stretch, total
from ..ops.op import describe
from .messages import describe_call, explained
from .recording import RECORDING


def pull(root: Any, g: Any, graph: bool = False) -> list[tuple[Any, Any]]:
    """Pull the gradient `g` of `root` back through the graph: Tensors with their whole gradients, youngest first.

    `graph=False` runs the vjps on arrays and gives the leaves alone. A gradient may be smaller than its Tensor and then
    stands for its broadcast (the mean hands a single number on, not a full array of it). `graph=True` runs the same
    vjps on Tensors, so that the gradients have a history of their own, and gives every Tensor, in full shape.

    The youngest Tensor comes first, always. Inputs exist before their outputs, so whoever adds to a Tensor's gradient
    is younger than it and has had its turn: age *is* a topological order. Going back recursively is wrong: with
    a = 1; b = a + a; c = b + b it leaves b for a as soon as half of b's gradient has arrived. (It also runs out of
    stack on long chains.)
    """
    pulled = []
    pending = {root._age: (root, g)}
    ages = [root._age]  # in order, so that the youngest is the last
    watchers, kind = RECORDING.get().watchers, root.__class__
    while ages:
        y, g = pending.pop(ages.pop())
        for watcher in watchers:
            g = watcher.gradient(y, g)
        op = y._op
        if graph or op is None:
            pulled.append((y, g))
            if op is None:
                continue
        params = y._params
        result, inputs = (y, y._inputs) if graph else (y._array, y._arrays)
        if g.shape != y._shape and not (op.rowwise or (op.elementwise and (len(inputs) == 1 or nothing_broadcast(y)))):
            g = stretch(g, y._shape)
        plain = op.plain
        for x, vjp in zip(y._inputs, op.vjps if plain else rules_of(y, g, result, inputs)):
            age = x._age if x.__class__ is kind else getattr(x, "_age", None)
            if age is None:  # a plain number
                continue
            if age > y._age:  # new data makes a leaf young again
                raise RuntimeError(
                    f"{describe(x)} has changed since {op.name} used it, so that its gradient would be wrong: compute "
                    f"the loss again after changing data, or change data after backward()"
                )
            if not x._requires_grad:
                continue
            try:
                if plain:
                    gx = vjp(g, result, *inputs, **params) if params else vjp(g, result, *inputs)
                else:
                    gx = guarded(op, vjp, g, result, inputs, params, graph)
                if gx.shape != x._shape and (graph or gx.shape):
                    gx = fit(gx, x._shape, graph)
                if gx.dtype is not x._array.dtype and gx.dtype != x.dtype:
                    gx = cast(gx, x)
            except Exception as error:
                if vjp is None:
                    raise RuntimeError(
                        f"{op.name} has no vjp for {describe(x)}: give one, or detach() what wants no gradient"
                    ) from None
                where = f"the vjp of {describe_call(op, y._inputs, y._params)} for {describe(x)}"
                raise explained(error, where, op) from error
            for watcher in watchers:
                watcher.sent(y, x, gx)
            if gx is g and x._op is None and not graph:
                gx = g.copy()  # a leaf keeps it, and another may be handed the same
            if age in pending:
                pending[age] = x, pending[age][1] + gx
            else:
                pending[age] = x, gx
                insort(ages, age)
    return pulled


def history(roots: Iterable[Any]) -> Iterator[Any]:
    """These Tensors and all from which they were computed, each once, in no order."""
    found = {id(t): t for t in roots}
    todo = [*found.values()]
    while todo:
        t = todo.pop()
        yield t
        for x in t._inputs:
            if hasattr(x, "_age") and id(x) not in found:
                found[id(x)] = x
                todo.append(x)


def rules_of(y: Any, g: Any, result: Any, inputs: tuple) -> Any:
    """The vjps of the op of `y`; where it has a joint one, what that gives, input by input."""
    op = y._op
    if op.joint is None:
        return op.vjps
    try:
        found = op.joint(g, result, *inputs, **y._params)
        if len(found) != len(inputs) - op.keeps:
            raise ValueError(f"it returned {len(found)} gradients for {len(inputs)} inputs")
        return found
    except Exception as error:
        where = f"the vjp of {describe_call(op, y._inputs, y._params)}"
        raise explained(error, where, op) from error


def guarded(op: Any, vjp: Any, g: Any, result: Any, inputs: tuple, params: dict[str, Any], graph: bool) -> Any:
    """What one of `rules_of` gives; of a foreign rule a copy, as it may be its argument, or a buffer used again."""
    gx = vjp if op.joint is not None else vjp(g, result, *inputs, **params)
    if graph or not op.foreign:
        return gx
    if hasattr(gx, "record_op"):
        raise TypeError("it returned a Tensor where it was given arrays: a rule computes with what it is given")
    return gx.copy() if hasattr(gx, "copy") else gx


def cast(g: Any, x: Any) -> Any:
    """`g` in the dtype of the input it belongs to."""
    if x.dtype.kind != "f":
        raise TypeError(f"{x.dtype} data cannot have a gradient: requires_grad is for floats")
    return g.astype(x.dtype)


def nothing_broadcast(y: Any) -> bool:
    """Whether all inputs have the shape of the result, so that a small gradient may pass as it is."""
    shape = y._shape
    return all(np.shape(x) == shape for x in y._arrays)


def fit(g: Any, shape: tuple[int, ...], graph: bool = False) -> Any:
    """Bring what a vjp returned to the shape of its input.

    Where NumPy had broadcast the input, its gradient is the sum over the copies; where `g` is the smaller of the two,
    it stands for its broadcast.
    """
    lead, ones = summed_axes(g.shape, shape)
    if lead is not None:
        g = total(g, lead)
    if ones is not None:
        g = total(g, ones, keepdims=True)
    if graph and g.shape != shape:
        g = stretch(g, shape)
    return g


@lru_cache(maxsize=4096)
def summed_axes(big: tuple[int, ...], small: tuple[int, ...]) -> tuple[Axis, Axis]:
    """The axes of `big` that `small` lacks, and those of the rest that have length 1 in `small` only; None for none."""
    lead = tuple(range(len(big) - len(small)))
    rest = big[len(lead) :]
    if any(m not in (n, 1) and n != 1 for m, n in zip(rest[::-1], small[::-1])):
        raise ValueError(f"it returned shape {big}, the input has {small}")
    ones = tuple(i for i, (m, n) in enumerate(zip(rest, small)) if n == 1 != m) if len(big) >= len(small) else ()
    return tuple(axes[0] if len(axes) == 1 else axes or None for axes in (lead, ones))  # type: ignore[return-value]
