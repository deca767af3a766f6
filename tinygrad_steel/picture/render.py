"""The `Picture` that is shown and saved."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..engine.tensor import Tensor
from ..program.given_names import Names
from .dot import Look, dot_source
from .fonts import warn_of_missing_letters
from .programs import find_renderer, render
from .scene import Scene
from .text import text_tree
from .themes import DARK, LIGHT, pairs

MOST_FOR_PNG = 300


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """What a picture was drawn from, with the arguments of `draw`, for the page of it.

    `ages`: those of the leaves when it was drawn.
    """

    tensor: Tensor
    names: Names
    fold: bool | str
    depth: int | None
    title: bool | str
    theme: str
    report: Any
    ages: Mapping[Tensor, int]

    def changed(self) -> list[Tensor]:
        """The leaves whose data has changed since."""
        return [t for t, age in self.ages.items() if t.age != age]


class Picture:
    """A drawing of a graph, as `draw` makes it.

    In a notebook it shows itself; elsewhere `save("graph.svg")` it, or `print` it as a text tree.
    `save("graph.html")` writes the page on which one steps through the graph.

    Attributes
    ----------
    source : str
        The drawing as DOT, the language of graphviz.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, draw
    >>> w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> picture = draw((w * w).sum())
    >>> picture
    <Picture of sum(w * w): 3 cards; .save('graph.svg') or print it>
    >>> picture.source.startswith("// tinygrad_steel draw()")
    True
    """

    def __init__(self, scene: Scene, look: Look, theme: str, drawn: Drawn):
        self.scene = scene
        self.drawn = drawn
        self.theme = theme
        self.source = dot_source(scene, look, DARK if theme == "dark" else LIGHT)

    def svg(self) -> str:
        """The picture as SVG.

        Returns
        -------
        str
            For a file, or for a page of HTML.

        Raises
        ------
        RendererNotFound
            Where there is no program that renders it.
        """
        return finished_svg(render(self.source, "svg").decode("utf-8"), self.theme)

    def png(self, dpi: int = 192) -> bytes:
        """The picture as PNG.

        Parameters
        ----------
        dpi : int
            How many dots there are to an inch: with 96 it is as large as an SVG in a browser, with
            192 twice as sharp.

        Returns
        -------
        bytes
            What is in the file.

        Raises
        ------
        ValueError
            For more than 300 cards, of which none could be read.
        RendererNotFound
            Where there is no program that renders it.

        Warns
        -----
        UserWarning
            Where no font has the letters of a name, as of a Korean one, and what to install.
        """
        if len(self.scene.cards) > MOST_FOR_PNG:
            raise ValueError(
                f"{len(self.scene.cards)} cards are too many for a PNG: save an SVG, fold scopes, "
                f"or draw with depth=20"
            )
        warn_of_missing_letters(self.source, find_renderer())
        return render(self.source, "png", f"-Gdpi={dpi}")

    def pdf(self) -> bytes:
        """The picture as PDF.

        Returns
        -------
        bytes
            What is in the file.

        Raises
        ------
        RendererNotFound
            Where the graphviz of the operating system is not installed: no other makes PDF.
        """
        return render(self.source, "pdf")

    def html(self) -> str:
        """The page on which one steps through the graph, as `explore` makes it.

        Returns
        -------
        str
            The whole file.

        Warns
        -----
        UserWarning
            Where data has changed since `draw()`, as in a step of training.
        """
        from .page.explore import page_of  # loads when it is first asked for

        return page_of(self.drawn).html

    def save(self, file: str | os.PathLike[str]) -> Path:
        """Write the picture to a file.

        Parameters
        ----------
        file : str or path
            Its suffix says the format: .svg, .png, .pdf, .html, .dot or .txt.

        Returns
        -------
        pathlib.Path
            Where it was written.

        Raises
        ------
        ValueError
            For any other suffix.
        RendererNotFound
            For .svg, .png and .pdf where there is no program that renders them.
        """
        formats: dict[str, Callable[[], str | bytes]] = {
            ".svg": self.svg,
            ".png": self.png,
            ".pdf": self.pdf,
            ".html": self.html,
            ".dot": lambda: self.source,
            ".txt": lambda: f"{self}\n",
        }
        path = Path(file)
        suffix = path.suffix.lower()
        if suffix not in formats:
            known = ", ".join(formats)
            raise ValueError(f"{path.name}: the suffix says the format, one of {known}")
        content = formats[suffix]()
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    def __str__(self) -> str:
        return text_tree(self.scene)

    def __repr__(self) -> str:
        title, count = self.scene.title, len(self.scene.cards)
        return f"<Picture of {title}: {count} cards; .save('graph.svg') or print it>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows."""
        text = str(self)
        try:
            svg = self.svg()
            page = f"<div>{svg[svg.index('<svg') :]}</div>"
        except Exception as error:  # a notebook shows the text then, and why
            return {"text/plain": f"{text}\n\n({error})"}
        return {"text/plain": text, "image/svg+xml": svg, "text/html": page}


# SVG in browsers


def finished_svg(svg: str, theme: str) -> str:
    """The renderer's SVG with tooltips that browsers show, its own ids, and its theme."""
    mark = "steel-" + hashlib.sha256(f"{theme} {svg}".encode()).hexdigest()[:8]
    titled = r'<title>[^<]*</title>(\s*<g id="a_[^"]*"><a xlink:title="([^"]*)">)'
    svg = re.sub(titled, r"<title>\2</title>\1", svg)
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{mark}-\1"', svg)
    svg = svg.replace("<svg ", f'<svg id="{mark}" ', 1)
    # Browsers leave out blanks at the beginning, as of the rows of a matrix.
    svg = re.sub(r"<text (?!xml:space)(?=[^>]*> )", '<text xml:space="preserve" ', svg)
    if theme != "auto":
        return svg
    return re.sub(r"(<svg [^>]*>)", lambda match: match[1] + both_themes(mark), svg, count=1)


def both_themes(mark: str) -> str:
    """A style that gives an SVG the dark colours where the reader prefers them."""
    rules = dict.fromkeys(
        f'#{mark} [{attribute}="{light.lower()}"] {{ {attribute}: {dark} }}'
        for light, dark in pairs(LIGHT, DARK)
        for attribute in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark) {{ {' '.join(rules)} }}</style>"
