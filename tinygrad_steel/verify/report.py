"""What `compare_backprop` found: a verdict on each gradient, and what is wrong in words."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..engine import notebook
from .bindings import Place
from .codes import Code
from .errors import GradientError
from .fields import with_words
from .kept import Applied, Kept, applied, spelled
from .own_source import Source

RIGHT, WRONG, FOLLOWS = "right", "wrong", "follows from a wrong one"
ROUNDED = "right, but for {} rounding"
CANCELLED = "right, but for rounding where terms cancel"
EPSILON = "right, but for the epsilon in log"
RESHAPED = "right, but for the shape"
BY_CONVENTION = "right, by convention"
NOT_FINITE, EMPTY = "not finite, not judged", "empty, not judged"
UNKNOWN, NO_SUCH = "not in the graph", "the graph has no such gradient"

HEAD = ("gradient", "shape", "largest difference", "relative", "verdict")
# What stands before a verdict, and its colour; before all others a question mark.
SIGNS = {
    "right, ": ("≈", "right"),
    "right": ("✓", "right"),
    "yes": ("✓", "right"),
    "wrong": ("✗", "wrong"),
    "not ": ("?", "muted"),
    "no": ("✗", "wrong"),
    "follows": ("↳", "follows"),
}
MANY = 12  # how many names are listed


@with_words
class Step(NamedTuple):
    """What a report says of one gradient.

    Steps are equal, and are printed, without their arrays.

    Attributes
    ----------
    name : str
        What the graph calls it, as `G_weight`; empty where the graph has no such gradient.
    shape : tuple of int
        Of what was handed over.
    absolute, relative : float
        Its largest difference from the graph's, and that in relation to the largest element; NaN
        where shapes differ.
    verdict : str
        "right", perhaps "but for float32 rounding", "but for rounding where terms cancel", "but for
        the epsilon in log", or "by convention" (see `Report.conventions`); "wrong"; "follows from a
        wrong one", where it is what its own step makes of a wrong gradient before it; or "not
        judged", where the graph's own gradient is not finite or has no element.
    reason : str
        Why it is wrong, or not judged.
    code : list of str
        The step as the graph has it.
    variable : str
        Of somebody's code: what holds it there, divided by the number that the whole chain has as a
        factor, if there is one.
    where : Place or None
        Of somebody's code: the line that has made it.
    helpers : tuple of Place
        Of somebody's code: for a wrong one, the lines before it that have made parts of it which are
        not in the graph.
    faults : tuple of str
        The reason as codes for programs, the one that says most first.
    kept : tuple of Kept
        By which conventions it is right.
    age : int or None
        That of the Tensor whose gradient it is, by which a picture finds its card.
    factor : float
        By so much the whole chain, or this gradient until those of the leaves are made, is more than
        the graph's.
    array : ndarray or None
        Its numbers as they were compared: lying as the graph's where they can, and divided by
        `factor`. None of what is not in the graph.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, compare_backprop
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> step = compare_backprop((x * 3).sum(), G_x=[3.0, 4.0]).first_wrong
    >>> step.name, step.shape, step.absolute, step.code
    ('G_x', (2,), 1.0, ['G_x = np.broadcast_to(G_loss * 3, (2,))'])
    """

    name: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    verdict: str
    reason: str
    code: list[str]
    variable: str = ""
    where: Place | None = None
    helpers: tuple[Place, ...] = ()
    faults: tuple[Code, ...] = ()
    kept: tuple[Kept, ...] = ()
    age: int | None = None
    factor: float = 1.0
    array: np.ndarray | None = None

    def without_array(self) -> tuple[Any, ...]:
        """All that it says but for its array."""
        return self[:-1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and self.without_array() == other.without_array()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        said = zip(self._fields, self.without_array())
        return f"Step({', '.join(f'{name}={value!r}' for name, value in said)})"

    @property
    def status(self) -> str:
        """The verdict in one word: "right", "wrong", "follows" or "not-judged"."""
        if self.verdict.startswith(RIGHT):
            return "right"
        return {WRONG: "wrong", FOLLOWS: "follows"}.get(self.verdict, "not-judged")

    def to_dict(self) -> dict[str, Any]:
        """What it says in numbers, texts, lists and dicts alone, as for JSON."""
        return {
            "gradient": self.name,
            "variable": self.variable,
            "shape": [*self.shape],
            "largest_difference": finite_or_none(self.absolute),
            "relative": finite_or_none(self.relative),
            "status": self.status,
            "verdict": self.verdict,
            "faults": [*self.faults],
            "conventions": [kept.name for kept in self.kept],
            "reason": self.reason,
            "graph_has": [*self.code],
            "where": self.where and self.where._asdict(),
            "helpers": [place._asdict() for place in self.helpers],
        }

    @property
    def called(self) -> str:
        """What to call it in a sentence, as `dW (G_weight)`: by its variable, then by what it is."""
        if not self.variable or self.variable == self.name:
            return self.name
        return f"{self.variable} ({self.name})" if self.name else self.variable

    @property
    def unscaled(self) -> str:
        """Its variable, without the number by which that is divided."""
        return self.variable.partition(" / ")[0] or self.name

    def row(self) -> tuple[str, ...]:
        """Its row in the table that the report prints, cell by cell."""
        numbers = (f"{self.absolute:.2g}", f"{self.relative:.2g}")
        if np.isnan(self.absolute):
            numbers = ("-", "-")
        return (self.name, str(self.shape), *numbers, self.verdict)

    def row_with_place(self) -> tuple[str, ...]:
        """Its row in the table of a report on somebody's code."""
        name, *rest, verdict = self.row()
        if verdict == UNKNOWN and self.reason != NO_SUCH:
            verdict = f"{verdict}: {self.reason}"
        return (name or "-", self.variable, *rest, verdict, str(self.where or "-"))

    def own_code(self) -> list[str]:
        """The lines of somebody's code that have made it."""
        places = [*self.helpers, *([self.where] if self.where else [])]
        lines = []
        for place in places:
            inside = "" if place.function.startswith("<") else f", in {place.function}"
            lines.append(f"{place.text or self.variable}   ({place}{inside})")
        return lines


class Report:
    """What `compare_backprop` found: print it, or ask it.

    Attributes
    ----------
    ok : bool
        Whether every gradient was judged and is right.
    steps : list of Step
        One for each gradient that was handed over, from the loss backwards: its `name`, `verdict`,
        `reason`, and more.
    first_wrong : Step or None
        The first wrong step, from the loss backwards.
    faults : tuple of str
        The codes of what is wrong first, such as `("batch-size",)`; empty where `ok`. What each
        means stands in `tinygrad_steel.verify.codes.CODES`.
    conventions : list of Applied
        By what the gradients are right that differ from the graph's: each has its `name`, a `text`,
        and `is_strict`: whether they may be used as the graph's all the same.
    unrecognised : list of Step
        Of somebody's code: the arrays that are not in the graph, such as a mask or a part of a
        sum. Nothing is said of them.
    missing : list of str
        Of somebody's code: the leaves whose gradients were not seen; the report is not `ok` then.
    note : str
        Of somebody's code: what was returned and could not be judged, or why nothing was.
    is_complete : bool
        Of somebody's code: whether what was returned was judged; the report is not `ok` otherwise.
    is_kept : bool
        Of somebody's code: whether the gradients of leaves were returned, kept or used: variables of
        a function are gone when it has ended. Strictly, they are not right otherwise.
    sources : list of Source
        Of somebody's code: the functions in which the steps were made, that of the first one first,
        each with its `file`, its name (`function`), its first line (`start`) and its `lines`. Empty
        where there is no source.
    learned : dict
        Of somebody's code with a mistake: what it calls values of the graph that had no name, and
        the ages of their Tensors. Reasons use these names as well.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, compare_backprop
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> report = compare_backprop(np.sum(np.square(x)), G_x=-2 * x.numpy())
    >>> report.ok, report.first_wrong.reason
    (False, 'the sign is wrong')

    Where code was handed over, each step has its line:

    >>> def backprop():
    ...     dx = -2 * x.numpy()
    ...     return dx
    >>> report = compare_backprop(np.sum(np.square(x)), backprop=backprop)
    >>> report.first_wrong.variable, report.first_wrong.where.line, report.first_wrong.where.text
    ('dx', 2, 'dx = -2 * x.numpy()')
    >>> report.first_wrong.array
    array([-2., -4.])
    >>> report.sources[0].function, report.sources[0].lines[0]
    ('backprop', 'def backprop():')
    """

    def __init__(
        self,
        steps: list[Step],
        unrecognised: Iterable[Step] = (),
        missing: Iterable[str] = (),
        note: str = "",
        is_complete: bool = True,
        conventions: Iterable[Applied] = (),
        is_kept: bool = True,
        sources: Iterable[Source] = (),
        learned: Mapping[str, int] | None = None,
    ):
        self.steps = steps
        self.unrecognised = [*unrecognised]
        self.missing = [*missing]
        self.note = note
        self.is_complete = is_complete
        self.is_kept = is_kept
        self.sources = [*sources]
        self.learned = {**(learned or {})}
        self.age: int | None = None  # of the loss, by which a page knows it again
        right = (step for step in steps if step.verdict.startswith(RIGHT))
        kept = ((step.unscaled, kept) for step in right for kept in step.kept)
        self.conventions = [*conventions, *applied(kept)]

    @property
    def ok(self) -> bool:
        """Whether every gradient was judged and is right."""
        right = all(step.verdict.startswith(RIGHT) for step in self.steps)
        return bool(self.steps) and right and not self.missing and self.is_complete

    @property
    def first_wrong(self) -> Step | None:
        """The first wrong step, from the loss backwards; None where all are right."""
        return next((step for step in self.steps if step.verdict == WRONG), None)

    @property
    def faults(self) -> tuple[Code, ...]:
        """What is wrong first, as codes that stay the same from version to version."""
        wrong = self.first_wrong
        if wrong is not None:
            return wrong.faults
        if self.ok:
            return ()
        lacking: tuple[Code, ...] = ("missing-gradient",) if self.missing else ()
        return (*lacking, *(code for step in self.steps for code in step.faults)) or ("not-judged",)

    def to_dict(self) -> dict[str, Any]:
        """What the report says in numbers, texts, lists and dicts alone, as for JSON.

        Returns
        -------
        dict
            `ok`; `faults`; `first_wrong`, its place in `steps`, or None; `steps`, for each gradient a
            dict of `gradient`, `variable`, `shape`, `largest_difference` and `relative` (None for NaN
            and infinity), `status` ("right", "wrong", "follows" or "not-judged"), `verdict`,
            `faults`, `conventions`, `reason`, `graph_has`, and of somebody's code `where` (a dict of
            `file`, `line`, `text` and `function`) and `helpers`; `conventions`, of each its `name`,
            `text` and `is_strict`; `unrecognised`; `missing`; `note`; `is_complete`.

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_steel import Tensor, compare_backprop
        >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
        >>> found = compare_backprop(np.sum(np.square(x)), G_x=-4 * x.numpy()).to_dict()
        >>> found["ok"], found["faults"], found["steps"][0]["status"]
        (False, ['sign', 'extra-factor'], 'wrong')
        """
        wrong = self.first_wrong
        return {
            "ok": self.ok,
            "faults": [*self.faults],
            "first_wrong": None if wrong is None else self.steps.index(wrong),
            "steps": [step.to_dict() for step in self.steps],
            "conventions": [convention._asdict() for convention in self.conventions],
            "unrecognised": [step.to_dict() for step in self.unrecognised],
            "missing": [*self.missing],
            "note": self.note,
            "is_complete": self.is_complete,
        }

    def raise_if_wrong(self, strict: bool = True) -> None:
        """Raise where a gradient is wrong or could not be judged.

        Parameters
        ----------
        strict : bool
            Whether to raise as well where the gradients of leaves cannot take the place of the
            graph's: where a convention that was not declared (`convention=`) changes their shape,
            sign or size, and where the gradient of a leaf was not returned, kept or used. Any slope
            at a kink passes, and so does what is divided at the end alone.

        Raises
        ------
        GradientError
            With the report as its message.
        """
        if not self.ok:
            raise GradientError(str(self))
        if strict and not self.is_kept:
            raise GradientError(
                f"{self}\nStrictly, a gradient is to be returned or kept: allow this with strict=False."
            )
        refused = [convention for convention in self.conventions if not convention.is_strict]
        if strict and refused:
            raise GradientError(
                f"{self}\nStrictly, these are not the graph's gradients: allow them with "
                f"convention={spelled(c.name for c in refused)}, or with strict=False."
            )

    def rows(self) -> list[tuple[str, ...]]:
        """The table that it prints, row by row, each a tuple of its cells."""
        if not self.is_of_code:
            return [HEAD, *(step.row() for step in self.steps)]
        first, *rest = HEAD
        named = [step for step in self.unrecognised if step.reason]
        rows = [step.row_with_place() for step in [*self.steps, *named[:MANY]]]
        return [(first, "variable", *rest, "where"), *rows]

    @property
    def is_of_code(self) -> bool:
        """Whether somebody's code was handed over, and no arrays."""
        return any(step.variable for step in [*self.steps, *self.unrecognised])

    def summary(self) -> list[str]:
        """The sentences below the table: what is wrong, what would be right, what was not judged."""
        if self.ok:
            all_right = f"All {len(self.steps)} gradients are right."
            right = "The gradient is right." if len(self.steps) == 1 else all_right
            return [*self.agreed(), right, *self.besides()]
        lines = [
            f"Not judged: {step.name}, {step.reason}."
            for step in self.steps
            if step.verdict in (NOT_FINITE, EMPTY)
        ]
        wrong = (step for step in self.steps if step.verdict == WRONG)
        heads = itertools.chain(["First wrong step"], itertools.repeat("Wrong as well"))
        for step, head in zip(wrong, heads):
            lines.append(f"{head}: {step.called}, {step.reason}.")
            heads_of_code = itertools.chain(["you have     "], itertools.repeat(" " * 13))
            lines += [f"  {start}  {line}" for start, line in zip(heads_of_code, step.own_code())]
            heads_of_code = itertools.chain(["the graph has"], itertools.repeat(" " * 13))
            lines += [f"  {start}  {line}" for start, line in zip(heads_of_code, step.code)]
        return [*self.agreed(), *lines, *self.besides()]

    def agreed(self) -> list[str]:
        """A sentence on each convention by which gradients are right."""
        return [f"By convention: {convention.text}." for convention in self.conventions]

    def besides(self) -> list[str]:
        """Sentences on what else is to be said of somebody's code."""
        lines = [f"Not seen: the gradient of {', '.join(self.missing)}."] if self.missing else []
        helpers = [f"{s.variable} ({s.where})" for s in self.unrecognised if not s.reason]
        unlisted = len([s for s in self.unrecognised if s.reason]) - MANY  # as rows of the table
        more = len(helpers) - min(len(helpers), MANY) + max(unlisted, 0)
        if helpers or more:
            parts = [", ".join(helpers[:MANY]), f"{more} more" if more else ""]
            lines.append(f"Not in the graph: {' and '.join(filter(None, parts))}.")
        return [*lines, f"Note: {self.note}."] if self.note else lines

    def __str__(self) -> str:
        return "\n".join([*as_table(self.rows()), *self.summary()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.rows(), self.summary())


def as_table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines of text, each column as wide as it has to be."""
    widths = [max(map(room, column)) for column in zip(*rows)]
    return ["  ".join(map(filled, row, widths)).rstrip() for row in rows]


def filled(text: str, width: int) -> str:
    """A text with blanks behind it, up to a column of a terminal.

    >>> [filled("dW", 6), filled("가중치", 6)]
    ['dW    ', '가중치']
    """
    return text + " " * (width - room(text))


def room(text: str) -> int:
    """How many columns of a terminal a text takes: a letter of Korean, say, takes two."""
    return len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text)


def finite_or_none(number: float) -> float | None:
    """A number as JSON has it: None for NaN and infinity."""
    return float(number) if np.isfinite(number) else None


def as_html(rows: list[tuple[str, ...]], lines: Iterable[str]) -> str:
    """Rows as a table of HTML in which verdicts have a sign and a colour, and the lines below it."""
    head, *others = rows
    cells = [
        [as_cell(text, column) for text, column in zip(one, head, strict=True)] for one in others
    ]
    return notebook.page(
        notebook.table([[*map(notebook.escaped, head)], *cells]), notebook.lines(lines)
    )


def as_cell(text: str, column: str) -> str:
    """A cell as HTML; a verdict has a sign, so that its colour is not all that tells it."""
    if column not in ("verdict", "right"):
        return notebook.escaped(text)
    sign, colour = next(
        (look for start, look in SIGNS.items() if text.startswith(start)), ("?", "muted")
    )
    return notebook.coloured(f"{sign} {text}", colour)
