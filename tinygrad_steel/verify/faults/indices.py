"""Mistakes with the gradient of what was indexed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from ... import ops
from .question import Mistake, Step


def assigned_and_not_added(step: Step) -> Iterator[Mistake]:
    """An element that is taken twice gets the last gradient alone."""
    if step.y.op is ops.getitem:
        words = (
            "assigned where it has to be added: "
            "an element taken twice gets both gradients (np.add.at)"
        )
        yield Mistake(step.g, partial(assigned, step), words, "index-assigned")


def assigned(step: Step) -> np.ndarray:
    """The gradient of what was indexed, as an assignment makes it."""
    y, numbers = step.y, step.question.graph.numbers
    z = np.zeros(step.x.shape, step.x.dtype)
    arrays = tuple(numbers[i] for i in y.inputs[1:])
    z[ops.filled_index(y.params["index"], arrays)] = step.given
    return z
