"""`draw`: the picture of a graph as DOT, SVG, PNG, PDF and text, and the search for a program that renders it."""

from __future__ import annotations

import hashlib
import html
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import unicodedata
from pathlib import Path
from typing import Any

import graphviz

from ..engine.tensor import Tensor
from ..program.trace import Names
from .scene import Arrow, Card, Scene, printable, scene, text_tree

MOST_FOR_PNG, BARS = 300, 14
FORMATS = ("svg", "png", "pdf", "dot", "txt")
SANS, MONO = "Arial", "Courier New"  # exactly these: the pip renderer knows how wide they are

# Fill and line of each kind of card, and the other colours. Each light one stands for one dark one only, so that
# theme="auto" can exchange them: hence a card's white is not quite that of the background.
LIGHT = {
    "input": ("#E3F0FA", "#0B6FB3"),
    "parameter": ("#FFF1D6", "#9A5200"),
    "target": ("#F4F5F7", "#5F6B7A"),
    "constant": ("#F4F5F7", "#5F6B7A"),
    "op": ("#FFFFFE", "#52606D"),
    "output": ("#DDF4EA", "#00785A"),
    "fold": ("#FFFFFE", "#52606D"),
    "scope": ("#FAFBFC", "#C5CDD6"),
    **{"background": "#FFFFFF", "text": "#1F2933", "muted": "#5F6B7A", "gradient": "#8A2F6B", "faint": "#DCC9D6"},
}
DARK = {
    "input": ("#12324A", "#62B5EA"),
    "parameter": ("#46330F", "#F2B451"),
    "target": ("#262C35", "#9AA7B4"),
    "constant": ("#262C35", "#9AA7B4"),
    "op": ("#1E242D", "#9AA7B5"),
    "output": ("#0F3B2E", "#4CD3A5"),
    "fold": ("#1E242D", "#9AA7B5"),
    "scope": ("#1A2027", "#3D4854"),
    **{"background": "#14191F", "text": "#F0F3F6", "muted": "#9AA7B4", "gradient": "#E9A3CC", "faint": "#5A3F50"},
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


class RendererNotFound(RuntimeError):
    """There is no program on this machine that turns DOT into a picture; the message says how to get one."""


def draw(
    tensor: Tensor,
    view: str = "forward",
    names: Names = None,
    values: bool = False,
    fold: bool | str = "auto",
    depth: int | None = None,
    direction: str = "TB",
    theme: str = "light",
) -> Picture:
    """Draw the graph behind a Tensor: one card for each value, an op's card being its result.

    `view`: "forward", "backward" (the gradients on their way back, each with the code of its vjp) or "both". `names`:
    variable names for Tensors without a name, such as `locals()`. `values`: print the numbers of small Tensors.
    `fold`: show scopes and steps that repeat as one card; "auto" does so above 60 cards. `depth`: draw this many steps
    back from the result. `direction`: "TB" (downwards), "LR", "BT" or "RL". `theme`: "light", "dark", or "auto", an SVG
    that follows the reader's preference.

    Neither data nor `.grad` change: gradients of results are pulled for the picture alone. Raises ValueError for an
    unknown option and for a picture of more than 1,000 cards that `depth` does not limit, TypeError for anything but a
    Tensor; the backward views raise what `tensor.backward()` raises, if anything requires a gradient at all.

    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> print(draw((x * x).sum(), view="backward"))
    sum(x * x)
    3 nodes | 1 parameter, 2 values | float64 | gradients of the result
    purple arrow = gradient sent to that operand; g = gradient of the node it leaves; thicker = larger; dotted = none
    <BLANKLINE>
    output  sum  = 5  |grad| 1
    ^ multiply  (2,)  |grad| 1.41  [sent: g]
    |- x  (2,)  parameter  |grad| 4.47  [sent: g * x]
    `- x  (2,)  parameter  |grad| 4.47  [sent: g * x]
    """
    if direction not in ("TB", "LR", "BT", "RL"):
        raise ValueError(f'direction is "TB", "LR", "BT" or "RL", not {direction!r}')
    if theme not in ("light", "dark", "auto"):
        raise ValueError(f'theme is "light", "dark" or "auto", not {theme!r}')
    return Picture(scene(tensor, view, names, values, fold, depth), direction, theme)


class Picture:
    """A drawing: `print` it (text), show it in a notebook, `save("graph.svg")`, or take its `source` (DOT)."""

    def __init__(self, scene: Scene, direction: str = "TB", theme: str = "light"):
        self.scene, self.theme = scene, theme
        self.source = dot_source(scene, direction, DARK if theme == "dark" else LIGHT)

    def svg(self) -> str:
        """The picture as SVG; RendererNotFound where no renderer is."""
        return finished_svg(render(self.source, "svg").decode("utf-8"), self.theme)

    def png(self, dpi: int = 144) -> bytes:
        """The picture as PNG; ValueError above 300 cards, of which none could be read."""
        if len(self.scene.cards) > MOST_FOR_PNG:
            raise ValueError(
                f"{len(self.scene.cards)} cards are too many for a PNG: save an SVG, fold scopes, or draw with depth=20"
            )
        return render(self.source, "png", f"-Gdpi={dpi}")

    def pdf(self) -> bytes:
        """The picture as PDF, for which the graphviz of the operating system is needed."""
        return render(self.source, "pdf")

    def save(self, file: str | os.PathLike[str]) -> Path:
        """Write .svg, .png, .pdf, .dot or .txt, by the suffix; ValueError for any other."""
        path = Path(file)
        kind = path.suffix.lower().removeprefix(".")
        if kind not in FORMATS:
            raise ValueError(f"{path.name}: the suffix says the format, one of {', '.join('.' + f for f in FORMATS)}")
        made = {"svg": self.svg, "png": self.png, "pdf": self.pdf, "dot": lambda: self.source, "txt": lambda: str(self)}
        content = made[kind]()
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    def __str__(self) -> str:
        return text_tree(self.scene)

    def __repr__(self) -> str:
        return f"<Picture of {self.scene.title}: {len(self.scene.cards)} cards; .save('graph.svg') or print it>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        text = str(self)
        try:
            svg = self.svg()
            return {"text/plain": text, "image/svg+xml": svg, "text/html": f"<div>{svg[svg.index('<svg') :]}</div>"}
        except Exception as error:  # a notebook shows the text then, and why
            return {"text/plain": f"{text}\n\n({error})"}


# DOT


def dot_source(scene: Scene, direction: str, colours: dict[str, Any]) -> str:
    """The scene as DOT."""
    graph = graphviz.Digraph("steel", comment="tinygrad_steel draw()")
    sideways, key = direction in ("LR", "RL"), legend(scene, colours)
    graph.attr(
        bgcolor=colours["background"], fontcolor=colours["text"], fontname=SANS, fontsize="11", rankdir=direction,
        ordering="in", nodesep="0.32", ranksep="0.36", pad="0.25", splines="spline", outputorder="edgesfirst",
        newrank="true", labelloc="t", labeljust="l", label=title(scene, colours, key if sideways else ""), tooltip=" ",
    )  # fmt: skip
    graph.attr(
        "node", fontcolor=colours["text"], fontname=SANS, fontsize="11", height="0.3", width="0.5",
        margin="0.10,0.06", penwidth="1.2", shape="box", style="filled",
    )  # fmt: skip
    graph.attr(
        "edge", arrowhead="normal", arrowsize="0.65", color=colours["op"][1], fontcolor=colours["muted"], fontname=SANS,
        fontsize="9", penwidth="1.1",
    )  # fmt: skip
    sizes = [card.grad for card in scene.cards if card.grad and math.isfinite(card.grad)]
    span = min(sizes, default=0.0), max(sizes, default=0.0)
    add_scope(graph, (), scene, colours, span)
    for arrow in scene.arrows:
        add_arrow(graph, arrow, scene, colours, span)
    if not sideways:
        graph.node("legend", label=f"<{key}>", shape="plain", style="", tooltip="legend")
        graph.edge(scene.cards[-1].id, "legend", style="invis", minlen="1")
    return graph.source


def add_scope(graph: Any, path: tuple[str, ...], scene: Scene, colours: dict[str, Any], span: tuple) -> None:
    """The cards of a scope, and the scopes in it where their first card stands."""
    done = set()
    for card in scene.cards:
        if card.scope == path:
            add_card(graph, card, colours, span)
        elif card.scope[: len(path)] == path and (inner := card.scope[: len(path) + 1]) not in done:
            done.add(inner)
            number = sorted({c.scope[: len(inner)] for c in scene.cards if len(c.scope) >= len(inner)}).index(inner)
            with graph.subgraph(name=f"cluster_{len(inner)}_{number}") as cluster:
                fill, line = colours["scope"]
                name = [markup(part, colours["muted"], 9, bold=True) for part in wrapped(inner[-1], 60)]
                cluster.attr(
                    label=table(name, 0), style="rounded,filled", margin="12", color=line, fillcolor=fill, penwidth="1",
                    labeljust="l", labelloc="t", tooltip=escaped(f"scope: {' / '.join(map(printable, inner))}"),
                )  # fmt: skip
                add_scope(cluster, inner, scene, colours, span)
    # A bias stands beside the product it is added to; where one of them is in another scope, that would be torn apart.
    cards = {card.id: card for card in scene.cards if card.scope == path}
    before = {arrow.head: arrow.tail for arrow in scene.arrows if arrow.spine}
    for arrow in scene.arrows:
        beside = before.get(arrow.head)
        if arrow.tail in cards and beside in cards and not cards[arrow.tail].op and cards[beside].op:
            if cards[arrow.tail].kind in ("parameter", "constant") and arrow.head in cards:
                with graph.subgraph() as same:
                    same.attr(rank="same")
                    same.edge(beside, arrow.tail, style="invis", minlen="1")


def add_card(graph: Any, card: Card, colours: dict[str, Any], span: tuple) -> None:
    """A card as a node."""
    fill, line = colours[card.kind]
    attributes = {"color": line, "fillcolor": fill, "class": f"steel-{card.kind}", "id": card.id, **SHAPES[card.kind]}
    if card.spine:
        attributes["group"] = "spine"
    graph.node(card.id, label=card_label(card, colours, span), tooltip=escaped(card.tooltip or card.op), **attributes)


def card_label(card: Card, colours: dict[str, Any], span: tuple) -> str:
    """The text on a card, line by line."""
    muted, rows = colours["muted"], []
    shape = f"= {card.value}" if card.value and not (card.op and card.shape) else str(card.shape)
    if card.kind == "fold":
        rows.append(markup("FOLDED BLOCKS", colours["fold"][1], 7, bold=True))
        first, *more = (markup(line, "", 10) for line in wrapped(card.name))
        rows += [join(markup(f"{card.count} x", "", 13, MONO, True), first), *more]
    elif card.kind == "op":
        op = card.op.replace("_", " ") if card.glyph != card.op else ""
        *lines, last = wrapped(card.name) if card.name else [""]
        first, *more = (markup(line, muted, 10, MONO) for line in [*lines, f"{last} {shape}".strip()])
        rows += [join(markup(card.glyph, "", 13, MONO, True), markup(op, "", 10), first), *more]
    else:
        rows.append(markup(card.kind.upper(), colours[card.kind][1], 7, bold=True))
        *more, last = (markup(line, "", 13, MONO, True) for line in wrapped(card.name)) if card.name else [""]
        rows += [*more, join(last, markup(shape, muted, 10, MONO))]
    if card.kind == "output" and card.op:
        rows.append(markup(f"{card.op.replace('_', ' ')} → {'scalar ' * (not card.shape)}{card.shape}", "", 9))
    rows += [markup(line, muted, 9, MONO) for fact in card.facts for line in wrapped(fact, 60)]
    if card.grad is not None:
        bars = bar_count(card.grad, span)
        rows.append(
            markup(f"|grad| {card.note or f'{card.grad:.3g}'}", colours["gradient"], 9)
            + "  "
            + markup("|" * bars, colours["gradient"], 9, bold=True)
            + markup("|" * (BARS - bars), colours["faint"], 9, bold=True)
        )
    elif card.note:
        rows.append(markup(card.note, muted, 9, italic=True))
    return table(rows)


def add_arrow(graph: Any, arrow: Arrow, scene: Scene, colours: dict[str, Any], span: tuple) -> None:
    """An arrow: along the data, against it, or both."""
    line, purple = colours["op"][1], colours["gradient"]
    cards = scene.by_id
    tail, head = (printable(cards[id].name or cards[id].op or cards[id].kind) for id in (arrow.tail, arrow.head))
    attributes = {"class": "steel-edge", "color": line, "edgetooltip": escaped(f"{tail} -> {head}")}
    texts = [markup(arrow.broadcast, colours["muted"], 9)] if arrow.broadcast else []
    if arrow.flows:
        texts += [markup(text, purple, 10, MONO) for text in wrapped(arrow.code, 44) if arrow.code]
        attributes["edgetooltip"] = escaped(f"{tail} -> {head}{'; backward: ' * bool(arrow.code)}{arrow.code}")
        width = 1.1 + 1.9 * bar_count(arrow.size or 0, span) / BARS
        both = scene.view == "both"
        attributes |= {"dir": "both" if both else "back", "arrowtail": "normal", "penwidth": f"{width:.1f}"}
        attributes["color"] = f"{line}:{purple}" if both else purple
        if both:
            attributes["penwidth"] = "1.3"
    elif scene.view == "backward":
        attributes |= {"dir": "none", "style": "dotted", "color": colours["muted"]}
    if texts:  # an arrow on the slant takes up to 10 points of its label's room
        after = '<TR><TD HEIGHT="3"></TD></TR>'
        attributes["label"] = table([f"{'  ' if arrow.spine else '     '}{text}    " for text in texts], 0, after)
        attributes["labeltooltip"] = escaped(arrow.code or arrow.broadcast)
    if arrow.spine:
        attributes["weight"] = "20"
    outside, inside = cards[arrow.tail].scope, cards[arrow.head].scope
    if outside[: len(inside)] != inside:  # into a scope: its first parameters need a rank of their own
        attributes["minlen"] = "2"
    graph.edge(arrow.tail, arrow.head, **attributes)


def bar_count(size: float, span: tuple[float, float]) -> int:
    """How many of the bars a gradient gets: on a log scale, from the smallest in the picture to the largest."""
    low, high = span
    if not size or not math.isfinite(size):
        return 0
    if high <= low * 1.0001:
        return BARS
    way = (math.log(size) - math.log(low)) / (math.log(high) - math.log(low))
    return 1 + round((BARS - 1) * min(1.0, max(0.0, way)))


def title(scene: Scene, colours: dict[str, Any], key: str) -> str:
    """The formula, and below it what the subtitle says, and the legend where it belongs here."""
    rows = [markup(line, "", 13, MONO, True) for line in wrapped(scene.title, 90)]
    for line in scene.subtitle:
        colour = colours["gradient" if line.startswith("purple") else "muted"]
        rows += [markup(part, colour, 9) for part in wrapped(line, 120)]
    after = '<TR><TD HEIGHT="6"></TD></TR>' + f'<TR><TD ALIGN="LEFT">{key}</TD></TR>' * bool(key)
    return table(rows, after=after)


def legend(scene: Scene, colours: dict[str, Any]) -> str:
    """The kinds of cards in the picture, and what the bars mean."""
    words = {
        "input": "input",
        "parameter": "parameter (double border)",
        "target": "target",
        "constant": "constant",
        "op": "operation",
        "output": "output",
        "fold": "folded blocks",
    }
    kinds = {card.kind for card in scene.cards}
    if {"target", "constant"} <= kinds:
        words["target"] = "target, constant"
        words.pop("constant")
    cells = []
    for kind in [kind for kind in words if kind in kinds]:
        (fill, line), shape = colours[kind], SHAPES[kind]["style"]
        style = next((f'STYLE="{name.upper()}"' for name in ("dashed", "rounded") if name in shape), "")
        border = f'BORDER="{2 if kind in ("parameter", "output") else 1}" {style}'
        box = f'<TD {border} COLOR="{line}" BGCOLOR="{fill}" WIDTH="18" HEIGHT="10" FIXEDSIZE="TRUE"></TD>'
        cells.append(f'{box}<TD ALIGN="LEFT">{markup(words[kind] + "  ", colours["muted"], 9)}</TD>')
    rows = [f"<TR>{''.join(cells[i : i + 3])}</TR>" for i in range(0, len(cells), 3)]
    if any(card.grad is not None for card in scene.cards):
        bars = markup("|||||", colours["gradient"], 9, bold=True) + markup("||||", colours["faint"], 9, bold=True)
        meaning = markup("  |grad| = Euclidean length, bar on a log scale", colours["muted"], 9)
        rows.append(f'<TR><TD COLSPAN="{2 * min(3, len(cells))}" ALIGN="LEFT">{bars}{meaning}</TD></TR>')
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4" CELLPADDING="1">{"".join(rows)}</TABLE>'


def markup(text: str, colour: str, size: int, face: str = "", bold: bool = False, italic: bool = False) -> str:
    """Text in graphviz's HTML, whatever it contains."""
    text = html.escape(printable(text), quote=True).replace("\\", 2 * "\\")  # else \N is the name of the node
    if not text:
        return ""
    text = f"<B>{text}</B>" if bold else f"<I>{text}</I>" if italic else text
    attributes = f'{f" FACE={chr(34)}{face}{chr(34)}" if face else ""} POINT-SIZE="{size}"'
    return f"<FONT{attributes}{f' COLOR={chr(34)}{colour}{chr(34)}' if colour else ''}>{text}</FONT>"


def table(rows: list[str], padding: int = 1, after: str = "") -> str:
    """Lines of text below each other, to the left; wide letters get the room that the renderer does not know of."""
    cells = []
    for row in rows:
        texts = re.findall(r'POINT-SIZE="(\d+)"[^>]*>(?:<[BI]>)?([^<]*)', row)
        room = sum(int(size) * 0.6 * columns(html.unescape(text)) for size, text in texts) + 8
        wide = f' WIDTH="{room:.0f}"' if any(map(is_wide, row)) else ""
        cells.append(f'<TR><TD ALIGN="LEFT"{wide}>{row}</TD></TR>')
    body = "".join(cells) + after
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{padding}">{body}</TABLE>>'


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
    """A long text in several lines that together hold every letter of it."""
    text = printable(text)
    width = int(width * len(text) / max(1.0, columns(text)))
    options = {"break_on_hyphens": False, "drop_whitespace": False, "replace_whitespace": False}
    lines = textwrap.wrap(text, max(1, width), **options) or [" "]
    for i in range(len(lines) - 1, 0, -1):  # spaces belong to the end of the line before
        word = lines[i].lstrip()
        lines[i - 1] += lines[i].removesuffix(word)
        lines[i] = word
    return lines


def escaped(text: str) -> str:
    """A tooltip, in which graphviz, which looks for escapes twice, is to see none but the line breaks."""
    lines = (printable(line).replace("\\", 4 * "\\").replace("&", "&amp;") for line in text.split("\n"))
    return graphviz.nohtml("\\n".join(lines) or " ")


# Rendering


def find_renderer() -> str:
    """The program to render with: $TINYGRAD_STEEL_DOT, else `dot`, else the one of the `draw` extra."""
    given = os.environ.get("TINYGRAD_STEEL_DOT")
    if given:
        found = shutil.which(given)
        if found is None:
            raise RendererNotFound(f"TINYGRAD_STEEL_DOT is {given!r}, which is not a program that can be run")
        return found
    scripts = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    for name, path in [("dot", None), ("graphviz-pure", None), *(("graphviz-pure", folder) for folder in scripts)]:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise RendererNotFound(
        "no renderer: pip install 'tinygrad_steel[draw]', or install graphviz (Debian: apt install graphviz), or set "
        "TINYGRAD_STEEL_DOT to a dot program; .source, .save('graph.dot') and print(picture) need none"
    )


def render(source: str, kind: str, *options: str) -> bytes:
    """DOT as a picture."""
    program = find_renderer()
    done = subprocess.run([program, f"-T{kind}", *options], input=source.encode("utf-8"), capture_output=True)
    if done.returncode or not done.stdout:
        message = done.stderr.decode(errors="replace").strip()
        if "not recognized" in message:
            raise RendererNotFound(
                f"{Path(program).name} cannot make {kind}: install graphviz (Debian: apt install graphviz), or take svg"
            )
        raise RuntimeError(f"{program} failed: {message[:500]}")
    return done.stdout


def finished_svg(svg: str, theme: str) -> str:
    """The renderer's SVG with tooltips that browsers show, ids of its own, and for "auto" both themes."""
    mark = "steel-" + hashlib.sha256(f"{theme} {svg}".encode()).hexdigest()[:8]
    svg = re.sub(r'<title>[^<]*</title>(\s*<g id="a_[^"]*"><a xlink:title="([^"]*)">)', r"<title>\2</title>\1", svg)
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{mark}-\1"', svg)
    svg = svg.replace("<svg ", f'<svg id="{mark}" ', 1)
    if theme != "auto":
        return svg
    rules = []
    for kind, light in LIGHT.items():
        for old, new in zip(*((c,) if isinstance(c, str) else c for c in (light, DARK[kind]))):
            for attribute in ("fill", "stroke"):
                rules += [f'#{mark} [{attribute}="{old.lower()}"] {{ {attribute}: {new} }}']
    style = f"<style>@media (prefers-color-scheme: dark) {{ {' '.join(dict.fromkeys(rules))} }}</style>"
    return re.sub(r"(<svg [^>]*>)", lambda match: match[1] + style, svg, count=1)
