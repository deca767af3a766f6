"""The cards, arrows and lines of a page as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...engine.tensor import Tensor
from ...program.values import Apply, Value
from ..arrows import Codes, Use, broadcasting
from ..cards import Card
from ..gradients import length
from ..words import printable
from .equations import Equation, Symbol
from .known import Known
from .numbers import SHOWN, in_json
from .sizes import card_size, label_size
from .sources import Line, Source

LONG = 16  # letters of code in the name of a gradient that has none
MOST_SPANS = 4000  # of a source, all of which can be pointed at

# Cards


def card_told(known: Known, card: Card, nudges: Mapping[Value, dict[str, str]]) -> dict[str, Any]:
    """A card: what it is, where its arrays are, and how it is said; one of many has no array."""
    t = known.tensors[card.id]
    value, g = known.traced.made[t], known.followed.gradient(t)
    is_fold, is_many = card.kind == "fold", card.id in known.gathered
    found: dict[str, Any] = {
        "id": card.id,
        "kind": card.kind,
        "name": printable(card.name if is_fold or is_many else name_of(known, t)),
        "op": printable(card.op),
        "glyph": printable(card.glyph),
        "shape": str(card.shape),
        "dtype": str(t.dtype),
        "scope": [*map(printable, card.scope)],
        "facts": [*map(printable, card.facts)],
        "spine": card.spine,
        "v": None if is_many else known.arrays.of(value),
        "g": None if g is None else known.arrays.of(g),
        "note": "" if g is not None else missing(known, t),
        "code": "" if is_many else printable(code_of(known, value)),
        "gcode": "" if is_many else printable(gradient_code(known, t)),
        "eq": None,
    }
    found |= zip(("w", "h"), card_size(found))
    if is_fold or is_many:
        return found | {"count": card.count}
    if isinstance(value, Apply):
        found["eq"] = tokens(known, known.equations.forward(value))
    return found | ({"nudge": nudges[value]} if value in nudges else {})


def name_of(known: Known, t: Tensor) -> str:
    """Its own name, or what the source calls it."""
    return known.graph.names[t] or known.called.source.tensors.get(t, "")


def missing(known: Known, t: Tensor) -> str:
    """Why a card has no gradient."""
    if not t.requires_grad:
        return (
            "no gradient flows here" if t.op is not None else "no gradient: requires_grad is False"
        )
    return "no gradient arrives" if known.traced.gradient_of else "no backward here"


def code_of(known: Known, value: Value) -> str:
    """How the source says a value."""
    text = known.source.texts.get(value) or known.equations.short.get(value)
    if text is not None:
        return text.text
    return f"array{value.shape}" if value.shape else str(known.followed.numbers[value])


def gradient_code(known: Known, t: Tensor) -> str:
    """How the source calls the gradient of a Tensor, or what it is the gradient of."""
    code = code_of(known, known.traced.made[t])
    if code.isidentifier():
        return f"G_{code}"
    words = t.op.name.replace("_", " ") if t.op is not None else code
    return f"G of {code if len(code) <= LONG else words}"


# Arrows


def arrow_told(known: Known, id: str, codes: Codes) -> dict[str, Any]:
    """A value on its way into an op, and what the op sends back."""
    sent = known.sent(id)
    use = next(iter(sent), known.uses[id][0])
    is_single = use.y not in known.folds.folded
    broadcast = broadcasting(use.y, use.x) if is_single else ""
    tail, head = known.ends(id)
    found: dict[str, Any] = {
        "id": id,
        "tail": tail,
        "head": head,
        "broadcast": broadcast,
        "flows": bool(sent),
        "spine": any((each.x, each.y) in known.spine for each in known.uses[id]),
        "code": "",
        "eq": None,
        "passed": passed(known, id),
        "count": len(sent),
        "gcode": printable(gradient_code(known, use.x)) if len(values_of(sent)) == 1 else "",
        "gets": bool(sent) and not is_all_of_it(known, sent),
        **flow_told(known, sent),
    }
    if sent and is_single:
        joint = " + " if len(values_of(sent)) == 1 else ", "
        found |= vjps_told([vjp_told(known, each, codes) for each in sent], joint)
    rows = [text for text in (broadcast, found["code"], *numbers_told(known, found)) if text]
    return found | {"label": dict(zip(("w", "h"), label_size(rows)))}


def values_of(uses: Iterable[Use]) -> list[Tensor]:
    """The Tensors that are used, each once: of a fold, or by one, there may be several."""
    return [*dict.fromkeys(use.x for use in uses)]


def passed(known: Known, id: str) -> int | None:
    """The array of the one number that is on its way into an op; None for all else."""
    x, *others = values_of(known.uses[id])
    return None if others or x.size != 1 else known.arrays.of(known.traced.made[x])


def numbers_told(known: Known, arrow: Mapping[str, Any]) -> list[str]:
    """What else a page writes on an arrow of a single number: it, and its vjp in numbers."""

    def said(i: int | None) -> str:
        """The number at an index, empty for what is none."""
        array = None if i is None else known.arrays.every[i]
        is_number = array is not None and array.size == 1 and array.dtype.kind in SHOWN
        return f"{array.item():.4g}" if array is not None and is_number else ""

    value, sent = said(arrow["passed"]), said(arrow["a"])
    symbols = [each if isinstance(each, str) else said(each["a"]) for each in arrow["eq"] or []]
    if not value or not sent or len(symbols) < 2 or not all(symbols):
        return [value] if value else []
    brackets = "()" * sum(not isinstance(each, str) for each in arrow["eq"])  # -(-3)
    return [value, f"= {''.join(symbols)}{brackets} = {sent}"]


def flow_told(known: Known, sent: Mapping[Use, Value]) -> dict[str, Any]:
    """What is sent back, and its length.

    Several parts, as those that leave a fold, are a value only where they are all of a gradient.
    Else the length is that of the longest.
    """
    values = [*sent.values()]
    if len(values) > 1 and is_all_of_it(known, sent):
        g = known.followed.gradient(next(iter(sent)).x)
        values = values if g is None else [g]
    sizes = [length(known.followed.numbers[g]) for g in values]
    array = known.arrays.of(values[0]) if len(values) == 1 else None
    return {"a": array, "size": in_json(max(sizes)) if sizes else None}


def is_all_of_it(known: Known, sent: Mapping[Use, Value]) -> bool:
    """Whether these are all parts of the gradient of one Tensor."""
    x, *others = values_of(sent)
    every = [y for y, place in known.followed.sent if y.inputs[place] is x]
    return not others and len(every) == len(sent)


def vjps_told(each: Sequence[dict[str, Any]], joint: str) -> dict[str, Any]:
    """What an op sends back to one input, or to several inside of a fold."""
    if len(each) == 1:
        return each[0]
    return {"code": joint.join(vjp["code"] for vjp in each)}


def vjp_told(known: Known, use: Use, codes: Codes) -> dict[str, Any]:
    """The code of what is sent back, and where a rule cannot be read, why."""
    called = gradient_code(known, use.y)
    called = called if called.isidentifier() else ""
    backward = known.equations.backward(use.y, use.place, called)
    if backward is None:
        code, failed = codes.of(use)
        return {"code": printable(code)} | ({"failed": printable(failed)} if failed else {})
    equation, code = backward
    whole = known.followed.gradient(use.y)
    assert whole is not None
    refs = {whole: f"g:{known.folds.shown[use.y]}"}
    return {"eq": tokens(known, equation, refs), "code": printable(code)}


def tokens(known: Known, equation: Equation, refs: Mapping[Value, str] | None = None) -> list[Any]:
    """An equation, each symbol with its array and the card that shows it."""
    refs = {**known.refs, **(refs or {})}
    found: list[Any] = []
    for each in equation:
        if not isinstance(each, Symbol):
            found.append(printable(each))
            continue
        symbol = {"t": printable(each.text), "a": known.arrays.of(each.value)}
        if each.value in refs:
            symbol["ref"] = refs[each.value]
        found.append(symbol)
    return found


# Lines and scopes


def lines_told(known: Known) -> list[dict[str, Any]]:
    """The source; of a long one only what cards show can be pointed at."""
    is_short = not is_long(known.source)
    return [
        line_told(known, line, lambda value: is_short or value in known.refs)
        for line in known.source.lines
    ]


def line_told(known: Known, line: Line, is_said: Callable[[Value], bool]) -> dict[str, Any]:
    """A line, and what its characters say: of the same ones the last that is computed."""
    found: dict[str, Any] = {"t": line.text, "k": line.kind}
    if line.value is not None and is_said(line.value):
        found["a"] = known.arrays.of(line.value)
        if line.value in known.refs:
            found["ref"] = known.refs[line.value]
    values: dict[tuple[int, int], Value] = {}
    for start, end, value in line.spans:
        values.setdefault((start, end), value)
    found["spans"] = [
        [*place, known.refs.get(value), known.arrays.of(value)]
        for place, value in values.items()
        if is_said(value)
    ]
    return found


def is_long(source: Source) -> bool:
    """Whether a source says more than a page can show the numbers of."""
    return sum(len(line.spans) for line in source.lines) > MOST_SPANS


def lines_note(source: Source) -> str:
    """What is said where not all of a source can be pointed at; empty where all can."""
    if not is_long(source):
        return ""
    return "so that this page stays small, only values that have a card can be pointed at in its long source"


def scopes_told(cards: Iterable[Card]) -> list[dict[str, Any]]:
    """All scopes that hold a card, and those that hold these."""
    paths = dict.fromkeys(card.scope[: i + 1] for card in cards for i in range(len(card.scope)))
    return [{"id": f"s{i}", "path": [*map(printable, path)]} for i, path in enumerate(paths)]
