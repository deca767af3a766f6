"""Mistakes with a condition: the wrong way round, or of another value, wherever it decides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ...program.values import VALUES, Value
from .at_once import Fault
from .mixups import lookalikes
from .question import Question, fitting


def other_condition(question: Question) -> Iterator[Fault]:
    """A condition of the forward that is another one in all of the backward."""
    graph = question.graph
    needed, near = graph.behind(question.asked), graph.owner_of[question.asked]
    for f in graph.values:
        if f.op is None or f.dtype != bool or f not in needed or f in graph.late:
            continue
        for becomes, words in others(question, f, near):
            yield Fault({}, [], words, ("wrong-condition",), changed={f: becomes})


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
