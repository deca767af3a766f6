"""What notebooks show, in one look: the style, light and dark, tables and code as HTML.

Nothing is loaded from elsewhere and no script runs. What is light and dark follows the notebook
where it says so (Jupyter, VS Code), else the reader's system.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

LIGHT = {
    "text": "#1F2933",
    "muted": "#5F6B7A",
    "line": "#C5CDD6",
    "head": "#F4F5F7",
    "right": "#00785A",
    "wrong": "#B42318",
    "follows": "#9A5200",
    "gradient": "#8A2F6B",
    "keyword": "#0B6FB3",
    "string": "#9A5200",
    "number": "#00785A",
    "below": "#0B6FB3",
    "zero": "#FFFFFF",
    "above": "#C2410C",
}
DARK = {
    "text": "#F0F3F6",
    "muted": "#9AA7B5",
    "line": "#3D4854",
    "head": "#262C35",
    "right": "#4CD3A5",
    "wrong": "#FF8A80",
    "follows": "#F2B451",
    "gradient": "#E9A3CC",
    "keyword": "#62B5EA",
    "string": "#F2B451",
    "number": "#4CD3A5",
    "below": "#62B5EA",
    "zero": "#1E242D",
    "above": "#FB923C",
}
MONO = "ui-monospace,'Courier New',monospace"
RULES = f"""
.steel{{color:var(--steel-text);font-size:13px;line-height:1.4}}
.steel table{{border-collapse:collapse;margin:0 0 6px;color:inherit}}
.steel th,.steel td{{text-align:left;padding:3px 10px;border-bottom:1px solid var(--steel-line)}}
.steel th{{background:var(--steel-head);font-weight:600}}
.steel p{{margin:2px 0}}
.steel pre,.steel code{{font-family:{MONO};font-size:12px;color:inherit;background:none}}
.steel pre{{margin:2px 0;line-height:1.4;overflow-x:auto}}
.steel .parts{{display:flex;flex-wrap:wrap;gap:4px 28px;align-items:flex-start}}
.steel svg{{display:block;margin:4px 0}}
.steel svg rect{{fill:currentColor;stroke:var(--steel-line)}}
.steel svg text{{font-family:{MONO};fill:var(--steel-text)}}
"""


def colours(values: Mapping[str, str]) -> str:
    """Colours as CSS variables."""
    return ";".join(f"--steel-{name}:{value}" for name, value in values.items())


def style() -> str:
    """The style of all that is shown; each output brings it along, as outputs may be cleared."""
    light, dark = f"{{{colours(LIGHT)}}}", f"{{{colours(DARK)}}}"
    classes = "".join(f".steel .{name}{{color:var(--steel-{name})}}" for name in LIGHT)
    return (
        f"<style>.steel{light}"
        f"@media (prefers-color-scheme:dark){{.steel{dark}}}"
        f"[data-jp-theme-light=true] .steel,.vscode-light .steel{light}"
        f"[data-jp-theme-light=false] .steel,.vscode-dark .steel{dark}"
        f"{RULES}{classes}</style>"
    )


def page(*parts: str) -> str:
    """Parts of HTML as one output."""
    return f'{style()}<div class="steel">{"".join(parts)}</div>'


def escaped(text: object) -> str:
    """Text as HTML has it, whatever it contains."""
    return html.escape(str(text), quote=True)


def coloured(text: object, kind: str) -> str:
    """Text in the colour of a kind."""
    return f'<span class="{kind}">{escaped(text)}</span>'


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a table, the first one being its head; cells are HTML."""
    head, *others = rows
    return f"<table>{row(head, 'th')}{''.join(row(cells, 'td') for cells in others)}</table>"


def row(cells: Iterable[str], tag: str) -> str:
    """A row of a table."""
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def lines(texts: Iterable[str]) -> str:
    """Sentences, each a line; what begins with a blank is code, and keeps its blanks."""
    return "".join(
        f"<pre>{escaped(text)}</pre>" if text.startswith(" ") else f"<p>{escaped(text)}</p>"
        for text in texts
    )
