"""The first wrong array of a chain, and which gradients its arrays are meant to be.

The gradients of the leaves decide whether a chain is wrong at all. Only then it is asked where: what
is right, or what a right gradient of a leaf was computed from, is never called wrong.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import numpy as np

from ..program.values import Value, behind
from .bindings import Binding
from .chain import Chain, Found, before, fits
from .closeness import constant_factor, matches, rounded, same
from .faults.question import Question
from .faults.search import reason
from .in_between import following_a_right_one, is_addend
from .late_mean import natural_factors, usual_factors
from .recognise import LocalTable, Match, oriented
from .report import RIGHT, WRONG
from .slots import Slots, how_it_lies
from .verdicts import Judgement

# How often a reason is looked for to tell what an array is meant to be, and how often all is judged
# anew with one more array; how many values are computed to see what follows from arrays.
QUESTIONS, ROUNDS, VALUES = 24, 12, 100_000

Ask = Callable[[Value, np.ndarray, Mapping[Value, np.ndarray]], Question]
Judge = Callable[[Mapping[Value, np.ndarray]], Mapping[Value, Judgement]]


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
    computed: int = 0

    # What is above suspicion

    @cached_property
    def known(self) -> set[Binding]:
        """What has the numbers of a value of the graph, or was there before."""
        chain = self.chain
        given = (b for b in chain.made if b.origin.given)
        return {*chain.right, *chain.forward, *given}

    def is_settled(self, b: Binding) -> bool:
        """Whether an array has been told already, or is no gradient of its own: a local derivative,
        or one of the parts of which a gradient is the sum.
        """
        is_told = b in self.known or b in self.of_leaves
        return is_told or self.is_helper(b) or is_addend(self.chain, b)

    @cached_property
    def confirmed(self) -> set[Binding]:
        """What right gradients of leaves were computed from."""
        together = {(id(b.origin.where), b.origin.reads) for b in self.of_leaves}
        found: dict[Binding, None] = {}
        for g, slot in self.slots.right.items():
            b = slot.binding
            if not np.any(b.array):
                continue
            if (id(b.origin.where), b.origin.reads) in together:
                found |= before(self.surely_read(b, g)) | {b: None}
            else:
                found |= before([b])
        return {*found} - {*self.of_leaves}

    def surely_read(self, b: Binding, g: Value) -> list[Binding]:
        """What a right gradient of a leaf was computed from, if its statement has made wrong ones as
        well and reads what these need: gradients, but for a factor, on which it depends.
        """
        needed = self.chain.graph.behind(g)
        read = ((a, m) for a in b.reads for m in self.multiples(a.made))
        return [a for a, (m, factor) in read if m.value in needed and factor in self.natural]

    @cached_property
    def sure(self) -> set[Binding]:
        """What is above suspicion: what is right by its numbers alone may be so by chance, as the
        gradient of `-z` is where that of `z` has a wrong sign.
        """
        called = {b for b in self.chain.right if self.is_called_right(b)}
        return (self.known - {*self.chain.right}) | called | self.confirmed

    def is_called_right(self, b: Binding) -> bool:
        """Whether an array is a gradient by its numbers and its name, as far as it has one."""
        if self.scale not in (None, 1):
            return False
        values = {self.chain.gradients[m.value] for m in self.chain.right[b]}
        of = self.chain.meanings_of(b)
        return bool(values & {*of})

    @cached_property
    def suspects(self) -> list[Binding]:
        """What wrong gradients of leaves were computed from and is not above suspicion, and they
        themselves, as they were made.
        """
        on_the_way = before(self.of_leaves, self.sure - {*self.of_leaves})
        return [b for b in self.chain.made if b in on_the_way and b.array.dtype.kind == "f"]

    # A factor that the whole chain has

    def multiple(self, b: Binding) -> tuple[Match, float] | None:
        """Of which gradient an array is a multiple, and how many times."""
        found = [*self.multiples(b)]
        return next((m for m in found if m[1] in self.natural), found[0] if found else None)

    def multiples(self, b: Binding) -> Iterator[tuple[Match, float]]:
        """Of which gradients an array is a multiple, and how many times."""
        for match, factor in self.chain.gradient_table.multiples(b.array):
            yield match, rounded(factor, b.array)

    @cached_property
    def usual(self) -> set[float]:
        """The numbers by which a whole chain is multiplied most often until its leaves are made."""
        return usual_factors(self.chain.graph)

    @cached_property
    def natural(self) -> set[float]:
        """The same, and those with a factor 2 from a square."""
        return natural_factors(self.chain.graph)

    @cached_property
    def scale(self) -> float | None:
        """By what the chain is multiplied until its leaves are made; None where nothing tells."""
        unknown = self.confirmed - self.known
        # As they were made: a set's order is that of addresses, and would decide between factors.
        candidates = [b for b in self.chain.made if b in unknown and not self.is_helper(b)]
        leaves = {found.binding for found in self.slots.right.values()}
        right = (self.confirmed & {*self.chain.right}) - leaves
        settled = {m.value for b in right for m in self.chain.right[b]}  # divided out since
        sure = [m for b in candidates if (m := self.multiple(b)) and m[0].value not in settled]
        factors = Counter(factor for _, factor in sure if factor in self.natural)
        if factors:
            return max(factors, key=lambda factor: (factors[factor], factor == 1))
        return 1.0 if right else None

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
        helpers = [b for b in self.suspects if self.is_mere_helper(b)]
        for b in self.suspects:
            if b not in helpers:
                self.recognise_by_leaves(b, self.natural)
        for b in helpers:
            self.recognise_by_leaves(b, {1.0})
        self.recognise_other_names()
        off = [g for g in self.handed if g not in self.slots.wrong and self.is_off(g)]
        if off or any(map(self.is_explained, self.slots.wrong)):
            return
        following = following_a_right_one(self)
        self.handed |= following
        if not following:
            self.recognise_the_rest()

    def recognise_the_rest(self) -> None:
        """Take suspects that nothing has been said of for gradients that nobody has handed over."""
        for b in self.suspects:
            if self.is_settled(b):
                continue
            open_ones = [g for g in self.options(b) if g not in self.matched]
            open_ones = [g for g in open_ones if g not in self.handed]
            self.recognise_one(b, open_ones)

    @cached_property
    def matched(self) -> set[Value]:
        """The gradients for which there is a right array, which has no other name."""
        found: set[Value] = set()
        for b, match in self.chain.right.items():
            values = {m.value for m in match}
            of = {self.chain.graph.gradient_of[x] for x in self.chain.meanings_of(b)}
            found |= values & of or values
        return found

    def recognise_other_names(self) -> None:
        """Take what is right as something else, under another name, for what that says."""
        for b in (b for b in self.behind_leaves if b in self.sure):
            for name in self.names_of(b):
                of = self.chain.meaning_of_name(name)
                g = self.chain.graph.gradient_of.get(of[0]) if len(of) == 1 else None
                if g not in self.on_the_way or g in self.matched or not fits(b, g):
                    continue
                if taken := self.scaled_by_leaves(b, g, {1.0}):
                    self.handed[g] = taken

    def is_off(self, g: Value) -> bool:
        """Whether what was recognised as a gradient is not right."""
        found = self.handed[g]
        return not matches(found.array(g), self.chain.graph.numbers[g])

    @cached_property
    def of_leaves(self) -> dict[Binding, None]:
        """The wrong gradients of leaves."""
        return dict.fromkeys(found.binding for found in self.slots.wrong.values())

    @cached_property
    def behind_leaves(self) -> list[Binding]:
        """From what the wrong gradients of leaves were computed, as it was made."""
        needed = {b for found in self.ancestors.values() for b in found}
        return [b for b in self.chain.made if b in needed]

    @cached_property
    def on_the_way(self) -> list[Value]:
        """The gradients from which those are computed that are wrong."""
        needed = behind(self.slots.wrong)
        order = self.chain.graph.order
        return [g for g in order if g in self.chain.gradients and g in needed]

    def options(self, b: Binding) -> list[Value]:
        """The gradients that an array may be meant to be, the likeliest first, by name and what is open."""
        of = self.chain.meanings_of(b)
        leaves = self.slots.wrong.keys() | self.slots.right.keys()
        fitting = [g for g in self.on_the_way if fits(b, g) and g not in leaves]
        return sorted(
            fitting, key=lambda g: (self.chain.gradients[g] not in of, g in self.right_there)
        )

    @cached_property
    def right_there(self) -> set[Value]:
        """The gradients that are right where wrong ones of leaves were computed from them."""
        return {m.value for b in self.behind_leaves for m in self.chain.right.get(b, ())}

    def is_mere_helper(self, b: Binding) -> bool:
        """The same, where no name says that it is more."""
        of = self.chain.meanings_of(b)
        return self.is_helper(b) and len(self.names_of(b)) == 1 and len(of) != 1

    def names_of(self, b: Binding) -> list[Binding]:
        """The names of an array, but for those of arguments."""
        return [n for n in self.chain.names_of(b) if not n.origin.is_argument or n is b]

    def is_other(self, b: Binding, g: Value) -> bool:
        """Whether an array is right as something else than this gradient."""
        m = self.multiple(b)
        values = {match.value for match in self.chain.right.get(b, ())}
        if m and m[1] == self.scale:
            values.add(m[0].value)
        others = values - {g}
        if b in self.chain.forward or any(map(self.chain.is_plausible, others)):
            return True
        # A gradient with a wrong sign is that of `-z` as well, and none the less a wrong one of `z`.
        own = self.chain.graph.numbers[g]
        is_multiple = any(constant_factor(a, own) for _, a in oriented(b.array, own.shape))
        return bool(others) and g in self.slots.wrong and not is_multiple

    @cached_property
    def read(self) -> dict[Binding, None]:
        """The names under which arrays are read on the way to wrong gradients of leaves, as these
        were made.
        """
        read = dict.fromkeys(a for b in self.behind_leaves for a in b.reads)
        handed_in = (b for a in read if a.origin.is_argument for b in a.origin.reads)
        return read | dict.fromkeys(handed_in)

    def is_helper(self, b: Binding) -> bool:
        """Whether an array is a local derivative, computed apart."""
        if b not in self.asked_for:
            self.asked_for[b] = self.local_table.has(b.array)
        return self.asked_for[b]

    @cached_property
    def local_table(self) -> LocalTable:
        """The values of the forward, of which local derivatives are computed."""
        numbers = self.chain.graph.numbers
        return LocalTable(numbers[x] for x in self.chain.graph.forward if x.shape)

    @cached_property
    def asked_for(self) -> dict[Binding, bool]:
        """Which arrays were seen to be local derivatives."""
        return {}

    # What wrong gradients of leaves say of what they were computed from

    def recognise_by_leaves(self, b: Binding, scales: set[float]) -> None:
        """Take an array for the gradient from which the wrong gradients of leaves follow."""
        right, is_scaled = self.right_by_scale(b)
        m = self.multiple(b)
        settled = right if is_scaled or self.scale in (None, 1) else set()
        is_usual = m is not None and m[1] in self.usual
        for g in (g for g in self.options(b) if g not in settled):
            if g in self.handed and self.is_off(g):
                continue
            found = self.scaled_by_leaves(b, g, {1.0} if right else scales)
            if found and (found.scale in self.usual or not is_usual):
                self.handed[g] = found
                return

    def right_by_scale(self, b: Binding) -> tuple[set[Value], bool]:
        """The gradients that an array is, also but for the factor that the whole chain has, and
        whether it has that.
        """
        right = {m.value for m in self.chain.right.get(b, ())}
        found = self.multiple(b)
        if found is None or found[1] != self.scale:
            return right, False
        match, factor = found
        if factor != 1:
            self.handed.setdefault(match.value, Found(b, match.how, factor))
            right.add(match.value)
        return right, True

    def scaled_by_leaves(self, b: Binding, g: Value, scales: set[float]) -> Found | None:
        """An array as this gradient, if the wrong gradients of leaves follow from it."""
        for how, array in oriented(b.array, g.shape):
            scale = self.scale_by_leaves(b, g, np.asarray(array, float), scales)
            if scale:
                return Found(b, how, scale)
        return None

    def scale_by_leaves(
        self, b: Binding, g: Value, array: np.ndarray, scales: set[float]
    ) -> float | None:
        """By what the chain is multiplied if an array is meant as this gradient, and the wrong
        gradients of leaves follow from it; None where they do not.
        """
        graph = self.chain.graph
        if self.computed > VALUES:
            return None
        found = {g: array}
        for x in graph.order:
            if x not in found and any(i in found for i in x.values()):
                found[x] = graph.computed(x, found)
        self.computed += len(found)
        wrong = self.slots.wrong
        leaves = [leaf for leaf in found if leaf in wrong and b in self.ancestors[leaf]]
        leaves = [leaf for leaf in leaves if fits(wrong[leaf].binding, leaf)]
        if not leaves:
            return None
        nearest = leaves[0]  # later ones may be wrong for a second reason
        given = wrong[nearest].array(nearest)
        factor = 1.0
        if not matches(given, found[nearest]):
            factor = rounded(constant_factor(found[nearest], given) or 0, b.array, given)
        allowed = {self.scale} if self.scale else scales
        return factor if factor in allowed else None

    @cached_property
    def ancestors(self) -> dict[Value, dict[Binding, None]]:
        """From what each wrong gradient of a leaf was computed."""
        return {g: before([found.binding]) for g, found in self.slots.wrong.items()}

    # What names, usual reasons and shapes say

    def recognise_one(self, b: Binding, missing: list[Value]) -> None:
        """Find out which of these gradients an array is meant to be, if any."""
        m = self.multiple(b)
        if not np.any(b.array) or (m and m[1] in self.usual):
            return
        g = self.named(b, missing)
        if g is not None:
            self.handed[g] = Found(b, how_it_lies(self.chain, b, g), self.scale or 1)
        else:
            self.handed.update(self.explained(b, missing))

    def named(self, b: Binding, missing: list[Value]) -> Value | None:
        """The gradient of which an array has the name, unless a later one has it as well."""
        of = self.chain.meanings_of(b)
        if len(of) != 1:
            return None
        g = self.chain.graph.gradient_of[of[0]]
        later = self.suspects[self.suspects.index(b) + 1 :]
        again = any(self.chain.meanings_of(a) == of for a in later)
        return g if g in missing and not again else None

    def is_explained(self, leaf: Value) -> bool:
        """Whether the last step to a wrong gradient of a leaf is wrong for a usual reason."""
        others = {g: array for g, array in self.arrays().items() if g is not leaf}
        why = reason(self.ask(leaf, self.handed[leaf].array(leaf), others)).reason
        return bool(why) and not why.startswith("from a fault at")

    def explained(self, b: Binding, missing: list[Value]) -> dict[Value, Found]:
        """An array as the gradient as which it is wrong for a usual reason; a single number may be
        any multiple of any other.
        """
        if b.array.size < 2:
            return {}
        scales = [self.scale] if self.scale else [1.0, *sorted(self.natural - {1.0})[::-1]]
        arrays = self.arrays()
        for scale in scales:
            for g in missing:
                self.asked += 1
                if self.asked > QUESTIONS:
                    return {}
                found = Found(b, how_it_lies(self.chain, b, g), scale)
                given = found.array(g)
                if given.shape == g.shape and reason(self.ask(g, given, arrays)).reason:
                    return {g: found}
        return {}

    def arrays(self) -> dict[Value, np.ndarray]:
        """The arrays by gradient, as the graph would have them."""
        return {g: found.array(g) for g, found in self.handed.items()}

    # What a verdict tells

    def refine(self) -> Mapping[Value, Judgement]:
        """The verdicts, after each array is recognised that explains one of them."""
        numbers = self.chain.graph.numbers
        if all(same(found.array(g), numbers[g]) for g, found in self.handed.items()):
            return {g: Judgement(RIGHT) for g in self.chain.graph.order if g in self.handed}
        judged = self.judge(self.arrays())
        for _ in range(ROUNDS):
            wrong = next((g for g, found in judged.items() if found.verdict == WRONG), None)
            if wrong is None or not self.recognise_cause(judged[wrong].values):
                break
            judged = self.judge(self.arrays())
        return judged

    def recognise_cause(self, values: Mapping[Value, np.ndarray]) -> bool:
        """Whether there is an array that is what a gradient before a wrong one must have been."""
        open_ones = [g for g in values if g in self.chain.gradients and g not in self.handed]
        made = [b for b in self.behind_leaves if not b.origin.given and b not in self.of_leaves]
        for g, b in itertools.product(open_ones, made):
            for how, array in oriented(b.array, values[g].shape):
                if matches(array / (self.scale or 1), values[g]):
                    self.handed[g] = Found(b, how, self.scale or 1)
                    return True
        return False
