"""The tutorials run as they stand, print what stands under their cells, and are the same ones in every language."""

import json
import sys
import tempfile

import notebook_faults as faults
import notebooks
import pytest
import zmq
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

EVERY = pytest.mark.parametrize("name", notebooks.names())
EVERY_FILE = pytest.mark.parametrize("language", ["", *notebooks.LANGUAGES])
# What one reads in ten minutes, code and printed lines included; of Korean, words carry their particles.
MOST_WORDS = 2_000
MOST_BYTES = 600_000  # what GitHub shows without being asked twice


def said(found):
    """Faults as one text, which pytest shows when there are any."""
    return "\n".join(found)


@pytest.mark.slow
@EVERY
def test_a_tutorial_prints_what_stands_under_its_cells(name, data_folder):
    kept = notebooks.read(name)
    found = said(faults.changed(kept, notebooks.run(notebooks.read(name))))
    assert not found, found


@EVERY
@pytest.mark.parametrize("language", notebooks.LANGUAGES)
def test_a_tutorial_is_the_same_in_another_language(name, language):
    found = said(faults.apart(notebooks.read(name), notebooks.read(name, language)))
    assert not found, found


@EVERY
@EVERY_FILE
def test_a_tutorial_shows_nothing_of_a_machine_and_no_cell_has_failed(name, language):
    found = said(faults.unfit(notebooks.read(name, language)))
    assert not found, found


@EVERY
@EVERY_FILE
def test_a_tutorial_begins_with_its_title(name, language):
    assert notebooks.read(name, language).cells[0].source.startswith("# ")


@EVERY
@EVERY_FILE
def test_a_tutorial_takes_ten_minutes_to_read(name, language):
    assert faults.words(notebooks.read(name, language)) <= MOST_WORDS
    assert notebooks.file_of(name, language).stat().st_size <= MOST_BYTES


@EVERY
@EVERY_FILE
def test_a_figure_in_prose_is_one_that_is_shown(name, language):
    """Or one of the table of speed, where that is linked."""
    tutorial = notebooks.read(name, language)
    table = notebooks.PROJECT / "tests" / "benchmarks" / "README.md"
    is_linked = any("tests/benchmarks/README.md" in cell.source for cell in tutorial.cells)
    found = said(faults.unshown(tutorial, table.read_text(encoding="utf-8") if is_linked else ""))
    assert not found, found


@EVERY
@EVERY_FILE
def test_what_prose_quotes_is_what_is_said(name, language):
    found = said(faults.unquoted(notebooks.read(name, language)))
    assert not found, found


# Faults are seen


def notebook(*sources, outputs=()):
    """One with a title, and these cells, each with the same outputs."""
    cells = [new_code_cell(s, execution_count=1, outputs=[*outputs]) for s in sources]
    return new_notebook(cells=[new_markdown_cell("# A title"), *cells])


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


@pytest.mark.parametrize(
    "before, after, words",
    [
        ([stream("a 1\nloss 0.123\n")], [stream("a 1\nloss 0.223\n")], "line 2\n    loss 0.223"),
        ([stream("a\nb\n")], [stream("a\n")], "line 2\n    None\ninstead of\n    b"),
        ([stream("a\n")], [], "gives nothing instead of stream"),
        ([], [stream("a\n")], "gives stream instead of nothing"),
        ([new_output("display_data", {"image/svg+xml": ""})], [stream("a")], "gives stream"),
    ],
)
def test_another_output_is_said_with_its_line(before, after, words):
    (found,) = faults.changed(notebook("f()", outputs=before), notebook("f()", outputs=after))
    assert found.startswith("cell [1] 'f()' now ") and words in found


def picture(*texts):
    svg = "<svg>" + "".join(f"<text x='1'>{text}</text>" for text in texts) + "</svg>"
    return new_output("display_data", {"image/svg+xml": svg, "text/plain": "a tree"})


def test_another_word_in_a_picture_is_seen_and_another_place_is_not():
    kept = notebook("draw(x)", outputs=[picture("x @ W", "|grad| 0.12")])
    (found,) = faults.changed(kept, notebook("draw(x)", outputs=[picture("x @ V", "|grad| 0.12")]))
    assert found.startswith("cell [1] 'draw(x)' in its picture now prints") and "V" in found
    assert [*faults.changed(kept, notebook("draw(x)", outputs=[picture("|grad| 0.13", "x @ W")]))]
    moved = notebook("draw(x)", outputs=[picture("|grad| 0.12", "x @ W")])
    assert not [*faults.changed(kept, moved)]


def test_a_figure_that_nothing_shows_is_seen():
    shown = notebook("loss(x)", outputs=[stream("loss 0.1234, 45.0 of 100")])
    shown.cells.append(
        new_markdown_cell("The loss is 0.12 (0.1234), 45.0. As `1e-3` and 10.0.0.1.")
    )
    assert not [*faults.unshown(shown)]
    shown.cells[-1].source = "The loss is 0.13."
    assert said(faults.unshown(shown)).startswith("0.13 stands in prose")
    assert not [*faults.unshown(shown, "| 0.13 |")]
    shown.cells[-1].source = "It has 2,753 parameters."
    assert [*faults.unshown(shown)] and not [*faults.unshown(shown, "2753 numbers")]


def test_a_quotation_of_what_nothing_says_is_seen():
    quoting = notebook("b = a + 1", outputs=[stream("G_a = G_b\nreturn G_a")])
    quoting.cells.append(
        new_markdown_cell("```text\nby hand     written\nb = a + 1   G_a = G_b\n```")
    )
    assert not [*faults.unquoted(quoting)]
    quoting.cells[-1].source = quoting.cells[-1].source.replace("G_b", "G_c")
    assert [*faults.unquoted(quoting)] == ["nothing says 'G_a = G_c'"]


def test_what_varies_is_not_compared():
    kept, done = notebook("f()", outputs=[stream("1 s")]), notebook("f()", outputs=[stream("7 s")])
    assert [*faults.changed(kept, done)]
    kept.cells[1].metadata["tags"] = [faults.VARIES]
    assert not [*faults.changed(kept, done)]


@pytest.mark.parametrize(
    "output, words",
    [
        (stream("saved: /tmp/abc/model.npz"), "a path of a machine: /tmp/abc/model.npz"),
        (stream("('/root/x.py:3')"), "a path of a machine: /root/x.py:3"),
        (stream(r"in C:\Users\x.py"), "a path of a machine"),
        (stream(f"{notebooks.PROJECT}/x"), "a path of this machine"),
        (stream("x.py:1: RuntimeWarning: divide by zero"), "a warning: RuntimeWarning: divide"),
        (stream("no file", "stderr"), "prints on stderr: no file"),
        (new_output("error", ename="TypeError", evalue="x", traceback=[]), "fails; what is to"),
        (stream("Traceback (most recent call last):"), "a traceback"),
        (stream("synthetic stand-in; figures"), "made-up data: synthetic stand-in"),
        (stream("<function f at 0x7f12ab34cd>"), "an address of an object"),
        (new_output("display_data", {"text/html": "<b>/home/me/x</b>"}), "/home/me/x"),
    ],
)
def test_an_output_of_one_machine_or_of_a_failure_is_seen(output, words):
    found = said(faults.unfit(notebook("f()", outputs=[output])))
    assert found.startswith("cell [1] 'f()' ") and words in found


def test_a_cell_that_has_not_run_is_seen():
    unrun = notebook("f()")
    unrun.cells[1].execution_count = None
    assert "has not run" in said(faults.unfit(unrun))


@pytest.mark.parametrize(
    "text",
    ["accuracy=0.557/0.812", "https://a.org/home/x", "</tmp/>", "../pictures/page.png", "7 / 5"],
)
def test_what_only_looks_like_a_path_is_none(text):
    assert not [*faults.unfit(notebook("f()", outputs=[stream(text)]))]


def planted(cells, change):
    """Two twins of which one was changed."""
    english, other = (
        notebook(*cells, outputs=[stream("1")]),
        notebook(*cells, outputs=[stream("1")]),
    )
    change(other.cells)
    return english, other


@pytest.mark.parametrize(
    "change, words",
    [
        (
            lambda cells: cells[2].update(source="b = 3"),
            "cell [2] 'b = 2' has other code there: 'b = 3'",
        ),
        (lambda cells: cells[2].outputs[0].update(text="2"), "cell [2] 'b = 2' has another output"),
        (lambda cells: cells.pop(), "cell 2 of all is code here, and missing there"),
        (lambda cells: cells.insert(1, new_markdown_cell("x")), "is code here, and markdown there"),
        (
            lambda cells: cells[0].update(source="## A title"),
            "has headings ['h1'] here, ['h2'] there",
        ),
    ],
)
def test_a_twin_that_differs_is_seen(change, words):
    assert words in said(faults.apart(*planted(["a = 1", "b = 2"], change)))
    assert not [*faults.apart(*planted(["a = 1", "b = 2"], lambda cells: None))]


@pytest.mark.parametrize(
    "text, other",
    [
        ("loss 0.123", "loss 0.223"),
        ("loss 0.123", "cost 0.123"),
        ("1e-3", "2e-3"),
        ("line 7", "line 8"),
        ("0.5 is", "0.5"),
        ("-0.4", "0.4"),
        ("relative 0.5", "relative 0.7"),
        ("0.81", "0.82"),
        ("1941 plates", "1942 plates"),
        ("0.123", "0.125"),
        ("0.557", "0.563"),
    ],
)
def test_another_text_is_seen(text, other):
    assert not faults.same_text(text, other)


@pytest.mark.parametrize(
    "text, other",
    [
        ("loss 0.123", "loss 0.124"),
        ("0.557", "0.559"),
        ("2.2e-16", "4.4e-16"),
        ("7 rows", "7 rows"),
        ("a  0        b", "a  6.9e-18  b"),
    ],
)
def test_last_digits_are_no_other_text(text, other):
    assert faults.same_text(text, other)


# The kernel


@pytest.mark.slow
def test_the_kernel_is_this_python_in_a_copy_of_the_examples(tmp_path, monkeypatch, capfd):
    """Another kernel that the machine calls python3, and settings of somebody's IPython, change nothing."""
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/no/such/python"], "display_name": "x"}), "utf-8")
    startup = tmp_path / "profile_default" / "startup" / "first.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("print('from a profile')\nnoise = 1\n", "utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    tests = ["sys.executable", "os.getcwd()", "'noise' in dir()", "tinygrad_steel.__file__"]
    done = notebooks.run(
        notebook(f"import os, sys, tinygrad_steel\nprint({', '.join(tests)}, sep='\\n')")
    )
    (output,) = done.cells[1].outputs
    assert not capfd.readouterr().err or not zmq.has("ipc")
    python, place, noise, package = output.text.splitlines()
    assert python == sys.executable and noise == "False"
    assert place.endswith("tutorials") and not place.startswith(str(notebooks.PROJECT))
    assert package.startswith(str(notebooks.PROJECT))


@pytest.mark.slow
def test_a_long_path_is_no_reason_not_to_run(tmp_path, monkeypatch):
    """Files that processes talk through have paths of a hundred characters at most."""
    long = tmp_path / ("folder" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    (output,) = notebooks.run(notebook("print(1 + 1)")).cells[1].outputs
    assert output.text == "2\n"


@pytest.mark.slow
def test_a_cell_that_fails_is_shown():
    with pytest.raises(CellExecutionError, match=r"1 / 0[\s\S]*ZeroDivisionError"):
        notebooks.run(notebook("print('before')", "1 / 0"))


def test_a_picture_is_kept_as_a_picture_and_a_page_as_a_page():
    picture = {"text/plain": "t", "image/svg+xml": "<svg/>", "text/html": "<div><svg/></div>"}
    page = picture | {"text/html": "<iframe></iframe>"}
    done = notebooks.tidied(
        notebook("draw(x)", outputs=[new_output("display_data", d) for d in (picture, page)])
    )
    kept = [sorted(output.data) for output in done.cells[1].outputs]
    assert kept == [["image/svg+xml", "text/plain"], ["image/svg+xml", "text/html", "text/plain"]]
