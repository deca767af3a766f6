"""DOT rendered by a program that is looked for, and the `Picture` that is shown and saved."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .dot import dot_source
from .fonts import warn_of_missing_letters
from .scene import Scene
from .text import text_tree
from .themes import DARK, LIGHT, pairs

MOST_FOR_PNG = 300


class RendererNotFound(RuntimeError):
    """There is no program here that turns DOT into a picture; the message says how to get one."""


class Picture:
    """A drawing of a graph, as `draw` makes it.

    `print` it as a text tree, show it in a notebook, `save("graph.svg")`, or take its `source`.

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

    def __init__(self, scene: Scene, direction: str, theme: str):
        self.scene = scene
        self.theme = theme
        self.source = dot_source(scene, direction, DARK if theme == "dark" else LIGHT)

    def svg(self) -> str:
        """The picture as SVG.

        Raises
        ------
        RendererNotFound
            Where there is no program that renders it.
        """
        return finished_svg(render(self.source, "svg").decode("utf-8"), self.theme)

    def png(self, dpi: int = 144) -> bytes:
        """The picture as PNG.

        Parameters
        ----------
        dpi : int
            How many points there are to an inch.

        Raises
        ------
        ValueError
            Above 300 cards, of which none could be read.
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

        Raises
        ------
        RendererNotFound
            Where the graphviz of the operating system is not installed: no other makes PDF.
        """
        return render(self.source, "pdf")

    def save(self, file: str | os.PathLike[str]) -> Path:
        """Write the picture to a file.

        Parameters
        ----------
        file : str or path
            Its suffix says the format: .svg, .png, .pdf, .dot or .txt.

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
            ".dot": lambda: self.source,
            ".txt": self.__str__,
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


# Programs


def find_renderer() -> str:
    """The program to render with.

    $TINYGRAD_STEEL_DOT, else `dot`, else the one of the `draw` extra.
    """
    given = os.environ.get("TINYGRAD_STEEL_DOT")
    if given:
        found = shutil.which(given)
        if found is None:
            raise RendererNotFound(
                f"TINYGRAD_STEEL_DOT is {given!r}, which is not a program that can be run"
            )
        return found
    scripts = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    places = [("dot", None), *(("graphviz-pure", path) for path in (None, *scripts))]
    for name, path in places:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise RendererNotFound(
        "no renderer: pip install 'tinygrad_steel[draw]', or install graphviz (Debian: apt install "
        "graphviz), or set TINYGRAD_STEEL_DOT to a dot program; .source, .save('graph.dot') and "
        "print(picture) need none"
    )


def render(source: str, kind: str, *options: str) -> bytes:
    """DOT as a picture."""
    program = find_renderer()
    command = [program, f"-T{kind}", *options]
    done = subprocess.run(command, input=source.encode("utf-8"), capture_output=True)
    if done.returncode == 0 and done.stdout:
        return done.stdout
    message = done.stderr.decode(errors="replace").strip()
    if "not recognized" in message:
        raise RendererNotFound(
            f"{Path(program).name} cannot make {kind}: install graphviz (Debian: apt install "
            f"graphviz), or take svg"
        )
    raise RuntimeError(f"{program} failed: {message[:500]}")


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
