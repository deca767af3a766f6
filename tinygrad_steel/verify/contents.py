"""The arrays that variables hold, also inside containers and objects.

None of a person's own methods is called for that: not those of a subclass of dict or list, and not
`__getattr__`; `isinstance` would ask an object for its `__class__`.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .ownership import is_library
from .statements import Attribute, Path, attribute

ARRAY = np.ndarray  # looked up for each variable at each line
NUMBERS = (ARRAY, np.generic, float)
SEQUENCES = (list, tuple)
# What a variable may be and holds no array.
NO_CONTAINERS = {
    int,
    bool,
    str,
    bytes,
    type(None),
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    type,
    np.ufunc,
    range,
}
# What a class may have that runs code of its own.
WATCHED = (types.FunctionType, property, classmethod, staticmethod)
MADE_BY_CLASS = 1 << 9  # the flag of types that Python code has made
# Containers with more elements than this hold data, and no arrays by layer; of arrays of more bytes
# no copy is made.
ELEMENTS, BYTES = 1000, 2**30


def arrays_at(
    path: Path, variables: Mapping[str, Any], namespace: Mapping[str, Any]
) -> Iterable[tuple[Path, Any]]:
    """The arrays that a path reaches; where it ends early, all that is there."""
    name = path[0]
    found = variables[name] if name in variables else namespace.get(name)
    kind = type(found)
    if kind is ARRAY:
        return ((path[:1], found),) if holds_numbers(found) else ()
    if kind in NO_CONTAINERS:
        return ()
    if len(path) == 1:
        return arrays_in(found, path)
    at = [name]
    for key in path[1:]:
        inner = step(found, key)
        if inner is None:
            break
        if is_sequence(found) and isinstance(key, int) and key < 0:
            key += length(found)
        found = inner
        at.append(key)
    return arrays_in(found, tuple(at))


def is_call(path: Path, variables: Mapping[str, Any], namespace: Mapping[str, Any]) -> bool:
    """Whether a path ends at a method of somebody's class, which is watched itself."""
    x = variables.get(path[0], namespace.get(path[0]))
    for key in path[1:]:
        inner = step(x, key)
        if inner is None:
            kind: Any = type(x)
            if not isinstance(key, Attribute) or is_from_library(kind):
                return False
            return type(of_class(kind, key.name)) in WATCHED
        x = inner
    return False


def step(x: Any, key: Any) -> Any:
    """What a container holds under a key; None where it has none, or is no container."""
    if isinstance(key, Attribute):
        return attributes(x).get(key.name)
    kind = type(x)
    if issubclass(kind, dict):
        return dict.get(x, key)
    if is_sequence(x) and isinstance(key, int) and -length(x) <= key < length(x):
        return plain(kind).__getitem__(x, key)
    return None


def is_sequence(x: Any) -> bool:
    """Whether it is a list or a tuple."""
    return issubclass(type(x), SEQUENCES)


def length(x: Any) -> int:
    """How many elements a dict, a list or a tuple has."""
    return plain(type(x)).__len__(x)  # type: ignore[no-any-return]


def plain(kind: type) -> Any:
    """The class of Python's own from which that of a container comes."""
    if issubclass(kind, dict):
        return dict
    return list if issubclass(kind, list) else tuple


def of_class(kind: type, name: str) -> Any:
    """What a class has under a name, as it stands there; None where it has nothing."""
    for base in kind.__mro__:
        found = base.__dict__.get(name)
        if found is not None:
            return found
    return None


def arrays_in(value: Any, path: Path) -> Iterable[tuple[Path, Any]]:
    """The arrays that a variable holds, to any depth, each with its path."""
    if issubclass(type(value), NUMBERS):
        return ((path, value),) if is_numbers(value) else ()
    if type(value) in NO_CONTAINERS:
        return ()
    return arrays_inside(value, path)


def arrays_inside(container: Any, path: Path) -> list[tuple[Path, Any]]:
    """The arrays in a container, to any depth."""
    found: list[tuple[Path, Any]] = []
    seen = {id(container)}
    todo = [(path, iter(items(container)))]
    while todo:
        at, inside = todo[-1]
        for key, x in inside:
            kind = type(x)
            if kind is ARRAY:
                if holds_numbers(x):
                    found.append(((*at, key), x))
            elif issubclass(kind, NUMBERS):
                if is_numbers(x):
                    found.append(((*at, key), x))
            elif kind not in NO_CONTAINERS and id(x) not in seen:
                seen.add(id(x))
                todo.append(((*at, key), iter(items(x))))
                break
        else:
            todo.pop()
    return found


def is_numbers(x: Any) -> bool:
    """Whether it may be a gradient: a float, or an array of numbers."""
    return issubclass(type(x), float) or holds_numbers(x)


def holds_numbers(x: Any) -> bool:
    """Whether an array may be a gradient: floats, and whole numbers where there are several."""
    kind = x.dtype.kind
    return (kind == "f" or (kind in "iub" and x.ndim > 0)) and x.nbytes <= BYTES


def items(x: Any) -> Iterable[tuple[Any, Any]]:
    """What a container or an object holds, with the keys."""
    kind = type(x)
    if kind is list:
        return enumerate(x) if len(x) <= ELEMENTS else ()
    if issubclass(kind, dict):
        return list(dict.items(x)) if dict.__len__(x) <= ELEMENTS else ()
    if issubclass(kind, SEQUENCES) and not fields_of(kind):
        return enumerate(plain(kind).__iter__(x)) if length(x) <= ELEMENTS else ()
    return [(attribute(name), inner) for name, inner in attributes(x).items()]


def attributes(x: Any) -> dict[str, Any]:
    """The attributes of somebody's object; none of modules, and of the objects of libraries."""
    kind: Any = type(x)
    if issubclass(kind, tuple):
        return dict(zip(fields_of(kind), tuple.__iter__(x)))
    if is_from_library(kind):
        return {}
    try:
        found = object.__getattribute__(x, "__dict__")  # runs none of the object's own code
    except AttributeError:
        found = {}
    slots = slots_of_class(kind)
    if not slots:
        return found  # type: ignore[no-any-return]
    found = dict(found)
    for name, slot in slots.items():
        try:
            found[name] = slot.__get__(x, kind)
        except AttributeError:  # nothing is there yet
            continue
    return found


@functools.lru_cache(maxsize=1024)
def fields_of(kind: type) -> tuple[str, ...]:
    """The names of the elements of a named tuple."""
    found = of_class(kind, "_fields") if issubclass(kind, tuple) else None
    return found if isinstance(found, tuple) else ()


@functools.lru_cache(maxsize=1024)
def slots_of_class(kind: type) -> Mapping[str, types.MemberDescriptorType]:
    """The attributes that a class keeps elsewhere than in a dict, private ones under the name that
    Python gives them.
    """
    own = [base for base in kind.__mro__[::-1] if base.__flags__ & MADE_BY_CLASS]
    found = ((name, slot) for base in own for name, slot in vars(base).items())
    return {name: slot for name, slot in found if type(slot) is types.MemberDescriptorType}


@functools.lru_cache(maxsize=1024)
def is_from_library(kind: type) -> bool:
    """Whether a class belongs to a library; SimpleNamespace is a container like any other."""
    if kind is types.SimpleNamespace or kind.__module__ == "__main__":  # whatever runs it
        return False
    if not kind.__flags__ & MADE_BY_CLASS:
        return True
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return file is not None and is_library(file)


def copied(x: Any) -> np.ndarray:
    """The numbers of an array, as they are now."""
    if type(x) is ARRAY:
        return x.copy("K")
    return np.array(x, copy=True, order="K", subok=False)


def is_changed(x: Any, before: np.ndarray, few: bytes | None) -> bool:
    """Whether an array has other numbers than it had, bit by bit; `few`: its bytes then."""
    if few is not None:
        return x.tobytes() != few  # type: ignore[no-any-return]
    if not isinstance(x, ARRAY):
        return False
    if x.shape != before.shape:
        return True
    equal = x == before
    if type(equal) is ARRAY and np.count_nonzero(equal) == x.size:
        return False  # found in half the time that `all` takes
    return not (equal.all() or ((x != x) & (before != before) | equal).all())
