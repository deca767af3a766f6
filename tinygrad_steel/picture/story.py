"""The story of a page: everything that it shows of a graph, as plain data for JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextvars import Context
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..program.called import Called, SourceNames
from ..program.given_names import Names
from ..program.trace import Traced
from ..program.values import Apply, Value
from .arrows import Codes, Use, broadcasting, uses_by_arrow
from .boxes import box, label
from .cards import Card, cards_of
from .equations import Equation, Equations, Symbol
from .folds import Folds, no_folds, shown_cards
from .gradients import Gradients, length
from .graph import LEAVES, Graph, graph_of
from .nudges import nudges
from .numbers import Arrays, in_json
from .repetitions import find_folds
from .scene import AUTO_FOLD, advice, check_arguments, counts, fold_lines, title_of
from .sources import Place, Source, is_named, places_of, source_of
from .steps import Move, backward_steps, forward_steps
from .tracing import Followed, follow, gradients_on_cards
from .words import printable

VERSION = 1
MOST_CARDS = 500
LONG = 16  # letters of code in the name of a gradient that has none


@dataclasses.dataclass(frozen=True, eq=False)
class Story:
    """What a page shows, and where the values of a graph are in it.

    `data`: all but the layouts, chains and record of the page. `traced`: None where nothing could
    be traced back. `values`: which array shows which value. `cards`: the id of the card that
    stands for a Tensor.
    """

    data: dict[str, Any]
    graph: Graph
    traced: Traced | None
    arrays: Arrays
    cards: Mapping[Tensor, str]

    @property
    def values(self) -> Mapping[Value, int]:
        """Which array shows which value."""
        return self.arrays.values

    def add(self, array: Any) -> int:
        """The index of another array, which the page shows as well."""
        return self.arrays.add(array)


def make_story(
    tensor: Tensor,
    names: Names = None,
    fold: bool | str = "auto",
    depth: int | None = None,
    traced: Traced | None = None,
) -> Story:
    """The story of a Tensor; `fold` and `depth` as `draw` takes them.

    `traced`: what `traced_for_page` has made of the same Tensor, whose values are to be the same.
    """
    check_arguments(tensor, "both", fold, depth)

    @np.errstate(all="ignore")
    def told() -> Story:
        return Telling(tensor, names, fold, depth, traced).story()

    # Outside of every `with`: no detect_anomaly() stops a page of what it has found.
    return Context().run(told)


class Telling:
    """What is known while a story is told."""

    def __init__(
        self,
        tensor: Tensor,
        names: Names,
        fold: bool | str,
        depth: int | None,
        traced: Traced | None,
    ):
        self.names, self.depth = names, depth
        self.graph = graph_of(tensor, names, depth)
        self.followed: Followed = follow(self.graph, names, traced)
        self.traced = self.followed.traced
        self.gradients: Gradients = gradients_on_cards(self.graph, self.followed)
        cards = cards_of(self.graph, self.gradients, "both", False)
        self.tensors = {card.id: t for t, card in cards.items()}
        is_long = len(cards) > AUTO_FOLD
        folding = is_long if fold == "auto" else bool(fold)
        self.folds: Folds = (find_folds if folding else no_folds)(self.graph, cards)
        self.shown = shown_cards(self.folds)
        self.check_size()
        self.tensors |= {fold.id: fold.blocks[-1][-1] for fold in self.folds.found}
        self.source: Source = source_of(self.traced, names)
        self.places = places_of(self.source, self.traced)
        self.arrays = Arrays(self.followed.numbers)
        self.equations = Equations(self.traced, self.source.texts)
        self.called = Called(tensor, names, self.source_names())
        self.codes = Codes(self.called)
        self.refs = self.references()
        self.uses = {
            f"a{i}": uses
            for i, uses in enumerate(uses_by_arrow(self.folds, self.gradients, "both"))
        }

    def check_size(self) -> None:
        """ValueError for what no page can show."""
        if len(self.shown) > MOST_CARDS and self.depth is None:
            raise ValueError(
                f"a page with {len(self.shown):,} cards cannot be read: explore(..., depth=20) "
                f"shows the last 20 steps, and what is computed under `with scope('block[0]'):`, "
                f"`with scope('block[1]'):`, ... is folded"
            )

    def source_names(self) -> SourceNames:
        """What the source calls Tensors."""
        texts = self.source.texts
        found = {x: text.text for x, text in texts.items() if is_named(text)}
        tensors = {t: found[x] for t, x in self.traced.made.items() if x in found}
        return SourceNames(tensors, {*found.values()})

    def references(self) -> dict[Value, str]:
        """Value -> the card that shows it; of a gradient the card of which it is one.

        Where several have the same gradient, it is that of the one by whose name it is called.
        """
        made = self.traced.made
        own = [(t, card.id) for t, card in self.folds.cards.items() if t not in self.folds.folded]
        own += [(self.tensors[fold.id], fold.id) for fold in self.folds.found]
        found: dict[Value, str] = {}
        for t, id in own:
            found.setdefault(made[t], id)
        pairs = [(self.followed.gradient(t), t, id) for t, id in own]
        pairs.sort(key=lambda pair: (not self.names_gradient(pair[1]), -pair[1].age))
        for g, _, id in pairs:
            if g is not None:
                found.setdefault(g, f"g:{id}")
        return found

    def names_gradient(self, t: Tensor) -> bool:
        """Whether the source calls the gradient of a Tensor by its name, as `G_z`."""
        texts, g = self.source.texts, self.followed.gradient(t)
        own = texts.get(self.traced.made[t])
        if g is None or own is None or g not in texts:
            return False
        return texts[g].text == f"G_{own.text}"

    # The whole

    def story(self) -> Story:
        """Everything together."""
        cards = [*map(self.card, self.shown)]
        arrows = [self.arrow(id) for id in self.uses]
        lines = [self.line(i) for i in range(len(self.source.lines))]
        steps = [*self.steps()]
        graph = self.graph
        subtitle = counts(graph, self.gradients, self.depth) + fold_lines(self.folds)
        subtitle += advice(graph)
        data: dict[str, Any] = {
            "version": VERSION,
            "title": printable(title_of(self.folds, self.called)),
            "subtitle": [*map(printable, subtitle)],
            "notes": [],
            "helpers": self.source.helpers,
            "cards": cards,
            "arrows": arrows,
            "scopes": scopes(self.shown),
            "lines": lines,
            "steps": steps,
            "arrays": self.arrays.write(),
        }
        notes = [self.followed.note, self.source.note, self.arrays.note]
        data["notes"] = [printable(note) for note in notes if note]
        traced = self.traced if self.traced.start is not None else None
        return Story(data, graph, traced, self.arrays, self.folds.shown)

    def card(self, card: Card) -> dict[str, Any]:
        """A card."""
        t = self.tensors[card.id]
        value, g = self.traced.made[t], self.followed.gradient(t)
        is_fold = card.kind == "fold"
        name = printable(card.name if is_fold else self.name(t))
        shape, op, glyph = str(card.shape), printable(card.op), printable(card.glyph)
        facts = [*map(printable, card.facts)]
        words = op.replace("_", " ") if glyph != op or card.kind == "output" else ""
        w, h = box(card.kind, glyph, words, name, shape, facts, 1 if g is None else 2)
        found: dict[str, Any] = {
            "id": card.id,
            "kind": card.kind,
            "name": name,
            "op": op,
            "glyph": glyph,
            "shape": shape,
            "dtype": str(t.dtype),
            "scope": [*map(printable, card.scope)],
            "facts": facts,
            "spine": card.spine,
            "w": w,
            "h": h,
            "v": self.arrays.of(value),
            "g": None if g is None else self.arrays.of(g),
            "note": "" if g is not None else self.missing(t, card),
            "code": printable(self.code(value)),
            "gcode": printable(self.gradient_code(t)),
            "eq": None,
        }
        if is_fold:
            return found | {"count": card.count}
        if isinstance(value, Apply):
            found["eq"] = self.tokens(self.equations.forward(value))
        nudge = self.nudges.get(value)
        return found | ({"nudge": nudge} if nudge else {})

    @property
    def nudges(self) -> Mapping[Value, dict[str, str]]:
        """What happens to the result where a value is raised a little."""
        if not hasattr(self, "_nudges"):
            self._nudges = nudges(self.traced, self.followed.numbers)
        return self._nudges

    def name(self, t: Tensor) -> str:
        """Its own name, or what the source calls it."""
        return self.graph.names[t] or self.called.source.tensors.get(t, "")

    def missing(self, t: Tensor, card: Card) -> str:
        """Why a card has no gradient."""
        if card.note and card.kind != "fold":
            return card.note
        return "no gradient arrives" if t.requires_grad else "no gradient"

    def code(self, value: Value) -> str:
        """How the source says a value."""
        text = self.source.texts.get(value) or self.equations.short.get(value)
        if text is not None:
            return text.text
        return str(self.followed.numbers[value]) if not value.shape else f"array{value.shape}"

    def gradient_code(self, t: Tensor) -> str:
        """How the source calls the gradient of a Tensor, or what it is the gradient of."""
        g = self.followed.gradient(t)
        code = self.code(self.traced.made[t])
        if g is not None and self.names_gradient(t):
            return self.source.texts[g].text
        if code.isidentifier():
            return f"G_{code}"
        words = t.op.name.replace("_", " ") if t.op is not None else code
        return f"G of {code if len(code) <= LONG else words}"

    # Arrows

    def arrow(self, id: str) -> dict[str, Any]:
        """A value on its way into an op, and what the op sends back."""
        uses = self.uses[id]
        sent = [self.followed.sent.get((use.y, use.place)) for use in uses]
        flowing = [(use, g) for use, g in zip(uses, sent) if g is not None]
        use = flowing[0][0] if flowing else uses[0]
        is_single = use.y not in self.folds.folded
        broadcast = broadcasting(use.y, use.x) if is_single else ""
        found: dict[str, Any] = {
            "id": id,
            "tail": self.folds.shown[use.x],
            "head": self.folds.shown[use.y],
            "broadcast": broadcast,
            "flows": bool(flowing),
            "spine": any((each.x, each.y) in self.graph.steps for each in uses),
            "code": "",
            "eq": None,
            "a": None,
            "size": None,
        }
        if flowing:
            found |= self.flow([*zip(*flowing)][1], use.x)
            found |= self.vjp(use, flowing[0][1]) if is_single else {}
        rows = [text for text in (broadcast, found["code"]) if text]
        w, h = label(rows)
        return found | {"label": {"w": w, "h": h}}

    def flow(self, sent: tuple[Value, ...], x: Tensor) -> dict[str, Any]:
        """What an arrow sends back: of a fold all at once, where it is a whole gradient."""
        if len(sent) == 1:
            array = self.arrays.of(sent[0])
            return {"a": array, "size": in_json(length(self.followed.numbers[sent[0]]))}
        return {"size": in_json(max(length(self.followed.numbers[g]) for g in sent))}

    def vjp(self, use: Use, sent: Value) -> dict[str, Any]:
        """The code of what is sent back."""
        y = self.traced.made[use.y]
        if self.traced.start is None:
            code, failed = self.codes.of(use)
            return {"code": printable(code)} | ({"failed": printable(failed)} if failed else {})
        assert isinstance(y, Apply)
        equation, code = self.equations.backward(y, sent)
        return {"eq": self.tokens(equation), "code": printable(code)}

    def tokens(self, equation: Equation) -> list[Any]:
        """An equation for the page."""
        return [
            self.symbol(each) if isinstance(each, Symbol) else printable(each) for each in equation
        ]

    def symbol(self, symbol: Symbol) -> dict[str, Any]:
        """A symbol of an equation, its array, and the card that shows it."""
        found: dict[str, Any] = {
            "t": printable(symbol.text),
            "a": self.arrays.of(symbol.value),
        }
        ref = self.refs.get(symbol.value)
        return found | ({"ref": ref} if ref else {})

    # Lines

    def line(self, i: int) -> dict[str, Any]:
        """A line of the source."""
        line = self.source.lines[i]
        found: dict[str, Any] = {"t": line.text, "k": line.kind, "spans": []}
        if line.value is not None:
            found["a"] = self.arrays.of(line.value)
            ref = self.refs.get(line.value)
            found |= {"ref": ref} if ref else {}
        spans: dict[tuple[int, int], tuple[str | None, int]] = {}
        for start, end, value in line.spans:
            ref = self.refs.get(value)
            if spans.get((start, end), (None,))[0] is None and (ref or (start, end) not in spans):
                spans[start, end] = ref, self.arrays.of(value)
        found["spans"] = [[start, end, *known] for (start, end), known in spans.items()]
        return found

    # Steps

    def steps(self) -> Iterator[dict[str, Any]]:
        """All steps."""
        yield from forward_steps(self.forward_moves())
        start = self.traced.gradient_of.get(self.traced.loss)
        if start is not None:
            root = self.folds.shown[self.graph.root]
            end = len(self.source.lines) - 1
            seed = self.places.get(start, Place(end, 0, 0))
            yield from backward_steps(self.backward_moves(), root, seed)

    def forward_moves(self) -> list[Move]:
        """Each card that is computed."""
        tails: dict[str, list[str]] = {}
        leaves = {card.id for card in self.shown if card.kind in LEAVES}
        for uses in self.uses.values():
            tail, head = self.folds.shown[uses[0].x], self.folds.shown[uses[0].y]
            if tail not in leaves:
                tails.setdefault(head, []).append(tail)
        inside: dict[str, list[Tensor]] = {}
        for t, id in self.folds.shown.items():
            if t.op is not None:
                inside.setdefault(id, []).append(t)
        return [
            Move(
                id=card.id,
                card=card.id,
                needs=tails.get(card.id, []),
                places=self.places_at(self.traced.made[t] for t in inside.get(card.id, [])),
                is_folded=card.kind == "fold",
            )
            for card in self.shown
            if card.id not in leaves and (card.kind != "output" or card.op)
        ]

    def places_at(self, values: Iterable[Value]) -> list[Place]:
        """Where these stand in the source, as far as they do."""
        return [self.places[x] for x in values if x in self.places]

    def backward_moves(self) -> list[Move]:
        """Each arrow along which a gradient goes back, in the order of the walk."""
        sent = {
            id: [
                self.followed.sent[key]
                for use in uses
                if (key := (use.y, use.place)) in self.followed.sent
            ]
            for id, uses in self.uses.items()
        }
        ends = {
            id: (self.folds.shown[uses[0].x], self.folds.shown[uses[0].y])
            for id, uses in self.uses.items()
            if sent[id]
        }
        into: dict[str, list[str]] = {}
        for id, (tail, _) in ends.items():
            into.setdefault(tail, []).append(id)
        rank = {g: i for i, (*_, g) in enumerate(self.traced.edges)}
        order = sorted(ends, key=lambda id: max(rank[g] for g in sent[id]))
        return [self.backward_move(id, ends[id], sent[id], into) for id in order]

    def backward_move(
        self, id: str, ends: tuple[str, str], sent: list[Value], into: Mapping[str, list[str]]
    ) -> Move:
        """One arrow."""
        tail, head = ends
        uses = self.uses[id]
        is_folded = uses[0].x in self.folds.folded or uses[0].y in self.folds.folded
        whole = self.followed.gradient(uses[0].y)
        return Move(
            id=id,
            card=tail,
            needs=into.get(head, []),
            places=self.places_at(sent),
            is_folded=is_folded,
            same=not is_folded and whole is not None and self.is_same(whole, sent[0]),
        )

    def is_same(self, a: Value, b: Value) -> bool:
        """Whether two gradients are one, under whatever name."""
        return self.arrays.of(a) == self.arrays.of(b)


def scopes(cards: Iterable[Card]) -> list[dict[str, Any]]:
    """All scopes that hold a card, and those that hold these."""
    paths = dict.fromkeys(card.scope[: i + 1] for card in cards for i in range(len(card.scope)))
    return [{"id": f"s{i}", "path": [*map(printable, path)]} for i, path in enumerate(paths)]
