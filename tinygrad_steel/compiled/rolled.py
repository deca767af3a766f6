"""Loop nests of one form that come again and again, as the steps of a sequence do: said once, in a loop.

Lines have their places in the block marked, as in `m[@120 + i0]`. Nests that differ in nothing but
these have one form. What would take minutes to compile for a sequence of 40 steps takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .indices import indented
from .side_by_side import joined

PLACE = re.compile(r"@(\d+)")
ELEMENT = re.compile(r"m\[@(\d+)( \+ |\])")
ARGUMENT = re.compile(r"(?<=\(m, )@(\d+)")  # a place that a product is given
FEWEST = 10  # repetitions that are said in a loop
LONGEST = 400  # how many nests may come again together


class Form(NamedTuple):
    """A nest: its lines with a number for each place, and the places."""

    lines: tuple[str, ...]
    places: tuple[int, ...]


def form_of(nest: list[str]) -> Form:
    """A nest as a form; equal places have one number, as the compiler is to know that they are."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"@{numbers.setdefault(found[1], len(numbers))}"

    lines = tuple(PLACE.sub(number, line) for line in nest)
    return Form(lines, tuple(map(int, numbers)))


def placed(lines: Sequence[str]) -> list[str]:
    """Lines with their places as numbers."""
    return [PLACE.sub(r"\1", line.replace("@0 + ", "")) for line in lines]


def rolled(nests: list[list[str]], table: list[int]) -> list[str]:
    """The lines of nests one after another; the places of those in a loop go into the table."""
    nests = joined(nests)
    forms = [form_of(nest) for nest in nests]
    numbers: dict[tuple[str, ...], int] = {}
    kinds = [numbers.setdefault(form.lines, len(numbers)) for form in forms]
    lines: list[str] = []
    i = 0
    while i < len(nests):
        period, times = repetition(kinds, i)
        if times < FEWEST:
            lines += placed(nests[i])
            i += 1
            continue
        lines += loop(forms[i : i + period * times], period, table)
        i += period * times
    return lines


def repetition(kinds: list[int], start: int) -> tuple[int, int]:
    """How many nests from here on come again, and how many times; what covers most of them."""
    best = (1, 1)
    for period in range(1, min(LONGEST, (len(kinds) - start) // FEWEST) + 1):
        times = times_of(kinds, start, period)
        if times >= FEWEST and times * period > best[0] * best[1]:
            best = (period, times)
    return best


def times_of(kinds: list[int], start: int, period: int) -> int:
    """How many times the same `period` nests come one after another."""
    first, times = kinds[start : start + period], 1
    while kinds[start + times * period : start + (times + 1) * period] == first:
        times += 1
    return times


def loop(forms: list[Form], period: int, table: list[int]) -> list[str]:
    """A loop over the repetitions of these nests, with a row of the table for each."""
    first, width = len(table), sum(len(form.places) for form in forms[:period])
    for form in forms:
        table += form.places
    lines, column = [f"q = {first} + r * {width}"], 0
    for form in forms[:period]:
        given = {int(number) for line in form.lines for number in ARGUMENT.findall(line)}
        for number in range(len(form.places)):
            # A part of its own, with indices that can be seen to be above 0: others are slow
            place = f"PLACES[q + {column}]"
            lines.append(f"p{number} = {place}" if number in given else f"m{number} = m[{place} :]")
            column += 1
        lines += named(form.lines)
    return [f"for r in range({len(forms) // period}):", *indented(lines, 1)]


def named(lines: Sequence[str]) -> list[str]:
    """The lines of a form, with a variable for the part of the block that begins at each place."""
    found = []
    for line in lines:
        line = ELEMENT.sub(lambda at: f"m{at[1]}[{'0]' if at[2] == ']' else ''}", line)
        line = ARGUMENT.sub(r"p\1", line)
        found.append(PLACE.sub(r"_\1", line))
    return found
