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
from .verdicts import Mark

BARS = 14
DECADE = 2  # so many bars for a factor of 10
LOWEST = -5  # the power of 10 above which the first bar stands
KEY = 8  # how large letters are in the legend


@dataclasses.dataclass(frozen=True)
class Style:
    """How a scene looks: its colours."""

    colours: Theme

    def muted(self, text: str, size: int = 9, face: str = "") -> str:
        """Text that stays in the background."""
        return markup(text, self.colours["muted"], size, face)

    def bars(self, full: int, faint: int) -> list[str]:
        """The bars of a gradient, and those that it lacks."""
        return [
            markup("|" * full, self.colours["gradient"], 9, bold=True),
            markup("|" * faint, self.colours["faint"], 9, bold=True),
        ]


def bar_count(size: float) -> int:
    """How many of the bars a gradient gets: none for 0, two more for a factor of 10.

    The scale is the same in every picture, so that two of them can be laid side by side.

    >>> [bar_count(size) for size in (0, 1e-9, 0.01, 0.1, 1, 10, 100, 1e9)]
    [0, 1, 6, 8, 10, 12, 14, 14]
    """
    if not size or math.isnan(size):
        return 0
    if math.isinf(size):
        return BARS
    return min(BARS, max(1, round(DECADE * (math.log10(size) - LOWEST))))


# Cards


def card_label(card: Card, style: Style) -> str:
    """The text on a card, line by line."""
    head = {"fold": fold_head, "op": op_head}.get(card.kind, value_head)
    rows = head(card, style)
    facts = [*filter(None, [card.remark]), *card.facts]
    rows += [style.muted(line, 9, MONO) for fact in facts for line in wrapped(fact, 60)]
    if card.grad is not None:
        rows.append(gradient_row(card, card.grad, style))
        purple = style.colours["gradient"]
        rows += [
            markup(line, purple, 9, MONO) for row in card.grad_rows for line in wrapped(row, 60)
        ]
    elif card.note:
        rows.append(markup(card.note, style.colours["muted"], 9, italic=True))
    return table(rows + mark_rows(card.mark, style))


def chip_label(card: Card, style: Style) -> str:
    """The name of a card that stands elsewhere, else what it holds; a result comes from there."""
    name = card.label or card.value or card.op or str(card.shape)
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
    *lines, last = wrapped(card.label) if card.label else [""]
    lines.append(f"{last} {shape_and_value(card)}".strip())
    first, *more = (style.muted(line, 10, MONO) for line in lines)
    glyph = markup(card.glyph, "", 13, MONO, bold=True)
    return [join(glyph, markup(op_name, "", 10), first), *more]


def value_head(card: Card, style: Style) -> list[str]:
    """The kind of a leaf or of the result, its name and its shape."""
    names = wrapped(card.label) if card.label else []
    *more, last = [markup(line, "", 13, MONO, bold=True) for line in names] or [""]
    caption = markup(card.kind.upper(), style.colours[card.kind][1], 7, bold=True)
    rows = [caption, *more, join(last, style.muted(shape_and_value(card), 10, MONO))]
    if card.kind == "output" and card.op:
        shape = str(card.shape) if card.shape else f"scalar {card.shape}"
        rows.append(markup(f"{card.op.replace('_', ' ')} → {shape}", "", 9))
    return rows


def shape_and_value(card: Card) -> str:
    """The shape, unless it is that of a scalar, and the number of a value that has one."""
    if not card.value:
        return str(card.shape)
    if card.value == card.label:
        return ""
    return f"{card.shape or ''} = {card.value}".strip()


def gradient_row(card: Card, size: float, style: Style) -> str:
    """The length of a gradient and its bars."""
    full = bar_count(size)
    text = markup(gradient_text(card), style.colours["gradient"], 9)
    return f"{text}  {''.join(style.bars(full, BARS - full))}"


def mark_rows(mark: Mark | None, style: Style) -> list[str]:
    """The verdict on a gradient, and why it is wrong."""
    if mark is None:
        return []
    colour = style.colours[mark.status if mark.status in style.colours else "muted"]
    is_loud = mark.status == "wrong"
    rows = [
        markup(line, colour, 12 if mark.is_first else 10, bold=is_loud)
        for line in wrapped(mark.words, 44)
    ]
    return rows + [
        markup(line, colour, 9) for line in wrapped(mark.short_reason, 44) if mark.reason
    ]


# Arrows


def arrow_label(arrow: Arrow, style: Style) -> str:
    """Whether a value is broadcast, and the code of its gradient; empty where neither is."""
    texts = [style.muted(arrow.broadcast)] if arrow.broadcast else []
    if arrow.code:
        purple = style.colours["gradient"]
        parts = arrow.words.split("; ")
        texts += [markup(line, purple, 10, MONO) for part in parts for line in wrapped(part, 44)]
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
        rows += [style.muted(part) for line in scene.subtitle for part in wrapped(line, 120)]
        if scene.g:
            rows.append(markup(key_to_arrows(scene), style.colours["gradient"], 9))
    if not rows and not key:
        return ""
    after = '<TR><TD HEIGHT="6"></TD></TR>'
    if key:
        after += f'<TR><TD ALIGN="LEFT">{key}</TD></TR>'
    return table(rows, after=after)


def key_to_arrows(scene: Scene) -> str:
    """What the arrows of gradients mean; themes differ in their colour, which is that of the text."""
    text = f"arrow in this colour = gradient sent back; {scene.g} = gradient of the card it leaves"
    has_dotted = scene.view == "backward" and not all(arrow.flows for arrow in scene.arrows)
    return f"{text}; dotted = none" if has_dotted else text


def legend(scene: Scene, style: Style, sideways: bool, has_chips: bool) -> str:
    """The kinds of cards in the picture, and what the bars mean; in long lines or in short ones."""
    most = 6 if sideways else 3
    kinds = {card.kind for card in scene.cards}
    captions = {kind: text for kind, text in CAPTIONS.items() if kind in kinds}
    if {"target", "constant"} <= kinds:
        captions["target"] = "target, constant"
        del captions["constant"]
    cells = [(legend_cell(kind, text, style), text) for kind, text in captions.items()]
    if has_chips:
        text = "small: the same once more"
        cells.append((chip_cell(text, style), text))
    rows = [legend_row(cells[i : i + most]) for i in range(0, len(cells), most)]
    if any(card.grad is not None for card in scene.cards):
        bars = "".join(style.bars(4, 4))
        rows.append(f"{bars}{style.muted(f'  {meaning_of_bars(scene)}', KEY)}")
    return table(rows, 0)[1:-1]


def legend_row(cells: list[tuple[str, str]]) -> str:
    """A line of the legend, of a width of its own: the renderer spreads it over that of a longer one otherwise."""
    width = sum(len(text) * KEY * 0.5 + 32 for _, text in cells)
    look = 'BORDER="0" CELLBORDER="0" CELLSPACING="2" CELLPADDING="1"'
    room = f'FIXEDSIZE="TRUE" ALIGN="LEFT" WIDTH="{width:.0f}" HEIGHT="17"'
    return f"<TABLE {room} {look}><TR>{''.join(cell for cell, _ in cells)}</TR></TABLE>"


def meaning_of_bars(scene: Scene) -> str:
    """What a bar stands for, and `|grad|` where a card has it."""
    highest = 10 ** (BARS // DECADE + LOWEST)
    scale = f"{DECADE} strokes = times 10, 1e{LOWEST} to {highest}"
    has_length = any(card.grad is not None and not card.signed for card in scene.cards)
    return f"|grad| = length; {scale}" if has_length else scale


def legend_cell(kind: str, text: str, style: Style) -> str:
    """A small card of a kind, and what it stands for."""
    fill, line = style.colours[kind]
    drawn = SHAPES[kind]["style"]
    border = next((name for name in ("dashed", "rounded") if name in drawn), "")
    border = f'STYLE="{border.upper()}"' if border else ""
    width = 2 if kind in ("parameter", "output") else 1
    look = f'BORDER="{width}" {border} COLOR="{line}" BGCOLOR="{fill}"'
    return boxed(f'{look} WIDTH="14" HEIGHT="8"', text, style)


def chip_cell(text: str, style: Style) -> str:
    """A small chip, and what it stands for."""
    fill, line = style.colours["op"]
    return boxed(f'BORDER="1" COLOR="{line}" BGCOLOR="{fill}" WIDTH="8" HEIGHT="8"', text, style)


def boxed(look: str, text: str, style: Style) -> str:
    """A box and what it stands for."""
    box = f'<TD {look} FIXEDSIZE="TRUE"></TD>'
    return f'{box}<TD ALIGN="LEFT">{style.muted(f"{text}  ", KEY)}</TD>'
