"""Convolution and pooling of images (n, h, w, c): windows, and one product or one reduction."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .declare import define
from .fast import total
from .op import is_tensor
from .safe import floats, nan_stays
from .samples import random_sample, sample_of
from .sliding import overlap_add, windows

Pair = tuple[int, int]
Step = int | Pair
Padding = Literal["same", "valid"]
Widths = tuple[Pair, Pair]  # before and behind, for height and width
NOTHING: Widths = ((0, 0), (0, 0))
LAYOUT = "x is (n, h, w, c): images, their height and width, channels"


# Where windows lie


def pair(n: Any, what: str) -> Pair:
    """A height and a width, from one number for both or two."""
    two = n if isinstance(n, tuple | list) else (n, n)
    if len(two) != 2 or not all(is_length(i) for i in two):
        found = f"a Tensor {n.shape}" if is_tensor(n) else repr(n)
        raise ValueError(f"{what} is a plain whole number above 0 or a pair of them, not {found}")
    return int(two[0]), int(two[1])


def is_length(n: Any) -> bool:
    """Whether it is a whole number above 0."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and int(n) > 0


def layout(x: Any, size: Pair, stride: Pair, padding: str) -> tuple[Pair, Widths]:
    """How many windows of this size there are along height and width, and the padding for them."""
    if padding == "same":
        counts = tuple(-(-n // step) for n, step in zip(x.shape[1:3], stride))
        rows = zip(counts, stride, size, x.shape[1:3])
        totals = [max((count - 1) * step + k - n, 0) for count, step, k, n in rows]
        first, second = [(n // 2, n - n // 2) for n in totals]
        return (counts[0], counts[1]), (first, second)
    if padding != "valid":
        raise ValueError(f'padding is "same" or "valid", not {padding!r}')
    if size[0] > x.shape[1] or size[1] > x.shape[2]:
        raise ValueError(
            f"a window of {size[0]}x{size[1]} does not fit into images of "
            f'{x.shape[1]}x{x.shape[2]} (h x w): make it smaller, or say padding="same"'
        )
    height, width = ((n - k) // step + 1 for n, k, step in zip(x.shape[1:3], size, stride))
    return (height, width), NOTHING


def padded(x: Any, widths: Widths, fill: Any = 0) -> Any:
    """Images with a constant around them."""
    if widths == NOTHING:
        return x
    return np.pad(x, ((0, 0), *widths, (0, 0)), constant_values=fill)


def unpadded(x: Any, widths: Widths) -> Any:
    """Images without what was put around them."""
    if widths == NOTHING:
        return x
    (top, bottom), (left, right) = widths
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def check_images(x: Any) -> None:
    """ValueError for what is no stack of images."""
    if x.ndim == 4:
        return
    hints = {
        2: "; write x[None, ..., None] for one image without channels",
        3: "; write x[..., None] for images without channels, x[None] for a single image",
    }
    raise ValueError(f"{LAYOUT}; this one is {x.shape}{hints.get(x.ndim, '')}")


# A row for each window


@define(
    "im2col",
    samples=[
        random_sample((2, 3, 4, 2), size=(2, 3)),
        random_sample((1, 4, 5, 2), size=(3, 2), stride=(2, 1), widths=((1, 1), (0, 1))),
        random_sample((2, 3, 3, 2), size=(1, 1)),
        random_sample((2, 3, 3, 2), size=(1, 1), stride=(2, 2)),
    ],
)
def im2col(x: Any, *, size: Pair, stride: Pair = (1, 1), widths: Widths = NOTHING) -> Any:
    """A row for each window of images (n, h, w, c): its elements, ordered by height, width, channel.

    `widths`: how many zeros are put around the images.
    """
    step: Any = 1 if stride == (1, 1) else stride
    seen = windows(padded(x, widths), size=size, axes=(1, 2), stride=step)
    n, height, width, channels = seen.shape[:4]
    shape = n * height * width, size[0] * size[1] * channels
    return np.reshape(np.transpose(seen, (0, 1, 2, 4, 5, 3)), shape)


@im2col.vjp
def _(g: Any, y: Any, x: Any, *, size: Pair, stride: Pair = (1, 1), widths: Any = NOTHING) -> Any:
    return col2im(g, shape=x.shape, size=size, stride=stride, widths=widths)


@define(
    "col2im",
    samples=[
        random_sample((8, 12), shape=(2, 3, 4, 2), size=(2, 3)),
        random_sample(
            (10, 12), shape=(1, 4, 5, 2), size=(3, 2), stride=(2, 1), widths=((1, 1), (0, 1))
        ),
    ],
)
def col2im(
    rows: Any, *, shape: Any, size: Pair, stride: Pair = (1, 1), widths: Widths = NOTHING
) -> Any:
    """The adjoint of im2col: images of `shape`, with the windows in `rows` added up in them."""
    n, height, width, channels = shape
    (top, bottom), (left, right) = widths
    whole = n, height + top + bottom, width + left + right, channels
    counts = ((i - k) // step + 1 for i, k, step in zip(whole[1:3], size, stride))
    seen = np.transpose(np.reshape(rows, (n, *counts, *size, channels)), (0, 1, 2, 5, 3, 4))
    step: Any = 1 if stride == (1, 1) else stride
    return unpadded(overlap_add(seen, axes=(1, 2), stride=step, shape=whole), widths)


@col2im.vjp
def _(
    g: Any,
    y: Any,
    rows: Any,
    *,
    shape: Any,
    size: Pair,
    stride: Pair = (1, 1),
    widths: Widths = NOTHING,
) -> Any:
    return im2col(g, size=size, stride=stride, widths=widths)


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

    The kernel is not flipped, as in all neural networks (mathematics calls that a correlation).
    Images are (n, h, w, c), as in TensorFlow; PyTorch's are (n, c, h, w).

    Parameters
    ----------
    x : array_like (n, h, w, c)
        Images. Where both are integers, they count as float64.
    kernel : array_like (kh, kw, c, m)
        What slides over them.
    stride : int or pair of int
        How far it moves at a time, down and to the right.
    padding : "same" or "valid"
        "same": there are ceil(h / stride) places, and max((places - 1) * stride + kh - h, 0) zeros
        are put around, the smaller half of them before (as TensorFlow does). "valid": places where
        the whole kernel lies within the image.

    Returns
    -------
    array or Tensor (n, oh, ow, m)
        A channel for each of the m kernels.

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
    size, steps = kernel.shape[:2], pair(stride, "stride")
    counts, widths = layout(x, size, steps, padding)
    columns = im2col(x, size=size, stride=steps, widths=widths)
    product = columns @ flat(kernel)
    return np.reshape(product, (x.shape[0], *counts, kernel.shape[3])), columns


def flat(x: Any) -> Any:
    """A matrix with the last axis of an array of four as its columns."""
    return np.reshape(x, (x.shape[0] * x.shape[1] * x.shape[2], x.shape[3]))


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
    size, steps = kernel.shape[:2], pair(stride, "stride")
    widths = layout(x, size, steps, padding)[1]
    return col2im(flat(g) @ flat(kernel).T, shape=x.shape, size=size, stride=steps, widths=widths)


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
    if kept is None:
        size, steps = kernel.shape[:2], pair(stride, "stride")
        widths = layout(x, size, steps, padding)[1]
        kept = im2col(x, size=size, stride=steps, widths=widths)
    return np.reshape(kept.T @ flat(g), kernel.shape)


def check_kernel(x: Any, kernel: Any) -> None:
    """ValueError for a kernel that does not fit the images, with a word on other layouts."""
    form = "kernel is (kh, kw, c, m): height, width, channels of x, channels of the result"
    if kernel.ndim != 4:
        raise ValueError(f"{form}; this one is {kernel.shape}")
    channels = x.shape[3]
    if kernel.shape[2] == channels:
        if 0 in kernel.shape[:2]:
            raise ValueError(f"{form}; this one is {kernel.shape}, and has no elements")
        return
    hint = ""
    if kernel.shape[1] == channels:
        hint = ". Is it in PyTorch's layout (m, c, kh, kw)? Then kernel.transpose(2, 3, 1, 0)"
    elif kernel.shape[1] == x.shape[1]:
        hint = (
            ". Are both in PyTorch's layouts (n, c, h, w) and (m, c, kh, kw)? Then "
            "x.transpose(0, 2, 3, 1) and kernel.transpose(2, 3, 1, 0)"
        )
    elif kernel.shape[2] == x.shape[1]:
        hint = ". Is x in PyTorch's layout (n, c, h, w)? Then x.transpose(0, 2, 3, 1)"
    elif kernel.shape[3] == channels:
        hint = ". Are its last two axes exchanged? Then kernel.transpose(0, 1, 3, 2)"
    raise ValueError(
        f"x {x.shape} has {channels} channels (its last axis), kernel {kernel.shape} is for "
        f"{kernel.shape[2]}; {form}{hint}"
    )


# Pooling


POOLS = [
    random_sample((2, 4, 6, 2)),
    random_sample((1, 5, 4, 2), size=(3, 2), stride=(1, 2)),
    random_sample((1, 3, 5, 2), size=2, padding="same"),
    random_sample((1, 4, 3, 2), size=3, stride=2, padding="same"),
    random_sample((1, 5, 4, 1), size=2, stride=3),
]


class Places:
    """Where the windows of a pooling lie in images of a shape."""

    def __init__(self, x: Any, size: Step, stride: Step | None, padding: str):
        check_images(x)
        self.shape, self.size = x.shape, pair(size, "size")
        self.stride = self.size if stride is None else pair(stride, "stride")
        self.counts, self.widths = layout(x, self.size, self.stride, padding)
        self.apart = self.size == self.stride  # the windows do not overlap, and leave no gaps
        self.axes = (2, 4) if self.apart else (4, 5)  # of windows, in what `cut` gives

    def cut(self, x: Any, fill: Any = 0) -> Any:
        """The windows, with `fill` around the images."""
        x = padded(x, self.widths, fill)
        if not self.apart:
            return windows(x, size=self.size, axes=(1, 2), stride=self.stride)
        n, channels = self.shape[0], self.shape[3]
        (height, width), (down, right) = self.counts, self.size
        x = x[:, : height * down, : width * right]  # "valid" leaves out what fills no window
        return np.reshape(x, (n, height, down, width, right, channels))

    def joined(self, seen: Any) -> Any:
        """The adjoint of `cut`: images in which windows are added up."""
        n, height, width, channels = self.shape
        (top, bottom), (left, right) = self.widths
        whole = n, height + top + bottom, width + left + right, channels
        if not self.apart:
            z = overlap_add(seen, axes=(1, 2), stride=self.stride, shape=whole)
            return unpadded(z, self.widths)
        rows, columns = (count * k for count, k in zip(self.counts, self.size))
        z = np.reshape(seen, (n, rows, columns, channels))
        if (rows, columns) != whole[1:3]:
            z = np.pad(z, ((0, 0), (0, whole[1] - rows), (0, whole[2] - columns), (0, 0)))
        return unpadded(z, self.widths)


@define(
    "max_pool",
    samples=[*POOLS, sample_of(-np.arange(9.0).reshape(1, 3, 3, 1), padding="same")],
    choosing=True,
)
def max_pool(x: Any, size: Step = 2, stride: Step | None = None, padding: Padding = "valid") -> Any:
    """The largest element of each window of images (n, h, w, c), channel by channel.

    Ties share the gradient evenly, as those of np.max (others give all of it to the first). A
    window with a NaN gives NaN. Padded places never win, even where all of `x` is negative.
    """
    at = Places(x, size, stride, padding)
    return np.max(at.cut(x, lowest(x.dtype)), axis=at.axes)


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
    seen, top = at.cut(x, lowest(x.dtype)), np.expand_dims(y, at.axes)
    hit = np.logical_or(np.equal(seen, top), np.isnan(seen))
    if at.widths != NOTHING:  # -inf may be the largest, and is what stands around the images
        hit = np.logical_and(hit, at.cut(np.ones_like(x)))
    hits = total(hit, at.axes, keepdims=True).astype(x.dtype)
    return at.joined(np.expand_dims(g, at.axes) * nan_stays(seen, hit / hits))


def lowest(dtype: Any) -> Any:
    """What is never above any other number of a dtype."""
    return -np.inf if dtype.kind == "f" else 0 if dtype.kind == "b" else np.iinfo(dtype).min


@define("avg_pool", samples=POOLS)
def avg_pool(x: Any, size: Step = 2, stride: Step | None = None, padding: Padding = "valid") -> Any:
    """The mean of each window of images (n, h, w, c), channel by channel."""
    at = Places(x, size, stride, padding)
    return np.sum(at.cut(floats(x)), axis=at.axes) / counted(at, x)


def counted(at: Places, x: Any) -> Any:
    """How many elements of the images are in each window."""
    if at.widths == NOTHING:
        return at.size[0] * at.size[1]
    return np.sum(at.cut(np.ones_like(x)), axis=at.axes)


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
    seen = at.cut(x)
    return at.joined(np.broadcast_to(shares, seen.shape))
