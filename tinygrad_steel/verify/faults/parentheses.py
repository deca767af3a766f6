"""Mistakes of precedence: parentheses that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...program.texts import PRODUCT, SIGN
from ...program.values import Apply
from .question import Mistake, Step

SIGNS = {ops.add: "+", ops.subtract: "-"}


def parentheses_missing(step: Step) -> Iterator[Mistake]:
    """An expression of the step as Python reads it without its parentheses."""
    for value in step.used:
        if isinstance(value, Apply) and value.op in WITHOUT:
            for becomes, text in WITHOUT[value.op](step, value):
                right = step.question.graph.text(value)
                words = f"parentheses are missing: {text} instead of {in_parts(step, value, right)}"
                yield Mistake(value, becomes, words, "wrong-order")


def in_parts(step: Step, value: Apply, text: str) -> str:
    """How a value is written, which may have a name, from what it is computed."""
    graph = step.question.graph
    if value not in graph.names and value not in graph.called:
        return text
    sign = {ops.multiply: "*", ops.divide: "/"}.get(value.op)
    if sign is None:
        return text
    a, b = value.inputs
    return f"{graph.text(a, PRODUCT)} {sign} {graph.text(b, SIGN)}"


def product(step: Step, value: Apply) -> Iterator[tuple[Any, str]]:
    """A product with a sum."""
    question, graph = step.question, step.question.graph
    for factor, total in (value.inputs, value.inputs[::-1]):
        for (a, a_text), sign, (b, b_text) in sums(step, total):
            by, text = question.value(factor), graph.text(factor, PRODUCT)
            plus = np.add if sign == "+" else np.subtract
            yield (
                partial(first_alone, plus, np.multiply, by, a, b),
                f"{text} * {a_text} {sign} {b_text}",
            )
            yield (
                partial(last_alone, plus, np.multiply, a, b, by),
                f"{a_text} {sign} {b_text} * {text}",
            )


def quotient(step: Step, value: Apply) -> Iterator[tuple[Any, str]]:
    """A quotient of sums, or of a product."""
    question, graph = step.question, step.question.graph
    above, below = value.inputs
    x, x_text = question.value(above), graph.text(above, PRODUCT)
    y, y_text = question.value(below), graph.text(below, SIGN)
    for (a, a_text), sign, (b, b_text) in sums(step, above):
        plus = np.add if sign == "+" else np.subtract
        yield partial(last_alone, plus, np.divide, a, b, y), f"{a_text} {sign} {b_text} / {y_text}"
    for (a, a_text), sign, (b, b_text) in sums(step, below):
        plus = np.add if sign == "+" else np.subtract
        yield partial(first_alone, plus, np.divide, x, a, b), f"{x_text} / {a_text} {sign} {b_text}"
    if getattr(below, "op", None) is ops.multiply:
        for a, b in (below.inputs, below.inputs[::-1]):
            text = f"{x_text} / {graph.text(a, SIGN)} * {graph.text(b, SIGN)}"
            yield partial(turned, x, question.value(a), question.value(b)), text


def negative(step: Step, value: Apply) -> Iterator[tuple[Any, str]]:
    """A sum with a minus before it."""
    for (a, a_text), sign, (b, b_text) in sums(step, value.inputs[0]):
        plus = np.add if sign == "+" else np.subtract
        yield partial(minus_first, plus, a, b), f"-{a_text} {sign} {b_text}"


def square(step: Step, value: Apply) -> Iterator[tuple[Any, str]]:
    """The square of a sum, or of a product."""
    for (a, a_text), sign, (b, b_text) in sums(step, value.inputs[0]):
        plus = np.add if sign == "+" else np.subtract
        yield partial(last_squared, plus, a, b), f"{a_text} {sign} {b_text} ** 2"


WITHOUT = {
    ops.multiply: product,
    ops.divide: quotient,
    ops.negative: negative,
    ops.square: square,
}


def sums(step: Step, value: Any) -> Iterator[tuple[tuple[Any, str], str, tuple[Any, str]]]:
    """The two terms of a sum or difference, with how they are written, and the sign between."""
    question, graph = step.question, step.question.graph
    if getattr(value, "op", None) in SIGNS:
        a, b = ((question.value(x), graph.text(x, PRODUCT)) for x in value.inputs)
        yield a, SIGNS[value.op], b


def first_alone(plus: Any, times: Any, by: Any, a: Any, b: Any) -> Any:
    """The first term alone is multiplied, or divides."""
    return plus(times(by, a), b)


def last_alone(plus: Any, times: Any, a: Any, b: Any, by: Any) -> Any:
    """The last term alone is multiplied, or divided."""
    return plus(a, times(b, by))


def turned(x: Any, a: Any, b: Any) -> Any:
    """Divided by one factor, and multiplied with the other."""
    return x / a * b


def minus_first(plus: Any, a: Any, b: Any) -> Any:
    """The first term alone has the minus."""
    return plus(-a, b)


def last_squared(plus: Any, a: Any, b: Any) -> Any:
    """The last term alone is squared."""
    return plus(a, b * b)
