"""What a function can reach of generators, makers of them, and ops."""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..ops.op import Op
from .generators import Generator, is_maker

MOST = 10_000
# Whose functions draw from what they are given, or from NumPy's own generator
LIBRARIES = ("numpy", "tinygrad_steel")
# Instructions that look a name up in an object
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")


def reachable(function: Any) -> Iterator[Any]:
    """The generators, makers of them, and ops that a function can get at.

    It gets at things by its closure, its defaults, the globals that it names and the modules that
    it imports. Functions are followed as far as they are somebody's own, so are the attributes of
    objects, lists and dicts, and of the methods of a class those that are called by name. After
    MOST objects the search ends: what is so far away is better declared, with random=True.
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
    called = methods_of(type(x), {"__call__"}) if callable(x) else []
    return [*variables_of(x).values(), *called]


def variables_of(x: Any) -> dict[str, Any]:
    """The attributes of an object by name, in its dictionary and in slots."""
    slots = [name for cls in type(x).__mro__ for name in vars(cls).get("__slots__", ())]
    in_slots = {name: getattr(x, name) for name in slots if hasattr(x, name)}
    return in_slots | getattr(x, "__dict__", {})


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
    return found + named_of(modules, attributes) + methods_named(found, attributes)


def of_method(method: types.MethodType | types.BuiltinMethodType) -> list[Any]:
    """The object of a method, its function, and the methods that this calls of the object."""
    owner, function = method.__self__, getattr(method, "__func__", None)
    if not isinstance(function, types.FunctionType):
        return [owner]
    return [owner, function, *methods_named([owner], names_in(function.__code__)[1])]


def methods_named(things: list[Any], names: set[str]) -> list[Any]:
    """The methods by these names that things have, or what stands in their attributes by these.

    A class may be called, and its object.
    """
    things, found = [*things], []
    for x in things:  # which grows by what is in x, as in model.dropout.mask(x)
        if isinstance(x, type):
            found += methods_of(x, {"__init__", "__call__", *names})
            continue
        found += methods_of(type(x), names)
        inner = [value for name, value in variables_of(x).items() if name in names]
        things += [value for value in inner if not any(value is known for known in things)]
    return found


def methods_of(cls: type, names: set[str]) -> list[types.FunctionType]:
    """The functions by these names in a class, and those of it that they name in turn."""
    found: dict[str, types.FunctionType] = {}
    todo = [*names]
    while todo:
        name = todo.pop()
        member = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
        function = function_in(member)
        if name not in found and function is not None:
            found[name] = function
            todo += names_in(function.__code__)[1]
    return [*found.values()]


def function_in(member: Any) -> types.FunctionType | None:
    """The function behind what stands in a class; None where there is none."""
    if isinstance(member, staticmethod | classmethod):
        member = member.__func__
    elif isinstance(member, property):
        member = member.fget
    elif isinstance(member, functools.cached_property):
        member = member.func
    return member if isinstance(member, types.FunctionType) else None


def closed_over(function: types.FunctionType) -> Iterator[Any]:
    """The variables of outer functions that it uses."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # a cell that is still empty
            yield cell.cell_contents


def named_of(modules: list[types.ModuleType], names: set[str]) -> list[Any]:
    """What has one of these names in a module; in a library's, makers and what draws alone.

    By `sys` one gets at all that is loaded, and so do the functions of `warnings`: that is not
    looked into, or it would depend on what else is loaded whether a function draws.
    """
    found = []
    for module in modules:  # which grows by the modules in modules, as in np.random.default_rng
        if module is sys:
            continue
        named = [vars(module)[name] for name in names if name in vars(module)]
        modules += [x for x in named if isinstance(x, types.ModuleType) and x not in modules]
        own = not is_of_a_library(module.__name__)
        found += [x for x in named if own or is_maker(x) or of_a_generator(x)]
    return found


def of_a_generator(x: Any) -> bool:
    """Whether it is a method of a generator, as np.random.normal is."""
    return isinstance(getattr(x, "__self__", None), Generator)


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
    (types.MethodType, types.BuiltinMethodType): of_method,
    functools.partial: lambda x: [x.func, *x.args, *x.keywords.values()],
    (list, tuple): lambda x: x[:],  # not by an iterator of their own, which may have no end
    (set, frozenset): lambda x: x,
    dict: lambda x: x.values(),
    (type, types.ModuleType, np.ndarray): lambda x: (),
    object: attributes_of,
}
