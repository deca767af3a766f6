"""Mistakes with softmax, sigmoid, and the epsilon in a logarithm."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...program.values import Value
from ..closeness import matches
from ..traced_loss import Graph
from .jacobians import WHOLE_ROW
from .question import Gradient, Mistake, Question

EXACT_LOSS = (
    "this gradient belongs to the exact cross entropy and not to the one with epsilon in the graph"
)


class Probability(NamedTuple):
    """A function that makes probabilities, and what the exact logarithm of it makes of its
    gradient.
    """

    name: str
    function: Callable[[Any], Any]
    exact_log: Callable[[Any, Any], Any]


PROBABILITIES = (
    Probability("softmax", ops.softmax, lambda g, p: g - p * np.sum(g, axis=-1, keepdims=True)),
    Probability("sigmoid", ops.sigmoid, lambda g, p: g * (1 - p)),
    Probability("1 - sigmoid", lambda z: 1 - ops.sigmoid(z), lambda g, p: -g * (1 - p)),
)


def probability(graph: Graph, z: Value, p: Value) -> Probability | None:
    """Which function makes `p` of `z`, however it is written; None where it is another one."""
    if not z.shape or z.shape != p.shape or p.op is None:
        return None
    if not math.prod(z.shape):  # of no elements there is no largest one
        return None
    before, after = graph.numbers[z], graph.numbers[p]
    return next(
        (kind for kind in PROBABILITIES if matches(kind.function(before), after, 1e-7)), None
    )


def without_jacobian(gradient: Gradient) -> Iterator[Mistake]:
    """What goes through a softmax as if each element depended on one alone."""
    question, graph = gradient.question, gradient.question.graph
    for p in graph.gradient_of:
        if p.op not in (ops.softmax, ops.divide) or p is gradient.x:  # as one op, and by hand
            continue
        kind = probability(graph, gradient.x, p)
        if kind is None or kind.name != "softmax":
            continue
        values = graph.numbers[p]
        g = question.value(graph.gradient_of[p]) * values
        words = f"the diagonal of softmax's Jacobian alone: {WHOLE_ROW}"
        yield Mistake(gradient.g, g * (1 - values), words, "softmax-jacobian")
        text = f"{graph.gradient_text(p)} * {graph.text(p, 3)}"
        words = f"`- sum({text}, axis=-1, keepdims=True)` is missing: {WHOLE_ROW}"
        yield Mistake(gradient.g, g, words, "softmax-jacobian")


def without_epsilon(question: Question, owners: list[Value]) -> Iterator[Mistake]:
    """The gradient of the exact loss, where the graph has an epsilon in its logarithm."""
    graph = question.graph
    logs = [x for x in graph.forward if x in graph.gradient_of and is_log_with_epsilon(graph, x)]
    for z in owners if logs else ():
        parts = [found for log in logs for found in exact_parts(question, z, log)]
        if not parts:
            continue
        value = np.zeros(()) + sum(part for part, _ in parts)
        if value.shape == z.shape:
            name = parts[-1][1].name.split()[-1]
            log = graph.text(logs[-1])
            words = (
                f"{EXACT_LOSS}: where {name}({graph.text(z)}) saturates, {log} is flat "
                f"and its derivative almost 0; take softmax_cross_entropy or "
                f"sigmoid_cross_entropy, which are exact, or differentiate the epsilon too"
            )
            yield Mistake(graph.gradient_of[z], value, words, "epsilon")


def exact_parts(
    question: Question, z: Value, log: Value
) -> Iterator[tuple[np.ndarray, Probability]]:
    """What the exact logarithm of a probability gives to the gradient of `z`."""
    graph = question.graph
    g = question.value(graph.gradient_of[log])
    for p in log.inputs[0].values():
        if p.op is ops.getitem:  # the probability of the right class alone
            arrays = (graph.now(x) for x in p.inputs)
            vjp = next(iter(ops.getitem.vjps))
            g = vjp(g, graph.numbers[p], *arrays, **p.params)
            p = p.inputs[0]
        kind = probability(graph, z, p)
        if kind is not None:
            yield kind.exact_log(g, graph.numbers[p]), kind


def is_log_with_epsilon(graph: Graph, x: Value) -> bool:
    """Whether it is the logarithm of `p + epsilon`, or of a `p` that is held above it."""
    if x.op is not ops.log:
        return False
    held = x.inputs[0]
    values = []
    if held.op in (ops.add, ops.maximum):
        values = [graph.now(i) for i in held.inputs]
    if held.op is ops.clip:
        values = [held.params.get("a_min") or 0]
    return any(np.ndim(value) == 0 and 0 < value <= 1e-3 for value in values)
