"""What a picture shows, as plain facts: cards, arrows, gradients, scopes, folds and the text tree; no renderer."""

import copy
import functools
import gc
import re
import sys
import threading

import gallery
import numpy as np
import pytest
import steel
from every_op import SMOOTH, call, cases
from helpers import calls, leaf

from tinygrad_steel import (
    OPS,
    Tensor,
    arrays,
    detect_anomaly,
    draw,
    no_grad,
    op,
    relu,
    scope,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from tinygrad_steel.picture.gradients import length
from tinygrad_steel.picture.scope import SCOPES
from tinygrad_steel.picture.text import text_tree


def scene(*args, **options):
    """What a picture shows."""
    return draw(*args, **options).scene


def cards(shown, **facts):
    """The cards of which all of this is true."""
    return [card for card in shown.cards if all(getattr(card, k) == v for k, v in facts.items())]


def card(shown, **facts):
    (found,) = cards(shown, **facts)
    return found


def arrows(shown):
    """Every arrow as the names or ops at its ends."""
    ends = {c.id: c.op if c.kind == "output" else c.name or c.op for c in shown.cards}
    return [(ends[a.tail], ends[a.head]) for a in shown.arrows]


def into(shown, head):
    return [a for a in shown.arrows if a.head == head.id]


def data(name="x", shape=(4, 8)):
    return Tensor(np.random.default_rng(0).normal(size=shape), name=name)


def weight(rows, columns, name="w"):
    return leaf(np.random.default_rng(1).normal(0, 0.3, (rows, columns)), name=name)


def assert_inputs_come_first(shown):
    """Each card stands after all from which arrows lead to it, and the result last."""
    place = {c.id: i for i, c in enumerate(shown.cards)}
    assert len(place) == len(shown.cards)
    assert all(place[a.tail] < place[a.head] for a in shown.arrows)
    assert {a.tail for a in shown.arrows} == place.keys() - {shown.cards[-1].id}


# Cards


def test_the_cards_of_the_steel_step():
    shown = scene(gallery.steel())
    assert [(c.kind, c.name, c.op, c.shape) for c in shown.cards] == [
        ("input", "x", "", (10, 27)),
        ("parameter", "w", "", (27, 7)),
        ("op", "", "matmul", (10, 7)),
        ("parameter", "b", "", (7,)),
        ("op", "z", "add", (10, 7)),
        ("target", "y", "", (10,)),
        ("op", "", "softmax_cross_entropy", (10,)),
        ("output", "loss", "mean", ()),
    ]
    assert shown.title == "loss = mean(softmax_cross_entropy(x @ w + b, y))"
    assert shown.subtitle == [
        "8 nodes · 2 parameters, 196 numbers · float64 · gradients from loss.backward()"
    ]
    assert_inputs_come_first(shown)


def test_arrows_follow_the_order_of_operands():
    a, b = leaf([1.0, 2.0], name="a"), leaf([3.0, 4.0], name="b")
    assert arrows(scene((a - b).sum())) == [
        ("a", "subtract"),
        ("b", "subtract"),
        ("subtract", "sum"),
    ]
    assert arrows(scene((b - a).sum())) == [
        ("b", "subtract"),
        ("a", "subtract"),
        ("subtract", "sum"),
    ]


def test_a_tensor_used_twice_is_one_card_with_two_arrows():
    w = leaf([1.0, 2.0], name="w")
    shown = scene((w * w).sum(), view="backward")
    assert arrows(shown) == [("w", "multiply"), ("w", "multiply"), ("multiply", "sum")]
    assert [a.code for a in shown.arrows] == ["g * w", "g * w", "g"]


def test_two_tensors_of_one_name_are_two_cards():
    shown = scene((leaf(1.0, name="w") * leaf(2.0, name="w")).sum())
    assert [c.value for c in cards(shown, name="w")] == ["1", "2"]


def test_a_shared_result_is_one_card():
    x = leaf([1.0, 2.0], name="x")
    h = np.tanh(x)
    assert arrows(scene((h * np.exp(h)).sum())) == [
        ("x", "tanh"), ("tanh", "exp"), ("tanh", "multiply"), ("exp", "multiply"), ("multiply", "sum"),
    ]  # fmt: skip


@pytest.mark.parametrize("labels", [[0, 2], np.eye(3)[[0, 2]]], ids=["ids", "one-hot"])
def test_labels_are_targets_whatever_they_are_called(labels):
    shown = scene(
        softmax_cross_entropy(
            leaf(np.ones((2, 3)), name="z"), Tensor(labels, name="classes")
        ).mean()
    )
    assert card(shown, name="classes").kind == "target"


@pytest.mark.parametrize("name", ["y", "t", "Targets", "y_true", "labels"])
def test_a_usual_name_makes_a_target(name):
    assert (
        card(scene((leaf(1.0, name="x") - Tensor(1.0, name=name)).sum()), name=name).kind
        == "target"
    )


def test_unnamed_leaves():
    shown = scene((leaf([1.0, 2.0]) * np.array([3.0, 4.0])).sum())
    assert [(c.kind, c.name) for c in shown.cards[:2]] == [("parameter", ""), ("constant", "")]


def test_constants_of_one_number():
    shown = scene(leaf([1.0, 2.0], name="x").sum() * Tensor(np.float32(0.5)))
    assert (card(shown, kind="constant").value, card(shown, kind="constant").shape) == ("0.5", ())


def test_whole_numbers_are_not_rounded():
    x = leaf(1.0, name="x")
    assert card(scene(x * Tensor(1234567, name="n")), name="n").value == "1234567"
    assert card(scene(x * Tensor(True, name="mask")), name="mask").value == "True"
    assert card(scene(x * 1234567.8), kind="output").value == "1.2346e+06"


@pytest.mark.parametrize(
    "make, facts",
    [
        (lambda x: x.sum(axis=1), ["axis=1"]),
        (lambda x: x.sum(), []),
        (lambda x: x.std(axis=0, ddof=1, keepdims=True), ["axis=0, keepdims=True, ddof=1"]),
        (lambda x: 2 - x, ["2 - _"]),
        (lambda x: x - 2, ["_ - 2"]),
        (lambda x: x / 3**0.5, ["_ / 1.732"]),
        (lambda x: x**2, ["_ ** 2"]),
        (lambda x: np.maximum(x, 0.0), ["_, 0"]),
        (lambda x: sigmoid_cross_entropy(x, 1.0), ["_, 1"]),  # BCE is no sign between two
        (lambda x: x.clip(-1, 1), ["a_min=-1, a_max=1"]),
        (lambda x: x[1:, 0], ["[1:, 0]"]),
        (lambda x: x[[0, 0], ::-1], ["[_, ::-1]"]),
        (lambda x: x.reshape(3, -1), ["shape=(3, -1)"]),
        (lambda x: x.transpose(1, 0), ["axes=(1, 0)"]),
        (lambda x: x.astype(np.float32), ["dtype=np.float32"]),
        (lambda x: np.einsum("ij->j", x), ["subscripts='ij->j'"]),
    ],
)
def test_plain_numbers_and_parameters_of_an_op(make, facts):
    assert scene(make(leaf(np.ones((2, 3)), name="x"))).cards[-1].facts == facts


def test_a_parameter_with_an_address_is_shown_without_it():
    part = op(
        "part_of_address",
        lambda x, *, how: x * 1,
        lambda g, y, x, how: g,
        samples=[arrays((2,), how=len)],
    )
    try:
        (fact,) = scene(part(leaf([1.0, 2.0]), how=object())).cards[-1].facts
        assert fact == "how=<object object>"
    finally:
        del OPS["part_of_address"]


def test_values_of_small_tensors_are_shown_when_asked_for():
    x = Tensor([[1, 2], [3, 4]], name="x")
    loss = (leaf(np.ones((4, 4)), name="w")[:2, :2] * x).sum()
    assert card(scene(loss, values=True), name="x").facts == ["[[1, 2],", " [3, 4]]"]
    assert card(scene(loss, values=True), name="w").facts == card(scene(loss), name="x").facts == []


def test_broadcasting_is_said_on_the_arrow():
    shown = scene((data() @ weight(8, 3) + leaf(np.ones(3), name="b")).sum())
    assert [a.broadcast for a in into(shown, card(shown, op="add"))] == ["", "broadcast to (4, 3)"]
    assert {a.broadcast for a in into(shown, card(shown, op="matmul"))} == {""}


@pytest.mark.parametrize(
    "t, kind",
    [
        (leaf([1.0, 2.0], name="w"), "parameter"),
        (Tensor([1.0], name="x"), "input"),
        (Tensor([1], name="y"), "target"),
        (Tensor(3.0), "constant"),
    ],
)
def test_a_leaf_alone(t, kind):
    shown = scene(t)
    assert [c.kind for c in shown.cards] == [kind] and shown.arrows == []
    assert shown.title == (t.name or "a leaf")


def test_variable_names_stand_in():
    x = data(None)
    w = weight(8, 2, None)
    hidden = np.tanh(x @ w)
    loss = hidden.sum()
    shown = scene(loss, names=locals())
    assert [c.name for c in shown.cards] == ["x", "w", "", "hidden", "loss"]
    assert shown.title == "loss = sum(tanh(x @ w))"
    assert card(shown, name="x").kind == "input"


def test_arrays_in_an_expression_are_called_like_their_variables():
    x, w = np.ones((2, 3)), weight(3, 2)
    assert card(scene((x @ w).sum(), names={"x": x}), name="x").kind == "input"


def test_an_op_that_takes_the_name_of_another_has_not_its_sign(registry):
    del OPS["subtract"]
    odd = op(
        "subtract", lambda a, b: a * b, lambda g, y, a, b: g * b, None, samples=[arrays((2,), (2,))]
    )
    shown = scene(odd(leaf([1.0, 2.0], name="x"), 3.0).sum())
    assert card(shown, op="subtract").glyph == "subtract" and card(shown, op="subtract").facts == [
        "_, 3"
    ]
    assert shown.title == "sum(subtract(x, 3))"


def test_an_op_of_ones_own_is_drawn_with_its_name():
    made = op(
        "scaled_tanh",
        lambda x: 1.7 * np.tanh(x),
        lambda g, y, x: g * (1.7 - y * y / 1.7),
        samples=[arrays((2,))],
    )
    try:
        shown = scene(made(leaf([1.0, 2.0], name="x")).sum(), view="backward")
        assert card(shown, op="scaled_tanh").glyph == "scaled_tanh"
        assert shown.arrows[0].code == "g * (1.7 - t1 * t1 / 1.7)"
        assert card(shown, op="scaled_tanh").called == "t1"
        assert shown.title == "sum(scaled_tanh(x))"
    finally:
        del OPS["scaled_tanh"]


def test_a_vjp_that_runs_on_arrays_alone_is_named():
    made = op(
        "rounded_up",
        np.asarray,
        lambda g, y, x: np.array([float(i) for i in np.asarray(g)]),
        samples=[],
    )
    try:
        shown = scene(made(leaf([1.0, 2.0], name="x")).sum(), view="backward")
        assert [a.code for a in shown.arrows] == ["vjp of rounded_up", "g"]
        assert shown.arrows[0].failed.startswith("TypeError: ") and not shown.arrows[1].failed
    finally:
        del OPS["rounded_up"]


def test_dask_arrays_are_not_computed_for_their_values():
    da = pytest.importorskip("dask.array")
    x, w = (
        Tensor(da.ones((3, 2), chunks=2), name="x"),
        Tensor(da.ones((2, 2)), requires_grad=True, name="w"),
    )
    shown = scene((x @ w).sum(), view="backward", values=True)
    assert [c.value for c in shown.cards] == ["", "", "", ""]
    assert [a.code for a in shown.arrows] == ["", "x.T @ g", "g"]
    assert card(shown, name="w").grad == 6


# Signs, and numbers in rows


def micrograd():
    """The example of micrograd's notebook: L = (a * b + c) * f."""
    a, b, c, f = (leaf(x, name=n) for n, x in {"a": 2.0, "b": -3.0, "c": 10.0, "f": -2.0}.items())
    e = a * b
    d = e + c
    loss = d * f
    e.name, d.name, loss.name = "e", "d", "L"
    return loss


@pytest.mark.parametrize("view", ["backward", "both", "forward"])
def test_micrograds_example_has_its_numbers_with_their_signs(view):
    loss = micrograd()
    loss.backward()
    shown = scene(loss, view=view)
    numbers = {c.name: (float(c.value), float(c.signed)) for c in shown.cards}
    assert numbers == {
        "a": (2, 6), "b": (-3, -4), "c": (10, -2), "f": (-2, 4), "e": (-6, -2), "d": (4, -2), "L": (-8, 1),
    }  # fmt: skip
    lines = text_tree(shown).splitlines()
    assert "L  multiply  = -8  grad 1" in lines
    assert any(line.startswith("|  |  `- b  = -3  parameter  grad -4") for line in lines)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1)])
def test_every_result_of_one_element_shows_it_and_its_gradient(shape):
    x = leaf(np.full(shape, 0.5), name="x")
    shown = scene((x * -3.0).sum(), view="backward")
    assert (card(shown, op="multiply").value, card(shown, op="multiply").signed) == ("-1.5", "1")
    assert (card(shown, name="x").value, card(shown, name="x").signed) == ("0.5", "-3")
    length = f"{shape}  " if shape else ""
    assert f"x  {length}= 0.5  parameter  grad -3  [sent: g * -3" in text_tree(shown)


def test_the_numbers_of_a_gradient_stand_below_those_of_the_data():
    x = leaf([[0.5, -12.0], [0.00316, 0.0]], name="x")
    loss = (x * np.array([[-0.25, 1.0], [0.0, 2.0]])).sum()
    shown = card(scene(loss, view="backward", values=True), name="x")
    assert shown.facts == ["[[  0.500, -12.000],", " [  0.003,       0]]"]
    assert shown.grad_rows == ["[[ -0.250,   1.000],", " [      0,   2.000]]"]
    assert card(scene(loss, view="backward"), name="x").grad_rows == []


@pytest.mark.parametrize(
    "numbers, lines",
    [
        ([0.00316, 0.000468, 0.00000964, 0.67], "[0.00316, 0.00047, 0.00001, 0.67000]"),
        ([1.0, -2.0], "[ 1, -2]"),
        ([1.5, 20.26], "[ 1.5, 20.3]"),
        ([1 / 3, 200 / 3], "[ 0.33, 66.67]"),
        ([3.16e-7, 0.0], "[3.16e-07,        0]"),
        ([1234567.0, 2.0], "[1.23e+06, 2.00e+00]"),
        ([123456.0, 2.0], "[123456,      2]"),
        ([np.nan, np.inf, -0.0, 1.25], "[ nan,  inf,    0, 1.25]"),
        ([np.nan, 0.0], "[nan,   0]"),
        ([1e-300, 1e300], "[1.00e-300, 1.00e+300]"),
        ([True, False], "[ True, False]"),
        ([10, -3], "[10, -3]"),
    ],
)
def test_small_arrays_are_in_one_notation(numbers, lines):
    shown = scene(Tensor(np.array(numbers), name="x"), values=True)
    assert shown.cards[0].facts == [lines]


def test_twelve_numbers_are_few_and_thirteen_many():
    sizes = {n: len(scene(data(shape=(n,)), values=True).cards[0].facts) for n in (0, 12, 13)}
    assert sizes[0] == sizes[13] == 0 < sizes[12]


@pytest.mark.parametrize("value, text", [(np.nan, "nan"), (-np.inf, "-inf"), (-0.0, "0")])
def test_single_gradients_that_are_no_numbers(value, text):
    x = leaf(1.0, name="x")
    assert card(scene(x * value, view="backward"), name="x").signed == text


# The spine


@pytest.mark.parametrize("make, length", [(gallery.steel, 5), (gallery.mlp, 14)])
def test_the_spine_leads_from_the_data_to_the_result(make, length):
    spine = cards(scene(make()), spine=True)
    assert [spine[0].name, spine[-1].kind, len(spine)] == ["x", "output", length]
    assert all(c.op for c in spine[1:])


def test_the_spine_takes_the_longest_way():
    x, w = data(), weight(8, 8)
    shown = scene((x + relu(x @ w)).sum())
    assert [c.name or c.op for c in cards(shown, spine=True)] == [
        "x",
        "matmul",
        "relu",
        "add",
        "output",
    ]
    assert [a.spine for a in into(shown, card(shown, op="add"))] == [False, True]


def test_the_spine_needs_no_data():
    w = leaf([1.0, 2.0], name="w")
    assert [c.name or c.op for c in cards(scene(np.tanh(w * w).sum()), spine=True)] == [
        "w",
        "multiply",
        "tanh",
        "output",
    ]


# Gradients


def mlp():
    x, w, b = data(), weight(8, 3), leaf(np.zeros(3), name="b")
    return softmax_cross_entropy(x @ w + b, Tensor([0, 1, 2, 0], name="y")).mean(), w, b


def test_before_backward_there_is_none():
    loss, *_ = mlp()
    shown = scene(loss)
    assert {c.note for c in cards(shown, kind="parameter")} == {"no gradient yet"}
    assert all(c.grad is None for c in shown.cards)
    assert shown.subtitle[0].endswith("no backward() yet")


def test_after_backward_leaves_show_theirs_and_results_are_pulled_afresh():
    loss, w, b = mlp()
    loss.backward()
    loss.backward()  # adds the same again: leaves show what they have
    shown = scene(loss)
    assert card(shown, name="w").grad == pytest.approx(np.linalg.norm(w.grad))
    assert card(shown, name="b").grad == pytest.approx(np.linalg.norm(b.grad))
    loss.backward()
    assert card(scene(loss), op="add").grad == card(shown, op="add").grad
    assert card(shown, kind="output").grad == 1
    assert card(shown, name="x").note == card(shown, name="y").note == "no gradient"


def test_gradients_of_results_are_the_true_ones():
    from tinygrad_steel import grad

    x, w = data(), weight(8, 3)
    z = x @ w
    loss = np.square(np.tanh(z) + z).sum()
    shown = scene(loss, view="backward")
    assert card(shown, op="matmul").grad == pytest.approx(np.linalg.norm(grad(loss, z).data))
    assert [a.size for a in into(shown, card(shown, op="matmul"))] == [
        None,
        pytest.approx(card(shown, name="w").grad),
    ]


def test_where_nothing_requires_a_gradient():
    for view in ("forward", "backward", "both"):
        shown = scene((data() * 2).sum(), view=view)
        assert shown.subtitle[0].endswith("nothing requires a gradient")
        assert all(c.grad is None for c in shown.cards) and not any(
            a.flows or a.code for a in shown.arrows
        )


def test_one_leaf_without_a_gradient_among_others():
    loss, w, _ = mlp()
    loss.backward()
    w.grad = None
    assert card(scene(loss), name="w").note == "no gradient yet"


def test_a_parameter_that_no_gradient_reaches():
    w, u = leaf([1.0, 2.0], name="w"), leaf([3.0, 4.0], name="u")
    shown = scene((w * np.isfinite(np.exp(u))).sum(), view="backward")
    assert card(shown, name="u").note == "no gradient arrives"
    assert [a.flows for a in into(shown, card(shown, op="multiply"))] == [True, False]
    assert [a.flows for a in into(shown, card(shown, op="exp"))] == [False]


@pytest.mark.parametrize("view", ["forward", "backward", "both"])
def test_drawing_changes_nothing(view):
    loss, w, b = mlp()
    for _ in range(2):
        before = [(t.data.copy(), copy.copy(getattr(t, "grad", None)), t.age) for t in (loss, w, b)]
        draw(loss, view=view, values=True, fold=True)
        for t, (numbers, gradient, age) in zip((loss, w, b), before):
            np.testing.assert_array_equal(t.data, numbers)
            np.testing.assert_equal(getattr(t, "grad", None), gradient)
            assert t.age == age
        loss.backward()


def test_the_backward_of_the_steel_step_in_code():
    shown = scene(gallery.steel(), view="backward")
    assert [a.code for a in shown.arrows] == [
        "", "x.T @ g", "g", "g.sum(axis=0)", "g[:, None] * (softmax(z) - one_hot(y))", "", "g / 10",
    ]  # fmt: skip
    assert [a.flows for a in shown.arrows] == [bool(a.code) for a in shown.arrows]
    assert shown.g == "g"


def test_a_detached_part_gets_no_gradient():
    x = leaf([1.0, 2.0], name="x")
    shown = scene((x * np.exp(x).detach()).sum(), view="backward")
    assert [c.kind for c in shown.cards] == ["parameter", "constant", "op", "output"]
    assert [a.flows for a in shown.arrows] == [True, False, True]


def test_what_was_computed_inside_no_grad_is_a_leaf():
    x = leaf([1.0, 2.0], name="x")
    with no_grad():
        mask = x > 1
        assert len(scene(x * 2).cards) == 1
    assert [c.kind for c in scene((x * mask).sum()).cards] == [
        "parameter",
        "constant",
        "op",
        "output",
    ]


def test_drawing_inside_no_grad():
    loss, *_ = mlp()
    with no_grad():
        assert scene(loss, view="backward").arrows[1].code == "x.T @ g"


def test_data_changed_since():
    loss, w, _ = mlp()
    loss.backward()
    w.data -= 0.1
    shown = scene(loss)
    assert card(shown, name="w").grad == pytest.approx(np.linalg.norm(w.grad))
    assert card(shown, op="add").grad is None
    assert shown.subtitle[0].endswith(
        "gradients of parameters as backward() left them, none of results"
    )
    assert shown.subtitle[1].startswith(
        "gradients of results cannot be pulled: w: (8, 3) float64 has changed since matmul used it"
    )
    with pytest.raises(RuntimeError, match="w: .* has changed since"):
        scene(loss, view="backward")


def test_a_result_of_several_elements():
    w = leaf([1.0, 2.0], name="w")
    y = w * 2
    assert [c.kind for c in scene(y).cards] == ["parameter", "output"]
    y.backward([1.0, 1.0])
    assert card(scene(y), name="w").grad == pytest.approx(8**0.5)
    with pytest.raises(ValueError, match="not a single number"):
        scene(y, view="backward")


def test_a_result_through_which_no_gradient_flows():
    y = np.isfinite(leaf([1.0], name="w")).sum()
    assert len(scene(y).cards) == 3
    with pytest.raises(RuntimeError, match="no gradient flows here"):
        scene(y, view="both")


@pytest.mark.parametrize(
    "value, length",
    [(np.nan, "nan"), (np.inf, "inf"), (0.0, "0"), (1e200, "1e+200"), (1e-200, "1e-200")],
)
def test_gradients_of_any_size(value, length):
    x = leaf([1.0, 2.0], name="x")
    shown = scene((x * np.array([value, 0.0])).sum(), view="backward")
    assert f"|grad| {length}" in text_tree(shown).splitlines()[-2]


def test_gradients_that_overflow_draw_without_a_warning():
    x = leaf([0.0, 1.0], name="x")
    with np.errstate(divide="ignore"):
        loss = np.log(x).sum()
    assert card(scene(loss, view="backward"), name="x").grad == np.inf
    with np.errstate(all="raise"):
        scene(loss, view="both")


def test_detect_anomaly_does_not_stop_the_picture_of_what_it_found():
    x = leaf([0.0, 1.0], name="x")
    loss = np.sqrt(x).sum()
    with detect_anomaly():
        assert card(scene(loss, view="backward"), name="x").grad == np.inf


def test_length():
    assert length([3, 4]) == 5 and length([]) == 0 and length(-2) == 2
    assert length([3e200, 4e200]) == pytest.approx(5e200)
    assert length([3e-200, 4e-200]) == pytest.approx(5e-200)
    assert length([-np.inf, 1]) == np.inf and np.isnan(length([np.nan, np.inf]))


@pytest.mark.parametrize("o, sample", SMOOTH + cases([steel.book_cross_entropy]))
def test_every_op_can_be_drawn_backwards_in_code(o, sample):
    wanted = [x.dtype.kind == "f" and vjp is not None for x, vjp in zip(sample.inputs, o.vjps)]
    inputs = [Tensor(x, flag, f"v{i}") for i, (x, flag) in enumerate(zip(sample.inputs, wanted))]
    y = call(o, inputs, sample.params)
    picture = draw(y.sum(), view="backward")
    arrows = into(picture.scene, card(picture.scene, op=o.name, kind="op"))
    assert [bool(a.code) for a in arrows] == wanted
    assert not any(a.code.startswith("vjp of") for a in arrows)
    assert str(picture) and picture.source


# Scopes


def test_cards_belong_to_the_scope_in_which_they_were_made():
    shown = scene(gallery.mlp())
    assert {c.scope for c in cards(shown, op="relu")} == {
        ("hidden[0]",),
        ("hidden[1]",),
        ("hidden[2]",),
    }
    assert card(shown, name="w1").scope == ("hidden[1]",)
    assert (
        card(shown, name="x").scope
        == card(shown, name="y").scope
        == card(shown, name="loss").scope
        == ()
    )


def test_scopes_in_scopes():
    x, w = leaf([1.0], name="x"), leaf([2.0], name="w")
    with scope("model"):
        h = x * 2
        with scope("inner"):
            h = h * w
        h = np.exp(h)
    shown = scene(h.sum())
    assert [c.scope for c in cards(shown, op="multiply")] == [("model",), ("model", "inner")]
    assert card(shown, op="exp").scope == ("model",)
    assert card(shown, name="w").scope == ("model", "inner")


def test_a_parameter_used_in_several_scopes_belongs_to_what_they_share():
    w = leaf([2.0], name="w")
    with scope("model"):
        with scope("a"):
            left = w * 2
        with scope("b"):
            right = w * 3
    assert card(scene((left + right).sum()), name="w").scope == ("model",)


def test_a_scope_may_be_entered_again():
    x = leaf([1.0], name="x")
    with scope("a"):
        h = np.sin(x)
    h = np.cos(h)
    with scope("a"):
        h = np.tanh(h)
    assert [c.scope for c in scene(h.sum()).cards] == [("a",), ("a",), (), ("a",), ()]


def test_one_scope_object_serves_once_and_its_name_may_be_anything():
    with scope(3):
        h = np.sin(leaf([1.0]))
    assert scene(h.sum()).cards[1].scope == ("3",)


def test_an_exception_leaves_the_scope():
    x = leaf([1.0], name="x")
    with pytest.raises(ZeroDivisionError), scope("a"):
        1 / 0  # noqa: B018
    assert card(scene(np.sin(x).sum()), op="sin").scope == ()


@pytest.mark.parametrize("first", [lambda: scope("a"), detect_anomaly])
def test_scope_and_detect_anomaly_together(first):
    x = leaf([1.0], name="x")
    with first(), detect_anomaly(), scope("a"):
        h = np.sin(x)
        with pytest.raises(FloatingPointError), np.errstate(divide="ignore"):
            np.log(x * 0)
    assert card(scene(h.sum()), op="sin").scope == ("a",) * (
        2 if first is not detect_anomaly else 1
    )


def test_another_thread_is_outside():
    x, made = leaf([1.0], name="x"), []
    with scope("a"):
        thread = threading.Thread(target=lambda: made.append(np.sin(x).sum()))
        thread.start()
        thread.join()
    assert card(scene(made[0]), op="sin").scope == ()


def test_scopes_in_threads_do_not_mix():
    results = {}

    def run(name):
        for _ in range(50):
            with scope(name):
                h = np.sin(leaf([1.0]))
        results[name] = h.sum()

    threads = [threading.Thread(target=run, args=(f"thread {i}",)) for i in range(4)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert {name: card(scene(y), op="sin").scope for name, y in results.items()} == {
        n: (n,) for n in results
    }


def test_scopes_keep_nothing_alive():
    gc.collect()
    before = len(SCOPES)
    with scope("a"):
        h = np.sin(leaf([1.0]))
        for _ in range(100):
            h = h * 2
    assert len(SCOPES) == before + 101
    del h
    assert len(SCOPES) == before


def test_drawing_inside_a_scope_notes_nothing():
    loss, *_ = mlp()
    before = len(SCOPES)
    with scope("a"):
        draw(loss, view="backward")
    assert len(SCOPES) == before


# Folds


def layers(count, start=0):
    """Layers in scopes hidden[start], ..."""
    h = data()
    for i in range(start, start + count):
        with scope(f"hidden[{i}]"):
            h = relu(h @ weight(8, 8, f"w{i}") + leaf(np.zeros(8), name=f"b{i}"))
    return h


def test_equal_scopes_fold_into_one_card():
    loss = gallery.mlp()
    shown = scene(loss, fold=True)
    fold = card(shown, kind="fold")
    assert (fold.name, fold.count, fold.spine, fold.scope) == ("hidden", 3, True, ())
    assert fold.facts == [
        "relu(h @ w + b)",
        "(10, 27) -> (10, 32) -> (10, 32) -> (10, 32)",
        "w0, b0, ..., w2, b2 · 3,008 numbers",
    ]
    sizes = [
        c.grad for c in scene(loss).cards if c.name[:1] in "wb" and c.name[1:] in "012" and c.name
    ]
    assert (fold.grad, fold.note) == (max(sizes), f"{min(sizes):.3g} to {max(sizes):.3g}")
    assert shown.subtitle[1] == "3 repeated blocks folded; draw(..., fold=False) shows all"
    assert_inputs_come_first(shown)


def test_arrows_of_a_fold():
    shown = scene(gallery.mlp(), fold=True, view="backward")
    assert arrows(shown)[:2] == [("x", "hidden"), ("hidden", "matmul")]
    assert [(a.flows, a.code) for a in shown.arrows[:2]] == [(False, ""), (True, "g @ wo.T")]


def test_nothing_folds_below_the_limit_or_when_told_not_to():
    loss = gallery.mlp()
    assert not cards(scene(loss), kind="fold") and not cards(scene(loss, fold=False), kind="fold")
    assert not cards(scene(layers(20).sum(), fold=False), kind="fold")


def test_folding_begins_above_sixty_cards():
    x = leaf([1.0], name="x")
    for count, folds in ((58, 0), (59, 1)):
        h = x
        for _ in range(count):
            h = np.sin(h)
        assert len(cards(scene(h.sum()), kind="fold")) == folds


@pytest.mark.parametrize(
    "second",
    [
        lambda h, w, b: np.tanh(h @ w + b),
        lambda h, w, b: relu(h @ w) + b,
        lambda h, w, b: relu(h @ w),
        lambda h, w, b: relu(h @ (w + b)),
    ],
)
def test_unequal_scopes_do_not_fold(second):
    h = data()
    for i, layer in enumerate([lambda h, w, b: relu(h @ w + b), second]):
        with scope(f"hidden[{i}]"):
            h = layer(h, weight(8, 8, f"w{i}"), leaf(np.zeros(8), name=f"b{i}"))
    assert not cards(scene(h.sum(), fold=True), kind="fold")


def test_a_square_is_not_a_product():
    """w * w and h * w have the same ops; they differ in where their inputs come from."""
    h = data("x", (3,))
    for i in range(2):
        w = leaf(np.ones(3), name=f"w{i}")
        with scope(f"hidden[{i}]"):
            h = h + (w * w if i else h * w)
    assert not cards(scene(h.sum(), fold=True), kind="fold")


def test_numbered_scopes_within_one_that_stands_alone_fold_too():
    with scope("stage[0]"):
        h = layers(3)
    shown = scene(h.sum(), fold=True)
    assert (card(shown, kind="fold").name, card(shown, kind="fold").scope) == (
        "hidden",
        ("stage[0]",),
    )


def test_the_outer_of_two_repeated_scopes_folds():
    h = data()
    for i in range(2):
        with scope(f"block[{i}]"):
            for j in range(2):
                with scope(f"hidden[{j}]"):
                    h = relu(h @ weight(8, 8, f"w{i}{j}"))
    fold = card(scene(h.sum(), fold=True), kind="fold")
    assert (fold.name, fold.count, fold.facts[0]) == ("block", 2, "relu(relu(h @ w) @ w_2)")


def test_scopes_that_take_turns_fold_together():
    h = data()
    for i in range(3):
        with scope(f"a[{i}]"):
            h = relu(h @ weight(8, 8, f"w{i}"))
        with scope(f"b[{i}]"):
            h = h + np.tanh(h @ weight(8, 8, f"u{i}"))
    shown = scene(h.sum(), fold=True)
    assert (card(shown, kind="fold").name, card(shown, kind="fold").count) == ("a -> b", 3)
    assert_inputs_come_first(shown)


def test_what_stands_between_scopes_is_folded_with_them():
    h = data()
    for i in range(3):
        with scope(f"hidden[{i}]"):
            h = relu(h @ weight(8, 8, f"w{i}"))
        h = h * 0.9
    assert card(scene(h.sum(), fold=True), kind="fold").name == "hidden -> multiply"


def test_no_fold_sends_arrows_round_in_a_circle():
    """Each layer uses what is computed once, outside, from the first of them."""
    h, extra = data(), None
    for i in range(4):
        with scope(f"hidden[{i}]"):
            h = relu(h @ weight(8, 8, f"w{i}") + (0.0 if extra is None else extra))
        extra = np.sin(h) if extra is None else extra
    assert_inputs_come_first(scene(h.sum(), fold=True))


def test_blocks_side_by_side_fold():
    x, heads = data(), []
    for i in range(3):
        with scope(f"head[{i}]"):
            heads.append(np.tanh(x @ weight(8, 2, f"w{i}")))
    shown = scene(np.concatenate(heads, axis=1).sum(), fold=True)
    assert card(shown, kind="fold").facts[1] == "(4, 8) -> (4, 2)"
    assert arrows(shown) == [("x", "head"), ("head", "concatenate"), ("concatenate", "sum")]


def test_a_weight_that_all_blocks_share_stays_outside():
    h, w = data(), weight(8, 8)
    for i in range(4):
        with scope(f"step[{i}]"):
            h = np.tanh(h @ w)
    shown = scene(h.sum(), fold=True)
    assert [c.name for c in shown.cards] == ["x", "w", "step", "output"]
    assert card(shown, kind="fold").facts[0] == "tanh(h @ w)"


def test_a_weight_that_each_block_uses_twice_keeps_its_name():
    h, w = data(), weight(8, 8)
    for i in range(4):
        with scope(f"step[{i}]"):
            h = np.tanh(h @ w) @ w
    assert card(scene(h.sum(), fold=True), kind="fold").facts[0] == "tanh(h @ w) @ w"


def test_the_spine_leads_into_a_fold():
    """The first block uses x twice: beside the spine, and on it."""
    x = h = data()
    for i in range(3):
        with scope(f"hidden[{i}]"):
            h = np.tanh(x * leaf(np.ones(8), name=f"w{i}")) + h
    shown = scene(h.sum(), fold=True)
    assert [(a.tail, a.spine) for a in shown.arrows] == [("n0", True), ("f0", True)]


def test_steps_without_a_scope_fold_where_they_repeat():
    h = data()
    for i in range(5):
        h = h + relu(h @ weight(8, 8, f"w{i}"))
    fold = card(scene(h.sum(), fold=True), kind="fold")
    assert (fold.name, fold.count, fold.facts[0]) == ("matmul -> relu -> add", 5, "h + relu(h @ w)")


def test_numbers_that_differ_are_said():
    h = leaf([1.0], name="x")
    for i in range(1, 9):
        h = h * i
    assert card(scene(h.sum(), fold=True), kind="fold").facts[0] == "h * 1, ..., h * 8"


def test_the_result_itself_is_never_folded():
    shown = scene(layers(4), fold=True)
    assert (card(shown, kind="fold").count, shown.cards[-1].kind) == (3, "output")


def test_a_fold_with_a_gradient_that_is_not_a_number():
    h = data()
    for i in range(2):
        with scope(f"hidden[{i}]"):
            h = h * leaf(np.full(8, np.nan if i else 1.0), name=f"w{i}")
    assert card(scene(h.sum(), fold=True, view="backward"), kind="fold").note.startswith("nan")


def test_a_fold_before_backward_says_so():
    assert card(scene(layers(3).sum(), fold=True), kind="fold").note == "no gradient yet"


def test_scopes_without_a_single_op():
    x = leaf([1.0], name="x")
    made = []
    for i in range(2):
        with scope(f"data[{i}]"), no_grad():
            made.append(np.sin(x))
        made[-1].name = f"s{i}"
    assert card(scene((x * made[0] * made[1]).sum(), fold=True), kind="fold").count == 2


def test_every_node_is_shown_or_counted():
    for make in (lambda: layers(30), lambda: layers(3), gallery.mlp):
        loss = make().sum()
        shown = scene(loss, fold=True)
        folded = sum(c.count for c in cards(shown, kind="fold"))
        assert shown.subtitle[1].startswith(f"{folded} repeated blocks folded")
        assert shown.subtitle[0].startswith(f"{len(scene(loss, fold=False).cards)} nodes")


# Sizes


def wide(count):
    """Branches side by side, three cards each."""
    x = leaf([1.0, 2.0], name="x")
    branches = [
        (np.sin, np.cos, np.exp)[i % 3](x * leaf([1.0, 1.0], name=f"w{i}"))
        for i in range(count // 3)
    ]
    return np.concatenate(branches).sum()


def uneven(count):
    """A chain in which nothing repeats."""
    h = leaf([1.0, 2.0], name="x")
    for i in range(count):
        h = (
            [np.sin, np.cos, np.tanh][(i * i + i // 3) % 3](h)
            if (i * 7919) % 5
            else h * leaf([1.0, 1.0])
        )
    return h.sum()


@pytest.mark.parametrize("make", [wide, uneven])
def test_seventy_and_four_hundred_cards(make):
    for count in (70, 400):
        shown = scene(make(count))
        assert count <= len(shown.cards) <= 1.3 * count
        assert_inputs_come_first(shown)
        assert len(text_tree(shown).splitlines()) > count


def test_more_than_a_thousand_cards_ask_for_a_limit():
    loss = wide(1200)
    with pytest.raises(
        ValueError,
        match=r"1,20\d cards cannot be read: draw\(..., depth=20\).*scope\('block\[0\]'\)",
    ):
        scene(loss)
    assert len(scene(loss, depth=2).cards) == 402
    assert len(scene(loss, depth=5000).cards) > 1000  # a limit was asked for


def test_depth():
    h = leaf([1.0], name="x")
    for _ in range(10):
        h = np.sin(h)
    shown = scene(h.sum(), depth=3, view="backward")
    assert [c.op for c in shown.cards] == ["sin", "sin", "sin", "sum"]
    assert shown.subtitle[0].startswith(
        "12 nodes · 1 parameter, 1 number · float64 · gradients of the result"
    )
    assert shown.subtitle[1] == "8 nodes further back than 3 steps left out"
    assert [a.code for a in shown.arrows] == ["g * cos(t8)", "g * cos(t9)", "g"]
    assert [c.called for c in shown.cards] == ["t8", "t9", "", ""]
    assert len(scene(h.sum(), depth=100).subtitle) == 1


def test_a_card_says_which_inputs_depth_leaves_out():
    """One of two that is drawn for another reason is not all that a product has."""
    a, b = leaf(2.0, name="a"), leaf(-3.0, name="b")
    facts = {card.op or card.name: card.facts for card in scene(a * b + a, depth=1).cards}
    assert facts == {"add": [], "multiply": ["1 input left out"], "a": []}
    product, total = scene(np.square(a * b).sum(), depth=2).cards[0], scene(a * b).cards[-1]
    assert product.facts == ["2 inputs left out"] and total.facts == []


@pytest.mark.parametrize("names", [5, ["x"], "x", leaf(1.0)])
def test_names_are_a_dict(names):
    with pytest.raises(TypeError, match=r"names is a dict of variables, such as locals\(\), not "):
        draw(leaf(1.0) * 2, names=names)


@pytest.mark.parametrize("depth", [0, -1, 1.5, "3"])
def test_depth_is_at_least_one(depth):
    with pytest.raises(ValueError, match="at least 1"):
        scene(leaf(1.0), depth=depth)


@pytest.mark.parametrize(
    "step", [lambda h, x: np.tanh(h), lambda h, x: h + x, lambda h, x: np.tanh(h * 1.01)]
)
def test_a_chain_deeper_than_the_stack(step):
    x = leaf([0.1, 0.2], name="x")

    def shown(length):
        y = functools.reduce(lambda h, _: step(h, x), range(length), x)
        picture = draw(y.sum(), view="backward")
        assert len(picture.scene.cards) == 3 and picture.scene.cards[1].count == length
        assert len(str(picture).splitlines()) == 8

    shown(2 * sys.getrecursionlimit())
    assert calls(shown, 400) < 2.5 * calls(shown, 200)


# The text tree


def test_the_text_tree():
    assert text_tree(scene(gallery.mlp(), fold=True)).splitlines() == [
        "loss = mean(softmax_cross_entropy(relu(relu(relu(x @ w0 + b0) @ w1 + b1) @ w2 + b2) @ wo + bo, y))",
        "23 nodes | 8 parameters, 3,239 numbers | float64 | gradients from loss.backward()",
        "3 repeated blocks folded; draw(..., fold=False) shows all",
        "",
        "loss  mean  = 1.9534  grad 1",
        "^ softmax_cross_entropy  (10,)  |grad| 0.316",
        "|- add  (10, 7)  |grad| 0.293",
        "|  |- matmul  (10, 7)  |grad| 0.293",
        "|  |  |- 3 x hidden  relu(h @ w + b)  (10, 27) -> (10, 32) -> (10, 32) -> (10, 32)  w0, b0, ..., w2, b2 | "
        "3,008 numbers  |grad| 0.108 to 0.643",
        "|  |  |  ^ x  (10, 27)  input  no gradient",
        "|  |  `- wo  (32, 7)  parameter  |grad| 0.465",
        "|  `- bo  (7,)  parameter  |grad| 0.371  [broadcast to (10, 7)]",
        "`- y  (10,)  target  no gradient",
    ]


def test_every_console_can_show_the_text():
    for picture in gallery.SCENES.values():
        text = re.sub("[가-힣]", "", str(picture()))  # names of somebody's own are as they are
        assert text.isascii()


def test_a_shared_part_is_written_once():
    x = leaf([1.0, 2.0], name="x")
    h = np.tanh(x)
    assert text_tree(scene((h * h).sum())).splitlines()[4:] == [
        "^ multiply  (2,)",
        "|- tanh  (2,)",
        "|  ^ x  (2,)  parameter  no gradient yet",
        "`- tanh  (2,)  (see above)",
    ]


def test_doublings_are_written_in_as_many_lines():
    h = leaf(1.0, name="x")
    for _ in range(50):
        h = h + h
    assert len(text_tree(scene(h)).splitlines()) == 104


NAMES = [
    "w:0",
    "a->b",
    "{a: 1}",
    "<lambda>",
    "<b>w</b>",
    r"C:\new\N",
    'say "hi"',
    "R&D &amp;",
    "가중치",
    "  two  ",
]


@pytest.mark.parametrize("name", [*NAMES, "x" * 300])
def test_names_stand_in_the_text_as_they_are(name):
    shown = scene(np.sin(leaf([1.0], name=name)).sum())
    other = "  _a_1 in formulas" if name == "{a: 1}" else ""  # there it would be a dict
    line = f"^ {name}  (1,){other}  = 1  parameter  no gradient yet"
    assert text_tree(shown).splitlines()[-1] == line


@pytest.mark.parametrize(
    "name, written",
    [("a\nb", r"a\nb"), ("a\tb", r"a\tb"), ("\x00", r"\x00"), ("\u202e", r"\u202e")],
)
def test_controls_in_names_are_written_as_python_writes_them(name, written):
    lines = text_tree(scene(np.sin(leaf([1.0], name=name)).sum())).splitlines()
    assert len(lines) == 6 and lines[-1].startswith(f"^ {written}  ") and written in lines[0]
