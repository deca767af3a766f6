"""Mistakes with axes and transposes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.values import Apply, Value, compute
from ..codes import Code
from .products import product_of_stacks
from .question import Mistake, Step, fitting, handed_on

SOFTMAX = (ops.softmax, ops.log_softmax)


def sum_over_others(step: Step) -> Iterator[Mistake]:
    """A sum over the axes along which `x` was broadcast, left out or taken along others."""
    x, y = step.x, step.y
    *_, value = handed_on(step.g)
    if y.shape == x.shape or value.op is not ops.sum:
        return
    axis = value.params.get("axis")
    while value.op is ops.sum:
        value = value.inputs[0]
    full: np.ndarray = step.question.value(value)
    text = step.question.graph.text(x)
    was = f"axis {axis}, along which {text} {x.shape} was broadcast to {y.shape}"
    yield Mistake(step.g, full, f"not summed over {was}", "broadcast-not-summed")
    for count in range(1, full.ndim + 1):
        for chosen in itertools.combinations(range(full.ndim), count):
            becomes = partial(np.sum, full, axis=chosen)
            words = f"summed over {axes_in_words(chosen)} instead of {was}"
            yield Mistake(step.g, becomes, words, "wrong-axis")


def axes_in_words(axes: tuple[int, ...]) -> str:
    """One axis, or several."""
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"


def other_product(step: Step) -> Iterator[Mistake]:
    """A product with the wrong transposes, or in the wrong order."""
    head = product_of_stacks(step)
    if head is None:
        return
    right = head.right
    made = Apply(ops.matmul, (), {}, step.g.shape, step.g.dtype)
    for pair in itertools.product(head.others, head.gradients):
        for (b, b_text), (c, c_text) in (pair, pair[::-1]):
            product = f"{b_text} @ {c_text}"
            if b.shape[-1] == c.shape[-2] and product != right:
                becomes = partial(step.question.apply, made, [b, c])
                yield Mistake(step.g, becomes, f"{product} instead of {right}", "transposed")


def other_axis(step: Step, f: Value) -> Iterator[Mistake]:
    """A value computed along another axis."""
    question = step.question
    if not isinstance(f, Apply) or f in question.graph.random:
        return
    op = f.op
    axis = axis_of(f)
    if not isinstance(axis, int):
        return
    inputs: list[Any] = [question.value(x) for x in f.inputs]
    spreads = op is ops.expand_dims
    code: Code = "softmax-wrong-axis" if op in SOFTMAX else "wrong-axis"
    for other in range(np.ndim(inputs[0]) + spreads):
        words = f"{op.name} along axis {other} instead of axis {axis}"
        if spreads:
            words = f"{question.graph.text(f.inputs[0], 1)} is spread along the wrong axis"
        moved = Apply(op, (), {**f.params, "axis": other}, f.shape, f.dtype)
        yield Mistake(f, partial(compute, moved, inputs), words, code)
    if op in SOFTMAX:
        over_all = Apply(op, (), {**f.params, "axis": None}, f.shape, f.dtype)
        words = f"{op.name} over all elements instead of axis {axis}"
        yield Mistake(f, partial(compute, over_all, inputs), words, code)


def all_axes(step: Step) -> Iterator[Mistake]:
    """All that is computed along one axis in this step, along the other one."""
    values = [*(v for v in step.used if v not in step.inner), *step.inner]
    with_axis = [v for v in values if isinstance(axis_of(v), int)]
    if len(with_axis) < 2 or any(len(v.inputs[0].shape) != 2 for v in with_axis):
        return
    found: dict[Value, Any] = {}
    for v in values:
        if v in with_axis or any(i in found for i in v.inputs):
            found[v] = fitting(partial(along_the_other, step, v, found))
            if found[v] is None:
                return
    names = dict.fromkeys(v.op.name for v in with_axis if v.op)
    words = f"{' and '.join(names)} along axis 0 instead of axis -1"
    is_softmax = any(v.op in SOFTMAX for v in with_axis)
    if step.g in found:
        code: Code = "softmax-wrong-axis" if is_softmax else "wrong-axis"
        yield Mistake(step.g, found[step.g], words, code)


def axis_of(v: Value) -> Any:
    """Along which axis a value is computed; None where it has none."""
    return v.params.get("axis", v.op.defaults.get("axis")) if v.op else None


def along_the_other(step: Step, v: Value, found: dict[Value, Any]) -> Any:
    """A value of a matrix along the other axis, if it has one, and with what has been `found`."""
    axis = axis_of(v)
    if not isinstance(axis, int) or v.op is None or v in step.question.graph.random:
        return step.question.compute(v, found)
    params = {**v.params, "axis": (axis + 1) % 2}
    moved = Apply(v.op, (), params, v.shape, v.dtype)
    return compute(moved, [step.question.value(i, found) for i in v.inputs])
