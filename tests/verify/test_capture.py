"""compare_backprop given the code: what is watched, what is recognised, and what is said of it.

What is wrong, and in which line, is known from where a mistake was planted, never from the report.
"""

from __future__ import annotations

import ast
import functools
import linecache
import pathlib
import subprocess
import sys
import textwrap
import threading
import types
import warnings

import numpy as np
import pytest
from chains import FAULTS, PROBLEMS, problem
from fuzz import eager
from fuzz_programs import FAMILIES, Program
from helpers import counted, leaf

from tinygrad_steel import (
    GradientError,
    Tensor,
    compare_backprop,
    softmax_cross_entropy,
    write_backprop,
)
from tinygrad_steel.verify.capture import flat_names
from tinygrad_steel.verify.statements import parsed, spelled_path
from tinygrad_steel.verify.watching import watched

STYLES = pathlib.Path(__file__).parent / "styles"
X, Y = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.2]]), np.array([[1.0], [0.0], [2.0]])
W = np.array([[0.3], [-0.2]])


def line_of(text):
    """The line of this file in which a text stands, the one with this call left out."""
    lines = pathlib.Path(__file__).read_text(encoding="utf-8").splitlines()
    found = [i for i, line in enumerate(lines, 1) if text in line and "line_of(" not in line]
    assert len(found) == 1, found
    return found[0]


def linear():
    w = Tensor(W, requires_grad=True, name="w")
    return np.mean(np.square(X @ w - Y))


def bound(function):
    """The names that were bound while a function ran, with the first line of each array."""
    return [(b.name, b.origin.where.line) for b in watched(function).bindings if b.made is b]


# Chains from tests/chains.py, run as code


def run_chain(names, steps, broken):
    """A chain in which `broken` replaces steps: its steps are lambdas in other files."""
    n = types.SimpleNamespace(**{name: t.data for name, t in names.items()})
    found = {}
    for step, right in steps.items():
        found[step] = broken.get(step, right)(n)  # the step is bound here
        setattr(n, step, found[step])
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1, 100, 1e6])
@pytest.mark.parametrize("name", PROBLEMS)
def test_right_chain_is_right(name, scale, dtype):
    loss, names, steps = problem(name, dtype, scale)
    report = compare_backprop(loss, names, backprop=lambda: run_chain(names, steps, {}))
    assert report.ok, report
    assert {step.name for step in report.steps} >= {
        f"G_{k}" for k, t in names.items() if t.op is None and t.requires_grad
    }


ROWS = [(*key, words, fault) for key, row in FAULTS.items() for words, fault in row.items()]


@pytest.mark.parametrize(
    ("name", "step", "words", "fault"), ROWS, ids=lambda v: "" if callable(v) else str(v)
)
def test_fault_is_found_with_its_line_and_its_reason(name, step, words, fault):
    loss, names, steps = problem(name)
    run = functools.partial(run_chain, names, steps, {step: fault})
    try:
        run()
    except ValueError:
        pytest.skip("nobody can go on with a wrong shape")
    report = compare_backprop(loss, names, backprop=run)
    first = report.first_wrong
    assert first.name == step, report
    assert words in first.reason, report
    # What hands on what is there already, or is a local derivative, is bound in this file.
    here = line_of("# the step is bound here"), line_of("setattr(n, step, found[step])")
    places = {fault.__code__.co_firstlineno, *here}
    inside = first.where.function not in (
        "<lambda>",
        "run_chain",
    )  # a function that the lambda calls
    assert inside or first.where.line in places, report


# Chains that the library writes itself


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_written_chain_is_right(name):
    loss, names, _ = problem(name)
    source = write_backprop(loss, names)
    backprop = source.function()
    report = compare_backprop(loss, names, backprop=lambda: backprop(**source.arguments))
    assert report.ok, report


@pytest.mark.slow
def test_written_chains_of_random_programs_are_right():
    count = 0
    for seed in range(counted(4000, 100)):
        program = Program(seed, [*FAMILIES][seed % len(FAMILIES)])
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            try:
                found = eager(program, program.data)
                source = write_backprop(found.values["loss"])
            except (TypeError, ValueError, RuntimeError):
                continue  # what no source is written for
            gradients = [g for g in found.gradients.values() if g is not None]
            if not all(np.isfinite(g).all() for g in gradients):
                continue
            backprop = source.function()
            run = functools.partial(backprop, **source.arguments)
            report = compare_backprop(found.values["loss"], backprop=run)
        assert report.first_wrong is None and not report.missing, f"{seed}\n{source}\n{report}"
        count += 1
    assert count > counted(3000, 65)


# Students' chains, and each of their lines made wrong


def students(source, name):
    file = f"<students {hash(source)}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    space = {"__name__": "students"}
    exec(compile(source, file, "exec"), space)
    return space["CHAINS"][name]()


SOURCE = (STYLES / "students.py").read_text(encoding="utf-8")
STUDENTS = [
    f.name for f in ast.parse(SOURCE).body if isinstance(f, ast.FunctionDef) and f.decorator_list
]
MISTAKES = {
    "doubled": "2.0 * ({})",
    "negated": "-({})",
    "shifted": "({}) + 0.1",
    "damped": "({}) * 0.7",
}
# Lines whose mistake shows first in another one: a count, what zeros a sum begins with, an array
# of which a wrong multiple is right again, a loop that makes the same mistake twice.
ELSEWHERE = {
    "m = X.shape[1]",
    "dW = np.zeros_like(W)",
    "db = np.zeros_like(b)",
    "dW += np.outer(x[i], g)",
    "d = d * (1 - hs[i + 1] ** 2)",
    "d = d @ Ws[i].T",
    "e = W2 @ h + b2 - y",
    "dz = d * (1 - o * o)",
}


def places_for_mistakes():
    """Where a line of a backprop can be made wrong: (chain, kind of mistake, line, source)."""
    lines = SOURCE.splitlines(keepends=True)
    for top in ast.parse(SOURCE).body:
        if not (isinstance(top, ast.FunctionDef) and top.decorator_list):
            continue
        inner = [f for f in ast.walk(top) if isinstance(f, ast.FunctionDef) and f is not top]
        nodes = [n for f in inner if f.name not in ("cost", "__init__", "f") for n in ast.walk(f)]
        for node in dict.fromkeys(nodes):
            if (
                not isinstance(node, ast.Assign | ast.AugAssign)
                or node.value.lineno != node.value.end_lineno
            ):
                continue
            if isinstance(
                node.value, ast.Tuple | ast.Dict | ast.List | ast.Constant
            ) or "rec(" in ast.unparse(node):
                continue
            for kind, form in MISTAKES.items():
                v = node.value
                row = lines[v.lineno - 1]
                text = form.format(row[v.col_offset : v.end_col_offset])
                changed = row[: v.col_offset] + text + row[v.end_col_offset :]
                source = "".join([*lines[: v.lineno - 1], changed, *lines[v.lineno :]])
                yield top.name, kind, v.lineno, source


@pytest.mark.parametrize("name", STUDENTS)
def test_students_right_chain_is_right(name):
    loss, backprop = students(SOURCE, name)
    report = compare_backprop(loss, backprop=backprop)
    assert report.ok, report
    assert not [step for step in report.steps if step.verdict == "wrong"]


@pytest.mark.slow
def test_each_wrong_line_of_students_is_found():
    cases = [*places_for_mistakes()]
    assert len(cases) > 200
    found = neutral = 0
    for name, kind, line, source in cases[:: max(1, len(cases) // counted(len(cases), 20))]:
        loss, backprop = students(source, name)
        report = compare_backprop(loss, backprop=backprop)
        row = SOURCE.splitlines()[line - 1].strip()
        if report.ok:
            neutral += 1  # an update after the gradient, or zeros that are doubled
            assert "-=" in row or "zeros" in row or row.startswith(("Ws[i] =", "s.vW", "s.W")), row
            continue
        first = report.first_wrong
        assert first is not None, f"{kind} {row}\n{report}"
        places = {first.where.line, *(place.line for place in first.helpers)}
        assert line in places or row in ELSEWHERE, f"{kind} {line}: {row}\n{report}"
        found += line in places
    assert found > 4 * neutral


# What is watched


def test_names_that_are_bound_again_and_changed_in_place():
    def code():
        a = np.array([1.0, 2.0])
        a = a + 1
        b = a
        b *= 2
        d = {"k": [b + 1]}
        d["k"].append(b - 1)
        a[0] = 7
        return a

    start = code.__code__.co_firstlineno
    assert [(name, line - start) for name, line in bound(code)] == [
        ("a", 1), ("a", 2), ("b", 4), ("d['k'][0]", 5), ("d['k'][1]", 6), ("a", 7),
    ]  # fmt: skip
    arrays = [b.array.tolist() for b in watched(code).bindings if b.made is b]
    assert arrays == [[1, 2], [2, 3], [4, 6], [5, 7], [3, 5], [7, 6]]


def test_functions_methods_generators_and_slots_are_watched():
    class Layer:
        __slots__ = ("dW",)

        def backward(self, g):
            self.dW = g * 2
            return g * 3

    def parts(g):
        for k in range(2):
            part = g + k
            yield part

    def code():
        layer = Layer()
        g = layer.backward(np.ones(2))
        return layer, [p for p in parts(g)]

    names = [name for name, _ in bound(code)]
    assert names == ["g", "self.dW", "backward()", "part", "part"]


def test_a_sum_over_rows_is_one_binding():
    def code():
        s = np.zeros(3)
        for row in np.arange(30.0).reshape(10, 3):
            s += row
        return s

    sums = [b for b in watched(code).bindings if b.made is b and b.name == "s"]
    assert [b.array.tolist() for b in sums] == [[0, 0, 0], [135, 145, 155]]
    assert len({*sums[1].reads}) == 11  # the zeros, and each row


def test_libraries_are_not_watched_and_other_files_of_ones_own_are(tmp_path, monkeypatch):
    (tmp_path / "my_helpers.py").write_text(
        "def double(x):\n    twice = x * 2\n    return twice\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import my_helpers  # type: ignore[import-not-found]

    def code():
        a = np.linalg.norm(np.ones((2, 2)), axis=0)
        b = np.apply_along_axis(lambda v: v + 1.0, 0, np.ones((2, 2)))
        return my_helpers.double(a + np.mean(b))

    files = {b.origin.where.file for b in watched(code).bindings}
    assert files == {__file__, str(tmp_path / "my_helpers.py")}


def test_a_statement_of_several_lines_is_at_its_first():
    source = "a = f(\n    x,\n    y,\n)\nif a:\n    b = 1; c = 2\ng = lambda v: (\n    v\n)\n"
    table = parsed(tuple(source.splitlines(keepends=True)), ast.stmt)
    assert [table[n].line for n in range(1, 8)] == [1, 1, 1, 1, 5, 6, 7]
    assert table[3].text == "a = f( x, y, )"
    assert [spelled_path(p) for p in table[6].spoken] == ["b", "c"]
    assert parsed(("this is no Python",), ast.stmt) == {}


def test_code_without_a_source_is_watched_by_lines():
    space = {"np": np, "x": X, "y": Y, "w": W}
    code = compile(
        "def back():\n    d = x @ w - y\n    d *= 2 / d.size\n    dw = x.T @ d * 2\n    return dw\n",
        "<nowhere>",
        "exec",
    )
    exec(code, space)
    report = compare_backprop(linear(), backprop=space["back"])
    assert report.first_wrong.where.line == 4, report
    assert report.first_wrong.where.text == ""


# The tracer beside others


def test_another_tracer_goes_on_and_is_there_afterwards():
    seen = []

    def other(frame, event, arg):
        seen.append((frame.f_code.co_name, event))
        return other

    def code():
        d = X @ W - Y
        return d

    before = sys.gettrace()
    sys.settrace(other)
    try:
        result = watched(code)
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert after is other
    assert result.note == ""
    assert [b.name for b in result.bindings if not b.origin.given] == ["d"]
    assert [event for name, event in seen if name == "code"] == ["call", "line", "line", "return"]


def test_a_tracer_that_takes_over_is_left_there_and_said():
    def other(frame, event, arg):
        return None

    def code():
        d = X @ W - Y
        sys.settrace(other)
        G_w = X.T @ d * 2 / 3
        return G_w

    before = sys.gettrace()
    try:
        report = compare_backprop(linear(), backprop=code)
        assert sys.gettrace() is other
    finally:
        sys.settrace(before)
    assert "another tracer has taken over" in str(report)


def test_an_error_passes_and_the_tracer_is_taken_off():
    def code():
        d = -2 * (X @ W - Y) / 3
        G_w = X.T @ d
        return G_w @ X @ Y @ Y

    before = sys.gettrace()
    with pytest.raises(ValueError, match="matmul") as caught:
        compare_backprop(linear(), backprop=code)
    assert sys.gettrace() is before
    (first, *_, _) = caught.value.__notes__
    assert first.startswith("compare_backprop: before that, d is wrong: the sign is wrong"), first
    assert any("d = -2 * (X @ W - Y) / 3" in note for note in caught.value.__notes__)


def test_coverage_counts_the_lines_of_what_is_watched(tmp_path):
    pytest.importorskip("coverage")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import numpy as np
            from tinygrad_steel import Tensor, compare_backprop
            w = Tensor(np.ones((2, 1)), requires_grad=True, name="w")
            def back():
                d = np.ones((3, 1))
                return {"dw": np.ones((3, 2)).T @ d}
            report = compare_backprop(np.sum(np.ones((3, 2)) @ w), backprop=back)
            assert report.ok, report
            after = 1
            """
        ),
        encoding="utf-8",
    )
    for command in (
        ["run", f"--data-file={tmp_path}/c", str(script)],
        ["report", f"--data-file={tmp_path}/c", "-m", f"--include={script}"],
    ):
        run = subprocess.run(
            [sys.executable, "-m", "coverage", *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert run.returncode == 0, run.stdout + run.stderr
    assert "100%" in run.stdout, run.stdout


# What is recognised, and what is said


def test_gradients_that_are_equal_by_chance_do_not_confuse():
    a, b = leaf([1.0, 1.0], name="a"), leaf([2.0, 2.0], name="b")
    loss = np.sum(a * 3.0) + np.sum(b * 3.0)

    def right():
        db = np.full(2, 3.0)
        da = np.full(2, 3.0)
        return db, da

    def wrong():
        db = np.full(2, 3.0)
        da = np.full(2, 4.0)
        return db, da

    report = compare_backprop(loss, backprop=right)
    assert report.ok, report
    assert {s.name: s.variable for s in report.steps} == {"G_a": "da", "G_b": "db"}
    report = compare_backprop(loss, backprop=wrong)
    assert (report.first_wrong.name, report.first_wrong.variable) == ("G_a", "da"), report
    assert report.first_wrong.where.line == line_of("da = np.full(2, 4.0)")


@pytest.mark.parametrize(
    "called",
    [
        "dw",
        "d_w",
        "G_w",
        "grad_w",
        "delta_w",
        "w_grad",
        "grads['w']",
        "grads['dw']",
        "net.dw",
        "net.grads['w']",
        "net.grad_w",
    ],
)
def test_names_that_say_what_is_meant(called):
    code = f"d = X @ W - Y\ngrads = {{}}\n{called} = X.T @ d * d.size\nout = 1\n"
    file = f"<names {called}>"
    linecache.cache[file] = len(code), None, code.splitlines(keepends=True), file
    space = {"X": X, "W": W, "Y": Y, "net": types.SimpleNamespace(grads={})}
    compiled = compile(code, file, "exec")
    report = compare_backprop(linear(), backprop=functools.partial(exec, compiled, space))
    assert report.first_wrong.name == "G_w", report
    assert report.first_wrong.where.line == 3
    assert report.first_wrong.variable == called


def test_an_alias_says_whose_gradient_a_variable_holds():
    def code():
        banana = X.T @ (X @ W - Y)  # noqa: F841
        cherry = np.zeros(3)
        return cherry

    report = compare_backprop(linear(), {"banana": "w", "cherry": "w7"}, backprop=code)
    assert report.first_wrong.variable == "banana"
    assert report.first_wrong.where.line == line_of("banana = X.T")
    (row,) = [step for step in report.unrecognised if step.variable == "cherry"]
    assert (row.verdict, row.reason) == ("not in the graph", "the graph has no w7")
    assert "cherry" in str(report)


def test_texts_among_locals_are_no_aliases():
    title = "some text"
    report = compare_backprop(linear(), locals(), backprop=lambda: X.T @ (X @ W - Y) * 2 / 3)
    assert report.ok
    assert title
    assert not report.unrecognised


def test_what_is_not_in_the_graph_is_listed_and_never_wrong():
    def code():
        mask = X > 0.5
        half = X[:, :1] * 3.3
        d = 2 * (X @ W - Y) / 3
        dw = X.T @ d
        dx = d @ W.T
        return dw, mask, half, dx

    report = compare_backprop(linear(), backprop=code)
    assert report.ok, report
    assert {step.variable for step in report.unrecognised} == {"mask", "half", "dx"}
    assert {step.verdict for step in report.unrecognised} == {"not in the graph"}
    assert f"half ({pathlib.Path(__file__).name}:{line_of('half = X')})" in str(report)


def test_a_leaf_without_a_gradient_is_said():
    a, b = leaf([1.0, 2.0], name="a"), leaf([3.0, 4.0], name="b")

    def code():
        da = b.data.copy()
        return da

    report = compare_backprop(np.sum(a * b), backprop=code)
    assert not report.ok
    assert report.missing == ["b"]
    assert "Not seen: the gradient of b." in str(report)
    assert report.first_wrong is None


def test_a_forward_that_differs_is_found_first():
    w1, w2 = np.full((2, 3), 0.2), np.full((3, 1), 0.5)
    t1, t2 = Tensor(w1, requires_grad=True, name="w1"), Tensor(w2, requires_grad=True, name="w2")
    h = np.tanh(X @ t1)
    h.name = "h"
    loss = np.sum(np.square(h @ t2 - Y))

    def code():
        h = 1 / (1 + np.exp(-X @ w1))
        d = 2 * (h @ w2 - Y)
        return X.T @ (d @ w2.T * h * (1 - h)), h.T @ d

    report = compare_backprop(loss, backprop=code)
    line = line_of("h = 1 / (1 + np.exp")
    assert report.first_wrong.name == "h", report
    assert report.first_wrong.reason == f"your h differs from the graph's from line {line} on"
    assert report.first_wrong.code == ["h = np.tanh(X @ w1)"]
    assert [s.verdict for s in report.steps].count("wrong") == 1


def test_a_parameter_that_is_another_one():
    w = W + 0.1

    def code():
        return {"dw": X.T @ (X @ w - Y) * 2 / 3}

    report = compare_backprop(linear(), backprop=code)
    assert report.first_wrong.reason == "your w differs from the graph's before the code runs", (
        report
    )


def test_the_transpose_of_a_square_matrix_is_wrong_where_its_parameter_is_seen():
    V = np.array([[0.5, -1.0], [0.3, 0.8]])
    v = Tensor(V, requires_grad=True, name="V")

    def code():
        d = 2 * (X @ V)
        dV = d.T @ X
        return dV

    report = compare_backprop(np.sum(np.square(X @ v)), backprop=code)
    assert report.first_wrong.where.line == line_of("dV = d.T @ X")
    assert report.first_wrong.reason.startswith("the transpose"), report


def test_a_gradient_that_is_changed_after_it_was_right():
    def code():
        dw = X.T @ (X @ W - Y) * 2 / 3
        dw *= 0.5  # once too often
        return dw

    report = compare_backprop(linear(), backprop=code)
    assert report.first_wrong.where.line == line_of("# once too often"), report


def test_what_is_given_back_counts_before_what_has_the_name():
    def right():
        dw = X.T @ (X @ W - Y) * 2
        return dw / 3

    def wrong():
        dw = X.T @ (X @ W - Y) * 2 / 3
        return -dw

    assert compare_backprop(linear(), backprop=right).ok
    report = compare_backprop(linear(), backprop=wrong)
    assert report.first_wrong.where.line == line_of("return -dw"), report


# Errors


@pytest.mark.parametrize("loss", [1.5, np.float64(2.0), np.ones(1)])
def test_a_plain_loss_says_what_to_wrap(loss):
    with pytest.raises(TypeError, match=r"is a plain .*, which has no graph: wrap the parameters"):
        compare_backprop(loss, backprop=lambda: None)


def test_no_function_and_arrays_beside_code():
    with pytest.raises(TypeError, match="is a ndarray; it is to be a function without arguments"):
        compare_backprop(linear(), backprop=W)
    with pytest.raises(ValueError, match="hand over the code or the arrays"):
        compare_backprop(linear(), backprop=lambda: None, G_w=W)


def test_a_cell_is_run_with_the_names_and_leaves_them():
    names = {"x": X, "y": Y, "v": W, "np": np}
    cell = "d = x @ v - y\ndw = x.T @ d * 2 / len(x)\n"
    assert compare_backprop(linear(), names, backprop=cell).ok
    assert {*names} == {"x", "y", "v", "np"}
    report = compare_backprop(linear(), names, backprop=cell.replace("* 2", "* 4"))
    assert report.first_wrong.where.line == 2
    assert report.first_wrong.where.text == "dw = x.T @ d * 4 / len(x)"


def test_a_function_with_arguments_says_what_to_write():
    def backward(x, y):
        return x

    with pytest.raises(
        TypeError, match=r"hand them over in a lambda, as in backprop=lambda: backward\(x, y\)"
    ):
        compare_backprop(linear(), backprop=backward)


def test_a_notebook_shows_variables_and_lines():
    report = compare_backprop(linear(), backprop=lambda: {"dw": X.T @ (X @ W - Y)})
    page = report._repr_html_()
    assert "<th>where</th>" in page
    assert f"test_capture.py:{report.first_wrong.where.line}" in page
    assert "you have" in page


# Names of Tensors


def test_names_in_containers_to_any_depth_and_loop_variables():
    a, b, c = leaf([1.0]), leaf([2.0]), leaf([3.0])
    deep = {"x": [({"y": [[[c]]]},)]}
    W = b  # of a loop `for W in Ws`
    names = flat_names({"W": W, "Ws": [a, b], "deep": deep})
    assert {name: t for name, t in names.items() if t is c} == {"deep['x'][0][0]['y'][0][0][0]": c}
    assert next(name for name, t in names.items() if t is b) == "Ws[1]"
    named = flat_names({"W1": a, "W2": b, "params": [a, b]})
    assert [next(name for name, t in named.items() if t is x) for x in (a, b)] == ["W1", "W2"]
    assert "net.W" in flat_names({"net": types.SimpleNamespace(W=a)})


# What it costs


def test_a_watch_costs_little_work():
    """The watch looks at what a statement may have changed: its work does not grow with what is there."""

    def code(arrays):
        kept = arrays  # noqa: F841
        total = np.zeros(3)
        for k in range(200):
            total = total + k
        return total

    def events(n):
        count = 0

        class Counted(np.ndarray):
            def tobytes(self, *args):
                nonlocal count
                count += 1
                return super().tobytes(*args)

        arrays = [np.zeros(3).view(Counted) for _ in range(n)]
        watched(lambda: code(arrays))
        return count

    assert events(100) - events(50) <= 5 * 50


# What is handed back, and by which place


SQUARE = np.array([[0.4, -0.7], [0.2, 0.9]])
W1, W2 = SQUARE, SQUARE.T * 1.3 + 0.1
b1, b2 = np.array([0.2, -0.1]), np.array([0.3, 0.5])


def two_layers(row=False):
    shape = (1, 2) if row else (2,)
    given = {"W1": W1, "b1": b1.reshape(shape), "W2": W2, "b2": b2.reshape(shape)}
    t = {name: Tensor(a, requires_grad=True, name=name) for name, a in given.items()}
    h = np.tanh(X @ t["W1"] + t["b1"])
    return np.mean(np.square(h @ t["W2"] + t["b2"] - X))


def right_gradients():
    h = np.tanh(X @ W1 + b1)
    d = 2 * (h @ W2 + b2 - X) / X.size
    dz = d @ W2.T * (1 - h * h)
    return X.T @ dz, dz.sum(0), h.T @ d, d.sum(0)


def test_parts_that_are_kept_under_the_name_of_a_gradient_are_not_what_is_given_back():
    def in_parts():
        dW1, db1, dW2, db2 = right_gradients()
        parts = {"dW1": 3 * dW1, "dW2": 3 * dW2}
        return [parts["dW2"] / 3, db2, parts["dW1"] / 3, db1]

    report = compare_backprop(two_layers(), backprop=in_parts)
    assert report.ok, report


def swapped():
    dW1, db1, dW2, db2 = right_gradients()
    return {"W1": dW2, "b1": db1, "W2": dW1, "b2": db2}  # swapped


def one_for_two():
    dW1, db1, dW2, _ = right_gradients()
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db1}  # one for two


def one_twice():
    dW1, db1, _, db2 = right_gradients()
    return dW1, db1, dW1, db2  # one twice, W2 is not there


def bound_again_in_a_dict():
    dW1, db1, dW2, db2 = right_gradients()
    out = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
    out["dW2"] = out["dW1"]  # bound again
    return out


def attributes_swapped():
    net = types.SimpleNamespace()
    net.dW1, net.db1, net.dW2, net.db2 = right_gradients()
    net.dW1, net.dW2 = net.dW2, net.dW1  # attributes swapped
    return "nothing"


def an_attribute_of_another():
    net = types.SimpleNamespace(W1=W1, b1=b1, W2=W2, b2=b2)
    net.dW1, net.db1, net.dW2, net.db2 = right_gradients()
    net.db1 = net.db2  # the attribute of another
    return net


def variables_crossed():
    dW2, db1, dW1, db2 = right_gradients()  # variables crossed
    return f"nothing {dW2} {db1} {dW1} {db2}"


def kept_in_a_method():
    class Net:
        def backward(self):
            dW1, db1, dW2, db2 = right_gradients()
            self.grads = {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
            self.grads["b1"] = self.grads["b2"]  # kept in a method

    n = Net()
    n.backward()


@pytest.mark.parametrize(
    ("code", "line", "reasons"),
    [
        (swapped, "# swapped", {"G_W2": "G_W1", "G_W1": "G_W2"}),
        (one_for_two, "# one for two", {"G_b2": "G_b1"}),
        (one_twice, "# one twice", {"G_W2": "G_W1"}),
        (bound_again_in_a_dict, "# bound again", {"G_W2": "G_W1"}),
        (attributes_swapped, "# attributes swapped", {"G_W2": "G_W1", "G_W1": "G_W2"}),
        (an_attribute_of_another, "# the attribute of another", {"G_b1": "G_b2"}),
        (variables_crossed, "# variables crossed", {"G_W2": "G_W1", "G_W1": "G_W2"}),
        (kept_in_a_method, "# kept in a method", {"G_b1": "G_b2"}),
    ],
)
def test_what_is_handed_back_is_judged_by_its_place(code, line, reasons):
    report = compare_backprop(two_layers(), backprop=code)
    wrong = {s.name: s.reason for s in report.steps if s.verdict == "wrong"}
    assert wrong == {g: f"these are the numbers of {other}" for g, other in reasons.items()}
    rows = pathlib.Path(__file__).read_text(encoding="utf-8").splitlines()
    assert line in rows[report.first_wrong.where.line - 1], report


def updated():
    dW1, db1, dW2, db2 = right_gradients()
    return W1 - 0.1 * dW1, b1 - 0.1 * db1, W2 - 0.1 * dW2, b2 - 0.1 * db2


def in_a_row():
    return np.concatenate([a.ravel() for a in right_gradients()])


def odd_names():
    db1, dW1, dh, dx = right_gradients()
    return db1, dW1, dh, dx


def in_lists():
    dW1, db1, dW2, db2 = right_gradients()
    return [dW1, dW2], [db1, db2]


def all_in_an_object():
    net = types.SimpleNamespace(W1=W1, b1=b1, W2=W2, b2=b2, m={})
    net.dW1, net.db1, net.dW2, net.db2 = right_gradients()
    for name in ("W1", "b1", "W2", "b2"):
        net.m[name] = 0.1 * getattr(net, f"d{name}")
    return net


def new_parameters_and_gradients():
    grads = dict(zip(("W1", "b1", "W2", "b2"), right_gradients()))
    params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
    return {k: params[k] - 0.1 * np.sign(g) for k, g in grads.items()}, grads


def as_matrices():
    dW1, db1, dW2, db2 = right_gradients()
    return np.vstack([dW1, db1]), np.vstack([dW2, db2])


def with_moments():
    grads = dict(zip(("W1", "b1", "W2", "b2"), right_gradients()))
    m = {k: 0.1 * g for k, g in grads.items()}
    v = {k: 0.001 * g * g for k, g in grads.items()}
    params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
    return {k: params[k] - m[k] / (np.sqrt(v[k]) + 1e-8) for k in params}, m, v


BEFORE = right_gradients()


@pytest.mark.parametrize(
    "code",
    [
        right_gradients,
        updated,
        in_a_row,
        odd_names,
        in_lists,
        all_in_an_object,
        new_parameters_and_gradients,
        as_matrices,
        with_moments,
        lambda: right_gradients()[::-1],
        lambda: BEFORE,
        lambda: dict(zip(("dW1", "db1", "dW2", "db2"), BEFORE)),
    ],
)
def test_right_gradients_are_right_however_they_are_handed_back(code):
    report = compare_backprop(two_layers(), backprop=code)
    assert report.ok, report


def test_a_leaf_that_a_returned_dict_lacks_is_missing():
    def code():
        dW1, db1, dW2, _ = right_gradients()
        return {"W1": dW1, "b1": db1, "W2": dW2}

    report = compare_backprop(two_layers(), backprop=code)
    assert not report.ok
    assert report.missing == ["b2"]
    assert report.note == "what was returned lacks the gradient of b2"


def test_what_was_returned_and_not_judged_is_said():
    def ascent():
        dW1, db1, dW2, db2 = right_gradients()
        return W1 + 0.1 * dW1, b1 + 0.1 * db1, W2 + 0.1 * dW2, b2 + 0.1 * db2

    report = compare_backprop(two_layers(), backprop=ascent)
    assert not report.ok, report
    assert "Note: what was returned was not judged: returned value[0]" in str(report)
    assert "are right." not in str(report)


@pytest.mark.parametrize("order", ["W2 b2 W1 b1", "b1 W1 W2 b2", "W1 b1 W2 b2"])
def test_a_row_of_all_gradients_is_judged_by_its_parts(order):
    sizes = {"W1": W1.size, "b1": b1.size, "W2": W2.size, "b2": b2.size}

    def a_row(factors):
        found = dict(zip(sizes, right_gradients()))
        return np.concatenate([found[k].ravel() * factors.get(k, 1) for k in order.split()])

    for factors in ({"W2": -3}, {"W1": -3, "b1": -3, "W2": -3, "b2": -3}, {"b1": 2, "b2": 5}):
        report = compare_backprop(two_layers(), backprop=functools.partial(a_row, factors))
        assert not report.ok, report
        wrong = {s.name.removeprefix("G_") for s in report.steps if s.verdict == "wrong"}
        assert wrong == {*factors}, report
        for step in report.steps:
            name = step.name.removeprefix("G_")
            if name in factors:
                start = sum(sizes[k] for k in order.split()[: order.split().index(name)])
                assert step.variable.endswith(f"[{start}:{start + sizes[name]}]"), report
                assert step.where.text.startswith("return np.concatenate")
        assert "are right." not in str(report)


def twice_too_large():
    return {"w": 2 * X.T @ (X @ W - Y) * 2 / 3}


def in_a_thread():
    out = {}
    thread = threading.Thread(target=lambda: out.update(twice_too_large()))
    thread.start()
    thread.join()
    return out


def no_trace():
    before = sys.gettrace()
    sys.settrace(None)
    found = twice_too_large()
    sys.settrace(before)
    return found


CACHED = functools.cache(twice_too_large)
CACHED()


@pytest.mark.parametrize("code", [in_a_thread, no_trace, CACHED])
def test_gradients_that_nobody_saw_being_made_are_judged(code):
    report = compare_backprop(linear(), backprop=code)
    assert [(s.name, s.verdict) for s in report.steps] == [("G_w", "wrong")]
    assert report.first_wrong.reason == "2 times too large everywhere: a factor 2 too much"
    if code is CACHED:
        assert report.first_wrong.where is None
        assert "you have" not in str(report)
        assert report.rows()[1][-1] == "-"


def test_an_empty_report_says_why():
    w = Tensor(W, requires_grad=True, name="w")
    loss = np.mean(np.square(X @ w - Y))

    def returned_tensors():
        return {"w": X.T @ (X @ w - Y)}

    def tensors():
        dw = X.T @ (X @ w - Y)  # noqa: F841

    async def coroutine():
        return X

    def generator():
        yield X

    class Net:
        pass

    def notes(code, names=None):
        report = compare_backprop(loss, names, backprop=code)
        assert not report.ok
        assert report.steps == []
        assert f"Note: {report.note}." in str(report)
        return report.note

    assert notes(returned_tensors) == "your code computed with Tensors: hand it w.numpy()"
    assert notes(tensors) == "your code computed with Tensors: hand it w.numpy()"
    cell = "d = X @ w - Y\ndw = X.T @ d\n"
    assert notes(cell, {"X": X, "w": w, "Y": Y}).startswith("your code computed with Tensors")
    assert "a coroutine" in notes(coroutine)
    assert "a generator" in notes(generator)
    assert "Net is a class" in notes(Net)
    assert "only defines functions" in notes("def backward():\n    return 1.0\n")
    assert notes(lambda: None).startswith("the code gave nothing back")


def test_a_bias_without_its_axis_hides_nothing():
    loss = two_layers(row=True)
    # The biases of the code are seen with an axis, as the graph has them.
    report = compare_backprop(loss, backprop=lambda: with_rows(2))
    assert report.first_wrong.name == "G_W1", report
    verdicts = {s.name: s.verdict for s in report.steps}
    assert verdicts["G_b1"] == verdicts["G_b2"] == "right, by convention"
    report = compare_backprop(loss, backprop=lambda: with_rows(1))
    assert report.ok, report
    with pytest.raises(GradientError, match='convention="bias-shape"'):
        report.raise_if_wrong()


ROWS_OF_BIASES = b1[None], b2[None]


def with_rows(factor):
    h = np.tanh(X @ W1 + ROWS_OF_BIASES[0])
    d = 2 * (h @ W2 + ROWS_OF_BIASES[1] - X) / X.size
    dz = d @ W2.T * (1 - h * h)
    return factor * X.T @ dz, dz.sum(0), h.T @ d, d.sum(0)


def test_what_is_kept_under_a_leafs_name_may_be_a_part_of_what_is_given_back():
    """Each sample's own gradient in an attribute, their sum given back in a tuple."""
    rng = np.random.default_rng(5)
    x, y, w = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=3)
    weight = Tensor(w, requires_grad=True, name="w")
    loss = np.mean(np.square(x @ weight - y))

    class Layer:
        def backward(self):
            total = np.zeros(3)
            for i in range(4):
                self.dw = 2 * (x[i] @ w - y[i]) * x[i] / 4
                total = total + self.dw
            return (total,)

    report = compare_backprop(loss, {"w": weight}, backprop=Layer().backward)
    assert report.ok, report


def test_one_number_more_or_less_is_no_scale_of_the_chain():
    """ds is 7 times what it is at one place and right at another: the sum of it that is right decides."""
    rng = np.random.default_rng(7)
    x, labels = rng.normal(size=(7, 4)), rng.integers(0, 3, 7)
    shapes = {"W1": (4, 5), "b1": (1, 5), "W2": (5, 3), "b2": (1, 3)}
    w = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    t = {name: Tensor(data, requires_grad=True, name=name) for name, data in w.items()}
    z = np.maximum(0, x @ t["W1"] + t["b1"]) @ t["W2"] + t["b2"]
    loss = softmax_cross_entropy(z, labels).mean()

    def backward():
        z1 = x @ w["W1"] + w["b1"]
        a1 = np.maximum(0, z1)
        s = a1 @ w["W2"] + w["b2"]
        ds = np.exp(s - s.max(axis=1, keepdims=True))
        ds = ds / ds.sum(axis=1, keepdims=True)
        ds[range(7), labels] -= 1
        ds /= 7
        dW2 = a1.T.dot(ds)
        db2 = ds.sum(0)
        dh = ds.dot(w["W2"].T)
        dh[z1 > 0] = 0
        dW1 = x.T.dot(dh)
        db1 = dh.sum(0)
        return dW1, db1, dW2, db2

    for _ in range(3):
        first = compare_backprop(loss, t, backprop=backward).first_wrong
        assert first.where.text == "dh[z1 > 0] = 0" and first.variable == "dh"
        assert first.reason.endswith("> 0 is the wrong way round")
