"""The frames of a Record on the page of its graph: which array shows what, one scale, and hints in words."""

import functools
import itertools

import gallery
import numpy as np
import pytest
import shared_scenes
from helpers import counted, leaf
from picture.schema import check, numbers

from tinygrad_steel import (
    SGD,
    Record,
    Tensor,
    compare_backprop,
    explore,
    relu,
    scope,
    sigmoid,
    softmax_cross_entropy,
)
from tinygrad_steel.engine.tensor import record_op
from tinygrad_steel.picture.page.record import frames_of, with_last
from tinygrad_steel.picture.page.story import make_story
from tinygrad_steel.program.ancestors import ancestors


class Network:
    """A perceptron by its parameters, which can be computed for any of them."""

    def __init__(self, sizes=(5, 8, 3), rows=6, activation=relu, size=1.0, squared=False):
        rng = np.random.default_rng(4)
        self.xs, self.ys = rng.normal(size=(rows, sizes[0])), rng.integers(0, sizes[-1], rows)
        self.activation, self.squared = activation, squared
        self.parameters = {}
        for i, pair in enumerate(itertools.pairwise(sizes), 1):
            self.parameters[f"w{i}"] = leaf(size * rng.normal(size=pair), name=f"w{i}")
            self.parameters[f"b{i}"] = leaf(np.zeros(pair[1]), name=f"b{i}")

    def loss(self, parameters=None):
        p = [*(parameters or self.parameters).values()]
        h = Tensor(self.xs, name="x")
        for i in range(0, len(p) - 2, 2):
            with scope(f"hidden[{i // 2}]"):
                h = self.activation(h @ p[i] + p[i + 1])
        z, y = h @ p[-2] + p[-1], Tensor(self.ys, name="y")
        loss = np.mean(np.square(z - 1.0)) if self.squared else softmax_cross_entropy(z, y).mean()
        loss.name = "loss"
        return loss

    def fresh(self, arrays):
        """A new graph with these parameters."""
        return self.loss({name: leaf(a, name=name) for name, a in arrays.items()})

    def arrays(self):
        return {name: t.numpy() for name, t in self.parameters.items()}


def trained(network, rate, steps=6, **options):
    """The loss that was recorded, its Record, and the parameters at each step."""
    loss = network.loss()
    run, past = Record(loss, **options), []
    optimizer = SGD([*network.parameters.values()], rate)
    with np.errstate(all="ignore"):
        for step in range(steps):
            past.append(network.arrays())
            run.keep(step)
            optimizer.zero_grad()
            network.loss().backward()
            optimizer.step()
    return loss, run, past


def paged(loss, run, **options):
    """The data of the page, its record in it."""
    story = make_story(loss, traced=run.traced, **options)
    data = story.data
    data["record"] = frames_of(story, run)
    check(data)
    return data


def seen(data, frame, i):
    """An array as a frame shows it."""
    return {**data["arrays"][i], **frame["arrays"].get(str(i), {})}


def alike(one, other):
    """Whether two arrays of pages show the same, to the digits that frames have."""
    assert (one["shape"], one["rows"], one["cols"]) == (
        other["shape"],
        other["rows"],
        other["cols"],
    )
    np.testing.assert_allclose(numbers(one), numbers(other), rtol=6e-3, atol=1e-12)
    for name in ("min", "max", "mean", "norm"):
        np.testing.assert_allclose(one[name], other[name], rtol=2e-3, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    "squared", [False, True]
)  # two rules of one expression, 2 * (z - 1) * G / 18
@pytest.mark.parametrize("activation", [relu, sigmoid, lambda z: np.maximum(0, z), np.tanh])
def test_each_frame_is_the_page_of_a_fresh_graph(activation, squared):
    """Every array of a frame, of cards, arrows, symbols and lines, is that of a page of its own."""
    network = Network(activation=activation, squared=squared, size=0.5)
    loss, run, past = trained(network, 0.2)
    data = paged(loss, run)
    assert run.side == 40 and len(data["record"]["frames"]) == 6
    for frame, arrays in zip(data["record"]["frames"], past):
        fresh = make_story(network.fresh(arrays)).data
        assert len(fresh["arrays"]) == len(data["arrays"])
        for i, other in enumerate(fresh["arrays"]):
            alike(seen(data, frame, i), other)
        last = fresh["arrays"][fresh["cards"][-1]["v"]]
        assert float(frame["loss"]) == pytest.approx(numbers(last)[0], rel=1e-4)
    for field in ("cards", "arrows", "lines", "steps"):  # but for numbers in it, it is one page
        assert len(data[field]) == len(fresh[field])


def test_the_page_has_the_sampling_of_the_frames():
    network = Network((30, 200, 90, 4), rows=50)
    loss, run, _ = trained(network, 0.1)
    data = paged(loss, run)
    assert run.side < 40
    last = data["record"]["frames"][-1]
    card = next(c for c in data["cards"] if c["name"] == "w2")
    base, entry = data["arrays"][card["v"]], last["arrays"][str(card["v"])]
    assert base["of"] == [200, 90] and max(base["rows"], base["cols"]) <= run.side
    w = network.parameters["w2"].data
    whole = with_last(run)[-1]
    assert whole.step == last["step"]
    # the parameters after the last keep are one step further: compare by the frame's own place
    assert len(entry["v"].split()) == base["rows"] * base["cols"]
    first = numbers(base)
    expected = run.traced.arrays[run.traced.made[network.parameters["w2"]]]
    np.testing.assert_allclose(first, expected[np.ix_(base["ri"], base["ci"])].ravel(), rtol=6e-3)
    assert w.shape == (200, 90)


def test_parts_of_a_gradient_are_sampled_alike():
    """They are added up on the page, also where one of them never changes."""
    w = leaf(np.random.default_rng(1).normal(size=(60, 60)), name="w")
    many = [leaf(np.random.default_rng(i).normal(size=(60, 60)), name=f"v{i}") for i in range(12)]
    loss = np.sum(w) + sum(np.sum(np.square(w * v)) for v in many)
    run = Record(loss)
    for t in (w, *many):
        t.data = t.data * 0.5
    run.keep(0)
    data = paged(loss, run, fold=False)
    (card,) = (c for c in data["cards"] if c["name"] == "w")
    parts = [data["arrays"][a["a"]] for a in data["arrows"] if a["tail"] == card["id"]]
    assert run.side < 40 and len({(a["rows"], a["cols"]) for a in parts}) == 1


def test_one_scale_over_time():
    network = Network()
    loss, run, past = trained(network, 0.5)
    data = paged(loss, run)
    card = next(c for c in data["cards"] if c["name"] == "w1")
    largest = max(np.abs(arrays["w1"]).max() for arrays in past)
    assert data["record"]["scale"][str(card["v"])] == pytest.approx(largest, rel=1e-3)


def test_a_folded_page_has_frames_as_well():
    network = Network((4, 4, 4, 4, 4, 3))
    loss, run, _ = trained(network, 0.1)
    data = paged(loss, run, fold=True)
    (fold,) = (c for c in data["cards"] if c["kind"] == "fold")
    assert str(fold["v"]) in data["record"]["frames"][-1]["arrays"]


def test_a_page_after_the_training_is_that_of_before():
    """The story is told of the graph as it was traced, whatever its Tensors hold now."""
    network = Network()
    before = make_story(network.loss()).data
    loss, run, _ = trained(network, 0.5)
    data = paged(loss, run)
    for one, other in zip(data["arrays"], before["arrays"]):
        alike(one, other)
    assert [c.get("nudge") for c in data["cards"]] == [c.get("nudge") for c in before["cards"]]


# Hints


def hints(data):
    return [[hint["text"] for hint in frame["hints"]] for frame in data["record"]["frames"]]


def test_a_healthy_run_has_nothing_to_be_said():
    assert not any(hints(paged(*trained(Network(size=0.5), 0.1)[:2])))


def test_relus_that_die():
    network = Network()
    loss = network.loss()
    run = Record(loss)
    run.keep(0)
    network.parameters["b1"].data = np.array([-99.0] * 3 + [1.0] * 5)
    run.keep(1)
    network.parameters["b1"].data = np.full(8, -99.0)
    run.keep(2)
    first, some, every = hints(paged(loss, run))
    assert first == []
    assert (
        some[0].startswith("3 of 8 units of t")
        and " are dead for this batch: 0 in every row" in some[0]
    )
    assert every[0].startswith("All 8 units of t")
    assert any(text.startswith("|G_w1| fell from") and " to 0" in text for text in every)


@pytest.mark.parametrize(
    "activation", [relu, lambda z: np.maximum(0, z), lambda z: np.maximum(z, 0.0)]
)
def test_dead_units_however_a_relu_is_written(activation):
    network = Network(activation=activation)
    network.parameters["b1"].data = np.array([-99.0] + [1.0] * 7)
    loss = network.loss()
    run = Record(loss)
    run.keep(0)
    h = activation(network.xs @ network.parameters["w1"].data + network.parameters["b1"].data)
    assert np.all(h == 0, axis=0).sum() == 1  # it is in the page where nothing has changed yet
    assert [t[:11] for t in hints(paged(loss, run))[0]] == ["1 of 8 unit"]


@pytest.mark.parametrize("function", [lambda z: np.maximum(z, -1.0), np.square, lambda z: z * 0.0])
def test_zeros_that_are_no_dead_relus(function):
    network = Network(activation=function)
    loss = network.loss()
    run = Record(loss)
    run.keep(0)
    assert not any("dead" in text for text in hints(paged(loss, run))[0])


def test_a_gradient_that_vanishes_on_its_way():
    network = Network((6, 6, 6, 6, 6, 6, 6, 6, 3), activation=sigmoid, size=0.7)
    network.loss().backward()
    g = [np.linalg.norm(network.parameters[name].grad) for name in ("w1", "w8")]
    assert g[1] > 1000 * g[0]
    found = hints(paged(*trained(network, 0.1)[:2]))[0]
    assert len(found) == 1 and found[0].startswith("The gradient vanishes on its way back: |G_w8|")
    assert f"{g[0]:.2g}" in found[0] and f"{g[1]:.2g}" in found[0]


def test_small_inputs_are_no_vanishing_gradient():
    network = Network((6, 6, 6, 3), activation=np.tanh, size=0.5)
    network.xs = network.xs * 1e-6
    network.parameters["b1"].data = np.ones(6)
    network.loss().backward()
    g = [np.linalg.norm(network.parameters[name].grad) for name in ("w1", "w3")]
    assert g[1] > 1000 * g[0]
    loss, run, _ = trained(network, 0.1)
    assert not any("on its way" in text for texts in hints(paged(loss, run)) for text in texts)


def test_a_loss_that_is_nan_from_some_step_on():
    network = Network((5, 6, 3), activation=np.square, size=2.0)
    loss, run, _ = trained(network, 500.0, steps=12)
    first = next(step for step, x in zip(run.steps, run.losses) if not np.isfinite(x))
    found = hints(paged(loss, run))
    for step, texts in zip(run.steps, found):
        is_lost = any(text.startswith("The loss is ") for text in texts)
        assert is_lost == (step >= first)
    assert f"has not been finite since step {first}" in found[-1][0]
    assert any(text.startswith("The first value that is not finite is") for text in found[-1])


def test_a_loss_that_grows():
    w = leaf([1.0], name="w")
    loss = np.sum(np.square(w))
    run = Record(loss)
    for step, x in enumerate((1.0, 3.0, 4.0)):
        w.data = np.array([x])
        run.keep(step)
    assert hints(paged(loss, run)) == [
        [],
        [],
        ["The loss grew from 1 to 16: if it is to fall, steps are too large, or go uphill."],
    ]


def test_parameters_that_stand_still():
    """Made anew instead of changed: the graph does not know of them."""
    network = Network()
    loss = network.loss()
    run = Record(loss)
    for step in range(3):
        run.keep(step)
    first, second, third = hints(paged(loss, run))
    assert first == []
    for texts in (second, third):
        assert texts[0].startswith("No parameter has changed since step 0, though there are")
    network.parameters["w1"].data = network.parameters["w1"].data + 1e-9
    run.keep(3)
    assert not hints(paged(loss, run))[3]


def test_what_is_not_trained_any_more_is_no_standstill():
    """At a minimum there is no gradient, and nothing to be said."""
    w = leaf([1.0, 2.0], name="w")
    loss = np.sum(np.square(w - w.numpy()))
    run = Record(loss)
    run.keep(0)
    run.keep(1)
    assert hints(paged(loss, run)) == [[], []]


def test_a_report_of_before_the_training_is_on_the_page_as_well():
    network = Network()
    loss = network.loss()
    run = Record(loss)
    report = compare_backprop(loss, G_w2=np.zeros((8, 3)), G_b2=np.zeros(3))
    for step in range(2):
        run.keep(step)
        for t in network.parameters.values():
            t.data = t.data * 0.9
    data = explore(loss, record=run, chains=report).data
    names = {c["id"]: c["name"] for c in data["cards"]}
    rows = data["chains"][0]["rows"]
    assert {names[row["n"]] for row in rows} == {"w2", "b2"}
    assert [frame["step"] for frame in data["record"]["frames"]] == [0, 1]
    with pytest.raises(ValueError, match="not about this graph as it is now"):
        explore(loss, chains=report)


def test_symbols_of_a_step_alone_are_those_of_their_moment():
    """`g[:, None]` of a cross entropy: the source has no such value, an equation of the page has."""
    rng = np.random.default_rng(2)
    xs, ys, w0 = rng.normal(size=(5, 4)), rng.integers(0, 3, 5), rng.normal(size=(4, 3))
    s, w = leaf(1.0, name="s"), leaf(w0, name="w")
    loss = np.mean(softmax_cross_entropy(Tensor(xs, name="x") @ w, Tensor(ys, name="y"))) * s
    run = Record(loss)
    run.keep(0)
    s.data = np.array(3.0)
    run.keep(1)
    data = paged(loss, run)
    symbols = [each for a in data["arrows"] for each in a["eq"] or () if isinstance(each, dict)]
    (g,) = {each["a"] for each in symbols if each["t"].endswith("[:, None]")}
    assert not any("[:, None]" in line["t"] for line in data["lines"])
    for frame, right in zip(data["record"]["frames"], (1 / 5, 3 / 5)):
        shown = seen(data, frame, g)
        assert shown["shape"] == [5, 1]
        np.testing.assert_allclose(numbers(shown), np.full(5, right), rtol=6e-3)


def test_names_that_the_page_is_told_or_the_record():
    """Either is enough, and both give the page that there is without a record."""
    rng = np.random.default_rng(0)
    x, w, b = Tensor(rng.normal(size=(5, 3))), leaf(rng.normal(size=(3, 2))), leaf(np.zeros(2))
    z = x @ w + b
    loss = np.mean(np.square(z))
    names = {"x": x, "w": w, "b": b, "z": z, "loss": loss}
    lines = [line["t"] for line in explore(loss, names).data["lines"]]
    assert "    G_w = x.T @ G_z" in lines or "G_w = x.T @ G_z" in lines
    for told, later in ((names, None), (None, names), (names, names)):
        run = Record(loss, told)
        run.keep(0)
        data = explore(loss, later, record=run).data
        assert [line["t"] for line in data["lines"]] == lines
        assert {"x", "w", "b", "z", "loss"} <= {c["name"] for c in data["cards"]}


# Every model


def elsewhere(loss, size=0.9):
    """The same graph with other parameters, and these by the Tensors whose place they take."""
    made = {}
    for t in ancestors([loss]):
        if t.op is not None:
            inputs = tuple(made.get(x, x) if isinstance(x, Tensor) else x for x in t.inputs)
            made[t] = record_op(t.op, inputs, t.params)
            made[t].name = t.name
        elif t.requires_grad:
            made[t] = leaf(size * t.numpy() + 0.01, t.dtype, t.name)
    return made[loss], {t: new.numpy() for t, new in made.items() if t.op is None}


MODELS = {
    **{f.__name__: f for f in (gallery.steel, gallery.mlp, gallery.logistic, gallery.tied)},
    **{f.__name__: f for f in (gallery.residual, gallery.attention, gallery.cnn, gallery.gan)},
    **{f.__name__: f for f in (gallery.lstm, gallery.rnn, gallery.diamond, gallery.broadcast)},
    **{
        f"random {i}": functools.partial(shared_scenes.random_graph, i)
        for i in range(counted(200, 12))
    },
}


@pytest.mark.parametrize("model", MODELS)
def test_a_frame_of_any_model_is_its_page_with_other_parameters(model):
    loss = MODELS[model]()
    if not loss.requires_grad:  # a random graph without parameters
        with pytest.raises(RuntimeError, match="no gradient flows here"):
            Record(loss)
        return
    fresh_loss, arrays = elsewhere(loss)
    run = Record(loss)
    for t, array in arrays.items():
        t.data = array
    run.keep(0)
    data, fresh = paged(loss, run), make_story(fresh_loss).data
    assert [c["op"] for c in data["cards"]] == [c["op"] for c in fresh["cards"]]
    (frame,) = data["record"]["frames"]
    pairs = [(c[kind], d[kind]) for c, d in zip(data["cards"], fresh["cards"]) for kind in "vg"]
    pairs += [(a["a"], b["a"]) for a, b in zip(data["arrows"], fresh["arrows"])]
    for one, other in pairs:
        assert (one is None) == (other is None)
        if one is not None:
            mine, right = seen(data, frame, one), fresh["arrays"][other]
            size = max(abs(right.get("max", 0)), abs(right.get("min", 0)))
            for name in ("min", "max", "mean", "norm"):
                np.testing.assert_allclose(
                    mine.get(name, 0), right.get(name, 0), rtol=2e-3, atol=1e-3 * size + 1e-12
                )
