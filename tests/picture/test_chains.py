"""What a page shows of reports of compare_backprop: the card of each step, both arrays, and the lines of one's own.

Which line is wrong is known from the text that the test writes, and the arrays from the chain's own.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from by_hand import B0, DZ, RIGHT, W0, X, Y, problem, reported
from picture.schema import check_chain

from tinygrad_steel import Tensor, compare_backprop, explore, scope
from tinygrad_steel.picture.page import chains
from tinygrad_steel.picture.page.chains import chain_of, chains_of
from tinygrad_steel.picture.page.story import make_story


def story_of(loss, names, **options):
    return make_story(loss, names, **{"fold": False, "depth": None, **options})


def chain(text, run="backward()", with_source=True):
    """A text with code, and what a page shows of it."""
    text, report, loss, names = reported(text, run, with_source)
    return text, chain_of(story_of(loss, names), "mine", report)


def line_in(text, part):
    """The number of the line of a text in which a part stands."""
    (found,) = (i for i, line in enumerate(text.splitlines(), 1) if part in line)
    return found


def first_of(found):
    (row,) = (row for row in found["rows"] if row["first"])
    return row


def is_shown(found, number, part):
    """Whether a line of the page, by its number in the file, has this text."""
    own = found["own"]
    return part in own["lines"][number - own["start"]]


# Where the wrong line stands


FUNCTION = """
    import math


    def backward():
        dz = 2 * (X @ W0 + b0 - Y) / 12
        dW = X.T @ dz * 2  # here
        return dW, dz.sum(axis=0)
"""
METHODS = """
    class Layer:
        def backward(self, dz):
            return dz * 5

    class Net:
        def forward(self):
            self.z = X @ W0 + b0
            return self.z

        def backward(self):
            dz = 2 * (self.forward() - Y) / 12
            self.grads = {
                "W": X.T @ dz,
                "b": dz.sum(axis=0) * 2,  # here
            }
            return self.grads
"""
LAMBDA = """
    of_z = lambda: 2 * (X @ W0 + b0 - Y) / 12
    of_W = (
        lambda dz:
        X.T @ dz * 2  # here
    )
    backward = lambda: (of_W(of_z()), of_z().sum(axis=0))
"""
NESTED = """
    def backward():
        dz = 2 * (X @ W0 + b0 - Y) / 12

        def of_weights():
            dW = X.T @ dz * 2  # here
            return dW

        return of_weights(), dz.sum(axis=0)
"""

NESTED_FIRST = """
    def backward():
        def of_z():
            dz = (X @ W0 + b0 - Y) / 12  # here
            return dz

        dz = of_z()
        return X.T @ dz, dz.sum(axis=0)
"""
APART = """
    def of_weights(dz):
        dW = X.T @ dz * 2  # here
        return dW

    def backward():
        dz = 2 * (X @ W0 + b0 - Y) / 12
        return of_weights(dz), dz.sum(axis=0)
"""


def test_a_function_is_shown_with_its_wrong_line():
    text, found = chain(FUNCTION)
    own, row = found["own"], first_of(found)
    assert (own["file"], own["function"], own["start"]) == ("mine.py", "backward", 4)
    assert own["lines"] == text.splitlines()[3:]
    assert (row["name"], row["line"], row["until"]) == ("G_W", line_in(text, "# here"), 6)
    assert is_shown(found, row["line"], "# here")
    lines = {r["name"]: r["line"] for r in found["rows"]}
    assert lines["G_z"] == line_in(text, "dz = 2") and lines["G_b"] == line_in(text, "return")


def test_a_method_is_shown_as_far_left_as_it_can_stand():
    text, found = chain(METHODS, "Net().backward()")
    own, row = found["own"], first_of(found)
    assert (own["function"], own["start"]) == ("Net.backward", line_in(text, "def backward(self):"))
    assert own["lines"][0] == "def backward(self):"
    # The statement goes over four lines, and the wrong one is among these.
    assert range(row["line"], row["until"] + 1) == range(12, 16)
    assert row["line"] <= line_in(text, "# here") <= row["until"]
    assert row["own"][-1].endswith("(mine.py:12, in backward)")


def test_a_lambda_is_shown_with_its_statement():
    text, found = chain(LAMBDA)
    own, row = found["own"], first_of(found)
    assert own["lines"] == text.splitlines()[1:5]
    assert row["line"] <= line_in(text, "# here") <= row["until"]


@pytest.mark.parametrize("code", [NESTED, NESTED_FIRST])
def test_a_function_inside_another_is_shown_with_that(code):
    text, found = chain(code)
    assert (found["own"]["function"], found["own"]["start"]) == ("backward", 1)
    assert first_of(found)["line"] == line_in(text, "# here")


def test_steps_in_other_functions_are_text():
    text, found = chain(APART)
    assert found["own"]["function"] == "of_weights" and len(found["own"]["lines"]) == 3
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["G_W"]["line"] == line_in(text, "# here")
    assert rows["G_z"]["line"] is None
    assert rows["G_z"]["own"] == ["dz = 2 * (X @ W0 + b0 - Y) / 12   (mine.py:6, in backward)"]


def test_a_cell_is_shown_whole_with_what_the_notebook_takes_left_empty():
    cell = "%time\ndz = 2 * (X @ W0 + b0 - Y) / 12\n\ndW = X.T @ dz\ndb = 3 * dz.sum(axis=0)\n"
    loss, names = problem()
    space = {"np": np, "X": X, "Y": Y, "W0": W0, "b0": B0, **names}
    found = chain_of(story_of(loss, names), "", compare_backprop(loss, space, backprop=cell))
    assert (found["own"]["start"], found["own"]["function"]) == (1, "")
    assert found["own"]["lines"] == ["", *cell.splitlines()[1:]]
    assert {row["name"]: row["line"] for row in found["rows"]} == {"G_z": 2, "G_W": 4, "G_b": 5}


def test_code_without_a_source_has_no_lines():
    _, found = chain(FUNCTION, with_source=False)
    assert found["own"] is None and first_of(found)["line"] is None
    assert first_of(found)["own"] == ["dW   (<string>:6, in backward)"]


def test_lines_that_made_parts_of_a_wrong_step_are_named():
    text, found = chain("""
        def backward():
            dz = 2 * (X @ W0 + b0 - Y) / 12
            half = X.T / 2
            dW = half @ dz
            return dW, dz.sum(axis=0)
    """)
    assert first_of(found)["parts"] == [line_in(text, "half = ")]


def test_a_long_function_is_shown_around_its_wrong_line(monkeypatch):
    monkeypatch.setattr(chains, "MOST_LINES", 20)
    before, after = ("        a = 1\n" * 50 for _ in range(2))
    text, found = chain(
        "    def backward():\n" + before + "        dz = 2 * (X @ W0 + b0 - Y) / 12\n"
        "        dW = X.T @ dz * 2  # here\n" + after + "        return dW, dz.sum(axis=0)\n"
    )
    assert len(found["own"]["lines"]) == 20 and found["own"]["of"] == 104
    row = first_of(found)
    assert row["line"] == line_in(text, "# here") and is_shown(found, row["line"], "# here")


def test_what_stands_outside_of_the_part_that_is_shown_has_no_line(monkeypatch):
    """Above it or below; it is said by its text all the same."""
    monkeypatch.setattr(chains, "MOST_LINES", 20)
    gap = "        a = 1\n" * 50
    text, found = chain(
        "    def backward():\n        dz = 2 * (X @ W0 + b0 - Y) / 12\n" + gap +
        "        dW = X.T @ dz * 2  # here\n" + gap + "        db = dz.sum(axis=0)\n"
        "        return dW, db\n"
    )  # fmt: skip
    rows = {row["called"].split()[0]: row for row in found["rows"]}
    assert rows["dW"]["line"] == line_in(text, "# here")
    assert rows["dz"]["line"] is rows["db"]["line"] is rows["dz"]["until"] is None
    assert rows["dz"]["own"] and rows["db"]["own"]


# Arrays and cards


def handed(**changed):
    """What a page shows of arrays, and its story."""
    loss, names = problem()
    arrays = {f"G_{name}": changed.get(name, array) for name, array in RIGHT.items()}
    story = story_of(loss, names)
    found = chain_of(story, "mine", compare_backprop(loss, names, **arrays))
    return found, story, names


def shown_array(story, index):
    """An array of the page as numbers."""
    text = story.data["arrays"][index]
    return np.array(text["v"].split(), float).reshape(text["rows"], text["cols"])


def test_each_row_has_its_card_yours_and_the_graphs_gradient():
    wrong = RIGHT["W"].copy()
    wrong[2, 1] += 0.5
    found, story, names = handed(W=wrong)
    rows = {row["name"]: row for row in found["rows"]}
    assert {name: row["n"] for name, row in rows.items()} == {
        f"G_{name}": story.cards[t] for name, t in names.items()
    }
    row = rows["G_W"]
    np.testing.assert_allclose(shown_array(story, row["a"]), wrong, rtol=0.01)
    np.testing.assert_allclose(shown_array(story, row["graph"]), RIGHT["W"], rtol=0.01)
    assert row["at"] == [2, 1] and row["off"] == pytest.approx(0.5)
    assert row["there"] == pytest.approx([wrong[2, 1], RIGHT["W"][2, 1]])
    assert (row["verdict"], row["first"], row["of"], row["factor"]) == (
        "wrong",
        True,
        "gradient",
        1,
    )
    assert rows["G_z"]["off"] < 1e-15 and rows["G_z"]["verdict"] == "right"
    assert (found["title"], found["ok"], found["own"]) == ("mine", False, None)


def test_the_graphs_array_is_that_of_the_card():
    found, story, _ = handed()
    of_card = {card["id"]: card["g"] for card in story.data["cards"]}
    for row in found["rows"]:
        assert row["graph"] == of_card[row["n"]]


def test_shapes_that_differ_have_no_difference():
    found, story, _ = handed(b=DZ.sum(axis=1))
    row = first_of(found)
    assert (row["off"], row["at"], row["shape"]) == (None, None, "(6,)")
    np.testing.assert_allclose(shown_array(story, row["a"])[0], DZ.sum(axis=1), rtol=0.01)


def test_nan_in_yours_is_the_largest_difference():
    wrong = RIGHT["W"].copy()
    wrong[1, 0] = np.nan
    found, _, _ = handed(W=wrong)
    row = first_of(found)
    assert (row["off"], row["at"], row["there"][0]) == ("inf", [1, 0], "nan")
    json.dumps(found, allow_nan=False)


def test_yours_is_divided_by_what_the_whole_chain_has_and_the_page_is_told():
    found, story, _ = handed(z=12 * RIGHT["z"])
    row = next(row for row in found["rows"] if row["name"] == "G_z")
    assert found["ok"] and row["factor"] == 12 and row["off"] < 1e-15
    np.testing.assert_allclose(shown_array(story, row["a"]), RIGHT["z"], rtol=0.01)
    assert "12 times the graph's" in found["note"]


def test_a_forward_that_differs_is_compared_with_the_value():
    text, found = chain("""
        def backward():
            z = X @ W0 - b0
            dz = 2 * (z - Y) / 12
            return X.T @ dz, dz.sum(axis=0)
    """)
    row = first_of(found)
    assert (row["of"], row["line"], row["n"] is None) == ("value", line_in(text, "z = X"), False)
    assert row["off"] == pytest.approx(2 * np.abs(B0).max())


def test_what_is_not_in_the_graph_and_what_is_missing_is_said():
    _, found = chain("""
        def backward():
            dz = 2 * (X @ W0 + b0 - Y) / 12
            dq = np.ones(5)
            dW = X.T @ dz
            return dW
    """)
    assert "Not seen: the gradient of b." in found["note"] and not found["ok"]
    row = next(row for row in found["rows"] if row["name"] == "dq")
    assert (row["verdict"], row["text"], row["n"]) == ("not-judged", "not in the graph", None)
    assert (row["a"], row["line"]) == (None, 3)


def test_a_step_in_a_fold_has_the_card_of_the_fold():
    h, weights = Tensor(np.ones((2, 3)), name="x"), {}
    for i in range(4):
        weights[f"w{i}"] = Tensor(np.eye(3) * 0.5, requires_grad=True, name=f"w{i}")
        with scope(f"hidden[{i}]"):
            h = np.tanh(h @ weights[f"w{i}"])
    loss = h.sum()
    loss.backward()
    given = {f"G_{name}": w.grad.copy() for name, w in weights.items()}
    given["G_w2"] *= -1
    story = story_of(loss, weights, fold=True)
    found = chain_of(story, "mine", compare_backprop(loss, weights, **given))
    (fold,) = (card["id"] for card in story.data["cards"] if card["kind"] == "fold")
    assert {row["n"] for row in found["rows"]} == {fold}
    row = first_of(found)
    assert row["name"] == "G_w2"
    # The fold's own gradient is another one: both arrays are those of the step.
    np.testing.assert_allclose(shown_array(story, row["graph"]), -given["G_w2"], rtol=0.01)
    np.testing.assert_allclose(shown_array(story, row["a"]), given["G_w2"], rtol=0.01)
    assert row["off"] == pytest.approx(2 * np.abs(given["G_w2"]).max())


def test_what_cannot_be_seen_in_a_line_is_written_out():
    """Such as a mark by which a line reads otherwise than it is run; a tab is room."""
    text = "def backward():\n\tdz = 2 * (X @ W0 + b0 - Y) / 12  # \u202e1 * zd\n"
    text += "\tdW = -X.T @ dz  # </script>\n\treturn dW, dz.sum(axis=0)"
    _, found = chain(text)
    assert found["own"]["lines"][1].endswith(r"/ 12  # \u202e1 * zd")
    assert found["own"]["lines"][2] == "    dW = -X.T @ dz  # </script>"
    assert first_of(found)["own"][-1].startswith("dW = -X.T @ dz  # </script>")


# What is handed to a page


def test_one_report_or_several_by_name():
    loss, names = problem()
    story = story_of(loss, names)
    report = compare_backprop(loss, names, G_W=RIGHT["W"])
    assert chains_of(story, None) == []
    assert [found["title"] for found in chains_of(story, report)] == ["your chain"]
    both = chains_of(story, {"first try": report, "second": report})
    assert [found["title"] for found in both] == ["first try", "second"]
    assert [found["shown"] for found in both] == [True, False]


def test_what_is_wrong_has_room_before_what_is_right():
    """Each number is written in nine characters at most: there is room for W and b, and not for z."""
    loss, names = problem()
    arrays = {"G_z": RIGHT["z"], "G_W": -RIGHT["W"], "G_b": 3 * RIGHT["b"]}
    report = compare_backprop(loss, names, **arrays)
    found = chain_of(story_of(loss, names), "mine", report, room=80)
    rows = {row["name"]: row for row in found["rows"]}
    assert {name: row["a"] is not None for name, row in rows.items()} == {
        "G_z": False,
        "G_W": True,
        "G_b": True,
    }
    assert rows["G_z"]["verdict"] == "right"
    assert "1 array of yours did not come with it" in found["note"]
    assert [row["first"] for row in found["rows"]].count(True) == 1


@pytest.mark.parametrize("code", [FUNCTION, LAMBDA, NESTED, APART])
def test_what_the_page_is_given_is_as_it_is_described(code):
    _, report, loss, names = reported(code, "backward()")
    page = explore(loss, names, chains={"one": report, "other": report})
    assert len(page.data["chains"]) == 2
    for found in page.data["chains"]:
        check_chain("chain", found, page.data)


def test_a_report_of_another_graph_is_refused():
    loss, names = problem()
    report = compare_backprop(loss, names, G_W=RIGHT["W"])
    other, its = problem()
    with pytest.raises(ValueError, match="the report is not about this graph as it is now: G_W"):
        chains_of(story_of(other, its), {"mine": report})


def test_a_report_of_another_loss_of_the_same_parameters_is_refused():
    """What is right for one loss is not for another, though all Tensors are the same."""
    loss, names = problem()
    report = compare_backprop(loss, names, G_W=RIGHT["W"])
    by_code = compare_backprop(loss, names, backprop=lambda: (RIGHT["W"], RIGHT["b"]))
    other = np.sum(names["z"])
    for each in (report, by_code):
        with pytest.raises(ValueError, match="about another loss, computed from the same param"):
            explore(other, names, chains=each)
        explore(loss, names, chains=each)


def test_what_is_no_report_is_refused():
    loss, names = problem()
    with pytest.raises(TypeError, match="report is what compare_backprop returns, not int"):
        chains_of(story_of(loss, names), {"mine": 3})


def test_a_page_calls_values_as_the_report_does():
    """One's own z1 is that on the graph, in its source and in what is said of it."""
    x, y = Tensor(X, name="x"), Tensor(Y, name="y")
    W, b = (Tensor(a, requires_grad=True, name=n) for n, a in (("W", W0), ("b", B0)))
    V = Tensor([[1.5, -0.5], [0.25, 2.0]], requires_grad=True, name="V")
    loss = np.mean(np.square(np.tanh(x @ W + b) @ V - y))

    def backward(x, y, W, b, V):
        z1 = x @ W + b
        a1 = np.tanh(z1)
        dz1 = (2 * (a1 @ V - y) / y.size) @ V.T * (1 - a1)
        return x.T @ dz1, dz1.sum(axis=0)

    arrays = [t.numpy() for t in (x, y, W, b, V)]
    report = compare_backprop(loss, backprop=lambda: backward(*arrays))
    assert report.first_wrong.name == "G_z1"
    page = explore(loss, chains={"mine": report, "mine again": report})
    row = first_of(page.data["chains"][0])
    (card,) = (card for card in page.data["cards"] if card["id"] == row["n"])
    assert (card["name"], card["gcode"]) == ("z1", "G_z1")
    texts = [line["t"] for line in page.data["lines"]]
    assert "z1 = x @ W + b" in texts
    assert "G_z1 = G_a1 * (1 - a1 * a1)" in row["code"] and row["code"][0] in texts

    taken = {"z1": V}  # a name stays with what it was given to
    page = explore(loss, names=taken, chains=report)
    assert [card["name"] for card in page.data["cards"]].count("z1") <= 1
    assert W.name == "W" and taken == {"z1": V}
