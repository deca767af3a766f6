"""Messages say `In[3]:4` for line 4 of the third cell, in a kernel as it runs notebooks, and never where its file is.

Which line is meant is known from the cells below.
"""

from __future__ import annotations

import linecache
import sys
import types

import notebooks
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tinygrad_steel.engine.places import cell_of, name_of_file

CELLS = {
    "start": """
        import numpy as np
        from tinygrad_steel import Tensor, compare_backprop, detect_anomaly, grade_backprop
        x, y, W = np.arange(12.0).reshape(4, 3), np.ones((4, 2)), np.ones((3, 2))
        def problem():
            t = Tensor(W, requires_grad=True, name="W")
            return np.mean(np.square(x @ t - y)), {"W": t}, (x, y, W)
        loss, names, _ = problem()
    """,
    "chain": """
        d_out = 2 * (x @ W - y) / y.size
        dW = -x.T @ d_out
    """,
    "of a cell": "print(compare_backprop(loss, globals(), backprop=In[2]))",
    "timed": """
        %%time
        d_out = 2 * (x @ W - y) / y.size

        dW = -x.T @ d_out
    """,
    "of a timed cell": "print(compare_backprop(loss, globals(), backprop=In[4]))",
    "function": """
        def backward(x, y, W):
            d_out = 2 * (x @ W - y) / y.size
            dW = -x.T @ d_out
            return dW
    """,
    "of a function": """
        report = compare_backprop(loss, names, backprop=lambda: backward(x, y, W))
        print(report, report.sources[0].called, report.first_wrong.where.line)
    """,
    "of a class": "print(grade_backprop(problem, {'Ada': backward}))",
    "read": """
        import warnings
        from tinygrad_steel import FrozenNumberWarning, write_backprop
        t = Tensor([1.0, -2.0], requires_grad=True, name="t")
        if np.sum(t) > 0:
            t = t * 2
        try:
            with warnings.catch_warnings(action="error"):  # where a warning is, Python says
                write_backprop(np.sum(t * t))
        except FrozenNumberWarning as warning:
            print(warning)
    """,
    "anomaly": """
        with detect_anomaly(), np.errstate(divide="ignore"):
            try:
                np.log(Tensor([0.0], requires_grad=True))
            except FloatingPointError as error:
                print(error)
    """,
}


@pytest.fixture(scope="module")
def printed():
    """What each cell prints in a kernel, by its name."""
    cells = [new_code_cell(cell_text(text)) for text in CELLS.values()]
    done = notebooks.run(new_notebook(cells=cells))
    texts = ("".join(output.get("text", "") for output in cell.outputs) for cell in done.cells)
    return dict(zip(CELLS, texts, strict=True))


def cell_text(text):
    return "\n".join(line.removeprefix(" " * 8) for line in text.strip("\n ").splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "place"),
    [
        ("of a cell", "dW = -x.T @ d_out   (In[2]:2)"),
        ("of a timed cell", "dW = -x.T @ d_out   (In[4]:4)"),
        ("of a function", "dW = -x.T @ d_out   (In[6]:3, in backward)"),
        ("of a function", " In[6] 3"),
        ("of a class", " In[6]:3 "),
        ("read", "was read as a condition (if, while, and) at In[9]:4:"),
        ("anomaly", "at In[10]:3, in <module>: np.log(Tensor([0.0], requires_grad=True))"),
    ],
)
def test_a_place_is_a_line_of_a_cell(printed, cell, place):
    assert place in printed[cell]


@pytest.mark.slow
def test_no_message_says_where_the_file_of_a_cell_is(printed):
    assert "ipykernel" not in "".join(printed.values())


FILE = "/tmp/ipykernel_1/7.py"


@pytest.fixture
def shell(monkeypatch):
    """IPython as it is from version 8 on, with a third cell."""
    shell = types.SimpleNamespace(compile=types.SimpleNamespace(_filename_map={FILE: 3}))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    return shell


def test_a_cell_goes_by_its_number_and_other_files_by_their_names(shell):
    assert name_of_file(FILE) == "In[3]"
    assert name_of_file("/tmp/ipykernel_1/8.py") == "8.py"
    assert name_of_file("/home/ada/7.py") == "7.py"
    assert name_of_file("") == ""


def test_before_version_8_a_cell_is_known_by_its_text_run_last(shell, monkeypatch):
    del shell.compile._filename_map
    cells = ["", "a = 1\n", "b = 2\n", "a = 1\n"]
    shell.history_manager = types.SimpleNamespace(input_hist_parsed=cells)
    monkeypatch.setitem(linecache.cache, FILE, (6, None, ["a = 1\n"], FILE))
    assert cell_of(FILE) == "In[3]"
    monkeypatch.setitem(linecache.cache, FILE, (6, None, ["c = 3\n"], FILE))
    assert cell_of(FILE) == ""


@pytest.mark.parametrize(
    ("file", "cell"),
    [
        ("<ipython-input-12-f4ac59b55a51>", "In[12]"),
        ("<In[4]>", "In[4]"),
        ("<stdin>", ""),
        ("<cell 4>", ""),
    ],
)
def test_a_name_with_a_number_says_it(file, cell):
    assert cell_of(file) == cell
