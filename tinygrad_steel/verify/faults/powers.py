"""Mistakes with powers: base and exponent swapped, an exponent that stays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.texts import SIGN
from ..closeness import combination
from .question import Mistake, Step

POWERS = (ops.power, ops.square, ops.sqrt, ops.reciprocal)
LEAST = 3  # elements that tell an exponent and a factor


def other_power(step: Step) -> Iterator[Mistake]:
    """The derivative of a power as that of another one."""
    question, graph, x, y = step.question, step.question.graph, step.x, step.y
    if y.op is not ops.power or x.shape != y.shape:
        return
    a, b = map(question.value, y.inputs)
    base, exponent = (graph.text(v, SIGN) for v in y.inputs)
    rules = of_exponent if y.inputs[1] is x else of_base
    for slope, words in rules(a, b, base, exponent):
        yield Mistake(step.g, partial(times, step, slope), words, "wrong-derivative")


def other_exponent(step: Step) -> Iterator[Mistake]:
    """A power with another exponent, as it has to be for the answer."""
    question, x, y = step.question, step.x, step.y
    if step.g is not question.asked or not question.fits or x.shape != y.shape:
        return
    if y.op not in POWERS or y.inputs[0] is not x:
        return
    z, slope = np.abs(question.value(x)), np.abs(question.given / step.given)
    right = np.abs(question.value(step.g) / step.given)
    known = np.isfinite(slope) & np.isfinite(right) & (slope > 0) & (right > 0) & (z > 0)
    logs = np.log(z[known])
    if len(logs) < LEAST or np.ptp(logs) < 1e-3:
        return
    lines = [logs, np.ones_like(logs)]
    found, expected = (combination(lines, np.log(s[known])) for s in (slope, right))
    if found is None or expected is None:
        return
    (theirs, factor), (ours, _) = found, expected
    exponent, was = round(2 * theirs) / 2, round(2 * ours) / 2
    if exponent == was or abs(theirs - exponent) > 1e-6:
        return
    sign = np.sign(
        np.sum(question.given * step.given * np.sign(question.value(x)) ** (2 * exponent))
    )
    becomes = step.given * np.exp(factor) * np.power(question.value(x), exponent) * (sign or 1)
    text = question.graph.text(x, SIGN)
    factor_text = f"{(sign or 1) * np.exp(factor):.6g}"
    words = (
        f"multiplied by {factor_text} * {text} ** {exponent:g}, where the slope has "
        f"{text} ** {was:g}"
    )
    yield Mistake(step.g, becomes, words, "wrong-derivative")


def of_exponent(a: Any, b: Any, base: str, exponent: str) -> Iterator[tuple[Any, str]]:
    """What people have for the derivative with respect to the exponent."""
    swapped = f"the derivative of {exponent} ** {base} instead of {base} ** {exponent}"
    yield partial(power_rule, b, a), swapped
    words = f"the rule for {base} as a variable where {exponent} is it: {exponent} * {base} ** "
    yield partial(power_rule, a, b), f"{words}({exponent} - 1)"


def of_base(a: Any, b: Any, base: str, exponent: str) -> Iterator[tuple[Any, str]]:
    """What people have for the derivative with respect to the base."""
    swapped = f"the derivative of {exponent} ** {base} instead of {base} ** {exponent}"
    yield partial(exponential_rule, b, a), swapped
    right = f"{exponent} * {base} ** ({exponent} - 1)"
    yield partial(scaled_power, b, a, b), f"{exponent} * {base} ** {exponent} instead of {right}"
    words = f"{exponent} * {base} ** ({exponent} + 1) instead of {right}"
    yield partial(scaled_power, b, a, b + 1), words
    words = f"({exponent} - 1) * {base} ** ({exponent} - 1) instead of {right}"
    yield partial(scaled_power, b - 1, a, b - 1), words
    words = f"({exponent} - 1) * {base} ** {exponent} instead of {right}"
    yield partial(scaled_power, b - 1, a, b), words
    words = f"the rule for {exponent} as a variable where {base} is it: {base} ** {exponent} * "
    yield partial(exponential_rule, a, b), f"{words}log({base})"


def power_rule(a: Any, b: Any) -> Any:
    """The derivative of a ** b by a."""
    return b * np.power(a, b - 1)


def exponential_rule(a: Any, b: Any) -> Any:
    """The derivative of a ** b by b."""
    return np.power(a, b) * np.log(a)


def scaled_power(c: Any, a: Any, b: Any) -> Any:
    """A power, and a factor."""
    return c * np.power(a, b)


def times(step: Step, slope: Any) -> Any:
    """The gradient that came, multiplied with a slope."""
    return step.given * slope()
