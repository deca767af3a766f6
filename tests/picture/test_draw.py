"""Pictures as DOT, SVG, PNG and PDF: the rules of the DOT, what renderers make of it, themes; and no renderer."""

import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import gallery
import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import Picture, RendererNotFound, Tensor, draw, relu, scope
from tinygrad_steel.picture import programs, render
from tinygrad_steel.picture.chips import placed
from tinygrad_steel.picture.fans import gathered
from tinygrad_steel.picture.labels import bar_count
from tinygrad_steel.picture.themes import CAPTIONS, DARK, LIGHT

SVG = "{http://www.w3.org/2000/svg}"
SCRIPTS = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
RENDERERS = {
    "debian": shutil.which("dot"),
    "pip": next(
        filter(None, (shutil.which("graphviz-pure", path=path) for path in [None, *SCRIPTS])), None
    ),
}
NAMES = [
    "w:0", "a->b", "{a: 1}", "<lambda>", "<b>w</b>", r"C:\new\N", r"\G\L\E", 'say "hi"', "'q'", "R&D &amp; &#65;",
    "a|b", "two\nlines", "tab\there", "", "가중치", "n0", "--", "<", "end\\", "x" * 300, "가" * 90,
]  # fmt: skip


@pytest.fixture(params=RENDERERS)
def renderer(request, monkeypatch):
    """Each renderer that is installed; CI must have both."""
    if RENDERERS[request.param] is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"the renderer of {request.param} is not installed"
        )
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", RENDERERS[request.param])
    return request.param


@pytest.fixture
def any_renderer(monkeypatch):
    monkeypatch.setenv(
        "TINYGRAD_STEEL_DOT", RENDERERS["pip"] or RENDERERS["debian"] or pytest.skip("no renderer")
    )


@pytest.fixture
def no_renderer(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYGRAD_STEEL_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))


def sum_of(names):
    """A graph with a parameter for each name, each in a scope of that name, and a result of that name in the middle."""
    total = Tensor(np.zeros(2), name="x")
    for name in names:
        with scope(name):
            total = total + leaf([1.0, 2.0], name=name or None)
        total.name = name or None
    return total.sum()


class Drawn:
    """A rendered SVG, taken to pieces."""

    def __init__(self, picture):
        self.svg, self.scene = picture.svg(), picture.scene
        self.root = ET.fromstring(self.svg.encode())
        self.groups = {g.get("id").split("-", 2)[-1]: g for g in self.root.iter(SVG + "g")}
        self.cards = {card.id: self.groups[card.id] for card in gathered(self.scene).cards}

    def all(self, kind):
        return [g for g in self.root.iter(SVG + "g") if g.get("class", "").split(" ")[0] == kind]

    def center(self, card, axis=0):
        box = box_of(self.cards[card.id])
        return (box[axis] + box[axis + 2]) / 2


def box_of(group):
    """Left, top, right and bottom of what is drawn in a group."""
    drawn = [
        e.get("points") or e.get("d")
        for e in group.iter()
        if e.tag in (SVG + "polygon", SVG + "path")
    ]
    points = [
        (float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", " ".join(drawn))
    ]
    xs, ys = zip(*points)
    return min(xs), min(ys), max(xs), max(ys)


def apart(a, b):
    return a[2] <= b[0] + 1 or b[2] <= a[0] + 1 or a[3] <= b[1] + 1 or b[3] <= a[1] + 1


def text_of(group):
    return "".join(e.text or "" for e in group.iter(SVG + "text")).replace("\xa0", " ")


def written(name):
    return name.replace("\n", r"\n").replace("\t", r"\t")


# The DOT


def test_fonts_are_those_whose_widths_are_known():
    source = draw(gallery.mlp(), view="both", fold=True).source
    assert set(re.findall(r'(?:fontname=|FACE=)"?([^"\]\n]*?)["\s]', source)) <= {
        "Arial",
        "Courier New",
        "Courier",
    }
    assert 'FACE="Courier New"' in source and "fontname=Arial" in source


def test_root_attributes():
    source = draw(gallery.steel(), direction="LR").source
    attributes = source[: source.index("node [")]
    for text in (
        "rankdir=LR",
        "newrank=true",
        "ordering=in",
        'bgcolor="#FFFFFF"',
        "labelloc=t",
        "labeljust=l",
    ):
        assert text in attributes
    assert "dpi" not in source


def test_user_names_are_never_ids():
    source = draw(sum_of(NAMES), view="backward", fold=False).source
    found = re.findall(r"^\t*(.+?) \[(?:label|class)=", source, re.MULTILINE)
    edges = [text for text in found if "->" in text]
    assert {*found} - {*edges} == {f"n{i}" for i in range(2 * len(NAMES) + 2)} | {"legend"}
    assert (
        all(re.fullmatch(r"n\d+ -> n\d+", edge) for edge in edges)
        and len(edges) == 2 * len(NAMES) + 1
    )


def test_folds_have_ids_of_their_own():
    assert re.findall(r"^\t(f\d+) \[", draw(gallery.mlp(), fold=True).source, re.MULTILINE) == [
        "f0"
    ]


def test_ranks_are_joined_within_a_scope_alone():
    picture = draw(gallery.mlp(), view="both")
    pairs = re.findall(r"rank=same\n\s*(\w+) -> (\w+)", picture.source)
    scopes = [[picture.scene.by_id[id].scope for id in pair] for pair in pairs]
    assert len(pairs) == 4 and all(a == b != () for a, b in scopes)


def test_the_dot_is_the_same_from_run_to_run():
    code = "import gallery; print(*(p().source for p in gallery.SCENES.values())); print(gallery.SCENES['mlp']())"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": str(Path(gallery.__file__).parent),
            },
            stdout=subprocess.PIPE,
        )
        for seed in ("1", "2")
    ]
    first, second = (run.communicate()[0] for run in runs)
    assert first == second and len(first) > 10_000


def test_arrows_are_thicker_where_more_flows():
    picture = draw(gallery.steel(), view="backward")
    widths = dict(re.findall(r"(n\d+ -> n\d+) \[.*penwidth=([\d.]+)", picture.source))
    w, b = (
        next(a for a in picture.scene.arrows if picture.scene.by_id[a.tail].name == name)
        for name in "wb"
    )
    assert w.size > b.size
    assert (
        3.0 > float(widths[f"{w.tail} -> {w.head}"]) > float(widths[f"{b.tail} -> {b.head}"]) > 1.1
    )


@pytest.mark.parametrize(
    "size, bars",
    [
        (0.0, 0),
        (1e-310, 1),
        (1e-5, 1),
        (1e-4, 2),
        (1e-3, 4),
        (0.0099, 6),
        (1.0, 10),
        (10.0, 12),
        (100.0, 14),
        (1e305, 14),
        (np.inf, 14),
        (np.nan, 0),
    ],
)
def test_bars_are_two_for_a_factor_of_ten_and_none_for_zero(size, bars):
    assert bar_count(size) == bars


def bars_of(picture):
    """name -> how many strokes it has, as the DOT says it."""
    purple = re.escape(LIGHT["gradient"])
    found = {}
    for c in picture.scene.cards:
        label = re.search(rf"^\t*{c.id} \[.*$", picture.source, re.MULTILINE)[0]
        strokes = re.search(rf'COLOR="{purple}"><B>(\|+)</B>', label)
        found[c.name] = len(strokes[1]) if strokes else 0
    return found


def test_a_gradient_has_the_same_bars_in_every_picture():
    """What else is in a picture does not stretch them."""
    for other in (1e-4, 3.0, 1e6):
        w, u, v = (leaf(1.0, name=n) for n in "wuv")
        picture = draw(w * -0.1 + u * other + v * 0.0, view="backward")
        bars = bars_of(picture)
        assert (bars["w"], bars["v"], bars["output"]) == (8, 0, 10)
        assert "2 strokes = times 10, 1e-5 to 100" in picture.source


def test_a_range_of_gradients_without_bounds_is_drawn():
    factors = [1e-300, 1e300, np.nan, np.inf, 0.0]
    source = draw(
        sum(leaf(1.0, name=f"w{i}") * x for i, x in enumerate(factors)), view="backward"
    ).source
    assert all(f"grad {x:.3g}<" in source for x in factors)


@pytest.mark.parametrize("view, arrowheads", [("forward", 0), ("backward", 5), ("both", 5)])
def test_backward_arrows_point_against_the_flow(view, arrowheads):
    source = draw(gallery.steel(), view=view).source
    assert source.count("arrowtail=normal") == arrowheads
    assert source.count("dir=none") == (2 if view == "backward" else 0)


# Options and errors


@pytest.mark.parametrize(
    "option, message",
    [
        ({"view": "sideways"}, 'view is "forward", "backward" or "both", not \'sideways\''),
        ({"view": None}, "view is"),
        ({"fold": "always"}, 'fold is True, False or "auto"'),
        ({"direction": "up"}, 'direction is "TB", "LR", "BT" or "RL"'),
        ({"theme": "solarized"}, 'theme is "light", "dark" or "auto"'),
        ({"depth": 0}, "depth is how many steps"),
        ({"legend": "below"}, "legend is True or False, not 'below'"),
        ({"title": None}, "title is True, False or a text, not None"),
        ({"size": 16}, r"size is a width and a height in inches, as \(16, 9\), not 16"),
        ({"size": (16, 0)}, "size is"),
        ({"size": (16, np.inf)}, "size is"),
        ({"size": "16,9"}, "size is"),
    ],
)
def test_options_that_are_none(option, message):
    with pytest.raises(ValueError, match=message):
        draw(leaf(1.0), **option)


@pytest.mark.parametrize("thing", [3, np.ones(2), None, [leaf(1.0)]])
def test_only_tensors_can_be_drawn(thing):
    with pytest.raises(TypeError, match="draw takes a Tensor"):
        draw(thing)


def test_repr_says_what_to_do_with_it():
    picture = draw(gallery.steel())
    assert repr(picture) == (
        "<Picture of loss = mean(softmax_cross_entropy(x @ w + b, y)): 8 cards; .save('graph.svg') or print it>"
    )
    assert isinstance(picture, Picture) and str(picture).startswith("loss = mean(")


# Rendered


@pytest.mark.parametrize("name", gallery.SCENES)
def test_a_card_is_a_node_and_an_arrow_an_edge(name, renderer):
    drawn, is_slide = Drawn(gallery.SCENES[name]()), name == "slide"
    shown = placed(gathered(drawn.scene), in_rows=is_slide)
    others = len(shown.chips) + (not is_slide)  # which has no legend
    assert len(drawn.all("node")) == len(shown.cards) + others
    gradients = [a for a in shown.arrows if a.flows and drawn.scene.view == "both"]
    assert len(drawn.all("edge")) == len(shown.arrows) + len(gradients)
    rows = {*shown.rows.values()} if is_slide else set()
    scopes = {(shown.rows[card.id], card.scope) for card in shown.cards if card.scope}
    assert len(drawn.all("cluster")) == len(scopes) + len(rows)


# A slide goes on in rows, and a decoder stands beside its encoder.
@pytest.mark.parametrize("name", [name for name in gallery.SCENES if name not in ("slide", "tied")])
def test_the_spine_is_straight(name, renderer):
    drawn = Drawn(gallery.SCENES[name]())
    shown = [card for card in drawn.scene.cards if card.id in drawn.cards]
    centers = [drawn.center(card) for card in shown if card.spine]
    assert len(centers) > 3 and max(centers) - min(centers) < 4


def residual():
    """Three blocks that share a weight, each beside a connection that skips it."""
    h, w = Tensor(np.ones((4, 8)), name="x"), leaf(np.eye(8), name="w")
    for i in range(3):
        with scope(f"block[{i}]"):
            h = h + relu(h @ w)
    return h.mean()


def test_the_spine_is_straight_beside_connections_that_skip(renderer):
    drawn = Drawn(draw(residual()))
    centers = [drawn.center(card) for card in drawn.scene.cards if card.spine]
    assert len(centers) == 11 and max(centers) - min(centers) < 4


@pytest.mark.parametrize("make", [gallery.steel, gallery.mlp, residual])
@pytest.mark.parametrize("view", ["forward", "backward"])
def test_nothing_overlaps(make, view, renderer):
    drawn = Drawn(draw(make(), view=view))
    boxes = [box_of(group) for group in drawn.cards.values()]
    assert all(apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    clusters = {
        g.find(SVG + "title").text.removeprefix("scope: "): box_of(g) for g in drawn.all("cluster")
    }
    assert all(apart(a, b) for a in clusters.values() for b in clusters.values() if a != b)
    for card, box in zip(drawn.scene.cards, boxes):
        inside = [name for name, cluster in clusters.items() if not apart(box, cluster)]
        assert inside == [*card.scope]


@pytest.mark.parametrize("make", [gallery.steel, lambda: sum_of(NAMES), residual])
def test_no_text_is_wider_than_its_card(make, renderer):
    drawn = Drawn(draw(make(), fold=False))
    for group in drawn.cards.values():
        left, _, right, _ = box_of(group)
        texts = [*group.iter(SVG + "text")]
        assert texts
        for text in texts:
            x, size = float(text.get("x")), float(text.get("font-size"))
            narrow = 0.6 if text.get("font-family").startswith("Courier") else 0.25
            width = sum(size if "가" <= c <= "힣" else size * narrow for c in text.text)
            assert left <= x and x + width <= right + 1, text.text


def test_every_name_comes_out_as_it_is(renderer):
    drawn = Drawn(draw(sum_of(NAMES), fold=False))
    for card in drawn.scene.cards:
        assert written(card.name) in text_of(drawn.cards[card.id]).replace("→", "")
    for name in NAMES:
        if name:
            parameters = [c for c in drawn.scene.cards if c.name == name and c.kind == "parameter"]
            assert (
                drawn.cards[parameters[0].id]
                .find(SVG + "title")
                .text.startswith(f"{written(name)}: parameter (2,)")
            )
    assert {text_of(g) for g in drawn.all("cluster")} == {written(name) or " " for name in NAMES}
    assert {g.find(SVG + "title").text for g in drawn.all("cluster")} >= {
        f"scope: {written(n)}" for n in NAMES if n
    }


def test_names_in_code_and_titles_come_out_as_they_are(renderer):
    a, b = leaf([1.0, 2.0], name=r"<C:\new\N>"), leaf([1.0, 2.0], name='"&amp;\\E"')
    drawn = Drawn(draw((a * b).sum(), view="backward"))
    assert r"""sum(<C:\new\N> * "&amp;\E")""" in text_of(drawn.groups["graph0"])
    labels = [text_of(g).strip() for g in drawn.all("edge")]
    assert labels == [r'g * "&amp;\E"', r"g * <C:\new\N>", "g"]
    assert (
        drawn.all("edge")[0].find(SVG + "title").text
        == r'<C:\new\N> -> multiply; backward: g * "&amp;\E"'
    )


def test_a_parameter_without_a_name_is_not_called_constant(renderer):
    drawn = Drawn(draw((leaf([1.0, 2.0]) * np.array([1.0, 2.0])).sum()))
    assert [text_of(g)[:13] for g in drawn.cards.values()][:2] == ["PARAMETER(2,)", "CONSTANT(2,)n"]


def test_the_vjps_stand_on_the_arrows(renderer):
    drawn = Drawn(gallery.SCENES["steel_backward"]())
    labels = [text_of(g).strip() for g in drawn.all("edge")]
    assert "x.T @ g" in labels and "g[:, None] * (softmax(z) - one_hot(y))" in labels
    assert any(
        re.fullmatch(r"broadcast to \(10, 7\)\s*g\.sum\(axis=0\)", label) for label in labels
    )


@pytest.mark.parametrize(
    "direction, axis, sign", [("TB", 1, 1), ("BT", 1, -1), ("LR", 0, 1), ("RL", 0, -1)]
)
def test_directions(direction, axis, sign, renderer):
    drawn = Drawn(draw(gallery.steel(), direction=direction))
    spine = [card for card in drawn.scene.cards if card.spine]
    along, across = ([drawn.center(card, a) for card in spine] for a in (axis, 1 - axis))
    assert along == sorted(along, reverse=sign < 0) and max(across) - min(across) < 4
    assert "operation" in text_of(drawn.root)  # the legend stands below, or beside the title


def test_values_are_printed(renderer):
    drawn = Drawn(draw((leaf([1.5, 2.5], name="w") * 2).sum(), values=True))
    assert "[1.5, 2.5]" in text_of(drawn.cards["n0"]) and "_ * 2" in text_of(drawn.cards["n1"])


def test_a_picture_of_one_leaf(renderer):
    assert len(Drawn(draw(leaf([1.0], name="w"))).all("node")) == 2


def test_pictures_of_many_cards(renderer):
    x = leaf([1.0, 2.0], name="x")
    big = np.concatenate([np.sin(x * leaf([1.0, 1.0])) for _ in range(110)]).sum()
    picture = draw(big)
    assert len(Drawn(picture).all("node")) == len(picture.scene.cards) + 1 > 300
    with pytest.raises(
        ValueError, match=r"33\d cards are too many for a PNG: save an SVG, fold scopes, .*depth=20"
    ):
        picture.png()


# Tooltips and ids


def test_tooltips_tell_of_the_numbers(any_renderer):
    drawn = Drawn(draw(leaf([1.0, 3.0], name="w").sum(), view="backward"))
    title = drawn.cards["n0"].find(SVG + "title").text
    assert title.splitlines() == [
        "w: parameter (2,) float64", "mean 2, min 1, max 3", "gradient mean 1, min 1, max 1",
    ]  # fmt: skip


def test_ids_are_unique_and_the_svgs_own(any_renderer):
    root = Drawn(draw(gallery.mlp(), theme="auto")).root
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids)) > 40
    assert re.fullmatch("steel-[0-9a-f]{8}", root.get("id")) and all(
        id.startswith(root.get("id")) for id in ids
    )


def test_pictures_on_one_page_have_different_ids(any_renderer):
    loss = gallery.steel()
    pictures = [
        draw(loss),
        draw(loss, theme="auto"),
        draw(loss, theme="dark"),
        draw(loss, view="backward"),
    ]
    assert len({Drawn(picture).root.get("id") for picture in pictures}) == 4


# Themes


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(a, b):
    """As the Web Content Accessibility Guidelines define it."""
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(theme):
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)
    kinds = {kind: pair for kind, pair in theme.items() if isinstance(pair, tuple)}
    for kind, (fill, line) in kinds.items():
        for what, colour in {**theme, "caption": line}.items():
            if what in ("text", "muted", "gradient") or (what == "caption" and kind != "scope"):
                assert contrast(colour, fill) >= 4.5, (what, kind)
                assert contrast(colour, theme["background"]) >= 4.5, what


@pytest.mark.parametrize("theme, palette", [("light", LIGHT), ("dark", DARK)])
def test_a_theme_uses_its_colours_alone(theme, palette):
    colours = {
        c for value in palette.values() for c in (value if isinstance(value, tuple) else (value,))
    }
    source = draw(gallery.mlp(), view="both", fold=True, theme=theme).source
    assert set(re.findall(r"#[0-9A-Fa-f]{6}", source)) <= colours


def test_each_light_colour_stands_for_one_dark_one():
    pairs = {}
    for kind, light in LIGHT.items():
        for a, b in zip(
            *((c,) if isinstance(c, str) else c for c in (light, DARK[kind])), strict=True
        ):
            assert pairs.setdefault(a, b) == b
    assert LIGHT.keys() == DARK.keys()


def every_kind():
    """A graph with all kinds of cards."""
    h = Tensor(np.ones((4, 8)), name="x")
    for i in range(3):
        with scope(f"hidden[{i}]"):
            h = relu(h @ leaf(np.eye(8), name=f"w{i}"))
    with scope("loss"):
        error = (h - Tensor(np.ones((4, 8)), name="y")) * np.ones(8)
    return error.sum()


@pytest.mark.parametrize("view", ["forward", "backward", "both"])
def test_an_auto_theme_has_a_rule_for_every_colour(view, renderer):
    picture = draw(every_kind(), view=view, fold=True, theme="auto")
    kinds = {"input", "parameter", "target", "constant", "op", "output", "fold"} - {"parameter"}
    assert {card.kind for card in picture.scene.cards} == kinds
    root = Drawn(picture).root
    style = root.find(SVG + "style").text
    for element in root.iter():
        for attribute in ("fill", "stroke"):
            colour = element.get(attribute, "none")
            assert colour in ("none", "transparent") or f'[{attribute}="{colour}"]' in style, colour
    assert all(text.get("fill") for text in root.iter(SVG + "text"))


def test_rules_of_an_auto_theme_reach_their_own_svg_alone(any_renderer):
    root = Drawn(draw(every_kind(), fold=True, theme="auto")).root
    rules = re.fullmatch(
        r"@media \(prefers-color-scheme: dark\) \{ (.*) \}", root.find(SVG + "style").text
    )[1]
    selectors = re.findall(r"([^{}]+)\{[^{}]*\}", rules)
    assert len(selectors) > 20 and all(
        s.strip().startswith(f"#{root.get('id')} [") for s in selectors
    )
    assert Drawn(draw(every_kind())).root.find(SVG + "style") is None


# Formats


def png_size(content):
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def test_png_in_any_resolution(renderer):
    picture = draw(gallery.steel())
    small, large = (png_size(picture.png(dpi=dpi)) for dpi in (72, 144))
    assert np.allclose(large, np.multiply(small, 2), atol=3)


def test_a_png_is_twice_as_large_as_an_svg_in_a_browser(renderer):
    picture = draw(gallery.steel())
    width = float(re.search(r' width="([\d.]+)pt"', picture.svg())[1])  # 72 to an inch
    assert png_size(picture.png())[0] == pytest.approx(width / 72 * 96 * 2, abs=6)


# Slides


def inches(picture):
    return (
        np.array(
            re.search(r' width="([\d.]+)pt" height="([\d.]+)pt"', picture.svg()).groups(), float
        )
        / 72
    )


@pytest.mark.parametrize("make", [gallery.steel, gallery.mlp, lambda: leaf(1.0, name="w")])
@pytest.mark.parametrize("size", [(16, 9), (4.5, 3)])
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_a_size_is_kept(make, size, direction, renderer):
    natural = inches(draw(make(), direction=direction))
    drawn = inches(draw(make(), direction=direction, size=size))
    assert (drawn <= np.array(size) + 0.02).all()
    shrunk = min(1, *(np.array(size) / natural))
    np.testing.assert_allclose(drawn, natural * shrunk, atol=0.03)


def test_title_and_legend_may_be_left_out(renderer):
    def texts(**options):
        return text_of(Drawn(draw(gallery.steel(), view="backward", **options)).root)

    assert "mean(softmax" in texts() and "8 nodes" in texts() and "operation" in texts()
    plain = texts(title=False, legend=False)
    assert not any(text in plain for text in ("mean(softmax", "nodes", "operation", "Euclidean"))
    assert "x.T @ g" in plain and "PARAMETER" in plain
    given = texts(title="One <step> of & training", direction="LR")
    assert "One <step> of & training" in given and "mean(softmax" not in given
    assert "8 nodes" in given and "operation" in given


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_the_legend_of_few_cards_is_small(direction, renderer):
    """It takes a fifth of the picture of five cards or less, in either direction."""
    total = leaf(2.0, name="x") * leaf(-3.0, name="y") + leaf(10.0, name="z")
    total.backward()
    whole, without = (
        np.prod(inches(draw(total, direction=direction, legend=key))) for key in (True, False)
    )
    assert whole - without < 0.22 * whole


def test_the_legend_is_not_spread(renderer):
    """Below a wide title its columns stay together."""
    drawn = Drawn(draw(gallery.mlp(), view="backward", direction="LR"))
    words = {e.text: float(e.get("x")) for e in drawn.root.iter(SVG + "text")}
    places = [
        x for text, x in words.items() if text.replace("\xa0", " ").strip() in CAPTIONS.values()
    ]
    assert len(places) == 5 and max(places) - min(places) < 420


@pytest.mark.parametrize(
    ("product", "kinds"),
    [(lambda w, x: w @ w, 2), (lambda w, x: w @ x, 3), (lambda w, x: (w * x).sum(), 4)],
)
def test_the_words_of_the_legend_stand_beside_their_boxes(product, kinds, renderer):
    """What the bars mean is a long line, over whose width few short columns are not spread."""
    x, w = Tensor([1.0, 2.0], name="x"), leaf([3.0, 4.0], name="w")
    drawn = Drawn(draw(product(w, x), view="backward"))
    legend = next(g for g in drawn.root.iter(SVG + "g") if g.findtext(SVG + "title") == "legend")
    boxes, words = [], []
    for thing in legend.iter():
        numbers = [
            *map(float, re.findall(r"-?[\d.]+", thing.get("points") or thing.get("d") or ""))
        ]
        if numbers:
            boxes.append((max(numbers[::2]), np.mean(numbers[1::2])))
        elif (
            thing.tag == SVG + "text"
            and thing.text.replace("\xa0", " ").strip() in CAPTIONS.values()
        ):
            words.append((float(thing.get("x")), float(thing.get("y"))))
    assert len(words) == kinds
    for left, height in words:
        assert min(left - x for x, y in boxes if abs(y - height) < 6 and x <= left) < 8


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_what_stands_in_the_legend_fits(direction):
    """Its lines have a size of their own, and Debian's renderer says where that is too small."""
    if RENDERERS["debian"] is None:
        pytest.skip("the renderer of Debian is not installed")
    for name in ("steel_both", "rnn", "korean", "deep"):
        source = gallery.SCENES[name](direction=direction).source
        command = [RENDERERS["debian"], "-Tpng", "-Gdpi=192"]
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=100)
        assert b"too small" not in done.stderr


def test_pdf(renderer):
    picture = draw(leaf(1.0, name="w"))
    if renderer == "debian":
        assert picture.pdf().startswith(b"%PDF")
    else:
        with pytest.raises(
            RendererNotFound, match="cannot make pdf: install graphviz .*, or take svg"
        ):
            picture.pdf()


@pytest.mark.filterwarnings("ignore:the PNG shows boxes")  # as far as there are no Korean fonts
def test_save_goes_by_the_suffix(any_renderer, tmp_path):
    picture = draw(leaf([1.0], name="가중치") * 2)
    assert picture.save(tmp_path / "a.svg") == tmp_path / "a.svg"
    ET.fromstring((tmp_path / "a.svg").read_bytes())
    assert png_size(picture.save(str(tmp_path / "a.PNG")).read_bytes())
    assert picture.save(tmp_path / "a.dot").read_text(encoding="utf-8") == picture.source
    assert picture.save(tmp_path / "a.txt").read_text(encoding="utf-8") == f"{picture}\n"


@pytest.mark.parametrize("name", ["a.jpeg", "a", "a.svg.gz", ".svg"])
def test_an_unknown_suffix_is_an_error_that_lists_those_known(name, tmp_path):
    with pytest.raises(
        ValueError, match=rf"{re.escape(name)}: .*\.svg, \.png, \.pdf, \.html, \.dot, \.txt"
    ):
        draw(leaf(1.0)).save(tmp_path / name)
    assert not [*tmp_path.iterdir()]


def test_a_notebook_shows_the_svg(any_renderer):
    bundle = draw(gallery.steel())._repr_mimebundle_(include=None, exclude=None)
    assert bundle["text/plain"].startswith("loss = mean(")
    assert (
        bundle["image/svg+xml"].startswith("<?xml")
        and "<title>w: parameter" in bundle["image/svg+xml"]
    )
    assert bundle["text/html"].startswith("<div><svg ") and bundle["text/html"].endswith(
        "</svg>\n</div>"
    )


# Without a renderer


def test_without_a_renderer_the_error_helps(no_renderer, tmp_path):
    picture = draw(gallery.steel())
    for make in (picture.svg, picture.png, picture.pdf, lambda: picture.save(tmp_path / "a.svg")):
        with pytest.raises(
            RendererNotFound,
            match=r"pip install .*\[draw\].*apt install graphviz.*TINYGRAD_STEEL_DOT",
        ):
            make()
    assert not [*tmp_path.iterdir()]


def test_without_a_renderer_all_text_works(no_renderer, tmp_path):
    picture = draw(gallery.steel(), view="backward")
    assert "digraph" in picture.source and "x.T @ g" in str(picture) and repr(picture)
    picture.save(tmp_path / "a.dot"), picture.save(tmp_path / "a.txt")
    bundle = picture._repr_mimebundle_()
    assert [*bundle] == ["text/plain"] and bundle["text/plain"].startswith(str(picture))
    assert "(no renderer: pip install" in bundle["text/plain"]


def test_a_notebook_never_sees_an_error(monkeypatch):
    for broken in (lambda *_: 1 / 0, lambda *_: b"no svg at all", lambda *_: b"\xff"):
        monkeypatch.setattr(render, "render", broken)
        assert [*draw(leaf(1.0, name="w"))._repr_mimebundle_()] == ["text/plain"]


def test_the_variable_must_name_a_program(monkeypatch):
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", "/no/such/dot")
    with pytest.raises(
        RendererNotFound, match="TINYGRAD_STEEL_DOT is '/no/such/dot', which is not a program"
    ):
        draw(leaf(1.0)).svg()


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(os.name != "posix", reason="shell scripts stand for renderers")
def test_a_renderer_that_fails(monkeypatch, tmp_path):
    monkeypatch.setenv(
        "TINYGRAD_STEEL_DOT", program(tmp_path / "dot", "echo this went wrong >&2; exit 1")
    )
    with pytest.raises(RuntimeError, match="dot failed: this went wrong"):
        draw(leaf(1.0)).svg()


@pytest.mark.skipif(os.name != "posix", reason="shell scripts stand for renderers")
@pytest.mark.parametrize(
    "script, message",
    [
        ("cat", "made no svg: is it a dot program"),
        ("true", "made no svg"),
        ("echo usage: ls", "made no svg"),
        ("exit 3", "failed: exit status 3, and no word of why"),
        ("kill -SEGV $$", "failed: exit status -11"),
        ("printf 'one\\ntwo\\n' >&2; exit 1", "failed: one two$"),
        ("sleep 77", "has not finished in 0.5 s: draw"),
        ("exec sleep 77", "has not finished in 0.5 s"),
        ("sleep 77 & wait", "has not finished in 0.5 s"),
        ("yes", "wrote more than 3 MB"),
        ("yes >&2", "wrote more than 3 MB"),
        ("head -c 4000000 /dev/zero", "wrote more than 3 MB"),
    ],
)
def test_what_is_no_renderer_is_one_clear_line(script, message, monkeypatch, tmp_path):
    """At once or after the time that there is, whatever it does, and also where it reads no DOT."""
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", program(tmp_path / "dot", script))
    monkeypatch.setattr(programs, "MOST_SECONDS", 0.5 if "sleep" in script else 60)
    monkeypatch.setattr(programs, "MOST_BYTES", 3_000_000)
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=f"{tmp_path}/dot .*{message}") as error:
        draw(leaf(1.0, name="x" * 100_000)).svg()
    assert "\n" not in str(error.value) and time.monotonic() - start < 30


@pytest.mark.skipif(os.name != "posix", reason="shell scripts stand for renderers")
def test_what_cannot_be_run_is_no_renderer(monkeypatch, tmp_path):
    broken = tmp_path / "dot"
    broken.write_bytes(b"\x7fELF and nothing more")
    broken.chmod(0o755)
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", str(broken))
    with pytest.raises(RuntimeError, match="dot cannot be run: Exec format error"):
        draw(leaf(1.0)).svg()


@pytest.mark.skipif(os.name != "posix", reason="shell scripts stand for renderers")
def test_a_renderer_that_is_given_up_leaves_nothing_behind(monkeypatch, tmp_path):
    script = f"sleep 77 & echo $! > {tmp_path}/child; wait"
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", program(tmp_path / "dot", script))
    monkeypatch.setattr(programs, "MOST_SECONDS", 1)
    with pytest.raises(RuntimeError, match="has not finished in 1 s"):
        draw(leaf(1.0)).svg()
    pid = (tmp_path / "child").read_text(encoding="ascii").strip()
    child = Path(f"/proc/{pid}/stat")
    for _ in range(100):
        if not child.exists() or child.read_text(encoding="ascii").split(") ")[1][0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the renderer's child still runs")


@pytest.mark.skipif(os.name != "posix", reason="shell scripts stand for renderers")
def test_where_a_renderer_is_looked_for(no_renderer, monkeypatch, tmp_path):
    scripts, path = tmp_path / "scripts", tmp_path / "path"
    scripts.mkdir(), path.mkdir()
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(scripts))
    monkeypatch.setenv("PATH", str(path))
    found = []
    for place in (
        scripts / "graphviz-pure",
        path / "graphviz-pure",
        path / "dot",
        tmp_path / "given",
    ):
        program(place, "true")
        if place.name == "given":
            monkeypatch.setenv("TINYGRAD_STEEL_DOT", str(place))
        found.append(programs.find_renderer() == str(place))
    assert found == [True] * 4


# The gallery


def test_the_gallery_and_the_pictures_of_the_readme(any_renderer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        gallery, "SCENES", {k: v for k, v in gallery.SCENES.items() if k.startswith("steel")}
    )
    gallery.gallery(tmp_path / "all")
    kept = [path.suffix for path in (tmp_path / "all").iterdir()]
    assert (kept.count(".svg"), kept.count(".png"), kept.count(".html")) == (6, 2, 1)
    monkeypatch.setattr(gallery, "HERE", tmp_path)
    (tmp_path / "pictures").mkdir()
    gallery.readme()
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == [
        "steel.svg",
        "steel_backward.svg",
    ]


@pytest.mark.parametrize("name", ["steel", "steel_backward"])
def test_the_pictures_in_the_repository_are_up_to_date(name, monkeypatch):
    """Text and colours; positions may differ a little between versions of the renderer."""
    if RENDERERS["pip"] is None:
        pytest.skip("the renderer of pip is not installed")
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", RENDERERS["pip"])
    kept = (Path(gallery.__file__).parent / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    fresh = gallery.SCENES[name](theme="auto").svg()
    kept, fresh = (
        [(e.get("fill"), e.text) for e in ET.fromstring(svg.encode()).iter(SVG + "text")]
        for svg in (kept, fresh)
    )
    assert kept == fresh
