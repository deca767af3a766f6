"""Mistakes in the two steps that a cross entropy of logits does at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ... import ops
from .functions import slopes_at
from .jacobians import of_softmax
from .question import Mistake, Step

CROSS_ENTROPIES: dict[Any, Callable[[Any], Any]] = {
    ops.softmax_cross_entropy: ops.softmax,
    ops.sigmoid_cross_entropy: ops.sigmoid,
}


def through_shares(step: Step) -> Iterator[Mistake]:
    """The derivative by the probabilities, where the step is by the logits, and what people make
    of the second one.
    """
    question, y = step.question, step.y
    if y.op not in CROSS_ENTROPIES or y.inputs[0] is not step.x:
        return
    logits, labels = map(question.value, y.inputs[:2])
    if np.ndim(labels) < np.ndim(logits) and np.asarray(labels).dtype.kind in "iu":  # ids
        labels = ops.one_hot(labels, classes=logits.shape[-1])
    if np.shape(labels) != np.shape(logits):
        return
    p, z_text = CROSS_ENTROPIES[y.op](logits), question.graph.text(step.x)
    slope = -1.0 * labels / p
    if y.op is ops.sigmoid_cross_entropy:
        slope = slope + (1 - labels) / (1 - p)
    name = CROSS_ENTROPIES[y.op].__name__
    text = f"{name}({z_text})"
    came = step.given if np.shape(step.given) == np.shape(slope) else step.given[:, None]
    g = slope * came
    words = f"this is the gradient of {text}: the derivative of {name} is missing"
    yield Mistake(step.g, g, words, "missing-derivative")
    if y.op is ops.softmax_cross_entropy:
        for becomes, words, code in of_softmax(g, p, f"the gradient of {text}", text):
            yield Mistake(step.g, becomes, words, code)
    arguments = [(logits, question.graph.text(step.x, 3)), (p, text)]
    right = f"{name}'({z_text})"
    for written, other in slopes_at(arguments):
        words = f"the gradient of {text} is multiplied by {written} instead of {right}"
        yield Mistake(step.g, g * other(), words, "wrong-derivative")
