"""Text as graphviz takes it: in labels that look like HTML, and in tooltips."""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata

import graphviz

from .words import printable


def markup(
    text: str, colour: str, size: int, face: str = "", bold: bool = False, italic: bool = False
) -> str:
    """Text in graphviz's HTML, whatever it contains."""
    text = html.escape(printable(text), quote=True)
    if not text:
        return ""
    text = text.replace("\\", 2 * "\\")  # else \N is the name of the node
    if bold:
        text = f"<B>{text}</B>"
    elif italic:
        text = f"<I>{text}</I>"
    face = f' FACE="{face}"' if face else ""
    colour = f' COLOR="{colour}"' if colour else ""
    return f'<FONT{face} POINT-SIZE="{size}"{colour}>{text}</FONT>'


def table(rows: list[str], padding: int = 1, after: str = "") -> str:
    """Lines of text below each other, to the left."""
    body = "".join(f'<TR><TD ALIGN="LEFT"{room_for(row)}>{row}</TD></TR>' for row in rows)
    attributes = f'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{padding}"'
    return f"<<TABLE {attributes}>{body}{after}</TABLE>>"


def room_for(row: str) -> str:
    """The room that wide letters need, and of which the renderer does not know."""
    if not any(map(is_wide, row)):
        return ""
    texts = re.findall(r'POINT-SIZE="(\d+)"[^>]*>(?:<[BI]>)?([^<]*)', row)
    room = sum(int(size) * 0.6 * columns(html.unescape(text)) for size, text in texts) + 8
    return f' WIDTH="{room:.0f}"'


def join(*parts: str) -> str:
    """Parts of a line, two spaces apart."""
    return "  ".join(filter(None, parts))


def is_wide(c: str) -> bool:
    """Whether a letter is as wide as it is high, as those of Korean are."""
    return unicodedata.east_asian_width(c) in "WF"


def columns(text: str) -> float:
    """How wide a text is, counted in letters of Courier."""
    return sum(5 / 3 if is_wide(c) else 1 for c in text)


def wrapped(text: str, width: int = 40) -> list[str]:
    """A long text in several lines that together hold every letter of it.

    >>> wrapped("one two three", 8)
    ['one two ', 'three']
    """
    text = printable(text)
    width = int(width * len(text) / max(1.0, columns(text)))
    lines = textwrap.wrap(
        text,
        max(1, width),
        break_on_hyphens=False,
        drop_whitespace=False,
        replace_whitespace=False,
    )
    for i in range(len(lines) - 1, 0, -1):  # spaces belong to the end of the line before
        word = lines[i].lstrip()
        lines[i - 1] += lines[i].removesuffix(word)
        lines[i] = word
    return lines or [" "]


def escaped(text: str) -> str:
    """A tooltip, in which graphviz is to see no escapes but the line breaks."""
    lines = [printable(line) for line in text.split("\n")]
    lines = [line.replace("\\", 4 * "\\") for line in lines]  # graphviz looks for escapes twice
    lines = [line.replace("&", "&amp;") for line in lines]
    quoted: str = graphviz.nohtml("\\n".join(lines) or " ")  # a str that is never taken for HTML
    return quoted
