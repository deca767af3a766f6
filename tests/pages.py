"""Models whose pages are tested and pictured, and the browser that opens them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gallery
import numpy as np

from tinygrad_steel import Tensor, relu, scope

PROBES = Path(__file__).parent / "page" / "probes.js"
CHROMIUM = os.environ.get("TINYGRAD_STEEL_CHROMIUM") or shutil.which("chromium")
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "]]> --> {{data}} ${data} `",
    '"><svg onload=alert(2)>',
    "a" * 300,
    "line\nbreak\ttab",
    "עברית (א) [1]",
    "\u2028\u2029\u202eright to left",
)


def missing() -> str:
    """Why no page can be opened here, or nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "pages are opened by playwright, which is not installed: pip install 'tinygrad_steel[page-tests]'"
    if CHROMIUM is None:
        return (
            "pages are opened in Chromium, which is not on PATH: install chromium, or set "
            "TINYGRAD_STEEL_CHROMIUM to where it is"
        )
    return ""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def probe(page: Any, name: str) -> Any:
    """What a function of probes.js finds in a page."""
    return page.evaluate(f"({PROBES.read_text(encoding='utf-8')}).{name}()")


def card(page: Any, name: str) -> Any:
    """The card of a value."""
    return page.locator(f'.card[aria-label^="{name},"]')


def there_and_back(
    page: Any, last: int, shift: str = "", is_at: Callable[[int], bool] = lambda k: True
) -> None:
    """By keys from the first place to the last and back: each looks as it did, and like no other."""

    def press(key: str) -> Any:
        page.keyboard.press(f"{shift}{key}")
        return probe(page, "seen")

    there = [probe(page, "seen")]
    for k in range(1, last + 1):
        there.append(press("ArrowRight"))
        assert is_at(k)
    assert press("ArrowRight") == there[-1]  # there is nothing after the end
    assert len({*there}) == len(there)
    for k in reversed(range(last)):
        assert press("ArrowLeft") == there[k], f"place {k} looks different on the way back"
    assert press("End") == there[-1]
    assert press("Home") == there[0]


def large(blocks: int = 60) -> Tensor:
    """A network of so many layers, five cards each."""
    rng = np.random.default_rng(0)
    h = Tensor(rng.normal(size=(8, 16)), name="x")
    for i in range(blocks):
        w, b = gallery.layer(rng, 16, 16, i)
        with scope(f"block[{i}]"):
            h = relu(h @ w + b)
    return gallery.done(np.mean(np.square(h)))


def hostile() -> Tensor:
    """A sum of parameters whose names are meant to break out of a page, in a scope of such a name."""
    total = Tensor(0.0)
    with scope(HOSTILE[0]):
        for name in HOSTILE:
            total = total + Tensor([1.5, -2.0], requires_grad=True, name=name)
    return gallery.done(np.mean(np.square(total)), HOSTILE[2])


def squared() -> Tensor:
    """3 * 3 by one leaf twice: a gradient of two parts, 3 each."""
    x = Tensor(3.0, requires_grad=True, name="x")
    return gallery.done(x * x, "y")


def unrequired() -> Tensor:
    """A product that no gradient goes through."""
    a, b = Tensor([[1.0, 2.0]], name="a"), Tensor([[3.0], [4.0]], name="b")
    return gallery.named("c", a @ b)


def alone() -> Tensor:
    """One card and nothing else."""
    return Tensor([1.0, np.nan, np.inf, 1e300], name="alone")


def leaves(t: Tensor) -> list[Tensor]:
    """What a Tensor is computed from, each once."""
    found: dict[Tensor, None] = {}
    todo, seen = [t], set()
    while todo:
        each = todo.pop()
        if each.op is None:
            found[each] = None
        todo += [x for x in each.inputs if x not in seen]
        seen.update(each.inputs)
    return [*found]
