"""A Tensor as notebooks show it: what it is, and its numbers and its gradient as heatmaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops.fast import is_numpy
from .notebook import coloured, escaped, page

if TYPE_CHECKING:
    from .tensor import Tensor

ROWS, COLUMNS = 20, 32  # of a heatmap, at most
FEW = 8  # columns, with no more of which the numbers stand in their cells
NAN = "\N{MULTIPLICATION SIGN}"  # in cells without numbers
CELL = (12, 12)  # the width and height of a cell
CELL_WITH_NUMBER = (62, 20)


def tensor_page(t: Tensor) -> str:
    """A Tensor as HTML."""
    parts = [heatmap("", t._array)]
    if t.op is None and t.requires_grad:
        g = t.grad
        missing = f"<p>{coloured('no gradient yet', 'muted')}</p>"
        parts.append(missing if g is None else heatmap("gradient", g))
    return page(f"<p>{headline(t)}</p>", f'<div class="parts">{"".join(parts)}</div>')


def headline(t: Tensor) -> str:
    """Its name, shape, dtype and op."""
    name = f"<b>{escaped(t.name)}</b> " if t.name else ""
    facts = [f"Tensor {t.shape}", str(t.dtype)]
    facts += [f"result of {t.op.name}"] if t.op is not None else []
    facts += ["requires_grad"] if t.requires_grad else []
    return name + coloured(" · ".join(facts), "muted")


def heatmap(caption: str, array: Any) -> str:
    """The numbers of an array as coloured cells, those of a big one in part, which is said."""
    said = f"<p>{coloured(caption, 'gradient')}</p>" if caption else ""
    if not is_numpy(array):
        return f"<div>{said}<pre>{escaped(repr(array))}</pre></div>"
    if not array.size:
        return f"<div>{said}<p>{coloured('no elements', 'muted')}</p></div>"
    rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    chosen = [spread(n, most) for n, most in zip(rows.shape, (ROWS, COLUMNS))]
    shown = rows[np.ix_(*chosen)]
    has_numbers = rows.shape[1] <= FEW and len(shown) <= 2 * FEW
    notes = ["" if has_numbers else scale(shown), *sampled(array, rows, shown), *not_numbers(array)]
    below = "".join(f"<p>{coloured(note, 'muted')}</p>" for note in notes if note)
    return f"<div>{said}{cells(array, shown, chosen, has_numbers)}{below}</div>"


def spread(n: int, most: int) -> np.ndarray:
    """Indices of all of n things, or of so many that lie evenly between the first and the last."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)


def sampled(array: np.ndarray, rows: np.ndarray, shown: np.ndarray) -> list[str]:
    """What is shown of a big array, and what the rows of one with many axes are."""
    notes = []
    if array.ndim > 2:
        notes.append(f"rows: the first {array.ndim - 1} axes one after the other")
    parts = [
        f"{few:,} of {n:,} {what}"
        for few, n, what in zip(shown.shape, rows.shape, ("rows", "columns"))
        if few < n
    ]
    if parts:
        notes.append(f"shown: {' and '.join(parts)}, evenly spaced")
    return notes


def not_numbers(array: np.ndarray) -> list[str]:
    """How many are NaN or infinite."""
    if array.dtype.kind != "f":
        return []
    nan, inf = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    found = [f"{nan:,} NaN"] * (nan > 0) + [f"{inf:,} infinite"] * (inf > 0)
    return [", ".join(found)] if found else []


def scale(shown: np.ndarray) -> str:
    """From where to where the numbers go that are shown."""
    finite = shown[np.isfinite(shown)]
    if not finite.size:
        return ""
    return f"{number(finite.min())} to {number(finite.max())}, blue below zero, orange above"


def number(x: Any, digits: int = 3) -> str:
    """A number in few letters."""
    is_short = not isinstance(x, np.floating) and len(str(x)) <= digits + 5
    return str(x) if is_short else f"{x:.{digits}g}"


def cells(
    array: np.ndarray, shown: np.ndarray, chosen: list[np.ndarray], with_numbers: bool
) -> str:
    """The cells as SVG, blue below zero, orange above; each says its index and its number."""
    width, height = CELL_WITH_NUMBER if with_numbers else CELL
    finite = np.abs(shown[np.isfinite(shown)].astype(np.float64))
    largest = float(finite.max(initial=0.0))
    drawn = []
    for i, j in np.ndindex(shown.shape):
        index = index_of(array, int(chosen[0][i]), int(chosen[1][j]))
        drawn.append(cell(j * width, i * height, shown[i, j], index, largest, with_numbers))
    x, y = shown.shape[1] * width, shown.shape[0] * height
    size = f'width="{x + 1}" height="{y + 1}"'
    ground = f'<rect class="zero" fill="currentColor" x=".5" y=".5" width="{x}" height="{y}"/>'
    boxes = f'<g fill="currentColor" stroke-width=".5">{"".join(drawn)}</g>'
    return f'<svg {size} role="img" xmlns="http://www.w3.org/2000/svg">{ground}{boxes}</svg>'


def index_of(array: np.ndarray, i: int, j: int) -> str:
    """The index of a cell in the array itself."""
    if not array.ndim:
        return ""
    before = np.unravel_index(i, array.shape[:-1]) if array.ndim > 1 else ()
    return f"[{', '.join(map(str, [*before, j]))}] "


def cell(x: int, y: int, value: Any, index: str, largest: float, with_number: bool) -> str:
    """A cell; NaN and infinite ones have a mark in place of a colour."""
    width, height = CELL_WITH_NUMBER if with_number else CELL
    is_finite = bool(np.isfinite(value))
    share = abs(float(value)) / largest if is_finite and largest else 0.0
    most = 0.55 if with_number else 0.87  # so that numbers can be read
    opacity = f"{0.12 + (most - 0.12) * share:.2f}" if share else "0" if is_finite else "0.6"
    kind = ("above" if value > 0 else "below") if is_finite else "line"
    place = f'x="{x + 0.5:g}" y="{y + 0.5:g}" width="{width}" height="{height}"'
    look = f'class="{kind}" fill-opacity="{opacity}"'
    title = f"<title>{index}{number(value, 6)}</title>"
    mark = number(value) if with_number else "" if is_finite else NAN if np.isnan(value) else "∞"
    box = f"<rect {place} {look}>{title}</rect>"
    if not mark:
        return box
    middle = f'x="{x + width / 2 + 0.5:g}" y="{y + height / 2 + 4:g}"'
    return f'{box}<text {middle} stroke="none" text-anchor="middle" font-size="11">{mark}</text>'
