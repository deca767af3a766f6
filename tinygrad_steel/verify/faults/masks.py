"""What differs only where something holds in the graph: at the right classes, or by a condition."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.texts import PRODUCT
from ...program.values import Value
from ..closeness import tolerance
from .factors import is_about, named
from .question import Gradient, Mistake, Question, Step
from .samples import is_one_hot
from .solved import MORE_THAN_ROUNDING, Direction, solved_for


def only_where(gradient: Gradient) -> Iterator[Mistake]:
    """A number that is too much, or a factor, wherever a mask of the graph holds."""
    return solved_for(gradient, directions(gradient))


def directions(gradient: Gradient) -> Iterator[Direction]:
    """What may be too much at each mask."""
    question = gradient.question
    before = question.value(gradient.g)
    for mask, value, where in masks(gradient):
        text = question.graph.text(value, PRODUCT)
        yield Direction(mask, partial(too_much, text, where), "other-value", MORE_THAN_ROUNDING)
        words = partial(factor_there, question, where)
        yield Direction(mask * before, words, "other-factor", MORE_THAN_ROUNDING)


def masks(gradient: Gradient) -> Iterator[tuple[Any, Value, str]]:
    """The values of the forward that are 0 or 1, with a word on where they are 1."""
    graph, g = gradient.question.graph, gradient.g
    labels = (v for v in graph.values if v.op is ops.one_hot)  # of ids, for the backward alone
    for value in dict.fromkeys([*graph.forward, *labels]):
        if value.shape != g.shape or len(g.shape) < 2 or value in graph.wanted:
            continue
        numbers = gradient.question.value(value)
        holds, not_so = numbers == 1, numbers == 0
        if not (np.all(holds | not_so) and np.any(holds) and np.any(not_so)):
            continue
        text = graph.text(value)
        where = f"where {text}" if value.dtype == bool else f"where {text} is 1"
        if value.op in (None, ops.one_hot) and is_one_hot(numbers):
            where = f"at the right classes, {where}"
        yield numbers.astype(g.dtype), value, where


def too_much(text: str, where: str, rate: float) -> str:
    """A number is added where a mask is 1."""
    sign = "+" if rate > 0 else "-"
    return f"it differs only {where}: `{sign} {number(abs(rate))} * {text}` is too much"


def factor_there(question: Question, where: str, rate: float) -> str:
    """All that is there has a factor."""
    factor = named(question.causes, 1 + rate, plain=True)
    words = factor.words.replace(" everywhere", "") if factor else "it is another number"
    return f"it differs only {where}: {words}"


def number(rate: float) -> str:
    """A number, as one divided by a whole number where it is that."""
    inverse = round(1 / rate) if rate < 1 else 0
    return f"1 / {inverse}" if inverse > 1 and is_about(1 / rate, inverse) else f"{rate:.6g}"


def another_mask(step: Step) -> Iterator[Mistake]:
    """A mask with which the gradient is multiplied that is another one, as drawn again."""
    question, g = step.question, step.g
    if g is not question.asked or not question.fits or len(g.shape) < 2:
        return
    came = step.given
    if came.shape != g.shape or not np.all(came):
        return
    right, theirs = question.value(g) / came, question.given / came
    scale = float(np.max(np.abs(right), initial=0))
    kept, was_kept = theirs != 0, right != 0
    if not scale or np.all(was_kept) or not (np.any(kept) and np.any(was_kept)):
        return
    rtol = 100 * tolerance(came, question.given)
    is_mask = all(
        np.allclose(s[k], scale, rtol=rtol) for s, k in ((right, was_kept), (theirs, kept))
    )
    lost, more = int(np.sum(was_kept & ~kept)), int(np.sum(kept & ~was_kept))
    if is_mask and lost and more:
        words = (
            f"another mask than in the forward: {more} elements are there that it drops, and {lost} "
            f"are not there that it keeps"
        )
        yield Mistake(g, came * np.where(kept, scale, 0), words, "wrong-condition")
