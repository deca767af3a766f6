"""Mistakes in the derivative of a sigmoid, a tanh or a softmax that the forward writes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.texts import PRODUCT
from ...program.values import Apply, Value
from ..closeness import matches
from ..traced_loss import Graph
from . import functions
from .jacobians import of_softmax
from .question import Gradient, Mistake, Step, between, fitting
from .sides import is_of

NEAR = 16  # values after the argument among which the result is looked for
ENDS = (ops.divide, ops.reciprocal, ops.subtract, ops.multiply, ops.power)


class Known(NamedTuple):
    """A function that people write out: its name, what it is, and its slope by its result `y`."""

    name: str
    of: Callable[[Any], Any]
    slope: str


SIGMOID = Known("sigmoid", ops.sigmoid, "{0} * (1 - {0})")
TANH = Known("tanh", np.tanh, "(1 - {0} * {0})")
SOFTMAX = Known("softmax", ops.softmax, "")


def written_out(gradient: Gradient) -> Iterator[Mistake]:
    """What people get wrong over all steps of such a function."""
    for y, known in results(gradient):
        step, rest = whole_step(gradient, y, known)
        right = step.question.value(step.g) - rest
        kinds = of_a_softmax(step) if known is SOFTMAX else of_a_function(step)
        for mistake in kinds:
            part = fitting(mistake.becomes) if callable(mistake.becomes) else mistake.becomes
            step.question.budget.spend(np.size(rest))
            if part is None or np.shape(part) != step.g.shape or matches(part, right):
                continue  # it fits nowhere, or is the right one in other words
            yield mistake._replace(becomes=rest + part)


def results(gradient: Gradient) -> Iterator[tuple[Apply, Known]]:
    """The values that are such a function of `x`, made in several steps."""
    question, graph, x = gradient.question, gradient.question.graph, gradient.x
    if not x.shape or x.dtype.kind != "f" or 0 in x.shape:
        return
    z, place = question.value(x), graph.forward[x]
    for y in [*graph.forward][place + 1 : place + 1 + NEAR]:
        if not isinstance(y, Apply) or y.op not in ENDS or y not in graph.gradient_of:
            continue
        if y.shape != x.shape or x in y.inputs or x not in graph.behind(y):
            continue
        for known in (SIGMOID, TANH) if is_of(x, y) else (SOFTMAX,):
            if known is SOFTMAX and gradient.g is not question.asked and is_in_stages(graph, x, y):
                continue
            if matches(known.of(z), question.value(y), 1e-9):
                yield y, known


def is_in_stages(graph: Graph, x: Value, y: Value) -> bool:
    """Whether a value between has a name: then each of these steps is looked at by itself."""
    return any(v in graph.names and x in graph.behind(v) for v in y.values() if v is not x)


def whole_step(gradient: Gradient, y: Apply, known: Known) -> tuple[Step, Any]:
    """The way from the gradient of the result to that of `x` as one step, and what comes to `x`
    on other ways.
    """
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    gy = graph.gradient_of[y]
    inner = between(graph, gy, g)
    zero = {gy: np.zeros(gy.shape, gy.dtype)}
    rest = question.replay(zero, inner).get(g, 0)
    name = f"{known.name}'({graph.text(gradient.x)})"
    slope = known.slope.format(graph.text(y, PRODUCT))
    words = f"{name} = {slope}" if slope else name
    return Step(question, gradient.x, y, gy, g, inner, function=words), rest


def of_a_function(step: Step) -> Iterator[Mistake]:
    """The derivative left out, alone, or another one; and what precedence makes of it."""
    question, came = step.question, step.question.graph.gradient_text(step.y)
    words = f"{came} is handed on unchanged: the factor {step.function} is missing"
    yield Mistake(step.g, step.given, words, "missing-derivative")
    y, text = question.value(step.y), question.graph.text(step.y, PRODUCT)
    for becomes, written in (
        (step.given * y - y, f"{came} * {text} * 1 - {text}"),
        (step.given - y * y, f"{came} * 1 - {text} * {text}"),
    ):
        words = f"parentheses are missing: {written} instead of {came} times {step.function}"
        yield Mistake(step.g, becomes, words, "wrong-order")
    yield from functions.other_derivative(step)
    yield from functions.other_derivative_alone(step)


def of_a_softmax(step: Step) -> Iterator[Mistake]:
    """The Jacobian of softmax left out, or another one."""
    question, graph = step.question, step.question.graph
    g, p = step.given, question.value(step.y)
    came, text = graph.gradient_text(step.y), graph.text(step.y, PRODUCT)
    own = f"sum({came} * {text}, axis=-1, keepdims=True)"
    words = (
        f"{came} is handed on unchanged: the derivative of softmax is missing, {text} * "
        f"({came} - {own})"
    )
    yield Mistake(step.g, g, words, "missing-derivative")
    for becomes, words, code in of_softmax(g, p, came, text):
        yield Mistake(step.g, becomes, words, code)
    yield from functions.other_derivative(step)
