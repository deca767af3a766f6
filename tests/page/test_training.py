"""The second slider of a page: the moments of a training run, beside the steps of the graph."""

import re

import numpy as np
import pytest
from pages import card, probe, there_and_back

from tinygrad_steel import (
    SGD,
    Record,
    Tensor,
    compare_backprop,
    explore,
    relu,
    sigmoid,
    softmax_cross_entropy,
)

WIDTHS = (320, 400, 800, 1400, 2200)


def leaf(rng, shape, name):
    return Tensor(rng.normal(size=shape), requires_grad=True, name=name)


class Network:
    """A perceptron that is trained on one batch; `run` has its frames, `past` its w2 and loss at each."""

    def __init__(self, rate=0.3, steps=9, activation=relu, sizes=(4, 6, 3)):
        rng = np.random.default_rng(3)
        self.x, self.y = rng.normal(size=(5, sizes[0])), rng.integers(0, sizes[-1], 5)
        self.w1, self.b1 = leaf(rng, sizes[:2], "w1"), leaf(rng, sizes[1], "b1")
        self.w2, self.b2 = leaf(rng, sizes[1:], "w2"), leaf(rng, sizes[2], "b2")
        self.activation = activation
        self.loss = self.computed()
        self.run = Record(self.loss)
        self.past = []
        self.trained(steps, rate)

    def trained(self, steps, rate=0.3):
        optimizer = SGD([self.w1, self.b1, self.w2, self.b2], rate)
        with np.errstate(all="ignore"):
            for step in range(steps):
                loss = self.computed()
                optimizer.zero_grad()
                loss.backward()
                self.past.append((loss.item(), self.w2.numpy(), np.array(self.w2.grad)))
                self.run.keep(10 * step)
                optimizer.step()

    def computed(self):
        h = self.activation(Tensor(self.x, name="x") @ self.w1 + self.b1)
        loss = softmax_cross_entropy(h @ self.w2 + self.b2, Tensor(self.y, name="y")).mean()
        loss.name = "loss"
        return loss

    @property
    def html(self):
        return explore(self.loss, record=self.run).html


def frame(page):
    return page.evaluate("document.documentElement.dataset.frame")


def step(page):
    return page.evaluate("document.documentElement.dataset.step")


def moment(page):
    return page.locator(".moment").inner_text()


def cells(page, which):
    """The numbers of the heatmaps in the panel, as each canvas says when it is asked."""
    canvas = page.locator("#value canvas").nth(which)
    canvas.focus()
    found = []
    for key in ("ArrowUp", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        text = page.locator("#value .map").nth(which).locator("output").inner_text()
        found.append((text.split(" = ")[0], float(text.split(" = ")[1])))
    return found


def test_without_a_record_there_is_no_second_slider(opened):
    page = opened(explore(Network(steps=1).loss).html)
    assert not page.locator("#training").is_visible()
    page.locator("#keys summary").click()
    assert "training" not in page.locator(".pop").inner_text()
    page.keyboard.press("Shift+ArrowRight")
    assert step(page) == "1"  # as ever


def test_frames_by_keyboard_there_and_back(opened):
    page = opened(Network().html)
    assert frame(page) == "0" and step(page) == "0"
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    there_and_back(page, 8, "Shift+", lambda k: (frame(page), step(page)) == (str(k), "5"))


def test_step_and_frame_do_not_know_of_each_other(opened, seen):
    """Whichever is moved first, the same is seen."""
    html = Network().html
    last = 16
    for at_frame, at_step in ((3, 0), (0, 7), (8, last), (5, 11)):
        texts = set()
        for first in ("frame", "step", "both"):
            page = opened(html)
            frames, steps = ["Shift+ArrowRight"] * at_frame, ["ArrowRight"] * at_step
            keys = frames + steps if first == "frame" else steps + frames
            if first == "both":
                keys = ["Shift+End", "End", "Shift+Home", "Home", *keys]
            for key in keys:
                page.keyboard.press(key)
            assert (frame(page), step(page)) == (str(at_frame), str(at_step))
            page.evaluate("document.querySelector('.view').scrollTo(0, 0)")
            texts.add(seen(page))
        assert len(texts) == 1


def test_numbers_are_those_of_their_moment(opened):
    network = Network()
    page = opened(network.html)
    page.keyboard.press("End")
    card(page, "w2").click()
    for k, (loss, w2, gradient) in enumerate(network.past):
        if k in (0, 4, 8):
            assert f"training step {10 * k} of 80" in moment(page)
            shown = re.search(r"loss ([\d.e+-]+)", moment(page))[1]
            assert float(shown) == pytest.approx(loss, rel=1e-3)
            assert float(card(page, "loss").locator(".num.v").text_content()) == pytest.approx(
                loss, rel=1e-3
            )
            for which, array in ((0, w2), (1, gradient)):
                places = [(0, 0), (0, 1), (1, 1)]
                for (place, number), at in zip(cells(page, which), places):
                    assert place.endswith(f"[{at[0]}, {at[1]}]")
                    assert number == pytest.approx(array[at], rel=6e-3, abs=1e-9)
            text = card(page, "w2").locator(".cap.g").text_content()
            length = float(text.removeprefix("|grad| "))
            assert length == pytest.approx(np.linalg.norm(gradient), rel=1e-2)
            out = page.locator("#code li", has_text="loss = np.mean").locator(".out").inner_text()
            assert float(out.removeprefix("= ")) == pytest.approx(loss, rel=1e-3)
        page.keyboard.press("Shift+ArrowRight")


def test_scalars_of_their_moment(opened):
    """(a * x - 3)^2 with x = 2: for a = 1 it is 1, its slope 2 * -1 * 2; for a = 2 it is 1, and 4."""
    a, x = Tensor(1.0, requires_grad=True, name="a"), Tensor(2.0, name="x")
    z = a * x - 3.0
    loss = z * z
    loss.name = "loss"
    run = Record(loss)
    run.keep(0)
    a.data = np.array(2.0)
    run.keep(1)
    page = opened(explore(loss, record=run).html)
    page.keyboard.press("End")
    for shown in (["1", "-4"], ["2", "4"]):
        assert card(page, "a").locator(".num").all_text_contents() == shown
        assert card(page, "loss").locator(".num").all_text_contents() == ["1", "1"]
        page.keyboard.press("Shift+ArrowRight")


def test_one_scale_of_colours_over_time(opened):
    """A weight of 1 that grows to 4 has a quarter of the colour at first, and the full one at the end."""
    w = Tensor([[1.0, 1.0]], requires_grad=True, name="w")
    loss = (w * 1.5).sum()
    run = Record(loss)
    run.keep(0)
    w.data = np.array([[4.0, 4.0]])
    run.keep(1)
    page = opened(explore(loss, record=run).html)
    card(page, "w").click()
    pixel = """() => { const c = document.querySelector('#value canvas');
        return [...c.getContext('2d').getImageData(3, 3, 1, 1).data].slice(0, 3) }"""
    zero, full = np.array([247, 248, 249]), np.array([194, 65, 12])
    for share in (0.25, 1.0):
        np.testing.assert_allclose(page.evaluate(pixel), zero + (full - zero) * share, atol=2)
        page.keyboard.press("Shift+End")


def test_an_arrow_is_as_thick_as_the_gradient_of_its_moment(opened):
    w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    loss = np.square(w).sum()
    run = Record(loss)
    widths = []
    for k, size in enumerate((1.0, 1e-4, 0.0)):
        w.data = np.array([1.0, 2.0]) * size
        run.keep(k)
    page = opened(explore(loss, record=run).html)
    page.keyboard.press("End")
    for _ in range(3):
        path = page.locator(".arrow .b").first
        widths.append(float(path.get_attribute("stroke-width")))
        page.keyboard.press("Shift+ArrowRight")
    assert widths == sorted(widths, reverse=True) and len({*widths}) == 3


def test_the_slider_itself(opened):
    """It has the keys of every slider, also plain arrows, and says what a reader sees."""
    page = opened(Network().html)
    slider = page.get_by_role("slider", name="training")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert frame(page) == "2" and step(page) == "0"
    page.keyboard.press("End")
    assert frame(page) == "8"
    assert slider.get_attribute("aria-valuetext").startswith("training step 80 of 80, loss ")
    page.locator(".run button.back").click()
    assert frame(page) == "7"


def test_play(opened):
    page = opened(Network(steps=4).html)
    page.locator(".drive select").select_option("4")
    page.locator("body").press("Shift+Space")
    page.wait_for_selector("html[data-frame='3']")
    page.wait_for_selector('.run [aria-label="play the training (shift space)"]')
    page.locator(".drive select").select_option("0.5")
    page.locator("body").press("Shift+Space")  # from the start again
    page.wait_for_selector("html[data-frame='1']")
    page.keyboard.press("Space")  # one of both plays
    page.wait_for_selector('.run [aria-label="play the training (shift space)"]')
    page.wait_for_selector("html[data-step='2']")


def test_the_keys_are_said(opened):
    page = opened(Network().html)
    page.locator("#keys summary").click()
    text = page.locator(".pop").inner_text()
    assert "Shift ← →" in text and "training: one frame back, one on" in text


# The curve


def heights(page):
    numbers = re.findall(r"[ML]([\d.]+) ([\d.]+)", page.locator(".plot .loss").get_attribute("d"))
    return np.array(numbers, float)


def recorded(losses):
    """A record whose losses are these."""
    w = Tensor([1.0], requires_grad=True, name="w")
    loss = w.sum()
    run = Record(loss)
    for k, x in enumerate(losses):
        w.data = np.array([x])
        run.keep(k)
    return explore(loss, record=run).html


def test_the_curve_of_a_loss(opened):
    page = opened(recorded([4.0, 2.0, 1.0, 3.0, 2.0]))
    np.testing.assert_allclose(heights(page)[:, 0], [0, 250, 500, 750, 1000])
    np.testing.assert_allclose(heights(page)[:, 1], [0, 66.7, 100, 33.3, 66.7])
    assert page.locator(".axis").inner_text().split("\n") == ["4", "loss", "1"]


def test_a_loss_that_spans_decades_is_drawn_by_its_logarithm(opened):
    page = opened(recorded([100.0, 10.0, 1.0, 0.1, 0.01]))
    np.testing.assert_allclose(heights(page)[:, 1], [0, 25, 50, 75, 100])
    assert "loss, log" in page.locator(".axis").inner_text()
    page = opened(recorded([100.0, 10.0, 0.0]))  # of 0 there is none
    np.testing.assert_allclose(heights(page)[:, 1], [0, 90, 100])
    page = opened(recorded([3.0, 3.0]))
    np.testing.assert_allclose(heights(page)[:, 1], [50, 50])


def test_moments_in_which_the_loss_is_no_number(opened):
    page = opened(recorded([4.0, 2.0, np.nan, np.inf, 1.0]))
    assert len(heights(page)) == 3 and page.locator(".plot .lost").count() == 2
    assert page.locator(".plot .loss").get_attribute("d").count("M") == 2  # no line across
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert "loss nan" in moment(page)
    assert page.locator(".plot i.lost").count() == 1
    assert "The loss is nan" in page.locator(".hints").inner_text()
    page = opened(recorded([np.nan]))
    assert page.locator(".axis").inner_text() == "loss"


def test_one_frame(opened):
    page = opened(recorded([2.0]))
    page.keyboard.press("Shift+End")
    assert frame(page) == "0" and "training step 0 of 0" in moment(page)


# Hints


def test_a_hint_leads_to_its_value(opened):
    network = Network(steps=0)
    run = network.run
    run.keep(100)
    network.b1.data = np.full(6, -99.0)
    run.keep(101)
    page = opened(explore(network.loss, record=run).html)
    page.keyboard.press("Shift+End")
    hint = page.locator(".hints button", has_text="All 6 units of")
    text = hint.inner_text()
    hint.click()
    name = re.search(r"units of (\w+) are dead", text)[1]
    assert page.locator("h2").inner_text() == name and step(page) == "0"
    assert text in page.get_by_role("slider", name="training").get_attribute("aria-valuetext")
    fell = page.locator(".hints button", has_text="|G_w1| fell from")
    fell.click()
    assert page.locator("h2").inner_text() == "w1"


def test_what_a_gradient_promises_was_tried_before_the_training(opened):
    page = opened(Network().html)
    page.keyboard.press("End")
    card(page, "w2").click()
    assert page.locator("#value", has_text="What it promises").count() == 1
    page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#value", has_text="What it promises").count() == 0


def test_comparing_shows_the_graph_that_was_compared(opened):
    network = Network(steps=0)
    report = compare_backprop(network.loss, G_w2=np.zeros((6, 3)))
    network.trained(9)
    page = opened(explore(network.loss, record=network.run, chains={"mine": report}).html)
    assert "G_w2" in page.locator("#banner").inner_text()
    page.locator("#chain").select_option("-1")
    page.keyboard.press("Shift+End")
    page.locator("#chain").select_option("0")
    assert frame(page) == "-1"
    assert page.get_by_role("slider", name="training").is_disabled()
    assert "While comparing" in page.locator(".hints").inner_text()
    page.locator("#chain").select_option("-1")
    assert frame(page) == "8"


# How it looks


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_sideways(width, opened):
    page = opened(Network(rate=30.0, activation=np.square).html, width, 850)
    for key in ("Shift+ArrowRight", "Shift+End", "End"):
        page.keyboard.press(key)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not probe(page, "cut")
    footer = page.locator("footer").bounding_box()
    assert footer["y"] + footer["height"] <= 850.5
    assert page.locator(".curve").bounding_box()["width"] >= 120


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme, opened):
    network = Network(activation=sigmoid)
    page = opened(network.html, 1600, 1600, color_scheme=theme)
    page.keyboard.press("End")
    for key in ("Shift+ArrowRight", "Shift+End"):
        page.keyboard.press(key)
        assert min(probe(page, "contrasts"))[0] >= 4.5


def test_keyboard_alone_and_names(opened):
    page = opened(Network().html)
    met = {}
    for _ in range(40):
        page.keyboard.press("Tab")
        name, shown = probe(page, "focus")
        met[name] = shown
    for part in ("INPUT training", "BUTTON play the training", "BUTTON one frame on"):
        assert any(part in name and shown for name, shown in met.items()), part


def test_what_is_not_there_is_not_said_to_be_a_number(opened):
    page = opened(Network(rate=1e200, activation=np.square).html)
    page.keyboard.press("End")
    page.keyboard.press("Shift+End")
    assert "not finite" in page.locator(".view").inner_text()
    assert card(page, "loss").locator(".num.v").text_content() == "nan"


def test_three_frames_on_one_page(opened):
    network = Network()
    bundle = explore(network.loss, record=network.run)._repr_mimebundle_()["text/html"]
    page = opened(f"<!doctype html>{bundle * 2}", 1000, 1300)
    first, second = page.frames[1:]
    first.locator("#title").click()
    page.keyboard.press("Shift+End")
    numbers = [f.evaluate("document.documentElement.dataset.frame") for f in (first, second)]
    assert numbers == ["8", "0"]
