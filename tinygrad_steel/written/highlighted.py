"""Python source as notebooks show it: keywords, strings, numbers, comments and gradients in colour."""

from __future__ import annotations

import io
import keyword
import tokenize

from ..engine.notebook import coloured, escaped, page

KINDS = {tokenize.STRING: "string", tokenize.NUMBER: "number", tokenize.COMMENT: "muted"}


def source_page(source: str) -> str:
    """Source as HTML."""
    return page(f"<pre>{highlighted(source)}</pre>")


def highlighted(source: str) -> str:
    """Source with its tokens in colour and all else as it is.

    >>> highlighted("G_x = 1")
    '<span class="gradient">G_x</span> = <span class="number">1</span>'
    """
    lines = source.splitlines(keepends=True)
    parts: list[str] = []
    row, column = 1, 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = kind_of(token)
        if not kind:
            continue
        parts.append(escaped(between(lines, (row, column), token.start)))
        parts.append(coloured(token.string, kind))
        row, column = token.end
    parts.append(escaped(between(lines, (row, column), (len(lines) + 1, 0))))
    return "".join(parts)


def kind_of(token: tokenize.TokenInfo) -> str:
    """The colour of a token; empty for none."""
    if token.type != tokenize.NAME:
        return KINDS.get(token.type, "")
    if keyword.iskeyword(token.string):
        return "keyword"
    return "gradient" if token.string.startswith("G_") else ""


def between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """What stands between two places, each a line, counted from 1, and a column."""
    (first, column), (last, until) = start, end
    if first == last:
        return lines[first - 1][column:until]
    rest = lines[last - 1][:until] if last <= len(lines) else ""
    return "".join([lines[first - 1][column:], *lines[first : last - 1], rest])
