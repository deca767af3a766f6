"""The story of a page: graphs of all kinds, against eager results, their own source and NumPy."""

from __future__ import annotations

import importlib
import json
import warnings

import gallery
import numpy as np
import pytest
import shared_scenes
import training
from picture import stories

from tinygrad_steel import (
    OPS,
    Tensor,
    detect_anomaly,
    dropout,
    grad,
    noise,
    op,
    relu,
    scope,
)
from tinygrad_steel.picture.page.known import MOST_CARDS
from tinygrad_steel.picture.page.story import make_story
from tinygrad_steel.picture.page.tracing import traced_for_page
from tinygrad_steel.picture.page.vjps import SingleOps
from tinygrad_steel.program.values import evaluate

GRAPHS = (
    "attention broadcast by_hand cnn diamond gan korean logistic lstm micrograd mlp residual rnn "
    "small steel tied"
)
CHAPTERS = {
    "chapter05_mlp": ("abalone", "digits"),
    "chapter07_convolution": ("",),
    "chapter08_regularization": ("dropout", "noise", "batch norm", "all"),
    "chapter09_branches": ("inception",),
}


def leaf(data, name=None):
    return Tensor(np.asarray(data), requires_grad=True, name=name)


def card(story, name):
    """The card with a name."""
    (found,) = (card for card in story.data["cards"] if card["name"] == name)
    return found


def kinds(story):
    """The kinds of the steps, by their first letters."""
    return "".join(step["k"][0] for step in story.data["steps"])


def words(equation):
    """An equation as one text, its symbols in braces."""
    return "".join(t if isinstance(t, str) else "{" + t["t"] + "}" for t in equation)


# Graphs


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("graph", GRAPHS.split())
def test_graphs_of_the_gallery(graph, fold):
    with np.errstate(all="ignore"):
        found = getattr(gallery, graph)()
    stories.check(found[0] if isinstance(found, tuple) else found, fold=fold)


@pytest.mark.parametrize(
    ("name", "variant"), [(name, variant) for name, every in CHAPTERS.items() for variant in every]
)
def test_graphs_of_the_book(name, variant, monkeypatch):
    """CNN, dropout, noise, batch norm, branches: a loss of a few rows, as the chapter's model makes it."""
    chapter = importlib.import_module(name)
    found = []

    def keep(settings, rng, data, model, loss, accuracy, optimizer, batch_size=32, **others):
        x, y = Tensor(data.x[:4], name="x"), Tensor(data.y[:4], name="y")
        found.append(loss(model(x), y))
        return training.Trained([], None)

    monkeypatch.setattr(chapter, "train", keep)
    data = "synthetic" if name == "chapter05_mlp" else None
    chapter.run(training.Settings(epochs=1, quick=True, data=data, only=variant or None))
    story = stories.check(found[0])
    assert set(kinds(story)) == set("gfsb")
    assert all("a sample of" in note for note in story.data["notes"])


def test_scalars():
    """w * x + b, in which nearly all gradients are 1."""
    w, b, x = leaf(2.0, "w"), leaf(1.0, "b"), Tensor(3.0, name="x")
    story = stories.check(w * x + b)
    assert kinds(story) == "gffsbbb"
    assert card(story, "w")["nudge"] == {
        **{"at": "", "by": "0.001", "from": "7", "to": "7.003", "slope": "3", "grad": "3"}
    }
    gradients = {name: card(story, name)["g"] for name in ("w", "b", "loss")}
    found = {name: float(stories.array(story, i)) for name, i in gradients.items()}
    assert found == {"w": 3, "b": 1, "loss": 1}
    (arrow,) = (a for a in story.data["arrows"] if a["tail"] == card(story, "w")["id"])
    assert arrow["code"] == "g * x" and words(arrow["eq"]) == "{G_b} * {x}"
    assert [step.get("same") for step in story.data["steps"][-3:]] == [True, True, None]


def test_micrograds_example():
    """Its README says what comes out: g = 24.7041, dg/da = 138.8338, dg/db = 645.5773."""
    a, b = leaf(-4.0, "a"), leaf(2.0, "b")
    c, d = a + b, a * b + b**3
    c = c + (c + 1)
    c = c + (1 + c + (-a))
    d = d + (d * 2 + relu(b + a))
    d = d + (3 * d + relu(b - a))
    e = c - d
    f = e**2
    g = f / 2.0
    g = g + 10.0 / f
    story = stories.check(g)
    found = [float(stories.array(story, card(story, name)["g"])) for name in "ab"]
    np.testing.assert_allclose(found, [138.8338, 645.5773], atol=5e-5)
    loss = story.data["cards"][-1]
    np.testing.assert_allclose(stories.array(story, loss["v"]), 24.7041, atol=5e-5)
    assert card(story, "a")["nudge"]["grad"] == "138.8"


def test_a_sum_gets_its_parts_one_by_one():
    x = leaf([1.0, 2.0], "x")
    story = stories.check(np.sum(x * x + np.exp(x) - x / x))
    id = card(story, "x")["id"]
    parts = [step["part"] for step in story.data["steps"] if step.get("n") == id]
    assert parts == [[i, 5] for i in range(1, 6)]


def test_what_no_characters_say_stands_where_it_is_used():
    """The gradient of the squares is inside of `2 * t1 * G_loss / 2`."""
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], name="x")
    story = stories.check(np.mean(np.square(x @ leaf([[1.0], [-1.0]], "w"))))
    said = {
        words(arrow["eq"]): story.data["lines"][step["line"]]["t"][slice(*step["span"])]
        for step in story.data["steps"]
        for arrow in story.data["arrows"]
        if step.get("a") == arrow["id"]
    }
    assert said == {
        "{G_loss} / 2": "2 * t1 * G_loss / 2",
        "2 * {t1} * {g}": "2 * t1 * G_loss / 2",
        "{x.T} @ {g}": "x.T @ (2 * t1 * G_loss / 2)",
    }


def test_equations_have_parentheses():
    a, b = leaf([1.0, 2.0], "a"), leaf([3.0, 5.0], "b")
    story = stories.check(np.sum((a + b) * 3 - (a - b)))
    found = [words(card["eq"]) for card in story.data["cards"] if card["eq"]]
    assert "({a + b}) * 3" in found and "{(a + b) * 3} - ({a - b})" in found


def test_a_number_says_itself():
    """One without a name stands in equations as it is, and times 1 is left out."""
    story = stories.check(np.sum(leaf([1.0, 2.0], "w") * Tensor(0.5) * Tensor(1.0)))
    codes = [arrow["code"] for arrow in story.data["arrows"] if arrow["flows"]]
    assert sorted(codes) == ["g", "g", "g * 0.5"]


@pytest.mark.parametrize("graph", ["lstm", "rnn", "mlp", "residual"])
def test_all_lines_are_computed(graph):
    """By one step or another, folded or not."""
    for fold in (False, True):
        story = stories.told(getattr(gallery, graph)(), fold=fold)
        steps = story.data["steps"]
        done = {line for step in steps for line in (step["line"], *step.get("lines", []))}
        wanted = {
            i for i, line in enumerate(story.data["lines"]) if line["k"] in ("forward", "backward")
        }
        if fold:
            assert wanted <= done
        else:  # what is shared by several gradients has a line, and no step of its own
            assert len(wanted - done) < 4


def test_in_loop_accumulation():
    w, loss = leaf([1.0, -2.0], "w"), 0
    for i in range(6):
        loss = loss + np.sum((w - i) ** 2)
    story = stories.check(loss)
    np.testing.assert_allclose(
        stories.array(story, card(story, "w")["g"]), sum(2 * (w.data - i) for i in range(6))
    )


@pytest.mark.parametrize("shape", [(3, 0), (0, 2), (0,), (2, 0, 3)])
def test_empty_arrays(shape):
    w = leaf([1.0], "w")
    story = stories.check(np.sum(leaf(np.zeros(shape), "e") * w) + np.sum(w))
    (text,) = {a["v"] for a in story.data["arrays"] if a["shape"] == [*shape]}
    assert text == ""


def test_integers_bools_and_float32():
    x = Tensor(np.array([2**53 + 1, -3]), name="x")
    keep = Tensor(np.array([True, False]), name="keep")
    w = leaf(np.ones(2, np.float32), "w")
    story = stories.check(np.sum(w * x * keep))
    texts = {c["name"]: story.data["arrays"][c["v"]]["v"] for c in story.data["cards"]}
    assert texts["x"] == "9007199254740993 -3" and texts["keep"] == "1 0"
    assert "nudge" not in card(story, "x") and "nudge" not in card(story, "keep")


def test_where_no_gradient_arrives():
    w, a = leaf([1.0, 2.0], "w"), leaf([1.0, 2.0], "a")
    story = stories.check(np.sum(w * (a > 1.5)))
    assert card(story, "a")["note"] == "no gradient arrives" and card(story, "a")["g"] is None
    lines = [line["t"] for line in story.data["lines"]]
    assert "G_a = np.zeros_like(a)  # no gradient flows to it" in lines


def test_dropout_is_held_fixed():
    rng = np.random.default_rng(0)
    w = leaf(np.linspace(-1, 1, 20), "w")
    before = rng.bit_generator.state
    loss = np.mean(noise(dropout(np.tanh(w), 0.5, rng), 0.1, rng) ** 2)
    after = rng.bit_generator.state
    story = stories.check(loss)
    assert rng.bit_generator.state == after != before
    found = card(story, "w")["nudge"]  # of the very mask that was drawn
    np.testing.assert_allclose(float(found["slope"]), float(found["grad"]), rtol=0.02)


def test_depth_leaves_out_what_is_further_back():
    with np.errstate(all="ignore"):
        story = stories.check(gallery.mlp(), depth=4)
    assert len(story.data["cards"]) < 12
    assert any(span[2] is None for line in story.data["lines"] for span in line["spans"])


def test_scopes_hold_those_inside():
    x = leaf([1.0, 2.0], "x")
    with scope("outer"):
        with scope("inner"):
            h = np.tanh(x)
        loss = np.sum(h)
    story = stories.check(loss)
    assert [s["path"] for s in story.data["scopes"]] == [["outer"], ["outer", "inner"]]


# What there is no backward of


def test_several_elements_have_a_forward_alone():
    w = leaf([1.0, 2.0], "w")
    story = stories.check(np.tanh(w * 2))
    assert kinds(story) == "gff" and story.traced is None
    (note,) = story.data["notes"]
    assert note.startswith("there is no backward here: (2,) float64, the result of tanh is not a")
    assert [line["t"] for line in story.data["lines"]] == [
        *("def forward(w):", "result = np.tanh(w * 2)", "return result")
    ]
    assert {c["note"] for c in story.data["cards"]} == {"no backward here"}


def test_nothing_that_requires_a_gradient():
    story = stories.check(np.sum(Tensor([1.0, 2.0], name="x") * 3))
    assert kinds(story) == "gff" and "requires_grad=True" in story.data["notes"][0]


@pytest.mark.parametrize("data", [3.0, [1.0, 2.0]])
def test_a_leaf_by_itself(data):
    assert kinds(stories.check(leaf(data, "a"))) == ("gs" if np.ndim(data) == 0 else "g")
    assert kinds(stories.check(Tensor(data))) == "g"


def test_data_that_has_changed_since():
    """The values are those with which the result was computed."""
    a, b = leaf([1.0, 2.0], "a"), leaf([5.0, 6.0], "b")
    loss = np.sum(a * b)
    a.data = np.array([7.0, 8.0])
    story = stories.told(loss)
    assert "has changed since" in story.data["notes"][0] and kinds(story) == "gff"
    np.testing.assert_array_equal(stories.array(story, card(story, "a")["v"]), [1, 2])
    stories.check_equations(story)
    stories.check_spans(story)


@pytest.fixture
def in_place():
    """An op whose forward and vjp write into arrays, which Tensors refuse."""

    @op("in_place", samples=[])
    def in_place(x):
        z = np.zeros_like(x)
        z[...] = 2 * x
        return z

    yield in_place
    del OPS["in_place"]


def test_a_vjp_that_runs_on_arrays_alone(in_place):
    """There are gradients, and what each arrow sends, without code for them."""

    @in_place.vjp
    def _(g, y, x):
        out = np.zeros(x.shape)
        out[...] = 2 * np.asarray(g)
        return out

    w = leaf([1.0, 2.0], "w")
    loss = np.sum(in_place(np.exp(w)))
    story = stories.told(loss)
    stories.check_order(story)
    stories.check_equations(story)
    loss.backward()
    np.testing.assert_allclose(stories.array(story, card(story, "w")["g"]), w.grad)
    assert kinds(story) == "gfffsbbb" and story.traced is None
    assert {step["line"] for step in story.data["steps"][4:]} == {None}
    codes = {a["code"]: "failed" in a for a in story.data["arrows"]}
    assert codes == {"g * t1": False, "vjp of in_place": True, "g": False} or codes == {
        **{"g * exp(w)": False, "vjp of in_place": True, "g": False}
    }
    assert "without the code that computes them" in story.data["notes"][0]


def test_a_forward_that_runs_on_arrays_alone(in_place):
    """Its source cannot be run, but it can be read."""
    in_place.vjp(lambda g, y, x: 2 * g)
    w = leaf([1.0, 2.0], "w")
    story = stories.check(np.sum(in_place(np.exp(w))))
    assert kinds(story) == "gfffsbbb" and story.traced is not None
    assert "Python cannot run it: in_place" in story.data["notes"][0]
    assert None not in {step["line"] for step in story.data["steps"]}


# Numbers that are no numbers


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_beyond_all_others(bad):
    w, v = leaf([bad, 1.0], "w"), leaf([1e300, 2.0], "v")
    with np.errstate(all="ignore"):
        loss = np.sum(w * v)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        story = stories.told(loss)
    text = json.dumps(story.data, allow_nan=False)
    assert json.loads(text) == story.data
    stories.check_order(story)
    with np.errstate(all="ignore"):
        stories.check_gradients(story)


def test_anomaly_detection_does_not_stop_a_page():
    w = leaf([0.0, 1.0], "w")
    with np.errstate(all="ignore"):
        loss = np.sum(np.log(w))
    with detect_anomaly():
        assert "b" in kinds(stories.told(loss))


# Names


HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "]]>",
    "{{cards}} ${x} `x` <!--",
    "a" * 300,
    "\ud800 alone",
    "가중치",
    "\u202egnp.exe \u05d0\u05d1",
    "two\nlines\0",
    "w[0]",
    "G_w",
    "np",
    "loss",
    "t1",
    "lambda",
    "g",
    "",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name):
    """They pass as data; where there is a source, it runs."""
    is_whole = bool(name) and "\ud800" not in name  # a Tensor refuses half a letter
    w, x = leaf([1.0, 2.0], name if is_whole else None), Tensor([3.0, 4.0])
    with scope(name):
        h = np.tanh(w * x)
        h.name = name + "3" if is_whole else None
    story = stories.check(np.sum(h * w), names={name: x, f"{name}4": w})
    text = json.dumps(story.data, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert json.loads(text) == story.data
    if name.isprintable() and is_whole:
        found = [c["kind"] for c in story.data["cards"] if c["name"] == name]
        assert sorted(found) == ["input", "parameter"] or sorted(found) == ["parameter", "target"]


def test_a_name_comes_out_literally():
    story = stories.check(np.sum(leaf([1.0], HOSTILE[0]) * 2))
    assert story.data["cards"][0]["name"] == HOSTILE[0]


def test_an_ops_name_passes_as_well():
    @op("</script>\n]]>", samples=[])
    def hostile(x):
        return x * 2

    hostile.vjp(lambda g, y, x: 2 * g)
    try:
        story = stories.check(np.sum(hostile(leaf([1.0, 2.0], "w"))))
    finally:
        del OPS["</script>\n]]>"]
    assert story.data["cards"][1]["op"] == "</script>\\n]]>"


def test_a_name_in_a_source_that_is_read_alone(in_place):
    """Its function stands there by the op's own name, which may have two lines."""
    in_place.vjp(lambda g, y, x: 2 * g)
    in_place.name = "two\nlines \ud800"
    try:
        story = stories.check(np.sum(in_place(leaf([1.0, 2.0], "w")) * 3))
    finally:
        in_place.name = "in_place"
    lines = [line["t"] for line in story.data["lines"]]
    (line,) = (line for line in lines if "lines" in line)
    assert line == "loss = sum(two\\nlines \\ud800(w) * 3)"
    (step,) = (s for s in story.data["steps"] if s.get("n") == "n1" and s["k"] == "forward")
    assert line[slice(*step["span"])] == "two\\nlines \\ud800(w)"


def test_a_line_that_nobody_can_read_to_its_end():
    """A large array of the op's own, in the function that is written for it."""
    table = np.arange(2000.0)

    @op("looked_up", samples=[])
    def looked_up(x):
        return np.sum(x * table)

    looked_up.vjp(lambda g, y, x: g * table)
    try:
        story = stories.check(looked_up(leaf(np.ones(2000), "w")))
    finally:
        del OPS["looked_up"]
    texts = [line["t"] for line in story.data["lines"]] + "\n".join(story.data["helpers"]).split(
        "\n"
    )
    assert max(map(len, texts)) < 2100
    assert "longest lines are cut" in story.data["notes"][0]


def test_two_leaves_of_one_name():
    a, b = leaf([1.0], "w"), leaf([2.0], "w")
    stories.check(np.sum(a * b))


# For those who build on it


def test_values_can_be_computed_again():
    """A recorder runs the Program of a story with other parameters: all arrays are then those of a new story."""
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(5, 4)), rng.integers(0, 3, 5)
    w, b = leaf(rng.normal(size=(4, 3)), "w"), leaf(np.zeros(3), "b")

    def loss():
        z = Tensor(x, name="x") @ w + b
        z = z - np.max(z, axis=1, keepdims=True)
        rows = np.arange(5)
        return -np.mean((z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)))[rows, labels])

    first = make_story(loss())
    w.data, b.data = rng.normal(size=(4, 3)), rng.normal(size=3)
    second = stories.check(loss())
    arrays = {first.traced.leaves[i]: None for i in range(len(first.traced.leaves))}
    arrays = {leaf: first.traced.tensors[leaf].data for leaf in arrays}
    arrays[first.traced.start] = np.array(1.0)
    found = evaluate(first.traced.program, arrays)
    assert len(first.arrays.every) == len(second.arrays.every)
    for value, i in first.values.items():
        stories.same(found[value], stories.array(second, i))


def test_equal_numbers_are_not_one_array():
    """Two biases that begin with zeros do not stay the same."""
    a, b = leaf([0.0, 0.0], "a"), leaf([0.0, 0.0], "b")
    story = stories.check(np.sum((a + 1) * (b + 2)))
    assert card(story, "a")["v"] != card(story, "b")["v"]


def test_a_trace_can_be_handed_in():
    """Then the values are its own, and the numbers those of then."""
    w = leaf([1.0, 2.0], "w")
    loss = np.sum(w * w * 3)
    traced = traced_for_page(loss, None)
    w.data = np.array([5.0, 6.0])
    story = make_story(loss, traced=traced)
    assert {traced.loss, *traced.leaves, *traced.gradient_of.values()} <= {*story.values}
    np.testing.assert_array_equal(stories.array(story, card(story, "w")["v"]), [1, 2])
    np.testing.assert_array_equal(stories.array(story, card(story, "w")["g"]), [6, 12])


def test_what_each_op_sends_back_can_be_in_the_trace_already():
    """Then a story has no values beyond it, whatever is folded."""
    loss = gallery.lstm()
    traced = traced_for_page(loss, None)
    single = SingleOps(traced, traced.numbers())
    for t, x in traced.made.items():
        if t.op is not None and x in traced.gradient_of:
            single.vjps(t)
    whole = single.extended()
    for fold in (False, True):
        story = make_story(loss, fold=fold, traced=whole)
        assert {*story.traced.program.applies} == {*whole.program.applies}
        assert {x for x in story.values if x.op} <= {*whole.program.applies}


def test_further_arrays():
    w = leaf([1.0, 2.0], "w")
    story = make_story(np.sum(w * 2))
    count = len(story.data["arrays"])
    i = story.add(np.array([[1.0, np.nan]]))
    assert i == count and story.add(np.array([[1.0, np.nan]])) == i
    assert story.add(w.data) == count + 1  # yours, which stays what it is
    assert story.data["arrays"][i]["v"] == "1 nan"


def test_a_fold_gets_gradients_that_are_no_parts_of_one():
    """One loss a step: each goes to the state of another step."""
    story = stories.check(shared_scenes.rnn_with_losses(), fold=True)
    folds = [c["id"] for c in story.data["cards"] if c["kind"] == "fold"]
    into = [s for s in story.data["steps"] if s["k"] == "backward" and s["n"] in folds]
    assert len(into) > 2 and all("part" not in step for step in into)
    assert any("lines" in step and len(step["lines"]) > 3 for step in story.data["steps"])


def test_a_fold_waits_for_all_that_it_needs():
    """Though lines of its first blocks stand above: inputs of later ones, and gradients of each."""
    rng = np.random.default_rng(2)
    w, h, loss = leaf(rng.normal(size=(3, 3)), "w"), leaf(np.ones(3), "h"), 0
    different = zip((np.sin, np.cos, np.exp, np.square), (np.sum, np.mean, np.max, np.prod))
    for t, (prepare, score) in enumerate(different):
        x = prepare(leaf(rng.normal(size=3), f"r{t}"))
        x.name = f"x{t}"
        with scope(f"step[{t}]"):
            h = np.tanh(h @ w + x)
        loss = loss + score(h)
    story = stories.check(loss, fold=True)
    order = [step["n"] for step in story.data["steps"] if step["k"] == "forward"]
    fold = next(c["id"] for c in story.data["cards"] if c["name"].startswith("step"))
    assert order.index(fold) > max(order.index(card(story, f"x{t}")["id"]) for t in range(4))
    arrows = {arrow["id"]: arrow for arrow in story.data["arrows"]}
    back = [arrows[step["a"]] for step in story.data["steps"] if step["k"] == "backward"]
    into = [i for i, arrow in enumerate(back) if arrow["tail"] == fold]
    out = [i for i, arrow in enumerate(back) if arrow["head"] == fold]
    assert len(into) > 1 and len(out) > 4 and max(into) < min(out)


def test_no_generator_is_further_on():
    rng = np.random.default_rng(1)

    @op("drawn", samples=[], random=True)
    def drawn(x):
        return x * rng.random(x.shape)

    drawn.vjp(lambda g, y, x: g * y / x)
    try:
        loss = np.sum(drawn(leaf([1.0, 2.0], "w")))
        before = rng.bit_generator.state
        assert "nudge" not in card(make_story(loss), "w")  # with other draws it is another function
        assert rng.bit_generator.state == before
    finally:
        del OPS["drawn"]


def test_neither_data_nor_gradients_change():
    w = leaf([1.0, 2.0], "w")
    loss = np.sum(np.exp(w))
    make_story(loss)
    assert w.grad is None
    loss.backward()
    before = w.grad
    make_story(loss)
    assert w.grad is before


# What a gradient promises


def test_a_kink_promises_nothing():
    w = leaf([0.0, 0.0], "w")
    story = make_story(np.sum(np.abs(w) + w))
    assert "nudge" not in card(story, "w")
    tie = make_story(np.max(leaf([1.0, 1.0], "w")))
    assert "nudge" not in card(tie, "w")


def test_what_is_detached_by_an_op_is_held_fixed():
    """No gradient flows through a comparison: the slope is that of the rest."""
    w = leaf([1.0, 2.0], "w")
    found = card(make_story(np.sum(w * np.asarray(w.data) * (w > 1.5))), "w")["nudge"]
    assert (found["at"], found["slope"], found["grad"]) == ("[1]", "2", "2")


def test_a_wrong_rule_is_told_by_its_slope():
    @op("wrong", samples=[])
    def wrong(x):
        return x * 3

    wrong.vjp(lambda g, y, x: g * 2)
    try:
        found = card(make_story(np.sum(wrong(leaf([1.0], "w")))), "w")["nudge"]
    finally:
        del OPS["wrong"]
    assert (found["slope"], found["grad"]) == ("3", "2")


def test_the_slope_is_measured():
    """tanh(2 x) at 0.3: the slope is 2 / cosh(0.6) ** 2, from which raising by 0.001 differs a little."""
    story = make_story(np.sum(np.tanh(2 * leaf([0.3], "x"))))
    found = card(story, "x")["nudge"]
    np.testing.assert_allclose(float(found["grad"]), 2 / np.cosh(0.6) ** 2, rtol=5e-4)
    up = (np.tanh(0.602) - np.tanh(0.6)) / 0.001
    np.testing.assert_allclose(float(found["slope"]), up, rtol=5e-4)


def test_an_op_may_refuse_numbers_that_are_raised():
    @op("strict", samples=[])
    def strict(x):
        if np.any(x != np.round(x)):
            raise ValueError("whole numbers alone")
        return x * 2

    strict.vjp(lambda g, y, x: g * 2)
    try:
        story = make_story(np.sum(strict(leaf([1.0], "w"))))
    finally:
        del OPS["strict"]
    assert "nudge" not in card(story, "w")


# How much fits


def long_chain(cards):
    x = leaf(np.random.default_rng(0).normal(size=(48, 48)), "x")
    for _ in range((cards - 2) // 2):
        x = np.tanh(x) * 1.01
    return np.mean(x)


def deep_network(cards):
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(50, 64)), name="x")
    for i in range((cards - 4) // 5):
        w = leaf(rng.normal(0, 0.15, (64, 64)), f"w{i}")
        with scope(f"layer {i}"):
            x = relu(x @ w + leaf(np.zeros(64), f"b{i}"))
    return np.mean(np.square(x))


@pytest.mark.parametrize("graph", [long_chain, deep_network])
def test_300_cards_stay_small(graph):
    story = stories.told(graph(300), fold=False)
    assert len(story.data["cards"]) >= 290
    text = json.dumps(story.data, separators=(",", ":"), ensure_ascii=False)
    assert len(text) < 1_150_000  # with layouts and what stands around it, the page has 1.5 MB
    (note,) = story.data["notes"]
    assert "sample" in note and "digits" in note


def test_a_long_source_has_the_numbers_of_cards_alone():
    x = leaf(np.random.default_rng(0).normal(size=(20, 20)), "x")
    y = x
    for _ in range(800):
        y = np.tanh(y)
    story = stories.told(np.mean(y), depth=20)
    lines = story.data["lines"]
    assert len(lines) > 1000 and len(story.data["cards"]) == 21
    spans = [span for line in lines for span in line["spans"]]
    assert spans and all(ref is not None for _, _, ref, _ in spans)
    assert len(story.data["arrays"]) < 100
    (note,) = story.data["notes"]
    assert "only what a card shows can be pointed at" in note


def test_small_pages_have_all_digits():
    assert make_story(gallery.steel()).data["notes"] == []


def test_more_cards_than_a_page_can_show():
    loss = long_chain(MOST_CARDS + 10)
    with pytest.raises(ValueError, match=r"cards cannot be read: explore\(..., depth=20\)"):
        make_story(loss, fold=False)
    assert len(make_story(loss, fold=False, depth=20).data["cards"]) < 60


def test_wrong_arguments():
    with pytest.raises(TypeError, match="takes a Tensor"):
        make_story(np.ones(3))
    with pytest.raises(ValueError, match="fold is True"):
        make_story(leaf(1.0), fold="no")
    with pytest.raises(ValueError, match="depth is how many steps"):
        make_story(leaf(1.0), depth=0)


def test_gradients_of_gradients():
    w = leaf([1.0, 2.0], "w")
    (g,) = grad(np.sum(w**3), [w])
    story = stories.check(np.sum(g * g))
    np.testing.assert_allclose(stories.array(story, card(story, "w")["g"]), 36 * w.data**3)
