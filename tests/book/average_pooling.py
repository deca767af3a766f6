"""Chapters 7 and 9: average pooling. Each place of a window has the same share; places of the border have none."""

from __future__ import annotations

import numpy as np

from book.convolution import windows, with_border
from book.max_pooling import SIZES, one
from book.proof import weighted
from tinygrad_steel import avg_pool


def pooling(x, G_y, size, stride, padding):
    return weighted(avg_pool(x, size, stride, padding), G_y)


def shares(x, size, stride, padding):
    """1 / (how many places of x a window has) for each of them, window after window."""
    inside, counts, _ = with_border(np.ones_like(x), size, stride, padding)
    for r, c, at in windows(counts, size, stride):
        yield r, c, at, inside[at] / inside[at].sum(axis=(1, 2), keepdims=True)


def average_by_hand(x, size, stride, padding="valid"):
    extended, counts, _ = with_border(x, size, stride, padding)
    y = np.zeros((len(x), *counts, x.shape[3]))
    for r, c, at, share in shares(x, size, stride, padding):
        y[:, r, c] = (share * extended[at]).sum(axis=(1, 2))
    return y


def average_backward(G_y, x, size, stride, padding="valid"):
    extended, _, inside = with_border(x, size, stride, padding)
    G_extended = np.zeros_like(extended)
    for r, c, at, share in shares(x, size, stride, padding):
        G_extended[at] += share * G_y[:, None, None, r, c]
    return G_extended[inside]


def pooling_chain(x, G_y, size, stride, padding):
    y = average_by_hand(x, size, stride, padding)
    return (y * G_y).sum(), {"G_x": average_backward(G_y, x, size, stride, padding)}


PROOFS = [one("average pooling", pooling, pooling_chain, *row) for row in SIZES]
