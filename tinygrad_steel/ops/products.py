"""Products: of matrices, and sums of products by letters."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .declare import define
from .fast import by_dot
from .samples import random_sample


@define(
    "matmul",
    samples=[
        random_sample((2, 3), (3, 4)),
        random_sample((3,), (3,)),
        random_sample((2, 3), (3,)),
        random_sample((3,), (3, 2)),
        random_sample((2, 3, 4), (4, 5)),
        random_sample((3, 4), (2, 4, 2)),
        random_sample((2, 3, 4), (4,)),
        random_sample((3,), (2, 3, 4)),
    ],
)
def matmul(a: Any, b: Any) -> Any:
    """a @ b, with vectors and stacks of matrices as in NumPy."""
    try:
        return a.dot(b) if by_dot(a, b, 1) else a @ b
    except ValueError as error:
        raise ValueError(mismatch(a, b)) from error


@matmul.vjp
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:
        return g.dot(b.T) if by_dot(g, b, 1) else g @ b.T
    if b.ndim == 1:  # y[..., i] = sum over k of a[..., i, k] * b[k]
        return g * b if a.ndim == 1 else np.expand_dims(g, -1) * b
    if a.ndim > 1:
        return g @ np.swapaxes(b, -1, -2)
    if b.ndim == 2:
        return b @ g
    return np.squeeze(np.expand_dims(g, -2) @ np.swapaxes(b, -1, -2), -2)


@matmul.vjp
def _(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:
        return a.T.dot(g) if by_dot(a, g, 0) else a.T @ g
    if a.ndim == 1:  # y[..., j] = sum over k of a[k] * b[..., k, j]
        return g * a if b.ndim == 1 else np.expand_dims(a, -1) * np.expand_dims(g, -2)
    if b.ndim > 1:
        return np.swapaxes(a, -1, -2) @ g
    if a.ndim == 2:
        return a.T @ g
    return np.squeeze(np.swapaxes(a, -1, -2) @ np.expand_dims(g, -1), -1)


def mismatch(a: Any, b: Any) -> str:
    """What to tell somebody whose matrices do not fit."""
    if not (np.ndim(a) and np.ndim(b)):
        return "matmul needs vectors or matrices; for a single number use *"
    inner, outer = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if inner == outer:
        return "the leading axes, which count the matrices, must be equal or 1"
    if b.shape[-1] == inner and b.ndim > 1:
        remedy = "; the second, transposed (.T), would fit"
    elif a.ndim > 1 and a.shape[-2] == outer:
        remedy = "; the first, transposed (.T), would fit"
    else:
        remedy = ""
    return (
        f"the last axis of the first has length {inner}, the second has {outer} "
        f"{'rows' if b.ndim > 1 else 'elements'}: they must be equal{remedy}"
    )


def einsum_vjp(i: int, g: Any, y: Any, *operands: Any, subscripts: str) -> Any:
    """Swap the letters of result and operand; a letter that only the operand had is stretched."""
    terms, result = letters(subscripts)
    others = terms[:i] + terms[i + 1 :]
    seen = [c for c in terms[i] if c in result + "".join(others)]
    swapped = ",".join([result, *others]) + "->" + "".join(seen)
    found = np.einsum(swapped, g, *operands[:i], *operands[i + 1 :])
    lengths = dict(zip(seen, found.shape))
    return np.reshape(found, tuple(lengths.get(c, 1) for c in terms[i]))


@define(
    "einsum",
    samples=[
        random_sample((2, 3), (3, 4), subscripts="ij,jk->ik"),
        random_sample((2, 3), subscripts="ij->j"),
        random_sample((2, 3), (3,), (2,), subscripts="ij,j,i"),
        random_sample((2, 3, 4), (2, 4), subscripts="bij,bj->bi"),
    ],
    each=einsum_vjp,
)
def einsum(*operands: Any, subscripts: str) -> Any:
    """np.einsum with its letters as a parameter: `einsum(a, b, subscripts="ij,jk->ik")`."""
    terms, result = letters(subscripts)
    return np.einsum(",".join(terms) + "->" + result, *operands)


def letters(subscripts: str) -> tuple[list[str], str]:
    """The letters of each operand and of the result; TypeError for what is not followed here."""
    text, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = text.split(",")
    if not arrow:
        result = "".join(sorted(c for c in {*text} - {","} if text.count(c) == 1))
    if "." in subscripts or any(len({*term}) < len(term) for term in terms):
        words = "each once in an operand: no '...', no diagonals"
        raise TypeError(f"einsum on Tensors takes plain letters, {words}")
    return terms, result


@define(
    "convolve",
    samples=[
        random_sample((4,), (3,)),
        random_sample((2,), (3,)),
        random_sample((4,), (3,), mode="valid"),
        random_sample((2,), (4,), mode="valid"),
    ],
)
def convolve(a: Any, v: Any, mode: Literal["full", "valid"] = "full") -> Any:
    """The sums of products of `a` with the reversed `v` at each place where the two overlap.

    With mode="valid" only where the shorter lies within the longer.
    """
    if a.ndim != 1 or v.ndim != 1:
        raise ValueError("both have one axis")
    if mode not in ("full", "valid"):
        raise ValueError(f"mode is 'full' or 'valid', not {mode!r}")
    return np.convolve(a, v, mode)


@convolve.vjp
def _(g: Any, y: Any, a: Any, v: Any, mode: str = "full") -> Any:
    return convolved_back(g, a, v, mode)


@convolve.vjp
def _(g: Any, y: Any, a: Any, v: Any, mode: str = "full") -> Any:
    return convolved_back(g, v, a, mode)


def convolved_back(g: Any, x: Any, other: Any, mode: str) -> Any:
    """The gradient of either of the two, which a convolution treats alike."""
    if mode == "full":
        return np.convolve(g, np.flip(other), "valid")
    if x.shape[0] >= other.shape[0]:
        return np.convolve(g, np.flip(other), "full")
    return np.flip(np.convolve(other, np.flip(g), "valid"))
