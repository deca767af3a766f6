"""The story of a page: everything that it shows of a graph, as plain data for JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextvars import Context
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from ...program.given_names import Names
from ...program.trace import Traced
from ...program.values import Value
from ..arrows import Codes
from ..graph import Graph
from ..scene import advice, check_arguments, counts, fold_lines, title_of
from ..words import printable
from .known import Known, know
from .nudges import nudges_of
from .numbers import Arrays
from .steps import steps_of
from .told import arrow_told, card_told, lines_note, lines_told, scopes_told

VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Story:
    """What a page shows, and where the values of a graph are in it.

    `data`: all but the layouts, chains and record of the page. `traced`: the Program of all that
    the arrays show, forward and backward; None where nothing could be traced back. `cards`: the id
    of the card that stands for a Tensor.
    """

    data: dict[str, Any]
    graph: Graph
    traced: Traced | None
    arrays: Arrays
    cards: Mapping[Tensor, str]

    @property
    def values(self) -> Mapping[Value, int]:
        """Which array shows which value."""
        return self.arrays.values

    def add(self, array: Any) -> int:
        """The index of another array, which the page shows as well."""
        return self.arrays.add(array)


def make_story(
    tensor: Tensor,
    names: Names = None,
    fold: bool | str = "auto",
    depth: int | None = None,
    traced: Traced | None = None,
) -> Story:
    """The story of a Tensor; `fold` and `depth` as `draw` takes them.

    `traced`: what `traced_for_page` has made of the same Tensor: the numbers are those of then, and
    its values are those of the story. Raises what `draw` raises for its arguments, and for more
    cards than a page can show.
    """
    check_arguments(tensor, "both", fold, depth)

    @np.errstate(all="ignore")
    def told() -> Story:
        return story_of(know(tensor, names, fold, depth, traced), depth)

    # Outside of every `with`: no detect_anomaly() stops a page of what it has found.
    return Context().run(told)


def story_of(known: Known, depth: int | None) -> Story:
    """All that is known, told."""
    graph, folds, source = known.graph, known.folds, known.source
    nudges = nudges_of(known.traced, known.followed.numbers)
    codes = Codes(known.called)
    subtitle = counts(graph, known.gradients, depth)
    subtitle += fold_lines(folds, "explore") + advice(graph, "explore")
    data: dict[str, Any] = {
        "version": VERSION,
        "title": printable(title_of(folds, known.called)),
        "subtitle": [*map(printable, subtitle)],
        "notes": [],  # some are of what follows
        "helpers": source.helpers,
        "cards": [card_told(known, card, nudges) for card in known.shown],
        "arrows": [arrow_told(known, id, codes) for id in known.uses],
        "scopes": scopes_told(known.shown),
        "lines": lines_told(known),
        "steps": steps_of(known),
        "arrays": known.arrays.write(),
    }
    notes = (known.followed.note, source.note, known.arrays.note, lines_note(source))
    data["notes"] = [printable(note) for note in notes if note]
    traced = None if known.traced.start is None else known.equations.single.extended()
    return Story(data, graph, traced, known.arrays, folds.shown)
