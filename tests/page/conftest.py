"""A browser for the tests of pages; without one they are all skipped, and say why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pages
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each file has a browser of its own, which takes its time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, of one test file."""
    why = pages.missing()
    if why:
        pytest.skip(why)
    with pages.chromium() as found:
        yield found


@pytest.fixture
def opened(browser: Any, tmp_path: Any) -> Iterator[Callable[..., Any]]:
    """Opens HTML in a window; whatever its console says, and every error, fails the test at its end."""
    said: list[str] = []
    contexts = []

    def open_html(html: str, width: int = 1600, height: int = 1000, **options: Any) -> Any:
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        options = {"color_scheme": "light", "reduced_motion": "reduce"} | options
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on(
            "dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        page.on("request", lambda request: note_request(request.url))
        page.goto(file.as_uri())
        return page

    def note_request(url: str) -> None:
        if not url.startswith(("file:", "data:", "about:")):
            said.append(f"request: {url}")

    yield open_html
    for context in contexts:
        context.close()
    assert not said


@pytest.fixture
def seen() -> Callable[[Any], str]:
    """What is seen of a page, as one number."""
    return lambda page: pages.probe(page, "seen")
