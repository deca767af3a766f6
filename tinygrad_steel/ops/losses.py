"""Losses: the two cross entropies, exact and stable, and the labels that they take."""

from __future__ import annotations

from typing import Any

import numpy as np

from .activations import log_softmax, sigmoid, softmax
from .declare import define
from .fast import column, cross_entropy_of, is_finite_and_alike, largest, total
from .op import is_tensor
from .safe import floats
from .samples import sample_of


@define("one_hot", constant=True, samples=[sample_of([2, 0, 1], classes=3)])
def one_hot(ids: Any, *, classes: int) -> Any:
    """Class ids (N,) as rows of an (N, classes) mask."""
    return np.equal(column(ids), np.arange(classes))


@define(
    "softmax_cross_entropy",
    samples=[
        sample_of([[1.0, 2.0, 3.0], [1.0, 0.0, -1.0]], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
        sample_of([[0.5, -1.0, 2.0], [0.1, 0.2, -0.4]], [[0.2, 0.3, 0.9], [0.5, 0.1, 0.1]]),
        sample_of([[1.0, 2.0, 3.0], [1.0, 0.0, -1.0]], [2, 0]),
    ],
    rowwise=True,
    keeps=True,
)
def softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """The loss of each row of logits: -sum(labels * log_softmax(logits)), exact and without overflow.

    A logit of -inf with label 0 costs nothing (0 * log 0 = 0). A row of -inf alone, or with an inf,
    has no softmax, and its loss is NaN.

    Parameters
    ----------
    logits : Tensor or array (N, C)
        Floats; integers are taken as float64.
    labels : Tensor or array (N, C) or (N,)
        One-hot or soft rows, which need not sum to 1, or integer class ids from 0 to C - 1.

    Returns
    -------
    Tensor or array (N,)
        One loss for each row; their mean is what networks are trained on.

    Raises
    ------
    ValueError
        For other shapes, ids that are no integers or out of range, and ids of shape (N, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import softmax_cross_entropy
    >>> softmax_cross_entropy(np.array([[1000.0, 0.0], [0.0, 0.0]]), np.array([1, 0]))
    array([1.00000000e+03, 6.93147181e-01])
    """
    logits = floats(logits)
    rows = label_rows(logits, labels)
    shifted = logits - largest(logits, 1, keepdims=True)
    # What is kept is the gradient, but for `g`.
    if is_finite_and_alike(shifted, rows):
        return cross_entropy_of(shifted, rows)
    e = np.exp(shifted)
    sums, weights = total(e, 1), total(rows, 1)
    loss = weights * np.log(sums) - total(rows * np.where(rows, shifted, 0.0), 1)
    return loss, slopes(e, column(weights / sums), rows)  # softmax is e / sums


@softmax_cross_entropy.vjp
def _(g: Any, y: Any, logits: Any, labels: Any, kept: Any = None) -> Any:
    if kept is None:
        rows = label_rows(logits, labels)
        weights = total(rows, 1, keepdims=True) if labels.ndim == 2 else 1  # ids: rows sum to 1
        kept = slopes(softmax(logits), weights, rows)
    return column(g) * kept


softmax_cross_entropy.vjp(lambda g, y, logits, labels, kept=None: -column(g) * log_softmax(logits))


def slopes(shares: Any, weights: Any, rows: Any) -> Any:
    """The gradient of cross entropy: softmax(logits) * sum(labels) - labels."""
    return shares * weights - rows


def label_rows(logits: Any, labels: Any) -> Any:
    """`labels` as (N, C), whichever of its two forms it has; ValueError where it has neither."""
    shape: Any = getattr(labels, "shape", ())
    if shape == logits.shape and logits.ndim == 2:
        if labels.dtype.kind == "f":
            return labels
        if shape[1] == 1:
            words = f"ids for logits {shape} are (N,), not {shape}"
            raise ValueError(f"one class leaves nothing to choose: {words}")
        return labels.astype(logits.dtype)
    if logits.ndim != 2 or shape != logits.shape[:1]:
        raise ValueError(
            f"logits are (N, C), labels (N, C) (one-hot or soft) or class ids (N,); "
            f"got logits {logits.shape} and labels {shape}"
        )
    classes = logits.shape[1]
    if labels.dtype.kind not in "iu":
        raise ValueError(f"class ids of shape (N,) must be integers, got {labels.dtype}")
    # A trace looks at no numbers, and follows a forward that did.
    if not is_tensor(labels):
        check_ids(labels, classes)
    return one_hot(labels, classes=classes).astype(logits.dtype)


def check_ids(ids: Any, classes: int) -> None:
    """ValueError where a class id is out of range."""
    if ids.shape[0] and not (np.min(ids) >= 0 and np.max(ids) < classes):
        found = f"{np.min(ids)} to {np.max(ids)}"
        raise ValueError(f"class ids go from 0 to {classes - 1}, got {found}")


@define(
    "sigmoid_cross_entropy",
    samples=[sample_of([[0.3, -0.2, 2.0]], [[1.0, 0.0, 0.3]])],
    elementwise=True,
)
def sigmoid_cross_entropy(logits: Any, labels: Any) -> Any:
    """-labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits)), element by element.

    It is computed as max(x, 0) - x * labels + log(1 + exp(-abs(x))), the same formula with its two
    overflows taken out, and so exact for all finite logits.

    Parameters
    ----------
    logits : Tensor or array
        Of any shape; integers are taken as float64.
    labels : Tensor or array
        From 0 to 1, of the shape of the logits, or a single number.

    Returns
    -------
    Tensor or array
        One loss for each logit; their mean is what networks are trained on.

    Raises
    ------
    ValueError
        Where labels have another shape: (N, 1) with (N,) would give N x N losses.

    References
    ----------
    The arrangement is that of `tf.nn.sigmoid_cross_entropy_with_logits` in TensorFlow.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import sigmoid_cross_entropy
    >>> sigmoid_cross_entropy(np.array([0.0, 1000.0, -1000.0]), np.array([1.0, 0.0, 0.0]))
    array([6.93147181e-01, 1.00000000e+03, 0.00000000e+00])
    """
    if getattr(labels, "ndim", 0) and logits.ndim and labels.shape != logits.shape:
        words = f"logits {logits.shape} and labels {labels.shape}"
        raise ValueError(f"{words} must have one shape: reshape one of them")
    logits = floats(logits)
    return np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))


sigmoid_cross_entropy.vjp(lambda g, y, logits, labels: g * (sigmoid(logits) - labels))
sigmoid_cross_entropy.vjp(lambda g, y, logits, labels: -g * logits)
