"""`draw`: the picture of a graph."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..program.given_names import Names
from .dot import Look
from .graph import reached
from .render import Drawn, Picture
from .scene import scene
from .verdicts import Report


def draw(
    tensor: Tensor,
    view: str = "forward",
    names: Names = None,
    values: bool = False,
    fold: bool | str = "auto",
    depth: int | None = None,
    direction: str = "TB",
    theme: str = "light",
    legend: bool = True,
    title: bool | str = True,
    size: tuple[float, float] | None = None,
    report: Report | None = None,
) -> Picture:
    """Draw the graph behind a Tensor, one card for each value; the card of an op is its result.

    Neither data nor `.grad` change.

    Parameters
    ----------
    tensor : Tensor
        The result to be drawn.
    view : {"forward", "backward", "both"}
        "backward" draws the gradients on their way back, each with the code of its vjp.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.
    values : bool
        Print the numbers of small Tensors.
    fold : bool or "auto"
        Show scopes and steps that repeat as one card; "auto" does so above 60 cards.
    depth : int, optional
        Draw this many steps back from the result.
    direction : {"TB", "LR", "BT", "RL"}
        "TB" draws downwards. "LR" draws to the right, as on a slide of 16 to 9: what is longer goes
        on in further rows, each of which begins with the names of what comes from above.
    theme : {"light", "dark", "auto"}
        "auto" makes an SVG that follows the reader's preference.
    legend : bool
        Whether to say what the kinds of cards and the bars mean.
    title : bool or str
        Whether to write the formula and some counts above the picture; or what to write in the
        formula's place.
    size : tuple of two numbers, optional
        Width and height in inches, at most: what is larger is made smaller, as `(16, 9)` for a
        slide. A PNG has 192 dots to an inch.
    report : Report, optional
        What `compare_backprop` has found: each card says whether the gradient handed over for it is
        right, wrong, follows from a wrong one, or was not seen, and the first wrong one why.

    Returns
    -------
    Picture
        To print, to show in a notebook, or to save.

    Raises
    ------
    TypeError
        For anything but a Tensor.
    ValueError
        For an unknown option, for a report about another graph, and for a picture of more than
        1,000 cards that `depth` does not limit. In the backward views, for a Tensor of more than one
        element that requires a gradient.
    RuntimeError
        In the backward views, where data was replaced since the forward pass.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, draw
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> print(draw((x * x).sum(), view="backward"))
    sum(x * x)
    3 nodes | 1 parameter, 2 numbers | float64 | gradients of the result
    [sent: ...] = gradient that it gets from above; g = gradient there
    <BLANKLINE>
    output  sum  = 5  grad 1
    ^ multiply  (2,)  |grad| 1.41  [sent: g]
    |- x  (2,)  parameter  |grad| 4.47  [sent: g * x]
    `- x  (2,)  parameter  |grad| 4.47  [sent: g * x]

    What `compare_backprop` says of a chain of one's own, where it belongs:

    >>> from tinygrad_steel import compare_backprop
    >>> loss = x.exp().sum()
    >>> print(draw(loss, report=compare_backprop(loss, G_x=-x.exp().numpy())))
    sum(exp(x))
    3 nodes | 1 parameter, 2 numbers | float64 | no backward() yet
    1 gradient compared | 1 wrong
    first wrong step: G_x, the sign is wrong
    <BLANKLINE>
    output  sum  = 10.107
    ^ exp  (2,)  [not seen]
    ^ x  (2,)  parameter  no gradient yet  [first wrong step: the sign is wrong]
    """
    if direction not in ("TB", "LR", "BT", "RL"):
        raise ValueError(f'direction is "TB", "LR", "BT" or "RL", not {direction!r}')
    if theme not in ("light", "dark", "auto"):
        raise ValueError(f'theme is "light", "dark" or "auto", not {theme!r}')
    check_look(legend, title, size)
    look = Look(direction, legend, title, size)
    shown = scene(tensor, view, names, values, fold, depth, report)
    leaves = [t for t in reached(tensor) if t.op is None]
    ages = {t: t.age for t in leaves}
    drawn = Drawn(tensor, looked_into(names), fold, depth, title, theme, report, ages)
    return Picture(shown, look, theme, drawn)


def looked_into(names: Names) -> Names:
    """The variables that can give names, so that a picture keeps no others alive."""
    if names is None:
        return None
    kinds = (Tensor, np.ndarray, dict, list, tuple)
    return {name: value for name, value in names.items() if isinstance(value, kinds)}


def check_look(legend: bool, title: bool | str, size: tuple[float, float] | None) -> None:
    """ValueError for what a picture cannot look like."""
    if legend not in (True, False):
        raise ValueError(f"legend is True or False, not {legend!r}")
    if not isinstance(title, bool | str):
        raise ValueError(f"title is True, False or a text, not {title!r}")
    if size is not None and not is_size(size):
        raise ValueError(f"size is a width and a height in inches, as (16, 9), not {size!r}")


def is_size(size: Any) -> bool:
    """Whether these are two lengths."""
    if not isinstance(size, tuple | list) or len(size) != 2:
        return False
    return all(isinstance(x, int | float) and 0 < x < math.inf for x in size)
