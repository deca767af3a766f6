"""How a page looks: contrast, sizes of the window, focus, names for screen readers, motion, print."""

import gallery
import pages
import pytest
from pages import probe

from tinygrad_steel import explore

WIDTHS = (320, 400, 800, 1400, 2200)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("model", [gallery.steel, gallery.mlp, gallery.micrograd, gallery.lstm])
def test_contrast(model, theme, opened):
    page = opened(explore(model()).html, 1800, 2200, color_scheme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    last = int(page.locator(".scrub input").get_attribute("max"))
    least = []
    for k in range(last + 1):
        if k in (0, last // 4, last // 2, 3 * last // 4, last):
            found = probe(page, "contrasts")
            assert len(found) > 40
            least.append(min(found))
        page.keyboard.press("ArrowRight")
    print(f"{model.__name__} {theme}: {min(least)}")
    assert min(least)[0] >= 4.5, least


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("model", [gallery.mlp, gallery.lstm, pages.hostile])
def test_nothing_is_cut_off_sideways(model, width, opened):
    page = opened(explore(model()).html, width, 850)
    for key in ("Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not probe(page, "cut")
    page.locator("#keys summary").click()
    box = page.locator(".pop").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_current_step_is_in_view(width, opened):
    page = opened(explore(gallery.mlp()).html, width, 850)
    for _ in range(34):
        page.keyboard.press("ArrowRight")
        assert probe(page, "inView")


def test_keyboard_alone_and_where_the_focus_is(opened):
    page = opened(explore(gallery.mlp()).html)
    page.keyboard.press("End")
    met = {}
    for _ in range(80):
        page.keyboard.press("Tab")
        name, shown = probe(page, "focus")
        met[name] = shown
    assert all(met.values()), [name for name, shown in met.items() if not shown]
    for part in (
        "switch to",
        "SUMMARY",
        "fold hidden[0]",
        ", parameter,",
        "LI ",
        "play",
        "INPUT step",
    ):
        assert any(part in name for name in met), part
    for part in ("SELECT speed", "CANVAS", "keep the current step", "keep in view", "loss"):
        assert any(part in name for name in met), part


def test_everything_has_a_name_for_a_screen_reader(opened):
    page = opened(explore(gallery.mlp()).html)
    page.keyboard.press("End")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    roles = (
        "button",
        "slider",
        "combobox",
        "image",
        "option",
        "listbox",
        "DisclosureTriangle",
        "img",
    )
    named = [n for n in nodes if not n["ignored"] and n["role"]["value"] in roles]
    assert len(named) > 60
    nameless = [n["role"]["value"] for n in named if not n.get("name", {}).get("value")]
    assert not nameless
    names = {n["name"]["value"] for n in named}
    assert "bo, parameter, (7,), computed, gradient arrived" in names
    assert any(name.startswith("arrow from ") for name in names)
    assert page.locator(".say").get_attribute("aria-live") == "polite"
    assert "step 34 of 34" in page.locator(".scrub input").get_attribute("aria-valuetext")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_motion(motion, opened):
    page = opened(explore(gallery.steel()).html, reduced_motion=motion)
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    running = page.evaluate("document.getAnimations().length")
    assert (running > 0) == (motion == "no-preference")


def test_print_has_all_of_it(opened, seen):
    page = opened(explore(gallery.mlp()).html, color_scheme="dark")
    page.keyboard.press("ArrowRight")
    page.locator(".zoom button", has_text="fold").click()
    before = seen(page)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".card").count() == page.locator(".card.done").count() == 23
    assert page.locator(".card.whole").count() == 21
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    svg, view = page.locator(".view svg").bounding_box(), page.locator("#graph").bounding_box()
    assert svg["height"] <= 24 * 96 / 2.54 + 1 and svg["width"] <= view["width"]
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert seen(page) == before
    assert len(page.pdf()) > 20_000


def test_korean_and_right_to_left_names(opened):
    page = opened(explore(gallery.korean()).html)
    page.keyboard.press("End")
    text = page.evaluate("document.querySelector('.view').textContent")
    assert "가중치" in text and "선형 계층" in text
    page = opened(explore(pages.hostile(), fold=False).html)
    assert (
        page.evaluate("getComputedStyle(document.querySelector('tspan')).unicodeBidi") == "isolate"
    )


def test_folding_all_and_one(opened, seen):
    page = opened(explore(gallery.mlp()).html)
    assert page.locator(".scope.closed").count() == 0
    open_height = page.evaluate("document.querySelector('.view svg').viewBox.baseVal.height")
    fold = page.locator(".zoom button", has_text="fold")
    fold.click()
    assert page.locator(".scope.closed").count() == 4
    assert (
        page.evaluate("document.querySelector('.view svg').viewBox.baseVal.height")
        < open_height / 2
    )
    page.locator('[aria-label="unfold out"]').focus()
    page.keyboard.press("Enter")
    assert page.locator(".scope.closed").count() == 3
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "fold out"
    # The arrows of folded scopes begin and end at their boxes.
    assert probe(page, "inFolded") == 0
    page.keyboard.press("End")
    assert page.locator(".scope.closed.done.whole").count() == 3
    fold.click()
    fold.click()
    assert page.locator(".scope.closed").count() == 0
