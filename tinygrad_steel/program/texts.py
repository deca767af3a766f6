"""Texts that know which of their characters say which value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

# How tightly the parts of an expression hold together, as in Python's grammar.
COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)


@dataclasses.dataclass(frozen=True)
class Text:
    """An expression.

    `level`: how tightly it holds together. `spans`: `(start, end, value)` where these characters
    say a value.
    """

    text: str
    level: int = ATOM
    spans: tuple[tuple[int, int, Any], ...] = ()

    def __str__(self) -> str:
        return self.text

    def __len__(self) -> int:
        return len(self.text)

    def of(self, value: Any) -> Text:
        """The same text, which says this value."""
        return Text(self.text, self.level, ((0, len(self.text), value), *self.spans))

    def at(self, level: int) -> Text:
        """The expression where it must hold together at least so tightly."""
        return self if self.level >= level else joined("(", self, ")")

    def without_sign(self) -> Text:
        """Without the minus at the beginning; what began there is said no more."""
        spans = tuple((start - 1, end - 1, value) for start, end, value in self.spans if start)
        return Text(self.text[1:], self.level, spans)


def joined(*parts: str | Text, level: int = ATOM) -> Text:
    """One text made of several."""
    text = ""
    spans: list[tuple[int, int, Any]] = []
    for part in parts:
        if isinstance(part, Text):
            before = len(text)
            spans += [(start + before, end + before, value) for start, end, value in part.spans]
            part = part.text
        text += part
    return Text(text, level, tuple(spans))


def separated(parts: Iterable[str | Text]) -> Text:
    """With commas between them."""
    return joined(*[text for part in parts for text in (", ", part)][1:])
