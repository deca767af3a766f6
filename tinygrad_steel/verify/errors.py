"""`GradientError`, and the sentences that several checks say."""

from __future__ import annotations

import numpy as np

from ..ops.op import describe


class GradientError(AssertionError):
    """A gradient is not the derivative of its function; the message says where and by how much.

    It is an AssertionError, so that a test fails by it.

    Examples
    --------
    >>> from tinygrad_steel import GradientError, Tensor, assert_backprop
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> try:
    ...     assert_backprop((x * x).sum(), G_x=-2 * x.numpy())
    ... except GradientError as error:
    ...     print(error)
    gradient  shape  largest difference  relative  verdict
    G_x       (2,)   8                   2         wrong
    First wrong step: G_x, the sign is wrong.
      the graph has  G_x = G_loss * x + G_loss * x
    """


NOT_MADE_FOR = (
    "\n  the check made these from the op's samples: "
    "if it is not for such inputs, let its forward raise an error"
)
NOT_REPEATED = (
    "it gives different results for the same input: fix the random numbers outside "
    "(draw the mask once and pass it in), and keep nothing from one call to the next"
)
NOT_REACHED = (
    "no gradient reaches its inputs: the result does not depend on them, "
    "or something on the way (detach(), data, a comparison) has cut the graph"
)


def not_repeated(first: np.ndarray, again: np.ndarray) -> str:
    """Two results for the same input, with what to do about it."""
    return f"{NOT_REPEATED}; {first!r:.100}, then {again!r:.100}"


def shown(x: np.ndarray) -> str:
    """An input as messages show it, with its numbers where they are few."""
    return f"{describe(x)} {x.tolist()}" if x.size <= 6 else describe(x)
