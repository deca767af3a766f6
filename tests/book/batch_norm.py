"""Chapter 8: batch normalisation of rows, of sequences and of images. Mean and variance depend on each element of x."""

from __future__ import annotations

from book.proof import Proof, draws, weighted
from tinygrad_steel import batch_norm

EPSILON = 1e-3


def normed(x, scale, shift, G_y):
    return weighted(batch_norm(x, scale, shift, EPSILON), G_y)


def norm_by_hand(x, scale, shift, epsilon=EPSILON):
    """The result, and what its backward needs."""
    axes = tuple(range(x.ndim - 1))
    n = x.size / x.shape[-1]
    mean = x.sum(axis=axes) / n
    diff = x - mean
    variance = (diff**2).sum(axis=axes) / n
    deviation = (variance + epsilon) ** 0.5
    norm = diff / deviation
    return scale * norm + shift, (diff, deviation, norm, n, axes)


def norm_backward(G_y, scale, kept):
    """The way through norm, and then through the variance and the mean, which all elements have a part in."""
    diff, deviation, norm, n, axes = kept
    G_scale = (G_y * norm).sum(axis=axes)
    G_shift = G_y.sum(axis=axes)
    G_norm = G_y * scale
    g_norm_diff = 1 / deviation
    g_norm_deviation = -diff / deviation**2
    g_deviation_variance = 0.5 / deviation
    g_variance_diff = 2 * diff / n
    G_deviation = (g_norm_deviation * G_norm).sum(axis=axes)
    G_variance = g_deviation_variance * G_deviation
    G_diff = g_norm_diff * G_norm + g_variance_diff * G_variance
    G_mean = -G_diff.sum(axis=axes)
    G_x = G_diff + G_mean / n
    return G_x, G_scale, G_shift


def normed_chain(x, scale, shift, G_y):
    y, kept = norm_by_hand(x, scale, shift)
    G_x, G_scale, G_shift = norm_backward(G_y, scale, kept)
    return (y * G_y).sum(), {"G_x": G_x, "G_scale": G_scale, "G_shift": G_shift}


PROOFS = [
    Proof(
        f"batch norm, {len(shape)}-D",
        normed,
        normed_chain,
        draws(1, x=shape, scale=shape[-1:], shift=shape[-1:]),
        draws(2, G_y=shape),
    )
    for shape in ((6, 4), (3, 4, 2), (2, 3, 4, 2))
]
