"""The lines of loops: one nest for the values that share it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import ops
from ..program.values import VALUES, Apply, Leaf, Value
from .indices import (
    Index,
    Shape,
    behind,
    flat,
    folded_axes,
    indented,
    input_index,
    is_same_place,
    loop_shape,
    loop_variables,
    sliced,
    unshifted,
)
from .loop_forms import FOLDS, Element, as_number, form_of
from .lowered import REDUCTIONS, is_mask, size
from .memory import Block
from .pieces import Pieces

LOOP_VARIABLE = re.compile(r"\bi\d")
INDEX = re.compile(r"(m\[@\d+ \+ )([^\]]*)")  # of an element, behind its array's place


class Nest:
    """The lines of a loop nest, by where they stand.

    `start`: before everything. `fills`, `ends`: before and behind all loops, those for each of so
    many elements `j`. `before[k]`: before the loop of axis `k`, inside those of the axes
    before it; the last is the body. `after[k]`: behind that loop. `names`:
    the variables that hold elements. `numbers`: those that hold single numbers, read once.
    """

    def __init__(self, shape: Shape):
        self.shape = shape
        self.at = loop_variables(shape)
        self.names: dict[Value, str] = {}
        self.numbers: dict[Value, str] = {}
        self.start: list[str] = []
        self.before: list[list[str]] = [[] for _ in range(len(shape) + 1)]
        self.body = self.before[-1]
        self.after: list[list[str]] = [[] for _ in shape]
        self.fills: dict[int, list[str]] = {}
        self.ends: dict[int, list[str]] = {}

    def lines(self) -> list[str]:
        """All of them in order."""
        return [*self.start, *for_each(self.fills), *self.loops(0), *for_each(self.ends)]

    def loops(self, axis: int) -> list[str]:
        """The loops from this axis inwards."""
        if axis == len(self.shape):
            return self.body
        inner = self.loops(axis + 1)
        n = self.shape[axis]
        if n != 1:
            inner = [f"for {self.at[axis]} in range({n}):", *indented(inner, 1)]
        return [*self.before[axis], *inner, *self.after[axis]]

    def shorten(self) -> None:
        """Compute an index once that is used more often; `k` is the one of most arrays."""
        own = flat(0, self.shape, self.at)
        uses = Counter(found[2] for line in self.body for found in INDEX.finditer(line))
        others = [index for index, count in uses.items() if index != own and count > 1]
        names = {own: "k"} | {index: f"k{n}" for n, index in enumerate(others)}
        names = {index: name for index, name in names.items() if " " in index and index in uses}

        def shorter(element: re.Match[str]) -> str:
            begin, index = element.groups()
            return f"{begin}{names.get(index, index)}"

        lines = [INDEX.sub(shorter, line) for line in self.body]
        self.body[:] = [*(f"{name} = {index}" for index, name in names.items()), *lines]

    def flattened(self, block: Block) -> list[str] | None:
        """One loop over all elements, in whole vectors, where each array is read and written at
        one and the same place; None elsewhere.
        """
        place = flat(0, self.shape, self.at)
        lines = [line.replace(f" + {place}]", " + k]") for line in self.body]
        if place == "0" or any(map(LOOP_VARIABLE.search, lines)):
            return None
        count = block.whole_vectors(math.prod(self.shape))
        return [*self.start, f"for k in range({count}):", *indented(lines, 1)]


def nest_lines(values: list[Apply], block: Block, renewed: Mapping[Apply, Leaf]) -> list[str]:
    """One loop nest for these values; those in `renewed` are new ones for a leaf."""
    nest = Nest(loop_shape(values[0]))
    for value in values:
        if value.op in REDUCTIONS:
            add_fold(nest, value, block)
        else:
            add_element(nest, value, block)
    for value in values:  # when all old ones have been read
        if value in renewed and value in nest.names:
            nest.body.append(f"{block.element(renewed[value], nest.at)} = {nest.names[value]}")
    if not any(value.op in REDUCTIONS for value in values):
        lines = nest.flattened(block)
        if lines is not None:
            return lines
    nest.shorten()
    return nest.lines()


def add_element(nest: Nest, value: Apply, block: Block) -> None:
    """A variable for an element, which is stored where others need it."""
    form = form_of(value)
    assert form is not None, "the plan puts only values that have a form into a nest"
    read = [read_input(value, x, nest, block) for x in value.inputs]
    name = f"t{len(nest.names)}"
    text = by_inverse(value, read, nest, block) or form(Element(value, nest.at, read, block))
    nest.body.append(f"{name} = {text}")
    nest.names[value] = name
    if value in block.places:
        number = as_number(name) if is_mask(value) else name
        nest.body.append(f"{block.element(value, nest.at)} = {number}")


def by_inverse(value: Apply, read: list[str], nest: Nest, block: Block) -> str | None:
    """A division by a number of the optimizer, as by Adam's, said as a product: one division for all
    elements instead of one for each; None for everything else.
    """
    x, number = value.inputs if value.op is ops.divide else (None, None)
    if number not in block.numbers or number not in nest.numbers or x in block.numbers:
        return None
    inverse = f"inverse@{block.places[number]}"
    line = f"{inverse} = {block.number(1)} / {nest.numbers[number]}"
    if line not in nest.start:
        nest.start.append(line)
    return f"({read[0]}) * ({inverse})"


def add_fold(nest: Nest, value: Apply, block: Block) -> None:
    """A reduction: added up in a variable where it goes over the last axes, else in its place in
    the block.
    """
    (x,), count = value.inputs, len(nest.shape)
    text = read_input(value, x, nest, block)
    element = as_number(text) if is_mask(x) else text
    axes = folded_axes(value)
    kept = [i for i in range(count) if i not in axes]
    place = block.element(value, tuple(nest.at[i] for i in kept))
    taken = math.prod(nest.shape[i] for i in axes)
    if kept == [*range(len(kept))]:
        fold_in_variable(nest, value, element, place, f"r@{block.places[value]}", len(kept), taken)
    else:
        fold_in_place(nest, value, element, place, block.places[value], taken)


def fold_in_variable(
    nest: Nest, value: Apply, element: str, place: str, name: str, depth: int, count: int
) -> None:
    """Add up `count` elements in a variable, outside of which there are `depth` loops."""
    fold = FOLDS[value.op]
    nest.before[depth].append(f"{name} = {fold.start}")
    nest.body.append(f"{name} = {fold.take.format(name, element)}")
    behind_loop = nest.after[depth] if depth < len(nest.shape) else nest.body
    behind_loop.append(f"{place} = {fold.end.format(name, count=count)}")


def fold_in_place(
    nest: Nest, value: Apply, element: str, place: str, first: int, count: int
) -> None:
    """Add up `count` elements for each result in the block, where the results begin at `first`."""
    fold = FOLDS[value.op]
    result = f"m[@{first} + j]"
    nest.fills.setdefault(size(value), []).append(f"{result} = {fold.start}")
    nest.body.append(f"{place} = {fold.take.format(place, element)}")
    if fold.end != "{}":
        end = f"{result} = {fold.end.format(result, count=count)}"
        nest.ends.setdefault(size(value), []).append(end)


def for_each(lines: Mapping[int, list[str]]) -> list[str]:
    """A loop for the lines of each count."""
    loops = [[f"for j in range({count}):", *indented(body, 1)] for count, body in lines.items()]
    return [line for loop in loops for line in loop]


def read_input(value: Apply, x: Any, nest: Nest, block: Block) -> str:
    """The element of an input that a value needs at each turn."""
    if not isinstance(x, VALUES):
        return block.number(x)
    base, shape, at = behind(x, input_index(value, x, nest.at))
    if base in nest.names and is_same_place(base, shape, at, nest.at):
        name = nest.names[base]
        return as_number(name) if is_mask(base) and not is_mask(x) else name
    if base.shape or base not in block.places or not nest.shape:
        return stored(base, shape, at, is_mask(x), block)
    if base not in nest.numbers:  # read once: the compiler cannot know that nobody writes there
        nest.numbers[base] = f"n@{block.places[base]}"
        nest.start.append(f"{nest.numbers[base]} = {block.element(base, ())}")
    number = nest.numbers[base]
    return f"({number} != 0.0)" if is_mask(x) else number


def stored(base: Value, shape: Shape, at: Index, as_mask: bool, block: Block) -> str:
    """An element from the block; a constant number stands in the code itself."""
    text = (
        block.element(base, at, shape) if base in block.places else block.number(block.arrays[base])
    )
    return f"({text} != 0.0)" if as_mask else text


# Pieces of others


def pieces_lines(value: Apply, made: Pieces, block: Block) -> list[list[str]]:
    """Loops that fill a result, and one nest for each of its pieces; where these overlap, one for
    all of a shape.
    """
    fill = f"m[@{block.places[value]} + j] = {block.number(made.fill)}"
    nests: list[Nest] = []
    for piece in made.pieces:
        shape = np.broadcast_to(0, piece.source.shape)[piece.take].shape
        at = loop_variables(shape)
        source = behind(piece.source, sliced(piece.source.shape, piece.take, at))
        place = sliced(value.shape, piece.put, at)
        if not made.overlap:
            nests.append(Nest(shape))
            line = f"{block.element(value, place)} = {stored(*source, False, block)}"
        else:
            if not nests or nests[-1].shape != shape:
                nests.append(Nest(shape))
            line = (
                f"{at_distance(value, value.shape, place, block)} += {at_distance(*source, block)}"
            )
        nests[-1].body.append(line)
    if made.overlap:
        for nest in nests:
            nest.shorten()
    return [for_each({size(value): [fill]}), *(nest.lines() for nest in nests)]


def at_distance(base: Value, shape: Shape, at: Index, block: Block) -> str:
    """An element whose place says how far it is moved, so that many have one index behind it."""
    if base not in block.places:
        return stored(base, shape, at, False, block)
    distance, at = unshifted(shape, at)
    return f"m[{flat(block.places[base] + distance, shape, at, '@')}]"
