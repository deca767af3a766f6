"""The house on one page (`tinygrad_steel/README.md`) names what there is, all of it, where it is."""

import re
from pathlib import Path

import pytest
from helpers import code_lines

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "tinygrad_steel"
TEXT = (HOUSE / "README.md").read_text(encoding="utf-8")
FILES = [f for f in HOUSE.rglob("*.*") if f.suffix in (".py", ".js", ".css", ".html")]
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ")]
FILE = re.compile(r"[\w./*]+\.(?:py|js|css|md)")
TABLE = re.compile(r"[A-Z]{4,}")  # MEANING, WRITTEN: tables in a file of the same row
CELLS = re.compile(r"`([^`]+)`")


def files_of(row):
    """The files that a row names, as paths; what stands in a folder that it names may go without it."""
    folders = [HOUSE, ROOT, *(HOUSE / name for name in CELLS.findall(row) if name.endswith("/"))]
    for name in (name for cell in CELLS.findall(row) for name in FILE.findall(cell)):
        found = [file for folder in folders for file in folder.glob(name)]
        yield name, found


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_names_exists(row):
    files = []
    for name, found in files_of(row):
        assert found, f"there is no {name}"
        files += found
    for folder in CELLS.findall(row):
        assert not folder.endswith("/") or (HOUSE / folder).is_dir()
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    for name in CELLS.findall(row):
        if TABLE.fullmatch(name):
            assert re.search(rf"^(const )?{name}\b.*=", code, re.MULTILINE), f"there is no {name}"


def test_what_the_text_names_exists():
    text = "\n".join(line for line in TEXT.splitlines() if not line.startswith("| "))
    page = HOUSE / "picture" / "page"
    for name in (name for cell in CELLS.findall(text) for name in FILE.findall(cell)):
        folders = (HOUSE, ROOT, page, page / "browser")
        assert any(any(folder.glob(name)) for folder in folders), f"there is no {name}"


def test_every_file_has_its_row():
    """Those of the rooms that are named as a whole say in their first lines what they are for."""
    named = {file for row in ROWS for _, found in files_of(row) for file in found}
    lost = {f for f in FILES if f not in named and f.name != "__init__.py"}
    as_a_whole = {"ops/", "verify/", "verify/faults/", "picture/page/browser/"}
    assert {f"{f.parent.relative_to(HOUSE).as_posix()}/" for f in lost} <= as_a_whole, lost
    assert all(f"`{room}`" in TEXT for room in as_a_whole)


def test_the_rooms_are_as_large_as_it_says():
    sizes = re.findall(r"^\| `(\w+)/` \| ([\d,]+) \|", TEXT, re.MULTILINE)
    assert {room for room, _ in sizes} == {
        f.name for f in HOUSE.iterdir() if (f / "__init__.py").exists()
    }
    for room, said in sizes:
        lines = sum(code_lines(f.read_text(encoding="utf-8")) for f in (HOUSE / room).rglob("*.py"))
        about = int(said.replace(",", ""))
        assert abs(lines - about) <= max(50, 0.1 * about), f"{room}: {lines} lines of code"
