"""What a report of compare_backprop says, on the cards of its graph."""

import re

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import (
    Tensor,
    compare_backprop,
    draw,
    relu,
    scope,
    softmax,
    softmax_cross_entropy,
)
from tinygrad_steel.picture.themes import DARK, LIGHT
from tinygrad_steel.picture.verdicts import ICONS


def network(names="x y W b V z h o"):
    """A loss of one hidden layer, its Tensors by name, and their right gradients."""
    rng = np.random.default_rng(5)
    x, y = Tensor(rng.normal(size=(6, 4)), name="x"), Tensor(rng.integers(0, 3, 6), name="y")
    W, b, V = leaf(rng.normal(size=(4, 5))), leaf(rng.normal(size=5)), leaf(rng.normal(size=(5, 3)))
    z = x @ W + b
    h = relu(z)
    o = h @ V
    loss = softmax_cross_entropy(o, y).mean()
    G_o = (softmax(o).numpy() - np.eye(3)[y.numpy()]) / 6
    G_h = G_o @ V.numpy().T
    G_z = G_h * (z.numpy() > 0)
    G_W, G_b, G_V = x.numpy().T @ G_z, G_z.sum(axis=0), h.numpy().T @ G_o
    loss.backward()
    tensors = {"x": x, "y": y, "W": W, "b": b, "V": V, "z": z, "h": h, "o": o}
    return loss, tensors, {"o": G_o, "h": G_h, "z": G_z, "W": G_W, "b": G_b, "V": G_V}


def compared(change=lambda g: g, without=()):
    """The network and the report on its gradients, `change`d ones after the first."""
    loss, names, grads = network()
    given = {f"G_{name}": g for name, g in change(grads).items() if name not in without}
    return loss, names, compare_backprop(loss, names, **given)


def wrong_sign(grads):
    """G_h with a wrong sign, and what follows from it."""
    flipped = {name: -grads[name] for name in ("h", "z", "W", "b")}
    return grads | flipped


def marks(picture):
    return {card.name: card.mark for card in picture.scene.cards if card.name}


def statuses(picture):
    return {name: mark.status for name, mark in marks(picture).items() if mark is not None}


def test_each_card_has_its_verdict():
    loss, names, report = compared(wrong_sign, without=["b"])
    picture = draw(loss, names=names, report=report)
    assert statuses(picture) == {
        "W": "follows",
        "z": "follows",
        "b": "not-seen",
        "h": "wrong",
        "V": "right",
        "o": "right",
    }
    first = marks(picture)["h"]
    assert (first.is_first, first.of, first.reason) == (True, "G_h", "the sign is wrong")
    assert sum(mark.is_first for mark in marks(picture).values() if mark) == 1


def test_what_has_no_gradient_has_no_verdict():
    loss, names, report = compared()
    picture = draw(loss, names=names, report=report)
    assert {name for name, mark in marks(picture).items() if mark is None} == {"x", "y", "output"}
    assert {*statuses(picture).values()} == {"right"}


def test_names_do_not_matter():
    """The verdict belongs to the Tensor, whatever the picture calls it, and whatever else has its name."""
    loss, names, report = compared(wrong_sign)
    names["z"].name = "h"
    picture = draw(loss, report=report)
    wrong = [card for card in picture.scene.cards if card.mark and card.mark.status == "wrong"]
    assert [(card.op, card.mark.of) for card in wrong] == [("relu", "G_h")]


def test_the_subtitle_counts_and_says_what_is_wrong_first():
    loss, names, report = compared(wrong_sign)
    lines = draw(loss, names=names, report=report).scene.subtitle
    assert "6 gradients compared · 1 wrong · 3 from a wrong one · 2 right" in lines
    assert "first wrong step: G_h, the sign is wrong" in lines


def test_the_text_says_it_too():
    loss, names, report = compared(wrong_sign)
    lines = str(draw(loss, names=names, report=report)).splitlines()
    (line,) = (line for line in lines if "relu" in line and "cross_entropy" not in line)
    assert line.endswith("[first wrong step: the sign is wrong]")


@pytest.mark.parametrize("theme, colours", [("light", LIGHT), ("dark", DARK)])
def test_words_and_icons_stand_on_cards_and_the_first_wrong_one_stands_out(theme, colours):
    loss, names, report = compared(wrong_sign)
    source = draw(loss, names=names, report=report, theme=theme).source
    for status, words in {
        "right": "right",
        "follows": "follows from a wrong one",
        "wrong": "first wrong step",
    }.items():
        assert f"{ICONS[status]} {words}<" in source
    framed = re.findall(rf'color="{colours["wrong"]}"[^\n]*?penwidth=([\d.]+)', source)
    assert framed == ["4"]


def test_gradients_of_somebodys_code():
    loss, names, grads = network()
    arrays = {name: t.numpy() for name, t in names.items()}

    def backward():
        do = grads["o"] * 1.0
        dV = arrays["h"].T @ do
        dh = do @ arrays["V"].T
        dz = dh * arrays["z"]
        return dV, arrays["x"].T @ dz, dz.sum(axis=0)

    report = compare_backprop(loss, names, backprop=backward)
    found = statuses(draw(loss, names=names, report=report))
    assert (found["V"], found["o"], found["z"], found["W"]) == (
        "right",
        "right",
        "wrong",
        "follows",
    )


def test_what_cannot_be_judged_has_a_question_mark():
    w = leaf([0.0, 1.0], name="w")
    with np.errstate(all="ignore"):
        loss = np.sum(np.log(w))
        report = compare_backprop(loss, G_w=np.ones(2))
    (mark,) = (card.mark for card in draw(loss, report=report).scene.cards if card.name == "w")
    assert mark.words.startswith("? not finite, not judged") and mark.reason


def test_a_fold_has_the_worst_of_its_verdicts_and_says_whose():
    h, weights = Tensor(np.ones((2, 3)), name="x"), {}
    for i in range(4):
        weights[f"w{i}"] = leaf(np.eye(3) * 0.5, name=f"w{i}")
        with scope(f"hidden[{i}]"):
            h = np.tanh(h @ weights[f"w{i}"])
    loss = h.sum()
    loss.backward()
    given = {f"G_{name}": w.grad.copy() for name, w in weights.items()}
    right = compare_backprop(loss, **given)
    given["G_w2"] *= -1
    wrong = compare_backprop(loss, **given)
    marks = [
        next(c.mark for c in draw(loss, fold=True, report=r).scene.cards if c.kind == "fold")
        for r in (right, wrong)
    ]
    assert [(mark.status, mark.text) for mark in marks] == [
        ("right", "right"),
        ("wrong", "G_w2: first wrong step"),
    ]


def test_a_report_of_another_graph_is_refused():
    _, _, report = compared()
    loss, names, _ = network()
    with pytest.raises(ValueError, match="the report is not about this graph as it is now: G_o, "):
        draw(loss, names=names, report=report)


def test_a_report_from_before_a_step_of_training_is_refused():
    loss, names, report = compared()
    names["W"].data -= 0.1
    with pytest.raises(ValueError, match="not about this graph as it is now: G_W; draw the loss"):
        draw(loss, names=names, report=report)


def test_what_is_no_report_is_refused():
    with pytest.raises(TypeError, match="report is what compare_backprop returns, not dict"):
        draw(leaf(1.0), report={})


def test_a_picture_of_the_last_steps_has_the_verdicts_of_these():
    loss, names, report = compared(wrong_sign)
    assert statuses(draw(loss, names=names, depth=2, report=report)) == {"o": "right"}


def test_a_report_of_another_loss_of_the_same_parameters_is_refused():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
    report = compare_backprop(np.sum(np.square(x)), G_x=2 * x.numpy())
    with pytest.raises(ValueError, match="about another loss, computed from the same parameters"):
        draw(np.sum(np.exp(x)), report=report)
