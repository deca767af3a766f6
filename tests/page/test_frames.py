"""Pages inside of others: sandboxed, several, out of sight, with no size at first; and hostile names."""

import gallery
import numpy as np
import pages

from tinygrad_steel import Tensor, compare_backprop, explore

X, Y, W = np.eye(4, 3), np.ones((4, 2)), np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]])

# How large the graph is, and how its window is divided.
PLACES = """[document.querySelector(".view svg").getAttribute("width"),
    document.querySelector("main").style.gridTemplateColumns]"""


def drawn(frame):
    frame.wait_for_selector(".view svg .card", state="attached")
    return frame.evaluate("document.querySelector('.view svg').getBoundingClientRect().width") > 50


def test_three_frames_on_one_page(opened):
    """As a notebook has them: the second and third come into sight by scrolling."""
    shown = [
        explore(f())._repr_mimebundle_()["text/html"]
        for f in (gallery.micrograd, gallery.steel, gallery.mlp)
    ]
    page = opened("<!doctype html><p>notebook</p>" + "<hr>".join(shown), 1000, 700)
    frames = page.frames[1:]
    assert len(frames) == 3
    for i, frame in enumerate(frames):
        page.locator("iframe").nth(i).scroll_into_view_if_needed()
        page.wait_for_timeout(200)
        assert drawn(frame)
        frame.locator("#title").click()
        page.keyboard.press("ArrowRight")
        assert frame.evaluate("document.documentElement.dataset.step") == "1"
    assert [f.evaluate("document.documentElement.dataset.step") for f in frames] == ["1"] * 3
    for frame in frames:
        assert frame.evaluate("window.origin") == "null"  # sandboxed, with no origin of its own


def test_a_frame_with_no_size_at_first(opened):
    html = explore(gallery.steel())._repr_mimebundle_()["text/html"]
    page = opened(f'<!doctype html><div id="box" style="display: none">{html}</div>', 1000, 700)
    page.wait_for_timeout(300)
    page.evaluate("document.getElementById('box').style.display = 'block'")
    page.wait_for_timeout(500)
    assert drawn(page.frames[1])
    at_once = opened(f"<!doctype html><div>{html}</div>", 1000, 700)
    assert drawn(at_once.frames[1])
    assert page.frames[1].evaluate(PLACES) == at_once.frames[1].evaluate(PLACES)


def long_backward(x, y, w):
    """A backprop whose wrong line stands far below."""
    a = x @ w
    b = a - y
    c = b * b
    d = c.sum(axis=1)
    e = d.mean()
    f = e * 2
    h = f + 1
    i = h - 1
    j = i / 2
    assert j == e
    G_z = b / len(x)  # without the 2
    G_w = x.T @ G_z
    return G_w


def test_a_frame_that_gets_its_size_late_shows_the_wrong_line(opened):
    loss = np.mean(np.sum(np.square((x := Tensor(X)) @ (w := Tensor(W, True)) - Y), axis=1))
    names = {"x": x, "w": w}
    report = compare_backprop(loss, names, backprop=lambda: long_backward(X, Y, W))
    assert not report.ok
    html = explore(loss, names, chains=report)._repr_mimebundle_()["text/html"]
    page = opened(f'<!doctype html><div id="box" style="display: none">{html}</div>', 900, 700)
    page.wait_for_timeout(300)
    page.evaluate("document.getElementById('box').style.display = 'block'")
    page.wait_for_timeout(500)
    box, line = page.frames[1].locator(".own"), page.frames[1].locator(".line.first")
    own, wrong = box.bounding_box(), line.bounding_box()
    assert box.evaluate("box => box.scrollHeight > box.clientHeight")
    assert own["y"] <= wrong["y"] and wrong["y"] + wrong["height"] <= own["y"] + own["height"]


def test_hostile_names_come_out_literally(opened):
    page = opened(explore(pages.hostile(), fold=False).html)
    page.keyboard.press("End")
    assert page.locator("img[src='x']").count() == page.locator("svg[onload]").count() == 0
    texts = page.locator(".card > title").all_text_contents()
    for name in pages.HOSTILE[:4]:
        assert any(text.startswith(name) for text in texts), name
    assert page.evaluate("document.scripts.length") == 2
    page.locator(".card", has=page.locator("title", has_text="<img src=x")).last.click()
    assert page.locator("h2").inner_text() == pages.HOSTILE[0]


def test_a_style_or_a_script_from_outside_is_refused(browser, tmp_path):
    """The page's own policy, seen at work: what is put in afterwards does not run."""
    file = tmp_path / "page.html"
    file.write_text(explore(gallery.micrograd()).html, encoding="utf-8")
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(file.as_uri())
    page.evaluate(
        """() => { const s = document.createElement("script"); s.textContent = "window.ran = 1";
        document.body.append(s); document.body.setAttribute("style", "color: red"); }"""
    )
    assert page.evaluate("window.ran === undefined")
    assert len([text for text in refused if "Content Security Policy" in text]) == 2
    page.close()
