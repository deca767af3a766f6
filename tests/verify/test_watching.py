"""compare_backprop with code: files that change, odd containers, wrong arguments, and what it costs."""

from __future__ import annotations

import linecache
import math
import re
import types
import warnings

import numpy as np
import pytest
from helpers import leaf

from tinygrad_steel import Tensor, compare_backprop
from tinygrad_steel.verify import capture, cells, watching
from tinygrad_steel.verify.contents import arrays_at, arrays_in
from tinygrad_steel.verify.faults import search
from tinygrad_steel.verify.statements import attribute
from tinygrad_steel.verify.watching import watched

X, Y = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.2]]), np.array([[1.0], [0.0], [2.0]])
W = np.array([[0.3], [-0.2]])
SPACE = {"np": np, "x": X, "y": Y, "v": W}


def linear():
    w = Tensor(W, requires_grad=True, name="w")
    return np.mean(np.square(X @ w - Y))


def function_in(file, text, name="go", **names):
    """A function from a text that is written into a file, as a program that marks homework has it."""
    file.write_text(text, encoding="utf-8")
    space = {**SPACE, **names}
    exec(compile(text, str(file), "exec"), space)
    return space[name]


# Files and code objects


def test_a_file_that_is_written_anew_shows_its_new_lines(tmp_path):
    first = "def go():\n    d = x @ v - y\n    return {'dw': x.T @ d}\n"
    second = "def go():\n    off = x @ v - y\n    off = 4 * off / len(x)\n    return x.T @ off\n"
    for text, line in ((first, "return {'dw': x.T @ d}"), (second, "off = 4 * off / len(x)")):
        go = function_in(tmp_path / "homework.py", text)
        places = [b.origin.where for b in watched(go).bindings]
        assert {(p.line, p.text) for p in places} <= {
            (i, row.strip()) for i, row in enumerate(text.splitlines(), 1)
        }
        assert line in {p.text for p in places}


def test_equal_code_in_two_files_has_the_right_file(tmp_path):
    text = "def layer(g, a):\n    return a.T @ g * S\n"
    right = function_in(tmp_path / "a.py", text, "layer", S=1.0)
    wrong = function_in(tmp_path / "b.py", text, "layer", S=2.0)
    assert right.__code__ == wrong.__code__

    def backward():
        d = 2 * (X @ W - Y) / len(X)
        once = right(d, X)  # noqa: F841
        dw = wrong(d, X)
        return dw

    assert compare_backprop(linear(), backprop=backward).first_wrong.where.file.endswith("b.py")
    seen = {b.origin.where.file for b in watched(backward).bindings}
    assert {str(tmp_path / name) for name in ("a.py", "b.py")} <= seen


def test_a_variable_that_is_called_like_a_module_is_seen(tmp_path):
    text = "def go():\n    math = x @ v - y\n    math *= 2\n    return x.T @ math\n"
    seen = watched(function_in(tmp_path / "homework.py", text, math=math))
    changed = [b for b in seen.bindings if b.path == ("math",)]
    assert [b.origin.where.line for b in changed] == [2, 3]
    np.testing.assert_array_equal(changed[1].array, 2 * (X @ W - Y))
    assert changed[1] in seen.bindings[-1].origin.reads


# Containers with methods of their own


class Called(AssertionError):
    """A method of a person's own class was called."""


def refuse(*args):
    raise Called


METHODS = ("__len__", "__iter__", "__getitem__", "__getattr__", "__contains__", "__eq__")
OWN = {name: refuse for name in (*METHODS, "get", "items", "keys", "values", "index")}
Noisy = type("Noisy", (dict,), OWN)
Loud = type("Loud", (list,), OWN)
Still = type("Still", (tuple,), OWN)


class Closed:
    """An object that keeps a gradient under a private name, and refuses to be asked."""

    __slots__ = ("__dw", "empty", "shown")

    def __init__(self, dw):
        self.__dw, self.shown = dw, dw + 1

    def __getattr__(self, name):
        raise Called(name)

    @property
    def __class__(self):
        raise Called


@pytest.mark.parametrize(
    ("kind", "data", "key"),
    [(Noisy, {"k": W}, "k"), (Loud, [W, W], 1), (Still, (W,), 0), (Loud, [W, W], -1)],
)
def test_no_method_of_a_container_is_called(kind, data, key):
    container = kind(data)
    assert [x is W for _, x in arrays_in(container, ("c",))] == [True] * len(data)
    assert [x is W for _, x in arrays_at(("c", key), {"c": container}, {})] == [True]


def test_slots_are_read_without_the_class_and_private_ones_too():
    closed = Closed(W)
    found = {str(path[-1]): x for path, x in arrays_in(closed, ("c",))}
    assert {*found} == {"_Closed__dw", "shown"}
    assert found["_Closed__dw"] is W
    path = ("c", attribute("shown"))
    assert [at for at, _ in arrays_at(path, {"c": closed}, {})] == [path]


def test_code_with_such_containers_is_watched():
    def backward():
        kept = Noisy(d=2 * (X @ W - Y) / len(X))
        d = dict.__getitem__(kept, "d")
        closed = Closed(X.T @ d)
        return Loud([closed])

    assert compare_backprop(linear(), backprop=backward).ok


# Wrong arguments


def backward():
    return None


WRONG = [
    (lambda: compare_backprop(linear(), backward), "names are to be.*backprop=backward"),
    (lambda: compare_backprop(linear(), lambda: None), r"backprop=lambda: \.\.\."),
    (lambda: compare_backprop(linear(), {}, backward), "backprop=backward"),
    (lambda: compare_backprop(linear(), {}, W), "without a keyword"),
    (lambda: compare_backprop(linear(), [W]), "to be a dict, .* not a list"),
    (lambda: compare_backprop(linear(), "dw = 1"), "not a str; a cell's code is backprop="),
    (lambda: compare_backprop(linear(), backprop=lambda x: x), "the lambda says: .* takes none"),
]


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_a_wrong_argument_says_what_to_write(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def test_the_name_of_a_file_is_no_code():
    with pytest.raises(ValueError, match=r"name of a file, .*open\('student.py'\).read\(\)"):
        compare_backprop(linear(), backprop="student.py")


def test_nothing_handed_over_mentions_code():
    with pytest.raises(ValueError, match="or your code as backprop=function"):
        compare_backprop(linear(), {})


def test_an_alias_to_an_unknown_name_says_so_in_its_row():
    def code():
        out = 2 * X.T @ (X @ W - Y) / len(X)
        return out

    rows = str(compare_backprop(linear(), {"out": "weigth"}, backprop=code)).splitlines()
    assert any(re.search(r"out .*not in the graph: the graph has no weigth", row) for row in rows)


# Cells


CELL = "%matplotlib inline\nimport numpy as np\n!pip list\nif True:\n    %time\nd = x @ v - y\n"


def test_lines_for_the_notebook_are_left_out_of_a_cell():
    cell = CELL + "k = 7\nk = (k\n  % 4)\ndw = x.T @ d * 2 / k\n"
    assert compare_backprop(linear(), SPACE, backprop=cell).ok
    report = compare_backprop(linear(), SPACE, backprop=cell.replace("* 2", "* 4"))
    where = report.first_wrong.where
    assert (where.line, where.text) == (10, "dw = x.T @ d * 4 / k")
    with pytest.raises(SyntaxError):
        compare_backprop(linear(), SPACE, backprop="d = (\n")


@pytest.mark.parametrize("magic", ["time", "timeit", "capture", "prun"])
def test_what_stands_below_a_magic_is_the_cell(magic):
    body = "import numpy as np\n!pip list\nd = x @ v - y\ndw = x.T @ d * 4 / len(x)\n"
    cell = f"get_ipython().run_cell_magic({magic!r}, '-q', {body!r})\n"  # as notebooks keep it
    where = compare_backprop(linear(), SPACE, backprop=cell).first_wrong.where
    assert (where.line, where.text) == (5, "dw = x.T @ d * 4 / len(x)")


def test_another_magic_is_run_as_it_is():
    cell = "get_ipython().run_cell_magic('bash', '', 'ls')\n"
    asked = []
    shell = types.SimpleNamespace(run_cell_magic=lambda *given: asked.append(given))
    compare_backprop(linear(), {**SPACE, "get_ipython": lambda: shell}, backprop=cell)
    assert asked == [("bash", "", "ls")]


LATEX = "label = '\\d'\ndw = x.T @ (x @ v - y) * 4\n"  # Python warns of such a backslash


def test_a_warning_of_a_cell_comes_once_and_from_its_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compare_backprop(linear(), SPACE, backprop=LATEX)
    assert [warning.filename.startswith("<cell ") for warning in caught] == [True]


def test_a_source_with_a_warning_is_read_where_warnings_are_errors(tmp_path):
    body = LATEX.replace("\n", "\n    ")
    with warnings.catch_warnings(action="ignore"):
        go = function_in(tmp_path / "chain.py", f"def go():\n    {body}return dw\n")
    with warnings.catch_warnings(action="error"):
        report = compare_backprop(linear(), SPACE, backprop=go)
    assert report.first_wrong.where.text == "dw = x.T @ (x @ v - y) * 4"


def test_cells_have_names_of_their_own_and_few_are_kept():
    def known():
        return [file for file in linecache.cache if file.startswith("<cell ")]

    kept, names = cells.MOST_CELLS, set()
    for n in range(kept + 5):
        if n == 2:
            linecache.clearcache()  # names do not begin anew
        cell = f"d = x @ v - y\nn = {n}\ndw = x.T @ d\n"
        names.add(compare_backprop(linear(), SPACE, backprop=cell).first_wrong.where.file)
    assert len(names) == kept + 5
    assert len(known()) <= kept


# What it costs


def test_copies_have_a_bound_and_the_report_says_where_it_was_reached(monkeypatch):
    def training():
        w = W
        for _ in range(100):
            dw = 2 * X.T @ (X @ W - Y) / len(X)
            w = w - 0.1 * dw
        late = dw + 1  # noqa: F841
        dw *= 3
        return dw

    whole = watched(training)
    assert not whole.note
    monkeypatch.setattr(watching, "MOST", 500)
    seen = watched(training)
    assert len(seen.bindings) < len(whole.bindings) / 4
    copies = {id(b.array): b.array.nbytes for b in seen.bindings}
    assert sum(copies.values()) <= 2 * 500
    report = compare_backprop(linear(), backprop=training)
    assert "what came after test_watching.py:" in report.note
    assert not report.ok  # what it gives back is wrong, and was not seen
    assert "smaller batch" in str(report)


def recurrent(steps, wrong=True):
    """An RNN whose backward leaves a factor out at each step."""
    rng = np.random.default_rng(7)
    xs, t = rng.normal(size=(steps, 8, 3)), rng.normal(size=(8, 2))
    shapes = {"Wx": (3, 8), "Wh": (8, 8), "bh": (8,), "Wy": (8, 2)}
    data = {name: 0.3 * rng.normal(size=shape) for name, shape in shapes.items()}
    names = {name: leaf(array, name=name) for name, array in data.items()}
    h = np.zeros((8, 8))
    for x in xs:
        h = np.tanh(x @ names["Wx"] + h @ names["Wh"] + names["bh"])
    loss = np.mean(np.square(h @ names["Wy"] - t))

    def backward():
        Wx, Wh, bh, Wy = data.values()
        h = {-1: np.zeros((8, 8))}
        for i in range(steps):
            h[i] = np.tanh(xs[i] @ Wx + h[i - 1] @ Wh + bh)
        e = 2 * (h[steps - 1] @ Wy - t) / t.size
        dWy = h[steps - 1].T @ e
        dh = e @ Wy.T
        dWx, dWh, dbh = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(bh)
        for i in reversed(range(steps)):
            dz = dh * (1 - h[i] * (1 if wrong else h[i]))
            dWx += xs[i].T @ dz
            dWh += h[i - 1].T @ dz
            dbh += dz.sum(0)
            dh = dz @ Wh.T
        return dWx, dWh, dbh, dWy

    return loss, names, backward


def test_a_right_recurrent_chain_is_right():
    loss, names, backward = recurrent(6, wrong=False)
    assert compare_backprop(loss, names, backprop=backward).ok


@pytest.mark.parametrize("steps", [4, 16])
def test_the_searches_of_one_report_have_one_bound(steps, monkeypatch):
    spent, answer = [], search.answer

    def counted(question):
        before = question.budget.left
        found = answer(question)
        spent.append(before - question.budget.left)
        return found

    monkeypatch.setattr(search, "answer", counted)
    monkeypatch.setattr(capture, "TO_RECOGNISE", (6e8, 1.5e8))
    monkeypatch.setattr(capture, "FOR_OTHERS", (1e8, 5e7))
    monkeypatch.setattr(capture, "FOR_THE_FIRST", 3e8)
    loss, names, backward = recurrent(steps)
    report = compare_backprop(loss, names, backprop=backward)
    first = report.first_wrong
    assert first.where.text == "dz = dh * (1 - h[i] * (1 if wrong else h[i]))"
    assert re.match(r"the factor .* is missing", first.reason), first.reason
    bound = capture.TO_RECOGNISE[0] + capture.FOR_THE_FIRST + capture.FOR_OTHERS[0]
    assert sum(spent) <= 1.1 * bound
    assert str(report) == str(compare_backprop(loss, names, backprop=backward))


def test_what_is_not_searched_says_what_is_known(monkeypatch):
    searched, find = [], search.search

    def noted(question):
        searched.append(question.spoiled)
        return find(question)

    monkeypatch.setattr(search, "search", noted)
    monkeypatch.setattr(capture, "FOR_OTHERS", (0, 0))
    loss, names, backward = recurrent(4)
    first, *others = [
        step
        for step in compare_backprop(loss, names, backprop=backward).steps
        if step.verdict == "wrong"
    ]
    assert searched
    assert not any(searched)
    assert first.reason.startswith("the factor")
    assert any(re.match(r"not searched: all \d+ elements differ", s.reason) for s in others)


def test_the_same_question_is_searched_once(monkeypatch):
    asked, answer = [], search.answer

    def noted(question):
        if question.key is not None:
            asked.append((question.pool, question.key))
        return answer(question)

    monkeypatch.setattr(search, "answer", noted)
    loss, names, backward = recurrent(4)
    compare_backprop(loss, names, backprop=backward)
    assert asked
    assert len(asked) == len({*asked})
