"""Who draws random numbers: those of one draw are not shared, nor stand in what is written."""

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
# Whose functions draw from what they are given, or from NumPy's own generator
LIBRARIES = ("numpy", "tinygrad_steel")
# What gives numbers from nowhere, or a generator, besides the classes of generators
MAKERS = (
    np.random.default_rng,
    np.random.SeedSequence,
    os.urandom,
    getattr(os, "getrandom", os.urandom),
    *(getattr(secrets, name) for name in secrets.__all__),
)
# Instructions that look a name up in an object
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")


def draws(function: Callable[..., Any], inputs: tuple[Any, ...], params: dict[str, Any]) -> bool:
    """Whether a function draws random numbers for these inputs.

    It does where it can make a generator of its own, with a seed or without: two calls may agree by
    chance, as masks do that seldom drop anything. Else it is called twice: it draws where a
    generator that it can reach has moved on (that is then put back to where it was), or where the
    results differ by more than rounding may.
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
    """Whether two results are the same but for rounding: a library may add up in another order."""
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
    """Inside the `with`, says whether one of these generators has moved; afterwards none has."""
    methods: tuple[Any, ...] = (np.random.random_sample, random.random)
    shared = [method.__self__ for method in methods]  # the ones behind np.random.* and random.*
    generators = [x for x in (*shared, *things) if is_generator(x)]
    before = [state(x) for x in generators]
    try:
        yield lambda: any(not equal(old, state(x)) for old, x in zip(before, generators))
    finally:
        for x, old in zip(generators, before):
            put_back(x, old)


def is_generator(x: Any) -> bool:
    """Whether it gives random numbers from a state that can be looked at."""
    return isinstance(x, Generator) and not isinstance(x, random.SystemRandom)


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


def reachable(function: Any) -> Iterator[Any]:
    """The generators, makers of them, and ops that a function can get at.

    It gets at things by its closure, its defaults, the globals that it names and the modules that
    it imports. Functions are followed as far as they are somebody's own, and so are the attributes
    of objects, lists and dicts. After MOST objects the search ends: what is so far away is better
    declared, with random=True.
    """
    todo: list[Any] = [function]
    seen: dict[int, Any] = {}
    while todo and len(seen) < MOST:
        x = todo.pop()
        if id(x) in seen:
            continue
        seen[id(x)] = x  # held, so that no other object gets this id
        if isinstance(x, Generator) or is_maker(x):
            yield x
            continue
        if isinstance(x, Op):
            yield x
        todo += held_by(x)


def held_by(x: Any) -> Iterable[Any]:
    """What an object holds, by its kind."""
    return next(held(x) for kind, held in HOLDERS.items() if isinstance(x, kind))


def attributes_of(x: Any) -> list[Any]:
    """The attributes of an object, and what it does when it is called."""
    found = [*getattr(x, "__dict__", {}).values()]
    if callable(x):
        found.append(type(x).__call__)
    return found


def used_by(function: types.FunctionType) -> list[Any]:
    """What a function holds or names, and what it names of modules; of a library's, nothing."""
    if is_of_a_library(function.__module__ or ""):
        return []
    known, attributes, imported = names_in(function.__code__)
    found = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    found += closed_over(function)
    found += [function.__globals__[name] for name in known if name in function.__globals__]
    modules = [x for x in found if isinstance(x, types.ModuleType)]
    modules += [sys.modules[name] for name in imported if name in sys.modules]
    return found + named_of(modules, attributes)


def closed_over(function: types.FunctionType) -> Iterator[Any]:
    """The variables of outer functions that it uses."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # a cell that is still empty
            yield cell.cell_contents


def named_of(modules: list[types.ModuleType], names: set[str]) -> list[Any]:
    """What has one of these names in a module; in a library's, makers alone."""
    found = []
    for module in modules:  # which grows by the modules in modules, as in np.random.default_rng
        named = [vars(module)[name] for name in names if name in vars(module)]
        modules += [x for x in named if isinstance(x, types.ModuleType) and x not in modules]
        own = not is_of_a_library(module.__name__)
        found += [x for x in named if own or is_maker(x)]
    return found


def is_of_a_library(module: str) -> bool:
    """Whether a module, by its name, is one whose functions draw from what they are given."""
    return module.partition(".")[0] in LIBRARIES


@functools.lru_cache(1000)
def names_in(code: types.CodeType) -> tuple[set[str], set[str], set[str]]:
    """What a function, and those inside it, name: globals, attributes, modules that they import."""
    known: set[str] = set()
    attributes: set[str] = set()
    imported: set[str] = set()
    for x in dis.get_instructions(code):
        if x.opname == "IMPORT_NAME":
            imported.add(x.argval)
        elif x.opcode in dis.hasname:
            (attributes if x.opname in ATTRIBUTES else known).add(x.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            for names, more in zip((known, attributes, imported), names_in(inner)):
                names |= more
    return known, attributes, imported


HOLDERS: dict[Any, Callable[[Any], Iterable[Any]]] = {  # the first one that fits
    Op: lambda op: [op.forward],
    types.FunctionType: used_by,
    (types.MethodType, types.BuiltinMethodType): lambda x: [
        x.__self__,
        getattr(x, "__func__", None),
    ],
    functools.partial: lambda x: [x.func, *x.args, *x.keywords.values()],
    (list, tuple): lambda x: x[:],  # not by an iterator of their own, which may have no end
    (set, frozenset): lambda x: x,
    dict: lambda x: x.values(),
    (type, types.ModuleType, np.ndarray): lambda x: (),
    object: attributes_of,
}
