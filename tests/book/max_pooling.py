"""Chapters 7 and 9: max pooling. A window's gradient goes to its largest element, and adds up under overlaps."""

from __future__ import annotations

import numpy as np

from book.convolution import border, windows, with_border
from book.proof import Proof, draws, weighted
from tinygrad_steel import max_pool


def pooling(x, G_y, size, stride, padding):
    return weighted(max_pool(x, size, stride, padding), G_y)


def max_by_hand(x, size, stride, padding="valid"):
    extended, counts, _ = with_border(x, size, stride, padding, fill=-np.inf)
    y = np.zeros((len(x), *counts, x.shape[3]))
    for r, c, at in windows(counts, size, stride):
        y[:, r, c] = extended[at].max(axis=(1, 2))
    return y


def max_backward(G_y, x, size, stride, padding="valid"):
    extended, counts, inside = with_border(x, size, stride, padding, fill=-np.inf)
    G_extended = np.zeros_like(extended)
    for r, c, at in windows(counts, size, stride):
        window = extended[at]
        wins = window == window.max(axis=(1, 2), keepdims=True)
        share = wins / wins.sum(axis=(1, 2), keepdims=True)  # equal ones share evenly
        G_extended[at] += share * G_y[:, None, None, r, c]
    return G_extended[inside]


def pooling_chain(x, G_y, size, stride, padding):
    y = max_by_hand(x, size, stride, padding)
    return (y * G_y).sum(), {"G_x": max_backward(G_y, x, size, stride, padding)}


SIZES = (  # of images, of windows, stride, padding
    ((4, 6), (2, 2), (2, 2), "valid"),
    ((5, 6), (3, 2), (1, 2), "valid"),
    ((5, 4), (3, 3), (1, 1), "same"),
    ((6, 5), (3, 3), (2, 2), "same"),
    ((5, 5), (2, 2), (3, 3), "same"),
    ((6, 6), (2, 3), (3, 3), "valid"),
)


def one(name, model, chain, image, size, stride, padding):
    counts = [border(image[i], size[i], stride[i], padding)[0] for i in range(2)]
    return Proof(
        f"{name} {size} of {image}, stride {stride}, {padding}",
        model,
        chain,
        draws(1, x=(2, *image, 2)),
        {**draws(2, G_y=(2, *counts, 2)), "size": size, "stride": stride, "padding": padding},
    )


PROOFS = [one("max pooling", pooling, pooling_chain, *row) for row in SIZES]
