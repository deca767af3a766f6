"""Where the boxes of a page lie, by coordinates: both renderers and our own layout, on scenes and random graphs."""

import itertools
import os
import shutil
import sysconfig
import time

import numpy as np
import pytest
import shared_scenes
from helpers import counted, leaf

from tinygrad_steel import Tensor, draw, scope
from tinygrad_steel.picture import programs
from tinygrad_steel.picture.page import layout
from tinygrad_steel.picture.page.plain_layout import plain_layout
from tinygrad_steel.picture.page.plan import closable, plan_of

SCRIPTS = os.pathsep.join([os.environ.get("PATH", ""), sysconfig.get_path("scripts")])
RENDERERS = {"debian": shutil.which("dot"), "pip": shutil.which("graphviz-pure", path=SCRIPTS)}
RANDOM = range(counted(full=200, short=25))


@pytest.fixture(params=[*RENDERERS, "our own"])
def layouts(request, monkeypatch):
    """The layouts of a page by each renderer that is installed, and by none; CI must have both."""
    if request.param == "our own":
        monkeypatch.setattr(layout, "layout_by_renderer", plain_layout)
        return layout.layouts
    program = RENDERERS[request.param]
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"the renderer of {request.param} is not installed"
        )
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", program)
    return layout.layouts


def closings(data):
    return [(), closable(data)] if closable(data) else [()]


def page_data(tensor, fold=False):
    """A picture as the data of a page, as far as layouts read it, with labels of several sizes."""
    scene = draw(tensor, view="backward", fold=fold).scene
    paths = {card.scope[:i] for card in scene.cards for i in range(1, len(card.scope) + 1)}
    cards = [
        dict(id=c.id, kind=c.kind, op=c.op, scope=[*c.scope], spine=c.spine, w=w, h=h)
        for c in scene.cards
        for w, h in [(104 + 40 * (len(c.op) % 4), 71 if c.kind == "output" else 91)]
    ]
    arrows = [
        dict(id=f"a{i}", tail=a.tail, head=a.head, spine=a.spine, label=label_of(a))
        for i, a in enumerate(scene.arrows)
    ]
    scopes = [{"id": f"s{i}", "path": [*path]} for i, path in enumerate(sorted(paths))]
    return {"cards": cards, "arrows": arrows, "scopes": scopes}


def label_of(arrow):
    return {"w": 22 + 7 * min(len(arrow.code), 40), "h": 22} if arrow.code else None


# What must hold


def overlap(a, b, room=1):
    return (
        a[0] + a[2] > b[0] + room
        and b[0] + b[2] > a[0] + room
        and a[1] + a[3] > b[1] + room
        and b[1] + b[3] > a[1] + room
    )


def within(box, frame):
    return (
        frame[0] <= box[0]
        and frame[1] <= box[1]
        and box[0] + box[2] <= frame[0] + frame[2]
        and box[1] + box[3] <= frame[1] + frame[3]
    )


def check(data, found):
    """No boxes overlap, each is in the frames of its scopes alone, arrows lead down from box to box."""
    closed = {
        scope["id"]: scope["path"] for scope in data["scopes"] if scope["id"] in found["closed"]
    }
    stands_in, scope_of = {}, {}
    for card in data["cards"]:
        outer = [id for id, path in closed.items() if card["scope"][: len(path)] == path]
        assert len(outer) <= 1, "a closed scope in a closed one"
        stands_in[card["id"]] = outer[0] if outer else card["id"]
        scope_of[stands_in[card["id"]]] = closed[outer[0]][:-1] if outer else card["scope"]
    boxes = found["cards"] | {id: found["scopes"][id] for id in closed}
    assert {*boxes} == {*stands_in.values()} and {*found["cards"]} == {*boxes} - {*closed}
    sizes = {card["id"]: [card["w"], card["h"]] for card in data["cards"]}
    assert all(found["cards"][id][2:] == sizes[id] for id in found["cards"])
    pairs = itertools.combinations(boxes.items(), 2)
    assert [(a, b) for (a, one), (b, other) in pairs if overlap(one, other)] == []
    opened = {each["id"]: each["path"] for each in data["scopes"] if each["id"] not in closed}
    for scope_id, path in opened.items():
        inside = [id for id in boxes if scope_of[id][: len(path)] == path]
        assert (scope_id in found["scopes"]) == bool(inside)
        for id in boxes if inside else ():
            frame = found["scopes"][scope_id]
            good = within(boxes[id], frame) if id in inside else not overlap(boxes[id], frame)
            assert good, f"{id} and the frame of {path}"
    for (a, path), (b, other) in itertools.combinations(opened.items(), 2):
        outer, inner = sorted([(path, a), (other, b)], key=lambda each: len(each[0]))
        if {a, b} <= {*found["scopes"]}:
            frame, frame_inside = found["scopes"][outer[1]], found["scopes"][inner[1]]
            is_inside = inner[0][: len(outer[0])] == outer[0]
            assert within(frame_inside, frame) if is_inside else not overlap(frame_inside, frame)
    everything = [0, 0, *found["size"]]
    assert all(within(box, everything) for box in [*boxes.values(), *found["scopes"].values()])
    for arrow in data["arrows"]:
        tail, head = stands_in[arrow["tail"]], stands_in[arrow["head"]]
        assert (arrow["id"] in found["arrows"]) == (tail != head)
        if tail != head:
            check_arrow(arrow, found["arrows"][arrow["id"]], boxes[tail], boxes[head], everything)


def check_arrow(arrow, way, tail, head, everything):
    """It leaves one box, ends at the other, which stands below, and has its label in the picture."""
    assert tail[1] + tail[3] <= head[1], f"{arrow['id']} leads up"
    points = np.reshape(way["pts"], (-1, 2))
    assert len(points) % 3 == 1 and len(points) > 1
    for (x, y), box in ((points[0], tail), (points[-1], head)):
        near = [box[0] - 2, box[1] - 2, box[2] + 4, box[3] + 4]
        assert within([x, y, 0, 0], near), f"{arrow['id']} does not end at its box"
        inner = [box[0] + 2, box[1] + 2, box[2] - 4, box[3] - 4]
        assert not within([x, y, 0, 0], inner), f"{arrow['id']} ends in its box"
    size = arrow["label"] or {"w": 0, "h": 0}
    assert within([*way["label"], size["w"], size["h"]], everything)


# Scenes and random graphs


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", shared_scenes.SCENES)
def test_scenes(name, fold, layouts):
    data = page_data(shared_scenes.SCENES[name](), fold)
    found = layouts(data)
    assert [each["closed"] for each in found] == [[*closed] for closed in closings(data)]
    for each in found:
        check(data, each)
        assert "note" not in each


@pytest.mark.parametrize("seed", RANDOM)
def test_random_graphs(seed, layouts):
    data = page_data(shared_scenes.random_graph(seed))
    for each in layouts(data):
        check(data, each)


def curve(points):
    """The way of an arrow as points."""
    t = np.linspace(0, 1, 25)[:, None]
    pieces = (points[i : i + 4] for i in range(0, len(points) - 1, 3))
    return np.concatenate(
        [
            (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
            for a, b, c, d in pieces
        ]
    )


@pytest.mark.parametrize("seed", RANDOM[::5])
def test_arrows_of_our_own_lead_past_boxes(seed):
    """And labels lie on none; a renderer's arrow may cut a corner."""
    plan = plan_of(page_data(shared_scenes.random_graph(seed)), ())
    found = plain_layout(plan)
    labels = {link.id: link.label for link in plan.links}
    for id, way in found["arrows"].items():
        points = curve(np.reshape(way["pts"], (-1, 2)))
        assert (np.diff(points[:, 1]) >= -0.2).all(), "downwards all the way"
        for box in found["cards"].values():
            left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
            x, y = points.T
            met = (left + 1 < x) & (x < right - 1) & (top + 1 < y) & (y < bottom - 1)
            assert not met.any()
            assert labels[id] is None or not overlap([*way["label"], *labels[id]], box)


def test_a_leaf_alone(layouts):
    data = page_data(leaf([1.0], name="w"))
    (found,) = layouts(data)
    check(data, found)
    assert found["arrows"] == {} and len(found["cards"]) == 1


def test_the_spine_is_straight(layouts):
    data = page_data(mlp())
    for found, count in zip(layouts(data), (12, 3)):
        spine = [c["id"] for c in data["cards"] if c["spine"] and c["id"] in found["cards"]]
        boxes = [*(found["cards"][id] for id in spine)]
        boxes += [found["scopes"][id] for id in found["closed"]]
        assert len({round(x + w / 2) for x, _, w, _ in boxes}) == 1
        assert len(spine) == count


def test_a_bias_stands_beside_its_product(layouts):
    data = page_data(mlp())
    found = layouts(data)[0]["cards"]
    heads = {arrow["tail"]: arrow["head"] for arrow in data["arrows"]}
    products = [card["id"] for card in data["cards"] if card["op"] == "matmul"]
    for product in products:
        (bias,) = (x for x, y in heads.items() if y == heads[product] and x != product)
        assert found[bias][1] < found[product][1] + found[product][3]
        assert found[bias][1] + found[bias][3] > found[product][1]


@pytest.mark.parametrize("is_first", [False, True])
def test_a_bias_stands_on_the_side_of_its_place_in_the_sum(is_first, layouts, request):
    x, w, b = Tensor(np.ones((2, 2)), name="x"), leaf(np.eye(2), name="w"), leaf([1.0], name="b")
    data = page_data(np.square(b + x @ w if is_first else x @ w + b).sum())
    (found,) = layouts(data)
    heads = {a["tail"]: a["head"] for a in data["arrows"]}
    (product,) = (c["id"] for c in data["cards"] if c["op"] == "matmul")
    bias = next(x for x, y in heads.items() if y == heads[product] and x != product)
    ours = "our own" in request.node.name  # which puts all to the right of the spine
    is_left = found["cards"][bias][0] < found["cards"][product][0]
    assert is_left == (is_first and not ours)


def mlp():
    """Three layers, each in a scope of its own."""
    rng = np.random.default_rng(1)
    h = Tensor(rng.normal(size=(5, 4)), name="x")
    for i in range(3):
        with scope(f"hidden[{i}]"):
            w, b = leaf(rng.normal(size=(4, 4)), name=f"w{i}"), leaf(np.ones(4), name=f"b{i}")
            h = np.tanh(h @ w + b)
    return np.square(h).mean()


def test_the_data_of_all_steps_stand_in_rows(layouts):
    """39 cards of 144 side by side take more than 5,600."""
    data = page_data(shared_scenes.rnn(39), fold=True)
    (found,) = layouts(data)
    inputs = [c["id"] for c in data["cards"] if c["kind"] == "input" and not c["spine"]]
    tops = [found["cards"][id][1] for id in inputs]
    assert len(inputs) == 39 and tops == sorted(tops)
    assert sorted(tops.count(top) for top in {*tops}) == [3, *[6] * 6]
    assert found["size"][0] < 1600
    ends = {
        tuple(found["arrows"][a["id"]]["pts"][-2:]) for a in data["arrows"] if a["tail"] in inputs
    }
    assert len(ends) == 1  # their arrows meet


def test_many_labelled_leaves(layouts):
    data = page_data(np.concatenate([leaf(np.ones(i + 1), name=f"w{i}") for i in range(15)]).sum())
    (found,) = layouts(data)
    check(data, found)
    labelled = [(a, found["arrows"][a["id"]]) for a in data["arrows"] if a["label"]]
    assert len(labelled) == 16
    for arrow, way in labelled:
        label = [*way["label"], arrow["label"]["w"], arrow["label"]["h"]]
        assert not any(overlap(label, box) for box in found["cards"].values())


# Closed scopes


def two_scopes():
    """What is computed in `a` goes through `b` and into `a` again; `c` is once on its own."""
    x = leaf([1.0, 2.0], name="x")
    with scope("a"):
        h = np.exp(x)
    with scope("b"):
        h = np.sin(h)
    with scope("a"):
        h = np.tanh(h)
        with scope("inner"):
            h = h * 2
    with scope("c"):
        h = np.cos(h)
    return h.sum()


def test_a_scope_that_is_entered_again_stays_open(layouts):
    """Its box would have to stand above and below `b`; what is closed in it is what can be."""
    data = page_data(two_scopes())
    paths = {scope["id"]: scope["path"] for scope in data["scopes"]}
    _, closed = layouts(data)
    assert [paths[id] for id in closed["closed"]] == [["b"], ["c"], ["a", "inner"]]
    check(data, closed)


def test_scopes_that_need_each_other_are_not_both_closed():
    """Either can be closed alone: only together are they computed from each other."""
    x, y = leaf([1.0], name="x"), leaf([2.0], name="y")
    with scope("a"):
        a1 = np.exp(x)
    with scope("b"):
        b1, b2 = np.sin(a1), np.cos(y)
    with scope("a"):
        a2 = np.tanh(b2)
    data = page_data((b1 + a2).sum())
    assert [data["scopes"][int(id[1:])]["path"] for id in closable(data)] == [["a"]]


def test_scopes_in_scopes(layouts):
    """Below a box in five frames there is room for all of them, before the next ones begin."""
    x = leaf([1.0, 2.0], name="x")
    for side in "ab":
        with scope(side), scope("2"), scope("3"), scope("4"), scope("5"):
            x = np.exp(x)
    data = page_data(x.sum())
    for arrow in data["arrows"]:
        arrow["label"] = None
    every, closed = layouts(data)
    check(data, every)
    check(data, closed)
    assert len(every["scopes"]) == 10 and len(closed["closed"]) == 2


# No renderer, or one that fails


def test_without_a_renderer(monkeypatch):
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", "/no/such/dot")
    data = page_data(mlp())
    for found in layout.layouts(data):
        check(data, found)
        assert found["note"] == layout.WITHOUT


SCRIPTS_THAT_FAIL = {
    "exit status 3": "exit 3",
    "made no json0": "echo '<svg/>'",
    "Expecting": "echo '{'",
    "'bb'": "echo '{}'",
    "'objects'": """echo '{"bb": "0,0,1,1"}'""",
    "not finished": "sleep 60",
}


@pytest.mark.skipif(os.name == "nt", reason="runs scripts of sh")
@pytest.mark.parametrize("reason", SCRIPTS_THAT_FAIL)
def test_a_renderer_that_fails(reason, monkeypatch, tmp_path):
    fake = tmp_path / "dot"
    fake.write_text(f"#!/bin/sh\n{SCRIPTS_THAT_FAIL[reason]}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("TINYGRAD_STEEL_DOT", str(fake))
    monkeypatch.setattr(programs, "MOST_SECONDS", 0.3 if reason == "not finished" else 60)
    data = page_data(mlp())
    for found in layout.layouts(data):
        check(data, found)
        assert "failed" in found["note"] and reason in found["note"]


def test_no_name_reaches_the_renderer(monkeypatch):
    sent = []

    def render(source, kind):
        sent.append(source)
        return programs.render(source, kind)

    monkeypatch.setattr(layout, "render", render)
    evil = '"]; node [image="/etc/passwd'
    with scope(evil):
        loss = np.exp(leaf([1.0], name=evil)).sum()
    layout.layouts(page_data(loss))
    assert sent and not any("passwd" in source for source in sent)


# Time


def test_three_hundred_cards(layouts):
    """Measured: 0.4 s by Debian's, 0.6 s by pip's, 0.1 s by our own."""
    h = Tensor(np.ones((2, 2)), name="x")
    for i in range(75):
        with scope(f"hidden[{i}]"):
            w, b = leaf(np.eye(2), name=f"w{i}"), leaf(np.ones(2), name=f"b{i}")
            h = h @ w + b
    data = page_data(h.sum())
    assert len(data["cards"]) > 300
    start = time.perf_counter()
    found = layouts(data)
    seconds = time.perf_counter() - start
    for each in found:
        check(data, each)
    print(f"{seconds:.2f} s")
    assert seconds < 20
