"""Mistakes with a condition: the wrong way round, or of another value, wherever it decides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ...program.values import VALUES, Value
from .mixups import lookalikes
from .question import Gradient, Mistake, Question, fitting


def other_condition(gradient: Gradient) -> Iterator[Mistake]:
    """A condition of the forward that is another one in all of the backward."""
    question, graph, g = gradient.question, gradient.question.graph, gradient.g
    if g is not question.asked:
        return
    needed = graph.behind(g)
    for f in graph.values:
        if f.op is None or f.dtype != bool or f not in needed or f in graph.late:
            continue
        for becomes, words in others(question, f, gradient.x):
            values = fitting(partial(everywhere, gradient, f, becomes))
            if values is not None:
                yield Mistake(g, values, words, "wrong-condition")


def others(question: Question, f: Value, near: Value) -> Iterator[tuple[Any, str]]:
    """What people have in place of a condition."""
    graph = question.graph
    text = graph.text(f)
    yield np.logical_not(question.value(f)), f"{text} is the wrong way round"
    for right in f.inputs:
        if not isinstance(right, VALUES) or right not in graph.forward:
            continue
        for other, other_text in lookalikes(question, right, near=near):
            found = fitting(partial(question.compute, f, {right: other}))
            if found is not None:
                words = f"computed with {other_text} in place of {graph.text(right)} in {text}"
                yield found, words


def everywhere(gradient: Gradient, f: Value, becomes: Any) -> Any:
    """What becomes of a gradient where a condition is another one."""
    question, graph = gradient.question, gradient.question.graph
    late = {*graph.late, *graph.forward} - {*gradient.path}
    path = [x for x in graph.values if x not in late]
    return question.replay({f: becomes}, path).get(gradient.g)
