"""Verdicts on cards: what `compare_backprop` says of each gradient, and that it has not seen others."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ..engine.tensor import Tensor
from .graph import Graph
from .words import BETWEEN, plural

# From best to worst, what stands before the words: none but letters that every font has.
ICONS = {
    "not-seen": "-",
    "right": "\N{SQUARE ROOT}",
    "not-judged": "?",
    "follows": "\N{RIGHTWARDS ARROW}",
    "wrong": "\N{MULTIPLICATION SIGN}",
}
SHORT = 110  # letters of a reason on a card; its tooltip has all


class Step(Protocol):
    """What a picture reads of a step of a report; `age`: that of the Tensor whose gradient it is."""

    @property
    def name(self) -> str: ...
    @property
    def called(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def age(self) -> int | None: ...


class Report(Protocol):
    """What a picture reads of a report of `compare_backprop`."""

    @property
    def steps(self) -> Sequence[Step]: ...
    @property
    def first_wrong(self) -> Step | None: ...
    @property
    def age(self) -> int | None: ...


@dataclasses.dataclass(frozen=True)
class Mark:
    """What is said of the gradient of a card.

    `status`: one of the `ICONS`. `of`: what the gradient is called in the report. `reason`: why it
    is wrong, or not judged. `is_first`: whether it is the first wrong one.
    """

    status: str
    text: str
    of: str = ""
    reason: str = ""
    is_first: bool = False

    @property
    def words(self) -> str:
        """The verdict behind its icon."""
        return f"{ICONS[self.status]} {self.text}"

    @property
    def short_reason(self) -> str:
        """The reason, as far as it has room on a card."""
        return textwrap.shorten(self.reason, SHORT, placeholder=" ...")


NOT_SEEN = Mark("not-seen", "not seen")


def marks_of(graph: Graph, report: Report) -> dict[Tensor, Mark]:
    """The mark of each Tensor through which a gradient flows, the loss perhaps apart."""
    owners = tensors_of(graph, report)
    found = {t: NOT_SEEN for t in graph.tensors if t.requires_grad and t is not graph.root}
    first = report.first_wrong
    for step, t in zip(report.steps, owners):
        if t is not None:
            found[t] = worst([found.get(t, NOT_SEEN), mark_of(step, step is first)])
    return found


def tensors_of(
    graph: Graph, report: Report, ages: Mapping[Tensor, int] | None = None
) -> list[Tensor | None]:
    """For each step the Tensor of which it speaks; None where it is nobody's.

    `ages`: those of Tensors that have been trained since the graph was compared.
    """
    if not hasattr(report, "steps"):
        kind = type(report).__name__
        raise TypeError(f"report is what compare_backprop returns, not {kind}")
    by_age = {(ages or {}).get(t, t.age): t for t in graph.every}
    steps = [step for step in report.steps if step.age is not None]
    unknown = [step.called for step in steps if step.age not in by_age]
    if unknown:
        raise ValueError(
            f"the report is not about this graph as it is now: {', '.join(unknown[:5])}; draw the "
            f"loss that was compared, before any data or requires_grad changes"
        )
    refuse_other_loss(graph.root, report)
    return [None if step.age is None else by_age[step.age] for step in report.steps]


def refuse_other_loss(loss: Tensor, report: Report) -> None:
    """ValueError where another loss was compared: of the same parameters it has other gradients."""
    if report.age not in (None, loss.age):
        raise ValueError(
            "the report is about another loss, computed from the same parameters: show the loss "
            "that was compared"
        )


def mark_of(step: Step, is_first: bool) -> Mark:
    """What a step says on a card."""
    text = "first wrong step" if is_first else step.verdict
    return Mark(step.status, text, step.called, step.reason, is_first)


def worst(marks: Iterable[Mark]) -> Mark:
    """The mark that is to be seen first."""
    rank = [*ICONS]
    return max(marks, key=lambda mark: (rank.index(mark.status), mark.is_first))


def together(marks: Iterable[Mark | None]) -> Mark | None:
    """The mark of a card that stands for several: the worst of theirs, and whose it is."""
    known = [mark for mark in marks if mark is not None]
    if not known:
        return None
    mark = worst(known)
    if len(known) == 1 or mark.status in ("right", "not-seen"):
        return mark
    return dataclasses.replace(mark, text=f"{mark.of}: {mark.text}")


def said_of(report: Report) -> list[str]:
    """What the subtitle says of a report."""
    counts: dict[str, int] = {}
    for step in report.steps:
        counts[step.status] = counts.get(step.status, 0) + 1
    words = {"follows": "from a wrong one", "not-judged": "not judged"}
    each = [f"{counts[k]} {words.get(k, k)}" for k in reversed(ICONS) if k in counts]
    lines = [BETWEEN.join([f"{plural(len(report.steps), 'gradient')} compared", *each])]
    wrong = report.first_wrong
    if wrong is not None:
        lines.append(f"first wrong step: {wrong.called}, {wrong.reason}")
    return lines
