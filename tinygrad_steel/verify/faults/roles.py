"""What the sizes of a graph are called: by the role that each has in it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ... import ops
from ...program.values import VALUES, Apply, Value, behind
from ..traced_loss import Graph

OVER_CLASSES = (ops.softmax, ops.log_softmax, ops.softmax_cross_entropy, ops.logsumexp)


def counts_of(graph: Graph) -> dict[float, str]:
    """What people divide by: the number of samples, which comes first, of classes, elements."""
    axis = batch_axis(graph)
    across = -1 if axis == 0 else -2
    counts: dict[float, str] = {batch_size(graph, axis): ""}
    classes = {*numbers_of_classes(graph, across)}
    for y in graph.forward:
        if is_reduction(y):
            x = y.inputs[0]
            if len(x.shape) > 1:
                n = x.shape[across]
                lines = "columns" if axis == 0 else "rows"
                counts.setdefault(n, f"the number of {'classes' if n in classes else lines} {n}")
            size = math.prod(x.shape)
            counts.setdefault(size, f"the number of elements {size}")
    rows = next(iter(counts))
    return {**counts, rows: f"the batch size {rows:g}"}


def batch_axis(graph: Graph) -> int:
    """Along which axis of a matrix the samples are: the first in x @ W, the last in W @ x.

    Where no product tells it: the first, unless the data agree on the last one alone.
    """
    for y in graph.forward:
        if y.op is ops.matmul and all(
            isinstance(i, VALUES) and len(i.shape) == 2 for i in y.inputs
        ):
            learned = [any(v in graph.wanted for v in graph.behind(i)) for i in y.inputs]
            if learned[0] != learned[1]:
                return -1 if learned[0] else 0
    shapes = [x.shape for x in graph.leaves if len(x.shape) > 1 and x not in graph.wanted]
    firsts, lasts = {shape[0] for shape in shapes}, {shape[-1] for shape in shapes}
    return -1 if len(firsts) > 1 and len(lasts) == 1 else 0


def batch_size(graph: Graph, axis: int) -> int:
    """How many samples there are: what the loss adds up, or averages, last."""
    todo = [[*graph.forward][-1]]
    seen = {*todo}
    for y in todo:
        for x in y.values():
            if x.shape and is_of_data(graph, x):
                return x.shape[0 if len(x.shape) == 1 else axis]
            if not x.shape and x not in seen:
                seen.add(x)
                todo.append(x)
    return next((x.shape[axis] for x in graph.leaves if x.shape and x not in graph.wanted), 0)


def is_of_data(graph: Graph, x: Value) -> bool:
    """Whether an array is computed from one that is no parameter, unlike a weight decay."""
    return any(v.op is None and v.shape and v not in graph.wanted for v in graph.behind(x))


def is_reduction(y: Value) -> bool:
    """Whether it is a mean, a sum, or one number for each row."""
    op = y.op
    if op is None or op is ops.matmul:
        return False
    if op in (ops.mean, ops.sum):
        return True
    x = y.inputs[0]
    return isinstance(x, VALUES) and y.shape == x.shape[:-1]


def numbers_of_classes(graph: Graph, across: int) -> Iterator[int]:
    """The lengths of axes along which there are shares, or labels of 0 and 1; where a product
    follows, these are weights of an attention, a dropout's mask, words.
    """
    before = behind_products(graph)
    for y in graph.forward:
        if y in before or not has_shares(graph, y):
            continue
        x = y.inputs[0] if y.op else y
        if len(x.shape) > 1:
            yield x.shape[across]


def behind_products(graph: Graph) -> dict[Value, None]:
    """All that goes into a product of matrices later on."""
    return behind([x for y in graph.forward if y.op is ops.matmul for x in y.values()])


def has_shares(graph: Graph, y: Value) -> bool:
    """Whether it is a softmax, however it is written, or labels of 0 and 1."""
    if y.op in OVER_CLASSES:
        return True
    if y.op is ops.divide:
        e, total = y.inputs
        return isinstance(total, Apply) and total.op is ops.sum and total.inputs[0] is e
    if y.op is not None or y in graph.wanted or len(y.shape) != 2:
        return False
    numbers = graph.numbers[y]
    return bool(np.all((numbers == 0) | (numbers == 1)))
