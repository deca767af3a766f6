"""Somebody's code run under a watch: each array, when and where a variable was bound to it."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from .statements import Attribute, Path, Statement, spelled_path, statements_of

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("stdlib", "platstdlib", "purelib", "platlib")
LIBRARIES = {HERE, *(os.path.realpath(sysconfig.get_path(name)) for name in FOLDERS)}
PACKAGES = ("site-packages", "dist-packages")
# Frames that Python makes for expressions; from 3.12 on it makes none for most of them.
EXPRESSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")
NUMBERS = (np.ndarray, np.generic, float)
PLAIN = (int, str, bytes, type(None))
# Methods that put something into a container, and read nothing of what is there.
FILLING = {Attribute(name) for name in ("append", "insert", "extend", "update", "appendleft")}
# Containers with more elements than this hold data, and no arrays by layer.
ELEMENTS = 1000
Tracer = Callable[[FrameType, str, Any], Any]


class Place(NamedTuple):
    """A line of somebody's code.

    `file`, `line`: where it is. `text`: the statement, in one line. `function`: in which it stands.
    """

    file: str
    line: int
    text: str
    function: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.file) or self.file}:{self.line}"


class Origin(NamedTuple):
    """Where an array comes from: the statement, and what that reads.

    `given`: it was there before the code ran. `is_argument`: a function was called with it.
    """

    where: Place
    reads: tuple[Binding, ...] = ()
    given: bool = False
    is_argument: bool = False


@dataclasses.dataclass(eq=False)
class Binding:
    """An array that a variable was bound to, as it was then.

    `path`: the variable; `owner`: the number of the frame in which it is. `array`: a copy.
    `before`: what this one was made of in place, or what the same variable held that the statement
    reads. `made`: the Binding that was the first to have this array; itself, but for another name
    of what is known. `key`: of the object. `is_shared`: whether it has other names.
    """

    path: Path
    owner: int
    array: np.ndarray
    origin: Origin
    before: Binding | None = None
    made: Binding = None  # type: ignore[assignment]
    key: int = 0
    is_shared: bool = False

    def __post_init__(self) -> None:
        if self.made is None:
            self.made = self

    @property
    def name(self) -> str:
        """The variable as one writes it."""
        return spelled_path(self.path)

    @property
    def reads(self) -> Iterator[Binding]:
        """From what it was computed: what its statement reads, and what it was before."""
        if self.made is not self:
            yield self.made
            return
        yield from (b for b in self.origin.reads if b is not self)
        if self.before is not None:
            yield self.before

    def goes_on(self, path: Path, origin: Origin) -> bool:
        """Whether the same statement adds to the same variable once more, as in a loop over rows."""
        same = self.path == path and self.origin.where is origin.where
        return same and not self.is_shared and self.made is self and self.before is not None


NOWHERE = Place("", 0, "", "")


@dataclasses.dataclass(eq=False)
class Scope:
    """A frame that is watched.

    `line`: where it stands. `held`: what its variables held when they were last looked at. `seen`:
    the variables that were looked at. `results`: what the functions that the statement calls have
    given back. `inner`: what another tracer wants of this frame.
    """

    frame: FrameType
    number: int
    line: int
    held: dict[Path, Binding] = dataclasses.field(default_factory=dict)
    seen: set[Path] = dataclasses.field(default_factory=set)
    results: list[Binding] = dataclasses.field(default_factory=list)
    inner: Tracer | None = None

    def arrays(self, path: Path) -> Iterator[tuple[Path, Any]]:
        """The arrays that a variable of the frame reaches."""
        root = self.frame.f_locals.get(path[0], self.frame.f_globals.get(path[0]))
        return iter(()) if root is None else reached(root, path)

    def is_call(self, path: Path) -> bool:
        """Whether a path ends at a method of somebody's class, which is watched itself."""
        x = self.frame.f_locals.get(path[0], self.frame.f_globals.get(path[0]))
        for key in path[1:]:
            inner = step(x, key)
            if inner is None:
                own = isinstance(key, Attribute) and not is_from_library(type(x))
                return own and hasattr(type(x), str(key))
            x = inner
        return False


class Watched(NamedTuple):
    """What came of a watch.

    `bindings`: in the order in which they were made. `returned`: the arrays in what the function
    gave back, by path. `note`: why the watch ended early, if it did.
    `error`: what the function raised.
    """

    bindings: list[Binding]
    returned: dict[Path, Binding]
    note: str
    error: Exception | None


class Watch:
    """A tracer that notes what the variables of somebody's code are bound to.

    It hands every event on to the tracer that was there before.
    """

    def __init__(self, previous: Tracer | None, own: str):
        self.previous = previous
        self.own = own
        self.bindings: list[Binding] = []
        self.objects: dict[int, tuple[Any, Binding]] = {}  # holds them: no id is used twice
        self.scopes: dict[FrameType, Scope] = {}
        self.places: dict[tuple[CodeType, int], tuple[Place, Statement]] = {}

    # The tracer

    def trace(self, frame: FrameType, event: str, arg: Any) -> Tracer | None:
        """A function is called: watch it if it is somebody's own."""
        inner = self.hand_on(self.previous, frame, event, arg)
        if not is_own(frame.f_code, self.own) or frame.f_code.co_name in EXPRESSIONS:
            return inner
        scope = self.scopes.get(frame)  # a generator goes on
        if scope is None:
            scope = Scope(frame, len(self.scopes), frame.f_lineno)
            self.scopes[frame] = scope
            self.note_arguments(scope)
        scope.inner = inner
        return functools.partial(self.trace_inside, scope)

    def trace_inside(self, scope: Scope, frame: FrameType, event: str, arg: Any) -> Any:
        """A statement of a watched function is done: note what it has changed."""
        if event in ("line", "return"):
            self.note_statement(scope)
            scope.line = frame.f_lineno
            if event == "return":
                self.note_result(scope, arg)
            else:
                self.note_first_seen(scope)
        scope.inner = self.hand_on(scope.inner, frame, event, arg)
        return functools.partial(self.trace_inside, scope)

    def hand_on(self, tracer: Tracer | None, frame: FrameType, event: str, arg: Any) -> Any:
        """What the tracer that was there before makes of an event; coverage's takes our place then,
        which is taken back.
        """
        if tracer is None:
            return None
        now = sys.gettrace()
        found = tracer(frame, event, arg)
        if sys.gettrace() is not now and sys.gettrace() is self.previous:
            sys.settrace(now)
        return found

    # What is noted

    def note_arguments(self, scope: Scope) -> None:
        """The arrays with which a function was called: those that nobody knows were made where it
        was called, if that is watched.
        """
        caller = self.scopes.get(scope.frame.f_back)  # type: ignore[arg-type]
        place, statement = self.place_of(caller or scope)
        reads = self.read_by(caller, statement) if caller else ()
        for name, value in [*scope.frame.f_locals.items()]:
            scope.seen.add((name,))
            for path, x in arrays_in(value, (name,)):
                self.note(scope, path, x, Origin(place, reads, caller is None, True))

    def note_statement(self, scope: Scope) -> None:
        """What the last statement of a scope has bound or changed."""
        place, statement = self.place_of(scope)
        origin = Origin(place, self.read_by(scope, statement))
        scope.results.clear()
        for path in self.paths_of(scope, statement):
            for at, x in scope.arrays(path):
                self.note(scope, at, x, origin)

    def note_first_seen(self, scope: Scope) -> None:
        """What the variables hold of which the next statement is the first to speak."""
        place, statement = self.place_of(scope)
        for path in self.paths_of(scope, statement):
            if path not in scope.seen:
                scope.seen.add(path)
                for at, x in scope.arrays(path):
                    if id(x) not in self.objects:
                        self.note(scope, at, x, Origin(place, given=True))

    def note_result(self, scope: Scope, result: Any) -> None:
        """What a function returns, where it has no other name."""
        place, statement = self.place_of(scope)
        origin = Origin(place, self.read_by(scope, statement))
        caller = self.scopes.get(scope.frame.f_back)  # type: ignore[arg-type]
        for path, x in arrays_in(result, (f"{scope.frame.f_code.co_name}()",)):
            if id(x) not in self.objects:
                self.note(scope, path, x, origin)
            if caller is not None:
                caller.results.append(self.objects[id(x)][1])

    def paths_of(self, scope: Scope, statement: Statement) -> Iterable[Path]:
        """The variables of which a statement speaks, those that it writes first."""
        if statement.known:
            return dict.fromkeys((*statement.stores, *statement.loads))
        return [(name,) for name in scope.frame.f_locals]

    def read_by(self, scope: Scope, statement: Statement) -> tuple[Binding, ...]:
        """What the variables that a statement reads held before it."""
        if not statement.known:
            return tuple(dict.fromkeys(scope.held.values()))
        found = dict.fromkeys(scope.results)
        for path in statement.loads:
            if path[-1] in FILLING:
                continue
            if path in scope.held:
                found[scope.held[path]] = None
                continue
            for at, x in scope.arrays(path) if not scope.is_call(path) else ():
                _, last = self.objects.get(id(x), (None, None))
                binding = scope.held.get(at, last)
                if binding is not None:
                    found[binding] = None
        return tuple(found)

    def note(self, scope: Scope, path: Path, x: Any, origin: Origin) -> None:
        """A variable holds an array, which may be known, or have changed."""
        _, last = self.objects.get(id(x), (None, None))
        held = scope.held.get(path)
        if last is None:
            before = held if held in origin.reads else None
            if (
                before is not None
                and x.__class__ is not np.ndarray
                and before.goes_on(path, origin)
            ):
                self.objects.pop(before.key)  # a number to which something is added again and again
                before.array = copied(x)
                binding = before
            else:
                binding = Binding(path, scope.number, copied(x), origin, before)
                self.bindings.append(binding)
        elif is_changed(x, last.array):
            if last.goes_on(path, origin) and last.owner == scope.number:
                np.copyto(last.array, x)
                return
            binding = Binding(path, scope.number, copied(x), origin, last)
            self.bindings.append(binding)
        elif held is not None and held.made is last:
            return
        else:
            binding = Binding(path, scope.number, last.array, origin, made=last)
            last.is_shared = True
            self.bindings.append(binding)
            scope.held[path] = binding
            return
        binding.key = id(x)
        self.objects[id(x)] = x, binding
        scope.held[path] = binding

    def place_of(self, scope: Scope) -> tuple[Place, Statement]:
        """Where a scope stands."""
        code, line = scope.frame.f_code, scope.line
        if (code, line) not in self.places:
            table = statements_of(code, scope.frame.f_globals)
            statement = table.get(line) or Statement(line, "", known=False)
            place = Place(code.co_filename, statement.line, statement.text, code.co_name)
            self.places[code, line] = place, statement
        return self.places[code, line]


def watched(function: Callable[[], Any]) -> Watched:
    """Run a function without arguments, and note what its variables are bound to."""
    previous = sys.gettrace()
    watch = Watch(previous, own_folder(function))
    tracer = watch.trace
    error, result, note = None, None, ""
    sys.settrace(tracer)
    try:
        result = function()
    except Exception as raised:  # it is raised again by who asks, with more words
        error = raised
    finally:
        if sys.gettrace() == tracer:
            sys.settrace(previous)
        else:
            note = "another tracer has taken over while the code ran: what came then was not seen"
    returned = {}
    for path, x in arrays_in(result, ("returned value",)):
        _, last = watch.objects.get(id(x), (None, None))
        returned[path] = last or Binding(path, -1, copied(x), Origin(NOWHERE))
    return Watched(watch.bindings, returned, note, error)


# Whose code


def own_folder(function: Any) -> str:
    """The package in which a person's function lies, if it was installed like a library."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    file = code.co_filename if code else ""
    return os.path.dirname(file) if is_library(file) and not file.startswith(HERE) else ""


def is_own(code: CodeType, own: str) -> bool:
    """Whether a frame runs somebody's own code."""
    file = code.co_filename
    return not is_library(file) or bool(own and file.startswith(own))


@functools.lru_cache(maxsize=4096)
def is_library(file: str) -> bool:
    """Whether a file belongs to Python, to a package that was installed, or to this library."""
    if file.startswith(("<frozen", "<__array_function__")):
        return True
    if file.startswith("<"):
        return False  # a cell, a doctest, what was typed in
    parts = os.path.realpath(file).split(os.sep)
    folders = (os.sep.join(parts[:n]) for n in range(2, len(parts)))
    return any(part in PACKAGES for part in parts) or any(f in LIBRARIES for f in folders)


# Arrays in variables


def reached(root: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """The arrays that a path reaches; where it ends early, all that is there."""
    found, at = root, [path[0]]
    for key in path[1:]:
        inner = step(found, key)
        if inner is None:
            break
        if isinstance(found, list | tuple) and key < 0:
            key += len(found)
        found = inner
        at.append(key)
    return arrays_in(found, tuple(at))


def step(x: Any, key: Any) -> Any:
    """What a container holds under a key; None where it has none, or is no container."""
    if isinstance(key, Attribute):
        return attributes(x).get(str(key))
    if isinstance(x, dict):
        return x.get(key)
    if isinstance(x, list | tuple) and isinstance(key, int) and -len(x) <= key < len(x):
        return x[key]
    return None


def arrays_in(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """The arrays that a variable holds, to any depth, each with its path."""
    todo, seen = [(path, value)], set()
    while todo:
        at, x = todo.pop()
        if isinstance(x, NUMBERS):
            if is_numbers(x):
                yield at, x
            continue
        if isinstance(x, PLAIN) or id(x) in seen:
            continue
        seen.add(id(x))
        todo += [((*at, key), inner) for key, inner in items(x)][::-1]


def is_numbers(x: Any) -> bool:
    """Whether it may be a gradient: floats, and whole numbers in an array with several of them."""
    if isinstance(x, float):
        return True
    return x.dtype.kind == "f" or (x.dtype.kind in "iub" and x.ndim > 0)


def items(x: Any) -> Iterable[tuple[Any, Any]]:
    """What a container or an object holds, with the keys."""
    if isinstance(x, dict):
        return list(x.items()) if len(x) <= ELEMENTS else ()
    if isinstance(x, list | tuple):
        return enumerate(x) if len(x) <= ELEMENTS else ()
    return [(Attribute(name), inner) for name, inner in attributes(x).items()]


def attributes(x: Any) -> dict[str, Any]:
    """The attributes of somebody's object; none of modules, and of the objects of libraries."""
    kind = type(x)
    if is_from_library(kind):
        return {}
    slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
    found = {name: getattr(x, name) for name in slots if name != "__dict__" and hasattr(x, name)}
    return {**found, **getattr(x, "__dict__", {})}


@functools.lru_cache(maxsize=1024)
def is_from_library(kind: type) -> bool:
    """Whether a class belongs to a library; SimpleNamespace is a container like any other."""
    if kind is types.SimpleNamespace:
        return False
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return kind.__module__ == "builtins" or (file is not None and is_library(file))


def copied(x: Any) -> np.ndarray:
    """The numbers of an array, as they are now."""
    return np.array(x, copy=True, order="K", subok=False)


def is_changed(x: Any, before: np.ndarray) -> bool:
    """Whether an array has other numbers than it had, bit by bit."""
    if not isinstance(x, np.ndarray):
        return False
    if x.shape != before.shape:
        return True
    if x.nbytes <= 1024:
        return x.tobytes() != before.tobytes()
    equal = x == before
    return not (equal.all() or ((x != x) & (before != before) | equal).all())
