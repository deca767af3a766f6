"""Of what a variable may be the gradient, by its name: `dW1`, `G_W1`, `delta2`, `grads["W1"]`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..program.values import Value
from .statements import Path

# How people mark a gradient, before a name and after it; the longer ones first.
BEFORE = re.compile(
    r"(?:d(?:loss|cost|L|J|C|E)_?d?_?|gradients?_?(?:of_)?|grads?_?|nabla_?|delta_?|error_?|[dDgG]_)"
    r"(?=\w)|[dDGg](?=[A-Z]|[a-z]+\d*$)"
)
# A word that only happens to begin with one of these letters is no mark: `diff`, `data`, `gain`.
NO_MARK = re.compile(r"[dDgG][a-z]{3,}\d*$")
WORDS = re.compile(
    r"[dDgG](?:out|hid|prev|next|logit|score|input|bias|weight|gamma|beta|mean|var|pred)"
)
AFTER = re.compile(r"_?(?:gradients?|grads?|delta|error|bar)$|_[dDgG]$")
HOLDS_GRADIENTS = re.compile(
    r"_*(?:d|g|G|grads?|gradients?|nablas?|deltas?|derivatives?)(?:_\w+)?$|\w*_(?:grads?|gradients)$"
)
DELTA = re.compile(r"(?:delta|error|err|d|grad)_?(\d+)$")
BEFORE_ACTIVATION = re.compile(r"(?:z|net|logits|pre\w*|u|s|v|in)_?(\d+)$", re.IGNORECASE)
NAME = re.compile(r"[^\W\d]\w*(?:\.\w+|\[[^\]]+\])*")
PARTS = re.compile(r"[^\W\d]\w*|\d+")

Parts = tuple[str | int, ...]


class Meaning(NamedTuple):
    """A name of a value of the forward. `owner`: the number of the frame in which it is called so;
    None for the graph's own name.
    """

    parts: Parts
    value: Value
    owner: int | None = None


def parts_of_name(name: str) -> Parts:
    """A name of the graph's in its parts: `layers[0].W` has three."""
    return tuple(int(part) if part.isdigit() else part for part in PARTS.findall(name))


def parts_of_path(path: Path) -> Parts:
    """A variable's path in its parts."""
    return tuple(key if isinstance(key, int) else str(key) for key in path)


def meant(path: Path, owner: int, table: Iterable[Meaning]) -> tuple[Value, ...]:
    """The values of which a variable is the gradient, by its name; several where that is not clear,
    and none where the name says nothing.
    """
    best: dict[Value, None] = {}
    top = 0
    bases = [*bases_of(parts_of_path(path))]
    for meaning in table if bases else ():
        score = max(likeness(base, meaning.parts) for base in bases)
        if score:
            score += nearness(meaning, owner, bases)
        if score > top:
            best, top = {}, score
        if score == top > 0:
            best[meaning.value] = None
    return tuple(best)


def nearness(meaning: Meaning, owner: int, bases: Collection[Parts]) -> int:
    """How much more a name counts: the graph's own, if it is the whole name, then one that is in
    the same frame.
    """
    if meaning.owner is None:
        return 2 if meaning.parts in bases else 0
    return 1 if meaning.owner == owner else -1


def bases_of(parts: Parts) -> Iterator[Parts]:
    """The names of which a variable may be the gradient: what is left without the mark."""
    for i, part in enumerate(parts):
        if isinstance(part, str):
            if HOLDS_GRADIENTS.match(part) and len(parts) > i + 1:
                if any(isinstance(rest, str) for rest in parts[i + 1 :]):
                    yield parts[i + 1 :]
            for bare in bare_names(part):
                yield (*parts[:i], bare, *parts[i + 1 :])
    number = DELTA.match(str(parts[-1]))
    if number:
        yield ("", int(number[1]))


def bare_names(name: str) -> Iterator[str]:
    """A name without what marks it as a gradient, if something does."""
    mark = BEFORE.match(name)
    if mark and len(mark[0]) < len(name):
        yield name[mark.end() :]
    if mark and not mark[0].endswith("_") and name[len(mark[0]) :].startswith("_"):
        yield name[mark.end() + 1 :]
    end = AFTER.search(name)
    if end and end.start():
        yield name[: end.start()]


def likeness(base: Parts, name: Parts) -> int:
    """How much of two names agrees, from their ends; 0 where nothing does."""
    if len(base) == 2 and base[0] == "":
        number = BEFORE_ACTIVATION.match(str(name[-1]))
        return 3 if number and int(number[1]) == base[1] else 0
    agree = has_word = 0
    for a, b in zip(reversed(base), reversed(name)):
        if a != b:
            break
        agree += 1
        has_word = has_word or isinstance(a, str)
    if agree == 1 and isinstance(base[-1], int):
        return 0
    return 4 * agree if has_word else 0


def is_marked(path: Path) -> bool:
    """Whether a name says that it is a gradient's, whatever values there are."""
    parts = parts_of_path(path)
    words = [part for part in parts if isinstance(part, str)]
    if not DELTA.match(words[-1]) and all(
        NO_MARK.match(word) and not WORDS.match(word) for word in words
    ):
        return False
    return any(True for _ in bases_of(parts))


def is_name(text: Any) -> bool:
    """Whether a text may be the name of a value, as `w`, `Ws[0]` and `net.w` are."""
    return isinstance(text, str) and bool(NAME.fullmatch(text))


def aliases(names: Mapping[str, Any] | None, values: Iterable[Meaning]) -> dict[str, Value | None]:
    """What the names that a person has given say: variable -> the value whose gradient it is, or
    None where the graph has no such value.
    """
    known = {".".join(map(str, meaning.parts)): meaning.value for meaning in values}
    found = {}
    for name, of in (names or {}).items():
        if isinstance(of, str):
            key = ".".join(map(str, parts_of_name(of)))
            found[name] = known.get(key, known.get(key.removeprefix("G_")))
    return found
