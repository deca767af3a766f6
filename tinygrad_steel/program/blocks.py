"""Blocks of equal structure in formulas: what differs from block to block has a name of its own.

Place for place the blocks are the same. So what they get from elsewhere, and their own leaves, form
columns: one Tensor of each block.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..engine.tensor import Tensor
from .expressions import INLINE, PICTURES, Speech, expression
from .formulas import abbreviated
from .literals import value_text
from .names import first_free, readable
from .texts import ATOM, COMPARISON, SIGN, Text
from .values import Apply, Leaf, Value, apply, exact

Block = list[Tensor]
NUMBER = re.compile(r"\W*\d+\W*$")  # at the end of a name
INDEX = re.compile(r"(?<=[\[ :])\d+(?=[\],:])")  # a number in an index


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """One Tensor of each block; as a key equal to itself alone."""

    tensors: tuple[Tensor, ...]

    @property
    def is_shared(self) -> bool:
        """Whether it is the same in all blocks."""
        return len({*self.tensors}) == 1


@dataclasses.dataclass(frozen=True)
class Columns:
    """Equal blocks, place for place.

    `inputs`: of each place with an op, where each input comes from: a place in the same block, a
    column, or None for plain numbers. `states`: of each column that goes from block to block, the
    place of which it is the result one block before.
    """

    blocks: Sequence[Block]
    names: Mapping[Tensor, str]
    inputs: dict[int, list[int | Column | None]]
    states: dict[Column, int]

    @property
    def last(self) -> int:
        """The place of the result."""
        return len(self.blocks[0]) - 1

    @property
    def uses(self) -> Counter[int]:
        """How often each place is used in its block."""
        return Counter(x for inputs in self.inputs.values() for x in inputs if isinstance(x, int))

    def at(self, place: int) -> Column:
        """What stands at a place."""
        return Column(tuple([block[place] for block in self.blocks]))


def block_formulas(
    blocks: Sequence[Block], names: Mapping[Tensor, str], users: Mapping[Tensor, Iterable[Tensor]]
) -> list[str]:
    """What equal blocks compute: one formula, or a line for each part that has to have one.

    What all blocks share has its own name; what differs has the names of the blocks without their
    numbers (`x` for x0, x1, ...), or `h` where it goes from block to block and has no name. Where a
    number differs, the first and the last are said.
    """
    columns = columns_of(blocks, names)
    if not columns.inputs:  # leaves alone
        return [common_name(columns.at(0), names) or "array"]
    called = call_columns(columns)
    kept = places_used_outside(columns, users)
    if kept <= {columns.last} and max(columns.uses.values(), default=1) == 1:
        (whole,) = lines_of_all(columns, called, {columns.last: ""})
        if len(whole) <= INLINE:
            return [whole]
    parts = call_parts(columns, called, kept)
    if len(parts) == 1:
        parts = {columns.last: ""}
    return lines_of_all(columns, tell_apart(columns, called, parts), parts)


def names_of_states(blocks: Sequence[Block], names: Mapping[Tensor, str]) -> dict[Tensor, str]:
    """What goes from block to block, by its name there; single numbers have none that says much."""
    columns = columns_of(blocks, names)
    called = call_columns(columns)
    return {
        t: called[column][0]
        for column, place in columns.states.items()
        for t in columns.at(place).tensors
        if t.shape and not names[t]
    }


def columns_of(blocks: Sequence[Block], names: Mapping[Tensor, str]) -> Columns:
    """Where each input of each place comes from."""
    places = [{t: i for i, t in enumerate(block) if t.op is not None} for block in blocks]
    inputs: dict[int, list[int | Column | None]] = {}
    states: dict[Column, int] = {}
    known: dict[tuple[Tensor, ...], Column] = {}
    for i, t in enumerate(blocks[0]):
        if t.op is None or t.op.draws:  # a mask takes no more than the shape of its input
            continue
        inputs[i] = []
        for j, x in enumerate(t.inputs):
            if not isinstance(x, Tensor) or x in places[0]:
                inputs[i].append(places[0][x] if isinstance(x, Tensor) else None)
                continue
            tensors = tuple([block[i].inputs[j] for block in blocks])
            column = known.setdefault(tensors, Column(tensors))
            inputs[i].append(column)
            before = {found.get(x) for x, found in zip(tensors[1:], places)}
            place = before.pop() if len(before) == 1 else None
            if place is not None:
                states[column] = place
    return Columns(blocks, names, inputs, states)


def places_used_outside(columns: Columns, users: Mapping[Tensor, Iterable[Tensor]]) -> set[int]:
    """The places of results that not only their own blocks use."""
    found = set()
    for block in columns.blocks:
        inside = {*block}
        found |= {i for i, t in enumerate(block) if t.op and not inside.issuperset(users[t])}
    return found


# Names


def call_columns(columns: Columns) -> dict[Column, list[str]]:
    """What columns are called in each block: what is shared first, as its name is its own."""
    every = (x for inputs in columns.inputs.values() for x in inputs if isinstance(x, Column))
    found: dict[Column, list[str]] = {}
    taken: set[str] = set()
    for column in sorted(dict.fromkeys(every), key=lambda column: kind_of(column, columns)):
        names = wanted_names(column, columns)
        is_name = len({*names}) == 1 and "..." not in names[0]
        if is_name:
            usual = ("h", "c") if column.tensors[0].shape else ("previous",)
            name = readable(names[0], taken) if names[0] else first_free((*usual, usual[0]), taken)
            names = [name] * len(names)
            taken.add(name)
        found[column] = names
    return found


def kind_of(column: Column, columns: Columns) -> int:
    """The order in which columns get names: what is shared, states, the result's first, others."""
    if column.is_shared:
        return 0
    place = columns.states.get(column)
    return 3 if place is None else 1 if place == columns.last else 2


def wanted_names(column: Column, columns: Columns) -> list[str]:
    """What a column may be called in each block."""
    names = [columns.names[x] for x in column.tensors]
    if column.is_shared and names[0]:
        return names
    result = columns.states.get(column)
    common = common_name(column if result is None else columns.at(result), columns.names)
    if common or result is not None:
        return [common] * len(names)
    if all(names):
        return names
    return [text_of(x) for x in column.tensors]


def text_of(x: Tensor) -> str:
    """What stands for a Tensor without a name."""
    if x.op is not None:
        return abbreviated(x.op).text
    return "array" if x.shape else value_text(x.data.item())


def common_name(column: Column, names: Mapping[Tensor, str]) -> str:
    """The name that all have but for a number at its end; empty where there is none."""
    bases = {NUMBER.sub("", names[x]) for x in column.tensors}
    return bases.pop() if len(bases) == 1 else ""


def call_parts(
    columns: Columns, called: Mapping[Column, list[str]], kept: Iterable[int]
) -> dict[int, str]:
    """The places that have a line of their own, and their names: what is used more than once, too."""
    uses = columns.uses
    own = {place: called[column][-1] for column, place in columns.states.items()}
    taken = {name for names in called.values() for name in names}
    parts = {}
    for i in columns.inputs:
        name = common_name(columns.at(i), columns.names)
        if i in own:
            parts[i] = own[i]
        elif i == columns.last or i in kept or name or uses[i] > 1:
            parts[i] = readable(name, taken) if name else first_free(("z", "y", "z"), taken)
            parts[i] = "" if i == columns.last and not name else parts[i]
            taken.add(parts[i])
    return parts


def tell_apart(
    columns: Columns, called: Mapping[Column, list[str]], parts: Mapping[int, str]
) -> dict[Column, list[str]]:
    """The same names, but for a state that is used below the line that makes the next one of it."""
    found = dict(called)
    lines = said(0, columns, called, parts)
    for column, place in columns.states.items():
        if any(i > place and column in says for i, (_, says) in lines.items()):
            found[column] = [f"previous_{name}" for name in called[column]]
    return found


# Lines


def lines_of_all(
    columns: Columns, called: Mapping[Column, list[str]], parts: Mapping[int, str]
) -> list[str]:
    """The lines of all blocks as one, place for place; blocks alike in all are said once."""
    known: dict[Any, list[str]] = {}
    of_each = []
    for k, block in enumerate(columns.blocks):
        names = tuple([names[k] for names in called.values()])
        key = names, tuple([numbers_of(t) for t in block if t.op])
        if key not in known:
            known[key] = [line for line, _ in said(k, columns, called, parts).values()]
        of_each.append(known[key])
    return [*map(as_one, zip(*of_each))]


def numbers_of(t: Tensor) -> Any:
    """What of a result, besides its op, is said in numbers, as a key."""
    numbers = [exact(x) for x in t.inputs if not isinstance(x, Tensor)]
    return t.ndim, *numbers, exact(dict(t.params)) if t.params else None


def said(
    k: int, columns: Columns, called: Mapping[Column, list[str]], parts: Mapping[int, str]
) -> dict[int, tuple[str, set[Any]]]:
    """Of one block, for each place that has a line, the line and the columns that it speaks of."""
    speech = Speech(PICTURES)
    leaves: dict[Column, Value] = {}
    for column, names in called.items():
        x = column.tensors[k]
        leaf = leaves[column] = Leaf(x.shape, x.dtype)
        speech.texts[leaf] = leaf_text(names[k]).of(column)
    made: dict[int, Value] = {}
    lines = {}
    for i, t in enumerate(columns.blocks[k]):
        if t.op is None:
            continue
        y = made[i] = apply(t.op, inputs_at(i, t, columns, leaves, made), t.params, t)
        assert isinstance(y, Apply)
        text = speech.texts[y] = expression(y, speech)
        if i in parts:
            line = f"{parts[i]} = {text}" if parts[i] else text.text
            lines[i] = line, {value for *_, value in text.spans}
            speech.texts[y] = Text(parts[i]).of(y)
    return lines


def leaf_text(text: str) -> Text:
    """What a column is called, in parentheses where that is needed."""
    return Text(text, COMPARISON if text == "..." else SIGN if text.startswith("-") else ATOM)


def inputs_at(
    i: int, t: Tensor, columns: Columns, leaves: Mapping[Column, Value], made: Mapping[int, Value]
) -> list[Any]:
    """The inputs of the op at a place as values."""
    found: list[Any] = []
    for x, origin in zip(t.inputs, columns.inputs.get(i, ())):
        if origin is None:
            found.append(x)
        else:
            found.append(made[origin] if isinstance(origin, int) else leaves[origin])
    return found


def as_one(lines: Iterable[str]) -> str:
    """A line as all blocks have it; where they differ, with a letter, or the first and the last.

    >>> as_one(["x[:, 0] + 1", "x[:, 1] + 1", "x[:, 2] + 1"]), as_one(["h * 1", "h * 3", "h * 4"])
    ('x[:, t] + 1, t = 0, ..., 2', 'h * 1, ..., h * 4')
    """
    every = [*lines]
    different = [*dict.fromkeys(every)]
    if len(different) == 1:
        return different[0]
    if counted(every):
        return counted(every)
    if len(every) == 2:
        return ", then ".join(every)
    last = every[-1] if every[-1] != every[0] else different[1]
    return f"{every[0]}, ..., {last}" if last == every[-1] else f"{every[0]}, {last}, ..."


def counted(lines: list[str]) -> str:
    """Lines that differ in an index alone, which goes up or down from line to line; else empty."""
    rows = [[*map(int, INDEX.findall(line))] for line in lines]
    alike = len({INDEX.sub("", line) for line in lines}) == 1
    differs = [len({*numbers}) > 1 for numbers in zip(*rows)]
    counts = {numbers for numbers, differ in zip(zip(*rows), differs) if differ}
    if not alike or len(counts) != 1 or re.search(r"\bt\b", lines[0]):
        return ""
    (count,) = counts
    steps = {b - a for a, b in itertools.pairwise(count)}
    if len(steps) != 1:
        return ""
    which = iter(differs)
    text = INDEX.sub(lambda number: "t" if next(which) else number[0], lines[0])
    shown = [count[0], "...", count[-1]] if {1, -1} & steps else [*count[:2], "...", count[-1]]
    return f"{text}, t = {', '.join(map(str, shown if len(count) > 2 else count))}"
