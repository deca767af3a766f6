"""The tutorials, run: `python tests/notebooks.py [NAME ...]` writes what their cells print anew, in every language."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import zmq
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

PROJECT = Path(__file__).parents[1]
EXAMPLES = PROJECT / "examples"
TUTORIALS = EXAMPLES / "tutorials"
LANGUAGES = (".ko",)  # beside English: what stands behind the names of their files
COLOURS = re.compile(r"\x1b\[[\d;]*m")
NO_FILES = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")


def names() -> list[str]:
    """The tutorials in their order, by the names of their English files without the ending."""
    return sorted(file.stem for file in TUTORIALS.glob("[0-9]_*.ipynb") if "." not in file.stem)


def file_of(name: str, language: str = "") -> Path:
    """Where a tutorial lies in a language; English where none is said."""
    return TUTORIALS / f"{name}{language}.ipynb"


def read(name: str, language: str = "") -> NotebookNode:
    """A tutorial as it stands in its file."""
    return nbformat.read(file_of(name, language), as_version=4)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    """Its cells of code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


# Running


def run(notebook: NotebookNode) -> NotebookNode:
    """A notebook after a run in a kernel of its own, in a copy of the examples: what it writes stays there.

    Raises `CellExecutionError` where a cell fails, which says the cell and its traceback.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shutil.copytree(EXAMPLES, Path(folder) / "examples", ignore=NO_FILES)
        client = NotebookClient(notebook, kernel(folder), timeout=300)
        place = Path(folder) / "examples" / "tutorials"
        client.execute(cleanup_kc=True, cwd=str(place), env=environment(folder))
    return tidied(notebook)


def kernel(folder: str) -> AsyncKernelManager:
    """A kernel of the Python that runs this, whatever else the machine calls "python3".

    It is talked to through files where the system can: over TCP it warns of being heard.
    """
    by_files = zmq.has("ipc") and len(folder) + len("/kernel-ipc-5") < zmq.IPC_PATH_MAX_LEN
    return AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # so that ipykernel says it
        connection_file=str(Path(folder) / "kernel.json"),
        transport="ipc" if by_files else "tcp",
    )


def environment(folder: str) -> dict[str, str]:
    """This project is what a kernel imports, and nobody's own IPython settings are followed."""
    path = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "IPYTHONDIR": folder}


# What is kept of a run


def tidied(notebook: NotebookNode) -> NotebookNode:
    """Without what differs from run to run and from editor to editor: times, versions, random ids."""
    shown = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": shown, "language_info": {"name": "python"}}
    notebook.nbformat_minor = 5
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
        if cell.cell_type == "code":
            cell.outputs = [as_picture(output) for output in joined(cell.outputs)]
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


def as_picture(output: NotebookNode) -> NotebookNode:
    """A picture as a picture alone: GitHub shows no SVG that stands in HTML, and prefers HTML."""
    data = output.get("data", {})
    if "image/svg+xml" in data and "<iframe" not in data.get("text/html", ""):
        data.pop("text/html", None)
    return output


def with_outputs(prose: NotebookNode, done: NotebookNode) -> NotebookNode:
    """A tutorial in another language with the outputs of the same cells."""
    for cell, other in zip(prose.cells, done.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = other.outputs, other.execution_count
            cell.metadata = other.metadata
    return tidied(prose)


def main() -> None:
    """Run the tutorials that are named, or all, and write their outputs."""
    for name in sys.argv[1:] or names():
        try:
            done = run(read(name))
        except CellExecutionError as error:
            sys.exit(f"{name}: {COLOURS.sub('', str(error))}")
        nbformat.write(done, file_of(name))
        for language in LANGUAGES:
            if file_of(name, language).exists():
                nbformat.write(with_outputs(read(name, language), done), file_of(name, language))
        print(f"{name}: {len(code(done))} cells run")


if __name__ == "__main__":
    main()
