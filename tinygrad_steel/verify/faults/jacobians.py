"""What people make of the derivative of a softmax, which they write by hand from its result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ... import ops
from ..codes import Code
from .question import Mistake, Step

WHOLE_ROW = "each element depends on its whole row"


def by_hand(step: Step) -> Iterator[Mistake]:
    """The same where softmax is an op, along the last axis."""
    y, graph = step.y, step.question.graph
    if y.op is not ops.softmax or y.params.get("axis", -1) not in (-1, len(y.shape) - 1):
        return
    came, text = graph.gradient_text(y), graph.text(y, 3)
    for becomes, words, code in of_softmax(step.given, step.question.value(y), came, text):
        yield Mistake(step.g, becomes, words, code)


def of_softmax(
    g: np.ndarray, p: np.ndarray, came: str, text: str
) -> Iterator[tuple[np.ndarray, str, Code]]:
    """The Jacobian of softmax without its sum, with another sum, or without one of its factors."""
    own = f"sum({came} * {text}, axis=-1, keepdims=True)"
    total, sum_g = (np.sum(one, axis=-1, keepdims=True) for one in (g * p, g))
    right = f"{text} * ({came} - {own})"
    for becomes, words in (
        (g * p, f"`- {own}` is missing: {WHOLE_ROW}"),
        (g * p * (1 - p), f"the diagonal of softmax's Jacobian alone: {WHOLE_ROW}"),
        (p * (g + total), f"the sign of {own} is wrong in {right}"),
        (g - total, f"the factor {text} is missing before {came} - {own}"),
        (p * (g - sum_g), f"the factor {text} is missing in {own}"),
        (p * (g - total / p.shape[-1]), f"a mean in place of the sum {own}"),
        (p * (total - g), f"{came} and {own} are the wrong way round in {right}"),
        (p * (g - 1), f"the factor {came} is missing in {own}"),
        (g * p - total, f"parentheses are missing: {text} * {came} - {own} instead of {right}"),
        (g - p * total, f"the factor {text} is missing before {came} in {right}"),
        (p * (g - np.sum(g * p)), f"summed over all elements in {own}"),
    ):
        yield becomes, words, "softmax-jacobian"
    if g.ndim > 1:
        across = np.sum(g * p, axis=0, keepdims=True)
        words = f"sum along axis 0 instead of axis -1 in {right}"
        yield p * (g - across), words, "softmax-wrong-axis"
