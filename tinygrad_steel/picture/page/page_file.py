"""A page as one file: its pieces put together, closed against everything from outside."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import importlib.resources
import json
import re
from collections.abc import Mapping
from typing import Any

# Put together as one strict function, in this order: what a file says, the next ones see.
SCRIPTS = (
    "data.js",
    "elements.js",
    "numbers.js",
    "heatmap.js",
    "arrangement.js",
    "graph.js",
    "view.js",
    "source.js",
    "value.js",
    "steps.js",
    "compare.js",
    "yours.js",
    "training.js",
    "playing.js",
    "pointing.js",
    "start.js",
)
STYLES = ("page.css", "compare.css")
UNTITLED = "tinygrad_steel"
HIGH = 600  # pixels of a frame in a notebook
# What could end the element around the data, or a line of it, and what no file can hold.
UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def page_file(data: Mapping[str, Any], text: str, theme: str) -> str:
    """The page of this data; `text` stands there where scripts do not run."""
    style, script = style_of_page(), script_of_page()
    parts = {
        "theme": theme,
        "policy": policy(style, script),
        "title": html.escape(data["title"] or UNTITLED),
        "style": style,
        "text": html.escape(text),
        "data": in_script(data),
        "script": script,
    }
    # In one pass: whatever looks like a mark in the data stays as it is.
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], piece("page.html"))


@functools.cache
def piece(name: str) -> str:
    """One of the page's own files."""
    files = importlib.resources.files(__package__)
    return (files / "browser" / name).read_text(encoding="utf-8")


def style_of_page() -> str:
    """The style sheet."""
    return "\n".join(map(piece, STYLES))


def script_of_page() -> str:
    """All scripts as one."""
    return "\n".join(['"use strict";', "(() => {", *map(piece, SCRIPTS), "})();", ""])


def policy(style: str, script: str) -> str:
    """What a browser lets the page do: run this script with this style, and fetch nothing, ever."""
    return (
        f"default-src 'none'; script-src {fingerprint(script)}; style-src {fingerprint(style)}; "
        f"img-src data:; base-uri 'none'; form-action 'none'"
    )


def fingerprint(text: str) -> str:
    """By what a browser knows a script or a style again."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def in_script(data: Mapping[str, Any]) -> str:
    r"""Data as JSON that can stand inside of a script element.

    >>> print(in_script({"name": "</script>"}))
    {"name":"\u003c/script\u003e"}
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return UNSAFE.sub(lambda letter: f"\\u{ord(letter[0]):04x}", text)


def frame(page: str, title: str, text: str) -> str:
    """A page as a notebook shows it: in a frame that may run scripts, and nothing else.

    The text below is what remains where a front end shows no frames.
    """
    said = f"tinygrad_steel: forward and backward of {title or 'a graph'}, step by step"
    return (
        f'<iframe title="{html.escape(said)}" sandbox="allow-scripts" width="100%" '
        f'height="{HIGH}" style="border: 1px solid #8888" srcdoc="{html.escape(page)}"></iframe>\n'
        f"<details><summary>the same graph as text</summary>\n"
        f"<pre>{html.escape(text)}</pre></details>"
    )
