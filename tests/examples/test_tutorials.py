"""The tutorials run as they stand, print what stands under their cells, and are the same ones in every language."""

import re

import notebooks
import pytest

EVERY = pytest.mark.parametrize("name", notebooks.names())
# What one reads in ten minutes, code and printed lines included; of Korean, words carry their particles.
MOST_WORDS = 2_000
VARIES = "varies"  # the tag of a cell whose output is never the same twice, a time say


@pytest.mark.slow
@EVERY
def test_a_tutorial_prints_what_stands_under_its_cells(name, data_folder):
    kept, done = notebooks.read(name), notebooks.run(name)
    for cell, new in zip(notebooks.code(kept), notebooks.code(done), strict=True):
        if VARIES in cell.metadata.get("tags", []):
            continue
        before, after = [*notebooks.printed(cell)], [*notebooks.printed(new)]
        words = f"{cell.source}\n\nprints now\n\n{after}\n\nand printed\n\n{before}"
        assert [forms for forms, _ in before] == [forms for forms, _ in after], words
        for (_, text), (_, other) in zip(before, after):
            assert notebooks.same_text(text, other), words


@EVERY
@pytest.mark.parametrize("language", notebooks.LANGUAGES)
def test_a_tutorial_is_the_same_in_another_language(name, language):
    english, other = notebooks.read(name), notebooks.read(name, language)
    assert [cell.cell_type for cell in english.cells] == [cell.cell_type for cell in other.cells]
    for cell, twin in zip(notebooks.code(english), notebooks.code(other)):
        assert cell.source == twin.source
        assert cell.outputs == twin.outputs, "python tests/notebooks.py writes them anew"
    for cell, twin in zip(english.cells, other.cells):
        assert headings(cell) == headings(twin)


def headings(cell):
    """The levels of the headings in a cell of prose."""
    return re.findall(r"^#+", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else []


@EVERY
def test_a_tutorial_takes_ten_minutes_to_read(name):
    notebook = notebooks.read(name)
    texts = [cell.source for cell in notebook.cells]
    texts += [text for cell in notebooks.code(notebook) for _, text in notebooks.printed(cell)]
    assert sum(len(text.split()) for text in texts) <= MOST_WORDS


@EVERY
def test_no_cell_has_failed(name):
    """A cell that is to fail catches what it shows, so that a notebook runs through."""
    for cell in notebooks.code(notebooks.read(name)):
        assert cell.execution_count, "python tests/notebooks.py writes the outputs"
        assert not any(output.output_type == "error" for output in cell.outputs)


@pytest.mark.parametrize(
    "text, other",
    [
        ("loss 0.123", "loss 0.223"),
        ("loss 0.123", "cost 0.123"),
        ("1e-3", "2e-3"),
        ("line 7", "line 8"),
        ("0.5 is", "0.5"),
        ("-0.4", "0.4"),
    ],
)
def test_another_output_is_seen(text, other):
    assert not notebooks.same_text(text, other)


@pytest.mark.parametrize(
    "text, other", [("loss 0.123", "loss 0.124"), ("2.2e-16", "4.4e-16"), ("7 rows", "7 rows")]
)
def test_last_digits_are_no_other_output(text, other):
    assert notebooks.same_text(text, other)
