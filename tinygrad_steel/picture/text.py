"""A scene as a tree of text, which every console can show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .arrows import Arrow
from .cards import Card
from .scene import Scene
from .words import BETWEEN, printable


class Branch(NamedTuple):
    """A card in its place in the tree: what stands before it, below it, and what its arrow says."""

    card: str
    mark: str = ""
    indent: str = ""
    label: str = ""


def text_tree(scene: Scene) -> str:
    """The scene as text, from the result back to the leaves; a card is described once."""
    arrows: dict[str, list[Arrow]] = {card.id: [] for card in scene.cards}
    for arrow in scene.arrows:
        arrows[arrow.head].append(arrow)
    subtitle = [*map(in_text, scene.subtitle)]
    if scene.g:
        subtitle.append(
            f"[sent: ...] = gradient that it gets from above; {scene.g} = gradient there"
        )
    lines = [printable(line) for line in (scene.title, *subtitle, "")]
    seen = set()
    todo = [Branch(scene.cards[-1].id)]
    while todo:
        branch = todo.pop()
        again = branch.card in seen
        inputs = arrows[branch.card]
        text = f"{branch.mark}{describe_card(scene.by_id[branch.card])}{branch.label}"
        lines.append(f"{text}  (see above)" if again and inputs else text)
        if not again:
            seen.add(branch.card)
            todo += reversed([*branches(inputs, branch.indent)])
    return "\n".join(lines)


def branches(arrows: list[Arrow], indent: str) -> Iterator[Branch]:
    """What comes below a card; what has one input goes on below, without an indent."""
    if len(arrows) == 1:
        yield Branch(arrows[0].tail, f"{indent}^ ", indent, describe_arrow(arrows[0]))
        return
    for i, arrow in enumerate(arrows, 1):
        corner, line = ("`", " ") if i == len(arrows) else ("|", "|")
        yield Branch(arrow.tail, f"{indent}{corner}- ", f"{indent}{line}  ", describe_arrow(arrow))


def describe_arrow(arrow: Arrow) -> str:
    """What an arrow says, after the card from which it comes."""
    sent = f"sent: {printable(arrow.words)}" if arrow.code else ""
    return "".join(f"  [{text}]" for text in (arrow.broadcast, sent) if text)


def describe_card(card: Card) -> str:
    """A card in one line."""
    facts = [in_one_line(map(in_text, card.facts))]
    if card.kind == "fold":
        words = [f"{card.count} x {card.name}", *facts, card.remark]
    else:
        words = [card.label]
        words += [card.op] if card.op != card.label else []
        words += [str(card.shape)] if card.shape else []
        words += [card.remark, *facts]
        words += [f"= {card.value}"] if card.value and card.value != card.label else []
        words += [card.kind] if card.kind not in ("op", "output") else []
    gradient = in_one_line([gradient_text(card), *card.grad_rows])
    words.append(gradient or card.note)
    if card.mark is not None:
        words.append(f"[{': '.join(filter(None, (card.mark.text, card.mark.reason)))}]")
    return "  ".join(printable(word) for word in words if word)


def gradient_text(card: Card) -> str:
    """The gradient of a card, or how long it, or those of a fold, are; empty where there is none."""
    if card.grad is None:
        return ""
    if card.signed:
        return f"grad {card.signed}"
    return f"|grad| {card.note or f'{card.grad:.3g}'}"


def in_one_line(lines: Iterable[str]) -> str:
    """Lines two spaces apart; the rows of a matrix one."""
    return re.sub(r",\s+\[", ", [", "  ".join(filter(None, lines)))


def in_text(line: str) -> str:
    """A line as text has it."""
    return line.replace(BETWEEN, " | ")
