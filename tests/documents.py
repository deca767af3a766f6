"""The project's documents, as a Markdown parser sees them: which there are, and what is in each."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
MARKDOWN = MarkdownIt("commonmark").enable("table")
IN_HTML = re.compile(r'\b(?:src|href)="([^"]+)"')


class Heading(NamedTuple):
    """`level`: h1, h2 and so on."""

    level: str
    text: str


class Code(NamedTuple):
    """A block of code, and the language that stands behind its first backticks."""

    language: str
    text: str


class Table(NamedTuple):
    """`section`: how many headings of the second level come before it. Cells are as they are written."""

    section: int
    head: list[str]
    rows: list[list[str]]


def documents() -> list[str]:
    """Every Markdown file and notebook of the project, by its path from the project's folder."""
    places = [*ROOT.glob("*.md")]
    for folder in ("examples", "tests", "tinygrad_steel"):
        places += [p for end in ("md", "ipynb") for p in (ROOT / folder).rglob(f"*.{end}")]
    names = (place.relative_to(ROOT) for place in places)
    return sorted(str(n.as_posix()) for n in names if not any(p.startswith(".") for p in n.parts))


def markdown(file: Path) -> list[str]:
    """A document's Markdown in one piece; of a notebook, that of each cell of prose."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".ipynb":
        return [text]
    cells = json.loads(text)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


@functools.cache
def parsed(name: str) -> list[Token]:
    """A document's Markdown, taken apart."""
    return MARKDOWN.parse("\n\n".join(markdown(ROOT / name)))


def inside(name: str, opening: str) -> Iterator[Token]:
    """What stands in each paragraph, heading or cell: the token after the one that opens it."""
    pairs = zip(parsed(name), parsed(name)[1:])
    return (token for before, token in pairs if before.type == opening)


def words_of(line: Token) -> str:
    """What one reads of a line: the text of links, not where they lead."""
    return "".join(" " if c.type == "softbreak" else c.content for c in line.children or ())


def headings(name: str) -> list[Heading]:
    levels = (token.tag for token in parsed(name) if token.type == "heading_open")
    return [*map(Heading, levels, map(words_of, inside(name, "heading_open")))]


def paragraphs(name: str) -> list[str]:
    return [*map(words_of, inside(name, "paragraph_open"))]


def code_blocks(name: str, language: str | None = None) -> list[Code]:
    """All blocks of code, or those in one language."""
    found = [Code(t.info, t.content) for t in parsed(name) if t.type == "fence"]
    return [block for block in found if language in (None, block.language)]


def tables(name: str) -> list[Table]:
    section, rows, found = 0, [], []
    for token in parsed(name):
        if token.type == "heading_open":
            section += token.tag == "h2"
        elif token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(token.content)
        elif token.type == "table_close":
            found.append(Table(section, rows[0], rows[1:]))
            rows = []
    return found


def tokens(name: str) -> Iterator[Token]:
    """All tokens of a document, those within lines too."""
    for token in parsed(name):
        yield token
        yield from token.children or ()


def pictures(name: str) -> list[str]:
    """Where the pictures lie."""
    found = []
    for token in tokens(name):
        if token.type == "image":
            found.append(str(token.attrs["src"]))
        elif token.type.startswith("html") and "<img" in token.content:
            found += IN_HTML.findall(token.content)
    return found


def links(name: str) -> list[str]:
    """Where links lead, pictures left out; those to other places of the web, too."""
    found = [str(token.attrs["href"]) for token in tokens(name) if token.type == "link_open"]
    html = [t.content for t in tokens(name) if t.type.startswith("html") and "<a" in t.content]
    return found + [target for text in html for target in IN_HTML.findall(text)]
