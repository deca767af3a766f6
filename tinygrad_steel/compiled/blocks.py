"""What is large cut into blocks, which several cores may do: rows of a product, ranges of a loop.

How it is cut depends on shapes alone, and no two blocks write to one place: so that sums are the same,
to the last bit, whoever does a block, and when.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
from typing import Any, NamedTuple

from ..program.values import Apply
from .indices import folded_axes, loop_shape
from .kernels_order import is_same_order
from .lowered import REDUCTIONS
from .rolled import placed

# From where on it pays: handing work to another thread takes 20 to 60 microseconds.
LARGE_PRODUCT = 8_000_000  # multiply-adds: .4 ms
LARGE_LOOP = 1_000_000  # elements by lines of source: .2 ms
# What a block has at least: fewer rows cost more, as each block copies the right matrix for itself.
PRODUCT, ROWS, LOOP = 2_000_000, 128, 200_000
FEWEST = 32  # rows of each of two blocks, where there are no more
MOST = 16  # blocks; a power of 2
LINE = 16  # numbers: ranges begin where a line of memory does
CALL = re.compile(r"(\w+)\((\(m, @\d+\), .*)\)")
FOR = re.compile(r"for (i\d|k) in range\((\d+)\):")
ELEMENT = re.compile(r"\bm\[(@\d+ \+ k\])")  # a single number, m[@7], stays where it is
K = re.compile(r"\bk\b")


class Blocks(NamedTuple):
    """A nest: its lines as a `whole`, and those that do one `block` of so many."""

    whole: list[str]
    many: int
    lines: list[str]


def whole(nest: list[str] | Blocks) -> list[str]:
    """The lines of a nest for one core."""
    return nest.whole if isinstance(nest, Blocks) else nest


def parts_of(segments: list[Any]) -> list[Any]:
    """What several cores run in turn, each part when the one before is done: blocks, lines, or a
    value that is left to NumPy. None at all where nothing is large.
    """
    parts: list[Any] = []
    for segment in segments:
        if not isinstance(segment, list):
            parts.append(segment)
            continue
        for cut, nests in itertools.groupby(segment, lambda nest: isinstance(nest, Blocks)):
            if cut:
                parts += [nest._replace(lines=placed(nest.lines)) for nest in nests]
            else:
                parts.append([line for nest in nests for line in placed(nest)])
    return parts if any(isinstance(part, Blocks) for part in parts) else []


# Products


def cut_product(lines: list[str]) -> list[str] | Blocks:
    """A product in blocks of rows, if it is large, and fewer rows are summed in the same order."""
    call = CALL.fullmatch(lines[0]) if len(lines) == 1 else None
    if call is None:  # plain loops, or a stack of products
        return lines
    given = ast.parse(call[2].replace("@", ""), mode="eval").body.elts  # type: ignore[attr-defined]
    sizes = [ast.literal_eval(x) for x in given[-7:]]
    work = math.prod((*sizes[0], sizes[1], *sizes[2]))
    if work < LARGE_PRODUCT:
        return lines
    rows, all_rows = sizes[0][axis_of(sizes)], math.prod(sizes[0])
    by_rows = max(all_rows // ROWS, min(all_rows // FEWEST, 2))
    most = min(work // PRODUCT, by_rows, rows, MOST)
    for step in steps(rows, most):
        count = -(-rows // step)
        rest = rows - (count - 1) * step
        if all(is_same_order(with_rows(sizes, many), sizes) for many in {step, rest}):
            return Blocks(lines, count, product_block(call[1], given[:-7], sizes, step))
    return lines


def axis_of(sizes: list[Any]) -> int:
    """The axis of rows that is cut: the first that has several."""
    return next((i for i, n in enumerate(sizes[0]) if n > 1), 0)


def with_rows(sizes: list[Any], many: int) -> list[Any]:
    """The same product of fewer rows."""
    rows, axis = sizes[0], axis_of(sizes)
    return [(*rows[:axis], many, *rows[axis + 1 :]), *sizes[1:]]


def steps(n: int, most: int) -> list[int]:
    """How long blocks may be, the best first: as many as allowed, or not much fewer if these are
    equal, and best of all an even number, which two threads share.
    """

    def worse(count: int) -> tuple[bool, bool, int]:
        few = 2 * count <= most
        return few or n % count > 0, count % 2 > 0, -count

    return [-(-n // count) for count in sorted(range(2, most + 1), key=worse)]


def product_block(kernel: str, given: list[ast.expr], sizes: list[Any], step: int) -> list[str]:
    """The call for one block of so many rows, or for the fewer of the last."""
    rows, columns, axis = sizes[0], sizes[1], axis_of(sizes)
    in_c = step * math.prod(rows[axis + 1 :]) * columns
    c, *beside, a, b = map(ast.unparse, given)
    # What lies beside moves where it lies as c does
    between = [moved(x, in_c) if kernel == "product_relu_vjp" else marked(x) for x in beside]
    places = [moved(c, in_c), *between, moved(a, step * sizes[3][axis]), marked(b)]

    def call(many: int) -> str:
        return f"{kernel}({', '.join([*places, *map(str, with_rows(sizes, many))])})"

    whole, rest = divmod(rows[axis], step)
    if not rest:
        return [call(step)]
    return [f"if block < {whole}:", f"    {call(step)}", "else:", f"    {call(rest)}"]


def marked(place: str) -> str:
    """A place with its mark, as in `(m, @120)`."""
    return place.replace("(m, ", "(m, @")


def moved(place: str, step: int) -> str:
    """A place that is further on by so much for each block."""
    place = marked(place)
    return f"{place[:-1]} + block * {step})"


# Loops


def cut_loops(lines: list[str], nest: list[Apply]) -> list[str] | Blocks:
    """A loop nest in blocks of its first axis, if it is large, and nothing is added up along that."""
    turns = math.prod(loop_shape(nest[0]))
    if turns * len(lines) < LARGE_LOOP or any(
        x.op in REDUCTIONS and 0 in folded_axes(x) for x in nest
    ):
        return lines
    first = next((i for i, line in enumerate(lines) if line.startswith("for ")), 0)
    found = FOR.fullmatch(lines[first])
    if found is None or any(not line.startswith(" ") for line in lines[first + 1 :]):
        return lines
    variable, n = found[1], int(found[2])
    start, body = lines[:first], lines[first + 1 :]
    many, step = ranges(n, turns // n * len(lines), LINE if variable == "k" else 1)
    if many < 2:
        return lines
    if variable == "k":  # all arrays from the block's first element on: k begins at 0 as before
        if any(K.search(ELEMENT.sub("", line)) for line in body):
            return lines
        start = [*start, f"rest = m[block * {step} :]"]
        body = [ELEMENT.sub(r"rest[\1", line) for line in body]
        turns_of_block = step if n % step == 0 else f"min({step}, {n} - block * {step})"
        loop = f"for k in range({turns_of_block}):"
    else:
        loop = f"for {variable} in {range_of_block(n, step)}:"
    return Blocks(lines, many, [*start, loop, *body])


def ranges(n: int, work: int, line: int) -> tuple[int, int]:
    """Into how many ranges a loop over n turns is cut, and how long they are; `work`: that of one
    turn. Their length is a multiple of `line`.
    """
    most = min(MOST, n * work // LOOP)
    if most < 2:
        return 1, n
    step = -(-n // (most * line)) * line
    return -(-n // step), step


def range_of_block(n: int, step: int) -> str:
    """The turns of one block."""
    end = f"block * {step} + {step}"
    return f"range(block * {step}, {end if n % step == 0 else f'min({end}, {n})'})"
