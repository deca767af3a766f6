"""What is still there when somebody's code has come to its end: the variables of its functions are not."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import numpy as np

from .bindings import Binding
from .contents import arrays_in, items
from .watching import Watched

PLAIN = (type(None), str, bytes, int, float, complex)


def lasting(watched: Watched) -> set[int]:
    """The ids of the arrays that can be reached without a variable of a function that has ended."""
    found: set[int] = set()
    for value in roots(watched):
        for x in vars(value).values() if isinstance(value, type) else opened(value):
            found |= {id(array) for _, array in arrays_in(x, ("",))}
    return found


def roots(watched: Watched) -> Iterator[Any]:
    """What the code was called with, the variables of a cell, globals, and those of outer functions."""
    seen: set[CodeType] = set()
    for frame in watched.frames:
        code = frame.f_code
        yield from (frame.f_locals.get(name) for name in outer_variables(frame))
        if code not in seen:
            seen.add(code)
            yield from (frame.f_globals[name] for name in code.co_names if name in frame.f_globals)
    if watched.frames:
        yield from arguments(watched.frames[0])


def outer_variables(frame: FrameType) -> tuple[str, ...]:
    """The variables of a frame that do not end with it."""
    if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return frame.f_code.co_freevars
    return tuple(frame.f_locals)  # a cell's, or a class's


def arguments(frame: FrameType) -> Iterator[Any]:
    """What a function was called with."""
    info = inspect.getargvalues(frame)
    for name in (*info.args, info.varargs, info.keywords):
        if name is not None:
            yield info.locals.get(name)


def opened(value: Any) -> list[Any]:
    """What is in a container of a library's that holds anything; else the value itself."""
    is_open = type(value) is deque or (type(value) is np.ndarray and value.dtype == object)
    return [*value] if is_open else [value]


def is_opaque(value: Any) -> bool:
    """Whether what was given back is, or holds, something into which nobody looks: a generator, an
    array of objects, an object of a library's.
    """
    todo, seen = [value], set()
    while todo:
        x = todo.pop()
        if id(x) in seen or issubclass(type(x), PLAIN):
            continue
        seen.add(id(x))
        is_numbers = issubclass(type(x), np.ndarray | np.generic) and x.dtype.kind in "fiub"
        inside = [inner for _, inner in items(x)]
        if not is_numbers and not inside and not is_sized(x):
            return True
        todo += inside
    return False


def is_sized(x: Any) -> bool:
    """Whether it is a container of Python's own, into which one looks."""
    return issubclass(type(x), dict | list | tuple)


def lasts(b: Binding, ids: set[int]) -> bool:
    """Whether an array is among these, or one of which it consists."""
    return any(one.made.key in ids for one in (b, *b.parts))
