"""Images (n, h, w, c): what fits them, where windows lie, and a matrix with a row for each window."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .declare import define
from .fast import ndarray
from .op import is_tensor
from .samples import random_sample
from .sliding import overlap_add, sliding_windows

Pair = tuple[int, int]
Step = int | Pair
Padding = Literal["same", "valid"]
Widths = tuple[Pair, Pair]  # before and behind, for height and width
NOTHING: Widths = ((0, 0), (0, 0))
LAYOUT = "x is (n, h, w, c): images, their height and width, channels"
HINTS = {
    2: "; write x[None, ..., None] for a single image without channels",
    3: "; write x[..., None] for images without channels, x[None] for a single image",
}


def check_images(x: Any) -> None:
    """ValueError for what is no stack of images."""
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) != 4:
        raise ValueError(f"{LAYOUT}; this one is {shape}{HINTS.get(len(shape), '')}")
    if 0 in shape[1:3]:
        raise ValueError(f"{LAYOUT}; those of {shape} have no elements")


KERNEL = "kernel is (kh, kw, c, m): height, width, channels of x, channels of the result"


def check_kernel(x: Any, kernel: Any) -> None:
    """ValueError for a kernel that does not fit the images, with a word on other layouts."""
    shape = tuple(getattr(kernel, "shape", ()))
    if len(shape) != 4 or 0 in shape[:2]:
        raise ValueError(f"{KERNEL}; this one is {shape}")
    if kernel.shape[2] != x.shape[3]:
        raise ValueError(
            f"x {tuple(x.shape)} has {x.shape[3]} channels (its last axis), kernel "
            f"{tuple(kernel.shape)} is for {kernel.shape[2]}; {KERNEL}{other_layout(x, kernel)}"
        )


def other_layout(x: Any, kernel: Any) -> str:
    """A question on the layout that shapes look like."""
    last, first = x.shape[3], x.shape[1]  # one of them is the number of channels
    _, c, height, width = kernel.shape  # in PyTorch's layout
    if height == width and c in (last, first):
        if c == last:
            return ". Is it in PyTorch's layout (m, c, kh, kw)? Then kernel.transpose(2, 3, 1, 0)"
        return (
            ". Are both in PyTorch's layouts (n, c, h, w) and (m, c, kh, kw)? Then "
            "x.transpose(0, 2, 3, 1) and kernel.transpose(2, 3, 1, 0)"
        )
    if kernel.shape[2] == first:
        return ". Is x in PyTorch's layout (n, c, h, w)? Then x.transpose(0, 2, 3, 1)"
    if kernel.shape[3] == last:
        return ". Are its last two axes exchanged? Then kernel.transpose(0, 1, 3, 2)"
    return ""


def pair(n: Any, what: str) -> Pair:
    """A height and a width, from one number for both or two."""
    two = n if isinstance(n, tuple | list) else (n, n)
    if len(two) != 2 or not all(map(is_length, two)):
        found = f"a Tensor {n.shape}" if is_tensor(n) else repr(n)
        raise ValueError(f"{what} is a plain whole number above 0, or a pair of them, not {found}")
    return int(two[0]), int(two[1])


def is_length(n: Any) -> bool:
    """Whether it is a whole number above 0."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and int(n) > 0


def places(shape: Any, size: Pair, stride: Pair, padding: str) -> tuple[Pair, Widths]:
    """How many windows there are along height and width, and the padding for them."""
    height, width = shape[1:3]
    if padding == "same":
        rows, above = same(height, size[0], stride[0])
        columns, before = same(width, size[1], stride[1])
        return (rows, columns), (above, before)
    if padding != "valid":
        raise ValueError(
            f'padding is "same" or "valid", not {padding!r}: for other widths, np.pad the images, '
            f'and say "valid"'
        )
    if size[0] > height or size[1] > width:
        raise ValueError(
            f"a window of {size[0]}x{size[1]} does not fit into images of {height}x{width} "
            f'(h x w): make it smaller, or say padding="same"'
        )
    return ((height - size[0]) // stride[0] + 1, (width - size[1]) // stride[1] + 1), NOTHING


def same(n: int, size: int, stride: int) -> tuple[int, Pair]:
    """How many windows are `stride` apart in a length, and what they need before and behind it."""
    count = -(-n // stride)
    missing = max((count - 1) * stride + size - n, 0)
    return count, (missing // 2, missing - missing // 2)


def padded(x: Any, widths: Widths, fill: Any = 0) -> Any:
    """Images with a constant around them."""
    if widths == NOTHING:
        return x
    if x.__class__ is ndarray:  # np.pad costs more than a small batch
        z = np.full(whole(x.shape, widths), fill, x.dtype)
        inner(z, widths)[...] = x
        return z
    return np.pad(x, ((0, 0), *widths, (0, 0)), constant_values=fill)


def whole(shape: Any, widths: Widths) -> tuple[int, ...]:
    """The shape of padded images."""
    n, height, width, channels = shape
    return n, height + sum(widths[0]), width + sum(widths[1]), channels


def inner(x: Any, widths: Widths) -> Any:
    """Images without what is around them."""
    if widths == NOTHING:
        return x
    (top, bottom), (left, right) = widths
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def flat(x: Any) -> Any:
    """The last axis of an array of four as columns."""
    return np.reshape(x, (x.shape[0] * x.shape[1] * x.shape[2], x.shape[3]))


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
    """A row for each window of images: its elements, ordered by height, width and channel.

    `widths`: how many zeros are put around the images.
    """
    framed = padded(x, widths)
    if size == (1, 1):
        return flat(framed if stride == (1, 1) else framed[:, :: stride[0], :: stride[1]])
    seen = sliding_windows(framed, size=size, axes=(1, 2), stride=stride)
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
    n, height, width, channels = whole(shape, widths)
    counts = (height - size[0]) // stride[0] + 1, (width - size[1]) // stride[1] + 1
    seen = np.transpose(np.reshape(rows, (n, *counts, *size, channels)), (0, 1, 2, 5, 3, 4))
    z = overlap_add(seen, axes=(1, 2), stride=stride, shape=(n, height, width, channels))
    return inner(z, widths)


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
