"""Loops of one form over arrays that lie side by side in the block, as an optimizer's do: one loop.

It takes the same turns in the same order.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LOOP = re.compile(r"for k in range\((\d+)\):")
ELEMENT = re.compile(r"m\[@(\d+) \+ k\]")
WRITTEN = re.compile(r" *m\[@(\d+) \+ k\] = ")
NUMBER = re.compile(r"m\[@(\d+)\]")


class Run(NamedTuple):
    """One loop over arrays of `length` elements: where they begin, and its lines without these.

    `start`: what stands before it, where single numbers are read.
    """

    start: tuple[str, ...]
    length: int
    places: tuple[int, ...]
    body: tuple[str, ...]

    def lines(self) -> list[str]:
        """The loop as source."""
        places = iter(self.places)
        body = [re.sub(r"m\[@]", lambda _: f"m[@{next(places)} + k]", line) for line in self.body]
        return [*self.start, f"for k in range({self.length}):", *body]


def joined(nests: list[list[str]]) -> list[list[str]]:
    """The nests, where those that can be are made one with the nest before."""
    found: list[list[str] | Run] = []
    for nest in nests:
        run, before = run_of(nest), found[-1] if found else None
        if run and isinstance(before, Run) and goes_on(before, run):
            found[-1] = before._replace(length=before.length + run.length)
        else:
            found.append(run or nest)
    return [x.lines() if isinstance(x, Run) else x for x in found]


def run_of(nest: list[str]) -> Run | None:
    """A nest as a run, if it is one flat loop."""
    loops = [i for i, line in enumerate(nest) if line.lstrip().startswith("for ")]
    if len(loops) != 1:
        return None
    (at,) = loops
    loop = LOOP.fullmatch(nest[at])
    if loop is None:
        return None
    places = tuple(int(place) for line in nest[at + 1 :] for place in ELEMENT.findall(line))
    body = tuple(ELEMENT.sub("m[@]", line) for line in nest[at + 1 :])
    return Run(tuple(nest[:at]), int(loop[1]), places, body)


def goes_on(before: Run, run: Run) -> bool:
    """Whether a run begins where the one before ends, and reads the same single numbers."""
    if (before.start, before.body) != (run.start, run.body):
        return False
    if any(place + before.length != then for place, then in zip(before.places, run.places)):
        return False
    numbers = {int(place) for line in run.start for place in NUMBER.findall(line)}
    return not any(
        place <= number < place + before.length
        for line in before.lines()
        for place in map(int, WRITTEN.findall(line))
        for number in numbers
    )
