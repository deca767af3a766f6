"""Conventions: in what a chain of gradients may differ from the graph's, and is right all the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Name = Literal["kink", "late-mean", "bias-shape", "columns", "sum", "descent"]


class Kept(NamedTuple):
    """A convention that one gradient keeps, and what is to be said of it there."""

    name: Name
    detail: str = ""


class Applied(NamedTuple):
    """A convention in a report.

    `text`: a sentence on all gradients that keep it. `is_strict`: whether they may be used in place
    of the graph's as they are, or the caller has said so.
    """

    name: Name
    text: str
    is_strict: bool = True


def applied(kept: Iterable[tuple[str, Kept]]) -> list[Applied]:
    """What the gradients of a report keep, each with what it is called: said once for all of them."""
    found: dict[Name, dict[str, list[str]]] = {}
    for called, (name, detail) in kept:
        found.setdefault(name, {}).setdefault(detail, []).append(called)
    return [WORDS[name](details) for name, details in found.items()]


def at_kinks(details: dict[str, list[str]]) -> Applied:
    """Another slope where two sides meet."""
    text = f"at {listed(details)} any slope between both sides is right, and this is another one"
    return Applied("kink", text)


def divided_later(details: dict[str, list[str]]) -> Applied:
    """Gradients that lack a division, which comes with those of the leaves."""
    texts = []
    for factor, names in details.items():
        later = f"the division by {factor}" if float(factor) > 1 else "the factor that is missing"
        texts.append(
            f"{listed(names)} {is_or_are(names)} {factor} times the graph's, and {later} comes with "
            f"the gradients of the leaves"
        )
    return Applied("late-mean", "; ".join(texts))


def in_another_shape(details: dict[str, list[str]]) -> Applied:
    """Gradients of biases with one axis more or less."""
    parts = [f"{', '.join(names)} has the shape {shapes}" for shapes, names in details.items()]
    text = f"{listed(parts)}: a bias is added to each row either way"
    return Applied("bias-shape", text, is_strict=False)


WORDS = {"kink": at_kinks, "late-mean": divided_later, "bias-shape": in_another_shape}


def listed(texts: Iterable[str]) -> str:
    """Texts in a sentence: `a, b and c`."""
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def is_or_are(names: Iterable[str]) -> str:
    """The verb for one name or several."""
    return "is" if len([*names]) == 1 else "are"
