"""`explore`: the page on which one steps through a graph, forward and backward."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import warnings
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.tensor import Tensor
from ...ops.op import describe
from ...program.given_names import Names
from ..draw import draw
from ..render import Drawn, Picture
from ..words import printable
from .layout import layouts
from .page_file import frame, page_file
from .story import make_story

if TYPE_CHECKING:
    from .chains import Chains
    from .record import Record

THEMES = ("auto", "light", "dark")


class Page:
    """A page on which one steps through a graph, forward and backward, as `explore` makes it.

    In a notebook it shows itself; elsewhere, `open()` it in a browser or `save("loss.html")`. It is
    one file, which fetches nothing and can be sent to anybody. `print(page)` is the text tree.

    Attributes
    ----------
    html : str
        The whole file.
    data : dict
        All that the page shows, as JSON has it.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, explore
    >>> w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> page = explore((w * w).sum())
    >>> page
    <Page of sum(w * w): 3 cards, 7 steps; .save('graph.html') or .open() it>
    >>> print(page)
    sum(w * w)
    3 nodes | 1 parameter, 2 numbers | float64 | no backward() yet
    <BLANKLINE>
    output  sum  = 5
    ^ multiply  (2,)
    |- w  (2,)  parameter  no gradient yet
    `- w  (2,)  parameter  no gradient yet
    """

    def __init__(self, data: dict[str, Any], picture: Picture, theme: str):
        self.data = data
        self.picture = picture
        self.theme = theme
        self.saved: Path | None = None

    @functools.cached_property
    def html(self) -> str:
        """The whole file."""
        return page_file(self.data, str(self), self.theme)

    def save(self, file: str | os.PathLike[str]) -> Path:
        """Write the page to a file.

        Parameters
        ----------
        file : str or path
            Where to; its suffix is .html.

        Returns
        -------
        pathlib.Path
            Where it was written.

        Raises
        ------
        ValueError
            For any other suffix.
        """
        path = Path(file)
        if path.suffix.lower() != ".html":
            raise ValueError(
                f"{path.name}: a page is saved as .html; draw(...).save() writes .svg, .png, .pdf, "
                f".dot and .txt"
            )
        path.write_bytes(self.html.encode("utf-8"))
        self.saved = path.absolute()
        return path

    def open(self) -> Path:
        """Show the page in a browser.

        Returns
        -------
        pathlib.Path
            The file that is shown: where it was saved, or a temporary one.

        Warns
        -----
        UserWarning
            Where there is no browser.
        """
        if self.saved is None or not self.saved.exists():
            handle, name = tempfile.mkstemp(prefix="tinygrad_steel_", suffix=".html")
            os.close(handle)
            self.save(name)
        assert self.saved is not None
        if not webbrowser.open(self.saved.as_uri()):
            warnings.warn(f"no browser was found: open {self.saved} in one", stacklevel=2)
        return self.saved

    def __str__(self) -> str:
        return str(self.picture)

    def __repr__(self) -> str:
        cards, steps = len(self.data["cards"]), len(self.data["steps"])
        title = self.picture.scene.title
        return f"<Page of {title}: {cards} cards, {steps} steps; .save('graph.html') or .open() it>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the page in a frame, else a still picture, else text."""
        text = str(self)
        bundle = {"text/plain": text, "text/html": frame(self.html, self.data["title"], text)}
        with contextlib.suppress(RuntimeError):  # no renderer: the text is there
            bundle["image/svg+xml"] = self.picture.svg()
        return bundle


def explore(
    tensor: Tensor,
    names: Names = None,
    *,
    chains: Chains | None = None,
    record: Record | None = None,
    fold: bool | str = "auto",
    depth: int | None = None,
    title: bool | str = True,
    theme: str = "auto",
) -> Page:
    """Make the page on which one steps through the graph behind a Tensor, forward and backward.

    It shows the graph beside its backprop as NumPy source. Each step says which value or gradient is
    computed, and from what, and marks the part of the line that does it. Neither data nor `.grad`
    change.

    Parameters
    ----------
    tensor : Tensor
        The loss. Where it has more than one element, or requires no gradient, the page shows the
        forward alone.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.
    chains : Report or dict of Reports, optional
        What `compare_backprop` has found of one chain, or of several: `{"mine": report}`. The page
        shows yours beside the graph's, and the first wrong step in your own source.
    record : Record, optional
        A training run of this loss: a second slider goes through its moments.
    fold : bool or "auto"
        Show scopes and steps that repeat as one card; "auto" does so above 60 cards.
    depth : int, optional
        Show this many steps back from the result.
    title : bool or str
        Whether the formula stands above; or what to write in its place.
    theme : {"auto", "light", "dark"}
        "auto" follows the reader's preference.

    Returns
    -------
    Page
        To show in a notebook, to save, or to open in a browser.

    Raises
    ------
    TypeError
        For anything but a Tensor, and for chains that are no reports or a record that is no Record.
    ValueError
        For an unknown option, for a report about another graph or a record of another loss, and
        where there are too many cards for a page.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, explore
    >>> x, w, b = Tensor(3.0), Tensor(2.0, requires_grad=True), Tensor(1.0, requires_grad=True)
    >>> y = w * x + b
    >>> page = explore(y, names=locals())
    >>> [line["t"] for line in page.data["lines"] if line["k"] == "backward"]
    ['G_y = 1.0', 'G_w = G_y * x', 'G_b = G_y']
    >>> page.save("y.html")  # doctest: +SKIP

    A chain of one's own, compared:

    >>> from tinygrad_steel import compare_backprop
    >>> page = explore(y, names=locals(), chains=compare_backprop(y, names=locals(), G_w=2.0))
    >>> page.data["chains"][0]["rows"][0]["verdict"]
    'wrong'
    """
    check_arguments(tensor, names, chains, record, title, theme)
    if record is not None:
        names = record.names if names is None else names
    from .chains import chains_of, names_with
    from .record import frames_of, with_names

    ages = None if record is None else record.ages
    names = names_with(tensor, names, chains, ages)
    traced = None if record is None else with_names(record.traced, names)
    story = make_story(tensor, names, fold, depth, traced)
    data = story.data
    if title is not True:
        data["title"] = printable(title or "")
    data["layouts"] = layouts(data)
    data["notes"] += dict.fromkeys(each["note"] for each in data["layouts"] if "note" in each)
    data["record"] = None if record is None else frames_of(story, record)
    data["chains"] = chains_of(story, chains, ages)
    return Page(data, draw(tensor, names=names, fold=fold, depth=depth), theme)


def page_of(drawn: Drawn) -> Page:
    """The page of what a picture was drawn from; it says where data has changed since.

    Warns
    -----
    UserWarning
        Where it has.
    """
    asked = {name: getattr(drawn, name) for name in ("fold", "depth", "title", "theme")}
    page = explore(drawn.tensor, drawn.names, chains=drawn.report, **asked)
    changed = drawn.changed()
    if changed:
        names = ", ".join(printable(describe(t)) for t in changed[:5]) + (
            ", ..." if len(changed) > 5 else ""
        )
        note = f"data has changed since draw(): {names}; to have one moment, compute the loss anew"
        page.data["notes"].insert(0, note)
        warnings.warn(note, stacklevel=4)
    return page


# Arguments


def check_arguments(
    tensor: Any, names: Any, chains: Any, record: Any, title: Any, theme: Any
) -> None:
    """TypeError or ValueError for what no page can be made of; a story checks the others."""
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"explore takes a Tensor, the loss to be shown, not {kind(tensor)}{hint(tensor)}"
        )
    if is_report(names) or is_record(names):
        raise TypeError(f"names is a dict, such as locals(), not {kind(names)}{hint(names)}")
    if theme not in THEMES:
        raise ValueError(f'theme is "auto", "light" or "dark", not {theme!r}')
    if not isinstance(title, bool | str):
        raise ValueError(f"title is True, False or a text, not {title!r}")
    several = isinstance(chains, Mapping)
    for report in chains.values() if several else [chains]:
        if several or report is not None:
            check_report(report)
    if record is not None:
        check_record(tensor, record)


def kind(thing: Any) -> str:
    """The type of a thing, for a message."""
    return type(thing).__name__


def hint(given: Any) -> str:
    """What to write where somebody has handed over something else than the loss."""
    if isinstance(given, Picture):
        return ": picture.save('loss.html') writes its page"
    if is_report(given):
        return ": explore(loss, chains=report)"
    if is_record(given):
        return ": explore(run.loss, record=run)"
    if isinstance(given, float | int | np.ndarray):
        return ": give the Tensor itself, not its item() or numpy()"
    if isinstance(given, list | tuple):
        return ": a page shows one result"
    if callable(given):
        return ": call it, and hand over what it returns"
    return ""


def is_report(given: Any) -> bool:
    """Whether this is a report of `compare_backprop`."""
    return hasattr(given, "steps") and hasattr(given, "first_wrong")


def is_record(given: Any) -> bool:
    """Whether this is a record of a training run."""
    return all(hasattr(given, each) for each in ("keep", "loss", "traced"))


def check_report(report: Any) -> None:
    """TypeError for what is no report."""
    if is_report(report):
        return
    what = "chains is what compare_backprop returns, or a dict of it, as {'mine': report}"
    if callable(report):
        raise TypeError(
            f"{what}: chains=compare_backprop(loss, backprop={getattr(report, '__name__', 'f')})"
        )
    raise TypeError(f"{what}, not {kind(report)}{hint(report) if is_record(report) else ''}")


def check_record(tensor: Tensor, record: Any) -> None:
    """TypeError for what is no record, ValueError for one of another loss."""
    if not is_record(record):
        raise TypeError(f"record is a Record of this loss, not {kind(record)}{hint(record)}")
    if record.loss is not tensor:
        raise ValueError(
            "the record is of another loss, computed before or after this one: "
            "explore(run.loss, record=run)"
        )
