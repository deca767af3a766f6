"""Where a renderer puts what is drawn: arrows lead down, cards lie apart and inside of their scopes, by coordinates."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import gallery
import numpy as np
import pytest
import shared_scenes
from helpers import counted, leaf

from tinygrad_steel import Tensor, draw
from tinygrad_steel.picture.fans import gathered

SCRIPTS = os.pathsep.join(
    [os.environ.get("PATH", ""), sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
)
RENDERERS = {"debian": shutil.which("dot"), "pip": shutil.which("graphviz-pure", path=SCRIPTS)}
RANDOM = range(counted(full=200, short=20))


@pytest.fixture(params=RENDERERS)
def layout(request):
    """What each renderer that is installed makes of a picture; CI must have both."""
    program = RENDERERS[request.param]
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"the renderer of {request.param} is not installed"
        )
    return lambda picture: Layout(picture, program)


class Layout:
    """Boxes of a picture as (left, bottom, right, top) in points, y upwards: of cards, chips and frames."""

    def __init__(self, picture, program):
        self.scene = picture.scene
        # Without drawing operations, "json0": graphviz 2.43 crashes over some of those.
        done = subprocess.run(
            [program, "-Tjson0"], input=picture.source, capture_output=True, text=True, timeout=100
        )
        found = json.loads(done.stdout)
        named = {thing["_gvid"]: thing for thing in found["objects"]}
        nodes = {thing["name"]: thing for thing in named.values() if "pos" in thing}
        self.bounds = tuple(map(float, found["bb"].split(",")))
        self.boxes = {name: box_of(node) for name, node in nodes.items()}
        self.frames = {}  # the ids of all in a scope -> its frame
        for thing in named.values():
            if thing["name"].startswith("cluster"):
                inside = frozenset(named[i]["name"] for i in thing["nodes"])
                self.frames[inside] = tuple(map(float, thing["bb"].split(",")))
        self.edges = [edge for edge in found.get("edges", []) if edge.get("style") != "invis"]
        self.arrows = [
            (named[edge["tail"]]["name"], named[edge["head"]]["name"]) for edge in self.edges
        ]

    def center(self, t_name):
        """How high the card of this name stands."""
        (card,) = (card for card in self.scene.cards if card.name == t_name)
        _, bottom, _, top = self.boxes[card.id]
        return (bottom + top) / 2

    def upward(self):
        """The arrows whose head does not stand below their tail."""
        return [(a, b) for a, b in self.arrows if self.boxes[a][1] < self.boxes[b][3]]

    def leftward(self):
        """The arrows whose head does not stand to the right of their tail."""
        return [(a, b) for a, b in self.arrows if self.boxes[a][2] > self.boxes[b][0]]

    def overlapping(self):
        """The pairs of cards and chips that lie on each other."""
        pairs = itertools.combinations(self.boxes.items(), 2)
        return [(a, b) for (a, one), (b, other) in pairs if overlap(one, other)]

    def misplaced(self):
        """Cards and chips outside of the frame of their scope, or in the frame of another."""
        return [
            (name, sorted(inside))
            for inside, frame in self.frames.items()
            for name, box in self.boxes.items()
            if not (within(box, frame) if name in inside else not overlap(box, frame))
        ]

    def longest(self):
        """How many points the longest arrow from a leaf or chip leads down."""
        results = {card.id for card in self.scene.cards if card.kind in ("op", "output", "fold")}
        ways = [self.boxes[a][1] - self.boxes[b][3] for a, b in self.arrows if a not in results]
        return max(ways, default=0)


def box_of(node):
    x, y = map(float, node["pos"].split(","))
    width, height = 36 * float(node["width"]), 36 * float(node["height"])
    return x - width, y - height, x + width, y + height


def points(edge):
    """The way of an arrow, downwards, as points: graphviz tells of it in pieces of Bezier curves."""
    ways = [part for part in edge["pos"].split(" ") if part[0] not in "se"]  # less its head
    found = np.array([tuple(map(float, way.split(","))) for way in ways])
    found = found if found[0, 1] > found[-1, 1] else found[::-1]
    t = np.linspace(0, 1, 30)[:, None]
    curves = [
        (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
        for a, b, c, d in (found[i : i + 4] for i in range(0, len(found) - 1, 3))
    ]
    return np.concatenate(curves)


def widest_gap(a, b):
    """How far two ways lie apart, at most, at the same height."""
    heights = np.linspace(max(a[-1, 1], b[-1, 1]), min(a[0, 1], b[0, 1]), 50)
    across = [np.interp(heights, way[::-1, 1], way[::-1, 0]) for way in (a, b)]
    return np.max(np.abs(across[0] - across[1]))


def overlap(a, b, room=1):
    return not (
        a[2] <= b[0] + room or b[2] <= a[0] + room or a[3] <= b[1] + room or b[3] <= a[1] + room
    )


def within(box, frame):
    return frame[0] <= box[0] and frame[1] <= box[1] and box[2] <= frame[2] and box[3] <= frame[3]


def faults(drawn):
    return drawn.upward(), drawn.overlapping(), drawn.misplaced()


# Named scenes


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", shared_scenes.SCENES)
def test_scenes_that_use_parts_again(name, fold, layout):
    drawn = layout(draw(shared_scenes.SCENES[name](), fold=fold))
    assert faults(drawn) == ([], [], [])
    assert len(drawn.arrows) == len(gathered(drawn.scene).arrows)


@pytest.mark.parametrize("view", ["backward", "both"])
@pytest.mark.parametrize("name", ["rnn of 4 steps", "lstm", "attention", "gan"])
def test_gradients_lead_up_the_same_ways(name, view, layout):
    assert faults(layout(draw(shared_scenes.SCENES[name](), view=view))) == ([], [], [])


@pytest.mark.parametrize("name", ["steel", "micrograd", "lstm", "attention"])
def test_both_are_two_arrows_apart(name, layout):
    """Data leads down, and a gradient back beside it: between the cards they lie apart."""
    make = gallery.steel if name == "steel" else shared_scenes.SCENES[name]
    drawn = layout(draw(make(), view="both"))
    ways, gaps = {}, []
    for edge in drawn.edges:
        ends = (edge["tail"], edge["head"])
        is_gradient = edge.get("dir") == "back"
        ways.setdefault(ends, {False: [], True: []})[is_gradient].append(points(edge))
    flowing = [arrow for arrow in drawn.scene.arrows if arrow.flows]
    assert sum(len(way[True]) for way in ways.values()) == len(flowing) > 4
    for way in ways.values():
        gaps += [widest_gap(*pair) for pair in itertools.product(way[False], way[True])]
    assert min(gaps) > 2 and np.median(gaps) > 5  # they are 1 to 3 wide


@pytest.mark.parametrize("steps, is_grouped", [(4, False), (4, True), (39, False)])
def test_time_leads_down(steps, is_grouped, layout):
    drawn = layout(draw(shared_scenes.rnn(steps, is_grouped), fold=False))
    for letter, first in (("h", 0), ("x", 0)):
        names = [f"{letter}{i}" for i in range(first, steps)]
        heights = [drawn.center(name) for name in names]
        assert heights == sorted(heights, reverse=True) and len({*heights}) == len(heights)
    # A step is 250 points high: no arrow leads from a weight past it to the next step.
    assert drawn.longest() < 160


def test_a_recurrence_is_as_wide_as_one_of_its_steps(layout):
    short, long = (layout(draw(shared_scenes.rnn(n), fold=False)).boxes for n in (2, 39))
    right, far = (max(box[2] for box in boxes.values()) for boxes in (short, long))
    assert far < right + 20


# Fans


def test_the_data_of_all_steps_stand_on_one_card(layout):
    picture = draw(shared_scenes.rnn(39), fold=True)
    shown = gathered(picture.scene)
    names = [card.name for card in shown.cards if card.kind == "input"]
    assert names == ["h0", "x0, x1, ..., x38"]
    assert ">39 inputs<" in picture.source
    left, _, right, _ = layout(picture).bounds
    assert right - left < 800  # 39 cards side by side take 4,700
    assert len(picture.scene.cards) == 46 and "x17  (1, 2)  input" in str(picture)


def test_few_data_and_those_of_other_shapes_keep_their_cards():
    for name, kept in (("rnn of 4 steps", 5), ("lstm", 5)):
        shown = gathered(draw(shared_scenes.SCENES[name](), fold=True).scene)
        assert sum(card.kind == "input" for card in shown.cards) == kept
    scene = draw(shared_scenes.rnn(39), fold=False).scene
    assert gathered(scene) == scene


# Rows


@pytest.mark.parametrize("view", ["forward", "both"])
@pytest.mark.parametrize("name", shared_scenes.SCENES)
def test_pictures_to_the_right_go_on_in_rows(name, view, layout):
    """About 16 to 9, however many cards there are, or less than 14 inches (1000 points).

    The renderer's own widths are not known beforehand: long code on arrows makes a picture wider.
    """
    picture = draw(shared_scenes.SCENES[name](), view=view, direction="LR", fold=False)
    drawn = layout(picture)
    assert (drawn.leftward(), *faults(drawn)[1:]) == ([], [], [])
    left, bottom, right, top = drawn.bounds
    assert right - left < max(16 / 9 * 1.4 * (top - bottom), 1000), (right, top)


@pytest.mark.parametrize("direction", ["LR", "RL"])
def test_rows_stand_below_each_other_in_time(direction, layout):
    steps = 39
    drawn = layout(draw(shared_scenes.rnn(steps), direction=direction, fold=False))
    heights = [drawn.center(f"h{i}") for i in range(1, steps + 1)]
    rows = [frame for frame in drawn.frames.values()]
    assert 6 < len(rows) < 12
    row_of = [
        next(i for i, (_, low, _, high) in enumerate(rows) if low < y < high) for y in heights
    ]
    tops = [rows[row][3] for row in row_of]
    assert tops == sorted(tops, reverse=True) and len({*tops}) == len(rows)


def test_rows_are_cut_between_scopes_and_begin_with_a_name():
    picture = draw(shared_scenes.lstm(), direction="LR", fold=False)
    frames = [line for line in picture.source.splitlines() if 'tooltip="scope: ' in line]
    assert len(frames) == 3 and picture.source.count("subgraph cluster_row") == 3
    assert all(f">→ {name}<" in picture.source for name in ("h1", "c1", "h2", "c2"))
    assert ">→ h3<" not in picture.source


def test_what_is_short_is_one_row():
    for name in ("micrograd", "cnn"):
        picture = draw(shared_scenes.SCENES[name](), direction="LR")
        assert ("cluster_row" in picture.source) == (name == "cnn")
    assert "cluster_row" not in draw(shared_scenes.deep()).source


# Chips


def chips(picture):
    """The names on chips in the DOT, with the ids of their cards."""
    lines = [line for line in picture.source.splitlines() if "steel-chip" in line]
    return sorted(line.split("_")[0].strip() for line in lines)


def test_a_weight_of_four_steps_is_a_card_and_three_chips():
    picture = draw(shared_scenes.rnn(4))
    by_name = {card.name: card.id for card in picture.scene.cards}
    assert chips(picture) == sorted(3 * [by_name[name] for name in "WUb"])
    assert picture.source.count(">4 uses<") == 3
    assert "small: the same once more" in picture.source
    assert not [card for card in picture.scene.cards if "use" in " ".join(card.facts)]


def test_what_is_used_near_by_keeps_its_arrows():
    for name in ("gan", "micrograd", "fan", "cnn"):
        picture = draw(shared_scenes.SCENES[name](), fold=False)
        assert chips(picture) == [] and "once more" not in picture.source


def test_a_skip_is_an_arrow():
    """It shows that data or a result leads past others: a chip would hide just that."""
    for name in ("residual blocks", "tied weights"):
        picture = draw(shared_scenes.SCENES[name](), fold=False)
        assert chips(picture) == [], name


def test_a_chip_stands_in_the_scope_in_which_it_is_used(layout):
    drawn = layout(draw(shared_scenes.rnn(4, is_grouped=True), fold=False))
    frames = [inside for inside in drawn.frames if any("_" in name for name in inside)]
    assert len(frames) == 3 and all(len([n for n in f if "_" in n]) == 3 for f in frames)


def test_a_chip_is_called_as_in_formulas():
    """In a second row, the product that `g * t1` speaks of is t1, and not one of its numbers."""
    a, b, c, f = (leaf(x, name=name) for x, name in zip((2.0, -3.0, 10.0, -2.0), "abcf"))
    picture = draw((a * b + c) * f, view="both", direction="LR")
    labels = [line for line in picture.source.splitlines() if "steel-chip" in line]
    assert len(labels) == 1 and ">→ t1<" in labels[0]


def test_a_chip_of_a_constant_without_a_name_says_what_it_is():
    half = Tensor(0.5)
    h = leaf([1.0, 2.0], name="x")
    for _ in range(5):
        h = np.tanh(np.sin(h)) * half
    picture = draw(h.sum())
    labels = [line for line in picture.source.splitlines() if "steel-chip" in line]
    assert len(labels) == 4 and all(">0.5<" in label for label in labels)


# Random graphs


@pytest.mark.parametrize("seed", RANDOM)
def test_random_graphs(seed, layout):
    graph = shared_scenes.random_graph(seed)
    assert faults(layout(draw(graph, fold=False))) == ([], [], [])
    drawn = layout(draw(graph, fold=False, direction="LR"))
    assert (drawn.leftward(), *faults(drawn)[1:]) == ([], [], [])


def test_random_graphs_share_much():
    """What the test above is worth: leaves of many uses, skips, and scopes."""
    graphs = [draw(shared_scenes.random_graph(seed), fold=False) for seed in range(20)]
    uses = [
        max(sum(a.tail == card.id for a in p.scene.arrows) for card in p.scene.cards)
        for p in graphs
    ]
    assert sum(n > 4 for n in uses) > 10 and sum(bool(chips(p)) for p in graphs) > 10
    assert sum(any(card.scope for card in p.scene.cards) for p in graphs) > 5


# The gallery


@pytest.mark.parametrize("name", gallery.SCENES)
def test_no_card_of_the_gallery_is_lost_and_none_overlaps(name, layout):
    picture = gallery.SCENES[name]()
    drawn, shown = layout(picture), gathered(picture.scene)
    assert {card.id for card in shown.cards} <= {*drawn.boxes}
    both = sum(arrow.flows for arrow in shown.arrows) if shown.view == "both" else 0
    assert len(drawn.arrows) == len(shown.arrows) + both
    wrong_way = drawn.leftward() if name == "slide" else drawn.upward()
    assert (wrong_way, drawn.overlapping(), drawn.misplaced()) == ([], [], [])


def test_what_is_multiplied_from_the_left_stands_there(layout):
    drawn = layout(gallery.SCENES["broadcast"]())
    left, row, column, t3 = (
        next(drawn.boxes[card.id] for card in drawn.scene.cards if name in (card.name, card.called))
        for name in ("scale", "row", "column", "t3")
    )
    assert left[2] < t3[0] < t3[2] < column[2] and left[2] < row[0]


def test_a_slide_is_at_most_as_large_as_it_is_said():
    source = gallery.SCENES["slide"]().source
    assert 'size="16,9' in source and "legend [" not in source
