"""The sources of data and formulas are named on one page and in the code alike; CITATION.cff says what is so."""

import configparser
import re

import pytest
import yaml  # Dask brings it
from documents import ROOT, tables

import tinygrad_steel

PAGE = "examples/tutorials/sources.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
ROWS = [row for table in tables(PAGE) for row in table.rows]  # a source, and where it is used
NUMBER = re.compile(r"\b10\.\d{4,5}/[\w./()-]*\w|arXiv:\d{4}\.\d{4,5}")  # a DOI, or one of arXiv's


def files_of(row):
    return [ROOT / name for name in re.findall(r"`((?:examples|tinygrad_steel)/[\w/]+\.py)`", row)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_source_names_a_file_which_names_it_back(row):
    (word,) = re.findall(r"\*\*(.+?)\*\*", " ".join(row))
    files = files_of(row[1])
    assert files
    for file in files:
        assert re.search(rf"\b{re.escape(word)}\b", file.read_text(encoding="utf-8")), (file, word)


def test_every_number_of_a_paper_or_data_set_is_on_the_page():
    known = {*NUMBER.findall(TEXT)}
    assert len(known) > 15
    for folder in ("tinygrad_steel", "examples"):
        for file in (ROOT / folder).rglob("*.py"):
            strange = {*NUMBER.findall(file.read_text(encoding="utf-8"))} - known
            assert not strange, f"{file} has {strange}, which sources.md has not"


CITED = re.compile(
    r"([A-Z][a-z]+)(?: et al\.|,? and (?:[A-Z]\. ?)*[A-Z][a-z]+),? \(?((?:19|20)\d\d)\b"
)


def test_whoever_is_cited_in_the_code_is_on_the_page():
    """`Kingma and Ba, 2015`, `He et al., 2015`, `G. H. Golub and V. Pereyra (1973)`."""
    found = set()
    for folder in ("tinygrad_steel", "examples"):
        for file in (ROOT / folder).rglob("*.py"):
            found |= {*CITED.findall(file.read_text(encoding="utf-8"))}
    assert len(found) >= 6
    for name, year in found:
        assert re.search(rf"\b{name}\b.*{year}", TEXT), f"{name}, {year}, is not in sources.md"


def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_agrees_with_the_package():
    cff = citation()
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    metadata = setup["metadata"]
    assert cff["title"] == metadata["name"]
    assert cff["version"] == tinygrad_steel.__version__
    assert cff["license"] == metadata["license"]
    (author,) = cff["authors"]
    assert author["name"] in (ROOT / "LICENSE").read_text(encoding="utf-8")
    # What the format needs at least, and no date of a release that has not been.
    assert {"cff-version", "message", "authors", "title"} <= {*cff}
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert ("date-released" in cff) == (f"{cff['version']}, not released yet" not in changes)


def test_the_citation_has_the_data_sets_as_the_page_has_them():
    for data in citation()["references"]:
        (row,) = [row for row, _ in ROWS if data["doi"] in row]
        assert f"*{data['title']}*, {data['year']}" in row
        assert all(author["family-names"] in row for author in data["authors"])
        assert data["license"] == "CC-BY-4.0"
        assert "CC BY 4.0" in " ".join(TEXT.split())
