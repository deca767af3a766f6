"""Arrays that the variables of somebody's code were bound to, and where that was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..engine.places import name_of_file
from .contents import copied
from .fields import with_words
from .statements import Path, spelled_path


@with_words
class Place(NamedTuple):
    """A line of somebody's code; as text, `file.py:12`.

    Attributes
    ----------
    file : str
        The file that it is in.
    line : int
        Its number there.
    text : str
        The statement, in one line.
    function : str
        In which function it stands.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, compare_backprop
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> def backprop():
    ...     dx = x.numpy() * 0 - 3
    ...     return dx
    >>> place = compare_backprop((x * 3).sum(), backprop=backprop).first_wrong.where
    >>> place.function, place.line, place.text
    ('backprop', 2, 'dx = x.numpy() * 0 - 3')
    """

    file: str
    line: int
    text: str
    function: str

    def __str__(self) -> str:
        return f"{name_of_file(self.file)}:{self.line}"


class Origin(NamedTuple):
    """Where an array comes from: the statement, and what that reads.

    `given`: it was there before the code ran. `is_argument`: a function was called with it.
    """

    where: Place
    reads: tuple[Binding, ...] = ()
    given: bool = False
    is_argument: bool = False


class Binding:
    """An array that a variable was bound to, as it was then.

    `path`: the variable; `owner`: the number of the frame in which it is. `array`: a copy.
    `before`: what this one was made of in place, or what the same variable held that the statement
    reads. `made`: the Binding that was the first to have this array; itself, but for another name
    of what is known. `key`: of the object. `is_shared`: whether it has other names. `again`: what
    the same statement has read when it added to it once more; `first`: what it was before that.
    `parts`: those of which a list consists, or that a loop has made.
    """

    __slots__ = (
        "again",
        "array",
        "before",
        "first",
        "is_shared",
        "key",
        "made",
        "origin",
        "owner",
        "parts",
        "path",
    )

    def __init__(
        self,
        path: Path,
        owner: int,
        array: np.ndarray,
        origin: Origin,
        before: Binding | None = None,
        made: Binding | None = None,
    ):
        self.path, self.owner, self.array, self.origin = path, owner, array, origin
        self.before = before
        self.made = made or self
        self.key = 0
        self.is_shared = False
        self.again: list[Binding] = []
        self.first: np.ndarray | None = None
        self.parts: tuple[Binding, ...] = ()

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
        yield from (b for b in (*self.origin.reads, *self.again) if b is not self)
        if self.before is not None:
            yield self.before

    def goes_on(self, path: Path, origin: Origin) -> bool:
        """Whether the same statement adds to the same variable once more, as in a loop over rows."""
        same = self.path == path and self.origin.where is origin.where
        return same and not self.is_shared and self.made is self and self.before is not None

    def go_on(self, x: Any, reads: tuple[Binding, ...]) -> None:
        """The same statement has added to it once more; a parameter is kept as it was after one
        step.
        """
        if self.first is None and self.before is not None and np.any(self.before.array):
            self.first = self.array
            self.array = copied(x)
        elif not isinstance(x, np.ndarray):
            self.array = copied(x)
        else:
            np.copyto(self.array, x)
        self.again += reads


class Left(Binding):
    """A variable that a statement could have bound to something else, and has left as it was."""

    __slots__ = ()


NOWHERE = Place("", 0, "", "")
