"""Letters that a PNG cannot show: whether an installed font has them, and which package has one.

Graphviz's own `dot` takes for each letter an installed font that has it, which fontconfig finds;
the pip renderer draws with its own fonts alone, which have no letters of East Asia. An SVG leaves
the choice to the browser.
"""

from __future__ import annotations

import functools
import html
import shutil
import subprocess
import unicodedata
import warnings
from pathlib import Path

from .markup import is_wide

PURE = "graphviz-pure"
SECONDS = 20  # for fontconfig, which reads all fonts when it is first asked


def warn_of_missing_letters(source: str, program: str) -> None:
    """Warn where a program will show boxes in place of letters, with the package that helps."""
    letters = wide_letters(source)
    advice = missing(letters, program) if letters else ""
    if advice:
        text = f"the PNG shows boxes in place of letters such as {letters[0]}: {advice}"
        warnings.warn(f"{text}; an SVG leaves the font to the browser", stacklevel=4)


def wide_letters(source: str) -> str:
    """The letters of East Asia in a drawing, each once.

    >>> wide_letters('label="손실 = 손"')
    '손실'
    """
    found = dict.fromkeys(html.unescape(source))
    return "".join(c for c in found if is_wide(c) and unicodedata.category(c).startswith("L"))


def missing(letters: str, program: str) -> str:
    """What to do so that a program shows these letters; empty where it does."""
    package = package_for(letters)
    if PURE in Path(program).resolve().name:
        return (
            f"{PURE} has its own fonts alone; install graphviz and a font (Debian: apt install "
            f"graphviz {package})"
        )
    if has_font(letters):
        return ""
    return f"no installed font has them; install one (Debian: apt install {package})"


def package_for(letters: str) -> str:
    """Debian's package of a font with these letters; Nanum's is small, and of Korean alone."""
    is_korean = all("HANGUL" in unicodedata.name(c, "") for c in letters)
    return "fonts-nanum" if is_korean else "fonts-noto-cjk"


@functools.lru_cache(maxsize=64)
def has_font(letters: str) -> bool:
    """Whether fontconfig knows a font with these letters; where there is none, they are trusted."""
    program = shutil.which("fc-list")
    if program is None:
        return True  # Windows and macOS bring such fonts with them
    codes = " ".join(f"{ord(c):x}" for c in letters[:100])
    command = [program, f":charset={codes}", "file"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return True
    return done.returncode != 0 or bool(done.stdout.strip())
