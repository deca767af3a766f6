"""What notebooks show: Tensors as heatmaps, sources in colour, reports as tables; all escaped, in one look."""

import html
import re
import subprocess
import sys
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest
from frozen import random_loss

from tinygrad_steel import Tensor, compare_backprop, grade_backprop, write_backprop

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"
VOID = {"br", "img"}


class Page(HTMLParser):
    """A page read by a parser: its tags, well nested, and the text of each."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.texts.append("")
        if tag not in VOID:
            self.open.append((tag, len(self.texts) - 1))

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.texts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, place in self.open:
            self.texts[place] += data

    def all(self, tag, **attributes):
        """The texts of these tags, in order."""
        return [
            text
            for (name, has), text in zip(self.tags, self.texts)
            if name == tag and attributes.items() <= has.items()
        ]

    def cells(self):
        """Of each cell of a heatmap what it says, its class and its opacity."""
        return [
            (text, has["class"], float(has["fill-opacity"]))
            for (name, has), text in zip(self.tags, self.texts)
            if name == "rect" and "fill-opacity" in has
        ]


def page(shown):
    return Page(shown._repr_html_())


def leaf(data, name=None):
    return Tensor(np.array(data, float), requires_grad=True, name=name)


def problem():
    """A loss of two factors and the right gradients of its steps."""
    x, w = Tensor([[1.0, 2.0], [3.0, 5.0]], name="x"), leaf([[1.0], [-2.0]], "w")
    h = x @ w
    h.name = "h"
    loss = np.mean(np.square(h))
    g = h.data * 2 / 2
    return loss, {"x": x, "w": w, "h": h}, {"G_h": g, "G_w": x.data.T @ g}


# One look


def outputs(name="w"):
    """Something of each kind, with this name in it."""
    loss, names, right = problem()
    names["w"].name = name
    yield names["w"]
    yield write_backprop(loss)
    yield compare_backprop(loss, G_h=right["G_h"], **{f"G_{name}": right["G_w"] * 3})
    yield grade_backprop(lambda: (loss, names, ()), {name: lambda: {"dh": right["G_h"] * 2}})


def test_all_bring_the_same_style_and_load_nothing():
    styles = set()
    for shown in outputs():
        read = page(shown)
        (style,) = read.all("style")
        styles.add(style)
        assert "prefers-color-scheme:dark" in style and "data-jp-theme-light" in style
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in read.tags}
        assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", shown._repr_html_())
    assert len(styles) == 1


def test_hostile_names_are_text():
    for shown in outputs(HOSTILE):
        read = page(shown)
        assert not {"script", "img"} & {tag for tag, _ in read.tags}
        assert "</script>" not in shown._repr_html_()


def test_text_is_as_it_was():
    for shown in outputs():
        assert "<span" not in repr(shown) and "steel" not in repr(shown)
    assert repr(leaf([1.0, 2.0], "w")) == "Tensor([1., 2.], name='w', requires_grad=True)"


def test_nothing_of_it_loads_before_something_is_shown():
    code = (
        "import sys, tinygrad_steel as t\n"
        "x = t.Tensor([1.0])\n"
        "assert not [m for m in sys.modules if m.endswith(('engine.heatmap', 'engine.notebook'))]\n"
        "x._repr_html_()\n"
        "assert 'tinygrad_steel.engine.heatmap' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Sources


@pytest.mark.parametrize("seed", range(12))
def test_a_source_in_colour_is_the_source(seed):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = write_backprop(random_loss(seed))
    assert page(source).all("pre") == [source]


def test_the_colours_of_a_source():
    loss, *_ = problem()
    read = page(write_backprop(loss))
    assert read.all("span", **{"class": "keyword"}) == ["import", "as", "def", "return"]
    assert {*read.all("span", **{"class": "gradient"})} == {"G_loss", "G_h", "G_w"}
    assert "# backward" in read.all("span", **{"class": "muted"})
    assert "1.0" in read.all("span", **{"class": "number"})


# Reports


def test_a_verdict_has_a_sign_and_a_colour():
    loss, _, right = problem()
    wrong = right["G_h"] * 4
    x = loss.inputs[0].inputs[0].inputs[0].data
    read = page(compare_backprop(loss, G_h=wrong, G_w=x.T @ wrong))
    assert read.all("span", **{"class": "wrong"}) == ["✗ wrong"]
    assert read.all("span", **{"class": "follows"}) == ["↳ follows from a wrong one"]
    assert (
        page(compare_backprop(loss, **right)).all("span", **{"class": "right"}) == ["✓ right"] * 2
    )


def test_what_could_not_be_judged_is_no_wrong_one():
    w = leaf([0.0, 1.0], "w")
    with np.errstate(all="ignore"):
        report = compare_backprop(np.sum(np.log(w) * 0), G_w=np.zeros(2))
    read = page(report)
    assert report.steps[0].verdict.startswith("not finite")
    assert read.all("span", **{"class": "muted"}) == [f"? {report.steps[0].verdict}"]
    assert not read.all("span", **{"class": "wrong"})


def test_code_in_a_report_keeps_its_blanks():
    loss, _, right = problem()
    report = compare_backprop(loss, **right | {"G_w": right["G_w"] * 2})
    code = [line for line in report.summary() if line.startswith("  ")]
    assert code and page(report).all("pre") == code


# Tensors


def test_each_number_has_its_cell():
    x = np.array([[1.5, -3.0, 0.0], [0.75, -1e-9, 3.0]])
    cells = page(Tensor(x, name="x")).cells()
    assert [text for text, *_ in cells] == [
        f"[{i}, {j}] {x[i, j]:.6g}" for i, j in np.ndindex(x.shape)
    ]
    for (_, kind, opacity), value in zip(cells, x.flat):
        assert (opacity > 0) == (value != 0)
        assert not value or kind == ("above" if value > 0 else "below")
    by_size = sorted((abs(value), opacity) for (*_, opacity), value in zip(cells, x.flat))
    assert by_size == sorted(by_size, key=lambda pair: pair[1])
    assert cells[1][2] == cells[5][2]  # -3 and 3
    assert page(Tensor(x)).all("text") == ["1.5", "-3", "0", "0.75", "-1e-09", "3"]


def test_the_gradient_stands_beside():
    w = leaf([[1.0, -2.0]], "w")
    assert "no gradient yet" in w._repr_html_()
    (w * w).sum().backward()
    read = page(w)
    assert [text for text, *_ in read.cells()] == ["[0, 0] 1", "[0, 1] -2", "[0, 0] 2", "[0, 1] -4"]
    assert read.all("span", **{"class": "gradient"}) == ["gradient"]
    assert not page(w * w).all("span", **{"class": "gradient"})  # results keep none


def test_what_is_no_number_is_marked_and_counted():
    few = page(Tensor([[1.0, np.nan], [np.inf, -np.inf]]))
    assert [kind for _, kind, _ in few.cells()] == ["above", "line", "line", "line"]
    assert few.all("text") == ["1", "nan", "inf", "-inf"]
    assert "1 NaN, 2 infinite" in few.all("span")
    many = np.zeros((300, 300))
    many[17, 5:8] = np.nan  # none of them in a row that is shown
    assert "3 NaN" in page(Tensor(many)).all("span")


def test_a_big_array_is_shown_in_part_which_is_said():
    x = np.arange(1000 * 700.0).reshape(1000, 700)
    read = page(Tensor(x))
    cells = read.cells()
    places = [[*map(int, re.findall(r"\d+", text.split("]")[0]))] for text, *_ in cells]
    rows, columns = (sorted({place[k] for place in places}) for k in (0, 1))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (0, 999, 0, 699)
    assert f"shown: {len(rows)} of 1,000 rows and {len(columns)} of 700 columns, evenly spaced" in (
        read.all("span")
    )
    for (text, *_), (i, j) in zip(cells, places):
        assert text == f"[{i}, {j}] {x[i, j]:.6g}"
    assert "0 to 7e+05, blue below zero, orange above" in read.all("span")
    assert len(Tensor(x)._repr_html_()) < 120_000


def test_rows_of_many_axes_one_after_the_other():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    read = page(Tensor(x))
    assert [text for text, *_ in read.cells()] == [
        f"[{i}, {j}, {k}] {x[i, j, k]:.6g}" for i, j, k in np.ndindex(x.shape)
    ]
    assert "rows: the first 2 axes one after the other" in read.all("span")


@pytest.mark.parametrize(
    "data, text",
    [(3.0, "3"), (True, "True"), (123456789012, "1.23457e+11"), (np.float32(0.1), "0.1")],
)
def test_a_single_number_of_any_kind(data, text):
    assert [said for said, *_ in page(Tensor(data)).cells()] == [text]


def test_an_array_without_elements():
    read = page(Tensor(np.zeros((0, 3)), name="none"))
    assert "no elements" in read.all("span") and not read.cells()
    assert html.unescape(read.all("p")[0]) == "none Tensor (0, 3) · float64"


def test_showing_a_number_is_not_reading_it():
    """`if t > 0` would be; a notebook that shows t does not make a source refuse it."""
    w = leaf([1.0, 2.0], "w")
    t = np.sum(w * w)
    t._repr_html_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = write_backprop(np.square(t))
    assert np.allclose(source.function()(**source.arguments)[1], 4 * 5 * w.data)
