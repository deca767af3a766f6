"""For graders: the codes of faults, reports as plain data, assert_backprop, many submissions in a table."""

from __future__ import annotations

import ast
import json
import math
import pathlib
import re
import typing

import numpy as np
import pytest
from verify.mistakes.collection import MISTAKES

from tinygrad_steel import (
    GradientError,
    Tensor,
    assert_backprop,
    compare_backprop,
    grade_backprop,
)
from tinygrad_steel.verify import faults
from tinygrad_steel.verify.codes import CODES, Code

# What the collection calls a mistake by what people did, and the codes by which a report may know it.
KNOWN_BY = {
    "missing-factor": {"missing-factor", "one-sample"},
    "extra-factor": {"extra-factor"},
    "sign": {"sign", "term-of-derivative"},
    "batch-size": {"batch-size", "other-factor"},
    "ddof": {"batch-size"},
    "transposed": {"transposed"},
    "elementwise-for-dot": {"elementwise-for-dot"},
    "wrong-axis": {"wrong-axis"},
    "broadcast-not-summed": {"broadcast-not-summed"},
    "softmax-wrong-axis": {"softmax-wrong-axis", "wrong-axis"},
    "missing-derivative": {"missing-derivative"},
    "derivative-alone": {"derivative-alone"},
    "fan-out-overwritten": {"missing-term"},
    "tied-use-missing": {"missing-term"},
    "l2-missing": {"weight-decay"},
    "l2-rate": {"weight-decay", "batch-size"},
    "one-sample": {"one-sample"},
    "already-updated": {"already-updated"},
}


def line(y=(1.0, 2.0, 4.0)):
    """A small problem: the loss, and its leaf."""
    x = Tensor([3.0, -1.0, 3.5], requires_grad=True, name="x")
    return np.sum(np.square(x - np.array(y))), x


def test_every_code_has_its_meaning():
    assert {*typing.get_args(Code)} == {*CODES}


def test_the_codes_are_said_by_the_faults_and_no_others():
    """Texts like codes in the files that search for reasons are codes."""
    room = pathlib.Path(faults.__file__).parents[1]
    files = [*room.glob("faults/*.py"), room / "verdicts.py", room / "report.py"]
    files += [room / "other_forward.py", room / "grading.py"]
    said = {
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {*CODES} <= said


@pytest.mark.parametrize("code", KNOWN_BY)
def test_a_mistake_has_the_code_of_what_it_is(code):
    looked_at = [m for m in MISTAKES if m.code == code][:4]
    assert looked_at
    for mistake in looked_at:
        loss, names = mistake.model.build()
        report = compare_backprop(loss, names, **mistake.model.chain(names, mistake.wrong))
        if "unexplained" not in report.faults:
            assert {*report.faults} & KNOWN_BY[code], (mistake.title, report.first_wrong.reason)


def test_two_slips_have_two_codes():
    loss, x = line()
    report = compare_backprop(loss, G_x=-4 * (x.numpy() - [1.0, 2.0, 4.0]))
    assert report.faults == report.first_wrong.faults == ("sign", "extra-factor")


def test_a_right_report_has_no_faults():
    loss, x = line()
    report = compare_backprop(loss, G_x=2 * (x.numpy() - [1.0, 2.0, 4.0]))
    assert report.ok and report.faults == ()


def test_what_is_not_seen_has_a_code():
    loss, _ = line()
    report = compare_backprop(loss, backprop=lambda: None)
    assert not report.ok and report.faults == ("missing-gradient",)


def test_what_cannot_be_judged_has_a_code():
    x = Tensor([0.0, 1.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        loss = np.sum(np.log(x))
        report = compare_backprop(loss, G_x=np.array([1.0, 1.0]))
    assert report.faults == ("not-finite",)


def test_a_limit_that_was_reached_has_its_own_code(monkeypatch):
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(5, 4)), requires_grad=True, name="x")
    loss = np.mean(np.square(np.tanh(x) @ rng.normal(size=(4, 3))))
    odd = rng.normal(size=(5, 4))
    assert compare_backprop(loss, G_x=odd).faults == ("unexplained",)
    monkeypatch.setattr(faults.question.Budget, "__init__", lambda self: setattr(self, "left", 1e6))
    assert compare_backprop(loss, G_x=odd).faults == ("unexplained-limit",)


def test_a_report_as_plain_data():
    loss, names, (x, y, W) = problem()

    def backward():
        delta = 2 * (x @ W - y) / len(x)
        dW = -x.T @ delta
        return dW

    report = compare_backprop(loss, names, backprop=backward)
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    step = found["steps"][found["first_wrong"]]
    assert (found["ok"], found["faults"], step["status"]) == (False, ["sign"], "wrong")
    assert (step["gradient"], step["variable"], step["shape"]) == ("G_W", "dW", [3, 2])
    g = x.T @ (2 * (x @ W - y) / 6)
    assert math.isclose(step["largest_difference"], 2 * np.max(np.abs(g)))
    assert math.isclose(step["relative"], 2)
    assert step["where"]["text"] == "dW = -x.T @ delta"
    assert step["where"]["function"] == "backward"
    assert pathlib.Path(step["where"]["file"]).name == "test_grading.py"


def test_numbers_that_json_does_not_have_are_none():
    loss, _ = line()
    step = compare_backprop(loss, G_x=np.zeros((3, 3))).to_dict()["steps"][0]
    assert step["largest_difference"] is None and step["relative"] is None


def test_assert_backprop_gives_the_report_or_fails():
    loss, x = line()
    right = 2 * (x.numpy() - [1.0, 2.0, 4.0])
    assert assert_backprop(loss, G_x=right).ok
    assert assert_backprop(loss, backprop=lambda: right).ok
    with pytest.raises(GradientError, match="G_x, the sign is wrong"):
        assert_backprop(loss, G_x=-right)
    with pytest.raises(AssertionError, match="Not seen: the gradient of x"):
        assert_backprop(loss, backprop=lambda: None)


def test_pytest_shows_the_line_of_the_test():
    loss, x = line()
    with pytest.raises(GradientError) as caught:
        assert_backprop(loss, G_x=x.numpy())
    hidden = caught.traceback[1].frame.f_locals
    assert hidden["__tracebackhide__"]


# Many submissions


def problem():
    """A linear model with weights that a submission may change."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    W = Tensor(rng.normal(size=(3, 2)), requires_grad=True)
    loss = np.sum(np.square(x @ W - y)) / 6
    return loss, {"W": W}, (x, y, W.numpy())


def right(x, y, W):
    dW = x.T @ (2 * (x @ W - y) / len(x))
    W -= 0.1 * dW  # the next submission does not see it
    return dW


def forgets_the_mean(x, y, W):
    delta = 2 * (x @ W - y)
    return x.T @ delta


def raises(x, y, W):
    return x @ (2 * (x @ W - y))


def leaves(x, y, W):
    raise SystemExit(3)


def gives_nothing(x, y, W):
    return None


class Own(BaseException):
    """What no `except Exception` catches."""


def closes(x, y, W):
    raise GeneratorExit


def own_error(x, y, W):
    raise Own("mine")


ALL = {
    "right": right,
    "mean": forgets_the_mean,
    "shapes": raises,
    "exit": leaves,
    "nothing": gives_nothing,
    "right again": right,
}


def test_many_submissions_in_a_table():
    grades = grade_backprop(problem, ALL)
    assert [grade.ok for grade in grades] == [True, False, False, False, False, True]
    assert len(grades) == 6
    assert grades["mean"].faults == ("batch-size",)
    assert grades["mean"].report.first_wrong.where.text == "delta = 2 * (x @ W - y)"
    assert grades["shapes"].faults == ("raised",)
    assert isinstance(grades["shapes"].error, ValueError)
    assert isinstance(grades["exit"].error, SystemExit)
    assert grades["nothing"].faults == ("missing-gradient",)
    with pytest.raises(KeyError):
        grades["nobody"]


def test_the_table_reads():
    text = str(grade_backprop(problem, ALL))
    head, *rows, summary = text.splitlines()
    assert head.split() == ["submission", "right", "first", "wrong", "line", "faults", "reason"]
    assert len(rows) == 6
    assert "test_grading.py" in rows[1] and "not divided by the batch size 6" in rows[1]
    assert "ValueError: matmul" in rows[2] and "SystemExit: 3" in rows[3]
    assert summary.startswith("2 of 6 are right; raised 2, ")


def test_the_table_is_aligned_in_a_terminal_where_letters_are_wide():
    """There a letter of Korean is as wide as two of English."""
    text = str(grade_backprop(problem, {"김가중": forgets_the_mean, "Ada": forgets_the_mean}))
    starts = set()
    for line in text.splitlines()[1:3]:
        before, _, _ = line.partition(" no ")
        starts.add(len(before) + len(re.findall("[가-힣]", before)))
    assert len(starts) == 1


def test_grades_as_html_and_as_plain_data():
    grades = grade_backprop(problem, {"<b>": forgets_the_mean, "exit": leaves})
    assert "<td>&lt;b&gt;</td>" in grades._repr_html_()
    first, second = json.loads(json.dumps(grades.to_dict(), allow_nan=False))
    assert (first["submission"], first["ok"], first["faults"]) == ("<b>", False, ["batch-size"])
    assert math.isclose(first["report"]["steps"][0]["relative"], 5.0)
    assert second["error"] == "SystemExit: 3"


def test_a_problem_that_gives_back_something_else():
    with pytest.raises(TypeError, match="the loss, the names and the arguments"):
        grade_backprop(lambda: problem()[:2], ALL)


# Conventions


def by_convention(x, y, W):
    """The error the other way round, which is added to the weights."""
    d = 2 * (y - x @ W) / 4
    dW = x.T @ d
    W = W + 0.1 * dW
    return dW


def graph_of_four():
    rng = np.random.default_rng(2)
    x, y, start = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
    W = Tensor(start, requires_grad=True, name="W")
    return np.sum(np.square(x @ W - y)) / 4, {"W": W}, (x, y, start.copy())


def test_a_convention_is_said_in_the_table_and_strict_in_a_test():
    grades = grade_backprop(graph_of_four, {"Ada": by_convention})
    assert grades["Ada"].ok and grades["Ada"].report.conventions[0].name == "descent"
    assert "By convention: every gradient has a minus sign" in str(grades)
    grades = grade_backprop(graph_of_four, {"Ada": by_convention}, convention="descent")
    assert grades["Ada"].ok and "as declared" in str(grades)
    loss, names, arrays = graph_of_four()
    assert_backprop(loss, names, backprop=lambda: by_convention(*arrays), strict=False)
    with pytest.raises(GradientError, match='convention="descent", or with strict=False'):
        assert_backprop(loss, names, backprop=lambda: by_convention(*arrays))
    with pytest.raises(ValueError, match="is not known"):
        grade_backprop(graph_of_four, {"Ada": by_convention}, convention="up")


def test_no_submission_ends_the_table_but_the_graders_own_interrupt():
    grades = grade_backprop(problem, {1: closes, 2: own_error, 3: right})
    assert [type(grade.error) for grade in grades] == [GeneratorExit, Own, type(None)]
    assert [grade.ok for grade in grades] == [False, False, True]
    assert str(grades).splitlines()[2].split()[:2] == ["2", "no"]

    def interrupted(x, y, W):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade_backprop(problem, {"stopped": interrupted})


def test_a_list_of_submissions_is_to_have_names():
    with pytest.raises(TypeError, match="submissions is to be a dict.*not a list"):
        grade_backprop(problem, [right])


def test_no_convention_is_none():
    loss, x = line()
    assert compare_backprop(loss, convention=None, G_x=2 * (x.numpy() - [1.0, 2.0, 4.0])).ok
    with pytest.raises(TypeError, match="G_x is to be an array of numbers, not NoneType"):
        compare_backprop(loss, G_x=None)


def test_long_lists_of_what_is_not_in_the_graph_end():
    loss, names, (x, y, W) = problem()

    def backward():
        kept = {f"d_{i}": np.full(3, i + 0.5) for i in range(40)}
        return {**kept, "W": 2 * x.T @ (x @ W - y) / 6}

    text = str(compare_backprop(loss, names, backprop=backward))
    assert len(text.splitlines()) < 30, text


def test_the_reports_of_a_class_hold_no_arrays():
    def problem():
        loss, x = line()
        return loss, {"x": x}, (x.numpy(),)

    def right(x):
        return {"dx": 2 * (x - np.array([1.0, 2.0, 4.0]))}

    def wrong(x):
        return {"dx": x - np.array([1.0, 2.0, 4.0])}

    grades = grade_backprop(problem, {"one": right, "two": wrong})
    steps = [step for name in ("one", "two") for step in grades[name].report.steps]
    assert len(steps) == 2 and [step.array for step in steps] == [None, None]
    assert grades["one"].ok and not grades["two"].ok
