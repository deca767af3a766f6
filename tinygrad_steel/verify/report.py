"""What `compare_backprop` found: a verdict on each gradient, and what is wrong in words."""

from __future__ import annotations

import html
import itertools
from typing import NamedTuple

import numpy as np

from .errors import GradientError

RIGHT, WRONG, FOLLOWS = "right", "wrong", "follows from a wrong one"
ROUNDED = "right, but for {} rounding"
CANCELLED = "right, but for rounding where terms cancel"
EPSILON = "right, but for the epsilon in log"
NOT_FINITE, EMPTY = "not finite, not judged", "empty, not judged"

HEAD = ("gradient", "shape", "largest difference", "relative", "verdict")


class Step(NamedTuple):
    """What the report says of one gradient.

    `verdict`: "right", perhaps "but for float32 rounding", "but for rounding where terms cancel" or
    "but for the epsilon in log"; "wrong"; "follows from a wrong one": what its own step makes of a
    wrong gradient before it; or "not judged", where the graph's own gradient is not finite or has
    no element. `absolute`, `relative`: its largest difference, and that in relation to the largest
    element; NaN where shapes differ. `reason`: why it is wrong, or not judged. `code`: the step as
    the graph has it.
    """

    name: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    verdict: str
    reason: str
    code: list[str]

    def row(self) -> tuple[str, ...]:
        """Its row in the table."""
        numbers = (f"{self.absolute:.2g}", f"{self.relative:.2g}")
        if np.isnan(self.absolute):
            numbers = ("-", "-")
        return (self.name, str(self.shape), *numbers, self.verdict)


class Report:
    """What `compare_backprop` found: print it, or ask it.

    Attributes
    ----------
    steps : list of Step
        One for each gradient that was handed over, from the loss backwards: its `name`, `shape`,
        largest difference (`absolute` and `relative`), `verdict`, `reason` and `code`.
    ok : bool
        Whether every gradient was judged and is right.
    first_wrong : Step or None
        The first wrong step, from the loss backwards.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, compare_backprop
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> report = compare_backprop(np.sum(np.square(x)), G_x=-2 * x.numpy())
    >>> report.ok, report.first_wrong.reason
    (False, 'the sign is wrong')
    """

    def __init__(self, steps: list[Step]):
        self.steps = steps

    @property
    def ok(self) -> bool:
        """Whether every gradient was judged and is right."""
        return bool(self.steps) and all(step.verdict.startswith(RIGHT) for step in self.steps)

    @property
    def first_wrong(self) -> Step | None:
        """The first wrong step, from the loss backwards; None where all are right."""
        return next((step for step in self.steps if step.verdict == WRONG), None)

    def raise_if_wrong(self) -> None:
        """GradientError, with the report as its message, where a gradient is wrong or could not
        be judged.
        """
        if not self.ok:
            raise GradientError(str(self))

    def rows(self) -> list[tuple[str, ...]]:
        """The table."""
        return [HEAD, *(step.row() for step in self.steps)]

    def summary(self) -> list[str]:
        """What is wrong and what would be right, and what could not be judged."""
        if self.ok:
            all_right = f"All {len(self.steps)} gradients are right."
            return ["The gradient is right." if len(self.steps) == 1 else all_right]
        lines = [
            f"Not judged: {step.name}, {step.reason}."
            for step in self.steps
            if step.verdict in (NOT_FINITE, EMPTY)
        ]
        wrong = (step for step in self.steps if step.verdict == WRONG)
        heads = itertools.chain(["First wrong step"], itertools.repeat("Wrong as well"))
        for step, head in zip(wrong, heads):
            lines.append(f"{head}: {step.name}, {step.reason}.")
            heads_of_code = itertools.chain(["the graph has"], itertools.repeat(" " * 13))
            lines += [f"  {start}  {line}" for start, line in zip(heads_of_code, step.code)]
        return lines

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows)]
        table = []
        for row in rows:
            cells = map(str.ljust, row, widths)
            table.append("  ".join(cells).rstrip())
        return "\n".join([*table, *self.summary()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rows = self.rows()
        table = "".join([html_row(head, "th"), *(html_row(row, "td") for row in rows)])
        text = "<br>".join(map(html.escape, self.summary()))
        return f"<table>{table}</table><p>{text}</p>"


def html_row(cells: tuple[str, ...], tag: str) -> str:
    """A row of the table as HTML."""
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
