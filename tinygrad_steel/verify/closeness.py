"""When numbers count as the same: tolerances, distances, and factors between arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

RTOL = {2: 1e-2, 4: 1e-4, 8: 1e-9, 16: 1e-9}  # relative to the largest element: by itemsize

DIGITS = {2: 2, 4: 5}  # by itemsize, how many digits of a factor count


def tolerance(*arrays: Any) -> float:
    """Relative to the largest element: that of the least precise dtype."""
    return max(RTOL.get(a.dtype.itemsize, 1e-9) if a.dtype.kind == "f" else 1e-9 for a in arrays)


def largest(x: np.ndarray) -> float:
    """The largest absolute value but for inf and NaN."""
    return float(np.abs(x).max(initial=0, where=np.isfinite(x)))


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b|; 0 where both are the same inf or NaN, inf where one of them is NaN."""
    off = np.asarray(np.abs(a - b))
    if np.isfinite(off).all():
        return off
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.asarray(np.where(equal, 0, np.where(np.isnan(off), np.inf, off)))


def finite(x: np.ndarray) -> np.ndarray:
    """An array with 0 for what is NaN or infinite."""
    return np.where(np.isfinite(x), x, 0)


def matches(a: np.ndarray, b: np.ndarray, rtol: float = 1e-8, size: float | None = None) -> bool:
    """Whether two gradients are equal but for rounding.

    `size`: of the largest element, where it is elsewhere.
    """
    if a.shape != b.shape:
        return False
    if a.itemsize < 8 or b.itemsize < 8:
        rtol = max(rtol, tolerance(a, b))
    size = largest(b) if size is None else size
    return bool((distance(a, b) <= rtol * size).all())


def explains(found: np.ndarray, given: np.ndarray, expected: np.ndarray) -> bool:
    """Whether what is given is what was found, and that something else than what was expected."""
    if not matches(found, given):
        return False
    if given.shape != expected.shape:
        return True
    return bool(np.max(distance(found, given)) < 0.01 * np.max(distance(given, expected)))


def several(x: np.ndarray) -> bool:
    """Whether more than one element counts, so that a common factor says something."""
    return int(np.sum(np.abs(x) > 1e-6 * largest(x))) > 1


def constant_factor(given: np.ndarray, expected: np.ndarray) -> float | None:
    """The number by which all that was expected is multiplied; None where it is not one number."""
    if given.shape != expected.shape:
        return None
    factor = ratio(given, expected)
    if factor is None or not (matches(factor * expected, given) or not np.any(given)):
        return None
    return factor


def ratio(a: np.ndarray, b: np.ndarray) -> float | None:
    """The number with which `b` comes nearest to `a`."""
    size = largest(b)
    if not size:
        return None
    scaled = np.asarray(b, float) / size  # so that no square is too large or too small
    return float(np.sum(a * scaled)) / (float(np.sum(scaled * scaled)) * size)


def combination(arrays: Sequence[np.ndarray], total: np.ndarray) -> np.ndarray | None:
    """How many times each of these arrays is in `total`; None where they do not tell."""
    columns = np.stack([np.ravel(a) for a in arrays], axis=1).astype(float)
    wanted, size = np.ravel(total).astype(float), largest(columns)
    if not (size and np.isfinite(columns).all() and np.isfinite(wanted).all()):
        return None
    found, _, rank, _ = np.linalg.lstsq(columns / size, wanted / size, rcond=1e-6)
    return np.asarray(found) if rank == len(arrays) else None


def rounded(factor: float, *arrays: np.ndarray) -> float:
    """A factor between such arrays without its rounding."""
    digits = min(DIGITS.get(a.itemsize, 8) for a in arrays)
    return float(f"{factor:.{digits}g}")


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether nothing is left to be judged: digits agree to the last but few."""
    return matches(a, b, rtol=1e-12) and a.itemsize == 8
