"""The tutorials, run: `python tests/notebooks.py [NAME ...]` writes what their cells print anew, in every language."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

EXAMPLES = Path(__file__).parents[1] / "examples"
TUTORIALS = EXAMPLES / "tutorials"
LANGUAGES = ("ko",)  # beside English
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def names() -> list[str]:
    """The tutorials in their order, by the names of their English files without the ending."""
    return sorted(file.stem for file in TUTORIALS.glob("[0-9]_*.ipynb") if "." not in file.stem)


def file_of(name: str, language: str = "") -> Path:
    """Where a tutorial lies in a language; English where none is said."""
    return TUTORIALS / f"{name}{'.' * bool(language)}{language}.ipynb"


def read(name: str, language: str = "") -> NotebookNode:
    return nbformat.read(file_of(name, language), as_version=4)


def run(name: str) -> NotebookNode:
    """A tutorial after a run in a kernel of its own, in a copy of the examples: what it writes stays there."""
    notebook = read(name)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(EXAMPLES, Path(folder) / "examples")
        place = {"metadata": {"path": str(Path(folder) / "examples" / "tutorials")}}
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    return tidied(notebook)


def tidied(notebook: NotebookNode) -> NotebookNode:
    """Without what differs from run to run and from editor to editor: times, versions, random ids."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook.nbformat_minor = 5
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    return notebook


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs in which what is printed in one go is one: a kernel sends it in as many pieces as it likes."""
    done: list[NotebookNode] = []
    for output in outputs:
        before = done[-1] if done else None
        if before and output.get("name") and before.get("name") == output.name:
            before.text += output.text
        else:
            done.append(output)
    return done


def with_outputs(prose: NotebookNode, done: NotebookNode) -> NotebookNode:
    """A tutorial in another language with the outputs of the same cells."""
    for cell, other in zip(prose.cells, done.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = other.outputs, other.execution_count
            cell.metadata = other.metadata
    return tidied(prose)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: NotebookNode) -> Iterator[tuple[list[str], str]]:
    """Of each output what forms it has, and its text."""
    for output in cell.outputs:
        data = output.get("data", {})
        yield [output.output_type, *sorted(data)], output.get("text", data.get("text/plain", ""))


def same_text(text: str, other: str) -> bool:
    """The same words, and the same numbers but for their last digits, which are those of a machine."""
    if NUMBER.sub("#", text) != NUMBER.sub("#", other):
        return False
    return all(map(same_number, NUMBER.findall(text), NUMBER.findall(other)))


def same_number(text: str, other: str) -> bool:
    """Within two of the last digit that is printed, or a thousandth; both nearly nothing (1e-12) is the same."""
    decimals = len(text.partition("e")[0].partition(".")[2])
    allowed = 2 * 10**-decimals if decimals and "e" not in text else 0
    apart = abs(float(text) - float(other))
    return apart <= max(allowed, 1e-3 * abs(float(other)), 1e-12)


def main() -> None:
    for name in sys.argv[1:] or names():
        done = run(name)
        nbformat.write(done, file_of(name))
        for language in LANGUAGES:
            if file_of(name, language).exists():
                nbformat.write(with_outputs(read(name, language), done), file_of(name, language))
        print(f"{name}: {len(code(done))} cells run")


if __name__ == "__main__":
    main()
