"""Comparing a backprop of one's own: the first wrong step, both arrays, and the line in one's own source.

Which line is wrong is known from the text that the test writes, and the numbers from the chain's own arrays.
"""

from __future__ import annotations

import itertools
import linecache
import textwrap

import numpy as np
import pytest
from pages import card, probe, there_and_back

from tinygrad_steel import Tensor, compare_backprop, explore, relu, scope

NUMBERS = itertools.count()
rng = np.random.default_rng(5)
X, Y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
P = {
    "W": rng.normal(size=(3, 4)),
    "b": rng.normal(size=4),
    "V": rng.normal(size=(4, 2)),
}
Z = X @ P["W"] + P["b"]
H = np.maximum(Z, 0)
G_O = (H @ P["V"] - Y) / 6  # of a mean of squares over 12 numbers
G_H = G_O @ P["V"].T
G_Z = G_H * (Z > 0)
RIGHT = {"o": G_O, "h": G_H, "z": G_Z, "W": X.T @ G_Z, "b": G_Z.sum(axis=0), "V": H.T @ G_O}


def network():
    """A loss whose gradients are RIGHT, and its Tensors by name."""
    t = {name: Tensor(p, requires_grad=True, name=name) for name, p in P.items()}
    x, y = Tensor(X, name="x"), Tensor(Y, name="y")
    with scope("hidden"):
        z = x @ t["W"] + t["b"]
        h = relu(z)
    o = h @ t["V"]
    return np.mean(np.square(o - y)), {**t, "x": x, "y": y, "z": z, "h": h, "o": o}


FUNCTION = """
    def backward(x, y, W, b, V):
        z = x @ W + b
        h = np.maximum(z, 0)
        do = (h @ V - y) / 6
        dV = h.T @ do
        dh = do @ V.T
        mask = z > 0
        dz = dh * mask
        dW = x.T @ dz
        db = dz.sum(axis=0)
        return dW, db, dV
"""
METHOD = """
    class Net:
        def __init__(self, x, y, W, b, V):
            self.all = x, y, W, b, V

        def backward(self):
            x, y, W, b, V = self.all
            self.z = x @ W + b
            self.h = np.maximum(self.z, 0)
            self.do = (self.h @ V - y) / 6
            self.grads = {"V": self.h.T @ self.do}
            self.dz = (
                self.do @ V.T
                * (self.z > 0)
            )
            self.grads["W"] = x.T @ self.dz
            self.grads["b"] = self.dz.sum(axis=0)
            return self.grads

    backward = lambda *all: Net(*all).backward()
"""
LAMBDAS = """
    def made(x, y, W, b, V):
        z = x @ W + b
        h = np.maximum(z, 0)
        of_o = lambda: (h @ V - y) / 6
        of_z = lambda do: do @ V.T * (z > 0)
        return lambda: dict(V=h.T @ of_o(), W=x.T @ of_z(of_o()), b=of_z(of_o()).sum(axis=0))

    backward = lambda *all: made(*all)()
"""
SIGN = ("(h @ V - y) / 6", "(y - h @ V) / 6")
STYLES = {
    "function": (FUNCTION, *SIGN),
    "method": (METHOD, "(self.h @ V - y) / 6", "(y - self.h @ V) / 6"),
    "statement over lines": (METHOD, "* (self.z > 0)", "* (self.z > -9)"),
    "lambdas": (LAMBDAS, *SIGN),
}


def written(text, right="", wrong=""):
    """A text with what is wrong in the place of what is right, its function, and the number of that line."""
    assert not right or textwrap.dedent(text).count(right) == 1
    text = textwrap.dedent(text).strip("\n").replace(right, wrong) + "\n"
    file = f"/somewhere/mine{next(NUMBERS)}.py"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    space = {"np": np, "__name__": "mine"}
    exec(compile(text, file, "exec"), space)
    line = 1 + text[: text.index(wrong)].count("\n") if wrong else 0
    return text, space["backward"], line


def compared(text, right="", wrong="", **options):
    """The page of a report on such a text, and the number of the wrong line."""
    _, backward, line = written(text, right, wrong)
    loss, names = network()
    arrays = [X, Y, *P.values()]
    report = compare_backprop(loss, names, backprop=lambda: backward(*arrays))
    return explore(loss, names, chains=report, **options), line


def handed(**changed):
    """The page of arrays, some of them changed."""
    loss, names = network()
    arrays = {
        f"G_{n}": changed.get(n, g) for n, g in RIGHT.items() if changed.get(n, g) is not None
    }
    return explore(loss, names, chains={"mine": compare_backprop(loss, names, **arrays)})


def at(page):
    """The card of the current step."""
    return page.evaluate(
        """() => { const data = JSON.parse(document.getElementById("data").textContent);
        const step = data.steps[+document.documentElement.dataset.step];
        return data.cards.find((card) => card.id === step.n)?.name; }"""
    )


def own_line(page, number):
    return page.locator(f'.own .line[data-line="{number}"]')


def go_to(page, name):
    page.keyboard.press("End")
    while at(page) != name:
        page.keyboard.press("ArrowLeft")


# The learner's own source


@pytest.mark.parametrize("style", STYLES)
def test_the_first_wrong_line_stands_out_in_ones_own_source(style, opened):
    text, right, wrong = STYLES[style]
    found, number = compared(text, right, wrong)
    page = opened(found.html)
    first = page.locator(".own .line.first")
    texts = first.locator(".text").all_inner_texts()
    assert any(wrong in text for text in texts)
    numbers = [int(line.get_attribute("data-line")) for line in first.all()]
    assert number in numbers and {first.first.get_attribute("data-verdict")} == {"wrong"}
    assert page.locator(".own .line.first").first.locator(".gutter svg").count() == 1
    assert "first wrong step" in page.locator(".own").inner_text()
    # The reason stands right under its last line, and all of it is in view.
    reason = page.locator(".own .reason.first")
    assert "first wrong step" in reason.inner_text() and first.last.evaluate(
        "(line) => line.nextElementSibling.matches('.reason.first')"
    )
    box, window = reason.bounding_box(), page.locator(".own").bounding_box()
    assert (
        window["y"] <= box["y"] and box["y"] + box["height"] <= window["y"] + window["height"] + 1
    )


def test_the_page_opens_at_the_first_wrong_step_with_its_reason(opened):
    found, _ = compared(FUNCTION, *SIGN)
    page = opened(found.html, 1000, 640)
    banner = page.locator("#banner").inner_text()
    assert "First wrong step: do (G_o), the sign is wrong." in banner
    assert at(page) == "o" and "5 follow from it" in banner
    box, window = card(page, "o").bounding_box(), page.locator(".view").bounding_box()
    assert window["y"] <= box["y"] and box["y"] + box["height"] <= window["y"] + window["height"]
    assert "first wrong step" in page.locator(".say").inner_text()
    assert (
        page.locator(".scrub input").get_attribute("aria-valuetext").endswith(", first wrong step")
    )
    assert page.locator("h2").inner_text() == "o"


def test_lines_have_their_verdicts_and_that_of_the_step_is_marked(opened):
    found, number = compared(FUNCTION, "dz = dh * mask", "dz = dh * 1")
    page = opened(found.html)
    verdicts = {n: own_line(page, n).get_attribute("data-verdict") for n in range(1, 12)}
    assert number == 8
    assert verdicts == {
        **dict.fromkeys((1, 2, 3, 7, 11)),
        **dict.fromkeys((4, 5, 6), "right"),
        8: "wrong",
        **dict.fromkeys((9, 10), "follows"),
    }
    for name, line in {"o": 4, "V": 5, "h": 6, "z": 8, "W": 9, "b": 10}.items():
        go_to(page, name)
        current = page.locator('.own [aria-current="step"]')
        assert [int(one.get_attribute("data-line")) for one in current.all()] == [line], name
        # Beside each other: that line, and the graph's code for it.
        both = page.locator("#value .both dd").all_inner_texts()
        assert own_line(page, line).locator(".text").inner_text().strip() in both[0]
        assert both[-1].startswith(f"G_{name} = ")
    page.keyboard.press("Home")
    assert page.locator('.own [aria-current="step"]').count() == 0


def test_a_line_goes_to_its_step(opened):
    page = opened(compared(FUNCTION, *SIGN)[0].html)
    own_line(page, 9).locator("button").press("Enter")
    assert at(page) == "W"
    own_line(page, 6).click()
    assert page.locator("h2").inner_text() == "h"


def test_lines_that_made_parts_of_a_wrong_step_are_named(opened):
    found, _ = compared(FUNCTION, "dV = h.T @ do", "half = h / 2; dV = half.T @ do")
    page = opened(found.html)
    assert "first wrong step" in own_line(page, 5).inner_text()
    found, _ = compared(FUNCTION, "dV = h.T @ do", "half = h / 2\n    dV = half.T @ do")
    page = opened(found.html)
    assert "a part of it" in own_line(page, 5).inner_text()
    assert "first wrong step" in own_line(page, 6).inner_text()


@pytest.mark.parametrize("width, is_beside", [(1900, True), (1400, True), (390, False)])
def test_both_sources_stand_side_by_side_where_there_is_room(width, is_beside, opened):
    page = opened(compared(FUNCTION, *SIGN)[0].html, width, 1000)
    yours, graphs = page.locator(".yours").bounding_box(), page.locator(".source").bounding_box()
    if is_beside:
        assert yours["x"] + yours["width"] <= graphs["x"] + 1
    else:
        assert yours["y"] + yours["height"] <= graphs["y"] + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_long_function_is_shown_around_its_wrong_line(opened):
    """Steps beyond what is shown have no line to mark."""
    lines = FUNCTION.replace("dW = x", "pass\n" * 450 + "dW = x").replace(
        "\npass", "\n        pass"
    )
    found, number = compared(lines.replace("\ndW", "\n        dW"), *SIGN)
    page = opened(found.html)
    assert page.locator(".yours h3").inner_text().endswith("400 of 461 lines")
    assert "first wrong step" in own_line(page, number).inner_text()
    go_to(page, "W")
    assert page.locator('.own [aria-current="step"]').count() == 0
    assert "x.T @ dz" in page.locator("#value .both").inner_text()


def test_arrays_have_no_source_and_the_graphs_has_all_the_room(opened):
    page = opened(handed(o=-G_O).html)
    assert page.locator(".yours").count() == 0
    wide = page.locator("#code").bounding_box()["width"]
    assert page.locator(".source").bounding_box()["width"] > 0.95 * wide


def test_code_is_shown_as_it_is_written(opened):
    hostile = "do = (y - h @ V) / 6  # </script><img src=x onerror=alert(1)> & {{data}}"
    found, number = compared(FUNCTION, "do = (h @ V - y) / 6", hostile)
    page = opened(found.html)
    assert own_line(page, number).locator(".text").inner_text() == f"    {hostile}"
    assert page.locator("#code img").count() == 0


# Verdicts


def test_cards_have_their_verdict_by_icon_word_and_border(opened):
    page = opened(handed(h=-G_H, z=-G_Z, W=-RIGHT["W"], b=None).html)
    words = {
        name: card(page, name).locator(".badge text").all_text_contents() for name in "WbVzhoxy"
    }
    assert words == {
        "W": ["follows"],
        "z": ["follows"],
        "b": ["not seen"],
        "h": ["first wrong step"],
        "V": ["right"],
        "o": ["right"],
        "x": [],
        "y": [],
    }
    icons = {name: card(page, name).locator(".badge path").get_attribute("d") for name in "WbVh"}
    assert len({*icons.values()}) == 4
    borders = """(node) => { const style = getComputedStyle(node);
        return [style.strokeWidth, style.strokeDasharray, style.stroke].join(); }"""
    drawn = [card(page, name).locator(".box").last.evaluate(borders) for name in "zho"]
    assert len({*drawn}) == 3
    for name, word in (("h", "first wrong step"), ("W", "follows"), ("b", "not seen")):
        assert card(page, name).get_attribute("aria-label").endswith(word)


def test_lines_of_the_graph_and_the_scrubber_have_the_verdicts(opened):
    page = opened(handed(h=-G_H, z=-G_Z, W=-RIGHT["W"], b=-RIGHT["b"]).html)
    lines = page.locator(".source li[data-verdict]:not([data-verdict=''])")
    found = {
        line.locator(".text").inner_text().split()[0]: line.get_attribute("data-verdict")
        for line in lines.all()
    }
    verdicts = {"G_o": "right", "G_V": "right", "G_h": "wrong"}
    assert found == verdicts | dict.fromkeys(("G_z", "G_W", "G_b"), "follows")
    marks = page.locator(".rail .mark").evaluate_all("(all) => all.map((mark) => mark.className)")
    assert sorted(marks) == sorted(f"mark {verdict}" for verdict in found.values())
    assert page.locator(".rail .mark svg").count() == 6


def test_a_folded_scope_has_the_worst_of_its_verdicts(opened):
    page = opened(handed(z=-G_Z, W=-RIGHT["W"], b=-RIGHT["b"]).html)
    page.get_by_role("button", name="fold hidden").press("Enter")
    assert page.locator(".scope.closed .badge text").all_text_contents() == ["first wrong step"]
    page.locator("#chain").select_option("-1")
    assert page.locator(".scope.closed .badge").count() == 0


def test_all_is_right(opened):
    page = opened(handed().html)
    assert page.locator("#banner").inner_text().split("\n")[-1] == "All 6 gradients are right."
    assert page.evaluate("document.documentElement.dataset.step") == "0"


# Yours beside the graph's


def numbers_read(page):
    """What the two maps say of the cell at their crosshair."""
    return page.locator("#value .map output").all_inner_texts()


def test_yours_and_the_graphs_are_side_by_side_with_the_largest_difference(opened):
    wrong = RIGHT["W"].copy()
    wrong[2, 1] += 0.5
    page = opened(handed(W=wrong).html)
    titles = page.locator("#value .map h3").all_inner_texts()
    assert titles == ["yours: G_W", "the graph's G_W"]
    own, graph = (float(f"{array[2, 1]:.5g}") for array in (wrong, RIGHT["W"]))
    assert "Largest difference 0.5 at [2, 1]" in page.locator(".differences").inner_text()
    assert numbers_read(page) == [f"yours[2, 1] = {own}", f"G_W[2, 1] = {graph}"]
    page.locator("#value canvas").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    own = float(f"{RIGHT['W'][0, 1]:.5g}")
    assert numbers_read(page) == [f"yours[0, 1] = {own}", f"G_W[0, 1] = {own}"]


@pytest.mark.parametrize("factor", [50, 0.01])
def test_both_have_one_scale_of_colours(factor, opened):
    """An element that is the same in both has the same colour, however large or small others are."""
    wrong = RIGHT["W"] * factor
    wrong[-1, -1] = RIGHT["W"][-1, -1]
    page = opened(handed(W=wrong).html)
    # The last cell, at its lower edge, where there is no text and no crosshair.
    colour = """(all) => all.map((canvas) => [...canvas.getContext("2d")
        .getImageData(canvas.width - 3, canvas.height - 3, 1, 1).data].join())"""
    one, other = page.locator("#value canvas").evaluate_all(colour)
    assert one == other


def test_what_is_not_whole_is_said(opened):
    """Other shapes, NaN, and what is divided later."""
    nan = RIGHT["W"].copy()
    nan[1, 2] = np.nan
    page = opened(handed(W=nan).html)
    text = page.locator("#value").inner_text()
    assert "Largest difference inf at [1, 2]: yours nan" in text
    assert "Of yours 1 number is not finite." in text
    page = opened(handed(b=G_Z.sum(axis=1)).html)
    text = page.locator(".differences").inner_text()
    assert "The shapes differ: yours is (6,), the graph's (4,)." in text
    page = opened(handed(o=12 * G_O, h=12 * G_H, z=12 * G_Z).html)
    assert "12 times the graph's" in page.locator("#banner").inner_text()
    go_to(page, "z")
    assert "Yours is divided by 12 here" in page.locator(".differences").inner_text()
    assert "right, by convention" in page.locator(".why").inner_text()


def test_what_was_not_seen_or_judged_is_said(opened):
    lacking = ("db = dz.sum(axis=0)\n    return dW, db, dV", "return dW, dV")
    page = opened(compared(FUNCTION, *lacking)[0].html)
    banner = page.locator("#banner").inner_text()
    assert "No step is wrong, but not all gradients were seen." in banner
    assert "Not seen: the gradient of b." in banner
    page = opened(handed(b=None).html)
    card(page, "b").click()
    assert "The gradient of b was not seen among yours." in page.locator("#value").inner_text()
    w = Tensor(np.array([0.0, 1.0]), requires_grad=True, name="w")
    with np.errstate(all="ignore"):
        loss = np.sum(np.log(w))
        report = compare_backprop(loss, G_w=np.ones(2))
        page = opened(explore(loss, chains=report).html)
    card(page, "w").click()
    assert (
        "No step is wrong, and not all of them could be judged."
        in page.locator("#banner").inner_text()
    )
    assert "the graph's own gradient is infinite" in page.locator(".why").inner_text()


def test_another_forward_is_compared_by_its_value(opened):
    found, number = compared(FUNCTION, "z = x @ W + b", "z = x @ W - b")
    page = opened(found.html)
    assert at(page) == "z" and page.evaluate(
        "document.querySelector('.say .phase').textContent"
    ).startswith("FORWARD")
    assert "wrong" == own_line(page, number).get_attribute("data-verdict")
    assert page.locator("#value .map h3").all_inner_texts() == ["yours: z", "the graph's z"]
    off = 2 * np.abs(P["b"]).max()
    assert f"Largest difference {off:.3g} at" in page.locator(".differences").inner_text()


# The choice, and the state


def test_chains_are_chosen_and_left_again(opened, seen):
    loss, names = network()
    _, first, _ = written(FUNCTION, *SIGN)
    _, second, _ = written(FUNCTION)
    arrays = [X, Y, *P.values()]
    chains = {
        name: compare_backprop(loss, names, backprop=lambda run=run: run(*arrays))
        for name, run in (("first try", first), ("second try", second))
    }
    page = opened(explore(loss, names, chains=chains).html)
    choice = page.locator("#chain")
    assert choice.locator("option").all_inner_texts() == ["nothing", "first try", "second try"]
    assert choice.input_value() == "0"
    choice.select_option("1")
    assert "All 6 gradients are right." in page.locator("#banner").inner_text()
    choice.select_option("-1")
    assert page.locator("#banner").is_hidden() and page.locator(".badge, .yours").count() == 0
    choice.select_option("0")
    there = seen(page)
    choice.select_option("-1")
    choice.select_option("0")
    assert seen(page) == there


def test_there_and_back_by_keyboard(opened):
    page = opened(compared(FUNCTION, *SIGN)[0].html)
    page.keyboard.press("Home")
    there_and_back(page, int(page.locator(".scrub input").get_attribute("max")))


def test_the_banner_goes_to_each_step_by_keyboard(opened):
    page = opened(compared(FUNCTION, *SIGN)[0].html)
    page.keyboard.press("Home")
    page.locator("#banner button", has_text="go to it").press("Enter")
    assert at(page) == "o"
    page.locator("#banner button", has_text="G_W").press("Enter")
    assert at(page) == "W"


def test_what_is_kept_in_view_does_not_hold_the_way_to_the_first_wrong_step(opened):
    page = opened(compared(FUNCTION, *SIGN)[0].html)
    page.keyboard.press("Home")
    page.locator(".pin").click()
    page.locator("#banner button", has_text="go to it").click()
    assert page.locator("h2").inner_text() == "o"


# How it looks


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme, opened):
    """Of all verdicts, with and without one's own source."""
    code = compared(FUNCTION, "dz = dh * mask", "dq = dh * 2; dz = dh * 1")[0]
    arrays = handed(h=-G_H, z=-G_Z, W=-RIGHT["W"], b=None)
    for found in (code, arrays):
        page = opened(found.html, 1800, 2200, color_scheme=theme)
        for key in ("Shift", "ArrowRight", "End", "Home"):
            page.keyboard.press(key)
            ratios = probe(page, "contrasts")
            assert len(ratios) > 40 and min(ratios)[0] >= 4.5, min(ratios)


@pytest.mark.parametrize("width", [320, 400, 800, 1400, 2200])
def test_nothing_is_cut_off_sideways(width, opened):
    long = f"do = (y - h @ V) / 6  # {'long ' * 40}{'x' * 120}"
    page = opened(compared(FUNCTION, "do = (h @ V - y) / 6", long)[0].html, width, 850)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.evaluate(
        """() => [...document.querySelectorAll("#banner *, .yours *")]
        .filter((node) => node.checkVisibility())
        .map((node) => [node.getBoundingClientRect(), node.outerHTML.slice(0, 80)])
        .filter(([box]) => box.left < -0.5 || box.right > innerWidth + 0.5).map(([, html]) => html)"""
    )
    assert cut == []
