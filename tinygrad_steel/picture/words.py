"""Small pieces of text that all forms of a picture share."""

from __future__ import annotations

BETWEEN = " · "  # between facts in a line; in text " | ", which every console can show


def printable(text: str) -> str:
    """Newlines and other controls as Python writes them.

    >>> print(printable("two\\nlines"))
    two\\nlines
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def plural(n: int, what: str) -> str:
    """A count and what is counted.

    >>> plural(1, "node"), plural(1200, "node")
    ('1 node', '1,200 nodes')
    """
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def shortened(text: str, most: int) -> str:
    """A line that is cut where nobody would read on.

    >>> shortened("z = x @ w + b", 9), shortened("z = x @ w", 9)
    ('z = x @ w ...', 'z = x @ w')
    """
    return text if len(text) <= most else f"{text[:most]} ..."
