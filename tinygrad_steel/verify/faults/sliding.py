"""Windows that slide over pictures, recognised in a graph by their numbers: convolution, pooling.

However a forward is written, as one op, by places of its kernel, as a product of columns or by a
reshape: two values and a kernel whose numbers belong together are a convolution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.values import Value
from ..closeness import largest, matches
from ..traced_loss import Graph
from .question import CALL, ELEMENT, Question

STRIDES, POOLS = (1, 2, 3, 4), (2, 3, 4)  # that are looked for
NEAR, FEW = 80, 3  # steps that may lie within one layer, and results that are looked at
MOVES = (
    ops.getitem,
    ops.pad,
    ops.reshape,
    ops.transpose,
    ops.swapaxes,
    ops.expand_dims,
    ops.squeeze,
    ops.broadcast_to,
    ops.concatenate,
    ops.stack,
    ops.sliding_windows,
)
CUTS = (*MOVES, ops.max_pool, ops.avg_pool)  # that take windows
POOLING = (*CUTS, ops.mean, ops.sum, ops.max, ops.add, ops.maximum, ops.divide, ops.multiply)


class Side(NamedTuple):
    """Along one side of a picture: the size of a window, from one to the next, and how many places
    of padding come before the first.
    """

    size: int
    stride: int
    before: int


class Layer(NamedTuple):
    """A convolution, by `kernel`, or a pooling, of `x` to `y`; `kind`: of a pooling, how. `first`:
    whether the channels come before the places.
    """

    x: Value
    y: Value
    rows: Side
    columns: Side
    kernel: Value | None = None
    kind: str = ""
    first: bool = False

    def picture(self, array: Any) -> Any:
        """An array with its channels last."""
        return np.moveaxis(array, 1, 3) if self.first else array

    def back(self, array: Any) -> Any:
        """The same with its channels where the graph has them."""
        return np.moveaxis(array, 3, 1) if self.first else array

    def by_places(self, kernel: Any) -> Any:
        """A kernel as rows, columns, channels of `x` and of `y`."""
        return np.transpose(kernel, (2, 3, 1, 0)) if self.first else kernel

    def as_kernel(self, array: Any) -> Any:
        """The same as the graph has it."""
        return np.transpose(array, (3, 2, 0, 1)) if self.first else array


def places(layer: Layer) -> Iterator[tuple[int, int]]:
    """The places of a window."""
    return itertools.product(range(layer.rows.size), range(layer.columns.size))


def padded(x: Any, layer: Layer, shape: tuple[int, ...], fill: float = 0) -> Any:
    """A picture with all that windows reach, those of a result of this shape."""
    lengths = []
    for side, n, windows in zip((layer.rows, layer.columns), x.shape[1:3], shape[1:3]):
        reach = (windows - 1) * side.stride + side.size
        lengths.append((side.before, max(reach - n - side.before, 0)))
    return np.pad(x, ((0, 0), *lengths, (0, 0)), constant_values=fill)


def under(wide: Any, layer: Layer, shape: tuple[int, ...], place: tuple[int, int]) -> Any:
    """What lies under one place of all windows: a view."""
    ranges = [
        slice(i, i + (windows - 1) * side.stride + 1, side.stride)
        for i, side, windows in zip(place, (layer.rows, layer.columns), shape[1:3])
    ]
    return wide[:, ranges[0], ranges[1]]


def cut(wide: Any, layer: Layer, shape: tuple[int, ...]) -> Any:
    """The part of a padded picture that is the picture."""
    top, left = layer.rows.before, layer.columns.before
    return wide[:, top : top + shape[1], left : left + shape[2]]


def convolved(x: Any, kernel: Any, layer: Layer, shape: tuple[int, ...]) -> Any:
    """A convolution, place by place of its kernel."""
    wide = padded(x, layer, shape)
    return sum(under(wide, layer, shape, place) @ kernel[place] for place in places(layer))


def pooled(x: Any, layer: Layer, shape: tuple[int, ...]) -> Any:
    """The mean or the largest of each window."""
    if layer.kind == "max":
        wide = padded(x, layer, shape, -np.inf)
        return np.max([under(wide, layer, shape, place) for place in places(layer)], axis=0)
    wide = padded(x, layer, shape)
    return sum(under(wide, layer, shape, place) for place in places(layer)) / count(layer, x, shape)


def count(layer: Layer, x: Any, shape: tuple[int, ...]) -> Any:
    """Over how many elements each window of a pooling is a mean."""
    if layer.kind == "mean":
        ones = padded(np.ones((1, *x.shape[1:3], 1), x.dtype), layer, shape)
        return sum(under(ones, layer, shape, place) for place in places(layer))
    return layer.rows.size * layer.columns.size


# Which there are


def layers_of(question: Question) -> list[Layer]:
    """The convolutions and poolings of a graph, looked for once."""
    graph = question.graph
    if "sliding" not in graph.seen:
        graph.seen["sliding"] = []  # where the search ends here, it is not begun again
        pictures = [v for v in graph.forward if is_picture(v)]
        if pictures:
            found = [*convolutions(question, pictures), *poolings(question, pictures)]
            graph.seen["sliding"] = found
    layers: list[Layer] = graph.seen["sliding"]
    return layers


def is_picture(v: Value) -> bool:
    """Whether it has the shape of pictures, or of a kernel."""
    return len(v.shape) == 4 and v.dtype.kind == "f"


def convolutions(question: Question, pictures: list[Value]) -> Iterator[Layer]:
    """Each kernel with what it is applied to and what comes out, but for one number a channel."""
    graph = question.graph
    for kernel in (v for v in pictures if v.op is None and v in graph.wanted):
        for y, inside in results_of(graph, kernel):
            layers = [
                layer
                for x in sources(y, inside)
                for layer in itertools.islice(of_kernel(question, x, y, kernel), 1)
            ]
            yield from layers
            if layers:
                break


def of_kernel(question: Question, x: Value, y: Value, kernel: Value) -> Iterator[Layer]:
    """The convolutions of one value by a kernel that have another one as their result."""
    layers = fitting_sides(x, y, kernel)
    return (layer for layer in layers if is_convolution(question, layer))


def results_of(graph: Graph, kernel: Value) -> Iterator[tuple[Value, set[Value]]]:
    """The first pictures through which all goes that is made of a kernel, and what lies between."""
    inside, last, users, found = {kernel}, 0, last_users(graph), 0
    for v in graph.forward:
        if inside.isdisjoint(v.values()):
            if v is kernel:
                last = users.get(kernel, 0)
            continue
        at, is_last = graph.forward[v], graph.forward[v] >= last
        if is_last and is_picture(v) and v in graph.gradient_of:
            yield v, set(inside)
            found += 1
        if found == FEW or len(inside) > NEAR:
            return
        inside.add(v)
        last = max(last, users.get(v, at))


def last_users(graph: Graph) -> dict[Value, int]:
    """Where each value is used last."""
    if "last users" not in graph.seen:
        graph.seen["last users"] = {x: at for y, at in graph.forward.items() for x in y.values()}
    users: dict[Value, int] = graph.seen["last users"]
    return users


def sources(y: Value, inside: set[Value]) -> Iterator[Value]:
    """The pictures that go into some steps, as they are and before they are cut into windows, the
    farthest first.
    """
    found: dict[Value, None] = {}
    todo = [x for v in (*inside, y) for x in v.values() if x not in inside]
    for x in todo:
        if is_picture(x):
            found[x] = None
        if x.op in MOVES and len(todo) < NEAR:
            todo += (i for i in x.values() if i not in todo)
    yield from [*found][::-1]


def fitting_sides(x: Value, y: Value, kernel: Value) -> Iterator[Layer]:
    """The convolutions of which these shapes may be: channels last, and channels first."""
    for first in (False, True):
        layer = Layer(x, y, Side(0, 0, 0), Side(0, 0, 0), kernel, first=first)
        _, h, w, c = moved(x.shape, first)
        _, oh, ow, m = moved(y.shape, first)
        kh, kw, a, b = np.take(kernel.shape, (2, 3, 1, 0)) if first else kernel.shape
        if (a, b) != (c, m) or x.shape[0] != y.shape[0]:
            continue
        for rows, columns in itertools.product(sides(h, oh, kh), sides(w, ow, kw)):
            yield layer._replace(rows=rows, columns=columns)


def moved(shape: tuple[int, ...], first: bool) -> tuple[int, ...]:
    """A shape with its channels last."""
    return (shape[0], *shape[2:], shape[1]) if first else shape


def sides(n: int, windows: int, size: int) -> list[Side]:
    """How windows of a size may lie along a side, the usual first: as much padding before as
    behind, or none.
    """
    found = []
    for stride in STRIDES:
        for before in range(size):
            after = (windows - 1) * stride + size - n - before
            if -stride < after < size and (windows > 1 or stride == 1):
                unusual = abs(after - before) if before or after > 0 else 0
                found.append((unusual, stride, Side(size, stride, before)))
    return [side for *_, side in sorted(found)]


def is_convolution(question: Question, layer: Layer) -> bool:
    """Whether the numbers are those of a convolution, but for one number a channel: first in two
    places of one picture, which tells most that are not, and then in all.
    """
    question.budget.spend(CALL)
    assert layer.kernel is not None
    x, y = (layer.picture(question.value(v)) for v in (layer.x, layer.y))
    kernel = layer.by_places(question.value(layer.kernel))
    if y.shape[0] > 1 or min(y.shape[1:3]) > 1:
        found = y[:1] - convolved(x[:1], kernel, layer, (1, *y.shape[1:]))
        if not is_one_number(found, y):
            return False
    question.budget.spend(x.size * kernel.size)
    return is_one_number(y - convolved(x, kernel, layer, y.shape), y)


def is_one_number(rest: Any, y: Any) -> bool:
    """Whether an array is the same everywhere, channel by channel."""
    return matches(rest, np.broadcast_to(rest[:1, :1, :1], rest.shape), size=largest(y))


def poolings(question: Question, pictures: list[Value]) -> Iterator[Layer]:
    """Each value with those that are the means, or the largest, of its windows."""
    for y in pictures:
        layers = (
            layer
            for x in pooled_values(question.graph, y)
            for layer in of_windows(x, y)
            if is_pooling(question, layer)
        )
        yield from itertools.islice(layers, 1)


def pooled_values(graph: Graph, y: Value) -> list[Value]:
    """The pictures of which a value may be a pooling: those that are cut into windows for it."""
    todo, found = [y], dict[Value, None]()
    for v in todo if y in graph.gradient_of else ():
        if v.op not in POOLING or len(todo) > NEAR:
            continue
        new = [x for x in v.values() if x not in todo]
        todo += new
        if v.op in CUTS:
            cuts = (x for x in v.values() if is_picture(x) and x in graph.gradient_of)
            found.update(dict.fromkeys(cuts))
    return [x for x in found if math.prod(x.shape) >= math.prod(y.shape)]


def of_windows(x: Value, y: Value) -> Iterator[Layer]:
    """The poolings of which these shapes may be."""
    for first in (False, True):
        (n, h, w, c), (m, oh, ow, d) = moved(x.shape, first), moved(y.shape, first)
        if (n, c) != (m, d) or oh > h or ow > w or 1 in (h, w):
            continue
        for size in POOLS:
            for rows, columns in itertools.product(sides(h, oh, size), sides(w, ow, size)):
                if rows == columns or rows._replace(before=0) == columns._replace(before=0):
                    for kind in ("max", "mean", "mean of all"):
                        yield Layer(x, y, rows, columns, kind=kind, first=first)


def is_pooling(question: Question, layer: Layer) -> bool:
    """Whether the numbers are those of a pooling: first of one window, and then of all."""
    x, y = (layer.picture(question.value(v)) for v in (layer.x, layer.y))
    size = largest(y)
    question.budget.spend(CALL)
    if not matches(one_window(layer, x, y.shape), middle(y), size=size):
        return False
    question.budget.spend(ELEMENT * x.size * layer.rows.size * layer.columns.size)
    return matches(pooled(x, layer, y.shape), y, size=size)


def middle(y: Any) -> Any:
    """The element of the first picture that is in its middle, of all channels."""
    return y[0, y.shape[1] // 2, y.shape[2] // 2]


def one_window(layer: Layer, x: Any, shape: tuple[int, ...]) -> Any:
    """What a pooling makes of the window in the middle of the first picture."""
    found = x[0]
    for axis, side in enumerate((layer.rows, layer.columns)):
        start = shape[1 + axis] // 2 * side.stride - side.before
        there = slice(max(start, 0), max(start + side.size, 0))
        found = found[there] if axis == 0 else found[:, there]
    if layer.kind == "max":
        return found.max(axis=(0, 1), initial=-np.inf)
    n = layer.rows.size * layer.columns.size
    if layer.kind == "mean":
        n = max(1, found.shape[0] * found.shape[1])
    return found.sum(axis=(0, 1)) / n
