"""Repetitions found: numbered scopes, steps that come again and again, and what belongs to them."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from ..engine.tensor import Tensor
from ..program.blocks import NUMBER
from .cards import Card
from .folds import Block, Fold, Folds, from_outside, main_input, no_folds
from .graph import Graph, inputs_of

LONGEST = 32  # steps in a block that is looked for
MOST_WAYS = 8  # beside the spine that are looked at, as that of an RNN which runs backwards


def find_folds(graph: Graph, cards: Mapping[Tensor, Card]) -> Folds:
    """All that repeats: numbered scopes first, then steps of the spine and of ways beside it."""
    folds = no_folds(graph, cards)
    tried = {*graph.spine}
    for depth in range(max(len(card.scope) for card in cards.values())):
        fold_scopes(folds, depth)
    fold_steps(folds, graph.spine)
    for _ in range(MOST_WAYS):
        way = longest_way(folds, tried)
        fold_steps(folds, way)
        tried |= {*way}
    for fold in folds.found:  # which grow in number meanwhile
        fold_what_follows(fold, folds)
    fold_chains(folds)
    return folds


def structure(block: Block, cards: Mapping[Tensor, Card]) -> Hashable:
    """What makes two blocks equal: kinds and ops, and where in the block their inputs come from."""
    places = {t: i for i, t in enumerate(block)}
    return tuple((cards[t].kind, t.op, *origins(t, places)) for t in block)


def origins(t: Tensor, places: Mapping[Tensor, int]) -> list[Hashable]:
    """Where each input comes from: a place in the block, elsewhere, or it is a plain number."""
    if t.op is not None and t.op.draws:
        return []
    return [places.get(x) if isinstance(x, Tensor) else "number" for x in t.inputs]


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
        in_order = sorted(blocks.values(), key=lambda block: place[block[-1]])
        runs = itertools.groupby(in_order, lambda block: structure(block, folds.cards))
        for _, run in runs:
            equal = [*run]
            if len(equal) > 1:
                folds.add(base or "block", with_own_inputs(equal, folds))


def fold_steps(folds: Folds, way: list[Tensor]) -> None:
    """Fold steps of a way, such as the spine, that come again and again, each with what it alone uses."""
    names, blocks = steps_of(way, folds)
    keys = [structure(block, folds.cards) or ("folded", i) for i, block in enumerate(blocks)]
    for start, period, times in repetitions(keys, [*map(len, blocks)]):
        if times > 3:
            shift = best_shift(blocks[start : start + period * times], period, folds)
            goes_on = keys[start : start + shift] == keys[start + period * times :][:shift]
            start, times = start + shift, times if goes_on else times - (shift > 0)
        starts = range(start, start + period * times, period)
        equal = [[*itertools.chain(*blocks[k : k + period])] for k in starts]
        if not follow_one_fold(equal, folds):
            folds.add(" -> ".join(names[start : start + period]), with_those_before(equal, folds))


def follow_one_fold(blocks: list[Block], folds: Folds) -> bool:
    """Whether each block uses a result of one fold: `fold_what_follows` divides these better."""
    from_folds = ({folds.shown[x] for x in from_outside(b) if x in folds.folded} for b in blocks)
    return bool(set.intersection(*from_folds))


def longest_way(folds: Folds, tried: set[Tensor]) -> list[Tensor]:
    """The longest way through results that are not folded nor tried; the root stands before it."""
    lengths: dict[Tensor, int] = {}
    for t in folds.graph.tensors:
        if is_free(t, folds) and t not in tried:
            lengths[t] = 1 + max([lengths.get(x, 0) for x in folds.graph.inputs[t]], default=0)
    way = [max(lengths, key=lengths.__getitem__)] if lengths else []
    while way and lengths[way[-1]] > 1:
        way.append(max(folds.graph.inputs[way[-1]], key=lambda x: lengths.get(x, 0)))
    return [folds.graph.root, *way]


def steps_of(way: list[Tensor], folds: Folds) -> tuple[list[str], list[Block]]:
    """The steps from the data to the result, which is none; a numbered scope is one step."""
    names: list[str] = []
    steps: dict[Tensor, int] = {}  # the number of the step to which a Tensor belongs
    last: tuple[str, ...] = ()
    for t in way[-1:0:-1]:
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
        if may_belong and t not in folds.folded and t not in steps:
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


def best_shift(blocks: list[Block], period: int, folds: Folds) -> int:
    """How far on a block is to begin, so that it ends with what has a name or is used elsewhere."""
    ends = [block[-1] if block else None for block in blocks[period : 2 * period]]
    inside = {t for block in blocks for t in block}

    def is_used_elsewhere(t: Tensor) -> bool:
        return not inside.issuperset(folds.graph.users[t])

    for good in (folds.graph.names.get, is_used_elsewhere):
        last = [i for i, t in enumerate(ends, 1) if t is not None and good(t)]
        if last:
            return last[-1] % period
    return 0


def with_those_before(blocks: list[Block], folds: Folds) -> list[Block]:
    """Equal blocks and such before them as lie beside the spine in part."""
    inside = {t for block in blocks for t in block}
    while True:
        result = main_input(blocks)
        before = None if result is None else matching(blocks[0], result, folds)
        if before is None or not inside.isdisjoint(before):
            return blocks
        blocks = [before, *blocks]
        inside |= {*before}


def matching(block: Block, result: Tensor, folds: Folds) -> Block | None:
    """The Tensors from which a result is computed as that of a block is; None where it is not."""
    found = {block[-1]: result}
    inside = {*block}
    for t in reversed(block):
        y = found.get(t)
        if y is None or y.op is not t.op or len(y.inputs) != len(t.inputs) or y in folds.folded:
            return None
        for x, other in zip(t.inputs, y.inputs):
            if isinstance(x, Tensor) and x in inside:
                if not isinstance(other, Tensor) or found.setdefault(x, other) is not other:
                    return None
    same = [found[t] for t in block]
    alone = all({*same}.issuperset(folds.graph.users[t]) for t in same[:-1] if t in folds.cards)
    fits = alone and folds.cards.keys() >= {*same} and are_equal([block, same], folds)
    return same if fits else None


# What belongs to blocks that are found


def with_own_inputs(blocks: list[Block], folds: Folds) -> list[Block]:
    """Blocks with the results that each alone uses, such as `x[:, t]`, where they are equal."""
    users, best = folds.graph.users, blocks
    grown = [*blocks]
    while True:
        inside = [{*block} for block in grown]
        for column in columns_before(grown):
            own = (is_free(x, folds) and its.issuperset(users[x]) for x, its in zip(column, inside))
            if all(own) and len({folds.cards[x].scope for x in column}) == 1:
                grown = [[x, *block] for x, block in zip(column, grown)]
                break
        else:
            return best
        if not are_equal(grown, folds):
            return best
        best = grown


def columns_before(blocks: list[Block]) -> Iterator[tuple[Tensor, ...]]:
    """For each input from outside, those of all blocks, where each has one of its own."""
    places = {t: i for i, t in enumerate(blocks[0])}
    for i, t in enumerate(blocks[0]):
        for j, x in enumerate(t.inputs):
            if isinstance(x, Tensor) and x not in places:
                column = tuple([block[i].inputs[j] for block in blocks])
                if len({*column}) == len(column):
                    yield column


def is_free(t: Tensor, folds: Folds) -> bool:
    """Whether a result may be folded, and is not yet."""
    is_result = t.op is not None and t is not folds.graph.root
    return is_result and t in folds.cards and t not in folds.folded


def are_equal(blocks: list[Block], folds: Folds) -> bool:
    """Whether blocks have the same structure."""
    return len({structure(block, folds.cards) for block in blocks}) == 1


def fold_what_follows(fold: Fold, folds: Folds) -> None:
    """Fold what is computed from each block alike, as are the losses of all time steps."""
    for place in range(len(fold.blocks[0])):
        grown: list[Block] = [[] for _ in fold.blocks]
        front = [block[place] for block in fold.blocks]
        while True:
            found = [[y for y in folds.graph.users[t] if y not in folds.folded] for t in front]
            if any(len({*users}) != 1 or not is_free(users[0], folds) for users in found):
                break
            front = [users[0] for users in found]
            longer = [[*block, y] for block, y in zip(grown, front)]
            if len({*front}) < len(front) or not are_equal(longer, folds):
                break
            grown = longer
        if len(grown) * len(grown[0]) > 3:
            names = " -> ".join(folds.cards[t].op for t in grown[0])
            folds.add(names, with_own_inputs(grown, folds))


def fold_chains(folds: Folds) -> None:
    """Fold steps of one op that add up what one fold has made, as does a sum of many losses."""
    known: set[Tensor] = set()
    for t in folds.graph.tensors:
        chain: list[Block] = []
        while t not in known and is_free(t, folds) and adds_up(t, chain, folds):
            chain.append([t])
            known.add(t)
            users = folds.graph.users[t]
            if len(users) != 1:
                break
            t = users[0]
        if len(chain) > 2:
            folds.add(folds.cards[chain[0][0]].op, chain)


def adds_up(y: Tensor, chain: list[Block], folds: Folds) -> bool:
    """Whether a result is the next of a chain: the one before and what the same fold has made."""
    first = chain[0][0] if chain else y
    inputs, firsts = inputs_of(y), inputs_of(first)
    if y.op is not first.op or len(inputs) != 2 or len(y.inputs) != 2 or inputs[0] is inputs[1]:
        return False
    if len({t in folds.folded for t in inputs}) == 1 or (chain and chain[-1][0] not in inputs):
        return False
    same = [folds.shown[t] if t in folds.folded else "" for t in inputs]
    return same == [folds.shown[t] if t in folds.folded else "" for t in firsts]
