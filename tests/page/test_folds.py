"""Folds on a page: what comes into one and what one sends, data on one card, and words that keep to their cells."""

import numpy as np
import pages
import pytest
from picture.test_story_of_folds import recurrence

from tinygrad_steel import Tensor, explore, scope


def scores():
    """A loss of each step of a folded recurrence: all of them send a gradient into the fold."""
    rng = np.random.default_rng(2)
    w = Tensor(rng.normal(size=(3, 3)), requires_grad=True, name="w")
    h, total = Tensor(np.ones(3), requires_grad=True, name="h"), 0
    for t, score in enumerate((np.sum, np.mean, np.max, np.prod)):
        x = Tensor(rng.normal(size=3), requires_grad=True, name=f"x{t}")
        with scope(f"step[{t}]"):
            h = np.tanh(h @ w + x)
        total = total + score(h)
    return total


def walk(page):
    """What the steps say, one after the other: (the footer, the panel)."""
    for _ in range(int(page.locator(".scrub input").get_attribute("max"))):
        page.keyboard.press("ArrowRight")
        yield page.locator(".say").inner_text(), page.locator("#value").inner_text()


def test_parts_without_numbers_are_counted(opened):
    """What a fold sends to w beside another op is no array of the page: no sum is shown, and no 0."""
    page = opened(explore(recurrence(), fold=True).html)
    data = explore(recurrence(), fold=True).data
    w = next(card["id"] for card in data["cards"] if card["name"] == "w")
    caption = page.locator(f'.card[data-ref="{w}"] .cap.g')
    captions = []
    for _ in walk(page):
        captions.append(caption.text_content())
    parts = sum(a["tail"] == w and a["flows"] for a in data["arrows"])
    waiting = [f"{k} of {parts} parts" for k in range(1, parts)]
    assert [*dict.fromkeys(captions)][:-1] == ["", *waiting]
    assert captions[-1].startswith("|grad|")


def test_gradients_of_several_values_are_no_parts_of_one(opened):
    page = opened(explore(scores(), fold=True).html)
    fold = page.locator(".card.k-fold")
    said = []
    for footer, panel in walk(page):
        said += [footer, panel]
        assert "parts of the gradient arrived" not in fold.get_attribute("aria-label")
    text = "\n".join(said)
    assert "Gradients of several values in it come here" in text
    assert "undefined" not in text and "through ," not in text
    data = explore(scores(), fold=True).data
    (folded,) = (card for card in data["cards"] if card["kind"] == "fold")
    assert f"{folded['gcode']} is their sum" not in text
    for arrow in data["arrows"]:
        if arrow["tail"] == folded["id"]:
            assert f"{arrow['gcode']} {'gets' if arrow['gets'] else '='} " in text


def test_a_card_of_many_data_is_selected_from_each_of_their_names(opened):
    page = opened(explore(recurrence(), fold=True).html)
    page.locator("#code .x").get_by_text("x3", exact=True).last.click()
    panel = page.locator("#value").inner_text()
    assert "x1, x2, ..., x5" in panel and "no gradient" in panel


@pytest.mark.parametrize("size", [1e-12, 1e-3, 1.0, 1e3, 1e10, 1e200])
def test_what_stands_below_a_cell_is_no_wider(size, opened):
    rng = np.random.default_rng(5)
    x = Tensor(-size * rng.uniform(1, 9.99, (4, 3)), name="x")
    w = Tensor(np.array([[-1.23456, 2.0, 1e-9]]), requires_grad=True, name="w")
    page = opened(explore(np.sum(x * w)).html)
    page.keyboard.press("End")
    assert pages.probe(page, "wide") == []
    assert len([*filter(None, page.locator(".card .cap").all_text_contents())]) == 5
