"""A function of somebody's code while it runs: at which statement it stands, and what its variables hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

from .bindings import Binding, Left, Origin, Place
from .statements import Path, Statement

Tracer = Callable[[FrameType, Any, Any], Any]


@dataclasses.dataclass(eq=False, slots=True)
class Known:
    """What is known of a code object: whether it is a person's own, and the statements by line.

    `modules`: its variables that are these. `code` is held: its id comes for no other one. Code
    objects are equal whatever their file.
    """

    code: CodeType
    is_own: bool
    places: dict[int, tuple[Statement, Place]] = dataclasses.field(default_factory=dict)
    modules: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(eq=False, slots=True)
class Scope:
    """A frame that is watched.

    `known`: of its code. `statement`, `place`: at which it stands. `namespace`: its globals.
    `held`: what its variables held
    when they were last looked at; `left`: the places that could have bound them to something else
    since then, and have not. `seen`: the variables that were looked at; `spoken`: all those of
    a statement, by the id of these. `results`: what the functions that the statement calls have
    given back. `inner`: what another tracer wants of this frame.
    """

    frame: FrameType
    number: int
    known: Known
    statement: Statement
    place: Place
    namespace: dict[str, Any]
    held: dict[Path, Binding] = dataclasses.field(default_factory=dict)
    left: dict[Path, Place] = dataclasses.field(default_factory=dict)
    seen: set[Path] = dataclasses.field(default_factory=set)
    spoken: set[int] = dataclasses.field(default_factory=set)
    results: list[Binding] = dataclasses.field(default_factory=list)
    inner: Tracer | None = None

    def bind(self, path: Path, binding: Binding) -> None:
        """A variable holds this from here on."""
        self.held[path] = binding
        self.left.pop(path, None)

    def read(self, path: Path) -> Binding | None:
        """What a variable holds: who reads it reads it as the last statement has left it that could
        have bound it to something else. Most are left again and again, and read by nobody.
        """
        place = self.left.pop(path, None)
        if place is not None:
            made = self.held[path].made
            self.held[path] = Left(path, self.number, made.array, Origin(place), None, made)
        return self.held.get(path)

    def read_first(self, paths: Iterable[Path]) -> Binding | None:
        """What the first of these variables held that held anything."""
        for path in paths:
            if path in self.held:
                return self.read(path)
        return None

    def read_all(self) -> tuple[Binding, ...]:
        """What all variables hold."""
        for path in [*self.left]:
            self.read(path)
        return tuple(dict.fromkeys(self.held.values()))
