"""The first wrong array of a chain: which gradients its arrays are meant to be, on the way to a
wrong one.

The gradients of the leaves decide whether a chain is wrong at all. Only then it is asked where: what
is right, or what a right gradient of a leaf was computed from, is never called wrong.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from ..program.values import behind
from .chain import Chain, Found, before, by_elimination, fits, leaf_slot
from .closeness import constant_factor, matches
from .faults.factors import counts_of
from .faults.question import Question
from .faults.search import reason
from .recognise import Match, is_local, oriented
from .traced_loss import Value
from .verdicts import Judgement
from .watching import Binding

# How often a reason is looked for to tell what an array is meant to be, and how often all is judged
# anew with one more array.
QUESTIONS, ROUNDS = 24, 12

Ask = Callable[[Value, np.ndarray, Mapping[Value, np.ndarray]], Question]
Judge = Callable[[Mapping[Value, np.ndarray]], Mapping[Value, Judgement]]


@dataclasses.dataclass(frozen=True, eq=False)
class Slots:
    """The arrays that are to be the gradients of the leaves.

    `right`, `wrong`: by gradient. `missing`: the leaves for which there is none.
    """

    right: Mapping[Value, Found]
    wrong: Mapping[Value, Found]
    missing: tuple[Value, ...]


def slots_of(chain: Chain) -> Slots:
    """The arrays that are to be the gradients of the leaves."""
    gradient_of = chain.graph.gradient_of
    leaves = [x for x in chain.graph.leaves if x in chain.graph.wanted and x in gradient_of]
    found: dict[Value, Found | None] = {x: leaf_slot(chain, x) for x in leaves}
    found |= by_elimination(chain, found)
    slots = {gradient_of[x]: slot for x, slot in found.items() if slot}
    right = {g for g, slot in slots.items() if is_right(chain, slot, g)}
    return Slots(
        {g: slot for g, slot in slots.items() if g in right},
        {g: slot for g, slot in slots.items() if g not in right},
        tuple(x for x, slot in found.items() if slot is None),
    )


def is_right(chain: Chain, found: Found, g: Value) -> bool:
    """Whether an array has the numbers of a gradient."""
    return any(m.value is g for m in chain.right.get(found.binding, ()))


def right_ones(chain: Chain, slots: Slots) -> dict[Value, Found]:
    """For each gradient an array that is right: the one that is called so, else the first that no
    other gradient has.
    """
    options: dict[Value, list[Found]] = {}
    for b, match in chain.right.items():
        for m in match:
            options.setdefault(m.value, []).append(Found(b, m.how))
    handed = dict(slots.right)
    used = {found.binding for found in handed.values()}
    for g, founds in options.items():
        if g in handed or g in slots.wrong:
            continue
        named = [f for f in founds if chain.gradients[g] in chain.meanings_of(f.binding)]
        free = [f for f in founds if f.binding not in used]
        if named or free:
            handed[g] = (named or free)[0]
            used.add(handed[g].binding)
    return handed


@dataclasses.dataclass(eq=False)
class Search:
    """What a wrong chain was meant to be, as far as it is known: `handed`, the arrays by gradient.

    `ask` makes the question why an array is wrong as a gradient; `judge` gives the verdicts on all.
    """

    chain: Chain
    slots: Slots
    ask: Ask
    judge: Judge
    handed: dict[Value, Found]
    asked: int = 0

    # What is above suspicion

    @cached_property
    def known(self) -> set[Binding]:
        """What is right, or was there before."""
        chain = self.chain
        given = (b for b in chain.made if b.origin.given)
        return {*chain.right, *chain.forward, *given}

    @cached_property
    def confirmed(self) -> set[Binding]:
        """What right gradients of leaves were computed from."""
        wrong = {found.binding for found in self.slots.wrong.values()}
        return {*before(found.binding for found in self.slots.right.values())} - wrong

    @cached_property
    def suspects(self) -> list[Binding]:
        """What wrong gradients of leaves were computed from and is not above suspicion, and they
        themselves, as they were made.
        """
        leaves = [found.binding for found in self.slots.wrong.values()]
        sure = (self.known | self.confirmed) - {*leaves}
        on_the_way = before(leaves, sure)
        return [b for b in self.chain.made if b in on_the_way]

    # A factor that the whole chain has

    def multiple(self, b: Binding) -> tuple[Match, float] | None:
        """Of which gradient an array is a multiple, and how many times."""
        found = self.chain.gradient_table.multiples(b.array)
        return next(((match, rounded(factor)) for match, factor in found), None)

    @cached_property
    def natural(self) -> set[float]:
        """The numbers by which a whole chain may be multiplied until its leaves are made."""
        counts = {float(n) for n in counts_of(self.chain.graph) if n > 1}
        halves = {n / 2 for n in counts}
        return {1.0, 0.5, 2.0} | counts | halves | {2 * n for n in counts}

    @cached_property
    def scale(self) -> float | None:
        """By what the chain is multiplied until its leaves are made; None where nothing tells."""
        sure = [m for b in self.confirmed - self.known if (m := self.multiple(b))]
        factors = Counter(factor for _, factor in sure if factor in self.natural)
        if factors:
            return factors.most_common(1)[0][0]
        leaves = {found.binding for found in self.slots.right.values()}
        if (self.confirmed & {*self.chain.right}) - leaves:
            return 1.0
        return self.scale_of_leaves()

    def scale_of_leaves(self) -> float | None:
        """The same, where each wrong gradient of a leaf is off by one and the same factor."""
        leaves = [found.binding for found in self.slots.wrong.values()]
        factors = {m[1] for b in leaves if (m := self.multiple(b))}
        for b in self.suspects:
            m = None if b in leaves or len(factors) != 1 else self.multiple(b)
            if m and rounded(m[1] / min(factors)) in self.natural:
                return rounded(m[1] / min(factors))
        return None

    # What arrays are meant to be

    def recognise_multiples(self) -> None:
        """Add what right gradients of leaves were computed from and is a gradient but for a factor."""
        for b in self.chain.made:
            if b in self.confirmed and b not in self.known and self.chain.is_marked(b):
                m = self.multiple(b)
                if m and m[1] in self.natural and m[0].value not in self.handed:
                    self.handed[m[0].value] = Found(b, m[0].how, m[1])

    def recognise(self) -> None:
        """Find out which gradients the suspects are meant to be."""
        self.handed.update(self.slots.wrong)
        on_the_way = behind(self.slots.wrong)
        matched = {m.value for match in self.chain.right.values() for m in match}
        leaves = {found.binding for found in self.slots.wrong.values()}
        forward = [self.chain.graph.numbers[x] for x in self.chain.graph.forward if x.shape]
        for b in self.suspects:
            if b in leaves or is_local(b.array, forward):
                continue
            missing = [
                g
                for g in self.chain.graph.order
                if g in self.chain.gradients and g in on_the_way
                if g not in matched and g not in self.handed and fits(b, g)
            ]
            self.recognise_one(b, missing)

    def recognise_one(self, b: Binding, missing: list[Value]) -> None:
        """Find out which of these gradients an array is meant to be, if any."""
        m = self.multiple(b)
        if m and m[0].value in missing and (self.scale or 1) == m[1] != 1:
            self.handed[m[0].value] = Found(b, m[0].how, m[1])
            return
        named = self.named(b, missing)
        g = named or self.explained(b, missing)
        if g is None and len(missing) == 1 and self.is_late(b):
            g = missing[0]
        if g is not None and g not in self.handed:
            self.handed[g] = Found(b, how_it_lies(self.chain, b, g), self.scale or 1)

    def named(self, b: Binding, missing: list[Value]) -> Value | None:
        """The gradient of which an array has the name, unless a later one has it as well."""
        of = self.chain.meanings_of(b)
        if len(of) != 1:
            return None
        g = self.chain.graph.gradient_of[of[0]]
        later = self.suspects[self.suspects.index(b) + 1 :]
        again = any(self.chain.meanings_of(a) == of for a in later)
        return g if g in missing and not again else None

    def explained(self, b: Binding, missing: list[Value]) -> Value | None:
        """The gradient as which an array is wrong for a usual reason."""
        scales = [self.scale] if self.scale else [1.0, *sorted(self.natural - {1.0})[::-1]]
        arrays = self.arrays()
        for scale in scales:
            for g in missing:
                self.asked += 1
                if self.asked > QUESTIONS:
                    return None
                found = Found(b, how_it_lies(self.chain, b, g), scale)
                if reason(self.ask(g, found.array(g), arrays)).reason:
                    self.handed[g] = found
                    return g
        return None

    def is_late(self, b: Binding) -> bool:
        """Whether an array was computed from a gradient that is known."""
        known = {found.binding for found in self.handed.values()} | {*self.chain.right}
        return any(a.made in known for a in before(b.reads))

    def arrays(self) -> dict[Value, np.ndarray]:
        """The arrays by gradient, as the graph would have them."""
        return {g: found.array(g) for g, found in self.handed.items()}

    # What a verdict tells

    def refine(self) -> Mapping[Value, Judgement]:
        """The verdicts, after each array is recognised that explains one of them."""
        judged = self.judge(self.arrays())
        for _ in range(ROUNDS):
            wrong = next((g for g, found in judged.items() if found.verdict == "wrong"), None)
            if wrong is None or not self.recognise_cause(judged[wrong].values):
                break
            judged = self.judge(self.arrays())
        return judged

    def recognise_cause(self, values: Mapping[Value, np.ndarray]) -> bool:
        """Whether there is an array that is what a gradient before a wrong one must have been."""
        leaves = [found.binding for found in self.slots.wrong.values()]
        made = before(leaves)
        for g, value in values.items():
            if g not in self.chain.gradients or g in self.handed:
                continue
            for b in (b for b in self.chain.made if b in made and not b.origin.given):
                for how, array in oriented(b.array, value.shape):
                    scale = self.scale or 1
                    if matches(array / scale, value) and b not in leaves:
                        self.handed[g] = Found(b, how, scale)
                        return True
        return False


def how_it_lies(chain: Chain, b: Binding, g: Value) -> str:
    """In which way an array has the shape of a gradient; where there are several, as what is known
    of its forward does.
    """
    ways = [how for how, _ in oriented(b.array, g.shape)]
    seen = chain.lies.get(chain.gradients[g], set())
    return next((how for how in ways if how in seen), ways[0])


def culprit(search: Search, b: Binding) -> Binding:
    """Where a wrong array was made: what it is a mere multiple of, where that is wrong already."""
    for a in before([b], search.known | search.confirmed):
        if a is b or a in search.known or a in search.confirmed or a.array.size < 2:
            continue
        for _, array in oriented(a.array, b.array.shape):
            if constant_factor(b.array, array) is not None and np.any(b.array):
                m = search.multiple(a)
                if m is None or m[1] not in search.natural:
                    return culprit(search, a)
    return b


def rounded(factor: float) -> float:
    """A factor without its rounding."""
    return float(f"{factor:.8g}")
