"""Stepping through a page: by keyboard there and back, with the right numbers at the right time."""

import gallery
import numpy as np
import pages
import pytest
import shared_scenes
from pages import card, there_and_back

from tinygrad_steel import Tensor, explore
from tinygrad_steel.picture.page.page_file import page_file

MODELS = {
    "scalars": gallery.micrograd,
    "steel": gallery.steel,
    "perceptron": gallery.mlp,
    "residual": gallery.residual,
    "lstm": gallery.lstm,
    "squared": pages.squared,
    "no gradients": pages.unrequired,
    "one card": pages.alone,
    "hostile": pages.hostile,
}


def steps_of(page):
    return int(page.locator(".scrub input").get_attribute("max"))


def say(page):
    return page.locator(".say").inner_text()


@pytest.mark.parametrize("model", MODELS)
def test_there_and_back_by_keyboard(model, opened):
    page = opened(explore(MODELS[model]()).html)
    there_and_back(page, steps_of(page))


def test_play_by_space_to_the_end(opened):
    page = opened(explore(pages.squared()).html)
    page.locator(".drive select").select_option("4")
    page.locator("body").press("Space")
    page.wait_for_selector("html[data-step='4']")
    page.wait_for_selector('.buttons [aria-label="play (space)"]')
    page.locator(".drive select").select_option("0.5")
    page.locator("body").press("Space")  # from the start again
    page.wait_for_selector("html[data-step='1']")
    page.locator("body").press("Space")
    page.wait_for_selector('.buttons [aria-label="play (space)"]')
    assert page.evaluate("document.documentElement.dataset.step") == "1"


def test_values_and_gradients_come_at_their_step(opened):
    """micrograd's example: e = 2 * -3, d = e + 10, L = d * -2, and its known gradients."""
    page = opened(explore(gallery.micrograd()).html)
    cells = {n: card(page, n).locator(".num").all_text_contents() for n in "abcfedL"}
    assert cells["a"] == ["2", ""] and cells["e"] == ["", ""]
    page.keyboard.press("ArrowRight")
    assert card(page, "e").locator(".num").all_text_contents() == ["-6", ""]
    page.keyboard.press("End")
    cells = {n: card(page, n).locator(".num").all_text_contents() for n in "abcfedL"}
    right = {"a": 6, "b": -4, "c": -2, "f": 4, "e": -2, "d": -2, "L": 1}
    assert {n: float(g) for n, (_, g) in cells.items()} == right
    assert [cells[n][0] for n in "edL"] == ["-6", "4", "-8"]


def test_parts_of_a_gradient_are_added_up(opened):
    page = opened(explore(pages.squared()).html)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    x = card(page, "x")
    assert x.locator(".num.g").text_content() == "3"
    assert "1 parts of the gradient" in x.get_attribute("aria-label")
    assert "first of 2 parts" in say(page)
    assert "the sum of 1 of 2 parts" in page.locator("#value").inner_text()
    page.keyboard.press("ArrowRight")
    assert x.locator(".num.g").text_content() == "6"
    assert "second of 2 parts" in say(page)
    assert "All 2 parts have arrived" in page.locator("#value").inner_text()


def test_a_running_sum_of_arrays(opened):
    """Of 2 x + 3 x + 4 x parts come in some order; what is shown in between is what has come so far."""
    x = Tensor([1.0, -1.0], requires_grad=True, name="x")
    page = opened(explore(gallery.done((2 * x + 3 * x + 4 * x).sum(), "y")).html)
    card(page, "x").click()
    page.locator(".pin").click()
    shown = []
    for _ in range(steps_of(page)):
        page.keyboard.press("ArrowRight")
        if page.locator("#value .map.g canvas").count():
            page.locator("#value .map.g canvas").focus()
            page.locator("#value .map.g canvas").press("ArrowRight")
            shown.append(float(page.locator("#value .map.g output").inner_text().split("= ")[1]))
            page.locator(".pin").focus()
    sums = np.diff([0.0, *dict.fromkeys(shown)])
    assert sorted(sums) == [2, 3, 4] and shown[-1] == 9


def test_the_current_part_of_the_current_line(opened):
    page = opened(explore(gallery.steel()).html)
    for code in ("x @ w", "x @ w + b", "softmax_cross_entropy(z, y)"):
        page.keyboard.press("ArrowRight")
        assert page.locator("#code mark").inner_text() == code
        assert page.locator('#code li[aria-current="step"] mark').count() == 1


def test_a_part_of_a_line_tells_its_numbers(opened):
    loss = gallery.steel()
    page = opened(explore(loss).html)
    part = page.locator("#code .x").get_by_text("softmax(z)", exact=True).last
    part.hover()
    assert "not computed yet" in page.locator("#tip").inner_text()
    page.keyboard.press("End")
    page.mouse.move(0, 0)
    part.hover()
    assert "(10, 7) float64" in page.locator("#tip").inner_text()
    assert page.locator("#tip img").get_attribute("src").startswith("data:image/png")


def test_a_heatmap_tells_its_numbers(opened):
    loss = gallery.steel()
    w = next(t for t in pages.leaves(loss) if t.name == "w")
    page = opened(explore(loss).html)
    page.keyboard.press("End")
    card(page, "w").click()
    canvas = page.locator("#value canvas").first
    canvas.focus()
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    value, gradient = page.locator("#value output").all_inner_texts()
    assert value.startswith("w[11, 1] = ") and gradient.startswith("G_w[11, 1] = ")
    np.testing.assert_allclose(float(value.split("= ")[1]), w.data[11, 1], rtol=1e-3)
    np.testing.assert_allclose(float(gradient.split("= ")[1]), w.grad[11, 1], rtol=1e-3)
    assert page.evaluate("document.documentElement.dataset.step") == str(steps_of(page))


def test_the_way_of_a_gradient_and_what_it_promises(opened):
    page = opened(explore(gallery.steel()).html)
    page.keyboard.press("End")
    card(page, "w").click()
    assert page.locator(".way button").all_inner_texts() == ["loss", "CE", "z", "@", "w"]
    promise = page.locator(".more").last.inner_text()
    assert promise.startswith("What it promises") and "Raise w[" in promise
    slope, gradient = page.locator(".more b").all_inner_texts()
    np.testing.assert_allclose(float(slope.split()[-1]), float(gradient), rtol=1e-2)
    page.locator(".way button").nth(2).click()
    assert "G_z = " in say(page)


def test_a_card_and_a_line_by_keyboard(opened):
    page = opened(explore(gallery.steel()).html)
    page.locator('.card[tabindex="0"]').focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("z,")
    assert page.locator("h2").inner_text() == "z"
    page.keyboard.press("Enter")
    assert say(page).startswith("FORWARD 2/4")
    page.locator('#code li[tabindex="0"]').focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert say(page).startswith("FORWARD 4/4")


def test_what_is_kept_in_view(opened):
    page = opened(explore(gallery.steel()).html)
    card(page, "w").click()
    page.locator(".pin").click()
    page.keyboard.press("End")
    assert page.locator("h2").inner_text() == "w"
    assert page.evaluate("document.activeElement.className") == "pin"  # the focus stays


def test_an_arrow_of_single_numbers_says_them(opened):
    page = opened(explore(gallery.micrograd()).html)
    page.keyboard.press("End")
    arrow = page.locator('.arrow[aria-label^="arrow from d to L"] text')
    assert arrow.all_text_contents() == ["4", "g * f", "= 1 * -2 = -2"]


def test_each_line_has_its_step(opened):
    """Gradients that are handed on as they are, under names of their own, come in their own lines."""
    page = opened(explore(gallery.micrograd()).html)
    met = []
    for _ in range(10):
        page.keyboard.press("ArrowRight")
        met.append(page.locator("#code li[aria-current] .text").inner_text())
    backward = ["G_L = 1.0", "G_f = G_L * d", "G_d = G_L * f", "G_c = G_d", "G_e = G_d"]
    assert met == [
        *("e = a * b", "d = e + c", "L = d * f"),
        *backward,
        *("G_a = G_e * b", "G_b = G_e * a"),
    ]


def test_a_fold_says_what_it_is(opened):
    page = opened(explore(shared_scenes.rnn(39)).html)
    fold = page.locator(".card.k-fold")
    assert fold.locator(".kind").text_content() == "FOLD \N{MULTIPLICATION SIGN} 39"
    page.keyboard.press("End")
    assert "39 \N{MULTIPLICATION SIGN} matmul" in say(page) and "back to b" in say(page)
    assert page.locator("#code li.also.backward").count() > 10  # all lines that it stands for
    assert "What all of them send, added up." in page.locator("#value").inner_text()
    np.testing.assert_allclose(first_number(page), loss_gradient("b"), rtol=1e-3)


def first_number(page):
    """The first number of the gradient in the panel, read by keyboard."""
    page.locator("#value canvas").last.focus()
    page.keyboard.press("ArrowRight")
    return float(page.locator("#value output").last.inner_text().split("= ")[1])


def loss_gradient(name):
    loss = shared_scenes.rnn(39)
    return next(t for t in pages.leaves(loss) if t.name == name).grad[0]


def test_without_source_lines(opened):
    data = dict(explore(gallery.micrograd()).data)
    data["lines"] = []
    data["steps"] = [{**step, "line": None, "span": None} for step in data["steps"]]
    page = opened(page_file(data, "", "auto"))
    assert not page.locator("#code").is_visible()
    page.keyboard.press("End")
    assert card(page, "a").locator(".num").all_text_contents() == ["2", "6"]


def test_zoom_and_follow(opened):
    page = opened(explore(gallery.mlp()).html)
    width = "document.querySelector('.view svg').getBoundingClientRect().width"
    first = page.evaluate(width)
    page.keyboard.press("+")
    np.testing.assert_allclose(page.evaluate(width), 1.2 * first, rtol=0.01)
    page.keyboard.press("0")
    fits = "(() => { const v = document.querySelector('.view'); return v.scrollHeight <= v.clientHeight; })()"
    assert page.evaluate(fits)
    page.keyboard.press("+")
    for _ in range(5):
        page.keyboard.press("+")
    page.locator(".zoom button", has_text="follow").click()
    page.keyboard.press("Home")
    top = page.evaluate("document.querySelector('.view').scrollTop")
    page.keyboard.press("End")
    assert page.evaluate("document.querySelector('.view').scrollTop") == top
    page.locator(".zoom button", has_text="follow").click()
    assert page.evaluate("document.querySelector('.view').scrollTop") != top
