"""Repetitions found and folded: blocks of equal structure are shown as one card."""

from __future__ import annotations

import dataclasses
import graphlib
import itertools
import math
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..program.formulas import block_formula
from .cards import Card
from .graph import Graph, inputs_first, inputs_of
from .scope import common
from .words import BETWEEN, plural

NUMBER = re.compile(r"\W*\d+\W*$")  # at the end of a scope's name
LONGEST = 32  # steps in a block that is looked for
LONG_FORMULA = 160  # characters
Block = list[Tensor]


@dataclasses.dataclass(frozen=True)
class Fold:
    """Blocks of equal structure that are shown as one card."""

    id: str
    name: str
    blocks: list[Block]


@dataclasses.dataclass(eq=False)
class Folds:
    """The folds of a graph. `shown`: for each Tensor the id of the card that stands for it."""

    graph: Graph
    cards: Mapping[Tensor, Card]
    shown: dict[Tensor, str]
    found: list[Fold] = dataclasses.field(default_factory=list)
    folded: set[Tensor] = dataclasses.field(default_factory=set)

    def add(self, name: str, blocks: list[Block]) -> None:
        """Show blocks as one card, unless arrows would then lead round in a circle."""
        fold = Fold(f"f{len(self.found)}", name, blocks)
        members = dict.fromkeys(itertools.chain(*blocks), fold.id)
        shown = self.shown | members
        try:
            graphlib.TopologicalSorter(shown_inputs(self.graph, shown)).prepare()
        except graphlib.CycleError:
            return
        self.shown = shown
        self.found.append(fold)
        self.folded |= members.keys()


def no_folds(graph: Graph, cards: Mapping[Tensor, Card]) -> Folds:
    """Every Tensor shown by its own card."""
    return Folds(graph, cards, {t: card.id for t, card in cards.items()})


def find_folds(graph: Graph, cards: Mapping[Tensor, Card]) -> Folds:
    """All that repeats: numbered scopes first, then steps of the spine."""
    folds = no_folds(graph, cards)
    for depth in range(max(len(card.scope) for card in cards.values())):
        fold_scopes(folds, depth)
    fold_steps(folds)
    return folds


def shown_inputs(graph: Graph, shown: Mapping[Tensor, str]) -> dict[str, list[str]]:
    """The ids of all that is shown, and from where arrows lead to each."""
    found: dict[str, list[str]] = {id: [] for id in shown.values()}
    for y in graph.tensors:
        found[shown[y]] += [shown[x] for x in graph.inputs[y] if shown[x] != shown[y]]
    return found


def shown_cards(folds: Folds) -> list[Card]:
    """The cards to show, inputs first."""
    by_id = {card.id: card for card in folds.cards.values()}
    by_id |= {fold.id: fold_card(fold, folds.graph, folds.cards) for fold in folds.found}
    inputs = shown_inputs(folds.graph, folds.shown)
    return [by_id[id] for id in inputs_first(folds.shown[folds.graph.root], inputs)]


# Finding repetitions


def structure(block: Block, cards: Mapping[Tensor, Card]) -> Hashable:
    """What makes two blocks equal: kinds and ops, and where in the block their inputs come from."""
    places = {t: i for i, t in enumerate(block)}
    return tuple((cards[t].kind, t.op, *map(places.get, inputs_of(t))) for t in block)


def fold_scopes(folds: Folds, depth: int) -> None:
    """Fold scopes, so many scopes deep, that are numbered and equal."""
    # What contains the scopes and their name without the number -> the blocks by full name.
    alike: dict[Any, dict[str, Block]] = {}
    for t, card in folds.cards.items():
        if len(card.scope) > depth and t not in folds.folded:
            name = card.scope[depth]
            if NUMBER.search(name):
                blocks = alike.setdefault((card.scope[:depth], NUMBER.sub("", name)), {})
                blocks.setdefault(name, []).append(t)
    place = {t: i for i, t in enumerate(folds.cards)}
    for (_, base), blocks in alike.items():
        # By their results: what the last step takes of a sequence may come before all others.
        in_order = sorted(blocks.values(), key=lambda block: place[block[-1]])
        runs = itertools.groupby(in_order, lambda block: structure(block, folds.cards))
        for _, run in runs:
            equal = [*run]
            if len(equal) > 1:
                folds.add(base or "block", equal)


def fold_steps(folds: Folds) -> None:
    """Fold steps of the spine that come again and again, each with what it alone uses."""
    names, blocks = steps_of_spine(folds)
    keys = [structure(block, folds.cards) or ("folded", i) for i, block in enumerate(blocks)]
    for start, period, times in repetitions(keys, [*map(len, blocks)]):
        starts = range(start, start + period * times, period)
        equal = [[*itertools.chain(*blocks[k : k + period])] for k in starts]
        folds.add(" -> ".join(names[start : start + period]), equal)


def steps_of_spine(folds: Folds) -> tuple[list[str], list[Block]]:
    """The steps from the data to the result, which is none; a numbered scope is one step."""
    names: list[str] = []
    steps: dict[Tensor, int] = {}  # the number of the step to which a Tensor belongs
    last: tuple[str, ...] = ()
    for t in folds.graph.spine[-1:0:-1]:
        scope = numbered_part(folds.cards[t].scope)
        if not scope or scope != last:
            base = NUMBER.sub("", scope[-1]) or "block" if scope else folds.cards[t].op
            names.append(base)
        last = scope
        if t.op is not None and t not in folds.folded:
            steps[t] = len(names) - 1
    add_what_steps_use(steps, folds)
    blocks: list[Block] = [[] for _ in names]
    for t in folds.graph.tensors:
        if t in steps:
            blocks[steps[t]].append(t)
    return names, blocks


def numbered_part(path: tuple[str, ...]) -> tuple[str, ...]:
    """A scope down to its first numbered one; empty where none is numbered."""
    for i, name in enumerate(path, 1):
        if NUMBER.search(name):
            return path[:i]
    return ()


def add_what_steps_use(steps: dict[Tensor, int], folds: Folds) -> None:
    """Add what a single step uses to that step; data and targets stay outside."""
    for t in reversed(folds.graph.tensors):
        card = folds.cards[t]
        may_belong = card.kind in ("op", "parameter", "constant") and not card.spine
        if may_belong and t not in folds.folded:
            users = {steps.get(y) for y in folds.graph.users[t]}
            step = users.pop() if len(users) == 1 else None
            if step is not None:
                steps[t] = step


def repetitions(keys: list[Hashable], sizes: list[int]) -> Iterator[tuple[int, int, int]]:
    """Where a repetition worth folding starts, the length of its block, and how often it comes."""
    start = 0
    while start < len(keys):
        period, times = longest_repetition(keys, start)
        end = start + period * times
        if times > 2 and sum(sizes[start:end]) > 5:
            yield start, period, times
            start = end
        else:
            start += 1


def longest_repetition(keys: list[Hashable], start: int) -> tuple[int, int]:
    """The length of a block at `start`, and how often it comes in a row, where that covers most.

    >>> longest_repetition(["x", "a", "b", "a", "b", "a", "b"], 1)
    (2, 3)
    """
    best = (1, 1)
    for period in range(1, LONGEST + 1):
        block, times = keys[start : start + period], 1
        while keys[start + times * period : start + (times + 1) * period] == block:
            times += 1
        if times > 1 and times * period > best[0] * best[1]:
            best = (period, times)
    return best


# The card of a fold


def fold_card(fold: Fold, graph: Graph, cards: Mapping[Tensor, Card]) -> Card:
    """One card for equal blocks."""
    members = [cards[t] for block in fold.blocks for t in block]
    first = members[: len(fold.blocks[0])]
    parameters = [card for card in members if card.kind == "parameter"]
    facts = [", ..., ".join(formulas(fold, graph)), " -> ".join(shapes(fold))]
    if parameters:
        facts.append(describe_parameters(parameters))
    grad, note = gradient_of_fold(parameters or members)
    parts = ", ".join(card.op or card.name or card.kind for card in first)
    return Card(
        id=fold.id,
        kind="fold",
        name=fold.name,
        op="",
        shape=fold.blocks[-1][-1].shape,
        scope=common(card.scope for card in members),
        grad=grad,
        note=note,
        facts=facts,
        tooltip=f"{len(fold.blocks)} blocks, each: {parts}",
        spine=any(card.spine for card in first),
        count=len(fold.blocks),
    )


def gradient_of_fold(cards: list[Card]) -> tuple[float | None, str]:
    """The length of the largest gradient and where all lie between, or why there is none."""
    grads = [card.grad for card in cards if card.grad is not None]
    if not grads:
        return None, cards[0].note if cards[0].kind == "parameter" else ""
    low, high = f"{np.min(grads):.3g}", f"{np.max(grads):.3g}"
    return float(np.max(grads)), low if low == high else f"{low} to {high}"


def describe_parameters(parameters: list[Card]) -> str:
    """The names of parameters, or the first and last of many, and how many numbers they have."""
    names = [card.name for card in parameters if card.name]
    if len(names) > 4:
        names = [*names[:2], "...", *names[-2:]]
    size = plural(sum(math.prod(card.shape) for card in parameters), "value")
    return BETWEEN.join([", ".join(names), size]) if names else size


def formulas(fold: Fold, graph: Graph) -> list[str]:
    """What the first block computes, and what the last does where that is another formula."""
    first, last = fold.blocks[0], fold.blocks[-1]
    used = {x for t in last for x in inputs_of(t)} - {*first}
    # Leaves that all blocks use lie outside; in the formula they have their names all the same.
    every = dict.fromkeys(x for t in first for x in graph.inputs[t])
    shared = [x for x in every if x.op is None and x in used]
    texts = (block_formula([*shared, *block], graph.names.__getitem__) for block in (first, last))
    return [*dict.fromkeys(map(shortened, texts))]


def shortened(formula: str, most: int = LONG_FORMULA) -> str:
    """A formula with `...` for what lies deep in parentheses, where it is too long to be read.

    >>> shortened("tanh(sigmoid((x @ w + b)[:, 0:4]) * h)", most=35)
    'tanh(sigmoid((...)[:, 0:4]) * h)'
    """
    depth = formula.count("(")
    while len(formula) > most and depth > 0:
        depth -= 1
        formula = without_deeper(formula, depth)
    return formula


def without_deeper(formula: str, most: int) -> str:
    """A formula with `...` in all parentheses that lie in so many others.

    >>> without_deeper("f(g(x) + h(y))", 1), without_deeper("f(g(x) + h(y))", 0)
    ('f(g(...) + h(...))', 'f(...)')
    """
    found, depth = [], 0
    for character in formula:
        depth -= character == ")"
        if depth <= most:
            found.append(character)
        if character == "(" and depth == most:
            found.append("...")
        depth += character == "("
    return "".join(found)


def shapes(fold: Fold) -> list[str]:
    """The shape that comes in, and those that the blocks make of it.

    Where they all make the same and stand side by side, so that none uses what the first has made,
    it is said once.
    """
    first, second = fold.blocks[:2]
    came = [str(x.shape) for x in from_outside(first)[:1]]
    results = [str(block[-1].shape) for block in fold.blocks]
    in_a_row = not {*first}.isdisjoint(from_outside(second))
    if len({*results}) == 1 and not in_a_row:
        results = results[:1]
    found = came + results
    return found if len(found) <= 5 else [*found[:2], "...", found[-1]]


def from_outside(block: Block) -> list[Tensor]:
    """What a block gets from elsewhere, in order."""
    inside = {*block}
    return [x for t in block for x in inputs_of(t) if x not in inside]
