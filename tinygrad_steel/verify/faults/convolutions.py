"""Mistakes in a convolution: its kernel, its padding, its stride, and what overlaps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..codes import Code
from .mixups import lookalikes
from .question import ELEMENT, Gradient, Mistake, fitting
from .sliding import Layer, Side, cut, layers_of, padded, places, under


class Wrong(NamedTuple):
    """What people compute in place of a gradient, how to say so, and the code of that."""

    make: Any
    words: str
    code: Code


class Case(NamedTuple):
    """A convolution with its numbers, channels last: the picture, its kernel, and the gradient that
    came; `text`: what the kernel is called.
    """

    layer: Layer
    x: Any
    kernel: Any
    g: Any
    text: str

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the result."""
        shape: tuple[int, ...] = self.g.shape
        return shape


def of_input(gradient: Gradient) -> Iterator[Mistake]:
    """What people make of the gradient of the picture."""
    for case in cases(gradient):
        if case.layer.x is gradient.x:
            yield from mistakes(gradient, case.layer.back(input_gradient(case)), wrong_inputs(case))


def of_kernel(gradient: Gradient) -> Iterator[Mistake]:
    """What people make of the gradient of the kernel."""
    for case in cases(gradient):
        if case.layer.kernel is gradient.x:
            right = case.layer.as_kernel(kernel_gradient(case))
            wrong = itertools.chain(wrong_kernels(case), other_arrays(gradient, case))
            yield from mistakes(gradient, right, wrong)


def cases(gradient: Gradient) -> Iterator[Case]:
    """The convolutions in which a value has a part."""
    question, graph = gradient.question, gradient.question.graph
    if len(gradient.x.shape) != 4:
        return
    for layer in layers_of(question):
        if layer.kernel is not None and gradient.x in (layer.x, layer.kernel):
            g = layer.picture(question.value(graph.gradient_of[layer.y]))
            kernel = layer.by_places(question.value(layer.kernel))
            x = layer.picture(question.value(layer.x))
            yield Case(layer, x, kernel, g, graph.text(layer.kernel))


def mistakes(gradient: Gradient, right: Any, wrong: Iterator[Wrong]) -> Iterator[Mistake]:
    """Each of these, with what comes to the gradient on other ways."""
    question = gradient.question
    rest = question.value(gradient.g) - right
    for make, words, code in wrong:
        question.budget.spend(ELEMENT * np.size(right))
        found = fitting(make)
        if found is not None:
            whole = found + rest if np.shape(found) == rest.shape else found
            yield Mistake(gradient.g, whole, words, code)


# The picture


def input_gradient(case: Case, kernel: Any = None, assign: bool = False) -> Any:
    """The gradient of a picture, place by place of the kernel, which may be another one."""
    return cut(uncut(case, kernel, assign), case.layer, case.x.shape)


def uncut(case: Case, kernel: Any = None, assign: bool = False) -> Any:
    """The same with its padding."""
    kernel = case.kernel if kernel is None else kernel
    wide = np.zeros_like(padded(case.x, case.layer, case.shape))
    for place in places(case.layer):
        part = under(wide, case.layer, case.shape, place)
        part[...] = case.g @ kernel[place].T + (0 if assign else part)
    return wide


def wrong_inputs(case: Case) -> Iterator[Wrong]:
    """What people compute in place of the gradient of a picture."""
    back = case.layer.back
    for becomes, words, code in other_kernels(case):
        yield Wrong(lambda k=becomes: back(input_gradient(case, k)), words, code)
    added = "assigned where it has to be added: an element under several windows gets all of them"
    yield Wrong(lambda: back(input_gradient(case, assign=True)), added, "index-assigned")
    yield Wrong(lambda: back(assigned_by_windows(case)), added, "index-assigned")
    yield Wrong(lambda: back(uncut(case)), "the padding is not cut off", "wrong-shape")
    for layer, words in other_layers(case.layer):
        yield Wrong(partial(moved_input, case, layer), words, "wrong-places")
    for order, words in orders(case):
        yield Wrong(partial(in_order, case, order), words, "wrong-places")
    for place in places(case.layer):
        at = f"{case.text}[{place[0]}, {place[1]}]"
        one = np.zeros_like(case.kernel)
        one[place] = case.kernel[place]
        words = f"only what comes through {at} is there, one place of the kernel"
        yield Wrong(lambda k=one: back(input_gradient(case, k)), words, "missing-term")
        words = f"what comes through {at} is missing, one place of the kernel"
        rest = case.kernel - one
        yield Wrong(lambda k=rest: back(input_gradient(case, k)), words, "missing-term")


def other_kernels(case: Case) -> Iterator[tuple[Any, str, Code]]:
    """The kernel as people have it in place of the right one: the sum by which the gradient goes
    back runs over the kernel turned by half, its channels swapped.
    """
    kernel, text = case.kernel, case.text
    by_half = f"the kernel {text} is not turned by half"
    yield kernel[::-1, ::-1], f"{by_half}, as by {text}[::-1, ::-1]", "not-turned"
    one_side = f"the kernel {text} is not turned by half, but along one side alone, as by {text}"
    yield kernel[:, ::-1], f"{one_side}[::-1]", "not-turned"
    yield kernel[::-1], f"{one_side}[:, ::-1]", "not-turned"
    if kernel.shape[2] == kernel.shape[3]:
        swapped = np.swapaxes(kernel, 2, 3)
        words = f"the channels of the kernel {text} are not swapped"
        yield swapped, words, "transposed"
        words = f"{by_half}, and its channels are not swapped"
        yield swapped[::-1, ::-1], words, "not-turned"
    if kernel.shape[0] == kernel.shape[1]:
        turned = np.swapaxes(kernel, 0, 1)
        yield turned, f"rows and columns of the kernel {text} are swapped", "transposed"
        words = f"{by_half}, but by a transpose: its rows and columns are swapped"
        yield turned[::-1, ::-1], words, "transposed"
        words = f"the kernel {text} is turned by a quarter, and not by half"
        yield turned[::-1], words, "not-turned"
        yield turned[:, ::-1], words, "not-turned"


def assigned_by_windows(case: Case) -> Any:
    """The gradient of a picture, assigned window by window: the last one remains."""
    layer = case.layer
    wide = np.zeros_like(padded(case.x, layer, case.shape))
    last = np.full(wide.shape[1:3], -1)
    order = np.arange(case.shape[1] * case.shape[2]).reshape(case.shape[1:3])
    for place in places(layer):
        latest = under(last[None, :, :, None], layer, case.shape, place)[0, :, :, 0]
        wins = order > latest
        latest[wins] = order[wins]
        part = under(wide, layer, case.shape, place)
        part[:, wins] = (case.g @ case.kernel[place].T)[:, wins]
    return cut(wide, layer, case.x.shape)


def other_layers(layer: Layer) -> Iterator[tuple[Layer, str]]:
    """The same windows in other places."""
    rows, columns = layer.rows, layer.columns
    steps = [(i, j) for i, j in itertools.product((-1, 0, 1), repeat=2) if i or j]
    for i, j in sorted(steps, key=lambda by: (by[0] != by[1], by)):
        other = layer._replace(
            rows=rows._replace(before=rows.before + i),
            columns=columns._replace(before=columns.before + j),
        )
        along = {(True, True): "rows and columns", (True, False): "the rows"}
        where = along.get((bool(i), bool(j)), "the columns")
        words = f"the padding is off by one: all is shifted by one place along {where}"
        yield other, words
    if rows.stride > 1 or columns.stride > 1:
        size, _, before = rows
        plain = layer._replace(rows=Side(size, 1, before), columns=columns._replace(stride=1))
        by = rows.stride if rows.stride == columns.stride else (rows.stride, columns.stride)
        yield plain, f"the stride {by} is left out: the windows are taken side by side"


def moved_input(case: Case, layer: Layer) -> Any:
    """The gradient of a picture with its windows in other places; what falls out of it is lost."""
    room = max(case.x.shape[1:3]) + max(layer.rows.size, layer.columns.size)
    n, h, w, c = case.x.shape
    wide = np.zeros((n, h + 2 * room, w + 2 * room, c), case.x.dtype)
    for i, j in places(layer):
        at = (i + room - layer.rows.before, j + room - layer.columns.before)
        part = under(wide, layer, case.shape, at)
        part += case.g @ case.kernel[i, j].T
    return layer.back(wide[:, room : room + h, room : room + w])


def orders(case: Case) -> Iterator[tuple[tuple[int, ...], str]]:
    """Other orders in which rows, columns and channels of a window may lie in one line."""
    names = ("rows", "columns", "channels")
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            listed = ", ".join(names[i] for i in order)
            yield order, f"each window is taken in another order, as {listed}"


def in_order(case: Case, order: tuple[int, ...]) -> Any:
    """The gradient of a picture whose windows lie in one line, and are read in another order."""
    n, h, w, m = case.shape
    shape = case.kernel.shape[:3]
    lines = case.g @ case.kernel.reshape(-1, m).T
    shuffled = lines.reshape(n, h, w, *(shape[i] for i in order))
    back = [3 + order.index(i) for i in range(3)]
    windows = shuffled.transpose(0, 1, 2, *back)
    wide = np.zeros_like(padded(case.x, case.layer, case.shape))
    for i, j in places(case.layer):
        part = under(wide, case.layer, case.shape, (i, j))
        part += windows[:, :, :, i, j]
    return case.layer.back(cut(wide, case.layer, case.x.shape))


# The kernel


def kernel_gradient(case: Case, x: Any = None, g: Any = None) -> Any:
    """The gradient of a kernel, place by place, as of another picture or gradient."""
    x, g = case.x if x is None else x, case.g if g is None else g
    wide = padded(x, case.layer, case.shape)
    return by_place(case, wide, g, case.layer)


def by_place(case: Case, wide: Any, g: Any, layer: Layer) -> Any:
    """At each place of the kernel the product of what lies under it and the gradient."""
    found = np.zeros_like(case.kernel)
    for place in places(layer):
        there = under(wide, layer, g.shape, place)
        found[place] = np.tensordot(there, g, ((0, 1, 2), (0, 1, 2)))
    return found


def wrong_kernels(case: Case) -> Iterator[Wrong]:
    """What people compute in place of the gradient of a kernel."""
    right, text = kernel_gradient(case), case.text
    as_kernel = case.layer.as_kernel
    turned = {
        "turned by half": right[::-1, ::-1],
        "turned along its columns": right[::-1],
        "turned along its rows": right[:, ::-1],
    }
    for words, becomes in turned.items():
        yield Wrong(partial(as_kernel, becomes), f"{words}, as {text} is not", "not-turned")
    if right.shape[2] == right.shape[3]:
        words = f"the channels of {text} are swapped"
        yield Wrong(partial(as_kernel, np.swapaxes(right, 2, 3)), words, "transposed")
    if right.shape[0] == right.shape[1]:
        words = f"rows and columns of {text} are swapped"
        yield Wrong(partial(as_kernel, np.swapaxes(right, 0, 1)), words, "transposed")
    if max(case.layer.rows.before, case.layer.columns.before):
        words = "made of the picture without its padding"
        yield Wrong(lambda: as_kernel(without_padding(case)), words, "wrong-places")
    for layer, words in other_layers(case.layer):
        yield Wrong(partial(moved_kernel, case, layer), words, "wrong-places")
    for i in (len(case.x) - 1, 0):
        one = partial(kernel_gradient, case, case.x[i : i + 1], case.g[i : i + 1])
        words = f"sample {i} stands for all of them"
        yield Wrong(lambda one=one: as_kernel(one()), words, "one-sample")
    flat = right.reshape(-1, right.shape[3])
    words = "made in another order: the reshape runs over the channels of the result first"
    yield Wrong(lambda: as_kernel(flat.T.reshape(right.shape)), words, "wrong-places")
    shape = right.shape[:3]
    for order, words in orders(case):
        lines = right.transpose(*order, 3).reshape(-1, right.shape[3])
        yield Wrong(partial(as_kernel, lines.reshape(right.shape)), words, "wrong-places")
        back = [order.index(i) for i in range(3)]
        read = flat.reshape(*(shape[i] for i in order), -1).transpose(*back, 3)
        yield Wrong(partial(as_kernel, read), words, "wrong-places")


def without_padding(case: Case) -> Any:
    """Windows of the bare picture: those that reach out of it are cut short."""
    found = np.zeros_like(case.kernel)
    for place in places(case.layer):
        i, j = place
        there = case.x[:, i :: case.layer.rows.stride, j :: case.layer.columns.stride]
        there = there[:, : case.shape[1], : case.shape[2]]
        came = case.g[:, : there.shape[1], : there.shape[2]]
        found[place] = np.tensordot(there, came, ((0, 1, 2), (0, 1, 2)))
    return found


def moved_kernel(case: Case, layer: Layer) -> Any:
    """The gradient of a kernel whose windows are in other places."""
    room = max(case.x.shape[1:3]) + max(layer.rows.size, layer.columns.size)
    wide = np.pad(case.x, ((0, 0), (room, room), (room, room), (0, 0)))
    at = wide[:, room - layer.rows.before :, room - layer.columns.before :]
    return layer.as_kernel(by_place(case, at, case.g, layer))


def other_arrays(gradient: Gradient, case: Case) -> Iterator[Wrong]:
    """Another picture, or another gradient."""
    question, graph, layer = gradient.question, gradient.question.graph, case.layer
    picture, as_kernel = layer.picture, layer.as_kernel
    for other, text in lookalikes(question, layer.x, near=layer.x):
        words = f"computed with {text} in place of {graph.text(layer.x)}"
        make = partial(kernel_gradient, case, x=picture(other))
        yield Wrong(lambda make=make: as_kernel(make()), words, "other-value")
    came = graph.gradient_of[layer.y]
    for other, text in lookalikes(question, came, near=layer.y):
        words = f"computed from {text} in place of {graph.gradient_text(layer.y)}"
        make = partial(kernel_gradient, case, g=picture(other))
        yield Wrong(lambda make=make: as_kernel(make()), words, "other-gradient")
