"""What pages, reports and pictures look like today: any change of a text shows in a diff of tests/golden/frozen.

    python tests/frozen.py        # write them anew, then read the diff

The graphs are the examples' and random programs; what is right about them is tested elsewhere, this is about words.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import chains
import gallery
import numpy as np
import programs

from tinygrad_steel import BroadcastWarning, Tensor, compare_backprop, draw, write_backprop

FOLDER = Path(__file__).parent / "golden" / "frozen"
TINY = re.compile(
    r"-?\b\d(\.\d+)?e-(1[5-9]|[2-9]\d)\b"
)  # what is left of a sum that cancels differs by machine, and is 0 on some
LONG = re.compile(r"\d+\.\d{12,}")  # and so do the last digits of a constant that was computed
PAGES, REPORTS, PICTURES = 50, 100, 14  # and six of the gallery's


def random_loss(seed: int) -> Tensor:
    """The loss of a random program, whose leaves have names."""
    program = programs.Program(seed)
    leaves = (Tensor(program.data[name], requires_grad=True, name=name) for name in program.leaves)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BroadcastWarning)
        return program.run(programs.LIBRARY, *leaves)


def pages() -> Iterator[tuple[str, str]]:
    """Written sources."""
    for seed in range(PAGES):
        yield f"random program {seed}", write_backprop(random_loss(seed))


def reports() -> Iterator[tuple[str, str]]:
    """What is said of chains with a planted fault, less the figures, which rounding may change."""
    cases = [
        (*place, fault, wrong)
        for place, faults in chains.FAULTS.items()
        for fault, wrong in faults.items()
    ]
    for name, step, fault, wrong in cases[:REPORTS]:
        loss, names, steps = chains.problem(name)
        report = compare_backprop(loss, names, **chains.chain(names, steps, {step: wrong}))
        rows = ("  ".join((row[0], row[1], row[-1])) for row in report.rows())
        yield f"{name}, {step}: {fault}", "\n".join([*rows, *report.summary()]) + "\n"


def pictures() -> Iterator[tuple[str, str]]:
    """Pictures as DOT: forward, backward, both."""
    for graph in (gallery.steel, gallery.mlp):
        for view in ("forward", "backward", "both"):
            yield f"{graph.__name__}, {view}", draw(graph(), view=view).source
    short = sorted(range(200), key=lambda seed: len(programs.Program(seed).lines))
    for seed in short[:PICTURES]:
        yield f"random program {seed}", draw(random_loss(seed), view="both").source


KINDS = {"pages.txt": pages, "reports.txt": reports, "pictures.txt": pictures}


def text(file: str) -> str:
    """All texts of a kind, one after the other."""
    with np.errstate(all="ignore"):
        parts = (f"=== {title}\n{body}" for title, body in KINDS[file]())
        return LONG.sub(lambda found: f"{float(found[0]):.10g}", TINY.sub("0", "\n".join(parts)))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for file in KINDS:
        (FOLDER / file).write_text(text(file), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
