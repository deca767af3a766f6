"""The gallery: every scene is drawn, names of formulas stand on cards, and its numbers and folds are right."""

import re
import xml.etree.ElementTree as ET

import gallery
import numpy as np
import pytest

from tinygrad_steel.picture.fans import gathered
from tinygrad_steel.picture.themes import DARK, LIGHT, pairs

FUNCTIONS = {
    *(
        "tanh",
        "exp",
        "log",
        "sin",
        "cos",
        "sum",
        "mean",
        "max",
        "square",
        "sqrt",
        "sigmoid",
        "sign",
    ),
    *("softmax", "one_hot", "softmax_cross_entropy", "sigmoid_cross_entropy", "relu", "scatter"),
    *("layer_norm", "reshape", "im2col", "expand_dims", "winners", "conv2d_transpose", "T"),
    *("axis", "keepdims", "True", "None", "size", "stride", "widths", "shape", "conv2d", "array"),
}


@pytest.fixture(scope="module")
def scenes():
    """Each scene, drawn once."""
    return {name: draw() for name, draw in gallery.SCENES.items()}


def test_twenty_scenes_are_made_by_one_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gallery, "PNG", ("micrograd",))
    gallery.gallery(tmp_path / "folder")
    names = {path.name for path in (tmp_path / "folder").iterdir()}
    both = {f"{name}_{theme}.svg" for name in gallery.SCENES for theme in ("light", "dark")}
    pngs = {"micrograd_light.png", "micrograd_dark.png"}
    assert names == both | pngs | {"index.html"} and len(gallery.SCENES) >= 20
    page = (tmp_path / "folder" / "index.html").read_text(encoding="utf-8")
    assert {*re.findall(r'src="([^"]*)"', page)} == both
    assert len(capsys.readouterr().out.splitlines()) == len(both | pngs)
    for name in both:
        ET.parse(tmp_path / "folder" / name)


@pytest.mark.parametrize("name", gallery.SCENES)
def test_every_name_in_a_formula_stands_on_a_card(name, scenes):
    scene = scenes[name].scene
    cards = [*scene.cards, *scenes[name.removesuffix("_folded")].scene.cards]
    said = " ".join(f"{card.label} {card.called}" for card in cards)
    known = {*re.split(r"[,\s]+", said), "g"}
    for text in (scene.title, *(arrow.code for arrow in scene.arrows)):
        letters = {*re.findall(r"; (\w+) = ", text)}  # parts of a long formula, said behind it
        words = {*re.findall(r"(?<![\w.])[^\W\d]\w*", text)}
        assert words <= FUNCTIONS | known | letters, text


@pytest.mark.parametrize("theme, other", [(LIGHT, DARK), (DARK, LIGHT)])
@pytest.mark.parametrize("name", gallery.SCENES)
def test_a_theme_has_its_own_colours_alone(name, theme, other):
    source = gallery.SCENES[name](theme="light" if theme is LIGHT else "dark").source
    own = {colour.lower() for pair in pairs(theme, theme) for colour in pair}
    used = {colour.lower() for colour in re.findall(r"#[0-9A-Fa-f]{6}\b", source)}
    assert used <= own and theme["background"].lower() in used


# What the scenes say, by hand


def cards(scenes, name):
    return {card.name: card for card in scenes[name].scene.cards if card.name}


def test_micrograd_reads_as_in_its_notebook(scenes):
    found = {name: (c.value, c.signed) for name, c in cards(scenes, "micrograd").items()}
    assert found == {
        "a": ("2", "6"), "b": ("-3", "-4"), "c": ("10", "-2"), "f": ("-2", "4"),
        "e": ("-6", "-2"), "d": ("4", "-2"), "L": ("-8", "1"),
    }  # fmt: skip


def test_a_logistic_neuron_has_the_gradient_of_its_error(scenes):
    """dL/dz = p - y, and x and 1 times that go to w and b."""
    found = cards(scenes, "logistic")
    p = 1 / (1 + np.exp(0.75))  # z = 1 - 1 - 1 + 0.25
    assert float(found["z"].value) == -0.75
    assert float(found["b"].signed) == pytest.approx(p - 1, abs=1e-4)
    numbers = [float(x) for x in re.findall(r"-?[\d.]+", " ".join(found["w"].grad_rows))]
    np.testing.assert_allclose(numbers, (p - 1) * np.array([2, -1, 0.5]), atol=0.006)


def test_a_value_used_twice_has_both_ways(scenes):
    """d/ds sin(s) exp(-s) = (cos(s) - sin(s)) exp(-s), and d/dx of x * x is 2 x."""
    x = np.array([0.5, -1.0, 2.0])
    s = x * x
    g = (np.cos(s) - np.sin(s)) * np.exp(-s)
    found = cards(scenes, "diamond")
    assert found["s"].grad == pytest.approx(np.linalg.norm(g))
    assert found["x"].grad == pytest.approx(np.linalg.norm(2 * x * g))
    codes = [arrow.code for arrow in scenes["diamond"].scene.arrows if arrow.tail == found["x"].id]
    assert codes == ["g * x", "g * x"]


def test_broadcast_inputs_get_sums(scenes):
    found, scene = cards(scenes, "broadcast"), scenes["broadcast"].scene
    codes = {arrow.tail: arrow.code for arrow in scene.arrows}
    assert codes[found["row"].id] == "g.sum(axis=0, keepdims=True)"
    assert codes[found["column"].id] == "sum(g * t2, axis=1, keepdims=True)"
    assert codes[found["scale"].id] == "sum(g * t1, axis=(0, 1))"
    says = {arrow.tail: arrow.broadcast for arrow in scene.arrows}
    assert says[found["row"].id] == says[found["column"].id] == "broadcast to (4, 3)"


@pytest.mark.parametrize(
    "name, count, formula",
    [
        ("mlp_folded", 3, "relu(h @ w + b)"),
        ("rnn_39", 39, "tanh(h @ W + x @ U + b)"),
        ("deep", 50, "h + (relu(h @ w) @ v) / 50"),
    ],
)
def test_folds_have_the_formula_of_their_block(name, count, formula, scenes):
    (fold,) = (card for card in scenes[name].scene.cards if card.kind == "fold")
    assert (fold.count, fold.facts[0]) == (count, formula)
    assert len(gathered(scenes[name].scene).cards) < 10


def test_the_deep_scene_has_three_hundred_cards_unfolded():
    assert len(gallery.scene(lambda: gallery.residual(50), fold=False)().scene.cards) > 300


def test_both_losses_of_a_gan_come_from_one_answer(scenes):
    scene, found = scenes["gan"].scene, cards(scenes, "gan")
    users = [arrow.head for arrow in scene.arrows if arrow.tail == found["on_fake"].id]
    assert len(users) == 2
    assert float(found["both"].value) == pytest.approx(
        float(found["d_loss"].value) + float(found["g_loss"].value), abs=1e-3
    )


def test_the_verdicts_name_the_first_wrong_step(scenes):
    marks = {name: card.mark for name, card in cards(scenes, "verdicts").items() if card.mark}
    assert {name: mark.status for name, mark in marks.items()} == {
        "o": "right", "w2": "right", "b2": "not-seen", "h": "right",
        "z": "wrong", "w1": "follows", "b1": "follows",
    }  # fmt: skip
    assert marks["z"].is_first and "tanh'" in marks["z"].reason
