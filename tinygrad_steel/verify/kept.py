"""What a report says of the conventions that its gradients keep, once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from .fields import with_words

Name = Literal["kink", "late-mean", "bias-shape", "columns", "sum", "descent"]


class Kept(NamedTuple):
    """A convention that one gradient keeps, what is to be said of it there, and whether the caller
    has declared it.
    """

    name: Name
    detail: str = ""
    is_declared: bool = False


@with_words
class Applied(NamedTuple):
    """A convention by which gradients in a report are right.

    Attributes
    ----------
    name : str
        "kink", "late-mean", "bias-shape", "columns", "sum" or "descent".
    text : str
        A sentence on all gradients that keep it.
    is_strict : bool
        Whether they may be used in place of the graph's as they are, or the caller has said so.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, compare_backprop
    >>> b = Tensor([[1.0, 2.0]], requires_grad=True, name="b")
    >>> compare_backprop((b * 3).sum(), G_b=[3.0, 3.0]).conventions[0].text
    'right numbers in G_b of shape (2,) for (1, 2)'
    """

    name: Name
    text: str
    is_strict: bool = True


def applied(kept: Iterable[tuple[str, Kept]]) -> list[Applied]:
    """What the gradients of a report keep, each with what it is called: said once for all of them."""
    found: dict[Name, dict[str, list[str]]] = {}
    free: set[Name] = set()
    for called, (name, detail, is_declared) in kept:
        found.setdefault(name, {}).setdefault(detail, []).append(called)
        free |= {name} if is_declared or name != "bias-shape" else set()
    return [Applied(name, WORDS[name](of), name in free) for name, of in found.items()]


def at_kinks(details: dict[str, list[str]]) -> str:
    """Another slope where two sides meet."""
    return (
        f"at {listed(details)} another slope is taken than the graph's, and any between both sides is "
        f"right"
    )


def divided_later(details: dict[str, list[str]]) -> str:
    """Gradients that lack a division, which comes with those of the leaves."""
    texts = []
    for factor, names in details.items():
        later = (
            f"a division by {factor}" if float(factor) > 1 else f"a factor {1 / float(factor):g}"
        )
        verb = "is" if len(names) == 1 else "are"
        texts.append(
            f"{listed(names)} {verb} {factor} times the graph's, and "
            f"{later} comes with the gradients of the leaves"
        )
    return "; ".join(texts)


def in_another_shape(details: dict[str, list[str]]) -> str:
    """Gradients of biases with one axis more or less."""
    parts = [f"{listed(names)} of shape {shapes}" for shapes, names in details.items()]
    return f"right numbers in {listed(parts)}"


WORDS: dict[Name, Callable[[dict[str, list[str]]], str]] = {
    "kink": at_kinks,
    "late-mean": divided_later,
    "bias-shape": in_another_shape,
}


def listed(texts: Iterable[str]) -> str:
    """Texts in a sentence: `a, b and c`."""
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def spelled(names: Iterable[Name]) -> str:
    """Names of conventions as one declares them: one alone, or several in a tuple."""
    texts = [f'"{name}"' for name in names]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
