"""Chapter 7: convolution, by hand from its sum over kernel positions, one window after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from book.dense import SLOPES
from book.proof import Proof, draws, weighted
from tinygrad_steel import conv2d, relu


def convolution(x, kernel, bias, G_y, stride, padding):
    return weighted(relu(conv2d(x, kernel, stride, padding) + bias), G_y)


# By hand. Window (r, c) begins at row r * stride and column c * stride of x with its border.


def border(length, size, stride, padding):
    """How many windows there are along an axis, and how many places are added before and behind."""
    if padding == "valid":
        return (length - size) // stride + 1, (0, 0)
    count = -(-length // stride)
    added = max((count - 1) * stride + size - length, 0)
    return count, (added // 2, added - added // 2)


def with_border(x, size, stride, padding, fill=0.0):
    """`x` with its border, and the counts of windows, and where `x` lies in it."""
    rows, high = border(x.shape[1], size[0], stride[0], padding)
    columns, wide = border(x.shape[2], size[1], stride[1], padding)
    extended = np.full(
        (len(x), x.shape[1] + sum(high), x.shape[2] + sum(wide), x.shape[3]), float(fill)
    )
    inside = (
        slice(None),
        slice(high[0], high[0] + x.shape[1]),
        slice(wide[0], wide[0] + x.shape[2]),
    )
    extended[inside] = x
    return extended, (rows, columns), inside


def windows(counts, size, stride) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
    """Each window's row and column, and where it lies."""
    for r, c in np.ndindex(*counts):
        top, left = r * stride[0], c * stride[1]
        yield r, c, (slice(None), slice(top, top + size[0]), slice(left, left + size[1]))


def conv_by_hand(x, kernel, stride, padding):
    """y[n, r, c, m] = sum over i, j, k of window[n, i, j, k] kernel[i, j, k, m]."""
    size = kernel.shape[:2]
    extended, counts, _ = with_border(x, size, stride, padding)
    y = np.zeros((len(x), *counts, kernel.shape[3]))
    for r, c, at in windows(counts, size, stride):
        y[:, r, c] = np.einsum("nijk,ijkm->nm", extended[at], kernel)
    return y


def conv_backward(G_y, x, kernel, stride=(1, 1), padding="same"):
    """Each window sends to the kernel, and to the places that it lies on: these add up where windows overlap."""
    size = kernel.shape[:2]
    extended, counts, inside = with_border(x, size, stride, padding)
    G_extended, G_kernel = np.zeros_like(extended), np.zeros_like(kernel)
    for r, c, at in windows(counts, size, stride):
        G_kernel += np.einsum("nijk,nm->ijkm", extended[at], G_y[:, r, c])
        G_extended[at] += np.einsum("nm,ijkm->nijk", G_y[:, r, c], kernel)
    return G_extended[inside], G_kernel


def relu_conv_by_hand(x, kernel, bias, stride=(1, 1), padding="same"):
    return np.maximum(conv_by_hand(x, kernel, stride, padding) + bias, 0)


def relu_conv_backward(G_y, x, y, kernel, stride=(1, 1), padding="same"):
    G_z = SLOPES["relu"](y) * G_y
    G_x, G_kernel = conv_backward(G_z, x, kernel, stride, padding)
    return G_x, G_kernel, G_z.sum(axis=(0, 1, 2))


def convolution_chain(x, kernel, bias, G_y, stride, padding):
    y = relu_conv_by_hand(x, kernel, bias, stride, padding)
    G_x, G_kernel, G_bias = relu_conv_backward(G_y, x, y, kernel, stride, padding)
    return (y * G_y).sum(), {"G_x": G_x, "G_kernel": G_kernel, "G_bias": G_bias}


def one(shape, kernel, stride, padding):
    counts = [border(shape[i + 1], kernel[i], stride[i], padding)[0] for i in range(2)]
    channels = kernel[3]
    return Proof(
        f"convolution {kernel[0]}x{kernel[1]} of {shape[1]}x{shape[2]}, stride {stride}, {padding}",
        convolution,
        convolution_chain,
        draws(1, x=shape, kernel=kernel, bias=(channels,)),
        {
            **draws(2, G_y=(shape[0], *counts, channels)),
            "stride": stride,
            "padding": padding,
        },
    )


PROOFS = [
    one((2, 4, 5, 2), (3, 3, 2, 3), (1, 1), "same"),
    one((2, 4, 5, 2), (3, 3, 2, 3), (1, 1), "valid"),
    one((2, 5, 6, 2), (3, 3, 2, 2), (2, 2), "same"),
    one((2, 6, 5, 1), (3, 2, 1, 2), (2, 1), "valid"),
    one((2, 4, 4, 2), (2, 4, 2, 2), (1, 1), "same"),
    one((2, 5, 5, 2), (1, 1, 2, 3), (2, 2), "same"),
    one((1, 3, 3, 2), (5, 5, 2, 1), (1, 1), "same"),
    one((2, 7, 4, 1), (2, 2, 1, 2), (3, 3), "same"),
]
