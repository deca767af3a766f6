"""Colours, borders and captions of each kind of card."""

from __future__ import annotations

from typing import Any

SANS, MONO = "Arial", "Courier New"  # exactly these: the pip renderer knows how wide they are

# Of a kind of card, its fill and line; of all else, the colour.
Theme = dict[str, Any]

# Each light colour stands for one dark colour only, so that theme="auto" can exchange them: hence
# a card's white is not quite that of the background.
LIGHT: Theme = {
    "input": ("#E3F0FA", "#0B6FB3"),
    "parameter": ("#FFF1D6", "#9A5200"),
    "target": ("#F4F5F7", "#5F6B7A"),
    "constant": ("#F4F5F7", "#5F6B7A"),
    "op": ("#FFFFFE", "#52606D"),
    "output": ("#DDF4EA", "#00785A"),
    "fold": ("#FFFFFE", "#52606D"),
    "scope": ("#FAFBFC", "#C5CDD6"),
    "background": "#FFFFFF",
    "text": "#1F2933",
    "muted": "#5F6B7A",
    "gradient": "#8A2F6B",
    "faint": "#DCC9D6",
    "right": "#17692F",
    "wrong": "#B3261E",
    "follows": "#7A5200",
}
DARK: Theme = {
    "input": ("#12324A", "#62B5EA"),
    "parameter": ("#46330F", "#F2B451"),
    "target": ("#262C35", "#9AA7B4"),
    "constant": ("#262C35", "#9AA7B4"),
    "op": ("#1E242D", "#9AA7B5"),
    "output": ("#0F3B2E", "#4CD3A5"),
    "fold": ("#1E242D", "#9AA7B5"),
    "scope": ("#1A2027", "#3D4854"),
    "background": "#14191F",
    "text": "#F0F3F6",
    "muted": "#9AA7B4",
    "gradient": "#E9A3CC",
    "faint": "#5A3F50",
    "right": "#7BE0A0",
    "wrong": "#FF9C93",
    "follows": "#F0CE7A",
}
SHAPES = {
    "input": {"style": "filled"},
    "parameter": {"style": "filled", "peripheries": "2"},
    "target": {"style": "filled,dashed"},
    "constant": {"style": "filled,dashed"},
    "op": {"style": "filled,rounded"},
    "output": {"style": "filled,rounded", "penwidth": "2.6"},
    "fold": {"style": "filled", "shape": "box3d", "margin": "0.16,0.13"},
}
# What the legend calls each kind, in its order.
CAPTIONS = {
    "input": "input",
    "parameter": "parameter (double border)",
    "target": "target",
    "constant": "constant",
    "op": "operation",
    "output": "output",
    "fold": "folded blocks",
}


def pairs(light: Theme, dark: Theme) -> list[tuple[str, str]]:
    """Each colour of one theme with the one that stands in its place in the other."""
    found = []
    for kind, colours in light.items():
        if isinstance(colours, str):
            found.append((colours, dark[kind]))
        else:
            found += zip(colours, dark[kind])
    return found
