"""Mistakes in a pooling: where a gradient goes, and what it is divided by."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from .convolutions import Wrong, mistakes
from .question import Gradient
from .sliding import Layer, count, cut, layers_of, padded, places, under

SPREAD = "spread over the wrong places: each element goes to its own window"


def of_pooling(gradient: Gradient) -> Iterator[Any]:
    """What people make of the gradient of a picture that is pooled."""
    question, graph = gradient.question, gradient.question.graph
    if len(gradient.x.shape) != 4:
        return
    for layer in layers_of(question):
        if layer.x is gradient.x and layer.kind:
            x = layer.picture(question.value(layer.x))
            g = layer.picture(question.value(graph.gradient_of[layer.y]))
            came = graph.gradient_text(layer.y)
            kinds = wrong_max if layer.kind == "max" else wrong_mean
            right = layer.back(back(layer, x, g))
            yield from mistakes(gradient, right, kinds(layer, x, g, came))


def back(layer: Layer, x: Any, g: Any) -> Any:
    """The right gradient: shared by all, or by those that are the largest."""
    if layer.kind == "max":
        wins = largest(layer, x, g.shape)
        return put(layer, x, [g * one / wins.sum(axis=0) for one in wins])
    return put(layer, x, [g / count(layer, x, g.shape)] * len([*places(layer)]))


def put(layer: Layer, x: Any, parts: Any, assign: bool = False) -> Any:
    """For each place of the windows what goes there, added up in a picture."""
    wide = np.zeros_like(padded(x, layer, parts[0].shape))
    for place, part in zip(places(layer), parts):
        there = under(wide, layer, part.shape, place)
        there[...] = part + (0 if assign else there)
    return cut(wide, layer, x.shape)


def largest(layer: Layer, x: Any, shape: tuple[int, ...]) -> Any:
    """For each place of the windows whether it is the largest there."""
    wide = padded(x, layer, shape, -np.inf)
    parts = np.stack([under(wide, layer, shape, place) for place in places(layer)])
    return parts == parts.max(axis=0)


def wrong_mean(layer: Layer, x: Any, g: Any, came: str) -> Iterator[Wrong]:
    """What people make of the gradient of an average pooling."""
    n = len([*places(layer)])
    each = g / count(layer, x, g.shape)
    goes = partial(scattered, layer, x)
    tiles = "as by tile where repeat is needed"
    for becomes in again_and_again(layer, x, each):
        yield Wrong(becomes, f"{came} is {SPREAD}, {tiles}", "wrong-places")
    for becomes in again_and_again(layer, x, g):
        words = f"{came} is {SPREAD}, {tiles}; besides, not divided by the {n} of a window"
        yield Wrong(becomes, words, "wrong-places")
    for of, words in by_size(layer, x, g, came):
        yield Wrong(lambda of=of: goes([of] * n), words, "batch-size")
    yield from to_one_place(layer, x, g, each, came)
    yield from overlapping(layer, x, [each] * n)


def by_size(layer: Layer, x: Any, g: Any, came: str) -> Iterator[tuple[Any, str]]:
    """The gradient of a window divided by something else than the number of its elements."""
    n, right = len([*places(layer)]), count(layer, x, g.shape)
    yield g, f"{came} is not divided by the {n} elements of a window"
    yield g / right / right, f"{came} is divided by the {n} elements of a window once too often"
    yield g / n, f"{came} is divided by {n} at the border too, where a window has fewer elements"
    if layer.kind != "mean":
        fewer = count(layer._replace(kind="mean"), x, g.shape)
        yield g / fewer, f"{came} is divided by less than {n} at the border"
    for side in {layer.rows.size, layer.columns.size}:
        yield g / side, f"{came} is divided by one side of a window, {side}, and not by all {n}"


def to_one_place(layer: Layer, x: Any, g: Any, each: Any, came: str) -> Iterator[Wrong]:
    """All of a window's gradient in one place of it."""
    n = len([*places(layer)])
    for k, place in enumerate(places(layer)):
        for share in (each, g):
            parts = [share if i == k else 0 * g for i in range(n)]
            words = f"{came} goes to one place of each window alone, {place}"
            yield Wrong(partial(scattered, layer, x, parts), words, "wrong-places")


def wrong_max(layer: Layer, x: Any, g: Any, came: str) -> Iterator[Wrong]:
    """What people make of the gradient of a max pooling."""
    wins = largest(layer, x, g.shape)
    n, shares = len(wins), wins / wins.sum(axis=0)
    goes = partial(scattered, layer, x)
    alone = "and not to the largest alone"
    words = f"{came} goes to all places of a window, {alone}"
    yield Wrong(lambda: goes([g] * n), words, "wrong-places")
    words = f"{came} goes to all places of a window, {alone}: shared evenly, as of a mean"
    yield Wrong(lambda: goes([g / n] * n), words, "wrong-places")
    if layer.rows == layer.columns:
        where = np.array([(j, i) for i, j in places(layer)]) @ (layer.columns.size, 1)
        words = f"{came} goes to the wrong place of a window: rows and columns are swapped"
        firsts = np.arange(n)[:, None, None, None, None] == wins.argmax(axis=0)
        for one in (firsts, shares):
            yield Wrong(lambda one=one: goes([*(g * one[where])]), words, "wrong-places")
    words = f"{came} goes to all but the largest of a window"
    yield Wrong(lambda: goes([*(g * ~wins)]), words, "wrong-condition")
    smallest = largest(layer, -x, g.shape)
    words = f"{came} goes to the smallest of a window, and not to the largest"
    yield Wrong(lambda: goes([*(g * smallest)]), words, "wrong-condition")
    for becomes in again_and_again(layer, x, g, wins):
        words = f"{came} is {SPREAD}, as by tile where repeat is needed"
        yield Wrong(becomes, words, "wrong-places")
    yield from to_one_place(layer, x, g, g, came)
    yield from overlapping(layer, x, [g * one for one in shares])


def overlapping(layer: Layer, x: Any, parts: Any) -> Iterator[Wrong]:
    """What is assigned and not added where windows overlap."""
    if layer.rows.stride < layer.rows.size or layer.columns.stride < layer.columns.size:
        words = "assigned where it has to be added: an element of several windows gets all of them"
        make = partial(put, layer, x, parts, assign=True)
        yield Wrong(lambda: layer.back(make()), words, "index-assigned")


def scattered(layer: Layer, x: Any, parts: Any) -> Any:
    """For each place of the windows what goes there, as the graph has it."""
    return layer.back(put(layer, x, parts))


def again_and_again(layer: Layer, x: Any, g: Any, wins: Any = None) -> Iterator[Any]:
    """The gradient laid out again and again: as a picture; as lines of windows, in both orders."""
    kh, kw = layer.rows.size, layer.columns.size
    if (kh, kw) == (layer.rows.stride, layer.columns.stride):
        yield lambda: layer.back(fitted(np.tile(g, (1, kh, kw, 1)), x) * masked(layer, x, g, wins))
    for order in ((0, 3, 1, 2), (0, 1, 2, 3)):
        for picture in {id(one): (one, at) for one, at in filled(layer, x, g)}.values():
            yield partial(tiled_lines, layer, x, *picture, order)


def fitted(tiles: Any, x: Any) -> Any:
    """Tiles cut to a picture; ValueError where they are too few."""
    if tiles.shape[1] < x.shape[1] or tiles.shape[2] < x.shape[2]:
        raise ValueError("fewer tiles than places")
    return tiles[:, : x.shape[1], : x.shape[2]]


def masked(layer: Layer, x: Any, g: Any, wins: Any) -> Any:
    """1 where a gradient may go."""
    return 1 if wins is None else put(layer, x, [one.astype(g.dtype) for one in wins])


def filled(layer: Layer, x: Any, g: Any) -> Iterator[tuple[Any, Layer]]:
    """The gradient as it is; and with a window for each element of the picture, 0 in those that a
    stride leaves out.
    """
    yield g, layer
    rows, columns = layer.rows, layer.columns
    if rows.stride > 1 or columns.stride > 1:
        for i in range(rows.stride):
            every = np.zeros_like(x)
            part = every[:, i :: rows.stride, i :: columns.stride]
            if part.shape == g.shape:
                part[...] = g
                plain = layer._replace(
                    rows=rows._replace(stride=1, before=(rows.size - 1) // 2),
                    columns=columns._replace(stride=1, before=(columns.size - 1) // 2),
                )
                yield every, plain


def tiled_lines(layer: Layer, x: Any, g: Any, at: Layer, order: tuple[int, ...]) -> Any:
    """The lines of windows as tile makes them, read as if repeat had made them."""
    kh, kw = layer.rows.size, layer.columns.size
    lines = g.transpose(order)
    windows = np.tile(lines.ravel(), kh * kw).reshape(*lines.shape, kh, kw)
    back_to = [order.index(i) for i in range(4)]
    windows = windows.transpose(*back_to, 4, 5)
    parts = [windows[..., i, j] for i, j in places(at)]
    return layer.back(put(at, x, parts))
