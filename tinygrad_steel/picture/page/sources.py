"""The source beside a graph: its lines, and which of their characters say which value."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping

from ... import ops
from ...program.definitions import Definitions, numpy_backprop, reserved_names
from ...program.expressions import FORMULAS, Dialect, Speech, numpy_source
from ...program.given_names import Names
from ...program.lines import (
    Backprop,
    Function,
    backprop,
    claim_names,
    line,
    names_by_owner,
    picks_by_mask,
    reading_order,
    spell,
    used_twice,
)
from ...program.names import Identifiers
from ...program.redrawn import names_of, sequences
from ...program.texts import Text, joined, separated
from ...program.trace import Traced
from ...program.values import Value
from ..words import printable, shortened

Span = tuple[int, int, Value]
MOST_LETTERS = 2000  # of a line


@dataclasses.dataclass(frozen=True)
class Line:
    """A statement, or a comment.

    `kind`: def, comment, forward, backward or return. `value`: what it computes. `start`: where the
    expression behind the name begins. `spans`: which characters say which value.
    """

    text: str
    kind: str
    value: Value | None = None
    start: int = 0
    spans: tuple[Span, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A function, line by line.

    `helpers`: the functions that it calls. `texts`: how each value is said where it is used.
    `note`: why nobody can run it; empty where Python can.
    """

    lines: list[Line]
    helpers: list[str]
    texts: Mapping[Value, Text]
    note: str = ""


def source_of(traced: Traced, names: Names) -> Source:
    """The backprop of a traced loss as it is written; of a forward alone, that."""
    write = forward_source if traced.start is None else backward_source
    try:
        source = write(traced, names, True)
    except Exception as error:
        # A rule of somebody's own raises whatever it likes on Tensors. What cannot be written out
        # still has lines, in which it stands by its name.
        note = f"this source is for reading, Python cannot run it: {error}"
        source = dataclasses.replace(write(traced, names, False), note=note)
    return shown_whole(source)


def shown_whole(source: Source) -> Source:
    """A source as a page can show it: no line is longer than MOST_LETTERS, and all are printable."""
    lines = [shown_line(line) for line in source.lines]
    helpers = [
        "\n".join(shortened(text, MOST_LETTERS) for text in helper.split("\n"))
        for helper in source.helpers
    ]
    is_cut = any(len(line.text) > MOST_LETTERS for line in source.lines)
    note = source.note
    if not note and (is_cut or helpers != source.helpers):
        note = "this source is for reading, Python cannot run it: its longest lines are cut"
    return Source(lines, helpers, source.texts, note)


def shown_line(line: Line) -> Line:
    """A line that is cut where it is too long, and what its characters say then."""
    if line.text.isprintable() and len(line.text) <= MOST_LETTERS:
        return line
    letters = [*map(printable, line.text)]
    at = [0, *itertools.accumulate(map(len, letters))]
    text = shortened("".join(letters), MOST_LETTERS)
    end = min(at[-1], MOST_LETTERS)
    spans = [(at[a], min(at[b], end), value) for a, b, value in line.spans if at[a] < end]
    return dataclasses.replace(line, text=text, spans=tuple(spans))


def backward_source(traced: Traced, names: Names, runs: bool) -> Source:
    """Forward and backward; as NumPy source, or else as formulas."""
    functions: list[Function] = []
    if runs:
        written, functions = numpy_backprop(traced, names)
    else:
        written = backprop(traced, reading_order(traced), FORMULAS, reserved_names(traced), names)
    return Source(
        [*lines_of(written, traced)], [*map(function_text, functions)], written.speech.texts
    )


def function_text(function: Function) -> str:
    """The source of a function, its lines as long as they are."""
    head = f"def {function.name}({', '.join(function.arguments)}):"
    return "\n    ".join([head, *function.lines, f"return {', '.join(function.returned)}"])


# Its lines


def lines_of(written: Backprop, traced: Traced) -> Iterator[Line]:
    """All lines of a backprop, with what they say."""
    function, texts = written.function, written.speech.texts
    yield head("backprop", function.arguments, written.arguments)
    yield from comments(function.lines[: function.lines.index("# forward") + 1])
    kind = "forward"
    for y, text in written.lines.items():
        if y is traced.start:
            kind = "backward"
            yield Line("# backward", "comment")
        yield from statement(y, texts[y], text, kind)
    for x, name in zip(traced.wanted, function.returned[1:]):
        if x not in traced.gradient_of:
            text = joined("np.zeros_like(", texts[x], ")  # no gradient flows to it")
            yield assigned(name, text, "backward")
    gradients = (traced.gradient_of.get(x) for x in traced.wanted)
    results = [texts[traced.loss]]
    for g, name in zip(gradients, function.returned[1:]):
        results.append(Text(name) if g is None else texts[g])
    yield returned(results)


def head(name: str, arguments: Iterable[str], leaves: Mapping[Value, str]) -> Line:
    """`def backprop(x, w):`."""
    values = {text: x for x, text in leaves.items()}
    texts = (Text(text).of(values[text]) if text in values else text for text in arguments)
    text = joined(f"def {name}(", separated(texts), "):")
    return Line(text.text, "def", spans=text.spans)


def comments(texts: Iterable[str]) -> Iterator[Line]:
    """Lines that say no value."""
    return (Line(text, "comment") for text in texts)


def statement(y: Value, name: Text, text: Text, kind: str) -> Iterator[Line]:
    """The line of a value, and behind it the check of what a mask picks."""
    yield dataclasses.replace(assigned(name.text, text, kind), value=y)
    for check in line(y, name, text)[1:]:
        yield Line(check, kind)


def assigned(name: str, text: Text, kind: str) -> Line:
    """`name = text`."""
    whole = joined(f"{name} = ", text)
    return Line(whole.text, kind, None, len(name) + 3, whole.spans)


def returned(results: Iterable[Text]) -> Line:
    """`return loss, G_w`."""
    text = joined("return ", separated(results))
    return Line(text.text, "return", spans=text.spans)


# A forward alone


def forward_source(traced: Traced, names: Names, runs: bool) -> Source:
    """The forward as a function."""
    if traced.loss not in traced.names:
        traced = dataclasses.replace(traced, names={**traced.names, traced.loss: "result"})
    order, definitions = [*traced.forward], Definitions()
    identifiers = Identifiers({"forward", *reserved_names(traced)})
    drawn = sequences(traced)
    generators = {x: identifiers.free(name) for x, name in names_of(drawn, names).items()}
    dialect: Dialect = numpy_source(definitions.define(order, traced)) if runs else FORMULAS
    called = {y: generators[x] for y, x in drawn.items()}
    speech = Speech(dataclasses.replace(dialect, generators=called))
    arguments, remarks = claim_names(traced, identifiers, speech)
    own = used_twice(traced, order) | {x for x in order if x in traced.names} | {traced.loss}
    own |= {x for x in order if x in traced.random or picks_by_mask(x)}
    name = names_by_owner(traced, identifiers, speech)
    lines = spell(order, own, speech, name, {})
    texts = speech.texts
    found = [head("forward", [*arguments.values(), *generators.values()], arguments)]
    found += comments(remarks)
    for y, text in lines.items():
        found += statement(y, texts[y], text, "forward")
    found.append(returned([texts[traced.loss]]))
    return Source(found, [*map(function_text, definitions.functions.values())], texts)


# Where a value stands


@dataclasses.dataclass(frozen=True, order=True)
class Place:
    """Some characters of a line."""

    line: int
    start: int
    end: int


def places_of(source: Source, traced: Traced) -> dict[Value, Place]:
    """Where each value is computed: by its own line, or else where it is first said.

    What nobody says, as `g / n` in `2 * x * g / n`, stands where that is said which is computed
    from it; and a broadcast that NumPy does by itself where that stands which is broadcast.
    """
    found: dict[Value, Place] = {}
    own: dict[Value, Place] = {}
    for i, each in enumerate(source.lines):
        if each.value is not None:
            own[each.value] = Place(i, each.start, len(each.text))
        for start, end, value in each.spans:
            found.setdefault(value, Place(i, start, end))
    found |= own
    said = {*found}
    for y in reversed(traced.program.applies):
        if y not in found:
            continue
        for x in y.values():
            if x not in said:
                found[x] = min(found.get(x, found[y]), found[y])
    for y in traced.program.applies:
        if y.op is ops.broadcast_to and y not in found and y.inputs[0] in found:
            found[y] = found[y.inputs[0]]
    return found


def is_named(text: Text | None) -> bool:
    """Whether a value is said by a name."""
    return text is not None and text.text.isidentifier()
