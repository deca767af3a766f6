"""The verdict on one gradient: right, but for rounding perhaps, wrong and why, or none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from ..program.values import Value, behind
from .case import is_float
from .closeness import constant_factor, distance, largest, tolerance
from .codes import Code
from .faults import factors
from .faults.probabilities import EXACT_LOSS
from .faults.question import Finding, Question
from .faults.search import origin, reason
from .faults.unexplained import difference
from .float32 import EPS32, SEVERAL, is_rounded_to_float32, shares_more_than_float32
from .kept import Kept
from .kinks import other_slope
from .report import (
    BY_CONVENTION,
    CANCELLED,
    EMPTY,
    EPSILON,
    FOLLOWS,
    NOT_FINITE,
    RIGHT,
    ROUNDED,
    WRONG,
)
from .rounding import Noise, Rounding
from .traced_loss import NOTHING, Graph

# A number by which ALL elements are multiplied is no rounding, which takes each of them another
# way. By itemsize: what it may be off 1 all the same.
COMMON = {2: 8e-3, 4: 3e-5}
FLOAT32_PERHAPS = (
    "a float32 on the way would explain as much: hand over float32 arrays where there was one"
)


class Judgement(NamedTuple):
    """A verdict, its reason and the codes of that.

    `values`: of gradients before this one, which explain it. `ahead`: of a fault in several
    gradients, what becomes of the later ones. `kept`: the conventions by which it is right.
    """

    verdict: str
    reason: str = ""
    codes: tuple[Code, ...] = ()
    values: Mapping[Value, np.ndarray] = NOTHING
    ahead: Mapping[Value, np.ndarray] = NOTHING
    kept: tuple[Kept, ...] = ()


def judge(question: Question, rounding: Rounding) -> Judgement:
    """The verdict on what was handed over; of the gradient of a bias with one axis more or less than
    that, the verdict on its numbers.
    """
    given, own = question.given, question.own
    if is_flat_bias(question.graph, question.asked, given):
        found = judge(replace(question, given=given.reshape(own.shape)), rounding)
        return in_its_shape(question.graph, found, given, own) if is_right(found) else found
    if given.shape == own.shape and not given.size:
        return Judgement(EMPTY, f"shape {given.shape} has no element", ("empty",))
    verdict = without_search(question, rounding)
    if verdict and not np.all(np.isfinite(own)):
        words = not_finite(question.graph, question.asked, given)
        return Judgement(NOT_FINITE, words, ("not-finite",))
    if verdict:
        return Judgement(verdict)
    return by_convention(question, rounding) or with_reason(question, rounding, reason(question))


def by_convention(question: Question, rounding: Rounding) -> Judgement | None:
    """The verdict on what follows another convention at a kink; None for anything else."""
    if not (question.fits and rounding.kinks):
        return None
    near = partial(is_near, question, rounding)
    slope = other_slope(question, rounding.kinks, near)
    if slope:
        verdict = unless_spoiled(question, BY_CONVENTION)
        return Judgement(verdict, values=slope.values, kept=(Kept("kink", slope.text),))
    if question.spoiled:  # perhaps right again, whatever was before
        alone = replace(question, values=NOTHING, expected=question.own, spoiled=False)
        slope = other_slope(alone, rounding.kinks, near)
    return Judgement(BY_CONVENTION, kept=(Kept("kink", slope.text),)) if slope else None


def without_search(question: Question, rounding: Rounding) -> str:
    """The verdict on what can be told without a search; empty where that has to decide."""
    given, own, expected = question.given, question.own, question.expected
    near = partial(is_near, question, rounding)
    rounded, float32 = rounded_to(rounding), ROUNDED.format("float32")
    exact = rounded
    if tolerance(question.asked) == tolerance(given, question.asked):
        exact = RIGHT
    if near(own):
        return exact
    if near(expected):
        return unless_spoiled(question, exact)
    if near(own, rounding.noise):
        return rounded
    if near(expected, rounding.noise):
        return unless_spoiled(question, rounded)
    if near(expected, rounding.noise_apart) and not has_known_factor(question):
        return unless_spoiled(question, rounded)
    if is_rounded_to_float32(given, own) or started_in_float32(question, rounding):
        return float32
    if is_rounded_to_float32(given, expected):
        return unless_spoiled(question, float32)
    return ""


def with_reason(question: Question, rounding: Rounding, found: Finding) -> Judgement:
    """The verdict on what a search has looked at."""
    if is_exact_loss(question, found):
        verdict = unless_spoiled(question, EPSILON)
        return Judgement(verdict, found.reason, found.codes, found.values)
    why, codes = found.reason, found.codes
    if not why:
        if is_near(question, rounding, question.expected, rounding.terms):
            return Judgement(unless_spoiled(question, rounded_to(rounding)))
        if is_float32_of(question, rounding):
            return Judgement(unless_spoiled(question, ROUNDED.format("float32")))
        is_searched = found.searched
        found = origin(question, difference(question))._replace(ended=found.ended)
        why, codes = found.reason, found.codes
        if not is_searched:
            why, codes = f"not searched: {why}", ("not-searched",)
        if is_within_float32(question, rounding):
            why += f"; {FLOAT32_PERHAPS}"
    if found.ended is not None:
        why += f"; the search for a reason was ended after {found.ended} candidates"
        codes = ("unexplained-limit",) if codes == ("unexplained",) else codes
    return Judgement(WRONG, why, codes, found.values, found.ahead)


def is_flat_bias(graph: Graph, g: Value, given: np.ndarray) -> bool:
    """Whether it has the shape (n,) where a leaf that is added to each row, or the like, has (1, n);
    if that was declared, the other way round too: `b -= rate * db` fails there.
    """
    n = given.size
    ways = [((n,), (1, n)), *([((1, n), (n,))] if "bias-shape" in graph.declared else [])]
    if (given.shape, g.shape) not in ways:
        return False
    leaf = next((x for x in graph.wanted if graph.gradient_of.get(x) is g), None)
    uses = [y for y, _ in graph.parts[leaf]] if leaf else []
    return bool(uses) and all(y.op.elementwise for y in uses)


def is_right(found: Judgement) -> bool:
    """Whether a verdict says so, in whatever way."""
    return found.verdict.startswith(RIGHT)


def in_its_shape(graph: Graph, found: Judgement, given: np.ndarray, own: np.ndarray) -> Judgement:
    """The verdict on the gradient of a bias whose numbers alone are those of the graph."""
    others = (kept for kept in found.kept if kept.name != "bias-shape")
    is_declared = "bias-shape" in graph.declared
    shapes = Kept("bias-shape", f"{given.shape} for {own.shape}", is_declared)
    return found._replace(verdict=BY_CONVENTION, kept=(*others, shapes))


def divided_later(found: Judgement, factor: float) -> Judgement:
    """The verdict on a gradient that lacks a divisor, where those of the leaves have it."""
    if not is_right(found):
        return found
    kept = (*found.kept, Kept("late-mean", f"{factor:g}"))
    return found._replace(verdict=BY_CONVENTION, kept=kept)


def is_exact_loss(question: Question, found: Finding) -> bool:
    """Whether it lacks the epsilon in a logarithm, and is off by next to nothing for it."""
    if not found.reason.startswith(EXACT_LOSS):
        return False
    off = distance(question.given, question.expected)
    return bool(np.all(off <= 1e-5 * largest(question.own)))


def unless_spoiled(question: Question, verdict: str) -> str:
    """This verdict, unless there was a wrong gradient before."""
    return FOLLOWS if question.spoiled else verdict


def rounded_to(rounding: Rounding) -> str:
    """The verdict on what is right but for rounding."""
    return CANCELLED if rounding.epsilon < 1e-12 else ROUNDED.format(rounding.coarsest)


# What is near


def is_near(
    question: Question, rounding: Rounding, to: np.ndarray, noises: Mapping[Value, Noise] = NOTHING
) -> bool:
    """Whether what was handed over is `to` but for rounding: each element within its own noise,
    where there is one.

    Nothing can be said of elements for which the graph has no finite number.
    """
    asked, given, own = question.asked, question.given, question.own
    if given.shape != to.shape:
        return False
    smallest = float(np.finfo(given.dtype).smallest_subnormal)
    allowed: np.ndarray | float = tolerance(given, asked) * largest(to) + 16 * smallest
    if noises:
        noise, size = noises[asked], largest(own)
        # The gradient of something larger has larger errors: everything after a wrong gradient
        # scales with it.
        share = largest(to) / size if question.spoiled and size else 1
        allowed = allowed + share * (noise.each + np.where(given > to, noise.above, noise.below))
    within = np.all((distance(given, to) <= allowed) | ~np.isfinite(own))
    return bool(within) and not has_common_factor(question, rounding, to)


def has_common_factor(question: Question, rounding: Rounding, to: np.ndarray) -> bool:
    """Whether it is `to` times a number that rounding does not explain, in all elements that are
    not tiny.
    """
    given, info = question.given, np.finfo(rounding.coarsest)
    size = np.abs(to)
    counts = (size > 1e-3 * largest(to)) & (size > 16 * float(info.tiny)) & np.isfinite(given)
    if np.sum(counts) < SEVERAL:
        return False
    ratios = np.asarray(given[counts], float) / to[counts]
    factor = np.median(ratios)
    off = abs(factor - 1)
    limit = COMMON.get(rounding.coarsest.itemsize, 1e-9)
    if off <= limit:
        return False
    agree = np.abs(ratios - factor) <= 0.1 * off + 2 * rounding.epsilon
    if np.sum(agree) < max(SEVERAL, 0.75 * agree.size):
        return False
    digits = np.frexp(size[counts][agree].astype(float))[0].astype(np.float16)
    alike = len(np.unique(digits)) < SEVERAL  # rounding does the same to what has the same digits
    # What was added up naively, one number after the other, is off by up to this much.
    naive = longest_sum(question.asked, own=alike) * rounding.epsilon / 64
    return bool(off > max(limit, naive, rounding.factor[question.asked]))


def has_known_factor(question: Question) -> bool:
    """Whether all elements are multiplied by a number that people get wrong."""
    factor = constant_factor(question.given, question.expected)
    return bool(factors.named(question.causes, factor))


def longest_sum(g: Value, own: bool) -> float:
    """How many numbers are added up for one on the way to a gradient; `own`: in its own op too."""
    made = [y for y in behind([g]) if own or y is not g]
    sizes = ((math.prod(x.shape), math.prod(y.shape)) for y in made for x in y.values())
    return max((before / max(1, after) for before, after in sizes), default=1)


# A float32 on the way


def started_in_float32(question: Question, rounding: Rounding) -> bool:
    """Whether it is the gradient of a chain whose leaves, or named values, were float32."""
    at_first = [values[question.asked] for values in rounding.from_float32]
    return any(
        is_near(question, rounding, to, rounding.noise)
        for to in at_first
        if np.all(np.isfinite(to))
    )


def is_float32_of(question: Question, rounding: Rounding) -> bool:
    """Whether it is right but for a float32 on the way, which an array that was handed over shows.

    A few units in the last place of the largest element are called right, since a float32 is
    quickly lost in an array of float64; what is off by a millionth is wrong, and so is what is off
    by a factor that all elements share.
    """
    if not is_within_float32(question, rounding, at_most=4 * EPS32 * largest(question.expected)):
        return False
    return rounding.shows_float32 and not shares_more_than_float32(
        question.given, question.expected
    )


def is_within_float32(question: Question, rounding: Rounding, at_most: float = np.inf) -> bool:
    """Whether each element of a float64 array is off by no more than rounding to float32 on the
    way may take it.
    """
    asked, given, expected = question.asked, question.given, question.expected
    if given.shape != asked.shape or given.itemsize < 8:
        return False
    noise = rounding.noise_apart[asked].each * EPS32 / rounding.epsilon
    allowed = tolerance(given, asked) * largest(expected) + np.minimum(noise, at_most)
    return bool(np.all(distance(given, expected) <= allowed))


# What is not finite


def not_finite(graph: Graph, g: Value, given: np.ndarray) -> str:
    """Where NaN or infinity comes from that a gradient of the graph has, and perhaps the one
    handed over as well.
    """
    numbers = graph.numbers
    values = dict.fromkeys([*graph.forward, *behind([g])])
    bad = {x: None for x in values if is_float(x) and not np.all(np.isfinite(numbers[x]))}
    origins = (x for x in bad if is_origin(graph, x, bad))
    origin = next(origins, next(iter(bad)))
    called = graph.text(origin)
    owner = graph.owner_of.get(origin)
    if origin in graph.late and not graph.name(origin) and owner is not None:
        called = f"the gradient of {graph.text(owner)}"
    what = "NaN" if np.any(np.isnan(numbers[g])) else "infinite"
    too = "" if np.all(np.isfinite(given)) else " too"
    return f"the graph's own gradient is {what}{too}, from {called} on; see detect_anomaly()"


def is_origin(graph: Graph, x: Value, bad: Mapping[Value, None]) -> bool:
    """Whether a value is not finite though all that it is computed from is; an infinite leaf may
    be meant so.
    """
    if any(i in bad for i in x.inputs):
        return False
    return x.op is not None or bool(np.any(np.isnan(graph.numbers[x])))
