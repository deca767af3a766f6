"""The statements of a function of which there is no source, as its bytecode has them; those on one line are one.

Of each it is known which variables it binds and reads, and not which of them for which result.
"""

from __future__ import annotations

import dis
import re
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType
from typing import Any

from .statements import Path, Statement, attribute, reads

KINDS = re.compile(r"LOAD|STORE")
VARIABLE = re.compile(r"(?:(?:LOAD|STORE)_(?:FAST|NAME|GLOBAL|DEREF|CLOSURE|CLASSDEREF)\w*)$")
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR")
STORES = ("STORE_ATTR", "STORE_SUBSCR")
IDLE = ("CACHE", "PRECALL", "PUSH_NULL")
CHANGING = re.compile(r"STORE_(?:SUBSCR|ATTR|SLICE)|CALL|BINARY_OP")


def statements_in(code: CodeType) -> Mapping[int, Statement]:
    """For each line of a function what is done there."""
    found: dict[int, Statement] = {}
    for lines, instructions in by_lines(code):
        paths = [*mentions(instructions)]
        stores = tuple(dict.fromkeys(path for path, is_store in paths if is_store))
        loads = tuple(dict.fromkeys(path for path, is_store in paths if not is_store))
        spoken = tuple(dict.fromkeys((*stores, *loads)))
        is_pure = not any(CHANGING.match(i.opname) for i in instructions if not is_plain(i))
        changed = stores if is_pure else spoken
        statement = Statement(lines[0], "", changed, reads(loads), spoken, stores)
        found |= dict.fromkeys(lines, statement)
    return found


def is_plain(instruction: dis.Instruction) -> bool:
    """Whether it is an operation on two values that changes neither."""
    return instruction.opname == "BINARY_OP" and not instruction.argrepr.endswith("=")


def by_lines(code: CodeType) -> Iterator[tuple[range, list[dis.Instruction]]]:
    """The instructions of a function, by the lines over which their statement goes."""
    placed = [
        (i.positions.lineno, i.positions.end_lineno or i.positions.lineno, i)
        for i in dis.get_instructions(code)
        if i.positions is not None and i.positions.lineno is not None
    ]
    groups: list[range] = []
    for first, last in sorted({(first, last) for first, last, _ in placed}):
        if groups and first < groups[-1].stop:
            groups[-1] = range(groups[-1].start, max(last + 1, groups[-1].stop))
        else:
            groups.append(range(first, last + 1))
    for lines in groups:
        yield lines, [i for first, _, i in placed if first in lines]


def mentions(instructions: Iterable[dis.Instruction]) -> Iterator[tuple[Path, bool]]:
    """Each variable of which these speak, with constant keys and attributes, and whether it is
    bound.
    """
    path: Path = ()
    key: Any = None  # a constant that was loaded after the path
    for i in instructions:
        if path and is_key(i):
            key = i.argval
            continue
        inner = key_of(i, key) if path else None
        if inner is not None:
            path = (*path, inner)
        if path and (inner is None or i.opname in STORES):
            yield path, inner is not None
            path = ()
        for name, is_store in variables(i):
            if path or is_store:
                yield (path, False) if path else ((name,), True)
            path = () if is_store else (name,)
        key = None
    if path:
        yield path, False


def is_key(i: dis.Instruction) -> bool:
    """Whether an instruction loads what may be a key, or does nothing."""
    return i.opname in IDLE or (i.opname == "LOAD_CONST" and type(i.argval) in (str, int))


def key_of(i: dis.Instruction, key: Any) -> Any:
    """By which an instruction goes on from a variable; None where it does something else."""
    if i.opname in ATTRIBUTES:
        return attribute(i.argval)
    return key if i.opname in ("BINARY_SUBSCR", "STORE_SUBSCR") else None


def variables(i: dis.Instruction) -> Iterator[tuple[str, bool]]:
    """The variables that an instruction loads or stores, some of them two, and which it does."""
    if VARIABLE.match(i.opname):
        names = i.argval if isinstance(i.argval, tuple) else (i.argval,)
        kinds = KINDS.findall(i.opname)
        yield from ((name, kind == "STORE") for name, kind in zip(names, kinds))
