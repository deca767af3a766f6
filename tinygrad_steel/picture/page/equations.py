"""Equations of single steps: what an op makes of its inputs, and what it sends back, symbol by symbol."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np

from ... import ops
from ...engine.tensor import Tensor
from ...program.expressions import INLINE, PICTURES, Speech, expression
from ...program.formulas import abbreviated, bare, said_for
from ...program.guards import guarded
from ...program.literals import literal
from ...program.names import first_free
from ...program.texts import Text
from ...program.trace import Traced
from ...program.values import Apply, Constant, Value
from .sources import is_named
from .vjps import SingleOps

# What an equation looks behind: all else is a symbol, as `softmax(z)`.
OPERATORS = frozenset(
    {ops.add, ops.subtract, ops.multiply, ops.divide, ops.matmul, ops.negative, ops.power}
)
LONGEST = 200  # characters of an equation
LIMITS = (INLINE, 24, 0)  # of one symbol, from the first that makes an equation short enough


@dataclasses.dataclass(frozen=True)
class Symbol:
    """What an equation says of one value."""

    text: str
    value: Value


Equation = list[str | Symbol]


class Equations:
    """The equations of a traced loss, in which values are called as in its source.

    `g`: what the gradient of a result is called that has no name there. `short`: how the values of
    the forward are said. `single`: the ops, one by one.
    """

    def __init__(
        self, traced: Traced, numbers: dict[Value, np.ndarray], texts: Mapping[Value, Text]
    ):
        self.traced, self.texts = traced, texts
        self.single = SingleOps(traced, numbers)
        names = {text.text for text in texts.values() if is_named(text)}
        self.g = first_free(("g", "G", "gy"), names)
        self.short = short_texts(traced, texts)

    def forward(self, y: Apply) -> Equation:
        """What an op makes of its inputs."""
        known = {x: self.short[x] for x in y.values() if x in self.short}
        symbols = {x for x in y.values() if x in known or x.shape}
        return pieces(expression(y, Speech(PICTURES, (), known)), symbols)

    def backward(self, t: Tensor, place: int) -> tuple[Equation, str] | None:
        """What an op sends back to an input: by the names of the source, and in terms of `g`.

        None where its rule was not traced.
        """
        vjps = self.single.vjps(t)
        sent = None if vjps is None else vjps.sent[place]
        if vjps is None or sent is None:
            return None
        g = self.traced.gradient_of[self.traced.made[t]]
        said = [self.texts[x] for x in (g, bare(g)) if x in self.texts]
        name = next((text.text for text in said if is_named(text)), self.g)
        texts, symbols = zip(*(self.sent(t, sent, vjps.late, word) for word in (name, self.g)))
        return pieces(texts[0], symbols[0]), texts[1].text

    def sent(
        self, t: Tensor, sent: Value, late: Collection[Value], g: str
    ) -> tuple[Text, set[Value]]:
        """What is sent back in terms of `g`, and the values that are symbols in it."""
        y = self.traced.made[t]
        known = {x: self.short[x] for x in (*y.values(), y) if x in self.short}
        known[self.traced.gradient_of[y]] = Text(g).of(self.traced.gradient_of[y])
        for limit in LIMITS:
            text, symbols = vjp_text(bare(sent), known, late, limit)
            if len(text) <= LONGEST:
                break
        return text, symbols


def short_texts(traced: Traced, texts: Mapping[Value, Text]) -> dict[Value, Text]:
    """How the values of a forward are said inside of an equation: by name, or in few words."""
    speech = Speech(PICTURES)
    for y in traced.forward:
        if is_named(texts.get(y)):
            speech.texts[y] = Text(texts[y].text).of(y)
        elif isinstance(y, Apply):
            text = expression(y, speech)
            text = abbreviated(y.op) if len(text) > INLINE else Text(text.text, text.level)
            speech.texts[y] = text.of(y)
    return speech.texts


def vjp_text(
    sent: Value, known: Mapping[Value, Text], late: Collection[Value], limit: int
) -> tuple[Text, set[Value]]:
    """What is sent back in terms of what is known, and the values that are symbols in it.

    What is said in more than `limit` characters stands there by the name of its op.
    """
    speech = Speech(PICTURES, late, dict(known))
    symbols = {*known}
    for y in said_for(sent, known, PICTURES):
        if y in known:
            continue
        if isinstance(y, Apply):
            inner = guarded(y)
            text = expression(y, speech) if inner is None else speech.texts[inner]
            is_long = y is not sent and len(text) > limit
            speech.texts[y] = abbreviated(y.op).of(y) if is_long else text
            if is_long or (y is not sent and y.op not in OPERATORS):
                symbols.add(y)
        elif isinstance(y, Constant) and (y.shape or y is sent):
            words = literal(y.data) if y.shape else PICTURES.value(y.data[()])
            speech.texts[y] = Text(words if len(words) <= limit else f"array{y.shape}").of(y)
            symbols.add(y)
    return speech.texts[sent], symbols


def pieces(text: Text, symbols: Collection[Value]) -> Equation:
    """A text cut where its outermost symbols begin and end."""
    found: Equation = []
    at = 0
    for start, end, value in sorted(text.spans, key=lambda span: (span[0], -span[1])):
        if value not in symbols or start < at:
            continue
        if start > at:
            found.append(text.text[at:start])
        found.append(Symbol(text.text[start:end], value))
        at = end
    if at < len(text):
        found.append(text.text[at:])
    return found
