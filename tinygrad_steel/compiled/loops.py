"""A program as loops over one block of memory: what shares a nest, and what is left to NumPy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops
from ..program.values import Apply, Leaf, Value, behind
from .blocks import cut_loops, cut_product, parts_of, whole
from .indices import elements_read, folded_axes, loop_shape
from .long_folds import is_long_fold, long_fold_lines
from .loop_forms import ELEMENTARY, FOLDS, form_of
from .loop_nests import nest_lines, pieces_lines
from .lower import TrainingStep
from .lowered import REDUCTIONS, behind_views, is_mask, is_view, size
from .memory import Block, NoLoops, largest_integer, one_dtype
from .pieces import Pieces, pieces_of
from .products import fused_lines, is_product, product_lines
from .rolled import rolled
from .shortcuts import Shortcuts, shortcuts

LONG_ROW = 16  # elements, from which on the loop over a row is worth its vectors


@dataclass(frozen=True, eq=False)
class Loops:
    """A program as source, and the block of memory on which it works.

    `segments`: what is to be run in turn: the lines of a function, then a value that is left to
    NumPy (an op that has no loop form), and so on. `table`: places in the block that nests of one
    form take in turn. `parts`: the same for several cores, if anything is large enough for these.
    """

    program: TrainingStep
    block: Block
    segments: list[Any]
    table: list[int]
    parts: list[Any]


def as_loops(program: TrainingStep) -> Loops:
    """The loops of a program; NoLoops where it has none."""
    block = block_of_leaves(program)
    computed = [x for x in program.nodes if not is_view(x)]
    late = only_for_updates(computed, program)
    early, updating = ([x for x in computed if (x in late) is after] for after in (False, True))
    short = shortcuts(early, late, results(program))
    by_itself = {*computed} - short.passed() - {*short.fused}
    looped = {x for x in by_itself if is_looped(x, program.feeds, block.dtype)}
    work = [x for x in early if x in by_itself or x in short.fused]
    nests = [*grouped(work, looped), *grouped(updating, looped, of_one_array(updating))]
    check_updates(nests, looped & late, program)
    place_what_travels(nests, looped, short, program, block)
    table: list[int] = []
    cut = segments(nests, looped, short, program, block)
    parts = [rolled([*map(whole, x)], table) if isinstance(x, list) else x for x in cut]
    return Loops(program, block, parts, table, [] if table else parts_of(cut))


def block_of_leaves(program: TrainingStep) -> Block:
    """The block, with room for all that is not computed, but for numbers: they stand in the code."""
    block = Block(one_dtype(program), program.arrays, program.numbers)
    constants = [x for x in program.constants if x.shape]
    held = [x for _, x in program.held]
    by_kind = sorted(program.states, key=lambda state: state[1])  # all of one kind side by side
    states = [x for _, _, x in by_kind]
    for leaf in [*program.feeds, *program.numbers, *constants, *held, *states]:
        block.place(leaf)
    return block


def segments(
    nests: list[list[Apply]],
    looped: set[Apply],
    short: Shortcuts,
    program: TrainingStep,
    block: Block,
) -> list[Any]:
    """Loop nests, and between them the values that are left to NumPy."""
    renewed = {value: leaf for leaf, value in program.updates}
    found: list[Any] = [[]]
    for nest in nests:
        first = nest[0]
        if first in looped and is_long_fold(first):
            found[-1].append(long_fold_lines(first, block))
        elif first in looped:
            found[-1].append(cut_loops(nest_lines(nest, block, renewed), nest))
        elif first in short.fused:
            found[-1].append(cut_product(fused_lines(first, short.fused[first], block)))
        elif (made := floating_pieces(first)) is not None:
            found[-1] += pieces_lines(first, made, block)
        elif is_product(first):
            found[-1].append(cut_product(product_lines(first, block)))
        else:
            found += [first, []]
    return found


# What can be said in a loop


def is_looped(value: Apply, feeds: list[Leaf], dtype: np.dtype) -> bool:
    """Whether a value is computed element by element, and so may share a nest with others."""
    if value.op is ops.one_hot:
        return value.inputs[0] in feeds  # whose class ids are checked
    if value.op in REDUCTIONS:
        return value.op in FOLDS and adds_up_exactly(value, dtype)
    return form_of(value) is not None


def adds_up_exactly(value: Apply, dtype: np.dtype) -> bool:
    """Whether a sum or product of integers stays one in floats: a count does, others may grow
    beyond them.
    """
    if value.op not in (ops.sum, ops.prod) or value.dtype.kind not in "iu":
        return True
    (x,) = value.inputs
    return is_mask(x) and size(x) <= largest_integer(dtype)


def floating_pieces(value: Apply) -> Pieces | None:
    """The pieces of a value, where all of them are floats; None otherwise."""
    if any(x.dtype.kind != "f" for x in (value, *value.values())):
        return None
    return pieces_of(value)


# Which values share a nest


def grouped(
    work: Iterable[Apply], looped: set[Apply], kin: Mapping[Apply, Any] | None = None
) -> Iterator[list[Apply]]:
    """Values that run in one loop nest: of one shape, and none reads another's elements but its
    own; and of one `kin`, where that is given.
    """
    kin = kin or {}
    left = dict.fromkeys(work)
    read = {value: elements_read(value) for value in left if value in looped}
    while left:
        first, *others = left
        group = [first]
        if first in looped and not is_long_fold(first):
            shape = loop_shape(first)
            for value in others:
                if (
                    value in looped
                    and not is_long_fold(value)
                    and loop_shape(value) == shape
                    and kin.get(value) is kin.get(first)
                    and fits(read[value], group, left)
                    and stays_vectors([*group, value])
                ):
                    group.append(value)
        for value in group:
            del left[value]
        yield group


def of_one_array(values: list[Apply]) -> dict[Apply, set[Value]]:
    """For each value those with which it goes back to the same arrays: of an optimizer's, those of
    one parameter. Their nests can be told apart from others', and joined (see side_by_side.py).
    """
    kin: dict[Value, set[Value]] = {}
    for value in values:
        bases = {behind_views(x) for x in value.values()}
        together = {value, *(x for x in bases if x.shape or not value.shape)}
        together = together.union(*(kin[x] for x in together if x in kin))
        kin |= dict.fromkeys(together, together)
    return {value: kin[value] for value in values}


def fits(read: list[tuple[Value, bool]], group: list[Apply], left: dict[Apply, None]) -> bool:
    """Whether all that a value reads is there already, or the same element of one in the group."""
    for base, own_place in read:
        same_element = base in group and own_place and base.op not in REDUCTIONS
        if base in left and not same_element:
            return False
    return True


def stays_vectors(group: list[Apply]) -> bool:
    """Whether an elementary function is computed for several elements at once.

    It is where all arrays are read at the very place of each turn, so that one loop goes over all,
    and along rows that are long enough; not where rows are added up one by one.
    """
    if not any(x.op in ELEMENTARY for x in group):
        return True
    if any(map(is_fold_of_rows, group)):
        return False
    return loop_shape(group[0])[-1:] >= (LONG_ROW,) or all(map(is_flat, group))


def is_flat(value: Apply) -> bool:
    """Whether each array that it reads is read at the very place of each turn, or is one number."""
    if value.op in REDUCTIONS or value.op is ops.one_hot:
        return False
    return all(own_place or size(base) == 1 for base, own_place in elements_read(value))


def is_fold_of_rows(value: Apply) -> bool:
    """Whether it is a reduction of the last axes, added up in a variable."""
    return value.op in REDUCTIONS and len(loop_shape(value)) - 1 in folded_axes(value)


# Updates


def results(program: TrainingStep) -> list[Apply]:
    """What somebody reads after a step: the loss, the outputs and the gradients."""
    return [program.loss, *program.outputs, *(g for _, _, g in program.parameters)]


def only_for_updates(work: list[Apply], program: TrainingStep) -> set[Apply]:
    """What nothing but an update needs: it comes last, when nobody reads old values any more."""
    needed = behind(results(program))
    return {x for x in work if x not in needed}


def check_updates(nests: list[list[Apply]], late: set[Apply], program: TrainingStep) -> None:
    """NoLoops where an optimizer's rule is not elementwise: its old values might be gone before
    they are read.
    """
    renewed = {value: leaf for leaf, value in program.updates}
    writes: dict[Value, list[Apply]] = {}  # a leaf -> the nest that writes its new value
    for nest in nests:
        for value in nest:
            if value in renewed and value in late and value.op not in REDUCTIONS:
                writes[renewed[value]] = nest
        if any(reads_renewed(value, nest, writes) for value in nest):
            raise NoLoops("the optimizer's rule reads old values after it has renewed them")
    if len(writes) < len(program.updates):
        raise NoLoops("the optimizer's rule renews something otherwise than element by element")


def reads_renewed(value: Apply, nest: list[Apply], writes: dict[Value, list[Apply]]) -> bool:
    """Whether a value reads a leaf that an earlier nest has written, or another turn of its own
    nest.
    """
    bases = [behind_views(x) for x in value.values()]
    if not any(base in writes for base in bases):
        return False
    if any(writes.get(base, nest) is not nest for base in bases):
        return True
    return any(base in writes and not own_place for base, own_place in elements_read(value))


# What has a place in the block


def place_what_travels(
    nests: list[list[Apply]],
    looped: set[Apply],
    short: Shortcuts,
    program: TrainingStep,
    block: Block,
) -> None:
    """Room for results, and for what is read outside of its own loop nest."""
    for value in results(program):
        block.place(value)
    for nest in nests:
        for value in nest:
            if value not in looped:
                block.place(value)
                for x in short.arrays_read(value):
                    block.place(x)
                continue
            if value.op in REDUCTIONS:
                block.place(value)
            for base in read_from_outside(value, nest):
                block.place(base)


def read_from_outside(value: Apply, nest: list[Apply]) -> list[Apply]:
    """The values, leaves apart, of which a value reads what does not come from its own turn of the
    nest.
    """
    return [
        base
        for base, own_place in elements_read(value)
        if isinstance(base, Apply) and (base not in nest or not own_place)
    ]
