"""Images in ONNX, which has their channels first; and windows in simpler terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..ops.images import pair, places
from ..ops.op import Op
from ..program.values import Apply
from .graph import Graph


def convolved(graph: Graph, node: Apply) -> str:
    """Conv, on images and a kernel with the channels first."""
    x, kernel = node.inputs
    stride = pair(node.params.get("stride", 1), "stride")
    _, widths = places(x.shape, kernel.shape[:2], stride, node.params.get("padding", "same"))
    first = channels_first(graph, node), graph.add("Transpose", node, kernel, perm=[3, 2, 0, 1])
    y = graph.add("Conv", node, *first, strides=stride, pads=widths_of_sides(widths))
    return graph.add("Transpose", node, y, perm=[0, 2, 3, 1])


def pooled(kind: str, **attributes: Any) -> Callable[..., Any]:
    """The rule of max_pool and avg_pool."""

    def rule(graph: Graph, node: Apply) -> str:
        size = pair(node.params.get("size", 2), "size")
        stride = node.params.get("stride")
        stride = size if stride is None else pair(stride, "stride")
        padding = node.params.get("padding", "valid")
        _, widths = places(node.inputs[0].shape, size, stride, padding)
        where = {"kernel_shape": size, "strides": stride, "pads": widths_of_sides(widths)}
        y = graph.add(kind, node, channels_first(graph, node), **where, **attributes)
        return graph.add("Transpose", node, y, perm=[0, 2, 3, 1])

    return rule


def channels_first(graph: Graph, node: Apply) -> str:
    """The images of a node as ONNX has them."""
    return graph.add("Transpose", node, node.inputs[0], perm=[0, 3, 1, 2])


def widths_of_sides(widths: Any) -> list[int]:
    """The padding in the order of ONNX: top, left, bottom, right."""
    return [int(n) for n in np.ravel(np.transpose(widths))]


# In simpler terms


def sliding_windows(x: Any, size: Any, axes: Any, stride: Any = 1) -> Any:
    every, axes = ops.every(stride, axes, x.ndim), [i % x.ndim for i in axes]
    for width, axis in zip(size, axes):
        along = np.arange(x.shape[axis] - width + 1)[:, None] + np.arange(width)
        x = np.moveaxis(x[(*(slice(None),) * axis, along)], axis + 1, -1)
    return x[every]


def conv2d(x: Any, kernel: Any, stride: Any = 1, padding: Any = "same") -> Any:
    """As its forward, but with the images apart, so that there may be any number of them."""
    if x.dtype.kind != "f" and kernel.dtype.kind != "f":
        x = x.astype(np.float64)
    size, stride = kernel.shape[:2], pair(stride, "stride")
    counts, widths = places(x.shape, size, stride, padding)
    framed = np.pad(x, ((0, 0), *widths, (0, 0)))
    seen = ops.sliding_windows(framed, size=size, axes=(1, 2), stride=stride)
    rows = np.reshape(np.transpose(seen, (0, 1, 2, 4, 5, 3)), (x.shape[0], *counts, -1))
    return rows @ np.reshape(kernel, (-1, kernel.shape[3]))


# What onnxruntime has for some dtypes alone, in simpler terms for all others.
NARROW: dict[Op, tuple[str, Callable[..., Any]]] = {
    ops.conv2d: ("ef", conv2d),
    ops.max_pool: ("efd", ops.max_pool.forward),
    ops.avg_pool: ("ef", ops.avg_pool.forward),
}
