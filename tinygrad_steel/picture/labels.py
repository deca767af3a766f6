"""What stands on cards and arrows, in the title and in the legend, as graphviz's labels."""

from __future__ import annotations

import dataclasses
import math

from .arrows import Arrow
from .cards import Card
from .graph import LEAVES
from .markup import join, markup, table, wrapped
from .scene import Scene
from .text import gradient_text
from .themes import CAPTIONS, MONO, SHAPES, Theme

BARS = 14
KEY = 8  # how large letters are in the legend


@dataclasses.dataclass(frozen=True)
class Style:
    """How a scene looks: its colours, and its smallest and largest gradient, for the bars."""

    colours: Theme
    span: tuple[float, float]

    def muted(self, text: str, size: int = 9, face: str = "") -> str:
        """Text that stays in the background."""
        return markup(text, self.colours["muted"], size, face)

    def bars(self, full: int, faint: int) -> list[str]:
        """The bars of a gradient, and those that it lacks."""
        return [
            markup("|" * full, self.colours["gradient"], 9, bold=True),
            markup("|" * faint, self.colours["faint"], 9, bold=True),
        ]


def style_of(scene: Scene, colours: Theme) -> Style:
    """The style of a scene in a theme."""
    sizes = [card.grad for card in scene.cards if card.grad and math.isfinite(card.grad)]
    return Style(colours, (min(sizes, default=0.0), max(sizes, default=0.0)))


def bar_count(size: float, span: tuple[float, float]) -> int:
    """How many of the bars a gradient gets.

    On a log scale, from the smallest in the picture to the largest.

    >>> bar_count(1.0, (1.0, 100.0)), bar_count(10.0, (1.0, 1000.0))
    (1, 5)
    """
    low, high = span
    if not size or not math.isfinite(size):
        return 0
    if high <= low * 1.0001:
        return BARS
    way = (math.log(size) - math.log(low)) / (math.log(high) - math.log(low))
    return 1 + round((BARS - 1) * min(1.0, max(0.0, way)))


# Cards


def card_label(card: Card, style: Style) -> str:
    """The text on a card, line by line."""
    head = {"fold": fold_head, "op": op_head}.get(card.kind, value_head)
    rows = head(card, style)
    rows += [style.muted(line, 9, MONO) for fact in card.facts for line in wrapped(fact, 60)]
    if card.grad is not None:
        rows.append(gradient_row(card, card.grad, style))
    elif card.note:
        rows.append(markup(card.note, style.colours["muted"], 9, italic=True))
    return table(rows)


def chip_label(card: Card, style: Style) -> str:
    """The name of a card that stands elsewhere, else what it holds; a result comes from there."""
    name = card.name or card.value or card.op or str(card.shape)
    name = name if card.kind in LEAVES else f"→ {name}"
    return table([markup(line, style.colours[card.kind][1], 10, MONO) for line in wrapped(name)], 0)


def fold_head(card: Card, style: Style) -> list[str]:
    """How often something is done, and what."""
    first, *more = (markup(line, "", 10) for line in wrapped(card.name))
    return [
        markup("FOLDED BLOCKS", style.colours["fold"][1], 7, bold=True),
        join(markup(f"{card.count} x", "", 13, MONO, bold=True), first),
        *more,
    ]


def op_head(card: Card, style: Style) -> list[str]:
    """The glyph of an op, its name, and the name and shape of the result."""
    op_name = card.op.replace("_", " ") if card.glyph != card.op else ""
    *lines, last = wrapped(card.name) if card.name else [""]
    lines.append(f"{last} {shape_or_value(card)}".strip())
    first, *more = (style.muted(line, 10, MONO) for line in lines)
    glyph = markup(card.glyph, "", 13, MONO, bold=True)
    return [join(glyph, markup(op_name, "", 10), first), *more]


def value_head(card: Card, style: Style) -> list[str]:
    """The kind of a leaf or of the result, its name and its shape."""
    names = wrapped(card.name) if card.name else []
    *more, last = [markup(line, "", 13, MONO, bold=True) for line in names] or [""]
    caption = markup(card.kind.upper(), style.colours[card.kind][1], 7, bold=True)
    rows = [caption, *more, join(last, style.muted(shape_or_value(card), 10, MONO))]
    if card.kind == "output" and card.op:
        shape = str(card.shape) if card.shape else f"scalar {card.shape}"
        rows.append(markup(f"{card.op.replace('_', ' ')} → {shape}", "", 9))
    return rows


def shape_or_value(card: Card) -> str:
    """The number of a leaf or a scalar that has one, else the shape."""
    if card.value and not (card.op and card.shape):
        return f"= {card.value}"
    return str(card.shape)


def gradient_row(card: Card, size: float, style: Style) -> str:
    """The length of a gradient and its bars."""
    full = bar_count(size, style.span)
    text = markup(gradient_text(card), style.colours["gradient"], 9)
    return f"{text}  {''.join(style.bars(full, BARS - full))}"


# Arrows


def arrow_label(arrow: Arrow, style: Style) -> str:
    """Whether a value is broadcast, and the code of its gradient; empty where neither is."""
    texts = [style.muted(arrow.broadcast)] if arrow.broadcast else []
    if arrow.code:
        purple = style.colours["gradient"]
        texts += [markup(line, purple, 10, MONO) for line in wrapped(arrow.code, 44)]
    if not texts:
        return ""
    # An arrow on the slant takes up to 10 points of its label's room.
    before = "  " if arrow.spine else "     "
    return table([f"{before}{text}    " for text in texts], 0, '<TR><TD HEIGHT="3"></TD></TR>')


# The title and the legend


def title_label(scene: Scene, style: Style, title: bool | str, key: str) -> str:
    """The formula, or what is given in its place, what the subtitle says, and a legend."""
    rows = []
    if title is not False:
        text = scene.title if title is True else title
        rows += [markup(line, "", 13, MONO, bold=True) for line in wrapped(text, 90)]
        for line in scene.subtitle:
            colour = style.colours["gradient" if line.startswith("purple") else "muted"]
            rows += [markup(part, colour, 9) for part in wrapped(line, 120)]
    if not rows and not key:
        return ""
    after = '<TR><TD HEIGHT="6"></TD></TR>'
    if key:
        after += f'<TR><TD ALIGN="LEFT">{key}</TD></TR>'
    return table(rows, after=after)


def legend(scene: Scene, style: Style, sideways: bool, has_chips: bool) -> str:
    """The kinds of cards in the picture, and what the bars mean; in long lines or in short ones."""
    most = 6 if sideways else 3
    kinds = {card.kind for card in scene.cards}
    captions = {kind: text for kind, text in CAPTIONS.items() if kind in kinds}
    if {"target", "constant"} <= kinds:
        captions["target"] = "target, constant"
        del captions["constant"]
    cells = [legend_cell(kind, text, style) for kind, text in captions.items()]
    if has_chips:
        captions["chip"] = "small: the same once more"
        cells.append(f'<TD></TD><TD ALIGN="LEFT">{style.muted(captions["chip"], KEY)}</TD>')
    rows = [f"<TR>{''.join(cells[i : i + most])}</TR>" for i in range(0, len(cells), most)]
    columns = min(most, len(cells))
    widest = sum(sorted(map(len, captions.values()))[-columns:])
    if any(card.grad is not None for card in scene.cards):
        bars = "".join(style.bars(5, 4))
        meaning = "  |grad| = Euclidean length, bar on a log scale"
        widest = max(widest, len(meaning) + 5)
        text = f'<TD COLSPAN="{2 * columns}" ALIGN="LEFT">{bars}{style.muted(meaning, KEY)}</TD>'
        rows.append(f"<TR>{text}</TR>")
    fixed = ""
    if sideways:  # below the title it would be spread over the width of that otherwise
        room = f'WIDTH="{widest * KEY * 0.55 + columns * 40:.0f}" HEIGHT="{len(rows) * 15 + 4}"'
        fixed = f'FIXEDSIZE="TRUE" ALIGN="LEFT" {room}'
    look = 'BORDER="0" CELLBORDER="0" CELLSPACING="2" CELLPADDING="1"'
    return f"<TABLE {fixed} {look}>{''.join(rows)}</TABLE>"


def legend_cell(kind: str, text: str, style: Style) -> str:
    """A small card of a kind, and what it stands for."""
    fill, line = style.colours[kind]
    drawn = SHAPES[kind]["style"]
    border = next((name for name in ("dashed", "rounded") if name in drawn), "")
    border = f'STYLE="{border.upper()}"' if border else ""
    width = 2 if kind in ("parameter", "output") else 1
    look = f'BORDER="{width}" {border} COLOR="{line}" BGCOLOR="{fill}"'
    box = f'<TD {look} WIDTH="14" HEIGHT="8" FIXEDSIZE="TRUE"></TD>'
    return f'{box}<TD ALIGN="LEFT">{style.muted(f"{text}  ", KEY)}</TD>'
