"""Pictures of a page's states, from real models: `python tests/page/screenshots.py FOLDER`, or `--readme`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "examples" / "pictures" / "page.png"
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "examples"), str(HERE.parents[1])]

import gallery  # noqa: E402
import pages  # noqa: E402

import tinygrad_steel as ts  # noqa: E402

Act = Callable[[Any], None]


def steel_by_hand(x, y, w, b):
    """A backprop of the steel loss in which the mean's division is forgotten."""
    z = x @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    G_z = p - np.eye(7)[y]
    G_w = x.T @ G_z
    G_b = G_z.sum(axis=0)
    return G_w, G_b


def compared() -> ts.explore:
    """The steel loss beside a wrong backprop of it."""
    loss = gallery.steel()
    leaves = {t.name: t.numpy() for t in pages.leaves(loss)}
    report = ts.compare_backprop(
        loss, backprop=lambda: steel_by_hand(*(leaves[name] for name in "xywb"))
    )
    return ts.explore(loss, chains={"steel_by_hand": report})


def trained() -> Any:
    """The steel loss while it is trained."""
    loss = gallery.steel()
    leaves = {t.name: t for t in pages.leaves(loss)}
    x, y, w, b = (leaves[name] for name in "xywb")
    run = ts.Record(loss, every=5)
    for step in range(200):
        run.keep(step)
        w.grad = b.grad = None
        ts.softmax_cross_entropy(x @ w + b, y).mean().backward()
        w.data -= 0.03 * w.grad
        b.data -= 0.03 * b.grad
    run.keep(200)
    return ts.explore(loss, record=run)


def press(*keys: str) -> Act:
    """Keys, one after the other."""

    def act(page: Any) -> None:
        for key in keys:
            page.keyboard.press(key)

    return act


def to_value(page: Any) -> None:
    """The panel of w, with a cell pointed at."""
    press("End")(page)
    page.locator('.card[aria-label^="w,"]').click()
    box = page.locator("#value canvas").first.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 0.42 * box["height"])


def point_at_part(page: Any) -> None:
    """Backward, with a part of the source pointed at that has no card."""
    press(*["ArrowRight"] * 7)(page)
    page.locator("#code .x").get_by_text("softmax(z)", exact=True).last.hover()


def slide(page: Any) -> None:
    """The training slider not far from the beginning, at the gradient of w."""
    press("End")(page)
    page.locator('.card[aria-label^="w,"]').click()
    slider = page.locator("#training input[type=range]")
    slider.fill(str(int(slider.get_attribute("max")) // 6))


def fold_all(page: Any) -> None:
    """All scopes folded but the last one, in the middle of backward."""
    page.locator(".zoom button", has_text="fold").click()
    page.locator('[aria-label="unfold out"]').press("Enter")
    press(*["ArrowRight"] * 24)(page)


def states() -> Iterator[tuple[str, Any, Act, dict[str, Any]]]:
    """Name, page, what is done with it, and how the window is."""
    dark = {"color_scheme": "dark"}
    narrow = {"viewport": {"width": 400, "height": 850}}
    steel = ts.explore(gallery.steel())
    yield "1_first_view", steel, press(), {}
    yield "2_mid_forward", steel, press(*["ArrowRight"] * 3), {}
    yield "3_mid_backward", steel, point_at_part, {}
    yield "4_value", steel, to_value, {}
    yield "5_comparison", compared(), press(), {}
    if hasattr(ts, "Record"):
        yield "6_training", trained(), slide, {}
    yield "7_dark", ts.explore(gallery.micrograd()), press(*["ArrowRight"] * 8), dark
    yield "7_narrow", steel, press(*["ArrowRight"] * 9), narrow
    yield "8_perceptron", ts.explore(gallery.mlp()), press(*["ArrowRight"] * 19), {}
    yield "9_folded_dark", ts.explore(gallery.mlp()), fold_all, dark
    yield "10_sum", ts.explore(gallery.residual()), press(*["ArrowRight"] * 29), {}


def main() -> None:
    """Write them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--readme", action="store_true", help="the one of the README, in its place")
    parser.add_argument("--only", default="", help="only those whose name begins like this")
    arguments = parser.parse_args()
    if pages.missing():
        raise SystemExit(pages.missing())
    if arguments.folder is None and not arguments.readme:
        parser.error("where to: a folder, or --readme")
    with pages.chromium() as browser:
        if arguments.readme:
            small = {"viewport": {"width": 1400, "height": 920}}
            picture(browser, ts.explore(gallery.steel()).html, point_at_part, small, README)
            return
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name, shown, act, options in states():
            if name.startswith(arguments.only):
                picture(browser, shown.html, act, options, arguments.folder / f"{name}.png")


def picture(browser: Any, html: str, act: Act, options: dict[str, Any], file: Path) -> None:
    """One of them."""
    options = {
        "viewport": {"width": 1600, "height": 1000},
        "color_scheme": "light",
        "reduced_motion": "reduce",
    } | options
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_content(html)
    page.wait_for_selector(".card")
    act(page)
    page.wait_for_timeout(200)
    page.screenshot(path=file)
    context.close()
    print(file)


if __name__ == "__main__":
    main()
