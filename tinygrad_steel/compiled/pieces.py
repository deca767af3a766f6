"""Values put together from pieces of others: padded, joined, indexed back, windows added up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..ops.declare import unlisted
from ..ops.op import Op
from ..ops.sliding import starts, steps_of
from ..program.values import VALUES, Apply, Value, apply
from .lowered import is_plain_index


class Piece(NamedTuple):
    """What stands at the index `put` of a result: of a source, what is at the index `take`."""

    source: Value
    take: Any
    put: Any


class Pieces(NamedTuple):
    """All of a result: `fill`, and over it the pieces, which are added where they overlap."""

    fill: float
    pieces: list[Piece]
    overlap: bool = False


def assembled(*parts: Any, indices: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """Zeros, with each part added at its index."""
    z = np.zeros(shape, parts[0].dtype)
    for index, part in zip(indices, parts):
        z[index] += part
    return z


# What the gradient of a value is that is read part by part: one array, not one for each part.
assemble = unlisted("assemble", assembled)


def sum_of_parts(y: Apply, known: Any) -> Apply | None:
    """A sum of gradients of parts as one array, in which each stands at its place."""
    parts = [placed_parts(x) for x in y.inputs]
    if None in parts or any(x.shape != y.shape for x in y.inputs):
        return None
    every = [part for some in parts if some is not None for part in some]
    indices = tuple(index for _, index in every)
    params = {"indices": indices, "shape": y.shape}
    return apply(assemble, [part for part, _ in every], params, y)


def placed_parts(x: Any) -> list[tuple[Value, Any]] | None:
    """The parts of which a value consists, and their indices; None where it is no such value."""
    if not isinstance(x, Apply):
        return None
    if x.op is assemble:
        return [*zip(x.inputs, x.params["indices"])]
    if x.op is ops.scatter and len(x.inputs) == 1 and is_plain_index(x.params["index"]):
        return [(x.inputs[0], x.params["index"])]
    return None


def pieces_of(value: Apply) -> Pieces | None:
    """The pieces of a value; None where it does not consist of any."""
    if value.op not in PIECES or not all(isinstance(x, VALUES) for x in value.inputs):
        return None
    return PIECES[value.op](value)


def of_parts(value: Apply) -> Pieces | None:
    parts = placed_parts(value)
    if parts is None:
        return None
    readers = np.zeros(value.shape, int)
    for _, index in parts:
        readers[index] += 1
    pieces = [Piece(part, Ellipsis, index) for part, index in parts]
    return Pieces(0, pieces, bool(readers.size) and int(readers.max()) > 1)


def of_pad(value: Apply) -> Pieces | None:
    (x,) = value.inputs
    fill = value.params.get("constant_values", 0)
    if not isinstance(fill, int | float):
        return None
    firsts = np.broadcast_to(value.params["pad_width"], (len(x.shape), 2))[:, 0].tolist()
    inner = tuple(slice(first, first + n) for first, n in zip(firsts, x.shape))
    return Pieces(fill, [Piece(x, Ellipsis, inner)])


def of_concatenate(value: Apply) -> Pieces | None:
    axis = value.params.get("axis", 0)
    if axis is None:
        return None
    pieces, end = [], 0
    for x in value.inputs:
        start, end = end, end + x.shape[axis]
        pieces.append(Piece(x, Ellipsis, along(axis, value, slice(start, end))))
    return Pieces(0, pieces)


def of_stack(value: Apply) -> Pieces:
    axis = value.params.get("axis", 0)
    layers = enumerate(value.inputs)
    return Pieces(0, [Piece(x, Ellipsis, along(axis, value, i)) for i, x in layers])


def along(axis: int, value: Apply, part: Any) -> tuple[Any, ...]:
    """The index that takes a part of a value along an axis, and all of the others."""
    return (*[slice(None)] * (axis % len(value.shape)), part)


def of_windows(value: Apply) -> Pieces:
    """For each place in a window a piece: that of all windows at once."""
    (g,) = value.inputs
    ndim, axes = len(value.shape), value.params["axes"]
    steps = steps_of(axes, value.params.get("stride", 1), ndim)
    pieces = []
    for offset in np.ndindex(g.shape[ndim:]):
        rows = zip(starts(offset, axes, ndim), g.shape, steps)
        put = tuple(slice(first, first + (n - 1) * step + 1, step) for first, n, step in rows)
        pieces.append(Piece(g, (Ellipsis, *offset), put))
    return Pieces(0, pieces, overlap=True)


PIECES: dict[Op | None, Callable[[Apply], Pieces | None]] = {
    assemble: of_parts,
    ops.scatter: of_parts,
    ops.pad: of_pad,
    ops.concatenate: of_concatenate,
    ops.stack: of_stack,
    ops.overlap_add: of_windows,
}


def arrays_of(
    made: Pieces, out: np.ndarray, buffers: Any
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each piece as a view of the result, and the view of its source that goes there."""
    for piece in made.pieces:
        yield view(out, piece.put), view(buffers[piece.source], piece.take)


def view(x: np.ndarray, index: Any) -> np.ndarray:
    """A view in any case, also of a single element."""
    parts = index if isinstance(index, tuple) else (index,)
    has_rest = any(part is Ellipsis for part in parts)
    found: np.ndarray = x[parts if has_rest else (*parts, Ellipsis)]
    return found
