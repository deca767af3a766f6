"""What messages call the file of somebody's line: a cell of a notebook by its number, else the file."""

from __future__ import annotations

import linecache
import os
import re
import sys
from typing import Any

# A cell that is run under a name of ours has its number in it; IPython before 8 names cells so, too.
NUMBERED = re.compile(r"<(?:ipython-input-|In\[)(\d+)\b")
OF_CELLS = ("ipykernel_", "ipython-input-")  # in the names of the files that notebooks run


def name_of_file(file: str) -> str:
    """What to call a file: the cell that a notebook has in it, or its base name.

    >>> name_of_file("/home/ada/backprop.py")
    'backprop.py'
    """
    return cell_of(file) or os.path.basename(file) or file


def spelled_place(file: str, line: int) -> str:
    """A line as messages have it: of a cell by its number, of a file by its whole path, which
    terminals and editors open.

    >>> spelled_place("/home/ada/backprop.py", 4)
    '/home/ada/backprop.py:4'
    """
    return f"{cell_of(file) or file}:{line}"


def cell_of(file: str) -> str:
    """What a notebook calls the cell that it has in this file; empty for any other.

    For a cell the file's name says nothing to a person: a hash, in a folder for temporary files.

    >>> cell_of("<ipython-input-3-f4ac59b55a51>")
    'In[3]'
    """
    numbered = NUMBERED.match(file)
    number = int(numbered[1]) if numbered else number_of(file)
    return f"In[{number}]" if number else ""


def number_of(file: str) -> int:
    """The number of a cell, from what IPython knows of its file; 0 for what is no cell.

    IPython has a table of them from version 8 on; before, the cell with the same text is meant.
    """
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    numbers = getattr(getattr(shell, "compile", None), "_filename_map", {})
    if file in numbers or not any(part in file for part in OF_CELLS):
        return int(numbers.get(file, 0))
    cells = getattr(getattr(shell, "history_manager", None), "input_hist_parsed", [])
    text = "".join(linecache.getlines(file)).strip()
    same = [number for number, cell in enumerate(cells) if text and cell.strip() == text]
    return same[-1] if same else 0
