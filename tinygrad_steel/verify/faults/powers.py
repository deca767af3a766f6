"""Mistakes with powers: base and exponent swapped, an exponent that stays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.texts import SIGN
from .question import Mistake, Step


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
