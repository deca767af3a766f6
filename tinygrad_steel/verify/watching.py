"""Somebody's code run under a watch: each array, when and where a variable was bound to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from .bindings import NOWHERE, Binding, Left, Origin, Place
from .contents import arrays_at, arrays_in, copied, is_call, is_changed
from .ownership import is_own, own_folder
from .scopes import Known, Scope, Tracer
from .statements import Path, Statement, statements_of

FEW = 1024  # of so many bytes a copy is compared at once
MOST = 2**31  # how many bytes the copies may have together

NO_PATH: Path = ()
UNKNOWN = None, None, None  # in place of what is known of an object
NOTHING_YET = Statement(0, "")


class Watched(NamedTuple):
    """What came of a watch.

    `bindings`: in the order in which they were made. `returned`: the arrays in what the function
    gave back, by path. `note`: why the watch ended early, if it did.
    `error`: what the function raised. `result`: what it gave back; `returned_at`: where.
    `frames`: those of somebody's code. `is_full`: whether there was more than is kept.
    `is_first_round`: whether later rounds of training were left out.
    """

    bindings: list[Binding]
    returned: dict[Path, Binding]
    note: str
    error: Exception | None
    result: Any
    returned_at: Place
    frames: tuple[FrameType, ...]
    is_full: bool = False
    is_first_round: bool = False


class Watch:
    """A tracer that notes what the variables of somebody's code are bound to.

    It hands every event on to the tracer that was there before.
    """

    def __init__(self, previous: Tracer | None, own: str):
        self.previous = previous
        self.own = own
        self.bindings: list[Binding] = []
        # An object, the Binding to it and its bytes if they are few. It is held: no id comes twice.
        self.objects: dict[int, tuple[Any, Binding, bytes | None]] = {}
        self.scopes: dict[FrameType, Scope] = {}
        self.codes: dict[int, Known] = {}
        self.tables: dict[tuple[str, bool], Mapping[int, Statement]] = {}
        self.bytes = 0
        self.full_at: Place | None = None  # where there were too many of them
        # What a function has given back last, and the innermost place that did.
        self.last_result: tuple[Any, Place] = None, NOWHERE

    # The tracer

    def trace(self, frame: FrameType, event: str, arg: Any) -> Tracer | None:
        """A function is called: watch it if it is somebody's own."""
        inner = None if self.previous is None else self.hand_on(self.previous, frame, event, arg)
        if self.full_at or not self.known(frame.f_code).is_own:
            return inner
        scope = self.scopes.get(frame)  # a generator goes on
        if scope is None:
            known = self.known(frame.f_code)
            _, place = self.place_of(frame, known)
            scope = Scope(frame, len(self.scopes), known, NOTHING_YET, place, frame.f_globals)
            self.scopes[frame] = scope
            self.note_arguments(scope)
        scope.inner = inner
        return self.tracer_of(scope)

    def tracer_of(self, scope: Scope) -> Tracer:
        """What is told of each line of a frame."""

        def trace_inside(frame: FrameType, event: str, arg: Any) -> Any:
            if event in ("line", "return") and not self.full_at:
                variables = frame.f_locals
                self.note_statement(scope, variables)
                scope.statement, scope.place = self.place_of(frame, scope.known)
                if event == "line":
                    self.note_first_seen(scope, variables)
                else:
                    self.note_result(scope, arg, variables)
                scope.results.clear()
            if scope.inner is not None:
                scope.inner = self.hand_on(scope.inner, frame, event, arg)
            return trace_inside

        return trace_inside

    def hand_on(self, tracer: Tracer, frame: FrameType, event: str, arg: Any) -> Any:
        """What the tracer that was there before makes of an event; coverage's takes our place then,
        which is taken back.
        """
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
        reads = self.read_by(caller, caller.frame.f_locals) if caller else ()
        is_given = caller is None or is_mere_call(caller)
        origin = Origin((caller or scope).place, reads, is_given, True)
        for name, value in [*scope.frame.f_locals.items()]:
            path = (name,)
            scope.seen.add(path)
            for at, x in arrays_in(value, path):
                self.note(scope, at, x, origin)

    def note_statement(self, scope: Scope, variables: Mapping[str, Any]) -> None:
        """What the last statement of a scope has bound or changed."""
        statement, origin, name_origin = scope.statement, None, None
        objects, held, modules = self.objects, scope.held, scope.known.modules
        changed = statement.changed if statement.known else [(name,) for name in variables]
        for path in changed:
            is_bound = path in statement.bound
            if path[0] in modules:
                if not is_bound:
                    continue
                modules.discard(path[0])  # a variable with a module's name, as `random`
            for at, x in arrays_at(path, variables, scope.namespace):
                _, made, few = objects.get(id(x), UNKNOWN)
                if made is None or is_changed(x, made.array, few):
                    if origin is None or statement.parts:
                        origin = Origin(scope.place, self.read_by(scope, variables, at))
                    note = self.note_new if made is None else self.note_changed
                    note(scope, at, x, origin)
                    if made is not None and x.base is not None:
                        self.note_base(scope, x.base, origin)
                    continue
                before = held.get(at)
                if before is None or before.made is not made:
                    name_origin = name_origin or Origin(scope.place)
                    self.note_name(scope, at, made, name_origin)
                elif is_bound:
                    scope.left[at] = scope.place
        if statement.inside:
            self.note_skipped(scope, variables)

    def note_base(self, scope: Scope, base: Any, origin: Origin) -> None:
        """The array of which a part was changed in place, if a variable of this frame holds it."""
        entry = self.objects.get(id(base))
        if entry is not None and entry[1].owner == scope.number:
            if is_changed(base, entry[1].array, entry[2]):
                self.note_changed(scope, entry[1].path, base, origin)

    def note_skipped(self, scope: Scope, variables: Mapping[str, Any]) -> None:
        """What a variable holds to which the body of an `if` assigns, perhaps: if it is not run, the
        step that was left out is there.
        """
        for path in scope.statement.inside:
            for at, x in arrays_at(path, variables, scope.namespace):
                entry = self.objects.get(id(x))
                held = scope.held.get(at)
                if entry is not None and held is not None and held.made is entry[1]:
                    scope.left[at] = scope.place

    def note_first_seen(self, scope: Scope, variables: Mapping[str, Any]) -> None:
        """What the variables hold of which the next statement is the first to speak."""
        spoken = scope.statement.spoken
        if id(spoken) in scope.spoken:
            return
        scope.spoken.add(
            id(spoken)
        )  # which the statement holds, and the table of the file that one
        namespace = scope.namespace
        for path in spoken:
            if path in scope.seen or path[0] in scope.known.modules:
                continue
            scope.seen.add(path)
            if path[0] not in variables and type(namespace.get(path[0])) is ModuleType:
                scope.known.modules.add(path[0])
                continue
            for at, x in arrays_at(path, variables, namespace):
                if id(x) not in self.objects:
                    self.note_new(scope, at, x, Origin(scope.place, given=True))

    def note_result(self, scope: Scope, result: Any, variables: Mapping[str, Any]) -> None:
        """What a function returns, where it has no other name."""
        if result is not self.last_result[0]:
            self.last_result = result, scope.place
        caller = self.scopes.get(scope.frame.f_back)  # type: ignore[arg-type]
        for path, x in arrays_in(result, (f"{scope.frame.f_code.co_name}()",)):
            entry = self.objects.get(id(x))
            if entry is None or is_changed(x, entry[1].array, entry[2]):
                origin = Origin(scope.place, self.read_by(scope, variables, path))
                known = entry[1] if entry is not None else None
                is_mine = known is not None and known.owner == scope.number
                self.note(scope, known.path if known and is_mine else path, x, origin)
            if caller is not None:
                caller.results.append(self.objects[id(x)][1])

    def read_by(
        self, scope: Scope, variables: Mapping[str, Any], at: Path = NO_PATH
    ) -> tuple[Binding, ...]:
        """What the variables that a statement reads, for what is bound there, held before it."""
        statement, modules, namespace = scope.statement, scope.known.modules, scope.namespace
        if not statement.known:
            return scope.read_all()
        found = dict.fromkeys(scope.results)
        for paths in statement.read_for(at) if at and statement.parts else statement.read:
            known = scope.read_first(paths)
            if known is not None:
                found[known] = None
            elif paths[0][0] not in modules and not is_call(paths[0], variables, namespace):
                for at, x in arrays_at(paths[0], variables, namespace):
                    binding = scope.read(at) or self.objects.get(id(x), (None, None))[1]
                    if binding is not None:
                        found[binding] = None
        return tuple(found)

    def note(self, scope: Scope, path: Path, x: Any, origin: Origin) -> None:
        """A variable holds an array, which may be known, or have changed."""
        entry = self.objects.get(id(x))
        if entry is None:
            self.note_new(scope, path, x, origin)
        elif is_changed(x, entry[1].array, entry[2]):
            self.note_changed(scope, path, x, origin)
        elif path not in scope.held or scope.held[path].made is not entry[1]:
            self.note_name(scope, path, entry[1], origin)

    def note_name(self, scope: Scope, path: Path, made: Binding, origin: Origin) -> None:
        """A variable holds what is known."""
        made.is_shared = True
        binding = Binding(path, scope.number, made.array, origin, None, made)
        self.bindings.append(binding)
        scope.bind(path, binding)

    def note_new(self, scope: Scope, path: Path, x: Any, origin: Origin) -> None:
        """A variable holds an array that nobody knows."""
        held = scope.read(path)
        before = held if held in origin.reads else None
        if isinstance(before, Left):
            before = before.made
        if before is not None and not isinstance(x, np.ndarray) and before.goes_on(path, origin):
            del self.objects[before.key]  # a number to which something is added again and again
            before.go_on(x, origin.reads)
            self.remember(scope, before, x)
            return
        self.note_made(scope, path, x, origin, before)

    def note_changed(self, scope: Scope, path: Path, x: Any, origin: Origin) -> None:
        """An array has changed in place."""
        last = self.objects[id(x)][1]
        if last.goes_on(path, origin) and last.owner == scope.number:
            last.go_on(x, origin.reads)
            self.remember(scope, last, x)
            return
        self.note_made(scope, path, x, origin, last)

    def note_made(
        self, scope: Scope, path: Path, x: Any, origin: Origin, before: Binding | None
    ) -> None:
        """Numbers that are new, of which a copy is kept; the watch ends where these are too many."""
        binding = Binding(path, scope.number, copied(x), origin, before)
        self.bindings.append(binding)
        self.bytes += binding.array.nbytes
        if self.bytes > MOST:
            self.full_at = self.full_at or scope.place
        self.remember(scope, binding, x)

    def remember(self, scope: Scope, binding: Binding, x: Any) -> None:
        """A variable holds this array now."""
        binding.key = id(x)
        few = x.tobytes() if isinstance(x, np.ndarray) and x.nbytes <= FEW else None
        self.objects[id(x)] = x, binding, few
        scope.bind(binding.path, binding)

    def place_of(self, frame: FrameType, known: Known) -> tuple[Statement, Place]:
        """The statement at which a frame stands."""
        line = frame.f_lineno
        at = known.places.get(line)
        if at is None:
            code = known.code
            found = self.table_of(code, frame).get(line) or known.without_source(line)
            place = Place(code.co_filename, found.line, found.text, code.co_name)
            at = known.places[line] = found, place
        return at

    def table_of(self, code: CodeType, frame: FrameType) -> Mapping[int, Statement]:
        """The statements of the file in which a function stands, looked for once in a run."""
        key = code.co_filename, code.co_name == "<lambda>"
        if key not in self.tables:
            self.tables[key] = statements_of(code, frame.f_globals)
        return self.tables[key]

    def known(self, code: CodeType) -> Known:
        """What is known of a code object."""
        found = self.codes.get(id(code))
        if found is None:
            found = self.codes[id(code)] = Known(code, is_own(code, self.own))
        return found

    @property
    def why_ended(self) -> str:
        """Why not all was seen, if so."""
        if self.full_at is None:
            return ""
        return (
            f"the arrays have more than {MOST / 2**30:.3g} GiB together: what came after "
            f"{self.full_at} was not seen; hand over one step of training, or a smaller batch"
        )


def is_mere_call(scope: Scope) -> bool:
    """Whether a frame is that of `lambda: backward(x, y)`, which only hands something over."""
    return scope.number == 0 and scope.frame.f_code.co_name == "<lambda>"


def watched(function: Callable[[], Any]) -> Watched:
    """Run a function without arguments, and note what its variables are bound to."""
    previous = sys.gettrace()
    watch = Watch(previous, own_folder(function))
    tracer = watch.trace
    error, result, taken_over = None, None, ""
    sys.settrace(tracer)
    try:
        result = function()
    except Exception as raised:  # it is raised again by who asks, with more words
        error = raised
    finally:
        if sys.gettrace() == tracer:
            sys.settrace(previous)
        else:
            taken_over = (
                "another tracer has taken over while the code ran: what came then was not seen"
            )
    returned = {}
    for path, x in arrays_in(result, ("returned value",)):
        _, last, few = watch.objects.get(id(x), (None, None, None))
        if last is None or (watch.full_at and is_changed(x, last.array, few)):
            last = Binding(path, -1, copied(x), Origin(NOWHERE), last)
            last.key = id(x)
        returned[path] = last
    returned_at = watch.last_result[1] if watch.last_result[0] is result else NOWHERE
    return Watched(
        watch.bindings,
        returned,
        taken_over or watch.why_ended,
        error,
        result,
        returned_at,
        tuple(watch.scopes),
        bool(watch.full_at),
    )
