"""The documents: one first page in two languages, links that lead somewhere, commands and code that are run."""

from __future__ import annotations

import ast
import configparser
import functools
import importlib
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from documents import (
    ROOT,
    code_blocks,
    documents,
    headings,
    links,
    paragraphs,
    pictures,
    tables,
    tokens,
)

import tinygrad_steel
from tinygrad_steel import Tensor

ENGLISH, KOREAN = "README.md", "README.ko.md"
# A screen of a phone. Korean is counted in letters, as its words carry their particles: some three make one of English.
MOST_WORDS, MOST_LETTERS = 90, 260
SCRIPT = re.compile(r"(?<![\w/.-])((?:examples|tests)/[\w/]+\.py)([^\n`&|>]*)")
OPTION = re.compile(r"(?<!\S)--[a-z][\w-]*")
FILE = re.compile(r"(?<![\w/.-])(?:tests|examples|tinygrad_steel|\.ci)/[\w/.*]*\w")


# The first page in both languages


def test_both_languages_have_the_same_sections():
    assert [h.level for h in headings(ENGLISH)] == [h.level for h in headings(KOREAN)]


def test_both_languages_have_the_same_code_and_the_same_pictures():
    assert code_blocks(ENGLISH) == code_blocks(KOREAN)
    assert pictures(ENGLISH) == pictures(KOREAN)


def test_both_languages_have_the_same_figures():
    assert figures(ENGLISH) == figures(KOREAN)


def figures(name: str) -> list[list[list[list[str]]]]:
    """The numbers in each cell of each row of each table."""
    number = re.compile(r"\d[\d.,]*")
    return [
        [[number.findall(cell) for cell in row] for row in [table.head, *table.rows]]
        for table in tables(name)
    ]


def test_both_languages_lead_to_the_same_pages():
    english, korean = (
        [re.sub(r"\.ko(?=\.)", "", link.partition("#")[0]) for link in links(page)]
        for page in (ENGLISH, KOREAN)
    )
    assert english == korean
    assert KOREAN in links(ENGLISH)[:1] and ENGLISH in links(KOREAN)[:1]


def test_no_paragraph_of_the_first_page_fills_a_screen():
    for text in paragraphs(ENGLISH):
        assert len(text.split()) <= MOST_WORDS, text
    for text in paragraphs(KOREAN):
        assert len("".join(text.split())) <= MOST_LETTERS, text


# Every document


@pytest.mark.parametrize("name", documents())
def test_links_lead_to_what_there_is(name):
    assert [link for link in links(name) + pictures(name) if not leads_somewhere(link, name)] == []


def leads_somewhere(link: str, name: str) -> bool:
    """Whether a link of this document leads to a file and a heading that there are, or elsewhere on the web."""
    if re.match(r"[a-z][a-z+.-]*:", link):
        return True
    path, _, anchor = unquote(link).partition("#")
    place = (ROOT / name).parent.joinpath(path).resolve() if path else ROOT / name
    if not anchor or place.suffix not in (".md", ".ipynb"):
        return place.exists()
    target = place.relative_to(ROOT).as_posix()
    return place.exists() and anchor.lower() in {slug(h.text) for h in headings(target)}


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", documents())
def test_files_that_code_names_are_there(name):
    named = {file for text in texts_of_code(name) for file in FILE.findall(text)}
    assert [file for file in named if not any(ROOT.glob(file))] == []


@pytest.mark.parametrize("name", documents())
def test_commands_have_options_that_there_are(name):
    for script, rest in commands(name):
        unknown = {*OPTION.findall(rest)} - known_options(ROOT / script)
        assert not unknown, f"{script} does not know {unknown}"


def commands(name: str) -> Iterator[tuple[str, str]]:
    """Each script that code in the document names, and what stands behind it on its line."""
    for text in texts_of_code(name):
        yield from SCRIPT.findall(text.replace("\\\n", " "))


def texts_of_code(name: str) -> Iterator[str]:
    """All that a document has as code, in blocks and in sentences."""
    return (t.content for t in tokens(name) if t.type in ("fence", "code_inline"))


ANY_FILE = re.compile(r"[\w./\\*-]+\.(?:py|md|ipynb|js|css|cfg|toml|cff)\b")
TO_BE_WRITTEN = {"first.py"}  # by who reads the page
OF_OTHERS = {"--dist", "--strict"}  # pytest's and mypy's


@functools.cache
def files() -> frozenset[str]:
    """The names of all files of the project."""
    places = [
        p
        for folder in ("examples", "tests", "tinygrad_steel", ".ci")
        for p in (ROOT / folder).rglob("*")
    ]
    return frozenset(p.name for p in [*places, *ROOT.iterdir()] if "__pycache__" not in p.parts)


@functools.cache
def all_options() -> frozenset[str]:
    """The options of all scripts."""
    scripts = [*(ROOT / "examples").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    return frozenset().union(*map(known_options, scripts))


@pytest.mark.parametrize("name", documents())
def test_files_in_code_are_there_and_options_are_some_script_s(name):
    """Also where they stand without the script, or with the slashes of Windows."""
    assert strange_files([*texts_of_code(name)]) == []
    found = {option for code in texts_of_code(name) for option in OPTION.findall(code)}
    assert found <= all_options() | OF_OTHERS


def strange_files(code: list[str]) -> list[str]:
    """Names of files that nobody has and nobody is told to write."""
    named = {re.split(r"[/\\]", file)[-1] for text in code for file in ANY_FILE.findall(text)}
    return sorted(n for n in named - TO_BE_WRITTEN if not any(fnmatch(f, n) for f in files()))


# What stands in code of documents, and is a name of the book's or of another library's.
NAMES_OF_OTHERS = {"G_hap", "bcn_from", "bcn_to", "l1_decay", "l2_decay", "norm_x", "output_flat"}
NAMES_OF_OTHERS |= {"train_step", "update_param", "g_y_x", "log_ndtr"}
# Their tables have the words of others, and are run or tried.
TABLES_OF_OTHERS = ("from_torch_and_jax.md", "from_torch_and_jax.ko.md")


@functools.cache
def known_names() -> frozenset[str]:
    """All words in the project's code, and the names of NumPy."""
    found = {word for file in files() for word in NAME.findall(file)}
    for folder in ("examples", "tests", "tinygrad_steel", ".ci"):
        for place in (ROOT / folder).rglob("*"):
            if place.suffix in (".py", ".js", ".css", ".html", ".toml") or place.name == "run":
                found |= {*NAME.findall(place.read_text(encoding="utf-8"))}
    found |= {*NAME.findall((ROOT / "setup.cfg").read_text(encoding="utf-8"))}
    for module in (np, np.linalg, np.fft, np.random, np.ndarray):
        found |= {*dir(module)}
    return frozenset(found)


NAME = re.compile(r"[A-Za-z_]\w{2,}[A-Za-z\d]")


@pytest.mark.parametrize("name", [n for n in documents() if not n.endswith(TABLES_OF_OTHERS)])
def test_names_in_a_line_s_code_are_in_some_code(name):
    """Such as `compare_backprop` in prose: of the project's, or of the document's own pieces and cells."""
    text = (ROOT / name).read_text(encoding="utf-8")
    cells = json.loads(text)["cells"] if name.endswith(".ipynb") else []
    own = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    own += [json.dumps(cell["outputs"]) for cell in cells if cell["cell_type"] == "code"]
    own += [content for _, content in code_blocks(name)]
    known = {word for piece in own for word in NAME.findall(piece)} | NAMES_OF_OTHERS
    said = [t.content for t in tokens(name) if t.type == "code_inline"]
    found = {word for code in said for word in NAME.findall(code)}
    assert found - known <= known_names(), sorted(found - known - known_names())


def test_a_strange_file_is_seen():
    assert strange_files(
        [r".venv\Scripts\python examples\steell.py", "`steel.py`", "table_*.py"]
    ) == ["steell.py"]


def test_the_data_sets_are_as_large_as_the_pages_say(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    datasets = importlib.import_module("datasets")
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for name, table in datasets.TABLES.items():
        (row,) = re.findall(rf"^\| `{name}.py` \| (\d+) \w+, (\d+) inputs", page, re.MULTILINE)
        made = datasets.stand_in(name, "")
        assert (int(row[0]), int(row[1])) == (table.rows, made.x.shape[1]) == made.x.shape
    for first in (ENGLISH, KOREAN):
        text = (ROOT / first).read_text(encoding="utf-8")
        assert re.findall(r"\b\d{4}(?= steel plates|장)", text) == [
            str(datasets.TABLES["steel"].rows)
        ]


@functools.cache
def known_options(script: Path) -> frozenset[str]:
    """Words such as --seed that stand in a script or in a file beside it that it imports, one way or another."""
    found: set[str] = set()
    todo, done = [script], set()
    while todo:
        file = todo.pop()
        if file in done or not file.is_file():
            continue
        done.add(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and OPTION.fullmatch(str(node.value)):
                found.add(node.value)
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            todo += [p / f"{n}.py" for n in names if n for p in (file.parent, ROOT / "examples")]
    return frozenset(found)


# Code


def sessions(name: str) -> list[str]:
    """Python that is typed in, with what it prints."""
    return [code for _, code in code_blocks(name, "python") if ">>>" in code]


def pieces(name: str) -> list[str]:
    """Python without prompts."""
    return [code for _, code in code_blocks(name, "python") if ">>>" not in code]


@pytest.mark.parametrize("name", [n for n in documents() if n.endswith(".md")])
def test_what_is_typed_in_is_run_by_pytest(name):
    assert not sessions(name) or collected(Path(name))
    assert not any("+SKIP" in code for code in sessions(name))


def collected(file: Path) -> bool:
    """Whether pytest, without arguments, comes to this file."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    places = map(Path, settings["tool:pytest"]["testpaths"].split())
    left_out = settings["tool:pytest"]["norecursedirs"].split()
    ways = (file.relative_to(p).parts[:-1] for p in places if file.is_relative_to(p))
    return any(not any(fnmatch(d, skip) for d in way for skip in left_out) for way in ways)


# Whose pieces test_readme.py, test_contributing.py and test_reference.py run
RUN_ELSEWHERE = (ENGLISH, KOREAN, "CONTRIBUTING.md", "examples/tutorials/reference.md")


@pytest.mark.parametrize("name", [n for n in documents() if n not in RUN_ELSEWHERE])
def test_a_piece_by_itself_runs_where_its_names_are_known(name):
    for code in pieces(name):
        x, y = Tensor(np.ones((4, 3)), name="x"), Tensor(np.zeros((4, 2)), name="y")
        weight = Tensor(np.ones((3, 2)), requires_grad=True, name="weight")
        exec(code, vars(tinygrad_steel) | {"np": np, "x": x, "weight": weight, "y": y})
