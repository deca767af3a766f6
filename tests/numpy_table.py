"""What becomes of each NumPy function that is given a Tensor: `examples/tutorials/numpy.md`, from the registry.

python tests/numpy_table.py        # write it anew, then read the diff
"""

from __future__ import annotations

import contextlib
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_steel import Tensor
from tinygrad_steel.engine.refusals import FILLING, INSTEAD
from tinygrad_steel.ops.op import SPELLINGS, TWINS

PAGE = Path(__file__).parents[1] / "examples" / "tutorials" / "numpy.md"
MODULES = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft}
VERSION = ".".join(np.__version__.split(".")[:2])
TITLES = {
    "gradient": "Followed, with gradients",
    "slope 0": "Followed, with slope zero: what they are computed from gets a gradient of zeros",
    "constant": "Answered with constants: positions, masks and counts, which a compiled step computes anew",
    "plain": "Answered with plain numbers and facts, noted where a loss may depend on them",
    "in place": "Refused, because they change an array in place: the error says how to make a new Tensor",
    "complex": "Refused, because they are about complex numbers",
    "refused": "Refused, because their gradient is not known: `op(..., twins=[...])` declares one",
    "no Tensor": "Take no Tensor: they make arrays from plain numbers (`np.stack` joins Tensors) or set options",
}


def functions() -> Iterator[tuple[str, Any]]:
    """NumPy's functions by the names that people write."""
    for where, module in MODULES.items():
        for name in sorted(module.__all__):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = getattr(module, name, None)
            if callable(found) and not isinstance(found, type):
                yield f"{where}.{name}", found


def kind(name: str, function: Any) -> str:
    """Which of TITLES it belongs to."""
    op = TWINS.get(function)
    if op is not None:
        return "constant" if op.constant else "slope 0" if op.jumps else "gradient"
    if function in SPELLINGS:
        return kind_of_answer(function)
    if function in FILLING:
        return "in place"
    if not isinstance(function, np.ufunc) and not hasattr(function, "_implementation"):
        return "no Tensor"
    return (
        "complex"
        if name.startswith("np.fft.") or name in ("np.linalg.eig", "np.linalg.eigvals")
        else "refused"
    )


def kind_of_answer(function: Any) -> str:
    """What a spelling answers with, found by asking it: the most that it does for any arguments that suit it."""
    found = set()
    for y in answers(function):
        found |= {*map(kind_of, y if isinstance(y, tuple | list) else [y])}
    assert found, f"{function} is not asked: add a call that suits it"
    return next(kind for kind in TITLES if kind in found)


def answers(function: Any) -> list[Any]:
    """What a spelling answers to calls of many kinds, of which some suit it."""
    t = Tensor([[2.0, 0.5, 0.1], [0.5, 3.0, 0.2], [0.1, 0.2, 4.0]], requires_grad=True)
    mask, vector, ones = t > 1, t[0], np.ones((3, 3), int)
    calls = [
        (t,),
        (t, t),
        (vector, vector),
        (mask,),
        (mask, mask),
        (t, 1),
        ("ij,jk", t, t),
        ([t, t],),
    ]
    calls += [(mask, t), (mask, t, t), (ones, [t, t]), (t, ones, 0), ([mask], [t]), (vector, 1)]
    calls += [
        (vector, ones[0].cumsum(), vector),
        (ones[0], vector),
        (t[None], 1),
        (t, 0, 1),
        (vector,),
    ]
    found = []
    for given in calls:
        with (
            contextlib.suppress(Exception),
            warnings.catch_warnings(),
        ):  # what the function does not take
            warnings.simplefilter("ignore")
            found.append(SPELLINGS[function](*given))
    return found


def kind_of(y: Any) -> str:
    """What one answer is."""
    if not isinstance(y, Tensor):
        return "plain"
    if not y.requires_grad:
        return "constant"
    return "slope 0" if y.op is not None and y.op.jumps else "gradient"


def page() -> str:
    """The whole page."""
    found: dict[str, list[str]] = {title: [] for title in TITLES}
    for name, function in functions():
        words = INSTEAD.get(function.__name__) if kind(name, function) == "refused" else None
        found[kind(name, function)].append(f"`{name}` ({words})" if words else f"`{name}`")
    lines = [
        "# NumPy's functions on Tensors",
        "",
        f"On this page you can look up what each function of NumPy {VERSION} does with a Tensor. "
        "`python tests/numpy_table.py` writes the page from the registry, and the tests check it. "
        "[reference.md](reference.md) has what each op computes, and its gradients.",
    ]
    for title, names in found.items():
        lines += ["", f"## {TITLES[title]}", "", ", ".join(names)]
    return "".join("\n".join(wrapped(line)) + "\n" for line in lines)


def wrapped(line: str) -> list[str]:
    """A line in several, or as it is where it is empty or a title."""
    if line.startswith("#"):
        return [line]
    return textwrap.wrap(line, 120, break_long_words=False, break_on_hyphens=False) or [""]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
