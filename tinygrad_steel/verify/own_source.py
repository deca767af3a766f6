"""The functions of somebody's code in which gradients were made, as they stand in their source."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

from ..engine.line import tree_of
from ..engine.places import name_of_file
from .bindings import Place
from .fields import with_words
from .statements import first_line

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)


@with_words
class Source(NamedTuple):
    """A function of somebody's own in which gradients were made, or a whole cell.

    Attributes
    ----------
    file : str
        Where it is, as a `Place` has it.
    function : str
        What it is called, with its class.
    start : int
        The number of its first line.
    lines : tuple of str
        Its text.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, compare_backprop
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> def backprop():
    ...     return x.numpy() * 0 + 3
    >>> compare_backprop((x * 3).sum(), backprop=backprop).sources[0].lines
    ('def backprop():', '    return x.numpy() * 0 + 3')
    """

    file: str
    function: str
    start: int
    lines: tuple[str, ...]

    @property
    def called(self) -> str:
        """Its file by the base name, or the number of its cell in a notebook."""
        return name_of_file(self.file)

    def holds(self, place: Place | None) -> bool:
        """Whether a line is one of these.

        Parameters
        ----------
        place : Place or None
            The line.

        Returns
        -------
        bool
            False for None.
        """
        if place is None or place.file != self.file:
            return False
        return 0 <= place.line - self.start < len(self.lines)


def sources_of(frames: Iterable[FrameType], places: Iterable[Place | None]) -> list[Source]:
    """The functions in which these lines stand, each once, in the order of the lines; one inside
    another is a part of that. Nothing of code without a source.
    """
    codes = {id(frame.f_code): frame for frame in frames}.values()
    found: dict[Source, None] = {}
    for place in filter(None, places):
        if any(source.holds(place) for source in found):
            continue
        sources = (source_of(frame.f_code, frame.f_globals) for frame in running(codes, place))
        source = next((source for source in sources if source and source.holds(place)), None)
        if source is not None:
            found[source] = None
    return [*found]


def running(frames: Iterable[FrameType], place: Place) -> Iterator[FrameType]:
    """The frames that may have run a line, the innermost of several functions of a name first."""
    codes = [(frame, frame.f_code) for frame in frames]
    called = [f for f, c in codes if (c.co_filename, c.co_name) == (place.file, place.function)]
    first = sorted(called, key=lambda frame: -frame.f_code.co_firstlineno)
    yield from (frame for frame in first if frame.f_code.co_firstlineno <= place.line)


def source_of(code: CodeType, namespace: dict[str, Any]) -> Source | None:
    """The lines of a function; None where there are none, or they are no Python."""
    lines = linecache.getlines(code.co_filename, namespace)
    name, span = code.co_qualname.rpartition("<locals>.")[2], range(1, len(lines) + 1)
    if code.co_name != "<module>":
        name, span = definition(code, lines, name)
    if not span:
        return None
    text = tuple(line.rstrip("\n") for line in lines[span.start - 1 : span.stop - 1])
    return Source(code.co_filename, name, span.start, text)


def definition(code: CodeType, lines: list[str], name: str) -> tuple[str, range]:
    """What a function is called, and over which lines it goes; a lambda with the function in which
    it stands, or else with its statement.
    """
    line, nodes = code.co_firstlineno, statements(tuple(lines))
    if code.co_name != "<lambda>":
        spans = [lines_of(node) for node in nodes if isinstance(node, DEFINITIONS)]
        return name, next((span for span in spans if span.start == line), range(0))
    around = [node for node in nodes if line in lines_of(node)]
    functions = [node for node in around if isinstance(node, FUNCTIONS)]
    inner = min(functions or around, key=lambda node: len(lines_of(node)), default=None)
    if inner is None:
        return name, range(0)
    return getattr(inner, "name", name), lines_of(inner)


@functools.lru_cache(maxsize=16)
def statements(lines: tuple[str, ...]) -> tuple[ast.stmt, ...]:
    """All statements of a source, looked for once; none where it is no Python."""
    tree = tree_of("".join(lines))
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.stmt)) if tree else ()


def lines_of(node: ast.stmt) -> range:
    """Over which lines a statement goes, with its decorators."""
    return range(first_line(node), (node.end_lineno or node.lineno) + 1)
