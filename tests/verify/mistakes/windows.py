"""Convolution and pooling as people write them with plain NumPy, and the mistakes made in them."""

from __future__ import annotations

import numpy as np
from verify.mistakes.form import Draw, Mistake, Model, softmax

from tinygrad_steel import relu, softmax_cross_entropy

BOOK = "https://github.com/KONANtechnology/Academy.ALZZA"
PLANTED = "planted"


def correlated(x, kernel, before=1, after=1):
    """A convolution: for each place of the kernel a product of what lies under it."""
    kh, kw, _, m = kernel.shape
    wide = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    n, h, w = len(x), wide.shape[1] - kh + 1, wide.shape[2] - kw + 1
    y = np.zeros((n, h, w, m), x.dtype)
    for i in range(kh):
        for j in range(kw):
            y += wide[:, i : i + h, j : j + w] @ kernel[i, j]
    return y


def turned(kernel):
    """A kernel by which the gradient goes back: turned by half, its channels swapped."""
    return kernel[::-1, ::-1].transpose(0, 1, 3, 2)


def kernel_gradient(x, g, size=3, padded=True):
    """For each place of the kernel the product of what lies under it and the gradient."""
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))) if padded else x
    found = np.zeros((size, size, x.shape[3], g.shape[3]), x.dtype)
    for i in range(size):
        for j in range(size):
            under = wide[:, i : i + g.shape[1], j : j + g.shape[2]]
            came = g[:, : under.shape[1], : under.shape[2]]
            found[i, j] = np.tensordot(under, came, ((0, 1, 2), (0, 1, 2)))
    return found


def spread(g, size=2):
    """Each element once for all of its window."""
    return g.repeat(size, axis=1).repeat(size, axis=2)


def tiled(g, size=2):
    """The whole of it again and again."""
    return np.tile(g, (1, size, size, 1))


# A convolution by places of its kernel, relu, pooling by a reshape, dense


def network(draw: Draw):
    x = draw.data(5, 4, 6, 2)
    y = draw.one_hot(5, 3)
    k1, b1 = draw.leaf(3, 3, 2, 3), draw.leaf(3)
    k2, b2 = draw.leaf(3, 3, 3, 3), draw.leaf(3)
    W, b = draw.leaf(9, 3), draw.leaf(3)
    z1 = convolved(x, k1) + b1
    a1 = relu(z1)
    z2 = convolved(a1, k2) + b2
    a2 = np.tanh(z2)
    p = np.mean(np.reshape(a2, (5, 2, 2, 3, 2, 3)), axis=(2, 4))
    q = np.max(p, axis=1)
    flat = np.reshape(q, (5, 9))
    logits = flat @ W + b
    loss = np.mean(softmax_cross_entropy(logits, y))
    return loss, locals()


def convolved(x, kernel):
    """The same on Tensors."""
    _, h, w, _ = x.shape
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(wide[:, i : i + h, j : j + w] @ kernel[i, j] for i in range(3) for j in range(3))


def where_largest(n):
    """Where the larger of two rows is."""
    return (n.p == n.q[:, None]).astype(n.p.dtype)


CNN = Model(
    "a convolution by places of its kernel",
    network,
    {
        "G_logits": lambda n: (softmax(n.logits) - n.y) / 5,
        "G_W": lambda n: n.flat.T @ n.G_logits,
        "G_b": lambda n: n.G_logits.sum(axis=0),
        "G_flat": lambda n: n.G_logits @ n.W.T,
        "G_q": lambda n: n.G_flat.reshape(n.q.shape),
        "G_p": lambda n: n.G_q[:, None] * where_largest(n),
        "G_a2": lambda n: spread(n.G_p) / 4,
        "G_z2": lambda n: n.G_a2 * (1 - n.a2**2),
        "G_k2": lambda n: kernel_gradient(n.a1, n.G_z2),
        "G_b2": lambda n: n.G_z2.sum(axis=(0, 1, 2)),
        "G_a1": lambda n: correlated(n.G_z2, turned(n.k2)),
        "G_z1": lambda n: n.G_a1 * (n.z1 > 0),
        "G_k1": lambda n: kernel_gradient(n.x, n.G_z1),
        "G_b1": lambda n: n.G_z1.sum(axis=(0, 1, 2)),
    },
)


def assigned(n):
    """The gradient of the input, where what overlaps is assigned and not added."""
    wide = np.zeros((5, 6, 8, 3), n.G_z2.dtype)
    for i in range(3):
        for j in range(3):
            wide[:, i : i + 4, j : j + 6] = n.G_z2 @ n.k2[i, j].T
    return wide[:, 1:-1, 1:-1]


CNN_MISTAKES = [
    Mistake(
        "average pooling: the gradient is laid out again and again, and not each element repeated",
        BOOK,
        CNN,
        {"G_a2": lambda n: tiled(n.G_p) / 4},
        "wrong-places",
        ("spread over the wrong places",),
    ),
    Mistake(
        "average pooling: not divided by the size of the window",
        PLANTED,
        CNN,
        {"G_a2": lambda n: spread(n.G_p)},
        "missing-factor",
        ("4 times too large everywhere", "not divided by 4"),
    ),
    Mistake(
        "average pooling: divided by the size of the window twice",
        PLANTED,
        CNN,
        {"G_a2": lambda n: spread(n.G_p) / 16},
        "extra-factor",
        ("4 times too small everywhere", "divided by 4 once too often"),
    ),
    Mistake(
        "average pooling: divided by one side of the window",
        PLANTED,
        CNN,
        {"G_a2": lambda n: spread(n.G_p) / 2},
        "other-factor",
        ("2 times too large everywhere",),
    ),
    Mistake(
        "average pooling: the gradient goes to the first place of each window",
        PLANTED,
        CNN,
        {"G_a2": lambda n: to_first(n)},
        "wrong-places",
        ("one place of each window",),
    ),
    Mistake(
        "max pooling: the gradient goes to all places",
        PLANTED,
        CNN,
        {"G_p": lambda n: n.G_q[:, None] * np.ones_like(n.p)},
        "wrong-places",
        ("G_q goes to all elements, and not to the largest alone",),
    ),
    Mistake(
        "max pooling: shared evenly, as an average does",
        PLANTED,
        CNN,
        {"G_p": lambda n: n.G_q[:, None] * np.ones_like(n.p) / 2},
        "wrong-places",
        ("shared evenly",),
    ),
    Mistake(
        "max pooling: to the smallest",
        PLANTED,
        CNN,
        {"G_p": lambda n: n.G_q[:, None] * (1 - where_largest(n))},
        "wrong-condition",
        ("is the wrong way round",),
    ),
    Mistake(
        "convolution: the kernel is not turned by half",
        PLANTED,
        CNN,
        {"G_a1": lambda n: correlated(n.G_z2, n.k2.transpose(0, 1, 3, 2))},
        "not-turned",
        ("the kernel k2 is not turned by half",),
    ),
    Mistake(
        "convolution: the channels of the kernel are not swapped",
        PLANTED,
        CNN,
        {"G_a1": lambda n: correlated(n.G_z2, n.k2[::-1, ::-1])},
        "transposed",
        ("channels",),
    ),
    Mistake(
        "convolution: the kernel is turned in one direction alone",
        PLANTED,
        CNN,
        {"G_a1": lambda n: correlated(n.G_z2, n.k2[::-1].transpose(0, 1, 3, 2))},
        "not-turned",
        ("along one side alone, as by k2[::-1]",),
    ),
    Mistake(
        "convolution: the two sides of the kernel are swapped",
        PLANTED,
        CNN,
        {"G_a1": lambda n: correlated(n.G_z2, turned(n.k2.transpose(1, 0, 2, 3)))},
        "transposed",
        ("rows and columns",),
    ),
    Mistake(
        "convolution: the gradient is padded before alone: off by one",
        PLANTED,
        CNN,
        {"G_a1": lambda n: correlated(n.G_z2, turned(n.k2), 2, 0)},
        "wrong-places",
        ("shifted by one",),
    ),
    Mistake(
        "convolution: what overlaps is assigned and not added",
        PLANTED,
        CNN,
        {"G_a1": assigned},
        "index-assigned",
        ("assigned where it has to be added",),
    ),
    Mistake(
        "convolution: only the middle of the kernel sends something back",
        PLANTED,
        CNN,
        {"G_a1": lambda n: n.G_z2 @ n.k2[1, 1].T},
        "missing-term",
        ("k2[1, 1]",),
    ),
    Mistake(
        "convolution: the kernel's gradient is that of an input without its padding",
        PLANTED,
        CNN,
        {"G_k2": lambda n: kernel_gradient(n.a1, n.G_z2, padded=False)},
        "wrong-places",
        ("without its padding",),
    ),
    Mistake(
        "convolution: the kernel's gradient is turned by half",
        PLANTED,
        CNN,
        {"G_k2": lambda n: kernel_gradient(n.a1, n.G_z2)[::-1, ::-1]},
        "not-turned",
        ("turned by half",),
    ),
    Mistake(
        "convolution: the channels of the kernel's gradient are swapped",
        PLANTED,
        CNN,
        {"G_k2": lambda n: kernel_gradient(n.a1, n.G_z2).transpose(0, 1, 3, 2)},
        "transposed",
        ("channels",),
    ),
    Mistake(
        "convolution: the kernel's gradient is divided by the batch",
        PLANTED,
        CNN,
        {"G_k2": lambda n: kernel_gradient(n.a1, n.G_z2) / 5},
        "batch-size",
        ("divided by the batch size 5 once too often",),
    ),
    Mistake(
        "convolution: the kernel's gradient is divided by the number of places",
        PLANTED,
        CNN,
        {"G_k2": lambda n: kernel_gradient(n.a1, n.G_z2) / 24},
        "extra-factor",
        ("24 times too small everywhere",),
    ),
    Mistake(
        "convolution: the kernel's gradient is made from z1, before relu",
        PLANTED,
        CNN,
        {"G_k2": lambda n: kernel_gradient(n.z1, n.G_z2)},
        "other-value",
        ("z1 in place of a1",),
    ),
    Mistake(
        "convolution: the kernel's gradient is made from the gradient before tanh",
        PLANTED,
        CNN,
        {"G_k2": lambda n: kernel_gradient(n.a1, n.G_a2)},
        "other-value",
        ("G_a2 in place of G_z2",),
    ),
    Mistake(
        "convolution: the bias is summed over the batch alone",
        PLANTED,
        CNN,
        {"G_b2": lambda n: n.G_z2.sum(axis=0)},
        "wrong-axis",
        ("summed over axis 0 instead of axis (0, 1, 2)",),
    ),
    Mistake(
        "convolution: the bias is a mean",
        PLANTED,
        CNN,
        {"G_b2": lambda n: n.G_z2.mean(axis=(0, 1, 2))},
        "batch-size",
        ("120 times too small everywhere",),
    ),
    Mistake(
        "convolution: the bias is summed over the batch, and a mean over the places",
        PLANTED,
        CNN,
        {"G_b2": lambda n: n.G_z2.sum(axis=0).mean(axis=(0, 1))},
        "batch-size",
        ("24 times too small everywhere",),
    ),
    Mistake(
        "convolution: the bias is summed over one side alone",
        PLANTED,
        CNN,
        {"G_b2": lambda n: n.G_z2.sum(axis=(0, 1))},
        "wrong-axis",
        ("summed over axes (0, 1) instead of axis (0, 1, 2)",),
    ),
    Mistake(
        "convolution: relu is forgotten",
        PLANTED,
        CNN,
        {"G_z1": lambda n: n.G_a1},
        "missing-derivative",
        ("handed on unchanged", "relu'(z1)"),
    ),
    Mistake(
        "flatten: the axes are in another order",
        PLANTED,
        CNN,
        {"G_q": lambda n: n.G_flat.reshape(5, 3, 3).transpose(0, 2, 1)},
        "wrong-places",
        ("the right numbers in the wrong places",),
    ),
]


def to_first(n):
    """The gradient at the first place of each window, 0 elsewhere."""
    found = np.zeros_like(n.a2)
    found[:, ::2, ::2] = n.G_p
    return found


# As products of columns, with a stride of 2, and max pooling of windows that overlap


def columns(draw: Draw):
    x, y = draw.data(3, 9, 9, 2), draw.data(3, 4)
    K, b = draw.leaf(3, 3, 2, 3), draw.leaf(3)
    W = draw.leaf(12, 4)
    scale = draw.leaf(2)
    xs = x * scale
    windows = np.lib.stride_tricks.sliding_window_view(xs, (3, 3), axis=(1, 2))[:, ::2, ::2]
    col = np.reshape(np.transpose(windows, (0, 1, 2, 4, 5, 3)), (48, 18))
    out = col @ np.reshape(K, (18, 3)) + b
    z = np.reshape(out, (3, 4, 4, 3))
    a = relu(z)
    m = np.max(np.reshape(a, (3, 2, 2, 2, 2, 3)), axis=(2, 4))
    flat = np.reshape(m, (3, 12))
    diff = flat @ W - y
    loss = np.mean(np.square(diff))
    return loss, locals()


def back_to_image(n, assign=False, stride=2):
    """The gradient of columns, added where they were taken from."""
    g = n.G_col.reshape(3, 4, 4, 3, 3, 2)
    found = np.zeros((3, 9, 9, 2), n.G_col.dtype)
    for i in range(3):
        for j in range(3):
            where = (
                slice(None),
                slice(i, i + 4 * stride, stride),
                slice(j, j + 4 * stride, stride),
            )
            if assign:
                found[where] = g[:, :, :, i, j]
            else:
                found[where] += g[:, :, :, i, j]
    return found


def to_largest(n, g):
    """The gradient of each window at its largest elements, which are all that are as large."""
    largest = spread(n.m) == n.a
    windows = largest.reshape(3, 2, 2, 2, 2, 3)
    return spread(g) * largest / spread(windows.sum(axis=(2, 4)))


COLUMNS = Model(
    "a convolution as a product of columns, stride 2",
    columns,
    {
        "G_diff": lambda n: 2 * n.diff / 12,
        "G_W": lambda n: n.flat.T @ n.G_diff,
        "G_flat": lambda n: n.G_diff @ n.W.T,
        "G_m": lambda n: n.G_flat.reshape(3, 2, 2, 3),
        "G_a": lambda n: to_largest(n, n.G_m),
        "G_z": lambda n: n.G_a * (n.z > 0),
        "G_out": lambda n: n.G_z.reshape(48, 3),
        "G_K": lambda n: (n.col.T @ n.G_out).reshape(n.K.shape),
        "G_b": lambda n: n.G_out.sum(axis=0),
        "G_col": lambda n: n.G_out @ n.K.reshape(18, 3).T,
        "G_xs": lambda n: back_to_image(n),
        "G_scale": lambda n: (n.G_xs * n.x).sum(axis=(0, 1, 2)),
    },
)

COLUMNS_MISTAKES = [
    Mistake(
        "max pooling by a reshape: the gradient goes to all places",
        PLANTED,
        COLUMNS,
        {"G_a": lambda n: spread(n.G_m)},
        "wrong-places",
        ("to all places of a window, and not to the largest alone",),
    ),
    Mistake(
        "max pooling by a reshape: the gradient is laid out again and again",
        PLANTED,
        COLUMNS,
        {"G_a": lambda n: tiled(n.G_m) * (spread(n.m) == n.a)},
        "wrong-places",
        ("spread over the wrong places",),
    ),
    Mistake(
        "max pooling by a reshape: what is largest in rows and columns of the wrong order",
        PLANTED,
        COLUMNS,
        {"G_a": lambda n: swapped_argmax(n)},
        "wrong-places",
        ("rows and columns",),
    ),
    Mistake(
        "columns are put back by assigning them",
        PLANTED,
        COLUMNS,
        {"G_xs": lambda n: back_to_image(n, assign=True)},
        "index-assigned",
        ("assigned where it has to be added",),
    ),
    Mistake(
        "columns are put back without the stride",
        PLANTED,
        COLUMNS,
        {"G_xs": lambda n: back_to_image(n, stride=1)},
        "wrong-places",
        ("stride",),
    ),
    Mistake(
        "columns are put back with channels and places in another order",
        PLANTED,
        COLUMNS,
        {
            "G_xs": lambda n: back_to_image(
                type(n)(G_col=n.G_col.reshape(48, 2, 9).transpose(0, 2, 1).reshape(48, 18))
            )
        },
        "wrong-places",
        ("order",),
    ),
    Mistake(
        "the product of columns and gradient takes the reshaped kernel as it is stored by channels",
        PLANTED,
        COLUMNS,
        {"G_K": lambda n: (n.G_out.T @ n.col).reshape(n.K.shape)},
        "transposed",
        ("reshape",),
    ),
    Mistake(
        "the kernel's gradient has the places behind the channels",
        PLANTED,
        COLUMNS,
        {"G_K": lambda n: (n.col.T @ n.G_out).reshape(2, 3, 3, 3).transpose(1, 2, 0, 3)},
        "wrong-places",
        ("order",),
    ),
    Mistake(
        "the mask of relu is forgotten behind the columns",
        PLANTED,
        COLUMNS,
        {"G_z": lambda n: n.G_a},
        "missing-derivative",
        ("handed on unchanged", "relu'(z)"),
    ),
]


def swapped_argmax(n):
    """The index of each largest element, read with the two sides of the window swapped."""
    windows = n.a.reshape(3, 2, 2, 2, 2, 3).transpose(0, 1, 3, 5, 2, 4).reshape(3, 2, 2, 3, 4)
    at = windows.argmax(axis=-1)
    found = np.zeros((3, 2, 2, 3, 2, 2), n.G_m.dtype)
    for index in np.ndindex(at.shape):
        found[(*index, at[index] % 2, at[index] // 2)] = n.G_m[index]
    return found.transpose(0, 1, 4, 2, 5, 3).reshape(n.a.shape)


MISTAKES = [*CNN_MISTAKES, *COLUMNS_MISTAKES]
