"""What values and gradients are called in reports: as in the written source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .. import ops
from ..program.expressions import FORMULAS, WIDTH, Speech, expression
from ..program.lines import owners_of
from ..program.texts import Text
from ..program.trace import Traced
from ..program.values import VALUES, Apply, Constant, Value


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


def guarded(x: Value) -> Value | None:
    """The value that is handed on but for NaN, which nobody writes by hand: `where(isnan(z), nan,
    value)`, or `logical_or(value, isnan(z))`; None for anything else.
    """
    if x.op is ops.logical_or and is_isnan(x.inputs[1]) and isinstance(x.inputs[0], Apply):
        return x.inputs[0]
    if x.op is not ops.where or not is_isnan(x.inputs[0]) or not isinstance(x.inputs[2], Apply):
        return None
    nan = x.inputs[1].data if isinstance(x.inputs[1], Constant) else x.inputs[1]
    is_nan = not isinstance(nan, VALUES) and not np.ndim(nan) and bool(np.isnan(nan))
    return x.inputs[2] if is_nan else None


def is_isnan(x: object) -> bool:
    """Whether it says where something is NaN."""
    return isinstance(x, Apply) and x.op is ops.isnan
