"""Who draws random numbers. What was drawn once must not be shared by two calls, nor stand in what is written."""

from __future__ import annotations

import contextlib
import dis
import functools
import os
import random
import secrets
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..ops.op import Op

Generator = np.random.Generator | np.random.RandomState | np.random.BitGenerator | random.Random
MOST = 10_000
LIBRARIES = (
    "numpy",
    "tinygrad_steel",
)  # whose functions draw from what they are given, or from NumPy's own generator
# What gives numbers from nowhere, or a generator, besides the classes of generators
MAKERS = [
    np.random.default_rng,
    np.random.SeedSequence,
    os.urandom,
    getattr(os, "getrandom", os.urandom),
]
MAKERS += [getattr(secrets, name) for name in secrets.__all__]
ATTRIBUTES = (
    "LOAD_ATTR",
    "LOAD_METHOD",
    "IMPORT_FROM",
)  # instructions that look a name up in an object


def draws(function: Callable, inputs: tuple, params: dict[str, Any]) -> bool:
    """Whether a function draws random numbers for these inputs.

    It does where it can make a generator of its own, with a seed or without: two calls may agree by chance, as masks
    do that seldom drop anything. Else it is called twice: it draws where a generator that it can reach has moved on
    (that is then put back to where it was), or where the results differ by more than rounding may.
    """
    found = [*reachable(function)]
    if any(is_maker(x) or (isinstance(x, Op) and x.random) for x in found):
        return True
    with moved(found) as has_moved, np.errstate(all="ignore"):
        first = function(*inputs, **params)
        return has_moved() or not alike(first, function(*inputs, **params))


def is_maker(x: Any) -> bool:
    """Whether this makes generators or random numbers that no generator within reach tells of."""
    if isinstance(x, type) and issubclass(x, Generator):
        return True
    return isinstance(x, random.SystemRandom) or any(x is maker for maker in MAKERS)


def alike(a: Any, b: Any) -> bool:
    """Whether two results are the same but for rounding, as a library may add up in another order."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return a.dtype.kind not in "iub" or np.array_equal(a, b)
    size = np.max(np.abs(a), initial=0, where=np.isfinite(a))
    return np.allclose(a, b, rtol=0, atol=np.sqrt(np.finfo(a.dtype).eps) * size, equal_nan=True)


@contextlib.contextmanager
def moved(things: Iterable[Any]) -> Iterator[Callable[[], bool]]:
    """Inside the `with`: a function that says whether one of these generators has moved; afterwards none has."""
    own = [
        np.random.random_sample.__self__,
        random.random.__self__,
    ]  # those behind np.random.* and random.*
    generators = [
        x
        for x in (*own, *things)
        if isinstance(x, Generator) and not isinstance(x, random.SystemRandom)
    ]
    before = [state(x) for x in generators]
    try:
        yield lambda: any(not equal(old, state(x)) for old, x in zip(before, generators))
    finally:
        for x, old in zip(generators, before):
            put_back(x, old)


def state(generator: Any) -> Any:
    """Where a generator is in its sequence."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate() if isinstance(generator, random.Random) else generator.state


def put_back(generator: Any, old: Any) -> None:
    """Set a generator to a state."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = old
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(old)
    elif isinstance(generator, random.Random):
        generator.setstate(old)
    else:
        generator.state = old


def equal(a: Any, b: Any) -> bool:
    """Whether two states are the same: numbers, arrays, and dicts of them."""
    if isinstance(a, dict):
        return all(equal(v, b[k]) for k, v in a.items())
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def reachable(function: Any) -> Iterator[Any]:  # noqa: C901 (still to be split)
    """The generators, makers of them, and ops that a function can get at.

    It gets at things by its closure, its defaults, the globals that it names and the modules that it imports.

    Functions are followed as far as they are somebody's own, and so are the attributes of objects, lists and dicts.
    After MOST objects the search ends: what is so far away is better declared, with random=True.
    """
    todo, seen = [function], {}
    while todo and len(seen) < MOST:
        x = todo.pop()
        if id(x) in seen:
            continue
        seen[id(x)] = x  # held, so that no other object gets this id
        if isinstance(x, Generator) or is_maker(x):
            yield x
        elif isinstance(x, Op):
            yield x
            todo.append(x.forward)
        elif isinstance(x, types.FunctionType):
            if (x.__module__ or "").partition(".")[0] not in LIBRARIES:
                todo += used_by(x)
        elif isinstance(x, types.MethodType | types.BuiltinMethodType):
            todo += [x.__self__, getattr(x, "__func__", None)]
        elif isinstance(x, functools.partial):
            todo += [x.func, *x.args, *x.keywords.values()]
        elif isinstance(x, list | tuple):
            todo += x[:]  # not by an iterator of their own, which may have no end
        elif isinstance(x, set | frozenset):
            todo += x
        elif isinstance(x, dict):
            todo += x.values()
        elif not isinstance(x, type | types.ModuleType | np.ndarray):
            todo += getattr(x, "__dict__", {}).values()
            if callable(x):
                todo.append(type(x).__call__)


def used_by(function: types.FunctionType) -> list[Any]:
    """What a function holds or names, and what it names of modules."""
    found = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # a cell that is still empty
            found.append(cell.cell_contents)
    known, attributes, imported = names_in(function.__code__)
    found += [function.__globals__[name] for name in known if name in function.__globals__]
    modules = [x for x in found if isinstance(x, types.ModuleType)]
    modules += [sys.modules[name] for name in imported if name in sys.modules]
    for module in modules:  # which grows by the modules in modules, as in np.random.default_rng
        named = [vars(module)[name] for name in attributes if name in vars(module)]
        modules += [x for x in named if isinstance(x, types.ModuleType) and x not in modules]
        own = module.__name__.partition(".")[0] not in LIBRARIES
        found += [x for x in named if own or is_maker(x)]
    return found


@functools.lru_cache(1000)
def names_in(code: types.CodeType) -> tuple[set[str], set[str], set[str]]:
    """What a function, and those written inside it, name: globals, attributes, and modules that they import."""
    known, attributes, imported = set(), set(), set()
    for x in dis.get_instructions(code):
        if x.opname == "IMPORT_NAME":
            imported.add(x.argval)
        elif x.opcode in dis.hasname:
            (attributes if x.opname in ATTRIBUTES else known).add(x.argval)
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            for names, more in zip((known, attributes, imported), names_in(x)):
                names |= more
    return known, attributes, imported
