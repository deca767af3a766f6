"""The file of a page, without a browser: closed against names and numbers of every kind; how it is shown and saved."""

import base64
import configparser
import hashlib
import html
import json
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path

import gallery
import numpy as np
import pytest
from helpers import leaf

import tinygrad_steel
from tinygrad_steel import SGD, Page, Record, Tensor, compare_backprop, draw, explore, scope
from tinygrad_steel.picture.page import page_file
from tinygrad_steel.picture.page.explore import page_of
from tinygrad_steel.picture.words import printable

FOLDER = Path(page_file.__file__).with_name("browser")
HOSTILE = {
    "ends a script": "</script><img src=x onerror=alert(1)>",
    "ends a style": "</style><svg onload=alert(1)>",
    "ends an attribute": "\"'><b onclick=alert(1) x=\"'",
    "cdata": "]]>",
    "comment": "<!--",
    "comment and script": "<!--<script>",
    "our marks": "{{script}}{{data}}{{title}}{{policy}}",
    "other marks": "${x} %s {0} {x} \\u003c \\g<1> \\1",
    "entity": "&lt;&quot;&#0;",
    "long": "n" * 300,
    "half a pair": "\ud800 and \udfff",
    "ends a line": "a\u2028b\u2029c\nd\re",
    "null": "a\x00b",
    "korean": "한국어 이름",
    "right to left": "שלום \u202e txt",
}


class Elements(HTMLParser):
    """What a browser reads: elements with their attributes in order, and the text in each kind."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.starts, self.texts, self.open = [], {}, []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.starts.append((tag, dict(attributes)))
        self.open = [tag, attributes]
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        self.open = []

    def handle_data(self, text):
        if self.open:
            self.texts[self.open[0]][-1] += text

    def handle_comment(self, text):
        self.starts.append(("comment", {}))

    def attributes(self, tag):
        return [attributes for name, attributes in self.starts if name == tag]


def hostile(name, **options):
    """The page of a loss in which everything that can be given a name has this one."""
    with scope(name):
        x, w = Tensor([1.0, 2.0]), leaf([3.0, 4.0])
        loss = np.exp(x * w).sum()
    return explore(loss, names={name: w, f"{name}2": x, f"{name}3": loss}, **options)


def strict(text):
    """JSON that has no number beyond it."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def data_in(page):
    return strict(Elements(page).texts["script"][0])


# Names and numbers


@pytest.mark.parametrize("what", HOSTILE)
def test_a_name_comes_out_literally(what):
    name = HOSTILE[what]
    page = hostile(name, title=name)
    elements, harmless = Elements(page.html), Elements(hostile("w", title="w").html)
    assert elements.starts == harmless.starts
    assert elements.texts["script"][1] == harmless.texts["script"][1]
    assert elements.texts["style"] == harmless.texts["style"]
    data = data_in(page.html)
    assert data == page.data
    names = {card["name"] for card in data["cards"]}
    assert names >= {printable(name), printable(f"{name}2"), printable(f"{name}3")}
    assert data["scopes"][0]["path"] == [printable(name)]
    assert data["title"] == printable(name)
    assert elements.texts["title"] == [printable(name)]
    page.html.encode("utf-8")


@pytest.mark.parametrize("what", HOSTILE)
def test_a_name_in_a_notebook(what):
    name = HOSTILE[what]
    page = hostile(name)
    bundle = page._repr_mimebundle_()
    shown = Elements(bundle["text/html"])
    harmless = Elements(hostile("w")._repr_mimebundle_()["text/html"])
    assert [tag for tag, _ in shown.starts] == [tag for tag, _ in harmless.starts]
    (frame,) = shown.attributes("iframe")
    # A parser reads "\r\n" and "\r" as "\n"; there are none.
    assert frame["srcdoc"] == page.html and "\r" not in page.html
    bundle["text/html"].encode("utf-8")


def test_what_can_end_a_script_or_a_line_is_escaped():
    text = page_file.in_script({"a": "<>&\u2028\u2029\ud83d\udc4d한"})
    assert text == r'{"a":"\u003c\u003e\u0026\u2028\u2029\ud83d\udc4d한"}'


def test_no_number_beyond_json_is_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        page_file.in_script({"a": float("nan")})


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e300, -1e-300, 5e-324, 0.0])
def test_any_number_is_json(number):
    x = leaf([number, 1.0, -2.0], name="x")
    with np.errstate(all="ignore"):
        page = explore((x * x).sum())
    assert data_in(page.html) == page.data
    first = page.data["arrays"][page.data["cards"][0]["v"]]["v"].split()[0]
    np.testing.assert_equal(float(first.replace("1e999", "inf")), number)


# What a browser may do


def test_the_policy_lets_this_script_run_and_nothing_else():
    elements = Elements(hostile("w").html)
    (policy,) = [
        each["content"]
        for each in elements.attributes("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    data, script = elements.texts["script"]
    (style,) = elements.texts["style"]

    def digest(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "script-src": digest(script),
        "style-src": digest(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert [each.get("type") for each in elements.attributes("script")] == [
        "application/json",
        None,
    ]
    strict(data)


def test_the_policy_stands_before_what_it_is_about():
    tags = [tag for tag, _ in Elements(hostile("w").html).starts]
    assert tags.index("meta") < tags.index("style") < tags.index("script")


def test_nothing_is_fetched():
    page = hostile("w").html
    addresses = {*re.findall(r"\w+://[^\s\"'`<>)]*", page)}
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
    for _, attributes in Elements(page).starts:
        assert not {"src", "href", "action", "style"} & {*attributes}
        assert not [name for name in attributes if name.startswith("on")]
    style = page_file.style_of_page()
    assert "@import" not in style and not re.findall(r"url\((?!['\"]?data:)", style)


NEVER = r"""\.innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\(["']style
|fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|\bimport\b\(|localStorage|sessionStorage|indexedDB
|document\.cookie|DOMParser|createContextualFragment|srcdoc|\.cssText|window\.open|window\.parent|postMessage"""


@pytest.mark.parametrize("name", page_file.SCRIPTS)
def test_a_script_only_adds_text(name):
    source = page_file.piece(name)
    assert re.findall(NEVER.replace("\n", ""), source) == []
    assert "</script" not in source.lower() and "<!--" not in source
    lines = source.splitlines()
    assert lines[0].startswith("// ") and len(lines) <= 450, "the first line says its role"


def test_every_piece_is_used_and_comes_with_the_package():
    names = {file.name for file in FOLDER.iterdir()}
    assert names == {*page_file.SCRIPTS, *page_file.STYLES, "page.html"}
    config = configparser.ConfigParser()
    config.read(FOLDER.parents[3] / "setup.cfg")
    patterns = config["options.package_data"]["tinygrad_steel.picture.page"].split()
    found = {file.name for pattern in patterns for file in FOLDER.parent.glob(pattern)}
    assert found == names
    assert "</style" not in page_file.style_of_page().lower()
    marks = re.findall(r"\{\{(\w+)\}\}", page_file.piece("page.html"))
    assert (
        sorted(marks)
        == sorted({*marks})
        == sorted(["theme", "policy", "title", "style", "text", "data", "script"])
    )


# Sizes


def test_a_small_page_is_small():
    page = explore(gallery.steel()).html
    data = Elements(page).texts["script"][0]
    print(f"{len(page) / 1000:.0f} KB, of which data {len(data) / 1000:.0f} KB")
    assert len(data) < 45_000 and len(page) < 200_000


def test_three_hundred_cards_fit():
    rng = np.random.default_rng(0)
    h = Tensor(rng.normal(size=(32, 64)), name="x")
    for i in range(60):
        with scope(f"hidden[{i}]"):
            w, b = (
                leaf(rng.normal(size=(64, 64)) / 8, name=f"w{i}"),
                leaf(np.zeros(64), name=f"b{i}"),
            )
            h = np.tanh(h @ w + b)
    page = explore(np.square(h).mean(), fold=False)
    assert len(page.data["cards"]) == 303
    print(f"{len(page.html) / 1e6:.2f} MB, {len(page.data['cards'])} cards")
    assert len(page.html.encode()) < 1_600_000


# Made, saved, opened


def mine():
    x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    w = leaf([[0.5]], name="w")
    loss = np.mean(np.square(x @ w - y))
    loss.name = "loss"
    return loss


def test_saving(tmp_path):
    page = explore(mine())
    for file in (tmp_path / "a.html", str(tmp_path / "b.HTML")):
        assert page.save(file) == Path(file)
        assert Path(file).read_bytes() == page.html.encode("utf-8")


@pytest.mark.parametrize("name", ["a.svg", "a", "a.htm", ".html", "a.html.gz"])
def test_a_page_is_saved_as_html_alone(name, tmp_path):
    with pytest.raises(ValueError, match=rf"{re.escape(name)}: a page is saved as \.html; draw"):
        explore(mine()).save(tmp_path / name)
    assert not [*tmp_path.iterdir()]


@pytest.fixture
def browser(monkeypatch):
    """Notes what a browser is to open."""
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    return opened


def test_opening_what_is_saved(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = explore(mine())
    page.save("a page.html")
    assert page.open() == tmp_path / "a page.html"
    assert browser == [(tmp_path / "a page.html").as_uri()]
    assert browser[0].endswith("/a%20page.html")


def test_opening_what_is_not_saved(browser, tmp_path):
    page = explore(mine())
    path = page.open()
    try:
        assert path.read_text(encoding="utf-8") == page.html and browser == [path.as_uri()]
        assert page.open() == path
    finally:
        path.unlink()
    other = page.open()
    assert other.exists()
    other.unlink()


def test_no_browser(monkeypatch, tmp_path):
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    page = explore(mine())
    page.save(tmp_path / "a.html")
    with pytest.warns(UserWarning, match=r"no browser was found: open .*a\.html in one"):
        page.open()


def test_what_it_says_of_itself():
    page = explore(mine())
    assert str(page) == str(draw(mine()))
    cards, steps = len(page.data["cards"]), len(page.data["steps"])
    title = "loss = mean(square(x @ w - y))"
    assert repr(page) == (
        f"<Page of {title}: {cards} cards, {steps} steps; .save('graph.html') or .open() it>"
    )


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_the_theme(theme):
    for page in (explore(mine(), theme=theme).html, draw(mine(), theme=theme).html()):
        assert Elements(page).attributes("html")[0]["data-wanted"] == theme


@pytest.mark.parametrize(
    "title, heading, in_tab",
    [
        (True, "loss = mean(square(x @ w - y))", "loss = mean(square(x @ w - y))"),
        (False, "", "tinygrad_steel"),
        ("Lecture 3", "Lecture 3", "Lecture 3"),
    ],
)
def test_the_title(title, heading, in_tab):
    page = explore(mine(), title=title)
    assert page.data["title"] == heading
    assert Elements(page.html).texts["title"] == [in_tab]


def test_data_and_gradients_stay():
    loss = mine()
    x, w = loss.inputs[0].inputs[0].inputs[0].inputs
    before = x.data.copy(), w.data.copy(), loss.data.copy()
    explore(loss)
    assert w.grad is None
    for array, then in zip((x.data, w.data, loss.data), before):
        np.testing.assert_array_equal(array, then)


def test_without_a_renderer(monkeypatch):
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", "/no/such/dot")
    with scope("linear"):
        h = np.exp(leaf([1.0], name="w"))
    page = explore(h.sum())
    assert len(page.data["layouts"]) == 2
    assert [note for note in page.data["notes"] if "without graphviz" in note] == page.data["notes"]
    assert {*page._repr_mimebundle_()} == {"text/plain", "text/html"}


# In a notebook


def test_a_notebook_shows_a_frame_that_can_do_nothing_but_run():
    page = explore(mine())
    bundle = page._repr_mimebundle_(include=None, exclude=None)
    assert [*bundle][:2] == ["text/plain", "text/html"]
    assert bundle["text/plain"] == str(page)
    shown = Elements(bundle["text/html"])
    (frame,) = shown.attributes("iframe")
    assert frame["sandbox"] == "allow-scripts"
    assert (frame["height"], frame["width"]) == ("600", "100%")
    assert frame["title"].startswith("tinygrad_steel: forward and backward of loss = mean(")
    assert not [each for _, each in shown.starts if "id" in each]  # several stand on one page


def test_what_remains_where_frames_or_scripts_are_stripped():
    page = explore(mine())
    bundle = page._repr_mimebundle_()
    stripped = re.sub(r"<iframe.*?</iframe>", "", bundle["text/html"], flags=re.DOTALL)
    assert html.unescape(re.search(r"<pre>(.*)</pre>", stripped, re.DOTALL)[1]) == str(page)
    (without,) = Elements(re.search(r"<noscript>.*?</noscript>", page.html, re.DOTALL)[0]).texts[
        "pre"
    ]
    assert without == str(page)
    assert bundle["image/svg+xml"] == page.picture.svg()


# The page of a picture


def test_a_picture_is_saved_as_the_same_page(tmp_path):
    rate = Tensor(0.5)
    w = leaf([1.0, 2.0])
    loss = (rate * w * w).sum()
    with scope("later"):
        loss = loss * 2
    report = compare_backprop(loss, names=locals(), G_w=np.ones(2))
    for options in ({}, {"fold": True}, {"depth": 2}, {"title": "mine"}, {"theme": "dark"}):
        options = {"names": locals(), "theme": "light", **options}
        asked = explore(loss, chains=report, **options)
        drawn = draw(loss, report=report, view="backward", **options)
        path = drawn.save(tmp_path / "a.html")
        assert path.read_bytes() == asked.html.encode("utf-8")


def test_a_picture_keeps_no_more_than_what_gives_names():
    other = object()
    loss = mine()
    kept = draw(loss, names={"loss": loss, "other": other, "both": [loss], "n": 3}).drawn.names
    assert {*kept} == {"loss", "both"}


def test_data_that_has_changed_since_it_was_drawn(tmp_path):
    """A picture is of one moment: its page says that this one is of another."""
    loss = mine()
    w = loss.inputs[0].inputs[0].inputs[0].inputs[1]
    picture = draw(loss)
    loss.backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture.save(tmp_path / "before.html")
    SGD([w], 0.1).step()
    with pytest.warns(UserWarning, match=r"data has changed since draw\(\): .*\bw\b"):
        picture.save(tmp_path / "after.html")
    before, after = (
        data_in((tmp_path / f"{when}.html").read_text(encoding="utf-8"))
        for when in ("before", "after")
    )
    assert before["notes"] == []
    assert after["notes"][0].startswith("data has changed since draw()")


@pytest.mark.parametrize("of", [explore, lambda loss: page_of(draw(loss).drawn)])
def test_numbers_that_were_written_into_data(of):
    """No assignment tells of them: the page shows one moment, that of now, and says so."""
    loss = mine()
    assert of(loss).data["notes"] == []
    w = loss.inputs[0].inputs[0].inputs[0].inputs[1]
    w.data[0, 0] = 2.0
    page = of(loss)
    assert page.data["notes"][0].startswith("the numbers of this page are not those")
    assert page.data["arrays"][page.data["cards"][-1]["v"]]["v"] == "1"  # (2 - 3)^2 and (4 - 5)^2


# What is no page


def test_what_is_no_loss():
    report = compare_backprop(mine(), G_w=np.array([[-12.0]]))
    for given, words in {
        3.0: "not float: give the Tensor itself",
        "loss": "not str$",
        mine: r"not function: call it, and hand over what it returns",
    }.items():
        with pytest.raises(
            TypeError, match=f"explore takes a Tensor, the loss to be shown, {words}"
        ):
            explore(given)
    with pytest.raises(TypeError, match=r"not Picture: picture\.save\('loss.html'\)"):
        explore(draw(mine()))
    with pytest.raises(TypeError, match=r"not ndarray: give the Tensor itself"):
        explore(np.ones(2))
    with pytest.raises(TypeError, match=r"not Report: explore\(loss, chains=report\)"):
        explore(report)


RUN = Record(mine())


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"theme": "blue"}, ValueError, 'theme is "auto", "light" or "dark", not \'blue\''),
        ({"title": 3}, ValueError, "title is True, False or a text, not 3"),
        ({"fold": "all"}, ValueError, "fold is True, False or \"auto\", not 'all'"),
        ({"depth": 0}, ValueError, "depth is how many steps back"),
        ({"names": {1: 2}}, TypeError, "variables by name, and 1 is no name"),
        ({"names": ["w"]}, TypeError, "names is a dict of variables, such as locals(), not list"),
        ({"chains": [1]}, TypeError, "as {'mine': report}, not list"),
        ({"chains": {"mine": None}}, TypeError, "as {'mine': report}, not NoneType"),
        ({"chains": mine}, TypeError, "chains=compare_backprop(loss, backprop=mine)"),
        ({"record": 3}, TypeError, "record is a Record of this loss, not int"),
        (
            {"chains": RUN},
            TypeError,
            "as {'mine': report}, not Record: explore(run.loss, record=run)",
        ),
        ({"names": RUN}, TypeError, "such as locals(), not Record: explore(run.loss, record=run)"),
    ],
)
def test_wrong_arguments(options, error, words):
    with pytest.raises(error, match=re.escape(words)):
        explore(mine(), **options)


def test_a_report_about_another_graph():
    report = compare_backprop(mine(), G_w=np.array([[-12.0]]))
    with pytest.raises(ValueError, match="the report is not about this graph as it is now: G_w"):
        explore(mine(), chains={"mine": report})


def test_a_record():
    loss = mine()
    run = Record(loss)
    with pytest.raises(ValueError, match="the Record has no frames"):
        explore(loss, record=run)
    run.keep(0)
    page = explore(loss, record=run)
    assert [frame["step"] for frame in page.data["record"]["frames"]] == [0]
    assert data_in(page.html) == page.data
    with pytest.raises(
        ValueError, match=r"the record is of another loss.*explore\(run.loss, record"
    ):
        explore(mine(), record=run)
    with pytest.raises(TypeError, match=r"not Record: explore\(run.loss, record=run\)"):
        explore(run)


def test_public_names():
    assert tinygrad_steel.explore is explore and tinygrad_steel.Page is Page
