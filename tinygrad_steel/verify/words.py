"""What values and gradients are called in reports: as in the written source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..program.expressions import FORMULAS, WIDTH, Speech, expression
from ..program.guards import guarded
from ..program.lines import owners_of
from ..program.texts import Text
from ..program.trace import Traced
from ..program.values import Apply, Constant, Value


def gradient_names(traced: Traced, texts: Mapping[Value, Text]) -> dict[Value, str]:
    """What the gradients of named values are called; nobody knows the names of others."""
    owners = owners_of(traced)
    return {
        g: text.text
        for g, text in texts.items()
        if g is traced.start or owners.get(g) in traced.names
    }


def spelled(
    values: Iterable[Value],
    traced: Traced,
    called: Mapping[Value, str],
    numbers: Mapping[Value, np.ndarray],
) -> dict[Value, Text]:
    """How to call these values, inputs first: by their names, or by what they are computed from."""
    speech = Speech(FORMULAS, traced.late)
    found: dict[Value, Text] = {}
    values = [*values]
    unnamed = [x for x in values if x not in traced.names]
    names = numbered(unnamed, numbers)
    for x in values:
        name = traced.names.get(x) or called.get(x) or names.get(x, "")
        found[x] = spelling(x, name, speech)
        if x.shape or not isinstance(x, Constant):
            speech.texts[x] = found[x]
    return found


def numbered(values: Iterable[Value], numbers: Mapping[Value, np.ndarray]) -> dict[Value, str]:
    """What arrays without a name are called of which there are several of one shape; those of the
    same numbers are the same to a reader, who may have used one twice.
    """
    alike: dict[tuple[int, ...], list[Value]] = {}
    for x in values:
        if x.op is None and x.shape and x in numbers:
            alike.setdefault(x.shape, []).append(x)
    found: dict[Value, str] = {}
    for shape, ones in alike.items():
        places: dict[bytes, int] = {}
        for x in ones if len(ones) > 1 else ():
            place = places.setdefault(numbers[x].tobytes(), len(places) + 1)
            found[x] = f"array #{place} {shape}"
        if len(places) == 1:
            found = {x: text for x, text in found.items() if x not in ones}
    return found


def spelling(x: Value, name: str, speech: Speech) -> Text:
    """One value in words, where all before it have theirs."""
    if name:
        text = Text(name)
    elif (inner := guarded(x)) is not None:
        text = speech.texts[inner]
    elif isinstance(x, Apply):
        text = expression(x, speech)
    elif isinstance(x, Constant) and not x.shape:
        text = Text(f"{x.data:g}")
    else:
        text = Text(f"array{x.shape}")
    return text if len(text) <= WIDTH or not isinstance(x, Apply) else Text(f"{x.op.name}(...)")
