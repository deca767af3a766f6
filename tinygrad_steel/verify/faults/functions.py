"""Mistakes with a whole derivative: another function's, at another place, divided by, alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.expressions import INFIX
from ...program.values import VALUES, Value
from .derivatives import derivative
from .mixups import lookalikes
from .question import Gradient, Mistake, Step, between, handed_on

SHARES = (ops.sigmoid, ops.softmax)
FEW = 6  # places of other steps at which a derivative may have been taken


class Slope(NamedTuple):
    """A derivative that people know by heart: how it is written for an argument, and what it is."""

    text: str
    of: Callable[[Any], Any]

    def at(self, argument: str) -> str:
        """It is written so for this argument."""
        return self.text.format(argument)


SIGMOID = Slope("{0} * (1 - {0})", lambda v: v * (1 - v))  # of its result
TANH = Slope("(1 - {0} * {0})", lambda v: 1 - v * v)
SLOPES = (
    Slope("sigmoid'({})", lambda v: ops.sigmoid(v) * (1 - ops.sigmoid(v))),
    Slope("softmax({0}) * (1 - softmax({0}))", lambda v: ops.softmax(v) * (1 - ops.softmax(v))),
    Slope("sigmoid(1 - sigmoid({}))", lambda v: ops.sigmoid(1 - ops.sigmoid(v))),
    Slope("tanh'({})", lambda v: 1 - np.square(np.tanh(v))),
    Slope("relu'({})", lambda v: np.asarray(v > 0, v.dtype)),
    SIGMOID,
    TANH,
    Slope("(1 + {0} * {0})", lambda v: 1 + v * v),
    Slope("{0} * (1 + {0})", lambda v: v * (1 + v)),
    Slope("arctan'({})", lambda v: 1 / (1 + v * v)),
    Slope("exp({})", np.exp),
    Slope("(1 - exp({}))", lambda v: 1 - np.exp(v)),
    Slope("sqrt'({})", lambda v: 0.5 / np.sqrt(v)),
    Slope("0.5 / {} (the slope of a root)", lambda v: 0.5 / v),
    Slope("square'({})", lambda v: 2 * v),
    Slope("{}", lambda v: v),
    Slope("(1 - {})", lambda v: 1 - v),
    Slope("sign({})", np.sign),
)


def other_derivative(step: Step) -> Iterator[Mistake]:
    """A derivative that is not this function's, or not at this place; or is divided by."""
    right = derivative_in_words(step)
    if not right:
        return
    known = [*slopes_at(own_values(step)), *mixed(step)]
    for text, slope in known:
        words = f"multiplied by {text} instead of {right}"
        yield Mistake(step.g, partial(times, step, slope), words, "wrong-derivative")
    for text, slope in known:
        words = f"divided by {text} instead of multiplied by {right}"
        yield Mistake(step.g, partial(divided, step, slope), words, "divided-not-multiplied")


def other_derivative_alone(step: Step) -> Iterator[Mistake]:
    """The same without the gradient that came, or at that gradient."""
    graph, right = step.question.graph, derivative_in_words(step)
    if not right:
        return
    came = graph.gradient_text(step.y)
    at_gradient = [*slopes_at([(step.given, came)])]
    for text, slope in at_gradient:
        words = f"multiplied by {text} instead of {right}"
        yield Mistake(step.g, partial(times, step, slope), words, "derivative-of-wrong-argument")
    x_text = graph.text(step.x)
    without = f"it is not multiplied with {came}"
    elsewhere = f"taken of {came} in place of {x_text}, and not multiplied with {came}"
    alone = [(*one, without) for one in [*slopes_at(own_values(step)), *mixed(step)]]
    alone += [(*one, elsewhere) for one in at_gradient]
    for text, slope, why in alone:
        words = f"{text} alone, instead of {right}: {why}"
        yield Mistake(step.g, slope, words, "derivative-alone")
        words = f"1 / ({text}) alone: divided by it, and not multiplied with {came}"
        yield Mistake(step.g, partial(inverse, slope), words, "divided-not-multiplied")


def own_values(step: Step) -> list[tuple[np.ndarray, str]]:
    """What goes into a step of the forward, and what comes out of it."""
    question, graph = step.question, step.question.graph
    return [(question.value(v), graph.text(v, 3)) for v in (step.x, step.y)]


def other_derivative_elsewhere(step: Step) -> Iterator[Mistake]:
    """A derivative at a value of another step."""
    right = derivative_in_words(step)
    if right:
        arguments = lookalikes(step.question, step.gy, near=step.x)[:FEW]
        for text, slope in slopes_at(arguments):
            words = f"multiplied by {text} instead of {right}"
            becomes = partial(times, step, slope)
            yield Mistake(step.g, becomes, words, "derivative-of-wrong-argument")


def derivative_in_words(step: Step) -> str:
    """What a step multiplies with; empty where it does more than that, or changes the shape."""
    if step.function:
        return step.function
    graph, x, y = step.question.graph, step.x, step.y
    factor = derivative(graph, step.g, step.start)
    if not (factor or y.op in SHARES) or not x.shape == y.shape == step.gy.shape:
        return ""
    if factor and y.op in INFIX:
        return factor
    name = f"{y.op.name}'({graph.text(x)})"
    return f"{name} = {factor}" if factor else name


def slopes_at(arguments: list[tuple[np.ndarray, str]]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The slopes that people know, at each of these places."""
    for v, text in arguments:
        for slope in SLOPES:
            yield slope.at(text), partial(slope.of, v)


def mixed(step: Step) -> list[tuple[str, Callable[[], Any]]]:
    """`a * (1 - b)`, where both are to be the result of a sigmoid or a softmax."""
    if step.y.op not in SHARES and not step.function.startswith(("sigmoid", "softmax")):
        return []
    own = own_values(step)
    return [
        (f"{a_text} * (1 - {b_text})", partial(mixed_slope, a, b))
        for a, a_text in own
        for b, b_text in own
    ]


def mixed_slope(a: Any, b: Any) -> Any:
    """The slope of a sigmoid, with two values for the result."""
    return a * (1 - b)


def times(step: Step, slope: Callable[[], Any]) -> Any:
    """The gradient that came, multiplied with a slope."""
    return step.given * slope()


def divided(step: Step, slope: Callable[[], Any]) -> Any:
    """The gradient that came, divided by it."""
    return step.given / slope()


def inverse(slope: Callable[[], Any]) -> Any:
    """One divided by it."""
    return 1 / slope()


def other_argument(step: Step) -> Iterator[Mistake]:
    """A function in the derivative that is taken of another value."""
    question, graph = step.question, step.question.graph
    for value in step.used:
        if value.op is None or not value.op.elementwise or value in graph.late:
            continue
        for right in value.inputs:
            if not isinstance(right, VALUES) or right in graph.late:
                continue
            for other, text in lookalikes(question, right, near=step.x):
                if right.dtype == bool != other.dtype:
                    continue
                becomes = partial(question.compute, value, {right: other})
                words = (
                    f"computed with {text} in place of {graph.text(right)} in {graph.text(value)}"
                )
                yield Mistake(value, becomes, words, "derivative-of-wrong-argument")


def transposed_value(step: Step) -> Iterator[Mistake]:
    """A square value of the derivative that is transposed, or a stack of these."""
    for value in step.used:
        if len(value.shape) > 1 and value.shape[-2] == value.shape[-1] > 1:
            if value not in step.question.graph.late:
                becomes = np.swapaxes(step.question.value(value), -1, -2)
                words = f"{step.question.graph.text(value)} is transposed"
                yield Mistake(value, becomes, words, "transposed")


def steps_left_out(gradient: Gradient) -> Iterator[Mistake]:
    """A gradient that is handed on over several steps, none of which was handed over."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    owners = {text: owner for owner, text in graph.called.items()}
    for came, text in lookalikes(question, g, near=gradient.x):
        owner = owners.get(text)
        if owner is None or owner not in graph.behind(g):
            continue
        if any(v in question.handed for v in between(graph, owner, g)[:-1]):
            continue
        factor = derivative(graph, g, handed_on(owner))
        if factor:
            words = (
                f"these are the numbers of {text}, handed on unchanged: the factor {factor} is "
                f"missing"
            )
            yield Mistake(g, came, words, "missing-derivative")


def extra_factor(gradient: Gradient) -> Iterator[Mistake]:
    """A value of the forward, or a gradient, by which the right gradient is multiplied besides."""
    question, g = gradient.question, gradient.g
    if not question.fits:
        return
    expected = question.value(g)
    for v, text in extra_factors(gradient):
        question.budget.spend(np.size(v))
        if np.shape(v) == np.shape(expected):
            words = f"multiplied by {text}, which does not belong there"
            yield Mistake(g, expected * v, words, "extra-factor")


def extra_factor_on_a_way(step: Step) -> Iterator[Mistake]:
    """The same on one of several ways, and for a row or a column of factors too."""
    question, graph = step.question, step.question.graph
    if len(graph.parts[step.x]) < 2:
        return
    part = question.value(step.g)
    for v in graph.forward:
        if v in graph.names and 0 < len(v.shape) <= len(step.g.shape):
            words = f"in what comes through {graph.text(step.y)}: multiplied by {graph.text(v, 3)}"
            becomes = partial(np.multiply, part, question.value(v))
            words = f"{words}, which does not belong there"
            yield Mistake(step.g, becomes, words, "extra-factor")


def extra_row(gradient: Gradient) -> Iterator[Mistake]:
    """A row or a column of the forward by which a right gradient is multiplied, or divided."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    expected = question.value(g)
    for v in graph.forward:
        if v not in graph.names or not v.shape or v.shape == g.shape:
            continue
        if len(g.shape) != 2 or v.shape not in ((g.shape[1],), (1, g.shape[1]), (g.shape[0], 1)):
            continue
        row, text = question.value(v), graph.text(v)
        words = f"multiplied by {text}, which does not belong there, or not divided by it"
        yield Mistake(g, expected * row, words, "extra-factor")
        words = f"divided by {text}, which does not belong there, or not multiplied with it"
        yield Mistake(g, expected / row, words, "extra-factor")


def extra_factors(gradient: Gradient) -> Iterator[tuple[np.ndarray, str]]:
    """By what a gradient may have been multiplied once more."""
    question, x = gradient.question, gradient.x
    own: list[Value] = [*(y for y, _ in gradient.parts), x]
    found = [(question.value(v), question.graph.text(v, 3)) for v in own]
    found += lookalikes(question, gradient.g, near=x)
    yield from found
    for slope in (SIGMOID, TANH):
        yield from ((slope.of(v), slope.at(text)) for v, text in found)
