"""What a page shows of reports of `compare_backprop`: verdicts, yours beside the graph's, and your own source."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ...engine.tensor import Tensor
from ...program.ancestors import ancestors
from ...program.given_names import GivenNames, Names
from .. import verdicts
from ..verdicts import tensors_of
from ..words import plural, printable, shortened
from .numbers import characters, in_json
from .story import Story

MOST_LINES = 400  # so many of a function are shown, around the first wrong one
MOST_LETTERS = 400  # of a line
ROOM = 300_000  # characters of arrays, in all chains together
YOURS = "your chain"  # what a report is called that has no name
RANK = [*verdicts.ICONS]  # from best to worst

JSON = dict[str, Any]


class OwnPlace(Protocol):
    """What a page reads of a line of somebody's code."""

    @property
    def line(self) -> int: ...
    @property
    def text(self) -> str: ...


class OwnSource(Protocol):
    """What a page reads of a function of somebody's own."""

    @property
    def called(self) -> str: ...
    @property
    def function(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def lines(self) -> Sequence[str]: ...
    def holds(self, place: Any) -> bool: ...


class Step(verdicts.Step, Protocol):
    """What a page reads of a step of a report, beyond what a picture does."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def code(self) -> Sequence[str]: ...
    @property
    def faults(self) -> Sequence[str]: ...
    @property
    def variable(self) -> str: ...
    @property
    def where(self) -> OwnPlace | None: ...
    @property
    def helpers(self) -> Sequence[OwnPlace]: ...
    @property
    def factor(self) -> float: ...
    @property
    def array(self) -> np.ndarray | None: ...
    def own_code(self) -> list[str]: ...


class Report(Protocol):
    """What a page reads of a report of `compare_backprop`."""

    @property
    def steps(self) -> Sequence[Step]: ...
    @property
    def age(self) -> int | None: ...
    @property
    def first_wrong(self) -> Step | None: ...
    @property
    def ok(self) -> bool: ...
    @property
    def unrecognised(self) -> Sequence[Step]: ...
    @property
    def sources(self) -> Sequence[OwnSource]: ...
    @property
    def learned(self) -> Mapping[str, int]: ...
    def agreed(self) -> list[str]: ...
    def besides(self) -> list[str]: ...


Chains = Report | Mapping[str, Report]


def names_with(
    tensor: Tensor, names: Names, chains: Chains | None, ages: Mapping[Tensor, int] | None = None
) -> Names:
    """The names, and for Tensors without one what a report calls them: the learner's own words.

    So the source, the cards and the report speak of one thing by one name. The first report counts.
    """
    if chains is None:
        return names
    given, every = GivenNames(names), ancestors([tensor])
    by_age = {(ages or {}).get(t, t.age): t for t in every}
    known = {t: name for t in every if (name := given.of(t)) is not None}
    found: dict[str, Tensor] = {}
    for report in chains.values() if isinstance(chains, Mapping) else [chains]:
        for name, age in report.learned.items():
            t = by_age.get(age)
            if t is not None and t not in known and name not in known.values():
                known[t] = name
                found[name] = t
    return {**(names or {}), **found} if found else names


def chains_of(
    story: Story, chains: Chains | None, ages: Mapping[Tensor, int] | None = None
) -> list[JSON]:
    """Each report as the page takes it, under its name; the first is `shown` when it opens.

    `chains`: one report, or several by name. `ages`: those of the Tensors when they were compared,
    where they have been trained since.
    """
    if chains is None:
        return []
    named = chains if isinstance(chains, Mapping) else {YOURS: chains}
    room = ROOM // max(1, len(named))
    found = [chain_of(story, str(title), report, room, ages) for title, report in named.items()]
    return [chain | {"shown": chain is found[0]} for chain in found]


def chain_of(
    story: Story,
    title: str,
    report: Report,
    room: int = ROOM,
    ages: Mapping[Tensor, int] | None = None,
) -> JSON:
    """A report as the page takes it; `room`: how many characters its arrays may take."""
    owners = tensors_of(story.graph, report, ages)
    source = source_shown(report)
    first = report.first_wrong
    own = source and own_shown(source, first.where if first else None)
    seen = range(own["start"], own["start"] + len(own["lines"])) if own else range(0)
    fitting = within(room, report, story)
    every = [*zip(report.steps, owners), *((step, None) for step in report.unrecognised)]
    rows = [
        row_of(step, source, seen)
        | (beside(story, step, t) if i in fitting else NOT_COMPARED)
        | {"n": None if t is None else story.cards.get(t), "first": step is first}
        for i, (step, t) in enumerate(every)
    ]
    notes = [*report.agreed(), *report.besides(), *left_out(len(owners) - len(fitting))]
    return {
        "title": in_print(title),
        "ok": report.ok,
        "note": "\n".join(in_print(notes)),
        "rows": in_print(rows),
        "own": in_print(own),
    }


def in_print(x: Any) -> Any:
    """The same with nothing in its texts that cannot be seen, such as marks that turn text around."""
    if isinstance(x, dict):
        return {key: in_print(inner) for key, inner in x.items()}
    if isinstance(x, list):
        return [*map(in_print, x)]
    return printable(x.expandtabs(4)) if isinstance(x, str) else x


def row_of(step: Step, source: OwnSource | None, seen: range) -> JSON:
    """What is said of a step, and where it stands in the source, of which the lines `seen` are shown.

    `until`: the last line of its statement. `parts`: the lines that have made what a wrong step is
    made of. `own`: its statements as text, each with its place.
    """
    place = step.where
    lines = range(0)
    if source is not None and place is not None and source.holds(place):
        lines = statement_lines(source, place)
    if lines and not {lines[0], lines[-1]} <= {*seen}:
        lines = range(0)
    parts = [p.line for p in step.helpers if source is not None and source.holds(p)]
    return {
        "name": step.name or step.variable,
        "called": step.called,
        "verdict": step.status,
        "text": step.verdict,
        "reason": step.reason,
        "code": [*step.code],
        "line": lines[0] if lines else None,
        "until": lines[-1] if lines else None,
        "parts": [line for line in parts if line in seen],
        "own": step.own_code() if place is not None else [],
        "shape": str(step.shape),
    }


# Yours beside the graph's


# What a row says where nothing is compared.
NOTHING: JSON = {"off": None, "at": None, "there": None}
NOT_COMPARED: JSON = {"of": "gradient", "a": None, "graph": None, "factor": 1, **NOTHING}


def beside(story: Story, step: Step, t: Tensor | None) -> JSON:
    """The array of a step and the graph's, the largest difference and where it is.

    `of`: whether it is a gradient or a value of the forward. `factor`: by what yours was divided.
    `at`: the index of the largest difference, and `there` both numbers; None where shapes differ.
    """
    given = step.array
    if given is None:
        return NOT_COMPARED
    is_value = "other-forward" in step.faults
    value = value_of(story, t, is_value)
    own = story.arrays.numbers.get(value) if value is not None else None
    found = NOTHING
    if own is not None and own.shape == given.shape:
        found = difference(given, own)
    return {
        "of": "value" if is_value else "gradient",
        "a": story.add(given),
        "graph": None if own is None else index_of(story, value, own),
        "factor": step.factor,
        **found,
    }


def index_of(story: Story, value: Any, own: np.ndarray) -> int:
    """Which array of the page shows a value of the graph."""
    known = story.values.get(value)
    return story.add(own) if known is None else known


def value_of(story: Story, t: Tensor | None, is_value: bool) -> Any:
    """The value of the graph that a step is compared with; None where it is not traced."""
    if story.traced is None or t is None:
        return None
    x = story.traced.made.get(t)
    return x if is_value or x is None else story.traced.gradient_of.get(x)


def difference(given: np.ndarray, own: np.ndarray) -> JSON:
    """The largest difference of two arrays, its index and the numbers there."""
    if not given.size:
        return NOTHING
    with np.errstate(all="ignore"):
        off = np.abs(np.subtract(given, own, dtype=float))
    same = (given == own) | (np.isnan(given) & np.isnan(own))
    off = np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))
    at = np.unravel_index(int(np.argmax(off)), off.shape)
    there = [in_json(float(array[at])) for array in (given, own)]
    return {"off": in_json(float(off[at])), "at": [int(i) for i in at], "there": there}


def within(room: int, report: Report, story: Story) -> set[int]:
    """The indices of the steps whose arrays have room, what is wrong before what is right.

    The first wrong one always has.
    """
    first = report.first_wrong
    order = sorted(
        range(len(report.steps)),
        key=lambda i: (report.steps[i] is not first, -RANK.index(report.steps[i].status)),
    )
    found: set[int] = set()
    for i in order:
        array = report.steps[i].array
        room -= 0 if array is None else characters(array, story.arrays.budget)
        if room >= 0 or report.steps[i] is first:
            found.add(i)
    return found


def left_out(count: int) -> list[str]:
    """What is said of arrays that have no room."""
    if not count:
        return []
    return [
        f"So that this page stays small, {plural(count, 'array')} of yours did not come with it."
    ]


# Your own source


def source_shown(report: Report) -> OwnSource | None:
    """The function of the first wrong step, or the one around that.

    Where no step is wrong, it is the function with the most of them.
    """
    first = report.first_wrong
    if first is not None:
        holding = [source for source in report.sources if source.holds(first.where)]
        return max(holding, key=lambda source: len(source.lines), default=None)
    steps = [*report.steps, *report.unrecognised]
    held = {i: sum(s.holds(step.where) for step in steps) for i, s in enumerate(report.sources)}
    return report.sources[max(held, key=held.__getitem__)] if held else None


def statement_lines(source: OwnSource, place: OwnPlace) -> range:
    """The lines over which a statement goes; the text of its place has them joined."""
    joined = ""
    for n, line in enumerate(source.lines[place.line - source.start :]):
        joined = f"{joined} {line.strip()}" if n else line.strip()
        if joined == place.text:
            return range(place.line, place.line + n + 1)
        if not place.text.startswith(joined):
            break
    return range(place.line, place.line + 1)


def own_shown(source: OwnSource, place: OwnPlace | None) -> JSON:
    """A function as the page shows it: as far left as it can stand, and as much as can be read."""
    lines = textwrap.dedent("\n".join(source.lines)).split("\n")
    middle = place.line - source.start if place is not None else 0
    skipped = max(0, min(middle - MOST_LINES // 2, len(lines) - MOST_LINES))
    return {
        "file": source.called,
        "function": "" if source.function == "<module>" else source.function,
        "start": source.start + skipped,
        "lines": [shortened(line, MOST_LETTERS) for line in lines[skipped : skipped + MOST_LINES]],
        "of": len(lines),
    }
