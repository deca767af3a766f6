"""Convolution and pooling of images: windows, and one product or one reduction of them all."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .declare import define
from .fast import is_numpy, ndarray
from .images import (
    NOTHING,
    Padding,
    Step,
    check_images,
    check_kernel,
    col2im,
    flat,
    im2col,
    inner,
    padded,
    pair,
    places,
    whole,
)
from .safe import floats, nan_stays
from .samples import random_sample, sample_of
from .sliding import overlap_add, sliding_windows

# Convolution


@define(
    "conv2d",
    samples=[
        random_sample((2, 4, 3, 2), (3, 3, 2, 3)),
        random_sample((1, 5, 4, 2), (2, 3, 2, 2), stride=2),
        random_sample((2, 4, 5, 1), (3, 2, 1, 2), stride=(1, 2), padding="valid"),
        random_sample((2, 3, 2, 3), (1, 1, 3, 2)),
    ],
    keeps=True,
)
def conv2d(x: Any, kernel: Any, stride: Step = 1, padding: Padding = "same") -> Any:
    """The sums of products of a kernel with the images below it, at every `stride`-th place.

    As usual in neural networks, the kernel is not flipped (mathematically, it is a correlation).
    Images are (n, h, w, c), as in TensorFlow; PyTorch's are (n, c, h, w).

    Parameters
    ----------
    x : Tensor or array (n, h, w, c)
        Images. Where both are integers, they count as float64.
    kernel : Tensor or array (kh, kw, c, m)
        What slides over them.
    stride : int or pair of int
        How far it moves at a time, down and to the right.
    padding : "same" or "valid"
        "same": there are ceil(h / stride) places, and max((places - 1) * stride + kh - h, 0) zeros
        are put around, the smaller half of them before (as TensorFlow does, and with stride 1 the
        book; its strides take h // stride places of those, from (stride - 1) // 2 on). "valid":
        places where the whole kernel lies within the image.

    Returns
    -------
    Tensor or array (n, oh, ow, m)
        One channel for each of the m kernels.

    Raises
    ------
    ValueError
        Where shapes, stride or padding do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import conv2d
    >>> x = np.array([[1.0, 2.0, 4.0]]).reshape(1, 1, 3, 1)
    >>> difference = np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)
    >>> conv2d(x, difference, padding="valid").ravel()
    array([1., 2.])
    >>> conv2d(x, difference).ravel()  # a zero behind
    array([ 1.,  2., -4.])
    """
    check_images(x)
    check_kernel(x, kernel)
    if x.dtype.kind != "f" and kernel.dtype.kind != "f":
        x = floats(x)
    size, stride = kernel.shape[:2], pair(stride, "stride")
    counts, widths = places(x.shape, size, stride, padding)
    columns = im2col(x, size=size, stride=stride, widths=widths)
    return product(columns, flat(kernel), (x.shape[0], *counts, kernel.shape[3])), columns


def product(a: Any, b: Any, shape: tuple[int, ...]) -> Any:
    """a @ b in another shape; of NumPy's arrays no view, which the engine would copy."""
    if not a.__class__ is b.__class__ is ndarray:
        return np.reshape(a @ b, shape)
    y = np.empty(shape, np.result_type(a, b))
    np.matmul(a, b, out=np.reshape(y, (a.shape[0], b.shape[1])))
    return y


@conv2d.vjp
def _(
    g: Any,
    y: Any,
    x: Any,
    kernel: Any,
    kept: Any = None,
    *,
    stride: Step = 1,
    padding: Padding = "same",
) -> Any:
    return conv2d_transpose(g, kernel, shape=x.shape, stride=stride, padding=padding)


@conv2d.vjp
def _(
    g: Any,
    y: Any,
    x: Any,
    kernel: Any,
    kept: Any = None,
    *,
    stride: Step = 1,
    padding: Padding = "same",
) -> Any:
    columns = columns_of(x, kernel, stride, padding) if kept is None else kept
    return np.reshape(columns.T @ flat(g), kernel.shape)


def columns_of(x: Any, kernel: Any, stride: Step, padding: Padding) -> Any:
    """A row for each place of the kernel."""
    size, stride = kernel.shape[:2], pair(stride, "stride")
    widths = places(x.shape, size, stride, padding)[1]
    return im2col(x, size=size, stride=stride, widths=widths)


@define(
    "conv2d_transpose",
    samples=[
        random_sample((2, 4, 3, 3), (3, 3, 2, 3), shape=(2, 4, 3, 2)),
        random_sample((1, 3, 2, 2), (2, 3, 2, 2), shape=(1, 5, 4, 2), stride=2),
        random_sample(
            (2, 2, 2, 2), (3, 2, 1, 2), shape=(2, 4, 5, 1), stride=(1, 2), padding="valid"
        ),
        random_sample((2, 3, 2, 2), (1, 1, 3, 2), shape=(2, 3, 2, 3)),
    ],
)
def conv2d_transpose(
    g: Any, kernel: Any, *, shape: Any, stride: Step = 1, padding: Padding = "same"
) -> Any:
    """The adjoint of conv2d in its images: each element of `g` lays its multiple of the kernel down.

    `shape`: of the images.
    """
    size, stride = kernel.shape[:2], pair(stride, "stride")
    counts, widths = places(shape, size, stride, padding)
    if g.shape != (shape[0], *counts, kernel.shape[3]):
        raise ValueError(f"convolutions of {shape} and {kernel.shape} are not {g.shape}")
    if size == stride == (1, 1):
        return product(flat(g), flat(kernel).T, shape)
    if not is_numpy(g):
        rows = flat(g) @ flat(kernel).T
        return col2im(rows, shape=shape, size=size, stride=stride, widths=widths)
    # place by place of the kernel: all products at once would be as large as im2col(x)
    z = np.zeros(whole(shape, widths), np.result_type(g, kernel))
    seen = np.lib.stride_tricks.sliding_window_view(z, size, (1, 2), writeable=True)
    seen, rows = seen[:, :: stride[0], :: stride[1]], flat(g)
    for i, j in np.ndindex(size):
        seen[..., i, j] += np.reshape(rows @ kernel[i, j].T, seen.shape[:4])
    return inner(z, widths)


@conv2d_transpose.vjp
def _(
    g: Any,
    y: Any,
    x: Any,
    kernel: Any,
    *,
    shape: Any,
    stride: Step = 1,
    padding: Padding = "same",
) -> Any:
    return conv2d(g, kernel, stride=stride, padding=padding)


@conv2d_transpose.vjp
def _(
    g: Any,
    y: Any,
    x: Any,
    kernel: Any,
    *,
    shape: Any,
    stride: Step = 1,
    padding: Padding = "same",
) -> Any:
    return np.reshape(columns_of(g, kernel, stride, padding).T @ flat(x), kernel.shape)


# Pooling

POOLS = [
    random_sample((2, 4, 6, 2)),
    random_sample((1, 5, 4, 2), size=(3, 2), stride=(1, 2)),
    random_sample((1, 3, 5, 2), size=2, padding="same"),
    random_sample((1, 4, 3, 2), size=3, stride=2, padding="same"),
    random_sample((1, 5, 4, 1), size=2, stride=3),
]


class Places:
    """Where the windows of a pooling lie in images of the shape of `x`."""

    def __init__(self, x: Any, size: Step, stride: Step | None, padding: str):
        check_images(x)
        self.shape, self.size = x.shape, pair(size, "size")
        self.stride = self.size if stride is None else pair(stride, "stride")
        self.counts, self.widths = places(x.shape, self.size, self.stride, padding)
        self.whole = whole(x.shape, self.widths)
        self.apart = self.size == self.stride  # neither overlaps nor gaps
        self.axes = (2, 4) if self.apart else (4, 5)  # of windows, in what `cut` gives
        (rows, columns), (n, _, _, channels) = self.counts, x.shape
        self.windows = (n, rows, columns, channels, *self.size)
        if self.apart:
            self.windows = n, rows, self.size[0], columns, self.size[1], channels

    def cut(self, x: Any) -> Any:
        """The windows of images with what is to be around them."""
        if not self.apart:
            return sliding_windows(x, size=self.size, axes=(1, 2), stride=self.stride)
        n, _, _, channels = x.shape
        (rows, columns), (height, width) = self.counts, self.size
        if (rows * height, columns * width) != self.whole[1:3]:
            x = x[:, : rows * height, : columns * width]  # the rest fills no window
        return np.reshape(x, (n, rows, height, columns, width, channels))

    def joined(self, seen: Any) -> Any:
        """The adjoint of `cut`: images in which windows are added up."""
        if not self.apart:
            z = overlap_add(seen, axes=(1, 2), stride=self.stride, shape=self.whole)
            return inner(z, self.widths)
        n, height, width, channels = self.whole
        rows, columns = (count * k for count, k in zip(self.counts, self.size))
        z = np.reshape(seen, (n, rows, columns, channels))
        if (rows, columns) != (height, width):
            z = padded(z, ((0, height - rows), (0, width - columns)))
        return inner(z, self.widths)

    def inside(self, x: Any) -> Any:
        """1 in the windows where the images are, 0 around them; one for all where NumPy asks."""
        if x.__class__ is ndarray:
            x = x[:1, :, :, :1]
        return self.cut(padded(np.ones_like(x), self.widths))

    def reduced(self, ufunc: np.ufunc, reduction: Any, seen: Any, **facts: Any) -> Any:
        """A reduction of each window; of NumPy's arrays by a ufunc, place by place.

        That is several times faster than to go through many short rows.
        """
        if seen.__class__ is not ndarray:
            return reduction(seen, axis=self.axes)
        first = (slice(None),) * 2
        parts = (
            seen[(*first, i, slice(None), j)] if self.apart else seen[..., i, j]
            for i, j in np.ndindex(self.size)
        )
        return functools.reduce(functools.partial(ufunc, **facts), parts)


@define(
    "max_pool",
    samples=[*POOLS, sample_of(-np.arange(9.0).reshape(1, 3, 3, 1), padding="same")],
    choosing=True,
)
def max_pool(x: Any, size: Step = 2, stride: Step | None = None, padding: Padding = "valid") -> Any:
    """The largest element of each window of images, channel by channel.

    Ties share the gradient evenly, as in np.max; libraries that use argmax give all of it to the first.
    A window with NaN gives NaN. Padded places never win.

    Parameters
    ----------
    x : Tensor or array (n, h, w, c)
        Images, of any dtype of real numbers.
    size : int or pair of int
        Height and width of a window.
    stride : int or pair of int, optional
        How far it is from one window to the next, down and to the right; else the size.
    padding : "valid" or "same"
        As in `conv2d`.

    Returns
    -------
    Tensor or array (n, oh, ow, c)
        In the dtype of `x`.

    Raises
    ------
    ValueError
        Where shape, size, stride or padding do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import max_pool
    >>> x = np.array([[1.0, 4.0, 2.0], [3.0, 0.0, 6.0]]).reshape(1, 2, 3, 1)
    >>> max_pool(x).ravel(), max_pool(x, padding="same").ravel()
    (array([4.]), array([4., 6.]))
    """
    at = Places(x, size, stride, padding)
    framed = padded(x, at.widths, lowest(x.dtype))
    return at.reduced(np.maximum, np.max, at.cut(framed))


@max_pool.vjp
def _(
    g: Any,
    y: Any,
    x: Any,
    *,
    size: Step = 2,
    stride: Step | None = None,
    padding: Padding = "valid",
) -> Any:
    at = Places(x, size, stride, padding)
    shares = winners(x, y, size=size, stride=stride, padding=padding)
    return at.joined(np.expand_dims(g, at.axes) * shares)


def lowest(dtype: Any) -> Any:
    """What is above no other number of a dtype."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


@define(
    "winners",
    samples=[
        sample_of(np.arange(8.0).reshape(1, 2, 4, 1) % 3, [[[[2.0], [2.0]]]]),
        sample_of(np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)), stride=1, padding="same"),
    ],
    constant=True,
)
def winners(
    x: Any, y: Any, *, size: Step = 2, stride: Step | None = None, padding: Padding = "valid"
) -> Any:
    """What each element of a window has of its largest, y: 1, a share of it, or 0; NaN of NaN."""
    at = Places(x, size, stride, padding)
    framed = padded(x, at.widths, lowest(x.dtype))
    seen = at.cut(framed)
    hit = np.equal(seen, np.expand_dims(y, at.axes))
    with_nan = y.__class__ is not ndarray or np.isnan(y).any()
    if with_nan:
        hit = np.logical_or(hit, np.isnan(seen))
    if at.widths != NOTHING:  # where the largest is -inf, it is around the images as well
        hit = np.logical_and(hit, at.inside(x))
    hits = at.reduced(np.add, np.sum, hit, dtype=x.dtype)
    shares = hit / np.expand_dims(hits.astype(x.dtype), at.axes)
    return nan_stays(seen, shares) if with_nan else shares


@define("avg_pool", samples=POOLS)
def avg_pool(x: Any, size: Step = 2, stride: Step | None = None, padding: Padding = "valid") -> Any:
    """The mean of each window of images, channel by channel.

    Padded places do not count, so that at an edge the sum is divided by fewer elements. TensorFlow
    and the book do the same; PyTorch counts them unless it is told not to.

    Parameters
    ----------
    x : Tensor or array (n, h, w, c)
        Images, of any dtype of real numbers.
    size : int or pair of int
        Height and width of a window.
    stride : int or pair of int, optional
        How far it is from one window to the next, down and to the right; else the size.
    padding : "valid" or "same"
        As in `conv2d`.

    Returns
    -------
    Tensor or array (n, oh, ow, c)
        In the dtype of `x`; of integers in float64.

    Raises
    ------
    ValueError
        Where shape, size, stride or padding do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import avg_pool
    >>> x = np.array([[1.0, 4.0, 2.0], [3.0, 0.0, 6.0]]).reshape(1, 2, 3, 1)
    >>> avg_pool(x).ravel(), avg_pool(x, padding="same").ravel()
    (array([2.]), array([2., 4.]))
    """
    at = Places(x, size, stride, padding)
    framed = padded(floats(x), at.widths)
    return at.reduced(np.add, np.sum, at.cut(framed)) / counted(at, x)


def counted(at: Places, x: Any) -> Any:
    """How many elements of the images are in each window."""
    if at.widths == NOTHING:
        return at.size[0] * at.size[1]
    return at.reduced(np.add, np.sum, at.inside(floats(x)))  # truth values would not be counted


@avg_pool.vjp
def _(
    g: Any,
    y: Any,
    x: Any,
    *,
    size: Step = 2,
    stride: Step | None = None,
    padding: Padding = "valid",
) -> Any:
    at = Places(x, size, stride, padding)
    shares = np.expand_dims(g / counted(at, x), at.axes)
    return at.joined(np.broadcast_to(shares, at.windows))
